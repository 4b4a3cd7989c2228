#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge {

/// What DiracX's REST interface answers (releases 0.3 and 0.7), read strictly: nothing = it makes
/// no sense. Texts of others are cut to one line of at most 300 characters.

/// One entry of a job's history.
struct DiracxEvent {
    std::string status;
    std::string minor;
    std::string application;
    std::string source;
    WallTime at{};
};

/// One row of a search.
struct DiracxJob {
    std::int64_t id = 0;
    std::string name;  ///< Our submission key.
    std::string status;
    std::string minor;
    std::string application;
    std::string site;
    int reschedules = 0;
    WallTime submittedAt{};
    std::optional<WallTime> startedAt = {};
    std::optional<WallTime> endedAt = {};
    std::vector<DiracxEvent> history = {};  ///< Oldest first; empty where it was not asked for.
};

/// Whose token it is.
struct DiracxIdentity {
    std::string user;
    std::string group;
    bool maySubmit = false;  ///< It has the property NormalUser.
};

/// Where a sandbox is to be put.
struct DiracxUpload {
    std::string name;  ///< By which jobs call it.
    std::string url;   ///< Empty = the very bytes are there already.
    std::vector<std::pair<std::string, std::string>> fields;  ///< In the server's order. Secret.
};

std::optional<std::vector<DiracxJob>> parseDiracxJobs(const std::string& body);
/// The ids of `count` jobs that were submitted, in their order.
std::optional<std::vector<std::int64_t>> parseDiracxSubmission(const std::string& body,
                                                               std::size_t count);
/// The state that each job is in after a change of states; those without one are left out.
std::optional<std::map<std::int64_t, std::string>> parseDiracxChange(const std::string& body);
std::optional<DiracxIdentity> parseDiracxIdentity(const std::string& body);
std::optional<DiracxUpload> parseDiracxUpload(const std::string& body);
/// The names of a job's output sandboxes, oldest first.
std::optional<std::vector<std::string>> parseDiracxOutputs(const std::string& body);
/// Where a sandbox can be had; a secret.
std::optional<std::string> parseDiracxDownload(const std::string& body);
/// What an error's body says; empty where it says nothing.
std::string diracxDetail(const std::string& body);

/// `2026-11-30T19:53:53.192124Z`; milliseconds, rounded down.
std::optional<WallTime> diracxTime(std::string_view text);
/// With milliseconds and the zone, as DiracX wants it.
std::string diracxStamp(WallTime time);
/// Of how many there are an answer holds a part, by its header Content-Range (`jobs 0-99/4000`).
std::optional<std::size_t> diracxTotal(const std::string& range);
/// Of an answer's header Date.
std::optional<WallTime> httpDate(const std::string& text);

}  // namespace gridbridge
