#include <algorithm>
#include <array>

#include "backends/command/CommandParse.h"
#include "tests/fuzz/Fuzz.h"

// Input: what the commands of a batch system printed; read as each of those that are known.

namespace gridbridge::fuzz {
namespace {

constexpr std::array kPresets{"flux", "lsf", "oar", "pbs", "sge", "torque"};

bool isLine(const std::string& text) {
    return text.size() < 1000 && isPlain(text);
}

template <typename T>
void checkError(const Result<T>& result) {
    require(result.ok() || isLine(result.error().message), "an error is a line");
}

void check(const CommandListing& listing) {
    require(isLine(listing.trouble), "trouble is one line");
    for (const auto& [name, job] : listing.jobs) {
        require(name.starts_with("gb-") && isPlain(name), "only jobs of ours are listed");
        require(!job.id.value.empty() && isLine(job.id.value), "an id is a word");
        require(isLine(job.reason) && isLine(job.node), "reason and node are one line");
        require(job.state != BatchState::Unknown, "what is unknown is not listed");
        require(!job.failed || job.state == BatchState::Ended, "what failed has ended");
    }
}

void check(const Observation& seen) {
    require(isLine(seen.reason), "a reason is one line");
    require((seen.state == BatchState::Ended) == (seen.cause != EndCause::None),
            "exactly an end has a cause");
    require(seen.state != BatchState::Unknown || !seen.reason.empty(), "what is unknown is told");
    require(!seen.exitCode || !seen.signal, "a code or a signal");
    require(seen.signal.value_or(1) > 0 && seen.exitCode.value_or(0) >= 0, "both are possible");
}

void tryOne(const CommandParser& parser, const Finished& said) {
    const auto listing = parser.listing(said);
    checkError(listing);
    if (listing) {
        check(*listing);
    }
    const auto submission = parser.submission(said, {});
    checkError(submission);
    if (submission) {
        require(submission->accepted.has_value() != submission->full.has_value(), "taken or full");
        require(!submission->accepted || isLine(submission->accepted->id.value), "an id is a word");
    }
    check(parser.result(said));
    parser.cancelled(said);
}

}  // namespace

void tryWith(std::string_view input) {
    static const auto kParsers = [] {
        std::vector<CommandParser> all;
        for (const auto* name : kPresets) {
            all.emplace_back(commandPreset(name).value());
        }
        return all;
    }();
    for (const auto& parser : kParsers) {
        tryOne(parser, {.exitCode = 0, .signal = {}, .out = std::string(input), .err = {}});
        tryOne(parser, {.exitCode = 1, .signal = {}, .out = {}, .err = std::string(input)});
    }
}

}  // namespace gridbridge::fuzz
