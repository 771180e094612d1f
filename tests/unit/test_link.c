// sources: fake_machine.h
/*
 * Links: what may cross a border and as what, equality of links, severing by comparison of
 * instances, a full table, and that a link key from a past never fits again: random histories of
 * four districts against a model that remembers every link key that was ever made.
 */
#include "fake_machine.h"
#include "link.h"

#define SIDES   4u /* the commons and three districts */
#define DOMAINS 6u

static struct object *domains[SIDES][DOMAINS];

static void start_district(unsigned i)
{
    struct district *d = &districts[i];
    uint32_t instance = d->instance + 1, link_version = 0;
    if (d->system != NULL) /* a restart finds the numbering of links in the system page */
        link_version = district_system(d)->link_version;
    while (d->all != NULL)
        object_discard(d->all);
    link_forget_all(d);
    *d = (struct district){.slot = (uint16_t)i, .instance = instance};
    d->persistent = i != 0;
    d->epoch = d->persistent ? 7 : 0;
    d->budget = 1u << 30;
    d->state = DISTRICT_RUNNING;
    if (d->persistent) {
        struct object *list;
        ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &d->system), BW_OK);
        ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &list), BW_OK);
        district_system(d)->link_version = link_version;
    }
    for (unsigned n = 0; n < DOMAINS; n++)
        ck_assert_int_eq(object_create(d, OID_FIRST_FREE + n, OBJECT_DOMAIN, &domains[i][n]),
                         BW_OK);
}

static void set_up(void)
{
    memset(districts, 0, sizeof districts);
    object_init(4096);
    for (unsigned i = 0; i < SIDES; i++)
        start_district(i);
}

static void end_district(unsigned i)
{
    districts[i].state = DISTRICT_ENDING;
    while (!link_sever_waiters(&districts[i])) {
    }
}

static struct key start_key(unsigned district, unsigned domain, unsigned badge)
{
    const struct object *o = domains[district][domain];
    return (struct key){
        .type = KEY_START, .tag = (uint16_t)badge, .version = o->version, .value = o->oid};
}

/** A resume key to a domain that really waits for it. */
static struct key resume_key(unsigned district, unsigned domain)
{
    struct activity *a = object_activity(domains[district][domain]);
    struct domain_frame *f = activity_frame(a);
    queue_remove(a);
    f->state = DOMAIN_WAITING;
    f->call_count++;
    return (struct key){.type = KEY_RESUME,
                        .tag = (uint16_t)(f->call_count >> 32),
                        .version = (uint32_t)f->call_count,
                        .value = a->domain->oid};
}

static struct key cross(unsigned from, unsigned to, struct key k)
{
    return link_cross(&districts[from], &districts[to], k);
}

/** Checks what a link of `holder` leads to. target void: it must be severed. */
static void leads(unsigned holder, struct key link, unsigned district, struct key target)
{
    struct district *to = NULL;
    struct key k;
    ck_assert_uint_eq(link.type, KEY_LINK);
    int r = link_resolve(&districts[holder], link, &to, &k);
    if (target.type == KEY_VOID) {
        ck_assert_int_eq(r, BW_SEVERED);
        return;
    }
    ck_assert_int_eq(r, BW_OK);
    ck_assert_ptr_eq(to, &districts[district]);
    ck_assert(keys_same(k, target));
}

START_TEST(what_crosses)
{
    set_up();
    for (unsigned type = 0; type < 32; type++)
        for (unsigned to = 1; to < SIDES; to++) {
            struct key k = start_key(0, 0, 5);
            k.type = (uint8_t)type;
            struct key r = cross(0, to, k);
            if (type == KEY_NUMBER)
                ck_assert(keys_same(r, k));
            else if (type == KEY_START || type == KEY_RESUME || type == KEY_PAGE ||
                     type == KEY_SEGMENT)
                leads(to, r, 0, k);
            else
                ck_assert_uint_eq(r.type, KEY_VOID);
            ck_assert(keys_same(cross(to, to, k), k)); /* within a district nothing changes */
        }
}
END_TEST

START_TEST(comes_home)
{
    set_up();
    struct key k = start_key(1, 2, 3), link = cross(1, 0, k);
    leads(0, link, 1, k);
    ck_assert(keys_same(cross(0, 1, link), k));
    struct key third = cross(0, 2, link); /* directly, not through the commons */
    leads(2, third, 1, k);
    link_free(&districts[0], link);
    leads(2, third, 1, k);
    ck_assert(keys_same(cross(2, 1, third), k));
    leads(0, link, 0, key_void());
}
END_TEST

START_TEST(same_key_same_link)
{
    set_up();
    struct key a = cross(1, 0, start_key(1, 0, 1)), b = cross(1, 0, start_key(1, 0, 1));
    ck_assert(keys_same(a, b));
    ck_assert(!keys_same(a, cross(1, 0, start_key(1, 0, 2))));
    ck_assert(!keys_same(a, cross(1, 0, start_key(1, 1, 1))));
    ck_assert(!keys_same(a, cross(2, 0, start_key(2, 0, 1)))); /* same id, another district */
    leads(0, a, 1, start_key(1, 0, 1));
}
END_TEST

START_TEST(resume_links_move)
{
    set_up();
    struct key k = resume_key(1, 0), first = cross(1, 0, k), second = cross(0, 2, first);
    leads(0, first, 0, key_void());
    leads(2, second, 1, k);
    ck_assert(keys_same(cross(2, 1, second), k));
    leads(2, second, 0, key_void());
    struct key again = cross(1, 0, resume_key(1, 1));
    link_free(&districts[0], again);
    leads(0, again, 0, key_void());
    link_free(&districts[0], again); /* nothing happens */
}
END_TEST

START_TEST(severed_by_a_restart)
{
    set_up();
    struct key any = cross(2, 0, start_key(2, 1, 0));
    districts[2].instance++; /* even if nobody had cleared the tables */
    leads(0, any, 0, key_void());
    districts[2].instance--;
    struct key k = start_key(1, 0, 0), of_1 = cross(1, 0, k);
    struct key of_2 = cross(2, 0, start_key(2, 0, 0)), held = cross(0, 1, start_key(0, 0, 0));
    end_district(1);
    leads(0, of_1, 0, key_void());
    leads(0, of_2, 2, start_key(2, 0, 0));
    start_district(1);
    leads(0, of_1, 0, key_void());
    leads(1, held, 0, key_void()); /* the holder came back: all its links are severed */
    struct key fresh = cross(1, 0, start_key(1, 0, 0));
    ck_assert(!keys_same(fresh, of_1));
    leads(0, fresh, 1, start_key(1, 0, 0));
    leads(0, of_1, 0, key_void());
}
END_TEST

/** Those outside who wait for an answer from a district get one when it ends. */
START_TEST(callers_are_told)
{
    set_up();
    struct activity *a = object_activity(domains[0][1]), *b = object_activity(domains[2][1]);
    struct key to_1 = cross(0, 1, resume_key(0, 1));
    (void)cross(2, 1, resume_key(2, 1));
    struct activity *answered = object_activity(domains[0][2]);
    (void)cross(0, 1, resume_key(0, 2));
    activity_frame(answered)->call_count++; /* has its reply, and waits for something else */
    leads(1, to_1, 0, link_entry(&districts[1], to_1)->target);
    end_district(1);
    ck_assert_uint_eq(activity_frame(a)->state, DOMAIN_RUNNING);
    ck_assert_int_eq((int64_t)activity_frame(a)->regs.rdi, BW_SEVERED);
    ck_assert_ptr_eq(a->queue, &fake_ready);
    ck_assert_uint_eq(activity_frame(b)->state, DOMAIN_RUNNING);
    ck_assert_uint_eq(activity_frame(answered)->state, DOMAIN_WAITING);
}
END_TEST

START_TEST(full_table)
{
    static struct key made[LINKS + 1];
    unsigned n = 0;
    set_up();
    while (n <= LINKS && (made[n] = cross(1, 0, start_key(1, 0, n))).type == KEY_LINK)
        n++;
    ck_assert_uint_ge(n, LINKS / 8);
    ck_assert_uint_le(n, LINKS);
    ck_assert_uint_eq(made[n].type, KEY_VOID);
    for (unsigned i = 0; i < n; i++)
        leads(0, made[i], 1, start_key(1, 0, i));
    ck_assert(
        keys_same(cross(1, 0, start_key(1, 0, n / 2)), made[n / 2])); /* known ones still work */
    link_free(&districts[0], made[n / 3]);
    struct key fresh = cross(1, 0, start_key(1, 0, 60000));
    leads(0, fresh, 1, start_key(1, 0, 60000));
    leads(0, made[n / 3], 0, key_void());
    ck_assert_uint_eq(cross(1, 0, start_key(1, 0, 60001)).type, KEY_VOID);
    start_district(1); /* all were of the old one */
    leads(0, cross(1, 0, start_key(1, 0, 0)), 1, start_key(1, 0, 0));
}
END_TEST

/** A district that hands out all that it can does not take the commons away from another. */
START_TEST(a_greedy_peer_leaves_room)
{
    set_up();
    for (unsigned i = 0; i < 2 * LINKS; i++)
        (void)cross(1, 0, start_key(1, 0, i));
    struct key k = resume_key(2, 0);
    leads(0, cross(2, 0, k), 2, k);
}
END_TEST

/** What led to runs of districts that have ended takes no room from those that run. */
START_TEST(ended_runs_leave_room)
{
    set_up();
    for (unsigned run = 0; run < 2; run++) {
        for (unsigned i = 0; i < LINKS / 4; i++)
            (void)cross(1, 0, start_key(1, 0, i));
        start_district(1);
    }
    for (unsigned i = 0; i < LINKS / 8; i++)
        leads(0, cross(2, 0, start_key(2, 0, i)), 2, start_key(2, 0, i));
    for (unsigned i = 0; i < LINKS / 8; i++)
        leads(0, cross(1, 0, start_key(1, 1, i)), 1, start_key(1, 1, i));
}
END_TEST

/** .. nor does what led to programs that were destroyed. */
START_TEST(destroyed_programs_leave_room)
{
    set_up();
    struct key lives = cross(1, 0, start_key(1, 0, 0));
    for (unsigned i = 0; i < LINKS; i++)
        (void)cross(1, 0, start_key(1, 5, i));
    ck_assert_int_eq(object_destroy(&districts[1], domains[1][5]->oid), BW_OK);
    for (unsigned i = 0; i < LINKS / 8; i++)
        leads(0, cross(1, 0, start_key(1, 1, i)), 1, start_key(1, 1, i));
    leads(0, lives, 1, start_key(1, 0, 0));
}
END_TEST

/** The same key in each run of a district is one entry at a time. */
START_TEST(many_restarts)
{
    struct key link = key_void();
    set_up();
    for (unsigned run = 0; run < 100; run++) {
        leads(0, link = cross(1, 0, start_key(1, 0, 0)), 1, start_key(1, 0, 0));
        start_district(1);
    }
    ck_assert_uint_eq(link.value, cross(1, 0, start_key(1, 0, 0)).value);
}
END_TEST

/* --- random histories -------------------------------------------------------------------- */

#define MEMORY 3000u

static struct {
    unsigned holder, district;
    uint32_t holder_run, target_run;
    struct key link, target;
    bool freed;
} memory[MEMORY];
static unsigned remembered;

static void remember(unsigned holder, unsigned district, struct key link, struct key target)
{
    if (link.type != KEY_LINK)
        return;
    for (unsigned i = 0; i < remembered; i++)
        if (memory[i].holder == holder && keys_same(memory[i].link, link)) {
            /* The same bits again: only for the same, still valid, start key. */
            ck_assert_uint_eq(target.type, KEY_START);
            ck_assert(keys_same(memory[i].target, target) && memory[i].district == district);
            ck_assert(!memory[i].freed);
            ck_assert_uint_eq(memory[i].target_run, districts[district].instance);
            ck_assert_uint_eq(memory[i].holder_run, districts[holder].instance);
            return;
        }
    ck_assert_uint_lt(remembered, MEMORY);
    memory[remembered].holder = holder;
    memory[remembered].district = district;
    memory[remembered].holder_run = districts[holder].instance;
    memory[remembered].target_run = districts[district].instance;
    memory[remembered].link = link;
    memory[remembered].freed = false;
    memory[remembered++].target = target;
}

/** A resume key whose waiter waits for something else by now: its link may be swept away. */
static bool stale(unsigned i)
{
    const struct object *o = domains[memory[i].district][memory[i].target.value - OID_FIRST_FREE];
    return memory[i].target.type == KEY_RESUME &&
           activity_frame(object_activity(o))->call_count != key_call_count(memory[i].target);
}

static void check_all(void)
{
    for (unsigned i = 0; i < remembered; i++) {
        if (stale(i))
            continue;
        bool live = !memory[i].freed &&
                    memory[i].holder_run == districts[memory[i].holder].instance &&
                    memory[i].target_run == districts[memory[i].district].instance;
        leads(memory[i].holder, memory[i].link, memory[i].district,
              live ? memory[i].target : key_void());
    }
}

static void pass_on(unsigned to)
{
    unsigned i = (unsigned)random() % remembered;
    unsigned from = memory[i].holder;
    struct district *home;
    struct key target;
    bool live = link_resolve(&districts[from], memory[i].link, &home, &target) == BW_OK;
    struct key k = cross(from, to, memory[i].link);
    if (from == to) {
        ck_assert(keys_same(k, memory[i].link));
        return;
    }
    if (!live) {
        ck_assert_uint_eq(k.type, KEY_VOID);
        return;
    }
    if (home == &districts[to])
        ck_assert(keys_same(k, target));
    if (target.type == KEY_RESUME && k.type != KEY_VOID)
        memory[i].freed = true;
    if (home != &districts[to])
        remember(to, home->slot, k, target);
}

START_TEST(history)
{
    srandom((unsigned)_i);
    set_up();
    remembered = 0;
    while (remembered < MEMORY - 2) {
        unsigned from = (unsigned)random() % SIDES, to = (unsigned)random() % SIDES;
        unsigned domain = (unsigned)random() % DOMAINS;
        unsigned what = (unsigned)random() % 100;
        if (what < 40 && from != to) {
            struct key k = start_key(from, domain, (unsigned)random() % 4);
            remember(to, from, cross(from, to, k), k);
        } else if (what < 70 && from != to) {
            struct key k = resume_key(from, domain);
            remember(to, from, cross(from, to, k), k);
        } else if (what < 85 && remembered > 0) {
            pass_on(to);
        } else if (what < 97 && remembered > 0) {
            unsigned i = (unsigned)random() % remembered;
            link_free(&districts[memory[i].holder], memory[i].link);
            if (memory[i].holder_run == districts[memory[i].holder].instance)
                memory[i].freed = true;
        } else if (what == 98 && from != 0 && random() % 4 == 0) {
            end_district(from);
            start_district(from);
        }
        if (random() % 100 == 0)
            check_all();
    }
    check_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link");
    TCase *t = tcase_create("links");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_crosses);
    tcase_add_test(t, comes_home);
    tcase_add_test(t, same_key_same_link);
    tcase_add_test(t, resume_links_move);
    tcase_add_test(t, severed_by_a_restart);
    tcase_add_test(t, callers_are_told);
    tcase_add_test(t, full_table);
    tcase_add_test(t, a_greedy_peer_leaves_room);
    tcase_add_test(t, ended_runs_leave_room);
    tcase_add_test(t, destroyed_programs_leave_room);
    tcase_add_test(t, many_restarts);
    tcase_add_loop_test(t, history, 0, 10);
    suite_add_tcase(s, t);
    return run_suite(s);
}
