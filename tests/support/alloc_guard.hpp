#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

/// Counts `operator new`: the audio path must not allocate per packet.
///
///     const auto before = test::allocations();
///     engine->process(frame);
///     EXPECT_EQ(test::allocations(), before);
///
/// Exactly one source file of an executable defines OAVC_ALLOC_GUARD_IMPLEMENTATION before it
/// includes this header; there the global operators are replaced.
namespace oavc::test {

/// Allocations of this thread so far.
std::uint64_t allocations() noexcept;

}  // namespace oavc::test

#ifdef OAVC_ALLOC_GUARD_IMPLEMENTATION

namespace oavc::test::detail {

inline thread_local std::uint64_t allocation_count = 0;

inline void* allocate(std::size_t size, std::size_t alignment) {
    ++allocation_count;
    if (size == 0) size = 1;
    void* const memory =
        alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
            ? std::malloc(size)
            : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

}  // namespace oavc::test::detail

std::uint64_t oavc::test::allocations() noexcept { return detail::allocation_count; }

void* operator new(std::size_t size) { return oavc::test::detail::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return oavc::test::detail::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
