/* recommend.h - what a unit gets: arms, a list, and the exposure in the log.
 *
 * The three steps are public because several routes take them (ours, Gorse's): allot,
 * list, log. Their results live in this thread's scratch memory until the route
 * returns.
 */
#ifndef SERVE_RECOMMEND_H
#define SERVE_RECOMMEND_H

#include "serve/attributes.h"
#include "serve/server.h"

#define MAX_USER_LEN 256 /* bytes of a user's id */

struct allotment {
    const struct assignment *all;         /* (n_experiments) */
    struct event_assignment *assignments; /* of those where it takes part */
    int n_assignments;
    const struct attribute_value *attributes; /* what the audiences saw; may be NULL */
    struct serving serving;                   /* [serving] with the arms' overrides */
};

struct list {
    const struct serve_model *model;
    const char *fallback; /* NULL, or the model does not know the user: "folded" (the
                             vector was solved from feedback), "popular" */
    const char *label;    /* of model and fallback, as the log says it */
    int n;
    int offset; /* items above these that are left out: a later page */
    const int32_t *items;
    const double *scores; /* of the model; of "popular", the ratings in training */
    const double *propensities; /* NULL unless sampled: serve/explore.h */
    char id[EVENT_ID_SIZE];     /* the exposure's, which also seeds the sampling */
};

/* Takes a user id from a request: 1..MAX_USER_LEN bytes of UTF-8. Answers 400 and
 * returns -1 when it is not. `name` is what the id is called in the message. */
MUST_CHECK int check_user(struct http_exchange *x, const char *name, struct slice user);

/* Each of these answers 503 and returns -1 when memory runs out. */
MUST_CHECK int allot(struct http_exchange *x, struct slice user,
                     const struct attribute_value *attributes,
                     struct allotment *allotment);
MUST_CHECK int list_items(struct http_exchange *x, struct slice user,
                          const struct serving *serving, struct list *list);
MUST_CHECK int log_exposure(struct http_exchange *x, struct slice user,
                            const struct allotment *allotment, const struct list *list);

void route_recommend(struct http_exchange *x);
void route_assignments(struct http_exchange *x);

#endif
