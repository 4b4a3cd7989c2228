#include <gtest/gtest.h>

#include <stdexcept>

#include "bridge/http/BaseUrl.h"

namespace gridbridge::http {
namespace {

TEST(BaseUrlTest, WhatPeoplePasteBecomesOneForm) {
    const std::pair<const char*, const char*> cases[] = {
        {"https://git.example.org", "https://git.example.org"},
        {"https://git.example.org///", "https://git.example.org"},
        {"HTTPS://Git.Example.org:443/", "https://git.example.org"},
        {"http://git.example.org:8080", "http://git.example.org:8080"},
        {"https://example.org/gitlab/", "https://example.org/gitlab"},
        {"https://git.example.org/ci", "https://git.example.org"},
        {"https://example.org/gitlab/ci/", "https://example.org/gitlab"},
        {"https://git.example.org/api/v4/", "https://git.example.org"},
        {"https://git.example.org/ci/api/v4/api/v4/ci/", "https://git.example.org"},
        {"https://example.org/git%20lab", "https://example.org/git%20lab"},
        {"https://user:secret@git.example.org/", "https://git.example.org"},
        {"http://[::1]:8080/x", "http://[::1]:8080/x"},
    };
    for (const auto& [pasted, wanted] : cases) {
        EXPECT_EQ(parseBaseUrl(pasted).text, wanted) << pasted;
    }
}

TEST(BaseUrlTest, HostHeaderNamesThePortOnlyWhereItIsNotTheUsualOne) {
    EXPECT_EQ(parseBaseUrl("https://git.example.org:443").authority, "git.example.org");
    EXPECT_EQ(parseBaseUrl("http://git.example.org:443").authority, "git.example.org:443");
    EXPECT_EQ(parseBaseUrl("http://[::1]").authority, "[::1]");
}

TEST(BaseUrlTest, UnusableUrlIsRefusedWithoutRepeatingItsSecrets) {
    for (const std::string url : {"", "git.example.org", "ftp://x:hidden@y", "https://",
                                  "https://h/?token=hidden", "https://h/#hidden", "https://h/a b",
                                  "https://h:99999999/", "https://h/\nhidden", "https://[[]/"}) {
        try {
            parseBaseUrl(url);
            ADD_FAILURE() << "accepted: " << url;
        } catch (const std::invalid_argument& refusal) {
            EXPECT_EQ(std::string(refusal.what()).find("hidden"), std::string::npos) << url;
        }
    }
}

}  // namespace
}  // namespace gridbridge::http
