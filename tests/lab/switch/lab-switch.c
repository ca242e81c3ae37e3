// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ethernet switch for the lab: QEMU's datagram netdevs are the ports, and every port and every
 * direction between two ports can be cut, thinned or slowed while the lab runs.
 *
 *	lab-switch CONTROL NET:PORT=FD...
 *
 * FD is an inherited, connected UDP socket; QEMU holds its other end. Each NET is a learning switch
 * of its own. CONTROL is a listening unix socket (inherited descriptor) that takes one command per
 * line and answers each with one line, "ok" or "error: why":
 *
 *	cut NET FROM TO		frames from FROM no longer reach TO; "*" means every port
 *	heal NET FROM TO	the reverse of cut
 *	drop NET PORT PERCENT	lose this share of the frames that PORT sends or gets
 *	delay NET PORT MS	hold frames to PORT for so long
 *	status			counters as one line of JSON
 *
 * A frame that is cut is lost on the wire: it teaches no address either.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 16
#define MAX_MACS 64
#define MAX_FRAME 65536
#define MAX_CLIENTS 16
#define BATCH 64

struct held {
	struct held *next;
	int64_t due_ns;
	size_t size;
	uint8_t frame[];
};

struct port {
	char net[16];
	char name[16];
	int fd;
	unsigned int drop_percent;
	unsigned int delay_ms;
	bool cut_to[MAX_PORTS];		/* frames from here to that port are lost */
	struct held *first, **last;	/* waiting for their delay to pass, in order */
	uint64_t rx, tx, lost;
};

struct mac {
	uint8_t addr[6];
	int port;			/* where it was heard last; tells the net too */
};

struct client {
	int fd;				/* -1: free */
	size_t used;
	char line[256];
};

static struct port ports[MAX_PORTS];
static int n_ports;
static struct mac macs[MAX_MACS];
static int n_macs;
static struct client clients[MAX_CLIENTS];
static int epoll_fd;
static uint8_t frame[MAX_FRAME];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static bool same_net(int a, int b)
{
	return strcmp(ports[a].net, ports[b].net) == 0;
}

static bool unlucky(const struct port *p)
{
	return p->drop_percent && (unsigned int)(random() % 100) < p->drop_percent;
}

/* The port behind which @addr was heard on the net of @from, or -1. */
static int mac_find(int from, const uint8_t *addr)
{
	for (int i = 0; i < n_macs; i++)
		if (memcmp(macs[i].addr, addr, 6) == 0 && same_net(macs[i].port, from))
			return macs[i].port;
	return -1;
}

static void mac_learn(int from, const uint8_t *addr)
{
	if (addr[0] & 1)
		return;
	for (int i = 0; i < n_macs; i++) {
		if (memcmp(macs[i].addr, addr, 6) == 0 && same_net(macs[i].port, from)) {
			macs[i].port = from;
			return;
		}
	}
	/* A full table only means that frames are flooded. */
	if (n_macs < MAX_MACS) {
		memcpy(macs[n_macs].addr, addr, 6);
		macs[n_macs++].port = from;
	}
}

static void port_send(struct port *p, const void *data, size_t size)
{
	/* Nobody there (power is off) or no room: lost, as on a wire. */
	if (send(p->fd, data, size, MSG_DONTWAIT) < 0)
		p->lost++;
	else
		p->tx++;
}

static void port_hold(struct port *p, const void *data, size_t size)
{
	struct held *h = malloc(sizeof(*h) + size);

	if (!h)
		die("malloc");
	h->next = NULL;
	h->due_ns = now_ns() + p->delay_ms * INT64_C(1000000);
	h->size = size;
	memcpy(h->frame, data, size);
	*p->last = h;
	p->last = &h->next;
}

/* Sends what has waited long enough; returns the ms until the next is due, -1 if there is none. */
static int release_held(void)
{
	int64_t now = now_ns(), next = INT64_MAX;

	for (struct port *p = ports; p < ports + n_ports; p++) {
		while (p->first && p->first->due_ns <= now) {
			struct held *h = p->first;

			p->first = h->next;
			if (!p->first)
				p->last = &p->first;
			port_send(p, h->frame, h->size);
			free(h);
		}
		if (p->first && p->first->due_ns < next)
			next = p->first->due_ns;
	}
	return next == INT64_MAX ? -1 : (int)((next - now) / 1000000 + 1);
}

static void forward(int from, int to, size_t size)
{
	struct port *p = &ports[to];

	if (ports[from].cut_to[to] || unlucky(p))
		p->lost++;
	else if (p->delay_ms || p->first)
		port_hold(p, frame, size);
	else
		port_send(p, frame, size);
}

static void frame_in(int from, size_t size)
{
	bool alone = true;
	int to;

	ports[from].rx++;
	for (int i = 0; i < n_ports; i++)
		if (i != from && same_net(i, from) && !ports[from].cut_to[i])
			alone = false;
	if (alone || size < 14 || unlucky(&ports[from])) {
		ports[from].lost++;
		return;
	}
	mac_learn(from, frame + 6);
	to = frame[0] & 1 ? -1 : mac_find(from, frame);
	if (to == from)
		return;
	for (int i = 0; i < n_ports; i++)
		if (i != from && same_net(i, from) && (to < 0 || to == i))
			forward(from, i, size);
}

static void port_readable(int from)
{
	/* Bounded, so that one flooding port does not starve the others. */
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(ports[from].fd, frame, sizeof(frame), MSG_DONTWAIT);

		/* ECONNREFUSED reports an earlier send to a port without VM. */
		if (n < 0 && errno == ECONNREFUSED)
			continue;
		if (n < 0)
			return;
		frame_in(from, (size_t)n);
	}
}

/* --- control --------------------------------------------------------------------------------- */

static bool is_port(int i, const char *net, const char *name)
{
	return strcmp(ports[i].net, net) == 0 &&
	       (strcmp(name, "*") == 0 || strcmp(ports[i].name, name) == 0);
}

static int set_cut(const char *net, const char *from, const char *to, bool cut)
{
	int changed = 0;

	for (int a = 0; a < n_ports; a++)
		for (int b = 0; b < n_ports; b++)
			if (a != b && is_port(a, net, from) && is_port(b, net, to)) {
				ports[a].cut_to[b] = cut;
				changed++;
			}
	return changed;
}

static int set_number(const char *net, const char *name, unsigned int value, bool drop)
{
	int changed = 0;

	for (int i = 0; i < n_ports; i++) {
		if (!is_port(i, net, name))
			continue;
		*(drop ? &ports[i].drop_percent : &ports[i].delay_ms) = value;
		changed++;
	}
	return changed;
}

static void print_status(FILE *out)
{
	fputc('[', out);
	for (int i = 0; i < n_ports; i++) {
		const struct port *p = &ports[i];
		const char *sep = "";

		fprintf(out, "%s{\"net\": \"%s\", \"port\": \"%s\", \"rx\": %" PRIu64
			", \"tx\": %" PRIu64 ", \"lost\": %" PRIu64
			", \"drop\": %u, \"delay\": %u, \"cut_to\": [",
			i ? ", " : "", p->net, p->name, p->rx, p->tx, p->lost, p->drop_percent,
			p->delay_ms);
		for (int to = 0; to < n_ports; to++) {
			if (!p->cut_to[to])
				continue;
			fprintf(out, "%s\"%s\"", sep, ports[to].name);
			sep = ", ";
		}
		fputs("]}", out);
	}
	fputs("]\n", out);
}

static void obey(const char *line, FILE *out)
{
	char verb[16] = "", net[16] = "", a[16] = "", b[16] = "", rest;
	int words = sscanf(line, "%15s %15s %15s %15s %c", verb, net, a, b, &rest);
	int changed = 0;

	if (words == 1 && strcmp(verb, "status") == 0) {
		print_status(out);
		return;
	}
	if (words != 4) {
		fputs("error: cut|heal NET FROM TO, drop|delay NET PORT NUMBER, status\n", out);
		return;
	}
	if (strcmp(verb, "cut") == 0 || strcmp(verb, "heal") == 0)
		changed = set_cut(net, a, b, verb[0] == 'c');
	else if (strcmp(verb, "drop") == 0 || strcmp(verb, "delay") == 0)
		changed = set_number(net, a, (unsigned int)strtoul(b, NULL, 10), verb[1] == 'r');
	fputs(changed ? "ok\n" : "error: no such command, net or port\n", out);
}

static void client_close(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

static void client_readable(struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->used, sizeof(c->line) - 1 - c->used, MSG_DONTWAIT);
	char *end;

	if (n <= 0) {
		client_close(c);
		return;
	}
	c->used += (size_t)n;
	c->line[c->used] = '\0';
	while ((end = strchr(c->line, '\n'))) {
		char *reply = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&reply, &size);

		if (!out)
			die("open_memstream");
		*end = '\0';
		obey(c->line, out);
		fclose(out);
		if (send(c->fd, reply, size, MSG_NOSIGNAL) < 0)
			perror("lab-switch: reply");
		free(reply);
		c->used -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->used + 1);
	}
	if (c->used == sizeof(c->line) - 1)
		client_close(c);
}

static void watch(int fd, uint32_t id)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = id };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static void client_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i].fd >= 0)
			continue;
		clients[i].fd = fd;
		clients[i].used = 0;
		watch(fd, (uint32_t)(MAX_PORTS + 1 + i));
		return;
	}
	close(fd);
}

static void add_port(const char *arg)
{
	struct port *p = &ports[n_ports];

	if (n_ports == MAX_PORTS || sscanf(arg, "%15[^:]:%15[^=]=%d", p->net, p->name, &p->fd) != 3) {
		fprintf(stderr, "lab-switch: bad port %s\n", arg);
		exit(2);
	}
	p->last = &p->first;
	watch(p->fd, (uint32_t)n_ports++);
}

int main(int argc, char **argv)
{
	unsigned int seed = 1;
	int listener;

	if (argc < 3) {
		fprintf(stderr, "usage: lab-switch CONTROL-FD NET:PORT=FD...\n");
		return 2;
	}
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		die("getrandom");
	srandom(seed);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");
	for (int i = 0; i < MAX_CLIENTS; i++)
		clients[i].fd = -1;
	listener = atoi(argv[1]);
	watch(listener, MAX_PORTS);
	for (int i = 2; i < argc; i++)
		add_port(argv[i]);

	for (;;) {
		struct epoll_event ev[32];
		int n = epoll_wait(epoll_fd, ev, 32, release_held());

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			uint32_t id = ev[i].data.u32;

			if (id < MAX_PORTS)
				port_readable((int)id);
			else if (id == MAX_PORTS)
				client_accept(listener);
			else if (clients[id - MAX_PORTS - 1].fd >= 0)
				client_readable(&clients[id - MAX_PORTS - 1]);
		}
	}
}
