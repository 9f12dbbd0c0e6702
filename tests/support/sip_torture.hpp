#pragma once

#include "support/sip_torture/broken.hpp"
#include "support/sip_torture/ipv6.hpp"
#include "support/sip_torture/list.hpp"
#include "support/sip_torture/strange.hpp"
#include "support/sip_torture/valid.hpp"

#include <vector>

/// The torture messages of RFC 4475 and RFC 5118, written anew from what those describe, each with
/// what a user agent may do with it.
namespace oavc::test {

inline std::vector<TortureMessage> torture_messages() {
    TortureList all;
    add_valid(all);
    add_broken(all);
    add_strange(all);
    add_ipv6(all);
    return all.take();
}

}  // namespace oavc::test
