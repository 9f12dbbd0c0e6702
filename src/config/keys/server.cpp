#include "config/keys/keys.hpp"

#include <chrono>

namespace oavc::config {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

}  // namespace

std::vector<Key> server_keys() {
    return {
        {"api",
         "host",
         [](Target t) -> Field { return &t.config.api.host; },
         Host{},
         "Address on which HTTP is served: webhook, media socket, health, API."},
        {"api",
         "port",
         [](Target t) -> Field { return &t.config.api.port; },
         Integer{0, 65535},
         "TCP port for HTTP. 0: any free one, told at start-up. The environment's `PORT` wins over "
         "everything."},
        {"api",
         "tls_port",
         [](Target t) -> Field { return &t.config.api.tls_port; },
         Integer{0, 65535},
         "TCP port for the same over TLS 1.2 or newer: https and wss. 0: not served. `port` stays "
         "plain: for a proxy, health probes and commands on this machine; `host = 127.0.0.1` "
         "keeps it to this machine."},
        {"api",
         "tls_host",
         [](Target t) -> Field { return &t.config.api.tls_host; },
         Host{},
         "Address on which TLS is served, such as `0.0.0.0`. Empty: that of `host`."},
        {"api",
         "tls_certificate",
         [](Target t) -> Field { return &t.config.api.tls_certificate; },
         Path{},
         "PEM file with our certificate and the chain behind it. Read again on SIGHUP."},
        {"api",
         "tls_private_key",
         [](Target t) -> Field { return &t.config.api.tls_private_key; },
         Path{},
         "PEM file with the key of `tls_certificate`. An ECDSA key costs a tenth of an RSA key's "
         "computing per connection."},
        {"api",
         "tls_ca",
         [](Target t) -> Field { return &t.config.api.tls_ca; },
         Path{},
         "PEM file with the certificates that may sign those of clients. Needed by "
         "`tls_verify_client`."},
        {"api",
         "tls_verify_client",
         [](Target t) -> Field { return &t.config.api.tls_verify_client; },
         Boolean{},
         "Whoever connects by TLS must show a certificate that `tls_ca` signed (mutual TLS). "
         "Twilio has none to show."},
        {"api",
         "token",
         [](Target t) -> Field { return &t.config.api.token; },
         Secret{},
         "Bearer token of `/api/v1`: whoever has it may do everything. Empty: clients on this "
         "machine only."},
        {"api",
         "read_token",
         [](Target t) -> Field { return &t.config.api.read_token; },
         Secret{},
         "Another bearer token of `/api/v1`: whoever has it may watch calls, and act on none. "
         "Empty: there is none."},
        {"api",
         "max_connections",
         [](Target t) -> Field { return &t.config.api.max_connections; },
         Integer{1, any_count},
         "TCP connections at once; more are closed at once. Each Twilio call has one."},
        {"api",
         "max_connections_per_source",
         [](Target t) -> Field { return &t.config.api.max_connections_per_source; },
         Integer{0, any_count},
         "The same of one IPv4 address or IPv6 /64. 0: no limit of its own, as behind a proxy, "
         "where all come from one address."},

        {"limits",
         "max_calls",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_calls; },
         Integer{1, any_count},
         "Calls at once; more are refused politely."},
        {"limits",
         "max_calls_per_caller",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_calls_per_caller; },
         Integer{0, any_count},
         "Calls at once from one number; more are refused. 0: no limit. Withheld numbers are not "
         "counted."},
        {"limits",
         "max_lag",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_lag; },
         Duration{0ms, 10s},
         "New calls are refused while audio is later than this, averaged over a second, so that "
         "the calls that are in stay unharmed. 0: never."},
        {"limits",
         "max_call_duration",
         [](Target t) -> Field { return &t.config.pipeline.limits.max_call_duration; },
         Duration{1s, 24h},
         "A call ends with a goodbye after this."},
        {"limits",
         "drain_deadline",
         [](Target t) -> Field { return &t.config.pipeline.limits.drain_deadline; },
         Duration{0s, 24h},
         "On SIGTERM running calls get this long before they are said goodbye to."},
        {"limits",
         "shards",
         [](Target t) -> Field { return &t.config.pipeline.limits.shards; },
         Integer{0, 256},
         "Threads that carry calls. 0: one per core."},
        {"limits",
         "workers",
         [](Target t) -> Field { return &t.config.pipeline.limits.workers; },
         Integer{0, 256},
         "Threads for recognition and synthesis. 0: one per core."},
        {"limits",
         "worker_queue",
         [](Target t) -> Field { return &t.config.pipeline.limits.worker_queue; },
         Integer{1, any_count},
         "Jobs that may wait for a worker; more are refused and counted."},

        {"logging",
         "level",
         [](Target t) -> Field { return &t.config.logging.level; },
         Choice{{"debug", "info", "warn", "error", "off"}},
         "The least important lines that are still written."},
        {"logging",
         "format",
         [](Target t) -> Field { return &t.config.logging.format; },
         Choice{{"console", "json"}},
         "console is for people, json for log collectors."},
        {"logging",
         "file",
         [](Target t) -> Field { return &t.config.logging.file; },
         Path{},
         "Where lines go. Empty: standard error."},
        {"logging",
         "show_personal_data",
         [](Target t) -> Field { return &t.config.logging.show_personal_data; },
         Boolean{},
         "Write transcripts and prompts in clear; numbers and addresses are hidden even then. For "
         "trials only."},
        {"tracing",
         "endpoint",
         [](Target t) -> Field { return &t.config.tracing.endpoint; },
         Url{{"http://", "https://"}},
         "Where an OpenTelemetry collector takes OTLP over HTTP, such as `http://collector:4318`; "
         "`/v1/traces` is added. Empty: no traces are made."},
        {"tracing",
         "headers",
         [](Target t) -> Field { return &t.config.tracing.headers; },
         Secret{},
         "What the collector wants beside the spans: `name=value`, several separated by commas, "
         "values URL-encoded."},
        {"tracing",
         "ca_file",
         [](Target t) -> Field { return &t.config.tracing.ca_file; },
         Path{},
         "PEM file of the certificates to trust instead of the system's, for a collector with a "
         "certificate of your own."},
        {"tracing",
         "certificate_file",
         [](Target t) -> Field { return &t.config.tracing.certificate_file; },
         Path{},
         "PEM file with our certificate and the chain behind it, for a collector that asks for one "
         "(mutual TLS). Empty: none."},
        {"tracing",
         "key_file",
         [](Target t) -> Field { return &t.config.tracing.key_file; },
         Path{},
         "PEM file with the key of `certificate_file`."},
        {"tracing",
         "service_name",
         [](Target t) -> Field { return &t.config.tracing.service_name; },
         Text{},
         "The name under which traces are found."},
        {"tracing",
         "sample_ratio",
         [](Target t) -> Field { return &t.config.tracing.sample_ratio; },
         Number{0.0, 1.0},
         "The share of calls that are traced. A call that comes with a `traceparent` goes by the "
         "decision in it."},
        {"tracing",
         "google_project",
         [](Target t) -> Field { return &t.config.tracing.google_project; },
         Text{},
         "Google Cloud's project id, where traces go to Cloud Trace: log lines in JSON then name "
         "their trace as Cloud Logging wants it."},
    };
}

}  // namespace oavc::config
