#include "app/options.hpp"

#include "config/nearest.hpp"

#include <fmt/format.h>

namespace oavc::app {

namespace {

constexpr Options::Spec help_option{"--help", "-h", false};

}  // namespace

Options::Options(
    std::string_view command,
    std::span<const std::string_view> arguments,
    std::span<const Spec> specs,
    std::size_t max_positional
) {
    const auto fail = [&](const std::string& what) {
        throw UsageError{fmt::format("{}\nsee: oavc {} --help", what, command)};
    };
    const auto find = [&](std::string_view name) -> const Spec* {
        if (name == help_option.name || name == help_option.short_name) return &help_option;
        for (const Spec& spec : specs) {
            if (name == spec.name || (!spec.short_name.empty() && name == spec.short_name)) {
                return &spec;
            }
        }
        return nullptr;
    };

    bool options_over = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (options_over || argument == "-" || !argument.starts_with('-')) {
            if (positional_.size() == max_positional) {
                fail(fmt::format("oavc {} does not expect \"{}\"", command, argument));
            }
            positional_.push_back(argument);
            continue;
        }
        if (argument == "--") {
            options_over = true;
            continue;
        }
        const std::size_t equals =
            argument.starts_with("--") ? argument.find('=') : std::string_view::npos;
        const std::string_view name = argument.substr(0, equals);
        const Spec* spec = find(name);
        if (spec == nullptr) {
            std::vector<std::string_view> names{help_option.name};
            for (const Spec& known : specs)
                names.push_back(known.name);
            const std::string_view meant = config::nearest(name, names);
            fail(
                meant.empty() ? fmt::format("unknown option {}", name)
                              : fmt::format("unknown option {}; did you mean {}?", name, meant)
            );
        }
        if (!spec->takes_value) {
            if (equals != std::string_view::npos) fail(fmt::format("{} takes no value", name));
            given_.emplace_back(spec->name, std::string_view{});
        } else if (equals != std::string_view::npos) {
            given_.emplace_back(spec->name, argument.substr(equals + 1));
        } else if (i + 1 < arguments.size()) {
            given_.emplace_back(spec->name, arguments[++i]);
        } else {
            fail(fmt::format("{} needs a value", name));
        }
    }
}

bool Options::has(std::string_view name) const noexcept {
    for (const auto& [given, value] : given_) {
        if (given == name) return true;
    }
    return false;
}

std::optional<std::string_view> Options::value(std::string_view name) const noexcept {
    std::optional<std::string_view> last;
    for (const auto& [given, value] : given_) {
        if (given == name) last = value;
    }
    return last;
}

std::vector<std::string_view> Options::values(std::string_view name) const {
    std::vector<std::string_view> all;
    for (const auto& [given, value] : given_) {
        if (given == name) all.push_back(value);
    }
    return all;
}

}  // namespace oavc::app
