#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OAVC_ALLOC_GUARD_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OAVC_ALLOC_GUARD_HOOKS 1
#endif
#endif
#ifdef OAVC_ALLOC_GUARD_HOOKS
#include <sanitizer/allocator_interface.h>
#endif

/// Counts `operator new`, and under a sanitizer `malloc` as well: the audio path must not allocate
/// per packet.
///
///     const test::AllocGuard guard;
///     engine->process(frame);
///     EXPECT_EQ(guard.count(), 0u);
///
/// Exactly one source file of an executable defines OAVC_ALLOC_GUARD_IMPLEMENTATION before it
/// includes this header. There the global operators are replaced; under a sanitizer they are left
/// alone, so that it still sees what is freed the wrong way.
namespace oavc::test {

/// Allocations of this thread so far.
std::uint64_t allocations() noexcept;

/// Counts those of this thread in its scope.
class AllocGuard {
public:
    std::uint64_t count() const noexcept { return allocations() - before_; }

private:
    std::uint64_t before_{allocations()};
};

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

#ifdef OAVC_ALLOC_GUARD_HOOKS

std::uint64_t oavc::test::allocations() noexcept {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(
        [](const volatile void*, std::size_t) { ++detail::allocation_count; },
        [](const volatile void*) {}
    );
    static_cast<void>(installed);
    return detail::allocation_count;
}

#else

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
#endif
