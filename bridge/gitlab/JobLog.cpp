#include "bridge/gitlab/JobLog.h"

#include "bridge/base/Utf8.h"
#include "bridge/gitlab/Crc32.h"
#include "bridge/gitlab/Errors.h"

namespace gridbridge::gitlab {

namespace {

/// Where GitLab names no interval; the official runner's first one.
constexpr Millis kUsualInterval{3000};
/// GitLab's usual limit is 100 MiB: a server that has more than this is not believed.
constexpr std::int64_t kLargestLog = std::int64_t{1} << 30U;
/// The server may lose the log while it is being sent again, but not for ever.
constexpr int kMostMismatches = 10;

}  // namespace

JobLog::JobLog(JobLink& link, const std::vector<Secret>& secrets, std::string text, bool loaded)
    : link_(link), masker_(secrets), text_(std::move(text)), sizeKnown_(!loaded || text_.empty()) {}

JobLog& JobLog::operator+=(std::string_view text) {
    tail_ += text;
    const auto complete = completeUtf8(tail_);
    raw_ += validUtf8(std::string_view(tail_).substr(0, complete));
    tail_.erase(0, complete);
    decide(false);
    if (link_.client().clock().steadyNow() >= nextSend_) {
        flush();
    }
    return *this;
}

bool JobLog::flush() {
    const bool all = send();
    link_.tellCancel();
    return all;
}

void JobLog::decide(bool end) {
    if (!sizeKnown_) {
        return;  // What GitLab does not have of text_ comes before raw_.
    }
    const auto step = masker_.step(raw_, MaskMode::Plain, end);
    // In the middle of overlapping secrets the rest would be needed with the mode: it waits.
    if (step.mode == MaskMode::Plain || end) {
        text_ += step.text;
        raw_.erase(0, step.consumed);
    }
}

bool JobLog::send() {
    if (!askSize()) {
        return false;
    }
    int mismatches = 0;
    while (sent_ < static_cast<std::int64_t>(text_.size())) {
        const auto part = std::string_view(text_).substr(static_cast<std::size_t>(sent_), patch_);
        const auto answer = link_.append(sent_, part);
        hear(answer);
        if (answer.outcome == CallOutcome::Done) {
            sent_ += static_cast<std::int64_t>(part.size());
        } else if (answer.outcome == CallOutcome::Mismatch && ++mismatches <= kMostMismatches) {
            if (*answer.serverSize > static_cast<std::int64_t>(text_.size())) {
                throw RunnerError("GitLab has more of the log of job " +
                                  std::to_string(link_.credentials().id) +
                                  " than was sent; does another program report the same job?");
            }
            sent_ = *answer.serverSize;
        } else if (answer.outcome == CallOutcome::TooLarge && part.size() > 1) {
            patch_ = part.size() / 2;
        } else {
            return false;
        }
    }
    return true;
}

bool JobLog::askSize() {
    if (sizeKnown_) {
        return true;
    }
    const auto answer = link_.append(static_cast<std::int64_t>(text_.size()), "");
    hear(answer);
    if (answer.outcome == CallOutcome::Done) {
        continueAt(static_cast<std::int64_t>(text_.size()));
    } else if (answer.outcome == CallOutcome::Mismatch) {
        continueAt(*answer.serverSize);
    }
    return sizeKnown_;
}

void JobLog::continueAt(std::int64_t size) {
    if (size > kLargestLog) {
        throw RunnerError("GitLab says that the log of job " +
                          std::to_string(link_.credentials().id) + " has " + std::to_string(size) +
                          " bytes, which cannot be");
    }
    const auto known = static_cast<std::size_t>(size);
    if (known < text_.size()) {
        raw_.insert(0, text_, known);
        text_.resize(known);
    } else if (known > text_.size()) {
        text_.resize(known, '?');  // Only GitLab has these bytes.
        exact_ = false;
    }
    sent_ = size;
    sizeKnown_ = true;
    decide(false);
}

void JobLog::hear(const JobAnswer& answer) {
    trouble_ = answer.message;
    pause_ = answer.retryAfter.value_or(std::chrono::seconds(1));
    const auto interval =
        answer.outcome == CallOutcome::Done
            ? Millis(answer.updateInterval.value_or(
                  std::chrono::duration_cast<std::chrono::seconds>(kUsualInterval)))
            : std::max(pause_, kUsualInterval);
    nextSend_ = link_.client().clock().steadyNow() + interval;
}

std::string JobLog::whole() const {
    return text_ + raw_ + validUtf8(tail_);
}

void JobLog::close() {
    raw_ += validUtf8(tail_);
    tail_.clear();
    decide(true);
}

TraceEnd JobLog::end() const {
    return {.crc32 = crc32(0, text_), .bytes = static_cast<std::int64_t>(text_.size())};
}

}  // namespace gridbridge::gitlab
