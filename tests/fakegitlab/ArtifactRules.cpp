#include "tests/fakegitlab/ArtifactRules.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "tests/fakegitlab/Unpack.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::uint64_t kMega = std::uint64_t{1} << 20U;
constexpr int kMostVariables = 20;

bool isKey(std::string key) {
    constexpr std::string_view kBlank = " \t\r";
    key.erase(0, std::min(key.find_first_not_of(kBlank), key.size()));
    key.erase(key.find_last_not_of(kBlank) + 1);
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

}  // namespace

std::string formatFor(const std::string& type) {
    static const std::map<std::string, std::vector<std::string>> kTypes = {
        {"zip", {"archive", "lsif", "scip"}},
        {"gzip",
         {"metadata", "junit", "metrics", "metrics_referee", "network_referee", "dotenv",
          "cobertura", "jacoco", "cluster_applications", "cyclonedx", "annotations",
          "repository_xray"}},
        {"raw",
         {"trace", "sast", "secret_detection", "dependency_scanning", "container_scanning",
          "cluster_image_scanning", "dast", "license_scanning", "accessibility", "codequality",
          "performance", "browser_performance", "load_performance", "terraform", "requirements",
          "requirements_v2", "coverage_fuzzing", "api_fuzzing", "sarif"}}};
    for (const auto& [format, types] : kTypes) {
        if (std::find(types.begin(), types.end(), type) != types.end()) {
            return format;
        }
    }
    return {};
}

std::uint64_t limitFor(const std::string& type, std::uint64_t limitOfAll) {
    static const std::map<std::string, std::uint64_t> kLimits = {{"lsif", 200 * kMega},
                                                                 {"sarif", 10 * kMega},
                                                                 {"terraform", 5 * kMega},
                                                                 {"cyclonedx", kMega}};
    const auto found = kLimits.find(type);
    return found == kLimits.end() ? limitOfAll : std::min(found->second, limitOfAll);
}

std::string dotenvProblem(std::uint64_t size, const std::string& gzip) {
    if (size >= kDotenvLimit) {
        return "Dotenv Artifact Too Big. Maximum Allowable Size: " + std::to_string(kDotenvLimit);
    }
    const auto text = gunzipped(gzip);
    if (!text) {
        return "Invalid Format";
    }
    std::istringstream in(*text);
    int variables = 0;
    for (std::string line; std::getline(in, line);) {
        const auto equals = line.find('=');
        if (equals == std::string::npos) {
            return "Invalid Format";
        }
        if (!isKey(line.substr(0, equals))) {
            return "Validation failed: Key can contain only letters, digits and '_'.";
        }
        ++variables;
    }
    return variables <= kMostVariables ? ""
                                       : "Dotenv files cannot have more than " +
                                             std::to_string(kMostVariables) + " variables";
}

}  // namespace gridbridge::fakegitlab
