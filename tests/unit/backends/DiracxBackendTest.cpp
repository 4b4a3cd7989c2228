#include <gmock/gmock.h>

#include <fstream>

#include "backends/diracx/DiracxBackend.h"
#include "bridge/base/Process.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/ScriptedTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using testing::FakeClock;
using ::testing::HasSubstr;
using testing::ScriptedTransport;
using testing::Servers;
using testing::TempDir;

/// A backend whose DiracX answers what a test says, in that order.
class DiracxBackendTest : public ::testing::Test {
protected:
    DiracxBackendTest() {
        backend_ = std::make_unique<DiracxBackend>(
            DiracxConfig{.url = "https://dirac.example.org", .credentials = file_},
            std::make_unique<ScriptedTransport>(servers_, "https://dirac.example.org"), folders_,
            runner_, clock_, [](const std::string&) {});
    }
    void logIn() {
        std::ofstream(file_) << R"({"access_token":"token","refresh_token":null,)"
                             << R"("expires_on":4000000000})";
        std::filesystem::permissions(file_, std::filesystem::perms(0600));
    }
    void answer(int status, const std::string& body) {
        servers_.answers.emplace_back(http::Response{status, {}, body, {}});
    }
    CallContext ctx() const { return {.deadline = clock_.steadyNow() + std::chrono::seconds(30)}; }

    TempDir temp_;
    const std::filesystem::path file_ = temp_.path() / "credentials.json";
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    PosixProcessRunner runner_{clock_};
    Servers servers_;
    std::unique_ptr<DiracxBackend> backend_;
};

TEST_F(DiracxBackendTest, WhateverIsWrongWithALoginMayBeMendedWhileTheServiceRuns) {
    std::vector<Result<void>> probed{backend_->probe(ctx())};
    logIn();
    for (const int status : {401, 403}) {
        answer(status, R"({"detail":"not you"})");
        probed.push_back(backend_->probe(ctx()));
    }
    answer(200, R"({"dirac_group":"guest","properties":[],"preferred_username":"ada"})");
    probed.push_back(backend_->probe(ctx()));

    for (const auto& each : probed) {
        ASSERT_FALSE(each.ok());
        EXPECT_EQ(each.error().kind, ErrorKind::Transient) << each.error().message;
        EXPECT_TRUE(each.error().misconfigured) << each.error().message;
    }
    EXPECT_THAT(probed.back().error().message, HasSubstr("the group guest of ada may not submit"));

    answer(200, R"({"dirac_group":"user","properties":["NormalUser"],"preferred_username":"ada"})");
    EXPECT_TRUE(backend_->probe(ctx()).ok());
}

}  // namespace
}  // namespace gridbridge
