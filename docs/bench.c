/* bench.c - make bench: how fast the product and a training step are on this machine.
 *
 * The peak is measured by a loop of fused multiply-adds that stay in registers; every line gives
 * GFLOP/s and the share of that peak.  The best of several runs is printed: other programs can
 * only slow one down.
 */
#define _POSIX_C_SOURCE 199309L
#include "../deepnet.c"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9*(double)t.tv_nsec;
}

static void *get(size_t n)
{
    void *p = malloc(n);
    if (!p) fprintf(stderr, "out of memory\n"), exit(1);
    memset(p, 0, n);
    return p;
}

static volatile real sink = 1;          /* what the compiler must neither know nor drop */

/* Chains of vector multiply-adds, enough to hide the latency of one another, all in registers. */
static double peak(void)
{
    enum { CHAINS = 16, TIMES = 200000 };
    double best = 0;
    for (int run = 0; run < 20; run++) {
        real numbers[DN_VL];
        for (int l = 0; l < DN_VL; l++) numbers[l] = sink;
        vec b = vload(numbers), c[CHAINS];
        for (int i = 0; i < CHAINS; i++) c[i] = b;
        double t = seconds();
        for (int k = 0; k < TIMES; k++)
            DN_UNROLL
            for (int i = 0; i < CHAINS; i++) c[i] = vfma((real)k, b, c[i]);
        double rate = 2.0*CHAINS*DN_VL*TIMES/(seconds() - t)*1e-9;
        for (int i = 0; i < CHAINS; i++) memcpy(numbers, &c[i], sizeof numbers), sink = numbers[0];
        if (rate > best) best = rate;
    }
    return best;
}

static double product(int T, int O, int I, int which, int threads)
{
    real *x = get((size_t)T*(size_t)I*sizeof(real)), *W = get((size_t)O*(size_t)I*sizeof(real));
    real *y = get((size_t)T*(size_t)O*sizeof(real));
    real *work = get((size_t)threads*MATMUL_WORK*sizeof(real));
    double flops = 2.0*T*O*I, best = 0;
    int times = (int)(2e8/flops) + 1;
    for (int run = 0; run < 10; run++) {
        double t = seconds();
        for (int i = 0; i < times; i++)
            switch (which) {
            case 0: matmul(y, O, NULL, plain(x, I), turned(W, I), T, O, I, work, threads); break;
            case 1: matmul(x, I, x, plain(y, O), plain(W, I), T, I, O, work, threads); break;
            default: matmul(W, I, W, turned(y, O), plain(x, I), O, I, T, work, threads);
            }
        double rate = flops*times/(seconds() - t)*1e-9;
        if (rate > best) best = rate;
    }
    free(x); free(W); free(y); free(work);
    return best;
}

/* Counted as 6 parameters x tokens of matrices that meet each token. */
static void step(const char *arch, int layers, int dim, int vocab, int tokens, double top)
{
    char err[DN_ERR_MAX];
    dn_config c;
    dn_config_default(&c);
    dn_config_set(&c, "arch", arch, err);
    c.enc_layers = c.dec_layers = layers;
    c.dim = dim;
    c.heads = dim >= 64 ? dim/64 : 1;
    c.vocab = vocab;
    c.ctx = 64;
    c.batch_tokens = tokens;
    size_t need = dn_model_bytes(&c, DN_TRAIN, err);
    void *block = get(need ? need : 1);
    dn_model *m = dn_model_init(&c, DN_TRAIN, block, need, err);
    if (!m) { printf("%s\n", err); return; }
    int rows = tokens/64, *id = get((size_t)tokens*sizeof *id);
    int *len = get((size_t)rows*sizeof *len);
    for (int i = 0; i < tokens; i++) id[i] = i%vocab;
    for (int r = 0; r < rows; r++) len[r] = 64;
    dn_batch b = { rows, id, len, id, len, id };
    dn_stats s;
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        double t = seconds();
        if (dn_train_step(m, &b, 1, &s, err)) { printf("%s\n", err); return; }
        t = seconds() - t;
        if (t < best) best = t;
    }
    double rate = 6.0*(double)dn_param_count(m)*tokens/best*1e-9;
    printf("step  %-16s %3d layers, dim %4d, vocab %5d, %4d tokens: %8.1f ms  %6.1f GFLOP/s"
           " %5.2f\n", arch, layers, dim, vocab, tokens, best*1e3, rate, rate/top);
    free(block); free(id); free(len);
}

int main(void)
{
    static const char *const names[] = { "X W^T", "dY W", "dY^T X" };
    int threads = thread_max();
    double one = peak();
    printf("peak of one core, measured: %.1f GFLOP/s; %d threads\n", one, threads);
    for (int dim = 32; dim <= 1024; dim *= 2)
        for (int ffn = 1; ffn <= 4; ffn *= 4)
            for (int which = 0; which < 3; which++) {
                double r1 = product(512, ffn*dim, dim, which, 1);
                double rn = product(512, ffn*dim, dim, which, threads);
                printf("product %-7s 512 x %4d x %4d: %6.1f GFLOP/s %5.2f of peak;"
                       " %d threads %6.1f, %.2f x\n", names[which], ffn*dim, dim, r1, r1/one,
                       threads, rn, rn/r1);
            }
    step("decoder", 4, 128, 259, 768, one*threads);
    step("decoder", 6, 256, 259, 512, one*threads);
    step("encoder-decoder", 12, 64, 2000, 1024, one*threads);
    step("encoder-decoder", 100, 64, 2000, 256, one*threads);
    return 0;
}
