#pragma once

// A Whisper model whose words the test chooses. Decoders run on the threads of whoever uses them;
// everything here may be called from any thread.
//
//     auto engine = std::make_shared<test::FakeWhisper>();
//     engine->say("where is my card");            // until told otherwise
//     engine->say_by([](const auto& heard) { return heard.audio.size() > 16'000 ? "a" : "b"; });
//     engine->hold();                             // decodes begin, and wait …
//     engine->await_running(1);
//     engine->release();                          // … until released or aborted
//     engine->be_deaf();                          // to aborts: the encoder runs
//     engine->fail(ServiceErrc::unavailable);     // the next decode
//     engine->heard()                             // every decode so far, in order of beginning

#include "services/errors.hpp"
#include "services/stt/whisper/whisper_engine.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

class FakeWhisper final : public services::whisper::WhisperEngine {
public:
    struct Heard {
        std::vector<float> audio;
        services::whisper::DecodeParameters parameters;
        std::size_t decoder{0};  ///< which one, from 0
        bool aborted{false};
    };
    using Answer = std::function<std::string(const Heard&)>;

    explicit FakeWhisper(bool multilingual = true) : multilingual_{multilingual} {}

    void say(std::string text) {
        say_by([text = std::move(text)](const Heard&) { return text; });
    }
    void say_by(Answer answer) {
        const std::lock_guard lock{mutex_};
        answer_ = std::move(answer);
    }
    /// Mean log probability of what is said.
    void believe(double log_probability) {
        const std::lock_guard lock{mutex_};
        log_probability_ = log_probability;
    }
    void fail(services::ServiceErrc code) {
        const std::lock_guard lock{mutex_};
        failure_ = code;
    }
    void hold() {
        const std::lock_guard lock{mutex_};
        held_ = true;
    }
    void be_deaf() {
        const std::lock_guard lock{mutex_};
        deaf_ = true;
    }
    void release() {
        {
            const std::lock_guard lock{mutex_};
            held_ = false;
        }
        changed_.notify_all();
    }
    /// Waits until so many decodes are under way at once.
    void await_running(std::size_t count) {
        await([this, count] { return running_ == count; });
    }
    /// Waits until so many have begun, all in all.
    void await_heard(std::size_t count) {
        await([this, count] { return heard_.size() >= count; });
    }
    std::vector<Heard> heard() const {
        const std::lock_guard lock{mutex_};
        return heard_;
    }
    std::size_t decoders() const {
        const std::lock_guard lock{mutex_};
        return decoders_;
    }

    std::unique_ptr<services::whisper::Decoder> make_decoder() const override {
        const std::lock_guard lock{mutex_};
        return std::make_unique<Decoder>(*this, decoders_++);
    }
    bool knows_language(std::string_view code) const noexcept override {
        return code == "tr" || code == "en" || code == "de";
    }
    bool multilingual() const noexcept override { return multilingual_; }

private:
    class Decoder final : public services::whisper::Decoder {
    public:
        Decoder(const FakeWhisper& engine, std::size_t index) : engine_{engine}, index_{index} {}
        Result<services::whisper::Decoded> decode(
            std::span<const float> audio,
            const services::whisper::DecodeParameters& parameters,
            const services::whisper::Abort& abort
        ) noexcept override {
            return engine_.decode({{audio.begin(), audio.end()}, parameters, index_, false}, abort);
        }

    private:
        const FakeWhisper& engine_;
        const std::size_t index_;
    };

    Result<services::whisper::Decoded> decode(Heard heard, const services::whisper::Abort& abort)
        const {
        std::unique_lock lock{mutex_};
        const auto index = heard_.size();
        heard_.push_back(heard);
        ++running_;
        changed_.notify_all();
        // An abort comes without a notice, as whisper.cpp asks for it: so this asks, too.
        while (held_ && (deaf_ || !abort.raised()))
            changed_.wait_for(lock, std::chrono::milliseconds{1});
        --running_;
        changed_.notify_all();
        if (abort.raised()) {
            heard_[index].aborted = true;
            return make_error_code(services::ServiceErrc::cancelled);
        }
        if (failure_) return make_error_code(*std::exchange(failure_, std::nullopt));
        services::whisper::Decoded decoded;
        decoded.language = heard.parameters.language.empty() ? "en" : heard.parameters.language;
        auto text = answer_ ? answer_(heard) : std::string{};
        if (!text.empty()) {
            decoded.segments.push_back(
                {.text = " " + text, .mean_log_probability = log_probability_, .tokens = 4}
            );
        }
        return decoded;
    }

    template <class Condition>
    void await(Condition condition) {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_for(lock, std::chrono::minutes{1}, condition)) {
            ADD_FAILURE() << "nothing came within a minute";
            std::abort();
        }
    }

    const bool multilingual_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Answer answer_;
    double log_probability_{-0.2};
    bool held_{false};
    bool deaf_{false};
    mutable std::optional<services::ServiceErrc> failure_;
    mutable std::vector<Heard> heard_;
    mutable std::size_t running_{0};
    mutable std::size_t decoders_{0};
};

}  // namespace oavc::test
