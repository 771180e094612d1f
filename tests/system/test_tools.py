#!/usr/bin/python3
"""mkdistrict's commands on the host, under ASan and UBSan if that build is there: files of a generation, streams,
the vault, what is on disk. No emulator."""
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import tarfile
import time

import harness
from machine import BUILD, MKDISTRICT, SCRATCH

check = harness.Checks
folder = os.path.join(SCRATCH, 'tools')
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
checked = os.path.join(BUILD, 'check', 'bin', 'mkdistrict')
TOOL = checked if os.path.exists(checked) else MKDISTRICT
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS='detect_leaks=0:exitcode=99', BW_VAULT=os.path.join(folder, 'vault'),
                   TZ='UTC')


def at(name):
    return os.path.join(folder, name)


def tool(*arguments, **more):
    """Runs mkdistrict; it must work. Returns what it printed."""
    done = subprocess.run([TOOL, *arguments], capture_output=True, timeout=300, env=ENVIRONMENT, **more)
    check.true(done.returncode == 0, '%s: exit code %s: %s' % (arguments, done.returncode, done.stderr[-2000:]))
    return done.stdout


def text(*arguments, **more):
    return tool(*arguments, **more).decode()


def refused(arguments, *words, status=1, **more):
    """mkdistrict must refuse with one line that has the words."""
    done = subprocess.run([TOOL, *arguments], capture_output=True, timeout=300, env=ENVIRONMENT, **more)
    error = done.stderr.decode(errors='replace')
    check.equal(done.returncode, status, '%s: %s' % (arguments, error[-3000:]))
    check.equal(error.count('\n'), 1, error)
    for word in words:
        check.contains(error, word)


CONTENT = {'usr/bin/program': os.urandom(300000), 'etc/motd': b'hello\n', 'empty': b'', 'zeros': bytes(50000),
           'name with \xe9\x01': b'odd', 'n' * 255: b'long name', 'exact': os.urandom(8192)}


def make_tar():
    with tarfile.open(at('tree.tar'), 'w', format=tarfile.PAX_FORMAT) as tar:
        for name, data in CONTENT.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(data), 0o640, 7, 8, 1700000000
            with open(at('content'), 'wb') as f:
                f.write(data)
            with open(at('content'), 'rb') as f:
                tar.addfile(entry, f)
        for name, target in (('link', 'etc/motd'), ('absolute', '/etc'), ('loop', 'loop'), ('etc/up', '../empty'),
                             ('out', '/../../../etc/passwd')):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(entry)
        entry = tarfile.TarInfo('etc/null')
        entry.type, entry.devmajor, entry.devminor, entry.mode = tarfile.CHRTYPE, 1, 3, 0o666
        tar.addfile(entry)
        entry = tarfile.TarInfo('many')
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        for i in range(1200):
            tar.addfile(tarfile.TarInfo('many/file-%d' % i))


def store():
    if not os.path.exists(at('one.district')):
        make_tar()
        tool('--size', '32M', '--name', 'one', '--root', at('tree.tar'), '--interval', '2s',
             '--programs', os.path.join(BUILD, 'boot'), at('one.district'))
    return at('one.district')


def copy(name):
    shutil.copyfile(store(), at(name))
    return at(name)


# ---- ls, cat, get ----------------------------------------------------------------------------------


def test_ls():
    names = tool('ls', store()).split(b'\n')
    for name in ('usr', 'etc', 'link', 'n' * 255, 'dev', 'proc', 'tmp', 'name with \xe9\x01'):
        check.true(name.encode() in names, '%r in %r' % (name, names))
    check.equal(names, sorted(names[:-1]) + [b''], 'sorted')
    check.equal(len(text('ls', store(), '/many').splitlines()), 1200)
    check.equal(text('ls', store(), 'etc/motd'), 'etc/motd\n')
    check.equal(text('ls', store() + '@0', '/usr'), 'bin\n')


def test_ls_in_detail():
    lines = text('ls', '-l', store(), 'etc').splitlines()
    check.true(any(re.match(r'-rw-r----- +1 +7 +8 +6 2023-11-14 22:13:20 motd$', line) for line in lines), lines)
    check.true(any(re.match(r'c.* 1, +3 .* null$', line) for line in lines), lines)
    check.true(any(re.match(r'l.* up -> \.\./empty$', line) for line in lines), lines)
    check.contains(text('ls', '-l', store(), 'absolute'), 'absolute -> /etc')
    check.contains(text('ls', '-l', store(), 'absolute/'), 'motd')


def test_cat():
    for name, data in CONTENT.items():
        check.true(tool('cat', store(), name) == data, '%s is as it was' % name)
    check.equal(tool('cat', store(), 'link', '/absolute/motd', 'usr/../etc/./motd', 'absolute/../etc/motd'),
                b'hello\n' * 4)
    check.equal(tool('cat', store(), 'etc/up'), b'')


def test_what_ls_and_cat_refuse():
    refused(['cat', store(), '/nowhere'], 'one.district', '/nowhere', 'no such file')
    refused(['cat', store(), 'etc'], 'etc', 'folder')
    refused(['cat', store(), 'loop'], 'symbolic links')
    refused(['cat', store(), 'out'], 'no such file')
    refused(['cat', store(), 'etc/motd/x'], 'not a directory')
    refused(['cat', store() + '@7', 'etc/motd'], 'generation 7 is not kept')
    refused(['cat', store(), 'etc/null'], 'not a file')
    refused(['ls', at('nowhere')], 'nowhere')
    refused(['ls', at('tree.tar')], 'tree.tar')
    refused(['ls', folder], 'neither a file nor a disk')
    for wrong in (['ls'], ['cat'], ['cat', store()], ['get'], ['get', store()], ['ls', store(), 'a', 'b']):
        refused(wrong, '--help', status=2)


def test_get():
    os.chdir(folder)
    tool('get', store(), 'etc/motd')
    check.equal(open(at('motd'), 'rb').read(), b'hello\n')
    check.equal(oct(os.stat(at('motd')).st_mode & 0o777), '0o640')
    check.equal(int(os.stat(at('motd')).st_mtime), 1700000000)
    refused(['get', store(), 'etc/motd'], 'motd', 'exists')
    tool('get', store(), 'zeros', at('named'))
    check.true(open(at('named'), 'rb').read() == CONTENT['zeros'], 'zeros')
    check.equal(os.stat(at('named')).st_blocks, 0, 'a hole stays a hole')
    os.mkdir(at('into'))
    done = subprocess.run([TOOL, 'get', store(), '/', at('into/all')], capture_output=True, text=True, env=ENVIRONMENT)
    check.equal(done.returncode, 0, done.stderr)
    check.contains(done.stderr, '1 device')
    for name, data in CONTENT.items():
        check.true(open(os.path.join(at('into/all'), name), 'rb').read() == data, name)
    check.equal(os.readlink(at('into/all/out')), '/../../../etc/passwd')
    check.equal(len(os.listdir(at('into/all/many'))), 1200)
    refused(['get', store(), '/'], 'named')


# ---- put -------------------------------------------------------------------------------------------


def newest(path):
    return int(re.search(r'^generation +(\d+) current', text('--info', path), re.MULTILINE).group(1))


def make_source():
    shutil.rmtree(at('source'), ignore_errors=True)
    os.makedirs(at('source/inner/empty'))
    for name, data in (('small', b'small\n'), ('inner/large', os.urandom(2500000)), ('nothing', b''),
                       ('sparse', b'x' + bytes(1 << 20) + b'y')):
        with open(os.path.join(at('source'), name), 'wb') as f:
            f.write(data)
    for i in range(400):
        with open(os.path.join(at('source/inner'), 'a-rather-long-name-%d' % i), 'w') as f:
            f.write(str(i))
    os.symlink('inner/large', at('source/link'))
    return at('source')


def test_put():
    path = copy('put.district')
    make_source()
    check.contains(text('put', '--owner', '5:6', '--mode', '4755', path, at('source/small'), '/usr/bin/tool'),
                   'generation 1 made with /usr/bin/tool in it')
    tool('--verify', path)
    check.equal(newest(path), 1)
    check.equal(tool('cat', path, '/usr/bin/tool'), b'small\n')
    check.true(re.match(r'-rwsr-xr-x +1 +5 +6 +6 ', text('ls', '-l', path, '/usr/bin/tool')), 'owner and mode')
    check.contains(text('--info', path), 'host tool')
    refused(['cat', path + '@0', '/usr/bin/tool'], 'no such file')


def test_put_into_a_folder():
    path = copy('put-into.district')
    check.contains(text('put', path, at('source/small'), '/etc'), 'made with small in /etc')
    check.equal(tool('cat', path, '/etc/small'), b'small\n')


def test_put_of_a_folder():
    path = at('put.district')
    tool('put', path, make_source(), 'absolute/../tmp')
    tool('--verify', path)
    tool('get', path, '/tmp/source', at('back'))
    subprocess.run(['diff', '-r', '--no-dereference', at('source'), at('back')], check=True)
    with open(at('source/inner/more'), 'w') as f:
        f.write('more')
    tool('put', path, at('source'), '/tmp')
    tool('--verify', path)
    check.equal(tool('cat', path, '/tmp/source/inner/more'), b'more')
    check.equal(newest(path), 3)


def test_put_in_place_of_a_file():
    path = copy('replaced.district')
    for name in ('large', 'a-rather-long-name-7'):
        tool('put', path, os.path.join(at('source/inner'), name), 'etc/motd')
        tool('--verify', path)
        check.true(tool('cat', path, 'link') == open(os.path.join(at('source/inner'), name), 'rb').read(), name)
    check.equal(tool('cat', path + '@0', 'link'), b'hello\n')


def test_what_put_refuses():
    path = copy('untouched.district')
    before = open(path, 'rb').read()
    make_source()
    refused(['put', path, at('nowhere'), '/x'], 'nowhere')
    refused(['put', path + '@3', at('source/small'), '/x'], 'generation 3 is not kept')
    refused(['put', path, at('source/small'), ''], 'PATH is empty')
    refused(['put', '--owner', 'root', path, at('source/small'), '/x'], '--owner')
    refused(['put', '--mode', '999', path, at('source/small'), '/x'], '--mode')
    refused(['put', path, at('source/small')], 'SRC', status=2)
    with open(at('huge'), 'wb') as f:
        for _ in range(40):
            f.write(os.urandom(1 << 20))
    refused(['put', path, at('huge'), '/x'], 'full', 'free')
    check.true(open(path, 'rb').read() == before, 'nothing has changed')
    refused(['put', path, at('source/small'), '/no/such/x'], '/no/such', 'no such file')
    refused(['put', path, at('source/small'), '/etc/motd/x'], 'not a folder')
    refused(['put', path, at('source'), '/etc/motd'], 'in its place')
    refused(['put', path, '/dev/null', '/x'], 'neither')
    os.makedirs(at('folders/etc'), exist_ok=True)
    shutil.copyfile(at('source/small'), at('folders/usr'))
    refused(['put', path, at('folders/usr'), '/'], 'folders/usr', 'folder is in its place')
    with open(at('huge'), 'r+b') as f:
        f.truncate(27 << 20)
    os.rename(at('huge'), at('source/huge'))
    refused(['put', path, at('source'), '/'], 'full')
    check.equal(newest(path), 0)
    tool('--verify', path)
    check.equal(tool('cat', path, 'etc/motd'), b'hello\n')


def test_many_puts():
    """Old generations go as usual; names in a folder grow over many blocks."""
    path = copy('many.district')
    make_source()
    for i in range(12):
        tool('put', path, at('source/small'), 'many/one-more-%d' % i)
    tool('--verify', path)
    check.equal(len(text('ls', path, 'many').splitlines()), 1212)
    check.equal(newest(path), 12)


def test_put_archive_prune():
    path = at('many.district')
    for generation in range(7, 13):
        tool('archive', '--vault', at('prune-vault'), 'push', path, str(generation))
    before = tool('archive', '--vault', at('prune-vault'), 'list')
    check.equal(before.count(b'\n'), 6)
    tool('archive', '--vault', at('prune-vault'), 'push', path, 'all')
    check.contains(text('archive', '--vault', at('prune-vault'), 'prune', '--keep', '50'), ' 0 generations removed')
    for i in range(4):
        killed(0.02 + 0.03 * i, 'archive', '--vault', at('prune-vault'), 'prune', '--keep', str(5 - i))
        tool('archive', '--vault', at('prune-vault'), 'verify')
    tool('archive', '--vault', at('prune-vault'), 'prune', '--keep', '2')
    check.equal(text('archive', '--vault', at('prune-vault'), 'list').count('\n'), 2)
    tool('archive', '--vault', at('prune-vault'), 'verify')
    tool('archive', '--vault', at('prune-vault'), 'pull', 'one', '11', at('eleven.district'))
    tool('--verify', at('eleven.district'))
    check.equal(tool('cat', at('eleven.district'), 'many/one-more-10'), b'small\n')
    refused(['cat', at('eleven.district'), 'many/one-more-11'], 'no such file')


def test_grow():
    path, _ = copy('grown.district'), make_source()
    refused(['--grow', '16M', path], '32.0 MiB already')
    refused(['--grow', 'much', path], '--grow')
    tool('--grow', '64M', path)
    check.equal(os.path.getsize(path), 64 << 20)
    tool('--verify', path)
    tool('put', path, at('source/inner'), '/')
    tool('--verify', path)
    check.contains(text('--info', path), 'of 64.0 MiB')


def test_keep():
    path, usual = at('keep.district'), ['--programs', os.path.join(BUILD, 'boot'), '--size', '16M']
    check.equal(field(text('dump', store(), 'roots'), 'keep'), '8, 60 minutes, 24 hours, 30 days')
    tool('--keep', '3,0,5,2', *usual, path)
    check.equal(field(text('dump', path, 'roots'), 'keep'), '3, 0 minutes, 5 hours, 2 days')
    check.contains(text('--info', path), 'the last 3, and one a minute (0), an hour (5), a day (2)')
    make_source()
    for i in range(5):
        tool('put', path, at('source/small'), '/tmp/%d' % i)
    kept = re.findall(r'^  (\d+)  ', text('--info', path), re.MULTILINE)
    check.true(kept[-3:] == ['3', '4', '5'] and len(kept) <= 5, kept)
    for wrong, why in (('1', '2 or more'), ('some', 'LAST'), ('8,', 'LAST'), ('100,100,100', 'at most'), ('8,60,24,30,1', 'LAST')):
        refused(['--keep', wrong, *usual, at('x.district')], '--keep', why)
    nothing_left(at('x.district'))


# ---- dump ------------------------------------------------------------------------------------------


def field(dumped, name):
    found = re.search(r'^  %s +(.*)$' % re.escape(name), dumped, re.MULTILINE)
    check.true(found, '%s in %s' % (name, dumped[:2000]))
    return found.group(1)


def test_dump_of_the_store():
    dumped = text('dump', store())
    check.equal(dumped.count('superblock, block'), 2)
    check.equal(dumped.count('root slot '), 8)
    check.true('WRONG' not in dumped, dumped)
    check.contains(field(text('dump', store(), 'super'), 'name'), '"one"')
    check.equal(field(text('dump', store(), 'generations'), 'reason'), '0')
    index = text('dump', store() + '@0', 'index')
    check.equal(len(re.findall(r'^  entry', index, re.MULTILINE)),
                int(field(text('dump', store(), 'generations'), 'objects')))
    check.true('WRONG' not in index, index)
    ranges = re.findall(r'(used|free) (\d+) \.\. (\d+)', text('dump', store(), 'map'))
    check.equal(int(ranges[0][1]), 0)
    check.equal(int(ranges[-1][2]), 32 * 256 - 1)
    for this, following in zip(ranges, ranges[1:]):
        check.equal(int(this[2]) + 1, int(following[1]))
        check.true(this[0] != following[0], ranges)
    place = re.search(r'index block, block (\d+)', index).group(1)
    check.contains(text('dump', store(), 'block', place), '  level')


def test_an_output_that_is_full():
    """What could not be written is no success."""
    for order in (['--info', store()], ['--verify', store()], ['ls', '-l', store()], ['cat', store(), '/etc/motd'],
                  ['dump', store()], ['export', store()]):
        with open('/dev/full', 'w') as full:
            done = subprocess.run([TOOL, *order], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        check.equal(done.returncode, 1, order[0])
        check.contains(done.stderr, 'standard output')


def test_a_tree_that_is_no_archive():
    refused(['--root', os.path.abspath(__file__), '--programs', os.path.join(BUILD, 'boot'), at('x')], 'no tar archive')
    nothing_left(at('x'))


def test_dump_of_objects():
    check.contains(field(text('dump', store(), 'system'), 'name'), '"one"')
    domains = re.findall(r'domain (0x[0-9a-f]+)', text('dump', store(), 'object', '16'))
    check.equal(len(domains), 6)
    for domain in domains:
        dumped = text('dump', store(), 'object', domain)
        check.contains(dumped, 'rip')
        check.equal(field(dumped, 'key register 2'), 'domain %s version 1, write' % domain)
        segment = field(dumped, 'segment').split()[1]
        check.contains(text('dump', store(), 'object', segment), 'slot 0')
    dumped = text('dump', store(), 'inode', 'usr/bin/program')
    check.equal(field(dumped, 'size'), '300000')
    page = re.search(r'objects (0x[0-9a-f]+)', dumped).group(1)
    first = CONTENT['usr/bin/program'][:16]
    check.contains(text('dump', store(), 'object', page), '  0000  %s  %s ' % (first[:8].hex(' '), first[8:].hex(' ')))
    check.contains(text('dump', store(), 'inode', '1'), '"etc"')


def test_dump_of_damage():
    path = copy('damaged.district')
    index = text('dump', path, 'index')
    place = int(re.findall(r'index block, block (\d+)', index)[1])
    with open(path, 'r+b') as f:
        f.seek(4096 * place + 2000)
        f.write(b'damage')
        f.seek(2000)
        f.write(b'x')
    check.contains(text('dump', path, 'index'), 'WRONG')
    check.contains(text('dump', path, 'super'), 'WRONG')
    intact = field(text('dump', store(), 'super'), 'checksum')
    found = subprocess.run([TOOL, '--verify', path], capture_output=True, text=True, env=ENVIRONMENT)
    named = [line for line in found.stdout.splitlines() if 'superblock' in line]
    check.equal(len(named), 1, found.stdout)
    check.contains(named[0], 'at byte 0 (block 0): expected %s, found 0x' % intact)
    with open(path, 'r+b') as f:
        for twin in range(8):
            f.seek(4096 * (8 + 16 * twin) + 40)
            f.write(b'damage')
    check.equal(text('dump', path).count('WRONG'), len(re.findall('sequence', text('dump', path, 'roots'))) + 1)
    refused(['dump', path, 'index'], 'damaged.district')
    refused(['dump', store(), 'frob'], 'frob', 'inode')
    refused(['dump', store(), 'object'], 'object')
    refused(['dump', store(), 'object', '0x77777777'], 'has no object 0x77777777')
    refused(['dump', store(), 'block', '99999999'], '8192 blocks')
    refused(['dump', store(), 'inode', '99999'], 'inodes 1 to')


# ---- export and import -----------------------------------------------------------------------------


def stream():
    if not os.path.exists(at('one.stream')):
        with open(at('one.stream'), 'wb') as f:
            f.write(tool('export', store()))
    return open(at('one.stream'), 'rb').read()


def identity(path):
    return field(text('dump', path, 'super'), 'id')


def objects(path):
    """What is in the current generation, without places."""
    return re.findall(r'entry +\d+  (\S+ \S+ version \d+).*?(no bytes|checksum \S+)', text('dump', path, 'index'))


def nothing_left(path):
    check.true(not os.path.exists(path), path + ' is left behind')
    check.equal([n for n in os.listdir(folder) if n.startswith('.mkdistrict')], [])


def test_export_and_import():
    tool('import', at('two.district'), input=stream())
    tool('--verify', at('two.district'))
    check.equal(objects(at('two.district')), objects(store()))
    check.true(identity(at('two.district')) != identity(store()), 'a new id')
    info = text('--info', at('two.district'))
    check.true(re.search('^name +one$', info, re.MULTILINE), info)
    check.true(re.search('^checkpoints +every 2 s', info, re.MULTILINE), info)
    check.equal(oct(os.stat(at('two.district')).st_mode & 0o777), '0o600')
    check.true(tool('cat', at('two.district'), 'usr/bin/program') == CONTENT['usr/bin/program'], 'a file')
    check.true(tool('export', at('two.district'))[:16] == stream()[:16], 'and out again')


def test_import_by_another_name_and_size():
    tool('import', '--name', 'renamed', '--size', '16M', at('three.district'), input=stream())
    tool('--verify', at('three.district'))
    check.contains(field(text('dump', at('three.district'), 'system'), 'name'), '"renamed"')
    check.equal(os.path.getsize(at('three.district')), 16 << 20)
    differing = set(objects(at('three.district'))) ^ set(objects(store()))
    check.equal({what for what, _ in differing}, {'page 0x1 version 1'})


def test_import_over_a_pipe():
    command = '"$T" export "$1" | cat | "$T" import "$2"'
    done = subprocess.run(['sh', '-c', command, 'sh', store(), at('piped.district')], capture_output=True, text=True,
                          env=dict(ENVIRONMENT, T=TOOL))
    check.equal(done.returncode, 0, done.stderr)
    check.equal(done.stderr, '', 'quiet in a pipe')
    check.equal(objects(at('piped.district')), objects(store()))


def test_import_in_place():
    path = copy('same.district')
    refused(['import', path], 'exists', '--force', '--replace', input=stream())
    refused(['import', '--replace', at('two.district')], 'another district', input=stream())
    tool('import', '--replace', path, input=stream())
    check.equal(identity(path), identity(store()))
    tool('--verify', path)
    tool('import', '--replace', at('back.district'), input=stream())
    check.equal(identity(at('back.district')), identity(store()))
    with open(at('other'), 'wb') as f:
        f.write(os.urandom(1 << 20))
    refused(['import', '--replace', at('other')], 'cannot be opened', '--force', input=stream())
    tool('import', '--force', at('other'), input=stream())
    check.true(identity(at('other')) != identity(store()), 'a new id')


def test_numbers_are_never_used_twice():
    """Of generations 0 to 3 an older one takes the store's place, or comes back elsewhere: the next is 4 and more."""
    path, vault = copy('numbers.district'), ['archive', '--vault', at('numbers-vault')]
    make_source()

    def put(to):
        tool('put', to, at('source/small'), '/tmp/number')
        tool('--verify', to)
        return newest(to)

    old = tool('export', path)  # said when there was no other
    check.equal([put(path) for _ in range(3)], [1, 2, 3])
    tool(*vault, 'push', path, 'all')
    one = tool('export', path, '1')
    tool('import', '--replace', at('elsewhere.district'), input=one)
    check.equal((newest(at('elsewhere.district')), put(at('elsewhere.district'))), (1, 4))
    tool(*vault, 'pull', 'one', '2', at('elsewhere2.district'))
    check.equal((newest(at('elsewhere2.district')), put(at('elsewhere2.district'))), (2, 4))
    tool('import', '--replace', path, input=old)
    check.equal((newest(path), put(path)), (0, 4))
    tool(*vault, 'pull', '--force', 'one', '1', path)
    check.equal((newest(path), put(path)), (1, 5))
    tool('import', '--force', path, input=old)  # a new district
    check.equal(put(path), 1)


def test_streams_that_were_cut_off():
    whole = stream()
    places = [0, 1, 8, 15, 16, 17, 100, 216, len(whole) // 3, len(whole) - 100, len(whole) - 2, len(whole) - 1]
    for n in places:
        refused(['import', at('cut.district')], 'too early' if n else 'nothing', input=whole[:n])
        nothing_left(at('cut.district'))


def test_streams_that_were_changed():
    whole, source = stream(), random.Random(5)
    for _ in range(60):
        n = source.randrange(len(whole))
        changed = whole[:n] + bytes([whole[n] ^ 1 << source.randrange(8)]) + whole[n + 1:]
        refused(['import', at('changed.district')], 'stream', input=changed)
        nothing_left(at('changed.district'))
    refused(['import', at('changed.district')], 'behind its end', input=whole + b'x')
    refused(['import', at('changed.district')], 'no exported generation', input=b'x' * 1000)
    refused(['import', at('changed.district')], 'version 2', input=whole[:8] + b'\2' + whole[9:])
    nothing_left(at('changed.district'))


def test_import_where_it_cannot_be():
    refused(['import', '--size', '1M', at('small.district')], 'does not fit', '--size', input=stream())
    refused(['import', '--size', 'big', at('small.district')], 'big', input=stream())
    refused(['import', '--name', '-', at('small.district')], '--name', input=stream())
    refused(['import', os.path.join(folder, 'no', 'such')], 'No such file', input=stream())
    nothing_left(at('small.district'))
    for wrong in (['export'], ['import'], ['export', store(), '0', '1'], ['import', 'a', 'b']):
        refused(wrong, '--help', status=2, stdin=subprocess.DEVNULL)
    refused(['export', store(), '5'], 'generation 5 is not kept')
    refused(['export', store(), 'x'], 'not the number of a generation')


def test_export_of_damage():
    path = copy('damaged2.district')
    place = int(re.search(r'objects? (0x\S+) and', text('dump', path, 'inode', 'usr/bin/program')).group(1), 16)
    block = int(re.search(r'block (\d+)', field(text('dump', path, 'object', hex(place)), 'bytes')).group(1))
    with open(path, 'r+b') as f:
        f.seek(4096 * block + 100)
        f.write(b'damage')
    done = subprocess.run([TOOL, 'export', path], capture_output=True, env=ENVIRONMENT)
    check.equal(done.returncode, 1)
    check.contains(done.stderr.decode(), 'damaged')
    refused(['import', at('cut.district')], 'too early', input=done.stdout)
    refused(['cat', path, 'usr/bin/program'], 'damaged', hex(place))
    tool('cat', path, 'etc/motd')


# ---- archive ---------------------------------------------------------------------------------------


def archive(*arguments):
    return text('archive', *arguments)


def test_archive_before_there_is_a_vault():
    shutil.rmtree(at('vault'), ignore_errors=True)
    for order in (['list'], ['verify'], ['prune'], ['pull', 'one', '0', at('x')]):
        refused(['archive', *order], 'no vault', 'push')
    check.true(not os.path.exists(at('vault')), 'asking makes no vault')
    for wrong in ([], ['frob'], ['push'], ['pull', 'one'], ['list', 'x']):
        refused(['archive', *wrong], '--help', status=2)


def test_push_list_pull():
    archive('push', store())
    check.equal(oct(os.stat(at('vault')).st_mode & 0o777), '0o700')
    check.true(re.search(r'^one +%s +0 ' % identity(store())[:8], archive('list'), re.MULTILINE), archive('list'))
    check.contains(archive('push', store()), 'already')
    check.contains(archive('verify'), 'all is well: 1 generations')
    archive('pull', 'one', '0', at('pulled.district'))
    tool('--verify', at('pulled.district'))
    check.equal(identity(at('pulled.district')), identity(store()))
    check.equal(objects(at('pulled.district')), objects(store()))
    archive('pull', '--name', 'other', '--size', '16M', identity(store())[:8], 'newest', at('pulled2.district'))
    tool('--verify', at('pulled2.district'))
    check.true(identity(at('pulled2.district')) != identity(store()), 'a new id')


def test_what_is_alike_is_stored_once():
    tool('import', '--name', 'alike', at('alike.district'), input=stream())
    size = sum(e.stat().st_size for e in os.scandir(at('vault')))
    archive('push', at('alike.district'))
    more = sum(e.stat().st_size for e in os.scandir(at('vault'))) - size
    check.true(more < 30000, '%d bytes more' % more)
    check.contains(archive('verify'), '2 generations')


def test_what_the_archive_refuses():
    refused(['archive', 'pull', 'nobody', '0', at('x')], 'no district nobody', 'list')
    refused(['archive', 'pull', 'one', '9', at('x')], 'generation 9 of one is not in the vault')
    refused(['archive', 'pull', 'one', '0', store()], 'exists', '--force')
    refused(['archive', 'pull', '--size', '1M', 'one', '0', at('x')], 'does not fit')
    refused(['archive', 'push', at('nowhere')], 'nowhere')
    refused(['archive', 'prune', '--keep', 'some'], '--keep')
    refused(['archive', 'prune', '--keep', '0'], '--keep')
    refused(['archive', 'prune', '--keep', '1', 'nobody'], 'no district nobody', 'list')
    refused(['archive', '--vault', store(), 'list'], 'no vault')
    os.makedirs(at('something-else/inside'))
    refused(['archive', '--vault', at('something-else'), 'push', store()], 'no vault', 'empty folder')
    check.equal(os.listdir(at('something-else')), ['inside'])
    nothing_left(at('x'))


def big():
    """A store with something in it, so that pushing it takes a while."""
    if not os.path.exists(at('big.district')):
        with tarfile.open(at('big.tar'), 'w') as tar:
            for i in range(5):
                entry = tarfile.TarInfo('file-%d' % i)
                entry.size = 3 << 20
                with open(at('content'), 'wb') as f:
                    f.write(os.urandom(entry.size))
                with open(at('content'), 'rb') as f:
                    tar.addfile(entry, f)
        tool('--size', '64M', '--root', at('big.tar'), '--programs', os.path.join(BUILD, 'boot'), at('big.district'))
    return at('big.district')


def killed(after, *arguments):
    """Runs mkdistrict and kills it. Returns whether it was still at work."""
    child = subprocess.Popen([TOOL, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT)
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    error = child.stderr.read()
    child.stderr.close()
    check.true(child.returncode in (0, -signal.SIGKILL), error[-2000:])
    return child.returncode != 0


def seen_on_a_terminal(command):
    """Runs a shell's line with a terminal as its standard error; what appears there."""
    master, slave = pty.openpty()
    child = subprocess.Popen(['sh', '-c', command], env=dict(ENVIRONMENT, T=TOOL), stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    shown = b''
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the last one has closed it
            part = b''
        if not part:
            break
        shown += part
    os.close(master)
    check.equal(child.wait(), 0, shown)
    return shown.decode()


def test_progress_on_a_terminal():
    """What has to wait (for a pipe, here) shows how far it is, and takes that away; at the ends of a pipe, one of them."""
    shown = seen_on_a_terminal('"$T" export %s | (sleep 1; cat)' % big())
    check.true(re.search(r'\rexporting: [\d.]+ \w+ of [\d.]+ \w+ \(\d+ %\), [\d.]+ \w+/s, \d+ s left', shown), shown)
    check.true(shown.endswith('\r\x1b[K'), shown)
    shown = seen_on_a_terminal('"$T" export %s | (head -c 1000000; sleep 1; cat) | "$T" import --force %s' % (big(), at('watched.district')))
    check.true(('exporting' in shown) + ('importing' in shown) == 1, shown)


def test_push_that_is_interrupted():
    big()
    begin = time.monotonic()
    tool('archive', '--vault', at('first-vault'), 'push', big())
    whole = time.monotonic() - begin
    interrupted = 0
    for i in range(10):
        interrupted += killed(whole * (i + 1) / 11, 'archive', 'push', big())
        archive('verify')
        tool('archive', 'pull', '--force', 'one', '0', at('still.district'))
    check.true(interrupted >= 3, '%d of 10 were interrupted' % interrupted)
    archive('push', big())
    check.contains(archive('verify'), '3 generations')
    archive('pull', 'big', '0', at('big-again.district'))
    check.equal(objects(at('big-again.district')), objects(big()))


def test_vault_in_use():
    child = subprocess.Popen([TOOL, 'archive', '--vault', at('busy-vault'), 'push', big()], env=ENVIRONMENT,
                             stdout=subprocess.DEVNULL)
    while not os.path.exists(at('busy-vault/CURRENT')):
        time.sleep(0.005)
    time.sleep(0.02)
    done = subprocess.run([TOOL, 'archive', '--vault', at('busy-vault'), 'list'], capture_output=True, text=True,
                          env=ENVIRONMENT)
    late = child.poll() is not None
    check.equal(child.wait(), 0)
    check.true(late or 'another mkdistrict' in done.stderr, done)


def test_damage_in_the_vault():
    """Bytes changed anywhere in LevelDB's tables: found by verify, never believed by pull, healed by a push."""
    shutil.copytree(at('first-vault'), at('good-vault'))
    source, unnoticed = random.Random(3), 0
    for i in range(12):
        shutil.rmtree(at('bad-vault'), ignore_errors=True)
        shutil.copytree(at('good-vault'), at('bad-vault'))
        tables = sorted(e.path for e in os.scandir(at('bad-vault')) if e.name.endswith(('.ldb', '.log')) and e.stat().st_size)
        path = tables[i % len(tables)]
        place = source.randrange(os.path.getsize(path))
        with open(path, 'r+b') as f:
            f.seek(place)
            byte = f.read(1)[0]
            f.seek(place)
            f.write(bytes([byte ^ 1 << source.randrange(8)]))
        verify = subprocess.run([TOOL, 'archive', '--vault', at('bad-vault'), 'verify'], capture_output=True, text=True,
                                env=ENVIRONMENT)
        check.true(verify.returncode in (0, 1), verify.stderr[-2000:])
        unnoticed += verify.returncode == 0
        pull = subprocess.run([TOOL, 'archive', '--vault', at('bad-vault'), 'pull', '--force', 'big', '0',
                               at('from-bad.district')], capture_output=True, text=True, env=ENVIRONMENT)
        check.true(pull.returncode in (0, 1), pull.stderr[-2000:])
        if pull.returncode == 0:
            check.equal(objects(at('from-bad.district')), objects(big()))
    check.true(unnoticed <= 4, '%d of 12 changes were not found by verify' % unnoticed)


if __name__ == '__main__':
    harness.main(globals())
