/*
 * Sockets whose other end is in another district, named "/district/NAME/PATH". Here such a socket
 * is one half of a pair like any other; the other half is held by this file, which moves its bytes
 * to and from a channel that the relay (relay/relay.c) carries. channels.h has the life of a
 * channel.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <bailiwick/image.h>
#include <bailiwick/runtime.h>
#include "access.h"
#include "channels.h"
#include "filetree.h"
#include "pipe.h"
#include "process.h"
#include "socket.h"

#define PREFIX    "/district/"
#define KEY_RELAY KEY_AT(KR_IMAGE_RELAY)

/** What only we know of a channel. */
static struct relayed {
    struct listener *listener; /* it listens */
    struct file *connecting;   /* the socket that connect() was called on */
    struct file *half;         /* it is connected: what is ours of the pair */
    struct wait_queue queue;   /* those who wait in connect() */
} relayed[CHANNELS];

static struct channels *const window = (struct channels *)IMAGE_WINDOW(4);
static unsigned in_use; /* channels with something in `relayed`, or not free yet */
static bool to_post, posted;

static struct channel *channel_of(unsigned c)
{
    return &window->channel[c];
}

static void set(uint32_t *field, uint32_t value)
{
    channel_store(field, value);
    to_post = true;
}

/** A district that was made before there were relays has none. */
static bool relay_there(void)
{
    struct message m = {.send = {KEY_RELAY}};

    bw_self(SELF_IDENTIFY, &m);
    return (m.word[0] & 255) == KEY_START;
}

bool relay_path(const char *path, char district[DISTRICT_NAME_MAX], char name[LINK_NAME_MAX])
{
    size_t n;

    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0) {
        return false;
    }
    path += strlen(PREFIX);
    n = strcspn(path, "/");
    if (n == 0 || n >= DISTRICT_NAME_MAX || path[n] == 0 || path[n + 1] == 0 ||
        strlen(path + n + 1) >= LINK_NAME_MAX) {
        return false;
    }
    memset(district, 0, DISTRICT_NAME_MAX);
    memset(name, 0, LINK_NAME_MAX);
    memcpy(district, path, n);
    memcpy(name, path + n + 1, strlen(path + n + 1));
    return true;
}

bool relay_is_here(const char *district)
{
    char own[DISTRICT_NAME_MAX + 1] = {0};
    struct message m = {.buffer = own, .size = DISTRICT_NAME_MAX};

    bw_self(SELF_DISTRICT, &m);
    return strcmp(own, district) == 0;
}

/** Takes a free channel. @return CHANNELS_OURS: there is none */
static unsigned take_channel(void)
{
    unsigned c = 0;

    while (c < CHANNELS_OURS && (relayed[c].listener != NULL || relayed[c].connecting != NULL ||
                                 relayed[c].half != NULL || channel_of(c)->want != WANT_NOTHING ||
                                 channel_load(&channel_of(c)->state) != CHANNEL_IDLE)) {
        c++;
    }
    in_use += c < CHANNELS_OURS;
    return c;
}

/* --- listening ----------------------------------------------------------------------------- */

static struct listener *listener_of(const char *name)
{
    for (unsigned c = 0; c < CHANNELS_OURS; c++) {
        if (relayed[c].listener != NULL && strncmp(channel_of(c)->name, name, LINK_NAME_MAX) == 0) {
            return relayed[c].listener;
        }
    }
    return NULL;
}

long relay_bind(struct listener *l, const char *district, const char *name)
{
    unsigned c;

    if (!relay_is_here(district) || !relay_there()) {
        return -EADDRNOTAVAIL;
    }
    if (listener_of(name) != NULL) {
        return -EADDRINUSE;
    }
    c = take_channel();
    if (c == CHANNELS_OURS) {
        return -EAGAIN;
    }
    memcpy(channel_of(c)->name, name, LINK_NAME_MAX);
    relayed[c].listener = l;
    l->channel = c + 1;
    return 0;
}

void relay_listen(struct listener *l)
{
    set(&channel_of(l->channel - 1)->want, WANT_LISTEN);
}

void relay_unbind(struct listener *l)
{
    relayed[l->channel - 1].listener = NULL;
    set(&channel_of(l->channel - 1)->want, WANT_DONE);
}

/** Reads /etc/district.allow. @return its length, -ENOENT: there is none; or why it cannot be used
 */
static long read_lists(char lists[ACCESS_MAX])
{
    long etc = directory_lookup((uint32_t)path_root().id, "etc", 3);
    long ino = etc < 0 ? etc : directory_lookup((uint32_t)etc, ACCESS_FILE, strlen(ACCESS_FILE));
    struct filetree_inode *n = ino < 0 ? NULL : filetree_inode((uint32_t)ino);

    if (n == NULL) {
        return ino < 0 ? ino : -EIO;
    }
    if (!S_ISREG(n->mode) || n->size > ACCESS_MAX) {
        return -EFBIG;
    }
    return filetree_read_memory((uint32_t)ino, 0, lists, n->size);
}

/** Whether a district may connect to a socket of ours: asked anew each time. */
static bool allowed(const char *name, const char *district)
{
    static char lists[ACCESS_MAX];
    long n = read_lists(lists);

    if (n == -ENOENT || n == -ENOTDIR) {
        return true;
    }
    return n >= 0 && access_allows(lists, (size_t)n, name, district);
}

static void refuse(unsigned c, int error)
{
    channel_of(c)->refusal = (uint32_t)error;
    set(&channel_of(c)->want, WANT_DONE);
}

/** Makes both halves of a connection that came in. */
static void take_incoming(unsigned c)
{
    struct channel *ch = channel_of(c);
    struct listener *l = ch->listener < CHANNELS_OURS ? relayed[ch->listener].listener : NULL;
    struct file *half, *other;

    in_use++;
    if (l == NULL || !l->listening) {
        refuse(c, ECONNREFUSED);
        return;
    }
    if (!allowed(channel_of(ch->listener)->name, ch->district)) {
        refuse(c, EACCES);
        return;
    }
    if (l->count > l->backlog) {
        refuse(c, EAGAIN);
        return;
    }
    half = file_new(&file_socket, O_RDWR, NULL);
    other = file_new(&file_socket, O_RDWR, NULL);
    if (half == NULL || other == NULL || socket_join(half, other) != 0 ||
        listener_add(l, other) != 0) {
        file_release(half);
        file_release(other);
        refuse(c, EAGAIN);
        return;
    }
    relayed[c].half = half;
    set(&ch->want, WANT_DATA);
}

/* --- connecting ----------------------------------------------------------------------------- */

/** connect() to a socket of this district that is named for others. */
static long connect_here(struct file *s, const char *name)
{
    struct listener *l = listener_of(name);
    struct file *other;

    if (l == NULL || !l->listening) {
        return -ECONNREFUSED;
    }
    if (l->count > l->backlog) {
        return s->flags & O_NONBLOCK ? -EAGAIN : wait_on(&l->queue, BW_NO_DEADLINE);
    }
    other = file_new(&file_socket, O_RDWR, NULL);
    if (other == NULL || socket_join(s, other) != 0 || listener_add(l, other) != 0) {
        file_release(other);
        return -ENOMEM;
    }
    return 0;
}

/** The handler runs again when the channel is open or has failed. */
static long wait_for_channel(struct file *s)
{
    if (s->flags & O_NONBLOCK) {
        return -EINPROGRESS;
    }
    return wait_on(relay_queue(s), BW_NO_DEADLINE);
}

long relay_connect(struct file *s, const char *district, const char *name)
{
    struct channel *ch;
    unsigned c;
    long error = s->pipe.error;

    if (s->pipe.in != NULL) {
        bool fresh = s->pipe.fresh;

        s->pipe.fresh = false;
        return fresh ? 0 : -EISCONN;
    }
    if (error != 0) { /* what became of it */
        s->pipe.error = 0;
        return -error;
    }
    if (s->pipe.channel != 0) {
        return s->flags & O_NONBLOCK ? -EALREADY : wait_for_channel(s);
    }
    if (relay_is_here(district)) {
        return connect_here(s, name);
    }
    c = relay_there() ? take_channel() : CHANNELS_OURS;
    if (c == CHANNELS_OURS) {
        return relay_there() ? -EAGAIN : -ECONNREFUSED;
    }
    ch = channel_of(c);
    memcpy(ch->district, district, DISTRICT_NAME_MAX);
    memcpy(ch->name, name, LINK_NAME_MAX);
    relayed[c].connecting = s;
    s->pipe.channel = c + 1;
    set(&ch->want, WANT_CONNECT);
    return wait_for_channel(s);
}

/** The relay has an answer for a socket. */
static void connected(unsigned c)
{
    struct relayed *r = &relayed[c];
    struct channel *ch = channel_of(c);
    struct file *s = r->connecting;
    int error = ch->state == CHANNEL_FAILED ? (int)ch->error : 0;

    r->connecting = NULL;
    s->pipe.channel = 0;
    if (error == 0) {
        r->half = file_new(&file_socket, O_RDWR, NULL);
        if (r->half == NULL || socket_join(s, r->half) != 0) {
            file_release(r->half);
            r->half = NULL;
            error = ENOMEM;
        }
    }
    s->pipe.fresh = error == 0;
    if (error != 0) { /* EAGAIN would mean to who polls that he is to poll again */
        s->pipe.error = error == EAGAIN && (s->flags & O_NONBLOCK) ? ECONNREFUSED : error;
        set(&ch->want, WANT_DONE);
    }
    wake_all(&r->queue);
}

void relay_forget(struct file *s)
{
    unsigned c = s->pipe.channel - 1;

    relayed[c].connecting = NULL;
    wake_all(&relayed[c].queue);
    set(&channel_of(c)->want, WANT_DONE);
}

unsigned relay_poll(const struct file *s)
{
    (void)s;
    return 0; /* not before the channel is open or has failed */
}

struct wait_queue *relay_queue(const struct file *s)
{
    return &relayed[s->pipe.channel - 1].queue;
}

/* --- bytes ----------------------------------------------------------------------------------- */

/** From the program to the channel. */
static void put_bytes(unsigned c, struct pipe *from)
{
    struct channel *ch = channel_of(c);

    while (ch->out_over == 0) {
        uint32_t head = ch->out_head, used = head - channel_load(&ch->out_tail);
        uint32_t at = head % CHANNEL_RING, n = CHANNEL_RING - at;
        struct io io;
        long r;

        if (used >= CHANNEL_RING) {
            return;
        }
        n = n < CHANNEL_RING - used ? n : CHANNEL_RING - used;
        io_init_memory(&io, window->out[c] + at, n);
        r = pipe_read(from, &io, true);
        if (r == 0) {
            set(&ch->out_over, 1);
        }
        if (r <= 0) {
            return;
        }
        set(&ch->out_head, head + (uint32_t)r);
    }
}

/** From the channel to the program. @return true when nothing more will come, or is wanted */
static bool take_bytes(unsigned c, struct pipe *to)
{
    struct channel *ch = channel_of(c);
    bool over = channel_load(&ch->in_over) != 0;
    uint32_t count;

    while ((count = channel_load(&ch->in_head) - ch->in_tail) > 0) {
        uint32_t at = ch->in_tail % CHANNEL_RING, n = CHANNEL_RING - at;
        struct io io;
        long r;

        n = n < count ? n : count;
        io_init_memory(&io, window->in[c] + at, n);
        r = pipe_has_reader(to) ? pipe_write(to, &io, true) : (long)n; /* else nobody wants it */
        if (r <= 0) {
            return false;
        }
        set(&ch->in_tail, ch->in_tail + (uint32_t)r);
    }
    if (over && pipe_has_writer(to)) {
        to->writing_over = true;
        wake_all(&to->queue);
    }
    return over || !pipe_has_reader(to);
}

static void release(unsigned c)
{
    file_release(relayed[c].half);
    relayed[c].half = NULL;
    set(&channel_of(c)->want, WANT_DONE);
}

static void lost(unsigned c)
{
    struct file *half = relayed[c].half;

    half->pipe.out->reset = true;
    half->pipe.in->reading_over = true;
    wake_all(&half->pipe.in->queue);
    release(c);
}

static void carry(unsigned c)
{
    struct channel *ch = channel_of(c);
    struct file *half = relayed[c].half;
    bool over;

    if (channel_load(&ch->reset)) {
        take_bytes(c, half->pipe.out);
        lost(c);
        return;
    }
    put_bytes(c, half->pipe.in);
    over = take_bytes(c, half->pipe.out);
    if (channel_load(&ch->closed) && pipe_has_reader(half->pipe.in)) {
        half->pipe.in->reading_over = true;
        wake_all(&half->pipe.in->queue);
    }
    if (over && (channel_load(&ch->closed) ||
                 (ch->out_over && channel_load(&ch->out_tail) == ch->out_head))) {
        release(c);
    }
}

static void free_channel(unsigned c)
{
    struct channel *ch = channel_of(c);

    ch->out_head = ch->in_tail = ch->out_over = 0;
    memset(ch->name, 0, sizeof(ch->name));
    set(&ch->want, WANT_NOTHING);
    in_use--;
}

static void look_at(unsigned c)
{
    struct channel *ch = channel_of(c);
    uint32_t state = channel_load(&ch->state);

    if (ch->want == WANT_NOTHING && state == CHANNEL_INCOMING) {
        take_incoming(c);
    }
    if (relayed[c].connecting != NULL && (state == CHANNEL_OPEN || state == CHANNEL_FAILED)) {
        connected(c);
    }
    if (relayed[c].half != NULL) {
        carry(c);
    }
    if (ch->want == WANT_DONE && channel_load(&ch->state) == CHANNEL_ENDED) {
        free_channel(c);
    }
}

void relay_posted(void)
{
    posted = true;
}

void relay_flush(void)
{
    if (in_use == 0 && !posted) {
        return;
    }
    posted = false;
    for (unsigned c = 0; c < CHANNELS; c++) {
        look_at(c);
    }
    if (to_post) {
        to_post = false;
        bw_post(KEY_RELAY);
    }
}
