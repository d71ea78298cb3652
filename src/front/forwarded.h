/*
 * Where a request really comes from, when proxies stand in front of us. Each proxy appends the address it was
 * called from to X-Forwarded-For, or to Forwarded (RFC 7239); what stands further left was said by somebody
 * further away. So the list is read from the right, and ends at the first address that is no proxy of ours:
 * everything beyond it may be invented.
 */
#pragma once

#include <stdbool.h>

#include "base/ip_address.h"
#include "front/gate.h"

/* Only one of the headers is looked at: proxies that write the one hand on the other as they got it. */
enum forwarded_header { FORWARDED_FOR, FORWARDED };

/*
 * `peer` is who has called us, a trusted proxy. The answer is the rightmost address that is none, or the last
 * that could be read. False when a Forwarded header is malformed: what a proxy has appended cannot be told
 * from what it was given then.
 */
bool forwarded_find_client(const struct gate_head *head, enum forwarded_header header,
                           const struct ip_networks *trusted, struct ip_address peer,
                           struct ip_address *ret_client);
