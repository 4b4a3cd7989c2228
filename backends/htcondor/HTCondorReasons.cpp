#include "backends/htcondor/HTCondorReasons.h"

#include <array>
#include <string_view>
#include <utility>

namespace gridbridge {

std::string whyNotMatched(const std::string& reason) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kWords{
        {{"no match found", "no free machine fits it"},
         {"insufficient priority", "jobs of accounts with a better priority come first"},
         {"concurrency limit", "a concurrency limit is reached"},
         {"submitter limit", "its account has its share of the machines"}}};
    if (reason.empty()) {
        return "no machine was sought for it yet";
    }
    for (const auto& [word, meaning] : kWords) {
        if (reason.starts_with(word)) {
            return std::string(meaning) + " (" + reason + ")";
        }
    }
    return reason;
}

}  // namespace gridbridge
