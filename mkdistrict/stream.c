/*
 * Streams (stream.h): compression, hash, and the errors of what was cut off or changed on its way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"

static void hash_begin(crypto_generichash_state *h, const struct stream_mark *mark)
{
    if (sodium_init() < 0)
        fail("libsodium does not start");
    crypto_generichash_init(h, NULL, 0, STREAM_HASH);
    crypto_generichash_update(h, (const uint8_t *)mark, sizeof(*mark));
}

/* --- writing ---------------------------------------------------------------------------------- */

void stream_begin(struct stream_writer *w, int fd, const char *path)
{
    const struct stream_mark mark = {STREAM_MAGIC, STREAM_VERSION, 0};

    *w = (struct stream_writer){.fd = fd, .path = path, .zstd = ZSTD_createCCtx()};
    w->out_size = ZSTD_CStreamOutSize();
    w->out = allocate(w->out_size);
    if (!w->zstd)
        fail("out of memory");
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, 3);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    hash_begin(&w->hash, &mark);
    write_all(fd, &mark, sizeof(mark), path);
    w->written = sizeof(mark);
}

static void compress(struct stream_writer *w, const void *bytes, size_t n, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {w->out, w->out_size, 0};

        left = ZSTD_compressStream2(w->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            fail("%s: compressing: %s", w->path, ZSTD_getErrorName(left));
        write_all(w->fd, w->out, out.pos, w->path);
        w->written += out.pos;
    } while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
}

void stream_write(struct stream_writer *w, const void *bytes, size_t n)
{
    crypto_generichash_update(&w->hash, bytes, n);
    compress(w, bytes, n, ZSTD_e_continue);
}

void stream_end(struct stream_writer *w)
{
    uint8_t hash[STREAM_HASH];

    crypto_generichash_final(&w->hash, hash, sizeof(hash));
    compress(w, hash, sizeof(hash), ZSTD_e_end);
    ZSTD_freeCCtx(w->zstd);
    free(w->out);
}

/* --- reading ---------------------------------------------------------------------------------- */

static size_t read_some(struct stream_reader *r, void *to, size_t n)
{
    ssize_t got;

    do
        got = read(r->fd, to, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        fail("%s: %s", r->path, strerror(errno));
    r->read += (uint64_t)got;
    return (size_t)got;
}

static void cut_off(const struct stream_reader *r)
{
    fail("%s: the stream ends too early, after %llu bytes: it was cut off on its way; export it "
         "again",
         r->path, (unsigned long long)r->read);
}

static void damaged(const struct stream_reader *r, const char *what)
{
    fail("%s: the stream is damaged (%s, before its byte %llu); export it again", r->path, what,
         (unsigned long long)r->read);
}

void stream_open(struct stream_reader *r, int fd, const char *path)
{
    struct stream_mark mark;
    size_t done = 0;

    *r = (struct stream_reader){.fd = fd, .path = path, .zstd = ZSTD_createDCtx()};
    while (done < sizeof(mark)) {
        size_t n = read_some(r, (uint8_t *)&mark + done, sizeof(mark) - done);

        if (n == 0 && done == 0)
            fail("%s: there is nothing in it", path);
        if (n == 0)
            cut_off(r);
        done += n;
    }
    if (mark.magic != STREAM_MAGIC)
        fail("%s: this is no exported generation; mkdistrict export makes one", path);
    if (mark.version != STREAM_VERSION || mark.reserved != 0)
        fail("%s: a stream of version %u; this program reads version %u", path, mark.version,
             STREAM_VERSION);
    r->in_size = ZSTD_DStreamInSize();
    r->in = allocate(r->in_size);
    r->buffer.src = r->in;
    if (!r->zstd)
        fail("out of memory");
    ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, 24);
    hash_begin(&r->hash, &mark);
}

/** Gives up to n bytes of the frame. @return how many, 0 at its end */
static size_t decompress(struct stream_reader *r, void *to, size_t n)
{
    ZSTD_outBuffer out = {to, n, 0};

    while (out.pos < n && !r->frame_ended) {
        size_t left;

        if (r->buffer.pos == r->buffer.size) {
            r->buffer.size = read_some(r, r->in, r->in_size);
            r->buffer.pos = 0;
            if (r->buffer.size == 0)
                cut_off(r);
        }
        left = ZSTD_decompressStream(r->zstd, &out, &r->buffer);
        if (ZSTD_isError(left))
            damaged(r, ZSTD_getErrorName(left));
        r->frame_ended = left == 0;
    }
    return out.pos;
}

static void read_exactly(struct stream_reader *r, void *bytes, size_t n)
{
    if (decompress(r, bytes, n) < n)
        damaged(r, "it has an end where something should follow");
}

void stream_read(struct stream_reader *r, void *bytes, size_t n)
{
    read_exactly(r, bytes, n);
    crypto_generichash_update(&r->hash, bytes, n);
}

void stream_close(struct stream_reader *r)
{
    uint8_t said[STREAM_HASH], found[STREAM_HASH], rest;

    crypto_generichash_final(&r->hash, found, sizeof(found));
    read_exactly(r, said, sizeof(said));
    if (memcmp(said, found, sizeof(found)) != 0)
        damaged(r, "its hash does not fit");
    if (decompress(r, &rest, 1) > 0 || r->buffer.pos < r->buffer.size || read_some(r, &rest, 1) > 0)
        damaged(r, "something follows behind its end");
    ZSTD_freeDCtx(r->zstd);
    free(r->in);
}
