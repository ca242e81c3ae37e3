// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket: who may do what, deferred answers, clients that vanish, do not read, flood or lie. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/ctl/client.h"
#include "agent/ctl/frame.h"
#include "agent/ctl/server.h"
#include "base/clock.h"
#include "tests/unit/test_ctl_loop.h"

#define READERS_GROUP "games" /* any group every Debian has */

struct fixture {
	char dir[64], path[80];
	struct test_loop loop;
	struct ctl_server *server;
	struct ctl_request *held; /* of the last "hold" */
	int n_gone;
	bool free_gone;
};

static void on_echo(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)ctx;
	ctl_request_progress(request, "echoing");
	ctl_request_ok(request, json_pack("{s:o, s:b}", "args", json_deep_copy(args), "admin", ctl_request_is_admin(request)));
}

static void on_hold(void *ctx, struct ctl_request *request, const json_t *args)
{
	struct fixture *f = ctx;

	(void)args;
	f->held = request;
}

static void on_fail(void *ctx, struct ctl_request *request, const json_t *args)
{
	(void)ctx;
	(void)args;
	ctl_request_fail(request, -EINVAL, "groups.g1.nodes[1]: no such node");
}

static bool on_gone(void *ctx, struct ctl_request *request)
{
	struct fixture *f = ctx;

	assert_ptr_equal(request, f->held);
	f->n_gone++;
	return f->free_gone;
}

static const struct ctl_command commands[] = {
	{ "echo", true, on_echo },
	{ "hold", true, on_hold },
	{ "fail", true, on_fail },
	{ "change", false, on_echo },
};

static struct ctl_server_settings settings_of(struct fixture *f)
{
	return (struct ctl_server_settings){ .path = f->path, .group = READERS_GROUP, .clients_max = 8, .commands = commands,
					     .n_commands = ARRAY_SIZE(commands), .ctx = f, .gone = on_gone,
					     .ops = &test_loop_ops, .loop = &f->loop };
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ctl_server_settings settings;
	struct err err = ERR_INIT;

	strcpy(f->dir, "/tmp/test-ctl-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->path, sizeof(f->path), "%s/control", f->dir);
	f->free_gone = true;
	settings = settings_of(f);
	assert_int_equal(ctl_server_open(&f->server, &settings, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char lock[128];

	ctl_server_close(f->server);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(f->loop.n, 0);
	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	unlink(lock);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* --- a client by hand -------------------------------------------------------------------------------------------------*/

static int dial(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t before = ctl_server_n_clients(f->server);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	while (ctl_server_n_clients(f->server) == before && test_loop_step(&f->loop, 0))
		;
	return fd;
}

static void pump(struct fixture *f)
{
	while (test_loop_step(&f->loop, 0))
		;
}

static void say(int fd, const char *text)
{
	json_t *message = json_loads(text, 0, NULL);
	unsigned char *bytes = NULL;
	size_t size = 0;

	assert_int_equal(frame_encode(message, &bytes, &size), 0);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	frame_free(bytes, size);
	json_decref(message);
}

/* The next message; NULL at end of file. Drives the server while it waits. */
static json_t *hear(struct fixture *f, int fd)
{
	struct frame_reader reader;
	json_t *message = NULL;
	int rc = 0;

	frame_reader_init(&reader, FRAME_SIZE_MAX);
	while (rc == 0) {
		size_t size;
		void *space = frame_reader_space(&reader, &size);
		ssize_t n;

		pump(f);
		n = recv(fd, space, size, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			fail_msg("the server says nothing");
		if (n <= 0)
			break;
		rc = frame_reader_advance(&reader, (size_t)n);
	}
	if (rc == 1)
		assert_int_equal(frame_parse(reader.body, reader.size, &message, NULL), 0);
	frame_reader_reset(&reader);
	return message;
}

static void expect_error(json_t *message, const char *name)
{
	assert_non_null(message);
	assert_true(json_is_false(json_object_get(message, "ok")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(message, "error"), "name")), name);
	json_decref(message);
}

static void expect_ok(json_t *message)
{
	assert_non_null(message);
	assert_true(json_is_true(json_object_get(message, "ok")));
	json_decref(message);
}

static void test_several_requests_on_one_connection(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	json_t *m;

	say(fd, "{\"command\":\"echo\",\"args\":{\"x\":1}}");
	say(fd, "{\"command\":\"fail\"}");
	m = hear(f, fd);
	assert_string_equal(json_string_value(json_object_get(m, "progress")), "echoing");
	json_decref(m);
	m = hear(f, fd);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(m, "result"), "args"), "x")), 1);
	json_decref(m);
	expect_error(hear(f, fd), "EINVAL");
	close(fd);
	pump(f);
	assert_int_equal(ctl_server_n_clients(f->server), 0);
}

static void test_bad_requests(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	static const unsigned char huge[] = { 0xff, 0xff, 0xff, 0x7f, '{' };

	say(fd, "{\"command\":\"nonsense\"}");
	expect_error(hear(f, fd), "EOPNOTSUPP");
	say(fd, "[]");
	expect_error(hear(f, fd), "EINVAL");
	say(fd, "{\"command\":\"fail\"}"); /* the connection is still good */
	expect_error(hear(f, fd), "EINVAL");
	assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
	expect_error(hear(f, fd), "EMSGSIZE");
	assert_null(hear(f, fd)); /* hung up */
	assert_int_equal(ctl_server_n_clients(f->server), 0);
	close(fd);
}

static void test_deferred_answer(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	say(fd, "{\"command\":\"hold\"}");
	say(fd, "{\"command\":\"fail\"}"); /* not looked at before the first is answered */
	pump(f);
	assert_non_null(f->held);
	ctl_request_progress(f->held, "one");
	ctl_request_ok(f->held, json_object());
	json_decref(hear(f, fd));
	expect_ok(hear(f, fd));
	expect_error(hear(f, fd), "EINVAL");
	close(fd);
}

static void test_half_closed_client_gets_its_answer(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	say(fd, "{\"command\":\"hold\"}");
	shutdown(fd, SHUT_WR);
	pump(f);
	assert_int_equal(f->n_gone, 0);
	ctl_request_ok(f->held, json_object());
	expect_ok(hear(f, fd));
	close(fd);
}

static void test_client_vanishes(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	say(fd, "{\"command\":\"hold\"}");
	pump(f);
	close(fd);
	pump(f);
	assert_int_equal(f->n_gone, 1); /* and freed: the sanitised build would tell */
	assert_int_equal(ctl_server_n_clients(f->server), 0);

	f->free_gone = false;
	fd = dial(f);
	say(fd, "{\"command\":\"hold\"}");
	pump(f);
	close(fd);
	pump(f);
	assert_int_equal(f->n_gone, 2);
	ctl_request_progress(f->held, "nobody hears");
	ctl_request_update(f->held, json_object());
	ctl_request_fail(f->held, -EIO, "nobody hears");
}

static void test_answer_into_a_closed_socket_calls_nobody_back(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	say(fd, "{\"command\":\"hold\"}");
	pump(f);
	close(fd);
	ctl_request_progress(f->held, "the write fails");
	assert_int_equal(f->n_gone, 0); /* not from inside: the caller may be walking a list of requests */
	pump(f);
	assert_int_equal(f->n_gone, 1);
}

/* A watcher that does not read costs a bounded amount, and finds the newest state when it does. */
static void test_slow_watcher(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), n = 0, last = -1;
	char *pad = calloc(1, 100001);
	json_t *m;

	memset(pad, 'x', 100000);
	say(fd, "{\"command\":\"hold\"}");
	pump(f);
	for (int i = 0; i < 200; i++) {
		ctl_request_update(f->held, json_pack("{s:i, s:s}", "n", i, "pad", pad));
		ctl_request_progress(f->held, pad);
	}
	ctl_request_ok(f->held, json_object());
	for (;;) {
		json_t *update;

		m = hear(f, fd);
		assert_non_null(m);
		update = json_object_get(m, "update");
		if (update) {
			assert_true(json_integer_value(json_object_get(update, "n")) > last);
			last = (int)json_integer_value(json_object_get(update, "n"));
		}
		n++;
		if (json_object_get(m, "ok"))
			break;
		json_decref(m);
	}
	json_decref(m);
	assert_int_equal(last, 199);
	assert_true(n < 100);
	close(fd);
	free(pad);
}

static void test_too_many_clients(void **state)
{
	struct fixture *f = *state;
	int fds[8], fd;

	for (int i = 0; i < 8; i++) {
		fds[i] = dial(f);
		if (i != 3)
			say(fds[i], "{\"command\":\"hold\"}");
		pump(f);
	}
	fd = dial(f); /* takes the place of number 3, who asks for nothing */
	pump(f);
	assert_null(hear(f, fds[3]));
	say(fd, "{\"command\":\"fail\"}");
	expect_error(hear(f, fd), "EINVAL");
	say(fd, "{\"command\":\"hold\"}");
	pump(f);
	close(fds[3]);
	fds[3] = dial(f);
	expect_error(hear(f, fds[3]), "EBUSY");
	assert_null(hear(f, fds[3]));
	close(fd);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}

static void test_second_server_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ctl_server_settings settings = settings_of(f);
	struct ctl_server *second = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(ctl_server_open(&second, &settings, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another lunwardd"));
	assert_int_equal(access(f->path, F_OK), 0);
	/* What a killed daemon leaves behind is no obstacle. */
	ctl_server_close(f->server);
	close(open(f->path, O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
	assert_int_equal(ctl_server_open(&f->server, &settings, &err), 0);
}

static void test_socket_mode(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, getgrnam(READERS_GROUP)->gr_gid);
}

/* --- other people: a child with their ids uses ctl_call() --------------------------------------------------------------*/

static void child(struct fixture *f, int out, uid_t uid, gid_t gid, gid_t extra, const char *command)
{
	const struct ctl_call call = { .path = f->path, .command = command, .deadline_ms = clock_now_ms() + 100000 };
	struct err err = ERR_INIT;
	int rc = -EIO;

	if (setgroups(extra ? 1 : 0, &extra) == 0 && setgid(gid) == 0 && setuid(uid) == 0)
		rc = ctl_call(&call, NULL, &err);
	dprintf(out, "%s", rc < 0 ? strerrorname_np(-rc) : "ok");
	_exit(0);
}

static void on_readable(void *ctx, int fd, int revents)
{
	(void)fd;
	(void)revents;
	*(bool *)ctx = true;
}

static void expect_as(struct fixture *f, uid_t uid, gid_t gid, gid_t extra, const char *command, const char *expected)
{
	int fds[2];
	char said[32] = "";
	bool ready = false;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		child(f, fds[1], uid, gid, extra, command);
	close(fds[1]);
	assert_int_equal(test_loop_add(&f->loop, fds[0], POLLIN, on_readable, &ready), 0);
	while (!ready)
		assert_true(test_loop_step(&f->loop, 120000));
	assert_true(read(fds[0], said, sizeof(said) - 1) > 0);
	test_loop_del(&f->loop, fds[0]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_string_equal(said, expected);
}

static void test_permissions(void **state)
{
	struct fixture *f = *state;
	gid_t readers = getgrnam(READERS_GROUP)->gr_gid;

	if (geteuid() != 0)
		skip();
	expect_as(f, 0, 0, 0, "echo", "ok");
	expect_as(f, 0, 0, 0, "change", "ok");
	expect_as(f, 12345, readers, 0, "echo", "ok");
	expect_as(f, 12345, 12345, readers, "echo", "ok"); /* supplementary */
	expect_as(f, 12345, 12345, readers, "change", "EACCES");
	expect_as(f, 12345, 12345, readers, "nonsense", "EOPNOTSUPP");
	expect_as(f, 12345, 12345, 12346, "echo", "EACCES"); /* by the mode of the socket */
	assert_int_equal(chmod(f->path, 0666), 0);
	expect_as(f, 12345, 12345, 12346, "echo", "EACCES"); /* by the server */
	expect_as(f, 12345, 12345, 12346, "nonsense", "EACCES");
	expect_as(f, 12345, 0, 0, "change", "EACCES"); /* group root is nobody special */
}

/* --- client -----------------------------------------------------------------------------------------------------------*/

static void test_no_daemon(void **state)
{
	const struct ctl_call call = { .path = "/tmp/there-is-no-such/socket", .command = "status", .deadline_ms = INT64_MAX };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ctl_call(&call, NULL, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "does not run"));
}

static void test_client_deadline(void **state)
{
	struct fixture *f = *state;
	struct ctl_call call = { .path = f->path, .command = "echo", .deadline_ms = clock_now_ms() + 20 };
	struct err err = ERR_INIT;

	/* Nobody drives the server: it neither accepts nor answers. */
	assert_int_equal(ctl_call(&call, NULL, &err), -ETIMEDOUT);
	pump(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_several_requests_on_one_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deferred_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_closed_client_gets_its_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_vanishes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer_into_a_closed_socket_calls_nobody_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_watcher, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_server_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_permissions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_deadline, setup, teardown),
		cmocka_unit_test(test_no_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
