#!/usr/bin/python3
"""One store is open in one place at a time: machines, host tools and `bw` in all pairs. Who comes second is refused and
told who has it; what reads may share; a holder that was killed is not in the way."""
import os
import shutil
import signal
import subprocess

import harness
from machine import BOOT, BUILD, MKDISTRICT, SCRATCH, TOP, Machine, make_store, verify_store

check = harness.Checks
folder = os.path.join(SCRATCH, 'locks')
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
STORE = make_store(os.path.join(folder, 'held.district'), 'held', size='64M')
ENVIRONMENT = dict(os.environ, BW_BUILT='1')
with open(os.path.join(folder, 'file'), 'w') as content:
    content.write('content')


# ---- who comes second: a command, run to its end ---------------------------------------------------

def reads():
    return [MKDISTRICT, '--info', STORE]


def writes():
    return [MKDISTRICT, 'put', STORE, os.path.join(folder, 'file'), '/tmp/file']


def replaces():
    return [MKDISTRICT, '--force', '--size', '64M', '--root', os.path.join(BUILD, 'tree.tar'), STORE]


def boots():
    return [os.path.join(TOP, 'bw'), 'run', '--print', '--store', STORE]


def emulates():
    """An emulator that `bw` has not looked after."""
    return ['timeout', '10', 'qemu-system-x86_64', '-display', 'none', '-nodefaults', '-S', '-monitor', 'stdio',
            '-drive', 'file=%s,format=raw,if=none,id=d' % STORE, '-device', 'virtio-blk-pci,drive=d']


def comes_second(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, input='quit\n', env=ENVIRONMENT, cwd=BOOT)


def refused(second, process, name):
    done = comes_second(second())
    said = done.stdout + done.stderr
    check.true(done.returncode > 0, '%s while %s has it: %s' % (second.__name__, name, said[-500:]))
    if second is emulates:
        check.contains(said, 'lock')  # its own words
        return
    check.contains(said, 'held.district')
    check.contains(said, 'in use')
    check.contains(said, name)
    check.true('process %d' % process in said, '%d in %s' % (process, said))
    check.equal(done.stderr.count('\n'), 1, done.stderr)


def allowed(*seconds):
    for second in seconds:
        done = comes_second(second())
        check.equal(done.returncode, 0, '%s: %s' % (second.__name__, done.stderr))


# ---- who comes first: holds it until it is killed --------------------------------------------------

def tool_that_reads():
    """An export into a pipe that nobody empties."""
    child = subprocess.Popen([MKDISTRICT, 'export', STORE], stdout=subprocess.PIPE)
    child.stdout.read(1)
    return child


def tool_that_writes():
    """An import in the store's place, from a stream that does not go on."""
    stream = subprocess.run([MKDISTRICT, 'export', STORE], check=True, capture_output=True).stdout
    child = subprocess.Popen([MKDISTRICT, 'import', '--replace', STORE], stdin=subprocess.PIPE)
    check.true(len(stream) > 1 << 20, 'far more than what pipe and child keep before the store is made')
    child.stdin.write(stream[:-1])
    child.stdin.flush()
    return child


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()


EVERYBODY = (reads, writes, replaces, boots, emulates)


def test_nobody_has_it():
    allowed(reads, writes, boots, emulates)


def test_a_machine_has_it():
    with Machine([STORE], name='locks') as machine:
        machine.expect('login: ', 60)
        for second in EVERYBODY:
            refused(second, machine.child.pid, 'qemu-system-x86_64')
        machine.unplug()
        allowed(reads, writes, boots, emulates)
    verify_store(STORE)


def test_a_tool_that_reads_has_it():
    child = tool_that_reads()
    allowed(reads)
    for second in (writes, replaces, boots, emulates):
        refused(second, child.pid, 'mkdistrict')
    kill(child)
    allowed(*EVERYBODY)


def test_a_tool_that_writes_has_it():
    child = tool_that_writes()
    for second in EVERYBODY:
        refused(second, child.pid, 'mkdistrict')
    kill(child)
    allowed(*EVERYBODY)
    verify_store(STORE)


def test_two_that_read():
    first, second = tool_that_reads(), tool_that_reads()
    kill(first)
    refused(writes, second.pid, 'mkdistrict')
    kill(second)
    allowed(writes)


def test_by_another_name():
    """Links to a store are that store."""
    link, hard = os.path.join(folder, 'link.district'), os.path.join(folder, 'hard.district')
    os.symlink(STORE, link)
    os.link(STORE, hard)
    child = tool_that_reads()
    for path in (link, hard):
        done = comes_second([MKDISTRICT, 'put', path, os.path.join(folder, 'file'), '/tmp/file'])
        check.contains(done.stderr, 'in use by mkdistrict, process %d' % child.pid)
        done = comes_second([os.path.join(TOP, 'bw'), 'run', '--print', '--store', path])
        check.contains(done.stderr, 'in use')
    kill(child)


if __name__ == '__main__':
    harness.main(globals())
