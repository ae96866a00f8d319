// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus ssh VM`: log in to the guest, at an address that it says it has. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/exits.h"
#include "lib/util.h"

#define WAIT_MS 500
#define TRIES 10 /* what is old is read again while we wait */

/*
 * The guest chooses what we connect to: nothing of this host itself, and nothing but an address.
 * Link-local ones need an interface, which is not known.
 */
static bool good_address(const char *s)
{
	struct in6_addr a6;
	struct in_addr a4;
	u32 a;

	if (inet_pton(AF_INET6, s, &a6) == 1)
		return !IN6_IS_ADDR_UNSPECIFIED(&a6) && !IN6_IS_ADDR_LOOPBACK(&a6) &&
		       !IN6_IS_ADDR_LINKLOCAL(&a6) && !IN6_IS_ADDR_MULTICAST(&a6) &&
		       !IN6_IS_ADDR_V4MAPPED(&a6) && !IN6_IS_ADDR_V4COMPAT(&a6);
	if (inet_pton(AF_INET, s, &a4) != 1)
		return false;
	a = ntohl(a4.s_addr);
	return a >> 24 && a >> 24 != 127 && a >> 16 != 0xa9fe && a >> 28 < 0xe;
}

/* One of this host's own. A guest behind passt has one of these as its own, too. */
static bool is_of_this_host(const char *address)
{
	struct ifaddrs *all = NULL, *i;
	char text[INET6_ADDRSTRLEN];
	bool ours = false;
	int family;

	if (getifaddrs(&all))
		return false;
	for (i = all; i && !ours; i = i->ifa_next) {
		family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		if (family == AF_INET)
			inet_ntop(family, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr,
				  text, sizeof(text));
		else if (family == AF_INET6)
			inet_ntop(family, &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr,
				  text, sizeof(text));
		ours = (family == AF_INET || family == AF_INET6) && !strcmp(text, address);
	}
	freeifaddrs(all);
	return ours;
}

static const char *address_of(json_t *info)
{
	json_t *kvp = json_object_get(json_object_get(info, "integration"), "kvp"), *s;
	size_t i;

	json_array_foreach(json_object_get(kvp, "addresses"), i, s)
	{
		if (json_is_string(s) && good_address(json_string_value(s)) &&
		    !is_of_this_host(json_string_value(s)))
			return json_string_value(s);
	}
	return NULL;
}

/* Of all NICs: no address of such a guest is reached from here. */
static bool is_behind_passt(json_t *info)
{
	json_t *nics = json_object_get(info, "nics"), *nic;
	const char *kind;
	size_t i;

	json_array_foreach(nics, i, nic)
	{
		kind = json_string_value(json_object_get(nic, "kind"));
		if (!kind || strcmp(kind, "user"))
			return false;
	}
	return json_array_size(nics);
}

static int become_ssh(struct cli_args *a, const char *address)
{
	char **argv = kvmb_xzalloc(((size_t)a->num_rest + 5) * sizeof(*argv));
	const char *name = strrchr(a->words[0], '/');
	char alias[80];
	int n = 0;

	snprintf(alias, sizeof(alias), "HostKeyAlias=kvmbus-%.40s", name ? name + 1 : a->words[0]);
	argv[n++] = "ssh";
	argv[n++] = "-o";
	argv[n++] = alias;
	argv[n++] = (char *)address;
	if (a->num_rest)
		memcpy(argv + n, a->rest, (size_t)a->num_rest * sizeof(*argv));
	execvp("ssh", argv);
	cli_error("ssh: %s", errno == ENOENT ? "not found (on Debian: apt install openssh-client)" :
					       strerror(errno));
	free(argv);
	return EXIT_FAILED;
}

int cmd_ssh(struct cli_args *a)
{
	const char *address = NULL;
	json_t *info = NULL;
	int err, i;

	for (i = 0; i < TRIES && !address; i++) {
		json_decref(info);
		info = NULL;
		if (i)
			usleep(WAIT_MS * 1000);
		err = client_ask(a->words[0], "info", NULL, &info);
		if (err)
			return err;
		if (is_behind_passt(info))
			break;
		address = address_of(info);
	}
	if (info && is_behind_passt(info)) {
		cli_error("VM \"%s\": nobody reaches a guest behind a NIC of kind user; forward a "
			  "port (--nic user,forward=...) and use that",
			  a->words[0]);
		err = EXIT_FAILED;
	} else if (address) {
		err = become_ssh(a, address);
	} else {
		cli_error(
			"VM \"%s\": the guest has told no address that could be reached; it needs "
			"a data exchange service (for Linux: hyperv-daemons)",
			a->words[0]);
		err = EXIT_FAILED;
	}
	json_decref(info);
	return err;
}
