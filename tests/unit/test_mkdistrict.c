// sources: ../../store ../crash/model.h ../../mkdistrict/words.c ../../mkdistrict/builder.c
// sources: ../../mkdistrict/tree.c ../../mkdistrict/tar.c ../../mkdistrict/progress.c
// sources: ../../mkdistrict/check_district.c ../../mkdistrict/check_filetree.c
// sources: ../../mkdistrict/locks.c
// libs: archive
/*
 * mkdistrict's parts: what the user writes, keys and segments, and file trees from archives, which
 * the program's own check must find in order.
 */
#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#undef fail /* Check has a macro of that name */

#include "../../mkdistrict/mkdistrict.h"
#include "../crash/model.h"

static jmp_buf failed;
static char message[512];

void fail(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    longjmp(failed, 1);
}

void *allocate(size_t size)
{
    return calloc(1, size);
}

/* --- words ------------------------------------------------------------------------------------ */

START_TEST(sizes)
{
    uint64_t n;

    ck_assert(parse_size("256M", &n) && n == 256u << 20);
    ck_assert(parse_size("4G", &n) && n == 4ull << 30);
    ck_assert(parse_size("1.5k", &n) && n == 1536);
    ck_assert(parse_size("2TiB", &n) && n == 2ull << 40);
    ck_assert(parse_size("4096", &n) && n == 4096);
    ck_assert(!parse_size("", &n) && !parse_size("M", &n) && !parse_size("-1M", &n));
    ck_assert(!parse_size("1Q", &n) && !parse_size("1MM", &n) && !parse_size("0x10", &n));
    ck_assert(!parse_size("99999999999999999999T", &n) && !parse_size("1e3", &n));
}
END_TEST

START_TEST(intervals)
{
    uint64_t n;

    ck_assert(parse_interval("1s", &n) && n == 1000000000ull);
    ck_assert(parse_interval("500ms", &n) && n == 500000000ull);
    ck_assert(parse_interval("2min", &n) && n == 120000000000ull);
    ck_assert(parse_interval("2", &n) && n == 2000000000ull);
    ck_assert(parse_interval("never", &n) && n == 0);
    ck_assert(parse_interval("off", &n) && n == 0);
    ck_assert(parse_interval("0", &n) && n == 0);
    ck_assert(!parse_interval("5ms", &n) && !parse_interval("1 fortnight", &n));
    ck_assert(!parse_interval("", &n) && !parse_interval("-1s", &n));
}
END_TEST

START_TEST(commands_are_split_as_a_shell_would)
{
    char to[64];

    ck_assert_ptr_null(split_words("/bin/busybox sh", to, sizeof(to)));
    ck_assert_mem_eq(to, "/bin/busybox\0sh\0", 17);
    ck_assert_ptr_null(split_words("  a 'b c'  \"d\\\"e\" f\\ g '' ", to, sizeof(to)));
    ck_assert_mem_eq(to, "a\0b c\0d\"e\0f g\0\0", 16);
    ck_assert_ptr_nonnull(split_words("", to, sizeof(to)));
    ck_assert_ptr_nonnull(split_words("  ", to, sizeof(to)));
    ck_assert_ptr_nonnull(split_words("a 'b", to, sizeof(to)));
    ck_assert_ptr_nonnull(split_words("a\\", to, sizeof(to)));
    ck_assert_ptr_nonnull(split_words("a b c d e f", to, 8));
}
END_TEST

START_TEST(names)
{
    ck_assert_ptr_null(bad_name("my-district"));
    ck_assert_ptr_null(bad_name("a"));
    ck_assert_ptr_nonnull(bad_name(""));
    ck_assert_ptr_nonnull(bad_name("-x"));
    ck_assert_ptr_nonnull(bad_name("a b"));
    ck_assert_ptr_nonnull(bad_name("a/b"));
    ck_assert_ptr_nonnull(bad_name("12345678901234567890123456789012"));
}
END_TEST

/* --- keys ------------------------------------------------------------------------------------- */

START_TEST(ranges_are_exact)
{
    static const uint64_t counts[] = {1, 65536, 1ull << 40, (1ull << 60) - (1ull << 41)};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct key k = range_key(4711, counts[i]);

        ck_assert_uint_eq(k.value, 4711);
        ck_assert_uint_eq(key_range_count(k), counts[i]);
    }
}
END_TEST

/* --- file trees ------------------------------------------------------------------------------- */

struct fixture {
    struct memory_disk *disk;
    struct store *st;
    struct builder b;
    struct tree *t;
    struct key root;
};

static struct fixture fixture_new(void)
{
    struct store_format_params p = {.name = "x", .blocks = 4096};
    struct fixture f = {.disk = memory_disk_new(4096)};
    struct store_io io = memory_disk_io(f.disk);

    ck_assert_int_eq(store_format(&io, &p, &f.st), STORE_OK);
    ck_assert_int_eq(store_begin(f.st, 0), STORE_OK);
    return f;
}

static void fixture_end(struct fixture *f)
{
    tree_free(f->t);
    store_close(f->st);
    memory_disk_free(f->disk);
}

static uint64_t finish(struct fixture *f)
{
    f->root = tree_emit(f->t);
    ck_assert_int_eq(store_commit(f->st, 0, STORE_MADE_FORMAT), STORE_OK);
    return check_filetree(f->st, 0, f->root);
}

static struct inode *make(struct fixture *f, const char *path, uint32_t mode)
{
    const char *why = "";
    struct inode *i = tree_make(f->t, path, mode, &why);

    ck_assert_msg(i != NULL, "%s: %s", path, why);
    return i;
}

START_TEST(a_tree_is_in_order)
{
    struct fixture f = fixture_new();
    struct inode *i;
    char name[300], page[5000];
    const char *why;

    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    memset(page, 'x', sizeof(page));
    for (unsigned k = 0; k < 700; k++) { /* several inode pages and directory blocks */
        snprintf(name, sizeof(name), "dir/sub%u/a-file-with-quite-a-long-name-%u", k % 3, k);
        i = make(&f, name, S_IFREG | 0644);
        inode_attributes(i)->size = k % 5000;
        inode_write(f.t, i, 0, page, k % 5000);
        inode_finish(f.t, i);
    }
    memset(name, 'n', 255);
    name[255] = 0;
    make(&f, name, S_IFIFO | 0600);
    ck_assert_ptr_null(tree_link(f.t, "hard/link", "dir/sub0/a-file-with-quite-a-long-name-3"));
    ck_assert_ptr_nonnull(tree_link(f.t, "other", "not/there"));
    ck_assert_ptr_nonnull(tree_link(f.t, "other", "dir"));
    name[255] = 'n';
    name[256] = 0;
    ck_assert_ptr_null(tree_make(f.t, name, S_IFREG, &why));
    ck_assert_ptr_null(tree_make(f.t, "a/../../b", S_IFREG, &why));
    ck_assert_ptr_null(tree_make(f.t, "dir", S_IFREG, &why));
    ck_assert_ptr_null(tree_make(f.t, "dir/sub0/a-file-with-quite-a-long-name-3/x", S_IFREG, &why));
    ck_assert_uint_eq(finish(&f), 0);
    fixture_end(&f);
}
END_TEST

START_TEST(later_entries_replace_earlier_ones)
{
    struct fixture f = fixture_new();
    struct inode *i;

    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    for (unsigned k = 0; k < 3; k++) {
        i = make(&f, "etc/passwd", S_IFREG | 0644);
        inode_attributes(i)->size = 6;
        inode_write(f.t, i, 0, "hello\n", 6);
        inode_finish(f.t, i);
    }
    ck_assert_ptr_null(tree_link(f.t, "a", "etc/passwd"));
    make(&f, "etc/passwd", S_IFREG | 0600);
    make(&f, "a", S_IFDIR | 0700);
    ck_assert_uint_eq(finish(&f), 0);
    fixture_end(&f);
}
END_TEST

START_TEST(symbolic_links_are_followed_on_the_way)
{
    struct fixture f = fixture_new();
    struct inode *i;
    const char *why;

    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    make(&f, "usr/lib", S_IFDIR | 0755);
    i = make(&f, "lib", S_IFLNK | 0777);
    inode_target(i, "usr/lib");
    make(&f, "lib/libc.so", S_IFREG | 0644);
    ck_assert_ptr_nonnull(tree_lookup(f.t, "/usr/lib/libc.so"));
    i = make(&f, "loop", S_IFLNK | 0777);
    inode_target(i, "loop");
    ck_assert_ptr_null(tree_make(f.t, "loop/x", S_IFREG, &why));
    ck_assert_uint_eq(finish(&f), 0);
    fixture_end(&f);
}
END_TEST

static void add(struct archive *a, const char *path, mode_t mode, const char *link,
                const void *data, size_t n)
{
    struct archive_entry *e = archive_entry_new();

    archive_entry_set_pathname(e, path);
    archive_entry_set_mode(e, mode);
    archive_entry_set_size(e, (int64_t)n);
    archive_entry_set_mtime(e, 1000, 5);
    if (S_ISLNK(mode))
        archive_entry_set_symlink(e, link);
    else if (link)
        archive_entry_set_hardlink(e, link);
    if (S_ISCHR(mode)) {
        archive_entry_set_rdevmajor(e, 1);
        archive_entry_set_rdevminor(e, 3);
    }
    ck_assert_int_eq(archive_write_header(a, e), ARCHIVE_OK);
    if (n)
        ck_assert_int_eq(archive_write_data(a, data, n), n);
    archive_entry_free(e);
}

static void write_archive(const char *path, int filter)
{
    struct archive *a = archive_write_new();
    static char big[300000];
    char name[200];

    memset(big, 'b', sizeof(big));
    memset(big + 8192, 0, 65536); /* a hole */
    memset(name, 'y', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    archive_write_set_format_pax(a);
    archive_write_add_filter(a, filter);
    ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
    add(a, "./", S_IFDIR | 0711, NULL, NULL, 0);
    add(a, "./bin/sh", S_IFREG | 04755, NULL, big, sizeof(big));
    add(a, "./bin/ash", S_IFREG | 04755, "./bin/sh", NULL, 0);
    add(a, "./bin/link", S_IFLNK | 0777, "sh", NULL, 0);
    add(a, "./dev/null", S_IFCHR | 0666, NULL, NULL, 0);
    add(a, "./na\xc3\xafve", S_IFREG | 0644, NULL, "1", 1);
    add(a, name, S_IFREG | 0644, NULL, "2", 1);
    archive_write_close(a);
    archive_write_free(a);
}

START_TEST(archives_of_any_compression)
{
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                  ARCHIVE_FILTER_ZSTD};
    struct fixture f = fixture_new();
    char path[] = "/tmp/test-mkdistrict-XXXXXX";
    struct inode *i;

    close(mkstemp(path));
    write_archive(path, filters[_i]);
    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    if (setjmp(failed))
        ck_abort_msg("%s", message);
    tar_read(f.t, path);
    unlink(path);
    i = tree_lookup(f.t, "bin/ash");
    ck_assert_ptr_nonnull(i);
    ck_assert_uint_eq(inode_attributes(i)->links, 2);
    ck_assert_uint_eq(inode_attributes(i)->size, 300000);
    ck_assert_uint_eq(inode_attributes(i)->pages, 74 - 16);
    ck_assert_uint_eq(inode_attributes(i)->mode, S_IFREG | 04755);
    ck_assert_uint_eq(inode_attributes(i)->mtime, 1000000000005ull);
    ck_assert_ptr_eq(tree_lookup(f.t, "/bin/link"), i);
    ck_assert_uint_eq(inode_attributes(tree_lookup(f.t, "dev/null"))->rdev, 1 << 8 | 3);
    ck_assert_ptr_nonnull(tree_lookup(f.t, "na\xc3\xafve"));
    ck_assert_uint_eq(inode_attributes(tree_lookup(f.t, "/"))->mode, S_IFDIR | 0711);
    ck_assert_uint_eq(finish(&f), 0);
    fixture_end(&f);
}
END_TEST

START_TEST(a_cut_off_archive_is_refused)
{
    struct fixture f = fixture_new();
    char path[] = "/tmp/test-mkdistrict-XXXXXX";

    close(mkstemp(path));
    write_archive(path, ARCHIVE_FILTER_NONE);
    ck_assert_int_eq(truncate(path, 50000), 0);
    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    __lsan_disable(); /* the program would have ended */
    if (setjmp(failed) == 0) {
        tar_read(f.t, path);
        ck_abort_msg("it was taken");
    }
    __lsan_enable();
    unlink(path);
    ck_assert_ptr_nonnull(strstr(message, path));
    fixture_end(&f);
}
END_TEST

/* --- whole generations ------------------------------------------------------------------------ */

/** A district with one domain, its personality, and a file tree in which one inode is wrong.
 *  @return how many errors are found */
static uint64_t check_with(enum domain_state state, uint64_t monotonic)
{
    struct fixture f = fixture_new();
    union {
        struct system_page page;
        uint8_t bytes[BW_PAGE_SIZE];
    } system = {.page = {.magic = SYSTEM_MAGIC, .domain_places = 1, .monotonic = monotonic}};
    static union {
        struct domain_frame frame;
        uint8_t bytes[BW_PAGE_SIZE];
    } domain;
    oid_t list[BW_PAGE_SIZE / sizeof(oid_t)] = {1 << 19};
    struct inode *i;
    uint64_t errors;

    f.b = (struct builder){f.st, 1 << 20};
    f.t = tree_new(&f.b, 7);
    i = make(&f, "file", S_IFREG | 0644);
    inode_attributes(i)->size = 1;
    inode_write(f.t, i, 0, "x", 1);
    inode_finish(f.t, i);
    inode_attributes(i)->height++; /* as between the two steps of growing */
    f.root = tree_emit(f.t);
    domain.frame.state = (uint8_t)state;
    domain.frame.keys[KR_IMAGE_FILES] = f.root;
    domain.frame.keys[KR_IMAGE_METER] = make_key(KEY_METER, 0, 0, 0);
    builder_put(&f.b, OID_SYSTEM, OBJECT_PAGE, &system);
    builder_put(&f.b, OID_DOMAIN_LIST, OBJECT_PAGE, list);
    builder_put(&f.b, list[0], OBJECT_DOMAIN, &domain);
    ck_assert_int_eq(store_commit(f.st, 0, STORE_MADE_FORMAT), STORE_OK);
    errors = check_generation(f.st, 0);
    fixture_end(&f);
    return errors;
}

START_TEST(a_change_half_made_is_no_damage)
{
    ck_assert_uint_eq(check_with(DOMAIN_AVAILABLE, 1), 1);
    ck_assert_uint_eq(check_with(DOMAIN_RUNNING, 0), 1); /* it has never run */
    ck_assert_uint_eq(check_with(DOMAIN_RUNNING, 1), 0);
    ck_assert_uint_eq(check_with(DOMAIN_WAITING, 1), 0);
}
END_TEST

/* --- locks ------------------------------------------------------------------------------------ */

START_TEST(locks_fit_one_another)
{
    char path[] = "/tmp/test-mkdistrict-XXXXXX";
    int a = mkstemp(path), b = open(path, O_RDWR), c = open(path, O_RDWR), d = open(path, O_RDWR);

    ck_assert_ptr_null(lock_image(a, false));
    ck_assert_ptr_null(lock_image(b, false)); /* readers do not mind readers */
    ck_assert_ptr_nonnull(lock_image(c, true));
    close(a);
    close(b);
    close(c);
    ck_assert_ptr_null(lock_image(d, true));
    a = open(path, O_RDWR);
    ck_assert_ptr_nonnull(lock_image(a, false));
    close(a);
    close(d);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mkdistrict");
    TCase *t = tcase_create("mkdistrict");

    setlocale(LC_CTYPE, "C.UTF-8");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, sizes);
    tcase_add_test(t, intervals);
    tcase_add_test(t, commands_are_split_as_a_shell_would);
    tcase_add_test(t, names);
    tcase_add_test(t, ranges_are_exact);
    tcase_add_test(t, a_tree_is_in_order);
    tcase_add_test(t, later_entries_replace_earlier_ones);
    tcase_add_test(t, symbolic_links_are_followed_on_the_way);
    tcase_add_loop_test(t, archives_of_any_compression, 0, 4);
    tcase_add_test(t, a_cut_off_archive_is_refused);
    tcase_add_test(t, a_change_half_made_is_no_damage);
    tcase_add_test(t, locks_fit_one_another);
    suite_add_tcase(s, t);
    return run_suite(s);
}
