#include "sip/call.hpp"

#include "base/random.hpp"
#include "sip/bodies.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::size_t max_actions = 64;
constexpr milliseconds key_time{160};  ///< said in INFO

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
      secure_{from.protocol == Protocol::tls && Dialog::wants_sips(invite)},
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
      secure_{is_sips(destination.uri)},
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
        return accept_invite(id, request, write_offer(holding_), true, now);
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
    if (offered) {
        const auto before = audio_;
        if (!take_answer(ack.body)) {
            send_bye(now);
            return end(CallEnd::lost, 0, "no usable answer in the ACK");
        }
        if (audio_ != before) push(MediaChanged{*audio_});
    }
    send_due_reinvite(now);
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
    send_due_reinvite(now);
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
    if (reinvite_due_ && !exchange_pending()) consider(reinvite_due_->at);
    consider(timer_.due);
    return next;
}

// --- Wishes.

bool Call::answer(const LocalMedia& local, TimePoint now) {
    if (state_ != State::offered) return false;
    local_ = local;
    state_ = State::established;
    if (invite_.body.empty()) {
        accept_invite(invite_id_, invite_, write_offer(false), true, now);
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
    if (state_ != State::established || hold_waits_) return false;
    if (held == holding_) {
        push(HoldDone{200});
        return true;
    }
    want_hold_ = held;
    hold_waits_ = true;
    // It refreshes the session too, if that was put off; but no sooner.
    reinvite_due_ = DueReinvite{Kind::reinvite, reinvite_due_ ? reinvite_due_->at : now};
    send_due_reinvite(now);
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
