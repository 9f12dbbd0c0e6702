#include "services/stt/detail/vosk_protocol.hpp"

#include "net/json_text.hpp"
#include "services/detail/json_read.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace oavc::services::vosk {

namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little, "samples travel as they lie in memory");

constexpr auto longest_replay = 30s;
/// Kaldi's endpointer needs at most this much silence after speech.
constexpr auto trailing_silence = 2s;
constexpr std::uint16_t normal_closure = 1000;
constexpr std::uint16_t internal_error = 1011;
/// A connection may have been dead when it was taken: the second one in a row is the server's.
constexpr unsigned strikes_out = 2;

std::string_view bytes_of(media::Samples samples) noexcept {
    return {reinterpret_cast<const char*>(samples.data()), samples.size_bytes()};  // NOLINT
}

std::vector<SttWord> words_of(const json::array& list) {
    constexpr std::size_t most_words = 1'000;
    std::vector<SttWord> words;
    for (const auto& item : list) {
        const auto* const word = item.if_object();
        if (word == nullptr) continue;
        if (words.size() == most_words) break;
        words.push_back(
            {std::string{json_read::text(*word, "word")},
             json_read::seconds(*word, "start"),
             json_read::seconds(*word, "end"),
             std::clamp(json_read::number(*word, "conf"), 0.0, 1.0)}
        );
    }
    return words;
}

void append_words(std::string& text, std::string_view more) {
    if (more.empty()) return;
    if (!text.empty()) text += ' ';
    text += more;
}

}  // namespace

std::optional<Finalize> parse_finalize(std::string_view name) noexcept {
    if (name == "eof") return Finalize::eof;
    if (name == "reset") return Finalize::reset;
    if (name == "silence") return Finalize::silence;
    return std::nullopt;
}

std::string config_message(const VoskConfig& config) {
    json::object settings{{"sample_rate", config.sample_rate}, {"num_channels", 1}};
    if (config.words) settings["words"] = true;
    if (config.max_alternatives > 0) settings["max_alternatives"] = config.max_alternatives;
    if (!config.phrase_list.empty()) {
        settings["phrase_list"] = json::array(config.phrase_list.begin(), config.phrase_list.end());
    }
    json::object message;
    message["config"] = std::move(settings);
    return net::json_text(message);
}

Result<Reply> parse_reply(std::string_view text) noexcept {
    const auto message = json_read::object(text);
    if (!message) return make_error_code(ServiceErrc::protocol);
    Reply reply;
    const json::object* result = &*message;
    // With max_alternatives the text is inside, the best first.
    if (message->contains("alternatives")) {
        reply.kind = Reply::Kind::final;
        const auto* const list = json_read::array_in(*message, "alternatives");
        if (list == nullptr) return make_error_code(ServiceErrc::protocol);
        result = list->empty() ? nullptr : list->front().if_object();
        if (result == nullptr) return reply;
    }
    if (result->contains("text")) {
        reply.kind = Reply::Kind::final;
        reply.text = json_read::text(*result, "text");
        if (const auto* const words = json_read::array_in(*result, "result")) {
            reply.words = words_of(*words);
        }
    } else if (result->contains("partial")) {
        reply.kind = Reply::Kind::partial;
        reply.text = json_read::text(*result, "partial");
    }
    return reply;
}

bool Line::take_owed(std::string_view json) noexcept {
    if (owed == 0) return false;
    const auto reply = parse_reply(json);
    if (!reply || reply->kind == Reply::Kind::other) return false;
    --owed;
    return true;
}

Utterance::Utterance(UtteranceId id, const VoskConfig& config, const std::string& first_message)
    : id_{id},
      first_message_{first_message},
      rate_{static_cast<std::uint32_t>(config.sample_rate)},
      chunk_{std::max<std::size_t>(samples_in(config.chunk, rate_), 1)},
      finalize_{parse_finalize(config.finalize).value_or(Finalize::eof)},
      audio_{samples_in(longest_replay, rate_)} {}

void Utterance::attach(const Line& line) {
    audio_.rewind();
    first_ = audio_.sent();
    time_base_ = static_cast<std::int64_t>(first_) - static_cast<std::int64_t>(line.samples);
    asked_ = answered_ = audio_messages_ = 0;
    final_asked_ = false;
    partial_.clear();
}

void Utterance::pump(Line& line, net::WebSocket& socket) {
    if (!line.configured) {
        if (!socket.send_text(first_message_)) return;
        line.configured = true;
    }
    for (;;) {
        const auto unsent = audio_.unsent();
        if (unsent.empty() || (unsent.size() < chunk_ && !ended_)) break;
        const auto piece = unsent.first(std::min(chunk_, unsent.size()));
        if (!socket.send_binary(bytes_of(piece))) return;
        audio_.mark_sent(piece.size());
        line.samples += piece.size();
        ++audio_messages_;
        ++asked_;
    }
    if (!ended_ || final_asked_) return;
    if (finalize_ == Finalize::silence) {
        const std::vector<media::Sample> silence(chunk_);
        const auto messages = samples_in(trailing_silence, rate_) / chunk_ + 1;
        while (asked_ - audio_messages_ < messages) {
            if (!socket.send_binary(bytes_of(silence))) return;
            line.samples += silence.size();
            ++asked_;
        }
    } else {
        const auto question = finalize_ == Finalize::eof ? eof_message : reset_message;
        if (!socket.send_text(question)) return;
        ++asked_;
    }
    final_asked_ = true;
}

bool Utterance::release(Line& line, net::WebSocket& socket) {
    switch (finalize_) {
        case Finalize::eof:
            return false;
        case Finalize::reset:
            if (!final_asked_) {
                if (!socket.send_text(reset_message)) return false;
                ++asked_;
            } else if (answered_ >= asked_ && !partial_.empty()) {
                return false;  // it did not understand
            }
            break;
        case Finalize::silence:
            if (!final_asked_ || !partial_.empty()) return false;
            break;
    }
    if (answered_ < asked_) line.owed += asked_ - answered_;
    return true;
}

Utterance::Outcome Utterance::on_message(std::string_view text) {
    auto reply = parse_reply(text);
    if (!reply) return ++strikes_ >= strikes_out ? Outcome::hopeless : Outcome::lost;
    if (reply->kind == Reply::Kind::other) return Outcome::nothing;
    strikes_ = 0;
    ++answered_;
    const auto before = this->text();
    if (reply->kind == Reply::Kind::partial) {
        partial_ = std::move(reply->text);
    } else {
        partial_.clear();
        append_words(settled_, reply->text);
        const milliseconds base{time_base_ * 1000 / static_cast<std::int64_t>(rate_.hz)};
        for (auto& word : reply->words) {
            word.begin = std::max(word.begin + base, milliseconds{0});
            word.end = std::max(word.end + base, word.begin);
            words_.push_back(std::move(word));
        }
        // One answer per message: this one covers exactly the audio up to its own.
        audio_.settle(first_ + std::min(answered_, audio_messages_) * chunk_);
    }
    if (complete(*reply)) return Outcome::final;
    const auto now = this->text();
    return now.empty() || now == before ? Outcome::nothing : Outcome::interim;
}

bool Utterance::complete(const Reply& reply) const noexcept {
    if (!final_asked_) return false;
    const bool final = reply.kind == Reply::Kind::final;
    const bool all = answered_ >= asked_;
    switch (finalize_) {
        case Finalize::eof:
            return all && final;
        case Finalize::reset:  // a server that does not know it answers as to audio
            return all;
        case Finalize::silence:
            return all || (final && answered_ >= audio_messages_ && !reply.text.empty());
    }
    return all;
}

Utterance::Outcome Utterance::on_closed(std::uint16_t close_code) {
    const bool by_the_server = close_code == normal_closure || close_code == internal_error;
    // It closes after the final; one that did not understand the question closes without.
    if (final_asked_ && by_the_server && answered_ > 0) return Outcome::final;
    if (close_code == internal_error && answered_ == 0 && ++strikes_ >= strikes_out) {
        return Outcome::hopeless;
    }
    return Outcome::lost;
}

std::string Utterance::text() const {
    std::string all = settled_;
    append_words(all, partial_);
    return all;
}

}  // namespace oavc::services::vosk
