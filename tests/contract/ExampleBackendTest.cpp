// The worked example of docs/backend-contract.md keeps the contract.
#include <gmock/gmock.h>

#include "tests/contract/ExampleBackend.h"
#include "tests/engines/EngineHarness.h"

namespace gridbridge::testing {
namespace {

/// exampleq with a folder of its own for the whole program.
class ExampleScheduler {
public:
    static ExampleScheduler& get() {
        static ExampleScheduler scheduler;
        return scheduler;
    }
    std::string binDir() const { return temp_.path(); }

private:
    ExampleScheduler() {
        std::filesystem::copy_file(EXAMPLEQ, temp_.path() / "exampleq");
        std::filesystem::permissions(temp_.path() / "exampleq", std::filesystem::perms(0755));
    }

    TempDir temp_;
};

class ExampleHarness final : public EngineHarness<ExampleScheduler, ExampleBackend, ExampleConfig> {
public:
    ExampleHarness() : EngineHarness({.binDir = engine().binDir()}, "", 2) {}

    bool tellsTimes() override { return false; }
};

std::unique_ptr<BackendHarness> makeExample() {
    return std::make_unique<ExampleHarness>();
}

INSTANTIATE_TEST_SUITE_P(Example, BackendContract,
                         ::testing::Values(BackendParam{"example", &makeExample, false},
                                           BackendParam{"exampleRestarted", &makeExample, true}),
                         [](const auto& p) { return p.param.name; });

constexpr const char* kList =
    "1 gb-a-1-1 ENDED 3 1700000000\n"
    "2 sleep RUNNING 0 1700000001\n"
    "3 gb-a-2-1 WAITING 0 1700000002\n"
    "total 3\n";

TEST(ExampleQueue, OurJobsAreReadAndOthersLeftOut) {
    const auto listing = parseExampleQueue(kList);

    EXPECT_EQ(listing.trouble, "");
    ASSERT_EQ(listing.jobs.size(), 2U);
    EXPECT_EQ(listing.jobs.at("gb-a-1-1").id.value, "1");
    EXPECT_EQ(observationOf(listing.jobs.at("gb-a-1-1"), {}).exitCode, 3);
    EXPECT_EQ(observationOf(listing.jobs.at("gb-a-2-1"), {}).state, BatchState::Pending);
}

TEST(ExampleQueue, ACutAnswerAWarningAndANewWordAreTrouble) {
    const std::string whole = kList;
    for (std::size_t length = 0; length < whole.size() - 1; ++length) {
        EXPECT_NE(parseExampleQueue(whole.substr(0, length)).trouble, "") << length;
    }
    EXPECT_NE(parseExampleQueue("exampled: slow today\n" + whole).trouble, "");
    EXPECT_NE(parseExampleQueue("--all gb-a-1-1 RUNNING 0 1700000000\ntotal 1\n").trouble, "");
    EXPECT_NE(parseExampleQueue("1 gb-a-1-1 DREAMING 0 1700000000\ntotal 1\n").trouble, "");
}

TEST(ExampleSubmission, OnlyANumberIsAnIdAndOnlyAKnownSentenceARefusal) {
    const auto said = [](int exitCode, const std::string& out, const std::string& err) {
        return parseExampleSubmission({exitCode, {}, out, err}, WallTime());
    };
    EXPECT_EQ(said(0, "17\n", "")->accepted->id.value, "17");
    EXPECT_EQ(said(2, "", "exampleq: refused: too long\n").error().kind, ErrorKind::Permanent);
    EXPECT_EQ(said(0, "", "").error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(said(0, "\n", "").error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(said(0, "17 jobs before yours\n", "").error().kind, ErrorKind::Uncertain);
    EXPECT_EQ(said(1, "", "exampleq: no answer\n").error().kind, ErrorKind::Uncertain);
}

}  // namespace
}  // namespace gridbridge::testing
