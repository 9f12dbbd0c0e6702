// The loader of Silero's model file. The input is a list of edits to a valid file, because a
// fuzzer would never find its way through 880 KB of weights: each edit is three bytes of offset
// and one of value; an input of odd length also cuts the file off. Short files go in as they are.

#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"
#include "support/silero_file.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace oavc;
    using media::detail::SileroModel;

    const auto raw = std::as_bytes(std::span{data, size});
    if (media::detail::parse_silero(raw).has_value()) std::abort();  // too short to be one

    static const std::vector<std::byte> valid = test::silero_file();
    auto edited = valid;
    for (std::size_t at = 0; at + 4 <= size; at += 4) {
        const std::size_t offset = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
        edited[offset % edited.size()] = static_cast<std::byte>(data[at + 3]);
    }
    const bool cut = size % 2 == 1;
    if (cut) edited.resize(edited.size() * data[size - 1] / 256);

    const auto model = media::detail::parse_silero(edited);
    if (cut && model.has_value()) std::abort();
    if (!model) return 0;
    media::detail::SileroState state;
    const std::array<float, SileroModel::window> window{};
    const float probability = media::detail::silero_net()(**model, state, window);
    if (!(probability >= 0 && probability <= 1)) std::abort();
    return 0;
}
