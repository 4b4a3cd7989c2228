#include "bridge/app/Agent.h"

#include <ostream>
#include <unistd.h>

#include "bridge/app/ExitCode.h"
#include "bridge/app/Text.h"
#include "bridge/folder/AgentServer.h"

namespace gridbridge::app {

namespace {

/// Read once, at the start: after an upgrade the link would name a file that is gone.
const std::filesystem::path& ownProgram() {
    static const auto program = std::filesystem::read_symlink("/proc/self/exe");
    return program;
}

}  // namespace

std::unique_ptr<folder::AgentFolders> foldersOf(const BackendConfig& backend, Clock& clock) {
    return std::make_unique<folder::AgentFolders>(
        backend.workDir, folder::AgentSetup{{ownProgram().string(), "agent"}}, clock);
}

int runAgent(const std::filesystem::path& folder, std::ostream& err) {
    if (auto served = folder::serveFolders(folder, STDIN_FILENO, STDOUT_FILENO); !served) {
        err << "gridbridge: " << printable(served.error().message) << '\n';
        return kExitFailed;
    }
    return kExitWell;
}

}  // namespace gridbridge::app
