#include "config/expand.hpp"

#include "config/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <ios>
#include <system_error>

namespace oavc::config {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view file_prefix = "file:";
constexpr std::string_view gcp_prefix = "gcp-secret:";

/// One of the environment.
bool is_name(std::string_view name) noexcept {
    if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

Result<std::string, SecretProblem> text(std::string_view content) {
    return {boost::system::in_place_value, content};
}

/// Of which reference a problem is.
Result<std::string, SecretProblem> told_of(
    std::string_view reference, Result<std::string, SecretProblem> result
) {
    if (result) return result;
    return SecretProblem{fmt::format("${{{}}}: {}", reference, result.error().what)};
}

}  // namespace

Expanded Expander::expand(std::string_view value) const {
    Expanded out;
    while (!value.empty()) {
        const std::size_t dollar = value.find('$');
        out.text += value.substr(0, dollar);
        if (dollar == std::string_view::npos) break;
        value.remove_prefix(dollar);
        if (value.starts_with("$${")) {
            out.text += "${";
            value.remove_prefix(3);
            continue;
        }
        if (!value.starts_with("${")) {
            out.text += '$';
            value.remove_prefix(1);
            continue;
        }
        const std::size_t close = value.find('}');
        if (close == std::string_view::npos) {
            out.problems.emplace_back("a ${ is never closed with }");
            break;
        }
        if (const auto content = read(value.substr(2, close - 2))) {
            out.text += *content;
        } else {
            out.problems.push_back(content.error().what);
        }
        value.remove_prefix(close + 1);
    }
    return out;
}

Result<std::string, SecretProblem> Expander::read(std::string_view reference) const {
    if (reference.starts_with(file_prefix))
        return told_of(reference, read_file(reference.substr(file_prefix.size())));
    if (!reference.starts_with(gcp_prefix)) return read_variable(reference);
    if (!gcp_secrets_)
        return told_of(reference, SecretProblem{"it cannot be fetched by this command"});
    return told_of(reference, gcp_secrets_(reference.substr(gcp_prefix.size())));
}

Result<std::string, SecretProblem> Expander::read_variable(std::string_view reference) const {
    const std::size_t colon = reference.find(":-");
    const std::string_view name = reference.substr(0, colon);
    if (!is_name(name)) {
        return SecretProblem{
            "expected ${NAME} or ${NAME:-default}, NAME of letters, digits and _, or "
            "${file:PATH} or ${gcp-secret:NAME}"};
    }
    const auto variable = environment_.find(name);
    const bool set = variable != environment_.end();
    if (colon != std::string_view::npos)
        return text(
            set && !variable->second.empty() ? variable->second : reference.substr(colon + 2)
        );
    if (set) return text(variable->second);
    return SecretProblem{fmt::format(
        "the environment does not have {0} (a default is written ${{{0}:-default}})", name
    )};
}

Result<std::string, SecretProblem> Expander::read_file(std::string_view name) const {
    const std::string path = resolve(std::string{trim(name)});
    std::error_code error;
    if (path.empty()) return SecretProblem{"no file is named"};
    if (fs::is_directory(path, error)) return SecretProblem{"it is a folder"};
    if (!fs::exists(path, error)) return SecretProblem{"there is no such file"};
    std::ifstream in{path, std::ios::binary};
    if (!in) return SecretProblem{"permission denied"};
    std::string content(IniLimits{}.value + 1, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(in.gcount()));
    if (content.size() > IniLimits{}.value) return SecretProblem{"it is larger than 64 KiB"};
    // Editors and `kubectl create secret` end a file with a line feed that is not meant.
    if (content.ends_with('\n')) content.pop_back();
    if (content.ends_with('\r')) content.pop_back();
    if (content.empty()) return SecretProblem{"it is empty"};
    return text(content);
}

std::string Expander::resolve(const std::string& path) const {
    if (path.empty() || fs::path{path}.is_absolute() || folder_.empty()) return path;
    return (folder_ / path).lexically_normal().string();
}

bool names_secret(std::string_view value) noexcept {
    return value.find("${file:") != std::string_view::npos ||
           value.find("${gcp-secret:") != std::string_view::npos;
}

}  // namespace oavc::config
