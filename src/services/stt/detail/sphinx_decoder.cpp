#include "services/stt/detail/sphinx_decoder.hpp"

#include "services/errors.hpp"
#include "services/stt/detail/phrase_grammar.hpp"

#include <fmt/format.h>
#include <pocketsphinx/pocketsphinx.h>
#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>
#include <sphinxbase/fe.h>
#include <sphinxbase/feat.h>

#include <algorithm>
#include <mutex>

namespace oavc::services {

namespace {

/// Frames of 10 ms for which the average line counts as if it had been heard.
constexpr double prior_frames = 7;
/// So much speech tells how a line sounds; until then decoding waits.
constexpr double enough_frames = 100;
/// What is known of a line weighs at most this much, so that it follows a changing one.
constexpr double most_frames = 1'000;
/// A result of which less than this share of the time was words is no result.
constexpr double least_understood = 0.3;
/// The mean cepstrum of telephone speech: where a call's own starts from.
constexpr std::array<double, 13> average_line{
    40.71, 2.34, -6.87, 12.81, -1.31, -5.28, 2.69, -7.41, -2.52, -3.26, -5.95, 1.56, -1.75};

/// The library sets up global tables while a decoder is made: one at a time.
std::mutex& creation() {
    static std::mutex mutex;
    return mutex;
}

}  // namespace

Result<std::unique_ptr<SphinxDecoder>, error_code> SphinxDecoder::create(
    std::shared_ptr<const SphinxModel> model, const Options& options
) {
    const std::lock_guard lock{creation()};
    err_set_logfp(nullptr);
    err_set_callback(nullptr, nullptr);  // it never writes to our stderr

    Options arguments{
        {"-hmm", model->acoustic_dir()},
        {"-dict", model->dictionary()},
        {model->has_grammar() ? "-fsg" : "-lm", model->language_model()},
        // Without the second and third pass the final result is there when the caller stops
        // speaking, and no worse.
        {"-fwdflat", "no"},
        {"-bestpath", "no"},
        // We dither ourselves: the library's generator is one for all threads, seeded by the clock.
        {"-dither", "no"},
    };
    if (!model->fillers().empty()) arguments.emplace_back("-fdict", model->fillers());
    arguments.insert(arguments.end(), options.begin(), options.end());
    std::vector<char*> argv;
    for (auto& [name, value] : arguments) {
        argv.push_back(name.data());
        argv.push_back(value.data());
    }
    const auto argc = static_cast<std::int32_t>(argv.size());
    auto* const config = cmd_ln_parse_r(nullptr, ps_args(), argc, argv.data(), FALSE);
    if (config == nullptr) return make_error_code(ServiceErrc::configuration);
    auto* const decoder = ps_init(config);
    auto* const front_end = decoder == nullptr ? nullptr : fe_init_auto_r(config);
    cmd_ln_free_r(config);
    if (front_end == nullptr) {
        ps_free(decoder);
        return make_error_code(ServiceErrc::configuration);
    }
    return std::unique_ptr<SphinxDecoder>{new SphinxDecoder{std::move(model), decoder, front_end}};
}

SphinxDecoder::SphinxDecoder(
    std::shared_ptr<const SphinxModel> model, ps_decoder_s* decoder, fe_s* front_end
)
    : model_{std::move(model)}, decoder_{decoder}, front_end_{front_end} {}

SphinxDecoder::~SphinxDecoder() {
    if (running_) abandon();  // the library leaks an utterance that was not ended
    const std::lock_guard lock{creation()};
    fe_free(front_end_);
    ps_free(decoder_);
}

void SphinxDecoder::start(const ChannelState& channel) {
    channel_ = channel;
    running_ = true;
    pending_.clear();
    dither_ = 1;
    ps_start_stream(decoder_);  // forgets the noise it has learned
    ps_start_utt(decoder_);
    waiting_ = channel_.frames < enough_frames;
    if (waiting_) {
        fe_start_stream(front_end_);
        fe_start_utt(front_end_);
    } else {
        set_mean();
    }
}

void SphinxDecoder::process(media::Samples samples) {
    if (samples.empty()) return;
    const auto before = pending_.size();
    pending_.insert(pending_.end(), samples.begin(), samples.end());
    const auto added = std::span{pending_}.subspan(before);
    // Digital silence has no logarithm: every fourth sample, at random, gets one unit of noise. The
    // generator (xorshift) starts anew with each utterance, so that results repeat.
    for (auto& sample : added) {
        dither_ ^= dither_ << 13;
        dither_ ^= dither_ >> 17;
        dither_ ^= dither_ << 5;
        if ((dither_ & 3u) == 0 && sample < INT16_MAX) ++sample;
    }
    if (waiting_) {
        listen_ahead(added);
        if (channel_.frames < enough_frames) return;
        stop_waiting();
    }
    decode();
}

void SphinxDecoder::decode() {
    ps_process_raw(decoder_, pending_.data(), pending_.size(), FALSE, FALSE);
    pending_.clear();
}

/// Adds what these samples sound like to what is known of the channel.
void SphinxDecoder::listen_ahead(media::Samples samples) {
    constexpr std::size_t frame_shift = 160;
    std::vector<Cepstrum> frames(samples.size() / frame_shift + 32);
    std::vector<float*> rows;
    for (auto& frame : frames)
        rows.push_back(frame.data());
    const auto* data = samples.data();
    auto size = samples.size();
    while (size > 0) {
        auto count = static_cast<std::int32_t>(frames.size());
        std::int32_t first = 0;
        const auto before = size;
        fe_process_frames(front_end_, &data, &size, rows.data(), &count, &first);
        for (const auto& frame : std::span{frames}.first(static_cast<std::size_t>(count))) {
            if (frame[0] < 0) continue;  // no energy at all
            for (std::size_t k = 0; k < frame.size(); ++k)
                channel_.sum[k] += frame[k];
            channel_.frames += 1;
        }
        if (size == before && count == 0) return;
    }
}

void SphinxDecoder::stop_waiting() {
    waiting_ = false;
    Cepstrum last{};
    std::int32_t count = 0;
    fe_end_utt(front_end_, last.data(), &count);
    set_mean();
}

/// From here on the library subtracts how this line and voice sound on average, and adds up how
/// this utterance sounds.
void SphinxDecoder::set_mean() {
    Cepstrum mean{};
    for (std::size_t k = 0; k < mean.size(); ++k) {
        mean[k] = static_cast<float>(
            (average_line[k] * prior_frames + channel_.sum[k]) / (prior_frames + channel_.frames)
        );
    }
    auto* const cmn = ps_get_feat(decoder_)->cmn_struct;
    cmn_live_set(cmn, mean.data());
    std::fill_n(cmn->sum, mean.size(), 0.0f);
    cmn->nframe = 0;
}

std::string SphinxDecoder::hypothesis() {
    std::string words;
    int understood = 0;
    int garbage = 0;
    for (auto* segment = ps_seg_iter(decoder_); segment != nullptr;
         segment = ps_seg_next(segment)) {
        std::string_view word{ps_seg_word(segment)};
        int first = 0;
        int last = 0;
        ps_seg_frames(segment, &first, &last);
        const int frames = last - first + 1;
        if (is_garbage_word(word)) {
            garbage += frames;
            continue;
        }
        // Silence and noise: "<sil>", "[NOISE]"; steps without a word: "(NULL)".
        if (word.empty() || word.front() == '<' || word.front() == '[' || word.front() == '(')
            continue;
        understood += frames;
        if (!words.empty()) words += ' ';
        words += word.substr(0, word.find('('));  // "the(2)" is another way to say "the"
    }
    if (understood < least_understood * (understood + garbage)) return {};
    return words;
}

std::string SphinxDecoder::partial() { return hypothesis(); }

std::string SphinxDecoder::finish(ChannelState& channel) {
    if (waiting_) stop_waiting();
    decode();
    running_ = false;
    ps_end_utt(decoder_);
    const auto* const cmn = ps_get_feat(decoder_)->cmn_struct;
    for (std::size_t k = 0; k < channel.sum.size(); ++k)
        channel.sum[k] += cmn->sum[k];
    channel.frames += cmn->nframe;
    if (channel.frames > most_frames) {
        const double scale = most_frames / channel.frames;
        for (auto& sum : channel.sum)
            sum *= scale;
        channel.frames = most_frames;
    }
    return hypothesis();
}

void SphinxDecoder::abandon() {
    if (waiting_) stop_waiting();
    running_ = false;
    ps_end_utt(decoder_);
}

}  // namespace oavc::services
