/*
 * Target: import of a stream (mkdistrict/stream.h). What import accepts must be a whole store.
 *
 * An input: one byte, then
 *   even: the stream as it is;
 *   odd:  what is in its frame, shorter: the head, then objects of 16 bytes, of which those with
 *         bytes are followed by 16 bytes that stand for all 4096. The frame and the hash at the end
 *         are made from it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "stream.h"

static char path[64];

static void stop(void)
{
    unlink(path);
}

static void prepare(void)
{
    static bool prepared;

    if (prepared)
        return;
    prepared = true;
    snprintf(path, sizeof(path), "%s/bailiwick-fuzz-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    atexit(stop);
    if (!freopen("/dev/null", "w", stdout))
        abort();
}

struct making_stream {
    const uint8_t *bytes;
    size_t size;
    int fd;
};

/** Expands and packs. */
static void pack(void *ctx)
{
    struct making_stream *m = ctx;
    size_t at = m->size < sizeof(struct generation_head) ? m->size : sizeof(struct generation_head);
    struct stream_writer w;
    uint8_t page[STORE_BLOCK];

    stream_begin(&w, m->fd, "input");
    stream_write(&w, m->bytes, at);
    while (m->size - at >= sizeof(struct generation_object)) {
        struct generation_object g;

        memcpy(&g, m->bytes + at, sizeof(g));
        stream_write(&w, &g, sizeof(g));
        at += sizeof(g);
        if (!(g.flags & OBJECT_BYTES) || m->size - at < 16)
            continue;
        for (size_t i = 0; i < sizeof(page); i += 16)
            memcpy(page + i, m->bytes + at, 16);
        at += 16;
        stream_write(&w, page, sizeof(page));
    }
    stream_end(&w);
}

static void open_and_verify(void *ctx)
{
    struct store_verify v = {0};
    struct store_io io;
    struct store *st;
    struct file f;
    int r;

    (void)ctx;
    file_open(&f, path, false);
    io = file_io(&f);
    r = store_open(&io, &st);
    if (r == STORE_OK)
        r = store_verify(st, &v);
    if (r != STORE_OK && r != STORE_NOMEM) { /* the largest stores have too large a map */
        fprintf(stderr, "import has made a store that does not verify\n");
        abort();
    }
    store_close(st);
    close(f.fd);
}

static void import(void)
{
    const char *const words[] = {"import", "--force", "--name", "other", path, NULL};

    if (tool_run(command_import, words) == 0 && !tool_try(open_and_verify, NULL))
        abort();
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct making_stream m;
    int saved;

    prepare();
    if (size < 1)
        return 0;
    memory_begin();
    m = (struct making_stream){bytes + 1, size - 1, memfd_create("stream", 0)};
    saved = dup(STDIN_FILENO);
    if (m.fd < 0 || dup2(m.fd, STDIN_FILENO) < 0)
        abort();
    close(m.fd);
    m.fd = STDIN_FILENO;
    if (bytes[0] & 1)
        tool_try(pack, &m);
    else if (write(m.fd, m.bytes, m.size) != (ssize_t)m.size)
        abort();
    lseek(STDIN_FILENO, 0, SEEK_SET);
    import();
    memory_end();
    dup2(saved, STDIN_FILENO);
    close(saved);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t room)
{
    struct {
        struct generation_head head;
        struct {
            struct generation_object head;
            uint8_t bytes[16];
        } object[4];
        struct generation_object end;
    } s = {.head = {.name = "seed",
                    .owner = "somebody",
                    .blocks = 256,
                    .number = n,
                    .parent = STORE_NEWEST,
                    .objects = 4,
                    .bytes = 4,
                    .abi_version = 1,
                    .keep_last = 2 + n}};

    if (n >= 8 || room < sizeof(s) + 1)
        return 0;
    if (n == 7)
        s.head.blocks = 1ull << 40;
    for (unsigned i = 0; i < 4; i++) {
        s.object[i].head = (struct generation_object){
            .oid = 1 + i * (n + 1), .version = 1, .type = (uint8_t)(1 + (i + n) % 3), .flags = 1};
        memset(s.object[i].bytes, (int)(n + i), 16);
    }
    to[0] = n != 6; /* that one raw, and so foreign */
    memcpy(to + 1, &s, sizeof(s));
    return sizeof(s) + 1;
}
