"""BT-AUTH-V1 as the network's clients sign it, for `requests`."""

import hashlib
import json
import time
from urllib.parse import urlsplit

import requests


class Signed(requests.auth.AuthBase):
    """Signs whatever is sent, with a key pair of the field's own library."""

    def __init__(self, keypair):
        self.keypair = keypair

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        try:
            canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=True) if body else ""
        except ValueError:
            canonical = ""
        url = urlsplit(request.url)
        timestamp = str(int(time.time()))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        message = "\n".join(["BT-AUTH-V1", request.method.upper(), url.path, url.query, timestamp, digest])
        request.headers["X-Hotkey"] = self.keypair.ss58_address
        request.headers["X-Timestamp"] = timestamp
        request.headers["X-Signature"] = self.keypair.sign(message.encode()).hex().removeprefix("0x")
        return request
