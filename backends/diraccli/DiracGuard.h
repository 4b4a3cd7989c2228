#pragma once

#include <string_view>

namespace gridbridge {

/// A `sitecustomize.py`, which the Python of DIRAC's commands loads first, where PYTHONPATH leads
/// to it. In the folder TMPDIR it leaves the file `guarded`, and one for each place in DIRAC that
/// it changed, `guard_outputs`, `guard_submission` and `guard_names`. With it a command
/// - unpacks only plain files of plain names, 256 MiB of an archive at most, and fails for any
///   other with "the output sandbox is refused", for one that is damaged or empty with "is broken";
/// - leaves of several archives for one folder the last;
/// - hands a job to one server only, whatever that answers, or whether it does;
/// - as `dstat -n A,B` lists the jobs of any of these names;
/// - has at most 4 GiB of memory, ten minutes of a processor and files of 1 GiB.
std::string_view diracGuard();

}  // namespace gridbridge
