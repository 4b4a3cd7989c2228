#include "tests/engines/EngineMain.h"
#include "tests/engines/SlurmEngine.h"

int main(int argc, char** argv) {
    return gridbridge::testing::runEngineTests(argc, argv, "Slurm",
                                               gridbridge::testing::SlurmEngine::get());
}
