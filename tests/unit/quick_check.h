/*
 * Included before each unit test.
 *
 * A check that holds costs nothing. Check would send a message to
 * its parent process for every one, which makes a test that compares a million values with a model
 * run for minutes. What is lost is the last good line in the report of a crash; the sanitizers
 * print where it was.
 */
#ifndef TESTS_QUICK_CHECK_H
#define TESTS_QUICK_CHECK_H

#include <check.h>

#define _mark_point(file, line) ((void)(file), (void)(line))

/** Runs the tests. @return the exit status of the program */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed != 0;
}

#endif
