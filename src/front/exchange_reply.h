/* Hands an exchange's answer to the HTTP library, with the headers that every answer has, and counts and logs
 * it. */
#pragma once

#include "front/exchange.h"

/* MHD_NO, which closes the connection, when memory is short. */
enum MHD_Result exchange_reply(struct exchange *exchange);
