#pragma once

#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The JSON messages of Twilio Media Streams, both directions, without I/O. Audio is G.711 µ-law at
/// 8 kHz, mono, base64.
namespace oavc::transports::twilio {

inline constexpr std::size_t ulaw_frame_bytes = 160;  ///< 20 ms
inline constexpr std::size_t max_message_bytes = 64 * 1024;

enum class StreamEvent { connected, start, media, dtmf, mark, clear, stop, unknown };

struct CustomParameter {
    std::string_view name;
    std::string_view value;
};

/// One message of either side. What its event does not have is empty or 0. Borrows from the parser:
/// valid until its next parse().
struct StreamMessage {
    StreamEvent event{StreamEvent::unknown};
    std::string_view stream_sid;
    std::uint64_t sequence_number{0};

    std::string_view payload;       ///< media: base64
    std::string_view track;         ///< media, dtmf: "inbound", "inbound_track"; may be empty
    std::uint64_t chunk{0};         ///< media: counts from 1 per track; 0: not told
    std::uint64_t timestamp_ms{0};  ///< media: since the stream's start

    std::string_view mark_name;  ///< mark
    std::string_view digit;      ///< dtmf

    std::string_view account_sid;                 ///< start, stop
    std::string_view call_sid;                    ///< start, stop
    std::string_view encoding;                    ///< start
    std::uint64_t sample_rate{0};                 ///< start
    std::uint64_t channels{0};                    ///< start
    std::span<const CustomParameter> parameters;  ///< start
};

/// Parses untrusted messages. Numbers may come as strings and strings as numbers; unknown events
/// and members are no error. Allocates only when a message is longer than every one before it.
class StreamParser {
public:
    static constexpr std::size_t max_parameters = 64;

    StreamParser();
    StreamParser(StreamParser&&) noexcept;
    StreamParser& operator=(StreamParser&&) noexcept;
    ~StreamParser();

    /// Errors: TwilioErrc::not_json, bad_message (its event's own member is missing, or it is
    /// longer than max_message_bytes).
    Result<StreamMessage> parse(std::string_view text) noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Audio of any length in, frames of 20 ms out; what is left waits for the next payload.
class FrameAssembler {
public:
    using Frame = std::span<const std::byte, ulaw_frame_bytes>;

    /// Decodes a base64 payload and calls `on_frame(Frame)` for each frame that it completes.
    /// Errors: TwilioErrc::bad_payload; frames before the fault have been handed over.
    template <class OnFrame>
    Result<void> push_base64(std::string_view payload, OnFrame&& on_frame) noexcept {
        std::array<std::byte, slice_bytes> slice;
        while (!payload.empty()) {
            const auto part = payload.substr(0, slice_characters);
            payload.remove_prefix(part.size());
            const auto size = decode(part, slice);
            if (size.has_error()) return size.error();
            push(std::span<const std::byte>{slice}.first(*size), on_frame);
        }
        return {};
    }

    template <class OnFrame>
    void push(std::span<const std::byte> ulaw, OnFrame&& on_frame) noexcept {
        while (!ulaw.empty()) {
            if (size_ == 0 && ulaw.size() >= ulaw_frame_bytes) {  // the usual case: no copy
                on_frame(ulaw.first<ulaw_frame_bytes>());
                ulaw = ulaw.subspan(ulaw_frame_bytes);
                continue;
            }
            const std::size_t room = ulaw_frame_bytes - size_;
            const auto part = ulaw.first(ulaw.size() < room ? ulaw.size() : room);
            for (const std::byte b : part)
                partial_[size_++] = b;
            ulaw = ulaw.subspan(part.size());
            if (size_ == ulaw_frame_bytes) {
                size_ = 0;
                on_frame(Frame{partial_});
            }
        }
    }

    std::size_t pending_bytes() const noexcept { return size_; }

private:
    static constexpr std::size_t slice_characters = 1360;
    static constexpr std::size_t slice_bytes = slice_characters / 4 * 3;
    static Result<std::size_t> decode(std::string_view part, std::span<std::byte> out) noexcept;

    std::array<std::byte, ulaw_frame_bytes> partial_{};
    std::size_t size_{0};
};

/// Our side: what we send into a stream. Each view is valid until the next call; the buffer is used
/// again, so that steady sending allocates nothing.
class StreamWriter {
public:
    explicit StreamWriter(std::string_view stream_sid);

    std::string_view media(std::span<const std::byte> ulaw);
    std::string_view mark(std::string_view name);
    std::string_view clear();

private:
    std::string media_head_;  ///< up to the payload
    std::string mark_head_;   ///< up to the name
    std::string clear_;
    std::string buffer_;
};

/// Twilio's side: what a fake or test caller sends. Counts chunks and sequence numbers as Twilio
/// does.
class CarrierWriter {
public:
    struct Identity {
        std::string account_sid;
        std::string call_sid;
        std::string stream_sid;
        std::map<std::string, std::string> parameters;
    };
    explicit CarrierWriter(Identity identity) : identity_{std::move(identity)} {}

    const Identity& identity() const noexcept { return identity_; }

    std::string connected();
    std::string start();
    std::string media(std::span<const std::byte> ulaw, std::uint64_t timestamp_ms);
    std::string dtmf(char digit);
    std::string mark(std::string_view name);
    std::string stop();

private:
    std::string head(std::string_view event);

    const Identity identity_;
    std::uint64_t sequence_{0};
    std::uint64_t chunk_{0};
};

}  // namespace oavc::transports::twilio
