#include "sip/user_agent.hpp"

#include "base/random.hpp"
#include "sip/text.hpp"

#include <array>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::uint64_t registration_user = ~std::uint64_t{0};

constexpr std::array known_extensions{std::string_view{"100rel"}, std::string_view{"timer"}};

std::string dialog_key(std::string_view call_id, std::string_view local_tag) {
    return std::string{call_id}.append("|").append(local_tag);
}

/// What two copies of one request that came by two ways have in common.
std::string merged_key(const Message& request) {
    return std::string{request.get("Call-ID")}
        .append("|")
        .append(request.from().tag)
        .append("|")
        .append(request.get("CSeq"));
}

std::string unsupported_extensions(const Message& request) {
    std::string out;
    for (const auto& option : request.list("Require")) {
        bool known = false;
        for (const auto name : known_extensions)
            known = known || equals_ignoring_case(option, name);
        if (!known) out.append(out.empty() ? "" : ", ").append(option);
    }
    return out;
}

bool has_known_scheme(std::string_view uri) {
    const auto scheme = uri.substr(0, uri.find(':'));
    return equals_ignoring_case(scheme, "sip") || equals_ignoring_case(scheme, "sips") ||
           equals_ignoring_case(scheme, "tel");
}

/// Could they read an SDP answer?
bool accepts_sdp(const Message& request) {
    const auto types = request.list("Accept");
    if (types.empty()) return true;
    for (const auto& type : types) {
        const auto name = media_type(type);
        if (name == "application/sdp" || name == "application/*" || name == "*/*") return true;
    }
    return false;
}

}  // namespace

UserAgent::UserAgent(Settings settings, TransactionLayer::SentBy sent_by)
    : settings_{std::move(settings)}, layer_{settings_.layer, std::move(sent_by)} {}

void UserAgent::on_bytes(std::string_view bytes, const Target& from, TimePoint now) {
    layer_.on_bytes(bytes, from, now);
    pump(now);
}

void UserAgent::on_send_failed(TransactionId id, TimePoint now) {
    layer_.on_send_failed(id, now);
    pump(now);
}

void UserAgent::on_time(TimePoint now) {
    layer_.on_time(now);
    if (registration_) registration_->on_time(now);
    pump(now);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto number = deadlines_.begin()->second;
        calls_.at(number).call->on_time(now);
        touched(number, now);
    }
}

/// What the layer says goes to the calls; what it sends goes on.
void UserAgent::pump(TimePoint now) {
    while (auto action = layer_.next_action()) {
        if (auto* send = std::get_if<TransactionLayer::Send>(&*action)) {
            actions_.push_back(std::move(*send));
        } else if (auto* request = std::get_if<TransactionLayer::Request>(&*action)) {
            on_request(std::move(*request), now);
        } else if (const auto* ack = std::get_if<TransactionLayer::Ack>(&*action)) {
            on_ack(ack->message, now);
        } else if (const auto* response = std::get_if<TransactionLayer::Response>(&*action)) {
            if (response->user == registration_user && registration_) {
                registration_->on_response(response->id, response->message, now);
            } else if (auto* one = call(response->user)) {
                one->on_response(response->id, response->message, response->from, now);
                touched(response->user, now);
            }
        } else if (const auto* failed = std::get_if<TransactionLayer::Failed>(&*action)) {
            if (failed->user == registration_user && registration_) {
                registration_->on_failed(failed->id, now);
            } else if (auto* one = call(failed->user)) {
                one->on_failed(failed->id, failed->timeout, now);
                touched(failed->user, now);
            }
        }
    }
}

void UserAgent::on_request(TransactionLayer::Request request, TimePoint now) {
    const auto& message = request.message;
    if (message.method == "CANCEL") {
        const auto invite = invites_.find(request.cancels.value);
        if (invite == invites_.end()) {
            return reply(request, request.cancels ? 200 : 481, {}, {}, now);
        }
        const auto number = invite->second;
        auto& call = *calls_.at(number).call;
        // §9.2: with the To tag of the INVITE's answer.
        layer_.respond(request.id, make_response(message, 200, call.dialog().local_tag), now);
        call.on_cancel(now);
        return touched(number, now);
    }
    if (refuse_unknown(request, now)) return;
    const auto to_tag = message.to().tag;
    if (to_tag.empty()) return on_new_request(std::move(request), now);
    auto* entry = find(message.get("Call-ID"), to_tag);
    const bool known = entry != nullptr && entry->call->dialog().remote_tag == message.from().tag;
    if (!known) {
        ++stats_.refused;
        return reply(request, 481, {}, {}, now);
    }
    const auto number = entry->call->number();
    entry->call->on_request(request.id, message, request.from, now);
    touched(number, now);
}

/// What is refused wherever it belongs (§8.2).
bool UserAgent::refuse_unknown(const TransactionLayer::Request& request, TimePoint now) {
    const auto& message = request.message;
    const auto refuse = [&](int status, std::string_view name = {}, std::string_view value = {}) {
        ++stats_.refused;
        reply(request, status, name, value, now);
        return true;
    };
    constexpr std::array known_methods{
        std::string_view{"INVITE"},
        std::string_view{"BYE"},
        std::string_view{"OPTIONS"},
        std::string_view{"INFO"},
        std::string_view{"UPDATE"},
        std::string_view{"PRACK"},
        std::string_view{"NOTIFY"},
        std::string_view{"REFER"},
    };
    bool known = false;
    for (const auto name : known_methods)
        known = known || message.method == name;
    if (!known) return refuse(405, "Allow", allowed_methods);
    if (!has_known_scheme(message.uri)) return refuse(416);
    if (!parse_uri(message.uri)) return refuse(400);
    if (const auto unknown = unsupported_extensions(message); !unknown.empty()) {
        return refuse(420, "Unsupported", unknown);
    }
    if (const auto coding = message.get("Content-Encoding");
        !coding.empty() && !equals_ignoring_case(coding, "identity")) {
        return refuse(415, "Accept-Encoding", "identity");
    }
    return false;
}

void UserAgent::on_new_request(TransactionLayer::Request request, TimePoint now) {
    const auto& message = request.message;
    if (message.method == "INVITE") return on_invite(std::move(request), now);
    if (message.method == "OPTIONS") {
        ++stats_.options;
        if (draining_) return reply(request, 503, "Retry-After", "30", now);
        auto response = make_response(message, 200, random_hex(6));
        response.add("Allow", std::string{allowed_methods});
        response.add("Accept", "application/sdp");
        response.add("Accept-Encoding", "identity");
        response.add("Supported", "timer");
        layer_.respond(request.id, std::move(response), now);
        return;
    }
    ++stats_.refused;
    // Without a dialog there is nothing to end, refresh or tell about; transfers are not for us.
    const bool refer = message.method == "REFER";
    reply(request, refer ? 405 : 481, refer ? "Allow" : "", refer ? allowed_methods : "", now);
}

void UserAgent::on_invite(TransactionLayer::Request request, TimePoint now) {
    const auto& message = request.message;
    const auto merged = merged_key(message);
    if (merged_.contains(merged)) {
        ++stats_.refused;
        return reply(request, 482, {}, {}, now);
    }
    if (is_sips(message.uri) && request.from.protocol != Protocol::tls) {
        // RFC 5630: TLS was asked for on every hop, and this one is none.
        ++stats_.refused;
        return reply(request, 480, "Warning", "380 oavc \"SIPS Not Allowed\"", now);
    }
    if (!accepts_sdp(message)) {
        ++stats_.refused;
        return reply(request, 406, {}, {}, now);
    }
    const auto number = next_number_++;
    Entry entry;
    entry.call = std::make_unique<Call>(
        layer_, settings_.call, number, request.id, message, request.from, now
    );
    entry.key = dialog_key(message.get("Call-ID"), entry.call->dialog().local_tag);
    entry.merged = merged;
    const bool waiting = entry.call->is_waiting();
    merged_.emplace(merged, number);
    entry.invite = request.id.value;
    invites_.emplace(entry.invite, number);
    insert(number, std::move(entry));
    if (waiting) {
        ++stats_.incoming;
        layer_.respond(request.id, make_response(message, 100, {}), now);
        actions_.push_back(Incoming{number});
        touched(number, now);
        return;
    }
    ++stats_.refused;
    // Refused at once: nobody has heard of it.
    while (calls_.at(number).call->next_action()) {
    }
    touched(number, now);
}

void UserAgent::on_ack(const Message& ack, TimePoint now) {
    auto* entry = find(ack.get("Call-ID"), ack.to().tag);
    if (entry == nullptr) return;
    const auto number = entry->call->number();
    entry->call->on_ack(ack, now);
    touched(number, now);
}

void UserAgent::reply(
    const TransactionLayer::Request& request,
    int status,
    std::string_view name,
    std::string_view value,
    TimePoint now
) {
    auto response = make_response(request.message, status, random_hex(6));
    if (!name.empty()) response.add(std::string{name}, std::string{value});
    layer_.respond(request.id, std::move(response), now);
}

UserAgent::Entry* UserAgent::find(std::string_view call_id, std::string_view local_tag) {
    const auto number = dialogs_.find(dialog_key(call_id, local_tag));
    if (number == dialogs_.end()) return nullptr;
    return &calls_.at(number->second);
}

void UserAgent::insert(std::uint64_t number, Entry entry) {
    dialogs_.emplace(entry.key, number);
    calls_.emplace(number, std::move(entry));
}

Call* UserAgent::call(std::uint64_t number) noexcept {
    const auto found = calls_.find(number);
    return found == calls_.end() ? nullptr : found->second.call.get();
}

void UserAgent::touched(std::uint64_t number, TimePoint now) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    auto& entry = found->second;
    while (auto action = entry.call->next_action())
        actions_.push_back(Event{number, std::move(*action)});
    if (entry.scheduled) deadlines_.erase({*entry.scheduled, number});
    entry.scheduled.reset();
    if (entry.call->finished()) {
        dialogs_.erase(entry.key);
        if (!entry.merged.empty()) merged_.erase(entry.merged);
        invites_.erase(entry.invite);
        calls_.erase(found);
        actions_.push_back(Gone{number});
    } else if (const auto deadline = entry.call->next_deadline()) {
        entry.scheduled = deadline;
        deadlines_.emplace(*deadline, number);
    }
    pump(now);  // what it sent
}

Call& UserAgent::dial(Call::Destination destination) {
    ++stats_.outgoing;
    const auto number = next_number_++;
    Entry entry;
    entry.call = std::make_unique<Call>(layer_, settings_.call, number, std::move(destination));
    const auto& dialog = entry.call->dialog();
    entry.key = dialog_key(dialog.call_id, dialog.local_tag);
    auto& made = *entry.call;
    insert(number, std::move(entry));
    return made;
}

void UserAgent::enrol(Registration::Settings settings, TimePoint now) {
    registration_.emplace(layer_, std::move(settings), registration_user);
    registration_->start(now);
    pump(now);
}

void UserAgent::unregister(TimePoint now) {
    if (!registration_) return;
    registration_->stop(now);
    pump(now);
}

std::optional<UserAgent::Action> UserAgent::next_action() {
    if (actions_.empty()) return std::nullopt;
    auto action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

std::optional<TimePoint> UserAgent::next_deadline() const {
    auto next = layer_.next_deadline();
    if (!deadlines_.empty() && (!next || deadlines_.begin()->first < *next)) {
        next = deadlines_.begin()->first;
    }
    if (registration_) {
        const auto due = registration_->next_deadline();
        if (due && (!next || *due < *next)) next = due;
    }
    return next;
}

UserAgent::Stats UserAgent::stats() const {
    auto out = stats_;
    out.transactions = layer_.stats();
    out.calls = calls_.size();
    return out;
}

}  // namespace oavc::sip
