#pragma once

#include <functional>
#include <string_view>

namespace gridbridge {

/// Takes what is too long for memory piece by piece; false = it takes no more, and the giver stops.
using Sink = std::function<bool(std::string_view)>;

}  // namespace gridbridge
