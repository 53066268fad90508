"""check_schema.py SCHEMA REPORT... - holds JSON reports to their schema; says where one breaks it.

The schema itself is checked first, and a report with a key too many or too few must fail,
so that a schema which lets everything pass is found out.
"""
import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
status = 0
for path in sys.argv[2:]:
    with open(path) as file:
        report = json.load(file)
    for error in validator.iter_errors(report):
        where = "/".join(str(part) for part in error.absolute_path)
        print(f"{path}: {where}: {error.message[:300]}", file=sys.stderr)
        status = 1
    wrong = dict(report, experiments="none")
    missing = {key: value for key, value in report.items() if key != "experiments"}
    if validator.is_valid(wrong) or validator.is_valid(missing):
        print(f"{path}: the schema lets a report without experiments pass", file=sys.stderr)
        status = 1
sys.exit(status)
