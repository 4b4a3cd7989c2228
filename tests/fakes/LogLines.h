#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

namespace gridbridge::testing {

/// What a logger says from now on. The logger must outlive it. One thread at a time.
class LogLines {
public:
    explicit LogLines(spdlog::logger& log) : log_(log) {
        log_.sinks().push_back(std::make_shared<spdlog::sinks::ostream_sink_mt>(out_));
    }
    ~LogLines() { log_.sinks().pop_back(); }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;

    /// How many lines hold `text`.
    int count(const std::string& text) const {
        std::istringstream in(out_.str());
        int lines = 0;
        for (std::string line; std::getline(in, line);) {
            lines += line.find(text) != std::string::npos ? 1 : 0;
        }
        return lines;
    }
    std::string all() const { return out_.str(); }

private:
    spdlog::logger& log_;
    std::ostringstream out_;
};

}  // namespace gridbridge::testing
