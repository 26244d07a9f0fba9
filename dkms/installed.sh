#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: dkms/installed.sh KERNEL
# DKMS runs it when it has installed the module for a kernel. Says so if that is the one that only refuses (see build.mk).

for module in "/lib/modules/$1"/updates/dkms/uksm.ko*; do
	why=$(modinfo -F notbuilt "$module" 2>/dev/null)
	[ -n "$why" ] || continue
	for log in /var/lib/dkms/uksm/*/"$1"/*/log/make.log; do :; done
	echo "uksm: it does not build for Linux $1, which will run without it: $why. Look for a newer uksm. The whole log: $log"
done
exit 0
