#include "transports/listener.hpp"

namespace oavc::transports {

std::string_view to_string(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::full:
            return "full";
        case Refusal::caller:
            return "caller";
        case Refusal::overloaded:
            return "overloaded";
        case Refusal::draining:
            break;
    }
    return "draining";
}

std::string_view describe(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::full:
            return "every place is taken";
        case Refusal::caller:
            return "this caller has too many calls already";
        case Refusal::overloaded:
            return "audio is late already";
        case Refusal::draining:
            break;
    }
    return "no new calls: the server is about to end";
}

std::chrono::seconds retry_after(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::caller:
            return std::chrono::seconds{30};
        case Refusal::overloaded:
            return std::chrono::seconds{5};
        case Refusal::full:
        case Refusal::draining:
            break;
    }
    return std::chrono::seconds{10};
}

}  // namespace oavc::transports
