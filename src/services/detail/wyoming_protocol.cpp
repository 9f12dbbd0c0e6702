#include "services/detail/wyoming_protocol.hpp"

#include "services/detail/json_read.hpp"
#include "services/errors.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>

namespace oavc::services {

namespace json = boost::json;

namespace {

/// The length named `key`: missing and null mean 0.
Result<std::size_t> length_of(
    const json::object& header, std::string_view key, std::size_t longest
) noexcept {
    const auto* const value = header.if_contains(key);
    if (value == nullptr || value->is_null()) return std::size_t{0};
    const auto* const number = value->if_int64();
    if (number == nullptr || *number < 0 || static_cast<std::size_t>(*number) > longest) {
        return make_error_code(ServiceErrc::protocol);
    }
    return static_cast<std::size_t>(*number);
}

}  // namespace

std::string_view WyomingEvent::text(std::string_view key) const noexcept {
    return json_read::text(data, key);
}

std::optional<std::int64_t> WyomingEvent::number(std::string_view key) const noexcept {
    const auto* const value = data.if_contains(key);
    const auto* const found = value != nullptr ? value->if_int64() : nullptr;
    return found != nullptr ? std::optional{*found} : std::nullopt;
}

void WyomingParser::feed(std::string_view bytes) {
    buffer_.erase(0, std::exchange(used_, 0));
    buffer_ += bytes;
}

Result<WyomingParser::Header> WyomingParser::parse_header(std::string_view line) noexcept {
    auto fields = json_read::object(line);
    if (!fields) return make_error_code(ServiceErrc::protocol);
    Header header;
    const auto data = length_of(*fields, "data_length", longest_data);
    const auto payload = length_of(*fields, "payload_length", longest_payload);
    const auto* const type = fields->if_contains("type");
    if (!data || !payload || type == nullptr || !type->is_string()) {
        return make_error_code(ServiceErrc::protocol);
    }
    header.fields = std::move(*fields);
    header.data = *data;
    header.payload = *payload;
    return header;
}

Result<std::optional<WyomingEvent>> WyomingParser::next() noexcept {
    const auto none = std::optional<WyomingEvent>{};
    const auto bytes = std::string_view{buffer_}.substr(used_);
    if (!header_) {
        const auto end = bytes.find('\n', scanned_);
        scanned_ = end == std::string_view::npos ? bytes.size() : 0;
        if (std::min(end, bytes.size()) > longest_header) {
            return make_error_code(ServiceErrc::protocol);
        }
        if (end == std::string_view::npos) return none;
        auto header = parse_header(bytes.substr(0, end));
        if (!header) return header.error();
        header_ = std::move(*header);
        used_ += end + 1;
        return next();
    }
    if (bytes.size() < header_->data + header_->payload) return none;

    WyomingEvent event;
    event.type = header_->fields["type"].get_string();
    if (auto* const inline_data = header_->fields.if_contains("data")) {
        if (inline_data->is_object()) event.data = std::move(inline_data->get_object());
    }
    if (header_->data > 0) {
        auto block = json_read::object(bytes.substr(0, header_->data));
        if (!block) return make_error_code(ServiceErrc::protocol);
        for (auto& [key, value] : *block)
            event.data[key] = std::move(value);
    }
    event.payload = bytes.substr(header_->data, header_->payload);
    used_ += header_->data + header_->payload;
    header_.reset();
    return std::optional{std::move(event)};
}

std::string wyoming_event(
    std::string_view type, const json::object& data, std::string_view payload
) {
    const auto block = data.empty() ? std::string{} : json::serialize(data);
    json::object header{{"type", type}};
    if (!block.empty()) header["data_length"] = block.size();
    if (!payload.empty()) header["payload_length"] = payload.size();
    auto bytes = json::serialize(header);
    bytes.reserve(bytes.size() + 1 + block.size() + payload.size());
    bytes += '\n';
    bytes += block;
    bytes += payload;
    return bytes;
}

}  // namespace oavc::services
