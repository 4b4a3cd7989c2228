#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/engines/Engine.h"

namespace gridbridge::testing {

/// A DiracX with an object store, and pilots for DIRACX_SLOTS jobs at a time.
class DiracxEngine final : public ServiceEngine {
public:
    static DiracxEngine& get();

    std::string url();
    std::filesystem::path caFile();
    std::filesystem::path credentials() const { return folder() / "credentials.json"; }
    /// The next thing that goes wrong, as the script's `fault` takes it.
    void fault(const std::string& words) { ask("fault", words); }
    /// How often each did.
    std::map<std::string, int> fired();
    /// Somebody logs in; options of the script's `token`.
    void login(const std::string& options = "") { ask("token", options); }
    /// How many jobs DIRAC has had of that name.
    int named(const std::string& name);

    std::string backendLines(int jobs, const std::filesystem::path& commands,
                             const std::vector<std::string>& options) override;
    std::string calls() const override;
    bool tellsLive() const override { return false; }
    std::vector<std::string> daemons() const override { return {"server", "store", "executor"}; }
    void kill(const std::string& daemon, const std::string& signal = "KILL") override {
        killByPidFile(daemon, signal);
    }
    /// It is in its database at once.
    void awaitSaved() override {}
    void remove(const std::string& id) override { ask("kill", id); }
    void removeAll() override { ask("kill", ""); }
    int open() override;

private:
    DiracxEngine();
    std::vector<std::string> environment() const override;
    std::string words(const std::string& verb, const std::string& options) const;
    /// What it printed.
    std::string ask(const std::string& verb, const std::string& options);
    /// Of its clients.
    std::string setting(const std::string& name);
};

}  // namespace gridbridge::testing
