#include "bridge/app/Backends.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "backends/arc/ArcBackend.h"
#include "backends/command/CommandBackend.h"
#include "backends/diracx/DiracxBackend.h"
#include "backends/htcondor/HTCondorBackend.h"
#include "backends/local/LocalBackend.h"
#include "backends/simulated/SimulatedBackend.h"
#include "backends/slurm/SlurmBackend.h"
#include "bridge/app/ConfigArc.h"
#include "bridge/app/ConfigCommand.h"
#include "bridge/app/ConfigDiracx.h"
#include "bridge/app/ConfigHTCondor.h"
#include "bridge/app/ConfigSlurm.h"

namespace gridbridge::app {

namespace {

std::unique_ptr<Backend> makeLocal(const BackendConfig& backend, const BackendUses& uses) {
    return std::make_unique<LocalBackend>(
        LocalConfig{.workDir = backend.workDir, .slots = backend.slots, .node = uses.node},
        uses.folders, uses.clock, uses.changed);
}

std::unique_ptr<Backend> makeSimulated(const BackendConfig& backend, const BackendUses& uses) {
    const auto seed = static_cast<std::uint64_t>(backend.seed);
    return std::make_unique<SimulatedBackend>(
        SimulatedConfig{backend.workDir, backend.slots, seed, backend.faults}, uses.folders,
        uses.clock, std::make_shared<ShortJobs>(seed));
}

void takeSimulated(ConfigSection& section, BackendConfig& backend) {
    backend.seed =
        section.integer("seed", 0, std::numeric_limits<std::int64_t>::max()).value_or(backend.seed);
    backend.faults = section.number("faults", 0, 1).value_or(backend.faults);
}

KeyChanges changesOfSimulated(const BackendConfig& now, const BackendConfig& next) {
    return {{".seed", now.seed != next.seed}, {".faults", now.faults != next.faults}};
}

/// One of a batch system, with its configuration in that member.
template <typename Scheduler, auto config>
std::unique_ptr<Backend> make(const BackendConfig& backend, const BackendUses& uses) {
    return std::make_unique<Scheduler>(backend.*config, uses.account, uses.folders, uses.processes,
                                       uses.clock, uses.tell);
}

/// Those whose jobs run elsewhere.
std::vector<BackendType> remoteTypes() {
    return {
        {.name = "diracx",
         .make = make<DiracxBackend, &BackendConfig::diracx>,
         .take = takeDiracx,
         .changes = changesOfDiracx,
         .resources = resourcesOfDiracx,
         .onThisMachine = false,
         .scheduler = "DiracX",
         .keysToSee = "url, tls_ca_file and credentials"},
        {.name = "arc",
         .make = make<ArcBackend, &BackendConfig::arc>,
         .take = takeArc,
         .changes = changesOfArc,
         .resources = resourcesOfArc,
         .onThisMachine = false,
         .scheduler = "ARC",
         .keysToSee = "url, tls_ca_file, tls_cert_file and token_file"},
    };
}

/// Those that this machine submits to itself, and those that need nobody else.
std::vector<BackendType> typesHere() {
    return {
        {.name = "local", .make = makeLocal},
        {.name = "simulated",
         .make = makeSimulated,
         .take = takeSimulated,
         .changes = changesOfSimulated,
         .runsScripts = false},
        {.name = "slurm",
         .make = make<SlurmBackend, &BackendConfig::slurm>,
         .take = takeSlurm,
         .changes = changesOfSlurm,
         .resources = resourcesOfSlurm,
         .scheduler = "Slurm",
         .keysToSee = "slurm_conf, bin_dir and partition"},
        {.name = "htcondor",
         .make = make<HTCondorBackend, &BackendConfig::htcondor>,
         .take = takeHTCondor,
         .changes = changesOfHTCondor,
         .resources = resourcesOfHTCondor,
         .scheduler = "HTCondor",
         .keysToSee = "condor_config, bin_dir and run_as"},
        {.name = "command",
         .make = make<CommandBackend, &BackendConfig::command>,
         .take = takeCommand,
         .changes = changesOfCommand,
         .resources = resourcesOfCommand,
         .scheduler = "the batch system",
         .keysToSee = "bin_dir, command_environment and status"},
    };
}

}  // namespace

const std::vector<BackendType>& backendTypes() {
    static const std::vector<BackendType> types = [] {
        auto all = typesHere();
        for (auto& type : remoteTypes()) {
            all.push_back(type);
        }
        return all;
    }();
    return types;
}

const BackendType& backendType(std::string_view name) {
    const auto& types = backendTypes();
    const auto found = std::find_if(types.begin(), types.end(),
                                    [&](const BackendType& type) { return type.name == name; });
    if (found == types.end()) {
        throw std::invalid_argument("there is no type of backends " + std::string(name));
    }
    return *found;
}

}  // namespace gridbridge::app
