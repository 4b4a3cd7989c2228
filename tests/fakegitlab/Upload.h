#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <string>

namespace gridbridge::fakegitlab {

/// A multipart body that was read as it came.
struct Upload {
    bool whole = false;    ///< Its closing boundary came.
    bool hasFile = false;  ///< Part `file` with a file name.
    std::string filename = {};
    std::uint64_t size = 0;   ///< Of the file.
    std::string sha256 = {};  ///< Of the file, lower-case hex.
    std::string head = {};    ///< The first bytes of the file, whatever is kept of it.
    std::string bytes = {};   ///< Of the file; empty when there were more than were to be kept.
    std::map<std::string, std::string> fields = {};  ///< The other parts, cut at 64 KiB.
    std::uint64_t bodyBytes = 0;
    std::size_t bodyHash = 0;  ///< Equal for equal bodies.
};

/// Reads `body` to its end. Needs memory for at most `keep` bytes of a file, plus a constant.
Upload readUpload(std::istream& body, const std::string& contentType, std::uint64_t keep);

}  // namespace gridbridge::fakegitlab
