#include "services/stt/detail/phrase_grammar.hpp"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <string_view>

namespace oavc::services {

namespace {

/// Phrases with a common beginning share its states.
struct Node {
    std::map<std::string_view, std::size_t> next;
    double phrases{0};  ///< that pass through
    double ends{0};     ///< that end here
};

}  // namespace

std::string garbage_word(std::string_view phone) { return fmt::format("+{}+", phone); }

bool is_garbage_word(std::string_view word) noexcept {
    return word.size() > 2 && word.front() == '+' && word.back() == '+';
}

std::optional<std::string> phrase_grammar(
    const std::vector<std::vector<std::string>>& phrases,
    const std::vector<std::string>& phones,
    std::size_t max_states,
    const GrammarTuning& tuning
) {
    std::vector<Node> nodes(1);
    for (const auto& phrase : phrases) {
        std::size_t at = 0;
        nodes[0].phrases += 1;
        for (const auto& word : phrase) {
            const auto [entry, added] = nodes[at].next.emplace(word, nodes.size());
            at = entry->second;
            if (added) nodes.emplace_back();
            if (nodes.size() > max_states) return std::nullopt;
            nodes[at].phrases += 1;
        }
        nodes[at].ends += 1;
    }

    // 0: a phrase may begin. 1: a phrase has ended. 2: garbage. 3: the end. 4: the start.
    constexpr std::size_t first_node = 5;
    const auto state_of = [](std::size_t node) { return node == 0 ? 0 : node + first_node - 1; };
    std::string text = fmt::format(
        "FSG_BEGIN phrases\nNUM_STATES {}\nSTART_STATE 4\nFINAL_STATE 3\n",
        nodes.size() + first_node - 1
    );
    auto out = std::back_inserter(text);
    const auto step =
        [&](std::size_t from, std::size_t to, double probability, std::string_view word = {}) {
            fmt::format_to(out, "TRANSITION {} {} {:.3g} {}\n", from, to, probability, word);
        };
    step(4, 0, 1.0);
    step(1, 3, 1.0);
    step(1, 0, tuning.another_phrase);
    if (tuning.garbage > 0) {
        step(4, 2, tuning.garbage);
        step(1, 2, tuning.garbage);
        for (const auto& phone : phones)
            step(2, 2, tuning.sound, garbage_word(phone));
        step(2, 0, 1.0);
        step(2, 3, 1.0);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto& node = nodes[i];
        for (const auto& [word, next] : node.next) {
            step(state_of(i), state_of(next), nodes[next].phrases / node.phrases, word);
            const bool middle = i != 0 && !nodes[next].next.empty();
            if (middle && tuning.cut_in > 0) step(0, state_of(next), tuning.cut_in, word);
        }
        if (i == 0) continue;
        if (node.ends > 0) {
            step(state_of(i), 1, node.ends / node.phrases);
        } else if (tuning.cut_off > 0) {
            step(state_of(i), 1, tuning.cut_off);
        }
    }
    return text + "FSG_END\n";
}

}  // namespace oavc::services
