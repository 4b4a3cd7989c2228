#include "backends/api/CarriedFiles.h"

#include <algorithm>
#include <sstream>

#include "backends/api/SharedFolder.h"

namespace gridbridge {

std::vector<std::string> carriedOutputs(const BatchJob& job) {
    std::vector<std::string> names{"log", "status"};
    for (const auto& output : job.outputs) {
        if (std::find(names.begin(), names.end(), output) == names.end()) {
            names.push_back(output);
        }
    }
    return names;
}

Result<std::vector<std::string>> namesPut(const std::filesystem::path& in,
                                          const std::set<std::string>& others) {
    std::vector<std::string> names;
    std::error_code error;
    auto entry = std::filesystem::directory_iterator(in, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        auto name = entry->path().filename().string();
        if (!others.contains(name)) {
            names.push_back(std::move(name));
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return transientError("what the job depends on cannot be listed: " + error.message());
    }
    std::sort(names.begin(), names.end());
    return names;
}

folder::StagedFile noteOf(const std::string& note, const std::vector<std::string>& names) {
    std::string lines;
    for (const auto& name : names) {
        lines += name + "\n";
    }
    return {note, lines};
}

Result<std::vector<std::string>> namesIn(folder::JobFolders& folders,
                                         const folder::FolderRef& folder, const std::string& note) {
    constexpr std::size_t kLongest = std::size_t{64} << 10U;
    const std::vector<folder::ReadRequest> read{{folder, "in/" + note, 0, kLongest}};
    const auto chunk = std::move(folders.read(read).front());
    if (!chunk) {
        return chunk.error();
    }
    std::vector<std::string> names;
    std::istringstream lines(chunk->bytes);
    for (std::string line; std::getline(lines, line);) {
        names.push_back(line);
    }
    return names;
}

std::vector<Result<CollectOutcome>> collectCarried(
    folder::JobFolders& folders, std::span<const JobRef> refs,
    const std::function<Result<CollectOutcome>(const JobRef&)>& fetch) {
    auto results = collectShared(folders, refs);
    std::vector<folder::ReadRequest> markers;
    for (const auto& ref : refs) {
        markers.push_back({{ref.key, ref.account}, std::string("in/") + kFetchedName, 0, 0});
    }
    const auto fetched = folders.read(markers);
    for (std::size_t i = 0; i < refs.size(); ++i) {
        if (!results[i].ok() || *results[i] != CollectOutcome::Done) {
            continue;
        }
        if (!fetched[i]) {
            results[i] = fetched[i].error();
        } else if (!fetched[i]->exists) {
            results[i] = fetch(refs[i]);
        }
    }
    return results;
}

Result<CollectOutcome> syncCarried(SchedulerCommands& commands, folder::JobFolders& folders,
                                   const JobRef& ref, const CallContext& ctx) {
    const auto path = folders.path({ref.key, ref.account});
    const auto said =
        commands.run({ref.account, syncCommand(path / "out", path / "in" / kFetchedName)}, ctx);
    if (!said) {
        return withoutEffect(said.error());
    }
    return said->exitCode == 0 ? Result<CollectOutcome>(CollectOutcome::Done)
                               : transientError("sync: " + lastLineOf(said->err));
}

}  // namespace gridbridge
