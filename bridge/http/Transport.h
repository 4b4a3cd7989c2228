#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"
#include "bridge/base/Sink.h"

namespace gridbridge::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// One part `file` of a multipart body of a length that nobody needs to know.
struct FilePart {
    std::string filename;  ///< As the server shall see it; quotes and line ends are replaced.
    /// Gives all bytes to the sink, the same at each call, for as long as it takes them. An error =
    /// there are no more though there should be: the server sees no whole body.
    std::function<Result<void>(const Sink&)> write;
};

/// Takes the body of a success, which may be too long for memory, as it comes.
struct BodySink {
    /// Gets the bytes in order. Of an answer that is then cut short it has got the beginning, and
    /// only a success of the whole call says that it has got all. False ends the call.
    Sink write;
    /// Bytes; a longer body is refused.
    std::int64_t limit = std::numeric_limits<std::int64_t>::max();
};

struct Request {
    std::string method;
    std::string path;  ///< Below the base URL, with its query, already encoded.
    Headers headers = {};
    std::string body = {};
    std::optional<FilePart> file = {};  ///< Then the body is multipart/form-data of this part,
                                        ///< sent in chunks as it is written.
    /// A request that must not be lost to a kept-alive connection the server has just closed
    /// goes over a new connection.
    bool newConnection = false;
    /// Where the body of an answer 2xx goes instead of into the Response. Such an answer must say
    /// how long it is, by a length or in chunks: one that ends with the connection may be half.
    std::optional<BodySink> sink = {};
};

/// Answers longer than this are refused, unless a sink takes them.
inline constexpr std::size_t kLargestAnswer = std::size_t{64} << 20U;

struct Response {
    int status = 0;
    Headers headers = {};
    std::string body = {};   ///< At most kLargestAnswer bytes.
    std::string proxy = {};  ///< That passed it on, or answered instead of the server; or empty.

    /// Value of a header whatever its case; empty when absent.
    std::string header(std::string_view name) const;
};

/// Moves one request to one server. Safe for concurrent use.
class Transport {
public:
    virtual ~Transport() = default;
    /// Any HTTP answer, errors and redirects included, is a value: redirects are not followed.
    /// Transient = certainly not sent whole; Uncertain = sent, but no whole answer came before
    /// `ctx.deadline` or the stop, or the sink took no more; Permanent = longer than the sink's
    /// limit. An error of a part that is written comes back as it is. What
    /// trust, a client's certificate or a proxy's password was missing for is misconfigured: it
    /// comes and goes, as when a site renews its certificate late. Messages carry no header, body
    /// or query.
    virtual Result<Response> send(const CallContext& ctx, const Request& request) = 0;
    /// The base URL without trailing slash and without credentials.
    virtual const std::string& baseUrl() const = 0;
    /// A transport of its own to another server, `url` as one writes it for the first: it trusts
    /// the same authorities, and its proxy is chosen anew. Only the same host is shown this
    /// client's certificate. An error is misconfigured, or Permanent for an unusable `url`.
    virtual Result<std::unique_ptr<Transport>> to(const std::string& url) const = 0;
};

}  // namespace gridbridge::http
