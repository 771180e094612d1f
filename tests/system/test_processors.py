#!/usr/bin/python3
"""Several processors: what one lacks is done without, and what none may lack is looked for before anything else. A
district whose programs have seen more registers than the machine has does not start there."""
import os

import harness
from machine import SCRATCH, Machine, make_store

check = harness.Checks
folder = os.path.join(SCRATCH, 'processors')


def new_store(name):
    return make_store(os.path.join(folder, name + '.district'), name, size='32M')


def runs(name, **kind):
    """A district runs there, goes on after a power cut, and counts with the FPU."""
    with Machine([new_store(name)], name='processors', **kind) as machine:
        machine.login(120)
        check.equal(machine.restart(name), 0)
        check.equal(machine.sh("x=5; lua -e 'print(2^0.5 * 2^0.5 - 2 < 1e-9)'"), (0, 'true'))
        machine.detach()
        generation = machine.checkpoint(name)
        machine.start()
        machine.login(120)
        check.equal(machine.restart(name), generation)
        check.equal(machine.sh('echo $((x + 1))'), (0, '6'))


def refused(model, words):
    with Machine([new_store('refused')], kvm=False, extra=['-cpu', model], name='processors') as machine:
        machine.expect('Bailiwick cannot run here: the processor lacks ([^\r]*)\r')
        check.contains(machine.match.group(1), words, model)


def test_qemu64():
    runs('q64', kvm=False, extra=['-cpu', 'qemu64'])


def test_little_more_than_needed():
    runs('little', kvm=False, extra=['-cpu', 'qemu64,-sse3,-cx16,-pge,-pse36,-mtrr,-svm,-x2apic,-hypervisor'])


def test_bochs_tigerlake():
    runs('tiger', emulator='bochs', extra=['cpu: model=tigerlake, count=1, ips=30000000, reset_on_triple_fault=0'])


def test_no_x86_64():
    refused('486', 'long mode')
    refused('pentium3', 'long mode')


def test_what_is_missing_is_named():
    refused('qemu64,-nx', 'no-execute')
    refused('qemu64,-sse2', 'SSE2')
    refused('qemu64,-apic', 'local APIC')


def test_a_district_that_has_seen_more():
    store = new_store('wide')
    with Machine([store], name='processors') as machine:
        machine.login()
        machine.restart('wide')
        machine.detach()
        machine.checkpoint('wide')
        machine.close()
    with Machine([store], kvm=False, extra=['-cpu', 'qemu64'], name='processors') as machine:
        machine.login()
        check.contains(machine.command('restart wide'), 'registers that the processor of this machine lacks')
        check.contains(machine.command('generations wide'), '*          1', 'it is still the current one')


if __name__ == '__main__':
    harness.main(globals())
