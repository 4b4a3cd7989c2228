#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/core/Conversation.h"
#include "bridge/core/Effects.h"
#include "bridge/core/Lines.h"
#include "bridge/core/TransferMeter.h"
#include "bridge/folder/FolderFiles.h"
#include "bridge/payload/Dependency.h"

namespace gridbridge::core {

using gitlab::DownloadOutcome;

namespace {

/// For each archive, and a second more for each such part of it.
constexpr Millis kDownloadLimit = std::chrono::minutes(3);
constexpr std::int64_t kLeastPerSecond = std::int64_t{1} << 20;
constexpr Millis kFirstPause{1000};
constexpr Millis kLongestPause{60000};
/// What an artifact may be at most: as much as the runner itself packs.
constexpr std::int64_t kLargestArchive = payload::kMostMemberBytes;
/// The state disk must keep as much for the database and the logs.
constexpr std::uint64_t kReserve = std::uint64_t{256} << 20;
/// Of a file in the job's folder that is written in one call.
constexpr std::size_t kPiece = std::size_t{4} << 20;

/// A file without a name: it is gone with its last user, whatever ends that.
Fd unnamedFile(const std::filesystem::path& folder) {
    Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file || (errno != EOPNOTSUPP && errno != EISDIR)) {
        return file;
    }
    auto name = (folder / "download.XXXXXX").string();
    file = Fd(::mkostemp(name.data(), O_CLOEXEC));
    if (file) {
        ::unlink(name.c_str());
    }
    return file;
}

std::int64_t sizeOf(const gitlab::Dependency& dependency) {
    return std::clamp<std::int64_t>(dependency.size, 0, kLargestArchive);
}

Error diskError(int code) {
    return transientError("the service's disk does not take the artifacts: " +
                          std::generic_category().message(code));
}

bool hasRoom(const Fd& file, std::uint64_t bytes) {
    struct statvfs disk {};
    return ::fstatvfs(file.get(), &disk) != 0 || disk.f_bavail * disk.f_frsize >= bytes + kReserve;
}

/// The artifacts of all jobs that one depends on, from GitLab into its folder, checked and packed
/// anew for its script. Each run gets those that are not there yet, up to the first that cannot be
/// had. What is no verdict of GitLab's is tried again for as long as the job may start.
struct Downloads {
    Clock& clock;
    folder::JobFolders& folders;
    gitlab::RunnerApi& api;
    folder::FolderRef folder;
    std::vector<gitlab::Dependency> all;
    std::filesystem::path spool;
    DownloadProgress progress;
    /// Takes whole lines of the log while the download goes on.
    std::function<void(std::vector<std::string>)> tell;
    std::stop_token stop;
    bool atFolder = false;  ///< It is the job's folder that fails, not an archive.

    TransferFact run() {
        TransferFact fact;
        try {
            getAll(fact);
        } catch (const std::exception& broken) {
            later(fact, "exception", std::string("Downloading artifacts: ") + broken.what());
        }
        return stop.stop_requested() ? TransferFact{TransferOutcome::Later, kFirstPause, {}} : fact;
    }

private:
    void getAll(TransferFact& fact) {
        while (progress.done < all.size()) {
            if (payload::hasArchive(all[progress.done])) {
                get(fact, progress.done);
            }
            if (fact.outcome != TransferOutcome::Done) {
                break;
            }
            progress = {progress.done + 1};
        }
    }

    void get(TransferFact& fact, std::size_t index) {
        const auto& dependency = all[index];
        const auto what = titleOf(dependency);
        const auto file = unnamedFile(spool);
        if (!file) {
            return later(fact, "disk", what + diskError(errno).message);
        }
        TransferMeter meter(clock, sizeOf(dependency));
        const auto answer = download(dependency, file, [&](std::int64_t got) {
            // Later tries may be many.
            const auto far = progress.tries == 0 ? meter.at(got, got) : "";
            if (!far.empty()) {
                fact.lines.push_back(toolLine(what + far));
                tell(std::exchange(fact.lines, {}));
            }
        });
        if (answer.outcome != DownloadOutcome::Done) {
            return hear(fact, what, answer);
        }
        if (auto kept = keep(dependency, index, file); !kept) {
            if (kept.error().kind == ErrorKind::Permanent) {
                fail(fact, kept.error().message);
                if (!atFolder) {
                    fact.trouble = what + "refused; the log of the job says why";
                }
                return;
            }
            return later(fact, "folder", what + kept.error().message);
        }
        fact.lines.push_back(toolLine(
            what + "ok", {{"id", std::to_string(dependency.id)}, {"responseStatus", "200 OK"}}));
    }

    static std::string titleOf(const gitlab::Dependency& dependency) {
        return "Downloading artifacts for " + dependency.name + " (" +
               std::to_string(dependency.id) + ") from coordinator... ";
    }

    gitlab::DownloadAnswer download(const gitlab::Dependency& dependency, const Fd& file,
                                    const std::function<void(std::int64_t)>& gets) {
        const auto size = sizeOf(dependency);
        if (!hasRoom(file, static_cast<std::uint64_t>(size))) {
            return {.message = diskError(ENOSPC).message};
        }
        std::size_t unchecked = 0;
        std::int64_t got = 0;
        std::optional<Error> full;
        const auto answer = api.downloadArtifact(
            {clock.steadyNow() + kDownloadLimit + std::chrono::seconds(size / kLeastPerSecond),
             stop},
            {dependency.id, dependency.token},
            {.sink =
                 [&](std::string_view bytes) {
                     full = folder::writeAll(file, bytes) ? std::nullopt
                                                          : std::optional(diskError(errno));
                     unchecked += bytes.size();
                     if (unchecked >= kPiece) {
                         unchecked = 0;
                         full = hasRoom(file, 0) ? full : std::optional(diskError(ENOSPC));
                     }
                     got += static_cast<std::int64_t>(bytes.size());
                     gets(got);
                     return !full && !stop.stop_requested();
                 },
             .limit = kLargestArchive,
             .direct = progress.tries == 0});
        return full ? gitlab::DownloadAnswer{.message = full->message} : answer;
    }

    /// Nothing is written before all of it is known to be harmless.
    Result<void> keep(const gitlab::Dependency& dependency, std::size_t index, const Fd& file) {
        if (auto checked = payload::checkDependency(dependency, file.get(), stop); !checked) {
            return checked;
        }
        const auto name = payload::dependencyTarball(index);
        std::optional<Error> broken;
        std::string piece;
        std::int64_t offset = 0;
        const auto flush = [&] {
            const auto appended = stop.stop_requested()
                                      ? Result<void>(transientError("it was stopped"))
                                      : folders.append(folder, name, offset, piece);
            broken = appended ? std::nullopt : std::optional(appended.error());
            atFolder = broken.has_value();
            offset += static_cast<std::int64_t>(piece.size());
            piece.clear();
            return !broken;
        };
        const auto packed = payload::packDependency(
            dependency, file.get(),
            [&](std::string_view bytes) {
                piece += bytes;
                return piece.size() < kPiece || flush();
            },
            stop);
        if (packed) {
            flush();
        }
        return broken ? Result<void>(*broken) : packed;
    }

    /// GitLab's own words end the job; what a proxy says is believed after an hour (Conversation).
    void hear(TransferFact& fact, const std::string& what, const gitlab::DownloadAnswer& answer) {
        const auto now = clock.steadyNow();
        if (answer.outcome != DownloadOutcome::NotGitLab) {
            progress.refusedSince.reset();
        } else {
            progress.refusedSince = progress.refusedSince.value_or(now);
        }
        const bool isRefused =
            progress.refusedSince && now - *progress.refusedSince >= Conversation::kLongestRefusal;
        switch (answer.outcome) {
            case DownloadOutcome::NotFound:
                return fail(fact, what + "not found: " + answer.message);
            case DownloadOutcome::Forbidden:
                return fail(fact, what + "forbidden: " + answer.message);
            case DownloadOutcome::Unauthorized:
                return fail(fact, what + "unauthorized: " + answer.message);
            case DownloadOutcome::Refused:
                // Without its object storage GitLab may give it by itself.
                return progress.tries > 0 ? fail(fact, what + answer.message)
                                          : later(fact, "refusal", what + answer.message);
            case DownloadOutcome::NotGitLab:
                return isRefused ? fail(fact, what + answer.message)
                                 : later(fact, "refusal", what + answer.message);
            case DownloadOutcome::Done:
            case DownloadOutcome::Retry:
            case DownloadOutcome::Stopped:
                break;
        }
        later(fact, "outage", what + answer.message);
        fact.after = answer.retryAfter ? Millis(*answer.retryAfter) : fact.after;
    }

    void fail(TransferFact& fact, const std::string& line) const {
        fact.outcome = TransferOutcome::Failed;
        fact.reason = atFolder ? "runner_configuration_error" : fact.reason;
        fact.trouble = line;
        fact.lines.push_back(toolLine("ERROR: " + line));
    }

    /// The log tells that it has begun to fail, and when it fails in another way. The texts differ
    /// each time: they name the request.
    void later(TransferFact& fact, const std::string& kind, const std::string& line) {
        fact.outcome = TransferOutcome::Later;
        fact.after = std::min(kLongestPause, kFirstPause * (1 << std::min(progress.tries, 6)));
        ++progress.tries;
        if (progress.told != kind) {
            fact.trouble = line;
            fact.lines.push_back(toolLine("WARNING: " + line + "; trying again"));
        }
        progress.told = kind;
    }
};

}  // namespace

void Effects::download(BackendEntry& entry, const store::JobRecord& job, Live& live,
                       const Result<std::shared_ptr<const gitlab::JobDescription>>& description) {
    if (!description.ok()) {
        return answers_.post(
            {job.row, job.submission.attempt,
             [line = errorLine(description.error().message)](Facts& facts, Live&) {
                 facts.downloaded = TransferFact{TransferOutcome::Failed, {}, {line}};
             }});
    }
    const int attempt = job.submission.attempt;
    live.inFlight.add(Effect::Download);
    live.stopDownload = {};
    if (std::exchange(live.downloading, attempt) != attempt) {
        live.downloads = {};
    }
    Downloads downloads{clock_,
                        entry.folders,
                        world_.runners.at(live.runner)->api,
                        {job.submission.key, job.account},
                        (*description)->dependencies,
                        world_.spool,
                        live.downloads,
                        teller(job),
                        live.stopDownload.get_token()};
    std::int64_t bytes = 0;
    for (const auto& dependency : downloads.all) {
        bytes += sizeOf(dependency);
    }
    world_.laneFor(bytes).post([this, downloads = std::move(downloads), row = job.row, attempt,
                                stopped = live.stopDownload](std::stop_token stop) mutable {
        const std::stop_callback both(stop, [&stopped] { stopped.request_stop(); });
        const auto fact = downloads.run();
        answers_.post(
            {row, attempt, [fact, progress = downloads.progress](Facts& facts, Live& known) {
                 known.inFlight.remove(Effect::Download);
                 known.downloads = progress;
                 facts.downloaded = fact;
             }});
    });
}

}  // namespace gridbridge::core
