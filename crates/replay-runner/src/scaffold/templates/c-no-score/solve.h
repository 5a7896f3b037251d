#define BOUND 500000u

/* How many primes there are below `bound`. */
unsigned primes_below(unsigned bound);
