#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bridge/base/Process.h"

namespace gridbridge::testing {

class TempDir;

/// A real batch system on this machine, the only one of its test program: a script starts it before
/// the first test and ends it after the last.
class Engine {
public:
    virtual ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    /// Of the running program.
    static Engine& get();

    const std::string& name() const { return name_; }
    /// The exit code of the script, 69 where the batch system is not installed; `why` is what it
    /// said.
    int start(std::string& why);
    void stop();
    /// Starts what does not run, and waits until jobs are taken.
    virtual void repair();
    /// A shell command with the batch system's settings, as our own account: an administrator's.
    Finished run(const std::string& shellCommand, int seconds = 60);

protected:
    /// `script` knows `up DIR`, `down DIR` and `status DIR`.
    Engine(std::string name, std::string script);
    const std::filesystem::path& folder() const { return folder_; }
    const std::string& script() const { return script_; }
    /// Of all that run() runs, besides PATH and HOME. Also the settings of the script.
    virtual std::vector<std::string> environment() const = 0;
    /// Folders with its programs, where they are not the usual ones, with `:` behind each.
    virtual std::string programs() const { return ""; }
    /// A signal to the daemon that wrote this file in the folder.
    void killByPidFile(const std::string& daemon, const std::string& signal);

private:
    int runScript(const std::string& verb, std::string& said);

    const std::string name_;
    const std::string script_;
    std::unique_ptr<TempDir> temp_;
    std::filesystem::path folder_;
    SystemClock clock_;
    PosixProcessRunner runner_{clock_};
};

/// One that tests run the whole service on.
class ServiceEngine : public Engine {
public:
    /// Of all nodes together; they are not there.
    static constexpr int kProcessors = 128;

    /// Of the running program, which must have such a one.
    static ServiceEngine& get();

    /// Lines of a section `[backends.NAME]`, from `type` on, with which `jobs` jobs run at a time,
    /// 2 to kProcessors, where the engine can be told; with the programs in `commands` and more
    /// submit options, where it has them.
    virtual std::string backendLines(int jobs, const std::filesystem::path& commands,
                                     const std::vector<std::string>& options) = 0;
    /// Where its programs are, and those that the service runs, first the one that submits.
    virtual std::filesystem::path commandFolder() const { return {}; }
    virtual std::vector<std::string> commands() const { return {}; }
    /// What the service has asked without commands, all of them: lines of the time and a name.
    virtual std::string calls() const { return ""; }
    /// What a script prints comes to GitLab before its end, also after a cancel.
    virtual bool tellsLive() const { return true; }
    /// Where a job runs is told before its end.
    virtual bool tellsNode() const { return true; }
    /// All that may be killed: first the one that keeps the queue, then those of nodes and others.
    virtual std::vector<std::string> daemons() const = 0;
    /// A signal to all processes of that name.
    virtual void kill(const std::string& daemon, const std::string& signal = "KILL") = 0;
    /// What runs now is known after a crash, too: the one that keeps the queue has written it down.
    virtual void awaitSaved() = 0;
    /// As an administrator, by the id that the batch system gave.
    virtual void remove(const std::string& id) = 0;
    /// All jobs.
    virtual void removeAll() = 0;
    /// How many jobs wait or run; -1 = the batch system does not say.
    virtual int open() = 0;

protected:
    using Engine::Engine;
    /// In TOML.
    static std::string listOf(std::vector<std::string> texts, const std::vector<std::string>& more);
    /// Of a command's output; -1 = it failed.
    int linesOf(const std::string& shellCommand);
};

/// One of a computing centre's own, which does what its administrator says.
class SchedulerEngine : public ServiceEngine {
public:
    /// Of the running program, which must have such a one.
    static SchedulerEngine& get();

    /// A submit option: jobs have two minutes, or less.
    virtual std::string shortWallTime() const = 0;
    /// As an administrator, by the id that the batch system gave.
    virtual void hold(const std::string& id) = 0;
    virtual void letGo(const std::string& id) = 0;
    /// Takes a running job from its node, as if to start it again.
    virtual void interrupt(const std::string& id) = 0;
    /// Until asUsual(): jobs end that use more memory than they asked for; no more jobs are taken
    /// than are there, one at least, be they ended.
    virtual void watchMemory() = 0;
    virtual void beFull() = 0;
    virtual void asUsual() = 0;

protected:
    using ServiceEngine::ServiceEngine;
};

}  // namespace gridbridge::testing
