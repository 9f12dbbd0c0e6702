#include "config/json_schema.hpp"

#include "config/schema.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <variant>

namespace oavc::config {

namespace json = boost::json;

namespace {

json::object text() { return {{"type", "string"}}; }

json::object text_like(std::string_view pattern) {
    return {{"type", "string"}, {"pattern", pattern}};
}

json::object either(json::array schemas) { return {{"anyOf", std::move(schemas)}}; }

/// As the file has it, to be expanded when it is read.
json::object expansion() { return {{"$ref", "#/$defs/expansion"}}; }

template <class Names>
json::array strings(const Names& names) {
    json::array out;
    for (const std::string_view name : names)
        out.emplace_back(name);
    return out;
}

/// Special characters of a scheme such as "https://" have no meaning in a pattern.
std::string url_pattern(const Url& url) {
    return fmt::format("^$|^({})[^ \\n\"<>]*$", fmt::join(url.schemes, "|"));
}

struct ToSchema {
    json::object operator()(const Text&) const { return text(); }
    json::object operator()(const Path&) const { return text(); }
    json::object operator()(const Secret&) const {
        return {{"type", "string"}, {"pattern", "^[^\\n]*$"}, {"writeOnly", true}};
    }
    json::object operator()(const Pattern&) const {
        return {{"type", "string"}, {"format", "regex"}};
    }
    json::object operator()(const Host&) const {
        return either({text_like("^[A-Za-z0-9._:-]*$"), expansion()});
    }
    json::object operator()(const List&) const { return list(); }
    json::object operator()(const Patterns&) const { return list(); }
    json::object operator()(const Url& url) const {
        return either({text_like(url_pattern(url)), expansion()});
    }
    json::object operator()(const Provider& provider) const {
        auto names = strings(known_providers(provider.of));
        names.emplace_back("");
        return either({json::object{{"enum", std::move(names)}}, expansion()});
    }
    json::object operator()(const Choice& choice) const {
        return either({json::object{{"enum", strings(choice.names)}}, expansion()});
    }
    json::object operator()(const Boolean&) const {
        json::array words{"true", "yes", "on", "1", "false", "no", "off", "0"};
        return either(
            {json::object{{"type", "boolean"}},
             json::object{{"enum", std::move(words)}},
             expansion()}
        );
    }
    json::object operator()(const Port&) const { return integer(1, 65535); }
    json::object operator()(const Integer& range) const { return integer(range.min, range.max); }
    json::object operator()(const Number& range) const {
        json::object native{{"type", "number"}, {"minimum", range.min}, {"maximum", range.max}};
        return either({std::move(native), text_like("^[+-]?[0-9.]+$"), expansion()});
    }
    json::object operator()(const Duration&) const {
        return either({text_like("^(0|[0-9.]+ ?(ms|s|m|min|h))$"), expansion()});
    }

private:
    static json::object list() {
        return either({text(), json::object{{"type", "array"}, {"items", text()}}});
    }
    static json::object integer(std::int64_t min, std::int64_t max) {
        json::object native{{"type", "integer"}, {"minimum", min}, {"maximum", max}};
        return either({std::move(native), text_like("^-?[0-9]+$"), expansion()});
    }
};

json::object key_schema(const Key& key) {
    auto schema = std::visit(ToSchema{}, key.rule);
    json::object out{{"description", fmt::format("{} ({})", key.help, describe(key.rule))}};
    const auto value = default_value(key);
    if (!value.empty()) out["default"] = value;
    for (auto& [name, member] : schema)
        out[name] = std::move(member);
    return out;
}

json::object section_schema(const SectionHelp& section) {
    json::object keys;
    for (const Key& key : schema()) {
        if (key.section == section.name) keys[key.name] = key_schema(key);
    }
    return {
        {"description", section.help},
        {"type", "object"},
        {"additionalProperties", false},
        {"properties", std::move(keys)}};
}

/// Indented, so that a change of one key is a change of its lines.
void print(std::string& out, const json::value& value, std::size_t depth) {
    const std::string margin(2 * depth, ' ');
    if (const auto* const object = value.if_object(); object != nullptr && !object->empty()) {
        std::string_view separator = "{\n";
        for (const auto& [name, member] : *object) {
            out += fmt::format("{}{}  {}: ", separator, margin, json::serialize(name));
            print(out, member, depth + 1);
            separator = ",\n";
        }
        out += fmt::format("\n{}}}", margin);
    } else if (value.is_double()) {
        out += fmt::format("{}", value.get_double());
    } else {
        out += json::serialize(value);  // short ones stay on a line
    }
}

}  // namespace

std::string json_schema() {
    json::object properties;
    for (const SectionHelp& section : sections()) {
        properties[section.name] = section_schema(section);
    }
    const json::object root{
        {"$schema", "https://json-schema.org/draft/2020-12/schema"},
        {"title", "Configuration of the OpenSIPS AI Voice Connector"},
        {"description",
         "The INI file as an object of sections. Printed by `oavc check-config --schema` from the "
         "table that reads the file; `oavc check-config FILE` knows more: files that must exist, "
         "keys that need each other, the names of the predecessor."},
        {"type", "object"},
        {"additionalProperties", false},
        {"properties", std::move(properties)},
        {"patternProperties",
         json::object{{"^agent\\..+$", json::object{{"$ref", "#/properties/agent"}}}}},
        {"$defs", json::object{{"expansion", text_like("\\$\\{[^}]+\\}")}}}};
    std::string out;
    print(out, root, 0);
    out += '\n';
    return out;
}

}  // namespace oavc::config
