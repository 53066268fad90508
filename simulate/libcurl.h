/* libcurl.h - libcurl, loaded when simulated users first need it.
 *
 * With the thirty libraries behind it, it took 8 ms of every start of the program,
 * while only `abtest simulate --url` speaks HTTP to somebody.
 */
#ifndef SIMULATE_LIBCURL_H
#define SIMULATE_LIBCURL_H

#include <curl/curl.h>

#include "common/error.h"

/* Each as curl_<name> of curl/curl.h. */
struct libcurl {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_header) easy_header;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
};

/* Valid once libcurl_load returned 0. */
extern struct libcurl libcurl;

/* Loads and starts it, once; in a moment when no other thread runs. Fails with
 * ERROR_NOT_FOUND (the message says what to install) or ERROR_NOMEM. */
MUST_CHECK int libcurl_load(struct error *error);

#endif
