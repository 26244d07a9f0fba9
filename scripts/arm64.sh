# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Kernels for arm64, built for and booted on this machine, which need not be one. Sourced after lib.sh and suite.sh.
# shellcheck disable=SC2154  # which set these
#
# Their packages are fetched as a machine of that kind would, with package lists of their own, and only unpacked: neither
# this machine nor a chroot gets a second architecture. The compiler is a cross compiler of the suite.

# shellcheck disable=SC2034  # those who source this use it
arm_cross=aarch64-linux-gnu-

# arm_apt SUITE get|cache ARGUMENT...: apt of the suite, as on an arm64 machine
arm_apt() {
	local suite=$1 apt=apt-$2 dir=$cache/apt/$1-arm64
	shift 2
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	in_suite "$suite" env -C "$dir" "$apt" -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
		-o APT::Sandbox::User=root -o Dir::State::status=/dev/null -o "Dir::State::lists=$dir/lists" \
		-o "Dir::Cache=$dir/cache" "$@"
}

# arm_unpack SUITE DIR PACKAGE...: fetch and unpack them there
arm_unpack() {
	local suite=$1 dir=$2 deb debs=$cache/apt/$1-arm64
	shift 2
	(
		lock "apt-$suite-arm64"
		rm -f "$debs"/*.deb
		quietly arm_apt "$suite" get download "$@"
		for deb in "$debs"/*.deb; do
			dpkg -x "$deb" "$dir"
		done
		rm -f "$debs"/*.deb
	)
}

# arm_release SUITE SERIES FLAVOUR: the newest kernel there is of a series
arm_release() {
	arm_apt "$1" cache pkgnames "linux-image-$2." |
		sed -nE "s/^linux-image-(${2//./\\.}\.[0-9.]+([+~][a-z0-9]+)?(-[0-9]+)?-$3)\$/\1/p" | sort -V | tail -n 1
}

# arm_kernel NAME SUITE DIR: what kernel.sh promises of a kernel, into DIR, its headers and a busybox beside it; prints
# the release
arm_kernel() {
	local name=$1 suite=$2 dir=$3 series=${1%%-*} flavour=cloud-arm64 release root=$3/root headers p
	case $name in
	*-rt-arm64) flavour=rt-arm64 ;;
	*-full-arm64) flavour=arm64 ;;
	*-16k-arm64) flavour=arm64-16k ;; # has only to be refused
	esac
	quietly arm_apt "$suite" get update
	release=$(arm_release "$suite" "$series" "$flavour")
	[ -n "$release" ] || die "$suite has no kernel package for $name"
	say "fetching kernel $release and its headers"
	apt_install "$suite" gcc-aarch64-linux-gnu
	# shellcheck disable=SC2046  # a list
	apt_install "$suite" $(arm_apt "$suite" cache depends "linux-headers-$release" |
		sed -nE 's/^ *Depends: (linux-(headers-.*-common(-rt)?|kbuild-.*))$/\1/p')
	# shellcheck disable=SC2046  # a list; newer kernels come in parts
	arm_unpack "$suite" "$root" "linux-headers-$release" $(arm_apt "$suite" cache pkgnames linux- |
		grep -xE "linux-(image|base|binary|modules)-${release//+/\\+}")
	arm_unpack "$suite" "$root" busybox-static
	mv "$root"/{,usr/}bin/busybox "$dir/" 2>/dev/null || true # where it is differs
	[ -e "$dir/busybox" ] || die "busybox-static has no busybox"

	mkdir "$dir/lib"
	if [ -d "$root/usr/lib/modules" ]; then # since 7.x everything is there
		mv "$root/usr/lib/modules" "$dir/lib/"
		cp "$dir/lib/modules/$release"/{vmlinuz,config} "$dir/"
	else
		mv "$root/lib/modules" "$dir/lib/"
		mv "$root/boot/vmlinuz-$release" "$dir/vmlinuz"
		mv "$root/boot/config-$release" "$dir/config"
	fi

	headers=$dir/headers
	mv "$root/usr/src/linux-headers-$release" "$headers"
	sed -i "s|^KBUILD_OUTPUT=.*|KBUILD_OUTPUT=$cache/kernels/$name/headers|" "$headers/Makefile" # since 7.x
	for p in "$headers"/{scripts,tools}; do # relative links
		ln -sfn "/usr/$(readlink "$p" | sed 's|^\(\.\./\)*||')" "$p"
	done
	rm -rf "$root"
	echo "$release"
}

# arm_usable SUITE DIR: is what its headers need in the suite still there?
arm_usable() {
	in_suite "$1" sh -c "[ -e '$2/headers/scripts/mod/modpost' ] && command -v ${arm_cross}gcc" >/dev/null
}
