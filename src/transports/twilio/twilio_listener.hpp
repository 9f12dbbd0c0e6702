#pragma once

#include "async/shard_pool.hpp"
#include "async/task_group.hpp"
#include "net/http_server.hpp"
#include "observability/log.hpp"
#include "transports/listener.hpp"
#include "transports/twilio/config.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/rest.hpp"
#include "transports/twilio/token.hpp"
#include "transports/twilio/voucher.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace oavc::transports::twilio {

/// Brings Twilio's calls: the voice webhook (`POST /`, and `GET /` for numbers configured so)
/// answers with TwiML that sends the call to `/ws` with a one-time token bound to its CallSid; the
/// socket that shows the token becomes the call. Without admission, and while accepting is stopped,
/// the webhook answers `<Reject reason="busy"/>`: the caller hears busy and Twilio bills nothing (a
/// status of 503 would make Twilio read an error message to the caller); or, with `busy_sentence`,
/// TwiML that says it.
///
/// Places calls, too (Dialer), when the account, its phone number and `public_url` are known: over
/// the REST interface. When the callee answers, Twilio asks `/twilio/answered` and opens `/ws/N`, N
/// being the shard on which the call waits; what becomes of the ringing it tells `/twilio/status`.
/// A call of ours that nobody here waits for, such as one whose placing timed out, is hung up as
/// soon as Twilio mentions it.
///
/// With `any_instance` the token is a voucher that every instance with the same auth token can
/// check: nothing waits here between webhook and socket, and the socket's instance decides about
/// the place. The webhook's answers busy while it has none itself.
///
/// Routes are registered on the server at construction; start the server after it, stop the server
/// after stop(). A call's admission slot waits with its token and is given back when it expires.
class TwilioListener final : public Listener, private Dialer {
public:
    /// Cumulative.
    struct Stats {
        std::uint64_t webhooks{0};
        std::uint64_t forged{0};           ///< webhooks and handshakes whose signature is wrong
        std::uint64_t busy{0};             ///< webhooks answered with busy, or the sentence
        std::uint64_t expired{0};          ///< tokens whose socket never came
        std::uint64_t refused_sockets{0};  ///< without a good token: closed with 1008
        std::uint64_t calls{0};
        std::uint64_t placed{0};   ///< outgoing calls that Twilio took
        std::uint64_t orphans{0};  ///< outgoing calls that were hung up because nobody waited
    };

    TwilioListener(
        Config config, net::HttpServer& server, async::ShardPool& shards, CallHandler& handler
    );
    TwilioListener(const TwilioListener&) = delete;
    TwilioListener& operator=(const TwilioListener&) = delete;
    ~TwilioListener() override;

    std::string_view name() const noexcept override { return "twilio"; }
    void start() override;
    Dialer* dialer() noexcept override;
    void stop_accepting() override { accepting_ = false; }
    std::vector<metrics::Count> counts() const override;
    void stop() override;

    Stats stats() const noexcept;

private:
    /// Logs what a stranger did, at most once per second.
    template <class... Fields>
    void complain(std::string_view what, const Fields&... fields) {
        const std::scoped_lock lock{complaints_mutex_};
        if (!complaints_.allow(Clock::now())) return;
        log_.warn(what, fields..., log::kv("not_logged_before", complaints_.suppressed()));
    }

    struct Pending {
        AdmissionSlot slot;
        CallInfo info;
    };
    struct Lane;

    asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) override;
    asio::awaitable<void> hang_up_orphan(async::Shard& shard, std::string call_sid);

    /// A webhook's parameters, if Twilio sent it; else what to answer.
    Result<Form, net::HttpResponse> read_webhook(const net::HttpRequest& request);
    asio::awaitable<net::HttpResponse> on_answered(async::Shard& shard, net::HttpRequest request);
    asio::awaitable<net::HttpResponse> on_status(async::Shard& shard, net::HttpRequest request);
    void on_news(
        std::size_t shard,
        const std::string& token,
        const std::string& call_sid,
        const std::string& status,
        int sip_status
    );
    asio::awaitable<net::HttpResponse> on_webhook(async::Shard& shard, net::HttpRequest request);
    net::HttpResponse refuse();
    net::HttpResponse send_to_media(const net::HttpRequest& request, std::string token);
    net::HttpResponse vouch(const net::HttpRequest& request, const CallInfo& info);
    /// What another instance's webhook brought, and a place here; else what is wrong.
    Result<Pending, std::string> redeem_voucher(
        const std::string& call_sid, const std::string& voucher
    );
    /// A place for this call, unless we take none. Says so in the log.
    Result<AdmissionSlot, Refusal> admit(const CallInfo& info);
    std::optional<net::HttpResponse> check_handshake(const net::HttpRequest& request);
    asio::awaitable<void> on_socket(
        async::Shard& shard, net::HttpRequest request, std::unique_ptr<net::WebSocket> socket
    );
    asio::awaitable<void> expire_tokens();

    /// Public URL without a last slash; empty: this peer may not use what is for local trials.
    std::string public_base(const net::HttpRequest& request) const;
    bool forged(
        std::string_view what, std::string_view url, const net::HttpRequest& request, bool valid
    );

    // given to us
    const Config config_;
    const std::vector<std::string> tokens_;  ///< secrets: auth tokens that sign
    net::HttpServer& server_;
    async::ShardPool& shards_;
    CallHandler& handler_;

    // owned
    log::Logger log_;
    const RestClient rest_;
    TokenTable<Pending> pending_;
    UsedVouchers used_vouchers_;
    std::vector<std::unique_ptr<Lane>> lanes_;        ///< the calls of each shard
    std::unique_ptr<async::TaskGroup> housekeeping_;  ///< on shard 0

    // state
    std::mutex complaints_mutex_;
    log::RateLimit complaints_{std::chrono::seconds{1}};  ///< strangers can cause these
    std::atomic<bool> accepting_{true};
    bool started_{false};
    bool stopped_{false};
    std::atomic<std::uint64_t> webhooks_{0};
    std::atomic<std::uint64_t> forged_{0};
    std::atomic<std::uint64_t> busy_{0};
    std::atomic<std::uint64_t> expired_{0};
    std::atomic<std::uint64_t> refused_sockets_{0};
    std::atomic<std::uint64_t> calls_{0};
    std::atomic<std::uint64_t> placed_{0};
    std::atomic<std::uint64_t> orphans_{0};
};

}  // namespace oavc::transports::twilio
