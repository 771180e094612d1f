#!/usr/bin/python3
"""Runs all tests (`./bw test`): unit and crash tests through SCons, then the system tests, one more at a
time than there are processors, since machines often wait. Every test that fails is shown; the last line is "N passed, N failed".

    run.py [--long] [NAME]...     NAMEs (unit, crash, host, shell, ...) choose

With --long, every group whose tests can go on does so for longer, and those of LONG are there as well; the lines
that say how much was tried stand together at the end.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILD = os.path.join(TOP, 'build')
SEED = int(os.environ.get('BW_SEED', int(time.time()) % 1000000))
THROUGH_SCONS = ('unit', 'crash', 'sim', 'formats')
LONG = ('crash-long', 'sim-long', 'libfuzzer')
FUZZ_SECONDS = 600
TRIED = re.compile(r'.*\b(images|power cuts|faults|invocations|reasons|\d+ runs|\d+ seeds|executed_units|disks that lied)\b.*')


def scons(target):
    return subprocess.run(['scons', '-Q', '-k', target], cwd=TOP, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def summed(folder):
    """Checks passed and failed by the programs of a folder, by the logs that SCons left beside their stamps, and
    the lines that say how much was tried."""
    passed, failed, tried = 0, 0, []
    for parent, _, files in os.walk(folder):
        for name in files:
            if not name.endswith('.ok.log'):
                continue
            with open(os.path.join(parent, name), errors='replace') as f:
                text = f.read()
            tried += [name[:-len('.ok.log')] + ': ' + line for line in text.splitlines() if TRIED.match(line)]
            checks = re.search(r'Checks: (\d+), Failures: (\d+), Errors: (\d+)', text)
            counts = re.search(r'^(\d+) passed, (\d+) failed$', text, re.MULTILINE)
            good = os.path.exists(os.path.join(parent, name[:-len('.log')]))
            if checks:
                bad = int(checks.group(2)) + int(checks.group(3))
                passed, failed = passed + int(checks.group(1)) - bad, failed + bad
            elif counts:
                passed, failed = passed + int(counts.group(1)), failed + int(counts.group(2))
            elif good:
                passed += 1
            else:
                failed += 1
    return passed, failed, tried


def through_scons(alias, folder):
    """Builds and runs what has changed since it last passed; the counts are of all."""
    def job():
        done = scons(alias)
        passed, failed, tried = summed(folder)
        # What could not even be built has left no log.
        broken = [t for t in re.findall(r'^scons: \*\*\* \[(.*?)\]', done.stdout, re.MULTILINE)
                  if not os.path.exists(os.path.join(TOP, t + '.log'))]
        failed += len(broken)
        if done.returncode and not failed:
            failed = 1
        return done.stdout if failed else '\n'.join(tried), passed, failed
    return job


def system(name, *arguments):
    return counting('/usr/bin/python3', os.path.join(HERE, 'system', 'test_%s.py' % name), *arguments)


def counting(*command):
    """A program whose last line says how many passed and failed."""
    def job():
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace')
        counts = re.findall(r'^(\d+) passed, (\d+) failed$', done.stdout, re.MULTILINE)
        if not counts:
            return done.stdout, 0, 1
        return done.stdout, int(counts[-1][0]), int(counts[-1][1])
    return job


def program(*command):
    """A program whose last line counts, or that says by its exit status how it went."""
    def job():
        done = subprocess.run(command, cwd=BUILD, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors='replace')
        return '\n'.join(done.stdout.splitlines()[-40:]), int(done.returncode == 0), int(done.returncode != 0)
    return job


def libfuzzer(target):
    """Goes on from the corpus in the tree and what earlier runs have found; what fails is left beside that."""
    found = os.path.join(BUILD, 'libfuzzer', target)

    def job():
        os.makedirs(found, exist_ok=True)
        built = scons('build/check/tests/fuzz/clang-' + target)
        if built.returncode:
            return built.stdout, 0, 1
        return program(os.path.join(BUILD, 'check', 'tests', 'fuzz', 'clang-' + target),
                       '-max_total_time=%d' % FUZZ_SECONDS, '-timeout=60', '-rss_limit_mb=3000', '-max_len=2048',
                       '-detect_leaks=0', '-close_fd_mask=1', '-print_final_stats=1',
                       '-artifact_prefix=%s-failed-' % found, found,
                       os.path.join(HERE, 'fuzz', 'corpus', target))()
    return job


def long_jobs():
    crash = os.path.join(BUILD, 'bin', 'crash')
    yield 'crash-long', program(crash, '--sequences', '3', '--images', '30000000', '--workers', '2', '--thorough',
                                '--seed', str(SEED))
    yield 'crash-long', program(crash, '--mirror', '--sequences', '2', '--images', '1000000', '--workers', '2',
                                '--seed', str(SEED))
    yield 'crash-long', program(crash, '--lies', '--rounds', '200000', '--seed', str(SEED))
    yield 'sim-long', program('/usr/bin/env', 'SIM_SEEDS=5000', 'SIM_SEED=%d' % SEED,
                              os.path.join(BUILD, 'bin', 'sim_links'))
    for target in ('store', 'stream', 'files'):
        yield 'libfuzzer', libfuzzer(target)


def demo():
    """`./bw demo` plays to its end, in under two minutes."""
    begin = time.monotonic()
    done = subprocess.run(['/usr/bin/python3', os.path.join(HERE, 'system', 'demo.py')], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    good = done.returncode == 0 and time.monotonic() - begin < 120
    return '' if good else done.stdout, int(good), int(not good)


def jobs(long):
    cuts = '150' if long else '16'
    yield 'unit', through_scons('unit', os.path.join(BUILD, 'check', 'tests', 'unit'))
    if os.path.exists(os.path.join(HERE, 'crash', 'SConscript')):
        yield 'crash', through_scons('crash', os.path.join(BUILD, 'fast', 'tests', 'crash'))
    yield 'sim', through_scons('sim', os.path.join(BUILD, 'fast', 'tests', 'sim'))
    yield 'formats', through_scons('formats', os.path.join(BUILD, 'check', 'tests', 'fuzz'))
    yield 'powercut', system('powercut', '--cuts', cuts, '--seed', str(SEED))
    yield 'powercut', system('powercut', '--cuts', cuts, '--seed', str(SEED + 1))
    yield 'linux', system('linux')
    yield 'larger', system('larger', *(['--long'] if long else []), '--seed', str(SEED))
    yield 'mutant', system('powercut', '--cuts', '60', '--seed', str(SEED + 2), '--expect-caught',
                           '--nucleus', os.path.join(BUILD, 'mutant', 'nucleus.elf'))
    yield 'demo', demo
    yield 'shell', system('shell')
    yield 'generations', system('generations')
    yield 'broken', system('broken')
    yield 'space', system('space')
    yield 'posix', system('posix')
    yield 'survive', system('survive')
    yield 'autostart', system('autostart')
    yield 'journal', system('journal')
    yield 'links', system('links')
    yield 'gated', system('gated', *(['--kills', '300'] if long else []), '--seed', str(SEED))
    yield 'bonds', system('bonds', '--cuts', '60' if long else '6', '--seed', str(SEED))
    for kind in ('plain_links', 'gated_links', 'bonded_districts'):
        yield 'storm', system('storm', kind, '--seed', str(SEED), '--faults', '1000' if long else '50')
    for kind in ('plain_links', 'gated_links', 'bonded_districts') if long else ():
        yield 'storm', system('storm', '--servers', kind, '--seed', str(SEED), '--faults', '300')
    yield 'many', system('many')
    yield 'neighbour', system('neighbour')
    yield 'screen', system('screen')
    yield 'model', counting('/usr/bin/python3', os.path.join(HERE, 'model', 'check.py'))
    yield 'sockets', system('sockets')
    yield 'processors', system('processors')
    yield 'ata', system('ata', '--seed', str(SEED), *(['--long'] if long else []))
    yield 'ata', system('ioerrors', 'a_district_is_made', 'writes_fail', 'flushes_fail', 'reads_fail', '--disk', 'ide',
                        '--seed', str(SEED), '--sessions', '4' if long else '1')
    yield 'bochs', system('bochs', '--seed', str(SEED))
    yield 'image', system('image')
    yield 'host', system('host')
    yield 'locks', system('locks')
    yield 'fuzz', system('fuzz', *(['--long'] if long else []), '--seed', str(SEED))
    yield 'recorded', system('recorded', '--seed', str(SEED),
                             *(['--images', '50000', '--steps', '60', '--boots', '20'] if long else []))
    yield 'hostile', system('hostile', '--seed', str(SEED), '--machines', '100' if long else '5')
    yield 'ioerrors', system('ioerrors', '--seed', str(SEED), '--sessions', '12' if long else '3')
    yield 'tools', system('tools')
    yield 'put', system('put')
    yield 'mirror', system('mirror')


def run(chosen):
    """Runs the jobs; prints each one's result as it comes. @return (name, output, passed, failed)"""
    begin = time.monotonic()

    def timed(job):
        since = time.monotonic()
        return job(), time.monotonic() - since

    with concurrent.futures.ThreadPoolExecutor(1 + max(2, os.cpu_count() or 2)) as pool:
        started = {}
        # What SCons runs uses all processors and one lock file: one after the other, before the machines.
        for name, job in [j for j in chosen if j[0] in THROUGH_SCONS + LONG]:
            started[pool.submit(timed, job)] = name
            concurrent.futures.wait(started)
        for name, job in [j for j in chosen if j[0] not in THROUGH_SCONS + LONG]:
            started[pool.submit(timed, job)] = name
        for done in concurrent.futures.as_completed(started):
            (output, good, bad), took = done.result()
            print('==== %s: %d passed, %d failed (%.0f s, after %.0f s)' %
                  (started[done], good, bad, took, time.monotonic() - begin), flush=True)
            if output.strip():
                print(output.rstrip(), flush=True)
            yield started[done], output, good, bad


def summarize(results):
    """How much was tried, by whom, and what failed."""
    print('\n==== what was tried')
    for name, output, good, bad in results:
        lines = [line.strip() for line in output.splitlines() if TRIED.match(line)]
        print('%-12s %4d passed, %d failed%s' % (name, good, bad, '  <<<<' if bad else ''))
        for line in lines[-6:]:
            print('             ' + line[:160])


def main():
    options = argparse.ArgumentParser(prog='./bw test')
    options.add_argument('--long', action='store_true',
                         help='everything for longer, and the groups %s' % ' '.join(LONG))
    options.add_argument('names', nargs='*', help='only these groups')
    options = options.parse_args()
    groups = list(jobs(options.long)) + list(long_jobs())
    known = sorted({name for name, _ in groups})
    for name in options.names:
        if name not in known:
            sys.exit('bw test: no group of tests is named %s; there are: %s' % (name, ' '.join(known)))
    chosen = [j for j in groups if j[0] in options.names or not options.names and (options.long or j[0] not in LONG)]
    print('Running %d groups of tests, power cuts with seed %d ...' % (len(chosen), SEED), flush=True)
    results = list(run(chosen))
    if options.long:
        summarize(results)
    passed, failed = sum(r[2] for r in results), sum(r[3] for r in results)
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


if __name__ == '__main__':
    main()
