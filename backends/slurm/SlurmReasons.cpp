#include "backends/slurm/SlurmReasons.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gridbridge {
namespace {

struct Reason {
    std::string_view word;
    std::string_view meaning;
};

constexpr auto kReasons = std::to_array<Reason>({
    {"Priority", "jobs with a higher priority come first"},
    {"Resources", "no nodes are free for it now"},
    {"BeginTime", "its time to start has not come yet"},
    {"Licenses", "no licence is free for it now"},
    {"Reservation", "its reservation has not begun"},
    {"ReservationDeleted", "its reservation is gone"},
    {"MaxRequeueExceeded", "Slurm tried to start it too often"},
    {"NodeDown", "a node that it needs is down"},
    {"ReqNodeNotAvail", "a node that it needs is not available"},
    {"Prolog", "its node is being prepared"},
    {"Dependency", "it waits for another job"},
    {"DependencyNeverSatisfied", "it waits for a job that will never end well: it can never run"},
    {"JobHeldUser", "somebody holds it with its account's rights"},
    {"JobHeldAdmin", "an administrator holds it"},
    {"JobHoldMaxRequeue", "it was started too often and is held"},
    {"launch failed requeued held", "a node could not start it, and it is held"},
    {"PartitionDown", "its partition is down"},
    {"PartitionInactive", "its partition takes no jobs now"},
    {"PartitionConfig", "it asks for more than its partition allows or has"},
    {"PartitionNodeLimit", "it asks for more nodes than its partition allows"},
    {"PartitionTimeLimit", "its time limit is longer than its partition allows"},
    {"BadConstraints", "no node can ever be as it asks for"},
    {"InvalidAccount", "its account is not valid"},
    {"InvalidQOS", "its quality of service is not valid"},
    {"QOSNotAllowed", "its quality of service is not allowed there"},
    {"AccountNotAllowed", "its account is not allowed there"},
});

/// Limits of the association or of the quality of service have many names.
std::string_view limitOf(std::string_view word) {
    const bool isQos = word.starts_with("QOS");
    if (!isQos && !word.starts_with("Assoc")) {
        return "";
    }
    if (word.find("Min") != std::string_view::npos) {
        return isQos ? "it asks for less than its quality of service wants"
                     : "it asks for less than its account wants";
    }
    if (word.find("PerJob") != std::string_view::npos ||
        word.find("PerNode") != std::string_view::npos) {
        return isQos ? "it asks for more than its quality of service allows to one job"
                     : "it asks for more than its account may have for one job";
    }
    return isQos ? "a limit of its quality of service is reached"
                 : "a limit of its account is reached";
}

}  // namespace

std::string inPlainWords(const std::string& reason) {
    const auto word = reason.substr(0, reason.find(','));  // `ReqNodeNotAvail, UnavailableNodes:n1`
    const auto* const known = std::find_if(kReasons.begin(), kReasons.end(),
                                           [&](const Reason& each) { return each.word == word; });
    const bool isWord = reason.find(' ') == std::string::npos;
    const auto meaning = known != kReasons.end() ? known->meaning
                         : isWord                ? limitOf(reason)
                                                 : std::string_view();
    return meaning.empty() ? reason : std::string(meaning) + " (" + reason + ")";
}

}  // namespace gridbridge
