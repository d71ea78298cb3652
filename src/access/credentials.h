/* What a request says about who sent it. */
#pragma once

#include "access/access.h"

/* What follows `Bearer ` in an Authorization header; without bytes if it is of another scheme. */
struct text credentials_bearer(struct text authorization);

/* The value of a cookie (RFC 6265, section 4.2.1), without quotes around it. *ret_twice: there are several of
 * that name, and which is meant is anybody's guess. */
struct text credentials_cookie(struct text cookies, const char *name, bool *ret_twice);
