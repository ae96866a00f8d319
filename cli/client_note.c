// SPDX-License-Identifier: GPL-2.0-only
/* Changes that are noted: client_note.h. */
#include "cli/client_note.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/keeper.h"

int client_note_begin(const char *vm, struct client_note *n)
{
	int err;

	*n = (struct client_note){ .fd = -1, .vm = vm, .first = -1 };
	err = client_connect(vm, &n->fd);
	if (!err)
		err = client_as_owner(n->fd, vm);
	if (!err)
		n->has_keeper = !client_find_keeper(n->fd, vm, n->dir, sizeof(n->dir), n->why,
						    sizeof(n->why));
	return err;
}

int client_note_keeper(const struct client_note *n)
{
	if (n->has_keeper)
		return EXIT_OK;
	cli_error("VM \"%s\": its keeper cannot be reached: %s", n->vm, n->why);
	return EXIT_FAILED;
}

static bool has_word(const struct vm_state_config *c, const char *word)
{
	int i;

	for (i = 0; i < c->num_args; i++) {
		if (!strcmp(c->args[i], word))
			return true;
	}
	return false;
}

/* Does @c lack a word of @old that another command has put there since the change was announced? */
static bool crosses(int first, int old, const struct vm_state_config *c)
{
	struct vm_state_config f = { 0 }, o = { 0 };
	char why[200];
	bool crossed = cli_config_read(first, &f, why, sizeof(why)) ||
		       cli_config_read(old, &o, why, sizeof(why));
	int i;

	for (i = 0; i < o.num_args && !crossed; i++)
		crossed = !has_word(c, o.args[i]) && !has_word(&f, o.args[i]);
	vm_state_free_config(&f);
	vm_state_free_config(&o);
	return crossed;
}

/* Return: 0 or -errno with @why. */
static int edit_options(struct vm_state_config *c, int first, int old, json_t *answer,
			client_note_edit *edit, void *arg, char *why, size_t size)
{
	int err = cli_config_read(old, c, why, size);

	if (err)
		return err;
	err = edit(c, answer, arg);
	if (err)
		snprintf(why, size, "what it says cannot be");
	else if (crosses(first, old, c))
		snprintf(why, size, "another command changed the same at the same time");
	else
		return 0;
	return -EPROTO;
}

/* Return: 0; -EAGAIN; another -errno with @why. */
static int try_to_note(int first, json_t *answer, client_note_edit *edit, void *arg, char *why,
		       size_t size)
{
	int old = kvmb_keeper_kept(why, size), fd = -1, err = old < 0 ? old : 0;
	struct vm_state_config c = { 0 };

	if (!err)
		err = edit_options(&c, first, old, answer, edit, arg, why, size);
	if (!err) {
		fd = vm_state_seal_config(&c);
		err = fd < 0 ? fd : 0;
		if (err)
			snprintf(why, size, "%s", strerror(-err));
	}
	if (!err)
		err = kvmb_keeper_replace(fd, old, why, size);
	vm_state_free_config(&c);
	if (fd >= 0)
		close(fd);
	if (old >= 0)
		close(old);
	return err;
}

static void note(struct client_note *n, json_t *answer, client_note_edit *edit, void *arg)
{
	int err;

	do {
		err = try_to_note(n->first, answer, edit, arg, n->why, sizeof(n->why));
	} while (err == -EAGAIN);
	if (err) /* we hang up, and leave a doubt */
		cli_error("VM \"%s\": the change was made, but its options cannot follow, so it "
			  "cannot be saved or moved any more: %s",
			  n->vm, n->why);
}

int client_note_change(struct client_note *n, const char *command, json_t *args,
		       const struct handover_fds *fds, client_note_edit *edit, void *arg,
		       json_t **out)
{
	bool announced, heard;
	int err = n->has_keeper ? kvmb_keeper_announce(n->why, sizeof(n->why)) : -ENOTCONN;

	if (err == -EBUSY) {
		json_decref(args);
		cli_error("VM \"%s\": %s", n->vm, n->why);
		return EXIT_STATE;
	}
	announced = !err;
	if (announced)
		n->first = kvmb_keeper_kept(n->why, sizeof(n->why));
	if (announced && n->first < 0) {
		json_decref(args);
		cli_error("VM \"%s\": %s", n->vm, n->why);
		kvmb_keeper_recall(n->why, sizeof(n->why));
		return EXIT_FAILED;
	}
	if (announced)
		json_object_set_new(args, "noted", json_true());
	err = client_ask_heard(n->fd, n->vm, command, args, fds, out, &heard);
	if (!announced)
		return err;
	if (!err)
		note(n, *out, edit, arg);
	else if (heard)
		kvmb_keeper_recall(n->why, sizeof(n->why));
	return err;
}

void client_note_end(struct client_note *n)
{
	kvmb_keeper_seal();
	if (n->fd >= 0)
		close(n->fd);
	if (n->first >= 0)
		close(n->first);
	n->fd = n->first = -1;
}

int client_note_simple(struct cli_args *a, const char *command, json_t *args, const char *done,
		       client_note_edit *edit, void *arg)
{
	struct client_note n;
	json_t *o = NULL;
	int err;

	if (!args)
		return cli_bad(a->cmd, "a name that is not UTF-8 cannot be sent to the VM");
	err = client_note_begin(a->words[0], &n);
	if (!err)
		err = client_note_change(&n, command, json_incref(args), NULL, edit, arg, &o);
	client_note_end(&n);
	if (!err)
		client_print_done(o, cli_flag(a, "json"), done);
	json_decref(o);
	json_decref(args);
	return err;
}
