#pragma once

#include "base/result.hpp"

#include <boost/json/object.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::services {

/// One event of the Wyoming protocol: a line of JSON, perhaps more JSON, perhaps bytes.
struct WyomingEvent {
    std::string type;
    boost::json::object data;
    std::string_view payload;  ///< borrowed from the parser: valid until its next call

    /// The member as text; empty when it is missing, null or something else.
    std::string_view text(std::string_view key) const noexcept;
    /// The member as a number, if it is one.
    std::optional<std::int64_t> number(std::string_view key) const noexcept;
};

/// Cuts the bytes of a connection into events. Sans-I/O. Bounds, as a peer may say anything: 64 KiB
/// of header, 1 MiB of data, 16 MiB of payload.
class WyomingParser {
public:
    static constexpr std::size_t longest_header = 64u << 10;
    static constexpr std::size_t longest_data = 1u << 20;
    static constexpr std::size_t longest_payload = 16u << 20;

    void feed(std::string_view bytes);

    /// The next complete event; none: more bytes are needed. ServiceErrc::protocol: this is not the
    /// protocol; the connection is of no more use.
    Result<std::optional<WyomingEvent>> next() noexcept;

    /// Nothing lies here that belongs to an event not yet returned.
    bool empty() const noexcept { return buffer_.size() == used_; }

private:
    /// Of the event that is coming in.
    struct Header {
        boost::json::object fields;
        std::size_t data{0};     ///< bytes
        std::size_t payload{0};  ///< bytes
    };
    Result<Header> parse_header(std::string_view line) noexcept;

    std::string buffer_;
    std::size_t used_{0};     ///< of `buffer_`
    std::size_t scanned_{0};  ///< no line ends before
    std::optional<Header> header_;
};

/// The bytes of one event.
std::string wyoming_event(
    std::string_view type, const boost::json::object& data = {}, std::string_view payload = {}
);

}  // namespace oavc::services
