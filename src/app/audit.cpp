#include "app/audit.hpp"

#include "app/options.hpp"
#include "observability/audit_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

constexpr const char* help = R"(usage: oavc audit verify FILE… [--head NUMBER:HASH] [--from-middle]

Follows the chain of hashes through the audit's files ([security] audit_file, and those that were
put aside: FILE.000000012345) and says where a record was changed, removed, moved or added.

  --head NUMBER:HASH  the chain must end with this record or go on behind it: as an earlier run
                      said, or the log when a file was put aside. Without it, FILE.head is taken
                      where it lies beside a file.
  --from-middle       the oldest files are no longer kept: begin with the first one given

A chain of hashes shows tampering to whoever knows its end. Who may write to the files can make
them anew as a whole; so keep an end elsewhere, such as in your log collector.

Exit status: 0 the chain is whole, 1 it is not, 2 wrong usage.

  oavc audit verify /var/log/oavc/audit.jsonl*
)";

constexpr Options::Spec options[]{{"--head", "", true}, {"--from-middle", "", false}};
constexpr std::size_t most_findings = 100;
constexpr std::size_t most_files = 10'000;

struct AuditFile {
    std::string name;
    std::uint64_t first{0};  ///< record; 0: none
};

/// In the order of the chain, whatever the shell's.
std::vector<AuditFile> in_order(const std::vector<std::string_view>& names) {
    std::vector<AuditFile> files;
    for (const auto name : names) {
        AuditFile file{std::string{name}, 0};
        if (name.ends_with(".head")) continue;
        std::ifstream in{file.name, std::ios::binary};
        if (!in) throw UsageError{fmt::format("{} cannot be read", name)};
        for (std::string line; file.first == 0 && std::getline(in, line);) {
            if (const auto place = audit::place_of(line)) file.first = place->sequence;
        }
        files.push_back(std::move(file));
    }
    std::ranges::stable_sort(files, {}, &AuditFile::first);
    return files;
}

std::optional<audit::Link> head_beside(const std::string& file) {
    std::ifstream in{file + ".head", std::ios::binary};
    std::string line;
    if (!std::getline(in, line)) return std::nullopt;
    return audit::parse_link(line);
}

class Check {
public:
    void finding(const std::string& file, std::uint64_t line, bool broken, std::string_view what) {
        broken_ += broken ? 1 : 0;
        if (++findings_ > most_findings) return;
        fmt::print("{}:{}: {}\n", file, line, what);
    }

    void read(const std::string& file, const std::optional<audit::Link>& known) {
        std::ifstream in{file, std::ios::binary};
        std::uint64_t number = 0;
        for (std::string line; std::getline(in, line);) {
            const auto found = verifier.line(line);
            ++number;
            if (!found.what.empty()) finding(file, number, found.broken, found.what);
            if (known && verifier.head().sequence == known->sequence) {
                known_seen = known_seen || verifier.head() == *known;
            }
        }
        last_file = file;
        last_line = number;
    }

    int verdict() const {
        const auto& head = verifier.head();
        if (findings_ > most_findings) fmt::print("… and {} more\n", findings_ - most_findings);
        if (broken_ > 0) {
            fmt::print("{} of {} records: the chain is broken\n", broken_, verifier.lines());
            return 1;
        }
        fmt::print(
            "records {} to {}: the chain is whole\nhead {}:{}\n",
            verifier.first(),
            head.sequence,
            head.sequence,
            head.hash
        );
        return 0;
    }

    audit::Verifier verifier;
    std::string last_file;
    std::uint64_t last_line{0};
    bool known_seen{false};  ///< the known end was met

private:
    std::uint64_t findings_{0};
    std::uint64_t broken_{0};
};

}  // namespace

int audit_command(std::span<const std::string_view> arguments) {
    const Options given{"audit", arguments, options, most_files};
    if (given.help() || arguments.empty()) {
        fmt::print("{}", help);
        return given.help() ? 0 : 2;
    }
    const auto& words = given.positional();
    if (words.size() < 2 || words[0] != "verify") {
        throw UsageError{"oavc audit verify FILE…\nsee: oavc audit --help"};
    }
    const auto files = in_order({words.begin() + 1, words.end()});
    std::optional<audit::Link> known;
    if (const auto text = given.value("--head")) {
        known = audit::parse_link(*text);
        if (!known) throw UsageError{"--head is written NUMBER:HASH, as `oavc audit verify` says"};
    }
    for (auto file = files.rbegin(); !known && file != files.rend(); ++file)
        known = head_beside(file->name);

    Check check;
    for (const auto& file : files)
        check.read(file.name, known);
    const auto first = check.verifier.first();
    if (first == 0) {
        fmt::print("there is no record in these files\n");
        return known ? 1 : 0;
    }
    if (first > 1 && !given.has("--from-middle")) {
        check.finding(
            files.front().name, 1, true, fmt::format("records 1 to {} are missing", first - 1)
        );
    }
    if (known && !check.known_seen && known->sequence >= first) {
        check.finding(
            check.last_file,
            check.last_line,
            true,
            known->sequence > check.verifier.head().sequence
                ? fmt::format("the records up to {} are missing at the end", known->sequence)
                : fmt::format("record {} is not the one that was known", known->sequence)
        );
    }
    return check.verdict();
}

}  // namespace oavc::app
