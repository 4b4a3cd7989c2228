#pragma once

#include <mutex>
#include <string>

#include "tests/fakegitlab/Repositories.h"
#include "tests/fakegitlab/State.h"

namespace gridbridge::fakegitlab {

// The rules of protocol section 10, one function per call. All need the state's mutex held;
// only requestJob gives it up for a while (long polling).

Reply requestJob(State& state, const Request& request, std::unique_lock<std::mutex>& lock);
Reply updateJob(State& state, const Request& request, JobId id);
Reply appendTrace(State& state, const Request& request, JobId id);
Reply uploadArtifact(State& state, const Request& request, JobId id);
Reply downloadArtifact(State& state, const Request& request, JobId id);
/// Object storage: what a 302 of downloadArtifact leads to.
Reply serveStorage(State& state, const Request& request);
/// Git LFS of a project, already authorized: the batch call for downloads and the objects. `path` =
/// what follows `GROUP/PROJECT.git/`.
Reply serveLfs(const State& state, const Repositories& repositories, const Request& request,
               const std::string& project, const std::string& path);
/// `path` = what follows `/api/v4/`: `runners…` or `user/runners`.
Reply runnersApi(State& state, const Request& request, const std::string& path);

/// The job behind a call of its runner, or the refusal.
struct JobAccess {
    JobState* job = nullptr;  ///< Null = answer `refusal`.
    Reply refusal = {};
};
/// Token, expiry, state, in this order. With `endsOnExpiry` an expired token fails the job.
JobAccess accessJob(State& state, JobId id, const std::string& token, bool endsOnExpiry);

/// Header JOB-TOKEN, else parameter `token` of the query; anything but the header is a violation.
std::string jobToken(State& state, const Request& request, JobId id);

/// A 409 by fault, or nullopt.
std::optional<Reply> conflictByFault(State& state, Call call);

}  // namespace gridbridge::fakegitlab
