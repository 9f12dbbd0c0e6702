#include "services/llm/ollama_models.hpp"

#include "async/deadline.hpp"
#include "net/errors.hpp"
#include "net/json_text.hpp"
#include "services/detail/json_read.hpp"
#include "services/detail/line_splitter.hpp"
#include "services/detail/stream_error.hpp"
#include "services/errors.hpp"
#include "services/llm/detail/chat_json.hpp"

#include <boost/asio/error.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace oavc::services {

namespace {

namespace json = boost::json;
using Request = net::HttpConnections::Request;

constexpr std::size_t longest_answer = std::size_t{4} << 20;  ///< `show` carries a licence
constexpr std::size_t most_layers = 1000;
constexpr Clock::duration answer_limit = 30s;
/// Checking the hash of many gigabytes is silent for long.
constexpr Clock::duration stall_limit = 10min;

std::uint64_t number_of(const json::object& object, std::string_view name) noexcept {
    const auto* const member = object.if_contains({name.data(), name.size()});
    if (member == nullptr) return 0;
    if (member->is_uint64()) return member->get_uint64();
    return member->is_int64()
               ? static_cast<std::uint64_t>(std::max<std::int64_t>(member->get_int64(), 0))
               : 0;
}

std::string named(std::string_view name) {
    json::object body;
    body["model"] = name;
    return net::json_text(body);
}

Request get(std::string target) {
    Request request;
    request.method = "GET";
    request.target = std::move(target);
    return request;
}

Request post(std::string target, std::string body) {
    Request request;
    request.target = std::move(target);
    request.body = std::move(body);
    return request;
}

OllamaModel model_of(const json::object& entry) {
    OllamaModel model;
    model.name = json_read::text(entry, "name");
    if (model.name.empty()) model.name = json_read::text(entry, "model");
    model.size = number_of(entry, "size");
    model.modified_at = json_read::text(entry, "modified_at");
    if (const auto* const details = json_read::object_in(entry, "details")) {
        model.family = json_read::text(*details, "family");
        model.parameters = json_read::text(*details, "parameter_size");
        model.quantization = json_read::text(*details, "quantization_level");
    }
    return model;
}

OllamaFailure refusal(int status, std::string_view body) {
    OllamaFailure failure;
    failure.status = status;
    failure.error = status == 404 ? make_error_code(ServiceErrc::configuration)
                                  : service_error({status, net::http_status_category()});
    failure.what = error_text(body);
    if (failure.what.empty()) failure.what = fmt::format("the server answered {}", status);
    return failure;
}

OllamaFailure not_understood() {
    OllamaFailure failure;
    failure.error = make_error_code(ServiceErrc::protocol);
    failure.what = "the server's answer is not what Ollama says; is it one?";
    return failure;
}

}  // namespace

std::string with_tag(std::string_view model) {
    // A registry's port ("host:5000/m") is no tag.
    const auto slash = model.rfind('/');
    const auto name = slash == std::string_view::npos ? model : model.substr(slash);
    return std::string{model} + (name.find(':') == std::string_view::npos ? ":latest" : "");
}

bool OllamaModelInfo::can(std::string_view capability) const noexcept {
    return std::ranges::find(capabilities, capability) != capabilities.end();
}

bool OllamaPull::take(std::string_view line) {
    const auto object = json_read::object(line);
    if (!object) return false;
    if (object->contains("error")) {
        error_ = error_text(line);
        if (error_.empty()) error_ = "the server gave up without saying why";
        return true;
    }
    progress_.status = json_read::text(*object, "status");
    const std::string digest{json_read::text(*object, "digest")};
    if (digest.empty() || (layers_.size() >= most_layers && !layers_.contains(digest))) return true;
    auto& layer = layers_[digest];
    layer.total = number_of(*object, "total");
    layer.completed = std::min(number_of(*object, "completed"), layer.total);
    progress_.completed = progress_.total = 0;
    for (const auto& [name, each] : layers_) {
        progress_.completed += each.completed;
        progress_.total += each.total;
    }
    return true;
}

OllamaModels::OllamaModels(async::Shard& shard, Endpoint endpoint)
    : url_{endpoint.url},
      connections_{
          shard,
          {.url = endpoint.url,
           .tls = endpoint.tls,
           .headers = {},
           .connect_timeout = endpoint.connect_timeout,
           .keep_warm = false}} {}

OllamaFailure OllamaModels::unreachable(const error_code& error) const {
    OllamaFailure failure;
    failure.error = service_error(error);
    if (failure.error == ServiceErrc::configuration) {
        failure.what = fmt::format("\"{}\" is no http:// or https:// URL", url_);
    } else {
        failure.what = fmt::format(
            "no answer from Ollama at {}: {}. Is it running there (`ollama serve`), and reachable "
            "from here?",
            url_,
            error.message()
        );
    }
    return failure;
}

asio::awaitable<OllamaResult<std::string>> OllamaModels::call(
    Request request, Clock::duration limit
) {
    auto stream = co_await async::with_deadline(connections_.request(std::move(request)), limit);
    if (stream.has_error()) co_return unreachable(stream.error());
    auto body = co_await async::with_deadline(net::read_rest(**stream, longest_answer), limit);
    if (body.has_error()) co_return unreachable(body.error());
    const int status = (*stream)->head().status;
    if (status != 200) co_return refusal(status, *body);
    co_return std::move(*body);
}

asio::awaitable<OllamaResult<std::string>> OllamaModels::version() {
    auto request = get("/api/version");
    const auto body = co_await call(std::move(request), answer_limit);
    if (body.has_error()) co_return body.error();
    const auto object = json_read::object(*body);
    if (!object) co_return not_understood();
    co_return std::string{json_read::text(*object, "version")};
}

asio::awaitable<OllamaResult<std::vector<OllamaModel>>> OllamaModels::list() {
    auto request = get("/api/tags");
    const auto body = co_await call(std::move(request), answer_limit);
    if (body.has_error()) co_return body.error();
    const auto object = json_read::object(*body);
    const auto* const models = object ? json_read::array_in(*object, "models") : nullptr;
    if (models == nullptr) co_return not_understood();
    std::vector<OllamaModel> all;
    for (const auto& entry : *models) {
        if (const auto* const model = entry.if_object()) all.push_back(model_of(*model));
    }
    co_return all;
}

asio::awaitable<OllamaResult<OllamaModelInfo>> OllamaModels::show(std::string name) {
    auto request = post("/api/show", named(name));
    const auto body = co_await call(std::move(request), answer_limit);
    if (body.has_error()) co_return body.error();
    const auto object = json_read::object(*body);
    if (!object) co_return not_understood();
    OllamaModelInfo info;
    info.model = model_of(*object);
    info.model.name = name;
    info.settings = json_read::text(*object, "parameters");
    if (const auto* const capabilities = json_read::array_in(*object, "capabilities")) {
        for (const auto& each : *capabilities) {
            if (const auto* const text = each.if_string())
                info.capabilities.emplace_back(text->data(), text->size());
        }
    }
    if (const auto* const details = json_read::object_in(*object, "model_info")) {
        for (const auto& [key, value] : *details) {
            if (std::string_view{key.data(), key.size()}.ends_with(".context_length"))
                info.context_length = number_of(*details, {key.data(), key.size()});
        }
    }
    co_return info;
}

asio::awaitable<OllamaResult<void>> OllamaModels::pull(
    std::string name, std::function<void(const OllamaProgress&)> on_progress
) {
    auto request = post("/api/pull", named(name));
    auto stream =
        co_await async::with_deadline(connections_.request(std::move(request)), stall_limit);
    if (stream.has_error()) co_return unreachable(stream.error());
    if ((*stream)->head().status != 200) {
        const auto body =
            co_await async::with_deadline(net::read_rest(**stream, longest_answer), answer_limit);
        const int status = (*stream)->head().status;
        co_return refusal(status, body ? std::string_view{*body} : std::string_view{});
    }
    OllamaPull pull;
    LineSplitter lines;
    for (;;) {
        const auto piece = co_await async::with_deadline((*stream)->read(), stall_limit);
        if (piece) lines.push(*piece);
        while (const auto line = lines.next()) {
            if (pull.take(*line) && pull.error().empty()) on_progress(pull.progress());
        }
        // The last line may lack its end.
        if (piece.has_error()) pull.take(std::string{lines.rest()});
        if (!pull.error().empty()) {
            OllamaFailure failure;
            failure.error = make_error_code(ServiceErrc::configuration);
            failure.what = pull.error();
            co_return failure;
        }
        if (pull.done()) co_return OllamaResult<void>{};
        if (piece.has_error()) {
            OllamaFailure failure;
            failure.error = service_error(piece.error());
            failure.what = "the server broke the pull off; pulling again goes on from there";
            co_return failure;
        }
        if (lines.failed()) co_return not_understood();
    }
}

asio::awaitable<OllamaResult<void>> OllamaModels::remove(std::string name) {
    auto request = post("/api/delete", named(name));
    request.method = "DELETE";
    const auto body = co_await call(std::move(request), answer_limit);
    if (body.has_error()) co_return body.error();
    co_return OllamaResult<void>{};
}

asio::awaitable<OllamaResult<void>> OllamaModels::load(std::string body) {
    auto request = post("/api/generate", std::move(body));
    const auto answer = co_await call(std::move(request), stall_limit);
    if (answer.has_error()) co_return answer.error();
    co_return OllamaResult<void>{};
}

}  // namespace oavc::services
