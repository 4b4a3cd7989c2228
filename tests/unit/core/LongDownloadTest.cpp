// What is said of downloads, in the log of the job and in that of the service.
#include <gmock/gmock.h>

#include "bridge/payload/Packer.h"
#include "tests/fakes/LogLines.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {
namespace {

using namespace std::chrono_literals;
using gitlab::DownloadOutcome;
using store::State;
using Call = testing::FakeRunnerApi::Verb;

/// A job that depends on two others.
class LongDownloadTest : public CoreFixture {
protected:
    LongDownloadTest() {
        gitlab_.keepArchive(7, archive_);
        gitlab_.keepArchive(8, archive_);
        auto text = body(1);
        text.insert(text.size() - 1, R"(,"dependencies":[)" + dependency(7, "first") + "," +
                                         dependency(8, "second") + "]");
        row_ = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
        capacity().take("pool", "batch");
        answers().post({row_, 0, [](Facts&, Live&) {}});
    }
    std::string dependency(int id, const std::string& name) const {
        return R"({"id":)" + std::to_string(id) + R"(,"name":")" + name +
               R"(","token":"token-of-another","artifacts_file":{"filename":"a.zip","size":)" +
               std::to_string(archive_.size()) + "}}";
    }
    static std::string zip() {
        std::string bytes;
        const auto packer = payload::zipPacker([&](std::string_view piece) {
            bytes += piece;
            return true;
        });
        std::string content;
        for (std::size_t n = 1; content.size() < 5000; n = n * 16807 % 2147483647) {
            content += static_cast<char>(n >> 8U);
        }
        EXPECT_TRUE(packer->begin({.name = "a.txt",
                                   .kind = payload::Member::Kind::File,
                                   .mode = 0644,
                                   .size = static_cast<std::int64_t>(content.size())}) &&
                    packer->write(content) && packer->finish());
        return bytes;
    }
    std::size_t place(const std::string& text) { return traceOf(row_).find(text); }

    const std::string archive_ = zip();
    JobRow row_{};
};

TEST_F(LongDownloadTest, ALongDownloadSaysHowFarItHasComeAfterWhatCameBeforeIt) {
    gitlab_.whileReceiving([this] { clock_.advance(2s); });
    settle();

    const auto trace = traceOf(row_);
    const std::string from = " from coordinator... ";
    EXPECT_LT(place("first (7)" + from + "0 MiB, "), place("first (7)" + from + "ok")) << trace;
    EXPECT_LT(place("first (7)" + from + "ok"), place("second (8)" + from + "0 MiB, ")) << trace;
    EXPECT_LT(place("second (8)" + from + "0 MiB, "), place("second (8)" + from + "ok")) << trace;
    EXPECT_NE(place("second (8)" + from + "ok"), std::string::npos) << trace;
    EXPECT_EQ(trace.find("first (7)" + from + "ok"), trace.rfind("first (7)" + from + "ok"));
}

TEST_F(LongDownloadTest, AFailingOneIsAWarningInTheServicesLogAndSaysNoMoreHowFarItHasCome) {
    gitlab_.whileReceiving([this] { clock_.advance(2s); });
    gitlab_.answerDownloads({.outcome = DownloadOutcome::Retry, .message = "503 for token-1"}, 2);
    const testing::LogLines lines(log_);
    settle();
    pass(10min);

    EXPECT_EQ(gitlab_.calls(Call::Download, 7).size(), 3U);
    EXPECT_EQ(lines.count("artifacts that a job depends on cannot be fetched"), 1) << lines.all();
    EXPECT_EQ(lines.count("first (7) from coordinator... 503 for [MASKED]"), 1) << lines.all();
    const auto trace = traceOf(row_);
    const auto failed = place("503");
    EXPECT_LT(place("first (7) from coordinator... 0 MiB, "), failed) << trace;
    EXPECT_LT(trace.rfind("first (7) from coordinator... 0 MiB, "), failed) << trace;
    EXPECT_LT(failed, place("first (7) from coordinator... ok")) << trace;
}

}  // namespace
}  // namespace gridbridge::core
