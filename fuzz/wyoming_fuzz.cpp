#include "base/assert.hpp"
#include "services/detail/wyoming_protocol.hpp"

#include <boost/json/serialize.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// Every event of `bytes`, which come in pieces of `step`.
std::vector<std::string> events_in(std::string_view bytes, std::size_t step) {
    std::vector<std::string> events;
    oavc::services::WyomingParser parser;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        parser.feed(bytes.substr(at, step));
        for (;;) {
            const auto event = parser.next();
            if (!event) {
                events.emplace_back("error");
                return events;
            }
            if (!*event) break;
            events.push_back((*event)->type + boost::json::serialize((*event)->data));
            events.back() += (*event)->payload;
        }
    }
    return events;
}

}  // namespace

/// Any bytes as a connection: the events do not depend on how the bytes were cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};  // NOLINT
    const auto whole = events_in(bytes, bytes.size() + 1);
    OAVC_ASSERT(events_in(bytes, 7) == whole);
    return 0;
}
