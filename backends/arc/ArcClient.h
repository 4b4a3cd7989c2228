#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/arc/ArcParse.h"
#include "bridge/base/Clock.h"
#include "bridge/base/Secret.h"
#include "bridge/http/Transport.h"

namespace gridbridge {

/// A part of a file in a job's session folder.
struct ArcBytes {
    std::string bytes = {};
    std::optional<std::int64_t> size = {};  ///< Of the whole, where ARC said so.
};

/// The calls of one ARC. A connection that cannot be made is tried again: of some releases one
/// handshake in a hundred fails. Safe for concurrent use. Errors: Transient = it had no effect, but
/// that of what may be repeated; Uncertain = where it is said; misconfigured = a person must act.
class ArcClient {
public:
    /// `transport` must outlive this. `tokenFile`: with a bearer token, read for each call; empty =
    /// none.
    ArcClient(http::Transport& transport, std::filesystem::path tokenFile, const Clock& clock);

    /// All jobs of ours, with their states, from a complete answer that is A-REX' own.
    Result<std::map<std::string, std::string>> list(const CallContext& ctx);
    /// One entry for each of `count` jobs, in order. Uncertain: it was sent, and nobody knows.
    Result<std::vector<ArcEntry>> submit(const CallContext& ctx, const std::string& description,
                                         std::size_t count);
    /// `action` for many jobs: info, kill or clean, each of which may be repeated. By id; what the
    /// answer leaves out is left out.
    Result<std::map<std::string, ArcEntry>> act(const CallContext& ctx, const std::string& action,
                                                const std::vector<std::string>& ids);
    /// kill or clean: each has heard it, or is not there. Transient: not all.
    Result<void> demand(const CallContext& ctx, const std::string& action,
                        const std::vector<std::string>& ids);
    /// What A-REX keeps of a job under that name; nothing where there is none. Permanent: more
    /// than A-REX itself writes.
    Result<std::optional<std::string>> diagnose(const CallContext& ctx, const std::string& id,
                                                const std::string& name);
    /// What is in a folder of its session folder. Nothing: A-REX answers 404, as for what is not
    /// there, and for what cannot be opened just now. Permanent: it makes no sense, or no end.
    Result<std::optional<ArcFolder>> folder(const CallContext& ctx, const std::string& id,
                                            const std::string& name);
    /// Bytes of a file from `offset` on, at most `limit`, which is not 0; none at its end, and
    /// beyond it. Nothing: it is a folder, or A-REX answers 404, as above.
    Result<std::optional<ArcBytes>> read(const CallContext& ctx, const std::string& id,
                                         const std::string& file, std::int64_t offset,
                                         std::size_t limit);
    /// Bytes of a file, from `offset` on, that will have `size`. May be repeated. False: there is
    /// no such job.
    Result<bool> put(const CallContext& ctx, const std::string& id, const std::string& file,
                     std::int64_t offset, std::string bytes, std::int64_t size);

private:
    /// As `read`, without bytes.
    Result<std::optional<ArcBytes>> sizeOf(const CallContext& ctx, const std::string& id,
                                           const std::string& file);
    /// `repeatable`: also where the server may have heard it. `longest`: what has more bytes is
    /// Permanent; 0 = it is no job's to say how many.
    Result<http::Response> call(const CallContext& ctx, http::Request request, bool repeatable,
                                std::int64_t longest = 0);
    Result<http::Response> send(const CallContext& ctx, http::Request& request,
                                std::int64_t longest);
    /// No job has that id: whoever says so can tell of jobs.
    Result<void> prove(const CallContext& ctx);
    Result<std::optional<Secret>> token() const;

    http::Transport& transport_;
    const std::filesystem::path tokenFile_;
    const Clock& clock_;
};

}  // namespace gridbridge
