#include "tests/fakegitlab/Answers.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "bridge/base/Check.h"

namespace gridbridge::fakegitlab {

namespace {

/// `/api/v4/jobs/7/trace` as `jobs/:id/trace`.
std::string nameOf(const std::string& path) {
    std::istringstream in(path.substr(std::string("/api/v4/").size()));
    std::string name;
    for (std::string part; std::getline(in, part, '/');) {
        const bool id = std::all_of(part.begin(), part.end(),
                                    [](unsigned char c) { return std::isdigit(c) != 0; });
        name += (name.empty() ? "" : "/") + (id ? ":id" : part);
    }
    return name;
}

std::string valueOf(const Reply& reply, const std::string& header) {
    for (const auto& [name, value] : reply.headers) {
        if (name == header) {
            return value;
        }
    }
    return {};
}

/// What tells answers of one status apart for a client.
std::string variantOf(const Reply& reply) {
    if (reply.delivery != Delivery::Whole) {
        return "lost";
    }
    if (valueOf(reply, "Content-Type").starts_with("text/")) {
        return "proxy";
    }
    for (const auto* header : {"X-GitLab-Last-Update", "Retry-After", "RateLimit-ResetTime"}) {
        if (!valueOf(reply, header).empty()) {
            return header;
        }
    }
    const auto status = valueOf(reply, "Job-Status");
    return status.empty() ? "-" : status;
}

}  // namespace

Answers::Answers() {
    const char* folder = std::getenv("FAKEGITLAB_ANSWERS");
    folder_ = folder == nullptr ? "" : folder;
}

void Answers::count(const Request& request, const std::string& path, Call call,
                    const Reply& reply) {
    if (folder_.empty() || !path.starts_with("/api/v4/")) {
        return;
    }
    const auto* kind = call == Call::PutRunning ? " running" : call == Call::PutFinal ? " end" : "";
    const bool ours = request.header("user-agent").starts_with("gridbridge ");
    ++counts_["answer\t" + request.method + " " + nameOf(path) + kind + "\t" +
              std::to_string(reply.status) + "\t" + variantOf(reply) + "\t" +
              (ours ? "gridbridge" : "other")];
}

void Answers::write(const std::vector<std::string>& unseenViolations) const {
    if (folder_.empty() || (counts_.empty() && unseenViolations.empty())) {
        return;
    }
    std::ofstream out(folder_ + "/" + std::to_string(::getpid()), std::ios::app);
    for (const auto& [line, count] : counts_) {
        out << line << "\t" << count << "\n";
    }
    for (const auto& sentence : unseenViolations) {
        out << "violation\t" << sentence << "\n";
    }
    out.close();
    BRIDGE_CHECK(out.good());
}

}  // namespace gridbridge::fakegitlab
