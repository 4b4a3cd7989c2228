// Rows 12, 13, 19, 23 and 25: what a job can learn of others on its node, and leave there.
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/Random.h"
#include "tests/e2e/HostileEndToEnd.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// What a job of another account must not read. All of it exists.
std::vector<std::string> secretsOf(const Service& service, const std::filesystem::path& theirs) {
    auto all = filesIn(service.stateDir());
    EXPECT_THAT(all, AllOf(Contains(EndsWith("/gridbridge.db")), Contains(EndsWith("/secret.key")),
                           Contains(EndsWith(".log"))));
    const auto submission = filesIn(theirs);
    EXPECT_THAT(submission, AllOf(Contains(HasSubstr("/in/")), Contains(EndsWith("/out/log"))));
    all.insert(all.end(), submission.begin(), submission.end());
    const auto records = filesIn(service.workDir() / ".local");
    EXPECT_THAT(records, Not(IsEmpty()));
    all.insert(all.end(), records.begin(), records.end());
    all.push_back(service.config().string());
    all.push_back((service.stateDir().parent_path() / "service.log").string());
    return all;
}

/// What it must not do.
std::vector<std::string> misdeeds(const Service& service, const std::filesystem::path& theirs,
                                  const std::filesystem::path& project) {
    const auto state = service.stateDir().string();
    const auto work = service.workDir().string();
    const auto victim = theirs.string();
    const auto pid = std::to_string(service.pid());
    return {"ls " + state,
            "touch " + state + "/x",
            "touch " + work + "/x",
            "ls " + work + "/.local",
            "ls " + victim,
            "ls " + theirs.parent_path().string(),
            "touch " + victim + "/out/log",
            "rm -rf " + victim + "/out",
            "chmod 777 " + victim,
            "ls " + project.string(),
            "cat /proc/" + pid + "/environ",
            "kill -9 " + pid};
}

TEST_F(HostileEndToEnd, Row12JobOfAnotherAccountReachesNeitherOtherJobsNorTheService) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job of another account");
    }
    const auto& account = newAccount("gb-e2e-a");
    const auto& other = newAccount("gb-e2e-b");
    service->configure("", "run_as = \"" + account.name +
                               "\"\nproject_run_as = [\"physics/**=" + other.name + "\"]\n");
    begin();
    const auto theirs = submissionFolder(innocent_, other.name);
    ASSERT_TRUE(gitlab->waitForTrace(innocent_, "\nhere=/"));
    const auto trace = plain(gitlab->job(innocent_).trace);
    const auto at = trace.find("\nhere=/") + 6;
    const std::filesystem::path project = trace.substr(at, trace.find('\n', at) - at);
    const auto control = (shared_ / "control").string();
    writeFile(control, "all may read this");
    auto files = secretsOf(*service, theirs);
    files.push_back((project / "mine").string());
    EXPECT_EQ(readFile(files.back()), "of-the-innocent\n");
    files.push_back(secret());
    const auto deeds = misdeeds(*service, theirs, project);
    std::vector<std::string> script{
        "echo me=$(id -un) groups=$(id -Gn)", "echo $(grep CapEff /proc/self/status)",
        "echo descriptors=$(ls -l /proc/self/fd | grep -c " + service->stateDir().string() + ")",
        tryToRead(files), tryToRead({control})};
    std::transform(deeds.begin(), deeds.end(), std::back_inserter(script), tryTo);

    const auto job = run({.project = "biology/cells", .script = script});

    EXPECT_EQ(job.status, Status::Success);
    const auto lines = linesOf(plain(job.trace));
    EXPECT_THAT(lines, Contains("me=" + account.name + " groups=" + account.name));
    EXPECT_THAT(lines, Contains("CapEff: 0000000000000000"));
    EXPECT_THAT(lines, Contains("descriptors=0"));
    EXPECT_THAT(lines, Contains("OPEN " + control));
    for (const auto& file : files) {
        EXPECT_THAT(lines, Contains("closed " + file));
    }
    for (const auto& deed : deeds) {
        EXPECT_THAT(lines, Contains("refused " + deed));
    }
    struct stat info {};
    ASSERT_EQ(::stat(theirs.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, other.uid);
    EXPECT_EQ(info.st_mode & 07777U, 0700U);
}

TEST_F(HostileEndToEnd, Row13SecretsOfAJobAreInNoArgumentAndNoDisplayThatAnotherCanSee) {
    // No other process of this machine has it by chance.
    const auto word = Random(std::random_device()()).name(16);
    begin();
    const auto seen = folder.path / "seen";
    const std::string look =
        R"(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" >>)" + seen.string() + " || true";
    const auto spy =
        gitlab->addJob({.name = "spy",
                        .script = {"echo spying; until [ -e " + go() + " ]; do " + look + "; done",
                                   "bash -c '" + look + "' planted-" + word,
                                   "ls -lR " + service->workDir().string() + " >>" + seen.string()},
                        .variables = {{.key = "GIT_STRATEGY", .value = "none"}}});
    ASSERT_TRUE(gitlab->waitForTrace(spy, "\nspying"));
    const auto job = run({.name = "name-" + word,
                          .script = {"echo \"the key is $KEY\"; /bin/true; sleep 0.5"},
                          .afterScript = {"cat \"$FILE\""},
                          .variables = {{.key = "KEY", .value = "key-" + word, .masked = true},
                                        {.key = "FILE", .value = "file-" + word, .file = true}}});
    writeFile(go(), "");

    EXPECT_EQ(finished(spy).status, Status::Success);
    EXPECT_EQ(job.status, Status::Success);
    EXPECT_TRUE(says(job, "the key is [MASKED]\n"));
    const auto shown = readFile(seen);
    EXPECT_THAT(shown, AllOf(HasSubstr(service->workDir().string()), HasSubstr("planted-" + word)));
    EXPECT_THAT(shown, Not(HasSubstr("name-" + word)));
    for (const auto& text : {"key-" + word, "file-" + word, job.token}) {
        EXPECT_THAT(shown, Not(HasSubstr(text)));
        EXPECT_THAT(service->log(), Not(HasSubstr(text)));  // It may name the job.
    }
}

TEST_F(HostileEndToEnd, Row19CredentialsOfTheNodeAreInNoEnvironmentAndNoFileOfAJob) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a proxy that the jobs' account cannot read");
    }
    const auto& account = newAccount("gb-e2e-m");
    service->configure("", "run_as = \"" + account.name + "\"\n");
    writeFile(secret(), kSecret);
    service->start({{"X509_USER_PROXY", secret()},
                    {"X509_USER_CERT", secret()},
                    {"X509_USER_KEY", secret()},
                    {"KRB5CCNAME", "FILE:" + secret()},
                    {"BEARER_TOKEN", "bearer-of-the-service"},
                    {"BEARER_TOKEN_FILE", secret()},
                    {"_CONDOR_CREDS", secret()},
                    {"SLURM_JWT", "jwt-of-the-service"},
                    {"AWS_SECRET_ACCESS_KEY", "aws-of-the-service"}});
    const auto job = beside(
        {.script = {
             "env", tryToRead({secret(), "/proc/" + std::to_string(service->pid()) + "/environ"}),
             "for p in /proc/[0-9]*; do { tr '\\0' '\\n' <$p/environ; } 2>/dev/null || true; done",
             "echo looked; [ -O \"$HOME\" ] && echo own"}});

    EXPECT_EQ(job.status, Status::Success);
    const auto lines = linesOf(plain(job.trace));
    EXPECT_THAT(lines, AllOf(Contains("looked"), Contains("own"), Contains("closed " + secret())));
    EXPECT_THAT(plain(job.trace), AllOf(Not(HasSubstr("X509_USER_")), Not(HasSubstr("KRB5CCNAME")),
                                        Not(HasSubstr("BEARER_TOKEN")), Not(HasSubstr("_JWT"))));
}

TEST_F(HostileEndToEnd, Row23UnmaskedLogIsClosedToOthersAndGoneWithItsJob) {
    begin();
    const auto id = gitlab->addJob(
        {.script = {"echo \"the key is $KEY\"; until [ -e " + go() + " ]; do sleep 0.1; done",
                    "cp \"$GB_OUT/log\" \"$GB_OUT/kept\"; ln \"$GB_OUT/log\" \"$HOME/kept\""},
         .variables = {{.key = "GIT_STRATEGY", .value = "none"},
                       {.key = "KEY", .value = "hunter2-key", .masked = true}}});
    ASSERT_TRUE(gitlab->waitForTrace(id, "\nthe key is [MASKED]\n"));
    const auto own = submissionFolder(id, "");
    EXPECT_THAT(readFile(own / "out" / "log"), HasSubstr("the key is hunter2-key\n"));
    for (const auto& [file, mode] : {std::pair{own, 0700U}, std::pair{own / "out", 0700U},
                                     std::pair{own / "out" / "log", 0600U}}) {
        EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(mode))
            << file;
    }
    writeFile(go(), "");
    EXPECT_EQ(finished(id).status, Status::Success);
    EXPECT_FALSE(std::filesystem::exists(own));
    std::string left = service->log();
    for (const auto& root : {service->stateDir(), service->workDir()}) {
        for (const auto& file : filesIn(root)) {
            left += readFile(file);
        }
    }
    EXPECT_THAT(left, AllOf(HasSubstr("the key is [MASKED]\n"), Not(HasSubstr("hunter2-key"))));
}

TEST_F(HostileEndToEnd, Row25FoldersThatAJobMakesHardToRemoveAreGoneWithIt) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job that closes its folders to itself");
    }
    const auto& account = newAccount("gb-e2e-n");
    service->configure("", "run_as = \"" + account.name + "\"\n");
    writeFile(shared_ / "where", "");
    std::filesystem::permissions(shared_ / "where", std::filesystem::perms(0666));
    const auto kept = shared_ / "kept";
    std::filesystem::create_directory(kept);
    writeFile(kept / "file", "");
    for (const auto& own : {kept, kept / "file"}) {
        ASSERT_EQ(::chown(own.c_str(), account.uid, account.gid), 0);
    }
    const std::string fill =
        R"(cd "$P"; mkdir many && (cd many && seq 1000 | xargs touch); touch $'new\nline' -- -rf; )"
        R"(deep=$(printf deep%0200d 0); for i in $(seq 25); do mkdir $deep; cd -P $deep; done; )"
        R"(cd "$P"; ln -s )" +
        kept.string() + " kept; mkdir closed; touch closed/x; chmod 000 closed many";
    const auto jobs = doing({{"kills its wrapper",
                              "P=$GB_OUT; " + fill + "; P=$CI_PROJECT_DIR; " + fill +
                                  "; echo $CI_PROJECT_DIR >>" + (shared_ / "where").string(),
                              kNoWrapper},
                             {"ends", "P=$CI_PROJECT_DIR; " + fill + "; echo $CI_PROJECT_DIR >>" +
                                          (shared_ / "where").string()}});

    expectScriptFailure(jobs[0], 1);
    expectScriptFailure(jobs[1], 3);
    EXPECT_THAT(filesIn(service->workDir() / account.name), Not(Contains(HasSubstr("deep"))));
    const auto folders = linesOf(readFile(shared_ / "where"));
    EXPECT_EQ(folders.size(), 2U);
    for (const auto& each : folders) {
        EXPECT_FALSE(std::filesystem::exists(each)) << each;
    }
    EXPECT_TRUE(std::filesystem::exists(kept / "file")) << "what a link leads to";
}

}  // namespace
}  // namespace gridbridge::testing
