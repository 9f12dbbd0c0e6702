#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

// What is agreed on in SDP, and whether the media then are what was agreed on.

namespace oavc::caller::conformance {

namespace {

/// The call's packets, once there are `count` of them.
std::vector<RtpPacket> packets(Phone& phone, std::size_t count) {
    phone.rtp.speak_to(phone.media_address());
    auto out = phone.rtp.collect(Clock::now() + phone.target().timeout, count);
    if (out.size() < count) {
        throw NotOffered{
            fmt::format("only {} RTP packets came: the target does not speak first", out.size())};
    }
    return out;
}

/// How many packets come once so much time has passed, by the kernel's clock.
std::size_t packets_after(Phone& phone, Clock::duration time) {
    const TimePoint settled = Clock::now() + time;
    const auto heard = phone.rtp.collect(settled + 700ms);
    return static_cast<std::size_t>(std::count_if(
        heard.begin(),
        heard.end(),
        [settled](const RtpPacket& packet) { return packet.at > settled; }
    ));
}

const Description::Media& audio_of(const Description& description) {
    const auto* audio = description.audio();
    expect(audio != nullptr, "no audio in the answer");
    return *audio;
}

bool has_format(const Description::Media& media, std::string_view format) {
    return std::find(media.formats.begin(), media.formats.end(), format) != media.formats.end();
}

/// Calls with that body; 488 means that the target has nothing of it.
void call_or_skip(Phone& phone, std::string body, const std::string& what) {
    const auto invite = phone.invite(std::move(body));
    const auto heard = phone.ask(invite);
    if (heard.status == 488 || heard.status == 606) {
        throw NotOffered{fmt::format("the target has no {} ({})", what, heard.what())};
    }
    expect(heard.status == 200, heard.what());
    phone.accept(heard);
}

/// Any call that was taken, as `Phone::call`, with the description of its 200.
Description describe_call(Phone& phone, std::string body) {
    const auto invite = phone.invite(std::move(body));
    return read_description(phone.call(invite).body);
}

std::string without_text(std::string text, std::string_view what) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos;)
        text.erase(at, what.size());
    return text;
}

/// Gaps between arrivals in ms, sorted.
std::vector<double> gaps_of(const std::vector<RtpPacket>& heard) {
    std::vector<double> out;
    for (std::size_t i = 1; i < heard.size(); ++i)
        out.push_back(to_ms(heard[i].at - heard[i - 1].at));
    std::sort(out.begin(), out.end());
    return out;
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
            [codec](const Target& target) {
                Phone phone{target};
                auto body = phone.session_lines();
                body += fmt::format(
                    "m=audio {} RTP/AVP {}\r\na=rtpmap:{} {}\r\n",
                    phone.rtp.port(),
                    codec.format,
                    codec.format,
                    codec.rtpmap
                );
                const auto invite = phone.invite(body);
                const auto heard = phone.ask(invite);
                if (heard.status == 488 || heard.status == 606) {
                    throw NotOffered{"the target has no " + codec.rtpmap};
                }
                expect(heard.status == 200, heard.what());
                phone.send(phone.ack());
                const auto answer = read_description(heard.body);
                const auto& audio = audio_of(answer);
                expect(
                    audio.formats == std::vector{codec.format},
                    fmt::format("answered with {}", fmt::join(audio.formats, " "))
                );
                expect(
                    same_name(audio.codec(codec.format), codec.rtpmap),
                    "answered as " + audio.codec(codec.format)
                );
            }
        );
        added.need = codec.need;
    }
    list.must(
        "codec-unknown",
        "RFC 3261 §21.4.26, RFC 3264 §6",
        "an offer of nothing but unknown codecs gets 488",
        [](const Target& target) {
            Phone phone{target};
            const auto heard =
                phone.ask(phone.invite(phone.sdp("77", "a=rtpmap:77 NOBODY/8000\r\n")));
            expect(heard.status == 488 || heard.status == 606, heard.what() + " instead of 488");
        }
    );
    list.must(
        "subset",
        "RFC 3264 §6.1",
        "the answer names only formats of the offer",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.should(
        "preference",
        "RFC 3264 §6.1",
        "the offerer's order is kept: PCMA before PCMU gives PCMA first",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(phone, phone.sdp("8 0 101"));
            expect(audio_of(answer).formats.front() == "8", "PCMA is not the first");
        }
    );
    list.must(
        "dynamic-numbers",
        "RFC 3264 §6.1, RFC 3551 §3",
        "dynamic numbers mean what the offer says",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format(
                "m=audio {} RTP/AVP 98 99\r\na=rtpmap:98 PCMU/8000\r\n"
                "a=rtpmap:99 telephone-event/8000\r\n",
                phone.rtp.port()
            );
            call_or_skip(phone, body, "PCMU under a dynamic number");
        }
    );
    list.must(
        "static-without-rtpmap",
        "RFC 3551 §6, RFC 8866 §6.6",
        "static numbers need no a=rtpmap",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format("m=audio {} RTP/AVP 0\r\n", phone.rtp.port());
            const auto answer = describe_call(phone, body);
            expect(audio_of(answer).formats.front() == "0", "the answer is not PCMU");
        }
    );
    list.must(
        "rtpmap-case",
        "RFC 4855 §3",
        "encoding names are known in any case",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body +=
                fmt::format("m=audio {} RTP/AVP 0\r\na=rtpmap:0 pcmu/8000/1\r\n", phone.rtp.port());
            describe_call(phone, body);
        }
    );
    list.must(
        "video-refused",
        "RFC 3264 §6",
        "audio with video: as many m-lines in the answer, in order; port 0 where refused",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(
                phone,
                phone.sdp("0 8", "a=sendrecv\r\n") +
                    "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            );
            expect(answer.media.size() == 2, fmt::format("{} m-lines", answer.media.size()));
            expect(answer.media[0].kind == "audio" && answer.media[0].port != 0, "audio refused");
            expect(answer.media[1].kind == "video", "the second m-line is not video");
        }
    );
    list.must(
        "video-first",
        "RFC 3264 §6",
        "video before audio: the order stays",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
            body += fmt::format("m=audio {} RTP/AVP 0\r\n", phone.rtp.port());
            const auto answer = describe_call(phone, body);
            expect(answer.media.size() == 2, fmt::format("{} m-lines", answer.media.size()));
            expect(answer.media[0].kind == "video", "the first m-line is not video");
            expect(answer.media[1].port != 0, "audio refused");
        }
    );
    list.must(
        "two-audios",
        "RFC 3264 §6",
        "two audio streams: two m-lines in the answer, at least one accepted",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(
                phone, phone.sdp("0", "a=sendrecv\r\n") + "m=audio 40002 RTP/AVP 8\r\n"
            );
            expect(answer.media.size() == 2, fmt::format("{} m-lines", answer.media.size()));
            audio_of(answer);
        }
    );
    list.must(
        "many-media",
        "RFC 3264 §6",
        "fax, text and application beside audio are refused with port 0",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(
                phone,
                phone.sdp("0", "a=sendrecv\r\n") +
                    "m=image 40004 udptl t38\r\nm=text 40006 RTP/AVP 98\r\n"
                    "m=application 40008 TCP/BFCP *\r\n"
            );
            expect(answer.media.size() == 4, fmt::format("{} m-lines", answer.media.size()));
        }
    );
    list.must(
        "zero-port",
        "RFC 3264 §6",
        "a stream offered with port 0 stays refused",
        [](const Target& target) {
            Phone phone{target};
            const auto answer =
                describe_call(phone, phone.sdp("0", "a=sendrecv\r\n") + "m=video 0 RTP/AVP 96\r\n");
            expect(answer.media.size() == 2, fmt::format("{} m-lines", answer.media.size()));
            expect(answer.media[1].port == 0, "a disabled stream got a port");
        }
    );
    list.must(
        "only-video",
        "RFC 3261 §21.4.26",
        "an offer without audio gets 488",
        [](const Target& target) {
            Phone phone{target};
            const auto heard = phone.ask(phone.invite(
                phone.session_lines() + "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            ));
            expect(heard.status == 488 || heard.status == 606, heard.what() + " instead of 488");
        }
    );
    for (const int ptime : {10, 20, 30, 40, 60}) {
        auto& added = list.should(
            fmt::format("ptime-{}", ptime),
            "RFC 8866 §6.4, RFC 3264 §6.1",
            fmt::format("a=ptime:{} is taken, and packets have that length", ptime),
            [ptime](const Target& target) {
                Phone phone{target};
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
            }
        );
        if (ptime == 20) added.need = Need::must;
    }
    for (const int maxptime : {10, 20, 40}) {
        list.must(
            fmt::format("maxptime-{}", maxptime),
            "RFC 8866 §6.5",
            fmt::format("with a=maxptime:{} no packet is longer", maxptime),
            [maxptime](const Target& target) {
                Phone phone{target};
                phone.call(phone.invite(phone.sdp("0", fmt::format("a=maxptime:{}\r\n", maxptime)))
                );
                for (const auto& packet : packets(phone, 10)) {
                    expect(
                        packet.payload_type != 0 ||
                            packet.size <= static_cast<std::size_t>(8 * maxptime),
                        fmt::format("a packet of {} ms", packet.size / 8)
                    );
                }
            }
        );
    }
    list.must(
        "ipv6-literal",
        "RFC 8866 §5.7, RFC 5118 §4.9",
        "an IPv6 address in the offer is taken or refused, without harm",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.sdp("0");
            if (body.find("c=IN IP4") == std::string::npos)
                throw NotOffered{"the target is on IPv6"};
            const auto line = body.find("c=IN IP4");
            body.replace(line, body.find("\r\n", line) - line, "c=IN IP6 ::1");
            const auto heard = phone.ask(phone.invite(body));
            expect(heard.status == 200 || heard.status == 488 || heard.status == 606, heard.what());
            if (heard.status == 200) phone.send(phone.ack());
            phone.expect_alive();
        }
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
            [direction](const Target& target) {
                Phone phone{target};
                const auto answer =
                    describe_call(phone, phone.sdp("0 101", "a=" + direction.offered + "\r\n"));
                const auto answered = audio_of(answer).direction();
                expect(
                    std::find(direction.answers.begin(), direction.answers.end(), answered) !=
                        direction.answers.end(),
                    "answered a=" + answered
                );
            }
        );
    }
    list.must(
        "session-direction",
        "RFC 8866 §6.7, RFC 3264 §5.1",
        "a direction of the session counts for its streams",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines() + "a=inactive\r\n";
            body += fmt::format("m=audio {} RTP/AVP 0\r\n", phone.rtp.port());
            const auto answer = describe_call(phone, body);
            const auto direction = audio_of(answer).direction();
            expect(direction == "inactive", "answered a=" + direction);
        }
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
        list.should(damage.name, "RFC 8866 §5", damage.holds, [damage](const Target& target) {
            Phone phone{target};
            describe_call(phone, damage.damage(phone.sdp()));
        });
    }
    list.must(
        "unknown-lines",
        "RFC 8866 §5.13, §6",
        "unknown attributes, bandwidths, keys and times are read over",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.sdp(
                "0 101",
                "b=AS:80\r\na=unheard-of\r\na=also:unheard of\r\na=ssrc:1 cname:x\r\n"
                "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=mid:0\r\n"
            );
            const auto times = body.find("t=0 0\r\n");
            body.insert(times, "b=CT:1000\r\n");
            body.insert(body.find("t=0 0\r\n") + 7, "r=7d 1h 0 25h\r\na=group:BUNDLE 0\r\n");
            describe_call(phone, body);
        }
    );
    list.must("long", "RFC 8866 §5", "an offer of 8 KB is read", [](const Target& target) {
        Phone phone{target};
        std::string more;
        for (int i = 0; i < 100; ++i)
            more += fmt::format("a=fill-{}:{}\r\n", i, std::string(60, 'f'));
        describe_call(phone, phone.sdp("0", more));
    });
    list.must(
        "many-formats",
        "RFC 3264 §6.1",
        "the one known format among thirty is found",
        [](const Target& target) {
            Phone phone{target};
            std::string formats;
            std::string maps;
            for (int i = 96; i < 126; ++i) {
                formats += fmt::format("{} ", i);
                maps += fmt::format("a=rtpmap:{} X{}/8000\r\n", i, i);
            }
            auto body = phone.session_lines();
            body += fmt::format("m=audio {} RTP/AVP {}0\r\n{}", phone.rtp.port(), formats, maps);
            const auto answer = describe_call(phone, body);
            expect(audio_of(answer).formats.front() == "0", "not PCMU");
        }
    );
    list.should(
        "telephone-event",
        "RFC 4733 §2.4, RFC 3264 §6.1",
        "telephone-event is answered when it is offered, under the offer's number",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.sdp("0 96", "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\n");
            const auto answer = describe_call(phone, body);
            const auto& audio = audio_of(answer);
            expect(has_format(audio, "96"), "it is not in the answer");
            expect(
                lower(audio.codec("96")).starts_with("telephone-event/8000"),
                "answered as " + audio.codec("96")
            );
        }
    );
    list.must(
        "no-telephone-event",
        "RFC 3264 §6.1",
        "telephone-event is not answered when it was not offered",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(phone, phone.sdp("0 8"));
            expect(
                lower(answer.text).find("telephone-event") == std::string::npos,
                "the answer has telephone-event"
            );
        }
    );
    list.must(
        "no-rtcp-mux",
        "RFC 5761 §5.1.1",
        "rtcp-mux is not answered when it was not offered",
        [](const Target& target) {
            Phone phone{target};
            const auto answer = describe_call(phone, phone.sdp());
            expect(!audio_of(answer).attribute("rtcp-mux"), "the answer has a=rtcp-mux");
        }
    );
    list.must(
        "rtcp-mux",
        "RFC 5761 §5.1.1",
        "an offer of rtcp-mux is taken, with or without it",
        [](const Target& target) {
            Phone phone{target};
            describe_call(phone, phone.sdp("0", "a=rtcp-mux\r\n"));
        }
    );
    list.must(
        "late-offer",
        "RFC 3261 §13.2.1, §13.3.1.4",
        "an INVITE without SDP gets an offer in the 200; the ACK brings the answer",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.must(
        "late-offer-no-answer",
        "RFC 3261 §13.2.1",
        "an ACK without the answer that it owes does no harm",
        [](const Target& target) {
            Phone phone{target};
            const auto heard = phone.ask(phone.invite({}));
            if (heard.status >= 300) throw NotOffered{"the target makes no offers"};
            phone.send(phone.ack());
            static_cast<void>(phone.requested("BYE", Clock::now() + 500ms));
            phone.expect_alive();
        }
    );
    const std::string crypto =
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + std::string(40, 'A') + "\r\n";
    list.must(
        "srtp",
        "RFC 4568 §5.1.2",
        "RTP/SAVP with a key is answered as RTP/SAVP with a key, or refused",
        [crypto](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format("m=audio {} RTP/SAVP 0\r\n{}", phone.rtp.port(), crypto);
            call_or_skip(phone, body, "SRTP");
        }
    );
    list.must(
        "srtp-answer",
        "RFC 4568 §5.1.2",
        "the answer to RTP/SAVP has the transport of the offer and one a=crypto of its tag",
        [crypto](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format("m=audio {} RTP/SAVP 0\r\n{}", phone.rtp.port(), crypto);
            const auto heard = phone.ask(phone.invite(body));
            if (heard.status == 488 || heard.status == 606) throw NotOffered{"no SRTP (488)"};
            expect(heard.status == 200, heard.what());
            phone.send(phone.ack());
            const auto answer = read_description(heard.body);
            const auto& audio = audio_of(answer);
            expect(audio.transport == "RTP/SAVP", "answered as " + audio.transport);
            const auto key = audio.attribute("crypto");
            expect(key && key->starts_with("1 "), "no a=crypto:1 in the answer");
        }
    );
    list.must(
        "srtp-without-key",
        "RFC 4568 §5.1.2",
        "RTP/SAVP without a key is refused",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format("m=audio {} RTP/SAVP 0\r\n", phone.rtp.port());
            const auto heard = phone.ask(phone.invite(body));
            if (heard.status == 200) phone.send(phone.ack());
            expect(
                heard.status == 488 || heard.status == 606 || heard.status == 400,
                heard.what() + " instead of 488"
            );
        }
    );
    list.must(
        "dtls-only",
        "RFC 5763 §5, RFC 3264 §6",
        "an offer of nothing but DTLS-SRTP is refused by who has none",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body += fmt::format(
                "m=audio {} UDP/TLS/RTP/SAVPF 0\r\na=setup:actpass\r\n", phone.rtp.port()
            );
            const auto heard = phone.ask(phone.invite(body));
            if (heard.status == 200) {
                phone.send(phone.ack());
                const auto answer = read_description(heard.body);
                const auto& audio = audio_of(answer);
                expect(
                    audio.transport == "UDP/TLS/RTP/SAVPF" && audio.attribute("fingerprint"),
                    "taken, but not as offered"
                );
                return;
            }
            expect(heard.status == 488 || heard.status == 606, heard.what() + " instead of 488");
        }
    );
    list.must(
        "form",
        "RFC 8866 §5, §9",
        "the answer has v, o, s, t and m lines in their order, each ended by CRLF",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.must(
        "address-usable",
        "RFC 3264 §6.1",
        "the address of the answer can be sent to: a unicast address that is not 0.0.0.0",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto address = phone.media_address();
            expect(address.ip() != "0.0.0.0" && address.ip() != "::", "answered " + address.ip());
        }
    );
    list.should("even-port", "RFC 3550 §11", "the RTP port is even", [](const Target& target) {
        Phone phone{target};
        phone.call();
        expect(phone.media_address().port() % 2 == 0, "it is odd");
    });
    list.should(
        "multipart",
        "RFC 5621 §3.1, §8.2",
        "SDP inside multipart/mixed is found, or refused with 415",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.set("Content-Type", "multipart/mixed;boundary=parts");
            invite.body =
                "--parts\r\nContent-Type: text/plain\r\n\r\nhello\r\n--parts\r\n"
                "Content-Type: application/sdp\r\n\r\n" +
                invite.body + "\r\n--parts--\r\n";
            const auto heard = phone.ask(invite);
            if (heard.status == 200) phone.send(phone.ack());
            expect(heard.status == 200 || heard.status == 415, heard.what());
        }
    );
    for (const std::string body :
         {"v=0\r\n", "m=audio\r\n", "v=1\r\no=x\r\n", "v=0\r\nm=audio 99999999999 RTP/AVP 0\r\n"}) {
        list.must(
            fmt::format("damaged-{}", body.size()),
            "RFC 3261 §21.4.1",
            "a damaged offer is refused",
            [body](const Target& target) {
                Phone phone{target};
                const auto heard = phone.ask(phone.invite(body));
                if (heard.status == 200) phone.send(phone.ack());
                expect(
                    heard.status == 400 || heard.status == 488 || heard.status == 606,
                    heard.what() + " instead of 400 or 488"
                );
            }
        );
    }
    return list.take();
}

std::vector<Case> media_cases() {
    CaseList list{"media"};
    list.must(
        "comes",
        "RFC 3264 §6.1, RFC 3550 §5.1",
        "RTP comes to the address of the offer",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            phone.rtp.speak_to(phone.media_address());
            const auto heard = phone.rtp.collect(Clock::now() + target.timeout, 10);
            expect(heard.size() == 10, fmt::format("{} packets came", heard.size()));
            for (const auto& packet : heard)
                expect(packet.valid, "something else than RTP came");
        }
    );
    list.must(
        "first",
        "RFC 3264 §6.1",
        "RTP comes also to who has not sent any",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard = phone.rtp.collect(Clock::now() + target.timeout, 5);
            if (heard.size() < 5) {
                // Without this the target might simply have nothing to say.
                packets(phone, 5);
                throw Failed{"it comes only after ours"};
            }
        }
    );
    list.must(
        "sequence",
        "RFC 3550 §5.1",
        "sequence numbers grow by one",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard = packets(phone, 40);
            for (std::size_t i = 1; i < heard.size(); ++i) {
                const auto step =
                    static_cast<std::uint16_t>(heard[i].sequence - heard[i - 1].sequence);
                expect(step == 1, fmt::format("a step of {}", step));
            }
        }
    );
    list.must(
        "timestamp",
        "RFC 3550 §5.1, RFC 3551 §4.2",
        "timestamps grow by the samples of each packet",
        [](const Target& target) {
            Phone phone{target};
            phone.call(phone.invite(phone.sdp("0")));
            const auto heard = packets(phone, 40);
            for (std::size_t i = 1; i < heard.size(); ++i) {
                if (heard[i].marker) continue;  // silence lies before it
                const auto step = heard[i].timestamp - heard[i - 1].timestamp;
                expect(
                    step == heard[i - 1].size,
                    fmt::format("a step of {} after {} samples", step, heard[i - 1].size)
                );
            }
        }
    );
    list.must("ssrc", "RFC 3550 §8", "one SSRC for the whole call", [](const Target& target) {
        Phone phone{target};
        phone.call();
        std::set<std::uint32_t> ssrcs;
        for (const auto& packet : packets(phone, 40))
            ssrcs.insert(packet.ssrc);
        expect(ssrcs.size() == 1, fmt::format("{} SSRCs", ssrcs.size()));
    });
    list.must(
        "ssrcs-differ",
        "RFC 3550 §8.1",
        "two calls have their own SSRCs and beginnings",
        [](const Target& target) {
            Phone one{target};
            Phone other{target};
            one.call();
            other.call();
            const auto a = packets(one, 1).front();
            const auto b = packets(other, 1).front();
            expect(a.ssrc != b.ssrc, "the same SSRC twice");
            expect(a.timestamp != b.timestamp, "the same timestamp twice");
        }
    );
    list.should(
        "marker",
        "RFC 3551 §4.1",
        "the first packet of a talkspurt has the marker bit, most others have not",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard = packets(phone, 40);
            const auto marked = std::count_if(heard.begin(), heard.end(), [](const auto& packet) {
                return packet.marker;
            });
            expect(heard.front().marker, "the first packet has none");
            expect(marked < 10, fmt::format("{} of 40 packets have it", marked));
        }
    );
    auto& pacing = list.must(
        "pacing",
        "RFC 3551 §4.2",
        "packets come every 20 ms: the mean is right, and 99 of 100 gaps are below 40 ms",
        [](const Target& target) {
            Phone phone{target};
            phone.call(phone.invite(phone.sdp("0", "a=ptime:20\r\n")));
            auto heard = packets(phone, 80);
            heard.erase(heard.begin(), heard.begin() + 5);
            const auto gaps = gaps_of(heard);
            const double whole = to_ms(heard.back().at - heard.front().at);
            const double media = (heard.back().timestamp - heard.front().timestamp) / 8.0;
            const double p99 = gaps[gaps.size() * 99 / 100 - 1];
            expect(
                std::abs(whole - media) < 40,
                fmt::format("{:.0f} ms of audio took {:.0f} ms", media, whole)
            );
            expect(p99 < 40, fmt::format("p99 of the gaps is {:.1f} ms", p99));
        }
    );
    pacing.alone = true;
    list.must(
        "source",
        "RFC 4961 §3",
        "RTP comes from the port that the answer names (symmetric RTP)",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto advertised = phone.media_address();
            for (const auto& packet : packets(phone, 5)) {
                expect(
                    packet.from.port() == advertised.port(),
                    fmt::format("from port {}, not {}", packet.from.port(), advertised.port())
                );
            }
        }
    );
    list.must(
        "payload-type",
        "RFC 3264 §6.1",
        "packets have a payload type that was agreed on",
        [](const Target& target) {
            Phone phone{target};
            phone.call(phone.invite(phone.sdp("8 0 101")));
            const auto& formats = audio_of(phone.answer()).formats;
            for (const auto& packet : packets(phone, 20)) {
                const auto type = std::to_string(packet.payload_type);
                expect(
                    std::find(formats.begin(), formats.end(), type) != formats.end() ||
                        packet.payload_type == 13,
                    "type " + type
                );
            }
        }
    );
    list.must(
        "dynamic-payload-type",
        "RFC 3264 §6.1",
        "the offerer's dynamic number is what is sent to it",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.session_lines();
            body +=
                fmt::format("m=audio {} RTP/AVP 98\r\na=rtpmap:98 PCMU/8000\r\n", phone.rtp.port());
            call_or_skip(phone, body, "PCMU under a dynamic number");
            for (const auto& packet : packets(phone, 5))
                expect(packet.payload_type == 98, fmt::format("type {}", packet.payload_type));
        }
    );
    list.must(
        "hold-stops",
        "RFC 3264 §8.4",
        "nothing is sent to who is on hold (a=inactive)",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 10);
            const auto held = phone.reinvite(phone.sdp("0 8 101", "a=inactive\r\n"));
            expect(held.status == 200, held.what());
            phone.rtp.be_silent();
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came on hold", more));
        }
    );
    list.must(
        "hold-sendonly-stops",
        "RFC 3264 §8.4",
        "nothing is sent to who only sends (a=sendonly)",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 10);
            const auto held = phone.reinvite(phone.sdp("0 8 101", "a=sendonly\r\n"));
            expect(held.status == 200, held.what());
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came on hold", more));
        }
    );
    list.must(
        "hold-resumes",
        "RFC 3264 §8.4",
        "after hold RTP comes again, with the same SSRC",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto before = packets(phone, 5);
            expect(phone.reinvite(phone.sdp("0 8 101", "a=inactive\r\n")).status == 200, "no hold");
            static_cast<void>(phone.rtp.collect(Clock::now() + 200ms));
            expect(phone.reinvite(phone.sdp()).status == 200, "no resume");
            const auto after = packets(phone, 5);
            expect(after.back().ssrc == before.back().ssrc, "another SSRC");
        }
    );
    list.must(
        "bye-stops",
        "RFC 3261 §15.1.2",
        "after BYE nothing is sent",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 10);
            phone.hang_up();
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came after the BYE", more));
        }
    );
    list.must(
        "moves",
        "RFC 3264 §8.3.1",
        "after a re-INVITE with another port RTP goes there",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 5);
            phone.rtp.be_silent();
            RtpProbe other{with_port(local_address_towards(resolve(target.host, target.port)), 0)};
            auto body = phone.sdp();
            const auto port = std::to_string(phone.rtp.port());
            body.replace(body.find(port), port.size(), std::to_string(other.port()));
            const auto moved = phone.reinvite(body);
            expect(moved.status == 200, moved.what());
            other.speak_to(phone.media_address());
            const auto heard = other.collect(Clock::now() + target.timeout, 5);
            expect(heard.size() == 5, fmt::format("{} packets came to the new port", heard.size()));
        }
    );
    list.must(
        "medium-address",
        "RFC 8866 §5.7",
        "the c= line of the stream counts before that of the session",
        [](const Target& target) {
            Phone phone{target};
            auto body = phone.sdp("0");
            const auto first = body.find("c=");
            const auto line = body.substr(first, body.find("\r\n", first) + 2 - first);
            if (!line.starts_with("c=IN IP4")) throw NotOffered{"the target is on IPv6"};
            body.replace(first, line.size(), "c=IN IP4 192.0.2.1\r\n");
            body.insert(body.find("\r\n", body.find("m=audio")) + 2, line);
            phone.call(phone.invite(body));
            packets(phone, 5);
        }
    );
    auto& rtcp = list.must(
        "rtcp",
        "RFC 3550 §6.2, §6.4",
        "RTCP comes to the port above: a report first, then SDES with CNAME",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto ssrc = packets(phone, 5).front().ssrc;
            const auto report =
                phone.rtp.collect_rtcp(Clock::now() + std::max<milliseconds>(target.timeout, 9s));
            expect(report.has_value(), "none came");
            const auto byte = [&](std::size_t at) {
                return static_cast<unsigned>(static_cast<unsigned char>((*report)[at]));
            };
            expect(report->size() >= 8 && byte(0) >> 6U == 2, "it is not RTCP");
            expect(byte(1) == 200 || byte(1) == 201, "it does not begin with a report");
            const auto sender = byte(4) << 24U | byte(5) << 16U | byte(6) << 8U | byte(7);
            expect(sender == ssrc, "its SSRC is not that of the RTP");
            const std::size_t next = 4 * ((byte(2) << 8U | byte(3)) + 1);
            expect(
                report->size() > next + 8 && byte(next + 1) == 202 && byte(next + 8) == 1,
                "no SDES with CNAME behind the report"
            );
        }
    );
    rtcp.seconds = 8;
    list.should(
        "latch",
        "RFC 4961 §3, RFC 7362 §4",
        "who is behind a NAT is answered where his RTP comes from",
        [](const Target& target) {
            Phone phone{target};
            RtpProbe elsewhere{
                with_port(local_address_towards(resolve(target.host, target.port)), 0)};
            phone.call();  // describes phone.rtp, speaks from elsewhere
            elsewhere.speak_to(phone.media_address());
            const auto heard = elsewhere.collect(Clock::now() + target.timeout, 5);
            expect(
                heard.size() == 5,
                fmt::format("{} packets came to where ours come from", heard.size())
            );
        }
    );
    list.must(
        "strangers",
        "RFC 3550 §9.1, RFC 7362 §5",
        "a stranger's packets do not draw the audio away",
        [](const Target& target) {
            Phone phone{target};
            RtpProbe stranger{
                with_port(local_address_towards(resolve(target.host, target.port)), 0)};
            phone.call();
            packets(phone, 10);
            const auto remote = phone.media_address();
            for (int i = 0; i < 20; ++i) {
                stranger.send(
                    remote, 0, false, static_cast<std::uint32_t>(160 * i), std::string(160, '\x80')
                );
                static_cast<void>(phone.rtp.collect(Clock::now() + 10ms));
            }
            const auto taken = stranger.collect(Clock::now() + 200ms);
            expect(taken.empty(), fmt::format("the stranger heard {} packets", taken.size()));
            packets(phone, 3);
        }
    );
    list.must(
        "junk",
        "RFC 3550 §A.1",
        "what is no RTP does not disturb the stream",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 5);
            const auto remote = phone.media_address();
            for (int i = 0; i < 200; ++i) {
                std::string bytes(random_u32() % 100, '\0');
                for (char& c : bytes)
                    c = static_cast<char>(random_u32());
                phone.rtp.send_raw(remote, bytes);
            }
            phone.rtp.send_raw(remote, std::string(1'400, '\xFF'));
            packets(phone, 5);
            phone.hang_up();
        }
    );
    list.must(
        "unknown-type",
        "RFC 3550 §5.1",
        "packets of a type that was not agreed on are ignored",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 3);
            for (int i = 0; i < 20; ++i) {
                phone.rtp.send(
                    phone.media_address(),
                    77,
                    false,
                    phone.rtp.next_timestamp(),
                    std::string(160, 'x')
                );
            }
            packets(phone, 5);
            phone.hang_up();
        }
    );
    list.must(
        "dtmf",
        "RFC 4733 §2.5",
        "a key as telephone-event is taken in; the stream and the call go on",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            if (!has_format(audio_of(phone.answer()), "101"))
                throw NotOffered{"no telephone-event in the answer"};
            packets(phone, 3);
            const auto timestamp = phone.rtp.next_timestamp();
            for (int i = 1; i <= 8; ++i) {
                const int duration = 160 * std::min(i, 6);
                const std::string event{
                    '\x05',
                    i >= 6 ? '\x8A' : '\x0A',
                    static_cast<char>(duration >> 8),
                    static_cast<char>(duration & 0xFF)};
                phone.rtp.send(phone.media_address(), 101, i == 1, timestamp, event);
                static_cast<void>(phone.rtp.collect(Clock::now() + 20ms));
            }
            for (const auto& packet : packets(phone, 5))
                expect(packet.payload_type != 101, "the key came back");
            phone.hang_up();
        }
    );
    list.must(
        "dtmf-damaged",
        "RFC 4733 §2.3",
        "damaged telephone-events do no harm",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 3);
            for (const std::string_view event : {"", "\x05", "\x05\x8A", "\xFF\xFF\xFF\xFF\xFF"}) {
                phone.rtp.send(phone.media_address(), 101, true, phone.rtp.next_timestamp(), event);
            }
            packets(phone, 3);
            phone.hang_up();
        }
    );
    list.must(
        "comfort-noise",
        "RFC 3389 §4",
        "comfort noise that was offered may come; the call goes on",
        [](const Target& target) {
            Phone phone{target};
            phone.call(phone.invite(phone.sdp("0 13 101", "a=rtpmap:13 CN/8000\r\n")));
            packets(phone, 3);
            phone.rtp.send(phone.media_address(), 13, false, phone.rtp.next_timestamp(), "\x40");
            packets(phone, 3);
            phone.hang_up();
        }
    );
    list.must(
        "ssrc-changes",
        "RFC 3550 §8.2",
        "a caller whose SSRC changes is still in the call",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            packets(phone, 3);
            for (unsigned i = 0; i < 10; ++i) {
                std::string packet(172, '\xFF');
                packet[0] = '\x80';
                packet[1] = '\0';
                packet[2] = '\0';
                packet[3] = static_cast<char>(i);
                packet.replace(4, 8, std::string{"\0\0\0\0\x12\x34\x56\x78", 8});
                packet[6] = static_cast<char>(160 * i >> 8U);
                packet[7] = static_cast<char>(160 * i & 0xFFU);
                phone.rtp.send_raw(phone.media_address(), packet);
            }
            packets(phone, 3);
            phone.hang_up();
        }
    );
    list.must(
        "port-released",
        "RFC 3261 §15",
        "six calls one after another each get media: ports come back",
        [](const Target& target) {
            for (int i = 0; i < 6; ++i) {
                Phone phone{target};
                phone.call();
                static_cast<void>(phone.media_address());
                phone.hang_up();
            }
        }
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
