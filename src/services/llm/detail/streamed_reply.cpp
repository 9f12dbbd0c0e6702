#include "services/detail/stream_error.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/reply_reader.hpp"

#include <boost/asio/error.hpp>

#include <string>
#include <utility>

namespace oavc::services {

namespace {

constexpr std::size_t longest_error = 64 * 1024;

/// Once next() is cancelled it touches nothing of the reply any more: that may be gone by then.
class StreamedReply final : public LlmReply {
public:
    StreamedReply(
        std::shared_ptr<net::HttpConnections> connections,
        net::HttpConnections::Request request,
        std::unique_ptr<ReplyReader> reader
    )
        : connections_{std::move(connections)},
          request_{std::move(request)},
          reader_{std::move(reader)} {}

    asio::awaitable<Result<LlmEvent>> next() override {
        if (ended_) co_return ended_;
        if (!stream_) {
            const auto failed = co_await ask();
            if (failed == ServiceErrc::cancelled) co_return failed;
            if (failed) co_return end(failed);
        }
        for (;;) {
            if (auto event = reader_->next()) {
                if (event->has_error()) co_return end(event->error());
                co_return std::move(*event);
            }
            const auto piece = co_await stream_->read();
            if (piece) {
                reader_->push(*piece);
            } else if (piece.error() == asio::error::operation_aborted) {
                co_return make_error_code(ServiceErrc::cancelled);
            } else {
                reader_->finish();
            }
        }
    }

private:
    asio::awaitable<error_code> ask() {
        auto stream = co_await connections_->request(request_);
        if (stream.has_error()) co_return service_error(stream.error());
        const int status = (*stream)->head().status;
        if (status == 200) {
            stream_ = std::move(*stream);
            co_return error_code{};
        }
        const auto body = co_await net::read_rest(**stream, longest_error);
        if (!body && body.error() == asio::error::operation_aborted) {
            co_return make_error_code(ServiceErrc::cancelled);
        }
        co_return reader_->refused(status, body ? std::string_view{*body} : std::string_view{});
    }

    error_code end(const error_code& why) {
        ended_ = why;
        // The end of the body follows the end of the reply: not worth waiting for, but without it
        // the connection could not be kept.
        if (stream_ && why == ServiceErrc::end_of_stream) connections_->finish(std::move(stream_));
        stream_.reset();
        return ended_;
    }

    const std::shared_ptr<net::HttpConnections> connections_;
    const net::HttpConnections::Request request_;
    const std::unique_ptr<ReplyReader> reader_;
    std::unique_ptr<net::HttpStream> stream_;
    error_code ended_;
};

}  // namespace

std::unique_ptr<LlmReply> streamed_reply(
    std::shared_ptr<net::HttpConnections> connections,
    net::HttpConnections::Request request,
    std::unique_ptr<ReplyReader> reader
) {
    return std::make_unique<StreamedReply>(
        std::move(connections), std::move(request), std::move(reader)
    );
}

}  // namespace oavc::services
