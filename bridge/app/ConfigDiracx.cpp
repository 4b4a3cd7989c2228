#include "bridge/app/ConfigDiracx.h"

#include "bridge/app/ConfigLiveLog.h"
#include "bridge/app/ConfigTls.h"
#include "bridge/http/TlsFiles.h"

namespace gridbridge::app {

namespace {

constexpr const char* kPlainWord = "is nothing that a JDL can hold";
constexpr const char* kWriteWord =
    "write letters, digits and _ . / : = @ + - only, and a letter first";

std::vector<std::string> words(ConfigSection& section, const char* key) {
    auto texts = section.texts(key);
    for (const auto& text : texts) {
        if (!isDiracxWord(text)) {
            section.report(key, "\"" + text + "\" " + kPlainWord, kWriteWord);
        }
    }
    return texts;
}

std::string word(ConfigSection& section, const char* key, const std::string& usual) {
    auto text = section.text(key).value_or(usual);
    if (!text.empty() && !isDiracxWord(text)) {
        section.report(key, kPlainWord, kWriteWord);
    }
    return text;
}

void takeDiracJobs(ConfigSection& section, DiracJobConfig& jobs) {
    jobs.jobType = word(section, "job_type", jobs.jobType);
    constexpr double kLeastFactor = 0.01;
    constexpr double kMostFactor = 1000;
    jobs.cpuTimeFactor =
        section.number("cpu_time_factor", kLeastFactor, kMostFactor).value_or(jobs.cpuTimeFactor);
    jobs.sites = words(section, "sites");
    jobs.bannedSites = words(section, "banned_sites");
    jobs.tags = words(section, "tags");
    jobs.platform = word(section, "platform", "");
    jobs.rerunsAllowed = section.choice("reruns", {"kill", "allow"}) == "allow";
    jobs.live = takeLiveLog(section);
}

KeyChanges changesOfDiracJobs(const DiracJobConfig& a, const DiracJobConfig& b) {
    KeyChanges changes{{".job_type", a.jobType != b.jobType},
                       {".cpu_time_factor", a.cpuTimeFactor != b.cpuTimeFactor},
                       {".sites", a.sites != b.sites},
                       {".banned_sites", a.bannedSites != b.bannedSites},
                       {".tags", a.tags != b.tags},
                       {".platform", a.platform != b.platform},
                       {".reruns", a.rerunsAllowed != b.rerunsAllowed}};
    for (const auto& change : changesOfLiveLog(a.live, b.live)) {
        changes.push_back(change);
    }
    return changes;
}

}  // namespace

void takeDiracx(ConfigSection& section, BackendConfig& backend) {
    auto& diracx = backend.diracx;
    diracx.url = takeHttpsUrl(section, "write the address of the DiracX");
    diracx.caFile = section.absolutePath("tls_ca_file").value_or("");
    if (const auto fault = http::faultIn({.ca = diracx.caFile, .cert = {}, .key = {}})) {
        section.report("tls_ca_file", fault->what, fault->cure);
    }
    if (!section.has("credentials")) {
        section.report("credentials", "is missing",
                       "name the credential file of a login that nobody else uses");
    }
    diracx.credentials = section.absolutePath("credentials").value_or("");
    takeDiracJobs(section, diracx);
}

KeyChanges changesOfDiracx(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.diracx;
    const auto& b = next.diracx;
    auto changes = changesOfDiracJobs(a, b);
    changes.insert(changes.end(), {{".url", a.url != b.url},
                                   {".tls_ca_file", a.caFile != b.caFile},
                                   {".credentials", a.credentials != b.credentials}});
    return changes;
}

void takeDiracCli(ConfigSection& section, BackendConfig& backend) {
    auto& cli = backend.diracCli;
    cli.binDir = section.absolutePath("bin_dir").value_or("").string();
    cli.environment = takeEnvironment(section, "command_environment");
    if (!section.has("proxy")) {
        section.report("proxy", "is missing",
                       "name the file of a proxy that dirac-proxy-init made, and that somebody "
                       "renews");
    }
    cli.proxy = section.absolutePath("proxy").value_or("");
    if (const auto group =
            section.requiredText("group", "write the DIRAC group that the proxy must be of")) {
        cli.group = word(section, "group", *group);
    }
    takeDiracJobs(section, cli);
    if (!isDiracPath(backend.workDir.string())) {
        section.report("work_dir", kPlainWord,
                       "choose a path of letters, digits and _ . / : = @ + -");
    }
}

KeyChanges changesOfDiracCli(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.diracCli;
    const auto& b = next.diracCli;
    auto changes = changesOfDiracJobs(a, b);
    changes.insert(changes.end(), {{".bin_dir", a.binDir != b.binDir},
                                   {".command_environment", a.environment != b.environment},
                                   {".proxy", a.proxy != b.proxy},
                                   {".group", a.group != b.group}});
    return changes;
}

std::set<core::Resource> resourcesOfDirac(const BackendConfig& /*backend*/) {
    using enum core::Resource;
    return {Cpus, Memory};
}

}  // namespace gridbridge::app
