#!/usr/bin/python3
"""What a district does is not seen in others: one is killed, rolled back, computes, forks without end, fills its memory, its
store and its link table, or writes and is checkpointed each 10 ms, while a latency probe in a second one talks to an echo in
a third, and a fourth computes. None of those is restarted, no message is lost, and who computes has its share of the
processor. The figures are in `./bw bench`.
"""
import os
import re
import sys

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'neighbour'))
from neighbourhood import GOOD, Neighbourhood  # noqa: E402

REPORTS = 20  # of each probe, while there is trouble
SHARE = 0.33  # of what one that computes gets alone. Beside one other: half, less what the commons and a probe take

check = harness.Checks
n = Neighbourhood(['idle', 'computes', 'forks', 'memory', 'store', 'links', 'writes'])
machine = n.machine
n.start_good()
n.settle()
alone = [turns for turns, _, _ in n.reports(REPORTS, 'busy')['busy']]


def mean(numbers):
    return sum(numbers) / len(numbers)


def all_is_well(share=SHARE):
    """Since `settle` both probes go on, nothing was lost, none of the good districts was restarted."""
    reports = n.reports(REPORTS, 'quiet', 'busy')
    check.true(all(r[0] and r[2] for r in reports['quiet']), 'the probe is woken and answered: %r' % reports['quiet'])
    check.equal({r[4] for r in reports['quiet']}, {0}, 'lost messages')
    check.equal({r[-1] for name in reports for r in reports[name]}, {1}, 'incarnations')
    turns = mean([r[0] for r in reports['busy']])
    check.true(turns >= share * mean(alone), 'who computes has %.0f turns, alone %.0f' % (turns, mean(alone)))
    districts = machine.command('districts', timeout=60)
    for name in GOOD:
        check.true(re.search(r'^%s +running +\d+ +1 ' % name, districts, re.MULTILINE), name + ' runs: ' + districts)


def trouble(name, share=SHARE, also=lambda: None):
    n.begin(name)
    n.settle()
    try:
        all_is_well(share)
        also()
    finally:
        n.end(name)


def test_kills_and_restarts():
    n.settle()
    for _ in range(10):
        n.start('idle')
        machine.command('kill idle')
    all_is_well()


def test_rollbacks():
    n.start('idle')
    machine.checkpoint('idle')
    n.settle()
    for _ in range(10):
        check.contains(machine.command('rollback idle'), 'runs from generation')
    all_is_well()
    machine.command('kill idle')


def test_computes():
    trouble('computes')


def test_forks_without_end():
    trouble('forks')


def test_fills_its_memory():
    trouble('memory')


def test_fills_its_store():
    trouble('store')


def test_fills_its_link_table():
    trouble('links', SHARE * 2 / 3, is_limited)  # beside two others


def is_limited():
    check.contains(n.text_of('helper'), 'named links opened')
    listed = machine.command('links links', timeout=60)
    check.true(len(re.findall(r'^helper ', listed, re.MULTILINE)) > 100, 'its link table fills up: ' + listed[-500:])


def test_writes_and_is_checkpointed_each_10_ms():
    trouble('writes')


if __name__ == '__main__':
    harness.main(globals(), n.close)
