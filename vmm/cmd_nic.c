// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus nic VM ...`: NICs of a running VM. */
#include <string.h>

#include "lib/util.h"
#include "vmm/client.h"
#include "vmm/cmd.h"
#include "vmm/opt.h"

static const char help_text[] =
	"usage: kvmbus nic VM list\n"
	"       kvmbus nic VM add user|tap=IF|macvtap=IF|bridge=BR|none[,OPTION]...\n"
	"       kvmbus nic VM remove NIC\n"
	"       kvmbus nic VM link up|down NIC\n"
	"       kvmbus nic VM mtu NIC N      the guest sees it when it next starts the NIC\n\n"
	"NIC is net0, net1, ... or its address. --json everywhere.\n\n";

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "kvmbus nic: %s%s%s%s; see kvmbus nic --help\n", what, word ? " \"" : "",
		word ? word : "", word ? "\"" : "");
	return EXIT_USAGE;
}

static int ask(const char *vm, const char *command, json_t *args, bool json, const char *done)
{
	json_t *o = NULL;
	int err = client_ask(vm, command, args, &o);

	if (!err && json)
		client_print_json(o);
	else if (!err)
		printf("%s %s\n", json_string_value(json_object_get(o, "nic")), done);
	json_decref(o);
	return err;
}

static int do_list(const char *vm, bool json)
{
	json_t *o = NULL, *x;
	size_t i;
	int err = client_ask(vm, "nic-list", NULL, &o);

	if (!err && json)
		client_print_json(o);
	else
		json_array_foreach(o, i, x)
			client_print_nic("", x);
	json_decref(o);
	return err;
}

/* "up net0" and "net0 up" */
static int do_link(const char *vm, const char *a, const char *b, bool json)
{
	const char *word = !strcmp(a, "up") || !strcmp(a, "down") ? a : b, *nic = word == a ? b : a;
	bool up = !strcmp(word, "up");

	if (!up && strcmp(word, "down"))
		return usage("up or down, not", word);
	return ask(vm, "nic-link", json_pack("{s:s, s:b}", "nic", nic, "up", up), json,
		   up ? "plugged in" : "unplugged");
}

static int do_mtu(const char *vm, const char *nic, const char *number, bool json)
{
	u32 mtu;

	if (!opt_u32(number, 1, 65535, &mtu))
		return usage("bad MTU", number);
	return ask(vm, "nic-mtu", json_pack("{s:s, s:i}", "nic", nic, "mtu", (int)mtu), json,
		   "has the new MTU");
}

static int act(const char *vm, const char *action, const char *const *pos, int num, bool json)
{
	if (!strcmp(action, "list"))
		return num ? usage("unexpected", pos[0]) : do_list(vm, json);
	if (!strcmp(action, "add"))
		return num != 1 ? usage("add what?", NULL) :
				  ask(vm, "nic-add", json_pack("{s:s}", "spec", pos[0]), json, "added");
	if (!strcmp(action, "remove"))
		return num != 1 ? usage("remove which?", NULL) :
				  ask(vm, "nic-remove", json_pack("{s:s}", "nic", pos[0]), json, "removed");
	if (!strcmp(action, "link"))
		return num != 2 ? usage("link up or down, of which?", NULL) : do_link(vm, pos[0], pos[1], json);
	if (!strcmp(action, "mtu"))
		return num != 2 ? usage("MTU of which, and how large?", NULL) : do_mtu(vm, pos[0], pos[1], json);
	return usage("unknown action", action);
}

int cmd_nic(int argc, char **argv)
{
	const char *pos[2];
	bool json = false;
	int i, num = 0;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			printf("%s%s", help_text, opt_nic_help);
			return EXIT_OK;
		}
	}
	if (argc < 3)
		return usage(argc < 2 ? "which VM?" : "do what? list, add, remove, link, mtu", NULL);
	for (i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (argv[i][0] == '-' || num == 2)
			return usage("unexpected", argv[i]);
		else
			pos[num++] = argv[i];
	}
	return act(argv[1], argv[2], pos, num, json);
}
