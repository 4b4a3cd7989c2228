#pragma once

#include <string>
#include <utility>

namespace gridbridge {

/// Text that must not leave the program by accident: it has no formatter and no stream operator,
/// so that logging it does not compile. `reveal()` marks the few places that really need it.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}

    const std::string& reveal() const noexcept { return text_; }
    bool empty() const noexcept { return text_.empty(); }
    bool operator==(const Secret&) const = default;

private:
    std::string text_;
};

}  // namespace gridbridge
