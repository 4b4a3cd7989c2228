#include "bridge/payload/Lfs.h"

namespace gridbridge::payload {

/// Not every node's git-lfs was made known to all of the node's users. Without these settings it
/// fetches the objects and leaves the pointers.
std::string lfsFilters() {
    return "if git lfs version >/dev/null 2>&1; then\n"
           "  printf '%s\\n' '[filter \"lfs\"]' '\tclean = git-lfs clean -- %f' "
           "'\tsmudge = git-lfs smudge -- %f' '\tprocess = git-lfs filter-process' "
           "'\trequired = true' >>\"$GB_HOME_DIR/.gitconfig\"\n"
           "fi\n";
}

/// A repository may say where its objects are. git-lfs obeys none of git's rules for protocols: it
/// would read folders of the node, log in to strangers, and tell git that a line's end in a name
/// is one of another site.
std::string lfsPull() {
    return "if git grep -q filter=lfs -- '*.gitattributes'; then\n"
           "  if git lfs version >/dev/null 2>&1; then\n"
           "    gb_urls=$([ ! -e .lfsconfig ] || git config -f .lfsconfig --get-regexp url || :)\n"
           "    if printf '%s\\n' \"$gb_urls\" | grep -Eiqv '^[^ ]+ https?://|^$' ||\n"
           "      printf '%s\\n' \"$gb_urls\" | grep -iq '%0[ad]'; then\n"
           "      printf '\\033[31;1mERROR: %s\\033[0;m\\n' "
           "'.lfsconfig names an address that is not plain http or https'\n"
           "      exit 1\n"
           "    fi\n"
           "    git lfs pull || exit\n"
           "    echo\n"
           "  else\n"
           "    printf '\\033[0;33mWARNING: %s\\033[0;m\\n' "
           "'git-lfs is not installed on this node: files of Git LFS are left as pointers'\n"
           "  fi\n"
           "fi\n";
}

}  // namespace gridbridge::payload
