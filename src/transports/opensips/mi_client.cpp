#include "transports/opensips/mi_client.hpp"

#include "base/bytes.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace oavc::transports::opensips {

namespace asio = boost::asio;

MiClient::MiClient(asio::any_io_executor executor, net::UdpEndpoint opensips, milliseconds timeout)
    : executor_{std::move(executor)},
      opensips_{std::move(opensips)},
      timeout_{timeout},
      timer_{executor_} {}

Result<void> MiClient::open() {
    const auto& remote = opensips_.address();
    asio::ip::address local;
    if (remote.is_loopback()) {
        local = remote.is_v6() ? asio::ip::address{asio::ip::address_v6::loopback()}
                               : asio::ip::address{asio::ip::address_v4::loopback()};
    } else {
        local = remote.is_v6() ? asio::ip::address{asio::ip::address_v6::any()}
                               : asio::ip::address{asio::ip::address_v4::any()};
    }
    auto socket = net::UdpSocket::bind(executor_, {local, 0}, 65535);
    if (!socket) return socket.error();
    socket_ = std::move(*socket);
    return {};
}

void MiClient::start() {
    socket_->set_receive_buffer(1 << 20);
    socket_->start([this](auto datagram, const auto& from) { on_datagram(datagram, from); });
}

void MiClient::send(const MiCommand& command, Callback callback) {
    if (closed_) return;
    if (waiting_.size() >= max_waiting) {
        ++stats_.refused;
        post(std::move(callback), {});
        return;
    }
    waiting_.push_back({command, std::move(callback)});
    pump();
}

void MiClient::pump() {
    while (!closed_ && !waiting_.empty() && under_way_.size() < max_under_way) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        const auto id = next_id_;
        next_id_ = next_id_ == 0x7FFFFFFF ? 1 : next_id_ + 1;  // OpenSIPS keeps 31 bits
        const auto request = write_mi_request(id, next.command);
        if (!request) {
            MiResponse refused;
            refused.code = 400;
            refused.message = request.error().message();
            post(std::move(next.callback), {std::move(refused)});
            continue;
        }
        ++stats_.sent;
        // A request that could not be sent is like one that got lost: the timeout tells.
        socket_->send_to(as_bytes(*request), opensips_);
        under_way_.push_back({id, Clock::now() + timeout_, std::move(next.callback)});
    }
    arm();
}

void MiClient::on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
    auto response = from == opensips_ ? parse_mi_response(datagram)
                                      : Result<MiResponse>{OpensipsErrc::not_a_response};
    const auto match =
        !response       ? under_way_.end()
        : !response->id ? under_way_.begin()
                        : std::find_if(under_way_.begin(), under_way_.end(), [&](const auto& sent) {
                              return sent.id == *response->id;
                          });
    if (match == under_way_.end()) {
        ++stats_.ignored;
        return;
    }
    ++stats_.answered;
    const auto callback = std::move(match->callback);
    under_way_.erase(match);
    callback({std::move(*response)});
    pump();
}

void MiClient::arm() {
    if (timer_armed_ || under_way_.empty() || closed_) return;
    timer_armed_ = true;
    timer_.expires_at(under_way_.front().deadline);
    timer_.async_wait([this, alive = std::weak_ptr{alive_}](const error_code& error) {
        if (alive.expired()) return;
        timer_armed_ = false;
        if (!error) expire();
    });
}

void MiClient::expire() {
    const auto now = Clock::now();
    while (!under_way_.empty() && under_way_.front().deadline <= now) {
        ++stats_.timeouts;
        const auto callback = std::move(under_way_.front().callback);
        under_way_.pop_front();
        callback({});
    }
    pump();
}

void MiClient::post(Callback callback, MiOutcome outcome) {
    asio::post(
        executor_,
        [alive = std::weak_ptr{alive_},
         callback = std::move(callback),
         outcome = std::move(outcome)] {
            if (!alive.expired()) callback(outcome);
        }
    );
}

void MiClient::close() {
    closed_ = true;
    alive_.reset();
    timer_.cancel();
    waiting_.clear();
    under_way_.clear();
    if (socket_) socket_->close();
}

}  // namespace oavc::transports::opensips
