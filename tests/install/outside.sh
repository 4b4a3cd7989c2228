#!/bin/bash
# What is installed is enough for a program outside the tree. Arguments: cmake, the build folder, the folder of the
# consumer, flags that its compiler needs.
set -euo pipefail
cmake=$1 build=$2 consumer=$3 flags=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$cmake" --install "$build" --component library --prefix "$dir/prefix" >"$dir/installed"
if [ -e "$dir/prefix/bin/gridbridge" ]; then echo 'the service is no part of the library'; exit 1; fi
if ! grep -q '^\.B \\-\\-until\\-done$' "$dir/prefix/share/man/man1/fakegitlab.1"; then echo 'no page of fakegitlab'; exit 1; fi
cp -r "$consumer" "$dir/source"
"$cmake" -S "$dir/source" -B "$dir/build" -DCMAKE_PREFIX_PATH="$dir/prefix" -DCMAKE_CXX_FLAGS="$flags" >"$dir/log" ||
    { cat "$dir/log"; exit 1; }
package=$(dirname "$(find "$dir/prefix" -name gridbridgeConfig.cmake)")
if grep -rl "$(dirname "$consumer")\|$build" "$package"; then echo 'the package names the tree it was built in'; exit 1; fi
"$cmake" --build "$dir/build" >"$dir/log" || { cat "$dir/log"; exit 1; }
[ "$("$dir/build/consumer")" = $'success Running with gridbridge '"$(sed -n 's/.*PACKAGE_VERSION "\(.*\)")/\1/p' "$package/gridbridgeConfigVersion.cmake" | head -n 1)"$'\nfrom outside' ]
