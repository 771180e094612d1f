"""Two districts that must not suffer, `quiet` with a latency probe that asks an echo in `there`, and `busy` that computes;
and greedy ones that give trouble, each of its own kind. For test_neighbour.py and the bench.

Time is counted in instructions (-icount), so that what the probes see does not depend on the host as long as anything
computes.
"""
import os
import re
import time

from machine import SCRATCH, SLOW, Machine, make_store, verify_store

INSTRUCTION = 3      # 2 ** that many ns each
GOOD = ('quiet', 'there', 'busy')
PATIENCE = 60
LINE = re.compile(r'^(quiet|busy)[\s\0]*: probe: (.*)$', re.MULTILINE)
WAKES = re.compile(r'(\d+) wakes, (\d+) us late at most, (\d+) messages, (\d+) us the longest, (\d+) lost; run (\d+)$')
TURNS = re.compile(r'(\d+) turns, (\d+) us between two at most; run (\d+)$')

# What a greedy district runs.
LINES = {
    'idle': 'true',
    'computes': 'for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done',
    'forks': 'f() { f & f & }; f 2> /dev/null',
    'memory': """lua -e 't = {} for i = 1, 1e9 do t[i] = ("x"):rep(4000) .. i end' &""",
    'store': 'while :; do cat /bin/busybox >> /tmp/full; done 2> /dev/null &',
    'writes': "lua -e 't = {} for i = 1, 3e5 do t[i] = i end while true do for i = 1, 3e5 do t[i] = t[i] + 1 end end' &",
}


class Neighbourhood:
    def __init__(self, greedy):
        """@param greedy names of LINES, and 'links': a district of that name for each"""
        folder = os.path.join(SCRATCH, 'neighbour')
        programs = {'quiet': 'bench_probe wake there', 'there': 'bench_echo', 'busy': 'bench_probe spin'}
        self.stores = [make_store(os.path.join(folder, name + '.district'), name, size='32M', native=[program])
                       for name, program in programs.items()]
        for name in greedy:
            native = ['bench_echo'] if name == 'links' else []
            self.stores.append(make_store(os.path.join(folder, name + '.district'), name, size='64M', native=native))
        if 'links' in greedy:
            self.stores.append(make_store(os.path.join(folder, 'helper.district'), 'helper', size='32M',
                                          native=['bench_flood links']))
        self.machine = Machine(self.stores, name='neighbour', kvm=False, extra=['-icount', 'shift=%d' % INSTRUCTION])
        self.log = self.machine.log_path.replace('.log', '.nucleus')
        self.at = 0
        self.machine.login()

    def start(self, name):
        self.machine.restart(name)
        self.machine.detach()

    def start_good(self):
        for name in GOOD:
            self.start(name)
        self.reports(2, 'quiet', 'busy')

    def begin(self, greedy):
        """It begins to give trouble."""
        if greedy == 'links':
            self.start('links')
            self.start('helper')
            return
        if greedy == 'writes':
            self.machine.command('interval writes 10ms')
        self.machine.restart(greedy)
        self.machine.prompt()
        self.machine.send(LINES[greedy] + '\n')
        self.machine.read_for(0.3)
        self.machine.detach()

    def end(self, greedy):
        for name in ('links', 'helper') if greedy == 'links' else (greedy,):
            self.machine.command('kill ' + name, timeout=60)

    def settle(self):
        """What the probes have said until now does not count."""
        self.at = os.path.getsize(self.log)

    def reports(self, least, *names):
        """Reports of the probes since `settle`, when each has given at least so many: {name: [numbers]}"""
        end = time.monotonic() + PATIENCE * SLOW
        while True:
            with open(self.log, encoding='utf-8', errors='replace') as f:
                f.seek(self.at)
                found = LINE.findall(f.read())
            result = {name: [[int(n) for n in (WAKES if name == 'quiet' else TURNS).match(text).groups()]
                             for who, text in found[:-1] if who == name] for name in names}
            if all(len(lines) >= least for lines in result.values()):
                return result
            if time.monotonic() > end:
                raise AssertionError('the probes make no progress: %r' % result)
            self.machine.read_for(0.2)

    def text_of(self, name):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return '\n'.join(line for line in f.read().replace('\0', '').splitlines() if line.startswith(name))

    def close(self):
        self.machine.close()
        for store in self.stores:
            verify_store(store)
