/* Count the primes below LAST by trial division: of PI_SPEEDUP_COUNT parts the one with the number PI_SPEEDUP_INDEX. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBERS_OF_A_BLOCK = 10000 };

static uint32_t variable(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static int is_prime(uint32_t number)
{
    if (number < 2 || (number % 2 == 0 && number != 2))
        return 0;
    for (uint32_t divisor = 3; divisor <= number / divisor; divisor += 2)
        if (number % divisor == 0)
            return 0;
    return 1;
}

int main(void)
{
    uint32_t last = variable("LAST", 30000000);
    uint32_t index = variable("PI_SPEEDUP_INDEX", 0), count = variable("PI_SPEEDUP_COUNT", 1);
    unsigned long found = 0;

    /* Large numbers take longer, so every part has blocks from all over the range. Every third number would not do:
       one part in three would have all multiples of 3, and be done at once. */
    for (uint32_t block = index; block * NUMBERS_OF_A_BLOCK < last; block += count) {
        uint32_t begin = block * NUMBERS_OF_A_BLOCK, end = begin + NUMBERS_OF_A_BLOCK;
        for (uint32_t number = begin; number < end && number < last; number++)
            found += is_prime(number);
    }
    printf("part %u of %u, primes below %u: %lu\n", index, count, last, found);
    return 0;
}
