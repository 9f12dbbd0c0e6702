#include "app/models.hpp"

#include "app/ollama_models.hpp"
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

/// A file of whisper.cpp's, as of one revision of where its maintainers publish them.
Model whisper(
    std::string_view name, std::uint64_t size, std::string_view sha256, std::string_view what
) {
    auto file = fmt::format("ggml-{}.bin", name);
    auto url = fmt::format(
        "https://huggingface.co/ggerganov/whisper.cpp/resolve/"
        "5359861c739e955e79d9a303bcbc70fb988958b1/{}",
        file
    );
    return {name, std::move(file), std::move(url), size, sha256, what};
}

constexpr std::string_view eight_bits = "in 8 bits: half the memory (compute_type = int8)";
constexpr std::string_view five_bits = "in 5 bits: a third of the memory";

const std::vector<Model>& models() {
    static const std::vector<Model> all{
        {"silero-vad",
         "silero-vad.bin",
         "https://huggingface.co/ggml-org/whisper-vad/resolve/main/ggml-silero-v6.2.0.bin",
         885'098,
         "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
         "voice activity detection: hears speech in noise better than WebRTC's detector"},
        whisper(
            "tiny",
            77'691'713,
            "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21",
            "speech recognition (faster-whisper): for trying out"
        ),
        whisper(
            "tiny-q8_0",
            43'537'433,
            "c2085835d3f50733e2ff6e4b41ae8a2b8d8110461e18821b09a15c40c42d1cca",
            eight_bits
        ),
        whisper(
            "tiny-q5_1",
            32'152'673,
            "818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7",
            five_bits
        ),
        whisper(
            "base",
            147'951'465,
            "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe",
            "speech recognition (faster-whisper): the default"
        ),
        whisper(
            "base-q8_0",
            81'768'585,
            "c577b9a86e7e048a0b7eada054f4dd79a56bbfa911fbdacf900ac5b567cbb7d9",
            eight_bits
        ),
        whisper(
            "base-q5_1",
            59'707'625,
            "422f1ae452ade6f30a004d7e5c6a43195e4433bc370bf23fac9cc591f01a8898",
            five_bits
        ),
        whisper(
            "small",
            487'601'967,
            "1be3a9b2063867b937e64e2ec7483364a79917e157fa98c5d94b5c1fffea987b",
            "speech recognition (faster-whisper): hears better, at 3.5 times the time"
        ),
        whisper(
            "small-q8_0",
            264'464'607,
            "49c8fb02b65e6049d5fa6c04f81f53b867b5ec9540406812c643f177317f779f",
            eight_bits
        ),
        whisper(
            "small-q5_1",
            190'085'487,
            "ae85e4a935d7a567bd102fe55afc16bb595bdb618e11b2fc7591bc08120411bb",
            five_bits
        ),
        whisper(
            "medium",
            1'533'763'059,
            "6c14d5adee5f86394037b4e4e8b59f1673b6cee10e3cf0b11bbdbee79c156208",
            "speech recognition (faster-whisper): many cores, or a GPU"
        ),
        whisper(
            "medium-q8_0",
            823'369'779,
            "42a1ffcbe4167d224232443396968db4d02d4e8e87e213d3ee2e03095dea6502",
            eight_bits
        ),
        whisper(
            "medium-q5_0",
            539'212'467,
            "19fea4b380c3a618ec4723c3eef2eb785ffba0d0538cf43f8f235e7b3b34220f",
            five_bits
        ),
        whisper(
            "large-v3",
            3'095'033'483,
            "64d182b440b98d5203c4f9bd541544d84c605196c4f7b845dfa11fb23594d1e2",
            "speech recognition (faster-whisper): the best, on a GPU"
        ),
        whisper(
            "large-v3-q5_0",
            1'081'140'203,
            "d75795ecff3f83b5faa89d1900604ad8c780abd5739fae406de19f23ecd98ad1",
            five_bits
        ),
        whisper(
            "large-v3-turbo",
            1'624'555'275,
            "1fc70f774d38eb169993ac391eea357ef47c88757ef72ee5943879b7e8e2bc69",
            "speech recognition (faster-whisper): nearly as good and much faster"
        ),
        whisper(
            "large-v3-turbo-q8_0",
            874'188'075,
            "317eb69c11673c9de1e1f0d459b253999804ec71ac4c23c17ecf5fbe24e259a1",
            eight_bits
        ),
        whisper(
            "large-v3-turbo-q5_0",
            574'041'195,
            "394221709cd5ad1f40c46e6031ca61bce88931e6e088c188294c6d5a55ffa7e2",
            five_bits
        ),
    };
    return all;
}

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
    // Hashing gigabytes takes seconds: not for what cannot be right.
    if (fs::file_size(path, error) != model.size) return State::damaged;
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
       oavc models ollama …

list   the models that oavc can use, and which are here
pull   fetch one, check it, and put it where `oavc serve` looks for it
ollama the models of an Ollama server; see `oavc models ollama --help`

  --from URL|FILE   take it from there instead of from its maintainers (http, https or a file)

They lie in $OAVC_DATA_DIR/models, else $XDG_DATA_HOME/oavc/models, else
~/.local/share/oavc/models. An interrupted download is resumed by the same command.

  oavc models pull base
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
        fmt::print("{:<21}{:>9}  {:<24}{}\n", model.name, megabytes(model.size), shown, model.what);
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

std::span<const Model> known_models() { return models(); }

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
        Download{
            model, std::string{from.empty() ? std::string_view{model.url} : from}, part, progress}
            .run();
    }

    const std::string found = sha256_of(part_path);
    if (found != model.sha256) {
        part.remove();
        throw PullError{fmt::format(
            "what {} holds is not {}; it was thrown away\n  expected sha256 {}\n  found    sha256 "
            "{}",
            from.empty() ? std::string_view{model.url} : from,
            model.name,
            model.sha256,
            found
        )};
    }
    part.publish(path);
    return path;
}

int models_command(std::span<const std::string_view> arguments) {
    if (!arguments.empty() && arguments[0] == "ollama") {
        return ollama_models_command(arguments.subspan(1));
    }
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
