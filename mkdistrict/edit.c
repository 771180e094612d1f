/*
 * Changing the file tree of a generation (edit.h).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "edit.h"

#define RUN_OF_IDS (1ull << 28)

/* --- the overlay ------------------------------------------------------------------------------ */

static size_t place_of(const struct overlay *o, oid_t oid)
{
    size_t i = (size_t)(oid * 0x9e3779b97f4a7c15ull >> 20) & (o->capacity - 1);

    while (o->slot[i] && o->slot[i]->oid != oid)
        i = (i + 1) & (o->capacity - 1);
    return i;
}

struct edited *overlay_find(const struct overlay *o, oid_t oid)
{
    return o->capacity ? o->slot[place_of(o, oid)] : NULL;
}

static struct edited *overlay_add(struct overlay *o, oid_t oid, enum object_type type,
                                  uint32_t version)
{
    struct edited *e = allocate(sizeof(*e));

    if (2 * o->count >= o->capacity) {
        struct overlay old = *o;

        o->capacity = old.capacity ? 2 * old.capacity : 256;
        o->slot = allocate(o->capacity * sizeof(struct edited *));
        for (size_t i = 0; i < old.capacity; i++)
            if (old.slot[i])
                o->slot[place_of(o, old.slot[i]->oid)] = old.slot[i];
        free(old.slot);
    }
    e->oid = oid;
    e->type = (uint8_t)type;
    e->version = version;
    o->slot[place_of(o, oid)] = e;
    o->count++;
    return e;
}

/** The bytes of what a key names, to be changed. */
static void *change(struct edit *e, struct key k, enum object_type type)
{
    struct edited *there = overlay_find(&e->overlay, k.value);
    uint8_t bytes[BW_PAGE_SIZE];

    if (there)
        return there->bytes;
    if (!files_fetch(&e->t, k, type, bytes))
        fail("%s: damaged: the file tree leads to object %#llx, which is not there", e->t.of->path,
             (unsigned long long)k.value);
    there = overlay_add(&e->overlay, k.value, type, k.version);
    memcpy(there->bytes, bytes, BW_PAGE_SIZE);
    return there->bytes;
}

static oid_t make_object(struct edit *e, enum object_type type)
{
    oid_t oid = builder_id(&e->b);

    overlay_add(&e->overlay, oid, type, 1);
    return oid;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/** Stops at the first object found behind. */
static int first_object(void *ctx, const struct store_object *o)
{
    *(oid_t *)ctx = o->oid;
    return 1;
}

/** Ids from the upper half of the personality's range, which it would reach in thousands of years
 * only: a place where there are none. */
static void choose_ids(struct edit *e)
{
    struct opened *o = e->t.of;
    struct key range = e->t.range;
    uint64_t half = key_range_count(range) / 2, random;
    oid_t next;
    int r;

    if (range.type != KEY_RANGE || half < 4 * RUN_OF_IDS)
        fail("%s: its personality has no ids for new files", o->path);
    do {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            fail("no random bytes to be had");
        e->b.next = range.value + half + random % (half / RUN_OF_IDS - 1) * RUN_OF_IDS;
        next = 0;
        r = store_walk(o->store, e->t.generation, e->b.next, first_object, &next);
        if (r < 0)
            opened_check(o, r);
    } while (next && next < e->b.next + RUN_OF_IDS);
}

/** Has the district never run? Then nobody remembers anything. */
static bool is_new(struct files *t)
{
    struct key k = {.type = KEY_PAGE, .value = OID_SYSTEM, .version = 1};
    union {
        struct system_page system;
        uint8_t bytes[BW_PAGE_SIZE];
    } page;

    return files_fetch(t, k, OBJECT_PAGE, &page) && page.system.monotonic == 0;
}

void edit_begin(struct edit *e, struct opened *o)
{
    uint64_t random, incarnation;

    *e = (struct edit){.now = time_now()};
    if (o->generation.number != o->info.current)
        fail("%s: what is put makes a new generation after the current one, %llu; it cannot change "
             "an older one",
             o->path, (unsigned long long)o->info.current);
    if (o->info.in_doubt)
        fail("%s: it is bonded with %.*s, which knows whether generation %llu counts; restart them "
             "once, together",
             o->path, (int)STORE_NAME_MAX, o->info.bond.member[0].name,
             (unsigned long long)o->info.current);
    files_open(&e->t, o);
    if (e->t.state != DOMAIN_AVAILABLE && !is_new(&e->t))
        fail("%s: in generation %llu its Linux personality is in the middle of something; let the "
             "district make another checkpoint and stop it again",
             o->path, (unsigned long long)o->generation.number);
    choose_ids(e);
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        fail("no random bytes to be had");
    opened_check(o,
                 store_claim(o->store, STORE_NEWEST, random, "mkdistrict", e->now, &incarnation));
    store_info(o->store, &o->info);
    opened_check(o, store_begin(o->store, o->info.next_generation));
    e->b.store = o->store;
    e->t.overlay = &e->overlay;
}

void edit_finish(struct edit *e)
{
    struct filetree_super *super = change(e, e->t.root[FILETREE_SLOT_SUPER], OBJECT_PAGE);
    struct opened *o = e->t.of;

    super->inodes = e->t.super.inodes;
    super->free_head = e->t.super.free_head;
    super->free_count = e->t.super.free_count;
    super->pages += e->data_pages;
    super->edits++;
    for (size_t i = 0; i < e->overlay.capacity; i++) {
        struct edited *d = e->overlay.slot[i];

        if (d)
            opened_check(o, store_put(o->store, d->oid, d->type, d->version, d->bytes));
    }
    opened_check(o, store_commit(o->store, e->now, STORE_MADE_TOOL));
    for (size_t i = 0; i < e->overlay.capacity; i++)
        free(e->overlay.slot[i]);
    free(e->overlay.slot);
    e->overlay = (struct overlay){.slot = NULL};
}

/* --- segments and nodes ----------------------------------------------------------------------- */

/** The page of a segment, to be changed; it and the nodes on the way are made if they are missing.
 * The segment is high enough. *made is set if there was none. */
static void *change_page(struct edit *e, struct key segment, uint64_t index, bool *made)
{
    struct key k = segment;

    *made = false;
    for (unsigned height = segment.tag; height > 0; height--) {
        struct key *slot = change(e, k, OBJECT_NODE);
        unsigned i = (unsigned)(index >> BW_NODE_SHIFT * (height - 1)) & (BW_NODE_SLOTS - 1);

        if (slot[i].type == KEY_VOID && height > 1)
            slot[i] = make_key(KEY_SEGMENT, RIGHT_WRITE | RIGHT_EXECUTE, height - 1,
                               make_object(e, OBJECT_NODE));
        if (slot[i].type == KEY_VOID) {
            slot[i] = make_key(KEY_PAGE, RIGHT_WRITE, 0, make_object(e, OBJECT_PAGE));
            *made = true;
        }
        k = slot[i];
        if (k.type == KEY_PAGE ? height != 1 : k.type != KEY_SEGMENT || k.tag != height - 1)
            fail("%s: damaged: a segment of the file tree has a key of type %u at height %u",
                 e->t.of->path, k.type, height);
    }
    return change(e, k, OBJECT_PAGE);
}

/** The node in a slot of another, made if it is missing. */
static struct key *enter(struct edit *e, struct key node, unsigned i, bool root)
{
    struct key *slot = change(e, node, OBJECT_NODE);

    if (slot[i].type == KEY_VOID) {
        slot[i] = make_key(KEY_NODE, RIGHT_WRITE, 0, make_object(e, OBJECT_NODE));
        if (root)
            e->t.root[i] = slot[i];
    }
    return &slot[i];
}

void edit_set_data(struct edit *e, uint32_t number, struct key data)
{
    struct key a = *enter(e, e->t.root_key, FILETREE_SLOT_DATA + (number >> 16), true);
    struct key b = *enter(e, a, number >> 8 & 255, false);
    struct key *slot = change(e, b, OBJECT_NODE);

    slot[number & 255] = data;
}

/* --- inodes ----------------------------------------------------------------------------------- */

void edit_set_inode(struct edit *e, uint32_t number, const struct filetree_inode *inode)
{
    const uint32_t per_page = BW_PAGE_SIZE / sizeof(*inode);
    struct filetree_inode *page;
    bool made;

    page = change_page(e, e->t.root[FILETREE_SLOT_INODES], number / per_page, &made);
    page[number % per_page] = *inode;
}

uint32_t edit_new_inode(struct edit *e, const struct filetree_inode *inode)
{
    struct filetree_super *s = &e->t.super;
    uint32_t number = s->free_head;
    struct filetree_inode old;

    if (number) {
        if (files_inode(&e->t, number, &old) || number >= s->inodes)
            fail("%s: damaged: the chain of free inodes leads to inode %u, which is in use",
                 e->t.of->path, number);
        s->free_head = old.next;
        s->free_count--;
    } else {
        if (s->inodes >= FILETREE_INODES_MAX)
            fail("%s: its file tree has no room for more files", e->t.of->path);
        number = s->inodes++;
    }
    edit_set_inode(e, number, inode);
    edit_set_data(e, number, key_void());
    return number;
}

/* --- directories ------------------------------------------------------------------------------ */

/** A place in a directory. */
struct place {
    uint64_t block;
    size_t offset;
    uint16_t length; /* of the record */
    uint16_t used;   /* by its name */
};

static bool sound(const struct filetree_entry *d, size_t offset)
{
    return offset + 8 <= BW_PAGE_SIZE && d->length >= 8 && d->length % 8 == 0 &&
           offset + d->length <= BW_PAGE_SIZE &&
           (d->ino == 0 || FILETREE_ENTRY_SIZE(d->name_length) <= d->length);
}

/** Finds a name's record; with name NULL, one with room for `room` bytes more. */
static bool find_record(struct edit *e, uint32_t directory, const char *name, size_t room,
                        struct place *p)
{
    struct key data = files_data_key(&e->t, directory);
    struct filetree_inode inode;
    union {
        uint8_t bytes[BW_PAGE_SIZE];
        struct filetree_entry entry;
    } page;

    files_inode(&e->t, directory, &inode);
    for (p->block = 0; p->block < inode.size / BW_PAGE_SIZE; p->block++) {
        if (!files_page(&e->t, data, p->block, page.bytes))
            continue;
        for (p->offset = 0; p->offset < BW_PAGE_SIZE; p->offset += p->length) {
            const struct filetree_entry *d =
                (const struct filetree_entry *)(page.bytes + p->offset);

            if (!sound(d, p->offset))
                fail("%s: damaged: the directory with inode %u; --verify names all that is wrong",
                     e->t.of->path, directory);
            p->length = d->length;
            p->used = d->ino ? (uint16_t)FILETREE_ENTRY_SIZE(d->name_length) : 0;
            if (name ? d->ino && d->name_length == strlen(name) &&
                           memcmp(d->name, name, d->name_length) == 0
                     : d->length - p->used >= (int)room)
                return true;
        }
    }
    return false;
}

static struct filetree_entry *change_record(struct edit *e, uint32_t directory,
                                            const struct place *p)
{
    bool made;
    uint8_t *page = change_page(e, files_data_key(&e->t, directory), p->block, &made);

    return (struct filetree_entry *)(page + p->offset);
}

uint32_t edit_lookup(struct edit *e, uint32_t directory, const char *name)
{
    struct place p;

    return find_record(e, directory, name, 0, &p) ? change_record(e, directory, &p)->ino : 0;
}

/** One more block, as one free record. */
static void append_block(struct edit *e, uint32_t directory, struct place *p)
{
    struct key data = files_data_key(&e->t, directory);
    struct filetree_inode inode;
    struct filetree_entry *d;
    bool made;

    files_inode(&e->t, directory, &inode);
    if (data.type != KEY_SEGMENT || inode.size + BW_PAGE_SIZE > segment_span(data.tag))
        fail("%s: the folder with inode %u is too full to take more from outside; boot the "
             "district and copy from inside, or put it into another folder",
             e->t.of->path, directory);
    *p = (struct place){inode.size / BW_PAGE_SIZE, 0, BW_PAGE_SIZE, 0};
    d = (struct filetree_entry *)change_page(e, data, p->block, &made);
    *d = (struct filetree_entry){.length = BW_PAGE_SIZE};
    inode.size += BW_PAGE_SIZE;
    inode.pages += made;
    e->data_pages += made;
    edit_set_inode(e, directory, &inode);
}

static void add_record(struct edit *e, uint32_t directory, const char *name, uint32_t number,
                       uint32_t mode)
{
    size_t n = strlen(name);
    struct filetree_entry *d;
    struct place p;

    if (!find_record(e, directory, NULL, FILETREE_ENTRY_SIZE(n), &p))
        append_block(e, directory, &p);
    d = change_record(e, directory, &p);
    if (p.used) {
        d->length = p.used;
        d = (struct filetree_entry *)((uint8_t *)d + p.used);
    }
    d->ino = number;
    d->length = (uint16_t)(p.length - p.used);
    d->type = (uint8_t)((mode & S_IFMT) >> 12);
    d->name_length = (uint8_t)n;
    memcpy(d->name, name, n);
}

/** A name less: what has none is freed by the personality, which knows who still uses it. */
static void lose_name(struct edit *e, uint32_t number)
{
    struct filetree_inode inode;

    if (!files_inode(&e->t, number, &inode))
        return;
    inode.links -= inode.links > 0;
    inode.ctime = e->now;
    edit_set_inode(e, number, &inode);
}

void edit_name(struct edit *e, uint32_t directory, const char *name, uint32_t number)
{
    struct filetree_inode inode, parent;
    struct filetree_entry *d;
    struct place p;

    files_inode(&e->t, number, &inode);
    if (find_record(e, directory, name, 0, &p)) {
        d = change_record(e, directory, &p);
        lose_name(e, d->ino);
        d->ino = number;
        d->type = (uint8_t)((inode.mode & S_IFMT) >> 12);
    } else {
        add_record(e, directory, name, number, inode.mode);
    }
    inode.links++;
    edit_set_inode(e, number, &inode);
    files_inode(&e->t, directory, &parent);
    parent.mtime = parent.ctime = e->now;
    edit_set_inode(e, directory, &parent);
}

uint32_t edit_make_directory(struct edit *e, uint32_t parent, const char *name,
                             const struct filetree_inode *like)
{
    struct filetree_inode inode = *like, above;
    uint32_t number;
    struct key data;

    inode.size = inode.pages = inode.links = 0;
    inode.height = 1;
    number = edit_new_inode(e, &inode);
    data = make_key(KEY_SEGMENT, RIGHT_WRITE, 1, make_object(e, OBJECT_NODE));
    edit_set_data(e, number, data);
    add_record(e, number, ".", number, S_IFDIR);
    add_record(e, number, "..", parent, S_IFDIR);
    files_inode(&e->t, number, &inode);
    inode.links = 1; /* by "." */
    edit_set_inode(e, number, &inode);
    edit_name(e, parent, name, number);
    files_inode(&e->t, parent, &above);
    above.links++;
    edit_set_inode(e, parent, &above);
    return number;
}
