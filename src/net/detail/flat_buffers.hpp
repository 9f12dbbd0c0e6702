#pragma once

#include <boost/asio/buffer.hpp>

#include <array>
#include <cstddef>

namespace oavc::net::detail {

/// The first buffers of any sequence, as one plain type. Beast writes sequences of very many types,
/// and each would compile the socket's and TLS's operations anew: minutes of build time. Writing
/// fewer bytes than offered is what `write_some` may do.
class FlatBuffers {
public:
    using value_type = boost::asio::const_buffer;
    using const_iterator = const value_type*;

    template <class Buffers>
    explicit FlatBuffers(const Buffers& buffers) {
        auto it = boost::asio::buffer_sequence_begin(buffers);
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (; it != end && size_ < items_.size(); ++it) {
            const value_type buffer{*it};
            if (buffer.size() != 0) items_[size_++] = buffer;
        }
    }

    const_iterator begin() const noexcept { return items_.data(); }
    const_iterator end() const noexcept { return items_.data() + size_; }

private:
    std::array<value_type, 8> items_{};
    std::size_t size_{0};
};

}  // namespace oavc::net::detail
