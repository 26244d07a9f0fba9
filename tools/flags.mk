# SPDX-License-Identifier: GPL-2.0
# make -f tools/flags.mk TOP=checkout S=source O=build: print the flags with which Kbuild would compile src/ksyms.c for
# the kernel headers in S and O (a headers package has two directories). Kbuild itself is read, not imitated.

.DEFAULT_GOAL := print

-include $(O)/include/config/auto.conf
SRCARCH := $(if $(CONFIG_ARM64),arm64,x86)
srctree := $(S)
objtree := $(O)
src := $(TOP)
obj := .
include $(TOP)/Kbuild

# As the kernel's own Makefile has them; those that only change the code that is made do not matter here.
dirs := $(S)/arch/$(SRCARCH)/include $(O)/arch/$(SRCARCH)/include/generated $(S)/include $(O)/include \
	$(S)/arch/$(SRCARCH)/include/uapi $(O)/arch/$(SRCARCH)/include/generated/uapi $(S)/include/uapi \
	$(O)/include/generated/uapi
headers := $(patsubst %,$(S)/include/linux/%.h,compiler-version kconfig compiler_types)
kernel := -nostdinc $(dirs:%=-I%) $(headers:%=-include %) -D__KERNEL__ -DMODULE -DKBUILD_MODNAME='"uksm"' \
	-DKBUILD_BASENAME='"ksyms"' -D__KBUILD_MODNAME=kmod_uksm -std=gnu11 -fms-extensions -funsigned-char \
	-fshort-wchar -fno-pic -O2 -w $(if $(CONFIG_X86),-m64 -mcmodel=kernel -DCC_USING_FENTRY)

print:
	@printf '%s\n' $(kernel)
	@printf '%s\n' $(ccflags-y) $(CFLAGS_src/ksyms.o)

.PHONY: print
