#!/usr/bin/python3
"""The front door and mkdistrict on the host: what is refused, and with which words."""
import os
import re
import shutil
import stat
import subprocess

import pexpect

import harness
from machine import BUILD, MKDISTRICT, SCRATCH, TOP, Machine, make_store, verify_store

check = harness.Checks
folder = os.path.join(SCRATCH, 'host')
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
tree = os.path.join(BUILD, 'tree.tar')


def at(name):
    return os.path.join(folder, name)


def refused(command, words):
    """The command must fail with one line on stderr (after usage, none) that has the words."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, BW_BUILT='1'))
    check.true(done.returncode not in (0, None) and done.returncode > 0,
               '%s: exit code %s, %s' % (command[1:], done.returncode, done.stdout[-300:]))
    for word in words:
        check.contains(done.stdout + done.stderr, word)
    check.true('Traceback' not in done.stderr and 'line ' not in done.stderr.split('\n')[0], done.stderr)


def run(*arguments):
    return [os.path.join(TOP, 'bw'), 'run', '--print', *arguments]


def mk(*arguments):
    return [MKDISTRICT, *arguments]


def good():
    if not os.path.exists(at('good.district')):
        make_store(at('good.district'), 'good', size='64M')
    return at('good.district')


def test_front_door_explains_itself():
    done = subprocess.run([os.path.join(TOP, 'bw')], capture_output=True, text=True)
    check.equal(done.returncode, 0)
    for verb in ('run', 'test', 'bench', 'demo', 'gdb'):
        check.contains(done.stdout, './bw ' + verb)


def test_unknown_verb_and_options():
    refused([os.path.join(TOP, 'bw'), 'frob'], ['unknown verb frob'])
    refused(run('--frob'), ['--frob'])
    refused(run('--store'), ['--store'])
    refused(run('--memory', 'much'), ['--memory'])
    refused(run('--memory', '3'), ['--memory'])


def test_a_window_without_a_display():
    for machine in 'qemu', 'bochs':
        refused(['env', '-u', 'DISPLAY', '-u', 'WAYLAND_DISPLAY', os.path.join(TOP, 'bw'), 'run', '--machine', machine,
                 '--window'], ['--window', 'DISPLAY'])


def test_bochs_cannot():
    bochs = '--machine', 'bochs', '--store', good()
    refused(run(*bochs, '--memory', '2049'), ['2048 MiB is the most'])
    refused(run(*bochs, '--console', at('console')), ['--console is for QEMU'])
    words = run(*bochs, '--log', at('log'), '--', 'cpu: model=none')
    words.remove('--print')  # which wants no terminal
    child = pexpect.spawn(words[0], words[1:], env=dict(os.environ, BW_BUILT='1'), encoding='utf-8', timeout=60)
    child.expect('Bochs gave up: .* cpu directive malformed')
    child.expect(pexpect.EOF)
    child.close()
    check.true(child.exitstatus > 0, 'exit code %s' % child.exitstatus)


def test_a_missing_store():
    refused(run('--store', at('nowhere')), ['nowhere', 'no such store'])


def test_a_foreign_store():
    with open(at('foreign'), 'wb') as f:
        f.write(os.urandom(1 << 20))
    refused(run('--store', at('foreign')), ['foreign'])
    refused(mk('--info', at('foreign')), ['foreign'])
    refused(mk('--verify', at('foreign')), ['foreign'])


def test_an_empty_file_and_a_folder():
    open(at('empty'), 'w').close()
    for what in ('--info', '--verify'):
        refused(mk(what, at('empty')), ['empty'])
        refused(mk(what, folder), [folder])
        refused(mk(what, at('nowhere')), ['nowhere'])


def test_a_truncated_store():
    shutil.copyfile(good(), at('cut'))
    os.truncate(at('cut'), 20 << 20)
    refused(mk('--info', at('cut')), ['cut'])
    refused(mk('--verify', at('cut')), ['cut'])
    refused(run('--store', at('cut')), ['cut'])


def test_two_stores_of_one_name():
    make_store(at('twin.district'), 'good', size='64M')
    refused(run('--store', good(), '--store', at('twin.district')), ['two stores', 'good'])


def test_a_copy_of_a_store():
    shutil.copyfile(good(), at('copy.district'))
    refused(run('--store', good(), '--store', at('copy.district')), ['two stores'])


def test_a_store_that_another_emulator_has():
    with Machine([good()], name='host') as machine:
        machine.expect('login: ', 60)
        refused(run('--store', good()), ['in use', str(machine.child.pid)])
    subprocess.run(run('--store', good()), check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, BW_BUILT='1'))


def test_format_gives_a_store_of_mode_600():
    mode = stat.S_IMODE(os.stat(good()).st_mode)
    check.equal(oct(mode), '0o600')
    verify_store(good())


def test_info():
    text = subprocess.run(mk('--info', good()), capture_output=True, text=True, check=True).stdout
    for line in (r'^name +good$', r'^id +[0-9a-f-]+$', r'generation', r'page', r'node', r'domain'):
        check.true(re.search(line, text, re.MULTILINE | re.IGNORECASE), '%s in %s' % (line, text))


def test_no_overwriting():
    with open(good(), 'rb') as f:
        before = f.read(1 << 20)
    refused(mk('--size', '64M', '--name', 'new', '--root', tree, '--exec', '/bin/busybox sh', good()), ['--force'])
    with open(good(), 'rb') as f:
        check.true(f.read(1 << 20) == before, 'the store is unchanged')


def test_wrong_sizes_names_and_archives():
    usual = ['--root', tree, '--exec', '/bin/busybox sh']
    refused(mk('--size', 'big', '--name', 'x', *usual, at('x')), ['big'])
    refused(mk('--size', '-5M', '--name', 'x', *usual, at('x')), ['5M'])
    refused(mk('--size', '256M', '--name', '', *usual, at('x')), ['name'])
    refused(mk('--size', '256M', '--name', 'n' * 60, *usual, at('x')), ['name'])
    refused(mk('--size', '256M', '--name', 'x', '--root', at('nowhere'), '--exec', '/bin/sh', at('x')), ['nowhere'])
    refused(mk('--size', '256M', '--name', 'x', '--root', at('foreign'), '--exec', '/bin/sh', at('x')), ['foreign'])
    refused(mk('--size', '2M', '--name', 'x', *usual, at('x')), [])
    refused(mk('--size', '64M', '--name', 'x', *usual, os.path.join(folder, 'no', 'such', 'x')), ['x'])
    refused(mk('--size', '64M', *usual, at('-odd')), ["a district's name", '--name'])
    refused(mk('--frob'), ['frob'])
    check.true(not os.path.exists(at('x')), 'nothing is left behind')


def test_a_first_program_that_is_not_there():
    for program, words in (('/bin/busybox sh', ''), ('/no/such thing', '/no/such is not in its file tree'), ('/usr/bin/sh', '')):
        done = subprocess.run(mk('--force', '--size', '64M', '--name', 'x', '--root', tree, '--exec', program, at('first')),
                              capture_output=True, text=True)
        check.equal(done.returncode, 0, done.stderr)
        check.true(words in done.stderr and bool(words) == bool(done.stderr), '%s: %s' % (program, done.stderr))


def test_damage_is_found_and_named():
    """Every block that is in use, changed: --verify must name it (here: a sample over the whole store)."""
    shutil.copyfile(good(), at('damaged'))
    os.chmod(at('damaged'), 0o600)
    with open(at('damaged'), 'r+b') as f:
        data = f.read()
        used = [i for i in range(0, len(data), 4096) if any(data[i:i + 4096])]
        found = 0
        sample = used[3::max(1, len(used) // 25)]
        for place in sample:
            f.seek(place + 1000)
            f.write(bytes([data[place + 1000] ^ 0x40]))
            f.flush()
            done = subprocess.run(mk('--verify', at('damaged')), capture_output=True, text=True)
            found += done.returncode > 0
            check.true(done.returncode >= 0, 'mkdistrict was killed by signal %d' % -done.returncode)
            f.seek(place)
            f.write(data[place:place + 4096])
            f.flush()
    # Blocks that only a superseded root uses may go unnoticed, but those are few.
    check.true(found >= len(sample) - 2, 'only %d of %d changed blocks were found' % (found, len(sample)))
    verify_store(at('damaged'))


if __name__ == '__main__':
    harness.main(globals())
