/*
 * epoll: a set of files with the events wanted of each. It is scanned whole when somebody waits;
 * edge triggering is given as level triggering, which programs cannot tell from more events.
 *
 * Invariants: an item's file is open (epoll_forget takes it away before the file goes);
 * file->watched counts the items that name it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "poll.h"

#define EVENTS_ALWAYS (EPOLLERR | EPOLLHUP)
#define EVENTS_MAX    1024

struct epoll_item {
    struct epoll_item *next;
    struct file *file;
    int fd;
    uint32_t events; /* 0: spent (EPOLLONESHOT) */
    uint64_t data;
};

struct epoll {
    struct epoll *next; /* all of them */
    struct epoll_item *items;
    struct wait_queue queue; /* changes of the set */
};

/** struct epoll_event as the call has it: packed on x86-64. */
struct event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

static struct epoll *all;

static unsigned item_ready(const struct epoll_item *i)
{
    return i->events == 0 ? 0 : poll_file(i->file) & (i->events | EVENTS_ALWAYS);
}

static void item_free(struct epoll_item **link)
{
    struct epoll_item *i = *link;

    *link = i->next;
    i->file->watched--;
    free(i);
}

static void remove_items(struct epoll *e, const struct file *f)
{
    for (struct epoll_item **link = &e->items; *link != NULL;) {
        if (f == NULL || (*link)->file == f) {
            item_free(link);
        } else {
            link = &(*link)->next;
        }
    }
}

void epoll_forget(struct file *f)
{
    for (struct epoll *e = all; e != NULL; e = e->next) {
        remove_items(e, f);
    }
}

static void epoll_close(struct file *f)
{
    struct epoll **link = &all;

    while (*link != f->epoll) {
        link = &(*link)->next;
    }
    *link = f->epoll->next;
    remove_items(f->epoll, NULL);
    wake_all(&f->epoll->queue);
    free(f->epoll);
}

static unsigned epoll_poll(struct file *f)
{
    for (struct epoll_item *i = f->epoll->items; i != NULL; i = i->next) {
        if (item_ready(i)) {
            return EPOLLIN | EPOLLRDNORM;
        }
    }
    return 0;
}

static int epoll_queues(struct file *f, struct wait_queue *queue[2])
{
    queue[0] = &f->epoll->queue;
    return 1;
}

const struct file_kind file_epoll = {
    .name = "[eventpoll]",
    .poll = epoll_poll,
    .queues = epoll_queues,
    .close = epoll_close,
};

static long epoll_new(uint32_t flags)
{
    struct file *f = file_new(&file_epoll, O_RDWR, NULL);
    struct epoll *e = calloc(1, sizeof(*e));

    if (f == NULL || e == NULL) {
        free(f);
        free(e);
        return -ENOMEM;
    }
    e->next = all;
    all = e;
    f->epoll = e;
    return files_install(process_files(thread_process(current)), f, 0,
                         (flags & EPOLL_CLOEXEC) != 0);
}

long sys_epoll_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)b, (void)c, (void)d, (void)e, (void)f;
    return (int)a <= 0 ? -EINVAL : epoll_new(0);
}

long sys_epoll_create1(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    (void)b, (void)c, (void)d, (void)e, (void)f;
    return a & ~(uint64_t)EPOLL_CLOEXEC ? -EINVAL : epoll_new((uint32_t)a);
}

static struct epoll_item **find_item(struct epoll *e, int fd, const struct file *f)
{
    struct epoll_item **link = &e->items;

    while (*link != NULL && ((*link)->fd != fd || (*link)->file != f)) {
        link = &(*link)->next;
    }
    return link;
}

static long add_item(struct epoll *e, struct epoll_item **end, int fd, struct file *f,
                     const struct event *event)
{
    struct epoll_item *i;

    if (*end != NULL) {
        return -EEXIST;
    }
    if (f->kind == &file_regular || f->kind == &file_directory) {
        return -EPERM;
    }
    i = calloc(1, sizeof(*i));
    if (i == NULL) {
        return -ENOMEM;
    }
    *i = (struct epoll_item){NULL, f, fd, event->events | EVENTS_ALWAYS, event->data};
    *end = i;
    f->watched++;
    wake_all(&e->queue);
    return 0;
}

long sys_epoll_ctl(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct file *set = file_of(a), *target = file_of(c);
    struct epoll_item **item;
    struct event event;

    (void)e, (void)f;
    if (set == NULL || target == NULL) {
        return -EBADF;
    }
    if (set->kind != &file_epoll || target->kind == &file_epoll) {
        return -EINVAL;
    }
    if (b != EPOLL_CTL_DEL && user_read(&event, d, sizeof(event)) != 0) {
        return -EFAULT;
    }
    item = find_item(set->epoll, (int)c, target);
    if (b == EPOLL_CTL_ADD) {
        return add_item(set->epoll, item, (int)c, target, &event);
    }
    if (*item == NULL) {
        return -ENOENT;
    }
    if (b == EPOLL_CTL_DEL) {
        item_free(item);
        return 0;
    }
    if (b != EPOLL_CTL_MOD) {
        return -EINVAL;
    }
    (*item)->events = event.events | EVENTS_ALWAYS;
    (*item)->data = event.data;
    wake_all(&set->epoll->queue);
    return 0;
}

/** Gives what is ready to the caller. @return how many, or -EFAULT */
static long collect(struct epoll *e, uint64_t address, int max)
{
    long n = 0;

    for (struct epoll_item *i = e->items; i != NULL && n < max; i = i->next) {
        struct event event = {item_ready(i), i->data};

        if (event.events == 0) {
            continue;
        }
        if (user_write(address + (uint64_t)n * sizeof(event), &event, sizeof(event)) != 0) {
            return n > 0 ? n : -EFAULT;
        }
        if (i->events & EPOLLONESHOT) {
            i->events = 0;
        }
        n++;
    }
    return n;
}

static long wait_for_items(struct epoll *e, bw_time_t deadline)
{
    long r = wait_on(&e->queue, deadline);

    for (struct epoll_item *i = e->items; i != NULL && r == BLOCKED; i = i->next) {
        r = poll_enter(i->file, deadline);
    }
    return r == -EINTR ? INTERRUPTED : r;
}

long sys_epoll_wait(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct file *set = file_of(a);
    bw_time_t deadline;
    long n;

    (void)e, (void)f;
    if (set == NULL) {
        return -EBADF;
    }
    if (set->kind != &file_epoll || (int)c <= 0) {
        return -EINVAL;
    }
    deadline = poll_deadline((int)d < 0 ? BW_NO_DEADLINE : (uint64_t)(int)d * 1000000u);
    n = collect(set->epoll, b, (int)c < EVENTS_MAX ? (int)c : EVENTS_MAX);
    if (n != 0 || d == 0 || thread_timed_out(current)) {
        return n;
    }
    return wait_for_items(set->epoll, deadline);
}

long sys_epoll_pwait(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    long r = poll_signal_mask(e, f);

    return r == 0 ? sys_epoll_wait(a, b, c, d, 0, 0) : r;
}
