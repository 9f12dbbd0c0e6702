#pragma once

#include "caller/conformance/case.hpp"
#include "caller/conformance/rtp_probe.hpp"
#include "caller/conformance/sip_text.hpp"
#include "caller/conformance/sockets.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::conformance {

/// A SIP phone for one case: one socket, one RTP port, at most one dialog. It does nothing on its
/// own but what a case would be wrong without: it repeats requests over UDP, acknowledges refusals
/// of INVITE, answers the target's requests with 200, and leaves no call behind.
class Phone {
public:
    explicit Phone(const Target& target) : Phone{target, target.tcp} {}
    Phone(const Target& target, bool tcp);
    Phone(const Phone&) = delete;
    Phone& operator=(const Phone&) = delete;
    ~Phone();

    // Messages. In the dialog once there is one; each has a branch of its own.
    Written request(std::string_view method);
    Written invite(std::string body);
    Written invite() { return invite(sdp()); }
    /// Of the 2xx to the latest INVITE.
    Written ack(std::string body = {});
    Written cancel(const Written& invite) const;
    /// The ACK of a refusal: it belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    Written ack_of(const Written& invite, const Heard& refusal) const;

    /// An offer of `formats` ("0 8 101") with the rtpmaps of the known ones, and more lines.
    std::string sdp(std::string_view formats = "0 8 101", std::string_view more = "a=sendrecv\r\n")
        const;
    /// The session part, up to the first m-line.
    std::string session_lines() const;

    // What goes out and comes in.
    void send(const Written& message) { send_text(message.text()); }
    void send_text(std::string_view text);
    /// The next response to that request.
    std::optional<Heard> response(const Written& request, TimePoint until);
    std::optional<Heard> response(const Written& request) {
        return response(request, Clock::now() + target_.timeout);
    }
    /// The same, beyond provisional ones.
    std::optional<Heard> final_response(const Written& request, TimePoint until);
    std::optional<Heard> final_response(const Written& request) {
        return final_response(request, Clock::now() + target_.timeout);
    }
    /// Sends, repeats, and waits for the final response. None is a failure.
    Heard ask(const Written& request);
    /// The same; nothing when none comes.
    std::optional<Heard> try_ask(const Written& request, milliseconds patience);
    /// The next request of the target of that method; it has been answered with 200.
    std::optional<Heard> requested(std::string_view method, TimePoint until);
    /// Takes in what comes until then.
    void listen(TimePoint until);

    // Calls.
    /// INVITE, 2xx, ACK; a refusal is a failure. Returns the 2xx.
    Heard call(const Written& invite);
    Heard call() { return call(invite()); }
    /// The same without ACK.
    Heard call_without_ack(const Written& invite);
    /// Takes that 2xx to the latest INVITE: ACK, and `answer()` is what it describes.
    void accept(const Heard& ok);
    /// A re-INVITE with its ACK; any final response.
    Heard reinvite(std::string body);
    /// Ends the call; the BYE's response must be a 2xx.
    void hang_up();
    /// Fails when the target does not answer OPTIONS any more.
    void expect_alive();

    /// What the call's latest 2xx describes.
    const Description& answer() const noexcept { return answer_; }
    /// Where the target wants its RTP. Fails when it says nothing usable.
    Address media_address() const;

    RtpProbe rtp;

    const Target& target() const noexcept { return target_; }
    std::string local() const;  ///< "address:port" of our signalling
    std::string local_ip() const;
    bool is_tcp() const noexcept { return stream_ != nullptr; }
    const std::vector<Heard>& provisional() const noexcept { return provisional_; }
    ByteStream* stream() noexcept { return stream_.get(); }
    UdpSocket* socket() noexcept { return udp_.get(); }

    // State that cases look at or bend.
    std::string request_uri;
    std::string call_id;
    std::string from_tag;
    std::string to_tag;
    std::uint32_t cseq{0};
    std::vector<std::string> routes;
    bool hung_up_by_target{false};
    bool confirmed{false};  ///< there is a dialog

private:
    bool take_one(TimePoint until);
    std::optional<std::string> next_text(TimePoint until);
    void answer_request(const Heard& request);
    void adopt(const Heard& ok);
    std::string address_lines() const;

    // Given to us.
    const Target& target_;
    // Owned.
    Address remote_;
    std::unique_ptr<UdpSocket> udp_;
    std::unique_ptr<ByteStream> stream_;
    // State.
    std::string received_;  ///< TCP: not yet a whole message
    std::deque<Heard> responses_;
    std::deque<Heard> requests_;
    std::vector<Heard> provisional_;
    std::optional<Written> inviting_;  ///< without a final response so far
    std::optional<std::uint32_t> unacknowledged_;
    Description answer_;
    std::uint32_t invite_cseq_{0};
};

}  // namespace oavc::caller::conformance
