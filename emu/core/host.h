/* SPDX-License-Identifier: MIT */
/*
 * What the host offers beyond portable C17 (with the extensions of gcc and clang). HOST_X86_64: instructions of x86-64
 * may be used. -Dportable=true defines EMU_PORTABLE and takes every portable path, also there, to test it.
 */
#ifndef BULKHEAD_EMU_HOST_H
#define BULKHEAD_EMU_HOST_H

#if defined(__x86_64__) && !defined(EMU_PORTABLE)
#define HOST_X86_64 1
#endif

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "guest memory and registers are accessed as they are: a big-endian host is not supported"
#endif

#endif
