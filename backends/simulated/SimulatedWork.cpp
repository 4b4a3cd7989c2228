#include "backends/simulated/SimulatedWork.h"

#include "backends/simulated/SimulatedFaults.h"

namespace gridbridge {

std::string wrapperStatus(const SubmissionKey& key, const SimulatedVerdict& verdict, int exitCode) {
    std::string outcome = exitCode == 0 ? "success" : "failed";
    std::string why;
    if (verdict.end == SimulatedEnd::Canceled) {
        outcome = "canceled";
        why = "canceled";
    } else if (verdict.end == SimulatedEnd::Deadline) {
        outcome = "timedout";
        why = "job_timeout";
    }
    const auto seconds = std::chrono::floor<std::chrono::seconds>(sinceEpoch(verdict.at)).count();
    return "version=1\nnonce=" + key.value + "\noutcome=" + outcome + "\nwhy=" + why +
           "\nstage=step_script\nexit_code=" +
           (outcome == "failed" ? std::to_string(exitCode) : "") +
           "\nhost=simulated\nlog_bytes=" + std::to_string(verdict.logBytes) +
           "\nended_at=" + std::to_string(seconds) + "\n";
}

SimulatedWork ShortJobs::work(const SubmissionKey& key) {
    constexpr int kLines = 5;
    // Row and attempt: what of `gb-<installation>-<row>-<attempt>` every installation has.
    const std::string_view name = key.value;
    const auto number = name.substr(name.find('-', name.find('-') + 1) + 1);
    const auto seconds = 5 + static_cast<int>(56 * seededUnit(seed_, "run time", number));
    SimulatedWork work;
    work.runTime = std::chrono::seconds(seconds);
    work.printTime = work.runTime;
    work.log = "This is a simulation of " + std::to_string(seconds) +
               " seconds: the script of the job is not run.\n";
    for (int line = 1; line <= kLines; ++line) {
        work.log +=
            "simulated step " + std::to_string(line) + " of " + std::to_string(kLines) + "\n";
    }
    work.farewell = "simulated step stopped\n";
    return work;
}

std::string ShortJobs::status(const SubmissionKey& key, const SimulatedVerdict& verdict) {
    return wrapperStatus(key, verdict, 0);
}

}  // namespace gridbridge
