/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a VM is with what a command waits for: a line on a terminal that is written over, or a
 * JSON object a line for programs. A thread asks the VM twice a second, on a connection of its own.
 */
#ifndef KVMB_PROGRESS_H
#define KVMB_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct progress;

/**
 * progress_begin() - Tell how far it is, from here on
 * @vm:      name, or path of a socket
 * @what:    member of the answer of "info": "migration", "save"; hostile as all of it
 * @as_json: print events to standard output; else a line to a terminal, and nothing to no terminal
 *
 * Return: progress_end(); NULL: there is nobody to be told, which is fine for progress_end().
 */
struct progress *progress_begin(const char *vm, const char *what, bool as_json);

/**
 * progress_begin_here() - The same of what this process does itself, and tells by progress_tell()
 *
 * Return: as progress_begin(). There is no thread.
 */
struct progress *progress_begin_here(bool as_json);

/**
 * progress_tell() - How far it is; twice a second somebody is told
 * @p:    of progress_begin_here(); NULL is fine
 * @what: is being done, UTF-8
 */
void progress_tell(struct progress *p, const char *what, long long done, long long total);

/** progress_end() - No more of it; the terminal's line is empty then, as before a cli_error(). */
void progress_end(struct progress *p);

/** progress_event() - Print an object as one line to standard output, with "event": @event. */
void progress_event(json_t *o, const char *event);

struct progress_rate {	    /* zeroed to begin with */
	long long sent, ms; /* when it was asked last */
	double bytes;	    /* a second; 0 = not known yet */
};

/**
 * progress_line() - What a person wants to know of an answer
 * @o:   "info"'s member: step, total, done; of a migration sent, round, dirty, later, too
 * @r:   of the answers so far
 * @ms:  now, of a clock that does not go back
 * @buf: buf[size]
 *
 * Return: @buf.
 */
const char *progress_line(json_t *o, struct progress_rate *r, long long ms, char *buf, size_t size);

#endif
