/*
 * Address spaces: what is mapped where (vm.c), and the pages that are there (pages.c).
 *
 * A space is a segment of height 3: nodes of height 2 in its root (256 MiB each), nodes of height 1
 * (1 MiB each), pages. The mirror has the same shape: tables, leaves, entries. Invariants:
 *   1. A slot of a node of height 1 holds a key if and only if its entry is ENTRY_IN_SLOT, and that
 *      key's rights are exactly ENTRY_WRITE / ENTRY_EXEC.
 *   2. An ENTRY_OWNED page is named by as many entries, in all spaces, as share_count() says; only
 *      if that is one may an entry have ENTRY_WRITE.
 *   3. Areas do not overlap, are sorted, page-aligned and not empty; every entry lies in an area.
 */
#ifndef UNIX_VM_H
#define UNIX_VM_H

#include "machine.h"

struct file;

#define SPACE_TOP     0x1000000000ull /* 64 GiB */
#define SPACE_LOW     0x10000ull      /* nothing is mapped below */
#define STACK_TOP     (SPACE_TOP - 0x1000)
#define STACK_SIZE    0x800000ull
#define STACK_GAP     0x10000ull
#define PIE_BASE      0x10000000ull
#define PAGE          ((uint64_t)BW_PAGE_SIZE)
#define PAGE_FLOOR(a) ((a) & ~(PAGE - 1))
#define PAGE_CEIL(a)  (((a) + PAGE - 1) & ~(PAGE - 1))

/* As mmap has them. */
#define VM_READ  1u
#define VM_WRITE 2u
#define VM_EXEC  4u
/* Our own. */
#define AREA_SHARED        1u /* MAP_SHARED */
#define AREA_HEAP          2u
#define AREA_STACK         4u
#define AREA_MAY_NOT_WRITE 8u /* shared mapping of a file that was not opened for writing */

#define ENTRY_ID      0xffffffffffull
#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_IN_SLOT (1ull << 62)
#define ENTRY_OWNED   (1ull << 61) /* private page of ours, counted */
#define ENTRY_OBJECT  (1ull << 60) /* page of a shared_memory; id valid */
#define ENTRY_FILE    (1ull << 59) /* page of a file; no id */
#define ENTRY_WRITE   (1ull << 58)
#define ENTRY_EXEC    (1ull << 57)

/** Anonymous memory that several spaces map (MAP_SHARED). Pages by index, 0: none yet, else id + 1.
 */
struct shared_memory {
    unsigned references;
    uint64_t pages;
    uint64_t **chunk; /* of SHARED_CHUNK ids */
};
#define SHARED_CHUNK 512u

struct area {
    uint64_t start, end;
    uint32_t prot;                /* VM_* */
    uint32_t flags;               /* AREA_* */
    struct file *file;            /* held; or */
    struct shared_memory *memory; /* held; or neither: private anonymous */
    uint64_t offset;              /* of start, in bytes, in file or memory */
};

/** One bit for each slot of a node, so that the empty ones are passed over fast. */
struct map {
    uint64_t word[BW_NODE_SLOTS / 64];
};

struct leaf {
    uint64_t id; /* of the node of height 1 */
    unsigned used;
    struct map map; /* entries that are not zero */
    uint64_t entry[BW_NODE_SLOTS];
};

struct table {
    uint64_t id; /* of the node of height 2 */
    unsigned used;
    struct map map; /* leaves that are there */
    struct leaf *leaf[BW_NODE_SLOTS];
};

struct space {
    unsigned references;
    struct handle root;
    struct map map; /* tables that are there */
    struct table *table[BW_NODE_SLOTS];
    struct area *area;
    unsigned areas, area_capacity;
    unsigned area_hint; /* the last one found */
    uint64_t brk_start, brk, brk_limit;
    uint64_t resident;          /* entries present */
    uint64_t owned;             /* ENTRY_OWNED ones among them */
    uint64_t id_next, id_end;   /* ids bought for it and not yet used */
    struct space *next, **link; /* all spaces */
};

/* --- vm.c ------------------------------------------------------------------------------------- */
struct space *space_new(void);
struct space *space_share(struct space *s);
void space_release(struct space *s);
/** A copy for fork. @return NULL: out of memory */
struct space *space_fork(struct space *parent);
/** The area that holds `address`, NULL. */
struct area *area_find(struct space *s, uint64_t address);
/** Maps [start, start + length), page-aligned, replacing what is there. The file or memory is held
 * anew.
 *  @return 0, -ENOMEM */
int area_map(struct space *s, uint64_t start, uint64_t length, uint32_t prot, uint32_t flags,
             struct file *file, struct shared_memory *memory, uint64_t offset);
int area_unmap(struct space *s, uint64_t start, uint64_t length);
int area_protect(struct space *s, uint64_t start, uint64_t length, uint32_t prot);
/** Free place for length bytes, top down; 0: none. */
uint64_t area_place(struct space *s, uint64_t hint, uint64_t length);
uint64_t area_total(const struct space *s);

/** Result of a fault at a page that was there with all rights that it can get. */
#define FAULT_NO_CHANGE 1
/** Access of a fault: VM_READ, VM_WRITE or VM_EXEC. @return 0, FAULT_NO_CHANGE, -EFAULT (SIGSEGV),
 *  -ENXIO (SIGBUS), -EACCES (SIGSEGV with SEGV_ACCERR), -ENOMEM */
int space_fault(struct space *s, uint64_t address, unsigned access);
/** Bytes of any space, with faults resolved. @return bytes done, < n at a fault that cannot be */
size_t space_read(struct space *s, void *to, uint64_t from, size_t n);
size_t space_write(struct space *s, uint64_t to, const void *from, size_t n);
size_t space_zero(struct space *s, uint64_t to, size_t n);

/* --- shared.c --------------------------------------------------------------------------------- */
struct shared_memory *shared_new(uint64_t pages);
void shared_hold(struct shared_memory *m);
void shared_release(struct shared_memory *m);
/** Place of a page's id + 1; NULL: out of memory or range. */
uint64_t *shared_page(struct shared_memory *m, uint64_t index);

/* --- share.c: how many entries name an owned page, if more than one --------------------------- */
unsigned share_count(uint64_t id);
/** One more. @return false: no memory */
bool share_add(uint64_t id);
/** One less. @return how many are left */
unsigned share_drop(uint64_t id);
/** Makes room for n more, so that as many share_add cannot fail. */
bool share_reserve(size_t n);

/* --- pages.c ---------------------------------------------------------------------------------- */
/** As space_fault, for an access that the area allows. */
int pages_fault(struct space *s, const struct area *v, uint64_t address, unsigned access);
/** Pages of [start, end) go. */
void pages_remove(struct space *s, uint64_t start, uint64_t end);
/** Access to [start, end) is narrowed to `prot`; what it widens comes with the next fault. */
void pages_protect(struct space *s, uint64_t start, uint64_t end, uint32_t prot);
/** Child's mirror and nodes become a copy of the parent's. @return 0, -ENOMEM (child to be
 * released) */
int pages_fork(struct space *child, struct space *parent);
/** Entries move, keys follow at the next fault. @return 0, -ENOMEM: nothing moved */
int pages_move(struct space *s, uint64_t from, uint64_t to, uint64_t length);
/** Everything goes: pages, nodes, mirror. */
void pages_release(struct space *s);
uint64_t *pages_entry(struct space *s, uint64_t address);

#endif
