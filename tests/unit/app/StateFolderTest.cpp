#include <gtest/gtest.h>

#include <unistd.h>

#include "bridge/app/StateFolder.h"
#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using gridbridge::testing::ConfigFolder;

std::string faultOf(const std::filesystem::path& folder) {
    const auto fault = stateFolderFault(folder);
    return fault ? fault->what + "; " + fault->cure : "";
}

TEST(StateFolder, APrivateFolderIsFine) {
    const ConfigFolder folder;
    EXPECT_EQ(faultOf(folder.path()), "");
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0750));
    EXPECT_EQ(faultOf(folder.path()), "");
}

TEST(StateFolder, OneThatIsNotThereSaysHowToMakeIt) {
    const ConfigFolder folder;
    const std::string name = (folder.path() / "state").string();
    EXPECT_EQ(faultOf(name), name +
                                 " cannot be used: No such file or directory; create it with: "
                                 "install -d -m 700 " +
                                 name);
}

TEST(StateFolder, AFileIsNone) {
    const ConfigFolder folder;
    folder.write("state", "");
    const std::string name = (folder.path() / "state").string();
    EXPECT_EQ(faultOf(name), name + " is not a folder; name another");
}

TEST(StateFolder, EveryAccountMustBeShutOut) {
    const ConfigFolder folder;
    const std::string name = folder.path().string();
    for (const unsigned mode : {0755U, 0701U, 0704U, 0702U}) {
        std::filesystem::permissions(folder.path(), std::filesystem::perms(mode));
        EXPECT_EQ(faultOf(name), name + " is open to every account; run chmod 700 " + name);
    }
}

TEST(StateFolder, OneThatCannotBeWritten) {
    constexpr uid_t kNobody = 65534;
    const ConfigFolder folder;
    const std::string name = folder.path().string();
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0500));
    const bool root = ::geteuid() == 0;  // who may write everywhere
    if (root) {
        ASSERT_EQ(::seteuid(kNobody), 0);
    }
    const std::string fault = faultOf(name);
    if (root) {
        ASSERT_EQ(::seteuid(0), 0);
    }
    EXPECT_EQ(fault,
              name + " is not writable: Permission denied; give it to the account of the service");
}

TEST(StateFolder, NetworkFileSystemsAreKnown) {
    EXPECT_EQ(networkFileSystem(0x6969), "NFS");
    EXPECT_EQ(networkFileSystem(0xff534d42), "CIFS");
    EXPECT_EQ(networkFileSystem(0x0bd00bd0), "Lustre");
    EXPECT_EQ(networkFileSystem(0xef53), "");      // ext4
    EXPECT_EQ(networkFileSystem(0x01021994), "");  // tmpfs
}

}  // namespace
}  // namespace gridbridge::app
