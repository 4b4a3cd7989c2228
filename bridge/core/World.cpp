#include "bridge/core/World.h"

#include <charconv>

namespace gridbridge::core {

namespace {

/// `<job row>-<attempt>` at the end of a submission key.
std::optional<std::pair<JobRow, int>> rowOf(const SubmissionKey& key) {
    const std::string& text = key.value;
    const auto last = text.rfind('-');
    const auto before =
        last == std::string::npos || last == 0 ? std::string::npos : text.rfind('-', last - 1);
    if (before == std::string::npos) {
        return std::nullopt;
    }
    std::int64_t row = 0;
    int attempt = 0;
    const auto first = std::from_chars(text.data() + before + 1, text.data() + last, row);
    const auto second = std::from_chars(text.data() + last + 1, text.data() + text.size(), attempt);
    if (first.ec != std::errc{} || second.ec != std::errc{}) {
        return std::nullopt;
    }
    return std::pair(JobRow{row}, attempt);
}

}  // namespace

ChangeListener changeListener(Answers& answers) {
    return [&answers](const SubmissionKey& key) {
        if (const auto row = rowOf(key)) {
            answers.post(
                {row->first, row->second, [](Facts&, Live& live) { live.lookWanted = true; }});
        }
    };
}

}  // namespace gridbridge::core
