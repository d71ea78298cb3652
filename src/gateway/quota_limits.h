/* The limits of addresses and persons, as the settings say. */
#pragma once

#include "access/quota.h"
#include "gateway/settings.h"

struct quota_limits quota_limits_of(const struct settings *settings);
