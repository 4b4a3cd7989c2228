// What GitLab shows of jobs on a grid where each fault that its stand-in knows strikes once, and
// where answers are lost; and that nothing is lost or doubled.
#include <cstdio>

#include "tests/engines/DiracxService.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;
using fakegitlab::JobId;
using fakegitlab::JobSnapshot;
using fakegitlab::Status;

enum class Stop { Never, InGitLab, ByOperator };

/// A fault, and what GitLab has of the job that it strikes.
struct Struck {
    std::string fault;  ///< With its options.
    Status status = Status::Success;
    std::string reason;  ///< Of the failure.
    std::string said;    ///< In the job's log.
    int starts = 1;      ///< Of its script; at most, where the log names another run.
    Stop stop = Stop::Never;
};

const std::vector<Struck>& struckJobs() {
    static const std::vector<Struck> kAll{
        {"hold --seconds 3 --text 'Sites are banned: LCG.Lab.org'", Status::Success, "",
         "DIRAC's optimizer JobScheduling holds it: Sites are banned: LCG.Lab.org"},
        {"never-match", Status::Canceled, "", "no pilot that fits it has asked for a job yet", 0,
         Stop::InGitLab},
        {"fail-input", Status::Success, "", "to start it again: run 2"},
        {"pilot-dies --after 1 --seconds 1", Status::Failed, "runner_system_failure",
         "the node failed: Failed (Job stalled: pilot not running)"},
        {"stall --after 1 --seconds 3", Status::Success, "", "Job succeeded"},
        {"reschedule --after 3", Status::Failed, "runner_system_failure",
         "it is not to start twice", 2},
        {"zombie --after 3", Status::Failed, "runner_system_failure", "it is not to start twice",
         2},
        {"operator-kill --after 1", Status::Failed, "runner_interrupted",
         "it was removed, and not by gridbridge"},
        {"deaf --after 0 --seconds 20", Status::Failed, "runner_interrupted",
         "until its next heartbeat", 1, Stop::ByOperator},
        {"watchdog --after 2", Status::Failed, "job_execution_timeout", "line 0"},
        {"clock-ahead --seconds 60", Status::Canceled, "", "Started on", 1, Stop::InGitLab},
        {"lose-output", Status::Failed, "runner_system_failure",
         "the files of the job could not be fetched: they have not come"},
        {"late-output --seconds 3", Status::Success, "", "line 9"},
        {"completed --seconds 3", Status::Success, "", "line 9"},
        {"fail", Status::Success, "", "line 9"},
        {"hostile-output --text link", Status::Failed, "script_failure", "than files"},
        {"hostile-output --text parent", Status::Failed, "script_failure",
         "a name that no job gives back"},
        {"hostile-output --text bomb", Status::Failed, "script_failure", "more than 256 MiB"},
        {"hostile-output --text missing", Status::Failed, "script_failure", "line 9"},
        {"purge --seconds 0", Status::Failed, "runner_system_failure",
         "the batch system does not know the job any more"}};
    return kAll;
}

/// What strikes whoever comes first: all calls of a kind.
constexpr const char* kAtAnybody[] = {
    "api-lost --name 'POST /api/jobs/jdl'",
    "api-503 --name 'POST /api/jobs/jdl'",
    "api-slow --seconds 3 --name 'POST /api/jobs/search'",
    "api-lost --name 'PATCH /api/jobs/status'",
    "api-503 --name 'GET /api/jobs/*'",
    "api-html --name 'POST /api/jobs/jdl'",
    "api-html --name 'POST /api/jobs/search'",
    "api-cut --name 'POST /api/jobs/search'",
    "api-endless --name 'POST /api/jobs/search'",
    "s3-503 --name 'POST *'",
    "s3-cut --name 'POST *'",
    "s3-503 --name 'GET *'",
    "s3-cut --name 'GET *'",
};

std::string kindOf(const std::string& fault) {
    return fault.substr(0, fault.find(' '));
}

class EngineServiceOfDiracx : public DiracxService {};

TEST_F(EngineServiceOfDiracx, WhereRerunsAreAllowedTheLogNamesEachOfThem) {
    serve(8, "poll_interval = 5\nreruns = \"allow\"\n");
    faultAtJob("reschedule --after 0.5", 1);
    const auto id = addPrinting("job", "0.1");

    ASSERT_TRUE(ends({id}));

    const auto job = gitlab->job(id);
    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    EXPECT_TRUE(says(job, "to start it again: run 2\n")) << plain(job.trace);
    EXPECT_TRUE(isWhole(job));
    EXPECT_EQ(starts("job"), 2);
    EXPECT_EQ(submission(id, "run"), "2");
}

TEST_F(EngineServiceOfDiracx, ARefreshOfTheLegacyExchangeThatIsNotAnsweredCostsNothing) {
    diracx.login("--access-seconds 3");
    diracx.fault("api-lost --name 'POST /api/auth/token'");
    const auto before = diracx.fired()["api-lost"];
    serve(8);
    const auto id = addPrinting("job", "1.5");

    ASSERT_TRUE(ends({id}));

    expectWhole(id, "job");
    EXPECT_EQ(diracx.fired()["api-lost"], before + 1);
}

TEST_F(EngineServiceOfDiracx, ARotatedTokenWhoseRefreshIsNotAnsweredTakesOneLoginAndNoJob) {
    diracx.login("--rotating --access-seconds 3");
    const auto before = refreshes();
    diracx.fault("api-lost --name 'POST /api/auth/token'");
    serve(8);
    const auto id = addPrinting("job", "1.5");
    ASSERT_TRUE(waitFor([&] { return refreshes() == before + 2; }, "a second refresh, in vain"));
    EXPECT_TRUE(waitFor(
        [&] { return service->log().find("backend here takes no jobs") != std::string::npos; },
        "the line that jobs wait"));

    diracx.login("--rotating");

    ASSERT_TRUE(ends({id}));
    expectWhole(id, "job");
}

/// For a person who has the time: DIRACX_ENGINE_ACCESS_MINUTES=1 ENGINE_SECONDS=600.
class DiracxLong : public DiracxService {};

TEST_F(DiracxLong, NoPollFailsWhileTokensComeAndGo) {
    const int length = chosen("ENGINE_SECONDS", 100);
    const auto before = refreshes();
    diracx.login("--rotating");
    serve(8);
    const auto end = clock.steadyNow() + std::chrono::seconds(length);
    int jobs = 0;
    for (; clock.steadyNow() < end; ++jobs) {
        const auto name = "job" + std::to_string(jobs);
        const auto id = addPrinting(name, "2");
        ASSERT_TRUE(ends({id}));
        expectWhole(id, name);
    }
    std::printf("%d s, %d jobs one after the other, %d refreshes, %d looks\n", length, jobs,
                refreshes() - before, timesIn(diracx.calls(), "POST_/api/jobs/search"));
    EXPECT_GT(refreshes(), before);
    EXPECT_EQ(service->log().find("takes no jobs"), std::string::npos) << service->log();
}

class EngineOutcomesOfDiracx : public DiracxService {
protected:
    std::string nameOf(std::size_t i) const { return "job" + std::to_string(i + 1); }
    void addAll() {
        for (std::size_t i = 0; i < struckJobs().size(); ++i) {
            faultAtJob(struckJobs()[i].fault, i + 1);
        }
        for (const auto* fault : kAtAnybody) {
            diracx.fault(fault);
        }
        for (std::size_t i = 0; i < struckJobs().size(); ++i) {
            const auto& struck = struckJobs()[i];
            // An output that is lost is waited for until nobody wants the job any more.
            const bool isShort = kindOf(struck.fault) == "lose-output";
            const std::string last = struck.stop == Stop::Never ? "true" : "sleep 300";
            ids.push_back(
                add(nameOf(i),
                    {"for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.6; done; " + last},
                    isShort ? fakegitlab::Seconds(40) : std::chrono::hours(1)));
        }
    }
    void stopSome() {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const auto& struck = struckJobs()[i];
            if (struck.stop == Stop::Never) {
                continue;
            }
            ASSERT_TRUE(waitFor(
                [&] {
                    return starts(nameOf(i)) >= struck.starts &&
                           says(gitlab->job(ids[i]), struck.starts == 0 ? struck.said : "Started");
                },
                struck.fault));
            if (struck.stop == Stop::InGitLab) {
                gitlab->cancel(ids[i]);
            } else {
                service->command({"cancel", std::to_string(ids[i])});
            }
        }
    }
    void expectAsTold(const Struck& struck, const JobSnapshot& job, const std::string& name) {
        EXPECT_EQ(job.status, struck.status) << struck.fault << "\n" << plain(job.trace);
        // A second run that had begun may have told how it ended.
        const bool hasTold = starts(name) > 1 && job.failureReason == "runner_interrupted";
        EXPECT_TRUE(job.failureReason == struck.reason || hasTold)
            << struck.fault << ": " << job.failureReason << "\n"
            << plain(job.trace);
        EXPECT_TRUE(says(job, struck.said)) << struck.fault << "\n" << plain(job.trace);
        EXPECT_EQ(job.acceptedFinals, struck.status == Status::Canceled ? 0 : 1) << struck.fault;
        EXPECT_TRUE(job.status != Status::Success || isWhole(job)) << plain(job.trace);
        EXPECT_LE(starts(name), struck.starts) << struck.fault;
        EXPECT_GE(starts(name), std::min(struck.starts, 1)) << struck.fault;
        EXPECT_TRUE(starts(name) < 2 || says(job, "to start it again: run 2")) << struck.fault;
    }

    std::vector<JobId> ids;
};

TEST_F(EngineOutcomesOfDiracx, EachFaultStrikesAndEachJobEndsOnceAsItShould) {
    serve(32);
    addAll();
    ASSERT_NO_FATAL_FAILURE(stopSome());

    EXPECT_TRUE(ends(ids));

    auto fired = diracx.fired();
    int asked = 0;  // Whether DIRAC has them: the answer of their submission was lost.
    std::printf("%-13s %5s  %-9s %-22s %6s  %s\n", "fault", "fired", "state", "reason", "starts",
                "last line of the log");
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto& struck = struckJobs()[i];
        const auto job = gitlab->job(ids[i]);
        expectAsTold(struck, job, nameOf(i));
        asked += says(job, "whether the batch system has it is being found out") ? 1 : 0;
        EXPECT_EQ(diracx.named(key(ids[i])), kindOf(struck.fault) == "purge" ? 0 : 1);
        const auto kind = kindOf(struck.fault);
        std::printf("%-13s %5d  %-9s %-22s %6ld  %s\n", kind.c_str(), fired[kind],
                    std::string(fakegitlab::nameOf(job.status)).c_str(), job.failureReason.c_str(),
                    starts(nameOf(i)), lastLine(job).c_str());
        EXPECT_GE(fired[kind], 1) << kind;
    }
    EXPECT_GE(asked, 1);
    for (const auto* fault : kAtAnybody) {
        const auto kind = kindOf(fault);
        std::printf("%-13s %5d  no job noticed\n", kind.c_str(), fired[kind]);
        EXPECT_GE(fired[kind], 1) << fault;
    }
}

}  // namespace
}  // namespace gridbridge::testing
