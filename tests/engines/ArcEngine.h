#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// An ARC CE that runs ARC_SLOTS jobs at a time on this machine, as nobody.
class ArcEngine final : public ServiceEngine {
public:
    static ArcEngine& get();

    /// Of its clients: ARC_URL, ARC_CA_FILE and the like.
    std::string setting(const std::string& name);
    /// What its clients read their settings from.
    std::filesystem::path settings() const { return folder() / "env.sh"; }

    std::string backendLines(int jobs, const std::filesystem::path& commands,
                             const std::vector<std::string>& options) override;
    bool tellsNode() const override { return false; }
    /// `arex` runs jobs, `ws` takes calls.
    std::vector<std::string> daemons() const override { return {"arex", "ws"}; }
    void kill(const std::string& daemon, const std::string& signal = "KILL") override {
        killByPidFile(daemon, signal);
    }
    /// It is in files at once.
    void awaitSaved() override {}
    /// By another client with the service's certificate: ARC shows its jobs to no other.
    void remove(const std::string& id) override;
    void removeAll() override;
    int open() override;

private:
    ArcEngine() : ServiceEngine("ARC", ARC_SH) {}
    std::vector<std::string> environment() const override;
    /// A call of the service's client, with options of curl.
    std::string curl(const std::string& options) const;
    /// Of those that wait or run, one a line.
    std::string openIds() const;
};

}  // namespace gridbridge::testing
