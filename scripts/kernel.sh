#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: scripts/kernel.sh [-n|-u] NAME   or   scripts/kernel.sh -l
# Put an unmodified distribution kernel (or the debug kernel) into the cache and print its directory, which holds
#   vmlinuz, lib/modules/RELEASE/, release, config
#   suite   the Debian suite whose compiler builds modules for it
#   kdir    the build directory for modules, as seen in that suite
#   busybox, headers/   those of another architecture have their own
# NAME is SUITE-SERIES-FLAVOUR, such as trixie-6.12-rt. The flavour is amd64, cloud or rt; the series may be "newest" or
# "second", see tests/kernels. Short names: SERIES, SERIES-rt and SERIES-full are the cloud, rt and amd64 flavours of
# bookworm's 6.x and of trixie's other kernels. "debug" is built here. SERIES[-rt|-full]-arm64 are kernels
# for arm64, of the same suites.
#   -n   only print it if it is there, else fail
#   -u   fetch it again if the archive has a newer one by now
#   -l   print the names of all kernels of tests/kernels
# It ends with 3 if the archive does not have the kernel, or cannot be reached. A package's exact version is looked up
# each time one is fetched: old ones vanish from the archive.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/suite.sh
. "$top/scripts/suite.sh"
# shellcheck source=scripts/arm64.sh
. "$top/scripts/arm64.sh"

list() {
	local suite all series
	grep -vE '^(#|$)' "$top/tests/kernels" | while read -r suite all; do
		for series in $all; do
			printf '%s\n' "$suite-$series-"{amd64,cloud,rt}
		done
	done
}

cached_only='' update=''
case ${1-} in
-l) list; exit ;;
-n) cached_only=1; shift ;;
-u) update=1; shift ;;
esac
name=${1-}
number='[0-9]+\.[0-9]+'

# Sets suite, series and flavour (as packages spell it), and makes $name the one name that the kernel has.
resolve() {
	local any="($number|newest|second)"
	if [ "$name" = debug ]; then
		suite=$host_suite
		return
	elif [[ $name =~ ^($number)(-rt|-full|-16k)?-arm64$ ]]; then
		suite=trixie
		[[ $name != 6.* ]] || suite=bookworm
		return
	elif [[ $name =~ ^$any(-rt|-full)?$ ]]; then
		series=${BASH_REMATCH[1]} flavour=${BASH_REMATCH[2]#-}
		flavour=${flavour/full/amd64}
		flavour=${flavour:-cloud}
		suite=trixie
		[[ $series != 6.* ]] || suite=bookworm
	elif [[ $name =~ ^([a-z]+)-$any-(amd64|cloud|rt)$ ]]; then
		suite=${BASH_REMATCH[1]} series=${BASH_REMATCH[2]} flavour=${BASH_REMATCH[3]}
	else
		die "no kernel is named '$name', see $0"
	fi
	case $series in
	newest | second)
		[ -z "$cached_only" ] || suite_there "$suite" || exit 1
		suite_get "$suite"
		[ -z "$update" ] || suite_update "$suite"
		case $series in
		newest) series=$(series_of | tail -n 1) ;;
		second) series=$(series_of | tail -n 2 | head -n 1) ;;
		esac
		[ -n "$series" ] || unavailable "$suite has no kernel"
		;;
	esac
	name=$suite-$series-$flavour
	short=$series-$flavour
	short=${short%-cloud} short=${short/-amd64/-full}
	flavour=${flavour%amd64}
	flavour=${flavour:+$flavour-}amd64
}

unavailable() { say "${0##*/}: $*"; exit 3; }

# All releases of a series (a regular expression) in this flavour that the suite has packages of, the newest last.
releases() {
	in_suite "$suite" apt-cache pkgnames "linux-image-" |
		sed -nE "s/^linux-image-($1\.[0-9.]+([+~][a-z0-9.]+)?(-[0-9]+)?-${2:-[a-z0-9-]+})\$/\1/p" | sort -V
}

series_of() { releases "$number" amd64 | grep -oE "^$number" | sort -Vu; }

# What the metapackages point at (there is one for each series that is supported), or, for a series that is no longer
# the newest of its suite, the newest package.
newest_release() {
	local pattern=${series//./\\.} all
	all=$(in_suite "$suite" apt-cache show "linux-image-$flavour" "linux-image-$series-$flavour" 2>/dev/null |
		sed -nE "s/^Depends: linux-image-($pattern\.[^ ,]*-$flavour).*/\1/p" | sort -V) || true
	[ -n "$all" ] || all=$(releases "$pattern" "$flavour")
	tail -n 1 <<<"$all"
}

has_headers() { [ -e "$(suite_root "$suite")/usr/src/linux-headers-$1/Makefile" ]; }

fetch() {
	local release debs deb file old
	old=$(cat "$dir/release" 2>/dev/null || true)
	suite_get "$suite"
	release=$(newest_release)
	if [ -z "$release" ]; then
		suite_update "$suite" now
		release=$(newest_release)
		[ -n "$release" ] || unavailable "$suite has no kernel package for $name"
	fi
	say "fetching kernel $release and its headers"
	# Some headers want the image as well. In a chroot nothing boots: no initramfs.
	INITRD=No apt_install "$suite" "linux-headers-$release" || unavailable "no headers for $release"

	# Newer kernels come in parts. Unpacked and not installed, so that this machine's boot loader stays as it is.
	debs=$(in_suite "$suite" apt-cache pkgnames "linux-" |
		grep -xE "linux-(image|base|binary|modules)-${release//+/\\+}")
	make_tmp
	# shellcheck disable=SC2086,SC2016  # a list of packages; expanded by the inner shell
	apt_retry "$suite" sh -c 'cd "$1" && shift && apt-get -qq download "$@"' sh "$tmp" $debs ||
		unavailable "the packages of $release cannot be fetched"
	mkdir "$tmp/root"
	for deb in "$tmp"/*.deb; do
		dpkg -x "$deb" "$tmp/root"
	done
	mkdir -p "$tmp/k/lib"
	# /usr came with Debian 13; since 7.x the kernel lies with its modules.
	if [ -d "$tmp/root/usr/lib/modules" ]; then
		mv "$tmp/root/usr/lib/modules" "$tmp/k/lib/"
	else
		mv "$tmp/root/lib/modules" "$tmp/k/lib/"
	fi
	for file in vmlinuz config; do
		if [ -e "$tmp/root/boot/$file-$release" ]; then
			mv "$tmp/root/boot/$file-$release" "$tmp/k/$file"
		else
			cp "$tmp/k/lib/modules/$release/$file" "$tmp/k/"
		fi
	done
	echo "$suite" >"$tmp/k/suite"
	echo "/usr/src/linux-headers-$release" >"$tmp/k/kdir"
	publish "$tmp/k" "$release"

	# A chroot is ours alone, and need not keep the headers of what this one replaces.
	[ "$suite" = "$host_suite" ] || [ "${old:-$release}" = "$release" ] || ! has_headers "$old" ||
		apt_retry "$suite" apt-get -qq -y --auto-remove -o DPkg::Lock::Timeout=600 purge "linux-headers-$old" || true
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

current() {
	local newest
	[ -n "$update" ] && [ -n "${short-}" ] || return 0
	suite_update "$suite"
	newest=$(newest_release)
	[ -z "$newest" ] || [ "$newest" = "$(cat "$dir/release")" ]
}

resolve
dir=$cache/kernels/$name
lock "kernel-$name"
# What was fetched under its short name is the same kernel.
[ -e "$dir" ] || [ "$(cat "$cache/kernels/${short-}/suite" 2>/dev/null)" != "${suite-}" ] || ln -sfn "$short" "$dir"
if ! usable || ! current; then
	[ -z "$cached_only" ] || exit 1
	"$top/scripts/deps.sh" build vm
	case $name in
	debug) build_debug ;;
	*-arm64) fetch_arm ;;
	*) fetch ;;
	esac
fi
echo "$dir"
