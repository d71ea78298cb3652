#pragma once

/* What can be listened to. Channels and patterns come by the feed, streams by the tail. */
enum topic_kind { TOPIC_CHANNEL, TOPIC_PATTERN, TOPIC_STREAM, TOPIC_KINDS };
