#pragma once

#include "async/awaitable.hpp"
#include "async/background.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/errors.hpp"
#include "net/http.hpp"
#include "net/tls_identity.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace oavc::net {

/// An answer whose body is read as it comes. Thread: its shard's. Destruction before the end drops
/// the connection: that is how a server is told to stop. Read to the end, the connection is kept.
class HttpStream {
public:
    virtual ~HttpStream() = default;

    /// Status and header fields; no body.
    virtual const HttpResponse& head() const noexcept = 0;

    /// The next piece of the body, never empty, valid until the next call. asio::error::eof: that
    /// was all of it. A body that breaks off is another error. Waits as long as the server does:
    /// the caller has the deadline. May be cancelled and called again: nothing is lost.
    virtual asio::awaitable<Result<std::string_view>> read() = 0;
};

/// What is left of a body, at most `max_size` of it: for answers that are small.
asio::awaitable<Result<std::string>> read_rest(HttpStream& stream, std::size_t max_size);

/// Requests to one server over connections that are kept open between them (RFC 9112 §9.3). One is
/// opened ahead of the first request, name, TCP, TLS and all, and replaced with back-off when it
/// dies, so that no request has to wait for one. Limits: 64 KiB of header per answer. Bodies may be
/// endless. Redirects are not followed. Thread: the shard's. Destruction drops idle connections;
/// answers being read go on.
class HttpConnections {
public:
    struct Options {
        std::string url;      ///< http:// or https://; a path in it goes before every target
        TlsIdentity tls;      ///< of https: whom to believe, and what to show
        HttpHeaders headers;  ///< of every request
        milliseconds connect_timeout{2000};  ///< name, TCP and TLS together
        bool keep_warm{true};                ///< false: connections are made when needed
    };
    struct Request {
        std::string method{"POST"};
        std::string target{"/"};  ///< below the URL's path
        std::string content_type{"application/json"};
        std::string body;
        HttpHeaders headers{};  ///< besides those of every request
    };
    /// Cumulative.
    struct Stats {
        std::size_t opened{0};   ///< connections
        std::size_t reused{0};   ///< requests that found one open
        std::size_t retried{0};  ///< requests whose kept connection turned out dead
    };

    HttpConnections(async::Shard& shard, Options options);
    ~HttpConnections();

    /// Sends a request and returns once the head of the answer is there. A kept connection that
    /// breaks before the answer's first byte is replaced by a new one, once. Errors:
    /// NetErrc::bad_url, asio::error, OpenSSL's, as http_request has them; timed_out for connecting
    /// only. Cancellable: the connection is dropped then.
    asio::awaitable<Result<std::unique_ptr<HttpStream>>> request(Request request);

    /// Reads what is left of a body behind the caller's back, so that the connection is kept: at
    /// most 64 KiB and for a second.
    void finish(std::unique_ptr<HttpStream> stream);

    /// A connection is open and free.
    bool warm() const noexcept;
    const Stats& stats() const noexcept;

private:
    struct State;
    class Stream;
    std::shared_ptr<State> state_;
    async::Background background_;
};

}  // namespace oavc::net
