#include "bridge/gitlab/Dump.h"
#include "tests/fuzz/Fuzz.h"

// Input: a file of the Python package, of a runner or of a job.

namespace gridbridge::fuzz {

namespace {

/// What has been read can be written, and be read as the same again.
template <typename Dump, typename Read>
void tryOne(const Result<Dump>& dump, const Read& read) {
    if (!dump) {
        require(isPlain(dump.error().message), "an error holds nothing of the file");
        return;
    }
    const auto text = gitlab::textOf(*dump);
    const auto again = read(text.reveal());
    require(again.ok(), "what was written can be read");
    require(gitlab::textOf(*again).reveal() == text.reveal(), "it says the same");
}

}  // namespace

void tryWith(std::string_view input) {
    tryOne(gitlab::readRunnerDump(input), gitlab::readRunnerDump);
    tryOne(gitlab::readJobDump(input), gitlab::readJobDump);
}

}  // namespace gridbridge::fuzz
