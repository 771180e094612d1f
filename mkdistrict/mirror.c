/*
 * Stores with a second copy, in two files: opening both, making the second one, and taking it away.
 *
 * One file of a mirrored store is opened for writing only if it knows that it is the only one, or
 * if the user says so (--alone): else the other file would be out of date without knowing it.
 *
 * A second copy that is made has the first one's roots from the start, which do not call it up to
 * date; it gets its name then, and after that all that they need. So when that is interrupted, it
 * is an incomplete copy, and the same command, or a machine that has both, goes on with it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

#define STEP_BLOCKS 256u

struct other_copy other_copy;

bool mirror_writable(const struct store_info *i)
{
    return i->copies < MIRROR_COPIES || i->in_sync == 1u << i->copy;
}

static void refuse(const char *path, const char *other, enum mirror_verdict verdict)
{
    if (verdict == MIRROR_SPLIT)
        fail(
            "%s and %s have each run without the other one, and differ; `mkdistrict mirror --force "
            "KEEP OTHER' keeps one of them",
            path, other);
    fail("%s: %s", path, mirror_verdict_text(verdict));
}

/** Opens the file of one copy and looks at it. */
static void open_copy(struct file *f, const char *path, bool write, struct store_io *io,
                      struct mirror_look *look)
{
    file_open(f, path, write);
    *io = file_io(f);
    io->damage = NULL;
    mirror_look(io, look);
    if (look->error && !look->label)
        fail("%s: %s", path, store_error_text(look->error));
}

void mirror_open_files(struct opened *o, const char *other, bool write)
{
    struct mirror_look look[MIRROR_COPIES];
    struct store_io io[MIRROR_COPIES];
    enum mirror_verdict verdict;

    open_copy(&o->file, o->path, write, &io[0], &look[0]);
    open_copy(&o->second, other, write, &io[1], &look[1]);
    if (!mirror_pair(&look[0], &look[1]))
        fail("%s and %s are not the two copies of one store", o->path, other);
    verdict = mirror_begin(&o->mirror, io, look, 2);
    if (verdict == MIRROR_ASK && other_copy.alone)
        mirror_alone(&o->mirror);
    else if (verdict != MIRROR_BOTH && verdict != MIRROR_STALE)
        refuse(o->path, other, verdict);
    if (verdict == MIRROR_STALE)
        fprintf(stderr, "mkdistrict: %s is out of date\n",
                look[0].copy == o->mirror.decision.leader ? other : o->path);
    o->mirror.frozen = !write;
    o->mirrored = true;
}

int mirror_open_one(struct opened *o, const struct store_io *base, bool write)
{
    int r = store_open(base, &o->store);
    struct store_info i;

    if (r)
        return r;
    store_info(o->store, &i);
    if (!(i.in_sync >> i.copy & 1) && i.copies == MIRROR_COPIES) {
        if (write)
            refuse(o->path, "", MIRROR_INCOMPLETE);
        fprintf(stderr, "mkdistrict: %s: %s\n", o->path, mirror_verdict_text(MIRROR_INCOMPLETE));
    }
    if (write && !mirror_writable(&i) && !other_copy.alone)
        fail(
            "%s: this is one of two copies; name the other one with --mirror FILE2, or say --alone "
            "and it will be out of date",
            o->path);
    return STORE_OK;
}

/* --- the second copy -------------------------------------------------------------------------- */

/** Goes through everything and gives the second copy what it lacks. */
static void bring_up_to_date(struct opened *o)
{
    struct store_scrub s = {0};
    struct progress p;
    int r = store_scrub_begin(o->store, &s);

    progress_start(&p, "copying", s.total * STORE_BLOCK);
    while (r == STORE_OK) {
        uint64_t before = s.done;

        r = mirror_resync(&o->mirror, o->store, &s, STEP_BLOCKS);
        progress_add(&p, (s.done - before) * STORE_BLOCK);
    }
    progress_end(&p);
    if (r == STORE_DAMAGED)
        fail("%s: some of it is damaged, so that the copy is not complete; --verify names what is "
             "wrong",
             o->path);
    if (r != STORE_ABSENT)
        fail("%s: %s", o->path, store_error_text(r));
    if (o->mirror.complete != MIRROR_ALL)
        fail("%s: the second copy could not be written", o->path);
}

/** Is the file another copy of the store, or does it stand where a new one is to be made? */
static bool is_copy(struct opened *o, const char *other, const struct mirror_look *first,
                    struct store_io *io, struct mirror_look *look)
{
    struct stat s, first_file;

    if (stat(other, &s))
        return false;
    if (fstat(o->file.fd, &first_file) == 0 && s.st_dev == first_file.st_dev &&
        s.st_ino == first_file.st_ino)
        fail("%s and %s are the same file", o->path, other);
    file_open(&o->second, other, true);
    *io = file_io(&o->second);
    io->damage = NULL;
    mirror_look(io, look);
    if (mirror_pair(first, look))
        return true;
    close(o->second.fd);
    return false;
}

/** A copy that has not grown with the other one gets as long as that is. */
static void lengthen(struct opened *o, const struct mirror_look *look, struct store_io *io)
{
    struct file *file[MIRROR_COPIES] = {&o->file, &o->second};
    uint64_t blocks = 0;

    for (unsigned i = 0; i < MIRROR_COPIES; i++)
        if (look[i].error == STORE_OK && look[i].info.blocks > blocks)
            blocks = look[i].info.blocks;
    for (unsigned i = 0; i < MIRROR_COPIES; i++) {
        file_lengthen(file[i], blocks * STORE_BLOCK);
        io[i].blocks = file_io(file[i]).blocks;
    }
}

/** The store takes part in a mirror from now on, alone at first. */
static void become_mirror(struct opened *o, struct store_io *io, struct mirror_look *look)
{
    struct store *st;

    if (look->info.copies == MIRROR_COPIES)
        return;
    opened_check(o, store_open(io, &st));
    opened_check(o, store_set_copies(st, MIRROR_COPIES));
    store_close(st);
    mirror_look(io, look);
}

/** Decides with what there is; a new copy is made if there is none, or with `force`. */
static void begin(struct opened *o, const char *other, bool force)
{
    struct mirror_look look[MIRROR_COPIES];
    struct store_io io[MIRROR_COPIES], base;
    enum mirror_verdict verdict;
    bool there;

    open_copy(&o->file, o->path, true, &io[0], &look[0]);
    opened_check(o, look[0].error);
    there = is_copy(o, other, &look[0], &io[1], &look[1]);
    if (!there && !force && access(other, F_OK) == 0)
        fail("%s exists and is no copy of %s; --force overwrites it", other, o->path);
    if (there)
        lengthen(o, look, io);
    become_mirror(o, &io[0], &look[0]);
    verdict = mirror_begin(&o->mirror, io, look, there ? 2 : 1);
    if (there && verdict == MIRROR_SPLIT && force) {
        close(o->second.fd);
        there = false;
        verdict = mirror_begin(&o->mirror, io, look, 1);
    }
    if (verdict == MIRROR_ASK && !force)
        fail("%s: its other copy may be newer, and %s is not it; --force makes a new one all the "
             "same",
             o->path, other);
    if (verdict == MIRROR_ASK)
        mirror_alone(&o->mirror);
    else if (verdict != MIRROR_BOTH && verdict != MIRROR_STALE && verdict != MIRROR_ALONE)
        refuse(o->path, other, verdict);
    base = file_io(&o->file);
    if (!there)
        file_create(&making, other, base.blocks * STORE_BLOCK, force);
    opened_check(o, mirror_open(&o->mirror, &base, &o->store));
    if (there)
        return;
    io[1] = file_io(&making);
    opened_check(o, mirror_add(&o->mirror, o->store, !look[0].copy, &io[1]));
    file_finish(&making, force);
}

static int make_second(const char *path, const char *other, bool force)
{
    static struct opened o;

    catch_signals();
    snprintf(o.path, sizeof(o.path), "%.4000s", path);
    begin(&o, other, force);
    if (mirror_behind(&o.mirror) == 0 && o.mirror.complete == MIRROR_ALL) {
        printf("%s and %s: both copies are up to date\n", path, other);
    } else {
        bring_up_to_date(&o);
        printf("%s: %s is its second copy\n", path, other);
    }
    store_close(o.store);
    return 0;
}

static int remove_second(const char *path)
{
    static struct opened o;
    struct mirror_look look;
    struct store_io io;

    snprintf(o.path, sizeof(o.path), "%.4000s", path);
    open_copy(&o.file, path, true, &io, &look);
    opened_check(&o, look.error);
    if (look.info.copies < MIRROR_COPIES)
        fail("%s: it has no second copy", path);
    if (!(look.info.in_sync >> look.info.copy & 1))
        refuse(path, "", MIRROR_INCOMPLETE);
    if (!mirror_writable(&look.info) && !other_copy.alone)
        fail("%s: its other copy may be newer; --alone keeps this one all the same", path);
    opened_check(&o, store_open(&io, &o.store));
    opened_check(&o, store_set_copies(o.store, 1));
    store_close(o.store);
    printf("%s: a store without a second copy from now on; the other file is not needed any more\n",
           path);
    return 0;
}

enum { FORCE = 256, REMOVE, ALONE };

int command_mirror(int argc, char **argv)
{
    static const struct option options[] = {{"force", no_argument, NULL, FORCE},
                                            {"remove", no_argument, NULL, REMOVE},
                                            {"alone", no_argument, NULL, ALONE},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool force = false, removing = false;
    int c;

    while ((c = command_option(argc, argv, "h", options)) != -1) {
        force |= c == FORCE;
        removing |= c == REMOVE;
        other_copy.alone |= c == ALONE;
    }
    if (argc - optind != (removing ? 1 : 2))
        command_misused("mirror", removing ? "--remove wants one FILE" : "it wants FILE and FILE2");
    return removing ? remove_second(argv[optind])
                    : make_second(argv[optind], argv[optind + 1], force);
}
