// What systemd is told, at a real socket.
#include <gmock/gmock.h>

#include <array>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bridge/base/Fd.h"
#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class NotifyEndToEnd : public EndToEnd {
protected:
    NotifyEndToEnd() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto name = path().string();
        name.copy(address.sun_path, sizeof(address.sun_path) - 1);
        if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
            0) {
            throw std::runtime_error("no socket at " + name);
        }
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        service.emplace(gitlab->url(), folder.path);
        service->start({{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "8000000"}});
    }
    std::filesystem::path path() const { return folder.path / "notify"; }

    /// All that came until now.
    void hear() {
        std::array<char, 4096> part{};
        for (ssize_t got = 0;
             (got = ::recv(socket_.get(), part.data(), part.size(), MSG_DONTWAIT)) > 0;) {
            const std::string text(part.data(), static_cast<std::size_t>(got));
            if (text == "WATCHDOG=1") {
                ++signs_;
            } else {
                said_.push_back(text);
            }
        }
    }
    bool hears(std::size_t messages) {
        return bool(waitFor(
            [&] {
                hear();
                return said_.size() >= messages;
            },
            "message " + std::to_string(messages)));
    }
    /// Whether another sign of life comes within the time in which systemd wants one.
    bool alive() {
        hear();
        const int before = signs_;
        return gitlab->waitUntil(
            [&] {
                hear();
                return signs_ > before;
            },
            std::chrono::seconds(8));
    }

    Fd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    std::vector<std::string> said_;
    int signs_ = 0;
};

TEST_F(NotifyEndToEnd, ReadyReloadingReadyStopping) {
    ASSERT_TRUE(hears(1));
    service->reload();
    ASSERT_TRUE(hears(3));
    EXPECT_EQ(service->stop(), 0);
    ASSERT_TRUE(hears(4));

    EXPECT_THAT(said_, ElementsAre("READY=1", StartsWith("RELOADING=1\nMONOTONIC_USEC="), "READY=1",
                                   "STOPPING=1"));
}

TEST_F(NotifyEndToEnd, ACoreThatIsStuckGivesNoSignOfLife) {
    ASSERT_TRUE(hears(1));
    ASSERT_EQ(run({.script = {"true"}}).status, Status::Success);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(alive());
    }

    // Whoever opens a pipe that nobody reads waits for ever: here the core does, for its next log.
    auto key = service->sql("SELECT 'gb-' || id || '-2' FROM installation");
    key.pop_back();
    const auto log = service->stateDir() / "traces" / (key + ".log");
    ASSERT_EQ(::mkfifo(log.c_str(), 0600), 0);
    gitlab->addJob({.script = {"true"}});
    ASSERT_TRUE(waitFor([&] { return service->sql("SELECT count(*) FROM job") == "2\n"; },
                        "the second job"));

    ASSERT_TRUE(waitFor([&] { return !alive(); }, "the core to be stuck"));
    service->killHard();
}

TEST_F(EndToEnd, LinesForTheJournalBeginWithTheirPriority) {
    // systemd names the stream by device and inode (systemd.exec(5)).
    writeFile(folder.path / "service.log", "");
    struct stat status {};
    ASSERT_EQ(::stat((folder.path / "service.log").c_str(), &status), 0);
    gitlab.emplace(clock, options());
    service.emplace(gitlab->url(), folder.path);
    service->start(
        {{"JOURNAL_STREAM", std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)}});

    ASSERT_TRUE(
        waitFor([&] { return service->log().find("refuses the token") != std::string::npos; },
                "a token that is not known"));
    const auto lines = linesOf(service->log());
    EXPECT_THAT(lines, Contains(StartsWith("<6>[core] started installation=")));
    EXPECT_THAT(lines, Contains(StartsWith("<3>[claim] ")));
    EXPECT_THAT(lines, Each(MatchesRegex("<[2-7]>\\[.*")));
    strict = false;
}

}  // namespace
}  // namespace gridbridge::testing
