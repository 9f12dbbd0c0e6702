#pragma once

#include "base/time.hpp"
#include "config/schema.hpp"

#include <string_view>
#include <utility>
#include <vector>

// What the keys of all providers have in common.

namespace oavc::config {

/// Where `Member` of the provider's struct `Provider` lives.
template <auto Provider, auto Member>
Field at(Target t) {
    return &(t.config.services.*Provider.*Member);
}

/// Where `Member` of that provider's Endpoint lives.
template <auto Provider, auto Member>
Field end_of(Target t) {
    return &((t.config.services.*Provider).endpoint.*Member);
}

/// Where `Member` of what that provider is shown and must show lives.
template <auto Provider, auto Member>
Field identity_of(Target t) {
    return &((t.config.services.*Provider).endpoint.tls.*Member);
}

template <auto Member>
Field of(Target t) {
    return &(t.config.services.*Member);
}

/// What every remote provider has.
template <auto Provider>
void reach(
    std::vector<Key>& keys,
    std::string_view section,
    std::string_view url,
    std::vector<std::string_view> schemes
) {
    keys.push_back(
        {section,
         url,
         end_of<Provider, &services::Endpoint::url>,
         Url{std::move(schemes)},
         "Where the server is. It must be reachable from this machine; `oavc serve` says at start "
         "whether it answers."}
    );
    keys.push_back(
        {section,
         "connect_timeout",
         end_of<Provider, &services::Endpoint::connect_timeout>,
         Duration{10ms, 1min},
         "How long name look-up, connection and handshake may take together."}
    );
}

/// Of those that may be reached over TLS.
template <auto Provider>
void trust(std::vector<Key>& keys, std::string_view section) {
    keys.push_back(
        {section,
         "ca_file",
         identity_of<Provider, &net::TlsIdentity::ca_file>,
         Path{},
         "PEM file of the certificates to trust instead of the system's, for servers with a "
         "certificate of your own."}
    );
    keys.push_back(
        {section,
         "certificate_file",
         identity_of<Provider, &net::TlsIdentity::certificate_file>,
         Path{},
         "PEM file with our certificate and the chain behind it, for servers that ask for one "
         "(mutual TLS). Empty: none."}
    );
    keys.push_back(
        {section,
         "key_file",
         identity_of<Provider, &net::TlsIdentity::key_file>,
         Path{},
         "PEM file with the key of `certificate_file`."}
    );
}

inline void add(std::vector<Key>& keys, std::vector<Key> more) {
    keys.insert(keys.end(), more.begin(), more.end());
}

inline constexpr std::string_view fallback_help =
    "Who takes over, within the same turn, when the provider fails. Empty: nobody.";

}  // namespace oavc::config
