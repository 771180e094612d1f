// sources: ../../userland/supervisor/policy.c
/*
 * The table of who may do what in the commons, and its patterns.
 */
#include <check.h>
#include <string.h>
#include <supervisor.h>

START_TEST(patterns_name_whole_words)
{
    ck_assert(policy_allows("console serial", "console", 0));
    ck_assert(policy_allows("console serial", "serial", 0));
    ck_assert(!policy_allows("console serial", "consoles", 0));
    ck_assert(!policy_allows("console serial", "seria", 0));
    ck_assert(!policy_allows("console serial", "console serial", 0));
    ck_assert(!policy_allows("console", "", 0));
    ck_assert(!policy_allows("", "console", 0));
    ck_assert(!policy_allows(NULL, "console", 0));
}
END_TEST

START_TEST(numbers_are_the_programs_own)
{
    ck_assert(policy_allows("clock store*", "store0", 7));
    ck_assert(policy_allows("store* clock", "store63", 0));
    ck_assert(!policy_allows("store*", "store", 0));
    ck_assert(!policy_allows("store*", "stores", 0));
    ck_assert(!policy_allows("store*", "store1x", 0));
    ck_assert(!policy_allows("store*", "disk1", 0));
    ck_assert(policy_allows("disk#", "disk0", 0));
    ck_assert(policy_allows("clock disk#", "disk12", 12));
    ck_assert(!policy_allows("disk#", "disk1", 12));
    ck_assert(!policy_allows("disk#", "disk12", 1));
    ck_assert(!policy_allows("disk#", "disk", 0));
    ck_assert(!policy_allows("disk#", "disk01", 1));
    ck_assert(!policy_allows("disk#", "dis", 0));
    ck_assert(!policy_allows("disk#", "disk#", 0));
}
END_TEST

/* Only these may hold the machine; all names that are sought are published by somebody. */
START_TEST(authority_is_as_intended)
{
    static const char trusted[] = "clock power pci districtd virtio_blk ata entropy stored";

    for (unsigned n = 0; n < policies_count; n++) {
        const struct policy *p = &policies[n];

        for (unsigned g = 0; g < GRANTS_MAX; g++) {
            if (p->grants[g].kind == GRANT_NUCLEUS) {
                ck_assert_msg(policy_allows(trusted, p->program, 0), "%s", p->program);
            }
        }
        ck_assert_ptr_eq(policy_find(p->program), p);
        ck_assert_uint_le(p->class, 1);
    }
    ck_assert_ptr_null(policy_find("bank"));
}
END_TEST

/* Whether one of the blank-separated words of `list` is that pattern. */
static bool lists(const char *list, const char *pattern, size_t length)
{
    while (list && *list) {
        size_t n = strcspn(list, " ");

        /* 'store*' is what 'store#' publishes, whichever it is */
        if (n == length && strncmp(list, pattern, length - 1) == 0 &&
            (list[n - 1] == pattern[length - 1] ||
             (list[n - 1] == '#' && pattern[length - 1] == '*') ||
             (list[n - 1] == '*' && pattern[length - 1] == '#'))) {
            return true;
        }
        list += n + strspn(list + n, " ");
    }
    return false;
}

static void is_published(const char *pattern, size_t length)
{
    for (unsigned n = 0; n < policies_count; n++) {
        if (lists(policies[n].publish, pattern, length)) {
            return;
        }
    }
    ck_abort_msg("nobody publishes %.*s", (int)length, pattern);
}

START_TEST(what_is_sought_is_published)
{
    for (unsigned n = 0; n < policies_count; n++) {
        const char *pattern = policies[n].find;

        while (pattern && *pattern) {
            size_t length = strcspn(pattern, " ");

            is_published(pattern, length);
            pattern += length + strspn(pattern + length, " ");
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commons policy");
    TCase *tests = tcase_create("policy");

    tcase_add_test(tests, patterns_name_whole_words);
    tcase_add_test(tests, numbers_are_the_programs_own);
    tcase_add_test(tests, authority_is_as_intended);
    tcase_add_test(tests, what_is_sought_is_published);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
