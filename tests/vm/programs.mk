# SPDX-License-Identifier: GPL-2.0
# make -f tests/vm/programs.mk OUT=dir [CROSS=compiler-prefix-]: each tests/guest/NAME.c becomes the static program
# OUT/NAME; lib*.c are linked into all of them.

here := $(dir $(lastword $(MAKEFILE_LIST)))
src := $(here)../guest
libs := $(wildcard $(src)/lib*.c)
names := $(patsubst $(src)/%.c,%,$(filter-out $(libs),$(wildcard $(src)/*.c)))
objects := $(patsubst $(src)/%.c,$(OUT)/%.o,$(libs))
flags := -std=gnu11 -O2 -g -Wall -Wextra -Werror -pthread -I$(src)

all: $(addprefix $(OUT)/,$(names))

$(OUT)/%.o: $(src)/%.c $(wildcard $(src)/*.h) $(here)programs.mk
	$(CROSS)gcc $(flags) -c -o $@ $<

$(addprefix $(OUT)/,$(names)): $(OUT)/%: $(OUT)/%.o $(objects)
	$(CROSS)gcc $(flags) -static -o $@ $^

.PHONY: all
.SECONDARY:
