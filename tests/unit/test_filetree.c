// sources: ../../userland/unix/filetree.c ../../userland/unix/filetree_directory.c
// sources: ../../userland/unix/filetree_names.c ../../userland/unix/file_io.c filetree_memory.c
/*
 * The file tree's logic over a backend in memory: data with holes, growth and truncation against a
 * plain model, directories, links, renaming, unlinking while open, and a store that is full at
 * every possible moment.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "filetree_memory.h"

/** Invariants 1 to 3 of filetree.h, for one inode. @return its data pages */
static uint64_t check_inode(uint32_t ino)
{
    const struct filetree_inode *n = &inodes[ino];
    uint64_t end = (n->size + PAGE - 1) / PAGE * PAGE, pages = 0;

    ck_assert_uint_eq(n->height, store.height[ino]);
    ck_assert(n->height == 0 || n->height == 1 || segment_span(n->height - 1) < n->size ||
              n->size == 0);
    for (uint64_t at = 0; n->height != 0 && n->height < 3 && at < segment_span(n->height);
         at += PAGE) {
        if (memory_present(ino, at, 0)) {
            ck_assert_uint_lt(at, end);
            pages++;
        }
    }
    if (n->height < 3) {
        ck_assert_uint_eq(pages, n->pages);
    }
    return n->pages;
}

static void check_all(void)
{
    uint64_t pages = 0;
    uint32_t free_count = 0;

    for (uint32_t i = 1; i < super.inodes; i++) {
        if (inodes[i].mode == 0) {
            ck_assert_uint_eq(store.height[i], 0);
            free_count++;
        }
        pages += check_inode(i);
    }
    ck_assert_uint_eq(pages, super.pages);
    ck_assert_uint_eq(free_count, super.free_count);
}

static uint32_t make(uint32_t dir, const char *name, uint32_t mode)
{
    long ino = filetree_make(dir, name, mode, 0);

    ck_assert_int_gt(ino, 0);
    return (uint32_t)ino;
}

static long look(uint32_t dir, const char *name)
{
    return directory_lookup(dir, name, strlen(name));
}

/* --- data --- */

START_TEST(writes_and_reads)
{
    uint32_t f = make(1, "f", S_IFREG | 0644);
    char out[16] = {0};

    ck_assert_int_eq(filetree_write_memory(f, 0, "hello", 5), 5);
    ck_assert_int_eq(filetree_write_memory(f, 3, "p!", 2), 2);
    ck_assert_int_eq(filetree_read_memory(f, 0, out, sizeof(out)), 5);
    ck_assert_str_eq(out, "help!");
    ck_assert_int_eq(filetree_read_memory(f, 5, out, 1), 0);
    ck_assert_int_eq(filetree_read_memory(f, UINT64_MAX, out, 1), 0);
    ck_assert_uint_eq(inodes[f].pages, 1);
    check_all();
}
END_TEST

START_TEST(holes_read_as_zeros)
{
    uint32_t f = make(1, "f", S_IFREG | 0644);
    uint64_t far = 10ull << 30;
    uint8_t out[64];

    ck_assert_int_eq(filetree_write_memory(f, far, "end", 3), 3);
    ck_assert_uint_eq(inodes[f].size, far + 3);
    ck_assert_uint_eq(inodes[f].pages, 1);
    ck_assert_uint_eq(inodes[f].height, 3);
    memset(out, 1, sizeof(out));
    ck_assert_int_eq(filetree_read_memory(f, far / 2, out, sizeof(out)), sizeof(out));
    for (unsigned i = 0; i < sizeof(out); i++) {
        ck_assert_uint_eq(out[i], 0);
    }
    ck_assert_int_eq(filetree_read_memory(f, far - 1, out, 4), 4);
    ck_assert_mem_eq(out, "\0end", 4);
    ck_assert_int_eq(filetree_truncate(f, 0), 0);
    ck_assert_uint_eq(inodes[f].height, 0);
    ck_assert_uint_eq(inodes[f].pages, 0);
}
END_TEST

START_TEST(largest_sizes)
{
    uint32_t f = make(1, "f", S_IFREG | 0644);

    ck_assert_int_eq(filetree_truncate(f, FILETREE_SIZE_MAX + 1), -EFBIG);
    ck_assert_int_eq(filetree_write_memory(f, FILETREE_SIZE_MAX, "x", 1), -EFBIG);
    ck_assert_int_eq(filetree_write_memory(f, UINT64_MAX - 1, "xxxx", 4), -EFBIG);
    ck_assert_int_eq(filetree_write_memory(f, FILETREE_SIZE_MAX - 1, "xy", 2), 1);
    ck_assert_uint_eq(inodes[f].size, FILETREE_SIZE_MAX);
    ck_assert_int_eq(filetree_truncate(f, 1), 0);
    ck_assert_uint_eq(inodes[f].height, 1);
    check_all();
}
END_TEST

START_TEST(growth_after_truncation_is_zero)
{
    uint32_t f = make(1, "f", S_IFREG | 0644);
    uint8_t out[PAGE];

    memset(out, 'x', sizeof(out));
    ck_assert_int_eq(filetree_write_memory(f, 0, out, PAGE), PAGE);
    ck_assert_int_eq(filetree_truncate(f, 10), 0);
    ck_assert_int_eq(filetree_truncate(f, PAGE), 0);
    ck_assert_int_eq(filetree_read_memory(f, 0, out, PAGE), PAGE);
    ck_assert_uint_eq(out[9], 'x');
    for (unsigned i = 10; i < PAGE; i++) {
        ck_assert_uint_eq(out[i], 0);
    }
}
END_TEST

#define MODEL (3u << 20)

START_TEST(random_data_against_a_model)
{
    static uint8_t model[MODEL], buffer[MODEL];
    uint32_t f = make(1, "f", S_IFREG | 0644);
    uint64_t size = 0;

    srand((unsigned)_i + 1);
    memset(model, 0, sizeof(model));
    for (int step = 0; step < 400; step++) {
        uint64_t at = (uint64_t)rand() % (MODEL - 200000);
        size_t n = (size_t)rand() % (rand() % 8 == 0 ? 200000 : 9000);
        int what = rand() % 8;

        if (what < 4) {
            for (size_t i = 0; i < n; i++) {
                buffer[i] = model[at + i] = (uint8_t)rand();
            }
            ck_assert_int_eq(filetree_write_memory(f, at, buffer, n), (long)n);
            size = n > 0 && at + n > size ? at + n : size;
        } else if (what == 4) {
            ck_assert_int_eq(filetree_truncate(f, at), 0);
            if (at < size) {
                memset(model + at, 0, (size_t)(size - at));
            }
            size = at;
        } else if (what == 5 && at < size) {
            ck_assert_int_eq(filetree_page(f, at / PAGE * PAGE, true, 0), 0);
        } else {
            long want = at >= size ? 0 : (long)(n < size - at ? n : size - at);

            ck_assert_int_eq(filetree_read_memory(f, at, buffer, n), want);
            ck_assert_mem_eq(buffer, model + at, (size_t)want);
        }
        ck_assert_uint_eq(inodes[f].size, size);
    }
    check_all();
    ck_assert_int_eq(filetree_unlink(1, "f"), 0);
    check_all();
}
END_TEST

START_TEST(a_fault_leaves_no_pages_behind)
{
    static uint8_t user[8 * PAGE];
    uint32_t f = make(1, "f", S_IFREG | 0644);
    struct io_part part;
    struct io io;

    fault_at = user + 2 * PAGE + 100;
    io_init_user(&io, &part, (uint64_t)(uintptr_t)user, sizeof(user));
    ck_assert_int_eq(filetree_write(f, 0, &io), 2 * PAGE);
    ck_assert_uint_eq(inodes[f].size, 2 * PAGE);
    ck_assert_uint_eq(inodes[f].pages, 2);
    fault_at = user;
    io_init_user(&io, &part, (uint64_t)(uintptr_t)user, sizeof(user));
    ck_assert_int_eq(filetree_write(f, 100 * PAGE, &io), -EFAULT);
    ck_assert_uint_eq(inodes[f].size, 2 * PAGE);
    check_all();
}
END_TEST

START_TEST(page_keys)
{
    uint32_t f = make(1, "f", S_IFREG | 0644);

    ck_assert_int_eq(filetree_truncate(f, 3 * PAGE + 1), 0);
    ck_assert_int_eq(filetree_page(f, 0, false, 0), -ENXIO);
    ck_assert_int_eq(filetree_page(f, 3 * PAGE, true, 0), 0);
    ck_assert_int_eq(filetree_page(f, 4 * PAGE, true, 0), -ENXIO);
    ck_assert_uint_eq(inodes[f].pages, 1);
    check_all();
}
END_TEST

/* --- names --- */

START_TEST(many_names)
{
    uint32_t d = make(1, "d", S_IFDIR | 0755);
    char name[260];

    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "file-with-a-long-name-%d-%0*d", i, i % 200 + 1, i);
        make(d, name, S_IFREG | 0600);
    }
    for (int i = 0; i < 400; i += 2) {
        snprintf(name, sizeof(name), "file-with-a-long-name-%d-%0*d", i, i % 200 + 1, i);
        ck_assert_int_eq(filetree_unlink(d, name), 0);
        ck_assert_int_eq(look(d, name), -ENOENT);
    }
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "file-with-a-long-name-%d-%0*d", i, i % 200 + 1, i);
        directory_forget(d);
        ck_assert(i % 2 == 0 ? look(d, name) == -ENOENT : look(d, name) > 0);
    }
    ck_assert_int_eq(filetree_rmdir(1, "d"), -ENOTEMPTY);
    check_all();
}
END_TEST

START_TEST(removal_while_listing)
{
    uint32_t d = make(1, "d", S_IFDIR | 0755), ino;
    char name[FILETREE_NAME_MAX + 1];
    uint64_t offset = 0;
    unsigned seen = 0;
    uint8_t type;

    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        make(d, name, S_IFREG | 0600);
    }
    while (directory_next(d, &offset, name, &ino, &type) > 0) {
        if (name[0] == '.') {
            ck_assert_uint_eq(type, S_IFDIR >> 12);
            continue;
        }
        ck_assert_uint_eq(type, S_IFREG >> 12);
        ck_assert_int_eq(filetree_unlink(d, name), 0);
        seen++;
    }
    ck_assert_uint_eq(seen, 300);
    ck_assert(directory_empty(d));
    ck_assert_int_eq(filetree_rmdir(1, "d"), 0);
    ck_assert_uint_eq(inodes[1].links, 2);
    check_all();
}
END_TEST

START_TEST(links_and_open_files)
{
    uint32_t f = make(1, "a", S_IFREG | 0644);
    char out[4] = {0};

    ck_assert_int_eq(filetree_link(1, "b", f), 0);
    ck_assert_int_eq(filetree_link(1, "b", f), -EEXIST);
    ck_assert_int_eq(filetree_link(1, "d", 1), -EPERM);
    ck_assert_uint_eq(inodes[f].links, 2);
    ck_assert_int_eq(filetree_unlink(1, "a"), 0);
    open_ino = f;
    ck_assert_int_eq(filetree_unlink(1, "b"), 0);
    ck_assert_uint_ne(inodes[f].mode, 0);
    ck_assert_int_eq(filetree_write_memory(f, 0, "abc", 3), 3);
    ck_assert_int_eq(filetree_read_memory(f, 0, out, 3), 3);
    ck_assert_str_eq(out, "abc");
    ck_assert_int_eq(filetree_link(1, "c", f), -ENOENT);
    open_ino = 0;
    filetree_forget(f);
    ck_assert_uint_eq(inodes[f].mode, 0);
    ck_assert_uint_eq(super.free_head, f);
    ck_assert_uint_eq(make(1, "again", S_IFREG), f);
    check_all();
}
END_TEST

START_TEST(names_that_cannot_be)
{
    char name[300];
    uint32_t f = make(1, "f", S_IFREG | 0644);

    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    ck_assert_int_eq(filetree_make(1, name, S_IFREG, 0), -ENAMETOOLONG);
    name[255] = '\0';
    ck_assert_int_gt(filetree_make(1, name, S_IFREG, 0), 0);
    ck_assert_int_gt(look(1, name), 0);
    ck_assert_int_eq(filetree_make(f, "x", S_IFREG, 0), -ENOTDIR);
    ck_assert_int_eq(look(f, "x"), -ENOTDIR);
    ck_assert_int_eq(filetree_rmdir(1, "f"), -ENOTDIR);
    ck_assert_int_eq(filetree_unlink(1, "nothing"), -ENOENT);
    make(1, "d", S_IFDIR | 0755);
    ck_assert_int_eq(filetree_unlink(1, "d"), -EISDIR);
}
END_TEST

START_TEST(a_removed_directory_takes_no_names)
{
    uint32_t d = make(1, "d", S_IFDIR | 0755);

    open_ino = d;
    ck_assert_int_eq(filetree_rmdir(1, "d"), 0);
    ck_assert_int_eq(filetree_make(d, "x", S_IFREG, 0), -ENOENT);
    open_ino = 0;
    filetree_forget(d);
    check_all();
}
END_TEST

START_TEST(symlinks)
{
    char target[5000], out[5000];

    memset(target, 't', sizeof(target));
    target[4095] = '\0';
    ck_assert_int_eq(filetree_symlink(1, "long", target), 0);
    ck_assert_int_eq(filetree_read_memory((uint32_t)look(1, "long"), 0, out, sizeof(out)), 4095);
    ck_assert_int_eq(filetree_symlink(1, "long", "x"), -EEXIST);
    check_all();
}
END_TEST

START_TEST(renaming)
{
    uint32_t a = make(1, "a", S_IFDIR | 0755), b = make(1, "b", S_IFDIR | 0755);
    uint32_t sub = make(a, "sub", S_IFDIR | 0755), f = make(1, "f", S_IFREG | 0644);
    uint32_t g = make(b, "g", S_IFREG | 0644);

    ck_assert_int_eq(filetree_rename(1, "a", sub, "x", false), -EINVAL);
    ck_assert_int_eq(filetree_rename(1, "a", a, "x", false), -EINVAL);
    ck_assert_int_eq(filetree_rename(1, "f", 1, "a", false), -EISDIR);
    ck_assert_int_eq(filetree_rename(1, "a", 1, "f", false), -ENOTDIR);
    ck_assert_int_eq(filetree_rename(a, "sub", 1, "b", false), -ENOTEMPTY);
    ck_assert_int_eq(filetree_rename(1, "none", 1, "b", false), -ENOENT);
    ck_assert_int_eq(filetree_rename(a, "sub", b, "sub", false), 0);
    ck_assert_int_eq(look(sub, ".."), b);
    ck_assert_uint_eq(inodes[a].links, 2);
    ck_assert_uint_eq(inodes[b].links, 3);
    ck_assert_int_eq(filetree_rename(1, "f", b, "g", false), 0);
    ck_assert_int_eq(look(b, "g"), f);
    ck_assert_uint_eq(inodes[g].mode, 0);
    ck_assert_int_eq(filetree_rename(b, "sub", 1, "a", false), 0); /* over an empty directory */
    ck_assert_int_eq(look(1, "a"), sub);
    ck_assert_int_eq(look(sub, ".."), 1);
    ck_assert_uint_eq(inodes[a].mode, 0);
    ck_assert_uint_eq(inodes[1].links, 4);
    ck_assert_uint_eq(inodes[b].links, 2);
    check_all();
}
END_TEST

START_TEST(exchanging)
{
    uint32_t a = make(1, "a", S_IFDIR | 0755), d = make(a, "d", S_IFDIR | 0755);
    uint32_t f = make(1, "f", S_IFREG | 0644);

    ck_assert_int_eq(filetree_rename(1, "f", 1, "none", true), -ENOENT);
    ck_assert_int_eq(filetree_rename(a, "d", 1, "f", true), 0);
    ck_assert_int_eq(look(a, "d"), f);
    ck_assert_int_eq(look(1, "f"), d);
    ck_assert_int_eq(look(d, ".."), 1);
    ck_assert_uint_eq(inodes[a].links, 2);
    ck_assert_int_eq(filetree_rename(1, "a", a, "d", true), -EINVAL);
    check_all();
}
END_TEST

START_TEST(same_name_twice)
{
    uint32_t f = make(1, "a", S_IFREG | 0644);

    ck_assert_int_eq(filetree_link(1, "b", f), 0);
    ck_assert_int_eq(filetree_rename(1, "a", 1, "b", false), 0);
    ck_assert_int_eq(look(1, "a"), f);
    ck_assert_int_eq(look(1, "b"), f);
    ck_assert_uint_eq(inodes[f].links, 2);
}
END_TEST

/** Names of each inode against its count of links; "." and ".." are names, too. */
static void check_links(void)
{
    static uint32_t names[INODES];
    char name[FILETREE_NAME_MAX + 1];
    uint32_t ino;
    uint8_t type;

    memset(names, 0, sizeof(names));
    for (uint32_t dir = 1; dir < super.inodes; dir++) {
        uint64_t offset = 0;

        while (S_ISDIR(inodes[dir].mode) && directory_next(dir, &offset, name, &ino, &type) > 0) {
            ck_assert_uint_ne(inodes[ino].mode, 0);
            ck_assert_uint_eq(type, (inodes[ino].mode & S_IFMT) >> 12);
            ck_assert_int_eq(look(dir, name), ino);
            names[ino]++;
        }
    }
    for (uint32_t i = 1; i < super.inodes; i++) {
        if (names[i] != inodes[i].links) {
            ck_abort_msg("inode %u has %u names, %u links", i, names[i], inodes[i].links);
        }
    }
}

/** A directory that is there: from the root down a random number of steps. */
static uint32_t random_directory(void)
{
    static const char *const steps[] = {"a", "b", "c", "d"};
    uint32_t dir = FILETREE_ROOT_INODE;

    while (rand() % 3) {
        long next = look(dir, steps[rand() % 4]);

        if (next > 0 && S_ISDIR(inodes[next].mode)) {
            dir = (uint32_t)next;
        }
    }
    return dir;
}

START_TEST(random_names_keep_the_counts)
{
    srand((unsigned)_i + 1);
    for (int step = 0; step < 1000; step++) {
        char from[2] = {(char)('a' + rand() % 4), 0}, to[2] = {(char)('a' + rand() % 4), 0};
        uint32_t dir = random_directory(), other = random_directory();

        switch (rand() % 8) {
        case 0:
            filetree_make(dir, from, S_IFREG | 0644, 0);
            break;
        case 1:
        case 2:
            filetree_make(dir, from, S_IFDIR | 0755, 0);
            break;
        case 3:
            filetree_unlink(dir, from);
            break;
        case 4:
            filetree_rmdir(dir, from);
            break;
        case 5:
            filetree_rename(dir, from, other, to, rand() % 2);
            break;
        case 6:
            filetree_rename(dir, from, other, to, false);
            break;
        default:
            if (look(dir, from) > 0) {
                filetree_link(other, to, (uint32_t)look(dir, from));
            }
        }
        if (rand() % 20 == 0) {
            uint32_t was = open_ino;

            open_ino = random_directory();
            filetree_forget(was);
        }
        if (step % 20 == 0) {
            check_links();
        }
    }
    filetree_forget(open_ino);
    check_links();
    check_all();
}
END_TEST

/* --- a full store --- */

static int some_work(void)
{
    static uint8_t bytes[40 * PAGE];
    long d = filetree_make(1, "work", S_IFDIR | 0755, 0), f, r;

    if (d < 0) {
        return (int)d;
    }
    f = filetree_make((uint32_t)d, "file", S_IFREG | 0644, 0);
    if (f < 0) {
        return (int)f;
    }
    memset(bytes, 'b', sizeof(bytes));
    r = filetree_write_memory((uint32_t)f, 0, bytes, sizeof(bytes));
    if (r != (long)sizeof(bytes)) {
        return r < 0 ? (int)r : -ENOSPC;
    }
    r = filetree_write_memory((uint32_t)f, 300u << 20, bytes, 3 * PAGE);
    if (r != 3 * PAGE) {
        return r < 0 ? (int)r : -ENOSPC;
    }
    r = filetree_symlink((uint32_t)d, "link", "target");
    r = r == 0 ? filetree_rename((uint32_t)d, "file", 1, "moved", false) : r;
    r = r == 0 ? filetree_truncate((uint32_t)f, 5) : r;
    return (int)r;
}

START_TEST(full_at_every_moment)
{
    for (long left = 0;; left++) {
        int r;

        memory_tree_free();
        memory_tree_setup();
        store.left = left;
        r = some_work();
        if (r == 0) {
            ck_assert_int_gt(left, 40);
            return;
        }
        ck_assert_int_eq(r, -ENOSPC);
        for (uint32_t i = 1; i < super.inodes; i++) {
            ck_assert_uint_eq(inodes[i].height, store.height[i]);
        }
        store.left = -1;
        filetree_unlink(1, "moved");
        if (look(1, "work") > 0) {
            filetree_unlink((uint32_t)look(1, "work"), "file");
            filetree_unlink((uint32_t)look(1, "work"), "link");
            ck_assert_int_eq(filetree_rmdir(1, "work"), 0);
        }
        check_all();
        ck_assert_int_eq(store.objects, 2); /* the root directory's node and page */
    }
}
END_TEST

START_TEST(inodes_run_out)
{
    char name[16];
    long r = 0;
    int i;

    for (i = 0; r >= 0; i++) {
        snprintf(name, sizeof(name), "%d", i);
        r = filetree_make(1, name, S_IFREG, 0);
    }
    ck_assert_int_eq(r, -ENOSPC);
    ck_assert_uint_eq(super.inodes, INODES);
    ck_assert_int_eq(filetree_unlink(1, "7"), 0);
    ck_assert_int_gt(filetree_make(1, name, S_IFREG, 0), 0);
    check_all();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("filetree");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, memory_tree_setup, memory_tree_free);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, writes_and_reads);
    tcase_add_test(t, holes_read_as_zeros);
    tcase_add_test(t, largest_sizes);
    tcase_add_test(t, growth_after_truncation_is_zero);
    tcase_add_loop_test(t, random_data_against_a_model, 0, 8);
    tcase_add_test(t, a_fault_leaves_no_pages_behind);
    tcase_add_test(t, page_keys);
    tcase_add_test(t, many_names);
    tcase_add_test(t, removal_while_listing);
    tcase_add_test(t, links_and_open_files);
    tcase_add_test(t, names_that_cannot_be);
    tcase_add_test(t, a_removed_directory_takes_no_names);
    tcase_add_test(t, symlinks);
    tcase_add_test(t, renaming);
    tcase_add_test(t, exchanging);
    tcase_add_test(t, same_name_twice);
    tcase_add_loop_test(t, random_names_keep_the_counts, 0, 4);
    tcase_add_test(t, full_at_every_moment);
    tcase_add_test(t, inodes_run_out);
    suite_add_tcase(s, t);
    return run_suite(s);
}
