#include "bridge/payload/Dependency.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include "bridge/payload/ArchiveReader.h"
#include "bridge/payload/Packer.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

/// Bytes of names above members that are looked up. Who exceeds it wants to cost time.
constexpr std::size_t kMostLookedUp = std::size_t{512} << 20;
/// Of all folders together.
constexpr std::size_t kMostFolderNames = std::size_t{64} << 20;
constexpr unsigned kFolderMode = 0755;

/// What stands where.
class Tree {
public:
    /// Gives folders above the member that were not there yet to `made`, from the top. Error = the
    /// member cannot be where it says.
    Result<void> add(const Member& member, const std::function<void(std::string)>& made) {
        const std::string_view name = member.name;
        // What it has in common with the one before was looked at then.
        const auto shared = static_cast<std::size_t>(
            std::mismatch(name.begin(), name.end(), last_.begin(), last_.end()).first -
            name.begin());
        for (auto end = name.find('/'); end != std::string_view::npos;
             end = name.find('/', end + 1)) {
            if (end < shared) {
                continue;
            }
            lookedUp_ += end;
            if (lookedUp_ > kMostLookedUp) {
                return permanentError("they have too many long names");
            }
            const auto above = name.substr(0, end);
            if (others_.contains(hash(above))) {
                return wrong("something in them lies below what is no folder", name);
            }
            if (!folders_.contains(above)) {
                if (auto room = addFolder(above); !room) {
                    return room;
                }
                made(std::string(above));
            }
        }
        last_ = name;
        if (member.kind == Member::Kind::Folder) {
            return others_.contains(hash(name)) ? twice(name) : addFolder(name);
        }
        return folders_.contains(name) || !others_.insert(hash(name)).second ? twice(name)
                                                                             : Result<void>();
    }

private:
    /// Two names with the same are taken for one: what has both is refused, wrongly once in
    /// 10,000,000 archives of a million files.
    static std::size_t hash(std::string_view name) { return std::hash<std::string_view>()(name); }

    static Error wrong(const char* what, std::string_view name) {
        return permanentError(std::string(what) + ": " + oneLine(name));
    }
    static Error twice(std::string_view name) { return wrong("a name comes twice in them", name); }

    Result<void> addFolder(std::string_view name) {
        if (folders_.contains(name)) {
            return {};
        }
        names_ += name.size();
        folders_.emplace(name);
        if (names_ > kMostFolderNames || folders_.size() + others_.size() > kMostMembers) {
            return permanentError("they are more than " + std::to_string(kMostMembers) +
                                  " files and folders, or too many for their long names");
        }
        return {};
    }

    std::set<std::string, std::less<>> folders_;
    std::set<std::size_t> others_;  ///< In order: hashes can be chosen so that a table is slow.
    std::string last_;
    std::size_t names_ = 0;
    std::size_t lookedUp_ = 0;
};

Error named(const gitlab::Dependency& dependency, Error error) {
    error.message = "the artifacts of " + oneLine(dependency.name) + " (" +
                    std::to_string(dependency.id) + ") cannot be " +
                    (error.kind == ErrorKind::Permanent ? "used: " : "read: ") + error.message;
    return error;
}

/// Takes a member, whose bytes the reader has; false = no more.
using Take = std::function<Result<bool>(const Member& member, ArchiveReader& reader)>;

Result<void> each(int file, const std::stop_token& stop, const Take& take) {
    ArchiveReader reader(file);
    for (;;) {
        if (stop.stop_requested()) {
            return transientError("it was stopped");
        }
        const auto member = reader.next();
        if (!member) {
            return member.error();
        }
        if (!*member) {
            return {};
        }
        const auto going = take(**member, reader);
        if (!going) {
            return going.error();
        }
        if (!*going) {
            return {};
        }
    }
}

/// Files and folders; links are only looked at.
Result<void> packTree(int file, const std::stop_token& stop, const Sink& sink, Packer* packer,
                      bool& going) {
    Tree tree;
    return each(file, stop, [&](const Member& member, ArchiveReader& reader) -> Result<bool> {
        const auto put = [&](const Member& some) {
            going = going && (packer == nullptr || packer->begin(some));
        };
        auto placed = tree.add(member, [&](std::string above) {
            Member folder = member;
            folder.kind = Member::Kind::Folder;
            folder.name = std::move(above);
            folder.mode = kFolderMode;
            folder.size = 0;
            folder.target.clear();
            put(folder);
        });
        if (!placed) {
            return placed.error();
        }
        if (member.kind != Member::Kind::Link) {
            put(member);
        }
        if (member.kind == Member::Kind::File) {
            auto read = reader.content(
                [&](std::string_view bytes) { return !stop.stop_requested() && sink(bytes); });
            if (!read) {
                return read.error();
            }
        }
        return going;
    });
}

Result<void> packLinks(int file, const std::stop_token& stop, Packer& packer, bool& going) {
    return each(file, stop, [&](const Member& member, ArchiveReader&) -> Result<bool> {
        going = going && (member.kind != Member::Kind::Link || packer.begin(member));
        return going;
    });
}

}  // namespace

bool hasArchive(const gitlab::Dependency& dependency) {
    return !dependency.filename.empty();
}

std::string dependencyTarball(std::size_t index) {
    return "dependency." + std::to_string(index) + ".tar.gz";
}

Result<void> checkDependency(const gitlab::Dependency& dependency, int file,
                             const std::stop_token& stop) {
    bool going = true;
    auto whole = packTree(
        file, stop, [](std::string_view) { return true; }, nullptr, going);
    return whole ? whole : named(dependency, whole.error());
}

Result<void> packDependency(const gitlab::Dependency& dependency, int file, const Sink& sink,
                            const std::stop_token& stop) {
    const auto packer = tarPacker(sink);
    bool going = true;
    auto packed = packTree(
        file, stop, [&](std::string_view bytes) { return going = going && packer->write(bytes); },
        packer.get(), going);
    if (packed && going) {
        packed = packLinks(file, stop, *packer, going);
    }
    going = going && packed && packer->finish();
    if (packed && packer->broken()) {
        packed = permanentError("they cannot be packed");
    }
    return packed ? packed : named(dependency, packed.error());
}

}  // namespace gridbridge::payload
