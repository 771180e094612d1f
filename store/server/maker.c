/*
 * How a free partition becomes a store: a copy of a generation of another one's district. Whoever
 * asks (the shell) carries it, object by object, from the server of the one to that of the other,
 * so that no store server waits for another:
 *
 *   to the source     STORE_LIKE                    what such a store is made with
 *                     STORE_READ, again and again   the objects in order of id, then the journal
 *   to the free one   STORE_MAKE                    begins, or begins anew
 *                     STORE_PUT, again and again
 *                     STORE_MADE                    durable, and known to districtd
 *
 * The superblock, by which a store is known, is kept back until all else is durable: what was not
 * finished is still a free partition.
 */
#include "maker.h"
#include <bailiwick/names.h>
#include <stdio.h>
#include <string.h>
#include "copies.h"

#define ROOM_TO_RUN 512u /* blocks, besides the sixteenth that is kept back */

static struct disk_line line;
static struct store *made;                             /* NULL: none is being made */
static struct store_io disk;                           /* of what is written */
static struct store_like like;                         /* what it is made with */
static uint8_t label[STORE_LABEL_BLOCKS][STORE_BLOCK]; /* the superblock's blocks */

/* --- what is there ---------------------------------------------------------------------------- */

void maker_look(bool free)
{
    static uint8_t block[STORE_BLOCK];
    static const uint8_t zero[STORE_BLOCK];
    struct store_io io = {.ctx = NULL};

    disk_io(&io);
    line.bytes = io.blocks * STORE_BLOCK;
    line.state = !free ? DISK_IN_USE
                 : io.read(io.ctx, 0, block, 1) == 0 && memcmp(block, zero, sizeof(zero)) == 0
                     ? DISK_FREE
                     : DISK_OTHER;
}

static void reply_disk(struct message *reply)
{
    line.number = server.disk;
    line.error = server.line.error;
    memcpy(line.name, server.line.name, sizeof(line.name));
    reply->string = &line;
    reply->length = sizeof(line);
}

/* --- the source ------------------------------------------------------------------------------- */

static int64_t describe(struct message *reply)
{
    static struct store_like l;
    struct store_generation g;
    struct store_info info;

    if (!server.store || server.reopen) {
        return server.line.error ? server.line.error : BW_IO;
    }
    store_info(server.store, &info);
    if (info.in_doubt) {
        return BW_AGAIN;
    }
    l = (struct store_like){
        .generation = info.current,
        .interval = info.interval,
        .crash_policy = info.crash_policy,
        .abi_version = info.abi_version,
        .image_version = info.image_version,
        .keep = {info.keep_last, info.keep_minutes, info.keep_hours, info.keep_days}};
    for (uint32_t i = 0; store_generation(server.store, i, &g) == STORE_OK; i++) {
        if (g.number == info.current) {
            l.time = g.time;
            l.objects = g.objects;
        }
    }
    memcpy(l.name, info.name, sizeof(l.name));
    memcpy(l.owner, info.owner, sizeof(l.owner));
    reply->string = &l;
    reply->length = sizeof(l);
    return BW_OK;
}

static int take_first(void *ctx, const struct store_object *o)
{
    *(struct store_object *)ctx = *o;
    return 1;
}

static int64_t read_object(uint64_t generation, uint64_t first, struct message *reply)
{
    static uint8_t bytes[STORE_BLOCK];
    struct store_object o;
    int found;

    if (!server.store || server.reopen) {
        return BW_IO;
    }
    found = store_walk(server.store, generation, first, take_first, &o);
    if (found == 0) {
        reply->word[0] = store_journal(server.store, bytes);
        reply->string = bytes;
        reply->length = sizeof(bytes);
        return BW_ABSENT;
    }
    if (found == 1) {
        found = store_get(server.store, generation, o.oid, &o, bytes);
    }
    if (found != STORE_OK) { /* STORE_ABSENT: the generation is not kept any more */
        return found == STORE_ABSENT ? BW_REFUSED : server_result(found);
    }
    reply->word[0] = o.oid;
    reply->word[1] = o.type;
    reply->word[2] = o.version;
    reply->string = o.bytes ? bytes : NULL;
    reply->length = o.bytes ? sizeof(bytes) : 0;
    return BW_OK;
}

/* --- the new one ------------------------------------------------------------------------------ */

static int write_but_label(void *ctx, uint64_t block, const void *buf, size_t n)
{
    const uint8_t *from = buf;

    for (; n > 0 && block < STORE_LABEL_BLOCKS; n--, from += STORE_BLOCK) {
        memcpy(label[block++], from, STORE_BLOCK);
    }
    return n > 0 ? disk.write(ctx, block, from, n) : 0;
}

static int read_with_label(void *ctx, uint64_t block, void *buf, size_t n)
{
    uint8_t *to = buf;

    for (; n > 0 && block < STORE_LABEL_BLOCKS; n--, to += STORE_BLOCK) {
        memcpy(to, label[block++], STORE_BLOCK);
    }
    return n > 0 ? disk.read(ctx, block, to, n) : 0;
}

static int64_t fresh_id(uint8_t id[16])
{
    struct message m = {.code = ENTROPY_GET};
    int64_t result = bw_find("entropy", KEY_AT(KR_HANDED));

    if (result == BW_OK) {
        result = bw_call(KEY_AT(KR_HANDED), &m);
    }
    memcpy(id, m.word, 16);
    return result;
}

static void give_up(void)
{
    store_close(made);
    made = NULL;
}

static int64_t begin(const void *string, size_t length, bool force)
{
    struct store_format_params p = {.time = bw_realtime()};
    struct store_io io;
    int64_t result;
    int error;

    if (length != sizeof(like)) {
        return BW_ARGUMENT;
    }
    if (line.state != DISK_FREE && !force) {
        return BW_EXISTS;
    }
    give_up();
    memcpy(&like, string, sizeof(like));
    result = fresh_id(p.id);
    if (result != BW_OK) {
        return result;
    }
    disk_io(&disk);
    io = disk;
    io.read = read_with_label;
    io.write = write_but_label;
    memset(label, 0, sizeof(label));
    memcpy(p.name, like.name, sizeof(p.name) - 1);
    memcpy(p.owner, like.owner, sizeof(p.owner) - 1);
    p.blocks = io.blocks;
    p.interval = like.interval;
    p.crash_policy = like.crash_policy;
    p.abi_version = like.abi_version;
    p.image_version = like.image_version;
    p.keep_last = like.keep[0];
    p.keep_minutes = like.keep[1];
    p.keep_hours = like.keep[2];
    p.keep_days = like.keep[3];
    error = store_format(&io, &p, &made);
    if (error == STORE_OK) {
        error = store_begin(made, like.generation);
    }
    if (error != STORE_OK) {
        give_up();
    }
    return error == STORE_ARGUMENT ? BW_ARGUMENT : server_result(error);
}

/** The system page has the district's name, too. */
static void rename_system(uint8_t bytes[STORE_BLOCK])
{
    struct system_page *s = (struct system_page *)bytes;

    memset(s->name, 0, sizeof(s->name));
    memcpy(s->name, like.name, sizeof(s->name) - 1);
}

static int64_t put(const struct message *m, const void *string)
{
    static uint8_t bytes[STORE_BLOCK] __attribute__((aligned(16)));
    int error;

    if (!made || (m->length != 0 && m->length != sizeof(bytes))) {
        return made ? BW_ARGUMENT : BW_REFUSED;
    }
    memcpy(bytes, string, m->length);
    if (m->word[0] == OID_SYSTEM && m->length) {
        rename_system(bytes);
    }
    error = store_put(made, m->word[0], (uint32_t)m->word[1], (uint32_t)m->word[2],
                      m->length ? bytes : NULL);
    return server_result(error);
}

/** All is written: the label makes it a store. @return enum store_error */
static int finish(uint64_t sequence, const void *journal, size_t length)
{
    struct store_info info;
    int error = store_commit(made, like.time, STORE_MADE_FORMAT);

    if (error == STORE_OK && sequence) {
        error = store_set_journal(made, sequence, journal, length);
    }
    if (error != STORE_OK) {
        return error;
    }
    store_info(made, &info);
    if (info.free_blocks < info.blocks / 16 + ROOM_TO_RUN) {
        return STORE_NOSPACE;
    }
    return disk.flush(disk.ctx) || disk.write(disk.ctx, 0, label, STORE_LABEL_BLOCKS) ||
                   disk.flush(disk.ctx)
               ? STORE_IO
               : STORE_OK;
}

/** Finishes it, and goes on as the server of that store. */
static int64_t end(const struct message *m, const void *string, struct message *reply)
{
    int error;

    if (!made || m->length > STORE_JOURNAL) {
        return made ? BW_ARGUMENT : BW_REFUSED;
    }
    error = finish(m->word[0], string, m->length);
    give_up();
    if (error == STORE_OK) {
        error = copies_look();
    }
    if (error == STORE_OK) {
        error = server_open_store();
    }
    if (error != STORE_OK) {
        return server_result(error);
    }
    server.free = false;
    line.state = DISK_IN_USE;
    server_register();
    reply->string = &server.line;
    reply->length = sizeof(server.line);
    return server.line.error;
}

bool maker_serve(const struct message *m, const void *string, struct message *reply)
{
    if (m->code >= STORE_MAKE && m->code <= STORE_MADE && !server.free) {
        reply->code = BW_EXISTS;
        return true;
    }
    switch (m->code) {
    case STORE_DISK:
        reply_disk(reply);
        break;
    case STORE_LIKE:
        reply->code = describe(reply);
        break;
    case STORE_READ:
        reply->code = read_object(m->word[0], m->word[1], reply);
        break;
    case STORE_MAKE:
        reply->code = begin(string, m->length, m->word[0] != 0);
        break;
    case STORE_PUT:
        reply->code = put(m, string);
        break;
    case STORE_MADE:
        reply->code = end(m, string, reply);
        break;
    default:
        return false;
    }
    return true;
}
