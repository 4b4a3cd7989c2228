// What becomes of jobs when a real ARC does its worst, or their own scripts do.
#include <gmock/gmock.h>

#include <filesystem>

#include "bridge/folder/DirectFolders.h"
#include "bridge/http/PocoTransport.h"
#include "tests/engines/ArcHarness.h"
#include "tests/engines/EngineFault.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ArcFault : public EngineFault<ArcHarness> {
protected:
    bool isDone(const JobRef& ref) {
        const auto outcome = harness.backend().collect(ctx(), std::vector{ref}).at(0);
        return outcome.ok() && *outcome == CollectOutcome::Done;
    }
    Result<LogChunk> log(const JobRef& ref) {
        const std::vector<LogRequest> requests{{ref, 1, 0, 1 << 20}};
        return harness.backend().readLogs(ctx(), requests).at(0);
    }
    /// Its script begins so.
    BatchJob planOf(const std::string& script, const JobPlan& what) {
        auto job = plan(what);
        job.inputs[0].content.insert(0, script + "\n");
        return job;
    }
    int processes(const std::string& words) {
        return std::atoi(engine.run("pgrep -cxf '" + words + "'").out.c_str());
    }
};

/// Loses the answer to the next submission, after which something more may go wrong.
class LosesAnswer final : public http::Transport {
public:
    LosesAnswer(const ArcConfig& config, const Clock& clock, std::function<void()> after)
        : real_(config.url, clock, "test", {.tls = config.tls}), after_(std::move(after)) {}
    Result<http::Response> send(const CallContext& ctx, const http::Request& request) override {
        auto answer = real_.send(ctx, request);
        if (lost_ || !answer || !request.path.ends_with("action=new")) {
            return answer;
        }
        lost_ = true;
        after_();
        return uncertainError("the answer was lost");
    }
    const std::string& baseUrl() const override { return real_.baseUrl(); }
    Result<std::unique_ptr<http::Transport>> to(const std::string& url) const override {
        return real_.to(url);
    }

private:
    http::PocoTransport real_;
    std::function<void()> after_;
    bool lost_ = false;
};

TEST_F(ArcFault, ASubmissionWithoutAnAnswerIsFoundAndRunsOnce) {
    for (const bool killed : {false, true}) {
        const auto job = plan({.output = "once"});
        TempDir temp;
        folder::DirectFolders folders(temp.path() / "work");
        SystemClock clock;
        PosixProcessRunner runner(clock);
        ArcBackend backend(harness.config,
                           std::make_unique<LosesAnswer>(harness.config, clock,
                                                         [&] {
                                                             if (killed) {
                                                                 engine.kill("ws");
                                                             }
                                                         }),
                           folders, runner, clock, [](const std::string&) {});
        JobRef ref{job.key, "", {}, {}};

        const auto lost = backend.submit(ctx(), std::vector{job}).at(0);
        ASSERT_FALSE(lost.ok());
        EXPECT_EQ(lost.error().kind, ErrorKind::Uncertain);
        EXPECT_EQ(harness.starts(job), 0);
        engine.repair();
        const auto found = backend.find(ctx(), std::vector{ref});
        ASSERT_TRUE(found.ok()) << found.error().message;
        ASSERT_EQ(found->size(), 1U);
        ref.id = found->front().id;

        EXPECT_TRUE(eventually([&] {
            const auto seen = backend.observe(ctx(), std::vector{ref});
            return seen.ok() && seen->front().exitCode == 0;
        }));
        EXPECT_EQ(backend.collect(ctx(), std::vector{ref}).at(0).value(), CollectOutcome::Done);
        EXPECT_EQ(harness.starts(job), 1);
        EXPECT_TRUE(backend.release(ctx(), std::vector{ref}).at(0).ok());
    }
}

TEST_F(ArcFault, AKillOfTheWebServiceChangesNothingForJobs) {
    const auto job = plan({.output = "all the time", .held = true});
    const auto ref = running(job);
    engine.kill("ws");

    const auto blind = look(ref);
    const auto other = plan({});
    const auto refused = trySubmit(other);
    ASSERT_FALSE(blind.ok() || refused.ok());
    EXPECT_EQ(blind.error().kind, ErrorKind::Transient);
    EXPECT_EQ(refused.error().kind, ErrorKind::Transient);
    engine.kill("arex");
    harness.letEnd(job);
    engine.repair();

    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_TRUE(isDone(ref));
    EXPECT_EQ(log(ref)->bytes, "all the time");
    EXPECT_EQ(found(other), 0U);
    EXPECT_EQ(harness.starts(job), 1);
}

TEST_F(ArcFault, AHardCancelLeavesNoProcessWhateverTheScriptDoes) {
    const auto job = planOf("(setsid sh -c 'trap \"\" TERM; sleep 8641') & sleep 8642 &",
                            {.output = "busy", .held = true, .ignoresTerm = true});
    const auto ref = running(job);
    EXPECT_TRUE(eventually([&] { return processes("sleep 864[12]") == 2; }));
    const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};

    EXPECT_EQ(harness.backend().cancel(ctx(), requests).at(0).value(), CancelOutcome::Requested);

    EXPECT_TRUE(eventually([&] { return processes("sleep 864[12]") == 0; }, 20s));
    EXPECT_EQ(ended(ref).cause, EndCause::RemovedByUs);
    EXPECT_TRUE(isDone(ref));
    EXPECT_EQ(log(ref)->bytes, "busy");
}

TEST_F(ArcFault, WhoEndedAJobIsTold) {
    const auto ref = running(plan({.held = true}));
    ArcHarness other;  // Of another service with the same certificate.
    const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};

    EXPECT_TRUE(other.backend().cancel(ctx(), requests).at(0).ok());

    EXPECT_EQ(ended(ref).cause, EndCause::RemovedByOther);
}

TEST_F(ArcFault, ALogThatGivesNoByteDelaysNoOther) {
    const auto strange = planOf("rm out/log; mkfifo out/log", {.held = true});
    const auto usual = plan({.output = "here", .held = true});
    const std::vector<JobRef> refs{running(strange), running(usual)};
    EXPECT_TRUE(eventually([&] { return log(refs[1])->bytes == "here"; }));
    const std::vector<LogRequest> requests{{refs[0], 1, 0, 1000}, {refs[1], 1, 0, 1000}};
    const auto begin = harness.clock().steadyNow();

    for (int i = 0; i < 3; ++i) {
        const auto read = harness.backend().readLogs(ctx(), requests);
        EXPECT_FALSE(read[0].ok());
        EXPECT_EQ(read[1]->bytes, "here");
    }

    EXPECT_LT(harness.clock().steadyNow() - begin, 12s);
    harness.letEnd(usual);
    EXPECT_EQ(ended(refs[1]).exitCode, 0);
}

TEST_F(ArcFault, WhoArcDoesNotKnowOrTrustIsTold) {
    const auto usual = harness.config.tls;
    const auto probed = [&] {
        harness.restart();
        return harness.backend().probe(ctx());
    };
    harness.config.tls.cert = engine.setting("ARC_CERT_STRANGER");
    harness.config.tls.key = engine.setting("ARC_KEY_STRANGER");
    const auto stranger = probed();
    harness.config.tls = {.ca = usual.cert, .cert = usual.cert, .key = usual.key};
    const auto distrust = probed();
    harness.config.tls = {.ca = usual.ca};
    const auto nobody = probed();

    for (const auto* each : {&stranger, &distrust, &nobody}) {
        ASSERT_FALSE(each->ok());
        EXPECT_EQ(each->error().kind, ErrorKind::Transient);
        EXPECT_TRUE(each->error().misconfigured) << each->error().message;
    }
    EXPECT_THAT(stranger.error().message, HasSubstr("gives this service's certificate"));
    EXPECT_THAT(distrust.error().message, HasSubstr("tls_ca_file"));
    harness.config.tls = usual;
    harness.restart();
}

TEST_F(ArcFault, OfTwoWithOneKeyOneRuns) {
    const auto job = plan({.output = "once"});
    const auto ref = submit(job);
    // As a submission that arrives when nobody waits for it any more.
    const auto said = engine.run(
        ". '" + engine.settings().string() +
        "' && curl -sf --retry 3 "
        "--retry-all-errors --cacert $ARC_CA_FILE --cert $ARC_CERT --key $ARC_KEY -X POST -H "
        "Content-Type:application/rsl --data-binary '&(executable=\"gridbridge.sh\")(inputFiles="
        "(\"gridbridge.sh\" \"\"))(jobName=\"" +
        job.key.value +
        "\")' "
        "\"$ARC_REST/jobs?action=new\"");
    ASSERT_EQ(said.exitCode, 0) << said.err;

    EXPECT_EQ(found(job), 1U);

    // Until ARC has removed the other, it may be unable to say which job that is.
    const auto again = [&] {
        const auto taken = trySubmit(job);
        return taken.ok() && taken->accepted && taken->accepted->id == ref.id;
    };
    EXPECT_TRUE(eventually(again));
    EXPECT_EQ(ended(ref).exitCode, 0);
    EXPECT_EQ(harness.starts(job), 1);
}

}  // namespace
}  // namespace gridbridge::testing
