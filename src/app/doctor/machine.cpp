#include "app/doctor/machine.hpp"

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "net/udp.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace oavc::app::doctor {

namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

/// Any address that only the default route leads to (RFC 5737); nothing is sent there.
constexpr const char* elsewhere = "192.0.2.1";

error_code last_error() { return {errno, boost::system::system_category()}; }

/// Room for either family.
struct Address {
    sockaddr_storage storage{};
    socklen_t size{sizeof(sockaddr_storage)};

    sockaddr* get() noexcept {
        return reinterpret_cast<sockaddr*>(&storage);  // NOLINT(*-reinterpret-cast)
    }
    const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);  // NOLINT(*-reinterpret-cast)
    }
    std::string text() const {
        char host[NI_MAXHOST];
        const int failed = getnameinfo(get(), size, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
        return failed == 0 ? std::string{host} : std::string{};
    }
};

std::string first_line(const fs::path& file) {
    std::ifstream in{file};
    std::string line;
    std::getline(in, line);
    return line;
}

std::string whole(const fs::path& file) {
    std::ifstream in{file};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// The inodes of the sockets that are bound to a port, from /proc/net/udp and its like.
std::vector<std::string> inodes_of(std::string_view protocol, std::uint16_t port) {
    const bool tcp = protocol == "TCP";
    const std::string suffix = fmt::format(":{:04X}", port);
    std::vector<std::string> inodes;
    for (const char* table : {tcp ? "tcp" : "udp", tcp ? "tcp6" : "udp6"}) {
        std::ifstream in{fs::path{"/proc/net"} / table};
        std::string line;
        std::getline(in, line);  // the heading
        while (std::getline(in, line)) {
            std::istringstream fields{line};
            std::string number, local, remote, state, queues, timer, retransmits, uid, timeout;
            std::string inode;
            fields >> number >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
                timeout >> inode;
            constexpr std::string_view listening = "0A";
            if (local.ends_with(suffix) && (!tcp || state == listening)) inodes.push_back(inode);
        }
    }
    return inodes;
}

bool holds(const fs::path& process, const std::vector<std::string>& inodes) {
    std::error_code error;
    for (fs::directory_iterator fd{process / "fd", error}, end; !error && fd != end;
         fd.increment(error)) {
        std::error_code gone;
        const std::string target = fs::read_symlink(fd->path(), gone).string();
        for (const auto& inode : inodes) {
            if (target == "socket:[" + inode + "]") return true;
        }
    }
    return false;
}

template <class Protocol>
std::uint16_t free_port() {
    asio::io_context context;
    typename Protocol::socket socket{
        context, typename Protocol::endpoint{asio::ip::address_v4::loopback(), 0}};
    return socket.local_endpoint().port();
}

}  // namespace

// ── ports ───────────────────────────────────────────────────────────────────────────────────────

error_code try_bind_udp(const std::string& address, std::uint16_t port) {
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return error;
    asio::io_context context;
    asio::ip::udp::socket socket{context};
    const asio::ip::udp::endpoint local{ip, port};
    socket.open(local.protocol(), error);
    if (!error) socket.bind(local, error);
    return error;
}

error_code try_bind_tcp(const std::string& address, std::uint16_t port) {
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return error;
    asio::io_context context;
    asio::ip::tcp::acceptor acceptor{context};
    const asio::ip::tcp::endpoint local{ip, port};
    acceptor.open(local.protocol(), error);
    if (error) return error;
    // Connections that ended lately do not keep the port; who listens there does.
    acceptor.set_option(asio::ip::tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(local, error);
    if (!error) acceptor.listen(1, error);
    return error;
}

std::uint16_t free_udp_port() { return free_port<asio::ip::udp>(); }
std::uint16_t free_tcp_port() { return free_port<asio::ip::tcp>(); }

std::string holder_of(std::string_view protocol, std::uint16_t port) {
    const auto inodes = inodes_of(protocol, port);
    if (inodes.empty()) return {};
    std::error_code error;
    for (fs::directory_iterator process{"/proc", error}, end; !error && process != end;
         process.increment(error)) {
        const std::string pid = process->path().filename().string();
        const bool number =
            std::all_of(pid.begin(), pid.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (number && holds(process->path(), inodes)) {
            return fmt::format("{} (pid {})", first_line(process->path() / "comm"), pid);
        }
    }
    return {};
}

RtpRange look_at_rtp_range(const transports::rtp::Config& rtp) {
    RtpRange range;
    range.rtp = rtp;
    for (unsigned port = (rtp.port_start + 1u) / 2 * 2; port + 1 <= rtp.port_end; port += 2) {
        const auto even = static_cast<std::uint16_t>(port);
        error_code error = try_bind_udp(rtp.bind_ip, even);
        if (!error) error = try_bind_udp(rtp.bind_ip, static_cast<std::uint16_t>(even + 1));
        if (error == asio::error::address_in_use) {
            range.taken.push_back(even);
        } else if (error) {
            range.error = error;
            return range;
        }
    }
    return range;
}

std::optional<bool> comes_back(const transports::rtp::Config& rtp, const std::string& address) {
    error_code error;
    const auto bind_ip = asio::ip::make_address(rtp.bind_ip, error);
    const auto target = asio::ip::make_address(address, error);
    if (error || bind_ip.is_v4() != target.is_v4()) return std::nullopt;
    asio::io_context context;
    asio::ip::udp::socket socket{context};
    socket.open(bind_ip.is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6(), error);
    if (error) return std::nullopt;
    // From above: calls take ports from below.
    std::uint16_t port = rtp.port_end;
    for (; port >= rtp.port_start && port != 0; --port) {
        socket.bind({bind_ip, port}, error);
        if (!error) break;
    }
    if (error) return std::nullopt;
    asio::ip::udp::socket sender{context};
    sender.open(target.is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6(), error);
    const std::string said = "oavc doctor " + random_hex(8);
    constexpr int attempts = 3;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        sender.send_to(asio::buffer(said), asio::ip::udp::endpoint{target, port}, 0, error);
        if (error) return false;
        pollfd waiting{socket.native_handle(), POLLIN, 0};
        constexpr int wait_ms = 200;
        if (::poll(&waiting, 1, wait_ms) != 1) continue;
        std::array<char, 256> buffer{};
        const auto size = socket.receive(asio::buffer(buffer), 0, error);
        if (!error && std::string_view{buffer.data(), size} == said) return true;
    }
    return false;
}

// ── limits ──────────────────────────────────────────────────────────────────────────────────────

std::size_t hard_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    return limit.rlim_max;
}

std::size_t granted_receive_buffer(std::size_t wanted) {
    asio::io_context context;
    error_code error;
    asio::ip::udp::socket socket{context};
    socket.open(asio::ip::udp::v4(), error);
    if (error) return 0;
    socket.set_option(asio::socket_base::receive_buffer_size{static_cast<int>(wanted)}, error);
    asio::socket_base::receive_buffer_size granted;
    socket.get_option(granted, error);
    return error ? 0 : static_cast<std::size_t>(granted.value());
}

std::optional<bool> clock_synchronised() {
    timex now{};
    const int state = ::adjtimex(&now);  // asks only: no mode is set
    if (state < 0) return std::nullopt;
    return state != TIME_ERROR && (now.status & STA_UNSYNC) == 0;
}

std::optional<std::chrono::seconds> ahead_of(const std::string& http_date) {
    std::tm parts{};
    if (::strptime(http_date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) {
        return std::nullopt;
    }
    return std::chrono::seconds{std::time(nullptr) - ::timegm(&parts)};
}

// ── where we are ────────────────────────────────────────────────────────────────────────────────

Surroundings look_around() {
    Surroundings around;
    std::error_code error;
    around.kubernetes =
        fs::exists("/var/run/secrets/kubernetes.io/serviceaccount", error) ||
        std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;  // NOLINT(concurrency-mt-unsafe)
    const std::string groups = whole("/proc/1/cgroup");
    around.docker = fs::exists("/.dockerenv", error) || fs::exists("/run/.containerenv", error) ||
                    groups.find("docker") != std::string::npos ||
                    groups.find("containerd") != std::string::npos;

    ifaddrs* list = nullptr;
    bool hardware = false;
    if (::getifaddrs(&list) == 0) {
        const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned{list, &freeifaddrs};
        for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
            if (entry->ifa_addr == nullptr) continue;
            const auto family = entry->ifa_addr->sa_family;
            if (family != AF_INET && family != AF_INET6) continue;
            Address address;
            address.size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
            std::copy_n(
                reinterpret_cast<const std::byte*>(entry->ifa_addr),  // NOLINT(*-reinterpret-cast)
                address.size,
                reinterpret_cast<std::byte*>(&address.storage)  // NOLINT(*-reinterpret-cast)
            );
            const std::string text = address.text();
            const Reach reach = reach_of(text.substr(0, text.find('%')));
            if (reach != Reach::loopback) around.addresses.push_back(text);
            // A container's own interface has no device behind it, a machine's has one.
            hardware = hardware ||
                       fs::exists(fs::path{"/sys/class/net"} / entry->ifa_name / "device", error);
        }
    }
    around.own_network = (around.docker || around.kubernetes) && !hardware;
    return around;
}

std::string default_route() {
    constexpr std::uint16_t any_port = 9;
    const auto remote = net::parse_endpoint(elsewhere, any_port);
    const auto ours = net::source_address_towards(*remote);
    return ours ? ours->to_string() : std::string{};
}

Result<std::vector<std::string>, std::string> resolve_host(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (failed != 0) return std::string{gai_strerror(failed)};
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned{found, &freeaddrinfo};
    std::vector<std::string> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(
                entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST
            ) == 0) {
            addresses.emplace_back(text);
        }
    }
    return addresses;
}

// ── UdpPeer ─────────────────────────────────────────────────────────────────────────────────────

UdpPeer::UdpPeer(const std::string& address, std::uint16_t port) {
    const auto endpoint = net::parse_endpoint(address, port);
    if (!endpoint) throw std::runtime_error{address + " is no IP address"};
    fd_ = ::socket(endpoint->data()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 ||
        ::connect(fd_, endpoint->data(), static_cast<socklen_t>(endpoint->size())) != 0) {
        const auto why = last_error().message();
        if (fd_ >= 0) ::close(fd_);
        throw std::runtime_error{why};
    }
}

UdpPeer::~UdpPeer() { ::close(fd_); }

Result<std::string> UdpPeer::ask(std::string_view datagram, milliseconds limit) {
    constexpr int attempts = 2;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        if (::send(fd_, datagram.data(), datagram.size(), 0) < 0) return last_error();
        pollfd waiting{fd_, POLLIN, 0};
        if (::poll(&waiting, 1, static_cast<int>(limit.count())) != 1) continue;
        std::string answer(65'536, '\0');
        const auto size = ::recv(fd_, answer.data(), answer.size(), 0);
        if (size < 0) return last_error();
        answer.resize(static_cast<std::size_t>(size));
        return answer;
    }
    return error_code{asio::error::timed_out};
}

std::string UdpPeer::local_endpoint() const {
    asio::ip::udp::endpoint local;
    auto size = static_cast<socklen_t>(local.capacity());
    ::getsockname(fd_, local.data(), &size);
    local.resize(size);
    return net::to_string(local);
}

}  // namespace oavc::app::doctor
