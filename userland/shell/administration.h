/*
 * What the shell asks districtd and the store servers (admin.h).
 */
#ifndef SHELL_ADMINISTRATION_H
#define SHELL_ADMINISTRATION_H

#include <stdbool.h>
#include <bailiwick/admin.h>
#include <bailiwick/link.h>
#include <bailiwick/runtime.h>

/** @return false: districtd has failed for good, and each request gives BW_VOID */
bool admin_works(void);
/** The line of the index-th district. @return false behind the last */
bool admin_line(unsigned index, struct district_line *line);
/** The same for the first one; shortly after the start of the machine, or of districtd, it waits. */
bool admin_first(struct district_line *line);
/** Waits until districtd knows of all districts that run, if it has just been started. */
void admin_settle(void);
/** The line of a district by name; waits like that. @return false:
 * unknown */
bool admin_find(const char *name, struct district_line *line);
/** The same without waiting. */
bool admin_find_now(const char *name, struct district_line *line);
/** Sends districtd an order about a district, with the words in *m, which then has the answer. line
 * may be NULL. @return the result */
int64_t admin_order(enum districts_order order, const char *name, struct message *m,
                    struct district_line *line);
/** A kept generation: the first with that number or a higher one. @param held with what only it
 * holds @return false: there is none */
bool admin_generation(const char *name, uint64_t number, bool held, struct generation_line *g);
/** A link of a running district: the first with that index or a higher one, which is set. @return
 * BW_OK, BW_ABSENT behind the last, BW_REFUSED: not running */
int64_t admin_link(const char *name, uint64_t *index, struct link_line *line);
/** The first event with that number or a higher one. @return false: there is none */
bool admin_event(uint64_t number, struct event *e);
/** Sends an order, with one word, to the store server of a district. @return the result */
int64_t admin_store(const char *name, enum store_order order, struct message *m);
/** The line of the index-th disk that has a store server. @return false behind the last */
bool admin_disk(unsigned index, struct disk_line *line);
#define DISK_NAME_SIZE 24u
/** What a disk is called: "disk0", or its third partition (which block.h numbers 300) "disk0p3". */
const char *admin_disk_name(char name[DISK_NAME_SIZE], uint64_t number);
/** Sends an order to the store server of a disk. @return the result */
int64_t admin_at_disk(uint64_t number, enum store_order order, struct message *m);
/** Lets the terminal show a session until the user leaves. @return enum console_detached, or < 0 */
int64_t admin_attach(uint64_t session);
/** Asks the "power" server. Returns only if it fails. */
int64_t admin_power(uint64_t order);
/** A result in words, for the user. */
const char *admin_reason(int64_t result);
/** The same of an order to the store server of a district, which may have said more: of a store
 * that it cannot use, or must not write to yet (BW_RIGHTS). Good until the next one. */
const char *admin_store_reason(const char *name, int64_t result);

#endif
