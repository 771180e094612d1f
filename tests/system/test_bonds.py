#!/usr/bin/python3
"""Bonded districts, with the example programs: a payer in one pays into an account of another. Whatever happens to one
happens to both: they are always of one instant, so that the link between them never breaks and no payment is lost."""
import argparse
import os
import random
import re
import subprocess
import sys
import time

import harness
from machine import BUILD, MKDISTRICT, SCRATCH, Machine, make_store, verify_store, with_mutant

check = harness.Checks
parser = argparse.ArgumentParser()
parser.add_argument('--cuts', type=int, default=6)
parser.add_argument('--seed', type=int, default=1)
parser.add_argument('tests', nargs='*')
options = parser.parse_args()
cuts, seed = options.cuts, options.seed
sys.argv[1:] = options.tests


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
        time.sleep(0.05)  # who asks without a rest takes the processor from the districts
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
    for name in ('bank', 'shop'):
        machine.checkpoint(name)


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
    check.contains(machine.command('events bank'), 'restarted from generation')
    check.contains(machine.command('events shop'), ', with bank, which it is bonded with')
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


def test_restarted_from_an_older_one():
    connection = link()[1]
    old = machine.checkpoint('shop')
    more_payments()
    machine.checkpoint('bank')
    machine.command('kill bank')
    machine.restart('shop', '--generation %d' % old)
    machine.detach()
    check.true(running('bank'), 'the other one was started with it')
    check.contains(machine.command('events shop'), 'restarted from generation %d' % old)
    unbroken(connection)


def test_power_cuts():
    """While they are checkpointed all the time, so that many cuts are between two commits of one checkpoint."""
    connection = link()[1]
    numbers = random.Random(seed)
    doubts = 0
    machine.command('interval bank 10ms')
    for _ in range(cuts):
        acknowledged = link()[2]
        machine.checkpoint(numbers.choice(['bank', 'shop']))
        time.sleep(numbers.random())
        machine.unplug()
        doubts += 'in doubt' in info(shop)
        for store in (bank, shop):
            verify_store(store)
        boot()
        start(numbers.choice(['bank', 'shop']))
        check.true(link()[2] >= acknowledged, 'what was committed is there')
        unbroken(connection)
    machine.command('interval bank 100ms')
    print('%d power cuts, %d of them with a checkpoint in doubt' % (cuts, doubts))


def test_started_by_themselves():
    machine.command('autostart shop on')
    machine.checkpoint('bank')
    boot()
    wait_for('both run', lambda: running('bank') and running('shop'))
    machine.command('autostart shop off')
    more_payments()


def test_one_that_breaks_takes_the_other_back():
    machine.checkpoint('bank')
    machine.command('kill bank')
    machine.unplug()
    text = subprocess.run([MKDISTRICT, 'dump', bank, 'object', '16'], capture_output=True, text=True).stdout
    domain = re.findall(r'domain (0x[0-9a-f]+)', text)[0]
    poked = subprocess.run([os.path.join(BUILD, 'bin', 'poke'), bank, domain, 'rip'], capture_output=True, text=True)
    check.equal(poked.returncode, 0, poked.stderr)
    boot()
    start('shop')
    wait_for('they went back', lambda: 'rolled back' in machine.command('events bank'))
    check.contains(machine.command('events shop'), 'ended with bank')
    wait_for('both run', lambda: running('bank') and running('shop'))
    more_payments()


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
    check.equal(machine.command('unbond bank other').strip(), 'other, bank, shop: in no bond any more')  # the home: it ends
    check.true('bonded' not in machine.command('districts'), 'it has ended for all')
    check.contains(machine.command('bond bank shop other'), 'bonded with shop, other')
    check.equal(machine.command('unbond bank other').strip(), 'other: in no bond any more')
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


def test_power_off():
    """In order, no store is left in doubt: tools need not the others. Nobody asks for checkpoints meanwhile."""
    if not running('other'):
        start('other')
    for name in ('bank', 'other'):
        machine.command('interval %s off' % name)
    check.contains(machine.command('bond other bank'), 'bonded with bank')
    for _ in range(3):
        machine.send('poweroff\r')
        machine.wait_off()
        check.true('in doubt' not in info(bank), info(bank))
        boot()
        start('bank')
    check.contains(machine.command('unbond bank'), 'in no bond any more')
    machine.command('interval bank 100ms')
    start('shop')
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


def mutated(name):
    """Both are bonded, in a machine in which this program has a fault put in."""
    global machine
    machine.close()
    for store, words in ((bank, 'account'), (shop, 'payer bank 3 20')):
        make_store(store, os.path.basename(store).split('.')[0], size='32M', native=[words])
    machine = Machine([bank, shop], name='bonds', boot=with_mutant(os.path.join(SCRATCH, 'bonds'), name))
    machine.login()
    for district in ('bank', 'shop'):
        start(district)
        machine.command('interval %s off' % district)
    check.contains(machine.command('bond bank shop', 60), 'bonded with shop')
    more_payments()


def test_store_servers_that_fail():
    """They end when the fourth generation is committed (one when it has decided, the other when it is told), and in the
    seventh snapshot if that is large."""
    mutated('stored')
    connection = link()[1]
    for _ in range(10):
        wait_for('a checkpoint', lambda: 'committed' in machine.command('checkpoint bank', 60))
    text = machine.command('events')
    for name in ('bank', 'shop'):
        check.contains(text, name)
    check.true(text.count('its store server failed and was started again') >= 2, text)
    unbroken(connection)
    machine.command('kill shop')
    start('bank')
    unbroken(connection)


def test_districtd_that_fails():
    """It ends when a store has been scrubbed."""
    mutated('districtd')
    connection = link()[1]
    machine.command('scrub bank', 60)
    wait_for('the next one has found them', lambda: running('bank') and running('shop'))
    machine.checkpoint('shop')
    machine.checkpoint('bank')
    unbroken(connection)
    check.contains(machine.command('kill bank'), 'with it shop')
    check.true(not running('shop'), 'both have ended')
    start('shop')
    unbroken(connection)


def finish():
    machine.close()
    for store in (bank, shop, other):
        verify_store(store)


if __name__ == '__main__':
    machine.login()
    harness.main(globals(), finish, boot)
