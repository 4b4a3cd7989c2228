#pragma once

#include <archive.h>

#include <memory>
#include <optional>

#include "bridge/payload/Member.h"

namespace gridbridge::payload {

struct ReadFree {
    void operator()(archive* a) const { archive_read_free(a); }
};
using Reader = std::unique_ptr<archive, ReadFree>;

/// What libarchive says of an entry, without its name; nothing = it is no plain file, folder or
/// symbolic link. Its mode is permissions alone, its time one that a zip can say.
std::optional<Member> memberOf(archive_entry* entry);

}  // namespace gridbridge::payload
