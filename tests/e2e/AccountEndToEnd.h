#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"
#include "tests/e2e/TemporaryAccount.h"

namespace gridbridge::testing {

/// All regular files beneath.
inline std::vector<std::string> filesIn(const std::filesystem::path& folder) {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            files.push_back(entry.path().string());
        }
    }
    return files;
}

/// A service that every account can run.
class AccountEndToEnd : public EndToEnd {
protected:
    AccountEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        std::filesystem::create_directory(shared_);
        std::filesystem::permissions(shared_, std::filesystem::perms(0755));
        // Every account must be able to run it, wherever it was built.
        std::filesystem::copy_file(GRIDBRIDGE_EXECUTABLE, program_);
        service->launchWith({}, program_);
    }

    /// The folder of the job's one submission.
    std::filesystem::path submissionFolder(fakegitlab::JobId id, const std::string& account) {
        std::string key;
        EXPECT_TRUE(waitFor(
            [&] {
                key = service->sql(
                    "SELECT submission.key FROM submission JOIN job ON job.id = submission.job "
                    "WHERE job.gitlab_id = " +
                    std::to_string(id));
                return key.starts_with("gb-");
            },
            "the submission"));
        return service->workDir() / account / key.substr(0, key.size() - 1);
    }

    /// Says for each whether the job's account can read it.
    static std::string tryToRead(const std::vector<std::string>& files) {
        std::string script = "for f in";
        for (const auto& file : files) {
            script += " '" + file + "'";
        }
        return script +
               "; do if cat \"$f\" >/dev/null 2>&1; then echo \"OPEN $f\"; else echo "
               "\"closed $f\"; fi; done";
    }
    std::string untilThereIs(const std::string& file) const {
        return "until [ -e " + (shared_ / file).string() + " ]; do sleep 0.1; done";
    }
    static std::string tryTo(const std::string& command) {
        return "if " + command + " >/dev/null 2>&1; then echo \"DONE " + command +
               "\"; else echo \"refused " + command + "\"; fi";
    }

    void expectUnusable(const std::string& problem) {
        const auto sentence = service->config().string() + problem + "\n";
        int code = 0;
        EXPECT_THAT(service->command({"check"}, &code),
                    ::testing::HasSubstr("\nFAIL  " + sentence));
        EXPECT_EQ(code, 78);
        EXPECT_EQ(service->command({"run"}, &code), "gridbridge: " + sentence);
        EXPECT_EQ(code, 78);
    }

    /// Until the service has been stopped.
    const TemporaryAccount& newAccount(const std::string& prefix) {
        return *accounts_.emplace_back(std::make_unique<TemporaryAccount>(prefix));
    }

    std::vector<std::unique_ptr<TemporaryAccount>> accounts_;
    const std::filesystem::path shared_ =
        folder.path / "shared";  ///< Readable by all: the control.
    const std::filesystem::path program_ = folder.path / "gridbridge";
};

}  // namespace gridbridge::testing
