#pragma once

#include "app/doctor/finding.hpp"
#include "base/result.hpp"
#include "caller/report.hpp"
#include "config/load.hpp"
#include "transports/rtp/config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the doctor makes of what it saw: facts in, findings out. Sans-I/O.
namespace oavc::app::doctor {

// ── configuration ───────────────────────────────────────────────────────────────────────────────

/// Every problem of the file; one line when there is none.
std::vector<Finding> check_configuration(const config::Loaded& loaded);

// ── addresses ───────────────────────────────────────────────────────────────────────────────────

/// How far an address is understood.
enum class Reach {
    none,           ///< no numeric address at all
    unspecified,    ///< 0.0.0.0, ::
    loopback,       ///< this machine
    link_local,     ///< 169.254/16, fe80::/10
    private_net,    ///< RFC 1918, RFC 6598 (carrier NAT), fc00::/7
    documentation,  ///< RFC 5737, 2001:db8::/32: copied from an example
    multicast,
    internet,
};
Reach reach_of(std::string_view address) noexcept;
std::string_view to_string(Reach reach) noexcept;

/// What this process runs in.
struct Surroundings {
    bool docker{false};
    bool kubernetes{false};
    bool own_network{false};               ///< not the host's: addresses and ports are its own
    std::vector<std::string> addresses{};  ///< of this machine, loopback left out
};

/// The address that callers are told to send audio to.
struct MediaAddress {
    transports::rtp::Config rtp{};
    std::string origin{};         ///< of advertised_ip: "RTP_HOST_IP", "oavc.ini:12"
    std::string default_route{};  ///< our address towards the internet; empty: there is no route
    std::vector<std::string> peers{};  ///< OpenSIPS, SIP proxies
    Surroundings around{};
    /// A datagram that we sent there came in where audio is received; not known: not tried.
    std::optional<bool> comes_back{};
};
/// What stands in SDP towards a caller who is not on this machine.
std::string address_in_sdp(const MediaAddress& facts);
std::vector<Finding> check_media_address(const MediaAddress& facts);
Finding check_surroundings(const MediaAddress& facts);

/// Where OpenSIPS is told to send events to.
struct EventAddress {
    std::string mi_ip{};
    std::string event_ip{};
    std::string told{};  ///< "10.0.0.9:8090"
};
Finding check_event_address(const EventAddress& facts);

/// The address that stands in our Contact and Via.
struct SipAddress {
    std::string bind_ip{};
    std::string advertised{};  ///< "10.0.0.9" or "10.0.0.9:8089"; empty: what faces the peer
    std::string default_route{};
    std::vector<std::string> peers{};
};
Finding check_sip_address(const SipAddress& facts);

// ── this machine ────────────────────────────────────────────────────────────────────────────────

/// A port that the server wants.
struct Port {
    std::string check{};     ///< "http port"
    std::string key{};       ///< "[api] port": what to change
    std::string protocol{};  ///< TCP, UDP
    std::string address{};
    std::uint16_t port{0};
    error_code error{};      ///< of binding it; none: it is free
    std::string holder{};    ///< "opensips (pid 12)", where it can be seen
    bool server_up{false};   ///< our server answers on its HTTP port
    bool needed_now{false};  ///< the running server must hold it
};
Finding check_port(const Port& facts);

struct RtpRange {
    transports::rtp::Config rtp{};
    std::size_t max_calls{0};
    std::vector<std::uint16_t> taken{};  ///< even ports of pairs that others hold
    error_code error{};                  ///< of binding, other than "in use"
    bool server_up{false};
};
Finding check_rtp_range(const RtpRange& facts);

struct FileLimit {
    std::size_t hard{0};  ///< the server raises its soft limit to this
    std::size_t max_calls{0};
    std::size_t sockets_per_call{0};
};
Finding check_file_limit(const FileLimit& facts);

struct EventBuffer {
    std::size_t granted{0};  ///< what the kernel gives of what we ask for
    std::size_t max_calls{0};
};
Finding check_event_buffer(const EventBuffer& facts);

struct ClockFacts {
    std::optional<bool> synchronised{};           ///< as the kernel has it
    std::optional<std::chrono::seconds> ahead{};  ///< of the clock of `compared_with`
    std::string compared_with{};
};
Finding check_clock(const ClockFacts& facts);

/// A certificate that the server shows.
struct Certificate {
    std::string key{};  ///< "api.tls_certificate"
    std::string file{};
    std::string error{};  ///< of reading it
    std::chrono::sys_seconds ends{};
    std::chrono::sys_seconds now{};
};
Finding check_certificate(const Certificate& facts);

/// Our own HTTP server by its TLS port.
struct Https {
    std::string url{};
    bool wants_certificate{false};  ///< [api] tls_verify_client
    error_code error{};             ///< none: it answers
};
Finding check_https(const Https& facts);

// ── peers ───────────────────────────────────────────────────────────────────────────────────────

/// What OpenSIPS's management interface said. What is not known could not be asked.
struct Mi {
    std::string endpoint{};
    std::string error{};  ///< empty: it answers
    std::string up_since{};
    std::string version{};
    std::optional<std::vector<std::string>> commands{};
    std::optional<std::vector<std::string>> events{};
    std::optional<std::vector<std::string>> subscribers{};  ///< sockets: "udp:10.0.0.9:8090"
    std::optional<std::string> subscribe_error{};           ///< empty: we could subscribe
    std::string expected{};                                 ///< our server's socket
    bool server_up{false};
};
std::vector<Finding> check_mi(const Mi& facts);

/// Names in the results of `which`, `events_list`, `subscribers_list` and `version`: every string
/// at `name` of an untrusted JSON document, or every string when `name` is empty.
std::optional<std::vector<std::string>> strings_in(std::string_view answer, std::string_view name);

/// OPTIONS to `to` from `from` (RFC 3261 §11), both "ip:port".
std::string options_request(std::string_view to, std::string_view from);
/// Of a SIP response; 0: it is none.
int status_of(std::string_view response) noexcept;

struct Options {
    std::string endpoint{};
    std::string protocol{};  ///< UDP, TCP
    std::string error{};     ///< empty: something answered
    int status{0};
    bool from_allowed_peer{true};
};
Finding check_options(const Options& facts);

/// A request through the public URL, or to the local port.
struct Answer {
    std::string error{};  ///< empty: an answer came
    int status{0};
    std::string body{};
    std::string date{};  ///< the header
};

struct PublicUrl {
    std::string url{};
    std::string resolve_error{};
    std::vector<std::string> addresses{};
    bool asked{false};       ///< with --public
    Answer health{};         ///< of URL/health/live
    std::string instance{};  ///< of our own server
};
std::vector<Finding> check_public_url(const PublicUrl& facts);

/// Requests to the webhook that carry no call: one signed, one with a wrong signature.
struct Signature {
    std::string url{};  ///< asked
    bool through_public_url{false};
    bool validated{true};  ///< [telephony.twilio] validate_signatures
    Answer with_right{};
    Answer with_wrong{};
};
Finding check_signature(const Signature& facts);

/// A media socket that carries no call.
struct MediaSocket {
    std::string url{};
    std::string error{};  ///< empty: it opened
    int status{0};        ///< what came instead of 101
};
Finding check_media_socket(const MediaSocket& facts);

struct Account {
    std::string sid{};
    bool asked{false};
    Answer answer{};
};
Finding check_account(const Account& facts);

// ── AI services ─────────────────────────────────────────────────────────────────────────────────

struct Service {
    std::string kind{};      ///< stt, llm, tts
    std::string provider{};  ///< id
    std::string where{};     ///< URL without secrets; empty: in this process
    bool fallback{false};
    bool replaced{false};      ///< another of the kind answers
    std::string made{};        ///< why it could not be made; empty: it was
    error_code error{};        ///< of its probe
    std::string connection{};  ///< why not even TCP connects; empty: it does, or not tried
    std::chrono::duration<double, std::milli> took{0};
};
Finding check_service(const Service& facts);

/// A request as calls make them.
struct RoundTrip {
    std::string kind{};
    std::string provider{};
    error_code error{};
    std::string asked{};
    std::string answered{};  ///< words, or how much audio; empty: nothing
    std::chrono::duration<double, std::milli> first{0};
};
Finding check_round_trip(const RoundTrip& facts);

// ── a call ──────────────────────────────────────────────────────────────────────────────────────

struct Call {
    std::string via{};  ///< opensips, twilio, sip
    caller::CallReport report{};
    std::string rtp_to{};  ///< the address in our SDP; empty: no RTP
    std::string error{};   ///< why no call could be placed
};
/// One finding for each direction.
std::vector<Finding> check_call(const Call& facts);

}  // namespace oavc::app::doctor
