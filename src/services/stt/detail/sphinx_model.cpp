#include "services/stt/detail/sphinx_model.hpp"

#include "services/detail/words.hpp"
#include "services/errors.hpp"
#include "services/stt/detail/letter_to_sound.hpp"
#include "services/stt/detail/phrase_grammar.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace oavc::services {

namespace {

ParseError configuration_error(std::string what) {
    return {make_error_code(ServiceErrc::configuration), 0, std::move(what)};
}

/// Fillers are what a decoder may put between words without the language model's leave.
constexpr std::string_view noise_words =
    "<s> SIL\n"
    "</s> SIL\n"
    "<sil> SIL\n"
    "[NOISE] +NSN+\n"
    "[SPEECH] +SPN+\n";

}  // namespace

Result<MemoryFile> MemoryFile::create(const char* label, std::string_view content) {
    const int fd = ::memfd_create(label, MFD_CLOEXEC);
    if (fd < 0) return error_code{errno, boost::system::system_category()};
    MemoryFile file{fd, fmt::format("/proc/self/fd/{}", fd)};
    while (!content.empty()) {
        const auto written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return error_code{errno, boost::system::system_category()};
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return file;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, path_{std::move(other.path_)} {}

MemoryFile::~MemoryFile() {
    if (fd_ >= 0) ::close(fd_);
}

std::string bigram_model(const std::vector<std::vector<std::string>>& phrases) {
    std::map<std::string_view, double> unigrams;
    std::map<std::string_view, std::map<std::string_view, double>> bigrams;
    double total = 0;
    std::size_t pairs = 0;
    for (const auto& phrase : phrases) {
        std::string_view previous = "<s>";
        const auto count = [&](std::string_view word) {
            unigrams[word] += 1;
            total += 1;
            bigrams[previous][word] += 1;
            previous = word;
        };
        for (const auto& word : phrase)
            count(word);
        count("</s>");
    }
    for (const auto& [history, followers] : bigrams)
        pairs += followers.size();

    std::string arpa = fmt::format(
        "\n\\data\\\nngram 1={}\nngram 2={}\n\n\\1-grams:\n", unigrams.size() + 1, pairs
    );
    std::string second = "\n\\2-grams:\n";
    const auto write = [&](std::string_view history, double log_probability) {
        double backoff = 0;
        if (const auto found = bigrams.find(history); found != bigrams.end()) {
            const auto& followers = found->second;
            double seen = 0;
            for (const auto& [word, count] : followers)
                seen += count;
            // Witten-Bell: as much weight for the unseen as there are different followers.
            const double trust = seen / (seen + static_cast<double>(followers.size()));
            double left = 1;
            double unseen = 1;
            for (const auto& [word, count] : followers) {
                const double unigram = unigrams[word] / total;
                const double probability = trust * count / seen + (1 - trust) * unigram;
                left -= probability;
                unseen -= unigram;
                second += fmt::format("{:.4f} {} {}\n", std::log10(probability), history, word);
            }
            backoff = std::log10(std::max(left, 1e-9) / std::max(unseen, 1e-9));
        }
        arpa += fmt::format("{:.4f} {} {:.4f}\n", log_probability, history, backoff);
    };
    write("<s>", -99);
    for (const auto& [word, count] : unigrams)
        write(word, std::log10(count / total));
    return arpa + second + "\n\\end\\\n";
}

namespace {

/// Lines of the dictionary for exactly these words, all their variants. The dictionary has 130,000
/// lines, and everybody who waits for us to start waits for this.
std::string cut_dictionary(
    std::string_view dictionary,
    const std::set<std::string, std::less<>>& words,
    std::set<std::string, std::less<>>& missing
) {
    const std::unordered_set<std::string_view> wanted{words.begin(), words.end()};
    missing = words;
    std::string cut;
    while (!dictionary.empty()) {
        const auto line = dictionary.substr(0, dictionary.find('\n'));
        dictionary.remove_prefix(std::min(line.size() + 1, dictionary.size()));
        const auto end = line.find_first_of(" \t(");
        if (end == std::string_view::npos) continue;
        const auto word = line.substr(0, end);
        if (!wanted.contains(word)) continue;
        if (const auto found = missing.find(word); found != missing.end()) missing.erase(found);
        cut.append(line).append(1, '\n');
    }
    return cut;
}

/// Empty: it cannot be read.
std::string content_of(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::error_code ignored;
    const auto size = std::filesystem::file_size(path, ignored);
    if (!in || ignored) return {};
    std::string content(size, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(in.gcount()));
    return content;
}

/// Checks that the parts of a model are there; returns where its acoustic model lies.
Result<std::filesystem::path, ParseError> acoustic_model_in(const std::filesystem::path& model_dir
) {
    std::error_code ignored;
    for (const auto& candidate : {model_dir / "en-us", model_dir / "acoustic-model", model_dir}) {
        if (std::filesystem::exists(candidate / "mdef", ignored)) return candidate;
    }
    return configuration_error(fmt::format(
        "[stt.pocketsphinx] model_dir: no acoustic model in '{}': install the Debian package "
        "pocketsphinx-en-us or set model_dir",
        model_dir.string()
    ));
}

/// More than this is decoded too slowly.
constexpr std::size_t max_grammar_states = 50'000;

/// The phones of the acoustic model, silence apart.
const std::vector<std::string>& phones() {
    static const std::vector<std::string> all{
        "AA", "AE", "AH", "AO", "AW", "AY", "B",  "CH", "D", "DH", "EH", "ER", "EY",
        "F",  "G",  "HH", "IH", "IY", "JH", "K",  "L",  "M", "N",  "NG", "OW", "OY",
        "P",  "R",  "S",  "SH", "T",  "TH", "UH", "UW", "V", "W",  "Y",  "Z",  "ZH"};
    return all;
}

}  // namespace

Result<std::shared_ptr<const SphinxModel>, ParseError> SphinxModel::from_phrases(
    const std::vector<std::string>& phrases, const std::string& model_dir
) {
    const std::filesystem::path directory{model_dir};
    auto acoustic = acoustic_model_in(directory);
    if (!acoustic) return acoustic.error();

    std::vector<std::vector<std::string>> sentences;
    std::set<std::string, std::less<>> words;
    for (const auto& phrase : phrases) {
        auto sentence = words_of(phrase);
        if (sentence.empty()) continue;
        words.insert(sentence.begin(), sentence.end());
        sentences.push_back(std::move(sentence));
    }
    if (words.empty()) {
        return configuration_error(
            "the recogniser 'pocketsphinx' has no phrases: set [llm.scripted] dialogue_file, or "
            "[stt.pocketsphinx] phrases_file with one phrase per line"
        );
    }
    if (words.size() > max_words) {
        return configuration_error(fmt::format(
            "the recogniser 'pocketsphinx' knows at most {} different words, the phrases have {}: "
            "shorten them, or choose another [stt] provider",
            max_words,
            words.size()
        ));
    }

    const auto dictionary_path = directory / "cmudict-en-us.dict";
    const auto dictionary = content_of(dictionary_path);
    if (dictionary.empty()) {
        return configuration_error(fmt::format(
            "[stt.pocketsphinx] model_dir: cannot read '{}': install the Debian package "
            "pocketsphinx-en-us or set model_dir",
            dictionary_path.string()
        ));
    }
    std::set<std::string, std::less<>> missing;
    std::string cut = cut_dictionary(dictionary, words, missing);
    for (const auto& word : missing) {
        const std::string phones = letter_to_sound(word);
        if (phones.empty()) {
            return configuration_error(fmt::format(
                "the recogniser 'pocketsphinx' cannot pronounce '{}': it knows English words, "
                "spelled with letters (write numbers as words)",
                word
            ));
        }
        cut += fmt::format("{} {}\n", word, phones);
    }

    std::shared_ptr<SphinxModel> model{new SphinxModel};
    model->acoustic_dir_ = acoustic->string();
    model->guessed_words_.assign(missing.begin(), missing.end());
    model->words_ = words.size();
    for (const auto& phone : phones())
        cut += fmt::format("{} {}\n", garbage_word(phone), phone);

    // Whole phrases where they fit; a vocabulary beyond that is heard word by word.
    auto grammar = phrase_grammar(sentences, phones(), max_grammar_states);
    model->has_grammar_ = grammar.has_value();
    const std::string language_model = grammar ? std::move(*grammar) : bigram_model(sentences);
    for (auto [label, content, path] :
         {std::tuple{"oavc-dictionary", std::string_view{cut}, &model->dictionary_path_},
          std::tuple{
              "oavc-language-model",
              std::string_view{language_model},
              &model->language_model_path_},
          std::tuple{"oavc-fillers", noise_words, &model->fillers_path_}}) {
        auto file = MemoryFile::create(label, content);
        if (!file) {
            return configuration_error(fmt::format(
                "the recogniser 'pocketsphinx' cannot store its vocabulary in memory: {}",
                file.error().message()
            ));
        }
        *path = file->path();
        model->files_.push_back(std::move(*file));
    }
    return std::shared_ptr<const SphinxModel>{std::move(model)};
}

Result<std::shared_ptr<const SphinxModel>, ParseError> SphinxModel::general(
    const std::string& model_dir
) {
    const std::filesystem::path directory{model_dir};
    auto acoustic = acoustic_model_in(directory);
    if (!acoustic) return acoustic.error();
    std::shared_ptr<SphinxModel> model{new SphinxModel};
    model->acoustic_dir_ = acoustic->string();
    model->dictionary_path_ = (directory / "cmudict-en-us.dict").string();
    model->language_model_path_ = (directory / "en-us.lm.bin").string();
    std::error_code ignored;
    for (const auto* path : {&model->dictionary_path_, &model->language_model_path_}) {
        if (!std::filesystem::exists(*path, ignored)) {
            return configuration_error(fmt::format(
                "[stt.pocketsphinx] general_model: '{}' is missing: install the Debian package "
                "pocketsphinx-en-us or set model_dir",
                *path
            ));
        }
    }
    return std::shared_ptr<const SphinxModel>{std::move(model)};
}

}  // namespace oavc::services
