/*
 * The file side's start, and what is free for files.
 */
#include <bailiwick/bank.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>
#include "files.h"

#define NOMINAL_FREE (1u << 20) /* pages, when the bank has no limit to tell */

void files_init(void)
{
    bw_assert(filetree_open() == 0);
    filetree_in_use = vnode_in_use;
    path_init();
    tty_init();
}

uint64_t files_free_pages(void)
{
    struct message m = {.code = BANK_STATUS};

    if (bw_call(KR_IMAGE_BANK, &m) != BW_OK || m.word[0] <= m.word[1] ||
        m.word[0] > IMAGE_UNIX_RANGE) {
        return NOMINAL_FREE;
    }
    return m.word[0] - m.word[1];
}
