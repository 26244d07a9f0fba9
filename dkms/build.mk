# SPDX-License-Identifier: GPL-2.0
# How DKMS builds the module (see dkms.conf): make -f dkms/build.mk KDIR=headers
#
# Where the installation of a package asked for the build, as that of a kernel does, a build that failed would leave that
# package half configured, without an initramfs perhaps, and apt broken. So there a module takes uksm's place that
# refuses to load and says why. By hand (dkms build), and in package tests, the build fails as any other.

all:
	@$(MAKE) -C "$(KDIR)" M="$(CURDIR)" modules || $(MAKE) -f dkms/build.mk refuse

refuse:
	@[ -n "$$DPKG_MAINTSCRIPT_PACKAGE" ]
	dkms/reason.sh make.log | sed 's/[\\"]/\\&/g; s/.*/#define UKSM_REASON "&"/' >dkms/refuse/reason.h
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)/dkms/refuse" modules
	cp dkms/refuse/uksm.ko .

.PHONY: all refuse
