#pragma once

#include <cstddef>
#include <stop_token>
#include <string>

#include "bridge/base/Result.h"
#include "bridge/base/Sink.h"
#include "bridge/gitlab/JobDescription.h"

namespace gridbridge::payload {

/// Whether there is anything to fetch for it.
bool hasArchive(const gitlab::Dependency& dependency);

/// In `in/`: what packDependency() made of the archive of the job's dependency `index`.
std::string dependencyTarball(std::size_t index);

/// Reads the archive that GitLab gave for `dependency`, a zip, or a tar packed by gzip or zstd, to
/// its end. `file` is open, can be sought in, stays the caller's, and its offset does not count.
/// Nothing is extracted. Permanent error = no archive, damaged, cut short, encrypted, more than
/// 1,000,000 files and folders, 10 GiB, or more than its size can hold; names that lead out of the
/// project, come twice or lie below something that is no folder; hard links, devices, sparse files.
/// Transient when the file cannot be read, or when it was stopped. The message names the dependency
/// and what is wrong. In memory stay the names of folders, about 50 bytes for each file, and
/// libarchive's own list of a zip, about 150 for each; a tar packed by zstd may want 128 MiB.
/// Threads: any, each with a file of its own or not. Of a zip, times without a zone are taken for
/// those of the service, and files without a mode get 0664, folders 0775: libarchive does not tell
/// them from others.
Result<void> checkDependency(const gitlab::Dependency& dependency, int file,
                             const std::stop_token& stop = {});

/// The same archive as a gzip-compressed tar for downloadStage(), for as long as `sink` takes it:
/// files and folders, each folder before what lies in it, then links, which lead wherever their job
/// made them lead. Owner and group are 0, modes are permissions alone. Errors as those of
/// checkDependency(), some of them only after `sink` got something.
Result<void> packDependency(const gitlab::Dependency& dependency, int file, const Sink& sink,
                            const std::stop_token& stop = {});

}  // namespace gridbridge::payload
