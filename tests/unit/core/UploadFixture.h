#pragma once

#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>

#include "tests/fakes/Gzip.h"
#include "tests/unit/core/CoreFixture.h"

namespace gridbridge::core {

/// One file in a tarball of 2048 bytes, or more for much content, packed without being made
/// smaller.
inline std::string tarball(const std::string& name, const std::string& content, int level = 0) {
    std::string header(512, '\0');
    const auto put = [&header](std::size_t at, const std::string& text) {
        header.replace(at, text.size(), text);
    };
    const auto octal = [](std::size_t value) {
        char text[12];
        std::snprintf(text, sizeof text, "%011zo", value);
        return std::string(text);
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(content.size()));
    put(136, octal(0));
    put(148, "        ");
    put(156, "0");
    put(257, std::string("ustar\0"
                         "00",
                         8));
    std::size_t sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    put(148, octal(sum).substr(5) + '\0');
    constexpr std::size_t kFrame = 23;
    auto text = header + content;
    text.resize(content.size() < 1000 ? 2048 - kFrame : (text.size() / 512 + 3) * 512, '\0');
    return testing::gzip(text, level);
}

/// A job with one artifact, whose script ends well.
class UploadTest : public CoreFixture {
protected:
    UploadTest() {
        leave(whole_);
        folders_.output(payload::tarballName(0), file_);
    }
    /// What is seen of the tarball in the job's folder.
    void leave(const std::string& bytes) { std::ofstream(file_, std::ios::binary) << bytes; }
    /// Its script ends, and packed a tarball of that many bytes.
    void finish(int exitCode = 0, std::int64_t bytes = kWhole) {
        backend_.finish(key(row_), exitCode,
                        "output." + payload::tarballName(0) + "=" + std::to_string(bytes) + "\n");
    }
    void begin(const std::string& token = "token-1", const std::string& path = R"("a.txt")") {
        auto text = body(1);
        text.replace(text.find("token-1"), 7, token);
        text.insert(text.size() - 1, R"(,"artifacts":[{"name":"out","paths":[)" + path +
                                         R"(],"when":"always",)"
                                         R"("artifact_type":"archive","artifact_format":")" +
                                         format_ + R"("})" + others_ + "]");
        row_ = store_->receive("pool", "https://gitlab.example.org", "batch", Secret(text));
        capacity().take("pool", "batch");
        answers().post({row_, 0, [](Facts&, Live&) {}});
        settle();
        backend_.run(key(row_));
        pass(kPoll);
        ASSERT_EQ(job(row_).state, store::State::Running);
    }
    std::vector<GitLab::Call> tries() const {
        return gitlab_.calls(testing::FakeRunnerApi::Verb::Upload, 1);
    }
    void failed(const std::string& line, int exitCode = 1) {
        EXPECT_EQ(job(row_).failureReason, "script_failure");
        EXPECT_EQ(job(row_).exitCode, exitCode);
        EXPECT_TRUE(tries().empty());
        const auto trace = traceOf(row_);
        EXPECT_THAT(trace, ::testing::HasSubstr("ERROR: the artifact out.zip " + line));
        EXPECT_EQ(trace.find("out.zip"), trace.rfind("out.zip")) << "it is told once";
    }
    void succeeded() {
        EXPECT_EQ(job(row_).outcome, store::Outcome::Success);
        EXPECT_EQ(tries().size(), 1U);
        EXPECT_THAT(traceOf(row_), ::testing::HasSubstr("a.txt: found 1 matching"));
        EXPECT_THAT(traceOf(row_), ::testing::Not(::testing::HasSubstr("out.zip")))
            << "that it was waited for";
    }

    /// Its upload is of some hundred pieces, and takes that long for each.
    void finishLong(Millis each) {
        std::string content(std::size_t{1} << 20, ' ');
        for (std::size_t i = 0, n = 1; i < content.size(); ++i, n = n * 16807 % 2147483647) {
            content[i] = static_cast<char>(n >> 8U);
        }
        gitlab_.whileSending([this, each] { clock_.advance(each); });
        const auto bytes = tarball("a.txt", content);
        leave(bytes);
        finish(0, static_cast<std::int64_t>(bytes.size()));
    }
    std::size_t count(const std::string& text) {
        const auto trace = traceOf(row_);
        std::size_t times = 0;
        for (auto at = trace.find(text); at != std::string::npos; at = trace.find(text, at + 1)) {
            ++times;
        }
        return times;
    }

    static constexpr std::int64_t kWhole = 2048;
    const std::string whole_ = tarball("a.txt", "what the job has made\n");
    const std::filesystem::path file_ = folder_.path() / "a.tar";
    std::string format_ = "zip";
    std::string others_;  ///< More entries of `artifacts`, each after a comma.
    JobRow row_{};
};

}  // namespace gridbridge::core
