#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""link.py LISTEN CONNECT: takes one connection on the UNIX socket LISTEN and passes it on to CONNECT, both ways. Killed, it is a
link that was cut. LISTEN.taken is there when both sides have it."""
import socket, sys, threading

def passes(a, b):
    try:
        while True:
            d = a.recv(1 << 18)
            if not d:
                break
            b.sendall(d)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass

s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
a = s.accept()[0]
b = socket.socket(socket.AF_UNIX)
b.connect(sys.argv[2])
open(sys.argv[1] + '.taken', 'w').close()
t = threading.Thread(target=passes, args=(b, a))
t.start()
passes(a, b)
t.join()
