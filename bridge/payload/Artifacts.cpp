#include <algorithm>
#include <utility>

#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/JobScript.h"
#include "bridge/payload/Packer.h"
#include "bridge/payload/Shell.h"
#include "bridge/payload/TarReader.h"

namespace gridbridge::payload {

namespace {

/// GitLab reads no longer directory of a zip (job-execution 6.4).
constexpr std::int64_t kMostDirectory = std::int64_t{100} << 20;
/// Of one entry in it, beside its name; a folder's has a slash.
constexpr std::int64_t kDirectoryEntry = 46 + 24 + 1;

/// Which paths of the plan brought in how much.
class Selection {
public:
    explicit Selection(const ArtifactPlan& plan)
        : plan_(plan), counts_(plan.paths.size()), excluded_(plan.excludedOnNode) {}

    /// Whether it goes into the archive. Each name is asked about once.
    bool takes(const std::string& name) {
        fitting_.clear();
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            const auto& glob = plan_.paths[i].glob;
            if (glob && glob->matchesTree(name)) {
                fitting_.push_back(i);
            }
        }
        if (fitting_.empty() && !plan_.untracked) {
            return false;
        }
        if (const auto pattern = plan_.excludedBy(name)) {
            ++excluded_[*pattern];
            return false;
        }
        for (const auto path : fitting_) {
            ++counts_[path];
        }
        others_ += fitting_.empty() ? 1 : 0;
        ++entries_;
        return true;
    }

    std::int64_t entries() const { return entries_; }

    std::vector<std::string> report(const std::string& project) const {
        std::vector<std::string> lines;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            lines.push_back(line(plan_.paths[i], counts_[i], project));
        }
        if (plan_.untracked) {
            lines.push_back(others_ == 0
                                ? "WARNING: untracked: no files"
                                : "untracked: found " + std::to_string(others_) + " files");
        }
        for (std::size_t i = 0; i < excluded_.size(); ++i) {
            if (plan_.excluded[i].outside) {
                lines.push_back(
                    "WARNING: isExcluded: artifact path is not a subpath of project directory: " +
                    plan_.excluded[i].shown);
            }
            if (excluded_[i] > 0) {
                lines.push_back(plan_.excluded[i].shown + ": excluded " +
                                std::to_string(excluded_[i]) + " files");
            }
        }
        if (entries_ == 0) {
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
    std::vector<std::int64_t> counts_;
    std::vector<std::int64_t> excluded_;
    std::vector<std::size_t> fitting_;  ///< Paths, for the name that is looked at.
    std::int64_t others_ = 0;
    std::int64_t entries_ = 0;
};

/// Why GitLab's form for this entry cannot hold the member, the `count`th; empty = it can.
std::string unfit(const gitlab::ArtifactEntry& entry, const Member& member, std::int64_t count) {
    if (entry.format != "zip" && member.kind != Member::Kind::File) {
        return "the \"" + oneLine(member.name) + "\" is not a regular file";
    }
    return entry.format == "raw" && count > 1 ? "only one file can be sent as raw" : "";
}

std::unique_ptr<Packer> packerFor(const gitlab::ArtifactEntry& entry, const Sink& sink) {
    return entry.format == "zip"    ? zipPacker(sink)
           : entry.format == "gzip" ? gzipPacker(sink)
                                    : rawPacker(sink);
}

/// Gives what goes to GitLab to `take`, one after the other, for as long as that says so. Each time
/// anew it is looked at whether it fits: the job's account may have changed the tarball meanwhile.
Result<void> each(const gitlab::ArtifactEntry& entry, TarReader& reader, Selection& selection,
                  const std::function<Result<bool>(const Member&)>& take) {
    std::int64_t directory = 0;
    for (;;) {
        const auto member = reader.next();
        if (!member) {
            return member.error();
        }
        if (!*member) {
            return {};
        }
        if (!selection.takes((*member)->name)) {
            continue;
        }
        if (auto why = unfit(entry, **member, selection.entries()); !why.empty()) {
            return permanentError(std::move(why));
        }
        directory += kDirectoryEntry + static_cast<std::int64_t>((*member)->name.size());
        if (directory > kMostDirectory) {
            return permanentError(
                "the artifacts are too many files: GitLab takes no archive whose list of names is "
                "longer than 100 MiB");
        }
        const auto going = take(**member);
        if (!going) {
            return going.error();
        }
        if (!*going) {
            return {};
        }
    }
}

Result<ArtifactPlan> planWith(const gitlab::JobDescription& job, const gitlab::ArtifactEntry& entry,
                              const std::optional<std::string>& names) {
    return names ? planArtifact(job, entry, *names) : planArtifact(job, entry);
}

void warn(std::vector<std::string>& lines, std::int64_t count, const char* why) {
    if (count > 0) {
        lines.push_back("WARNING: " + std::to_string(count) + " files are left out: " + why);
    }
}

}  // namespace

std::string tarballName(std::size_t index) {
    return "artifact." + std::to_string(index) + ".tar.gz";
}

std::string namesName(std::size_t index) {
    return "artifact." + std::to_string(index) + ".names";
}

std::int64_t nodeLimit(std::int64_t limit) {
    constexpr std::int64_t kMore = std::int64_t{64} << 20;
    return std::min(2 * limit + kMore, kMostMemberBytes);
}

bool wantsUpload(const gitlab::ArtifactEntry& entry, bool success) {
    return isCollected(entry) &&
           (entry.when == "always" || (entry.when == "on_failure" ? !success : success));
}

Result<ArtifactContent> surveyArtifact(const gitlab::JobDescription& job, std::size_t index,
                                       const std::optional<std::string>& names,
                                       const Pieces& tarball) {
    BRIDGE_CHECK(index < job.artifacts.size());
    const auto& entry = job.artifacts[index];
    const auto plan = planWith(job, entry, names);
    if (!plan) {
        return plan.error();
    }
    Selection selection(*plan);
    TarReader reader(tarball);
    const auto whole =
        each(entry, reader, selection, [](const Member&) -> Result<bool> { return true; });
    if (!whole) {
        return whole.error();
    }
    ArtifactContent content;
    content.filename = plan->filename;
    content.entries = selection.entries();
    content.lines = selection.report(job.projectPath);
    warn(content.lines, reader.unreadable(), "their names are not UTF-8");
    warn(content.lines, reader.behindLinks(), "they lie below a link, not a folder");
    return content;
}

Result<void> packArtifact(const gitlab::JobDescription& job, std::size_t index,
                          const std::optional<std::string>& names, const Pieces& tarball,
                          const Sink& sink) {
    BRIDGE_CHECK(index < job.artifacts.size());
    const auto plan = planWith(job, job.artifacts[index], names);
    if (!plan) {
        return plan.error();
    }
    Selection selection(*plan);
    TarReader reader(tarball);
    const auto packer = packerFor(job.artifacts[index], sink);
    bool going = true;
    auto packed =
        each(job.artifacts[index], reader, selection, [&](const Member& member) -> Result<bool> {
            going = packer->begin(member);
            auto read = reader.content(
                [&](std::string_view bytes) { return going = going && packer->write(bytes); });
            return read ? Result<bool>(going) : read.error();
        });
    if (!packed) {
        return packed;
    }
    going = going && packer->finish();
    return packer->broken() ? permanentError("the artifacts cannot be packed") : Result<void>();
}

}  // namespace gridbridge::payload
