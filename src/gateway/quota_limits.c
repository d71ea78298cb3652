#include "gateway/quota_limits.h"

/* Where the settings leave it to us: much more than a household, or an office behind one address, needs. */
#define STREAMS_PER_ADDRESS 1000
#define STREAM_RATE_PER_ADDRESS 200
#define PUBLISH_RATE_PER_ADDRESS 1000

/* This machine itself is a proxy of which nothing was said, a worker, or somebody who tries things. */
static struct quota_address_limit address_limit(uint64_t setting, uint64_t fallback)
{
    return setting > 0 ? (struct quota_address_limit){ .most = setting }
                       : (struct quota_address_limit){ .most = fallback, .spares_loopback = true };
}

struct quota_limits quota_limits_of(const struct settings *settings)
{
    return (struct quota_limits){
        .streams_per_subject = settings->streams_per_subject_max,
        .streams_per_address = address_limit(settings->streams_per_address_max, STREAMS_PER_ADDRESS),
        .stream_rate = settings->stream_rate_max,
        .stream_rate_per_address =
            address_limit(settings->stream_rate_per_address_max, STREAM_RATE_PER_ADDRESS),
        .publish_rate_per_subject = settings->publish_rate_per_subject_max,
        .publish_rate_per_address =
            address_limit(settings->publish_rate_per_address_max, PUBLISH_RATE_PER_ADDRESS),
        .ip6_prefix = (unsigned)settings->address_ip6_prefix,
    };
}
