#include "bridge/folder/Account.h"

#include <cerrno>
#include <functional>
#include <linux/capability.h>
#include <optional>
#include <pwd.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace gridbridge::folder {
namespace {

/// The name becomes a folder and is written into messages.
bool isPlainName(std::string_view name) {
    static constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
           name.find_first_not_of(kAllowed) == std::string_view::npos;
}

using Query = std::function<int(passwd*, char*, std::size_t, passwd**)>;

/// Absent: the system has no such account.
Result<std::optional<Account>> ask(const Query& query) {
    std::vector<char> buffer(4096);
    passwd entry{};
    passwd* found = nullptr;
    int code = 0;
    while ((code = query(&entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
           buffer.size() < (1U << 20)) {
        buffer.resize(buffer.size() * 2);
    }
    if (found == nullptr) {
        // POSIX leaves open which code means "no such name"; these are the ones of glibc.
        if (code == 0 || code == ENOENT || code == ESRCH) {
            return std::optional<Account>();
        }
        return transientError("cannot look up an account: " +
                              std::generic_category().message(code));
    }
    return std::optional(Account{
        .name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid, .home = entry.pw_dir});
}

Result<Account> ownAccount() {
    const uid_t uid = ::geteuid();
    auto found = ask([uid](passwd* entry, char* buffer, std::size_t size, passwd** result) {
        return ::getpwuid_r(uid, entry, buffer, size, result);
    });
    if (!found) {
        return found.error();
    }
    auto account = std::move(found).value().value_or(
        Account{.name = std::to_string(uid), .uid = uid, .gid = ::getegid(), .home = "/"});
    account.own = true;
    return account;
}

/// What the programs that we start keep of ours, unless they are told to drop it.
bool passesOnCapabilities() {
    const auto passesOn = [](int capability) {
        return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
    };
    return passesOn(CAP_SETUID) && passesOn(CAP_SETGID);
}

}  // namespace

Result<Account> findAccount(const std::string& name) {
    if (name.empty()) {
        return ownAccount();
    }
    if (!isPlainName(name)) {
        return permanentError(
            "account name is empty, too long or has characters outside "
            "A-Z a-z 0-9 . _ @ -");
    }
    auto found = ask([&name](passwd* entry, char* buffer, std::size_t size, passwd** result) {
        return ::getpwnam_r(name.c_str(), entry, buffer, size, result);
    });
    if (!found) {
        return found.error();
    }
    auto account = std::move(found).value();
    if (!account) {
        return permanentError("account " + name + " does not exist on this machine");
    }
    account->own = account->uid == ::geteuid();
    return *account;
}

Way wayTo(const Account& account) {
    if (account.own) {
        return Way::Own;
    }
    return ::geteuid() == 0 || passesOnCapabilities() ? Way::Setpriv : Way::Sudo;
}

std::vector<std::string> argvAs(const Account& account, std::span<const std::string> argv) {
    std::vector<std::string> words;
    const auto way = wayTo(account);
    if (way == Way::Sudo) {
        words = {"/usr/bin/sudo", "-n", "-u", account.name, "--"};
    } else if (way == Way::Setpriv) {
        words = {"/usr/bin/setpriv",
                 "--reuid=" + std::to_string(account.uid),
                 "--regid=" + std::to_string(account.gid),
                 "--init-groups",
                 "--inh-caps=-all",
                 "--ambient-caps=-all"};
    } else if (passesOnCapabilities()) {
        words = {"/usr/bin/setpriv", "--inh-caps=-all", "--ambient-caps=-all"};
    }
    words.insert(words.end(), argv.begin(), argv.end());
    return words;
}

std::optional<FolderFault> giveFolder(const std::filesystem::path& folder, const Account& account) {
    const auto name = folder.string();
    const auto make = "run install -d -m 700 -o " + account.name + " " + name;
    if (::mkdir(name.c_str(), 0700) != 0 && errno != EEXIST) {
        return FolderFault{name + " cannot be made: " + std::generic_category().message(errno),
                           make};
    }
    struct stat info {};
    if (::lstat(name.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return FolderFault{name + " is no folder", "remove it"};
    }
    if (info.st_uid == account.uid) {
        return std::nullopt;
    }
    if (info.st_uid != ::geteuid()) {
        return FolderFault{name + " does not belong to account " + account.name,
                           "run chown " + account.name + " " + name};
    }
    // Ours: just made, or left there when that was interrupted.
    if (::chmod(name.c_str(), 0700) != 0 || ::lchown(name.c_str(), account.uid, account.gid) != 0) {
        ::rmdir(name.c_str());
        return FolderFault{
            "the folder " + name + " for the account " + account.name + " of the jobs is missing",
            make};
    }
    return std::nullopt;
}

std::vector<std::string> environmentOf(const Account& account) {
    return {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            "HOME=" + account.home, "USER=" + account.name, "LOGNAME=" + account.name,
            "LANG=C.UTF-8"};
}

}  // namespace gridbridge::folder
