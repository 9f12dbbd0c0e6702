// A call's own requests: how they are written and sent, and what their responses mean.
#include "base/random.hpp"
#include "sip/call.hpp"
#include "sip/detail/session_expires.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

using detail::interval_of;

namespace {

constexpr std::size_t max_early = 8;  ///< forks that ring
constexpr std::size_t max_acks = 16;  ///< of forks and re-INVITEs
constexpr int max_challenges = 3;

}  // namespace

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
        on_reinvite_response(std::move(pending), response, now);
    } else {
        on_other_response(std::move(pending), response, now);
    }
    send_due_reinvite(now);
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
        if (audio_ != before) push(MediaChanged{*audio_});
        if (refresh) return;
        holding_ = want_hold_;
        if (std::exchange(hold_waits_, false)) push(HoldDone{200});
        return;
    }
    our_offer_.reset();
    if (is_over() || try_again(pending, response, now)) return;
    if (response.status == 491) {
        // §14.1: who made the Call-ID waits longer.
        const auto steps = outgoing_ ? 210 + random_u32() % 191 : random_u32() % 201;
        // A hold that was asked for meanwhile goes in place of a refresh.
        reinvite_due_ = DueReinvite{
            hold_waits_ ? Kind::reinvite : pending.kind, now + milliseconds{10 * steps}};
        return;
    }
    if (response.status == 408 || response.status == 481)
        return dialog_failed(response.status, now);
    if (refresh) {
        timer_.due = now + timer_.interval / 4;
    } else if (std::exchange(hold_waits_, false)) {
        push(HoldDone{response.status});
    }
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
    if (!update && exchange_pending()) {
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
    if (!update)
        message.set_body(
            "application/sdp", write_offer(kind == Kind::reinvite ? want_hold_ : holding_)
        );
    send(kind, std::move(message), now);
}

void Call::send_due_reinvite(TimePoint now) {
    if (is_over() || !reinvite_due_ || now < reinvite_due_->at || exchange_pending()) return;
    const auto due = *reinvite_due_;
    reinvite_due_.reset();
    send_invite(due.kind, now);
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
    std::string contact{secure_ ? "<sips:" : "<sip:"};
    if (!settings_.contact_user.empty()) contact.append(settings_.contact_user).append("@");
    contact += layer_.sent_by(to);
    if (to.protocol == Protocol::tcp) contact += ";transport=tcp";
    if (to.protocol == Protocol::tls && !secure_) contact += ";transport=tls";
    message.set("Contact", contact + ">");
}

bool Call::has_pending(Kind kind) const {
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& one) {
        return one.second.kind == kind;
    });
}

bool Call::finished() const noexcept { return is_over() && pending_.empty() && !answering_; }

}  // namespace oavc::sip
