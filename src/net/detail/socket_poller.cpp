#include "net/detail/socket_poller.hpp"

#include <boost/asio/post.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace oavc::net::detail {

namespace asio = boost::asio;

namespace {

constexpr std::size_t scratch_size = 64 * 1024;
constexpr std::size_t most_ready = 512;  ///< in one round

int make_epoll() {
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) throw std::system_error{errno, std::generic_category(), "epoll_create1"};
    return fd;
}

std::uint32_t events_of(SocketPoller::Interest interest) noexcept {
    using Interest = SocketPoller::Interest;
    std::uint32_t events = 0;
    if (interest == Interest::read || interest == Interest::read_write) events |= EPOLLIN;
    if (interest == Interest::write || interest == Interest::read_write) events |= EPOLLOUT;
    return events;
}

}  // namespace

std::shared_ptr<SocketPoller> SocketPoller::make(asio::io_context& context) {
    return std::shared_ptr<SocketPoller>{new SocketPoller{context}};
}

SocketPoller::SocketPoller(asio::io_context& context)
    : epoll_{context, make_epoll()}, resting_{context}, scratch_(scratch_size) {}

Result<void> SocketPoller::watch(
    int socket, Client& client, Interest before, Interest after
) noexcept {
    if (before == after) return {};
    epoll_event event{};
    event.events = events_of(after);
    event.data.ptr = &client;
    const int operation = before == Interest::none  ? EPOLL_CTL_ADD
                          : after == Interest::none ? EPOLL_CTL_DEL
                                                    : EPOLL_CTL_MOD;
    if (::epoll_ctl(epoll_.native_handle(), operation, socket, &event) != 0) {
        return error_code{errno, boost::system::system_category()};
    }
    if (before == Interest::none) ++watched_;
    if (after == Interest::none) --watched_;
    if (watched_ > 0 && !waiting_) {
        wait();
    } else if (watched_ == 0 && waiting_) {  // a pending wait would keep the shard from ending
        error_code ignored;
        epoll_.cancel(ignored);
        resting_.cancel();
    }
    return {};
}

void SocketPoller::wait() {
    waiting_ = true;
    epoll_.async_wait(
        asio::posix::descriptor_base::wait_read,
        [weak = weak_from_this()](const error_code& error) {
            const auto self = weak.lock();
            if (!self) return;
            if (error) return self->waited();
            self->poll();
            // Others that become ready meanwhile are handled together.
            self->resting_.expires_after(rest);
            self->resting_.async_wait([weak](const error_code&) {
                if (const auto rested = weak.lock()) rested->waited();
            });
        }
    );
}

void SocketPoller::waited() {
    waiting_ = false;
    if (watched_ > 0) wait();
}

void SocketPoller::poll() noexcept {
    std::array<epoll_event, most_ready> events;
    const int count =
        ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
    polling_ = true;
    ready_.clear();
    for (int i = 0; i < count; ++i)
        ready_.push_back(static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr));
    for (std::size_t i = 0; i < ready_.size(); ++i) {
        if (ready_[i] != nullptr) ready_[i]->on_ready();
    }
    ready_.clear();
    polling_ = false;
    flush();
}

void SocketPoller::flush_soon(Client& client) {
    dirty_.push_back(&client);
    if (polling_ || flush_posted_) return;
    flush_posted_ = true;
    asio::post(epoll_.get_executor(), [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->flush_posted_ = false;
        self->flush();
    });
}

void SocketPoller::flush() noexcept {
    // Who asks again meanwhile has another turn, after whatever else is due on this shard: a peer
    // that sends faster than its messages are handled would keep the others waiting for ever.
    std::swap(dirty_, flushing_);
    for (std::size_t i = 0; i < flushing_.size(); ++i) {
        if (flushing_[i] != nullptr) flushing_[i]->on_flush();
    }
    flushing_.clear();
}

void SocketPoller::forget(Client& client) noexcept {
    std::replace(ready_.begin(), ready_.end(), &client, static_cast<Client*>(nullptr));
    std::replace(dirty_.begin(), dirty_.end(), &client, static_cast<Client*>(nullptr));
    std::replace(flushing_.begin(), flushing_.end(), &client, static_cast<Client*>(nullptr));
}

}  // namespace oavc::net::detail
