/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The smallest loop a ctl_server can run in: for the unit test and for the CLI's fake server. */
#ifndef TEST_CTL_LOOP_H
#define TEST_CTL_LOOP_H

#include <errno.h>
#include <poll.h>

#include "agent/ctl/server.h"

#define TEST_LOOP_FDS 128

struct test_loop {
	struct pollfd fds[TEST_LOOP_FDS];
	struct {
		ctl_fd_fn *fn;
		void *ctx;
	} calls[TEST_LOOP_FDS];
	size_t n;
};

static int test_loop_find(const struct test_loop *loop, int fd)
{
	for (size_t i = 0; i < loop->n; i++) {
		if (loop->fds[i].fd == fd)
			return (int)i;
	}
	return -1;
}

static int test_loop_add(void *ctx, int fd, int events, ctl_fd_fn *fn, void *fn_ctx)
{
	struct test_loop *loop = ctx;

	if (loop->n == TEST_LOOP_FDS)
		return -ENOSPC;
	loop->fds[loop->n] = (struct pollfd){ .fd = fd, .events = (short)events };
	loop->calls[loop->n].fn = fn;
	loop->calls[loop->n++].ctx = fn_ctx;
	return 0;
}

static int test_loop_mod(void *ctx, int fd, int events)
{
	struct test_loop *loop = ctx;
	int i = test_loop_find(loop, fd);

	if (i < 0)
		return -ENOENT;
	loop->fds[i].events = (short)events;
	return 0;
}

static void test_loop_del(void *ctx, int fd)
{
	struct test_loop *loop = ctx;
	int i = test_loop_find(loop, fd);

	if (i < 0)
		return;
	loop->n--;
	loop->fds[i] = loop->fds[loop->n];
	loop->calls[i] = loop->calls[loop->n];
}

static const struct ctl_loop_ops test_loop_ops = { test_loop_add, test_loop_mod, test_loop_del };

/* Waits at most timeout_ms for something to happen and handles one descriptor; false: nothing happened. */
static bool test_loop_step(struct test_loop *loop, int timeout_ms)
{
	if (poll(loop->fds, loop->n, timeout_ms) <= 0)
		return false;
	for (size_t i = 0; i < loop->n; i++) {
		if (loop->fds[i].revents) {
			loop->calls[i].fn(loop->calls[i].ctx, loop->fds[i].fd, loop->fds[i].revents);
			return true;
		}
	}
	return false;
}

#endif
