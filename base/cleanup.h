/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound release of resources with the compiler's cleanup attribute.
 * Declare `_cleanup_free_ char *s = NULL;` and return at will; hand a resource on with steal_ptr()/steal_fd().
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Defines fnp(T *p), which calls fn(*p) when *p is set: the form the attribute wants. */
#define DEFINE_CLEANUP(type, fn)                                                                                       \
	static inline void fn##p(type *p)                                                                              \
	{                                                                                                              \
		if (*p)                                                                                                \
			fn(*p);                                                                                        \
	}                                                                                                              \
	struct cleanup_swallow_semicolon_##fn

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

/* Returns the pointer and clears the variable, so that its cleanup does nothing. */
#define steal_ptr(p)                                                                                                   \
	({                                                                                                             \
		__typeof__(p) stolen_ = (p);                                                                           \
		(p) = NULL;                                                                                            \
		stolen_;                                                                                               \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
