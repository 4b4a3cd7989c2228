#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge {

/// What ARC's REST interface 1.0 answers (ARC CE 6.17 and 7.0), read strictly. Texts of others are
/// cut to one line of at most 300 characters.

/// What an answer says of one job; empty where it says nothing.
struct ArcEntry {
    std::string id = {};
    std::string state = {};   ///< As the interface calls it.
    int status = 0;           ///< Of a call for many jobs, as of HTTP.
    std::string reason = {};  ///< To that status.
    std::string name = {};    ///< From the information about a job: its name,
    std::string told = {};    ///< and its state, which may be a minute old.
};

/// Of a list of jobs, or a call for many. Release 6 writes a list of one as the one, and an empty
/// list as nothing. Nothing: it makes no sense, or a job is in it twice, or its id is no id.
std::optional<std::vector<ArcEntry>> parseArcJobs(const std::string& body);

/// The names in a folder: of files, of which links to files are some and pipes none, and of
/// folders.
struct ArcFolder {
    std::set<std::string> files = {};
    std::set<std::string> folders = {};
};
/// Nothing: it makes no sense.
std::optional<ArcFolder> parseArcFolder(const std::string& body);

/// What makes no sense there, for a sentence that begins with "the answer".
std::string arcTrouble(const std::string& body);

/// Letters, digits, `_` and `-`: as a part of an address.
bool isArcId(std::string_view text);

using ArcFields = std::map<std::string, std::string>;
/// Lines NAME=VALUE; of those with one name the last.
ArcFields parseArcFields(const std::string& text);
/// Empty where there is none.
std::string arcField(const ArcFields& fields, const std::string& name);
std::optional<std::int64_t> arcNumber(const std::string& text);
/// `20261201002931Z`
std::optional<WallTime> arcTime(const std::string& text);
/// `2.04s`
std::optional<Millis> arcDuration(const std::string& text);
/// Where bytes begin, and how many the whole of it has: `bytes 10-30/2001`, `bytes */2001`
struct ArcRange {
    std::optional<std::int64_t> from = {};
    std::optional<std::int64_t> total = {};
};
ArcRange arcRange(const std::string& contentRange);

}  // namespace gridbridge
