#include "backends/diraccli/DiracGuard.h"

namespace gridbridge {
namespace {

/// It is in the way of each command: nothing is imported before it is needed, and a DIRAC in which
/// the places that it changes are others stops with an error.
constexpr std::string_view kGuard =
    R"gb(# gridbridge: what DIRAC's commands unpack was packed by somebody else, and a job is submitted once.
import importlib.abc
import importlib.util
import os
import resource
import shutil
import sys
import tarfile

MOST = 256 << 20
MOST_AT_ALL = 512 << 20
MOST_FILES = 1000
REFUSED = "the output sandbox is refused: "
BROKEN = "the output sandbox is broken: "
taken = {}  # By folder: the archive that fills it, and the sizes of its files.
total = 0
fault = ""  # Of the sandbox that is being unpacked; DIRAC may go on to say something else.
folder = os.environ["TMPDIR"]

for limit, most in ((resource.RLIMIT_AS, 4 << 30), (resource.RLIMIT_CPU, 600), (resource.RLIMIT_FSIZE, 1 << 30)):
    hard = resource.getrlimit(limit)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (most, most))


def leave(name):
    open(os.path.join(folder, name), "w").close()


def fail(why):
    global fault
    fault = why
    raise OSError(why)


def files_of(archive, path):
    known, sizes = taken.get(path, (None, {}))
    if known is not archive:  # Another run of the job left it.
        for name in sizes:
            os.unlink(os.path.join(path, name))
        taken[path] = archive, {}
    return taken[path][1]


def extract(self, member, path="", *others, **named):
    global total
    info = self.getmember(member) if isinstance(member, str) else member
    sizes = files_of(self, path)
    is_plain = info.name not in ("", ".", "..") and "/" not in info.name and "\0" not in info.name
    if not info.isreg() or info.issparse() or not is_plain or len(os.fsencode(info.name)) > 255:
        fail(REFUSED + "it holds something other than files, or a name that no job gives back")
    if info.name in sizes or len(sizes) >= MOST_FILES or sum(sizes.values()) + info.size > MOST:
        fail(REFUSED + "it holds more files than a job leaves, or more than 256 MiB")
    if total + info.size > MOST_AT_ALL:
        fail("the sandboxes of these jobs are too large to be unpacked by one command")
    total += info.size
    target = os.open(os.path.join(path, info.name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    sizes[info.name] = info.size
    with os.fdopen(target, "wb") as file:
        shutil.copyfileobj(self.extractfile(info), file)


def extractall(self, path=".", members=None, **named):
    for member in members or self:
        self.extract(member, path)


def next_member(self):
    info = genuine_next(self)
    if info is None and not self.__dict__.get("gridbridge_ended"):
        fail(BROKEN + "it has no end")
    return info


def from_archive(kind, archive):
    try:
        return genuine_header(kind, archive)
    except tarfile.EOFHeaderError:
        archive.gridbridge_ended = True
        raise


genuine_next = tarfile.TarFile.next
genuine_header = tarfile.TarInfo.fromtarfile.__func__
tarfile.TarFile.next = next_member
tarfile.TarFile.extract = extract
tarfile.TarFile.extractall = extractall
tarfile.TarInfo.fromtarfile = classmethod(from_archive)


def guard_outputs(module):
    genuine = module.Dirac.getOutputSandbox

    def get(self, jobID, outputDir=None, *others, **named):
        global fault
        fault = ""
        try:
            result = genuine(self, jobID, outputDir, *others, **named)
            if not result["OK"] and fault:
                result["Message"] = fault
            if not result["OK"] or f"{outputDir}/{jobID}" in taken:
                return result
            why = BROKEN + "it holds nothing"
        except Exception as error:  # It would end the command, and with it the outputs of all other jobs.
            why = ("" if isinstance(error, OSError) else BROKEN) + repr(error)[:200]
        return {"OK": False, "Errno": 0, "Message": why, "CallStack": []}

    module.Dirac.getOutputSandbox = get


def guard_submission(module):
    genuine = module.TornadoBaseClient._request

    def request(self, retry=0, *others, **named):  # Another server would be handed a second copy.
        return genuine(self, sys.maxsize if named.get("method") == "submitJob" else retry, *others, **named)

    module.TornadoBaseClient._request = request


def guard_names(module):
    genuine = module.selectJobs

    def select(owner, date, jobGroup, jobName):  # The service takes a list as well.
        return genuine(owner, date, jobGroup, jobName.split(",") if jobName else jobName)

    module.selectJobs = select


class Finder(importlib.abc.MetaPathFinder):
    guards = {
        "DIRAC.Interfaces.API.Dirac": guard_outputs,
        "DIRAC.Core.Tornado.Client.private.TornadoBaseClient": guard_submission,
        "DIRAC.Interfaces.scripts.dstat": guard_names,
    }

    def find_spec(self, name, path, target=None):
        guard = self.guards.pop(name, None)
        spec = importlib.util.find_spec(name) if guard else None
        if spec:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                guard(module)
                leave(guard.__name__)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
leave("guarded")
)gb";

}  // namespace

std::string_view diracGuard() {
    return kGuard;
}

}  // namespace gridbridge
