#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "backends/api/Backend.h"

namespace gridbridge::testing {

/// What a job of the suite does: takes the start marker, prints `output`, perhaps runs until it
/// is let end or asked softly to stop (then it prints `canceled`), publishes `status` unless that
/// is empty, ends.
struct JobPlan {
    std::string output = {};
    std::string status = "status\n";
    int exitCode = 0;
    std::optional<int> signal = {};  ///< Kills itself with it instead of exiting.
    bool held = false;               ///< Runs until `letEnd`.
    bool ignoresTerm = false;
};

/// What the suite needs to know about one backend in order to exercise it.
class BackendHarness {
public:
    virtual ~BackendHarness() = default;

    virtual Backend& backend() = 0;
    /// A job of that number: the same number is the same submission key.
    virtual BatchJob job(int number, const JobPlan& plan) = 0;
    /// A job that this backend must refuse.
    virtual BatchJob rejectedJob(int number) = 0;
    virtual void letEnd(const BatchJob& job) = 0;
    /// How often the job's script started, by evidence from outside the backend.
    virtual int starts(const BatchJob& job) = 0;
    virtual bool folderExists(const BatchJob& job) = 0;
    /// How many jobs run at a time; more wait.
    virtual int slots() = 0;
    virtual Clock& clock() = 0;
    /// How far the batch system's time of a submission may be from ours.
    virtual Millis clockDifference() { return Millis(0); }
    /// Whether the batch system goes on telling of ended jobs after their release.
    virtual bool keepsRecords() { return false; }
    /// Whether the batch system only notes that a job is to be removed, and does it a little later.
    virtual bool removesLater() { return false; }
    /// Whether the batch system tells when a job started and ended.
    virtual bool tellsTimes() { return true; }
    /// Lets a little time go on.
    virtual void pass() = 0;
    /// Destroys and re-creates the backend object.
    virtual void restart() = 0;
};

struct BackendParam {
    std::string name;
    std::function<std::unique_ptr<BackendHarness>()> make;
    /// Nothing may depend on the object's memory; the calls of one wait are to one object.
    bool restartsBeforeEachCall = false;
};

inline void PrintTo(const BackendParam& param, std::ostream* out) {
    *out << param.name;
}

/// The rules of backends/api/Backend.h, for every backend.
class BackendContract : public ::testing::TestWithParam<BackendParam> {
protected:
    void SetUp() override;
    void TearDown() override;

    Backend& backend();
    CallContext ctx();
    BatchJob plan(const JobPlan& what);
    /// Submits and remembers it for the end of the test.
    JobRef submit(const BatchJob& job);
    JobRef run(const JobPlan& what) { return submit(plan(what)); }
    /// Fills all slots with jobs that run until they are let end.
    std::vector<BatchJob> fillSlots();
    /// Leaves those that are not, and removes them.
    bool areReleased(std::vector<JobRef>& refs);
    Observation observe(const JobRef& ref);
    ::testing::AssertionResult reaches(const JobRef& ref, BatchState state);
    Observation ended(const JobRef& ref);
    LogChunk log(const JobRef& ref, std::int64_t offset = 0, std::size_t limit = 1 << 20);
    Result<CancelOutcome> cancel(const JobRef& ref, CancelKind kind);
    Result<void> release(const JobRef& ref);
    /// All of them, in as many calls as the batch system needs.
    ::testing::AssertionResult released(const std::vector<JobRef>& refs);
    static JobRef refOf(const BatchJob& job);
    ::testing::AssertionResult eventually(const std::function<bool()>& condition,
                                          const std::string& what);

    std::unique_ptr<BackendHarness> harness_;

private:
    bool waits_ = false;
    int number_ = 0;
    std::vector<JobRef> submitted_;
};

}  // namespace gridbridge::testing
