/* fuzz_stat.c - any line as a problem of `abtest stat`: no crash, and the answer is one
 * line of JSON without NaN. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/stat_problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LINE 4096 /* longer ones are only slower */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buffer line;
    char text[MAX_LINE + 1];
    if (size > MAX_LINE) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (strstr(text, "bootstrap") && strstr(text, "replicates")) {
        return 0; /* a million replicates are allowed, and take their time */
    }
    buffer_clear(&line);
    const int rc = stat_answer_line(text, size, &line);
    json_error_t error;
    json_t *answer = json_loadb(line.data, line.len, JSON_ALLOW_NUL, &error);
    if (!answer || line.data[line.len - 1] != '\n' ||
        (rc != 0) != (json_object_get(answer, "error") != NULL)) {
        abort();
    }
    json_decref(answer);
    return 0;
}
