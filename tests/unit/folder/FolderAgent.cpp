// The agent of the tests: argument 1 is the folder of an account.
#include <iostream>

#include "bridge/folder/AgentServer.h"

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    const auto served = gridbridge::folder::serveFolders(argv[1], 0, 1);
    if (!served) {
        std::cerr << served.error().message << "\n";
    }
    return served ? 0 : 1;
}
