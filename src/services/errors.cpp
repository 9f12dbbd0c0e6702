#include "services/errors.hpp"

#include <array>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>

namespace oavc::services {

namespace {

/// Of all categories that mean ServiceErrc: those of one id are equal.
constexpr boost::ulong_long_type category_id = 0x6f6176632e737663;  // "oavc.svc"

class ServiceCategory final : public boost::system::error_category {
public:
    constexpr ServiceCategory() noexcept : error_category{category_id} {}
    const char* name() const noexcept override { return "oavc.service"; }
    std::string message(int value) const override {
        return std::string{describe(static_cast<ServiceErrc>(value))};
    }
};

class CausedCategory final : public boost::system::error_category {
public:
    explicit CausedCategory(const error_code& cause) : error_category{category_id}, cause_{cause} {}
    const char* name() const noexcept override { return "oavc.service"; }
    std::string message(int value) const override {
        return std::string{describe(static_cast<ServiceErrc>(value))} + ": " + cause_.message();
    }
    const error_code& cause() const noexcept { return cause_; }

private:
    const error_code cause_;
};

/// Categories live for ever, as error codes borrow them; so there is a bound. Causes are errors of
/// the system, of TLS and HTTP statuses: hundreds at most.
class Causes {
public:
    const boost::system::error_category* find(const error_code& cause) {
        const std::lock_guard lock{mutex_};
        for (auto& known : known_) {
            if (!known) known.emplace(cause);
            if (known->cause() == cause) return &*known;
        }
        return nullptr;
    }

private:
    std::mutex mutex_;
    std::array<std::optional<CausedCategory>, 1'024> known_;
};

}  // namespace

error_code make_error_code(ServiceErrc value) noexcept {
    static const ServiceCategory category;
    return {static_cast<int>(value), category};
}

error_code with_cause(ServiceErrc value, const error_code& cause) noexcept {
    static Causes causes;
    const auto* const category = causes.find(cause);
    if (category == nullptr) return make_error_code(value);
    return {static_cast<int>(value), *category};
}

std::string_view describe(ServiceErrc code) noexcept {
    switch (code) {
        case ServiceErrc::end_of_stream:
            return "end of stream";
        case ServiceErrc::unavailable:
            return "service unavailable";
        case ServiceErrc::timed_out:
            return "service timed out";
        case ServiceErrc::overloaded:
            return "service overloaded";
        case ServiceErrc::protocol:
            return "service broke its protocol";
        case ServiceErrc::rejected:
            return "service rejected the request";
        case ServiceErrc::configuration:
            return "service is not configured correctly";
        case ServiceErrc::cancelled:
            return "cancelled";
    }
    return "unknown service error";
}

bool is_retryable(const error_code& error) noexcept {
    return error != ServiceErrc::end_of_stream && error != ServiceErrc::rejected &&
           error != ServiceErrc::configuration && error != ServiceErrc::cancelled;
}

}  // namespace oavc::services
