#include "app/models.hpp"

#include "app/options.hpp"
#include "async/run_blocking.hpp"
#include "base/paths.hpp"
#include "net/errors.hpp"
#include "net/http_client.hpp"

#include <boost/asio/error.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

namespace fs = std::filesystem;

constexpr Model models[]{
    {"silero-vad",
     "silero-vad.bin",
     "https://huggingface.co/ggml-org/whisper-vad/resolve/main/ggml-silero-v6.2.0.bin",
     885'098,
     "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
     "voice activity detection: hears speech in noise better than WebRTC's detector"},
};

constexpr int max_redirects = 5;
constexpr int max_attempts = 4;  ///< each must bring something, or it was the last
constexpr std::chrono::minutes longest_download{60};

std::string reason(int error_number) { return std::generic_category().message(error_number); }

/// A file under construction, locked against a second `oavc models pull`.
class PartFile {
public:
    explicit PartFile(fs::path path) : path_{std::move(path)} {
        descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor_ < 0) fail("cannot be written");
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
            ::close(descriptor_);
            throw PullError{fmt::format(
                "{} is being written by another `oavc models pull`; wait for it", path_.string()
            )};
        }
        size_ = static_cast<std::uint64_t>(std::max<off_t>(::lseek(descriptor_, 0, SEEK_END), 0));
    }
    PartFile(const PartFile&) = delete;
    PartFile& operator=(const PartFile&) = delete;
    ~PartFile() {
        if (size_ == 0) remove();  // nothing to go on from
        ::close(descriptor_);
    }

    std::uint64_t size() const noexcept { return size_; }

    void append(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) fail("cannot be written");
            bytes.remove_prefix(static_cast<std::size_t>(written));
            size_ += static_cast<std::uint64_t>(written);
        }
    }

    void clear() {
        if (::ftruncate(descriptor_, 0) != 0) fail("cannot be written");
        ::lseek(descriptor_, 0, SEEK_SET);
        size_ = 0;
    }

    void remove() noexcept { ::unlink(path_.c_str()); }

    /// Gives the finished file its name, so that it is there whole or not at all.
    void publish(const fs::path& name) {
        if (::fsync(descriptor_) != 0) fail("cannot be written");
        if (::rename(path_.c_str(), name.c_str()) != 0) fail("cannot be renamed");
    }

private:
    [[noreturn]] void fail(std::string_view what) const {
        throw PullError{fmt::format("{} {}: {}", path_.string(), what, reason(errno))};
    }

    fs::path path_;
    int descriptor_;
    std::uint64_t size_{0};
};

/// In lower-case hexadecimal; empty when the file cannot be read.
std::string sha256_of(const fs::path& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{
        std::fopen(path.c_str(), "rb"), std::fclose};
    if (!in) return {};
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest{
        EVP_MD_CTX_new(), EVP_MD_CTX_free};
    if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) return {};
    std::array<char, 64 * 1024> chunk;
    while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), in.get())) {
        EVP_DigestUpdate(digest.get(), chunk.data(), size);
    }
    if (std::ferror(in.get()) != 0) return {};
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(digest.get(), bytes.data(), &size) != 1) return {};
    std::string text;
    for (unsigned i = 0; i < size; ++i)
        text += fmt::format("{:02x}", bytes[i]);
    return text;
}

bool is_url(std::string_view from) noexcept {
    return from.starts_with("http://") || from.starts_with("https://");
}

/// Where a redirect leads (RFC 9110 §10.2.2: the reference may be relative).
std::optional<std::string> redirected(const std::string& from, std::string_view location) {
    const auto base = boost::urls::parse_uri(from);
    const auto reference = boost::urls::parse_uri_reference(location);
    if (!base || !reference) return std::nullopt;
    boost::urls::url target{*base};
    if (!target.resolve(*reference)) return std::nullopt;
    target.remove_fragment();
    std::string text{target.buffer().data(), target.buffer().size()};
    if (!is_url(text)) return std::nullopt;
    return text;
}

/// First byte of a 206's body: "bytes 100-199/200" → 100.
std::optional<std::uint64_t> range_start(std::string_view content_range) {
    constexpr std::string_view unit{"bytes "};
    if (!content_range.starts_with(unit)) return std::nullopt;
    content_range.remove_prefix(unit.size());
    std::uint64_t start = 0;
    const char* const end = content_range.data() + content_range.size();
    const auto [rest, failed] = std::from_chars(content_range.data(), end, start);
    if (failed != std::errc{} || rest == end || *rest != '-') return std::nullopt;
    return start;
}

asio::awaitable<void> request_into(
    async::Shard& shard, net::HttpClientRequest request, Result<net::HttpResponse>& result
) {
    result = co_await net::http_request(shard, std::move(request), longest_download);
}

/// One download into a part file: from what is there already to the last byte.
class Download {
public:
    Download(const Model& model, std::string url, PartFile& part, const PullProgress& progress)
        : model_{model}, url_{std::move(url)}, part_{part}, progress_{progress} {}

    void run() {
        bool restarted = false;
        for (int attempt = 1; part_.size() < model_.size; ++attempt) {
            const auto before = part_.size();
            const Answer answer = follow_redirects();
            if (part_.size() >= model_.size) return;
            if (answer.status == 416 && before > 0 && !restarted) {
                part_.clear();  // what we hold is no beginning of what the server has
                restarted = true;
                continue;
            }
            if (part_.size() <= before || attempt == max_attempts) give_up(answer.problem);
        }
    }

private:
    struct Answer {
        int status{0};  ///< 0: none came
        std::string location;
        std::string problem;
    };

    [[noreturn]] void give_up(const std::string& problem) const {
        std::string text =
            fmt::format("{} could not be fetched from {}\n  {}\n", model_.name, url_, problem);
        if (part_.size() > 0) {
            text += fmt::format(
                "{} of {} bytes are kept; the same command goes on from there.\n",
                part_.size(),
                model_.size
            );
        }
        text += fmt::format(
            "No network here? Fetch the file elsewhere, then: oavc models pull {} --from FILE",
            model_.name
        );
        throw PullError{text};
    }

    Answer follow_redirects() {
        std::string url = url_;
        for (int redirect = 0; redirect <= max_redirects; ++redirect) {
            Answer answer = request(url);
            if (answer.status < 300 || answer.status > 399) return answer;
            const auto target = redirected(url, answer.location);
            if (!target) {
                answer.problem = fmt::format("redirected to nowhere: \"{}\"", answer.location);
                return answer;
            }
            url = *target;
        }
        return {.problem = fmt::format("redirected more than {} times", max_redirects)};
    }

    /// Asks for what is missing and appends what comes.
    Answer request(const std::string& url) {
        Answer answer;
        net::HttpClientRequest request;
        request.url = url;
        if (part_.size() > 0) {
            request.headers.emplace("Range", fmt::format("bytes={}-", part_.size()));
        }
        bool first = true;
        request.on_body = [&](const net::HttpResponse& head, std::string_view piece) {
            if (std::exchange(first, false)) begin(head, answer);
            if (!answer.problem.empty()) return false;
            if (piece.size() > model_.size - part_.size()) {
                answer.problem = "the server has another, longer file";
                return false;
            }
            part_.append(piece);
            progress_(part_.size());
            return true;
        };

        async::Shard shard{0};
        Result<net::HttpResponse> result{error_code{boost::asio::error::fault}};
        async::run_blocking(shard, request_into(shard, std::move(request), result));
        if (result && first) begin(*result, answer);  // an answer without a body
        if (answer.problem.empty()) {
            answer.problem =
                result ? "the server's answer was too short" : result.error().message();
        }
        return answer;
    }

    /// Looks at an answer's head; leaves a problem when its body is not what we asked for.
    void begin(const net::HttpResponse& head, Answer& answer) {
        answer.status = head.status;
        const auto field = [&](const char* name) -> std::string {
            const auto found = head.headers.find(name);
            return found == head.headers.end() ? std::string{} : found->second;
        };
        answer.location = field("Location");
        if (head.status == 200) {
            if (part_.size() > 0) part_.clear();  // it does not do ranges: from the start
        } else if (head.status == 206) {
            if (range_start(field("Content-Range")) != part_.size()) {
                answer.problem = "the server answered with another range than asked for";
            }
        } else {
            answer.problem = fmt::format("the server answered {}", head.status);
        }
    }

    const Model& model_;
    const std::string url_;
    PartFile& part_;
    const PullProgress& progress_;
};

void copy_file(
    const Model& model, const fs::path& from, PartFile& part, const PullProgress& progress
) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{
        std::fopen(from.c_str(), "rb"), std::fclose};
    if (!in) throw PullError{fmt::format("{} cannot be opened: {}", from.string(), reason(errno))};
    part.clear();
    std::array<char, 64 * 1024> chunk;
    while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), in.get())) {
        if (size > model.size - part.size()) {
            part.remove();
            throw PullError{fmt::format("{} is longer than {}", from.string(), model.name)};
        }
        part.append({chunk.data(), size});
        progress(part.size());
    }
    if (std::ferror(in.get()) != 0) {
        throw PullError{fmt::format("{} cannot be read: {}", from.string(), reason(errno))};
    }
}

enum class State { absent, installed, damaged };

State state_of(const Model& model, const fs::path& directory) {
    const fs::path path = directory / model.file;
    std::error_code error;
    if (!fs::exists(path, error)) return State::absent;
    return sha256_of(path) == model.sha256 ? State::installed : State::damaged;
}

fs::path models_directory() { return data_directory() / "models"; }

std::string megabytes(std::uint64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

/// On a terminal one line that grows; elsewhere nothing, the result's line is enough.
class ProgressBar {
public:
    explicit ProgressBar(const Model& model)
        : model_{model}, shown_{::isatty(STDERR_FILENO) != 0} {}
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    ~ProgressBar() {
        if (drawn_) std::fputc('\n', stderr);
    }

    void show(std::uint64_t done) {
        const auto percent = static_cast<int>(done * 100 / model_.size);
        if (!shown_ || percent == last_) return;
        last_ = percent;
        drawn_ = true;
        constexpr int width = 30;
        const int filled = percent * width / 100;
        fmt::print(
            stderr,
            "\r{}  [{:=<{}}{:<{}}] {:3}%  {} of {}",
            model_.name,
            "",
            filled,
            "",
            width - filled,
            percent,
            megabytes(done),
            megabytes(model_.size)
        );
        std::fflush(stderr);
    }

private:
    const Model& model_;
    const bool shown_;
    bool drawn_{false};
    int last_{-1};
};

constexpr const char* help = R"(usage: oavc models list
       oavc models pull NAME [--from URL|FILE]

list   the models that oavc can use, and which are here
pull   fetch one, check it, and put it where `oavc serve` looks for it

  --from URL|FILE   take it from there instead of from its maintainers (http, https or a file)

They lie in $OAVC_DATA_DIR/models, else $XDG_DATA_HOME/oavc/models, else
~/.local/share/oavc/models. An interrupted download is resumed by the same command.

  oavc models pull silero-vad
  oavc models pull silero-vad --from /media/usb/ggml-silero-v6.2.0.bin
)";

constexpr Options::Spec options[]{{"--from", "", true}};

int list() {
    const fs::path directory = models_directory();
    for (const Model& model : known_models()) {
        const State state = state_of(model, directory);
        const std::string_view shown = state == State::installed ? "installed"
                                       : state == State::damaged ? "damaged: pull it again"
                                                                 : "not installed";
        fmt::print("{:<14}{:>8}  {:<24}{}\n", model.name, megabytes(model.size), shown, model.what);
    }
    fmt::print("\nfolder: {}\n", directory.string());
    return 0;
}

int pull(std::string_view name, std::string_view from) {
    const auto model = std::ranges::find(known_models(), name, &Model::name);
    if (model == known_models().end()) {
        std::string known;
        for (const Model& each : known_models()) {
            known.append(known.empty() ? "" : ", ").append(each.name);
        }
        throw UsageError{fmt::format("unknown model \"{}\" (known: {})", name, known)};
    }
    const fs::path directory = models_directory();
    if (state_of(*model, directory) == State::installed) {
        fmt::print("{} is already there: {}\n", name, (directory / model->file).string());
        return 0;
    }
    const fs::path path = [&] {
        ProgressBar bar{*model};
        return pull_model(*model, from, directory, [&](std::uint64_t done) { bar.show(done); });
    }();
    fmt::print("{} is installed (sha256 checked): {}\n", name, path.string());
    return 0;
}

}  // namespace

std::span<const Model> known_models() noexcept { return models; }

fs::path pull_model(
    const Model& model,
    std::string_view from,
    const fs::path& directory,
    const PullProgress& progress
) {
    const fs::path path = directory / model.file;
    if (state_of(model, directory) == State::installed) return path;

    std::error_code error;
    fs::create_directories(directory, error);
    if (error) {
        throw PullError{fmt::format(
            "{} cannot be made: {}. OAVC_DATA_DIR names another place.",
            directory.string(),
            error.message()
        )};
    }
    const fs::path part_path = path.string() + ".part";
    PartFile part{part_path};
    if (part.size() > model.size) part.clear();
    progress(part.size());

    constexpr std::string_view file_scheme{"file://"};
    if (from.starts_with(file_scheme)) from.remove_prefix(file_scheme.size());
    if (!from.empty() && !is_url(from)) {
        copy_file(model, from, part, progress);
    } else {
        Download{model, std::string{from.empty() ? model.url : from}, part, progress}.run();
    }

    const std::string found = sha256_of(part_path);
    if (found != model.sha256) {
        part.remove();
        throw PullError{fmt::format(
            "what {} holds is not {}; it was thrown away\n  expected sha256 {}\n  found    sha256 "
            "{}",
            from.empty() ? model.url : from,
            model.name,
            model.sha256,
            found
        )};
    }
    part.publish(path);
    return path;
}

int models_command(std::span<const std::string_view> arguments) {
    const Options given{"models", arguments, options, 2};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    const auto& words = given.positional();
    if (words.empty() || words[0] == "list") {
        if (words.size() > 1 || given.has("--from"))
            throw UsageError{"oavc models list takes no more"};
        return list();
    }
    if (words[0] != "pull") {
        throw UsageError{fmt::format(
            "oavc models knows list and pull, not \"{}\"\nsee: oavc models --help", words[0]
        )};
    }
    if (words.size() < 2) {
        throw UsageError{"oavc models pull needs a name; `oavc models list` has them"};
    }
    return pull(words[1], given.value("--from").value_or(""));
}

}  // namespace oavc::app
