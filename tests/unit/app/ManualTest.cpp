#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "bridge/app/Manual.h"
#include "bridge/base/Process.h"

namespace gridbridge::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const CommandHelp& command(const std::vector<CommandHelp>& all, const std::string& name) {
    return *std::find_if(all.begin(), all.end(),
                         [&](const auto& each) { return each.name == name; });
}

TEST(Manual, NamesEveryCommandOptionAndArgument) {
    const auto page = manualPage();
    const auto completion = bashCompletion();
    const auto all = commandHelp();
    ASSERT_GE(all.size(), 8U);
    for (const auto& each : all) {
        EXPECT_THAT(page, HasSubstr("\n.SS " + each.name + "\n")) << each.name;
        EXPECT_THAT(completion, HasSubstr("        " + each.name + ") words=\""));
        EXPECT_FALSE(each.what.empty());
    }
    const auto& jobs = command(all, "jobs");
    EXPECT_THAT(jobs.example, HasSubstr("gridbridge jobs --state running"));
    EXPECT_THAT(page, HasSubstr("\n.B \\-\\-state \\fI{received,claimed,"));
    EXPECT_THAT(page, HasSubstr("\n.B \\-\\-no\\-run\\-untagged\n"));
    EXPECT_THAT(page, HasSubstr("\n.B HTTPS_PROXY, HTTP_PROXY\n"));
    EXPECT_THAT(page, HasSubstr("\n.B \\-\\-all\n"));
    const auto& show = command(all, "show");
    const auto job = std::find_if(show.options.begin(), show.options.end(),
                                  [](const auto& option) { return option.name == "JOB"; });
    ASSERT_NE(job, show.options.end());
    EXPECT_TRUE(job->positional && job->required);
    EXPECT_THAT(completion, HasSubstr("--config --json --help\""));
    EXPECT_THAT(completion, Not(HasSubstr("JOB")));
}

TEST(Manual, RegisterRunnerHasAPageOfItsOwn) {
    const auto page = registerRunnerPage();

    EXPECT_THAT(page, HasSubstr(".SH NAME\nregister\\-runner \\- "));
    EXPECT_THAT(page, HasSubstr(".SH SYNOPSIS\n.B register\\-runner\napi_url\ntoken\noutput_fn\n"
                                "[\\-\\-locked]\n[\\-\\-maximum\\-timeout "));
    EXPECT_THAT(page, HasSubstr("\n.B output_fn\nThe file; its name ends in .json\n"));
    EXPECT_THAT(page, HasSubstr("register\\-runner https://gitlab.example.org glrt\\-"));
}

TEST(Manual, BashCompletesCommandsAndTheirOptions) {
    const auto file = ::testing::TempDir() + "gridbridge-completion.bash";
    std::ofstream(file) << bashCompletion();
    const auto complete = [&](const std::string& words, int at,
                              const std::string& program = "gridbridge",
                              const std::string& function = "_gridbridge") {
        SystemClock clock;
        const auto ended = PosixProcessRunner(clock).run(
            {.argv = {"/bin/bash", "-euc",
                      "source " + file + "; COMP_WORDS=(" + program + " " + words +
                          "); COMP_CWORD=" + std::to_string(at) + "; " + function +
                          "; echo ${COMPREPLY[@]-}"}},
            {clock.steadyNow() + std::chrono::seconds(30)}, 4096);
        return ended.ok() ? ended->out + ended->err : ended.error().message;
    };

    EXPECT_EQ(complete("ca", 1), "cancel\n");
    EXPECT_EQ(complete("jobs --st", 2), "--state\n");
    EXPECT_EQ(complete("show --st", 2), "\n");
    EXPECT_EQ(complete("jobs --state re", 3), "received reporting\n");
    EXPECT_EQ(complete("register --access-level ''", 3), "not_protected ref_protected\n");
    EXPECT_EQ(complete("register --no-run", 2), "--no-run-untagged\n");
    EXPECT_EQ(complete("run --config /etc/host", 3).substr(0, 9), "/etc/host");
    EXPECT_EQ(complete("register --tls-ca-file /etc/host", 3).substr(0, 9), "/etc/host");
    EXPECT_EQ(complete("--lo", 1, "register-runner", "_register_runner"), "--locked\n");
    EXPECT_EQ(
        complete("url token /etc/host", 3, "register-runner", "_register_runner").substr(0, 9),
        "/etc/host");
}

/// The alarms that docs/operations.md explains are lines that the program writes.
TEST(Manual, TheAlarmsOfTheOperationsPageAreReal) {
    const auto read = [](const std::string& name) {
        std::ifstream in(BRIDGE_SOURCE_DIR "/" + name);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    std::string code;
    for (const char* file :
         {"bridge/app/Config.cpp", "bridge/app/Daemon.cpp", "bridge/core/Claimer.cpp",
          "bridge/core/Conversation.cpp", "bridge/core/Preparation.cpp",
          "bridge/core/Reconciler.cpp", "bridge/core/Backends.cpp", "bridge/core/StateDisk.cpp"}) {
        code += read(file);
    }
    std::string joined;  // Adjacent literals are one text.
    for (std::size_t at = 0; at < code.size(); ++at) {
        if (code[at] == '"' && code.find_first_not_of(" \n", at + 1) != std::string::npos &&
            code[code.find_first_not_of(" \n", at + 1)] == '"' && code[at + 1] == '\n') {
            at = code.find_first_not_of(" \n", at + 1);
            continue;
        }
        joined += code[at];
    }
    const auto page = read("docs/operations.md");
    std::istringstream rows(page.substr(page.find("## Alarms")));
    int seen = 0;
    for (std::string row; std::getline(rows, row);) {
        const auto cell = row.substr(0, row.find(" | "));
        for (auto at = cell.find('`'); row.starts_with("| `") && at != std::string::npos;) {
            const auto end = cell.find('`', at + 1);
            auto line = cell.substr(at + 1, end - at - 1);
            line = line.starts_with("…") ? line.substr(std::string("…").size()) : line;
            EXPECT_THAT(joined, HasSubstr(line)) << row;
            ++seen;
            at = cell.find('`', end + 1);
        }
    }
    EXPECT_GE(seen, 12);
}

}  // namespace
}  // namespace gridbridge::app
