#include "tests/fakegitlab/Sha256.h"

#include <openssl/evp.h>

#include <array>

#include "bridge/base/Check.h"

namespace gridbridge::fakegitlab {

struct Sha256::Context {
    EVP_MD_CTX* handle = EVP_MD_CTX_new();
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    BRIDGE_CHECK(EVP_DigestInit_ex(context_->handle, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() {
    EVP_MD_CTX_free(context_->handle);
}

void Sha256::add(std::string_view piece) {
    BRIDGE_CHECK(EVP_DigestUpdate(context_->handle, piece.data(), piece.size()) == 1);
}

std::string Sha256::hex() {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    BRIDGE_CHECK(EVP_DigestFinal_ex(context_->handle, digest.data(), &length) == 1);
    std::string result;
    for (unsigned i = 0; i < length; ++i) {
        result += kDigits[digest.at(i) >> 4U];
        result += kDigits[digest.at(i) & 15U];
    }
    return result;
}

std::string Sha256::of(std::string_view bytes) {
    Sha256 hash;
    hash.add(bytes);
    return hash.hex();
}

}  // namespace gridbridge::fakegitlab
