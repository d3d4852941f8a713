/* SPDX-License-Identifier: MIT */
/* Frames of displays whose guests wait for nobody: painted into PICTURE (proto/screen.h) when somebody looks. */
#ifndef BULKHEAD_DEVICES_PICTURE_H
#define BULKHEAD_DEVICES_PICTURE_H

#include "devices/vga_picture.h"
#include "proto/screen.h"

/*
 * Paints frame *shown + 1 where *shown - 1 was, by `paint`; if it is frame *shown once more, it is not shown. Done again by a successor
 * that finds it painted and not committed. True: *shown is the new frame's number, and is to be committed.
 */
bool picture_show(struct picture *p, uint64_t *shown, void (*paint)(const void *what, const struct vga_canvas *to), const void *what,
		  uint64_t now_ns);

#endif
