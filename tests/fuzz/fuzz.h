/*
 * Fuzzing what reads bytes that somebody else may have written: stores, streams, file trees. A
 * target (store.c, stream.c, files.c) is LLVMFuzzerTestOneInput; it is linked with driver.c, which
 * goes through the corpus and mutates it for some seconds, or with libFuzzer for long runs.
 *
 * All checksums are 0 here (checksum.c): a change needs no mending to be believed, so that what is
 * behind the checksums is reached. Memory is counted (memory.c), so that code that ends its program
 * with an error, and leaves tidying up to that, can be run again and again.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A target: runs one input. Sanitizers and abort() say what is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
/** A target's own first inputs: the n-th. @return its size, 0 behind the last */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t room);

/* memory.c */
/** From here on allocations of the code under test count. */
void memory_begin(void);
/** Frees what they left. */
void memory_end(void);

/* patch.c: changes of a disk image, as an input describes them */
struct patch {
    uint8_t operation; /* enum patch_operation, the rest of a division */
    uint8_t size;      /* 1, 2, 4 or 8 bytes: this many bits up */
    uint16_t block;    /* which of the blocks in use */
    uint16_t offset;
    uint16_t other; /* which other block */
    uint64_t value;
};
_Static_assert(sizeof(struct patch) == 16, "an input is a row of patches");
enum patch_operation {
    PATCH_SET,
    PATCH_ADD,
    PATCH_COPY_BLOCK, /* of the other block */
    PATCH_ZERO_BLOCK,
    PATCH_COPY_SOME, /* value bytes from the same offset of the other block */
    PATCH_WORDS,     /* the same 8 bytes, again and again, from offset to the end */
    PATCH_OPERATIONS,
};
struct patched {
    uint8_t *bytes;      /* the image */
    const uint8_t *base; /* as it is without patches */
    size_t blocks;
    uint16_t *used; /* blocks that are worth a patch */
    size_t count;
    bool *touched; /* blocks that have changed since */
};
/** Remembers the image as it is now. */
void patch_init(struct patched *p, uint8_t *image, size_t blocks);
/** The block is about to change. */
void patch_touch(struct patched *p, size_t block);
/** Undoes all changes of blocks that were touched. */
void patch_restore(struct patched *p);
void patch_apply(struct patched *p, const uint8_t *input, size_t size);
/** The n-th of a fixed set of inputs. */
size_t patch_seed(unsigned n, uint8_t *to, size_t room);

/* tool.c: mkdistrict's commands, run inside this program */
/** @return the exit status, 1 after fail() */
int tool_run(int (*command)(int argc, char **argv), const char *const *words);
/** Runs any piece that may end in fail(). */
bool tool_try(void (*piece)(void *ctx), void *ctx);

#endif
