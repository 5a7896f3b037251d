"""Writes merkle_vectors.json: leaves, roots and proofs of the claim contract's rule, by Python's hashlib alone.

    leaf = blake2b256(00 || contract || epoch u64 LE || index u32 LE || hotkey || recipient || amount u64 LE)
    node = blake2b256(01 || left || right); the last node of a level of odd length goes up unchanged

Run it where it lies; the file it writes must not change unless the rule does.
"""

import hashlib
import json
from pathlib import Path

SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 33]


def blake2b256(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def account(label: str) -> bytes:
    """An account that nobody has: the hash of a label."""
    return hashlib.sha256(label.encode()).digest()


def leaf_hash(contract: bytes, epoch: int, leaf: dict) -> bytes:
    return blake2b256(
        b"\x00"
        + contract
        + epoch.to_bytes(8, "little")
        + leaf["index"].to_bytes(4, "little")
        + leaf["hotkey"]
        + leaf["recipient_coldkey"]
        + leaf["amount"].to_bytes(8, "little")
    )


def levels(leaves: list[bytes]) -> list[list[bytes]]:
    all_levels = [leaves]
    while len(all_levels[-1]) > 1:
        below = all_levels[-1]
        above = [blake2b256(b"\x01" + below[i] + below[i + 1]) for i in range(0, len(below) - 1, 2)]
        if len(below) % 2:
            above.append(below[-1])
        all_levels.append(above)
    return all_levels


def proof(all_levels: list[list[bytes]], index: int) -> list[bytes]:
    siblings = []
    for level in all_levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            siblings.append(level[sibling])
        index //= 2
    return siblings


def amount(size: int, index: int) -> int:
    """Small, large and extreme ones; every third leaf repeats the amount before it."""
    if index == size - 1:
        return 2**64 - 1
    return (10**9 + 7) * (index - index % 3 + 1) * size


def tree(number: int, size: int) -> dict:
    contract = account(f"contract {number % 3}")
    epoch = [0, 1, 2**32, 2**64 - 1][number % 4] if number else 0
    leaves = [
        {
            "index": index,
            # Two leaves may have the same hotkey or the same recipient.
            "hotkey": account(f"hotkey {index - index % 5 if index % 5 == 1 else index}"),
            "recipient_coldkey": account(f"recipient {index // 2}"),
            "amount": amount(size, index),
        }
        for index in range(size)
    ]
    all_levels = levels([leaf_hash(contract, epoch, leaf) for leaf in leaves])
    return {
        "contract": "0x" + contract.hex(),
        "epoch": epoch,
        "num_of_leaves": size,
        "root": "0x" + all_levels[-1][0].hex(),
        "leaves": [
            {
                "index": leaf["index"],
                "hotkey": "0x" + leaf["hotkey"].hex(),
                "recipient_coldkey": "0x" + leaf["recipient_coldkey"].hex(),
                "amount": leaf["amount"],
                "leaf": "0x" + all_levels[0][leaf["index"]].hex(),
                "proof": ["0x" + sibling.hex() for sibling in proof(all_levels, leaf["index"])],
            }
            for leaf in leaves
        ],
    }


if __name__ == "__main__":
    vectors = {
        "rule": [line.strip() for line in __doc__.split("\n\n")[1].splitlines()],
        "trees": [tree(number, size) for number, size in enumerate(SIZES)],
    }
    target = Path(__file__).with_name("merkle_vectors.json")
    target.write_text(json.dumps(vectors, indent=1) + "\n")
