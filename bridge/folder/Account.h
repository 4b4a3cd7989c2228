#pragma once

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

/// The account of that name; empty = the service's own. Permanent, naming it: there is none, or
/// this service may not act for it. May ask a directory server, so it may block.
Result<Account> findAccount(const std::string& name);

/// The words that run `argv` as `account` with its groups and without the service's
/// capabilities. The only place that changes accounts. The process keeps its pid.
std::vector<std::string> argvAs(const Account& account, std::span<const std::string> argv);

/// PATH, HOME, USER, LOGNAME and LANG as the account's login would set them.
std::vector<std::string> environmentOf(const Account& account);

}  // namespace gridbridge::folder
