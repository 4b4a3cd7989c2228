// A service whose environment names a proxy.
#include <gmock/gmock.h>

#include "tests/e2e/Program.h"
#include "tests/e2e/Service.h"
#include "tests/fakes/FakeProxy.h"

namespace gridbridge::testing {
namespace {

using fakegitlab::Status;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class ProxyEndToEnd : public EndToEnd {
protected:
    ProxyEndToEnd() {
        gitlab.emplace(clock, options());
        gitlab->addRunner("glrt-test");
        proxy.emplace(gitlab->port());
        variables = {{"http_proxy", "http://ada:hidden@" + proxy->address()},
                     {"HTTP_PROXY", ""},
                     {"NO_PROXY", ""},
                     {"no_proxy", ""}};
    }
    void begin(const std::string& url) {
        service.emplace(url, folder.path);
        service->start(variables);
    }
    Printed check() const {
        std::vector<std::string> argv{"/usr/bin/env"};
        for (const auto& [name, value] : variables) {
            argv.push_back(name + "=" + value);
        }
        argv.insert(argv.end(),
                    {GRIDBRIDGE_EXECUTABLE, "check", "--config", service->config().string()});
        return runProgram(argv);
    }
    fakegitlab::JobId addJob() {
        return gitlab->addJob({.script = {"echo result > out"},
                               .variables = {{.key = "GIT_STRATEGY", .value = "none"}},
                               .artifacts = {{.paths = {"out"}}}});
    }
    ::testing::AssertionResult waitForLog(const std::string& text) const {
        return waitFor([&] { return service->log().find(text) != std::string::npos; }, text);
    }

    std::optional<FakeProxy> proxy;
    std::map<std::string, std::string> variables;
};

TEST_F(ProxyEndToEnd, JobWithItsArtifactGoesThroughIt) {
    proxy->demand("Basic YWRhOmhpZGRlbg==");
    begin("http://gitlab.example.org");

    const auto job = finished(addJob());

    EXPECT_EQ(job.status, Status::Success);
    EXPECT_EQ(job.artifacts.size(), 1U);
    EXPECT_THAT(proxy->requests(), Each(HasSubstr(" http://gitlab.example.org/api/v4/")));
    EXPECT_THAT(proxy->requests(), Contains(HasSubstr("/artifacts")));
    EXPECT_EQ(check().exitCode, 0) << check();
    EXPECT_THAT(check().out, AllOf(HasSubstr(" knows its token, asked through the proxy " +
                                             proxy->address() + " (http_proxy)\n"),
                                   Not(HasSubstr("hidden"))));
    EXPECT_THAT(service->log(), Not(HasSubstr("hidden")));
}

TEST_F(ProxyEndToEnd, RefusalIsToldInOneSentenceAndEndsByItself) {
    proxy->demand("Basic other");
    begin("http://gitlab.example.org");
    const auto sentence = "the proxy " + proxy->address() +
                          " refuses the name and the password; correct them in http_proxy";

    EXPECT_TRUE(waitForLog(sentence));
    EXPECT_EQ(check().exitCode, 78);
    EXPECT_THAT(check().out, AllOf(HasSubstr(sentence + "\n"), Not(HasSubstr("hidden"))));
    EXPECT_THAT(service->log(), Not(HasSubstr("hidden")));

    proxy->demand("");
    proxy->refuse(502);
    EXPECT_THAT(check().out, HasSubstr("502 through the proxy " + proxy->address()));
    proxy->refuse(0);
    EXPECT_EQ(finished(addJob()).status, Status::Success);
}

TEST_F(ProxyEndToEnd, ProxyThatIsNotThereIsNamed) {
    const auto address = proxy->address();
    proxy.reset();
    begin("http://gitlab.example.org");

    EXPECT_TRUE(waitForLog("the proxy " + address + " cannot be reached: Connection refused"));
    EXPECT_THAT(check().out, HasSubstr("the proxy " + address + " cannot be reached"));
}

TEST_F(ProxyEndToEnd, ProxyOfAnotherKindIsAConfigurationError) {
    service.emplace("http://gitlab.example.org", folder.path);

    const auto printed =
        runProgram({"/usr/bin/env", "HTTP_PROXY=socks5://ada:hidden@proxy.example.org",
                    GRIDBRIDGE_EXECUTABLE, "run", "--config", service->config().string()});

    EXPECT_EQ(printed.exitCode, 78);
    EXPECT_THAT(printed.err,
                AllOf(HasSubstr("the environment variable HTTP_PROXY names a proxy of a kind that "
                                "is not supported; write it like "),
                      Not(HasSubstr("hidden"))));
}

TEST_F(ProxyEndToEnd, ServerInNoProxyIsReachedDirectly) {
    // This machine by a name that is not known to be it.
    const auto url = "http://0.0.0.0:" + std::to_string(gitlab->port());
    variables["no_proxy"] = "example.org,0.0.0.0";
    begin(url);
    EXPECT_EQ(finished(addJob()).status, Status::Success);
    EXPECT_THAT(proxy->requests(), IsEmpty());
    EXPECT_EQ(service->stop(), 0);

    variables["no_proxy"] = "example.org";
    service->start(variables);
    EXPECT_EQ(finished(addJob()).status, Status::Success);
    EXPECT_THAT(proxy->requests(), Contains(StartsWith("POST " + url + "/api/v4/")));
}

}  // namespace
}  // namespace gridbridge::testing
