#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace gridbridge::fakegitlab {

/// What the program's command line says.
struct Arguments {
    std::string folder;
    std::string repositories;
    std::string portFile;
    std::string results;
    std::string traces;
    std::string runnerToken = "glrt-fakegitlab";
    std::vector<std::string> tags;
    std::vector<std::string> faults;
    std::uint64_t seed = 1;
    bool untilDone = false;
    bool directDownload = false;
    double grace = 2;
    double longPoll = 0;
    double liveTrace = -1;
    double reapAfter = 1800;
    int updateInterval = 3;
    int repeats = 0;
    std::uint16_t port = 0;
};

/// The command, whose arguments go into `arguments`, which must outlive it.
std::unique_ptr<CLI::App> commandInto(Arguments& arguments);

}  // namespace gridbridge::fakegitlab
