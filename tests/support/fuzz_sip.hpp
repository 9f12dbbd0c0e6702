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
        MediaPreferences preferences;
        preferences.codecs = {
            AudioCodec::opus,
            AudioCodec::g722,
            AudioCodec::pcmu,
            AudioCodec::pcma,
            AudioCodec::l16};
        const LocalMedia local{"192.0.2.1", 35000, 1, 1};
        (void)list_formats(*sdp);
        for (const auto policy : {SrtpPolicy::off, SrtpPolicy::optional, SrtpPolicy::required}) {
            preferences.srtp = policy;
            preferences.ours_first = !preferences.ours_first;
            MediaNegotiation dialog{local, preferences};
            if (const auto answer = dialog.answer(*sdp)) {
                const auto ours = parse_sdp(*answer);
                if (!ours || ours->media.size() != sdp->media.size()) std::abort();
                if (dialog.audio()->srtp.has_value() && policy == SrtpPolicy::off) std::abort();
                if (!dialog.audio()->srtp && policy == SrtpPolicy::required) std::abort();
                // The same again is no news, and our next offer has as many streams.
                const auto audio = dialog.audio();
                const auto repeated = dialog.answer(*sdp);
                if (!repeated || *repeated != *answer || dialog.audio() != audio) std::abort();
                const auto offer = parse_sdp(dialog.offer());
                if (!offer || offer->media.size() != sdp->media.size()) std::abort();
                (void)dialog.accept(*sdp);
            }
            MediaNegotiation caller{local, preferences};
            (void)caller.offer();
            (void)caller.accept(*sdp);
        }
        (void)accept_answer(make_offer(local, AudioCodec::pcmu), *sdp);
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
