/*
 * Districts full of workers, and their store server, which keeps the stores in memory, and broker.
 * Checkpoints are pulled in small parts while the districts run; now and then one is dropped, or a
 * district is killed and restarted from its store or from its first image. Workers publish keys,
 * open links to each other's, and pass on over them what they have. In each district one domain
 * that nobody has a key to counts honestly: each committed checkpoint must show it whole; and in
 * none may be a key that its workers cannot have been given or have made.
 *
 * Ids: DISTRICT_IDS for each district, so that no two have the same; in them worker * WORKER_IDS +
 * ...; what workers must not reach is behind RANGE_IDS.
 */
#include <bailiwick/link.h>
#include <stdio.h>
#include <string.h>
#include "fuzz.h"

#define WORKERS    6u
#define WORKER_IDS 64u
#define RANGE_IDS  448u
#define SYSTEM_IDS 32u /* below, and as many each of named links and publications */
#define OWN_IDS    512u
#define ALL_IDS    (3 * SYSTEM_IDS + OWN_IDS)
#define LOAD_TIME  3000000000ull

#define STEPS        4u /* of each district at a time */
#define DISTRICT_IDS 4096u
#define SPARE_EACH   256u /* bytes: a page has so many different ones */
#define SPARES       (BW_PAGE_SIZE / SPARE_EACH)
#define NAMES        6u
#define NAMED        8u /* links that each district has opened in its first image */
#define LINKS_LIMIT  (16384u + LINK_NAMED_MAX)

enum { ID_DOMAIN, ID_ROOT, ID_CODE, ID_DATA, ID_NODE, ID_PAGES };
enum {
    WORKER_PAGE = RANGE_IDS + 2,
    HONEST,
    HONEST_PAGE = RANGE_IDS + 10,
    HONEST_COUNT,
    MENDER = RANGE_IDS + 20,
    MENDER_PAGES = RANGE_IDS + 24,
};
/* Where in their spare pages workers have what they send. */
enum { SPARE_GRANT, SPARE_LINKS, SPARE_PUBLICATIONS };

struct saved {
    struct object_header header;
    union {
        uint8_t bytes[BW_PAGE_SIZE];
        uint64_t words[512];
        struct key keys[BW_NODE_SLOTS];
        struct domain_frame domain;
        struct system_page system;
    };
};

uint64_t district_commits, district_restarts, district_connections;

/** A district and its store. */
struct play {
    struct saved store[ALL_IDS], pulled[ALL_IDS];
    bool is_pulled[ALL_IDS];
    bool writing, running;
    uint64_t epoch, generation, incarnation;
    bw_time_t started;
};
static struct play plays[FUZZ_DISTRICTS];
static struct play *now; /* the one that we are at */

static unsigned index_of(const struct play *p)
{
    return (unsigned)(p - plays);
}

static uint16_t key_of(const struct play *p)
{
    return KEY_IN_NODE(KR_TABLE_AT, FIRST_DISTRICT_AT + index_of(p));
}

static oid_t oid(unsigned id)
{
    return OID_FIRST_FREE + index_of(now) * DISTRICT_IDS + id;
}

/** The place of a system object or of one of ours, ALL_IDS if it is none. */
static unsigned place_of(oid_t o)
{
    static const oid_t first[] = {0, OID_NAMED_LINKS, OID_PUBLICATIONS};

    for (unsigned i = 0; i < 3; i++)
        if (o >= first[i] && o < first[i] + SYSTEM_IDS)
            return (unsigned)(o - first[i]) + i * SYSTEM_IDS;
    return o >= oid(0) && o < oid(OWN_IDS) ? (unsigned)(o - oid(0)) + 3 * SYSTEM_IDS : ALL_IDS;
}

static void name_district(char *name, unsigned n)
{
    snprintf(name, DISTRICT_NAME_MAX, "fuzz%u", n);
}

/* --- the first image --------------------------------------------------------------------- */

static struct saved *add(oid_t o, enum object_type type)
{
    struct saved *s = &now->store[place_of(o)];
    memset(s, 0, sizeof *s);
    s->header = (struct object_header){.oid = o, .type = type, .version = 1, .flags = OBJECT_BYTES};
    return s;
}

static struct key key(unsigned type, unsigned rights, unsigned tag, oid_t value)
{
    return (struct key){.type = (uint8_t)type,
                        .rights = (uint8_t)rights,
                        .tag = (uint16_t)tag,
                        .version = 1,
                        .value = value};
}

static struct key any_key(unsigned kind)
{
    static const uint8_t kinds[] = {KEY_DOMAIN, KEY_START, KEY_NODE, KEY_SEGMENT, KEY_PAGE,
                                    KEY_RANGE,  KEY_METER, KEY_LINK, KEY_GRANT};
    unsigned first = (unsigned)pick(WORKERS) * WORKER_IDS;
    unsigned rights = pick(4) == 0 ? (unsigned)pick(2) * RIGHT_SENSE : RIGHT_WRITE;
    if (kind == KEY_VOID)
        kind = kinds[pick(sizeof kinds)];
    switch (kind) {
    case KEY_RANGE:
        return (struct key){.type = KEY_RANGE, .version = RANGE_IDS, .value = oid(0)};
    case KEY_DOMAIN:
    case KEY_START:
        return key(kind, 0, kind == KEY_START ? (unsigned)pick(70) : 0, oid(first + ID_DOMAIN));
    case KEY_NODE:
    case KEY_SEGMENT:
        return key(kind, rights, kind == KEY_SEGMENT ? 1 + (unsigned)pick(4) : 0,
                   oid(first + ID_ROOT + (unsigned)pick(4)));
    case KEY_PAGE:
        return key(kind, rights & RIGHT_WRITE, 0, oid(first + ID_PAGES + (unsigned)pick(30)));
    case KEY_LINK: {
        struct key link = key(KEY_LINK, 0, 0, LINKS_LIMIT - LINK_NAMED_MAX + pick(NAMED));
        link.version = (uint32_t)(1 + link.value - (LINKS_LIMIT - LINK_NAMED_MAX));
        return link;
    }
    default:
        return key(kind, 0, kind == KEY_METER ? (unsigned)pick(4) : 0, 0);
    }
}

/** A domain, its root, and a node of height 1 for each half of its space, under ids from `first`
 * on. */
static struct domain_frame *add_domain(unsigned first, unsigned page)
{
    struct saved *root = add(oid(first + ID_ROOT), OBJECT_NODE);
    root->keys[0] = key(KEY_SEGMENT, RIGHT_EXECUTE, 1, oid(first + ID_CODE));
    root->keys[1] = key(KEY_SEGMENT, RIGHT_WRITE, 1, oid(first + ID_DATA));
    add(oid(first + ID_CODE), OBJECT_NODE)->keys[WORKER_CODE / BW_PAGE_SIZE] =
        key(KEY_PAGE, RIGHT_EXECUTE, 0, oid(page));
    add(oid(first + ID_DATA), OBJECT_NODE);
    struct domain_frame *f = &add(oid(first + ID_DOMAIN), OBJECT_DOMAIN)->domain;
    f->regs = (struct regs){.rip = WORKER_CODE, .rflags = 0x202};
    f->state = DOMAIN_RUNNING;
    f->deadline = BW_NO_DEADLINE;
    f->segment = key(KEY_SEGMENT, RIGHT_WRITE | RIGHT_EXECUTE, 2, oid(first + ID_ROOT));
    f->meter = key(KEY_METER, 0, 2, 0);
    return f;
}

/** Fills the data half: state, script, and pages that begin with `spare`, under ids from `first`
 * on. */
static void add_script(struct saved *data, unsigned first, const struct entry *script,
                       const void *spare, size_t length)
{
    for (unsigned i = 0; i < 16 + SCRIPT_PAGES + SPARE_PAGES; i++) {
        if (i > 0 && i < 16)
            continue;
        struct saved *s = add(oid(first), OBJECT_PAGE);
        data->keys[i] = key(KEY_PAGE, RIGHT_WRITE, 0, oid(first++));
        if (i == 0)
            s->words[0] = random_bits() | 1;
        else if (i < 16 + SCRIPT_PAGES)
            memcpy(s->bytes, (const uint8_t *)script + (i - 16) * BW_PAGE_SIZE, BW_PAGE_SIZE);
        else
            memcpy(s->bytes, spare, length);
    }
}

static uint64_t spare_at(unsigned page, unsigned n)
{
    return WORKER_SCRIPT + (SCRIPT_PAGES + page) * BW_PAGE_SIZE + n * SPARE_EACH;
}

/** Names of links and publications, of districts, and modes: nearly right ones. */
static void fill_spare(unsigned first)
{
    uint8_t *grant = now->store[place_of(oid(first + SPARE_GRANT))].bytes;
    uint8_t *links = now->store[place_of(oid(first + SPARE_LINKS))].bytes;
    uint8_t *publications = now->store[place_of(oid(first + SPARE_PUBLICATIONS))].bytes;

    grant[0] = 'w';
    for (unsigned i = 0; i < SPARES; i++) {
        struct link_params l = {.mode = (uint32_t)pick(5)};
        struct publication_params p = {0};

        name_district(l.district, (unsigned)pick(FUZZ_DISTRICTS + 1));
        l.name[0] = (char)('a' + pick(NAMES));
        p.name[0] = (char)('a' + pick(NAMES));
        p.access[0] = '*';
        if (pick(3) == 0)
            name_district(p.access, (unsigned)pick(FUZZ_DISTRICTS));
        memcpy(links + i * SPARE_EACH, &l, sizeof l);
        memcpy(publications + i * SPARE_EACH, &p, sizeof p);
    }
}

/** A register that held a start key at first. */
static uint16_t start_register(void)
{
    unsigned reg = 4;

    while (register_kind(reg) != KEY_START)
        reg = 4 + (unsigned)pick(24);
    return KEY_AT(reg);
}

/** Asks for the commons' worker that main granted as "w", opens links, publishes. */
static void add_grant_calls(struct entry *script)
{
    for (unsigned i = 0; i < ENTRIES; i += 1 + (unsigned)pick(24)) {
        static const uint64_t lengths[] = {1, sizeof(struct link_params),
                                           sizeof(struct publication_params), 1};
        uint64_t order = 1 + pick(4);
        unsigned page = order == GRANT_OPEN || order == GRANT_PUBLISH ? (unsigned)order - 1 : 0;

        script[i] = (struct entry){
            .rax = OP_CALL | INVOKE_STRING << 8 | KEY_AT(3) << 16,
            .rdi = order,
            .r10 = pick(6) == 0 ? 0 : start_register(),
            .rbx = KEY_AT(5 + pick(20)),
            .r12 = spare_at(page, page ? (unsigned)pick(SPARES) : 0),
            .r13 = lengths[order - 1],
        };
    }
}

/** Sends what it has over links, and takes what comes back. */
static void add_link_calls(struct entry *script)
{
    for (unsigned i = 1; i < ENTRIES; i += 1 + (unsigned)pick(6)) {
        uint64_t op = pick(2) ? OP_CALL : OP_SEND;

        script[i] = (struct entry){
            .rax = op | (pick(2) ? INVOKE_NOBLOCK << 8 : 0) | (uint64_t)start_register() << 16,
            .rdi = 1 + pick(30),
            .rsi = pick(8192),
            .r10 = FOUR_KEYS(4 + pick(24), 4 + pick(24), 4 + pick(24), 4 + pick(24)),
            .rbx = FOUR_KEYS(KEY_IN_NODE(2, pick(16)), KEY_AT(28 + pick(4)), 0, 0),
        };
    }
}

static void add_worker(unsigned worker)
{
    static struct entry script[ENTRIES];
    unsigned first = worker * WORKER_IDS;
    struct domain_frame *f = add_domain(first, WORKER_PAGE);
    struct saved *node = add(oid(first + ID_NODE), OBJECT_NODE);
    f->list_slot = worker;
    f->meter.tag = pick(8) ? 2 : 3; /* the last ones run seldom */
    script_fill(script, worker == 0);
    add_link_calls(script);
    add_grant_calls(script);
    add_script(&now->store[place_of(oid(first + ID_DATA))], first + ID_PAGES, script, "", 1);
    fill_spare(first + ID_PAGES + 1 + SCRIPT_PAGES);
    for (unsigned i = 0; i < 16; i++)
        node->keys[i] = any_key(KEY_VOID);
    for (unsigned i = 4; i < BW_KEY_REGISTERS; i++) /* links are invoked as start keys are */
        f->keys[i] =
            any_key(register_kind(i) == KEY_START && pick(2) ? KEY_LINK : register_kind(i));
    f->keys[2] = key(KEY_NODE, RIGHT_WRITE, 0, oid(first + ID_NODE));
    f->keys[3] = key(KEY_GRANT, 0, 0, 0);
    if (worker > 0 && pick(2) == 0) {
        f->keeper = key(KEY_START, 0, worker, oid(ID_DOMAIN));
        f->flags = pick(3) == 0 ? DOMAIN_FOREIGN : 0;
    }
}

static void add_honest(void)
{
    struct domain_frame *f = add_domain(HONEST, HONEST_PAGE);
    f->list_slot = WORKERS;
    for (unsigned i = 0; i < 3; i++) {
        add(oid(HONEST_COUNT + i), OBJECT_PAGE);
        now->store[place_of(oid(HONEST + ID_DATA))].keys[i] =
            key(KEY_PAGE, RIGHT_WRITE, 0, oid(HONEST_COUNT + i));
    }
}

/** Stops the workers, sets their registers to the start of the loop, starts them. */
static void add_mender(void)
{
    static struct entry script[ENTRIES];
    struct regs start = {.rip = WORKER_CODE, .rflags = 0x202};
    struct domain_frame *f = add_domain(MENDER, WORKER_PAGE);
    f->list_slot = WORKERS + 1;
    for (unsigned w = 0; w < WORKERS; w++)
        f->keys[5 + w] = key(KEY_DOMAIN, 0, 0, oid(w * WORKER_IDS + ID_DOMAIN));
    for (unsigned i = 0; i < ENTRIES; i++) {
        static const uint64_t orders[] = {DOMAIN_STOP, DOMAIN_SET_REGS, DOMAIN_START};
        uint64_t order = orders[i % 3];
        if (pick(3) != 0) { /* the workers run most of the time */
            script[i] = (struct entry){.rax = OP_SELF, .rdi = SELF_YIELD};
            continue;
        }
        script[i] = (struct entry){
            .rax = OP_CALL | INVOKE_STRING << 8 | (uint64_t)KEY_AT(5 + i / 3 % WORKERS) << 16,
            .rdi = order,
            .r12 = WORKER_SCRIPT + SCRIPT_PAGES * BW_PAGE_SIZE,
            .r13 = sizeof start,
        };
    }
    add_script(&now->store[place_of(oid(MENDER + ID_DATA))], MENDER_PAGES, script, &start,
               sizeof start);
}

/** Some links are open, to what is published. */
static void add_links(struct system_page *system)
{
    struct named_link *links = (void *)add(OID_NAMED_LINKS, OBJECT_PAGE)->bytes;
    struct publication *published = (void *)add(OID_PUBLICATIONS, OBJECT_PAGE)->bytes;

    for (unsigned i = 0; i < NAMED; i++) {
        links[i] = (struct named_link){.version = i + 1, .mode = 1 + (uint32_t)pick(3)};
        name_district(links[i].district, (unsigned)pick(FUZZ_DISTRICTS));
        links[i].name[0] = (char)('a' + pick(NAMES));
        links[i].notice = any_key(KEY_START);
    }
    for (unsigned i = 0; i < NAMES; i++)
        published[i] = (struct publication){
            .name = {(char)('a' + i)}, .access = "*", .key = any_key(KEY_START)};
    system->link_places = system->link_version = NAMED;
    system->publication_places = NAMES;
}

static void make_image(void)
{
    memset(now->store, 0, sizeof now->store);
    struct saved *list = add(OID_DOMAIN_LIST, OBJECT_PAGE);
    struct system_page *system = &add(OID_SYSTEM, OBJECT_PAGE)->system;
    system->magic = SYSTEM_MAGIC;
    system->abi_version = NUCLEUS_ABI_VERSION;
    system->domain_places = WORKERS + 2;
    add_links(system);
    memcpy(add(oid(WORKER_PAGE), OBJECT_PAGE)->bytes, bw_fuzz_worker_page, BW_PAGE_SIZE);
    memcpy(add(oid(HONEST_PAGE), OBJECT_PAGE)->bytes, bw_fuzz_honest_page, BW_PAGE_SIZE);
    for (unsigned w = 0; w < WORKERS; w++) {
        add_worker(w);
        list->words[w] = oid(w * WORKER_IDS + ID_DOMAIN);
    }
    add_honest();
    add_mender();
    list->words[WORKERS] = oid(HONEST + ID_DOMAIN);
    list->words[WORKERS + 1] = oid(MENDER + ID_DOMAIN);
}

/* --- its store server -------------------------------------------------------------------- */

static int64_t call(int64_t order, uint64_t word, uint64_t *result)
{
    struct message m = {.code = order, .word = {word}};
    bw_call(key_of(now), &m);
    if (result)
        memcpy(result, m.word, sizeof m.word);
    return m.code;
}

static void supply_wanted(void)
{
    static oid_t wanted[DISTRICT_WANTED_MAX];
    static struct saved none;
    struct message m = {.code = DISTRICT_WANTED, .buffer = wanted, .size = sizeof wanted};
    must(bw_call(key_of(now), &m), "wanted");
    for (size_t i = 0; i < m.word[0]; i++) {
        unsigned place = place_of(wanted[i]);
        const struct saved *s = place < ALL_IDS ? &now->store[place] : &none;
        if (s->header.type == OBJECT_NONE) {
            none.header = (struct object_header){.oid = wanted[i]};
            s = &none;
        }
        struct message give = {.code = DISTRICT_SUPPLY, .string = s, .length = sizeof s->header};
        give.length += s->header.flags & OBJECT_BYTES ? BW_PAGE_SIZE : 0;
        int64_t r = bw_call(key_of(now), &give);
        if (r != BW_OK && r != BW_NOMEM && wanted[i] < OID_LIMIT)
            failed("object %llx is refused: %lld", (unsigned long long)wanted[i], (long long)r);
    }
}

static uint64_t honest_page(unsigned i)
{
    const struct saved *s = &now->store[place_of(oid(HONEST_COUNT + i))];
    return s->words[0];
}

/** The committed state is of one instant. */
static void check_honest(void)
{
    uint64_t in_register = now->store[place_of(oid(HONEST + ID_DOMAIN))].domain.regs.r14;
    uint64_t a = honest_page(0), b = honest_page(1), c = honest_page(2);
    if (in_register < a || a < b || b < c || c + 1 < in_register)
        failed("a torn checkpoint: %llu %llu %llu %llu", (unsigned long long)in_register,
               (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
    if (now->store[place_of(oid(HONEST_COUNT + 2))].words[1] != 0)
        failed("the FPU state of one domain reached another");
}

/** Whether the workers may have a key to an object of the district, beside those in their range. */
static bool may_name(const struct key *k, bool hidden)
{
    uint64_t id = k->value - oid(0);

    return id < RANGE_IDS || (hidden && id < OWN_IDS) ||
           (id == WORKER_PAGE && k->type == KEY_PAGE && !(k->rights & RIGHT_WRITE));
}

/** @param hidden whether the key is in an object that workers cannot reach */
static bool may_have(const struct key *k, bool hidden)
{
    switch (k->type) {
    case KEY_VOID:
    case KEY_NUMBER:
    case KEY_METER:
    case KEY_GRANT:
        return true;
    case KEY_PAGE ... KEY_RESUME:
        return may_name(k, hidden);
    case KEY_RANGE:
        return k->value >= oid(0) && k->value + key_range_count(*k) <= oid(RANGE_IDS);
    case KEY_LINK:
        return k->value < LINKS_LIMIT;
    default:
        return false;
    }
}

/** No key was gained: all are to what the workers were given, or have made. */
static void check_keys(const struct saved *s)
{
    bool hidden = s->header.oid >= oid(RANGE_IDS);
    const struct key *k = s->keys;
    unsigned count = BW_NODE_SLOTS;

    if (s->header.type == OBJECT_DOMAIN) {
        k = &s->domain.segment;
        count = (unsigned)(&s->domain.keys[BW_KEY_REGISTERS] - k);
    } else if (s->header.type != OBJECT_NODE) {
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (!(s->header.type == OBJECT_DOMAIN && i >= 4 && &k[i] < s->domain.keys) &&
            !may_have(&k[i], hidden))
            failed("object %llx of %u has key %u: type %u rights %u value %llx",
                   (unsigned long long)s->header.oid, index_of(now), i, k[i].type, k[i].rights,
                   (unsigned long long)k[i].value);
}

static void keep(const struct object_header *h, const uint8_t *bytes)
{
    unsigned place = place_of(h->oid);
    if (place >= ALL_IDS)
        return; /* an id that the range does not cover was destroyed */
    struct saved *s = &now->pulled[place];
    now->is_pulled[place] = true;
    s->header = *h;
    memset(s->bytes, 0, BW_PAGE_SIZE);
    if (h->flags & OBJECT_BYTES)
        memcpy(s->bytes, bytes, BW_PAGE_SIZE);
    else if (h->type != OBJECT_NONE)
        s->header.flags |= OBJECT_BYTES;
    check_keys(s);
}

static void finish(void)
{
    now->writing = false;
    if (pick(12) == 0) {
        must(call(DISTRICT_DROP, 0, NULL), "drop");
        return;
    }
    for (unsigned i = 0; i < ALL_IDS; i++)
        if (now->is_pulled[i])
            now->store[i] = now->pulled[i];
    must(call(DISTRICT_COMMITTED, now->epoch, NULL), "committed");
    now->generation = now->epoch;
    district_commits++;
    check_honest();
}

static void pull(void)
{
    static uint8_t buffer[BW_STRING_MAX];
    const struct object_header *h = (const struct object_header *)buffer;
    struct message m = {.code = DISTRICT_PULL, .word = {pick(DISTRICT_PULL_MAX + 2)}};
    m.buffer = buffer;
    m.size = sizeof buffer;
    int64_t r = bw_call(key_of(now), &m);
    if (r != BW_OK)
        failed("pull: %lld, object %llx", (long long)r, (unsigned long long)m.word[0]);
    const uint8_t *bytes = buffer + m.word[0] * sizeof *h;
    for (unsigned i = 0; i < m.word[0]; i++) {
        keep(&h[i], bytes);
        bytes += h[i].flags & OBJECT_BYTES ? BW_PAGE_SIZE : 0;
    }
    if (m.word[1] == 0)
        finish();
}

static void snapshot(void)
{
    uint64_t words[4];
    int64_t r = call(DISTRICT_SNAPSHOT, 0, words);
    if (r == BW_CLEAN || (r == BW_REFUSED && !now->running))
        return;
    must(r, "snapshot");
    now->epoch = words[0];
    now->writing = true;
    memset(now->is_pulled, 0, sizeof now->is_pulled);
}

static void grant(void)
{
    struct message m = {.code = DISTRICT_GRANT, .string = "w", .length = 1, .send = {KR_WORK}};
    commons_start_key(KR_WORK);
    must(bw_call(key_of(now), &m), "grant");
}

static void power_on(void)
{
    struct district_params p = {.incarnation = ++now->incarnation,
                                .incarnation_random = random_bits(),
                                .generation = now->generation,
                                .id = {1, (uint8_t)index_of(now)}};
    struct message m = {
        .code = NUCLEUS_DISTRICT, .string = &p, .length = sizeof p, .take = {key_of(now)}};
    name_district(p.name, index_of(now));
    must(bw_call(KR_NUCLEUS, &m), "district");
    m = (struct message){.code = DISTRICT_BIND, .send = {KR_OWN}};
    must(bw_call(key_of(now), &m), "bind");
    grant();
    must(call(DISTRICT_START, 0, NULL), "start");
    now->writing = now->running = false;
    now->started = bw_monotonic();
}

static void power_off(void)
{
    int64_t r;
    while ((r = call(DISTRICT_KILL, 0, NULL)) == BW_AGAIN) {
    }
    must(r, "kill");
    now->running = false;
}

static void check_state(void)
{
    static struct district_status s;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &s, .size = sizeof s};
    must(bw_call(key_of(now), &m), "status");
    if (s.state == DISTRICT_RUNNING)
        now->running = true;
    else if (s.state != DISTRICT_LOADING || now->running)
        failed("district %u is in state %u", index_of(now), s.state);
    else if (balloon == 0 && bw_monotonic() > now->started + LOAD_TIME)
        failed("district %u does not come up", index_of(now));
}

/* --- its broker -------------------------------------------------------------------------- */

/** The other side of a link, in KR_WORK. */
static bool find(const struct link_line *line)
{
    char name[DISTRICT_NAME_MAX], access[LINK_ACCESS_MAX];

    for (unsigned i = 0; i < FUZZ_DISTRICTS; i++) {
        struct message m = {.code = DISTRICT_PUBLISHED, .string = line->name, .buffer = access};

        name_district(name, i);
        m.length = strnlen(line->name, sizeof line->name);
        m.size = sizeof access;
        m.take[0] = KR_WORK;
        if (strcmp(name, line->district) == 0)
            return plays[i].running && bw_call(key_of(&plays[i]), &m) == BW_OK;
    }
    return false;
}

/** Establishes a few of the links that wait, or says why not. */
static void connect(void)
{
    struct link_line line;
    uint64_t index = pick(8);

    for (unsigned n = 0; n < 4; n++, index++) {
        struct message m = {
            .code = DISTRICT_LINKS, .word = {index}, .buffer = &line, .size = sizeof line};

        if (bw_call(key_of(now), &m) != BW_OK || m.word[0] >= LINK_NAMED_MAX)
            return;
        index = m.word[0];
        if (line.wanted) {
            bool found = find(&line);

            m = (struct message){.code = DISTRICT_LINK,
                                 .word = {index, line.version, 1 + pick(6)},
                                 .send = {found ? KR_WORK : 0}};
            district_connections += bw_call(key_of(now), &m) == BW_OK && found;
        }
    }
}

/* --- all of it --------------------------------------------------------------------------- */

void district_begin(void)
{
    for (now = plays; now < plays + FUZZ_DISTRICTS; now++) {
        make_image();
        power_on();
    }
}

static void step(void)
{
    supply_wanted();
    check_state();
    if (now->writing)
        pull();
    else if (now->running && pick(8) == 0)
        snapshot();
    if (now->running)
        connect();
    switch (pick(400)) {
    case 0:
        power_off();
        if (pick(2) == 0)
            make_image();
        power_on();
        district_restarts++;
        break;
    case 1 ... 4:
        must(call(DISTRICT_BUDGET, pick(40), NULL), "budget");
        break;
    case 5 ... 44:
        must(call(DISTRICT_BUDGET, 1000000, NULL), "budget");
        break;
    case 51 ... 54:
        grant();
        break;
    }
}

void district_step(void)
{
    for (now = plays; now < plays + FUZZ_DISTRICTS; now++)
        for (unsigned n = 0; n < STEPS; n++)
            step();
}

void district_end(void)
{
    for (now = plays; now < plays + FUZZ_DISTRICTS; now++)
        power_off();
}
