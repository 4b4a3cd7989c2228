#include <algorithm>

#include "backends/api/SchedulerCommands.h"
#include "backends/arc/ArcStates.h"
#include "backends/diraccli/DiracCliParse.h"
#include "backends/diracx/DiracxStates.h"
#include "backends/htcondor/HTCondorParse.h"
#include "backends/slurm/SlurmParse.h"
#include "tests/fuzz/Fuzz.h"

// Input: what squeue, sacct, condor_q, condor_history or a command of DIRAC printed, or DiracX
// or ARC answered.

namespace gridbridge::fuzz {
namespace {

bool isOneLine(const std::string& text) {
    return text.size() < 1000 && std::none_of(text.begin(), text.end(), [](char c) {
               return (c >= 0 && c < ' ') || c == '\x7f';
           });
}

void checkSeen(const Observation& seen) {
    require(isOneLine(seen.reason), "a reason is one line");
    require((seen.state == BatchState::Ended) == (seen.cause != EndCause::None),
            "exactly an end has a cause");
    require(seen.state != BatchState::Unknown || !seen.reason.empty(), "what is unknown is told");
    require(seen.state == BatchState::Ended || !(seen.exitCode || seen.signal || seen.endedAt),
            "only an end has a time and a code");
}

void tryCommandsOfDirac(const std::string& out) {
    for (auto& job : parseDiracStat(out).value_or(std::vector<DiracxJob>())) {
        for (const auto& history :
             parseDiracLogging(out).value_or(std::vector<std::vector<DiracxEvent>>())) {
            job.history = history;
            checkSeen(observationOf(job, pastOf(job)));
        }
        checkSeen(observationOf(job, pastOf(job)));
    }
    const auto outcomes =
        parseDiracSubmit(out, {"a", "b"}).value_or(std::vector<DiracCliOutcome>());
    require(outcomes.empty() || outcomes.size() == 2, "each file has an outcome");
    for (const auto& outcome : outcomes) {
        require(outcome.id.value_or(1) > 0 && isOneLine(outcome.message), "an id or a line");
        require(!isDiracRefusal(outcome.message) || !outcome.id, "a refusal is no id");
    }
    for (const auto& [id, message] : parseDiracErrors(out)) {
        require(id > 0 && isOneLine(message), "an error is one line of one job");
    }
    for (const auto& ids :
         {withoutDiracOutput(out), withoutDiracHistory(out), parseDiracStatus(out)}) {
        for (const auto id : ids) {
            require(id > 0, "an id is positive");
        }
    }
    require(!isDiracOutputRetrieved(out, "/t/0"), "nothing is retrieved that nobody asked for");
    require(isOneLine(diracComplaint(out, out)), "a complaint is one line");
}

void check(const std::string& key, const Observation& seen) {
    require(key.starts_with("gb-") && isPlain(key), "only jobs of ours are listed");
    checkSeen(seen);
}

void tryArc(const std::string& input) {
    for (const auto& job : parseArcJobs(input).value_or(std::vector<ArcEntry>())) {
        require(job.id.empty() || isArcId(job.id), "an id is one");
        require(isOneLine(job.reason) && isOneLine(job.name), "what is told is one line");
        if (!isArcGone(job.state) && !isArcFinal(job.state)) {
            checkSeen(arcObservation(job.state, false, job.told));
        }
    }
    static_cast<void>(parseArcFolder(input));
    const auto fields = parseArcFields(input);
    for (const char* state : {"FINISHED", "FAILED", "KILLED"}) {
        const auto seen =
            arcEnd(state, {.local = fields, .diagnosis = fields, .failed = lastLineOf(input)});
        checkSeen(seen);
        require(seen.exitCode.value_or(0) >= 0 && seen.exitCode.value_or(0) < 256, "a code is one");
        require(seen.usage.elapsed.value_or(Millis(0)).count() >= 0 &&
                    seen.usage.cpu.value_or(Millis(0)).count() >= 0,
                "nothing used is less than nothing");
    }
    require(arcRange(input).total.value_or(0) >= 0, "a size is one");
}

}  // namespace

void tryWith(std::string_view input) {
    tryArc(std::string(input));
    for (const auto& job : parseDiracxJobs(std::string(input)).value_or(std::vector<DiracxJob>())) {
        checkSeen(observationOf(job, pastOf(job)));
        require(isOneLine(unknownDiracxState(job)), "a word is told in one line");
    }
    tryCommandsOfDirac(std::string(input));
    const auto pool = parseJobs(input, "condor_q");
    require(isOneLine(pool.trouble), "trouble is one line");
    for (const auto& [key, job] : pool.jobs) {
        check(key, observationOf(job));
        require(!(isWaiting(job) && hasEnded(job)), "a job that has ended does not wait");
    }
    for (const auto& [name, job] : parseUsage(input)) {
        const auto& [elapsed, cpu, memory] = job.usage;
        require(elapsed.value_or(Millis(0)).count() >= 0 && cpu.value_or(Millis(0)).count() >= 0 &&
                    memory.value_or(0) >= 0,
                "nothing used is less than nothing");
    }
    for (const auto& cluster : {parseQueue(input), parseHistory(input)}) {
        require(isOneLine(cluster.trouble), "trouble is one line");
        for (const auto& [key, job] : cluster.jobs) {
            check(key, observationOf(job, true, false));
            require(!(isWaiting(job) && hasEnded(job)), "a job that has ended does not wait");
        }
    }
}

}  // namespace gridbridge::fuzz
