#pragma once

// An HTTP/1.1 server on a real loopback socket that a script drives byte by byte: for fakes of
// streaming servers, and for whatever a proper server would never do.
//
//     ScriptedHttpServer server{[](ScriptedHttpServer::Exchange& http) {
//         if (http.request().target != "/x") return http.respond(404, "text/plain", "no");
//         http.begin(200, "text/plain");      // chunked
//         http.send("one piece");
//         if (!http.pause(100ms)) return;     // false: the client left, or the server stops
//         http.end();                         // without it the connection breaks off
//     }};
//     server.url();  server.freeze(true);  server.stop();  server.start();  // on the same port
//
// A thread per connection runs the script, several at once. Everything may be called from any
// thread.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace oavc::test {

class ScriptedHttpServer {
public:
    struct Request {
        std::string method;
        std::string target;
        std::map<std::string, std::string> headers;  ///< names in lower case
        std::string body;
        std::size_t on_connection{0};  ///< the how manieth of its connection, from 0
    };

    class Exchange {
    public:
        const Request& request() const noexcept { return request_; }

        /// A whole answer with its length; the connection stays open.
        void respond(int status, std::string_view type, std::string_view body) {
            raw(fmt::format(
                "HTTP/1.1 {} Status\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
                status,
                type,
                body.size(),
                body
            ));
            whole_ = true;
        }
        /// The head of a chunked answer.
        bool begin(int status, std::string_view type) {
            return raw(fmt::format(
                "HTTP/1.1 {} Status\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
                status,
                type
            ));
        }
        /// One chunk. False: the client left, or the server stops.
        bool send(std::string_view piece) {
            return raw(fmt::format("{:x}\r\n", piece.size()) + std::string{piece} + "\r\n");
        }
        /// The last chunk: the answer is whole and the connection stays open.
        void end() { whole_ = raw("0\r\n\r\n"); }

        /// Bytes as they are.
        bool raw(std::string_view bytes) {
            while (server_.frozen_ && pause(std::chrono::milliseconds{5})) {
            }
            while (!bytes.empty()) {
                const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (sent <= 0) return false;
                bytes.remove_prefix(static_cast<std::size_t>(sent));
            }
            return !server_.stopping_;
        }
        /// After raw(): the answer was whole, the connection stays open.
        void keep_open() noexcept { whole_ = true; }

        /// Waits. False at once when the client leaves or the server stops.
        bool pause(std::chrono::milliseconds time) const {
            pollfd watched{socket_, POLLIN | POLLRDHUP, 0};
            if (server_.stopping_) return false;
            return ::poll(&watched, 1, static_cast<int>(time.count())) == 0 && !server_.stopping_;
        }
        /// Until the client leaves or the server stops.
        void hang() const {
            while (pause(std::chrono::hours{1})) {
            }
        }

    private:
        friend class ScriptedHttpServer;
        Exchange(ScriptedHttpServer& server, int socket, const Request& request)
            : server_{server}, socket_{socket}, request_{request} {}

        ScriptedHttpServer& server_;
        const int socket_;
        const Request& request_;
        bool whole_{false};
    };
    using Script = std::function<void(Exchange&)>;

    explicit ScriptedHttpServer(Script script) : script_{std::move(script)} { start(); }
    ScriptedHttpServer(const ScriptedHttpServer&) = delete;
    ScriptedHttpServer& operator=(const ScriptedHttpServer&) = delete;
    ~ScriptedHttpServer() { stop(); }

    std::uint16_t port() const noexcept { return port_; }
    std::string url(std::string_view path = "") const {
        return fmt::format("http://127.0.0.1:{}{}", port_, path);
    }

    /// Connections are accepted, and nothing is said any more: a process that hangs.
    void freeze(bool frozen) noexcept { frozen_ = frozen; }

    std::size_t connections() const noexcept { return connections_; }  ///< ever accepted
    std::size_t requests() const noexcept { return requests_; }

    /// The process is gone: the port is closed, and every connection reset or ended.
    void stop() {
        const std::lock_guard lock{control_};
        if (listener_ < 0) return;
        stopping_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        ::close(listener_);
        listener_ = -1;
        {
            const std::lock_guard guard{mutex_};
            for (const auto& client : clients_)
                ::shutdown(client.socket, SHUT_RDWR);
        }
        for (auto& client : clients_) {
            client.thread.join();
            ::close(client.socket);
        }
        clients_.clear();
    }

    /// On the port it had, if any.
    void start() {
        const std::lock_guard lock{control_};
        if (listener_ >= 0) return;
        stopping_ = false;
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port_);
        auto* const generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT
        socklen_t size = sizeof address;
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 128) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            throw std::runtime_error{fmt::format("port {} is not to be had", port_)};
        }
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread{[this] { accept(); }};
    }

private:
    struct Client {
        int socket;
        std::thread thread;
        std::atomic<bool> done{false};
    };

    void accept() {
        for (;;) {
            const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (socket < 0) {
                if (stopping_) return;
                continue;
            }
            const int on = 1;
            ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ++connections_;
            const std::lock_guard lock{mutex_};
            for (auto each = clients_.begin(); each != clients_.end();) {
                if (!each->done) {
                    ++each;
                    continue;
                }
                each->thread.join();
                ::close(each->socket);
                each = clients_.erase(each);
            }
            auto& client = clients_.emplace_back();
            client.socket = socket;
            client.thread = std::thread{[this, &client] {
                serve(client.socket);
                ::shutdown(client.socket, SHUT_RDWR);
                client.done = true;
            }};
        }
    }

    void serve(int socket) {
        std::string input;
        for (std::size_t number = 0;; ++number) {
            Request request;
            if (!read(socket, input, request)) return;
            request.on_connection = number;
            ++requests_;
            Exchange exchange{*this, socket, request};
            script_(exchange);
            if (!exchange.whole_ || stopping_) return;
        }
    }

    static bool read(int socket, std::string& input, Request& request) {
        const auto more = [&] {
            char bytes[16'384];
            const auto size = ::recv(socket, bytes, sizeof bytes, 0);
            if (size > 0) input.append(bytes, static_cast<std::size_t>(size));
            return size > 0;
        };
        std::size_t head = 0;
        while ((head = input.find("\r\n\r\n")) == std::string::npos) {
            if (!more()) return false;
        }
        const std::string_view text{input.data(), head};
        const auto first = text.substr(0, text.find("\r\n"));
        request.method = first.substr(0, first.find(' '));
        request.target =
            first.substr(request.method.size() + 1, first.rfind(' ') - request.method.size() - 1);
        for (auto at = text.find("\r\n"); at != std::string_view::npos;) {
            const auto begin = at + 2;
            at = text.find("\r\n", begin);
            const auto line = text.substr(begin, at - begin);
            const auto colon = line.find(": ");
            std::string name{line.substr(0, colon)};
            for (char& letter : name)
                letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
            request.headers[name] = line.substr(colon + 2);
        }
        std::size_t length = 0;
        if (const auto found = request.headers.find("content-length");
            found != request.headers.end()) {
            length = std::strtoul(found->second.c_str(), nullptr, 10);
        }
        while (input.size() < head + 4 + length) {
            if (!more()) return false;
        }
        request.body = input.substr(head + 4, length);
        input.erase(0, head + 4 + length);
        return true;
    }

    const Script script_;
    std::mutex control_;  ///< one start or stop at a time
    int listener_{-1};
    std::uint16_t port_{0};
    std::thread acceptor_;
    std::mutex mutex_;  ///< of clients_
    std::list<Client> clients_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> frozen_{false};
    std::atomic<std::size_t> connections_{0};
    std::atomic<std::size_t> requests_{0};
};

}  // namespace oavc::test
