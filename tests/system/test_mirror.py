#!/usr/bin/python3
"""A store with a second copy on a second disk: one of them damaged, missing, given back, out of date, failing
under load. What was acknowledged is there each time, and who does not know it asks."""
import os
import re
import shutil
import subprocess
import time

import harness
from disks import FaultyMachine
from machine import BOOT, MKDISTRICT, SCRATCH, Machine, MachineError, verify_store

check = harness.Checks
NAME = 'twofold'
FOLDER = os.path.join(SCRATCH, 'mirror')
COPIES = [os.path.join(FOLDER, name) for name in ('first.district', 'second.district')]
FIRST_DATA = 136  # block

machine = None


def mkdistrict(*arguments, status=0):
    done = subprocess.run([MKDISTRICT, *arguments], capture_output=True, text=True, errors='replace')
    check.equal(done.returncode, status, 'mkdistrict %s: %s%s' % (' '.join(arguments), done.stdout, done.stderr))
    return done.stdout + done.stderr


def make():
    os.makedirs(FOLDER, exist_ok=True)
    mkdistrict('--force', '--size', '64M', '--name', NAME, '--interval', 'never', '--root',
               os.path.join(os.path.dirname(SCRATCH), 'tree.tar'), '--mirror', COPIES[1], COPIES[0])


def boot(*stores, kind=Machine, **more):
    """A machine with these copies; the one before is unplugged."""
    global machine
    unplug()
    machine = kind(list(stores), name='mirror', **more)
    machine.login()


def unplug():
    global machine
    if machine:
        machine.close()
    machine = None


def sh(line, expected=None):
    status, text = machine.sh(line)
    check.equal(status, 0, 'status of `%s` (%s)' % (line, text))
    if expected is not None:
        check.equal(text, expected, line)


def commit(text):
    """Writes a file and checkpoints, while the shell waits for the next command: mkdistrict put wants it so. Detached
    then."""
    sh('echo %s > /tmp/state' % text)
    machine.prompt()
    machine.detach()
    return machine.checkpoint(NAME)


def refused(command, *words):
    machine.send(command + '\r')
    machine.expect(re.escape(command) + r'\r\n')
    text = machine.expect(r'guest@bailiwick\$ ')
    for word in words:
        check.contains(text, word, command)


def await_line(part, limit=60):
    """Waits until `districts` says so."""
    end = time.monotonic() + limit
    while part not in (text := machine.command('districts')):
        check.true(time.monotonic() < end, '%r does not come: %r' % (part, text))
        time.sleep(0.2)


def damage(path, first, count):
    with open(path, 'r+b') as f:
        f.seek(first * 4096)
        f.write(os.urandom(count * 4096))


def state_of(path):
    return mkdistrict('cat', path, '/tmp/state').strip()


def test_both_are_written():
    make()
    boot(*COPIES)
    check.contains(machine.command('districts'), 'both copies are up to date')
    check.equal(machine.restart(NAME), 0)
    commit('one')
    unplug()
    for copy in COPIES:
        verify_store(copy)
        check.equal(state_of(copy), 'one')


def test_what_is_damaged_is_read_from_the_other_one():
    for copy in COPIES:
        damage(copy, FIRST_DATA, 600)
        boot(*COPIES)
        machine.restart(NAME)
        sh('cat /tmp/state', 'one')
        machine.detach()
        machine.command('scrub %s' % NAME, 60)
        check.contains(machine.command('events %s' % NAME), 'written anew from the other copy')
        unplug()
        verify_store(copy)


def test_roots_of_a_copy_are_gone():
    """Then that copy is like none; the other one does not know better, and asks."""
    damage(COPIES[0], 8, 4 * 32)
    boot(*COPIES)
    refused('restart %s' % NAME, 'copy 0 is damaged', '--alone')
    machine.restart(NAME, '--alone')
    sh('cat /tmp/state', 'one')
    machine.detach()
    await_line('both copies are up to date')
    unplug()
    for copy in COPIES:
        verify_store(copy)


def test_one_is_missing():
    boot(COPIES[1])
    refused('restart %s' % NAME, 'copy 0 is not there', "'restart %s --alone'" % NAME)
    refused('interval %s 1s' % NAME, 'copy 0 is not there', "'restart %s --alone'" % NAME)
    check.contains(machine.command('districts'), 'only copy 1')
    machine.restart(NAME, '--alone')
    sh('cat /tmp/state', 'one')
    commit('two')
    boot(COPIES[1])  # it knows now, and does not ask again
    machine.restart(NAME)
    sh('cat /tmp/state', 'two')
    commit('three')
    unplug()
    check.contains(mkdistrict('--info', COPIES[1]), 'it runs alone')


def test_only_the_stale_one_is_there():
    boot(COPIES[0])
    for change in ('drop %s 0', 'scrub %s', 'retention %s 4,0,0,0'):
        refused(change % NAME, 'copy 1 is not there, and may be newer', '--alone')
    refused('restart %s' % NAME, 'copy 1 is not there, and may be newer')
    unplug()
    check.equal(state_of(COPIES[0]), 'one')


def test_the_stale_one_is_brought_up_to_date():
    boot(*COPIES)
    machine.restart(NAME)
    sh('cat /tmp/state', 'three')
    commit('four')
    await_line('both copies are up to date')
    check.contains(machine.command('events %s' % NAME), 'copy 0 is out of date')
    machine.attach(NAME)
    commit('five')
    unplug()
    for copy in COPIES:
        verify_store(copy)
        check.equal(state_of(copy), 'five')


def test_power_cuts_while_it_is_brought_up_to_date():
    mkdistrict('put', '--alone', COPIES[1], MKDISTRICT, '/tmp/large')  # copy 0 misses some MiB
    for n in range(3):
        boot(*COPIES)
        machine.restart(NAME)
        commit('cut%d' % n)
        time.sleep(0.05 * n)
        unplug()
        check.equal(state_of(COPIES[1]), 'cut%d' % n)
    boot(*COPIES)
    await_line('both copies are up to date')
    unplug()
    for copy in COPIES:
        verify_store(copy)
        check.equal(state_of(copy), 'cut2')


def test_one_fails_while_it_runs():
    """Its N-th write fails: it goes on with the other one, and nothing that was acknowledged is lost."""
    for n in (9, 23):
        log = os.path.join(FOLDER, 'writes')
        boot(*COPIES, kind=lambda stores, **more: FaultyMachine(stores, log, 'write', range(n, 400), **more))
        machine.restart(NAME)
        done = 0
        for i in range(8):
            done = commit('fail%d' % i)
            machine.attach(NAME)
        machine.detach()
        check.contains(machine.command('districts'), 'only copy 1')
        check.contains(machine.command('events %s' % NAME), 'copy 0 has failed: it goes on with copy 1')
        unplug()
        check.equal(state_of(COPIES[1]), 'fail7')
        boot(COPIES[1])
        check.equal(machine.restart(NAME), done)  # no question: it knows that it is alone
        machine.detach()
        boot(*COPIES)
        await_line('both copies are up to date')
        unplug()
        for copy in COPIES:
            verify_store(copy)
            check.equal(state_of(copy), 'fail7')


def test_its_servers_fail():
    """districtd ends at the end of a scrub, stored in the checkpoints 4 and 7 (mutants); the next ones find both
    disks again."""
    boot_folder = os.path.join(FOLDER, 'boot')
    shutil.rmtree(boot_folder, ignore_errors=True)
    shutil.copytree(BOOT, boot_folder)
    for server in ('stored', 'districtd'):
        shutil.copy(os.path.join(os.path.dirname(SCRATCH), 'mutant', server + '.elf'), boot_folder)
    unplug()
    make()
    boot(*COPIES, boot=boot_folder)
    machine.restart(NAME)
    machine.detach()
    machine.command('scrub %s' % NAME, 60)
    machine.attach(NAME)
    for n in range(10):
        sh('echo %d > /tmp/state' % n)
        machine.detach()
        machine.command('checkpoint %s' % NAME, 60)
        machine.attach(NAME)
    machine.detach()
    check.equal(machine.command('events %s' % NAME).count('the district runs on'), 3)
    check.contains(machine.command('districts'), 'both copies are up to date')
    unplug()
    for copy in COPIES:
        verify_store(copy)
        check.equal(state_of(copy), '9')


def test_copies_that_ran_apart():
    for copy, text in zip(COPIES, ('left', 'right')):
        boot(copy)
        machine.restart(NAME, '--alone')
        commit(text)
    boot(*COPIES)
    refused('restart %s' % NAME, 'each of its two copies has run without the other one')
    unplug()
    mkdistrict('mirror', COPIES[0], COPIES[1], status=1)
    mkdistrict('mirror', '--force', COPIES[0], COPIES[1])
    for copy in COPIES:
        verify_store(copy)
        check.equal(state_of(copy), 'left')
    boot(*COPIES)
    check.contains(machine.command('districts'), 'both copies are up to date')


def test_host_tools_want_both():
    unplug()
    make()
    first, second = COPIES
    both = ('--mirror', second, first)
    check.contains(mkdistrict('put', first, MKDISTRICT, '/tmp/m', status=1), '--mirror FILE2')
    check.contains(mkdistrict('--grow', '80M', second, status=1), '--alone')
    mkdistrict('put', *both, MKDISTRICT, '/tmp/m')
    mkdistrict('--grow', '80M', *both)
    for copy in COPIES:
        verify_store(copy)
        check.contains(mkdistrict('--info', copy), 'both are up to date')
        check.contains(mkdistrict('ls', copy, '/tmp'), 'm')
    damage(second, FIRST_DATA, 300)
    check.contains(mkdistrict('--verify', *both, status=1), ', copy 1')
    check.contains(mkdistrict('--repair', first, status=1), 'second copy')
    check.contains(mkdistrict('--repair', *both), 'repaired')
    check.contains(mkdistrict('--verify', *both), 'all is well')
    verify_store(second)
    check.contains(mkdistrict('mirror', first, first, status=1), 'the same file')


def test_one_that_has_grown_alone():
    """The other one gets as long when it is brought up to date."""
    first, second = COPIES
    mkdistrict('--grow', '96M', '--alone', first)
    mkdistrict('mirror', first, second)
    for copy in COPIES:
        verify_store(copy)
        check.equal(os.path.getsize(copy), 96 << 20)
    mkdistrict('--grow', '112M', '--alone', second)
    mkdistrict('mirror', first, second)
    check.contains(mkdistrict('--info', first), 'of 112.0 MiB')
    check.equal(mkdistrict('--verify', '--mirror', second, first).count('all is well'), 1)


def test_a_second_copy_is_made_and_taken_away():
    first, second = COPIES
    mkdistrict('mirror', '--remove', first, status=1)
    mkdistrict('mirror', '--remove', '--alone', first)
    verify_store(first)
    check.contains(mkdistrict('mirror', first, second, status=1), '--force overwrites')
    check.contains(mkdistrict('--verify', '--mirror', second, first, status=1), 'not the two copies of one store')
    os.unlink(second)
    for n in range(12):  # killed at some moment, it is made the next time
        process = subprocess.Popen([MKDISTRICT, 'mirror', first, second], stdout=subprocess.DEVNULL)
        time.sleep(0.004 * n)
        process.kill()
        process.wait()
        verify_store(first)
    mkdistrict('mirror', first, second)
    for copy in COPIES:
        verify_store(copy)
        check.contains(mkdistrict('--info', copy), 'both are up to date')
    check.equal(mkdistrict('--verify', '--mirror', second, first).count('all is well'), 1)


def test_the_same_copy_twice_is_two_stores():
    unplug()
    twice = os.path.join(FOLDER, 'twice.district')
    subprocess.run(['cp', '--sparse=always', COPIES[0], twice], check=True)
    try:
        boot(COPIES[0], twice)
    except MachineError as error:
        check.contains(str(error), 'two stores hold a district named')
    else:
        raise AssertionError('a copy was given twice, and nobody minded')


if __name__ == '__main__':
    harness.main(globals(), unplug, unplug)
