// What a call agrees on with the other side: media (RFC 3264) and the session timer (RFC 4028).
#include "sip/call.hpp"
#include "sip/detail/session_expires.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

using detail::interval_of;
using detail::refresher_of;
using std::chrono::seconds;

namespace {

/// Sends nothing and wants nothing: what a description says while we hold the other side.
void silence(Sdp& sdp) {
    for (auto& stream : sdp.media) {
        if (stream.port != 0) stream.direction = Direction::inactive;
    }
}

}  // namespace

// --- Media.

/// Answers an offer and takes what was agreed on; nothing changes when it cannot be answered.
Result<std::string> Call::answer_offer(std::string_view body) {
    const auto offer = parse_sdp(body);
    if (!offer) return offer.error().code;
    auto answer = make_answer(*offer, local_, settings_.media);
    if (!answer) return answer.error();
    if (holding_) {
        silence(answer->sdp);
        answer->audio.direction = Direction::inactive;
    }
    auto text = write_sdp(answer->sdp);
    if (!description_.empty() && text != description_) {
        // RFC 3264 §8: what differs has a higher version.
        answer->sdp.origin.version = ++local_.version;
        text = write_sdp(answer->sdp);
    }
    description_ = text;
    audio_ = answer->audio;
    return text;
}

std::string Call::write_offer(bool held) {
    auto wanted = local_;
    wanted.direction = held ? Direction::inactive : Direction::sendrecv;
    auto preferences = settings_.media;
    // The call is up before the answer to a late offer is known: PCMU fits whatever it says.
    if (state_ == State::established) preferences.codecs = {AudioCodec::pcmu};
    const auto before = parse_sdp(description_);
    auto offer =
        before && audio_ ? make_reoffer(*before, wanted, *audio_) : make_offer(wanted, preferences);
    auto text = write_sdp(offer);
    if (!description_.empty() && text != description_) {
        offer.origin.version = ++local_.version;
        text = write_sdp(offer);
    }
    description_ = text;
    our_offer_ = std::move(offer);
    return text;
}

bool Call::take_answer(std::string_view body) {
    const auto offer = std::exchange(our_offer_, std::nullopt);
    if (!offer) return false;
    const auto answer = parse_sdp(body);
    if (!answer) return false;
    auto audio = accept_answer(*offer, *answer, settings_.media);
    if (!audio) return false;
    audio_ = std::move(*audio);
    return true;
}

// --- Session timer.

/// RFC 4028 §9: too short for us is refused, if they can be told. False: refused.
bool Call::check_session_timer(TransactionId id, const Message& request, TimePoint now) {
    const auto wanted = interval_of(request.get("Session-Expires"));
    if (wanted.count() == 0 || wanted >= settings_.min_session_expires) return true;
    if (!request.lists("Supported", "timer")) return true;
    auto response = reply_to(request, 422);
    response.add("Min-SE", std::to_string(settings_.min_session_expires.count()));
    respond(id, std::move(response), now);
    if (state_ == State::offered) end(CallEnd::refused, 422, {});
    return false;
}

/// As the one who answers: takes their interval, and who refreshes unless they chose.
void Call::agree_session_timer(const Message& request, Message& response, TimePoint now) {
    timer_ = {};
    const auto value = request.get("Session-Expires");
    if (interval_of(value) < settings_.min_session_expires) return;
    timer_.interval = interval_of(value);
    const bool they_can = request.lists("Supported", "timer");
    const auto chosen = refresher_of(value);
    timer_.ours = !they_can || chosen == "uas";
    response.add(
        "Session-Expires",
        std::to_string(timer_.interval.count()) +
            (timer_.ours ? ";refresher=uas" : ";refresher=uac")
    );
    if (!timer_.ours) response.add("Require", "timer");
    arm_session_timer(now);
}

/// As the one who asked.
void Call::take_session_timer(const Message& response, TimePoint now) {
    timer_ = {};
    const auto value = response.get("Session-Expires");
    if (interval_of(value).count() == 0) return;
    timer_.interval = std::max(interval_of(value), settings_.min_session_expires);
    timer_.ours = refresher_of(value) != "uas";
    arm_session_timer(now);
}

void Call::arm_session_timer(TimePoint now) {
    // RFC 4028 §10: refresh at half time; give up a little before the end.
    const auto margin = std::min(seconds{32}, timer_.interval / 3);
    timer_.due = now + (timer_.ours ? timer_.interval / 2 : timer_.interval - margin);
}

}  // namespace oavc::sip
