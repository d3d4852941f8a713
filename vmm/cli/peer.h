/* SPDX-License-Identifier: MIT */
/*
 * Who answers at a machine's sockets. The directory may be another user's, and what lies in it, a pid, a name, a link,
 * is then a claim. Believed is what the kernel says about the process that listens, and only as far as that process
 * belongs to the directory's owner: nobody's directory speaks for a machine of somebody else.
 */
#ifndef BULKHEAD_VMM_PEER_H
#define BULKHEAD_VMM_PEER_H

#include <sys/types.h>

struct peer {
	int sock;
	uid_t owner; /* of the directory, and of the process */
	pid_t pid;   /* of the process that called listen(): the keeper; 0: it is not to be seen from here */
};

/*
 * Connects to the socket `name` of that type in the directory; waits two seconds at most for room in its queue.
 * 0: peer->sock is the caller's. -EPERM: it is not the owner of the directory who answers. Else the errno of connect().
 */
int peer_connect(const char *dir, const char *name, int type, struct peer *peer);

/* SIGKILL to that process, and to no other that has its number by now. 0 or -errno; -ESRCH: it is gone. */
int peer_kill(const struct peer *peer);

#endif
