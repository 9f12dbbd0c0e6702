#include "services/stt/detail/decoder_pool.hpp"

namespace oavc::services {

Result<std::unique_ptr<SphinxDecoder>, error_code> DecoderPool::try_take() {
    {
        const std::lock_guard lock{mutex_};
        if (!idle_.empty()) {
            auto decoder = std::move(idle_.back());
            idle_.pop_back();
            return decoder;
        }
        if (made_ >= bound_) return std::unique_ptr<SphinxDecoder>{};
        ++made_;
    }
    auto decoder = SphinxDecoder::create(model_);
    if (!decoder) {
        const std::lock_guard lock{mutex_};
        --made_;
    }
    return decoder;
}

void DecoderPool::give_back(std::unique_ptr<SphinxDecoder> decoder) {
    const std::lock_guard lock{mutex_};
    idle_.push_back(std::move(decoder));
}

std::size_t DecoderPool::made() const {
    const std::lock_guard lock{mutex_};
    return made_;
}

}  // namespace oavc::services
