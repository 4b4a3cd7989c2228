#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/gitlab/Client.h"

namespace gridbridge::gitlab {

/// The calls about one job, with the answers that end it as exceptions: AlreadyFinished,
/// JobCancelled or AuthError when GitLab has ended the job or never knew it, RunnerError when it
/// refuses the call itself. One thread at a time.
class JobLink {
public:
    JobLink(std::shared_ptr<Client> client, JobCredentials job)
        : client_(std::move(client)), job_(std::move(job)) {}

    Client& client() const { return *client_; }
    const JobCredentials& credentials() const { return job_; }

    JobAnswer keepAlive();
    JobAnswer append(std::int64_t offset, std::string_view bytes);
    /// GitLab's end of the job is returned, not thrown: an earlier report may be its reason.
    JobAnswer finish(const FinalReport& report);

    /// The job has ended so: nothing is sent any more.
    void end(const std::string& status) { ended_ = {.serverStatus = status}; }
    bool ended() const { return ended_.has_value(); }
    /// Throws why there is nothing more to say; needs an end.
    [[noreturn]] void throwEnd() const;

    /// Throws JobCancelled the first time after GitLab said `canceling`: the job can still be
    /// written to, and has to be ended by a report.
    void tellCancel();

private:
    JobAnswer heard(JobAnswer answer);
    JobAnswer orThrow(JobAnswer answer);

    std::shared_ptr<Client> client_;
    JobCredentials job_;
    std::optional<JobAnswer> ended_;  ///< What GitLab said then.
    bool canceling_ = false;
    bool told_ = false;
};

}  // namespace gridbridge::gitlab
