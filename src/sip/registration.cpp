#include "sip/registration.hpp"

#include "base/random.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace oavc::sip {

namespace {

using std::chrono::seconds;

constexpr seconds first_wait{2};
constexpr seconds longest_wait{300};
constexpr seconds shortest_life{10};  ///< what a registrar grants is not taken for less
constexpr int max_challenges = 2;

/// How long the registrar keeps our contact: its parameter, else the header, else what we asked.
seconds granted(const Message& response, std::string_view our_contact, seconds asked) {
    for (const auto& value : response.list("Contact")) {
        const auto contact = parse_name_address(value);
        if (!contact || contact->uri.text != our_contact) continue;
        const auto expires = find_parameter(contact->parameters, "expires");
        if (!expires) break;
        if (const auto number = parse_number<std::uint32_t>(*expires)) return seconds{*number};
    }
    if (const auto number = parse_number<std::uint32_t>(response.get("Expires"))) {
        return seconds{*number};
    }
    return asked;
}

}  // namespace

Registration::Registration(TransactionLayer& layer, Settings settings, std::uint64_t layer_user)
    : layer_{layer},
      settings_{std::move(settings)},
      layer_user_{layer_user},
      call_id_{random_hex(16)},
      tag_{random_hex(8)} {}

void Registration::start(TimePoint now) { send(settings_.expires, now); }

void Registration::stop(TimePoint now) {
    if (std::exchange(stopped_, true)) return;
    due_.reset();
    if (registered_) send(seconds{0}, now);
    registered_ = false;
}

void Registration::send(seconds expires, TimePoint now) {
    due_.reset();
    const auto& to = settings_.next_hop;
    Message request;
    request.method = "REGISTER";
    request.uri = settings_.registrar;
    request.add("Max-Forwards", "70");
    request.add("From", "<" + settings_.address + ">;tag=" + tag_);
    request.add("To", "<" + settings_.address + ">");
    request.add("Call-ID", call_id_);
    request.add("CSeq", std::to_string(++cseq_) + " REGISTER");
    const bool secure = is_sips(settings_.registrar);
    std::string contact{secure ? "sips:" : "sip:"};
    contact.append(settings_.user).append("@").append(layer_.sent_by(to));
    if (to.protocol == Protocol::tcp) contact += ";transport=tcp";
    if (to.protocol == Protocol::tls && !secure) contact += ";transport=tls";
    request.add("Contact", "<" + contact + ">");
    request.add("Expires", std::to_string(expires.count()));
    if (challenge_) {
        request.add(
            auth_header_,
            authorize(
                *challenge_,
                settings_.credentials,
                request.method,
                request.uri,
                random_hex(8),
                ++challenge_count_
            )
        );
    }
    pending_ = layer_.request(std::move(request), to, layer_user_, now);
}

void Registration::on_response(TransactionId id, const Message& response, TimePoint now) {
    if (pending_ != id || response.status < 200) return;
    pending_.reset();
    status_ = response.status;
    if (status_ < 300) {
        challenges_ = 0;
        wait_ = seconds{0};
        if (stopped_) return;
        registered_ = true;
        std::string contact = "sip:" + settings_.user + "@" + layer_.sent_by(settings_.next_hop);
        const auto life = std::max(granted(response, contact, settings_.expires), shortest_life);
        due_ = now + life * 2 / 3;
        return;
    }
    if (status_ == 401 || status_ == 407) {
        std::vector<std::string> values;
        const std::string_view name = status_ == 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
        for (const auto& field : response.headers) {
            if (equals_ignoring_case(field.name, name)) values.push_back(field.value);
        }
        auto challenge = best_challenge(values);
        if (challenge && ++challenges_ <= max_challenges) {
            challenge_ = std::move(challenge);
            challenge_count_ = 0;
            auth_header_ = status_ == 401 ? "Authorization" : "Proxy-Authorization";
            return send(stopped_ ? seconds{0} : settings_.expires, now);
        }
    }
    if (status_ == 423) {
        // §10.3: longer, please.
        const auto least = parse_number<std::uint32_t>(response.get("Min-Expires"));
        if (least && seconds{*least} > settings_.expires && !stopped_) {
            settings_.expires = seconds{*least};
            return send(settings_.expires, now);
        }
    }
    back_off(now);
}

void Registration::on_failed(TransactionId id, TimePoint now) {
    if (pending_ != id) return;
    pending_.reset();
    status_ = 0;
    back_off(now);
}

void Registration::back_off(TimePoint now) {
    registered_ = false;
    challenges_ = 0;
    if (stopped_) return;
    wait_ = std::clamp(wait_ * 2, first_wait, longest_wait);
    // Spread by a quarter, so that many of us do not come back in one moment.
    due_ =
        now + wait_ + milliseconds{random_u32() % static_cast<std::uint32_t>(wait_.count() * 250)};
}

void Registration::on_time(TimePoint now) {
    if (due_ && now >= *due_) send(settings_.expires, now);
}

}  // namespace oavc::sip
