#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <ostream>
#include <type_traits>

#include "bridge/base/Secret.h"

namespace gridbridge {
namespace {

template <typename T, typename = void>
struct Streamable : std::false_type {};
template <typename T>
struct Streamable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<T>())>>
    : std::true_type {};

TEST(SecretTest, NeitherALoggerNorAStreamAcceptsIt) {
    EXPECT_TRUE(fmt::is_formattable<std::string>::value);
    EXPECT_TRUE(Streamable<std::string>::value);

    EXPECT_FALSE(fmt::is_formattable<Secret>::value);
    EXPECT_FALSE(Streamable<Secret>::value);
}

}  // namespace
}  // namespace gridbridge
