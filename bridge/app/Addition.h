#pragma once

#include <filesystem>
#include <string>

#include "bridge/base/Fd.h"
#include "bridge/base/Result.h"

namespace gridbridge::app {

/// `config.d/NAME.toml` beside the configuration `config`: the only files there that the program
/// writes and removes itself.
std::filesystem::path additionFile(const std::filesystem::path& config, const std::string& name);

/// Such a file in the making: nobody sees it before publish(), and without it nothing stays.
/// Errors are permanent and name the file.
class Addition {
public:
    /// Makes the folder where there is none, and sees that a file can be written there.
    static Result<Addition> begin(std::filesystem::path file);
    Addition(Addition&& other) noexcept;
    Addition& operator=(Addition&&) = delete;
    ~Addition();

    /// The whole text, mode 0600, durable on return. Never replaces a file.
    Result<void> publish(const std::string& text);

private:
    Addition(std::filesystem::path file, std::filesystem::path unfinished, Fd fd)
        : file_(std::move(file)), unfinished_(std::move(unfinished)), fd_(std::move(fd)) {}

    std::filesystem::path file_;
    std::filesystem::path unfinished_;  ///< Hidden: the configuration does not read it.
    Fd fd_;
};

/// Durable on return.
Result<void> removeAddition(const std::filesystem::path& file);

}  // namespace gridbridge::app
