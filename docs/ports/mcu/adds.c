/* adds.c - a 20-layer DeepNorm decoder learns to add, in 512 KiB of RAM, without heap or files.
 *
 * It reads sums of two digits as text, "7+5=12", and learns what follows the "=".  The RAM is
 * counted at compile time: one block (dn_model_init checks that it is enough), the arrays, and
 * start.c's stack.  SPDX-License-Identifier: MIT */
#include "mcu.h"

#ifndef STEPS
#define STEPS 2400
#endif
enum { SUMS = 100, ROWS = 4, CTX = 8, BLOCK = 416*1024, RAM = 512*1024 };

static struct {
    double block[BLOCK/8];
    int text[ROWS*CTX], label[ROWS*CTX], length[ROWS];
    dn_real logits[CTX*DN_MIN_VOCAB], work[DN_MIN_VOCAB];
} ram;

typedef char it_fits[sizeof ram + STACK + 1024 <= RAM ? 1 : -1];        /* 1 KiB: the rest */

/* The sum k, a + b with k = 10a + b, as a row of text; its labels begin at the "=".  Returns the
 * number of tokens. */
static int write_sum(int k, int *text, int *label)
{
    const int sum = k/10 + k%10;
    const char written[] = { (char)('0' + k/10), '+', (char)('0' + k%10), '=',
                             sum > 9 ? '1' : (char)('0' + sum), (char)('0' + sum%10) };
    const int n = sum > 9 ? 6 : 5;
    for (int i = 0; i <= n; i++) {
        text[i] = i > 0 ? DN_SPECIALS + written[i - 1] : DN_BOS;
        label[i] = i < 4 ? DN_IGNORE : i < n ? DN_SPECIALS + written[i] : DN_EOS;
    }
    return n + 1;
}

/* The four sums at i, i+1, .. in the order of a pass. */
static dn_batch four_sums(int i, uint64_t pass)
{
    const dn_batch b = { ROWS, NULL, NULL, ram.text, ram.length, ram.label };
    for (int row = 0, n = 0; row < ROWS; n += ram.length[row++])
        ram.length[row] = write_sum((int)dn_shuffle(1, pass, (uint32_t)(i + row), SUMS),
                                    ram.text + n, ram.label + n);
    return b;
}

/* Print what the model puts after "7+5=", digit by digit. */
static void answer(dn_model *m, int k, char *err)
{
    const dn_batch b = { 1, NULL, NULL, ram.text, ram.length, ram.label };
    const dn_sampling greedy = { 0, 0, 1 };
    write_sum(k, ram.text, ram.label);
    for (int n = 5; n < CTX && ram.text[n - 1] != DN_EOS; n++) {
        ram.length[0] = n;
        if (dn_logits(m, &b, ram.logits, err) != DN_OK) return;
        ram.text[n] = dn_sample(ram.logits + (n - 1)*DN_MIN_VOCAB, DN_MIN_VOCAB, &greedy, 0,
                                ram.work);
    }
    for (int n = 1; n < CTX && ram.text[n] != DN_EOS; n++) putchar(ram.text[n] - DN_SPECIALS);
    print("\n");
}

int main(void)
{
    char err[DN_ERR_MAX];
    dn_config c;
    dn_stats s;
    int right = 0, scored = 0;
    dn_config_default(&c);
    c.arch = DN_DECODER;  c.dec_layers = 20;  c.dim = 8;  c.heads = 2;  c.ffn = 16;  c.ctx = CTX;
    c.batch_tokens = ROWS*CTX;  c.memory = DN_RECOMPUTE;  c.threads = 1;  c.dropout = 0;
    c.lr = 5e-3;  c.warmup = 100;  c.steps = STEPS;  c.schedule = DN_COSINE;
    c.beta2 = 0.98;  c.clip = 1;
    const size_t need = dn_model_bytes(&c, DN_TRAIN, err);
    dn_model *m = need ? dn_model_init(&c, DN_TRAIN, ram.block, sizeof ram.block, err) : NULL;
    if (!m) return print(err), print("\n"), 1;
    for (int i = 0; i < STEPS; i++) {
        const dn_batch b = four_sums(i*ROWS%SUMS, (uint64_t)(i*ROWS/SUMS));
        if (dn_train_step(m, &b, 1, &s, err) != DN_OK) return print(err), print("\n"), 2;
        if (i%(STEPS/8) == STEPS/8 - 1) print_step((size_t)i + 1, s.nll);
    }
    for (int i = 0; i < SUMS; i += ROWS) {
        const dn_batch b = four_sums(i, 0);
        if (dn_evaluate(m, &b, &s, err) != DN_OK) return 3;
        right += s.correct, scored += s.tokens;
    }
    for (int k = 5; k < SUMS; k += 31) answer(m, k, err);
    print_number((size_t)right), print(" of "), print_number((size_t)scored);
    print(" tokens right\nbytes of RAM: "), print_number(sizeof ram - BLOCK + need);
    print(", stack "), print_number(stack_used()), print("\n");
    return 0;
}
