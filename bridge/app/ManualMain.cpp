// Writes man pages and completion from what --help says: `manual KIND FILE`, where KIND is man,
// register or bash.
#include <fstream>
#include <string_view>

#include "bridge/app/Manual.h"

int main(int argc, char** argv) {
    using namespace gridbridge;
    if (argc != 3) {
        return 2;
    }
    const std::string_view kind(argv[1]);
    std::ofstream out(argv[2]);
    out << (kind == "man"        ? app::manualPage()
            : kind == "register" ? app::registerRunnerPage()
                                 : app::bashCompletion());
    return out.flush() ? 0 : 1;
}
