// The allocation counter of this test program.
#define OAVC_ALLOC_GUARD_IMPLEMENTATION
#include "support/alloc_guard.hpp"
