#pragma once

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::app {

/// A command line that cannot be meant. The text names the nearest option, and the command's help.
class UsageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The options of one command. Long ones take their value as "--name value" or "--name=value".
class Options {
public:
    struct Spec {
        std::string_view name;        ///< "--config"
        std::string_view short_name;  ///< "-c", or ""
        bool takes_value{false};
    };

    /// Throws UsageError on an unknown option, a missing or an unwanted value, or more than
    /// `max_positional` other arguments. "--help" and "-h" are always known.
    Options(
        std::string_view command,
        std::span<const std::string_view> arguments,
        std::span<const Spec> specs,
        std::size_t max_positional
    );

    bool has(std::string_view name) const noexcept;
    /// The last value given.
    std::optional<std::string_view> value(std::string_view name) const noexcept;
    /// All values given, in order.
    std::vector<std::string_view> values(std::string_view name) const;
    const std::vector<std::string_view>& positional() const noexcept { return positional_; }
    bool help() const noexcept { return has("--help"); }

private:
    std::vector<std::pair<std::string_view, std::string_view>> given_;
    std::vector<std::string_view> positional_;
};

}  // namespace oavc::app
