/* config_edit.h - changes one value in the text of a config and leaves the rest,
 * comments and order included, as its author wrote it.
 */
#ifndef EXPERIMENT_CONFIG_EDIT_H
#define EXPERIMENT_CONFIG_EDIT_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"

/* Appends `text` to *out with `key = value` in section [kind name]: in the place of the
 * old value, or below the section's header when the key is absent. `text` must be a
 * config that config_parse takes; parse the result too, for the value is not looked at.
 * Fails with ERROR_NOT_FOUND (no such section), ERROR_INVALID (the value holds a line
 * break or a ";") or ERROR_NOMEM. */
MUST_CHECK int config_edit(struct slice text, const char *kind, struct slice name,
                           const char *key, const char *value, struct buffer *out,
                           struct error *error);

#endif
