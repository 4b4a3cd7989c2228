// The table of features in docs/gitlab-protocol.md is what GitLab is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "bridge/app/GitLabAccess.h"

namespace gridbridge::app {
namespace {

using Names = std::set<std::string>;

/// The names in the first column of the rows whose second begins so.
Names named(const std::string& when) {
    std::ifstream page(BRIDGE_SOURCE_DIR "/docs/gitlab-protocol.md");
    Names names;
    bool within = false;
    for (std::string line; std::getline(page, line);) {
        within = line == "| Feature | Named |" || (within && line.starts_with("|"));
        const auto second = line.find(" | ");
        if (!within || second == std::string::npos ||
            line.compare(second + 3, when.size(), when) != 0) {
            continue;
        }
        for (auto at = line.find('`'); at < second; at = line.find('`', at + 1)) {
            const auto end = line.find('`', at + 1);
            names.insert(line.substr(at + 1, end - at - 1));
            at = end;
        }
    }
    return names;
}

Names sent(const RunnerConfig& runner) {
    const auto list = features(runner);
    Names names(list.begin(), list.end());
    EXPECT_EQ(names.size(), list.size());
    return names;
}

Names both(Names some, const Names& more) {
    some.insert(more.begin(), more.end());
    return some;
}

TEST(Features, TableIsWhatGitLabIsTold) {
    const auto always = named("always");
    ASSERT_GE(always.size(), 14U);
    EXPECT_EQ(sent({.cancelsSoftly = false}), always);
    EXPECT_EQ(sent({}), both(always, named("where `after_script`")));
    EXPECT_EQ(sent({.cacheDir = "/caches", .cancelsSoftly = false}),
              both(always, named("with `cache_dir`")));
    EXPECT_EQ(sent({.hasContainers = true, .cancelsSoftly = false}),
              both(always, named("where the backend has [containers]")));
}

}  // namespace
}  // namespace gridbridge::app
