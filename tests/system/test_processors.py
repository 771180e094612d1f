#!/usr/bin/python3
"""Several processors: what one lacks is done without, and what no machine may lack is looked for before anything else,
and named on the line and the screen. A district whose programs have seen more registers than the machine has does not
start there."""
import os

import harness
from machine import SCRATCH, Machine, make_store
from screen import Screen

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


def refused(words, *arguments):
    monitor = os.path.join(folder, 'monitor')
    with Machine([new_store('refused')], kvm=False, extra=[*arguments, *Screen.arguments(monitor)],
                 name='processors') as machine:
        machine.expect('Bailiwick cannot run here: the ([^\r]*)\r')
        check.contains(machine.match.group(1), words, arguments)
        Screen(monitor).wait(lambda picture: ''.join(picture.lines[:2]) == machine.match.group().strip(), 'the same')


def test_qemu64():
    runs('q64', kvm=False, extra=['-cpu', 'qemu64'])


def test_little_more_than_needed():
    runs('little', kvm=False, extra=['-cpu', 'qemu64,-sse3,-cx16,-pge,-pse36,-mtrr,-svm,-x2apic,-hypervisor'])


def test_bochs_tigerlake():
    runs('tiger', emulator='bochs', extra=['cpu: model=tigerlake, count=1, ips=30000000, reset_on_triple_fault=0'])


def test_no_x86_64():
    refused('processor lacks long mode', '-cpu', '486')
    refused('processor lacks long mode', '-cpu', 'pentium3')


def test_what_is_missing_is_named():
    refused('processor lacks no-execute', '-cpu', 'qemu64,-nx')
    refused('processor lacks SSE2', '-cpu', 'qemu64,-sse2')
    refused('processor lacks a local APIC', '-cpu', 'qemu64,-apic')
    refused('machine lacks memory', '-m', '16')
    refused('machine lacks an interrupt controller', '-machine', 'pic=off')
    refused('machine lacks an interval timer', '-machine', 'pit=off')


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
