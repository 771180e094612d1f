// sources: ../../districts/broker.c ../../districts/broker_step.c ../../districts/registry.c
/*
 * The broker of named links: whom an access list names, and what becomes of each link, in random
 * worlds of districts that run or not, publish or not, and may or may not be opened.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bailiwick/access.h>
#include <bailiwick/link.h>
#include "broker.h"
#include "broker_step.h"
#include "lifecycle.h"

#define DISTRICTS 6u
#define LINKS_OF  5u

/** The world as the nucleus has it; index: slot. */
static struct {
    bool published;
    char access[LINK_ACCESS_MAX];
    bool stranger; /* not the district that links to it knew */
    struct side {
        bool there;
        struct link_line line;
        unsigned asked; /* how often the broker has answered for it */
    } link[LINKS_OF];
} world[DISTRICTS + 1];

static unsigned short_of_memory; /* so many links cannot be established at first */
static unsigned found; /* slot of the district whose key is in the broker's hands, 0: none */

static int64_t links(unsigned slot, struct message *m)
{
    uint64_t i = m->word[0];

    while (i < LINKS_OF && !world[slot].link[i].there) {
        i++;
    }
    if (i >= LINKS_OF) { /* unnamed ones follow */
        m->word[0] = LINK_NAMED_MAX;
        return m->code = BW_OK;
    }
    m->word[0] = i;
    ck_assert_uint_ge(m->size, sizeof(struct link_line));
    memcpy(m->buffer, &world[slot].link[i].line, sizeof(struct link_line));
    return m->code = BW_OK;
}

static int64_t published(unsigned slot, struct message *m)
{
    ck_assert_uint_eq(m->length, 4);
    ck_assert(memcmp(m->string, "name", 4) == 0);
    if (!world[slot].published) {
        return m->code = BW_ABSENT;
    }
    found = slot;
    m->length = LINK_ACCESS_MAX - 1;
    memcpy(m->buffer, world[slot].access, m->length);
    return m->code = BW_OK;
}

static int64_t answer(unsigned slot, struct message *m)
{
    struct side *s = &world[slot].link[m->word[0]];

    ck_assert_uint_lt(m->word[0], LINKS_OF);
    ck_assert(s->there && m->word[1] == s->line.version);
    ck_assert(s->line.wanted && s->line.state == LINK_SEVERED);
    s->asked++;
    if (m->send[0] == 0) {
        s->line.reason = (uint32_t)m->word[2];
        return m->code = BW_OK;
    }
    ck_assert_uint_ne(found, 0);
    if (world[found].stranger) {
        return m->code = BW_REFUSED;
    }
    ck_assert_str_eq(registry_entry(found)->name, s->line.district);
    if (short_of_memory > 0) {
        short_of_memory--;
        return m->code = BW_NOMEM;
    }
    s->line.state = LINK_LIVE;
    return m->code = BW_OK;
}

int64_t bw_call(uint16_t key, struct message *m)
{
    for (unsigned slot = 1; slot <= DISTRICTS; slot++) {
        if (key != KEY_DISTRICT_OF(slot)) {
            continue;
        }
        ck_assert(registry_entry(slot)->running);
        return m->code == DISTRICT_LINKS       ? links(slot, m)
               : m->code == DISTRICT_PUBLISHED ? published(slot, m)
               : m->code == DISTRICT_LINK      ? answer(slot, m)
                                               : BW_ORDER;
    }
    ck_abort_msg("a call to nobody");
    return BW_VOID;
}

bw_time_t bw_monotonic(void)
{
    return 1000;
}

void bw_drop_key(uint16_t place)
{
    (void)place;
    found = 0;
}

static bool chance(int percent)
{
    return random() % 100 < percent;
}

static void set_up(void)
{
    memset(world, 0, sizeof(world));
    for (unsigned slot = 1; slot <= DISTRICTS; slot++) {
        struct entry *e = registry_entry(slot);

        memset(e, 0, sizeof(*e));
        e->known = true;
        e->running = chance(80);
        snprintf(e->name, sizeof(e->name), "d%u", slot);
        world[slot].published = chance(70);
        world[slot].stranger = chance(10);
        for (unsigned o = 1; o <= DISTRICTS; o++) {
            if (chance(60)) {
                snprintf(world[slot].access + strlen(world[slot].access), 8, " d%u", o);
            }
        }
        if (chance(10)) {
            strcpy(world[slot].access, "*");
        }
        for (unsigned i = 0; i < LINKS_OF; i++) {
            struct link_line *line = &world[slot].link[i].line;

            world[slot].link[i].there = chance(80);
            snprintf(line->district, sizeof(line->district), "d%u",
                     1 + (unsigned)random() % (DISTRICTS + 1));
            strcpy(line->name, "name");
            line->version = (uint32_t)random();
            line->wanted = chance(80);
            line->state = chance(70) ? LINK_SEVERED : LINK_LIVE;
            line->reason = 99;
        }
    }
}

/** What must become of a link, said once more and plainly. */
static uint32_t expected(unsigned holder, const struct link_line *line)
{
    unsigned peer = (unsigned)(line->district[1] - '0');
    char word[8], list[LINK_ACCESS_MAX + 2];

    if (peer > DISTRICTS || !registry_entry(peer)->running) {
        return LINK_NO_DISTRICT;
    }
    if (!world[peer].published) {
        return LINK_NO_NAME;
    }
    snprintf(word, sizeof(word), " d%u ", holder);
    snprintf(list, sizeof(list), " %s ", world[peer].access);
    if (!strstr(list, word) && !strstr(list, " * ")) {
        return LINK_REFUSED;
    }
    return world[peer].stranger ? LINK_STRANGER : LINK_OPENED;
}

START_TEST(each_link_gets_its_answer)
{
    srandom((unsigned)_i);
    set_up();
    for (unsigned slot = 1; slot <= DISTRICTS; slot++) {
        for (unsigned i = 0; i < LINKS_OF; i++) {
            world[slot].link[i].line.connection = world[slot].link[i].line.state;
        }
    }
    broker_run();
    for (unsigned slot = 1; slot <= DISTRICTS; slot++) {
        for (unsigned i = 0; i < LINKS_OF; i++) {
            const struct side *s = &world[slot].link[i];
            bool waited = s->there && s->line.wanted && s->line.connection == LINK_SEVERED &&
                          registry_entry(slot)->running;

            ck_assert_uint_eq(s->asked > 0, waited);
            if (!waited) {
                continue;
            }
            uint32_t why = expected(slot, &s->line);
            if (why == LINK_OPENED) {
                ck_assert_uint_eq(s->line.state, LINK_LIVE);
            } else {
                ck_assert_uint_eq(s->line.state, LINK_SEVERED);
                ck_assert_uint_eq(s->line.reason, why);
            }
        }
    }
}
END_TEST

/** What fails for lack of memory is tried again, though nobody posts. */
START_TEST(tried_again)
{
    unsigned rounds = 0;

    srandom((unsigned)_i);
    set_up();
    broker_post();
    short_of_memory = 7;
    while (broker_due() != BW_NO_DEADLINE) {
        broker_run();
        ck_assert_uint_le(++rounds, 8);
    }
    for (unsigned slot = 1; slot <= DISTRICTS; slot++) {
        for (unsigned i = 0; i < LINKS_OF; i++) {
            const struct side *s = &world[slot].link[i];

            if (registry_entry(slot)->running && s->there && s->line.wanted &&
                expected(slot, &s->line) == LINK_OPENED) {
                ck_assert_uint_eq(s->line.state, LINK_LIVE);
            }
        }
    }
}
END_TEST

START_TEST(access_lists)
{
    static const struct {
        const char *access, *district;
        bool allowed;
    } row[] = {
        {"", "a", false},   {"a", "a", true},     {"ab", "a", false}, {"a", "ab", false},
        {"b a", "a", true}, {"b  a ", "a", true}, {" a", "a", true},  {"*", "a", true},
        {"b *", "a", true}, {"**", "a", false},   {"a*", "a", false}, {"b c", "a", false},
        {"a", "", false},   {" ", "", false},     {"", "", false},    {"ba ab", "a", false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_msg(access_allows(row[i].access, row[i].district) == row[i].allowed,
                      "'%s' and '%s'", row[i].access, row[i].district);
    }
}
END_TEST

START_TEST(names_of_districts)
{
    static const struct {
        const char *name;
        bool valid;
    } row[] = {
        {"a", true},
        {"my-district.2_x", true},
        {"", false},
        {"-a", false},
        {".", false},
        {"a b", false},
        {"*", false},
        {"a/b", false},
        {"a\x1b[2J", false},
        {"a\nb", false},
        {"\xc3\xa4", false},
        {"0123456789012345678901234567890", true},
        {"01234567890123456789012345678901", false},
    };

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        ck_assert_msg(registry_name_valid(row[i].name) == row[i].valid, "'%s'", row[i].name);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker");
    TCase *t = tcase_create("broker");

    tcase_add_loop_test(t, each_link_gets_its_answer, 0, 200);
    tcase_add_loop_test(t, tried_again, 0, 20);
    tcase_add_test(t, access_lists);
    tcase_add_test(t, names_of_districts);
    suite_add_tcase(s, t);
    return run_suite(s);
}
