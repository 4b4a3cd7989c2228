#pragma once

#include <Poco/JSON/Object.h>

#include <optional>
#include <string>

#include "bridge/base/Clock.h"
#include "bridge/gitlab/JsonFields.h"
#include "bridge/http/Transport.h"

namespace gridbridge::gitlab {

/// `info` of this program: name, version, platform and architecture, in GitLab's words.
Poco::JSON::Object programInfo();

/// A call with a JSON body and an id of its own.
http::Request jsonCall(const std::string& method, const std::string& path,
                       const Poco::JSON::Object& json);

/// `token_expires_at`, an ISO 8601 time; nothing when it never expires or cannot be read.
std::optional<WallTime> tokenExpiresAt(const JsonFields& fields);

}  // namespace gridbridge::gitlab
