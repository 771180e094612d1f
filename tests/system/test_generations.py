#!/usr/bin/python3
"""Generations as people use them: listing, going back and forth, dropping, scrubbing; and what happens when a
block of the store is damaged. The workload: a variable of the shell, a file and a process, which must always be
of one generation."""
import os
import re
import subprocess

import harness
from machine import MKDISTRICT, PROMPT, SCRATCH, Machine, make_store

check = harness.Checks
folder = os.path.join(SCRATCH, 'generations')
path = make_store(os.path.join(folder, 'a.district'), 'alpha', size='64M', interval='never')
machine = Machine([path], name='generations')
steps = {}  # generation: the step that the workload was at


def recover():
    machine.start()
    machine.login()


def one_line(text):
    lines = [line for line in text.split('\n') if line.strip()]
    check.equal(len(lines), 1, 'lines of an error: %r' % text)
    return lines[0]


def step(n):
    """The workload goes to step n, which is committed."""
    machine.attach('alpha')
    machine.sh('n=%d; echo %d > /tmp/n; kill $! 2>/dev/null; sleep 1000%d &' % (n, n, n))
    machine.detach()
    generation = machine.checkpoint('alpha')
    steps[generation] = n
    return generation


def state():
    """The step that the district is at: the same in the shell's memory, in a file and in the process list."""
    machine.attach('alpha')
    status, text = machine.sh('echo $n; cat /tmp/n; for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; '
                              'done | grep "^sleep 1000"')
    machine.detach()
    lines = text.split()
    check.equal(status, 0, text)
    check.equal(lines, [lines[0], lines[0], 'sleep', '1000' + lines[0]], 'all of one generation')
    return int(lines[0])


def generations():
    """What `generations` lists: {number: (mark, changed, bytes only it holds, the rest of the line)}."""
    listed = {}
    for line in machine.command('generations alpha').split('\n'):
        found = re.match(r'([ *-]) +(\d+)  .{14} +(\d+) +([\d.]+) ([KMG])iB  (.*)', line)
        if found:
            unit = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[found.group(5)]
            listed[int(found.group(2))] = (found.group(1), int(found.group(3)), float(found.group(4)) * unit,
                                           found.group(6))
    return listed


def current():
    return next(n for n, g in generations().items() if g[0] == '*')


def test_generations_are_listed():
    machine.login()
    check.contains(one_line(machine.command('retention alpha')), 'last 8')
    machine.restart('alpha')
    machine.detach()
    made = [step(n) for n in range(1, 6)]
    listed = generations()
    check.equal(sorted(listed), [0] + made)
    check.equal([n for n, g in listed.items() if g[0] == '*'], [made[-1]], 'the current one')
    check.contains(listed[0][3], 'as a new store')
    check.contains(listed[made[-1]][3], 'as asked')
    check.true(all(0 < g[1] < 3000 and 0 < g[2] < 4 << 20 for g in listed.values()), listed)


def test_rollback_brings_back_exactly_that_generation():
    newest = max(steps)
    for generation in (newest - 3, newest, newest - 1):
        text = machine.command('rollback alpha %d' % generation)
        check.contains(text, 'to %d' % generation)
        check.contains(text, 'alpha: runs from generation %d' % generation)
        check.equal(state(), steps[generation])
        check.equal(current(), generation)


def told():
    """What the district is told of this run of itself."""
    machine.attach('alpha')
    _, text = machine.sh('cat /proc/district')
    machine.detach()
    return dict(line.split(' ', 1) for line in text.split('\n'))


def test_a_restarted_program_is_told():
    before = told()
    check.equal((before['name'], before['reason'], int(before['generation'])), ('alpha', 'rolled back', current()))
    machine.checkpoint('alpha')
    machine.command('kill alpha')
    machine.restart('alpha')
    machine.detach()
    after = told()
    check.equal((after['reason'], int(after['generation'])), ('asked', max(generations())))
    (number, random), (number_before, random_before) = after['incarnation'].split(), before['incarnation'].split()
    check.equal(int(number), int(number_before) + 1)
    check.true(random != random_before, 'incarnations do not look alike')
    machine.command('rollback alpha %d' % int(before['generation']))


def test_rollback_without_number_is_to_the_newest():
    machine.attach('alpha')
    machine.sh('n=99')
    machine.detach()
    before = current()
    check.contains(machine.command('rollback alpha'), 'its current generation; what was not committed is lost')
    check.equal(current(), before)
    check.equal(state(), steps[before])


def test_a_rollback_can_be_undone():
    left = current()
    check.contains(machine.command('rollback alpha --back 2'), "'rollback alpha %d' undoes it" % left)
    check.equal(state(), steps[left] - 2)
    branch = step(50)
    listed = generations()
    check.true(branch == max(listed) and listed[branch][0] == '*', 'a number of its own')
    check.contains(listed[branch][3], 'from %d' % (left - 2))
    check.equal((listed[left][0], listed[left - 1][0], listed[left - 2][0]), ('-', '-', ' '))
    check.contains(listed[left][3], 'abandoned')
    machine.command('rollback alpha %d' % left)
    check.equal(state(), steps[left])
    check.contains(generations()[branch][3], 'abandoned')


def test_what_is_not_kept_is_refused():
    before = generations()
    for order, words in (('rollback alpha 777', '777'), ('rollback alpha --back 99', 'can go back'),
                         ('rollback alpha x', "'x'"), ('rollback alpha --frob 1', '--frob'),
                         ('rollback alpha -1', "'-1'"), ('rollback alpha --back', 'without a number'), ('rollback nosuch', 'known: alpha'),
                         ('drop alpha 777', 'there are 0 to'), ('drop alpha', 'usage'), ('drop alpha x', "'x'"),
                         ('drop alpha %d' % current(), 'it stays'), ('generations', 'usage'),
                         ('generations nosuch', 'known: alpha'), ('scrub alpha --frob', '--frob'),
                         ('scrub nosuch', 'known: alpha'), ('events nosuch', 'known: alpha'),
                         ('retention alpha 1,0,0,0', 'at least 2'), ('retention alpha 9999,0,0,0', 'at least 2'),
                         ('retention alpha 8,60', 'LAST,MINUTES'), ('policy alpha frob', "'frob'"),
                         ('restart alpha --generation 0', 'rollback')):
        check.contains(one_line(machine.command(order)), words, order)
    check.equal(generations(), before)


def test_drop_frees_what_was_said():
    listed = generations()
    left = [n for n in listed if listed[n][0] == '-'][0]
    for number in (left, 0):
        held = generations()[number][2]
        text = machine.command('drop alpha %d' % number)
        found = re.search(r'generation %d dropped; ([\d.]+) ([KM])iB freed' % number, text)
        check.true(found, text)
        check.equal(float(found.group(1)) * {'K': 1 << 10, 'M': 1 << 20}[found.group(2)], held, 'bytes freed')
        check.true(number not in generations(), 'it is gone')
    check.equal(state(), steps[current()])


def test_retention():
    check.contains(machine.command('retention alpha 3,0,0,0'), 'last 3')
    made = [step(n) for n in range(60, 64)]
    check.equal(sorted(generations()), made[-3:])
    check.contains(machine.command('retention alpha 8,60,24,30'), 'last 8')
    machine.command('drop alpha %d' % made[-3])
    check.contains(one_line(machine.command('drop alpha %d' % made[-2])), 'two generations')


def test_a_rollback_while_generations_come_and_go():
    """At 10 ms, with two kept, the one that is meant may be gone any moment: it is gone back to, or the district runs on."""
    machine.command('retention alpha 2,0,0,0')
    machine.attach('alpha')
    machine.sh('((while :; do echo $((i+=1)) > /busy; done) & echo $! > /busy.pid)')  # step() wants its own $!
    machine.detach()
    machine.command('interval alpha 10ms')
    for _ in range(5):
        listed = machine.command('generations alpha')
        check.equal(listed.count('\n*'), 2, listed)  # with the legend: the current one is in it
    for _ in range(25):
        text = machine.command('rollback alpha --back 1')
        check.true('runs from generation' in text or 'kept' in text or 'can go back' in text, text)
        check.contains(machine.command('districts'), 'running', text)
    machine.command('interval alpha off')
    machine.command('retention alpha 8,60,24,30')
    machine.attach('alpha')
    machine.sh('kill $(cat /busy.pid)')
    machine.detach()
    machine.checkpoint('alpha')


def test_restart_from_a_generation():
    made = [step(n) for n in (70, 71, 72)]
    machine.command('kill alpha')
    check.contains(one_line(machine.command('rollback alpha')), 'restart alpha --generation N')
    check.contains(one_line(machine.command('restart alpha --generation 777')), '777')
    check.contains(generations()[made[-1]][0], '*')
    machine.send('restart alpha --generation %d\r' % made[0])
    machine.expect(r'goes from generation %d to %d' % (made[-1], made[0]))
    machine.expect(r'restarted from generation %d, ' % made[0])
    machine.expect(r'detaches\]\r\n')
    machine.detach()
    check.equal(state(), 70)
    machine.command('rollback alpha %d' % made[-1])
    check.equal(state(), 72)


def test_scrub_finds_nothing_and_can_be_left():
    check.contains(machine.command('scrub alpha', 60), 'no damage')
    machine.send('scrub alpha\r\x03')
    machine.expect(r'the scrub goes on')
    machine.expect(re.escape(PROMPT))
    check.true(re.search('was stopped|none is under way', machine.command('scrub alpha --stop')), 'scrub --stop')
    check.contains(machine.command('events alpha'), 'blocks read, no damage')


def test_events_tell_the_story():
    text = machine.command('events alpha')
    for words in ('started for the first time', 'rolled back to generation', 'killed, as asked',
                  'dropped, as asked', 'restarted from generation'):
        check.contains(text, words)


def test_completion():
    machine.send('rollb\tal\t--b\t2\x15')
    machine.expect('rollback alpha --back 2')
    machine.send('res\t')
    machine.expect('res\x07?tart |restart ')
    machine.send('\x15\r')
    machine.expect(re.escape(PROMPT))
    check.contains(machine.command('help'), 'generations')


# --- damage ---------------------------------------------------------------------------------------------------


def dump(what, generation=''):
    return subprocess.run([MKDISTRICT, 'dump', path + generation, *what], capture_output=True, text=True,
                          check=False).stdout


def block_of(oid, generation=''):
    """Where the object lies; None if it is damaged already."""
    found = re.search(r'bytes +block (\d+)', dump(['object', oid], generation))
    return int(found.group(1)) if found else None


def harm(block, at=1234):
    """Some bytes of the block are others."""
    with open(path, 'r+b') as f:
        f.seek(block * 4096 + at)
        old = f.read(8)
        f.seek(block * 4096 + at)
        f.write(bytes(b ^ 0x55 for b in old))


def newest_root():
    """The blocks of both twins of the root with the highest sequence number."""
    roots = re.findall(r'^root slot \d+, twin \d+, block (\d+)\n(?:  .*\n)*?  sequence +(\d+)', dump(['roots']),
                       re.MULTILINE)
    newest = max(int(sequence) for _, sequence in roots)
    return [int(block) for block, sequence in roots if int(sequence) == newest]


def file_block(name):
    return block_of(re.search(r'objects (0x[0-9a-f]+)', dump(['inode', name])).group(1))


def off_without_kill():
    machine.send('poweroff\r')
    machine.wait_off()


def off():
    """Off, without one more checkpoint."""
    machine.command('kill alpha')
    off_without_kill()


def on():
    machine.start()
    machine.login()


def start_and_fall_back(whole, orders=''):
    """`restart` meets damage, at once or by these orders, and ends attached to generation `whole`."""
    machine.send('restart alpha\r')
    machine.expect(r'\[attached to [^\r\n]*\r\n')
    machine.send(orders)
    machine.expect(r'ended and was restarted from generation (\d+): ([^\]]*)\]')
    check.equal(int(machine.match.group(1)), whole)
    text = machine.match.group(2)
    machine.detach()
    return text


def test_damage_in_a_file_leads_one_generation_back():
    machine.attach('alpha')
    machine.sh('echo whole > /tmp/precious')
    machine.detach()
    whole = step(80)
    machine.attach('alpha')
    machine.sh('echo damaged > /tmp/precious')
    machine.detach()
    damaged = step(81)
    off()
    block = file_block('/tmp/precious')
    harm(block)
    on()
    text = start_and_fall_back(whole, 'cat /tmp/precious\n')
    check.contains(text, 'block %d' % block)
    check.contains(text, 'generation %d' % damaged)
    check.equal(state(), 80)
    machine.attach('alpha')
    check.equal(machine.sh('cat /tmp/precious'), (0, 'whole'))
    machine.detach()
    check.contains(generations()[damaged][3], 'DAMAGED')
    text = machine.command('events alpha')
    check.true(re.search(r'damage in block %d \(byte %#x\).*generation %d.*expected.*found' %
                         (block, block * 4096, damaged), text), text)
    check.true(re.search(r'rolled back to generation %d' % whole, text), text)


def test_scrub_finds_the_damage():
    text = machine.command('scrub alpha', 60)
    check.true(re.search(r'\d+ blocks read in .*, 1 damaged, 0 of them repaired', text), text)
    check.contains(machine.command('events alpha'), '1 damaged')


def test_a_damaged_first_object_is_no_dead_end():
    """The system page: without it the district cannot even begin."""
    whole = current()
    damaged = step(90)
    off()
    harm(block_of('1'))
    on()
    check.contains(start_and_fall_back(whole), 'object 1 of generation %d' % damaged)
    check.equal(state(), 80)


def index_blocks(generation=''):
    return re.findall(r'index block, block (\d+)', dump(['index'], generation))


def test_a_damaged_index_leads_back():
    """A block of it that only commits need, for the pages of a file: no checkpoint can be made any more, so it goes back."""
    whole = current()
    machine.attach('alpha')
    machine.sh('dd if=/dev/urandom of=/tmp/many bs=1k count=2000')
    machine.detach()
    damaged = machine.checkpoint('alpha')
    off()
    harm(int([b for b in index_blocks() if b not in index_blocks('@%d' % whole)][-1]))
    on()
    machine.restart('alpha')
    machine.sh('dd if=/dev/urandom of=/tmp/more bs=1k count=100')
    machine.detach()
    for _ in range(2):
        check.contains(machine.command('checkpoint alpha'), 'the store is damaged')
    for _ in range(100):
        text = machine.command('events alpha')
        if 'rolled back' in text:
            break
        machine.read_for(0.1)
    check.contains(text, 'the index of generation %d is damaged' % damaged)
    check.contains(text, 'rolled back to generation %d' % whole)
    check.equal(current(), whole)
    check.equal(state(), steps[whole])
    step(80)


def test_policy_stop_lists_the_choice():
    check.contains(machine.command('policy alpha stop'), 'stops')
    whole = current()
    damaged = step(91)
    off()
    harm(block_of('1'))
    on()
    machine.send('restart alpha\r')
    machine.expect(r'has ended: stopped: object 1 of generation %d[^\r\n]*--generation N[^\r\n]*\r\n' % damaged)
    machine.expect(re.escape(PROMPT))
    text = machine.command('restart alpha')  # events may come between
    line = one_line(''.join(l + '\n' for l in text.splitlines() if l.startswith('restart: ')))
    check.contains(line, '--generation N')
    choice = [int(n) for n in re.findall(r'\d+', line.split('with')[1])]
    check.true(whole in choice and damaged not in choice, line)
    machine.send('restart alpha --generation %d\r' % whole)
    machine.expect(r'restarted from generation %d, ' % whole)
    machine.expect(r'detaches\]\r\n')
    machine.detach()
    check.equal(state(), 80)
    check.contains(machine.command('policy alpha rollback'), 'newest generation')


def test_a_lost_root_is_said():
    """One twin of the newest root lost is nothing; both are its generation."""
    before = step(100)
    newest = step(101)
    off()
    harm(newest_root()[0], 300)
    on()
    check.equal(current(), newest)
    check.contains(machine.command('events alpha'), 'a copy of the root of generation %d is not whole' % newest)
    off_without_kill()
    harm(newest_root()[1], 300)
    on()
    check.equal(current(), before)
    check.contains(machine.command('events alpha'), 'is not whole: generation %d is the newest' % before)
    machine.restart('alpha')
    machine.detach()
    check.equal(state(), 100)
    check.equal(step(102), newest)


def test_nothing_whole_is_said():
    """Every version of the system page is damaged: no generation can be restarted, and nothing else breaks."""
    off()
    numbers = [int(n) for n in re.findall(r'^generation (\d+)', dump(['generations']), re.MULTILINE)]
    check.true(len(numbers) >= 3, dump(['generations']))
    for block in {block_of('1', '@%d' % n) for n in numbers} - {None}:
        harm(block)
    on()
    machine.send('restart alpha\r')
    machine.expect(r'has ended: stopped: [^\r\n]*none of its \d+ generations')
    machine.expect(re.escape(PROMPT))
    check.true(re.search(r'alpha +stopped', machine.command('districts')), 'alpha is stopped')


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
