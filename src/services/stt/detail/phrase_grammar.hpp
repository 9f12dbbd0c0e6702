#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// How freely a grammar may be left. Probabilities of one step; found by measurement.
struct GrammarTuning {
    double another_phrase{0.05};  ///< a second phrase follows the first
    double cut_off{1e-4};         ///< a phrase ends before its last word
    double cut_in{1e-5};          ///< a phrase begins after its first word
    double garbage{1e-7};         ///< sounds that belong to no phrase begin
    double sound{0.02};           ///< one more such sound, each of about 40
};

/// Name of the dictionary word that stands for a bare sound: "+AA+". Not part of any result.
std::string garbage_word(std::string_view phone);
bool is_garbage_word(std::string_view word) noexcept;

/// A finite-state grammar (the text format of Sphinx) of whole phrases, one or several in a row.
/// Bounded: every path is a phrase, a cut phrase, or a run of sounds that are thrown away. nullopt
/// when the phrases need more than `max_states`.
std::optional<std::string> phrase_grammar(
    const std::vector<std::vector<std::string>>& phrases,
    const std::vector<std::string>& phones,
    std::size_t max_states,
    const GrammarTuning& tuning = {}
);

}  // namespace oavc::services
