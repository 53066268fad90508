/* kernel.h - what the inner loops of the trainer tell the compiler. Private to
 * trainer/.
 */
#ifndef TRAINER_KERNEL_H
#define TRAINER_KERNEL_H

#define INLINE static inline __attribute__((always_inline))

/* Otherwise gcc reads a vector again for each row of a tile, as an operand of the
 * multiplication, and the loads become the limit instead of the arithmetic. */
#if defined(__x86_64__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define KEEP_IN_REGISTER(v) (void)(v)
#endif

#endif
