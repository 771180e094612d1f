#!/usr/bin/python3
"""Bonded districts, with the example programs: a payer in one pays into an account of another. Whatever happens to one
happens to both: they are always of one instant, so that the link between them never breaks and no payment is lost."""
import os
import random
import re
import subprocess
import sys
import time

import harness
from machine import MKDISTRICT, SCRATCH, Machine, make_store, verify_store

check = harness.Checks
seed = int(sys.argv[sys.argv.index('--seed') + 1]) if '--seed' in sys.argv else 1
cuts = int(sys.argv[sys.argv.index('--cuts') + 1]) if '--cuts' in sys.argv else 8


def path(name):
    return os.path.join(SCRATCH, 'bonds', name + '.district')


bank = make_store(path('bank'), 'bank', size='32M', interval='100ms', native=['account'])
shop = make_store(path('shop'), 'shop', size='32M', interval='300ms', native=['payer bank 3 20'])
other = make_store(path('other'), 'other', size='32M', interval='100ms')
machine = Machine([bank, shop, other], name='bonds')


def boot():
    machine.start()
    machine.login()


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError('%s: it did not come; districts: %r; links: %r; log: %r' % (
                what, machine.command('districts'), machine.command('links shop'), machine.command('log shop')))
    return value


def link():
    """The payer's link, as `links` shows it: (state, connection, messages)."""
    found = wait_for('the link is listed', lambda: re.search(
        r'^bank/account +notify +(\w+) +(?:\S+ \S+|-) +(\d+) +(\d+)', machine.command('links shop'), re.MULTILINE))
    return found.group(1), int(found.group(2)), int(found.group(3))


def more_payments():
    sent = link()[2]
    wait_for('more payments', lambda: link()[0] == 'live' and link()[2] > sent + 5)


def info(store):
    done = subprocess.run([MKDISTRICT, '--info', store], capture_output=True, text=True, check=True)
    return done.stdout


def running(name):
    return re.search(r'^%s +running' % name, machine.command('districts'), re.MULTILINE) is not None


def test_bond():
    for name in ('bank', 'shop', 'other'):
        machine.restart(name)
        machine.detach()
    more_payments()
    check.contains(machine.command('bond bank shop'), 'bank: bonded with shop')
    check.contains(machine.command('districts'), 'bonded with shop')
    more_payments()
    check.contains(machine.command('checkpoint bank'), 'committed')
    check.contains(machine.command('checkpoint shop'), 'committed')


def generations(name):
    """Ages of generations, by number."""
    text = machine.command('generations ' + name)
    return [int(n) for n in re.findall(r'^[ *-] +(\d+)  ', text, re.MULTILINE)]


def unbroken(connection):
    """The link is live, and has never been severed."""
    more_payments()
    check.equal(link()[1], connection, 'connection of the link')


def start(name):
    machine.restart(name)
    machine.detach()


def test_ended_and_started_together():
    connection = link()[1]
    check.contains(machine.command('kill shop'), 'with it bank')
    check.true(not running('bank') and not running('shop') and running('other'), 'both have ended, no other')
    start('bank')
    check.true(running('shop'), 'the other one was started with it')
    unbroken(connection)


def test_rolled_back_together():
    connection = link()[1]
    for _ in range(3):
        more_payments()
        machine.checkpoint('shop')
    before = link()[2]
    check.contains(machine.command('rollback shop --back 3'), 'with bank')
    check.true(link()[2] < before, 'payments are undone')
    unbroken(connection)


def test_one_alone_does_not_go_back_behind_the_bond():
    first = generations('bank')[0]
    check.contains(machine.command('rollback bank %d' % first), 'older than its bond')
    check.true(running('bank') and running('shop'), 'both run on')
    more_payments()


def test_power_cuts():
    connection = link()[1]
    numbers = random.Random(seed)
    for _ in range(cuts):
        acknowledged = link()[2]
        machine.checkpoint(numbers.choice(['bank', 'shop']))
        time.sleep(numbers.random())
        machine.unplug()
        for store in (bank, shop):
            verify_store(store)
        boot()
        start(numbers.choice(['bank', 'shop']))
        check.true(link()[2] >= acknowledged, 'what was committed is there')
        unbroken(connection)


def test_a_store_that_is_missing():
    global machine
    machine.checkpoint('bank')
    machine.close()
    machine = Machine([shop, other], name='bonds')
    machine.login()
    text = machine.command('restart shop')
    check.contains(text, 'bonded with bank, whose store is not there')
    check.contains(text, "'restart shop --alone'")
    check.contains(machine.command('unbond shop'), 'bank is not there')
    machine.close()
    machine = Machine([bank, shop, other], name='bonds')
    machine.login()
    start('shop')
    check.true(running('bank'), 'the other one was started with it')
    start('other')


def test_what_is_refused():
    check.contains(machine.command('bond bank other'), 'bank is in a bond already')
    check.contains(machine.command('bond other other'), 'named twice')
    check.contains(machine.command('bond other nobody'), "no district is named 'nobody'")
    check.contains(machine.command('unbond other'), 'other is in no bond')
    check.contains(machine.command('bond other'), 'other: in no bond')
    check.contains(machine.command('bond bank'), 'bank: bonded with shop')


def test_a_third_one_joins_and_leaves():
    check.contains(machine.command('unbond shop'), 'in no bond any more')
    check.contains(machine.command('bond other bank shop'), 'bonded with bank, shop')
    machine.checkpoint('bank')
    check.contains(machine.command('unbond bank other'), 'in no bond any more')  # the home: it ends
    check.true('bonded' not in machine.command('districts'), 'it has ended for all')
    check.contains(machine.command('bond bank shop other'), 'bonded with shop, other')
    check.contains(machine.command('unbond bank other'), 'other: in no bond any more')
    check.contains(machine.command('bond bank'), 'bank: bonded with shop\n')
    machine.command('kill other')
    check.true(running('bank') and running('shop'), 'who has left ends alone')
    boot()
    start('shop')
    check.true(running('bank') and not running('other'), 'those who stayed start together')
    more_payments()


def test_unbond():
    check.contains(machine.command('unbond bank'), 'in no bond any more')
    connection = link()[1]
    machine.command('kill bank')
    check.true(running('shop'), 'the other one runs on')
    start('bank')
    wait_for('relinked', lambda: link()[1] > connection)
    more_payments()


def test_given_up():
    global machine
    machine.command('bond bank shop')
    machine.close()
    machine = Machine([shop, other], name='bonds')
    machine.login()
    machine.restart('shop', '--alone')
    machine.detach()
    machine.close()
    machine = Machine([bank, shop, other], name='bonds')
    machine.login()
    start('bank')
    check.true(not running('shop'), 'the bond is over')
    check.contains(machine.command('bond bank'), 'in no bond')


def finish():
    machine.close()
    for store in (bank, shop, other):
        verify_store(store)


if __name__ == '__main__':
    machine.login()
    harness.main(globals(), finish, boot)
