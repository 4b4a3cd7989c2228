#include "tests/engines/EngineMain.h"
#include "tests/engines/SgeEngine.h"

int main(int argc, char** argv) {
    return gridbridge::testing::runEngineTests(argc, argv, "Grid Engine",
                                               gridbridge::testing::SgeEngine::get());
}
