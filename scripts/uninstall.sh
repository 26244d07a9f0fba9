#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make uninstall: give every process its own pages back, unload the module, and remove it from DKMS.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -d /sys/module/uksm ]; then
	say "unmerging and unloading"
	echo 2 | as_root tee /sys/kernel/mm/uksm/run >/dev/null || die "unmerging failed: is there memory for it?"
	n=0
	until as_root rmmod uksm 2>/dev/null; do
		n=$((n + 1))
		[ $n -lt 60 ] || die "the module is still in use; try again later"
		sleep 1
	done
fi
if command -v dkms >/dev/null; then
	dkms status uksm | sed -nE 's|^(uksm)[/, ]+([^,: ]+).*|\1/\2|p' | sort -u | while read -r v; do
		say "removing $v from DKMS"
		quietly as_root dkms remove "$v" --all
	done
fi
as_root rm -rf /usr/src/uksm-[0-9]*
say "uksm is gone"
