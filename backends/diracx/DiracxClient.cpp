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

/// Whether an answer without success leaves open what became of a change.
bool isDoubtful(int status, const std::string& detail) {
    constexpr int kGaveUp = 499;  // A proxy's, of the connection that it had.
    if (status == 501 || (status == 503 && !detail.empty())) {
        return false;
    }
    return status == kGaveUp || status / 100 == 5;
}

/// What an answer that is no success means.
Error errorOf(const http::Response& answer, bool changes) {
    const auto detail = diracxDetail(answer.body);
    const auto text =
        "DiracX answers " + std::to_string(answer.status) + (detail.empty() ? "" : ": " + detail);
    if (changes && isDoubtful(answer.status, detail)) {
        return uncertainError(text);
    }
    switch (answer.status) {
        case 401:
            return {ErrorKind::Transient, text + "; log in again, see `credentials`", true};
        case 403:
            return {ErrorKind::Transient,
                    text + "; log in with a group that may do that, see `credentials`", true};
        case 400:
        case 422:
            if (detail.empty()) {  // Not DiracX says so: no job is refused by that.
                return {ErrorKind::Transient,
                        text + ", and not as DiracX does: see `url` and what stands before it",
                        true};
            }
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

/// No job is refused because of the address of a store.
Error withoutPermanence(Error error) {
    error.kind = ErrorKind::Transient;
    return error;
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
                                              const Secret& token, const DiracOwner* owner) {
    if (owner != nullptr && diracOwner(token) != *owner) {
        return transientError("somebody else has just logged in");
    }
    auto mine = request;
    mine.headers.emplace_back("Authorization", "Bearer " + token.reveal());
    return transport_.send(ctx, mine);
}

Result<http::Response> DiracxClient::call(const CallContext& ctx, Kind kind,
                                          const std::string& method, const std::string& path,
                                          const std::string& body, const DiracOwner* owner) {
    http::Request request{.method = method, .path = path, .headers = {}, .body = body};
    if (!body.empty()) {
        request.headers.emplace_back("Content-Type", "application/json");
    }
    request.newConnection = kind == Kind::Change;
    const auto token = tokens_.access(ctx);
    if (!token) {
        return token.error();
    }
    auto answer = sendOnce(ctx, request, *token, owner);
    if (answer && answer->status == 401) {
        const auto another = tokens_.renew(ctx, *token);
        if (!another) {
            return another.error();
        }
        answer = sendOnce(ctx, request, *another, owner);
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
    return *identity;
}

Result<DiracOwner> DiracxClient::owner(const CallContext& ctx) {
    const auto token = tokens_.access(ctx);
    if (!token) {
        return token.error();
    }
    const auto owner = diracOwner(*token);
    return owner ? Result<DiracOwner>(*owner)
                 : Error{ErrorKind::Transient,
                         "the access token in the file that `credentials` names does not tell "
                         "whose it is: log in again",
                         true};
}

Result<DiracxFound> DiracxClient::search(const CallContext& ctx, const DiracxQuery& query) {
    const auto mine = owner(ctx);
    if (!mine) {
        return mine.error();
    }
    const auto body = searchBody(query, mine->user);
    DiracxFound found{.owner = *mine, .jobs = {}};
    for (std::size_t page = 1; page <= kMostPages; ++page) {
        const auto answer =
            call(ctx, Kind::Read, "POST",
                 "/api/jobs/search?per_page=10000&page=" + std::to_string(page), body, &*mine);
        if (!answer) {
            return answer.error();
        }
        auto jobs = parseDiracxJobs(answer->body);
        const bool whole = answer->status != 206;
        const auto total = diracxTotal(answer->header("Content-Range"));
        if (!jobs || (!whole && (!total || jobs->empty()))) {
            return senseless("a search");
        }
        found.jobs.insert(found.jobs.end(), std::make_move_iterator(jobs->begin()),
                          std::make_move_iterator(jobs->end()));
        found.serverNow = httpDate(answer->header("Date")).value_or(clock_.wallNow());
        if (whole || found.jobs.size() >= *total) {
            return found;
        }
    }
    return senseless("a search, which has no end,");
}

Result<std::vector<std::int64_t>> DiracxClient::submit(const CallContext& ctx,
                                                       const DiracOwner& owner,
                                                       const std::vector<std::string>& jdls) {
    Array list;
    for (const auto& jdl : jdls) {
        list.add(jdl);
    }
    std::ostringstream body;
    list.stringify(body);
    const auto answer = call(ctx, Kind::Change, "POST", "/api/jobs/jdl", body.str(), &owner);
    if (!answer) {
        return answer.error();
    }
    const auto ids = parseDiracxSubmission(answer->body, jdls.size());
    return ids ? Result<std::vector<std::int64_t>>(*ids) : senseless("a submission", true);
}

Result<std::map<std::int64_t, std::string>> DiracxClient::kill(const CallContext& ctx,
                                                               std::span<const DiracxKill> kills) {
    constexpr std::size_t kAtOnce = 500;  // A body that any proxy lets pass.
    std::map<std::int64_t, std::string> all;
    for (std::size_t from = 0; from < kills.size(); from += kAtOnce) {
        const auto some =
            killSome(ctx, kills.subspan(from, std::min(kAtOnce, kills.size() - from)));
        if (!some) {
            return some.error();
        }
        all.insert(some->begin(), some->end());
    }
    return all;
}

Result<std::map<std::int64_t, std::string>> DiracxClient::killSome(
    const CallContext& ctx, std::span<const DiracxKill> kills) {
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
    const auto own = http::parseBaseUrl(transport_.baseUrl());
    const auto target = http::targetOf(url, own);
    if (!target) {
        return transientError("the address of DiracX's object store makes no sense");
    }
    // Where DiracX is elsewhere, "this machine" in what it says is nothing that it can know.
    if (!target->server.tls && !(isThisMachine(target->server.host) && isThisMachine(own.host))) {
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
                return withoutPermanence(made.error());
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
