#include <algorithm>
#include <fstream>

#include "bridge/core/Conversation.h"
#include "bridge/core/Effects.h"
#include "bridge/core/Lines.h"
#include "bridge/payload/ArtifactPlan.h"

namespace gridbridge::core {

using gitlab::CallOutcome;

namespace {

constexpr Millis kUploadLimit = std::chrono::hours(1);
constexpr int kRefusals = 3;
constexpr Millis kFirstPause{1000};
constexpr Millis kLongestPause{60000};
constexpr Millis kArrivalPause{5000};
constexpr std::size_t kPiece = std::size_t{4} << 20;

std::string explain(const gitlab::JobAnswer& answer) {
    return answer.message.empty() ? "no answer" : answer.message;
}

/// What has become of one artifact.
struct Attempt {
    UploadOutcome outcome = UploadOutcome::Sent;
    Millis after{0};
    std::vector<std::string> lines;
};

/// All archives of one job, from its folder through the scratch folder to GitLab. Each run tries
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
    std::string scratch;
    store::JobRecord job;
    std::shared_ptr<const gitlab::JobDescription> description;
    ScriptEnd end;
    SteadyTime arrivesUntil;  ///< A part that is not here by then never comes.
    bool sections;
    UploadProgress progress;
    std::stop_token stop;

    UploadFact run() {
        UploadFact fact;
        const std::string section =
            success() ? "upload_artifacts_on_success" : "upload_artifacts_on_failure";
        const auto begin = clock.wallNow();
        for (; progress.sent < description->artifacts.size(); progress = {progress.sent + 1}) {
            const auto& wanted = description->artifacts[progress.sent];
            if (wanted.type != "archive" || !payload::wantsUpload(wanted, success())) {
                continue;
            }
            auto attempt = one(progress.sent);
            fact.lines.insert(fact.lines.end(), attempt.lines.begin(), attempt.lines.end());
            fact.outcome = attempt.outcome;
            fact.after = attempt.after;
            if (fact.outcome != UploadOutcome::Sent) {
                break;
            }
        }
        if (sections && !fact.lines.empty()) {
            fact.lines.insert(fact.lines.begin(),
                              sectionStart(begin, section,
                                           std::string("Uploading artifacts for ") +
                                               (success() ? "successful" : "failed") + " job"));
            fact.lines.push_back(sectionEnd(clock.wallNow(), section));
        }
        return fact;
    }

private:
    bool success() const { return end.outcome == "success"; }

    /// Read as the job's account, anew for each piece; never more than is stated.
    payload::Pieces tarball(const std::string& name, std::int64_t size) {
        return [this, name, size, offset = std::int64_t{0}]() mutable -> Result<std::string> {
            if (offset >= size) {
                return std::string();
            }
            const auto limit = std::min<std::int64_t>(size - offset, kPiece);
            const folder::ReadRequest piece{
                {job.submission.key, job.account}, name, offset, static_cast<std::size_t>(limit)};
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

    std::optional<std::int64_t> stated(std::size_t index) const {
        const auto found = end.outputs.find(payload::tarballName(index));
        return found == end.outputs.end() ? std::nullopt : std::optional(found->second);
    }

    /// False while a part of it may still come. A network file system may show it late.
    Result<bool> isHere(std::size_t index) {
        const auto size = stated(index);
        if (!size) {
            return true;  // The job packed nothing.
        }
        const folder::ReadRequest none{
            {job.submission.key, job.account}, payload::tarballName(index), 0, 0};
        const auto chunk = std::move(folders.read({&none, 1}).front());
        if (!chunk) {
            return chunk.error();
        }
        const auto what = [&] {
            const auto& wanted = description->artifacts[index];
            return "the artifact " + payload::planArtifact(*description, wanted).filename;
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

    Result<payload::PackedArtifact> pack(std::size_t index, const std::string& zip) {
        const auto name = payload::tarballName(index);
        const auto size = stated(index).value_or(0);
        return payload::packArtifact(*description, index, tarball(name, size), zip);
    }

    /// Told only once it is over, as it is of the log.
    Attempt awaited() const {
        const auto left = std::chrono::ceil<Millis>(arrivesUntil - clock.steadyNow());
        return {UploadOutcome::Later, std::clamp(left, Millis(1), kArrivalPause), {}};
    }

    Attempt one(std::size_t index) {
        const auto here = isHere(index);
        if (here.ok() && !*here) {
            return awaited();
        }
        const bool first = progress.tries++ == 0;
        Attempt attempt;
        if (first) {
            attempt.lines.push_back(infoLine("Uploading artifacts..."));
        }
        if (tokenDies && clock.steadyNow() >= *tokenDies) {
            attempt.outcome = UploadOutcome::Failed;
            attempt.lines.push_back(errorLine("the job token ended before GitLab took them"));
            return attempt;
        }
        const std::string zip =
            scratch + "/" + job.submission.key.value + "." + std::to_string(index);
        const auto packed =
            here.ok() ? pack(index, zip) : Result<payload::PackedArtifact>(here.error());
        if (!packed.ok()) {
            hear(attempt, packed.error());
        } else {
            for (const auto& line : packed->lines) {
                if (!progress.packed) {
                    attempt.lines.push_back(plainLine(line));
                }
            }
            if (!progress.packed) {
                progress.told.reset();
            }
            progress.packed = true;
            if (packed->entries > 0) {
                send(attempt, index,
                     {[&](const Sink& sink) { return give(zip, sink); }, packed->filename});
            }
        }
        std::error_code ignored;
        std::filesystem::remove(zip, ignored);
        return attempt;
    }

    static Result<void> give(const std::string& zip, const Sink& sink) {
        std::ifstream in(zip, std::ios::binary);
        std::vector<char> piece(kPiece);
        while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
            if (!sink({piece.data(), static_cast<std::size_t>(in.gcount())})) {
                return {};
            }
        }
        return in.eof() ? Result<void>()
                        : transientError(
                              "the packed artifacts cannot be read on the disk of the "
                              "service");
    }

    /// Nothing could be packed.
    void hear(Attempt& attempt, const Error& error) {
        if (error.kind == ErrorKind::Permanent) {
            attempt.outcome = UploadOutcome::Failed;
            attempt.lines.push_back(errorLine(error.message));
        } else {
            later(attempt, {.message = error.message});
        }
    }

    void send(Attempt& attempt, std::size_t index, gitlab::Upload upload) {
        const auto& wanted = description->artifacts[index];
        upload.type = wanted.type;
        upload.format = wanted.format;
        upload.expireIn = wanted.expireIn;
        const auto answer =
            api.uploadArtifact({clock.steadyNow() + kUploadLimit, stop}, credentials, upload);
        const std::string what =
            "Uploading artifacts as \"" + upload.type + "\" to coordinator... ";
        if (answer.outcome == CallOutcome::Done) {
            attempt.lines.push_back(infoLine(what + "201 Created"));
            return;
        }
        if (isFinal(answer.outcome)) {
            attempt.outcome = UploadOutcome::Failed;
            attempt.lines.push_back(warningLine(what + explain(answer)));
            return;
        }
        later(attempt, answer, what);
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
        attempt.outcome = UploadOutcome::Later;
        attempt.after =
            answer.retryAfter
                ? Millis(*answer.retryAfter)
                : std::min(kLongestPause, kFirstPause * (1 << std::min(progress.tries - 1, 6)));
        if (answer.outcome == CallOutcome::Rejected || progress.told != answer.outcome) {
            attempt.lines.push_back(warningLine(what + explain(answer) + "; trying again"));
        }
        progress.told = answer.outcome;
    }
};

}  // namespace

void Effects::upload(BackendEntry& entry, const store::JobRecord& job, Live& live,
                     const Result<std::shared_ptr<const gitlab::JobDescription>>& description,
                     SteadyTime statusAt) {
    if (!description.ok()) {
        return answers_.post({job.row, job.submission.attempt,
                              [line = errorLine(description.error().message)](Facts& facts, Live&) {
                                  facts.uploaded = UploadFact{UploadOutcome::Failed, {}, {line}};
                              }});
    }
    const auto end = scriptEnd(job.submission.status, job.submission.key.value);
    // A log that was waited for in vain has taken nothing of the time that files have.
    const int times = job.rawOffset < end.logBytes ? 2 : 1;
    live.inFlight.add(Effect::Upload);
    Uploads uploads{clock_,
                    entry.folders,
                    world_.runners.at(live.runner)->api,
                    live.credentials,
                    live.tokenDies,
                    world_.scratch,
                    job,
                    *description,
                    end,
                    statusAt + times * entry.policy.settleTime,
                    live.sections,
                    live.uploads,
                    {}};
    world_.files.post([this, uploads = std::move(uploads)](std::stop_token stop) mutable {
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
