#include "pipeline/digit_collector.hpp"

#include <algorithm>

namespace oavc::pipeline {

namespace {

constexpr std::string_view opening = "[keypad: ";

}  // namespace

DigitCollector::DigitCollector(DigitRules usual) noexcept : usual_{usual}, rules_{usual} {}

void DigitCollector::ask(DigitRules rules, TimePoint now) noexcept {
    cancel();
    rules_ = rules;
    asked_ = true;
    since_ = now;
}

std::optional<std::string> DigitCollector::on_digit(char digit, TimePoint now) {
    if (size_ == 0 && !asked_) rules_ = usual_;
    since_ = now;
    const bool terminates = digit == rules_.terminator && rules_.terminator != '\0';
    if (terminates && size_ > 0) return take();
    digits_[size_++] = digit;
    if (terminates || size_ >= std::clamp<std::size_t>(rules_.count, 1, most)) return take();
    return std::nullopt;
}

std::optional<std::string> DigitCollector::poll(TimePoint now) {
    if (size_ > 0 && now - since_ >= rules_.next) return take();
    if (waiting() && now - since_ >= rules_.first) return take();
    return std::nullopt;
}

std::string DigitCollector::take() {
    std::string entry{digits_.data(), size_};
    cancel();
    return entry;
}

void DigitCollector::cancel() noexcept {
    digits_.fill('\0');
    size_ = 0;
    asked_ = false;
}

std::string masked_entry(std::size_t digits) {
    if (digits == 0) return std::string{opening} + "nothing]";
    return std::string{opening} + std::string(digits, '*') + ']';
}

std::string shown_entry(std::string_view digits) {
    return std::string{opening} + std::string{digits.empty() ? "nothing" : digits} + ']';
}

std::size_t count_entries(std::string_view text) noexcept {
    std::size_t count = 0;
    for (auto at = text.find(opening); at != std::string_view::npos;
         at = text.find(opening, at + opening.size())) {
        ++count;
    }
    return count;
}

std::string reveal_entries(std::string_view text, std::span<const std::string> entries) {
    std::string out;
    for (const auto& entry : entries) {
        const auto begin = text.find(opening);
        const auto end = text.find(']', begin);
        if (end == std::string_view::npos) break;
        out += text.substr(0, begin);
        out += shown_entry(entry);
        text.remove_prefix(end + 1);
    }
    out += text;
    return out;
}

}  // namespace oavc::pipeline
