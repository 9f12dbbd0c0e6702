#pragma once

#include <map>
#include <string>
#include <string_view>

namespace oavc::transports::twilio {

/// Escapes text for an XML attribute or element. Characters that XML 1.0 forbids are left out.
std::string xml_escape(std::string_view text);

/// Bidirectional stream to `url` (wss, no query string: Twilio error 31920). The call ends when the
/// stream does, because nothing follows in the document.
std::string connect_stream(
    std::string_view url, const std::map<std::string, std::string>& parameters
);

/// Refuses the call before it is answered: the caller hears busy, nothing is billed.
std::string reject_busy();

/// Answers the call, has Twilio's own voice say `text` and hangs up. `language`: as Twilio's
/// `<Say>` knows it, such as "tr-TR".
std::string say_and_hang_up(std::string_view text, std::string_view language);

/// Connects the call to `target`, a number, "sip:…" or "client:…" as dial_target() gives it; when
/// that leg ends, or nobody answers, the call ends.
std::string dial(std::string_view target);

/// Ends the call.
std::string hang_up();

inline constexpr std::string_view twiml_content_type = "text/xml; charset=utf-8";

}  // namespace oavc::transports::twilio
