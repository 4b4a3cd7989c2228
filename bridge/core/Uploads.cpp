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
                               (answer.outcome == CallOutcome::Rejected && ++refused >= kTries) ||
                               answer.message.find("413") != std::string::npos ||
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

}  // namespace

void Effects::upload(BackendEntry& entry, const store::JobRecord& job, Live& live,
                     std::shared_ptr<const gitlab::JobDescription> description, bool success) {
    live.inFlight.add(Effect::Upload);
    world_.files.post([this, &entry, job, description, success, credentials = live.credentials,
                       sections = live.sections,
                       &api = world_.runners.at(live.runner)->api](std::stop_token stop) {
        UploadFact fact;
        const std::string section =
            success ? "upload_artifacts_on_success" : "upload_artifacts_on_failure";
        for (std::size_t i = 0; i < description->artifacts.size() && !fact.failed; ++i) {
            const auto& wanted = description->artifacts[i];
            if (wanted.type != "archive" || !payload::wantsUpload(wanted, success)) {
                continue;
            }
            if (sections && fact.lines.empty()) {
                fact.lines.push_back(sectionStart(clock_.wallNow(), section,
                                                  std::string("Uploading artifacts for ") +
                                                      (success ? "successful" : "failed") +
                                                      " job"));
            }
            fact.lines.push_back(infoLine("Uploading artifacts..."));
            const auto tarball =
                entry.folders.open({job.submission.key, job.account}, payload::tarballName(i));
            const std::string zip =
                world_.scratch + "/" + job.submission.key.value + "." + std::to_string(i);
            const auto packed =
                payload::packArtifact(*description, i, tarball.ok() ? tarball->get() : -1, zip);
            if (!packed.ok()) {
                fact.lines.push_back(errorLine(packed.error().message));
                fact.failed = true;
            } else {
                for (const auto& line : packed->lines) {
                    fact.lines.push_back(plainLine(line));
                }
                fact.failed =
                    packed->entries > 0 &&
                    !OneUpload{clock_, api, credentials, stop}.send(
                        {zip, packed->filename, wanted.type, wanted.format, wanted.expireIn},
                        fact.lines);
            }
            std::error_code ignored;
            std::filesystem::remove(zip, ignored);
        }
        if (sections && !fact.lines.empty()) {
            fact.lines.push_back(sectionEnd(clock_.wallNow(), section));
        }
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
