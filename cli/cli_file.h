/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of `kvmbus run` that stand in a VM's file (manage/vm_file.h). */
#ifndef KVMB_CLI_FILE_H
#define KVMB_CLI_FILE_H

struct cli_args;

/**
 * cli_file_take() - Put the options of the file that --config names in front of those typed
 * @a: of "run"; --config is none of it afterwards, and values of the file live until cli_free()
 *
 * What may be given several times (disk, dvd, nic, ic) adds up; of what may not, that of the file
 * is dropped if it was typed, too. Names of files in it begin where the file is, and become
 * absolute. Without --config nothing is done.
 *
 * Return: EXIT_OK; EXIT_FAILED or EXIT_USAGE with one line printed.
 */
int cli_file_take(struct cli_args *a);

#endif
