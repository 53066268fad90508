#include "report/methods.h"

#include <string.h>

/* A method is found by how its name begins, as stats/ spells it. */
static const struct method methods[] = {
    {"two-proportion z-test, pooled",
     "Difference of two rates over its standard error if both arms had one common "
     "rate.",
     "NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3",
     "https://www.itl.nist.gov/div898/handbook/prc/section3/prc33.htm"},
    {"Newcombe",
     "Interval of a difference of rates out of the two arms' score intervals; keeps "
     "its "
     "coverage at small rates.",
     "R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10",
     "https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;"
     "2-I"},
    {"Wilson score",
     "Interval of one rate: all rates that a score test would not reject.",
     "E. B. Wilson, JASA 22 (1927) 209-212",
     "https://doi.org/10.1080/01621459.1927.10502953"},
    {"Katz log", "Interval of a ratio of rates, symmetric on the logarithmic scale.",
     "D. Katz et al., Biometrics 34 (1978) 469-474", "https://doi.org/10.2307/2530610"},
    {"Fieller", "Interval of a ratio of two estimates, exact when both are normal.",
     "E. C. Fieller, JRSS B 16 (1954) 175-185",
     "https://doi.org/10.1111/j.2517-6161.1954.tb00159.x"},
    {"Welch t-test of winsorised",
     "Welch's test after pulling the values beyond percentiles of all arms together to "
     "them; what is compared is no longer the plain mean.",
     "R. Kohavi, D. Tang, Y. Xu, Trustworthy Online Controlled Experiments (2020), 18",
     "https://doi.org/10.1017/9781108653985"},
    {"Yuen t-test",
     "Difference of trimmed means over its standard error, which is that of the "
     "winsorised values.",
     "K. K. Yuen, Biometrika 61 (1974) 165-170",
     "https://doi.org/10.1093/biomet/61.1.165"},
    {"BCa bootstrap",
     "Percentiles of the effect over resampled units, corrected for bias and for a "
     "standard error that changes with the value.",
     "B. Efron, JASA 82 (1987) 171-185",
     "https://doi.org/10.1080/01621459.1987.10478410"},
    {"TOST", "Shows that two arms differ by less than a margin, either way.",
     "D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) "
     "657-680",
     "https://doi.org/10.1007/BF01068419"},
    {"post-stratification",
     "Effects within groups known before, weighted by the groups' sizes.",
     "L. W. Miratrix, J. S. Sekhon, B. Yu, JRSS B 75 (2013) 369-396",
     "https://doi.org/10.1111/j.1467-9868.2012.01048.x"},
    {"difference of effects",
     "Effect in one group of units less that in another, over the root of the sum of "
     "their variances; between arms of two experiments, their interaction.",
     "W. G. Cochran, Biometrics 10 (1954) 101-129", "https://doi.org/10.2307/3001666"},
    {"Welch",
     "Difference of means over its standard error, variances not assumed equal.",
     "B. L. Welch, Biometrika 34 (1947) 28-35",
     "https://doi.org/10.1093/biomet/34.1-2.28"},
    {"delta method",
     "Variance of a ratio or quantile of per-unit sums, with units as clusters.",
     "A. Deng, U. Knoblich, J. Lu, KDD 2018, 233-242",
     "https://doi.org/10.1145/3219819.3219919"},
    {"chi-square test against",
     "Unit counts against the configured weights; a small p means broken assignment or "
     "logging.",
     "A. Fabijan et al., KDD 2019, 2156-2164",
     "https://doi.org/10.1145/3292500.3330722"},
    {"exact binomial test against",
     "Units of a day or a group of users against the configured weights.",
     "R. A. Fisher, Statistical Methods for Research Workers (1925), section 18",
     "https://psychclassics.yorku.ca/Fisher/Methods/"},
    {"always-valid sample ratio",
     "Sample-ratio test that may be looked at after every unit.",
     "M. Lindon, A. Malek, NeurIPS 2022", "https://arxiv.org/abs/2011.03567"},
    {"asymptotic confidence sequence",
     "Intervals that hold at all looks together, so that peeking is safe.",
     "I. Waudby-Smith et al., Annals of Statistics 52 (2024) 2613-2640",
     "https://doi.org/10.1214/24-AOS2408"},
    {"always-valid p",
     "Smallest error rate at which the confidence sequence leaves out no difference.",
     "I. Waudby-Smith et al., Annals of Statistics 52 (2024) 2613-2640",
     "https://doi.org/10.1214/24-AOS2408"},
    {"mSPRT", "p-value that stays valid however often it is looked at.",
     "R. Johari et al., Operations Research 70 (2022) 1806-1821",
     "https://doi.org/10.1287/opre.2021.2135"},
    {"Lan-DeMets", "Planned looks, each with its own bound, that together spend alpha.",
     "K. K. G. Lan, D. L. DeMets, Biometrika 70 (1983) 659-663",
     "https://doi.org/10.1093/biomet/70.3.659"},
    {"CUPED",
     "Effect after taking out what was known about a user before the experiment.",
     "A. Deng et al., WSDM 2013, 123-132", "https://doi.org/10.1145/2433396.2433413"},
    {"Holm", "Step-down correction for several comparisons.",
     "S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70",
     "https://www.jstor.org/stable/4615733"},
    {"Hochberg", "Step-up correction for several comparisons that are independent.",
     "Y. Hochberg, Biometrika 75 (1988) 800-802",
     "https://doi.org/10.1093/biomet/75.4.800"},
    {"Bonferroni", "Each p-value times the number of questions.",
     "O. J. Dunn, JASA 56 (1961) 52-64",
     "https://doi.org/10.1080/01621459.1961.10482090"},
    {"Benjamini-Yekutieli",
     "Controls the share of false alarms among the findings, however they depend on "
     "each other.",
     "Y. Benjamini, D. Yekutieli, Annals of Statistics 29 (2001) 1165-1188",
     "https://doi.org/10.1214/aos/1013699998"},
    {"delete-a-group jackknife",
     "Spread of a number over what it becomes without each group of units.",
     "B. Efron, C. Stein, Annals of Statistics 9 (1981) 586-596",
     "https://doi.org/10.1214/aos/1176345462"},
    {"Benjamini-Hochberg", "Controls the share of false alarms among the findings.",
     "Y. Benjamini, Y. Hochberg, JRSS B 57 (1995) 289-300",
     "https://doi.org/10.1111/j.2517-6161.1995.tb02031.x"},
    {"non-inferiority",
     "Shows that a guardrail worsened by less than a margin set beforehand.",
     "G. Piaggio et al., JAMA 308 (2012) 2594-2604",
     "https://doi.org/10.1001/jama.2012.87802"},
    {"beta-binomial", "Probability that a rate is higher, from uniform priors.",
     "E. Miller, Formulas for Bayesian A/B Testing",
     "https://www.evanmiller.org/bayesian-ab-testing.html"},
    {"CRC-32C", "Checksum at the end of every line of the log.",
     "RFC 3720, appendix B.4", "https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4"},
};

#define N_METHODS ((int)(sizeof methods / sizeof methods[0]))

const struct method *methods_all(int *n)
{
    *n = N_METHODS;
    return methods;
}

int methods_find(const char *name)
{
    for (int i = 0; i < N_METHODS; i++) {
        if (strncmp(name, methods[i].name, strlen(methods[i].name)) == 0) {
            return i;
        }
    }
    return -1;
}

static void mark(const char *name, bool *used)
{
    const int at = name ? methods_find(name) : -1;
    if (at >= 0) {
        used[at] = true;
    }
}

void methods_mark(const struct experiment_result *result, bool *used)
{
    for (int c = 0; c < result->n_checks; c++) {
        mark(result->checks[c].method, used);
    }
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct metric_result *metric = &result->metrics[m];
        for (int a = 0; a < result->spec->n_arms; a++) {
            mark(metric->arms[a].interval, used);
        }
        for (int a = 0; a + 1 < result->spec->n_arms; a++) {
            const struct contrast *contrast = &metric->contrasts[a];
            mark(contrast->fixed.test, used);
            mark(contrast->fixed.interval, used);
            mark(contrast->fixed.relative, used);
            mark(contrast->adjustment, used);
            mark(contrast->always.interval, used);
            mark(contrast->always.test, used);
            mark(contrast->mixture.method, used);
            mark(contrast->planned.method, used);
            mark(contrast->guard.method, used);
            mark(contrast->belief.method, used);
            mark(contrast->adjusted.test, used);
            mark(contrast->equivalence.method, used);
            for (int i = 0; i < contrast->n_adjustments; i++) {
                mark(contrast->adjustments[i].finding.test, used);
            }
        }
    }
    for (int m = 0; m < result->n_item_metrics; m++) {
        mark(result->item_metrics[m].findings[0].test, used);
        mark(result->item_metrics[m].adjustment, used);
    }
    for (int s = 0; s < result->n_segmentations; s++) {
        mark(result->segmentations[s].adjustment, used);
        mark("difference of effects", used);
    }
}
