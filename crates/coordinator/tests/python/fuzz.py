"""Property-based fuzzing of every route, driven by the service's own document.

FUZZ_CASES says how many cases each group of routes gets (2,000 for the full run).
"""

import os
from collections import Counter
from random import Random

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from signing import Signed
from substrateinterface import Keypair

BASE, ADMIN = os.environ["COORDINATOR_URL"], os.environ["COORDINATOR_ADMIN_TOKEN"]
CASES = int(os.environ.get("FUZZ_CASES", "60"))
MINER = Signed(Keypair.create_from_seed("0x" + "01" * 32, ss58_format=42))
VALIDATOR = Signed(Keypair.create_from_seed("0x" + "c8" * 32, ss58_format=42))
CHECKED = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]

load_all_checks()
schema = schemathesis.openapi.from_url(f"{BASE}/openapi.json")
document = requests.get(f"{BASE}/openapi.json").json()
GROUPS = Counter(operation["tags"][0] for item in document["paths"].values() for operation in item.values() if "tags" in operation)


def known_ids():
    """Things that are there, so that not every path ends in a 404."""
    ids = []
    for path in ["tasks", "claims", "submissions", "verifications", "work-items"]:
        ids += [row["id"] for row in requests.get(f"{BASE}/api/v1/{path}", params={"limit": 5}).json()]
    return ids


IDS = known_ids()
PICK = Random(1)


def credentials(operation):
    security = operation.definition.raw.get("security") or []
    if any("admin_token" in one for one in security):
        return {"headers": {"X-Admin-Token": ADMIN}}
    if security:
        return {"auth": VALIDATOR if "validator" in operation.path or "verify" in operation.path else MINER}
    return {}


def test_every_route():
    seen, failures = Counter(), []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]:
            failures += fuzz(operation, mode, seen)
    for group, count in sorted(seen.items()):
        print(f"{group}: {count} cases")
    assert not failures, "\n\n".join(failures)


def fuzz(operation, mode, seen):
    group = operation.tags[0] if operation.tags else "other"
    share = max(1, CASES // (2 * GROUPS[group]) + 1)

    @settings(max_examples=share, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode))
    def run(case):
        given_by_us = credentials(operation)
        # Generated credentials would only ever be refused: ours replace them.
        case.headers = {name: value for name, value in (case.headers or {}).items() if not name.lower().startswith("x-")}
        case.headers.update(given_by_us.pop("headers", {}))
        if case.path_parameters and IDS and PICK.random() < 0.7:
            case.path_parameters = {name: PICK.choice(IDS) for name in case.path_parameters}
        response = case.call(timeout=30, **given_by_us)
        seen[group] += 1
        case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))

    try:
        run()
    except Unsatisfiable:
        pass  # Nothing can be wrong with a request that has no parts.
    except BaseExceptionGroup as error:
        return [f"{operation.label}: {one}" for one in error.exceptions]
    except Exception as error:
        return [f"{operation.label} ({mode.value}): {error}"]
    return []
