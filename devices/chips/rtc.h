/* SPDX-License-Identifier: MIT */
/*
 * Motorola MC146818A real-time clock with the PC's 128 bytes of CMOS memory, pure.
 *
 * While the clock runs, the time bytes are not stored: they are a function of an absolute base. While it stands still
 * (register B SET, or the divider held in reset) the time bytes of `ram` hold what the guest sees and writes, and
 * become the new time when it starts again. "A second" ends with the end of the update cycle, so that the time never
 * changes while update-in-progress is shown.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_RTC_H
#define BULKHEAD_DEVICES_CHIPS_RTC_H

#include "proto/reg.h"

enum { RTC_PORT_INDEX = 0, RTC_PORT_DATA = 1 };
enum { RTC_RAM_SIZE = 128 };

enum { /* indices */
	RTC_SECONDS = 0, RTC_SECONDS_ALARM = 1, RTC_MINUTES = 2, RTC_MINUTES_ALARM = 3, RTC_HOURS = 4,
	RTC_HOURS_ALARM = 5, RTC_WEEKDAY = 6, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9,
	RTC_A = 10, RTC_B = 11, RTC_C = 12, RTC_D = 13,
	RTC_SHUTDOWN = 15, RTC_EQUIPMENT = 0x14, RTC_BASE_MEMORY = 0x15, RTC_EXT_MEMORY = 0x17,
	RTC_CHECKSUM = 0x2e, RTC_EXT_MEMORY_COPY = 0x30, RTC_CENTURY = 0x32, RTC_MEMORY_16M = 0x34,
	RTC_MEMORY_4G = 0x5b, RTC_PROCESSORS = 0x5f,
};

enum {
	RTC_A_UIP = 0x80, RTC_A_DV = 0x70, RTC_A_RS = 0x0f, RTC_A_DV_RUN = 0x20, /* 32.768 kHz */
	RTC_B_SET = 0x80, RTC_B_PIE = 0x40, RTC_B_AIE = 0x20, RTC_B_UIE = 0x10, RTC_B_BINARY = 0x04, RTC_B_24H = 0x02,
	RTC_C_IRQF = 0x80, RTC_C_PF = 0x40, RTC_C_AF = 0x20, RTC_C_UF = 0x10, RTC_C_FLAGS = 0x70,
	RTC_D_VRT = 0x80,
};

/* UIP shows 244 us before the update cycle begins; the cycle takes 1984 us at 32.768 kHz ("Update Cycle"). */
#define RTC_UPDATE_NS ((244ll + 1984) * 1000)

struct rtc {
	int64_t base_ns;    /* a second began here; the divider chain counts from it. May lie before time 0 */
	int64_t seconds;    /* calendar time at base_ns, seconds since 1970 */
	uint64_t now_ns;    /* as of the latest rtc_advance() */
	uint8_t index;	    /* 0..127 */
	uint8_t nmi_masked; /* port 70h bit 7; there is no source of NMIs that it could mask */
	uint8_t weekday;    /* days by which the weekday byte is ahead of the calendar's: the chip does not know */
	uint8_t ram[RTC_RAM_SIZE];
};

struct rtc_memory {
	uint64_t below_4g, above_4g; /* bytes of RAM */
	uint8_t processors;
};

enum { RTC_PORT_REG_COUNT = 2 };
extern const struct reg_desc rtc_port_regs[RTC_PORT_REG_COUNT];
/* The bytes behind the ports that are not plain memory; `offset` is the index. */
enum { RTC_CMOS_REG_COUNT = 16 };
extern const struct reg_desc rtc_cmos_regs[RTC_CMOS_REG_COUNT];

/*
 * `wall_ns`: the host's calendar time at now_ns, nanoseconds since 1970; `offset_s`: by how much the guest's clock is
 * ahead of it. Registers are set as firmware leaves them: running, BCD, 24 hours, periodic rate 1024 Hz.
 */
void rtc_reset(struct rtc *r, const struct rtc_memory *memory, int64_t wall_ns, int64_t offset_s, uint64_t now_ns);
/* Brings the flags to `now_ns`; returns when IRQ next rises by itself, or TIME_NEVER. Call before read and write. */
uint64_t rtc_advance(struct rtc *r, uint64_t now_ns);
uint8_t rtc_read(struct rtc *r, unsigned port);
void rtc_write(struct rtc *r, unsigned port, uint8_t value);
bool rtc_irq(const struct rtc *r);

const char *rtc_bad_field(const struct rtc *r);

#endif
