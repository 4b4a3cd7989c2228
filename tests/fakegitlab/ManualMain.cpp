// Writes fakegitlab(1) into the file that the argument names, from what --help says.
#include <CLI/CLI.hpp>

#include <fstream>

#include "bridge/app/ManualPage.h"
#include "tests/fakegitlab/CommandLine.h"

int main(int argc, char** argv) {
    using namespace gridbridge;
    if (argc != 2) {
        return 2;
    }
    fakegitlab::Arguments arguments;
    std::ofstream out(argv[1]);
    out << app::programPage(app::helpOf(*fakegitlab::commandInto(arguments)),
                            "a stand-in GitLab for the tests of a runner")
        << ".SH EXIT STATUS\n0 all as expected, 1 a job ended otherwise or a client broke the "
           "protocol, 2 usage, 74 input or output.\n"
           ".SH SEE ALSO\nlibrary.md and tests/fakegitlab/README.md in the sources: the keys of a "
           "job's file\n";
    return out.flush() ? 0 : 1;
}
