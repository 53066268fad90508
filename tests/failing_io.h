/* failing_io.h - makes writes and syncs of our own code fail on purpose.
 *
 * Every test is linked with --wrap for pwrite, fdatasync, ftruncate and fsync, so each
 * such call in abtest's sources passes through here. Works across threads.
 */
#ifndef TESTS_FAILING_IO_H
#define TESTS_FAILING_IO_H

enum failing_call {
    FAILING_PWRITE,
    FAILING_FDATASYNC,
    FAILING_FTRUNCATE,
    FAILING_FSYNC
};

#define N_FAILING_CALLS 4

/* From now on lets `n_pass` calls pass, then fails `n_fail` of them with
 * `error_number`, then lets all pass. For FAILING_PWRITE and error number 0 the calls
 * that "fail" write half of what they are given instead: short writes. A failing pwrite
 * first writes a part of its bytes, as a disk that fills up does. */
void failing_io_set(enum failing_call call, int n_pass, int n_fail, int error_number);

/* Back to normal; returns how many calls were made to fail. */
int failing_io_clear(void);

/* How often the call was made since failing_io_clear. */
int failing_io_count(enum failing_call call);

#endif
