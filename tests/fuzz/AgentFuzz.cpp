#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "bridge/base/Fd.h"
#include "bridge/folder/AgentProtocol.h"
#include "bridge/folder/AgentServer.h"
#include "tests/fakes/TempDir.h"
#include "tests/fuzz/Fuzz.h"

// Input: requests to the agent of an account, each behind its length in one byte. What they start
// is always the same program, which notes that it ran, and what they send is signal 0, which only
// looks: an agent does to this account's processes whatever it is told.

namespace gridbridge::fuzz {

namespace {

constexpr std::string_view kOfAnother = "of another account";

constexpr std::size_t kLongest = std::size_t{1} << 20;

void addFrame(std::string& frames, std::string_view body) {
    const auto size = body.size();
    for (int shift = 0; shift < 32; shift += 8) {
        frames += static_cast<char>((size >> shift) & 0xffU);
    }
    frames.append(body);
}

/// The same request with a harmless signal; what makes no sense stays as it is.
std::string harmlessSignal(std::string_view body) {
    folder::Unpacker in(body);
    folder::Packer out(static_cast<folder::AgentCall>(in.number()));
    out.text(in.text(kLongest));
    const auto pid = in.number();
    const auto ticks = in.number();
    in.number();
    return in.done() ? out.number(pid).number(ticks).number(0).bytes() : std::string(body);
}

/// The same request with our program; what makes no sense stays as it is.
std::string harmlessStart(std::string_view body, const std::vector<std::string>& program) {
    folder::Unpacker in(body);
    folder::Packer out(static_cast<folder::AgentCall>(in.number()));
    out.text(in.text(kLongest)).number(program.size());
    for (auto left = in.number(kLongest); left > 0 && !in.done(); --left) {
        in.text(kLongest);
    }
    if (!in.done()) {
        return std::string(body);
    }
    for (const auto& word : program) {
        out.text(word);
    }
    return out.bytes();
}

struct Requests {
    std::string frames;
    std::size_t allowed = 0;  ///< Starts that have their word behind them.
};

Requests requestsIn(std::string_view input, const std::vector<std::string>& program) {
    Requests requests;
    bool isStart = false;
    while (!input.empty()) {
        const auto size = static_cast<unsigned char>(input.front());
        const auto body = input.substr(1, size);
        input.remove_prefix(1 + body.size());
        const auto call = static_cast<folder::AgentCall>(folder::Unpacker(body).number());
        if (call == folder::AgentCall::Signal) {
            addFrame(requests.frames, harmlessSignal(body));
        } else if (call == folder::AgentCall::Start) {
            addFrame(requests.frames, harmlessStart(body, program));
        } else {
            addFrame(requests.frames, body);
        }
        if (isStart && body == folder::Packer(folder::AgentCall::Go).number(1).bytes()) {
            ++requests.allowed;
        }
        isStart = call == folder::AgentCall::Start;
    }
    return requests;
}

/// Those that lead a session: libFuzzer has a child of its own, which tells functions' names.
void awaitStarted() {
    std::ifstream children("/proc/thread-self/children");
    for (pid_t pid = 0; children >> pid;) {
        if (::getsid(pid) == pid) {
            ::waitpid(pid, nullptr, 0);
        }
    }
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
    const auto ran = work.path() / "ran";
    const auto wanted = requestsIn(input, {"/bin/sh", "-c", "printf x >>" + ran.string()});
    const Fd requests = unnamed(wanted.frames);
    const Fd answers = unnamed("");

    const auto served = folder::serveFolders(account, requests.get(), answers.get());
    awaitStarted();

    require(served || isPlain(served.error().message), "an error holds nothing of the requests");
    std::string said(static_cast<std::size_t>(::lseek(answers.get(), 0, SEEK_END)), '\0');
    require(
        ::pread(answers.get(), said.data(), said.size(), 0) == static_cast<ssize_t>(said.size()),
        "answers can be read");
    require(said.find(kOfAnother) == std::string::npos, "no file of another account is read");
    require(testing::readFile(secret) == kOfAnother, "no file of another account is changed");
    require(testing::readFile(ran).size() <= wanted.allowed, "nothing runs without its word");
    for (const auto& found : std::filesystem::directory_iterator(work.path())) {
        require(found.path() == account || found.path() == secret || found.path() == ran,
                "nothing is made beside the account's folder");
    }
}

}  // namespace gridbridge::fuzz
