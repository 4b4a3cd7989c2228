// docs/configuration.md says what the code does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "bridge/app/ConfigFile.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;

std::string page() {
    std::ifstream in(BRIDGE_SOURCE_DIR "/docs/configuration.md");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

struct Row {
    std::string key;
    std::string defaultValue;  ///< TOML; empty when the page says it in words.
};

/// The rows of the page's tables, by the heading above them.
std::map<std::string, std::vector<Row>> tables() {
    std::map<std::string, std::vector<Row>> found;
    std::istringstream lines(page());
    std::string heading;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("## ")) {
            heading = line.substr(3);
        }
        if (!line.starts_with("| `")) {
            continue;
        }
        const auto keyEnd = line.find("` | ", 3);
        const auto cell = line.substr(keyEnd + 4, line.find(" | ", keyEnd + 4) - keyEnd - 4);
        const bool isValue = cell.starts_with('`') && cell.ends_with('`');
        found[heading].push_back(
            {line.substr(3, keyEnd - 3), isValue ? cell.substr(1, cell.size() - 2) : ""});
    }
    return found;
}

std::string heading(SectionKind section) {
    switch (section) {
        case SectionKind::Top:
            return "The service";
        case SectionKind::Runner:
            return "`[[runners]]`";
        case SectionKind::Backend:
            return "`[backends.NAME]`";
    }
    return "";
}

TEST(ConfigurationPage, ListsExactlyTheKeysThatTheParserKnows) {
    std::map<std::string, std::vector<std::string>> known;
    for (const KnownKey& key : knownKeys()) {
        known[heading(key.section)].emplace_back(key.name);
    }
    std::map<std::string, std::vector<std::string>> listed;
    for (const auto& [section, rows] : tables()) {
        for (const Row& row : rows) {
            listed[section].push_back(row.key);
        }
    }
    EXPECT_EQ(listed, known);
}

/// Without it some keys of a runner are refused.
const std::string kCaches = "cache_dir = \"/caches\"\n";

TEST(ConfigurationPage, ItsDefaultsAreTheDefaults) {
    const auto rows = tables();
    std::size_t written = 0;
    const auto defaults = [&](SectionKind section) {
        std::string lines;
        for (const Row& row : rows.at(heading(section))) {
            if (!row.defaultValue.empty()) {
                lines += row.key + " = " + row.defaultValue + "\n";
                ++written;
            }
        }
        return lines;
    };
    const std::string runner = gridbridge::testing::kRunner + kCaches;
    const std::string backend = gridbridge::testing::kBackend;
    const ConfigFolder folder;
    folder.write("config.toml", runner + backend);
    const auto silent = folder.read();
    folder.write("config.toml", defaults(SectionKind::Top) + runner +
                                    defaults(SectionKind::Runner) + backend +
                                    defaults(SectionKind::Backend));
    auto spoken = folder.read();
    spoken.config.runners.at(0).tokenPlace = silent.config.runners.at(0).tokenPlace;  // pushed down
    EXPECT_TRUE(spoken.config == silent.config);
    // Any project is allowed by default, and then there are no caches.
    for (const auto& problems : {silent.problems, spoken.problems}) {
        ASSERT_EQ(problems.size(), 1U);
        EXPECT_EQ(problems.front().key, "runners.pool.cache_dir");
    }
    EXPECT_EQ(written, 26U);
}

/// Every duration of the tables names its bounds in the words that a file may hold.
TEST(ConfigurationPage, ItsBoundsOfDurationsAreTheBounds) {
    const std::regex bounds(", ([0-9]+ [a-z]+) to ([0-9]+ [a-z]+)[;.]");
    std::istringstream lines(page());
    std::size_t seen = 0;
    for (std::string line; std::getline(lines, line);) {
        std::smatch found;
        const auto key = std::find_if(knownKeys().begin(), knownKeys().end(), [&](const auto& k) {
            return k.kind == ValueKind::Duration &&
                   line.starts_with("| `" + std::string(k.name) + "` ");
        });
        if (key == knownKeys().end() || !std::regex_search(line, found, bounds)) {
            EXPECT_EQ(key, knownKeys().end()) << "no bounds: " << line;
            continue;
        }
        ++seen;
        const auto faults = [&](const std::string& value) {
            const auto entry = std::string(key->name) + " = " + value + "\n";
            const auto in = [&](SectionKind kind) { return key->section == kind ? entry : ""; };
            return ConfigFolder().faultsOf(in(SectionKind::Top) + gridbridge::testing::kRunner +
                                           kCaches + "allowed_projects = [\"a/b\"]\n" +
                                           in(SectionKind::Runner) + gridbridge::testing::kBackend +
                                           in(SectionKind::Backend));
        };
        const auto seconds = [](const std::string& text) { return parseDuration(text)->count(); };
        EXPECT_THAT(faults("\"" + found[1].str() + "\""), ::testing::IsEmpty());
        EXPECT_THAT(faults("\"" + found[2].str() + "\""), ::testing::IsEmpty());
        EXPECT_THAT(faults(std::to_string(seconds(found[1]) - 1)), ::testing::SizeIs(1)) << line;
        EXPECT_THAT(faults(std::to_string(seconds(found[2]) + 1)), ::testing::SizeIs(1)) << line;
    }
    EXPECT_EQ(seen, 8U);
}

TEST(ConfigurationPage, ItsExampleIsSound) {
    const std::string text = page();
    const auto start = text.find("```toml\n") + 8;
    const ConfigFolder folder;
    EXPECT_THAT(folder.faultsOf(text.substr(start, text.find("```", start) - start)),
                ::testing::IsEmpty());
    EXPECT_EQ(folder.read().config.concurrent, 100);
}

}  // namespace
}  // namespace gridbridge::app
