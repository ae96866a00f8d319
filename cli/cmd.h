/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the commands, for their table in cli/cli_table.c. cli_parse() has checked their
 * arguments. They return EXIT_*, and have printed one line if that is not EXIT_OK.
 */
#ifndef KVMB_CMD_H
#define KVMB_CMD_H

struct cli_args;
struct disk_copies;
struct state_file;
struct vm_handed;

/** cmd_run() - `kvmbus run`: make this process a VM; returns when it has ended. */
int cmd_run(struct cli_args *a);

/**
 * cmd_run_from() - The same
 * @state:    the VM goes on from there; NULL = not from a file
 * @incoming: or from this stream (vmm/mig_stream.h); 0 = none
 * @copies:   whose disks come by it, too, NULL = none
 * @handed:   which hands this over, NULL = it does not
 */
int cmd_run_from(struct cli_args *a, struct state_file *state, int incoming,
		 const struct disk_copies *copies, struct vm_handed *handed);

/** cmd_incoming() - `kvmbus run --incoming ADDRESS`: wait for a VM, and become it. */
int cmd_incoming(struct cli_args *a, const char *address);

struct mig_address;
struct mig_section;
struct mig_stream;

/**
 * incoming_await() - Wait for somebody who greets
 * @address:  where; with TLS he has proved who he is
 * @greeting: of vmm/mig_stream.h
 * @s:        set to the stream; closed by the caller
 * @sec:      set to his options; NULL = he sends none
 *
 * Return: EXIT_OK; EXIT_FAILED with one line printed. Context: a process without threads.
 */
int incoming_await(const struct mig_address *address, const char *greeting, struct mig_stream *s,
		   struct mig_section *sec);

/** cmd_import() - `kvmbus import SOURCE`: returns when the VM's file is there. */
int cmd_import(struct cli_args *a);

/** cmd_list() - `kvmbus list`: the running VMs. */
int cmd_list(struct cli_args *a);

/** cmd_info() - `kvmbus info VM`. */
int cmd_info(struct cli_args *a);

/** cmd_ic() - `kvmbus ic VM`: services; with --check the exit status is the heartbeat's. */
int cmd_ic(struct cli_args *a);

/** cmd_stats() - `kvmbus stats VM`; with --watch until it is interrupted. */
int cmd_stats(struct cli_args *a);

/** cmd_vnc() - `kvmbus vnc VM`: returns when the VM has ended, or by a signal. */
int cmd_vnc(struct cli_args *a);

/** cmd_host() - `kvmbus host memory`: until a signal; with --once one round. */
int cmd_host(struct cli_args *a);

/** cmd_memory() - `kvmbus memory VM [set SIZE]`. */
int cmd_memory(struct cli_args *a);

/** cmd_screenshot() - `kvmbus screenshot VM F`. */
int cmd_screenshot(struct cli_args *a);

/** cmd_key() - `kvmbus key VM KEYS`. */
int cmd_key(struct cli_args *a);

/** cmd_type() - `kvmbus type VM TEXT`. */
int cmd_type(struct cli_args *a);

/** cmd_stop() - `kvmbus stop VM`: waits until the guest has shut down. */
int cmd_stop(struct cli_args *a);

/** cmd_kill() - `kvmbus kill VM`: kills also a process that does not answer. */
int cmd_kill(struct cli_args *a);

/** cmd_pause() - `kvmbus pause VM`. */
int cmd_pause(struct cli_args *a);

/** cmd_reset() - `kvmbus reset VM`. */
int cmd_reset(struct cli_args *a);

/** cmd_resume() - `kvmbus resume VM`. */
int cmd_resume(struct cli_args *a);

/** cmd_backup() - `kvmbus backup VM --to DIR`: returns when DIR is whole. */
int cmd_backup(struct cli_args *a);

/** cmd_save() - `kvmbus save VM FILE`: returns when FILE is there and the VM has ended. */
int cmd_save(struct cli_args *a);

/** cmd_restore() - `kvmbus restore FILE`: make this process the VM; returns when it has ended. */
int cmd_restore(struct cli_args *a);

/** cmd_migrate() - `kvmbus migrate VM ADDRESS`: returns when the VM runs there, or goes on here. */
int cmd_migrate(struct cli_args *a);

/** cmd_upgrade() - `kvmbus upgrade VM`: make this process the VM; returns when it has ended. */
int cmd_upgrade(struct cli_args *a);

/** cmd_console() - `kvmbus console VM`: until Ctrl-] or the end of the VM. */
int cmd_console(struct cli_args *a);

/** cmd_exec() - `kvmbus exec VM -- CMD`: returns what the command returns. */
int cmd_exec(struct cli_args *a);

/** cmd_vsock() - `kvmbus vsock VM PORT`: until the guest ends its stream. */
int cmd_vsock(struct cli_args *a);

/** cmd_copy() - `kvmbus copy VM FILE :/PATH`: returns when the guest has the file. */
int cmd_copy(struct cli_args *a);

/** cmd_ssh() - `kvmbus ssh VM [ARG]...`: becomes ssh(1). */
int cmd_ssh(struct cli_args *a);

/** kvp_cmd_list() - `kvmbus kvp VM list`. */
int kvp_cmd_list(struct cli_args *a);

/** kvp_cmd_get() - `kvmbus kvp VM get KEY`. */
int kvp_cmd_get(struct cli_args *a);

/** kvp_cmd_set() - `kvmbus kvp VM set KEY VALUE`. */
int kvp_cmd_set(struct cli_args *a);

/** kvp_cmd_delete() - `kvmbus kvp VM delete KEY`. */
int kvp_cmd_delete(struct cli_args *a);

/** kvp_cmd_ip() - `kvmbus kvp VM ip`: what a NIC has, or is to have. */
int kvp_cmd_ip(struct cli_args *a);

/** disk_list() - `kvmbus disk VM list`. */
int disk_list(struct cli_args *a);

/** disk_add() - `kvmbus disk VM add F`. */
int disk_add(struct cli_args *a);

/** disk_remove() - `kvmbus disk VM remove DISK`: waits until its image is closed. */
int disk_remove(struct cli_args *a);

/** disk_resize() - `kvmbus disk VM resize DISK [SIZE]`. */
int disk_resize(struct cli_args *a);

/** disk_eject() - `kvmbus disk VM eject DISK`. */
int disk_eject(struct cli_args *a);

/** disk_insert() - `kvmbus disk VM insert DISK F`. */
int disk_insert(struct cli_args *a);

/** disk_limit() - `kvmbus disk VM limit DISK`. */
int disk_limit(struct cli_args *a);

/** nic_list() - `kvmbus nic VM list`. */
int nic_list(struct cli_args *a);

/** nic_add() - `kvmbus nic VM add KIND`. */
int nic_add(struct cli_args *a);

/** nic_remove() - `kvmbus nic VM remove NIC`: waits until the guest has released it. */
int nic_remove(struct cli_args *a);

/** nic_link() - `kvmbus nic VM link up|down NIC`. */
int nic_link(struct cli_args *a);

/** nic_mtu() - `kvmbus nic VM mtu NIC N`. */
int nic_mtu(struct cli_args *a);

/** cmd_help() - `kvmbus help [COMMAND] [ACTION]`. */
int cmd_help(struct cli_args *a);

#endif
