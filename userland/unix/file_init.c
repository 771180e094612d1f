/*
 * The file side's start.
 */
#include <bailiwick/runtime.h>
#include "files.h"

void files_init(void)
{
    bw_assert(filetree_open() == 0);
    filetree_in_use = vnode_in_use;
    path_init();
    tty_init();
}
