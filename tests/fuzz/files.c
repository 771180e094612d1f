/*
 * Target: the tools that show what is in a store, with anything in its blocks: --verify, --info,
 * ls, cat, get, dump, export.
 *
 * An input: 16 bytes of nothing, then patches (patch.c).
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "tools.h"

#define BLOCKS 400u

static char folder[64], path[96], copies[96];
static struct patched patched;

static int remove_one(const char *name, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(name);
}

static void remove_tree(const char *name)
{
    nftw(name, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void stop(void)
{
    remove_tree(folder);
}

/* --- the store to begin with ------------------------------------------------------------------ */

static void add_file(struct tree *t, const char *name, uint32_t mode, const char *text, uint64_t at)
{
    const char *why;
    struct inode *i = tree_make(t, name, mode, &why);

    if (!i)
        abort();
    if (S_ISLNK(mode))
        inode_target(i, text);
    inode_write(t, i, at, text, strlen(text));
    inode_finish(t, i);
}

static struct key make_tree(struct builder *b, struct tree *t)
{
    static char long_text[9000];
    const char *why;

    (void)b;
    memset(long_text, 'x', sizeof(long_text) - 1);
    if (!tree_make(t, "/folder/inner", S_IFDIR | 0755, &why))
        abort();
    add_file(t, "/short", S_IFREG | 0644, "a line\n", 0);
    add_file(t, "/folder/long", S_IFREG | 0600, long_text, 0);
    add_file(t, "/folder/inner/hole", S_IFREG | 0755, "behind a hole", 300 * BW_PAGE_SIZE);
    add_file(t, "/link", S_IFLNK | 0777, "folder/long", 0);
    add_file(t, "/folder/up", S_IFLNK | 0777, "../folder/inner", 0);
    if (tree_link(t, "/folder/second", "/short"))
        abort();
    return tree_emit(t);
}

static void make_district(struct store *st)
{
    struct builder b = {st, OID_FIRST_FREE}, ids = {st, OID_FIRST_FREE + 0x1000};
    struct tree *t = tree_new(&ids, 1000000000);
    struct domain_frame f = {.state = DOMAIN_AVAILABLE, .deadline = BW_NO_DEADLINE};
    oid_t list[BW_PAGE_SIZE / sizeof(oid_t)] = {0};
    union {
        struct system_page page;
        uint8_t bytes[BW_PAGE_SIZE];
    } system = {.page = {.magic = SYSTEM_MAGIC, .abi_version = 1, .domain_places = 1}};

    f.regs.rflags = 0x202;
    f.keys[KR_IMAGE_FILES] = make_tree(&b, t);
    f.keys[KR_IMAGE_METER] = (struct key){.type = KEY_METER, .tag = 2};
    f.keys[KR_RANGE] = range_key(OID_FIRST_FREE + 0x1000, 0x10000);
    list[0] = builder_id(&b);
    builder_put(&b, list[0], OBJECT_DOMAIN, &f);
    builder_put(&b, OID_DOMAIN_LIST, OBJECT_PAGE, list);
    builder_put(&b, OID_SYSTEM, OBJECT_PAGE, &system);
    tree_free(t);
}

static void make_store(void *ctx)
{
    struct store_format_params p = {.name = "fuzz", .blocks = BLOCKS};
    struct store_io io;
    struct store *st;

    (void)ctx;
    file_create(&making, path, BLOCKS * STORE_BLOCK, true);
    io = file_io(&making);
    if (store_format(&io, &p, &st) || store_begin(st, 0))
        abort();
    make_district(st);
    if (store_commit(st, 1, STORE_MADE_FORMAT))
        abort();
    store_close(st);
    file_finish(&making, true);
}

static void prepare(void)
{
    void *image;
    int fd;

    snprintf(folder, sizeof(folder), "%s/bailiwick-fuzz-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(path, sizeof(path), "%s/store", folder);
    snprintf(copies, sizeof(copies), "%s/copies", folder);
    if (mkdir(folder, 0700) || !freopen("/dev/null", "w", stdout))
        abort();
    atexit(stop);
    memory_begin();
    if (!tool_try(make_store, NULL))
        abort();
    fd = open(path, O_RDWR);
    image = mmap(NULL, BLOCKS * STORE_BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || image == MAP_FAILED)
        abort();
    close(fd);
    patch_init(&patched, image, BLOCKS);
}

/* --- every tool ------------------------------------------------------------------------------- */

static int command_verify(int argc, char **argv)
{
    (void)argc;
    return verify_file(argv[1], NULL, false);
}

static int command_info(int argc, char **argv)
{
    (void)argc;
    return show_info(argv[1]);
}

static void use(void)
{
    static const struct {
        int (*command)(int argc, char **argv);
        const char *words[6];
    } runs[] = {
        {command_verify, {"verify", path}},
        {command_info, {"info", path}},
        {command_ls, {"ls", path}},
        {command_ls, {"ls", "-l", path, "/folder"}},
        {command_cat, {"cat", path, "/short", "/folder/up/../long", "/link"}},
        {command_get, {"get", path, "/", copies}},
        {command_dump, {"dump", path}},
        {command_dump, {"dump", path, "generations"}},
        {command_dump, {"dump", path, "index"}},
        {command_dump, {"dump", path, "map"}},
        {command_dump, {"dump", path, "system"}},
        {command_dump, {"dump", path, "inode", "/folder"}},
        {command_dump, {"dump", path, "inode", "3"}},
        {command_dump, {"dump", path, "object", "8192"}},
        {command_export, {"export", path}},
    };

    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        memory_begin();
        tool_run(runs[i].command, runs[i].words);
        if (runs[i].command == command_get)
            remove_tree(copies);
    }
    memory_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!patched.bytes)
        prepare();
    if (size < 16)
        return 0;
    patch_apply(&patched, bytes + 16, size - 16);
    use();
    patch_restore(&patched);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t room)
{
    size_t size = room > 16 ? patch_seed(n, to + 16, room - 16) : 0;

    if (size == 0)
        return 0;
    memset(to, 0, 16);
    return 16 + size;
}
