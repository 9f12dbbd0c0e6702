#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// A file that lives in memory and has a name under /proc for a library that only opens names.
class MemoryFile {
public:
    static Result<MemoryFile> create(const char* label, std::string_view content);
    MemoryFile(MemoryFile&& other) noexcept;
    MemoryFile& operator=(MemoryFile&&) = delete;
    ~MemoryFile();
    const std::string& path() const noexcept { return path_; }

private:
    MemoryFile(int fd, std::string path) : fd_{fd}, path_{std::move(path)} {}
    int fd_;
    std::string path_;
};

/// ARPA bigram model of `phrases` with Witten-Bell interpolation: what was never said stays
/// possible, what was said is likelier. Phrases are lists of words.
std::string bigram_model(const std::vector<std::vector<std::string>>& phrases);

/// What every decoder of one vocabulary loads: acoustic model, dictionary, language model.
/// Read-only once made: shared by all decoders, from any thread.
class SphinxModel {
public:
    /// Most different words a vocabulary may have: above this the small-vocabulary accuracy is
    /// gone.
    static constexpr std::size_t max_words = 2'000;

    /// A vocabulary of what these phrases contain. Words that the dictionary of `model_dir` lacks
    /// are pronounced by letter-to-sound rules and listed in guessed_words().
    static Result<std::shared_ptr<const SphinxModel>, ParseError> from_phrases(
        const std::vector<std::string>& phrases, const std::string& model_dir
    );
    /// The general English model of `model_dir`: 100 MB per decoder, poor on the telephone.
    static Result<std::shared_ptr<const SphinxModel>, ParseError> general(
        const std::string& model_dir
    );

    const std::string& acoustic_dir() const noexcept { return acoustic_dir_; }
    const std::string& dictionary() const noexcept { return dictionary_path_; }
    const std::string& language_model() const noexcept { return language_model_path_; }
    /// Empty: the acoustic model's own.
    const std::string& fillers() const noexcept { return fillers_path_; }
    const std::vector<std::string>& guessed_words() const noexcept { return guessed_words_; }
    std::size_t words() const noexcept { return words_; }
    bool is_general() const noexcept { return files_.empty(); }
    /// language_model() is a finite-state grammar, not an n-gram model.
    bool has_grammar() const noexcept { return has_grammar_; }

private:
    SphinxModel() = default;

    std::string acoustic_dir_;
    std::string dictionary_path_;
    std::string language_model_path_;
    std::string fillers_path_;
    std::vector<std::string> guessed_words_;
    std::size_t words_{0};
    bool has_grammar_{false};
    std::vector<MemoryFile> files_;
};

}  // namespace oavc::services
