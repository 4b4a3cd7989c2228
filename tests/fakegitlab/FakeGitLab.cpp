#include "tests/fakegitlab/FakeGitLab.h"

#include <algorithm>
#include <chrono>

#include "bridge/base/Check.h"
#include "tests/fakegitlab/ArtifactRules.h"
#include "tests/fakegitlab/Repositories.h"
#include "tests/fakegitlab/Router.h"
#include "tests/fakegitlab/Server.h"
#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr auto kLook = Millis(20);

std::string local(std::uint16_t port) {
    return "http://127.0.0.1:" + std::to_string(port);
}

JobSnapshot snapshotOf(const JobState& job) {
    return {.id = job.id,
            .name = job.spec.name,
            .stage = job.spec.stage,
            .project = job.spec.project,
            .token = job.token,
            .status = job.status,
            .failureReason = job.failureReason,
            .exitCode = job.exitCode,
            .trace = job.trace,
            .debugTrace = job.debugTrace,
            .artifacts = job.artifacts,
            .acceptedFinals = job.acceptedFinals,
            .deferredFinals = job.deferredFinals,
            .lastChecksum = job.lastChecksum,
            .lastBytesize = job.lastBytesize,
            .maxSilence = job.maxSilence,
            .claimDelivered = job.claimDelivered,
            .erased = !job.gone.empty(),
            .systemId = job.systemId,
            .claimedAt = job.claimedAt,
            .endedAt = job.endedAt,
            .requests = {}};
}

}  // namespace

struct FakeGitLab::Impl {
    Impl(Clock& clock, Options options)
        : state(clock, std::move(options)),
          repositories(state.options.repositories),
          router(state, repositories) {
        state.url = "http://fakegitlab.invalid" + state.options.root;
        if (!state.options.listen) {
            return;
        }
        const auto keepAlive = state.options.keepAlive;
        const auto keep = std::max(state.options.keepArtifactsBelow, kDotenvLimit);
        storage = std::make_unique<Server>(
            [this](const Request& request) {
                auto marked = request;
                marked.atStorage = true;
                return router.handle(marked);
            },
            std::uint16_t{0}, keepAlive, keep);
        const std::lock_guard lock(state.mutex);
        server = std::make_unique<Server>(
            [this](const Request& request) { return router.handle(request); }, state.options.port,
            keepAlive, keep, state.options.tls);
        state.url = local(server->port()) + state.options.root;
        if (!state.options.tls.certificate.empty()) {
            state.url.replace(0, 4, "https");
        }
        state.storageUrl = local(storage->port());
    }

    ~Impl() {
        {
            const std::lock_guard lock(state.mutex);
            state.stopping = true;
        }
        state.changed.notify_all();
        server.reset();
        storage.reset();
        router.answers().write(
            {state.violations.begin() + state.seenViolations, state.violations.end()});
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    /// Runs `action` with the lock, then wakes all who wait for a change.
    template <typename Action>
    auto locked(Action action) {
        struct Wake {
            State& state;
            ~Wake() { state.changed.notify_all(); }
        };
        const std::lock_guard lock(state.mutex);
        const Wake wake{state};
        return action();
    }

    JobState& known(JobId id) {
        auto* job = state.job(id);
        BRIDGE_CHECK(job != nullptr);
        return *job;
    }

    void setAway(bool away) {
        if (server) {
            server->setAway(away);
        }
        locked([&] {
            state.away = away;
            // Nobody could call during the outage: that silence is the server's.
            for (auto& [id, job] : state.jobs()) {
                job.lastContact = state.now();
            }
        });
    }

    std::int64_t projectId(const std::string& project) {
        return projects.try_emplace(project, 400 + std::ssize(projects)).first->second;
    }

    State state;
    Repositories repositories;
    Router router;
    std::map<std::string, std::int64_t> projects;
    std::unique_ptr<Server> storage;
    std::unique_ptr<Server> server;
};

FakeGitLab::FakeGitLab(Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(clock, std::move(options))) {}

FakeGitLab::~FakeGitLab() = default;

std::string FakeGitLab::url() const {
    return impl_->state.url;
}

std::uint16_t FakeGitLab::port() const {
    return impl_->server ? impl_->server->port() : std::uint16_t{0};
}

Reply FakeGitLab::handle(const Request& request) {
    return impl_->router.handle(request);
}

std::int64_t FakeGitLab::addRunner(RunnerSpec spec) {
    return impl_->locked([&] { return impl_->state.addRunner(std::move(spec)).id; });
}

void FakeGitLab::setRunnerPaused(const std::string& token, bool paused) {
    impl_->locked([&] { impl_->state.setPaused(token, paused); });
}

void FakeGitLab::removeRunner(const std::string& token) {
    impl_->locked([&] { impl_->state.removeRunner(token); });
}

std::vector<RunnerSpec> FakeGitLab::runners() const {
    const std::lock_guard lock(impl_->state.mutex);
    std::vector<RunnerSpec> result;
    for (const auto& [token, owner] : impl_->state.runners()) {
        result.push_back(owner.spec);
    }
    return result;
}

std::optional<std::vector<std::string>> FakeGitLab::managerFeatures(const std::string& token,
                                                                    const std::string& systemId) {
    return impl_->locked([&]() -> std::optional<std::vector<std::string>> {
        const auto* owner = impl_->state.runner(token);
        if (owner == nullptr || owner->managers.count(systemId) == 0) {
            return std::nullopt;
        }
        const auto& features = owner->managers.at(systemId).features;
        return std::vector<std::string>(features.begin(), features.end());
    });
}

JobId FakeGitLab::addJob(JobSpec spec) {
    // git runs without the lock.
    auto point = impl_->repositories.pointFor(spec.project, spec.ref);
    return impl_->locked([&] {
        const auto project = impl_->projectId(spec.project);
        return impl_->state.addJob(std::move(spec), std::move(point), project).id;
    });
}

void FakeGitLab::setStages(std::vector<std::string> stages) {
    impl_->locked([&] { impl_->state.setStages(std::move(stages)); });
}

std::string FakeGitLab::commit(const std::string& project, const std::filesystem::path& directory,
                               const std::string& ref) {
    return impl_->repositories.commit(project, directory, ref);
}

void FakeGitLab::cancel(JobId id) {
    impl_->locked([&] { impl_->state.cancel(impl_->known(id)); });
}

void FakeGitLab::forceCancel(JobId id) {
    impl_->locked([&] { impl_->state.forceCancel(impl_->known(id)); });
}

void FakeGitLab::erase(JobId id) {
    impl_->locked([&] { impl_->state.eraseJob(impl_->known(id), "Job has been erased!"); });
}

void FakeGitLab::deleteProject(const std::string& project) {
    impl_->locked([&] {
        for (auto& [id, job] : impl_->state.jobs()) {
            if (job.spec.project == project) {
                impl_->state.eraseJob(job, "Project has been deleted!");
            }
        }
    });
}

void FakeGitLab::expireArtifacts(JobId id) {
    impl_->locked([&] { impl_->known(id).artifactsExpired = true; });
}

void FakeGitLab::replaceArchive(JobId id, std::string bytes) {
    impl_->locked([&] {
        auto& archive = impl_->known(id).artifacts.at(0);
        archive.size = bytes.size();
        archive.bytes = std::move(bytes);
    });
}

void FakeGitLab::forgetTrace(JobId id) {
    impl_->locked([&] { impl_->known(id).trace.clear(); });
}

JobSnapshot FakeGitLab::job(JobId id) const {
    const std::lock_guard lock(impl_->state.mutex);
    auto result = snapshotOf(impl_->known(id));
    for (const auto& request : impl_->state.requests) {
        if (request.job == id) {
            result.requests.push_back(request);
        }
    }
    return result;
}

Status FakeGitLab::status(JobId id) const {
    const std::lock_guard lock(impl_->state.mutex);
    return impl_->known(id).status;
}

std::vector<JobId> FakeGitLab::jobs() const {
    const std::lock_guard lock(impl_->state.mutex);
    std::vector<JobId> result;
    for (const auto& [id, job] : impl_->state.jobs()) {
        result.push_back(id);
    }
    return result;
}

bool FakeGitLab::allEnded() const {
    const std::lock_guard lock(impl_->state.mutex);
    const auto& all = impl_->state.jobs();
    return std::all_of(all.begin(), all.end(), [](const auto& entry) {
        return isEnded(entry.second.status) || !entry.second.gone.empty();
    });
}

std::vector<RequestRecord> FakeGitLab::requests() const {
    const std::lock_guard lock(impl_->state.mutex);
    return {impl_->state.requests.begin(), impl_->state.requests.end()};
}

int FakeGitLab::held() const {
    const std::lock_guard lock(impl_->state.mutex);
    return impl_->state.held;
}

std::vector<std::string> FakeGitLab::violations() const {
    const std::lock_guard lock(impl_->state.mutex);
    impl_->state.seenViolations = std::ssize(impl_->state.violations);
    return impl_->state.violations;
}

void FakeGitLab::runReapers() {
    impl_->locked([&] { impl_->state.reap(); });
}

bool FakeGitLab::waitUntil(const std::function<bool()>& condition, Millis limit) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end) {
            return false;
        }
        std::unique_lock lock(impl_->state.mutex);
        impl_->state.changed.wait_for(lock, kLook);
    }
    return true;
}

bool FakeGitLab::waitForStatus(JobId id, Status wanted, Millis limit) const {
    return waitUntil([&] { return status(id) == wanted; }, limit);
}

bool FakeGitLab::waitForTrace(JobId id, const std::string& text, Millis limit) const {
    return waitUntil(
        [&] {
            const std::lock_guard lock(impl_->state.mutex);
            return impl_->known(id).trace.find(text) != std::string::npos;
        },
        limit);
}

bool FakeGitLab::waitForAllEnded(Millis limit) const {
    return waitUntil([&] { return allEnded(); }, limit);
}

bool FakeGitLab::waitUntilAlone(Millis limit) const {
    impl_->server->takeUpAll();
    return waitUntil([&] { return impl_->server->isAlone(); }, limit);
}

void FakeGitLab::setFaults(std::uint64_t seed, double rate) {
    impl_->locked([&] {
        impl_->state.faults.seed(seed);
        for (std::size_t i = 0; i < kFaultKinds; ++i) {
            impl_->state.faults.setRate(static_cast<FaultKind>(i), rate);
        }
    });
}

void FakeGitLab::setFault(FaultKind kind, double rate, Call at) {
    impl_->locked([&] { impl_->state.faults.setRate(kind, rate, at); });
}

void FakeGitLab::failNext(FaultKind kind, int count, Call at) {
    impl_->locked([&] { impl_->state.faults.failNext(kind, count, at); });
}

std::map<FaultKind, std::uint64_t> FakeGitLab::faults() const {
    const std::lock_guard lock(impl_->state.mutex);
    return impl_->state.faults.counts();
}

void FakeGitLab::goAway() {
    impl_->setAway(true);
}

void FakeGitLab::comeBack() {
    impl_->setAway(false);
}

void FakeGitLab::renewCertificate() {
    impl_->server->renewCertificate();
}

}  // namespace gridbridge::fakegitlab
