#include "bridge/folder/AgentAnswers.h"
#include "tests/fuzz/Fuzz.h"

// Input: one answer of what may have taken the place of an account's agent.

namespace gridbridge::fuzz {
namespace {

using folder::ReadRequest;
using folder::Unpacker;

template <typename T>
void check(const Result<T>& result) {
    require(
        result.ok() || (isPlain(result.error().message) && result.error().message.size() <= 300),
        "an error is a line");
}

void tryRead(std::string_view input) {
    const std::vector<ReadRequest> requests{{.folder = {}, .name = "log", .limit = 100},
                                            {.folder = {}, .name = "status", .limit = 0}};
    Unpacker in(input);
    const auto chunks = folder::chunksIn(in, requests);
    require(chunks.size() <= requests.size(), "nothing is answered that was not asked");
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        check(chunks[i]);
        require(
            !chunks[i] || (chunks[i]->bytes.size() <= requests[i].limit && chunks[i]->size >= 0),
            "no more is read than was asked for");
    }
}

}  // namespace

void tryWith(std::string_view input) {
    Unpacker success(input);
    check(folder::successIn(success));
    Unpacker flag(input);
    check(folder::flagIn(flag));
    Unpacker started(input);
    const auto process = folder::processIn(started, "this-boot");
    check(process);
    require(!process || !started.done() || process->pid > 0, "a process has a number");
    Unpacker ended(input);
    const auto end = folder::endIn(ended);
    require(end.exitCode.value_or(0) >= 0 && end.exitCode.value_or(0) < 256 &&
                end.signal.value_or(0) >= 0 && end.signal.value_or(0) < 256,
            "codes and signals are possible");
    tryRead(input);
}

}  // namespace gridbridge::fuzz
