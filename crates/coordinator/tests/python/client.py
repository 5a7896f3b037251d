"""A miner and a validator on the field's own Python libraries, end to end."""

import os

import requests
from signing import Signed

BASE, ADMIN = os.environ["COORDINATOR_URL"], os.environ["COORDINATOR_ADMIN_TOKEN"]
MINER_SEED, VALIDATOR_SEED = "0x" + "01" * 32, "0x" + "c8" * 32
PATCH = "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-x\n+{}\n"


def libraries():
    from substrateinterface import Keypair
    yield "substrate-interface", lambda seed: Keypair.create_from_seed(seed, ss58_format=42)
    try:
        from bittensor_wallet import Keypair as Wallet
        yield "bittensor-wallet", lambda seed: Wallet.create_from_seed(seed)
    except ImportError as error:
        print(f"skipped bittensor-wallet: {error}")


def expect(status, answer):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def loop(name, keypair):
    miner, validator = Signed(keypair(MINER_SEED)), Signed(keypair(VALIDATOR_SEED))
    task = expect(201, requests.post(f"{BASE}/api/v1/tasks", headers={"X-Admin-Token": ADMIN}, json={
        "slug": f"python-{name}", "title": "Caf\u00e9 \U0001F600", "repository": "https://example.org/x.git",
        "base_ref": "1" * 40, "benchmark_command": "true", "allowed_patch_paths": ["src"], "metric_name": "score",
        "metric_direction": "maximize", "competition_mode": "standard", "time_budget_seconds": 10}))
    claim = expect(201, requests.post(f"{BASE}/api/v1/tasks/{task['id']}/claim", auth=miner,
                                      json={"claim_description": "schnell, \u00fc\U0001F600\u2028"}))
    submission = expect(201, requests.post(f"{BASE}/api/v1/submissions", auth=miner, json={
        "claim_id": claim["id"], "base_ref": "main", "patch": PATCH.format(name), "summary": "\u00e9",
        "claimed_metrics": {"score": 1e-05, "big": 2 ** 70, "e16": 1e16, "tiny": 5e-324, "zero": -0.0}}))
    jobs = expect(200, requests.post(f"{BASE}/api/v1/validator/submissions/scan", auth=validator))["jobs"]
    job = next(job for job in jobs if job["submission_id"] == submission["id"])
    result = {"submission_id": submission["id"], "status": "accepted", "observed_metrics": {"score": 0.1}, "notes": "", "replay_log": ""}
    url = f"{BASE}/api/v1/validator/jobs/{job['job_id']}/result"
    first = expect(200, requests.post(url, auth=validator, json=result))
    assert expect(200, requests.post(url, auth=validator, json=result)) == first
    rows = expect(200, requests.get(f"{BASE}/api/v1/verifications", params={"submission_id": submission["id"]}))
    assert job["job_id"] in [row["id"] for row in rows]
    assert expect(200, requests.get(f"{BASE}/api/v1/submissions/{submission['id']}"))["status"] == "accepted"
    print(f"{name}: claimed, submitted, replayed, accepted")


for one in libraries():
    loop(*one)
