/*
 * Expectations of a Linux program that looks at its system calls from inside a district.
 */
#ifndef TESTS_POSIX_H
#define TESTS_POSIX_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern int failures;
extern char buffer[1 << 20];

/** The expression holds. */
#define YES(e)                                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if (!(e)) {                                                                                \
            failures++;                                                                            \
            printf("%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #e, strerror(errno));           \
        }                                                                                          \
    } while (0)

/** The call fails with that error. */
#define ERROR(call, error)                                                                         \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long result_ = (long)(call);                                                               \
        if (result_ != -1 || errno != (error)) {                                                   \
            failures++;                                                                            \
            printf("%s:%d: %s gave %ld (%s), not %s\n", __FILE__, __LINE__, #call, result_,        \
                   strerror(errno), strerror(error));                                              \
        }                                                                                          \
    } while (0)

/** Runs `work` in a child. @return its pid */
pid_t child(int (*work)(void *), void *argument);
/** Waits for a child. @return its wait status */
int ended(pid_t pid);
/** A file with that content, opened for reading and writing. */
int file_with(const char *name, const char *text);

void check_data(void);
void check_names(void);
void check_descriptors(void);
void check_pipes(void);
void check_sockets(void);
void check_waits(void);
void check_locks(void);
void check_maps(void);
void check_devices(void);
void check_registers(void);

#endif
