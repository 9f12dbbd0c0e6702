#pragma once

#include "support/sip_torture/list.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

// RFC 5118: IPv6.
inline void add_ipv6(TortureList& all) {
    const std::vector<int> no_such_method{405, 501};
    const auto registration = [](std::string_view uri, std::string_view name) {
        return "REGISTER " + std::string{uri} + R"( SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: )" + std::string{name} +
               R"(.SSG9559905523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
Content-Length: 0

)";
    };
    all.add(
        "ipv6-good", "5118 4.1", registration("sip:[2001:db8::10]", "ipv6-good"), no_such_method
    );
    // Without brackets nobody can tell the port from the address.
    all.add("ipv6-bad", "5118 4.2", registration("sip:2001:db8::10", "ipv6-bad"), {400, 405, 501});
    all.add(
        "port-ambiguous",
        "5118 4.3",
        registration("sip:[2001:db8::10:5070]", "port-ambiguous"),
        no_such_method
    );
    all.add(
        "port-unambiguous",
        "5118 4.4",
        registration("sip:[2001:db8::10]:5070", "port-unambiguous"),
        no_such_method
    );
    // As some send it, and as the grammar has it.
    for (const auto& [name, received] : {
             std::pair{"via-received-param-with-delim", "[2001:db8::9:255]"},
             std::pair{"via-received-param-no-delim", "2001:db8::9:255"},
         }) {
        all.add(
            name,
            "5118 4.5",
            R"(BYE sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com;tag=bd76ya
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=)" +
                std::string{received} + R"(;branch=z9hG4bKas3-111
Call-ID: )" + name +
                R"(.SSG9559905523997077@hlau_4100
Max-Forwards: 70
CSeq: 321 BYE
Content-Length: 0

)",
            {481}
        );
    }
    const auto invitation = [](std::string_view name, std::string_view sdp) {
        return R"(INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
Call-ID: )" + std::string{name} +
               R"(.SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::20]>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: {length}

)" + std::string{sdp};
    };
    all.add(
        "ipv6-in-sdp",
        "5118 4.6",
        invitation("ipv6-in-sdp", R"(v=0
o=assistant 971731711378798081 0 IN IP6 2001:db8::20
s=Live video feed for today's meeting
c=IN IP6 2001:db8::20
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2 0
a=rtpmap:2 G726-32/8000
m=video 6024 RTP/AVP 107
a=rtpmap:107 H263-1998/90000
)"),
        {a_call}
    );
    all.add(
        "mult-ip-in-header",
        "5118 4.7",
        R"(BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: mult-ip-in-header.997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

)",
        {481}
    );
    all.add(
        "mult-ip-in-sdp",
        "5118 4.8",
        invitation("mult-ip-in-sdp", R"(v=0
o=bob 280744730 28977631 IN IP4 host.example.com
s=
t=0 0
m=audio 22334 RTP/AVP 0
c=IN IP4 192.0.2.1
m=video 6024 RTP/AVP 107
c=IN IP6 2001:db8::1
a=rtpmap:107 H263-1998/90000
)"),
        {a_call}
    );
    all.add(
        "ipv4-mapped-ipv6",
        "5118 4.9",
        invitation("ipv4-mapped-ipv6", R"(v=0
o=bob 280744730 28977631 IN IP6 2001:db8::20
s=
c=IN IP6 ::ffff:192.0.2.10
t=0 0
m=audio 22334 RTP/AVP 0
m=video 6024 RTP/AVP 107
c=IN IP6 ::ffff:192.0.2.11
)"),
        {a_call}
    );
    // The grammar of RFC 3261 allowed three colons.
    all.add(
        "ipv6-bug-abnf-3-colons",
        "5118 4.10",
        R"(OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0
To: sip:user@[2001:db8:::192.0.2.1]
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: ipv6-bug-abnf-3-colons.G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
Content-Length: 0

)",
        {200, 400}
    );
}

}  // namespace oavc::test
