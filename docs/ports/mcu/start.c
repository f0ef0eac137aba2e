/* start.c - all that is beneath the two programs on a bare Cortex-M7: no C library.
 *
 * The vector table, the seven functions that deepnet.c and tokenizer.c import, and putchar over
 * semihosting, which a debugger or an emulator answers.  Compile with
 * -fno-tree-loop-distribute-patterns, or gcc turns memset's loop into a call of memset.
 * SPDX-License-Identifier: MIT */
#include "mcu.h"

enum { PAINT = 0x5a5a5a5a };

static uint32_t stack[STACK/4] __attribute__((aligned(8)));
extern uint32_t __bss_start__[], __bss_end__[];

int main(void);

void *memset(void *to, int byte, size_t n)
{
    for (unsigned char *t = to; n > 0; n--) *t++ = (unsigned char)byte;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t < f) for (size_t i = 0; i < n; i++) t[i] = f[i];
    else while (n-- > 0) t[n] = f[n];
    return to;
}

void *memcpy(void *to, const void *from, size_t n) { return memmove(to, from, n); }

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    while (n > 0 && *x == *y) x++, y++, n--;
    return n > 0 ? *x - *y : 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n]) n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    while (n > 0 && *a && *a == *b) a++, b++, n--;
    return n > 0 ? (unsigned char)*a - (unsigned char)*b : 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

/* Operation 3 writes a character; 32 ends the program with a status. */
static void semihosting(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile ("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

int putchar(int c)
{
    const char byte = (char)c;
    semihosting(3, &byte);
    return c;
}

size_t stack_used(void)
{
    size_t unused = 0;
    while (stack[unused] == PAINT) unused++;
    return STACK - 4*unused;
}

static void reset(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20;          /* CPACR: the FPU on */
    __asm__ volatile ("dsb\n\tisb");
    for (uint32_t *p = __bss_start__; p < __bss_end__; p++)
        if (p < stack || p >= stack + STACK/4) *p = 0;
    for (uint32_t *p = stack; p < (uint32_t *)__builtin_frame_address(0) - 16; p++) *p = PAINT;
    uint32_t end[2] = { 0x20026 };                          /* ADP_Stopped_ApplicationExit */
    end[1] = (uint32_t)main();
    semihosting(32, end);
    for (;;) ;
}

__attribute__((section(".vectors"), used))
const struct { const void *stack; void (*reset)(void), (*fault[14])(void); } vectors = {
    stack + STACK/4, reset, { 0 }
};
