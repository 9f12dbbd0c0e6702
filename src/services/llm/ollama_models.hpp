#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "net/http_stream.hpp"
#include "services/config.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// Why the server did not do what it was asked, in a sentence for the operator.
struct OllamaFailure {
    error_code error;  ///< ServiceErrc
    int status{0};     ///< HTTP; 0: no answer came
    std::string what;
};
template <class T>
using OllamaResult = Result<T, OllamaFailure>;

/// "m" means "m:latest" to the server; names are compared like this.
std::string with_tag(std::string_view model);

/// A model that lies on the server.
struct OllamaModel {
    std::string name;           ///< with its tag: "qwen3:4b"
    std::uint64_t size{0};      ///< bytes
    std::string family;         ///< "qwen3"
    std::string parameters;     ///< "4.0B"
    std::string quantization;   ///< "Q4_K_M"
    std::string modified_at{};  ///< as the server has it, RFC 3339
};

struct OllamaModelInfo {
    OllamaModel model;
    std::uint64_t context_length{0};  ///< tokens, 0: unknown
    std::vector<std::string>
        capabilities;      ///< "completion", "tools", "thinking"; old servers: none
    std::string settings;  ///< what the model file sets, a line each

    bool can(std::string_view capability) const noexcept;
};

/// How far a pull has come: bytes of all layers the server has named so far.
struct OllamaProgress {
    std::string status;  ///< the server's words: "pulling 3e4cb1417446"
    std::uint64_t completed{0};
    std::uint64_t total{0};  ///< 0: not known yet
};

/// The answer to a pull, line by line. Sans-I/O.
class OllamaPull {
public:
    /// False: the line is not understood, and skipped.
    bool take(std::string_view line);
    const OllamaProgress& progress() const noexcept { return progress_; }
    bool done() const noexcept { return progress_.status == "success"; }
    const std::string& error() const noexcept { return error_; }  ///< empty: none

private:
    struct Layer {
        std::uint64_t completed{0};
        std::uint64_t total{0};
    };
    std::map<std::string, Layer> layers_;
    OllamaProgress progress_;
    std::string error_;
};

/// Management of the models on an Ollama server. Thread: the shard's.
class OllamaModels {
public:
    OllamaModels(async::Shard& shard, Endpoint endpoint);

    asio::awaitable<OllamaResult<std::string>> version();
    asio::awaitable<OllamaResult<std::vector<OllamaModel>>> list();
    /// Status 404: the server does not have it.
    asio::awaitable<OllamaResult<OllamaModelInfo>> show(std::string name);
    /// Fetches a model to the server; returns once it is there. An interrupted pull goes on where
    /// it was. `on_progress` is called often.
    asio::awaitable<OllamaResult<void>> pull(
        std::string name, std::function<void(const OllamaProgress&)> on_progress
    );
    asio::awaitable<OllamaResult<void>> remove(std::string name);
    /// Loads a model into the server's memory: `body` of ollama_warm_up(). Takes up to minutes.
    asio::awaitable<OllamaResult<void>> load(std::string body);

private:
    asio::awaitable<OllamaResult<std::string>> call(
        net::HttpConnections::Request request, Clock::duration limit
    );
    OllamaFailure unreachable(const error_code& error) const;

    const std::string url_;
    net::HttpConnections connections_;
};

}  // namespace oavc::services
