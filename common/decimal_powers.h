/* decimal_powers.h - powers of ten in 128 bits; for decimal.c alone. */
#ifndef COMMON_DECIMAL_POWERS_H
#define COMMON_DECIMAL_POWERS_H

#include <stdint.h>

#define DECIMAL_POWER_MIN (-292)
#define DECIMAL_POWER_MAX 324

extern const uint64_t decimal_powers[DECIMAL_POWER_MAX - DECIMAL_POWER_MIN + 1][2];

#endif
