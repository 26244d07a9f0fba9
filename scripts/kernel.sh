#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/kernel.sh [-n] NAME
# Put an unmodified distribution kernel (or the debug kernel) into the cache and print its directory, which holds
#   vmlinuz, lib/modules/RELEASE/, release, config
#   suite   the Debian suite whose compiler builds modules for it
#   kdir    the build directory for modules, as seen in that suite
#   busybox, headers/   those of another architecture have their own
# -n: only print it if it is there, else fail.
# A package's exact version is looked up each time one is fetched: old ones vanish from the archive.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"
# shellcheck source=scripts/arm64.sh
. "$top/scripts/arm64.sh"

cached_only=
[ "${1-}" != -n ] || { cached_only=1; shift; }
name=${1-}

case ${name%%-*} in
6.1 | 6.12) suite=bookworm ;;
7.[0-9]) suite=trixie ;;
debug) suite=$host_suite ;;
*) die "usage: kernel.sh [-n] {6.1|6.12|7.2|7.3}[-rt|-full][-arm64] | debug" ;;
esac
dir=$cache/kernels/$name

# The newest package of this series and flavour: the one the metapackage points at, or pointed at while this series
# was the newest.
newest_release() {
	local series=${name%%-*} flavour=cloud-amd64
	case $name in
	*-rt) flavour=rt-amd64 ;;
	*-full) flavour=amd64 ;;
	esac
	in_suite "$suite" apt-cache pkgnames "linux-image-$series." |
		sed -nE "s/^linux-image-(${series//./\\.}\.[0-9.]+([+~][a-z0-9]+)?(-[0-9]+)?-$flavour)\$/\1/p" |
		sort -V | tail -n 1
}

has_headers() {
	in_suite "$suite" test -e "/lib/modules/$1/build/Makefile" ||
		in_suite "$suite" test -e "/usr/src/linux-headers-$1/Makefile"
}

fetch() {
	local release debs deb
	suite_get "$suite"
	release=$(newest_release)
	if [ -z "$release" ]; then
		quietly in_suite "$suite" apt-get -qq update
		release=$(newest_release)
		[ -n "$release" ] || die "$suite has no kernel package for $name"
	fi
	say "fetching kernel $release and its headers"
	apt_install "$suite" "linux-headers-$release"

	# Newer kernels come in parts. Unpacked and not installed, so that this machine's boot loader stays as it is.
	debs=$(in_suite "$suite" apt-cache pkgnames "linux-" |
		grep -xE "linux-(image|base|binary|modules)-${release//+/\\+}")
	make_tmp
	# shellcheck disable=SC2086,SC2016  # a list of packages; expanded by the inner shell
	apt_retry "$suite" sh -c 'cd "$1" && shift && apt-get -qq download "$@"' sh "$tmp" $debs
	mkdir "$tmp/root"
	for deb in "$tmp"/*.deb; do
		dpkg -x "$deb" "$tmp/root"
	done
	mkdir -p "$tmp/k/lib"
	if [ -d "$tmp/root/usr/lib/modules" ]; then # since 7.x everything is there
		mv "$tmp/root/usr/lib/modules" "$tmp/k/lib/"
		cp "$tmp/k/lib/modules/$release"/{vmlinuz,config} "$tmp/k/"
	else
		mv "$tmp/root/lib/modules" "$tmp/k/lib/"
		mv "$tmp/root/boot/vmlinuz-$release" "$tmp/k/vmlinuz"
		mv "$tmp/root/boot/config-$release" "$tmp/k/config"
	fi
	echo "$suite" >"$tmp/k/suite"
	echo "/usr/src/linux-headers-$release" >"$tmp/k/kdir"
	publish "$tmp/k" "$release"
}

fetch_arm() {
	local release
	suite_get "$suite"
	make_tmp
	mkdir "$tmp/k"
	release=$(arm_kernel "$name" "$suite" "$tmp/k")
	echo "$suite" >"$tmp/k/suite"
	echo "$dir/headers" >"$tmp/k/kdir"
	publish "$tmp/k" "$release"
}

# What is half done lies in $tmp, beside its place; it is moved there when it is whole.
make_tmp() {
	mkdir -p "$cache/kernels"
	tmp=$(mktemp -d "$cache/kernels/.$name.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
}

publish() {
	depmod -b "$1" "$2"
	echo "$2" >"$1/release"
	rm -rf "$dir"
	mv -T "$1" "$dir"
}

# A fragment's options as they must be in .config in the end; prints those that are not.
unmet() {
	local line
	grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$1" | while read -r line; do
		case $line in
		'#'*) ! grep -q "^$(echo "$line" | cut -d' ' -f2)=" "$2" || echo "$line" ;;
		*) grep -qxF -- "$line" "$2" || echo "$line" ;;
		esac
	done
}

build_debug() {
	local fragment=$top/tests/vm/debug.config src out=$cache/build/linux-debug bad
	"$top/scripts/deps.sh" kernel
	src=$(linux_source 6.12)
	mkdir -p "$out"
	quietly make -C "$src" O="$out" tinyconfig
	(cd "$src" && quietly scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "$fragment")
	quietly make -C "$src" O="$out" olddefconfig
	bad=$(unmet "$fragment" "$out/.config")
	[ -z "$bad" ] || die "the debug kernel would lack these options:"$'\n'"$bad"
	say "building the debug kernel in $out (some 10 minutes, only once)"
	quietly nice make -s -j"$(nproc)" -C "$src" O="$out" bzImage modules

	make_tmp
	mkdir "$tmp/k"
	quietly make -C "$src" O="$out" INSTALL_MOD_PATH="$tmp/k" modules_install
	cp "$out/arch/x86/boot/bzImage" "$tmp/k/vmlinuz"
	cp "$out/.config" "$tmp/k/config"
	cp "$fragment" "$tmp/k/fragment"
	echo "$suite" >"$tmp/k/suite"
	echo "$out" >"$tmp/k/kdir"
	publish "$tmp/k" "$(make -s -C "$src" O="$out" kernelrelease)"
}

usable() {
	[ -e "$dir/release" ] || return 1
	case $name in
	debug) cmp -s "$dir/fragment" "$top/tests/vm/debug.config" && [ -e "$(cat "$dir/kdir")/Module.symvers" ] ;;
	*-arm64) suite_there "$suite" && arm_usable "$suite" "$dir" ;;
	*) suite_there "$suite" && has_headers "$(cat "$dir/release")" ;;
	esac
}

lock "kernel-$name"
if ! usable; then
	[ -z "$cached_only" ] || exit 1
	"$top/scripts/deps.sh" build vm
	case $name in
	debug) build_debug ;;
	*-arm64) fetch_arm ;;
	*) fetch ;;
	esac
fi
echo "$dir"
