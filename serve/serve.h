/* serve.h - the HTTP server: scores, assigns, logs, answers. Sees trainer/, experiment/
 * and logs/.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#endif
