#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/base/Secret.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

/// One line for people: the call with its whole address, the status, what the server said or
/// where it redirects to, the cure behind a `;` where the answer tells one, and the request's id.
/// `secret` never appears in it.
std::string describe(const std::string& baseUrl, const http::Request& request,
                     const http::Response& response, const Secret& secret);

/// What GitLab's logs call the call: the server's own id where it sent one, else ours.
std::string requestId(const http::Request& request, const http::Response& response);

/// Printable, at most 200 characters, and without `secret`.
std::string harmless(std::string text, const Secret& secret);

/// A web page: the answer of a proxy or a login, never of GitLab's API.
bool isWebPage(const http::Response& response);

/// GitLab's own error: the text of its JSON body begins with the status.
bool isGitLabs(const http::Response& response);

/// GitLab's own 403 or 422 with its JSON body (protocol 0.3): a proxy's says nothing of tokens and
/// jobs. At a 403 the body's text begins with the status.
bool isRefusal(const http::Response& response);

/// The status as text, all that servers to version 15 say with a success (protocol 0.3).
bool isBareStatus(const http::Response& response);

/// When to come back: RateLimit-ResetTime, else Retry-After (protocol 0.4); at most an hour.
std::optional<std::chrono::seconds> retryAfter(const http::Response& response, WallTime now);

/// A header of seconds; nothing unless positive.
std::optional<std::chrono::seconds> secondsIn(const http::Response& response,
                                              std::string_view header);

/// Worth repeating whatever the call: overload, upgrades, proxies.
bool isPassing(int status);

/// 32 hexadecimal digits, new each time.
std::string newRequestId();

}  // namespace gridbridge::gitlab
