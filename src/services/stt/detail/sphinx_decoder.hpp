#pragma once

#include "base/result.hpp"
#include "media/frame.hpp"
#include "services/stt/detail/sphinx_model.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct fe_s;
struct ps_decoder_s;

namespace oavc::services {

/// How a call's voice and line sound on average: cepstral sums over its speech so far. Carried from
/// one utterance of a call to its next, and never to another call: results do not depend on who
/// called before.
using Cepstrum = std::array<float, 13>;
struct ChannelState {
    std::array<double, 13> sum{};
    double frames{0};  ///< of 10 ms of speech
};

/// One PocketSphinx decoder: about 7 MB. Use by one thread at a time; nothing is shared between
/// decoders, and no state crosses from one utterance to the next except through ChannelState.
class SphinxDecoder {
public:
    /// Options beyond our own, for measuring.
    using Options = std::vector<std::pair<std::string, std::string>>;

    static Result<std::unique_ptr<SphinxDecoder>, error_code> create(
        std::shared_ptr<const SphinxModel> model, const Options& options = {}
    );
    SphinxDecoder(const SphinxDecoder&) = delete;
    SphinxDecoder& operator=(const SphinxDecoder&) = delete;
    ~SphinxDecoder();

    void start(const ChannelState& channel);
    /// 16 kHz.
    void process(media::Samples samples);
    /// What has been understood so far.
    std::string partial();
    /// Ends the utterance; `channel` learns from it.
    std::string finish(ChannelState& channel);
    /// Ends the utterance without a result.
    void abandon();

    const SphinxModel& model() const noexcept { return *model_; }

private:
    SphinxDecoder(std::shared_ptr<const SphinxModel> model, ps_decoder_s* decoder, fe_s* front_end);
    std::string hypothesis();
    void listen_ahead(media::Samples samples);
    void stop_waiting();
    void set_mean();
    void decode();

    std::shared_ptr<const SphinxModel> model_;
    ps_decoder_s* decoder_;
    fe_s* front_end_;  ///< a second one, which looks ahead

    // State of the utterance.
    ChannelState channel_;                ///< what is known of the line, this utterance included
    std::vector<media::Sample> pending_;  ///< not decoded yet
    std::uint32_t dither_{0};
    bool running_{false};  ///< between start and finish or abandon
    bool waiting_{false};  ///< for enough speech to know the line
};

}  // namespace oavc::services
