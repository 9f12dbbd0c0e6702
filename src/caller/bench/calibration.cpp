#include "caller/bench/calibration.hpp"

#include "config/ini.hpp"
#include "config/ini_edit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace oavc::caller::bench {

namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what, int error) {
    throw std::runtime_error{
        fmt::format("{} {}: {}", path.string(), what, std::generic_category().message(error))};
}

std::string read(const std::filesystem::path& path) {
    errno = 0;
    std::ifstream in{path, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in.is_open() || in.bad()) fail(path, "cannot be read", errno);
    if (text.size() > config::IniLimits{}.bytes)
        throw std::runtime_error{fmt::format("{} is too large for a configuration", path.string())};
    return text;
}

/// A new file beside the old one with its owner, group and mode; gone again unless it takes its
/// place.
class Successor {
public:
    explicit Successor(const std::filesystem::path& of) : of_{of}, name_{of.string() + ".XXXXXX"} {
        struct stat old {};
        if (::stat(of_.c_str(), &old) != 0) fail(of_, "cannot be read", errno);
        descriptor_ = ::mkostemp(name_.data(), O_CLOEXEC);
        if (descriptor_ < 0) fail(of_, "cannot be replaced in its folder", errno);
        if (::fchown(descriptor_, old.st_uid, old.st_gid) != 0 ||
            ::fchmod(descriptor_, old.st_mode & 07777U) != 0) {
            const int error = errno;
            discard();
            fail(of_, "would lose its owner or mode; calibrate as its owner or as root", error);
        }
    }
    ~Successor() { discard(); }
    Successor(const Successor&) = delete;
    Successor& operator=(const Successor&) = delete;

    void write(std::string_view text) const {
        while (!text.empty()) {
            const auto size = ::write(descriptor_, text.data(), text.size());
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) fail(of_, "cannot be written anew", errno);
            text.remove_prefix(static_cast<std::size_t>(size));
        }
    }

    void take_place() {
        if (::fsync(descriptor_) != 0) fail(of_, "cannot be written anew", errno);
        if (::rename(name_.c_str(), of_.c_str()) != 0) fail(of_, "cannot be replaced", errno);
        name_.clear();
    }

private:
    void discard() noexcept {
        if (!name_.empty()) ::unlink(name_.c_str());
        ::close(descriptor_);
    }

    const std::filesystem::path& of_;
    std::string name_;
    int descriptor_{-1};
};

}  // namespace

LimitFile::LimitFile(const std::filesystem::path& path) {
    std::error_code error;
    path_ = std::filesystem::canonical(path, error);
    if (error) fail(path, "cannot be read", error.value());
    read(path_);
    const Successor possible{path_};
}

void LimitFile::write(std::size_t max_calls) const {
    Successor successor{path_};
    successor.write(
        config::with_ini_value(read(path_), "limits", "max_calls", std::to_string(max_calls))
    );
    successor.take_place();
}

}  // namespace oavc::caller::bench
