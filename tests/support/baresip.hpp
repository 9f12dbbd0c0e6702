#pragma once

#include "media/frame.hpp"
#include "support/clips.hpp"
#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/sipp.hpp"
#include "support/temporary_folder.hpp"

#include <boost/json.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::test {

/// Writes samples as a WAV file (PCM, 16 bit, mono).
inline void write_wav(const std::string& path, const Pcm& pcm, SampleRate rate) {
    std::ofstream out{path, std::ios::binary};
    const auto number = [&](std::uint32_t value, std::streamsize bytes) {
        char raw[4];
        std::memcpy(raw, &value, sizeof raw);
        out.write(raw, bytes);
    };
    const auto bytes = static_cast<std::uint32_t>(pcm.size() * sizeof(media::Sample));
    out << "RIFF";
    number(36 + bytes, 4);
    out << "WAVEfmt ";
    number(16, 4);
    number(1, 2);
    number(1, 2);
    number(rate.hz, 4);
    number(rate.hz * 2, 4);
    number(2, 2);
    number(16, 2);
    out << "data";
    number(bytes, 4);
    out.write(reinterpret_cast<const char*>(pcm.data()), bytes);  // NOLINT
}

/// A softphone on the loopback interface: baresip, told what to do through its control socket. It
/// speaks a recording and keeps what it hears. Needs baresip and its modules (Debian:
/// baresip-core).
class Baresip {
public:
    struct Settings {
        std::string name{"phone"};
        std::string codec{"PCMU/8000/1"};  ///< as baresip names it
        std::string encryption{};          ///< "srtp-mand": SDES-SRTP or no call
        Pcm speech{};                      ///< at 16 kHz, from the answer on; then silence
        std::string config{};              ///< further lines of its configuration
    };

    struct Heard {
        Pcm samples;
        SampleRate rate{0};
    };

    static bool installed() {
        return !find_program("baresip").empty() && std::filesystem::exists(modules);
    }

    explicit Baresip(const Settings& settings)
        : name_{settings.name},
          port_{free_ports(16)},
          program_{prepare(settings), {"HOME=" + folder_.path().string()}} {
        connect();
    }
    Baresip(const Baresip&) = delete;
    Baresip& operator=(const Baresip&) = delete;
    ~Baresip() {
        if (control_ >= 0) ::close(control_);
    }

    /// What others dial. It answers by itself.
    std::string uri() const { return "sip:" + name_ + "@127.0.0.1:" + std::to_string(port_); }

    /// One of baresip's commands: "dial", "hangup", "hold", "resume", "sndcode".
    void command(std::string_view command, std::string_view parameters = {}) {
        const auto text = boost::json::serialize(boost::json::object{
            {"command", command}, {"params", parameters}, {"token", "t"}});
        const auto netstring = std::to_string(text.size()) + ':' + text + ',';
        if (::send(control_, netstring.data(), netstring.size(), MSG_NOSIGNAL) < 0)
            received_ += ' ';
    }
    void dial(std::uint16_t port) { command("dial", "sip:bot@127.0.0.1:" + std::to_string(port)); }

    /// Waits for an event of that type ("CALL_ESTABLISHED") among those not yet waited for, and
    /// returns it.
    std::optional<boost::json::object> wait_for(
        std::string_view type, std::chrono::seconds limit = std::chrono::seconds{30}
    ) {
        const auto deadline = Clock::now() + limit;
        while (Clock::now() < deadline) {
            while (const auto message = next_message()) {
                const auto* found = message->if_contains("type");
                if (found != nullptr && found->is_string() && found->as_string() == type) {
                    return message;
                }
            }
            pollfd ready{control_, POLLIN, 0};
            char buffer[4096];
            if (::poll(&ready, 1, 100) <= 0) continue;
            const auto got = ::recv(control_, buffer, sizeof buffer, 0);
            if (got <= 0) return std::nullopt;
            received_.append(buffer, static_cast<std::size_t>(got));
        }
        return std::nullopt;
    }

    /// Ends the program; what it printed.
    std::string quit() {
        command("quit");
        program_.wait();
        return program_.output();
    }

    /// What it heard, after `quit()`: of its calls and their media changes, one after the other.
    Heard heard() const {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator{folder_.path()}) {
            if (entry.path().string().ends_with("-dec.wav")) files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
        Heard all;
        for (const auto& file : files) {
            const auto bytes = read_bytes(file);
            if (bytes.size() >= 44) std::memcpy(&all.rate.hz, &bytes[24], 4);
            const auto samples = read_wav(file);
            if (!samples) continue;
            // Opus is two channels for it, whatever is sent: one is enough.
            const std::size_t channels = std::to_integer<std::size_t>(bytes[22]);
            for (std::size_t i = 0; i < samples->size(); i += std::max<std::size_t>(channels, 1))
                all.samples.push_back((*samples)[i]);
        }
        return all;
    }

private:
    static constexpr auto modules = "/usr/lib/baresip/modules";

    std::uint16_t control_port() const { return static_cast<std::uint16_t>(port_ + 2); }

    /// Ports: SIP, its TLS, control, then media.
    std::vector<std::string> prepare(const Settings& settings) {
        auto speech = settings.speech;
        append(speech, silence(60 * wideband.hz));  // it stops sending at the end of the file
        write_wav(folder_.file("speech.wav"), speech, wideband);
        std::ofstream{folder_.file("config")}
            << "poll_method epoll\n"
            << "sip_listen 127.0.0.1:" << port_ << "\n"
            << "net_interface 127.0.0.1\n"
            << "rtp_ports " << port_ + 4 << '-' << port_ + 15 << "\n"
            << "call_local_timeout 60\ncall_max_calls 4\n"
            << "audio_source aufile," << folder_.file("speech.wav") << "\n"
            << "audio_player aubridge,nobody\naudio_alert aubridge,nobody\n"
            << "ausrc_srate 16000\nausrc_channels 1\n"
            << "audio_buffer 20-160\njitter_buffer_delay 1-5\n"
            << "opus_samplerate 16000\n"
            << "snd_path " << folder_.path().string() << "\n"
            << "ctrl_tcp_listen 127.0.0.1:" << control_port() << "\n"
            << "module_path " << modules << "\n"
            << "module opus.so\nmodule g722.so\nmodule g711.so\nmodule l16.so\n"
            << "module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule srtp.so\n"
            << "module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            << settings.config;
        std::ofstream{folder_.file("accounts")}
            << '<' << uri() << ">;regint=0;answermode=auto;audio_codecs=" << settings.codec
            << (settings.encryption.empty() ? "" : ";mediaenc=" + settings.encryption) << "\n";
        std::ofstream{folder_.file("contacts")} << "";
        return {find_program("baresip"), "-4", "-f", folder_.path().string()};
    }

    void connect() {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(control_port());
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (const auto limit = Clock::now() + std::chrono::seconds{20}; Clock::now() < limit;) {
            control_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (::connect(control_, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
                0)  // NOLINT
                return;
            ::close(control_);
            control_ = -1;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }

    /// Takes one netstring off what was received: "12:{…},".
    std::optional<boost::json::object> next_message() {
        const auto colon = received_.find(':');
        if (colon == std::string::npos) return std::nullopt;
        std::size_t size = 0;
        std::from_chars(received_.data(), received_.data() + colon, size);
        if (received_.size() < colon + 1 + size + 1) return std::nullopt;
        boost::system::error_code bad;
        const auto value = boost::json::parse(received_.substr(colon + 1, size), bad);
        received_.erase(0, colon + size + 2);
        if (bad || !value.is_object()) return boost::json::object{};
        return value.as_object();
    }

    std::string name_;
    std::uint16_t port_;
    TemporaryFolder folder_;
    Program program_;
    int control_{-1};
    std::string received_;
};

}  // namespace oavc::test
