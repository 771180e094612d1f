#!/usr/bin/python3
"""What a Linux user expects in a district: busybox's shell and applets, Lua, signals, jobs, files, pipes;
and wrong or wild programs, which harm nothing but themselves."""
import os

import harness
from machine import SCRATCH, Machine, make_store

check = harness.Checks

store = make_store(os.path.join(SCRATCH, 'linux', 'linux.district'), 'linux')
machine = Machine([store], name='linux')
sh = machine.checked


def recover():
    """After a failure: whatever hangs is cut off, so that the next test has a shell."""
    machine.start()
    machine.login()
    machine.restart('linux')
    machine.send('\x03')
    if machine.sh('cd /; killall lua sleep cat 2>/dev/null; true')[0]:
        raise RuntimeError('the shell does not answer')


def test_restart():
    machine.login()
    check.equal(machine.restart('linux'), 0)
    sh('echo ready', 'ready')


def test_machine_and_user():
    sh('uname -s -m', 'Linux x86_64')
    sh('id -u', '0')
    check.contains(sh('cat /etc/passwd'), 'root:')
    sh('echo $HOME $USER', '/root root')


def test_pipes():
    sh('echo one two three | tr " " "\\n" | sort | tail -n 1', 'two')
    sh('seq 1 1000 | wc -l', '1000')
    sh('seq 1 20000 | md5sum', 'e071f707df7bbeee2a6a1eb48011ddd0  -')
    sh('yes | head -n 3 | wc -l', '3')
    sh('false | true; echo $?', '0')


def test_redirection():
    sh('cd /tmp; echo a > f; echo b >> f; cat < f', 'a\nb')
    sh('ls /nosuch 2>/dev/null', '', 1)
    sh('(echo out; echo err >&2) 2>&1 | sort', 'err\nout')
    sh('exec 5>/tmp/five; echo five >&5; exec 5>&-; cat /tmp/five', 'five')


def test_files_and_directories():
    sh('rm -rf /tmp/d; mkdir -p /tmp/d/e/f; cd /tmp/d; pwd', '/tmp/d')
    sh('echo x > a; cp a b; mv b e/c; ln -s e/c l; ln a h; cat l h', 'x\nx')
    sh('stat -c "%h %s" a', '2 2')
    sh('ls -1', 'a\ne\nh\nl')
    sh('find . -type f | sort', './a\n./e/c\n./h')
    sh('rm a; cat h; rmdir e 2>/dev/null', None, 1)
    sh('mv e g; ls -1 g; rm -r g; ls -1', 'c\nf\nh\nl')
    sh('chmod 640 h; stat -c %a h', '640')
    sh('touch -d "2001-02-03 04:05:06" h; date -r h +%Y-%m-%d', '2001-02-03')
    sh('cd /; rm -rf /tmp/d; ls /tmp/d 2>/dev/null', '', 1)


def test_many_files():
    sh('mkdir /tmp/many; cd /tmp/many; i=0; while [ $i -lt 300 ]; do : > file$i; i=$((i+1)); done; ls | wc -l', '300',
       timeout=60)
    sh('rm file1*; ls | wc -l; cd /; rm -r /tmp/many', '189', timeout=60)


def test_big_file():
    sh('dd if=/dev/zero of=/tmp/big bs=64k count=100 2>/dev/null; wc -c < /tmp/big; rm /tmp/big', '6553600',
       timeout=60)
    sh('seq 1 50000 > /tmp/n; tail -n 1 /tmp/n; md5sum < /tmp/n', '50000\nc1d4ba52c72ac7bcc71ff2d6c083e684  -',
       timeout=60)


def test_sparse_file():
    sh('dd if=/dev/zero of=/tmp/sparse bs=1 count=1 seek=1000000000 2>/dev/null; stat -c %s /tmp/sparse', '1000000001')
    sh('rm -f /tmp/sparse; echo gone', 'gone')


def test_archives_and_text():
    sh('cd /; tar -cf /tmp/e.tar etc; tar -tf /tmp/e.tar | grep passwd', 'etc/passwd')
    sh('gzip -c /etc/profile | gunzip -c | cmp - /etc/profile; echo $?', '0')
    sh("printf 'b 2\\na 1\\n' | sort | awk '{ s += $2; print $1 } END { print s }'", 'a\nb\n3')
    sh("echo hello | sed 's/l*o/LO/'", 'heLO')
    sh('grep -c : /etc/passwd', '1')


def test_exit_status_and_signals():
    sh('sh -c "exit 7"', '', 7)
    sh('sh -c "kill -9 \\$\\$"', None, 137)
    sh('sh -c "trap \'echo caught; exit 3\' TERM; kill \\$\\$"', 'caught', 3)
    sh('nosuchprogram 2>&1', None, 127)
    sh('/etc/passwd 2>&1', None, 126)


def test_background_jobs():
    sh('sleep 0.5 & wait $!; echo $?')
    sh('sleep 100 &')
    check.contains(sh('jobs'), 'sleep 100')
    sh('kill %1; wait 2>/dev/null; jobs > /dev/null; echo none', None)
    sh('(sleep 0.2; echo late > /tmp/late) & sleep 0.6; cat /tmp/late')


def test_ctrl_c():
    machine.send('sleep 100\n')
    machine.read_for(1)
    machine.send('\x03')
    sh('echo back', 'back')


def test_ctrl_z_and_fg():
    machine.send('sleep 2\n')
    machine.read_for(0.7)
    machine.send('\x1a')
    machine.expect('Stopped')
    machine.send('fg\n')
    machine.read_for(2.2)
    sh('echo finished', 'finished')


def test_terminal():
    sh('stty size', '24 80')
    check.contains(sh('stty -a'), 'icanon')
    check.contains(sh('tty'), '/dev/')
    sh('test -t 0 && echo terminal', 'terminal')


def test_time():
    sh('sleep 0.3; echo slept', 'slept')
    year = int(sh('date +%Y'))
    check.true(2024 <= year < 2100, 'year %d' % year)
    a, b = (float(sh('cut -d" " -f1 /proc/uptime')) for _ in range(2))
    check.true(a <= b, 'uptime goes on')


def test_ps():
    check.contains(sh('ps'), 'ps')
    check.contains(sh('ps'), '/bin/busybox sh')
    sh('cat /proc/$$/comm')
    sh('free > /dev/null; df / > /dev/null; uptime > /dev/null; mount > /dev/null')


def test_devices():
    sh('head -c 10 /dev/zero | wc -c', '10')
    sh('echo x > /dev/null')
    sh('head -c 16 /dev/urandom | md5sum | wc -c', '36')
    sh('echo to the terminal > /dev/tty', 'to the terminal')
    sh('echo x > /dev/full 2>/dev/null', '', 1)


def test_lua():
    sh('lua -v 2>&1 | cut -c1-7', 'Lua 5.4')
    sh("lua -e 'local t={} for i=1,100000 do t[i]=i end print(#t)'", '100000', timeout=60)
    sh("lua -e 'print(string.format(\"%.3f\", math.pi), 2^53 | 0, 10 // 3)'", '3.142\t9007199254740992\t3')
    sh("lua -e 'for l in io.lines(\"/etc/passwd\") do print(#l) end'", '29')
    sh("lua -e 'local p=io.popen(\"echo from a child\") print(p:read(\"a\"))'")
    sh("lua -e 'os.exit(5)'", '', 5)
    sh("lua -e 'error(\"deliberate\")' 2>&1 | head -n 1", 'lua: (command line):1: deliberate')
    sh("lua -e 'print(pcall(string.rep, \"x\", 1 << 40))'")
    sh("lua -e 'local t={} for i=1,200 do t[i]=coroutine.wrap(function() coroutine.yield(i) end) end local s=0 "
       "for i=1,200 do s=s+t[i]() end print(s)'", '20100')


def test_lua_interpreter_on_the_terminal():
    machine.send('lua -i\n')
    machine.expect('> ')
    machine.send('= 6 * 7\n')
    machine.expect('42\r\n')
    machine.send('os.exit()\n')
    sh('echo left', 'left')


def test_memory_is_given_back():
    for _ in range(3):
        sh("lua -e 'local t={} for i=1,300000 do t[i]=i end'", '', timeout=60)


def test_too_much_memory_is_an_error():
    sh("lua -e 'print((pcall(string.rep, \"x\", 1 << 36)))'", 'false', timeout=60)
    sh('echo alive', 'alive')


def test_a_broken_program_fails():
    status, _ = machine.sh("printf '\\177ELF\\2\\1\\1\\0garbage' > /tmp/bad; chmod +x /tmp/bad; /tmp/bad 2>/dev/null")
    check.true(status != 0, 'a broken program must fail')
    sh('echo alive', 'alive')


def test_deep_recursion_kills_only_the_program():
    sh("lua -e 'local function f() return 1 + f() end print((pcall(f)))'", 'false', timeout=60)
    sh('f() { f; }; (f) 2>/dev/null; echo alive', None, timeout=60)


def test_forks_have_a_limit_or_end():
    sh('i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; ps | grep -c "sleep 5"', timeout=90)
    sh('killall sleep; wait 2>/dev/null; sleep 0.3; echo alive', timeout=60)


def test_everything_survives_a_cut():
    sh('echo kept > /root/kept; x=42; f() { echo function $x; }; cd /var/log')
    machine.send('lua -e \'local n=0 while true do n=n+1 if n % 1000000 == 0 then io.open("/tmp/n","w"):write(n) '
                 'end end\' &\n')
    machine.read_for(1)
    machine.detach()
    generation = machine.checkpoint('linux')
    machine.unplug()
    machine.start()
    machine.login()
    check.true(machine.restart('linux') >= generation, 'generation')
    sh('f; cat /root/kept; pwd', 'function 42\nkept\n/var/log')
    check.contains(sh('jobs'), 'lua')
    sh('kill %1; cd /')


def test_unknown_system_calls_are_counted():
    sh('cat /proc/enosys')


if __name__ == '__main__':
    harness.main(globals(), machine.close, recover)
