#include "bridge/app/Log.h"

#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cstdlib>
#include <unistd.h>

#include "bridge/app/Text.h"

namespace gridbridge::app {

namespace {

char journalPriority(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return '7';
        case spdlog::level::info:
        case spdlog::level::off:
        case spdlog::level::n_levels:
            return '6';
        case spdlog::level::warn:
            return '4';
        case spdlog::level::err:
            return '3';
        case spdlog::level::critical:
            return '2';
    }
    return '6';
}

class LineFormatter final : public spdlog::formatter {
public:
    explicit LineFormatter(bool journal) : journal_(journal) {}

    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
        std::string line;
        if (journal_) {
            line = {'<', journalPriority(message.level), '>'};
        } else {
            const auto level = spdlog::level::to_string_view(message.level);
            line = localTimeMillis(std::chrono::floor<Millis>(message.time)) + ' ';
            line.append(level.data(), level.size()).append(" ");
        }
        line.append("[").append(message.logger_name.data(), message.logger_name.size());
        line += "] " + printable({message.payload.data(), message.payload.size()}) + '\n';
        out.append(line.data(), line.data() + line.size());
    }

    std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<LineFormatter>(journal_);
    }

private:
    bool journal_;
};

}  // namespace

Log::Log(const std::string& level)
    : sink_(std::make_shared<spdlog::sinks::stderr_sink_mt>()), level_(level) {
    sink_->set_formatter(lineFormatter(isJournal(STDERR_FILENO, std::getenv("JOURNAL_STREAM"))));
}

std::shared_ptr<spdlog::logger> Log::named(const std::string& component) {
    auto logger = std::make_shared<spdlog::logger>(component, sink_);
    logger->set_level(spdlog::level::from_str(level_));
    made_.push_back(logger);
    return logger;
}

void Log::setLevel(const std::string& level) {
    level_ = level;
    for (const auto& logger : made_) {
        logger->set_level(spdlog::level::from_str(level));
    }
}

bool isJournal(int descriptor, const char* journalStream) {
    struct stat status {};
    if (journalStream == nullptr || ::fstat(descriptor, &status) != 0) {
        return false;
    }
    return journalStream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

std::unique_ptr<spdlog::formatter> lineFormatter(bool journal) {
    return std::make_unique<LineFormatter>(journal);
}

}  // namespace gridbridge::app
