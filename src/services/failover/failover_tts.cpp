#include "services/failover/failover_tts.hpp"

#include "base/assert.hpp"
#include "base/sentence.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/reply_race.hpp"

namespace oavc::services {

struct TtsKind {
    using Service = TtsService;
    using Session = TtsSession;
    using Reply = TtsReply;
    using Event = TtsChunk;
    using Options = TtsOptions;
    using Request = std::string;

    static std::unique_ptr<TtsReply> ask(TtsSession& session, std::string text) {
        return session.speak(std::move(text));
    }
    static void generalise(TtsOptions& options) { options.voice.clear(); }
};

namespace {

class Reply final : public TtsReply {
public:
    Reply(std::shared_ptr<CallSessions<TtsKind>> call, std::string text)
        : race_{std::make_shared<ReplyRace<TtsKind>>(std::move(call))}, text_{std::move(text)} {}
    ~Reply() override { race_->stop(); }

    asio::awaitable<Result<TtsChunk>> next() override { return next(race_, text_); }
    Served served() const override { return race_->served(); }

private:
    static asio::awaitable<Result<TtsChunk>> next(
        std::shared_ptr<ReplyRace<TtsKind>> race, std::string text
    ) {
        for (;;) {
            auto asking = race->speaking()
                              ? ReplyRace<TtsKind>::more(race)
                              : ReplyRace<TtsKind>::first(race, text, !has_words(text));
            auto chunk = co_await std::move(asking);
            // An error while somebody speaks is the end of the sentence.
            if (chunk || race->speaking() || race->exhausted()) co_return chunk;
            if (chunk.error() == ServiceErrc::cancelled) co_return chunk;
        }
    }

    const std::shared_ptr<ReplyRace<TtsKind>> race_;
    const std::string text_;
};

class Session final : public TtsSession {
public:
    explicit Session(std::shared_ptr<CallSessions<TtsKind>> call) : call_{std::move(call)} {}
    ~Session() override { call_->close(); }

    std::unique_ptr<TtsReply> speak(std::string text) override {
        return std::make_unique<Reply>(call_, std::move(text));
    }

private:
    std::shared_ptr<CallSessions<TtsKind>> call_;
};

}  // namespace

FailoverTts::FailoverTts(
    std::vector<Candidate<TtsService>> candidates, const FailoverConfig& config
)
    : chain_{std::make_unique<Chain<TtsKind>>(Chain<TtsKind>{
          std::move(candidates), config, config.first_audio, config.next_audio})} {
    OAVC_ASSERT(!chain_->candidates.empty());
}
FailoverTts::~FailoverTts() = default;

std::string_view FailoverTts::name() const noexcept {
    return chain_->candidates.front().service->name();
}

const TtsCapabilities& FailoverTts::capabilities() const noexcept {
    return chain_->candidates.front().service->capabilities();
}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> FailoverTts::open(
    async::Shard& shard, TtsOptions options
) {
    auto call = std::make_shared<CallSessions<TtsKind>>(shard, *chain_, std::move(options));
    const auto opened = co_await CallSessions<TtsKind>::open_first(call);
    if (!opened) co_return opened.error();
    std::unique_ptr<TtsSession> session = std::make_unique<Session>(std::move(call));
    co_return session;
}

asio::awaitable<Result<void>> FailoverTts::probe(async::Shard& shard) {
    return chain_->candidates.front().service->probe(shard);
}

}  // namespace oavc::services
