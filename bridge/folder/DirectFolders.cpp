#include "bridge/folder/DirectFolders.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "bridge/base/Spawn.h"
#include "bridge/folder/FolderFiles.h"
#include "bridge/folder/RemoveTree.h"

namespace gridbridge::folder {
namespace {

constexpr mode_t kPassThrough = 0711;

/// Waits for the word on standard input before it becomes the program; 72 = it never came. What
/// shells put into the environment by themselves is taken out again.
constexpr const char* kGate =
    R"(read -r go || exit 72; unset PWD OLDPWD SHLVL _; exec "$@" </dev/null)";

/// By it a job's processes are known after they have left its session.
std::string folderVariable(const std::filesystem::path& path) {
    return "GB_FOLDER=" + path.string();
}

std::string inFolder(const FolderRef& folder, const std::string& name) {
    return folder.key.value + "/" + name;
}

std::string relativePath(const FolderRef& folder, const std::string& name = {}) {
    auto text = folder.account.empty() ? folder.key.value : folder.account + "/" + folder.key.value;
    return name.empty() ? text : text + "/" + name;
}

Result<void> checkRef(const FolderRef& folder) {
    const auto& key = folder.key.value;
    if (key.empty() || key.size() > 128 ||
        key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
        return permanentError("a submission key must be 1 to 128 characters of a-z 0-9 -");
    }
    if (folder.account.starts_with('.') || folder.account.find('/') != std::string::npos) {
        return permanentError("an account name must not start with . or hold a /");
    }
    return {};
}

std::runtime_error unusable(const std::filesystem::path& workDir, const std::string& why) {
    return std::runtime_error(workDir.string() + " " + why);
}

Fd openWorkDir(const std::filesystem::path& workDir) {
    static constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@=:,/";
    const auto text = workDir.string();
    if (!workDir.is_absolute() || text.find_first_not_of(kAllowed) != std::string::npos) {
        throw unusable(workDir, "must be an absolute path of A-Z a-z 0-9 . _ - + @ = : , /");
    }
    std::error_code problem;
    if (std::filesystem::create_directories(workDir, problem)) {
        ::chmod(text.c_str(), kPassThrough);
    }
    Fd root(::open(text.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!root || ::fstat(root.get(), &info) != 0) {
        throw unusable(workDir, "cannot be opened: " + std::generic_category().message(errno));
    }
    if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        throw unusable(workDir, "must belong to the service's account and be writable by it alone");
    }
    return root;
}

/// The gate's both sides. A socket, for writing to it when the process has died raises no signal.
struct Gate {
    Fd inside;
    Fd outside;
};

Result<Gate> makeGate() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return transientError("cannot start a process: " + std::generic_category().message(errno));
    }
    return Gate{Fd(ends[0]), Fd(ends[1])};
}

void reap(pid_t pid) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace

DirectFolders::DirectFolders(std::filesystem::path workDir, std::string bootId)
    : workDir_(std::move(workDir)), bootId_(std::move(bootId)), root_(openWorkDir(workDir_)) {}

std::filesystem::path DirectFolders::path(const FolderRef& folder) const {
    return workDir_ / relativePath(folder);
}

Result<Account> DirectFolders::accountOf(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked.error();
    }
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = accounts_.find(folder.account); known != accounts_.end()) {
            return known->second;
        }
    }
    auto account = findAccount(folder.account);
    if (account) {
        const std::lock_guard lock(mutex_);
        accounts_.emplace(folder.account, *account);
    }
    return account;
}

Result<Fd> DirectFolders::parentOf(const FolderRef& folder) {
    const auto& name = folder.account.empty() ? std::string(".") : folder.account;
    const bool made =
        !folder.account.empty() && ::mkdirat(root_.get(), name.c_str(), kPassThrough) == 0;
    // May be a file system of its own.
    auto parent = openBeneath(root_.get(), name, O_RDONLY | O_DIRECTORY);
    struct stat info {};
    if (!parent || ::fstat(parent.get(), &info) != 0) {
        return fileError("folder of account " + folder.account, errno);
    }
    if (info.st_uid != ::geteuid()) {
        return permanentError("folder of account " + folder.account +
                              " must belong to the service");
    }
    if (made) {
        ::fchmod(parent.get(), kPassThrough);  // whatever our umask is
    }
    return parent;
}

Result<Fd> DirectFolders::make(const FolderRef& folder, const Account& account) {
    const auto& key = folder.key.value;
    auto parent = parentOf(folder);
    if (!parent) {
        return parent.error();
    }
    auto made = makeFolder(parent->get(), key, account.uid, key);
    if (!made) {
        return made.error();
    }
    for (const char* name : {"in", "out"}) {
        auto inner = makeFolder(made->get(), name, account.uid, inFolder(folder, name));
        if (!inner) {
            return inner.error();
        }
        if (!give(*inner, account.uid, account.gid)) {
            return fileError(inFolder(folder, name), errno);
        }
    }
    // Last: until now nobody else could change what lies in it.
    if (!give(*made, account.uid, account.gid)) {
        return fileError(key, errno);
    }
    return made;
}

Result<void> DirectFolders::writeInput(const Fd& in, const StagedFile& file, const Account& account,
                                       const std::string& label) {
    if (::unlinkat(in.get(), file.name.c_str(), 0) != 0 && errno != ENOENT) {
        return fileError(label, errno);
    }
    const auto made = createFile(in.get(), file.name, account.uid, account.gid);
    if (!made || !writeAll(made, file.content)) {
        return fileError(label, errno);
    }
    return {};
}

Result<void> DirectFolders::stage(const FolderRef& folder, std::span<const StagedFile> files) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    for (const auto& file : files) {
        if (auto checked = checkFileName(file.name); !checked) {
            return checked;
        }
    }
    const auto made = make(folder, *account);
    if (!made) {
        return made.error();
    }
    const auto in = openFolder(made->get(), "in");
    if (!in) {
        return fileError(inFolder(folder, "in"), errno);
    }
    for (const auto& file : files) {
        const auto label = inFolder(folder, "in/" + file.name);
        if (auto written = writeInput(in, file, *account, label); !written) {
            return written;
        }
    }
    return {};
}

Result<Fd> DirectFolders::openBatchLog(const FolderRef& folder, const Account& account) {
    const auto label = inFolder(folder, "out/batch.log");
    const auto out = openFolder(root_.get(), relativePath(folder, "out"));
    if (!out) {
        return fileError(inFolder(folder, "out"), errno);
    }
    auto log = createFile(out.get(), "batch.log", account.uid, account.gid);
    if (!log && errno == EEXIST) {
        log = openBeneath(out.get(), "batch.log", O_WRONLY | O_APPEND);
    }
    if (!log) {
        return fileError(label, errno);
    }
    if (auto checked = checkFile(log, account.uid, label); !checked) {
        return checked.error();
    }
    // Only the opening had to be without waiting.
    ::fcntl(log.get(), F_SETFL, O_APPEND);
    return log;
}

Result<ProcessId> DirectFolders::start(const FolderRef& folder, std::span<const std::string> argv,
                                       const std::function<bool(const ProcessId&)>& recorded) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    const auto log = openBatchLog(folder, *account);
    if (!log) {
        return log.error();
    }
    auto made = makeGate();
    if (!made) {
        return made.error();
    }
    auto gate = std::move(made).value();
    std::vector<std::string> words{"/bin/sh", "-c", kGate, "sh"};
    words.insert(words.end(), argv.begin(), argv.end());
    auto environment = environmentOf(*account);
    environment.push_back(folderVariable(path(folder)));
    const auto pid = spawn({.argv = argvAs(*account, words),
                            .environment = std::move(environment),
                            .workDir = path(folder).string()},
                           {gate.inside.get(), log->get(), log->get()});
    if (!pid) {
        return pid.error();
    }
    gate.inside.reset();
    // Even if it has ended already: nobody else reaps it.
    const auto stat = readProcessStat(*pid);
    ProcessId process{*pid, stat ? stat->startTicks : 0, bootId_};
    if (!stat || !recorded(process)) {
        ::kill(*pid, SIGKILL);
        reap(*pid);
        return transientError("a process of " + folder.key.value +
                              " was started but not recorded, and ended again");
    }
    ::send(gate.outside.get(), "go\n", 3, MSG_NOSIGNAL);
    return process;
}

Result<Fd> DirectFolders::openOutput(const FolderRef& folder, const std::string& name) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    if (auto checked = checkFileName(name); !checked) {
        return checked.error();
    }
    return openForReading(root_.get(), relativePath(folder, "out/" + name), account->uid,
                          inFolder(folder, "out/" + name));
}

Result<ReadChunk> DirectFolders::readOne(const ReadRequest& request) {
    const auto file = openOutput(request.folder, request.name);
    if (!file) {
        return file.error();
    }
    ReadChunk chunk;
    if (!*file) {
        return chunk;
    }
    const auto label = inFolder(request.folder, "out/" + request.name);
    struct stat info {};
    if (::fstat(file->get(), &info) != 0) {
        return fileError(label, errno);
    }
    chunk.exists = true;
    chunk.size = info.st_size;
    const auto offset = std::max<std::int64_t>(request.offset, 0);
    const auto there = static_cast<std::uint64_t>(std::max<std::int64_t>(info.st_size - offset, 0));
    chunk.bytes.resize(std::min<std::uint64_t>(there, request.limit));
    std::size_t filled = 0;
    while (filled < chunk.bytes.size()) {
        const ssize_t got =
            ::pread(file->get(), chunk.bytes.data() + filled, chunk.bytes.size() - filled,
                    offset + static_cast<std::int64_t>(filled));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fileError(label, errno);
        }
        if (got == 0) {  // truncated meanwhile
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    chunk.bytes.resize(filled);
    return chunk;
}

std::vector<Result<ReadChunk>> DirectFolders::read(std::span<const ReadRequest> requests) {
    std::vector<Result<ReadChunk>> chunks;
    chunks.reserve(requests.size());
    for (const auto& request : requests) {
        chunks.push_back(readOne(request));
    }
    return chunks;
}

Result<Fd> DirectFolders::open(const FolderRef& folder, const std::string& name) {
    auto file = openOutput(folder, name);
    if (file && !*file) {
        return permanentError(inFolder(folder, "out/" + name) + " is not there");
    }
    return file;
}

Result<MarkOutcome> DirectFolders::mark(const FolderRef& folder) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    const auto made = make(folder, *account);
    if (!made) {
        return made.error();
    }
    const auto label = inFolder(folder, "out/started");
    const auto out = openFolder(made->get(), "out");
    if (!out) {
        return fileError(label, errno);
    }
    const auto marker = createFile(out.get(), "started", account->uid, account->gid);
    if (!marker) {
        if (errno == EEXIST) {
            return MarkOutcome::AlreadyStarted;
        }
        return fileError(label, errno);
    }
    if (::fsync(marker.get()) != 0 || ::fsync(out.get()) != 0) {
        return uncertainError(label + ": " + std::generic_category().message(errno));
    }
    return MarkOutcome::Taken;
}

Result<void> DirectFolders::requestCancel(const FolderRef& folder) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    const auto label = inFolder(folder, "in/cancel");
    const auto in = openFolder(root_.get(), relativePath(folder, "in"));
    if (!in) {
        return fileError(label, errno);
    }
    if (!createFile(in.get(), "cancel", account->uid, account->gid) && errno != EEXIST) {
        return fileError(label, errno);
    }
    return {};
}

Result<void> DirectFolders::signal(const FolderRef& folder, const ProcessId& process, int signal) {
    const auto account = accountOf(folder);
    if (!account) {
        return account.error();
    }
    if (process.bootId != bootId_) {
        return {};
    }
    return signalProcesses(process, account->uid, folderVariable(path(folder)), signal);
}

Result<void> DirectFolders::free(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked;
    }
    // The account may have been deleted: its name alone tells where the folder is.
    const auto& name = folder.account.empty() ? std::string(".") : folder.account;
    const auto parent = openBeneath(root_.get(), name, O_RDONLY | O_DIRECTORY);
    if (!parent) {
        if (errno == ENOENT) {
            return {};
        }
        return fileError("folder of account " + folder.account, errno);
    }
    return removeTree(parent.get(), folder.key.value, folder.key.value);
}

}  // namespace gridbridge::folder
