// Case 72: what another program reads of an archive that needs 64 bits for a size. It takes a
// while.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <zlib.h>

#include "bridge/payload/Packer.h"

namespace gridbridge::payload {
namespace {

using ::testing::HasSubstr;

std::string printed(const std::string& command, const std::filesystem::path& folder) {
    const auto out = (folder / "printed").string();
    // What runs is this text of ours.
    EXPECT_EQ(std::system((command + " >" + out).c_str()), 0) << command;  // NOLINT(cert-env33-c)
    std::ifstream in(out);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

/// In KiB.
std::size_t peakMemory() {
    std::ifstream in("/proc/self/status");
    std::string word;
    std::size_t kib = 0;
    while (in >> word && word != "VmHWM:") {
    }
    in >> kib;
    return kib;
}

TEST(LargeArchive, Case72FileOfMoreThanFourGibibytesIsReadByAnotherProgram) {
    constexpr std::size_t kBlock = std::size_t{1} << 20U;
    constexpr std::int64_t kBlocks = 4097;
    constexpr std::int64_t kSize = kBlocks << 20U;
    std::string pattern = std::filesystem::temp_directory_path() / "large-archive.XXXXXX";
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    const auto zip = (folder / "large.zip").string();
    const std::string zeros(kBlock, '\0');
    const auto before = peakMemory();
    {
        std::ofstream out(zip, std::ios::binary);
        const auto packer = zipPacker([&](std::string_view bytes) {
            out << bytes;
            return true;
        });
        EXPECT_TRUE(packer->begin({.name = "large", .mode = 0644, .size = kSize}));
        for (std::int64_t i = 0; i < kBlocks; ++i) {
            ASSERT_TRUE(packer->write(zeros));
        }
        EXPECT_TRUE(packer->begin({.name = "last", .mode = 0644, .size = 4}));
        EXPECT_TRUE(packer->write("tail"));
        EXPECT_TRUE(packer->finish());
    }
    EXPECT_LT(peakMemory() - before, 10'000U) << "it grows with the file";

    // The checksum of the first blocks makes that of all: nobody unpacks 4 GiB here.
    const auto one = crc32(0, reinterpret_cast<const Bytef*>(zeros.data()), kBlock);
    auto crc = one;
    for (std::int64_t i = 1; i < kBlocks; ++i) {
        crc = crc32_combine(crc, one, kBlock);
    }
    EXPECT_THAT(printed("unzip -l " + zip, folder), HasSubstr(std::to_string(kSize + 4)));
    EXPECT_EQ(printed("unzip -p " + zip + " last", folder), "tail");
    EXPECT_EQ(printed("python3 -c 'import sys, zipfile\n"
                      "z = zipfile.ZipFile(sys.argv[1])\n"
                      "for i in z.infolist(): print(i.filename, i.file_size, i.CRC)\n"
                      "print(z.read(\"last\").decode(), len(z.open(\"large\").read(1 << 20)))' " +
                          zip,
                      folder),
              "large " + std::to_string(kSize) + " " + std::to_string(crc) + "\nlast 4 " +
                  std::to_string(crc32(0, reinterpret_cast<const Bytef*>("tail"), 4)) +
                  "\ntail 1048576\n");
    EXPECT_LT(std::filesystem::file_size(zip), 10U << 20U);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace gridbridge::payload
