#include "base/assert.hpp"
#include "base/result.hpp"

#include <boost/throw_exception.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace oavc {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "oavc: broken invariant: %s (%s:%d)\n", expression, file, line);
    std::abort();
}

void throw_exception_from_error(const ParseError& error, const boost::source_location&) {
    throw std::runtime_error(error.what);
}

}  // namespace oavc
