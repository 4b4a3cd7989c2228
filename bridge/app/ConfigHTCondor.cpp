#include "bridge/app/ConfigHTCondor.h"

namespace gridbridge::app {

void takeHTCondor(ConfigSection& section, BackendConfig& backend) {
    auto& htcondor = backend.htcondor;
    htcondor.schedd = section.text("schedd").value_or("");
    if (htcondor.schedd.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_.@-") != std::string::npos ||
        htcondor.schedd.starts_with('-')) {
        section.report("schedd", "is not a name of a schedd",
                       "write it as condor_status -schedd shows it");
        htcondor.schedd.clear();
    }
    htcondor.condorConfig = section.absolutePath("condor_config").value_or("").string();
    htcondor.fileTransfer = section.flag("file_transfer").value_or(false);
    htcondor.spool = section.flag("spool").value_or(false);
    if (htcondor.spool && (htcondor.schedd.empty() || htcondor.fileTransfer)) {
        section.report("spool",
                       "is for the schedd of another machine, to which it copies the files",
                       "name it with schedd = \"NAME\", and leave out file_transfer");
    }
    htcondor.binDir = section.absolutePath("bin_dir").value_or("").string();
    htcondor.submitOptions = section.texts("submit_options");
    for (const auto& option : htcondor.submitOptions) {
        if (!isHTCondorSubmitOption(option)) {
            section.report("submit_options",
                           "\"" + option + "\" cannot be given to condor_submit here",
                           "write lines like \"request_memory = 4 GB\": resources, requirements, "
                           "rank, priority, accounting groups, concurrency limits, "
                           "job_lease_duration, or attributes like \"MY.Name = 1\"");
        }
    }
}

KeyChanges changesOfHTCondor(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.htcondor;
    const auto& b = next.htcondor;
    return {{".schedd", a.schedd != b.schedd},
            {".condor_config", a.condorConfig != b.condorConfig},
            {".file_transfer", a.fileTransfer != b.fileTransfer},
            {".spool", a.spool != b.spool},
            {".submit_options", a.submitOptions != b.submitOptions},
            {".bin_dir", a.binDir != b.binDir}};
}

std::set<core::Resource> resourcesOfHTCondor(const BackendConfig& /*backend*/) {
    using enum core::Resource;
    return {Cpus, Memory, Disk, Gpus, Account};
}

}  // namespace gridbridge::app
