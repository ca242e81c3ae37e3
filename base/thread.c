// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*fn)(void *ctx), void *ctx)
{
	sigset_t all, old;
	pthread_t tid;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&tid, NULL, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0 && ret)
		*ret = tid;
	else if (rc == 0)
		pthread_detach(tid);
	return rc;
}
