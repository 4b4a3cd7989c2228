#include "bridge/folder/AgentFolders.h"

#include <cerrno>
#include <sys/stat.h>

#include "bridge/folder/AgentAnswers.h"

namespace gridbridge::folder {
namespace {

/// What may be repeated has had no effect that matters.
template <typename T>
Result<T> repeatable(Result<T> result) {
    if (!result && result.error().kind == ErrorKind::Uncertain) {
        return transientError(result.error().message);
    }
    return result;
}

Packer requestOf(AgentCall call, const FolderRef& folder) {
    return std::move(Packer(call).text(folder.key.value));
}

Packer& pack(Packer& out, const ProcessId& process) {
    return out.number(static_cast<std::uint64_t>(process.pid)).number(process.startTicks);
}

}  // namespace

AgentFolders::AgentFolders(std::filesystem::path workDir, AgentSetup setup, Clock& clock,
                           std::string bootId)
    : workDir_(std::move(workDir)),
      setup_(std::move(setup)),
      clock_(clock),
      bootId_(std::move(bootId)),
      own_(workDir_, bootId_) {}

std::filesystem::path AgentFolders::path(const FolderRef& folder) const {
    return workDir_ / folder.account / folder.key.value;
}

Result<AgentChild*> AgentFolders::agentOf(const std::string& account) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = agents_.find(account); known != agents_.end()) {
            return known->second.get();
        }
    }
    auto found = findAccount(account);
    if (!found) {
        return found.error();
    }
    const auto folder = workDir_ / account;
    if (const auto fault = giveFolder(folder, *found)) {
        return transientError(fault->what);  // Not the fault of a job.
    }
    auto argv = setup_.program;
    argv.push_back(folder.string());
    const std::lock_guard lock(mutex_);
    auto& agent = agents_[account];
    if (!agent) {
        agent = std::make_unique<AgentChild>(std::move(found).value(), std::move(argv), clock_,
                                             setup_.limit);
    }
    return agent.get();
}

Result<void> AgentFolders::reach(const std::string& account) {
    const auto agent = agentOf(account);
    if (!agent) {
        return agent.error();
    }
    const std::lock_guard turn((*agent)->turn);
    return (*agent)->start();
}

template <typename T>
Result<T> AgentFolders::talk(AgentChild& agent, const Packer& request,
                             const std::function<Result<T>(Unpacker&)>& take) {
    const auto answer = agent.exchange(request.bytes());
    if (!answer) {
        return answer.error();
    }
    Unpacker in(*answer);
    auto taken = take(in);
    if (!in.done()) {
        return agent.drop();
    }
    return taken;
}

template <typename T>
Result<T> AgentFolders::ask(const FolderRef& folder, const Packer& request,
                            const std::function<Result<T>(Unpacker&)>& take) {
    const auto agent = agentOf(folder.account);
    if (!agent) {
        return agent.error();
    }
    const std::lock_guard turn((*agent)->turn);
    return talk<T>(**agent, request, take);
}

Result<void> AgentFolders::tell(const FolderRef& folder, const Packer& request) {
    return repeatable(ask<void>(folder, request, successIn));
}

Result<void> AgentFolders::stage(const FolderRef& folder, std::span<const StagedFile> files) {
    if (folder.account.empty()) {
        return own_.stage(folder, files);
    }
    auto request = requestOf(AgentCall::Stage, folder).number(files.size());
    for (const auto& file : files) {
        request.text(file.name).text(file.content);
    }
    if (request.bytes().size() > kMostRequestBytes) {
        return permanentError("the files for " + folder.key.value + " are larger than 256 MiB");
    }
    return tell(folder, request);
}

Result<void> AgentFolders::append(const FolderRef& folder, const std::string& name,
                                  std::int64_t offset, std::string_view bytes) {
    if (folder.account.empty()) {
        return own_.append(folder, name, offset, bytes);
    }
    return tell(folder, requestOf(AgentCall::Append, folder)
                            .text(name)
                            .number(static_cast<std::uint64_t>(offset))
                            .text(bytes));
}

Result<ProcessId> AgentFolders::start(const FolderRef& folder, std::span<const std::string> argv,
                                      const std::function<bool(const ProcessId&)>& recorded) {
    if (folder.account.empty()) {
        return own_.start(folder, argv, recorded);
    }
    const auto agent = agentOf(folder.account);
    if (!agent) {
        return agent.error();
    }
    auto request = requestOf(AgentCall::Start, folder).number(argv.size());
    for (const auto& word : argv) {
        request.text(word);
    }
    const std::function<Result<ProcessId>(Unpacker&)> take = [this](Unpacker& in) {
        return processIn(in, bootId_);
    };
    const std::lock_guard turn((*agent)->turn);
    // Without our word nothing runs: until then a lost answer means that nothing came of it.
    auto shown = repeatable(talk<ProcessId>(**agent, request, take));
    if (!shown) {
        return shown;
    }
    const bool go = recorded(*shown);
    auto started = talk<ProcessId>(**agent, Packer(AgentCall::Go).number(go ? 1 : 0), take);
    if (!started && go) {
        return uncertainError(started.error().message);
    }
    return repeatable(std::move(started));
}

Result<AgentFolders::Chunks> AgentFolders::readSome(AgentChild& agent,
                                                    std::span<const ReadRequest> requests) {
    requests = requests.first(std::min(requests.size(), kMostChunks));
    auto request = Packer(AgentCall::Read).number(requests.size());
    for (const auto& wanted : requests) {
        request.text(wanted.folder.key.value).text(wanted.name);
        request.number(static_cast<std::uint64_t>(std::max<std::int64_t>(wanted.offset, 0)));
        request.number(wanted.limit);
    }
    return talk<Chunks>(agent, request,
                        [&](Unpacker& in) { return Result<Chunks>(chunksIn(in, requests)); });
}

AgentFolders::Chunks AgentFolders::readAll(const std::string& account,
                                           const std::vector<ReadRequest>& requests) {
    const auto agent = agentOf(account);
    if (!agent) {
        return Chunks(requests.size(), Result<ReadChunk>(agent.error()));
    }
    Chunks chunks;
    while (chunks.size() < requests.size()) {
        const std::span<const ReadRequest> left(requests.begin() + std::ssize(chunks),
                                                requests.end());
        const std::lock_guard turn((*agent)->turn);
        auto some = repeatable(readSome(**agent, left));
        if (some && some->empty()) {
            some = transientError((*agent)->drop().message);
        }
        if (!some) {
            chunks.resize(requests.size(), Result<ReadChunk>(some.error()));
            break;
        }
        auto more = std::move(some).value();
        std::move(more.begin(), more.end(), std::back_inserter(chunks));
    }
    return chunks;
}

std::vector<Result<ReadChunk>> AgentFolders::read(std::span<const ReadRequest> requests) {
    std::map<std::string, std::vector<std::size_t>> byAccount;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        byAccount[requests[i].folder.account].push_back(i);
    }
    Chunks chunks(requests.size(), Result<ReadChunk>(ReadChunk{}));
    for (const auto& [account, indices] : byAccount) {
        std::vector<ReadRequest> theirs;
        for (const auto index : indices) {
            theirs.push_back(requests[index]);
        }
        auto answered = account.empty() ? own_.read(theirs) : readAll(account, theirs);
        for (std::size_t i = 0; i < indices.size(); ++i) {
            chunks[indices[i]] = std::move(answered[i]);
        }
    }
    return chunks;
}

Result<MarkOutcome> AgentFolders::askMarker(const FolderRef& folder, AgentCall call) {
    const auto taken = ask<bool>(folder, requestOf(call, folder), flagIn);
    if (!taken) {
        return taken.error();
    }
    return *taken ? MarkOutcome::Taken : MarkOutcome::AlreadyStarted;
}

Result<MarkOutcome> AgentFolders::mark(const FolderRef& folder) {
    return folder.account.empty() ? own_.mark(folder) : askMarker(folder, AgentCall::Mark);
}

Result<MarkOutcome> AgentFolders::begin(const FolderRef& folder) {
    return folder.account.empty() ? own_.begin(folder) : askMarker(folder, AgentCall::Begin);
}

Result<void> AgentFolders::requestCancel(const FolderRef& folder) {
    return folder.account.empty() ? own_.requestCancel(folder)
                                  : tell(folder, requestOf(AgentCall::RequestCancel, folder));
}

Result<void> AgentFolders::signal(const FolderRef& folder, const ProcessId& process, int signal) {
    if (folder.account.empty()) {
        return own_.signal(folder, process, signal);
    }
    if (process.bootId != bootId_) {
        return {};
    }
    auto request = requestOf(AgentCall::Signal, folder);
    return tell(folder, pack(request, process).number(static_cast<std::uint64_t>(signal)));
}

ProcessEnd AgentFolders::reap(const FolderRef& folder, const ProcessId& process) {
    if (folder.account.empty()) {
        return own_.reap(folder, process);
    }
    if (process.bootId != bootId_) {
        return {};
    }
    auto request = requestOf(AgentCall::Reap, folder);
    const auto end = ask<ProcessEnd>(folder, pack(request, process),
                                     [](Unpacker& in) { return Result<ProcessEnd>(endIn(in)); });
    return end ? *end : ProcessEnd{};
}

Result<void> AgentFolders::free(const FolderRef& folder) {
    if (folder.account.empty()) {
        return own_.free(folder);
    }
    struct stat info {};
    if (const auto agent = agentOf(folder.account); !agent) {
        // Of an account that was deleted: well once somebody has removed it by hand.
        const bool gone = ::lstat(path(folder).c_str(), &info) != 0 && errno == ENOENT;
        return gone ? Result<void>() : Result<void>(agent.error());
    }
    return freeInParts([this, &folder] {
        return repeatable(ask<bool>(folder, requestOf(AgentCall::Free, folder), flagIn));
    });
}

}  // namespace gridbridge::folder
