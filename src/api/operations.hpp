#pragma once

#include "api/access.hpp"

#include <span>
#include <string>
#include <string_view>

namespace oavc::api {

/// What a request wants.
enum class Does {
    list_calls,
    place_call,
    show_call,
    show_events,
    tell_call,
    watch,
    drain,
    show_level,
    set_level,
    describe,
};

/// One method of one path: the only place where it is written. Dispatch, access and the OpenAPI
/// document read this table.
struct Operation {
    Does does;
    std::string_view id;      ///< OpenAPI's operationId
    std::string_view method;  ///< upper case
    std::string_view path;    ///< "{id}" stands for one segment
    Role role;
    std::string_view summary;
    std::string_view body;        ///< schema of the request's; empty: none
    std::string_view parameters;  ///< of the query, separated by blanks
    std::string_view answer;      ///< schema when it went well; empty: an event stream
    std::span<const int> statuses;
};
std::span<const Operation> operations() noexcept;

/// What a request means. Views into the request's path.
struct Match {
    const Operation* operation{nullptr};
    std::string_view id;    ///< the segment at "{id}", still encoded
    std::string_view verb;  ///< what follows the id
    std::string allowed;    ///< methods, when the path is known and the method is not
};
Match match(std::string_view method, std::string_view path);

/// OpenAPI 3.0.3, JSON: every operation with its access, bodies and statuses.
std::string openapi_document(std::string_view version);

}  // namespace oavc::api
