#pragma once

#include "sip/headers.hpp"
#include "sip/offer_answer.hpp"
#include "sip/sdp.hpp"

#include <cstdlib>
#include <string_view>

/// What must hold for any input: run by the fuzzer, and by ctest over its corpus and past crashes.
namespace oavc::test {

/// SDP bodies and header lines, as any caller may send them. Aborts on a broken promise.
inline void fuzz_sdp(std::string_view text) {
    using namespace sip;
    if (const auto sdp = parse_sdp(text)) {
        // What was understood must survive being written and read again.
        const auto written = write_sdp(*sdp);
        const auto again = parse_sdp(written);
        if (written.size() <= max_sdp_bytes && (!again || write_sdp(*again) != written))
            std::abort();
        if (const auto answer = make_answer(*sdp, {"192.0.2.1", 35000, 1, 1})) {
            const auto ours = parse_sdp(write_sdp(answer->sdp));
            if (!ours || ours->media.size() != sdp->media.size()) std::abort();
        }
        (void)accept_answer(make_offer({"192.0.2.1", 35000, 1, 1}, AudioCodec::pcmu), *sdp);
    }
    const Headers headers{text};
    for (const auto* name : {"From", "To", "Content-Type", "Subject"}) {
        if (const auto value = headers.find(name)) {
            (void)parse_name_address(*value);
            (void)media_type(*value);
        }
    }
    (void)parse_name_address(text);
}

}  // namespace oavc::test
