#pragma once

#include "tests/e2e/Service.h"

namespace gridbridge::testing {

/// A suite of several files.
class LifeEndToEnd : public EndToEnd {};

}  // namespace gridbridge::testing
