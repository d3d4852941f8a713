/* SPDX-License-Identifier: MIT */
/* National PC16550D: see uart.h. Section names in quotes are those of the data sheet. */
#include "uart.h"

#include <string.h>

#include "ticks.h"

enum { CLOCK_BAUD = 115200 }; /* 1.8432 MHz / 16 */
enum { FIFO_LOAD = UART_FIFO_SIZE }; /* what a driver may write after it has seen THRE */

enum row {
	ROW_RBR, ROW_THR, ROW_DLL, ROW_IER, ROW_DLM, ROW_IIR, ROW_FCR, ROW_LCR, ROW_MCR, ROW_LSR, ROW_MSR, ROW_SCR,
	ROW_COUNT,
};

/*
 * DLL shares its address with THR, and the vCPU does not know DLAB, so it carries the class of THR; it does not change
 * LSR either. DLM shares its address with IER, which can mask an interrupt, so both are synchronous.
 * Divisor and scratch register are undefined after reset; the divisor is set as firmware leaves a console (115200).
 */
const struct reg_desc uart_regs[UART_REG_COUNT] = {
	[ROW_RBR] = { .name = "RBR", .offset = UART_DATA, .size = 1, .readable = true },
	[ROW_THR] = { .name = "THR", .offset = UART_DATA, .size = 1, .writable = true, .write_mask = 0xff,
		      .post = REG_POSTED, .class = CLASS_TXDATA },
	[ROW_DLL] = { .name = "DLL", .offset = UART_DATA, .size = 1, .readable = true, .writable = true, .reset = 1,
		      .write_mask = 0xff, .post = REG_POSTED, .class = CLASS_TXDATA },
	[ROW_IER] = { .name = "IER", .offset = UART_IER, .size = 1, .readable = true, .writable = true,
		      .write_mask = 0x0f, .class = CLASS_CONFIG },
	[ROW_DLM] = { .name = "DLM", .offset = UART_IER, .size = 1, .readable = true, .writable = true,
		      .write_mask = 0xff, .class = CLASS_CONFIG },
	[ROW_IIR] = { .name = "IIR", .offset = UART_IIR, .size = 1, .readable = true, .reset = IIR_NONE },
	[ROW_FCR] = { .name = "FCR", .offset = UART_IIR, .size = 1, .writable = true,
		      .write_mask = FCR_ENABLE | FCR_DMA | FCR_TRIGGER, .class = CLASS_CONFIG },
	[ROW_LCR] = { .name = "LCR", .offset = UART_LCR, .size = 1, .readable = true, .writable = true,
		      .write_mask = 0xff, .class = CLASS_CONFIG },
	[ROW_MCR] = { .name = "MCR", .offset = UART_MCR, .size = 1, .readable = true, .writable = true,
		      .write_mask = 0x1f, .class = CLASS_CONFIG },
	[ROW_LSR] = { .name = "LSR", .offset = UART_LSR, .size = 1, .readable = true, .reset = LSR_THRE | LSR_TEMT,
		      .shadow = REG_SHADOW_VALUE, .depends = CLASS_CONFIG },
	[ROW_MSR] = { .name = "MSR", .offset = UART_MSR, .size = 1, .readable = true,
		      .reset = MSR_CTS | MSR_DSR | MSR_DCD, .shadow = REG_SHADOW_VALUE, .depends = CLASS_CONFIG },
	[ROW_SCR] = { .name = "SCR", .offset = UART_SCR, .size = 1, .readable = true, .writable = true,
		      .write_mask = 0xff, .post = REG_POSTED, .class = CLASS_CONFIG },
};
_Static_assert((int)ROW_COUNT == (int)UART_REG_COUNT, "uart_regs");

static uint8_t merge(enum row row, uint8_t old, uint8_t value)
{
	uint8_t mask = (uint8_t)uart_regs[row].write_mask;

	return (uint8_t)((old & ~mask) | (value & mask));
}

static bool fifo_is_on(const struct uart *u)
{
	return u->fcr & FCR_ENABLE;
}

static bool is_loop(const struct uart *u)
{
	return u->mcr & MCR_LOOP;
}

static uint32_t tx_room(const struct uart *u)
{
	uint32_t queue = (uint32_t)UART_TX_SIZE - u->tx_count;
	uint32_t credit = u->credit > u->tx_count ? u->credit - u->tx_count : 0;

	return credit < queue ? credit : queue;
}

/* In loop-back nothing leaves the chip, so nobody's credit matters. */
static bool tx_is_ready(const struct uart *u)
{
	return is_loop(u) || tx_room(u) >= FIFO_LOAD;
}

/* Follows tx_is_ready(); THR becoming empty latches the THRE interrupt ("Interrupt Identification Register"). */
static void tx_settle(struct uart *u)
{
	bool ready = tx_is_ready(u);

	if (ready != u->thre)
		u->thri = ready;
	u->thre = ready;
}

/* "MODEM Control Register", bit 4: in loop-back the outputs are wired to the inputs. */
static uint8_t modem_lines(const struct uart *u)
{
	if (!is_loop(u))
		return u->inputs;
	return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
			 (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* "MODEM Status Register": DCTS, DDSR, DDCD on any change, TERI only when the ring indicator ends. */
static void modem_settle(struct uart *u)
{
	uint8_t lines = modem_lines(u);
	uint8_t changed = lines ^ u->lines;

	if (!(u->lines & MSR_RI))
		changed &= (uint8_t)~MSR_RI;
	u->deltas |= (uint8_t)(changed >> 4);
	u->lines = lines;
}

void uart_reset(struct uart *u)
{
	memset(u, 0, sizeof(*u));
	u->timeout_ns = TIME_NEVER;
	u->credit = UART_CREDIT_UNLIMITED;
	u->dll = (uint8_t)uart_regs[ROW_DLL].reset;
	u->inputs = (uint8_t)uart_regs[ROW_MSR].reset;
	u->lines = u->inputs;
	u->thre = true;
}

uint64_t uart_timeout_ns(const struct uart *u)
{
	uint32_t divisor = u->dll | (uint32_t)u->dlm << 8;
	uint32_t bits = 1u + 5u + (u->lcr & LCR_WORD) + (u->lcr & LCR_PARITY ? 1 : 0) + (u->lcr & LCR_STOP ? 2 : 1);

	if (divisor == 0)
		divisor = 1; /* undefined in the data sheet; must not be a time of zero */
	return (4ull * bits * divisor * (uint64_t)NS_PER_S + CLOCK_BAUD - 1) / CLOCK_BAUD; /* never early */
}

/* "FIFO Interrupt Mode Operation": the timer restarts with each character received or read, if any is left. */
static void timeout_restart(struct uart *u, uint64_t now_ns)
{
	bool runs = fifo_is_on(u) && u->rx_count > 0 && !u->timed_out;

	u->timeout_ns = runs ? now_ns + uart_timeout_ns(u) : TIME_NEVER;
}

/* "Line Status Register": errors are revealed when their character reaches the top of the FIFO. */
static void rx_reveal(struct uart *u)
{
	if (u->rx_count > 0)
		u->errors |= u->rx[u->rx_head].errors;
}

static void rx_clear(struct uart *u)
{
	u->rx_head = 0;
	u->rx_count = 0;
	u->timed_out = false;
	u->timeout_ns = TIME_NEVER;
}

static unsigned rx_capacity(const struct uart *u)
{
	return fifo_is_on(u) ? UART_FIFO_SIZE : 1;
}

unsigned uart_rx_room(const struct uart *u)
{
	bool waits = is_loop(u) || ((u->mcr & (MCR_DTR | MCR_RTS)) == MCR_DTR);

	return waits || u->rx_count > rx_capacity(u) ? 0 : rx_capacity(u) - u->rx_count;
}

/*
 * "Line Status Register", OE: without FIFO the new character destroys the one not yet read; with FIFO the new one is
 * lost in the shift register and the FIFO stays as it is.
 */
static void rx_push(struct uart *u, uint8_t data, uint8_t errors, uint64_t now_ns)
{
	bool full = u->rx_count == rx_capacity(u);

	if (full)
		u->errors |= LSR_OE;
	if (full && fifo_is_on(u))
		return;
	if (full)
		u->rx_count = 0;
	u->rx[(u->rx_head + u->rx_count) % UART_FIFO_SIZE] = (struct uart_char){ data, errors };
	if (++u->rx_count == 1)
		rx_reveal(u);
	timeout_restart(u, now_ns);
}

void uart_receive(struct uart *u, uint8_t data, uint8_t errors, uint64_t now_ns)
{
	if (!is_loop(u))
		rx_push(u, data, errors & LSR_CHAR_ERRORS, now_ns);
}

static uint8_t rx_pop(struct uart *u, uint64_t now_ns)
{
	uint8_t data = u->rx[u->rx_head].data; /* an empty RBR repeats what it held */

	if (u->rx_count == 0)
		return data;
	u->rx_count--;
	if (fifo_is_on(u))
		u->rx_head = (uint8_t)((u->rx_head + 1) % UART_FIFO_SIZE);
	u->timed_out = false;
	rx_reveal(u);
	timeout_restart(u, now_ns);
	return data;
}

static bool rx_has_errors(const struct uart *u)
{
	for (unsigned i = 0; i < u->rx_count; i++)
		if (u->rx[(u->rx_head + i) % UART_FIFO_SIZE].errors)
			return true;
	return false;
}

uint8_t uart_lsr(const struct uart *u)
{
	uint8_t lsr = u->errors;

	if (u->rx_count > 0)
		lsr |= LSR_DR;
	if (u->thre)
		lsr |= LSR_THRE | LSR_TEMT;
	/* Bit 7 stays until LSR is read, even if the bad character has left the FIFO meanwhile. */
	if (fifo_is_on(u) && ((u->errors & LSR_CHAR_ERRORS) || rx_has_errors(u)))
		lsr |= LSR_FIFO_ERROR;
	return lsr;
}

static uint8_t lsr_read(struct uart *u)
{
	uint8_t lsr = uart_lsr(u);

	u->errors = 0;
	if (u->rx_count > 0)
		u->rx[u->rx_head].errors = 0;
	return lsr;
}

uint8_t uart_msr(const struct uart *u)
{
	return u->lines | u->deltas;
}

static uint8_t msr_read(struct uart *u)
{
	uint8_t msr = uart_msr(u);

	u->deltas = 0;
	return msr;
}

static bool rx_at_trigger(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return u->rx_count >= (fifo_is_on(u) ? level[u->fcr >> 6] : 1);
}

/* "Interrupt Control Functions" (table IV), highest priority first. */
static uint8_t interrupt_id(const struct uart *u)
{
	if ((u->ier & IER_ELSI) && u->errors)
		return IIR_LINE;
	if ((u->ier & IER_ERBFI) && rx_at_trigger(u))
		return IIR_DATA;
	if ((u->ier & IER_ERBFI) && u->timed_out)
		return IIR_TIMEOUT;
	if ((u->ier & IER_ETBEI) && u->thri)
		return IIR_THRE;
	if ((u->ier & IER_EDSSI) && u->deltas)
		return IIR_MODEM;
	return IIR_NONE;
}

/* Reading IIR resets the THRE interrupt, but only if that is the source it shows. */
static uint8_t iir_read(struct uart *u)
{
	uint8_t id = interrupt_id(u);

	if (id == IIR_THRE)
		u->thri = false;
	return (uint8_t)(id | (fifo_is_on(u) ? IIR_FIFO_ON : 0));
}

/* The PC gates INTR with the OUT2 pin; in loop-back the four output pins are inactive ("MODEM Control Register"). */
bool uart_irq(const struct uart *u)
{
	return (u->mcr & MCR_OUT2) && !is_loop(u) && interrupt_id(u) != IIR_NONE;
}

bool uart_lsr_is_shadowable(const struct uart *u)
{
	return !is_loop(u) && !(uart_lsr(u) & (LSR_ERRORS | LSR_FIFO_ERROR)) && tx_room(u) >= UART_SHADOW_CREDIT;
}

bool uart_msr_is_shadowable(const struct uart *u)
{
	return u->deltas == 0;
}

/*
 * The byte goes to the line as it is: masking it to the word length, as the shift register does, would garble the
 * output of small guests that never program LCR (reset value: 5 bits). Loop-back is exact.
 */
static void thr_write(struct uart *u, uint8_t value, uint64_t now_ns)
{
	u->thre = false;
	u->thri = false;
	if (is_loop(u))
		rx_push(u, value & (uint8_t)(0xff >> (3 - (u->lcr & LCR_WORD))), 0, now_ns);
	else if (u->tx_count < UART_TX_SIZE)
		u->tx[(u->tx_head + u->tx_count++) % UART_TX_SIZE] = value;
}

/* The THRE interrupt comes again when it is enabled while THR is empty ("Interrupt Enable Register"). */
static void ier_write(struct uart *u, uint8_t value)
{
	uint8_t old = u->ier;

	u->ier = merge(ROW_IER, old, value);
	if ((u->ier & ~old & IER_ETBEI) && u->thre)
		u->thri = true;
}

/*
 * "FIFO Control Register": bit 0 must be set for the others to be programmed, and changing it clears both FIFOs.
 * Bytes for which there was credit count as sent; only those waiting for it are still in the transmitter.
 */
static void fcr_write(struct uart *u, uint8_t value)
{
	bool toggled = (value ^ u->fcr) & FCR_ENABLE;

	u->fcr = value & FCR_ENABLE ? merge(ROW_FCR, 0, value) : 0;
	if (toggled || (value & (FCR_ENABLE | FCR_RX_RESET)) == (FCR_ENABLE | FCR_RX_RESET))
		rx_clear(u);
	if (toggled || (value & (FCR_ENABLE | FCR_TX_RESET)) == (FCR_ENABLE | FCR_TX_RESET))
		u->tx_count = u->credit < u->tx_count ? (uint8_t)u->credit : u->tx_count;
}

static void mcr_write(struct uart *u, uint8_t value)
{
	u->mcr = merge(ROW_MCR, u->mcr, value);
	modem_settle(u);
}

uint8_t uart_read(struct uart *u, unsigned offset, uint64_t now_ns)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (offset % UART_PORTS) {
	case UART_DATA:
		return dlab ? u->dll : rx_pop(u, now_ns);
	case UART_IER:
		return dlab ? u->dlm : u->ier;
	case UART_IIR:
		return iir_read(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return lsr_read(u);
	case UART_MSR:
		return msr_read(u);
	default: /* UART_SCR */
		return u->scr;
	}
}

void uart_write(struct uart *u, unsigned offset, uint8_t value, uint64_t now_ns)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (offset % UART_PORTS) {
	case UART_DATA:
		if (dlab)
			u->dll = value;
		else
			thr_write(u, value, now_ns);
		break;
	case UART_IER:
		if (dlab)
			u->dlm = value;
		else
			ier_write(u, value);
		break;
	case UART_IIR:
		fcr_write(u, value);
		break;
	case UART_LCR:
		u->lcr = value;
		break;
	case UART_MCR:
		mcr_write(u, value);
		break;
	case UART_SCR:
		u->scr = value;
		break;
	default: /* LSR, MSR: "intended for read operations only" */
		break;
	}
}

uint64_t uart_advance(struct uart *u, uint64_t now_ns)
{
	tx_settle(u);
	if (now_ns >= u->timeout_ns) {
		u->timed_out = true;
		u->timeout_ns = TIME_NEVER;
	}
	return u->timeout_ns;
}

void uart_set_inputs(struct uart *u, uint8_t msr_lines)
{
	u->inputs = msr_lines & MSR_LINES;
	modem_settle(u);
}

void uart_set_credit(struct uart *u, uint32_t bytes)
{
	u->credit = bytes;
}

size_t uart_take(struct uart *u, uint8_t *buf, size_t len)
{
	size_t n = len < u->tx_count ? len : u->tx_count;

	for (size_t i = 0; i < n; i++)
		buf[i] = u->tx[(u->tx_head + i) % UART_TX_SIZE];
	u->tx_head = (uint8_t)((u->tx_head + n) % UART_TX_SIZE);
	u->tx_count = (uint8_t)(u->tx_count - n);
	if (u->credit != UART_CREDIT_UNLIMITED)
		u->credit -= u->credit < n ? u->credit : (uint32_t)n;
	return n;
}

static bool rx_is_sane(const struct uart *u)
{
	if (u->rx_head >= UART_FIFO_SIZE || u->rx_count > rx_capacity(u))
		return false;
	for (unsigned i = 0; i < UART_FIFO_SIZE; i++)
		if (u->rx[i].errors & ~LSR_CHAR_ERRORS)
			return false;
	return true;
}

/* Twelve bits, divisor 65535. */
#define LONGEST_TIMEOUT_NS (4ull * 12 * 65535 * (uint64_t)NS_PER_S / CLOCK_BAUD)

static bool timeout_is_sane(const struct uart *u, uint64_t now_ns)
{
	bool possible = fifo_is_on(u) && u->rx_count > 0;

	if (u->timed_out)
		return u->timed_out == 1 && possible && u->timeout_ns == TIME_NEVER;
	return u->timeout_ns == TIME_NEVER ? !possible
					   : possible && u->timeout_ns > now_ns && u->timeout_ns - now_ns <= LONGEST_TIMEOUT_NS;
}

const char *uart_bad_field(const struct uart *u, uint64_t now_ns)
{
	if (u->ier & ~uart_regs[ROW_IER].write_mask)
		return "ier";
	if ((u->fcr & ~uart_regs[ROW_FCR].write_mask) || (u->fcr && !fifo_is_on(u)))
		return "fcr";
	if (u->mcr & ~uart_regs[ROW_MCR].write_mask)
		return "mcr";
	if (u->errors & ~LSR_ERRORS)
		return "errors";
	if ((u->inputs & ~MSR_LINES) || u->lines != modem_lines(u))
		return "lines";
	if (u->deltas & ~MSR_DELTAS)
		return "deltas";
	if (!rx_is_sane(u))
		return "rx";
	if (u->tx_head >= UART_TX_SIZE || u->tx_count > UART_TX_SIZE)
		return "tx";
	if (u->thre != tx_is_ready(u))
		return "thre";
	if (u->thri > u->thre)
		return "thri";
	return timeout_is_sane(u, now_ns) ? NULL : "timeout";
}
