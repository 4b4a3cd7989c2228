#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/gitlab/JobLink.h"
#include "bridge/gitlab/Masker.h"

namespace gridbridge::gitlab {

/// The log of one job: `job.log() += "text\n"`. Belongs to its Job. One thread at a time.
///
/// Masked values become `[MASKED]` and bytes that are not UTF-8 U+FFFD; what may be the start of
/// either waits for its rest. Text is never lost to a failing server: it stays and goes with the
/// next call. Whether a text went out by chance or not is no reason to add it again.
class JobLog {
public:
    /// Adds text, and sends what waits as soon as the interval that GitLab asked for has passed.
    /// Throws as JobLink; the text has been added all the same.
    JobLog& operator+=(std::string_view text);
    /// Sends what waits now. False = not all of it could be delivered yet. Throws as JobLink.
    bool flush();

    /// What GitLab has or will get.
    const std::string& text() const { return text_; }

private:
    friend class Job;
    /// `loaded` = it may be in GitLab already; the server is asked before the first byte.
    JobLog(JobLink& link, const std::vector<Secret>& secrets, std::string text, bool loaded);

    /// Everything, for a dump: text() and what waits for its rest.
    std::string whole() const;
    /// Nothing follows: nothing waits for a rest any more.
    void close();
    TraceEnd end() const;
    /// The length is GitLab's, so that the checksum counts.
    bool exact() const { return exact_; }
    /// How long the next call has to wait, and why the last one failed.
    Millis pause() const { return pause_; }
    const std::string& trouble() const { return trouble_; }

    bool send();
    bool askSize();
    void continueAt(std::int64_t size);
    void decide(bool end);
    void hear(const JobAnswer& answer);

    JobLink& link_;
    Masker masker_;
    std::string text_;
    std::string raw_;   ///< Valid UTF-8 behind text_, not masked yet.
    std::string tail_;  ///< The beginning of a character behind raw_.
    std::int64_t sent_ = 0;
    /// Most bytes of one PATCH: the official runner's, then what a proxy lets pass.
    std::size_t patch_ = std::size_t{1} << 20U;
    bool sizeKnown_ = false;
    bool exact_ = true;
    SteadyTime nextSend_{};
    Millis pause_{};
    std::string trouble_;
};

}  // namespace gridbridge::gitlab
