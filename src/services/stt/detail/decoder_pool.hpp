#pragma once

#include "services/stt/detail/sphinx_decoder.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace oavc::services {

/// Decoders for whoever speaks right now: made when first needed, reused, never more than `bound`.
/// Any thread.
class DecoderPool {
public:
    DecoderPool(std::shared_ptr<const SphinxModel> model, std::size_t bound)
        : model_{std::move(model)}, bound_{bound} {}

    /// An idle decoder, or a new one made on this thread (20 ms). Null when all are in use; an
    /// error when the library cannot make one.
    Result<std::unique_ptr<SphinxDecoder>, error_code> try_take();
    void give_back(std::unique_ptr<SphinxDecoder> decoder);

    std::size_t made() const;

private:
    const std::shared_ptr<const SphinxModel> model_;
    const std::size_t bound_;
    mutable std::mutex mutex_;
    std::size_t made_{0};
    std::vector<std::unique_ptr<SphinxDecoder>> idle_;
};

}  // namespace oavc::services
