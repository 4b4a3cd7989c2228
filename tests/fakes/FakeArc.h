#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "backends/api/SharedFolder.h"
#include "backends/arc/ArcBackend.h"
#include "bridge/base/Process.h"
#include "bridge/folder/DirectFolders.h"
#include "tests/fakes/FakeClock.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// An ARC as release 6.17: jobs with files, and what goes wrong with a call whose method and path
/// begin so; or are so, where a blank ends it.
struct FakeArc {
    struct Job {
        std::string state;
        std::string name;
        std::map<std::string, std::string> files = {};
        std::set<std::string> whole = {};
        std::string failed = {};
    };
    std::map<std::string, Job> jobs;
    std::map<std::string, std::function<Result<http::Response>()>> faults;
    std::set<std::string> silent = {};    ///< No call that begins or is so gets an answer in time.
    std::vector<std::string> asked = {};  ///< With the range, if any.
    std::map<std::string, Millis> allowed = {};  ///< How long the last such call could take.

    static std::string callOf(const http::Request& request) {
        constexpr std::string_view kJobs = "/rest/1.0/jobs";
        return request.method + " " + request.path.substr(kJobs.size());
    }

    static http::Response json(int status, const std::string& body) {
        return {status, {{"Content-Type", "application/json"}}, body, {}};
    }
    static std::string headerOf(const http::Request& request, const std::string& name) {
        for (const auto& [key, value] : request.headers) {
            if (key == name) {
                return value;
            }
        }
        return {};
    }
    int count(const std::string& what) const {
        return static_cast<int>(std::count_if(asked.begin(), asked.end(), [&](const auto& each) {
            return each.find(what) != std::string::npos;
        }));
    }

    Result<http::Response> answer(const http::Request& request) {
        const auto call = callOf(request);
        asked.push_back(call + " " + headerOf(request, "Range") +
                        headerOf(request, "Content-Range"));
        for (const auto& [what, fault] : faults) {
            if ((call + " ").starts_with(what)) {
                const auto told = fault;  // Which may take itself out.
                return told();
            }
        }
        if (call.starts_with("GET ?state=")) {
            return list();
        }
        if (call == "POST ?action=new") {
            jobs["a1"] = {"PREPARING", "gb-a-1-1"};
            return json(201, R"({"job":[{"status-code":"201","id":"a1","state":"ACCEPTING"}]})");
        }
        if (call.starts_with("POST ?action=")) {
            return act(call.substr(13), request.body);
        }
        const auto rest = call.substr(call.find('/') + 1);
        const auto slash = rest.find('/');
        const auto job = jobs.find(rest.substr(0, slash));
        const auto file = rest.substr(rest.find('/', slash + 1) + 1);
        if (job == jobs.end()) {
            return json(404, {});
        }
        return call.find("/diagnose/") != std::string::npos ? diagnose(job->second, file)
                                                            : session(job->second, file, request);
    }

private:
    http::Response list() const {
        std::string body;
        for (const auto& [id, job] : jobs) {
            body += (body.empty() ? "" : ",") +
                    (R"({"id":")" + id + R"(","state":")" + job.state + "\"}");
        }
        return json(200, R"({"job":[)" + body + "]}");
    }
    http::Response act(const std::string& action, const std::string& sent) {
        std::string body;
        for (std::size_t at = sent.find(R"("id":")"); at != std::string::npos;
             at = sent.find(R"("id":")", at + 1)) {
            const auto id = sent.substr(at + 6, sent.find('"', at + 6) - at - 6);
            const auto job = jobs.find(id);
            const bool known = job != jobs.end();
            body += (body.empty() ? "" : ",") +
                    (R"({"id":")" + id + R"(","status-code":")" + (known ? "202" : "404") +
                     R"(","info_document":)" +
                     (known && !job->second.name.empty()
                          ? R"({"ComputingActivity":{"Name":")" + job->second.name + R"("}}})"
                          : R"(""})"));
            if (known && action == "clean") {
                jobs.erase(job);
            } else if (known && action == "kill") {
                job->second.state = "KILLING";
            }
        }
        return json(201, R"({"job":[)" + body + "]}");
    }
    static http::Response diagnose(const Job& job, const std::string& what) {
        std::string text;
        if (what == "local" && !job.name.empty()) {
            text = "jobname=" + job.name + "\nstarttime=20261201002931Z\nfailedstate=INLRMS\n";
        } else if (what == "input_status") {
            for (const auto& name : job.whole) {
                text += "/" + name + "\n";
            }
        } else if (what == "failed") {
            text = job.failed;
        }
        return {text.empty() ? 404 : 200, {{"Content-Type", "text/plain"}}, text, {}};
    }
    static http::Response folder(const Job& job, const std::string& path) {
        std::set<std::string> files;
        std::set<std::string> folders;
        for (const auto& [name, content] : job.files) {
            if (name.starts_with(path)) {
                const auto rest = name.substr(path.size());
                const auto slash = rest.find('/');
                (slash == std::string::npos ? files : folders).insert(rest.substr(0, slash));
            }
        }
        const auto list = [](const std::set<std::string>& names) {
            std::string text;
            for (const auto& name : names) {
                text += (text.empty() ? "\"" : ",\"") + name + "\"";
            }
            return "[" + text + "]";
        };
        return path.empty() || !files.empty()
                   ? json(200, R"({"file":)" + list(files) + R"(,"dir":)" + list(folders) + "}")
                   : json(404, {});
    }
    static http::Response session(Job& job, const std::string& file, const http::Request& request) {
        if (request.method == "PUT") {
            const auto range = arcRange(headerOf(request, "Content-Range"));
            auto& there = job.files[file];
            there.resize(static_cast<std::size_t>(range.from.value_or(0)));
            there += request.body;
            if (!range.total || static_cast<std::int64_t>(there.size()) == *range.total) {
                job.whole.insert(file);
            }
            return json(200, {});
        }
        if (file == "out" || file.empty()) {
            return folder(job, file.empty() ? "" : file + "/");
        }
        const auto found = job.files.find(file);
        if (found == job.files.end()) {
            return json(404, {});
        }
        const auto range = headerOf(request, "Range");
        const auto from = std::stoul(range.substr(6));
        const auto last = std::stoul(range.substr(range.find('-') + 1));
        const auto size = std::to_string(found->second.size());
        if (found->second.empty()) {
            return {200, {}, {}, {}};
        }
        if (from >= found->second.size()) {
            const auto told = from == found->second.size() ? size : "*";
            return {416, {{"Content-Range", "bytes */" + told}}, {}, {}};
        }
        return {206,
                {{"Content-Range", "bytes " + std::to_string(from) + "-9/" + size}},
                found->second.substr(from, last - from + 1),
                {}};
    }
};

class ToFakeArc final : public http::Transport {
public:
    ToFakeArc(FakeArc& arc, FakeClock& clock) : arc_(arc), clock_(clock) {}
    Result<http::Response> send(const CallContext& ctx, const http::Request& request) override {
        const auto call = FakeArc::callOf(request);
        const auto left = std::chrono::duration_cast<Millis>(ctx.deadline - clock_.steadyNow());
        arc_.allowed[call] = left;
        if (left <= Millis(0)) {
            return transientError("not sent in the time allowed");
        }
        for (const auto& each : arc_.silent) {
            if ((call + " ").starts_with(each)) {
                arc_.asked.push_back(call + " ");
                clock_.advance(left);
                return uncertainError("no answer came");
            }
        }
        auto answer = arc_.answer(request);
        if (!answer || !request.sink) {
            return answer;
        }
        auto whole = std::move(answer).value();
        if (whole.body.size() > static_cast<std::size_t>(request.sink->limit)) {
            return permanentError("the answer is too long");
        }
        request.sink->write(std::exchange(whole.body, {}));
        return whole;
    }
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string&) const override {
        return std::unique_ptr<http::Transport>(new ToFakeArc(arc_, clock_));
    }

private:
    FakeArc& arc_;
    FakeClock& clock_;
    const std::string url_ = "https://ce/arex";
};

/// A backend that talks to it.
class ArcWorld : public ::testing::Test {
protected:
    BatchJob job() const {
        BatchJob made;
        made.key = {"gb-a-1-1"};
        made.loader = "true\n";
        made.inputs = {{"job.sh", "echo"}};
        made.outputs = {"artifacts"};
        made.deadline = clock_.wallNow() + std::chrono::hours(1);
        return made;
    }
    CallContext ctx() const { return {.deadline = clock_.steadyNow() + std::chrono::seconds(60)}; }
    static JobRef ref(const std::string& id = "a1") { return {{"gb-a-1-1"}, "", {id}, {}}; }
    static JobRef other() { return {{"gb-b-1-1"}, "", {"b1"}, {}}; }
    Result<Submission> submit(const BatchJob& wanted) {
        return backend_.submit(ctx(), std::vector{wanted}).front();
    }
    std::vector<Observation> observe(const std::vector<JobRef>& refs) {
        return backend_.observe(ctx(), refs).value();
    }
    BatchState state() { return observe({ref()})[0].state; }
    Result<std::vector<FoundJob>> find() { return backend_.find(ctx(), std::vector{ref("")}); }
    Result<void> release() { return backend_.release(ctx(), std::vector{ref()})[0]; }
    Result<CollectOutcome> collect() { return backend_.collect(ctx(), std::vector{ref()})[0]; }
    Result<CancelOutcome> cancel() {
        const std::vector<CancelRequest> requests{{ref(), CancelKind::Hard}};
        return backend_.cancel(ctx(), requests)[0];
    }
    /// It is submitted and has ended.
    void end() {
        ASSERT_TRUE(submit(job()).ok());
        arc_.jobs["a1"].state = "FINISHED";
    }
    void says(const std::string& call, const http::Response& answer) {
        arc_.faults[call] = [answer] { return answer; };
    }
    /// It takes so long, and then is answered, or not.
    void hangs(const std::string& call, Millis time) {
        arc_.faults[call] = [this, time] {
            clock_.advance(time);
            return uncertainError("no answer came");
        };
    }
    std::string output(const std::string& name) const {
        std::ifstream file(folders_.path({{"gb-a-1-1"}, ""}) / "out" / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    TempDir temp_;
    FakeClock clock_;
    folder::DirectFolders folders_{temp_.path() / "work"};
    PosixProcessRunner runner_{clock_};
    FakeArc arc_;
    std::vector<std::string> told_;
    ArcBackend backend_{{.url = "https://ce/arex"},
                        std::make_unique<ToFakeArc>(arc_, clock_),
                        folders_,
                        runner_,
                        clock_,
                        [this](const auto& text) { told_.push_back(text); }};
};

}  // namespace gridbridge::testing
