#include "app/doctor/checks.hpp"
#include "app/doctor/text.hpp"
#include "base/random.hpp"
#include "sip/text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace oavc::app::doctor {

namespace {

void collect(
    const boost::json::value& value,
    std::string_view name,
    bool wanted,
    int depth,
    std::vector<std::string>& out
) {
    constexpr int deepest = 8;
    if (depth > deepest) return;
    if (const auto* object = value.if_object()) {
        for (const auto& [key, member] : *object)
            collect(member, name, name.empty() || key == name, depth + 1, out);
    } else if (const auto* array = value.if_array()) {
        for (const auto& item : *array)
            collect(item, name, wanted, depth + 1, out);
    } else if (const auto* text = value.if_string(); text != nullptr && wanted) {
        out.emplace_back(*text);
    }
}

/// OpenSIPS 4 says "b2b_entities:ua_session_reply".
bool has_command(const std::vector<std::string>& commands, std::string_view name) {
    return std::any_of(commands.begin(), commands.end(), [name](const std::string& command) {
        return command == name || command.ends_with(":" + std::string{name});
    });
}

}  // namespace

std::optional<std::vector<std::string>> strings_in(std::string_view answer, std::string_view name) {
    error_code error;
    const auto document = boost::json::parse(answer, error);
    if (error || !document.is_object()) return std::nullopt;
    const auto* result = document.get_object().if_contains("result");
    if (result == nullptr) return std::nullopt;
    std::vector<std::string> out;
    collect(*result, name, name.empty(), 0, out);
    return out;
}

std::vector<Finding> check_mi(const Mi& facts) {
    const std::string check = "opensips";
    if (!facts.error.empty()) {
        return {fault(
            check,
            fmt::format("no answer at UDP {}: {}", facts.endpoint, facts.error),
            "start OpenSIPS, and set [telephony.opensips] mi_ip and mi_port to its mi_datagram "
            "socket (modparam(\"mi_datagram\", \"socket_name\", \"udp:IP:PORT\"))"
        )};
    }
    std::vector<Finding> findings;
    findings.push_back(fine(
        check,
        fmt::format(
            "{} answers at UDP {}{}",
            facts.version.empty() ? "its management interface" : facts.version,
            facts.endpoint,
            facts.up_since.empty() ? "" : ", up since " + facts.up_since
        )
    ));
    if (facts.commands) {
        std::string missing;
        for (const std::string_view command :
             {"event_subscribe", "ua_session_reply", "ua_session_update", "ua_session_terminate"}) {
            if (has_command(*facts.commands, command)) continue;
            missing.append(missing.empty() ? "" : ", ").append(command);
        }
        findings.push_back(
            missing.empty() ? fine("ua sessions", "its commands are there")
                            : fault(
                                  "ua sessions",
                                  "OpenSIPS does not know " + missing,
                                  "add loadmodule \"b2b_entities.so\" to opensips.cfg (OpenSIPS "
                                  "3.6 or later)"
                              )
        );
    }
    if (facts.events && !contains(*facts.events, "E_UA_SESSION")) {
        findings.push_back(fault(
            "events",
            "OpenSIPS has no event E_UA_SESSION",
            "add loadmodule \"b2b_entities.so\" to opensips.cfg (OpenSIPS 3.6 or later)"
        ));
        return findings;
    }
    if (facts.server_up && facts.subscribers) {
        if (contains(*facts.subscribers, facts.expected)) {
            findings.push_back(fine("events", "our server is subscribed as " + facts.expected));
        } else {
            findings.push_back(fault(
                "events",
                facts.subscribers->empty() ? "nobody is subscribed, although our server runs"
                                           : fmt::format(
                                                 "{} is not subscribed; {} is",
                                                 facts.expected,
                                                 fmt::join(*facts.subscribers, ", ")
                                             ),
                "see the server's log: it must reach this OpenSIPS, with this configuration"
            ));
        }
        return findings;
    }
    if (facts.subscribe_error) {
        findings.push_back(
            facts.subscribe_error->empty()
                ? fine("events", "E_UA_SESSION can be subscribed to")
                : fault(
                      "events",
                      "OpenSIPS refuses the subscription: " + *facts.subscribe_error,
                      "add loadmodule \"event_datagram.so\" to opensips.cfg"
                  )
        );
    }
    return findings;
}

std::string options_request(std::string_view to, std::string_view from) {
    const std::string id = random_hex(8);
    return fmt::format(
        "OPTIONS sip:{0} SIP/2.0\r\n"
        "Via: SIP/2.0/UDP {1};branch=z9hG4bK{2};rport\r\n"
        "Max-Forwards: 1\r\n"
        "From: <sip:doctor@{1}>;tag={2}\r\n"
        "To: <sip:{0}>\r\n"
        "Call-ID: {2}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        "Contact: <sip:doctor@{1}>\r\n"
        "Content-Length: 0\r\n\r\n",
        to,
        from,
        id
    );
}

int status_of(std::string_view response) noexcept {
    constexpr std::string_view version = "SIP/2.0 ";
    if (!response.starts_with(version)) return 0;
    return sip::parse_number<int>(response.substr(version.size(), 3)).value_or(0);
}

Finding check_options(const Options& facts) {
    const std::string check = "sip " + facts.protocol;
    const std::string where = fmt::format("{} {}", facts.protocol, facts.endpoint);
    if (!facts.error.empty()) {
        if (!facts.from_allowed_peer) {
            return skipped(check, where + " does not answer us: we are not in allowed_peers");
        }
        return fault(
            check,
            fmt::format("no answer to OPTIONS at {}: {}", where, facts.error),
            "restart the server with this configuration; see [telephony.sip] allowed_peers"
        );
    }
    const auto found = fmt::format("{} answers OPTIONS with {}", where, facts.status);
    if (facts.status == 200) return fine(check, found);
    return warning(check, found, "503 means full or draining: see /health/ready");
}

std::vector<Finding> check_public_url(const PublicUrl& facts) {
    const std::string check = "public url";
    if (facts.url.empty()) {
        return {warning(
            check,
            "none: only this machine can call",
            "set [telephony.twilio] public_url to the https address that Twilio calls"
        )};
    }
    if (!facts.url.starts_with("https://")) {
        return {warning(
            check,
            facts.url + " is not https: Twilio opens media sockets over TLS only",
            "put a TLS proxy in front, or set [api] tls_port, and name the https address in "
            "[telephony.twilio] public_url"
        )};
    }
    if (!facts.resolve_error.empty()) {
        return {fault(
            check,
            fmt::format("{}: no address: {}", facts.url, facts.resolve_error),
            "correct [telephony.twilio] public_url, or the name's DNS entry"
        )};
    }
    std::vector<Finding> findings;
    const auto known = [](const std::string& address) {
        const Reach reach = reach_of(address);
        return reach == Reach::internet || reach == Reach::none;
    };
    if (std::none_of(facts.addresses.begin(), facts.addresses.end(), known)) {
        findings.push_back(fault(
            check,
            fmt::format(
                "{} is {}: Twilio cannot reach that", facts.url, fmt::join(facts.addresses, ", ")
            ),
            "give the name a public address, or use a tunnel's name in [telephony.twilio] "
            "public_url"
        ));
    }
    if (!facts.asked) {
        if (findings.empty()) {
            findings.push_back(fine(
                check,
                fmt::format(
                    "{} is {}; --public asks there", facts.url, fmt::join(facts.addresses, ", ")
                )
            ));
        }
        return findings;
    }
    const auto& answer = facts.health;
    if (!answer.error.empty()) {
        findings.push_back(fault(
            check,
            fmt::format("{} does not answer: {}", facts.url, answer.error),
            "start the proxy or tunnel that leads here, and let TCP 443 in"
        ));
    } else if (facts.instance.empty() || answer.body.find(facts.instance) != std::string::npos) {
        findings.push_back(
            answer.status == 200 ? fine(check, facts.url + " leads here")
                                 : warning(
                                       check,
                                       fmt::format("{} answers with {}", facts.url, answer.status),
                                       "let the proxy forward all paths, /health/live too"
                                   )
        );
    } else if (answer.body.find("\"instance\"") != std::string::npos) {
        findings.push_back(warning(
            check,
            facts.url + " leads to another oavc than the one here",
            "fine behind a load balancer; else point the proxy to this machine"
        ));
    } else {
        findings.push_back(fault(
            check,
            fmt::format("{} leads to something else: status {}", facts.url, answer.status),
            "point the proxy, ingress or tunnel to our HTTP port ([api] port)"
        ));
    }
    return findings;
}

Finding check_signature(const Signature& facts) {
    const std::string check = facts.through_public_url ? "public webhook" : "webhook";
    if (!facts.with_right.error.empty()) {
        return fault(
            check,
            fmt::format("{} does not answer: {}", facts.url, facts.with_right.error),
            "start the server, or the proxy in front of it"
        );
    }
    if (!facts.validated) {
        return warning(
            check,
            "signatures are not checked: anybody can make calls",
            "set [telephony.twilio] validate_signatures = true"
        );
    }
    const int right = facts.with_right.status;
    const int wrong = facts.with_wrong.status;
    // What we ask carries no call: past the signature that is a bad request.
    if (right == 400 && wrong == 403) {
        return fine(check, facts.url + " takes what Twilio signs and refuses what it does not");
    }
    if (right == 403) {
        return fault(
            check,
            facts.url + " refuses a request that is signed as Twilio does",
            "restart the server with this configuration: its auth_token or public_url differ"
        );
    }
    if (right == 400) {
        return fault(
            check,
            fmt::format("{} answers {} to a wrong signature", facts.url, wrong),
            "set [telephony.twilio] validate_signatures = true and restart the server"
        );
    }
    return fault(
        check,
        fmt::format("{} answers {}: not our webhook", facts.url, right),
        "let the proxy forward POST / to our HTTP port unchanged; number's webhook: URL with the "
        "slash"
    );
}

Finding check_media_socket(const MediaSocket& facts) {
    const std::string check = "media socket";
    if (facts.error.empty()) return fine(check, facts.url + " opens");
    if (facts.status == 403) {
        return fault(
            check,
            facts.url + " refuses a socket that is signed as Twilio does",
            "restart the server with this configuration: its auth_token or public_url differ"
        );
    }
    return fault(
        check,
        facts.status != 0 ? fmt::format("{} answers {}", facts.url, facts.status)
                          : fmt::format("{}: {}", facts.url, facts.error),
        "let the proxy forward WebSocket upgrades of /ws (headers Upgrade and Connection, HTTP/1.1)"
    );
}

Finding check_account(const Account& facts) {
    const std::string check = "twilio account";
    const std::string keys = "[telephony.twilio] account_sid and auth_token";
    if (facts.sid.empty()) return skipped(check, "no account_sid: not checked");
    if (!facts.asked) return skipped(check, "--public asks Twilio about " + facts.sid);
    const auto& answer = facts.answer;
    if (!answer.error.empty()) {
        return warning(
            check,
            "Twilio's REST interface does not answer: " + answer.error,
            "let TCP 443 out to api.twilio.com: transfers and outgoing calls need it"
        );
    }
    if (answer.status == 401 || answer.status == 403) {
        return fault(check, "Twilio does not know this SID with this token", "correct " + keys);
    }
    if (answer.status == 404) {
        return fault(check, "Twilio has no account " + facts.sid, "correct " + keys);
    }
    if (answer.status != 200) {
        return warning(
            check, fmt::format("Twilio answers {}", answer.status), "see status.twilio.com"
        );
    }
    if (answer.body.find("\"suspended\"") != std::string::npos ||
        answer.body.find("\"closed\"") != std::string::npos) {
        return fault(check, facts.sid + " is not active", "see Twilio's console");
    }
    return fine(check, facts.sid + " and its token are right");
}

}  // namespace oavc::app::doctor
