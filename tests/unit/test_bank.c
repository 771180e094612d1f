// sources: ../../districts/bank/bank.c ../../districts/bank/ledger.c fake_panic.c
/*
 * The space bank as its clients see it: a random lot of purchases, returns, sub-banks and ends,
 * against a range that knows which ids were sold to whom and which have been destroyed.
 */
#include <check.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <bailiwick/bank.h>
#include <bailiwick/district.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>

#define FIRST  1000000u /* first id of the bank's range */
#define IDS    2000000u
#define BANKS  40u
#define ROUNDS 20000

int main_native(uint64_t word);

/* What the keys in the bank's registers are, as far as it matters here. */
static struct {
    unsigned type;
    uint64_t start, count; /* of a range: ids */
    uint16_t badge;
} keys[BW_KEY_REGISTERS];

static uint8_t state[IDS]; /* by offset: 0 fresh, 1 sold, 2 destroyed */
static uint64_t cursor;
static jmp_buf end;

/* The clients. */
static struct client {
    bool open;
    uint16_t badge;
    int parent;
    uint64_t limit;
    uint64_t start[64], count[64]; /* bought */
    unsigned bought;
} clients[BANKS];
static struct {
    uint64_t left, total, stage;
} store; /* as the nucleus tells */
static struct message pending;
static int actor, target; /* who asked; which sub-bank or purchase is meant */
static unsigned done, sales, refusals, full;

int64_t bw_call(uint16_t key, struct message *m)
{
    if (key == KEY_AT(KR_SELF)) {
        ck_assert_int_eq(m->code, DOMAIN_MAKE_START);
        keys[m->take[0]].type = KEY_START;
        keys[m->take[0]].badge = (uint16_t)m->word[0];
    } else if (m->code == RANGE_COUNT && key == KEY_AT(KR_RANGE)) {
        m->word[0] = IDS;
        m->word[1] = FIRST;
    } else if (m->code == RANGE_COUNT) {
        ck_assert_uint_eq(keys[key].type, KEY_RANGE);
        m->word[0] = keys[key].count;
        m->word[1] = keys[key].start;
    } else if (m->code == RANGE_SUB) {
        keys[m->take[0]].type = KEY_RANGE;
        keys[m->take[0]].start = FIRST + m->word[0];
        keys[m->take[0]].count = m->word[1];
    } else {
        uint64_t n = m->word[1] < 256 ? m->word[1] : 256;
        ck_assert_int_eq(m->code, RANGE_DESTROY);
        ck_assert_uint_eq(key, KEY_AT(KR_RANGE));
        for (uint64_t i = 0; i < n; i++) {
            ck_assert_uint_eq(state[m->word[0] + i], 1);
            state[m->word[0] + i] = 2;
        }
        m->word[1] = n;
    }
    m->code = BW_OK;
    return BW_OK;
}

int64_t bw_self(enum self_order order, struct message *m)
{
    if (order == SELF_SPACE) {
        m->word[0] = store.left;
        m->word[1] = store.total;
        m->word[2] = store.stage;
        return BW_OK;
    }
    ck_assert_int_eq(order, SELF_IDENTIFY);
    m->word[0] = keys[m->send[0]].type;
    return BW_OK;
}

uint64_t bw_next_id(uint64_t count)
{
    cursor += count;
    ck_assert_uint_le(cursor, IDS);
    return cursor - count;
}

void bw_log(const char *format, ...)
{
    ck_abort_msg("%s", format);
}

/* --- clients ---------------------------------------------------------------------------------- */

static uint64_t sold_below(int c)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < clients[c].bought; i++)
        n += clients[c].count[i];
    for (int s = 1; s < (int)BANKS; s++)
        if (clients[s].open && clients[s].parent == c)
            n += sold_below(s);
    return n;
}

static uint64_t can_buy(int c)
{
    uint64_t n = store.total == 0 ? UINT64_MAX : store.stage == SPACE_FULL ? 0 : store.left;

    for (; c >= 0; c = clients[c].parent)
        if (clients[c].limit - sold_below(c) < n)
            n = clients[c].limit - sold_below(c);
    return n;
}

static void closed(int c)
{
    for (unsigned i = 0; i < clients[c].bought; i++)
        ck_assert_uint_eq(state[clients[c].start[i]], 2);
    clients[c].open = false;
    clients[c].bought = 0;
    for (int s = 1; s < (int)BANKS; s++)
        if (clients[s].open && clients[s].parent == c)
            closed(s);
}

/** Looks at the answer to `pending`. */
static void check_answer(const struct message *m)
{
    struct client *c = &clients[actor];
    unsigned at = c->bought;
    bool alive = c->open;

    if (!alive) {
        ck_assert_int_eq(m->code, BW_VOID);
        return;
    }
    switch (pending.code) {
    case BANK_BUY:
        ck_assert_int_eq(m->code, pending.word[0] <= can_buy(actor) ? BW_OK : BW_NOSPACE);
        refusals += m->code != BW_OK;
        if (m->code != BW_OK) {
            ck_assert_uint_eq(m->word[0], can_buy(actor));
            full += store.stage == SPACE_FULL;
            break;
        }
        sales++;
        c->start[at] = keys[m->send[0]].start - FIRST;
        c->count[at] = keys[m->send[0]].count;
        ck_assert_uint_eq(c->count[at], pending.word[0]);
        for (uint64_t i = 0; i < c->count[at]; i++) {
            ck_assert_uint_eq(state[c->start[at] + i], 0);
            state[c->start[at] + i] = 1;
        }
        c->bought++;
        break;
    case BANK_RETURN:
        ck_assert_int_eq(m->code, BW_OK);
        ck_assert_uint_eq(state[c->start[target]], 2);
        c->bought--;
        c->start[target] = c->start[c->bought];
        c->count[target] = c->count[c->bought];
        break;
    case BANK_SUB:
        ck_assert_int_eq(m->code, BW_OK);
        clients[target] = (struct client){.open = true,
                                          .parent = actor,
                                          .limit = pending.word[0],
                                          .badge = keys[m->send[0]].badge};
        break;
    case BANK_DESTROY:
        ck_assert_int_eq(m->code, actor ? BW_OK : BW_REFUSED);
        if (actor)
            closed(actor);
        break;
    default:
        ck_assert_int_eq(m->code, BW_OK);
        ck_assert_uint_eq(m->word[0], c->limit);
        ck_assert_uint_eq(m->word[1], sold_below(actor));
        ck_assert_uint_eq(m->word[3], can_buy(actor));
    }
}

/** Makes the next request. */
static void make_request(void)
{
    struct client *c;

    if (rand() % 16 == 0) {
        store.total = rand() % 4 ? 10000 : 0;
        store.stage = rand() % 4 ? SPACE_PLENTY : SPACE_FULL;
        store.left = (uint64_t)rand() % 2000;
    }
    actor = rand() % (int)BANKS;
    c = &clients[actor];
    pending = (struct message){.code = BANK_STATUS, .badge = c->badge};
    switch (rand() % 10) {
    case 0:
        for (target = 1; target < (int)BANKS && clients[target].open; target++)
            ;
        if (target < (int)BANKS && target != actor) {
            pending.code = BANK_SUB;
            pending.word[0] = (uint64_t)rand() % 3000;
        }
        break;
    case 1:
    case 2:
        if (c->bought > 0) {
            target = rand() % (int)c->bought;
            pending.code = BANK_RETURN;
            keys[KR_ARGUMENT].type = KEY_RANGE;
            keys[KR_ARGUMENT].start = FIRST + c->start[target];
            keys[KR_ARGUMENT].count = c->count[target];
        }
        break;
    case 3:
        if (rand() % 8 == 0)
            pending.code = BANK_DESTROY;
        break;
    default:
        if (c->bought < 64 && cursor + 1000 < IDS) {
            pending.code = BANK_BUY;
            pending.word[0] = 1 + (uint64_t)rand() % 600;
        }
    }
}

void bw_return(uint16_t key, struct message *m, uint16_t resume, unsigned flags)
{
    ck_assert_uint_eq(resume, KEY_AT(KR_CALLER));
    ck_assert_uint_eq(flags, 0);
    ck_assert_uint_eq(m->take[0], KEY_AT(KR_ARGUMENT));
    if (key) {
        check_answer(m);
        done++;
    }
    if (done == ROUNDS)
        longjmp(end, 1);
    make_request();
    *m = pending;
}

START_TEST(every_id_is_sold_once_and_destroyed_once)
{
    srand(5);
    clients[0] = (struct client){.open = true, .parent = -1, .limit = UINT64_MAX};
    for (unsigned i = 1; i < BANKS; i++)
        clients[i].badge = (uint16_t)(60000 + i); /* not given out yet: void */
    if (setjmp(end) == 0)
        main_native(0);
    ck_assert_uint_gt(sales, 1000);
    ck_assert_uint_gt(refusals, 100);
    ck_assert_uint_gt(full, 100);
    for (uint64_t i = 0; i < cursor; i++)
        if (state[i] == 1) {
            bool owned = false;
            for (unsigned c = 0; c < BANKS; c++)
                for (unsigned n = 0; n < clients[c].bought; n++)
                    owned |= i - clients[c].start[n] < clients[c].count[n];
            ck_assert(owned);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bank");
    TCase *tests = tcase_create("bank");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_id_is_sold_once_and_destroyed_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
