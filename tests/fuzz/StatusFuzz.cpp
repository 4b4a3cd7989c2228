#include "bridge/payload/JobScript.h"
#include "tests/fuzz/Fuzz.h"

// Input: the status file of a job, whose nonce is n-1.

namespace gridbridge::fuzz {

void tryWith(std::string_view input) {
    const auto status = payload::parseStatus(input, "n-1");
    if (!status) {
        require(isPlain(status.error().message), "an error holds nothing of the file");
        return;
    }
    require(isPlain(status->stage) && isPlain(status->host), "only words are taken");
    require((status->outcome == "failed") == status->exitCode.has_value(),
            "exactly a failed script has an exit code");
    require(!status->exitCode || (*status->exitCode > 0 && *status->exitCode < 256),
            "an exit code is one");
    require(status->logBytes >= 0 && status->endedAt.has_value(), "sizes and times are possible");
    for (const auto& [name, size] : status->outputs) {
        require(!name.empty() && isPlain(name) && name.find('/') == std::string::npos && size >= 0,
                "outputs are files of the folder");
    }
}

}  // namespace gridbridge::fuzz
