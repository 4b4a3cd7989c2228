#include "bridge/folder/AgentAnswers.h"

namespace gridbridge::folder {
namespace {

Result<ReadChunk> chunkIn(Unpacker& in, const ReadRequest& request) {
    if (auto error = in.outcome()) {
        return std::move(*error);
    }
    ReadChunk chunk;
    chunk.exists = in.number(1) == 1;
    chunk.size = static_cast<std::int64_t>(in.number(std::numeric_limits<std::int64_t>::max()));
    chunk.bytes = in.text(request.limit);
    return chunk;
}

}  // namespace

Result<void> successIn(Unpacker& in) {
    auto error = in.outcome();
    return error ? Result<void>(std::move(*error)) : Result<void>();
}

Result<bool> flagIn(Unpacker& in) {
    if (auto error = in.outcome()) {
        return std::move(*error);
    }
    return in.number(1) == 1;
}

Result<ProcessId> processIn(Unpacker& in, const std::string& bootId) {
    if (auto error = in.outcome()) {
        return std::move(*error);
    }
    const auto pid = static_cast<pid_t>(in.number(std::numeric_limits<pid_t>::max(), 1));
    return ProcessId{pid, in.number(), bootId};
}

ProcessEnd endIn(Unpacker& in) {
    ProcessEnd end;
    for (auto* value : {&end.exitCode, &end.signal}) {
        if (const auto number = in.number(256); number > 0) {
            *value = static_cast<int>(number - 1);
        }
    }
    return end;
}

std::vector<Result<ReadChunk>> chunksIn(Unpacker& in, std::span<const ReadRequest> requests) {
    std::vector<Result<ReadChunk>> chunks;
    for (auto left = in.number(requests.size()); left > 0; --left) {
        chunks.push_back(chunkIn(in, requests[chunks.size()]));
    }
    return chunks;
}

}  // namespace gridbridge::folder
