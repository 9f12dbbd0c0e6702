#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::conformance {

/// Thrown by a case: the target does something else than it must. The text says what.
class Failed : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Thrown by a case: the target does not offer what the case is about. The text says what.
class NotOffered : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void expect(bool holds, const std::string& otherwise) {
    if (!holds) throw Failed{otherwise};
}

/// Whom the cases talk to, and how.
struct Target {
    enum class Kind { sip, twilio };
    Kind kind{Kind::sip};
    std::string text;  ///< as given

    // Of both.
    std::string host;  ///< name or address, without brackets
    std::uint16_t port{0};
    milliseconds timeout{5'000};  ///< for one answer

    // SIP.
    std::string user;
    bool tcp{false};  ///< calls over TCP; its own cases try TCP anyway

    // Twilio.
    bool tls{false};
    std::string path;        ///< of the webhook
    std::string public_url;  ///< what the target believes its address to be; empty: `text`
    std::string auth_token;  ///< secret; empty: the cases about signatures are skipped

    /// "host:port", with brackets where they belong.
    std::string authority() const;
};

/// Reads "sip:user@host:port;transport=tcp" or "https://host/path". Throws std::invalid_argument
/// with a sentence for the user.
Target parse_target(std::string_view text);

enum class Need {
    must,    ///< a MUST of the source, or what every call depends on
    should,  ///< a SHOULD, or good manners: reported, but no reason for a bad exit status
};

struct Case {
    std::string name;    ///< "group.what-holds"
    std::string source;  ///< RFC and section, or a page of Twilio's documentation
    std::string holds;   ///< what must hold, as a sentence
    Need need{Need::must};
    /// Throws Failed or NotOffered; other exceptions count as a failure.
    std::function<void(const Target&)> run;
    /// Longest first, so that all are done early.
    int seconds{2};
    /// Measures times: runs while nothing else does, three tries.
    bool alone{false};
};

std::vector<Case> sip_cases();
std::vector<Case> twilio_cases();
std::vector<Case> cases_for(Target::Kind kind);

}  // namespace oavc::caller::conformance
