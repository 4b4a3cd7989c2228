#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/contract/BackendContract.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// What tests of faults of a real batch system share. `Harness` is an EngineHarness.
template <typename Harness>
class EngineFault : public ::testing::Test {
protected:
    using Seconds = std::chrono::seconds;

    /// All that was submitted is removed and released.
    void TearDown() override {
        engine.repair();
        for (const auto& ref : refs_) {
            const std::vector<CancelRequest> requests{{ref, CancelKind::Hard}};
            static_cast<void>(harness.backend().cancel(ctx(), requests));
        }
        for (const auto& ref : refs_) {
            EXPECT_TRUE(eventually([&] {
                return harness.backend().release(ctx(), std::vector{ref}).at(0).ok();
            })) << ref.key.value;
        }
    }

    CallContext ctx(Millis time = Seconds(40)) { return {harness.clock().steadyNow() + time}; }
    BatchJob plan(const JobPlan& what) { return harness.job(++number_, what); }
    Result<Submission> trySubmit(const BatchJob& job, Millis time = Seconds(40)) {
        refs_.push_back({job.key, job.account, {}, {}});
        return harness.backend().submit(ctx(time), std::vector{job}).at(0);
    }
    JobRef submit(const BatchJob& job) {
        auto result = trySubmit(job);
        EXPECT_TRUE(result.ok() && result->accepted);
        if (result.ok() && result->accepted) {
            refs_.back().id = result->accepted->id;
            refs_.back().submittedAt = result->accepted->submittedAt;
        }
        return refs_.back();
    }
    Result<Observation> look(const JobRef& ref, Millis time = Seconds(40)) {
        auto seen = harness.backend().observe(ctx(time), std::vector{ref});
        return seen.ok() ? Result<Observation>(seen->at(0)) : seen.error();
    }
    bool is(const JobRef& ref, BatchState state) {
        const auto seen = look(ref);
        return seen.ok() && seen->state == state;
    }
    bool eventually(const std::function<bool()>& condition, Millis time = Seconds(60)) {
        const auto end = harness.clock().steadyNow() + time;
        while (!condition()) {
            if (harness.clock().steadyNow() >= end) {
                return false;
            }
            harness.pass();
        }
        return true;
    }
    JobRef running(const BatchJob& job) {
        const auto ref = submit(job);
        EXPECT_TRUE(eventually([&] {
            const auto seen = look(ref);
            return seen.ok() && seen->started;
        }));
        return ref;
    }
    Observation ended(const JobRef& ref, Millis time = Seconds(60)) {
        EXPECT_TRUE(eventually([&] { return is(ref, BatchState::Ended); }, time));
        const auto seen = look(ref);
        return seen.ok() ? *seen : Observation{};
    }
    std::size_t found(const BatchJob& job) {
        const auto all =
            harness.backend().find(ctx(), std::vector{JobRef{job.key, job.account, {}, {}}});
        EXPECT_TRUE(all.ok());
        return all.ok() ? all->size() : 99;
    }
    /// In front of the batch system's own program of that name, which `script` finds in its PATH.
    void wrap(const std::string& program, const std::string& script) {
        std::filesystem::create_directories(bin());
        if (!usualBin_.empty()) {
            for (const auto& each : std::filesystem::directory_iterator(usualBin_)) {
                std::filesystem::create_symlink(each.path(), bin() / each.path().filename());
            }
        }
        const auto file = bin() / program;
        std::filesystem::remove(file);
        std::ofstream(file) << "#!/bin/sh\nPATH=" << usualBin_ << (usualBin_.empty() ? "" : ":")
                            << "/usr/local/bin:/usr/bin:/bin\n"
                            << script;
        std::filesystem::permissions(file, std::filesystem::perms(0755));
        harness.config.binDir = bin().string();
        harness.restart();
    }
    void unwrap() {
        harness.config.binDir = usualBin_;
        harness.restart();
    }
    std::filesystem::path bin() const { return bin_.path() / "programs"; }

    Harness harness;
    decltype(Harness::engine()) engine = Harness::engine();

private:
    TempDir bin_;
    static std::string binOf(const auto& config) {
        if constexpr (requires { config.binDir; }) {
            return config.binDir;
        } else {
            return "";  // It has no commands.
        }
    }
    const std::string usualBin_ = binOf(harness.config);
    int number_ = 0;
    std::vector<JobRef> refs_;
};

}  // namespace gridbridge::testing
