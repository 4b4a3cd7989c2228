#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/fakegitlab/Faults.h"
#include "tests/fakegitlab/Types.h"

namespace gridbridge::fakegitlab {

/// Counts which call was given which answer, for the table of a whole test suite: with
/// FAKEGITLAB_ANSWERS=FOLDER in the environment one file of tab-separated lines per process,
/// `answer call status variant client count` and `violation sentence`. Without, it does nothing.
/// One thread at a time.
class Answers {
public:
    Answers();
    void count(const Request& request, const std::string& path, Call call, const Reply& reply);
    /// Appends what was counted, and the violations that no test looked at. A file that cannot
    /// be written ends the process: the table would lie.
    void write(const std::vector<std::string>& unseenViolations) const;

private:
    std::string folder_;
    std::map<std::string, int> counts_;  ///< By the line without its count.
};

}  // namespace gridbridge::fakegitlab
