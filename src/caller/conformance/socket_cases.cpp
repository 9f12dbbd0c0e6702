#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/stream_call.hpp"
#include "caller/speech.hpp"

#include <fmt/format.h>

#include <functional>
#include <set>

// We are Twilio: the media stream.

namespace oavc::caller::conformance {

namespace {

constexpr const char* stream_page = "twilio.com/docs/voice/twiml/stream";
constexpr const char* messages_page = "twilio.com/docs/voice/media-streams/websocket-messages";

}  // namespace

std::vector<Case> socket_cases() {
    CaseList list{"socket"};
    list.must(
        "speaks",
        messages_page,
        "after start the target's audio comes",
        in_stream([](StreamCall& call) {
            const bool came =
                call.run(call.target().timeout, [&] { return call.peer().stats().received >= 10; });
            expect(came, fmt::format("{} media messages", call.peer().stats().received));
        })
    );
    list.must(
        "messages",
        messages_page,
        "every message of the target is one that Twilio takes: media, mark or clear with this "
        "stream's sid, base64 in its payload (error 31950)",
        in_stream([](StreamCall& call) {
            call.await_voice();
            call.listen(2s);
            expect(
                call.peer().stats().refused == 0,
                fmt::format("{} messages were wrong", call.peer().stats().refused)
            );
        })
    );
    auto& pacing = list.should(
        "pacing",
        messages_page,
        "at most 2 s of audio lie ahead in Twilio's buffer, and it does not run dry within speech",
        in_stream([](StreamCall& call) {
            call.await_voice();
            call.listen(2s);
            const auto& stats = call.peer().stats();
            expect(stats.deepest <= 2s, fmt::format("{} ms lay ahead", stats.deepest.count()));
            expect(
                stats.longest_gap < 100ms,
                fmt::format("a gap of {} ms within speech", stats.longest_gap.count())
            );
        })
    );
    pacing.alone = true;
    list.must(
        "buffer",
        messages_page,
        "nothing is sent beyond Twilio's buffer of ten minutes (warning 31931)",
        in_stream([](StreamCall& call) {
            call.await_voice();
            call.listen(1s);
            expect(call.peer().stats().overflowed == 0, "the buffer ran over");
        })
    );
    list.must(
        "marks-differ",
        messages_page,
        "marks are named, so that their echoes can be told apart",
        in_stream([](StreamCall& call) {
            call.await_voice();
            call.listen(2s);
            std::set<std::string> marks;
            std::size_t count = 0;
            for (const auto& message : call.messages()) {
                const auto at = message.find("\"name\"");
                if (message.find("\"mark\"") == std::string::npos || at == std::string::npos)
                    continue;
                ++count;
                marks.insert(message.substr(at, message.find('}', at) - at));
            }
            if (count == 0) throw NotOffered{"the target sends no marks"};
            expect(
                marks.size() == count, fmt::format("{} names for {} marks", marks.size(), count)
            );
        })
    );
    auto& barge_in = list.should(
        "clear", messages_page, "who is interrupted sends clear", with_call([](StreamCall& call) {
            Options::Speech words{Options::Speech::Kind::text, "", false};
            words.value = "wait a moment please I have got another question for you";
            auto spoken = prepare_speech({words}, "rms");
            call.call();
            call.await_voice();
            call.say(std::move(spoken.front().samples));
            const bool cleared = call.run(4s, [&] { return call.peer().stats().clears > 0; });
            expect(cleared, "no clear came");
        })
    );
    barge_in.alone = true;
    list.must(
        "token-reused",
        stream_page,
        "the parameters of a stream are good for one socket (they are what protects it)",
        in_stream([](StreamCall& call) {
            const auto& parameters = call.stream_parameters();
            call.expect_going_on();
            auto second = call.open();
            expect(second->status() == 101, "the handshake was refused");
            TwilioPeer copy{call.peer().identity()};
            send_start(*second, copy, parameters);
            expect(second->ends(Clock::now() + call.target().timeout), "a second socket was taken");
            call.expect_going_on();
        })
    );
    for (const bool missing : {true, false}) {
        list.must(
            missing ? "token-missing" : "token-wrong",
            stream_page,
            missing ? "a start without the parameters of the TwiML is refused"
                    : "a start with other parameters than the TwiML's is refused",
            with_call([missing](StreamCall& call) {
                call.ring();
                auto parameters = call.stream_parameters();
                for (auto& [name, value] : parameters)
                    value = random_hex(20);
                if (missing) parameters.clear();
                auto socket = call.open();
                TwilioPeer copy{call.peer().identity()};
                send_start(*socket, copy, parameters);
                expect(socket->ends(Clock::now() + call.target().timeout), "the stream was taken");
            })
        );
    }
    list.must(
        "other-call",
        stream_page,
        "a start with the parameters of one call and the sid of another is refused",
        with_call([](StreamCall& call) {
            call.ring();
            const auto& parameters = call.stream_parameters();
            auto socket = call.open();
            TwilioPeer thief{TwilioPeer::make_identity("", "+15550666", "+15550199")};
            send_start(*socket, thief, parameters);
            expect(socket->ends(Clock::now() + call.target().timeout), "the stream was taken");
        })
    );
    list.must(
        "signature-missing",
        "twilio.com/docs/voice/media-streams (X-Twilio-Signature)",
        "a handshake without a signature is refused",
        signed_call([](StreamCall& call) {
            call.ring();
            expect_refused(call.open(Headers{})->status());
        })
    );
    list.must(
        "signature-wrong",
        "twilio.com/docs/voice/media-streams (X-Twilio-Signature)",
        "a handshake with a wrong signature is refused",
        signed_call([](StreamCall& call) {
            call.ring();
            const Headers headers{
                {"x-twilio-signature", twilio_signature("not this", call.stream_url(), {})}};
            expect_refused(call.open(headers)->status());
        })
    );
    list.should(
        "handshake-version",
        "RFC 6455 §4.4",
        "a handshake of an unknown version is refused",
        with_call([](StreamCall& call) {
            call.ring();
            Headers headers{{"Sec-WebSocket-Version", "7"}};
            headers.emplace_back("x-twilio-signature", call.sign(call.stream_url(), {}));
            expect_refused(call.open(headers)->status());
        })
    );
    struct Oddity {
        std::string name;
        std::string source;
        std::string holds;
        std::function<void(StreamCall&)> act;
        bool may_end;  ///< closing the stream is right too; the target itself must live on
    };
    const auto media = [](StreamCall& call, std::string_view payload, std::string_view chunk = "5"
                       ) {
        call.socket().send(fmt::format(
            R"({{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{}",)"
            R"("timestamp":"100","payload":"{}"}},"streamSid":"{}"}})",
            chunk,
            chunk,
            payload,
            call.peer().identity().stream_sid
        ));
    };
    const std::vector<Oddity> oddities{
        {"junk-json",
         messages_page,
         "text that is no JSON does no harm",
         [](StreamCall& call) {
             for (const std::string_view text :
                  {"{{{", "", "null", "[]", "\"media\"", "{\"event\":7}"})
                 call.socket().send(text);
         },
         true},
        {"deep-json",
         messages_page,
         "JSON nested a thousand times does no harm",
         [](StreamCall& call) {
             call.socket().send(std::string(1'000, '[') + std::string(1'000, ']'));
         },
         true},
        {"unknown-event",
         messages_page,
         "an event that Twilio may add some day is ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"weather","streamSid":"{}","weather":{{"sun":true}}}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"unknown-member",
         messages_page,
         "members that Twilio may add some day are ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"media","extra":[1,{{}}],"sequenceNumber":"9","media":{{"new":null,)"
                 R"("track":"inbound","chunk":"9","timestamp":"180","payload":"/////w=="}},"streamSid":"{}"}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"binary",
         "RFC 6455 §5.6",
         "a binary message does no harm",
         [](StreamCall& call) {
             call.socket().send(std::string(200, '\x80'), WebSocketClient::binary);
         },
         true},
        {"not-utf8",
         "RFC 6455 §8.1",
         "text that is no UTF-8 does no harm",
         [](StreamCall& call) { call.socket().send("{\"event\":\"\xFF\xFE\"}"); },
         true},
        {"huge",
         "RFC 6455 §10.4",
         "a message of 2 MiB does no harm",
         [](StreamCall& call) {
             call.socket().send(
                 "{\"event\":\"media\",\"x\":\"" + std::string(2 << 20, 'x') + "\"}"
             );
         },
         true},
        {"base64-damaged",
         messages_page,
         "a payload that is no base64 does not end the call",
         [media](StreamCall& call) { media(call, "$$$ this is not base64 $$$"); },
         false},
        {"payload-empty",
         messages_page,
         "an empty payload does not end the call",
         [media](StreamCall& call) { media(call, ""); },
         false},
        {"payload-lengths",
         messages_page,
         "payloads of other lengths than 20 ms are taken",
         [media](StreamCall& call) {
             media(call, "/w==");
             media(call, "////");
             std::string long_one;
             for (int i = 0; i < 1'000; ++i)
                 long_one += "////";
             media(call, long_one);
         },
         false},
        {"sequence-gap",
         messages_page,
         "gaps and repetitions in sequence numbers and chunks do not end the call",
         [media](StreamCall& call) {
             media(call, "/////w==", "700");
             media(call, "/////w==", "3");
             media(call, "/////w==", "3");
         },
         false},
        {"numbers-as-numbers",
         messages_page,
         "numbers that come as JSON numbers are read",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"media","sequenceNumber":12,"media":{{"track":"inbound","chunk":12,)"
                 R"("timestamp":240,"payload":"/////w=="}},"streamSid":"{}"}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"dtmf",
         messages_page,
         "keys are taken, each with its own message",
         [](StreamCall& call) {
             for (const char digit : {'1', '2', '#'})
                 call.peer().send_digit(digit);
             call.flush();
         },
         false},
        {"dtmf-damaged",
         messages_page,
         "a key that does not exist does no harm",
         [](StreamCall& call) {
             for (const std::string_view digit : {"", "X", "12", "\\u0000"}) {
                 call.socket().send(fmt::format(
                     R"({{"event":"dtmf","streamSid":"{}","dtmf":{{"track":"inbound_track","digit":"{}"}}}})",
                     call.peer().identity().stream_sid,
                     digit
                 ));
             }
         },
         true},
        {"mark-unknown",
         messages_page,
         "the echo of a mark that was never sent is ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"mark","sequenceNumber":"4","streamSid":"{}","mark":{{"name":"never-sent"}}}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"fragments",
         "RFC 6455 §5.4",
         "a message in several frames is put together",
         [](StreamCall& call) {
             const std::string whole = fmt::format(
                 R"({{"event":"mark","streamSid":"{}","mark":{{"name":"in-three-frames"}}}})",
                 call.peer().identity().stream_sid
             );
             call.socket().send(whole.substr(0, 10), WebSocketClient::text, false);
             call.socket().send(whole.substr(10, 20), WebSocketClient::continuation, false);
             call.socket().send(whole.substr(30), WebSocketClient::continuation, true);
         },
         false},
        {"start-again",
         messages_page,
         "a second start does no harm",
         [](StreamCall& call) { call.start(); },
         true},
    };
    for (const auto& oddity : oddities) {
        list.must(oddity.name, oddity.source, oddity.holds, in_stream([oddity](StreamCall& call) {
                      call.listen(100ms);
                      oddity.act(call);
                      if (oddity.may_end) {
                          call.listen(300ms);
                          expect_whole(call.target());
                      } else {
                          call.expect_going_on();
                      }
                  }));
    }
    list.must(
        "ping",
        "RFC 6455 §5.5.2",
        "a ping is answered with its payload",
        in_stream([](StreamCall& call) {
            call.socket().send("are you there", WebSocketClient::ping);
            const TimePoint until = Clock::now() + call.target().timeout;
            while (const auto message = call.socket().receive(until)) {
                if (message->opcode == WebSocketClient::pong) {
                    expect(message->payload == "are you there", "another payload");
                    return;
                }
            }
            throw Failed{"no pong"};
        })
    );
    list.must(
        "unmasked",
        "RFC 6455 §5.1",
        "a frame without a mask ends the connection",
        in_stream([](StreamCall& call) {
            call.socket().send("{}", WebSocketClient::text, true, false);
            expect(call.socket().ends(Clock::now() + call.target().timeout), "it was taken");
        })
    );
    list.must(
        "reserved-opcode",
        "RFC 6455 §5.2",
        "a frame of a reserved opcode ends the connection",
        in_stream([](StreamCall& call) {
            call.socket().send("{}", 0x5);
            expect(call.socket().ends(Clock::now() + call.target().timeout), "it was taken");
        })
    );
    list.should(
        "close",
        "RFC 6455 §5.5.1",
        "a close is answered with a close",
        in_stream([](StreamCall& call) {
            call.listen(200ms);
            call.hang_up();
            const TimePoint until = Clock::now() + call.target().timeout;
            while (const auto message = call.socket().receive(until)) {
                if (message->opcode == WebSocketClient::close) return;
            }
            throw Failed{"the connection ended without a close"};
        })
    );
    list.must(
        "stop", messages_page, "after stop no more audio comes", in_stream([](StreamCall& call) {
            call.await_voice();
            call.peer().send_stop();
            call.flush();
            // What was on its way is read; then there must be silence.
            const TimePoint until = Clock::now() + 3s;
            for (;;) {
                expect(Clock::now() < until, "it still comes");
                if (!call.socket().receive(std::min(until, Clock::now() + 400ms))) break;
            }
        })
    );
    list.must(
        "reset",
        "twilio.com/docs/voice/media-streams",
        "a connection that breaks ends its call and nothing else",
        [](const Target& target) {
            StreamCall other{target};
            other.call();
            {
                StreamCall call{target};
                call.call();
                call.listen(100ms);
                call.socket().reset();
            }
            other.expect_going_on();
            expect_whole(target);
        }
    );
    list.must(
        "media-before-start",
        messages_page,
        "media before start do no harm",
        [media](const Target& target) {
            {
                StreamCall call{target};
                call.ring();
                call.connect();
                media(call, "/////w==");
                call.socket().ends(Clock::now() + 500ms);
            }
            expect_whole(target);
        }
    );
    list.should(
        "wrong-format",
        messages_page,
        "a start with another format than 8 kHz mu-law is refused",
        with_call([](StreamCall& call) {
            call.ring();
            call.connect();
            call.peer().send_start(call.order().parameters, Clock::now());
            for (auto message : call.peer().take_outgoing()) {
                const auto at = message.find("8000");
                if (at != std::string::npos) message.replace(at, 4, "16000");
                call.socket().send(message);
            }
            expect(call.socket().ends(Clock::now() + call.target().timeout), "it was taken");
        })
    );
    auto& silent = list.should(
        "no-start",
        messages_page,
        "a socket on which nothing comes is closed within 30 s",
        with_call([](StreamCall& call) {
            call.ring();
            const auto socket = call.open();
            expect(socket->ends(Clock::now() + 30s), "it is still open");
        })
    );
    silent.seconds = 12;
    list.must(
        "calls-in-turn",
        "twilio.com/docs/voice/media-streams",
        "eight calls one after another: places come back",
        [](const Target& target) {
            for (int i = 0; i < 8; ++i) {
                StreamCall call{target};
                call.call();
                call.listen(50ms);
            }
        }
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
