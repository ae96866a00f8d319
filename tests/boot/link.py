#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""link.py LISTEN CONNECT [RATE]: takes one connection on the UNIX socket LISTEN and passes it on to CONNECT, both ways, at most RATE
bytes a second from there to here. Killed, it is a link that was cut. LISTEN.taken is there when both sides have it."""
import socket, sys, threading, time

def passes(a, b, rate=0):
    try:
        while True:
            d = a.recv(1 << 16)
            if not d:
                break
            b.sendall(d)
            if rate:
                time.sleep(len(d) / rate)
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
passes(a, b, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
t.join()
