#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/payload/ArchiveReader.h"
#include "bridge/payload/Dependency.h"
#include "tests/fakes/Gzip.h"
#include "tests/fuzz/Fuzz.h"

// Input: an archive; or behind a `T` a tar, which is compressed here: hardly any other bytes have
// gzip's checksum.

namespace gridbridge::fuzz {

namespace {

Fd fileOf(std::string_view bytes) {
    Fd file(::memfd_create("archive", MFD_CLOEXEC));
    require(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "there is room for the archive");
    return file;
}

/// GNU tar, as the node calls it, follows no link of the project folder when this holds.
void requireSafe(std::string_view tarball) {
    const auto file = fileOf(tarball);
    payload::ArchiveReader reader(file.get());
    std::set<std::string> folders;
    std::set<std::string> others;
    bool links = false;
    for (;;) {
        const auto member = reader.next();
        require(member.ok(), "what was packed can be read");
        if (!*member) {
            return;
        }
        const auto& [name, kind, mode, modifiedAt, size, target] = **member;
        require(name.front() != '/' && ("/" + name + "/").find("/../") == std::string::npos,
                "no name leads out of the project");
        require(mode <= 0777U, "no file gets the rights of its owner");
        const auto slash = name.rfind('/');
        require(slash == std::string::npos || folders.contains(name.substr(0, slash)),
                "a folder comes before what lies in it");
        const bool folder = kind == payload::Member::Kind::Folder;
        require(
            folder ? !others.contains(name) : !folders.contains(name) && others.insert(name).second,
            "what is no folder comes once");
        if (folder) {
            folders.insert(name);
        }
        links = links || kind == payload::Member::Kind::Link;
        require(!links || kind == payload::Member::Kind::Link, "links come last");
    }
}

}  // namespace

void tryWith(std::string_view input) {
    std::string tar;
    if (input.starts_with('T')) {
        tar = testing::gzip(input.substr(1));
        input = tar;
    }
    const auto file = fileOf(input);
    gitlab::Dependency dependency;
    dependency.name = "build";
    const auto checked = payload::checkDependency(dependency, file.get());
    std::string tarball;
    const auto packed = payload::packDependency(
        dependency, file.get(), [&](std::string_view bytes) { return tarball += bytes, true; });
    require(checked.ok() == packed.ok(), "what was found good is packed, and nothing else");
    if (packed) {
        requireSafe(tarball);
        return;
    }
    require(checked.error().message == packed.error().message, "the cause is the same");
    for (const char c : checked.error().message) {
        require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a message is one clean line");
    }
}

}  // namespace gridbridge::fuzz
