#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bridge/gitlab/RunnerApi.h"
#include "tests/fakes/Gate.h"

namespace gridbridge::testing {

/// A GitLab in memory behind the protocol calls: it keeps traces, takes final reports, refuses
/// what comes for jobs it has ended, and writes down every call. Safe for concurrent use.
class FakeRunnerApi final : public gitlab::RunnerApi {
public:
    enum class Verb { Verify, Claim, KeepAlive, Trace, Finish, Upload, Download };
    struct Call {
        Verb verb;
        std::int64_t job;
        SteadyTime at;
        std::int64_t offset = 0;     ///< Of a trace.
        std::size_t bytes = 0;       ///< Of a trace.
        std::string lastUpdate{};    ///< Of a claim.
        gitlab::JobAnswer answer{};  ///< What came back.
    };
    struct Job {
        std::string trace;
        bool debugTrace = false;
        std::string ended;  ///< Its final status; empty = it runs.
        std::vector<gitlab::FinalReport> reports;
        std::vector<std::string> uploads;  ///< Bytes of each try, taken or not.
    };

    explicit FakeRunnerApi(const Clock& clock) : clock_(clock) {}

    // What the test arranges.
    void offer(std::string body) {
        const std::lock_guard lock(mutex_);
        offers_.push_back(std::move(body));
    }
    /// The next calls of `verb` are answered so and change nothing.
    void answerNext(Verb verb, gitlab::JobAnswer answer, int times = 1) {
        const std::lock_guard lock(mutex_);
        for (int i = 0; i < times; ++i) {
            scripted_[verb].push_back(answer);
        }
    }
    void answerClaims(gitlab::ClaimAnswer answer, int times) {
        const std::lock_guard lock(mutex_);
        claims_.insert(claims_.end(), static_cast<std::size_t>(times), answer);
    }
    /// What downloads of the job get; without one it is not found.
    void keepArchive(std::int64_t id, std::string bytes) {
        const std::lock_guard lock(mutex_);
        archives_[id] = std::move(bytes);
    }
    /// The next downloads are answered so, and what they get is half of the archive.
    void answerDownloads(gitlab::DownloadAnswer answer, int times = 1) {
        const std::lock_guard lock(mutex_);
        downloads_.insert(downloads_.end(), static_cast<std::size_t>(times), std::move(answer));
    }
    /// While it is away, calls about jobs get no answer and change nothing.
    void setAway(bool away) {
        const std::lock_guard lock(mutex_);
        away_ = away;
    }
    /// What happens while a claim waits for its answer.
    void holdClaims(std::function<void()> meanwhile) { whileHeld_ = std::move(meanwhile); }
    /// The next final reports are taken, and the answers to them are lost on the way.
    void loseAnswers(int times) {
        const std::lock_guard lock(mutex_);
        lost_ = times;
    }
    /// A proxy lets no longer log pass in one call from now on.
    void limitBodies(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        bodyLimit_ = bytes;
    }
    void endJob(std::int64_t id, const std::string& status) {
        const std::lock_guard lock(mutex_);
        jobs_[id].ended = status;
    }
    void truncateTrace(std::int64_t id, std::size_t size) {
        const std::lock_guard lock(mutex_);
        jobs_[id].trace.resize(size);
    }
    /// From now on verifications are answered so.
    void answerVerify(gitlab::VerifyAnswer answer) {
        const std::lock_guard lock(mutex_);
        verified_ = std::move(answer);
    }
    /// Before any upload: called with each piece of it, which it delays.
    void whileSending(std::function<void()> happens) { whileSending_ = std::move(happens); }
    /// The same of downloads, which have about a hundred pieces each.
    void whileReceiving(std::function<void()> happens) { whileReceiving_ = std::move(happens); }
    Gate& gate(Verb verb) {
        const std::lock_guard lock(mutex_);
        return gates_[verb];
    }
    void openAllGates() {
        const std::lock_guard lock(mutex_);
        for (auto& [verb, gate] : gates_) {
            gate.open();
        }
    }

    // What the test looks at.
    Job job(std::int64_t id) const {
        const std::lock_guard lock(mutex_);
        const auto found = jobs_.find(id);
        return found == jobs_.end() ? Job{} : found->second;
    }
    std::vector<Call> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    std::vector<Call> calls(Verb verb, std::optional<std::int64_t> job = {}) const {
        auto all = calls();
        std::erase_if(
            all, [&](const Call& call) { return call.verb != verb || (job && call.job != *job); });
        return all;
    }

    gitlab::VerifyAnswer verify(const CallContext&, const gitlab::RunnerIdentity&) override {
        const std::lock_guard lock(mutex_);
        calls_.push_back({Verb::Verify, 0, clock_.steadyNow()});
        return verified_;
    }
    gitlab::ClaimAnswer requestJob(const CallContext&, const gitlab::RunnerIdentity&,
                                   const std::string& lastUpdate) override {
        const std::lock_guard lock(mutex_);
        calls_.push_back({Verb::Claim, 0, clock_.steadyNow(), 0, 0, lastUpdate});
        if (whileHeld_) {
            whileHeld_();
        }
        gitlab::ClaimAnswer answer;
        if (!claims_.empty()) {
            answer = claims_.front();
            claims_.pop_front();
        } else if (offers_.empty()) {
            answer.outcome = gitlab::ClaimOutcome::NoJob;
        } else {
            answer.outcome = gitlab::ClaimOutcome::Job;
            answer.body = std::move(offers_.front());
            offers_.pop_front();
        }
        return answer;
    }
    gitlab::JobAnswer keepAlive(const CallContext&, const gitlab::JobCredentials& job) override {
        return call({Verb::KeepAlive, job.id, {}}, [](Job&) { return done(); });
    }
    gitlab::JobAnswer appendTrace(const CallContext&, const gitlab::JobCredentials& job,
                                  std::int64_t offset, std::string_view bytes,
                                  bool debug) override {
        return call({Verb::Trace, job.id, {}, offset, bytes.size()}, [&](Job& known) {
            if (bytes.size() > bodyLimit_) {
                return gitlab::JobAnswer{.outcome = gitlab::CallOutcome::TooLarge};
            }
            const auto size = static_cast<std::int64_t>(known.trace.size());
            // An empty PATCH names the last byte, and is a range that GitLab does not look at.
            if (offset != size) {
                gitlab::JobAnswer answer;
                answer.outcome = gitlab::CallOutcome::Mismatch;
                answer.serverSize = size;
                return answer;
            }
            known.trace += bytes;
            known.debugTrace = known.debugTrace || debug;
            return done();
        });
    }
    gitlab::JobAnswer finish(const CallContext&, const gitlab::JobCredentials& job,
                             const gitlab::FinalReport& report) override {
        return call({Verb::Finish, job.id, {}}, [&](Job& known) {
            known.reports.push_back(report);
            known.ended = report.success ? "success" : "failed";
            if (lost_ > 0) {
                --lost_;
                return gitlab::JobAnswer{};
            }
            return done();
        });
    }
    gitlab::JobAnswer uploadArtifact(const CallContext&, const gitlab::JobCredentials& job,
                                     const gitlab::Upload& upload) override {
        std::string bytes;
        const auto written = upload.content([&](std::string_view piece) {
            whileSending_();
            bytes += piece;
            return true;
        });
        if (!written) {
            const bool permanent = written.error().kind == ErrorKind::Permanent;
            return {
                .outcome = permanent ? gitlab::CallOutcome::Rejected : gitlab::CallOutcome::Retry,
                .message = written.error().message};
        }
        {
            const std::lock_guard lock(mutex_);
            jobs_[job.id].uploads.push_back(std::move(bytes));
        }
        return call({Verb::Upload, job.id, {}}, [](Job&) { return done(); });
    }

    gitlab::DownloadAnswer downloadArtifact(const CallContext&,
                                            const gitlab::JobCredentials& dependency,
                                            const gitlab::Download& download) override {
        using gitlab::DownloadOutcome;
        gate(Verb::Download).pass();
        gitlab::DownloadAnswer answer{.outcome = DownloadOutcome::Done};
        std::string bytes;
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back({Verb::Download, dependency.id, clock_.steadyNow()});
            const auto found = archives_.find(dependency.id);
            if (away_) {
                return {.message = "nobody answers"};
            }
            if (!downloads_.empty()) {
                answer = std::move(downloads_.front());
                downloads_.pop_front();
            } else if (found == archives_.end()) {
                return {.outcome = DownloadOutcome::NotFound, .message = "404 Not Found"};
            }
            bytes = found == archives_.end() ? "" : found->second;
        }
        if (answer.outcome != DownloadOutcome::Done) {
            bytes.resize(bytes.size() / 2);
        }
        if (static_cast<std::int64_t>(bytes.size()) > download.limit) {
            return {.outcome = DownloadOutcome::Refused, .message = "too long"};
        }
        const auto piece = bytes.size() / 100 + 1;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            whileReceiving_();
            if (!download.sink(std::string_view(bytes).substr(at, piece))) {
                return {.outcome = DownloadOutcome::Stopped, .message = "not taken"};
            }
        }
        return answer;
    }

    static gitlab::JobAnswer done() {
        gitlab::JobAnswer answer;
        answer.outcome = gitlab::CallOutcome::Done;
        return answer;
    }
    static gitlab::JobAnswer ended(const std::string& status) {
        gitlab::JobAnswer answer;
        answer.outcome = gitlab::CallOutcome::Ended;
        answer.status = gitlab::JobStatus::Gone;
        answer.serverStatus = status;
        return answer;
    }

private:
    template <typename Effect>
    gitlab::JobAnswer call(Call what, Effect effect) {
        gate(what.verb).pass();
        const std::lock_guard lock(mutex_);
        what.at = clock_.steadyNow();
        auto& job = jobs_[what.job];
        auto& script = scripted_[what.verb];
        if (away_) {
            what.answer = {};
        } else if (!script.empty()) {
            what.answer = script.front();
            script.pop_front();
        } else {
            what.answer = job.ended.empty() ? effect(job) : ended(job.ended);
        }
        calls_.push_back(what);
        return what.answer;
    }

    const Clock& clock_;
    mutable std::mutex mutex_;
    std::deque<std::string> offers_;
    std::deque<gitlab::ClaimAnswer> claims_;
    std::function<void()> whileHeld_;
    std::function<void()> whileSending_ = [] {};
    std::function<void()> whileReceiving_ = [] {};
    std::map<std::int64_t, Job> jobs_;
    std::map<Verb, std::deque<gitlab::JobAnswer>> scripted_;
    std::map<Verb, Gate> gates_;
    std::map<std::int64_t, std::string> archives_;
    std::deque<gitlab::DownloadAnswer> downloads_;
    int lost_ = 0;
    bool away_ = false;
    std::size_t bodyLimit_ = std::size_t{1} << 30U;
    gitlab::VerifyAnswer verified_{gitlab::VerifyOutcome::Valid, 1, ""};
    std::vector<Call> calls_;
};

}  // namespace gridbridge::testing
