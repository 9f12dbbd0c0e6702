#pragma once

#include "api/access.hpp"
#include "net/http_server.hpp"
#include "observability/audit.hpp"
#include "pipeline/events.hpp"

namespace oavc::api {

/// Tells the audit of every call: how it began, what was done to it, how it ended. Thread: any.
class CallAudit final : public pipeline::CallObserver {
public:
    explicit CallAudit(audit::Log& log) noexcept : log_{log} {}

    void on_call_event(
        const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
    ) noexcept override;

private:
    audit::Log& log_;
};

/// `handler`, with the audit told of what it did: every request that changes something, with its
/// outcome, and every one that was refused for want of a right (401, 403). Of these at most ten a
/// second, for anybody can send them; the next one tells how many were left out. `log` and
/// `access`, which knows who asks, outlive the server.
net::HttpHandler audited(audit::Log& log, const Access& access, net::HttpHandler handler);

}  // namespace oavc::api
