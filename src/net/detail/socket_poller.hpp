#pragma once

#include "base/result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/descriptor_base.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace oavc::net::detail {

/// Watches many sockets with one wake-up for all of them: an epoll of its own beneath the shard's.
/// Asio takes a second recv per message to learn that the first was all, and a wake-up per message;
/// this takes one recv, and under load one wake-up per `rest` for however many sockets. Thread: the
/// context's.
class SocketPoller : public std::enable_shared_from_this<SocketPoller> {
public:
    /// How long sockets that have become ready wait for others to be handled with; nothing, when
    /// the last ones were longer ago.
    static constexpr std::chrono::milliseconds rest{1};

    class Client {
    public:
        /// Readable, writable (if asked for) or broken: the system calls tell.
        virtual void on_ready() noexcept = 0;
        /// What flush_soon() asked for.
        virtual void on_flush() noexcept = 0;

    protected:
        ~Client() = default;
    };

    enum class Interest : std::uint8_t { none, read, write, read_write };

    /// Throws std::system_error without descriptors.
    static std::shared_ptr<SocketPoller> make(boost::asio::io_context& context);
    SocketPoller(const SocketPoller&) = delete;
    SocketPoller& operator=(const SocketPoller&) = delete;

    /// From `before` to `after`. Fails when the kernel has no memory for it.
    Result<void> watch(int socket, Client& client, Interest before, Interest after) noexcept;

    /// on_flush() follows once everything that is due now has been handled, so that one write
    /// carries it all. Asked for from within one, it follows in the shard's next turn.
    void flush_soon(Client& client);

    /// Nothing more is told to this client. Watch its socket no longer before.
    void forget(Client& client) noexcept;

    /// For the moment: what is read into it is used before the next socket is read.
    std::span<char> scratch() noexcept { return scratch_; }

private:
    explicit SocketPoller(boost::asio::io_context& context);
    void wait();
    void waited();
    void poll() noexcept;
    void flush() noexcept;

    boost::asio::posix::stream_descriptor epoll_;
    boost::asio::steady_timer resting_;
    std::size_t watched_{0};
    bool waiting_{false};  ///< or resting
    bool polling_{false};
    bool flush_posted_{false};
    std::vector<Client*> ready_;     ///< of this round; null: forgotten
    std::vector<Client*> dirty_;     ///< have asked for a flush; null: forgotten
    std::vector<Client*> flushing_;  ///< of this flush; dto.
    std::vector<char> scratch_;
};

}  // namespace oavc::net::detail
