// sources: fake_machine.h
/*
 * A district starts: the pages of its domain list and its domains are asked for, each once, in
 * whatever order they come, and all of its domains run then, however the list is full of holes.
 */
#include "fake_machine.h"
#include "link.h"

#define DOMAINS 200u
#define PLACES  (OID_DOMAIN_LIST_PAGES * 512u)

static oid_t list[PLACES];
static bool asked[OID_FIRST_FREE + DOMAINS];
static unsigned pages_asked, domains_asked;
static struct district *d;

static void new_district(uint32_t places)
{
    struct district_params p = {.generation = 5, .id = {1, 9}, .name = "old"};
    struct key k;
    memset(asked, 0, sizeof asked);
    pages_asked = domains_asked = 0;
    memset(districts, 0, sizeof districts);
    object_init(4096);
    district_init();
    ck_assert_int_eq(district_create(&p, &k), BW_OK);
    d = &districts[k.value];
    for (unsigned i = 0; i < DOMAINS; i++) { /* the last one in the last place */
        unsigned place = i + 1 < DOMAINS ? (unsigned)random() % places : places - 1;
        list[place] = OID_FIRST_FREE + i;
    }
}

/** The object that the store has under that id. */
static void supply(oid_t oid, uint32_t places)
{
    static _Alignas(BW_PAGE_SIZE) uint8_t bytes[BW_PAGE_SIZE];
    struct object_header h = {.oid = oid, .type = OBJECT_PAGE, .version = 1, .flags = OBJECT_BYTES};
    bool in_list = oid >= OID_DOMAIN_LIST && oid < OID_DOMAIN_LIST + OID_DOMAIN_LIST_PAGES;

    ck_assert(!asked[oid]);
    asked[oid] = true;
    memset(bytes, 0, sizeof bytes);
    if (oid == OID_SYSTEM) {
        struct system_page s = {
            .magic = SYSTEM_MAGIC, .abi_version = NUCLEUS_ABI_VERSION, .domain_places = places};
        memcpy(bytes, &s, sizeof s);
    } else if (in_list) {
        memcpy(bytes, &list[(oid - OID_DOMAIN_LIST) * 512], BW_PAGE_SIZE);
        pages_asked++;
    } else {
        ck_assert_uint_ge(oid, OID_FIRST_FREE);
        h.type = OBJECT_DOMAIN;
        domains_asked++;
    }
    ck_assert_int_eq(district_supply(d, &h, bytes), BW_OK);
}

/** Supplies one of the objects that are asked for, at random. */
static void supply_one(uint32_t places)
{
    unsigned n = (unsigned)random() % WANTS;
    while (d->wants[n].oid == 0)
        n = (n + 1) % WANTS;
    supply(d->wants[n].oid, places);
}

static unsigned listed(uint32_t places)
{
    unsigned n = 0;
    for (unsigned i = 0; i < places; i++)
        n += list[i] != 0;
    return n;
}

START_TEST(all_of_the_list_is_there)
{
    static const uint32_t sizes[] = {DOMAINS, 511, 512, 513, 5000, PLACES};
    uint32_t places = sizes[(unsigned)_i % 6];
    srandom((unsigned)_i);
    memset(list, 0, sizeof list);
    new_district(places);
    d->load_cursor = 0; /* DISTRICT_START */
    district_load(d);
    while (d->want_count > 0) {
        ck_assert_int_eq(d->state, DISTRICT_LOADING);
        supply_one(places);
    }
    ck_assert_int_eq(d->state, DISTRICT_RUNNING);
    ck_assert_uint_eq(pages_asked, (places + 511) / 512);
    ck_assert_uint_eq(domains_asked, listed(places));
    while (district_kill(d) == BW_AGAIN) {
    }
    ck_assert_uint_eq(frames_out, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load");
    TCase *t = tcase_create("load");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, all_of_the_list_is_there, 0, 30);
    suite_add_tcase(s, t);
    return run_suite(s);
}
