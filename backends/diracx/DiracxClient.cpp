#include "backends/diracx/DiracxClient.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/URI.h>

#include <algorithm>
#include <sstream>

#include "backends/api/SchedulerCommands.h"
#include "backends/diracx/DiracxSandbox.h"
#include "backends/diracx/DiracxStates.h"
#include "bridge/http/Target.h"

namespace gridbridge {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::size_t kMostPages = 100;

std::string textOf(const Object& object) {
    std::ostringstream out;
    object.stringify(out);
    return out.str();
}

template <typename Values>
Object filter(const std::string& parameter, const Values& values) {
    Array list;
    for (const auto& value : values) {
        list.add(value);
    }
    Object object;
    object.set("parameter", parameter);
    object.set("operator", "in");
    object.set("values", list);
    return object;
}

std::string searchBody(const DiracxQuery& query, const std::string& owner) {
    Array search;
    search.add(filter("Owner", std::vector<std::string>{owner}));
    search.add(filter("JobGroup", query.groups));
    search.add(query.names.empty() ? filter("JobID", query.ids) : filter("JobName", query.names));
    Array columns;
    for (const char* column :
         {"JobID", "JobName", "Status", "MinorStatus", "ApplicationStatus", "Site",
          "RescheduleCounter", "SubmissionTime", "StartExecTime", "EndExecTime"}) {
        columns.add(std::string(column));
    }
    if (query.history) {
        columns.add(std::string("LoggingInfo"));
    }
    Object sort;
    sort.set("parameter", "JobID");
    sort.set("direction", "asc");
    Array order;
    order.add(sort);
    Object body;
    body.set("parameters", columns);
    body.set("search", search);
    body.set("sort", order);
    return textOf(body);
}

std::string killBody(std::span<const DiracxKill> kills) {
    Object body;
    for (const auto& kill : kills) {
        Object state;
        state.set("Status", "Killed");
        state.set("MinorStatus", kDiracxKilled);
        state.set("ApplicationStatus", kill.why);
        state.set("Source", kDiracxSource);
        Object stamped;
        stamped.set(diracxStamp(kill.at), state);
        body.set(std::to_string(kill.id), stamped);
    }
    return textOf(body);
}

/// What an answer that is no success means.
Error errorOf(const http::Response& answer, bool changes) {
    const auto detail = diracxDetail(answer.body);
    const auto text =
        "DiracX answers " + std::to_string(answer.status) + (detail.empty() ? "" : ": " + detail);
    switch (answer.status) {
        case 500:
        case 502:
        case 504:
            return changes ? uncertainError(text) : transientError(text);
        case 401:
        case 403:
            return {
                ErrorKind::Transient,
                text + "; log in again with a group that may submit jobs, and see `credentials`",
                true};
        case 400:
        case 422:
            return changes ? permanentError(text) : transientError(text);
        default:  // Also what only a proxy says: no job is refused by that.
            return transientError(text);
    }
}

Error senseless(const std::string& what, bool changes = false) {
    const auto text = "DiracX's answer to " + what + " makes no sense";
    return changes ? uncertainError(text) : transientError(text);
}

std::string encoded(const std::string& text) {
    std::string result;
    Poco::URI::encode(text, "!#$&'()*+,/:;=?@[]|", result);
    return result;
}

bool isThisMachine(const std::string& host) {
    return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

/// A body multipart/form-data: the fields, then the file, which must be the last.
http::Request formOf(const DiracxUpload& upload, const std::string& packed,
                     const std::string& checksum) {
    const auto boundary = "gridbridge-" + checksum;
    std::string body;
    for (const auto& [name, value] : upload.fields) {
        body.append("--").append(boundary).append("\r\nContent-Disposition: form-data; name=\"");
        body.append(name).append("\"\r\n\r\n").append(value).append("\r\n");
    }
    body.append("--").append(boundary).append(
        "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n");
    body.append(packed).append("\r\n--").append(boundary).append("--\r\n");
    return {.method = "POST",
            .path = {},
            .headers = {{"Content-Type", "multipart/form-data; boundary=" + boundary}},
            .body = std::move(body)};
}

}  // namespace

DiracxClient::DiracxClient(http::Transport& transport, DiracTokens& tokens, const Clock& clock)
    : transport_(transport), tokens_(tokens), clock_(clock) {}

Result<http::Response> DiracxClient::sendOnce(const CallContext& ctx, const http::Request& request,
                                              const Secret& token) {
    auto mine = request;
    mine.headers.emplace_back("Authorization", "Bearer " + token.reveal());
    return transport_.send(ctx, mine);
}

Result<http::Response> DiracxClient::call(const CallContext& ctx, Kind kind,
                                          const std::string& method, const std::string& path,
                                          const std::string& body) {
    http::Request request{.method = method, .path = path, .headers = {}, .body = body};
    if (!body.empty()) {
        request.headers.emplace_back("Content-Type", "application/json");
    }
    request.newConnection = kind == Kind::Change;
    const auto token = tokens_.access(ctx);
    if (!token) {
        return token.error();
    }
    auto answer = sendOnce(ctx, request, *token);
    if (answer && answer->status == 401) {
        const auto another = tokens_.renew(ctx, *token);
        if (!another) {
            return another.error();
        }
        answer = sendOnce(ctx, request, *another);
    }
    if (!answer) {
        return kind == Kind::Read ? withoutEffect(answer.error()) : answer.error();
    }
    if (answer->status / 100 != 2) {
        return errorOf(*answer, kind == Kind::Change);
    }
    return answer;
}

Result<DiracxIdentity> DiracxClient::identity(const CallContext& ctx) {
    const auto answer = call(ctx, Kind::Read, "GET", "/api/auth/userinfo");
    if (!answer) {
        return answer.error();
    }
    const auto identity = parseDiracxIdentity(answer->body);
    if (!identity) {
        return senseless("who we are");
    }
    const std::lock_guard lock(mutex_);
    owner_ = identity->user;
    return *identity;
}

Result<std::string> DiracxClient::owner(const CallContext& ctx) {
    {
        const std::lock_guard lock(mutex_);
        if (!owner_.empty()) {
            return owner_;
        }
    }
    const auto mine = identity(ctx);
    return mine ? Result<std::string>(mine->user) : mine.error();
}

Result<DiracxFound> DiracxClient::search(const CallContext& ctx, const DiracxQuery& query) {
    const auto mine = owner(ctx);
    if (!mine) {
        return mine.error();
    }
    const auto body = searchBody(query, *mine);
    DiracxFound found;
    for (std::size_t page = 1; page <= kMostPages; ++page) {
        const auto answer =
            call(ctx, Kind::Read, "POST",
                 "/api/jobs/search?per_page=10000&page=" + std::to_string(page), body);
        if (!answer) {
            return answer.error();
        }
        auto jobs = parseDiracxJobs(answer->body);
        if (!jobs) {
            return senseless("a search");
        }
        found.jobs.insert(found.jobs.end(), std::make_move_iterator(jobs->begin()),
                          std::make_move_iterator(jobs->end()));
        found.serverNow = httpDate(answer->header("Date")).value_or(clock_.wallNow());
        if (answer->status != 206 || jobs->empty()) {
            return found;
        }
    }
    return senseless("a search, which has no end,");
}

Result<std::vector<std::int64_t>> DiracxClient::submit(const CallContext& ctx,
                                                       const std::vector<std::string>& jdls) {
    Array list;
    for (const auto& jdl : jdls) {
        list.add(jdl);
    }
    std::ostringstream body;
    list.stringify(body);
    const auto answer = call(ctx, Kind::Change, "POST", "/api/jobs/jdl", body.str());
    if (!answer) {
        return answer.error();
    }
    const auto ids = parseDiracxSubmission(answer->body, jdls.size());
    return ids ? Result<std::vector<std::int64_t>>(*ids) : senseless("a submission", true);
}

Result<std::map<std::int64_t, std::string>> DiracxClient::kill(const CallContext& ctx,
                                                               std::span<const DiracxKill> kills) {
    const auto answer = call(ctx, Kind::Change, "PATCH", "/api/jobs/status", killBody(kills));
    if (!answer) {
        return answer.error();
    }
    const auto states = parseDiracxChange(answer->body);
    return states ? Result<std::map<std::int64_t, std::string>>(*states)
                  : senseless("a kill", true);
}

Result<http::Response> DiracxClient::elsewhere(const CallContext& ctx, const std::string& url,
                                               http::Request request) {
    const auto target = http::targetOf(url, http::parseBaseUrl(transport_.baseUrl()));
    if (!target) {
        return transientError("the address of DiracX's object store makes no sense");
    }
    if (!target->server.tls && !isThisMachine(target->server.host)) {
        return Error{ErrorKind::Transient,
                     "DiracX's object store " + target->server.authority +
                         " has no TLS, and jobs' files hold secrets: its administrator must change "
                         "that",
                     true};
    }
    std::shared_ptr<http::Transport> store;
    {
        const std::lock_guard lock(mutex_);
        auto& known = stores_[target->server.text];
        if (!known) {
            auto made = transport_.to(target->server.text);
            if (!made) {
                return made.error();
            }
            known = std::move(made).value();
        }
        store = known;
    }
    request.path = target->path;
    auto answer = store->send(ctx, request);
    return answer || answer.error().kind == ErrorKind::Permanent
               ? std::move(answer)
               : Result<http::Response>(withoutEffect(answer.error()));
}

Result<std::string> DiracxClient::upload(const CallContext& ctx, const std::string& packed) {
    if (static_cast<std::int64_t>(packed.size()) > kDiracxMostPacked) {
        return permanentError("its files have " + std::to_string(packed.size()) +
                              " bytes when they are packed, and DIRAC carries 100 MiB at most");
    }
    const auto checksum = sandboxChecksum(packed);
    Object body;
    body.set("checksum_algorithm", "sha256");
    body.set("checksum", checksum);
    body.set("size", packed.size());
    body.set("format", "tar.zst");
    const auto answer = call(ctx, Kind::Read, "POST", "/api/jobs/sandbox", textOf(body));
    if (!answer) {
        return answer.error();
    }
    const auto upload = parseDiracxUpload(answer->body);
    if (!upload) {
        return senseless("a sandbox");
    }
    if (upload->url.empty()) {
        return upload->name;
    }
    const auto stored = elsewhere(ctx, upload->url, formOf(*upload, packed, checksum));
    if (!stored) {
        return stored.error();
    }
    return stored->status / 100 == 2
               ? Result<std::string>(upload->name)
               : transientError("DiracX's object store answers " + std::to_string(stored->status));
}

Result<std::string> DiracxClient::outputOf(const CallContext& ctx, std::int64_t id) {
    const auto answer =
        call(ctx, Kind::Read, "GET", "/api/jobs/" + std::to_string(id) + "/sandbox/output");
    if (!answer) {
        return answer.error();
    }
    const auto names = parseDiracxOutputs(answer->body);
    if (!names) {
        return senseless("which output a job has");
    }
    return names->empty() ? std::string() : names->back();
}

Result<void> DiracxClient::download(const CallContext& ctx, const std::string& name,
                                    std::FILE* file) {
    if (!name.substr(name.find('|') + 1).starts_with("/S3/")) {
        return permanentError("the job's output lies in a storage that DiracX does not serve");
    }
    const auto answer = call(ctx, Kind::Read, "GET", "/api/jobs/sandbox?pfn=" + encoded(name));
    if (!answer) {
        return answer.error();
    }
    const auto url = parseDiracxDownload(answer->body);
    if (!url || url->empty()) {
        return senseless("where a sandbox is");
    }
    bool isFull = false;
    http::Request request{.method = "GET", .path = {}};
    request.sink = http::BodySink{[&](std::string_view bytes) {
                                      isFull = std::fwrite(bytes.data(), 1, bytes.size(), file) !=
                                               bytes.size();
                                      return !isFull;
                                  },
                                  kDiracxMostPacked};
    std::rewind(file);
    const auto got = elsewhere(ctx, *url, std::move(request));
    if (isFull || std::fflush(file) != 0) {
        return transientError("the disk has no room for the job's output sandbox");
    }
    if (!got) {
        return got.error();
    }
    if (got->status / 100 != 2) {
        const auto text = "DiracX's object store answers " + std::to_string(got->status);
        return got->status == 404 ? permanentError(text) : transientError(text);
    }
    std::rewind(file);
    return {};
}

}  // namespace gridbridge
