/*
 * execve: a new space from an ELF file or a script, with the first stack as the ABI wants it:
 *
 *   strings (arguments, environment, path, platform), 16 random bytes, auxiliary vector, NULL,
 *   environment pointers, NULL, argument pointers, argc  <- rsp, 16-byte aligned
 */
#include <stdlib.h>
#include <string.h>
#include <bailiwick/runtime.h>
#include "elf.h"
#include "process.h"

#define WORDS_SIZE_MAX (2u << 20)
#define WORDS_MAX      65536u
#define WORD_MAX       131072u
#define SCRIPT_LINE    256u
#define SCRIPT_DEPTH   4
#define EXEC_OBJECTS   24u           /* about so many a program takes when it starts */
#define HARDWARE       0x178bfbffull /* AT_HWCAP: CPUID 1 EDX of every x86-64 */

enum auxiliary {
    AT_NULL = 0,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_PLATFORM = 15,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_EXECFN = 31,
};

/* --- words ------------------------------------------------------------------------------------ */

static int words_grow(struct exec_words *w, size_t more)
{
    size_t capacity = w->capacity ? w->capacity : 4096;
    char *bigger;

    if (w->size + more > WORDS_SIZE_MAX) {
        return -E2BIG;
    }
    while (capacity < w->size + more) {
        capacity *= 2;
    }
    if (capacity == w->capacity) {
        return 0;
    }
    bigger = realloc(w->bytes, capacity);
    if (!bigger) {
        return -ENOMEM;
    }
    w->bytes = bigger;
    w->capacity = capacity;
    return 0;
}

int exec_words_add(struct exec_words *w, const char *word, size_t length)
{
    int error = words_grow(w, length + 1);

    if (error) {
        return error;
    }
    memcpy(w->bytes + w->size, word, length);
    w->bytes[w->size + length] = 0;
    w->size += length + 1;
    return 0;
}

/** Puts a word in front of the arguments. */
static int words_prepend(struct exec_words *w, const char *word)
{
    size_t length = strlen(word) + 1;
    int error = words_grow(w, length);

    if (error) {
        return error;
    }
    memmove(w->bytes + length, w->bytes, w->size);
    memcpy(w->bytes, word, length);
    w->size += length;
    w->argument_bytes += length;
    w->arguments++;
    return 0;
}

static void words_drop_first(struct exec_words *w)
{
    size_t length = strlen(w->bytes) + 1;

    memmove(w->bytes, w->bytes + length, w->size - length);
    w->size -= length;
    w->argument_bytes -= length;
    w->arguments--;
}

/** Reads one user string straight into the words. */
static int word_from_user(struct exec_words *w, uint64_t address)
{
    for (size_t total = 0; total < WORD_MAX;) {
        size_t step = PAGE - ((address + total) & (PAGE - 1));
        int error = words_grow(w, step + 1);
        size_t got;
        char *end;

        if (error) {
            return error;
        }
        got = space_read(current->process->space, w->bytes + w->size, address + total, step);
        end = memchr(w->bytes + w->size, 0, got);
        if (end) {
            w->size = (size_t)(end + 1 - w->bytes);
            return 0;
        }
        if (got < step) {
            return -EFAULT;
        }
        w->size += got;
        total += got;
    }
    return -E2BIG;
}

static int vector_from_user(struct exec_words *w, uint64_t vector, unsigned *count)
{
    for (*count = 0; vector; ++*count) {
        uint64_t pointer;
        int error = user_read(&pointer, vector + 8ull * *count, sizeof pointer);

        if (error || !pointer) {
            return error;
        }
        if (*count >= WORDS_MAX) {
            return -E2BIG;
        }
        error = word_from_user(w, pointer);
        if (error) {
            return error;
        }
    }
    return 0;
}

/* --- mapping ---------------------------------------------------------------------------------- */

static int map_segment(struct space *s, struct file *f, const struct elf_segment *g, uint64_t bias)
{
    uint64_t start = PAGE_FLOOR(g->address) + bias, file_end = g->address + g->file_size + bias;
    uint64_t mapped_end = g->file_size ? PAGE_CEIL(file_end) : start;
    uint64_t end = PAGE_CEIL(g->address + g->memory_size + bias);
    int error = 0;

    if (mapped_end > start) {
        error =
            area_map(s, start, mapped_end - start, g->prot, 0, f, NULL, PAGE_FLOOR(g->file_offset));
    }
    if (!error && end > mapped_end) {
        error = area_map(s, mapped_end, end - mapped_end, g->prot, 0, NULL, NULL, 0);
    }
    if (!error && g->memory_size > g->file_size && (g->prot & VM_WRITE) && file_end < mapped_end &&
        space_zero(s, file_end, mapped_end - file_end) != mapped_end - file_end) {
        return -ENOMEM;
    }
    return error;
}

static int map_plan(struct space *s, struct file *f, const struct elf_plan *plan, uint64_t bias)
{
    for (unsigned i = 0; i < plan->segments; i++) {
        int error = map_segment(s, f, &plan->segment[i], bias);

        if (error) {
            return error;
        }
    }
    return 0;
}

/** Reads the beginning of a program file. @return bytes or -errno */
static long read_beginning(struct file *f, void *to)
{
    if (!file_is_regular(f)) {
        return -EACCES;
    }
    if (!(file_mode(f) & 0111)) {
        return -EACCES;
    }
    return file_pread(f, to, ELF_HEADER_SIZE, 0);
}

static int map_interpreter(struct space *s, struct file *program, const struct elf_plan *plan,
                           uint64_t *base, uint64_t *entry)
{
    char path[ELF_INTERPRETER_MAX + 1] = {0};
    static uint8_t bytes[ELF_HEADER_SIZE];
    struct elf_plan own;
    struct file *f;
    long n = file_pread(program, path, plan->interpreter_size, plan->interpreter_offset);
    int error = n < 0 ? (int)n : file_open_exec(path, &f);

    if (error) {
        return error;
    }
    n = read_beginning(f, bytes);
    error = n < 0 ? (int)n : elf_plan(bytes, (size_t)n, file_size(f), &own);
    if (!error && own.fixed) {
        error = -ENOEXEC;
    }
    if (!error) {
        uint64_t place = area_place(s, 0, own.high - own.low);

        *base = place - own.low;
        *entry = own.entry + *base;
        error = place ? map_plan(s, f, &own, *base) : -ENOMEM;
    }
    file_release(f);
    return error;
}

/* --- the stack -------------------------------------------------------------------------------- */

struct stack {
    struct space *space;
    uint64_t
        *word; /* argc, pointers, auxiliary vector: built here, then written below the strings */
    size_t count;
};

static void push(struct stack *k, uint64_t value)
{
    k->word[k->count++] = value;
}

static void push_pair(struct stack *k, uint64_t type, uint64_t value)
{
    push(k, type);
    push(k, value);
}

/** Pointers to n strings that lie from `address` on. */
static void push_pointers(struct stack *k, const char *bytes, uint64_t address, unsigned n)
{
    while (n--) {
        size_t length = strlen(bytes) + 1;

        push(k, address);
        bytes += length;
        address += length;
    }
    push(k, 0);
}

static void push_auxiliary(struct stack *k, const struct elf_plan *plan, uint64_t bias,
                           uint64_t base, uint64_t random, uint64_t platform, uint64_t path)
{
    push_pair(k, AT_HWCAP, HARDWARE);
    push_pair(k, AT_PAGESZ, PAGE);
    push_pair(k, AT_CLKTCK, 100);
    push_pair(k, AT_PHDR, plan->headers ? plan->headers + bias : 0);
    push_pair(k, AT_PHENT, plan->header_size);
    push_pair(k, AT_PHNUM, plan->header_count);
    push_pair(k, AT_BASE, base);
    push_pair(k, AT_FLAGS, 0);
    push_pair(k, AT_ENTRY, plan->entry + bias);
    push_pair(k, AT_UID, 0);
    push_pair(k, AT_EUID, 0);
    push_pair(k, AT_GID, 0);
    push_pair(k, AT_EGID, 0);
    push_pair(k, AT_SECURE, 0);
    push_pair(k, AT_RANDOM, random);
    push_pair(k, AT_EXECFN, path);
    push_pair(k, AT_PLATFORM, platform);
    push_pair(k, AT_NULL, 0);
}

#define STACK_GAP_MAX 16384u /* in units of 16 bytes */
#define BRK_GAP_MAX   8192u  /* in pages */

static bool put(struct space *s, uint64_t to, const void *from, size_t n)
{
    return space_write(s, to, from, n) == n;
}

static int build_stack(struct exec_result *out, const struct exec_words *w, const char *path,
                       const struct elf_plan *plan, uint64_t bias, uint64_t base)
{
    static const char platform[] = "x86_64";
    struct stack k = {.space = out->space};
    uint8_t random[16];
    uint16_t gap; /* where the stack begins is random too: programs seed themselves with it */
    uint64_t path_at = STACK_TOP - 8 - (strlen(path) + 1);
    uint64_t platform_at = path_at - sizeof platform;
    uint64_t random_at = (platform_at - sizeof random) & ~15ull;
    uint64_t strings = random_at - w->size, sp;
    int error = -ENOMEM;

    k.word = malloc((w->arguments + w->environment + 64ull) * sizeof *k.word);
    if (!k.word) {
        return -ENOMEM;
    }
    push(&k, w->arguments);
    push_pointers(&k, w->bytes, strings, w->arguments);
    push_pointers(&k, w->bytes + w->argument_bytes, strings + w->argument_bytes, w->environment);
    push_auxiliary(&k, plan, bias, base, random_at, platform_at, path_at);
    random_bytes(random, sizeof random);
    random_bytes(&gap, sizeof gap);
    sp = strings - 16ull * (gap % STACK_GAP_MAX);
    sp = ((sp & ~15ull) - k.count * sizeof *k.word) & ~15ull;
    if (put(out->space, path_at, path, strlen(path) + 1) &&
        put(out->space, platform_at, platform, sizeof platform) &&
        put(out->space, random_at, random, sizeof random) &&
        put(out->space, strings, w->bytes, w->size) &&
        put(out->space, sp, k.word, k.count * sizeof *k.word)) {
        error = 0;
    }
    free(k.word);
    out->regs.rsp = sp;
    out->arguments = strings;
    out->arguments_end = strings + w->argument_bytes;
    out->environment_end = strings + w->size;
    return error;
}

/* --- loading ---------------------------------------------------------------------------------- */

static int load_elf(struct file *f, const struct elf_plan *plan, const char *path,
                    const struct exec_words *w, struct exec_result *out)
{
    uint64_t bias = plan->fixed ? 0 : PIE_BASE - plan->low, base = 0, entry = plan->entry + bias;
    struct space *s = space_new();
    uint32_t stack = VM_READ | VM_WRITE | (plan->executable_stack ? VM_EXEC : 0);
    int error;

    if (!s) {
        return -ENOMEM;
    }
    memset(out, 0, sizeof *out);
    out->space = s;
    error = area_map(s, STACK_TOP - STACK_SIZE, STACK_SIZE, stack, AREA_STACK, NULL, NULL, 0);
    if (!error) {
        error = map_plan(s, f, plan, bias);
    }
    if (!error && plan->interpreter_size) {
        error = map_interpreter(s, f, plan, &base, &entry);
    }
    if (!error) {
        uint16_t pages; /* as with the stack: an address that differs is all the seed some have */

        random_bytes(&pages, sizeof pages);
        s->brk_start = s->brk = plan->high + bias + BW_PAGE_SIZE * (pages % BRK_GAP_MAX);
        error = build_stack(out, w, path, plan, bias, base);
    }
    if (error) {
        space_release(s);
        return error;
    }
    out->regs.rip = entry;
    out->regs.rflags = 0x202;
    file_hold(f);
    out->executable = f;
    return 0;
}

/** Takes "#!interpreter argument" apart. @return 0, -ENOEXEC */
static int script_parse(char *line, char **interpreter, char **argument)
{
    char *end = line + strcspn(line, "\n");

    *end = 0;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) {
        *--end = 0;
    }
    *interpreter = line + 2 + strspn(line + 2, " \t");
    *argument = *interpreter + strcspn(*interpreter, " \t");
    if (**argument) {
        *(*argument)++ = 0;
        *argument += strspn(*argument, " \t");
    }
    return **interpreter ? 0 : -ENOEXEC;
}

static int load(const char *path, const char *shown, struct exec_words *w, struct exec_result *out,
                int depth);

static int load_script(const char *bytes, size_t n, const char *path, struct exec_words *w,
                       struct exec_result *out, int depth)
{
    char line[SCRIPT_LINE + 1] = {0}, *interpreter, *argument;
    int error;

    memcpy(line, bytes, n < SCRIPT_LINE ? n : SCRIPT_LINE);
    error = depth >= SCRIPT_DEPTH ? -ELOOP : script_parse(line, &interpreter, &argument);
    if (error) {
        return error;
    }
    if (w->arguments) {
        words_drop_first(w);
    }
    error = words_prepend(w, path);
    if (!error && *argument) {
        error = words_prepend(w, argument);
    }
    if (!error) {
        error = words_prepend(w, interpreter);
    }
    return error ? error : load(interpreter, interpreter, w, out, depth + 1);
}

static int load(const char *path, const char *shown, struct exec_words *w, struct exec_result *out,
                int depth)
{
    uint8_t *bytes = malloc(ELF_HEADER_SIZE);
    struct elf_plan *plan = malloc(sizeof *plan);
    struct file *f = NULL;
    int error = bytes && plan ? file_open_exec(path, &f) : -ENOMEM;
    long n = error ? error : read_beginning(f, bytes);

    if (n >= 2 && bytes[0] == '#' && bytes[1] == '!') {
        error = load_script((char *)bytes, (size_t)n, shown, w, out, depth);
    } else if (n >= 0) {
        error = elf_plan(bytes, (size_t)n, file_size(f), plan);
        if (!error) {
            error = load_elf(f, plan, shown, w, out);
        }
    } else {
        error = (int)n;
    }
    if (f) {
        file_release(f);
    }
    free(plan);
    free(bytes);
    return error;
}

int exec_load(const char *path, struct exec_words *w, struct exec_result *out)
{
    char name[sizeof out->name];
    const char *base = strrchr(path, '/');
    int error;

    if (!w->arguments) {
        error = words_prepend(w, "");
        if (error) {
            return error;
        }
    }
    memset(name, 0, sizeof name);
    strncpy(name, base ? base + 1 : path, sizeof name - 1);
    error = load(path, path, w, out, 0);
    if (!error) {
        memcpy(out->name, name, sizeof name);
    }
    return error;
}

static void domain_renew(struct thread *t)
{
    struct message m = {.code = DOMAIN_SET_SEGMENT,
                        .send = {machine_key(&t->process->space->root)}};

    bw_call(thread_key(t), &m);
    m = (struct message){.code = DOMAIN_SET_FPU};
    bw_call(thread_key(t), &m);
}

void exec_install(struct thread *t, struct exec_result *loaded)
{
    struct process *p = t->process;
    struct space *old = p->space;

    p->space = loaded->space;
    if (p->executable) {
        file_release(p->executable);
    }
    p->executable = loaded->executable;
    p->arguments = loaded->arguments;
    p->arguments_end = loaded->arguments_end;
    p->environment_end = loaded->environment_end;
    memcpy(p->name, loaded->name, sizeof p->name);
    memcpy(t->name, loaded->name, sizeof t->name);
    domain_renew(t);
    if (old) {
        space_release(old);
    }
    t->regs = loaded->regs;
    t->clear_tid = t->robust_list = 0;
    t->stack_size = 0;
    p->did_exec = true;
    p->vfork_parent = NULL;
    wake_all(&p->vfork_queue);
}

/** The thread that calls execve takes over the process's pid; the others end. */
static void become_only_thread(struct thread *t)
{
    struct process *p = t->process;

    process_end_threads(p, t);
    process_name_thread(t->tid, NULL);
    t->tid = p->pid;
    process_name_thread(t->tid, t);
}

static int own_actions(struct process *p)
{
    struct signal_actions *own;

    if (p->actions->references == 1) {
        return 0;
    }
    own = signal_actions_new();
    if (!own) {
        return -ENOMEM;
    }
    memcpy(own->action, p->actions->action, sizeof own->action);
    signal_actions_release(p->actions);
    p->actions = own;
    return 0;
}

static long execute(const char *path, uint64_t argv, uint64_t envp)
{
    struct process *p = current->process;
    struct exec_words words = {0};
    struct exec_result loaded;
    int error = space_take(SPACE_PROCESS, EXEC_OBJECTS) ? 0 : -ENOMEM;

    if (!error) {
        error = vector_from_user(&words, argv, &words.arguments);
    }

    words.argument_bytes = words.size;
    if (!error) {
        error = vector_from_user(&words, envp, &words.environment);
    }
    if (!error) {
        error = own_actions(p);
    }
    if (!error) {
        error = exec_load(path, &words, &loaded);
    }
    free(words.bytes);
    if (error) {
        return error;
    }
    become_only_thread(current);
    exec_install(current, &loaded);
    signal_exec(p);
    files_exec(p->files);
    *user_regs = current->regs;
    return RESULT_REGISTERS;
}

CALL(execve)
{
    char *path = malloc(4096);
    long n = path ? user_read_string(path, a, 4096) : -ENOMEM;

    if (n >= 0) {
        n = *path ? execute(path, b, c) : -ENOENT;
    }
    free(path);
    return n;
}

CALL(execveat)
{
    char *path = malloc(4096);
    long n = path ? user_read_string(path, b, 4096) : -ENOMEM;

    if (n > 0 && (*path == '/' || (int)a == -100)) {
        n = execute(path, c, d);
    } else if (n == 0 && (e & 0x1000)) { /* AT_EMPTY_PATH: the descriptor itself */
        struct file *file = files_get(current->process->files, (int)a);

        n = file ? file_path(file, path, 4096) : -EBADF;
        if (n >= 0) {
            n = execute(path, c, d);
        }
    } else if (n >= 0) {
        n = -ENOENT;
    }
    free(path);
    return n;
}
