#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <cstddef>
#include <string>

namespace oavc {

using error_code = boost::system::error_code;

/// A value, or why there is none. Asio, Boost.JSON and Boost.URL speak error_code already; the
/// alias makes std::expected a change in one file.
template <class T, class E = error_code>
using Result = boost::system::result<T, E>;

/// An error that a person will read: which rule, where in the input, and in words.
struct ParseError {
    error_code code;
    std::size_t offset{0};  ///< bytes from the start of the input
    std::string what;       ///< a sentence without the input's secrets
};

/// boost::system::result asks for this when `.value()` is called on an error.
[[noreturn]] void
throw_exception_from_error(const ParseError& error, const boost::source_location&);

}  // namespace oavc
