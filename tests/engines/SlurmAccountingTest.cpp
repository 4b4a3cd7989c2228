// What a Slurm that keeps accounts tells of jobs that have ended, and of those that its queue has
// forgotten.
#include <gtest/gtest.h>

#include "tests/engines/EngineFault.h"
#include "tests/engines/SlurmHarness.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;

using SlurmAccounting = EngineFault<SlurmHarness>;

TEST_F(SlurmAccounting, WhatAJobUsedIsTold) {
    auto job = plan({});
    // Slurm looks at the memory of a job every five seconds.
    job.inputs[0].content.insert(
        0,
        "x=$(head -c 50000000 /dev/zero | tr '\\0' x)\n"
        "end=$(($(date +%s) + 9)); until [ $(date +%s) -ge $end ]; do :; done\n");
    const auto ref = running(job);

    static_cast<void>(ended(ref));

    EXPECT_TRUE(eventually([&] { return look(ref).value().usage.memory.has_value(); }));
    const auto used = look(ref).value().usage;
    EXPECT_GE(used.elapsed.value_or(Millis(0)), 7s);
    EXPECT_GE(used.cpu.value_or(Millis(0)), 1s);
    EXPECT_LE(used.cpu.value_or(Millis(0)), 60s);
    EXPECT_GE(used.memory.value_or(0), 50'000'000);
    EXPECT_LT(used.memory.value_or(0), 500'000'000);
}

TEST_F(SlurmAccounting, AJobThatTheQueueHasForgottenIsFoundInTheAccountsAlsoAfterAnOutageOfThem) {
    engine.kill("slurmctld");
    engine.repair("MinJobAge=2");
    const auto job = plan({.exitCode = 3});
    const auto ref = submit(job);
    // Slurm forgets ended jobs once a minute.
    ASSERT_TRUE(eventually(
        [&] { return engine.run("squeue -h -t all --name=" + ref.key.value).out.empty(); }, 180s));
    engine.kill("slurmdbd");

    const auto blind = look(ref);
    engine.repair();
    const auto end = ended(ref);

    ASSERT_TRUE(!blind.ok() || blind->state == BatchState::Unknown) << "nothing is concluded";
    EXPECT_EQ(end.cause, EndCause::Exited);
    EXPECT_TRUE(end.started);
    EXPECT_EQ(found(job), 1U);
}

}  // namespace
}  // namespace gridbridge::testing
