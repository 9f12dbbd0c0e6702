#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// `oavc rag`: the document search beside the predecessor's language model server. It has a
/// WebSocket of its own, one JSON request and one JSON reply at a time.
int rag_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
