#pragma once

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace oavc::test {

/// A blocking UDP socket on loopback, on a port of the system's choice. For test threads.
class UdpPeer {
public:
    explicit UdpPeer(const char* address = "127.0.0.1", std::uint16_t port = 0)
        : fd_{::socket(AF_INET, SOCK_DGRAM, 0)} {
        auto local = endpoint(address, port);
        if (fd_ < 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) {
            throw std::runtime_error{"no UDP socket for a test"};
        }
        socklen_t size = sizeof local;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &size);
        port_ = ntohs(local.sin_port);
    }
    UdpPeer(const UdpPeer&) = delete;
    UdpPeer& operator=(const UdpPeer&) = delete;
    ~UdpPeer() { ::close(fd_); }

    std::uint16_t port() const noexcept { return port_; }
    int fd() const noexcept { return fd_; }

    void send(std::string_view datagram, std::uint16_t port, const char* address = "127.0.0.1")
        const {
        auto to = endpoint(address, port);
        ::sendto(
            fd_, datagram.data(), datagram.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to
        );
    }

    struct Received {
        std::string datagram;
        std::uint16_t port;  ///< of the sender
    };
    /// The next datagram, if one comes in time.
    std::optional<Received> receive(std::chrono::milliseconds timeout = std::chrono::seconds{5})
        const {
        pollfd waiting{fd_, POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(timeout.count())) != 1) return std::nullopt;
        Received out;
        out.datagram.resize(65536);
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const auto got = ::recvfrom(
            fd_,
            out.datagram.data(),
            out.datagram.size(),
            0,
            reinterpret_cast<sockaddr*>(&from),
            &size
        );
        if (got < 0) return std::nullopt;
        out.datagram.resize(static_cast<std::size_t>(got));
        out.port = ntohs(from.sin_port);
        return out;
    }
    /// Throws away what has come so far.
    void drain() const {
        while (receive(std::chrono::milliseconds{0})) {
        }
    }

private:
    static sockaddr_in endpoint(const char* address, std::uint16_t port) {
        sockaddr_in out{};
        out.sin_family = AF_INET;
        out.sin_port = htons(port);
        ::inet_pton(AF_INET, address, &out.sin_addr);
        return out;
    }

    int fd_;
    std::uint16_t port_{0};
};

/// Plays OpenSIPS in UA-session mode as far as the connector sees it: an MI socket with the
/// commands of the UA API, and events from a port of its own. Session states follow what was
/// measured with 3.6.8 (tests/data/opensips). Runs on a thread of its own; every method is
/// thread-safe.
class FakeOpensips {
public:
    struct Request {
        std::string method;
        boost::json::object params;
        std::uint16_t from;  ///< the connector's MI port

        std::string text(const char* name) const {
            const auto* value = params.if_contains(name);
            return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
        }
        std::int64_t number(const char* name) const {
            const auto* value = params.if_contains(name);
            return value != nullptr && value->is_int64() ? value->get_int64() : 0;
        }
        /// "ua_session_reply INVITE 200"
        std::string words() const {
            std::string out = method;
            if (params.contains("method")) out += ' ' + text("method");
            if (params.contains("code")) out += ' ' + std::to_string(number("code"));
            return out;
        }
    };

    FakeOpensips() : stop_{::eventfd(0, 0)}, thread_{[this] { run(); }} {}
    FakeOpensips(const FakeOpensips&) = delete;
    FakeOpensips& operator=(const FakeOpensips&) = delete;
    ~FakeOpensips() {
        const std::uint64_t one = 1;
        if (::write(stop_, &one, sizeof one) < 0) std::terminate();
        thread_.join();
        ::close(stop_);
    }

    std::uint16_t mi_port() const noexcept { return mi_.port(); }

    /// While off, requests get no answer, as when OpenSIPS is down.
    void set_answering(bool answering) { answering_ = answering; }

    /// Everything is forgotten, as after a crash.
    void restart() {
        const std::lock_guard lock{mutex_};
        sessions_.clear();
        subscriber_.reset();
        ++starts_;
    }

    /// The session is gone without an event, as when its time limit is reached.
    void forget(const std::string& key) {
        const std::lock_guard lock{mutex_};
        sessions_.erase(key);
    }

    /// A new call. Its event is sent if somebody is subscribed.
    std::string invite(const std::string& sdp, const std::string& more_headers = "") {
        std::unique_lock lock{mutex_};
        const auto key = next_key();
        sessions_[key] = 1;
        lock.unlock();
        event(key, "NEW", "INVITE", sdp, more_headers);
        return key;
    }
    void reinvite(const std::string& key, const std::string& sdp) {
        event(key, "UPDATED", "INVITE", sdp);
    }
    void request(
        const std::string& key,
        const std::string& method,
        const std::string& body,
        const std::string& headers
    ) {
        event(key, "UPDATED", method, body, headers);
    }
    void bye(const std::string& key) {
        event(key, "TERMINATED", "BYE", "");
        const std::lock_guard lock{mutex_};
        sessions_.erase(key);
    }
    void cancel(const std::string& key) {
        {
            const std::lock_guard lock{mutex_};
            sessions_[key] = 7;
        }
        event(key, "TERMINATED", "CANCEL", "");
    }
    // Calls that the connector places.
    /// The 180 is told before the key is, as OpenSIPS may do it.
    void set_hasty(bool hasty) { hasty_ = hasty; }
    /// Calls cannot be started: neither `socket` nor advertised_contact.
    void refuse_calls(bool refuse) { refuses_calls_ = refuse; }
    /// The key of the call that the connector has started, once it has.
    std::string wait_for_dial() {
        wait([this] { return !dialled_.empty(); });
        const std::lock_guard lock{mutex_};
        return dialled_;
    }
    void ring(const std::string& key) { event(key, "EARLY", "INVITE", "", "", 180); }
    void answer(const std::string& key, const std::string& sdp) {
        {
            const std::lock_guard lock{mutex_};
            sessions_[key] = 5;
        }
        event(key, "ANSWERED", "INVITE", sdp, "", 200);
    }
    void reject(const std::string& key, int status) {
        {
            const std::lock_guard lock{mutex_};
            sessions_.erase(key);
        }
        event(key, "REJECTED", "INVITE", "", "", status);
    }
    void reply_event(const std::string& key, const char* type, const char* method, int status) {
        event(key, type, method, "", "", status);
    }

    /// Sends any bytes to the subscriber, from the event port.
    void send_event_bytes(const std::string& bytes) {
        if (const auto port = subscriber()) events_.send(bytes, *port);
    }
    static std::string event_text(
        const std::string& key,
        const std::string& type,
        const std::string& method,
        const std::string& body,
        const std::string& more_headers = "",
        int status = 0,
        const std::string& entity = "UAS"
    ) {
        const std::string content =
            body.starts_with("v=") ? "Content-Type: application/sdp\r\n" : "";
        boost::json::object params{
            {"key", key},
            {"event_type", type},
            {"entity_type", entity},
            {"status", status},
            {"reason", nullptr},
            {"method", method},
            {"body", body},
            {"headers",
             "From: \"Caller\" <sip:caller@127.0.0.1:5070>;tag=1\r\nTo: "
             "<sip:bot@127.0.0.1:5060>\r\n" +
                 content + more_headers},
            {"extra_params", nullptr},
        };
        return boost::json::serialize(boost::json::object{
            {"jsonrpc", "2.0"}, {"method", "E_UA_SESSION"}, {"params", std::move(params)}});
    }

    /// The port that events go to.
    std::optional<std::uint16_t> subscriber() const {
        const std::lock_guard lock{mutex_};
        return subscriber_;
    }
    bool wait_for_subscriber() {
        return wait([this] { return subscriber_.has_value(); });
    }
    /// Waits until the connector has sent a request with these words about the session.
    std::optional<Request> wait_for(const std::string& words, const std::string& key = "") {
        std::optional<Request> found;
        wait([&] {
            for (const auto& request : requests_) {
                if (request.words() == words && (key.empty() || request.text("key") == key)) {
                    found = request;
                }
            }
            return found.has_value();
        });
        return found;
    }
    /// Forgets the requests so far, so that `wait_for` waits for new ones.
    void clear_requests() {
        const std::lock_guard lock{mutex_};
        requests_.clear();
    }
    std::size_t count(const std::string& words) const {
        const std::lock_guard lock{mutex_};
        std::size_t out = 0;
        for (const auto& request : requests_)
            out += request.words() == words ? 1 : 0;
        return out;
    }
    std::optional<int> state(const std::string& key) const {
        const std::lock_guard lock{mutex_};
        const auto found = sessions_.find(key);
        return found == sessions_.end() ? std::nullopt : std::optional{found->second};
    }
    bool wait_until_gone(const std::string& key) {
        return wait([&] { return !sessions_.contains(key); });
    }

private:
    template <class Condition>
    bool wait(Condition condition) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{10}, condition);
    }

    void event(
        const std::string& key,
        const std::string& type,
        const std::string& method,
        const std::string& body,
        const std::string& more_headers = "",
        int status = 0
    ) {
        std::string entity{"UAS"};
        {
            const std::lock_guard lock{mutex_};
            if (outgoing_.contains(key)) entity = "UAC";
        }
        send_event_bytes(event_text(key, type, method, body, more_headers, status, entity));
    }

    void run() {
        for (;;) {
            pollfd waiting[2]{{mi_.fd(), POLLIN, 0}, {stop_, POLLIN, 0}};
            if (::poll(waiting, 2, -1) < 0 || waiting[1].revents != 0) return;
            const auto got = mi_.receive(std::chrono::milliseconds{0});
            if (!got || !answering_) continue;
            boost::system::error_code error;
            const auto document = boost::json::parse(got->datagram, error);
            if (error) {
                mi_.send("400 Parse_error", got->port);
                continue;
            }
            Request request{
                std::string{document.at("method").as_string()},
                document.as_object().contains("params") ? document.at("params").as_object()
                                                        : boost::json::object{},
                got->port,
            };
            boost::json::object response{{"jsonrpc", "2.0"}, {"id", document.at("id")}};
            {
                const std::lock_guard lock{mutex_};
                answer(request, response);
                requests_.push_back(std::move(request));
            }
            if (hasty_ && document.at("method").as_string() == "ua_session_client_start") {
                ring(dialled_);
                constexpr std::chrono::milliseconds lead_of_the_event{20};
                std::this_thread::sleep_for(lead_of_the_event);
            }
            mi_.send(boost::json::serialize(response), got->port);
            changed_.notify_all();
        }
    }

    void answer(const Request& request, boost::json::object& response) {
        const auto fail = [&](const char* message, int code = 500) {
            response["error"] = boost::json::object{{"code", code}, {"message", message}};
        };
        const auto session = sessions_.find(request.text("key"));
        const bool known = session != sessions_.end();
        response["result"] = "OK";
        if (request.method == "event_subscribe") {
            const auto socket = request.text("socket");
            subscriber_ =
                static_cast<std::uint16_t>(std::stoi(socket.substr(socket.rfind(':') + 1)));
            if (request.number("expire") == 0) subscriber_.reset();
        } else if (request.method == "uptime") {
            response["result"] = boost::json::object{
                {"Up since", "start " + std::to_string(starts_)}, {"Up time", "100 [sec]"}};
        } else if (request.method == "ua_session_list" && request.params.empty()) {
            boost::json::array list;
            for (const auto& [key, state] : sessions_)
                list.push_back(element(key, state));
            response["result"] = std::move(list);
        } else if (request.method == "ua_session_list") {
            known ? void(response["result"] = element(session->first, session->second))
                  : fail("Entity not found", 404);
        } else if (request.method == "ua_session_reply") {
            if (!known) {
                fail("Failed to send reply");
            } else if (request.text("method") == "INVITE") {
                const auto code = request.number("code");
                if (session->second < 4 || session->second == 7)
                    session->second = code < 300 ? 5 : 7;
            }
        } else if (request.method == "ua_session_client_start") {
            if (refuses_calls_) {
                fail("Failed to start session");
            } else {
                dialled_ = next_key();
                outgoing_.insert(dialled_);
                sessions_[dialled_] = 1;
                response["result"] = dialled_;
            }
        } else if (request.method == "ua_session_update") {
            if (!known || session->second < 4) fail("Failed to send sequential request");
        } else if (request.method == "ua_session_terminate") {
            const bool unanswered = known && session->second < 4;
            if (!known || (unanswered && !outgoing_.contains(session->first))) {
                fail("Failed to terminate session");
            } else {
                sessions_.erase(session);
            }
        } else {
            fail("Method not found", -32601);
        }
        if (response.contains("error")) response.erase("result");
    }

    /// Under the lock.
    std::string next_key() {
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::system_clock::now().time_since_epoch()
        )
                             .count();
        return "B2B.7." + std::to_string(++calls_) + '.' + std::to_string(now) + ".42";
    }

    boost::json::value element(const std::string& key, int state) const {
        const bool outgoing = outgoing_.contains(key);
        return boost::json::object{
            {"state", state},
            {"callid", outgoing ? key : "1@127.0.0.1"},
            {"from_uri", "sip:caller@127.0.0.1:5070"},
            {"to_uri", "sip:bot@127.0.0.1:5060"},
            {"to_tag", outgoing ? "620SIPpUas1" : key},
            {"contact", boost::json::object{{"caller", "sip:caller@127.0.0.1:5070"}}},
        };
    }

    UdpPeer mi_;
    UdpPeer events_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<bool> answering_{true};
    std::map<std::string, int> sessions_;  ///< state by key
    std::set<std::string> outgoing_;       ///< keys of calls that the connector started
    std::string dialled_;                  ///< the latest of them
    std::atomic<bool> hasty_{false};
    std::atomic<bool> refuses_calls_{false};
    std::optional<std::uint16_t> subscriber_;
    std::vector<Request> requests_;
    int starts_{1};
    int calls_{0};
    int stop_;
    std::thread thread_;  ///< last: it uses everything above
};

}  // namespace oavc::test
