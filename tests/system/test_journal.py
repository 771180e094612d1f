#!/usr/bin/python3
"""The journal page: what a native program (userland/examples/restarts) writes there is durable at once and survives
going back in time; and it goes where the district goes."""
import os
import re
import subprocess
import time

import harness
from machine import MKDISTRICT, SCRATCH, Machine, make_store, verify_store, with_mutant

check = harness.Checks
folder = os.path.join(SCRATCH, 'journal')
store = make_store(os.path.join(folder, 'a.district'), 'counted', size='32M', interval='never',
                   native=['restarts', 'bench_diary'])
machine = Machine([store], name='journal', boot=with_mutant(folder, 'stored'))
LINE = re.compile(r'restarts: run (\d+), of which memory knows (\d+); incarnation (\d+), from generation (\d+), ([\w ]+)')


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        check.true(time.monotonic() < end, '%s does not come; log: %r' % (what, machine.command('log counted')))
        time.sleep(0.05)
    return value


def page_log(name='counted'):
    return machine.command('log ' + name)


def diary():
    """The numbers that are known to be durable, of this run."""
    return [int(n) for n in re.findall(r'diary: (\d+)', page_log())]


def said(run, knows, reason, name='counted'):
    """Waits until the program has said of this run what it should. Returns the generation that it began with."""
    line = wait_for('run %d' % run, lambda: [l for l in LINE.findall(page_log(name)) if int(l[0]) == run])[-1]
    check.equal((int(line[1]), line[4].strip()), (knows, reason))
    return int(line[3])


def start(name='counted'):
    machine.restart(name)
    machine.detach()


def mkdistrict(*arguments, **more):
    return subprocess.run([MKDISTRICT, *arguments], check=True, capture_output=True, **more).stdout


def test_each_run_is_counted_also_those_that_memory_forgets():
    machine.login()
    start()
    said(1, 1, 'asked')
    machine.checkpoint('counted')
    for run in (2, 3):  # killed: what it did after the checkpoint is forgotten, but not what is in the journal
        machine.command('kill counted')
        start()
        said(run, 2, 'asked')
    machine.checkpoint('counted')
    machine.command('rollback counted --back 1')
    check.equal(said(4, 2, 'rolled back'), 1)
    machine.command('rollback counted 0')  # to before it ever looked
    check.equal(said(5, 1, 'rolled back'), 0)


def test_a_power_cut():
    last = wait_for('the diary', lambda: diary()[1:])[-1]
    machine.start()
    machine.login()
    start()
    said(6, 1, 'asked')
    first = wait_for('the diary', diary)[0]
    check.true(first > last, 'number %d was durable, then comes %d' % (last, first))


def test_its_store_server_is_replaced():
    """Under a running district (a mutant, which ends in the commit of epoch 4): the page goes on with the next one."""
    lost = 0
    for _ in range(4):
        last = diary()[-1]
        lost += 'the server has ended' in machine.command('checkpoint counted', 60)
        wait_for('the diary goes on', lambda: diary()[-1] > last)
    check.true(lost > 0, 'the server did not end')
    said(6, 1, 'asked')
    machine.command('rollback counted --back 2')
    said(7, 2, 'rolled back')
    check.true(wait_for('the diary', diary)[0] > last, 'the diary went back')


def test_it_goes_where_the_district_goes():
    """The page is shown, verified, exported and imported; a new district counts on from the same."""
    machine.unplug()
    verify_store(store)
    check.contains(mkdistrict('--info', store).decode(), 'journal       ')
    page = mkdistrict('dump', store, 'journal').decode()
    check.contains(page, '0000  07 00 00 00 00 00 00 00')
    other = os.path.join(folder, 'b.district')
    mkdistrict('import', '--name', 'counted', '--force', other, input=mkdistrict('export', store + '@0'))
    check.equal(mkdistrict('dump', other, 'journal').decode(), page)
    verify_store(other)
    with open(store, 'r+b') as f:  # one of the twins of each root is damaged: the page is whole in the other
        for slot in range(4):
            f.seek((8 + 32 * slot) * 4096)
            f.write(os.urandom(16 * 4096))
    check.equal(mkdistrict('dump', store, 'journal').decode(), page)
    machine.close()
    globals()['machine'] = Machine([other], name='journal')
    machine.login()
    start()
    said(8, 1, 'asked')


def finish():
    machine.close()


if __name__ == '__main__':
    harness.main(globals(), finish)
