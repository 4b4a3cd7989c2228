#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/diracx/DiracxParse.h"

namespace gridbridge {

/// What is asked of DIRAC, whatever way leads there.

/// Whose jobs they are.
struct DiracOwner {
    std::string user;
    std::string vo;

    /// As one word, for people.
    std::string text() const { return user + "@" + vo; }
    bool operator==(const DiracOwner&) const = default;
};

/// Which jobs a search is for, of those of our user in these groups.
struct DiracxQuery {
    std::vector<std::string> groups;
    std::vector<std::int64_t> ids = {};   ///< Either these
    std::vector<std::string> names = {};  ///< or these.
    bool history = false;
    /// What has just been told of the jobs with these ids, without their histories: a way that asks
    /// for those apart need not ask again.
    std::vector<DiracxJob> rows = {};
};
struct DiracxFound {
    DiracOwner owner;  ///< Of all of them, and of the login that asked.
    std::vector<DiracxJob> jobs;
    WallTime serverNow{};                   ///< By the server's clock, when it answered.
    std::vector<std::int64_t> hidden = {};  ///< Are there, but more is not told to this login.
};

/// A kill of one job: `at` must be later than all that DIRAC has heard of it.
struct DiracxKill {
    std::int64_t id = 0;
    WallTime at{};
    std::string why = {};
};

}  // namespace gridbridge
