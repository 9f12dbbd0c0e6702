#include "app/models.hpp"

#include "app/options.hpp"
#include "async/shard_pool.hpp"
#include "net/http_server.hpp"
#include "services/stt/whisper/model_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace oavc::app {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string random_content(std::size_t size) {
    std::minstd_rand random{1};
    std::string content(size, '\0');
    for (char& c : content)
        c = static_cast<char>(random());
    return content;
}

std::string sha256(const std::string& content) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest.data());
    std::string text;
    for (const unsigned byte : digest)
        text += fmt::format("{:02x}", byte);
    return text;
}

std::string read(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void write(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << content;
}

/// A server that has one file at /model, and other paths for other moods.
class Hub {
public:
    explicit Hub(std::string content) : content_{std::move(content)} {
        shards_.start();
        for (const char* path :
             {"/model", "/no-ranges", "/in-parts", "/moved", "/loop", "/gone", "/wrong-range"}) {
            server_.handle("GET", path, [this](async::Shard&, net::HttpRequest request) {
                return answer(*this, std::move(request));
            });
        }
        server_.start();
    }
    ~Hub() {
        server_.stop();
        shards_.drain_and_join();
    }

    std::string url(std::string_view path) const {
        return fmt::format("http://127.0.0.1:{}{}", server_.port(), path);
    }
    /// Path and Range header of each request so far.
    std::vector<std::string> log() {
        const std::lock_guard lock{mutex_};
        return log_;
    }

private:
    static asio::awaitable<net::HttpResponse> answer(Hub& hub, net::HttpRequest request) {
        co_return hub.respond(request);
    }

    net::HttpResponse respond(const net::HttpRequest& request) {
        const std::string range{request.header("range")};
        {
            const std::lock_guard lock{mutex_};
            log_.push_back(std::string{request.path()} + (range.empty() ? "" : " " + range));
        }
        net::HttpResponse response;
        const auto path = request.path();
        if (path == "/moved") return redirect("model?token=1");  // relative
        if (path == "/loop") return redirect("/loop");
        if (path == "/gone") {
            response.status = 404;
            response.body = "nothing here";
            return response;
        }
        if (range.empty() || path == "/no-ranges") {
            response.body = content_;
            return response;
        }
        const std::size_t start = std::stoul(range.substr(std::string{"bytes="}.size()));
        if (start >= content_.size()) {
            response.status = 416;
            return response;
        }
        const std::size_t size = path == "/in-parts" ? 40'000 : std::string::npos;
        response.status = 206;
        response.body = content_.substr(start, size);
        response.headers["Content-Range"] = fmt::format(
            "bytes {}-{}/{}",
            path == "/wrong-range" ? start + 1 : start,
            start + response.body.size() - 1,
            content_.size()
        );
        return response;
    }

    static net::HttpResponse redirect(std::string location) {
        net::HttpResponse response;
        response.status = 302;
        response.headers["Location"] = std::move(location);
        return response;
    }

    const std::string content_;
    std::mutex mutex_;
    std::vector<std::string> log_;
    async::ShardPool shards_{1};
    net::HttpServer server_{shards_, {.host = "127.0.0.1"}};
};

class Pull : public ::testing::Test {
protected:
    Pull() {
        directory_ =
            fs::path{::testing::TempDir()} / fmt::format("oavc-models-{}-{}", ::getpid(), ++count_);
    }
    ~Pull() override { fs::remove_all(directory_); }

    fs::path pull(std::string_view from) {
        progress_.clear();
        return pull_model(model_, from, directory_, [this](std::uint64_t done) {
            progress_.push_back(done);
        });
    }
    /// The text of the error that pulling gives.
    std::string failure(std::string_view from) {
        try {
            pull(from);
        } catch (const PullError& error) {
            return error.what();
        }
        return "no error";
    }
    fs::path part() const { return directory_ / "model.bin.part"; }

    static inline int count_ = 0;
    const std::string content_ = random_content(150'000);
    const std::string hash_ = sha256(content_);
    const Model model_{
        "test-model", "model.bin", "http://127.0.0.1:1/model", 150'000, hash_, "a test"};
    fs::path directory_;
    std::vector<std::uint64_t> progress_;
};

TEST_F(Pull, FetchesChecksAndNamesTheFile) {
    Hub hub{content_};
    const fs::path path = pull(hub.url("/model"));
    EXPECT_EQ(path, directory_ / "model.bin");
    EXPECT_EQ(read(path), content_);
    EXPECT_FALSE(fs::exists(part()));
    ASSERT_FALSE(progress_.empty());
    EXPECT_EQ(progress_.back(), content_.size());
    EXPECT_TRUE(std::ranges::is_sorted(progress_));
}

TEST_F(Pull, DoesNotFetchWhatIsThere) {
    write(directory_ / "model.bin", content_);
    EXPECT_EQ(pull("http://127.0.0.1:1/never-asked"), directory_ / "model.bin");
}

TEST_F(Pull, ReplacesADamagedFile) {
    Hub hub{content_};
    write(directory_ / "model.bin", "not a model");
    EXPECT_EQ(read(pull(hub.url("/model"))), content_);
}

TEST_F(Pull, GoesOnWhereAnInterruptedDownloadStopped) {
    Hub hub{content_};
    write(part(), content_.substr(0, 100'000));
    EXPECT_EQ(read(pull(hub.url("/model"))), content_);
    EXPECT_THAT(hub.log(), ElementsAre("/model bytes=100000-"));
    EXPECT_EQ(progress_.front(), 100'000u);
}

TEST_F(Pull, AsksAgainForWhatAnAnswerLeftOut) {
    Hub hub{content_};
    write(part(), content_.substr(0, 100'000));
    EXPECT_EQ(read(pull(hub.url("/in-parts"))), content_);
    EXPECT_THAT(hub.log(), ElementsAre("/in-parts bytes=100000-", "/in-parts bytes=140000-"));
}

TEST_F(Pull, StartsOverWithAServerThatHasNoRanges) {
    Hub hub{content_};
    write(part(), content_.substr(0, 100'000));
    EXPECT_EQ(read(pull(hub.url("/no-ranges"))), content_);
}

TEST_F(Pull, RefusesARangeItDidNotAskFor) {
    Hub hub{content_};
    write(part(), content_.substr(0, 100'000));
    EXPECT_THAT(failure(hub.url("/wrong-range")), HasSubstr("another range"));
    EXPECT_EQ(fs::file_size(part()), 100'000u);
}

TEST_F(Pull, FollowsRedirectsButNotForEver) {
    Hub hub{content_};
    EXPECT_EQ(read(pull(hub.url("/moved"))), content_);
    fs::remove_all(directory_);
    EXPECT_THAT(failure(hub.url("/loop")), HasSubstr("redirected more than"));
}

TEST_F(Pull, ThrowsAwayAnotherFileOfTheSameSize) {
    std::string other = content_;
    other[77] = static_cast<char>(other[77] + 1);
    Hub hub{other};
    const std::string error = failure(hub.url("/model"));
    EXPECT_THAT(error, HasSubstr("is not test-model"));
    EXPECT_THAT(error, HasSubstr(hash_));
    EXPECT_FALSE(fs::exists(part()));
    EXPECT_FALSE(fs::exists(directory_ / "model.bin"));
}

TEST_F(Pull, StopsAtAFileThatIsTooLong) {
    Hub hub{content_ + content_};
    EXPECT_THAT(failure(hub.url("/model")), HasSubstr("longer file"));
    EXPECT_LE(fs::file_size(part()), content_.size());
}

TEST_F(Pull, SaysWhatTheServerAnswered) {
    Hub hub{content_};
    const std::string error = failure(hub.url("/gone"));
    EXPECT_THAT(error, HasSubstr("404"));
    EXPECT_THAT(error, HasSubstr("oavc models pull test-model --from FILE"));
    EXPECT_FALSE(fs::exists(part()));
}

TEST_F(Pull, OfflineSaysWhatToDoAndKeepsWhatIsThere) {
    write(part(), content_.substr(0, 50'000));
    const std::string error = failure("");  // the model's own URL: a port where nobody listens
    EXPECT_THAT(error, HasSubstr("http://127.0.0.1:1/model"));
    EXPECT_THAT(error, HasSubstr("50000 of 150000 bytes are kept"));
    EXPECT_THAT(error, HasSubstr("--from FILE"));
    EXPECT_EQ(fs::file_size(part()), 50'000u);
}

TEST_F(Pull, CopiesAFileAndChecksIt) {
    const fs::path source = directory_ / "elsewhere" / "copy.bin";
    write(source, content_);
    EXPECT_EQ(read(pull(source.string())), content_);
    fs::remove(directory_ / "model.bin");
    EXPECT_EQ(read(pull("file://" + source.string())), content_);
    fs::remove(directory_ / "model.bin");

    write(source, content_.substr(1));
    EXPECT_THAT(failure(source.string()), HasSubstr("is not test-model"));
    write(source, content_ + "x");
    EXPECT_THAT(failure(source.string()), HasSubstr("longer"));
    EXPECT_THAT(failure("/nonexistent/model.bin"), HasSubstr("cannot be opened"));
    EXPECT_FALSE(fs::exists(directory_ / "model.bin"));
}

TEST_F(Pull, TwoAtOnceDoNotWriteTheSameFile) {
    write(part(), "");
    const int descriptor = ::open(part().c_str(), O_RDWR);
    ASSERT_EQ(::flock(descriptor, LOCK_EX), 0);
    EXPECT_THAT(failure("/nonexistent"), HasSubstr("another `oavc models pull`"));
    ::close(descriptor);
}

TEST_F(Pull, AFolderThatCannotBeMadeIsNamed) {
    write(directory_ / "file", "");
    EXPECT_THAT(
        [&] { pull_model(model_, "", directory_ / "file" / "models", [](std::uint64_t) {}); },
        ::testing::ThrowsMessage<PullError>(HasSubstr("OAVC_DATA_DIR"))
    );
}

TEST(ModelsCommand, MisuseIsExplained) {
    const auto run = [](std::vector<std::string_view> arguments) {
        return models_command(arguments);
    };
    EXPECT_THROW(run({"push"}), UsageError);
    EXPECT_THROW(run({"pull"}), UsageError);
    EXPECT_THAT(
        [&] {
            run({"pull", "whispr"});
        },
        ::testing::ThrowsMessage<UsageError>(HasSubstr("known: silero-vad"))
    );
    EXPECT_EQ(run({"list"}), 0);
    EXPECT_EQ(run({"--help"}), 0);
}

TEST(KnownModels, AreNamedOnceWithAWholeHash) {
    std::vector<std::string_view> names;
    for (const Model& model : known_models()) {
        EXPECT_EQ(model.sha256.size(), 64u);
        EXPECT_GT(model.size, 0u);
        EXPECT_TRUE(model.url.starts_with("https://"));
        EXPECT_EQ(std::ranges::count(names, model.name), 0);
        names.push_back(model.name);
    }
}

TEST(KnownModels, HoldWhatTheWhisperErrorTellsPeopleToPull) {
    std::vector<std::string> files;
    for (const Model& model : known_models())
        files.push_back(model.file);
    for (const char* size : {"tiny", "base", "small", "medium", "large", "turbo"}) {
        for (const char* type : {"auto", "float16", "int8"}) {
            EXPECT_THAT(files, ::testing::Contains(services::whisper::model_files(size, type)[0]));
        }
    }
}

}  // namespace
}  // namespace oavc::app
