/* Allocations of the code under test are counted: it is compiled with this in front. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *fuzz_malloc(size_t size);
void *fuzz_calloc(size_t n, size_t size);
void *fuzz_realloc(void *p, size_t size);
char *fuzz_strdup(const char *s);
void fuzz_free(void *p);
ssize_t fuzz_write(int fd, const void *bytes, size_t n);

/* One of each is enough, and need not be made anew. */
#define ZSTD_createDCtx fuzz_dctx
#define ZSTD_freeDCtx   fuzz_free_dctx
#define ZSTD_createCCtx fuzz_cctx
#define ZSTD_freeCCtx   fuzz_free_cctx

#define write   fuzz_write
#define malloc  fuzz_malloc
#define calloc  fuzz_calloc
#define realloc fuzz_realloc
#define strdup  fuzz_strdup
#define free    fuzz_free

#endif
