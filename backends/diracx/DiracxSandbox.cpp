#include "backends/diracx/DiracxSandbox.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "bridge/folder/FolderFiles.h"

namespace gridbridge {
namespace {

constexpr std::string_view kWrapper = R"gb(#!/bin/bash
# gridbridge: runs one CI job in the folder into which DIRAC unpacked its files, and gives back what it left.
exec 2>&1 </dev/null
umask 077
gb_top=$PWD
[ -e gridbridge ] || { mkdir gridbridge && mv in gridbridge/in && cp gridbridge/in/diracx-outputs gridbridge/outputs; } || exit 1
gb_most=@MOST@                       # MiB; a larger sandbox is refused, and what is packed already does not shrink
gb_left=$(((gb_most - 1) * 1024 * 1024))  # bytes
mkdir -p gridbridge/out && cd gridbridge || exit 1

# The log's last line, of which the status file must know.
gb_say() {
  printf '\033[0;33mWARNING: %s\033[0;m\n' "$1" >>out/log
  [ ! -f out/status ] || sed -i "s/^log_bytes=.*/log_bytes=$(($(wc -c <out/log)))/" out/status
}
gb_size() { wc -c <"out/$1"; }
gb_is_file() { [ -f "out/$1" ] && [ ! -L "out/$1" ]; }

# Whoever is killed at the end must be there: its number may be another process's by then.
gb_wait() { while kill -0 $$; do sleep 60; done; exit; }
# The live log: `# URL MILLISECONDS` in the file that tells curl the token, which is in no argument. An answer says
# what the bridge has of this log, and what else is to be done; one of anybody else, as of a proxy, says nothing.
gb_live() {
  local url period pause run offset=0 size answer full=
  set +m
  exec >/dev/null 2>&1
  command -v curl || gb_wait
  IFS=' ' read -r answer url period <in/live
  run=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
  pause=$period
  while kill -0 $$; do
    size=0
    [ -n "$full" ] || ! gb_is_file log || size=$(($(gb_size log)))
    [ "$size" -gt "$offset" ] || size=$offset
    [ $((size - offset)) -le 65536 ] || size=$((offset + 65536))
    answer=$(
      { [ "$size" -eq "$offset" ] || tail -c "+$((offset + 1))" out/log | head -c "$((size - offset))"; } |
        curl -q -s -g -m 15 -K in/live -H 'Expect:' -H 'Content-Type: application/octet-stream' \
          --data-binary @- -w ' %{http_code}' "$url?run=$run&offset=$offset" | head -c 200
    )
    if [[ $answer =~ ^([0-9]+)(( [a-z]+)*)' '(200|409|507)$ ]]; then
      offset=${BASH_REMATCH[1]} pause=$period
      [[ "${BASH_REMATCH[2]} " != *' cancel '* ]] || : >>in/cancel
      [[ "${BASH_REMATCH[2]} " != *' full '* ]] || full=1
      [[ $answer != *' 200' ]] || [ -n "$full" ] || [ $(($(gb_size log) - offset)) -lt 65536 ] || continue
    elif [ "$answer" = 'gone 410' ]; then
      kill -TERM "$gb_job"
      gb_wait
    else
      pause=$((pause * 2 < 60000 ? pause * 2 : 60000))
    fi
    sleep "$((pause / 1000)).$(printf '%03d' $((pause % 1000)))" || sleep 5
  done
}

trap '[ -z "$gb_job" ] || kill -TERM "$gb_job" 2>/dev/null' TERM INT HUP
gb_job= gb_poster=
bash --noprofile --norc in/loader.sh &
gb_job=$!
[ ! -f in/live ] || {
  set -m
  gb_live &
  gb_poster=$!
  set +m
}
while
  wait "$gb_job"
  gb_code=$?
  kill -0 "$gb_job" 2>/dev/null
do :; done
trap '' TERM INT HUP
# What it has not sent comes with the other files.
[ -z "$gb_poster" ] || { kill -KILL -- "-$gb_poster"; wait "$gb_poster"; } 2>/dev/null

echo "$gb_code" >"$gb_top/exit"
if gb_is_file log && [ $(($(gb_size log))) -gt $((gb_left / 2)) ]; then
  head -c $((gb_left / 2)) out/log >out/log.cut && mv -f out/log.cut out/log
  echo >>out/log
  gb_say "this log is longer than what DIRAC carries ($gb_most MiB with all other files): the rest of it is lost"
fi
gb_left=$((gb_left - 65536 - $(gb_is_file log && gb_size log || echo 0)))
while IFS= read -r gb_name; do
  case $gb_name in log | status) continue ;; esac
  gb_is_file "$gb_name" || continue
  if [ $(($(gb_size "$gb_name"))) -gt "$gb_left" ]; then
    gb_say "$gb_name has $(($(gb_size "$gb_name"))) bytes, and DIRAC carries no more than $gb_most MiB of all files of a job: it is lost"
    continue
  fi
  gb_left=$((gb_left - $(gb_size "$gb_name")))
  mv -f "out/$gb_name" "$gb_top/$gb_name"
done <outputs
for gb_name in log status; do
  ! gb_is_file "$gb_name" || mv -f "out/$gb_name" "$gb_top/$gb_name"
done
cd "$gb_top" && rm -rf gridbridge
[ "$gb_code" -eq 0 ]
)gb";

constexpr std::size_t kMostOthers = 100;
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;

struct WriteFree {
    void operator()(archive* a) const { archive_write_free(a); }
};
struct ReadFree {
    void operator()(archive* a) const { archive_read_free(a); }
};
struct EntryFree {
    void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Entry = std::unique_ptr<archive_entry, EntryFree>;

la_ssize_t appendTo(archive*, void* target, const void* bytes, std::size_t size) noexcept {
    try {
        auto& packed = *static_cast<std::string*>(target);
        if (packed.size() + size > static_cast<std::size_t>(kDiracxMostPacked)) {
            return -1;
        }
        packed.append(static_cast<const char*>(bytes), size);
        return static_cast<la_ssize_t>(size);
    } catch (const std::exception&) {
        return -1;
    }
}

bool add(archive* target, const SandboxFile& file) {
    const Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), file.name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0700);
    archive_entry_set_mtime(entry.get(), 0, 0);  // The same files are the same sandbox.
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(file.content.size()));
    return archive_write_header(target, entry.get()) == ARCHIVE_OK &&
           archive_write_data(target, file.content.data(), file.content.size()) ==
               static_cast<la_ssize_t>(file.content.size());
}

Error hostile(const std::string& what) {
    return permanentError("the output sandbox is refused: " + what);
}

/// No job can do that: it is asked for again.
Error damaged() {
    return transientError("the output sandbox is refused: it is damaged");
}

/// Reads one archive.
class Unpacking {
public:
    Unpacking(archive* reader, const std::set<std::string>& wanted, const SandboxSink& sink)
        : reader_(reader), wanted_(wanted), sink_(sink) {}

    Result<void> all() {
        archive_entry* entry = nullptr;
        int state = ARCHIVE_OK;
        while ((state = archive_read_next_header(reader_, &entry)) == ARCHIVE_OK) {
            const auto name = checked(entry);
            if (!name) {
                return name.error();
            }
            if (!wanted_.contains(*name)) {
                continue;  // The next header skips it.
            }
            if (auto taken = content(*name); !taken) {
                return taken;
            }
        }
        return state == ARCHIVE_EOF ? Result<void>() : damaged();
    }

private:
    Result<std::string> checked(archive_entry* entry) {
        const char* path = archive_entry_pathname(entry);
        const std::string name = path == nullptr ? "" : path;
        if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
            return hostile("it holds something other than files");
        }
        if (!folder::checkFileName(name) || !names_.insert(name).second) {
            return hostile("it holds a name that no job gives back");
        }
        const auto size = archive_entry_size(entry);
        if (names_.size() > wanted_.size() + kMostOthers || size < 0 ||
            size > kMostBytes - bytes_) {
            return hostile("it holds more files than a job leaves, or more than 256 MiB");
        }
        bytes_ += size;
        left_ = size;
        return name;
    }

    Result<void> content(const std::string& name) {
        std::int64_t offset = 0;
        if (left_ == 0) {
            return sink_(name, 0, {});
        }
        while (left_ > 0) {
            const auto got = archive_read_data(reader_, block_.data(), block_.size());
            if (got <= 0 || got > left_) {
                return damaged();
            }
            const std::string_view bytes(block_.data(), static_cast<std::size_t>(got));
            if (auto taken = sink_(name, offset, bytes); !taken) {
                return taken;
            }
            offset += got;
            left_ -= got;
        }
        return {};
    }

    archive* reader_;
    const std::set<std::string>& wanted_;
    const SandboxSink& sink_;
    std::set<std::string> names_;
    std::int64_t bytes_ = 0;
    std::int64_t left_ = 0;
    std::vector<char> block_ = std::vector<char>(std::size_t{256} << 10U);
};

}  // namespace

Result<std::string> packSandbox(const std::vector<SandboxFile>& files) {
    std::string packed;
    const std::unique_ptr<archive, WriteFree> target(archive_write_new());
    bool good =
        archive_write_set_format_ustar(target.get()) == ARCHIVE_OK &&
        archive_write_add_filter_zstd(target.get()) == ARCHIVE_OK &&
        // Zeros behind a zstd frame are an error to those that unpack it.
        archive_write_set_bytes_in_last_block(target.get(), 1) == ARCHIVE_OK &&
        archive_write_open(target.get(), &packed, nullptr, &appendTo, nullptr) == ARCHIVE_OK;
    for (const auto& file : files) {
        good = good && add(target.get(), file);
    }
    if (!good || archive_write_close(target.get()) != ARCHIVE_OK) {
        return permanentError(
            "the script and the artifacts that the job depends on are more than 100 MiB, packed, "
            "and DIRAC carries no more");
    }
    return packed;
}

std::string sandboxChecksum(const std::string& packed) {
    Poco::SHA2Engine hash(Poco::SHA2Engine::SHA_256);
    hash.update(packed);
    return Poco::DigestEngine::digestToHex(hash.digest());
}

std::vector<SandboxFile> wrapperSandbox(std::int64_t mostPacked) {
    constexpr std::string_view kPlace = "@MOST@";
    std::string text(kWrapper);
    text.replace(text.find(kPlace), kPlace.size(), std::to_string(mostPacked >> 20));
    return {{kDiracxWrapperName, text}};
}

std::vector<SandboxFile> jobSandbox(std::vector<SandboxFile> inputs,
                                    const std::vector<std::string>& outputs) {
    for (auto& input : inputs) {
        input.name.insert(0, "gridbridge/in/");
    }
    std::string names;
    for (const auto& output : outputs) {
        names += output + "\n";
    }
    inputs.push_back({"gridbridge/outputs", names});
    return inputs;
}

Result<void> unpackSandbox(std::FILE* packed, const std::set<std::string>& wanted,
                           const SandboxSink& sink) {
    const std::unique_ptr<archive, ReadFree> reader(archive_read_new());
    if (archive_read_support_filter_zstd(reader.get()) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(reader.get()) != ARCHIVE_OK ||
        archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
        archive_read_open_FILE(reader.get(), packed) != ARCHIVE_OK) {
        return damaged();
    }
    return Unpacking(reader.get(), wanted, sink).all();
}

}  // namespace gridbridge
