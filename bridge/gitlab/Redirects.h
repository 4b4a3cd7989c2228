#pragma once

#include <string>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

/// No server sends a call on more often than this.
inline constexpr int kMostRedirects = 3;

/// What became of a request that may be sent elsewhere.
struct Moved {
    Result<http::Response> answer;
    std::string baseUrl;      ///< Of the server that gave it.
    std::string stayed = {};  ///< Why the redirect that `answer` is was not followed, for people.
};

/// Sends `request`, which holds a token, and again as it is where a 307 or 308 wants it: by the
/// scheme and port of its Location alone (protocol 6.1). Such a redirect to another host, which
/// must not get the token, or from https to http is the answer.
Moved sendWithToken(http::Transport& transport, const CallContext& ctx,
                    const http::Request& request);

}  // namespace gridbridge::gitlab
