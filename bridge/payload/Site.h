#pragma once

#include <cstdint>
#include <string>

namespace gridbridge::payload {

/// How the nodes of a backend are used by its jobs; docs/configuration.md explains the keys.
struct Site {
    enum class Home {
        Private,  ///< Empty, in the job's own scratch folder, and gone with it.
        Real,     ///< The account's own.
        Project,  ///< One for each project and account, beside the submissions' folders.
    };
    std::string shellInit = {};  ///< Shell text; empty = none.
    /// An absolute path without control characters, or `$` and a variable of the batch job's
    /// environment; empty = what the batch system names.
    std::string scratch = {};
    std::uint64_t minScratch = 0;  ///< Bytes that must be free there.
    Home home = Home::Private;
    /// Absolute: where every job without an image has its folder of builds, also when others run
    /// beside it; empty = in its scratch folder.
    std::string buildsDir = {};
    bool operator==(const Site&) const = default;
};

/// The first lines of a stage's text; a step is a stage with lines of the job's own. They end by
/// telling the wrapper that its shell has begun: a profile, or `shell_init`, may have ended it.
std::string stageBeginning(const Site& site, bool isStep);

/// Whether the shells of steps begin in another way than those of other stages.
bool hasOwnBeginning(const Site& site);

/// The wrapper's constants; `project` names the project among all of all servers.
std::string siteConstants(const Site& site, const std::string& project);

/// The wrapper's functions for them; they need its other ones.
std::string siteFunctions();

}  // namespace gridbridge::payload
