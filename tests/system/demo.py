#!/usr/bin/python3
"""`./bw demo`: the pull-the-plug story, on a real boot, with captions. Nothing in it is pretended: if the
machine does not do what a caption says, the demo stops with an error."""
import os
import sys
import time

from machine import SCRATCH, Machine, MachineError, make_store

DISTRICT = 'my-district'
BOLD, PLAIN = ('\x1b[1;36m', '\x1b[0m') if sys.stdout.isatty() else ('', '')
LUA = ('lua -e \'local t = {} for i = 1, 1e9 do t[i % 1000] = i if i % 3e6 == 0 then '
       'print("Lua: step " .. i // 1e6 .. " million, table of " .. #t) end end\' &')


def caption(text, pause=2.5):
    sys.stdout.write('\n%s  %s%s\n\n' % (BOLD, text.replace('\n', '\n  '), PLAIN))
    sys.stdout.flush()
    time.sleep(pause)


def type_slowly(machine, text):
    for c in text[:-1]:
        machine.send(c)
        machine.read_for(0.02)
    machine.send(text[-1])


def await_count(machine, least):
    """Until the shell's loop shows that number or a higher one."""
    count = -1
    while count < least:
        machine.expect(r'counted to (\d+)\r', 30)
        count = int(machine.match.group(1))
    return count


def story(machine):
    caption('A PC boots. Drivers and servers start from the boot image; none of them is persistent.', 0)
    machine.login()
    caption('The shell of the commons. Our district has never run:')
    type_slowly(machine, 'districts\r')
    machine.read_for(1)
    machine.restart(DISTRICT)
    caption("Now we are in the district: Debian's busybox, and Debian's Lua. Let us do some work.")
    machine.read_for(0.5)
    type_slowly(machine, 'echo "remember the milk" > /root/notes\n')
    type_slowly(machine, 'n=0; while :; do n=$((n+1)); echo "shell: counted to $n"; sleep 1; done &\n')
    await_count(machine, 1)
    type_slowly(machine, LUA + '\n')
    machine.expect('Lua: step', 60)
    machine.read_for(4)
    caption('Every second the whole district is checkpointed, unasked: processes, memory, files.', 0)
    before = await_count(machine, 0)
    machine.read_for(2)
    caption('Now we pull the plug: kill -9 of the emulator. No warning, no shutdown.', 1)
    machine.unplug()
    caption('...', 1)
    caption('Power is back. The machine boots from nothing.', 0)
    machine.start()
    machine.login()
    type_slowly(machine, 'districts\r')
    machine.read_for(1)
    generation = machine.restart(DISTRICT)
    caption('Restarted from generation %d: the loop and the Lua program go on in the middle.' % generation, 0)
    await_count(machine, before + 2)
    machine.expect('Lua: step', 60)
    machine.read_for(4)
    type_slowly(machine, 'jobs; cat /root/notes\n')
    machine.expect('remember the milk\r')
    machine.read_for(2)
    caption('Nobody saved anything. The programs never knew. Now the polite way:')
    machine.detach()
    type_slowly(machine, 'poweroff\r')
    machine.wait_off()
    caption('That was Bailiwick. Try it yourself: ./bw run', 0)


def main():
    store = make_store(os.path.join(SCRATCH, 'demo', 'my-district.district'), DISTRICT)
    try:
        with Machine([store], name='demo', echo=True) as machine:
            story(machine)
    except MachineError as error:
        sys.exit('\nThe demo failed: %s' % error)


if __name__ == '__main__':
    main()
