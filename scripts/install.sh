#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install: register the module with DKMS, which from now on builds it for each kernel that is installed, build it
# for the running one, and load it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
kernel=$(uname -r)
src=/usr/src/uksm-$version

"$top/scripts/deps.sh" dkms
if ! [ -e "/lib/modules/$kernel/build/Makefile" ]; then
	say "installing the headers of the running kernel, $kernel"
	apt_install "$host_suite" "linux-headers-$kernel" ||
		die "no headers for $kernel: install your distribution's package of them and try again"
fi

if [ -n "$(dkms status "uksm/$version")" ]; then
	say "removing the installed uksm $version first"
	quietly as_root dkms remove "uksm/$version" --all
fi
say "copying the source to $src"
as_root rm -rf "$src"
as_root mkdir -p "$src"
(
	cd "$top"
	find Kbuild dkms.conf LICENSE src include \( -name '*.[ch]' ! -name '*.mod.c' -o -name Kbuild -o -name dkms.conf \
		-o -name LICENSE \) -print0 | as_root xargs -0 cp --parents -t "$src"
)
quietly as_root dkms add "uksm/$version"
say "building for $kernel"
quietly as_root dkms build "uksm/$version" -k "$kernel"
quietly as_root dkms install "uksm/$version" -k "$kernel"
say "loading"
if ! as_root modprobe uksm; then
	as_root dmesg | grep uksm: | tail -n 3 >&2
	die "the module is installed, but this kernel does not load it; see above"
fi
say "done. See it work:  grep . /sys/kernel/mm/uksm/*      Undo:  make uninstall"
