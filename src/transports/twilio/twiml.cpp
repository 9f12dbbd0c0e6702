#include "transports/twilio/twiml.hpp"

#include <fmt/format.h>

namespace oavc::transports::twilio {

namespace {
constexpr std::string_view declaration = R"(<?xml version="1.0" encoding="UTF-8"?>)"
                                         "\n";
}

std::string xml_escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&apos;";
                break;
            case '\t':
                out += "&#9;";
                break;  // or attribute normalisation would make it a space
            case '\n':
                out += "&#10;";
                break;
            case '\r':
                out += "&#13;";
                break;
            default:
                if (static_cast<unsigned char>(c) >= 0x20) out += c;
        }
    }
    return out;
}

std::string connect_stream(
    std::string_view url, const std::map<std::string, std::string>& parameters
) {
    std::string document{declaration};
    document += fmt::format("<Response><Connect><Stream url=\"{}\">", xml_escape(url));
    for (const auto& [name, value] : parameters) {
        document += fmt::format(
            "<Parameter name=\"{}\" value=\"{}\"/>", xml_escape(name), xml_escape(value)
        );
    }
    return document + "</Stream></Connect></Response>\n";
}

std::string reject_busy() {
    return std::string{declaration} + "<Response><Reject reason=\"busy\"/></Response>\n";
}

std::string say_and_hang_up(std::string_view text, std::string_view language) {
    return fmt::format(
        "{}<Response><Say language=\"{}\">{}</Say><Hangup/></Response>\n",
        declaration,
        xml_escape(language),
        xml_escape(text)
    );
}

std::string dial(std::string_view target) {
    std::string_view noun = "Number";
    if (target.starts_with("sip:") || target.starts_with("sips:")) noun = "Sip";
    if (target.starts_with("client:")) {
        noun = "Client";
        target.remove_prefix(7);
    }
    return fmt::format(
        "{}<Response><Dial><{}>{}</{}></Dial></Response>\n",
        declaration,
        noun,
        xml_escape(target),
        noun
    );
}

std::string hang_up() { return std::string{declaration} + "<Response><Hangup/></Response>\n"; }

}  // namespace oavc::transports::twilio
