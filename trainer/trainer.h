/* trainer.h - learns who likes what: ratings in, a model file out.
 *
 * Reads ratings into index maps and CSR both ways, splits them, trains ALS and BPR,
 * evaluates, and saves models that serve/ maps into memory and scores. Sees only
 * common/.
 */
#ifndef TRAINER_TRAINER_H
#define TRAINER_TRAINER_H

#include "trainer/als.h"           /* IWYU pragma: export */
#include "trainer/bpr.h"           /* IWYU pragma: export */
#include "trainer/draws.h"         /* IWYU pragma: export */
#include "trainer/evaluate.h"      /* IWYU pragma: export */
#include "trainer/factors.h"       /* IWYU pragma: export */
#include "trainer/fold_in.h"       /* IWYU pragma: export */
#include "trainer/gibbs.h"         /* IWYU pragma: export */
#include "trainer/ials.h"          /* IWYU pragma: export */
#include "trainer/item_features.h" /* IWYU pragma: export */
#include "trainer/model.h"         /* IWYU pragma: export */
#include "trainer/neighbors.h"     /* IWYU pragma: export */
#include "trainer/pca.h"           /* IWYU pragma: export */
#include "trainer/power_law.h"     /* IWYU pragma: export */
#include "trainer/profile.h"       /* IWYU pragma: export */
#include "trainer/ranking.h"       /* IWYU pragma: export */
#include "trainer/rated.h"         /* IWYU pragma: export */
#include "trainer/rating_reader.h" /* IWYU pragma: export */
#include "trainer/ratings.h"       /* IWYU pragma: export */
#include "trainer/split.h"         /* IWYU pragma: export */
#include "trainer/synth.h"         /* IWYU pragma: export */
#include "trainer/titles.h"        /* IWYU pragma: export */
#include "trainer/training.h"      /* IWYU pragma: export */
#include "trainer/tsne.h"          /* IWYU pragma: export */

#endif
