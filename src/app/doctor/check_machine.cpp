#include "app/doctor/checks.hpp"
#include "app/doctor/text.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace oavc::app::doctor {

namespace {

namespace asio = boost::asio;
namespace errc = boost::system::errc;

/// One event is a SIP message in JSON; every call may raise one in the same moment.
constexpr std::size_t event_bytes = 4096;
/// Files, logs, the HTTP server's connections, spare connections to the services.
constexpr std::size_t other_files = 128;

}  // namespace

Finding check_port(const Port& facts) {
    const std::string where = fmt::format("{} {}:{}", facts.protocol, facts.address, facts.port);
    if (facts.port == 0) return skipped(facts.check, facts.protocol + ": any free port");
    if (!facts.error) {
        if (!facts.server_up) return fine(facts.check, where + " is free");
        if (!facts.needed_now) return skipped(facts.check, where + " is not held by the server");
        return warning(
            facts.check,
            where + " is free, although the server runs",
            "restart the server: it runs with another configuration than this one"
        );
    }
    if (facts.error == asio::error::address_in_use) {
        const std::string by = facts.holder.empty() ? "" : " by " + facts.holder;
        if (facts.server_up) return fine(facts.check, where + " is held" + by);
        return fault(
            facts.check,
            fmt::format("{} is held{}", where, by.empty() ? " by another process" : by),
            fmt::format("stop that, or change {}", facts.key)
        );
    }
    if (facts.error == errc::address_not_available) {
        return fault(
            facts.check,
            fmt::format("{}: this machine has no such address", where),
            fmt::format(
                "bind to 0.0.0.0 or an own address ({}); a public address behind NAT belongs into "
                "the advertised one",
                facts.key
            )
        );
    }
    if (facts.error == asio::error::access_denied) {
        return fault(
            facts.check,
            fmt::format("{}: not allowed", where),
            fmt::format("ports below 1024 are the system's: change {}", facts.key)
        );
    }
    return fault(
        facts.check,
        fmt::format("{}: {}", where, facts.error.message()),
        fmt::format("change {}", facts.key)
    );
}

Finding check_rtp_range(const RtpRange& facts) {
    const std::string check = "rtp ports";
    const std::size_t capacity = facts.rtp.port_capacity();
    const std::string range = fmt::format("UDP {} {}", facts.rtp.bind_ip, ports_of(facts.rtp));
    if (facts.error) {
        return fault(
            check,
            fmt::format("{}: {}", range, facts.error.message()),
            "set [telephony.rtp] bind_ip to 0.0.0.0 or an address of this machine, and "
            "advertised_ip to the one that callers reach"
        );
    }
    const std::string needed = fmt::format("[limits] max_calls is {}", facts.max_calls);
    if (capacity < facts.max_calls) {
        return fault(
            check,
            fmt::format("{} holds {} calls, but {}", range, capacity, needed),
            "widen [telephony.rtp] port_start to port_end, or lower max_calls"
        );
    }
    if (facts.server_up) {
        return fine(
            check,
            fmt::format("{} holds {} calls; {} pairs in use", range, capacity, facts.taken.size())
        );
    }
    const std::size_t left = capacity - std::min(capacity, facts.taken.size());
    if (left < facts.max_calls) {
        return fault(
            check,
            fmt::format(
                "{}: others hold {} of {} pairs ({}, …), and {}",
                range,
                facts.taken.size(),
                capacity,
                facts.taken.front(),
                needed
            ),
            "move [telephony.rtp] port_start and port_end to free ports"
        );
    }
    if (!facts.taken.empty()) {
        return warning(
            check,
            fmt::format(
                "{} holds {} calls; others hold {} pairs ({}, …)",
                range,
                left,
                facts.taken.size(),
                facts.taken.front()
            ),
            "they are passed over; another range in [telephony.rtp] is safer"
        );
    }
    return fine(check, fmt::format("{} are free and hold {} calls", range, capacity));
}

Finding check_file_limit(const FileLimit& facts) {
    const std::string check = "open files";
    const std::size_t needed = facts.max_calls * facts.sockets_per_call + other_files;
    const std::string found =
        fmt::format("{} may be open; {} calls need about {}", facts.hard, facts.max_calls, needed);
    if (facts.hard >= needed) return fine(check, found);
    return fault(
        check,
        found,
        fmt::format(
            "raise the hard limit (LimitNOFILE={0} for systemd, --ulimit nofile={0} for Docker), "
            "or lower [limits] max_calls",
            needed
        )
    );
}

Finding check_event_buffer(const EventBuffer& facts) {
    const std::string check = "event buffer";
    const std::size_t needed = facts.max_calls * event_bytes;
    const auto kib = [](std::size_t bytes) { return (bytes + 1023) / 1024; };
    const std::string found = fmt::format(
        "the kernel queues {} KiB; an event of each of {} calls takes {} KiB",
        kib(facts.granted),
        facts.max_calls,
        kib(needed)
    );
    if (facts.granted >= needed) return fine(check, found);
    return warning(check, found, fmt::format("sysctl -w net.core.rmem_max={}", needed));
}

Finding check_clock(const ClockFacts& facts) {
    const std::string check = "clock";
    constexpr std::chrono::seconds much{60};
    constexpr std::chrono::seconds little{5};
    if (facts.ahead && std::chrono::abs(*facts.ahead) > little) {
        const auto off = std::chrono::abs(*facts.ahead);
        const std::string found = fmt::format(
            "{} s {} that of {}",
            off.count(),
            facts.ahead->count() > 0 ? "ahead of" : "behind",
            facts.compared_with
        );
        const std::string advice = "synchronise it: timedatectl set-ntp true, or chrony";
        return off > much ? fault(check, found + ": TLS and tokens fail", advice)
                          : warning(check, found, advice);
    }
    if (facts.ahead) return fine(check, "agrees with that of " + facts.compared_with);
    if (!facts.synchronised) return skipped(check, "the kernel does not tell whether it is right");
    if (*facts.synchronised) return fine(check, "synchronised");
    return warning(
        check,
        "nothing keeps it right here, as far as the kernel knows",
        "run chrony or systemd-timesyncd, unless the host of this machine sets it"
    );
}

}  // namespace oavc::app::doctor
