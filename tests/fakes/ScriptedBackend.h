#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/api/Backend.h"
#include "tests/fakes/Gate.h"

namespace gridbridge::testing {

/// A batch system in memory that does nothing by itself: the test starts and ends its jobs, lets
/// calls hang or fail, and sees every call. Safe for concurrent use.
class ScriptedBackend final : public Backend {
public:
    enum class Verb { Probe, Submit, Find, Observe, ReadLogs, Cancel, Collect, Release };
    struct Job {
        Observation seen;
        std::string log;
        std::optional<std::string> status;
        std::string batchLog;
        WallTime submittedAt;
        std::string label;
        std::string account;
        int submits = 0;
        std::vector<CancelKind> cancels;
        bool collected = false;
    };

    explicit ScriptedBackend(const Clock& clock) : clock_(clock) {}

    // What the test arranges.
    Capabilities abilities{.liveLog = true, .softCancel = true, .findsByKey = true};
    /// Told of every end, from the thread that makes it.
    ChangeListener changed = [](const SubmissionKey&) {};

    Gate& gate(Verb verb) {
        const std::lock_guard lock(mutex_);
        return gates_[verb];
    }
    /// Where answers wait that have been made up: what happens meanwhile they do not tell.
    Gate& answerGate(Verb verb) {
        const std::lock_guard lock(mutex_);
        return answerGates_[verb];
    }
    void openAllGates() {
        const std::lock_guard lock(mutex_);
        for (auto* gates : {&gates_, &answerGates_}) {
            for (auto& [verb, gate] : *gates) {
                gate.open();
            }
        }
    }
    /// While set, every item of every call of `verb` gets it, and nothing happens.
    void fail(Verb verb, std::optional<Error> error) {
        const std::lock_guard lock(mutex_);
        failures_[verb] = std::move(error);
    }
    /// This one job cannot be released.
    void keep(const SubmissionKey& key) {
        const std::lock_guard lock(mutex_);
        kept_ = key;
    }
    /// What `collect` says of every job; without it: Done, with filesByCollect of those that ended.
    void sayOfFiles(std::optional<CollectOutcome> said) {
        const std::lock_guard lock(mutex_);
        saidOfFiles_ = said;
    }
    void setFull(bool full) {
        const std::lock_guard lock(mutex_);
        full_ = full;
    }
    /// The next answers to submit are lost: the jobs are there, but nobody knows.
    void loseSubmitAnswers(int times) {
        const std::lock_guard lock(mutex_);
        lost_ = times;
    }
    void run(const SubmissionKey& key) {
        change(key, [](Job& job) {
            job.seen.state = BatchState::Running;
            job.seen.started = true;
        });
    }
    void print(const SubmissionKey& key, const std::string& text) {
        change(key, [&](Job& job) { job.log += text; });
    }
    /// The job makes its log this one.
    void replaceLog(const SubmissionKey& key, const std::string& text) {
        change(key, [&](Job& job) { job.log = text; });
    }
    /// The script ends; the wrapper leaves its status file, with these lines about outputs.
    void finish(const SubmissionKey& key, int exitCode = 0, const std::string& outputs = {},
                const std::string& why = {}) {
        change(key, [&](Job& job) {
            job.status = "version=1\nnonce=" + key.value +
                         "\noutcome=" + (exitCode == 0 ? "success" : "failed") + "\nwhy=" + why +
                         "\nstage=step_script\nexit_code=" +
                         (exitCode == 0 ? "" : std::to_string(exitCode)) +
                         "\nhost=n1\nlog_bytes=" + std::to_string(job.log.size()) +
                         "\nended_at=1767225600\n" + outputs;
            job.seen.state = BatchState::Ended;
            job.seen.started = true;
            job.seen.cause = EndCause::Exited;
            job.seen.exitCode = exitCode;
        });
        changed(key);
    }
    /// The batch system forgets the job.
    void lose(const SubmissionKey& key) {
        const std::lock_guard lock(mutex_);
        jobs_.erase(key);
    }

    // What the test looks at.
    bool has(const SubmissionKey& key) const {
        const std::lock_guard lock(mutex_);
        return jobs_.count(key) > 0;
    }
    Job job(const SubmissionKey& key) const {
        const std::lock_guard lock(mutex_);
        return jobs_.at(key);
    }
    /// How many items each call of `verb` had.
    std::vector<std::size_t> calls(Verb verb) const {
        const std::lock_guard lock(mutex_);
        const auto found = calls_.find(verb);
        return found == calls_.end() ? std::vector<std::size_t>{} : found->second;
    }
    std::size_t calls() const {
        const std::lock_guard lock(mutex_);
        std::size_t sum = 0;
        for (const auto& [verb, sizes] : calls_) {
            sum += sizes.size();
        }
        return sum;
    }

    Capabilities capabilities() const override { return abilities; }
    Result<void> probe(const CallContext&) override {
        if (const auto error = begin(Verb::Probe, 0)) {
            return *error;
        }
        return {};
    }
    std::vector<Result<Submission>> submit(const CallContext&,
                                           std::span<const BatchJob> jobs) override {
        return each<Submission>(Verb::Submit, jobs, [this](const BatchJob& wanted) {
            if (full_) {
                return Result<Submission>(Submission{{}, Full{"too many jobs"}});
            }
            auto [job, isNew] = jobs_.try_emplace(wanted.key);
            if (isNew) {
                job->second.seen.state = BatchState::Pending;
                job->second.submittedAt = clock_.wallNow();
                job->second.label = wanted.label;
                job->second.account = wanted.account;
            }
            ++job->second.submits;
            if (lost_ > 0) {
                --lost_;
                return Result<Submission>(uncertainError("the answer was lost"));
            }
            return Result<Submission>(
                Submission{Accepted{{"id-" + wanted.key.value}, job->second.submittedAt}, {}});
        });
    }
    Result<std::vector<FoundJob>> find(const CallContext&, std::span<const JobRef> refs) override {
        if (const auto error = begin(Verb::Find, refs.size())) {
            return *error;
        }
        const std::lock_guard lock(mutex_);
        std::vector<FoundJob> found;
        for (const auto& ref : refs) {
            const auto job = jobs_.find(ref.key);
            if (job != jobs_.end() && job->second.account == ref.account) {
                found.push_back({ref.key, {"id-" + ref.key.value}, job->second.submittedAt});
            }
        }
        return found;
    }
    Result<std::vector<Observation>> observe(const CallContext&,
                                             std::span<const JobRef> refs) override {
        const auto seen = each<Observation>(Verb::Observe, refs, [this](const JobRef& ref) {
            Observation one;
            one.state = BatchState::Absent;
            const auto job = jobs_.find(ref.key);
            return Result<Observation>(job == jobs_.end() ? one : job->second.seen);
        });
        std::vector<Observation> all;
        for (const auto& one : seen) {
            if (!one) {
                return one.error();
            }
            all.push_back(*one);
        }
        return all;
    }
    std::vector<Result<LogChunk>> readLogs(const CallContext&,
                                           std::span<const LogRequest> requests) override {
        return each<LogChunk>(Verb::ReadLogs, requests, [this](const LogRequest& request) {
            const auto job = jobs_.find(request.ref.key);
            if (job == jobs_.end()) {
                return Result<LogChunk>(LogChunk{});
            }
            if (request.source == LogSource::Batch) {
                return Result<LogChunk>(LogChunk{job->second.batchLog, job->second.status});
            }
            const bool isHere = !abilities.filesByCollect || job->second.collected;
            if (!isHere && !abilities.liveLog) {
                return Result<LogChunk>(LogChunk{});
            }
            const auto& log = job->second.log;
            const auto from = std::min(static_cast<std::size_t>(request.offset), log.size());
            return Result<LogChunk>(LogChunk{log.substr(from, request.limit),
                                             isHere ? job->second.status : std::nullopt,
                                             static_cast<std::int64_t>(log.size())});
        });
    }
    std::vector<Result<CancelOutcome>> cancel(const CallContext&,
                                              std::span<const CancelRequest> requests) override {
        return each<CancelOutcome>(Verb::Cancel, requests, [this](const CancelRequest& request) {
            const auto job = jobs_.find(request.ref.key);
            if (job == jobs_.end()) {
                return Result<CancelOutcome>(CancelOutcome::AlreadyGone);
            }
            job->second.cancels.push_back(request.kind);
            return Result<CancelOutcome>(CancelOutcome::Requested);
        });
    }
    std::vector<Result<CollectOutcome>> collect(const CallContext&,
                                                std::span<const JobRef> refs) override {
        return each<CollectOutcome>(Verb::Collect, refs, [this](const JobRef& ref) {
            const auto job = jobs_.find(ref.key);
            if (saidOfFiles_ || !abilities.filesByCollect) {
                return Result<CollectOutcome>(saidOfFiles_.value_or(CollectOutcome::Done));
            }
            if (job == jobs_.end()) {
                return Result<CollectOutcome>(transientError("nobody knows the job"));
            }
            job->second.collected = job->second.seen.state == BatchState::Ended;
            return Result<CollectOutcome>(job->second.collected ? CollectOutcome::Done
                                                                : CollectOutcome::NotYet);
        });
    }
    std::vector<Result<void>> release(const CallContext&, std::span<const JobRef> refs) override {
        return each<void>(Verb::Release, refs, [this](const JobRef& ref) {
            if (ref.key == kept_) {
                return Result<void>(transientError("it cannot be released"));
            }
            jobs_.erase(ref.key);
            return Result<void>();
        });
    }

private:
    /// Notes the call, hangs where it must, and says how it fails.
    std::optional<Error> begin(Verb verb, std::size_t items) {
        {
            const std::lock_guard lock(mutex_);
            calls_[verb].push_back(items);
        }
        gate(verb).pass();
        const std::lock_guard lock(mutex_);
        return failures_[verb];
    }
    template <typename T, typename Item, typename Action>
    std::vector<Result<T>> each(Verb verb, std::span<const Item> items, Action action) {
        const auto error = begin(verb, items.size());
        std::vector<Result<T>> outcomes;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& item : items) {
                outcomes.push_back(error ? Result<T>(*error) : action(item));
            }
        }
        answerGate(verb).pass();
        return outcomes;
    }
    template <typename Action>
    void change(const SubmissionKey& key, Action action) {
        const std::lock_guard lock(mutex_);
        action(jobs_.at(key));
    }

    const Clock& clock_;
    mutable std::mutex mutex_;
    std::map<SubmissionKey, Job> jobs_;
    std::map<Verb, Gate> gates_;
    std::map<Verb, Gate> answerGates_;
    std::map<Verb, std::optional<Error>> failures_;
    std::map<Verb, std::vector<std::size_t>> calls_;
    SubmissionKey kept_;
    std::optional<CollectOutcome> saidOfFiles_;
    bool full_ = false;
    int lost_ = 0;
};

}  // namespace gridbridge::testing
