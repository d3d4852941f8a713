/* SPDX-License-Identifier: MIT */
/*
 * Where firmware's variables are kept: a file of the size and form of the template that comes with the firmware (Debian's
 * OVMF_VARS), which is the machine's own, and lies in STATE/NAME.fd. STATE is $BULKHEAD_STATE_DIR, else systemd's $STATE_DIRECTORY, else
 * /var/lib/bulkhead for root, else $XDG_STATE_HOME/bulkhead, else ~/.local/state/bulkhead.
 */
#ifndef BULKHEAD_VMM_VARIABLES_H
#define BULKHEAD_VMM_VARIABLES_H

#include <stdint.h>

enum { VARIABLES_ERROR_MAX = 256 };

struct variables_wanted {
	const char *file;     /* what --firmware-vars says; NULL: the machine's own */
	const char *template; /* what a new one begins as; NULL: there is no such firmware here, and only a file that is there will do */
	const char *name;     /* the machine's; NULL: nobody has named it, and what it keeps ends with it */
	uint64_t rom_bytes;   /* of the firmware's image */
};

/*
 * Opens it, locked against other machines, and makes it from the template if it is not there; it is whole, or not there at any time. The
 * descriptor, and its size in *bytes; or -errno and a sentence that names option, file and next step: it cannot be made or written, is another's,
 * or is not what firmware would have written.
 */
int variables_open(const struct variables_wanted *w, uint64_t *bytes, char error[VARIABLES_ERROR_MAX]);

#endif
