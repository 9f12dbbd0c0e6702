#include "pipeline/sealed_recording.hpp"

#include "base/base64.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>

namespace oavc::pipeline {

namespace {

constexpr std::string_view magic = "OAVCREC1";
constexpr std::string_view purpose = "oavc recording";
constexpr std::size_t head_size = 4;
constexpr std::size_t tag_size = 16;
constexpr std::uint32_t last_flag = 0x8000'0000U;

using Nonce = std::array<unsigned char, 12>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* bytes(const void* data) noexcept {
    return static_cast<const unsigned char*>(data);
}

bool derive(const RecordingKey& master, std::span<const std::byte, 16> salt, RecordingKey& key) {
    const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf{
        EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free};
    if (!kdf) return false;
    const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context{
        EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free};
    if (!context) return false;
    // OpenSSL's parameters are not const, though it only reads these.
    char digest[] = "SHA256";
    auto secret = master;
    std::array<std::byte, 16> salted{};
    std::ranges::copy(salt, salted.begin());
    std::string info{purpose};
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salted.data(), salted.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        OSSL_PARAM_construct_end(),
    };
    auto* const out = static_cast<unsigned char*>(static_cast<void*>(key.data()));
    return EVP_KDF_derive(context.get(), out, key.size(), parameters) == 1;
}

Nonce nonce_of(std::uint64_t index) noexcept {
    Nonce nonce{};
    for (std::size_t i = 0; i < 8; ++i)
        nonce[nonce.size() - 1 - i] = static_cast<unsigned char>(index >> (8 * i));
    return nonce;
}

void put_head(std::string& out, std::uint32_t head) {
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        out += static_cast<char>(static_cast<unsigned char>(head >> shift));
}

std::uint32_t read_head(std::string_view text) noexcept {
    std::uint32_t head = 0;
    for (std::size_t i = 0; i < head_size; ++i)
        head = (head << 8U) | static_cast<unsigned char>(text[i]);
    return head;
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string_view describe(SealErrc code) noexcept {
    switch (code) {
        case SealErrc::not_sealed:
            return "this is no sealed recording";
        case SealErrc::wrong_key:
            return "the key is not the one it was sealed with, or its beginning is damaged";
        case SealErrc::damaged:
            return "the recording is damaged";
        case SealErrc::end_missing:
            return "the recording's end is missing";
        case SealErrc::no_cipher:
            return "OpenSSL offers no AES-256-GCM or HKDF";
    }
    return "unknown";
}

std::optional<RecordingKey> parse_recording_key(std::string_view text) noexcept {
    RecordingKey key{};
    if (text.size() == 2 * key.size()) {
        for (std::size_t i = 0; i < key.size(); ++i) {
            const int high = hex_digit(text[2 * i]);
            const int low = hex_digit(text[2 * i + 1]);
            if (high < 0 || low < 0) return std::nullopt;
            key[i] = static_cast<std::byte>(high * 16 + low);
        }
        return key;
    }
    const auto size = base64::decode(text, key);
    if (!size || *size != key.size()) return std::nullopt;
    return key;
}

Result<Sealer> Sealer::make(const RecordingKey& key) {
    Sealer sealer;
    auto* const salt = static_cast<unsigned char*>(static_cast<void*>(sealer.salt_.data()));
    if (RAND_bytes(salt, static_cast<int>(sealer.salt_.size())) != 1) return SealErrc::no_cipher;
    if (!derive(key, sealer.salt_, sealer.key_)) return SealErrc::no_cipher;
    return sealer;
}

std::string Sealer::header() const {
    std::string out{magic};
    for (const auto byte : salt_)
        out += static_cast<char>(byte);
    return out;
}

Result<std::string> Sealer::chunk(std::span<const std::byte> plain, bool last) {
    const auto length = static_cast<std::uint32_t>(plain.size());
    std::string out;
    out.reserve(head_size + plain.size() + tag_size);
    put_head(out, length | (last ? last_flag : 0U));
    out.resize(head_size + plain.size() + tag_size);
    auto* const begin = static_cast<unsigned char*>(static_cast<void*>(out.data()));
    const auto nonce = nonce_of(index_++);
    const Cipher cipher{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
    int size = 0;
    const bool sealed =
        cipher &&
        EVP_EncryptInit_ex2(
            cipher.get(), EVP_aes_256_gcm(), bytes(key_.data()), nonce.data(), nullptr
        ) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, begin, head_size) == 1 &&
        (plain.empty() || EVP_EncryptUpdate(
                              cipher.get(),
                              begin + head_size,
                              &size,
                              bytes(plain.data()),
                              static_cast<int>(plain.size())
                          ) == 1) &&
        EVP_EncryptFinal_ex(cipher.get(), begin + head_size + plain.size(), &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(
            cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_size, begin + head_size + plain.size()
        ) == 1;
    if (!sealed) return SealErrc::no_cipher;
    return out;
}

Result<Unsealer> Unsealer::open(const RecordingKey& key, std::string_view header) {
    if (header.size() != sealed_header_size || !header.starts_with(magic)) {
        return SealErrc::not_sealed;
    }
    std::array<std::byte, 16> salt{};
    for (std::size_t i = 0; i < salt.size(); ++i)
        salt[i] = static_cast<std::byte>(header[magic.size() + i]);
    Unsealer unsealer;
    if (!derive(key, salt, unsealer.key_)) return SealErrc::no_cipher;
    return unsealer;
}

Result<std::size_t> Unsealer::rest_of(std::string_view head) {
    if (head.size() != head_size) return SealErrc::damaged;
    const std::size_t length = read_head(head) & ~last_flag;
    if (length > longest_sealed_chunk) return SealErrc::damaged;
    return length + tag_size;
}

Result<std::string> Unsealer::chunk(std::string_view sealed) {
    if (complete_ || sealed.size() < head_size + tag_size) return SealErrc::damaged;
    const auto rest = rest_of(sealed.substr(0, head_size));
    if (!rest || *rest != sealed.size() - head_size) return SealErrc::damaged;
    const auto length = *rest - tag_size;
    std::string plain(length, '\0');
    auto* const out = static_cast<unsigned char*>(static_cast<void*>(plain.data()));
    std::string tag{sealed.substr(head_size + length)};
    const auto nonce = nonce_of(index_);
    const Cipher cipher{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
    int size = 0;
    const bool opened =
        cipher &&
        EVP_DecryptInit_ex2(
            cipher.get(), EVP_aes_256_gcm(), bytes(key_.data()), nonce.data(), nullptr
        ) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes(sealed.data()), head_size) == 1 &&
        (length == 0 ||
         EVP_DecryptUpdate(
             cipher.get(), out, &size, bytes(sealed.data() + head_size), static_cast<int>(length)
         ) == 1) &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_size, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), out + length, &size) == 1;
    if (!opened) return index_ == 0 ? SealErrc::wrong_key : SealErrc::damaged;
    ++index_;
    complete_ = (read_head(sealed) & last_flag) != 0;
    return plain;
}

}  // namespace oavc::pipeline
