/*
 * Districts that a measuring program makes up.
 */
#include "supply.h"

#include <string.h>

struct supplied object;

void supply_open(void)
{
    struct message m = {.code = DOMAIN_MAKE_START, .word = {1}, .take = {KR_OWN}};

    must(bw_call(KEY_AT(KR_SELF), &m), "own start key");
}

void object_begin(oid_t oid, unsigned type)
{
    memset(&object, 0, sizeof object);
    object.header =
        (struct object_header){.oid = oid, .type = type, .version = 1, .flags = OBJECT_BYTES};
}

void supply(uint16_t district)
{
    struct message m = {.code = DISTRICT_SUPPLY, .string = &object};
    m.length = sizeof object.header + (object.header.flags & OBJECT_BYTES ? BW_PAGE_SIZE : 0);
    must(bw_call(district, &m), "supply");
}

struct key object_key(unsigned type, unsigned rights, unsigned height, oid_t oid)
{
    return (struct key){.type = (uint8_t)type,
                        .rights = (uint8_t)rights,
                        .tag = (uint16_t)height,
                        .version = 1,
                        .value = oid};
}

void district_new(uint16_t district, const char *name)
{
    struct district_params p = {.incarnation = 1};
    struct message m = {
        .code = NUCLEUS_DISTRICT, .string = &p, .length = sizeof p, .take = {district}};

    strcpy(p.name, name);
    p.id[0] = (uint8_t)name[0];
    must(bw_call(KR_NUCLEUS, &m), "district");
    m = (struct message){.code = DISTRICT_BIND, .send = {KR_OWN}};
    must(bw_call(district, &m), "bind");
}

static void supply_publications(uint16_t district, unsigned published)
{
    object_begin(OID_PUBLICATIONS, OBJECT_PAGE);
    for (unsigned i = 0; i < published; i++)
        object.publication[i] =
            (struct publication){.name = {(char)('a' + i)},
                                 .access = "*",
                                 .key = object_key(KEY_START, 0, 0, OID_DOMAINS + i)};
    supply(district);
}

void supply_system(uint16_t district, unsigned domains, unsigned published)
{
    object_begin(OID_SYSTEM, OBJECT_PAGE);
    object.system.magic = SYSTEM_MAGIC;
    object.system.abi_version = NUCLEUS_ABI_VERSION;
    object.system.domain_places = domains;
    object.system.publication_places = published;
    supply(district);
    for (unsigned first = 0; first < domains; first += 512) {
        object_begin(OID_DOMAIN_LIST + first / 512, OBJECT_PAGE);
        for (unsigned i = 0; i < 512 && first + i < domains; i++)
            object.oids[i] = OID_DOMAINS + first + i;
        supply(district);
    }
    if (published > 0)
        supply_publications(district, published);
}

void district_start(uint16_t district)
{
    struct message m = {.code = DISTRICT_START};
    must(bw_call(district, &m), "start");
}

void district_kill(uint16_t district)
{
    struct message m;
    do {
        m = (struct message){.code = DISTRICT_KILL};
    } while (bw_call(district, &m) == BW_AGAIN);
    must(m.code, "kill");
}
