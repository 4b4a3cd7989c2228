#pragma once

#include <stdexcept>

namespace gridbridge::gitlab {

/// What Runner and Job throw. `what()` is one sentence for people, with no secret in it. Thrown as
/// itself for what repeating cannot help: a damaged file, a refused value, a server that is no
/// GitLab.
class RunnerError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// GitLab does not accept the runner's or the job's token.
class AuthError : public RunnerError {
public:
    using RunnerError::RunnerError;
};

/// The job has ended, here or in GitLab: nothing more can be said of it.
class AlreadyFinished : public RunnerError {
public:
    using RunnerError::RunnerError;
};

/// Somebody cancelled the job.
class JobCancelled : public RunnerError {
public:
    using RunnerError::RunnerError;
};

/// The server cannot be reached or is overloaded: the same call may be repeated later.
class Unreachable : public RunnerError {
public:
    using RunnerError::RunnerError;
};

/// A setting keeps the server from being asked: address, certificate, proxy. Only `checkAuth` and
/// `registerWith` throw it for a certificate: to an open job it is Unreachable, since a site may
/// renew its certificate late.
class Misconfigured : public RunnerError {
public:
    using RunnerError::RunnerError;
};

/// A file cannot be read or written.
class FileError : public RunnerError {
public:
    using RunnerError::RunnerError;
};

}  // namespace gridbridge::gitlab
