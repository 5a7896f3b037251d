"""Judges answer.txt: exit status 0 means that the count is right."""

with open("answer.txt", encoding="ascii", errors="replace") as file:
    answer = file.read(64).strip()
if answer != "6057":
    raise SystemExit("wrong count")
print("the count is right")
