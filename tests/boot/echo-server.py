#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""echo-server.py ADDRESS PORT: a client sends a length in decimal, a newline and so many bytes; they come
back and the connection is closed from here. One thread a connection."""
import socket, sys, threading

def serve(c):
    with c, c.makefile('rb') as f:
        left = int(f.readline())
        while left:
            d = f.read1(min(left, 65536))
            if not d:
                return
            c.sendall(d)
            left -= len(d)

s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
