#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace oavc {

/// Bytes of a text, without copying.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span{text.data(), text.size()});
}

/// The same bytes as text, without copying or checking an encoding.
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT
}

/// Reads big-endian integers from borrowed bytes. A short read yields 0, consumes the rest and is
/// remembered: check `truncated()` once at the end instead of after each field.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) noexcept : rest_{bytes} {}

    std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(big_endian<1>()); }
    std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(big_endian<2>()); }
    std::uint32_t u24() noexcept { return static_cast<std::uint32_t>(big_endian<3>()); }
    std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(big_endian<4>()); }
    std::uint64_t u64() noexcept { return big_endian<8>(); }

    void skip(std::size_t count) noexcept { take(count); }

    /// The next `count` bytes, or an empty span when there are fewer.
    std::span<const std::byte> take(std::size_t count) noexcept {
        if (count > rest_.size()) {
            rest_ = {};
            truncated_ = true;
            return {};
        }
        const auto taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    std::span<const std::byte> rest() const noexcept { return rest_; }
    bool truncated() const noexcept { return truncated_; }

private:
    template <std::size_t Size>
    std::uint64_t big_endian() noexcept {
        std::uint64_t value = 0;
        for (const std::byte b : take(Size))
            value = value << 8 | std::to_integer<std::uint64_t>(b);
        return value;
    }

    std::span<const std::byte> rest_;
    bool truncated_{false};
};

/// Writes big-endian integers into a borrowed buffer. What does not fit is dropped and remembered:
/// check `overflowed()` once at the end.
class ByteWriter {
public:
    explicit ByteWriter(std::span<std::byte> buffer) noexcept : buffer_{buffer} {}

    void u8(std::uint8_t value) noexcept { big_endian<1>(value); }
    void u16(std::uint16_t value) noexcept { big_endian<2>(value); }
    void u24(std::uint32_t value) noexcept { big_endian<3>(value); }
    void u32(std::uint32_t value) noexcept { big_endian<4>(value); }
    void u64(std::uint64_t value) noexcept { big_endian<8>(value); }

    void bytes(std::span<const std::byte> source) noexcept {
        if (source.size() > buffer_.size() - size_) {
            overflowed_ = true;
            return;
        }
        for (const std::byte b : source)
            buffer_[size_++] = b;
    }

    std::size_t size() const noexcept { return size_; }
    std::span<const std::byte> written() const noexcept { return buffer_.first(size_); }
    bool overflowed() const noexcept { return overflowed_; }

private:
    template <std::size_t Size>
    void big_endian(std::uint64_t value) noexcept {
        if (Size > buffer_.size() - size_) {
            overflowed_ = true;
            return;
        }
        for (std::size_t i = 0; i < Size; ++i) {
            buffer_[size_++] = static_cast<std::byte>(value >> (8 * (Size - 1 - i)) & 0xFF);
        }
    }

    std::span<std::byte> buffer_;
    std::size_t size_{0};
    bool overflowed_{false};
};

}  // namespace oavc
