#include "tests/contract/BackendContract.h"

namespace gridbridge::testing {

using namespace std::chrono_literals;

void BackendContract::SetUp() {
    harness_ = GetParam().make();
}

void BackendContract::TearDown() {  // Many in one call, which may take seconds.
    const auto most = backend().capabilities().maxBatch;
    while (!submitted_.empty()) {
        std::vector<JobRef> some;
        while (!submitted_.empty() && some.size() < most) {
            some.push_back(submitted_.back());
            std::erase_if(submitted_,
                          [&](const JobRef& each) { return each.key == some.back().key; });
        }
        EXPECT_TRUE(eventually([&] { return areReleased(some); }, "jobs that can be released"));
    }
}

bool BackendContract::areReleased(std::vector<JobRef>& refs) {
    const auto released = backend().release(ctx(), refs);
    std::vector<JobRef> left;
    std::vector<CancelRequest> requests;
    for (std::size_t i = 0; i < refs.size(); ++i) {
        if (!released[i].ok()) {
            left.push_back(refs[i]);
            requests.push_back({refs[i], CancelKind::Hard});
        }
    }
    if (!left.empty()) {  // It may fail: the core repeats it, too.
        static_cast<void>(backend().cancel(ctx(), requests));
    }
    refs = left;
    return left.empty();
}

Backend& BackendContract::backend() {
    if (GetParam().restartsBeforeEachCall && !waits_) {
        harness_->restart();
    }
    return harness_->backend();
}

CallContext BackendContract::ctx() {
    return {.deadline = harness_->clock().steadyNow() + 30s};
}

BatchJob BackendContract::plan(const JobPlan& what) {
    return harness_->job(++number_, what);
}

JobRef BackendContract::refOf(const BatchJob& job) {
    return {.key = job.key, .account = job.account, .id = {}, .submittedAt = {}};
}

JobRef BackendContract::submit(const BatchJob& job) {
    submitted_.push_back(refOf(job));
    const auto result = backend().submit(ctx(), std::vector{job}).at(0);
    EXPECT_TRUE(result.ok()) << result.error().message;
    auto ref = refOf(job);
    if (result.ok() && result->accepted) {
        ref.id = result->accepted->id;
        ref.submittedAt = result->accepted->submittedAt;
    } else {
        ADD_FAILURE() << job.key.value << " was not accepted";
    }
    return ref;
}

std::vector<BatchJob> BackendContract::fillSlots() {
    std::vector<BatchJob> jobs;
    std::vector<JobRef> refs;
    for (int i = 0; i < harness_->slots(); ++i) {
        jobs.push_back(plan({.held = true}));
        refs.push_back(submit(jobs.back()));
    }
    for (const auto& ref : refs) {
        EXPECT_TRUE(reaches(ref, BatchState::Running));
    }
    return jobs;
}

Observation BackendContract::observe(const JobRef& ref) {
    const auto seen = backend().observe(ctx(), std::vector{ref});
    EXPECT_TRUE(seen.ok());
    return seen.ok() ? seen->at(0) : Observation{};
}

::testing::AssertionResult BackendContract::eventually(const std::function<bool()>& condition,
                                                       const std::string& what) {
    const auto end = harness_->clock().steadyNow() + 30s;
    bool is = condition();
    waits_ = true;  // Nodes may send to it meanwhile.
    while (!is && harness_->clock().steadyNow() < end) {
        harness_->pass();
        is = condition();
    }
    waits_ = false;
    return is ? ::testing::AssertionSuccess()
              : ::testing::AssertionFailure() << "never saw " << what;
}

::testing::AssertionResult BackendContract::reaches(const JobRef& ref, BatchState state) {
    return eventually([&] { return observe(ref).state == state; },
                      ref.key.value + " in state " + std::to_string(static_cast<int>(state)));
}

Observation BackendContract::ended(const JobRef& ref) {
    EXPECT_TRUE(reaches(ref, BatchState::Ended));
    if (backend().capabilities().filesByCollect) {
        EXPECT_TRUE(eventually(
            [&] {
                const auto files = backend().collect(ctx(), std::vector{ref}).at(0);
                return files.ok() && *files != CollectOutcome::NotYet;
            },
            "its files"));
    }
    return observe(ref);
}

LogChunk BackendContract::log(const JobRef& ref, std::int64_t offset, std::size_t limit) {
    const std::vector<LogRequest> requests{{ref, 1, offset, limit}};
    auto chunk = backend().readLogs(ctx(), requests).at(0);
    EXPECT_TRUE(chunk.ok()) << chunk.error().message;
    return chunk.ok() ? std::move(chunk).value() : LogChunk{};
}

Result<CancelOutcome> BackendContract::cancel(const JobRef& ref, CancelKind kind) {
    const std::vector<CancelRequest> requests{{ref, kind}};
    return backend().cancel(ctx(), requests).at(0);
}

Result<void> BackendContract::release(const JobRef& ref) {
    return backend().release(ctx(), std::vector{ref}).at(0);
}

::testing::AssertionResult BackendContract::released(const std::vector<JobRef>& refs) {
    // A busy batch system may not have done it when the call ends: the core repeats it, too.
    return eventually(
        [&] {
            bool all = true;
            for (const auto& result : backend().release(ctx(), refs)) {
                all = all && result.ok();
                EXPECT_TRUE(result || result.error().kind == ErrorKind::Transient)
                    << result.error().message;
            }
            return all;
        },
        "that all of them are released");
}

}  // namespace gridbridge::testing
