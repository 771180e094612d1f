/*
 * Random numbers: ChaCha20 keyed from the nucleus's entropy, which is fresh in each incarnation.
 * Before any byte is given out the incarnation is looked at: after a restart or a rollback the pool
 * is keyed anew, so that no two continuations of one checkpoint ever give the same bytes.
 */
#include <string.h>
#include <bailiwick/runtime.h>
#include "unix.h"

static struct {
    uint64_t incarnation[2];
    uint32_t key[8];
    uint64_t block;
    bool keyed;
} pool;

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

static void chacha_block(const uint32_t key[8], uint64_t block, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(in + 4, key, 32);
    in[12] = (uint32_t)block;
    in[13] = (uint32_t)(block >> 32);
    memcpy(out, in, sizeof in);
    for (int round = 0; round < 10; round++) {
        quarter(out, 0, 4, 8, 12);
        quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14);
        quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15);
        quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13);
        quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) {
        out[i] += in[i];
    }
}

static void key_if_new(void)
{
    struct message m = {0};
    uint64_t now[2];

    bw_self(SELF_DISTRICT, &m);
    memcpy(now, m.word, sizeof now);
    if (pool.keyed && !memcmp(now, pool.incarnation, sizeof now)) {
        return;
    }
    m = (struct message){0};
    bw_self(SELF_ENTROPY, &m);
    for (int i = 0; i < 8; i++) {
        pool.key[i] ^= (uint32_t)(m.word[i / 2] >> (i % 2 * 32));
    }
    memcpy(pool.incarnation, now, sizeof now);
    pool.block = 0;
    pool.keyed = true;
}

void random_bytes(void *to, size_t n)
{
    uint32_t block[16];

    key_if_new();
    while (n) {
        size_t step = n < sizeof block ? n : sizeof block;

        chacha_block(pool.key, pool.block++, block);
        memcpy(to, block, step);
        to = (char *)to + step;
        n -= step;
    }
    /* What was given out cannot be computed from what is kept: the next block is the next key. */
    chacha_block(pool.key, pool.block++, block);
    memcpy(pool.key, block, sizeof pool.key);
    memset(block, 0, sizeof block);
}
