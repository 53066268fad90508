"""cupac.py - the data of tests/e2e_cupac.sh, and the same numbers computed apart.

Deng, Xu, Kohavi, Walker, "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data" (WSDM 2013): theta is the within-arm covariance over the within-arm variance,
both arms together; the adjusted value of a unit is y - theta (x - mean x).
"""
import json
import math
import random
import statistics
import sys


def affinities(path):
    """Mean predicted score over all items, by user."""
    return {
        answer["user"]: statistics.fmean(one["score"] for one in answer["predicted"])
        for answer in map(json.loads, open(path))
    }


def ratings():
    rng = random.Random(3)
    print("userId,movieId,rating")
    for user in range(1, 121):
        taste = rng.gauss(0, 0.8)
        for item in range(1, 31):
            if rng.random() < 0.4:
                rating = 3 + taste + rng.gauss(0, 0.4)
                print(f"{user},{item},{min(5, max(1, round(rating * 2) / 2))}")


def events(scores):
    rng = random.Random(4)
    with open("feedback.json", "w") as file:
        json.dump(
            [
                {"user": user, "event": "minutes", "id": f"f{user}", "value": round(10 * x + rng.gauss(0, 4), 3)}
                for user, x in affinities(scores).items()
            ],
            file,
        )


def centred(rows):
    x_mean, y_mean = statistics.fmean(x for x, _ in rows), statistics.fmean(y for _, y in rows)
    return x_mean, y_mean, [(x - x_mean, y - y_mean) for x, y in rows]


def check(scores, log, report):
    x_of, arm_of, y_of = affinities(scores), {}, {}
    for event in map(json.loads, open(log)):
        if event["type"] == "exposure":
            arm_of[event["user"]] = event["assignments"]["bias"][0]
        elif event["type"] == "feedback":
            y_of[event["user"]] = event["value"]
    rows = {arm: [(x_of[u], y_of[u]) for u, a in arm_of.items() if a == arm] for arm in ("control", "treatment")}
    (cx, cy, c), (tx, ty, t) = centred(rows["control"]), centred(rows["treatment"])
    theta = sum(x * y for x, y in c + t) / sum(x * x for x, _ in c + t)

    def variance(deviations, slope):
        n = len(deviations)
        return sum((y - slope * x) ** 2 for x, y in deviations) / (n - 1) / n

    raw, adjusted = variance(c, 0) + variance(t, 0), variance(c, theta) + variance(t, theta)
    expected = {
        "effect_size": ty - cy - theta * (tx - cx),
        "standard_error": math.sqrt(adjusted),
        "variance_reduction": 1 - adjusted / raw,
    }
    contrast = json.load(open(report))["experiments"][0]["metrics"][0]["contrasts"][0]
    got = dict(contrast["adjusted"], variance_reduction=contrast["variance_reduction"])
    for name, value in expected.items():
        # Scores are floats, and are summed in another order here.
        if not math.isclose(got[name], value, rel_tol=1e-4, abs_tol=1e-4):
            sys.exit(f"{name}: {got[name]} in the report, {value} computed apart")
    if len(arm_of) != 120 or not 0.2 < expected["variance_reduction"] < 0.99:
        sys.exit(f"{len(arm_of)} users, variance reduction {expected['variance_reduction']}: proves nothing")
    print(f"variance reduction {expected['variance_reduction']:.4f}, as computed apart")


{"ratings": ratings, "events": events, "check": check}[sys.argv[1]](*sys.argv[2:])
