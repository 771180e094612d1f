/*
 * Changes a domain in a store: a new generation, whole by its checksums, in which the district is
 * broken all the same. For tests of what happens then.
 *
 *     poke FILE OID rip      it goes on at an address where nothing is: a fault that nobody takes
 *     poke FILE OID state    it is in a state that does not exist: the nucleus must not load it
 *
 * Prints the number of the generation.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bailiwick/domain.h>
#include <store/store.h>

#define NOWHERE 0x123456000ull

static void check(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "poke: %s: %s\n", what, store_error_text(error));
        exit(1);
    }
}

static int io_read(void *ctx, uint64_t block, void *buf, size_t n)
{
    size_t bytes = n * STORE_BLOCK;

    return pread(*(int *)ctx, buf, bytes, (off_t)(block * STORE_BLOCK)) != (ssize_t)bytes;
}

static int io_write(void *ctx, uint64_t block, const void *buf, size_t n)
{
    size_t bytes = n * STORE_BLOCK;

    return pwrite(*(int *)ctx, buf, bytes, (off_t)(block * STORE_BLOCK)) != (ssize_t)bytes;
}

static int io_flush(void *ctx)
{
    return fsync(*(int *)ctx);
}

static void change(struct domain_frame *f, const char *what)
{
    if (strcmp(what, "rip") == 0) {
        f->regs.rip = NOWHERE;
        f->state = DOMAIN_RUNNING;
    } else {
        f->state = 77;
    }
}

int main(int argc, char **argv)
{
    static struct domain_frame frame;
    struct store_object o;
    struct store_info info;
    struct store *st;
    struct stat s;
    int fd = argc == 4 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    struct store_io io = {.ctx = &fd, .read = io_read, .write = io_write, .flush = io_flush};
    oid_t oid;

    if (fd < 0 || fstat(fd, &s)) {
        fprintf(stderr, "usage: poke FILE OID rip|state\n");
        return 1;
    }
    oid = strtoull(argv[2], NULL, 0);
    io.blocks = (uint64_t)s.st_size / STORE_BLOCK;
    check(store_open(&io, &st), argv[1]);
    store_info(st, &info);
    check(store_get(st, STORE_NEWEST, oid, &o, &frame), argv[2]);
    check(o.type == OBJECT_DOMAIN ? STORE_OK : STORE_ARGUMENT, "not a domain");
    change(&frame, argv[3]);
    check(store_claim(st, STORE_NEWEST, 1, "poke", info.ran_at, &info.incarnation), "claim");
    check(store_begin(st, info.next_generation), "begin");
    check(store_put(st, oid, o.type, o.version, &frame), "put");
    check(store_commit(st, info.ran_at, STORE_MADE_TOOL), "commit");
    printf("%llu\n", (unsigned long long)info.next_generation);
    store_close(st);
    return close(fd);
}
