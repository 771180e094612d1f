/*
 * What musl's string, formatting and calendar functions ask for and would bring Linux system calls
 * with it. A native program has one thread, no files and no time zones, so there is nothing to lock
 * and the zone is always UTC.
 */
#include <time.h>

void __lock(volatile int *lock);
void __unlock(volatile int *lock);
int __lockfile(void *file);
void __unlockfile(void *file);
const char *__tm_to_tzname(const struct tm *tm);

const char __utc[] = "UTC";

void __lock(volatile int *lock)
{
    (void)lock;
}

void __unlock(volatile int *lock)
{
    (void)lock;
}

int __lockfile(void *file)
{
    (void)file;
    return 0;
}

void __unlockfile(void *file)
{
    (void)file;
}

const char *__tm_to_tzname(const struct tm *tm)
{
    (void)tm;
    return __utc;
}
