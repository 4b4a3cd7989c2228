#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "bridge/base/Fd.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/TarReader.h"
#include "bridge/payload/ZipWriter.h"

namespace gridbridge::payload {

namespace {

/// Which paths of the plan brought in how much.
class Selection {
public:
    explicit Selection(const ArtifactPlan& plan) : plan_(plan) {}

    bool wants(const std::string& name) const {
        return plan_.untracked || std::any_of(plan_.paths.begin(), plan_.paths.end(),
                                              [&](const ArtifactPlan::Path& path) {
                                                  return path.glob && path.glob->matchesTree(name);
                                              });
    }

    std::vector<std::string> report(const Members& members, const std::string& project) const {
        std::vector<std::string> lines;
        std::int64_t named = 0;
        std::vector<std::int64_t> counts(plan_.paths.size());
        for (const auto& [name, member] : members) {
            bool any = false;
            for (std::size_t i = 0; i < counts.size(); ++i) {
                const auto& glob = plan_.paths[i].glob;
                if (glob && glob->matchesTree(name)) {
                    ++counts[i];
                    any = true;
                }
            }
            named += any ? 1 : 0;
        }
        for (std::size_t i = 0; i < counts.size(); ++i) {
            lines.push_back(line(plan_.paths[i], counts[i], project));
        }
        if (plan_.untracked) {
            const auto others = static_cast<std::int64_t>(members.size()) - named;
            lines.push_back(others == 0 ? "WARNING: untracked: no files"
                                        : "untracked: found " + std::to_string(others) + " files");
        }
        if (members.empty()) {
            lines.emplace_back("ERROR: No files to upload");
        }
        return lines;
    }

private:
    static std::string line(const ArtifactPlan::Path& path, std::int64_t count,
                            const std::string& project) {
        if (!path.glob) {
            return path.problem;
        }
        if (count == 0) {
            return "WARNING: " + path.shown +
                   ": no matching files. Ensure that the artifact path is relative to the working "
                   "directory (" +
                   project + ")";
        }
        return path.shown + ": found " + std::to_string(count) +
               " matching artifact files and directories";
    }

    const ArtifactPlan& plan_;
};

/// A file without a name: nothing of it is left when the service is killed.
Fd spoolBeside(const std::string& path) {
    const auto name = path + ".spool";
    Fd file(::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    ::unlink(name.c_str());
    return file;
}

Result<void> writeWhole(const Members& members, const Fd& spool, const std::string& path) {
    const auto part = path + ".part";
    const Fd zip(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!zip) {
        return transientError("the artifacts cannot be packed on the disk of the service");
    }
    auto written = writeZip(members, spool.get(), zip.get());
    if (written && ::rename(part.c_str(), path.c_str()) != 0) {
        written = transientError("the packed artifacts cannot be put in place");
    }
    if (!written) {
        ::unlink(part.c_str());
    }
    return written;
}

/// What the selection takes of the tarball, written as a zip; nothing is written for nothing.
Result<Members> zipOf(const Pieces& tarball, const Selection& selection, const std::string& zipPath,
                      std::int64_t& unreadable) {
    auto first = tarball();
    if (!first) {
        return first.error();
    }
    if (first->empty()) {
        return Members();
    }
    const Pieces all = [&tarball, &first, begun = false]() mutable {
        return std::exchange(begun, true) ? tarball() : std::move(first);
    };
    const auto spool = spoolBeside(zipPath);
    if (!spool) {
        return transientError("the artifacts cannot be unpacked on the disk of the service");
    }
    auto members = readTarball(
        all, spool.get(), [&](const std::string& name) { return selection.wants(name); },
        unreadable);
    if (members && !members->empty()) {
        if (auto written = writeWhole(*members, spool, zipPath); !written) {
            return written.error();
        }
    }
    return members;
}

}  // namespace

std::string tarballName(std::size_t index) {
    return "artifact." + std::to_string(index) + ".tar.gz";
}

bool wantsUpload(const gitlab::ArtifactEntry& entry, bool success) {
    return isArchive(entry) &&
           (entry.when == "always" || (entry.when == "on_failure" ? !success : success));
}

Result<PackedArtifact> packArtifact(const gitlab::JobDescription& job, std::size_t index,
                                    const Pieces& tarball, const std::string& zipPath) {
    BRIDGE_CHECK(index < job.artifacts.size());
    const auto plan = planArtifact(job, job.artifacts[index]);
    const Selection selection(plan);
    PackedArtifact packed;
    packed.filename = plan.filename;
    std::int64_t unreadable = 0;
    const auto members = zipOf(tarball, selection, zipPath, unreadable);
    if (!members) {
        return members.error();
    }
    packed.entries = static_cast<std::int64_t>(members->size());
    packed.lines = selection.report(*members, job.projectPath);
    if (unreadable > 0) {
        packed.lines.push_back("WARNING: " + std::to_string(unreadable) +
                               " files are left out: their names are not UTF-8");
    }
    return packed;
}

}  // namespace gridbridge::payload
