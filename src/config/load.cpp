#include "config/load.hpp"

#include "config/checks.hpp"
#include "config/expand.hpp"
#include "config/ini.hpp"
#include "config/legacy.hpp"
#include "config/nearest.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace oavc::config {

namespace {

namespace fs = std::filesystem;

/// Who wins, least first.
enum class Rank { old_program, old_file, file, old_environment, environment, port };

/// One value that somebody gave for a key.
struct Candidate {
    Rank rank;
    std::string text;
    Origin origin;
    const Legacy* legacy{nullptr};  ///< of equal ranks the earlier in the table wins
};

/// (section as in the file in lower case, key)
using Place = std::pair<std::string, std::string>;

class Loader {
public:
    Loader(
        std::string_view text,
        std::string file,
        fs::path folder,
        const Environment& environment,
        const SecretReader& gcp_secrets
    )
        : document_{parse_ini(text)},
          expander_{std::move(folder), environment, gcp_secrets},
          environment_{environment} {
        loaded_.file = std::move(file);
    }

    Loaded run() {
        for (IniProblem& problem : document_.problems) {
            report(Severity::error, {}, problem.line, std::move(problem.what));
        }
        find_agents();
        for (const IniEntry& entry : document_.entries)
            take(entry);
        take_environment();
        if (of_predecessor_) speak_as_before();
        apply();
        check(loaded_);
        // Who is recorded hears of it before anything else.
        for (auto& agent : loaded_.config.pipeline.agents) {
            if (!agent.record || agent.recording_notice.empty()) continue;
            agent.greeting =
                agent.recording_notice + (agent.greeting.empty() ? "" : " ") + agent.greeting;
        }
        forgive_unused_sections();
        std::stable_sort(
            loaded_.problems.begin(),
            loaded_.problems.end(),
            [](const Problem& a, const Problem& b) {
                const auto order = [](const Problem& p) {
                    return p.line == 0 ? UINT32_MAX : p.line;
                };
                return order(a) < order(b);
            }
        );
        return std::move(loaded_);
    }

private:
    void report(Severity severity, std::string section, std::uint32_t line, std::string what) {
        loaded_.problems.push_back({severity, std::move(section), line, std::move(what)});
    }

    // ── which sections there are ─────────────────────────────────────────────────────────────────

    void find_agents() {
        for (const IniSection& section : document_.sections) {
            const std::string lower = to_lower(section.name);
            if (!lower.starts_with("agent.")) {
                check_section(section, lower);
                continue;
            }
            if (lower.size() == std::string_view{"agent."}.size()) {
                report(Severity::error, lower, section.line, "an agent needs a name: [agent.NAME]");
                continue;
            }
            agents_.push_back({lower, section.name.substr(6), section.line});
        }
    }

    void check_section(const IniSection& section, const std::string& lower) {
        for (const SectionHelp& known : sections()) {
            if (known.name == lower) return;
        }
        for (const Legacy& legacy : legacy_keys()) {
            if (legacy.section == lower) return;
        }
        unknown_sections_.insert(lower);
        report(
            Severity::warning,
            lower,
            section.line,
            fmt::format("unknown section [{}]{}", section.name, section_hint(lower))
        );
    }

    /// By the whole name, else by what stands behind the dot.
    static std::string section_hint(std::string_view name) {
        std::vector<std::string_view> names;
        std::vector<std::string_view> tails;
        for (const SectionHelp& known : sections()) {
            names.push_back(known.name);
            tails.push_back(known.name.substr(known.name.find('.') + 1));
        }
        std::string hint = did_you_mean(name, names, "[", "]");
        if (!hint.empty()) return hint;
        const std::string_view tail = nearest(name, tails);
        for (std::size_t i = 0; i < tails.size(); ++i) {
            if (!tail.empty() && tails[i] == tail) {
                return fmt::format("; did you mean [{}]?", names[i]);
            }
        }
        return {};
    }

    static std::string did_you_mean(
        std::string_view name,
        std::span<const std::string_view> names,
        std::string_view before,
        std::string_view after
    ) {
        const std::string_view best = nearest(name, names);
        if (best.empty()) return {};
        return fmt::format("; did you mean {}{}{}?", before, best, after);
    }

    // ── values from the file ─────────────────────────────────────────────────────────────────────

    void take(const IniEntry& entry) {
        const std::string section = to_lower(entry.section);
        if (unknown_sections_.contains(section)) return;  // said once for the whole section
        if (const Key* key = find_key(section, entry.key)) {
            if (section == "agent" && entry.key == "match") {
                report(
                    Severity::error,
                    section,
                    entry.line,
                    "[agent] is the default for every number; `match` belongs in an [agent.NAME]"
                );
                return;
            }
            std::optional<std::string> text = expand(section, entry);
            if (!text) return;
            if (std::holds_alternative<Path>(key->rule)) *text = expander_.resolve(*text);
            give(
                {section, entry.key},
                {Rank::file,
                 std::move(*text),
                 {Origin::Kind::file, entry.line, {}, {}, names_secret(entry.value)}}
            );
            return;
        }
        if (const Legacy* legacy = find_legacy(section, entry.key)) {
            take_legacy(*legacy, section, entry);
            return;
        }
        report(
            Severity::warning,
            section,
            entry.line,
            fmt::format(
                "unknown key `{}` in [{}]{}", entry.key, entry.section, key_hint(section, entry.key)
            )
        );
    }

    std::string key_hint(const std::string& section, const std::string& name) const {
        std::vector<std::string_view> names;
        for (const Key& key : schema()) {
            if (key.section == schema_section(section)) names.push_back(key.name);
        }
        if (std::string hint = did_you_mean(name, names, "`", "`"); !hint.empty()) return hint;
        for (const Key& key : schema()) {
            if (key.name == name) return fmt::format("; it belongs in [{}]", key.section);
        }
        return {};
    }

    void take_legacy(const Legacy& legacy, const std::string& section, const IniEntry& entry) {
        const std::string old_name = fmt::format("[{}] {}", entry.section, entry.key);
        if (legacy.rewrite == Rewrite::ignored) {
            report(
                Severity::note,
                section,
                entry.line,
                fmt::format("{} is accepted but not used: {}", old_name, legacy.note)
            );
            return;
        }
        const Key* key = find_key(legacy.to_section, legacy.to_name);
        std::optional<std::string> text = expand(section, entry);
        if (!text) return;
        text = rewrite(legacy, *text);
        if (!text) {
            report(
                Severity::note,
                section,
                entry.line,
                fmt::format("{} is not used: {}", old_name, legacy.note)
            );
            return;
        }
        if (std::holds_alternative<Path>(key->rule)) *text = expander_.resolve(*text);
        const bool alias = legacy.rewrite == Rewrite::alias;
        if (!alias) {
            of_predecessor_ = true;
            report(
                Severity::note,
                section,
                entry.line,
                fmt::format("{} is called [{}] {} now", old_name, legacy.to_section, legacy.to_name)
            );
        }
        give(
            {std::string{legacy.to_section}, std::string{legacy.to_name}},
            {alias ? Rank::file : Rank::old_file,
             std::move(*text),
             {Origin::Kind::file, entry.line, {}, old_name, names_secret(entry.value)},
             &legacy}
        );
    }

    /// Nothing, and problems, when something that it refers to is not there.
    std::optional<std::string> expand(const std::string& section, const IniEntry& entry) {
        Expanded expanded = expander_.expand(entry.value);
        for (const std::string& problem : expanded.problems) {
            report(
                Severity::error,
                section,
                entry.line,
                fmt::format("[{}] {}: {}", entry.section, entry.key, problem)
            );
        }
        if (!expanded.problems.empty()) return std::nullopt;
        return std::move(expanded.text);
    }

    // ── values from the environment ──────────────────────────────────────────────────────────────

    void take_environment() {
        std::set<std::string, std::less<>> known{
            "OAVC_CONFIG_FILE", "OAVC_DATA_DIR", "OAVC_SECRET_MANAGER_URL"};
        const auto take_section = [&](const std::string& section) {
            for (const Key& key : schema()) {
                if (key.section != schema_section(section)) continue;
                const std::string name = environment_name(section, key.name);
                known.insert(name);
                const auto found = environment_.find(name);
                if (found == environment_.end()) continue;
                if (found->second.empty() && !may_be_empty(key.rule)) continue;
                give(
                    {section, std::string{key.name}},
                    {Rank::environment, found->second, {Origin::Kind::environment, 0, name, {}}}
                );
            }
        };
        for (const SectionHelp& section : sections())
            take_section(std::string{section.name});
        for (const Agent& agent : agents_)
            take_section(agent.section);
        take_aliases(known);

        for (const Legacy& legacy : legacy_environment()) {
            const auto found = environment_.find(legacy.name);
            if (found == environment_.end() || found->second.empty()) continue;
            if (legacy.rewrite == Rewrite::ignored) {
                report(
                    Severity::note,
                    {},
                    0,
                    fmt::format("environment {} is not used: {}", legacy.name, legacy.note)
                );
                continue;
            }
            std::optional<std::string> text = rewrite(legacy, found->second);
            if (!text) continue;
            give(
                {std::string{legacy.to_section}, std::string{legacy.to_name}},
                {Rank::old_environment,
                 std::move(*text),
                 {Origin::Kind::environment, 0, std::string{legacy.name}, {}},
                 &legacy}
            );
        }
        if (const auto port = environment_.find("PORT");
            port != environment_.end() && !port->second.empty()) {
            give(
                {"api", "port"},
                {Rank::port, port->second, {Origin::Kind::environment, 0, "PORT", {}}}
            );
        }
        warn_of_unknown_names(known);
    }

    void take_aliases(std::set<std::string, std::less<>>& known) {
        for (const Legacy& legacy : legacy_keys()) {
            if (legacy.rewrite != Rewrite::alias) continue;
            const std::string name = environment_name(legacy.section, legacy.name);
            known.insert(name);
            const auto found = environment_.find(name);
            if (found == environment_.end() || found->second.empty()) continue;
            give(
                {std::string{legacy.to_section}, std::string{legacy.to_name}},
                {Rank::environment,
                 found->second,
                 {Origin::Kind::environment, 0, name, {}},
                 &legacy}
            );
        }
    }

    static bool may_be_empty(const Rule& rule) noexcept {
        return std::holds_alternative<Text>(rule) || std::holds_alternative<Secret>(rule) ||
               std::holds_alternative<Path>(rule) || std::holds_alternative<List>(rule) ||
               std::holds_alternative<Patterns>(rule) || std::holds_alternative<Host>(rule) ||
               std::holds_alternative<Url>(rule);
    }

    void warn_of_unknown_names(const std::set<std::string, std::less<>>& known) {
        const std::vector<std::string_view> names{known.begin(), known.end()};
        for (const auto& [name, value] : environment_) {
            // Kubernetes sets OAVC_SERVICE_… and OAVC_PORT… for a Service that is called oavc.
            if (!name.starts_with("OAVC_") || name.starts_with("OAVC_SERVICE_") ||
                name.starts_with("OAVC_PORT") || known.contains(name)) {
                continue;
            }
            const std::string hint = did_you_mean(name, names, "", "");
            if (hint.empty()) continue;  // somebody else's: scripts and tests use the prefix too
            report(
                Severity::warning,
                {},
                0,
                fmt::format("environment {} belongs to no key{}", name, hint)
            );
        }
    }

    /// A file of the predecessor says nothing about whom callers meet: that was in its code. Until
    /// the file has an [agent], or the environment names another language, they meet the same.
    void speak_as_before() {
        for (const IniSection& section : document_.sections) {
            const std::string lower = to_lower(section.name);
            if (lower == "agent" || lower.starts_with("agent.")) return;
        }
        for (const Candidate& language : given_[{"agent", "language"}]) {
            if (!to_lower(language.text).starts_with("tr")) return;
        }
        for (const LegacyPersona& persona : legacy_persona()) {
            give(
                {"agent", std::string{persona.name}},
                {Rank::old_program,
                 std::string{persona.value},
                 {Origin::Kind::built_in, 0, {}, "the predecessor's"}}
            );
        }
        report(
            Severity::note,
            "agent",
            0,
            "the file has no [agent]: callers are spoken to in Turkish, as the predecessor did"
        );
    }

    void give(const Place& place, Candidate candidate) {
        given_[place].push_back(std::move(candidate));
    }

    // ── values into the structs ──────────────────────────────────────────────────────────────────

    void apply() {
        pipeline::AgentConfig fallback;
        for (const SectionHelp& section : sections()) {
            if (section.name == "agent") {
                apply_section("agent", fallback);
                std::vector<pipeline::AgentConfig> agents;
                for (const Agent& named : agents_) {
                    pipeline::AgentConfig agent = fallback;
                    agent.name = named.name;
                    apply_section(named.section, agent);
                    if (agent.match.empty()) {
                        report(
                            Severity::error,
                            named.section,
                            named.line,
                            fmt::format(
                                "[agent.{}] has no `match`, so no call would reach it", named.name
                            )
                        );
                    }
                    agents.push_back(std::move(agent));
                }
                agents.push_back(std::move(fallback));
                loaded_.config.pipeline.agents = std::move(agents);
                fallback = {};
            } else {
                apply_section(std::string{section.name}, fallback);
            }
        }
    }

    void apply_section(const std::string& section, pipeline::AgentConfig& agent) {
        const Target target{loaded_.config, agent};
        for (const Key& key : schema()) {
            if (key.section != schema_section(section)) continue;
            if (section == "agent" && key.name == "match") continue;
            Origin origin;
            if (const auto given = given_.find({section, std::string{key.name}});
                given != given_.end()) {
                origin = choose(key, section, target, given->second);
            }
            loaded_.settings.push_back(
                {&key, section, get_value(key, loaded_.config, agent), std::move(origin)}
            );
        }
    }

    /// Sets the strongest candidate and speaks of those that it silences in the file.
    Origin choose(
        const Key& key,
        const std::string& section,
        Target target,
        std::vector<Candidate>& candidates
    ) {
        std::stable_sort(
            candidates.begin(),
            candidates.end(),
            [](const Candidate& a, const Candidate& b) {
                return a.rank != b.rank ? a.rank > b.rank : std::less<>{}(a.legacy, b.legacy);
            }
        );
        const Candidate& winner = candidates.front();
        for (const Candidate& other : candidates) {
            const bool by_another_name =
                other.origin.kind == Origin::Kind::file && other.legacy != nullptr;
            if (&other == &winner || !by_another_name || winner.rank != Rank::file) continue;
            const std::string& alias = winner.origin.legacy;
            const bool same = other.text == winner.text;
            report(
                same ? Severity::note : Severity::warning,
                section,
                other.origin.line,
                fmt::format(
                    "{} is not used: {} in line {} {}",
                    other.origin.legacy,
                    alias.empty() ? fmt::format("[{}] {}", section, key.name) : alias,
                    winner.origin.line,
                    same ? "says the same" : "wins"
                )
            );
        }
        std::string wrong = set_value(key, target, winner.text);
        if (wrong.empty()) return winner.origin;
        // What is wrong may repeat the text.
        if (winner.origin.secret)
            wrong = "the secret is no value for this key: " + describe(key.rule);
        const bool named = wrong.starts_with("Unknown provider");  // says where by itself
        std::string where = fmt::format("[{}] {}: ", section, key.name);
        if (!winner.origin.name.empty()) {
            where =
                fmt::format("environment {} ([{}] {}): ", winner.origin.name, section, key.name);
        } else if (named) {
            where.clear();
        }
        report(Severity::error, section, winner.origin.line, where + wrong);
        return {};
    }

    // ── last touches ─────────────────────────────────────────────────────────────────────────────

    /// A provider that is not chosen may stay half configured: its errors become notes.
    void forgive_unused_sections() {
        const Config& c = loaded_.config;
        const auto used = [&](std::string_view section) {
            if (section == "telephony.twilio") return c.serves_twilio();
            if (section == "telephony.opensips") return c.serves_opensips();
            if (section == "telephony.sip") return c.serves_sip();
            if (section == "telephony.rtp") return c.serves_rtp();
            if (section.starts_with("stt.")) return section.substr(4) == c.services.stt_provider;
            if (section.starts_with("llm.")) return section.substr(4) == c.services.llm_provider;
            if (section.starts_with("tts.")) return section.substr(4) == c.services.tts_provider;
            return true;
        };
        for (Problem& problem : loaded_.problems) {
            if (problem.severity != Severity::error || used(problem.section)) continue;
            problem.severity = Severity::note;
            problem.what += " (this provider is not in use)";
        }
    }

    struct Agent {
        std::string section;  ///< lower case
        std::string name;
        std::uint32_t line;
    };

    // Given to us.
    IniDocument document_;
    const Expander expander_;
    const Environment& environment_;
    // State.
    std::vector<Agent> agents_;
    std::set<std::string, std::less<>> unknown_sections_;
    bool of_predecessor_{false};  ///< the file has old names
    std::map<Place, std::vector<Candidate>> given_;
    Loaded loaded_;
};

}  // namespace

Environment process_environment() {
    Environment environment;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return environment;
}

bool Loaded::ok() const noexcept { return count(Severity::error) == 0; }

std::size_t Loaded::count(Severity severity) const noexcept {
    std::size_t found = 0;
    for (const Problem& problem : problems)
        found += problem.severity == severity ? 1 : 0;
    return found;
}

const Setting* Loaded::find(std::string_view section, std::string_view name) const noexcept {
    for (const Setting& setting : settings) {
        if (setting.section == section && setting.key->name == name) return &setting;
    }
    return nullptr;
}

Loaded load(const fs::path& file, const Environment& environment, const SecretReader& gcp_secrets) {
    const auto unreadable = [&](std::string_view why) {
        Loaded failed;
        failed.file = file.string();
        failed.problems.push_back({Severity::error, {}, 0, fmt::format("cannot be read: {}", why)});
        return failed;
    };
    std::error_code error;
    if (!fs::exists(file, error)) return unreadable("there is no such file");
    if (fs::is_directory(file, error)) return unreadable("it is a folder");
    std::ifstream in{file, std::ios::binary};
    if (!in) return unreadable("permission denied");
    // One byte more than the parser takes, so that it notices the excess.
    std::string text(IniLimits{}.bytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    const auto folder = fs::absolute(file, error).parent_path();
    return load_text(text, file.string(), folder, environment, gcp_secrets);
}

Loaded load_text(
    std::string_view text,
    std::string file,
    const fs::path& folder,
    const Environment& environment,
    const SecretReader& gcp_secrets
) {
    return Loader{text, std::move(file), folder, environment, gcp_secrets}.run();
}

std::string environment_name(std::string_view section, std::string_view key) {
    std::string name{"OAVC_"};
    name.append(section).append("_").append(key);
    for (char& c : name) {
        if (c >= 'a' && c <= 'z') {
            c = static_cast<char>(c - 'a' + 'A');
        } else if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) {
            c = '_';
        }
    }
    return name;
}

std::string to_string(const Problem& problem, std::string_view file) {
    const char* severity = problem.severity == Severity::error     ? "error"
                           : problem.severity == Severity::warning ? "warning"
                                                                   : "note";
    if (problem.line == 0) return fmt::format("{}: {}: {}", file, severity, problem.what);
    return fmt::format("{}:{}: {}: {}", file, problem.line, severity, problem.what);
}

}  // namespace oavc::config
