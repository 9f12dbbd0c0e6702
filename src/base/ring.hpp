#pragma once

#include "base/assert.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace oavc {

/// First-in first-out queue of at most `Capacity` elements, stored inside the object: no
/// allocation, ever. What happens when it is full is the owner's decision (and counter).
template <class T, std::size_t Capacity>
class Ring {
    static_assert(Capacity > 0);

public:
    static constexpr std::size_t capacity() noexcept { return Capacity; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    bool full() const noexcept { return size_ == Capacity; }

    /// False when full; the element is then not taken.
    template <class U>
    bool try_push(U&& value) noexcept {
        if (full()) return false;
        items_[(head_ + size_) % Capacity] = std::forward<U>(value);
        ++size_;
        return true;
    }

    T& front() noexcept {
        OAVC_ASSERT(!empty());
        return items_[head_];
    }
    const T& front() const noexcept {
        OAVC_ASSERT(!empty());
        return items_[head_];
    }

    /// The element `index` places behind the front.
    T& operator[](std::size_t index) noexcept {
        OAVC_ASSERT(index < size_);
        return items_[(head_ + index) % Capacity];
    }
    const T& operator[](std::size_t index) const noexcept {
        OAVC_ASSERT(index < size_);
        return items_[(head_ + index) % Capacity];
    }

    void pop() noexcept {
        OAVC_ASSERT(!empty());
        head_ = (head_ + 1) % Capacity;
        --size_;
    }

    void clear() noexcept {
        head_ = 0;
        size_ = 0;
    }

private:
    std::array<T, Capacity> items_{};
    std::size_t head_{0};
    std::size_t size_{0};
};

}  // namespace oavc
