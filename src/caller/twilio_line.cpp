#include "caller/twilio_line.hpp"

#include "async/deadline.hpp"
#include "net/http_client.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace oavc::caller {

namespace {

/// "https://host" → "wss://host", "http://…" → "ws://…".
std::string websocket_twin(std::string_view url) {
    if (!url.starts_with("http")) return std::string{url};
    return "ws" + std::string{url.substr(4)};
}

std::string without_trailing_slash(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url;
}

std::string first_line(std::string_view text) {
    const auto line = text.substr(0, text.find('\n'));
    return std::string{line.substr(0, 200)};
}

}  // namespace

std::string stream_target(
    const std::string& stream_url, const std::string& public_url, const std::string& base_url
) {
    if (public_url.empty()) return stream_url;
    const std::string prefix = websocket_twin(without_trailing_slash(public_url));
    if (!stream_url.starts_with(prefix)) return stream_url;
    const std::string_view rest = std::string_view{stream_url}.substr(prefix.size());
    if (!rest.empty() && rest.front() != '/') return stream_url;  // a longer host or port
    return websocket_twin(without_trailing_slash(base_url)) + std::string{rest};
}

TwilioLine::TwilioLine(async::Shard& shard, Config config)
    : shard_{shard},
      config_{std::move(config)},
      peer_{TwilioPeer::make_identity(config_.account_sid, config_.from, config_.to)},
      tasks_{shard.executor(), [](const std::exception_ptr& failure) {
                 std::rethrow_exception(failure);
             }} {}

TwilioLine::~TwilioLine() = default;

asio::awaitable<Dialled> TwilioLine::dial(Ear& ear) {
    ear_ = &ear;
    const TimePoint began = Clock::now();
    const auto parameters = peer_.webhook_parameters();
    const std::string& signed_base =
        config_.public_url.empty() ? config_.base_url : config_.public_url;

    net::HttpClientRequest request;
    request.method = "POST";
    request.url = without_trailing_slash(config_.base_url) + config_.path;
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8";
    request.headers["User-Agent"] = "TwilioProxy/1.1";
    request.body = form_encoded(parameters);
    request.tls.ca_file = config_.ca_file;
    if (!config_.auth_token.empty()) {
        request.headers["X-Twilio-Signature"] = twilio_signature(
            config_.auth_token, without_trailing_slash(signed_base) + config_.path, parameters
        );
    }
    Dialled dialled;
    const std::string webhook = request.url;
    const auto response = co_await net::http_request(shard_, std::move(request), config_.limit);
    if (response.has_error()) {
        dialled.what = fmt::format("webhook {}: {}", webhook, response.error().message());
        co_return dialled;
    }
    if (response->status != 200) {
        dialled.what = fmt::format(
            "webhook {} answered {}: {}{}",
            webhook,
            response->status,
            first_line(response->body),
            response->status == 403 ? " (is the auth token the server's? see --auth-token)" : ""
        );
        co_return dialled;
    }
    const auto order = parse_twiml(response->body);
    if (order.has_error()) {
        dialled.what = order.error().what;
        co_return dialled;
    }

    net::HttpHeaders headers;
    if (!config_.auth_token.empty()) {
        headers["x-twilio-signature"] = twilio_signature(config_.auth_token, order->url, {});
    }
    const std::string target = stream_target(order->url, config_.public_url, config_.base_url);
    net::WsLimits limits;
    net::TlsIdentity believed{.ca_file = config_.ca_file};
    auto socket = co_await net::websocket_connect(
        shard_, target, std::move(headers), config_.limit, limits, std::move(believed)
    );
    if (socket.has_error()) {
        dialled.what = fmt::format("media stream {}: {}", target, socket.error().message());
        co_return dialled;
    }
    socket_ = std::move(*socket);
    dialled.at = Clock::now();
    dialled.setup = std::chrono::duration_cast<microseconds>(dialled.at - began);
    dialled.answered = true;
    dialled.what = fmt::format("PCMU, media stream {}", target);
    peer_.send_start(order->parameters, dialled.at);
    flush();
    tasks_.spawn(read_messages());
    co_return dialled;
}

asio::awaitable<void> TwilioLine::read_messages() {
    std::string why = "the connector closed the media stream";
    for (;;) {
        const auto message = co_await socket_->read();
        if (message.has_error()) {
            if (message.error() != asio::error::eof) {
                why = fmt::format("the media stream broke: {}", message.error().message());
            }
            break;
        }
        if (message->binary) continue;
        // What Twilio would complain about is counted by the peer.
        static_cast<void>(peer_.on_message(message->data, Clock::now()));
        hand_over();
        flush();
    }
    if (!std::exchange(over_, true)) ear_->on_line_over(why);
}

void TwilioLine::flush() {
    for (const std::string& message : peer_.take_outgoing())
        socket_->send_text(message);
}

void TwilioLine::hand_over() {
    for (const auto& heard : peer_.take_heard())
        ear_->on_heard(heard.at, heard.samples);
}

void TwilioLine::send(TimePoint now, media::Samples frame) noexcept {
    if (over_ || socket_ == nullptr) return;
    peer_.send_media(frame, now);
    flush();
}

void TwilioLine::advance(TimePoint now) noexcept {
    if (over_ || socket_ == nullptr) return;
    peer_.advance(now);
    hand_over();
    flush();
}

void TwilioLine::press(char digit) noexcept {
    if (over_ || socket_ == nullptr) return;
    peer_.send_digit(digit);
    flush();
}

asio::awaitable<void> TwilioLine::hang_up() {
    if (socket_ != nullptr) {
        if (!std::exchange(over_, true)) {
            peer_.send_stop();
            flush();
        }
        co_await socket_->close(1000, "call ended");
    }
    tasks_.cancel();
    co_await tasks_.join();
    socket_.reset();
}

LineStats TwilioLine::stats() const noexcept {
    LineStats stats;
    stats.sent = peer_.stats().sent;
    stats.received = peer_.stats().received;
    stats.lost = peer_.stats().refused;
    stats.max_gap_ms = to_ms(peer_.stats().longest_gap);
    return stats;
}

}  // namespace oavc::caller
