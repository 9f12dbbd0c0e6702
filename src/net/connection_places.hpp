#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace oavc::net {

/// Places for a server's connections: so many in all, and so many for one source, so that nobody
/// keeps the others out by holding connections open. Bound: one entry per source that is connected.
/// Thread: any; one short lock per connection's begin and end.
class ConnectionPlaces {
public:
    enum class Refusal { full, source };

    /// Taken until it is destroyed. The places outlive it.
    class Place {
    public:
        Place(ConnectionPlaces& places, std::string source) noexcept
            : places_{&places}, source_{std::move(source)} {}
        Place(Place&& other) noexcept
            : places_{std::exchange(other.places_, nullptr)}, source_{std::move(other.source_)} {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (places_ != nullptr) places_->give_back(source_);
        }

    private:
        ConnectionPlaces* places_;
        std::string source_;
    };

    /// `most_per_source`: 0: no limit of its own.
    ConnectionPlaces(std::size_t most, std::size_t most_per_source)
        : most_{most}, most_per_source_{most_per_source} {}
    ConnectionPlaces(const ConnectionPlaces&) = delete;
    ConnectionPlaces& operator=(const ConnectionPlaces&) = delete;

    Result<Place, Refusal> take(const std::string& source) {
        const std::lock_guard lock{mutex_};
        if (open_ >= most_) return Refusal::full;
        auto& taken = sources_[source];
        if (most_per_source_ > 0 && taken >= most_per_source_) return Refusal::source;
        ++taken;
        ++open_;
        return Place{*this, source};
    }

    std::size_t open() const {
        const std::lock_guard lock{mutex_};
        return open_;
    }

private:
    void give_back(const std::string& source) {
        const std::lock_guard lock{mutex_};
        --open_;
        const auto found = sources_.find(source);
        if (--found->second == 0) sources_.erase(found);
    }

    const std::size_t most_;
    const std::size_t most_per_source_;
    mutable std::mutex mutex_;
    std::size_t open_{0};
    std::map<std::string, std::size_t, std::less<>> sources_;
};

}  // namespace oavc::net
