#include "bridge/app/ConfigSlurm.h"

namespace gridbridge::app {

namespace {

/// A name in Slurm, or several of them.
std::string name(ConfigSection& section, std::string_view key) {
    const auto text = section.text(key).value_or("");
    if (text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "_.,-") != std::string::npos) {
        section.report(key, "is not a name of Slurm", "write it as Slurm shows it");
        return {};
    }
    return text;
}

}  // namespace

void takeSlurm(ConfigSection& section, BackendConfig& backend) {
    auto& slurm = backend.slurm;
    slurm.partition = name(section, "partition");
    slurm.account = name(section, "account");
    slurm.qos = name(section, "qos");
    slurm.slurmConf = section.absolutePath("slurm_conf").value_or("").string();
    slurm.binDir = section.absolutePath("bin_dir").value_or("").string();
    slurm.submitOptions = section.texts("submit_options");
    for (const auto& option : slurm.submitOptions) {
        if (!isSlurmSubmitOption(option)) {
            section.report("submit_options", "\"" + option + "\" cannot be given to sbatch here",
                           "write long options as one text each, like \"--mem=4G\"; names, files, "
                           "requeues, arrays and the environment of jobs are the service's");
        }
    }
}

KeyChanges changesOfSlurm(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.slurm;
    const auto& b = next.slurm;
    return {{".partition", a.partition != b.partition},
            {".account", a.account != b.account},
            {".qos", a.qos != b.qos},
            {".slurm_conf", a.slurmConf != b.slurmConf},
            {".submit_options", a.submitOptions != b.submitOptions},
            {".bin_dir", a.binDir != b.binDir}};
}

std::set<core::Resource> resourcesOfSlurm(const BackendConfig& /*backend*/) {
    using enum core::Resource;
    return {Cpus, Memory, Disk, Gpus, Account, Queue};
}

}  // namespace gridbridge::app
