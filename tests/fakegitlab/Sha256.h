#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace gridbridge::fakegitlab {

/// SHA-256 of bytes that come piece by piece.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void add(std::string_view piece);
    /// Lower-case hex. Once only.
    std::string hex();
    static std::string of(std::string_view bytes);

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace gridbridge::fakegitlab
