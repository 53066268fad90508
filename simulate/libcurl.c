#include "simulate/libcurl.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct libcurl libcurl;

static void *open_library(void)
{
    /* The names of Debian's flavours; what they offer is the same. */
    static const char *const names[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof names[0]; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    {"curl_global_init", offsetof(struct libcurl, global_init)},
    {"curl_easy_init", offsetof(struct libcurl, easy_init)},
    {"curl_easy_setopt", offsetof(struct libcurl, easy_setopt)},
    {"curl_easy_perform", offsetof(struct libcurl, easy_perform)},
    {"curl_easy_getinfo", offsetof(struct libcurl, easy_getinfo)},
    {"curl_easy_header", offsetof(struct libcurl, easy_header)},
    {"curl_easy_strerror", offsetof(struct libcurl, easy_strerror)},
    {"curl_easy_cleanup", offsetof(struct libcurl, easy_cleanup)},
    {"curl_slist_append", offsetof(struct libcurl, slist_append)},
    {"curl_slist_free_all", offsetof(struct libcurl, slist_free_all)},
};

static bool find_functions(void *library)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *const found = dlsym(library, functions[i].name);
        if (!found) {
            return false;
        }
        /* C has no cast from an object's address to a function's. */
        memcpy((char *)&libcurl + functions[i].offset, &found, sizeof found);
    }
    return true;
}

int libcurl_load(struct error *error)
{
    static bool is_loaded;
    if (is_loaded) {
        return 0;
    }
    void *library = open_library();
    if (!library || !find_functions(library)) {
        const char *reason = dlerror();
        error_set(error, ERROR_NOT_FOUND,
                  "cannot load libcurl: %s (apt-get install libcurl3-gnutls)",
                  reason ? reason : "it lacks a function");
        return -1;
    }
    const CURLcode code = libcurl.global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        error_set(error, ERROR_NOMEM, "cannot start libcurl: %s",
                  libcurl.easy_strerror(code));
        return -1;
    }
    is_loaded = true;
    return 0;
}
