#include "backends/api/SharedFolder.h"

#include <string_view>

#include "bridge/folder/FolderFiles.h"

namespace gridbridge {
namespace {

/// Schedulers cap and store scripts.
constexpr std::size_t kMaxLoader = 4096;
/// One more than a status file may have, so that a longer one is recognised.
constexpr std::size_t kStatusLimit = 4097;

std::string withFolder(std::string_view loader, const std::string& folder) {
    constexpr std::string_view kPlace = "@FOLDER@";
    std::string text = loader.starts_with("#!") ? "" : "#!/bin/sh\n";
    for (auto at = loader.find(kPlace); at != std::string_view::npos; at = loader.find(kPlace)) {
        text.append(loader.substr(0, at)).append(folder);
        loader.remove_prefix(at + kPlace.size());
    }
    return text.append(loader);
}

bool isPassing(const Result<folder::ReadChunk>& chunk) {
    return !chunk && chunk.error().kind != ErrorKind::Permanent;
}

Result<LogChunk> join(Result<folder::ReadChunk> status, Result<folder::ReadChunk> log) {
    if (isPassing(status)) {
        return status.error();
    }
    if (isPassing(log) || (!status && !log)) {
        return log.error();
    }
    LogChunk chunk;
    if (log && log->exists) {
        chunk.size = log->size;
        chunk.bytes = std::move(log).value().bytes;
    }
    if (!status) {
        chunk.status = "";
    } else if (status->exists) {
        chunk.status = std::move(status).value().bytes;
    }
    return chunk;
}

}  // namespace

Result<std::vector<folder::StagedFile>> filesOf(const folder::JobFolders& folders,
                                                const BatchJob& job, const std::string& onNode) {
    if (job.loader.size() > kMaxLoader) {
        return permanentError("the loader of " + job.key.value + " is longer than 4 KiB");
    }
    std::vector<folder::StagedFile> files;
    for (const auto& input : job.inputs) {
        if (auto checked = folder::checkFileName(input.name); !checked) {
            return checked.error();
        }
        if (input.name == kLoaderName) {
            return permanentError("an input of " + job.key.value + " has the loader's name");
        }
        files.push_back({input.name, input.content});
    }
    const auto path = onNode.empty() ? folders.path({job.key, job.account}).string() : onNode;
    files.push_back({kLoaderName, withFolder(job.loader, path)});
    return files;
}

std::vector<Result<LogChunk>> readSharedLogs(folder::JobFolders& folders,
                                             std::span<const LogRequest> requests) {
    std::vector<folder::ReadRequest> reads;
    for (const auto& request : requests) {
        const folder::FolderRef folder{request.ref.key, request.ref.account};
        // The status first: where it is seen, the log read after it is complete.
        reads.push_back({folder, "status", 0, kStatusLimit});
        const char* log = request.source == LogSource::Batch ? "batch.log" : "log";
        reads.push_back({folder, log, request.offset, request.limit});
    }
    auto chunks = folders.read(reads);
    std::vector<Result<LogChunk>> results;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        results.push_back(join(std::move(chunks[2 * i]), std::move(chunks[2 * i + 1])));
    }
    return results;
}

void markRemoved(folder::JobFolders& folders, const JobRef& ref) {
    const std::vector<folder::StagedFile> mark{{kRemovedName, ""}};
    static_cast<void>(folders.stage({ref.key, ref.account}, mark));
}

std::vector<FolderMarks> readMarks(folder::JobFolders& folders, std::span<const JobRef> refs) {
    std::vector<folder::ReadRequest> requests;
    for (const auto& ref : refs) {
        const folder::FolderRef folder{ref.key, ref.account};
        requests.push_back({folder, "started", 0, 0});
        requests.push_back({folder, std::string("in/") + kRemovedName, 0, 0});
        requests.push_back({folder, "status", 0, 0});
    }
    const auto there = folders.read(requests);
    std::vector<FolderMarks> marks;
    for (std::size_t i = 0; i < there.size(); i += 3) {
        marks.push_back({!there[i] || there[i]->exists, there[i + 1] && there[i + 1]->exists,
                         there[i + 2] && there[i + 2]->exists});
    }
    return marks;
}

std::vector<Result<CollectOutcome>> collectShared(folder::JobFolders& folders,
                                                  std::span<const JobRef> refs) {
    std::vector<folder::ReadRequest> requests;
    for (const auto& ref : refs) {
        requests.push_back({{ref.key, ref.account}, std::string("in/") + kLoaderName, 0, 0});
    }
    std::vector<Result<CollectOutcome>> results;
    for (const auto& chunk : folders.read(requests)) {
        if (isPassing(chunk)) {
            results.emplace_back(chunk.error());
        } else {
            results.emplace_back(!chunk || chunk->exists ? CollectOutcome::Done
                                                         : CollectOutcome::Never);
        }
    }
    return results;
}

std::vector<std::string> syncCommand(const std::filesystem::path& folder,
                                     const std::filesystem::path& marker) {
    // What a job left there may be anything: a pipe would never be synced.
    return {"sh",
            "-c",
            R"(find "$1" \( -type f -o -type d \) -exec sync {} + && : >"$2" && )"
            R"(sync "$2" "${2%/*}")",
            "sh",
            folder.string(),
            marker.string()};
}

bool isMarked(folder::JobFolders& folders, const folder::FolderRef& folder) {
    const std::vector<folder::ReadRequest> requests{{folder, "started", 0, 0}};
    const auto chunk = folders.read(requests).front();
    return !chunk || chunk->exists;
}

}  // namespace gridbridge
