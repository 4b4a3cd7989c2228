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

std::string lfsPull() {
    return "if git grep -q filter=lfs -- '*.gitattributes'; then\n"
           "  if git lfs version >/dev/null 2>&1; then\n"
           "    git lfs pull || exit\n"
           "    echo\n"
           "  else\n"
           "    printf '\\033[0;33mWARNING: %s\\033[0;m\\n' "
           "'git-lfs is not installed on this node: files of Git LFS are left as pointers'\n"
           "  fi\n"
           "fi\n";
}

}  // namespace gridbridge::payload
