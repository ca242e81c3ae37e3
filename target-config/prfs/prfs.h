/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system on <dbroot>/pr: LIO's writes of a volume's reservations become questions, and the host gets its status when they
 * are answered. It speaks the kernel's FUSE protocol (linux/fuse.h) itself, in a thread of its own, with its memory locked.
 *
 * Every request is read into a file of /run (`keep`), so that a successor that gets the descriptor of the mount answers what its
 * predecessor had read and not answered: without that the command, and its connection, would hang for good.
 * There is no content: files are empty to readers, and a write is given on as it came, whole or not.
 *
 * While a command of a host waits for its answer, a PREEMPT of that host spins in the kernel until the command is done, with a lock that other
 * commands for the volume spin for (core_scsi3_pro_preempt(), dev_reservation_lock). iSCSI binds each connection's threads to one processor
 * (iscsit_thread_get_cpumask()), so the command would never be done if that is where the PREEMPT spins; and with enough commands there is no
 * processor left for the answer. So the thread that waits is let run anywhere as soon as it is heard of, and the last processor is nobody's who
 * may spin: lio_scope.cpus, cpus_keep_off().
 */
#ifndef TARGET_CONFIG_PRFS_H
#define TARGET_CONFIG_PRFS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define PRFS_WRITE_MAX (256u << 10) /* a larger write comes in pieces: none of them is a whole text */
#define PRFS_PENDING_MAX 16         /* further commands wait in the kernel */

struct prfs;

/* Both are called in the thread that serves the kernel, and must not touch configfs: LIO may wait there for the answer. */
struct prfs_handlers {
	/* A write to aptpl_<serial>: to be answered once with prfs_answer(), from any thread, within limit_ms. `data` is valid until then.
	 * The same question may come again to a successor. */
	void (*question)(void *ctx, uint64_t ticket, const char *serial, const void *data, size_t size);
	/* No answer in time: returns when the host cannot hear GOOD any more. The write then fails. */
	void (*late)(void *ctx, uint64_t ticket, const char *serial);
};

/* Mounts on `dir` (made if it is not there), on top of an empty read-only file system, so that without the mount LIO's file cannot be
 * made. Must run in the mount namespace of the kernel's threads, that is, of process 1. -EALREADY if a living one is there. */
int prfs_mount(const char *dir, int *ret_fd, struct err *err) must_check;

/* Shows the same at `other` (made if it is not there): for a kernel target that writes there, and cannot be told otherwise any more. 0 also if it is. */
int prfs_show_at(const char *dir, const char *other, struct err *err) must_check;

/* Serves the mount of `fd` (now the callee's). What a predecessor left unanswered in `keep` is asked first. */
int prfs_start(int fd, const char *keep, int64_t limit_ms, const struct prfs_handlers *handlers, void *ctx, struct prfs **ret,
	       struct err *err) must_check;
/* 0: the write has succeeded. Negative: it fails with that. Returns -ESTALE if it came too late. */
int prfs_answer(struct prfs *prfs, uint64_t ticket, int result) must_check;
/* A question that waits is late `limit_ms` from now, and no sooner. -ESTALE if it is late already, or answered. */
int prfs_prolong(struct prfs *prfs, uint64_t ticket, int64_t limit_ms) must_check;
/* Ends the thread. The mount stays as long as somebody keeps its descriptor. */
void prfs_stop(struct prfs *prfs);

#endif
