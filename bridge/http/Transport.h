#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/base/Clock.h"
#include "bridge/base/Result.h"

namespace gridbridge::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// One part `file` of a multipart body, streamed from a file.
struct FilePart {
    std::filesystem::path path;
    std::string filename;  ///< As the server shall see it; quotes and line ends are replaced.
};

struct Request {
    std::string method;
    std::string path;  ///< Below the base URL, with its query, already encoded.
    Headers headers = {};
    std::string body = {};
    std::optional<FilePart> file = {};  ///< Then the body is multipart/form-data of this part.
    /// A request that must not be lost to a kept-alive connection the server has just closed
    /// goes over a new connection.
    bool newConnection = false;
};

/// Answers longer than this are refused.
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
    /// `ctx.deadline` or the stop. What trust, a client's certificate or a proxy's password was
    /// missing for is misconfigured: it comes and goes, as when a site renews its certificate late.
    /// Messages carry no header, body or query.
    virtual Result<Response> send(const CallContext& ctx, const Request& request) = 0;
    /// The base URL without trailing slash and without credentials.
    virtual const std::string& baseUrl() const = 0;
};

}  // namespace gridbridge::http
