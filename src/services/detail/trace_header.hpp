#pragma once

#include "net/http.hpp"

#include <string>
#include <utility>

namespace oavc::services {

/// `headers` with the W3C trace context (LlmRequest::traceparent and its like), if there is one: by
/// it a server's own spans join the call's.
inline net::HttpHeaders with_trace(net::HttpHeaders headers, std::string traceparent) {
    if (!traceparent.empty()) headers.insert_or_assign("traceparent", std::move(traceparent));
    return headers;
}

}  // namespace oavc::services
