#pragma once

#include <memory>
#include <string_view>

#include "bridge/base/Sink.h"
#include "bridge/payload/Member.h"

namespace gridbridge::payload {

/// Puts members into a sink in the form that GitLab wants them in, the same bytes for the same
/// members. Each call is false once the sink takes no more, or, with broken(), when something
/// cannot be written. One thread at a time.
class Packer {
public:
    Packer() = default;
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;
    virtual ~Packer() = default;

    /// The bytes of a file follow with write().
    virtual bool begin(const Member& member) = 0;
    virtual bool write(std::string_view bytes) = 0;
    virtual bool finish() = 0;
    virtual bool broken() const { return false; }
};

/// Archives: a zip (job-execution 6.4). In memory stays its directory, about 100 bytes for each
/// member.
std::unique_ptr<Packer> zipPacker(Sink sink);
/// Dependencies: a tar packed by gzip, in GNU's form, which keeps the bytes of names as they are.
std::unique_ptr<Packer> tarPacker(Sink sink);
/// Reports: a gzip member for each file, which names it in its header. Files only.
std::unique_ptr<Packer> gzipPacker(Sink sink);
/// Reports: the bytes of one file.
std::unique_ptr<Packer> rawPacker(Sink sink);

}  // namespace gridbridge::payload
