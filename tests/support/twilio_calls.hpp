#pragma once

// The connector's side of Twilio's calls, and a fixture in which FakeTwilio places them.

#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "net/http_server.hpp"
#include "support/fake_twilio.hpp"
#include "transports/twilio/twilio_listener.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace oavc::transports::twilio {

using test::FakeTwilio;

inline const std::string auth_token = "0123456789abcdef0123456789abcdef";

/// What the connector's side of one call saw. Written on the shard; read after `ended` is ready, or
/// the atomics at any time.
struct CallRecord {
    CallInfo info;
    std::vector<std::vector<media::Sample>> frames;
    std::vector<bool> concealed;
    std::string digits;
    MediaEnd end;
    MediaStats stats;
    std::vector<milliseconds> cleared;
    error_code connect_error;  ///< of an outgoing call that nobody answered
    error_code transfer_error;
    std::promise<void> promise;
    std::future<void> ended{promise.get_future()};

    std::atomic<std::size_t> frames_so_far{0};
    std::atomic<std::size_t> concealed_so_far{0};
    std::atomic<std::size_t> sent_so_far{0};
    std::atomic<std::int64_t> unheard_ms{0};
    std::atomic<bool> answered{false};
    std::atomic<int> orders_done{0};  ///< transfers and digits
};

/// What a test tells the connector's side to do, at its next tick.
struct Orders {
    std::atomic<int> frames_to_say{0};
    std::atomic<int> value{1000};  ///< of every sample said
    std::atomic<bool> clear{false};
    std::atomic<bool> hang_up{false};
    std::atomic<const char*> transfer_to{nullptr};
    std::atomic<const char*> press{nullptr};
};

class CallSide final : public MediaSink {
public:
    CallSide(Transport& transport, CallRecord& record, Orders& orders, async::TaskGroup& tasks)
        : transport_{transport}, record_{record}, orders_{orders}, tasks_{tasks} {}

    void on_frame(media::FrameView frame, TimePoint, bool concealed) noexcept override {
        record_.frames.emplace_back(frame.samples.begin(), frame.samples.end());
        record_.concealed.push_back(concealed);
        ++record_.frames_so_far;
        if (concealed) ++record_.concealed_so_far;
    }
    void on_tick(TimePoint) noexcept override {
        if (orders_.clear.exchange(false)) record_.cleared.push_back(transport_.clear_audio());
        if (orders_.hang_up.exchange(false)) tasks_.spawn(transport_.hang_up());
        if (const char* target = orders_.transfer_to.exchange(nullptr)) {
            tasks_.spawn(note(transport_.transfer(target)));
        }
        if (const char* digits = orders_.press.exchange(nullptr)) {
            tasks_.spawn(note(transport_.send_digits(digits)));
        }
        const std::vector<media::Sample> frame(160, static_cast<media::Sample>(orders_.value));
        while (orders_.frames_to_say > 0 && transport_.send_room() > 0) {
            if (!transport_.send_audio({frame, narrowband})) break;
            --orders_.frames_to_say;
            ++record_.sent_so_far;
        }
        record_.unheard_ms = transport_.unheard().count();
    }
    void on_digit(char digit, DigitSource source) noexcept override {
        EXPECT_EQ(source, DigitSource::twilio);
        record_.digits += digit;
    }
    void on_hold(bool) noexcept override {}

private:
    asio::awaitable<void> note(asio::awaitable<Result<void>> work) {
        const auto done = co_await std::move(work);
        record_.transfer_error = done ? error_code{} : done.error();
        ++record_.orders_done;
    }

    Transport& transport_;
    CallRecord& record_;
    Orders& orders_;
    async::TaskGroup& tasks_;
};

/// The pipeline's place: admits up to `capacity` and runs calls on orders.
class Connector final : public CallHandler, private AdmissionSlot::Owner {
public:
    Result<AdmissionSlot, Refusal> admit(const CallOffer&) noexcept override {
        if (in_use_ >= capacity) return Refusal::full;
        ++in_use_;
        return AdmissionSlot{*this};
    }
    asio::awaitable<void> run_call(
        async::Shard& shard, std::unique_ptr<Transport> transport, AdmissionSlot slot
    ) override {
        auto& record = new_record(transport->info());
        const auto connected = co_await transport->connect();
        EXPECT_EQ(transport->format().rate, narrowband);
        if (!connected) {
            record.connect_error = connected.error();
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await transport->hang_up();
        } else {
            record.answered = true;
            async::TaskGroup tasks{shard.executor(), [](std::exception_ptr) { ADD_FAILURE(); }};
            CallSide side{*transport, record, orders, tasks};
            record.end = co_await transport->receive_audio(side);
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await transport->hang_up();
            co_await tasks.join();
        }
        record.stats = transport->stats();
        transport.reset();
        slot = {};
        record.promise.set_value();
    }

    CallRecord* record(std::size_t index) {
        const std::scoped_lock lock{mutex_};
        return records_.size() > index ? records_[index].get() : nullptr;
    }
    std::size_t calls() {
        const std::scoped_lock lock{mutex_};
        return records_.size();
    }
    std::size_t in_use() const { return in_use_; }

    std::atomic<std::size_t> capacity{10};
    Orders orders;

private:
    void release_slot() noexcept override { --in_use_; }
    /// Who counts calls() reads their info.
    CallRecord& new_record(const CallInfo& info) {
        const std::scoped_lock lock{mutex_};
        auto& record = *records_.emplace_back(std::make_unique<CallRecord>());
        record.info = info;
        return record;
    }
    std::atomic<std::size_t> in_use_{0};
    std::mutex mutex_;
    std::vector<std::unique_ptr<CallRecord>> records_;
};

class TwilioCallTest : public ::testing::Test {
protected:
    TwilioCallTest() { config_.auth_token = auth_token; }

    void start() {
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        server_.emplace(pool_, options);
        listener_.emplace(config_, *server_, pool_, connector_);
        server_->start();
        listener_->start();
        pool_.start();
    }
    ~TwilioCallTest() override {
        if (listener_) listener_->stop();
        if (server_) server_->stop();
        EXPECT_EQ(connector_.in_use(), 0u) << "every admission slot was given back";
    }

    FakeTwilio::Settings settings() const {
        FakeTwilio::Settings settings;
        settings.port = server_->port();
        settings.public_url = config_.public_url;
        settings.auth_token = auth_token;
        return settings;
    }
    std::unique_ptr<FakeTwilio> twilio() {
        return std::make_unique<FakeTwilio>(shard_, settings());
    }

    static asio::awaitable<void> ask_into(
        FakeTwilio& twilio, std::string method, Result<net::HttpResponse>& out
    ) {
        out = co_await twilio.ask_webhook(method);
    }
    net::HttpResponse ask(FakeTwilio& twilio, std::string method = "POST") {
        Result<net::HttpResponse> response{error_code{asio::error::fault}};
        run(ask_into(twilio, method, response));
        return response.value();
    }
    static asio::awaitable<void> open_into(FakeTwilio& twilio, bool start, error_code& error) {
        auto opened = co_await twilio.open_socket();
        if (opened.has_error()) {
            error = opened.error();
        } else if (start) {
            twilio.send_start();
        }
    }
    error_code open(FakeTwilio& twilio, bool start = true) {
        error_code error;
        run(open_into(twilio, start, error));
        return error;
    }
    /// Webhook, socket and start.
    std::unique_ptr<FakeTwilio> place_call() {
        auto placed = twilio();
        EXPECT_EQ(ask(*placed).status, 200);
        EXPECT_EQ(open(*placed), error_code{});
        return placed;
    }
    /// The record of a call, once it has begun. Moves Twilio's side meanwhile.
    CallRecord& call(std::size_t index = 0) {
        const TimePoint limit = Clock::now() + 10s;
        while (Clock::now() < limit) {
            if (auto* record = connector_.record(index)) return *record;
            shard_.context().restart();
            shard_.context().poll();
        }
        throw std::runtime_error{"the call did not begin"};
    }
    void live(FakeTwilio& twilio, Clock::duration time) { run(twilio.live(time)); }
    void run(asio::awaitable<void> work) { async::run_blocking(shard_, std::move(work)); }
    void hang_up(FakeTwilio& twilio, CallRecord& call) {
        twilio.send_stop();
        run(twilio.live_until_closed());
        call.ended.wait();
    }
    template <class Condition>
    void live_until(FakeTwilio& twilio, Condition&& condition) {
        const TimePoint limit = Clock::now() + 10s;
        while (!condition() && Clock::now() < limit && !twilio.closed())
            live(twilio, 5ms);
        EXPECT_TRUE(condition());
    }

    Config config_;
    async::ShardPool pool_{2};
    async::Shard shard_{9};  ///< Twilio's; driven by the test's thread
    Connector connector_;
    std::optional<net::HttpServer> server_;
    std::optional<TwilioListener> listener_;
};

}  // namespace oavc::transports::twilio
