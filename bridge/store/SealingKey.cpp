#include "bridge/store/SealingKey.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::store {
namespace {

using Kind = StoreError::Kind;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

constexpr std::size_t kNonce = 12;  ///< 96 bits: NIST SP 800-38D, the length that needs no hashing.
constexpr std::size_t kTag = 16;
constexpr std::size_t kMaxSecret = std::size_t{1} << 30U;  ///< EVP counts bytes in int.

[[noreturn]] void failed(const std::filesystem::path& file, const char* what) {
    throw StoreError(errno == ENOSPC ? Kind::Full : Kind::Io,
                     file.string() + ": " + what + ": " + std::strerror(errno));
}

std::string associated(JobRow row) {
    std::string bytes;
    auto value = static_cast<std::uint64_t>(row);
    for (std::size_t i = 0; i < sizeof value; ++i) {
        bytes += static_cast<char>(value & 0xffU);
        value >>= 8U;
    }
    return bytes;
}

Error unopened(const std::string& what) {
    return permanentError("the sealed " + what +
                          " does not open: secret.key is not the key it was sealed with, or the "
                          "row was changed; restore both from one backup");
}

Cipher newCipher() {
    Cipher cipher(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
    if (!cipher) {
        throw StoreError(Kind::Other, "no memory for the cipher");
    }
    return cipher;
}

unsigned char* bytesOf(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}
const unsigned char* bytesOf(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

void syncFolder(const std::filesystem::path& folder) {
    const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) {
        failed(folder, "cannot write");
    }
}

}  // namespace

SealingKey SealingKey::read(const std::filesystem::path& file) {
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat found {};
    if (!fd || ::fstat(fd.get(), &found) != 0) {
        failed(file, "cannot read the key of the stored secrets");
    }
    if ((found.st_mode & 077U) != 0) {
        throw StoreError(Kind::Other, file.string() + " can be read by others: run 'chmod 600 " +
                                          file.string() + "'");
    }
    Bytes bytes{};
    const bool whole =
        S_ISREG(found.st_mode) && found.st_size == static_cast<off_t>(bytes.size()) &&
        ::read(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    if (!whole) {
        throw StoreError(Kind::Corrupt,
                         file.string() + " is not a key of 32 bytes: restore it from a backup");
    }
    return SealingKey(bytes);
}

SealingKey SealingKey::create(const std::filesystem::path& file) {
    Bytes bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        throw StoreError(Kind::Other, "OpenSSL gives no random bytes");
    }
    // Written beside and renamed: a kill must not leave half a key.
    const std::filesystem::path unfinished = file.string() + ".new";
    ::unlink(unfinished.c_str());
    const Fd fd(::open(unfinished.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (!fd || ::fchmod(fd.get(), 0600) != 0 ||
        ::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::fsync(fd.get()) != 0 || ::rename(unfinished.c_str(), file.c_str()) != 0) {
        failed(file, "cannot write the key of the stored secrets");
    }
    syncFolder(file.parent_path());
    return SealingKey(bytes);
}

std::string SealingKey::seal(JobRow row, const Secret& secret) const {
    return seal(associated(row), secret);
}

std::string SealingKey::seal(std::string_view what, const Secret& secret) const {
    const std::string& text = secret.reveal();
    if (text.size() > kMaxSecret) {
        throw StoreError(Kind::Other, "a secret of " + std::to_string(text.size()) +
                                          " bytes is too long to be sealed");
    }
    std::string sealed(kNonce + text.size() + kTag, '\0');
    unsigned char* const nonce = bytesOf(sealed);
    unsigned char* const body = nonce + kNonce;
    const auto cipher = newCipher();
    int length = 0;
    if (RAND_bytes(nonce, kNonce) != 1 ||
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_.data(), nonce) != 1 ||
        EVP_EncryptUpdate(cipher.get(), nullptr, &length, bytesOf(what),
                          static_cast<int>(what.size())) != 1 ||
        EVP_EncryptUpdate(cipher.get(), body, &length, bytesOf(std::string_view(text)),
                          static_cast<int>(text.size())) != 1 ||
        EVP_EncryptFinal_ex(cipher.get(), body + text.size(), &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, body + text.size()) != 1) {
        throw StoreError(Kind::Other, "OpenSSL cannot seal with AES-256-GCM");
    }
    return sealed;
}

std::optional<Secret> SealingKey::opened(std::string_view about, std::string_view sealed) const {
    std::string text;
    bool opened = false;
    if (sealed.size() >= kNonce + kTag) {
        text.resize(sealed.size() - kNonce - kTag);
        const auto body = sealed.substr(kNonce, text.size());
        std::string tag(sealed.substr(kNonce + text.size()));
        const auto cipher = newCipher();
        int length = 0;
        opened = EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes_.data(),
                                    bytesOf(sealed)) == 1 &&
                 EVP_DecryptUpdate(cipher.get(), nullptr, &length, bytesOf(about),
                                   static_cast<int>(about.size())) == 1 &&
                 EVP_DecryptUpdate(cipher.get(), bytesOf(text), &length, bytesOf(body),
                                   static_cast<int>(body.size())) == 1 &&
                 EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
                 EVP_DecryptFinal_ex(cipher.get(), bytesOf(text) + text.size(), &length) == 1;
    }
    return opened ? std::optional(Secret(std::move(text))) : std::nullopt;
}

Result<Secret> SealingKey::open(JobRow row, std::string_view sealed) const {
    if (auto secret = opened(associated(row), sealed)) {
        return *std::move(secret);
    }
    return unopened("payload of job row " + std::to_string(static_cast<std::int64_t>(row)));
}

Result<Secret> SealingKey::open(std::string_view what, std::string_view sealed) const {
    if (auto secret = opened(what, sealed)) {
        return *std::move(secret);
    }
    return unopened(std::string(what));
}

}  // namespace gridbridge::store
