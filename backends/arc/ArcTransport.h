#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/http/Transport.h"

namespace gridbridge {

/// A transport that is made anew once one of its files has changed: a proxy lives half a day, and
/// whoever renews it replaces the file.
class ArcTransport final : public http::Transport {
public:
    using Make = std::function<std::unique_ptr<http::Transport>()>;

    /// What `make` throws comes out of this constructor; later, the one before is used until the
    /// files make sense.
    ArcTransport(std::vector<std::filesystem::path> files, Make make);

    Result<http::Response> send(const CallContext& ctx, const http::Request& request) override;
    const std::string& baseUrl() const override { return url_; }
    Result<std::unique_ptr<http::Transport>> to(const std::string& url) const override;

private:
    /// When the files were changed, and how long they are.
    std::string stamp() const;
    std::shared_ptr<http::Transport> current();

    const std::vector<std::filesystem::path> files_;
    const Make make_;
    mutable std::mutex mutex_;
    std::string stamp_;
    std::shared_ptr<http::Transport> real_;
    const std::string url_;
};

}  // namespace gridbridge
