/* SPDX-License-Identifier: MIT */
/* Prints docs/layouts.md: offsets and sizes of everything that lies in shared memory or in a frame header. */
#include "devices/backlog.h"
#include "proto/code_map.h"
#include "proto/frame.h"
#include "proto/journal.h"
#include "proto/line.h"
#include "proto/msi.h"
#include "proto/ring.h"
#include "proto/shadow.h"
#include "proto/state.h"

#include <stdio.h>

struct field {
	const char *name;
	size_t offset, size;
	const char *what;
};

struct layout {
	const char *name, *where, *writer, *reader;
	size_t size;
	const struct field *fields;
	unsigned count;
};

#define FIELD(type, field, what) { #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), what }
#define LAYOUT(type, where, writer, reader, list) \
	{ #type, where, writer, reader, sizeof(struct type), list, sizeof(list) / sizeof((list)[0]) }

static const struct field slot[] = {
	FIELD(io_slot, seq, "index of this slot; another value means a stale or torn slot"),
	FIELD(io_slot, op, "1 read, 2 write, 3 EOI, 4 INTA, 5 fence, 6 reset"),
	FIELD(io_slot, size, "1, 2, 4, 8 for reads and writes, else 0"),
	FIELD(io_slot, flags, "bit 0: a reply is awaited"),
	FIELD(io_slot, vcpu, "whose reply cell"),
	FIELD(io_slot, range, "index of the range in the device's row"),
	FIELD(io_slot, space, "0 ports, 1 memory; for reports"),
	FIELD(io_slot, count, "items of REP INS/OUTS; 0: a plain access"),
	FIELD(io_slot, offset, "from the beginning of the range"),
	FIELD(io_slot, addr, "port or guest-physical address; for reports"),
	FIELD(io_slot, data, "data of a write; EOI: vector; INTA: seq of the 8259's output"),
	FIELD(io_slot, when, "the machine's clock at the access, ns"),
	FIELD(io_slot, payload, "items of REP OUTS"),
};
static const struct field req[] = {
	FIELD(ring_req, tail, "slots published, free-running; stored (release) after the slot"),
	FIELD(ring_req, space_waiting, "a producer sleeps because the ring is full"),
	FIELD(ring_req, msi_head, "irqd's channel: messages taken from the MSI ring"),
	FIELD(ring_req, msi_sleeping, "irqd's channel: ring the doorbell for messages"),
	FIELD(ring_req, heartbeat_ns, "irqd's channel: the vcpu process's, renewed every second"),
	FIELD(ring_req, waiting, "vCPU i sleeps, or is about to, on its cell's seq"),
	FIELD(ring_req, slots, "the ring"),
};
static const struct field rsp[] = {
	FIELD(ring_rsp, head, "slots applied; stored (release) after their effects"),
	FIELD(ring_rsp, sleeping, "0 awake, 1 asleep: a request needs the doorbell, 2 napping: characters alone do not"),
	FIELD(ring_rsp, incarnation, "of the daemon that serves now"),
	FIELD(ring_rsp, heartbeat_ns, "the machine's clock, renewed every second even when idle"),
	FIELD(ring_rsp, protocol_errors, "the daemon found the ring broken and stopped reading it"),
	FIELD(ring_rsp, room, "moves when a full ring has become half empty; futex word"),
	FIELD(ring_rsp, holding, "1: requests wait until there is room for what follows from them"),
	FIELD(ring_rsp, cells, "one reply cell per vCPU"),
	FIELD(ring_rsp, written, "notices of code that this device has overwritten: count, then address and size of the latest 15"),
};
static const struct field cell[] = {
	FIELD(ring_cell, seq, "slot's seq + 1; stored (release) last; futex word"),
	FIELD(ring_cell, data, "of a read"),
	FIELD(ring_cell, bytes, "items of REP INS"),
};
static const struct field shadow[] = {
	FIELD(shadow_entry, seq, "odd while the rest changes"),
	FIELD(shadow_entry, valid, "0: ask the daemon"),
	FIELD(shadow_entry, value, "hz = 0: the value; else value + (now - base_ns) * hz / 1e9"),
	FIELD(shadow_entry, base_ns, "of the machine's clock"),
	FIELD(shadow_entry, hz, "rate of a time function, 0: none"),
	FIELD(shadow_entry, mask, "of the result of a time function"),
};
static const struct field line[] = {
	FIELD(line_page, words, "bit 0 the level, bits 1 to 31 a count of rising edges"),
};
static const struct field msi_slot_fields[] = {
	FIELD(msi_slot, seq, "index of this slot"),
	FIELD(msi_slot, type, "0 message to a local APIC, 1 route of an IOAPIC pin"),
	FIELD(msi_slot, pin, "IOAPIC pin"),
	FIELD(msi_slot, masked, "of a route"),
	FIELD(msi_slot, addr, "message address"),
	FIELD(msi_slot, data, "message data"),
};
static const struct field msi[] = {
	FIELD(msi_page, tail, "messages published, free-running"),
	FIELD(msi_page, pic_out, "8259: seq << 32, vector << 8, INTR; one word, never torn"),
	FIELD(msi_page, slots, "the ring; how far it was read stands in REQ (msi_head)"),
};
static const struct field journal[] = {
	FIELD(journal_header, magic, "4b4a4842h"),
	FIELD(journal_header, format, "of this header"),
	FIELD(journal_header, role, "whose state"),
	FIELD(journal_header, version, "of the model's state"),
	FIELD(journal_header, part_version, "of the shell's state"),
	FIELD(journal_header, part_size, "of both states"),
	FIELD(journal_header, committed, "0 nothing, 1 or 2: that buffer; stored (release) after its contents"),
};
static const struct field record[] = {
	FIELD(journal_record, checksum, "over the mark, the sizes and all blocks"),
	FIELD(journal_record, part_size, "of both states"),
	FIELD(journal_record, mark, "slots applied, time, the last reply"),
};
static const struct field console[] = {
	FIELD(backlog, magic, "4b4c4842h"),
	FIELD(backlog, bytes, "size of data"),
	FIELD(backlog, written, "bytes ever written; stored (release) after the data"),
	FIELD(backlog, data, "byte n lies at n modulo the size"),
};
static const struct field code_map_fields[] = {
	FIELD(code_map, magic, "50414d43h; stored (release) after the rest of the header"),
	FIELD(code_map, version, "1"),
	FIELD(code_map, vcpus, "words for each page"),
	FIELD(code_map, region_count, "regions in use"),
	FIELD(code_map, region, "of guest RAM: address, size, index of the first page"),
	{ "granules", sizeof(struct code_map), 0, "word page * vcpus + vcpu: bit n stands for bytes 64 n to 64 n + 63 of the page" },
};
static const struct field frame[] = {
	FIELD(frame_header, magic, "4842h"),
	FIELD(frame_header, type, "MessageType of control.proto"),
	FIELD(frame_header, len, "of the body that follows"),
	FIELD(frame_header, id, "chosen by the requester, repeated in the reply; 0 in events"),
	FIELD(frame_header, flags, "0"),
	FIELD(frame_header, nfds, "descriptors that come with it"),
};

static const struct field state_fields[] = {
	FIELD(state_header, magic, "\"BHST\""),
	FIELD(state_header, version, "1"),
	FIELD(state_header, checksum, "of everything behind this field"),
	FIELD(state_header, bytes, "from this header's beginning to the last part's end"),
	FIELD(state_header, parts, "how many follow, each at a multiple of 8"),
};
static const struct field part_fields[] = {
	FIELD(state_part, kind, "1 machine, 2 processor, 3 bus, 4 ring, 5 lines, 6 journal, 7 messages, 8 console, 9 debug text"),
	FIELD(state_part, version, "1"),
	FIELD(state_part, role, "of the device, or 0"),
	FIELD(state_part, instance, "of the device, or number of the vCPU"),
	FIELD(state_part, bytes, "of what follows"),
};

static const struct layout layouts[] = {
	LAYOUT(ring_req, "REQ", "vcpu", "daemon, supervisor", req),
	LAYOUT(io_slot, "slot of REQ", "vcpu", "daemon", slot),
	LAYOUT(ring_rsp, "RSP", "daemon", "vcpu, supervisor", rsp),
	LAYOUT(ring_cell, "cell of RSP", "daemon", "vcpu", cell),
	LAYOUT(shadow_entry, "entry of SHADOW", "daemon", "vcpu", shadow),
	LAYOUT(line_page, "LINE", "daemon", "irqd", line),
	LAYOUT(msi_page, "MSI", "irqd", "vcpu", msi),
	LAYOUT(msi_slot, "slot of MSI", "irqd", "vcpu", msi_slot_fields),
	LAYOUT(journal_header, "JOURNAL", "daemon", "supervisor, next incarnation", journal),
	LAYOUT(journal_record, "record of JOURNAL", "daemon", "supervisor, next incarnation", record),
	LAYOUT(backlog, "BACKLOG", "seriald", "seriald, supervisor", console),
	LAYOUT(code_map, "code map", "vcpu, each word one thread of it", "who writes guest RAM", code_map_fields),
	LAYOUT(state_header, "STATE", "supervisor", "who took the machine", state_fields),
	LAYOUT(state_part, "part of STATE", "supervisor", "who took the machine", part_fields),
	LAYOUT(frame_header, "header of a control frame", "sender", "receiver", frame),
};

int main(void)
{
	printf("# Layouts\n\n"
	       "Generated by `docs/gen_layouts` from the headers in `proto/`; do not edit, run `ninja -C BUILD update-docs`.\n"
	       "Little endian; offsets and sizes in bytes; what is not listed is reserved and zero.\n"
	       "[protocol.md](protocol.md) says how they are used.\n");
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		const struct layout *l = &layouts[i];

		printf("\n## %s: `struct %s`\n\n%zu bytes. Writer: %s. Reader: %s.\n\n"
		       "| offset | size | field | |\n|---|---|---|---|\n",
		       l->where, l->name, l->size, l->writer, l->reader);
		for (unsigned f = 0; f < l->count; f++)
			printf("| %zu | %zu | `%s` | %s |\n", l->fields[f].offset, l->fields[f].size, l->fields[f].name,
			       l->fields[f].what);
	}
	return 0;
}
