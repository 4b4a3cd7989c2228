#include "bridge/app/JobName.h"

#include <algorithm>
#include <charconv>

namespace gridbridge::app {

namespace {

/// `gb-`, 8 characters of the installation, `-`, the job row.
std::optional<JobName> parseKey(const std::string& text) {
    constexpr std::size_t kRowAt = 12;
    std::int64_t row = 0;
    if (!text.starts_with("gb-") || text.size() <= kRowAt || text[kRowAt - 1] != '-') {
        return std::nullopt;
    }
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + kRowAt, end, row);
    if (error != std::errc() || rest != end || row <= 0) {
        return std::nullopt;
    }
    return JobName{.key = text, .row = JobRow{row}};
}

}  // namespace

std::optional<JobName> parseJobName(const std::string& text) {
    if (auto key = parseKey(text)) {
        return key;
    }
    JobName name;
    const auto slash = text.rfind('/');
    const bool hasRunner = slash != std::string::npos;
    if (hasRunner) {
        name.runner = text.substr(0, slash);
    }
    const std::string id = hasRunner ? text.substr(slash + 1) : text;
    const char* const end = id.data() + id.size();
    const auto [rest, error] = std::from_chars(id.data(), end, name.id);
    if (error != std::errc() || rest != end || name.id <= 0 || (hasRunner && slash == 0)) {
        return std::nullopt;
    }
    return name;
}

Result<store::JobRecord> chooseJob(const JobName& job, std::vector<store::JobRecord> candidates) {
    const std::string id = std::to_string(job.id);
    std::erase_if(candidates, [&](const auto& candidate) {
        return !job.runner.empty() && candidate.runner != job.runner;
    });
    if (candidates.empty()) {
        return permanentError("there is no job " +
                              (job.runner.empty() ? id : job.runner + "/" + id) +
                              "; gridbridge jobs --all lists them");
    }
    std::sort(candidates.begin(), candidates.end(),
              [](const auto& a, const auto& b) { return a.row > b.row; });
    std::string names;
    for (const auto& candidate : candidates) {
        if (candidate.runner != candidates.front().runner) {
            names += " or " + candidate.runner + "/" + id;
        }
    }
    if (!names.empty()) {
        return permanentError("several servers have a job " + id + "; name " +
                              candidates.front().runner + "/" + id + names);
    }
    return std::move(candidates.front());
}

}  // namespace gridbridge::app
