#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <optional>
#include <sstream>

#include "bridge/app/JobText.h"
#include "bridge/app/Text.h"
#include "bridge/base/Utf8.h"

namespace gridbridge::app {

namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

Var text(std::string_view value) {
    return value.empty() ? Var() : Var(validUtf8(value));
}

Var time(const std::optional<WallTime>& value) {
    return value ? Var(utcTime(*value)) : Var();
}

template <typename Number>
Var number(const std::optional<Number>& value) {
    return value ? Var(*value) : Var();
}

Object::Ptr makeObject() {
    return new Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

Object::Ptr objectOf(const store::SubmissionRecord& submission) {
    auto object = makeObject();
    object->set("attempt", submission.attempt);
    object->set("key", text(submission.key.value));
    object->set("remote_id", text(submission.id.value));
    object->set("submitted_at", time(submission.submittedAt));
    object->set("run", submission.run);
    object->set("batch_state", text(submission.batchState));
    object->set("reason", text(submission.reason));
    object->set("node", text(submission.node));
    object->set("started_at", time(submission.startedAt));
    object->set("ended_at", time(submission.endedAt));
    object->set("cause", text(submission.cause));
    object->set("exit_code", number(submission.exitCode));
    object->set("signal", number(submission.signal));
    object->set("elapsed_ms", number(submission.elapsedMs));
    object->set("cpu_ms", number(submission.cpuMs));
    object->set("memory_bytes", number(submission.memoryBytes));
    object->set("cancel_at", time(submission.cancelAt));
    object->set("released_at", time(submission.releasedAt));
    return object;
}

Object::Ptr objectOf(const store::JobRecord& job) {
    auto object = makeObject();
    object->set("gitlab_id", number(job.gitlabId));
    object->set("runner", text(job.runner));
    object->set("server_url", text(job.serverUrl));
    object->set("project", text(job.project));
    object->set("ref", text(job.ref));
    object->set("sha", text(job.sha));
    object->set("name", text(job.name));
    object->set("stage", text(job.stage));
    object->set("user", text(job.user));
    object->set("url", text(job.url));
    object->set("backend", text(job.backend));
    object->set("account", text(job.account));
    object->set("state", text(nameOf(job.state)));
    object->set("outcome", text(nameOf(job.outcome)));
    object->set("failure_reason", text(job.failureReason));
    object->set("exit_code", number(job.exitCode));
    object->set("cancel", text(nameOf(job.cancel)));
    object->set("stop_cause", text(job.stopCause));
    object->set("claimed_at", time(job.claimedAt));
    object->set("started_at", time(job.startedAt));
    object->set("ended_at", time(job.endedAt));
    object->set("reported_at", time(job.reportedAt));
    object->set("timeout_seconds", job.timeoutSeconds);
    object->set("deadline", time(job.deadline));
    object->set("trace_length", job.traceLength);
    object->set("trace_state", text(nameOf(job.traceState)));
    object->set("submission", job.submission.attempt == 0 ? Var() : Var(objectOf(job.submission)));
    return object;
}

template <typename Json>
std::string written(const Json& json) {
    constexpr unsigned kIndent = 2;
    std::ostringstream out;
    json.stringify(out, kIndent);
    return out.str() + '\n';
}

}  // namespace

std::string jobsJson(const std::vector<store::JobRecord>& jobs) {
    Array array;
    for (const store::JobRecord& job : jobs) {
        array.add(objectOf(job));
    }
    // Poco puts an empty line into an empty list.
    return jobs.empty() ? "[]\n" : written(array);
}

std::string jobJson(const JobHistory& history) {
    auto object = objectOf(history.job);
    object->set("key", text(history.key));
    Array::Ptr submissions = new Array;
    for (const store::SubmissionRecord& submission : history.submissions) {
        submissions->add(objectOf(submission));
    }
    object->set("submissions", submissions);
    Array::Ptr transitions = new Array;
    for (const store::Transition& transition : history.transitions) {
        auto entry = makeObject();
        entry->set("at", time(transition.at));
        entry->set("from", text(transition.from));
        entry->set("to", text(transition.to));
        entry->set("cause", text(transition.cause));
        transitions->add(entry);
    }
    object->set("transitions", transitions);
    Array::Ptr requests = new Array;
    for (const store::Request& request : history.requests) {
        auto entry = makeObject();
        entry->set("command", text(nameOf(request.kind)));
        entry->set("asked_at", time(request.askedAt));
        entry->set("state", text(nameOf(request.state)));
        entry->set("settled_at", time(request.settledAt));
        entry->set("result", text(request.result));
        requests->add(entry);
    }
    object->set("requests", requests);
    return written(*object);
}

}  // namespace gridbridge::app
