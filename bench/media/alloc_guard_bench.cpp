// Replaces the global allocation operators of this executable, for tests that count.
#define OAVC_ALLOC_GUARD_IMPLEMENTATION
#include "support/alloc_guard.hpp"
