#pragma once

#include <memory>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace spdlog {
class formatter;
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace gridbridge::app {

/// Makes the loggers of the program, one per component (`claim`, `core`, `gitlab`, `store`,
/// `backend.<name>`, `app`). All write to stderr, one line per event. Loggers are safe for
/// concurrent use.
class Log {
public:
    /// `level` is one of the configuration's `log_level`.
    explicit Log(const std::string& level);
    std::shared_ptr<spdlog::logger> named(const std::string& component);
    /// From now on, for every logger that was made. Not together with named().
    void setLevel(const std::string& level);

private:
    std::shared_ptr<spdlog::sinks::sink> sink_;
    std::string level_;
    std::vector<std::shared_ptr<spdlog::logger>> made_;
};

/// Whether the descriptor is the journal that systemd announces in JOURNAL_STREAM (systemd.exec(5),
/// `device:inode`). A child that redirected its stderr inherits the variable, not the stream.
bool isJournal(int descriptor, const char* journalStream);

/// One line per message. For the journal the priority `<3>`…`<7>` (sd-daemon(3)) stands first, else
/// time and level. Control characters of the message are escaped.
std::unique_ptr<spdlog::formatter> lineFormatter(bool journal);

}  // namespace gridbridge::app
