#include <gmock/gmock.h>

#include <set>

#include "backends/diracx/DiracxStates.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;

constexpr WallTime kWhen{std::chrono::hours(480'000)};

DiracxEvent event(const std::string& status, const std::string& minor,
                  const std::string& source = "JobWrapper") {
    return {status, minor, "Unknown", source, kWhen};
}

DiracxJob job(const std::string& status, const std::string& minor,
              const std::string& application = "Unknown") {
    DiracxJob made;
    made.id = 7;
    made.name = "gb-abcdefgh-1-1";
    made.status = status;
    made.minor = minor;
    made.application = application;
    made.site = "LCG.Lab.org";
    return made;
}

Observation seen(DiracxJob made) {
    return observationOf(made, pastOf(made));
}

/// Of a job that failed with that minor state, after its script began.
EndCause causeOf(const std::string& minor) {
    auto failed = job("Failed", minor);
    failed.history = {event("Running", "Application"), event("Failed", minor)};
    return seen(failed).cause;
}

TEST(DiracxStates, EachOfDiracsStatesIsKnown) {
    using enum BatchState;
    const std::map<std::string, BatchState> states{
        {"Submitting", Pending}, {"Received", Pending},    {"Checking", Pending},
        {"Scouting", Pending},   {"Staging", Pending},     {"Waiting", Pending},
        {"Matched", Pending},    {"Rescheduled", Pending}, {"Running", Running},
        {"Stalled", Running},    {"Completing", Running},  {"Completed", Ended},
        {"Done", Ended},         {"Failed", Ended},        {"Killed", Ended},
        {"Deleted", Ended}};
    for (const auto& [status, state] : states) {
        EXPECT_EQ(seen(job(status, "")).state, state) << status;
        EXPECT_EQ(unknownDiracxState(job(status, "")), "") << status;
    }
}

TEST(DiracxStates, WhatIsNotKnownWaitsAndIsTold) {
    const auto odd = seen(job("Pondering", "Job accepted"));

    EXPECT_EQ(odd.state, BatchState::Pending);
    EXPECT_THAT(odd.reason, HasSubstr("Pondering"));
    EXPECT_THAT(unknownDiracxState(job("Pondering", "Job accepted")), HasSubstr("\"Pondering\""));
    EXPECT_THAT(unknownDiracxState(job("Running", "Dreaming")), HasSubstr("\"Dreaming\""));
}

TEST(DiracxStates, EachMinorStateTellsWhyAJobFailed) {
    using enum EndCause;
    const std::map<std::string, EndCause> causes{
        {"Application Finished With Errors", Exited},
        {"Job has reached the CPU limit of the queue", WallTimeLimit},
        {"Job has exceeded maximum wall clock time", WallTimeLimit},
        {"Job has insufficient disk space to continue", NodeFailure},
        {"Watchdog identified this job as stalled", NodeFailure},
        {"Job stalled: pilot not running", NodeFailure},
        {"Stalling for more than 7800 sec", NodeFailure},
        {"Failed Downloading InputSandbox", NodeFailure},
        {"Failed Downloading InputSandbox LFN(s)", NodeFailure},
        {"Application not found", NodeFailure},
        {"Application thread failed", NodeFailure},
        {"Application thread did not complete", NodeFailure},
        {"Exception During Execution", NodeFailure},
        {"Failed sending requests", NodeFailure},
        {"Maximum of reschedulings reached", NodeFailure},
        {"Illegal Job JDL", NeverRunnable},
        {"Input Data Not Available", NeverRunnable},
        {"No candidate sites available", NeverRunnable},
        {"Dreaming", Unknown}};
    for (const auto& [minor, cause] : causes) {
        EXPECT_EQ(causeOf(minor), cause) << minor;
    }
}

TEST(DiracxStates, AScriptMayHaveStartedOnceDiracSaysApplicationAndNotBefore) {
    for (const char* minor :
         {"Job Initialization", "Downloading InputSandbox", "Input Data Resolution"}) {
        auto starting = job("Running", minor);
        starting.history = {event("Matched", "Assigned"), event("Running", minor)};
        EXPECT_FALSE(seen(starting).started) << minor;
    }
    for (const char* minor : {"Application", "Dreaming", "Uploading Output Sandbox"}) {
        auto running = job("Running", minor);
        running.history = {event("Matched", "Assigned"), event("Running", minor)};
        EXPECT_TRUE(seen(running).started) << minor;
    }
}

TEST(DiracxStates, WhatADiracThatLostAWordStillTellsMayMeanThatAScriptStarted) {
    const auto starting = event("Running", "Job Initialization");
    auto silent = job("Stalled", "Job Initialization");
    silent.history = {starting, event("Stalled", "Job Initialization", "StalledJobAgent")};
    EXPECT_TRUE(seen(silent).started);
    auto failed = job("Failed", "Job stalled: pilot not running");
    failed.history = {starting, event("Failed", failed.minor, "StalledJobAgent")};
    EXPECT_TRUE(seen(failed).started);
    auto beating = job("Running", "Job Initialization");
    beating.history = {event("Running", "Job Initialization", "Heartbeat")};
    EXPECT_TRUE(seen(beating).started);
    auto row = job("Running", "Application");
    row.history = {event("Matched", "Assigned")};
    EXPECT_TRUE(seen(row).started);
    // Nothing ran there.
    failed.history = {event("Matched", "Assigned"), event("Failed", failed.minor)};
    EXPECT_FALSE(seen(failed).started);
}

TEST(DiracxStates, AClockThatIsBehindHidesNoStart) {
    auto running = job("Matched", "Assigned");
    running.submittedAt = kWhen + std::chrono::hours(2);
    running.history = {event("Running", "Application")};
    EXPECT_TRUE(pastOf(running).started);
}

TEST(DiracxStates, AKillThatCameTooLateIsNotWhyAJobFailed) {
    auto failed = job("Failed", "Application Finished With Errors");
    failed.history = {event("Running", "Application"),
                      event("Killed", kDiracxKilled, kDiracxSource), event("Failed", failed.minor)};
    EXPECT_EQ(seen(failed).cause, EndCause::Exited);
}

TEST(DiracxStates, WhoKilledAJobItsHistoryTells) {
    auto killed = job("Killed", kDiracxKilled);
    killed.history = {event("Waiting", "Pilot Agent Submission"),
                      event("Killed", kDiracxKilled, kDiracxSource),
                      event("Killed", kDiracxKilled, "JobManager")};
    EXPECT_EQ(seen(killed).cause, EndCause::RemovedByUs);
    EXPECT_EQ(seen(killed).reason, "");

    killed.history.insert(killed.history.begin(), event("Running", "Application"));
    EXPECT_THAT(seen(killed).reason, HasSubstr("until its next heartbeat"));

    killed.history = {event("Killed", kDiracxKilled, "JobManager"),
                      event("Killed", kDiracxKilled, kDiracxSource)};
    EXPECT_EQ(seen(killed).cause, EndCause::RemovedByOther);
    EXPECT_EQ(seen(job("Deleted", "")).cause, EndCause::RemovedByOther);
}

TEST(DiracxStates, ARerunIsCountedAndKnownFromWhatCameBefore) {
    auto again = job("Received", "Job Rescheduled");
    again.reschedules = 1;
    again.history = {event("Running", "Application"), event("Rescheduled", "JobWrapper execution"),
                     event("Received", "Job Rescheduled", "JobManager")};
    EXPECT_TRUE(needsDiracxHistory(again));
    EXPECT_TRUE(pastOf(again).startedBefore);
    EXPECT_EQ(seen(again).run, 2);

    again.history[0] = event("Running", "Downloading InputSandbox");
    EXPECT_FALSE(pastOf(again).startedBefore);

    auto waiting = job("Waiting", "Pilot Agent Submission");
    EXPECT_FALSE(needsDiracxHistory(waiting));
    waiting.startedAt = kWhen;
    EXPECT_TRUE(needsDiracxHistory(waiting));
}

TEST(DiracxStates, WhatAnotherJobOfThatIdDidLongAgoSaysNothing) {
    auto fresh = job("Received", "Job accepted");
    fresh.submittedAt = kWhen + std::chrono::hours(48);
    fresh.history = {event("Running", "Application"), event("Killed", kDiracxKilled, "JobManager"),
                     event("Received", "Job accepted", "JobManager")};
    fresh.history[2].at = fresh.submittedAt + Millis(4);

    const auto past = pastOf(fresh);

    EXPECT_FALSE(past.started);
    EXPECT_FALSE(past.startedBefore);
    EXPECT_EQ(past.newest, fresh.history[2].at);
}

TEST(DiracxStates, WhatAnotherJobOfThatIdDidBeforeItWasPurgedSaysNothing) {
    auto second = job("Running", "Job Initialization");
    second.history = {event("Received", "Job accepted", "JobManager"),
                      event("Running", "Application"),
                      event("Killed", kDiracxKilled, kDiracxSource),
                      event("Deleted", kDiracxKilled, "JobCleaningAgent"),
                      event("Received", "Job accepted", "JobManager"),
                      event("Running", "Job Initialization")};

    const auto past = pastOf(second);

    EXPECT_FALSE(past.started);
    EXPECT_FALSE(past.startedBefore);
    EXPECT_FALSE(past.killedByUs);
}

TEST(DiracxStates, ARerunThatWeEndedIsNoRemoval) {
    auto killed = job("Killed", kDiracxKilled);
    killed.history = {event("Running", "Application"),
                      event("Killed", kDiracxKilled, kDiracxSource)};
    killed.history[1].application = kDiracxNotAgain;

    EXPECT_EQ(seen(killed).cause, EndCause::NodeFailure);
    EXPECT_THAT(seen(killed).reason, HasSubstr("reruns = \"kill\""));
}

TEST(DiracxStates, WhyAJobWaitsIsSaidInPlainWords) {
    EXPECT_EQ(seen(job("Received", "Job accepted")).reason,
              "DIRAC has accepted it, and its optimizers have not looked at it yet");
    EXPECT_EQ(
        seen(job("Checking", "JobScheduling", "The following sites are banned: A.B.c")).reason,
        "DIRAC's optimizer JobScheduling holds it: The following sites are banned: A.B.c");
    EXPECT_EQ(seen(job("Waiting", "Pilot Agent Submission")).reason,
              "no pilot that fits it has asked for a job yet");
    EXPECT_EQ(
        observationOf(job("Waiting", "Pilot Agent Submission"), {}, "Tags = {\"GPU\"}").reason,
        "no pilot that fits it has asked for a job yet (Tags = {\"GPU\"})");
    EXPECT_EQ(seen(job("Matched", "Assigned")).reason,
              "a pilot at LCG.Lab.org has taken it (Assigned)");
    EXPECT_EQ(seen(job("Running", "Application")).node, "LCG.Lab.org");
    EXPECT_EQ(seen(job("Stalled", "Application")).reason, "Stalled (Application)");
}

TEST(DiracxStates, FilesAreWaitedForWhereAScriptEndedByItself) {
    auto done = job("Done", "Execution Complete");
    done.history = {event("Running", "Application"), event("Done", "Execution Complete")};
    EXPECT_TRUE(leavesDiracxFiles(seen(done)));

    auto lost = job("Failed", "Job stalled: pilot not running");
    lost.history = {event("Running", "Application"), event("Failed", lost.minor)};
    EXPECT_FALSE(leavesDiracxFiles(seen(lost)));
    EXPECT_FALSE(leavesDiracxFiles(seen(job("Failed", "Illegal Job JDL"))));
}

}  // namespace
}  // namespace gridbridge
