#include "backends/api/SchedulerCommands.h"

#include <algorithm>
#include <string_view>

#include "bridge/folder/Account.h"
#include "bridge/folder/AgentProtocol.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

/// Of env(1) and sudo(8): what was to be run was not.
constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;

std::vector<std::string> environmentFor(const folder::Account& account, const SchedulerSetup& setup,
                                        const SchedulerCommand& command) {
    auto all = folder::environmentOf(account);
    if (!setup.binDir.empty()) {
        for (auto& variable : all) {
            if (variable.starts_with("PATH=")) {
                variable.insert(std::string_view("PATH=").size(), setup.binDir + ":");
            }
        }
    }
    all.insert(all.end(), setup.variables.begin(), setup.variables.end());
    all.insert(all.end(), command.variables.begin(), command.variables.end());
    return all;
}

/// Whether another program said it that stood in front of the command.
bool saidBefore(const std::string& err, std::string_view program) {
    return err.starts_with(program) || err.starts_with("/usr/bin/" + std::string(program));
}

}  // namespace

SchedulerCommands::SchedulerCommands(SchedulerSetup setup, ProcessRunner& runner, Clock& clock)
    : setup_(std::move(setup)), runner_(runner), clock_(clock) {}

Result<void> SchedulerCommands::awaitTurn(const CallContext& ctx) {
    // Whoever uses a minute's commands up at once has polls wait for the rest of it: after a tenth
    // of them the others come at even distances.
    const int most = std::max(setup_.mostPerMinute, 1);
    const int burst = std::max(most / 10, 1);
    const auto distance = Millis((60'000 / std::max(most - burst, 1)) + 1);
    auto turn = clock_.steadyNow();
    {
        const std::lock_guard lock(mutex_);
        const auto even = std::max(nextEven_, turn);
        turn = std::max(turn, even - distance * (burst - 1));
        if (turn >= ctx.deadline) {
            return transientError("the limit of " + std::to_string(most) +
                                  " commands per minute is reached");
        }
        nextEven_ = even + distance;
    }
    if (turn > clock_.steadyNow() && !clock_.sleepUntil(turn, ctx.stop)) {
        return transientError("the service stops");
    }
    return {};
}

Result<Finished> SchedulerCommands::run(const SchedulerCommand& command, const CallContext& ctx) {
    const auto account = folder::findAccount(command.account);
    if (!account) {
        return account.error();
    }
    if (auto turn = awaitTurn(ctx); !turn) {
        return turn.error();
    }
    // sudo(8) keeps no environment of ours, and only the account itself may end what it runs.
    std::vector<std::string> words{"/usr/bin/env", "-i"};
    const auto environment = environmentFor(*account, setup_, command);
    words.insert(words.end(), environment.begin(), environment.end());
    words.insert(words.end(), command.argv.begin(), command.argv.end());
    if (folder::wayTo(*account) == folder::Way::Sudo) {
        const auto left = std::chrono::ceil<seconds>(ctx.deadline - clock_.steadyNow());
        const auto limit = std::to_string(std::max<std::int64_t>(left.count(), 1));
        words.insert(words.begin(), {"/usr/bin/timeout", "--kill-after=2", limit});
    }
    auto result = runner_.run({.argv = folder::argvAs(*account, words)}, ctx, command.maxOutput);
    if (!result) {
        return result;
    }
    const bool notRun = result->exitCode == kNotFound || result->exitCode == kCannotRun;
    if (notRun && saidBefore(result->err, "env:")) {
        return permanentError("cannot run " + command.argv.front() + ": " +
                              lastLineOf(result->err));
    }
    if (saidBefore(result->err, "sudo:") || saidBefore(result->err, "setpriv:")) {
        return transientError("cannot act as account " + account->name + ": " +
                              lastLineOf(result->err));
    }
    return result;
}

Error withoutEffect(const Error& error) {
    return {error.kind == ErrorKind::Permanent ? ErrorKind::Permanent : ErrorKind::Transient,
            error.message, error.misconfigured};
}

Error submissionError(const Error& error) {
    return error.kind == ErrorKind::Permanent ? transientError(error.message) : error;
}

bool isOurName(std::string_view name) {
    return name.starts_with("gb-") && name.size() < 128 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
               std::string_view::npos;
}

std::optional<WallTime> wallTimeOf(std::int64_t seconds) {
    constexpr std::int64_t kYear10000 = 253'402'300'800;
    return seconds < 0 || seconds >= kYear10000
               ? std::nullopt
               : std::optional(WallTime(std::chrono::seconds(seconds)));
}

std::string lastLineOf(std::string_view text) {
    const auto end = text.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos) {
        return {};
    }
    text = text.substr(0, end + 1);
    return folder::oneLine(text.substr(text.rfind('\n') + 1));
}

}  // namespace gridbridge
