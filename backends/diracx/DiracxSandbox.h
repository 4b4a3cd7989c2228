#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/base/Result.h"

namespace gridbridge {

/// Sandboxes: tar archives packed by zstd, in which DIRAC carries a job's files. Pure but for the
/// file that is read.

/// The program that DIRAC runs, of a name that no other program has.
inline constexpr const char* kDiracxWrapperName = "gridbridge-wrapper.sh";
/// What DIRAC's own side of a job prints, as in `out/`.
inline constexpr const char* kDiracxBatchLog = "batch.log";
/// What the loader ended with, for DIRAC does not tell.
inline constexpr const char* kDiracxExitName = "exit";
/// DiracX takes no larger one, packed.
inline constexpr std::int64_t kDiracxMostPacked = std::int64_t{100} << 20;

struct SandboxFile {
    std::string name;  ///< May be in a folder.
    std::string content;
};

/// Files with the same names and bytes give the same archive. Permanent when it would be larger
/// than kDiracxMostPacked.
Result<std::string> packSandbox(const std::vector<SandboxFile>& files);
/// SHA-256 in hexadecimal digits, by which DiracX calls a sandbox.
std::string sandboxChecksum(const std::string& packed);

/// The wrapper's sandbox, the same for all jobs of one version. The wrapper runs the loader in the
/// folder `gridbridge`, which has `in/` and `out/`; gives back from `out/` what the file
/// `gridbridge/outputs` names, as far as a sandbox holds it, with a line in the job's log where it
/// does not; writes the loader's exit code into the file `exit`, and ends with 0 or 1: DIRAC would
/// start a job again that ends with 222.
/// `mostPacked`: of what comes back, bytes.
std::vector<SandboxFile> wrapperSandbox(std::int64_t mostPacked);
/// `inputs`: the files of `in/`; `outputs`: names in `out/`.
std::vector<SandboxFile> jobSandbox(std::vector<SandboxFile> inputs,
                                    const std::vector<std::string>& outputs);

/// Takes the bytes at `offset` of a file of that name.
using SandboxSink =
    std::function<Result<void>(const std::string& name, std::int64_t offset, std::string_view)>;
/// Gives the files of an archive, zstd or bzip2, which is hostile, from where `packed` is, as far
/// as they are `wanted`. Permanent: it is damaged, or holds what no wrapper gives back: folders,
/// links, names that are no plain file names or come twice, more than 256 MiB, or 100 files that
/// nobody wants. An error of the sink as it is.
Result<void> unpackSandbox(std::FILE* packed, const std::set<std::string>& wanted,
                           const SandboxSink& sink);

}  // namespace gridbridge
