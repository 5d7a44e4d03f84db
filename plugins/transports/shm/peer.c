#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on every architecture */
#endif

bool shm_is_this_process(int socket)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return !getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       who.pid == getpid();
}

void shm_peer_init(struct shm_peer *peer, int socket, uint32_t rank)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	*peer = SHM_NO_PEER;
	peer->socket = socket;
	peer->rank = rank;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return;
	peer->pid = who.pid;
	if (who.pid > 0 && who.pid != getpid())
		peer->pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
}

void shm_peer_free(struct shm_peer *peer)
{
	if (peer->socket >= 0)
		close(peer->socket);
	if (peer->pidfd >= 0)
		close(peer->pidfd);
	*peer = SHM_NO_PEER;
}

int shm_peer_check(const struct shm_peer *peer, struct pfw_error *err)
{
	struct pollfd fds[] = {
		{ .fd = peer->socket, .events = POLLRDHUP },
		{ .fd = peer->pidfd, .events = POLLIN },
	};
	const char *what = "is gone or has closed the channel";
	char who[32] = "";

	if (poll(fds, 2, 0) <= 0)
		return 0;
	if (fds[1].revents)
		what = "is gone";
	else if (peer->pidfd >= 0 || peer->pid == getpid())
		what = "has closed the channel";
	if (peer->pid > 0)
		snprintf(who, sizeof(who), " (process %d)", (int)peer->pid);
	return pfw_error_set(err, EPIPE, "rank %u%s %s", peer->rank, who, what);
}
