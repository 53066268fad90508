/* state.h - what is being served: a config with its models, seen items and titles.
 *
 * A state is immutable and counted by reference; a reload makes another one and hands
 * it to the server (server.h), which lets go of the old one when no request uses it.
 */
#ifndef SERVE_STATE_H
#define SERVE_STATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "experiment/experiment.h"
#include "serve/topk.h"
#include "trainer/trainer.h"

/* Who has rated what, in a model's item indices. */
struct seen_items {
    const int64_t *start; /* (n_users + 1); users as in serve_state.rated */
    const int32_t *item;  /* ascending within a user; may end in items that the model
                             does not know */
    int64_t *own_start;   /* NULL where start and item are the ratings' own */
    int32_t *own_item;
};

struct serve_model {
    const char *name; /* as in the config */
    struct model *model;
    struct topk *topk;
    char *label;             /* "als:1c2d...", as the log names it */
    struct fold_in *fold_in; /* NULL: the model's settings do not say how it learned */
    char *folded_label;  /* "als:1c2d...:folded": the user's vector was solved for */
    char *popular_label; /* "als:1c2d...:popular": the list was the popular items */
    int32_t *popular;    /* (n_items) by item_count, the most first; ties by index */
    /* Answers in pieces: of item i, pieces[2 i] is `{"item":"ID","score":` and
     * pieces[2 i + 1] `,"title":"TITLE"}` or `}`. */
    struct buffer text;
    uint32_t *pieces;       /* (2 n_items + 1) where they begin in `text` */
    struct seen_items seen; /* all NULL when the config names no ratings */
};

struct serve_state {
    atomic_int n_references;
    struct config *config;      /* owned */
    int64_t loaded_us;          /* wall time */
    struct serve_model *models; /* (config->n_models) */
    struct rated *rated;        /* NULL when the config names no ratings */
    /* what an operator should know though it loaded; code 0: none */
    struct error notice;
    struct titles *titles; /* NULL when the config names none */
};

/* Loads the models, ratings and titles that `config` names, and takes `config` over
 * when it succeeds. Returns a state with one reference. */
MUST_CHECK int serve_state_load(struct config *config, struct serve_state **state,
                                struct error *error);

struct serve_state *serve_state_ref(struct serve_state *state);
void serve_state_unref(struct serve_state *state); /* NULL is allowed */

/* The items of a model that a user has rated, ascending; *n is 0 for an unknown one. */
const int32_t *serve_state_seen(const struct serve_state *state, int model,
                                struct slice user, int32_t *n);

#endif
