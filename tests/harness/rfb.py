#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A small VNC client: rfb.py ADDRESS [PASSWORD] with commands on standard input, one a line. ADDRESS is a path or HOST:PORT.

size: prints "720x400"; pixel X Y: prints "101010", of the picture as it is known; await X Y RGB: until it is so, 10 s at most;
key KEYSYM (hexadecimal): pressed and released; down KEYSYM, up KEYSYM; point X Y BUTTONS; cut BYTES; junk BYTES; no-resize (before
the first picture): it does not understand NewFBSize; deaf: asks for pictures and reads none, until the server hangs up;
gone: until the server hangs up.

Source: RFC 6143. DES is openssl's.
"""
import os, socket, struct, subprocess, sys, time


class Rfb:
    def __init__(self, address, password):
        if address.startswith('/'):
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(address)
        else:
            host, port = address.rsplit(':', 1)
            self.s = socket.create_connection((host, int(port)))
        self.s.settimeout(20)
        self.resizes, self.asked, self.rgb = True, False, None
        assert self.take(12) == b'RFB 003.008\n'
        self.s.sendall(b'RFB 003.008\n')
        kinds = self.take(self.take(1)[0])
        want = 2 if password else 1
        if want not in kinds:
            sys.exit('security types: ' + kinds.hex())
        self.s.sendall(bytes([want]))
        if password:
            self.s.sendall(self.des(password, self.take(16)))
        if self.take(4) != bytes(4):
            sys.exit('refused: ' + self.take(struct.unpack('>I', self.take(4))[0]).decode())
        self.s.sendall(b'\1')
        self.width, self.height = struct.unpack('>HH', self.take(20)[:4])
        self.name = self.take(struct.unpack('>I', self.take(4))[0]).decode()

    def take(self, n):
        b = b''
        while len(b) < n:
            part = self.s.recv(n - len(b))
            if not part:
                raise EOFError
            b += part
        return b

    @staticmethod
    def des(password, challenge):
        key = bytes(int(f'{b:08b}'[::-1], 2) for b in password.encode()[:8].ljust(8, b'\0'))
        return subprocess.run(['openssl', 'enc', '-des-ecb', '-nopad', '-K', key.hex(), '-provider', 'legacy', '-provider', 'default'],
                              input=challenge, check=True, capture_output=True).stdout

    def ask(self):
        if self.rgb is None:
            self.s.sendall(struct.pack('>B3xBBBBHHHBBB3x', 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
            kinds = [0, -223] if self.resizes else [0]
            self.s.sendall(struct.pack(f'>BxH{len(kinds)}i', 2, len(kinds), *kinds))
            self.rgb = bytearray(self.width * self.height * 4)
            incremental = 0
        else:
            incremental = 1
        if not self.asked:
            self.s.sendall(struct.pack('>BBHHHH', 3, incremental, 0, 0, self.width, self.height))
        self.asked = True

    def update(self):
        """One message of the server."""
        kind = self.take(1)[0]
        if kind != 0:
            sys.exit(f'message {kind}')
        (num,) = struct.unpack('>xH', self.take(3))
        self.asked = False
        for _ in range(num):
            x, y, w, h, encoding = struct.unpack('>HHHHi', self.take(12))
            if encoding == -223:
                assert self.resizes
                self.width, self.height = w, h
                self.rgb = bytearray(w * h * 4)
                self.s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, w, h))
                self.asked = True
                continue
            assert encoding == 0 and x + w <= self.width and y + h <= self.height, (x, y, w, h, encoding)
            for line in range(h):
                at = ((y + line) * self.width + x) * 4
                self.rgb[at:at + w * 4] = self.take(w * 4)

    def pixel(self, x, y):
        if self.rgb is None or x >= self.width or y >= self.height:
            return 'none'
        at = (y * self.width + x) * 4
        return self.rgb[at:at + 3][::-1].hex()

    def wait(self, x, y, rgb):
        end = time.time() + 10
        while self.pixel(x, y) != rgb:
            self.ask()
            self.s.settimeout(max(0.01, end - time.time()))
            try:
                self.update()
            except TimeoutError:
                sys.exit(f'pixel {x} {y} is {self.pixel(x, y)} and not {rgb}')
        self.s.settimeout(20)

    def gone(self):
        try:
            while self.s.recv(1 << 16):
                pass
        except ConnectionError:
            pass

    def run(self, words):
        what, args = words[0], words[1:]
        if what == 'size':
            print(f'{self.width}x{self.height}')
        elif what == 'name':
            print(self.name)
        elif what == 'pixel':
            print(self.pixel(int(args[0]), int(args[1])))
        elif what == 'await':
            self.wait(int(args[0]), int(args[1]), args[2])
        elif what in ('key', 'down', 'up'):
            for down in [1, 0] if what == 'key' else [what == 'down']:
                self.s.sendall(struct.pack('>BBxxI', 4, down, int(args[0], 16)))
        elif what == 'point':
            self.s.sendall(struct.pack('>BBHH', 5, int(args[2]), int(args[0]), int(args[1])))
        elif what == 'cut':
            self.s.sendall(struct.pack('>B3xI', 6, int(args[0])) + b'x' * min(int(args[0]), 1 << 20))
        elif what == 'junk':
            self.s.sendall(os.urandom(int(args[0])))
        elif what == 'no-resize':
            self.resizes = False
        elif what == 'deaf':
            self.s.settimeout(None)
            try:
                while True:
                    self.s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, self.width, self.height))
            except ConnectionError:
                pass
        elif what == 'gone':
            self.gone()
        elif what == 'wait':
            time.sleep(float(args[0]))
        else:
            sys.exit(f'{what}?')
        sys.stdout.flush()


try:
    client = Rfb(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else '')
    for line in sys.stdin:
        client.run(line.split())
except (EOFError, ConnectionError):
    sys.exit('the server has hung up')
