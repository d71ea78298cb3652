/* The streams of one person: who has how many, and their end at once (hub/lease.h says whose a stream is). */
#pragma once

#include "base/buffer.h"
#include "hub/hub.h"

/*
 * Ends all streams of the subject with `event: expired`, reason "revoked". One that is asked for already, but
 * whose response head is not out yet, ends as soon as it is: what counts is when its caller became known
 * (lease_terms.known_ms). Returns how many were ended at once.
 */
size_t hub_revoke(struct hub *hub, const char *subject, size_t length);

/* {"streams": 7, "unnamed": 1, "subjects": {"ann": 6}}: `subjects_max` of them at most, the numbers are of
 * all. */
void hub_append_subjects(const struct hub *hub, size_t subjects_max, struct buffer *out);
