#pragma once

#include "media/frame.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace oavc::services {

/// Samples of bytes, s16 little-endian, that are cut anywhere, also within a sample. Sans-I/O.
class PcmJoiner {
public:
    /// Takes the next bytes and appends the samples that are complete to `out`.
    void push(std::span<const std::byte> bytes, std::vector<media::Sample>& out);
    /// What comes next begins a sample.
    void clear() noexcept { half_.reset(); }

private:
    std::optional<std::byte> half_;
};

}  // namespace oavc::services
