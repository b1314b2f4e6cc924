// SPDX-License-Identifier: GPL-2.0-or-later
#include "error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

int xm_fail(struct xm_error *e, int err, enum xm_reason reason, const char *fmt,
	    ...)
{
	va_list ap;

	assert(err < 0);
	if (!e || e->err)
		return err;
	e->err = err;
	e->reason = reason;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return err;
}
