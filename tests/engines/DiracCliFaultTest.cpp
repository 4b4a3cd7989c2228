// What becomes of jobs when the services behind the genuine commands do their worst.
#include <gmock/gmock.h>

#include "tests/engines/DiracCliHarness.h"
#include "tests/engines/EngineFault.h"

namespace gridbridge::testing {
namespace {

using ::testing::HasSubstr;

using DiracCliFault = EngineFault<DiracCliHarness>;

TEST_F(DiracCliFault, ARefusalNamesTheJobAndWhatIsUnusualInIt) {
    harness.config.platform = "x86_64-lab";
    harness.restart();
    const auto job = plan({});

    const auto refused = trySubmit(job);

    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("JDL syntax error"));
    EXPECT_THAT(refused.error().message, HasSubstr("Platform = \"x86_64-lab\""));
}

TEST_F(DiracCliFault, WhatIsLargerThanASandboxIsRefusedBeforeItIsSent) {
    auto job = plan({});
    std::string noise(std::size_t{11} << 20U, '\0');
    std::uint32_t state = 1;
    for (auto& c : noise) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24U);
    }
    job.inputs.push_back({"large", noise});

    const auto refused = trySubmit(job);

    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::Permanent);
    EXPECT_THAT(refused.error().message, HasSubstr("more than 10 MiB"));
}

TEST_F(DiracCliFault, AnotherProxyLosesNoJob) {
    const auto ref = submit(plan({.held = true}));
    const TempDir temp;
    const auto usual = harness.config;
    harness.config.proxy = temp.path() / "proxy";
    engine.makeProxy(harness.config.proxy, "other user");
    harness.restart();

    const auto seen = look(ref);
    const auto found =
        harness.backend().find(ctx(), std::vector{JobRef{ref.key, ref.account, {}, {}}});
    engine.makeProxy(harness.config.proxy, "bridge guest");
    const auto probed = harness.backend().probe(ctx());
    harness.config = usual;
    harness.restart();

    ASSERT_TRUE(seen.ok());
    EXPECT_NE(seen->state, BatchState::Absent);
    ASSERT_FALSE(found.ok());
    EXPECT_TRUE(found.error().misconfigured);
    EXPECT_THAT(found.error().message, HasSubstr("open jobs belong to /O=Engine/CN=bridge@user"));
    EXPECT_THAT(found.error().message, HasSubstr("see `proxy`"));
    ASSERT_FALSE(probed.ok());
    EXPECT_THAT(probed.error().message, HasSubstr("is of the group guest, not user"));
}

}  // namespace
}  // namespace gridbridge::testing
