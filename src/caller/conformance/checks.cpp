#include "caller/conformance/checks.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace oavc::caller::conformance {

namespace {

CaseList::Run calling(CaseList::Run (*begin)(PhoneRun), PhoneRun run) {
    return begin([run = std::move(run)](Phone& phone) {
        phone.call();
        run(phone);
        phone.hang_up();
    });
}

}  // namespace

CaseList::Run with_phone(PhoneRun run) {
    return [run = std::move(run)](const Target& target) {
        Phone phone{target};
        run(phone);
    };
}

CaseList::Run with_udp_phone(PhoneRun run) {
    return [run = std::move(run)](const Target& target) {
        Phone phone{target, false};
        run(phone);
    };
}

CaseList::Run with_tcp_phone(PhoneRun run) {
    return [run = std::move(run)](const Target& target) {
        Phone phone{target, true};
        run(phone);
    };
}

CaseList::Run in_call(PhoneRun run) { return calling(with_phone, std::move(run)); }

CaseList::Run in_udp_call(PhoneRun run) { return calling(with_udp_phone, std::move(run)); }

void expect_status(const Heard& heard, int status) {
    expect(heard.status == status, fmt::format("{} instead of {}", heard.what(), status));
}

void expect_one_of(const Heard& heard, std::initializer_list<int> statuses) {
    const bool known = std::find(statuses.begin(), statuses.end(), heard.status) != statuses.end();
    expect(known, fmt::format("{} instead of {}", heard.what(), fmt::join(statuses, " or ")));
}

void expect_ok(const Heard& heard) {
    expect(
        heard.status >= 200 && heard.status < 300,
        fmt::format("{} to {} instead of 200", heard.what(), heard.method)
    );
}

void expect_not_acceptable(const Heard& heard) {
    expect(heard.status == 488 || heard.status == 606, heard.what() + " instead of 488");
}

void skip_unless_offered(const Heard& heard, std::string_view method) {
    if (heard.status == 405 || heard.status == 501) throw NotOffered{fmt::format("no {}", method)};
}

std::string to_tag_of(const Heard& heard) { return parameter(heard.header("To"), "tag"); }

std::string bare_offer(const Phone& phone, std::string_view formats, std::string_view more) {
    return fmt::format(
        "{}m=audio {} {}\r\n{}", phone.session_lines(), phone.rtp.port(), formats, more
    );
}

std::string impossible_offer(const Phone& phone) {
    return phone.sdp("77", "a=rtpmap:77 NOBODY/8000\r\n");
}

Heard try_call(Phone& phone, std::string body) {
    auto heard = phone.ask(phone.invite(std::move(body)));
    if (heard.status == 200) phone.accept(heard);
    return heard;
}

Description call_or_skip(Phone& phone, std::string body, const std::string& what) {
    const auto heard = try_call(phone, std::move(body));
    if (heard.status == 488 || heard.status == 606) {
        throw NotOffered{fmt::format("the target has no {} ({})", what, heard.what())};
    }
    expect(heard.status == 200, heard.what());
    return phone.answer();
}

const Description::Media& audio_of(const Description& description) {
    const auto* audio = description.audio();
    expect(audio != nullptr, "no audio in the answer");
    return *audio;
}

std::vector<RtpPacket> packets(Phone& phone, std::size_t count) {
    phone.rtp.speak_to(phone.media_address());
    auto out = phone.rtp.collect(Clock::now() + phone.target().timeout, count);
    if (out.size() < count) {
        throw NotOffered{
            fmt::format("only {} RTP packets came: the target does not speak first", out.size())};
    }
    return out;
}

bool has_format(const Description::Media& media, std::string_view format) {
    return std::find(media.formats.begin(), media.formats.end(), format) != media.formats.end();
}

std::string random_bytes(std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out)
        c = static_cast<char>(random_u32());
    return out;
}

}  // namespace oavc::caller::conformance
