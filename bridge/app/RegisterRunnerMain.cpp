#include <iostream>

#include "bridge/app/RegisterRunner.h"

int main(int argc, char** argv) {
    return gridbridge::app::registerForFile({argv + 1, argv + argc}, std::cout, std::cerr);
}
