#include "bridge/gitlab/Redirects.h"

#include <memory>

#include "bridge/http/Target.h"

namespace gridbridge::gitlab {

namespace {

/// Why `to` must not get the token of `from`; empty = it may.
std::string objection(const http::BaseUrl& from, const Result<http::Target>& to) {
    if (!to) {
        return to.error().message + " is not followed";
    }
    if (!http::isSameHost(from, to->server)) {
        return "the job's token is sent to no other host";
    }
    return http::keepsTls(from, to->server) ? "" : "the job's token is not sent without TLS";
}

}  // namespace

Moved sendWithToken(http::Transport& transport, const CallContext& ctx,
                    const http::Request& request) {
    auto from = http::parseBaseUrl(transport.baseUrl());
    Moved result{transport.send(ctx, request), from.text};
    std::unique_ptr<http::Transport> elsewhere;
    for (int hop = 0;
         result.answer && (result.answer->status == 307 || result.answer->status == 308); ++hop) {
        const auto target = http::targetOf(result.answer->header("Location"), from);
        result.stayed = hop < kMostRedirects ? objection(from, target)
                                             : "there have been three redirects before it";
        if (!result.stayed.empty()) {
            break;
        }
        auto there = transport.to(target->server.text + from.root);
        if (!there) {
            result.answer = there.error();
            break;
        }
        elsewhere = std::move(there).value();
        from = http::parseBaseUrl(elsewhere->baseUrl());
        result.answer = elsewhere->send(ctx, request);
        result.baseUrl = from.text;
    }
    return result;
}

}  // namespace gridbridge::gitlab
