#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Keys.h"
#include "bridge/base/Result.h"
#include "bridge/base/Secret.h"

namespace gridbridge::store {

/// The key of the secret columns. Sealed = 12 bytes of random nonce, the AES-256-GCM ciphertext,
/// 16 bytes of tag; the job row, or a text that says what it is, is associated data, so that a
/// sealed text moved to another row does not open. Safe for concurrent use. Methods throw
/// StoreError; what does not open is an error (Permanent).
class SealingKey {
public:
    /// Reads the 32 bytes of `file`. Refuses a file that anybody but its owner can read.
    static SealingKey read(const std::filesystem::path& file);
    /// Makes a new key, mode 0600, durable on return; `file` must not exist.
    static SealingKey create(const std::filesystem::path& file);

    std::string seal(JobRow row, const Secret& secret) const;
    Result<Secret> open(JobRow row, std::string_view sealed) const;
    /// `what` names the secret for ever; longer than 8 characters, which is a job row's length.
    std::string seal(std::string_view what, const Secret& secret) const;
    Result<Secret> open(std::string_view what, std::string_view sealed) const;

private:
    using Bytes = std::array<unsigned char, 32>;
    explicit SealingKey(const Bytes& bytes) : bytes_(bytes) {}
    /// Nothing when it does not open.
    std::optional<Secret> opened(std::string_view about, std::string_view sealed) const;

    Bytes bytes_;
};

}  // namespace gridbridge::store
