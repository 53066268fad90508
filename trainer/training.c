#include "trainer/training.h"

int training_check_effort(int n_epochs, int n_threads, struct error *error)
{
    if (n_epochs < 0 || n_threads < 1) {
        error_set(error, ERROR_INVALID, "%d epochs on %d threads", n_epochs, n_threads);
        return -1;
    }
    return 0;
}
