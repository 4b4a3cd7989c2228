#include "tests/engines/OarEngine.h"

namespace gridbridge::testing {

Engine& Engine::get() {
    return OarEngine::get();
}
OarEngine& OarEngine::get() {
    static OarEngine engine;
    return engine;
}

OarEngine::OarEngine() : Engine("OAR", OAR_SH) {}

}  // namespace gridbridge::testing
