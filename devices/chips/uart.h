/* SPDX-License-Identifier: MIT */
/*
 * National PC16550D UART, pure: no I/O, no clock. Only what the guest can see is modelled; two things are ours:
 *
 * Transmission takes no line time. A byte written to THR moves to the transmit queue, from where the shell takes it,
 * and THR is empty again as soon as uart_advance() runs, as long as whoever drains the queue has credit for another
 * FIFO load. Without credit, THRE and TEMT stay clear and the guest waits as for a stopped line.
 *
 * Reception takes no line time either, but is flow-controlled: uart_rx_room() says what fits without an overrun.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_UART_H
#define BULKHEAD_DEVICES_CHIPS_UART_H

#include "proto/reg.h"

enum {
	UART_FIFO_SIZE = 16,
	UART_TX_SIZE = 128, /* power of two, at least a full ring (64) and a FIFO */
	/* LSR may be read from shared memory only while this much room is left: 64 posted writes can be under way when
	 * a guest reads THRE, and a driver that sees THRE writes a whole FIFO. */
	UART_SHADOW_CREDIT = 64 + UART_FIFO_SIZE,
	UART_PORTS = 8,
};
#define UART_CREDIT_UNLIMITED UINT32_MAX

enum { /* register offsets */
	UART_DATA = 0, /* RBR, THR; DLL while LCR.DLAB */
	UART_IER = 1,  /* DLM while LCR.DLAB */
	UART_IIR = 2,  /* FCR when written */
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_MSR = 6,
	UART_SCR = 7,
};

enum {
	IER_ERBFI = 0x01, IER_ETBEI = 0x02, IER_ELSI = 0x04, IER_EDSSI = 0x08,

	IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_THRE = 0x02, IIR_DATA = 0x04, IIR_LINE = 0x06, IIR_TIMEOUT = 0x0c,
	IIR_FIFO_ON = 0xc0,

	FCR_ENABLE = 0x01, FCR_RX_RESET = 0x02, FCR_TX_RESET = 0x04, FCR_DMA = 0x08, FCR_TRIGGER = 0xc0,

	LCR_WORD = 0x03, LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_BREAK = 0x40, LCR_DLAB = 0x80,

	MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,

	LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40,
	LSR_FIFO_ERROR = 0x80,
	LSR_CHAR_ERRORS = LSR_PE | LSR_FE | LSR_BI, /* belong to one received character */
	LSR_ERRORS = LSR_OE | LSR_CHAR_ERRORS,

	MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08, MSR_DELTAS = 0x0f,
	MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_LINES = 0xf0,
};

struct uart_char {
	uint8_t data;
	uint8_t errors; /* LSR_CHAR_ERRORS bits */
};

struct uart {
	uint64_t timeout_ns; /* when the character time-out strikes; TIME_NEVER: not running */
	uint32_t credit;     /* transmit bytes that whoever drains the queue can hold, those in the queue included */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t errors;	     /* LSR error bits that the guest has not read */
	uint8_t inputs;	     /* modem lines of the connector, MSR bits 4..7 */
	uint8_t lines;	     /* modem lines as MSR shows them: the connector's, or our own outputs in loop-back */
	uint8_t deltas;	     /* MSR bits 0..3 */
	uint8_t thre;	     /* LSR.THRE and TEMT */
	uint8_t thri;	     /* THRE interrupt latched; only while `thre` */
	uint8_t timed_out;   /* character time-out latched; only while the FIFO holds something */
	uint8_t rx_head, rx_count;
	uint8_t tx_head, tx_count;
	struct uart_char rx[UART_FIFO_SIZE];
	uint8_t tx[UART_TX_SIZE];
};

/* Rows with the same offset share an address (read/write, DLAB). */
enum { UART_REG_COUNT = 12 };
extern const struct reg_desc uart_regs[UART_REG_COUNT];

void uart_reset(struct uart *u);
/* `offset` is taken modulo 8. A THR write leaves THRE clear until uart_advance(): the interrupt output drops. */
uint8_t uart_read(struct uart *u, unsigned offset, uint64_t now_ns);
void uart_write(struct uart *u, unsigned offset, uint8_t value, uint64_t now_ns);
/* Transmits what credit allows, runs the character time-out. Returns the time of the next change, or TIME_NEVER. */
uint64_t uart_advance(struct uart *u, uint64_t now_ns);
/* The interrupt as the PC's bus sees it: INTR behind the OUT2 gate. */
bool uart_irq(const struct uart *u);

/*
 * Characters that can be received without an overrun; 0 in loop-back, where SIN is disconnected, and while the driver says
 * that it is there (DTR), but asks not to be sent to (RTS): "Modem Control Register" with the handshake of RS-232.
 */
unsigned uart_rx_room(const struct uart *u);
/* One character from the line with its LSR_CHAR_ERRORS (a break: data 0, LSR_BI). Without room: overrun. */
void uart_receive(struct uart *u, uint8_t data, uint8_t errors, uint64_t now_ns);
void uart_set_inputs(struct uart *u, uint8_t msr_lines);

/* Room of whoever drains the queue, or UART_CREDIT_UNLIMITED. Call uart_advance() afterwards. */
void uart_set_credit(struct uart *u, uint32_t bytes);
/* Takes up to `len` bytes off the queue; they count against credit. */
size_t uart_take(struct uart *u, uint8_t *buf, size_t len);

/* Four character times (PC16550D, "FIFO Interrupt Mode Operation"), from divisor and format at 1.8432 MHz. */
uint64_t uart_timeout_ns(const struct uart *u);

/* Current values without the side effects of a read. */
uint8_t uart_lsr(const struct uart *u);
uint8_t uart_msr(const struct uart *u);
/* May a read be answered from shared memory: no side effect, and posted THR writes cannot change it. */
bool uart_lsr_is_shadowable(const struct uart *u);
bool uart_msr_is_shadowable(const struct uart *u);

/* NULL if the state could have come about, else the name of the first bad field. */
const char *uart_bad_field(const struct uart *u, uint64_t now_ns);

#endif
