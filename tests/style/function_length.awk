# Prints FILE:LINE: NAME has N lines for every function of more than `most` lines; text in raw
# strings does not count. Reads code as clang-format leaves it: a function ends with the first `}`
# at the depth at which it began.
FNR == 1 { depth = 0; start = 0; body = 0; raw = "" }

raw != "" {
    end = index($0, raw)
    if (!end) {
        text_lines++
        next
    }
    $0 = substr($0, end + length(raw))
    raw = ""
}
match($0, /R"[a-zA-Z_]*\(/) {
    mark = substr($0, RSTART + 2, RLENGTH - 3)
    if (!index(substr($0, RSTART + RLENGTH), ")" mark "\"")) { raw = ")" mark "\"" }
}

{
    match($0, /^ */)
    indent = RLENGTH
}

body {
    if (indent == depth && $0 ~ /^ *}$/) {
        lines = FNR - start + 1 - text_lines
        if (lines > most) { printf "%s:%d: %s has %d lines\n", FILENAME, start, name, lines }
        body = 0
        start = 0
    } else if (indent == depth && $0 ~ /^ *}[;,)]/) {
        body = 0
        start = 0
    }
    next
}

/^ *$/ || /^ *\/\// || /^ *#/ || /^ *(public|private|protected):$/ { next }
/^ *}/ {
    if (indent < depth) { depth = indent }
    start = 0
    next
}
!start {
    start = FNR
    text = ""
    text_lines = 0
}
{ text = text " " $0 }
/;$/ || /}$/ || /\)$/ && text ~ /^ *[A-Z_]+\(/ { start = 0; next }
/{$/ {
    if (text ~ /^ *(inline )?namespace/) {
        start = 0
    } else if (text ~ /^ *(template <.*> )?(class|struct|union|enum)[ {]/ && text !~ /\)/) {
        depth += 4
        start = 0
    } else {
        name = text
        sub(/\(.*/, "", name)
        sub(/.*[ *&]/, "", name)
        body = 1
    }
}
