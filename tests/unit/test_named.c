// sources: fake_machine.h
/*
 * Named links and publications: their life against a model, with districts that are killed, go back
 * to an older state and come again; a link that is live always leads to the run of the district
 * that it was established to, and its key is the same through all of that.
 */
#include "fake_machine.h"
#include "link.h"

#define SIDES   4u /* the commons and three districts */
#define DOMAINS 3u

/** What a district's store would have: its system objects. */
struct saved {
    bool there;
    uint8_t bytes[BW_PAGE_SIZE];
};
static struct saved store[SIDES][1024];

static struct object *domain_of(unsigned i, unsigned n)
{
    return object_lookup(&districts[i], OID_FIRST_FREE + n);
}

static struct key start_key(unsigned i, unsigned n, unsigned badge)
{
    const struct object *o = domain_of(i, n);
    return (struct key){
        .type = KEY_START, .tag = (uint16_t)badge, .version = o->version, .value = o->oid};
}

static void save(unsigned i)
{
    memset(store[i], 0, sizeof store[i]);
    for (const struct object *o = districts[i].all; o != NULL; o = o->all.next)
        if (o->type == OBJECT_PAGE && o->oid < 1024) {
            store[i][o->oid].there = true;
            memcpy(store[i][o->oid].bytes, o->data, BW_PAGE_SIZE);
        }
}

static void end_district(unsigned i)
{
    while (district_kill(&districts[i]) == BW_AGAIN) {
    }
}

/** The district comes up as it was saved last. */
static void start_district(unsigned i)
{
    struct district *d = &districts[i];
    struct object *o;
    uint32_t instance = d->instance + 1;
    *d = (struct district){.slot = (uint16_t)i, .instance = instance, .id = {(uint8_t)i, 9}};
    d->persistent = i != 0;
    d->epoch = d->persistent ? 7 : 0;
    d->budget = 1u << 30;
    d->incarnation = instance;
    d->incarnation_random = 1000 + instance;
    d->name[0] = (char)('a' + i);
    for (oid_t oid = 1; i != 0 && oid < 1024; oid++)
        if (store[i][oid].there)
            ck_assert_int_eq(object_install(d, oid, OBJECT_PAGE, 1, store[i][oid].bytes), BW_OK);
    if (i != 0 && object_lookup(d, OID_SYSTEM) == NULL) {
        ck_assert_int_eq(object_create(d, OID_SYSTEM, OBJECT_PAGE, &o), BW_OK);
        ck_assert_int_eq(object_create(d, OID_DOMAIN_LIST, OBJECT_PAGE, &o), BW_OK);
    }
    d->system = object_lookup(d, OID_SYSTEM);
    for (unsigned n = 0; n < DOMAINS; n++)
        ck_assert_int_eq(object_create(d, OID_FIRST_FREE + n, OBJECT_DOMAIN, &o), BW_OK);
    if (i != 0) {
        ck_assert_int_eq(named_load(d), BW_OK);
        ck_assert_int_eq(named_start(d), BW_OK);
    }
    d->state = DISTRICT_RUNNING;
}

static void set_up(void)
{
    memset(districts, 0, sizeof districts);
    memset(store, 0, sizeof store);
    object_init(4096);
    for (unsigned i = 0; i < SIDES; i++)
        start_district(i);
}

static void put(char *to, const char *text)
{
    while ((*to = *text++) != 0)
        to++;
}

static struct key open_link(unsigned i, const char *district, const char *name, unsigned mode)
{
    struct link_params p = {.mode = mode};
    struct key link = key_void();
    put(p.district, district);
    put(p.name, name);
    ck_assert_int_eq(named_open(&districts[i], &p, start_key(i, 2, 5), &link), BW_OK);
    ck_assert_uint_eq(link.type, KEY_LINK);
    return link;
}

static int publish(unsigned i, const char *name, const char *access, struct key k)
{
    struct publication_params p = {0};
    put(p.name, name);
    put(p.access, access);
    return named_publish(&districts[i], &p, k);
}

static int establish(unsigned i, struct key link, unsigned to, unsigned domain)
{
    return named_establish(&districts[i], link.value - LINKS, link.version, &districts[to],
                           start_key(to, domain, 1));
}

static int resolve(unsigned i, struct key link, struct district **to, struct key *target)
{
    return link_resolve(&districts[i], link, to, target);
}

static uint64_t posts(unsigned i, unsigned domain)
{
    struct activity *a = object_activity(domain_of(i, domain));
    uint64_t bits = activity_frame(a)->posted | a->posted;
    activity_frame(a)->posted = a->posted = 0;
    return bits;
}

/** The life of one link of each mode, step by step. */
START_TEST(life)
{
    unsigned mode = (unsigned)_i;
    struct district *to;
    struct key target, link;
    set_up();
    link = open_link(1, "c", "bank", mode);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    ck_assert_int_eq(establish(1, link, 2, 0), BW_OK);
    ck_assert_uint_eq(posts(1, 2), 1u << 5);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_OK); /* the first time needs no ack */
    ck_assert_ptr_eq(to, &districts[2]);
    ck_assert(keys_same(target, start_key(2, 0, 1)));
    save(1);
    end_district(2);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    start_district(2);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    ck_assert_int_eq(establish(1, link, 2, 1), BW_OK);
    ck_assert_int_eq(resolve(1, link, &to, &target), mode == LINK_AUTO ? BW_OK : BW_RELINKED);
    ck_assert_int_eq(named_acknowledge(&districts[1], link, 1), BW_AGAIN);
    ck_assert_int_eq(named_acknowledge(&districts[1], link, 3), BW_ARGUMENT);
    ck_assert_int_eq(resolve(1, link, &to, &target), mode == LINK_AUTO ? BW_OK : BW_RELINKED);
    ck_assert_int_eq(named_acknowledge(&districts[1], link, 2), BW_OK);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_OK);
    ck_assert(keys_same(target, start_key(2, 1, 1)));
    end_district(1); /* and its holder goes back to its first connection */
    start_district(1);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    ck_assert_int_eq(establish(1, link, 2, 0), BW_OK);
    ck_assert_int_eq(resolve(1, link, &to, &target), mode == LINK_AUTO ? BW_OK : BW_RELINKED);
    ck_assert_int_eq(named_drop(&districts[1], link), BW_OK);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    ck_assert_int_eq(establish(1, link, 2, 0), BW_ABSENT);
    ck_assert(!keys_same(link, open_link(1, "c", "bank", mode))); /* the same place, another key */
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
}
END_TEST

/** A store of another district under the old name does not get what the first one got. */
START_TEST(stranger)
{
    struct district *to;
    struct key target, link;
    set_up();
    link = open_link(1, "c", "bank", LINK_AUTO);
    ck_assert_int_eq(establish(1, link, 2, 0), BW_OK);
    end_district(2);
    start_district(2);
    districts[2].id[0] ^= 1;
    ck_assert_int_eq(establish(1, link, 2, 0), BW_REFUSED);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_SEVERED);
    districts[2].id[0] ^= 1;
    ck_assert_int_eq(establish(1, link, 2, 0), BW_OK);
    ck_assert_int_eq(resolve(1, link, &to, &target), BW_OK);
}
END_TEST

/** What the broker is told: which links wait, and why they do. */
START_TEST(lines)
{
    struct link_line line;
    set_up();
    struct key a = open_link(1, "c", "bank", LINK_NOTIFY);
    struct key b = open_link(1, "d", "shop", LINK_MANUAL);
    uint64_t index = 0;
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert_uint_eq(index, a.value - LINKS);
    ck_assert_str_eq(line.name, "bank");
    ck_assert(line.wanted && line.state == LINK_SEVERED && line.reason == LINK_OPENED);
    ck_assert_int_eq(establish(1, b, 3, 0), BW_OK);
    ck_assert_int_eq(named_refuse(&districts[1], a.value - LINKS, a.version, LINK_NO_NAME), BW_OK);
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert(line.wanted && line.reason == LINK_NO_NAME);
    index++;
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert_str_eq(line.district, "d");
    ck_assert(!line.wanted && line.state == LINK_LIVE && line.connection == 1);
    fake_now = 1000;
    end_district(3);
    fake_now = 2000;
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert(!line.wanted && line.state == LINK_SEVERED && line.reason == LINK_PEER_ENDED);
    ck_assert(line.since >= 1000 && line.since < 2000);
    ck_assert_int_eq(named_reopen(&districts[1], b), BW_OK);
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert(line.wanted);
    (void)link_cross(&districts[2], &districts[1], start_key(2, 0, 0));
    index++;
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert_uint_eq(line.mode, LINK_FREE);
    ck_assert_str_eq(line.district, "c");
    index++;
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_ABSENT);
}
END_TEST

/** An unnamed link that is severed says whom it led to, and since when it does not, also when another run has that
 * one's place. */
START_TEST(who_has_ended)
{
    struct link_line line;
    uint64_t index = 0;
    set_up();
    (void)link_cross(&districts[2], &districts[1], start_key(2, 0, 0));
    fake_now = 1000;
    end_district(2);
    fake_now = 2000;
    start_district(2);
    put(districts[2].name, "other");
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert_str_eq(line.district, "c");
    ck_assert(line.state == LINK_SEVERED && line.reason == LINK_PEER_ENDED);
    ck_assert(line.since >= 1000 && line.since < 2000);
    for (unsigned i = 0; i < 200; i++) { /* so many that the first one is forgotten */
        end_district(2);
        start_district(2);
    }
    ck_assert_int_eq(named_line(&districts[1], &index, &line), BW_OK);
    ck_assert(line.district[0] == 0 && line.since == 0);
}
END_TEST

START_TEST(publications)
{
    char name[LINK_NAME_MAX] = "bank", longest[LINK_NAME_MAX] = {0};
    set_up();
    memset(longest, 'x', sizeof longest - 1);
    ck_assert_ptr_null(named_find(&districts[1], name));
    ck_assert_int_eq(publish(1, "bank", "*", start_key(1, 0, 3)), BW_OK);
    ck_assert_int_eq(publish(1, longest, "c d", start_key(1, 1, 3)), BW_OK);
    ck_assert(keys_same(named_find(&districts[1], name)->key, start_key(1, 0, 3)));
    ck_assert_str_eq(named_find(&districts[1], longest)->access, "c d");
    ck_assert_int_eq(publish(1, "bank", "c", start_key(1, 1, 4)), BW_OK); /* replaced */
    ck_assert_uint_eq(named_find(&districts[1], name)->key.tag, 4);
    save(1);
    ck_assert_int_eq(publish(1, "bank", "", key_void()), BW_OK);
    ck_assert_ptr_null(named_find(&districts[1], name));
    ck_assert_int_eq(publish(1, "bank", "", key_void()), BW_ABSENT);
    end_district(1);
    start_district(1); /* back to where it was published */
    ck_assert_uint_eq(named_find(&districts[1], name)->key.tag, 4);
    ck_assert_int_eq(publish(1, "", "*", start_key(1, 0, 3)), BW_ARGUMENT);
    ck_assert_int_eq(publish(1, "x", "*", (struct key){.type = KEY_NODE}), BW_ARGUMENT);
    ck_assert_int_eq(publish(0, "x", "*", start_key(0, 0, 0)), BW_REFUSED);
    for (unsigned n = 0; n < 2 * PUBLICATIONS_MAX; n++) {
        char text[] = {'n', (char)('a' + n % 26), (char)('a' + n / 26), 0};
        int r = publish(2, text, "*", start_key(2, 0, 0));
        ck_assert_int_eq(r, n < PUBLICATIONS_MAX ? BW_OK : BW_LIMIT);
    }
    /* A store is not believed: this would be a key of the commons. */
    ((struct publication *)object_lookup(&districts[1], OID_PUBLICATIONS)->data)->key.type =
        KEY_NUCLEUS;
    ck_assert_ptr_null(named_find(&districts[1], name));
}
END_TEST

START_TEST(full_table)
{
    struct link_params p = {.district = "c", .name = "bank", .mode = LINK_AUTO};
    struct key link, some = key_void();
    set_up();
    for (unsigned n = 0; n < LINK_NAMED_MAX; n++) {
        ck_assert_int_eq(named_open(&districts[1], &p, key_void(), &link), BW_OK);
        some = n == 77 ? link : some;
    }
    ck_assert_int_eq(named_open(&districts[1], &p, key_void(), &link), BW_LIMIT);
    ck_assert_int_eq(named_drop(&districts[1], some), BW_OK);
    ck_assert_int_eq(named_open(&districts[1], &p, key_void(), &link), BW_OK);
    p.name[20] = 'x'; /* behind the text */
    ck_assert_int_eq(named_open(&districts[1], &p, key_void(), &link), BW_ARGUMENT);
}
END_TEST

/* --- random histories -------------------------------------------------------------------- */

#define OPEN 12u

/** What the model knows of a link that was opened once. */
static struct model {
    unsigned holder, peer, mode;
    struct key link;
    bool there; /* in the present of its holder */
    uint64_t connection, acknowledged;
    bool established; /* to this run: */
    uint32_t to_instance, holder_instance;
    unsigned domain;
    struct { /* as saved last */
        bool there;
        uint64_t connection, acknowledged;
    } old;
} model[OPEN];

static void check_model(void)
{
    for (unsigned n = 0; n < OPEN; n++) {
        const struct model *m = &model[n];
        struct district *to = NULL;
        struct key target = key_void();
        if (m->link.type == KEY_VOID)
            continue;
        bool live = m->there && m->established && m->to_instance == districts[m->peer].instance &&
                    m->holder_instance == districts[m->holder].instance;
        int r = resolve(m->holder, m->link, &to, &target);
        ck_assert_int_eq(r, !live                              ? BW_SEVERED
                            : m->acknowledged == m->connection ? BW_OK
                                                               : BW_RELINKED);
        if (r != BW_OK)
            continue;
        ck_assert_ptr_eq(to, &districts[m->peer]);
        ck_assert(keys_same(target, start_key(m->peer, m->domain, 1)));
    }
}

static void model_open(struct model *m)
{
    static const char *names[] = {"a", "b", "c", "d"};
    *m = (struct model){.holder = 1 + (unsigned)random() % 3, .mode = 1 + (unsigned)random() % 3};
    m->peer = 1 + (m->holder + (unsigned)random() % 2) % 3;
    m->link = open_link(m->holder, names[m->peer], "n", m->mode);
    m->there = true;
    for (const struct model *o = model; o < model + OPEN; o++)
        ck_assert(o == m || o->holder != m->holder || !o->there || !keys_same(o->link, m->link));
}

static void model_restart(unsigned i, bool forget)
{
    if (forget)
        end_district(i);
    for (struct model *m = model; m < model + OPEN; m++) {
        if (m->link.type == KEY_VOID || m->holder != i)
            continue;
        if (!forget) {
            m->old.there = m->there;
            m->old.connection = m->connection;
            m->old.acknowledged = m->acknowledged;
            continue;
        }
        m->there = m->old.there;
        m->connection = m->old.connection;
        m->acknowledged = m->old.acknowledged;
        if (!m->there) /* the key was in its holder, which knows nothing of it any more */
            m->link = key_void();
    }
    if (forget)
        start_district(i);
    else
        save(i);
}

static void model_step(struct model *m)
{
    switch (random() % 6) {
    case 0:
    case 1:
    case 2:
        m->domain = (unsigned)random() % DOMAINS;
        int r = establish(m->holder, m->link, m->peer, m->domain);
        ck_assert_int_eq(r, m->there ? BW_OK : BW_ABSENT);
        if (r != BW_OK)
            break;
        m->established = true;
        m->to_instance = districts[m->peer].instance;
        m->holder_instance = districts[m->holder].instance;
        if (m->connection++ == 0 || m->mode == LINK_AUTO)
            m->acknowledged = m->connection;
        break;
    case 3:
    case 4:
        r = named_acknowledge(&districts[m->holder], m->link, m->connection);
        ck_assert_int_eq(r, m->there ? BW_OK : BW_SEVERED);
        m->acknowledged = m->connection;
        break;
    default:
        if (random() % 4 == 0) {
            r = named_drop(&districts[m->holder], m->link);
            ck_assert_int_eq(r, m->there ? BW_OK : BW_SEVERED);
            m->there = false;
        }
    }
}

START_TEST(history)
{
    srandom((unsigned)_i);
    set_up();
    memset(model, 0, sizeof model);
    for (unsigned i = 1; i < SIDES; i++)
        save(i);
    for (unsigned n = 0; n < 3000; n++) {
        struct model *m = &model[random() % OPEN];
        if (m->link.type == KEY_VOID)
            model_open(m);
        else
            model_step(m);
        if (random() % 20 == 0)
            model_restart(1 + (unsigned)random() % 3, random() % 2);
        check_model();
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("named");
    TCase *t = tcase_create("named links");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, life, LINK_NOTIFY, LINK_MANUAL + 1);
    tcase_add_test(t, stranger);
    tcase_add_test(t, lines);
    tcase_add_test(t, who_has_ended);
    tcase_add_test(t, publications);
    tcase_add_test(t, full_table);
    tcase_add_loop_test(t, history, 0, 10);
    suite_add_tcase(s, t);
    return run_suite(s);
}
