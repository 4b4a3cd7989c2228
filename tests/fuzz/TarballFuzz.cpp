#include <utility>

#include "bridge/payload/Packer.h"
#include "bridge/payload/TarReader.h"
#include "tests/fakes/Gzip.h"
#include "tests/fuzz/Fuzz.h"

// Input: a tar archive, which is compressed here: hardly any other bytes have gzip's checksum.

namespace gridbridge::fuzz {

namespace {

bool leadsOut(std::string_view name) {
    return name.empty() || name.front() == '/' ||
           ("/" + std::string(name) + "/").find("/../") != std::string::npos;
}

}  // namespace

void tryWith(std::string_view input) {
    std::string rest = testing::gzip(input);
    payload::TarReader reader([&rest]() -> Result<std::string> { return std::exchange(rest, {}); });
    std::size_t written = 0;
    const auto zip =
        payload::zipPacker([&](std::string_view bytes) { return written += bytes.size(), true; });
    std::string last;
    for (;;) {
        const auto member = reader.next();
        if (!member || !*member) {
            require(!member || zip->finish(), "what was read is packed");
            return;
        }
        const auto& [name, kind, mode, modifiedAt, size, target] = **member;
        require(!leadsOut(name), "no name leads out of the project");
        require(last < name, "each name comes once, in order");
        require(size >= 0 && mode <= 0777U, "numbers are sane");
        last = name;
        require(zip->begin(**member), "what was read is packed");
        if (!reader.content([&](std::string_view bytes) { return zip->write(bytes); })) {
            return;
        }
        require(!zip->broken(), "what was read is packed");
    }
}

}  // namespace gridbridge::fuzz
