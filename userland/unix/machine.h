/*
 * What the personality asks of the nucleus, each a thin function over one invocation. The host
 * tests of vm.c and pages.c put a simulated machine under the same functions.
 *
 * Results are enum bw_result; sizes in pages unless said otherwise; `space` designates a segment
 * key of height 3.
 */
#ifndef UNIX_MACHINE_H
#define UNIX_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bailiwick/district.h>
#include <bailiwick/types.h>

/** An object of ours that we keep a key to: its id offset and its place in the key nodes. */
struct handle {
    uint64_t id;
    uint16_t slot;
};

#define MACHINE_DOMAIN (1ull << 63) /* in the id of a handle: it names a domain */

#define KR_FILE_PAGE 31 /* where vm.c has file_page() put its key */

/* --- objects ---------------------------------------------------------------------------------- */
/** Makes the nodes that hold keys. Once, at the first start. */
int64_t machine_init(void);
/** Creates a domain and keeps its key. */
int64_t machine_domain_create(struct handle *h);
/** Creates the root of an address space and keeps its key. */
int64_t machine_space_create(struct handle *h);
/** The key's place is free again. The object itself goes by machine_destroy(h->id), and then the
 * key that is still there is void. */
void machine_forget(struct handle *h);
/** A designator for the key; valid until three others were asked for. */
uint16_t machine_key(const struct handle *h);
/** Destroys an object; collected and done in runs: machine_destroy_flush() does what is left. */
void machine_destroy(uint64_t id);
void machine_destroy_flush(void);

/* --- memory ----------------------------------------------------------------------------------- */
/** A zero page, or with `from` (a page key, else 0) a copy of that. */
int64_t machine_page_create(uint16_t space, uint64_t address, unsigned rights, uint64_t id,
                            uint16_t from);
/** The page in the slot is replaced by a copy of it under a new id. */
int64_t machine_page_copy(uint16_t space, uint64_t address, unsigned rights, uint64_t id);
int64_t machine_node_create(uint16_t space, uint64_t address, unsigned height, uint64_t id);
/** Copies the source's node of height 1 there; both lose WRITE in all slots. */
int64_t machine_node_fork(uint16_t space, uint16_t source, uint64_t address, uint64_t id);
/** Voids the slot of a node of this height and destroys the node. */
int64_t machine_node_destroy(uint16_t space, uint64_t address, unsigned height);
/** Puts the page key in `key` there with exactly these rights. */
int64_t machine_page_put(uint16_t space, uint64_t address, uint16_t key, unsigned rights);
/** The same for a page of ours. */
int64_t machine_page_put_id(uint16_t space, uint64_t address, uint64_t id, unsigned rights);
int64_t machine_rights(uint16_t space, uint64_t address, unsigned count, unsigned rights);
/** Voids slots; with destroy also the objects that they name. */
int64_t machine_clear(uint16_t space, uint64_t address, unsigned count, bool destroy);
/** Bytes. @return BW_FAULT with *at the address that faults and *done the bytes done before it */
int64_t machine_read(uint16_t space, uint64_t address, void *to, size_t n, uint64_t *at,
                     size_t *done);
int64_t machine_write(uint16_t space, uint64_t address, const void *from, size_t n, uint64_t *at,
                      size_t *done);
int64_t machine_zero(uint16_t space, uint64_t address, size_t n, uint64_t *at, size_t *done);
/** *at_source: it is the source that faults, right behind the bytes done. */
int64_t machine_copy(uint16_t to, uint64_t to_address, uint16_t from, uint64_t from_address,
                     size_t n, bool *at_source, size_t *done);

/** TSC ticks of the machine that we run on. */
uint64_t machine_ticks_per_second(void);
/** The district's objects (SELF_MEMORY): in memory, fetched from the store, evicted; and how long
 * the processor was idle, in ticks. */
void machine_memory(uint64_t figures[4]);

/** This run of the district. */
struct district_run {
    char name[DISTRICT_NAME_MAX + 1];
    uint64_t incarnation, random;
    uint64_t from;    /* the generation that it started from */
    uint64_t reason;  /* enum start_reason */
    uint64_t started; /* ns since 1970 */
};
void machine_run(struct district_run *run);

#endif
