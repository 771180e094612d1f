/*
 * An existing store and one of its generations, as a command's argument names them: FILE or
 * FILE@GEN.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools.h"

uint64_t parse_generation(const char *text)
{
    unsigned long long n;
    char *end;

    if (strcmp(text, "newest") == 0 || strcmp(text, "current") == 0)
        return STORE_NEWEST;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || n >= STORE_NEWEST - 1)
        fail("%s: not the number of a generation; --info lists them", text);
    return n;
}

uint64_t split_generation(const char *argument, char *path)
{
    const char *at = strrchr(argument, '@');

    if (strlen(argument) >= 4000)
        fail("%.40s...: the name is too long", argument);
    strcpy(path, argument);
    if (!at || at == argument || !isdigit((unsigned char)at[1]) ||
        at[1 + strspn(at + 1, "0123456789")] || access(argument, F_OK) == 0)
        return STORE_NEWEST;
    path[at - argument] = 0;
    return parse_generation(at + 1);
}

void opened_check(struct opened *o, int r)
{
    if (r == STORE_NOSPACE)
        fail("%s: the store is full; drop generations of it or make it larger", o->path);
    if (r == STORE_DAMAGED && o->file.damages == 0)
        fail("%s: the store is damaged; --verify names what is wrong", o->path);
    if (r)
        fail("%s: %s", o->path, store_error_text(r));
}

/** Damage met is the error, one line; but a torn root is none while another one counts. */
static void report_damage(void *ctx, const struct store_damage *d)
{
    struct opened *o = ctx; /* its file is its first member */

    if (d->repaired) {
        fprintf(stderr, "mkdistrict: %s: damaged: %s at byte %llu of copy %u: repaired\n", o->path,
                d->what, (unsigned long long)d->block * STORE_BLOCK, d->copy);
        return;
    }
    o->file.damages++;
    if (o->store && !o->mirrored)
        fail("%s: damaged: %s at byte %llu, object %#llx; --verify names all that is wrong",
             o->path, d->what, (unsigned long long)d->block * STORE_BLOCK,
             (unsigned long long)d->oid);
}
_Static_assert(offsetof(struct opened, file) == 0, "the context of I/O is the file");

static void find_generation(struct opened *o, uint64_t wanted)
{
    struct store_generation g;

    if (wanted == STORE_NEWEST)
        wanted = o->info.current;
    for (uint32_t i = 0; store_generation(o->store, i, &g) == STORE_OK; i++)
        if (g.number == wanted) {
            o->generation = g;
            return;
        }
    if (wanted == STORE_NEWEST)
        fail("%s: there is no generation in it", o->path);
    fail("%s: generation %llu is not kept; --info lists those that are", o->path,
         (unsigned long long)wanted);
}

void opened_open_at(struct opened *o, const char *argument, uint64_t generation, bool write)
{
    struct store_io io;
    uint64_t said;
    int r;

    *o = (struct opened){.store = NULL};
    said = split_generation(argument, o->path);
    if (generation == STORE_NEWEST)
        generation = said;
    if (other_copy.path)
        mirror_open_files(o, other_copy.path, write);
    else
        file_open(&o->file, o->path, write);
    io = file_io(&o->file);
    io.damage = report_damage;
    r = o->mirrored ? mirror_open(&o->mirror, &io, &o->store) : mirror_open_one(o, &io, write);
    if (r == STORE_DAMAGED)
        fail("%s: none of its roots is whole; --verify names what is wrong", o->path);
    opened_check(o, r);
    store_info(o->store, &o->info);
    find_generation(o, generation);
}

void opened_open(struct opened *o, const char *argument, bool write)
{
    opened_open_at(o, argument, STORE_NEWEST, write);
}

void opened_close(struct opened *o)
{
    store_close(o->store);
    close(o->file.fd);
    if (o->mirrored)
        close(o->second.fd);
    o->store = NULL;
}

uint64_t time_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

const char *show_when(uint64_t ns, char buf[40])
{
    time_t seconds = (time_t)(ns / 1000000000ull);
    struct tm tm;

    if (ns == 0 || !localtime_r(&seconds, &tm) || !strftime(buf, 40, "%Y-%m-%d %H:%M:%S", &tm))
        strcpy(buf, "-");
    return buf;
}

const char *show_id(const uint8_t id[16], char buf[40])
{
    for (unsigned i = 0; i < 16; i++)
        snprintf(buf + 2 * i, 3, "%02x", id[i]);
    return buf;
}

void write_all(int fd, const void *bytes, size_t n, const char *path)
{
    const uint8_t *from = bytes;

    while (n > 0) {
        ssize_t r = write(fd, from, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            fail("%s: %s", path, r < 0 ? strerror(errno) : "nothing could be written");
        from += r;
        n -= (size_t)r;
    }
}
