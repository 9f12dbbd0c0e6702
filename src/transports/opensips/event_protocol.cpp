#include "transports/opensips/event_protocol.hpp"

#include "base/bytes.hpp"
#include "transports/opensips/json_text.hpp"
#include "transports/opensips/mi_protocol.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::transports::opensips {

namespace json = boost::json;

namespace {

constexpr std::array event_types{
    std::pair{UaEventType::created, std::string_view{"NEW"}},
    std::pair{UaEventType::early, std::string_view{"EARLY"}},
    std::pair{UaEventType::answered, std::string_view{"ANSWERED"}},
    std::pair{UaEventType::rejected, std::string_view{"REJECTED"}},
    std::pair{UaEventType::updated, std::string_view{"UPDATED"}},
    std::pair{UaEventType::terminated, std::string_view{"TERMINATED"}},
};

std::optional<std::string> text_member(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string{value->get_string()};
}

/// Only what OpenSIPS makes itself: a key goes back to it in every request of ours.
bool is_key(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_' || c == '@';
    });
}

}  // namespace

std::string_view to_string(UaEventType type) noexcept {
    for (const auto& [value, text] : event_types) {
        if (value == type) return text;
    }
    return "?";
}

Result<UaEvent> parse_event(std::span<const std::byte> datagram) noexcept {
    if (datagram.size() > max_datagram) return OpensipsErrc::too_long;
    error_code error;
    const auto document = json::parse(repaired_json(as_text(datagram)), error);
    if (error || !document.is_object()) return OpensipsErrc::not_json;
    const auto& object = document.get_object();
    const auto* parameters = object.if_contains("params");
    if (text_member(object, "method") != ua_session_event || parameters == nullptr ||
        !parameters->is_object()) {
        return OpensipsErrc::not_an_event;
    }
    const auto& members = parameters->get_object();
    UaEvent event;
    event.key = text_member(members, "key").value_or("");
    event.method = text_member(members, "method").value_or("");
    const auto type = text_member(members, "event_type").value_or("");
    const auto known = std::find_if(event_types.begin(), event_types.end(), [&](const auto& entry) {
        return entry.second == type;
    });
    if (!is_key(event.key) || event.method.empty() || event.method.size() > 64 ||
        known == event_types.end()) {
        return OpensipsErrc::not_an_event;
    }
    event.type = known->first;
    event.outgoing = text_member(members, "entity_type") == "UAC";
    if (const auto* status = members.if_contains("status");
        status != nullptr && status->is_int64()) {
        event.status = static_cast<int>(std::clamp<std::int64_t>(status->get_int64(), 0, 999));
    }
    event.reason = text_member(members, "reason").value_or("");
    event.body = text_member(members, "body");
    event.headers = text_member(members, "headers");
    event.extra_params = text_member(members, "extra_params");
    return event;
}

}  // namespace oavc::transports::opensips
