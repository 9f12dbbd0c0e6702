#include "services/llm/scripted_llm.hpp"

#include "services/errors.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace oavc::services {

namespace {

/// Appends `text` word by word, each with the space behind it.
void append_words(std::string_view text, std::vector<LlmEvent>& events) {
    while (!text.empty()) {
        const auto space = text.find(' ');
        const auto next = space == std::string_view::npos
                              ? text.size()
                              : std::min(text.find_first_not_of(' ', space), text.size());
        events.push_back({LlmEvent::Kind::text, std::string{text.substr(0, next)}});
        text.remove_prefix(next);
    }
}

class ScriptedReply final : public LlmReply {
public:
    explicit ScriptedReply(std::vector<LlmEvent> events) : events_{std::move(events)} {}

    asio::awaitable<Result<LlmEvent>> next() override {
        if (next_ == events_.size()) co_return make_error_code(ServiceErrc::end_of_stream);
        co_return std::move(events_[next_++]);
    }

private:
    std::vector<LlmEvent> events_;
    std::size_t next_{0};
};

class ScriptedSession final : public LlmSession {
public:
    ScriptedSession(std::shared_ptr<const Dialogue> dialogue, std::string language)
        : dialogue_{std::move(dialogue)}, language_{std::move(language)} {}

    std::unique_ptr<LlmReply> ask(LlmRequest request) override {
        const ChatMessage* said = nullptr;
        for (const auto& message : request.messages) {
            if (message.role == ChatMessage::Role::user) said = &message;
        }
        const auto match = said != nullptr && said->keys
                               ? dialogue_->match_keys(*said->keys, language_)
                               : dialogue_->match(said ? said->text : "", language_);
        const auto turn = times_asked_[match.rule]++;
        std::vector<LlmEvent> events;
        bool spoken = false;
        for (const auto& action : match.rule->actions) {
            switch (action.kind) {
                case DialogueAction::Kind::say: {
                    if (spoken) events.back().text += ' ';
                    const auto& text = action.texts[turn % action.texts.size()];
                    append_words(fill_in(text, match.captures, action.kind), events);
                    spoken = !events.empty();
                    break;
                }
                case DialogueAction::Kind::transfer:
                    events.push_back(
                        {LlmEvent::Kind::transfer,
                         fill_in(action.texts.front(), match.captures, action.kind)}
                    );
                    break;
                case DialogueAction::Kind::hang_up:
                    events.push_back({LlmEvent::Kind::hang_up, {}});
                    break;
                case DialogueAction::Kind::send_digits:
                    events.push_back({LlmEvent::Kind::send_digits, action.texts.front()});
                    break;
                case DialogueAction::Kind::collect:
                    events.push_back({.kind = LlmEvent::Kind::collect, .keypad = action.keypad});
                    break;
            }
        }
        return std::make_unique<ScriptedReply>(std::move(events));
    }

private:
    std::shared_ptr<const Dialogue> dialogue_;
    std::string language_;
    /// Variants rotate within a call, so that a caller does not hear the same sentence twice
    /// running.
    std::map<const Dialogue::Rule*, std::size_t> times_asked_;
};

}  // namespace

asio::awaitable<Result<std::unique_ptr<LlmSession>>> ScriptedLlm::open(
    async::Shard& /*shard*/, LlmOptions options
) {
    std::unique_ptr<LlmSession> session =
        std::make_unique<ScriptedSession>(dialogue_, std::move(options.language));
    co_return session;
}

}  // namespace oavc::services
