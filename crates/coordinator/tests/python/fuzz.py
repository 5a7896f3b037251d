"""Property-based fuzzing of every route, driven by the service's own document.

FUZZ_CASES says how many requests each group of routes gets; the full run is 2,000.
Prints one line a group; ends with status 1 if an answer is a server error, or one
that the document does not have.
"""

import os
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from random import Random

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from signing import Signed
from substrateinterface import Keypair

BASE, ADMIN = os.environ["COORDINATOR_URL"], os.environ["COORDINATOR_ADMIN_TOKEN"]
CASES = int(os.environ.get("FUZZ_CASES", "200"))
MINER = Signed(Keypair.create_from_seed("0x" + "01" * 32, ss58_format=42))
PEER = Signed(Keypair.create_from_seed("0x" + "02" * 32, ss58_format=42))
VALIDATOR = Signed(Keypair.create_from_seed("0x" + "c8" * 32, ss58_format=42))

load_all_checks()
CHECKED = CHECKS.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"])

# One request in so many has no credentials: it must be refused as documented.
UNSIGNED = 20
# Parameters that no route knows, for routes that have none of their own.
STRAY = strategies.dictionaries(strategies.text(max_size=12), strategies.text(max_size=12), max_size=3)


def known_ids():
    """What there is, by the name of the field that refers to it: or nearly every
    case would end where an id is looked up."""
    def of(path, **query):
        return [row["id"] for row in requests.get(f"{BASE}/api/v1/{path}", params={"limit": 100, **query}).json()]
    submissions = of("submissions")
    return {
        "task_id": of("tasks"), "claim_id": of("claims", status="active"), "job_id": of("verifications"),
        "submission_id": submissions, "base_submission_id": submissions, "implemented_submission_id": submissions,
        "id": of("tasks") + of("claims") + submissions + of("work-items"),
    }


def with_known(fields, ids, pick):
    """Puts ids that exist into three of four fields that want one."""
    return {name: pick.choice(ids[name]) if ids.get(name) and pick.random() < 0.75 else value
            for name, value in fields.items()}


def credentials(operation, pick):
    security = operation.definition.raw.get("security") or []
    if not security or pick.randrange(UNSIGNED) == 0:
        return {}
    if any("admin_token" in one for one in security):
        return {"headers": {"X-Admin-Token": ADMIN}}
    if "validator" in operation.path or "verify" in operation.path:
        return {"auth": VALIDATOR}
    return {"auth": pick.choice([MINER, PEER])}


class Run:
    """The cases of one group of routes."""

    def __init__(self, group):
        self.group, self.count, self.failures = group, 0, []
        self.pick, self.ids, self.session = Random(group), known_ids(), requests.Session()

    def fuzz(self, operation, mode, share):
        start, round_number = self.count, 0
        # A round ends early where the strategy has nothing new; a few bring the rest.
        while self.count - start < share and round_number < 8 and not self.failures:
            self.round(operation, mode, share - (self.count - start), round_number)
            round_number += 1

    def round(self, operation, mode, share, round_number):
        @seed(round_number)
        @settings(max_examples=share, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), stray=STRAY)
        def run(case, stray):
            self.send(operation, case, stray)

        try:
            run()
        except schemathesis.errors.Unsatisfiable:
            pass  # Nothing can be wrong with a request that has no parts.
        except Exception as error:
            found = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            self.failures += [f"{operation.label} ({mode.value}): {one}" for one in found]

    def send(self, operation, case, stray):
        ours = credentials(operation, self.pick)
        # Generated credentials would only ever be refused: ours replace them.
        case.headers = {name: value for name, value in (case.headers or {}).items() if not name.lower().startswith("x-")}
        case.headers.update(ours.pop("headers", {}))
        if case.path_parameters:
            case.path_parameters = with_known(case.path_parameters, self.ids, self.pick)
        if isinstance(case.body, dict):
            case.body = with_known(case.body, self.ids, self.pick)
        if not case.query and not case.path_parameters:
            case.query = stray
        response = case.call(session=self.session, timeout=30, **ours)
        self.count += 1
        case.validate_response(response, checks=CHECKED)


def modes(operation):
    raw = operation.definition.raw
    has_parts = raw.get("parameters") or raw.get("requestBody")
    return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if has_parts else [GenerationMode.POSITIVE]


def groups():
    schema = schemathesis.openapi.from_url(f"{BASE}/openapi.json")
    by_group = defaultdict(list)
    for result in schema.get_all_operations():
        operation = result.ok()
        by_group[operation.tags[0]].append(operation)
    return by_group


def fuzz_group(group):
    operations, run, began = groups()[group], Run(group), time.monotonic()
    parts = [(operation, mode) for operation in operations for mode in modes(operation)]
    for number, (operation, mode) in enumerate(parts):
        # What one could not use, the next ones get.
        run.fuzz(operation, mode, -(-(CASES - run.count) // (len(parts) - number)))
    return group, run.count, time.monotonic() - began, run.failures


def open_claims(count):
    task = requests.get(f"{BASE}/api/v1/tasks").json()[0]["id"]
    for number in range(count):
        answer = requests.post(f"{BASE}/api/v1/tasks/{task}/claim", auth=MINER, json={"claim_description": str(number)})
        assert answer.status_code == 201, answer.text


def main():
    open_claims(min(100, CASES))
    failures = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for group, count, seconds, found in pool.map(fuzz_group, sorted(groups())):
            print(f"{group}: {count} cases in {seconds:.0f} s", flush=True)
            failures += found
            if count < CASES and not found:
                failures.append(f"{group}: only {count} of {CASES} cases could be made")
    sys.exit("\n\n".join(failures) or 0)


if __name__ == "__main__":
    main()
