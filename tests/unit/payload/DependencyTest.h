#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bridge/base/Fd.h"
#include "bridge/payload/Dependency.h"
#include "bridge/payload/Packer.h"
#include "tests/fakes/TempDir.h"
#include "tests/unit/payload/HandmadeZip.h"

namespace gridbridge::payload {

inline Member fileMember(std::string name, std::string_view bytes, unsigned mode = 0644) {
    return {.name = std::move(name),
            .kind = Member::Kind::File,
            .mode = mode,
            .modifiedAt = 1'600'000'001,
            .size = static_cast<std::int64_t>(bytes.size())};
}
inline Member folderMember(std::string name, unsigned mode = 0755) {
    return {.name = std::move(name),
            .kind = Member::Kind::Folder,
            .mode = mode,
            .modifiedAt = 1'600'000'001};
}
inline Member linkMember(std::string name, std::string target) {
    return {.name = std::move(name),
            .kind = Member::Kind::Link,
            .mode = 0777,
            .modifiedAt = 1'600'000'001,
            .target = std::move(target)};
}

/// A member, and what is in it.
struct Content {
    Member member;
    std::string bytes = {};
};

/// A zip as jobs upload it.
inline std::string zipWith(const std::vector<Content>& contents) {
    std::string zip;
    const auto packer = zipPacker([&](std::string_view bytes) {
        zip += bytes;
        return true;
    });
    for (const auto& [member, bytes] : contents) {
        EXPECT_TRUE(packer->begin(member) && packer->write(bytes)) << member.name;
    }
    EXPECT_TRUE(packer->finish());
    return zip;
}

/// An archive of an earlier job, as it lies on the service's disk.
class DependencyTest : public ::testing::Test {
protected:
    DependencyTest() {
        dependency_.id = 12;
        dependency_.name = "build";
        dependency_.filename = "artifacts.zip";
    }

    Fd fileOf(const std::string& archive) {
        const auto path = (dir_.path() / "archive").string();
        { std::ofstream(path, std::ios::binary) << archive; }
        return Fd(::open(path.c_str(), O_RDONLY));
    }
    Result<void> check(const std::string& archive) {
        const auto file = fileOf(archive);
        return checkDependency(dependency_, file.get());
    }
    /// Why the archive is refused, the same when it is checked and when it is packed.
    std::string refusal(const std::string& archive) {
        const auto checked = check(archive);
        std::string tarball;
        const auto packed = pack(archive, tarball);
        if (checked || packed) {
            ADD_FAILURE() << "it is taken";
            return {};
        }
        EXPECT_EQ(checked.error().kind, ErrorKind::Permanent);
        EXPECT_EQ(packed.error().message, checked.error().message);
        const std::string start = "the artifacts of build (12) cannot be used: ";
        EXPECT_THAT(checked.error().message, ::testing::StartsWith(start));
        return checked.error().message.substr(start.size());
    }
    Result<void> pack(const std::string& archive, std::string& tarball) {
        const auto file = fileOf(archive);
        return packDependency(dependency_, file.get(), [&](std::string_view bytes) {
            tarball += bytes;
            return true;
        });
    }
    /// The tarball that is made of it; fails the test when there is none.
    std::string tarballOf(const std::string& archive) {
        const auto checked = check(archive);
        EXPECT_TRUE(checked) << checked.error().message;
        std::string tarball;
        const auto packed = pack(archive, tarball);
        EXPECT_TRUE(packed) << packed.error().message;
        return tarball;
    }
    /// What GNU tar lists of the tarball: mode, owner, size, time, name.
    std::vector<std::string> listed(const std::string& tarball) {
        const auto path = (dir_.path() / "tarball").string();
        { std::ofstream(path, std::ios::binary) << tarball; }
        const auto command =
            "TZ=UTC LC_ALL=C.UTF-8 tar --numeric-owner --full-time "
            "--quoting-style=literal -tvzf " +
            path;
        FILE* pipe = popen(command.c_str(), "r");
        std::vector<std::string> lines;
        char line[8192];
        while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) {
            lines.emplace_back(line, std::strlen(line) - 1);
        }
        EXPECT_EQ(pclose(pipe), 0);
        return lines;
    }

    testing::TempDir dir_;
    gitlab::Dependency dependency_;
};

}  // namespace gridbridge::payload
