#include "services/stt/detail/deepgram_listen.hpp"

#include "services/detail/deepgram.hpp"
#include "services/detail/json_read.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace oavc::services::deepgram {

namespace {

static_assert(std::endian::native == std::endian::little, "samples travel as they lie in memory");

constexpr auto longest_replay = 30s;
/// Whether KeepAlive alone keeps a connection open that never had any audio is not documented.
constexpr auto first_silence = 100ms;
/// Ends of results are rounded; no result is this short.
constexpr auto rounding = 5ms;
constexpr std::uint16_t policy_violation = 1008;  ///< DATA-0000: not the audio that was promised
constexpr unsigned strikes_out = 2;

std::string_view bytes_of(media::Samples samples) noexcept {
    return {reinterpret_cast<const char*>(samples.data()), samples.size_bytes()};  // NOLINT
}

std::int64_t position_of(milliseconds time) noexcept {
    return time.count() * static_cast<std::int64_t>(wideband.hz) / 1000;
}

void append_words(std::string& text, std::string_view more) {
    if (more.empty()) return;
    if (!text.empty()) text += ' ';
    text += more;
}

void read_results(const boost::json::object& from, Message& message) {
    constexpr std::size_t most_words = 1'000;
    message.kind = Message::Kind::results;
    message.begin = json_read::seconds(from, "start");
    message.end = message.begin + json_read::seconds(from, "duration");
    message.is_final = json_read::flag(from, "is_final");
    message.from_finalize = json_read::flag(from, "from_finalize");
    if (const auto* const metadata = json_read::object_in(from, "metadata")) {
        message.request_id = json_read::text(*metadata, "request_id");
    }
    const auto* const channel = json_read::object_in(from, "channel");
    const auto* const list =
        channel == nullptr ? nullptr : json_read::array_in(*channel, "alternatives");
    const auto* const best = list == nullptr || list->empty() ? nullptr : list->front().if_object();
    if (best == nullptr) return;
    message.text = json_read::text(*best, "transcript");
    const auto* const words = json_read::array_in(*best, "words");
    if (words == nullptr) return;
    for (const auto& item : *words) {
        const auto* const word = item.if_object();
        if (word == nullptr) continue;
        if (message.words.size() == most_words) break;
        message.words.push_back(
            {std::string{json_read::text(*word, "word")},
             json_read::seconds(*word, "start"),
             json_read::seconds(*word, "end"),
             std::clamp(json_read::number(*word, "confidence"), 0.0, 1.0)}
        );
    }
}

}  // namespace

std::string listen_url(const DeepgramSttConfig& config, std::string_view language) {
    std::string url = config.endpoint.url;
    add_query(url, "model", config.model);
    add_query(url, "encoding", "linear16");
    add_query(url, "sample_rate", std::to_string(wideband.hz));
    add_query(url, "channels", "1");
    add_query(url, "interim_results", "true");
    const auto silence = config.endpointing.count();
    add_query(url, "endpointing", silence > 0 ? std::to_string(silence) : "false");
    if (config.language.empty()) language = language.substr(0, language.find_first_of("-_"));
    if (!config.language.empty()) language = config.language;
    if (!language.empty()) add_query(url, "language", language);
    if (config.smart_format) add_query(url, "smart_format", "true");
    const bool boosts = !config.model.starts_with("nova-3");  // the older models' way
    for (const auto& term : config.keyterms)
        add_query(url, boosts ? "keywords" : "keyterm", term);
    return url;
}

Result<Message> parse_message(std::string_view json) noexcept {
    const auto object = json_read::object(json);
    if (!object) return make_error_code(ServiceErrc::protocol);
    Message message;
    const auto type = json_read::text(*object, "type");
    if (type == "Results") {
        read_results(*object, message);
    } else if (type == "Error") {
        message.kind = Message::Kind::error;
        message.text = json_read::text(*object, "description");
    }
    return message;
}

Listener::Utterance::Utterance(UtteranceId name)
    : id{name}, audio{samples_in(longest_replay, wideband)} {}

std::string Listener::Utterance::text() const {
    std::string all = settled;
    append_words(all, interim);
    return all;
}

Listener::Listener(milliseconds chunk)
    : chunk_{std::max<std::size_t>(samples_in(chunk, wideband), 1)} {}

void Listener::begin(UtteranceId id) {
    if (!utterances_.empty() && !utterances_.back().ended) cancel(utterances_.back().id);
    if (utterances_.size() >= most_pending) finish(1);
    utterances_.emplace_back(id);
}

void Listener::push(media::Samples audio) {
    if (!utterances_.empty() && !utterances_.back().ended) utterances_.back().audio.append(audio);
}

void Listener::end() {
    if (!utterances_.empty()) utterances_.back().ended = true;
}

void Listener::cancel(UtteranceId id) {
    std::erase_if(events_, [&](const SttEvent& event) { return event.utterance == id; });
    if (utterances_.empty() || utterances_.back().id != id) return;
    auto& latest = utterances_.back();
    latest.cancelled = latest.ended = true;
    // What the server has of it is flushed first, so that nothing of it joins the next one.
    if (open_ && latest.attached && !latest.finalized) return;
    forget(latest);
    utterances_.pop_back();
}

void Listener::attach() {
    std::erase_if(utterances_, [](const Utterance& u) { return u.cancelled; });
    for (auto& utterance : utterances_) {
        utterance.audio.rewind();
        utterance.attached = utterance.heard = false;
        utterance.finalized.reset();
        utterance.interim.clear();
    }
    open_ = true;
    audio_sent_ = false;
    position_ = 0;
}

void Listener::detach() noexcept { open_ = false; }

void Listener::pump(net::WebSocket& socket, TimePoint now) {
    if (!open_) return;
    if (!audio_sent_) {
        const std::vector<media::Sample> silence(samples_in(first_silence, wideband));
        if (!socket.send_binary(bytes_of(silence))) return;
        position_ += static_cast<std::int64_t>(silence.size());
        audio_sent_ = true;
        last_sent_ = now;
    }
    for (auto& utterance : utterances_) {
        if (!send(socket, utterance, now)) break;
    }
    std::erase_if(utterances_, [&](const Utterance& u) {
        if (u.cancelled && u.finalized) forget(u);
        return u.cancelled && u.finalized;
    });
    // Silence was heard by nobody: there is nothing to ask.
    while (!utterances_.empty() && utterances_.front().ended && utterances_.front().audio.end() == 0
    )
        finish(1);
    if (now - last_sent_ >= keep_alive_interval) {
        // Text: as binary it would be taken for audio. A full socket needs none.
        static_cast<void>(socket.send_text(R"({"type":"KeepAlive"})"));
        last_sent_ = now;
    }
}

/// True when all of it is sent, so that the next one may follow.
bool Listener::send(net::WebSocket& socket, Utterance& utterance, TimePoint now) {
    if (utterance.finalized) return true;
    if (!utterance.attached) {
        utterance.attached = true;
        utterance.first = position_;
        utterance.offset = position_ - static_cast<std::int64_t>(utterance.audio.begin());
    }
    while (!utterance.cancelled) {
        const auto unsent = utterance.audio.unsent();
        if (unsent.empty() || (unsent.size() < chunk_ && !utterance.ended)) break;
        const auto piece = unsent.first(std::min(chunk_, unsent.size()));
        if (!socket.send_binary(bytes_of(piece))) return false;
        // What was dropped for want of room leaves a gap in the utterance, not on the connection.
        utterance.offset = position_ - static_cast<std::int64_t>(utterance.audio.sent());
        utterance.audio.mark_sent(piece.size());
        position_ += static_cast<std::int64_t>(piece.size());
        last_sent_ = now;
    }
    if (!utterance.ended) return false;
    if (utterance.audio.end() == 0) return true;
    if (!socket.send_text(R"({"type":"Finalize"})")) return false;
    utterance.finalized = now;
    utterance.last = position_;
    return true;
}

Listener::Outcome Listener::on_message(std::string_view json, TimePoint now) {
    auto message = parse_message(json);
    if (!message || message->kind == Message::Kind::error) {
        return ++strikes_ >= strikes_out ? Outcome::hopeless : Outcome::lost;
    }
    if (message->kind == Message::Kind::results) {
        strikes_ = 0;
        if (request_id_.empty()) request_id_ = message->request_id;
        on_results(std::move(*message));
    }
    on_time(now);
    return Outcome::ok;
}

void Listener::on_results(Message message) {
    const auto index = count_to(position_of(std::max(message.end - rounding, milliseconds{0})));
    if (index == 0) return;  // of a cancelled one
    auto& utterance = utterances_[index - 1];
    if (utterance.cancelled) return;
    utterance.heard = true;
    const auto before = utterance.text();
    if (message.is_final) {
        utterance.interim.clear();
        append_words(utterance.settled, message.text);
        const milliseconds base{utterance.offset * 1000 / static_cast<std::int64_t>(wideband.hz)};
        for (auto& word : message.words) {
            word.begin = std::max(word.begin - base, milliseconds{0});
            word.end = std::max(word.end - base, word.begin);
            utterance.words.push_back(std::move(word));
        }
        const auto covered = position_of(message.end) - utterance.offset;
        utterance.audio.settle(static_cast<std::size_t>(std::max<std::int64_t>(covered, 0)));
    } else {
        utterance.interim = std::move(message.text);
    }
    const auto left = position_of(message.end + frame_time) - position_;
    const bool everything = message.is_final && left >= 0 && index == utterances_.size();
    const bool answered = message.is_final && message.from_finalize;
    if (utterance.finalized && (answered || everything)) return finish(index);
    finish(index - 1);  // the server has gone on
    auto& current = utterances_.front();
    auto text = current.text();
    if (text.empty() || text == before) return;
    std::erase_if(events_, [&](const SttEvent& e) {
        return e.kind == SttEvent::Kind::interim && e.utterance == current.id;
    });
    events_.push_back({SttEvent::Kind::interim, current.id, std::move(text)});
}

std::size_t Listener::count_to(std::int64_t position) const noexcept {
    for (std::size_t i = utterances_.size(); i > 0; --i) {
        const auto& utterance = utterances_[i - 1];
        if (!utterance.attached || position < utterance.first) continue;
        return utterance.finalized && position >= utterance.last ? 0 : i;
    }
    return 0;
}

/// Gives the oldest `count` utterances their finals.
void Listener::finish(std::size_t count) {
    for (; count > 0; --count) {
        auto& oldest = utterances_.front();
        if (!oldest.cancelled) {
            SttEvent event{SttEvent::Kind::final, oldest.id, oldest.text()};
            event.words = std::move(oldest.words);
            events_.push_back(std::move(event));
        }
        forget(oldest);
        utterances_.pop_front();
    }
}

void Listener::forget(const Utterance& utterance) noexcept {
    lost_samples_ += utterance.audio.lost();
}

Listener::Outcome Listener::on_closed(std::uint16_t close_code) noexcept {
    return close_code == policy_violation ? Outcome::hopeless : Outcome::lost;
}

void Listener::on_time(TimePoint now) {
    // A server that has said nothing at all about it may be stuck: that is not an empty final.
    while (!utterances_.empty()) {
        const auto& oldest = utterances_.front();
        if (!oldest.finalized || !oldest.heard || now < *oldest.finalized + finalize_limit) return;
        finish(1);
    }
}

TimePoint Listener::next_deadline() const noexcept {
    if (!open_) return TimePoint::max();
    TimePoint next = last_sent_ + keep_alive_interval;
    if (!utterances_.empty() && utterances_.front().finalized && utterances_.front().heard) {
        next = std::min(next, *utterances_.front().finalized + finalize_limit);
    }
    return next;
}

std::optional<SttEvent> Listener::next_event() {
    if (events_.empty()) return std::nullopt;
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

}  // namespace oavc::services::deepgram
