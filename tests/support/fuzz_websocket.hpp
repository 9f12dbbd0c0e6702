#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "net/detail/websocket_frames.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// What the fuzz target of the server's WebSocket does with an input; the replay test runs it too.
/// A broken promise aborts.
namespace oavc::test {

/// A client's bytes: the same items however they arrive, and none that breaks RFC 6455.
inline void fuzz_websocket_frames(std::span<const std::byte> input) {
    using namespace net::detail;
    constexpr std::size_t limit = 1000;
    const auto read = [input](std::size_t step) {
        std::vector<std::string> items;
        WsReader reader{limit};
        std::string stored;
        for (auto bytes = as_text(input); !bytes.empty();) {
            stored += bytes.substr(0, step);
            bytes.remove_prefix(std::min(step, bytes.size()));
            std::span<char> rest = stored;
            for (;;) {
                const auto item = reader.next(rest);
                if (item.kind == WsReader::Kind::need_more) break;
                OAVC_ASSERT(item.data.size() <= limit);
                OAVC_ASSERT(item.kind != WsReader::Kind::text || valid_utf8(item.data));
                items.push_back(std::to_string(static_cast<int>(item.kind)) + " ");
                items.back() += std::to_string(item.code);
                items.back() += item.data;
                if (item.kind == WsReader::Kind::broken) return items;
            }
            stored.erase(0, stored.size() - rest.size());
        }
        return items;
    };
    const auto at_once = read(input.size() + 1);
    OAVC_ASSERT(at_once == read(1));
    OAVC_ASSERT(at_once == read(7));
}

}  // namespace oavc::test
