#include "tests/fakegitlab/Summary.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "tests/fakegitlab/Sha256.h"
#include "tests/fakegitlab/Unpack.h"

namespace gridbridge::fakegitlab {

namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

std::string codeOf(const std::optional<int>& code) {
    return code ? std::to_string(*code) : "-";
}

std::string expectedText(const Expectation& expect) {
    std::string text = expect.state.value_or("anything");
    text += expect.reason && !expect.reason->empty() ? " " + *expect.reason : "";
    text += expect.exitCode ? " " + std::to_string(*expect.exitCode) : "";
    return text;
}

std::vector<std::string> namesOf(const std::vector<Artifact>& artifacts) {
    std::vector<std::string> names;
    for (const auto& artifact : artifacts) {
        names.push_back(artifact.filename);
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string result;
    for (const auto& text : texts) {
        result += (result.empty() ? "" : ", ") + text;
    }
    return result.empty() ? "none" : result;
}

Array::Ptr texts(const std::vector<std::string>& values) {
    Array::Ptr result = new Array;
    for (const auto& value : values) {
        result->add(value);
    }
    return result;
}

Object::Ptr jobJson(const JobResult& job) {
    Object::Ptr o = new Object(Poco::JSON_PRESERVE_KEY_ORDER);
    o->set("id", job.seen.id);
    o->set("name", job.seen.name);
    o->set("stage", job.seen.stage);
    o->set("file", job.file);
    o->set("state", std::string(nameOf(job.seen.status)));
    o->set("failure_reason", job.seen.failureReason);
    o->set("exit_code",
           job.seen.exitCode ? Poco::Dynamic::Var(*job.seen.exitCode) : Poco::Dynamic::Var());
    o->set("trace_bytes", job.seen.trace.size());
    o->set("artifacts", texts(namesOf(job.seen.artifacts)));
    o->set("accepted_finals", job.seen.acceptedFinals);
    o->set("max_silence_ms", job.seen.maxSilence.count());
    o->set("problems", texts(job.problems));
    return o;
}

const Artifact* artifactOfType(const JobSnapshot& seen, const std::string& type) {
    const auto found = std::find_if(seen.artifacts.begin(), seen.artifacts.end(),
                                    [&](const auto& artifact) { return artifact.type == type; });
    return found == seen.artifacts.end() ? nullptr : &*found;
}

/// How `content` differs from what the job file wants; nothing when it does not.
void compareContent(const std::string& what, const std::string& content, const std::string& wanted,
                    std::vector<std::string>& problems) {
    constexpr std::string_view kHash = "sha256:";
    constexpr std::size_t kShown = 200;
    if (wanted.starts_with(kHash)) {
        const auto hash = Sha256::of(content);
        if (hash != wanted.substr(kHash.size())) {
            problems.push_back(what + " has SHA-256 " + hash);
        }
    } else if (content != wanted) {
        problems.push_back(what + " is '" + content.substr(0, kShown) + "' instead of '" +
                           wanted.substr(0, kShown) + "'");
    }
}

void compareFiles(const JobSnapshot& seen, const std::map<std::string, std::string>& wanted,
                  std::vector<std::string>& problems) {
    if (wanted.empty()) {
        return;
    }
    const auto* archive = artifactOfType(seen, "archive");
    const auto files = archive == nullptr ? std::nullopt : unzipped(archive->bytes);
    if (!files) {
        problems.emplace_back(archive == nullptr ? "there is no archive"
                                                 : "the archive cannot be read");
        return;
    }
    for (const auto& [name, content] : wanted) {
        const auto found = files->find(name);
        if (found == files->end()) {
            problems.push_back("the archive lacks " + name);
        } else {
            compareContent(name, found->second, content, problems);
        }
    }
}

void compareReports(const JobSnapshot& seen, const std::map<std::string, std::string>& wanted,
                    std::vector<std::string>& problems) {
    for (const auto& [type, content] : wanted) {
        const auto* report = artifactOfType(seen, type);
        if (report == nullptr) {
            problems.push_back("there is no report of type " + type);
            continue;
        }
        const bool kept = report->bytes.size() == report->size;
        const auto text =
            report->format == "gzip" ? gunzipped(report->bytes) : std::optional(report->bytes);
        if (kept && text) {
            compareContent("the report " + type, *text, content, problems);
        } else {
            problems.push_back("the report " + type + " cannot be read");
        }
    }
}

}  // namespace

bool Summary::ok() const {
    const auto strikes = [this](FaultKind kind) {
        const auto found = faults.find(kind);
        return found != faults.end() && found->second > 0;
    };
    return violations.empty() && std::all_of(wanted.begin(), wanted.end(), strikes) &&
           std::all_of(jobs.begin(), jobs.end(),
                       [](const auto& job) { return job.problems.empty(); });
}

std::vector<std::string> differences(const JobSnapshot& seen, const Expectation& expect) {
    std::vector<std::string> result;
    const auto compare = [&](const std::string& what, const std::string& is,
                             const std::string& wanted) {
        if (is != wanted) {
            result.push_back(what + " is " + (is.empty() ? "none" : is) + " instead of " +
                             (wanted.empty() ? "none" : wanted));
        }
    };
    if (expect.state) {
        compare("state", std::string(nameOf(seen.status)), *expect.state);
    }
    if (expect.reason) {
        compare("reason", seen.failureReason, *expect.reason);
    }
    if (expect.exitCode) {
        compare("exit code", codeOf(seen.exitCode), codeOf(expect.exitCode));
    }
    for (const auto& text : expect.logContains) {
        if (seen.trace.find(text) == std::string::npos) {
            result.push_back("the log lacks '" + text + "'");
        }
    }
    if (expect.artifacts) {
        auto wanted = *expect.artifacts;
        std::sort(wanted.begin(), wanted.end());
        compare("artifacts", joined(namesOf(seen.artifacts)), joined(wanted));
    }
    compareFiles(seen, expect.files, result);
    compareReports(seen, expect.reports, result);
    return result;
}

void print(const Summary& summary, std::ostream& out) {
    const auto row = [&](const std::string& job, const std::string& state,
                         const std::string& reason, const std::string& code,
                         const std::string& expected, const std::string& ok) {
        out << std::left << std::setw(22) << job << ' ' << std::setw(9) << state << ' '
            << std::setw(24) << reason << ' ' << std::setw(4) << code << ' ' << std::setw(36)
            << expected << ' ' << ok << '\n';
    };
    row("JOB", "STATE", "REASON", "EXIT", "EXPECTED", "OK");
    for (const auto& job : summary.jobs) {
        const auto& reason = job.seen.failureReason;
        row(job.seen.name, std::string(nameOf(job.seen.status)), reason.empty() ? "-" : reason,
            codeOf(job.seen.exitCode), expectedText(job.expect),
            job.problems.empty() ? "ok" : "NO");
        for (const auto& problem : job.problems) {
            out << "    " << problem << '\n';
        }
    }
    for (const auto& violation : summary.violations) {
        out << "violation: " << violation << '\n';
    }
    for (const auto& [kind, count] : summary.faults) {
        if (count > 0 || summary.wanted.contains(kind)) {
            out << "fault " << nameOf(kind) << ": " << count << '\n';
        }
    }
    out << (summary.ok() ? "all as expected" : "NOT as expected") << std::endl;
}

std::string toJson(const Summary& summary) {
    Object root(Poco::JSON_PRESERVE_KEY_ORDER);
    root.set("ok", summary.ok());
    Array::Ptr jobs = new Array;
    for (const auto& job : summary.jobs) {
        jobs->add(jobJson(job));
    }
    root.set("jobs", jobs);
    root.set("violations", texts(summary.violations));
    Object::Ptr faults = new Object(Poco::JSON_PRESERVE_KEY_ORDER);
    for (const auto& [kind, count] : summary.faults) {
        faults->set(std::string(nameOf(kind)), count);
    }
    root.set("faults", faults);
    std::ostringstream out;
    root.stringify(out, 2);
    return out.str() + "\n";
}

}  // namespace gridbridge::fakegitlab
