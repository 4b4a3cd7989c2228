#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "bridge/app/Commands.h"
#include "bridge/base/Random.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeGitLabAccess.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Whole command lines against a database as the service leaves it.
class CommandLine : public ::testing::Test {
protected:
    CommandLine() {
        std::filesystem::create_directory(state_);
        folder_.write("config.toml", "state_dir = \"" + state_.string() + "\"\n" +
                                         gridbridge::testing::kRunner +
                                         gridbridge::testing::kBackend);
    }

    int run(std::vector<std::string> arguments, bool withConfig = true) {
        if (withConfig) {
            arguments.insert(arguments.begin() + 1, {"--config", folder_.file().string()});
        }
        out_.str("");
        err_.str("");
        const CommandWorld world{
            out_,
            err_,
            in_,
            clock_,
            ConfigFolder::host(),
            gitlab_,
            [](const Config&, const BackendConfig&) { return BackendHealth(); },
            [](const Config&, const CommandWorld::Reread&) { return 0; }};
        return runCommandLine(arguments, world);
    }

    std::ptrdiff_t errorLines() const {
        const std::string text = err_.str();
        return std::count(text.begin(), text.end(), '\n');
    }

    /// A job of that runner, brought to `state` in one step.
    JobRow addJob(const std::string& runner, std::int64_t id, store::State state) {
        const JobRow row = store().receive(runner, "https://" + runner, "here", Secret("{}"));
        auto record = store().load(std::vector{row}).at(0);
        record.gitlabId = id;
        record.state = state;
        record.name = "build-" + std::to_string(id);
        record.traceLength = 6;
        store().commit(std::vector{store::Change{store::State::Received, record, "test"}});
        return row;
    }
    store::JobStore& store() {
        if (!store_) {
            store_ = std::make_unique<store::JobStore>(state_, clock_, random_);
        }
        return *store_;
    }

    ConfigFolder folder_;
    std::filesystem::path state_ = folder_.path() / "state";
    gridbridge::testing::FakeClock clock_;
    Random random_{1};
    std::unique_ptr<store::JobStore> store_;
    std::ostringstream out_;
    std::ostringstream err_;
    std::istringstream in_;
    gridbridge::testing::FakeGitLabAccess gitlab_;
};

TEST_F(CommandLine, JobsListsOpenJobsAndAllJobs) {
    addJob("pool", 11, store::State::Running);
    addJob("pool", 12, store::State::Done);
    EXPECT_EQ(run({"jobs"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("build-11"));
    EXPECT_THAT(out_.str(), Not(HasSubstr("build-12")));
    EXPECT_EQ(run({"jobs", "--all"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("build-11"));
    EXPECT_THAT(out_.str(), HasSubstr("build-12"));
}

TEST_F(CommandLine, JobsCanBeChosen) {
    addJob("pool", 11, store::State::Running);
    addJob("pool", 12, store::State::Done);
    EXPECT_EQ(run({"jobs", "--state", "done"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("build-12"));
    EXPECT_THAT(out_.str(), Not(HasSubstr("build-11")));
    EXPECT_EQ(run({"jobs", "--backend", "there", "--all"}), 2);
    EXPECT_EQ(err_.str(), "gridbridge: there is no backend there; configured are: here\n");
    EXPECT_EQ(run({"jobs", "--backend", "here", "--json"}), 0);
    EXPECT_THAT(out_.str(), StartsWith("["));
    EXPECT_THAT(out_.str(), HasSubstr("\"gitlab_id\": 11"));
}

TEST_F(CommandLine, JobsSaysThatThereAreNone) {
    store();
    EXPECT_EQ(run({"jobs"}), 0);
    EXPECT_EQ(out_.str(), "no open jobs; --all shows ended ones\n");
}

TEST_F(CommandLine, JobsNeedNoServiceNorASoundConfiguration) {
    addJob("pool", 11, store::State::Running);
    store_.reset();
    folder_.write("config.toml", "state_dir = \"" + state_.string() + "\"\nconcurent = 3\n");
    EXPECT_EQ(run({"jobs"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("build-11"));
    folder_.write("config.toml", "state_dir = 3\n");
    EXPECT_EQ(run({"jobs"}), 78);
    EXPECT_THAT(err_.str(), HasSubstr("config.toml:1: state_dir: is an integer"));
}

TEST_F(CommandLine, ShowTellsTheKeyAndTheHistory) {
    addJob("pool", 11, store::State::Running);
    EXPECT_EQ(run({"show", "11"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("gb-" + store().installation().id + "-1\n"));
    EXPECT_THAT(out_.str(), HasSubstr("received  running"));
    EXPECT_EQ(run({"show", "pool/11", "--json"}), 0);
    EXPECT_THAT(out_.str(), HasSubstr("\"transitions\""));
}

TEST_F(CommandLine, ShowAsksWhichJobWhenTwoServersShareTheId) {
    addJob("pool", 11, store::State::Running);
    addJob("other", 11, store::State::Running);
    EXPECT_EQ(run({"show", "11"}), 1);
    EXPECT_EQ(err_.str(), "gridbridge: several servers have a job 11; name other/11 or pool/11\n");
    EXPECT_EQ(run({"show", "pool/11"}), 0);
    EXPECT_EQ(run({"show", "12"}), 1);
    EXPECT_EQ(err_.str(), "gridbridge: there is no job 12; gridbridge jobs --all lists them\n");
}

TEST_F(CommandLine, LogPrintsTheTraceAlsoOfADoneJob) {
    addJob("pool", 11, store::State::Done);
    folder_.write("state/traces/gb-" + store().installation().id + "-1.log", "hello\ntorn");
    EXPECT_EQ(run({"log", "11"}), 0);
    EXPECT_EQ(out_.str(), "hello\n");
    EXPECT_EQ(run({"log", "11", "--follow"}), 0);
    EXPECT_EQ(out_.str(), "hello\n");
}

TEST_F(CommandLine, LogOfAMissingFileIsAnInputError) {
    addJob("pool", 11, store::State::Done);
    EXPECT_EQ(run({"log", "11"}), 74);
    EXPECT_THAT(err_.str(), HasSubstr("-1.log cannot be read: No such file or directory\n"));
}

TEST_F(CommandLine, ADatabaseThatIsNotThereIsOneSentence) {
    EXPECT_EQ(run({"jobs"}), 74);
    EXPECT_THAT(err_.str(), StartsWith("gridbridge: "));
    EXPECT_THAT(err_.str(), HasSubstr(state_.string()));
    EXPECT_EQ(errorLines(), 1);
}

TEST_F(CommandLine, OutputThatCannotBeWrittenIsAnError) {
    store();
    out_.setstate(std::ios::badbit);
    EXPECT_EQ(run({"jobs"}), 74);
    EXPECT_EQ(err_.str(), "gridbridge: the output could not be written\n");
}

TEST_F(CommandLine, EveryCommandHelpsWithAnExample) {
    for (const std::string command : {"jobs", "show", "log", "cancel", "drain", "resume",
                                      "register", "unregister", "check", "run"}) {
        EXPECT_EQ(run({command, "--help"}, false), 0);
        EXPECT_THAT(out_.str(), HasSubstr("Example:\n  gridbridge " + command)) << command;
        EXPECT_THAT(out_.str(), HasSubstr("Usage: gridbridge " + command + " [OPTIONS]"));
        EXPECT_THAT(out_.str(), HasSubstr("--config")) << command;
    }
    EXPECT_EQ(run({"--version"}, false), 0);
    EXPECT_THAT(out_.str(), StartsWith("gridbridge 0."));
    EXPECT_EQ(run({"--help"}, false), 0);
    EXPECT_THAT(out_.str(), HasSubstr("Example:\n  gridbridge jobs"));
}

TEST_F(CommandLine, MisuseIsOneSentenceAndTheCodeForIt) {
    const std::vector<std::vector<std::string>> wrong{
        {},       {"jbos"},         {"jobs", "--colour"}, {"jobs", "--state", "lost"},
        {"show"}, {"log", "pool/x"}};
    for (const auto& arguments : wrong) {
        EXPECT_EQ(run(arguments, false), 2);
        EXPECT_THAT(err_.str(), StartsWith("gridbridge: "));
        EXPECT_EQ(errorLines(), 1) << err_.str();
        EXPECT_EQ(out_.str(), "");
    }
    run({"jbos"}, false);
    EXPECT_EQ(err_.str(), "gridbridge: there is no command jbos; did you mean jobs?\n");
    run({"jobs", "--state", "lost"}, false);
    EXPECT_THAT(err_.str(), HasSubstr("there is no state lost; write one of received, claimed, "));
}

TEST_F(CommandLine, AConfigurationWithMistakesNamesEachOnItsLine) {
    folder_.write("config.toml", "a = 1\nb = 2\n");
    EXPECT_EQ(run({"run"}), 78);
    EXPECT_THAT(err_.str(), HasSubstr("gridbridge: " + folder_.file().string() + ":1: a: "));
    EXPECT_THAT(err_.str(), HasSubstr("\ngridbridge: " + folder_.file().string() + ":2: b: "));
}

}  // namespace
}  // namespace gridbridge::app
