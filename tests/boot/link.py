#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""link.py LISTEN CONNECT [RATE [LATER]]: takes one connection on the UNIX socket LISTEN and passes it on to CONNECT, both ways, at most
RATE bytes a second from there to here; LATER, when the other side has said more than a few words: it asks for pages. Killed, it is a
link that was cut. LISTEN.taken is there when both sides have it."""
import socket, sys, threading, time

rates = [int(n) for n in sys.argv[3:]]
said = 0  # bytes

def rate():
    return rates[-1 if said > 400 else 0] if rates else 0

def passes(a, b, back=False):
    global said
    try:
        while True:
            d = a.recv(1 << 14)
            if not d:
                break
            b.sendall(d)
            if back:
                said += len(d)
            elif rate():
                time.sleep(len(d) / rate())
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
t = threading.Thread(target=passes, args=(b, a, True))
t.start()
passes(a, b)
t.join()
