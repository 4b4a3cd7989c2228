// The guard in a Python, with modules in the places of DIRAC's that it changes, as those of 9.1.22
// are.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "backends/diraccli/DiracGuard.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge {
namespace {

using ::testing::HasSubstr;

constexpr const char* kApi = R"(import os
import tarfile


class Dirac:
    def getOutputSandbox(self, jobID, outputDir=None, oversized=True, noJobDir=False, unpack=True):
        folder = f"{outputDir}/{jobID}"
        os.makedirs(folder)
        try:
            for name in sorted(each for each in os.listdir() if each.startswith(f"{jobID}.")):
                with tarfile.open(name, "r") as archive:
                    for member in archive:
                        archive.extract(member, path=folder)
        except OSError as error:
            print("Could not open bundle:", repr(error))
            return {"OK": False, "Message": f"Failed to get job parameters for {jobID}"}
        return {"OK": True, "Value": []}
)";
constexpr const char* kTornado = R"(class TornadoBaseClient:
    servers = ["a", "b", "c"]

    def _request(self, retry=0, outputFile=None, **kwargs):
        print("asked", self.servers[retry % 3] if retry < 3 else "a", kwargs["method"])
        if retry < len(self.servers) - 1:
            return self._request(retry=retry + 1, outputFile=outputFile, **kwargs)
        return {"OK": False, "Message": "no answer"}
)";
constexpr const char* kStat = R"(def selectJobs(owner, date, jobGroup, jobName):
    return [owner, date, jobGroup, jobName]
)";
/// Makes archives, and fetches each.
constexpr const char* kOutputs = R"(import io
import os
import tarfile
from DIRAC.Interfaces.API.Dirac import Dirac


def add(archive, name, content=b"content", **kinds):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in kinds.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


def make(name, members, mode="w"):
    with tarfile.open(name, mode) as archive:
        for member in members:
            add(archive, **member)


def cut(name, size):
    with open(name, "r+b") as file:
        file.truncate(size)


noise = os.urandom(5000)
make("1.tar", [{"name": "log"}, {"name": "status"}])
make("2.tar", [{"name": "log"}, {"name": "link", "content": b"", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}])
make("3.tar", [{"name": "log"}, {"name": "../escaped"}])
make("4.tar", [{"name": "log"}, {"name": "log"}])
make("5.tar", [{"name": f"file{i}", "content": b""} for i in range(1001)])
make("6.tar", [{"name": "log"}, {"name": "status"}])
cut("6.tar", 1024)  # Between two members.
make("7.tar", [{"name": "log", "content": noise}])
cut("7.tar", 2000)  # Within one.
make("8.tar", [{"name": "log", "content": noise}, {"name": "status"}], "w:gz")
cut("8.tar", 4000)
make("9.tar", [{"name": "log", "content": noise}, {"name": "status"}], "w:xz")
with open("9.tar", "r+b") as file:
    file.seek(2000)
    file.write(b"damage")
open("10.tar", "w").write("no archive")
make("11.tar", [])
make("15.tar", [{"name": "x" * 256}], "w")
make("12.a.tar", [{"name": "log", "content": b"first"}, {"name": "only-first"}])
make("12.b.tar", [{"name": "log", "content": b"second"}])
with open("13.tar", "wb") as file:  # A name of six gigabytes.
    info = tarfile.TarInfo("long")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 6 << 30
    file.write(info.tobuf())
    file.truncate(7 << 20)
with open("14.tar", "wb") as file:
    info = tarfile.TarInfo("zeros")
    info.size = 257 << 20
    file.write(info.tobuf())
    file.truncate(258 << 20)
for id in range(1, 16):
    result = Dirac().getOutputSandbox(id, outputDir="out")
    print(id, "OK" if result["OK"] else result["Message"])
print("12 is", sorted(os.listdir("out/12")), open("out/12/log").read())
print("escaped" if os.path.exists("out/escaped") or os.path.lexists("out/2/link") else "kept in")
)";
constexpr const char* kOthers = R"(import resource
from DIRAC.Core.Tornado.Client.private.TornadoBaseClient import TornadoBaseClient
from DIRAC.Interfaces.scripts.dstat import selectJobs

TornadoBaseClient()._request(method="getJobs")
TornadoBaseClient()._request(method="submitJob")
print(selectJobs("ada", "1999-01-01", "group", "one,two"), selectJobs("ada", "1999-01-01", "group", None))
for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
    print("limit", resource.getrlimit(limit)[0] <= 4 << 30)
)";

class DiracGuard : public ::testing::Test {
protected:
    DiracGuard() {
        write("guard/sitecustomize.py", std::string(diracGuard()));
        write("DIRAC/Interfaces/API/Dirac.py", kApi);
        write("DIRAC/Core/Tornado/Client/private/TornadoBaseClient.py", kTornado);
        write("DIRAC/Interfaces/scripts/dstat.py", kStat);
    }
    void write(const std::string& name, const std::string& text) {
        std::filesystem::create_directories((temp_.path() / name).parent_path());
        std::ofstream(temp_.path() / name) << text;
    }
    std::string run(const std::string& script) {
        write("script.py", script);
        const auto folder = temp_.path().string();
        const auto command = "cd " + folder +
                             " && env -i TMPDIR=. PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=" + folder +
                             "/guard:" + folder + " /usr/bin/python3 script.py >said 2>&1";
        EXPECT_EQ(std::system(command.c_str()), 0) << testing::readFile(temp_.path() / "said");
        EXPECT_TRUE(std::filesystem::exists(temp_.path() / "guarded"));
        return testing::readFile(temp_.path() / "said");
    }

    testing::TempDir temp_;
};

TEST_F(DiracGuard, UnpacksWhatAJobLeavesAndNothingElse) {
    const auto said = run(kOutputs);

    EXPECT_THAT(said, HasSubstr("1 OK\n"));
    for (const auto* id : {"2", "3", "4", "5", "14", "15"}) {
        EXPECT_THAT(said, HasSubstr("\n" + std::string(id) + " the output sandbox is refused"));
    }
    EXPECT_THAT(said, HasSubstr("kept in"));
    for (const auto* id : {"6", "7", "8", "9", "10", "11", "13"}) {
        const auto at = said.find("\n" + std::string(id) + " ");
        ASSERT_NE(at, std::string::npos);
        EXPECT_THAT(said.substr(at, said.find('\n', at + 1) - at),
                    HasSubstr("the output sandbox is broken"))
            << said;
    }
    EXPECT_THAT(said, HasSubstr("12 OK\n"));
    EXPECT_THAT(said, HasSubstr("12 is ['log'] second\n"));
    EXPECT_TRUE(std::filesystem::exists(temp_.path() / "guard_outputs"));
    EXPECT_FALSE(std::filesystem::exists(temp_.path() / "guard_names"));
}

TEST_F(DiracGuard, AJobIsHandedToOneServerAndCommandsHaveLimits) {
    EXPECT_EQ(
        run(kOthers),
        "asked a getJobs\nasked b getJobs\nasked c getJobs\nasked a submitJob\n"
        "['ada', '1999-01-01', 'group', ['one', 'two']] ['ada', '1999-01-01', 'group', None]\n"
        "limit True\nlimit True\nlimit True\n");
    EXPECT_TRUE(std::filesystem::exists(temp_.path() / "guard_names"));
    EXPECT_TRUE(std::filesystem::exists(temp_.path() / "guard_submission"));
}

}  // namespace
}  // namespace gridbridge
