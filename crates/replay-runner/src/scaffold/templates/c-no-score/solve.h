#define BOUND 1000000u

/* How many primes there are below `bound`. */
unsigned primes_below(unsigned bound);
