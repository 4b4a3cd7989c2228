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
constexpr const char* kMarker = "out/started";

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

Result<void> checkRef(const FolderRef& folder) {
    const auto& key = folder.key.value;
    if (key.empty() || key.size() > 128 ||
        key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
        return permanentError("a submission key must be 1 to 128 characters of a-z 0-9 -");
    }
    if (!folder.account.empty()) {
        return permanentError("folders of account " + folder.account + " are not those of " +
                              std::to_string(::geteuid()));
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
        throw unusable(workDir,
                       "must belong to the account that uses it and be writable by it alone");
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

void waitForEnd(pid_t pid) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

/// What lies there, shorter when the file was truncated meanwhile. False with errno.
bool fill(std::string& bytes, const Fd& file, std::int64_t offset) {
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        const ssize_t got = ::pread(file.get(), bytes.data() + filled, bytes.size() - filled,
                                    offset + static_cast<std::int64_t>(filled));
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return false;
        }
        filled += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    }
    bytes.resize(filled);
    return true;
}

/// Replaces the file.
Result<void> writeFile(const Fd& dir, const StagedFile& file, const std::string& label) {
    if (::unlinkat(dir.get(), file.name.c_str(), 0) != 0 && errno != ENOENT) {
        return fileError(label, errno);
    }
    const auto made = createFile(dir.get(), file.name);
    if (!made || !writeAll(made, file.content)) {
        return fileError(label, errno);
    }
    return {};
}

}  // namespace

DirectFolders::DirectFolders(std::filesystem::path workDir, std::string bootId)
    : workDir_(std::move(workDir)), bootId_(std::move(bootId)), root_(openWorkDir(workDir_)) {}

std::filesystem::path DirectFolders::path(const FolderRef& folder) const {
    return workDir_ / folder.key.value;
}

Result<Account> DirectFolders::accountOf(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked.error();
    }
    const std::lock_guard lock(mutex_);
    if (!account_) {
        auto found = findAccount("");
        if (!found) {
            return found;
        }
        account_ = std::move(found).value();
    }
    return *account_;
}

Result<Fd> DirectFolders::make(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked.error();
    }
    auto made = makeFolder(root_.get(), folder.key.value, folder.key.value);
    if (!made) {
        return made.error();
    }
    for (const char* name : {"in", "out"}) {
        auto inner = makeFolder(made->get(), name, inFolder(folder, name));
        if (!inner) {
            return inner.error();
        }
    }
    return made;
}

Result<void> DirectFolders::stage(const FolderRef& folder, std::span<const StagedFile> files) {
    return write(folder, "in", files);
}

Result<void> DirectFolders::write(const FolderRef& folder, const std::string& inner,
                                  std::span<const StagedFile> files) {
    std::uint64_t bytes = 0;
    for (const auto& file : files) {
        if (auto checked = checkFileName(file.name); !checked) {
            return checked;
        }
        bytes += file.content.size();
    }
    if (auto room = checkRoom(workDir_, bytes); !room) {
        return room;
    }
    const auto made = make(folder);
    if (!made) {
        return made.error();
    }
    const auto dir = openFolder(made->get(), inner);
    if (!dir) {
        return fileError(inFolder(folder, inner), errno);
    }
    for (const auto& file : files) {
        const auto label = inFolder(folder, inner + "/" + file.name);
        if (auto written = writeFile(dir, file, label); !written) {
            return written;
        }
    }
    return {};
}

Result<void> DirectFolders::append(const FolderRef& folder, const std::string& path,
                                   std::int64_t offset, std::string_view bytes) {
    constexpr std::string_view kOut = "out/";
    const std::string inner = path.starts_with(kOut) ? "out" : "in";
    const auto name = inner == "out" ? path.substr(kOut.size()) : path;
    if (offset == 0) {
        const std::vector<StagedFile> file{{name, std::string(bytes)}};
        return write(folder, inner, file);
    }
    if (auto checked = checkRef(folder); !checked) {
        return checked;
    }
    if (auto checked = checkFileName(name); !checked) {
        return checked;
    }
    if (auto room = checkRoom(workDir_, bytes.size()); !room) {
        return room;
    }
    const auto label = inFolder(folder, inner + "/" + name);
    const auto dir = openFolder(root_.get(), inFolder(folder, inner));
    const auto file = dir ? openBeneath(dir.get(), name, O_WRONLY | O_APPEND) : Fd();
    if (!file) {
        return fileError(label, errno);
    }
    if (auto checked = checkFile(file, ::geteuid(), label); !checked) {
        return checked;
    }
    struct stat info {};
    if (::fstat(file.get(), &info) == 0 && info.st_size != offset) {
        return transientError(label + " was changed while it was written");
    }
    return writeAll(file, bytes) ? Result<void>() : fileError(label, errno);
}

Result<Fd> DirectFolders::openBatchLog(const FolderRef& folder) {
    const auto label = inFolder(folder, "out/batch.log");
    const auto out = openFolder(root_.get(), inFolder(folder, "out"));
    if (!out) {
        return fileError(inFolder(folder, "out"), errno);
    }
    auto log = createFile(out.get(), "batch.log");
    if (!log && errno == EEXIST) {
        log = openBeneath(out.get(), "batch.log", O_WRONLY | O_APPEND);
    }
    if (!log) {
        return fileError(label, errno);
    }
    if (auto checked = checkFile(log, ::geteuid(), label); !checked) {
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
    const auto log = openBatchLog(folder);
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
        waitForEnd(*pid);
        return transientError("a process of " + folder.key.value +
                              " was started but not recorded, and ended again");
    }
    ::send(gate.outside.get(), "go\n", 3, MSG_NOSIGNAL);
    return process;
}

Result<ReadChunk> DirectFolders::readOne(const ReadRequest& request) {
    if (auto checked = checkRef(request.folder); !checked) {
        return checked.error();
    }
    const bool isInput = request.name.starts_with("in/");
    const auto name = isInput ? request.name.substr(3) : request.name;
    if (auto checked = checkFileName(name); !checked) {
        return checked.error();
    }
    const auto label = inFolder(request.folder, (isInput ? "in/" : "out/") + name);
    const auto file = openForReading(root_.get(), label, ::geteuid(), label);
    ReadChunk chunk;
    if (!file) {
        const bool ours =
            label == inFolder(request.folder, kMarker) && openFolder(root_.get(), label);
        return ours ? Result<ReadChunk>(chunk) : Result<ReadChunk>(file.error());
    }
    if (!*file) {
        return chunk;
    }
    struct stat info {};
    if (::fstat(file->get(), &info) != 0) {
        return fileError(label, errno);
    }
    chunk.exists = true;
    chunk.size = info.st_size;
    const auto offset = std::max<std::int64_t>(request.offset, 0);
    const auto there = static_cast<std::uint64_t>(std::max<std::int64_t>(info.st_size - offset, 0));
    chunk.bytes.resize(std::min<std::uint64_t>(there, request.limit));
    if (!fill(chunk.bytes, *file, offset)) {
        return fileError(label, errno);
    }
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

Result<MarkOutcome> DirectFolders::take(const FolderRef& folder,
                                        const std::function<Fd(int, const char*)>& made) {
    const auto there = make(folder);
    if (!there) {
        return there.error();
    }
    const auto label = inFolder(folder, kMarker);
    const auto out = openFolder(there->get(), "out");
    if (!out) {
        return fileError(label, errno);
    }
    const auto marker = made(out.get(), "started");
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

Result<MarkOutcome> DirectFolders::mark(const FolderRef& folder) {
    return take(folder, [](int out, const char* name) {
        if (::mkdirat(out, name, 0700) != 0 && errno != EEXIST) {
            return Fd();
        }
        auto ours = openFolder(out, name);
        if (!ours && (errno == ENOTDIR || errno == ELOOP)) {
            errno = EEXIST;
        }
        return ours;
    });
}

Result<MarkOutcome> DirectFolders::begin(const FolderRef& folder) {
    return take(folder, [](int out, const char* name) { return createFile(out, name); });
}

Result<void> DirectFolders::requestCancel(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked;
    }
    const auto label = inFolder(folder, "in/cancel");
    const auto in = openFolder(root_.get(), inFolder(folder, "in"));
    if (!in) {
        return fileError(label, errno);
    }
    if (!createFile(in.get(), "cancel") && errno != EEXIST) {
        return fileError(label, errno);
    }
    return {};
}

Result<void> DirectFolders::signal(const FolderRef& folder, const ProcessId& process, int signal) {
    if (auto checked = checkRef(folder); !checked) {
        return checked;
    }
    if (process.bootId != bootId_) {
        return {};
    }
    return signalProcesses(process, ::geteuid(), folderVariable(path(folder)), signal);
}

ProcessEnd DirectFolders::reap(const FolderRef&, const ProcessId& process) {
    return process.bootId == bootId_ ? reapProcess(process) : ProcessEnd{};
}

Result<bool> DirectFolders::freeSome(const FolderRef& folder) {
    if (auto checked = checkRef(folder); !checked) {
        return checked.error();
    }
    return removeSome(root_.get(), folder.key.value, folder.key.value);
}

Result<void> DirectFolders::free(const FolderRef& folder) {
    return freeInParts([this, &folder] { return freeSome(folder); });
}

Result<void> freeInParts(const std::function<Result<bool>()>& some) {
    constexpr int kMostParts = 100'000;
    for (int part = 0; part < kMostParts; ++part) {
        const auto freed = some();
        if (!freed) {
            return freed.error();
        }
        if (*freed) {
            return {};
        }
    }
    return transientError("a folder is being filled while it is removed");
}

}  // namespace gridbridge::folder
