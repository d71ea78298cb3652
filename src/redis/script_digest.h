/*
 * The name under which Redis keeps a Lua script: its SHA-1 in hexadecimal (EVALSHA).
 *
 * Everything OpenSSL needs for it is taken at the start: its one-call functions load what they need when
 * first used, and do not survive memory being short at that moment.
 */
#pragma once

#include <stdbool.h>

#define SCRIPT_DIGEST_BYTES 41

struct script_digester;

/* NULL when memory is short. */
struct script_digester *script_digester_create(void);
void script_digester_destroy(struct script_digester *digester);

/* NUL-terminated. False when memory is short. */
bool script_digest(struct script_digester *digester, const char *script,
                   char ret_digest[SCRIPT_DIGEST_BYTES]);
