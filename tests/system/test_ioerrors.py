#!/usr/bin/python3
"""A disk that fails: the N-th read, write or flush is an error, or what is read is not what was written. The
district goes on or ends with a reason, and nothing else is disturbed: the machine, and a neighbour with a disk of
its own. What was acknowledged has reached the disk (the record of the writes is replayed, tests/recorded), and
is there when the disk works again.

    test_ioerrors.py [--sessions N] [--seed N] [--disk virtio | ide]
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys

import harness
from disks import FaultyMachine, write_rules
from machine import BUILD, DETACH, PROMPT, SCRATCH, Machine, make_store, make_tree, verify_store
from test_powercut import DISTRICT, HERE, Story

check = harness.Checks
REPLAY = os.path.join(BUILD, 'bin', 'replay')
NEIGHBOUR = 'neighbour'

parser = argparse.ArgumentParser()
parser.add_argument('--sessions', type=int, default=4, help='of each kind of request (at most 12)')
parser.add_argument('--seed', type=int, default=int(os.environ.get('BW_SEED', 1)))
parser.add_argument('--disk', choices=('virtio', 'ide'), default='virtio')
options, sys.argv[1:] = parser.parse_known_args()

folder = os.path.join(SCRATCH, 'ioerrors-%s-%d' % (options.disk, options.seed))
chance = random.Random(options.seed)


def at(name):
    return os.path.join(folder, name)


def copy(source, target):
    subprocess.run(['cp', '--sparse=always', source, target], check=True)
    return target


class Prepared(Story):
    """A store in whose newest generation the workloads run."""

    def __init__(self):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        tree = make_tree(at('tree.tar'), os.path.join(HERE, 'workload'))
        self.store = make_store(at('prepared.district'), DISTRICT, size='64M', root=tree, interval='100ms')
        self.acknowledged = self.acknowledged_marker = self.marker = self.last_tick = 0
        self.machine = Machine([self.store], name='ioerrors')
        self.begin()
        self.mark()
        self.checkpoint()
        self.close()


class Resumed(Story):
    """A store with the workloads in a machine without faults."""

    def __init__(self, store, acknowledged, marker):
        self.store = store
        self.acknowledged, self.acknowledged_marker, self.marker = acknowledged, marker, marker
        self.last_tick = 0
        self.machine = Machine([store], name='ioerrors-after')
        self.machine.unplug()


class Session:
    """One machine with faults: commands whose every answer is either success or a reason."""

    def __init__(self, name, kind, numbers):
        self.store = copy(prepared.store, at(name + '.district'))
        self.before = copy(self.store, at(name + '.before'))
        self.log = at(name + '.log')
        self.marks = [(0, prepared.acknowledged)]
        self.reasons = []
        self.machine = FaultyMachine([self.store, neighbour()], self.log, kind, numbers, name=name, disk=options.disk)

    def start_neighbour(self):
        if self.machine.restart(NEIGHBOUR) == 0:
            self.machine.sh('n=0; while :; do n=$((n+1)); done &')
        self.machine.detach()

    def restart(self):
        """Tries to; returns whether the district is known at all."""
        m = self.machine
        m.send('restart %s\r' % DISTRICT)
        m.expect(r'restarted from generation (\d+)[^\r\n]*\r\n\[attached to [^\r\n]*\r\n|\nrestart: ([^\r\n]*)\r\n')
        if m.match.group(2):
            self.reasons.append(m.match.group(2))
            return 'no district' not in m.match.group(2)
        check.true(int(m.match.group(1)) >= self.marks[-1][1], 'restarted from generation %s, but %d was acknowledged' %
                   (m.match.group(1), self.marks[-1][1]))
        ended = re.search(r'has ended: ([^\]]+)\]', m.read_for(0.3 * chance.random()))
        if not ended:
            m.send(DETACH)
            m.expect(r'\[detached from [^\]]*\]|has ended: ([^\]]+)\]')
            ended = m.match
        if ended.lastindex:
            self.reasons.append(ended.group(1))
        return True

    def running(self):
        text = self.machine.command('districts')
        found = re.search(r'^%s +(\S+)' % DISTRICT, text, re.MULTILINE)
        return found and found.group(1) == 'running'

    def checkpoint(self):
        text = self.machine.command('checkpoint ' + DISTRICT, 60)
        found = re.search(r'generation (\d+) committed|nothing has changed since generation (\d+)', text)
        if found:
            self.marks.append((self.machine.entries(), int(found.group(1) or found.group(2))))
            return
        found = re.search(r'checkpoint: %s (was not checkpointed: .+|is not running.*)' % DISTRICT, text)
        check.true(found, 'a checkpoint with neither success nor reason: %r' % text)
        self.reasons.append(found.group(1))

    def play(self):
        self.machine.login()
        self.start_neighbour()
        for _ in range(10):
            if not self.running() and not self.restart():
                break
            self.machine.read_for(0.1 * chance.random())
            self.checkpoint()
            if chance.random() < 0.2:
                self.machine.command('kill ' + DISTRICT)
            elif chance.random() < 0.2:
                text = self.machine.command('interval %s %dms' % (DISTRICT, chance.choice((20, 100))))
                self.reasons += re.findall(r'interval: (.+)', text)

    def judge(self):
        """The neighbour has not noticed; what was acknowledged is there."""
        self.machine.attach(NEIGHBOUR)
        status, text = self.machine.sh('echo "alive $((6 * 7))"')
        check.contains(text, 'alive 42', 'the neighbour')
        self.machine.detach()
        self.machine.checkpoint(NEIGHBOUR)
        self.machine.close()
        with open(self.machine.log_path.replace('.log', '.nucleus'), errors='replace') as f:
            log = f.read()
        check.true('invariant' not in log and 'panic' not in log, log[-1000:])
        with open(self.log + '.marks', 'w') as f:
            f.writelines('%d %d\n' % mark for mark in self.marks)
        done = subprocess.run([REPLAY, '--images', '100', '--marks', self.log + '.marks', self.before, self.log],
                              capture_output=True, text=True)
        check.equal(done.returncode, 0, 'replay: ' + done.stdout + done.stderr)
        resumed = Resumed(self.store, self.marks[-1][1], prepared.acknowledged_marker)
        try:
            resumed.come_back()
        finally:
            resumed.close()

    def remove(self):
        self.machine.close()
        for name in (self.store, self.before, self.log):
            os.unlink(name)


def neighbour():
    if not os.path.exists(at('neighbour.district')):
        make_store(at('neighbour.district'), NEIGHBOUR, size='64M', interval='100ms')
    return at('neighbour.district')


prepared = None


def test_a_district_is_made():
    global prepared
    prepared = Prepared()


def session(kind, numbers):
    s = Session('%s-%s' % (kind, '-'.join(map(str, numbers))), kind, numbers)
    try:
        s.play()
        s.judge()
        print('       %s %s: %d checkpoints, %d reasons' % (kind, numbers, len(s.marks) - 1, len(s.reasons)))
    except Exception as error:
        raise AssertionError('faults: %s %s, --seed %d: %s' % (kind, numbers, options.seed, error)) from error
    s.remove()


def sessions(kind, first, gap):
    """The first faults of the sessions are spread over `first`, others follow at gaps."""
    for i in range(options.sessions):
        n = first * i // options.sessions + 1 + chance.randrange(max(1, first // options.sessions))
        numbers = [n]
        while len(numbers) < 5:
            numbers.append(numbers[-1] + 1 + chance.randrange(gap))
        session(kind, numbers)


def test_writes_fail():
    sessions('write', 12, 12)


def test_flushes_fail():
    sessions('flush', 8, 6)


def test_flushes_fail_in_a_row():
    """So that what was written behind the first of them is not made durable by what follows it at once."""
    for n in chance.sample(range(3, 15), options.sessions):
        session('flush', list(range(n, n + 4)))


def test_reads_fail():
    sessions('read', 120, 60)


def test_the_hosts_disk_is_full():
    """QEMU does not stop the machine for that, as it would by itself: it is an error like others, and passes like them."""
    store, rules = copy(prepared.store, at('full.district')), at('full.rules')
    with open(rules, 'w') as f:
        write_rules(f, 'write', list(range(8, 20)), errno=28)
    m = Machine([store, neighbour()], name='full', disk=options.disk)
    try:
        m.arguments = [a.replace('file=' + store, 'file=blkdebug:%s:%s' % (rules, store)) for a in m.arguments]
        m.start()
        m.login()
        m.restart(DISTRICT)
        m.detach()
        answers = ''
        while not re.search(r'the disk failed(.|\n)*committed', answers):
            check.true(len(answers) < 20000, answers)
            answers += m.command('checkpoint ' + DISTRICT)
        told = r'could not be committed(.|\n)*can be committed again'
        for _ in range(100):  # it is told as soon as districtd has time for it
            events = m.command('events')
            if re.search(told, events):
                break
            m.read_for(0.1)
        check.true(re.search(told, events), events)
        m.restart(NEIGHBOUR)
        check.contains(m.sh('echo "alive $((6 * 7))"')[1], 'alive 42')
    finally:
        m.close()
    verify_store(store)


def used_blocks(path):
    with open(path, 'rb') as f:
        data = f.read()
    return [n for n in range(72, len(data) // 4096) if any(data[n * 4096:n * 4096 + 4096])]


def change(path, blocks):
    """Turns a bit in each. Returns {block: (before, after)}."""
    changed = {}
    with open(path, 'r+b') as f:
        for n in blocks:
            f.seek(n * 4096)
            before = f.read(4096)
            place = chance.randrange(4096)
            after = before[:place] + bytes([before[place] ^ 1 << chance.randrange(8)]) + before[place + 1:]
            f.seek(n * 4096)
            f.write(after)
            changed[n] = before, after
    return changed


def put_back(path, changed):
    """What was not written anew meanwhile."""
    with open(path, 'r+b') as f:
        for n, (before, after) in changed.items():
            f.seek(n * 4096)
            if f.read(4096) == after:
                f.seek(n * 4096)
                f.write(before)


def read_what_is_wrong(m, sums, right):
    m.send('restart %s\r' % DISTRICT)
    m.expect(r'\[attached to [^\r\n]*\r\n|\nrestart: [^\r\n]+')
    if 'attached' in m.match.group():
        m.send('%s; echo @""done@\n' % sums)
        text = m.expect(r'@done@|\[%s [^\]]+\]' % DISTRICT, 60)
        for line in re.findall(r'^[0-9a-f]{32}  /.*', text, re.MULTILINE):
            check.true(line in right, 'wrong bytes are believed: ' + line)
        if 'done' in m.match.group():
            m.detach()
            return
        print('       ' + m.match.group())
    m.expect(re.escape(PROMPT))


def test_a_running_district_reads_what_was_not_written():
    """All files are read while a part of the blocks is wrong: right, or the district ends with a reason."""
    store = copy(prepared.store, at('wrong.district'))
    sums = 'for f in $(find /bin /usr /workload -type f); do md5sum $f; done'
    with Machine([store, neighbour()], name='wrong') as m:
        m.login()
        m.restart(NEIGHBOUR)
        m.detach()
        m.restart(DISTRICT)
        right = sorted(set(re.findall(r'^[0-9a-f]{32}  /.*', m.sh(sums, 60)[1], re.MULTILINE)))
        check.true(len(right) > 3, 'files are read: %s' % right)
        m.detach()
        for _ in range(4):
            m.command('kill ' + DISTRICT)
            blocks = used_blocks(store)
            changed = change(store, chance.sample(blocks, len(blocks) // 20))
            read_what_is_wrong(m, sums, right)
            put_back(store, changed)
            m.command('kill ' + DISTRICT)
            m.restart(DISTRICT)
            m.detach()
        m.attach(NEIGHBOUR)
        check.contains(m.sh('echo "alive $((6 * 7))"')[1], 'alive 42')
    verify_store(store)


if __name__ == '__main__':
    harness.main(globals())
