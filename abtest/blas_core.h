/* blas_core.h - makes OpenBLAS use the kernels of this processor. */
#ifndef ABTEST_BLAS_CORE_H
#define ABTEST_BLAS_CORE_H

/* Debian 12's OpenBLAS (0.3.21) does not know newer processors and falls back to its
 * oldest kernels, five times slower. The choice is made when the library loads, so this
 * holds OpenBLAS's answer against what the processor can do and, where it is wrong,
 * sets OPENBLAS_CORETYPE and executes the program again, once. Returns when there is
 * nothing to mend or it cannot be mended; the program is then merely slower. */
void blas_core_ensure(char **argv);

#endif
