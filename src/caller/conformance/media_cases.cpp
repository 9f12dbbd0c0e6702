#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

// Whether the media are what was agreed on.

namespace oavc::caller::conformance {

namespace {

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

/// Gaps between arrivals in ms, sorted.
std::vector<double> gaps_of(const std::vector<RtpPacket>& heard) {
    std::vector<double> out;
    for (std::size_t i = 1; i < heard.size(); ++i)
        out.push_back(to_ms(heard[i].at - heard[i - 1].at));
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

std::vector<Case> media_cases() {
    CaseList list{"media"};
    list.must(
        "comes",
        "RFC 3264 §6.1, RFC 3550 §5.1",
        "RTP comes to the address of the offer",
        with_phone([](Phone& phone) {
            phone.call();
            phone.rtp.speak_to(phone.media_address());
            const auto heard = phone.rtp.collect(Clock::now() + phone.target().timeout, 10);
            expect(heard.size() == 10, fmt::format("{} packets came", heard.size()));
            for (const auto& packet : heard)
                expect(packet.valid, "something else than RTP came");
        })
    );
    list.must(
        "first",
        "RFC 3264 §6.1",
        "RTP comes also to who has not sent any",
        with_phone([](Phone& phone) {
            phone.call();
            const auto heard = phone.rtp.collect(Clock::now() + phone.target().timeout, 5);
            if (heard.size() < 5) {
                // Without this the target might simply have nothing to say.
                packets(phone, 5);
                throw Failed{"it comes only after ours"};
            }
        })
    );
    list.must(
        "sequence", "RFC 3550 §5.1", "sequence numbers grow by one", with_phone([](Phone& phone) {
            phone.call();
            const auto heard = packets(phone, 40);
            for (std::size_t i = 1; i < heard.size(); ++i) {
                const auto step =
                    static_cast<std::uint16_t>(heard[i].sequence - heard[i - 1].sequence);
                expect(step == 1, fmt::format("a step of {}", step));
            }
        })
    );
    list.must(
        "timestamp",
        "RFC 3550 §5.1, RFC 3551 §4.2",
        "timestamps grow by the samples of each packet",
        with_phone([](Phone& phone) {
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
        })
    );
    list.must("ssrc", "RFC 3550 §8", "one SSRC for the whole call", with_phone([](Phone& phone) {
                  phone.call();
                  std::set<std::uint32_t> ssrcs;
                  for (const auto& packet : packets(phone, 40))
                      ssrcs.insert(packet.ssrc);
                  expect(ssrcs.size() == 1, fmt::format("{} SSRCs", ssrcs.size()));
              }));
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
        with_phone([](Phone& phone) {
            phone.call();
            const auto heard = packets(phone, 40);
            const auto marked = std::count_if(heard.begin(), heard.end(), [](const auto& packet) {
                return packet.marker;
            });
            expect(heard.front().marker, "the first packet has none");
            expect(marked < 10, fmt::format("{} of 40 packets have it", marked));
        })
    );
    auto& pacing = list.must(
        "pacing",
        "RFC 3551 §4.2",
        "packets come every 20 ms: the mean is right, and 99 of 100 gaps are below 40 ms",
        with_phone([](Phone& phone) {
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
        })
    );
    pacing.alone = true;
    list.must(
        "source",
        "RFC 4961 §3",
        "RTP comes from the port that the answer names (symmetric RTP)",
        with_phone([](Phone& phone) {
            phone.call();
            const auto advertised = phone.media_address();
            for (const auto& packet : packets(phone, 5)) {
                expect(
                    packet.from.port() == advertised.port(),
                    fmt::format("from port {}, not {}", packet.from.port(), advertised.port())
                );
            }
        })
    );
    list.must(
        "payload-type",
        "RFC 3264 §6.1",
        "packets have a payload type that was agreed on",
        with_phone([](Phone& phone) {
            phone.call(phone.invite(phone.sdp("8 0 101")));
            const auto& audio = audio_of(phone.answer());
            for (const auto& packet : packets(phone, 20)) {
                const auto type = std::to_string(packet.payload_type);
                expect(has_format(audio, type) || packet.payload_type == 13, "type " + type);
            }
        })
    );
    list.must(
        "dynamic-payload-type",
        "RFC 3264 §6.1",
        "the offerer's dynamic number is what is sent to it",
        with_phone([](Phone& phone) {
            const auto body = bare_offer(phone, "RTP/AVP 98", "a=rtpmap:98 PCMU/8000\r\n");
            call_or_skip(phone, body, "PCMU under a dynamic number");
            for (const auto& packet : packets(phone, 5))
                expect(packet.payload_type == 98, fmt::format("type {}", packet.payload_type));
        })
    );
    list.must(
        "hold-stops",
        "RFC 3264 §8.4",
        "nothing is sent to who is on hold (a=inactive)",
        with_phone([](Phone& phone) {
            phone.call();
            packets(phone, 10);
            const auto held = phone.reinvite(phone.sdp("0 8 101", "a=inactive\r\n"));
            expect(held.status == 200, held.what());
            phone.rtp.be_silent();
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came on hold", more));
        })
    );
    list.must(
        "hold-sendonly-stops",
        "RFC 3264 §8.4",
        "nothing is sent to who only sends (a=sendonly)",
        with_phone([](Phone& phone) {
            phone.call();
            packets(phone, 10);
            const auto held = phone.reinvite(phone.sdp("0 8 101", "a=sendonly\r\n"));
            expect(held.status == 200, held.what());
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came on hold", more));
        })
    );
    list.must(
        "hold-resumes",
        "RFC 3264 §8.4",
        "after hold RTP comes again, with the same SSRC",
        with_phone([](Phone& phone) {
            phone.call();
            const auto before = packets(phone, 5);
            expect(phone.reinvite(phone.sdp("0 8 101", "a=inactive\r\n")).status == 200, "no hold");
            static_cast<void>(phone.rtp.collect(Clock::now() + 200ms));
            expect(phone.reinvite(phone.sdp()).status == 200, "no resume");
            const auto after = packets(phone, 5);
            expect(after.back().ssrc == before.back().ssrc, "another SSRC");
        })
    );
    list.must(
        "bye-stops", "RFC 3261 §15.1.2", "after BYE nothing is sent", with_phone([](Phone& phone) {
            phone.call();
            packets(phone, 10);
            phone.hang_up();
            const auto more = packets_after(phone, 300ms);
            expect(more == 0, fmt::format("{} packets came after the BYE", more));
        })
    );
    list.must(
        "moves",
        "RFC 3264 §8.3.1",
        "after a re-INVITE with another port RTP goes there",
        with_phone([](Phone& phone) {
            phone.call();
            packets(phone, 5);
            phone.rtp.be_silent();
            RtpProbe other{with_port(
                local_address_towards(resolve(phone.target().host, phone.target().port)), 0
            )};
            auto body = phone.sdp();
            const auto port = std::to_string(phone.rtp.port());
            body.replace(body.find(port), port.size(), std::to_string(other.port()));
            const auto moved = phone.reinvite(body);
            expect(moved.status == 200, moved.what());
            other.speak_to(phone.media_address());
            const auto heard = other.collect(Clock::now() + phone.target().timeout, 5);
            expect(heard.size() == 5, fmt::format("{} packets came to the new port", heard.size()));
        })
    );
    list.must(
        "medium-address",
        "RFC 8866 §5.7",
        "the c= line of the stream counts before that of the session",
        with_phone([](Phone& phone) {
            auto body = phone.sdp("0");
            const auto first = body.find("c=");
            const auto line = body.substr(first, body.find("\r\n", first) + 2 - first);
            if (!line.starts_with("c=IN IP4")) throw NotOffered{"the target is on IPv6"};
            body.replace(first, line.size(), "c=IN IP4 192.0.2.1\r\n");
            body.insert(body.find("\r\n", body.find("m=audio")) + 2, line);
            phone.call(phone.invite(body));
            packets(phone, 5);
        })
    );
    auto& rtcp = list.must(
        "rtcp",
        "RFC 3550 §6.2, §6.4",
        "RTCP comes to the port above: a report first, then SDES with CNAME",
        with_phone([](Phone& phone) {
            phone.call();
            const auto ssrc = packets(phone, 5).front().ssrc;
            const auto report = phone.rtp.collect_rtcp(
                Clock::now() + std::max<milliseconds>(phone.target().timeout, 9s)
            );
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
        })
    );
    rtcp.seconds = 8;
    list.should(
        "latch",
        "RFC 4961 §3, RFC 7362 §4",
        "who is behind a NAT is answered where his RTP comes from",
        with_phone([](Phone& phone) {
            RtpProbe elsewhere{with_port(
                local_address_towards(resolve(phone.target().host, phone.target().port)), 0
            )};
            phone.call();  // describes phone.rtp, speaks from elsewhere
            elsewhere.speak_to(phone.media_address());
            const auto heard = elsewhere.collect(Clock::now() + phone.target().timeout, 5);
            expect(
                heard.size() == 5,
                fmt::format("{} packets came to where ours come from", heard.size())
            );
        })
    );
    list.must(
        "strangers",
        "RFC 3550 §9.1, RFC 7362 §5",
        "a stranger's packets do not draw the audio away",
        with_phone([](Phone& phone) {
            RtpProbe stranger{with_port(
                local_address_towards(resolve(phone.target().host, phone.target().port)), 0
            )};
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
        })
    );
    list.must(
        "junk",
        "RFC 3550 §A.1",
        "what is no RTP does not disturb the stream",
        in_call([](Phone& phone) {
            packets(phone, 5);
            const auto remote = phone.media_address();
            for (int i = 0; i < 200; ++i) {
                phone.rtp.send_raw(remote, random_bytes(random_u32() % 100));
            }
            phone.rtp.send_raw(remote, std::string(1'400, '\xFF'));
            packets(phone, 5);
        })
    );
    list.must(
        "unknown-type",
        "RFC 3550 §5.1",
        "packets of a type that was not agreed on are ignored",
        in_call([](Phone& phone) {
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
        })
    );
    list.must(
        "dtmf",
        "RFC 4733 §2.5",
        "a key as telephone-event is taken in; the stream and the call go on",
        in_call([](Phone& phone) {
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
        })
    );
    list.must(
        "dtmf-damaged",
        "RFC 4733 §2.3",
        "damaged telephone-events do no harm",
        in_call([](Phone& phone) {
            packets(phone, 3);
            for (const std::string_view event : {"", "\x05", "\x05\x8A", "\xFF\xFF\xFF\xFF\xFF"}) {
                phone.rtp.send(phone.media_address(), 101, true, phone.rtp.next_timestamp(), event);
            }
            packets(phone, 3);
        })
    );
    list.must(
        "comfort-noise",
        "RFC 3389 §4",
        "comfort noise that was offered may come; the call goes on",
        with_phone([](Phone& phone) {
            phone.call(phone.invite(phone.sdp("0 13 101", "a=rtpmap:13 CN/8000\r\n")));
            packets(phone, 3);
            phone.rtp.send(phone.media_address(), 13, false, phone.rtp.next_timestamp(), "\x40");
            packets(phone, 3);
            phone.hang_up();
        })
    );
    list.must(
        "ssrc-changes",
        "RFC 3550 §8.2",
        "a caller whose SSRC changes is still in the call",
        in_call([](Phone& phone) {
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
        })
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
