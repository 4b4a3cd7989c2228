#pragma once

#include <string>

#include "bridge/base/Result.h"
#include "bridge/http/BaseUrl.h"

namespace gridbridge::http {

/// Where a redirect leads. All of it as it is written: the signature of an address is good for
/// these bytes alone.
struct Target {
    BaseUrl server;    ///< Without a root.
    std::string path;  ///< With its query, which may be a secret; for Request::path.
};

/// Reads the header Location of an answer of `from`. An address is whole, or begins with `//` or
/// `/`; any other, of whatever kind, is a permanent error, which repeats nothing of it.
Result<Target> targetOf(const std::string& location, const BaseUrl& from);

/// Whether what `from` is asked may go on to `to`: never from https to http.
bool keepsTls(const BaseUrl& from, const BaseUrl& to);

/// Whatever the port and the case.
bool isSameHost(const BaseUrl& one, const BaseUrl& other);

}  // namespace gridbridge::http
