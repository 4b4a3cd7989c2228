#include "bridge/folder/Reach.h"

#include "bridge/base/Process.h"

namespace gridbridge::folder {
namespace {

/// One question of test(1), asked by the account.
Result<bool> holds(const Account& account, const char* question,
                   const std::filesystem::path& path) {
    constexpr Millis kLimit{10000};
    constexpr std::size_t kMostOutput = 4096;
    // In words: sudo has exit codes of its own.
    const std::vector<std::string> argv{
        "/bin/sh", "-c",     R"(if test "$1" "$2"; then echo yes; else echo no; fi)",
        "sh",      question, path.string()};
    SystemClock clock;
    auto answer = PosixProcessRunner(clock).run(
        {.argv = argvAs(account, argv)}, {.deadline = clock.steadyNow() + kLimit}, kMostOutput);
    if (!answer) {
        return answer.error();
    }
    if (answer->out != "yes\n" && answer->out != "no\n") {
        return permanentError("no process can be started as account " + account.name + ": " +
                              answer->err.substr(0, answer->err.find('\n')));
    }
    return answer->out == "yes\n";
}

}  // namespace

Result<bool> canRead(const Account& account, const std::filesystem::path& path) {
    return holds(account, "-r", path);
}

Result<std::optional<std::filesystem::path>> firstClosed(const Account& account,
                                                         const std::filesystem::path& folder) {
    std::filesystem::path way;
    for (const auto& name : folder) {
        way /= name;
        const auto open = holds(account, "-x", way);
        if (!open) {
            return open.error();
        }
        if (!*open) {
            return std::optional(way);
        }
    }
    return std::optional<std::filesystem::path>();
}

}  // namespace gridbridge::folder
