#include "logs/event.h"

const char *event_type_name(enum event_type type)
{
    switch (type) {
    case EVENT_CONFIG:
        return "config";
    case EVENT_EXPOSURE:
        return "exposure";
    case EVENT_FEEDBACK:
        return "feedback";
    }
    return "unknown";
}
