#pragma once

#include "base/bytes.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

/// One datagram of a file in tests/data/opensips; see the README there.
struct CapturedDatagram {
    int number{0};
    double seconds{0};      ///< since the first one
    std::string channel;    ///< "mi", "event", "sip", "rtp"
    std::string direction;  ///< "connector->opensips", "opensips->connector", "peer->connector", …
    std::string label;
    std::string payload;
};

inline std::string base64_decoded(std::string_view text) {
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto value = alphabet.find(c);
        if (value == std::string_view::npos) continue;  // padding
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        if ((count += 6) >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 0xFF);
        }
    }
    return out;
}

/// Reads tests/data/opensips/NAME.json. Throws when it is not there.
inline std::vector<CapturedDatagram> load_opensips_capture(const std::string& name) {
    std::ifstream file{OAVC_TEST_DATA "/opensips/" + name + ".json", std::ios::binary};
    if (!file) throw std::runtime_error{"no capture " + name};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const auto document = boost::json::parse(text);
    std::vector<CapturedDatagram> datagrams;
    for (const auto& entry : document.at("datagrams").as_array()) {
        const auto& object = entry.as_object();
        const auto text_of = [&](const char* member) {
            return std::string{object.at(member).as_string()};
        };
        datagrams.push_back({
            static_cast<int>(object.at("n").as_int64()),
            object.at("t").to_number<double>(),
            text_of("channel"),
            text_of("dir"),
            text_of("label"),
            object.contains("data") ? text_of("data") : base64_decoded(text_of("data_b64")),
        });
    }
    return datagrams;
}

}  // namespace oavc::test
