#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/build-module.sh KERNEL [VARIABLE=value...]
# Build uksm.ko for a kernel of kernel.sh and print its path. The variables go to make (UKSM_DEBUG=1, UKSM_MUTANT=name,
# W=1...), each set of them with a build directory of its own. The build works on a copy of the sources: the checkout
# stays clean, and several kernels can be built for at once. Any warning is an error.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/arm64.sh
. "$top/scripts/arm64.sh"

[ $# -gt 0 ] || die "usage: build-module.sh KERNEL [VARIABLE=value...]"
kernel=$1
shift
dir=$("$top/scripts/kernel.sh" "$kernel")
suite=$(cat "$dir/suite")
kdir=$(cat "$dir/kdir")
kernel=${dir##*/} # one build, whatever name it was asked for by

key=$(printf '%s' "$kernel${*:+ $*}" | tr -c 'A-Za-z0-9._-' _) # make cannot do with = in a path
build=$work/module-$key
lock "${work##*/}-module-$key"
[ "$(cat "$build/kdir" 2>/dev/null)" = "$kdir" ] || rm -rf "$build" # nothing of another release is of use
mkdir -p "$build/src" "$build/include"
echo "$kdir" >"$build/kdir"

# What has not changed is not copied, so that make builds only what has.
cd "$top"
[ -e Kbuild ] || die "there is no Kbuild in $top"
sources() { find Kbuild src include -name Kbuild -o -name '*.[chS]' ! -name '*.mod.c'; }
sources | while read -r f; do
	cmp -s "$f" "$build/$f" || cp --parents "$f" "$build/"
done
(cd "$build" && sources) | while read -r f; do
	[ -e "$f" ] || rm "$build/$f"
done

case $kernel in
*-arm64) set -- ARCH=arm64 "CROSS_COMPILE=$arm_cross" "$@" ;;
esac

# BTF needs the kernel's vmlinux, which the headers packages have since 6.12. That it is left out is said, and no fault.
log=$build/build.log
as="-j$(nproc)"
if ! in_suite "$suite" make "$as" -C "$kdir" M="$build" KCFLAGS=-Werror "$@" modules >"$log" 2>&1 </dev/null ||
	grep -iE 'warning|error:' "$log" | grep -qv 'the compiler differs from'; then
	sed "s|$build/||g" "$log" >&2
	die "build for $kernel failed"
fi
echo "$build/uksm.ko"
