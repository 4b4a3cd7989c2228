#include <algorithm>

#include "bridge/base/Fd.h"
#include "bridge/core/Effects.h"
#include "bridge/core/Lines.h"

namespace gridbridge::core {

using gitlab::CallOutcome;

namespace {

constexpr Millis kUploadLimit = std::chrono::hours(1);
constexpr int kTries = 3;
constexpr Millis kPause{1000};

std::string explain(const gitlab::JobAnswer& answer) {
    return answer.message.empty() ? "no answer" : answer.message;
}

/// One archive from the folder to GitLab. Repeats with identical bytes; 403 and 413 are final.
struct OneUpload {
    Clock& clock;
    gitlab::RunnerApi& api;
    gitlab::JobCredentials job;
    std::stop_token stop;

    bool send(const gitlab::Upload& upload, std::vector<std::string>& lines) const {
        for (int tries = 0, refused = 0; !stop.stop_requested();) {
            const auto answer =
                api.uploadArtifact({clock.steadyNow() + kUploadLimit, stop}, job, upload);
            if (answer.outcome == CallOutcome::Done) {
                lines.push_back(infoLine("Uploading artifacts as \"" + upload.type +
                                         "\" to coordinator... 201 Created"));
                return true;
            }
            ++tries;
            const bool final = answer.outcome == CallOutcome::Ended ||
                               answer.outcome == CallOutcome::TooLarge ||
                               (answer.outcome == CallOutcome::Rejected && ++refused >= kTries) ||
                               tries >= 2 * kTries;
            lines.push_back(warningLine("Uploading artifacts as \"" + upload.type +
                                        "\" to coordinator... " + explain(answer)));
            if (final) {
                break;
            }
            clock.sleepUntil(clock.steadyNow() + kPause * std::min(tries, 5), stop);
        }
        return false;
    }
};

/// All archives of one job, from its folder through the scratch folder to GitLab.
struct AllUploads {
    Clock& clock;
    folder::JobFolders& folders;
    std::string scratch;
    store::JobRecord job;
    std::shared_ptr<const gitlab::JobDescription> description;
    bool success;
    bool sections;
    OneUpload sender;

    UploadFact run() const {
        UploadFact fact;
        const std::string section =
            success ? "upload_artifacts_on_success" : "upload_artifacts_on_failure";
        for (std::size_t i = 0; i < description->artifacts.size() && !fact.failed; ++i) {
            const auto& wanted = description->artifacts[i];
            if (wanted.type != "archive" || !payload::wantsUpload(wanted, success)) {
                continue;
            }
            if (sections && fact.lines.empty()) {
                fact.lines.push_back(sectionStart(clock.wallNow(), section,
                                                  std::string("Uploading artifacts for ") +
                                                      (success ? "successful" : "failed") +
                                                      " job"));
            }
            fact.failed = !pack(i, fact.lines);
        }
        if (sections && !fact.lines.empty()) {
            fact.lines.push_back(sectionEnd(clock.wallNow(), section));
        }
        return fact;
    }

private:
    /// Well when nothing matched: then there is nothing to send.
    bool pack(std::size_t index, std::vector<std::string>& lines) const {
        const auto& wanted = description->artifacts[index];
        lines.push_back(infoLine("Uploading artifacts..."));
        const auto tarball =
            folders.open({job.submission.key, job.account}, payload::tarballName(index));
        const std::string zip =
            scratch + "/" + job.submission.key.value + "." + std::to_string(index);
        const auto packed =
            payload::packArtifact(*description, index, tarball.ok() ? tarball->get() : -1, zip);
        if (!packed.ok()) {
            lines.push_back(errorLine(packed.error().message));
            return false;
        }
        for (const auto& line : packed->lines) {
            lines.push_back(plainLine(line));
        }
        const bool sent = packed->entries == 0 || sender.send({zip, packed->filename, wanted.type,
                                                               wanted.format, wanted.expireIn},
                                                              lines);
        std::error_code ignored;
        std::filesystem::remove(zip, ignored);
        return sent;
    }
};

}  // namespace

void Effects::upload(BackendEntry& entry, const store::JobRecord& job, Live& live,
                     std::shared_ptr<const gitlab::JobDescription> description, bool success) {
    live.inFlight.add(Effect::Upload);
    world_.files.post([this, &entry, job, description, success, credentials = live.credentials,
                       sections = live.sections,
                       &api = world_.runners.at(live.runner)->api](std::stop_token stop) {
        const AllUploads uploads{
            clock_,      entry.folders, world_.scratch, job,
            description, success,       sections,       OneUpload{clock_, api, credentials, stop}};
        const auto fact = uploads.run();
        if (stop.stop_requested()) {
            return;  // The next run of the service uploads the same bytes again.
        }
        answers_.post({job.row, job.submission.attempt, [fact](Facts& facts, Live& known) {
                           known.inFlight.remove(Effect::Upload);
                           facts.uploaded = fact;
                       }});
    });
}

}  // namespace gridbridge::core
