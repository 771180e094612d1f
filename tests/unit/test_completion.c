// sources: ../../userland/shell/completion.c
/*
 * Completion in the shell: what each word of a line may become, by the usage lines of the commands.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "administration.h"
#include "commands.h"
#include "completion.h"

static const struct {
    const char *name, *arguments;
} commands[] = {
    {"districts", ""},
    {"drop", "NAME N"},
    {"restart", "NAME [--generation N]"},
    {"rollback", "NAME [N | --back K]"},
    {"autostart", "NAME [on|off]"},
    {"gated", "NAME [on|off]"},
    {"bond", "NAME NAME..."},
    {"unbond", "NAME [NAME]"},
    {"poweroff", "[--force]"},
    {"help", "[COMMAND]"},
    {"mkdistrict", "NAME DISK [--force]"},
};
static unsigned generations;

bool command_at(size_t index, const char **name, const char **arguments)
{
    if (index >= sizeof(commands) / sizeof(commands[0]))
        return false;
    *name = commands[index].name;
    *arguments = commands[index].arguments;
    return true;
}

bool admin_line(unsigned index, struct district_line *line)
{
    static const char *const names[] = {"alpha", "alpine", "beta", "beta"};

    memset(line, 0, sizeof(*line));
    if (index >= 4)
        return false;
    strcpy(line->name, names[index]);
    line->error = index == 3 ? BW_EXISTS : 0; /* a namesake */
    return true;
}

bool admin_disk(unsigned index, struct disk_line *line)
{
    static const uint32_t states[] = {DISK_IN_USE, DISK_FREE, DISK_OTHER, DISK_FREE};

    *line = (struct disk_line){.number = index, .state = index < 4 ? states[index] : 0};
    return index < 4;
}

const char *admin_disk_name(char name[DISK_NAME_SIZE], uint64_t number)
{
    snprintf(name, DISK_NAME_SIZE, "disk%u", (unsigned)number);
    return name;
}

bool admin_generation(const char *name, uint64_t number, bool held, struct generation_line *g)
{
    ck_assert_str_eq(name, "alpha");
    ck_assert(!held);
    g->number = number;
    return number < generations;
}

/** What the end of the text may become, joined by blanks. */
static void check_choice(const char *text, const char *expected)
{
    static char words[LINE_WORDS][LINE_WORD];
    char found[LINE_WORDS * LINE_WORD] = "";
    size_t cursor = strlen(text), start = cursor;
    size_t n;

    while (start > 0 && text[start - 1] != ' ')
        start--;
    n = completion(NULL, text, start, cursor, words);
    for (size_t i = 0; i < n; i++) {
        strcat(found, i ? " " : "");
        strcat(found, words[i]);
    }
    ck_assert_msg(strcmp(found, expected) == 0, "'%s': '%s', not '%s'", text, found, expected);
}

START_TEST(each_place_has_its_words)
{
    generations = 12;
    check_choice("mkdistrict new ", "disk1 disk3");
    check_choice("d", "districts drop");
    check_choice("  re", "restart");
    check_choice("x", "");
    check_choice("restart ", "alpha alpine beta --help");
    check_choice("restart al", "alpha alpine");
    check_choice("  restart   be", "beta");
    check_choice("restart alpha ", "--generation");
    check_choice("restart alpha --generation ", "0 1 2 3 4 5 6 7 8 9 10 11");
    check_choice("restart alpha --generation 1", "1 10 11");
    check_choice("restart alpha 1 ", "");
    check_choice("drop alpha 1", "1 10 11");
    check_choice("drop alpha 1 ", "");
    check_choice("rollback alpha -", "--back");
    check_choice("rollback alpha 1", "1 10 11");
    check_choice("rollback alpha --back ", "");
    check_choice("autostart beta ", "on off");
    check_choice("autostart beta of", "off");
    check_choice("gated beta o", "on off");
    check_choice("bond al", "alpha alpine");
    check_choice("bond alpha ", "alpha alpine beta");
    check_choice("bond alpha beta alp", "alpha alpine");
    check_choice("unbond alpha be", "beta");
    check_choice("poweroff ", "--force");
    check_choice("poweroff al", "");
    check_choice("help ro", "rollback");
    check_choice("nosuch ", "");
}
END_TEST

START_TEST(of_many_generations_the_newest_are_shown)
{
    static char words[LINE_WORDS][LINE_WORD];

    generations = 200;
    ck_assert_uint_eq(completion(NULL, "drop alpha ", 11, 11, words), LINE_WORDS);
    ck_assert_str_eq(words[LINE_WORDS - 1], "199");
    ck_assert_str_eq(words[0], "136");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("completion");
    TCase *tests = tcase_create("completion");

    tcase_add_test(tests, each_place_has_its_words);
    tcase_add_test(tests, of_many_generations_the_newest_are_shown);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
