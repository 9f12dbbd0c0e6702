#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "media/g711.hpp"
#include "net/http_server.hpp"
#include "support/fake_twilio.hpp"
#include "support/http.hpp"
#include "transports/twilio/errors.hpp"
#include "transports/twilio/twilio_listener.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

namespace oavc::transports::twilio {
namespace {

using test::FakeTwilio;
using ::testing::HasSubstr;

const std::string auth_token = "0123456789abcdef0123456789abcdef";

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
    error_code transfer_error;
    std::promise<void> promise;
    std::future<void> ended{promise.get_future()};

    std::atomic<std::size_t> frames_so_far{0};
    std::atomic<std::size_t> concealed_so_far{0};
    std::atomic<std::size_t> sent_so_far{0};
    std::atomic<std::int64_t> unheard_ms{0};
};

/// What a test tells the connector's side to do, at its next tick.
struct Orders {
    std::atomic<int> frames_to_say{0};
    std::atomic<int> value{1000};  ///< of every sample said
    std::atomic<bool> clear{false};
    std::atomic<bool> hang_up{false};
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
    Transport& transport_;
    CallRecord& record_;
    Orders& orders_;
    async::TaskGroup& tasks_;
};

/// The pipeline's place: admits up to `capacity` and runs calls on orders.
class Connector final : public CallHandler, private AdmissionSlot::Owner {
public:
    AdmissionSlot admit() noexcept override {
        if (in_use_ >= capacity) return {};
        ++in_use_;
        return AdmissionSlot{*this};
    }
    asio::awaitable<void> run_call(
        async::Shard& shard, std::unique_ptr<Transport> transport, AdmissionSlot slot
    ) override {
        auto& record = new_record();
        record.info = transport->info();
        const auto connected = co_await transport->connect();
        EXPECT_TRUE(connected.has_value());
        EXPECT_EQ(transport->format().rate, narrowband);
        {
            async::TaskGroup tasks{shard.executor(), [](std::exception_ptr) { ADD_FAILURE(); }};
            CallSide side{*transport, record, orders, tasks};
            record.end = co_await transport->receive_audio(side);
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            const auto transferred = co_await transport->transfer("+902125550111");
            if (transferred.has_error()) record.transfer_error = transferred.error();
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
    CallRecord& new_record() {
        const std::scoped_lock lock{mutex_};
        return *records_.emplace_back(std::make_unique<CallRecord>());
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

std::vector<std::byte> ulaw_frame(int number) {
    return std::vector<std::byte>(160, static_cast<std::byte>(number));
}

TEST_F(TwilioCallTest, CarriesACallFromWebhookToStop) {
    start();
    auto settings = this->settings();
    settings.custom_parameters = {{"tenant", "acme"}, {"ad", "Şükrü"}};
    settings.webhook = {{"CallerName", "Şükrü Öz"}, {"ToCity", ""}};
    FakeTwilio twilio{shard_, settings};
    const auto answer = ask(twilio);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "text/xml; charset=utf-8");
    EXPECT_EQ(twilio.stream_url(), "ws://127.0.0.1:" + std::to_string(server_->port()) + "/ws");
    EXPECT_EQ(twilio.token().size(), 43u);
    EXPECT_EQ(connector_.in_use(), 1u) << "the place waits with the token";
    ASSERT_EQ(open(twilio), error_code{});
    for (int i = 0; i < 25; ++i)
        twilio.send_audio(ulaw_frame(i));
    auto& call = this->call();
    live_until(twilio, [&] { return call.frames_so_far >= 25; });
    connector_.orders.frames_to_say = 3;
    live_until(twilio, [&] { return twilio.playback.heard().size() == 3 * 160; });
    twilio.send_digit('7');
    twilio.send_digit('#');
    hang_up(twilio, call);

    EXPECT_EQ(call.info.via, "twilio");
    EXPECT_EQ(call.info.native_id, "CA00000000000000000000000000000001");
    EXPECT_EQ(call.info.from, "+905321112233");
    EXPECT_EQ(call.info.to, "+902125550100");
    const std::map<std::string, std::string> parameters{{"tenant", "acme"}, {"ad", "Şükrü"}};
    EXPECT_EQ(call.info.parameters, parameters) << "without the token";
    ASSERT_GE(call.frames.size(), 25u);
    int number = 0;
    for (std::size_t i = 0; i < call.frames.size(); ++i) {
        if (call.concealed[i]) continue;
        ASSERT_EQ(call.frames[i].size(), 160u);
        EXPECT_EQ(call.frames[i][0], media::g711::ulaw_decode(static_cast<std::uint8_t>(number++)));
    }
    EXPECT_EQ(number, 25);
    EXPECT_EQ(call.stats.received, 25u);
    EXPECT_EQ(call.stats.sent, 3u);
    EXPECT_EQ(call.stats.lost, 0u);
    EXPECT_EQ(call.digits, "7#");
    EXPECT_EQ(call.end.reason, EndReason::caller_hung_up);
    EXPECT_EQ(call.transfer_error, TwilioErrc::transfer_not_supported);
    EXPECT_EQ(
        twilio.playback.heard()[0],
        static_cast<std::byte>(media::g711::ulaw_encode(media::Sample{1000}))
    );
    EXPECT_EQ(twilio.senseless(), 0u);
    EXPECT_GE(twilio.marks(), 1u);
    EXPECT_EQ(connector_.in_use(), 0u);
}

TEST_F(TwilioCallTest, AnswersAWebhookByGet) {
    start();
    auto placed = twilio();
    EXPECT_EQ(ask(*placed, "GET").status, 200);
    EXPECT_EQ(open(*placed), error_code{});
    hang_up(*placed, this->call());
}

TEST_F(TwilioCallTest, SendsTheStreamToThePublicNameAndChecksSignaturesOverIt) {
    config_.public_url = "https://voice.example.test/";
    start();
    auto settings = this->settings();
    settings.public_url = "https://voice.example.test";
    FakeTwilio twilio{shard_, settings};
    EXPECT_EQ(ask(twilio).status, 200);
    EXPECT_EQ(twilio.stream_url(), "wss://voice.example.test/ws");
    EXPECT_EQ(open(twilio), error_code{});
    hang_up(twilio, this->call());
    settings.public_url = "https://other.example.test";
    FakeTwilio other{shard_, settings};
    EXPECT_EQ(ask(other).status, 403);
}

TEST_F(TwilioCallTest, APublicUrlMayHaveAPath) {
    config_.public_url = "https://voice.example.test/oavc";
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = test::local_url("http", server_->port(), "/");
    request.body = "CallSid=CA1";
    const Form form{{"CallSid", "CA1"}};
    for (const std::string configured : {"/oavc", "/oavc/"}) {
        request.headers["X-Twilio-Signature"] =
            sign(auth_token, "https://voice.example.test" + configured, form);
        EXPECT_EQ(test::fetch(request)->status, 200) << configured;
    }
    EXPECT_THAT(test::fetch(request)->body, HasSubstr("\"wss://voice.example.test/oavc/ws\""));
    request.headers["X-Twilio-Signature"] = sign(auth_token, "https://voice.example.test/", form);
    EXPECT_EQ(test::fetch(request)->status, 403);
}

TEST_F(TwilioCallTest, ALocalTrialMayUseAnyNameOfThisMachine) {
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.body = "CallSid=CA1";
    const Form form{{"CallSid", "CA1"}};
    request.url = "http://localhost:" + std::to_string(server_->port()) + "/";
    request.headers["X-Twilio-Signature"] = sign(auth_token, request.url, form);
    const auto answer = test::fetch(request);
    EXPECT_EQ(answer->status, 200);
    EXPECT_THAT(
        answer->body, HasSubstr("\"ws://localhost:" + std::to_string(server_->port()) + "/ws\"")
    );
    request.headers["Host"] = "h/x?y";
    EXPECT_EQ(test::fetch(request)->status, 403);
}

TEST_F(TwilioCallTest, RefusesForgedWebhooksAndSockets) {
    start();
    auto settings = this->settings();
    settings.auth_token = "ffffffffffffffffffffffffffffffff";
    FakeTwilio forger{shard_, settings};
    EXPECT_EQ(ask(forger).status, 403);
    settings.sign = false;
    FakeTwilio unsigned_one{shard_, settings};
    EXPECT_EQ(ask(unsigned_one).status, 403);
    EXPECT_EQ(ask(unsigned_one, "GET").status, 403);
    EXPECT_EQ(connector_.in_use(), 0u);

    auto honest = twilio();
    ask(*honest);
    settings.sign = true;
    FakeTwilio thief{shard_, settings};
    EXPECT_EQ(ask(thief).status, 403);
    EXPECT_EQ(open(*honest), error_code{});
    EXPECT_EQ(listener_->stats().forged, 4u);
    hang_up(*honest, this->call());
    EXPECT_EQ(connector_.calls(), 1u);
}

asio::awaitable<void> connect_unsigned(async::Shard& shard, std::uint16_t port, int& status) {
    const auto socket = co_await net::websocket_connect(
        shard, test::local_url("ws", port, "/ws"), {}, 10s, net::WsLimits{}
    );
    status = socket.has_error() ? net::http_status_of(socket.error()) : 101;
}

TEST_F(TwilioCallTest, RefusesAnUnsignedHandshake) {
    start();
    int status = 0;
    run(connect_unsigned(shard_, server_->port(), status));
    EXPECT_EQ(status, 403);
}

TEST_F(TwilioCallTest, RefusesATokenThatIsWrongUsedOrOfAnotherCall) {
    start();
    auto first = place_call();
    auto& call = this->call();

    auto second = twilio();  // shows the first one's token, which is used
    ask(*second);
    second->use_token(first->token());
    EXPECT_EQ(open(*second), error_code{});
    run(second->live_until_closed());
    EXPECT_EQ(second->close_code(), 1008);

    auto settings = this->settings();
    settings.call_sid = "CA00000000000000000000000000000002";
    FakeTwilio other{shard_, settings};
    ask(other);
    const auto others_token = other.token();
    auto thief = twilio();
    ask(*thief);
    thief->use_token(others_token);
    EXPECT_EQ(open(*thief), error_code{});
    run(thief->live_until_closed());
    EXPECT_EQ(thief->close_code(), 1008);
    EXPECT_EQ(listener_->stats().refused_sockets, 2u);
    EXPECT_EQ(connector_.calls(), 1u);
    hang_up(*first, call);
}

TEST_F(TwilioCallTest, RefusesAStreamThatDoesNotBeginWithStart) {
    start();
    for (const std::string_view first :
         {R"({"event":"stop","streamSid":"MZ1"})",
          R"({"event":"media","media":{"payload":"AAAA"}})",
          "garbage"}) {
        auto stranger = twilio();
        ask(*stranger);
        ASSERT_EQ(open(*stranger, false), error_code{});
        stranger->send_text(first);
        run(stranger->live_until_closed());
        EXPECT_EQ(stranger->close_code(), 1008) << first;
    }
    EXPECT_EQ(connector_.calls(), 0u);
}

TEST_F(TwilioCallTest, ARepeatedWebhookKeepsOnePlaceAndItsLastTokenCounts) {
    start();
    auto placed = twilio();
    ask(*placed);
    const auto lost = placed->token();
    ask(*placed);
    EXPECT_NE(placed->token(), lost);
    EXPECT_EQ(connector_.in_use(), 1u);
    EXPECT_EQ(open(*placed), error_code{});
    hang_up(*placed, this->call());
}

TEST_F(TwilioCallTest, IsBusyWithoutAPlaceAndWhileStopping) {
    start();
    connector_.capacity = 1;
    auto first = place_call();
    auto& call = this->call();
    auto settings = this->settings();
    settings.call_sid = "CA00000000000000000000000000000002";
    FakeTwilio second{shard_, settings};
    const auto busy = ask(second);
    EXPECT_EQ(busy.status, 200);
    EXPECT_THAT(busy.body, HasSubstr("<Reject reason=\"busy\"/>"));
    connector_.capacity = 10;
    listener_->stop_accepting();
    EXPECT_THAT(ask(second).body, HasSubstr("<Reject reason=\"busy\"/>"));
    EXPECT_EQ(listener_->stats().busy, 2u);
    EXPECT_FALSE(first->closed()) << "running calls go on";
    hang_up(*first, call);
}

TEST_F(TwilioCallTest, GivesThePlaceBackWhenTheSocketNeverComes) {
    config_.token_ttl = 1s;
    start();
    auto placed = twilio();
    ask(*placed);
    EXPECT_EQ(connector_.in_use(), 1u);
    const TimePoint limit = Clock::now() + 10s;
    while (connector_.in_use() != 0 && Clock::now() < limit)
        std::this_thread::yield();
    EXPECT_EQ(connector_.in_use(), 0u);
    EXPECT_EQ(open(*placed), error_code{});
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1008);
    EXPECT_EQ(listener_->stats().expired, 1u);
}

TEST_F(TwilioCallTest, AWebhookWithoutACallIsABadRequest) {
    config_.validate_signatures = false;
    start();
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = test::local_url("http", server_->port(), "/");
    request.body = "From=%2B1";
    EXPECT_EQ(test::fetch(request)->status, 400);
    request.body = "CallSid=..%2F..";
    EXPECT_EQ(test::fetch(request)->status, 400);
    request.body.clear();
    for (int i = 0; i < 2000; ++i)
        request.body += "a=b&";
    EXPECT_EQ(test::fetch(request)->status, 413);
}

TEST_F(TwilioCallTest, ASocketClosedWithoutStopIsAHangUpAndOneThatBreaksIsNot) {
    start();
    auto polite = place_call();
    auto& first = this->call(0);
    live(*polite, 20ms);
    run(polite->close());
    first.ended.wait();
    EXPECT_EQ(first.end.reason, EndReason::caller_hung_up);
    auto rude = place_call();
    auto& second = this->call(1);
    live(*rude, 20ms);
    rude->vanish();
    run(rude->live(0s));
    second.ended.wait();
    EXPECT_EQ(second.end.reason, EndReason::carrier_lost);
}

TEST_F(TwilioCallTest, OurHangUpClosesTheSocket) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.hang_up = true;
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_error(), asio::error::eof);
    EXPECT_EQ(placed->close_code(), 1000);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::we_hung_up);
}

TEST_F(TwilioCallTest, EndsWithoutMedia) {
    config_.media_timeout = 1s;
    start();
    auto placed = place_call();
    auto& call = this->call();
    for (int i = 0; i < 25; ++i) {  // audio keeps it alive
        placed->send_audio(ulaw_frame(1));
        live(*placed, 60ms);
    }
    EXPECT_FALSE(placed->closed());
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1001);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::media_timeout);
}

TEST_F(TwilioCallTest, FillsAStallWithSilenceAndThrowsNoWordAway) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    for (int i = 0; i < 3; ++i)
        placed->send_audio(ulaw_frame(1));
    live_until(*placed, [&] { return call.concealed_so_far >= 5; });
    for (int i = 0; i < 10; ++i)
        placed->send_audio(ulaw_frame(2));
    hang_up(*placed, call);
    EXPECT_EQ(std::count(call.concealed.begin(), call.concealed.end(), false), 13);
    EXPECT_GE(call.stats.concealed, 5u);
    EXPECT_GE(call.stats.late, 5u);
    EXPECT_EQ(call.frames[4][0], 0) << "silence";
}

TEST_F(TwilioCallTest, AcceptsPayloadsOfAnyLengthAndConcealsMissingChunks) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    std::vector<std::byte> audio(160 * 5, std::byte{3});
    placed->send_audio(std::span{audio}.first(7));
    placed->send_audio(std::span{audio}.first(160 * 3 - 7));
    placed->send_audio(std::span{audio}.first(320));
    placed->send_text(
        R"({"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"chunk":6,"payload":"AAAA"}})"
    );
    hang_up(*placed, call);
    EXPECT_EQ(std::count(call.concealed.begin(), call.concealed.end(), false), 5);
    EXPECT_EQ(call.stats.lost, 2u);
    EXPECT_GE(std::count(call.concealed.begin(), call.concealed.end(), true), 2);
}

TEST_F(TwilioCallTest, SurvivesSenselessMessagesUpToAPoint) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    placed->send_text("garbage");
    placed->send_binary("\x01\x02");
    placed->send_text(R"({"event":"surprise"})");
    placed->send_text(R"({"event":"media","streamSid":"MZ-another","media":{"payload":"AAAA"}})");
    placed->send_text(R"({"event":"media","media":{"payload":"not base64!"}})");
    placed->send_text(R"({"event":"mark","mark":{"name":"never ours"}})");
    placed->send_text(R"({"event":"dtmf","dtmf":{"digit":"x"}})");
    placed->send_audio(ulaw_frame(1));
    live_until(*placed, [&] { return call.frames_so_far >= 1; });
    EXPECT_FALSE(placed->closed());
    for (int i = 0; i < 60; ++i)
        placed->send_text("garbage");
    run(placed->live_until_closed());
    EXPECT_EQ(placed->close_code(), 1002);
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::protocol_error);
    EXPECT_EQ(call.digits, "");
}

TEST_F(TwilioCallTest, KeepsAtMost200MillisecondsInTwiliosBuffer) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.frames_to_say = 60;
    live_until(*placed, [&] { return placed->playback.heard().size() == 60 * 160; });
    live(*placed, 60ms);
    // Playback is emulated in real time; a busy machine may hand two ticks over at once.
    EXPECT_LE(placed->playback.deepest(), 220ms);
    EXPECT_GE(placed->playback.deepest(), 160ms) << "and makes use of it";
    EXPECT_EQ(call.unheard_ms, 0);
    EXPECT_GE(placed->marks(), 12u);
    hang_up(*placed, call);
}

TEST_F(TwilioCallTest, ABargeInSilencesTwilioAtOnce) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    connector_.orders.frames_to_say = 500;
    live_until(*placed, [&] { return placed->playback.heard().size() >= 20 * 160; });
    connector_.orders.frames_to_say = 0;
    connector_.orders.value = -2000;  // the next utterance
    connector_.orders.clear = true;
    live_until(*placed, [&] { return placed->playback.clears() == 1; });
    const auto heard = placed->playback.heard().size();
    EXPECT_EQ(placed->playback.buffered(), 0ms);
    live(*placed, 100ms);
    EXPECT_EQ(placed->playback.heard().size(), heard) << "nothing of the old utterance";
    connector_.orders.frames_to_say = 10;
    live_until(*placed, [&] { return placed->playback.heard().size() == heard + 10 * 160; });
    EXPECT_EQ(
        placed->playback.heard()[heard],
        static_cast<std::byte>(media::g711::ulaw_encode(media::Sample{-2000}))
    );
    hang_up(*placed, call);
    ASSERT_EQ(call.cleared.size(), 1u);
    EXPECT_GT(call.cleared[0], 100ms);
    EXPECT_LE(call.cleared[0], 200ms);
    const auto said = milliseconds{20} * static_cast<int>(call.stats.sent - 10);
    EXPECT_NEAR(to_ms(said - call.cleared[0]), static_cast<double>(heard) / 8, 40)
        << "what we think was heard was";
}

TEST_F(TwilioCallTest, StopEndsCallsWhileTheServerAnswersOn) {
    start();
    auto placed = place_call();
    auto& call = this->call();
    live(*placed, 40ms);
    std::thread stopper{[this] { listener_->stop(); }};
    run(placed->live_until_closed());
    stopper.join();
    call.ended.wait();
    EXPECT_EQ(call.end.reason, EndReason::we_hung_up);
    EXPECT_EQ(placed->close_code(), 1000);
    EXPECT_THAT(ask(*placed).body, HasSubstr("busy"));
}

TEST_F(TwilioCallTest, CarriesTwentyCallsAtOnce) {
    start();
    connector_.capacity = 20;
    std::vector<std::unique_ptr<FakeTwilio>> callers;
    for (int i = 0; i < 20; ++i) {
        auto settings = this->settings();
        settings.call_sid = "CA" + std::to_string(1000 + i);
        settings.stream_sid = "MZ" + std::to_string(1000 + i);
        auto& caller = *callers.emplace_back(std::make_unique<FakeTwilio>(shard_, settings));
        ASSERT_EQ(ask(caller).status, 200);
        ASSERT_EQ(open(caller), error_code{});
        for (int frame = 0; frame < 5; ++frame)
            caller.send_audio(ulaw_frame(i));
    }
    for (std::size_t i = 0; i < callers.size(); ++i) {
        auto& call = this->call(i);
        live_until(*callers[i], [&] { return call.frames_so_far - call.concealed_so_far >= 5; });
    }
    for (auto& caller : callers) {
        caller->send_stop();
        run(caller->live_until_closed());
    }
    for (std::size_t i = 0; i < callers.size(); ++i) {
        auto& call = this->call(i);
        call.ended.wait();
        const int number = std::stoi(call.info.native_id.substr(2)) - 1000;
        for (std::size_t k = 0; k < call.frames.size(); ++k) {
            if (call.concealed[k]) continue;
            EXPECT_EQ(
                call.frames[k][0], media::g711::ulaw_decode(static_cast<std::uint8_t>(number))
            );
        }
    }
    EXPECT_EQ(listener_->stats().calls, 20u);
}

TEST(TwilioListenerConfig, StartThrowsWithEveryProblem) {
    async::ShardPool pool{1};
    net::HttpServer server{pool, {}};
    Connector connector;
    Config config;
    config.public_url = "nonsense";
    TwilioListener listener{config, server, pool, connector};
    try {
        listener.start();
        FAIL();
    } catch (const std::runtime_error& e) {
        EXPECT_THAT(e.what(), HasSubstr("auth_token"));
        EXPECT_THAT(e.what(), HasSubstr("nonsense"));
    }
}

}  // namespace
}  // namespace oavc::transports::twilio
