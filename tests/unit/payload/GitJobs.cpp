#include "tests/unit/payload/GitJobs.h"

#include <cstdlib>
#include <fstream>

namespace gridbridge::payload {

namespace {

void spill(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

void GitJobs::SetUp() {
    std::string pattern = std::filesystem::temp_directory_path() / "git-test.XXXXXX";
    top_ = mkdtemp(pattern.data());
    fakegitlab::Options options;
    options.root = root_;
    options.repositories = top_ / "repositories";
    server_.emplace(clock_, options);
    server_->addRunner("glrt-test");
    const auto id =
        server_->addJob({.project = kProject, .readable = {"physics/lib", "tools/deep"}});
    server_->handle({.method = "POST",
                     .path = root_ + "/api/v4/jobs/request",
                     .headers = {{"content-type", "application/json"}},
                     .body = R"({"token":"glrt-test","info":{"features":{}}})"});
    token_ = server_->job(id).token;
    ASSERT_FALSE(token_.empty());
}

void GitJobs::TearDown() {
    server_.reset();
    std::filesystem::remove_all(top_);
}

std::string GitJobs::commit(const std::string& project,
                            const std::map<std::string, std::string>& files) {
    for (const auto& [name, text] : files) {
        spill(workOf(project) / name, text);
    }
    return server_->commit(project, workOf(project));
}

/// What git takes for a repository whose newest commit is that one.
void GitJobs::addSubmodule(const std::string& project, const std::string& name,
                           const std::string& sha) {
    const auto folder = workOf(project) / name;
    ASSERT_EQ(std::system(("git init --quiet \"" + folder.string() + "\"").c_str()), 0);
    spill(folder / ".git/HEAD", sha + "\n");
}

gitlab::JobDescription GitJobs::job(std::vector<std::string> script) {
    auto job = jobWith(std::move(script));
    job.variables.clear();
    job.token = Secret(token_);
    job.variables.push_back({.key = "CI_JOB_TOKEN", .value = token_, .masked = true});
    job.projectPath = kProject;
    job.git.repoUrl = server_->url() + "/" + kProject + ".git";
    job.git.ref = "main";
    job.git.sha = sha_;
    job.git.refspecs = {"+refs/heads/main:refs/remotes/origin/main"};
    job.git.depth = 1;
    return job;
}

void GitJobs::putBefore(gitlab::JobDescription& job, const std::string& name,
                        const std::string& lines) {
    const auto path = top_ / "bin" / name;
    spill(path, "#!/bin/bash\n" + lines + "exec /usr/bin/" + name + " \"$@\"\n");
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    setVariable(job, "PATH", (top_ / "bin").string() + ":/usr/bin:/bin");
}

}  // namespace gridbridge::payload
