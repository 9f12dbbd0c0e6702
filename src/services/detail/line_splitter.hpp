#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::services {

/// Cuts a stream of bytes into lines, as NDJSON and SSE need it: "\n" or "\r\n" ends one. Holds at
/// most `max_line` bytes of a line that has not ended; beyond, it fails for good. Sans-I/O.
class LineSplitter {
public:
    explicit LineSplitter(std::size_t max_line = std::size_t{1} << 20) noexcept
        : max_line_{max_line} {}

    /// Bytes as they came, any split. Take the lines out before the next push.
    void push(std::string_view bytes) {
        if (failed_) return;
        buffer_.erase(0, begin_);
        searched_ -= begin_;
        begin_ = 0;
        buffer_ += bytes;
    }

    /// The next whole line, without its end; valid until the next call of anything.
    std::optional<std::string_view> next() noexcept {
        const auto end = buffer_.find('\n', searched_);
        if (end == std::string::npos) {
            searched_ = buffer_.size();
            if (searched_ - begin_ > max_line_) fail();
            return std::nullopt;
        }
        // With its "\r", as it would have been counted had its end not been there yet.
        if (end - begin_ > max_line_) {
            fail();
            return std::nullopt;
        }
        const auto line = cut(end);
        begin_ = searched_ = end + 1;
        return line;
    }

    /// At the end of the stream: the line that nothing ended, empty when there is none.
    std::string_view rest() noexcept {
        const auto line = cut(buffer_.size());
        begin_ = searched_ = buffer_.size();
        return line;
    }

    /// A line was too long: what follows cannot be told apart.
    bool failed() const noexcept { return failed_; }

private:
    std::string_view cut(std::size_t end) const noexcept {
        std::string_view line{buffer_.data() + begin_, end - begin_};
        if (line.ends_with('\r')) line.remove_suffix(1);
        return line;
    }
    void fail() noexcept {
        failed_ = true;
        buffer_.clear();
        begin_ = searched_ = 0;
    }

    const std::size_t max_line_;
    std::string buffer_;
    std::size_t begin_{0};     ///< of the line that is not handed out yet
    std::size_t searched_{0};  ///< no end of line before this
    bool failed_{false};
};

}  // namespace oavc::services
