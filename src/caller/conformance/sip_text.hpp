#pragma once

#include "base/time.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// SIP as text, for a tester: written by hand and read leniently. Deliberately apart from src/sip,
/// so that an error there is not made on both sides.
namespace oavc::caller::conformance {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A message that came in.
struct Heard {
    std::string start_line;
    int status{0};       ///< 0: a request
    std::string method;  ///< of the request, or of CSeq
    Headers headers;     ///< full names, unfolded
    std::string body;
    TimePoint at;

    /// The first of that name, or "".
    std::string header(std::string_view name) const;
    bool has(std::string_view name) const;
    /// Every value of that name, comma lists taken apart.
    std::vector<std::string> all(std::string_view name) const;
    /// "200 OK", for reports.
    std::string what() const;
};

Heard read_message(std::string_view text);

/// A message to be sent. Cases bend it as they like.
struct Written {
    std::string start_line;
    Headers headers;
    std::string body;

    std::string header(std::string_view name) const;
    Written& set(std::string_view name, std::string value);
    Written& add(std::string name, std::string value);
    Written& put_first(std::string name, std::string value);
    Written& remove(std::string_view name);
    /// With Content-Length, unless it has one.
    std::string text() const;
};

bool same_name(std::string_view a, std::string_view b) noexcept;
std::string lower(std::string_view text);
/// ";tag=" of From or To, "branch" of Via …; "" when it is missing, also when it has no value.
std::string parameter(std::string_view value, std::string_view name);
bool has_parameter(std::string_view value, std::string_view name);
/// What stands between < and >, else the value up to its parameters.
std::string uri_of(std::string_view value);
std::string trimmed_text(std::string_view text);

/// A session description, as far as cases look at it.
struct Description {
    struct Media {
        std::string kind;
        int port{0};
        std::string transport;
        std::vector<std::string> formats;
        std::string connection;               ///< its own c=, else the session's
        std::vector<std::string> attributes;  ///< with the session's before them

        std::optional<std::string> attribute(std::string_view name) const;
        /// "0" → "PCMU/8000"; also for static types without a=rtpmap.
        std::string codec(std::string_view format) const;
        /// sendrecv, sendonly, recvonly or inactive.
        std::string direction() const;
    };
    std::string text;
    std::vector<std::string> lines;
    std::string origin;
    std::vector<Media> media;

    const Media* audio() const;
};
Description read_description(std::string_view text);

}  // namespace oavc::caller::conformance
