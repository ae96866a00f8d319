#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A VM's socket for its guest's sockets, without a VM: fake-vsock.py SOCKET AGENT. Prints "up", then what it is asked.

Port 27510 is AGENT, as in a guest; 7 sends back what it hears; 8 says "bye" and ends; 9 does not answer. On those from 100 on is an agent
that lies, one way each (hex frames).
"""
import os, socket, subprocess, sys, threading

path, agent = sys.argv[1], sys.argv[2]
LIES = ['1100000000000000', '11000000ffffffff', '1100000001000100', '1200000004000000ffffffff', '1400000004000000ffffffff', '14000000080000000000000000000000',
        '630000000000000000', '0000000000000000', '11000000']
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(16)
print('up', flush=True)


def serve(c):
    line = b''
    while not line.endswith(b'\n'):
        b = c.recv(1)
        if not b:
            return
        line += b
    print(line.decode().strip(), flush=True)
    port = int(line.split()[1])
    lie = os.environ.get('LIE')
    if port == 9:
        threading.Event().wait()
    if port in (27510, 7, 8):
        c.sendall(b'OK 2147483648\n')
    if port == 27510 and lie:
        c.sendall(bytes.fromhex(LIES[int(lie)]))
        c.shutdown(socket.SHUT_WR)
        while c.recv(65536):
            pass
    elif port == 27510:
        subprocess.run([agent, '--inetd'], stdin=c)
    elif port == 7:
        while data := c.recv(65536):
            c.sendall(data)
    elif port == 8:
        c.sendall(b'bye\n')
    c.close()


while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
