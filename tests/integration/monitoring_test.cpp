// What operators look at: /metrics of a running server, the files of deploy/monitoring that name
// its metrics, and the traces of a whole call.

#include "caller/run.hpp"
#include "support/comes_true.hpp"
#include "support/fake_collector.hpp"
#include "support/http.hpp"
#include "support/running_server.hpp"
#include "support/tls_front.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace oavc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string read(const fs::path& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
}

std::string metrics_of(const test::RunningServer& server) {
    const auto url = test::local_url("http", server.config().api.port, "/metrics");
    const auto answer = test::fetch({.url = url});
    return answer ? answer->body : "no answer: " + answer.error().message();
}

/// Names of the families, and the label names and values that each series has.
std::map<std::string, std::set<std::string>> families(const std::string& text) {
    std::map<std::string, std::set<std::string>> found;
    const std::regex type{"# TYPE ([a-z_]+) "};
    for (std::sregex_iterator at{text.begin(), text.end(), type}, end; at != end; ++at)
        found[(*at)[1]];
    const std::regex label{"(?:^|\n)([a-z_]+)\\{([^}]*)\\}"};
    for (std::sregex_iterator at{text.begin(), text.end(), label}, end; at != end; ++at) {
        const std::string labels = (*at)[2];
        const std::regex one{R"re(([a-z_]+)="([^"]*)")re"};
        for (std::sregex_iterator pair{labels.begin(), labels.end(), one}; pair != end; ++pair) {
            found[(*at)[1]].insert((*pair)[1]);
            found[(*at)[1]].insert((*pair)[1].str() + "=" + (*pair)[2].str());
        }
    }
    return found;
}

std::string without_suffix(std::string name) {
    for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
        if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
    }
    return name;
}

TEST(Monitoring, EveryExpressionNamesMetricsAndLabelsThatTheServerHas) {
    // With a certificate: there is a metric of its end.
    const test::SelfMadeCertificate certificate{testing::TempDir(), "localhost"};
    test::RunningServer server{
        "config/dev.ini",
        {{"OAVC_API_TLS_PORT", std::to_string(test::free_ports(2))},
         {"OAVC_API_TLS_CERTIFICATE", certificate.certificate_file},
         {"OAVC_API_TLS_PRIVATE_KEY", certificate.key_file}}};
    server.start();
    const auto known = families(metrics_of(server));
    ASSERT_GT(known.size(), 30u);
    const std::regex use{R"re(\b((?:oavc|process)_[a-z_]+)(?:\{([^}]*)\})?)re"};
    const std::regex matcher{R"re(([a-z_]+)(=~|!~|!=|=)\\?"([^"\\]*))re"};
    std::size_t uses = 0;
    for (const auto& file :
         fs::recursive_directory_iterator{fs::path{OAVC_SOURCE_DIR} / "deploy" / "monitoring"}) {
        if (!file.is_regular_file()) continue;
        const auto text = read(file.path());
        for (std::sregex_iterator at{text.begin(), text.end(), use}, end; at != end; ++at) {
            const std::string name = (*at)[1];
            auto family = known.find(name);
            if (family == known.end()) family = known.find(without_suffix(name));
            ASSERT_NE(family, known.end()) << name << " in " << file.path();
            ++uses;
            const std::string labels = (*at)[2];
            for (std::sregex_iterator one{labels.begin(), labels.end(), matcher}; one != end;
                 ++one) {
                const std::string label = (*one)[1];
                // Prometheus' own, and those of the providers that are configured.
                if (label == "instance" || label == "job" || label == "le") continue;
                if (label == "kind" || label == "provider" || label == "via") continue;
                std::set<std::string> all;
                for (const auto& [other, has] : known) {
                    if (without_suffix(other) == family->first) all.insert(has.begin(), has.end());
                }
                EXPECT_TRUE(all.contains(label)) << name << " has no " << label;
                const std::regex alternative{"[^|]+"};
                const std::string values = (*one)[3];
                for (std::sregex_iterator v{values.begin(), values.end(), alternative}; v != end;
                     ++v) {
                    EXPECT_TRUE(all.contains(label + "=" + v->str()))
                        << name << "{" << label << "=" << v->str() << "} in " << file.path();
                }
            }
        }
    }
    EXPECT_GT(uses, 100u) << "the files were not found, or are not read";
}

void send_datagram(std::uint16_t port, std::string_view bytes) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::sendto(
        socket,
        bytes.data(),
        bytes.size(),
        0,
        reinterpret_cast<const sockaddr*>(&to),
        sizeof to  // NOLINT
    );
    ::close(socket);
}

TEST(Monitoring, WhatStrangersSendToTheCarriersPortsIsCounted) {
    test::RunningServer server;
    server.start();
    const auto& config = server.config();
    EXPECT_THAT(metrics_of(server), Not(HasSubstr(R"(event="forged",via="twilio"} 1)")));
    net::HttpClientRequest forged;
    forged.method = "POST";
    forged.url = test::local_url("http", config.api.port, "/");
    forged.headers["X-Twilio-Signature"] = "bm90IG91cnM=";
    forged.headers["Content-Type"] = "application/x-www-form-urlencoded";
    forged.body = "CallSid=CA1";
    const auto answer = test::fetch(forged);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 403);
    send_datagram(config.opensips.event_port, "no event");
    send_datagram(config.sip.port, "no SIP\r\n\r\n");
    for (const std::string series :
         {R"({event="forged",via="twilio"} 1)",
          R"({event="broken",via="opensips"} 1)",
          R"({event="broken",via="sip"} 1)"}) {
        EXPECT_TRUE(test::comes_true([&] {
            return metrics_of(server).find("oavc_carrier_events_total" + series) !=
                   std::string::npos;
        })) << series;
    }
}

TEST(Monitoring, PromtoolFindsNothingToComplainOfInMetrics) {
    if (std::system("command -v promtool >/dev/null") != 0) {
        GTEST_SKIP() << "promtool is missing: scripts/setup test";
    }
    test::RunningServer server;
    server.start();
    const auto path = testing::TempDir() + "oavc_metrics_" + std::to_string(::getpid());
    std::ofstream{path} << metrics_of(server);
    EXPECT_EQ(std::system(("promtool check metrics <" + path).c_str()), 0);
    std::remove(path.c_str());
}

TEST(Monitoring, EveryAlertFiresWhenItMustAndOnlyThen) {
    if (std::system("command -v promtool >/dev/null") != 0) {
        GTEST_SKIP() << "promtool is missing: scripts/setup test";
    }
    const std::string folder = std::string{OAVC_SOURCE_DIR} + "/deploy/monitoring/prometheus";
    const auto in_folder = [&](const std::string& command) {
        return std::system(("cd " + folder + " && " + command + " >&2").c_str());
    };
    EXPECT_EQ(in_folder("promtool check config prometheus.yml"), 0);
    EXPECT_EQ(in_folder("promtool test rules oavc.test.yml"), 0);
}

/// The queries of a dashboard or policy, wherever they are in it.
void collect_queries(const boost::json::value& value, std::vector<std::string>& found) {
    if (const auto* const list = value.if_array()) {
        for (const auto& item : *list)
            collect_queries(item, found);
    }
    const auto* const object = value.if_object();
    if (object == nullptr) return;
    for (const auto& [name, member] : *object) {
        const bool query = name == "expr" || name == "prometheusQuery" || name == "query";
        const auto* const text = member.if_string();
        if (!query || text == nullptr) {
            collect_queries(member, found);
        } else if (text->find("oavc_") != std::string::npos && !text->starts_with("label_values")) {
            found.emplace_back(*text);
        }
    }
}

TEST(Monitoring, PromtoolUnderstandsTheQueriesOfDashboardsAndPolicies) {
    if (std::system("command -v promtool >/dev/null") != 0) {
        GTEST_SKIP() << "promtool is missing: scripts/setup test";
    }
    std::vector<std::string> queries;
    for (const auto& file :
         fs::recursive_directory_iterator{fs::path{OAVC_SOURCE_DIR} / "deploy" / "monitoring"}) {
        if (file.path().extension() != ".json") continue;
        collect_queries(boost::json::parse(read(file.path())), queries);
    }
    EXPECT_GT(queries.size(), 60u);
    boost::json::array rules;
    for (auto query : queries) {
        query = std::regex_replace(query, std::regex{R"(\$__rate_interval)"}, "5m");
        query = std::regex_replace(query, std::regex{R"(\$instance)"}, ".*");
        const auto name = "query:" + std::to_string(rules.size());
        rules.push_back(boost::json::object{{"record", name}, {"expr", query}});
    }
    const boost::json::object group{{"name", "queries"}, {"rules", std::move(rules)}};
    const auto path = testing::TempDir() + "oavc_queries_" + std::to_string(::getpid());
    std::ofstream{path} << boost::json::serialize(boost::json::object{
        {"groups", boost::json::array{group}}});
    EXPECT_EQ(std::system(("promtool check rules " + path + " >&2").c_str()), 0);
    std::remove(path.c_str());
}

TEST(Monitoring, EveryAlertIsTestedAndHasItsPageInTheDocumentation) {
    const fs::path folder = fs::path{OAVC_SOURCE_DIR} / "deploy" / "monitoring";
    const auto tests = read(folder / "prometheus" / "oavc.test.yml");
    const auto manual = read(fs::path{OAVC_SOURCE_DIR} / "docs" / "monitoring.md");
    const auto rules = read(folder / "prometheus" / "oavc.rules.yml");
    const std::regex alert{"- alert: (\\w+)"};
    std::set<std::string> names;
    for (std::sregex_iterator at{rules.begin(), rules.end(), alert}, end; at != end; ++at)
        names.insert((*at)[1]);
    EXPECT_GT(names.size(), 15u);
    for (const auto& name : names) {
        EXPECT_THAT(tests, HasSubstr("name: " + name + " fires\n"));
        EXPECT_THAT(tests, HasSubstr("name: " + name + " is silent\n"));
        EXPECT_THAT(manual, HasSubstr("\n### " + name + "\n"));
    }
    for (const auto& file : fs::directory_iterator{folder / "google-cloud" / "alerts"}) {
        const auto policy = boost::json::parse(read(file.path()));
        const std::string name{policy.at("displayName").as_string()};
        EXPECT_TRUE(names.contains(name)) << file.path();
    }
}

class Quiet final : public caller::RunObserver {
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const caller::Dialled&) override {}
    void on_caller_speaks(milliseconds, const caller::Utterance&) override {}
    void on_server_event(milliseconds, const caller::ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const caller::CallReport&) override {}
};

std::string attribute(const boost::json::value& span, std::string_view key) {
    for (const auto& each : span.at("attributes").as_array()) {
        if (each.at("key").as_string() == key) return boost::json::serialize(each.at("value"));
    }
    return {};
}

TEST(Monitoring, AWholeCallIsOneTraceAndItsNumbersAreCounted) {
    test::FakeCollector collector;
    std::string metrics;
    {
        test::RunningServer server{"config/dev.ini", {{"OAVC_TRACING_ENDPOINT", collector.url()}}};
        server.start();
        Quiet quiet;
        caller::Options options;
        options.via = "opensips";
        options.speech = {{caller::Options::Speech::Kind::text, "what are your opening hours"}};
        options.json = true;
        options.wait = 20s;
        options.timeout = 90s;
        caller::CallRun run{options, server.config(), quiet};
        const auto calls = run.run();
        ASSERT_EQ(calls.size(), 1u);
        ASSERT_EQ(calls[0].result, "ok");
        ASSERT_TRUE(server.calls_end_within(20s));
        metrics = metrics_of(server);
        server->stop();  // what is left goes out
    }
    const auto spans = collector.spans();
    std::map<std::string, int> count;
    std::map<std::string, boost::json::value> by_id;
    std::set<std::string> traces;
    for (const auto& span : spans) {
        ++count[std::string{span.at("name").as_string()}];
        by_id[std::string{span.at("spanId").as_string()}] = span;
        traces.insert(std::string{span.at("traceId").as_string()});
    }
    EXPECT_EQ(traces.size(), 1u);
    EXPECT_EQ(count["call"], 1);
    EXPECT_EQ(count["turn"], 1);
    EXPECT_EQ(count["stt"], 1);
    EXPECT_EQ(count["llm"], 1);
    EXPECT_GE(count["tts"], 1);
    for (const auto& span : spans) {
        const auto& object = span.as_object();
        const std::string name{object.at("name").as_string()};
        if (name == "call") {
            EXPECT_FALSE(object.contains("parentSpanId"));
            EXPECT_EQ(attribute(span, "oavc.via"), R"({"stringValue":"opensips"})");
            EXPECT_NE(attribute(span, "oavc.outcome"), "");
            continue;
        }
        ASSERT_TRUE(object.contains("parentSpanId")) << name;
        const auto parent = by_id.find(std::string{object.at("parentSpanId").as_string()});
        ASSERT_NE(parent, by_id.end()) << name;
        const std::string above{parent->second.at("name").as_string()};
        if (name == "turn") {
            EXPECT_EQ(above, "call");
            EXPECT_NE(attribute(span, "oavc.latency.heard"), "");
        }
        if (name == "stt" || name == "llm") EXPECT_EQ(above, "turn");
    }
    EXPECT_THAT(metrics, HasSubstr("oavc_heard_latency_seconds_count 1\n"));
    EXPECT_THAT(metrics, HasSubstr("oavc_answer_latency_seconds_count 1\n"));
    EXPECT_THAT(metrics, HasSubstr(R"(oavc_call_setup_seconds_count{via="opensips"} 1)"));
    EXPECT_THAT(metrics, HasSubstr("oavc_rtp_mos_count 1\n"));
    EXPECT_THAT(metrics, Not(HasSubstr(R"(event="received",via="opensips"} 0)")));
}

}  // namespace
}  // namespace oavc
