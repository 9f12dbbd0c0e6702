#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <type_traits>

namespace oavc {

/// Error category of one room. A room writes, inside its namespace,
///
///     enum class RtpErrc { truncated = 1, … };
///     std::string_view describe(RtpErrc code) noexcept;  // a sentence for each value
///     OAVC_ERROR_CATEGORY(RtpErrc, "oavc.rtp")
///
/// and, at global scope, `OAVC_ERROR_CODE_ENUM(oavc::media::RtpErrc)`.
template <class Errc>
class ErrorCategory final : public boost::system::error_category {
public:
    explicit constexpr ErrorCategory(const char* name) noexcept : name_{name} {}
    const char* name() const noexcept override { return name_; }
    std::string message(int value) const override {
        return std::string{describe(static_cast<Errc>(value))};
    }

private:
    const char* name_;
};

}  // namespace oavc

/// NOLINTBEGIN(bugprone-macro-parentheses): `Errc` is a type name
#define OAVC_ERROR_CATEGORY(Errc, category_name)                            \
    inline boost::system::error_code make_error_code(Errc value) noexcept { \
        static const ::oavc::ErrorCategory<Errc> category{category_name};   \
        return {static_cast<int>(value), category};                         \
    }

#define OAVC_ERROR_CODE_ENUM(Errc) \
    template <>                    \
    struct boost::system::is_error_code_enum<Errc> : std::true_type {};
/// NOLINTEND(bugprone-macro-parentheses)
