#pragma once

#include <cstdint>

namespace oavc::caller::bench {

/// The floor: a server without any logic, as simple as one can be written. Subscribes at the
/// OpenSIPS on `mi_port` of 127.0.0.1, answers every call with a socket of its own and sends each
/// RTP packet back where it came from: epoll, one recvfrom and one sendto per packet, no batching.
/// Runs until the process is ended. Returns an exit status.
int run_reflector(std::uint16_t mi_port);

}  // namespace oavc::caller::bench
