#include "app/gcp_secrets.hpp"

#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "base/base64.hpp"
#include "net/http_client.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace oavc::app {

namespace json = boost::json;
using config::SecretProblem;

namespace {

constexpr Clock::duration limit = 5s;       ///< of each request
constexpr std::size_t largest = 64 * 1024;  ///< Secret Manager's own limit
constexpr std::string_view metadata_host = "metadata.google.internal";
constexpr std::string_view manager_url = "https://secretmanager.googleapis.com";
constexpr std::string_view token_path =
    "/computeMetadata/v1/instance/service-accounts/default/token";

std::string text_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                  : std::string{};
}

std::optional<json::object> object_of(std::string_view text) {
    error_code error;
    auto value = json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

asio::awaitable<void> ask(
    async::Shard& shard, net::HttpClientRequest request, Result<net::HttpResponse>& answer
) {
    answer = co_await net::http_request(shard, std::move(request), limit);
}

class GcpSecrets {
public:
    explicit GcpSecrets(const config::Environment& environment) {
        const auto value = [&](std::string_view name, std::string_view otherwise) {
            const auto found = environment.find(name);
            return found != environment.end() && !found->second.empty() ? found->second
                                                                        : std::string{otherwise};
        };
        metadata_ = "http://" + value("GCE_METADATA_HOST", metadata_host);
        manager_ = value("OAVC_SECRET_MANAGER_URL", manager_url);
    }

    Result<std::string, SecretProblem> read(std::string_view name) {
        const auto version = secret_version(name);
        if (!version) return version.error();
        if (token_.empty()) {
            if (auto problem = fetch_token(); !problem.empty()) return SecretProblem{problem};
        }
        net::HttpClientRequest request;
        request.url = manager_ + "/v1/" + *version + ":access";
        request.headers["Authorization"] = "Bearer " + token_;
        request.max_body = 2 * largest;
        const auto answer = fetch(std::move(request));
        if (!answer) {
            return SecretProblem{
                fmt::format("Secret Manager does not answer: {}", answer.error().message())};
        }
        switch (answer->status) {
            case 200:
                return secret_of(answer->body);
            case 403:
                return SecretProblem{fmt::format(
                    "{} may not be read: give this machine's service account the role "
                    "roles/secretmanager.secretAccessor",
                    *version
                )};
            case 404:
                return SecretProblem{fmt::format("there is no {}", *version)};
            default:
                return SecretProblem{
                    fmt::format("Secret Manager answers {} for {}", answer->status, *version)};
        }
    }

private:
    Result<net::HttpResponse> fetch(net::HttpClientRequest request) {
        Result<net::HttpResponse> answer = error_code{asio::error::operation_aborted};
        async::run_blocking(shard_, ask(shard_, std::move(request), answer));
        return answer;
    }

    std::string fetch_token() {
        net::HttpClientRequest request;
        request.url = metadata_ + std::string{token_path};
        request.headers["Metadata-Flavor"] = "Google";
        request.max_body = largest;
        const auto answer = fetch(std::move(request));
        if (!answer) {
            return fmt::format(
                "Google's metadata server does not answer ({}); ${{gcp-secret:…}} works on "
                "Google's machines only",
                answer.error().message()
            );
        }
        if (answer->status != 200) {
            return fmt::format(
                "Google's metadata server answers {}: has this machine a service account?",
                answer->status
            );
        }
        const auto object = object_of(answer->body);
        if (object) token_ = text_at(*object, "access_token");
        const bool usable = !token_.empty() && token_.find_first_of("\r\n") == std::string::npos;
        if (!usable) token_.clear();
        return usable ? std::string{} : "Google's metadata server gives no token";
    }

    async::Shard shard_{0};
    std::string metadata_;
    std::string manager_;
    std::string token_;
};

}  // namespace

Result<std::string, SecretProblem> secret_version(std::string_view name) {
    std::vector<std::string_view> parts;
    for (std::string_view rest = name;;) {
        const auto slash = rest.find('/');
        parts.push_back(rest.substr(0, slash));
        if (slash == std::string_view::npos) break;
        rest.remove_prefix(slash + 1);
    }
    const bool plain = std::ranges::all_of(parts, [](std::string_view part) {
        return !part.empty() && std::ranges::all_of(part, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-' || c == '_' || c == ':' || c == '.';
        });
    });
    const bool named = plain && (parts.size() == 4 || parts.size() == 6) &&
                       parts[0] == "projects" && parts[2] == "secrets" &&
                       (parts.size() == 4 || parts[4] == "versions");
    if (!named) {
        return SecretProblem{
            "a secret is named projects/PROJECT/secrets/NAME, with or without /versions/VERSION"};
    }
    std::string version{name};
    if (parts.size() == 4) version += "/versions/latest";
    return {boost::system::in_place_value, std::move(version)};
}

std::uint32_t crc32c(std::string_view bytes) noexcept {
    std::uint32_t crc = 0xFFFF'FFFFU;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F6'3B78U : 0U);
    }
    return ~crc;
}

Result<std::string, SecretProblem> secret_of(std::string_view answer) {
    const SecretProblem unreadable{"Secret Manager's answer cannot be read"};
    const auto object = object_of(answer);
    if (!object) return unreadable;
    const auto* const payload = object->if_contains("payload");
    if (payload == nullptr || !payload->is_object()) return unreadable;
    const auto encoded = text_at(payload->get_object(), "data");
    std::string secret(base64::decoded_limit(encoded.size()), '\0');
    const auto size = base64::decode(encoded, std::as_writable_bytes(std::span{secret}));
    if (!size || *size == 0 || *size > largest) return unreadable;
    secret.resize(*size);
    // The checksum is a 64-bit number, which JSON carries as a text.
    if (const auto sum = text_at(payload->get_object(), "dataCrc32c"); !sum.empty()) {
        std::uint64_t expected = 0;
        const auto [end, error] = std::from_chars(sum.data(), sum.data() + sum.size(), expected);
        if (error != std::errc{} || end != sum.data() + sum.size() || expected != crc32c(secret)) {
            return SecretProblem{"the secret was damaged on its way: its CRC-32C is another one"};
        }
    }
    return {boost::system::in_place_value, std::move(secret)};
}

config::SecretReader gcp_secrets(const config::Environment& environment) {
    auto secrets = std::make_shared<GcpSecrets>(environment);
    return [secrets](std::string_view name) { return secrets->read(name); };
}

}  // namespace oavc::app
