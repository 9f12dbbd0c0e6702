#include "services/failover/failover_llm.hpp"

#include "base/assert.hpp"
#include "base/sentence.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/reply_race.hpp"

#include <algorithm>

namespace oavc::services {

struct LlmKind {
    using Service = LlmService;
    using Session = LlmSession;
    using Reply = LlmReply;
    using Event = LlmEvent;
    using Options = LlmOptions;
    using Request = LlmRequest;

    static std::unique_ptr<LlmReply> ask(LlmSession& session, LlmRequest request) {
        return session.ask(std::move(request));
    }
    static void generalise(LlmOptions&) {}
};

namespace {

/// A reply longer than this is not continued elsewhere from its very beginning.
constexpr std::size_t longest_remembered = 64 * 1024;

bool says_something(std::string_view text) noexcept {
    return text.find_first_not_of(" \t\r\n") != std::string_view::npos;
}

class Reply final : public LlmReply {
public:
    Reply(std::shared_ptr<CallSessions<LlmKind>> call, LlmRequest request)
        : state_{std::make_shared<State>(std::move(call), std::move(request))} {}
    ~Reply() override { state_->race->stop(); }

    asio::awaitable<Result<LlmEvent>> next() override { return next(state_); }
    Served served() const override { return state_->race->served(); }

private:
    struct State {
        State(std::shared_ptr<CallSessions<LlmKind>> call, LlmRequest question)
            : race{std::make_shared<ReplyRace<LlmKind>>(std::move(call))},
              request{std::move(question)},
              said_before{request.said_already} {}

        const std::shared_ptr<ReplyRace<LlmKind>> race;
        LlmRequest request;
        const std::string said_before;
        std::string text;   ///< said so far; of the one who speaks and those before
        bool said{false};   ///< something that can be heard
        bool acted{false};  ///< an action was asked for: nothing of weight follows
    };

    static asio::awaitable<Result<LlmEvent>> next(std::shared_ptr<State> self) {
        auto& race = self->race;
        for (;;) {
            const bool may_be_empty = self->said || self->acted || !self->said_before.empty();
            auto asking = race->speaking()
                              ? ReplyRace<LlmKind>::more(race)
                              : ReplyRace<LlmKind>::first(race, self->request, may_be_empty);
            auto event = co_await std::move(asking);
            if (event) {
                note(*self, *event);
                co_return event;
            }
            if (event.error() == ServiceErrc::cancelled) co_return event;
            if (race->speaking()) {  // end_of_stream
                if (may_be_empty) co_return event;
                race->give_up(make_error_code(ServiceErrc::protocol));
            } else if (race->exhausted()) {
                co_return event;
            }
            if (self->acted) co_return make_error_code(ServiceErrc::end_of_stream);
            if (self->text.empty()) continue;
            // What came after the last whole sentence was not spoken yet: it is void.
            self->text.resize(whole_sentences(self->text));
            self->request.said_already = self->said_before + self->text;
            co_return LlmEvent{LlmEvent::Kind::restart};
        }
    }

    static void note(State& self, const LlmEvent& event) {
        if (event.kind != LlmEvent::Kind::text) {
            self.acted = event.kind != LlmEvent::Kind::restart || self.acted;
            return;
        }
        self.said = self.said || says_something(event.text);
        if (self.text.size() < longest_remembered) self.text += event.text;
    }

    std::shared_ptr<State> state_;
};

class Session final : public LlmSession {
public:
    explicit Session(std::shared_ptr<CallSessions<LlmKind>> call) : call_{std::move(call)} {}
    ~Session() override { call_->close(); }

    std::unique_ptr<LlmReply> ask(LlmRequest request) override {
        return std::make_unique<Reply>(call_, std::move(request));
    }

private:
    std::shared_ptr<CallSessions<LlmKind>> call_;
};

}  // namespace

FailoverLlm::FailoverLlm(
    std::vector<Candidate<LlmService>> candidates, const FailoverConfig& config
)
    : chain_{std::make_unique<Chain<LlmKind>>(Chain<LlmKind>{
          std::move(candidates), config, config.first_token, config.next_token})} {
    OAVC_ASSERT(!chain_->candidates.empty());
}
FailoverLlm::~FailoverLlm() = default;

std::string_view FailoverLlm::name() const noexcept {
    return chain_->candidates.front().service->name();
}

const LlmCapabilities& FailoverLlm::capabilities() const noexcept {
    return chain_->candidates.front().service->capabilities();
}

asio::awaitable<Result<std::unique_ptr<LlmSession>>> FailoverLlm::open(
    async::Shard& shard, LlmOptions options
) {
    auto call = std::make_shared<CallSessions<LlmKind>>(shard, *chain_, std::move(options));
    const auto opened = co_await CallSessions<LlmKind>::open_first(call);
    if (!opened) co_return opened.error();
    std::unique_ptr<LlmSession> session = std::make_unique<Session>(std::move(call));
    co_return session;
}

asio::awaitable<Result<void>> FailoverLlm::probe(async::Shard& shard) {
    return chain_->candidates.front().service->probe(shard);
}

asio::awaitable<Result<void>> FailoverLlm::prepare(async::Shard& shard) {
    error_code failed;
    for (const auto& candidate : chain_->candidates) {
        const auto prepared = co_await candidate.service->prepare(shard);
        if (prepared.has_error() && !failed) failed = prepared.error();
    }
    if (failed) co_return failed;
    co_return Result<void>{};
}

}  // namespace oavc::services
