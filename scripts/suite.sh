# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Other Debian suites as chroots, and kernel sources. Sourced after lib.sh.
# shellcheck disable=SC2154  # which sets these

suite_there() {
	[ "$1" = "$host_suite" ] || [ -e "$cache/suites/$1/.complete" ]
}

# Where this machine gets SUITE (a pattern) from; empty if it does not. apt's own answer, so that neither the layout
# of its files nor the mirror matters.
mirror_of() {
	# shellcheck disable=SC2016  # apt expands these
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v suite="$1" '$2 == suite { print $1; exit }'
}

# suite_get SUITE: make its chroot, with a compiler, if it is not this machine's suite.
suite_get() {
	local suite=$1 root=$cache/suites/$1 main security part
	suite_there "$suite" && return
	(
		lock "suite-$suite"
		suite_there "$suite" && exit
		"$top/scripts/deps.sh" suite
		main=$(mirror_of "$host_suite")
		security=$(mirror_of "$host_suite-security")
		[ -n "$main" ] || die "apt's configuration names no mirror for $host_suite"
		say "making a chroot of Debian $suite in $root"
		mkdir -p "$cache/suites"
		part=$cache/suites/.$suite
		as_root rm -rf "$part"
		set -- "deb $main $suite main" "deb $main $suite-backports main"
		[ -z "$security" ] || set -- "$@" "deb $security $suite-security main"
		as_root mmdebstrap -q --variant=apt --include=gcc,make,libc6-dev,kmod "$suite" "$part" "$@" ||
			die "mmdebstrap failed"
		as_root cp /etc/resolv.conf "$part/etc/"
		as_root touch "$part/.complete"
		as_root mv -T "$part" "$root"
		quietly in_suite "$suite" apt-get -qq update
	)
}

# linux_source SERIES: unpack that kernel's source package into the cache and print where it is.
linux_source() {
	local src=$cache/src/linux-$1 part
	if ! [ -d "$src" ]; then
		(
			lock "source-$1"
			! [ -d "$src" ] || exit
			[ -e "/usr/src/linux-source-$1.tar.xz" ] || say "fetching and unpacking linux-source-$1"
			apt_install "$host_suite" "linux-source-$1" xz-utils
			mkdir -p "$cache/src"
			part=$(mktemp -d "$cache/src/.XXXXXX")
			tar -xf "/usr/src/linux-source-$1.tar.xz" --strip-components=1 -C "$part"
			chmod 755 "$part"
			mv -T "$part" "$src"
		)
	fi
	echo "$src"
}
