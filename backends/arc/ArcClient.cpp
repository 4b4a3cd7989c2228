#include "backends/arc/ArcClient.h"

#include <algorithm>
#include <sys/stat.h>

#include "backends/api/SchedulerCommands.h"
#include "backends/arc/ArcStates.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge {
namespace {

const std::string kJobs = "/rest/1.0/jobs";

Error misconfigured(const std::string& text) {
    return {ErrorKind::Transient, text, true};
}

/// What an answer that is no success means.
Error errorOf(const http::Response& answer) {
    const auto text = "ARC answers " + std::to_string(answer.status);
    switch (answer.status) {
        case 401:
        case 403:
            return misconfigured(text +
                                 ": it gives this service's certificate or token no access, see "
                                 "`tls_cert_file`, `token_file`, and its own access rules");
        case 301:
        case 302:
        case 307:
        case 308:
        case 404:
            return misconfigured(text + ": there is no REST interface 1.0, see `url`");
        default:
            return transientError(text);
    }
}

Error senseless(const std::string& what, const std::string& body, ErrorKind kind) {
    const auto trouble = arcTrouble(body);
    return {kind, "ARC's answer to " + what + " " + trouble,
            kind == ErrorKind::Transient && trouble.find("`url`") != std::string::npos};
}

std::string typeOf(const http::Response& answer) {
    auto type = answer.header("Content-Type");
    return type.substr(0, type.find_first_of("; "));
}
bool isPage(const http::Response& answer) {
    return typeOf(answer) == "text/html";
}
bool isJson(const http::Response& answer) {
    return typeOf(answer) == "application/json";
}

std::string idsBody(std::span<const std::string> ids) {
    std::string list;
    for (const auto& id : ids) {  // Of letters and digits: see isArcId.
        list += (list.empty() ? "" : ",") + (R"({"id":")" + id + "\"}");
    }
    return R"({"job":[)" + list + "]}";
}

std::string fileOf(const std::string& id, const std::string& file) {
    return kJobs + "/" + id + "/session/" + file;
}

std::string rangeOf(std::int64_t offset, std::int64_t count) {
    return std::to_string(offset) + "-" + std::to_string(offset + count - 1);
}

}  // namespace

ArcClient::ArcClient(http::Transport& transport, std::filesystem::path tokenFile,
                     const Clock& clock)
    : transport_(transport), tokenFile_(std::move(tokenFile)), clock_(clock) {}

Result<std::optional<Secret>> ArcClient::token() const {
    if (tokenFile_.empty()) {
        return std::optional<Secret>();
    }
    const auto name = "the file that `token_file` names";
    constexpr std::size_t kLongest = std::size_t{16} << 10U;
    auto content = readSmallFile(tokenFile_, kLongest);
    if (!content) {
        return misconfigured(std::string(name) + " " + content.error().message);
    }
    if ((content->mode & S_IROTH) != 0) {
        return misconfigured(std::string(name) + " can be read by every account: run chmod 600");
    }
    auto text = std::move(content).value().text;
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    const bool isPlain =
        std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    if (text.empty() || !isPlain) {
        return misconfigured(std::string(name) + " holds no bearer token");
    }
    return std::optional(Secret(std::move(text)));
}

Result<http::Response> ArcClient::send(const CallContext& ctx, http::Request& request,
                                       std::int64_t longest) {
    if (longest == 0) {
        return transport_.send(ctx, request);
    }
    std::string body;
    request.sink = http::BodySink{[&body](std::string_view bytes) {
                                      body += bytes;
                                      return true;
                                  },
                                  longest};
    auto answer = transport_.send(ctx, request);
    if (!answer) {
        return answer;
    }
    auto whole = std::move(answer).value();
    whole.body = std::move(body);
    return whole;
}

Result<http::Response> ArcClient::call(const CallContext& ctx, http::Request request,
                                       bool repeatable, std::int64_t longest) {
    const auto bearer = token();
    if (!bearer) {
        return bearer.error();
    }
    request.headers.emplace_back("Accept", "application/json");
    if (*bearer) {
        request.headers.emplace_back("Authorization", "Bearer " + (*bearer)->reveal());
    }
    constexpr int kTries = 3;
    auto answer = send(ctx, request, longest);
    for (int tries = 1; !answer && tries < kTries; ++tries) {
        const auto& error = answer.error();
        const bool passes = error.kind == ErrorKind::Transient && !error.misconfigured;
        const bool again = passes || (repeatable && error.kind == ErrorKind::Uncertain);
        if (!again || ctx.stop.stop_requested() || clock_.steadyNow() >= ctx.deadline) {
            break;
        }
        answer = send(ctx, request, longest);
    }
    if (!answer && repeatable) {
        return withoutEffect(answer.error());
    }
    if (answer && answer->status / 100 == 2 && isPage(*answer)) {  // A-REX was asked for none.
        return senseless("a call", "<", repeatable ? ErrorKind::Transient : ErrorKind::Uncertain);
    }
    return answer;
}

Result<void> ArcClient::prove(const CallContext& ctx) {
    const std::string nobody = "gridbridge";
    const auto told = act(ctx, "info", {nobody});
    if (!told) {
        return told.error();
    }
    const auto entry = told->find(nobody);
    return entry != told->end() && entry->second.status == 404
               ? Result<void>()
               : transientError("ARC's answers are empty");
}

Result<std::map<std::string, std::string>> ArcClient::list(const CallContext& ctx) {
    const auto answer = call(ctx, {.method = "GET", .path = kJobs + "?state=" + kArcStates}, true);
    if (!answer) {
        return answer.error();
    }
    if (answer->status != 200) {
        return errorOf(*answer);
    }
    const auto entries = parseArcJobs(answer->body);
    if (!entries || !isJson(*answer)) {
        return senseless("a list of jobs", answer->body, ErrorKind::Transient);
    }
    if (entries->empty()) {  // Release 6 says so without a byte, and who else not.
        if (const auto proven = prove(ctx); !proven) {
            return proven.error();
        }
    }
    std::map<std::string, std::string> states;
    for (const auto& entry : *entries) {
        if (entry.id.empty() || entry.state.empty()) {
            return senseless("a list of jobs", {}, ErrorKind::Transient);
        }
        states[entry.id] = entry.state;
    }
    return states;
}

Result<std::vector<ArcEntry>> ArcClient::submit(const CallContext& ctx,
                                                const std::string& description, std::size_t count) {
    const auto answer = call(ctx,
                             {.method = "POST",
                              .path = kJobs + "?action=new",
                              .headers = {{"Content-Type", "application/rsl"}},
                              .body = description,
                              .newConnection = true},
                             false);
    if (!answer) {
        return answer.error();
    }
    if (answer->status / 100 == 5) {
        return uncertainError(errorOf(*answer).message);
    }
    if (answer->status / 100 != 2) {
        return errorOf(*answer);
    }
    auto entries = parseArcJobs(answer->body);
    if (!entries || entries->size() != count) {
        return senseless("a submission", answer->body, ErrorKind::Uncertain);
    }
    return std::move(*entries);
}

Result<std::map<std::string, ArcEntry>> ArcClient::act(const CallContext& ctx,
                                                       const std::string& action,
                                                       const std::vector<std::string>& ids) {
    constexpr std::size_t kAtOnce = 500;
    std::map<std::string, ArcEntry> all;
    for (std::size_t from = 0; from < ids.size(); from += kAtOnce) {
        const auto some = std::span(ids).subspan(from, std::min(kAtOnce, ids.size() - from));
        const auto answer = call(ctx,
                                 {.method = "POST",
                                  .path = kJobs + "?action=" + action,
                                  .headers = {{"Content-Type", "application/json"}},
                                  .body = idsBody(some)},
                                 true);
        if (!answer) {
            return answer.error();
        }
        if (answer->status / 100 != 2) {
            return errorOf(*answer);
        }
        const auto entries = parseArcJobs(answer->body);
        if (!entries) {
            return senseless("the action " + action, answer->body, ErrorKind::Transient);
        }
        for (const auto& entry : *entries) {
            all[entry.id] = entry;
        }
    }
    return all;
}

Result<void> ArcClient::demand(const CallContext& ctx, const std::string& action,
                               const std::vector<std::string>& ids) {
    const auto done = act(ctx, action, ids);
    if (!done) {
        return done.error();
    }
    for (const auto& id : ids) {
        const auto entry = done->find(id);
        const int status = entry == done->end() ? 0 : entry->second.status;
        if (status / 100 != 2 && status != 404) {
            return transientError("ARC does not " + action + " the job: " +
                                  (status == 0 ? "it does not say why" : entry->second.reason));
        }
    }
    return {};
}

Result<std::optional<std::string>> ArcClient::diagnose(const CallContext& ctx,
                                                       const std::string& id,
                                                       const std::string& name) {
    constexpr std::int64_t kLongest = std::int64_t{64} << 10U;
    const auto answer = call(ctx, {.method = "GET", .path = kJobs + "/" + id + "/diagnose/" + name},
                             true, kLongest);
    if (!answer) {
        return answer.error();
    }
    if (answer->status == 404) {
        return std::optional<std::string>();
    }
    return answer->status == 200 ? Result<std::optional<std::string>>(answer->body)
                                 : errorOf(*answer);
}

Result<std::optional<ArcFolder>> ArcClient::folder(const CallContext& ctx, const std::string& id,
                                                   const std::string& name) {
    constexpr std::int64_t kLongest = std::int64_t{1} << 20U;  // A job may make a million files.
    const auto answer = call(ctx, {.method = "GET", .path = fileOf(id, name)}, true, kLongest);
    if (!answer) {
        return answer.error();
    }
    if (answer->status == 404) {
        return std::optional<ArcFolder>();
    }
    if (answer->status != 200) {
        return errorOf(*answer);
    }
    auto listed = isJson(*answer) ? parseArcFolder(answer->body) : std::nullopt;
    return listed ? Result<std::optional<ArcFolder>>(std::move(listed))
                  // Or a job has put a file there.
                  : senseless("a list of files", answer->body, ErrorKind::Permanent);
}

Result<std::optional<ArcBytes>> ArcClient::sizeOf(const CallContext& ctx, const std::string& id,
                                                  const std::string& file) {
    const auto first = read(ctx, id, file, 0, 1);
    return first && *first ? Result<std::optional<ArcBytes>>(ArcBytes{{}, (**first).size}) : first;
}

Result<std::optional<ArcBytes>> ArcClient::read(const CallContext& ctx, const std::string& id,
                                                const std::string& file, std::int64_t offset,
                                                std::size_t limit) {
    const auto count = static_cast<std::int64_t>(limit);
    const auto answer = call(ctx,
                             {.method = "GET",
                              .path = fileOf(id, file),
                              .headers = {{"Range", "bytes=" + rangeOf(offset, count)}}},
                             true);
    if (!answer) {
        return answer.error();
    }
    const auto& body = answer->body;
    const auto range = arcRange(answer->header("Content-Range"));
    if (answer->status / 100 == 2 && isJson(*answer)) {
        return std::optional<ArcBytes>();  // The list of a folder.
    }
    switch (answer->status) {
        case 404:
            return std::optional<ArcBytes>();
        case 416:  // It has no more than that; where it has less ARC does not tell how much.
            return range.total || offset == 0
                       ? Result<std::optional<ArcBytes>>(ArcBytes{{}, range.total})
                       : sizeOf(ctx, id, file);
        case 206:
            if (body.size() > limit || range.from != offset) {
                return transientError("ARC's answer has other bytes of a file than asked for");
            }
            return std::optional(ArcBytes{body, range.total});
        case 200: {  // All of it.
            const auto size = static_cast<std::int64_t>(body.size());
            const auto from = static_cast<std::size_t>(std::clamp<std::int64_t>(offset, 0, size));
            return std::optional(ArcBytes{body.substr(from, limit), size});
        }
        default:
            return errorOf(*answer);
    }
}

Result<bool> ArcClient::put(const CallContext& ctx, const std::string& id, const std::string& file,
                            std::int64_t offset, std::string bytes, std::int64_t size) {
    http::Request request{.method = "PUT", .path = fileOf(id, file)};
    const auto count = static_cast<std::int64_t>(bytes.size());
    if (count < size) {
        request.headers.emplace_back(
            "Content-Range", "bytes " + rangeOf(offset, count) + "/" + std::to_string(size));
    }
    request.body = std::move(bytes);
    const auto answer = call(ctx, std::move(request), true);
    if (!answer) {
        return answer.error();
    }
    if (answer->status / 100 == 2) {
        return true;
    }
    return answer->status == 404 ? Result<bool>(false) : errorOf(*answer);
}

}  // namespace gridbridge
