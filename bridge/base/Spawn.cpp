#include "bridge/base/Spawn.h"

#include <cerrno>
#include <csignal>
#include <spawn.h>
#include <system_error>

#include "bridge/base/Check.h"

namespace gridbridge {
namespace {

class Attributes {
public:
    Attributes() {
        ok_ = ::posix_spawnattr_init(&attributes_) == 0;
        sigset_t none;
        sigset_t all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        // Linking Poco blocks SIGPIPE in the whole process (1.11): children must not inherit it.
        ok_ = ok_ && ::posix_spawnattr_setsigmask(&attributes_, &none) == 0 &&
              ::posix_spawnattr_setsigdefault(&attributes_, &all) == 0 &&
              ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK |
                                                           POSIX_SPAWN_SETSIGDEF |
                                                           POSIX_SPAWN_SETSID) == 0;
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
    bool ok() const { return ok_; }
    const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
    bool ok_ = false;
};

class FileActions {
public:
    FileActions(const SpawnFiles& files, const std::string& workDir) {
        ok_ = ::posix_spawn_file_actions_init(&actions_) == 0 &&
              ::posix_spawn_file_actions_adddup2(&actions_, files.in, 0) == 0 &&
              ::posix_spawn_file_actions_adddup2(&actions_, files.out, 1) == 0 &&
              ::posix_spawn_file_actions_adddup2(&actions_, files.err, 2) == 0 &&
              ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3) == 0 &&
              ::posix_spawn_file_actions_addchdir_np(&actions_, workDir.c_str()) == 0;
    }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    bool ok() const { return ok_; }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
    bool ok_ = false;
};

/// posix_spawn takes pointers to mutable text for historical reasons and changes nothing.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const auto& text : texts) {
        result.push_back(const_cast<char*>(text.c_str()));
    }
    result.push_back(nullptr);
    return result;
}

Error startError(const Command& command, int code) {
    std::string message = "cannot start " + command.argv.front() + " in " + command.workDir + ": " +
                          std::generic_category().message(code);
    const bool passing = code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE ||
                         code == ETXTBSY || code == EIO;
    return {passing ? ErrorKind::Transient : ErrorKind::Permanent, std::move(message)};
}

}  // namespace

Result<pid_t> spawn(const Command& command, const SpawnFiles& files) {
    BRIDGE_CHECK(!command.argv.empty() && command.argv.front().starts_with('/'));
    const Attributes attributes;
    const FileActions actions(files, command.workDir);
    if (!attributes.ok() || !actions.ok()) {
        return startError(command, ENOMEM);
    }
    const auto argv = pointers(command.argv);
    const auto environment = pointers(command.environment);
    pid_t pid = 0;
    const int code = ::posix_spawn(&pid, command.argv.front().c_str(), actions.get(),
                                   attributes.get(), argv.data(), environment.data());
    if (code != 0) {
        return startError(command, code);
    }
    return pid;
}

}  // namespace gridbridge
