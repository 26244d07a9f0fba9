// SPDX-License-Identifier: GPL-2.0
/*
 * kimage.c - reading vmlinuz and vmlinux
 *
 * A vmlinuz for x86 says where its payload is, one for arm64 is a payload or an
 * EFI program around one. It is unpacked by the program that is made for it.
 */
#define _GNU_SOURCE
#include "kimage.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#define BTF_HEADER 24

static bool begins(const uint8_t *data, size_t len, const char *magic, size_t n)
{
	return len >= n && !memcmp(data, magic, n);
}

/* The whole of an open file, or NULL. */
static uint8_t *map(int fd, size_t *len)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	*len = st.st_size;
	return p;
}

static const char *packer(const uint8_t *data, size_t len)
{
	static const struct {
		const char *program;
		const char *magic;
		size_t len;
	} known[] = {
		{ "gzip", "\x1f\x8b\x08", 3 },
		{ "xz", "\xfd\x37zXZ", 5 },
		{ "zstd", "\x28\xb5\x2f\xfd", 4 },
		{ "lz4", "\x02\x21\x4c\x18", 4 },
		{ "bzip2", "BZh", 3 },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (begins(data, len, known[i].magic, known[i].len))
			return known[i].program;
	return NULL;
}

static void run_packer(const char *program, int in, int out)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(in, 0);
	dup2(out, 1);
	dup2(null, 2);
	execlp(program, program, "-dc", (char *)NULL);
	_exit(127);
}

/* Run the program that unpacks @data; what it wrote is mapped. */
static const char *unpack(struct kimage *image, const char *program,
			  const uint8_t *data, size_t len)
{
	int in = memfd_create("packed", 0), out = memfd_create("unpacked", 0);
	static char why[64];
	int status = 0;
	pid_t pid;

	if (in < 0 || out < 0)
		return "no memory";
	while (len) {
		ssize_t n = write(in, data, len);

		if (n <= 0)
			return "no memory";
		data += n;
		len -= n;
	}
	lseek(in, 0, SEEK_SET);
	pid = fork();
	if (pid == 0)
		run_packer(program, in, out);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "cannot start a program";
	close(in);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(why, sizeof(why), "needs the program %s to unpack it",
			 program);
		return why;
	}
	/* What lies behind the payload may displease it; what it wrote counts. */
	image->data = map(out, &image->len);
	close(out);
	if (!image->data) {
		snprintf(why, sizeof(why), "%s cannot unpack it", program);
		return why;
	}
	return NULL;
}

/*
 * Where the packed kernel lies in a vmlinuz; all of it, if that is not one. False
 * if it is not all there.
 */
static bool payload(const uint8_t **data, size_t *len, uint32_t *unpacked)
{
	const uint8_t *d = *data;
	uint64_t off, n;

	*unpacked = 0;
	if (*len >= 0x260 && begins(d + 0x202, 4, "HdrS", 4)) {
		off = ((d[0x1f1] ? d[0x1f1] : 4) + 1) * 512ull +
		      get32(d + 0x248);
		n = get32(d + 0x24c);
	} else if (*len >= 64 && begins(d, 8, "MZ\0\0zimg", 8)) {
		off = get32(d + 8);
		n = get32(d + 12);
	} else {
		return true;
	}
	if (n < 8 || off + n > *len)
		return false;
	*data = d + off;
	*len = n;
	/* Behind the packed kernel is its size; gzip has that anyway. */
	*unpacked = get32(d + off + n - 4);
	if (packer(*data, *len) && strcmp(packer(*data, *len), "gzip"))
		*len -= 4;
	return true;
}

/* Is there a BTF section at @p? Then its length. */
static size_t btf_at(const uint8_t *p, size_t len)
{
	uint64_t types, strs, end;

	if (len < BTF_HEADER ||
	    memcmp(p, "\x9f\xeb\x01\x00\x18\x00\x00\x00", 8))
		return 0;
	types = (uint64_t)get32(p + 8) + get32(p + 12);
	strs = (uint64_t)get32(p + 16) + get32(p + 20);
	end = BTF_HEADER + (types > strs ? types : strs);
	return end <= len && get32(p + 20) > 1 ? end : 0;
}

/* The largest: others are those of modules, or chance. */
static void find_btf(struct kimage *image)
{
	const uint8_t *p = image->data, *end = p + image->len;
	size_t len;

	while ((p = memmem(p, end - p, "\x9f\xeb\x01\x00", 4))) {
		len = btf_at(p, end - p);
		if (len > image->btf_len) {
			image->btf = p;
			image->btf_len = len;
		}
		p++;
	}
}

static void find_release(struct kimage *image)
{
	static const char banner[] = "Linux version ";
	const uint8_t *p = image->data, *end = p + image->len;
	size_t n;

	while ((p = memmem(p, end - p, banner, sizeof(banner) - 1))) {
		p += sizeof(banner) - 1;
		for (n = 0; p + n < end && p[n] > ' ' && p[n] < 127; n++)
			;
		if (n && n < sizeof(image->release) && p[0] >= '0' &&
		    p[0] <= '9' && p + n < end && p[n] == ' ') {
			memcpy(image->release, p, n);
			image->release[n] = 0;
			return;
		}
	}
}

/* @data has to stay. */
const char *kimage_open(struct kimage *image, uint8_t *data, size_t len)
{
	const uint8_t *packed = data;
	const char *program, *err;
	size_t packed_len = len;
	uint32_t unpacked;

	memset(image, 0, sizeof(*image));
	image->data = data;
	image->len = len;
	if (!begins(data, len, ELFMAG, SELFMAG)) {
		if (!payload(&packed, &packed_len, &unpacked))
			return "it is damaged: a part of it is missing";
		program = packer(packed, packed_len);
		if (program) {
			err = unpack(image, program, packed, packed_len);
			if (err)
				return err;
			if (unpacked && image->len != unpacked)
				return "it is damaged: it unpacks to another size than it says";
		} else if (packed != data) {
			return "it is packed in a way that is not known";
		} else if (len < 64 || memcmp(data + 56, "ARM\x64", 4)) {
			return "it is no image of a Linux kernel";
		}
	}
	find_btf(image);
	find_release(image);
	return NULL;
}

const char *kimage_read(struct kimage *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data;
	size_t len;

	if (fd < 0)
		return "cannot be opened";
	data = map(fd, &len);
	close(fd);
	if (!data)
		return "cannot be read, or is empty";
	return kimage_open(image, data, len);
}
