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

/// Loses the first answer to calls of a kind, after which something more may go wrong.
class LosesAnswer final : public http::Transport {
public:
    using Which = std::function<bool(const http::Request&)>;
    LosesAnswer(const ArcConfig& config, const Clock& clock, Which which,
                std::function<void()> after)
        : real_(config.url, clock, "test", {.tls = config.tls}),
          which_(std::move(which)),
          after_(std::move(after)) {}
    Result<http::Response> send(const CallContext& ctx, const http::Request& request) override {
        auto answer = real_.send(ctx, request);
        if (lost_ || !answer || !which_(request)) {
            return answer;
        }
        lost_ = true;
        after_();
        return http::Response{502, {}, {}, {}};
    }
    const std::string& baseUrl() const override { return real_.baseUrl(); }
    Result<std::unique_ptr<http::Transport>> to(const std::string& url) const override {
        return real_.to(url);
    }

private:
    http::PocoTransport real_;
    Which which_;
    std::function<void()> after_;
    bool lost_ = false;
};

/// A backend with a folder of its own, behind that.
struct Losing {
    Losing(const ArcConfig& config, LosesAnswer::Which which, std::function<void()> after)
        : backend(config,
                  std::make_unique<LosesAnswer>(config, clock, std::move(which), std::move(after)),
                  folders, runner, clock, [](const std::string&) {}) {}

    TempDir temp;
    folder::DirectFolders folders{temp.path() / "work"};
    SystemClock clock;
    PosixProcessRunner runner{clock};
    ArcBackend backend;
};

TEST_F(ArcFault, ASubmissionWithoutAnAnswerIsFoundAndRunsOnce) {
    for (const bool killed : {false, true}) {
        const auto job = plan({.output = "once"});
        Losing losing(
            harness.config,
            [](const auto& request) { return request.path.ends_with("action=new"); },
            [&] {
                if (killed) {
                    engine.kill("ws");
                }
            });
        auto& backend = losing.backend;
        JobRef ref{job.key, "", {}, {}};

        const auto lost = backend.submit(ctx(), std::vector{job}).at(0);
        ASSERT_FALSE(lost.ok());
        EXPECT_EQ(lost.error().kind, ErrorKind::Uncertain);
        EXPECT_EQ(harness.starts(job), 0);
        engine.repair();
        const auto found = backend.find(ctx(), std::vector{ref});
        ASSERT_TRUE(found.ok()) << found.error().message;
        ASSERT_EQ(found->size(), 1U);
        EXPECT_EQ(harness.starts(job), 0);  // Until somebody wants it.
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

TEST_F(ArcFault, LargeFilesGoOnWhereTheyWereInBothDirections) {
    const std::string large((std::size_t{8} << 20U) + 5, 'x');
    for (const std::string& which : {std::string("PUT"), std::string("GET")}) {
        auto job = planOf("cp in/large out/artifacts", {.output = "large"});
        job.inputs.push_back({"large", large});
        job.outputs = {"artifacts"};
        int pieces = 0;
        int again = 0;
        Losing losing(
            harness.config,
            [&](const http::Request& request) {
                const bool isPiece =
                    request.method == which &&
                    request.path.ends_with(which == "PUT" ? "in/large" : "out/artifacts");
                pieces += isPiece ? 1 : 0;
                return isPiece && pieces == 2;
            },
            [&] { again = pieces; });
        const auto taken = losing.backend.submit(ctx(), std::vector{job}).at(0);
        ASSERT_TRUE(taken.ok() && taken->accepted);
        const JobRef ref{job.key, "", taken->accepted->id, {}};

        EXPECT_TRUE(eventually([&] {
            const auto seen = losing.backend.observe(ctx(), std::vector{ref});
            return seen.ok() && seen->front().exitCode == 0;
        }));
        EXPECT_TRUE(eventually([&] {
            const auto outcome = losing.backend.collect(ctx(), std::vector{ref}).at(0);
            return outcome.ok() && *outcome == CollectOutcome::Done;
        }));
        EXPECT_EQ(again, 2) << which;
        EXPECT_TRUE(readFile(losing.folders.path({job.key, ""}) / "out" / "artifacts") == large);
        EXPECT_TRUE(losing.backend.release(ctx(), std::vector{ref}).at(0).ok());
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

TEST_F(ArcFault, WhatGivesNoByteDelaysNoOther) {
    const auto strange = planOf("rm out/log out/started; mkfifo out/log out/started", {});
    const auto usual = plan({.output = "here", .held = true});
    const std::vector<JobRef> refs{submit(strange), running(usual)};
    EXPECT_TRUE(eventually([&] { return log(refs[1])->bytes == "here"; }));
    const std::vector<LogRequest> requests{{refs[0], 1, 0, 1000}, {refs[1], 1, 0, 1000}};
    EXPECT_EQ(ended(refs[0]).exitCode, 0);
    harness.restart();
    const auto begin = harness.clock().steadyNow();

    for (int i = 0; i < 3; ++i) {
        const auto read = harness.backend().readLogs(ctx(), requests);
        EXPECT_TRUE(!read[0].ok() || read[0]->bytes.empty());
        EXPECT_EQ(read[1]->bytes, "here");
        const auto seen = harness.backend().observe(ctx(), refs);
        EXPECT_EQ(seen->at(0).state, BatchState::Ended);
        EXPECT_TRUE(seen->at(0).started);
        EXPECT_EQ(seen->at(1).state, BatchState::Running);
    }

    EXPECT_LT(harness.clock().steadyNow() - begin, 12s);
    harness.letEnd(usual);
    EXPECT_EQ(ended(refs[1]).exitCode, 0);
    EXPECT_TRUE(isDone(refs[1]));
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
