#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

// What must be understood, what must be refused, and what must not do harm.

namespace oavc::caller::conformance {

namespace {

/// The text of a request, bent by `bend`; answered or refused as `statuses` say. 0: silence is
/// right too.
struct Bent {
    std::string name;
    std::string source;
    std::string holds;
    std::string method;
    std::function<std::string(Phone&, Written)> bend;
    std::vector<int> statuses;
    Need need{Need::must};
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    if (at == std::string::npos) throw std::logic_error{"the case does not fit its message"};
    return text.replace(at, from.size(), to);
}

void run_bent(const Bent& bent, const Target& target) {
    Phone phone{target, false};
    const auto request = bent.method == "INVITE" ? phone.invite() : phone.request(bent.method);
    const auto text = bent.bend(phone, request);
    const bool silence_is_right =
        std::find(bent.statuses.begin(), bent.statuses.end(), 0) != bent.statuses.end();
    phone.send_text(text);
    const TimePoint until =
        Clock::now() + (silence_is_right ? milliseconds{1'000} : target.timeout);
    // By CSeq and Via alone: what else came back is what the case may have damaged.
    std::optional<Heard> last;
    while (!last || last->status < 200) {
        const auto heard = phone.response(request, until);
        if (!heard) break;
        last = heard;
    }
    const int status = last ? last->status : 0;
    if (status >= 200 && status < 300 && bent.method == "INVITE") phone.send(phone.ack());
    if (status >= 300 && bent.method == "INVITE") phone.send(phone.ack_of(request, *last));
    expect(
        std::find(bent.statuses.begin(), bent.statuses.end(), status) != bent.statuses.end(),
        fmt::format(
            "{} instead of {}", last ? last->what() : "silence", fmt::join(bent.statuses, " or ")
        )
    );
    if (status == 0 || status >= 300) phone.expect_alive();
}

std::vector<Bent> bent_requests() {
    const auto set = [](std::string name, std::string value) {
        return [name = std::move(name), value = std::move(value)](Phone&, Written request) {
            return request.set(name, value).text();
        };
    };
    const auto without = [](std::string name) {
        return [name = std::move(name)](Phone&, Written request) {
            return request.remove(name).text();
        };
    };
    const std::string ok = "is understood";
    const std::string bad = "gets 400, or silence where nothing can be answered; no harm is done";
    return {
        // What must be understood.
        {"compact",
         "RFC 3261 §7.3.3",
         "an INVITE with compact header names " + ok,
         "INVITE",
         [](Phone&, Written request) {
             for (auto& [name, value] : request.headers) {
                 if (name == "Via") name = "v";
                 if (name == "From") name = "f";
                 if (name == "To") name = "t";
                 if (name == "Call-ID") name = "i";
                 if (name == "Contact") name = "m";
                 if (name == "Content-Type") name = "c";
             }
             request.add("l", std::to_string(request.body.size()));
             request.add("k", "timer");
             return request.text();
         },
         {200}},
        {"folded",
         "RFC 3261 §7.3.1",
         "header values folded over lines " + std::string{"are understood"},
         "INVITE",
         [](Phone&, Written request) {
             request.add("Subject", "I know you're there,\r\n \t pick up\r\n  the phone");
             auto text = replaced(request.text(), ">;tag=", ">\r\n ;tag=");
             return replaced(std::move(text), ";branch=", ";\r\n\tbranch=");
         },
         {200}},
        {"odd-case",
         "RFC 3261 §7.3.1",
         "header names in any case are understood",
         "INVITE",
         [](Phone&, Written request) {
             for (auto& [name, value] : request.headers) {
                 bool upper = true;
                 for (char& c : name) {
                     c = static_cast<char>(upper ? std::toupper(c) : std::tolower(c));
                     upper = !upper;
                 }
             }
             return request.text();
         },
         {200}},
        {"blanks",
         "RFC 3261 §7.3.1, §25.1 (HCOLON, SWS)",
         "blanks around colons and semicolons are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             auto text = replaced(request.text(), "CSeq: ", "CSeq  :   ");
             text = replaced(std::move(text), ">;tag=", "> ; tag = ");
             return replaced(std::move(text), ";branch=", " ;  branch=");
         },
         {200}},
        {"reversed",
         "RFC 3261 §7.3.1",
         "headers in another order are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             std::reverse(request.headers.begin(), request.headers.end());
             return request.text();
         },
         {200}},
        {"quoted-name",
         "RFC 4475 §3.1.1.1",
         "a display name with escaped quotes, commas and UTF-8 is understood",
         "OPTIONS",
         set("From",
             "\"J. \\\"the, <caller>; tag=no\\\" \xC3\x98rsted \\\\\" <sip:jo@127.0.0.1>;tag=a1"),
         {200}},
        {"no-brackets",
         "RFC 3261 §20.10, §20.20",
         "an address without angle brackets is understood",
         "OPTIONS",
         [](Phone& phone, Written request) {
             return request.set("From", fmt::format("sip:plain@{} ; tag=a2", phone.local())).text();
         },
         {200}},
        {"empty-name",
         "RFC 4475 §3.1.1.6",
         "an empty display name and no blank before the bracket are understood",
         "OPTIONS",
         [](Phone& phone, Written request) {
             return request.set("From", fmt::format("\"\"<sip:plain@{}>;tag=a3", phone.local()))
                 .text();
         },
         {200}},
        {"escaped-uri",
         "RFC 4475 §3.1.1.3",
         "escaped characters in URIs are understood",
         "OPTIONS",
         set("From", "<sip:caller%40far%20away@127.0.0.1;param=%7b1%7d>;tag=a4"),
         {200}},
        {"escaped-nul",
         "RFC 4475 §3.1.1.4",
         "an escaped NUL in a URI is no end of it",
         "OPTIONS",
         set("From", "<sip:null-%00-null@127.0.0.1>;tag=a5"),
         {200}},
        {"unknown-parameters",
         "RFC 3261 §19.1.1, §20.42",
         "unknown parameters of URIs and headers are ignored",
         "OPTIONS",
         [](Phone&, Written request) {
             request.set("To", request.header("To") + ";unheard=of;flag");
             return replaced(request.text(), ";branch=", ";hidden;weight=0.5;branch=");
         },
         {200}},
        {"odd-token",
         "RFC 4475 §3.1.1.2",
         "every character that a token may have is understood",
         "OPTIONS",
         set("From",
             "token1~` token2'+_ token3*%!.- "
             "<sip:mundane@127.0.0.1>;fromParam''~+*_!.-%=\"x\";tag=_token~1'+`*%!-."),
         {200}},
        {"via-list",
         "RFC 3261 §7.3.1",
         "several Via values on one line are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             return request
                 .set("Via", request.header("Via") + " , SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-l2")
                 .text();
         },
         {200}},
        {"via-blanks",
         "RFC 4475 §3.1.1.1",
         "blanks around the slashes of Via are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             return replaced(request.text(), "SIP/2.0/UDP", "SIP  / 2.0\r\n / UDP");
         },
         {200}},
        {"long-values",
         "RFC 4475 §3.1.1.5",
         "long header values are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             request.add("Subject", std::string(1'000, 'x'));
             request.set("Call-ID", "long-" + std::string(180, 'c'));
             return request
                 .set(
                     "From",
                     "<sip:" + std::string(200, 'u') + "@127.0.0.1>;tag=" + std::string(100, 't')
                 )
                 .text();
         },
         {200}},
        {"many-headers",
         "RFC 3261 §7.3",
         "fifty more headers are understood",
         "OPTIONS",
         [](Phone&, Written request) {
             for (int i = 0; i < 50; ++i)
                 request.add(fmt::format("X-Number-{}", i), std::to_string(i));
             return request.text();
         },
         {200}},
        {"leading-crlf",
         "RFC 3261 §7.5",
         "empty lines before the start line are ignored",
         "OPTIONS",
         [](Phone&, Written request) { return "\r\n\r\n" + request.text(); },
         {200}},
        {"no-content-length",
         "RFC 3261 §18.3, §20.14",
         "over UDP a body without Content-Length ends with the datagram",
         "INVITE",
         [](Phone&, Written request) {
             const auto text = request.text();
             const auto at = text.find("Content-Length:");
             return text.substr(0, at) + text.substr(text.find("\r\n", at) + 2);
         },
         {200}},
        {"octets-after-body",
         "RFC 3261 §18.3, RFC 4475 §3.1.1.8",
         "over UDP octets after the body are discarded",
         "INVITE",
         [](Phone&, Written request) {
             return request.text() + "BYE sip:x@y SIP/2.0\r\njunk\r\n\r\n";
         },
         {200}},
        {"max-forwards-255",
         "RFC 3261 §20.22",
         "Max-Forwards: 255 is in order",
         "OPTIONS",
         set("Max-Forwards", "255"),
         {200}},
        {"no-max-forwards",
         "RFC 3261 §8.1.1.6, RFC 4475 §3.3.1",
         "a missing Max-Forwards (RFC 2543) is in order for the called",
         "OPTIONS",
         without("Max-Forwards"),
         {200, 400}},
        {"old-branch",
         "RFC 3261 §17.2.3, RFC 4475 §3.4.1",
         "a Via branch without the magic cookie (RFC 2543) is answered",
         "OPTIONS",
         [](Phone&, Written request) {
             request.set("Via", replaced(request.header("Via"), "z9hG4bK-", "old-"));
             return request.text();
         },
         {0, 200}},
        {"date-zone",
         "RFC 4475 §3.1.2.12",
         "a Date outside of GMT is no reason to stay silent",
         "OPTIONS",
         set("Date", "Fri, 01 Jan 2010 16:00:00 EST"),
         {200, 400}},
        {"unknown-auth",
         "RFC 4475 §3.3.13",
         "an Authorization of an unknown scheme is ignored by who asks for none",
         "OPTIONS",
         set("Authorization", "NoOneKnowsThisScheme opaque-data=here"),
         {200, 401, 407}},
        {"many-routes",
         "RFC 3261 §8.2, RFC 4475 §3.3",
         "an INVITE with Record-Route values of many kinds is understood",
         "OPTIONS",
         set("Record-Route", "<sip:[2001:db8::1];lr>, <sip:p2.invalid;lr;x=a%2Cb>"),
         {200}},
        // What must be refused.
        {"no-cseq",
         "RFC 3261 §8.1.1, RFC 4475 §3.3.1",
         "no CSeq: " + bad,
         "OPTIONS",
         without("CSeq"),
         {0, 400}},
        {"no-call-id",
         "RFC 3261 §8.1.1, RFC 4475 §3.3.1",
         "no Call-ID: " + bad,
         "OPTIONS",
         without("Call-ID"),
         {0, 400}},
        {"no-from",
         "RFC 3261 §8.1.1, RFC 4475 §3.3.1",
         "no From: " + bad,
         "OPTIONS",
         without("From"),
         {0, 400}},
        {"no-to",
         "RFC 3261 §8.1.1, RFC 4475 §3.3.1",
         "no To: " + bad,
         "OPTIONS",
         without("To"),
         {0, 400}},
        {"no-via",
         "RFC 3261 §8.1.1, §18.2.2",
         "no Via: nobody to answer, no harm",
         "OPTIONS",
         without("Via"),
         {0}},
        {"cseq-method",
         "RFC 4475 §3.1.2.17",
         "a CSeq of another method than the request's gets 400",
         "OPTIONS",
         set("CSeq", "8 INVITE"),
         {0, 400}},
        {"cseq-too-great",
         "RFC 4475 §3.1.2.4",
         "a CSeq above 2^32 " + bad,
         "OPTIONS",
         set("CSeq", "36893488147419103232 OPTIONS"),
         {0, 400}},
        {"cseq-no-number",
         "RFC 3261 §20.16",
         "a CSeq without a number " + bad,
         "OPTIONS",
         set("CSeq", "one OPTIONS"),
         {0, 400}},
        {"negative-length",
         "RFC 4475 §3.1.2.3",
         "a negative Content-Length " + bad,
         "INVITE",
         set("Content-Length", "-999"),
         {0, 400}},
        {"length-too-great",
         "RFC 3261 §18.3, RFC 4475 §3.1.2.2",
         "over UDP a Content-Length beyond the datagram gets 400",
         "INVITE",
         set("Content-Length", "9999"),
         {0, 400}},
        {"length-no-number",
         "RFC 3261 §20.14",
         "Content-Length: many " + bad,
         "INVITE",
         set("Content-Length", "many"),
         {0, 400}},
        {"version",
         "RFC 4475 §3.1.2.16, RFC 3261 §21.5.6",
         "SIP/7.0 gets 505",
         "OPTIONS",
         [](Phone&, Written request) {
             return replaced(request.text(), " SIP/2.0\r\n", " SIP/7.0\r\n");
         },
         {0, 400, 505}},
        {"uri-in-brackets",
         "RFC 4475 §3.1.2.7",
         "a Request-URI in angle brackets gets 400",
         "OPTIONS",
         [](Phone& phone, Written request) {
             request.start_line = fmt::format("OPTIONS <{}> SIP/2.0", phone.request_uri);
             return request.text();
         },
         {0, 400}},
        {"blank-in-uri",
         "RFC 4475 §3.1.2.8",
         "a Request-URI with a blank gets 400",
         "OPTIONS",
         [](Phone& phone, Written request) {
             request.start_line = fmt::format("OPTIONS {}; lr SIP/2.0", phone.request_uri);
             return request.text();
         },
         {0, 400}},
        {"blanks-in-start-line",
         "RFC 4475 §3.1.2.9",
         "several blanks in the start line get 400, or are read over",
         "OPTIONS",
         [](Phone& phone, Written request) {
             request.start_line = fmt::format("OPTIONS  {}  SIP/2.0", phone.request_uri);
             return request.text();
         },
         {0, 200, 400}},
        {"trailing-blank",
         "RFC 4475 §3.1.2.10",
         "blanks after the start line get 400, or are read over",
         "OPTIONS",
         [](Phone&, Written request) {
             request.start_line += "  ";
             return request.text();
         },
         {0, 200, 400}},
        {"two-cseqs",
         "RFC 4475 §3.3.8",
         "two CSeq headers " + bad,
         "OPTIONS",
         [](Phone&, Written request) { return request.add("CSeq", "99 OPTIONS").text(); },
         {0, 400}},
        {"two-call-ids",
         "RFC 4475 §3.3.8",
         "two Call-ID headers " + bad,
         "OPTIONS",
         [](Phone&, Written request) { return request.add("Call-ID", "another").text(); },
         {0, 400}},
        {"two-lengths",
         "RFC 4475 §3.3.9",
         "two Content-Length headers that differ " + bad,
         "INVITE",
         [](Phone&, Written request) {
             request.add("Content-Length", std::to_string(request.body.size()));
             return request.add("Content-Length", "5").text();
         },
         {0, 400}},
        {"unterminated-quote",
         "RFC 4475 §3.1.2.6",
         "a display name whose quote never ends " + bad,
         "OPTIONS",
         [](Phone& phone, Written request) {
             return request.set("To", fmt::format("\"Mr. J. User <{}>", phone.request_uri)).text();
         },
         {0, 400}},
        {"separators",
         "RFC 4475 §3.1.2.1",
         "Via and Contact with bare separators get 400, or are read over",
         "OPTIONS",
         [](Phone&, Written request) {
             request.set("Via", request.header("Via") + ";;,;,,");
             return request.set("Contact", "\"\" <> ;,;,;").text();
         },
         {0, 200, 400}},
        {"max-forwards-text",
         "RFC 3261 §20.22",
         "Max-Forwards: lots " + bad + ", or is read over",
         "OPTIONS",
         set("Max-Forwards", "lots"),
         {0, 200, 400}},
        {"nul",
         "RFC 3261 §25.1",
         "a NUL in a header " + bad + ", or is read over",
         "OPTIONS",
         [](Phone&, Written request) {
             return request.add("Subject", std::string{"a\0b", 3}).text();
         },
         {0, 200, 400}},
        {"huge-method",
         "RFC 3261 §7.1",
         "a method of 4000 letters is refused; no harm is done",
         "OPTIONS",
         [](Phone&, Written request) {
             const std::string method(4'000, 'M');
             request.start_line.replace(0, 7, method);
             return request.set("CSeq", "1 " + method).text();
         },
         {0, 400, 405, 413, 501, 513}},
        {"start-line-only",
         "RFC 3261 §7",
         "a start line alone does no harm",
         "OPTIONS",
         [](Phone&, Written request) { return request.start_line + "\r\n\r\n"; },
         {0}},
    };
}

/// A socket of its own throws bytes; afterwards the target must still answer.
void throw_at(const Target& target, const std::vector<std::string>& datagrams) {
    const Address remote = resolve(target.host, target.port);
    const UdpSocket thrower{local_address_towards(remote)};
    int in_a_row = 0;
    for (const auto& datagram : datagrams) {
        thrower.send(datagram, remote);
        // Not faster than it can be read: what the kernel drops proves nothing.
        if (++in_a_row % 50 == 0) static_cast<void>(thrower.receive(Clock::now() + 5ms));
    }
    Phone{target, false}.expect_alive();
}

}  // namespace

std::vector<Case> parsing_cases() {
    CaseList list{"parsing"};
    for (const auto& bent : bent_requests()) {
        auto& added = list.must(bent.name, bent.source, bent.holds, [bent](const Target& target) {
            run_bent(bent, target);
        });
        added.need = bent.need;
    }
    list.must(
        "junk-flood",
        "RFC 3261 §18.3, §26.1",
        "two thousand datagrams of junk leave the target alive",
        [](const Target& target) {
            std::vector<std::string> junk;
            for (int i = 0; i < 2'000; ++i) {
                junk.push_back(random_bytes(random_u32() % 600));
            }
            throw_at(target, junk);
        }
    );
    list.must(
        "half-messages",
        "RFC 3261 §18.3",
        "an INVITE cut off anywhere does no harm",
        with_udp_phone([](Phone& phone) {
            const auto text = phone.invite().text();
            std::vector<std::string> cut;
            // Up to the empty line: from there on it is a call.
            for (std::size_t size = 0; size < text.find("\r\n\r\n"); size += 3)
                cut.push_back(text.substr(0, size));
            throw_at(phone.target(), cut);
        })
    );
    list.must(
        "flipped-bits",
        "RFC 3261 §18.3, §26.1",
        "a thousand OPTIONS with damaged octets do no harm",
        with_udp_phone([](Phone& phone) {
            std::vector<std::string> damaged;
            for (int i = 0; i < 1'000; ++i) {
                auto text = phone.request("OPTIONS").text();
                for (unsigned flips = 0; flips <= random_u32() % 4; ++flips)
                    text[random_u32() % text.size()] = static_cast<char>(random_u32());
                damaged.push_back(std::move(text));
            }
            throw_at(phone.target(), damaged);
        })
    );
    list.must(
        "huge",
        "RFC 3261 §18.1.1",
        "a datagram of 60 000 octets does no harm",
        with_udp_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.add("Subject", std::string(59'000, 'h'));
            throw_at(phone.target(), {options.text()});
        })
    );
    list.must(
        "keep-alive",
        "RFC 5626 §4.4, RFC 3261 §7.5",
        "empty datagrams, CRLFs and NULs, as phones send them to keep NATs open, do no harm",
        [](const Target& target) {
            throw_at(
                target, {"", "\r\n", "\r\n\r\n", std::string(4, '\0'), "\r\n\r\n\r\n\r\n", "jaK"}
            );
        }
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
