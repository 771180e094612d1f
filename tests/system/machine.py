"""A machine that runs Bailiwick in QEMU or Bochs, driven through its console like a user would.

    with Machine([store]) as m:
        m.login()
        m.restart('my-district')        # attached to the district now
        status, text = m.sh('echo hello')
        m.detach()
        m.command('checkpoint my-district')
        m.unplug()                      # kill -9 of the emulator
        m.start()                       # boots again on the same stores

Every byte of the console is kept in a log below build/tests, named when something fails.
"""
import itertools
import os
import re
import shutil
import subprocess
import sys
import termios
import time

import pexpect

from harness import Checks

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, 'build')
BOOT = os.environ.get('BW_BOOT', os.path.join(BUILD, 'boot'))
MKDISTRICT = os.path.join(BUILD, 'bin', 'mkdistrict')
SCRATCH = os.path.join(BUILD, 'tests')
PROMPT = 'guest@bailiwick$ '
DETACH = '\x1d'
SLOW = float(os.environ.get('BW_SLOW', '1'))  # stretches every time limit

numbers = itertools.count(1)


class MachineError(Exception):
    """What was expected did not come; the text says what was seen last."""


def plain(text):
    """Console text without escape sequences and carriage returns."""
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text)
    return text.replace('\r', '')


def no_newline_mapping():
    """The pty must not add carriage returns: what comes is what the machine sent."""
    settings = termios.tcgetattr(0)
    settings[1] &= ~termios.ONLCR
    termios.tcsetattr(0, termios.TCSANOW, settings)


def make_store(path, name='my-district', size='256M', root=None, interval=None,
               program='/bin/busybox sh', native=()):
    """Formats a store, in place of one that is there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    command = [MKDISTRICT, '--force', '--size', size, '--name', name, '--root',
               root or os.path.join(BUILD, 'tree.tar'), '--exec', program]
    if interval:
        command += ['--interval', interval]
    for words in native:
        command += ['--program', words]
    done = subprocess.run(command + [path], capture_output=True, text=True)
    if done.returncode:
        raise MachineError('mkdistrict failed: ' + done.stderr)
    return path


def verify_store(path):
    """Raises unless `mkdistrict --verify` finds everything right."""
    done = subprocess.run([MKDISTRICT, '--verify', path], capture_output=True, text=True)
    if done.returncode:
        raise MachineError('%s does not verify:\n%s%s' % (path, done.stdout, done.stderr))


def make_tree(path, *extra):
    """A tree archive for mkdistrict with the folders `extra` laid over the usual one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    usual = os.path.join(BUILD, 'tree.tar')
    subprocess.run(['cp', usual, path], check=True)
    for folder in extra:
        subprocess.run(['tar', '-C', folder, '--owner=0', '--group=0', '-rf', path, '.'], check=True)
    return path


def with_mutant(folder, *names):
    """A boot folder in which these programs are mutants, below a folder."""
    place = os.path.join(folder, 'boot-' + '-'.join(names))
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(BOOT, place)
    for name in names:
        shutil.copy(os.path.join(BUILD, 'mutant', name + '.elf'), os.path.join(place, name + '.elf'))
    return place


def with_failing(folder):
    """A boot folder in which servers fail now and then, at any invocation, below a folder."""
    place = os.path.join(folder, 'boot-failing')
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(BOOT, place)
    shutil.copytree(os.path.join(BUILD, 'failing'), place, dirs_exist_ok=True)
    return place


def on_ide(argument):
    """QEMU's argument for a disk, the disk at the classic controller: two channels of two."""
    n = int(argument.removeprefix('virtio-blk-pci,drive=store'))
    return 'ide-hd,drive=store%d,bus=ide.%d,unit=%d' % (n, n // 2, n % 2)


def without(folder, name):
    """A boot folder in which this program is missing, below a folder."""
    place = os.path.join(folder, 'boot-without-' + name)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(BOOT, place)
    os.remove(os.path.join(place, name + '.elf'))
    return place


class Machine:
    """emulator: 'qemu' or 'bochs'. disk, of QEMU: 'virtio' or 'ide'. image: a disk that it boots from."""

    def __init__(self, stores, memory=256, extra=(), name='machine', nucleus=None, kvm=True, echo=False,
                 boot=BOOT, emulator='qemu', disk='virtio', image=None):
        os.makedirs(os.path.join(SCRATCH, 'log'), exist_ok=True)
        self.log_path = os.path.join(SCRATCH, 'log', '%s-%d-%d.log' % (name, os.getpid(), next(numbers)))
        self.log = open(self.log_path, 'w', encoding='utf-8', errors='replace')
        self.echo = echo
        self.boot = boot  # the folder with what is booted
        self.child = None
        command = [os.path.join(TOP, 'bw'), 'run', '--print', '--memory', str(memory), '--machine', emulator,
                   '--log', self.log_path.replace('.log', '.nucleus')]
        for store in stores:
            command += ['--store', store]
        if image:
            command += ['--image', image]
        if not kvm:
            command.append('--no-kvm')
        environment = dict(os.environ, BW_BUILT='1', BW_BOOT=boot)
        if nucleus:
            environment['BW_NUCLEUS'] = nucleus
        done = subprocess.run(command + ['--', *extra], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise MachineError(done.stderr.strip())
        self.arguments = done.stdout.splitlines()
        if disk == 'ide':
            self.arguments = [on_ide(a) if a.startswith('virtio-blk-pci,') else a for a in self.arguments]
        self.start()

    # -- power ---------------------------------------------------------------------------------------

    def start(self):
        """Switches the machine on."""
        self.unplug()
        self.started = time.monotonic()
        self.log.write('\n---- power on ----\n')
        self.child = pexpect.spawn(self.arguments[0], self.arguments[1:], cwd=self.boot, timeout=30,
                                   encoding='utf-8', codec_errors='replace', maxread=65536,
                                   dimensions=(24, 80), preexec_fn=no_newline_mapping)
        self.child.delaybeforesend = None
        self.child.delayafterclose = self.child.delayafterterminate = 0.02
        self.child.logfile_read = Tee(self.log, sys.stdout) if self.echo else self.log

    def unplug(self):
        """kill -9 of the emulator: the power cut."""
        if self.child:
            self.child.kill(9)
            self.child.wait()
            self.child.close()
            self.child = None
            self.log.write('\n---- power cut ----\n')
            self.log.flush()

    def wait_off(self, timeout=30):
        """Waits until the machine has switched itself off."""
        self.expect(pexpect.EOF, timeout)
        self.child.close()
        self.child = None

    def close(self):
        self.unplug()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()

    # -- the terminal --------------------------------------------------------------------------------

    def send(self, text):
        self.child.send(text)

    def expect(self, pattern, timeout=30):
        """Waits for a regular expression (or pexpect.EOF); returns the text before it. self.match has the match."""
        try:
            self.child.expect(pattern, timeout=timeout * SLOW)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            self.log.flush()
            seen = plain(self.child.before if isinstance(self.child.before, str) else '')
            kind = 'the machine ended' if isinstance(error, pexpect.EOF) else 'timeout'
            raise MachineError('%s while waiting for %r; last seen: %r (%s)' %
                               (kind, pattern, seen[-500:], self.log_path)) from None
        self.match = self.child.match
        return plain(self.child.before)

    def read_for(self, seconds):
        """Everything that the console shows in that time."""
        text, end = '', time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                text += self.child.read_nonblocking(65536, timeout=left)
            except pexpect.TIMEOUT:
                break
            except pexpect.EOF:
                raise MachineError('the machine ended; last seen: %r (%s)' %
                                   (plain(text)[-500:], self.log_path)) from None
        return plain(text)

    # -- the commons ---------------------------------------------------------------------------------

    def login(self, timeout=60):
        self.expect('login: ', timeout)
        self.send('guest\r')
        self.expect(re.escape(PROMPT))

    def command(self, line, timeout=30):
        """Runs a command of the commons' shell that does not attach; returns what it printed."""
        self.send(line + '\r')
        self.expect(re.escape(line) + r'\r\n')
        return self.expect(re.escape(PROMPT), timeout)

    def restart(self, name, options='', timeout=60):
        """`restart NAME`; returns the generation it was restarted from (0 for a new one). Attached then."""
        self.send('restart %s %s\r' % (name, options))
        self.expect(r'%s: (?:started for the first time|restarted from generation (\d+), ([^\r\n]*) old)\r\n'
                    r'\[attached to [^\r\n]*\r\n|\nrestart: ([^\r\n]+)\r\n' % re.escape(name), timeout)
        if self.match.group(3):
            raise MachineError('restart %s: %s' % (name, self.match.group(3)))
        return int(self.match.group(1) or 0)

    def attach(self, name):
        self.send('attach %s\r' % name)
        self.expect(r'\[attached to [^\r\n]*\r\n')

    def detach(self):
        """Ctrl-]; returns what the district had still shown."""
        self.send(DETACH)
        text = self.expect(r'\[detached from [^\]]*\]')
        self.expect(re.escape(PROMPT))
        return text

    def checkpoint(self, name):
        """`checkpoint NAME` from the commons; returns the generation that is committed then."""
        text = self.command('checkpoint ' + name, 60)
        found = re.search(r'generation (\d+) committed|nothing has changed since generation (\d+)', text)
        if not found:
            raise MachineError('checkpoint %s: %r (%s)' % (name, text, self.log_path))
        return int(found.group(1) or found.group(2))

    # -- the district's shell ------------------------------------------------------------------------

    def prompt(self, timeout=60):
        """Waits until the district's shell asks for a command."""
        self.expect(r'# (?:\x1b\[6n)?$', timeout)

    def sh(self, line, timeout=30):
        """Runs a line in the district's shell; returns (status, output). Ctrl-U comes first: the checkpoint that the
        district has started from may have met a line that was half typed."""
        n = next(numbers)
        self.send('\x15echo @""s%d; %s%s echo @""e%d:$?@\n' % (n, line, '' if line.endswith('&') else ';', n))
        self.expect(r'@s%d\r\n' % n, timeout)
        text = self.expect(r'@e%d:(\d+)@\r\n' % n, timeout)
        return int(self.match.group(1)), text.rstrip('\n')

    def checked(self, line, expected=None, status=0, timeout=30):
        """Runs a line likewise; expects that status, and that output if one is given. Returns the output."""
        found, text = self.sh(line, timeout)
        Checks.equal(found, status, 'status of `%s` (%s)' % (line, text))
        if expected is not None:
            Checks.equal(text, expected, line)
        return text


class Tee:
    def __init__(self, *files):
        self.files = files

    def write(self, text):
        # What asks the terminal where its cursor is would be answered by the reader's own terminal.
        for f in self.files:
            f.write(text.replace('\x1b[6n', ''))

    def flush(self):
        for f in self.files:
            f.flush()
