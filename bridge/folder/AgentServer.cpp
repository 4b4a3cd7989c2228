#include "bridge/folder/AgentServer.h"

#include <stdexcept>

#include "bridge/folder/AgentProtocol.h"
#include "bridge/folder/DirectFolders.h"

namespace gridbridge::folder {
namespace {

constexpr std::size_t kLongestKey = 128;
constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestWord = std::size_t{128} << 10;  // MAX_ARG_STRLEN of Linux
constexpr std::size_t kMostWords = 1000;
constexpr std::size_t kMostFiles = 10'000;

void pack(Packer& out, const Result<void>& result) {
    result ? out.well() : out.error(result.error());
}

void pack(Packer& out, const Result<ReadChunk>& chunk) {
    if (!chunk) {
        out.error(chunk.error());
        return;
    }
    out.well().number(chunk->exists ? 1 : 0).number(static_cast<std::uint64_t>(chunk->size));
    out.text(chunk->bytes);
}

void pack(Packer& out, const ProcessId& process) {
    out.well().number(static_cast<std::uint64_t>(process.pid)).number(process.startTicks);
}

void pack(Packer& out, const ProcessEnd& end) {
    for (const auto& value : {end.exitCode, end.signal}) {
        out.number(value ? static_cast<std::uint64_t>(*value) + 1 : 0);
    }
}

/// Requests in, answers out.
class Server {
public:
    Server(DirectFolders& folders, int in, int out) : folders_(folders), in_(in), out_(out) {}

    Result<void> operator()() {
        send(kAgentGreeting);
        while (const auto request = receive()) {
            Unpacker in(*request);
            const auto call = static_cast<AgentCall>(in.number());
            Packer answer;
            if (!serve(call, in, answer)) {
                return permanentError("a request to the agent makes no sense");
            }
            send(answer.bytes());
        }
        return {};
    }

private:
    bool send(std::string_view frame) { return sendFrame(out_, frame, clock_, SteadyTime::max()); }
    std::optional<std::string> receive() {
        return receiveFrame(in_, kMostRequestBytes, clock_, SteadyTime::max());
    }
    static FolderRef folderIn(Unpacker& in) { return {{in.text(kLongestKey)}, {}}; }
    static ProcessId processIn(Unpacker& in) {
        const auto pid = static_cast<pid_t>(in.number(std::numeric_limits<pid_t>::max()));
        const auto ticks = in.number();
        return {pid, ticks, currentBootId()};
    }

    /// False: no such request.
    bool serve(AgentCall call, Unpacker& in, Packer& out) {
        if (call == AgentCall::Read) {
            return read(in, out);
        }
        const auto folder = folderIn(in);
        switch (call) {
            case AgentCall::Stage:
                return stage(folder, in, out);
            case AgentCall::Append: {
                const auto name = in.text(kLongestName);
                const auto offset =
                    static_cast<std::int64_t>(in.number(std::numeric_limits<std::int64_t>::max()));
                const auto bytes = in.text(kMostRequestBytes);
                return in.done() && (pack(out, folders_.append(folder, name, offset, bytes)), true);
            }
            case AgentCall::Start:
                return start(folder, in, out);
            case AgentCall::Mark:
                return in.done() && marked(folders_.mark(folder), out);
            case AgentCall::Begin:
                return in.done() && marked(folders_.begin(folder), out);
            case AgentCall::RequestCancel:
                return in.done() && (pack(out, folders_.requestCancel(folder)), true);
            case AgentCall::Signal: {
                const auto process = processIn(in);
                const auto signal = static_cast<int>(in.number(64));
                return in.done() && (pack(out, folders_.signal(folder, process, signal)), true);
            }
            case AgentCall::Reap: {
                const auto process = processIn(in);
                return in.done() && (pack(out, folders_.reap(folder, process)), true);
            }
            case AgentCall::Free:
                return in.done() && free(folder, out);
            case AgentCall::Read:
            case AgentCall::Go:
                break;
        }
        return false;
    }

    bool stage(const FolderRef& folder, Unpacker& in, Packer& out) {
        std::vector<StagedFile> files;
        for (auto left = in.number(kMostFiles); left > 0; --left) {
            auto name = in.text(kLongestName);
            files.push_back({std::move(name), in.text(kMostRequestBytes)});
        }
        if (in.done()) {
            pack(out, folders_.stage(folder, files));
        }
        return in.done();
    }

    bool start(const FolderRef& folder, Unpacker& in, Packer& out) {
        std::vector<std::string> argv;
        for (auto left = in.number(kMostWords); left > 0; --left) {
            argv.push_back(in.text(kLongestWord));
        }
        if (!in.done()) {
            return false;
        }
        const auto started = folders_.start(
            folder, argv, [this](const ProcessId& process) { return mayGo(process); });
        if (started) {
            pack(out, *started);
        } else {
            out.error(started.error());
        }
        return true;
    }

    /// Also no when the service is gone.
    bool mayGo(const ProcessId& process) {
        Packer shown;
        pack(shown, process);
        const auto word = send(shown.bytes()) ? receive() : std::nullopt;
        return word == Packer(AgentCall::Go).number(1).bytes();
    }

    bool read(Unpacker& in, Packer& out) {
        std::vector<ReadRequest> requests;
        for (auto left = in.number(kMostChunks); left > 0; --left) {
            auto folder = folderIn(in);
            auto name = in.text(kLongestName);
            const auto offset = static_cast<std::int64_t>(in.number());
            requests.push_back({std::move(folder), std::move(name), offset, in.number()});
        }
        if (!in.done()) {
            return false;
        }
        std::size_t used = 0;
        std::vector<Result<ReadChunk>> chunks;
        for (auto& request : requests) {
            // Never shorter than asked for but alone: a status file is read whole or not at all.
            if (!chunks.empty() && request.limit > kMostBytesRead - used) {
                break;
            }
            request.limit = std::min(request.limit, kMostBytesRead);
            chunks.push_back(std::move(folders_.read({&request, 1}).front()));
            used += chunks.back() ? chunks.back()->bytes.size() : 0;
        }
        out.number(chunks.size());
        for (const auto& chunk : chunks) {
            pack(out, chunk);
        }
        return true;
    }

    static bool marked(const Result<MarkOutcome>& outcome, Packer& out) {
        if (outcome) {
            out.well().number(*outcome == MarkOutcome::Taken ? 1 : 0);
        } else {
            out.error(outcome.error());
        }
        return true;
    }

    bool free(const FolderRef& folder, Packer& out) {
        const auto freed = folders_.freeSome(folder);
        if (freed) {
            out.well().number(*freed ? 1 : 0);
        } else {
            out.error(freed.error());
        }
        return true;
    }

    DirectFolders& folders_;
    int in_;
    int out_;
    SystemClock clock_;
};

}  // namespace

Result<void> serveFolders(const std::filesystem::path& folder, int in, int out) {
    try {
        DirectFolders folders(folder);
        return Server(folders, in, out)();
    } catch (const std::runtime_error& e) {
        return permanentError(e.what());
    }
}

}  // namespace gridbridge::folder
