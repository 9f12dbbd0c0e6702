#include "sip/transaction_layer.hpp"

#include "base/random.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::string_view magic_cookie = "z9hG4bK";  // RFC 3261 §8.1.1.7

/// Where RFC 3261 §17.2.3 finds the transaction of a request; ACK and CANCEL look for INVITE's.
std::string server_key(const Message& request, const Via& via, std::string_view method) {
    std::string key{"s|"};
    key.append(method == "ACK" ? "INVITE" : method).append("|");
    if (via.branch.starts_with(magic_cookie) && via.branch.size() > magic_cookie.size()) {
        key.append(via.branch).append("|").append(via.host).append(":");
        if (via.port) key += std::to_string(*via.port);
        return key;
    }
    // RFC 2543: no usable branch.
    key.append(request.uri).append("|").append(request.get("Call-ID")).append("|");
    key.append(request.from().tag).append("|").append(std::to_string(request.cseq().number));
    key.append("|").append(request.list("Via").front());
    return key;
}

std::string client_key(std::string_view branch, std::string_view method) {
    return std::string{"c|"}.append(branch).append("|").append(method);
}

/// §18.2.2, RFC 3581 §4: where responses to a request go.
Target response_target(const Via& via, const Target& from) {
    Target to = from;
    if (is_reliable(from.protocol)) {
        // Over its connection; if that is gone, to where it came from, at the port of its Via.
        to.port = via.port.value_or(from.protocol == Protocol::tls ? 5061 : 5060);
        return to;
    }
    if (via.asks_rport) return to;
    to.port = via.port.value_or(5060);
    return to;
}

/// Notes in the top Via where the request really came from (§18.2.1, RFC 3581 §4).
void note_source(Message& request, const Via& via, const Target& from) {
    std::string added;
    auto host = via.host;
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    if (host != from.address || via.asks_rport) added = ";received=" + from.address;
    auto* field = const_cast<std::string*>(request.find("Via"));  // NOLINT: our own message
    const auto values = split_list(*field);
    std::string top = values.front();
    if (via.asks_rport && !via.rport) {
        // `;rport` stands without a value: the first one that is a whole parameter.
        for (std::size_t at = 0; (at = top.find(';', at)) != std::string::npos; ++at) {
            const auto end = std::min(top.find(';', at + 1), top.size());
            if (equals_ignoring_case(
                    trim(std::string_view{top}.substr(at + 1, end - at - 1)), "rport"
                )) {
                top.replace(at, end - at, ";rport=" + std::to_string(from.port));
                break;
            }
        }
    }
    if (via.received.empty()) top += added;
    for (std::size_t i = 1; i < values.size(); ++i)
        top.append(", ").append(values[i]);
    *field = std::move(top);
}

}  // namespace

std::string_view to_string(Protocol protocol) noexcept {
    switch (protocol) {
        case Protocol::udp:
            return "UDP";
        case Protocol::tcp:
            return "TCP";
        case Protocol::tls:
            return "TLS";
    }
    return "UDP";
}

std::string host_port(std::string_view address, std::uint16_t port) {
    std::string out;
    const bool ipv6 = address.find(':') != std::string_view::npos && address.front() != '[';
    if (ipv6) out += '[';
    out += address;
    if (ipv6) out += ']';
    return out.append(":").append(std::to_string(port));
}

TransactionLayer::TransactionLayer(Settings settings, SentBy sent_by)
    : settings_{std::move(settings)}, sent_by_{std::move(sent_by)} {}

TransactionLayer::Transaction* TransactionLayer::find(TransactionId id) {
    const auto found = transactions_.find(id.value);
    return found == transactions_.end() ? nullptr : &found->second;
}

void TransactionLayer::on_bytes(std::string_view bytes, const Target& from, TimePoint now) {
    ++stats_.received;
    auto parsed = parse_message(bytes);
    if (!parsed) {
        ++stats_.broken;
        return;
    }
    if (!parsed->message.is_request()) return on_response(std::move(parsed->message), from, now);
    if (parsed->flaw) return answer_flawed(parsed->message, *parsed->flaw, from);
    on_request(std::move(parsed->message), from, now);
}

/// Without a transaction: its parts cannot be trusted to name one. A repetition is answered again.
void TransactionLayer::answer_flawed(const Message& request, const Flaw& flaw, const Target& from) {
    ++stats_.flawed;
    if (request.method == "ACK") return;
    const auto via = request.top_via();
    auto copy = request;
    note_source(copy, *via, from);
    auto response = make_response(copy, flaw.status, random_hex(6), flaw.what);
    response.set("Server", settings_.user_agent);
    actions_.push_back(Send{response_target(*via, from), write_message(response), {}});
}

void TransactionLayer::on_request(Message message, const Target& from, TimePoint now) {
    const auto via = message.top_via();
    const auto key = server_key(message, *via, message.method);
    const auto known = keys_.find(key);
    if (message.method == "ACK") {
        auto* invite = known == keys_.end() ? nullptr : find(known->second);
        if (invite == nullptr || invite->state == State::accepted) {
            actions_.push_back(Ack{std::move(message)});
        } else if (invite->state == State::completed) {
            invite->state = State::confirmed;
            invite->repeat.reset();
            const auto wait = is_reliable(invite->peer.protocol) ? milliseconds{0} : settings_.t4;
            invite->end = now + wait;  // timer I
            schedule(known->second, *invite);
        } else {
            ++stats_.repeated;
        }
        return;
    }
    if (known != keys_.end()) {
        ++stats_.repeated;
        auto* transaction = find(known->second);
        if (transaction->state == State::accepted) return;  // the user repeats its 2xx
        if (!transaction->last_sent.empty() && transaction->state != State::confirmed)
            transmit(known->second, *transaction);
        return;
    }
    if (transactions_.size() >= settings_.max_transactions) {
        ++stats_.dropped;
        return;
    }
    TransactionId cancels;
    if (message.method == "CANCEL") {
        const auto meant = keys_.find(server_key(message, *via, "INVITE"));
        if (meant != keys_.end()) cancels = meant->second;
    }
    note_source(message, *via, from);
    const TransactionId id{next_id_++};
    Transaction transaction;
    transaction.server = true;
    transaction.invite = message.method == "INVITE";
    transaction.key = key;
    transaction.request = message;
    transaction.peer = response_target(*via, from);
    keys_.emplace(key, id);
    transactions_.emplace(id.value, std::move(transaction));
    actions_.push_back(Request{id, std::move(message), from, cancels});
}

void TransactionLayer::on_response(Message message, const Target& from, TimePoint now) {
    const auto via = message.top_via();
    const auto known = keys_.find(client_key(via->branch, message.cseq().method));
    auto* transaction = known == keys_.end() ? nullptr : find(known->second);
    // Exactly one Via: ours (§18.1.2, §8.1.3.3).
    if (transaction == nullptr || message.list("Via").size() != 1) {
        ++stats_.stray;
        return;
    }
    const auto id = known->second;
    const bool final = message.status >= 200;
    const bool reliable = is_reliable(transaction->peer.protocol);
    switch (transaction->state) {
        case State::trying:
        case State::proceeding:
            break;
        case State::completed:
            ++stats_.repeated;
            if (transaction->invite && message.status >= 300) transmit(id, *transaction);
            return;
        case State::accepted:
            // A repeated 2xx, or another fork's: the user acknowledges each.
            if (message.status >= 200 && message.status < 300) {
                actions_.push_back(Response{id, transaction->user, std::move(message), from});
            }
            return;
        case State::confirmed:
            return;
    }
    if (!final) {
        transaction->state = State::proceeding;
        if (transaction->invite) {
            transaction->repeat.reset();
            // As long as the callee is rung (the user has a limit), but for §9.1's when cancelled.
            if (!transaction->cancelled) transaction->end.reset();
        } else if (!reliable) {
            transaction->interval = settings_.t2;
        }
    } else if (transaction->invite && message.status < 300) {
        transaction->state = State::accepted;
        transaction->repeat.reset();
        transaction->end = now + 64 * settings_.t1;  // timer M, RFC 6026
    } else {
        transaction->state = State::completed;
        transaction->repeat.reset();
        if (transaction->invite) {
            acknowledge(id, *transaction, message);
            transaction->end = now + (reliable ? milliseconds{0} : milliseconds{32'000});  // D
        } else {
            transaction->end = now + (reliable ? milliseconds{0} : settings_.t4);  // K
        }
    }
    schedule(id, *transaction);
    actions_.push_back(Response{id, transaction->user, std::move(message), from});
}

/// §17.1.1.3: the ACK of a response ≥ 300 belongs to its INVITE's transaction.
void TransactionLayer::acknowledge(
    TransactionId id, Transaction& transaction, const Message& response
) {
    const auto& invite = transaction.request;
    Message ack;
    ack.method = "ACK";
    ack.uri = invite.uri;
    ack.add("Via", std::string{invite.get("Via")});
    ack.add("Max-Forwards", "70");
    for (const auto& field : invite.headers) {
        if (equals_ignoring_case(field.name, "Route")) ack.headers.push_back(field);
    }
    ack.add("From", std::string{invite.get("From")});
    ack.add("To", std::string{response.get("To")});
    ack.add("Call-ID", std::string{invite.get("Call-ID")});
    ack.add("CSeq", std::to_string(invite.cseq().number) + " ACK");
    transaction.last_sent = write_message(ack);
    transmit(id, transaction);
}

void TransactionLayer::respond(TransactionId id, Message response, TimePoint now) {
    auto* transaction = find(id);
    if (transaction == nullptr || !transaction->server) return;
    const int status = response.status;
    const bool success = status >= 200 && status < 300;
    if (transaction->state == State::completed || transaction->state == State::confirmed) return;
    if (transaction->state == State::accepted && !success) return;
    if (response.find("Server") == nullptr) response.add("Server", settings_.user_agent);
    transaction->last_sent = write_message(response);
    transmit(id, *transaction);
    if (status < 200) {
        transaction->state = State::proceeding;
        return;
    }
    const bool reliable = is_reliable(transaction->peer.protocol);
    if (!transaction->invite) {
        transaction->state = State::completed;
        transaction->end = now + (reliable ? milliseconds{0} : 64 * settings_.t1);  // J
    } else if (success) {
        if (transaction->state == State::accepted) return;  // the user repeats it
        transaction->state = State::accepted;
        transaction->end = now + 64 * settings_.t1;  // L, RFC 6026
    } else {
        transaction->state = State::completed;
        if (!reliable) {
            transaction->interval = settings_.t1;
            transaction->repeat = now + settings_.t1;  // G
        }
        transaction->end = now + 64 * settings_.t1;  // H
    }
    schedule(id, *transaction);
}

std::string TransactionLayer::new_branch() { return std::string{magic_cookie} + random_hex(10); }

void TransactionLayer::add_via(Message& message, const Target& to, std::string_view branch) const {
    std::string via{"SIP/2.0/"};
    via.append(to_string(to.protocol)).append(" ").append(sent_by_(to));
    via.append(";branch=").append(branch).append(";rport");
    message.headers.insert(message.headers.begin(), HeaderField{"Via", std::move(via)});
}

TransactionId TransactionLayer::request(
    Message message, Target to, std::uint64_t user, TimePoint now
) {
    const TransactionId id{next_id_++};
    const auto branch = new_branch();
    if (message.find("User-Agent") == nullptr) message.add("User-Agent", settings_.user_agent);
    Transaction transaction;
    transaction.server = false;
    transaction.invite = message.method == "INVITE";
    transaction.user = user;
    transaction.key = client_key(branch, message.method);
    auto with_via = message;
    add_via(with_via, to, branch);
    transaction.last_sent = write_message(with_via);
    if (settings_.tcp && to.protocol == Protocol::udp &&
        transaction.last_sent.size() > settings_.max_udp_request) {
        transaction.fallback = to;
        transaction.has_fallback = true;
        to.protocol = Protocol::tcp;
        with_via = message;
        add_via(with_via, to, branch);
        transaction.last_sent = write_message(with_via);
    }
    transaction.request = std::move(with_via);
    transaction.peer = std::move(to);
    if (!is_reliable(transaction.peer.protocol)) {
        transaction.interval = settings_.t1;
        transaction.repeat = now + settings_.t1;  // A, E
    }
    transaction.end = now + 64 * settings_.t1;  // B, F
    keys_.emplace(transaction.key, id);
    auto& stored = transactions_.emplace(id.value, std::move(transaction)).first->second;
    transmit(id, stored);
    schedule(id, stored);
    return id;
}

TransactionId TransactionLayer::cancel(TransactionId invite, TimePoint now) {
    auto* meant = find(invite);
    if (meant == nullptr || meant->server || !meant->invite || meant->state != State::proceeding) {
        return {};
    }
    const auto& request = meant->request;
    Message cancel;
    cancel.method = "CANCEL";
    cancel.uri = request.uri;
    for (const auto& field : request.headers) {
        for (const std::string_view name :
             {"Via", "Max-Forwards", "From", "To", "Call-ID", "Route"}) {
            if (equals_ignoring_case(field.name, name)) cancel.headers.push_back(field);
        }
    }
    cancel.add("CSeq", std::to_string(request.cseq().number) + " CANCEL");
    Transaction transaction;
    transaction.server = false;
    transaction.invite = false;
    transaction.user = meant->user;
    transaction.key = client_key(request.top_via()->branch, "CANCEL");
    transaction.peer = meant->peer;
    transaction.last_sent = write_message(cancel);
    transaction.request = std::move(cancel);
    if (keys_.contains(transaction.key)) return {};
    if (!is_reliable(transaction.peer.protocol)) {
        transaction.interval = settings_.t1;
        transaction.repeat = now + settings_.t1;
    }
    transaction.end = now + 64 * settings_.t1;
    meant->cancelled = true;
    meant->end = transaction.end;
    schedule(invite, *meant);
    const TransactionId id{next_id_++};
    keys_.emplace(transaction.key, id);
    auto& stored = transactions_.emplace(id.value, std::move(transaction)).first->second;
    transmit(id, stored);
    schedule(id, stored);
    return id;
}

TransactionLayer::Send TransactionLayer::send_ack(Message ack, const Target& to) {
    add_via(ack, to, new_branch());
    if (ack.find("User-Agent") == nullptr) ack.add("User-Agent", settings_.user_agent);
    Send out{to, write_message(ack), {}};
    actions_.push_back(out);
    return out;
}

std::optional<Target> TransactionLayer::reply_target(TransactionId id) const {
    const auto found = transactions_.find(id.value);
    if (found == transactions_.end()) return std::nullopt;
    return found->second.peer;
}

void TransactionLayer::transmit(TransactionId id, Transaction& transaction) {
    actions_.push_back(Send{transaction.peer, transaction.last_sent, id});
}

void TransactionLayer::on_send_failed(TransactionId id, TimePoint now) {
    auto* transaction = find(id);
    if (transaction == nullptr) return;
    if (transaction->server) return;  // its timers end it; the peer asks again
    if (transaction->has_fallback) {
        // §18.1.1: TCP is not served there, so the long request goes by UDP all the same.
        transaction->has_fallback = false;
        transaction->peer = transaction->fallback;
        auto& request = transaction->request;
        const auto branch = request.top_via()->branch;
        request.headers.erase(request.headers.begin());
        add_via(request, transaction->peer, branch);
        transaction->last_sent = write_message(request);
        transaction->interval = settings_.t1;
        transaction->repeat = now + settings_.t1;
        transmit(id, *transaction);
        schedule(id, *transaction);
        return;
    }
    if (transaction->state != State::trying && transaction->state != State::proceeding) return;
    actions_.push_back(Failed{id, transaction->user, false});
    finish(id);
}

void TransactionLayer::on_time(TimePoint now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const TransactionId id{deadlines_.begin()->second};
        auto& transaction = transactions_.at(id.value);
        if (transaction.end && *transaction.end <= now) {
            on_end(id, transaction, now);
        } else {
            repeat(id, transaction, now);
        }
    }
}

void TransactionLayer::repeat(TransactionId id, Transaction& transaction, TimePoint now) {
    ++stats_.retransmissions;
    transmit(id, transaction);
    // A doubles without limit (§17.1.1.2), E and G up to T2.
    transaction.interval *= 2;
    const bool limited = transaction.server || !transaction.invite;
    if (limited) transaction.interval = std::min(transaction.interval, settings_.t2);
    transaction.repeat = now + transaction.interval;
    schedule(id, transaction);
}

void TransactionLayer::on_end(TransactionId id, Transaction& transaction, TimePoint) {
    const bool waiting =
        transaction.state == State::trying || transaction.state == State::proceeding;
    const bool unanswered = !transaction.server && waiting;  // B, F
    const auto user = transaction.user;
    finish(id);
    if (unanswered) actions_.push_back(Failed{id, user, true});
}

void TransactionLayer::schedule(TransactionId id, Transaction& transaction) {
    if (transaction.scheduled) deadlines_.erase({*transaction.scheduled, id.value});
    transaction.scheduled = transaction.end;
    if (transaction.repeat && (!transaction.end || *transaction.repeat < *transaction.end)) {
        transaction.scheduled = transaction.repeat;
    }
    if (transaction.scheduled) deadlines_.emplace(*transaction.scheduled, id.value);
}

void TransactionLayer::finish(TransactionId id) {
    const auto found = transactions_.find(id.value);
    if (found == transactions_.end()) return;
    if (found->second.scheduled) deadlines_.erase({*found->second.scheduled, id.value});
    keys_.erase(found->second.key);
    transactions_.erase(found);
}

std::optional<TransactionLayer::Action> TransactionLayer::next_action() {
    if (actions_.empty()) return std::nullopt;
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

std::optional<TimePoint> TransactionLayer::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

TransactionLayer::Stats TransactionLayer::stats() const {
    auto out = stats_;
    out.open = transactions_.size();
    return out;
}

}  // namespace oavc::sip
