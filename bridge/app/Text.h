#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Clock.h"

namespace gridbridge::app {

/// `text` as one harmless line: control characters, marks that turn the writing direction and
/// bytes that are not UTF-8 become `\xNN`.
std::string printable(std::string_view text);

/// `2026-01-01T01:00:00+01:00` in the zone of the machine (or TZ).
std::string localTime(WallTime time);
/// The same with milliseconds.
std::string localTimeMillis(WallTime time);
/// `2026-01-01T00:00:00.000Z`
std::string utcTime(WallTime time);

/// `what; cure`, or `what` alone where it ends with a cure of its own, behind a `;` as all do.
std::string withCure(const std::string& what, const std::string& cure);

/// Rows of cells as aligned columns, two spaces apart. Cells are made printable and cut at 48
/// characters; the last one of a row is not cut.
std::string alignedTable(const std::vector<std::vector<std::string>>& rows);

/// The one of `known` that takes the fewest edits to become `wanted` (a swap of neighbours is
/// one), when these are at most a third of its length; else nothing.
std::string_view nearest(std::string_view wanted, const std::vector<std::string_view>& known);

}  // namespace gridbridge::app
