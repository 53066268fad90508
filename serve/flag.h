/* flag.h - an experiment as a feature flag: what OpenFeature and GrowthBook SDKs see.
 *
 * Its key is the experiment's name, its variants are the arms, and the value of an arm
 * is an object of the [serving] keys that any arm of the experiment sets, so that all
 * variants have the same members. Who takes no part gets what [serving] says.
 */
#ifndef SERVE_FLAG_H
#define SERVE_FLAG_H

#include "serve/server.h"

/* Appends the value of an arm, or with ARM_NONE that of who takes no part. */
void flag_append_value(struct buffer *out, const struct config *config,
                       const struct experiment *experiment, int arm);

/* A quoted ETag of `body`: its hash. */
#define FLAG_ETAG_SIZE (HASH_TEXT_LEN + 3)
void flag_etag(struct slice body, char etag[FLAG_ETAG_SIZE]);

/* Answers `body` as JSON with its ETag, or 304 where If-None-Match has it. */
void flag_answer(struct http_exchange *x, struct slice body);

#endif
