/*
 * Fresh random bits: from a virtio entropy device, if pci has handed one over (word 1), and from
 * the processor's RDRAND, if it has that; from both, the exclusive or. With neither every request
 * fails.
 */
#include "virtio.h"

#include <bailiwick/names.h>
#include <string.h>

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: get() */
#endif

#define KR_NUCLEUS (KR_PROGRAM + 4)

#define AREA_OFFSET  (VIRTIO_QUEUE_PAGES * BW_PAGE_SIZE)
#define BYTES        32u
#define PATIENCE     1000000000ull /* ns for the device to answer */
#define RDRAND_TRIES 100u

static struct virtio virtio;
static bool has_device, has_rdrand;

static bool find_rdrand(void)
{
    uint32_t a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 30 & 1;
}

static bool rdrand(uint64_t *value)
{
    uint8_t ok = 0;

    for (unsigned tries = 0; !ok && tries < RDRAND_TRIES; tries++) {
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*value), "=qm"(ok)::"cc");
    }
    return ok;
}

/* Waits until the device has used its one request. @return how many bytes it gave */
static uint32_t await(void)
{
    bw_time_t until = bw_monotonic() + PATIENCE;
    uint32_t length = 0;

    while (virtio_take_used(&virtio, &length) < 0) {
        if (bw_monotonic() >= until) {
            bw_log("entropy: the device does not answer and is not used any more\n");
            has_device = false;
            return 0;
        }
        bw_wait(until);
        virtio_acknowledge(&virtio);
        virtio_unmask();
    }
    return length;
}

static bool device_bytes(uint8_t bytes[BYTES])
{
    struct virtio_piece piece = {virtio.physical + AREA_OFFSET, BYTES, true};
    uint8_t *area = (uint8_t *)(VIRTIO_DMA_AT + AREA_OFFSET);
    uint32_t got = 0;

    while (has_device && got < BYTES) {
        uint32_t length;

        piece.length = BYTES - got;
        if (virtio_add(&virtio, &piece, 1) < 0) {
            return false;
        }
        virtio_kick(&virtio);
        length = await();
        length = length < BYTES - got ? length : BYTES - got;
        memcpy(bytes + got, area, length);
        got += length;
    }
    memset(area, 0, BYTES);
    return got == BYTES;
}

static int64_t get(uint64_t word[4])
{
    static unsigned asked;
    bool any = has_device && device_bytes((uint8_t *)word);
    uint64_t value;

    bw_assert(BW_MUTATION != 1 || ++asked != 10); /* the mutation that ends it then */

    if (!any) {
        memset(word, 0, BYTES);
    }
    for (unsigned n = 0; has_rdrand && n < 4; n++) {
        if (!rdrand(&value)) {
            return any ? BW_OK : BW_IO;
        }
        word[n] ^= value;
    }
    return any || has_rdrand ? BW_OK : BW_IO;
}

static void open_device(void)
{
    int64_t result = virtio_open(&virtio, 0, VIRTIO_QUEUE_PAGES + 1, KEY_AT(KR_NUCLEUS));

    has_device = result >= 0;
    if (has_device) {
        virtio_ready(&virtio);
    } else {
        bw_log("entropy: the device cannot be opened: %lld\n", (long long)result);
    }
}

int main_native(uint64_t word)
{
    struct message m = {0};
    uint16_t reply = 0;

    has_rdrand = find_rdrand();
    if (word) {
        open_device();
    }
    bw_log("entropy: from %s\n", has_device && has_rdrand ? "the virtio device and the processor"
                                 : has_device             ? "the virtio device"
                                 : has_rdrand             ? "the processor"
                                                          : "nowhere: random bits cannot be had");
    bw_assert(bw_publish("entropy", 0) >= 0);
    if (bw_find_now("districts", KEY_AT(KR_SCRATCH)) >= 0) { /* its districts have a key to us */
        bw_post(KEY_AT(KR_SCRATCH));
    }
    for (;;) {
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (!reply) {
            if (has_device) {
                virtio_acknowledge(&virtio);
                virtio_unmask();
            }
        } else if (m.code == ENTROPY_GET) {
            m.code = get(m.word);
        } else {
            m.code = BW_ORDER;
        }
    }
}
