// sources: fake_panic.c
/*
 * The split queue of virtio drivers, against a device that is played here: it uses requests in a
 * random order, and their chains must hold what was added.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../../drivers/virtio_queue.c"

#define QUEUE_SIZE 16

static struct virtio virtio;
static uint16_t doorbell, seen;

static void setup(void)
{
    void *at =
        mmap((void *)VIRTIO_DMA_AT, VIRTIO_QUEUE_PAGES * BW_PAGE_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    ck_assert_ptr_eq(at, (void *)VIRTIO_DMA_AT);
    virtio_queue_init(&virtio, QUEUE_SIZE);
    virtio.doorbell = &doorbell;
    seen = 0;
}

/* The device: takes the next available head, or -1. */
static int device_take(void)
{
    if (seen == virtio.available[1]) {
        return -1;
    }
    return virtio.available[2 + seen++ % QUEUE_SIZE];
}

static void device_use(int head, uint32_t length)
{
    volatile uint32_t *entry =
        (volatile uint32_t *)(virtio.used + 2) + 2 * (virtio.used[1] % QUEUE_SIZE);

    entry[0] = (uint32_t)head;
    entry[1] = length;
    virtio.used[1]++;
}

START_TEST(chain_is_as_added)
{
    struct virtio_piece piece[3] = {{0x1000, 16, false}, {0x2000, 4096, true}, {0x3000, 1, true}};
    int head = virtio_add(&virtio, piece, 3);
    unsigned at = (unsigned)head;

    ck_assert_int_eq(device_take(), head);
    for (unsigned n = 0; n < 3; n++) {
        ck_assert_uint_eq(virtio.descriptor[at].address, piece[n].physical);
        ck_assert_uint_eq(virtio.descriptor[at].length, piece[n].length);
        ck_assert_uint_eq(virtio.descriptor[at].flags,
                          (n < 2 ? DESCRIPTOR_NEXT : 0) | (n ? DESCRIPTOR_WRITE : 0));
        at = virtio.descriptor[at].next;
    }
    ck_assert_uint_eq(virtio.free_count, QUEUE_SIZE - 3);
}
END_TEST

START_TEST(full_queue_takes_no_more)
{
    struct virtio_piece piece[3] = {{0x1000, 1, false}, {0x2000, 1, false}, {0x3000, 1, true}};
    uint32_t length;

    for (unsigned n = 0; n < QUEUE_SIZE / 3; n++) {
        ck_assert_int_ge(virtio_add(&virtio, piece, 3), 0);
    }
    ck_assert_int_lt(virtio_add(&virtio, piece, 3), 0);
    ck_assert_int_ge(virtio_add(&virtio, piece, 1), 0);
    ck_assert_int_lt(virtio_add(&virtio, piece, 1), 0);
    ck_assert_int_lt(virtio_take_used(&virtio, &length), 0);
    device_use(device_take(), 5);
    ck_assert_int_ge(virtio_take_used(&virtio, &length), 0);
    ck_assert_uint_eq(length, 5);
    ck_assert_int_ge(virtio_add(&virtio, piece, 3), 0);
}
END_TEST

/* Indices wrap at 65,536; completion is out of order. */
START_TEST(long_random_run)
{
    int pending[QUEUE_SIZE];
    unsigned count = 0, seed = (unsigned)_i + 1, added = 0, completed = 0;
    uint32_t length;

    while (completed < 200000) {
        struct virtio_piece piece[3] = {
            {added, 1, false}, {added + 1, 2, false}, {added + 2, 3, true}};
        unsigned pieces = 1 + (unsigned)rand_r(&seed) % 3;

        if (rand_r(&seed) % 2 && virtio_add(&virtio, piece, pieces) >= 0) {
            added++;
        }
        while (count < QUEUE_SIZE && (pending[count] = device_take()) >= 0) {
            count++;
        }
        if (count && rand_r(&seed) % 2) {
            unsigned n = (unsigned)rand_r(&seed) % count;
            int head = pending[n];

            device_use(head, completed);
            pending[n] = pending[--count];
            ck_assert_int_eq(virtio_take_used(&virtio, &length), head);
            ck_assert_uint_eq(length, completed);
            completed++;
        }
    }
    while (count) {
        device_use(pending[--count], 0);
        ck_assert_int_ge(virtio_take_used(&virtio, &length), 0);
    }
    ck_assert_uint_eq(virtio.free_count, QUEUE_SIZE);
}
END_TEST

START_TEST(doorbell_only_when_asked)
{
    doorbell = 7;
    virtio.used[0] = 1;
    virtio_kick(&virtio);
    ck_assert_uint_eq(doorbell, 7);
    virtio.used[0] = 0;
    virtio_kick(&virtio);
    ck_assert_uint_eq(doorbell, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio queue");
    TCase *tests = tcase_create("queue");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, chain_is_as_added);
    tcase_add_test(tests, full_queue_takes_no_more);
    tcase_add_loop_test(tests, long_random_run, 0, 3);
    tcase_add_test(tests, doorbell_only_when_asked);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
