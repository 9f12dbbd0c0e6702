#pragma once

#include "base/time.hpp"
#include "media/codec.hpp"

namespace oavc::media {

/// What a listener has to put up with on one way of a call.
struct Impairment {
    Codec codec{Codec::pcmu};
    /// Packets lost or too late and not recovered, 0 … 1.
    double loss{0};
    /// How long losses last against how long random ones would: 1 random, 2 twice as long (BurstR
    /// of ITU-T G.107 §7.2).
    double burst_ratio{1};
    /// Mouth to ear, one way.
    microseconds delay{0};
};

/// BurstR from counts: `missing` packets in `gaps` stretches, of `expected`. At least 1.
double burst_ratio(double missing, double gaps, double expected) noexcept;

/// Transmission rating R of ITU-T G.107, 0 … 93.2: with its defaults for all that we cannot measure
/// (noise, echo, loudness), R = 93.2 - Id - Ie,eff.
///
/// - Id, delay: 0.024 d + 0.11 (d - 177.3) for d > 177.3 ms, Cole and Rosenbluth's linear fit to
///   G.107's curves ("Voice over IP performance monitoring", 2001).
/// - Ie,eff, codec and loss: Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl), G.107 §7.2. Ie 0 for all
/// our
///   codecs; Bpl 25.1 is G.711's with concealment (G.113 Appendix I). The narrowband scale ends at
///   telephone quality: a wideband codec gets no more than that. G.113 has no figure for loss on it
///   with our concealment, so L16 and G.722 take G.711's; nor any for Opus, which takes it as well:
///   what its FEC gave back counts as received.
double rating(const Impairment& impairment) noexcept;

/// Mean opinion score that listeners would give, 1 (bad) … 4.41 (as good as a telephone gets):
/// rating() on the scale of G.107 Annex B.
double estimate_mos(const Impairment& impairment) noexcept;

}  // namespace oavc::media
