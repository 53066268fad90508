/* training.h - how a training run tells its progress, epoch by epoch. */
#ifndef TRAINER_TRAINING_H
#define TRAINER_TRAINING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"

/* After one epoch. Quality is RMSE for models of ratings, AUC for models of ranking. */
struct epoch_report {
    int epoch;            /* from 1 */
    int n_epochs;         /* at most */
    double loss;          /* what training minimises (ALS) or its mean per sample */
    double train_quality; /* NAN when not measured */
    double test_quality;  /* NAN without held-out data */
    double seconds;       /* of training alone, without measuring the quality */
    int64_t n_samples;    /* ratings or samples worked through in those seconds */
    const struct factors *factors; /* as of now; NULL when quality is not measured */
};

/* ERROR_INVALID unless there are 0 or more epochs on 1 or more threads. */
int training_check_effort(int n_epochs, int n_threads, struct error *error);

/* `epoch` may be NULL. It runs in the thread that called the trainer, between epochs;
 * returning false ends the training with what has been learned so far. */
struct training_observer {
    bool (*epoch)(void *context, const struct epoch_report *report);
    void *context;
    bool skips_quality; /* loss (ALS) and quality are NAN: measuring takes time too */
    bool measures_last; /* likewise, but not in the last of all epochs */
};

static inline bool training_is_measured(const struct training_observer *observer,
                                        int epoch, int n_epochs)
{
    return !observer->skips_quality && (!observer->measures_last || epoch == n_epochs);
}

#endif
