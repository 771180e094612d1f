/*
 * export and import: one generation as one stream (stream.h). A store is made complete or not at
 * all: until the hash at the stream's end has been compared it has no name.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"

/* --- export ----------------------------------------------------------------------------------- */

struct exporting {
    struct stream_writer w;
    struct progress p;
};

static void export_object(void *ctx, const struct generation_object *g, const void *bytes)
{
    struct exporting *e = ctx;

    stream_write(&e->w, g, sizeof(*g));
    if (bytes)
        stream_write(&e->w, bytes, STORE_BLOCK);
    progress_add(&e->p, bytes ? STORE_BLOCK : 0);
}

int command_export(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const struct generation_object end = {0};
    uint64_t generation = STORE_NEWEST;
    struct generation_head head;
    uint8_t journal[STORE_JOURNAL];
    struct exporting e;
    struct opened o;

    while (command_option(argc, argv, "h", options) != -1)
        ;
    if (argc - optind < 1 || argc - optind > 2)
        command_misused("export", argc == optind ? "which FILE?" : "one generation at a time");
    if (isatty(STDOUT_FILENO))
        command_misused("export", "the stream is not for a terminal: write it to a file or a pipe");
    if (argc - optind == 2)
        generation = parse_generation(argv[optind + 1]);
    opened_open_at(&o, argv[optind], generation, false);
    generation_describe(&o, &head);
    head.journal = o.info.journal;
    head.journal_sequence = store_journal(o.store, journal);
    progress_start(&e.p, "exporting", head.bytes * STORE_BLOCK);
    stream_begin(&e.w, STDOUT_FILENO, "standard output");
    stream_write(&e.w, &head, sizeof(head));
    stream_write(&e.w, journal, head.journal);
    generation_each(&o, export_object, &e);
    stream_write(&e.w, &end, sizeof(end));
    stream_end(&e.w);
    progress_end(&e.p);
    opened_close(&o);
    return 0;
}

/* --- import ----------------------------------------------------------------------------------- */

static bool plausible(const struct generation_object *g, uint64_t before)
{
    return g->oid > before && g->oid < OID_LIMIT && g->type >= OBJECT_PAGE &&
           g->type <= OBJECT_DOMAIN && (g->flags & ~OBJECT_BYTES) == 0 && g->reserved == 0;
}

static void import_objects(struct stream_reader *r, struct maker *m, struct progress *p)
{
    uint64_t objects = 0, with_bytes = 0, before = 0;

    for (;;) {
        struct generation_object g;
        uint8_t bytes[STORE_BLOCK];

        stream_read(r, &g, sizeof(g));
        if (g.oid == 0)
            break;
        if (!plausible(&g, before) || objects == m->head.objects)
            fail("%s: the stream is damaged (object %#llx is out of place); export it again",
                 r->path, (unsigned long long)g.oid);
        if (g.flags & OBJECT_BYTES)
            stream_read(r, bytes, sizeof(bytes));
        maker_object(m, &g, g.flags & OBJECT_BYTES ? bytes : NULL);
        before = g.oid;
        objects++;
        with_bytes += (g.flags & OBJECT_BYTES) != 0;
        progress_add(p, g.flags & OBJECT_BYTES ? STORE_BLOCK : 0);
    }
    if (objects != m->head.objects || with_bytes != m->head.bytes)
        fail("%s: the stream is damaged (%llu objects of %llu); export it again", r->path,
             (unsigned long long)objects, (unsigned long long)m->head.objects);
}

/** --replace takes the place of the same district only; another needs --force. */
static void check_replaced(const struct maker *m)
{
    struct store_info info;
    struct store_io io;
    struct store *st;
    struct file f;
    int r;

    if (access(m->path, F_OK) != 0)
        return;
    file_open(&f, m->path, true);
    io = file_io(&f);
    io.damage = NULL;
    r = store_open(&io, &st);
    if (r)
        fail("%s exists and cannot be opened (%s); --force overwrites it", m->path,
             store_error_text(r));
    store_info(st, &info);
    store_close(st);
    close(f.fd);
    if (memcmp(info.id, m->head.id, sizeof(info.id)) != 0)
        fail("%s holds another district, %s; --force overwrites it", m->path, info.name);
}

enum { NAME = 256, REPLACE, FORCE, SIZE };

static void parse_import(int argc, char **argv, struct maker *m)
{
    static const struct option options[] = {
        {"name", required_argument, NULL, NAME}, {"replace", no_argument, NULL, REPLACE},
        {"force", no_argument, NULL, FORCE},     {"size", required_argument, NULL, SIZE},
        {"help", no_argument, NULL, 'h'},        {0}};
    int c;

    while ((c = command_option(argc, argv, "h", options)) != -1) {
        if (c == NAME) {
            if (bad_name(optarg))
                fail("--name %s: %s", optarg, bad_name(optarg));
            m->name = optarg;
        }
        if (c == SIZE && !parse_size(optarg, &m->size))
            fail("--size %s: not a size; write e.g. 256M or 4G", optarg);
        m->same_id |= c == REPLACE;
        m->force |= c == FORCE;
    }
    if (argc - optind != 1)
        command_misused("import",
                        argc == optind ? "which FILE is to be made?" : "one FILE at a time");
    m->path = argv[optind];
    if (isatty(STDIN_FILENO))
        command_misused("import", "the stream comes from a file or a pipe: give it < STREAM");
}

int command_import(int argc, char **argv)
{
    struct maker m = {0};
    struct stream_reader r;
    struct progress p;
    const char *why;

    parse_import(argc, argv, &m);
    if (!m.force && !m.same_id && access(m.path, F_OK) == 0)
        fail("%s exists; --force overwrites it, --replace takes its place if it is the same "
             "district",
             m.path);
    stream_open(&r, STDIN_FILENO, "standard input");
    stream_read(&r, &m.head, sizeof(m.head));
    why = generation_implausible(&m.head);
    if (why)
        fail("standard input: the stream cannot be used: %s", why);
    stream_read(&r, m.journal, m.head.journal);
    if (m.same_id && !m.force) {
        check_replaced(&m);
        m.force = true;
    }
    maker_begin(&m);
    progress_start(&p, "importing", m.head.bytes * STORE_BLOCK);
    import_objects(&r, &m, &p);
    stream_close(&r);
    maker_finish(&m);
    progress_end(&p);
    printf("%s: district %s, generation %llu%s\n", m.path, m.name ? m.name : m.head.name,
           (unsigned long long)m.head.number, m.same_id ? "" : ", with an id of its own");
    return 0;
}
