/*
 * A district full of workers, and its store server, which keeps the store in memory. Checkpoints
 * are pulled in small parts while the district runs; now and then one is dropped, or the district
 * is killed and restarted from its store or from its first image. One domain that nobody has a key
 * to counts honestly: each committed checkpoint must show it whole.
 *
 * Ids: OID_FIRST_FREE + worker * WORKER_IDS + ...; what workers must not reach is behind RANGE_IDS.
 */
#include <string.h>
#include "fuzz.h"

#define WORKERS    6u
#define WORKER_IDS 64u
#define RANGE_IDS  960u
#define SYSTEM_IDS 32u
#define ALL_IDS    (SYSTEM_IDS + 1024u)
#define LOAD_TIME  3000000000ull

enum { ID_DOMAIN, ID_ROOT, ID_CODE, ID_DATA, ID_NODE, ID_PAGES };
enum {
    WORKER_PAGE = 962,
    HONEST = 963,
    HONEST_PAGE = 970,
    HONEST_COUNT,
    MENDER = 980,
    MENDER_PAGES = 984
};

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

uint64_t district_commits, district_restarts;

static struct saved image[ALL_IDS], store[ALL_IDS], pulled[ALL_IDS];
static bool is_pulled[ALL_IDS];
static bool writing, running;
static uint64_t epoch, generation, incarnation;
static bw_time_t started;

static oid_t oid(unsigned id)
{
    return OID_FIRST_FREE + id;
}

static unsigned place_of(oid_t o)
{
    if (o < SYSTEM_IDS)
        return (unsigned)o;
    return o >= OID_FIRST_FREE && o < oid(ALL_IDS - SYSTEM_IDS)
               ? (unsigned)(o - OID_FIRST_FREE) + SYSTEM_IDS
               : ALL_IDS;
}

/* --- the first image --------------------------------------------------------------------- */

static struct saved *add(oid_t o, enum object_type type)
{
    struct saved *s = &image[place_of(o)];
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
        return (struct key){.type = KEY_RANGE, .version = RANGE_IDS, .value = OID_FIRST_FREE};
    case KEY_DOMAIN:
    case KEY_START:
        return key(kind, 0, kind == KEY_START ? (unsigned)pick(70) : 0, oid(first + ID_DOMAIN));
    case KEY_NODE:
    case KEY_SEGMENT:
        return key(kind, rights, kind == KEY_SEGMENT ? 1 + (unsigned)pick(4) : 0,
                   oid(first + ID_ROOT + (unsigned)pick(4)));
    case KEY_PAGE:
        return key(kind, rights & RIGHT_WRITE, 0, oid(first + ID_PAGES + (unsigned)pick(30)));
    default:
        return key(kind, 0, kind == KEY_METER ? (unsigned)pick(4) : 0,
                   kind == KEY_LINK ? pick(8) : 0);
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
    f->meter = key(KEY_METER, 0, 3, 0);
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

/** Asks for the commons' worker that main granted as "w". */
static void add_grant_calls(struct entry *script)
{
    for (unsigned i = 0; i < ENTRIES; i += 1 + (unsigned)pick(64))
        script[i] = (struct entry){
            .rax = OP_CALL | INVOKE_STRING << 8 | KEY_AT(3) << 16,
            .rdi = GRANT_FIND,
            .rbx = KEY_AT(5 + pick(20)),
            .r12 = WORKER_SCRIPT + SCRIPT_PAGES * BW_PAGE_SIZE,
            .r13 = 1,
        };
}

static void add_worker(unsigned worker)
{
    static struct entry script[ENTRIES];
    unsigned first = worker * WORKER_IDS;
    struct domain_frame *f = add_domain(first, WORKER_PAGE);
    struct saved *node = add(oid(first + ID_NODE), OBJECT_NODE);
    f->list_slot = worker;
    f->meter.tag = 2 + (uint16_t)pick(2);
    script_fill(script, worker == 0);
    add_grant_calls(script);
    add_script(&image[place_of(oid(first + ID_DATA))], first + ID_PAGES, script, "w", 1);
    for (unsigned i = 0; i < 16; i++)
        node->keys[i] = any_key(KEY_VOID);
    for (unsigned i = 4; i < BW_KEY_REGISTERS; i++)
        f->keys[i] = any_key(register_kind(i));
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
        image[place_of(oid(HONEST + ID_DATA))].keys[i] =
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
        script[i] = (struct entry){
            .rax = OP_CALL | INVOKE_STRING << 8 | (uint64_t)KEY_AT(5 + i / 3 % WORKERS) << 16,
            .rdi = order,
            .r12 = WORKER_SCRIPT + SCRIPT_PAGES * BW_PAGE_SIZE,
            .r13 = sizeof start,
        };
    }
    add_script(&image[place_of(oid(MENDER + ID_DATA))], MENDER_PAGES, script, &start, sizeof start);
}

static void make_image(void)
{
    memset(image, 0, sizeof image);
    struct saved *list = add(OID_DOMAIN_LIST, OBJECT_PAGE);
    struct system_page *system = &add(OID_SYSTEM, OBJECT_PAGE)->system;
    system->magic = SYSTEM_MAGIC;
    system->abi_version = NUCLEUS_ABI_VERSION;
    system->domain_places = WORKERS + 2;
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
    bw_call(KR_DISTRICT, &m);
    if (result)
        memcpy(result, m.word, sizeof m.word);
    return m.code;
}

static void supply_wanted(void)
{
    static oid_t wanted[DISTRICT_WANTED_MAX];
    static struct saved none;
    struct message m = {.code = DISTRICT_WANTED, .buffer = wanted, .size = sizeof wanted};
    must(bw_call(KR_DISTRICT, &m), "wanted");
    for (size_t i = 0; i < m.word[0]; i++) {
        unsigned place = place_of(wanted[i]);
        const struct saved *s = place < ALL_IDS ? &store[place] : &none;
        if (s->header.type == OBJECT_NONE) {
            none.header = (struct object_header){.oid = wanted[i]};
            s = &none;
        }
        struct message give = {.code = DISTRICT_SUPPLY, .string = s, .length = sizeof s->header};
        give.length += s->header.flags & OBJECT_BYTES ? BW_PAGE_SIZE : 0;
        int64_t r = bw_call(KR_DISTRICT, &give);
        if (r != BW_OK && r != BW_NOMEM && wanted[i] < OID_LIMIT)
            failed("object %llx is refused: %lld", (unsigned long long)wanted[i], (long long)r);
    }
}

static uint64_t honest_page(unsigned i)
{
    const struct saved *s = &store[place_of(oid(HONEST_COUNT + i))];
    return s->words[0];
}

/** The committed state is of one instant. */
static void check_honest(void)
{
    uint64_t in_register = store[place_of(oid(HONEST + ID_DOMAIN))].domain.regs.r14;
    uint64_t a = honest_page(0), b = honest_page(1), c = honest_page(2);
    if (in_register < a || a < b || b < c || c + 1 < in_register)
        failed("a torn checkpoint: %llu %llu %llu %llu", (unsigned long long)in_register,
               (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
    if (store[place_of(oid(HONEST_COUNT + 2))].words[1] != 0)
        failed("the FPU state of one domain reached another");
}

static void keep(const struct object_header *h, const uint8_t *bytes)
{
    unsigned place = place_of(h->oid);
    if (place >= ALL_IDS)
        return; /* an id that the range does not cover was destroyed */
    is_pulled[place] = true;
    pulled[place].header = *h;
    memset(pulled[place].bytes, 0, BW_PAGE_SIZE);
    if (h->flags & OBJECT_BYTES)
        memcpy(pulled[place].bytes, bytes, BW_PAGE_SIZE);
    else if (h->type != OBJECT_NONE)
        pulled[place].header.flags |= OBJECT_BYTES;
}

static void finish(void)
{
    writing = false;
    if (pick(12) == 0) {
        must(call(DISTRICT_DROP, 0, NULL), "drop");
        return;
    }
    for (unsigned i = 0; i < ALL_IDS; i++)
        if (is_pulled[i])
            store[i] = pulled[i];
    must(call(DISTRICT_COMMITTED, epoch, NULL), "committed");
    generation = epoch;
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
    int64_t r = bw_call(KR_DISTRICT, &m);
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
    if (r == BW_CLEAN || (r == BW_REFUSED && !running))
        return;
    must(r, "snapshot");
    epoch = words[0];
    writing = true;
    memset(is_pulled, 0, sizeof is_pulled);
}

static void grant(void)
{
    struct message m = {.code = DISTRICT_GRANT, .string = "w", .length = 1, .send = {KR_WORK}};
    commons_start_key(KR_WORK);
    must(bw_call(KR_DISTRICT, &m), "grant");
}

static void power_on(void)
{
    struct district_params p = {
        .incarnation = ++incarnation, .generation = generation, .name = "fuzz"};
    struct message m = {
        .code = NUCLEUS_DISTRICT, .string = &p, .length = sizeof p, .take = {KR_DISTRICT}};
    must(bw_call(KR_NUCLEUS, &m), "district");
    m = (struct message){.code = DISTRICT_BIND, .send = {KR_OWN}};
    must(bw_call(KR_DISTRICT, &m), "bind");
    grant();
    must(call(DISTRICT_START, 0, NULL), "start");
    writing = running = false;
    started = bw_monotonic();
}

static void power_off(void)
{
    int64_t r;
    while ((r = call(DISTRICT_KILL, 0, NULL)) == BW_AGAIN) {
    }
    must(r, "kill");
}

static void check_state(void)
{
    static struct district_status s;
    struct message m = {.code = DISTRICT_STATUS, .buffer = &s, .size = sizeof s};
    must(bw_call(KR_DISTRICT, &m), "status");
    if (s.state == DISTRICT_RUNNING)
        running = true;
    else if (s.state != DISTRICT_LOADING || running)
        failed("the district is in state %u", s.state);
    else if (balloon == 0 && bw_monotonic() > started + LOAD_TIME)
        failed("the district does not come up");
}

void district_begin(void)
{
    make_image();
    memcpy(store, image, sizeof store);
    power_on();
}

void district_step(void)
{
    supply_wanted();
    check_state();
    if (writing)
        pull();
    else if (running && pick(8) == 0)
        snapshot();
    switch (pick(100)) {
    case 0:
        power_off();
        if (pick(2) == 0)
            memcpy(store, image, sizeof store);
        power_on();
        district_restarts++;
        break;
    case 1 ... 2:
        must(call(DISTRICT_BUDGET, pick(40), NULL), "budget");
        break;
    case 5 ... 12:
        must(call(DISTRICT_BUDGET, 1000000, NULL), "budget");
        break;
    case 21 ... 22:
        grant();
        break;
    }
}

void district_end(void)
{
    power_off();
}
