#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bridge/base/Result.h"

namespace gridbridge::folder {

/// A Unix account as the system knows it.
struct Account {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string home;
    bool own = false;  ///< The service's own: nothing has to be changed to act as it.
};

/// The account of that name; empty = the service's own. Permanent, naming it: there is none. May
/// ask a directory server, so it may block.
Result<Account> findAccount(const std::string& name);

/// How this process reaches an account.
enum class Way {
    Own,      ///< It is ours.
    Setpriv,  ///< setpriv(1): we are root, or have CAP_SETUID and CAP_SETGID to pass on.
    Sudo      ///< `sudo -n`, as far as its administrator lets us.
};
Way wayTo(const Account& account);

/// The words that run `argv` as `account` with its groups and without the service's capabilities.
/// With this, and giveFolder(), no other place changes accounts. With sudo the process that is
/// started waits for another one, which runs `argv`.
std::vector<std::string> argvAs(const Account& account, std::span<const std::string> argv);

/// The folder of an account's submissions, 0700 and its own: made where that is allowed, else it
/// must be there. Its parent must be ours alone.
struct FolderFault {
    std::string what;
    std::string cure;  ///< A command for the administrator.
};
std::optional<FolderFault> giveFolder(const std::filesystem::path& folder, const Account& account);

/// PATH, HOME, USER, LOGNAME and LANG as the account's login would set them.
std::vector<std::string> environmentOf(const Account& account);

}  // namespace gridbridge::folder
