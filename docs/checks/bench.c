/* bench.c - make bench: what is measured on this machine, against bars this project sets itself.
 *
 *     ./bench                     every group of the table at the end
 *     ./bench product step ...    only those
 *
 * A line says what was measured, and for each bar the value, the bar, and ok or below.  Things that
 * are compared take turns and of each the best turn counts: other programs can only slow one down,
 * and the clock of a core drifts.  So the peak of which shares are given, multiply-adds that stay
 * in registers, is measured anew for every line.  Needs POSIX.
 */
#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE                /* there ru_maxrss is hidden otherwise */
static long met;                        /* how often threads were started, to meet at the end */
#define DN_TEAM(n) (met++, (n))
#include "../../deepnet.c"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(table) ((int)(sizeof(table)/sizeof *(table)))

static char err[DN_ERR_MAX];
static int one_thread = 1, threads;     /* threads: as many as OpenMP gives */

static void check(int good, const char *why)
{
    if (good) return;
    fprintf(stderr, "bench: %s\n", why);
    exit(1);
}

/* Seldom freed: every group is a process of its own. */
static void *get(size_t n)
{
    void *p = malloc(n);
    check(p != NULL, "out of memory");
    return p;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9*(double)t.tv_nsec;
}

/* f(what) as a process of its own, which hands back two numbers; 0 if it did not live to do so.
 * The parent never runs anything parallel: after that OpenMP would not work in a child. */
static int in_child(void (*f)(double out[2], const void *what), double out[2], const void *what)
{
    int end[2], size = (int)(2*sizeof *out), got = 0;
    check(!pipe(end), "no pipe");
    pid_t child = fork();
    if (child == 0) {
        f(out, what);
        _exit(write(end[1], out, (size_t)size) != size);
    }
    close(end[1]);
    if (child > 0) {
        got = read(end[0], out, (size_t)size) == size;
        waitpid(child, NULL, 0);
    }
    close(end[0]);
    return got;
}

/* ---- measuring and marking --------------------------------------------------------------- */

/* What to measure, the work of one call (operations, bytes, ...), and work a second at best. */
struct run { void (*call)(void *what); void *what; double work, rate; };

/* At least 3 turns of each, at most 20, none begun after `budget` seconds; a turn is as many calls
 * as take a millisecond. */
static void race(struct run *r, int n, double budget)
{
    double start = seconds();
    for (int turn = 0; turn < 3 || (turn < 20 && seconds() - start < budget); turn++)
        for (int i = 0; i < n; i++) {
            double t = 0;
            int times = 0;
            while (r[i].call && t < 1e-3) {
                times = 2*times + !times;
                t = seconds();
                for (int k = 0; k < times; k++) r[i].call(r[i].what);
                t = seconds() - t;
            }
            if (times && r[i].work*times/t > r[i].rate) r[i].rate = r[i].work*times/t;
        }
}

static const double ANY = 1e300;
static int bars, reached;

static void bar(double value, const char *unit, double low, double high)
{
    int ok = value >= low && value <= high;                 /* false for NaN */
    bars++;
    reached += ok;
    printf("  %.2f %s ", value, unit);
    if (high >= ANY)   printf(">= %.2f", low);
    else if (low <= 0) printf("<= %.2f", high);
    else               printf("in %.2f..%.2f", low, high);
    printf(" %s", ok ? "ok   " : "below");
}

enum { PEAK_ROWS = DN_MR > 6 ? DN_MR : 6, PEAK_TIMES = 100000 };
static volatile real half = (real)0.5;  /* what the compiler must neither know nor drop */

/* As many chains c = c/2 + b as the product's tile has accumulators, or 12. */
static void peak_thread(void)
{
    real a = half, lanes[DN_VL], total = 0;
    vec c[PEAK_ROWS][2];
    for (int l = 0; l < DN_VL; l++) lanes[l] = a;
    vec b = vload(lanes);
    for (int i = 0; i < PEAK_ROWS; i++) c[i][0] = c[i][1] = b;
    for (int k = 0; k < PEAK_TIMES; k++)
        DN_UNROLL
        for (int i = 0; i < PEAK_ROWS; i++) {
            c[i][0] = vfma(a, c[i][0], b);
            c[i][1] = vfma(a, c[i][1], b);
        }
    for (int i = 0; i < 2*PEAK_ROWS; i++) {
        memcpy(lanes, &c[i/2][i%2], sizeof lanes);
        total += lanes[0];
    }
    if (total < 0) half = total;
}

/* On *what threads. */
static void peak_call(void *what)
{
    int n = *(const int *)what;
    PARALLEL_FOR(n,
    for (int t = 0; t < n; t++)
        peak_thread();)
}

static struct run peak_of(int *n)
{
    struct run r = { peak_call, n, 4.0**n*(PEAK_ROWS*DN_VL*PEAK_TIMES), 0 };
    return r;
}

/* ---- product ----------------------------------------------------------------------------- */

/* The products of a linear map of I to O for T tokens. */
enum form { FORWARD, TO_INPUT, TO_WEIGHT, FORMS };
static const char *const form_names[] = { "X W^T", "dY W", "dY^T X" };
static const struct { int dim; double share; } widths[] = {
    { 32, 0.60 }, { 64, 0.75 }, { 128, 0.85 }, { 256, 0.85 }, { 512, 0.85 }, { 1024, 0.85 },
};
static const int token_counts[] = { 256, 512, 2048 }, factors[] = { 1, 4 };
/* tokens for all threads; what makes rows longer; the largest matrix */
enum { SHARED_FROM = 512, PAD = CACHE_LINE, REALS = 2048*(4096 + PAD) };

/* pad: how much longer the rows are than what is used of them. */
struct product { enum form form; int T, O, I, pad; struct team team; real *x, *y, *W, *out; };

static void product_call(void *what)
{
    const struct product *p = what;
    int T = p->T, O = p->O, I = p->I, ld_o = O + p->pad, ld_i = I + p->pad;
    struct mat x = plain(p->x, ld_i), y = plain(p->y, ld_o), W = plain(p->W, ld_i);
    struct mat y_t = turned(p->y, ld_o), W_t = turned(p->W, ld_i);
    switch (p->form) {
    case FORWARD:  matmul(&p->team, into(p->out, ld_o), NULL,   x,   W_t, T, O, I); break;
    case TO_INPUT: matmul(&p->team, into(p->out, ld_i), p->out, y,   W,   T, I, O); break;
    default:       matmul(&p->team, into(p->out, ld_i), p->out, y_t, x,   O, I, T);
    }
}

#ifdef WITH_BLAS                        /* the same by another library, on one thread */
#ifdef DN_DOUBLE
#define cblas_gemm cblas_dgemm
#else
#define cblas_gemm cblas_sgemm
#endif
void cblas_gemm(int order, int ta, int tb, int M, int N, int K, real alpha, const real *a, int lda,
                const real *b, int ldb, real beta, real *c, int ldc);

static void blas_call(void *what)
{
    enum { ROWS = 101, NO = 111, YES = 112 };   /* row-major; transposed or not */
    const struct product *p = what;
    int T = p->T, O = p->O, I = p->I;
    switch (p->form) {
    case FORWARD:  cblas_gemm(ROWS, NO, YES, T, O, I, 1, p->x, I, p->W, I, 0, p->out, O); break;
    case TO_INPUT: cblas_gemm(ROWS, NO, NO,  T, I, O, 1, p->y, O, p->W, I, 1, p->out, I); break;
    default:       cblas_gemm(ROWS, YES, NO, O, I, T, 1, p->y, O, p->x, I, 1, p->out, I);
    }
}
static void (*const blas)(void *) = blas_call;
#else
static void (*const blas)(void *) = NULL;
#endif

/* For one thread, and each matrix with room for n numbers, at first random. */
static struct product product_make(int T, int O, int I, uint32_t n)
{
    struct product p = { FORWARD, T, O, I, 0, { 1, 0, NULL, NULL }, NULL, NULL, NULL, NULL };
    real **matrix[] = { &p.x, &p.y, &p.W, &p.out };
    p.team.product = get((size_t)threads*matmul_work()*sizeof(real));
    for (uint64_t m = 0; m < 4; m++) {
        real *a = *matrix[m] = get(n*sizeof(real));
        for (uint32_t i = 0; i < n; i++) a[i] = rng_uniform(m, i) - half;
    }
    return p;
}

static void product_line(struct product *one, double share)
{
    struct product all = *one;
    double flops = 2.0*one->T*one->O*one->I;
    int shared = threads > 1 && one->T >= SHARED_FROM;
    struct run r[] = { peak_of(&one_thread), { product_call, one, flops, 0 },
                       { shared ? product_call : NULL, &all, flops, 0 }, { blas, one, flops, 0 } };
    all.team.threads = threads;
    race(r, COUNT(r), 0.3);
    printf("product   %-6s %4d x %4d x %4d %6.1f GFLOP/s", form_names[one->form], one->T, one->O,
           one->I, r[1].rate*1e-9);
    bar(r[1].rate/r[0].rate, "of peak", share, ANY);
    if (shared) printf("  %d threads %6.1f", threads, r[2].rate*1e-9);
    if (shared) bar(r[2].rate/r[1].rate, "x", 0.9*threads, ANY);
    if (blas) printf("  BLAS %6.1f", r[3].rate*1e-9);
    if (blas) bar(r[1].rate/r[3].rate, "of it", 0.95, ANY);
    puts("");
}

static void product(void)
{
    struct product p = product_make(0, 0, 0, REALS);
#if defined WITH_BLAS && defined _OPENMP
    omp_set_num_threads(1);                     /* for the other library; matmul is told */
#endif
    for (int t = 0; t < COUNT(token_counts); t++)
        for (int w = 0; w < COUNT(widths); w++)
            for (int k = 0; k < COUNT(factors); k++)
                for (int f = 0; f < FORMS; f++) {
                    p.form = (enum form)f;
                    p.T = token_counts[t];
                    p.O = factors[k]*widths[w].dim;
                    p.I = widths[w].dim;
                    product_line(&p, widths[w].share);
                }
}

/* Rows a power of two apart, which crowd into few sets of a cache, against rows a cache line longer
 * that spread over all. */
static void strides(void)
{
    struct product apart = product_make(512, 0, 0, REALS), crowd;
    for (apart.I = 256; apart.I <= 2048; apart.I *= 2)
        for (int f = 0; f < FORMS; f++) {
            apart.form = (enum form)f;
            apart.O = apart.I;
            crowd = apart;
            apart.pad = PAD;
            double flops = 2.0*apart.T*apart.O*apart.I;
            struct run r[] = { { product_call, &crowd, flops, 0 },
                               { product_call, &apart, flops, 0 } };
            race(r, COUNT(r), 0.5);
            printf("strides   %-6s %4d x %4d x %4d %6.1f GFLOP/s", form_names[f], apart.T, apart.O,
                   apart.I, r[0].rate*1e-9);
            bar(r[0].rate/r[1].rate, "of longer rows", 0.95, ANY);
            puts("");
            apart.pad = 0;
        }
}

/* ---- models ------------------------------------------------------------------------------ */

enum { LM_768, LM_256, LM_128, DEEP_100, DEEP_500, STEPS, BIG = STEPS, PROGRAM, KEPT };

/* layers and tokens of each stack, the tokens in sequences of `length`; the share of the peak that
 * a step must reach */
static const struct shape {
    int arch, layers, dim, heads, ffn, vocab, tokens, length;
    double share;
} shapes[] = {
    [LM_768]   = { DN_DECODER,  12,  768, 12, 3072, 50257,  256, 64, 0.65 },
    [LM_256]   = { DN_DECODER,   6,  256,  4, 1024,   259,  512, 64, 0.65 },
    [LM_128]   = { DN_DECODER,   4,  128,  2,  512,   259,  768, 64, 0.50 },
    [DEEP_100] = { DN_ENC_DEC, 100,   64,  2,  128,  2000,  256, 16, 0.35 },
    [DEEP_500] = { DN_ENC_DEC, 500,   64,  2,  128,  2000,  256, 16, 0.35 },
    [BIG]      = { DN_DECODER,  12, 1024, 16, 4096,   259,   64, 64, 0 },   /* fits no cache */
    [PROGRAM]  = { DN_ENC_DEC,  12,   64,  2,  128,  2000, 1024, 16, 0 },   /* as ./train has it */
    [KEPT]     = { DN_ENCODER,  12,  128,  4,  512,  2000, 2048, 64, 0 },
                 { DN_DECODER,  12,  256,  4, 1024,   259, 1024, 64, 0 },
                 { DN_ENC_DEC,   8,  128,  4,  512,  2000, 2048, 64, 0 },
};

struct model { const struct shape *s; size_t bytes; void *block; dn_model *m; dn_batch b; };

/* A model by n threads (0: all) and a batch of random ids, its inputs and its labels. */
static struct model model_make(const struct shape *s, enum dn_purpose purpose, int how, int n)
{
    int *id = get((size_t)s->tokens*sizeof *id), *len = get((size_t)s->tokens*sizeof *len);
    struct model k = { s, 0, NULL, NULL, { s->tokens/s->length, id, len, id, len, id } };
    dn_config c;
    dn_config_default(&c);
    c.arch = s->arch;
    c.enc_layers = c.dec_layers = s->layers;
    c.dim = s->dim;
    c.heads = s->heads;
    c.ffn = s->ffn;
    c.vocab = s->vocab;
    c.batch_tokens = s->tokens;
    c.clip = 1;
    c.memory = how;
    c.threads = n;
    for (int i = 0; i < s->tokens; i++) {
        uint32_t u = dn_random(1, 0, (uint32_t)i)%(uint32_t)(s->vocab - DN_SPECIALS);
        id[i] = DN_SPECIALS + (int)u;
        len[i] = s->length;
    }
    k.bytes = dn_model_bytes(&c, purpose, err);
    check(k.bytes > 0, err);
    k.block = get(k.bytes);
    k.m = dn_model_init(&c, purpose, k.block, k.bytes, err);
    check(k.m != NULL, err);
    return k;
}

static void step_call(void *what)
{
    const struct model *k = what;
    dn_stats s;
    check(!dn_train_step(k->m, &k->b, 1, &s, err), err);
}

/* Operations of a step.  A matrix of n numbers is in 3 products for each token, one forward and
 * two backward: 6 n.  Counted are the matrices of all sub-layers (both stacks have as many tokens,
 * so it does not matter whose) and V x D of the output; the embedding is a look-up.  Attention has
 * 2 products of tokens x keys x D forward and 4 backward: 12; half of that where it is causal.
 * What backward computes again, and whatever is no product, counts for nothing. */
static double step_flops(const struct model *k)
{
    double tokens = k->s->tokens, n = (double)k->s->vocab*k->s->dim, keys = 0;
    for (int i = 0; i < k->m->tensors; i++) {
        const struct tensor *t = &k->m->tensor[i];
        if (t->sub >= 0 && t->cols) n += (double)t->count;
    }
    for (int i = 0; i < k->m->subs; i++) {
        const struct sublayer *b = &k->m->sub[i];
        int causal = b->kind == SELF && b->stack == DEC;
        if (b->kind != FFN) keys += k->s->length*(causal ? 0.5 : 1);
    }
    return 6*tokens*n + 12*tokens*keys*k->s->dim;
}

static void head(const char *group, const struct shape *s)
{
    printf("%-9s %-15s %3d x %4d", group, architectures[s->arch].name, s->layers, s->dim);
}

/* ---- step, depth, memory ----------------------------------------------------------------- */

static void step(void)
{
    for (const struct shape *s = shapes; s < shapes + STEPS; s++) {
        struct model k = model_make(s, DN_TRAIN, DN_KEEP, 0);
        struct run r[] = { { step_call, &k, step_flops(&k), 0 }, peak_of(&threads) };
        race(r, COUNT(r), 3);
        head("step", s);
        met = 0;
        step_call(&k);
        printf(", vocab %5d, %3d tokens %7.1f ms %6.1f GFLOP/s, %d parts on %d desks, threads meet "
               "%ld times", s->vocab, s->tokens, r[0].work/r[0].rate*1e3, r[0].rate*1e-9,
               k.m->c.parts, k.m->desks, met);
        bar(r[0].rate/r[1].rate, "of peak", s->share, ANY);
        puts("");
        free(k.block);
    }
}

static void make_call(void *what)
{
    struct model k = model_make(*(const struct shape *const *)what, DN_TRAIN, DN_KEEP, 0);
    free(k.block);
}

static void depth(void)
{
    const struct shape *deep = &shapes[DEEP_500];
    struct model k[] = { model_make(&shapes[DEEP_100], DN_TRAIN, DN_KEEP, 0),
                         model_make(&shapes[DEEP_100], DN_TRAIN, DN_RECOMPUTE, 0),
                         model_make(deep, DN_TRAIN, DN_KEEP, 0) };
    struct run r[] = { { step_call, &k[0], 1, 0 }, { step_call, &k[1], 1, 0 },
                       { step_call, &k[2], 1, 0 } }, make = { make_call, &deep, 1, 0 };
    race(r, COUNT(r), 8);
    printf("depth     a step: 500 + 500 layers %.1f ms, 100 + 100 layers %.1f ms", 1e3/r[2].rate,
           1e3/r[0].rate);
    bar(r[0].rate/r[2].rate/5, "x 5 times that", 0, 1.1);
    puts("");
    printf("depth     100 + 100 layers, memory=recompute %.1f ms", 1e3/r[1].rate);
    bar(r[0].rate/r[1].rate, "x keep", 0, 1.35);
    puts("");
    race(&make, 1, 2);
    printf("depth     making the model of 500 + 500 layers");
    bar(1/make.rate, "s", 0, 2);
    puts("");
}

struct kept { const struct shape *s; int how; };

static double peak_memory(void)
{
    struct rusage use;
#ifdef __APPLE__
    const double unit = 1;
#else
    const double unit = 1024;
#endif
    return getrusage(RUSAGE_SELF, &use) ? 0 : unit*(double)use.ru_maxrss;
}

/* What the process grows by, and what dn_model_bytes said. */
static void memory_growth(double out[2], const void *what)
{
    const struct kept *a = what;
    double before = peak_memory();
    struct model k = model_make(a->s, DN_TRAIN, a->how, 0);
    step_call(&k);
    out[0] = peak_memory() - before;
    out[1] = (double)k.bytes;
}

static void memory(void)
{
    double out[2] = {0};
    for (int i = KEPT; i < COUNT(shapes); i++)
        for (int how = DN_KEEP; how <= DN_RECOMPUTE; how++) {
            struct kept a = { &shapes[i], how };
            check(in_child(memory_growth, out, &a), "a process was not finished");
            head("memory", a.s);
            printf(", %-9s: %.1f MB said, %.1f MB measured", memory_modes[how], out[1]*1e-6,
                   out[0]*1e-6);
            bar(out[0]/out[1], "x", 0.95, 1.05);
            puts("");
        }
}

/* ---- generate ---------------------------------------------------------------------------- */

enum { READ = 512 << 20, AT_ONCE = 8 };         /* bytes; vectors */

/* Thread t of all adds up its share of an array.  (sum_all, in double, would be slower than the
 * memory.) */
static void read_thread(const real *from, int t)
{
    long long units = READ/((int)sizeof(vec)*AT_ONCE);
    real lanes[DN_VL] = {0}, total = 0;
    vec sum[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) sum[i] = vload(lanes);
    for (long long u = units*t/threads; u < units*(t + 1)/threads; u++)
        DN_UNROLL
        for (int i = 0; i < AT_ONCE; i++)
            sum[i] = vfma(1, vload(from + (u*AT_ONCE + i)*DN_VL), sum[i]);
    for (int i = 0; i < AT_ONCE; i++) memcpy(lanes, &sum[i], sizeof lanes), total += lanes[0];
    if (total < 0) half = total;
}

static void read_call(void *what)
{
    PARALLEL_FOR(threads,
    for (int t = 0; t < threads; t++)
        read_thread(what, t);)
}

struct writing { const struct model *k; int n, beam, id, at; dn_generator *g; int *out; };

/* n texts at once, of each `beam` hypotheses */
static struct writing writing_make(const struct model *k, int n, int beam)
{
    size_t need = dn_generator_bytes(&k->m->c, n*beam, err);
    struct writing w = { k, n, beam, DN_BOS, 0, NULL, get((size_t)(n*k->m->c.ctx)*sizeof(int)) };
    w.g = dn_generator_init(k->m, n*beam, get(need), need, err);
    check(w.g != NULL, err);
    return w;
}

/* One more token, the likeliest; a new sequence when the context is full. */
static void token_call(void *what)
{
    static const dn_sampling greedy = { 0, 0, 1 };
    struct writing *w = what;
    const int one = 1;
    if (w->at == 0) check(!dn_generator_start(w->g, 1, NULL, NULL, err), err);
    const real *z = dn_generator_feed(w->g, &w->id, &one, err);
    check(z != NULL, err);
    w->id = dn_sample(z, w->k->s->vocab, &greedy, 0, NULL);
    w->at = (w->at + 1)%w->k->m->c.ctx;
}

enum { SENTENCES = 32, SOURCE = 11, LIMIT = 2*SOURCE + 10, BEAM = 4 };

static void translate_call(void *what)
{
    const struct writing *w = what;
    const dn_beam how = { .beam = w->beam, .length_penalty = 1 };
    int len[SENTENCES], out_len[SENTENCES];
    for (int i = 0; i < w->n; i++) len[i] = SOURCE;
    check(!dn_translate(w->g, w->n, w->k->b.enc, len, &how, w->out, out_len, err), err);
    for (int i = 0; i < w->n; i++) check(out_len[i] == LIMIT, "a translation was cut");
}

/* One sentence's hypotheses share every weight that is read for them, and the keys of its source;
 * of many sentences at once they share the keys only. */
static void translate_line(const struct model *k, int n, double most)
{
    struct writing greedy = writing_make(k, n, 1), beam = writing_make(k, n, BEAM);
    struct run r[] = { { translate_call, &greedy, n, 0 }, { translate_call, &beam, n, 0 } };
    race(r, COUNT(r), 3);
    head("generate", k->s);
    printf(", %2d sentence%s of %d tokens: greedy %.2f ms each, beam %d %.2f", n, n > 1 ? "s" : "",
           LIMIT, 1e3/r[0].rate, BEAM, 1e3/r[1].rate);
    bar(r[0].rate/r[1].rate, "x", 0, most);
    puts("");
}

/* A token reads every weight once, the embedding as the output's matrix.  Translations never end
 * before their limit: the output's row for the end is made 0, and a logit of 0 is not among the
 * best of 2000. */
static void generate(void)
{
    struct model big = model_make(&shapes[BIG], DN_INFER, DN_KEEP, 0);
    struct model small = model_make(&shapes[PROGRAM], DN_INFER, DN_KEEP, 0);
    struct writing text = writing_make(&big, 1, 1);
    double bytes = (double)dn_param_count(big.m)*sizeof(real);
    struct run r[] = { { token_call, &text, bytes, 0 }, { read_call, get(READ), READ, 0 } };
    memset(r[1].what, 0x3f, READ);      /* ordinary numbers in float and in double */
    memset(ROW(small.m->stack[DEC].param[OUTPUT], DN_EOS, small.s->dim), 0,
           (size_t)small.s->dim*sizeof(real));
    race(r, COUNT(r), 3);
    head("generate", big.s);
    printf(", a token at a time: %.1f tokens/s, %.1f of %.1f GB/s", r[0].rate/bytes,
           r[0].rate*1e-9, r[1].rate*1e-9);
    bar(r[0].rate/r[1].rate, "of reading", 0.7, ANY);
    puts("");
    translate_line(&small, 1, 1.5);
    translate_line(&small, SENTENCES, 3);
}

/* ---- tokenizer --------------------------------------------------------------------------- */

enum { TEXT = 2000000, LEXICON = 40000, MERGES = 8000, VOCAB = DN_MIN_VOCAB + MERGES };

struct coding { dn_tokenizer t; char *text, *back; void *mem, *scratch; int *id; size_t ids; };

/* A made-up language: word r with frequency about 1/r (r = LEXICON^u, u uniform), rarer ones with
 * more syllables, and a little punctuation.  text has room for n bytes and one more word. */
static void text_make(char *text, int n)
{
    for (uint32_t at = 0, word = 0; at < (uint32_t)n; word++) {
        acc u = (acc)dn_random(1, 0, word)/(acc)4294967296.0;
        uint32_t r = (uint32_t)exp_acc(u*log_acc(LEXICON)), mark = dn_random(1, 1, word)%16;
        uint32_t syllables = 1 + dn_random(2, r, 0)%2 + (uint32_t)((r > 30) + (r > 1000));
        for (uint32_t i = 0; i < syllables; i++) {
            text[at++] = "bcdfghklmnprstvw"[dn_random(3, r, i)%16];
            text[at++] = "aeiou"[dn_random(4, r, i)%5];
            if (dn_random(5, r, i)%3 == 0) text[at++] = "nrst"[dn_random(6, r, i)%4];
        }
        if (mark < 2) text[at++] = ",."[mark];
        text[at++] = mark == 1 ? '\n' : ' ';
    }
}

static void train_call(void *what)
{
    struct coding *c = what;
    check(!dn_tok_train(&c->t, VOCAB, c->text, TEXT, (dn_block){ c->mem, dn_tok_bytes(VOCAB) },
                        (dn_block){ c->scratch, dn_tok_train_bytes(VOCAB, TEXT) }, err), err);
}

static void encode_call(void *what)
{
    struct coding *c = what;
    c->ids = dn_tok_encode(&c->t, c->text, TEXT, c->id, TEXT);
}

static void decode_call(void *what)
{
    struct coding *c = what;
    check(dn_tok_decode(&c->t, c->id, c->ids, c->back, TEXT) == TEXT, "decoding lost bytes");
}

static void tokenizer(void)
{
    struct coding c = { {0}, get(TEXT + 64), get(TEXT), get(dn_tok_bytes(VOCAB)),
                        get(dn_tok_train_bytes(VOCAB, TEXT)), get(TEXT*sizeof(int)), 0 };
    struct run r[] = { { train_call, &c, 1, 0 }, { encode_call, &c, TEXT/1000000, 0 },
                       { decode_call, &c, TEXT/1000000, 0 } };
    text_make(c.text, TEXT);
    race(r, COUNT(r), 3);
    check(!memcmp(c.text, c.back, TEXT), "decoding changed bytes");
    printf("tokenizer learning %d merges from %d bytes", c.t.vocab - DN_MIN_VOCAB, TEXT);
    bar(1/r[0].rate, "s", 0, 2);
    puts("");
    printf("tokenizer encoding, %.2f bytes an id", (double)TEXT/(double)c.ids);
    bar(r[1].rate, "MB/s", 20, ANY);
    puts("");
    printf("tokenizer decoding  %.1f MB/s", r[2].rate);
    puts("");
}

/* ---- portable ---------------------------------------------------------------------------- */

/* One thread's share of the peak in this build, of a product and of a step. */
static void shares(double share[2])
{
    struct product p = product_make(512, 512, 512, 512*512);
    struct model k = model_make(&shapes[LM_128], DN_TRAIN, DN_KEEP, 1);
    struct run r[] = { peak_of(&one_thread), { product_call, &p, 2.0*512*512*512, 0 },
                       { step_call, &k, step_flops(&k), 0 } };
    race(r, COUNT(r), 2);
    for (int i = 0; i < 2; i++) share[i] = r[1 + i].rate/r[0].rate;
}

/* Makefile: SERIAL is what this program, built without OpenMP, prints when asked for "shares". */
static void portable(void)
{
    static const char *const names[] = { "product 512 x 512 x 512", "step of decoder 4 x 128" };
    const char *text = getenv("SERIAL");
    double here[2], serial[2];
    int known = text && sscanf(text, "%lf %lf", &serial[0], &serial[1]) == 2;
    shares(here);
    for (int i = 0; i < 2; i++) {
        printf("portable  %s, one thread: %.2f of peak", names[i], here[i]);
        if (known) printf(", without OpenMP %.2f", serial[i]);
        if (known) bar(here[i]/serial[i], "x", 0.95, ANY);
        puts("");
    }
}

/* ---- the groups -------------------------------------------------------------------------- */

static const struct group { const char *name, *what; void (*measure)(void); } groups[] = {
    { "product",   "the three products of a linear map",                              product   },
    { "strides",   "products of rows a power of two apart against longer rows",       strides   },
    { "step",      "training steps: forward, backward, clip, Adam",                   step      },
    { "depth",     "500 + 500 layers against 100 + 100; recompute against keep",      depth     },
    { "memory",    "what a process grows by against what dn_model_bytes says",        memory    },
    { "generate",  "a token at a time against reading memory; beam against greedy",   generate  },
    { "tokenizer", "learning, encoding, decoding",                                    tokenizer },
    { "portable",  "this build's shares of the peak; one OpenMP thread against none", portable  },
};

static void measure(double out[2], const void *what)
{
    ((const struct group *)what)->measure();
    out[0] = reached;
    out[1] = bars;
}

/* The groups asked for, bit by bit; 0 if one of the names is none. */
static unsigned asked_for(int argc, char **argv)
{
    unsigned asked = argc > 1 ? 0 : ~0u;
    for (int i = 1, g; i < argc; i++) {
        for (g = 0; g < COUNT(groups); g++) if (!strcmp(argv[i], groups[g].name)) break;
        if (g == COUNT(groups)) return 0;
        asked |= 1u << g;
    }
    return asked;
}

int main(int argc, char **argv)
{
    double out[2], sum[2] = {0}, start = seconds();
    unsigned asked = asked_for(argc, argv);
    threads = thread_max();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (argc == 2 && !strcmp(argv[1], "shares")) {
        shares(out);
        return printf("%.4f %.4f\n", out[0], out[1]) < 0;
    }
    for (int g = 0; g < COUNT(groups) && !asked; g++)
        fprintf(stderr, "%-9s %s\n", groups[g].name, groups[g].what);
    if (!asked) return 2;
    printf("build: %s, vectors of %d, %s multiply-add; %d thread%s\n",
           sizeof(real) == 8 ? "double" : "float", DN_VL, DN_FMA ? "fused" : "separate", threads,
           threads > 1 ? "s" : ": what compares threads is left out");
    for (int g = 0; g < COUNT(groups); g++) {
        if (!(asked >> g & 1)) continue;
        if (!in_child(measure, out, &groups[g])) printf("%-9s was not finished\n", groups[g].name);
        else sum[0] += out[0], sum[1] += out[1];
    }
    printf("%.0f of %.0f bars reached, %.0f s\n", sum[0], sum[1], seconds() - start);
    return 0;
}
