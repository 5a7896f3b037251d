/* Counts the primes below a bound. This is the file to improve. */
#include "solve.h"

unsigned primes_below(unsigned bound)
{
    unsigned count = 0;
    for (unsigned number = 2; number < bound; number++) {
        unsigned divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0)
            divisor++;
        count += divisor * divisor > number;
    }
    return count;
}
