// Writes the man page and the completion from what --help says: `manual man FILE`, `manual bash
// FILE`.
#include <fstream>
#include <string_view>

#include "bridge/app/Manual.h"

int main(int argc, char** argv) {
    using namespace gridbridge;
    if (argc != 3) {
        return 2;
    }
    std::ofstream out(argv[2]);
    out << (std::string_view(argv[1]) == "man" ? app::manualPage() : app::bashCompletion());
    return out.flush() ? 0 : 1;
}
