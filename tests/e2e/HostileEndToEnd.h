#pragma once

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/e2e/AccountEndToEnd.h"

namespace gridbridge::testing {

/// A suite of several files: what a job can try, as the table of docs/security.md has it. RowNN are
/// the rows of job-execution 10. In every test the service goes on, a file that is not the job's
/// stays as it is and is shown nowhere, and an innocent job that runs at the same time, or the next
/// one, ends well with its own log and its own file.
class HostileEndToEnd : public AccountEndToEnd {
protected:
    HostileEndToEnd() {
        auto text = readFile(service->config());
        text.replace(text.find("slots = 4"), 9, "slots = 16");
        writeFile(service->config(), text);
    }
    void TearDown() override {
        release();
        if (!HasFailure()) {
            expectInnocent(innocent_ != 0 ? finished(innocent_) : finished(addInnocent()));
            expectSecret();
        }
        AccountEndToEnd::TearDown();
    }

    /// To 256 KiB for each job; before begin().
    void limitLogs() const {
        auto text = readFile(service->config());
        text.replace(text.find("limit = 100"), 11, "limit = 100\noutput_limit = 256");
        writeFile(service->config(), text);
    }
    /// With the innocent job, which waits until all else has been done.
    void begin() {
        writeFile(secret(), kSecret);
        std::filesystem::permissions(secret(), std::filesystem::perms(0600));
        start();
        innocent_ = addInnocent();
    }
    /// This job, run beside the innocent one.
    fakegitlab::JobSnapshot beside(fakegitlab::JobSpec spec) {
        begin();
        return run(std::move(spec));
    }
    std::string secret() const { return (folder.path / "secret").string(); }
    std::string go() const { return (folder.path / "go").string(); }

    /// What a job does once what it printed before has been read, and how its script goes on.
    struct Deed {
        const char* what;
        std::string deed;
        std::string end = "exit 3";
    };
    /// Jobs that will do all of that once they are let go; beside the innocent one.
    std::vector<fakegitlab::JobId> ready(
        const std::vector<Deed>& deeds,
        const std::vector<fakegitlab::ArtifactSpec>& artifacts = {}) {
        begin();
        std::vector<fakegitlab::JobId> ids;
        for (const auto& [what, deed, end] : deeds) {
            ids.push_back(gitlab->addJob(
                {.name = what,
                 .script = {"seq 1 100; until [ -e " + go() + " ]; do sleep 0.1; done", deed, end},
                 .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                 .artifacts = artifacts}));
        }
        for (const auto id : ids) {
            EXPECT_TRUE(gitlab->waitForTrace(id, "\n100\n"));
        }
        EXPECT_TRUE(gitlab->waitForTrace(innocent_, "begun"));
        return ids;
    }
    std::vector<fakegitlab::JobSnapshot> letGo(const std::vector<fakegitlab::JobId>& ids) {
        writeFile(go(), "");
        return finished(ids);
    }
    std::vector<fakegitlab::JobSnapshot> doing(
        const std::vector<Deed>& deeds,
        const std::vector<fakegitlab::ArtifactSpec>& artifacts = {}) {
        return letGo(ready(deeds, artifacts));
    }
    using EndToEnd::finished;
    std::vector<fakegitlab::JobSnapshot> finished(const std::vector<fakegitlab::JobId>& ids) {
        std::vector<fakegitlab::JobSnapshot> jobs;
        for (const auto id : ids) {
            jobs.push_back(finished(id));
        }
        return jobs;
    }
    /// Ended once, as a failure of the script.
    static void expectScriptFailure(const fakegitlab::JobSnapshot& job, int exitCode) {
        EXPECT_EQ(job.status, fakegitlab::Status::Failed) << job.name;
        EXPECT_EQ(job.failureReason, "script_failure") << job.name;
        EXPECT_EQ(job.exitCode, exitCode) << job.name;
        EXPECT_EQ(job.acceptedFinals, 1) << job.name;
        EXPECT_THAT(lastLine(job), ::testing::StartsWith("ERROR: Job failed: exit code " +
                                                         std::to_string(exitCode)))
            << job.name;
    }

    /// Shell text that writes a valid status file, with these lines more, to `where`.
    static std::string forge(const std::string& more = {},
                             const std::string& where = R"("$GB_OUT/status")") {
        return R"(folder=${GB_OUT%/out}; printf 'version=1\nnonce=%s\noutcome=success\nwhy=\n)"
               R"(stage=step_script\nexit_code=\nhost=n\nlog_bytes=0\nended_at=1\n)" +
               more + R"(' "${folder##*/}" > )" + where;
    }
    /// Ends the wrapper, so that what the job has made of its files stands.
    static constexpr auto kNoWrapper = "kill -9 $PPID; sleep 1";
    /// A job with this file in place of the tarball of its artifacts.
    static Deed leaving(const char* what, const std::filesystem::path& file) {
        return {what,
                "cp " + file.string() + R"( "$GB_OUT/artifact.0.tar.gz"; )" +
                    forge("output.artifact.0.tar.gz=" +
                          std::to_string(std::filesystem::file_size(file)) + R"(\n)"),
                kNoWrapper};
    }

    /// Where the job's one archive has been unpacked.
    std::filesystem::path unpacked(const fakegitlab::JobSnapshot& job) const {
        const auto zip = folder.path / (std::to_string(job.id) + ".zip");
        const auto out = folder.path / ("unpacked" + std::to_string(job.id));
        std::filesystem::create_directory(out);
        EXPECT_EQ(job.artifacts.size(), 1U) << job.name;
        if (job.artifacts.size() == 1) {
            writeFile(zip, job.artifacts[0].bytes);
            // -^ keeps a line's end in a name.
            const auto ended =
                runProgram({"/usr/bin/unzip", "-q", "-^", zip.string(), "-d", out.string()});
            EXPECT_EQ(ended.exitCode, 0) << ended;
        }
        return out;
    }
    /// The most memory that the service ever had, in KiB.
    std::size_t peak() const { return memory("VmHWM:"); }
    std::size_t memory(const std::string& which) const {
        std::istringstream in(readFile("/proc/" + std::to_string(service->pid()) + "/status"));
        std::string word;
        std::size_t kib = 0;
        while (in >> word && word != which) {
        }
        in >> kib;
        return kib;
    }
    /// A sanitizer keeps what was freed: its figures say nothing.
    static void expectSmall([[maybe_unused]] std::size_t kib, [[maybe_unused]] std::size_t most) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        EXPECT_LT(kib, most);
#endif
    }

    fakegitlab::JobId innocent_ = 0;
    /// Longer than what is read of any log before: what is read on in its place shows some of it.
    static inline const std::string kSecret = [] {
        std::string lines;
        while (lines.size() < std::size_t{64} << 10U) {
            lines += "root:$6$of-the-service\n";
        }
        return lines;
    }();

private:
    fakegitlab::JobId addInnocent() {
        const auto numbers = "cat mine; seq 1 " + std::to_string(kNumbers);
        return gitlab->addJob(
            {.name = "innocent",
             .script = {"echo of-the-innocent > mine; echo here=$PWD; echo begun; until [ -e " +
                            released().string() + " ]; do sleep 0.1; done",
                        numbers},
             .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
             .artifacts = {{.paths = {"mine"}}}});
    }
    std::filesystem::path released() const {
        return folder.path / "released";
    }
    void release() {
        writeFile(released(), "");
    }

    void expectInnocent(const fakegitlab::JobSnapshot& job) {
        EXPECT_EQ(job.status, fakegitlab::Status::Success);
        EXPECT_EQ(job.acceptedFinals, 1);
        EXPECT_EQ(job.lastBytesize, static_cast<std::int64_t>(job.trace.size()));
        std::string own = "\nof-the-innocent\n";
        for (int i = 1; i <= kNumbers; ++i) {
            own += std::to_string(i) + "\n";
        }
        EXPECT_TRUE(says(job, own)) << plain(job.trace);
        EXPECT_EQ(readFile(unpacked(job) / "mine"), "of-the-innocent\n");
    }
    void expectSecret() const {
        if (std::filesystem::exists(secret())) {
            EXPECT_EQ(readFile(secret()), kSecret);
        }
        for (const auto id : gitlab->jobs()) {
            const auto job = gitlab->job(id);
            EXPECT_THAT(job.trace, ::testing::Not(::testing::HasSubstr("of-the-service")));
            for (const auto& artifact : job.artifacts) {
                EXPECT_THAT(artifact.bytes, ::testing::Not(::testing::HasSubstr("of-the-service")));
            }
        }
    }

    static constexpr int kNumbers = 300;
};

}  // namespace gridbridge::testing
