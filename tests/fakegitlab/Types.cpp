#include "tests/fakegitlab/Types.h"

#include "tests/fakegitlab/Upload.h"

namespace gridbridge::fakegitlab {

std::string_view nameOf(Status status) {
    switch (status) {
        case Status::Created:
            return "created";
        case Status::Pending:
            return "pending";
        case Status::Running:
            return "running";
        case Status::Canceling:
            return "canceling";
        case Status::Success:
            return "success";
        case Status::Failed:
            return "failed";
        case Status::Canceled:
            return "canceled";
    }
    return "";
}

bool isEnded(Status status) {
    return status == Status::Success || status == Status::Failed || status == Status::Canceled;
}

const std::string& Request::header(const std::string& name) const {
    static const std::string kNone;
    const auto found = headers.find(name);
    return found == headers.end() ? kNone : found->second;
}

std::uint64_t Request::bodyBytes() const {
    return upload ? upload->bodyBytes : body.size();
}

std::string Reply::header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
        if (key == name) {
            return value;
        }
    }
    return {};
}

}  // namespace gridbridge::fakegitlab
