#include "bridge/payload/Selection.h"

#include <string_view>

#include "bridge/payload/Expansion.h"
#include "bridge/payload/Shell.h"

namespace gridbridge::payload {

namespace {

// Names in lists end with NUL and begin with `./`, so that none is taken for an option. Every list
// is sorted by bytes, each name once, so that the service can read the tarball as it comes.
constexpr std::string_view kFunctions = R"gb(trap 'exit 1' TERM
cd -- "$GB_PROJECT_DIR" || exit 1
export LC_ALL=C
unset GREP_OPTIONS TAR_OPTIONS GZIP
gb_tmp=$(mktemp -d "$GB_CTL/select.XXXXXXXX") || exit 1
# For a million names bash takes half a minute, and grep a tenth of a second.
gb_gnu=0
gb_probe() { printf 'a\nb\0a\0' | grep -azE '[[:cntrl:]]' | sed -z 's|$|/|' | tr '\n\0' nz; }
[ "$(gb_probe 2>/dev/null)" != anb/z ] || gb_gnu=1
# gb_find PATH: all that is there. A link before the `/` at the end is followed, and left out.
gb_find() {
  local gb_from=${1%/} gb_least=0
  if [ "$gb_strict" = 1 ] && gb_is_behind "$1"; then
    gb_tell "WARNING: ${1#./} lies below a link and is left out" >&2
    return 0
  fi
  if [ "$gb_from" != "$1" ] && [ -L "$gb_from" ]; then gb_from=$1 gb_least=1; fi
  [ -e "$1" ] || [ -L "$gb_from" ] || return 0
  find "$gb_from" -mindepth "$gb_least" ! -name . \( -type f -o -type d -o -type l \) -print0 || [ $? -eq 1 ]
}
gb_untracked() {
  local gb_name
  if [ "$gb_gnu" = 1 ]; then
    { git ls-files -o -z || :; } | sed -z 's|^|./|; s|/$||'
    return
  fi
  { git ls-files -o -z || :; } | while IFS= read -r -d '' gb_name; do
    printf './%s\0' "${gb_name%/}"
  done
}
# gb_filter EXPRESSION DROPPED: the names that come in without those that fit (0) or do not (1).
# What cannot be known stays: the service decides.
gb_filter() {
  local gb_option=-azE
  [ "$2" = 1 ] || gb_option=-azvE
  if [ "$gb_gnu" != 1 ] || [[ $1 == *$'\n'* ]] ||
    ! gb_grep -azE -e "$1" </dev/null 2>/dev/null; then
    gb_filter_slowly "$1" "$2"
    return
  fi
  cat >"$gb_tmp/names" || return
  gb_grep -azv '[[:cntrl:]]' "$gb_tmp/names" | gb_grep "$gb_option" -e "$1" || return
  # What a newline is to the expressions of grep differs between its versions.
  gb_grep -az '[[:cntrl:]]' "$gb_tmp/names" | gb_filter_slowly "$1" "$2"
}
gb_grep() { grep "$@" || [ $? -eq 1 ]; }
gb_filter_slowly() {
  local gb_name gb_rc
  while IFS= read -r -d '' gb_name; do
    gb_rc=0
    [[ $gb_name =~ $1 ]] || gb_rc=$?
    [ "$gb_rc" -eq "$2" ] || [ "$gb_rc$gb_strict" = 21 ] || printf '%s\0' "$gb_name" || return
  done
}
gb_sort() { sort -zu -T "$gb_tmp" >"$gb_tmp/list"; }
gb_count() { tr -dc '\0' <"$gb_tmp/list" | wc -c; }
gb_timed=()
# gb_tar FILE KIB: the list as a gzip'd tarball of that size at most.
gb_tar() (
  set +e
  # What does not fit is an error of gzip's: no signal, which leaves a core and a line of the shell's.
  trap '' XFSZ
  ulimit -c 0
  ulimit -f "$2"
  "${gb_timed[@]}" tar --format=gnu --hard-dereference --null --no-recursion -T "$gb_tmp/list" -cf - |
    "${gb_timed[@]}" gzip -1 >"$1"
  gb_rc=("${PIPESTATUS[@]}")
  # 1 = a file changed while it was read: what was read is kept.
  [ "${gb_rc[0]}" -le 1 ] && [ "${gb_rc[1]}" -eq 0 ]
)
)gb";

/// For texts that the node expands: what Glob and ArtifactPlan do, done by the shell.
constexpr std::string_view kTextFunctions = R"gb(
# gb_below TEXT: sets gb_path to it, relative to the project folder, empty for that itself. Fails
# when it is elsewhere.
gb_below() {
  local gb_rest=$1 gb_part
  case $1 in
    "$GB_PROJECT_DIR" | "$GB_PROJECT_DIR"/*) gb_rest=${1#"$GB_PROJECT_DIR"} ;;
    '' | /*) return 1 ;;
  esac
  gb_path=
  gb_rest+=/
  while [ -n "$gb_rest" ]; do
    gb_part=${gb_rest%%/*} gb_rest=${gb_rest#*/}
    case $gb_part in
      '' | .) ;;
      ..)
        [ -n "$gb_path" ] || return 1
        case $gb_path in */*) gb_path=${gb_path%/*} ;; *) gb_path= ;; esac
        ;;
      *) gb_path+=${gb_path:+/}$gb_part ;;
    esac
  done
}
gb_several=$'[\xc2-\xf4][\x80-\xbf]{1,3}'
gb_any='[^/]{1,4}'
[ "$gb_strict" != 1 ] || gb_any=$'([^/\x80-\xff]|'"$gb_several)"
# gb_glob PATTERN: sets gb_fits to an expression for whatever it fits, and gb_exact to 1 when for
# nothing more. Fails when it is malformed.
gb_glob() {
  [ ${#1} -le 4096 ] || return 1
  local gb_rest=$1 gb_c gb_before= gb_depth=0 gb_slash=/ gb_class='^[!^]?(\\.|[^]\])+]'
  gb_fits= gb_exact=1
  [[ $1 != *[!\ -~]* ]] || gb_exact=0
  # Alternatives can make one `**` of two stars, or bring a slash beside it.
  [[ $1 != *'{'* || $1 != *'*'*'*'* ]] || gb_slash='/?' gb_exact=0
  while [ -n "$gb_rest" ]; do
    gb_c=${gb_rest:0:1} gb_rest=${gb_rest:1}
    case $gb_c in
      '*') gb_stars ;;
      '?')
        gb_fits+=$gb_any
        [ "$gb_strict" = 1 ] || gb_exact=0
        ;;
      '[')
        [[ $gb_rest =~ $gb_class ]] || return 1
        gb_rest=${gb_rest:${#BASH_REMATCH}}
        gb_set "$BASH_REMATCH"
        ;;
      '{') gb_fits+='(' gb_depth=$((gb_depth + 1)) ;;
      '}' | ,)
        if [ "$gb_depth" = 0 ]; then gb_literal
        elif [ "$gb_c" = , ]; then gb_fits+='|'
        else gb_fits+=')' gb_depth=$((gb_depth - 1))
        fi
        ;;
      \\)
        [ -n "$gb_rest" ] || return 1
        gb_c=${gb_rest:0:1} gb_rest=${gb_rest:1}
        gb_literal
        ;;
      *) gb_literal ;;
    esac
    gb_before=$gb_c
  done
  [ "$gb_depth" = 0 ]
}
# gb_set CLASS: what it stands for, without the `[` in front.
gb_set() {
  local gb_plain='^([!^]?)(([a-z](-[a-z])?|[A-Z](-[A-Z])?|[0-9](-[0-9])?|[_.])+)]$'
  if [ "$gb_strict" != 1 ] || ! [[ $1 =~ $gb_plain ]]; then
    gb_fits+='[^/]{1,4}' gb_exact=0
  elif [ -n "${BASH_REMATCH[1]}" ]; then
    gb_fits+="([^/${BASH_REMATCH[2]}"$'\x80-\xff]|'"$gb_several)"
  else
    gb_fits+="[${BASH_REMATCH[2]}]"
  fi
}
gb_literal() {
  if [ "$gb_c" = / ]; then gb_fits+=$gb_slash; return; fi
  case '\.^$+()|[]{}*?' in *"$gb_c"*) gb_fits+=\\ ;; esac
  gb_fits+=$gb_c
}
gb_stars() {
  local gb_more=${gb_rest%%[!*]*}
  gb_rest=${gb_rest#"$gb_more"}
  if [ "$gb_slash" != / ]; then
    gb_fits+='.*' gb_rest=${gb_rest#/}
  elif [ "$gb_more" != '*' ] || [[ $gb_before != @(|/) || $gb_rest != @(|/*) ]]; then
    gb_fits+='[^/]*'
  elif [ -n "$gb_rest" ]; then
    gb_rest=${gb_rest:1} gb_c=/
    # The next one says the same.
    [[ $gb_rest == @('**'|'**/'*) ]] || gb_fits+='(.*/)?'
  elif [[ $gb_fits == */ ]]; then
    gb_fits=${gb_fits%/}'(/.*)?'
  else
    gb_fits+='.*'
  fi
}
# gb_leave TEXT WHY
gb_leave() { [ "$gb_strict" != 1 ] || gb_tell "WARNING: $1: $2, skipping" >&2; }
# gb_select TEXT: what the path may bring in.
gb_select() {
  local gb_special='[*?[{\\]' gb_folder
  gb_below "$1" || { gb_leave "$1" 'no path in the project folder'; return 0; }
  gb_path=${gb_path:-**}
  gb_folder=${gb_path%%$gb_special*}
  if [ "$gb_folder" = "$gb_path" ]; then
    gb_find "./$gb_path"
    return
  fi
  case $gb_folder in */*) gb_folder=./${gb_folder%/*}/ ;; *) gb_folder=. ;; esac
  gb_glob "$gb_path" || { gb_leave "$1" 'syntax error in pattern'; return 0; }
  [ "$gb_strict" != 1 ] || gb_is_exact || { gb_leave "$1" 'no pattern for a cache'; return 0; }
  gb_find "$gb_folder" | gb_filter "^\./($gb_fits)(/.*)?\$" 1
}
gb_is_exact() {
  local gb_rc=0
  [[ '' =~ ^($gb_fits)$ ]] || gb_rc=$?
  [ "$gb_exact" = 1 ] && [ "$gb_rc" != 2 ]
}
# Lists the texts in $gb_tmp/texts; an element of gb_texts each.
gb_read_texts() {
  local gb_text
  [ $(($(wc -c <"$gb_tmp/texts"))) -le 60000 ] || {
    gb_tell 'ERROR: the expanded texts of these paths are longer than 60000 bytes'
    return 1
  }
  gb_texts=()
  while IFS= read -r -d '' gb_text; do
    # What a container calls the project folder has another path here.
    case $gb_text in
      "$GB_INSIDE_DIR" | "$GB_INSIDE_DIR"/*) gb_text=$GB_PROJECT_DIR${gb_text#"$GB_INSIDE_DIR"} ;;
    esac
    gb_texts+=("$gb_text")
  done <"$gb_tmp/texts"
}
)gb";

/// In quotes of bash that hold bytes of any text as ASCII.
std::string ansiQuoted(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string word = "$'";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80) {
            word += std::string("\\x") + kDigits[byte >> 4U] + kDigits[byte & 0xfU];
        } else {
            word += c == '\'' || c == '\\' ? "\\" : "";
            word += c;
        }
    }
    return word + "'";
}

/// The statement that lists what the path brings in.
std::string listed(const Glob& glob, Listing listing) {
    if (glob.path()) {
        return "gb_find " + shellQuoted("./" + *glob.path());
    }
    const auto& expression = listing == Listing::Exact ? glob.exactExpression() : glob.expression();
    return "gb_find " + shellQuoted(glob.folder().empty() ? "." : "./" + glob.folder()) +
           " | gb_filter " + ansiQuoted("^\\./" + expression + "(/.*)?$") + " 1";
}

/// Fills gb_texts: name, paths and `exclude` in this order, empty where nothing is to be expanded.
std::string expansions(const gitlab::ArtifactEntry& entry) {
    // A shell of its own: PATH, TAR_OPTIONS and the like are the job's, the tools here are not.
    std::string text = "(\n. \"$GB_IN/env.sh\"\n";
    std::size_t number = 0;
    for (const auto& each : textsOf(entry)) {
        text += "gb_texts[" + std::to_string(number++) +
                "]=" + (hasReference(each) ? nodeText(each).word : "''") + "\n";
    }
    return text +
           "printf '%s\\0' \"${gb_texts[@]}\"\n) >\"$gb_tmp/texts\"\n"
           "gb_read_texts\n";
}

std::string inclusions(const gitlab::ArtifactEntry& entry, const ArtifactPlan& plan,
                       Listing listing) {
    std::string text = "{\n  :\n";
    for (std::size_t i = 0; i < plan.paths.size(); ++i) {
        if (hasReference(entry.paths[i])) {
            text += "  gb_select " + selectedText(1 + i) + "\n";
        } else if (const auto& glob = plan.paths[i].glob) {
            text += "  " + listed(*glob, listing) + "\n";
        }
    }
    return text + (plan.untracked ? "  gb_untracked\n" : "") + "} | gb_sort\n";
}

}  // namespace

std::string selectedText(std::size_t number) {
    return "\"${gb_texts[" + std::to_string(number) + "]}\"";
}

std::string behindFunction() {
    return R"(gb_is_behind() {
  local gb_at=$1
  while [[ $gb_at == ./*/* ]]; do
    gb_at=${gb_at%/*}
    [ ! -L "$gb_at" ] || return 0
  done
  return 1
}
)";
}

std::string selectionFunctions(bool expandsOnNode, Listing listing) {
    const bool strict = listing == Listing::Exact;
    return (strict ? "gb_strict=1\n" + behindFunction() : "gb_strict=0\n") + tellFunction() +
           std::string(kFunctions) + (expandsOnNode ? std::string(kTextFunctions) : "");
}

std::string selection(const gitlab::ArtifactEntry& entry, const ArtifactPlan& plan,
                      Listing listing) {
    return "gb_texts=()\n" + (isExpandedOnNode(entry) ? expansions(entry) : "") +
           inclusions(entry, plan, listing);
}

}  // namespace gridbridge::payload
