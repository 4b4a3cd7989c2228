#include "bridge/gitlab/Job.h"

#include <algorithm>
#include <charconv>

#include "bridge/gitlab/Dump.h"

namespace gridbridge::gitlab {

namespace {

/// How long a verdict is repeated while the server does not take it.
constexpr auto kPatience = std::chrono::minutes(10);
constexpr int kAcknowledgements = 3;
constexpr int kLargestExitCode = 32767;

std::vector<Secret> secretsOf(const JobDescription& job, const Secret& runnerToken) {
    std::vector<Secret> secrets = {runnerToken};
    for (const auto& token : job.tokens()) {
        const auto forms = tokenForms(token);
        secrets.insert(secrets.end(), forms.begin(), forms.end());
    }
    for (const auto& variable : job.variables) {
        if (variable.masked) {
            secrets.emplace_back(variable.value);
        }
    }
    return secrets;
}

template <typename T>
T orThrow(Result<T> result) {
    if (!result) {
        throw RunnerError(result.error().message);
    }
    return std::move(result).value();
}

}  // namespace

struct Job::Impl {
    Impl(std::shared_ptr<Client> client, const Secret& runnerToken, Secret theRunner, Secret body,
         std::string theState, std::string text, bool loaded)
        : runner(std::move(theRunner)),
          jobInfo(std::move(body)),
          description(orThrow(decodeJob(jobInfo.reveal()))),
          state(std::move(theState)),
          link(std::move(client), {.id = description.id, .token = description.token}),
          log(link, secretsOf(description, runnerToken), std::move(text), loaded) {
        if (state != "running") {
            link.end(state);
        }
    }

    const Secret runner;  ///< As a runner's file has it.
    const Secret jobInfo;
    const JobDescription description;
    std::string state;
    JobLink link;
    JobLog log;
};

Job::Job(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Job::Job(Job&&) noexcept = default;
Job& Job::operator=(Job&&) noexcept = default;
Job::~Job() = default;

Job Job::load(const std::filesystem::path& file, ClientOptions options) {
    const auto text = readDumpFile(file);
    try {
        return loads(text, std::move(options));
    } catch (const Misconfigured&) {
        throw;
    } catch (const RunnerError& error) {
        throw RunnerError(file.string() + ": " + error.what());
    }
}

Job Job::loads(const Secret& text, ClientOptions options) {
    auto dump = orThrow(readJobDump(text.reveal()));
    const auto runner = orThrow(readRunnerDump(dump.runner.reveal()));
    return Job(std::make_unique<Impl>(std::make_shared<Client>(runner.apiUrl, std::move(options)),
                                      runner.token, std::move(dump.runner), std::move(dump.jobInfo),
                                      std::move(dump.state), std::move(dump.log), true));
}

Job Job::claimed(std::shared_ptr<Client> client, const Secret& runnerToken, const Secret& runner,
                 const std::string& greeting, Secret body) {
    Job job(std::make_unique<Impl>(std::move(client), runnerToken, runner, std::move(body),
                                   "running", greeting, false));
    job.acknowledge();
    return job;
}

void Job::acknowledge() {
    auto& client = impl_->link.client();
    for (int tries = 1; tries <= kAcknowledgements; ++tries) {
        JobAnswer answer;
        try {
            answer = impl_->link.keepAlive();
        } catch (const RunnerError&) {
            if (impl_->link.ended()) {
                throw;
            }
            return;  // The caller has the job all the same, and any later sign of life does.
        }
        const auto pause = answer.retryAfter.value_or(std::chrono::seconds(1));
        if (answer.outcome == CallOutcome::Done ||
            !client.clock().sleepUntil(client.clock().steadyNow() + pause, client.options().stop)) {
            return;
        }
    }
}

void Job::dump(const std::filesystem::path& file) const {
    writeDumpFile(file, dumps());
}

Secret Job::dumps() const {
    return textOf({.runner = impl_->runner,
                   .jobInfo = impl_->jobInfo,
                   .state = impl_->state,
                   .log = impl_->log.whole()});
}

JobLog& Job::log() {
    return impl_->log;
}
const JobLog& Job::log() const {
    return impl_->log;
}

void Job::auth() {
    const auto answer = impl_->link.keepAlive();
    if (answer.outcome != CallOutcome::Done) {
        throw Unreachable(answer.message);
    }
    impl_->log.flush();
}

void Job::setSuccess() {
    finish({.success = true});
}

void Job::setFailed(FailureReason reason, std::optional<int> exitCode) {
    if (exitCode && (*exitCode < 1 || *exitCode > kLargestExitCode)) {
        throw RunnerError("the exit code of a failed job is 1 to 32767, not " +
                          std::to_string(*exitCode));
    }
    finish({.success = false,
            .failureReason = reportableReason(nameOf(reason), description().failureReasons),
            .exitCode = exitCode});
}

void Job::finish(const FinalReport& verdict) {
    auto& client = impl_->link.client();
    const auto end = client.clock().steadyNow() + kPatience;
    for (auto last = report(verdict, false); !last.done; last = report(verdict, last.lost)) {
        if (client.clock().steadyNow() + last.pause > end) {
            throw Unreachable("the verdict of job " + std::to_string(id()) +
                              " could not be delivered: " + last.why);
        }
        client.sleep(last.pause, last.why);
    }
}

Job::Attempt Job::report(FinalReport verdict, bool lost) {
    auto& log = impl_->log;
    if (!log.send() || (log.close(), !log.send())) {
        return {.pause = log.pause(), .why = log.trouble(), .lost = lost};
    }
    if (log.exact()) {
        verdict.traceEnd = log.end();
    }
    const std::string wanted = verdict.success ? "success" : "failed";
    const auto answer = impl_->link.finish(verdict);
    const bool earlier = lost && answer.serverStatus == wanted;
    if (answer.outcome == CallOutcome::Done || earlier) {
        impl_->state = wanted;
        impl_->link.end(wanted);
        return {.done = true};
    }
    if (answer.outcome == CallOutcome::Ended) {
        impl_->link.throwEnd();
    }
    return {.pause = answer.retryAfter.value_or(std::chrono::seconds(1)),
            .why = answer.message,
            .lost = lost || answer.outcome == CallOutcome::Retry ||
                    answer.outcome == CallOutcome::NotGitLab};
}

const std::string& Job::state() const {
    return impl_->state;
}

const JobDescription& Job::description() const {
    return impl_->description;
}

std::int64_t Job::pipelineId() const {
    if (description().pipelineId != 0) {
        return description().pipelineId;
    }
    std::int64_t id = 0;  // Old servers say it in the variable alone.
    const auto text = predefined("CI_PIPELINE_ID");
    std::from_chars(text.data(), text.data() + text.size(), id);
    return id;
}

std::optional<RegistryCredential> Job::registryCredential(std::string_view image) const {
    std::optional<RegistryCredential> best;
    for (const auto& each : description().registryCredentials) {
        const bool fits = image.starts_with(each.url) &&
                          (image.size() == each.url.size() || image[each.url.size()] == '/');
        if (fits && (!best || each.url.size() > best->url.size())) {
            best = each;
        }
    }
    return best;
}

/// GitLab's own value: its variables come first in the list, what users define under the same
/// name after them.
std::string Job::predefined(std::string_view key) const {
    const auto& all = variables();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [key](const JobVariable& each) { return each.key == key; });
    return found == all.end() ? std::string() : found->value;
}

std::vector<std::string> Job::step(std::string_view name) const {
    for (const auto& each : description().steps) {
        if (each.name == name) {
            return each.script;
        }
    }
    return {};
}

}  // namespace gridbridge::gitlab
