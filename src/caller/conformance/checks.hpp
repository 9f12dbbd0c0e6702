#pragma once

#include "caller/conformance/case_list.hpp"
#include "caller/conformance/phone.hpp"

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

/// What many SIP cases do and look at.
namespace oavc::caller::conformance {

// How cases begin: a phone of their own, by the target's transport, UDP or TCP; `in_` with a call
// that stands, which is hung up behind the case (and must be).
using PhoneRun = std::function<void(Phone&)>;
CaseList::Run with_phone(PhoneRun run);
CaseList::Run with_udp_phone(PhoneRun run);
CaseList::Run with_tcp_phone(PhoneRun run);
CaseList::Run in_call(PhoneRun run);
CaseList::Run in_udp_call(PhoneRun run);

// Responses.
void expect_status(const Heard& heard, int status);
void expect_one_of(const Heard& heard, std::initializer_list<int> statuses);
/// Any 2xx.
void expect_ok(const Heard& heard);
/// An offer that nobody can take: 488 or 606.
void expect_not_acceptable(const Heard& heard);
/// 405 or 501 mean that the target has no such method.
void skip_unless_offered(const Heard& heard, std::string_view method);
std::string to_tag_of(const Heard& heard);

// Offers and answers.
/// One stream with just that end of its m-line ("RTP/AVP 0 98") and those lines, without the
/// rtpmaps that `Phone::sdp` adds.
std::string bare_offer(const Phone& phone, std::string_view formats, std::string_view more = {});
/// Nobody has that codec.
std::string impossible_offer(const Phone& phone);
/// Calls with that body, whatever comes of it; a call is acknowledged.
Heard try_call(Phone& phone, std::string body);
/// Calls with that body; 488 means that the target has nothing of it. Returns the answer.
Description call_or_skip(Phone& phone, std::string body, const std::string& what);
const Description::Media& audio_of(const Description& description);

bool has_format(const Description::Media& media, std::string_view format);
/// The call's packets, once there are `count` of them. Skips the case when they do not come.
std::vector<RtpPacket> packets(Phone& phone, std::size_t count);

std::string random_bytes(std::size_t size);

}  // namespace oavc::caller::conformance
