#include "backends/diracx/LiveLogReceiver.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <sys/statvfs.h>

#include "backends/api/SchedulerCommands.h"
#include "bridge/base/ReplaceFile.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge {

/// What a request is about.
struct LiveLogReceiver::Target {
    SubmissionKey key;
    std::string run;
    std::int64_t offset = 0;
};

namespace {

constexpr std::string_view kPath = "/v1/log/";
constexpr std::size_t kKeyBytes = 32;
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string hex(const unsigned char* bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += kHexDigits[bytes[i] >> 4U];
        text += kHexDigits[bytes[i] & 15U];
    }
    return text;
}

bool isHex(std::string_view text, std::size_t size) {
    return text.size() == size && text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

std::filesystem::path keyFile(const std::filesystem::path& workDir) {
    return workDir / "live-log.key";
}

std::string keyIn(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string text(2 * kKeyBytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    return in && isHex(text, 2 * kKeyBytes) ? text : "";
}

std::string authoritiesIn(const std::filesystem::path& file) {
    constexpr std::size_t kLongest = std::size_t{1} << 20U;
    const auto content =
        file.empty() ? Result<SmallFile>(SmallFile{}) : readSmallFile(file, kLongest);
    if (!content) {
        throw std::runtime_error("live_log_ca_file: " + file.string() + " " +
                                 content.error().message);
    }
    return content->text;
}

/// Of a proxy on this machine come those of all nodes.
int mostFromOneAddress(const http::ListenAddress& address) {
    const http::ServerOptions usual;
    return address.isLoopback ? usual.connections : usual.fromOneAddress;
}

/// Made once: the tokens of jobs that are on nodes outlive the service.
Secret madeOrKept(const std::filesystem::path& file) {
    if (auto key = keyIn(file); !key.empty()) {
        return Secret(std::move(key));
    }
    std::error_code error;
    if (std::filesystem::exists(file, error) || error) {
        throw std::runtime_error(file.string() +
                                 " cannot be read, or holds no key: see to it, or remove it");
    }
    std::array<unsigned char, kKeyBytes> bytes{};
    if (::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        throw std::runtime_error("no random bytes for " + file.string());
    }
    auto key = hex(bytes.data(), bytes.size());
    if (const auto written = replaceFile(file, key); !written) {
        throw std::runtime_error(written.error().message);
    }
    return Secret(std::move(key));
}

std::optional<std::int64_t> numberIn(std::string_view text) {
    std::int64_t number = -1;
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    return read.ec == std::errc() && read.ptr == end && number >= 0 ? std::optional(number)
                                                                    : std::nullopt;
}

/// The answer's body: what is here of the log, and what else the wrapper is to know.
std::string words(const LiveLog::Taken& taken) {
    return std::to_string(taken.size) + (taken.cancel ? " cancel" : "") +
           (taken.isFull() ? " full" : "");
}

bool hasRoom(const std::filesystem::path& folder, std::uint64_t least) {
    struct statvfs disk {};
    return ::statvfs(folder.c_str(), &disk) != 0 ||
           std::uint64_t{disk.f_bavail} * disk.f_frsize >= least;
}

/// Whose log a request's target names, whatever follows that.
std::optional<SubmissionKey> submissionIn(std::string_view target) {
    if (!target.starts_with(kPath)) {
        return std::nullopt;
    }
    target.remove_prefix(kPath.size());
    const auto key = target.substr(0, target.find('?'));
    return isOurName(key) ? std::optional(SubmissionKey{std::string(key)}) : std::nullopt;
}

}  // namespace

LiveLogReceiver::LiveLogReceiver(LiveLogConfig config, std::filesystem::path workDir, LiveLog& log,
                                 Clock& clock)
    : config_(std::move(config)),
      workDir_(std::move(workDir)),
      log_(log),
      clock_(clock),
      authorities_(authoritiesIn(config_.tls.ca)),
      key_(madeOrKept(keyFile(workDir_))),
      since_(clock.steadyNow()),
      server_(std::make_unique<http::Server>(
          http::ServerOptions{.address = config_.listen,
                              .tls = {{}, config_.tls.cert, config_.tls.key},
                              .fromOneAddress = mostFromOneAddress(config_.listen)},
          [this](const http::ServerRequest& request) { return answer(request); }, clock)) {}

std::string LiveLogReceiver::tokenOf(const SubmissionKey& key) const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    const auto& secret = key_.reveal();
    const std::string text = "live log of " + key.value;
    ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
    return hex(mac.data(), size);
}

bool LiveLogReceiver::isAllowed(const http::ServerRequest& request,
                                const SubmissionKey& key) const {
    const auto wanted = "Bearer " + tokenOf(key);
    return request.authorization.size() == wanted.size() &&
           ::CRYPTO_memcmp(request.authorization.data(), wanted.data(), wanted.size()) == 0;
}

std::vector<SandboxFile> LiveLogReceiver::filesFor(const SubmissionKey& key) const {
    std::string curl = "# " + config_.url + std::string(kPath) + key.value + " " +
                       std::to_string(config_.period.count()) +
                       "\nheader = \"Authorization: Bearer " + tokenOf(key) + "\"\n";
    if (authorities_.empty()) {
        return {{kLiveName, curl}};
    }
    curl += std::string("cacert = \"in/") + kLiveCaName + "\"\n";
    return {{kLiveName, curl}, {kLiveCaName, authorities_}};
}

http::ServerReply LiveLogReceiver::answer(const http::ServerRequest& request) {
    const auto key = submissionIn(request.target);
    if (!key || !isAllowed(request, *key)) {
        return {403, "no such log, or not with this token"};
    }
    if (request.method != "POST") {
        return {405, "only POST is taken here"};
    }
    constexpr std::size_t kRunDigits = 16;
    constexpr std::string_view kRun = "?run=";
    constexpr std::string_view kOffset = "&offset=";
    auto query = std::string_view(request.target).substr(kPath.size() + key->value.size());
    const auto run = query.substr(std::min(query.size(), kRun.size()), kRunDigits);
    const auto rest = query.substr(std::min(query.size(), kRun.size() + kRunDigits));
    const auto offset = rest.starts_with(kOffset) ? numberIn(rest.substr(kOffset.size()))
                                                  : std::optional<std::int64_t>();
    if (!query.starts_with(kRun) || !isHex(run, kRunDigits) || !offset) {
        return {400, "it is asked for as ?run=16 HEXADECIMAL DIGITS&offset=NUMBER"};
    }
    return take({*key, std::string(run), *offset}, request.body);
}

http::ServerReply LiveLogReceiver::take(const Target& target, const std::string& body) {
    const bool fits = body.empty() || hasRoom(workDir_, config_.leastFree);
    // Without room a cancel is told all the same.
    const auto taken =
        log_.take({target.key, target.run, target.offset, fits ? std::string_view(body) : ""});
    if (!taken) {
        return {503, "not now"};
    }
    if (taken->outcome == LiveLog::Outcome::Unwanted) {
        // Where all of the folder is away, as one that is not mounted, that says nothing.
        const bool isHere = keyIn(keyFile(workDir_)) == key_.reveal();
        return isHere ? http::ServerReply{410, "gone"} : http::ServerReply{503, "not now"};
    }
    if (taken->outcome != LiveLog::Outcome::Stranger) {
        const std::lock_guard lock(mutex_);
        heard_[target.key.value] = clock_.steadyNow();
    }
    switch (taken->outcome) {
        case LiveLog::Outcome::Stranger:
            return {429, "too many copies of this job have been heard"};
        case LiveLog::Outcome::Elsewhere:
            return {409, words(*taken)};
        case LiveLog::Outcome::Taken:
        case LiveLog::Outcome::Unwanted:
            break;
    }
    return {fits ? 200 : 507, words(*taken)};
}

bool LiveLogReceiver::hears(const JobRef& ref) {
    // A wrapper that was not answered waits for a minute at most.
    constexpr std::chrono::minutes kSilence{2};
    const auto now = clock_.steadyNow();
    {
        const std::lock_guard lock(mutex_);
        const auto heard = heard_.find(ref.key.value);
        if (heard != heard_.end()) {
            return now < heard->second + kSilence;
        }
    }
    if (now >= since_ + kSilence) {
        return false;
    }
    const auto before = log_.isHeard(ref);
    return before.ok() && *before;
}

void LiveLogReceiver::forget(const SubmissionKey& key) {
    const std::lock_guard lock(mutex_);
    heard_.erase(key.value);
}

}  // namespace gridbridge
