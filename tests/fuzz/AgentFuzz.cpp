#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/base/Fd.h"
#include "bridge/folder/AgentProtocol.h"
#include "bridge/folder/AgentServer.h"
#include "tests/fakes/TempDir.h"
#include "tests/fuzz/Fuzz.h"

// Input: requests to the agent of an account, each behind its length in one byte. Those that start
// or signal a process are left out: they would do so.

namespace gridbridge::fuzz {

namespace {

constexpr std::string_view kOfAnother = "of another account";

std::string framesIn(std::string_view input) {
    std::string frames;
    while (!input.empty()) {
        const auto size = static_cast<unsigned char>(input.front());
        const auto body = input.substr(1, size);
        input.remove_prefix(1 + body.size());
        const auto call = static_cast<folder::AgentCall>(folder::Unpacker(body).number());
        if (call != folder::AgentCall::Start && call != folder::AgentCall::Signal) {
            frames += static_cast<char>(body.size());
            frames.append(3, '\0').append(body);
        }
    }
    return frames;
}

/// An unnamed file that begins with `content`, at its begin.
Fd unnamed(std::string_view content) {
    Fd file(::memfd_create("fuzz", 0));
    require(::pwrite(file.get(), content.data(), content.size(), 0) ==
                static_cast<ssize_t>(content.size()),
            "there is memory");
    return file;
}

}  // namespace

void tryWith(std::string_view input) {
    const testing::TempDir work;
    const auto account = work.path() / "account";
    std::filesystem::create_directory(account);
    const auto secret = work.path() / "secret";
    std::ofstream(secret) << kOfAnother;
    std::filesystem::create_symlink(secret, account / "link");
    const Fd requests = unnamed(framesIn(input));
    const Fd answers = unnamed("");

    const auto served = folder::serveFolders(account, requests.get(), answers.get());

    require(served || isPlain(served.error().message), "an error holds nothing of the requests");
    std::string said(static_cast<std::size_t>(::lseek(answers.get(), 0, SEEK_END)), '\0');
    require(
        ::pread(answers.get(), said.data(), said.size(), 0) == static_cast<ssize_t>(said.size()),
        "answers can be read");
    require(said.find(kOfAnother) == std::string::npos, "no file of another account is read");
    require(testing::readFile(secret) == kOfAnother, "no file of another account is changed");
    for (const auto& found : std::filesystem::directory_iterator(work.path())) {
        require(found.path() == account || found.path() == secret,
                "nothing is made beside the account's folder");
    }
}

}  // namespace gridbridge::fuzz
