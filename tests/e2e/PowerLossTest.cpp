// The power fails in the life of a job.
#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <regex>
#include <sstream>

#include "tests/e2e/CrashFixture.h"

namespace gridbridge::testing {
namespace {

/// Bytes at the beginning of a log that a hole takes, at most: its first stamp and more.
constexpr std::size_t kHole = 64;
constexpr std::size_t kStamp = 32;

/// kill -9, and the disk has kept of the logs, which nobody syncs, what it happened to write: a
/// part, nothing, not even the file, or a part whose beginning reads as zeros. Every commit of the
/// database is on it.
class PowerLoss : public CrashEndToEnd, public ::testing::WithParamInterface<const char*> {
protected:
    enum class Cut { Part, Empty, Gone, Hole };
    static constexpr std::size_t kCuts = 4;

    /// Every second log is a timestamped one.
    void vary(int index, fakegitlab::JobSpec& job) const override {
        if (index % 2 == 1) {
            job.variables.push_back({.key = "FF_TIMESTAMPS", .value = "true"});
        }
    }
    bool isStamped(JobId id) const {
        return (std::find(ids.begin(), ids.end(), id) - ids.begin()) % 2 == 1;
    }
    /// Bytes that are left. What GitLab has reads as zeros in a hole, but never more.
    static std::size_t cut(const std::filesystem::path& trace, Cut how, std::size_t sent,
                           std::mt19937& random) {
        auto bytes = readFile(trace);
        const bool isPart = how == Cut::Part || how == Cut::Hole;
        bytes.resize(bytes.empty() || !isPart ? 0 : random() % bytes.size());
        if (how == Cut::Hole) {
            std::fill_n(bytes.begin(), std::min({bytes.size(), sent, kHole}), '\0');
        }
        std::filesystem::remove(trace);
        if (how != Cut::Gone) {
            writeFile(trace, bytes);
        }
        return bytes.size();
    }
    /// The jobs that GitLab has not seen end and whose trace is now shorter than was committed.
    std::set<JobId> cutTraces(std::mt19937& random) {
        std::set<JobId> shortened;
        std::vector<std::filesystem::path> traces;
        for (const auto& entry :
             std::filesystem::directory_iterator(service->stateDir() / "traces")) {
            traces.push_back(entry.path());
        }
        auto how = random() % kCuts;
        for (const auto& trace : traces) {
            const auto stem = trace.stem().string();
            const auto row = stem.substr(stem.rfind('-') + 1);
            const auto committed =
                "SELECT gitlab_id FROM job WHERE id = " + row + " AND trace_length > ";
            const auto id = std::stoll("0" + service->sql(committed + "0"));
            const auto sent = id == 0 ? 0 : gitlab->job(id).trace.size();
            const auto kept = cut(trace, static_cast<Cut>(how++ % kCuts), sent, random);
            const bool isShort = service->sql(committed + std::to_string(kept)) != "";
            if (isShort && !isEnded(gitlab->status(id))) {
                shortened.insert(id);
            }
        }
        return shortened;
    }
    /// In the lines that begin behind `begin`; the last one that was kept may end in its time.
    static void expectStamps(const std::string& trace, std::size_t begin) {
        const std::regex stamp(R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z 0[01]O[ +])");
        std::istringstream in(trace.substr(std::min(trace.size(), trace.find('\n', begin))));
        for (std::string line; std::getline(in, line);) {
            const bool isTorn = line.size() < kStamp && line.starts_with("2");
            EXPECT_TRUE(line.empty() || isTorn || std::regex_search(line, stamp)) << line;
        }
    }
    void checkTrace(JobId id) {
        const auto job = gitlab->job(id);
        EXPECT_EQ(job.acceptedFinals, 1) << id;
        EXPECT_EQ(job.trace.find('\0'), std::string::npos) << id;
        EXPECT_EQ(job.trace.find(kSecret), std::string::npos) << id;
        EXPECT_TRUE(lastLine(job).ends_with("Job succeeded")) << id;
        const auto key = service->sql(
            "SELECT 'gb-' || (SELECT id FROM installation) || '-' || id FROM job WHERE gitlab_id "
            "= " +
            std::to_string(id));
        const auto here =
            readFile(service->stateDir() / "traces" / (key.substr(0, key.size() - 1) + ".log"));
        ASSERT_EQ(here.size(), job.trace.size()) << id;
        for (std::size_t at = 0; at < here.size(); ++at) {
            ASSERT_TRUE(here[at] == job.trace[at] || here[at] == '\0') << id << " at " << at;
        }
    }
};

TEST_P(PowerLoss, LogsGoOnWhereGitLabsCopyEnds) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random(seed);
    prepare(4, 2, false);
    const std::string point = GetParam();
    killAt(point, 2);
    const auto shortened = cutTraces(random);
    std::cout << shortened.size() << " logs shortened" << std::endl;
    if (point == "trace-committed" || point == "collected") {
        EXPECT_GT(shortened.size(), 0U) << "an open job has a log that was committed";
    }
    std::map<JobId, std::string> seen;
    for (const auto id : ids) {
        seen[id] = gitlab->job(id).trace;
    }

    service->start();
    settle();

    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (lost.count(ids[i]) > 0) {
            continue;
        }
        const auto job = gitlab->job(ids[i]);
        EXPECT_EQ(readFile(folder.path / ("runs." + std::to_string(i))), "x\n");
        EXPECT_EQ(job.trace.substr(0, seen[ids[i]].size()), seen[ids[i]])
            << "what was sent changed";
        EXPECT_EQ(says(job, " bytes of this log here, perhaps with its power: "),
                  shortened.count(ids[i]) > 0)
            << ids[i];
        if (isStamped(ids[i])) {
            expectStamps(job.trace, seen[ids[i]].size());
        }
        if (seen[ids[i]].find("Job succeeded") == std::string::npos) {
            checkTrace(ids[i]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(EachPoint, PowerLoss, ::testing::ValuesIn(kPoints), pointName);

}  // namespace
}  // namespace gridbridge::testing
