#include "services/tts/detail/worker_reply.hpp"

#include "services/errors.hpp"

#include <utility>

namespace oavc::services {

bool WorkerOutput::add(media::Samples samples) {
    if (cancelled()) return false;
    pending_.insert(pending_.end(), samples.begin(), samples.end());
    if (pending_.size() >= (first_ ? first_chunk : later_chunk)) post_chunk();
    return true;
}

void WorkerOutput::post_chunk() {
    first_ = false;
    TtsChunk chunk{std::exchange(pending_, {})};
    pending_.reserve(later_chunk);
    shard_.post([self = self_.lock(), c = std::move(chunk)]() mutable {
        if (self && !self->cancelled()) self->chunks_.try_push(std::move(c));
    });
}

void WorkerOutput::finish(error_code error) {
    if (!error && !pending_.empty()) post_chunk();
    shard_.post([self = self_.lock(), error] {
        if (self) self->chunks_.close(error ? error : make_error_code(ServiceErrc::end_of_stream));
    });
}

WorkerReply::WorkerReply(async::Shard& shard) : output_{std::make_shared<WorkerOutput>(shard)} {
    output_->self_ = output_;
}

WorkerReply::~WorkerReply() {
    output_->cancel();
    output_->chunks_.close(make_error_code(ServiceErrc::cancelled));
}

void WorkerReply::fail(error_code error) { output_->chunks_.close(error); }

asio::awaitable<Result<TtsChunk>> WorkerReply::next() {
    const auto output = output_;
    auto chunk = co_await output->chunks_.pop();
    if (!chunk && chunk.error() == asio::error::operation_aborted) {
        co_return make_error_code(ServiceErrc::cancelled);
    }
    co_return chunk;
}

}  // namespace oavc::services
