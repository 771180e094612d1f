/*
 * Physical memory: frames of 4 KiB.
 *
 * What a frame can be (frame_use):
 *
 *   FREE      on the free list
 *   NUCLEUS   the image, firmware's, slabs of the nucleus: never freed but by who took it
 *   OBJECT    the content of an object in memory; its owner is found through frame_object
 *   SNAPSHOT  a copy that a snapshot keeps
 *   TABLE     a page table
 *
 * The last frames, a 32nd of all, are for the commons only, so that the paging path never waits for
 * a district.
 */
#ifndef NUCLEUS_FRAME_H
#define NUCLEUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRECT_MAP  0xffff800000000000ul
#define NUCLEUS_MAP 0xffffffff80000000ul

enum frame_use {
    FRAME_FREE,
    FRAME_NUCLEUS,
    FRAME_OBJECT,
    FRAME_SNAPSHOT,
    FRAME_TABLE,
    FRAME_LINKS,
    FRAME_HOLE
};

struct object;

static inline void *frame_pointer(uint64_t physical)
{
    return (void *)(DIRECT_MAP + physical);
}
static inline uint64_t frame_physical(const void *p)
{
    return (uint64_t)p - DIRECT_MAP;
}

/** Takes over RAM. `add` makes [from, to) available; the frame table itself is put at `table`. */
/** Bytes of the frame table for RAM up to `limit`. */
size_t frame_table_size(uint64_t limit);
void frame_init(uint64_t table, uint64_t limit);
void frame_add(uint64_t from, uint64_t to);
/** [from, to) is not RAM: device registers below 4 GiB. */
void frame_hole(uint64_t from, uint64_t to);
/** @param common may use the reserve. @return direct-map pointer, content undefined, or NULL. */
void *frame_allocate(enum frame_use use, bool common);
/** Physically contiguous frames, for DMA. @return the first or NULL */
void *frame_allocate_run(size_t count);
void frame_free(void *frame);
/** Frames of the boot modules become objects' content. */
void frame_adopt(void *frame);
void frame_set_object(void *frame, struct object *o);
/** The object whose content is at this physical address, NULL if none (device registers, tables).
 */
struct object *frame_object(uint64_t physical);
/** The entry of an upper page table that leads to this one; NULL: none, it is a top. */
void frame_set_parent(void *table, uint64_t *entry);
uint64_t *frame_parent(const void *table);
/** Entries in use of the page table that `entry` lies in: so many more. @return how many now */
unsigned frame_entries(const void *entry, int change);
bool frame_is_ram(uint64_t physical);
size_t frame_count(void);
size_t frame_free_count(void);
/** True while memory is so short that those who wait for it had better go on waiting. */
bool frame_scarce(void);

/** True if it is time to evict something. */
bool frame_low(void);

/*
 * A slab hands out equal small pieces of frames: object headers, activities, spaces. Pieces are
 * never given back to the frame pool, only reused.
 */
struct slab {
    size_t size;
    void *free;
    size_t used;
};
/** @return zeroed piece or NULL */
void *slab_allocate(struct slab *s, bool common);
void slab_free(struct slab *s, void *piece);

#endif
