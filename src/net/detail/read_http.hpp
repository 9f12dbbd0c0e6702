#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"

#include <boost/asio/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <cstddef>

namespace oavc::net::detail {

/// What a parser may leave in its input, wanting more. Beast waits for the end of a chunk's header
/// and of trailers however long they are.
inline constexpr std::size_t most_unparsed = 64 * 1024;

/// Reads once from the stream into the parser's input, which is empty or not enough for it. Error
/// header_limit: there is too much of it.
template <class Stream, class Parser>
asio::awaitable<error_code> read_more(
    Stream& stream, boost::beast::flat_buffer& input, Parser& parser
) {
    constexpr std::size_t step = 16 * 1024;
    if (input.size() >= most_unparsed) co_return boost::beast::http::error::header_limit;
    auto [error, size] = co_await stream.async_read_some(input.prepare(step), as_result);
    if (error == asio::error::eof) {
        if (!parser.got_some()) co_return error_code{boost::beast::http::error::end_of_stream};
        error_code at_end;
        parser.put_eof(at_end);
        co_return at_end;
    }
    if (!error) input.commit(size);
    co_return error;
}

/// Feeds the parser until its header (or, `whole`, its message) is complete.
template <class Stream, class Parser>
asio::awaitable<error_code> read_http(
    Stream& stream, boost::beast::flat_buffer& input, Parser& parser, bool whole
) {
    parser.eager(whole);
    bool hungry = input.size() == 0;
    while (whole ? !parser.is_done() : !parser.is_header_done()) {
        error_code error;
        if (hungry) {
            error = co_await read_more(stream, input, parser);
            if (error) co_return error;
            hungry = false;
            continue;
        }
        input.consume(parser.put(input.data(), error));
        if (error && error != boost::beast::http::error::need_more) co_return error;
        hungry = error == boost::beast::http::error::need_more || input.size() == 0;
    }
    co_return error_code{};
}

}  // namespace oavc::net::detail
