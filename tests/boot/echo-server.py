#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""echo-server.py ADDRESS PORT: sends back what comes, when the other side has finished sending or
at once; one thread a connection."""
import socket, sys, threading

def serve(c):
    with c:
        while True:
            d = c.recv(65536)
            if not d:
                return
            c.sendall(d)

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
