#pragma once

#include "base/result.hpp"
#include "sip/message.hpp"
#include "sip/transaction_layer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

/// What both sides of a call know of each other (RFC 3261 §12). A value: owned by its call.
struct Dialog {
    std::string call_id;
    std::string local_tag;
    std::string remote_tag;
    std::string local;                ///< From of our requests, with our tag
    std::string remote;               ///< To of our requests, with theirs
    std::string remote_target;        ///< their Contact
    std::vector<std::string> routes;  ///< in the order of our Route headers
    std::uint32_t local_cseq{0};
    std::optional<std::uint32_t> remote_cseq;

    /// §12.1.1: we are called.
    static Dialog of_caller(const Message& invite, std::string_view local_tag);
    /// §12.1.1: whether a caller's INVITE wants our Contact to be a SIPS URI.
    static bool wants_sips(const Message& invite);
    /// §12.1.2: we call, and `response` (101 … 299) came to our `invite`.
    static Dialog of_callee(const Message& invite, const Message& response);

    /// A request within the dialog (§12.2.1.1), without Via and Contact. ACK repeats a CSeq: give
    /// it; everything else counts on.
    Message request(std::string_view method, std::optional<std::uint32_t> cseq = {});

    /// §12.2.2: false for a number that has been passed already (500).
    bool take_cseq(std::uint32_t number) noexcept;

    /// Target refresh (§12.2): INVITE, UPDATE and their 2xx bring a new Contact.
    void refresh_target(const Message& message);

    /// What the next request is sent to: the first route, else the remote target. Host names are
    /// not looked up: those and what says nothing are reached at `last`, where the other side's
    /// latest message came from, as is whoever talks to us over a stream that it opened.
    Target next_hop(const Target& last) const;
};

/// Where a URI says to send (RFC 3263 without DNS); nothing for host names and tel:.
std::optional<Target> target_of(const Uri& uri);

/// Is it numeric? IPv6 with or without brackets.
bool is_ip_address(std::string_view host) noexcept;

}  // namespace oavc::sip
