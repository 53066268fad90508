/* report.h - an analysis as people and programs read it. Sees common/ and stats/. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#endif
