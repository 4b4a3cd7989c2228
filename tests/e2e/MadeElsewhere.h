#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"

namespace gridbridge::testing {

/// A zip that another program makes as `file`: `python` writes into `z`, and links with link(name,
/// target).
inline std::string zipMadeBy(const std::string& python, const std::filesystem::path& file) {
    const auto ended = runProgram({"/usr/bin/env", "python3", "-c",
                                   "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n"
                                   "def link(name, to):\n"
                                   "    i = zipfile.ZipInfo(name)\n    i.create_system = 3\n"
                                   "    i.external_attr = 0o120777 << 16\n    z.writestr(i, to)\n" +
                                       python + "\nz.close()\n",
                                   file.string()});
    EXPECT_EQ(ended.exitCode, 0) << ended;
    return readFile(file);
}

}  // namespace gridbridge::testing
