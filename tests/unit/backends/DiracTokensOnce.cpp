// One access to the tokens of a credential file, for tests that kill it: arguments FILE URL.
// Prints the token, or what is wrong to standard error.
#include <cstdio>

#include "backends/diracx/DiracTokens.h"
#include "bridge/http/PocoTransport.h"

int main(int argc, char** argv) {
    using namespace gridbridge;
    if (argc != 3) {
        return 2;
    }
    SystemClock clock;
    http::PocoTransport transport(argv[2], clock, "tester/1");
    DiracTokens tokens(argv[1], transport, clock);
    const auto token = tokens.access({clock.steadyNow() + std::chrono::seconds(30)});
    std::fputs(token ? token->reveal().c_str() : token.error().message.c_str(),
               token ? stdout : stderr);
    return token ? 0 : 1;
}
