// GitLab away for as long as one says, with nothing else wrong: what a night of maintenance does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/Simulation.h"

namespace gridbridge::simulation {
namespace {

using namespace std::chrono_literals;
using fakegitlab::Status;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PlannedJob job(const std::string& name, Millis runTime, std::chrono::seconds timeout = 1h) {
    PlannedJob planned;
    planned.name = name;
    planned.timeout = timeout;
    planned.runTime = runTime;
    planned.printTime = runTime;
    planned.secrets = {"Secret" + name, "Another" + name};
    for (int line = 0; line < 200; ++line) {
        const auto number = std::to_string(line);
        planned.raw += "line " + number + " Secret" + name + "\n";
        planned.expected += "line " + number + " [MASKED]\n";
    }
    return planned;
}

/// Away from the second minute on.
Plan away(Millis howLong, std::vector<PlannedJob> jobs) {
    Plan plan;
    plan.seed = 1;
    plan.jobs = std::move(jobs);
    plan.events = {{2min, EventKind::GitLabAway, howLong}};
    plan.chaos = 2min + howLong;
    return plan;
}

std::vector<std::string> told(const Simulation& run, const std::string& words) {
    std::vector<std::string> lines;
    std::copy_if(run.story().begin(), run.story().end(), std::back_inserter(lines),
                 [&](const auto& line) { return line.find(words) != std::string::npos; });
    return lines;
}

std::vector<std::string> names(const std::vector<Finding>& findings) {
    std::vector<std::string> texts;
    for (const auto& finding : findings) {
        texts.push_back(finding.invariant + ": " + finding.what);
    }
    return texts;
}

TEST(GitLabAway, TenMinutesFailNothing) {
    Simulation run(away(10min, {job("long", 30min), job("other", 20min)}));

    EXPECT_THAT(names(run.run()), IsEmpty());

    for (const auto& planned : run.plan().jobs) {
        EXPECT_EQ(run.gitlab().status(run.id(planned)), Status::Success) << planned.name;
    }
    EXPECT_EQ(told(run, "GitLab does not take what is said").size(), 1U);
    EXPECT_EQ(told(run, "GitLab answers again about jobs").size(), 1U);
}

TEST(GitLabAway, JobsThatEndMeanwhileAreReportedWhenItIsBack) {
    auto bad = job("bad", 6min);
    bad.exitCode = 3;
    Simulation run(away(10min, {job("good", 5min), bad}));

    EXPECT_THAT(names(run.run()), IsEmpty());

    const auto good = run.gitlab().job(run.id(run.plan().jobs[0]));
    EXPECT_EQ(good.status, Status::Success);
    EXPECT_GE(*good.endedAt - run.begin(), 12min);
    EXPECT_LE(*good.endedAt - run.begin(), 14min) << "reports follow soon";
    const auto failed = run.gitlab().job(run.id(run.plan().jobs[1]));
    EXPECT_EQ(failed.failureReason, "script_failure");
    EXPECT_EQ(failed.exitCode, 3);
}

TEST(GitLabAway, LongerThanAJobTokenLivesEndsTheJobHereWithOneLine) {
    auto plan = away(25min, {job("short", 5min, 10min)});  // Its token dies after 15 minutes.
    plan.jwt = true;
    Simulation run(std::move(plan));

    const auto findings = names(run.run());

    ASSERT_EQ(findings.size(), 1U) << ::testing::PrintToString(findings);
    EXPECT_THAT(findings.front(), HasSubstr("was never reported"));
    EXPECT_TRUE(run.atRest());
    EXPECT_THAT(run.leftovers(), IsEmpty());
    EXPECT_EQ(told(run, "the final report of a job is given up, the job token is dead").size(), 1U);
}

}  // namespace
}  // namespace gridbridge::simulation
