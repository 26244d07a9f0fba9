#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install: register the module with DKMS, which from now on builds it for each kernel that is installed, build it
# for the running one, load it, and have it loaded at each boot. docs/install.md has more.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
kernel=$(uname -r)
tree=/var/lib/dkms/uksm/$version

has_headers() { [ -e "/lib/modules/$kernel/build/Makefile" ]; }

need_root
! package_installed uksm-dkms || die "the package uksm-dkms is installed: keep it, or first apt remove uksm-dkms"
"$top/scripts/deps.sh" dkms
if ! has_headers; then
	say "installing the headers of the running kernel, $kernel"
	{ apt_install "$host_suite" "linux-headers-$kernel" 2>/dev/null && has_headers; } ||
		die "the headers of the running kernel, $kernel, are missing, and apt cannot install linux-headers-$kernel: install" \
			"your distribution's package of them, or start a kernel that has them, then make install again"
fi

if [ -n "$(dkms status "uksm/$version")" ]; then
	say "removing the uksm $version that is there"
	quietly as_root dkms remove "uksm/$version" --all
fi
say "copying the source to /usr/src/uksm-$version"
as_root "$top/scripts/stage.sh" / etc/systemd/system
quietly as_root dkms add "uksm/$version"

say "building for $kernel"
if ! out=$(as_root dkms build "uksm/$version" -k "$kernel" 2>&1 </dev/null); then
	log=$tree/build/make.log
	[ -e "$log" ] || die "DKMS does not build it: $(grep -v '^$' <<<"$out" | tail -n 3 | tr '\n' ' ')"
	die "it does not build for $kernel: $("$top/dkms/reason.sh" "$log"); the whole log is $log." \
		"Look for a newer uksm, and see docs/install.md"
fi
say "installing"
quietly as_root dkms install "uksm/$version" -k "$kernel"
if [ -d /run/systemd/system ]; then
	quietly as_root systemctl daemon-reload
	quietly as_root systemctl enable uksm
fi

say "loading"
as_root /usr/lib/uksm/load ||
	die "it is installed, but does not run; the line above says what to do. make uninstall removes it"
[ ! -d /run/systemd/system ] || quietly as_root systemctl start uksm
say "done: it runs, now and after each boot. See it work:  grep . /sys/kernel/mm/uksm/*" \
	"   Off:  systemctl disable --now uksm   Undo:  make uninstall"
