#include "transports/opensips/ua_session.hpp"

#include "base/random.hpp"
#include "sip/bodies.hpp"
#include "sip/headers.hpp"
#include "sip/text.hpp"
#include "transports/errors.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::transports::opensips {

namespace {

using sip::equals_ignoring_case;

constexpr std::size_t max_requests = 32;  ///< waiting in one call; OpenSIPS allows one at a time
constexpr std::size_t max_actions = 64;
constexpr int most_hold_attempts = 4;
constexpr milliseconds key_duration{160};
constexpr std::string_view keys = "0123456789*#ABCD";
constexpr std::string_view allowed_methods =
    "INVITE, ACK, BYE, CANCEL, INFO, NOTIFY, OPTIONS, UPDATE";

std::string header(const UaEvent& event, std::string_view name) {
    if (!event.headers) return {};
    return sip::Headers{*event.headers}.find(name).value_or("");
}

/// Host of "sip:user@192.0.2.1:5060", for calls whose SDP we have not seen.
std::string host_of(std::string_view uri) {
    const auto parsed = sip::parse_uri(uri);
    return parsed ? parsed->host : std::string{};
}

/// The script may say in extra_params that it reports ACKs (flag a), or that it wants late offers
/// taken even so: an INVITE without SDP is then answered with an offer of ours.
bool wants_late_offer(const UaEvent& event) {
    return event.extra_params && event.extra_params->find("late_offer") != std::string::npos;
}

/// 0 … 2 s in steps of 10 ms: who did not make the Call-ID tries again after that (RFC 3261 §14.1).
milliseconds glare_wait() { return milliseconds{10 * (random_u32() % 201)}; }

/// On hold the caller is sent nothing but our silence (RFC 6337 §5.3).
sip::Direction wanted_direction(bool holding) noexcept {
    return holding ? sip::Direction::sendonly : sip::Direction::sendrecv;
}

}  // namespace

MiCommand reply_to_unknown(const UaEvent& event) {
    if (event.type == UaEventType::terminated) {
        return ua_session_reply(event.key, "INVITE", 487, "Request Terminated");
    }
    return ua_session_reply(event.key, event.method, 481, "Call/Transaction Does Not Exist");
}

UaSession::UaSession(const UaEvent& created, const Settings& settings) : settings_{settings} {
    info_.via = "opensips";
    info_.native_id = created.key;
    if (const auto from = sip::parse_name_address(header(created, "From"));
        from && !from->uri.is_anonymous()) {
        info_.from = from->uri.address();
    }
    if (const auto to = sip::parse_name_address(header(created, "To"))) {
        info_.to = to->uri.user.empty() ? to->uri.host : to->uri.user;
        referred_by_ = to->uri.text;
    }
    if (auto trace = header(created, "traceparent"); !trace.empty()) {
        info_.parameters.emplace("traceparent", std::move(trace));
    }
    if (created.extra_params) info_.parameters["extra_params"] = *created.extra_params;
    if (created.is_blind()) return;  // flags b and h are missing: nothing of the offer is known
    read_offer(created);
    refuse_unfit_offer();
}

UaSession::UaSession(const MiSession& listed, const Settings& settings) : settings_{settings} {
    info_.via = "opensips";
    info_.native_id = listed.key;
    if (const auto from = sip::parse_uri(listed.from_uri); from && !from->is_anonymous()) {
        info_.from = from->address();
    }
    if (const auto to = sip::parse_uri(listed.to_uri)) {
        info_.to = to->user.empty() ? to->host : to->user;
        referred_by_ = to->text;
    }
    caller_address_ = host_of(listed.contact);
}

UaSession::UaSession(OutgoingCall call, const Settings& settings)
    : settings_{settings}, info_{call.info}, referred_by_{call.invite.from}, state_{State::idle} {
    caller_address_ =
        host_of(call.invite.proxy.empty() ? call.invite.request_uri : call.invite.proxy);
    outgoing_ = std::move(call);
}

/// Takes the offer of an INVITE, or the status that refuses it.
void UaSession::read_offer(const UaEvent& event) {
    const auto content_type = sip::media_type(header(event, "Content-Type"));
    const std::string_view body = event.body ? std::string_view{*event.body} : std::string_view{};
    // Without flag h the type is unknown; SDP is told by its first line.
    const bool is_sdp =
        content_type == "application/sdp" || (content_type.empty() && body.starts_with("v="));
    if (body.empty() && wants_late_offer(event)) return;  // answered with an offer of ours
    if (body.empty() || !is_sdp) {
        refusal_ = 415;
        return;
    }
    auto offer = sip::parse_sdp(body);
    if (!offer) {
        refusal_ = 488;
        return;
    }
    if (const auto answer = sip::make_answer(*offer, {}, settings_.media)) {
        caller_address_ = answer->audio.remote_address;
        offer_ = std::move(*offer);
    } else {
        refusal_ = 488;
    }
}

void UaSession::refuse_unfit_offer() {
    if (refusal_ == 0) return;
    end(EndReason::we_hung_up, "refused with " + std::to_string(refusal_));
    if (refusal_ == 415) {
        reply_unsupported_media_type("INVITE");
    } else {
        reply("INVITE", 488, "Not Acceptable Here");
    }
    enqueue(Kind::terminate, ua_session_terminate(key()));
}

void UaSession::on_event(const UaEvent& event, TimePoint now) {
    switch (event.type) {
        case UaEventType::created:
            // The event of a call that was found in the list first: now its offer is known.
            if (state_ == State::offered && !offer_ && !event.is_blind()) {
                read_offer(event);
                refuse_unfit_offer();
            }
            break;
        case UaEventType::terminated:
            on_terminated(event);
            break;
        case UaEventType::updated:
            on_request(event);
            break;
        case UaEventType::early:
            // Early media is not listened to: a ringing tone, or an announcement to people.
            if (state_ == State::ringing && event.method == "INVITE") {
                actions_.push_back(Ringing{});
            }
            break;
        case UaEventType::answered:
        case UaEventType::rejected:
            on_reply_event(event, now);
            break;
    }
}

void UaSession::on_terminated(const UaEvent& event) {
    if (event.method == "CANCEL") {
        if (is_over()) return;  // our own final reply is on its way
        // OpenSIPS sends no 487 by itself. If our 200 overtook the CANCEL the 487 goes nowhere, and
        // the session is freed or hung up all the same.
        end(EndReason::cancelled, "the caller gave up");
        reply("INVITE", 487, "Request Terminated");
        enqueue(Kind::terminate, ua_session_terminate(key()));
        return;
    }
    // BYE: OpenSIPS has answered it and freed the session.
    while (!requests_.empty() && !requests_.back().under_way)
        requests_.pop_back();
    if (is_over()) return;
    const bool transferred = transfer_ == Transfer::accepted;
    if (transfer_ != Transfer::none) finish_transfer(transferred, transferred ? 200 : 487);
    finish_all(487);
    end(transferred ? EndReason::transferred : EndReason::caller_hung_up, "BYE");
}

void UaSession::on_request(const UaEvent& event) {
    const auto& method = event.method;
    if (method == "ACK") return on_ack(event);
    if (is_over()) return;  // the session is being freed, which ends every transaction
    const std::string_view body = event.body ? std::string_view{*event.body} : std::string_view{};
    if (method == "INVITE") {
        on_reoffer(event, body);
    } else if (method == "UPDATE") {
        body.empty() ? reply(method, 200, "OK") : on_reoffer(event, body);
    } else if (method == "INFO") {
        on_info(event);
    } else if (method == "NOTIFY") {
        on_notify(event);
    } else if (method == "OPTIONS") {
        reply(method, 200, "OK");
    } else {
        const std::vector<MiHeader> allow{{"Allow", std::string{allowed_methods}}};
        enqueue(Kind::reply, ua_session_reply(key(), method, 405, "Method Not Allowed", {}, allow));
    }
}

void UaSession::on_reoffer(const UaEvent& event, std::string_view body) {
    const bool ours_is_under_way = hold_wish_ && media_ && media_->has_offered();
    if (state_ == State::offered || !media_ || ours_is_under_way) {
        // Not before the first offer is settled (RFC 3311 §5.2), nor while ours is (RFC 3261
        // §14.2).
        reply(event.method, 491, "Request Pending");
        return;
    }
    if (body.empty()) {
        enqueue(
            Kind::reply, ua_session_reply(key(), event.method, 200, "OK", MiBody{media_->refresh()})
        );
        return;
    }
    const auto content_type = sip::media_type(header(event, "Content-Type"));
    if (!content_type.empty() && content_type != "application/sdp") {
        reply_unsupported_media_type(event.method);
        return;
    }
    const auto before = media_->audio();
    const auto offer = sip::parse_sdp(body);
    auto answer = offer ? media_->answer(*offer) : Result<std::string>{sip::SipErrc::bad_sdp};
    if (!answer) {  // the call goes on as it was
        reply(event.method, 488, "Not Acceptable Here");
        return;
    }
    enqueue(
        Kind::reply, ua_session_reply(key(), event.method, 200, "OK", MiBody{std::move(*answer)})
    );
    report_change(before);
}

/// Unless it was a session refresh.
void UaSession::report_change(const std::optional<sip::NegotiatedAudio>& before) {
    if (media_->audio() != before) actions_.push_back(MediaChanged{*media_->audio()});
}

void UaSession::on_ack(const UaEvent& event) {
    if (!media_ || !media_->has_offered() || hold_wish_) return;
    if (!event.body || event.body->empty() || is_over()) return;
    const auto answer = sip::parse_sdp(*event.body);
    if (!answer) return;
    const auto before = media_->audio();
    if (media_->accept(*answer)) {
        report_change(before);
    } else {
        hang_up();
    }
}

void UaSession::on_info(const UaEvent& event) {
    const std::string_view body = event.body ? std::string_view{*event.body} : std::string_view{};
    const auto type = sip::media_type(header(event, "Content-Type"));
    if (const auto digit = sip::parse_info_digit(type, body);
        digit && actions_.size() < max_actions) {
        actions_.push_back(Digit{*digit});
    }
    reply("INFO", 200, "OK");
}

void UaSession::on_notify(const UaEvent& event) {
    reply("NOTIFY", 200, "OK");
    const auto package = sip::media_type(header(event, "Event"));
    if (transfer_ == Transfer::none || (!package.empty() && package != "refer")) return;
    if (const auto status = event.body ? sip::sipfrag_status(*event.body) : 0; status != 0) {
        transfer_status_ = status;
    }
    const auto state = sip::media_type(header(event, "Subscription-State"));
    if (transfer_status_ >= 200 || state == "terminated") {
        // A subscription that ends without a final status leaves us to guess; the call goes on.
        const bool ok = transfer_status_ >= 200 && transfer_status_ < 300;
        finish_transfer(ok, transfer_status_ >= 200 ? transfer_status_ : 408);
        if (ok) {
            end(EndReason::transferred, "REFER");
            enqueue(Kind::terminate, ua_session_terminate(key()));
        }
    }
}

void UaSession::on_reply_event(const UaEvent& event, TimePoint now) {
    if (event.method == "INVITE" && state_ == State::ringing) return on_call_answered(event);
    const bool rejected = event.type == UaEventType::rejected;
    if (event.method == "REFER" && transfer_ != Transfer::none) {
        if (rejected) {
            finish_transfer(false, event.status);
        } else {
            transfer_ = Transfer::accepted;
        }
    } else if (event.method == "INFO" && key_deadline_) {
        finish_key(!rejected, event.status);
    } else if (event.method == "INVITE" && hold_wish_ && media_->has_offered()) {
        on_hold_answered(event, now);
    }
}

/// The answer, or the refusal, of our initial INVITE.
void UaSession::on_call_answered(const UaEvent& event) {
    ringing_deadline_.reset();
    if (event.type == UaEventType::rejected) {
        // OpenSIPS has freed the session (with uac_auth loaded; without, nobody can).
        fail(
            call_control_errc(event.status),
            std::to_string(event.status) + (event.reason.empty() ? "" : " " + event.reason)
        );
        return;
    }
    const auto answer = sip::parse_sdp(event.body.value_or(""));
    if (answer && media_->accept(*answer)) {
        state_ = State::established;
        actions_.push_back(Answered{*media_->audio()});
        return;
    }
    fail(CallControlErrc::refused, "the answer has nothing for us");
    enqueue(Kind::terminate, ua_session_terminate(key()));
}

/// An outgoing call that was not answered.
void UaSession::fail(error_code why, std::string detail) {
    failure_ = why;
    end(end_reason_of(why, true), std::move(detail));
}

void UaSession::on_hold_answered(const UaEvent& event, TimePoint now) {
    if (event.type == UaEventType::rejected) {
        media_->withdraw();
        // Both sides re-negotiated at once: later, but not at once again.
        if (event.status != 491 || hold_attempts_ >= most_hold_attempts) {
            finish_hold(false, event.status);
        } else {
            hold_retry_at_ = now + glare_wait();
        }
        return;
    }
    const auto before = media_->audio();
    const auto answer = sip::parse_sdp(event.body.value_or(""));
    if (!answer || !media_->accept(*answer)) media_->assume_accepted();
    finish_hold(true, event.status);
    report_change(before);
}

void UaSession::finish_transfer(bool ok, int status) {
    transfer_ = Transfer::none;
    transfer_deadline_.reset();
    transfer_status_ = 0;
    actions_.push_back(TransferDone{ok, status});
}

void UaSession::finish_hold(bool ok, int status) {
    if (ok) holds_ = *hold_wish_;
    hold_wish_.reset();
    media_->withdraw();
    media_->set_direction(wanted_direction(holds_));
    hold_deadline_.reset();
    hold_retry_at_.reset();
    actions_.push_back(HoldDone{ok, status});
}

void UaSession::finish_key(bool ok, int status) {
    key_deadline_.reset();
    actions_.push_back(KeyDone{ok, status});
}

/// The call ends: what is asked for will not be.
void UaSession::finish_all(int status) {
    if (transfer_ != Transfer::none) finish_transfer(false, status);
    if (hold_wish_) finish_hold(false, status);
    if (key_deadline_) finish_key(false, status);
}

std::optional<TimePoint> UaSession::next_deadline() const noexcept {
    std::optional<TimePoint> next;
    for (const auto& deadline :
         {ringing_deadline_, transfer_deadline_, hold_deadline_, hold_retry_at_, key_deadline_}) {
        if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    return next;
}

void UaSession::on_time(TimePoint now) {
    if (ringing_deadline_ && now >= *ringing_deadline_) {
        const bool placed = state_ == State::ringing;
        fail(CallControlErrc::no_answer, "our patience");
        if (placed) enqueue(Kind::terminate, ua_session_terminate(key()));  // CANCEL
    }
    if (transfer_deadline_ && now >= *transfer_deadline_) finish_transfer(false, 408);
    if (key_deadline_ && now >= *key_deadline_) finish_key(false, 408);
    if (hold_retry_at_ && now >= *hold_retry_at_) {
        hold_retry_at_.reset();
        offer_hold(now);
    } else if (hold_deadline_ && now >= *hold_deadline_) {
        finish_hold(false, 408);
    }
}

void UaSession::on_lost(std::string detail) {
    requests_.clear();
    end(EndReason::carrier_lost, std::move(detail));
}

void UaSession::place(const sip::LocalMedia& local, TimePoint now) {
    if (state_ != State::idle) return;
    media_.emplace(local, settings_.media);
    auto invite = outgoing_->invite;
    invite.offer.text = media_->offer();
    ringing_deadline_ = now + outgoing_->patience;
    state_ = State::placing;
    enqueue(Kind::place, ua_session_client_start(invite));
}

void UaSession::answer(const sip::LocalMedia& local) {
    if (state_ != State::offered) return;
    media_.emplace(local, settings_.media);
    std::string description;
    if (offer_) {
        auto answer = media_->answer(*offer_);
        if (!answer) return;  // refused when it came in
        description = std::move(*answer);
    } else if (settings_.media.srtp == sip::SrtpPolicy::required) {
        return reject(488, "Not Acceptable Here");
    } else {
        // Nobody showed us the offer. PCMU is what every caller has; where its audio is to go we
        // learn from where its audio comes.
        description = media_->offer_alone(sip::AudioCodec::pcmu);
    }
    state_ = State::answering;
    enqueue(
        Kind::answer, ua_session_reply(key(), "INVITE", 200, "OK", MiBody{std::move(description)})
    );
}

void UaSession::reject(
    int code, std::string_view reason, std::optional<std::chrono::seconds> retry_after
) {
    if (state_ != State::offered) return;
    std::vector<MiHeader> headers;
    if (retry_after) headers.push_back({"Retry-After", std::to_string(retry_after->count())});
    end(EndReason::we_hung_up, "refused with " + std::to_string(code));
    enqueue(Kind::reply, ua_session_reply(key(), "INVITE", code, reason, {}, headers));
    enqueue(Kind::terminate, ua_session_terminate(key()));
}

void UaSession::hang_up() { give_up(EndReason::we_hung_up, ""); }

void UaSession::give_up(EndReason reason, std::string detail) {
    if (is_over()) return;
    if (state_ == State::offered) {
        reject(480, "Temporarily Unavailable");
        return;
    }
    finish_all(487);
    const bool placed = state_ != State::idle && state_ != State::placing;
    if (outgoing_ && !is_established()) failure_ = CallControlErrc::gone;
    end(reason, std::move(detail));
    // Before OpenSIPS told the key there is nothing to name; on_mi does it then.
    if (placed) enqueue(Kind::terminate, ua_session_terminate(key()));
}

Result<void> UaSession::transfer(std::string_view target, TimePoint now) {
    if (state_ != State::established || transfer_ != Transfer::none) {
        return CallControlErrc::wrong_state;
    }
    const auto uri = sip::complete_target(target, host_of(referred_by_));
    if (!uri) return CallControlErrc::bad_target;
    std::vector<MiHeader> headers{{"Refer-To", '<' + *uri + '>'}};
    if (!referred_by_.empty()) headers.push_back({"Referred-By", '<' + referred_by_ + '>'});
    transfer_ = Transfer::sent;
    transfer_status_ = 0;
    transfer_deadline_ = now + settings_.transfer_timeout;
    enqueue(Kind::refer, ua_session_update(key(), "REFER", {}, headers));
    return {};
}

Result<void> UaSession::hold(bool held, TimePoint now) {
    if (state_ != State::established || !media_ || hold_wish_ || media_->has_offered()) {
        return CallControlErrc::wrong_state;
    }
    hold_wish_ = held;
    hold_attempts_ = 0;
    offer_hold(now);
    return {};
}

void UaSession::offer_hold(TimePoint now) {
    ++hold_attempts_;
    media_->set_direction(wanted_direction(*hold_wish_));
    hold_deadline_ = now + settings_.request_timeout;
    enqueue(Kind::reinvite, ua_session_update(key(), "INVITE", MiBody{media_->offer()}));
}

Result<void> UaSession::press(char key_to_press, TimePoint now) {
    if (keys.find(key_to_press) == std::string_view::npos) return CallControlErrc::bad_target;
    if (state_ != State::established || key_deadline_) return CallControlErrc::wrong_state;
    key_deadline_ = now + settings_.request_timeout;
    MiBody body{sip::write_info_digit(key_to_press, key_duration), "application/dtmf-relay"};
    enqueue(Kind::info, ua_session_update(key(), "INFO", std::move(body)));
    return {};
}

std::optional<UaSession::Action> UaSession::next_action() {
    if (actions_.empty()) return std::nullopt;
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

void UaSession::end(EndReason reason, std::string detail) {
    if (is_over()) return;
    // What has not left yet has no purpose any more, but for replies, which the other side awaits.
    std::erase_if(requests_, [](const Request& request) {
        return !request.under_way && request.kind != Kind::reply;
    });
    state_ = State::over;
    ringing_deadline_.reset();
    transfer_deadline_.reset();
    hold_deadline_.reset();
    hold_retry_at_.reset();
    key_deadline_.reset();
    actions_.push_back(CallOver{{reason, std::move(detail)}});
}

void UaSession::reply(std::string_view method, int code, std::string_view reason) {
    enqueue(Kind::reply, ua_session_reply(key(), method, code, reason));
}

void UaSession::reply_unsupported_media_type(std::string_view method) {
    const std::vector<MiHeader> accept{{"Accept", "application/sdp"}};
    enqueue(
        Kind::reply, ua_session_reply(key(), method, 415, "Unsupported Media Type", {}, accept)
    );
}

void UaSession::enqueue(Kind kind, MiCommand command) {
    // The last two places are for 487 and terminate: a session is always freed.
    const bool must = kind == Kind::terminate || is_over();
    if (requests_.size() >= (must ? max_requests + 2 : max_requests)) return;
    const bool once =
        kind == Kind::place || kind == Kind::refer || kind == Kind::reinvite || kind == Kind::info;
    requests_.push_back({kind, next_token_++, std::move(command), once ? 1 : settings_.attempts});
    pump();
}

void UaSession::pump() {
    if (requests_.empty() || requests_.front().under_way) return;
    auto& request = requests_.front();
    request.under_way = true;
    --request.attempts_left;
    actions_.push_back(SendMi{request.token, request.command});
}

void UaSession::on_mi(std::uint32_t token, const MiOutcome& outcome, TimePoint) {
    if (requests_.empty() || requests_.front().token != token || !requests_.front().under_way)
        return;
    auto& request = requests_.front();
    if (!outcome.response && request.attempts_left > 0) {
        request.under_way = false;
        pump();
        return;
    }
    const auto kind = request.kind;
    requests_.pop_front();
    if (kind == Kind::place && outcome.response && outcome.response->ok) {
        if (!looks_like_key(outcome.response->message)) {
            if (!is_over()) fail(CallControlErrc::unavailable, "OpenSIPS told no key");
        } else {
            info_.native_id = outcome.response->message;
            if (is_over()) {  // it was given up meanwhile
                enqueue(Kind::terminate, ua_session_terminate(key()));
            } else {
                state_ = State::ringing;
                actions_.push_back(Placed{});
            }
        }
    } else if (outcome.response && outcome.response->ok) {
        if (kind == Kind::answer && state_ == State::answering) {
            state_ = State::established;
            actions_.push_back(Answered{*media_->audio()});
        }
        if (kind == Kind::verify && !is_over()) {
            const auto& sessions = outcome.response->sessions;
            const bool ended = !sessions.empty() && sessions[0].state == session_terminated;
            if (ended || state_ == State::answering) {
                end(ended ? EndReason::cancelled : EndReason::protocol_error,
                    "200 was not accepted");
                enqueue(Kind::terminate, ua_session_terminate(key()));
            }
        }
    } else {
        request_failed(kind, outcome.response ? &*outcome.response : nullptr);
    }
    pump();
}

void UaSession::request_failed(Kind kind, const MiResponse* response) {
    if (kind == Kind::place) {
        if (is_over()) return;
        fail(
            CallControlErrc::unavailable,
            response == nullptr ? "OpenSIPS does not answer" : response->message
        );
        return;
    }
    if (is_over()) return;  // what we try then is a courtesy: the session may be gone already
    if (kind == Kind::verify) {
        if (response == nullptr) return;  // no answer tells nothing; the subscription watches
        if (response->code == 404 || response->code == 400) {
            on_lost("OpenSIPS does not know the session any more");
        }
        return;
    }
    if (kind == Kind::refer) {
        if (response == nullptr) return;  // perhaps it was sent: events or the deadline will tell
        finish_transfer(false, response->code);
    }
    if (response != nullptr && kind == Kind::reinvite && hold_wish_) {
        finish_hold(false, response->code);
    }
    if (response != nullptr && kind == Kind::info && key_deadline_) {
        finish_key(false, response->code);
    }
    if (response == nullptr) {
        if (kind != Kind::answer) return;
        end(EndReason::carrier_lost, "OpenSIPS does not answer");
        enqueue(Kind::terminate, ua_session_terminate(key()));
        return;
    }
    // 500 stands for every failure; the list tells whether the session is still there.
    enqueue(Kind::verify, ua_session_list(key()));
}

std::vector<MiCommand> UaSession::take_leftovers() {
    hang_up();
    std::vector<MiCommand> leftovers;
    for (auto& request : requests_) {
        if (request.kind == Kind::answer) {
            // If the 200 got through, a 480 goes nowhere; if it did not, the INVITE needs one.
            leftovers.push_back(ua_session_reply(key(), "INVITE", 480, "Temporarily Unavailable"));
        } else if (request.kind == Kind::terminate || request.kind == Kind::reply) {
            leftovers.push_back(std::move(request.command));
        }
    }
    requests_.clear();
    actions_.clear();
    state_ = State::over;
    return leftovers;
}

}  // namespace oavc::transports::opensips
