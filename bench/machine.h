/* machine.h - what a benchmark of the trainer needs to know about its machine. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

struct limits {
    double flops;     /* single precision, fused multiply-adds as two */
    double bandwidth; /* bytes/s, reading */
    double gather;    /* bytes/s, random rows of 128 bytes from 20 MB */
};

/* Takes about five seconds. */
struct limits measure_limits(int n_threads);

/* Seconds that the processor worked for us, all threads together: on a shared machine
 * the wall clock times the neighbours. Waiting threads sleep (OMP_WAIT_POLICY), so that
 * this counts no waiting. */
double now(void);

/* Prints `what` and ends the program. */
__attribute__((noreturn)) void die(const char *what);

/* `memory`, or the end when it is NULL. */
void *need(void *memory);

#endif
