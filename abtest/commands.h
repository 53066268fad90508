/* commands.h - the commands of the program: one line each, and the functions behind
 * them.
 *
 * Every command is `int cmd_x(int argc, char **argv)` in abtest/cmd_x.c with argv[0]
 * its own name; it returns an exit status.
 */
#ifndef ABTEST_COMMANDS_H
#define ABTEST_COMMANDS_H

/* COMMAND(name, "what it does"), in the order of a user's day. */
/* One command a line, so that two people can add one without a conflict. */
/* clang-format off */
#define ABTEST_COMMANDS(COMMAND) \
    COMMAND(check, "every mistake in a config, with line numbers") \
    COMMAND(assign, "the arm of one user, or of each line of standard input") \
    COMMAND(replay, "compute every logged arm and list again, name the first that differs") \
    COMMAND(logs, "print, verify, compress and ship a log directory") \
    COMMAND(analyze, "the significance report of a log directory") \
    COMMAND(power, "sample size, power, smallest detectable effect, days needed") \
    COMMAND(stat, "every statistic as a calculator: JSON problems in, answers out") \
    COMMAND(version, "print the version and the libraries it runs on") \
    COMMAND(synth, "write a MovieLens-shaped set of ratings with planted structure") \
    COMMAND(profile, "what a file of ratings holds, with pictures") \
    COMMAND(simulate, "send simulated users to a server, with a planted truth") \
    COMMAND(history, "loss and quality over the epochs of training runs") \
    COMMAND(inspect, "what a model file holds, its biases in a picture") \
    COMMAND(evaluate, "measure a model on ratings that it has not seen") \
    COMMAND(recommend, "what a user liked beside what a model predicts") \
    COMMAND(fold_in, "add users and items to a model without training it again") \
    COMMAND(embed, "the items of a model on a plane, by t-SNE or PCA") \
    COMMAND(split, "hold out part of a ratings file for testing") \
    COMMAND(train, "learn a model from ratings: als, bpr or ials") \
    COMMAND(serve, "serve recommendations, assign users to arms, log what happens") \
/* end of commands */
/* clang-format on */

#define ABTEST_DECLARE(name, summary) int cmd_##name(int argc, char **argv);
ABTEST_COMMANDS(ABTEST_DECLARE)
#undef ABTEST_DECLARE

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_DO_NOT_TRUST = 3, /* sample ratio mismatch, damaged log */
    EXIT_GATE = 4,         /* a guardrail was breached, or roll back, under --gate */
};

#endif
