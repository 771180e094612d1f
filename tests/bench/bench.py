#!/usr/bin/python3
"""`./bw bench`: the figures. Prints a table, draws plots (build/bench/*.png) and writes build/bench/results.csv with
the columns name,value,unit,machine.

Instructions are counted with `qemu -icount shift=0`, under which the TSC counts them; wall times are of software
emulation, the least of several, and mean something only as ratios within one run.

    bench.py [NAME]...     only these groups: nucleus, links, store, linux, paging, bytes, cost, interval, commit, restart,
                           revive, boot, gated, neighbour, bochs
"""
import csv
import io
import json
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, 'tests', 'system'), os.path.join(TOP, 'tests', 'system', 'neighbour')]
from machine import BOOT, BUILD, MKDISTRICT, Machine, MachineError, make_store, make_tree  # noqa: E402
from neighbourhood import INSTRUCTION, Neighbourhood  # noqa: E402

BUILT = os.path.join(BUILD, 'bench')
FOLDER = BUILT  # for what is made on the way
DISTRICT = 'bench'
ICOUNT = ['-icount', 'shift=0']
COUNTED, EMULATED = 'qemu-tcg-icount', 'qemu-tcg'
DISK_BYTES_PER_SECOND = 50000000
RESTART_SIZES = (16, 256, 4096, 16384)  # MiB
RAW_BYTES = 40 * 256 // 15 * 15 * 4096  # what disk.c writes

results = []


def result(name, value, unit, machine):
    results.append((name, value, unit, machine))
    print('  %-42s %14s  %s' % (name, ('%.3f' % value).rstrip('0').rstrip('.'), unit), flush=True)



def bench_lines(text):
    return {name: int(value) for name, value in re.findall(r'bench (\w+) (\d+)', text)}


class Monitor:
    """QEMU's monitor (QMP) of one machine."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.file = self.socket.makefile('rw')
        self.file.readline()
        self.ask('qmp_capabilities')

    def ask(self, command, **arguments):
        self.file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if 'return' in answer:
                return answer['return']
            if 'error' in answer:
                raise MachineError('QMP %s: %s' % (command, answer['error']))

    def written(self):
        """Bytes written to the first disk, and how often it was flushed."""
        stats = self.ask('query-blockstats')[0]['stats']
        return stats['wr_bytes'], stats['flush_operations']

    def throttle(self, bps):
        """Sets how much the first disk takes in a second, 0: no limit; as if nothing had been written before."""
        self.ask('block_set_io_throttle', id='/machine/peripheral-anon/device[1]/virtio-backend', bps=bps, bps_rd=0, bps_wr=0,
                 iops=0, iops_rd=0, iops_wr=0)


def tree():
    return make_tree(os.path.join(FOLDER, 'tree.tar'), os.path.join(BUILT, 'tree'))


def store(size='256M'):
    return make_store(os.path.join(FOLDER, 'bench.district'), DISTRICT, size, root=tree(), interval='never')


def machine(path, extra=(), memory=256):
    return Machine([path], memory=memory, extra=extra, name='bench', kvm=False)


def monitor_arguments():
    path = os.path.join(FOLDER, 'monitor')
    if os.path.exists(path):
        os.unlink(path)
    return path, ['-qmp', 'unix:%s,server=on,wait=off' % path]


def enter(m):
    m.login()
    m.restart(DISTRICT)
    m.sh('true')


# -- the groups -----------------------------------------------------------------------------------------

def counted_alone(program):
    """Boots a native program in place of the supervisor; what it reports."""
    command = ['qemu-system-x86_64', '-machine', 'pc', '-cpu', 'max', '-m', '700', '-accel', 'tcg', *ICOUNT, '-nodefaults',
               '-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', os.path.join(BOOT, 'nucleus.elf'),
               '-initrd', 'boot/%s/supervisor.elf' % program]
    text = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, cwd=BUILT).stdout
    lines = bench_lines(text)
    if lines.pop('done', 0) != 1:
        raise MachineError('the %s bench did not end: %s' % (program, text[-500:]))
    return lines


def nucleus():
    """Invocations, and the stop of a snapshot by memory, dirty share and processes (nucleus.c)."""
    lines = counted_alone('nucleus')
    for name, value in lines.items():
        if name == 'call_return_cr3_writes_per_1000':
            result('call_return_cr3_writes', value / 1000, 'writes', COUNTED)
        else:
            result(name, value, 'instructions', COUNTED)
    result('stop_time_ratio_256_to_16', lines['stop_256mib_10percent'] / lines['stop_16mib_10percent'], 'ratio', COUNTED)
    result('stop_time_ratio_1000_to_1_processes', lines['stop_1000processes'] / lines['stop_1processes'], 'ratio', COUNTED)


def bochs():
    """The hot paths of `nucleus` on another machine, whose TSC counts instructions as well."""
    boot = os.path.join(FOLDER, 'bochs-boot')
    os.makedirs(boot, exist_ok=True)
    for path in (os.path.join(BOOT, 'nucleus.elf'), os.path.join(BUILT, 'boot', 'nucleus', 'supervisor.elf')):
        shutil.copy(path, boot)
    with Machine([store()], memory=700, name='bench', boot=boot, emulator='bochs') as m:
        lines = bench_lines(m.expect('bench done 1', 600))
    for name in ('call_return_instructions', 'null_call_instructions', 'snapshot_call_instructions',
                 'pull_instructions_per_page', 'stop_1mib_100percent', 'stop_256mib_100percent'):
        result(name + '_in_bochs', lines[name], 'instructions', 'bochs')


def links():
    """Calls over a live link against calls at home, and severing the links to a district (links.c)."""
    lines = counted_alone('links')
    for name, value in lines.items():
        result(name, value, 'instructions', COUNTED)
    result('link_call_ratio', lines['link_call_instructions'] / lines['home_call_instructions'], 'ratio', COUNTED)
    result('sever_ratio_10000_to_12_links', lines['sever_10000_links_instructions'] / lines['sever_12_links_instructions'],
           'ratio', COUNTED)


def store_library():
    """The store library over a disk in memory: write amplification, flushes, dropping, verification (store.c)."""
    for name, value in counted_alone('store').items():
        if name.startswith('write_thousandths'):
            result(name.replace('thousandths', 'amplification'), value / 1000, 'ratio', COUNTED)
        elif name == 'flush_thousandths':
            result('device_flushes_per_commit', value / 1000, 'flushes', COUNTED)
        elif name == 'verify_instructions_per_block':
            result('verify_instructions_per_gib', value << 18, 'instructions', COUNTED)
        else:
            result(name, value, 'blocks' if '_blocks_' in name else 'instructions', COUNTED)


def linux():
    """System calls, page faults and processes through the personality."""
    with machine(store(), ICOUNT) as m:
        enter(m)
        _, text = m.sh('/bench/bench calls', 120)
    for name, value in bench_lines(text).items():
        result(name, value, 'instructions', COUNTED)


def paging():
    """Objects fetched by a district four times as large as memory: what each costs (the look at it included), and
    how fast they come, one after the other and at random."""
    for extra in (ICOUNT, ()):
        with machine(store('1G'), extra, memory=64) as m:
            enter(m)
            m.send('/bench/larger 256\n')
            m.expect('larger holds', 300)
            for name, line in (('in_a_row', 'check'), ('at_random', 'random 8000')):
                begin = time.monotonic()
                m.send(line + '\n')
                m.expect(r'larger \w+: 0 wrong, (\d+) fetched, (\d+) each\r', 300)
                fetched, each = int(m.match.group(1)), int(m.match.group(2))
                if extra:
                    result('page_in_%s_instructions' % name, each, 'instructions', COUNTED)
                else:
                    result('page_in_%s_throughput' % name, fetched * 4096e-6 / (time.monotonic() - begin), 'MB/s',
                           EMULATED)


def bytes_written():
    """What a checkpoint writes to the disk, by the number of dirty pages."""
    path, arguments = monitor_arguments()
    with machine(store(), arguments) as m:
        enter(m)
        monitor = Monitor(path)
        m.send('/bench/bench dirty\n')
        m.expect('bench ready')
        for pages in (1, 10, 100, 10000, 0):
            for _ in range(2):  # the first time makes the pages themselves
                if pages:
                    m.send('%d\n' % pages)
                    m.expect('bench dirtied %d\r' % pages, 120)
                m.detach()
                before = monitor.written()
                generation = m.checkpoint(DISTRICT)
                after = monitor.written()
                if pages:
                    m.attach(DISTRICT)
                else:
                    again = m.checkpoint(DISTRICT)
                    before, after = after, monitor.written()
                    result('idle_generations', again - generation, 'generations', EMULATED)
                    break
            result('bytes_written_%d_pages' % pages, after[0] - before[0], 'bytes', EMULATED)
            result('flushes_%d_pages' % pages, after[1] - before[1], 'flushes', EMULATED)


def cost():
    """Instructions of all programs together for each page that a checkpoint writes."""
    pages, spin = 10000, 3000000000
    stolen = []
    with machine(store(), ICOUNT) as m:
        enter(m)
        for asked in (False, True):
            m.send('/bench/bench steal %d %d\n' % (spin, pages))
            m.expect('bench spins', 120)
            m.detach()
            if asked:
                m.checkpoint(DISTRICT)
            m.attach(DISTRICT)
            m.expect(r'bench stolen (\d+)\s', 300)  # all its digits
            stolen.append(int(m.match.group(1)))
            m.sh('true')
    result('instructions_per_page_written', (stolen[1] - stolen[0]) / pages, 'instructions', COUNTED)


def interval():
    """A checkpoint every 10 ms of a program that keeps changing 16 pages: what it costs that program."""
    pages, rounds, ticks, made = 16, 30000, {}, {}
    with machine(store(), ICOUNT) as m:
        enter(m)
        for setting in ('off', '10ms'):
            m.detach()
            m.command('interval %s %s' % (DISTRICT, setting))
            first = m.checkpoint(DISTRICT)
            m.attach(DISTRICT)
            _, text = m.sh('/bench/bench work %d %d' % (pages, rounds), 300)
            ticks[setting] = int(re.search(r'bench worked (\d+)', text).group(1))
            m.detach()
            made[setting] = m.checkpoint(DISTRICT) - first - 1
            m.attach(DISTRICT)
    lost = ticks['10ms'] - ticks['off']
    result('interval_10ms_generations_per_second', made['10ms'] / (ticks['10ms'] / 1e9), 'generations/s', COUNTED)
    result('interval_10ms_cost', lost / ticks['off'], 'ratio', COUNTED)
    result('interval_10ms_instructions', lost / made['10ms'], 'instructions', COUNTED)


def raw_write_seconds():
    """disk.c in place of the store server, on a disk as fast as the one of the commit."""
    image, log = os.path.join(FOLDER, 'raw.img'), os.path.join(FOLDER, 'raw.log')
    with open(image, 'wb') as f:
        f.truncate(256 << 20)
    open(log, 'w').close()
    command = ['qemu-system-x86_64', '-machine', 'pc', '-cpu', 'max', '-m', '256', '-accel', 'tcg', '-nodefaults',
               '-display', 'none', '-serial', 'null', '-debugcon', 'file:' + log, '-drive',
               'file=%s,format=raw,if=none,id=raw,cache=writeback,throttling.bps-total=%d' %
               (image.replace(',', ',,'), DISK_BYTES_PER_SECOND),
               '-device', 'virtio-blk-pci,drive=raw', '-kernel', 'nucleus.elf', '-initrd',
               'supervisor.elf,pci.elf,serial.elf,clock.elf,virtio_blk.elf,../bench/boot/stored.elf']
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=BOOT)
    begin = None
    try:
        for _ in range(12000):
            time.sleep(0.005)
            with open(log, errors='replace') as f:
                found = bench_lines(f.read())
            if 'raw_begins' in found and not begin:
                begin = time.monotonic()
            if 'raw_ends' in found:
                return time.monotonic() - begin
    finally:
        process.kill()
        process.wait()
        os.unlink(image)
    raise MachineError('raw writes did not end; see ' + log)


def commit():
    """How fast a commit writes, as a fraction of raw sequential writes to the same throttled disk; the best of three."""
    raw = RAW_BYTES / min(raw_write_seconds() for _ in range(3))
    path, arguments = monitor_arguments()
    committed = 0
    with machine(store(), arguments) as m:
        enter(m)
        monitor = Monitor(path)
        m.send('/bench/bench dirty\n')
        m.expect('bench ready')
        for bps in (0,) + 3 * (DISK_BYTES_PER_SECOND,):  # the first makes the pages themselves
            monitor.throttle(0)
            m.send('10000\n')
            m.expect('bench dirtied', 120)
            m.detach()
            monitor.throttle(bps)
            begin = time.monotonic()
            text = m.command('checkpoint ' + DISTRICT, 120)
            seconds = time.monotonic() - begin
            m.attach(DISTRICT)
            if bps:
                committed = max(committed, int(re.search(r'committed: (\d+) objects', text).group(1)) * 4096 / seconds)
    result('raw_write_throughput', raw / 1e6, 'MB/s', EMULATED)
    result('commit_throughput', committed / 1e6, 'MB/s', EMULATED)
    result('commit_fraction_of_raw', committed / raw, 'ratio', EMULATED)


def restart_seconds(m):
    """From `restart` to the answer of the shell: the least of several, each after a power cut."""
    times = []
    for _ in range(5):
        m.unplug()
        m.start()
        m.login()
        begin = time.monotonic()
        m.restart(DISTRICT)
        m.sh('true')
        times.append(time.monotonic() - begin)
    return min(times)


def resident_mib(m):
    """What the emulator has in memory, a moment later: it gives back what it needed for the boot."""
    time.sleep(0.5)
    with open('/proc/%d/status' % m.child.pid) as f:
        return int(re.search(r'VmRSS:\s+(\d+) kB', f.read()).group(1)) / 1024


def probe_store():
    return make_store(os.path.join(FOLDER, 'probe.district'), 'probe', '64M', root=tree(), interval='never')


def kill_and_restart(m, again):
    """From `kill` to the answer of the shell, while another district counts what it does not get of the processor.
    again False: only what looking at both takes. @return instructions of all others, seconds"""
    m.attach('probe')
    m.send('/bench/bench steal %d 1\n' % 1200000000)
    m.expect('bench spins', 120)
    m.detach()
    begin = time.monotonic()
    if again:
        m.command('kill ' + DISTRICT)
        m.restart(DISTRICT)
    else:
        m.attach(DISTRICT)
    m.sh('true')
    seconds = time.monotonic() - begin
    m.detach()
    m.attach('probe')
    m.expect(r'bench stolen (\d+)\s', 300)
    stolen = int(m.match.group(1))
    m.sh('true')
    m.detach()
    return stolen, seconds


def revive():
    """From the kill of a district to its answer, by the memory in it: instructions of all programs, and time."""
    counted, seconds = {}, {}
    for mib in (16, 256):
        for extra in (ICOUNT, ()):
            with Machine([store('1G'), probe_store()], memory=700, extra=extra, name='bench', kvm=False) as m:
                m.login()
                m.restart('probe')
                m.sh('true')
                m.detach()
                m.restart(DISTRICT)
                m.sh('true')
                m.send('/bench/bench hold %d &\n' % mib)
                m.expect('bench holds', 120)
                m.detach()
                m.checkpoint(DISTRICT)
                if extra:
                    counted[mib] = kill_and_restart(m, True)[0] - kill_and_restart(m, False)[0]
                    result('revive_instructions_%dmib' % mib, counted[mib], 'instructions', COUNTED)
                    continue
                times = []
                for _ in range(5):
                    begin = time.monotonic()
                    m.command('kill ' + DISTRICT)
                    m.restart(DISTRICT)
                    m.sh('true')
                    times.append(time.monotonic() - begin)
                    m.detach()
                seconds[mib] = min(times)
                result('revive_seconds_%dmib' % mib, seconds[mib], 'seconds', EMULATED)
    result('revive_instructions_ratio_256_to_16', counted[256] / counted[16], 'ratio', COUNTED)
    result('revive_seconds_ratio_256_to_16', seconds[256] / seconds[16], 'ratio', EMULATED)


def verify_seconds(path):
    """`mkdistrict --verify` on this host, for each GiB that it reads."""
    begin = time.monotonic()
    text = subprocess.run([MKDISTRICT, '--verify', path], capture_output=True, text=True, check=True).stdout
    seconds = time.monotonic() - begin
    read = float(re.search(r'([\d.]+) MiB read and compared', text).group(1))
    result('verify_seconds_per_gib', seconds * 1024 / read, 'seconds', 'host')


def restart():
    """Restart by the memory in the district, and by the size of the store; memory that the machine has used then."""
    times = {}
    for mib in (16, 256):
        path = store('1G')
        with machine(path, memory=700) as m:
            enter(m)
            m.send('/bench/bench hold %d &\n' % mib)
            m.expect('bench holds', 120)
            m.detach()
            m.checkpoint(DISTRICT)
            times[mib] = restart_seconds(m)
        result('restart_seconds_%dmib' % mib, times[mib], 'seconds', EMULATED)
    result('restart_ratio_256_to_16', times[256] / times[16], 'ratio', EMULATED)
    verify_seconds(path)
    seconds, memory = {}, {}
    for size in RESTART_SIZES:
        with machine(store('%dM' % size)) as m:
            enter(m)
            m.detach()
            m.checkpoint(DISTRICT)
            seconds[size] = restart_seconds(m)
            memory[size] = min(resident_mib(m) for _ in range(3))
        result('restart_seconds_store_%dmib' % size, seconds[size], 'seconds', EMULATED)
        result('restart_memory_store_%dmib' % size, memory[size], 'MiB', EMULATED)
    least, most = RESTART_SIZES[0], RESTART_SIZES[-1]
    result('restart_ratio_store_16gib_to_16mib', seconds[most] / seconds[least], 'ratio', EMULATED)
    result('restart_memory_ratio_store_16gib_to_16mib', memory[most] / memory[least], 'ratio', EMULATED)


def boot():
    """From power-on to `login:`."""
    times = []
    path = store()
    with machine(path) as m:
        for _ in range(9):
            m.start()
            m.expect('login: ', 60)
            times.append(time.monotonic() - m.started)
    result('power_on_to_login_seconds', min(times), 'seconds', EMULATED)


def neighbour():
    """What a district sees of a greedy one: how late it is woken, how long an answer over a link takes, and what it gets of
    the processor when it computes, with and without."""
    kinds = ('computes', 'forks', 'memory', 'store', 'links', 'writes')
    n = Neighbourhood(kinds)
    try:
        n.start_good()
        alone = None
        for kind in ('nobody', *kinds):
            if kind != 'nobody':
                n.begin(kind)
            n.settle()
            reports = n.reports(50, 'quiet', 'busy')
            if kind != 'nobody':
                n.end(kind)
            turns = sum(r[0] for r in reports['busy']) / len(reports['busy'])
            alone = alone or turns
            for what, place in (('wake_late', 1), ('answer', 3)):
                result('neighbour_of_%s_%s' % (kind, what), max(r[place] for r in reports['quiet']) * 1000 >> INSTRUCTION,
                       'instructions', COUNTED)
            result('neighbour_of_%s_share' % kind, turns / alone, 'ratio', COUNTED)
    finally:
        n.close()


def gated():
    """Calls in a second, one after the other, over a gated link and over a plain one, by the interval of both districts."""
    stores = [make_store(os.path.join(FOLDER, name + '.district'), name, '32M', native=[program])
              for name, program in (('callee', 'account'), ('caller', 'bench_caller callee'))]
    with Machine(stores, name='bench', kvm=False) as m:
        m.login()
        for name in ('callee', 'caller'):
            m.restart(name)
            m.detach()
        for interval in (10, 100, 1000):
            for name in ('callee', 'caller'):
                m.command('interval %s %dms' % (name, interval))
            rounds = len(re.findall(r'round', m.command('log caller')))
            while len(lines := re.findall(r'round \d+: (\d+) plain, (\d+) gated', m.command('log caller'))) < rounds + 2:
                time.sleep(1)  # the round under way is not counted
            plain, slow = (int(n) / 1000 for n in lines[-1])
            result('calls_plain_%dms' % interval, plain, 'calls/s', EMULATED)
            result('calls_gated_%dms' % interval, slow, 'calls/s', EMULATED)
            result('call_gated_%dms_in_intervals' % interval, 1000 / slow / interval, 'intervals', EMULATED)


GROUPS = {'nucleus': nucleus, 'bochs': bochs, 'links': links, 'store': store_library, 'linux': linux, 'paging': paging,
          'bytes': bytes_written, 'cost': cost, 'interval': interval, 'commit': commit, 'restart': restart,
          'revive': revive, 'boot': boot, 'gated': gated, 'neighbour': neighbour}
APART = ('nucleus', 'bochs', 'links', 'store', 'linux', 'cost', 'interval', 'neighbour')  # only count instructions
# name, value, whether it is the most or the least
TARGETS = (('stop_time_ratio_256_to_16', 1.5, 'most'), ('restart_ratio_256_to_16', 1.5, 'most'),
           ('restart_ratio_store_16gib_to_16mib', 1.5, 'most'), ('restart_memory_ratio_store_16gib_to_16mib', 1.1, 'most'),
           ('call_return_instructions', 1500, 'most'), ('link_call_ratio', 1.3, 'most'),
           ('sever_ratio_10000_to_12_links', 1.1, 'most'), ('commit_fraction_of_raw', 0.85, 'least'),
           ('device_flushes_per_commit', 2, 'most'), ('interval_10ms_cost', 0.1, 'most'),
           ('interval_10ms_generations_per_second', 80, 'least'), ('neighbour_of_forks_share', 0.4, 'least'))



# -- what remains of it -----------------------------------------------------------------------------------

def write_csv():
    with open(os.path.join(BUILT, 'results.csv'), 'w', newline='') as f:
        writer = csv.writer(f)
        writer.writerow(('name', 'value', 'unit', 'machine'))
        writer.writerows(results)


def plot(name, title, x, y, series, scale='set yrange [0:*]'):
    """series: {label: [(x, y)]}. Draws build/bench/NAME.png."""
    lines = ['set terminal png size 800,500', "set output '%s.png'" % name, "set title '%s'" % title,
             "set xlabel '%s'" % x, "set ylabel '%s'" % y, 'set logscale x', scale, 'set key bottom right']
    lines.append('plot ' + ', '.join("'-' with linespoints title '%s'" % label for label in series))
    for points in series.values():
        lines += ['%s %s' % p for p in points] + ['e']
    subprocess.run(['gnuplot'], input='\n'.join(lines), text=True, cwd=BUILT, check=True)


def plots():
    have = {n: v for n, v, _, _ in results}
    if 'stop_1mib_1percent' in have:
        plot('stop', 'Stop of a snapshot', 'MiB in the district', 'instructions',
             {'%d %% dirty' % p: [(s, have['stop_%dmib_%dpercent' % (s, p)]) for s in (1, 16, 64, 256)] for p in (1, 10, 100)})
        plot('processes', 'Stop of a snapshot', 'processes', 'instructions',
             {'1 MiB': [(n, have['stop_%dprocesses' % n]) for n in (1, 10, 100, 1000)]})
    if 'bytes_written_1_pages' in have:
        dirty = (1, 10, 100, 10000)
        plot('bytes', 'Bytes written by a checkpoint', 'dirty pages', 'bytes',
             {'written': [(n, have['bytes_written_%d_pages' % n]) for n in dirty],
              'dirty': [(n, 4096 * n) for n in dirty]}, 'set logscale y')
    if 'write_amplification_1_objects' in have:
        plot('amplification', 'Write amplification of a commit', 'objects changed', 'bytes written / bytes changed',
             {'scattered over 32768 objects': [(n, have['write_amplification_%d_objects' % n]) for n in (1, 10, 100, 10000)]})
    if 'restart_seconds_store_16mib' in have:
        plot('restart', 'Restart', 'MiB that the store can hold', 'seconds',
             {'restart to prompt': [(n, have['restart_seconds_store_%dmib' % n]) for n in RESTART_SIZES]})


def measure(names):
    """@return those of the groups that failed"""
    failed = []
    for name in names:
        print('%s: %s' % (name, GROUPS[name].__doc__), flush=True)
        try:
            GROUPS[name]()
        except (MachineError, OSError, subprocess.SubprocessError) as error:
            print('  FAILED: %s' % error)
            failed.append(name)
    return failed


def measure_apart(names, path):
    """In a process of its own: measures, and leaves in a file what came of it."""
    global FOLDER
    FOLDER = os.path.join(BUILT, 'apart')
    os.makedirs(FOLDER, exist_ok=True)
    sys.stdout = io.StringIO()
    failed = measure(names)
    with open(path, 'w') as f:
        json.dump((sys.stdout.getvalue(), failed, results), f)


def measure_all():
    """The groups in which nothing but instructions is counted go beside those that look at the time."""
    path = os.path.join(BUILT, 'apart.json')
    apart = multiprocessing.Process(target=measure_apart, args=(APART, path))
    apart.start()
    failed = measure([name for name in GROUPS if name not in APART])
    apart.join()
    if apart.exitcode:
        return failed + list(APART)
    with open(path) as f:
        text, others, more = json.load(f)
    print(text, end='')
    results.extend(more)
    return failed + others


def main():
    wanted = sys.argv[1:] or list(GROUPS)
    for name in wanted:
        if name not in GROUPS:
            sys.exit('bw bench: no group is named %s; there are: %s' % (name, ' '.join(GROUPS)))
    failed = measure_all() if wanted == list(GROUPS) else measure(wanted)
    write_csv()
    plots()
    have = {n: v for n, v, _, _ in results}
    print('targets:')
    for name, target, kind in TARGETS:
        if name in have:
            reached = have[name] <= target if kind == 'most' else have[name] >= target
            print('  %-42s %14.3f  %s at %s %g' % (name, have[name], 'reached:' if reached else 'MISSED:', kind, target))
    print('Written to %s' % os.path.join(BUILT, 'results.csv'))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
