#include "backends/arc/ArcTransport.h"

#include <exception>
#include <sys/stat.h>

namespace gridbridge {

ArcTransport::ArcTransport(std::vector<std::filesystem::path> files, Make make)
    : files_(std::move(files)),
      make_(std::move(make)),
      stamp_(stamp()),
      real_(make_()),
      url_(real_->baseUrl()) {}

std::string ArcTransport::stamp() const {
    std::string text;
    for (const auto& file : files_) {
        struct stat info {};
        if (!file.empty() && ::stat(file.c_str(), &info) == 0) {
            text += std::to_string(info.st_ino) + "/" + std::to_string(info.st_size) + "/" +
                    std::to_string(info.st_mtim.tv_sec) + "." +
                    std::to_string(info.st_mtim.tv_nsec);
        }
        text += " ";
    }
    return text;
}

std::shared_ptr<http::Transport> ArcTransport::current() {
    const std::lock_guard lock(mutex_);
    if (auto now = stamp(); now != stamp_) {
        try {
            real_ = make_();
            stamp_ = std::move(now);
        } catch (const std::exception&) {  // Half of them have come: the next call tries again.
            return real_;
        }
    }
    return real_;
}

Result<http::Response> ArcTransport::send(const CallContext& ctx, const http::Request& request) {
    return current()->send(ctx, request);
}

Result<std::unique_ptr<http::Transport>> ArcTransport::to(const std::string& url) const {
    const std::lock_guard lock(mutex_);
    return real_->to(url);
}

}  // namespace gridbridge
