/* config_value.h - reading the values of a config strictly: what a value may be is
 * written here and nowhere else, and what is not exactly that is refused.
 *
 * Private to experiment/. Numbers are decimal: `nan`, `inf`, `0x10`, `1e999`, "1,5" and
 * "10 users" are refused. Every function returns whether `text` was good and leaves the
 * output as it was when not.
 */
#ifndef EXPERIMENT_CONFIG_VALUE_H
#define EXPERIMENT_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#define NAME_MAX_LEN 64 /* bytes of a model's, metric's, experiment's or arm's name */

bool value_number(const char *text, double *value); /* finite, decimal */
bool value_int(const char *text, int64_t *value);   /* digits with an optional minus */
bool value_bool(const char *text, bool *value);     /* yes | no */

/* Bytes: digits followed by B, KiB, MiB or GiB. */
bool value_size(const char *text, int64_t *bytes);

/* Microseconds: digits followed by ms, s, m, h or d. */
bool value_duration(const char *text, int64_t *us);

/* HOST:PORT, the port 0..65535; a host in brackets is an IPv6 address. `host` is
 * allocated and has no brackets. False with *no_memory when memory ran out. */
bool value_address(const char *text, char **host, int *port, bool *no_memory);

/* Letters, digits, '.', '_' and '-', at most NAME_MAX_LEN, not beginning with '-'. */
bool value_is_name(const char *text);

#endif
