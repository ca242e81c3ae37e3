/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one place that reads the clock. Pure code never includes this: it gets now_ms as an argument. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void); /* CLOCK_MONOTONIC, milliseconds */
int64_t clock_now_us(void); /* CLOCK_MONOTONIC, microseconds */
int64_t clock_wall_ms(void); /* CLOCK_REALTIME, milliseconds: for what people are told, never to decide by */
int64_t clock_wall_s(void); /* the same in seconds */

#endif
