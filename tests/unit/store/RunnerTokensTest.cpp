#include <gmock/gmock.h>

#include "bridge/store/SealingKey.h"
#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kConfigured = "glrt-configured-token";
constexpr auto kRenewed = "glrt-renewed-token";

class RunnerTokensTest : public StoreFixture {
protected:
    void save(const std::string& runner = "pool", const std::string& configured = kConfigured) {
        store_->saveRunnerToken(runner, Secret(configured),
                                {Secret(kRenewed), clock_.wallNow(), clock_.wallNow() + Millis(5)});
    }
    std::optional<RunnerToken> find(const std::string& runner = "pool",
                                    const std::string& configured = kConfigured) {
        return store_->runnerToken(runner, Secret(configured));
    }
};

TEST_F(RunnerTokensTest, KeepsATokenOverRestarts) {
    EXPECT_FALSE(find());
    save();
    reopen();
    const auto found = find();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->token, Secret(kRenewed));
    EXPECT_EQ(found->obtainedAt, clock_.wallNow());
    EXPECT_EQ(found->askedAt, clock_.wallNow() + Millis(5));
    EXPECT_FALSE(find("other"));
    EXPECT_EQ(JobReader(folder()).runnerToken("pool", Secret(kConfigured))->token,
              Secret(kRenewed));
}

TEST_F(RunnerTokensTest, AnotherConfiguredTokenHasNone) {
    save();
    EXPECT_FALSE(find("pool", "glrt-another"));
    save("pool", "glrt-another");
    EXPECT_TRUE(find("pool", "glrt-another"));
    EXPECT_FALSE(find());
}

TEST_F(RunnerTokensTest, NoTokenLiesOpenInTheFiles) {
    save();
    store_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
        if (entry.is_regular_file()) {
            const auto text = contentOf(entry.path());
            EXPECT_THAT(text, Not(HasSubstr(kConfigured))) << entry.path();
            EXPECT_THAT(text, Not(HasSubstr(kRenewed))) << entry.path();
        }
    }
}

TEST_F(RunnerTokensTest, TokenMovedToAnotherRunnerIsNoticed) {
    save();
    save("other");
    person().exec(
        "UPDATE runner_token SET configured = (SELECT configured FROM runner_token WHERE "
        "runner = 'pool') WHERE runner = 'other'");
    try {
        find("other");
        FAIL() << "it opened";
    } catch (const StoreError& error) {
        EXPECT_THAT(error.what(), HasSubstr("token of the runner other does not open"));
    }
}

TEST_F(RunnerTokensTest, LostKeyIsNotReplacedWhileATokenIsSealedWithIt) {
    save();
    store_.reset();
    std::filesystem::remove(folder() / "secret.key");
    EXPECT_THROW(reopen(), StoreError);
}

TEST_F(RunnerTokensTest, AnotherKeyIsRefusedAtTheStart) {
    save();
    store_.reset();
    std::filesystem::remove(folder() / "secret.key");
    SealingKey::create(folder() / "secret.key");
    EXPECT_THROW(reopen(), StoreError);
}

}  // namespace
}  // namespace gridbridge::store
