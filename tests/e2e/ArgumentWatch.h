#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace gridbridge::testing {

/// Looks all the time for texts in the arguments of every process of the machine. Safe for
/// concurrent use.
class ArgumentWatch {
public:
    explicit ArgumentWatch(std::vector<std::string> texts) : texts_(std::move(texts)) {}
    /// Whether there was an argument with one of the texts and with `text` in it.
    bool saw(const std::string& text) const {
        const std::lock_guard lock(mutex_);
        return std::any_of(found_.begin(), found_.end(), [&](const auto& argument) {
            return argument.find(text) != std::string::npos;
        });
    }

private:
    void watch(std::stop_token stop) {
        while (!stop.stop_requested()) {
            std::error_code gone;
            for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
                std::ifstream in(process.path() / "cmdline", std::ios::binary);
                for (std::string argument; std::getline(in, argument, '\0');) {
                    look(argument);
                }
            }
        }
    }
    void look(const std::string& argument) {
        for (const auto& text : texts_) {
            if (argument.find(text) != std::string::npos) {
                const std::lock_guard lock(mutex_);
                found_.insert(argument);
            }
        }
    }

    const std::vector<std::string> texts_;
    mutable std::mutex mutex_;
    std::set<std::string> found_;
    std::jthread thread_{[this](std::stop_token stop) { watch(stop); }};
};

}  // namespace gridbridge::testing
