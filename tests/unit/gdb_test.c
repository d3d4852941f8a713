/* SPDX-License-Identifier: MIT */
/*
 * The debugger's daemon without its sockets: packets, commands, points, registers and page tables (vmm/gdb). What is expected
 * comes from gdb's manual, appendix "Remote Protocol", and from the SDM.
 */
#include "vmm/gdb/session.h"
#include "vmm/gdb/tlb.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- a machine that only remembers ----------------------------------------------------------------------------- */

static struct {
	struct engine_state state;
	uint8_t memory[8192];
	struct engine_debug wanted;
	unsigned holds, goes, kills;
	int go_error;
	char sent[65536];
	size_t sent_len;
} machine;

static int hold(void *ctx)
{
	machine.holds++;
	return 0;
}

static int go(void *ctx, const struct engine_debug *want)
{
	if (machine.go_error)
		return machine.go_error;
	machine.goes++;
	machine.wanted = *want;
	return 0;
}

static int get(void *ctx, unsigned vcpu, struct engine_state *out)
{
	*out = machine.state;
	return 0;
}

static int set(void *ctx, unsigned vcpu, const struct engine_state *in)
{
	machine.state = *in;
	return 0;
}

static int read_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got)
{
	if (address >= sizeof(machine.memory))
		return -EFAULT;
	*got = size < sizeof(machine.memory) - address ? size : (size_t)(sizeof(machine.memory) - address);
	memcpy(out, machine.memory + address, *got);
	return 0;
}

static int write_memory(void *ctx, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size)
{
	if (address >= sizeof(machine.memory) || size > sizeof(machine.memory) - address)
		return -EFAULT;
	memcpy(machine.memory + address, in, size);
	return 0;
}

static int info(void *ctx, const char *what, char *text, size_t len)
{
	snprintf(text, len, "all of %s\n", what);
	return 0;
}

static void kill_machine(void *ctx)
{
	machine.kills++;
}

static void send_bytes(void *ctx, const char *bytes, size_t len)
{
	cr_assert(machine.sent_len + len < sizeof(machine.sent));
	memcpy(machine.sent + machine.sent_len, bytes, len);
	machine.sent_len += len;
	machine.sent[machine.sent_len] = 0;
}

static struct target target = { .vcpus = 2, .hold = hold, .go = go, .get = get, .set = set, .read = read_memory,
				.write = write_memory, .info = info, .kill = kill_machine, .send = send_bytes };
static struct session session;
static const struct engine_hit told = { .why = ENGINE_HIT_NONE }, stepped = { .why = ENGINE_HIT_STEP };

static void begin(void)
{
	memset(&machine, 0, sizeof(machine));
	target.kvm = false;
	session_open(&session, &target);
	session_held(&session, 0, &told);
	session.no_ack = true;
	machine.sent_len = 0;
	machine.sent[0] = 0;
}

/* The body of the answer to a command. */
static const char *ask(const char *body)
{
	static char packet[2 * PACKET_MAX];
	size_t n = packet_make(packet, sizeof(packet), body, strlen(body));
	char *hash;

	machine.sent_len = 0;
	machine.sent[0] = 0;
	session_take(&session, packet, n);
	if (!machine.sent_len)
		return "nothing";
	cr_assert_eq(machine.sent[0], '$');
	hash = strrchr(machine.sent, '#');
	cr_assert(hash && hash[3] == 0, "one packet: %s", machine.sent);
	*hash = 0;
	return machine.sent + 1;
}

/* ---- packets --------------------------------------------------------------------------------------------------- */

static enum packet_event feed(struct packet_reader *r, const char *bytes, size_t len)
{
	enum packet_event last = PACKET_NOTHING;

	for (size_t i = 0; i < len; i++)
		last = packet_feed(r, (uint8_t)bytes[i]);
	return last;
}

/* "The two-digit checksum is computed as the modulo 256 sum of all characters": O + K = 4f + 4b = 9a. */
Test(packet, checksum)
{
	static struct packet_reader r;

	cr_assert_eq(feed(&r, "$OK#9a", 6), PACKET_WHOLE);
	cr_assert_str_eq(r.body, "OK");
	cr_assert_eq(feed(&r, "$OK#9b", 6), PACKET_BAD);
	cr_assert_eq(feed(&r, "$OK#zz", 5), PACKET_BAD);
	cr_assert_eq(feed(&r, "noise$#00", 9), PACKET_WHOLE);
	cr_assert_eq(r.len, 0u);
	cr_assert_eq(feed(&r, "+", 1), PACKET_ACK);
	cr_assert_eq(feed(&r, "-", 1), PACKET_NACK);
	cr_assert_eq(feed(&r, "\3", 1), PACKET_INTERRUPT);
}

/* "the original character XORed with 0x20" behind }: 7d 03 is #, 7d 04 is $, 7d 5d is }, 7d 0a is *. */
Test(packet, escapes)
{
	static const char special[] = "#$}*";
	static struct packet_reader r;
	char packet[32];
	size_t n = packet_make(packet, sizeof(packet), special, 4);

	cr_assert_eq(n, 12u);
	cr_assert_eq(memcmp(packet + 1, "}\3}\4}]}\n", 8), 0);
	cr_assert_eq(feed(&r, packet, n), PACKET_WHOLE);
	cr_assert_str_eq(r.body, special);
	cr_assert_eq(packet_make(packet, 8, special, 4), 0u, "no room");
}

/* Whatever is sent, no more is kept than there is room for, and what was too long is not taken for what fits. */
Test(packet, too_long)
{
	static struct packet_reader r;

	packet_feed(&r, '$');
	for (unsigned i = 0; i < 3 * PACKET_MAX; i++)
		cr_assert_eq(packet_feed(&r, 0), PACKET_NOTHING);
	cr_assert_eq(feed(&r, "#00", 3), PACKET_BAD);
	cr_assert_eq(feed(&r, "$OK#9a", 6), PACKET_WHOLE, "and it goes on");
}

Test(packet, numbers)
{
	const char *at = "1f,ffffffffffffffff:", *long_one = "11111111111111111", *none = ",";
	uint64_t v;

	cr_assert(hex_until(&at, ',', &v) && v == 0x1f);
	cr_assert(hex_until(&at, ':', &v) && v == UINT64_MAX);
	cr_assert(!hex_number(&at, &v) && !hex_number(&long_one, &v) && !hex_number(&none, &v));
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

/* "After sending an unrecognized packet, the stub should return an empty response". */
Test(session, what_it_does_not_know)
{
	begin();
	cr_assert_str_eq(ask("vMustReplyEmpty"), "");
	cr_assert_str_eq(ask("qSymbol::"), "");
	cr_assert_str_eq(ask("b"), "");
}

Test(session, acknowledges)
{
	begin();
	session.no_ack = false;
	session_take(&session, "$qC#b4", 6);
	cr_assert_str_eq(machine.sent, "+$QC1#c5");
	machine.sent_len = 0;
	session_take(&session, "-", 1);
	cr_assert_str_eq(machine.sent, "$QC1#c5", "again");
	machine.sent_len = 0;
	session_take(&session, "$qC#00", 6);
	cr_assert_str_eq(machine.sent, "-");
}

Test(session, stops_are_told_when_they_come)
{
	struct engine_hit hit = { ENGINE_HIT_POINT, { ENGINE_POINT_SOFT, 1, 0x1234 } };

	begin();
	cr_assert_str_eq(ask("?"), "T02thread:1;");
	cr_assert_str_eq(ask("Z0,1234,1"), "OK");
	cr_assert_str_eq(ask("vCont;c"), "nothing", "it runs");
	cr_assert_eq(machine.wanted.count, 1u);
	cr_assert_eq(machine.wanted.point[0].address, 0x1234u);
	cr_assert_eq(machine.wanted.step, 0u);
	session_held(&session, 1, &hit);
	cr_assert_eq(strncmp(machine.sent, "$T05thread:2;swbreak:;#", 23), 0, "%s", machine.sent);
	cr_assert_str_eq(ask("z0,1234,1"), "OK");
	cr_assert_str_eq(ask("vCont;s:2;c"), "nothing");
	cr_assert_eq(machine.wanted.step, 2u);
	cr_assert_eq(machine.wanted.stay, 0u, "the other goes on");
	cr_assert_eq(machine.wanted.count, 0u);
	session_held(&session, 1, &stepped);
	cr_assert_str_eq(ask("vCont;s"), "nothing");
	cr_assert_eq(machine.wanted.step, 3u, "all");
	session_held(&session, 0, &stepped);
	cr_assert_str_eq(ask("vCont;s:2"), "nothing");
	cr_assert_eq(machine.wanted.step, 2u);
	cr_assert_eq(machine.wanted.stay, 1u, "gdb's manual, vCont: a thread that no action fits stays as it is");
}

Test(session, interrupts)
{
	begin();
	ask("c");
	machine.holds = 0;
	session_take(&session, "\3", 1);
	cr_assert_eq(machine.holds, 1u);
	session_held(&session, 0, &told);
	cr_assert_eq(strncmp(machine.sent, "$T02", 4), 0);
}

Test(session, watchpoints_say_where)
{
	struct engine_hit hit = { ENGINE_HIT_POINT, { ENGINE_POINT_WRITE, 8, 0x7d48 } };

	begin();
	cr_assert_str_eq(ask("Z2,7d48,8"), "OK");
	ask("c");
	machine.sent_len = 0;
	session_held(&session, 0, &hit);
	cr_assert(strstr(machine.sent, "watch:7d48;"));
	cr_assert_str_eq(ask("Z2,0,0"), "E16");
	cr_assert_str_eq(ask("Z5,0,1"), "E16");
	cr_assert_str_eq(ask("Z0,zz,1"), "E16");
}

Test(session, memory)
{
	begin();
	cr_assert_str_eq(ask("M10,3:0a0b0c"), "OK");
	cr_assert_str_eq(ask("m10,4"), "0a0b0c00");
	cr_assert_str_eq(ask("m1ffe,10"), "0000", "as much as there is");
	cr_assert_str_eq(ask("m2000,1"), "E0e");
	cr_assert_str_eq(ask("X10,2:zw"), "OK");
	cr_assert_eq(memcmp(machine.memory + 0x10, "zw", 2), 0);
	cr_assert_str_eq(ask("X10,3:zw"), "E16", "another length than it says");
	cr_assert_str_eq(ask("M10,ffffffffffffffff:00"), "E16");
	cr_assert_str_eq(ask("m"), "E16");
}

Test(session, registers_one_by_one)
{
	begin();
	machine.state.cpu.gpr[RBX] = 0x1122334455667788;
	cr_assert_str_eq(ask("p1"), "8877665544332211", "little endian; 1 is rbx");
	cr_assert_str_eq(ask("P0=0100000000000000"), "OK");
	cr_assert_eq(machine.state.cpu.gpr[RAX], 1u);
	cr_assert_str_eq(ask("P0=01"), "E16");
	cr_assert_str_eq(ask("pfff"), "E16");
}

/* g, then G with what it said, changes nothing; and all of it is there. */
Test(session, registers_all)
{
	static struct engine_state before;
	static char all[2 * PACKET_MAX];

	begin();
	for (size_t i = 0; i < sizeof(machine.state.cpu); i++)
		((uint8_t *)&machine.state.cpu)[i] = (uint8_t)(i * 7);
	machine.state.cpu.fpu.sw = 3 << 11;
	before = machine.state;
	snprintf(all, sizeof(all), "G%s", ask("g"));
	cr_assert_eq(strlen(all), 1 + 2 * registers_size());
	cr_assert_str_eq(ask(all), "OK");
	cr_assert_eq(memcmp(&machine.state.cpu.vec, &before.cpu.vec, sizeof(before.cpu.vec)), 0);
	cr_assert_eq(memcmp(&machine.state.cpu.gpr, &before.cpu.gpr, sizeof(before.cpu.gpr)), 0);
	cr_assert_eq(memcmp(&machine.state.cpu.k, &before.cpu.k, sizeof(before.cpu.k)), 0);
	cr_assert_str_eq(ask("G00"), "E16");
}

/* SDM vol. 1, 8.1.2: ST(i) is counted from TOP, bits 11 to 13 of the status word. gdb's st0 is register 24. */
Test(session, x87_by_its_top)
{
	begin();
	machine.state.cpu.fpu.sw = 5 << 11;
	machine.state.cpu.fpu.r[5] = (struct x87_reg){ 0x8000000000000000, 0x3fff };
	machine.state.cpu.fpu.tag = 1 << 5;
	cr_assert_str_eq(ask("p18"), "0000000000000080ff3f");
	cr_assert_str_eq(ask("p22"), "fff30000", "its tag is 0, valid; the others are 3, empty");
}

Test(session, description_comes_in_pieces)
{
	static char whole[REGISTERS_XML_MAX];
	size_t len = registers_describe(whole), at = 0;
	char command[64];
	const char *answer;

	begin();
	do {
		snprintf(command, sizeof(command), "qXfer:features:read:target.xml:%zx,7f0", at);
		answer = ask(command);
		/* What is special in packets is escaped in them; the description has none of it. */
		cr_assert(answer[0] == 'm' || answer[0] == 'l');
		cr_assert_eq(strncmp(answer + 1, whole + at, strlen(answer + 1)), 0);
		at += strlen(answer + 1);
	} while (answer[0] == 'm');
	cr_assert_eq(at, len);
	cr_assert(strstr(whole, "org.gnu.gdb.i386.avx512") && strstr(whole, "\"zmm31h\"") && strstr(whole, "\"k7\""));
	cr_assert_str_eq(ask("qXfer:features:read:other.xml:0,10"), "E00");
	cr_assert_str_eq(ask("qXfer:features:read:target.xml:ffffff,10"), "E16");
}

Test(session, leaves_the_guest_running)
{
	begin();
	ask("Z0,10,1");
	cr_assert_str_eq(ask("D"), "OK");
	cr_assert(session.over && machine.goes == 1 && machine.wanted.count == 0);
	begin();
	ask("Z0,10,1");
	session_close(&session);
	cr_assert(machine.goes == 1 && machine.wanted.count == 0, "whatever way it goes");
	begin();
	ask("k");
	cr_assert(machine.kills == 1 && session.over);
}

Test(session, a_reset_keeps_points)
{
	begin();
	ask("Z1,10,1");
	ask("c");
	session_reborn(&session);
	cr_assert(machine.goes == 2 && machine.wanted.count == 1 && !session.held);
	begin();
	session_reborn(&session);
	cr_assert(machine.goes == 0 && session.held, "it stood, and stands");
}

Test(session, monitor)
{
	char out[4096];

	begin();
	monitor_run(&session, "info devices", out, sizeof(out));
	cr_assert_str_eq(out, "all of devices\n");
	monitor_run(&session, "xp 0x10 2", out, sizeof(out));
	cr_assert_str_eq(out, "0000000010: 00 00\n");
	monitor_run(&session, "xp 0x10 999999", out, sizeof(out));
	cr_assert(strstr(out, "at most"));
	monitor_run(&session, "", out, sizeof(out));
	cr_assert(strstr(out, "monitor info"));
	cr_assert_str_eq(ask("qRcmd,zz"), "E16");
}

/* ---- points ---------------------------------------------------------------------------------------------------- */

/* A breakpoint for data is aligned to its length, which is 1, 2, 4 or 8 (SDM vol. 3, 17.2.5). */
Test(points, pieces)
{
	struct engine_point list[ENGINE_MAX_POINTS];
	struct points p = { 0 };

	cr_assert_eq(points_add(&p, ENGINE_POINT_WRITE, 0x1003, 14, false), 0);
	cr_assert_eq(points_list(&p, list), 4u);
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			uint64_t address;
			unsigned size;
		} want[] = { { 0x1003, 1 }, { 0x1004, 4 }, { 0x1008, 8 }, { 0x1010, 1 } };

		cr_assert(list[i].address == want[i].address && list[i].size == want[i].size, "piece %u", i);
	}
	points_remove(&p, ENGINE_POINT_WRITE, 0x1003, 14);
	cr_assert_eq(p.count, 0u);
}

/* Four registers hold an address (SDM vol. 3, 17.2.1). */
Test(points, as_many_as_there_can_be)
{
	struct points p = { 0 };

	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(points_add(&p, ENGINE_POINT_HARD, i, 1, true), 0);
	cr_assert_eq(points_add(&p, ENGINE_POINT_HARD, 3, 1, true), 0, "it is there");
	cr_assert_eq(points_add(&p, ENGINE_POINT_HARD, 4, 1, true), -ENOSPC);
	cr_assert_eq(points_add(&p, ENGINE_POINT_SOFT, 4, 1, true), 0);
	for (unsigned i = 5; i < ENGINE_MAX_POINTS; i++)
		cr_assert_eq(points_add(&p, ENGINE_POINT_SOFT, i, 1, false), 0);
	cr_assert_eq(points_add(&p, ENGINE_POINT_SOFT, 1000, 1, false), -ENOSPC);
	cr_assert_eq(p.count, (unsigned)ENGINE_MAX_POINTS);
}

/* ---- page tables ----------------------------------------------------------------------------------------------- */

static bool read_table(void *ctx, uint64_t gpa, void *out, size_t size)
{
	size_t got = 0;

	return !read_memory(NULL, 0, true, gpa, out, size, &got) && got == size;
}

static struct tlb_range found[8];
static unsigned found_count;

static bool keep(void *ctx, const struct tlb_range *r)
{
	found[found_count++] = *r;
	return found_count < 8;
}

static void put_entry(uint64_t gpa, uint64_t value, unsigned bytes)
{
	memcpy(machine.memory + gpa, &value, bytes);
}

/* SDM vol. 3, 4.3: 4-KiB pages of one page table; neighbours that lead to neighbours are one range. */
Test(tlb, legacy)
{
	struct cpu c = { .cr0 = CR0_PG | CR0_PE, .cr3 = 0 };

	begin();
	found_count = 0;
	put_entry(4, 0x1007, 4);
	put_entry(0x1000, 0x5007, 4);
	put_entry(0x1004, 0x6007, 4);
	put_entry(0x100c, 0x9001, 4);
	cr_assert(tlb_walk_all(&c, 100, read_table, keep, NULL));
	cr_assert_eq(found_count, 2u);
	cr_assert(found[0].linear == 0x400000 && found[0].gpa == 0x5000 && found[0].size == 0x2000 && found[0].user &&
		  found[0].writable);
	cr_assert(found[1].linear == 0x403000 && found[1].gpa == 0x9000 && !found[1].user && !found[1].writable);
}

/* SDM vol. 3, 4.5: tables that lead to themselves map something, too; it ends. */
Test(tlb, circles_end)
{
	struct cpu c = { .cr0 = CR0_PG | CR0_PE, .cr4 = CR4_PAE, .msr.efer = EFER_LME | EFER_LMA };

	begin();
	found_count = 0;
	for (unsigned n = 0; n < 512; n++)
		put_entry(8 * n, 7, 8);
	tlb_walk_all(&c, 1000, read_table, keep, NULL);
	cr_assert(found_count <= 8);
	cr_assert(found[0].linear == 0 && found[0].size == 0x1000);
}
