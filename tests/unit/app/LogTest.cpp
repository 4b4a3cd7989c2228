#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>
#include <unistd.h>

#include "bridge/app/Log.h"
#include "bridge/base/Fd.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

std::string logged(bool journal, spdlog::level::level_enum level, const std::string& message) {
    std::ostringstream out;
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(out);
    sink->set_formatter(lineFormatter(journal));
    spdlog::logger logger("core", sink);
    logger.set_level(spdlog::level::trace);
    logger.log(level, message);
    return out.str();
}

TEST(Log, TheJournalGetsPrioritiesInsteadOfTimes) {
    EXPECT_EQ(logged(true, spdlog::level::critical, "x"), "<2>[core] x\n");
    EXPECT_EQ(logged(true, spdlog::level::err, "x"), "<3>[core] x\n");
    EXPECT_EQ(logged(true, spdlog::level::warn, "x"), "<4>[core] x\n");
    EXPECT_EQ(logged(true, spdlog::level::info, "x job=5"), "<6>[core] x job=5\n");
    EXPECT_EQ(logged(true, spdlog::level::debug, "x"), "<7>[core] x\n");
    EXPECT_EQ(logged(true, spdlog::level::trace, "x"), "<7>[core] x\n");
}

TEST(Log, APersonGetsTimeAndLevel) {
    EXPECT_THAT(logged(false, spdlog::level::info, "claimed job=5"),
                ::testing::MatchesRegex("[0-9]{4}-[0-9-]*T[0-9:]*\\.[0-9]{3}[+-][0-9:]* info "
                                        "\\[core\\] claimed job=5\n"));
}

TEST(Log, AHostileNameForgesNoLine) {
    EXPECT_EQ(logged(true, spdlog::level::info, "name=x\n<2>[core] all is lost\x1b[2J"),
              "<6>[core] name=x\\x0a<2>[core] all is lost\\x1b[2J\n");
}

TEST(Log, ALoggerKeepsToItsLevel) {
    const auto logger = Log("warn").named("claim");
    EXPECT_EQ(logger->name(), "claim");
    EXPECT_FALSE(logger->should_log(spdlog::level::info));
    EXPECT_TRUE(logger->should_log(spdlog::level::warn));
    for (const char* level : {"trace", "debug", "info", "warn", "error", "critical"}) {
        EXPECT_TRUE(Log(level).named("x")->should_log(spdlog::level::critical)) << level;
    }
    EXPECT_TRUE(Log("error").named("x")->should_log(spdlog::level::err));
    EXPECT_FALSE(Log("critical").named("x")->should_log(spdlog::level::err));
}

TEST(Log, OnlyTheStreamThatSystemdNamedIsTheJournal) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    const Fd reader(ends[0]);
    const Fd writer(ends[1]);
    struct stat status {};
    ASSERT_EQ(::fstat(writer.get(), &status), 0);
    const std::string name = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
    EXPECT_TRUE(isJournal(writer.get(), name.c_str()));
    EXPECT_FALSE(isJournal(writer.get(), "1:1"));
    EXPECT_FALSE(isJournal(writer.get(), nullptr));
    EXPECT_FALSE(isJournal(-1, name.c_str()));
}

}  // namespace
}  // namespace gridbridge::app
