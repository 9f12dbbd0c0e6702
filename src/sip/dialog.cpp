#include "sip/dialog.hpp"

#include "sip/text.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

namespace oavc::sip {

namespace {

std::string contact_of(const Message& message) {
    const auto contacts = message.list("Contact");
    if (contacts.empty()) return {};
    const auto parsed = parse_name_address(contacts.front());
    return parsed ? parsed->uri.text : std::string{};
}

/// Loose routers say so (§19.1.1).
bool is_loose(std::string_view route) {
    const auto parsed = parse_name_address(route);
    return parsed && parsed->uri.parameter("lr").has_value();
}

}  // namespace

bool is_ip_address(std::string_view host) noexcept {
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    if (host.size() > 45) return false;
    in6_addr unused{};
    const std::string text{host};
    return inet_pton(AF_INET, text.c_str(), &unused) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &unused) == 1;
}

std::optional<Target> target_of(const Uri& uri) {
    auto host = uri.host;
    if (const auto maddr = uri.parameter("maddr"); maddr && !maddr->empty()) host = *maddr;
    if (!is_ip_address(host)) return std::nullopt;
    if (host.front() == '[') host = host.substr(1, host.size() - 2);
    Target target;
    target.address = host;
    const auto transport = uri.parameter("transport").value_or("");
    if (uri.scheme == "sips" || equals_ignoring_case(transport, "tls")) {
        target.protocol = Protocol::tls;
    } else if (equals_ignoring_case(transport, "tcp")) {
        target.protocol = Protocol::tcp;
    }
    target.port = uri.port.value_or(target.protocol == Protocol::tls ? 5061 : 5060);
    return target;
}

Dialog Dialog::of_caller(const Message& invite, std::string_view local_tag) {
    Dialog dialog;
    dialog.call_id = invite.get("Call-ID");
    dialog.local_tag = local_tag;
    dialog.remote_tag = invite.from().tag;
    dialog.remote = invite.get("From");
    dialog.local = invite.get("To");
    dialog.local.append(";tag=").append(local_tag);
    dialog.remote_target = contact_of(invite);
    if (dialog.remote_target.empty()) dialog.remote_target = invite.from().uri.text;  // RFC 2543
    dialog.routes = invite.list("Record-Route");
    dialog.remote_cseq = invite.cseq().number;
    return dialog;
}

bool Dialog::wants_sips(const Message& invite) {
    if (is_sips(invite.uri)) return true;
    const auto routes = invite.list("Record-Route");
    if (routes.empty()) return is_sips(contact_of(invite));
    const auto top = parse_name_address(routes.front());
    return top && top->uri.scheme == "sips";
}

Dialog Dialog::of_callee(const Message& invite, const Message& response) {
    Dialog dialog;
    dialog.call_id = invite.get("Call-ID");
    dialog.local_tag = invite.from().tag;
    dialog.local = invite.get("From");
    dialog.remote = response.get("To");
    dialog.remote_tag = response.to().tag;
    dialog.remote_target = contact_of(response);
    if (dialog.remote_target.empty()) dialog.remote_target = invite.uri;
    dialog.routes = response.list("Record-Route");
    std::reverse(dialog.routes.begin(), dialog.routes.end());
    dialog.local_cseq = invite.cseq().number;
    return dialog;
}

Message Dialog::request(std::string_view method, std::optional<std::uint32_t> cseq) {
    Message out;
    out.method = method;
    out.uri = remote_target;
    out.add("Max-Forwards", "70");
    if (!routes.empty()) {
        auto written = routes;
        if (!is_loose(routes.front())) {
            // A strict router wants itself as the Request-URI (§12.2.1.1).
            const auto first = parse_name_address(routes.front());
            if (first) out.uri = first->uri.text;
            written.erase(written.begin());
            written.push_back("<" + remote_target + ">");
        }
        for (auto& route : written)
            out.add("Route", std::move(route));
    }
    out.add("From", local);
    out.add("To", remote);
    out.add("Call-ID", call_id);
    const auto number = cseq ? *cseq : ++local_cseq;
    out.add("CSeq", std::to_string(number).append(" ").append(method));
    return out;
}

bool Dialog::take_cseq(std::uint32_t number) noexcept {
    if (remote_cseq && number <= *remote_cseq) return false;
    remote_cseq = number;
    return true;
}

void Dialog::refresh_target(const Message& message) {
    if (auto contact = contact_of(message); !contact.empty()) remote_target = std::move(contact);
}

Target Dialog::next_hop(const Target& last) const {
    std::optional<Target> stated;
    if (!routes.empty()) {
        if (const auto first = parse_name_address(routes.front())) stated = target_of(first->uri);
    } else if (const auto uri = parse_uri(remote_target)) {
        stated = target_of(*uri);
    }
    if (!stated) return last;
    // A stream that they opened serves both ways; a port behind NAT is not to be called back.
    const bool same_stream = is_reliable(last.protocol) && last.connection != 0 &&
                             (stated->protocol == last.protocol || stated->address == last.address);
    if (same_stream) {
        stated->protocol = last.protocol;
        stated->connection = last.connection;
    }
    return *stated;
}

}  // namespace oavc::sip
