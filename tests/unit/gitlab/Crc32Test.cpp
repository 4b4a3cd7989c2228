#include <gtest/gtest.h>

#include "bridge/gitlab/Crc32.h"

namespace gridbridge::gitlab {
namespace {

TEST(Crc32Test, IsThatOfZlibHoweverTheBytesCome) {
    Crc32 whole;
    whole.update("123456789");
    Crc32 parts;
    parts.update("1234");
    parts.update("");
    parts.update("56789");

    EXPECT_EQ(whole.value(), 0xCBF43926U);  // The check value of CRC-32/ISO-HDLC.
    EXPECT_EQ(parts.value(), whole.value());
    EXPECT_EQ(Crc32().value(), 0U);
}

}  // namespace
}  // namespace gridbridge::gitlab
