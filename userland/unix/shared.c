/*
 * Anonymous memory that several spaces map: who maps it first makes a page, the others find its id
 * here.
 */
#include <stdlib.h>
#include "unix.h"
#include "vm.h"

struct shared_memory *shared_new(uint64_t pages)
{
    struct shared_memory *m = calloc(1, sizeof *m);

    if (!m) {
        return NULL;
    }
    m->chunk = calloc((pages + SHARED_CHUNK - 1) / SHARED_CHUNK, sizeof *m->chunk);
    if (!m->chunk) {
        free(m);
        return NULL;
    }
    m->references = 1;
    m->pages = pages;
    return m;
}

void shared_hold(struct shared_memory *m)
{
    m->references++;
}

void shared_release(struct shared_memory *m)
{
    uint64_t chunks = (m->pages + SHARED_CHUNK - 1) / SHARED_CHUNK;

    if (--m->references) {
        return;
    }
    for (uint64_t i = 0; i < chunks; i++) {
        for (unsigned j = 0; m->chunk[i] && j < SHARED_CHUNK; j++) {
            if (m->chunk[i][j]) {
                machine_destroy(m->chunk[i][j] - 1);
            }
        }
        free(m->chunk[i]);
    }
    machine_destroy_flush();
    free(m->chunk);
    free(m);
}

uint64_t *shared_page(struct shared_memory *m, uint64_t index)
{
    uint64_t **chunk;

    if (index >= m->pages) {
        return NULL;
    }
    chunk = &m->chunk[index / SHARED_CHUNK];
    if (!*chunk) {
        *chunk = calloc(SHARED_CHUNK, sizeof **chunk);
    }
    return *chunk ? &(*chunk)[index % SHARED_CHUNK] : NULL;
}
