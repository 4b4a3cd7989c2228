#include "bridge/gitlab/JobDescription.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/JobScript.h"
#include "tests/fuzz/Fuzz.h"

// Input: the body of a 201.

namespace gridbridge::fuzz {

namespace {

/// Whether both readers of a body must see the same: they may differ in a field that is there
/// twice, or written with escapes.
bool isUnambiguous(std::string_view body) {
    for (const std::string_view key : {"\"id\"", "\"token\""}) {
        const auto first = body.find(key);
        if (first != std::string_view::npos &&
            body.find(key, first + 1) != std::string_view::npos) {
            return false;
        }
    }
    return body.find('\\') == std::string_view::npos;
}

}  // namespace

void tryWith(std::string_view input) {
    const auto identity = gitlab::identityOf(input);
    const auto job = gitlab::decodeJob(input);
    if (!job) {
        require(isPlain(job.error().message), "an error holds nothing of the body");
        return;
    }
    if (identity && isUnambiguous(input)) {
        require(identity->id == job->id && identity->token.reveal() == job->token.reveal(),
                "both readers see the same job");
    }
    const payload::ScriptContext context{.runnerShortToken = "abcdefgh",
                                         .serverUrl = "https://gitlab.example.org",
                                         .bridgeHost = "bridge",
                                         .version = "1",
                                         .nonce = "n-1",
                                         .deadline = fromEpoch(std::chrono::hours(24)),
                                         .cache = {.folder = "/caches"}};
    if (const auto script = payload::makeScript(*job, context)) {
        require(!script->inputs.empty() && script->loader.size() <= 4096, "a script can start");
    }
    for (const auto& entry : job->artifacts) {
        (void)payload::planArtifact(*job, entry);
    }
}

}  // namespace gridbridge::fuzz
