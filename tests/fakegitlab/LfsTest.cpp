#include <Poco/Base64Encoder.h>
#include <Poco/URI.h>

#include <fstream>
#include <sstream>

#include "tests/fakegitlab/RawClient.h"
#include "tests/fakes/TempDir.h"

namespace gridbridge::fakegitlab {
namespace {

/// SHA-256 of `large`.
constexpr auto kOid = "d35c416a85b807e9b5384915d6ebb4a9f7352713efd89857b45a242f473728a9";

class LfsTest : public RawHttp {
protected:
    void SetUp() override {
        start({.repositories = folder.path() / "git"});
        std::filesystem::create_directory(folder.path() / "tree");
        std::ofstream(folder.path() / "tree" / ".gitattributes") << "*.bin filter=lfs -text\n";
        std::ofstream(folder.path() / "tree" / "a.bin") << "large";
        std::ofstream(folder.path() / "tree" / "b.txt") << "small";
        server->commit("physics/detector", folder.path() / "tree");
        job = running();
    }
    static std::string basic(const std::string& token) {
        std::ostringstream out;
        Poco::Base64Encoder encoder(out);
        encoder << "gitlab-ci-token:" << token;
        encoder.close();
        return "Basic " + out.str();
    }
    RawAnswer batch(const std::string& operation, const std::string& oid,
                    const std::string& token) {
        return *sendTo(server->port(), "POST", "/physics/detector.git/info/lfs/objects/batch",
                       {{"Authorization", basic(token)},
                        {"Accept", "application/vnd.git-lfs+json"},
                        {"Content-Type", "application/vnd.git-lfs+json"}},
                       R"({"operation":")" + operation + R"(","transfers":["basic"],"objects":)" +
                           R"([{"oid":")" + oid + R"(","size":5}]})");
    }
    Poco::JSON::Object::Ptr object(const std::string& oid) {
        return batch("download", oid, server->job(job).token)
            .json()
            ->getArray("objects")
            ->getObject(0);
    }

    gridbridge::testing::TempDir folder;
    JobId job = 0;
};

TEST_F(LfsTest, ObjectOfACommitIsFoundAndFetched) {
    const auto found = object(kOid);

    const auto download = found->getObject("actions")->getObject("download");
    const auto authorization =
        download->getObject("header")->getValue<std::string>("Authorization");
    EXPECT_EQ(authorization, basic(server->job(job).token));
    const Poco::URI to(download->getValue<std::string>("href"));
    const auto get = [&](const Headers& headers) {
        return *sendTo(to.getPort(), "GET", to.getPathAndQuery(), headers, "");
    };
    EXPECT_EQ(get({{"Authorization", authorization}}).body, "large");
    EXPECT_EQ(get({}).status, 401);
    EXPECT_TRUE(server->violations().empty());
}

TEST_F(LfsTest, UnknownObjectsHaveAnErrorOfTheirOwn) {
    for (const auto& oid : {std::string(64, '0'), std::string("../HEAD"), std::string()}) {
        EXPECT_EQ(object(oid)->getObject("error")->getValue<int>("code"), 404) << oid;
    }
    EXPECT_EQ(sendTo(server->port(), "GET", "/physics/detector.git/gitlab-lfs/objects/../HEAD",
                     {{"Authorization", basic(server->job(job).token)}}, "")
                  ->status,
              404);
}

TEST_F(LfsTest, OnlyTheRunningJobOfTheProjectReadsAndNobodyWrites) {
    EXPECT_EQ(batch("upload", kOid, server->job(job).token).status, 403);
    EXPECT_EQ(batch("download", kOid, "glcbt-64_nobody").status, 401);
    const auto other = running({.project = "physics/other"});
    EXPECT_EQ(batch("download", kOid, server->job(other).token).status, 401);
    put(job, R"("state":"success")");
    EXPECT_EQ(batch("download", kOid, server->job(job).token).status, 401);
}

TEST_F(LfsTest, CloneHoldsThePointer) {
    const auto url = "http://gitlab-ci-token:" + server->job(job).token +
                     "@127.0.0.1:" + std::to_string(server->port()) + "/physics/detector.git";
    const auto clone = folder.path() / "clone";
    ASSERT_EQ(std::system(("GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git clone -q " + url +
                           " " + clone.string())
                              .c_str()),
              0);

    std::ifstream in(clone / "a.bin");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
              std::string("version https://git-lfs.github.com/spec/v1\noid sha256:") + kOid +
                  "\nsize 5\n");
    std::ifstream small(clone / "b.txt");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(small), {}), "small");
}

}  // namespace
}  // namespace gridbridge::fakegitlab
