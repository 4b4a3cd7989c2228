#include <Poco/DeflatingStream.h>
#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "tests/fakegitlab/JobFile.h"
#include "tests/fakegitlab/RawClient.h"
#include "tests/fakegitlab/Summary.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::fakegitlab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string zip(const std::map<std::string, std::string>& files) {
    std::string bytes(std::size_t{1} << 16U, '\0');
    std::size_t used = 0;
    auto* writer = archive_write_new();
    archive_write_set_format_zip(writer);
    archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
    for (const auto& [name, content] : files) {
        auto* entry = archive_entry_new();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, static_cast<std::int64_t>(content.size()));
        archive_write_header(writer, entry);
        archive_write_data(writer, content.data(), content.size());
        archive_entry_free(entry);
    }
    archive_write_free(writer);
    return bytes.substr(0, used);
}

std::string gzip(const std::vector<std::string>& members) {
    std::ostringstream out;
    for (const auto& text : members) {
        Poco::DeflatingOutputStream member(out, Poco::DeflatingStreamBuf::STREAM_GZIP);
        member << text;
        member.close();
    }
    return out.str();
}

Artifact artifact(const std::string& type, const std::string& format, const std::string& bytes) {
    return {.type = type, .format = format, .size = bytes.size(), .bytes = bytes};
}

class JobFileTest : public RawHttp {
protected:
    JobFile file(const std::string& text) const {
        std::ofstream(folder.path() / "job.toml") << text;
        return readJobFile(folder.path() / "job.toml");
    }

    gridbridge::testing::TempDir folder;
};

TEST_F(JobFileTest, CacheAndImageReachThePayload) {
    start();
    const auto id = server->addJob(file(R"(
image = "debian:12"
image_entrypoint = [""]
image_pull_policy = ["always", "never"]
cache = [{ key = "k", paths = ["lib/"], untracked = true, policy = "pull", when = "always" }]
)")
                                       .spec);

    const auto payload = claim().json();

    EXPECT_EQ(payload->getValue<JobId>("id"), id);
    std::ostringstream image;
    payload->getObject("image")->stringify(image);
    EXPECT_THAT(image.str(), HasSubstr(R"("entrypoint":[""])"));
    EXPECT_THAT(image.str(), HasSubstr(R"("pull_policy":["always","never"])"));
    const auto cache = payload->getArray("cache")->getObject(0);
    EXPECT_TRUE(cache->getValue<bool>("untracked"));
    EXPECT_EQ(cache->getValue<std::string>("policy"), "pull");
    EXPECT_EQ(cache->getValue<std::string>("when"), "always");
}

TEST_F(JobFileTest, ContentOfArchivesAndReportsIsCompared) {
    const auto expect = file(R"(
[expect.files]
"out/a.txt" = "one\n"
"caf\u00e9" = "sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
[expect.reports]
junit = "<a/><b/>"
sast = "{}"
)")
                            .expect;
    JobSnapshot seen;
    EXPECT_THAT(differences(seen, expect),
                ElementsAre("there is no archive", "there is no report of type junit",
                            "there is no report of type sast"));

    const auto archive = zip({{"out/a.txt", "one\n"}, {"caf\xC3\xA9", "two"}, {"more", ""}});
    seen.artifacts = {artifact("archive", "zip", archive),
                      artifact("junit", "gzip", gzip({"<a/>", "<b/>"})),
                      artifact("sast", "raw", "{}")};
    EXPECT_THAT(differences(seen, expect), IsEmpty());

    seen.artifacts = {artifact("archive", "zip", zip({{"caf\xC3\xA9", "2"}})),
                      artifact("junit", "gzip", "no gzip"), artifact("sast", "raw", "[]")};
    EXPECT_THAT(differences(seen, expect),
                ElementsAre("caf\xC3\xA9 has SHA-256 "
                            "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
                            "the archive lacks out/a.txt", "the report junit cannot be read",
                            "the report sast is '[]' instead of '{}'"));
    seen.artifacts = {artifact("archive", "zip", archive.substr(0, archive.size() / 2))};
    EXPECT_THAT(differences(seen, expect).front(), "the archive cannot be read");
}

}  // namespace
}  // namespace gridbridge::fakegitlab
