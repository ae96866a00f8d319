// SPDX-License-Identifier: GPL-2.0-only
/* stop, kill, pause, resume, reset. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/loop.h"

#define BOOT_POLL_US 500000

static int simple(struct cli_args *a, const char *command, json_t *arguments)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], command, arguments, &o);

	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

/*
 * A guest that is booting has no shutdown service yet: wait for it, as long as the user waits for
 * the rest.
 * Return: EXIT_OK: there it is, or there is another reason why it cannot be stopped, which the VM
 * says best.
 */
static int await_service(const char *vm, uint64_t end)
{
	json_t *o, *service;
	const char *state;
	bool coming;
	int err;

	for (;;) {
		o = NULL;
		err = client_ask(vm, "info", NULL, &o);
		if (err)
			return err;
		service = json_object_get(json_object_get(o, "integration"), "shutdown");
		state = json_string_value(json_object_get(service, "state"));
		coming = json_is_true(json_object_get(service, "enabled")) && state &&
			 (!strcmp(state, "no guest driver") || !strcmp(state, "negotiating") ||
			  !strcmp(state, "leaving"));
		state = json_string_value(json_object_get(o, "state"));
		coming = coming && state && !strcmp(state, "running");
		json_decref(o);
		if (!coming)
			return EXIT_OK;
		if (kvmb_now_ms() >= end)
			break;
		usleep(BOOT_POLL_US);
	}
	cli_error(
		"VM \"%s\": the guest's shutdown service did not start in time; try: "
		"kvmbus kill %s",
		vm, vm);
	return EXIT_TIMEOUT;
}

int cmd_stop(struct cli_args *a)
{
	u32 timeout = cli_u32(a, "timeout");
	uint64_t now, end = kvmb_now_ms() + timeout * 1000ull;
	const char *message = cli_text(a, "message");
	json_t *args;
	int err;

	if (cli_flag(a, "reboot") && cli_flag(a, "hibernate"))
		return cli_bad(a->cmd, "--hibernate does not go with --reboot");
	args = json_pack("{s:b, s:s*}", "reboot", cli_flag(a, "reboot"), "message", message);
	if (!args)
		return cli_bad(a->cmd, "--message: a text that is not UTF-8 cannot be sent");
	err = await_service(a->words[0], end);
	if (err) {
		json_decref(args);
		return err;
	}
	now = kvmb_now_ms();
	timeout = now < end ? (u32)((end - now + 999) / 1000) : 0;
	json_object_set_new(args, "timeout", json_integer(timeout));
	return simple(a, cli_flag(a, "hibernate") ? "hibernate" : "stop", args);
}

int cmd_kill(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_kill(a->words[0], cli_flag(a, "force"), &o);

	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

int cmd_pause(struct cli_args *a)
{
	return simple(a, "pause", NULL);
}

int cmd_reset(struct cli_args *a)
{
	return simple(a, "reset", NULL);
}

int cmd_resume(struct cli_args *a)
{
	return simple(a, "resume", NULL);
}
