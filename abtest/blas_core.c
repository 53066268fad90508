#include "abtest/blas_core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not in every version of cblas.h. */
char *openblas_get_corename(void);

#if defined(__x86_64__)

static const char *best_core(void)
{
    if (__builtin_cpu_supports("avx512bf16")) {
        return "SAPPHIRERAPIDS";
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
        return "SKYLAKEX";
    }
    return __builtin_cpu_supports("avx2") ? "HASWELL" : NULL;
}

void blas_core_ensure(char **argv)
{
    static const char *const before_avx2[] = {"Prescott",   "Core2",   "Penryn",
                                              "Dunnington", "Nehalem", "Generic"};
    const char *best = best_core();
    if (getenv("OPENBLAS_CORETYPE") || !best) {
        return;
    }
    const char *chosen = openblas_get_corename();
    for (size_t i = 0; i < sizeof before_avx2 / sizeof before_avx2[0]; i++) {
        if (strcmp(chosen, before_avx2[i]) == 0 &&
            setenv("OPENBLAS_CORETYPE", best, 1) == 0) {
            execv("/proc/self/exe", argv);
            return;
        }
    }
}

#else

void blas_core_ensure(char **argv)
{
    (void)argv;
}

#endif
