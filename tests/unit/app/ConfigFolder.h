#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "bridge/app/Config.h"

namespace gridbridge::testing {

/// A folder of its own with a configuration in it; gone at the end.
class ConfigFolder {
public:
    ConfigFolder() {
        std::string name = ::testing::TempDir() + "gridbridge-config-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~ConfigFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ConfigFolder(const ConfigFolder&) = delete;
    ConfigFolder& operator=(const ConfigFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path file() const { return path_ / "config.toml"; }

    void write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
        const auto target = path_ / name;
        std::filesystem::create_directories(target.parent_path());
        std::ofstream(target, std::ios::binary) << text;
        std::filesystem::permissions(target, std::filesystem::perms(mode));
    }

    /// As a root service sees it on a machine with the accounts root, ci, which has two names, and
    /// ciphys.
    app::ConfigReading read(uid_t uid = 0) const { return app::readConfig(file(), host(uid)); }

    static app::Host host(uid_t uid = 0) {
        return {uid, [](const std::string& account) {
                    const std::map<std::string, uid_t> accounts{
                        {"root", 0}, {"ci", 1234}, {"ci-too", 1234}, {"ciphys", 1235}};
                    const auto found = accounts.find(account);
                    return found == accounts.end() ? std::nullopt : std::optional(found->second);
                }};
    }

    /// The sentences about `text` as config.toml, without the folder's name.
    std::vector<std::string> faultsOf(const std::string& text, uid_t uid = 0) const {
        write("config.toml", text);
        return faults(uid);
    }

    std::vector<std::string> faults(uid_t uid = 0) const {
        std::vector<std::string> sentences;
        for (const app::ConfigProblem& problem : read(uid).problems) {
            std::string sentence = problem.sentence();
            for (auto at = sentence.find(path_.string() + "/"); at != std::string::npos;
                 at = sentence.find(path_.string() + "/")) {
                sentence.erase(at, path_.string().size() + 1);
            }
            sentences.push_back(std::move(sentence));
        }
        return sentences;
    }

private:
    std::filesystem::path path_;
};

/// A sound runner and backend, which lines of a test precede or follow; 10 lines.
inline constexpr const char* kRunner = R"([[runners]]
name = "pool"
url = "https://gitlab.example.org"
token = "glrt-0123456789"
backend = "here"
)";
inline constexpr const char* kBackend = R"([backends.here]
type = "local"
work_dir = "/var/lib/gridbridge-jobs"
run_as = "ci"
)";

}  // namespace gridbridge::testing
