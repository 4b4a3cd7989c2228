#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge {

/// How a batch system without a class of its own is asked, and how its answers are read. A command
/// is its words; in each, `{name}` and the like stand for values, see docs/command.md. Patterns are
/// Perl's, with named groups; an empty one matches nothing.
struct CommandConfig {
    std::string binDir = {};  ///< Where the commands are besides the usual folders.
    std::vector<std::string> environment = {};    ///< NAME=value of every command.
    std::vector<std::string> submitOptions = {};  ///< Stand for the word `{options}` of `submit`.

    std::vector<std::string> submit = {};
    std::string submitId = {};  ///< The whole last line, with the group `id`.
    std::string submitRefused = {};
    std::string submitFull = {};

    std::vector<std::string> status = {};  ///< All jobs of the account in one answer.
    std::string statusJob = {};    ///< A job: the groups `id`, `state`, `name`; `reason`, `node`.
    std::string statusOther = {};  ///< A whole line that tells of no job.
    std::string statusEmpty = {};  ///< An answer that means: there is no job.
    std::string statusJson = {};   ///< Instead of `statusJob`: where the jobs are, `.` or `a.b`.
    std::vector<std::string> statusMembers = {};  ///< GROUP=MEMBER of each job there.

    std::string failedStates = {};  ///< Whole words for states, in the order in which they count.
    std::string heldStates = {};
    std::string pendingStates = {};
    std::string runningStates = {};
    std::string endedStates = {};

    std::vector<std::string> result = {};  ///< What the batch system knows of one job that ended.
    std::string resultEnd = {};            ///< The groups `exit` and perhaps `signal`.
    std::string resultNone = {};           ///< It knows nothing of it.
    std::string resultWallTime = {};
    std::string resultMemory = {};
    std::string resultNode = {};

    std::vector<std::string> cancel = {};
    std::string cancelGone = {};

    bool operator==(const CommandConfig&) const = default;
};

/// What is known of the commands of a batch system; nothing for a name that is none of these.
std::optional<CommandConfig> commandPreset(std::string_view name);
inline constexpr std::string_view kCommandPresets = "flux, lsf, oar, pbs, sge, torque";

using CommandValues = std::map<std::string, std::string>;

/// The values of a submission. `folder` is the submission's, `user` the account's name.
CommandValues submitValues(const BatchJob& job, const std::string& folder, const std::string& user,
                           WallTime now);

/// The words with their values; `{options}` alone becomes all of `options`. One in brackets, like
/// `[-q {queue}]`, becomes the words in it, or none where one of its values is absent.
std::vector<std::string> filled(std::span<const std::string> words, const CommandValues& values,
                                std::span<const std::string> options = {});

/// Whether that value stands in brackets in one of the words.
bool asksFor(std::span<const std::string> words, std::string_view name);

/// The first `{...}` of the words that is none of `known`.
std::optional<std::string> unknownValue(std::span<const std::string> words,
                                        std::span<const std::string_view> known);

}  // namespace gridbridge
