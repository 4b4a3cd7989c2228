#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/api/Backend.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge {

/// What jobs sent of their logs while they ran, in the folders of their submissions: `out/live-RUN`
/// for each copy of a job that began, and the note `out/live-runs`, to which only is appended: the
/// copies in the order in which they were first heard, and `=N RUN BASE` once the text of one is
/// given as that of the run N. The texts of a job's runs are one log: that of the next begins at
/// BASE, where the one before ended then. Bytes once given never change. Jobs belong to the
/// service's own account. Safe for concurrent use.
class LiveLog {
public:
    /// Bytes of a copy: whatever carries logs of ended jobs carries so much, with what else a job
    /// leaves.
    static constexpr std::int64_t kMost = std::int64_t{4} << 20;

    /// `folders` must outlive it.
    explicit LiveLog(folder::JobFolders& folders) : folders_(folders) {}

    struct Post {
        SubmissionKey key;
        std::string run;  ///< The copy's own name: 16 hexadecimal digits.
        std::int64_t offset = 0;
        std::string_view bytes;
    };
    enum class Outcome {
        Taken,      ///< Perhaps not all of it, see `size`.
        Elsewhere,  ///< What comes next is not at the post's offset.
        Stranger,   ///< There are too many copies already.
        Unwanted,   ///< No job is there any more, or its end has been fetched.
    };
    struct Taken {
        Outcome outcome = Outcome::Unwanted;
        std::int64_t size = 0;  ///< Of what is here of that copy.
        bool cancel = false;    ///< The job is to stop.
        bool isFull() const { return size >= kMost; }
    };
    /// An error: nothing can be said now; a part of the bytes may be here.
    Result<Taken> take(const Post& post);

    /// Whether any copy has been heard.
    Result<bool> isHeard(const JobRef& ref);
    /// Of a job whose files have not been fetched; empty where no copy sent any.
    Result<LogChunk> read(const LogRequest& request);
    /// Takes no more, and lets `out/log`, which was fetched of that run or is absent, begin with
    /// what was given before. Repeatable.
    Result<void> settle(const JobRef& ref, int run);
    /// Takes no more of it: its folder is about to go.
    void close(const SubmissionKey& key);
    /// The job's folder is gone.
    void forget(const SubmissionKey& key);

private:
    struct Given {
        int run = 0;
        std::string name;  ///< kNobody: none was heard.
        std::int64_t base = 0;
    };
    struct Runs {
        std::vector<std::string> names;  ///< In the order of the note.
        std::vector<Given> given;
        std::int64_t size = 0;  ///< Of the note.
        bool has(const std::string& name) const;
        /// Whose text that of the next run would be.
        std::string newest() const;
        bool isGiven(int run) const;
    };
    static constexpr const char* kNobody = "-";
    /// The texts up to that of this run, which is the last.
    Result<Runs> upTo(const folder::FolderRef& folder, int run, bool isLast);
    /// Bytes of that text from there on.
    Result<std::string> textOf(const folder::FolderRef& folder, const Given& given,
                               std::int64_t offset, std::int64_t most);
    Result<Runs> runsOf(const folder::FolderRef& folder);
    Result<void> note(const folder::FolderRef& folder, const Runs& runs, const std::string& line);
    /// Whether it is one of the copies that are heard.
    Result<bool> admit(const folder::FolderRef& folder, const std::string& run);
    Result<std::string> readUpTo(const folder::FolderRef& folder, const std::string& name,
                                 std::int64_t most);
    Result<void> replace(const folder::FolderRef& folder, const std::string& log);

    folder::JobFolders& folders_;
    std::mutex mutex_;
    std::set<std::string> settled_;  ///< Keys.
};

}  // namespace gridbridge
