// The one file of this executable that replaces the allocation operators.
#define OAVC_ALLOC_GUARD_IMPLEMENTATION
#include "support/alloc_guard.hpp"
