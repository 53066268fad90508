/* gorse.h - the two routes of Gorse that an application needs, so that its clients work
 * here unchanged: recommendations with the exposure logged, and feedback.
 *
 * Source: Gorse's RESTful API, 0.4: GET /api/recommend/{user}/{category}?n=&offset=
 * answers an array of item ids, POST and PUT /api/feedback take
 * {"FeedbackType","UserId","ItemId","Timestamp"} and answer {"RowAffected"}. There are
 * no categories here and no write-back. As in Gorse, the same type, user and item again
 * is the same feedback.
 */
#ifndef SERVE_GORSE_H
#define SERVE_GORSE_H

#include "serve/http.h"

void route_gorse_recommend(struct http_exchange *x);
void route_gorse_feedback(struct http_exchange *x);

#endif
