// SPDX-License-Identifier: GPL-2.0-only
/* Hints for unknown verbs: other programs' names for our commands, and typing errors. */
#include <string.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "lib/util.h"

/* clang-format off */
static const struct { const char *theirs, *ours; } verbs[] = {
	/* virsh, xl, podman and their like */
	{ "start create define boot up launch virt-install qemu", "run" },
	{ "shutdown poweroff halt down", "stop" },
	{ "reboot restart", "stop VM --reboot" },
	{ "destroy terminate", "kill" },
	{ "suspend freeze", "pause" },
	{ "managedsave hibernate checkpoint", "save" },
	{ "dompmsuspend", "stop VM --hibernate" },
	{ "unpause continue cont thaw", "resume" },
	{ "ls ps domlist", "list" },
	{ "dominfo domstate status show inspect vcpuinfo dommemstat domuuid domname", "info" },
	{ "dumpxml domjobinfo", "info VM --json" },
	{ "domstats top domblkstat domifstat cpu-stats", "stats" },
	{ "version", "--version" },
	{ "attach connect serial ttyconsole", "console" },
	{ "domblklist domblkinfo", "disk VM list" },
	{ "attach-disk add-disk", "disk VM add" },
	{ "detach-disk remove-disk", "disk VM remove" },
	{ "blockresize resize resize-disk", "disk VM resize" },
	{ "change-media", "disk VM insert" },
	{ "blkdeviotune blkiotune", "disk VM limit" },
	{ "domiflist domifaddr net", "nic VM list" },
	{ "attach-interface add-net", "nic VM add" },
	{ "detach-interface", "nic VM remove" },
	{ "domif-setlink domif-getlink", "nic VM link" },
	/* Hyper-V's PowerShell module */
	{ "Start-VM New-VM Import-VM", "run" },
	{ "Stop-VM", "stop" },
	{ "Restart-VM", "stop VM --reboot" },
	{ "Suspend-VM", "pause" },
	{ "Resume-VM", "resume" },
	{ "Save-VM", "save" },
	{ "Get-VM", "list" },
	{ "Get-VMProcessor Get-VMMemory Get-VMHost", "info" },
	{ "Get-VMIntegrationService", "ic" },
	{ "Enable-VMIntegrationService", "ic VM --enable NAME" },
	{ "Disable-VMIntegrationService", "ic VM --disable NAME" },
	{ "Measure-VM", "stats" },
	{ "vmconnect Enter-PSSession", "console" },
	{ "Get-VMHardDiskDrive Get-VMDvdDrive Get-VMScsiController Get-VHD", "disk VM list" },
	{ "Add-VMHardDiskDrive Add-VMDvdDrive", "disk VM add" },
	{ "Remove-VMHardDiskDrive Remove-VMDvdDrive", "disk VM remove" },
	{ "Resize-VHD", "disk VM resize" },
	{ "Set-VMDvdDrive", "disk VM insert" },
	{ "Set-VMHardDiskDrive", "disk VM limit" },
	{ "Get-VMNetworkAdapter", "nic VM list" },
	{ "Add-VMNetworkAdapter", "nic VM add" },
	{ "Remove-VMNetworkAdapter", "nic VM remove" },
	{ "Connect-VMNetworkAdapter Disconnect-VMNetworkAdapter", "nic VM link" },
};
/* clang-format on */

static const char *similar_verb(const char *verb)
{
	unsigned int d, least = (unsigned int)KVMB_MIN(strlen(verb) / 3 + 1, 2u);
	const struct cli_command *c;
	const char *best = NULL;

	for (c = cli_commands; c->verb; c++) {
		d = opt_distance(verb, c->verb);
		if (d <= least && (!best || strcmp(best, c->verb))) {
			least = d - (d > 0);
			best = c->verb;
		}
	}
	return best;
}

int cli_unknown(const char *verb)
{
	const char *meant = NULL;
	size_t i;

	for (i = 0; !meant && i < ARRAY_SIZE(verbs); i++) {
		if (opt_in_list(verbs[i].theirs, verb, strlen(verb)))
			meant = verbs[i].ours;
	}
	if (!meant)
		meant = similar_verb(verb);
	if (meant)
		cli_error("unknown command \"%s\"; did you mean %s?", verb, meant);
	else
		cli_error("unknown command \"%s\"; see kvmbus help", verb);
	return EXIT_USAGE;
}

void cli_man_hints(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("*%s*\n\t%s\n\n", verbs[i].ours, verbs[i].theirs);
}
