#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace gridbridge::testing {

/// In `folder`: the certificate of /O=Lab/CN=ada in `user.pem` and `user.key`, and proxies of her,
/// for a day: `group.proxy` of the group lhcb_user, which others can read as `open.proxy`,
/// and `none.proxy` of none.
inline void makeDiracProxies(const std::filesystem::path& folder) {
    const std::string make =
        "cd '" + folder.string() +
        "' && exec 2>/dev/null && openssl req -x509 -newkey ed25519 -nodes -days 1 -keyout "
        "user.key -out user.pem -subj /O=Lab/CN=ada && printf '%s\\n' "
        "keyUsage=critical,digitalSignature "
        "proxyCertInfo=critical,language:id-ppl-inheritAll > none.ext && { cat none.ext && "
        "echo 1.2.42.42=ASN1:IA5STRING:lhcb_user; } > group.ext && openssl req -newkey ed25519 "
        "-nodes -keyout p.key -out p.csr -subj /O=Lab/CN=ada/CN=1 && for p in none group; do "
        "openssl x509 -req -in p.csr -CA user.pem -CAkey user.key -set_serial 1 -days 1 "
        "-extfile $p.ext -out p.pem && cat p.pem p.key user.pem > $p.proxy || exit; done && "
        "cp group.proxy open.proxy && chmod 600 *.pem *.key group.proxy none.proxy && chmod 644 "
        "open.proxy";
    if (std::system(make.c_str()) != 0) {
        throw std::runtime_error("openssl makes no proxies");
    }
}

}  // namespace gridbridge::testing
