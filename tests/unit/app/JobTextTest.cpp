#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "bridge/app/JobText.h"

namespace gridbridge::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const store::Installation kInstallation{"abcd1234", {}};

class JobText : public ::testing::Test {
protected:
    JobText() {
        ::setenv("TZ", "UTC", 1);
        ::tzset();
    }
    ~JobText() override {
        ::unsetenv("TZ");
        ::tzset();
    }

    static WallTime at(int seconds) { return fromEpoch(Millis(1767225600000 + seconds * 1000)); }

    static store::JobRecord running() {
        store::JobRecord job;
        job.row = JobRow{1};
        job.runner = "pool";
        job.serverUrl = "https://gitlab.example.org";
        job.gitlabId = 4711;
        job.project = "physics/sim";
        job.ref = "main";
        job.name = "build";
        job.backend = "here";
        job.state = store::State::Running;
        job.claimedAt = at(0);
        job.timeoutSeconds = 3600;
        job.traceLength = 17;
        job.submission.attempt = 1;
        job.submission.key.value = "gb-abcd1234-1-1";
        job.submission.id.value = "99";
        job.submission.reason = "waits for memory";
        return job;
    }
    static store::JobRecord failed() {
        store::JobRecord job = running();
        job.gitlabId = 5;
        job.name = "test";
        job.state = store::State::Done;
        job.outcome = store::Outcome::Failed;
        job.failureReason = "script_failure";
        job.exitCode = 3;
        job.endedAt = at(60);
        return job;
    }
    static JobHistory history() {
        JobHistory history{"gb-abcd1234-1", failed(), {}, {}, {}};
        history.submissions.push_back(history.job.submission);
        history.submissions[0].exitCode = 3;
        history.submissions[0].cause = "exited";
        history.transitions.push_back({at(1), "received", "claimed", "decoded"});
        history.transitions.push_back({at(2), "claimed", "submitting", ""});
        return history;
    }
};

TEST_F(JobText, TheTableHasALineForEachJob) {
    EXPECT_EQ(
        jobTable({running(), failed()}, kInstallation),
        "JOB   RUNNER  STATE    OUTCOME  PROJECT      REF   NAME   BACKEND  CLAIMED                "
        "    REASON\n"
        "4711  pool    running           physics/sim  main  build  here     "
        "2026-01-01T00:00:00+00:00  waits for memory\n"
        "5     pool    done     failed   physics/sim  main  test   here     "
        "2026-01-01T00:00:00+00:00  script_failure\n");
}

TEST_F(JobText, AJobThatCouldNotBeReadYetIsNamedByItsKey) {
    store::JobRecord job;
    job.row = JobRow{7};
    job.runner = "pool";
    EXPECT_THAT(jobTable({job}, kInstallation), HasSubstr("\ngb-abcd1234-7  pool    received"));
}

TEST_F(JobText, AHostileNameCannotPaintTheTerminal) {
    store::JobRecord job = running();
    job.name = "x\x1b[2J\ny";
    EXPECT_THAT(jobTable({job}, kInstallation), HasSubstr("x\\x1b[2J\\x0ay"));
    JobHistory page = history();
    page.job.name = job.name;
    page.submissions[0].reason = "\x1b]0;owned\x07";
    page.transitions[0].cause = "a\nb";
    EXPECT_THAT(jobPage(page), Not(HasSubstr("\x1b")));
    EXPECT_THAT(jobPage(page), HasSubstr("a\\x0ab"));
}

TEST_F(JobText, ThePageTellsWhatIsKnownAndNothingElse) {
    EXPECT_EQ(jobPage(history()),
              "job             5\n"
              "key             gb-abcd1234-1\n"
              "runner          pool\n"
              "server          https://gitlab.example.org\n"
              "project         physics/sim\n"
              "ref             main\n"
              "name            test\n"
              "backend         here\n"
              "state           done\n"
              "outcome         failed\n"
              "failure reason  script_failure\n"
              "exit code       3\n"
              "claimed         2026-01-01T00:00:00+00:00\n"
              "ended           2026-01-01T00:01:00+00:00\n"
              "timeout         3600 s\n"
              "log             17 bytes, open\n"
              "\n"
              "ATTEMPT  KEY              REMOTE  STATE  RUN  NODE  SUBMITTED  STARTED  ENDED  "
              "CAUSE   END     REASON\n"
              "1        gb-abcd1234-1-1  99             1                                     "
              "exited  exit 3  waits for memory\n"
              "\n"
              "TIME                       FROM      TO          CAUSE\n"
              "2026-01-01T00:00:01+00:00  received  claimed     decoded\n"
              "2026-01-01T00:00:02+00:00  claimed   submitting\n");
}

Poco::JSON::Object::Ptr parsed(const std::string& json) {
    return Poco::JSON::Parser().parse(json).extract<Poco::JSON::Object::Ptr>();
}

TEST_F(JobText, JsonHoldsTheSameWhateverTheTextsAre) {
    std::string nasty = "quote\" back\\slash \n\t\x01\x1b\x7f ä😀 / </script>";
    store::JobRecord job = running();
    job.name = nasty + "\xff";
    const auto array =
        Poco::JSON::Parser().parse(jobsJson({job, failed()})).extract<Poco::JSON::Array::Ptr>();
    ASSERT_EQ(array->size(), 2U);
    const auto first = array->getObject(0);
    EXPECT_EQ(first->getValue<std::string>("name"), nasty + "\xef\xbf\xbd");
    EXPECT_EQ(first->getValue<int>("gitlab_id"), 4711);
    EXPECT_EQ(first->getValue<std::string>("state"), "running");
    EXPECT_TRUE(first->isNull("outcome"));
    EXPECT_TRUE(first->isNull("exit_code"));
    EXPECT_EQ(first->getValue<std::string>("claimed_at"), "2026-01-01T00:00:00.000Z");
    EXPECT_EQ(first->getObject("submission")->getValue<std::string>("remote_id"), "99");
    EXPECT_EQ(array->getObject(1)->getValue<int>("exit_code"), 3);
    EXPECT_EQ(array->getObject(1)->getValue<std::string>("ended_at"), "2026-01-01T00:01:00.000Z");
}

TEST_F(JobText, JsonWritesNoControlCharacter) {
    store::JobRecord job = running();
    for (char c = 1; c < 0x20; ++c) {
        job.name += c;
    }
    const std::string json = jobsJson({job});
    for (const char c : json) {
        EXPECT_TRUE(c == '\n' || c >= 0x20) << static_cast<int>(c);
    }
    EXPECT_EQ(Poco::JSON::Parser()
                  .parse(json)
                  .extract<Poco::JSON::Array::Ptr>()
                  ->getObject(0)
                  ->getValue<std::string>("name"),
              job.name);
}

TEST_F(JobText, JsonOfNoJobsIsAnEmptyArray) {
    EXPECT_EQ(Poco::JSON::Parser().parse(jobsJson({})).extract<Poco::JSON::Array::Ptr>()->size(),
              0U);
}

TEST_F(JobText, JsonOfOneJobHasItsPast) {
    const auto object = parsed(jobJson(history()));
    EXPECT_EQ(object->getValue<std::string>("key"), "gb-abcd1234-1");
    ASSERT_EQ(object->getArray("submissions")->size(), 1U);
    EXPECT_EQ(object->getArray("submissions")->getObject(0)->getValue<std::string>("cause"),
              "exited");
    ASSERT_EQ(object->getArray("transitions")->size(), 2U);
    EXPECT_EQ(object->getArray("transitions")->getObject(0)->getValue<std::string>("at"),
              "2026-01-01T00:00:01.000Z");
    EXPECT_EQ(object->getArray("transitions")->getObject(0)->getValue<std::string>("to"),
              "claimed");
}

}  // namespace
}  // namespace gridbridge::app
