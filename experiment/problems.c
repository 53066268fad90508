#include "experiment/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"

static char *format_text(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return text;
}

static bool make_room(struct problem_list *list)
{
    struct config_problems *problems = list->problems;
    if (problems->n < list->capacity) {
        return true;
    }
    /* The list may hold what an earlier parse left: its capacity is then unknown. */
    const int capacity = problems->n < 8 ? 16 : 2 * problems->n;
    struct config_problem *items =
        realloc(problems->items, (size_t)capacity * sizeof *items);
    if (!items) {
        return false;
    }
    problems->items = items;
    list->capacity = capacity;
    return true;
}

static void append(struct problem_list *list, int line, bool is_warning, char *message)
{
    if (!message || !make_room(list)) {
        free(message);
        list->no_memory = true;
        return;
    }
    struct config_problems *problems = list->problems;
    problems->items[problems->n++] = (struct config_problem){line, is_warning, message};
    problems->n_errors += is_warning ? 0 : 1;
}

void problems_add(struct problem_list *list, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(list, line, false, format_text(format, args));
    va_end(args);
}

void problems_warn(struct problem_list *list, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append(list, line, true, format_text(format, args));
    va_end(args);
}

/* Insertion sort: stable, and a config with many problems has dozens. */
void problems_sort(struct problem_list *list, int first)
{
    struct config_problem *items = list->problems->items;
    for (int i = first + 1; i < list->problems->n; i++) {
        const struct config_problem moving = items[i];
        int at = i;
        for (; at > first && items[at - 1].line > moving.line; at--) {
            items[at] = items[at - 1];
        }
        items[at] = moving;
    }
}

int problems_conclude(const struct problem_list *list, int first, const char *name,
                      struct error *error)
{
    const struct config_problem *worst = NULL;
    int n_errors = 0;
    if (list->no_memory) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", name);
        return -1;
    }
    for (int i = first; i < list->problems->n; i++) {
        const struct config_problem *problem = &list->problems->items[i];
        n_errors += !problem->is_warning;
        worst = worst || problem->is_warning ? worst : problem;
    }
    if (!worst) {
        return 0;
    }
    if (n_errors == 1) {
        error_set(error, ERROR_INVALID, "%s:%d: %s", name, worst->line, worst->message);
    } else {
        error_set(error, ERROR_INVALID, "%s:%d: %s; and %d more", name, worst->line,
                  worst->message, n_errors - 1);
    }
    return -1;
}

int config_problems_add(struct config_problems *problems,
                        const struct config_problem *problem, struct error *error)
{
    struct problem_list list = {.problems = problems};
    if (problem->is_warning) {
        problems_warn(&list, problem->line, "%s", problem->message);
    } else {
        problems_add(&list, problem->line, "%s", problem->message);
    }
    if (list.no_memory) {
        error_set(error, ERROR_NOMEM, "no memory for what is wrong with the config");
        return -1;
    }
    problems_sort(&list, 0);
    return 0;
}

void config_problems_free(struct config_problems *problems)
{
    for (int i = 0; i < problems->n; i++) {
        free(problems->items[i].message);
    }
    free(problems->items);
    *problems = (struct config_problems){0};
}
