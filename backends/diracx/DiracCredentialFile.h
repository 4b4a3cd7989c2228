#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "backends/diracx/DiracCredential.h"
#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"

namespace gridbridge {

/// The file of one credential, read and replaced under flock(2) on the file itself, as the official
/// client takes it. One thread at a time per `Opened`; any number of them, also in other processes.
class DiracCredentialFile {
public:
    /// The credential, for as long as `lock` is held.
    struct Opened {
        Fd lock;
        DiracCredential credential;
    };
    enum class Lock { Shared, Exclusive };

    /// `login`: how one writes it anew, for messages.
    DiracCredentialFile(std::filesystem::path file, std::string login);

    /// Does not wait: nothing = another holds the lock, or replaces the file just now. Exclusive
    /// also ends a replacement that a kill cut short. Errors: misconfigured, one sentence.
    Result<std::optional<Opened>> open(Lock lock) const;
    /// Replaces what `opened`, which has the exclusive lock, holds, and keeps the lock. Whoever
    /// reads finds the old or the new one, also after a kill or a power failure; on an error
    /// usually the old. No room is Transient, no permission misconfigured.
    Result<void> replace(Opened& opened, const DiracCredential& next) const;

    /// A misconfigured error that says to log in: "`file` `why`: ...".
    Error loginNeeded(const std::string& why) const;

private:
    Result<std::optional<Opened>> openAt(const std::filesystem::path& file, Lock lock) const;
    void finish(Opened& opened) const;
    Error failed(const std::string& what) const;

    std::filesystem::path file_;
    std::filesystem::path next_;  ///< Where what replaces `file_` is written.
    std::string login_;
};

}  // namespace gridbridge
