/*
 * --info: what a store says of itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mkdistrict.h"

static const char *show_time(uint64_t ns, char buf[40])
{
    time_t seconds = (time_t)(ns / 1000000000ull);
    struct tm tm;

    if (ns == 0 || !localtime_r(&seconds, &tm) || !strftime(buf, 40, "%Y-%m-%d %H:%M:%S", &tm))
        strcpy(buf, "never");
    return buf;
}

static const char *show_interval(uint64_t ns, char buf[40])
{
    if (ns == 0)
        strcpy(buf, "only when asked");
    else if (ns % 1000000000ull)
        snprintf(buf, 40, "every %llu ms", (unsigned long long)(ns / 1000000ull));
    else
        snprintf(buf, 40, "every %llu s", (unsigned long long)(ns / 1000000000ull));
    return buf;
}

struct counts {
    uint64_t of[4], bytes;
};

static int count(void *ctx, const struct store_object *o)
{
    struct counts *c = ctx;

    c->of[o->type & 3]++;
    c->bytes += o->bytes;
    return 0;
}

static void show_generations(struct store *st)
{
    static const char *const reason[] = {"made by mkdistrict", "interval", "asked for",
                                         "memory pressure",    "shutdown", "host tool"};
    struct store_generation g;
    char when[40];

    printf("generations\n");
    for (uint32_t i = 0; store_generation(st, i, &g) == STORE_OK; i++) {
        printf("  %-8llu    %s, %llu objects, %llu changed, %s", (unsigned long long)g.number,
               show_time(g.time, when), (unsigned long long)g.objects,
               (unsigned long long)g.changed,
               g.reason < sizeof(reason) / sizeof(reason[0]) ? reason[g.reason] : "unknown reason");
        if (g.parent != STORE_NEWEST && g.parent + 1 != g.number)
            printf(", from generation %llu", (unsigned long long)g.parent);
        if (g.instant)
            printf(", bonded");
        printf("\n");
    }
}

static void show_bond(const struct store_info *i)
{
    const struct store_bond *b = &i->bond;
    const char *before = "bonded with   ";

    if (b->members == 0 || i->instant == 0)
        return;
    for (unsigned k = 0; k < b->members; k++)
        if (memcmp(b->member[k].id, i->id, sizeof(i->id)) != 0) {
            printf("%s%.*s", before, (int)STORE_NAME_MAX, b->member[k].name);
            before = ", ";
        }
    printf("; at instant %llu; the home is %.*s\n", (unsigned long long)i->instant,
           (int)STORE_NAME_MAX, b->member[0].name);
    if (i->in_doubt)
        printf("in doubt      generation %llu counts only if %.*s is at that instant as well\n",
               (unsigned long long)i->current, (int)STORE_NAME_MAX, b->member[0].name);
}

static void show_copies(const struct store_info *i)
{
    const char *state = "as far as it knows, both are up to date";

    if (i->in_sync == 1u << i->copy)
        state = "it runs alone: the other one is out of date";
    else if (!(i->in_sync >> i->copy & 1))
        state = "it is not complete: the other one is needed";
    printf("copies        %u, this is copy %u; %s\n", i->copies, i->copy, state);
}

static int show(struct store *st)
{
    static const char *const policy[] = {"rollback", "stop", "continue"};
    struct counts c = {0};
    struct store_info i;
    char a[40], b[40], used[32], all[32];
    int r = store_walk(st, STORE_NEWEST, 0, count, &c);

    store_info(st, &i);
    printf("name          %s\n", i.name);
    printf("id            ");
    for (unsigned k = 0; k < sizeof(i.id); k++)
        printf("%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "", i.id[k]);
    printf("\nowner         %s\n", i.owner[0] ? i.owner : "-");
    printf("format        %u, nucleus ABI %u, image %u\n", i.format_version, i.abi_version,
           i.image_version);
    printf("made          %s\n", show_time(i.created, a));
    if (i.incarnation)
        printf("last run      %s by %s\n", show_time(i.ran_at, b), i.ran_by[0] ? i.ran_by : "-");
    else
        printf("last run      never\n");
    printf("incarnation   %llu\n", (unsigned long long)i.incarnation);
    printf("checkpoints   %s; after a crash: %s\n", show_interval(i.interval, a),
           policy[i.crash_policy < 3 ? i.crash_policy : 0]);
    printf("autostart     %s\nshare         %u\n", i.autostart ? "on" : "off",
           i.share ? i.share : SHARE_USUAL);
    printf("gated         %s\n", i.gated ? "on" : "off");
    printf("generation    %llu current, %u kept, the next is %llu\n", (unsigned long long)i.current,
           i.generations, (unsigned long long)i.next_generation);
    printf("keeps         the last %u, and one a minute (%u), an hour (%u), a day (%u)\n",
           i.keep_last, i.keep_minutes, i.keep_hours, i.keep_days);
    if (i.journal_sequence)
        printf("journal       %u bytes, written %llu times\n", i.journal,
               (unsigned long long)i.journal_sequence);
    printf("objects       %llu pages, %llu nodes, %llu domains; %llu have bytes\n",
           (unsigned long long)c.of[OBJECT_PAGE], (unsigned long long)c.of[OBJECT_NODE],
           (unsigned long long)c.of[OBJECT_DOMAIN], (unsigned long long)c.bytes);
    printf("space         %s used of %s\n",
           show_bytes((i.blocks - i.free_blocks) * STORE_BLOCK, used),
           show_bytes(i.blocks * STORE_BLOCK, all));
    if (i.copies > 1)
        show_copies(&i);
    show_bond(&i);
    show_generations(st);
    return r;
}

int show_info(const char *path)
{
    struct file f;
    struct store_io io;
    struct store *st;
    int r;

    file_open(&f, path, false);
    io = file_io(&f);
    r = store_open(&io, &st);
    if (r)
        fail("%s: %s", path, store_error_text(r));
    r = show(st);
    store_close(st);
    if (r)
        fail("%s: %s", path, store_error_text(r));
    return 0;
}
