// What people are told who set something up wrongly, or whose jobs have odd names; and that it
// harms no other job.
#include <gmock/gmock.h>

#include <cstdio>
#include <unistd.h>

#include "tests/e2e/Program.h"
#include "tests/engines/DiracxService.h"

namespace gridbridge::testing {
namespace {

using namespace std::chrono_literals;
using fakegitlab::JobId;
using fakegitlab::JobSpec;
using fakegitlab::Status;
using std::filesystem::perms;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class EngineServiceOfDiracxWithBadInput : public DiracxService {
protected:
    /// The one sentence of `check` about the backend, without the words before it.
    std::string fault(const std::string& from, const std::string& to) {
        auto text = sound_;
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        writeFile(config(), text.replace(at, from.size(), to));
        std::filesystem::permissions(config(), perms::owner_read | perms::owner_write);
        const auto checked = runGridbridge({"check", "--config", config()});
        EXPECT_NE(checked.exitCode, 0) << checked.out;
        const auto failed = failures(checked);
        EXPECT_EQ(failed.size(), 1U) << checked.out;
        std::printf("%s\n", failed.empty() ? "" : failed.front().c_str());
        return failed.empty() ? "" : failed.front();
    }
    /// The same with a credential file of ours, which `token` makes with these options.
    std::string faultOfCredential(const std::string& options,
                                  const std::function<void()>& spoil = {}) {
        diracx.login(options + " --file " + mine().string());
        if (spoil) {
            spoil();
        }
        return fault(diracx.credentials().string(), mine().string());
    }
    static std::vector<std::string> failures(const Printed& printed) {
        auto lines = linesOf(printed.out);
        std::erase_if(lines, [](const std::string& line) { return !line.starts_with("FAIL"); });
        return lines;
    }
    std::string config() const { return service->config().string(); }
    std::filesystem::path mine() const { return folder.path / "mine.json"; }
    void makeSound() {
        serve(8);
        service->stop();
        sound_ = readFile(config());
    }

    std::string sound_;
};

TEST_F(EngineServiceOfDiracxWithBadInput, EachFaultOfALoginHasASentenceThatNamesIt) {
    makeSound();
    const auto file = mine().string();

    EXPECT_THAT(fault(diracx.credentials().string(), file),
                HasSubstr(file + " does not exist: log in"));
    EXPECT_THAT(faultOfCredential("",
                                  [&] {
                                      std::filesystem::permissions(
                                          mine(), perms::group_read,
                                          std::filesystem::perm_options::add);
                                  }),
                HasSubstr(file + " is open to other accounts"));
    EXPECT_THAT(faultOfCredential("", [&] { ASSERT_EQ(::chown(mine().c_str(), 65534, 65534), 0); }),
                HasSubstr(file + " belongs to another account"));
    std::filesystem::remove(mine());
    EXPECT_THAT(faultOfCredential("--access-seconds -5 --minutes -1"),
                HasSubstr(file + " holds a refresh token that DiracX refuses"));
    EXPECT_THAT(faultOfCredential("--user executor --group admin"),
                HasSubstr("the group admin of executor may not submit jobs, for it has not the "
                          "property NormalUser"));
    EXPECT_THAT(faultOfCredential("", [&] { writeFile(mine(), "{\"access_token\": \"x"); }),
                HasSubstr(file + " holds no access token"));
}

TEST_F(EngineServiceOfDiracxWithBadInput, AnAuthorityThatDidNotSignTheServersIsNamed) {
    makeSound();
    const auto other = folder.path / "other.pem";
    ASSERT_EQ(diracx
                  .run("openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=Other -keyout "
                       "/dev/null -out '" +
                       other.string() + "'")
                  .exitCode,
              0);

    EXPECT_THAT(fault(diracx.caFile().string(), other.string()), HasSubstr("certificate"));
}

TEST_F(EngineServiceOfDiracxWithBadInput, OddNamesAndValuesArriveAsTheyAre) {
    serve(8);
    const std::vector<std::string> texts{
        "a\"b'c`d",   "x; rm -rf /; y",       "two\nlines\n",
        "1234567",    std::string(200, 'n'),  "$(id) `id` \\ %s",
        "*?[a]{b,c}", "\xc3\xa4\xe2\x82\xac", "Site = \"LCG.Evil.org\";"};
    std::vector<JobId> ids;
    const auto place = openFolder("values");
    for (std::size_t i = 0; i < texts.size(); ++i) {
        JobSpec spec;
        spec.name = texts[i];
        spec.script = {"printf '%s|%s' \"$ODD\" \"$CI_JOB_NAME\" >" + place + "/" +
                       std::to_string(i)};
        spec.variables = {{.key = "GIT_STRATEGY", .value = "none"},
                          {.key = "ODD", .value = texts[i]}};
        ids.push_back(gitlab->addJob(std::move(spec)));
    }

    ASSERT_TRUE(ends(ids));

    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(gitlab->status(ids[i]), Status::Success) << plain(gitlab->job(ids[i]).trace);
        EXPECT_EQ(readFile(std::filesystem::path(place) / std::to_string(i)),
                  texts[i] + "|" + texts[i]);
    }
}

TEST_F(EngineServiceOfDiracxWithBadInput, AJobForASiteThatNobodyHasWaitsAndItsLogNamesTheSite) {
    serve(8, "poll_interval = 1\nsites = [\"LCG.Nowhere.org\"]\n");
    const auto id = addPrinting("job", "0.1");

    EXPECT_TRUE(waitFor(
        [&] {
            return says(
                gitlab->job(id),
                "no pilot that fits it has asked for a job yet (Site = \"LCG.Nowhere.org\")");
        },
        "the line about the site"))
        << plain(gitlab->job(id).trace);
    gitlab->cancel(id);

    EXPECT_TRUE(waitFor([&] { return engine.open() == 0; }, "an empty queue"));
    EXPECT_EQ(gitlab->status(id), Status::Canceled);
    EXPECT_EQ(starts("job"), 0);
}

}  // namespace
}  // namespace gridbridge::testing
