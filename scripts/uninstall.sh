#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make uninstall: undo all of make install: give every process its own pages back, unload the module, remove it from
# DKMS, and with it the unit and the options.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
! package_installed uksm-dkms || die "it was installed as a package: apt purge uksm-dkms"

[ ! -d /sys/module/uksm ] || say "unmerging and unloading"
if [ -d /run/systemd/system ] && [ -e /etc/systemd/system/uksm.service ]; then
	as_root systemctl -q disable --now uksm 2>/dev/null || true # what is left, the next line says
fi
as_root "$top/boot/unload" || die "nothing was removed"
if command -v dkms >/dev/null; then
	dkms status uksm | sed -nE 's|^(uksm)[/, ]+([^,: ]+).*|\1/\2|p' | sort -u | while read -r v; do
		say "removing $v from DKMS"
		quietly as_root dkms remove "$v" --all
	done
fi
say "removing its files"
as_root rm -rf /usr/src/uksm-[0-9]* /usr/lib/uksm /usr/share/doc/uksm-dkms /etc/modprobe.d/uksm.conf \
	/etc/systemd/system/uksm.service /etc/systemd/system/multi-user.target.wants/uksm.service
[ ! -d /run/systemd/system ] || as_root systemctl daemon-reload
say "uksm is gone"
