#pragma once

#include "caller/conformance/case_list.hpp"
#include "caller/conformance/web_client.hpp"
#include "caller/twilio_peer.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::conformance {

using Fields = std::map<std::string, std::string>;

/// One call as Twilio brings it: webhook, then media stream. Leaves no place taken at the target.
class StreamCall {
public:
    explicit StreamCall(const Target& target);
    StreamCall(const StreamCall&) = delete;
    StreamCall& operator=(const StreamCall&) = delete;
    ~StreamCall();

    // Webhook.
    std::string webhook_url() const { return signed_base_ + target_.path; }
    Fields fields() const { return peer_.webhook_parameters(); }
    /// POST with that signature; empty: none.
    WebReply post(const Fields& parameters, const std::string& signature) const;
    /// POST with the right signature.
    WebReply post(const Fields& parameters);
    WebReply get(const Fields& parameters);
    WebReply raw(std::string_view method, const Headers& headers, std::string_view body) const;
    /// POST of that text as a form, without a signature.
    WebReply raw_form(std::string_view body) const;
    /// "" without an auth token.
    std::string sign(const std::string& url, const Fields& parameters) const;
    /// A webhook that must be answered with a stream.
    const StreamOrder& ring();
    void expect_twiml(const WebReply& reply);
    void require_token() const;

    // Stream.
    std::string stream_url() const { return order_->url; }
    /// What a start must bring back. Skips the case when there is nothing.
    const Fields& stream_parameters() const;
    std::unique_ptr<WebSocketClient> open(const Headers& headers) const;
    std::unique_ptr<WebSocketClient> open() const;
    void connect();
    void start() { start(order_->parameters); }
    void start(const Fields& parameters);
    /// Webhook, socket, `start`.
    void call();
    void flush();
    /// Speaks and listens in real time until `enough`; false when that did not come in time.
    bool run(Clock::duration time, const std::function<bool()>& enough);
    void listen(Clock::duration time);
    /// Waits for the target's voice; skips the case without one.
    void await_voice();
    /// The call goes on: the target has neither closed the socket nor fallen over.
    void expect_going_on();
    void hang_up();
    void say(std::vector<media::Sample> samples) { speech_ = std::move(samples); }

    TwilioPeer& peer() noexcept { return peer_; }
    WebSocketClient& socket() noexcept { return *socket_; }
    const Target& target() const noexcept { return target_; }
    const std::vector<std::string>& messages() const noexcept { return messages_; }
    const StreamOrder& order() const { return *order_; }
    const WebAddress& address() const noexcept { return address_; }

private:
    TimePoint until() const { return Clock::now() + target_.timeout; }
    /// So that even a call that no case looks at gives its place back.
    void remember(const WebReply& reply);

    // Given to us.
    const Target& target_;
    // State.
    WebAddress address_;
    std::string base_;
    std::string signed_base_;
    TwilioPeer peer_;
    std::optional<StreamOrder> order_;
    std::unique_ptr<WebSocketClient> socket_;
    std::vector<media::Sample> speech_;
    std::vector<std::string> messages_;
    bool started_{false};
};

// How cases begin: with a call that has not rung yet, the same where signatures are checked, and
// with a stream that has started.
using StreamRun = std::function<void(StreamCall&)>;
CaseList::Run with_call(StreamRun run);
CaseList::Run signed_call(StreamRun run);
CaseList::Run in_stream(StreamRun run);

/// Sends the `start` of that peer on that socket.
void send_start(WebSocketClient& socket, TwilioPeer& peer, const Fields& parameters);

/// A status of 4xx.
void expect_refused(int status);
inline void expect_refused(const WebReply& reply) { expect_refused(reply.status); }
/// The target still takes calls.
void expect_whole(const Target& target);
/// Opening and closing tags pair up, and no bare & or < is left.
void expect_well_formed(std::string_view document);

}  // namespace oavc::caller::conformance
