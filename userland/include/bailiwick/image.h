/*
 * The first image of a new district: which native programs mkdistrict puts into it, and what each
 * finds in its key registers (besides native.h's). Ids from OID_FIRST_FREE on are given out by
 * mkdistrict in order; the bank's KR_RANGE begins at the first multiple of IMAGE_RANGE above them.
 *
 *   program        KR_RANGE               others
 *   bank           everything above       -
 *   steward        IMAGE_RANGE ids        KR_IMAGE_BANK, KR_IMAGE_PEER: start key to unix, badge
 *                                         STEWARD
 *   unix           IMAGE_UNIX_RANGE ids   KR_IMAGE_BANK, KR_IMAGE_PEER: start key to terminal,
 *                                         badge 0, KR_IMAGE_FILES: node key, root of the file tree
 *                                         (filetree.h), KR_IMAGE_METER
 *   terminal       IMAGE_RANGE ids        KR_IMAGE_PEER: start key to unix, badge TERMINAL
 *   relay          IMAGE_RANGE ids        KR_IMAGE_PEER: start key to unix, badge RELAYED; unix has
 *                                         KR_IMAGE_RELAY: start key to it, badge WORK
 *   gate           IMAGE_RANGE ids        KR_IMAGE_METER
 *   those added    IMAGE_RANGE ids        KR_IMAGE_BANK, KR_IMAGE_GATE: start key to gate, badge
 *                                         PROGRAMS
 *
 * KR_NAMES is a KEY_GRANT in all of them. All have a meter of class IMAGE_METER and no keeper, and
 * all start RUNNING. Ranges above begin at an id of their own; programs' own nodes, pages and
 * domains are made by mkdistrict from ids outside those ranges, so a program may use its KR_RANGE
 * from offset 0 on (NATIVE_RANGE_USED holds in the commons only); unix from
 * filetree_super.first_offset on, since the objects of the file tree are the first ones of its
 * range, so that it can destroy them.
 *
 * Windows, as slots of 256 MiB in the program's height-3 root:
 *   steward   1: one page at its start: struct image_arguments
 *   unix      1: the inode table's segment (the same key as in the file tree's slot 1), writable
 *             2: one page at its start shared with terminal: the rings (userland/unix/rings.h)
 *             4: pages shared with relay: the channels (userland/unix/channels.h)
 *   terminal  2: the same page
 *   relay     4: the same pages
 *   added     1: one page: struct image_arguments
 */
#ifndef BAILIWICK_IMAGE_H
#define BAILIWICK_IMAGE_H

#include <bailiwick/native.h>

#define IMAGE_RANGE      65536ull     /* ids */
#define IMAGE_UNIX_RANGE (1ull << 40) /* ids; the file tree's objects are at its start */
#define IMAGE_METER      2            /* scheduling class of district programs */

#define KR_IMAGE_BANK  6
#define KR_IMAGE_PEER  7
#define KR_IMAGE_FILES 8
#define KR_IMAGE_METER 9
#define KR_IMAGE_GATE  10
#define KR_IMAGE_RELAY 22 /* unix only, which has no lower one free */

#define BADGE_STEWARD  2
#define BADGE_TERMINAL 1 /* posts from the terminal agent: bit 1 */
#define BADGE_RELAYED  3 /* posts from the relay */
#define BADGE_WORK     1 /* posts to the relay */
#define BADGE_PROGRAMS 1 /* messages of programs to the gate */

#define IMAGE_CHANNEL_PAGES 66u /* sizeof(struct channels) */
#define IMAGE_WINDOW(slot)  (0x10000000ul * (slot))

struct image_arguments {
    char exec[4096]; /* --exec: words separated by NUL, ended by an empty word */
};

#endif
