"""Random epochs with their roots and some proofs, by the rule of the contract.

Written from the rule's text with hashlib alone, without a look at the Rust code:

  leaf = blake2b256(0x00 || contract || epoch u64 || index u32 || hotkey || recipient || amount u64)
  node = blake2b256(0x01 || left || right)

numbers little-endian, the last node of an odd level moves up unchanged.

Arguments: how many epochs, and the seed. Writes, for each epoch, to standard output:
size u32, epoch u64, contract; per leaf hotkey, recipient, amount u64; the root; how many
proofs u32; per proof index u32, length u32, hashes.
"""

import hashlib
import random
import struct
import sys


def h(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def levels(hashes):
    rows = [hashes]
    while len(rows[-1]) > 1:
        row, above = rows[-1], []
        for i in range(0, len(row), 2):
            above.append(h(b"\x01" + row[i] + row[i + 1]) if i + 1 < len(row) else row[i])
        rows.append(above)
    return rows


def proof(rows, index):
    hashes = []
    for row in rows[:-1]:
        if index ^ 1 < len(row):
            hashes.append(row[index ^ 1])
        index //= 2
    return hashes


def size(rng):
    kind = rng.random()
    if kind < 0.60:
        return rng.randint(1, 33)
    if kind < 0.97:
        return rng.randint(1, 120)
    if kind < 0.99:
        return max(1, 2 ** rng.randint(1, 12) + rng.choice((-1, 0, 1)))
    return rng.randint(1, 5000)


def main(count, seed):
    rng, out = random.Random(seed), sys.stdout.buffer
    for _ in range(count):
        n, epoch, contract = size(rng), rng.getrandbits(64), rng.randbytes(32)
        few = [rng.randbytes(32) for _ in range(3)]
        twins = rng.random() < 0.2
        out.write(struct.pack("<IQ", n, epoch) + contract)
        hashes = []
        for index in range(n):
            # Twins: the same hotkeys, recipients and amounts again and again.
            key, to = (rng.choice(few), few[0]) if twins else (rng.randbytes(32), rng.randbytes(32))
            amount = 7 if twins else rng.getrandbits(64)
            rest = key + to + struct.pack("<Q", amount)
            out.write(rest)
            hashes.append(h(b"\x00" + contract + struct.pack("<QI", epoch, index) + rest))
        rows = levels(hashes)
        out.write(rows[-1][0])
        chosen = sorted({0, n - 1, n // 2, rng.randrange(n)})
        out.write(struct.pack("<I", len(chosen)))
        for index in chosen:
            hashes = proof(rows, index)
            out.write(struct.pack("<II", index, len(hashes)) + b"".join(hashes))


main(int(sys.argv[1]), int(sys.argv[2]))
