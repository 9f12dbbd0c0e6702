#include "transports/twilio/form.hpp"

#include "transports/twilio/errors.hpp"

namespace oavc::transports::twilio {

namespace {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out += ' ';
            continue;
        }
        if (text[i] == '%' && i + 2 < text.size()) {
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out += text[i];
    }
    return out;
}

}  // namespace

Result<Form> parse_form(std::string_view text) noexcept {
    if (text.size() > max_form_bytes) return TwilioErrc::form_too_large;
    Form form;
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto field = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (field.empty()) continue;
        if (form.size() == max_form_fields) return TwilioErrc::form_too_large;
        const auto equals = std::min(field.find('='), field.size());
        const auto value = field.substr(std::min(equals + 1, field.size()));
        form.push_back({decoded(field.substr(0, equals)), decoded(value)});
    }
    return form;
}

std::string_view find_field(const Form& form, std::string_view name) noexcept {
    for (const auto& field : form) {
        if (field.name == name) return field.value;
    }
    return {};
}

}  // namespace oavc::transports::twilio
