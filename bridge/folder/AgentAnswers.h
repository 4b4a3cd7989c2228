#pragma once

#include <span>
#include <string>
#include <vector>

#include "bridge/folder/AgentProtocol.h"
#include "bridge/folder/JobFolders.h"

namespace gridbridge::folder {

// Readers of what an agent answered. A job of its account may have put itself in its place: what
// they give is within its bounds whatever was said, and is worth nothing unless `in` is done().

/// To a request that has no other answer.
Result<void> successIn(Unpacker& in);
Result<bool> flagIn(Unpacker& in);
/// Of this boot, which is not part of the answer.
Result<ProcessId> processIn(Unpacker& in, const std::string& bootId);
ProcessEnd endIn(Unpacker& in);
/// Of the first of `requests`, as many as were answered, perhaps none.
std::vector<Result<ReadChunk>> chunksIn(Unpacker& in, std::span<const ReadRequest> requests);

}  // namespace gridbridge::folder
