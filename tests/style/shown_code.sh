#!/bin/sh
# A block of C++ on a page whose first line is `// FILE` stands in that file, line for line. Argument: the source folder.
set -eu
cd "$1"
wrong=$(find docs -name '*.md' | sort | while read -r page; do
    awk -v page="$page" '
        function whole(file, text, line) {
            text = ""
            while ((getline line <file) > 0) text = text line "\n"
            close(file)
            return text
        }
        first { first = 0; shows = $1 == "//" && NF == 2; file = $2; shown = ""; next }
        /^```$/ && shows {
            shows = 0
            if (!index(whole(file), shown)) print page ": " file " does not hold what is shown of it"
        }
        shows { shown = shown $0 "\n" }
        /^```cpp$/ { first = 1 }' "$page"
done)
[ -z "$wrong" ] || { printf '%s\n' "$wrong"; exit 1; }
