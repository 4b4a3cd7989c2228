#include "tests/unit/core/CoreFixture.h"

#include <future>

namespace gridbridge::core {

namespace {

constexpr const char* kServer = "https://gitlab.example.org";
/// No test waits so long; a call that never ends fails the test instead of stopping it.
constexpr std::chrono::seconds kPatience{50};

std::function<void(const std::string&)> defect() {
    return [](const std::string& text) { ADD_FAILURE() << "a call threw: " << text; };
}

void drain(Lane& lane) {
    // Shared: on a failure the lane may come to it after this function has returned.
    const auto reached = std::make_shared<std::promise<void>>();
    lane.post([reached](std::stop_token) { reached->set_value(); });
    ASSERT_EQ(reached->get_future().wait_for(kPatience), std::future_status::ready)
        << "a call does not end";
}

}  // namespace

struct CoreFixture::Core {
    Core(CoreFixture& test)
        : capacity(test.concurrent_, {{"pool", test.limit_}}, {{"batch", test.maxPending_}}),
          trace(test.folder_.path() / "traces"),
          world{{}, {}, *control, *files, *bulk, "host", "0.0", test.folder_.path()} {
        Policy policy;
        policy.poll = kPoll;
        policy.capabilities = test.backend_.abilities;
        policy.backendName = "batch";
        policy.backendType = "scripted";
        policy.installation = test.store_->installation().id;
        world.backends["batch"] = std::unique_ptr<BackendEntry>(
            new BackendEntry{"batch", test.backend_, test.folders_, policy, *reads, *effects});
        world.runners["pool"] = std::unique_ptr<RunnerEntry>(new RunnerEntry{
            "pool", kServer, test.gitlab_, Identity({Secret("glrt-x"), "s_0123456789ab", {}, ""}),
            "batch", "pool", ""});
        test.backend_.changed = changeListener(answers);
        reconciler = std::make_unique<Reconciler>(test.clock_, *test.store_, world, answers, trace,
                                                  capacity, test.log_);
    }
    ~Core() {
        // Calls under way use everything else, and end first.
        for (auto* lane : {&reads, &effects, &files, &bulk, &control}) {
            lane->reset();
        }
    }

    Answers answers;
    Capacity capacity;
    Trace trace;
    // One thread each, so that a task tells that all before it are over.
    std::unique_ptr<Lane> control = std::make_unique<Lane>("control", 1, defect());
    std::unique_ptr<Lane> files = std::make_unique<Lane>("files", 1, defect());
    std::unique_ptr<Lane> bulk = std::make_unique<Lane>("bulk", 1, defect());
    std::unique_ptr<Lane> reads = std::make_unique<Lane>("reads", 1, defect());
    std::unique_ptr<Lane> effects = std::make_unique<Lane>("effects", 1, defect());
    World world;
    std::unique_ptr<Reconciler> reconciler;
};

CoreFixture::CoreFixture()
    : store_(std::make_unique<store::JobStore>(folder_.path(), clock_, random_, Millis(0))) {
    restart();
}

CoreFixture::~CoreFixture() {
    // The lanes wait for their calls, also where a test has failed and left a gate closed.
    backend_.openAllGates();
    gitlab_.openAllGates();
}

void CoreFixture::restart() {
    core_.reset();
    core_ = std::make_unique<Core>(*this);
}

std::string CoreFixture::body(std::int64_t id) {
    const std::string number = std::to_string(id);
    return R"({"id":)" + number + R"(,"token":"token-)" + number +
           R"(","allow_git_fetch":true,"job_info":{"name":"unit","stage":"test","project_id":1,)"
           R"("project_name":"p","project_full_path":"g/p"},"git_info":{"repo_url":"https://gitlab.example.org/g/p.git",)"
           R"("ref":"main","sha":"0123456789012345678901234567890123456789","ref_type":"branch"},)"
           R"("runner_info":{"timeout":3600},"variables":[{"key":"GIT_STRATEGY","value":"none"}],)"
           R"("steps":[{"name":"script","script":["true"],"when":"on_success"}],)"
           R"("features":{"trace_sections":true}})";
}

JobRow CoreFixture::claim(std::int64_t id) {
    const auto row = store_->receive("pool", kServer, "batch", Secret(body(id)));
    core_->capacity.take("pool", "batch");
    core_->answers.post({row, 0, [](Facts&, Live&) {}});
    return row;
}

JobRow CoreFixture::running(std::int64_t id) {
    const auto row = claim(id);
    settle();
    backend_.run(key(row));
    pass(kPoll);
    EXPECT_EQ(job(row).state, store::State::Running);
    return row;
}

SteadyTime CoreFixture::step() {
    const int before = watch_.commits();
    next_ = core_->reconciler->step();
    EXPECT_LE(watch_.commits() - before, 1) << "more than one commit in a step";
    return next_;
}

void CoreFixture::finishControlCalls() {
    drain(*core_->control);
}

void CoreFixture::finishFileCalls() {
    drain(*core_->files);
}

void CoreFixture::finishBatchCalls() {
    finishReads();
    finishEffects();
}

void CoreFixture::finishReads() {
    drain(*core_->reads);
}

void CoreFixture::finishEffects() {
    drain(*core_->effects);
}

void CoreFixture::finishCalls() {
    for (auto* lane : {core_->control.get(), core_->files.get(), core_->bulk.get(),
                       core_->reads.get(), core_->effects.get()}) {
        drain(*lane);
    }
}

void CoreFixture::settle() {
    const auto all = [this] {
        return gitlab_.calls().size() + backend_.calls() + folders_.calls();
    };
    finishCalls();
    for (int round = 0; round < 1000; ++round) {
        const auto before = all();
        const auto next = step();
        finishCalls();
        if (all() == before && next > clock_.steadyNow() + Millis(1)) {
            return;
        }
        if (HasFatalFailure()) {
            return;
        }
        if (all() == before) {
            clock_.advance(Millis(1));
        }
    }
    FAIL() << "the core does not come to rest";
}

void CoreFixture::pass(Millis howLong) {
    const auto end = clock_.steadyNow() + howLong;
    while (!HasFatalFailure()) {
        settle();
        if (clock_.steadyNow() >= end) {
            return;
        }
        const auto next = std::min(next_, end);
        clock_.advance(std::max(Millis(0), std::chrono::ceil<Millis>(next - clock_.steadyNow())));
    }
}

store::JobRecord CoreFixture::job(JobRow row) {
    const std::vector<JobRow> rows{row};
    return store_->load(rows).at(0);
}

std::string CoreFixture::traceOf(JobRow row) {
    return testing::readFile(core_->trace.path(store::jobKey(store_->installation(), row)));
}

std::vector<std::int64_t> CoreFixture::seconds(const std::vector<GitLab::Call>& calls) const {
    std::vector<std::int64_t> times;
    for (const auto& call : calls) {
        times.push_back(std::chrono::duration_cast<std::chrono::seconds>(call.at - start_).count());
    }
    return times;
}

RunnerEntry& CoreFixture::runner() {
    return *core_->world.runners.at("pool");
}
BackendEntry& CoreFixture::entry() {
    return *core_->world.backends.at("batch");
}
Answers& CoreFixture::answers() {
    return core_->answers;
}
Reconciler& CoreFixture::reconciler() {
    return *core_->reconciler;
}
Capacity& CoreFixture::capacity() {
    return core_->capacity;
}

}  // namespace gridbridge::core
