"""A PC's screen and keyboard as somebody in front of it has them: keys are pressed, and the text is recognised on a
picture by comparing its cells with the font of the VGA BIOS.

    Screen(monitor)      of QEMU, by its monitor: `sendkey` and `screendump`
    BochsScreen(log)     of Bochs, which shows it to whom asks by the protocol of VNC (RFC 6143)
"""
import os
import re
import select
import socket
import struct
import time

from machine import SLOW, MachineError

ROWS, COLUMNS, HEIGHT, WIDTH = 25, 80, 16, 9
VGA_BIOS = '/usr/share/seabios/vgabios-stdvga.bin'
LETTER_A = bytes.fromhex('000010386cc6c6fec6c6c6c600000000')
KEYS = {' ': 'spc', '\r': 'ret', '\n': 'ret', '\t': 'tab', '-': 'minus', '=': 'equal', '[': 'bracket_left',
        ']': 'bracket_right', ';': 'semicolon', "'": 'apostrophe', '`': 'grave_accent', '\\': 'backslash', ',': 'comma',
        '.': 'dot', '/': 'slash', '\x1b': 'esc', '\x7f': 'backspace', '*': 'shift-8'}
SHIFTED = dict(zip('!@#$%^&()_+{}|:"~<>?', '1234567890-=[]\\;\'`,./'.replace('8', '')))
NAMED = {name: c for c, name in KEYS.items()}
CURSOR_LINES = slice(14, 16)  # of a cell, where the cursor may be


def font():
    """{picture of a character: the character}; of those that look the same, the one that is typed."""
    with open(VGA_BIOS, 'rb') as f:
        rom = f.read()
    start = rom.index(LETTER_A) - HEIGHT * ord('A')
    glyphs = {}
    for code in [*range(0x20, 0x7f), *range(0x80, 0x100), *range(0, 0x20), 0x7f]:
        glyphs.setdefault(rom[start + HEIGHT * code:start + HEIGHT * (code + 1)], bytes([code]).decode('cp437'))
    return glyphs


class Cell:
    """A character with its colours, as (red, green, blue)."""

    def __init__(self, text, ink, paper, cursor=False):
        self.text, self.ink, self.paper, self.cursor = text, ink, paper, cursor


class Picture:
    glyphs = None

    def __init__(self, ppm):
        header = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', ppm)
        size = int(header.group(1)), int(header.group(2))
        self.cells = []
        if size != (COLUMNS * WIDTH, ROWS * HEIGHT):  # the firmware has not begun, or it is no text screen
            return
        if not Picture.glyphs:
            Picture.glyphs = font()
        self.pixels = ppm[header.end():]
        self.known = {}
        self.cells = [[self.cell(row, column) for column in range(COLUMNS)] for row in range(ROWS)]

    def cell(self, row, column):
        lines = []
        for y in range(row * HEIGHT, (row + 1) * HEIGHT):
            at = 3 * (y * COLUMNS * WIDTH + column * WIDTH)
            lines.append(self.pixels[at:at + 3 * 8])
        key = b''.join(lines)
        if key not in self.known:
            self.known[key] = self.recognise(lines)
        return self.known[key]

    def recognise(self, lines):
        """A cell is two colours at most; either may be the paper. The cursor covers the last lines."""
        colours = {line[x:x + 3] for line in lines for x in range(0, 24, 3)}
        for cursor in (False, True):
            for paper in sorted(colours, key=lambda c: -sum(line.count(c) for line in lines)):
                bits = bytearray(sum((line[x:x + 3] != paper) << (7 - x // 3) for x in range(0, 24, 3))
                                 for line in lines)
                if cursor:
                    bits[CURSOR_LINES] = bytes(2)
                text = self.glyphs.get(bytes(bits))
                if text and (cursor or len(colours) == 2 or text == ' '):
                    ink = next((c for c in colours if c != paper), paper)
                    return Cell(text, tuple(ink), tuple(paper), cursor)
        return Cell('\ufffd', None, None)

    @property
    def lines(self):
        return [''.join(c.text for c in row).rstrip() for row in self.cells]

    @property
    def text(self):
        return '\n'.join(self.lines)


class Typist:
    """Who types and looks, by the `press` and `picture` of a kind of screen."""

    def type(self, text):
        for c in text:
            if c in KEYS:
                self.press(KEYS[c])
            elif c in SHIFTED:
                self.press('shift-' + KEYS.get(SHIFTED[c], SHIFTED[c]))
            else:
                self.press('shift-' + c.lower() if c.isupper() else c)

    def expect(self, pattern, timeout=30):
        """Waits until a regular expression is on the screen; returns the picture."""
        return self.wait(lambda picture: re.search(pattern, picture.text, re.MULTILINE), repr(pattern), timeout)

    def expect_lines(self, lines, first=0):
        """Waits until these lines are what is seen from line `first` on."""
        self.wait(lambda picture: picture.lines[first:first + len(lines)] == lines, '\n'.join(lines))

    def wait(self, is_right, what, timeout=30):
        end = time.monotonic() + timeout * SLOW
        while not is_right(picture := self.picture()):
            if time.monotonic() > end:
                raise MachineError('%s does not come on the screen, which shows\n%s' % (what, picture.text))
            time.sleep(0.05)
        return picture


class Screen(Typist):
    """Of a machine that was started with `arguments(path)`."""

    def __init__(self, monitor):
        self.path = monitor
        self.socket = None

    @staticmethod
    def arguments(monitor):
        return ['-vga', 'std', '-monitor', 'unix:%s,server=on,wait=off' % monitor]

    def command(self, line):
        """One command of QEMU's monitor; returns what it printed."""
        if not self.socket:
            self.connect()
        self.socket.sendall(line.encode() + b'\n')
        return self.answer()

    def connect(self):
        """Waits until QEMU has begun to listen."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30 * SLOW)
        end = time.monotonic() + 30 * SLOW
        while self.socket.connect_ex(self.path) != 0:
            if time.monotonic() > end:
                raise MachineError('QEMU does not listen at ' + self.path)
            time.sleep(0.02)
        self.answer()

    def answer(self):
        text = b''
        while not text.endswith(b'(qemu) '):
            text += self.socket.recv(65536)
        return text.decode(errors='replace')

    def close(self):
        """The machine was switched off: the next one has another monitor."""
        if self.socket:
            self.socket.close()
            self.socket = None

    def press(self, *keys):
        """Keys by QEMU's names, with '-' between those that are held together. The keyboard has room for a few only,
        so each is taken before the next: the controller's status says whether it still has a byte."""
        for key in keys:
            self.command('sendkey %s 1' % key)
            end = time.monotonic() + 30 * SLOW
            time.sleep(0.003)
            while int(re.search(r'= (0x\w+)', self.command('i /1b 0x64')).group(1), 16) & 1:
                if time.monotonic() > end:
                    raise MachineError('nobody takes what is typed')
                time.sleep(0.002)

    def picture(self):
        path = os.path.splitext(self.path)[0] + '.ppm'
        self.command('screendump ' + path)
        with open(path, 'rb') as f:
            return Picture(f.read())


class BochsScreen(Typist):
    """Of a machine that was started with ARGUMENTS; `log` is that of Bochs. Pixels are of 8 bits, BBGGGRRR."""
    ARGUMENTS = ['display_library: rfb, options="timeout=0"']  # no waiting for somebody who looks
    BAR = 32  # rows of pixels of Bochs's own above the machine's
    KEYSYMS = {'ret': 0xff0d, 'esc': 0xff1b, 'tab': 0xff09, 'backspace': 0xff08, 'spc': 0x20, 'shift': 0xffe1,
               'ctrl': 0xffe3, 'alt': 0xffe9, 'pgup': 0xff55, 'pgdn': 0xff56, 'caps_lock': 0xffe5,
               'f1': 0xffbe, 'f2': 0xffbf, 'f3': 0xffc0, 'f4': 0xffc1}
    COLOURS = [bytes(((n & 7) * 255 // 7, (n >> 3 & 7) * 255 // 7, (n >> 6) * 255 // 3)) for n in range(256)]

    def __init__(self, log):
        with open(log, errors='replace') as f:
            port = re.search(r'listening for connections on port (\d+)', f.read()).group(1)
        self.socket = socket.create_connection(('127.0.0.1', int(port)), 30 * SLOW)
        self.read(12)
        self.socket.sendall(b'RFB 003.003\n')
        self.read(4)  # it wants no password
        self.socket.sendall(b'\1')
        self.width, self.height, name = struct.unpack('>HH16xI', self.read(24))
        self.read(name)
        self.pixels = bytearray(self.width * self.height)
        self.ask(whole=True)
        self.take_update()

    def close(self):
        """What is still on its way is read: Bochs complains of a connection that is cut."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.socket.recv(65536):
            pass
        self.socket.close()

    def read(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise MachineError('Bochs has closed its screen')
            data += part
        return data

    def ask(self, whole=False):
        self.socket.sendall(struct.pack('>BBHHHH', 3, not whole, 0, 0, self.width, self.height))

    def take_update(self):
        kind, rectangles = struct.unpack('>BxH', self.read(4))
        if kind:
            raise MachineError('Bochs sends message %d' % kind)
        for _ in range(rectangles):
            x, y, width, height, _ = struct.unpack('>HHHHI', self.read(12))
            for row in range(y, y + height):
                at = row * self.width + x
                self.pixels[at:at + width] = self.read(width)

    def press(self, *keys):
        """Keys by the names of Screen, with '-' between those that are held together."""
        for key in keys:
            held = [self.KEYSYMS.get(k) or ord(NAMED.get(k, k)) for k in key.split('-')]
            for down, keysym in [(1, k) for k in held] + [(0, k) for k in reversed(held)]:
                self.socket.sendall(struct.pack('>BBxxI', 4, down, keysym))
            time.sleep(0.03)  # its keyboard has room for 16 bytes

    def picture(self):
        self.ask()
        while select.select([self.socket], [], [], 0.05)[0]:
            self.take_update()
        start = self.BAR * self.width
        text = self.pixels[start:start + ROWS * HEIGHT * self.width]
        return Picture(b'P6 %d %d 255\n' % (self.width, ROWS * HEIGHT) + b''.join(self.COLOURS[p] for p in text))
