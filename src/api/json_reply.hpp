#pragma once

#include "net/http.hpp"
#include "net/json_text.hpp"

#include <boost/json/object.hpp>

#include <string_view>

namespace oavc::api {

/// An answer of the control API: JSON, never cached.
inline net::HttpResponse json_reply(int status, const boost::json::object& body) {
    net::HttpResponse response;
    response.status = status;
    response.body = net::json_text(body);
    response.body += '\n';
    response.content_type = "application/json";
    response.headers["Cache-Control"] = "no-store";
    return response;
}

/// {"error": a sentence, "code": a word for programs, if there is one}.
inline net::HttpResponse json_problem(
    int status, std::string_view what, std::string_view code = {}
) {
    boost::json::object body{{"error", what}};
    if (!code.empty()) body["code"] = code;
    return json_reply(status, body);
}

}  // namespace oavc::api
