#pragma once

namespace oavc {

/// Prints where and what, then aborts. For our own bugs only: continuing would corrupt other calls.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace oavc

/// Checks an invariant in every build. Bad input is never asserted on: it is a Result.
#define OAVC_ASSERT(expression)              \
    (static_cast<bool>(expression) ? void(0) \
                                   : ::oavc::assertion_failed(#expression, __FILE__, __LINE__))
