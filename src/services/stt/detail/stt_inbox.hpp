#pragma once

#include "async/signal.hpp"
#include "services/errors.hpp"
#include "services/stt/stt.hpp"

#include <deque>
#include <utility>

namespace oavc::services {

/// Events of one stream on their way to next(). An interim that nobody has read yet gives way to a
/// newer one, so that the box holds at most two events per utterance. Thread: the call's shard.
class SttInbox {
public:
    explicit SttInbox(asio::any_io_executor executor) : filled_{std::move(executor)} {}

    void put(SttEvent event) {
        if (error_) return;
        std::erase_if(events_, [&](const SttEvent& old) {
            return old.kind == SttEvent::Kind::interim && old.utterance == event.utterance;
        });
        events_.push_back(std::move(event));
        filled_.notify();
    }
    void forget(UtteranceId utterance) {
        std::erase_if(events_, [&](const SttEvent& old) { return old.utterance == utterance; });
    }
    /// next() fails once everything before was read.
    void fail(error_code error) {
        if (error_) return;
        error_ = error;
        filled_.notify();
    }
    bool failed() const noexcept { return static_cast<bool>(error_); }

    asio::awaitable<Result<SttEvent>> next() {
        while (events_.empty()) {
            if (error_) co_return error_;
            const bool go_on = co_await filled_.wait();
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
        auto event = std::move(events_.front());
        events_.pop_front();
        co_return event;
    }

private:
    async::Signal filled_;
    std::deque<SttEvent> events_;
    error_code error_;
};

}  // namespace oavc::services
