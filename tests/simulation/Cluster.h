#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backends/simulated/SimulatedBackend.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakegitlab/FakeGitLab.h"
#include "tests/simulation/Actors.h"
#include "tests/simulation/Defects.h"
#include "tests/simulation/Plan.h"

namespace gridbridge::simulation {

/// What really happened to one submission, known from the side of the cluster.
struct Truth {
    const PlannedJob* job = nullptr;
    int starts = 0;  ///< How often its script started: a node took the marker.
    std::optional<WallTime> startedAt = {};
    bool fetched = false;  ///< What it left is in its folder, of a cluster that sees none.
    std::optional<SimulatedVerdict> left;  ///< Its status file, once somebody could read it.
};
using Truths = std::map<SubmissionKey, Truth>;

/// Does what was planned, and remembers the truth.
class PlannedWorkload final : public SimulatedWorkload {
public:
    PlannedWorkload(Truths& truths, const fakegitlab::FakeGitLab& gitlab,
                    const std::map<std::string, fakegitlab::JobId>& ids)
        : truths_(truths), gitlab_(gitlab), ids_(ids) {}
    SimulatedWork work(const SubmissionKey& key) override;
    std::string status(const SubmissionKey& key, const SimulatedVerdict& verdict) override;

    static constexpr const char* kFarewell = "stopped when asked\n";

private:
    Truths& truths_;
    const fakegitlab::FakeGitLab& gitlab_;
    const std::map<std::string, fakegitlab::JobId>& ids_;
    std::map<SubmissionKey, std::string> logs_;
};

/// All of JobFolders, with a hook for the side that takes markers: service or nodes.
class MarkedFolders final : public folder::JobFolders {
public:
    using Hook =
        std::function<Result<folder::MarkOutcome>(folder::JobFolders&, const folder::FolderRef&)>;
    MarkedFolders(folder::JobFolders& real, Hook hook) : real_(real), hook_(std::move(hook)) {}

    std::filesystem::path path(const folder::FolderRef& f) const override { return real_.path(f); }
    Result<void> stage(const folder::FolderRef& f,
                       std::span<const folder::StagedFile> files) override {
        return real_.stage(f, files);
    }
    Result<void> append(const folder::FolderRef& f, const std::string& name, std::int64_t offset,
                        std::string_view bytes) override {
        return real_.append(f, name, offset, bytes);
    }
    Result<folder::ProcessId> start(
        const folder::FolderRef& f, std::span<const std::string> argv,
        const std::function<bool(const folder::ProcessId&)>& recorded) override {
        return real_.start(f, argv, recorded);
    }
    std::vector<Result<folder::ReadChunk>> read(
        std::span<const folder::ReadRequest> requests) override {
        return real_.read(requests);
    }
    folder::ProcessEnd reap(const folder::FolderRef& f, const folder::ProcessId& process) override {
        return real_.reap(f, process);
    }
    Result<folder::MarkOutcome> mark(const folder::FolderRef& f) override {
        return hook_(real_, f);
    }
    Result<folder::MarkOutcome> begin(const folder::FolderRef& f) override {
        return hook_(real_, f);
    }
    Result<void> requestCancel(const folder::FolderRef& f) override {
        return real_.requestCancel(f);
    }
    Result<void> signal(const folder::FolderRef& f, const folder::ProcessId& process,
                        int signal) override {
        return real_.signal(f, process, signal);
    }
    Result<void> free(const folder::FolderRef& f) override { return real_.free(f); }

private:
    folder::JobFolders& real_;
    Hook hook_;
};

/// The batch system over a line on which every call takes its time.
class DistantBackend final : public Backend {
    template <typename Call>
    auto slowly(Call call) {
        clock_.pause(dice_.time(Millis(1), Millis(300)));
        auto answer = call();
        clock_.pause(dice_.time(Millis(1), Millis(300)));
        return answer;
    }

public:
    DistantBackend(Backend& real, WorldClock& clock, Dice& dice, Truths& truths, const Plan& plan,
                   Defect& defect)
        : real_(real), clock_(clock), dice_(dice), truths_(truths), plan_(plan), defect_(defect) {}

    Capabilities capabilities() const override;
    Result<void> probe(const CallContext& ctx) override {
        return slowly([&] { return real_.probe(ctx); });
    }
    std::vector<Result<Submission>> submit(const CallContext& ctx,
                                           std::span<const BatchJob> jobs) override;
    Result<std::vector<FoundJob>> find(const CallContext& ctx,
                                       std::span<const JobRef> refs) override {
        return defect_.found(slowly([&] { return real_.find(ctx, refs); }));
    }
    Result<std::vector<Observation>> observe(const CallContext& ctx,
                                             std::span<const JobRef> refs) override {
        return defect_.observed(refs, slowly([&] { return real_.observe(ctx, refs); }));
    }
    std::vector<Result<LogChunk>> readLogs(const CallContext& ctx,
                                           std::span<const LogRequest> requests) override;
    std::vector<Result<CancelOutcome>> cancel(const CallContext& ctx,
                                              std::span<const CancelRequest> requests) override;
    std::vector<Result<CollectOutcome>> collect(const CallContext& ctx,
                                                std::span<const JobRef> refs) override;
    std::vector<Result<void>> release(const CallContext& ctx,
                                      std::span<const JobRef> refs) override {
        return slowly([&] { return real_.release(ctx, refs); });
    }

private:
    std::vector<Result<CollectOutcome>> fetch(const CallContext& ctx, std::span<const JobRef> refs);

    Backend& real_;
    WorldClock& clock_;
    Dice& dice_;
    Truths& truths_;
    const Plan& plan_;
    Defect& defect_;
};

}  // namespace gridbridge::simulation
