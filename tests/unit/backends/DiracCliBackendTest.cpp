// What the backend asks of DIRAC's commands, and what it makes of answers that a real one seldom
// gives.
#include <gmock/gmock.h>

#include <sys/stat.h>

#include "backends/api/SharedFolder.h"
#include "backends/diraccli/DiracCliBackend.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/DiracProxyFiles.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeDirac.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::FakeClock;
using testing::FakeDirac;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class DiracCliBackendTest : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        proxies_ = new testing::TempDir;
        testing::makeDiracProxies(proxies_->path());
    }
    static void TearDownTestSuite() { delete proxies_; }

    DiracCliBackendTest() {
        config_.proxy = proxies_->path() / "group.proxy";
        config_.group = "lhcb_user";
        config_.environment = {"GRID_PROXY_FILE=/another", "X509_CERT_DIR=/certificates"};
        make();
        dirac_.answers["dstat"] = [this](const auto& asked, const auto&) { return stat(asked); };
        dirac_.answers["dlogging"] = [this](const auto& asked, const auto&) {
            return FakeDirac::says(logging(asked))(asked, {});
        };
        dirac_.answers["dirac-wms-job-status"] = FakeDirac::says("");
        dirac_.answers["dirac-wms-job-kill"] = [this](const auto& asked, const auto&) {
            for (const auto& id : asked.ids()) {
                rows_.at(std::stoi(id)).status = "Killed";
            }
            return FakeDirac::says("Killed jobs\n")(asked, {});
        };
    }
    void make() {
        backend_ = std::make_unique<DiracCliBackend>(
            config_, "", folders_, dirac_, clock_,
            [this](const std::string& text) { told_.push_back(text); });
    }

    struct Row {
        std::string status;
        std::string minor;
        int reschedules = 0;
    };
    static std::string key(int id) { return "gb-abcdefgh-" + std::to_string(id) + "-1"; }
    static JobRef ref(int id) { return {{key(id)}, "", {std::to_string(id)}, {}}; }
    static std::vector<JobRef> refs(int first, int last) {
        std::vector<JobRef> all;
        for (int id = first; id <= last; ++id) {
            all.push_back(ref(id));
        }
        return all;
    }
    static std::string field(const char* name, const std::string& value) {
        return std::string(", \"") + name + "\": \"" + value + "\"";
    }
    /// Of the jobs in `rows_` those that are asked for.
    Finished stat(const FakeDirac::Asked& asked) {
        std::string ids = "," + testing::readFile(asked.after("-i")) + ",";
        const std::string names = "," + asked.after("-n") + ",";
        std::string out;
        for (const auto& [id, row] : rows_) {
            if (ids.find("," + std::to_string(id) + ",") == std::string::npos &&
                names.find("," + key(id) + ",") == std::string::npos) {
                continue;
            }
            out += (out.empty() ? "{\"JobID\": " : ", {\"JobID\": ") + std::to_string(id) +
                   field("JobName", key(id)) + field("Status", row.status) +
                   field("MinorStatus", row.minor) + field("ApplicationStatus", "Unknown") +
                   field("Site", "LCG.Lab.org") +
                   ", \"RescheduleCounter\": " + std::to_string(row.reschedules) + "}";
        }
        return {0, {}, "Running without remote configuration\n[" + out + "]\n", ""};
    }
    static std::string event(const std::string& status, const std::string& minor,
                             const std::string& time) {
        return "{\"Status\": \"" + status + "\"" + field("MinorStatus", minor) +
               field("ApplicationStatus", "Unknown") + field("Source", "x") +
               field("Time", "2026-01-01 " + time) + "}";
    }
    /// Each was killed when its script had started.
    static std::string logging(const FakeDirac::Asked& asked) {
        std::string out;
        for (std::size_t i = 0; i < asked.ids().size(); ++i) {
            out += "[" + event("Received", "Job accepted", "00:00:00") + ", " +
                   event("Running", "Application", "00:00:01") + ", " +
                   event("Killed", "Marked for termination", "00:00:02") + "]\n";
        }
        return out;
    }
    /// Those that get-output is asked for, with what it leaves and says of each.
    void outputs(const std::function<std::string(const std::string& id,
                                                 const std::filesystem::path& folder)>& of) {
        dirac_.answers["dirac-wms-job-get-output"] = [of](const FakeDirac::Asked& asked,
                                                          const CallContext&) {
            std::string out;
            for (const auto& id : asked.ids()) {
                const auto folder = std::filesystem::path(asked.after("-D")) / id;
                std::filesystem::create_directories(folder);
                std::ofstream(folder / "log") << "log of " << id;
                out += of(id, folder) + "\n";
            }
            return Finished{0, {}, out, ""};
        };
    }
    static std::string retrieved(const std::string&, const std::filesystem::path& folder) {
        return "Job output sandbox retrieved in " + folder.string() + "/";
    }
    void ended(int first, int last) {
        for (int id = first; id <= last; ++id) {
            rows_[id] = {"Done", "Execution Complete"};
            const std::vector<folder::StagedFile> loader{{kLoaderName, ""}};
            ASSERT_TRUE(folders_.stage({{key(id)}, {}}, loader).ok());
        }
    }
    std::string logOf(int id) { return testing::readFile(work() / key(id) / "out/log"); }
    std::filesystem::path work() const { return temp_.path() / "work"; }
    CallContext ctx(Millis time = 60s) const { return {.deadline = clock_.steadyNow() + time}; }
    int done(const std::vector<Result<CollectOutcome>>& results) {
        return static_cast<int>(std::count_if(results.begin(), results.end(), [](const auto& each) {
            return each.ok() && *each == CollectOutcome::Done;
        }));
    }
    /// A command of which that job takes all the time.
    Result<Finished> hang(const CallContext& ctx) {
        clock_.advance(std::chrono::ceil<Millis>(ctx.deadline - clock_.steadyNow()));
        return uncertainError("it was stopped");
    }

    inline static testing::TempDir* proxies_ = nullptr;
    testing::TempDir temp_;
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    FakeDirac dirac_;
    DiracCliConfig config_;
    std::map<int, Row> rows_;
    std::vector<std::string> told_;
    std::unique_ptr<DiracCliBackend> backend_;
};

TEST_F(DiracCliBackendTest, HalfASandboxIsNeverDone) {
    ended(1, 3);
    outputs([](const std::string& id, const std::filesystem::path& folder) {
        return id == "2"   ? "ERROR 2: Could not open bundle: OSError('Invalid data stream')"
               : id == "3" ? "Traceback (most recent call last):"
                           : retrieved(id, folder);
    });

    auto results = backend_->collect(ctx(), refs(1, 3));

    EXPECT_EQ(results[0].value(), CollectOutcome::Done);
    EXPECT_EQ(logOf(1), "log of 1");
    for (const int id : {2, 3}) {
        const auto& result = results.at(static_cast<std::size_t>(id) - 1);
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().kind, ErrorKind::Transient);
        EXPECT_EQ(logOf(id), "");
    }
    // What may have happened on its way did not when it is so for long.
    clock_.advance(16min);
    results = backend_->collect(ctx(), refs(2, 3));
    EXPECT_EQ(results[0].value(), CollectOutcome::Never);
    EXPECT_FALSE(results[1].ok());
}

TEST_F(DiracCliBackendTest, ACommandThatIsNotThereLosesNoOutput) {
    ended(1, 1);
    dirac_.answers["dirac-wms-job-get-output"] = [](const auto&, const auto&) {
        return Result<Finished>(permanentError("env: No such file or directory"));
    };

    const auto missing = backend_->collect(ctx(), refs(1, 1));

    ASSERT_FALSE(missing[0].ok());
    EXPECT_EQ(missing[0].error().kind, ErrorKind::Transient);
    outputs(retrieved);
    EXPECT_EQ(done(backend_->collect(ctx(), refs(1, 1))), 1);
    EXPECT_EQ(logOf(1), "log of 1");
}

TEST_F(DiracCliBackendTest, WhatACommandWithoutItsGuardSaysCountsForNothing) {
    ended(1, 1);
    outputs(retrieved);
    // An extension of DIRAC may bring commands of its own.
    dirac_.unguarded = {"guard_outputs"};
    const auto collected = backend_->collect(ctx(), refs(1, 1));
    ASSERT_FALSE(collected[0].ok());
    EXPECT_EQ(collected[0].error().kind, ErrorKind::Transient);
    EXPECT_TRUE(collected[0].error().misconfigured);
    EXPECT_THAT(collected[0].error().message, HasSubstr("dirac-wms-job-get-output is not the"));
    EXPECT_EQ(logOf(1), "");

    dirac_.unguarded = {"guard_names"};
    EXPECT_FALSE(backend_->find(ctx(), refs(1, 1)).ok());
    dirac_.unguarded = {"guarded"};
    rows_[1].status = "Running";
    EXPECT_FALSE(
        backend_->cancel(ctx(), std::vector{CancelRequest{ref(1), CancelKind::Hard}}).at(0).ok());
}

TEST_F(DiracCliBackendTest, ARerunIsKilledAlsoWhereNoHistoryIsTold) {
    rows_[1] = {"Running", "Application"};
    EXPECT_TRUE(backend_->observe(ctx(), refs(1, 1)).value().at(0).started);
    dirac_.answers["dlogging"] = FakeDirac::says("Can't connect to d:9132\n", 2);
    rows_[1] = {"Waiting", "Job Rescheduled", 1};

    static_cast<void>(backend_->observe(ctx(), refs(1, 1)));

    EXPECT_EQ(rows_[1].status, "Killed");
}

TEST_F(DiracCliBackendTest, ASlowSandboxKeepsOnlyAFewWaitingAndThatOnce) {
    ended(1, 40);
    outputs(retrieved);
    const auto usual = dirac_.answers["dirac-wms-job-get-output"];
    dirac_.answers["dirac-wms-job-get-output"] = [&, usual](const auto& asked, const auto& within) {
        const auto ids = asked.ids();
        const bool slow = std::find(ids.begin(), ids.end(), "3") != ids.end();
        return slow ? hang(within) : usual(asked, within);
    };

    EXPECT_GE(done(backend_->collect(ctx(), refs(1, 40))), 30);
    EXPECT_EQ(done(backend_->collect(ctx(), refs(1, 40))), 39);
    EXPECT_THAT(dirac_.all.back().ids(), ElementsAre("8")) << "what failed is asked for alone";
}

TEST_F(DiracCliBackendTest, TheProxyThatWasCheckedIsTheOneThatIsShown) {
    std::string shown;
    mode_t mode = 0;
    dirac_.answers["dstat"] = [&](const FakeDirac::Asked& asked, const CallContext&) {
        const auto file = asked.variables.at("X509_USER_PROXY");
        EXPECT_EQ(asked.variables.at("GRID_PROXY_FILE"), file);
        EXPECT_EQ(asked.variables.at("X509_CERT_DIR"), "/certificates");
        struct stat status {};
        EXPECT_EQ(::stat(file.c_str(), &status), 0);
        mode = status.st_mode & 0777U;
        shown = testing::readFile(file);
        return stat(asked);
    };

    ASSERT_TRUE(backend_->probe(ctx()).ok());

    EXPECT_EQ(shown, testing::readFile(config_.proxy));
    EXPECT_EQ(mode, 0600U);
    EXPECT_TRUE(std::filesystem::is_empty(work())) << "nothing of it stays";
}

TEST_F(DiracCliBackendTest, HundredsOfHistoriesComeInGroupsAndStay) {
    for (int id = 1; id <= 100; ++id) {
        rows_[id] = {"Killed", "Marked for termination"};
    }
    dirac_.answers["dlogging"] = [&](const FakeDirac::Asked& asked, const CallContext& within) {
        const auto ids = asked.ids();
        const bool slow = std::find(ids.begin(), ids.end(), "50") != ids.end();
        return slow ? hang(within) : FakeDirac::says(logging(asked))(asked, within);
    };

    const auto first = backend_->observe(ctx(), refs(1, 100));
    const auto asked = dirac_.all.size();
    const auto second = backend_->observe(ctx(), refs(1, 100));

    ASSERT_TRUE(first.ok() && second.ok());
    const auto known = [](const auto& all) {
        return std::count_if(all.begin(), all.end(),
                             [](const auto& each) { return each.state == BatchState::Ended; });
    };
    EXPECT_GE(known(*first), 60);
    EXPECT_EQ(known(*second), 99);
    EXPECT_EQ(second->at(49).state, BatchState::Unknown);
    EXPECT_TRUE(second->at(0).started);
    EXPECT_LE(dirac_.all.size() - asked, 1U + 1U + 20U) << "what was told is remembered";
}

TEST_F(DiracCliBackendTest, WithoutTheSentenceNoHistoryIsNoHistory) {
    rows_[1] = {"Killed", "Marked for termination"};
    rows_[2] = rows_[1];
    dirac_.answers["dlogging"] = FakeDirac::says("Can't connect to d:9132\n", 2);
    EXPECT_EQ(backend_->observe(ctx(), refs(1, 1)).value().at(0).state, BatchState::Unknown);

    dirac_.answers["dlogging"] = [](const FakeDirac::Asked& asked, const CallContext&) {
        auto some = asked;
        std::erase(some.arguments, "2");
        return Finished{2, {}, logging(some) + "No Logging information for job 2\n", ""};
    };
    make();
    const auto seen = backend_->observe(ctx(), refs(1, 2)).value();
    EXPECT_EQ(seen.at(0).state, BatchState::Ended);
    EXPECT_EQ(seen.at(1).state, BatchState::Unknown);
}

TEST_F(DiracCliBackendTest, AKillNeedsNoHistoryAndIsProven) {
    rows_[1] = {"Running", "Application"};
    const std::vector<CancelRequest> requests{{ref(1), CancelKind::Hard}};

    EXPECT_EQ(backend_->cancel(ctx(), requests).at(0).value(), CancelOutcome::Requested);

    EXPECT_THAT(dirac_.programs(), ElementsAre("dstat", "dirac-wms-job-kill", "dstat"));
}

TEST_F(DiracCliBackendTest, TheFirstReasonOfAKillIsTheOneThatCounts) {
    rows_[1] = {"Waiting", "Job Rescheduled", 1};
    dirac_.answers["dirac-wms-job-kill"] = FakeDirac::says("Killed jobs \n");
    dirac_.answers["dlogging"] =
        FakeDirac::says("[" + event("Received", "Job accepted", "00:00:00") + ", " +
                        event("Running", "Application", "00:00:01") + ", " +
                        event("Rescheduled", "Job Rescheduled", "00:00:02") + "]\n");
    ASSERT_TRUE(backend_->observe(ctx(), refs(1, 1)).ok());
    const std::vector<CancelRequest> requests{{ref(1), CancelKind::Hard}};
    EXPECT_FALSE(backend_->cancel(ctx(), requests).at(0).ok());
    rows_[1].status = "Killed";

    const auto seen = backend_->observe(ctx(), refs(1, 1)).value().at(0);

    EXPECT_EQ(seen.cause, EndCause::NodeFailure);
    EXPECT_THAT(seen.reason, HasSubstr("it is not to start twice"));
}

TEST_F(DiracCliBackendTest, WhatDstatLacksIsAbsentOnlyWhenNoCommandKnowsIt) {
    dirac_.answers["dirac-wms-job-status"] = [](const FakeDirac::Asked& asked, const CallContext&) {
        EXPECT_EQ(testing::readFile(asked.after("-f")), "1\n2");
        return Finished{0, {}, "JobID=2 Status=Running; MinorStatus=Application; Site=X; \n", ""};
    };

    const auto seen = backend_->observe(ctx(), refs(1, 2)).value();
    const std::vector<CancelRequest> requests{{ref(1), CancelKind::Hard},
                                              {ref(2), CancelKind::Hard}};
    const auto canceled = backend_->cancel(ctx(), requests);
    const auto released = backend_->release(ctx(), refs(1, 2));

    EXPECT_EQ(seen.at(0).state, BatchState::Absent);
    EXPECT_EQ(seen.at(1).state, BatchState::Unknown);
    EXPECT_THAT(seen.at(1).reason, HasSubstr("does not show it"));
    EXPECT_EQ(canceled.at(0).value(), CancelOutcome::AlreadyGone);
    EXPECT_FALSE(canceled.at(1).ok());
    EXPECT_TRUE(released.at(0).ok());
    EXPECT_FALSE(released.at(1).ok());
}

TEST_F(DiracCliBackendTest, EachJobIsAskedForByItsIdAndAStateThatIsNewIsSeen) {
    rows_[1] = {"Pondering", "Deeply"};
    rows_[2] = {"Waiting", "Pilot Agent Submission"};

    const auto seen = backend_->observe(ctx(), refs(1, 2)).value();
    const auto found = backend_->find(ctx(), std::vector{JobRef{{key(2)}, {}, {}, {}}}).value();

    EXPECT_EQ(seen.at(0).state, BatchState::Pending);
    EXPECT_THAT(told_, Contains(HasSubstr("Pondering")));
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found.at(0).id.value, "2");
    for (const auto& asked : dirac_.all) {
        if (asked.program == "dstat") {
            EXPECT_EQ(asked.after("-S"), "all");
        }
    }
    EXPECT_THAT(dirac_.programs(), ElementsAre("dstat", "dstat", "dlogging"));
    EXPECT_EQ(dirac_.all.at(1).after("-n"), key(2));
}

TEST_F(DiracCliBackendTest, ANodesClockMakesNoFirstRunASecond) {
    rows_[1] = {"Killed", "Marked for termination"};
    rows_[2] = {"Stalled", "Application"};
    dirac_.answers["dlogging"] = [](const FakeDirac::Asked& asked, const CallContext&) {
        std::string out;
        for (const auto& id : asked.ids()) {  // As dlogging sorts it: the node's hour is behind.
            out += "[" + event("Running", "Application", "09:00:01") + ", " +
                   event("Received", "Job accepted", "10:00:00") + ", " +
                   event(id == "1" ? "Killed" : "Stalled", "Application", "10:00:02") + "]\n";
        }
        return Finished{0, {}, out, ""};
    };

    const auto seen = backend_->observe(ctx(), refs(1, 2)).value();
    const auto found = backend_->find(ctx(), std::vector{JobRef{{key(2)}, {}, {}, {}}}).value();

    EXPECT_TRUE(seen.at(0).started);
    EXPECT_EQ(seen.at(1).state, BatchState::Running);
    EXPECT_THAT(dirac_.programs(), Each(::testing::Ne("dirac-wms-job-kill")));
    EXPECT_EQ(found.at(0).submittedAt, *diracxTime("2026-01-01T10:00:00Z"));
}

TEST_F(DiracCliBackendTest, OnlyAKeyThatMayHaveBeenHandedOverIsAskedForBeforeItIs) {
    BatchJob job;
    job.key = {key(1)};
    job.loader = "true\n";
    job.deadline = clock_.wallNow() + 1h;
    dirac_.answers["dirac-wms-job-submit"] = FakeDirac::says("");
    const auto lost = backend_->submit(ctx(), std::vector{job}).at(0);
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().kind, ErrorKind::Uncertain);
    EXPECT_THAT(dirac_.programs(), ElementsAre("dirac-wms-job-submit"));
    rows_[1] = {"Waiting", "Pilot Agent Submission"};

    make();
    const auto again = backend_->submit(ctx(), std::vector{job}).at(0);

    ASSERT_TRUE(again.ok() && again->accepted);
    EXPECT_EQ(again->accepted->id.value, "1");
    EXPECT_THAT(dirac_.programs(), ElementsAre("dirac-wms-job-submit", "dstat", "dlogging"));
}

TEST_F(DiracCliBackendTest, WhatAKilledServiceLeftIsSweptAndWhatIsInUseIsNot) {
    std::filesystem::create_directories(work() / ".dirac-left/guard");
    std::ofstream(work() / ".dirac-left/proxy") << "secret";
    const DiracScratch used(work());

    make();

    EXPECT_FALSE(std::filesystem::exists(work() / ".dirac-left"));
    EXPECT_TRUE(std::filesystem::exists(used.path()));
}

}  // namespace
}  // namespace gridbridge
