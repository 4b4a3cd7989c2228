// What is made of what HTCondor's commands say, one after the other.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <sys/stat.h>

#include "backends/api/SharedFolder.h"
#include "backends/htcondor/HTCondorBackend.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeFolders.h"
#include "tests/fakes/TempDir.h"
#include "tests/fakes/WaitUntil.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Finished says(const std::string& out) {
    return {.exitCode = 0, .signal = {}, .out = out, .err = ""};
}
Finished fails(const std::string& err, int exitCode = 1) {
    return {.exitCode = exitCode, .signal = {}, .out = "", .err = err};
}

/// HTCondor's commands; the test says what each of them answers.
class FakeCondor final : public ProcessRunner {
public:
    using Words = std::vector<std::string>;
    using Answer = std::function<Result<Finished>(const Words&, const CallContext&)>;

    Result<Finished> run(const Command& command, const CallContext& ctx, std::size_t) override {
        const auto& words = command.argv;
        for (auto word = words.begin(); word != words.end(); ++word) {
            if (const auto answer = answers.find(*word); answer != answers.end()) {
                const Words rest(word, words.end());
                ran.push_back(rest.front());
                return answer->second(rest, ctx);
            }
        }
        return says("");
    }

    /// Ads by key, as condor_q and condor_history show them.
    std::map<std::string, std::string> queue, history;
    std::map<std::string, Answer> answers{
        {"condor_q", [this](const Words&, const CallContext&) { return says(listOf(queue)); }},
        {"condor_history",
         [this](const Words&, const CallContext&) { return says(listOf(history)); }},
        {"condor_rm", [](const Words&, const CallContext&) { return says("marked\n"); }},
        {"condor_transfer_data", [](const Words&, const CallContext&) { return says(""); }},
        {"sh", [](const Words&, const CallContext&) { return says(""); }}};
    Words ran;  ///< The commands, in their order.

private:
    static std::string listOf(const std::map<std::string, std::string>& ads) {
        std::string text;
        for (const auto& [key, ad] : ads) {
            text.append(text.empty() ? "[" : ",")
                .append("{\"GridbridgeKey\":\"" + key + "\",\"ClusterId\":1,\"ProcId\":0,")
                .append("\"QDate\":100,\"EnteredCurrentStatus\":200," + ad + "}");
        }
        return text.empty() ? "" : text + "]\n";
    }
};

constexpr const char* kRuns = R"("JobStatus":2,"NumShadowStarts":1,"CurrentHosts":1)";
constexpr const char* kUnsent = R"("JobStatus":5,"HoldReasonCode":16)";
constexpr const char* kCompleted =
    R"("JobStatus":4,"NumShadowStarts":1,"CompletionDate":200,"ExitCode":0)";
/// Its files were sent to somebody at that second.
std::string fetchedAt(int second) {
    return kCompleted + (",\"StageOutFinish\":" + std::to_string(second));
}
constexpr const char* kRemoved = R"("JobStatus":3,"RemoveReason":"via condor_rm")";

class HTCondorBackendTest : public ::testing::Test {
protected:
    HTCondorBackendTest() { give("in/loader.sh", "true\n"); }

    void give(const std::string& name, const std::string& content) {
        const auto path = folder_.path() / std::to_string(++files_);
        std::ofstream(path) << content;
        folders_.output(name, path);
    }
    CallContext ctx() { return {clock_.steadyNow() + 60s}; }
    static JobRef ref(const std::string& key, const std::string& schedd = "s@x") {
        return {{key}, "", {schedd + "#1.0"}, {}};
    }
    Result<CollectOutcome> collect() {
        return backend_.collect(ctx(), std::vector{ref(kKey)}).at(0);
    }
    Result<LogChunk> log(Backend& backend) {
        const std::vector<LogRequest> requests{{.ref = ref(kKey)}};
        return backend.readLogs(ctx(), requests).at(0);
    }
    /// The next fetches succeed, and the schedd then shows the job like that.
    void fetching(const std::string& ad) {
        condor_.answers["condor_transfer_data"] = [this, ad](const auto&, const auto&) {
            condor_.queue[kKey] = ad;
            return says("");
        };
    }
    void expectFailedFetch() {
        const auto files = collect();
        ASSERT_FALSE(files.ok());
        EXPECT_EQ(files.error().kind, ErrorKind::Transient);
    }
    auto fetches() const {
        return std::count(condor_.ran.begin(), condor_.ran.end(), "condor_transfer_data");
    }
    void failing(const std::string& command) {
        condor_.answers[command] = [](const auto&, const auto&) { return fails("no"); };
    }

    static constexpr const char* kKey = "gb-a-1-1";
    testing::TempDir folder_;
    int files_ = 0;
    testing::FakeClock clock_;
    testing::FakeFolders folders_;
    FakeCondor condor_;
    std::vector<std::string> told_;
    const SchedulerBackend::Teller tell_ = [this](const std::string& line) {
        told_.push_back(line);
    };
    HTCondorBackend backend_{
        {.schedd = "s@x", .spool = true}, "", folders_, condor_, clock_, tell_};
    HTCondorBackend copying_{{.fileTransfer = true}, "", folders_, condor_, clock_, tell_};
};

TEST_F(HTCondorBackendTest, AJobThatOneAnswerDoesNotHoldIsNotGivenUp) {
    expectFailedFetch();
}

TEST_F(HTCondorBackendTest, OnlyAJobThatRunsHasItsFilesNotYet) {
    condor_.queue[kKey] = kRuns;
    EXPECT_EQ(collect().value(), CollectOutcome::NotYet);
}

TEST_F(HTCondorBackendTest, OfAJobThatDidNotCompleteThereIsNothingMore) {
    condor_.history[kKey] = kRemoved;
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(HTCondorBackendTest, WhatHasLeftTheQueueUnfetchedIsLost) {
    condor_.history[kKey] = kCompleted;
    EXPECT_EQ(collect().value(), CollectOutcome::Never);
}

TEST_F(HTCondorBackendTest, AFetchIsOverWhenTheScheddSaysSo) {
    condor_.queue[kKey] = kCompleted;
    expectFailedFetch();
    fetching(fetchedAt(201));
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(fetches(), 2);
}

TEST_F(HTCondorBackendTest, AScheddThatSaysSoLaterIsNotAskedForTheFilesAgain) {
    condor_.queue[kKey] = kCompleted;
    condor_.answers["condor_q"] = [usual = condor_.answers["condor_q"], asked = 0](
                                      const auto& words, const auto& call) mutable {
        return ++asked == 2 ? Result<Finished>(fails("no")) : usual(words, call);
    };
    expectFailedFetch();
    condor_.queue[kKey] = fetchedAt(201);
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(fetches(), 1);
}

TEST_F(HTCondorBackendTest, WhatSomebodyElseFetchedIsNotHere) {
    condor_.queue[kKey] = fetchedAt(300);
    expectFailedFetch();
    failing("condor_transfer_data");
    expectFailedFetch();
    fetching(fetchedAt(301));
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(HTCondorBackendTest, TheScheddsClockMayBeSetBackBeforeAFetch) {
    condor_.queue[kKey] = fetchedAt(190);
    fetching(fetchedAt(150));
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(HTCondorBackendTest, AJobMayLeaveWithItsFetchAndItsHistoryBeNobodysBusiness) {
    condor_.queue[kKey] = kCompleted;
    failing("condor_history");
    condor_.answers["condor_transfer_data"] = [this](const auto&, const auto&) {
        condor_.queue.clear();
        return says("");
    };
    expectFailedFetch();  // No file has come.
    condor_.queue[kKey] = kCompleted;
    give("status", "status\n");
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(HTCondorBackendTest, WhatIsOnTheDiskIsNotAskedFor) {
    condor_.queue[kKey] = kCompleted;
    give("in/fetched", "");
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_THAT(condor_.ran, IsEmpty());
}

TEST_F(HTCondorBackendTest, WhatTheDiskLostIsFetchedAgain) {
    condor_.queue[kKey] = kCompleted;
    fetching(fetchedAt(201));
    failing("sh");
    expectFailedFetch();
    EXPECT_THAT(condor_.ran, Contains("sh"));
    condor_.answers["sh"] = [](const auto&, const auto&) { return says(""); };
    failing("condor_transfer_data");
    expectFailedFetch();
    fetching(fetchedAt(202));
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
}

TEST_F(HTCondorBackendTest, ASlowDiskNeedsNoSecondFetch) {
    condor_.queue[kKey] = kCompleted;
    fetching(fetchedAt(201));
    condor_.answers["sh"] = [](const auto&, const auto&) { return uncertainError("stopped"); };
    expectFailedFetch();
    condor_.answers["sh"] = [](const auto&, const auto&) { return says(""); };
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(fetches(), 1);
}

TEST_F(HTCondorBackendTest, WhatIsSyncedIsMarkedAndOnlyThat) {
    SystemClock clock;
    PosixProcessRunner processes(clock);
    const auto marker = folder_.path() / "in" / "fetched";
    const auto sync = [&](const std::filesystem::path& folder) {
        auto words = syncCommand(folder, marker);
        words.insert(words.begin(), "/usr/bin/env");
        const auto said = processes.run({.argv = words}, {clock.steadyNow() + 60s}, 1000);
        return said.ok() && said->exitCode == 0;
    };
    std::filesystem::create_directories(folder_.path() / "in");
    std::filesystem::create_directories(folder_.path() / "out" / "more");
    std::ofstream(folder_.path() / "out" / "more" / "file") << "x";
    ASSERT_EQ(::mkfifo((folder_.path() / "out" / "pipe").c_str(), 0600), 0);

    EXPECT_FALSE(sync(folder_.path() / "nowhere"));
    EXPECT_FALSE(std::filesystem::exists(marker));
    EXPECT_TRUE(sync(folder_.path() / "out"));
    EXPECT_TRUE(std::filesystem::exists(marker));
}

TEST_F(HTCondorBackendTest, AFetchAsksForItsJobAlone) {
    condor_.queue[kKey] = kCompleted;
    int asked = 0;
    condor_.answers["condor_q"] = [&, usual = condor_.answers["condor_q"]](const auto& words,
                                                                           const auto& call) {
        ++asked;
        EXPECT_THAT(words, Contains(HasSubstr(kKey)));
        return usual(words, call);
    };
    fetching(fetchedAt(201));
    EXPECT_EQ(collect().value(), CollectOutcome::Done);
    EXPECT_EQ(asked, 2);
}

TEST_F(HTCondorBackendTest, AFetchThatWasLeftOverIsNotJoinedByAnother) {
    condor_.queue[kKey] = kCompleted;
    condor_.answers["flock"] = [](const auto&, const auto&) { return fails("", 75); };
    const auto files = collect();
    ASSERT_FALSE(files.ok());
    EXPECT_THAT(files.error().message, HasSubstr("still runs"));
}

TEST_F(HTCondorBackendTest, ACommandBehindTheLockOfOneThatRunsIsNotRun) {
    SystemClock clock;
    PosixProcessRunner processes(clock);
    const auto ran = folder_.path() / "ran";
    const auto program = folder_.path() / "condor_transfer_data";
    std::ofstream(program) << "#!/bin/sh\necho >>" << ran << "\nexec sleep 600\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    auto words = fetchCommand("", kKey, folder_.path());
    words.insert(words.begin(),
                 {"/usr/bin/env", "PATH=" + folder_.path().string() + ":/usr/bin:/bin"});
    std::stop_source stop;
    auto first = std::async(std::launch::async, [&] {
        return processes.run({.argv = words}, {clock.steadyNow() + 60s, stop.get_token()}, 1000);
    });
    EXPECT_TRUE(testing::waitUntil([&] { return std::filesystem::exists(ran); }, 50s));

    const auto second = processes.run({.argv = words}, {clock.steadyNow() + 60s}, 1000);

    ASSERT_TRUE(second.ok());
    EXPECT_EQ(second->exitCode, kFetchRuns);
    EXPECT_EQ(second->err, "");
    EXPECT_EQ(testing::readFile(ran), "\n");
    stop.request_stop();
    first.wait();
}

TEST_F(HTCondorBackendTest, WhatWasFetchedIsReadWithoutTheSchedd) {
    give("status", "status\n");
    failing("condor_q");
    EXPECT_EQ(log(backend_).value().status, "status\n");
}

TEST_F(HTCondorBackendTest, AQueueThatCannotBeAskedDoesNotSayThatThereIsNoStatusFile) {
    give("status", "status\n");
    condor_.queue[kKey] = kCompleted;
    EXPECT_EQ(log(copying_).value().status, "status\n");
    failing("condor_q");
    EXPECT_FALSE(log(copying_).ok());
}

TEST_F(HTCondorBackendTest, AnUnsentJobIsRemovedAfterTwoMinutesOfOurClock) {
    condor_.queue[kKey] = kUnsent;
    bool removed = false;
    condor_.answers["condor_rm"] = [&](const auto&, const auto&) {
        removed = true;
        condor_.queue.clear();
        return says("marked\n");
    };
    EXPECT_FALSE(backend_.find(ctx(), std::vector{ref(kKey)}).ok());
    clock_.advance(110s);
    EXPECT_FALSE(backend_.find(ctx(), std::vector{ref(kKey)}).ok());
    EXPECT_FALSE(removed);
    clock_.advance(10s);

    const auto found = backend_.find(ctx(), std::vector{ref(kKey)});

    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->empty());
    EXPECT_TRUE(removed);
}

TEST_F(HTCondorBackendTest, AnUnsentJobThatCannotBeRemovedHidesNoOther) {
    condor_.queue[kKey] = kUnsent;
    condor_.queue["gb-a-2-1"] = kRuns;
    failing("condor_rm");
    const std::vector<JobRef> both{ref(kKey), ref("gb-a-2-1")};
    EXPECT_TRUE(backend_.observe(ctx(), both).ok());
    clock_.advance(10min);

    const auto seen = backend_.observe(ctx(), both);

    ASSERT_TRUE(seen.ok());
    EXPECT_EQ((*seen)[0].state, BatchState::Pending);
    EXPECT_EQ((*seen)[1].state, BatchState::Running);
    EXPECT_FALSE(backend_.find(ctx(), std::vector{ref(kKey)}).ok());
    EXPECT_EQ(told_, std::vector<std::string>{
                         "jobs whose files were never all sent cannot be removed: condor_rm: no"});
}

TEST_F(HTCondorBackendTest, AJobThatHasMuchToSendDelaysNoOther) {
    std::vector<BatchJob> jobs(3);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        jobs[i].key = {"gb-a-" + std::to_string(i) + "-1"};
    }
    jobs[0].inputs.push_back({"much", std::string(2'000'000, 'x')});
    condor_.answers["condor_submit"] = [this, first = true](const auto&, const auto& call) mutable {
        if (std::exchange(first, false)) {
            return Result<Finished>(says("7.0 - 7.1\n"));
        }
        clock_.sleepUntil(call.deadline, {});
        return Result<Finished>(uncertainError("it was stopped"));
    };

    const auto results = backend_.submit(ctx(), jobs);

    EXPECT_FALSE(results[0].ok());
    EXPECT_TRUE(results[1].ok());
    EXPECT_TRUE(results[2].ok());
}

TEST_F(HTCondorBackendTest, ARemovalThatHangsLeavesOtherScheddsTheirTime) {
    condor_.answers["condor_rm"] = [this](const auto& words, const auto& call) -> Result<Finished> {
        if (words.at(2) == "hangs@x") {
            clock_.sleepUntil(call.deadline, {});
            return uncertainError("it was stopped");
        }
        return clock_.steadyNow() < call.deadline ? Result<Finished>(says("marked\n"))
                                                  : transientError("no time was left");
    };
    const auto released =
        backend_.release(ctx(), std::vector{ref(kKey, "hangs@x"), ref("gb-a-2-1", "s@x")});

    EXPECT_FALSE(released.at(0).ok());
    EXPECT_TRUE(released.at(1).ok()) << released.at(1).error().message;
}

}  // namespace
}  // namespace gridbridge
