/*
 * A block device (block.h) as the store library wants it: struct store_io over the shared window.
 * See disk.c.
 */
#ifndef SERVER_DISK_H
#define SERVER_DISK_H

#include <stdint.h>
#include <store/store.h>

#define KR_DISK          24 /* start key of the driver */
#define KR_DRIVER        25 /* start key that is posted when requests are in the window */
#define KR_HANDED        26 /* made and handed over at once */
#define KR_SECOND_DRIVER 31 /* as KR_DRIVER, for the second disk of a mirrored store */

/** Of the keys by which others call us; posted when districtd, or the disk's driver, is new */
#define BADGE_ANYBODY     0u
#define BADGE_DISK        1u /* post bit of the driver */
#define BADGE_DISTRICT    2u /* post bit of the nucleus, for the district */
#define BADGE_SECOND_DISK 3u /* post bit of the second disk's driver */
#define BADGE_JOURNAL     4u /* of the key that the district has */

#define DISK_WINDOW        0x10000000ul
#define DISK_SECOND_WINDOW 0x10200000ul
/* Pages of the window: 0 the ring; then what objects pass through; then the library's other blocks.
 */
#define DISK_OBJECTS      1u
#define DISK_OBJECT_PAGES 144u
#define DISK_BOUNCE       (DISK_OBJECTS + DISK_OBJECT_PAGES)
#define DISK_BOUNCE_PAGES 63u
#define DISK_READS        (DISK_BOUNCE + DISK_BOUNCE_PAGES)
#define DISK_READ_PAGES   16u
#define DISK_AHEAD        (DISK_READS + DISK_READ_PAGES) /* what was read ahead */
#define DISK_AHEAD_PAGES  16u
/* Headers at the end of one page, objects in those behind it. */
#define DISK_SUPPLY       (DISK_AHEAD + DISK_AHEAD_PAGES)
#define DISK_SUPPLY_PAGES 16u

/** Opens "diskN" and maps its window. @return BW_OK, or why not */
int64_t disk_open(uint64_t n);
/** Opens the second disk, whose driver has that key, afresh. @return BW_OK, or why not */
int64_t disk_open_second(uint16_t key);
/** Fills in io's callbacks, context and size. */
void disk_io(struct store_io *io);
void disk_second_io(struct store_io *io);
/** Address of a page of the (first) window. */
uint8_t *disk_page(unsigned page);
/** Faults if the driver has ended, which takes the window along: what failed with that in hand means
 * nothing, and the server is started again. */
void disk_touch(void);
/** The pages from DISK_SUPPLY have been written to by others than the reads of disk_io: what was
 * read ahead is forgotten. */
void disk_forget_ahead(void);
/** Gives the driver what is still held back for joining. */
void disk_submit(void);
/** Returns when no write from these pages (of the first window) is under way any more. */
void disk_settle(unsigned first, unsigned count);
/** How long the server has waited for the driver so far, ns. */
bw_time_t disk_waited(void);
/** Posts that arrived, here or elsewhere, and nobody has looked at: the bits, cleared. */
uint64_t disk_posts(uint64_t mask);
/** Whether some of them wait to be taken. */
bool disk_has_posts(uint64_t mask);
void disk_posted(uint64_t bits);

#endif
