#include "tests/fakegitlab/Router.h"

#include <Poco/Base64Decoder.h>
#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "tests/fakegitlab/Params.h"
#include "tests/fakegitlab/Upload.h"

namespace gridbridge::fakegitlab {

namespace {

constexpr std::size_t kKeptRequests = 100000;
constexpr std::size_t kKeptBody = std::size_t{64} * 1024;

std::vector<std::string> split(const std::string& path) {
    std::vector<std::string> result;
    std::istringstream in(path);
    for (std::string part; std::getline(in, part, '/');) {
        result.push_back(part);
    }
    return result;
}

JobId idOf(const std::string& text) {
    JobId id = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, id);
    return error == std::errc{} && stop == end ? id : 0;
}

Call jobCall(const std::string& method, const std::vector<std::string>& parts,
             const std::string& body) {
    if (parts.size() == 2 && parts[1] == "request" && method == "POST") {
        return Call::Claim;
    }
    if (parts.size() == 2 && method == "PUT") {
        const Params params(Request{.method = method, .path = {}, .query = {}, .body = body});
        return params.text("state") == "running" ? Call::PutRunning : Call::PutFinal;
    }
    if (parts.size() == 3 && parts[2] == "trace" && method == "PATCH") {
        return Call::Patch;
    }
    if (parts.size() == 3 && parts[2] == "artifacts") {
        return method == "POST" ? Call::Upload : method == "GET" ? Call::Download : Call::Other;
    }
    return Call::Other;
}

/// The password of `Authorization: Basic` for user gitlab-ci-token; empty when it is not that.
std::string basicPassword(const std::string& header) {
    constexpr std::string_view kScheme = "Basic ";
    constexpr std::string_view kUser = "gitlab-ci-token:";
    if (!header.starts_with(kScheme)) {
        return {};
    }
    std::istringstream in(header.substr(kScheme.size()));
    Poco::Base64Decoder decoder(in);
    const std::string text{std::istreambuf_iterator<char>(decoder), {}};
    return text.starts_with(kUser) ? text.substr(kUser.size()) : std::string();
}

Reply faulty(int status) {
    auto reply = messageReply(status);
    reply.fault = true;
    return reply;
}

/// What a proxy in front of GitLab answers by itself.
Reply proxys(int status, const std::string& type, const std::string& body) {
    return {.status = status, .headers = {{"Content-Type", type}}, .body = body, .fault = true};
}
Reply proxys(int status) {
    return proxys(status, "text/html", "<html><body>a proxy</body></html>");
}

/// As in `Wed, 21 Oct 2015 07:28:00 GMT`.
std::string httpDate(WallTime at) {
    const auto seconds = std::chrono::ceil<Seconds>(at).time_since_epoch().count();
    return Poco::DateTimeFormatter::format(Poco::Timestamp::fromEpochTime(seconds),
                                           Poco::DateTimeFormat::HTTP_FORMAT);
}

Reply dropped() {
    Reply reply;
    reply.delivery = Delivery::Dropped;
    reply.fault = true;
    return reply;
}

bool isAboutRunningJob(Call call) {
    return call == Call::PutRunning || call == Call::PutFinal || call == Call::Patch ||
           call == Call::Upload;
}

}  // namespace

Reply Router::handle(const Request& request) {
    std::unique_lock lock(state_.mutex);
    if (state_.away || state_.stopping) {
        return dropped();
    }
    const auto target = targetOf(request);
    if (request.atStorage && request.method == "GET") {
        auto reply = serveStorage(state_, request);
        faultAfter(Call::Download, reply);
        record(request, target, reply);
        return reply;
    }
    state_.reapNowAndThen();
    if (auto* job = callersJob(request, target)) {
        arrival(*job, request, target);
    }
    const auto limit = state_.options.proxyLimit;
    auto reply = limit > 0 && request.bodyBytes() > limit
                     ? proxys(413)
                     : faultBefore(target.call).value_or(Reply{.status = 0});
    if (reply.status == 0) {
        reply =
            target.call == Call::Git ? git(request, target, lock) : dispatch(request, target, lock);
        faultAfter(target.call, reply);
    }
    departure(request, target, reply);
    answers_.count(request, target.path, target.call, reply);
    record(request, target, reply);
    state_.changed.notify_all();
    return reply;
}

Router::Target Router::targetOf(const Request& request) {
    constexpr std::string_view kApi = "/api/v4/";
    Target target;
    const auto& root = state_.options.root;
    target.path = request.path.starts_with(root) ? request.path.substr(root.size()) : "";
    if (target.path.find(".git/") != std::string::npos) {
        target.call = Call::Git;
        return target;
    }
    if (!target.path.starts_with(kApi)) {
        return target;
    }
    target.parts = split(target.path.substr(kApi.size()));
    const auto& first = target.parts.empty() ? std::string() : target.parts.front();
    if (first == "jobs") {
        target.call = jobCall(request.method, target.parts, request.body);
        target.job = target.parts.size() > 1 ? idOf(target.parts[1]) : 0;
    } else if (first == "runners" || first == "user") {
        target.call = Call::Runners;
    }
    return target;
}

JobState* Router::callersJob(const Request& request, const Target& target) {
    if (!isAboutRunningJob(target.call)) {
        return nullptr;
    }
    const bool put = request.method == "PUT";
    auto* job =
        state_.jobOfToken(put ? Params(request).text("token") : request.header("job-token"));
    return job != nullptr && job->id == target.job ? job : nullptr;
}

void Router::arrival(JobState& job, const Request& request, const Target& target) {
    if (target.call != Call::Upload) {
        state_.contact(job);
    }
    if (target.call == Call::PutRunning) {
        job.acknowledged = true;
    }
    const auto& options = state_.options;
    if (job.toldEnd && state_.now() - *job.toldEnd > options.endGrace &&
        ++job.callsAfterEnd > options.callsAfterEnd) {
        state_.violate(job, request.method + " " + target.path + " after its end was told");
    }
}

std::optional<Reply> Router::faultBefore(Call call) {
    if (state_.faults.strikes(FaultKind::ConnectionDropped, call)) {
        return dropped();
    }
    if (state_.faults.strikes(FaultKind::TooManyRequests, call)) {
        auto reply = faulty(429);
        const auto wait = state_.options.retryAfter;
        if (wait.count() == 0) {
            return reply;
        }
        if (state_.options.resetTime) {
            reply.headers.emplace_back("RateLimit-ResetTime", httpDate(state_.now() + wait));
        } else {
            reply.headers.emplace_back("Retry-After", std::to_string(wait.count()));
        }
        return reply;
    }
    for (const auto& [kind, status] :
         {std::pair(FaultKind::InternalError, 500), std::pair(FaultKind::BadGateway, 502),
          std::pair(FaultKind::Unavailable, 503), std::pair(FaultKind::GatewayTimeout, 504),
          std::pair(FaultKind::RequestTimeout, 408)}) {
        if (state_.faults.strikes(kind, call)) {
            return faulty(status);
        }
    }
    for (const auto& [kind, status] :
         {std::pair(FaultKind::ProxyBadRequest, 400), std::pair(FaultKind::ProxyNotFound, 404)}) {
        if (state_.faults.strikes(kind, call)) {
            return proxys(status);
        }
    }
    if (state_.faults.strikes(FaultKind::ProxyForbidden, call)) {
        return proxys(403, "text/plain", "blocked by policy");
    }
    if (state_.faults.strikes(FaultKind::ProxySignIn, call)) {
        return proxys(200, "text/plain", "please sign in");
    }
    return std::nullopt;
}

Reply Router::dispatch(const Request& request, const Target& target,
                       std::unique_lock<std::mutex>& lock) {
    if (!state_.options.movedTo.empty()) {
        Reply moved{.status = 301};
        moved.headers.emplace_back("Location", state_.options.movedTo + target.path);
        return moved;
    }
    switch (target.call) {
        case Call::Claim:
            return requestJob(state_, request, lock);
        case Call::PutRunning:
        case Call::PutFinal:
            return updateJob(state_, request, target.job);
        case Call::Patch:
            return appendTrace(state_, request, target.job);
        case Call::Upload:
            return uploadArtifact(state_, request, target.job);
        case Call::Download:
            return downloadArtifact(state_, request, target.job);
        case Call::Runners:
            return runnersApi(state_, request, target.path.substr(sizeof("/api/v4")));
        case Call::Any:
        case Call::Git:
        case Call::Other:
            break;
    }
    const bool authorize = target.parts.size() == 4 && target.parts[3] == "authorize";
    state_.violate("unknown call " + request.method + " " + request.path);
    return messageReply(authorize ? 403 : 404);
}

Reply Router::git(const Request& request, const Target& target,
                  std::unique_lock<std::mutex>& lock) {
    const auto project = target.path.substr(1, target.path.find(".git/") - 1);
    const auto* job = state_.jobOfToken(basicPassword(request.header("authorization")));
    const auto reads = [&](const JobSpec& spec) {
        return spec.project == project ||
               std::count(spec.readable.begin(), spec.readable.end(), project) > 0;
    };
    const bool allowed = job != nullptr && State::isExecuting(*job) && !state_.tokenExpired(*job) &&
                         reads(job->spec);
    if (!allowed) {
        auto reply = messageReply(401);
        reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"GitLab\"");
        return reply;
    }
    if (!repositories_.has(project)) {
        return messageReply(404);
    }
    const auto path = target.path.substr(project.size() + sizeof("/.git/") - 1);
    if (path.starts_with("info/lfs/") || path.starts_with("gitlab-lfs/")) {
        return serveLfs(state_, repositories_, request, project, path);
    }
    lock.unlock();
    auto reply = repositories_.serve(request, target.path);
    lock.lock();
    return reply;
}

void Router::faultAfter(Call call, Reply& reply) {
    const auto strikes = [&](int status, FaultKind kind) {
        return reply.status == status && state_.faults.strikes(kind, call);
    };
    if (strikes(201, FaultKind::ClaimAnswerLost) || strikes(202, FaultKind::PatchAnswerLost) ||
        strikes(200, FaultKind::RunningAnswerLost) || strikes(200, FaultKind::FinalAnswerLost) ||
        strikes(201, FaultKind::UploadAnswerLost) || strikes(201, FaultKind::TokenAnswerLost)) {
        reply.delivery = Delivery::Dropped;
        reply.fault = true;
    } else if (strikes(201, FaultKind::ClaimAnswerCut) || strikes(200, FaultKind::DownloadCut)) {
        reply.delivery = Delivery::Cut;
        reply.fault = true;
    }
    if (state_.faults.strikes(FaultKind::SlowAnswer, call)) {
        reply.delay = state_.options.slowAnswer;
    }
}

void Router::departure(const Request& request, const Target& target, const Reply& reply) {
    const bool whole = reply.delivery == Delivery::Whole;
    if (auto* claimed = state_.job(reply.claimed)) {
        claimed->claimDelivered = whole;
    }
    if (reply.fault) {
        return;
    }
    const bool about = isAboutRunningJob(target.call);
    if (auto* job = callersJob(request, target)) {
        const bool ended =
            reply.status == 403 || (target.call == Call::PutFinal && reply.status == 200);
        if (ended && whole && !job->toldEnd) {
            job->toldEnd = state_.now();
        }
    }
    if (reply.status == 400 && !reply.users && (about || target.call == Call::Claim)) {
        state_.violate(request.method + " " + request.path + " was answered 400 " + reply.body);
    }
}

void Router::record(const Request& request, const Target& target, const Reply& reply) {
    RequestRecord entry{.at = state_.now(),
                        .method = request.method,
                        .path = request.path,
                        .query = request.query,
                        .headers = request.headers,
                        .body = {},
                        .bodyBytes = request.bodyBytes(),
                        .bodyHash = request.upload ? request.upload->bodyHash
                                                   : std::hash<std::string>{}(request.body),
                        .job = target.job,
                        .status = reply.status,
                        .delivery = reply.delivery,
                        .fault = reply.fault};
    if (target.call == Call::Git) {
        const auto* job = state_.jobOfToken(basicPassword(request.header("authorization")));
        entry.job = job == nullptr ? 0 : job->id;
    }
    if (request.header("content-type").starts_with("application/json") &&
        request.body.size() <= kKeptBody) {
        entry.body = request.body;
    }
    state_.requests.push_back(std::move(entry));
    if (state_.requests.size() > kKeptRequests) {
        state_.requests.pop_front();
    }
}

}  // namespace gridbridge::fakegitlab
