#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

struct TortureMessage {
    std::string name;  ///< as in the RFC
    std::string section;
    std::string bytes;
    /// Final statuses that are right. 0: no answer at all, 1: a call, which waits to be answered.
    std::vector<int> right;
};

inline constexpr int no_answer = 0;
inline constexpr int a_call = 1;

/// A description that anybody can answer.
inline constexpr std::string_view torture_sdp = R"(v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.3
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 49218 RTP/AVP 0 12
a=rtpmap:0 PCMU/8000
)";

/// `{sdp}` becomes a description, `{length}` the length of the body, line ends CRLF. A '\\' at a
/// line's end joins it with the next one.
inline std::string sip_bytes(std::string text) {
    if (const auto mark = text.find("{sdp}"); mark != std::string::npos) {
        text.replace(mark, 5, torture_sdp);
    }
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.compare(i, 2, "\\\n") == 0) {
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

class TortureList {
public:
    /// `text` as `sip_bytes` reads it.
    void add(std::string name, std::string section, std::string text, std::vector<int> right) {
        messages_.push_back(
            {std::move(name), std::move(section), sip_bytes(std::move(text)), std::move(right)}
        );
    }
    std::vector<TortureMessage> take() { return std::move(messages_); }

private:
    std::vector<TortureMessage> messages_;
};

}  // namespace oavc::test
