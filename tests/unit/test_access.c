// sources: ../../userland/unix/access.c
/*
 * Access lists of published sockets: which line decides, and who is in it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "access.h"

static bool allows(const char *lists, const char *path, const char *district)
{
    /* Exactly as long as it is: the sanitizers see what is read beyond. */
    size_t n = strlen(lists);
    char *copy = malloc(n ? n : 1);
    bool result;

    memcpy(copy, lists, n);
    result = access_allows(copy, n, path, district);
    free(copy);
    return result;
}

START_TEST(the_first_line_that_names_it_decides)
{
    const char *lists = "# socket  districts\n"
                        "chat  shop\tmarket # and nobody else\n"
                        "\n"
                        "  open  *\r\n"
                        "closed\n"
                        "*  bank\n"
                        "late  shop";

    ck_assert(allows(lists, "chat", "shop"));
    ck_assert(allows(lists, "chat", "market"));
    ck_assert(!allows(lists, "chat", "bank"));
    ck_assert(!allows(lists, "chat", "nobody"));
    ck_assert(allows(lists, "open", "anybody"));
    ck_assert(!allows(lists, "closed", "bank"));
    ck_assert(allows(lists, "else", "bank"));
    ck_assert(!allows(lists, "late", "shop"));
}
END_TEST

START_TEST(nothing_is_allowed_that_no_line_allows)
{
    ck_assert(!allows("", "chat", "shop"));
    ck_assert(!allows("\n\n#* *\n", "chat", "shop"));
    ck_assert(!allows("chat", "chat", "shop"));
    ck_assert(!allows("cha shop\nchatt shop\n", "chat", "shop"));
    ck_assert(!allows("chat sho shopp\n", "chat", "shop"));
    ck_assert(allows("chat shop", "chat", "shop"));
    ck_assert(!allows("chat#* shop", "chat", "shop"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access");
    TCase *tests = tcase_create("access");

    tcase_add_test(tests, the_first_line_that_names_it_decides);
    tcase_add_test(tests, nothing_is_allowed_that_no_line_allows);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
