#include "tests/unit/store/StoreFixture.h"
