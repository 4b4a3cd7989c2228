#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/folder/AgentChild.h"
#include "bridge/folder/AgentProtocol.h"
#include "bridge/folder/DirectFolders.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge::folder {

struct AgentSetup {
    std::vector<std::string> program;  ///< With an account's folder behind: what starts its agent.
    Millis limit{30'000};              ///< For one answer; slower ones are asked for again.
};

/// Folders of any account: those of the service's own directly, those of another through an agent,
/// a child that runs as that account. So whatever a job makes of its folder leads no further than
/// the job itself could go. An agent that dies or hangs is a Transient error, but for what cannot
/// be repeated, and another one is started; other accounts do not notice.
class AgentFolders final : public JobFolders {
public:
    /// `workDir` and `bootId` as for DirectFolders. `clock` must outlive it. Throws as
    /// DirectFolders.
    AgentFolders(std::filesystem::path workDir, AgentSetup setup, Clock& clock,
                 std::string bootId = currentBootId());

    /// Whether submissions of that account can be served.
    Result<void> reach(const std::string& account);

    std::filesystem::path path(const FolderRef& folder) const override;
    Result<void> stage(const FolderRef& folder, std::span<const StagedFile> files) override;
    Result<void> append(const FolderRef& folder, const std::string& name, std::int64_t offset,
                        std::string_view bytes) override;
    Result<ProcessId> start(const FolderRef& folder, std::span<const std::string> argv,
                            const std::function<bool(const ProcessId&)>& recorded) override;
    std::vector<Result<ReadChunk>> read(std::span<const ReadRequest> requests) override;
    Result<MarkOutcome> mark(const FolderRef& folder) override;
    Result<MarkOutcome> begin(const FolderRef& folder) override;
    Result<void> requestCancel(const FolderRef& folder) override;
    Result<void> signal(const FolderRef& folder, const ProcessId& process, int signal) override;
    ProcessEnd reap(const FolderRef& folder, const ProcessId& process) override;
    Result<void> free(const FolderRef& folder) override;

private:
    using Chunks = std::vector<Result<ReadChunk>>;
    /// Permanent: there is no such account. Transient: its folder is missing.
    Result<AgentChild*> agentOf(const std::string& account);
    /// Asks and reads the answer. The child's turn is held.
    template <typename T>
    Result<T> talk(AgentChild& agent, const Packer& request,
                   const std::function<Result<T>(Unpacker&)>& take);
    template <typename T>
    Result<T> ask(const FolderRef& folder, const Packer& request,
                  const std::function<Result<T>(Unpacker&)>& take);
    Result<void> tell(const FolderRef& folder, const Packer& request);
    Result<MarkOutcome> askMarker(const FolderRef& folder, AgentCall call);
    Chunks readAll(const std::string& account, const std::vector<ReadRequest>& requests);
    /// The first of them, as many as one answer holds.
    Result<Chunks> readSome(AgentChild& agent, std::span<const ReadRequest> requests);

    const std::filesystem::path workDir_;
    const AgentSetup setup_;
    Clock& clock_;
    const std::string bootId_;
    DirectFolders own_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<AgentChild>> agents_;
};

}  // namespace gridbridge::folder
