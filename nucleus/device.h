/* What drivers of the commons are given: ports, device registers, interrupts. */
#ifndef NUCLEUS_DEVICE_H
#define NUCLEUS_DEVICE_H

/** An interrupt came: its drivers are posted, and the line is masked until all of them have served
 * it. */
void device_interrupt(unsigned line);

#endif
