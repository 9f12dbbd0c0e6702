#include "caller/bench/server.hpp"

#include "caller/conformance/case.hpp"
#include "caller/conformance/web_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <stdexcept>
#include <system_error>

namespace oavc::caller::bench {

namespace {

/// Below the ports that the kernel hands out, so that nobody else sits there by chance.
constexpr std::uint16_t first_rtp_port = 10'000;
constexpr std::uint16_t last_rtp_port = 32'767;

int bound(int type, std::uint16_t& port) {
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT: the sockets API
    if (::bind(fd, generic, size) != 0 || ::getsockname(fd, generic, &size) != 0) {
        ::close(fd);
        return -1;
    }
    port = ntohs(address.sin_port);
    return fd;
}

using Sections = std::map<std::string, std::map<std::string, std::string>>;

/// "telephony.rtp.codecs=pcmu": the section may hold dots, the key has none.
void apply(Sections& sections, const std::string& setting) {
    const auto equals = setting.find('=');
    const auto dot = setting.rfind('.', equals);
    if (equals == std::string::npos || dot == std::string::npos || dot == 0 || dot + 1 == equals) {
        throw std::runtime_error{fmt::format(
            "--set '{}': expected SECTION.KEY=VALUE, such as vad.engine=webrtc", setting
        )};
    }
    sections[setting.substr(0, dot)][setting.substr(dot + 1, equals - dot - 1)] =
        setting.substr(equals + 1);
}

}  // namespace

std::uint16_t free_port() {
    for (int attempt = 0; attempt < 100; ++attempt) {
        std::uint16_t port = 0;
        const int tcp = bound(SOCK_STREAM, port);
        const int udp = tcp < 0 ? -1 : bound(SOCK_DGRAM, port);
        if (tcp >= 0) ::close(tcp);
        if (udp < 0) continue;
        ::close(udp);
        return port;
    }
    throw std::runtime_error{"no port of 127.0.0.1 is free"};
}

std::string_view server_dialogue() noexcept {
    return R"([*]
say Your card is with the courier and will arrive tomorrow before noon
or  We are open from nine to five on every day from Monday to Friday
or  You have two hundred and forty dollars in your account at this moment
or  The nearest branch is on Market Street right next to the railway station
)";
}

std::string server_ini(const ServerPlan& plan, std::string_view dialogue_file) {
    const auto number = [](std::size_t value) { return std::to_string(value); };
    Sections sections{
        {"telephony", {{"provider", plan.via == "twilio" ? "twilio" : "opensips"}}},
        {"telephony.opensips",
         {{"mode", plan.via == "sip" ? "sip" : "events"},
          {"event_ip", "127.0.0.1"},
          {"event_port", number(plan.event_port)},
          {"mi_ip", "127.0.0.1"},
          {"mi_port", number(plan.mi_port)}}},
        {"telephony.sip", {{"bind_ip", "127.0.0.1"}, {"port", number(plan.sip_port)}}},
        {"telephony.rtp",
         {{"bind_ip", "127.0.0.1"},
          {"advertised_ip", "127.0.0.1"},
          {"port_start", number(first_rtp_port)},
          {"port_end", number(last_rtp_port)}}},
        {"telephony.twilio", {{"auth_token", plan.auth_token}}},
        {"api", {{"host", "127.0.0.1"}, {"port", number(plan.api_port)}}},
        {"stt", {{"provider", "scripted"}}},
        {"llm", {{"provider", "scripted"}}},
        {"llm.scripted", {{"dialogue_file", std::string{dialogue_file}}}},
        {"tts", {{"provider", "flite"}}},
        {"tts.flite", {{"voice", "kal"}}},
        {"agent", {{"greeting", "Welcome to the bank. How can I help you?"}, {"language", "en"}}},
        {"limits",
         {{"max_calls", number(plan.max_calls)},
          {"shards", number(std::max<std::size_t>(1, plan.cores.size()))},
          {"workers", number(std::max<std::size_t>(1, plan.cores.size()))},
          {"drain_deadline", "0s"}}},
        {"logging", {{"level", "warn"}}},
    };
    for (const std::string& setting : plan.settings)
        apply(sections, setting);
    std::string text;
    for (const auto& [section, keys] : sections) {
        text += fmt::format("[{}]\n", section);
        for (const auto& [key, value] : keys)
            text += fmt::format("{} = {}\n", key, value);
    }
    return text;
}

std::string this_program() {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) throw std::runtime_error{"/proc is not mounted: the server cannot be started"};
    return path.string();
}

LoadServer::LoadServer(ServerPlan plan, const std::filesystem::path& folder)
    : plan_{std::move(plan)}, log_{folder / "server.log"} {
    const auto dialogue = folder / "bench.dialogue";
    const auto ini = folder / "bench.ini";
    std::ofstream{dialogue} << server_dialogue();
    std::ofstream{ini} << server_ini(plan_, dialogue.string());
    process_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{plan_.program, "serve", "-c", ini.string()}, plan_.cores, log_
    );
}

bool LoadServer::ready() const {
    try {
        const auto to =
            conformance::read_web_address(fmt::format("http://127.0.0.1:{}/", plan_.api_port));
        return conformance::web_request(to, "GET", "/health/ready", {}, {}, Clock::now() + 1s)
                   .status == 200;
    } catch (const std::exception&) {
        return false;  // not yet listening
    }
}

}  // namespace oavc::caller::bench
