#pragma once

#include <gmock/gmock.h>

#include <fstream>
#include <memory>
#include <sys/stat.h>

#include "backends/diracx/DiracTokens.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/FakeDiracTokens.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// Writes the file as the official client does.
inline void writeCredential(const std::filesystem::path& file, const std::string& refresh,
                            std::int64_t expiresOn, const std::string& access = "secret-first") {
    std::ofstream(file) << R"({"access_token": ")" << access << R"(", "refresh_token": )"
                        << (refresh.empty() ? "null" : '"' + refresh + '"') << R"(, "expires_on": )"
                        << expiresOn << "}";
    ::chmod(file.c_str(), 0600);
}

/// Tokens of a file, and a DiracX that lies in the same process, under a clock that a test moves.
class DiracTokensTest : public ::testing::Test {
protected:
    DiracTokensTest() { restart(); }
    void TearDown() override {
        for (const auto& error : errors_) {
            EXPECT_EQ(error.find("secret"), std::string::npos) << error;
            EXPECT_EQ(error.find('\n'), std::string::npos) << error;
        }
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), files_)
            << "something is left beside the file";
    }

    void restart() { tokens_ = std::make_unique<DiracTokens>(file_, transport_, clock_); }
    std::int64_t now() const {
        return std::chrono::floor<std::chrono::seconds>(clock_.wallNow())
            .time_since_epoch()
            .count();
    }
    void write(const std::string& refresh, int left) {
        writeCredential(file_, refresh, now() + left);
    }
    CallContext ctx() const { return {clock_.steadyNow() + std::chrono::seconds(30)}; }
    Result<Secret> noted(Result<Secret> token) {
        if (!token) {
            errors_.push_back(token.error().message);
        }
        return token;
    }
    Result<Secret> access() { return noted(tokens_->access(ctx())); }
    Result<Secret> renew(const std::string& refused) {
        return noted(tokens_->renew(ctx(), Secret(refused)));
    }
    /// A token that DiracX gave.
    void expectGiven(const Result<Secret>& token) {
        ASSERT_TRUE(token.ok()) << token.error().message;
        EXPECT_TRUE(dirac_.gave(token->reveal()));
    }
    static void expectKept(const Result<Secret>& token) {
        ASSERT_TRUE(token.ok()) << token.error().message;
        EXPECT_EQ(token->reveal(), "secret-first");
    }
    static void expectError(const Result<Secret>& token, bool misconfigured,
                            const std::string& text) {
        ASSERT_FALSE(token.ok());
        EXPECT_EQ(token.error().kind, ErrorKind::Transient);
        EXPECT_EQ(token.error().misconfigured, misconfigured) << token.error().message;
        EXPECT_THAT(token.error().message, ::testing::HasSubstr(text));
    }
    void expectLoginNeeded(const Result<Secret>& token, const std::string& why) {
        expectError(token, true, why);
        ASSERT_FALSE(token.ok());
        EXPECT_THAT(token.error().message, ::testing::AllOf(::testing::HasSubstr(file_.string()),
                                                            ::testing::HasSubstr("dirac login")));
    }
    void pass(int seconds) { clock_.advance(std::chrono::seconds(seconds)); }

    /// DiracX gets the request and does what it asks, but its answer is lost.
    static FakeDiracTransport::Answer loseAnswer(const std::function<http::Response()>& real) {
        real();
        return uncertainError("no whole answer in the time allowed");
    }
    /// DiracX gets nothing, which nobody knows.
    static FakeDiracTransport::Answer loseRequest(const std::function<http::Response()>&) {
        return uncertainError("no whole answer in the time allowed");
    }
    static FakeDiracTransport::Fault answering(int status, const std::string& body) {
        return [=](const auto&) { return http::Response{.status = status, .body = body}; };
    }

    TempDir folder_;
    const std::filesystem::path file_ = folder_.path() / "credentials.json";
    int files_ = 1;
    FakeClock clock_;
    FakeDiracTokens dirac_;
    FakeDiracTransport transport_{dirac_};
    std::unique_ptr<DiracTokens> tokens_;
    std::vector<std::string> errors_;
};

}  // namespace gridbridge::testing
