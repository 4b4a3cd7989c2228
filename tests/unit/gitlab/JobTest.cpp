#include <set>

#include "bridge/base/Process.h"
#include "bridge/gitlab/Ansi.h"
#include "tests/fakegitlab/Payload.h"
#include "tests/unit/gitlab/Library.h"

namespace gridbridge::gitlab {
namespace {

using fakegitlab::FaultKind;
using fakegitlab::Status;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using JobTest = Library;
constexpr auto kGreeting = "Running with detector-runner 2.1\n";

TEST_F(JobTest, FileOfThePythonPackageSaysEverything) {
    const auto job = Job::loads(Secret(fixture("job-running.json")));

    EXPECT_EQ(job.id(), 914207);
    EXPECT_EQ(job.token().reveal(), "glcbt-fixtureJobToken");
    EXPECT_EQ(job.state(), "running");
    EXPECT_EQ(
        job.log().text(),
        "Running with gitlab_runner_api 1.0.4\nSetting up \u2014 d\u00e9tecteur \U0001F52D\n");
    EXPECT_EQ(job.username(), "ada");
    EXPECT_EQ(job.projectUrl(), "https://gitlab.example.org/physics/detector-sim");
    EXPECT_EQ(job.projectPath(), "physics/detector-sim");
    EXPECT_EQ(job.projectName(), "detector-sim");
    EXPECT_EQ(job.ref(), "nightly");
    EXPECT_TRUE(job.isBranch());
    EXPECT_EQ(job.repoUrl(), "https://gitlab.example.org/physics/detector-sim.git");
    EXPECT_EQ(job.name(), "simulate 2/4");
    EXPECT_EQ(job.stage(), "production");
    EXPECT_EQ(job.jobUrl(), "https://gitlab.example.org/physics/detector-sim/-/jobs/914207");
    EXPECT_EQ(job.pipelineUrl(),
              "https://gitlab.example.org/physics/detector-sim/-/pipelines/70811");
    EXPECT_EQ(job.commitSha(), "8a1f0c1f7e5f4d3b2a190f8e7d6c5b4a39281706");
    EXPECT_EQ(job.commitMessage(), "Ajoute le d\u00e9tecteur \U0001F52D\n");
    EXPECT_EQ(job.pipelineId(), 70811);
    EXPECT_THAT(job.script(), ElementsAre("source setup.sh", "./simulate --events 5000"));
    EXPECT_THAT(job.afterScript(), ElementsAre("./collect-logs.sh"));
    const auto* pattern = job.description().variable("PATTERN");
    ASSERT_NE(pattern, nullptr);
    EXPECT_TRUE(pattern->isPublic && !pattern->masked);
    EXPECT_EQ(pattern->bash(), "export PATTERN='run_$ID'");
}

TEST_F(JobTest, DumpOfALoadedJobIsTheSameJob) {
    const auto file = folder.path() / "job.json";
    Job::loads(Secret(fixture("job-partly-sent.json"))).dump(file);

    const auto again = Job::load(file);

    EXPECT_EQ(again.dumps(), Job::loads(Secret(fixture("job-partly-sent.json"))).dumps());
    EXPECT_EQ(again.commitMessage(), "Ajoute le d\u00e9tecteur \U0001F52D\n");
    EXPECT_EQ(again.description().failureReasons.size(), 7U);
    EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
}

TEST_F(JobTest, FileCutAnywhereIsRefusedWithoutItsTokens) {
    const auto whole = fixture("job-running.json");
    for (std::size_t length = 0; length < whole.size(); length += 7) {
        const auto text = whole.substr(0, length);
        const auto said = thrown<RunnerError>([&] { Job::loads(Secret(text)); });
        ASSERT_THAT(said, StartsWith("this is no job's file: ")) << length;
        ASSERT_THAT(said, Not(HasSubstr("fixture"))) << length;
    }
    const auto refusal = [&](const std::string& from, const std::string& to) {
        return thrown<RunnerError>([&] { Job::loads(Secret(replaced(whole, from, to))); });
    };
    EXPECT_EQ(refusal("[1, \"[1", "[3, \"[1"),
              "this job's file has version 3; only version 1 can be read");
    EXPECT_EQ(refusal("\"[1,", "\"[3,"),
              "this runner's file has version 3; only version 1 can be read");
    EXPECT_THAT(refusal("\"running\"", "\"paused\""), HasSubstr("not running, success or failed"));
    EXPECT_THAT(refusal("\"id\": 914207, \"token\"", "\"id\": null, \"token\""),
                HasSubstr("the job cannot be understood: id"));
    EXPECT_THAT(thrown<RunnerError>([] { Job::loads(Secret(fixture("runner.json"))); }),
                HasSubstr("its second element is not a runner"));
}

TEST_F(JobTest, LifeOfAJob) {
    start();
    auto job = claim({.variables = {{.key = "KEY", .value = "hunter2-secret", .masked = true}}});
    job.log() += std::string(ansi::kBoldGreen) + "the key is hunter2-sec";
    clock.advance(seconds(3));
    job.log() += "ret, really\xff\n";
    job.auth();
    job.setFailed(FailureReason::ScriptFailure, 3);

    const auto seen = server->job(job.id());
    EXPECT_EQ(seen.trace, std::string(kGreeting) + "\033[32;1mthe key is [MASKED], really\uFFFD\n");
    EXPECT_EQ(seen.trace, job.log().text());
    EXPECT_EQ(seen.status, Status::Failed);
    EXPECT_EQ(seen.failureReason, "script_failure");
    EXPECT_EQ(seen.exitCode, 3);
    EXPECT_EQ(job.state(), "failed");
    EXPECT_THAT(thrown<AlreadyFinished>([&] { job.setSuccess(); }),
                HasSubstr("has already ended as failed"));
    EXPECT_THAT(thrown<AlreadyFinished>([&] {
                    clock.advance(seconds(3));
                    job.log() += "more";
                }),
                HasSubstr("has already ended"));
}

TEST_F(JobTest, LogGoesOutAtTheIntervalOfTheServer) {
    start({.traceUpdateInterval = seconds(7)});
    auto job = claim();
    job.log() += "first\n";
    job.log() += "second\n";
    EXPECT_EQ(server->job(job.id()).trace, std::string(kGreeting) + "first\n");
    clock.advance(seconds(6));
    job.log() += "third\n";
    EXPECT_EQ(server->job(job.id()).trace, std::string(kGreeting) + "first\n");
    clock.advance(seconds(1));
    job.log() += "fourth\n";
    EXPECT_EQ(server->job(job.id()).trace, job.log().text());
    job.log() += "fifth\n";
    EXPECT_TRUE(job.log().flush());
    EXPECT_EQ(server->job(job.id()).trace, job.log().text());
    job.setSuccess();
}

TEST_F(JobTest, NoTextIsLostOrDoubledByAFailingServer) {
    start();
    auto job = claim();
    std::string wanted = kGreeting;
    for (const auto fault :
         {FaultKind::PatchAnswerLost, FaultKind::InternalError, FaultKind::ConnectionDropped,
          FaultKind::TooManyRequests, FaultKind::Conflict, FaultKind::TraceForgotten}) {
        server->failNext(fault, 1, fakegitlab::Call::Patch);
        const std::string line = std::string(nameOf(fault)) + "\n";
        job.log() += line;
        wanted += line;
        clock.advance(seconds(10));
        EXPECT_EQ(server->faults().at(fault), 1U);
    }
    server->failNext(FaultKind::FinalAnswerLost, 1, fakegitlab::Call::PutFinal);

    job.setSuccess();

    EXPECT_EQ(server->job(job.id()).trace, wanted);
    EXPECT_EQ(server->status(job.id()), Status::Success);
    EXPECT_EQ(server->job(job.id()).acceptedFinals, 1);
    EXPECT_EQ(job.state(), "success");
}

TEST_F(JobTest, VerdictWaitsForTheServerAndForItsStorage) {
    start({.liveTrace = seconds(10), .heartbeatLimit = Millis(0)});
    auto job = claim();
    job.log() += "text\n";
    server->goAway();
    EXPECT_THAT(thrown<Unreachable>([&] { job.setSuccess(); }),
                HasSubstr("could not be delivered"));
    EXPECT_EQ(job.state(), "running");
    server->comeBack();

    job.setSuccess();

    EXPECT_EQ(server->status(job.id()), Status::Success);
    EXPECT_GT(server->job(job.id()).deferredFinals, 0);
}

TEST_F(JobTest, StopEndsTheWait) {
    start();
    server->addJob({});
    std::stop_source stop;
    auto with = options();
    with.stop = stop.get_token();
    auto from = Runner::loads(Secret(here(fixture("runner.json"))), with);
    auto job = from.requestJob();
    server->goAway();
    stop.request_stop();

    EXPECT_NE(thrown<Unreachable>([&] { job->setSuccess(); }), "nothing");
}

TEST_F(JobTest, ClaimedJobIsHandedOverWhateverBecomesOfItsFirstSignOfLife) {
    start();
    server->addJob({});
    server->failNext(FaultKind::ProxyBadRequest, 1, fakegitlab::Call::PutRunning);
    auto from = runner();
    auto job = from.requestJob();
    ASSERT_TRUE(job.has_value());
    job->auth();
    job->setSuccess();
    EXPECT_EQ(server->faults().at(FaultKind::ProxyBadRequest), 1U);

    server->failNext(FaultKind::InternalError, 5, fakegitlab::Call::PutRunning);
    job.emplace(claim());
    EXPECT_NE(thrown<Unreachable>([&] { job->auth(); }), "nothing");
    EXPECT_NE(thrown<Unreachable>([&] { job->auth(); }), "nothing");
    job->auth();
    job->setSuccess();
}

TEST_F(JobTest, CancelledJobIsOver) {
    start();
    auto taken = claim();
    server->forceCancel(taken.id());
    EXPECT_THAT(thrown<JobCancelled>([&] { taken.auth(); }), HasSubstr("was cancelled"));
    EXPECT_NE(thrown<JobCancelled>([&] { taken.setFailed(); }), "nothing");
}

TEST_F(JobTest, JobThatShallStopGracefullyCanStillBeWrittenTo) {
    start();
    auto with = options();
    with.features.emplace_back("cancel_gracefully");
    server->addJob({});
    auto from = Runner::loads(Secret(here(fixture("runner.json"))), with);
    auto job = from.requestJob();
    server->cancel(job->id());
    EXPECT_THAT(thrown<JobCancelled>([&] { job->log() += "working\n"; }),
                HasSubstr("end it with setFailed()"));
    clock.advance(seconds(3));
    job->log() += "stopped\n";
    job->setFailed();
    EXPECT_EQ(server->status(job->id()), Status::Canceled);
    EXPECT_EQ(server->job(job->id()).trace, std::string(kGreeting) + "working\nstopped\n");
}

TEST_F(JobTest, JobThatGitLabEndedOrForgotIsToldApart) {
    start();
    auto ended = claim();
    server->erase(ended.id());
    EXPECT_NE(thrown<AuthError>([&] { ended.auth(); }), "nothing");
    auto other = claim();
    auto text = replaced(other.dumps().reveal(), other.token().reveal(), "glcbt-wrong");
    auto wrong = Job::loads(Secret(text), options());
    EXPECT_THAT(thrown<AuthError>([&] { wrong.auth(); }),
                AllOf(HasSubstr("is not accepted"), Not(HasSubstr("glcbt-"))));
    other.setSuccess();
    auto late = Job::loads(Secret(replaced(other.dumps().reveal(), "\"success\"", "\"running\"")),
                           options());
    EXPECT_NE(thrown<AlreadyFinished>([&] { late.auth(); }), "nothing");
    EXPECT_NE(thrown<AlreadyFinished>([&] { Job::loads(other.dumps(), options()).setSuccess(); }),
              "nothing");
}

TEST_F(JobTest, LogThatWasPartlySentGoesOnAtTheByteTheServerNames) {
    start();
    std::optional<fakegitlab::JobId> id;
    const std::string sent =
        "Running with gitlab_runner_api 1.0.4\nSetting up \u2014 d\u00e9tecteur \U0001F52D\n";
    auto job = Job::loads(Secret(dumpOf("job-partly-sent.json", sent, id)), options());

    job.log() += "the key is s3cr3t-value-1234\n";
    job.setSuccess();

    EXPECT_EQ(server->job(*id).trace,
              sent + "this line never reached the server: \u65e5\u672c\nthe key is [MASKED]\n");
    EXPECT_EQ(server->job(*id).trace, job.log().text());
}

TEST_F(JobTest, LogOfARunningJobIsNotSentAgain) {
    start();
    std::optional<fakegitlab::JobId> id;
    const auto sent = Job::loads(Secret(fixture("job-running.json"))).log().text();
    auto job = Job::loads(Secret(dumpOf("job-running.json", sent, id)), options());

    job.setFailed(FailureReason::RunnerInterrupted);

    EXPECT_EQ(server->job(*id).trace, sent);
    EXPECT_EQ(server->job(*id).failureReason, "runner_interrupted");
}

TEST_F(JobTest, LogThatNeverArrivedIsSentWhole) {
    start();
    std::optional<fakegitlab::JobId> id;
    auto job = Job::loads(Secret(dumpOf("job-running.json", "", id)), options());
    job.auth();
    EXPECT_EQ(server->job(*id).trace, job.log().text());
    EXPECT_THAT(job.log().text(), StartsWith("Running with gitlab_runner_api 1.0.4\n"));
    job.setSuccess();
}

TEST_F(JobTest, ServerThatHasMoreThanTheDumpIsContinued) {
    start({.requireChecksum = false});
    std::optional<fakegitlab::JobId> id;
    const auto sent =
        Job::loads(Secret(fixture("job-running.json"))).log().text() + "written after the dump\n";
    auto job = Job::loads(Secret(dumpOf("job-running.json", sent, id)), options());

    job.log() += "and on\n";
    job.setSuccess();

    EXPECT_EQ(server->job(*id).trace, sent + "and on\n");
    EXPECT_EQ(server->job(*id).lastChecksum, "");
}

TEST_F(JobTest, TokenOfADependencyIsHiddenInEveryForm) {
    start();
    auto job =
        claim({.merge = R"({"dependencies":[{"id":7,"name":"build","token":"other/token"}]})"});

    job.log() += "other/token other%2Ftoken Z2l0bGFiLWNpLXRva2VuOm90aGVyL3Rva2Vu\n";
    job.setSuccess();

    EXPECT_EQ(server->job(job.id()).trace, std::string(kGreeting) + "[MASKED] [MASKED] [MASKED]\n");
}

TEST_F(JobTest, SecretCutByADumpStaysHidden) {
    start();
    auto job = claim({.variables = {{.key = "KEY", .value = "hunter2-secret", .masked = true}}});
    job.log() += "it is hunter2-se";

    auto again = Job::loads(job.dumps(), options());
    again.log() += "cret\n";
    again.setSuccess();

    EXPECT_EQ(server->job(job.id()).trace, std::string(kGreeting) + "it is [MASKED]\n");
}

TEST_F(JobTest, LongLogGoesInPiecesThatServersAndProxiesTake) {
    start({.proxyLimit = 300'000});
    auto job = claim();
    const std::string line(100, 'x');
    std::string text;
    for (int i = 0; i < 25'000; ++i) {
        text += line + "\n";
    }
    job.log() += text;
    job.setSuccess();

    EXPECT_EQ(server->job(job.id()).trace, kGreeting + text);
    int refused = 0;
    for (const auto& request : server->requests()) {
        EXPECT_LE(request.bodyBytes, std::size_t{1} << 20U);
        refused += request.status == 413 ? 1 : 0;
    }
    EXPECT_EQ(refused, 2) << "the size that passes is remembered";
}

TEST_F(JobTest, RegistryIsThatOfTheImage) {
    start();
    auto job = claim({.merge = R"({"credentials": [
        {"type": "registry", "url": "registry.example.org", "username": "a", "password": "p1"},
        {"type": "registry", "url": "registry.example.org/physics", "username": "b", "password": "p2"},
        {"type": "other", "url": "registry.example.org/physics/x", "username": "c", "password": "p3"}]})"});

    EXPECT_EQ(job.registryCredential("registry.example.org/el9:1")->username, "a");
    EXPECT_EQ(job.registryCredential("registry.example.org/physics/x")->password.reveal(), "p2");
    EXPECT_FALSE(job.registryCredential("registry.example.org.evil.net/x").has_value());
    EXPECT_FALSE(job.registryCredential("el9").has_value());
    job.setSuccess();
}

TEST(JobVariableBash, GivesTheShellExactlyTheValue) {
    SystemClock clock;
    for (const std::string value :
         {"plain", "", "it's $HOME `id` $(id) \"quoted\" \\n", "two\nlines\n", "'", "d\u00e9t"}) {
        const JobVariable variable{.key = "KEY", .value = value};
        Command command{.argv = {"/bin/sh", "-c", variable.bash() + "\nprintf %s \"$KEY\""}};
        const auto ended = PosixProcessRunner(clock).run(
            command, {clock.steadyNow() + std::chrono::minutes(1)}, 4096);
        ASSERT_TRUE(ended.ok());
        EXPECT_EQ(ended->out, value);
    }
    for (const auto* key : {"", "1A", "A B", "A;id", "A=B"}) {
        EXPECT_EQ((JobVariable{.key = key, .value = "x"}).bash(), "") << key;
    }
    EXPECT_EQ((JobVariable{.key = "A", .value = std::string("a\0b", 3)}).bash(), "");
}

TEST(FailureReasonName, IsOneOfTheServersForEachOfThem) {
    std::set<std::string> names;
    for (int i = 0; i <= static_cast<int>(FailureReason::DownstreamProjectTriggerResolvedToEmpty);
         ++i) {
        names.emplace(nameOf(static_cast<FailureReason>(i)));
    }
    EXPECT_EQ(names, fakegitlab::knownFailureReasons());
    EXPECT_EQ(nameOf(FailureReason::ScriptFailure), "script_failure");
    EXPECT_EQ(nameOf(FailureReason::RunnerInterrupted), "runner_interrupted");
}

}  // namespace
}  // namespace gridbridge::gitlab
