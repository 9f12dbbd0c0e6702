#pragma once

// Twilio's side of a call for tests: the signed webhook, the signed socket, and the playback buffer
// that plays in real time, echoes marks and honours clear; and its REST interface with all its
// moods.

#include "async/awaitable.hpp"
#include "async/deadline.hpp"
#include "base/base64.hpp"
#include "net/http_client.hpp"
#include "support/comes_true.hpp"
#include "support/scripted_http_server.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/signature.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// What lies at Twilio between the connector and the caller's ear. Time is an argument.
class FakePlayback {
public:
    static constexpr std::size_t bytes_per_ms = 8;

    /// Plays up to `now`; returns the marks that this reached.
    std::vector<std::string> advance(TimePoint now) {
        const auto elapsed = std::chrono::duration_cast<milliseconds>(now - played_until_);
        if (buffer_.empty()) {
            played_until_ = now;
        } else if (elapsed > milliseconds{0}) {
            const auto wanted = static_cast<std::size_t>(elapsed.count()) * bytes_per_ms;
            const auto size = std::min(wanted, buffer_.size());
            heard_.insert(
                heard_.end(), buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(size)
            );
            buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(size));
            played_until_ = size < wanted ? now : played_until_ + elapsed;
        }
        std::vector<std::string> reached;
        while (!marks_.empty() && marks_.front().first <= heard_.size() + cleared_) {
            reached.push_back(std::move(marks_.front().second));
            marks_.pop_front();
        }
        return reached;
    }
    void play(std::span<const std::byte> ulaw) {
        buffer_.insert(buffer_.end(), ulaw.begin(), ulaw.end());
        deepest_ = std::max(deepest_, buffered());
    }
    void mark(std::string_view name) {
        marks_.emplace_back(heard_.size() + cleared_ + buffer_.size(), name);
    }
    /// Empties the buffer; pending marks come back, as Twilio does it.
    std::vector<std::string> clear() {
        ++clears_;
        cleared_ += buffer_.size();
        buffer_.clear();
        std::vector<std::string> pending;
        for (auto& mark : marks_)
            pending.push_back(std::move(mark.second));
        marks_.clear();
        return pending;
    }

    milliseconds buffered() const {
        return milliseconds{static_cast<std::int64_t>(buffer_.size() / bytes_per_ms)};
    }
    milliseconds deepest() const { return deepest_; }
    std::size_t clears() const { return clears_; }
    const std::vector<std::byte>& heard() const { return heard_; }  ///< µ-law that the caller heard

private:
    std::deque<std::byte> buffer_;
    std::deque<std::pair<std::size_t, std::string>> marks_;
    std::vector<std::byte> heard_;
    std::size_t cleared_{0};
    std::size_t clears_{0};
    milliseconds deepest_{0};
    TimePoint played_until_{};
};

/// One call as Twilio places it. Thread: its shard's.
class FakeTwilio {
public:
    struct Settings {
        std::uint16_t port{0};
        std::string public_url;  ///< what Twilio is configured with; empty: http://127.0.0.1:port
        std::string auth_token{"0123456789abcdef0123456789abcdef"};
        bool sign{true};
        std::string call_sid{"CA00000000000000000000000000000001"};
        std::string stream_sid{"MZ00000000000000000000000000000001"};
        std::string target{"/"};                                 ///< of the webhook
        std::map<std::string, std::string> webhook{};            ///< more webhook parameters
        std::map<std::string, std::string> custom_parameters{};  ///< as if the TwiML had them too
    };

    FakeTwilio(async::Shard& shard, Settings settings)
        : shard_{shard}, settings_{std::move(settings)} {
        base_ = settings_.public_url.empty() ? "http://127.0.0.1:" + std::to_string(settings_.port)
                                             : settings_.public_url;
    }

    /// Asks the webhook; remembers the stream it is sent to.
    asio::awaitable<Result<net::HttpResponse>> ask_webhook(std::string method = "POST") {
        using namespace transports::twilio;
        Form form{
            {"AccountSid", "AC00000000000000000000000000000001"},
            {"ApiVersion", "2010-04-01"},
            {"CallSid", settings_.call_sid},
            {"CallStatus", "ringing"},
            {"Direction", "inbound"},
            {"From", "+905321112233"},
            {"To", "+902125550100"},
            {"FromCity", ""},
        };
        for (const auto& [name, value] : settings_.webhook) {
            const auto known = std::find_if(
                form.begin(), form.end(), [&name = name](const auto& f) { return f.name == name; }
            );
            if (known == form.end()) {
                form.push_back({name, value});
            } else {
                known->value = value;
            }
        }
        std::string encoded;
        for (const auto& field : form) {
            encoded += (encoded.empty() ? "" : "&") + field.name + "=" + percent(field.value);
        }
        const bool post = method == "POST";
        const std::string target = post ? settings_.target : "/?" + encoded;
        net::HttpClientRequest request;
        request.method = method;
        request.url = "http://127.0.0.1:" + std::to_string(settings_.port) + target;
        if (post) {
            request.body = encoded;
            request.headers.emplace(
                "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"
            );
        }
        if (settings_.sign) {
            request.headers.emplace(
                "X-Twilio-Signature",
                sign(settings_.auth_token, base_ + target, post ? form : Form{})
            );
        }
        auto response =
            co_await net::http_request(shard_, std::move(request), std::chrono::seconds{10});
        if (response.has_value()) {
            answer_ = response->body;
            stream_url_ = attribute(response->body, "url");
            const auto at = response->body.find("name=\"token\"");
            token_ = at == std::string::npos ? "" : attribute(response->body.substr(at), "value");
        }
        co_return response;
    }

    /// Opens the socket that the TwiML named, and says connected and start.
    asio::awaitable<Result<void>> open_stream() {
        auto opened = co_await open_socket();
        if (opened.has_error()) co_return opened.error();
        send_start();
        co_return Result<void>{};
    }
    asio::awaitable<Result<void>> open_socket() {
        net::HttpHeaders headers;
        if (settings_.sign) {
            headers.emplace(
                "X-Twilio-Signature",
                transports::twilio::sign(settings_.auth_token, stream_url_, {})
            );
        }
        // The public name leads to us through a proxy.
        const auto path =
            stream_url_.substr(std::min(stream_url_.find('/', 6), stream_url_.size()));
        auto socket = co_await net::websocket_connect(
            shard_,
            "ws://127.0.0.1:" + std::to_string(settings_.port) + path,
            std::move(headers),
            std::chrono::seconds{10},
            net::WsLimits{}
        );
        if (socket.has_error()) co_return socket.error();
        socket_ = std::move(*socket);
        co_return Result<void>{};
    }
    void send_start() {
        auto parameters = settings_.custom_parameters;
        parameters["token"] = token_;
        writer_.emplace(transports::twilio::CarrierWriter::Identity{
            "AC00000000000000000000000000000001",
            settings_.call_sid,
            settings_.stream_sid,
            std::move(parameters)});
        began_ = Clock::now();
        socket_->send_text(writer_->connected());
        socket_->send_text(writer_->start());
    }

    void send_audio(std::span<const std::byte> ulaw) {
        const auto since = std::chrono::duration_cast<milliseconds>(Clock::now() - began_).count();
        socket_->send_text(writer_->media(ulaw, static_cast<std::uint64_t>(since) + 1));
    }
    void send_digit(char digit) { socket_->send_text(writer_->dtmf(digit)); }
    void send_stop() { socket_->send_text(writer_->stop()); }
    void send_text(std::string_view text) { socket_->send_text(text); }
    void send_binary(std::string_view data) { socket_->send_binary(data); }

    /// Lives for `time`: plays, echoes, takes what the connector sends. Ends early when it closes.
    asio::awaitable<void> live(Clock::duration time) {
        const TimePoint end = Clock::now() + time;
        while (Clock::now() < end && !closed_) {
            auto reading = socket_->read();
            const auto message = co_await async::with_deadline(std::move(reading), milliseconds{2});
            const TimePoint now = Clock::now();
            if (!deaf_) echo(playback.advance(now));
            if (message.has_value()) {
                on_message(*message);
                if (!deaf_) echo(playback.advance(now));
            } else if (message.error() != asio::error::timed_out) {
                closed_ = true;
                close_error_ = message.error();
            }
        }
    }
    /// Lives until the connector closes, at most 10 s.
    asio::awaitable<void> live_until_closed() { return live(std::chrono::seconds{10}); }

    asio::awaitable<void> close() { return socket_->close(1000, ""); }
    void vanish() { socket_.reset(); }

    /// From now on it plays nothing and echoes no marks: a carrier whose media path has died.
    void go_deaf() { deaf_ = true; }

    bool closed() const { return closed_; }
    const error_code& close_error() const { return close_error_; }
    std::uint16_t close_code() const {
        return socket_ ? socket_->peer_close_code() : std::uint16_t{0};
    }
    const std::string& answer() const { return answer_; }  ///< TwiML of the last webhook
    const std::string& token() const { return token_; }
    void use_token(std::string token) { token_ = std::move(token); }
    const std::string& stream_url() const { return stream_url_; }
    std::size_t senseless() const { return senseless_; }  ///< messages Twilio would complain about
    std::size_t marks() const { return marks_; }

    FakePlayback playback;

private:
    void on_message(const net::WsMessage& message) {
        using transports::twilio::StreamEvent;
        const auto parsed = parser_.parse(message.data);
        if (message.binary || parsed.has_error() || parsed->stream_sid != settings_.stream_sid) {
            ++senseless_;
            return;
        }
        switch (parsed->event) {
            case StreamEvent::media: {
                std::vector<std::byte> ulaw(parsed->payload.size());
                const auto size = base64::decode(parsed->payload, ulaw);
                if (!size) {
                    ++senseless_;
                    return;
                }
                playback.play(std::span{ulaw}.first(*size));
                break;
            }
            case StreamEvent::mark:
                ++marks_;
                playback.mark(parsed->mark_name);
                break;
            case StreamEvent::clear:
                echo(playback.clear());
                break;
            default:
                ++senseless_;
        }
    }
    void echo(const std::vector<std::string>& marks) {
        for (const auto& name : marks)
            socket_->send_text(writer_->mark(name));
    }

    static std::string percent(std::string_view text) {
        static constexpr std::string_view digits = "0123456789ABCDEF";
        std::string out;
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (std::isalnum(byte) != 0) {
                out += c;
            } else if (c == ' ') {
                out += '+';
            } else {
                out += {'%', digits[byte >> 4], digits[byte & 15]};
            }
        }
        return out;
    }
    static std::string attribute(std::string_view xml, std::string_view name) {
        const auto begin = xml.find(std::string{name} + "=\"");
        if (begin == std::string_view::npos) return {};
        xml.remove_prefix(begin + name.size() + 2);
        return std::string{xml.substr(0, xml.find('"'))};
    }

    async::Shard& shard_;
    const Settings settings_;
    std::string base_;
    std::string answer_;
    std::string stream_url_;
    std::string token_;
    std::unique_ptr<net::WebSocket> socket_;
    std::optional<transports::twilio::CarrierWriter> writer_;
    transports::twilio::StreamParser parser_;
    TimePoint began_{};
    bool closed_{false};
    bool deaf_{false};
    error_code close_error_;
    std::size_t senseless_{0};
    std::size_t marks_{0};
};

/// Twilio's REST interface: takes calls, ends and redirects them, or does what it is told to do
/// instead. Thread: any.
///
///     FakeTwilioRest rest;
///     config.api_url = rest.url();
///     rest.next({429, R"({"code":20429})", "Retry-After: 1\r\n"});   // the next request only
///     rest.asked(0).form;                                             // what came
class FakeTwilioRest {
public:
    struct Answer {
        int status{200};
        std::string body{};
        std::string headers{};  ///< whole lines
        std::chrono::milliseconds after{0};
        bool breaks{false};  ///< the connection does, instead
    };
    struct Asked {
        std::string path;
        std::string authorization;
        transports::twilio::Form form;

        std::string field(std::string_view name) const {
            return std::string{transports::twilio::find_field(form, name)};
        }
    };

    std::string url() const { return server_.url(); }
    std::uint16_t port() const noexcept { return server_.port(); }
    void stop() { server_.stop(); }

    void next(Answer answer) {
        const std::scoped_lock lock{mutex_};
        answers_.push_back(std::move(answer));
    }
    std::size_t count() const {
        const std::scoped_lock lock{mutex_};
        return asked_.size();
    }
    Asked asked(std::size_t index) const {
        const std::scoped_lock lock{mutex_};
        return asked_.at(index);
    }
    /// False when fewer requests came within 10 s.
    bool wait_for(std::size_t requests) const {
        return comes_true([&] { return count() >= requests; }, std::chrono::seconds{10});
    }

private:
    void serve(ScriptedHttpServer::Exchange& http) {
        const auto& request = http.request();
        Asked asked{request.target, {}, {}};
        if (const auto found = request.headers.find("authorization");
            found != request.headers.end()) {
            asked.authorization = found->second;
        }
        if (auto form = transports::twilio::parse_form(request.body)) asked.form = std::move(*form);
        const bool placing = request.target.ends_with("/Calls.json");
        Answer answer;
        {
            const std::scoped_lock lock{mutex_};
            asked_.push_back(std::move(asked));
            if (!answers_.empty()) {
                answer = std::move(answers_.front());
                answers_.pop_front();
            } else if (placing) {
                answer.status = 201;
                answer.body = R"({"sid":"CAout)" + std::to_string(++placed_) +
                              R"(","status":"queued","direction":"outbound-api"})";
            } else {
                answer.body = R"({"sid":"CA1","status":"completed"})";
            }
        }
        if (answer.after.count() > 0 && !http.pause(answer.after)) return;
        if (answer.breaks) return;
        const bool sent = http.raw(
            "HTTP/1.1 " + std::to_string(answer.status) + " Status\r\n" + answer.headers +
            "Content-Type: application/json\r\nContent-Length: " +
            std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body
        );
        if (sent) http.keep_open();
    }

    mutable std::mutex mutex_;
    std::deque<Answer> answers_;
    std::vector<Asked> asked_;
    int placed_{0};
    ScriptedHttpServer server_{[this](ScriptedHttpServer::Exchange& http) { serve(http); }};
};

}  // namespace oavc::test
