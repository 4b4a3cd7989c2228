#include "backends/diracx/DiracxBackend.h"

#include <algorithm>
#include <utility>

#include "backends/api/CarriedFiles.h"
#include "bridge/http/PocoTransport.h"

namespace gridbridge {
namespace {

using std::chrono::seconds;

std::unique_ptr<http::Transport> transportTo(const DiracxConfig& config, const Clock& clock) {
    http::TransportOptions options;
    options.tls.ca = config.caFile;
    return std::make_unique<http::PocoTransport>(config.url, clock, "gridbridge", options);
}

template <typename T>
std::vector<T> partOf(const std::vector<T>& all, std::size_t from, std::size_t count) {
    const auto begin = std::min(from, all.size());
    const auto end = std::min(begin + count, all.size());
    return {all.begin() + static_cast<std::ptrdiff_t>(begin),
            all.begin() + static_cast<std::ptrdiff_t>(end)};
}

struct FileClose {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

}  // namespace

DiracxBackend::DiracxBackend(const DiracxConfig& config, const std::string& /*runAs*/,
                             folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                             Teller tell)
    : DiracxBackend(config, transportTo(config, clock), folders, runner, clock, std::move(tell)) {}

DiracxBackend::DiracxBackend(const DiracxConfig& config, std::unique_ptr<http::Transport> transport,
                             folder::JobFolders& folders, ProcessRunner& runner, Clock& clock,
                             Teller tell)
    : DiracBackend(config, folders, runner, clock, std::move(tell)),
      transport_(std::move(transport)),
      tokens_(config.credentials, *transport_, clock),
      client_(*transport_, tokens_, clock) {}

Capabilities DiracxBackend::capabilities() const {
    // A commit of a submission of which no answer came may still be under way.
    return {.maxBatch = 2000,
            .maxSubmit = 20,
            .liveLog = isLive(),
            .softCancel = isLive(),
            .findsByKey = true,
            .filesByCollect = true,
            .visibilityDelay = seconds(30)};
}

Result<void> DiracxBackend::probe(const CallContext& ctx) {
    const auto identity = client_.identity(ctx);
    if (!identity) {
        return identity.error();
    }
    // A login comes and goes while the service runs, like the server: nothing here is for good.
    return identity->maySubmit ? Result<void>()
                               : Error{ErrorKind::Transient,
                                       "the group " + identity->group + " of " + identity->user +
                                           " may not submit jobs, for it has not the property "
                                           "NormalUser: log in with another one",
                                       true};
}

Result<DiracxFound> DiracxBackend::search(const CallContext& ctx, const DiracxQuery& query) {
    // An answer with many histories is longer than what can be taken.
    constexpr std::size_t kMostHistories = 150;
    const auto count = std::max(query.ids.size(), query.names.size());
    const auto atOnce = query.history ? kMostHistories : count;
    std::optional<DiracxFound> all;
    auto part = query;
    for (std::size_t from = 0; from < count; from += atOnce) {
        part.ids = partOf(query.ids, from, atOnce);
        part.names = partOf(query.names, from, atOnce);
        auto found = client_.search(ctx, part);
        if (!found) {
            return found.error();
        }
        if (all && all->owner != found->owner) {
            return transientError("somebody else has just logged in");
        }
        auto next = std::move(found).value();
        if (all) {
            next.jobs.insert(next.jobs.end(), all->jobs.begin(), all->jobs.end());
        }
        all = std::move(next);
    }
    return *all;
}

Result<std::map<std::int64_t, std::string>> DiracxBackend::killThese(
    const CallContext& ctx, std::span<const DiracxKill> kills) {
    return client_.kill(ctx, kills);
}

Result<std::string> DiracxBackend::giveWrapper(const CallContext& ctx) {
    const auto packed = packSandbox(wrapperSandbox(kDiracxMostPacked));
    return packed ? client_.upload(ctx, *packed) : packed;
}

Result<std::vector<std::string>> DiracxBackend::giveFiles(const CallContext& ctx,
                                                          const BatchJob& job,
                                                          std::vector<SandboxFile> files) {
    const auto packed = packSandbox(jobSandbox(std::move(files), carriedOutputs(job)));
    if (!packed) {
        return packed.error();
    }
    const auto sandbox = client_.upload(ctx, *packed);
    return sandbox ? Result<std::vector<std::string>>({*sandbox}) : sandbox.error();
}

Result<std::int64_t> DiracxBackend::handAlone(const CallContext& ctx, const DiracOwner& owner,
                                              const Described& job) {
    const auto ids = client_.submit(ctx, owner, {job.jdl});
    if (ids) {
        return ids->front();
    }
    return ids.error().kind == ErrorKind::Permanent ? refusalOf(*job.job, ids.error())
                                                    : ids.error();
}

std::vector<Result<std::int64_t>> DiracxBackend::hand(const CallContext& ctx,
                                                      const DiracOwner& owner,
                                                      std::span<const Described> jobs) {
    std::vector<std::string> jdls;
    for (const auto& job : jobs) {
        jdls.push_back(job.jdl);
    }
    const auto ids = client_.submit(ctx, owner, jdls);
    std::vector<Result<std::int64_t>> results;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (ids) {
            results.emplace_back((*ids)[i]);
        } else {
            // Which of them was meant DiracX does not say, and it has kept none.
            results.push_back(ids.error().kind == ErrorKind::Permanent
                                  ? handAlone(ctx, owner, jobs[i])
                                  : ids.error());
        }
    }
    return results;
}

Result<void> DiracxBackend::unpack(const CallContext& ctx, const JobRef& ref,
                                   const std::string& sandbox) {
    const std::unique_ptr<std::FILE, FileClose> file(std::tmpfile());
    if (!file) {
        return transientError("there is no room for a temporary file");
    }
    if (const auto got = client_.download(ctx, sandbox, file.get()); !got) {
        return got.error();
    }
    const folder::FolderRef folder{ref.key, ref.account};
    const auto wanted = wantedOf(folder);
    if (!wanted) {
        return wanted.error();
    }
    std::set<std::string> begun;
    auto unpacked = unpackSandbox(file.get(), *wanted, sinkInto(ctx, folder, begun));
    if (!unpacked) {
        emptyAllButLog(folder, begun);
    }
    return unpacked;
}

Result<bool> DiracxBackend::fetchOne(const CallContext& ctx, const EndedJob& job) {
    const auto sandbox = client_.outputOf(ctx, job.id);
    if (!sandbox) {
        return withoutEffect(sandbox.error());
    }
    if (sandbox->empty()) {
        return false;
    }
    const auto unpacked = unpack(ctx, job.ref, *sandbox);
    return unpacked ? Result<bool>(true) : unpacked.error();
}

std::vector<Result<bool>> DiracxBackend::fetch(const CallContext& ctx,
                                               std::span<const EndedJob> jobs) {
    std::vector<Result<bool>> results;
    for (const auto& job : jobs) {
        results.push_back(fetchOne(ctx, job));
    }
    return results;
}

}  // namespace gridbridge
