#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "backends/api/SharedFolder.h"
#include "backends/diracx/LiveLogReceiver.h"
#include "bridge/folder/DirectFolders.h"
#include "bridge/http/PocoTransport.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::testing {

/// A receiver on a port of this machine, with the job gb-a-1-1 in its folder.
class LiveLogTest : public ::testing::Test {
protected:
    static constexpr const char* kRun = "0123456789abcdef";

    LiveLogTest() {
        addJob("gb-a-1-1");
        restart();
    }
    std::filesystem::path workDir() const { return temp_.path() / "work"; }
    static JobRef ref() { return {{"gb-a-1-1"}, "", {"7"}, {}}; }
    void addJob(const std::string& key) {
        const std::vector<folder::StagedFile> staged{{kLoaderName, "true\n"}};
        ASSERT_TRUE(folders_.stage({{key}, ""}, staged).ok());
    }
    /// On the same port, once it has one.
    void restart() {
        receiver_.reset();
        log_ = std::make_unique<LiveLog>(folders_);
        receiver_ = std::make_unique<LiveLogReceiver>(config_, workDir(), *log_, clock_);
        config_.listen.port = receiver_->port();
        config_.url = "http://127.0.0.1:" + std::to_string(receiver_->port());
    }
    /// The whole header.
    std::string token(const std::string& key = "gb-a-1-1") const {
        const auto file = receiver_->filesFor({key}).front().content;
        const auto from = file.find("Bearer ");
        return file.substr(from, file.find('"', from) - from);
    }
    /// Status and body of the answer.
    std::string send(const std::string& method, const std::string& target,
                     const std::string& authorization, const std::string& body) {
        http::PocoTransport transport(config_.url, clock_, "tester/1", {});
        const auto got = transport.send({clock_.steadyNow() + std::chrono::seconds(20)},
                                        {.method = method,
                                         .path = target,
                                         .headers = {{"Authorization", authorization}},
                                         .body = body});
        return got ? std::to_string(got->status) + " " + got->body : got.error().message;
    }
    std::string post(std::int64_t offset, const std::string& bytes, const std::string& run = kRun,
                     const std::string& key = "gb-a-1-1", std::string authorization = "-") {
        authorization = authorization == "-" ? token(key) : authorization;
        return send("POST", "/v1/log/" + key + "?run=" + run + "&offset=" + std::to_string(offset),
                    authorization, bytes);
    }
    /// What the service reads.
    std::string shown(int run = 1, std::int64_t offset = 0) {
        const auto chunk = log_->read({ref(), run, offset});
        EXPECT_TRUE(chunk.ok());
        return chunk.ok() ? chunk->bytes : "";
    }

    TempDir temp_;
    SystemClock clock_;
    folder::DirectFolders folders_{workDir()};
    LiveLogConfig config_{.listen = {"127.0.0.1", 0, true}, .url = "http://127.0.0.1:1"};
    std::unique_ptr<LiveLog> log_;
    std::unique_ptr<LiveLogReceiver> receiver_;
};

}  // namespace gridbridge::testing
