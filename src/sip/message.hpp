#pragma once

#include "base/result.hpp"
#include "sip/errors.hpp"
#include "sip/headers.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

inline constexpr std::size_t max_message_bytes = 65'535;
inline constexpr std::size_t max_message_headers = 256;
inline constexpr std::size_t max_header_bytes = 8192;  ///< of one value

struct HeaderField {
    std::string name;   ///< long form; known names as RFC 3261 writes them
    std::string value;  ///< unfolded and trimmed, else as it came: replies repeat it
};

/// One value of Via (RFC 3261 §20.42).
struct Via {
    std::string transport;  ///< upper case: "UDP"
    std::string host;       ///< lower case
    std::optional<std::uint16_t> port;
    std::string parameters;  ///< as written
    std::string branch;
    std::string received;
    std::string maddr;
    bool asks_rport{false};              ///< `;rport` (RFC 3581), with or without a value
    std::optional<std::uint16_t> rport;  ///< its value
};

/// RFC 3261 §20.16.
struct CSeq {
    std::uint32_t number{0};
    std::string method;
};

/// A request or a response: start line, header fields in order, body. What it carries may be
/// hostile; `parse_message` has checked the form of what we read.
struct Message {
    std::string method;  ///< of a request; empty: a response
    std::string uri;     ///< Request-URI
    int status{0};
    std::string reason;
    std::vector<HeaderField> headers;
    std::string body;

    bool is_request() const noexcept { return !method.empty(); }

    /// The first value of that name, in its long form and any case; null: there is none.
    const std::string* find(std::string_view name) const noexcept;
    std::string_view get(std::string_view name) const noexcept;
    /// Every value, lists split at their commas.
    std::vector<std::string> list(std::string_view name) const;
    /// Does a list of tokens (Supported, Require, Allow) hold this one?
    bool lists(std::string_view name, std::string_view token) const;

    void add(std::string name, std::string value);
    void set(std::string_view name, std::string value);  ///< replaces all of that name
    void remove(std::string_view name);
    void set_body(std::string content_type, std::string content);

    // Read again at each call; what cannot be read is empty.
    CSeq cseq() const;
    NameAddress from() const;
    NameAddress to() const;
    std::optional<Via> top_via() const;
    /// The method that a transaction is about: CSeq's for a response.
    std::string transaction_method() const;
};

/// What is wrong with a message that could be read well enough to be answered.
struct Flaw {
    int status;        ///< 400, 505, …
    std::string what;  ///< for the reason phrase and the log
};

struct ParsedMessage {
    Message message;
    std::optional<Flaw> flaw;
};

/// Reads one message (RFC 3261 §25, with the judgements of RFC 4475). `bytes` is a datagram, or
/// exactly one message of a stream: then the body must fill it. A flawed request has the Flaw that
/// answers it; what cannot be answered (no start line, no Via, a broken response) is an error:
/// too_long, bad_message.
Result<ParsedMessage, ParseError> parse_message(std::string_view bytes) noexcept;

/// Content-Length is written from the body.
std::string write_message(const Message& message);

/// As far as a response can be sent there: version and form of the parameters are not judged.
/// Error: bad_message.
Result<Via> parse_via(std::string_view value) noexcept;

/// Splits at commas outside quotes and angle brackets; values are trimmed.
std::vector<std::string> split_list(std::string_view value);

/// The usual words for a status.
std::string_view reason_phrase(int status) noexcept;

/// A reply with what RFC 3261 §8.2.6.2 copies: Via, From, To, Call-ID, CSeq; 1xx and 2xx that set
/// up a dialog also Record-Route. `to_tag` is added if To has none (and `status` is not 100).
Message make_response(
    const Message& request, int status, std::string_view to_tag, std::string_view reason = {}
);

/// Finds the end of the first message in a stream (RFC 3261 §18.3). Keep-alive line ends before it
/// (RFC 5626 §3.5.1) count as `skipped`; `size` is 0 while the message is not complete. Errors:
/// too_long; bad_message without a Content-Length (§18.3 wants one): the stream is lost then.
struct StreamMessage {
    std::size_t skipped{0};
    std::size_t pings{0};  ///< double line ends: answer each with one
    std::size_t size{0};
};
Result<StreamMessage> next_in_stream(std::string_view bytes) noexcept;

}  // namespace oavc::sip
