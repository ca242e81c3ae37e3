// SPDX-License-Identifier: GPL-2.0-or-later
#include "target-config/prfs/prfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/mounts.h"
#include "base/thread.h"
#include "base/xalloc.h"

#define PREFIX "aptpl_" /* core_scsi3_aptpl: "%s/pr/aptpl_%s" */
#define CONNECTION_THREAD "iscsi_trx" /* ISCSI_RX_THREAD_NAME; iSER's and SRP's are workers of a processor, which cannot leave it */
#define COMM_MAX 64 /* a thread's name has at most 15 bytes, those of workqueues more */
#define NAME_SIZE 256   /* a unit serial number has at most 253 bytes */
#define NAMES_MAX 8192
#define NODEID_FIRST (FUSE_ROOT_ID + 1)
#define NODEID_UNKNOWN (NODEID_FIRST + NAMES_MAX) /* no room for its name: writes come with the serial "" */
#define REQUEST_SIZE (PRFS_WRITE_MAX + 4096)      /* fuse_dev_do_read() wants room for the headers beside max_write */
#define PROBE_MS 2000
#define KEPT_MAGIC 0x4c575052u

struct kept { /* shared with a successor: the layout is part of the magic's meaning */
	uint32_t magic, size;
	char names[NAMES_MAX][NAME_SIZE]; /* nodeid -> serial: the kernel keeps nodeids while files are open */
	struct slot {
		_Alignas(8) uint8_t request[REQUEST_SIZE]; /* a fuse_in_header whose len is 0: nothing */
	} slots[PRFS_PENDING_MAX];
};

enum slot_state { SLOT_FREE, SLOT_WAITING };

struct prfs {
	int fd, wake_fd;
	int64_t limit_ms;
	struct prfs_handlers handlers;
	void *ctx;
	pthread_t thread;
	struct kept *kept;
	pthread_mutex_t lock; /* guards what follows, and slots that wait */
	bool stopping;
	struct {
		enum slot_state state;
		int64_t deadline_ms;
	} slots[PRFS_PENDING_MAX];
};

/* --- mounting ------------------------------------------------------------------------------------------------------------------*/

enum found { FOUND_OTHER, FOUND_ALIVE, FOUND_DEAD };

static enum found look_at(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) == 0)
		return fs.f_type == FUSE_SUPER_MAGIC ? FOUND_ALIVE : FOUND_OTHER;
	return errno == ENOTCONN ? FOUND_DEAD : FOUND_OTHER;
}

/* A mount whose descriptor is kept while nobody serves it answers nothing at all: asked by a process that can be killed. */
static enum found probe(const char *dir)
{
	pid_t pid = fork();
	struct pollfd pidfd = { .fd = -1, .events = POLLIN };
	int status;

	if (pid == 0)
		_exit(look_at(dir));
	if (pid > 0)
		pidfd.fd = pidfd_open(pid, 0);
	if (pidfd.fd < 0 || poll(&pidfd, 1, PROBE_MS) <= 0)
		ignore_result(pid > 0 ? kill(pid, SIGKILL) : 0);
	if (pidfd.fd >= 0)
		close(pidfd.fd);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return (enum found)WEXITSTATUS(status);
	return FOUND_ALIVE;
}

static int mount_guard(const char *dir, struct err *err)
{
	struct statfs fs;

	if (statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC && (fs.f_flags & ST_RDONLY))
		return 0;
	if (mount("lunward-pr-guard", dir, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=0700") < 0)
		return err_errno(err, -errno, "cannot mount an empty file system on %s", dir);
	return 0;
}

int prfs_mount(const char *dir, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	enum found found = probe(dir);
	char options[128];
	int rc;

	for (; found == FOUND_DEAD; found = probe(dir)) {
		if (umount2(dir, MNT_DETACH) < 0)
			return err_errno(err, -errno, "cannot unmount %s, which nobody serves any more", dir);
	}
	if (found == FOUND_ALIVE)
		return err_set(err, -EALREADY, "%s is mounted already", dir);
	rc = file_make_dirs(dir, 0700);
	if (rc < 0)
		return err_errno(err, rc, "cannot make %s", dir);
	rc = mount_guard(dir, err);
	if (rc < 0)
		return rc;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open /dev/fuse (is the module fuse loaded?)");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("lunward-pr", dir, "fuse", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_errno(err, -errno, "cannot mount %s", dir);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int prfs_show_at(const char *dir, const char *other, struct err *err)
{
	int rc;

	if (mounts_same(dir, other))
		return 0;
	rc = file_make_dirs(other, 0700);
	if (rc < 0)
		return err_errno(err, rc, "cannot make %s", other);
	return mount(dir, other, NULL, MS_BIND, NULL) < 0 ? err_errno(err, -errno, "cannot show %s at %s", dir, other) : 0;
}

/* --- answers to the kernel --------------------------------------------------------------------------------------------------------*/

static struct fuse_in_header *header_of(struct prfs *prfs, size_t slot)
{
	return (struct fuse_in_header *)(void *)prfs->kept->slots[slot].request;
}

/* A request that is gone (its command was killed, or the predecessor did answer) is ENOENT to the kernel, and no matter to us. */
static void reply(struct prfs *prfs, uint64_t unique, int result, const void *data, size_t size)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + size), .error = result, .unique = unique };
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)(uintptr_t)data, size } };

	ignore_result(writev(prfs->fd, iov, size ? 2 : 1));
}

static void reply_attr(struct prfs *prfs, const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr = { .ino = in->nodeid, .nlink = 1, .blksize = 4096 } };

	out.attr.mode = in->nodeid == FUSE_ROOT_ID ? S_IFDIR | 0700 : S_IFREG | 0600;
	reply(prfs, in->unique, 0, &out, sizeof(out));
}

static uint64_t nodeid_of(struct kept *kept, const char *serial)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (!kept->names[i][0])
			memcpy(kept->names[i], serial, strlen(serial) + 1);
		if (strcmp(kept->names[i], serial) == 0)
			return NODEID_FIRST + i;
	}
	return NODEID_UNKNOWN;
}

static const char *serial_of(const struct kept *kept, uint64_t nodeid)
{
	return nodeid >= NODEID_FIRST && nodeid < NODEID_UNKNOWN ? kept->names[nodeid - NODEID_FIRST] : "";
}

/* With the first request of each command: it is asleep then, so this works at once. Not for programs that look around here. */
static void let_run(uint32_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%u/comm", pid), *name = NULL;
	size_t size;

	if (file_read(path, COMM_MAX, &name, &size) == 0 && strcmp(name, CONNECTION_THREAD "\n") == 0)
		cpus_let_run_anywhere((pid_t)pid);
}

/* Every name of LIO's exists already: so there is no CREATE. */
static void handle_lookup(struct prfs *prfs, const struct fuse_in_header *in, const char *name, size_t size)
{
	struct fuse_entry_out out = { .attr = { .nlink = 1, .mode = S_IFREG | 0600, .blksize = 4096 } };
	size_t prefix = strlen(PREFIX);

	if (in->nodeid != FUSE_ROOT_ID || strnlen(name, size) == size || strncmp(name, PREFIX, prefix) != 0 || !name[prefix] ||
	    strlen(name + prefix) >= NAME_SIZE) {
		reply(prfs, in->unique, -ENOENT, NULL, 0);
		return;
	}
	let_run(in->pid);
	out.nodeid = out.attr.ino = nodeid_of(prfs->kept, name + prefix);
	reply(prfs, in->unique, 0, &out, sizeof(out));
}

static void handle_init(struct prfs *prfs, const struct fuse_in_header *in, const struct fuse_init_in *init)
{
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_background = PRFS_PENDING_MAX,
				     .max_write = PRFS_WRITE_MAX, .max_pages = PRFS_WRITE_MAX / 4096 + 1, .time_gran = 1 };

	if (init->major != FUSE_KERNEL_VERSION || init->minor < 31) {
		reply(prfs, in->unique, -EPROTO, NULL, 0);
		return;
	}
	/* No writeback cache: with it a write would return before anybody is asked. */
	out.flags = init->flags & (FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_MAX_PAGES);
	reply(prfs, in->unique, 0, &out, sizeof(out));
}

/* --- requests ----------------------------------------------------------------------------------------------------------------------*/

/* A slot that waits is answered later; all others are free again. */
static void set_free(struct prfs *prfs, size_t slot)
{
	prfs->slots[slot].state = SLOT_FREE;
	header_of(prfs, slot)->len = 0;
}

static void handle_write(struct prfs *prfs, size_t slot)
{
	const struct fuse_in_header *in = header_of(prfs, slot);
	const struct fuse_write_in *arg = (const void *)(in + 1);
	const char *serial = serial_of(prfs->kept, in->nodeid);

	if (in->len < sizeof(*in) + sizeof(*arg) || arg->size != in->len - sizeof(*in) - sizeof(*arg)) {
		reply(prfs, in->unique, -EIO, NULL, 0);
		pthread_mutex_lock(&prfs->lock);
		set_free(prfs, slot);
		pthread_mutex_unlock(&prfs->lock);
		return;
	}
	pthread_mutex_lock(&prfs->lock);
	prfs->slots[slot].state = SLOT_WAITING;
	prfs->slots[slot].deadline_ms = clock_now_ms() + prfs->limit_ms;
	pthread_mutex_unlock(&prfs->lock);
	/* What does not begin at the beginning is no whole text, whatever it looks like. */
	prfs->handlers.question(prfs->ctx, in->unique, serial, arg + 1, arg->offset ? 0 : arg->size);
}

/* Whether the request is done with. `size` bytes follow the header. */
static void handle_simple(struct prfs *prfs, const struct fuse_in_header *in, size_t size)
{
	static const struct fuse_open_out open_out = { .open_flags = FOPEN_DIRECT_IO };
	static const struct fuse_statfs_out statfs_out = { .st = { .bsize = 4096, .namelen = NAME_SIZE } };
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:
		if (size >= 16) /* of old: major, minor, max_readahead, flags */
			handle_init(prfs, in, arg);
		else
			reply(prfs, in->unique, -EPROTO, NULL, 0);
		break;
	case FUSE_LOOKUP:
		handle_lookup(prfs, in, arg, size);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		reply_attr(prfs, in);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(prfs, in->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_STATFS:
		reply(prfs, in->unique, 0, &statfs_out, sizeof(statfs_out));
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_ACCESS:
	case FUSE_DESTROY:
		reply(prfs, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break; /* names stay, nobody waits */
	case FUSE_INTERRUPT: /* not asked again: a question is answered in time or not at all */
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		reply(prfs, in->unique, -ENOSYS, NULL, 0);
		break;
	default:
		reply(prfs, in->unique, -EPERM, NULL, 0);
		break;
	}
}

static void handle(struct prfs *prfs, size_t slot)
{
	const struct fuse_in_header *in = header_of(prfs, slot);

	if (in->opcode == FUSE_WRITE) {
		handle_write(prfs, slot);
		return;
	}
	handle_simple(prfs, in, in->len - sizeof(*in));
	pthread_mutex_lock(&prfs->lock);
	set_free(prfs, slot);
	pthread_mutex_unlock(&prfs->lock);
}

static bool is_request(const struct fuse_in_header *in)
{
	return in->len >= sizeof(*in) && in->len <= REQUEST_SIZE;
}

/* false: the mount is gone. */
static bool read_request(struct prfs *prfs, size_t slot)
{
	struct fuse_in_header *in = header_of(prfs, slot);
	ssize_t n = read(prfs->fd, in, REQUEST_SIZE);

	if (n < 0) {
		in->len = 0;
		return errno != ENODEV;
	}
	if ((size_t)n >= sizeof(*in) && in->len == (uint32_t)n)
		handle(prfs, slot);
	else
		in->len = 0;
	return true;
}

/* A free slot, PRFS_PENDING_MAX if there is none; the earliest deadline. */
static size_t look(struct prfs *prfs, int64_t *ret_deadline_ms, bool *ret_stopping)
{
	size_t found = PRFS_PENDING_MAX;

	*ret_deadline_ms = INT64_MAX;
	pthread_mutex_lock(&prfs->lock);
	*ret_stopping = prfs->stopping;
	for (size_t i = PRFS_PENDING_MAX; i-- > 0;) {
		if (prfs->slots[i].state == SLOT_FREE)
			found = i;
		else
			*ret_deadline_ms = MIN(*ret_deadline_ms, prfs->slots[i].deadline_ms);
	}
	pthread_mutex_unlock(&prfs->lock);
	return found;
}

static void expire(struct prfs *prfs, int64_t now_ms)
{
	for (size_t i = 0; i < PRFS_PENDING_MAX; i++) {
		const struct fuse_in_header *in = header_of(prfs, i);
		uint64_t unique, nodeid;
		bool late;

		pthread_mutex_lock(&prfs->lock);
		late = prfs->slots[i].state == SLOT_WAITING && prfs->slots[i].deadline_ms <= now_ms;
		if (late)
			prfs->slots[i].deadline_ms = INT64_MAX;
		unique = in->unique;
		nodeid = in->nodeid;
		pthread_mutex_unlock(&prfs->lock);
		if (!late)
			continue;
		prfs->handlers.late(prfs->ctx, unique, serial_of(prfs->kept, nodeid));
		ignore_result(prfs_answer(prfs, unique, -EIO)); /* unless the answer has come meanwhile */
	}
}

static void *serve(void *arg)
{
	struct prfs *prfs = arg;
	bool stopping = false;
	int64_t deadline_ms;

	for (size_t i = 0; i < PRFS_PENDING_MAX; i++) {
		if (is_request(header_of(prfs, i)))
			handle(prfs, i);
		else
			header_of(prfs, i)->len = 0;
	}
	for (;;) {
		size_t slot = look(prfs, &deadline_ms, &stopping);
		int64_t now_ms = clock_now_ms();
		struct pollfd fds[2] = { { .fd = prfs->wake_fd, .events = POLLIN },
					 { .fd = slot < PRFS_PENDING_MAX ? prfs->fd : -1, .events = POLLIN } };
		uint64_t count;

		if (stopping)
			return NULL;
		if (deadline_ms <= now_ms) {
			expire(prfs, now_ms);
			continue;
		}
		if (poll(fds, 2, deadline_ms == INT64_MAX ? -1 : (int)MIN(deadline_ms - now_ms, 1000)) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			ignore_result(read(prfs->wake_fd, &count, sizeof(count)));
		if (fds[1].revents && !read_request(prfs, slot))
			return NULL;
	}
}

static void wake(struct prfs *prfs)
{
	uint64_t one = 1;

	ignore_result(write(prfs->wake_fd, &one, sizeof(one)));
}

int prfs_answer(struct prfs *prfs, uint64_t ticket, int result)
{
	int rc = -ESTALE;

	pthread_mutex_lock(&prfs->lock);
	for (size_t i = 0; i < PRFS_PENDING_MAX; i++) {
		const struct fuse_in_header *in = header_of(prfs, i);
		const struct fuse_write_in *arg = (const void *)(in + 1);
		struct fuse_write_out out = { .size = arg->size };

		if (prfs->slots[i].state != SLOT_WAITING || in->unique != ticket)
			continue;
		reply(prfs, ticket, result, &out, result < 0 ? 0 : sizeof(out));
		set_free(prfs, i);
		rc = 0;
	}
	pthread_mutex_unlock(&prfs->lock);
	if (rc == 0)
		wake(prfs);
	return rc;
}

int prfs_prolong(struct prfs *prfs, uint64_t ticket, int64_t limit_ms)
{
	int rc = -ESTALE;

	pthread_mutex_lock(&prfs->lock);
	for (size_t i = 0; i < PRFS_PENDING_MAX; i++) {
		if (prfs->slots[i].state != SLOT_WAITING || header_of(prfs, i)->unique != ticket ||
		    prfs->slots[i].deadline_ms == INT64_MAX)
			continue;
		prfs->slots[i].deadline_ms = clock_now_ms() + limit_ms;
		rc = 0;
	}
	pthread_mutex_unlock(&prfs->lock);
	return rc;
}

/* --- life ----------------------------------------------------------------------------------------------------------------------------*/

static int map_kept(const char *path, struct kept **ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct kept *kept;

	if (fd < 0 || ftruncate(fd, sizeof(*kept)) < 0)
		return err_errno(err, -errno, "cannot make %s", path);
	kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kept == MAP_FAILED)
		return err_errno(err, -errno, "cannot map %s", path);
	/* A page fault here would wait for memory that may only come free by writes to the volumes. Not being allowed is for tests. */
	if (mlock(kept, sizeof(*kept)) < 0 && errno != EPERM && errno != ENOMEM && errno != EAGAIN) {
		int rc = -errno;

		munmap(kept, sizeof(*kept));
		return err_errno(err, rc, "cannot lock %s in memory", path);
	}
	if (kept->magic != KEPT_MAGIC || kept->size != sizeof(*kept)) {
		memset(kept, 0, sizeof(*kept));
		kept->size = sizeof(*kept);
		kept->magic = KEPT_MAGIC;
	}
	for (size_t i = 0; i < NAMES_MAX; i++)
		kept->names[i][NAME_SIZE - 1] = '\0';
	*ret = kept;
	return 0;
}

static void free_prfs(struct prfs *prfs)
{
	if (prfs->kept)
		munmap(prfs->kept, sizeof(*prfs->kept));
	if (prfs->wake_fd >= 0)
		close(prfs->wake_fd);
	close(prfs->fd);
	pthread_mutex_destroy(&prfs->lock);
	free(prfs);
}

int prfs_start(int fd, const char *keep, int64_t limit_ms, const struct prfs_handlers *handlers, void *ctx, struct prfs **ret,
	       struct err *err)
{
	struct prfs *prfs = xcalloc(1, sizeof(*prfs));
	int rc;

	*prfs = (struct prfs){ .fd = fd, .wake_fd = -1, .limit_ms = limit_ms, .handlers = *handlers, .ctx = ctx };
	pthread_mutex_init(&prfs->lock, NULL);
	rc = map_kept(keep, &prfs->kept, err);
	if (rc < 0)
		goto fail;
	prfs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (prfs->wake_fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		rc = err_errno(err, -errno, "cannot serve reservations");
		goto fail;
	}
	rc = thread_start(&prfs->thread, serve, prfs);
	if (rc < 0) {
		err_errno(err, rc, "cannot start the thread that serves reservations");
		goto fail;
	}
	*ret = prfs;
	return 0;
fail:
	free_prfs(prfs);
	return rc;
}

void prfs_stop(struct prfs *prfs)
{
	if (!prfs)
		return;
	pthread_mutex_lock(&prfs->lock);
	prfs->stopping = true;
	pthread_mutex_unlock(&prfs->lock);
	wake(prfs);
	pthread_join(prfs->thread, NULL);
	free_prfs(prfs);
}
