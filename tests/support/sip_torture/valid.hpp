#pragma once

#include "support/sip_torture/list.hpp"

#include <string>

namespace oavc::test {

// RFC 4475 §3.1.1: valid, if hard to read.
inline void add_valid(TortureList& all) {
    using namespace std::string_literals;
    const std::vector<int> no_such_method{405, 501};

    // Everything folded, spaced, escaped, compact, unknown and in a strange order that may be. It
    // has a To tag, so that nobody but the owner of that dialog can take it.
    all.add(
        "wsinv",
        "3.1.1.1",
        R"(INVITE sip:vivek@chair.example.com;unknownparam SIP/2.0
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

{sdp})",
        {481}
    );

    // The whole alphabet of tokens, URIs, quoted strings and Call-IDs.
    all.add(
        "intmeth",
        "3.1.1.2",
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

)"s,
        no_such_method
    );

    all.add(
        "esc01",
        "3.1.1.3",
        R"(INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
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

{sdp})",
        {a_call}
    );

    all.add(
        "escnull",
        "3.1.1.4",
        R"(REGISTER sip:example.com SIP/2.0
To: sip:null-%00-null@example.com
From: sip:null-%00-null@example.com;tag=839923423
Max-Forwards: 70
Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
Contact: <sip:%00@host5.example.com>
Contact: <sip:%00%00@host5.example.com>
L:0

)",
        no_such_method
    );

    // "RE%47IST%45R" is a method of that name, not an escaped REGISTER.
    all.add(
        "esc02",
        "3.1.1.5",
        R"(RE%47IST%45R sip:registrar.example.com SIP/2.0
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

)",
        no_such_method
    );

    all.add(
        "lwsdisp",
        "3.1.1.6",
        R"(OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
l: 0

)",
        {200}
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

{sdp})";
    all.add("longreq", "3.1.1.7", long_request, {a_call});

    // A datagram holds one message: what follows its body is nothing (RFC 3261 §18.3).
    all.add(
        "dblreq",
        "3.1.1.8",
        R"(REGISTER sip:example.com SIP/2.0
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

{sdp})",
        no_such_method
    );

    all.add(
        "semiuri",
        "3.1.1.9",
        R"(OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
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

)",
        {200}
    );

    all.add(
        "transports",
        "3.1.1.10",
        R"(OPTIONS sip:user@example.com SIP/2.0
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

)",
        {200}
    );

    all.add(
        "mpart01",
        "3.1.1.11",
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
)",
        no_such_method
    );

    // Responses to nothing that we asked.
    all.add(
        "unreason",
        "3.1.1.12",
        "SIP/2.0 200 = 2**3 * 5**2 \xD0\xBD\xD0\xBE \xD1\x81\xD1\x82\xD0\xBE\n"
        R"(Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: {length}
Content-Type: application/sdp
Contact: <sip:user@host198.example.com>

{sdp})",
        {no_answer}
    );

    all.add(
        "noreason",
        "3.1.1.13",
        R"(SIP/2.0 100 )"
        "\n"
        R"(Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>

)",
        {no_answer}
    );
}

}  // namespace oavc::test
