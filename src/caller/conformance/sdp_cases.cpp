#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

// What is agreed on in SDP (RFC 3264).

namespace oavc::caller::conformance {

namespace {

/// Any call that was taken, with the description of its 200.
Description describe_call(Phone& phone, std::string body) {
    return read_description(phone.call(phone.invite(std::move(body))).body);
}

void expect_media(const Description& description, std::size_t count) {
    expect(
        description.media.size() == count,
        fmt::format("{} m-lines instead of {}", description.media.size(), count)
    );
}

std::string without_text(std::string text, std::string_view what) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos;)
        text.erase(at, what.size());
    return text;
}

}  // namespace

std::vector<Case> sdp_cases() {
    CaseList list{"sdp"};
    struct Codec {
        std::string name;
        std::string format;
        std::string rtpmap;
        Need need;
    };
    const std::vector<Codec> codecs{
        {"pcmu", "0", "PCMU/8000", Need::must},
        {"pcma", "8", "PCMA/8000", Need::must},
        {"g722", "9", "G722/8000", Need::should},
        {"opus", "111", "opus/48000/2", Need::should},
        {"l16", "107", "L16/16000", Need::should},
    };
    for (const auto& codec : codecs) {
        auto& added = list.must(
            "codec-" + codec.name,
            "RFC 3264 §6.1, RFC 3551 §6",
            codec.rtpmap + " alone is taken, under the offer's number",
            with_phone([codec](Phone& phone) {
                const auto answer = call_or_skip(
                    phone,
                    bare_offer(
                        phone,
                        "RTP/AVP " + codec.format,
                        fmt::format("a=rtpmap:{} {}\r\n", codec.format, codec.rtpmap)
                    ),
                    codec.rtpmap
                );
                const auto& audio = audio_of(answer);
                expect(
                    audio.formats == std::vector{codec.format},
                    fmt::format("answered with {}", fmt::join(audio.formats, " "))
                );
                expect(
                    same_name(audio.codec(codec.format), codec.rtpmap),
                    "answered as " + audio.codec(codec.format)
                );
            })
        );
        added.need = codec.need;
    }
    list.must(
        "codec-unknown",
        "RFC 3261 §21.4.26, RFC 3264 §6",
        "an offer of nothing but unknown codecs gets 488",
        with_phone([](Phone& phone) {
            const auto heard = phone.ask(phone.invite(impossible_offer(phone)));
            expect_not_acceptable(heard);
        })
    );
    list.must(
        "subset",
        "RFC 3264 §6.1",
        "the answer names only formats of the offer",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(
                phone,
                phone.sdp("77 18 8 0 3 101", "a=rtpmap:77 NOBODY/8000\r\na=rtpmap:18 G729/8000\r\n")
            );
            for (const auto& format : audio_of(answer).formats) {
                expect(
                    std::set<std::string>{"77", "18", "8", "0", "3", "101"}.contains(format),
                    "the answer has " + format
                );
                expect(format != "77", "an unknown codec was accepted");
            }
        })
    );
    list.should(
        "preference",
        "RFC 3264 §6.1",
        "the offerer's order is kept: PCMA before PCMU gives PCMA first",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(phone, phone.sdp("8 0 101"));
            expect(audio_of(answer).formats.front() == "8", "PCMA is not the first");
        })
    );
    list.must(
        "dynamic-numbers",
        "RFC 3264 §6.1, RFC 3551 §3",
        "dynamic numbers mean what the offer says",
        with_phone([](Phone& phone) {
            const auto body = bare_offer(
                phone,
                "RTP/AVP 98 99",
                "a=rtpmap:98 PCMU/8000\r\n"
                "a=rtpmap:99 telephone-event/8000\r\n"
            );
            call_or_skip(phone, body, "PCMU under a dynamic number");
        })
    );
    list.must(
        "static-without-rtpmap",
        "RFC 3551 §6, RFC 8866 §6.6",
        "static numbers need no a=rtpmap",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(phone, bare_offer(phone, "RTP/AVP 0"));
            expect(audio_of(answer).formats.front() == "0", "the answer is not PCMU");
        })
    );
    list.must(
        "rtpmap-case",
        "RFC 4855 §3",
        "encoding names are known in any case",
        with_phone([](Phone& phone) {
            describe_call(phone, bare_offer(phone, "RTP/AVP 0", "a=rtpmap:0 pcmu/8000/1\r\n"));
        })
    );
    list.must(
        "video-refused",
        "RFC 3264 §6",
        "audio with video: as many m-lines in the answer, in order; port 0 where refused",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(
                phone,
                phone.sdp("0 8", "a=sendrecv\r\n") +
                    "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            );
            expect_media(answer, 2);
            expect(answer.media[0].kind == "audio" && answer.media[0].port != 0, "audio refused");
            expect(answer.media[1].kind == "video", "the second m-line is not video");
        })
    );
    list.must(
        "video-first",
        "RFC 3264 §6",
        "video before audio: the order stays",
        with_phone([](Phone& phone) {
            auto body = phone.session_lines();
            body += "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
            body += fmt::format("m=audio {} RTP/AVP 0\r\n", phone.rtp.port());
            const auto answer = describe_call(phone, body);
            expect_media(answer, 2);
            expect(answer.media[0].kind == "video", "the first m-line is not video");
            expect(answer.media[1].port != 0, "audio refused");
        })
    );
    list.must(
        "two-audios",
        "RFC 3264 §6",
        "two audio streams: two m-lines in the answer, at least one accepted",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(
                phone, phone.sdp("0", "a=sendrecv\r\n") + "m=audio 40002 RTP/AVP 8\r\n"
            );
            expect_media(answer, 2);
            audio_of(answer);
        })
    );
    list.must(
        "many-media",
        "RFC 3264 §6",
        "fax, text and application beside audio are refused with port 0",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(
                phone,
                phone.sdp("0", "a=sendrecv\r\n") +
                    "m=image 40004 udptl t38\r\nm=text 40006 RTP/AVP 98\r\n"
                    "m=application 40008 TCP/BFCP *\r\n"
            );
            expect_media(answer, 4);
        })
    );
    list.must(
        "zero-port",
        "RFC 3264 §6",
        "a stream offered with port 0 stays refused",
        with_phone([](Phone& phone) {
            const auto answer =
                describe_call(phone, phone.sdp("0", "a=sendrecv\r\n") + "m=video 0 RTP/AVP 96\r\n");
            expect_media(answer, 2);
            expect(answer.media[1].port == 0, "a disabled stream got a port");
        })
    );
    list.must(
        "only-video",
        "RFC 3261 §21.4.26",
        "an offer without audio gets 488",
        with_phone([](Phone& phone) {
            const auto heard = phone.ask(phone.invite(
                phone.session_lines() + "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            ));
            expect_not_acceptable(heard);
        })
    );
    for (const int ptime : {10, 20, 30, 40, 60}) {
        auto& added = list.should(
            fmt::format("ptime-{}", ptime),
            "RFC 8866 §6.4, RFC 3264 §6.1",
            fmt::format("a=ptime:{} is taken, and packets have that length", ptime),
            with_phone([ptime](Phone& phone) {
                phone.call(phone.invite(phone.sdp("0", fmt::format("a=ptime:{}\r\n", ptime))));
                const auto heard = packets(phone, 10);
                std::set<std::size_t> sizes;
                for (const auto& packet : heard) {
                    if (packet.payload_type == 0) sizes.insert(packet.size / 8);
                }
                expect(
                    sizes == std::set{static_cast<std::size_t>(ptime)},
                    fmt::format("packets of {} ms", fmt::join(sizes, ", "))
                );
            })
        );
        if (ptime == 20) added.need = Need::must;
    }
    for (const int maxptime : {10, 20, 40}) {
        list.must(
            fmt::format("maxptime-{}", maxptime),
            "RFC 8866 §6.5",
            fmt::format("with a=maxptime:{} no packet is longer", maxptime),
            with_phone([maxptime](Phone& phone) {
                phone.call(phone.invite(phone.sdp("0", fmt::format("a=maxptime:{}\r\n", maxptime)))
                );
                for (const auto& packet : packets(phone, 10)) {
                    expect(
                        packet.payload_type != 0 ||
                            packet.size <= static_cast<std::size_t>(8 * maxptime),
                        fmt::format("a packet of {} ms", packet.size / 8)
                    );
                }
            })
        );
    }
    list.must(
        "ipv6-literal",
        "RFC 8866 §5.7, RFC 5118 §4.9",
        "an IPv6 address in the offer is taken or refused, without harm",
        with_phone([](Phone& phone) {
            auto body = phone.sdp("0");
            if (body.find("c=IN IP4") == std::string::npos)
                throw NotOffered{"the target is on IPv6"};
            const auto line = body.find("c=IN IP4");
            body.replace(line, body.find("\r\n", line) - line, "c=IN IP6 ::1");
            const auto heard = try_call(phone, body);
            expect(heard.status == 200 || heard.status == 488 || heard.status == 606, heard.what());
            phone.expect_alive();
        })
    );
    struct Direction {
        std::string offered;
        std::vector<std::string> answers;
    };
    const std::vector<Direction> directions{
        {"sendonly", {"recvonly", "inactive"}},
        {"recvonly", {"sendonly", "inactive"}},
        {"inactive", {"inactive"}},
        {"sendrecv", {"sendrecv", "sendonly", "recvonly", "inactive"}},
    };
    for (const auto& direction : directions) {
        list.must(
            direction.offered,
            "RFC 3264 §6.1",
            fmt::format(
                "a call with a={} is answered {}",
                direction.offered,
                fmt::join(direction.answers, " or ")
            ),
            with_phone([direction](Phone& phone) {
                const auto answer =
                    describe_call(phone, phone.sdp("0 101", "a=" + direction.offered + "\r\n"));
                const auto answered = audio_of(answer).direction();
                expect(
                    std::find(direction.answers.begin(), direction.answers.end(), answered) !=
                        direction.answers.end(),
                    "answered a=" + answered
                );
            })
        );
    }
    list.must(
        "session-direction",
        "RFC 8866 §6.7, RFC 3264 §5.1",
        "a direction of the session counts for its streams",
        with_phone([](Phone& phone) {
            auto body = phone.session_lines() + "a=inactive\r\n";
            body += fmt::format("m=audio {} RTP/AVP 0\r\n", phone.rtp.port());
            const auto answer = describe_call(phone, body);
            const auto direction = audio_of(answer).direction();
            expect(direction == "inactive", "answered a=" + direction);
        })
    );
    struct Damage {
        std::string name;
        std::string holds;
        std::function<std::string(std::string)> damage;
    };
    const std::vector<Damage> damages{
        {"lf-only",
         "lines that end in LF alone are read",
         [](std::string body) { return without_text(std::move(body), "\r"); }},
        {"no-last-crlf",
         "a last line without an end is read",
         [](std::string body) { return body.substr(0, body.size() - 2); }},
        {"empty-lines",
         "empty lines at the end are read over",
         [](std::string body) { return body + "\r\n\r\n"; }},
        {"lfcr-mix",
         "a mixture of CRLF and LF is read",
         [](std::string body) {
             body.erase(body.find('\r'), 1);
             body.erase(body.rfind('\r'), 1);
             return body;
         }},
    };
    for (const auto& damage : damages) {
        list.should(damage.name, "RFC 8866 §5", damage.holds, with_phone([damage](Phone& phone) {
                        describe_call(phone, damage.damage(phone.sdp()));
                    }));
    }
    list.must(
        "unknown-lines",
        "RFC 8866 §5.13, §6",
        "unknown attributes, bandwidths, keys and times are read over",
        with_phone([](Phone& phone) {
            auto body = phone.sdp(
                "0 101",
                "b=AS:80\r\na=unheard-of\r\na=also:unheard of\r\na=ssrc:1 cname:x\r\n"
                "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=mid:0\r\n"
            );
            const auto times = body.find("t=0 0\r\n");
            body.insert(times, "b=CT:1000\r\n");
            body.insert(body.find("t=0 0\r\n") + 7, "r=7d 1h 0 25h\r\na=group:BUNDLE 0\r\n");
            describe_call(phone, body);
        })
    );
    list.must("long", "RFC 8866 §5", "an offer of 8 KB is read", with_phone([](Phone& phone) {
                  std::string more;
                  for (int i = 0; i < 100; ++i)
                      more += fmt::format("a=fill-{}:{}\r\n", i, std::string(60, 'f'));
                  describe_call(phone, phone.sdp("0", more));
              }));
    list.must(
        "many-formats",
        "RFC 3264 §6.1",
        "the one known format among thirty is found",
        with_phone([](Phone& phone) {
            std::string formats;
            std::string maps;
            for (int i = 96; i < 126; ++i) {
                formats += fmt::format("{} ", i);
                maps += fmt::format("a=rtpmap:{} X{}/8000\r\n", i, i);
            }
            const auto answer =
                describe_call(phone, bare_offer(phone, "RTP/AVP " + formats + "0", maps));
            expect(audio_of(answer).formats.front() == "0", "not PCMU");
        })
    );
    list.should(
        "telephone-event",
        "RFC 4733 §2.4, RFC 3264 §6.1",
        "telephone-event is answered when it is offered, under the offer's number",
        with_phone([](Phone& phone) {
            auto body = phone.sdp("0 96", "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\n");
            const auto answer = describe_call(phone, body);
            const auto& audio = audio_of(answer);
            expect(has_format(audio, "96"), "it is not in the answer");
            expect(
                lower(audio.codec("96")).starts_with("telephone-event/8000"),
                "answered as " + audio.codec("96")
            );
        })
    );
    list.must(
        "no-telephone-event",
        "RFC 3264 §6.1",
        "telephone-event is not answered when it was not offered",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(phone, phone.sdp("0 8"));
            expect(
                lower(answer.text).find("telephone-event") == std::string::npos,
                "the answer has telephone-event"
            );
        })
    );
    list.must(
        "no-rtcp-mux",
        "RFC 5761 §5.1.1",
        "rtcp-mux is not answered when it was not offered",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(phone, phone.sdp());
            expect(!audio_of(answer).attribute("rtcp-mux"), "the answer has a=rtcp-mux");
        })
    );
    list.must(
        "rtcp-mux",
        "RFC 5761 §5.1.1",
        "an offer of rtcp-mux is taken, with or without it",
        with_phone([](Phone& phone) { describe_call(phone, phone.sdp("0", "a=rtcp-mux\r\n")); })
    );
    list.must(
        "late-offer",
        "RFC 3261 §13.2.1, §13.3.1.4",
        "an INVITE without SDP gets an offer in the 200; the ACK brings the answer",
        with_phone([](Phone& phone) {
            auto invite = phone.invite({});
            const auto heard = phone.ask(invite);
            if (heard.status == 415 || heard.status == 488) {
                throw NotOffered{"the target makes no offers (" + heard.what() + ')'};
            }
            expect(heard.status == 200, heard.what());
            phone.send(phone.ack(phone.sdp("0 101")));
            const auto offer = read_description(heard.body);
            audio_of(offer);
            phone.hang_up();
        })
    );
    list.must(
        "late-offer-no-answer",
        "RFC 3261 §13.2.1",
        "an ACK without the answer that it owes does no harm",
        with_phone([](Phone& phone) {
            const auto heard = phone.ask(phone.invite({}));
            if (heard.status >= 300) throw NotOffered{"the target makes no offers"};
            phone.send(phone.ack());
            static_cast<void>(phone.requested("BYE", Clock::now() + 500ms));
            phone.expect_alive();
        })
    );
    const std::string crypto =
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string(40, 'A') + "\r\n";
    list.must(
        "srtp",
        "RFC 4568 §5.1.2",
        "RTP/SAVP with a key is answered as RTP/SAVP with a key, or refused",
        with_phone([crypto](Phone& phone) {
            call_or_skip(phone, bare_offer(phone, "RTP/SAVP 0", crypto), "SRTP");
        })
    );
    list.must(
        "srtp-answer",
        "RFC 4568 §5.1.2",
        "the answer to RTP/SAVP has the transport of the offer and one a=crypto of its tag",
        with_phone([crypto](Phone& phone) {
            const auto answer =
                call_or_skip(phone, bare_offer(phone, "RTP/SAVP 0", crypto), "SRTP");
            const auto& audio = audio_of(answer);
            expect(audio.transport == "RTP/SAVP", "answered as " + audio.transport);
            const auto key = audio.attribute("crypto");
            expect(key && key->starts_with("1 "), "no a=crypto:1 in the answer");
        })
    );
    list.must(
        "srtp-without-key",
        "RFC 4568 §5.1.2",
        "RTP/SAVP without a key is refused",
        with_phone([](Phone& phone) {
            const auto heard = try_call(phone, bare_offer(phone, "RTP/SAVP 0"));
            expect(
                heard.status == 488 || heard.status == 606 || heard.status == 400,
                heard.what() + " instead of 488"
            );
        })
    );
    list.must(
        "dtls-only",
        "RFC 5763 §5, RFC 3264 §6",
        "an offer of nothing but DTLS-SRTP is refused by who has none",
        with_phone([](Phone& phone) {
            const auto heard =
                try_call(phone, bare_offer(phone, "UDP/TLS/RTP/SAVPF 0", "a=setup:actpass\r\n"));
            if (heard.status == 200) {
                const auto& audio = audio_of(phone.answer());
                expect(
                    audio.transport == "UDP/TLS/RTP/SAVPF" && audio.attribute("fingerprint"),
                    "taken, but not as offered"
                );
                return;
            }
            expect_not_acceptable(heard);
        })
    );
    list.must(
        "form",
        "RFC 8866 §5, §9",
        "the answer has v, o, s, t and m lines in their order, each ended by CRLF",
        with_phone([](Phone& phone) {
            const auto answer = describe_call(phone, phone.sdp());
            std::string letters;
            for (const auto& line : answer.lines) {
                if (line.size() > 1) letters += line[0];
            }
            expect(letters.starts_with("vos"), "it begins with " + letters.substr(0, 3));
            const auto m = letters.find('m');
            const auto t = letters.find('t');
            expect(m != std::string::npos && t < m, "no t= line before m=");
            expect(audio_of(answer).connection.starts_with("IN IP"), "no c= line for the audio");
            expect(answer.text.ends_with("\r\n"), "the last line has no CRLF");
            expect(
                std::count(answer.origin.begin(), answer.origin.end(), ' ') == 5,
                "o=" + answer.origin
            );
        })
    );
    list.must(
        "address-usable",
        "RFC 3264 §6.1",
        "the address of the answer can be sent to: a unicast address that is not 0.0.0.0",
        with_phone([](Phone& phone) {
            phone.call();
            const auto address = phone.media_address();
            expect(address.ip() != "0.0.0.0" && address.ip() != "::", "answered " + address.ip());
        })
    );
    list.should("even-port", "RFC 3550 §11", "the RTP port is even", with_phone([](Phone& phone) {
                    phone.call();
                    expect(phone.media_address().port() % 2 == 0, "it is odd");
                }));
    list.should(
        "multipart",
        "RFC 5621 §3.1, §8.2",
        "SDP inside multipart/mixed is found, or refused with 415",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.set("Content-Type", "multipart/mixed;boundary=parts");
            invite.body =
                "--parts\r\nContent-Type: text/plain\r\n\r\nhello\r\n--parts\r\n"
                "Content-Type: application/sdp\r\n\r\n" +
                invite.body + "\r\n--parts--\r\n";
            const auto heard = phone.ask(invite);
            if (heard.status == 200) phone.accept(heard);
            expect(heard.status == 200 || heard.status == 415, heard.what());
        })
    );
    for (const std::string body :
         {"v=0\r\n", "m=audio\r\n", "v=1\r\no=x\r\n", "v=0\r\nm=audio 99999999999 RTP/AVP 0\r\n"}) {
        list.must(
            fmt::format("damaged-{}", body.size()),
            "RFC 3261 §21.4.1",
            "a damaged offer is refused",
            with_phone([body](Phone& phone) {
                const auto heard = try_call(phone, body);
                expect(
                    heard.status == 400 || heard.status == 488 || heard.status == 606,
                    heard.what() + " instead of 400 or 488"
                );
            })
        );
    }
    return list.take();
}

}  // namespace oavc::caller::conformance
