"""Finds the coefficients of a polynomial that is close to the sine, and writes them down.

This is the file to improve. README.md says how it is judged.
"""

import json
import os

coefficients = [0.0, 1.0]

os.makedirs("out", exist_ok=True)
with open("out/coefficients.json", "w", encoding="ascii") as file:
    json.dump(coefficients, file)
