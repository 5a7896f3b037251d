"""Prints how many primes there are below 60000. This is the file to improve."""

BOUND = 60_000


def is_prime(number):
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


print(sum(is_prime(number) for number in range(2, BOUND)))
