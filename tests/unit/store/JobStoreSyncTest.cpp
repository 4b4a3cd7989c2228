// A kill leaves what was written in the page cache; a power failure only what was synced.
#include "tests/fakes/SyncedDisk.h"
#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

TEST(JobStoreSyncTest, WhatIsReceivedOrCommittedOutlivesAPowerFailure) {
    const testing::SyncedDisk disk;
    const TemporaryFolder folder;
    testing::FakeClock clock;
    Random random{7};
    JobStore store(folder.path(), clock, random);

    const auto row =
        store.receive("pool", "https://gitlab.example.org", "condor", Secret("the body"));
    const TemporaryFolder received;
    disk.leave(folder.path(), received.path());
    auto job = store.load(std::vector<JobRow>{row}).at(0);
    job.state = State::Claimed;
    ASSERT_TRUE(store.commit(std::vector<Change>{{State::Received, job, "decoded"}}).at(0));
    const TemporaryFolder committed;
    disk.leave(folder.path(), committed.path());

    JobStore afterReceive(received.path(), clock, random);
    ASSERT_EQ(JobReader(received.path()).jobs({.all = true}).size(), 1U);
    EXPECT_EQ(afterReceive.payload(row).value().reveal(), "the body");
    JobStore afterCommit(committed.path(), clock, random);
    ASSERT_EQ(JobReader(committed.path()).jobs({.all = true}).size(), 1U);
    EXPECT_EQ(afterCommit.load(std::vector<JobRow>{row}).at(0).state, State::Claimed);
}

}  // namespace
}  // namespace gridbridge::store
