// Rows 6 to 9, and case 78: archives that a job makes for the service, or for another job.
#include <sys/resource.h>

#include "tests/e2e/HostileEndToEnd.h"
#include "tests/e2e/MadeElsewhere.h"
#include "tests/fakes/Gzip.h"
#include "tests/unit/payload/HandmadeTar.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::JobId;
using fakegitlab::Status;
using payload::tarHeader;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr auto kNothing = "00000000000";
const std::string kPebibyte{'\x80', 0, 0, 0, 0, '\x04'};  // 2^50, in base 256.

std::string padded(std::string bytes) {
    bytes.resize((bytes.size() + 511) / 512 * 512);
    return bytes;
}

/// A name of any length, as GNU's tar has it.
std::string longName(const std::string& name) {
    std::string size(12, '\0');
    std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(name.size() + 1));
    return tarHeader("././@LongLink", size, 'L') + padded(name + '\0') +
           tarHeader("long", kNothing);
}

/// More than 100 MiB of names, each once and in order.
std::string namesWithoutEnd() {
    std::string packed;
    std::string part;
    for (int i = 0; i < 28'000; ++i) {
        part += longName(std::to_string(100'000 + i) + "/" + std::string(3900, 'x'));
        if (i % 1000 == 999) {
            packed += gzip(part);
            part.clear();
        }
    }
    return packed;
}

/// A million headers and more, of nothing that has a name.
std::string entriesWithoutEnd() {
    std::string thousand;
    for (int i = 0; i < 1000; ++i) {
        thousand += tarHeader("./", {});
    }
    const auto packed = gzip(thousand);
    std::string all;
    for (int i = 0; i < 1010; ++i) {
        all += packed;
    }
    return all;
}

/// A header that says how long its map of holes is, and a map that never ends.
std::string mapWithoutEnd() {
    std::string pax;
    for (const char* line : {"22 GNU.sparse.major=1\n", "22 GNU.sparse.minor=0\n",
                             "25 GNU.sparse.realsize=1\n", "21 GNU.sparse.name=a\n"}) {
        pax += line;
    }
    std::string size(12, '\0');
    std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(pax.size()));
    std::string holes;
    for (int i = 0; i < 30'000; ++i) {
        holes += "0\n0\n";
    }
    const auto more = gzip(holes);
    auto all = gzip(tarHeader("pax", size, 'x') + padded(pax) + tarHeader("a", "77777777777") +
                    "100000000\n");
    for (int i = 0; i < 1000; ++i) {
        all += more;
    }
    return all;
}

/// A file of this archive in `folder`.
std::filesystem::path made(const std::filesystem::path& folder, const std::string& bytes) {
    static int count = 0;
    auto file = folder / ("made" + std::to_string(++count) + ".tar.gz");
    writeFile(file, bytes);
    return file;
}

std::string tarOf(const std::string& entries) {
    return gzip(entries + std::string(1024, '\0'));
}

// Case 78 of job-execution 12.
TEST_F(HostileEndToEnd, Row06BombsOfBytesOrNamesCostNeitherMemoryNorDiskAndFailTheirJob) {
    const auto jobs = [&] {
        const auto waiting =
            ready({{"the artifacts are larger than 10 GiB", "truncate -s 1T big", "true"},
                   leaving("the artifacts are larger than 10 GiB",
                           made(folder.path, gzip(tarHeader("big", kPebibyte)))),
                   leaving("longer than 100 MiB", made(folder.path, namesWithoutEnd())),
                   leaving("more than 1000000 files", made(folder.path, entriesWithoutEnd())),
                   leaving("it holds more than its files", made(folder.path, mapWithoutEnd()))},
                  {{.paths = {"."}}});
        // From now on the service can write no larger file. Its jobs run already, and may.
        const rlimit most{rlim_t{16} << 20U, RLIM_INFINITY};
        EXPECT_EQ(::prlimit(service->pid(), RLIMIT_FSIZE, &most, nullptr), 0);
        return letGo(waiting);
    }();

    for (const auto& job : jobs) {
        expectScriptFailure(job, 1);
        EXPECT_TRUE(says(job, job.name)) << plain(job.trace);
        EXPECT_THAT(job.artifacts, IsEmpty()) << job.name;
    }
    expectSmall(peak(), 120'000);
}

TEST_F(HostileEndToEnd, Row07HostileEntriesOfATarballAreRefusedAndNoFileGetsSetuid) {
    const auto entry = [](const std::string& name, char type = '0', const std::string& to = {}) {
        return tarHeader(name, kNothing, type, to);
    };
    const std::pair<const char*, std::string> kTars[] = {
        {"absolute", entry("/etc/x")},      {"out", entry("../x")},
        {"out below", entry("a/../../x")},  {"hard link", entry("a") + entry("b", '1', "a")},
        {"device", entry("null", '3')},     {"pipe", entry("pipe", '6')},
        {"twice", entry("a") + entry("a")}, {"too long", longName(std::string(4097, 'x'))},
    };
    std::vector<Deed> deeds;
    for (const auto& [what, tar] : kTars) {
        deeds.push_back(leaving(what, made(folder.path, tarOf(tar))));
    }
    deeds.push_back(leaving(
        "good", made(folder.path, tarOf(tarHeader("line\nend", kNothing) +
                                        entry("link", '2', secret()) + entry("link/below") +
                                        tarHeader("setuid", kNothing, '0', "", "0006755")))));

    const auto jobs = doing(deeds, {{.paths = {"."}}});

    for (std::size_t i = 0; i + 1 < jobs.size(); ++i) {
        expectScriptFailure(jobs[i], 1);
        EXPECT_TRUE(says(jobs[i], "the artifact archive from the node is refused: "))
            << plain(jobs[i].trace);
        EXPECT_THAT(jobs[i].artifacts, IsEmpty()) << jobs[i].name;
    }
    EXPECT_EQ(jobs.back().status, Status::Success) << plain(jobs.back().trace);
    const auto out = unpacked(jobs.back());
    EXPECT_THAT(filesIn(out),
                UnorderedElementsAre((out / "line\nend").string(), (out / "setuid").string(),
                                     (out / "link").string()));
    EXPECT_EQ(std::filesystem::read_symlink(out / "link"), secret());
    EXPECT_EQ(std::filesystem::status(out / "setuid").permissions(), std::filesystem::perms(0755));
}

TEST_F(HostileEndToEnd, Row08ArchivesOfOtherJobsThatLieOrUnpackWithoutEndAreRefusedAndNothingRuns) {
    start();
    const auto zip = [&](const std::string& python) {
        return zipMadeBy(python, folder.path / "made-elsewhere.zip");
    };
    const std::pair<std::string, std::string> archives[] = {
        {"\nscript-ran: whole\n", zip("z.writestr('made/file', 'whole')")},
        {"cannot be used: something in them lies below what is no folder: made/x",
         zip("z.writestr('made', 'a'); z.writestr('made/x', 'out')")},
        {"cannot be used: their archive is damaged or cut short",
         zip("z.writestr(zipfile.ZipInfo('a'), bytes(1 << 20), zipfile.ZIP_DEFLATED)\n"
             "z.filelist[0].file_size = 3 << 30")},
        {"cannot be used: they are larger than 10 GiB", gzip(tarHeader("big", kPebibyte))},
    };
    std::vector<JobId> builders;
    for (std::size_t i = 0; i < std::size(archives); ++i) {
        builders.push_back(gitlab->addJob({.script = {"mkdir made; touch made/file"},
                                           .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                           .artifacts = {{.paths = {"made"}}}}));
    }
    finished(builders);
    begin();
    std::vector<JobId> readers;
    for (std::size_t i = 0; i < std::size(archives); ++i) {
        gitlab->replaceArchive(builders[i], archives[i].second);
        readers.push_back(gitlab->addJob({.name = "reader " + std::to_string(i),
                                          .script = {"echo script-ran: $(cat made/file)"},
                                          .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                                          .dependencies = {builders[i]}}));
    }
    const auto jobs = finished(readers);
    EXPECT_EQ(jobs[0].status, Status::Success) << "the control";
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        EXPECT_TRUE(says(jobs[i], archives[i].first)) << plain(jobs[i].trace);
        if (i > 0) {
            EXPECT_EQ(jobs[i].status, Status::Failed) << jobs[i].name;
            EXPECT_EQ(jobs[i].failureReason, "script_failure") << jobs[i].name;
            EXPECT_FALSE(says(jobs[i], "script-ran")) << plain(jobs[i].trace);
        }
    }
    expectSmall(peak(), 150'000);
}

TEST_F(HostileEndToEnd, Row09ArtifactsFromBehindLinksThatOnlyTheServiceMayReadAreNotPacked) {
    if (!isRoot()) {
        GTEST_SKIP() << leftOut("a job of another account");
    }
    const auto& account = newAccount("gb-e2e-k");
    service->configure("", "run_as = \"" + account.name + "\"\n");
    const std::vector<std::string> links{
        "ln -s " + service->stateDir().string() + " linked; ln -s " + secret() +
        " file; echo x > result; mkdir in; ln -s " + folder.path.string() + " in/deep"};
    const auto job =
        beside({.script = links,
                .artifacts = {{.paths = {"linked/", "linked/secret.key", "in/**/*", secret(),
                                         "../../../secret", "file", "result"}}}});
    const auto named = run({.script = links, .artifacts = {{.paths = {"in/deep/secret"}}}});

    expectScriptFailure(named, 1);
    EXPECT_TRUE(says(named, "Permission denied")) << plain(named.trace);
    EXPECT_THAT(named.artifacts, IsEmpty());
    EXPECT_EQ(job.status, Status::Success) << plain(job.trace);
    const auto out = unpacked(job);
    EXPECT_THAT(filesIn(out),
                UnorderedElementsAre((out / "result").string(), (out / "file").string()));
    EXPECT_EQ(std::filesystem::read_symlink(out / "file"), secret()) << "the link itself";
}

}  // namespace
}  // namespace gridbridge::testing
