#include "bridge/app/ConfigArc.h"

#include <sys/stat.h>

#include "bridge/app/ConfigTls.h"
#include "bridge/base/SmallFile.h"

namespace gridbridge::app {

namespace {

/// A certificate, or a token.
void identity(ConfigSection& section) {
    if (section.has("token_file") && section.has("tls_cert_file")) {
        section.report("token_file", "tls_cert_file and token_file are both given",
                       "keep one of them");
    } else if (!section.has("token_file") && !section.has("tls_cert_file")) {
        section.report("tls_cert_file", "is missing",
                       "name the file with the service's certificate, or one with a bearer token "
                       "in token_file");
    }
}

/// It may come later, and is read then.
void tokenFile(ConfigSection& section, const std::filesystem::path& file) {
    constexpr std::size_t kLargest = std::size_t{16} << 10U;
    const auto content = readSmallFile(file, kLargest);
    if (content && (content->mode & S_IROTH) != 0) {
        section.report("token_file", file.string() + " can be read by every account",
                       "run chmod 600 " + file.string());
    }
}

}  // namespace

void takeArc(ConfigSection& section, BackendConfig& backend) {
    auto& arc = backend.arc;
    arc.url = takeHttpsUrl(section, "write the address of the A-REX, like https://HOST/arex");
    arc.tls = takeTls(section);
    arc.tokenFile = section.absolutePath("token_file").value_or("");
    identity(section);
    tokenFile(section, arc.tokenFile);
    arc.queue = section.text("queue").value_or("");
    if (!arc.queue.empty() && !isSchedulerName(arc.queue)) {
        section.report("queue", "is not a name", "use letters, digits, '.', '_', '@' and '-' only");
    }
}

KeyChanges changesOfArc(const BackendConfig& now, const BackendConfig& next) {
    const auto& a = now.arc;
    const auto& b = next.arc;
    return {{".url", a.url != b.url},
            {".tls_ca_file", a.tls.ca != b.tls.ca},
            {".tls_cert_file", a.tls.cert != b.tls.cert},
            {".tls_key_file", a.tls.key != b.tls.key},
            {".token_file", a.tokenFile != b.tokenFile},
            {".queue", a.queue != b.queue}};
}

std::set<core::Resource> resourcesOfArc(const BackendConfig& /*backend*/) {
    using enum core::Resource;
    return {Cpus, Memory, Queue};
}

}  // namespace gridbridge::app
