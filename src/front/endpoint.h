/*
 * The endpoints. Each is called once for a complete request of an allowed method, and either answers at once
 * (exchange_answer) or waits (exchange_wait) and answers later.
 */
#pragma once

struct exchange;

void endpoint_publish(struct exchange *exchange);
void endpoint_events(struct exchange *exchange);
void endpoint_batch(struct exchange *exchange);
void endpoint_batch_stream(struct exchange *exchange);
void endpoint_metrics(struct exchange *exchange);
void endpoint_healthz(struct exchange *exchange);
void endpoint_readyz(struct exchange *exchange);
void endpoint_page(struct exchange *exchange);
void endpoint_streams(struct exchange *exchange);
void endpoint_stream(struct exchange *exchange);
void endpoint_tickets(struct exchange *exchange);
void endpoint_subscribers(struct exchange *exchange);
void endpoint_group_events(struct exchange *exchange);
void endpoint_group_ack(struct exchange *exchange);
void endpoint_group_nack(struct exchange *exchange);
