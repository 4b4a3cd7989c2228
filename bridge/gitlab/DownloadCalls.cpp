#include <string_view>
#include <strings.h>

#include "bridge/gitlab/Answer.h"
#include "bridge/gitlab/Redirects.h"
#include "bridge/gitlab/RunnerApi.h"
#include "bridge/http/Target.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

namespace {

/// What no archive is sent as: a login's or a portal's answer.
bool isText(const http::Response& response) {
    const auto type = response.header("Content-Type");
    const auto is = [&type](std::string_view kind) {
        return ::strncasecmp(type.c_str(), kind.data(), kind.size()) == 0;
    };
    return is("text/") || is("application/json");
}

/// Protocol 6.2.
DownloadOutcome outcomeOf(const http::Response& response) {
    const int status = response.status;
    if (status == 200 && !isText(response)) {
        return DownloadOutcome::Done;
    }
    if (isPassing(status)) {
        return DownloadOutcome::Retry;
    }
    const bool own = isGitLabs(response);
    switch (status) {
        case 401:
            return own ? DownloadOutcome::Unauthorized : DownloadOutcome::NotGitLab;
        case 403:
            return own ? DownloadOutcome::Forbidden : DownloadOutcome::NotGitLab;
        case 404:
            return own ? DownloadOutcome::NotFound : DownloadOutcome::NotGitLab;
        case 407:
            return DownloadOutcome::NotGitLab;
        default:
            break;
    }
    const bool page = isWebPage(response) && status >= 400;
    return status < 300 || page ? DownloadOutcome::NotGitLab : DownloadOutcome::Refused;
}

DownloadAnswer unsent(const Error& error) {
    const bool permanent = error.kind == ErrorKind::Permanent;
    return {.outcome = permanent ? DownloadOutcome::Refused : DownloadOutcome::Retry,
            .message = error.message};
}

bool isRedirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string withoutQuery(const std::string& path) {
    return path.substr(0, path.find('?'));
}

/// One archive, on its way from GitLab or from where GitLab sends the one who asks. Nothing but
/// the address goes there: it is signed, and as good as a token.
struct Fetch {
    http::Transport& transport;
    const Clock& clock;
    const CallContext& ctx;
    const http::Request& request;
    const Secret& token;

    DownloadAnswer run() const {
        const auto sent = transport.send(ctx, request);
        if (!sent) {
            return unsent(sent.error());
        }
        if (sent->status == 302 || sent->status == 307) {
            return follow(*sent);
        }
        DownloadAnswer answer{.outcome = outcomeOf(*sent),
                              .retryAfter = retryAfter(*sent, clock.wallNow())};
        if (answer.outcome != DownloadOutcome::Done) {
            answer.message = describe(transport.baseUrl(), request, *sent, token);
        }
        return answer;
    }

private:
    DownloadAnswer follow(const http::Response& redirect) const {
        auto from = http::parseBaseUrl(transport.baseUrl());
        auto location = redirect.header("Location");
        for (int hop = 0; hop < kMostRedirects; ++hop) {
            const auto target = http::targetOf(location, from);
            if (!target) {
                return refused(redirect, target.error().message);
            }
            if (withoutQuery(target->path).ends_with(withoutQuery(request.path))) {
                // GitLab itself is elsewhere, and wants the token there.
                return {.outcome = DownloadOutcome::Refused,
                        .message = describe(transport.baseUrl(), request, redirect, token)};
            }
            if (!http::keepsTls(from, target->server)) {
                return refused(redirect, "a redirect from https to http, which is not followed");
            }
            const auto there = transport.to(target->server.text);
            if (!there) {
                return unsent(there.error());
            }
            const auto sent =
                (*there)->send(ctx, {.method = "GET", .path = target->path, .sink = request.sink});
            if (!sent) {
                return unsent(sent.error());
            }
            if (!isRedirect(sent->status)) {
                return stored(redirect, target->server, *sent);
            }
            location = sent->header("Location");
            from = target->server;
        }
        return refused(redirect, "a redirect that leads on more than three times");
    }

    /// The storage's word on the archive is not GitLab's: an address may be too old, and a proxy
    /// stand before this one alone.
    DownloadAnswer stored(const http::Response& redirect, const http::BaseUrl& storage,
                          const http::Response& response) const {
        if (outcomeOf(response) == DownloadOutcome::Done) {
            return {.outcome = DownloadOutcome::Done};
        }
        const auto name = harmless(storage.text, token);
        return {.outcome = isPassing(response.status) ? DownloadOutcome::Retry
                                                      : DownloadOutcome::NotGitLab,
                .retryAfter = retryAfter(response, clock.wallNow()),
                .message = told(redirect, "a redirect to " + name + ", which answers " +
                                              std::to_string(response.status) +
                                              (isText(response) ? " with a text" : ""))};
    }

    DownloadAnswer refused(const http::Response& redirect, const std::string& why) const {
        return {.outcome = DownloadOutcome::Refused, .message = told(redirect, why)};
    }

    std::string told(const http::Response& redirect, const std::string& what) const {
        return request.method + " " + transport.baseUrl() + withoutQuery(request.path) + ": " +
               std::to_string(redirect.status) + ", " + what + " (request " +
               harmless(requestId(request, redirect), token) + ")";
    }
};

}  // namespace

DownloadAnswer HttpRunnerApi::downloadArtifact(const CallContext& ctx,
                                               const JobCredentials& dependency,
                                               const Download& download) {
    bool stopped = false;
    const auto write = [&](std::string_view piece) {
        stopped = !download.sink(piece);
        return !stopped;
    };
    const http::Request request{
        .method = "GET",
        .path = "/api/v4/jobs/" + std::to_string(dependency.id) + "/artifacts" +
                (download.direct ? "?direct_download=true" : ""),
        .headers = {{"JOB-TOKEN", dependency.token.reveal()}, {"X-Request-Id", newRequestId()}},
        .sink = http::BodySink{write, download.limit}};
    auto answer = Fetch{transport_, clock_, ctx, request, dependency.token}.run();
    if (stopped) {
        answer.outcome = DownloadOutcome::Stopped;
    }
    return answer;
}

}  // namespace gridbridge::gitlab
