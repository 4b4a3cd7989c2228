#pragma once

#include <Poco/Base64Encoder.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace gridbridge::testing {

/// As DiracX makes it, but signed by nobody.
inline std::string diracAccessToken(const std::string& user, const std::string& vo = "lab") {
    std::ostringstream claims;
    Poco::Base64Encoder encoder(claims, Poco::BASE64_URL_ENCODING | Poco::BASE64_NO_PADDING);
    encoder << R"({"preferred_username":")" << user << R"(","vo":")" << vo << R"("})";
    encoder.close();
    return "secret." + claims.str() + ".signature";
}

/// A credential file of a login that holds.
inline void logInToDirac(const std::filesystem::path& file, const std::string& user) {
    std::ofstream(file) << R"({"access_token":")" << diracAccessToken(user)
                        << R"(","refresh_token":null,"expires_on":4000000000})";
    std::filesystem::permissions(file, std::filesystem::perms(0600));
}

}  // namespace gridbridge::testing
