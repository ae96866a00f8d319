#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The command's answers to bad input where KVM is real.
exec bash "$(dirname "$0")/../checks/cli.sh"
