#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/stage.sh ROOT [UNITS]
# Put what make install and the Debian package install below ROOT: DKMS's source, no more of it than a build needs, what
# loads and unloads the module, its options, and the documents. UNITS is the directory for systemd's unit; without it
# there is none. An options file that is there is the user's, and stays.

set -euo pipefail
cd "$(dirname "$0")/.."
root=${1%/}
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
src=$root/usr/src/uksm-$version

rm -rf "$src"
install -d "$src"
find Kbuild dkms.conf dkms src include \( -name '*.[chS]' ! -name '*.mod.c' -o -name '*.sh' -o -name '*.mk' \
	-o -name Kbuild -o -name dkms.conf \) -print0 | xargs -0 cp --parents -t "$src"
install -d "$root/usr/lib/uksm" "$root/etc/modprobe.d" "$root/usr/share/doc/uksm-dkms"
install boot/load boot/unload "$root/usr/lib/uksm/"
[ -e "$root/etc/modprobe.d/uksm.conf" ] || install -m 644 boot/uksm.conf "$root/etc/modprobe.d/"
install -m 644 README.md docs/*.md "$root/usr/share/doc/uksm-dkms/"
[ $# = 1 ] || install -D -m 644 -t "$root/$2" boot/uksm.service
