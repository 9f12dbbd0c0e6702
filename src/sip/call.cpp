#include "sip/call.hpp"

#include "base/random.hpp"
#include "sip/bodies.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

namespace {

using std::chrono::seconds;

constexpr std::size_t max_actions = 64;
constexpr std::size_t max_early = 8;  ///< forks that ring
constexpr std::size_t max_acks = 16;  ///< of forks and re-INVITEs
constexpr int max_challenges = 3;
constexpr milliseconds key_time{160};  ///< said in INFO

/// "1800;refresher=uac" (RFC 4028 §4); 0: none or not readable.
seconds interval_of(std::string_view value) {
    const auto number = parse_number<std::uint32_t>(trim(value.substr(0, value.find(';'))));
    return number ? seconds{std::min<std::uint32_t>(*number, 86'400u * 7)} : seconds{0};
}

std::string refresher_of(std::string_view value) {
    const auto semicolon = std::min(value.find(';'), value.size());
    return find_parameter(value.substr(semicolon), "refresher").value_or("");
}

/// Sends nothing and wants nothing: what a description says while we hold the other side.
void silence(Sdp& sdp) {
    for (auto& stream : sdp.media) {
        if (stream.port != 0) stream.direction = Direction::inactive;
    }
}

}  // namespace

Call::Call(
    TransactionLayer& layer,
    const Settings& settings,
    std::uint64_t number,
    TransactionId id,
    const Message& invite,
    const Target& from,
    TimePoint now
)
    : layer_{layer},
      settings_{settings},
      number_{number},
      outgoing_{false},
      state_{State::offered},
      dialog_{Dialog::of_caller(invite, random_hex(8))},
      peer_{from},
      invite_{invite},
      invite_id_{id},
      peer_allows_{invite.get("Allow")} {
    check_invite(now);
}

Call::Call(
    TransactionLayer& layer, const Settings& settings, std::uint64_t number, Destination destination
)
    : layer_{layer},
      settings_{settings},
      number_{number},
      outgoing_{true},
      state_{State::idle},
      peer_{destination.next_hop},
      destination_{std::move(destination)} {
    dialog_.local_tag = random_hex(8);
    dialog_.call_id = random_hex(16);
    dialog_.local = "<" + destination_.from + ">;tag=" + dialog_.local_tag;
    dialog_.remote = "<" + destination_.uri + ">";
    dialog_.remote_target = destination_.uri;
    dialog_.local_cseq = random_u32() % 10'000;
}

/// Refuses at once what can never be answered.
void Call::check_invite(TimePoint now) {
    const auto refuse_with = [&](int status, std::string name = {}, std::string value = {}) {
        std::vector<HeaderField> headers;
        if (!name.empty()) headers.push_back({std::move(name), std::move(value)});
        reject(status, {}, headers, now);
    };
    if (!invite_.body.empty()) {
        const auto type = media_type(invite_.get("Content-Type"));
        if (type != "application/sdp") return refuse_with(415, "Accept", "application/sdp");
        const auto offer = parse_sdp(invite_.body);
        if (!offer) {
            reject(400, "Bad SDP: " + offer.error().what, {}, now);
            return;
        }
        const auto answer = make_answer(*offer, {}, settings_.media);
        if (!answer) return refuse_with(488);
        media_address_ = answer->audio.remote_address;
    }
    check_session_timer(invite_id_, invite_, now);
}

// --- Requests of theirs.

void Call::on_request(TransactionId id, const Message& request, const Target& from, TimePoint now) {
    peer_ = from;
    const auto& method = request.method;
    if (is_over()) {
        respond(id, reply_to(request, method == "BYE" ? 200 : 481), now);
        return;
    }
    if (!dialog_.take_cseq(request.cseq().number)) {
        return respond(id, reply_to(request, 500, "Request Out Of Order"), now);
    }
    if (request.find("Allow") != nullptr) peer_allows_ = request.get("Allow");
    if (method == "BYE") return on_bye(id, request, now);
    if (method == "INVITE") return on_invite(id, request, now);
    if (method == "UPDATE") return on_update(id, request, now);
    if (method == "INFO") return on_info(id, request, now);
    if (method == "NOTIFY") return on_notify(id, request, now);
    if (method == "OPTIONS") {
        auto response = reply_to(request, 200);
        add_capabilities(response);
        response.add("Accept", "application/sdp");
        return respond(id, std::move(response), now);
    }
    if (method == "PRACK") return refuse(id, request, 481, now);  // we send nothing reliably
    if (method == "REFER") return refuse(id, request, 603, now);  // nobody moves our side
    refuse(id, request, 405, now);
}

void Call::on_invite(TransactionId id, const Message& request, TimePoint now) {
    if (state_ == State::offered) {
        // §14.2: the first one has no final response yet.
        auto response = reply_to(request, 500, "Answer Pending");
        response.add("Retry-After", std::to_string(random_u32() % 11));
        return respond(id, std::move(response), now);
    }
    if (state_ != State::established || invite_pending() || offer_pending()) {
        return refuse(id, request, 491, now);
    }
    if (!check_session_timer(id, request, now)) return;
    if (request.body.empty()) {
        dialog_.refresh_target(request);
        return accept_invite(id, request, write_offer(), true, now);
    }
    if (media_type(request.get("Content-Type")) != "application/sdp") {
        return refuse(id, request, 415, now);
    }
    const auto before = audio_;
    const auto sdp = answer_offer(request.body);
    if (!sdp) {
        const bool unfit =
            sdp.error() == SipErrc::no_common_codec || sdp.error() == SipErrc::no_common_security;
        return refuse(id, request, unfit ? 488 : 400, now);
    }
    dialog_.refresh_target(request);
    accept_invite(id, request, *sdp, false, now);
    if (audio_ != before) push(MediaChanged{*audio_});
}

void Call::on_update(TransactionId id, const Message& request, TimePoint now) {
    if (!request.body.empty()) {
        // RFC 3311 §5.2.
        if (offer_pending() || invite_pending()) return refuse(id, request, 491, now);
        if (state_ != State::established) {
            auto response = reply_to(request, 500, "Answer Pending");
            response.add("Retry-After", std::to_string(random_u32() % 11));
            return respond(id, std::move(response), now);
        }
        if (media_type(request.get("Content-Type")) != "application/sdp") {
            return refuse(id, request, 415, now);
        }
    }
    if (!check_session_timer(id, request, now)) return;
    const auto before = audio_;
    std::string description;
    if (!request.body.empty()) {
        const auto sdp = answer_offer(request.body);
        if (!sdp) {
            const bool unfit = sdp.error() == SipErrc::no_common_codec;
            return refuse(id, request, unfit ? 488 : 400, now);
        }
        description = *sdp;
    }
    dialog_.refresh_target(request);
    auto response = reply_to(request, 200);
    add_contact(response, peer_);
    add_capabilities(response);
    agree_session_timer(request, response, now);
    if (!description.empty()) response.set_body("application/sdp", std::move(description));
    respond(id, std::move(response), now);
    if (audio_ != before) push(MediaChanged{*audio_});
}

void Call::on_info(TransactionId id, const Message& request, TimePoint now) {
    const auto type = media_type(request.get("Content-Type"));
    const bool keys = type == "application/dtmf-relay" || type == "application/dtmf";
    if (!request.body.empty() && !keys) return refuse(id, request, 415, now);
    respond(id, reply_to(request, 200), now);
    if (const auto digit = parse_info_digit(type, request.body)) push(Digit{*digit});
}

void Call::on_notify(TransactionId id, const Message& request, TimePoint now) {
    if (media_type(request.get("Event")) != "refer") return refuse(id, request, 489, now);
    if (!transferring_) return refuse(id, request, 481, now);
    respond(id, reply_to(request, 200), now);
    if (const int status = sipfrag_status(request.body); status != 0) transfer_status_ = status;
    const bool ended = media_type(request.get("Subscription-State")) == "terminated";
    if (transfer_status_ >= 200) {
        finish_transfer(transfer_status_, now);
    } else if (ended) {
        finish_transfer(408, now);
    }
}

void Call::on_bye(TransactionId id, const Message& request, TimePoint now) {
    respond(id, reply_to(request, 200), now);
    answering_.reset();
    if (state_ == State::offered) layer_.respond(invite_id_, reply_to(invite_, 487), now);
    if (transferring_ && transfer_status_ != 0) {
        // It went where we sent it and did not wait to tell.
        transferring_ = false;
        push(TransferDone{200});
        return end(CallEnd::transferred, 0, "hung up after the transfer began");
    }
    const auto reason = request.get("Reason");
    end(CallEnd::remote_hung_up, 0, std::string{reason.substr(0, 100)});
}

void Call::on_cancel(TimePoint now) {
    if (state_ != State::offered) return;  // §9.2: too late
    layer_.respond(invite_id_, reply_to(invite_, 487), now);
    end(CallEnd::cancelled, 0, "the caller gave up");
}

void Call::on_ack(const Message& ack, TimePoint now) {
    if (!answering_ || ack.cseq().number != answering_->cseq) return;
    const bool offered = answering_->offered;
    answering_.reset();
    if (is_over()) {
        if (std::exchange(bye_when_acked_, false)) send_bye(now);
        return;
    }
    if (!offered) return;
    const auto before = audio_;
    if (!take_answer(ack.body)) {
        send_bye(now);
        return end(CallEnd::lost, 0, "no usable answer in the ACK");
    }
    if (audio_ != before) push(MediaChanged{*audio_});
}

// --- Responses to ours.

void Call::on_response(
    TransactionId id, const Message& response, const Target& from, TimePoint now
) {
    peer_ = from;
    const auto found = pending_.find(id.value);
    const auto cseq = response.cseq();
    const bool success = response.status >= 200 && response.status < 300;
    if (found == pending_.end()) {
        if (cseq.method != "INVITE" || !success) return;
        const auto key = response.to().tag + "|" + std::to_string(cseq.number);
        if (const auto ack = acks_.find(key); ack != acks_.end()) {
            layer_.send(ack->second);
        } else if (outgoing_ && cseq.number == invite_.cseq().number) {
            // Another fork answered too (§13.2.2.4): thanks, but no.
            auto other = Dialog::of_callee(invite_, response);
            acknowledge(other, invite_, now);
            auto bye = other.request("BYE");
            send(Kind::stray_bye, std::move(bye), other.next_hop(peer_), 0, now);
        }
        return;
    }
    if (found->second.kind == Kind::invite) {
        return on_invite_response(id, found->second, response, now);
    }
    if (response.status < 200) return;
    auto pending = std::move(found->second);
    pending_.erase(found);
    if (pending.kind == Kind::reinvite ||
        (pending.kind == Kind::refresh && pending.message.method == "INVITE")) {
        return on_reinvite_response(std::move(pending), response, now);
    }
    on_other_response(std::move(pending), response, now);
}

void Call::on_invite_response(
    TransactionId id, Pending& pending, const Message& response, TimePoint now
) {
    if (response.status < 200) return on_provisional(response, now);
    const auto mine = std::move(pending);
    pending_.erase(id.value);
    if (response.status < 300) return on_call_accepted(response, now);
    if (!is_over() && try_again(mine, response, now)) return;
    end(CallEnd::refused, response.status, response.reason.substr(0, 100));
}

void Call::on_provisional(const Message& response, TimePoint now) {
    if (std::exchange(cancelling_, false)) cancel_invite(now);
    if (is_over() || response.status == 100) return;
    const auto tag = response.to().tag;
    if (!tag.empty()) {
        auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& e) {
            return e.dialog.remote_tag == tag;
        });
        if (early == early_.end() && early_.size() < max_early) {
            early_.push_back({Dialog::of_callee(invite_, response), 0});
            early = std::prev(early_.end());
        }
        const auto rseq = parse_number<std::uint32_t>(response.get("RSeq"));
        if (early != early_.end() && rseq && response.lists("Require", "100rel")) {
            // RFC 3262 §4: in order, each once.
            if (early->rseq != 0 && *rseq != early->rseq + 1) return;
            early->rseq = *rseq;
            early->dialog.refresh_target(response);
            auto prack = early->dialog.request("PRACK");
            prack.add(
                "RAck",
                std::to_string(*rseq) + " " + std::to_string(invite_.cseq().number) + " INVITE"
            );
            send(Kind::prack, std::move(prack), early->dialog.next_hop(peer_), 0, now);
            if (our_offer_ && media_type(response.get("Content-Type")) == "application/sdp") {
                take_answer(response.body);
            }
        }
    }
    push(Ringing{response.status});
}

void Call::on_call_accepted(const Message& response, TimePoint now) {
    const auto tag = response.to().tag;
    const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& e) {
        return e.dialog.remote_tag == tag;
    });
    const auto fresh = Dialog::of_callee(invite_, response);
    if (early != early_.end()) {
        dialog_ = early->dialog;
        dialog_.routes = fresh.routes;  // §13.2.2.4: the 2xx's count
        dialog_.remote_target = fresh.remote_target;
    } else {
        dialog_ = fresh;
    }
    early_.clear();
    if (response.find("Allow") != nullptr) peer_allows_ = response.get("Allow");
    acknowledge(dialog_, invite_, now);
    if (is_over()) return send_bye(now);  // it overtook our CANCEL
    state_ = State::established;
    if (our_offer_ && (media_type(response.get("Content-Type")) != "application/sdp" ||
                       !take_answer(response.body))) {
        send_bye(now);
        return end(CallEnd::lost, 0, "no usable answer to our offer");
    }
    take_session_timer(response, now);
    push(Answered{*audio_});
}

void Call::on_reinvite_response(Pending pending, const Message& response, TimePoint now) {
    const bool refresh = pending.kind == Kind::refresh;
    if (response.status < 300) {
        dialog_.refresh_target(response);
        acknowledge(dialog_, pending.message, now);
        if (is_over()) return;
        const auto before = audio_;
        if (!take_answer(response.body)) {
            send_bye(now);
            return end(CallEnd::lost, 0, "no usable answer to our offer");
        }
        take_session_timer(response, now);
        if (!refresh) holding_ = want_hold_;
        if (audio_ != before) push(MediaChanged{*audio_});
        if (std::exchange(hold_waits_, false)) push(HoldDone{200});
        return;
    }
    our_offer_.reset();
    if (is_over() || try_again(pending, response, now)) return;
    if (response.status == 491) {
        // §14.1: who made the Call-ID waits longer.
        const auto steps = outgoing_ ? 210 + random_u32() % 191 : random_u32() % 201;
        glare_retry_ = now + milliseconds{10 * steps};
        glare_kind_ = pending.kind;
        return;
    }
    if (response.status == 408 || response.status == 481)
        return dialog_failed(response.status, now);
    if (refresh) timer_.due = now + timer_.interval / 4;
    if (std::exchange(hold_waits_, false)) push(HoldDone{response.status});
}

void Call::on_other_response(Pending pending, const Message& response, TimePoint now) {
    const int status = response.status;
    if (try_again(pending, response, now)) return;
    switch (pending.kind) {
        case Kind::refer:
            if (is_over() || !transferring_) return;
            if (status >= 300) return finish_transfer(status, now);
            if (transfer_status_ == 0) transfer_status_ = 100;
            return;
        case Kind::info:
            if (!is_over()) push(InfoDone{status < 300 ? 200 : status});
            return;
        case Kind::refresh:
        case Kind::update:
            if (is_over()) return;
            if (status < 300) {
                dialog_.refresh_target(response);
                take_session_timer(response, now);
            } else if (status == 408 || status == 481) {
                dialog_failed(status, now);
            } else {
                timer_.due = now + timer_.interval / 4;
            }
            return;
        case Kind::bye:
        case Kind::stray_bye:
        case Kind::prack:
        case Kind::invite:
        case Kind::reinvite:
            return;
    }
}

void Call::on_failed(TransactionId id, bool timeout, TimePoint now) {
    const auto found = pending_.find(id.value);
    if (found == pending_.end()) return;
    const auto pending = std::move(found->second);
    pending_.erase(found);
    switch (pending.kind) {
        case Kind::invite:
            // The next hop is silent, which no callee is to blame for.
            return end(CallEnd::refused, 503, timeout ? "no response" : "cannot send");
        case Kind::reinvite:
        case Kind::refresh:
        case Kind::update:
            our_offer_.reset();
            if (!is_over()) dialog_failed(408, now);
            return;
        case Kind::refer:
            if (!is_over() && transferring_) finish_transfer(408, now);
            return;
        case Kind::info:
            if (!is_over()) push(InfoDone{408});
            return;
        case Kind::bye:
        case Kind::stray_bye:
        case Kind::prack:
            return;
    }
}

/// Answers a challenge, or asks for a longer session. True: the request is under way again.
bool Call::try_again(const Pending& pending, const Message& response, TimePoint now) {
    const int status = response.status;
    auto message = pending.message;
    if (status == 422 && (pending.kind == Kind::invite || pending.kind == Kind::refresh)) {
        const auto least = interval_of(response.get("Min-SE"));
        if (least <= interval_of(message.get("Session-Expires")) || pending.challenges > 0)
            return false;
        message.set("Session-Expires", std::to_string(least.count()));
        message.set("Min-SE", std::to_string(least.count()));
    } else if (status == 401 || status == 407) {
        if (settings_.credentials.username.empty() || pending.challenges >= max_challenges) {
            return false;
        }
        std::vector<std::string> values;
        for (const auto& field : response.headers) {
            if (equals_ignoring_case(
                    field.name, status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate"
                )) {
                values.push_back(field.value);
            }
        }
        auto challenge = best_challenge(values);
        // The same nonce again, and not stale: the password is wrong.
        const bool refused = challenge && challenge_ && pending.challenges > 0 && !challenge->stale;
        if (!challenge || refused) return false;
        challenge_ = std::move(challenge);
        challenge_count_ = 0;
        auth_header_ = status == 401 ? "Authorization" : "Proxy-Authorization";
    } else {
        return false;
    }
    message.set("CSeq", std::to_string(++dialog_.local_cseq).append(" ").append(message.method));
    if (pending.kind == Kind::invite) {
        invite_ = message;
        early_.clear();
    }
    if (message.method == "INVITE" && !our_offer_) {
        // The offer stands: it was only asked again.
        if (auto offer = parse_sdp(message.body)) our_offer_ = std::move(*offer);
    }
    send(pending.kind, std::move(message), pending.to, pending.challenges + 1, now);
    return true;
}

/// §12.2.1.2: a request within the dialog says that it is gone.
void Call::dialog_failed(int status, TimePoint now) {
    if (status == 408) send_bye(now);
    end(CallEnd::lost, 0, status == 481 ? "the other side forgot the call" : "no answer");
}

// --- Time.

void Call::on_time(TimePoint now) {
    if (answering_ && now >= answering_->deadline) {
        // §13.3.1.4: no ACK.
        answering_.reset();
        send_bye(now);
        bye_when_acked_ = false;
        end(CallEnd::lost, 0, "no ACK came");
    } else if (answering_ && now >= answering_->repeat) {
        layer_.respond(answering_->id, answering_->response, now);
        answering_->interval = std::min(answering_->interval * 2, layer_.settings().t2);
        answering_->repeat = now + answering_->interval;
    }
    if (is_over()) return;
    if (transfer_deadline_ && now >= *transfer_deadline_) finish_transfer(408, now);
    if (glare_retry_ && now >= *glare_retry_) {
        glare_retry_.reset();
        if (!invite_pending() && !answering_) send_invite(glare_kind_, now);
    }
    if (timer_.due && now >= *timer_.due) {
        timer_.due.reset();
        if (!timer_.ours) {
            send_bye(now);
            return end(CallEnd::lost, 0, "the session was not refreshed");
        }
        send_invite(Kind::refresh, now);
    }
}

std::optional<TimePoint> Call::next_deadline() const {
    std::optional<TimePoint> next;
    const auto consider = [&](const std::optional<TimePoint>& at) {
        if (at && (!next || *at < *next)) next = at;
    };
    if (answering_) {
        consider(answering_->repeat);
        consider(answering_->deadline);
    }
    if (is_over()) return next;
    consider(transfer_deadline_);
    consider(glare_retry_);
    consider(timer_.due);
    return next;
}

// --- Wishes.

bool Call::answer(const LocalMedia& local, TimePoint now) {
    if (state_ != State::offered) return false;
    local_ = local;
    state_ = State::established;
    if (invite_.body.empty()) {
        accept_invite(invite_id_, invite_, write_offer(), true, now);
        audio_ = assumed_audio(AudioCodec::pcmu);
    } else {
        const auto sdp = answer_offer(invite_.body);
        if (!sdp) {
            state_ = State::offered;
            reject(488, {}, {}, now);
            return false;
        }
        accept_invite(invite_id_, invite_, *sdp, false, now);
    }
    push(Answered{*audio_});
    return true;
}

bool Call::reject(
    int status, std::string_view reason, const std::vector<HeaderField>& headers, TimePoint now
) {
    if (state_ != State::offered) return false;
    auto response = reply_to(invite_, status, reason);
    for (const auto& field : headers)
        response.headers.push_back(field);
    respond(invite_id_, std::move(response), now);
    end(CallEnd::refused, status, std::string{reason});
    return true;
}

bool Call::start(const LocalMedia& local, TimePoint now) {
    if (state_ != State::idle) return false;
    local_ = local;
    state_ = State::calling;
    send_invite(Kind::invite, now);
    return true;
}

void Call::hang_up(TimePoint now) {
    switch (state_) {
        case State::offered:
            respond(invite_id_, reply_to(invite_, 480), now);
            break;
        case State::calling:
            cancel_invite(now);
            break;
        case State::established:
            if (answering_) {
                bye_when_acked_ = true;  // §15: not before the ACK
            } else {
                send_bye(now);
            }
            break;
        case State::idle:
        case State::over:
            break;
    }
    end(CallEnd::local_hung_up, 0, {});
}

void Call::cancel_invite(TimePoint now) {
    const auto invite = std::find_if(pending_.begin(), pending_.end(), [](const auto& one) {
        return one.second.kind == Kind::invite;
    });
    if (invite == pending_.end() || cancelled_) return;
    cancelled_ = bool{layer_.cancel(TransactionId{invite->first}, now)};
    cancelling_ = !cancelled_;  // §9.1: once a provisional response has come
}

bool Call::hold(bool held, TimePoint now) {
    if (state_ != State::established || answering_ || invite_pending() || glare_retry_ ||
        hold_waits_) {
        return false;
    }
    if (held == holding_) {
        push(HoldDone{200});
        return true;
    }
    want_hold_ = held;
    hold_waits_ = true;
    send_invite(Kind::reinvite, now);
    return true;
}

bool Call::transfer(std::string_view uri, std::string_view replaces, TimePoint now) {
    if (state_ != State::established || transferring_) return false;
    std::string target{uri};
    if (!replaces.empty()) {
        target += target.find('?') == std::string::npos ? '?' : '&';
        target.append("Replaces=").append(escape_uri_header(replaces));
    }
    transferring_ = true;
    transfer_status_ = 0;
    transfer_deadline_ = now + settings_.transfer_timeout;
    auto refer = dialog_.request("REFER");
    refer.add("Refer-To", "<" + target + ">");
    if (const auto us = parse_name_address(dialog_.local)) {
        refer.add("Referred-By", "<" + us->uri.text + ">");
    }
    add_contact(refer, dialog_.next_hop(peer_));
    send(Kind::refer, std::move(refer), now);
    return true;
}

void Call::finish_transfer(int status, TimePoint now) {
    transferring_ = false;
    transfer_deadline_.reset();
    push(TransferDone{status});
    if (status >= 300) return;
    send_bye(now);
    end(CallEnd::transferred, 0, {});
}

bool Call::send_digit(char digit, TimePoint now) {
    if (state_ != State::established || has_pending(Kind::info)) return false;
    auto info = dialog_.request("INFO");
    info.set_body("application/dtmf-relay", write_info_digit(digit, key_time));
    send(Kind::info, std::move(info), now);
    return true;
}

std::string Call::replaces() const {
    return dialog_.call_id + ";to-tag=" + dialog_.remote_tag + ";from-tag=" + dialog_.local_tag;
}

// --- Messages.

Message Call::reply_to(const Message& request, int status, std::string_view reason) const {
    return make_response(request, status, dialog_.local_tag, reason);
}

void Call::respond(TransactionId id, Message response, TimePoint now) {
    layer_.respond(id, std::move(response), now);
}

void Call::refuse(TransactionId id, const Message& request, int status, TimePoint now) {
    auto response = reply_to(request, status);
    if (status == 405) response.add("Allow", std::string{allowed_methods});
    if (status == 415) {
        response.add(
            "Accept",
            request.method == "INFO" ? "application/dtmf-relay, application/dtmf"
                                     : "application/sdp"
        );
    }
    if (status == 489) response.add("Allow-Events", "refer");
    respond(id, std::move(response), now);
}

void Call::accept_invite(
    TransactionId id, const Message& request, std::string sdp, bool offered, TimePoint now
) {
    auto response = reply_to(request, 200);
    add_contact(response, peer_);
    add_capabilities(response);
    agree_session_timer(request, response, now);
    response.set_body("application/sdp", std::move(sdp));
    const auto t1 = layer_.settings().t1;
    answering_ =
        Answering{id, response, request.cseq().number, offered, t1, now + t1, now + 64 * t1};
    respond(id, std::move(response), now);
}

TransactionId Call::send(Kind kind, Message message, TimePoint now) {
    const auto to = kind == Kind::invite ? destination_.next_hop : dialog_.next_hop(peer_);
    return send(kind, std::move(message), to, 0, now);
}

TransactionId Call::send(
    Kind kind, Message message, const Target& to, int challenges, TimePoint now
) {
    if (challenge_) {
        message.set(
            auth_header_,
            authorize(
                *challenge_,
                settings_.credentials,
                message.method,
                message.uri,
                random_hex(8),
                ++challenge_count_
            )
        );
    }
    if (kind == Kind::invite) invite_ = message;
    const auto id = layer_.request(message, to, number_, now);
    if (kind == Kind::invite) invite_id_ = id;
    pending_.emplace(id.value, Pending{kind, std::move(message), to, challenges});
    return id;
}

/// The first INVITE, a re-INVITE, or what refreshes the session: UPDATE where they take it.
void Call::send_invite(Kind kind, TimePoint now) {
    const bool can_update = peer_allows_.find("UPDATE") != std::string::npos;
    const bool update = kind == Kind::refresh && can_update;
    if (!update && (invite_pending() || answering_ || offer_pending())) {
        if (kind == Kind::refresh) timer_.due = now + milliseconds{1000};
        return;
    }
    auto message = dialog_.request(update ? "UPDATE" : "INVITE");
    add_contact(message, kind == Kind::invite ? destination_.next_hop : dialog_.next_hop(peer_));
    message.add("Allow", std::string{allowed_methods});
    message.add("Supported", kind == Kind::invite ? "timer, 100rel" : "timer");
    const auto expires = kind == Kind::invite ? settings_.session_expires : timer_.interval;
    if (expires.count() > 0) {
        const bool ours = kind == Kind::invite || timer_.ours;
        message.add(
            "Session-Expires",
            std::to_string(expires.count()) + (kind == Kind::invite ? ""
                                               : ours               ? ";refresher=uac"
                                                                    : ";refresher=uas")
        );
        message.add("Min-SE", std::to_string(settings_.min_session_expires.count()));
    }
    if (!update) message.set_body("application/sdp", write_offer());
    send(kind, std::move(message), now);
}

/// The ACK of a 2xx (§13.2.2.4), kept for its repetitions.
void Call::acknowledge(Dialog& dialog, const Message& invite, TimePoint) {
    const auto number = invite.cseq().number;
    auto ack = dialog.request("ACK", number);
    for (const std::string_view name : {"Authorization", "Proxy-Authorization"}) {
        if (const auto* value = invite.find(name)) ack.add(std::string{name}, *value);
    }
    auto sent = layer_.send_ack(std::move(ack), dialog.next_hop(peer_));
    if (acks_.size() >= max_acks) acks_.erase(acks_.begin());
    acks_[dialog.remote_tag + "|" + std::to_string(number)] = std::move(sent);
}

void Call::send_bye(TimePoint now) { send(Kind::bye, dialog_.request("BYE"), now); }

void Call::add_capabilities(Message& message) const {
    message.add("Allow", std::string{allowed_methods});
    message.add("Supported", "timer");
}

void Call::add_contact(Message& message, const Target& to) const {
    std::string contact{to.protocol == Protocol::tls ? "<sips:" : "<sip:"};
    if (!settings_.contact_user.empty()) contact.append(settings_.contact_user).append("@");
    contact += layer_.sent_by(to);
    if (to.protocol == Protocol::tcp) contact += ";transport=tcp";
    message.set("Contact", contact + ">");
}

bool Call::has_pending(Kind kind) const {
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& one) {
        return one.second.kind == kind;
    });
}

bool Call::finished() const noexcept { return is_over() && pending_.empty() && !answering_; }

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

std::string Call::write_offer() {
    const bool held = hold_waits_ ? want_hold_ : holding_;
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

// --- The end.

void Call::end(CallEnd how, int status, std::string detail) {
    if (is_over()) return;
    state_ = State::over;
    transferring_ = false;
    push(Over{how, status, std::move(detail)});
}

void Call::push(Action action) {
    // A flood of digits is cut; how the call goes on is always told.
    if (actions_.size() >= max_actions && std::holds_alternative<Digit>(action)) return;
    actions_.push_back(std::move(action));
}

std::optional<Call::Action> Call::next_action() {
    if (actions_.empty()) return std::nullopt;
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

}  // namespace oavc::sip
