#pragma once

#include <cstddef>
#include <filesystem>

namespace oavc::caller::bench {

/// A server's INI file that is to get the limit that was measured.
class LimitFile {
public:
    /// Throws std::runtime_error when the file cannot be read or replaced: better now than after
    /// the search.
    explicit LimitFile(const std::filesystem::path& path);

    /// Sets `[limits] max_calls`; all other lines stay as they are then. The file is there whole at
    /// every moment, with its old owner and mode. Throws std::runtime_error; it is unchanged then.
    void write(std::size_t max_calls) const;

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;  ///< behind all links: these stay
};

}  // namespace oavc::caller::bench
