/*
 * The split queue of a virtio device (virtio 1.x, 2.7).
 *
 * Invariants
 *  1. Descriptors from free_head on, free_count of them, are ours; each of the others belongs to a
 *     request that is in flight, as a chain from its head.
 *  2. An index is stored after what it announces, and read before what it announces.
 */
#include "virtio.h"

#include <string.h>

#define USED_NO_NOTIFY 1u

static void *dma_at(uint64_t offset)
{
    return (void *)(VIRTIO_DMA_AT + offset);
}

void virtio_queue_init(struct virtio *v, uint16_t size)
{
    memset(dma_at(0), 0, VIRTIO_QUEUE_PAGES * BW_PAGE_SIZE);
    v->size = size;
    v->descriptor = dma_at(0);
    v->available = dma_at(BW_PAGE_SIZE);
    v->used = dma_at(2 * BW_PAGE_SIZE);
    for (unsigned n = 0; n < size; n++) {
        v->descriptor[n].next = (uint16_t)(n + 1);
    }
    v->free_head = 0;
    v->free_count = size;
    v->last_used = 0;
}

int virtio_add(struct virtio *v, const struct virtio_piece *piece, unsigned count)
{
    uint16_t head = v->free_head;
    uint16_t at = head;
    uint16_t index = v->available[1];

    if (count == 0 || count > v->free_count) {
        return -1;
    }
    for (unsigned n = 0; n < count; n++) {
        volatile struct virtio_descriptor *d = &v->descriptor[at];

        d->address = piece[n].physical;
        d->length = piece[n].length;
        d->flags = (uint16_t)((piece[n].device_writes ? DESCRIPTOR_WRITE : 0) |
                              (n + 1 < count ? DESCRIPTOR_NEXT : 0));
        at = d->next;
    }
    v->free_head = at;
    v->free_count = (uint16_t)(v->free_count - count);
    v->available[2 + index % v->size] = head;
    __atomic_store_n(&v->available[1], (uint16_t)(index + 1), __ATOMIC_RELEASE);
    return head;
}

void virtio_kick(struct virtio *v)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(v->used[0] & USED_NO_NOTIFY)) {
        *v->doorbell = 0;
    }
}

static void free_chain(struct virtio *v, uint16_t head)
{
    uint16_t at = head;
    uint16_t count = 1;

    while (v->descriptor[at].flags & DESCRIPTOR_NEXT) {
        at = v->descriptor[at].next;
        count++;
    }
    v->descriptor[at].next = v->free_head;
    v->free_head = head;
    v->free_count = (uint16_t)(v->free_count + count);
}

int virtio_take_used(struct virtio *v, uint32_t *length)
{
    volatile uint32_t *entry;
    uint32_t head;

    if (__atomic_load_n(&v->used[1], __ATOMIC_ACQUIRE) == v->last_used) {
        return -1;
    }
    entry = (volatile uint32_t *)(v->used + 2) + 2 * (v->last_used % v->size);
    head = entry[0];
    *length = entry[1];
    v->last_used++;
    bw_assert(head < v->size);
    free_chain(v, (uint16_t)head);
    return (int)head;
}
