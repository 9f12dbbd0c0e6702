#include "transports/twilio/signature.hpp"

#include "base/base64.hpp"
#include "base/bytes.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <vector>

namespace oavc::transports::twilio {

namespace {

/// A URL cut where the spellings differ.
struct Parts {
    std::string_view scheme;  ///< with "://"
    std::string_view host;    ///< without user info and port
    std::string_view port;    ///< with ':', or empty
    std::string_view path;    ///< may be empty
    std::string_view query;   ///< with '?', or empty
};

Parts cut(std::string_view url) {
    Parts parts;
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) {
        parts.path = url;
        return parts;
    }
    parts.scheme = url.substr(0, scheme_end + 3);
    url.remove_prefix(scheme_end + 3);
    auto authority = url.substr(0, url.find_first_of("/?"));
    const auto rest = url.substr(authority.size());
    parts.path = rest.substr(0, rest.find('?'));
    parts.query = rest.substr(parts.path.size());
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        authority.remove_prefix(at + 1);
    }
    const auto colon = authority.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    parts.host = authority.substr(0, has_port ? colon : authority.size());
    parts.port = authority.substr(parts.host.size());
    return parts;
}

std::string_view default_port(std::string_view scheme) noexcept {
    return scheme == "https://" || scheme == "wss://" ? ":443" : ":80";
}

std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
    std::string out;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
        out.append(text.substr(0, at)).append(with);
        text.remove_prefix(at + what.size());
    }
    return out.append(text);
}

/// Every spelling of `url` that Twilio may have signed; the most likely first.
std::vector<std::string> spellings(std::string_view url) {
    const Parts parts = cut(url);
    std::vector<std::string_view> ports{parts.port, "", default_port(parts.scheme)};
    const bool socket = parts.scheme == "wss://" || parts.scheme == "ws://";
    std::vector<std::string> paths{std::string{parts.path}};
    if (parts.path.empty()) {
        paths.emplace_back("/");
    } else if (parts.path == "/") {
        paths.emplace_back("");
    } else if (socket) {
        paths.push_back(
            parts.path.ends_with('/') ? std::string{parts.path.substr(0, parts.path.size() - 1)}
                                      : std::string{parts.path} + "/"
        );
    }
    std::vector<std::string> queries{std::string{parts.query}};
    queries.push_back(replaced(parts.query, "'", "%27"));
    queries.push_back(replaced(parts.query, "%27", "'"));
    std::vector<std::string> all;
    for (const auto& query : queries) {
        for (const auto& path : paths) {
            for (const auto port : ports) {
                std::string candidate{parts.scheme};
                candidate.append(parts.host).append(port).append(path).append(query);
                if (std::find(all.begin(), all.end(), candidate) == all.end()) {
                    all.push_back(std::move(candidate));
                }
            }
        }
    }
    return all;
}

std::string signed_parameters(std::span<const FormField> parameters) {
    std::vector<const FormField*> sorted;
    for (const auto& field : parameters)
        sorted.push_back(&field);
    const auto less = [](const FormField* a, const FormField* b) {
        return std::tie(a->name, a->value) < std::tie(b->name, b->value);
    };
    const auto same = [](const FormField* a, const FormField* b) { return *a == *b; };
    std::sort(sorted.begin(), sorted.end(), less);
    sorted.erase(std::unique(sorted.begin(), sorted.end(), same), sorted.end());
    std::string text;
    for (const auto* field : sorted)
        text.append(field->name).append(field->value);
    return text;
}

std::string hmac_base64(std::string_view token, std::string_view data) {
    std::array<std::byte, EVP_MAX_MD_SIZE> mac;
    unsigned size = 0;
    ::HMAC(
        EVP_sha1(),
        token.data(),
        static_cast<int>(token.size()),
        reinterpret_cast<const unsigned char*>(data.data()),  // NOLINT
        data.size(),
        reinterpret_cast<unsigned char*>(mac.data()),  // NOLINT
        &size
    );
    return base64::encode(std::span{mac}.first(size));
}

bool same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sha256_hex(std::string_view data) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
    unsigned size = 0;
    ::EVP_Digest(data.data(), data.size(), hash.data(), &size, EVP_sha256(), nullptr);
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += digits[hash[i] >> 4];
        text += digits[hash[i] & 15];
    }
    return text;
}

}  // namespace

std::string sign(
    std::string_view token, std::string_view url, std::span<const FormField> parameters
) {
    return hmac_base64(token, std::string{url} + signed_parameters(parameters));
}

bool signature_valid(std::span<const std::string> tokens, const SignedRequest& request) {
    if (request.signature.empty()) return false;
    const auto urls = spellings(request.url);
    const auto parameters = signed_parameters(request.parameters);
    bool valid = false;
    for (const auto& token : tokens) {
        if (token.empty()) continue;
        for (const auto& url : urls) {
            valid |= same_secret(hmac_base64(token, url + parameters), request.signature);
        }
    }
    return valid;
}

bool json_signature_valid(
    std::span<const std::string> tokens,
    std::string_view url,
    std::string_view body,
    std::string_view signature
) {
    const auto query = url.find('?');
    if (query == std::string_view::npos) return false;
    const auto form = parse_form(url.substr(query + 1));
    if (form.has_error()) return false;
    if (!same_secret(find_field(*form, "bodySHA256"), sha256_hex(body))) return false;
    return signature_valid(tokens, {url, {}, signature});
}

}  // namespace oavc::transports::twilio
