/* mcu.h - what the two programs have beneath them: start.c on the device, a C library elsewhere. */
#include "../../../deepnet.h"

enum { STACK = 16384 };

int putchar(int c);
size_t stack_used(void);                 /* 0 elsewhere */

static inline void print(const char *s) { while (*s) putchar(*s++); }

static inline void print_number(size_t n)
{
    if (n > 9) print_number(n/10);
    putchar((int)('0' + n%10));
}

static inline void print_step(size_t step, double loss)
{
    const size_t thousandths = (size_t)(1000*loss + 0.5);
    print("step "), print_number(step), print(", loss "), print_number(thousandths/1000);
    putchar('.');
    for (size_t p = 100; p > 0; p /= 10) putchar((int)('0' + thousandths/p%10));
    putchar('\n');
}
