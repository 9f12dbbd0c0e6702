#include "services/tts/cached_tts.hpp"

#include "observability/privacy.hpp"
#include "services/errors.hpp"

#include <string>
#include <utility>

namespace oavc::services {

namespace {

/// A sentence on its way from the voice to the call, of which a copy stays. Shared by the reply and
/// by the coroutine that waits.
struct Recording {
    std::unique_ptr<TtsReply> reply;  ///< null: the call wants no more of it
    std::shared_ptr<SentenceCache> cache;
    std::string key;
    TtsChunk audio{};
    bool wanted{true};

    void take(const TtsChunk& chunk) {
        if (!wanted) return;
        // One sentence has one rate: a voice that changes it in mid-sentence was another's
        // fallback.
        if (audio.samples.empty()) audio.rate = chunk.rate;
        wanted = chunk.rate == audio.rate && audio.samples.size() + chunk.samples.size() <=
                                                 samples_in(CachedTts::longest, audio.rate);
        if (wanted) {
            audio.samples.insert(audio.samples.end(), chunk.samples.begin(), chunk.samples.end());
        } else {
            audio = {};
        }
    }

    void complete() {
        const auto by = reply->served();
        const bool by_first = !by.failed_over && !by.hedged;
        if (by_first && wanted && !audio.samples.empty())
            cache->put(std::move(key), std::move(audio));
        wanted = false;
    }
};

class RecordedReply final : public TtsReply {
public:
    explicit RecordedReply(std::shared_ptr<Recording> recording)
        : recording_{std::move(recording)} {}
    ~RecordedReply() override { recording_->reply.reset(); }

    asio::awaitable<Result<TtsChunk>> next() override { return next(recording_); }
    Served served() const override { return recording_->reply->served(); }

private:
    static asio::awaitable<Result<TtsChunk>> next(std::shared_ptr<Recording> recording) {
        auto asking = recording->reply->next();
        auto chunk = co_await std::move(asking);
        if (recording->reply == nullptr) co_return chunk;
        if (chunk) {
            recording->take(*chunk);
        } else if (chunk.error() == ServiceErrc::end_of_stream) {
            recording->complete();
        }
        co_return chunk;
    }

    const std::shared_ptr<Recording> recording_;
};

class CachedSession final : public TtsSession {
public:
    CachedSession(
        std::unique_ptr<TtsSession> session,
        std::shared_ptr<SentenceCache> cache,
        TtsOptions options
    )
        : session_{std::move(session)}, cache_{std::move(cache)}, options_{std::move(options)} {}

    std::unique_ptr<TtsReply> speak(std::string text) override {
        const bool personal = !privacy::mask(text, privacy::Kinds::all()).found.none();
        auto key = key_of(text);
        auto reply = session_->speak(std::move(text));
        if (personal) return reply;
        auto recording = std::make_shared<Recording>();
        recording->reply = std::move(reply);
        recording->cache = cache_;
        recording->key = std::move(key);
        return std::make_unique<RecordedReply>(std::move(recording));
    }

    SentenceCache::Audio kept(std::string_view text, std::optional<SampleRate> rate) override {
        return cache_->find(key_of(text), rate);
    }

private:
    std::string key_of(std::string_view text) const {
        return sentence_key(options_.language, options_.voice, text);
    }

    const std::unique_ptr<TtsSession> session_;
    const std::shared_ptr<SentenceCache> cache_;
    const TtsOptions options_;
};

}  // namespace

CachedTts::CachedTts(
    std::unique_ptr<TtsService> voice, std::size_t max_bytes, metrics::Registry* metrics
)
    : voice_{std::move(voice)}, cache_{std::make_shared<SentenceCache>(max_bytes, metrics)} {}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> CachedTts::open(
    async::Shard& shard, TtsOptions options
) {
    auto asked = options;
    auto opening = voice_->open(shard, std::move(asked));
    auto opened = co_await std::move(opening);
    if (!opened) co_return opened.error();
    std::unique_ptr<TtsSession> session =
        std::make_unique<CachedSession>(std::move(*opened), cache_, std::move(options));
    co_return session;
}

}  // namespace oavc::services
