#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/disk.sh NAME PACKAGE...
# Print the path of a disk image (ext4, to be used read-only) with these packages of this machine's suite and all that they
# need, for guests that run real programs. It is made when there is none; the packages' scripts are not run, for only what
# lies there is needed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"

name=$1
shift
image=$cache/$name/$host_suite.ext4

make_image() {
	local part main security size sources
	"$top/scripts/deps.sh" suite disk
	suite_mirrors
	sources=("deb $main $host_suite main")
	[ -z "$security" ] || sources+=("deb $security $host_suite-security main")
	say "making a disk with $* in $image"
	mkdir -p "$cache/$name"
	part=$(mktemp -d "$cache/$name/.XXXXXX")
	# shellcheck disable=SC2064  # now
	trap "as_root rm -rf '$part'" EXIT
	as_root mmdebstrap -q --variant=extract --include="$(tr ' ' , <<<"$*")" "$host_suite" "$part/root" "${sources[@]}" >&2
	as_root chroot "$part/root" /usr/bin/python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.* >/dev/null || true
	as_root mkdir -p "$part/root"/{proc,dev,tmp,worker} # not all come with a package that is needed
	size=$(as_root du -sm "$part/root" | cut -f 1)
	quietly as_root mke2fs -q -t ext4 -O '^has_journal' -d "$part/root" "$part/image" $((size * 5 / 4 + 40))M
	as_root chmod 644 "$part/image"
	as_root mv "$part/image" "$image"
}

(
	lock "disk-$name"
	[ -e "$image" ] || make_image "$@"
)
echo "$image"
