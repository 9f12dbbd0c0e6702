#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

/// The torture messages of RFC 4475 and RFC 5118, written anew from what those describe, each with
/// what a user agent may do with it. The names are those of the RFCs.
namespace oavc::test {

struct TortureMessage {
    std::string name;
    std::string section;
    std::string bytes;
    /// Final statuses that are right. 0: no answer at all, 1: a call, which waits to be answered.
    std::vector<int> right;
};

inline constexpr int no_answer = 0;
inline constexpr int a_call = 1;

/// Line ends become CRLF, `{length}` the length of the body. A '\\' at a line's end joins it with
/// the next one.
inline std::string sip_bytes(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("\\\n")) {
            ++i;
        } else if (text[i] == '\n') {
            out += "\r\n";
        } else {
            out += text[i];
        }
    }
    if (const auto mark = out.find("{length}"); mark != std::string::npos) {
        const auto body = out.find("\r\n\r\n") + 4;
        out.replace(mark, 8, std::to_string(out.size() - body));
    }
    return out;
}

inline std::string repeated(std::string_view text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i)
        out += text;
    return out;
}

/// A description that anybody can answer.
inline constexpr std::string_view torture_sdp = R"(v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.3
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 49218 RTP/AVP 0 12
a=rtpmap:0 PCMU/8000
)";

// RFC 4475 §3.1.1: valid, if hard to read.
inline void add_valid(std::vector<TortureMessage>& all) {
    using namespace std::string_literals;
    const std::string sdp{torture_sdp};
    const std::vector<int> no_such_method{405, 501};

    // Everything folded, spaced, escaped, compact, unknown and in a strange order that may be. It
    // has a To tag, so that nobody but the owner of that dialog can take it.
    all.push_back(
        {"wsinv",
         "3.1.1.1",
         sip_bytes(R"(INVITE sip:vivek@chair.example.com;unknownparam SIP/2.0
TO :
 sip:vivek@chair.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdr@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : {length}
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdr@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

)" + sdp),
         {481}}
    );

    // The whole alphabet of tokens, URIs, quoted strings and Call-IDs.
    all.push_back(
        {"intmeth",
         "3.1.1.2",
         sip_bytes(
             R"(!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*\
:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~
To: "BEL:\)"s +
             "\x07 NUL:\\\0 DEL:\\\x7F"s +
             R"(" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="\
)"s + "\xD1\x80\xD0\xB0\xD0\xB1\xD0\xBE\xD1\x82"s +
             R"(";tag=_token~1'+`*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{
CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_`'~:)"s +
             "\xEF\xBB\xBF\xE5\xA4\xA7\xE5\x81\x9C\xE9\x9B\xBB"s + R"(
Content-Length: 0

)"s
         ),
         no_such_method}
    );

    all.push_back(
        {"esc01",
         "3.1.1.3",
         sip_bytes(R"(INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
To: sip:%75se%72@example.com
From: <sip:I%20have%20spaces@example.net>;tag=938
Max-Forwards: 87
i: esc01.239409asdfakjkn23onasd0-3234
CSeq: 234234 INVITE
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw
C: application/sdp
Contact:
  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: {length}

)" + sdp),
         {a_call}}
    );

    all.push_back(
        {"escnull",
         "3.1.1.4",
         sip_bytes(R"(REGISTER sip:example.com SIP/2.0
To: sip:null-%00-null@example.com
From: sip:null-%00-null@example.com;tag=839923423
Max-Forwards: 70
Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
Contact: <sip:%00@host5.example.com>
Contact: <sip:%00%00@host5.example.com>
L:0

)"),
         no_such_method}
    );

    // "RE%47IST%45R" is a method of that name, not an escaped REGISTER.
    all.push_back(
        {"esc02",
         "3.1.1.5",
         sip_bytes(R"(RE%47IST%45R sip:registrar.example.com SIP/2.0
To: "%Z%45" <sip:resource@example.com>
From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf
Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.com>
C%6Fntact: <sip:alias2@host2.example.com>
Contact: <sip:alias3@host3.example.com>
l: 0

)"),
         no_such_method}
    );

    all.push_back(
        {"lwsdisp",
         "3.1.1.6",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
l: 0

)"),
         {200}}
    );

    std::string long_request = R"(INVITE sip:user@example.com SIP/2.0
To: "I have a user name of )" + repeated("extreme ", 10) +
                               R"(proportion"<sip:user@example.com:6000;\
unknownparam1=very)" + repeated("long", 20) +
                               R"(value;longparam)" + repeated("name", 25) + R"(=shortvalue;\
very)" + repeated("long", 20) + R"(ParameterNameWithNoValue>
F: sip:)" + repeated("amazinglylongcallername", 5) +
                               R"(@example.net;tag=12)" + repeated("982", 50) +
                               R"(424;unknownheaderparam)" + repeated("name", 20) +
                               "=unknowheaderparam" + repeated("value", 15) +
                               R"(;unknownValueless)" + repeated("paramname", 10) + R"(
Call-ID: longreq.one)" + repeated("really", 20) +
                               R"(longcallid
CSeq: 3882340 INVITE
Unknown-)" + repeated("Long", 20) +
                               R"(-Name: unknown-)" + repeated("long", 20) + R"(-value; unknown-)" +
                               repeated("long", 20) + R"(-parameter-name = unknown-)" +
                               repeated("long", 20) + R"(-parameter-value
Via: SIP/2.0/TCP sip33.example.com
v: SIP/2.0/TCP sip32.example.com
V: SIP/2.0/TCP sip31.example.com
)";
    for (int hop = 30; hop > 0; --hop)
        long_request += "Via: SIP/2.0/TCP sip" + std::to_string(hop) + ".example.com\n";
    long_request += "Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very" +
                    repeated("long", 50) + R"(branchvalue
Max-Forwards: 70
Contact: <sip:)" + repeated("amazinglylongcallername", 5) +
                    R"(@host5.example.net>
Content-Type: application/sdp
l: {length}

)" + sdp;
    all.push_back({"longreq", "3.1.1.7", sip_bytes(long_request), {a_call}});

    // A datagram holds one message: what follows its body is nothing (RFC 3261 §18.3).
    all.push_back(
        {"dblreq",
         "3.1.1.8",
         sip_bytes(R"(REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.user@host.example.com
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
Content-Length: 0


INVITE sip:joe@example.com SIP/2.0
t: sip:joe@example.com
From: sip:caller@example.net;tag=141334
Max-Forwards: 8
Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234
Content-Type: application/sdp
Content-Length: 150

)" + sdp),
         no_such_method}
    );

    all.push_back(
        {"semiuri",
         "3.1.1.9",
         sip_bytes(R"(OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
l: 0

)"),
         {200}}
    );

    all.push_back(
        {"transports",
         "3.1.1.10",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: <sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw
Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
l: 0

)"),
         {200}}
    );

    all.push_back(
        {"mpart01",
         "3.1.1.11",
         sip_bytes(
             R"(MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZng=
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.com>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Date: Sat, 15 Oct 2005 04:44:56 GMT
User-Agent: SIPimp.org/0.2.5 (curses)
Content-Length: {length}

--7a9cbec02ceef655
Content-Type: text/plain
Content-Transfer-Encoding: binary

Hello
--7a9cbec02ceef655
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

)" + "0\x82\x01\x52\x06\x09*\x86H\x86\xF7\r\x01\x07\x02\xA0\x00\x01"s +
             R"(
--7a9cbec02ceef655--
)"
         ),
         no_such_method}
    );

    // Responses to nothing that we asked.
    all.push_back(
        {"unreason",
         "3.1.1.12",
         sip_bytes(
             "SIP/2.0 200 = 2**3 * 5**2 \xD0\xBD\xD0\xBE \xD1\x81\xD1\x82\xD0\xBE\n"
             R"(Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: {length}
Content-Type: application/sdp
Contact: <sip:user@host198.example.com>

)" + sdp
         ),
         {no_answer}}
    );

    all.push_back(
        {"noreason",
         "3.1.1.13",
         sip_bytes(R"(SIP/2.0 100 )"
                   "\n"
                   R"(Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>

)"),
         {no_answer}}
    );
}

// RFC 4475 §3.1.2: broken.
inline void add_broken(std::vector<TortureMessage>& all) {
    const std::string sdp{torture_sdp};

    all.push_back(
        {"badinv01",
         "3.1.2.1",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=134161461246
Max-Forwards: 7
Call-ID: badinv01.0ha0isndaksdjasdf3234nas
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;;,;,,
Contact: "Joe" <sip:joe@example.org>;;;;
Content-Length: {length}
Content-Type: application/sdp

)" + sdp),
         {400}}
    );

    all.push_back(
        {"clerr",
         "3.1.2.2",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
Max-Forwards: 80
To: sip:j.user@example.com
From: sip:caller@example.net;tag=93942939o2
Contact: <sip:caller@hungry.example.net>
Call-ID: clerr.0ha0isndaksdjweiafasdk3
CSeq: 8 INVITE
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523
Content-Type: application/sdp
Content-Length: 9999

)" + sdp),
         {400}}
    );

    all.push_back(
        {"ncl",
         "3.1.2.3",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
Max-Forwards: 254
To: sip:j.user@example.com
From: sip:caller@example.net;tag=32394234
Call-ID: ncl.0ha0isndaksdj2193423r542w35
CSeq: 0 INVITE
Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw
Contact: <sip:caller@example53.example.net>
Content-Type: application/sdp
Content-Length: -999

)" + sdp),
         {400}}
    );

    all.push_back(
        {"scalar02",
         "3.1.2.4",
         sip_bytes(
             R"(REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3
To: <sip:user@example.com>
From: <sip:user@example.com>;tag=239232jh3
CSeq: 36893488147419103232 REGISTER
Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32
Max-Forwards: 300
Expires: 1)" +
             repeated("0", 100) + R"(
Contact: <sip:user@host129.example.com>
  ;expires=280297596632815
Content-Length: 0

)"
         ),
         {400, 405, 501}}
    );

    all.push_back(
        {"scalarlg",
         "3.1.2.5",
         sip_bytes(R"(SIP/2.0 503 Service Unavailable
Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129
To: <sip:user@example.com>
From: <sip:other@example.net>;tag=2easdjfejw
CSeq: 9292394834772304023312 OPTIONS
Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r
Retry-After: 949302838503028349304023988
Warning: 1812 overture "In Progress"
Content-Length: 0

)"),
         {no_answer}}
    );

    all.push_back(
        {"quotbal",
         "3.1.2.6",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
To: "Mr. J. User <sip:j.user@example.com>
From: sip:caller@example.net;tag=93334
Max-Forwards: 10
Call-ID: quotbal.aksdj
Contact: <sip:caller@host59.example.net>
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400}}
    );

    all.push_back(
        {"ltgtruri",
         "3.1.2.7",
         sip_bytes(R"(INVITE <sip:user@example.com> SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=39291
Max-Forwards: 23
Call-ID: ltgtruri.1@192.0.2.5
CSeq: 1 INVITE
Via: SIP/2.0/UDP 192.0.2.5
Contact: <sip:caller@host5.example.net>
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400}}
    );

    all.push_back(
        {"lwsruri",
         "3.1.2.8",
         sip_bytes(R"(INVITE sip:user@example.com; lr SIP/2.0
To: sip:user@example.com;tag=3xfe-9921883-z9f
From: sip:caller@example.net;tag=231413434
Max-Forwards: 5
Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423
CSeq: 2130706432 INVITE
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395
Contact: <sip:caller@host1.example.net>
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400}}
    );

    all.push_back(
        {"lwsstart",
         "3.1.2.9",
         sip_bytes(R"(INVITE  sip:user@example.com  SIP/2.0
Max-Forwards: 8
To: sip:user@example.com
From: sip:caller@example.net;tag=8814
Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com
CSeq: 1893884 INVITE
Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923
Contact: <sip:caller@host1.example.net>
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400, a_call}}
    );

    all.push_back(
        {"trws",
         "3.1.2.10",
         sip_bytes("OPTIONS sip:remote-target@example.com SIP/2.0  \n"
                   R"(Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093
To: <sip:remote-target@example.com>
From: <sip:local-resource@example.com>;tag=329429089
Call-ID: trws.oicu34958239neffasdhr2345r
Accept: application/sdp
CSeq: 238923 OPTIONS
Max-Forwards: 70
Content-Length: 0

)"),
         {400, 200}}
    );

    all.push_back(
        {"escruri",
         "3.1.2.11",
         sip_bytes(R"(INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=341518
Max-Forwards: 7
Contact: <sip:caller@host39923.example.net>
Call-ID: escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5
CSeq: 149209342 INVITE
Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400, a_call}}
    );

    // Only who reads Date has to mind.
    all.push_back(
        {"baddate",
         "3.1.2.12",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=2234923
Max-Forwards: 70
Call-ID: baddate.239423mnsadf3j23lj42--sedfnm234
CSeq: 1392934 INVITE
Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
Date: Fri, 01 Jan 2010 16:00:00 EST
Contact: <sip:caller@host5.example.net>
Content-Type: application/sdp
Content-Length: {length}

)" + sdp),
         {400, a_call}}
    );

    all.push_back(
        {"regbadct",
         "3.1.2.13",
         sip_bytes(R"(REGISTER sip:example.com SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=998332
Max-Forwards: 70
Call-ID: regbadct.k345asrl3fdbv@10.0.0.1
CSeq: 1 REGISTER
Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw
Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E
l: 0

)"),
         {400, 405, 501}}
    );

    all.push_back(
        {"badaspec",
         "3.1.2.14",
         sip_bytes(R"(OPTIONS sip:user@example.org SIP/2.0
Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234
Max-Forwards: 70
From: "Bell, Alexander" <sip:a.g.bell@example.com>;tag=433423
To: "Watson, Thomas" < sip:t.watson@example.org >
Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3
Accept: application/sdp
CSeq: 3923239 OPTIONS
l: 0

)"),
         {400, 200}}
    );

    all.push_back(
        {"baddn",
         "3.1.2.15",
         sip_bytes(R"(OPTIONS sip:t.watson@example.org SIP/2.0
Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards:      70
From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43
To:      Watson, Thomas <sip:t.watson@example.org>
Call-ID: baddn.31415@c.example.com
Accept: application/sdp
CSeq:    3923239 OPTIONS
l: 0

)"),
         {400, 200}}
    );

    all.push_back(
        {"badvers",
         "3.1.2.16",
         sip_bytes(R"(OPTIONS sip:t.watson@example.org SIP/7.0
Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw
Max-Forwards:     70
From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe
To:      T. Watson <sip:t.watson@example.org>
Call-ID: badvers.31417@c.example.com
CSeq:    1 OPTIONS
l: 0

)"),
         {505}}
    );

    all.push_back(
        {"mismatch01",
         "3.1.2.17",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch01.dj0234sxdfl3
CSeq: 8 INVITE
Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
l: 0

)"),
         {400}}
    );

    all.push_back(
        {"mismatch02",
         "3.1.2.18",
         sip_bytes(R"(NEWMETHOD sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch02.dj0234sxdfl3
CSeq: 8 INVITE
Contact: <sip:caller@host.example.net>
Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw
Content-Type: application/sdp
l: {length}

)" + sdp),
         {400, 405, 501}}
    );

    all.push_back(
        {"bigcode",
         "3.1.2.19",
         sip_bytes(R"(SIP/2.0 4294967301 better not break the receiver
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i
CSeq: 353494 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>

)"),
         {no_answer}}
    );
}

// RFC 4475 §3.2, §3.3, §3.4: well formed, but strange.
inline void add_strange(std::vector<TortureMessage>& all) {
    const std::string sdp{torture_sdp};
    const std::vector<int> no_such_method{405, 501};

    all.push_back(
        {"badbranch",
         "3.2.1",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK
Accept: application/sdp
Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n
CSeq: 8 OPTIONS
l: 0

)"),
         {200, 400}}
    );

    all.push_back(
        {"insuf",
         "3.3.1",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
CSeq: 193942 INVITE
Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
Content-Type: application/sdp
l: {length}

)" + sdp),
         {400}}
    );

    all.push_back(
        {"unkscm",
         "3.3.2",
         sip_bytes(R"(OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0

)"),
         {416}}
    );

    all.push_back(
        {"novelsc",
         "3.3.3",
         sip_bytes(R"(OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: novelsc.asdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0

)"),
         {416}}
    );

    all.push_back(
        {"unksm2",
         "3.3.4",
         sip_bytes(R"(REGISTER sip:example.com SIP/2.0
To: isbn:2983792873
From: <http://www.example.com>;tag=3234233
Call-ID: unksm2.daksdj@hyphenated-host.example.com
CSeq: 234902 REGISTER
Max-Forwards: 70
Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw
Contact: <name:John_Smith>
l: 0

)"),
         no_such_method}
    );

    all.push_back(
        {"bext01",
         "3.3.5",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.net;tag=242etr
Max-Forwards: 6
Call-ID: bext01.0ha0isndaksdj
Require: nothingSupportsThis, nothingSupportsThisEither
Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis
CSeq: 8 OPTIONS
Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw
Content-Length: 0

)"),
         {420}}
    );

    all.push_back(
        {"invut",
         "3.3.6",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
Contact: <sip:caller@host5.example.net>
To: sip:j.user@example.com
From: sip:caller@example.net;tag=8392034
Max-Forwards: 70
Call-ID: invut.0ha0isndaksdjadsfij34n23d
CSeq: 235448 INVITE
Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw
Content-Type: application/unknownformat
Content-Length: {length}

<audio>
 <pcmu port="443"/>
</audio>
)"),
         {415}}
    );

    all.push_back(
        {"regaut01",
         "3.3.7",
         sip_bytes(R"(REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=87321hj23128
Max-Forwards: 8
Call-ID: regaut01.0ha0isndaksdj
CSeq: 9338 REGISTER
Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw
Authorization: NoOneKnowsThisScheme opaque-data=here
Content-Length:0

)"),
         no_such_method}
    );

    all.push_back(
        {"multi01",
         "3.3.8",
         sip_bytes(R"(INVITE sip:user@company.example SIP/2.0
Contact: <sip:caller@host25.example.net>
Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw
Max-Forwards: 70
CSeq: 5 INVITE
Call-ID: multi01.98asdh@192.0.2.1
CSeq: 59 INVITE
Call-ID: multi01.98asdh@192.0.2.2
From: sip:caller@example.net;tag=3413415
To: sip:user@example.com
To: sip:other@example.net
From: sip:caller@example.net;tag=2923420123
Content-Type: application/sdp
l: {length}
Contact: <sip:caller@host36.example.net>
Max-Forwards: 5

)" + sdp),
         {400}}
    );

    all.push_back(
        {"mcl01",
         "3.3.9",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423
To: sip:user@example.com
From: sip:other@example.net;tag=3923942
Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf
CSeq: 15932 OPTIONS
Content-Length: 13
Max-Forwards: 60
Content-Length: 5
Content-Type: text/plain

There's no way to know how many octets are supposed to be here.
)"),
         {400}}
    );

    // Not to be forwarded to anybody, above all not to everybody.
    all.push_back(
        {"bcast",
         "3.3.10",
         sip_bytes(R"(SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: {length}
Content-Type: application/sdp
Contact: <sip:user@host28.example.com>

)" + sdp),
         {no_answer}}
    );

    // 483 is for proxies: for us it has arrived.
    all.push_back(
        {"zeromf",
         "3.3.11",
         sip_bytes(R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=3ghsd41
Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas
CSeq: 39234321 OPTIONS
Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i
Max-Forwards: 0
Content-Length: 0

)"),
         {200}}
    );

    for (const auto& [name, section, contact] : {
             std::tuple{"cparam01", "3.3.12", "sip:+19725552222@gw1.example.net;unknownparam"},
             std::tuple{"cparam02", "3.3.13", "<sip:+19725552222@gw1.example.net;unknownparam>"},
             std::tuple{
                 "regescrt", "3.3.14", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"},
         }) {
        all.push_back(
            {name,
             section,
             sip_bytes(
                 R"(REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe
To: sip:watson@example.com
Call-ID: )" + std::string{name} +
                 R"(.70710@saturn.example.com
CSeq: 2 REGISTER
Contact: )" + contact +
                 R"(
l: 0

)"
             ),
             no_such_method}
        );
    }

    all.push_back(
        {"sdp01",
         "3.3.15",
         sip_bytes(R"(INVITE sip:user@example.com SIP/2.0
To: sip:j_user@example.com
Contact: <sip:caller@host15.example.net>
From: sip:caller@example.net;tag=234
Max-Forwards: 5
Call-ID: sdp01.ndaksdj9342dasdd
Accept: text/nobodyKnowsThis
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw
Content-Length: {length}
Content-Type: application/sdp

)" + sdp),
         {406}}
    );

    // Neither branch nor From tag nor Max-Forwards, and a user in Record-Route.
    all.push_back(
        {"inv2543",
         "3.4.1",
         sip_bytes(R"(INVITE sip:UserB@example.com SIP/2.0
Via: SIP/2.0/UDP iftgw.example.com
From: <sip:+13035551111@ift.client.example.net;user=phone>
Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
To: sip:+16505552222@ss1.example.net;user=phone
Call-ID: inv2543.1717@ift.client.example.com
CSeq: 56 INVITE
Content-Type: application/sdp

)" + sdp),
         {a_call}}
    );
}

// RFC 5118: IPv6.
inline void add_ipv6(std::vector<TortureMessage>& all) {
    const std::vector<int> no_such_method{405, 501};
    const auto registration = [](std::string_view uri, std::string_view name) {
        return sip_bytes(
            "REGISTER " + std::string{uri} + R"( SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: )" +
            std::string{name} + R"(.SSG9559905523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
Content-Length: 0

)"
        );
    };
    all.push_back(
        {"ipv6-good", "5118 4.1", registration("sip:[2001:db8::10]", "ipv6-good"), no_such_method}
    );
    // Without brackets nobody can tell the port from the address.
    all.push_back(
        {"ipv6-bad", "5118 4.2", registration("sip:2001:db8::10", "ipv6-bad"), {400, 405, 501}}
    );
    all.push_back(
        {"port-ambiguous",
         "5118 4.3",
         registration("sip:[2001:db8::10:5070]", "port-ambiguous"),
         no_such_method}
    );
    all.push_back(
        {"port-unambiguous",
         "5118 4.4",
         registration("sip:[2001:db8::10]:5070", "port-unambiguous"),
         no_such_method}
    );
    // As some send it, and as the grammar has it.
    for (const auto& [name, received] : {
             std::pair{"via-received-param-with-delim", "[2001:db8::9:255]"},
             std::pair{"via-received-param-no-delim", "2001:db8::9:255"},
         }) {
        all.push_back(
            {name,
             "5118 4.5",
             sip_bytes(
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

)"
             ),
             {481}}
        );
    }
    const auto invitation = [](std::string_view name, std::string_view sdp) {
        return sip_bytes(
            R"(INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
Call-ID: )" +
            std::string{name} + R"(.SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::20]>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: {length}

)" + std::string{sdp}
        );
    };
    all.push_back(
        {"ipv6-in-sdp",
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
         {a_call}}
    );
    all.push_back(
        {"mult-ip-in-header",
         "5118 4.7",
         sip_bytes(R"(BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: mult-ip-in-header.997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

)"),
         {481}}
    );
    all.push_back(
        {"mult-ip-in-sdp",
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
         {a_call}}
    );
    all.push_back(
        {"ipv4-mapped-ipv6",
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
         {a_call}}
    );
    // The grammar of RFC 3261 allowed three colons.
    all.push_back(
        {"ipv6-bug-abnf-3-colons",
         "5118 4.10",
         sip_bytes(R"(OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0
To: sip:user@[2001:db8:::192.0.2.1]
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: ipv6-bug-abnf-3-colons.G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
Content-Length: 0

)"),
         {200, 400}}
    );
}

inline std::vector<TortureMessage> torture_messages() {
    std::vector<TortureMessage> all;
    add_valid(all);
    add_broken(all);
    add_strange(all);
    add_ipv6(all);
    return all;
}

}  // namespace oavc::test
