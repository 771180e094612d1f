/*
 * Traps: system calls, faults and interrupts of ring 3, and interrupts while idle.
 */
#include "cpu.h"
#include "device.h"
#include "district.h"
#include "domain.h"
#include "paging.h"
#include "panic.h"

void trap_syscall(void) __attribute__((noreturn));
void trap_interrupt(uint64_t vector, uint64_t error) __attribute__((noreturn));
void trap_in_nucleus(uint64_t vector, uint64_t error, const uint64_t *frame);

void trap_syscall(void)
{
    struct activity *a = cpu0.current;
    if (activity_frame(a)->flags & DOMAIN_FOREIGN) {
        fault_deliver(a, FAULT_SYSCALL, 0, activity_frame(a)->regs.rax);
        schedule_run(cpu0.current);
    }
    statistics.invocations++;
    invoke_syscall(a);
    schedule_run(cpu0.current);
}

void fault_deliver(struct activity *a, uint64_t code, uint64_t error, uint64_t address)
{
    statistics.faults++;
    int r = invoke_fault(a, code, error, address);
    if (r == BW_OK)
        return;
    if (r <= WAIT_OBJECT) {
        /* The instruction runs again and faults again: a syscall instruction is 2 bytes long. */
        if (code == FAULT_SYSCALL)
            activity_frame(a)->regs.rip -= 2;
        domain_wait(a, r);
        return;
    }
    struct domain_frame *f = activity_frame(a);
    f->fault_code = (uint32_t)code;
    f->fault_error = error;
    f->fault_address = address;
    domain_set_state(a, DOMAIN_STOPPED);
    f->flags |= DOMAIN_CRASHED;
    district_crash(object_district(a->domain), a->domain, code, error, address);
}

static void page_fault(struct activity *a, uint64_t error)
{
    uint64_t address = read_cr2();
    int r = paging_fault(a, address, error);
    if (r == BW_FAULT)
        fault_deliver(a, FAULT_PAGE, error, address);
    else if (r != BW_OK)
        domain_wait(a, r);
}

static bool interrupt(uint64_t vector)
{
    if (vector == VECTOR_TIMER)
        schedule_tick();
    else if (vector >= VECTOR_PIC && vector < VECTOR_PIC + 16)
        device_interrupt((unsigned)vector - VECTOR_PIC);
    else
        return vector == VECTOR_SPURIOUS;
    statistics.interrupts++;
    return true;
}

static uint64_t exception_code(uint64_t vector)
{
    switch (vector) {
    case 0:
        return FAULT_DIVIDE;
    case 1:
    case 3:
    case 4:
    case 5:
        return FAULT_DEBUG;
    case 6:
        return FAULT_ILLEGAL;
    case 16:
    case 19:
        return FAULT_FPU;
    case 17:
        return FAULT_ALIGNMENT;
    default:
        return FAULT_PROTECTION;
    }
}

void trap_interrupt(uint64_t vector, uint64_t error)
{
    struct activity *a = cpu0.current;
    if (vector == 14)
        page_fault(a, error);
    else if (vector == 7)
        fpu_switch(a);
    else if (vector == 2 || vector == 8 || vector == 18)
        panic("no machine check, double fault or NMI");
    else if (!interrupt(vector))
        fault_deliver(a, exception_code(vector), error, 0);
    schedule_run(cpu0.current);
}

void trap_in_nucleus(uint64_t vector, uint64_t error, const uint64_t *frame)
{
    if (interrupt(vector))
        return;
    log_line("nucleus: vector %lu error %lx rip %lx cr2 %lx rsp %lx", vector, error, frame[0],
             read_cr2(), frame[3]);
    panic("the nucleus does not fault");
}
