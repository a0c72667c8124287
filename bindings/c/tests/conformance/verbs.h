/* Every verb in two ways: waiting on this thread, or started and finished through completions and their
 * descriptor (`--late`). A scenario must go the same either way. */
#ifndef VERBS_H
#define VERBS_H

#include <primer.h>

/* How this run calls verbs; NULL waits on the thread. */
extern primer_completions_t *late;

primer_code_t verb_joined(primer_t *p);
primer_code_t verb_join(primer_t *p, const char *address);
primer_code_t verb_leave(primer_t *p, int64_t drain_ms, bool force);
primer_code_t verb_close(primer_t *p);
primer_code_t verb_enqueue(primer_queue_t *q, const void *body, size_t len,
                           const primer_enqueue_options_t *options, primer_receipt_t *receipt);
primer_code_t verb_enqueue_many(primer_queue_t *q, const primer_bytes_t *bodies, size_t count,
                                const primer_enqueue_options_t *options, primer_receipt_t *receipts);
primer_code_t verb_receive(primer_queue_t *q, const primer_receive_options_t *options,
                           primer_delivery_t **deliveries, size_t capacity, size_t *len);
primer_code_t verb_browse(primer_queue_t *q, const primer_browse_options_t *options,
                          primer_page_t **page);
primer_code_t verb_explain(primer_t *p, const char *id, primer_explanation_t **explanation);
primer_code_t verb_redrive(primer_queue_t *q, const primer_redrive_options_t *options,
                           primer_redriven_t **redriven);
primer_code_t verb_doctor(primer_queue_t *q, primer_diagnosis_t **diagnosis);
primer_code_t verb_nack(primer_queue_t *q, primer_delivery_t *d, int64_t delay_ms);
primer_code_t verb_release(primer_queue_t *q, primer_delivery_t *d);
primer_code_t verb_reject(primer_queue_t *q, primer_delivery_t *d, const char *reason);
primer_code_t verb_extend(primer_queue_t *q, primer_delivery_t *d, int64_t lease_ms);
primer_code_t verb_next(primer_subscription_t *s, int64_t wait_ms, primer_delivery_t **delivery);
primer_code_t verb_event(primer_events_t *events, int64_t wait_ms, primer_event_t **event);
primer_code_t verb_heard(primer_topic_t *topic, int64_t wait_ms, primer_broadcast_t **broadcast);
primer_code_t verb_changed(primer_watch_t *watch, int64_t wait_ms, primer_change_t **change);

#endif
