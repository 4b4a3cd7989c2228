#include <algorithm>

#include "bridge/core/Conversation.h"
#include "bridge/core/Effects.h"
#include "bridge/core/Lines.h"
#include "bridge/core/TransferMeter.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::core {

using gitlab::CallOutcome;

namespace {

constexpr Millis kUploadLimit = std::chrono::hours(1);
constexpr int kRefusals = 3;
constexpr Millis kFirstPause{1000};
constexpr Millis kLongestPause{60000};
constexpr Millis kArrivalPause{5000};
constexpr std::size_t kPiece = std::size_t{256} << 10;

std::string explain(const gitlab::JobAnswer& answer) {
    return answer.message.empty() ? "no answer" : answer.message;
}

/// What has become of one artifact.
struct Attempt {
    TransferOutcome outcome = TransferOutcome::Done;
    Millis after{0};
    std::string trouble = {};
};

/// All archives of one job, from its folder to GitLab, packed while they are sent. Each run tries
/// every artifact once, with bytes that are the same at each try, up to the first that does not
/// pass. What is no verdict of GitLab's is tried again for as long as the job token lives.
///
/// What a job has packed is what its status file states. A part that is not here is waited for.
/// What is not stated, or has grown since, was written by a process that outlived the script, or by
/// another job of that account: the one is not read, the other is refused.
struct Uploads {
    Clock& clock;
    folder::JobFolders& folders;
    gitlab::RunnerApi& api;
    gitlab::JobCredentials credentials;
    std::optional<SteadyTime> tokenDies;
    store::JobRecord job;
    std::shared_ptr<const gitlab::JobDescription> description;
    ScriptEnd end;
    SteadyTime arrivesUntil;  ///< A part that is not here by then never comes.
    bool sections;
    UploadProgress progress;
    std::int64_t limit;  ///< Bytes of each, as it goes to GitLab.
    /// Takes whole lines of the log while the upload goes on.
    std::function<void(std::vector<std::string>)> tell;
    std::stop_token stop = {};
    std::vector<std::string> lines = {};  ///< What `tell` has not got.
    WallTime begun = {};
    bool open = false;  ///< Its section has begun.

    TransferFact run() {
        TransferFact fact;
        begun = clock.wallNow();
        for (; progress.sent < description->artifacts.size(); progress = {progress.sent + 1}) {
            const auto& wanted = description->artifacts[progress.sent];
            if (!payload::wantsUpload(wanted, success())) {
                continue;
            }
            auto attempt = one(progress.sent);
            fact.outcome = attempt.outcome;
            fact.after = attempt.after;
            fact.trouble = std::move(attempt.trouble);
            if (fact.outcome != TransferOutcome::Done) {
                break;
            }
        }
        if (open || !lines.empty()) {
            openSection();
            if (sections) {
                lines.push_back(sectionEnd(clock.wallNow(), section()));
            }
        }
        fact.lines = std::move(lines);
        return fact;
    }

private:
    bool success() const { return end.outcome == "success"; }
    std::string section() const {
        return success() ? "upload_artifacts_on_success" : "upload_artifacts_on_failure";
    }

    /// A service that ends meanwhile leaves it open: the next one begins it again.
    void openSection() {
        if (sections && !open) {
            lines.insert(lines.begin(),
                         sectionStart(begun, section(),
                                      std::string("Uploading artifacts for ") +
                                          (success() ? "successful" : "failed") + " job"));
        }
        open = true;
    }

    /// All lines so far, and this one.
    void tellNow(std::string line) {
        openSection();
        lines.push_back(std::move(line));
        tell(std::exchange(lines, {}));
    }

    /// Read as the job's account, anew for each piece; never more than is stated.
    payload::Pieces tarball(const std::string& name, std::int64_t size) {
        return [this, name, size, offset = std::int64_t{0}]() mutable -> Result<std::string> {
            if (offset >= size) {
                return std::string();
            }
            if (stop.stop_requested()) {
                return transientError("the service is stopping");
            }
            const auto most = std::min<std::int64_t>(size - offset, kPiece);
            const folder::ReadRequest piece{
                {job.submission.key, job.account}, name, offset, static_cast<std::size_t>(most)};
            auto chunk = std::move(folders.read({&piece, 1}).front());
            if (!chunk) {
                return chunk.error();
            }
            if (chunk->bytes.empty()) {
                return transientError("what the job packed was cut while it was read");
            }
            offset += static_cast<std::int64_t>(chunk->bytes.size());
            return std::move(chunk).value().bytes;
        };
    }

    std::optional<std::int64_t> stated(const std::string& name) const {
        const auto found = end.outputs.find(name);
        return found == end.outputs.end() ? std::nullopt : std::optional(found->second);
    }

    /// False while a part of it may still come. A network file system may show it late.
    Result<bool> isHere(std::size_t index) {
        const auto most = payload::nodeLimit(limit);
        if (stated(payload::tarballName(index)).value_or(0) > most) {
            return permanentError(
                "the artifacts are larger than " + payload::sizeText(most) +
                " as the node packed them; the artifact_limit of this runner is " +
                payload::sizeText(limit));
        }
        Result<bool> here = true;
        if (payload::hasNames(description->artifacts[index])) {
            here = isHere(index, payload::namesName(index));
        }
        return here && *here ? isHere(index, payload::tarballName(index)) : here;
    }

    Result<bool> isHere(std::size_t index, const std::string& name) {
        const auto size = stated(name);
        if (!size) {
            return true;  // The job packed nothing.
        }
        const folder::ReadRequest none{{job.submission.key, job.account}, name, 0, 0};
        const auto chunk = std::move(folders.read({&none, 1}).front());
        if (!chunk) {
            return chunk.error();
        }
        const auto what = [&] {
            const auto& wanted = description->artifacts[index];
            const auto plan = payload::planArtifact(*description, wanted);
            return "the artifact " + (plan ? plan->filename : wanted.type);
        };
        const auto of = std::to_string(chunk->size) + " of " + std::to_string(*size) + " bytes";
        if (chunk->size > *size) {
            return permanentError(what() + " was changed after the job had packed it: " + of);
        }
        if (chunk->size < *size && clock.steadyNow() >= arrivesUntil) {
            return permanentError(what() + " is incomplete: " + of + " arrived");
        }
        return chunk->size == *size;
    }

    /// Anew at each call.
    payload::Pieces tarball(std::size_t index) {
        const auto name = payload::tarballName(index);
        return tarball(name, stated(name).value_or(0));
    }

    /// What the node tells of the entry beside its tarball. What was not asked for is the job's
    /// own.
    Result<std::optional<std::string>> names(std::size_t index) {
        const auto& entry = description->artifacts[index];
        const auto name = payload::namesName(index);
        const auto size = payload::hasNames(entry) ? stated(name) : std::nullopt;
        if (!size && payload::isExpandedOnNode(entry) && stated(payload::tarballName(index))) {
            return permanentError("the job does not tell what its artifacts are called");
        }
        if (!size) {
            return std::optional<std::string>();
        }
        if (*size > static_cast<std::int64_t>(payload::kLargestNames)) {
            return permanentError("what the node tells about the artifacts is too long");
        }
        std::string text;
        for (auto pieces = tarball(name, *size);;) {
            auto piece = pieces();
            if (!piece) {
                return piece.error();
            }
            if (piece->empty()) {
                return std::optional<std::string>(std::move(text));
            }
            text += *piece;
        }
    }

    /// Told only once it is over, as it is of the log.
    Attempt awaited() const {
        const auto left = std::chrono::ceil<Millis>(arrivesUntil - clock.steadyNow());
        return {TransferOutcome::Later, std::clamp(left, Millis(1), kArrivalPause)};
    }

    Attempt one(std::size_t index) {
        const auto here = isHere(index);
        if (here.ok() && !*here) {
            return awaited();
        }
        const bool first = progress.tries++ == 0;
        Attempt attempt;
        if (first) {
            lines.push_back(infoLine("Uploading artifacts..."));
        }
        if (tokenDies && clock.steadyNow() >= *tokenDies) {
            attempt.outcome = TransferOutcome::Failed;
            attempt.trouble = "the job token ended before GitLab took them";
            lines.push_back(errorLine(attempt.trouble));
            return attempt;
        }
        if (!here.ok()) {
            hear(attempt, here.error());
        } else if (progress.surveyed || survey(attempt, index)) {
            send(attempt, index);
        }
        return attempt;
    }

    /// Before anything is sent: GitLab sees nothing of what is damaged or hostile, and the log
    /// tells first what was found. Whether there is something to send.
    bool survey(Attempt& attempt, std::size_t index) {
        if (end.why == "collect_failed" && !stated(payload::tarballName(index))) {
            lines.push_back(
                toolLine("WARNING: nothing to upload: it could not be packed on the node, which "
                         "said why, or "
                         "there is none"));
            return false;
        }
        auto told = names(index);
        const auto content =
            told ? payload::surveyArtifact(*description, index, *told, tarball(index))
                 : Result<payload::ArtifactContent>(told.error());
        if (!content) {
            hear(attempt, content.error());
            return false;
        }
        progress.names = *std::move(told);
        progress.filename = content->filename;
        for (const auto& line : content->lines) {
            lines.push_back(toolLine(line));
        }
        progress.told.reset();
        progress.surveyed = true;
        return content->entries > 0;
    }

    /// There is nothing to send, or no more of it.
    void hear(Attempt& attempt, const Error& error) {
        if (error.kind == ErrorKind::Permanent) {
            attempt.outcome = TransferOutcome::Failed;
            // Names of files may hold what only the log masks.
            attempt.trouble = "what the job packed is refused; its log says why";
            lines.push_back(errorLine(error.message));
        } else {
            later(attempt, {.message = error.message});
        }
    }

    /// The same bytes at each call, for as long as they are not too many.
    Result<void> pack(std::size_t index, const std::string& what, const Sink& sink) {
        const auto whole = stated(payload::tarballName(index)).value_or(0);
        TransferMeter meter(clock, whole);
        std::int64_t read = 0;
        std::int64_t sent = 0;
        const auto counted = [&read, pieces = tarball(index)]() {
            auto piece = pieces();
            read += piece ? static_cast<std::int64_t>(piece->size()) : 0;
            return piece;
        };
        const auto packed = payload::packArtifact(
            *description, index, progress.names, counted, [&](std::string_view bytes) {
                sent += static_cast<std::int64_t>(bytes.size());
                if (sent > limit || !sink(bytes)) {
                    return false;
                }
                // Later tries may be many.
                const auto far = progress.tries == 1 ? meter.at(read, sent) : "";
                if (!far.empty()) {
                    tellNow(toolLine(what + far));
                }
                return true;
            });
        return packed && sent > limit
                   ? permanentError("the artifacts are larger than " + payload::sizeText(limit) +
                                    " as they are packed for GitLab, the artifact_limit of this "
                                    "runner")
                   : packed;
    }

    void send(Attempt& attempt, std::size_t index) {
        const auto& wanted = description->artifacts[index];
        const std::string what =
            "Uploading artifacts as \"" + wanted.type + "\" to coordinator... ";
        std::optional<Error> broken;
        const gitlab::Upload upload{.content =
                                        [&](const Sink& sink) {
                                            auto packed = pack(index, what, sink);
                                            broken = packed ? std::nullopt
                                                            : std::optional(packed.error());
                                            return packed;
                                        },
                                    .filename = progress.filename,
                                    .type = wanted.type,
                                    .format = wanted.format,
                                    .expireIn = wanted.expireIn};
        const auto answer =
            api.uploadArtifact({clock.steadyNow() + kUploadLimit, stop}, credentials, upload);
        if (broken) {
            return hear(attempt, *broken);
        }
        const auto id = std::pair("id", std::to_string(credentials.id));
        if (answer.outcome == CallOutcome::Done) {
            lines.push_back(
                toolLine(what + "201 Created", {id, {"responseStatus", "201 Created"}}));
            return;
        }
        if (!isFinal(answer.outcome)) {
            return later(attempt, answer, what);
        }
        attempt.outcome = TransferOutcome::Failed;
        attempt.trouble = explain(answer);
        lines.push_back(toolLine("ERROR: " + what + explain(answer), {id}));
        if (answer.outcome == CallOutcome::TooLarge || answer.outcome == CallOutcome::Ended) {
            lines.push_back(toolLine(answer.outcome == CallOutcome::TooLarge
                                         ? "FATAL: too large"
                                         : "FATAL: permission denied"));
        }
    }

    /// A proxy's word is believed after an hour, as it is about all else (Conversation).
    bool isFinal(CallOutcome outcome) {
        const auto now = clock.steadyNow();
        if (outcome != CallOutcome::NotGitLab) {
            progress.notFoundSince.reset();
        } else {
            progress.notFoundSince = progress.notFoundSince.value_or(now);
        }
        return outcome == CallOutcome::Ended || outcome == CallOutcome::TooLarge ||
               (outcome == CallOutcome::Rejected && ++progress.refusals >= kRefusals) ||
               (progress.notFoundSince &&
                now - *progress.notFoundSince >= Conversation::kLongestRefusal);
    }

    /// The log tells every refusal, and of an outage that it has begun.
    void later(Attempt& attempt, const gitlab::JobAnswer& answer, const std::string& what = {}) {
        attempt.outcome = TransferOutcome::Later;
        attempt.after =
            answer.retryAfter
                ? Millis(*answer.retryAfter)
                : std::min(kLongestPause, kFirstPause * (1 << std::min(progress.tries - 1, 6)));
        if (answer.outcome == CallOutcome::Rejected || progress.told != answer.outcome) {
            attempt.trouble = explain(answer);
            lines.push_back(toolLine("WARNING: " + what + explain(answer) + "; trying again"));
        }
        progress.told = answer.outcome;
    }
};

/// From when its status file was first seen. A log that was waited for in vain has taken nothing of
/// it.
Millis timeForFiles(const store::JobRecord& job, const ScriptEnd& end, const Policy& policy) {
    return policy.settleTime * (job.rawOffset < end.logBytes ? 2 : 1);
}

/// About as many as still go through: those of tarballs, but of a raw entry's file, which can be
/// that much longer.
std::int64_t bytesToSend(const gitlab::JobDescription& job, const ScriptEnd& end,
                         std::size_t sent) {
    constexpr std::int64_t kUnpacked = 1000;  // What deflate makes of zeros.
    std::int64_t bytes = 0;
    for (; sent < job.artifacts.size(); ++sent) {
        const auto& entry = job.artifacts[sent];
        const auto found = end.outputs.find(payload::tarballName(sent));
        if (found != end.outputs.end() && payload::wantsUpload(entry, end.outcome == "success")) {
            bytes += std::min(found->second, payload::kMostMemberBytes) *
                     (entry.format == "raw" ? kUnpacked : 1);
        }
    }
    return bytes;
}

}  // namespace

std::function<void(std::vector<std::string>)> Effects::teller(const store::JobRecord& job) {
    return [this, row = job.row,
            attempt = job.submission.attempt](const std::vector<std::string>& lines) {
        answers_.post({row, attempt, [lines](Facts& facts, Live&) {
                           for (const auto& line : lines) {
                               facts.transferring += line;
                           }
                       }});
    };
}

void Effects::upload(BackendEntry& entry, const store::JobRecord& job, Live& live,
                     const Result<std::shared_ptr<const gitlab::JobDescription>>& description,
                     SteadyTime statusAt) {
    if (!description.ok()) {
        const TransferFact fact{
            TransferOutcome::Failed, {}, {errorLine(description.error().message)}};
        return answers_.post({job.row, job.submission.attempt,
                              [fact](Facts& facts, Live&) { facts.uploaded = fact; }});
    }
    const auto end = scriptEnd(job.submission.status, job.submission.key.value);
    auto& runner = *world_.runners.at(live.runner);
    live.inFlight.add(Effect::Upload);
    Uploads uploads{clock_,
                    entry.folders,
                    runner.api,
                    live.credentials,
                    live.tokenDies,
                    job,
                    *description,
                    end,
                    statusAt + timeForFiles(job, end, entry.policy),
                    live.sections,
                    live.uploads,
                    runner.artifactLimit,
                    teller(job)};
    world_.laneFor(bytesToSend(**description, end, live.uploads.sent))
        .post([this, uploads = std::move(uploads)](std::stop_token stop) mutable {
            uploads.stop = stop;
            const auto fact = uploads.run();
            if (stop.stop_requested()) {
                return;  // The next run of the service uploads the same bytes again.
            }
            answers_.post({uploads.job.row, uploads.job.submission.attempt,
                           [fact, progress = uploads.progress](Facts& facts, Live& known) {
                               known.inFlight.remove(Effect::Upload);
                               known.uploads = progress;
                               facts.uploaded = fact;
                           }});
        });
}

}  // namespace gridbridge::core
