/*
 * A generation as one stream of bytes, for files and pipes. docs/stream-format.md has it byte by
 * byte: a plain mark, then one zstd frame (with its own checksum) of
 *
 *   struct generation_head
 *   for each object, ascending by id: struct generation_object, and 4096 bytes if it has any
 *   struct generation_object with oid 0: the end
 *   BLAKE2b-256 of the mark and everything before
 *
 * and nothing behind it.
 */
#ifndef MKDISTRICT_STREAM_H
#define MKDISTRICT_STREAM_H

#include <sodium.h>
#include <zstd.h>

#include "tools.h"

#define STREAM_MAGIC   0x6d61657274735742ull /* "BWstream" */
#define STREAM_VERSION 1u
#define STREAM_HASH    32u

struct stream_mark {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
};
_Static_assert(sizeof(struct stream_mark) == 16, "in streams: mark");

struct stream_writer {
    int fd;
    const char *path; /* for messages */
    ZSTD_CCtx *zstd;
    crypto_generichash_state hash;
    void *out;
    size_t out_size;
    uint64_t written;
};
void stream_begin(struct stream_writer *w, int fd, const char *path);
void stream_write(struct stream_writer *w, const void *bytes, size_t n);
/** Writes the hash and ends the frame. */
void stream_end(struct stream_writer *w);

struct stream_reader {
    int fd;
    const char *path;
    ZSTD_DCtx *zstd;
    crypto_generichash_state hash;
    void *in;
    size_t in_size;
    ZSTD_inBuffer buffer;
    bool frame_ended;
    uint64_t read; /* bytes of the stream */
};
void stream_open(struct stream_reader *r, int fd, const char *path);
/** Fails if the stream is damaged or ends before n bytes. */
void stream_read(struct stream_reader *r, void *bytes, size_t n);
/** Checks the hash, and that nothing follows. */
void stream_close(struct stream_reader *r);

#endif
