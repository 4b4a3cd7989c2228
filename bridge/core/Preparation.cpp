// The parts of the reconciler that need the secret description of a job.
#include "bridge/core/Lines.h"
#include "bridge/core/Reconciler.h"
#include "bridge/payload/ArtifactPlan.h"
#include "bridge/payload/Dependency.h"

namespace gridbridge::core {

using store::JobRecord;
using store::State;

namespace {

/// GitLab drops a job that nobody took for a day.
constexpr std::chrono::hours kLongQueue{12};
constexpr std::chrono::hours kQueueAlarmPause{1};
/// Bytes; what is larger is decoded anew each time, so that many such jobs need little memory.
constexpr std::size_t kKeptDescription = std::size_t{64} << 10U;

std::string sanitized(std::string_view text) {
    std::string result;
    for (const char c : text.substr(0, 64)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        result += plain ? c : '_';
    }
    return result;
}

std::string header(const RunnerEntry& runner, const std::string& version) {
    const auto identity = runner.identity.get();
    return plainLine("Running with gridbridge " + version) +
           plainLine("  on " + runner.description + " " + gitlab::shortToken(identity.token) +
                     ", system ID: " + identity.systemId);
}

void describe(Decoded& decoded, const gitlab::JobDescription& job) {
    decoded.gitlabId = job.id;
    decoded.project = job.projectPath;
    decoded.ref = job.git.ref;
    decoded.sha = job.git.sha;
    decoded.name = job.name;
    decoded.stage = job.stage;
    decoded.user = job.userLogin;
    decoded.url = job.url;
    decoded.timeoutSeconds = job.timeout.count();
}

}  // namespace

/// Without id and token GitLab can be told nothing. A body that has just arrived may lack them;
/// later they are missing where a person or a disk has changed the row.
void Reconciler::identify(const JobRecord& job, Live& live) {
    const auto body = store_.payload(job.row);
    if (const auto identity = body.ok() ? gitlab::identityOf(body->reveal()) : std::nullopt) {
        live.credentials = {identity->id, identity->token};
        if (const auto lifetime = gitlab::tokenLifetime(identity->token)) {
            live.tokenDies = steadyNow_ + (job.claimedAt + *lifetime - now_);
        }
    } else if (job.state != State::Received && !job.reportedAt) {
        log_.error(
            "the stored description of a job cannot be read, so GitLab cannot be told; it is given "
            "up job={} gitlab={} error=\"{}\"",
            live.key, job.gitlabId.value_or(0),
            body.ok() ? "it has neither id nor token" : body.error().message);
    }
}

void Reconciler::adopt(const JobRecord& job, bool claimedHere) {
    auto& live = lives_[job.row];
    lastAdopted_ = std::max(lastAdopted_, job.row);
    live.runner = job.runner;
    live.backend = job.backend;
    live.key = store::jobKey(store_.installation(), job.row);
    identify(job, live);
    if (job.submission.batchState == "pending") {
        // After a restart the same once more is no news, of thousands of jobs at that.
        auto& seen = live.seen.emplace();
        seen.state = BatchState::Pending;
        seen.run = job.submission.run;
        seen.reason = job.submission.reason;
    }
    live.greeted = !claimedHere;
    capacity_.opened(job.runner, job.backend, claimedHere);
    conversation_.opened(live);
    refresh(live, job);
    conversation_.measure(live);
    if (live.reportDue) {
        live.reported = job.outcome == store::Outcome::Success;
    }
    schedule(job.row, live);
}

/// What a heartbeat can do without: a start with thousands of open jobs decodes none of them.
void Reconciler::learn(JobRow row, Live& live) {
    if (std::exchange(live.learnt, true)) {
        return;
    }
    const auto found = describe(row, live);
    if (!found.ok()) {
        return;
    }
    const auto& description = **found;
    JobRecord record;
    record.row = row;
    record.runner = live.runner;
    record.backend = live.backend;
    live.sections = description.traceSections;
    live.wishes = payload::logWishes(description, context(description, record));
    if (const auto granted = grant(description, record, live); granted.ok()) {
        live.wallTime = granted->resources.wallTime;
    }
    live.hasDependencies = std::any_of(description.dependencies.begin(),
                                       description.dependencies.end(), payload::hasArchive);
    for (const auto& artifact : description.artifacts) {
        live.hasUploads = live.hasUploads || payload::isCollected(artifact);
    }
}

Result<std::shared_ptr<const gitlab::JobDescription>> Reconciler::describe(JobRow row, Live& live) {
    if (live.description) {
        return live.description;
    }
    const auto body = store_.payload(row);
    if (!body) {
        return body.error();
    }
    live.payloadBytes = body->reveal().size();
    auto decoded = gitlab::decodeJob(body->reveal());
    if (!decoded.ok()) {
        return decoded.error();
    }
    auto made = std::make_shared<const gitlab::JobDescription>(std::move(decoded).value());
    if (live.goesOn && body->reveal().size() <= kKeptDescription) {
        live.description = made;
    }
    return made;
}

payload::ScriptContext Reconciler::context(const gitlab::JobDescription& job,
                                           const JobRecord& record) const {
    const auto& runner = *world_.runners.at(record.runner);
    payload::ScriptContext context;
    context.runnerShortToken = gitlab::shortToken(runner.identity.get().token);
    context.serverUrl = runner.url;
    context.bridgeHost = world_.host;
    context.version = world_.version;
    context.environment = runner.environment;
    context.nonce = record.submission.key.value;
    context.deadline = record.deadline.value_or(record.claimedAt + job.timeout);
    context.tlsCa = runner.tlsCa;
    context.debugTraceDisabled = runner.debugTraceDisabled;
    context.site = world_.backends.at(record.backend)->site;
    context.cache = runner.cache;
    context.cache.account = record.account;
    context.backend = record.backend;
    context.container = world_.backends.at(record.backend)->container;
    context.allowedImages = runner.allowedImages;
    context.imageIgnored = runner.imageIgnored;
    context.artifactLimit = runner.artifactLimit;
    return context;
}

Result<Grant> Reconciler::grant(const gitlab::JobDescription& job, const JobRecord& record,
                                Live& live) {
    const auto shown = [&](const std::string& value) { return masked(value, record, live); };
    const auto asked = payload::variablesNamed(job, context(job, record), kResourcePrefix);
    return backendOf(live).resources.grant(asked, job.projectPath, shown);
}

Result<payload::JobScript> Reconciler::script(const gitlab::JobDescription& job,
                                              const JobRecord& record,
                                              const Resources& resources) const {
    auto given = context(job, record);
    given.wallTime = resources.wallTime.value_or(std::chrono::seconds(0));
    return payload::makeScript(job, given);
}

void Reconciler::noteQueue(std::chrono::seconds waited, const Live& live) {
    if (waited > kLongQueue && now_ >= queueAlarmAt_) {
        queueAlarmAt_ = now_ + kQueueAlarmPause;
        log_.error(
            "jobs wait long at GitLab, which drops them after 24 hours: raise limits or slots, or "
            "add runners job={} runner={} waited=\"{} hours\"",
            live.key, live.runner, waited / std::chrono::hours(1));
    }
}

Decoded Reconciler::decode(const JobRecord& job, Live& live) {
    Decoded decoded;
    decoded.refusalReason = "runner_system_failure";
    decoded.header = header(*world_.runners.at(job.runner), world_.version);
    const auto found = describe(job.row, live);
    if (!found.ok()) {
        if (live.credentials.id != 0) {
            decoded.gitlabId = live.credentials.id;
        }
        decoded.refusal = found.error().message;
        return decoded;
    }
    const auto& description = **found;
    noteQueue(description.queued, live);
    core::describe(decoded, description);
    decoded.refusalReason = "runner_configuration_error";
    decoded.refusal = world_.runners.at(job.runner)->access.refusal(decoded.project, decoded.user);
    const auto account = backendOf(live).runAs.of(decoded.project);
    if (account.ok()) {
        decoded.account = *account;
    } else if (decoded.refusal.empty()) {
        decoded.refusal = account.error().message;
    }
    if (!decoded.refusal.empty()) {
        return decoded;
    }
    const auto made = script(description, job, {});
    makeMasker(description, made, live);
    const auto granted = grant(description, job, live);
    if (made.ok() && granted.ok()) {
        decoded.warnings = made->warnings;
        decoded.warnings.insert(decoded.warnings.end(), granted->warnings.begin(),
                                granted->warnings.end());
    } else {
        decoded.refusal = made.ok() ? granted.error().message : made.error().message;
    }
    return decoded;
}

bool Reconciler::canMask(const JobRecord& job, Live& live) {
    if (!live.masker) {
        if (const auto found = describe(job.row, live); found.ok()) {
            makeMasker(**found, script(**found, job, {}), live);
        }
    }
    return live.masker != nullptr;
}

std::shared_ptr<const gitlab::Masker> Reconciler::masker(const JobRecord& job, Live& live) {
    return canMask(job, live)
               ? live.masker
               : std::make_shared<const gitlab::Masker>(gitlab::tokenForms(live.credentials.token));
}

std::string Reconciler::masked(const std::string& text, const JobRecord& job, Live& live) {
    return masker(job, live)->step(text, gitlab::MaskMode::Plain, true).text;
}

void Reconciler::makeMasker(const gitlab::JobDescription& job,
                            const Result<payload::JobScript>& script, Live& live) {
    std::vector<Secret> phrases;
    for (const auto& token : job.tokens()) {
        const auto forms = gitlab::tokenForms(token);
        phrases.insert(phrases.end(), forms.begin(), forms.end());
    }
    if (script.ok()) {
        for (const auto& phrase : script->maskPhrases) {
            phrases.emplace_back(phrase);
        }
    } else {
        for (const auto& variable : job.variables) {
            if (variable.masked) {
                phrases.emplace_back(variable.value);
            }
        }
    }
    live.masker = std::make_shared<const gitlab::Masker>(phrases, job.tokenMaskPrefixes);
}

ReadySubmission Reconciler::prepare(const JobRecord& job, Live& live) {
    const auto refuse = [&job](const std::string& why) {
        return ReadySubmission{job.row, job.submission.attempt, permanentError(why)};
    };
    const auto description = describe(job.row, live);
    if (!description.ok()) {
        return refuse(description.error().message);
    }
    const auto granted = grant(**description, job, live);
    live.description.reset();
    if (!granted.ok()) {
        return refuse(granted.error().message);
    }
    live.wallTime = granted->resources.wallTime;
    auto made = script(**description, job, granted->resources);
    if (!made.ok()) {
        return refuse(made.error().message);
    }
    auto parts = std::move(made).value();
    BatchJob batch;
    batch.key = job.submission.key;
    batch.account = job.account;
    for (auto& file : parts.inputs) {
        batch.inputs.push_back({std::move(file.name), std::move(file.content)});
    }
    batch.outputs = std::move(parts.outputs);
    batch.loader = std::move(parts.loader);
    batch.deadline = job.deadline.value_or(job.claimedAt + (*description)->timeout);
    batch.resources = granted->resources;
    batch.label = sanitized(job.project) + ":" + sanitized(job.name) + ":" + sanitized(job.user);
    return {job.row, job.submission.attempt, std::move(batch)};
}

}  // namespace gridbridge::core
