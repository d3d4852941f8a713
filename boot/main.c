/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-boot: loads one kernel into one guest's memory, tells where to start, and exits. The image is
 * hostile input to a parser and five decompressors; whatever it does to this process, the process holds
 * nothing but the image and the memory of the guest that wanted it.
 */
#include "boot.h"
#include "memory.h"

#include "proto/child.h"
#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/memory_map.h"
#include "proto/shm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FD_RAM, FD_KERNEL, FD_INITRD };
enum { SEGMENTS = SEG_COUNT + 2 };

enum { PIECE = 1 << 20 };
#define TELL_NS (CLOCK_NS_PER_S / 4)

static struct child child;
static struct boot_result result;

/* What may be wrong before the library has its turn. */
struct trouble {
	const char *field, *text;
};

static int trouble(struct trouble *t, int err, const char *field, const char *text)
{
	*t = (struct trouble){ field, text };
	return err;
}

static int map_ram(const struct frame *f, uint64_t bytes, uint64_t rom, struct boot_ram *ram, struct trouble *t)
{
	const struct memory_map map = memory_map(bytes, rom);
	void *base;
	int err = shm_map_rw(f->fds[FD_RAM], bytes, &base);

	if (err != 0)
		return trouble(t, err, "guest RAM",
			       err == -ENOMEM ? "there is no address space for it"
					      : "not a sealed memory object of the machine's size");
	ram->low = base;
	ram->low_size = map.low;
	ram->rom_size = map.rom;
	ram->high_size = map.high;
	ram->rom = map.rom != 0 ? ram->low + map.low : NULL;
	ram->high = map.high != 0 ? ram->low + map.low + map.rom : NULL;
	return 0;
}

/* A vmlinux with its debug information; of that, nothing goes to guest memory. */
enum { KERNEL_FILE_MAX = 1 << 30 };

/* Only regular files and memory objects have a size to rely on. An initrd is not larger than the memory it goes to. */
static int image_size(int fd, uint64_t max, const char *field, size_t *size, struct trouble *t)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return trouble(t, -errno, field, "the file cannot be examined");
	if (!S_ISREG(st.st_mode))
		return trouble(t, -EINVAL, field, "not a regular file");
	if ((uint64_t)st.st_size > max)
		return trouble(t, -ENOMEM, field, "the file is larger than the guest's memory: give it more");
	*size = (size_t)st.st_size;
	return 0;
}

/* A slow disk is not a loader that hangs: the supervisor hears of every piece. */
static void tell_progress(void)
{
	static uint64_t told_ns;
	uint64_t now = clock_ns();

	if (now - told_ns < TELL_NS)
		return;
	told_ns = now;
	child_event(&child, BULKHEAD__EVENT_TYPE__EVENT_PROGRESS, 0, BULKHEAD__ROLE__ROLE_BOOT, NULL);
}

/*
 * Images are copied, never mapped: someone who can write to the file could otherwise change it between a
 * check and its use, or cut it off and raise SIGBUS here.
 */
static int read_all(int fd, uint8_t *to, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t piece = size - done < PIECE ? size - done : PIECE;
		ssize_t n = pread(fd, to + done, piece, (off_t)done);

		tell_progress();
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int fetch(const struct boot_image *image, uint8_t *to)
{
	return read_all(image->fd, to, image->size);
}

static int read_kernel(int fd, struct boot_image *kernel, struct trouble *t)
{
	uint8_t *p;
	int err;

	if (kernel->size == 0)
		return 0;
	p = mmap(NULL, kernel->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return trouble(t, -ENOMEM, "kernel", "no memory on the host to read it");
	madvise(p, kernel->size, MADV_HUGEPAGE);
	err = read_all(fd, p, kernel->size);
	if (err == -ENODATA)
		return trouble(t, err, "kernel", "the file became shorter while it was read: fetch it again");
	if (err != 0)
		return trouble(t, err, "kernel", "the file cannot be read");
	kernel->data = p;
	return 0;
}

static int prepare_initrd(const Bulkhead__SetupBoot *m, const struct frame *f, unsigned n, uint64_t bytes,
			  struct boot_image *rd, struct trouble *t)
{
	int err = image_size(f->fds[FD_INITRD + n], bytes, "initrd", &rd->size, t);

	if (err != 0)
		return err;
	rd->name = m->n_initrd_names ? m->initrd_names[n] : m->initrd_name;
	rd->text = m->n_initrd_texts ? m->initrd_texts[n] : NULL;
	rd->fetch = fetch;
	rd->fd = f->fds[FD_INITRD + n];
	return 0;
}

static int prepare(const Bulkhead__SetupBoot *m, const struct frame *f, struct boot_request *rq,
		   struct trouble *t)
{
	uint64_t bytes = m->machine->ram_bytes;
	int err;

	rq->cmdline = m->cmdline;
	rq->linux_words = (const char *const *)m->linux_words;
	rq->linux_word_count = (unsigned)m->n_linux_words;
	rq->only_linux = m->has_only_linux && m->only_linux;
	rq->vcpus = m->machine->vcpus;
	rq->topology = control_topology(m->machine);
	rq->pci = m->machine->has_pci && m->machine->pci;
	rq->display = control_display(m->machine);
	rq->ps2 = m->machine->has_ps2 && m->machine->ps2;
	rq->kernel.name = m->kernel_name;
	if (m->format != NULL && boot_format_parse(m->format, &rq->format) != 0)
		return trouble(t, -EINVAL, "format", "must be auto, bzimage, elf, pvh, multiboot, flat16 or flat64");
	err = image_size(f->fds[FD_KERNEL], bytes < KERNEL_FILE_MAX ? KERNEL_FILE_MAX : bytes, "kernel", &rq->kernel.size, t);
	/* An empty file is no initrd, and would end the list. */
	for (unsigned n = 0, to = 0; err == 0 && n < control_initrds(m); n++) {
		err = prepare_initrd(m, f, n, bytes, &rq->initrd[to], t);
		to += rq->initrd[to].size != 0;
	}
	if (err == 0)
		err = map_ram(f, bytes, m->machine->rom_bytes, &rq->ram, t);
	return err;
}

_Static_assert((int)CONTROL_INITRDS_MAX == (int)BOOT_INITRDS, "what a message may bring has a place");

static void fill_segment(Bulkhead__Segment *to, const struct segment *from)
{
	bulkhead__segment__init(to);
	to->has_selector = to->has_linear_base = to->has_limit = to->has_attr = true;
	to->selector = from->selector;
	to->linear_base = from->base;
	to->limit = from->limit;
	to->attr = from->attr;
}

static void fill_registers(Bulkhead__EntryState *e, const struct cpu *c)
{
	e->has_rip = e->has_rflags = e->has_gdt_base = e->has_gdt_limit = e->has_idt_base = e->has_idt_limit = true;
	e->has_cr0 = e->has_cr3 = e->has_cr4 = e->has_efer = e->has_mtrr_def_type = true;
	e->rip = c->rip;
	e->rflags = c->rflags;
	e->gdt_base = c->gdtr.base;
	e->gdt_limit = c->gdtr.limit;
	e->idt_base = c->idtr.base;
	e->idt_limit = c->idtr.limit;
	e->cr0 = c->cr0;
	e->cr3 = c->cr3;
	e->cr4 = c->cr4;
	e->efer = c->msr.efer;
	e->mtrr_def_type = c->msr.mtrr_def_type;
}

static void fill_missing(Bulkhead__Ok *ok, char *missing[SANDBOX_MISSING_MAX], struct sandbox_report *report)
{
	for (unsigned i = 0; i < report->count; i++)
		missing[i] = report->missing[i];
	ok->n_sandbox_missing = report->count;
	ok->sandbox_missing = missing;
}

static int send_entry(uint32_t id, struct boot_result *r, struct sandbox_report *report)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__EntryState e = BULKHEAD__ENTRY_STATE__INIT;
	Bulkhead__Segment segments[SEGMENTS], *seg[SEG_COUNT];
	char *missing[SANDBOX_MISSING_MAX];

	for (unsigned i = 0; i < SEG_COUNT; i++) {
		fill_segment(&segments[i], &r->cpu.seg[i]);
		seg[i] = &segments[i];
	}
	fill_segment(&segments[SEG_COUNT], &r->cpu.tr);
	fill_segment(&segments[SEG_COUNT + 1], &r->cpu.ldtr);
	fill_registers(&e, &r->cpu);
	e.n_gpr = GPR_COUNT;
	e.gpr = r->cpu.gpr;
	e.n_seg = SEG_COUNT;
	e.seg = seg;
	e.tr = &segments[SEG_COUNT];
	e.ldtr = &segments[SEG_COUNT + 1];
	e.format = (char *)boot_format_name(r->format);
	e.note = r->note;
	e.has_loaded_bytes = e.has_kaslr = true;
	e.loaded_bytes = r->loaded_bytes;
	e.kaslr = r->kaslr;
	ok.entry = &e;
	fill_missing(&ok, missing, report);
	return frame_send(child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, id, &ok.base, NULL, 0);
}

/* The field that Error carries: which of the user's inputs it was about. */
static const char *field_of(int err)
{
	return err == -E2BIG ? "cmdline" : err == -ENOMEM ? "memory" : "kernel";
}

/* SETUP_BOOT with format "memory": no image is parsed, and the state of the processors comes on another way. */
static int serve_memory(const Bulkhead__SetupBoot *m, const struct frame *f, struct sandbox_report *report)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__EntryState e = BULKHEAD__ENTRY_STATE__INIT;
	struct trouble t = { "sandbox", "the final system call filter cannot be loaded" };
	char *missing[SANDBOX_MISSING_MAX];
	uint64_t bytes = m->machine->ram_bytes;
	struct boot_ram ram = { 0 };
	size_t size;
	int err = image_size(f->fds[FD_KERNEL], bytes, "memory", &size, &t);

	if (err == 0 && size != bytes)
		err = trouble(&t, -EINVAL, "memory", "it is of a machine with less memory");
	if (err == 0)
		err = map_ram(f, bytes, 0, &ram, &t);
	if (err == 0)
		err = sandbox_enter_run(SANDBOX_BOOT, (enum sandbox_mode)m->sandbox);
	if (err == 0)
		err = memory_copy(f->fds[FD_KERNEL], ram.low, bytes, tell_progress);
	if (err == -ENODATA)
		trouble(&t, err, "memory", "the file became shorter while it was read");
	if (err != 0)
		return frame_reply_error(child.control_fd, f->header.id, -err, t.field, "%s: %s", t.field, t.text);
	e.format = (char *)"memory";
	ok.entry = &e;
	fill_missing(&ok, missing, report);
	return frame_send(child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}

static int serve(struct sandbox_report *report)
{
	const struct frame *f = &child.frame;
	const Bulkhead__SetupBoot *m = (const Bulkhead__SetupBoot *)f->msg;
	uint32_t id = f->header.id;
	struct boot_request rq = { 0 };
	struct control_complaint complaint;
	struct trouble t = { "sandbox", "the final system call filter cannot be loaded" };
	int err = control_check_setup_boot(m, f->fd_count, &complaint);

	if (err != 0)
		return frame_reply_error(child.control_fd, id, -err, complaint.field, "%s: %s", complaint.field, complaint.why);
	if (m->format != NULL && strcmp(m->format, "memory") == 0)
		return serve_memory(m, f, report);
	err = prepare(m, f, &rq, &t);
	/* From here on: memory, pread of the images, random numbers, the reply. Not a byte of them has been
	 * read yet. */
	if (err == 0)
		err = sandbox_enter_run(SANDBOX_BOOT, (enum sandbox_mode)m->sandbox);
	if (err == 0)
		err = read_kernel(f->fds[FD_KERNEL], &rq.kernel, &t);
	if (err != 0)
		return frame_reply_error(child.control_fd, id, -err, t.field, "%s: %s", t.field, t.text);
	err = boot_load(&rq, &result);
	if (err != 0)
		return frame_reply_error(child.control_fd, id, -err, field_of(err), "%s", result.error);
	return send_entry(id, &result, report);
}

int main(int argc, char **argv)
{
	static struct sandbox_report report;
	int code = child_start(&child, BULKHEAD__ROLE__ROLE_BOOT, "bulkhead-boot",
			       "loads a kernel into a guest's memory, once, and exits", argc, argv);

	if (code >= 0)
		return code;
	/* No capabilities, no files, no network from here on. */
	if (sandbox_enter_setup(SANDBOX_BOOT, child.sandbox, &report) < 0 || child_hello(&child) != 0)
		return 1;
	if (frame_recv(child.control_fd, &child.frame) != 0)
		return 1;
	if (child.frame.header.type != BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT) {
		frame_reply_error(child.control_fd, child.frame.header.id, EPROTO, NULL, "expected SETUP_BOOT, not %s",
				  frame_type_name(child.frame.header.type));
		return 1;
	}
	return serve(&report) == 0 ? 0 : 1;
}
