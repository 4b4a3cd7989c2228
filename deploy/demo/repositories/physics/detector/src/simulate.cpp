#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

// Estimates pi from random points, as a stand-in for a detector simulation.
int main(int argc, char** argv) {
    const long events = argc > 1 ? std::atol(argv[1]) : 1000000;
    std::mt19937_64 random(42);
    std::uniform_real_distribution<double> unit(0.0, 1.0);
    long inside = 0;
    for (long i = 0; i < events; ++i) {
        const double x = unit(random);
        const double y = unit(random);
        inside += std::hypot(x, y) < 1.0 ? 1 : 0;
    }
    std::printf("pi is about %.3f after %ld events\n", 4.0 * double(inside) / double(events), events);
    return 0;
}
