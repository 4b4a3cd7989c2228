#include "bridge/app/ConfigDiracx.h"

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
    diracx.jobType = word(section, "job_type", diracx.jobType);
    constexpr double kLeastFactor = 0.01;
    constexpr double kMostFactor = 1000;
    diracx.cpuTimeFactor =
        section.number("cpu_time_factor", kLeastFactor, kMostFactor).value_or(diracx.cpuTimeFactor);
    diracx.sites = words(section, "sites");
    diracx.bannedSites = words(section, "banned_sites");
    diracx.tags = words(section, "tags");
    diracx.platform = word(section, "platform", "");
    diracx.rerunsAllowed = section.choice("reruns", {"kill", "allow"}) == "allow";
}

KeyChanges changesOfDiracx(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.diracx;
    const auto& b = next.diracx;
    return {{".url", a.url != b.url},
            {".tls_ca_file", a.caFile != b.caFile},
            {".credentials", a.credentials != b.credentials},
            {".job_type", a.jobType != b.jobType},
            {".cpu_time_factor", a.cpuTimeFactor != b.cpuTimeFactor},
            {".sites", a.sites != b.sites},
            {".banned_sites", a.bannedSites != b.bannedSites},
            {".tags", a.tags != b.tags},
            {".platform", a.platform != b.platform},
            {".reruns", a.rerunsAllowed != b.rerunsAllowed}};
}

std::set<core::Resource> resourcesOfDiracx(const BackendConfig& /*backend*/) {
    using enum core::Resource;
    return {Cpus, Memory};
}

}  // namespace gridbridge::app
