/*
 * The serial line: a 16550 at its interrupt, with FIFOs, as "serial" (console.h, one session).
 *
 * The first byte interrupts: that leaves us the time of fifteen more. (And Bochs's chip, told to
 * wait for more, announces data after some time even if it was fetched meanwhile: an old byte is
 * read again.)
 *
 * Invariants
 *  1. The transmitter's interrupt is enabled exactly while the output ring holds bytes.
 *  2. Every interrupt is served until the chip says that none is pending: its line is edge
 *     triggered.
 *  3. `wants_room` is set from a short write until the post that there is room again.
 */
#include "ports.h"

#include <bailiwick/console.h>
#include <stdbool.h>
#include <string.h>

#define KR_PORTS    KR_PROGRAM
#define KR_IRQ      (KR_PROGRAM + 1)
#define KR_LISTENER 24

#ifndef BW_MUTATION
#define BW_MUTATION 0 /* tests: move_bytes() */
#endif

#define POST_IRQ 1u /* badge of the interrupt's posts */

enum uart_register {
    UART_DATA = 0, /* divisor low with LCR_DIVISOR */
    UART_IER = 1,  /* divisor high with LCR_DIVISOR */
    UART_IIR = 2,  /* FCR when written */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
};
#define IER_RECEIVE   0x01u
#define IER_TRANSMIT  0x02u
#define IER_LINE      0x04u
#define IIR_NONE      0x01u
#define FCR_SETUP     0x07u /* enable and clear both FIFOs, interrupt at the first byte */
#define LCR_8N1       0x03u
#define LCR_DIVISOR   0x80u
#define MCR_SETUP     0x0bu /* DTR, RTS, and OUT2, which lets the interrupt through */
#define LSR_DATA      0x01u
#define LSR_THR_EMPTY 0x20u
#define FIFO_SIZE     16u
#define ROUNDS        16u

#define RX_SIZE 4096u
#define TX_SIZE 16384u
#define ROWS    24u
#define COLUMNS 80u

struct ring {
    uint8_t *bytes;
    uint32_t size;       /* a power of two */
    uint32_t head, tail; /* count bytes put in and taken out */
};

static uint8_t rx_bytes[RX_SIZE], tx_bytes[TX_SIZE];
static struct ring rx = {.bytes = rx_bytes, .size = RX_SIZE};
static struct ring tx = {.bytes = tx_bytes, .size = TX_SIZE};
static bool wants_room;
static bool transmitting;    /* the transmitter's interrupt is enabled */
static bw_time_t rest_until; /* 0: not resting */
static uint8_t buffer[CONSOLE_WRITE_MAX];

static uint32_t ring_used(const struct ring *r)
{
    return r->head - r->tail;
}

static void ring_put(struct ring *r, uint8_t byte)
{
    r->bytes[r->head++ % r->size] = byte;
}

static uint8_t ring_take(struct ring *r)
{
    return r->bytes[r->tail++ % r->size];
}

static uint8_t uart_in(enum uart_register reg)
{
    return (uint8_t)port_in(KEY_AT(KR_PORTS), reg, 1);
}

static void uart_out(enum uart_register reg, uint8_t value)
{
    port_out(KEY_AT(KR_PORTS), reg, 1, value);
}

static void enable_transmit(bool on)
{
    if (on != transmitting) {
        transmitting = on;
        uart_out(UART_IER, IER_RECEIVE | IER_LINE | (on ? IER_TRANSMIT : 0));
    }
}

/* @return whether the register keeps a value, and does not keep that by accident */
static bool is_kept(uint8_t value)
{
    uart_out(UART_LCR, value);
    return uart_in(UART_LCR) == value;
}

/* Moves bytes both ways as far as the chip has them or takes them. @return whether there was input
 */
static bool move_bytes(void)
{
    bool input = false;
    uint8_t status = uart_in(UART_LSR);

    while (status & LSR_DATA) {
        uint8_t byte = uart_in(UART_DATA);

        bw_assert(BW_MUTATION != 1 || byte != '~'); /* the mutation that ends it then */
        if (ring_used(&rx) < RX_SIZE) {
            ring_put(&rx, byte);
        }
        input = true;
        status = uart_in(UART_LSR);
    }
    if (status & LSR_THR_EMPTY) {
        for (unsigned n = 0; n < FIFO_SIZE && ring_used(&tx); n++) {
            uart_out(UART_DATA, ring_take(&tx));
        }
    }
    enable_transmit(ring_used(&tx) != 0);
    return input;
}

/* @return whether the chip has nothing more to say */
static bool serve_chip(bool *input)
{
    for (unsigned n = 0; n < ROUNDS; n++) {
        if (uart_in(UART_IIR) & IIR_NONE) {
            return true;
        }
        *input |= move_bytes();
    }
    return false;
}

static void serve_interrupt(void)
{
    struct message m = {.code = IRQ_UNMASK};
    bw_time_t began = bw_monotonic();
    uint32_t before = ring_used(&tx);
    bool input = false;

    if (serve_chip(&input)) {
        rest_until = 0;
        bw_call(KEY_AT(KR_IRQ), &m);
    } else {
        bw_time_t now = bw_monotonic();

        rest_until = now + (now - began);
    }
    if (input || (wants_room && ring_used(&tx) < before)) {
        wants_room = wants_room && ring_used(&tx) == TX_SIZE;
        bw_post(KEY_AT(KR_LISTENER));
    }
}

static void write_string(struct message *m)
{
    size_t length = m->length;
    size_t n = 0;

    while (n < length && ring_used(&tx) < TX_SIZE) {
        ring_put(&tx, buffer[n++]);
    }
    wants_room |= n < length;
    if (!transmitting) {
        if (move_bytes()) {
            bw_post(KEY_AT(KR_LISTENER));
        }
    }
    m->code = BW_OK;
    m->word[0] = n;
}

static void read_string(struct message *m)
{
    size_t most = m->word[0] < sizeof(buffer) ? m->word[0] : sizeof(buffer);
    size_t n = 0;

    while (n < most && ring_used(&rx)) {
        buffer[n++] = ring_take(&rx);
    }
    m->code = BW_OK;
    m->word[0] = n;
    m->string = buffer;
    m->length = n;
}

static void listen(struct message *m)
{
    m->code = bw_copy_key(KEY_AT(KR_ARGUMENT), KEY_AT(KR_LISTENER));
    if (ring_used(&rx)) {
        bw_post(KEY_AT(KR_LISTENER));
    }
}

static void serve(struct message *m)
{
    switch (m->code) {
    case CONSOLE_WRITE:
        write_string(m);
        break;
    case CONSOLE_READ:
        read_string(m);
        break;
    case CONSOLE_LISTEN:
        listen(m);
        break;
    case CONSOLE_SIZE:
        m->code = BW_OK;
        m->word[0] = ROWS;
        m->word[1] = COLUMNS;
        break;
    default:
        m->code = BW_ORDER;
    }
}

static void initialise(void)
{
    struct message start = {
        .code = DOMAIN_MAKE_START, .word = {POST_IRQ}, .take = {KEY_AT(KR_SCRATCH)}};
    struct message bind = {.code = IRQ_BIND, .send = {KEY_AT(KR_SCRATCH)}};

    uart_out(UART_IER, 0);
    uart_out(UART_LCR, LCR_DIVISOR);
    uart_out(UART_DATA, 1); /* 115200 baud */
    uart_out(UART_IER, 0);
    uart_out(UART_LCR, LCR_8N1);
    uart_out(UART_IIR, FCR_SETUP);
    uart_out(UART_MCR, MCR_SETUP);
    bw_assert(bw_call(KEY_AT(KR_SELF), &start) >= 0);
    bw_assert(bw_call(KEY_AT(KR_IRQ), &bind) >= 0);
    uart_out(UART_IER, IER_RECEIVE | IER_LINE);
    serve_interrupt();
}

int main_native(uint64_t word)
{
    struct message m = {.take = {KEY_AT(KR_ARGUMENT)}, .buffer = buffer, .size = sizeof(buffer)};
    uint16_t reply = 0;

    (void)word;
    if (!is_kept(LCR_DIVISOR) || !is_kept(LCR_8N1)) {
        bw_log("serial: this machine has no serial line\n");
        return 0;
    }
    initialise();
    bw_assert(bw_publish("serial", 0) >= 0);
    for (;;) {
        m.deadline = rest_until;
        bw_return(reply, &m, KEY_AT(KR_CALLER), 0);
        reply = m.delivery == DELIVERY_MESSAGE ? KEY_AT(KR_CALLER) : 0;
        if (reply) {
            serve(&m);
        }
        if ((!reply || rest_until) && bw_monotonic() >= rest_until) {
            serve_interrupt();
        }
    }
}
