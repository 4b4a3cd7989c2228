#include "tests/engines/EngineMain.h"
#include "tests/engines/HTCondorEngine.h"

int main(int argc, char** argv) {
    return gridbridge::testing::runEngineTests(argc, argv, "HTCondor",
                                               gridbridge::testing::HTCondorEngine::get());
}
