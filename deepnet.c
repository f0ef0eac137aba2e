/* deepnet.c - DeepNet in plain C: Transformers with DeepNorm, to 1,000 layers
 * SPDX-License-Identifier: MIT
 *
 * The paper is "DeepNet: Scaling Transformers to 1,000 Layers", arXiv 2203.00555v1.  Its whole
 * contribution is one line, applied to the input x of every sub-layer G:
 *
 *     [eq:deepnorm]      x'  =  LN( alpha x + G(x) )
 *
 * with two constants that depend on nothing but architecture and depth: alpha multiplies the skip
 * connection, always; beta scales V, O, W1 and W2 of every layer once, when they are drawn.
 * Everything below exists so that this line can be trained, measured and compared.
 *
 * The letters, here and in every comment:
 *
 *     N, M     layers of the encoder, of the decoder; a layer is 2 or 3 sub-layers
 *     x, y     input and output of a sub-layer            G     what it computes on its branch
 *     T, S     tokens of the stream worked on, and of the stream attended to
 *     D, F     width of the stream, of the feed-forward   H     heads, each of width E = D/H
 *     V        vocabulary                                 alpha, beta    the paper's constants
 *     n, g, r  in(x), br(G) and a x + b g of [eq:residual], section 5: y = out(r)
 *     dz       gradient of the loss with respect to z     d     a gradient, from dy to dx in place
 *     m, c     a model, its configuration                 s     a stack: ENC or DEC
 *
 * A place that needs a letter for something else says so; i, j, k, l and r count.  (1), (2), ...
 * at the ends of lines are the steps of a forward function; its backward function takes the same
 * numbers in descending order.  A key such as [eq:deepnorm] leads to docs/paper.md and to the
 * rows of test.c with that key and, where it has a derivative of its own, to
 * docs/derivations.md; [dev:...] marks a choice that the paper leaves open.
 *
 * The map.  Three tables hold what varies; a dozen operations, each with its derivative right
 * below it, hold the mathematics; the rest is short plumbing.
 *
 *      1  real numbers          float, fused multiply-add, threads
 *      2  errors                declared: a status and a sentence
 *      3  the arena             one block, measured and carved by the same code
 *      4  the engine room       declared: functions, random numbers, the product
 *      5  TABLES 1 and 2        residual schemes; architectures with their alpha and beta
 *      6  operations            linear, norm, activation, dropout, attention, embedding, loss
 *      7  the residual equation [eq:residual], the mix of DLCL, and their derivatives
 *      8  TABLE 3               parameters; what is saved for the backward pass; initialization
 *      9  sub-layers and stacks forward, then backward
 *     10  optimizer             Adam, schedules
 *     11  training              one step: loss, gradient, clipping, update
 *
 * Here the paper ends; behind it
 *
 *     12  memory                who lies where in the block
 *     13  batches, passes       what is checked; evaluation; divergence; masked tokens
 *     14  generation            cache, sampling, beam search
 *     15  sentences, options    what err says; every option once
 *     16  checkpoints           safetensors
 *     17  functions, random     exp, log, erf, tanh, sin, cos; bits from counters
 *     18  matrix product        the one kernel
 *     19  later methods         their laws for a, b and gain
 *
 * The rules:
 *
 *   1. Activations are written with =, parameter gradients are accumulated with +=, but where
 *      nothing was there (struct linear: fresh).
 *   2. Arguments: outputs, what is saved for backward, inputs, parameters, sizes.
 *   3. Row-major, last dimension contiguous; a weight is (outputs, inputs); x has a row per token.
 *      Sequences lie one behind the other, so no padding exists and none is computed.
 *   4. Means, variances, softmax sums, losses and norms are summed in acc (double).
 *   5. The same bits for any compiler, optimization level, vector width, number of threads,
 *      byte order: every sum has one stated order, every function is our own, a multiply-add
 *      is fused only in fmadd(), threads split only independent outputs.
 *   6. No allocation, no output, no exit, no global variable: see deepnet.h.
 */
#include "deepnet.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- 1 real numbers ---------------------------------------------------------------------- */

/* a b + c is fused in fmadd(), if at all, and nowhere else, whatever the compiler was told. */
#if defined __clang__ || !defined __GNUC__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize "-ffp-contract=off"
#endif

typedef dn_real real;
#if DBL_MANT_DIG != 53
#error "double must be that of IEEE 754: configurations and checkpoints are read in it"
#endif
#ifndef DN_ACC
#define DN_ACC double         /* -DDN_ACC=float for a target where doubles are slow */
#elif defined DN_DOUBLE
#error "DN_ACC is for builds in float: here sums would be narrower than what they sum"
#endif
typedef DN_ACC acc;

#if defined __FAST_MATH__ || defined __ASSOCIATIVE_MATH__ || \
    (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__)
#error "fast-math changes results and hides NaN: compile without it"
#endif
#if defined FLT_EVAL_METHOD && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16  /* half floats */
#error "results would depend on excess precision: compile so that FLT_EVAL_METHOD is 0"
#endif

/* a b + c, rounded once or twice: two classes of builds, DN_FMA of deepnet.h, each with its own
 * bits, which are the same everywhere. */
static inline real fmadd(real a, real b, real c)
{
#if DN_FMA && defined DN_DOUBLE
    return fma(a, b, c);
#elif DN_FMA
    return fmaf(a, b, c);
#else
    return a*b + c;
#endif
}

#ifdef DN_DOUBLE
#define REAL_MAX DBL_MAX
static inline real sqrt_real(real x) { return sqrt(x); }
#else
#define REAL_MAX FLT_MAX
static inline real sqrt_real(real x) { return sqrtf(x); }
#endif

static inline acc sqrt_acc(acc x) { return (acc)sqrt((double)x); }

static inline int is_finite(acc x) { return x - x == 0; }

/* Threads: PARALLEL_FOR(n, loop) shares out a canonical loop whose iterations write other places,
 * PARALLEL_JOBS(n, loop) one whose iterations take different times, in ascending order.  For n = 1
 * the loop stands by itself: OpenMP takes 0.3 us for a region of one thread, 0.5 inside another: a
 * tenth of the time of a narrow model. */
#ifdef _OPENMP
#ifndef DN_TEAM
#define DN_TEAM(n) (n)        /* a hook for those who count how often threads start and meet */
#endif
#define DN_PRAGMA(x) _Pragma(#x)
#define PARALLEL(n, how, ...) {                                                                    \
        int team_of = (n);                                                                         \
        if (team_of > 1) {                                                                         \
            DN_PRAGMA(omp parallel for num_threads(DN_TEAM(team_of)) schedule(how))                \
            __VA_ARGS__                                                                            \
        } else {                                                                                   \
            __VA_ARGS__                                                                            \
        } }
#define PARALLEL_FOR(n, ...)  PARALLEL(n, static, __VA_ARGS__)
#define PARALLEL_JOBS(n, ...) PARALLEL(n, monotonic: dynamic, __VA_ARGS__)
static int thread_of(int n) { return n > 1 ? omp_get_thread_num() : 0; }      /* in a loop of n */
static int thread_max(void) { return omp_get_max_threads(); }
#else
#define PARALLEL_FOR(n, ...)  { (void)(n); __VA_ARGS__ }
#define PARALLEL_JOBS(n, ...) { (void)(n); __VA_ARGS__ }
static int thread_of(int n) { (void)n; return 0; }
static int thread_max(void) { return 1; }
#endif

/* Starting threads costs as much as this many multiply-adds of a product; below that, use one. */
#ifndef DN_START
#define DN_START 2e5
#endif
static inline int enough(int threads, double work) { return work < DN_START ? 1 : threads; }

static inline int imin(int a, int b) { return a < b ? a : b; }
static inline int imax(int a, int b) { return a > b ? a : b; }

/* Element (i, 0) of a row-major matrix of width n; never computed in int. */
#define ROW(p, i, n) ((p) + (size_t)(i)*(size_t)(n))

/* ---- 2 errors ---------------------------------------------------------------------------- */

/* A sentence of texts (%s) and int64_t numbers (%d): into text, at most n bytes with its NUL; or
 * into err, a buffer of DN_ERR_MAX bytes, and then the status is returned. */
static void say(char *text, size_t n, const char *format, ...);
static dn_status fail(char *err, dn_status status, const char *format, ...);

/* ---- 3 the arena ------------------------------------------------------------------------- */

/* The layout code runs twice: with base == NULL it only counts, with a block it carves.  take()
 * and tensor_add() multiply sizes and notice overflow. */
struct arena { unsigned char *base; size_t used; int overflow; };

enum { ALIGN = 64 };

/* The caller's block, from its first aligned byte; every size includes ALIGN - 1 bytes for this. */
static struct arena arena_on(void *block)
{
    size_t slack = (ALIGN - (size_t)((uintptr_t)block%ALIGN))%ALIGN;
    return (struct arena){ (unsigned char *)block + slack, 0, 0 };
}

/* n1*n2*n3 objects of the given size, aligned; NULL while counting. */
static void *take(struct arena *arena, size_t size, size_t n1, size_t n2, size_t n3)
{
    size_t n[] = { n1, n2, n3 }, at = (arena->used + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    for (int i = 0; i < 3; i++) {
        if (n[i] && size > SIZE_MAX/n[i]) { arena->overflow = 1; return NULL; }
        size *= n[i];
    }
    if (at > SIZE_MAX/2 || size > SIZE_MAX/2 - at) { arena->overflow = 1; return NULL; }
    arena->used = at + size;
    return arena->base ? arena->base + at : NULL;
}

static real *take_reals(struct arena *arena, size_t n1, size_t n2)
{
    return take(arena, sizeof(real), n1, n2, 1);
}

/* ---- 4 the engine room, declared --------------------------------------------------------- */

/* What the mathematics below stands on; how it is done follows behind the paper.  Functions, whose
 * bits are the same everywhere: */
static acc exp_acc(acc x);
static acc log_acc(acc x);              /* natural                                            */
static acc sin_acc(acc x);
static acc cos_acc(acc x);
static inline real exp_real(real x);
static inline real tanh_real(real x);
static inline real erf_real(real x);

/* Random numbers, which are hashes of a key and an index. */
static uint64_t rng_key(uint64_t seed, uint64_t stream);                /* a key made of a key */
static inline uint32_t rng_bits(uint64_t key, uint32_t index);          /* 32 random bits      */
static real rng_normal(uint64_t key, uint32_t index);                   /* N(0, 1)             */

/* Streams of the library's own; the caller's live under the key of STREAM_CALLER. */
enum { STREAM_INIT = 1, STREAM_DROPOUT, STREAM_MASK, STREAM_CALLER };

/* What an operation works with: the threads, and memory for each of them. */
struct team { int threads, ctx; real *product, *attention; };

/* A matrix that is read, its element (i, k) at p[i*ld + k] or, transposed, at p[k*ld + i]; and one
 * that is written, (i, j) at p[i*ld + j]. */
struct mat  { const real *p; int ld, trans; };
struct dest { real *p; ptrdiff_t ld; };

static struct mat  plain(const real *p, int ld)  { return (struct mat){ p, ld, 0 }; }
static struct mat  turned(const real *p, int ld) { return (struct mat){ p, ld, 1 }; }
static struct dest into(real *p, int ld)         { return (struct dest){ p, ld }; }

/* C (M x N) = init + A B, each element one chain of fmadd() over ascending k < K; M, N, K > 0.
 * init: NULL to start at 0, C itself to add to it, else a row of N numbers at which each row starts
 * (a bias).  C overlaps neither A nor B.  matmul1 is one thread's and works in matmul_work() reals
 * at w; matmul shares C out among the team. */
static void matmul1(struct dest c, const real *init, struct mat a, struct mat b, int M, int N,
                    int K, real *w);
static void matmul(const struct team *team, struct dest c, const real *init, struct mat a,
                   struct mat b, int M, int N, int K);
static size_t matmul_work(void);

/* ---- 5 tables 1 and 2: residual schemes, architectures ----------------------------------- */

/* TABLE 1.  Every method is one row of the one residual equation
 *
 *     [eq:residual]     y  =  out( a x + b br( G( in(x) ) ) )        in training b drop(br(G))
 *
 *     in        applied to x before G;  br: to G's result;  out: to the sum;  mid: inside G, before
 *               its last matrix (O of attention, W2 of the feed-forward).  Each is three letters,
 *               for self-attention, cross-attention and feed-forward;  top: one, behind a stack:
 *               - identity                 L LayerNorm           R RMSNorm
 *               s x plus a learned scalar  h heads times gains
 *     a, b      (first) values of what multiplies skip and branch: laws of factor_of()
 *     gain      of the matrices when drawn: a law of gain_of()
 *     more      what else the method has: the bits below
 *
 * A new method is a new row; below this table code asks for columns, never for names.  Where a
 * method's paper and its code differ, the paper is followed; docs/paper.md says how. */
enum place { IN, MID, BR, OUT, TOP, PLACES };
enum op    { ID, LN, RMS, SHIFT, HEAD_GAIN, OPS };
enum law   { ONE, ALPHA, BETA, TOP_DOWN, BOTTOM_UP, FIXUP, T_FIXUP, SUB_LN, ADMIN, SUBLAYERS,
             LAST, RESIDUE, MOMENTS, DEPTH, ROOT_DEPTH };

/* One bit each.  A row of table 3 names bits, and its parameter exists in the stacks or sub-layers
 * that have one of them.  Those of a method stand in its column more. */
enum feature {
    QUARTER    = 1 << 0,                /* in a stack's first quarter in and out are swapped  */
    OMEGA      = 1 << 1,                /* a is a learned vector                              */
    PROFILE    = 1 << 2,                /* dn_profile sets it                                 */
    SCALED     = 1 << 3,                /* b is a learned scalar of each sub-layer, first 1   */
    GATED      = 1 << 4,                /* b is a learned scalar of each layer, first 0       */
    SHIFTED    = 1 << 5,                /* no biases; scalar shifts also before activations   */
    MIXED      = 1 << 6,                /* a layer's input is a learned mix of outputs below  */
    OPEN       = 1 << 7,                /* the first sub-layer of a stack has no out          */
    BY_DEPTH   = 1 << 8,                /* in(x) is divided by sqrt(layer)                    */
    RATE_BY_B  = 1 << 9,                /* the rate inside sub-layers is multiplied by b      */
    BIASED     = 1 << 10,               /* of a configuration: biases in the linear maps,     */
    LEARNED    = 1 << 11,               /* positions learned,                                 */
    OWN_EMBED  = 1 << 12,               /* an embedding of the stack's own,                   */
    OWN_OUTPUT = 1 << 13,               /* an output matrix of its own                        */
    FIRST_AT   = 1 << 14                /* from here on one for each op at each place: AT()   */
};
#define AT(place, op) ((uint64_t)FIRST_AT << (OPS*(int)(place) + (int)(op)))
#define NORM(place)   (AT(place, LN)|AT(place, RMS))

/* An array of -1 elements, which no compiler takes, where the last op at the last place has no bit
 * left: a new feature or op cannot be mistaken for another. */
typedef char features_fit[AT(PLACES - 1, OPS - 1) >> (OPS*(int)PLACES - 1) == FIRST_AT ? 1 : -1];

static const struct scheme {
    const char *name, *ops;
    enum law a, b, gain;
    unsigned more;
} schemes[] = {
    /* name                 in  mid br  out top    a          b           gain       more     */
    /* LN(alpha x + G(x)) [eq:deepnorm] */
    { "deepnorm",           "--- --- --- LLL -", ALPHA,     ONE,        BETA,      0 },
    /* LN(x + G(x)) [eq:post-ln] */
    { "post-ln",            "--- --- --- LLL -", ONE,       ONE,        ONE,       0 },
    /* x + G(LN(x)) [eq:pre-ln] */
    { "pre-ln",             "LLL --- --- --- L", ONE,       ONE,        ONE,       0 },
    /* Post-LN, layer l of N drawn/(N - l + 1) [eq:post-ln-init], drawn/sqrt(l) [eq:ds-init] */
    { "post-ln-init",       "--- --- --- LLL -", ONE,       ONE,        TOP_DOWN,  0 },
    { "ds-init",            "--- --- --- LLL -", ONE,       ONE,        BOTTOM_UP, 0 },
    /* LN(omega x + G(x)), omega from a first batch [eq:admin], or from the depth */
    { "admin",              "--- --- --- LLL -", ONE,       ONE,        ONE,       OMEGA|PROFILE },
    { "admin-torch",        "--- --- --- LLL -", ADMIN,     ONE,        ONE,       OMEGA },
    /* x + b G(x), no LayerNorm [eq:r-fixup] [eq:t-fixup] [eq:rezero] */
    { "r-fixup",            "sss sss --- --- s", ONE,       ONE,        FIXUP,     SCALED|SHIFTED },
    { "t-fixup",            "--- --- --- --- -", ONE,       ONE,        T_FIXUP,   0 },
    { "rezero",             "--- --- --- --- -", ONE,       ONE,        ONE,       GATED },
    /* Pre-LN on a mix of all layers below [eq:dlcl] */
    { "dlcl",               "LLL --- --- --- L", ONE,       ONE,        ONE,       MIXED },
    /* Pre-LN and more norms inside [eq:normformer] [eq:sub-ln] [eq:ln-scaling] [eq:peri-ln] */
    { "normformer",         "LLL h-L L-- --- L", ONE,       ONE,        ONE,       0 },
    { "sub-ln",             "LLL L-L --- --- L", ONE,       ONE,        SUB_LN,    0 },
    { "layernorm-scaling",  "LLL --- --- --- L", ONE,       ONE,        ONE,       BY_DEPTH },
    { "peri-ln",            "LLL --- LLL --- L", ONE,       ONE,        ONE,       0 },
    /* RMS(L x + G(RMS(x))), L sub-layers [eq:keel] */
    { "keel",               "RRR --- --- RRR -", SUBLAYERS, ONE,        ONE,       OPEN },
    /* x + RMS(G(x)) [eq:olmo] */
    { "olmo2",              "--- --- RRR --- R", ONE,       ONE,        ONE,       0 },
    /* Pre-LN, O and W2 drawn divided by sqrt(L) [eq:gpt-init] */
    { "gpt2-init",          "LLL --- --- --- L", ONE,       ONE,        LAST,      0 },
    /* LN(sqrt(L/2 - 1) x + G(x)) [eq:deepscalelm] */
    { "deepscalelm",        "--- --- --- LLL -", RESIDUE,   ONE,        MOMENTS,   0 },
    /* x + b G(LN(x)), b = 1/N or 1/sqrt(N) [eq:completep] */
    { "completep",          "LLL --- --- --- L", ONE,       DEPTH,      ONE,       0 },
    { "depth-mup",          "LLL --- --- --- L", ONE,       ROOT_DEPTH, ONE,       RATE_BY_B },
    /* Post-LN in the first quarter of the layers, then Pre-LN [eq:mix-ln] */
    { "mix-ln",             "LLL --- --- --- L", ONE,       ONE,        ONE,       QUARTER },
};

/* TABLE 2.  Architectures: which stacks there are, and the paper's constants for each.
 *
 *     [tab:alpha-beta]  alpha = c (k^4 N^n M^m)^(1/16),   beta = c (k^4 N^n M^m)^(-1/16)
 *
 *                     alpha                      beta
 *     encoder-only    (2N)^(1/4)                 (8N)^(-1/4)
 *     decoder-only    (2M)^(1/4)                 (8M)^(-1/4)
 *     enc-dec: enc    0.81 (N^4 M)^(1/16)        0.87 (N^4 M)^(-1/16)
 *     enc-dec: dec    (3M)^(1/4)                 (12M)^(-1/4)
 *
 * 0.81 and 0.87 are the paper's own rounding of 27^(-1/16) and 27^(1/16)/sqrt 2.  A row holds
 * c, k, n, m: {1, 2, 4, 0} is (2^4 N^4)^(1/16) = (2N)^(1/4), and {1, 1, 0, 0} is 1. */
enum { ENC, DEC };

struct power16 { double c; int k, n, m; };

static const struct architecture {
    const char *name;
    int has[2];                                         /* an encoder, a decoder              */
    struct power16 alpha[2], beta[2];                   /* of the encoder, of the decoder     */
} architectures[] = {
    /* name              stacks  c, k, n, m of the encoder, of the decoder: alpha, then beta   */
    { "encoder",         {1, 0}, { {1,    2, 4, 0}, {1, 1, 0, 0} },
                                 { {1,    8, 4, 0}, {1, 1, 0, 0} } },
    { "decoder",         {0, 1}, { {1,    1, 0, 0}, {1, 2, 0, 4} },
                                 { {1,    1, 0, 0}, {1, 8, 0, 4} } },
    { "encoder-decoder", {1, 1}, { {0.81, 1, 4, 1}, {1, 3, 0, 4} },
                                 { {0.87, 1, 4, 1}, {1, 12, 0, 4} } },
};

/* (k^4 N^n M^m)^(1/16): only products and square roots, so the same bits everywhere. */
static double root16(const struct power16 *power, const dn_config *c)
{
    double x = (double)power->k*power->k*power->k*power->k;
    for (int i = 0; i < power->n; i++) x *= c->enc_layers;
    for (int i = 0; i < power->m; i++) x *= c->dec_layers;
    return sqrt(sqrt(sqrt(sqrt(x))));
}

static int has_stack(const dn_config *c, int stack) { return architectures[c->arch].has[stack]; }
static int top_stack(const dn_config *c) { return has_stack(c, DEC) ? DEC : ENC; }
static int crossed(const dn_config *c) { return has_stack(c, ENC) && has_stack(c, DEC); }
static int layers_of(const dn_config *c, int stack)
{
    return !has_stack(c, stack) ? 0 : stack == DEC ? c->dec_layers : c->enc_layers;
}

/* Outputs that DLCL mixes: of the embedding and of each layer. */
static int outputs_of(const dn_config *c, int stack) { return layers_of(c, stack) + 1; }

static int ffn_width(const dn_config *c) { return c->ffn ? c->ffn : 4*c->dim; }

/* What a sub-layer computes; the bits make sets of kinds, and some of these have names. */
enum kind { SELF = 1, CROSS = 2, FFN = 4, STACK = 8, ATTENTION = SELF|CROSS, EACH = ATTENTION|FFN };

static int subs_per_layer(const dn_config *c, int stack)
{
    return stack == DEC && crossed(c) ? 3 : 2;
}

static int subs_of(const dn_config *c, int stack)
{
    return layers_of(c, stack)*subs_per_layer(c, stack);
}

/* Both stacks' sub-layers stand in one array, the encoder's first. */
static int first_of(const dn_config *c, int stack) { return stack == DEC ? subs_of(c, ENC) : 0; }
static int subs_of_both(const dn_config *c) { return subs_of(c, ENC) + subs_of(c, DEC); }

/* Sub-layer i of a stack, from 0: self, (cross,) feed-forward, and again. */
static enum kind kind_at(const dn_config *c, int stack, int i)
{
    int per = subs_per_layer(c, stack), j = i%per;
    return j == 0 ? SELF : j < per - 1 ? CROSS : FFN;
}

/* What stands at a place of the residual equation in sub-layer i of a stack; at TOP, any i.
 * [dev:quarter] of N layers the first N/4, rounded up. */
static enum op op_at(const dn_config *c, enum place place, int stack, int i)
{
    const struct scheme *scheme = &schemes[c->norm];
    enum kind kind = place == TOP ? SELF : kind_at(c, stack, i);
    int low = 4*(i/subs_per_layer(c, stack)) < layers_of(c, stack);
    if (place == OUT && i == 0 && (scheme->more & OPEN)) return ID;
    if (low && (scheme->more & QUARTER)) place = place == IN ? OUT : place == OUT ? IN : place;
    switch (scheme->ops[4*place + (kind == SELF ? 0 : kind == CROSS ? 1 : 2)]) {
    case 'L': return LN;
    case 'R': return RMS;
    case 's': return SHIFT;
    case 'h': return HEAD_GAIN;
    default:  return ID;
    }
}

static double ln(double x) { return (double)log_acc((acc)x); }
static double root4(double x) { return sqrt(sqrt(x)); }

/* The parameters of a sub-layer or stack, whose names table 3 has: matrices (first enum dn_matrix),
 * their biases in the same order, gain and bias (_G, _B) of what stands at a place, in the order of
 * enum place, and the rest.  linear_of() and place_of() of section 9 rely on these orders. */
enum slot { WQ, WK, WV, WO, W1, W2, EMBED, POSITIONS, OUTPUT, MATRICES,
            BQ = MATRICES, BK, BV, BO, B1, B2, IN_G, IN_B, MID_G, MID_B, BR_G, BR_B, OUT_G, OUT_B,
            TOP_G, TOP_B, ACT_B, SKIP, SCALE, MIX, MIX_G, MIX_B, SLOTS };

/* The laws of methods that came after the paper, in section 19. */
static double later_factor(const dn_config *c, enum law law, int stack, int layer);
static double later_gain(const dn_config *c, int stack, int layer, enum slot slot);

/* The (first) value of a or b in a layer, from 0, of a stack. */
static double factor_of(const dn_config *c, enum law law, int stack, int layer)
{
    const struct power16 *alpha = &architectures[c->arch].alpha[stack];
    return law == ALPHA ? alpha->c*root16(alpha, c) : later_factor(c, law, stack, layer);
}

/* What the standard deviation of a matrix is multiplied by; own: layers of this stack.  DeepNorm
 * and T-Fixup tell V, O, W1 and W2 (strong: what they scale adds up) from Q and K, which do not
 * change the size of attention's output. */
static double gain_of(const dn_config *c, int stack, int layer, enum slot slot)
{
    const struct power16 *beta = &architectures[c->arch].beta[stack];
    int strong = slot >= WV && slot <= W2, embedding = slot >= EMBED;
    int of_three = subs_per_layer(c, stack) == 3;
    double own = layers_of(c, stack), subs = subs_of_both(c);
    switch (schemes[c->norm].gain) {
    case BETA:      return strong ? beta->c/root16(beta, c) : 1;
    case TOP_DOWN:  return embedding ? 1 : 1/(own - layer);
    case BOTTOM_UP: return embedding ? 1 : 1/sqrt(layer + 1.0);
    case FIXUP:
        if (slot == WO || slot == W2 || slot == OUTPUT) return 0;
        return embedding ? 1 : slot == W1 ? 1/sqrt(subs) : (double)exp_acc((acc)(-ln(subs)/6));
    case T_FIXUP:
        if (slot == EMBED) return 1/root4(9*own);
        return !strong ? 1 : of_three ? 1/root4(9*own) : 0.67/root4(own);
    default: return strong ? later_gain(c, stack, layer, slot) : 1;
    }
}

/* ---- 6 operations ------------------------------------------------------------------------ */

/* For n numbers, each of which costs what 64 multiply-adds of a product do; for T rows of them. */
static int number_threads(int threads, double n) { return enough(threads, 64*n); }
static int row_threads(const struct team *team, int T, int n)
{
    return number_threads(team->threads, (double)T*n);
}

/* Sums of a row: LANES partial sums, element i in lane i % LANES, then a fixed tree. */
enum { LANES = 8 };

static acc lanes_total(const acc *s)
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static acc sum_row(const real *x, int n)
{
    acc s[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) s[l] += (acc)x[i + l];
    for (int l = 0; l < n%LANES; i++, l++) s[l] += (acc)x[i];
    return lanes_total(s);
}

/* sum of (x - shift)(y - shift) */
static acc dot_row(const real *x, const real *y, acc shift, int n)
{
    acc s[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) s[l] += ((acc)x[i + l] - shift)*((acc)y[i + l] - shift);
    for (int l = 0; l < n%LANES; i++, l++) s[l] += ((acc)x[i] - shift)*((acc)y[i] - shift);
    return lanes_total(s);
}

static real max_row(const real *x, int n)
{
    real m[LANES];
    int i = 0;
    for (int l = 0; l < LANES; l++) m[l] = x[0];
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) m[l] = x[i + l] > m[l] ? x[i + l] : m[l];
    for (; i < n; i++) m[0] = x[i] > m[0] ? x[i] : m[0];
    for (int l = 1; l < LANES; l++) m[0] = m[l] > m[0] ? m[l] : m[0];
    return m[0];
}

/* A whole array in PIECES; sums are each piece's by itself, then added up in order. */
enum { PIECES = 64 };
static size_t piece(size_t n, int i) { return n/PIECES*(size_t)i + n%PIECES*(size_t)i/PIECES; }

/* sum of x y; of x alone where y is NULL */
static acc sum_all(const real *x, const real *y, size_t n, int threads)
{
    acc part[PIECES], total = 0;
    PARALLEL_FOR(number_threads(threads, (double)n),
    for (int i = 0; i < PIECES; i++) {
        size_t at = piece(n, i), to = piece(n, i + 1), step = (size_t)1 << 20;
        part[i] = 0;
        for (; at < to; at += step) {
            int count = (int)(to - at < step ? to - at : step);
            part[i] += y ? dot_row(x + at, y + at, 0, count) : sum_row(x + at, count);
        }
    })
    for (int i = 0; i < PIECES; i++) total += part[i];
    return total;
}

/* Sums over tokens: a thread takes WIDE columns (two cache lines) and adds all tokens in order, so
 * that the number of threads changes nothing. */
enum { WIDE = 32 };

/* [op:column-sum]  db[j] += sum over t of x[t][j] dy[t][j], t ascending; where x is NULL, of dy. */
static void columns_add(const struct team *team, real *db, const real *x, const real *dy, int T,
                        int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int block = 0; block < (n + WIDE - 1)/WIDE; block++) {
        int j0 = block*WIDE, j1 = imin(n, j0 + WIDE);
        for (int t = 0; t < T; t++) {
            const real *dt = ROW(dy, t, n), *xt = x ? ROW(x, t, n) : NULL;
            for (int j = j0; j < j1; j++) db[j] = fmadd(xt ? xt[j] : 1, dt[j], db[j]);
        }
    })
}

/* [op:linear]   y = x W^T + b         x: T x I,  W: O x I,  b: O or NULL,  y: T x O
 *               dx = onto + dy W,  dW += dy^T x,  db += column sums of dy
 * onto, of linear_bwd: NULL for 0, or dx itself, where gradients of two uses of x meet: of skip and
 * branch, or of one decoder sub-layer and the next in dmem. */
struct linear { int O, I; const real *W, *b; real *dW, *db; int fresh; };    /* fresh: dW = */

static void linear_fwd(const struct team *team, real *y, const real *x, const struct linear *map,
                       int T)
{
    int O = map->O, I = map->I;
    matmul(team, into(y, O), map->b, plain(x, I), turned(map->W, I), T, O, I);
}

static void linear_bwd(const struct team *team, real *dx, const real *onto, const real *dy,
                       const real *x, const struct linear *map, int T)
{
    int O = map->O, I = map->I;
    matmul(team, into(dx, I), onto, plain(dy, O), plain(map->W, I), T, I, O);
    matmul(team, into(map->dW, I), map->fresh ? NULL : map->dW, turned(dy, O), plain(x, I), O, I,
           T);
    if (map->db) columns_add(team, map->db, NULL, dy, T, O);
}

/* [op:place]   What may stand at a place of the residual equation.            T rows of n
 *
 *     L   y = factor LN(x)                 factor = 1, or 1/sqrt(layer), layer from 1
 *     R   y = factor RMS(x)
 *     s   y = x + b                        db += sum of dy
 *     h   y = g_h x for head h of H        dg_h += sum of x dy,  dx = g_h dy               */
struct at_place {
    enum op op;
    real factor;
    int H;
    const real *g, *b;                  /* L: n of each;  R: n of g;  s: one b;  h: H of g   */
    real *dg, *db;
};

/* [op:layernorm]   y = z g + b,  z = (x - mean x)/sqrt(var x + eps)              one row of n
 *                  dx = (g dy - mean(g dy) - z mean(z g dy))/sqrt(var x + eps)
 *                  dg += z dy,  db += dy
 * because mean and variance depend on x, too: dz/dx = (I - 1 1^T/n - z z^T/n)/sqrt(var x + eps).
 * [op:rmsnorm]     y = g x/sqrt(mean x^2 + eps):  the same with 0 for mean x, mean(g dy) and b.
 * [dev:eps] the paper names no epsilon; 1e-5 is what the code of the time used.
 * stat, two numbers a row, keeps the mean and 1/sqrt(var + eps).  y may be x; dx may be dy. */
static const double LN_EPS = 1e-5;

static void norm_row(real *y, real *stat, const real *x, const struct at_place *at, int n)
{
    const real *g = at->g, *b = at->b;
    acc exact = at->op == LN ? sum_row(x, n)/(acc)n : 0, var = dot_row(x, x, exact, n)/(acc)n;
    real mean = stat[0] = (real)exact, inv = stat[1] = (real)(1/sqrt_acc(var + (acc)LN_EPS));
    if (b) for (int i = 0; i < n; i++) y[i] = fmadd((x[i] - mean)*inv, g[i], b[i]);
    else for (int i = 0; i < n; i++) y[i] = x[i]*inv*g[i];
}

static void norm_row_bwd(real *dx, const real *dy, const real *stat, const real *x,
                         const struct at_place *at, int n)
{
    const real *g = at->g;
    acc sum_gd[LANES] = {0}, sum_zgd[LANES] = {0};
    real mean = stat[0], inv = stat[1], mean_gd, mean_zgd;
    for (int i = 0; i < n; i += LANES)
        for (int l = 0; l < imin(LANES, n - i); l++) {
            real gd = g[i + l]*dy[i + l];
            sum_gd[l] += (acc)gd;
            sum_zgd[l] += (acc)((x[i + l] - mean)*inv*gd);
        }
    mean_gd = at->op == LN ? (real)(lanes_total(sum_gd)/(acc)n) : 0;
    mean_zgd = (real)(lanes_total(sum_zgd)/(acc)n);
    for (int i = 0; i < n; i++)
        dx[i] = (fmadd(g[i], dy[i], -mean_gd) - (x[i] - mean)*inv*mean_zgd)*inv;
}

static void norm_fwd(const struct team *team, real *y, real *stat, const real *x,
                     const struct at_place *at, int T, int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int t = 0; t < T; t++)
        norm_row(ROW(y, t, n), stat + 2*(size_t)t, ROW(x, t, n), at, n);)
}

/* Gains and biases first: dx may overwrite dy. */
static void norm_bwd(const struct team *team, real *dx, const real *dy, const real *stat,
                     const real *x, const struct at_place *at, int T, int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int block = 0; block < (n + WIDE - 1)/WIDE; block++) {
        int j0 = block*WIDE, j1 = imin(n, j0 + WIDE);
        for (int t = 0; t < T; t++) {
            const real *xt = ROW(x, t, n), *dt = ROW(dy, t, n);
            real mean = stat[2*(size_t)t], inv = stat[2*(size_t)t + 1];
            for (int j = j0; j < j1; j++)
                at->dg[j] = fmadd((xt[j] - mean)*inv, dt[j], at->dg[j]);
            if (at->op == LN) for (int j = j0; j < j1; j++) at->db[j] += dt[j];
        }
    })
    PARALLEL_FOR(row_threads(team, T, n),
    for (int t = 0; t < T; t++)
        norm_row_bwd(ROW(dx, t, n), ROW(dy, t, n), stat + 2*(size_t)t, ROW(x, t, n), at, n);)
}

/* With H = 1 one factor for the whole row.  y may be x. */
static void heads_scale(const struct team *team, real *y, const real *x, const real *g, int H,
                        int T, int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int t = 0; t < T; t++)
        for (int h = 0; h < H; h++)
            for (int j = h*(n/H); j < (h + 1)*(n/H); j++)
                ROW(y, t, n)[j] = g[h]*ROW(x, t, n)[j];)
}

/* Returns where the result is: in y, or x itself where nothing stands. */
static const real *place_fwd(const struct team *team, real *y, real *stat, const real *x,
                             const struct at_place *at, int T, int n)
{
    switch (at->op) {
    case LN: case RMS:
        norm_fwd(team, y, stat, x, at, T, n);
        if (at->factor < 1) heads_scale(team, y, y, &at->factor, 1, T, n);
        return y;
    case SHIFT:
        PARALLEL_FOR(row_threads(team, T, n),
        for (int t = 0; t < T; t++)
            for (int j = 0; j < n; j++) ROW(y, t, n)[j] = ROW(x, t, n)[j] + at->b[0];)
        return y;
    case HEAD_GAIN:
        heads_scale(team, y, x, at->g, at->H, T, n);
        return y;
    default:
        return x;
    }
}

/* d holds dy and becomes dx. */
static void place_bwd(const struct team *team, real *d, const real *stat, const real *x,
                      const struct at_place *at, int T, int n)
{
    int E = n/at->H;                    /* columns of a head */
    switch (at->op) {
    case LN: case RMS:
        if (at->factor < 1) heads_scale(team, d, d, &at->factor, 1, T, n);
        norm_bwd(team, d, d, stat, x, at, T, n);
        return;
    case SHIFT:
        at->db[0] += (real)sum_all(d, NULL, (size_t)T*(size_t)n, team->threads);
        return;
    case HEAD_GAIN:
        PARALLEL_FOR(row_threads(team, T, n),
        for (int h = 0; h < at->H; h++) {
            acc sum = 0;
            for (int t = 0; t < T; t++)
                sum += dot_row(ROW(x, t, n) + h*E, ROW(d, t, n) + h*E, 0, E);
            at->dg[h] += (real)sum;
        })
        heads_scale(team, d, d, at->g, at->H, T, n);
        return;
    default:
        return;
    }
}

/* [op:dropout]   y = x m/(1 - p),  m = 0 with probability p, else 1: a function of (key, row,
 * column) that backward computes again, so no mask is stored.  Its derivative is itself. */
struct dropout { uint64_t key; uint32_t limit; real scale; };   /* p 2^32, 1/(1 - p)          */

static struct dropout dropout_at(uint64_t key, double p)
{
    return (struct dropout){ key, (uint32_t)(p*4294967296.0), (real)(1/(1 - p)) };
}

static void drop_row(real *y, const real *x, const struct dropout *drop, uint64_t row, int n)
{
    if (!drop->limit) {
        if (y != x) memcpy(y, x, (size_t)n*sizeof *y);
        return;
    }
    uint64_t key = rng_key(drop->key, row);
    for (int i = 0; i < n; i++)
        y[i] = rng_bits(key, (uint32_t)i) < drop->limit ? 0 : x[i]*drop->scale;
}

/* [op:activation]   relu: max(x, 0)     gelu: x Phi(x) = x (1 + erf(x/sqrt 2))/2
 *                   gelu-tanh: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2     (GPT-2)  */
#define SQRT_1_2  ((real)0.70710678118654752440)
#define SQRT_2_PI ((real)0.79788456080286535588)
#define CUBIC     ((real)0.044715)

static void act_row(real *u, const real *h, int n, int activation)
{
    const real half = (real)0.5;
    switch (activation) {
    case DN_RELU:
        for (int i = 0; i < n; i++) u[i] = h[i] < 0 ? 0 : h[i];
        break;
    case DN_GELU:
        for (int i = 0; i < n; i++) u[i] = half*h[i]*(1 + erf_real(h[i]*SQRT_1_2));
        break;
    default:
        for (int i = 0; i < n; i++) {
            real z = SQRT_2_PI*fmadd(CUBIC*h[i]*h[i], h[i], h[i]);
            u[i] = half*h[i]*(1 + tanh_real(z));
        }
    }
}

/* du becomes dh.   relu': 0 or 1     gelu': Phi(x) + x phi(x), phi(x) = exp(-x^2/2)/sqrt(2 pi)
 *                  gelu-tanh', w = tanh z: (1 + w)/2 + x (1 - w^2) z'/2; beyond +-100 it is 0
 *                  or 1 and x^2 might overflow */
static void act_row_bwd(real *du, const real *h, int n, int activation)
{
    const real half = (real)0.5;
    switch (activation) {
    case DN_RELU:
        for (int i = 0; i < n; i++) du[i] = h[i] > 0 ? du[i] : 0;
        break;
    case DN_GELU:
        for (int i = 0; i < n; i++) {
            real phi = half*SQRT_2_PI*exp_real(-half*h[i]*h[i]);
            du[i] *= fmadd(h[i], phi, half*(1 + erf_real(h[i]*SQRT_1_2)));
        }
        break;
    default:
        for (int i = 0; i < n; i++) {
            real x = h[i] > 100 ? 100 : h[i] < -100 ? -100 : h[i], x2 = x*x;
            real w = tanh_real(SQRT_2_PI*fmadd(CUBIC*x2, x, x));
            real slope = SQRT_2_PI*fmadd(3*CUBIC, x2, 1);
            du[i] *= half*(1 + w) + half*x*(1 - w*w)*slope;
        }
    }
}

/* u = drop(act(h)), and back: du becomes dh.   T rows of n */
static void act_fwd(const struct team *team, real *u, const real *h, int activation,
                    const struct dropout *drop, int T, int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int t = 0; t < T; t++) {
        act_row(ROW(u, t, n), ROW(h, t, n), n, activation);
        drop_row(ROW(u, t, n), ROW(u, t, n), drop, (uint64_t)t, n);
    })
}

static void act_bwd(const struct team *team, real *du, const real *h, int activation,
                    const struct dropout *drop, int T, int n)
{
    PARALLEL_FOR(row_threads(team, T, n),
    for (int t = 0; t < T; t++) {
        drop_row(ROW(du, t, n), ROW(du, t, n), drop, (uint64_t)t, n);
        act_row_bwd(ROW(du, t, n), ROW(h, t, n), n, activation);
    })
}

/* [op:attention]   c = drop(softmax(q k^T/sqrt E)) v       for each sequence and head
 *
 * A span is one sequence: nq query rows from row q0, nk key rows from row k0.  causal: query i sees
 * keys 0 .. nk - nq + i, which serves whole sequences and a growing cache alike.  Only the row
 * maximum and 1/(row sum) are kept; backward computes the weights again, QROWS queries at a
 * time, so the memory is 2 QROWS x ctx per thread (P and its gradient) and never T x S. */
struct span { int q0, nq, k0, nk; };

struct attention {
    const struct span *span;            /* of each of `rows` sequences                        */
    int rows, H, E, causal;
    int ldq, ldk;                       /* widths of the rows that q and k, v lie in          */
    real scale;                         /* 1/sqrt E                                           */
    struct dropout drop;
};

struct qkv { real *q, *k, *v; };        /* T x ldq, S x ldk, S x ldk: the numbers, or gradients */

/* What is worked on at a time: n queries of one span from its query `first` on, for head h, and as
 * many keys as the last of them sees. */
struct queries { const struct span *span; int h, first, n, keys; };

enum { QROWS = 64 };                    /* n at most */

static int keys_seen(const struct attention *att, const struct span *span, int i)
{
    return att->causal ? span->nk - span->nq + i + 1 : span->nk;
}

static struct queries queries_at(const struct attention *att, const struct span *span, int h, int i)
{
    int n = imin(QROWS, span->nq - i);
    return (struct queries){ span, h, i, n, keys_seen(att, span, i + n - 1) };
}

/* Where in stat, T x 2H, the two numbers are that softmax keeps of row i. */
static size_t stat_at(const struct attention *att, const struct queries *rows, int i)
{
    size_t query = (size_t)rows->span->q0 + (size_t)(rows->first + i);
    return 2*(query*(size_t)att->H + (size_t)rows->h);
}

/* P holds q k^T, n rows of `keys` numbers, and becomes softmax(scale q k^T), 0 for keys not seen.
 * stat, T x 2H: of each row the greatest argument and 1/(sum of exponentials), which softmax_rows
 * finds and softmax_again takes.  A fused fmadd() subtracts the greatest, which is rounded, from
 * arguments that are not: a common factor, which cancels, while scores are below 2^31 (float). */
static void softmax_rows(real *P, real *stat, const struct attention *att,
                         const struct queries *rows)
{
    const real scale = att->scale;      /* by itself: for a compiler P may overlap att and stat */
    for (int i = 0; i < rows->n; i++) {
        real *p = ROW(P, i, rows->keys), *st = stat + stat_at(att, rows, i);
        int seen = keys_seen(att, rows->span, rows->first + i);
        real top = st[0] = scale*max_row(p, seen);
        for (int j = 0; j < seen; j++) p[j] = exp_real(fmadd(scale, p[j], -top));
        real inverse = st[1] = (real)(1/sum_row(p, seen));
        for (int j = 0; j < seen; j++) p[j] *= inverse;
        for (int j = seen; j < rows->keys; j++) p[j] = 0;
    }
}

static void softmax_again(real *P, const real *stat, const struct attention *att,
                          const struct queries *rows)
{
    const real scale = att->scale;
    for (int i = 0; i < rows->n; i++) {
        real *p = ROW(P, i, rows->keys);
        const real *st = stat + stat_at(att, rows, i);
        real top = st[0], inverse = st[1];
        int seen = keys_seen(att, rows->span, rows->first + i);
        for (int j = 0; j < seen; j++) p[j] = exp_real(fmadd(scale, p[j], -top))*inverse;
        for (int j = seen; j < rows->keys; j++) p[j] = 0;
    }
}

/* A = drop(P), which may be P: the mask of a row is a function of query and head. */
static void drop_weights(real *A, const real *P, const struct attention *att,
                         const struct queries *rows)
{
    for (int i = 0; i < rows->n; i++) {
        uint64_t query = (uint64_t)rows->span->q0 + (uint64_t)(rows->first + i);
        drop_row(ROW(A, i, rows->keys), ROW(P, i, rows->keys), &att->drop,
                 query*(uint64_t)att->H + (uint64_t)rows->h, rows->keys);
    }
}

/* 16: two small products (five in backward), whose multiply-adds cost 8 times a large one's. */
static int attend_threads(const struct team *team, const struct attention *att)
{
    double work = 0;
    for (int r = 0; r < att->rows; r++)
        work += 16.0*att->H*att->E*att->span[r].nq*att->span[r].nk;
    return enough(team->threads, work);
}

/* c: T x D,  stat: T x 2H.  P, K, V, C and Q are what one thread works on: rows of one span, E
 * columns of one head. */
static void attend_fwd(const struct team *team, real *c, real *stat, const struct qkv *qkv,
                       const struct attention *att)
{
    int E = att->E, D = att->H*E, ldq = att->ldq, ldk = att->ldk;
    int threads = attend_threads(team, att);
    PARALLEL_JOBS(threads,
    for (int64_t job = 0; job < (int64_t)att->rows*att->H; job++) {
        const struct span *span = &att->span[job/att->H];
        int h = (int)(job%att->H), me = thread_of(threads);
        real *w = team->product + (size_t)me*matmul_work();
        real *P = team->attention + (size_t)me*2*QROWS*(size_t)team->ctx;
        const real *K = ROW(qkv->k, span->k0, ldk) + h*E, *V = ROW(qkv->v, span->k0, ldk) + h*E;
        for (int i = 0; i < span->nq; i += QROWS) {
            struct queries rows = queries_at(att, span, h, i);
            int n = rows.n, m = rows.keys;
            const real *Q = ROW(qkv->q, span->q0 + i, ldq) + h*E;
            real *C = ROW(c, span->q0 + i, D) + h*E;
            matmul1(into(P, m), NULL, plain(Q, ldq), turned(K, ldk), n, m, E, w);      /* (1) */
            softmax_rows(P, stat, att, &rows);                                         /* (2) */
            drop_weights(P, P, att, &rows);                                            /* (3) */
            matmul1(into(C, D), NULL, plain(P, m), plain(V, ldk), n, E, m, w);         /* (4) */
        }
    })
}

/* One row, s = scale q k^T and p = softmax(s):  dp_j/ds_k = p_j (1{j=k} - p_k), so
 * ds_k = p_k (dp_k - sum_j p_j dp_j): one dot product a row.  dP becomes the gradient dS of q k^T,
 * hence scale; keys not seen have p = 0 and get 0. */
static void softmax_rows_bwd(real *dP, const real *P, const struct attention *att,
                             const struct queries *rows)
{
    for (int i = 0; i < rows->n; i++) {
        real *d = ROW(dP, i, rows->keys);
        const real *p = ROW(P, i, rows->keys);
        real sum = (real)dot_row(p, d, 0, rows->keys);
        for (int j = 0; j < rows->keys; j++) d[j] = att->scale*p[j]*(d[j] - sum);
    }
}

/* Writes dq, dk and dv (=, not +=) from dc, T x D; each span and head has rows and columns of
 * its own in all three.  P is made again, (1) to (3), and then the steps fall; A is in turn
 * drop(P), the gradients of drop(P) and of P, and dS. */
static void attend_bwd(const struct team *team, const struct qkv *dqkv, const real *dc,
                       const real *stat, const struct qkv *qkv, const struct attention *att)
{
    int E = att->E, D = att->H*E, ldq = att->ldq, ldk = att->ldk;
    int threads = attend_threads(team, att);
    PARALLEL_JOBS(threads,
    for (int64_t job = 0; job < (int64_t)att->rows*att->H; job++) {
        const struct span *span = &att->span[job/att->H];
        int h = (int)(job%att->H), me = thread_of(threads);
        real *w = team->product + (size_t)me*matmul_work();
        real *P = team->attention + (size_t)me*2*QROWS*(size_t)team->ctx;
        real *A = P + QROWS*(size_t)team->ctx;
        const real *K = ROW(qkv->k, span->k0, ldk) + h*E, *V = ROW(qkv->v, span->k0, ldk) + h*E;
        real *dK = ROW(dqkv->k, span->k0, ldk) + h*E, *dV = ROW(dqkv->v, span->k0, ldk) + h*E;
        for (int j = 0; j < span->nk; j++)
            for (int l = 0; l < E; l++) ROW(dK, j, ldk)[l] = ROW(dV, j, ldk)[l] = 0;
        for (int i = 0; i < span->nq; i += QROWS) {
            struct queries rows = queries_at(att, span, h, i);
            int n = rows.n, m = rows.keys;
            const real *Q = ROW(qkv->q, span->q0 + i, ldq) + h*E;
            const real *dC = ROW(dc, span->q0 + i, D) + h*E;
            real *dQ = ROW(dqkv->q, span->q0 + i, ldq) + h*E;
            matmul1(into(P, m), NULL, plain(Q, ldq), turned(K, ldk), n, m, E, w);      /* (1) */
            softmax_again(P, stat, att, &rows);                                        /* (2) */
            drop_weights(A, P, att, &rows);                                            /* (3) */
            matmul1(into(dV, ldk), dV, turned(A, m), plain(dC, D), m, E, n, w);        /* (4) */
            matmul1(into(A, m), NULL, plain(dC, D), turned(V, ldk), n, m, E, w);       /* (4) */
            drop_weights(A, A, att, &rows);                                            /* (3) */
            softmax_rows_bwd(A, P, att, &rows);                                        /* (2) */
            matmul1(into(dQ, ldq), NULL, plain(A, m), plain(K, ldk), n, E, m, w);      /* (1) */
            matmul1(into(dK, ldk), dK, turned(A, m), plain(Q, ldq), m, E, n, w);       /* (1) */
        }
    })
}

/* [op:embedding]   x_t = drop( sqrt(D) table[id_t] + pos[t] ),     t counts within its sequence
 *                  dtable[id_t] += sqrt(D) drop(dx_t),  dpos[t] += drop(dx_t)               */
struct embedding {
    int D;
    const real *table, *pos;            /* V x D, ctx x D                                     */
    real *dtable, *dpos;                /* dpos may be NULL                                   */
    struct dropout drop;
};

static void embed_fwd(const struct team *team, real *x, const int *id, const struct span *span,
                      int rows, const struct embedding *emb)
{
    int D = emb->D, T = span[rows - 1].q0 + span[rows - 1].nq;
    real scale = (real)sqrt((double)D);
    PARALLEL_FOR(row_threads(team, T, D),
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < span[r].nq; i++) {
            int t = span[r].q0 + i, at = span[r].nk - span[r].nq + i;
            real *xt = ROW(x, t, D);
            const real *word = ROW(emb->table, id[t], D), *pos = ROW(emb->pos, at, D);
            for (int j = 0; j < D; j++) xt[j] = fmadd(scale, word[j], pos[j]);
            drop_row(xt, xt, &emb->drop, (uint64_t)t, D);
        })
}

/* dx is left dropped.  Rows of the table repeat, so threads own columns. */
static void embed_bwd(const struct team *team, real *dx, const int *id, const struct span *span,
                      int rows, const struct embedding *emb)
{
    int D = emb->D, T = span[rows - 1].q0 + span[rows - 1].nq;
    real scale = (real)sqrt((double)D);
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++)
        drop_row(ROW(dx, t, D), ROW(dx, t, D), &emb->drop, (uint64_t)t, D);)
    PARALLEL_FOR(row_threads(team, T, D),
    for (int block = 0; block < (D + WIDE - 1)/WIDE; block++)
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < span[r].nq; i++) {
                const real *dt = ROW(dx, span[r].q0 + i, D);
                real *word = ROW(emb->dtable, id[span[r].q0 + i], D);
                real *pos = emb->dpos ? ROW(emb->dpos, i, D) : NULL;
                int j0 = block*WIDE, j1 = imin(D, j0 + WIDE);
                for (int j = j0; j < j1; j++) word[j] = fmadd(scale, dt[j], word[j]);
                for (int j = j0; pos && j < j1; j++) pos[j] += dt[j];
            })
}

/* Sinusoids: sin(p w_k) in column k, cos(p w_k) in column D/2 + k, w_k = 10000^(-k/(D/2 - 1)). */
static void sinusoids(real *pos, int ctx, int D)
{
    const acc ln10000 = (acc)9.21034037197618273607;
    int n = D/2;
    for (int i = 0; i < n; i++) {
        acc w = exp_acc(-(acc)i*ln10000/(acc)imax(n - 1, 1));
        for (int p = 0; p < ctx; p++) {
            ROW(pos, p, D)[i] = (real)sin_acc((acc)p*w);
            ROW(pos, p, D)[n + i] = (real)cos_acc((acc)p*w);
        }
    }
}

/* [op:cross-entropy]   nll = -ln p_y,   p = softmax(z)      one token, V logits, its label y
 *                      loss = (1 - e) nll + e/V sum over v of -ln p_v         e: smoothing
 *                      dz_v = p_v - (1 - e) 1{v = y} - e/V      z becomes dz when back != 0 */
struct token_loss { acc loss, nll; int correct; };

/* Sum of e^(z_v - top); the terms go to p, which may be z, or nowhere. */
static acc exp_sum(real *p, const real *z, real top, int V)
{
    enum { CHUNK = 256 };
    acc total = 0;
    for (int i = 0; i < V; i += CHUNK) {
        real terms[CHUNK];
        int n = imin(CHUNK, V - i);
        for (int j = 0; j < n; j++) terms[j] = exp_real(z[i + j] - top);
        total += sum_row(terms, n);
        if (p) memcpy(p + i, terms, (size_t)n*sizeof *terms);
    }
    return total;
}

static struct token_loss cross_entropy_row(real *z, int y, double smoothing, int V, int back)
{
    real top = max_row(z, V);
    acc mean = smoothing > 0 ? sum_row(z, V)/(acc)V : 0, zy = (acc)z[y];
    struct token_loss out = { 0, 0, 0 };
    int best = 0;
    while (z[best] < top) best++;
    out.correct = best == y;
    acc total = exp_sum(back ? z : NULL, z, top, V), lse = (acc)top + log_acc(total);
    out.nll = lse - zy;
    out.loss = (1 - (acc)smoothing)*out.nll + (acc)smoothing*(lse - mean);
    if (back) {
        real inv = (real)(1/total), each = (real)(smoothing/V);
        for (int v = 0; v < V; v++) z[v] = fmadd(z[v], inv, -each);
        z[y] -= (real)(1 - smoothing);
    }
    return out;
}

/* ---- 7 the residual equation ------------------------------------------------------------- */

/* [eq:residual]   r = a x + b drop(g),  g = br(G) and no gain                  T rows of D
 *                 dx = a dr,  dg = b drop(dr),
 *                 da_j += sum over t of x_tj dr_tj,  db += sum of g drop(dr)           */
struct residual {
    real a, b;                          /* where not learned                                  */
    const real *skip, *scale;           /* a (D of them) and b where learned, else NULL       */
    real *dskip, *dscale;
    struct dropout drop;
};

static void residual_fwd(const struct team *team, real *r, const real *x, const real *g,
                         const struct residual *res, int T, int D)
{
    real b = res->scale ? res->scale[0] : res->b;
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++) {
        real *rt = ROW(r, t, D);
        const real *xt = ROW(x, t, D);
        drop_row(rt, ROW(g, t, D), &res->drop, (uint64_t)t, D);
        for (int j = 0; j < D; j++)
            rt[j] = fmadd(res->skip ? res->skip[j] : res->a, xt[j], b*rt[j]);
    })
}

/* d holds dr and becomes dx; dg is first drop(dr), for db, and then b drop(dr).  g is read only
 * where b is learned, else it may be NULL. */
static void residual_bwd(const struct team *team, real *d, real *dg, const real *x, const real *g,
                         const struct residual *res, int T, int D)
{
    real b = res->scale ? res->scale[0] : res->b;
    if (res->skip) columns_add(team, res->dskip, x, d, T, D);
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++) {
        real *dt = ROW(d, t, D);
        drop_row(ROW(dg, t, D), dt, &res->drop, (uint64_t)t, D);
        for (int j = 0; j < D; j++) dt[j] *= res->skip ? res->skip[j] : res->a;
    })
    if (res->scale) res->dscale[0] += (real)sum_all(g, dg, (size_t)T*(size_t)D, team->threads);
    if (b != 1) heads_scale(team, dg, dg, &b, 1, T, D);
}

/* [eq:dlcl]   z = sum over k of w_k n_k,  n_k = LN_k(y_k):  a learned mix of all layers below,
 * blocks k = 0 .. l of T rows of D, one behind the other; w: row l of the mix.
 *             dw_k += sum of n_k dz,   dn_k += w_k dz                                      */
struct mix { int l; const real *w; real *dw; };

static void mix_fwd(const struct team *team, real *z, const real *n, const struct mix *mix, int T,
                    int D)
{
    size_t block = (size_t)T*(size_t)D;
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++) {
        real *zt = ROW(z, t, D);
        for (int j = 0; j < D; j++) zt[j] = 0;
        for (int k = 0; k <= mix->l; k++) {
            const real *nt = ROW(n + (size_t)k*block, t, D);
            for (int j = 0; j < D; j++) zt[j] = fmadd(mix->w[k], nt[j], zt[j]);
        }
    })
}

static void mix_bwd(const struct team *team, real *dn, const real *dz, const real *n,
                    const struct mix *mix, int T, int D)
{
    size_t block = (size_t)T*(size_t)D;
    for (int k = 0; k <= mix->l; k++)
        mix->dw[k] += (real)sum_all(n + (size_t)k*block, dz, block, team->threads);
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++)
        for (int k = 0; k <= mix->l; k++) {
            real *dt = ROW(dn + (size_t)k*block, t, D);
            for (int j = 0; j < D; j++) dt[j] = fmadd(mix->w[k], ROW(dz, t, D)[j], dt[j]);
        })
}

/* ---- 8 table 3: parameters; saved activations; initialization ---------------------------- */

static const char *const stack_name[] = { "encoder", "decoder" };

/* TABLE 3.  A parameter is a row: in which kinds of sub-layer (or per stack), its name, shape,
 * first values, and the features of which one must be there for it to exist (0: always).  Layout,
 * initialization, optimizer and checkpoints loop over this table.  Q, K and V are drawn as three
 * matrices and lie side by side in memory, so that one product serves them all.  The gate of a
 * layer belongs to its self-attention, and its other sub-layers point to it: stacks_link(). */
enum extent { VECTOR, OF_1, OF_D, OF_F, OF_H, OF_V, OF_CTX, OF_OUTS };
enum first  { ZEROS, ONES, SKIPS, MEANS, TABLE, XAVIER };   /* from TABLE on: random        */

static const struct param {
    enum slot slot;
    unsigned kinds;
    const char *name;
    enum extent rows, cols;
    enum first first;
    uint64_t when;
} params[] = {
    { EMBED,     STACK,     "embed.weight",     OF_V,    OF_D,    TABLE,  OWN_EMBED          },
    { POSITIONS, STACK,     "positions.weight", OF_CTX,  OF_D,    TABLE,  LEARNED            },
    { OUTPUT,    STACK,     "output.weight",    OF_V,    OF_D,    TABLE,  OWN_OUTPUT         },
    { WQ,        ATTENTION, "q.weight",         OF_D,    OF_D,    XAVIER, 0                  },
    { WK,        ATTENTION, "k.weight",         OF_D,    OF_D,    XAVIER, 0                  },
    { WV,        ATTENTION, "v.weight",         OF_D,    OF_D,    XAVIER, 0                  },
    { WO,        ATTENTION, "o.weight",         OF_D,    OF_D,    XAVIER, 0                  },
    { W1,        FFN,       "w1.weight",        OF_F,    OF_D,    XAVIER, 0                  },
    { W2,        FFN,       "w2.weight",        OF_D,    OF_F,    XAVIER, 0                  },
    { BQ,        ATTENTION, "q.bias",           OF_D,    VECTOR,  ZEROS,  BIASED             },
    { BK,        ATTENTION, "k.bias",           OF_D,    VECTOR,  ZEROS,  BIASED             },
    { BV,        ATTENTION, "v.bias",           OF_D,    VECTOR,  ZEROS,  BIASED             },
    { BO,        ATTENTION, "o.bias",           OF_D,    VECTOR,  ZEROS,  BIASED             },
    { B1,        FFN,       "w1.bias",          OF_F,    VECTOR,  ZEROS,  BIASED             },
    { B2,        FFN,       "w2.bias",          OF_D,    VECTOR,  ZEROS,  BIASED             },
    { IN_G,      EACH,      "in_norm.weight",   OF_D,    VECTOR,  ONES,   NORM(IN)           },
    { IN_B,      EACH,      "in_norm.bias",     OF_D,    VECTOR,  ZEROS,  AT(IN, LN)         },
    { IN_B,      EACH,      "in_shift.bias",    OF_1,    VECTOR,  ZEROS,  AT(IN, SHIFT)      },
    { MID_G,     ATTENTION, "mid_norm.weight",  OF_D,    VECTOR,  ONES,   NORM(MID)          },
    { MID_B,     ATTENTION, "mid_norm.bias",    OF_D,    VECTOR,  ZEROS,  AT(MID, LN)        },
    { MID_G,     FFN,       "mid_norm.weight",  OF_F,    VECTOR,  ONES,   NORM(MID)          },
    { MID_B,     FFN,       "mid_norm.bias",    OF_F,    VECTOR,  ZEROS,  AT(MID, LN)        },
    { MID_G,     ATTENTION, "head.weight",      OF_H,    VECTOR,  ONES,   AT(MID, HEAD_GAIN) },
    { MID_B,     EACH,      "mid_shift.bias",   OF_1,    VECTOR,  ZEROS,  AT(MID, SHIFT)     },
    { ACT_B,     FFN,       "act_shift.bias",   OF_1,    VECTOR,  ZEROS,  SHIFTED            },
    { BR_G,      EACH,      "br_norm.weight",   OF_D,    VECTOR,  ONES,   NORM(BR)           },
    { BR_B,      EACH,      "br_norm.bias",     OF_D,    VECTOR,  ZEROS,  AT(BR, LN)         },
    { OUT_G,     EACH,      "out_norm.weight",  OF_D,    VECTOR,  ONES,   NORM(OUT)          },
    { OUT_B,     EACH,      "out_norm.bias",    OF_D,    VECTOR,  ZEROS,  AT(OUT, LN)        },
    { SKIP,      EACH,      "omega.weight",     OF_D,    VECTOR,  SKIPS,  OMEGA              },
    { SCALE,     EACH,      "scale.weight",     OF_1,    VECTOR,  ONES,   SCALED             },
    { SCALE,     SELF,      "scale.weight",     OF_1,    VECTOR,  ZEROS,  GATED              },
    { TOP_G,     STACK,     "norm.weight",      OF_D,    VECTOR,  ONES,   NORM(TOP)          },
    { TOP_B,     STACK,     "norm.bias",        OF_D,    VECTOR,  ZEROS,  AT(TOP, LN)        },
    { TOP_B,     STACK,     "shift.bias",       OF_1,    VECTOR,  ZEROS,  AT(TOP, SHIFT)     },
    { MIX,       STACK,     "mix.weight",       OF_OUTS, OF_OUTS, MEANS,  MIXED              },
    { MIX_G,     STACK,     "mix_norm.weight",  OF_OUTS, OF_D,    ONES,   MIXED              },
    { MIX_B,     STACK,     "mix_norm.bias",    OF_OUTS, OF_D,    ZEROS,  MIXED              },
};
enum { PARAMS = (int)(sizeof params/sizeof *params) };

/* A model is its parameters and its desks.  First the parameters: a tensor is a row of table 3 for
 * one stack or sub-layer; struct sublayer and struct stack point to their tensors' values. */
struct tensor {
    const struct param *row;
    int stack, sub;                     /* sub-layer in the model's array, or -1              */
    int rows, cols;                     /* cols 0: a vector                                   */
    size_t at, count;                   /* in the parameter array                             */
    uint64_t file[3];                   /* value and moments while loading: their place and type  */
};
static struct tensor *tensor_of(const dn_model *m, const real *value);  /* whose value that is */

struct sublayer {
    enum kind kind;
    int stack, layer, index;            /* layer and index (in the model) count from 0        */
    enum op op[TOP];
    real a, b;                          /* factor_of(): for DeepNorm alpha and 1              */
    real *param[SLOTS];                 /* NULL where table 3 has none                        */
};

struct stack {
    int first, subs;                    /* its sub-layers in the model's array                */
    real *param[SLOTS];
    const real *positions;              /* ctx x D, learned or not                            */
};

/* What a sub-layer's backward pass needs besides its input x.  In DN_KEEP each sub-layer has its
 * own.  In DN_RECOMPUTE all share one, but for r and the numbers of its norm: backward refills the
 * rest from x and, having r, need not repeat the sub-layer's last product, unless br or a learned b
 * reads G.  k and v lie by themselves in cross-attention and, as they stay from pass to pass, in a
 * generator's decoder: ctx rows for each sequence, one sequence behind the other. */
struct saved {
    real *n, *n_stat;                   /* in(x)                                     T x D, T x 2 */
    real *q;                            /* q, and for self-attention k, v beside it  T x 3D       */
    real *kv;                           /* k, v by themselves, else NULL             S x 2D       */
    real *c, *c_stat;                   /* attention's output; softmax's numbers  T x D, T x 2H   */
    real *h;                            /* feed-forward before the activation        T x F        */
    real *mid_stat;                     /*                                           T x 2        */
    real *g, *g_stat;                   /* G, where br is not the identity           T x D, T x 2 */
    real *br;                           /* br(G), where b is learned                 T x D        */
    real *r, *r_stat;                   /* a x + b drop(br(G)), where out is a norm  T x D, T x 2 */
};

/* The desk: all that a pass through the network writes but parameter gradients.  A model has one
 * for each pass that runs at a time, a generator has one.  In training each sub-layer has its own
 * y, which the next one reads as x; with nothing kept for backward, they alternate between two. */
struct desk {
    struct team team;
    struct work {
        real *x, *y;                    /* a sub-layer's input and output            T x D        */
        struct saved saved;
    } *sub;                             /* of each sub-layer of the model                         */
    struct stream {
        int tokens;                     /* T of the pass                                          */
        struct span *span;              /* its sequences                                          */
        real *embedded, *other;         /* what the first sub-layer or mix reads, and without
                                         * backward what alternates with it          T x D        */
        real *last;                     /* what the final norm reads: last y, or mix T x D        */
        real *top, *top_stat;           /* the stack's output                        T x D, T x 2 */
        real *mixed, *mixed_stat;       /* LN_k(y_k), each for k = 0 .. layers       T x D, T x 2 */
        real *d;                        /* gradient of the stream                    T x D        */
    } stream[2];
    struct span *cross;                 /* queries of the decoder on keys of the encoder          */
    real *g, *u, *w;                    /* G, act(h), mid            T x D, T x F, the wider      */
    real *dg, *dn, *dc, *du;            /* of G, in(x), c, u    T x D, T x D, T x D, T x F        */
    real *dq, *dkv;                     /* of q (k, v) and of cross k, v         T x 3D, S x 2D   */
    real *dmixed;                       /* of LN_k(y_k), each for k = 0 .. layers    T x D        */
    real *logits, *picked, *dpicked;    /* of R tokens at a time          R x V, R x D, R x D     */
    int *scored;                        /* which tokens have labels                  T            */
    struct token_loss *token_loss;      /*                                           T            */
};

enum { LOSS_ROWS = 256 };               /* R at most, in training and evaluation */

struct dn_model {
    dn_config c;
    enum dn_purpose purpose;
    struct stack stack[2];
    struct sublayer *sub;
    int subs, tensors;
    struct tensor *tensor;
    size_t scalars;                     /* all parameters                                     */
    real *value, *grad, *mean, *square; /* parameters, their gradients, Adam's m and v        */
    real *sinusoid;                     /* ctx x D, or NULL                                   */
    int threads, desks;                 /* parts of a step that are worked on at once         */
    struct desk *desk;
    struct parts *tree;                 /* section 12: what parts leave, and their sums       */
    int64_t step;
};

/* [eq:xavier]  w ~ N(0, s^2),  s = gain sqrt(2/(rows + cols)).  DeepNorm's beta is the gain of V,
 * O, W1 and W2 and is used nowhere else.  [dev:embedding] the paper leaves embeddings open:
 * N(0, 1/D), multiplied by sqrt(D) when read. */
static double deviation(const dn_model *m, const struct tensor *t)
{
    int layer = t->sub < 0 ? 0 : m->sub[t->sub].layer;
    double s = t->row->first == TABLE ? 1/sqrt((double)m->c.dim)
                                      : sqrt(2.0/((double)t->rows + t->cols));
    return s*gain_of(&m->c, t->stack, layer, t->row->slot);
}

/* Element (r, j) of a tensor that is not drawn. */
static double first_value(const dn_model *m, const struct tensor *t, int r, int j)
{
    switch (t->row->first) {
    case ONES:  return 1;
    case SKIPS: return factor_of(&m->c, schemes[m->c.norm].a, t->stack, m->sub[t->sub].layer);
    case MEANS: return j <= r ? 1.0/(r + 1) : 0;
    default:    return 0;
    }
}

/* Each row of a tensor is a random stream of its own, so any thread may draw any tensor.  Rows are
 * not shared out: a team for each of thousands of small tensors costs more than it draws. */
static void model_draw(dn_model *m)
{
    uint64_t seed = rng_key((uint64_t)m->c.seed, STREAM_INIT);
    PARALLEL_JOBS(m->threads,
    for (int i = 0; i < m->tensors; i++) {
        const struct tensor *t = &m->tensor[i];
        int drawn = t->row->first >= TABLE, cols = imax(t->cols, 1);
        acc s = drawn ? (acc)deviation(m, t) : 0;
        uint64_t key = rng_key(seed, (uint64_t)i);
        for (int r = 0; r < t->rows; r++) {
            uint64_t row_key = rng_key(key, (uint64_t)r);
            real *w = ROW(m->value + t->at, r, cols);
            for (int j = 0; j < cols; j++)
                w[j] = (real)(drawn ? s*rng_normal(row_key, (uint32_t)j)
                                    : (acc)first_value(m, t, r, j));
        }
    })
}

/* ---- 9 sub-layers and stacks ------------------------------------------------------------- */

/* One run through the network, on one desk.  Its masks follow from key, and that from the seed, the
 * step and the rows: backward finds those of forward without a state. */
struct pass {
    const dn_model *m;
    struct desk *desk;
    const dn_batch *batch;              /* its rows; a generator has none                     */
    const struct looks *looks;          /* section 13: what is copied on the way, or NULL     */
    real *grad;                         /* gradients of the parameters, or NULL               */
    int fresh;                          /* those of matrices of sub-layers are not there yet  */
    int rows;                           /* sequences                                          */
    int drop;                           /* with dropout                                       */
    uint64_t key;                       /* of the dropout masks                               */
    const real *mem;                    /* output of the encoder, S x D; a generator has none */
    acc *profile;                       /* Admin's profiling: its running deviation, or NULL  */
};

/* Where dropout stands; no two sites of a model share a mask. */
enum site { DROP_BRANCH, DROP_WEIGHTS, DROP_ACTIVATION, DROP_EMBEDDING, DROP_SITES };

static struct dropout dropout_for(const struct pass *pass, int index, enum site site, double rate)
{
    uint64_t key = rng_key(pass->key, (uint64_t)index*DROP_SITES + site);
    return dropout_at(key, pass->drop ? rate : 0);
}

/* The functions that follow gather what an operation needs: the parameters of one sub-layer, their
 * gradients, which lie at the same place of another array, and sizes. */
static real *grad_of(const struct pass *pass, const real *value)
{
    return value && pass->grad ? pass->grad + (value - pass->m->value) : NULL;
}

/* The map of matrix W, with O outputs: Q, K and V lie side by side, so O = 3D takes all three. */
static struct linear linear_of(const struct pass *pass, const struct sublayer *sub, enum slot W,
                               int O, int I)
{
    real *w = sub->param[W], *b = sub->param[BQ + (W - WQ)];
    return (struct linear){ O, I, w, b, grad_of(pass, w), grad_of(pass, b), pass->fresh };
}

/* The logits of the top stack: z = y E^T where the embedding is tied, no bias. */
static struct linear output_of(const struct pass *pass)
{
    const dn_config *c = &pass->m->c;
    real *w = pass->m->stack[top_stack(c)].param[OUTPUT];
    return (struct linear){ c->vocab, c->dim, w, NULL, grad_of(pass, w), NULL, 0 };
}

static struct at_place at_place(const struct pass *pass, enum op op, double factor, real *g,
                                real *b)
{
    return (struct at_place){ op, (real)factor, pass->m->c.heads, g, b, grad_of(pass, g),
                              grad_of(pass, b) };
}

static struct at_place place_of(const struct pass *pass, const struct sublayer *sub,
                                enum place place)
{
    int slot = IN_G + 2*(int)place;     /* gain and bias, as enum slot has them */
    int by_depth = place == IN && (schemes[pass->m->c.norm].more & BY_DEPTH);
    return at_place(pass, sub->op[place], by_depth ? 1/sqrt(sub->layer + 1.0) : 1, sub->param[slot],
                    sub->param[slot + 1]);
}

/* For DeepNorm a = alpha of table 2, as stacks_link() has it from factor_of(), b = 1, and nothing
 * here is learned: skip and scale are NULL, as are their gradients. */
static struct residual residual_of(const struct pass *pass, const struct sublayer *sub)
{
    real *skip = sub->param[SKIP], *scale = sub->param[SCALE];
    struct dropout drop = dropout_for(pass, sub->index, DROP_BRANCH, pass->m->c.dropout);
    return (struct residual){ sub->a, sub->b, skip, scale, grad_of(pass, skip),
                              grad_of(pass, scale), drop };
}

/* Queries on keys: of each sequence on its own, or of the decoder on the encoder's output.  Only
 * the decoder's self-attention is causal. */
static struct attention attention_of(const struct pass *pass, const struct sublayer *sub)
{
    const dn_config *c = &pass->m->c;
    int self = sub->kind == SELF, D = c->dim, E = D/c->heads;
    int alone = pass->desk->sub[sub->index].saved.kv != NULL;   /* else k, v lie beside q */
    return (struct attention){
        self ? pass->desk->stream[sub->stack].span : pass->desk->cross, pass->rows, c->heads, E,
        self && sub->stack == DEC, self ? 3*D : D, alone ? 2*D : 3*D,
        (real)(1/sqrt((double)E)), dropout_for(pass, sub->index, DROP_WEIGHTS, c->attn_dropout) };
}

/* Where q, k and v lie: side by side, or k and v by themselves. */
static struct qkv qkv_of(const struct pass *pass, const struct sublayer *sub)
{
    const struct saved *saved = &pass->desk->sub[sub->index].saved;
    real *k = saved->kv ? saved->kv : saved->q + pass->m->c.dim;
    return (struct qkv){ saved->q, k, k + pass->m->c.dim };
}

/* New keys and values, beside their queries in rows of 3D, go behind earlier ones, rows of 2D. */
static void cache_append(const struct pass *pass, real *cache, const real *q)
{
    int D = pass->m->c.dim;
    for (int r = 0; r < pass->rows; r++) {
        const struct span *span = &pass->desk->stream[DEC].span[r];
        for (int i = 0; i < span->nq; i++)
            memcpy(ROW(cache, span->k0 + span->nk - span->nq + i, 2*D),
                   ROW(q, span->q0 + i, 3*D) + D, 2*(size_t)D*sizeof(real));
    }
}

/* G of an attention sub-layer, T x D:
 *
 *     g = Wo mid( attend(q, k, v) ) + bo,    q = Wq in + bq,   k, v = Wk,v src + bk,v
 *
 * src = in, so that one product makes q, k and v, T x 3D; or the encoder's output mem, S x D, in
 * cross-attention.  DeepNorm scales Wv and Wo, not Wq and Wk:
 * softmax averages values, whatever the queries and keys, so only v and o carry magnitude (the
 * paper's lemma 4.1).  With g NULL, only what backward reads: steps (1) to (3). */
static void attention_fwd(const struct pass *pass, const struct sublayer *sub, real *g,
                          const real *in)
{
    const dn_model *m = pass->m;
    struct desk *desk = pass->desk;
    const struct team *team = &desk->team;
    struct saved *saved = &desk->sub[sub->index].saved;
    int D = m->c.dim, T = desk->stream[sub->stack].tokens, S = desk->stream[ENC].tokens;
    int self = sub->kind == SELF;
    struct attention att = attention_of(pass, sub);
    struct qkv qkv = qkv_of(pass, sub);
    struct linear to_q = linear_of(pass, sub, WQ, att.ldq, D);
    struct linear to_kv = linear_of(pass, sub, WK, 2*D, D), to_g = linear_of(pass, sub, WO, D, D);
    struct at_place mid = place_of(pass, sub, MID);
    linear_fwd(team, qkv.q, in, &to_q, T);                                             /* (1) */
    if (self && saved->kv) cache_append(pass, saved->kv, qkv.q);
    if (!self && pass->mem) linear_fwd(team, qkv.k, pass->mem, &to_kv, S);             /* (2) */
    attend_fwd(team, saved->c, saved->c_stat, &qkv, &att);                             /* (3) */
    if (!g) return;
    const real *o_in = place_fwd(team, desk->w, saved->mid_stat, saved->c, &mid, T, D); /* (4) */
    linear_fwd(team, g, o_in, &to_g, T);                                               /* (5) */
}

/* din = onto + what flows through G, dmem += its part through the encoder's keys and values; dg is
 * the gradient of G, T x D.  What mid made of c is not kept and computed again. */
static void attention_bwd(const struct pass *pass, const struct sublayer *sub, real *din,
                          const real *onto, real *dmem, const real *dg, const real *in)
{
    const dn_model *m = pass->m;
    struct desk *desk = pass->desk;
    const struct team *team = &desk->team;
    const struct saved *saved = &desk->sub[sub->index].saved;
    int D = m->c.dim, T = desk->stream[sub->stack].tokens, S = desk->stream[ENC].tokens;
    int self = sub->kind == SELF;
    struct attention att = attention_of(pass, sub);
    real *dk = self ? desk->dq + D : desk->dkv;
    struct qkv qkv = qkv_of(pass, sub), dqkv = { desk->dq, dk, dk + D };
    struct linear to_q = linear_of(pass, sub, WQ, att.ldq, D);
    struct linear to_kv = linear_of(pass, sub, WK, 2*D, D), to_g = linear_of(pass, sub, WO, D, D);
    struct at_place mid = place_of(pass, sub, MID);
    const real *o_in = place_fwd(team, desk->w, saved->mid_stat, saved->c, &mid, T, D); /* again */
    linear_bwd(team, desk->dc, NULL, dg, o_in, &to_g, T);                              /* (5) */
    place_bwd(team, desk->dc, saved->mid_stat, saved->c, &mid, T, D);                  /* (4) */
    attend_bwd(team, &dqkv, desk->dc, saved->c_stat, &qkv, &att);                      /* (3) */
    if (!self) linear_bwd(team, dmem, dmem, dqkv.k, pass->mem, &to_kv, S);             /* (2) */
    linear_bwd(team, din, onto, dqkv.q, in, &to_q, T);                                 /* (1) */
}

/* u and w, T x F, are not kept: backward computes both again. */
static const real *ffn_hidden(const struct pass *pass, const struct sublayer *sub,
                              const struct at_place *mid)
{
    const dn_config *c = &pass->m->c;
    struct desk *desk = pass->desk;
    const struct saved *saved = &desk->sub[sub->index].saved;
    int F = ffn_width(c), T = desk->stream[sub->stack].tokens;
    struct dropout drop = dropout_for(pass, sub->index, DROP_ACTIVATION, c->act_dropout);
    act_fwd(&desk->team, desk->u, saved->h, c->activation, &drop, T, F);
    return place_fwd(&desk->team, desk->w, saved->mid_stat, desk->u, mid, T, F);
}

/* r-fixup's scalar before the activation. */
static struct at_place act_shift(const struct pass *pass, const struct sublayer *sub)
{
    return at_place(pass, sub->param[ACT_B] ? SHIFT : ID, 1, NULL, sub->param[ACT_B]);
}

/* G of a feed-forward sub-layer, T x D:
 *
 *     g = W2 mid( drop( act( W1 in + b1 ) ) ) + b2
 *
 * DeepNorm scales W1 and W2, as Wv and Wo above.  h: T x F.  With g NULL, only what backward
 * reads: steps (1) and (2). */
static void ffn_fwd(const struct pass *pass, const struct sublayer *sub, real *g, const real *in)
{
    const dn_model *m = pass->m;
    const struct team *team = &pass->desk->team;
    real *h = pass->desk->sub[sub->index].saved.h;
    int D = m->c.dim, F = ffn_width(&m->c), T = pass->desk->stream[sub->stack].tokens;
    struct linear to_h = linear_of(pass, sub, W1, F, D), to_g = linear_of(pass, sub, W2, D, F);
    struct at_place shift = act_shift(pass, sub), mid = place_of(pass, sub, MID);
    linear_fwd(team, h, in, &to_h, T);                                                 /* (1) */
    place_fwd(team, h, NULL, h, &shift, T, F);                                         /* (2) */
    if (!g) return;
    const real *u = ffn_hidden(pass, sub, &mid);                                       /* (3) */
    linear_fwd(team, g, u, &to_g, T);                                                  /* (4) */
}

/* din = onto + what flows through G; dg is the gradient of G, T x D; u and du: T x F. */
static void ffn_bwd(const struct pass *pass, const struct sublayer *sub, real *din,
                    const real *onto, const real *dg, const real *in)
{
    const dn_model *m = pass->m;
    struct desk *desk = pass->desk;
    const struct team *team = &desk->team;
    const struct saved *saved = &desk->sub[sub->index].saved;
    int D = m->c.dim, F = ffn_width(&m->c), T = desk->stream[sub->stack].tokens;
    struct dropout drop = dropout_for(pass, sub->index, DROP_ACTIVATION, m->c.act_dropout);
    struct linear to_h = linear_of(pass, sub, W1, F, D), to_g = linear_of(pass, sub, W2, D, F);
    struct at_place shift = act_shift(pass, sub), mid = place_of(pass, sub, MID);
    const real *u = ffn_hidden(pass, sub, &mid);        /* (3) again */
    linear_bwd(team, desk->du, NULL, dg, u, &to_g, T);                                 /* (4) */
    place_bwd(team, desk->du, saved->mid_stat, desk->u, &mid, T, F);                   /* (3) */
    act_bwd(team, desk->du, saved->h, m->c.activation, &drop, T, F);                   /* (3) */
    place_bwd(team, desk->du, NULL, saved->h, &shift, T, F);                           /* (2) */
    linear_bwd(team, din, onto, desk->du, in, &to_h, T);                               /* (1) */
}

/* One sub-layer, [eq:residual], and what it is for DeepNorm, where nothing stands at in and br, out
 * is LayerNorm, a = alpha and b = 1:
 *
 *     (1)  n = in(x)                      n = x
 *     (2)  G(n)                           attention or feed-forward
 *     (3)  g = br(G)                      g = G
 *     (4)  r = a x + b drop(g)            r = alpha x + drop(G)
 *     (5)  y = out(r)                     y = LN(r)
 *
 * again: the second run of DN_RECOMPUTE, which needs what backward reads and not y.  It leaves out
 * the last product of G, too: G is needed again only for a br or a learned b. */
static void sublayer_fwd(const struct pass *pass, const struct sublayer *sub, int again)
{
    const dn_model *m = pass->m;
    struct desk *desk = pass->desk;
    const struct team *team = &desk->team;
    const struct work *io = &desk->sub[sub->index];
    const struct saved *saved = &io->saved;
    int T = desk->stream[sub->stack].tokens, D = m->c.dim;
    struct at_place in = place_of(pass, sub, IN), br = place_of(pass, sub, BR);
    struct at_place out = place_of(pass, sub, OUT);
    struct residual res = residual_of(pass, sub);
    real *br_g = res.scale ? saved->br : desk->g, *G = br.op == ID ? br_g : saved->g;
    if (again && br.op == ID && !res.scale) G = NULL;
    const real *n = place_fwd(team, saved->n, saved->n_stat, io->x, &in, T, D);        /* (1) */
    if (sub->kind == FFN) ffn_fwd(pass, sub, G, n);                                    /* (2) */
    else attention_fwd(pass, sub, G, n);
    if (!G) return;
    const real *g = place_fwd(team, br_g, saved->g_stat, G, &br, T, D);                /* (3) */
    if (again) return;
    real *r = out.op == ID ? io->y : saved->r;
    residual_fwd(team, r, io->x, g, &res, T, D);                                       /* (4) */
    place_fwd(team, io->y, saved->r_stat, r, &out, T, D);                              /* (5) */
}

/* The same backward: d holds dy and becomes dx; dmem += the gradient of the encoder's output.  x
 * has two ways to y: d carries a dr along the skip, for DeepNorm alpha dr, while dg goes through
 * the branch.  Where nothing stands at in, the last product of G's backward adds the one onto the
 * other, else the sum stands at the end, behind (1). */
static void sublayer_bwd(const struct pass *pass, const struct sublayer *sub, real *d, real *dmem)
{
    const dn_model *m = pass->m;
    struct desk *desk = pass->desk;
    const struct team *team = &desk->team;
    const struct work *io = &desk->sub[sub->index];
    const struct saved *saved = &io->saved;
    int T = desk->stream[sub->stack].tokens, D = m->c.dim;
    struct at_place in = place_of(pass, sub, IN), br = place_of(pass, sub, BR);
    struct at_place out = place_of(pass, sub, OUT);
    struct residual res = residual_of(pass, sub);
    const real *n = in.op == ID ? io->x : saved->n;
    real *dg = desk->dg, *dn = desk->dn, *onto = NULL;
    if (in.op == ID) dn = onto = d;     /* nothing between: the branch's dx goes onto a dr */
    if (m->c.memory == DN_RECOMPUTE) sublayer_fwd(pass, sub, 1);
    place_bwd(team, d, saved->r_stat, saved->r, &out, T, D);                           /* (5) */
    residual_bwd(team, d, dg, io->x, saved->br, &res, T, D);                           /* (4) */
    place_bwd(team, dg, saved->g_stat, saved->g, &br, T, D);                           /* (3) */
    if (sub->kind == FFN) ffn_bwd(pass, sub, dn, onto, dg, n);                         /* (2) */
    else attention_bwd(pass, sub, dn, onto, dmem, dg, n);
    if (in.op == ID) return;
    place_bwd(team, dn, saved->n_stat, io->x, &in, T, D);                              /* (1) */
    PARALLEL_FOR(row_threads(team, T, D),
    for (int t = 0; t < T; t++)
        for (int j = 0; j < D; j++) ROW(d, t, D)[j] += ROW(dn, t, D)[j];)
}

/* [eq:admin]   r = 1 at the foot of a stack; each sub-layer in turn takes omega = r, and then
 *              r = sqrt(var(omega x) + var(drop(G))), over all elements of a batch. */
static acc variance(const struct team *team, const real *x, size_t n)
{
    acc mean = sum_all(x, NULL, n, team->threads)/(acc)n;
    return sum_all(x, x, n, team->threads)/(acc)n - mean*mean;
}

static void profile_sublayer(const struct pass *pass, const struct sublayer *sub)
{
    const struct team *team = &pass->desk->team;
    int T = pass->desk->stream[sub->stack].tokens, D = pass->m->c.dim;
    size_t n = (size_t)T*(size_t)D;
    struct dropout drop = residual_of(pass, sub).drop;
    const real *x = pass->desk->sub[sub->index].x;
    real *g = pass->desk->g;
    acc r = sub->index == pass->m->stack[sub->stack].first ? 1 : *pass->profile;
    for (int j = 0; j < D; j++) sub->param[SKIP][j] = (real)r;
    sublayer_fwd(pass, sub, 0);
    for (int t = 0; t < T; t++) drop_row(ROW(g, t, D), ROW(g, t, D), &drop, (uint64_t)t, D);
    *pass->profile = sqrt_acc(r*r*variance(team, x, n) + variance(team, g, n));
}

/* [eq:dlcl]  Layer l of a stack (from 0; after the last, l = layers) reads z, a mix of LN_k(y_k),
 * k <= l.  at: LN_l; from: row l of the mix. */
struct mixing { struct at_place at; struct mix from; real *n, *stat; };

static struct mixing mixing_at(const struct pass *pass, int s, int l)
{
    const dn_model *m = pass->m;
    const struct stack *stack = &m->stack[s];
    const struct stream *stream = &pass->desk->stream[s];
    int D = m->c.dim, outputs = outputs_of(&m->c, s);
    size_t block = (size_t)l*(size_t)stream->tokens;    /* mixed: layers + 1 blocks of T x D */
    real *w = ROW(stack->param[MIX], l, outputs);
    return (struct mixing){
        at_place(pass, LN, 1, ROW(stack->param[MIX_G], l, D), ROW(stack->param[MIX_B], l, D)),
        { l, w, grad_of(pass, w) }, stream->mixed + block*(size_t)D, stream->mixed_stat + 2*block };
}

/* z, T x D, is read by the first sub-layer of layer l; n_l stays for all layers above. */
static void layer_mix(const struct pass *pass, int s, int l, real *z, const real *y)
{
    const struct stream *stream = &pass->desk->stream[s];
    struct mixing mix = mixing_at(pass, s, l);
    int T = stream->tokens, D = pass->m->c.dim;
    place_fwd(&pass->desk->team, mix.n, mix.stat, y, &mix.at, T, D);                   /* (1) */
    mix_fwd(&pass->desk->team, z, stream->mixed, &mix.from, T, D);                     /* (2) */
}

/* d holds dz and becomes dy_l; layers above have left their share in dmixed. */
static void layer_mix_bwd(const struct pass *pass, int s, int l, real *d)
{
    const dn_model *m = pass->m;
    const struct stack *stack = &m->stack[s];
    struct desk *desk = pass->desk;
    const struct stream *stream = &desk->stream[s];
    struct mixing mix = mixing_at(pass, s, l);
    int T = stream->tokens, D = m->c.dim, outputs = outputs_of(&m->c, s);
    int below = stack->first + l*subs_per_layer(&m->c, s) - 1;
    const real *y = l ? desk->sub[below].y : stream->embedded;
    size_t block = (size_t)T*(size_t)D;
    if (l == outputs - 1) memset(desk->dmixed, 0, (size_t)outputs*block*sizeof(real));
    mix_bwd(&desk->team, desk->dmixed, d, stream->mixed, &mix.from, T, D);             /* (2) */
    memcpy(d, desk->dmixed + (size_t)l*block, block*sizeof(real));
    place_bwd(&desk->team, d, mix.stat, y, &mix.at, T, D);                             /* (1) */
}

/* What stands behind a whole stack: for DeepNorm nothing, since the last sub-layer ends in LN. */
static struct at_place final_of(const struct pass *pass, int s)
{
    const struct stack *stack = &pass->m->stack[s];
    return at_place(pass, op_at(&pass->m->c, TOP, s, 0), 1, stack->param[TOP_G],
                    stack->param[TOP_B]);
}

/* Both stacks may share the table; with DN_TIE_ALL it is the output matrix, too, and three
 * gradients add up in one. */
static struct embedding embedding_of(const struct pass *pass, int s)
{
    const dn_model *m = pass->m;
    const struct stack *stack = &m->stack[s];
    real *table = stack->param[EMBED];
    return (struct embedding){ m->c.dim, table, stack->positions, grad_of(pass, table),
                               grad_of(pass, stack->param[POSITIONS]),
                               dropout_for(pass, m->subs + s, DROP_EMBEDDING, m->c.dropout) };
}

/* Section 13: copies x, what sub-layer i of a stack reads, or its output, to those who want it. */
static void look_at(const struct pass *pass, int s, int i, const real *x);

/* A stack: embedding (1), sub-layers (2), for DLCL each layer behind a mix of all below, final norm
 * (3) where the scheme has one.  Nothing is copied from one sub-layer to the next: x of each is the
 * buffer that y of the one below is, and of the first it is `embedded` (stream_lay, section 12).
 * Returns the output, T x D: without a final norm `last`, the last y. */
static const real *stack_fwd(const struct pass *pass, int s, const int *id)
{
    const dn_model *m = pass->m;
    const struct stack *stack = &m->stack[s];
    struct desk *desk = pass->desk;
    struct stream *stream = &desk->stream[s];
    struct embedding emb = embedding_of(pass, s);
    struct at_place final = final_of(pass, s);
    int mixed = stack->param[MIX] != NULL, per = subs_per_layer(&m->c, s);
    const real *y = stream->embedded;
    embed_fwd(&desk->team, stream->embedded, id, stream->span, pass->rows, &emb);      /* (1) */
    for (int i = 0; i < stack->subs; i++) {                                            /* (2) */
        const struct sublayer *sub = &m->sub[stack->first + i];
        if (mixed && i%per == 0) layer_mix(pass, s, sub->layer, desk->sub[sub->index].x, y);
        if (pass->profile) profile_sublayer(pass, sub);
        else sublayer_fwd(pass, sub, 0);
        if (pass->looks) look_at(pass, s, i, desk->sub[sub->index].x);
        y = desk->sub[sub->index].y;
    }
    if (mixed) layer_mix(pass, s, layers_of(&m->c, s), stream->last, y);
    return place_fwd(&desk->team, stream->top, stream->top_stat, stream->last, &final,
                     stream->tokens, m->c.dim);                                        /* (3) */
}

/* d, T x D, holds the gradient of the output and becomes that of the embedding; what reaches the
 * encoder's output through cross-attention is added to dmem. */
static void stack_bwd(const struct pass *pass, int s, real *d, real *dmem, const int *id)
{
    const dn_model *m = pass->m;
    const struct stack *stack = &m->stack[s];
    const struct desk *desk = pass->desk;
    const struct stream *stream = &desk->stream[s];
    struct embedding emb = embedding_of(pass, s);
    struct at_place final = final_of(pass, s);
    int mixed = stack->param[MIX] != NULL, per = subs_per_layer(&m->c, s);
    place_bwd(&desk->team, d, stream->top_stat, stream->last, &final, stream->tokens,
              m->c.dim);                                                               /* (3) */
    for (int i = stack->subs; i > 0; i--) {                                            /* (2) */
        if (mixed && i%per == 0) layer_mix_bwd(pass, s, i/per, d);
        sublayer_bwd(pass, &m->sub[stack->first + i - 1], d, dmem);
    }
    if (mixed) layer_mix_bwd(pass, s, 0, d);
    embed_bwd(&desk->team, d, id, stream->span, pass->rows, &emb);                     /* (1) */
}

/* Of the dropout masks of the coming step, for a pass from this row of a micro-batch on. */
static uint64_t masks_key(const dn_model *m, int micro, int row)
{
    uint64_t key = rng_key((uint64_t)m->c.seed, STREAM_DROPOUT);
    key = rng_key(key, (uint64_t)m->step*65536 + (uint64_t)micro);
    return row ? rng_key(key, (uint64_t)row) : key;
}

static const int *ids_of(const dn_batch *batch, int s)
{
    return s == DEC ? batch->dec : batch->enc;
}

static const int *lengths_of(const dn_batch *batch, int s)
{
    return s == DEC ? batch->dec_len : batch->enc_len;
}

/* Sequences one after another: query rows = key rows.  Returns the number of tokens. */
static int spans_set(struct span *span, const int *len, int rows)
{
    int at = 0;
    for (int r = 0; r < rows; r++) {
        span[r] = (struct span){ at, len[r], at, len[r] };
        at += len[r];
    }
    return at;
}

/* A pass of these rows over a desk that has room for them. */
static struct pass pass_for(const dn_model *m, struct desk *desk, const dn_batch *batch)
{
    struct pass pass = { .m = m, .desk = desk, .batch = batch, .rows = batch->rows };
    for (int s = ENC; s <= DEC; s++)
        if (has_stack(&m->c, s))
            desk->stream[s].tokens = spans_set(desk->stream[s].span, lengths_of(batch, s),
                                               batch->rows);
    for (int r = 0; crossed(&m->c) && r < batch->rows; r++) {
        const struct span *dec = &desk->stream[DEC].span[r], *enc = &desk->stream[ENC].span[r];
        desk->cross[r] = (struct span){ dec->q0, dec->nq, enc->k0, enc->nk };
    }
    return pass;
}

/* The encoder, if there is one, then the decoder, whose cross-attention reads the encoder's output
 * mem, S x D.  Returns the output of the top stack, T x D. */
static const real *network_fwd(struct pass *pass)
{
    const real *top = NULL;
    for (int s = ENC; s <= DEC; s++) {
        if (!has_stack(&pass->m->c, s)) continue;
        top = stack_fwd(pass, s, ids_of(pass->batch, s));
        if (pass->looks) look_at(pass, s, pass->m->stack[s].subs, top);
        if (s == ENC) pass->mem = top;
    }
    return top;
}

/* The decoder first: its cross-attention adds to the gradient of the encoder's output. */
static void network_bwd(const struct pass *pass)
{
    const dn_config *c = &pass->m->c;
    struct stream *stream = pass->desk->stream;
    real *dmem = stream[ENC].d;
    if (crossed(c)) memset(dmem, 0, (size_t)stream[ENC].tokens*(size_t)c->dim*sizeof(real));
    for (int s = DEC; s >= ENC; s--)
        if (has_stack(c, s)) stack_bwd(pass, s, stream[s].d, dmem, ids_of(pass->batch, s));
}

/* ---- 10 optimizer ------------------------------------------------------------------------ */

/* [eq:inv-sqrt]   lr_t = lr0 + (lr - lr0) t/W for t <= W, then lr sqrt(W/t);   t from 1
 * Or, after the warm-up, a cosine from lr to min_lr at the last step, or lr as it is. */
double dn_learning_rate(const dn_config *c, int64_t step)
{
    const acc pi = (acc)3.14159265358979323846;
    double t = (double)step, W = c->warmup;
    if (step <= c->warmup) return c->warmup_init + (c->lr - c->warmup_init)*t/W;
    if (c->schedule == DN_INV_SQRT) return c->lr*sqrt((W > 1 ? W : 1)/t);
    if (c->schedule == DN_CONSTANT) return c->lr;
    double u = t < c->steps ? (t - W)/(c->steps - W) : 1;
    return c->min_lr + (c->lr - c->min_lr)*(double)(1 + cos_acc(pi*(acc)u))/2;
}

static double bias_correction(double b, int64_t t)                               /* 1 - b^t */
{
    double p = 1;
    for (; t; t >>= 1, b *= b) if (t & 1) p *= b;
    return 1 - p;
}

/* [eq:adam]   g = scale grad,  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
 *             w -= lr m^/(sqrt v^ + eps),  m^ = m/(1 - b1^t),  v^ = v/(1 - b2^t)
 * Matrices are before that multiplied by 1 - lr weight_decay (AdamW).  m and v: mean and square.
 * A fixed b makes gradients in a sub-layer b times as large, so its eps is b eps [eq:completep]. */
static void adam(dn_model *m, double scale, double lr)
{
    const dn_config *c = &m->c;
    real b1 = (real)c->beta1, b2 = (real)c->beta2, one_b1 = (real)(1 - c->beta1);
    real one_b2 = (real)(1 - c->beta2), by = (real)scale;
    real fix = (real)(1/sqrt(bias_correction(c->beta2, m->step + 1)));
    double one_b1t = bias_correction(c->beta1, m->step + 1);
    PARALLEL_FOR(m->threads,
    for (int p = 0; p < PIECES; p++) {
        size_t i = piece(m->scalars, p), last = piece(m->scalars, p + 1);
        for (const struct tensor *t = tensor_of(m, m->value + i); i < last; t++) {
            size_t end = t->at + t->count < last ? t->at + t->count : last;
            real b = t->sub < 0 ? 1 : m->sub[t->sub].b, eps = (real)c->eps*b;
            double own = schemes[c->norm].more & RATE_BY_B ? lr*(double)b : lr;
            real rate = (real)(own/one_b1t);
            real keep = t->row->slot < MATRICES ? (real)(1 - own*c->weight_decay) : 1;
            for (; i < end; i++) {
                real g = by*m->grad[i];
                real mean = m->mean[i] = fmadd(b1, m->mean[i], one_b1*g);
                real square = m->square[i] = fmadd(b2, m->square[i], one_b2*g*g);
                m->value[i] = keep*m->value[i] - rate*mean/fmadd(sqrt_real(square), fix, eps);
            }
        }
    })
}

/* ---- 11 training ------------------------------------------------------------------------- */

/* Section 13 has what is said when something is wrong: with the batch, which is checked before
 * anything is computed, with an activation or a parameter, with a gradient. */
static dn_status diverged_forward(const dn_model *m, const struct desk *desk, char *err);
static dn_status diverged_backward(const dn_model *m, char *err);
static dn_status needs_training(const dn_model *m, char *err);

/* [rule:parts]   One unit of work.  The rows of a step, in order through its micro-batches, go to P
 * parts, a power of two: a row of w tokens behind b of t goes where its middle lies, to part
 * (2 b + w) P/(2 t).  A part runs by itself, on one desk and from a gradient of zero, in as many
 * passes as its rows need there.  The gradient of the step is the sum over a binary tree,
 *
 *     ((part 0 + part 1) + (part 2 + part 3)) + ...,  and so are its losses.
 *
 * Nothing in this asks who computes a part, so threads and machines may share them out as they
 * like.  Section 13 does: share_next() divides, parts_run() shares out and sums. */
struct task {
    dn_model *m;
    const dn_batch *batch;              /* n micro-batches                                    */
    int n, drop, back;                  /* with dropout; with a backward pass,                */
    int onto;                           /* whose gradient goes onto the one that is there     */
    struct token_loss *loss;            /* of each token of the batch, or NULL                */
    const struct looks *looks;          /* asked for instead of losses, or NULL               */
};
struct share { dn_batch batch; int micro, row, at; };   /* from this row and token of its batch */
struct cut { int micro, row, at[2]; int64_t behind, all; };       /* where the next one begins */

static struct cut cut_begin(const struct task *task);
static int share_next(struct share *share, struct cut *cut, const struct task *task, int part);
static void grad_clear(const dn_model *m, real *grad);  /* but for what fresh is about        */

/* The loss of a pass: logits (1) and cross-entropy (2) of the scored tokens, R = LOSS_ROWS at a
 * time, so that logits take R x V numbers and not T x V; picked, R x D: their rows of top.
 * Where the pass has a gradient, that of the sum goes onto that of the output matrix and into the
 * top stream's d, T x D, where the stack takes over.  loss: of each token, T. */
static void loss_run(const struct pass *pass, const real *top, struct token_loss *loss)
{
    const dn_model *m = pass->m;
    const int *label = pass->batch->label, back = pass->grad != NULL;
    struct desk *desk = pass->desk;
    const struct stream *stream = &desk->stream[top_stack(&m->c)];
    struct linear to_logits = output_of(pass);
    int T = stream->tokens, D = m->c.dim, V = m->c.vocab, n = 0;
    size_t row_bytes = (size_t)D*sizeof(real);
    for (int t = 0; t < T; t++) if (label[t] != DN_IGNORE) desk->scored[n++] = t;
    if (back) memset(stream->d, 0, (size_t)T*row_bytes);
    for (int i = 0; i < n; i += LOSS_ROWS) {
        int R = imin(LOSS_ROWS, n - i);
        const int *at = desk->scored + i;
        for (int r = 0; r < R; r++) memcpy(ROW(desk->picked, r, D), ROW(top, at[r], D), row_bytes);
        linear_fwd(&desk->team, desk->logits, desk->picked, &to_logits, R);            /* (1) */
        PARALLEL_FOR(row_threads(&desk->team, R, V),
        for (int r = 0; r < R; r++)                                                    /* (2) */
            loss[at[r]] = cross_entropy_row(ROW(desk->logits, r, V), label[at[r]],
                                            m->c.label_smoothing, V, back);)
        if (!back) continue;
        linear_bwd(&desk->team, desk->dpicked, NULL, desk->logits, desk->picked, &to_logits,
                   R);                                                                 /* (1) */
        for (int r = 0; r < R; r++)
            memcpy(ROW(stream->d, at[r], D), ROW(desk->dpicked, r, D), row_bytes);
    }
}

/* Sums over T tokens, one by one, so that they have one order whatever LOSS_ROWS and threads are.
 * Sums and not means, because each token of a step counts the same, whatever part it is in. */
static dn_stats losses_sum(const struct token_loss *loss, const int *label, int T)
{
    dn_stats sums = {0};
    acc total = 0, nll = 0;
    for (int t = 0; t < T; t++) {
        if (label[t] == DN_IGNORE) continue;
        total += loss[t].loss;
        nll += loss[t].nll;
        sums.correct += loss[t].correct;
        sums.tokens++;
    }
    sums.loss = (double)total;
    sums.nll = (double)nll;
    return sums;
}

static void stats_add(dn_stats *sums, const dn_stats *more)
{
    sums->loss += more->loss;
    sums->nll += more->nll;
    sums->tokens += more->tokens;
    sums->correct += more->correct;
}

/* From sums to means over the scored tokens; without any, 0 stays 0. */
static void stats_average(dn_stats *stats)
{
    if (!stats->tokens) return;
    stats->loss /= stats->tokens;
    stats->nll /= stats->tokens;
}

/* One part on one desk: forward, loss, backward of its rows, as many at a time as the desk has room
 * for.  Sums of losses go to stats, the gradient of their sum goes onto grad: the chains of a later
 * pass go on where those of an earlier one ended. */
static dn_status part_run(const struct task *task, int part, struct desk *desk, real *grad,
                          int onto, dn_stats *stats, char *err)
{
    const dn_model *m = task->m;
    struct cut cut = cut_begin(task);
    struct share share;
    int fresh = grad && !onto;
    if (fresh) grad_clear(m, grad);
    while (share_next(&share, &cut, task, part)) {
        struct pass pass = pass_for(m, desk, &share.batch);
        pass.looks = task->looks;
        pass.grad = grad;
        pass.fresh = fresh;
        fresh = 0;
        pass.drop = task->drop;
        pass.key = masks_key(m, share.micro, share.row);
        const real *top = network_fwd(&pass);
        if (task->looks) continue;
        struct token_loss *loss = task->loss ? task->loss + share.at : desk->token_loss;
        loss_run(&pass, top, loss);
        dn_stats sums = losses_sum(loss, share.batch.label, desk->stream[top_stack(&m->c)].tokens);
        if (!is_finite((acc)sums.loss)) return diverged_forward(m, desk, err);
        stats_add(stats, &sums);
        if (task->back) network_bwd(&pass);
    }
    if (fresh) memset(grad, 0, m->scalars*sizeof *grad);        /* a part without rows */
    return DN_OK;
}

/* The second half of a step, with the gradient of the summed losses of stats->tokens tokens in
 * grad: the mean over tokens (1), its norm over all parameters together (2), clipping to the
 * norm that the configuration allows (3), Adam (4).  The mean and the clipping are one factor,
 * which Adam applies as it reads.  Nothing is touched unless every number stays finite. */
dn_status dn_apply(dn_model *m, dn_stats *stats, char *err)
{
    if (needs_training(m, err)) return DN_EINVAL;
    if (stats->tokens < 1) return fail(err, DN_EINVAL, "the batch has no label to learn from");
    acc squares = sum_all(m->grad, m->grad, m->scalars, m->threads);
    double scale = 1.0/stats->tokens, norm = scale*sqrt((double)squares);         /* (1), (2) */
    stats_average(stats);
    stats->lr = dn_learning_rate(&m->c, m->step + 1);
    stats->grad_norm = norm;
    if (!is_finite((acc)norm)) return diverged_backward(m, err);
    if (m->c.clip > 0 && norm > m->c.clip) {                                           /* (3) */
        scale *= m->c.clip/norm;
        norm = m->c.clip;
    }
    if (norm*norm > (double)REAL_MAX) return diverged_backward(m, err);     /* Adam squares it */
    adam(m, scale, stats->lr);                                                         /* (4) */
    m->step++;
    return DN_OK;
}

/* One step.  How far it moves the model's output is what the paper is about: by SGD with DeepNorm
 * as far at any depth, by Adam as sqrt N; thm:update and thm:adam of test.c measure it. */
dn_status dn_train_step(dn_model *m, const dn_batch *batch, int n, dn_stats *stats, char *err)
{
    dn_status status = dn_gradient_of(m, batch, n, 0, m->c.parts, stats, err);
    return status ? status : dn_apply(m, stats, err);
}

/* ---- HERE THE PAPER ENDS: what follows is plumbing ---------------------------------------- */

/* ---- 12 memory: who lies where in the block ---------------------------------------------- */

/* Whatever is said here of one run holds for both: the first counts, with every pointer NULL, and
 * the second carves the same things in the same order.  So code that stores into what it has just
 * taken asks first whether it was given. */
static void config_round(dn_config *c);                 /* section 15 */

#if INT_MAX < 2147483647
#error "int must have 32 bits: it counts tokens and holds sizes"
#endif

/* What jobs share they change while they hold a lock. */
#ifdef _OPENMP
typedef omp_lock_t mutex;
static void lock_make(mutex *l) { omp_init_lock(l); }
static void lock_take(mutex *l) { omp_set_lock(l); }
static void lock_give(mutex *l) { omp_unset_lock(l); }
static void lock_drop(mutex *l) { omp_destroy_lock(l); }
#else
typedef int mutex;
static void lock_make(mutex *l) { *l = 0; }
static void lock_take(mutex *l) { (void)l; }
static void lock_give(mutex *l) { (void)l; }
static void lock_drop(mutex *l) { (void)l; }
#endif

static int threads_of(const dn_config *c) { return c->threads ? c->threads : thread_max(); }

enum { PART_TOKENS = 128, PARTS_MOST = 8 };

/* The parts of a step, where the configuration leaves it open: as many as leave each the tokens
 * that make its products worth their packing, and the longest row. */
static int parts_of(const dn_config *c)
{
    int parts = 1, least = imax(imax(PART_TOKENS, c->dim), c->ctx);
    if (c->parts) return c->parts;
    while (parts < PARTS_MOST && c->batch_tokens/(2*parts) >= least) parts *= 2;
    return parts;
}

/* Tokens of a stream that a desk has room for: those of a part, and as parts are not all alike a
 * quarter more. */
static int desk_tokens(const dn_config *c)
{
    int parts = parts_of(c), each = (c->batch_tokens + parts - 1)/parts;
    return parts == 1 ? each : imin(c->batch_tokens, imax(c->ctx, each + each/4));
}

/* What the parts of a task leave, on a tree: node 1 is the root, node k the sum of nodes 2 k and
 * 2 k + 1, and part p is node P + p. */
struct parts {
    dn_stats *stats;                    /* of each part: sums                                 */
    struct token_loss *loss;            /* of each token of a batch that is evaluated         */
    real **node;                        /* 2 P: the gradient below, where complete, or NULL   */
    real **array, **idle;               /* for them: all, and a stack of those in no node;    */
    int idles;                          /* the first of all is the model's own                */
    int failed;                         /* the first part that diverged, or P                 */
    mutex lock;                         /* of all but stats and loss, while parts run         */
};

/* How many arrays suffice for the gradients of P parts that are taken in ascending order, d desks'
 * at a time.  Each of the k <= d parts that run holds one, and so does each complete subtree that
 * waits for its sibling.  The parent of such a one lies on the way from the root to a part that
 * runs, and not where two ways divide, which is in k - 1 nodes.  Of a level of n nodes at most
 * min(d, n) lie on a way; so with all levels n = 1, 2, 4, ... P/2 the arrays are at most
 *     k + (1 + sum of min(d, n) from n = 2 on) - (k - 1) = 2 + that sum.
 * (Where k < d, the way to the part that is taken next counts as one of a part that runs.)
 * But in small models each part has its own, and all are added up in the end, by all threads. */
#ifndef DN_SMALL
#define DN_SMALL (1u << 24)             /* scalars in all */
#endif
static int arrays_enough(const dn_model *m)
{
    int n = m->c.parts > 1 ? 2 : 1;
    for (int level = 2; level < m->c.parts; level *= 2) n += imin(m->desks, level);
    return m->scalars <= DN_SMALL/(unsigned)m->c.parts ? m->c.parts : n;
}

/* The features of a stack (i < 0) or of its sub-layer i: the method's, those that the
 * configuration adds, and what stands at the places of this sub-layer.  A stack has an embedding
 * of its own unless it shares the encoder's, and an output matrix of its own unless that is an
 * embedding. */
static uint64_t features(const dn_config *c, int stack, int i)
{
    uint64_t has = schemes[c->norm].more;
    if (c->bias && !(has & SHIFTED)) has |= BIASED;
    if (c->positions == DN_LEARNED) has |= LEARNED;
    if (c->tie != DN_TIE_ALL || stack == ENC || !has_stack(c, ENC)) has |= OWN_EMBED;
    if (c->tie == DN_TIE_NONE && stack == top_stack(c)) has |= OWN_OUTPUT;
    for (int p = 0; p < PLACES; p++)
        if ((p == TOP) == (i < 0)) has |= AT(p, op_at(c, (enum place)p, stack, i));
    return has;
}

/* An extent of table 3 in numbers; a vector has no columns. */
static int extent_of(const dn_config *c, int stack, enum extent e)
{
    switch (e) {
    case OF_1:       return 1;
    case OF_D:       return c->dim;
    case OF_F:       return ffn_width(c);
    case OF_H:       return c->heads;
    case OF_V:       return c->vocab;
    case OF_CTX:     return c->ctx;
    case OF_OUTS:    return outputs_of(c, stack);
    case VECTOR:     break;
    }
    return 0;
}

static const char *kind_name(enum kind kind)
{
    return kind == SELF ? "self_attn" : kind == CROSS ? "cross_attn" : "ffn";
}

/* encoder.3.self_attn.q.weight, decoder.norm.bias, output.weight: as checkpoints and messages have
 * it, and PyTorch's modules would. */
static const char *tensor_name(const dn_model *m, const struct tensor *t, char name[DN_NAME_MAX])
{
    const struct sublayer *sub = t->sub < 0 ? NULL : &m->sub[t->sub];
    if (t->row->slot == OUTPUT)
        say(name, DN_NAME_MAX, "%s", t->row->name);
    else if (!sub)
        say(name, DN_NAME_MAX, "%s.%s", stack_name[t->stack], t->row->name);
    else
        say(name, DN_NAME_MAX, "%s.%d.%s.%s", stack_name[t->stack], (int64_t)sub->layer,
            kind_name(sub->kind), t->row->name);
    return name;
}

/* One tensor of a stack (sub < 0) or sub-layer: count it, and once there is a table note it there
 * and point to it.  rows x cols is (out, in); a vector has no cols.  The sum is made in 64 bits, so
 * that it cannot wrap before it is compared with what addresses can reach. */
static void tensor_add(struct arena *arena, dn_model *m, const struct param *row, int stack,
                       int sub)
{
    int rows = extent_of(&m->c, stack, row->rows), cols = extent_of(&m->c, stack, row->cols);
    uint64_t count = (uint64_t)rows*(uint64_t)imax(cols, 1), all = count + m->scalars;
    if (all > SIZE_MAX/sizeof(real)) arena->overflow = 1;
    if (m->tensor) {
        real **param = sub < 0 ? m->stack[stack].param : m->sub[sub].param;
        m->tensor[m->tensors] = (struct tensor){ row, stack, sub, rows, cols, m->scalars,
                                                 (size_t)count, {0, 0, 0} };
        param[row->slot] = m->value + m->scalars;
    }
    m->tensors++;
    m->scalars = (size_t)all;
}

/* All tensors: first the matrices of both stacks, then vectors and DLCL's mix.  Both times stack by
 * stack and sub-layer by sub-layer in the order of table 3, so that Wq, Wk and Wv become
 * neighbours, and so do their biases. */
static void tensors_lay(struct arena *arena, dn_model *m)
{
    m->tensors = 0;
    m->scalars = 0;
    for (int vectors = 0; vectors < 2; vectors++)
        for (int s = ENC; s <= DEC; s++)
            for (int i = -1; has_stack(&m->c, s) && i < m->stack[s].subs; i++) {
                enum kind kind = i < 0 ? STACK : kind_at(&m->c, s, i);
                uint64_t has = features(&m->c, s, i);
                int sub = i < 0 ? -1 : m->stack[s].first + i;
                for (const struct param *row = params; row < params + PARAMS; row++) {
                    if (!(row->kinds & kind) || (row->slot >= MATRICES) != vectors) continue;
                    if (row->when && !(row->when & has)) continue;
                    tensor_add(arena, m, row, s, sub);
                }
            }
}

/* Each thread has its workspace of the product, and P and A of attention: QROWS x ctx each. */
static void team_take(struct arena *arena, struct team *team, const dn_config *c, int threads)
{
    team->threads = threads;
    team->ctx = c->ctx;
    team->product = take_reals(arena, (size_t)team->threads, matmul_work());
    team->attention = take(arena, sizeof(real), (size_t)team->threads, 2*QROWS, (size_t)c->ctx);
}

/* What a desk is for: streams of T tokens in at most `rows` sequences, logits of R tokens at a
 * time; train: a backward pass may follow; cached: a generator's, keys and values in a cache.  at:
 * of each place, in which kinds of sub-layers something stands there. */
struct use { size_t T, rows, R; int threads, train, cached; unsigned at[TOP]; };

static void places_find(struct use *use, const dn_config *c)
{
    for (int s = ENC; s <= DEC; s++)
        for (int i = 0; i < subs_of(c, s); i++)
            for (int p = 0; p < TOP; p++)
                if (op_at(c, (enum place)p, s, i) != ID) use->at[p] |= kind_at(c, s, i);
}

/* What sub-layers of these kinds keep for backward, but for r: see struct saved for the shapes.  A
 * generator's k and v are not among it. */
static void saved_take(struct arena *arena, struct saved *saved, const dn_config *c, unsigned kinds,
                       const struct use *use)
{
    size_t T = use->T, D = (size_t)c->dim, H = (size_t)c->heads;
    if (use->at[IN] & kinds) {
        saved->n = take_reals(arena, T, D);
        saved->n_stat = take_reals(arena, T, 2);
    }
    if (kinds & SELF)       saved->q = take_reals(arena, T, 3*D);
    else if (kinds & CROSS) saved->q = take_reals(arena, T, D);
    if ((kinds & CROSS) && !use->cached) saved->kv = take_reals(arena, T, 2*D);
    if (kinds & ATTENTION) {
        saved->c = take_reals(arena, T, D);
        saved->c_stat = take_reals(arena, T, 2*H);
    }
    if (kinds & FFN)          saved->h = take_reals(arena, T, (size_t)ffn_width(c));
    if (use->at[MID] & kinds) saved->mid_stat = take_reals(arena, T, 2);
    if (use->at[BR] & kinds) {
        saved->g = take_reals(arena, T, D);
        saved->g_stat = take_reals(arena, T, 2);
    }
    if (schemes[c->norm].more & (SCALED|GATED)) saved->br = take_reals(arena, T, D);
}

/* r = a x + b drop(br(G)), where a norm stands behind it, and that norm's numbers: T x D, T x 2.
 * For DeepNorm these are all that DN_RECOMPUTE keeps of a sub-layer besides x. */
static void sum_take(struct arena *arena, struct saved *saved, const dn_config *c, unsigned kinds,
                     const struct use *use)
{
    if (!(use->at[OUT] & kinds)) return;
    saved->r = take_reals(arena, use->T, (size_t)c->dim);
    saved->r_stat = take_reals(arena, use->T, 2);
}

/* Who keeps what: without a backward pass all sub-layers share everything but a generator's keys
 * and values; in DN_KEEP nothing; in DN_RECOMPUTE each has what sum_take() takes as its own.  For
 * DeepNorm, reals per token and sub-layer, x included:
 *
 *                        keep                            recompute
 *     self-attention     x, q, k, v, c, r: 6D + 2H + 2   2D + 2
 *     cross-attention    x, q, k, v, c, r: 6D + 2H + 2   2D + 2
 *     feed-forward       x, h, r: 2D + F + 2             2D + 2
 *
 * so with F = 4D a layer of an encoder takes three times as much to keep as to recompute. */
static void saved_lay(struct arena *arena, struct desk *desk, const dn_config *c,
                      const struct use *use)
{
    unsigned all = crossed(c) ? EACH : SELF|FFN;
    int first = first_of(c, DEC), subs = subs_of_both(c);
    int keep = use->train && c->memory == DN_KEEP;
    struct saved shared = {0};
    if (!keep) saved_take(arena, &shared, c, all, use);
    if (!use->train) sum_take(arena, &shared, c, all, use);
    for (int i = 0; i < subs; i++) {
        unsigned kind = i < first ? kind_at(c, ENC, i) : kind_at(c, DEC, i - first);
        struct saved own = shared;
        if (keep) saved_take(arena, &own, c, kind, use);
        if (use->train) sum_take(arena, &own, c, kind, use);
        if (use->cached && i >= first && kind != FFN)
            own.kv = take_reals(arena, use->T, 2*(size_t)c->dim);
        else if (kind != CROSS) own.kv = NULL;
        if (desk->sub) desk->sub[i].saved = own;
    }
}

/* Of the deeper stack. */
static size_t most_outputs(const dn_config *c)
{
    return (size_t)imax(outputs_of(c, ENC), outputs_of(c, DEC));
}

/* What a stack writes besides the x and y of sub-layers: for DeepNorm the embedding, and a
 * gradient or a second buffer, since no norm stands after a stack and no layer is mixed.  In a
 * generator the encoder has finished before the decoder begins, so both write into the same; the
 * sources' spans are read later, so these are each stack's own. */
static void stream_take(struct arena *arena, struct desk *desk, const dn_config *c, int s,
                        const struct use *use)
{
    struct stream *stream = &desk->stream[s];
    unsigned more = schemes[c->norm].more;
    size_t T = use->T, D = (size_t)c->dim;
    if (use->cached && s == DEC && crossed(c)) {
        *stream = desk->stream[ENC];
    } else {
        stream->embedded = take_reals(arena, T, D);
        if (!use->train) stream->other = take_reals(arena, T, D);
        if (op_at(c, TOP, s, 0) != ID) {
            stream->top = take_reals(arena, T, D);
            stream->top_stat = take_reals(arena, T, 2);
        }
        if (more & MIXED) {
            size_t outputs = use->cached ? most_outputs(c) : (size_t)outputs_of(c, s);
            stream->mixed = take(arena, sizeof(real), outputs, T, D);
            stream->mixed_stat = take(arena, sizeof(real), outputs, T, 2);
        }
    }
    stream->span = take(arena, sizeof(struct span), use->rows, 1, 1);
    if (use->train) stream->d = take_reals(arena, T, D);
}

/* x and y of the sub-layers of a stack.  For a backward pass each has its y, which is x of the next
 * unless it is mixed first.  Else two buffers alternate, and a mix may overwrite what it read. */
static void stream_lay(struct arena *arena, struct desk *desk, const dn_config *c, int s,
                       const struct use *use)
{
    struct stream *stream = &desk->stream[s];
    size_t T = use->T, D = (size_t)c->dim;
    int first = first_of(c, s), per = subs_per_layer(c, s);
    int mixed = use->train && (schemes[c->norm].more & MIXED);
    real *two[2] = { stream->embedded, stream->other }, *x = two[0];
    for (int i = 0; i < subs_of(c, s); i++) {
        if (mixed && i%per == 0) x = take_reals(arena, T, D);
        real *y = use->train ? take_reals(arena, T, D) : two[!(i & 1)];
        if (desk->sub) {
            desk->sub[first + i].x = x;
            desk->sub[first + i].y = y;
        }
        x = y;
    }
    stream->last = mixed ? take_reals(arena, T, D) : x;
}

/* What one sub-layer needs while it runs and the next overwrites: forward G, act(h) and what mid
 * makes of either, backward a gradient of in(x), q, k, v, c, u and G.  And the same for the loss: R
 * rows of logits, which become their own gradient, and of what they were made from. */
static void scratch_take(struct arena *arena, struct desk *desk, const dn_config *c,
                         const struct use *use)
{
    size_t T = use->T, R = use->R, D = (size_t)c->dim, F = (size_t)ffn_width(c);
    desk->g = take_reals(arena, T, D);
    desk->u = take_reals(arena, T, F);
    if (use->at[MID]) desk->w = take_reals(arena, T, D > F ? D : F);
    desk->logits = take_reals(arena, R, (size_t)c->vocab);
    desk->picked = take_reals(arena, R, D);
    if (use->cached) return;
    desk->scored = take(arena, sizeof(int), T, 1, 1);
    desk->token_loss = take(arena, sizeof(struct token_loss), T, 1, 1);
    if (!use->train) return;
    desk->dg = take_reals(arena, T, D);
    if (use->at[IN]) desk->dn = take_reals(arena, T, D);
    desk->dc = take_reals(arena, T, D);
    desk->du = take_reals(arena, T, F);
    desk->dq = take_reals(arena, T, 3*D);
    if (crossed(c)) desk->dkv = take_reals(arena, T, 2*D);
    desk->dpicked = take_reals(arena, R, D);
    if (schemes[c->norm].more & MIXED)
        desk->dmixed = take(arena, sizeof(real), most_outputs(c), T, D);
}

/* A whole desk: threads, streams, cache, what is kept, scratch.  Where batches are large this is
 * most of a model's block, and the part that a second pass at the same time would need again. */
static void desk_lay(struct arena *arena, struct desk *desk, const dn_config *c,
                     const struct use *use)
{
    size_t subs = (size_t)subs_of_both(c);
    team_take(arena, &desk->team, c, use->threads);
    desk->sub = take(arena, sizeof *desk->sub, subs, 1, 1);
    for (int s = ENC; s <= DEC; s++) {
        if (!has_stack(c, s)) continue;
        stream_take(arena, desk, c, s, use);
        stream_lay(arena, desk, c, s, use);
    }
    if (crossed(c)) desk->cross = take(arena, sizeof(struct span), use->rows, 1, 1);
    saved_lay(arena, desk, c, use);
    scratch_take(arena, desk, c, use);
}

/* Desks, and what parts leave.  Only where there is one desk do threads split its products. */
static void desks_lay(struct arena *arena, dn_model *m)
{
    const dn_config *c = &m->c;
    size_t T = (size_t)desk_tokens(c), R = (size_t)imin(LOSS_ROWS, desk_tokens(c));
    size_t P = (size_t)m->c.parts, arrays = (size_t)arrays_enough(m);
    struct use use = { T, T, R, m->desks > 1 ? 1 : m->threads, m->purpose == DN_TRAIN, 0, {0} };
    places_find(&use, c);
    m->desk = take(arena, sizeof *m->desk, (size_t)m->desks, 1, 1);
    for (int i = 0; i < m->desks; i++) {
        struct desk desk = {0};
        desk_lay(arena, &desk, c, &use);
        if (m->desk) m->desk[i] = desk;
    }
    struct parts *tree = m->tree = take(arena, sizeof *tree, 1, 1, 1), none;
    if (!tree) tree = &none;
    tree->stats = take(arena, sizeof *tree->stats, P, 1, 1);
    tree->loss = take(arena, sizeof *tree->loss, (size_t)c->batch_tokens, 1, 1);
    if (m->purpose != DN_TRAIN) return;
    tree->node = take(arena, sizeof(real *), 2, P, 1);
    tree->array = take(arena, sizeof(real *), arrays, 1, 1);
    tree->idle = take(arena, sizeof(real *), arrays, 1, 1);
    for (size_t i = 0; i < arrays; i++) {
        real *array = i ? take_reals(arena, m->scalars, 1) : m->grad;
        if (m->tree) tree->array[i] = array;
    }
}

/* Everything in the block, in this order:
 *
 *     dn_model, sub-layers, table of tensors, values, gradient, both moments, sinusoids, desks
 *
 * What only training needs is left out for other purposes, and values where they are borrowed.  The
 * carving run calls tensors_lay twice: only after the first call is known how long the table is. */
static void model_lay(struct arena *arena, dn_model *m)
{
    const dn_config *c = &m->c;
    m->threads = threads_of(c);
    m->c.parts = parts_of(c);
    for (int s = ENC; s <= DEC; s++) {
        m->stack[s].first = first_of(c, s);
        m->stack[s].subs = subs_of(c, s);
    }
    m->subs = subs_of_both(c);
    m->sub = take(arena, sizeof *m->sub, (size_t)m->subs, 1, 1);
    if (m->sub) memset(m->sub, 0, (size_t)m->subs*sizeof *m->sub);
    tensors_lay(arena, m);
    m->tensor = take(arena, sizeof *m->tensor, (size_t)m->tensors, 1, 1);
    if (m->purpose != DN_BORROW) m->value = take_reals(arena, m->scalars, 1);
    if (m->tensor) tensors_lay(arena, m);
    if (m->purpose == DN_TRAIN) {
        m->grad = take_reals(arena, m->scalars, 1);
        m->mean = take_reals(arena, m->scalars, 1);
        m->square = take_reals(arena, m->scalars, 1);
    }
    if (c->positions == DN_SINUSOIDAL)
        m->sinusoid = take_reals(arena, (size_t)c->ctx, (size_t)c->dim);
    desks_lay(arena, m);
}

/* The count begins with dn_model itself, as model_new does, and leaves room to align the block; 0:
 * too large for this machine's addresses. */
static size_t bytes_with(const dn_config *c, enum dn_purpose purpose, int desks)
{
    struct arena arena = { NULL, 0, 0 };
    dn_model m = { .c = *c, .purpose = purpose, .desks = desks };
    take(&arena, sizeof m, 1, 1, 1);
    model_lay(&arena, &m);
    return arena.overflow ? 0 : arena.used + ALIGN - 1;
}

/* Where the configuration leaves it open there is a desk for each thread, or for each second,
 * fourth, ... one, until the model takes at most half as much memory again as for a step in one
 * part, or next to nothing: 512 MiB.  A thread without a desk has no work, unless there is one desk
 * and all split its products: so that is better for a wide model and many threads. */
static int desks_of(const dn_config *c, enum dn_purpose purpose)
{
    int desks = imin(c->desks ? c->desks : threads_of(c), parts_of(c));
    dn_config whole = *c;
    if (c->desks || desks == 1) return desks;
    whole.parts = 1;
    size_t one = bytes_with(&whole, purpose, 1), most = one + one/2, little = (size_t)1 << 29;
    if (most < little) most = little;
    while (desks > 1 && bytes_with(c, purpose, desks) - 1 >= most)
        desks /= 2;                     /* - 1: so that 0 is too much */
    return c->dim >= 256 && 2*desks < threads_of(c) ? 1 : desks;
}

size_t dn_model_bytes(const dn_config *c, enum dn_purpose purpose, char *err)
{
    if (dn_config_check(c, err)) return 0;
    size_t bytes = bytes_with(c, purpose, desks_of(c, purpose));
    if (!bytes) fail(err, DN_EINVAL, "this model is too large for this machine's addresses");
    return bytes;
}

dn_sharing dn_sharing_of(const dn_config *c, enum dn_purpose purpose)
{
    return (dn_sharing){ parts_of(c), desks_of(c, purpose) };
}

/* What each sub-layer is, and who shares a parameter: the sub-layers of a layer their gate, both
 * stacks and the output an embedding. */
static void stacks_link(dn_model *m)
{
    for (int s = ENC; s <= DEC; s++) {
        struct stack *stack = &m->stack[s];
        int per = subs_per_layer(&m->c, s);
        for (int i = 0; i < stack->subs; i++) {
            struct sublayer *sub = &m->sub[stack->first + i], *foot = sub - i%per;
            sub->kind = kind_at(&m->c, s, i);
            sub->stack = s;
            sub->layer = i/per;
            sub->index = stack->first + i;
            sub->a = (real)factor_of(&m->c, schemes[m->c.norm].a, s, sub->layer);
            sub->b = (real)factor_of(&m->c, schemes[m->c.norm].b, s, sub->layer);
            for (int p = 0; p < TOP; p++) sub->op[p] = op_at(&m->c, (enum place)p, s, i);
            if (!sub->param[SCALE]) sub->param[SCALE] = foot->param[SCALE];
        }
        stack->positions = stack->param[POSITIONS] ? stack->param[POSITIONS] : m->sinusoid;
        if (!stack->param[EMBED]) stack->param[EMBED] = m->stack[ENC].param[EMBED];
    }
    struct stack *top = &m->stack[top_stack(&m->c)];
    if (!top->param[OUTPUT]) top->param[OUTPUT] = top->param[EMBED];
}

/* A model in its block, whose parameters have no values yet, or those handed in.  Numbers of the
 * configuration become what a checkpoint can hold, so that a model and its file agree. */
static dn_model *model_new(const dn_config *c, enum dn_purpose purpose, real *values, void *block,
                           size_t size, char *err)
{
    size_t need = dn_model_bytes(c, purpose, err);
    if (!need) return NULL;
    if (!block) size = 0;
    if (size < need)
        return fail(err, DN_ENOMEM, "the model needs %d bytes, the block has %d", (int64_t)need,
                    (int64_t)size), NULL;
    struct arena arena = arena_on(block);
    dn_model *m = take(&arena, sizeof *m, 1, 1, 1);
    *m = (dn_model){ .c = *c, .purpose = purpose, .value = values };
    m->desks = desks_of(c, purpose);
    config_round(&m->c);
    model_lay(&arena, m);
    stacks_link(m);
    if (m->sinusoid) sinusoids(m->sinusoid, c->ctx, c->dim);
    return m;
}

static void zero_all(real *x, size_t n, int threads)
{
    PARALLEL_FOR(threads,
    for (int i = 0; i < PIECES; i++)
        memset(x + piece(n, i), 0, (piece(n, i + 1) - piece(n, i))*sizeof *x);)
}

/* Gradient and moments start at 0; whatever a desk holds is written before it is read. */
dn_model *dn_model_init(const dn_config *c, enum dn_purpose purpose, void *block, size_t size,
                        char *err)
{
    if (purpose == DN_BORROW)
        return fail(err, DN_EINVAL, "dn_model_borrow makes such a model"), NULL;
    dn_model *m = model_new(c, purpose, NULL, block, size, err);
    if (!m) return NULL;
    model_draw(m);
    if (purpose == DN_TRAIN) {
        zero_all(m->mean, m->scalars, m->threads);
        zero_all(m->square, m->scalars, m->threads);
        dn_zero_grad(m);
    }
    return m;
}

/* The cast takes const from what is never written: DN_BORROW has no gradient, and dn_load and
 * dn_profile refuse it. */
dn_model *dn_model_borrow(const dn_config *c, const dn_real *values, void *block, size_t size,
                          char *err)
{
    if (!values) return fail(err, DN_EINVAL, "no parameters to borrow"), NULL;
    return model_new(c, DN_BORROW, (real *)values, block, size, err);
}

/* What a user may know of a model. */
const dn_config *dn_model_config(const dn_model *m) { return &m->c; }
size_t  dn_param_count(const dn_model *m)  { return m->scalars; }
int     dn_tensor_count(const dn_model *m) { return m->tensors; }
int64_t dn_step_count(const dn_model *m)   { return m->step; }

/* Tensors lie in the order of their places in the parameter array. */
static struct tensor *tensor_of(const dn_model *m, const real *value)
{
    int low = 0, high = m->tensors - 1;
    while (low < high) {
        int middle = low + (high - low + 1)/2;
        if (m->value + m->tensor[middle].at <= value) low = middle;
        else high = middle - 1;
    }
    return &m->tensor[low];
}

dn_tensor dn_tensor_at(const dn_model *m, int i)
{
    const struct tensor *t = &m->tensor[i];
    dn_tensor out;
    tensor_name(m, t, out.name);
    out.rows = t->rows;
    out.cols = t->cols;
    out.value = m->value + t->at;
    out.grad = m->grad ? m->grad + t->at : NULL;
    return out;
}

/* ---- 13 batches, passes ------------------------------------------------------------------- */

static dn_status ids_check(const dn_config *c, const char *what, const int *id, int n, char *err)
{
    for (int t = 0; t < n; t++)
        if (id[t] < 0 || id[t] >= c->vocab)
            return fail(err, DN_EINVAL, "token %d of the %s is %d, outside the vocabulary of %d",
                        (int64_t)t, what, (int64_t)id[t], (int64_t)c->vocab);
    return DN_OK;
}

/* Rows of 1 to ctx tokens, at most `room` in all; their number goes to *tokens. */
static dn_status rows_check(const dn_config *c, const char *what, const int *id, const int *len,
                            int rows, int room, int *tokens, char *err)
{
    *tokens = 0;
    if (!id || !len) return fail(err, DN_EINVAL, "the %s has no input", what);
    for (int r = 0; r < rows; r++) {
        if (len[r] < 1 || len[r] > c->ctx)
            return fail(err, DN_EINVAL, "row %d of the %s has %d tokens; 1 to %d are allowed",
                        (int64_t)r, what, (int64_t)len[r], (int64_t)c->ctx);
        if (len[r] > room - *tokens)
            return fail(err, DN_EINVAL, "the %s has more than batch-tokens %d tokens", what,
                        (int64_t)room);
        *tokens += len[r];
    }
    return ids_check(c, what, id, *tokens, err);
}

/* Every array in range, every token id in the vocabulary: after this nothing is checked. */
static dn_status batch_check(const dn_model *m, const dn_batch *batch, int labels, char *err)
{
    const dn_config *c = &m->c;
    int tokens = 0;
    if (batch->rows < 1 || batch->rows > c->batch_tokens)
        return fail(err, DN_EINVAL, "a batch cannot have %d rows", (int64_t)batch->rows);
    for (int s = ENC; s <= DEC; s++)
        if (has_stack(c, s) && rows_check(c, stack_name[s], ids_of(batch, s), lengths_of(batch, s),
                                          batch->rows, c->batch_tokens, &tokens, err))
            return DN_EINVAL;
    if (labels && !batch->label) return fail(err, DN_EINVAL, "the batch has no labels");
    for (int t = 0; labels && t < tokens; t++)
        if (batch->label[t] < DN_IGNORE || batch->label[t] >= c->vocab)
            return fail(err, DN_EINVAL, "label %d is %d, outside the vocabulary of %d", (int64_t)t,
                        (int64_t)batch->label[t], (int64_t)c->vocab);
    return DN_OK;
}

static int row_finite(const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++) if (!is_finite((acc)x[i])) return 0;
    return 1;
}

/* After a non-finite loss: look for the first non-finite parameter, which the caller may have
 * handed in, then the first sub-layer, in order of computation, whose output is not finite. */
static dn_status diverged_forward(const dn_model *m, const struct desk *desk, char *err)
{
    char name[DN_NAME_MAX];
    for (int i = 0; i < m->tensors; i++)
        if (!row_finite(m->value + m->tensor[i].at, m->tensor[i].count))
            return fail(err, DN_EDIVERGED, "step %d: parameter %s is not finite", m->step + 1,
                        tensor_name(m, &m->tensor[i], name));
    for (int i = 0; m->purpose == DN_TRAIN && i < m->subs; i++) {
        const struct sublayer *sub = &m->sub[i];
        size_t tokens = (size_t)desk->stream[sub->stack].tokens;
        if (!row_finite(desk->sub[i].y, tokens*(size_t)m->c.dim))
            return fail(err, DN_EDIVERGED, "step %d: the output of %s.%d.%s is not finite",
                        m->step + 1, stack_name[sub->stack], (int64_t)sub->layer,
                        kind_name(sub->kind));
    }
    return fail(err, DN_EDIVERGED, "step %d: the logits are not finite", m->step + 1);
}

/* The order of computation: a stack's embedding, its sub-layers, what stands on top of it.  DLCL's
 * mix, which is everywhere, counts as the embedding. */
static int order_of(const dn_model *m, const struct tensor *t)
{
    enum slot slot = t->row->slot;
    if (t->sub >= 0) return 2*t->sub + 1;
    if (slot == OUTPUT) return INT_MAX;
    const struct stack *stack = &m->stack[t->stack];
    return 2*(stack->first + (slot == TOP_G || slot == TOP_B ? stack->subs : 0));
}

/* The loss was finite, its gradient is not: backward meets the last tensors first. */
static dn_status diverged_backward(const dn_model *m, char *err)
{
    char name[DN_NAME_MAX];
    const struct tensor *found = NULL;
    for (const struct tensor *t = m->tensor; t < m->tensor + m->tensors; t++)
        if (!row_finite(m->grad + t->at, t->count)
            && (!found || order_of(m, t) >= order_of(m, found))) found = t;
    if (!found)
        return fail(err, DN_EDIVERGED, "step %d: the gradient is too large", m->step + 1);
    return fail(err, DN_EDIVERGED, "step %d: the gradient of %s is not finite", m->step + 1,
                tensor_name(m, found, name));
}

static dn_status needs_training(const dn_model *m, char *err)
{
    if (m->purpose == DN_TRAIN) return DN_OK;
    return fail(err, DN_EINVAL, "this model was made for inference: it has no gradients");
}

/* A gradient of zero but for the matrices of sub-layers, each of which is in one product a pass:
 * the first of these writes them instead of adding to them. */
static void grad_clear(const dn_model *m, real *grad)
{
    for (const struct tensor *t = m->tensor; t < m->tensor + m->tensors; t++)
        if (t->sub < 0 || !t->cols) memset(grad + t->at, 0, t->count*sizeof *grad);
}

static int row_length(const dn_config *c, const dn_batch *batch, int s, int row)
{
    return has_stack(c, s) ? lengths_of(batch, s)[row] : 0;
}

static struct cut cut_begin(const struct task *task)
{
    const dn_config *c = &task->m->c;
    struct cut cut = {0};
    for (int i = 0; i < task->n; i++)
        for (int r = 0; r < task->batch[i].rows; r++)
            cut.all += (int64_t)row_length(c, &task->batch[i], ENC, r)
                       + row_length(c, &task->batch[i], DEC, r);
    return cut;
}

/* A batch that begins where the cut is, and has no rows yet. */
static struct share share_at(const dn_config *c, const dn_batch *batch, const struct cut *cut)
{
    struct share share = { {0}, cut->micro, cut->row, cut->at[top_stack(c)] };
    if (has_stack(c, ENC)) {
        share.batch.enc = batch->enc + cut->at[ENC];
        share.batch.enc_len = batch->enc_len + cut->row;
    }
    if (has_stack(c, DEC)) {
        share.batch.dec = batch->dec + cut->at[DEC];
        share.batch.dec_len = batch->dec_len + cut->row;
    }
    if (batch->label) share.batch.label = batch->label + share.at;
    return share;
}

/* The next rows of this part: of one micro-batch, and as many as a desk has room for.  0: there are
 * no more.  Parts are asked for in ascending order. */
static int share_next(struct share *share, struct cut *cut, const struct task *task, int part)
{
    const dn_config *c = &task->m->c;
    int room[2] = { desk_tokens(c), desk_tokens(c) };
    *share = (struct share){0};
    while (cut->micro < task->n) {
        const dn_batch *batch = &task->batch[cut->micro];
        if (cut->row == batch->rows) {
            if (share->batch.rows) break;
            cut->row = cut->at[ENC] = cut->at[DEC] = 0;
            cut->micro++;
            continue;
        }
        int enc = row_length(c, batch, ENC, cut->row), dec = row_length(c, batch, DEC, cut->row);
        int64_t middle = 2*cut->behind + enc + dec, of = middle*c->parts/(2*cut->all);
        if (of > part || enc > room[ENC] || dec > room[DEC]) break;
        if (of == part) {
            if (!share->batch.rows) *share = share_at(c, batch, cut);
            share->batch.rows++;
            room[ENC] -= enc;
            room[DEC] -= dec;
        }
        cut->behind += enc + dec;
        cut->at[ENC] += enc;
        cut->at[DEC] += dec;
        cut->row++;
    }
    return share->batch.rows;
}

/* The sum below a node, from element `from` to `to`, in the array of its leftmost part. */
static real *node_sum(const dn_model *m, int k, size_t from, size_t to)
{
    if (m->tree->node[k]) return m->tree->node[k];
    real *left = node_sum(m, 2*k, from, to), *right = node_sum(m, 2*k + 1, from, to);
    for (size_t i = from; i < to; i++) left[i] += right[i];
    return left;
}

/* An array for the gradient of a part but the first, whose array is the model's own.  If none is
 * idle, two complete siblings become one. */
static real *gradient_take(dn_model *m)
{
    struct parts *tree = m->tree;
    for (int k = m->c.parts - 1; k > 0 && !tree->idles; k--) {
        real *left = tree->node[2*k], *right = tree->node[2*k + 1];
        if (!left || !right) continue;
        tree->node[k] = node_sum(m, k, 0, m->scalars);
        tree->node[2*k] = tree->node[2*k + 1] = NULL;
        tree->idle[tree->idles++] = right;
    }
    return tree->idle[--tree->idles];
}

static dn_stats stats_sum(const dn_stats *part, int count)
{
    if (count == 1) return *part;
    dn_stats left = stats_sum(part, count/2), right = stats_sum(part + count/2, count/2);
    stats_add(&left, &right);
    return left;
}

/* Part p on this desk.  What it says if it diverges stands if no part before it does. */
static void part_take(const struct task *task, int p, int first, int desk, char *err)
{
    dn_model *m = task->m;
    struct parts *tree = m->tree;
    char why[DN_ERR_MAX];
    real *grad = NULL;
    lock_take(&tree->lock);
    int over = tree->failed < p;
    if (task->back && !over) grad = p == first ? m->grad : gradient_take(m);
    lock_give(&tree->lock);
    if (over) return;
    tree->stats[p] = (dn_stats){0};
    dn_status status = part_run(task, p, &m->desk[desk], grad, task->onto && p == first,
                                &tree->stats[p], why);
    lock_take(&tree->lock);
    if (grad) tree->node[m->c.parts + p] = grad;
    if (status && p < tree->failed) {
        tree->failed = p;
        say(err, DN_ERR_MAX, "%s", why);
    }
    lock_give(&tree->lock);
}

/* Parts first .. first + count - 1, a subtree: sums of their losses, their gradient in m->grad. */
static dn_status parts_run(const struct task *task, int first, int count, dn_stats *sums,
                           char *err)
{
    dn_model *m = task->m;
    struct parts *tree = m->tree;
    int root = (m->c.parts + first)/count;
    tree->failed = m->c.parts;
    lock_make(&tree->lock);
    if (task->back) {
        memset(tree->node, 0, 2*(size_t)m->c.parts*sizeof *tree->node);
        tree->idles = arrays_enough(m) - 1;
        memcpy(tree->idle, tree->array + 1, (size_t)tree->idles*sizeof *tree->idle);
    }
    PARALLEL_JOBS(m->desks,
    for (int p = first; p < first + count; p++)
        part_take(task, p, first, thread_of(m->desks), err);)
    lock_drop(&tree->lock);
    if (tree->failed < m->c.parts) return DN_EDIVERGED;
    *sums = stats_sum(tree->stats + first, count);
    if (!task->back || count == 1) return DN_OK;
    PARALLEL_FOR(m->threads,
    for (int i = 0; i < PIECES; i++)
        node_sum(m, root, piece(m->scalars, i), piece(m->scalars, i + 1));)
    return DN_OK;
}

void dn_zero_grad(dn_model *m)
{
    if (m->grad) zero_all(m->grad, m->scalars, m->threads);
}

dn_status dn_gradient_of(dn_model *m, const dn_batch *batch, int n, int first, int count,
                         dn_stats *sums, char *err)
{
    struct task task = { .m = m, .batch = batch, .n = n, .drop = 1, .back = 1 };
    *sums = (dn_stats){0};
    if (needs_training(m, err)) return DN_EINVAL;
    if (n < 1 || n > 65536)
        return fail(err, DN_EINVAL, "a step has 1 to 65536 micro-batches, not %d", (int64_t)n);
    if (count < 1 || (count & (count - 1)) || first < 0 || first%count ||
        first > m->c.parts - count)
        return fail(err, DN_EINVAL, "%d parts from %d on are no subtree of %d", (int64_t)count,
                    (int64_t)first, (int64_t)m->c.parts);
    for (int i = 0; i < n; i++) if (batch_check(m, &batch[i], 1, err)) return DN_EINVAL;
    if (cut_begin(&task).all > INT_MAX)
        return fail(err, DN_EINVAL, "more tokens in a step than %d", (int64_t)INT_MAX);
    return parts_run(&task, first, count, sums, err);
}

dn_status dn_gradient(dn_model *m, const dn_batch *batch, int dropout, dn_stats *s, char *err)
{
    struct task task = { .m = m, .batch = batch, .n = 1, .drop = dropout, .back = 1, .onto = 1 };
    *s = (dn_stats){0};
    if (needs_training(m, err) || batch_check(m, batch, 1, err)) return DN_EINVAL;
    dn_status status = parts_run(&task, 0, m->c.parts, s, err);
    stats_average(s);
    return status;
}

static int tokens_of_top(const dn_model *m, const dn_batch *batch)
{
    int tokens = 0;
    for (int r = 0; r < batch->rows; r++) tokens += lengths_of(batch, top_stack(&m->c))[r];
    return tokens;
}

/* The sum is over the tokens of the whole batch, one by one, and not over parts. */
dn_status dn_evaluate(dn_model *m, const dn_batch *batch, dn_stats *s, char *err)
{
    struct task task = { .m = m, .batch = batch, .n = 1, .loss = m->tree->loss };
    *s = (dn_stats){0};
    if (batch_check(m, batch, 1, err)) return DN_EINVAL;
    if (parts_run(&task, 0, m->c.parts, s, err)) return DN_EDIVERGED;
    *s = losses_sum(m->tree->loss, batch->label, tokens_of_top(m, batch));
    stats_average(s);
    return DN_OK;
}

dn_status dn_log_p(dn_model *m, const dn_batch *batch, double *log_p, char *err)
{
    dn_stats stats;
    dn_status status = dn_evaluate(m, batch, &stats, err);
    int tokens = status ? 0 : tokens_of_top(m, batch);
    for (int t = 0; t < tokens; t++)
        log_p[t] = batch->label[t] == DN_IGNORE ? 0 : -(double)m->tree->loss[t].nll;
    return status;
}

/* What a pass without losses is run for: n looks into it and, unless NULL, logits, T x V, all with
 * room for the whole batch, of which a pass may have some rows only. */
struct looks { const dn_batch *batch; const dn_look *look; int n; real *logits; };

/* q k^T once more, and softmax by the two numbers of each row that are still there: for each of the
 * pass's rows and each head nq x nk weights, behind those of the rows before. */
static void weights_copy(const struct pass *pass, const struct sublayer *sub, real *to)
{
    const struct desk *desk = pass->desk;
    const dn_batch *all = pass->looks->batch;
    const int *nq = lengths_of(all, sub->stack), *nk = sub->kind == CROSS ? all->enc_len : nq;
    struct attention att = attention_of(pass, sub);
    struct qkv qkv = qkv_of(pass, sub);
    for (; nq < lengths_of(pass->batch, sub->stack); nq++, nk++)
        to += (size_t)att.H*(size_t)*nq*(size_t)*nk;
    for (int r = 0; r < pass->rows; r++)
        for (int h = 0; h < att.H; h++) {
            const struct span *span = &att.span[r];
            struct queries rows = { span, h, 0, span->nq, span->nk };
            const real *Q = ROW(qkv.q, span->q0, att.ldq) + h*att.E;
            const real *K = ROW(qkv.k, span->k0, att.ldk) + h*att.E;
            matmul1(into(to, rows.keys), NULL, plain(Q, att.ldq), turned(K, att.ldk), rows.n,
                    rows.keys, att.E, desk->team.product);
            softmax_again(to, desk->sub[sub->index].saved.c_stat, &att, &rows);
            to = ROW(to, rows.n, rows.keys);
        }
}

static void look_at(const struct pass *pass, int s, int i, const real *x)
{
    const dn_model *m = pass->m;
    const struct looks *looks = pass->looks;
    size_t first = (size_t)(ids_of(pass->batch, s) - ids_of(looks->batch, s));
    int T = pass->desk->stream[s].tokens, D = m->c.dim;
    for (int k = 0; k < looks->n; k++) {
        const dn_look *look = &looks->look[k];
        if (look->stack != s || look->i != i) continue;
        if (look->x) memcpy(ROW(look->x, first, D), x, (size_t)T*(size_t)D*sizeof *x);
        if (look->weights) weights_copy(pass, &m->sub[m->stack[s].first + i], look->weights);
    }
    if (!looks->logits || s != top_stack(&m->c) || i < m->stack[s].subs) return;
    struct linear to_logits = output_of(pass);
    linear_fwd(&pass->desk->team, ROW(looks->logits, first, m->c.vocab), x, &to_logits, T);
}

static dn_status look(dn_model *m, const struct looks *looks, char *err)
{
    struct task task = { .m = m, .batch = looks->batch, .n = 1, .looks = looks };
    dn_stats none;
    if (batch_check(m, looks->batch, 0, err)) return DN_EINVAL;
    return parts_run(&task, 0, m->c.parts, &none, err);
}

dn_status dn_logits(dn_model *m, const dn_batch *batch, dn_real *logits, char *err)
{
    return look(m, &(struct looks){ batch, NULL, 0, logits }, err);
}

dn_status dn_inspect(dn_model *m, const dn_batch *batch, const dn_look *at, int n, char *err)
{
    for (int k = 0; k < n; k++) {
        int s = at[k].stack, i = at[k].i, subs = s == ENC || s == DEC ? subs_of(&m->c, s) : 0;
        if (i < 0 || i > subs - (at[k].weights != NULL) || !subs
            || (at[k].weights && kind_at(&m->c, s, i) == FFN))
            return fail(err, DN_EINVAL, "stack %d has nothing of this kind at sub-layer %d",
                        (int64_t)s, (int64_t)i);
    }
    return look(m, &(struct looks){ batch, at, n, NULL }, err);
}

/* Admin's first pass: every sub-layer sets its omega before it runs, from those below.  The rows
 * are those of the first part that has any. */
dn_status dn_profile(dn_model *m, const dn_batch *batch, char *err)
{
    struct task task = { .m = m, .batch = batch, .n = 1 };
    acc deviation = 1;
    struct share share;
    if (batch_check(m, batch, 0, err)) return DN_EINVAL;
    if (!(schemes[m->c.norm].more & PROFILE)) return DN_OK;
    if (m->purpose == DN_BORROW)
        return fail(err, DN_EINVAL, "borrowed parameters stay as they are");
    struct cut cut = cut_begin(&task);
    for (int part = 0; !share_next(&share, &cut, &task, part); ) part++;
    struct pass pass = pass_for(m, m->desk, &share.batch);
    pass.drop = 1;
    pass.key = masks_key(m, 0, 0);
    pass.profile = &deviation;
    network_fwd(&pass);
    return DN_OK;
}

dn_state dn_state_at(const dn_model *m, int stack, int i)
{
    dn_state state = { NULL, NULL, 0 };
    if (stack < ENC || stack > DEC || m->purpose != DN_TRAIN || m->c.parts > 1) return state;
    const struct stream *stream = &m->desk->stream[stack];
    int first = m->stack[stack].first, subs = m->stack[stack].subs;
    if (i < 0 || i > subs || !subs) return state;
    state.tokens = stream->tokens;
    state.x = i < subs ? m->desk->sub[first + i].x : stream->top ? stream->top : stream->last;
    if (i < subs && m->sub[first + i].op[OUT] != ID) state.sum = m->desk->sub[first + i].saved.r;
    return state;
}

/* [op:mlm]  see deepnet.h */
void dn_mask_tokens(int *input, int *label, const int *tokens, int n, int vocab, uint64_t seed,
                    uint64_t index)
{
    uint64_t key = rng_key(seed, STREAM_MASK);
    for (int i = 0; i < n; i++) {
        uint64_t k = rng_key(key, index + (uint64_t)i);
        uint32_t pick = rng_bits(k, 0)%100, how = rng_bits(k, 1)%100;
        int other = DN_SPECIALS + (int)(rng_bits(k, 2)%(uint32_t)(vocab - DN_SPECIALS));
        int t = tokens[i];
        label[i] = pick < 15 ? t : DN_IGNORE;
        input[i] = pick >= 15 || how >= 90 ? t : how < 80 ? DN_MASK : other;
    }
}

/* ---- 14 generation ----------------------------------------------------------------------- */

/* One pass a token: its queries see the keys and values of all tokens before it, which no later
 * token changes, because the decoder is causal.  They stay in a cache, and the work for a token
 * grows with the length, not with its square.  What the decoder computes is sections 6 to 9 as they
 * stand: only spans say that there are more keys than queries. */

/* Beam search: a hypothesis is a row, a candidate is one more id for it, and an ending is a
 * hypothesis that has ended. */
static const double NO_HYPOTHESIS = -1e30;              /* score of a row that has none       */
struct candidate { double score; int row, id; };        /* row -1: none                      */
struct ending { double score; int length, row; };       /* its ids are those of row in ended  */

/* Its cache takes M x 2 x 2D reals for each token of each sequence where there is an encoder, half
 * of that in a decoder alone.  All else takes a few T x D and T x F whatever the depth, but for
 * DLCL's mix, which takes T x D for each layer. */
struct dn_generator {
    const dn_model *m;
    struct desk desk;                   /* with the cache, and logits of all rows             */
    int capacity, rows, beam;           /* sequences there is room for; in use; per source    */
    int sources;                        /* that the last search began with                    */
    int *len;                           /* tokens of each row so far                          */
    int *lane;                          /* of each row: its past is ctx rows of the cache, and
                                           of ids, from row lane ctx on                       */
    int *taken;                         /* beam search: is a lane in use again?               */
    int *parent, *feed, *one;           /* beam search: row gone on from, id fed, 1           */
    int *ids, *ended;                   /* beam search: capacity x ctx                        */
    double *score;                      /* capacity                                           */
    struct candidate *list;             /* 2 beam for each source                             */
    struct ending *ending;              /* beam for each source, the best first;              */
    int *ends;                          /* how many of them there are                         */
    int *source;                        /* of each that is not done: the caller's number      */
};

/* T = capacity x ctx: a first feed may bring whole sequences, and sources are read whole.  R is the
 * capacity: one row of logits for each sequence. */
static void generator_lay(struct arena *arena, dn_generator *gen, const dn_config *c)
{
    size_t R = (size_t)gen->capacity, T = R*(size_t)c->ctx;
    struct use use = { T, R, R, threads_of(c), 0, 1, {0} };
    places_find(&use, c);
    desk_lay(arena, &gen->desk, c, &use);
    gen->len    = take(arena, sizeof(int), R, 1, 1);
    gen->lane   = take(arena, sizeof(int), R, 1, 1);
    gen->taken  = take(arena, sizeof(int), R, 1, 1);
    gen->parent = take(arena, sizeof(int), R, 1, 1);
    gen->feed   = take(arena, sizeof(int), R, 1, 1);
    gen->one    = take(arena, sizeof(int), R, 1, 1);
    gen->ids    = take(arena, sizeof(int), T, 1, 1);
    gen->ended  = take(arena, sizeof(int), T, 1, 1);
    gen->score  = take(arena, sizeof(double), R, 1, 1);
    gen->list  = take(arena, sizeof(struct candidate), R, 2, 1);
    gen->ending = take(arena, sizeof(struct ending), R, 1, 1);
    gen->ends  = take(arena, sizeof(int), R, 1, 1);
    gen->source = take(arena, sizeof(int), R, 1, 1);
}

/* rows x ctx, the tokens of a pass, and twice the rows, a beam's candidates, are ints with room for
 * the sums that loops make. */
size_t dn_generator_bytes(const dn_config *c, int rows, char *err)
{
    struct arena arena = { NULL, 0, 0 };
    dn_generator gen = { .capacity = rows };
    if (dn_config_check(c, err)) return 0;
    if (!has_stack(c, DEC))
        return fail(err, DN_EINVAL, "an encoder alone does not generate"), 0;
    if (rows < 1 || rows > (1 << 29)/c->ctx)
        return fail(err, DN_EINVAL, "cannot generate %d sequences at once", (int64_t)rows), 0;
    take(&arena, sizeof gen, 1, 1, 1);
    generator_lay(&arena, &gen, c);
    if (arena.overflow) return fail(err, DN_EINVAL, "too many sequences for this machine"), 0;
    return arena.used + ALIGN - 1;
}

dn_generator *dn_generator_init(const dn_model *m, int rows, void *block, size_t size, char *err)
{
    size_t need = dn_generator_bytes(&m->c, rows, err);
    if (!need) return NULL;
    if (!block) size = 0;
    if (size < need)
        return fail(err, DN_ENOMEM, "the generator needs %d bytes, the block has %d",
                    (int64_t)need, (int64_t)size), NULL;
    struct arena arena = arena_on(block);
    dn_generator *gen = take(&arena, sizeof *gen, 1, 1, 1);
    *gen = (dn_generator){ .m = m, .capacity = rows };
    generator_lay(&arena, gen, &m->c);
    return gen;
}

/* The keys and values of a source never change, so the encoder runs once, and each cross-attention
 * finds its own, S x 2D, in the cache.  S tokens in all: the sources lie one behind the other, n of
 * them, and the rows of a beam share theirs. */
static void sources_encode(dn_generator *gen, int n, const int *id, const int *len)
{
    const dn_model *m = gen->m;
    const struct stack *dec = &m->stack[DEC];
    struct desk *desk = &gen->desk;
    struct pass pass = { .m = m, .desk = desk, .rows = n };
    int D = m->c.dim, S = desk->stream[ENC].tokens = spans_set(desk->stream[ENC].span, len, n);
    const real *mem = stack_fwd(&pass, ENC, id);
    for (const struct sublayer *sub = &m->sub[dec->first]; sub < m->sub + m->subs; sub++) {
        struct linear to_kv = linear_of(&pass, sub, WK, 2*D, D);
        real *kv = desk->sub[sub->index].saved.kv;
        if (sub->kind == CROSS) linear_fwd(&desk->team, kv, mem, &to_kv, S);
    }
}

/* beam rows for each of n sources, all empty: row r belongs to source r/beam.  What was
 * begun earlier is over, even if this is refused. */
static dn_status generator_begin(dn_generator *gen, int n, int beam, const int *enc,
                                 const int *enc_len, char *err)
{
    const dn_config *c = &gen->m->c;
    int tokens;
    gen->rows = gen->sources = 0;
    if (n < 1 || beam < 1 || n > gen->capacity/beam)
        return fail(err, DN_EINVAL, "%d sequences of %d are more than the generator's %d",
                    (int64_t)n, (int64_t)beam, (int64_t)gen->capacity);
    if (has_stack(c, ENC)) {            /* there is room for n rows of ctx */
        if (rows_check(c, stack_name[ENC], enc, enc_len, n, INT_MAX, &tokens, err))
            return DN_EINVAL;
        sources_encode(gen, n, enc, enc_len);
    }
    gen->rows = n*beam;
    gen->sources = n;
    gen->beam = beam;
    for (int r = 0; r < gen->rows; r++) {
        gen->len[r] = 0;
        gen->lane[r] = r;
    }
    memset(gen->ends, 0, (size_t)n*sizeof *gen->ends);
    return DN_OK;
}

/* One row a source: how sampling and the caller's own search begin. */
dn_status dn_generator_start(dn_generator *gen, int rows, const int *enc, const int *enc_len,
                             char *err)
{
    return generator_begin(gen, rows, 1, enc, enc_len, err);
}

/* The new tokens of all rows are one pass, whose queries see the keys in the cache: row r has its
 * own in its lane, len[r] of them new, and those of its source, as one span of queries for all rows
 * of a beam, which have one new token each: the first row has it.  Only the last token of each row
 * needs logits, rows x V. */
const dn_real *dn_generator_feed(dn_generator *gen, const int *tokens, const int *len, char *err)
{
    const dn_model *m = gen->m;
    const dn_config *c = &m->c;
    struct desk *desk = &gen->desk;
    struct span *span = desk->stream[DEC].span, *source = desk->stream[ENC].span;
    struct pass pass = { .m = m, .desk = desk, .rows = gen->rows };
    struct linear to_logits = output_of(&pass);
    int D = c->dim, at = 0;
    if (!gen->rows) return fail(err, DN_EINVAL, "no sequences were started"), NULL;
    for (int r = 0; r < gen->rows; r++) {
        if (len[r] < 1 || len[r] > c->ctx - gen->len[r])
            return fail(err, DN_EINVAL, "row %d would have %d tokens; the context is %d",
                        (int64_t)r, (int64_t)gen->len[r] + len[r], (int64_t)c->ctx), NULL;
        span[r] = (struct span){ at, len[r], gen->lane[r]*c->ctx, gen->len[r] + len[r] };
        if (has_stack(c, ENC)) {
            const struct span *s = &source[r/gen->beam];
            int queries = r%gen->beam ? 0 : gen->beam*len[r];
            desk->cross[r] = (struct span){ at, queries, s->k0, s->nk };
        }
        at += len[r];
    }
    if (ids_check(c, stack_name[DEC], tokens, at, err)) return NULL;
    desk->stream[DEC].tokens = at;
    const real *top = stack_fwd(&pass, DEC, tokens);
    for (int r = 0; r < gen->rows; r++) {
        gen->len[r] += len[r];
        memcpy(ROW(desk->picked, r, D), ROW(top, span[r].q0 + len[r] - 1, D),
               (size_t)D*sizeof(real));
    }
    linear_fwd(&desk->team, desk->logits, desk->picked, &to_logits, gen->rows);
    return desk->logits;
}

/* The largest p, or bar, such that those from there up are at least `count` and weigh at least
 * `mass`: ties stay or go together.  It is in [lo, hi], which is halved and then shrunk to values
 * of p, so that no gap takes long, and nothing need be sorted or stored.  The largest p is 1. */
static double cut_at(const real *p, int n, double bar, int count, double mass)
{
    double lo = bar, hi = 1;
    while (lo < hi) {
        double t = (lo + hi)/2, sum = 0, below = lo, above = hi;     /* the nearest to t */
        int k = 0;
        if (!(t > lo)) t = hi;
        for (int j = 0; j < n; j++) {
            const double at = (double)p[j];
            if (at < t) {
                if (at > below) below = at;
                continue;
            }
            if (at < above) above = at;
            k++;
            sum += at;
        }
        if (k >= count && sum >= mass) lo = above;
        else hi = below;
    }
    return lo;
}

/* How much the p >= bar weigh together, added up in the order of ids: one order, so one sum. */
static double mass_above(const real *p, int n, double bar)
{
    double sum = 0;
    for (int j = 0; j < n; j++) if ((double)p[j] >= bar) sum += (double)p[j];
    return sum;
}

/* p = softmax(z/temperature), not normalized: top-k (1) and then top-p of what is left (2) raise
 * the bar below which an id is out; then u times the mass above it is walked off (3).  work holds
 * p, V of them. */
int dn_sample(const dn_real *logits, int vocab, const dn_sampling *how, double u, dn_real *work)
{
    real top = max_row(logits, vocab);
    real temperature = (real)how->temperature;
    double cut = 0, left;
    int last = 0;
    if (!(temperature > 0)) {
        while (last < vocab - 1 && logits[last] < top) last++;
        return last;
    }
    for (int j = 0; j < vocab; j++)
        work[j] = exp_real((logits[j] - top)/temperature);
    if (how->top_k > 0 && how->top_k < vocab)
        cut = cut_at(work, vocab, 0, how->top_k, 0);                                   /* (1) */
    left = mass_above(work, vocab, cut);
    if (how->top_p < 1) {                                                              /* (2) */
        cut = cut_at(work, vocab, cut, 1, how->top_p*left);
        left = mass_above(work, vocab, cut);
    }
    left *= u;                                                                         /* (3) */
    for (int j = 0; j < vocab; j++) {
        if ((double)work[j] < cut) continue;
        last = j;
        left -= (double)work[j];
        if (left < 0) break;
    }
    return last;
}

/* Insert into a list of n, at most max, in descending order; of equals the earlier stays first, so
 * that of equal hypotheses the lower row and id win on every machine.  Returns the new n. */
static int list_insert(struct candidate *list, int n, int max, struct candidate c)
{
    int i = n < max ? n : max - 1;
    if (n == max && !(c.score > list[i].score)) return n;
    for (; i > 0 && list[i - 1].score < c.score; i--) list[i] = list[i - 1];
    list[i] = c;
    return n < max ? n + 1 : n;
}

/* The 2 beam best continuations of source i, from logits of rows x V.  Twice as many as rows,
 * because up to beam of them may be ends, and as many must go on.
 * log p_v = z_v - top - ln(sum of e^(z - top)), added to the score of the row so far.  No
 * continuation is DN_BOS or DN_MASK, which stand for no text. */
static void list_fill(dn_generator *gen, int i)
{
    int B = gen->beam, V = gen->m->c.vocab, n = 0;
    struct candidate *list = gen->list + 2*(size_t)i*(size_t)B;
    for (int r = i*B; r < (i + 1)*B; r++) {
        if (gen->score[r] <= NO_HYPOTHESIS) continue;
        const real *z = ROW(gen->desk.logits, r, V);
        real top = max_row(z, V);
        double shift = gen->score[r] - (double)top - (double)log_acc(exp_sum(NULL, z, top, V));
        for (int v = 0; v < V; v++) {
            struct candidate c = { shift + (double)z[v], r, v };
            if (v != DN_BOS && v != DN_MASK) n = list_insert(list, n, 2*B, c);
        }
    }
    for (; n < 2*B; n++) list[n].row = -1;
}

/* score / length^penalty: sums of log p fall with every token, so longer ones need a bonus. */
static double normalized(double score, int length, double penalty)
{
    return score*(double)exp_acc(-(acc)penalty*log_acc((acc)length));
}

/* The past of a row, n ids with their keys and values, from one lane into another of its source.
 * As far as both have the same ids they have the same keys and values, and nothing is copied. */
static void lane_copy(dn_generator *gen, int to, int from, int n)
{
    const dn_model *m = gen->m;
    int D = m->c.dim, ctx = m->c.ctx, same = 0;
    int *id = ROW(gen->ids, to, ctx), *id_from = ROW(gen->ids, from, ctx);
    while (same < n && id[same] == id_from[same]) same++;
    memcpy(id + same, id_from + same, (size_t)(n - same)*sizeof *id);
    /* Self-attention only: what a source gave to cross-attention is the same for all its rows. */
    for (const struct sublayer *sub = &m->sub[m->stack[DEC].first]; sub < m->sub + m->subs; sub++) {
        real *cache = gen->desk.sub[sub->index].saved.kv;
        if (sub->kind == SELF)
            memcpy(ROW(cache, (size_t)to*(size_t)ctx + (size_t)same, 2*D),
                   ROW(cache, (size_t)from*(size_t)ctx + (size_t)same, 2*D),
                   (size_t)(n - same)*2*(size_t)D*sizeof *cache);
    }
}

/* Each row takes over the past of the one it goes on from.  The first that goes on from a row has
 * its lane; another one copies it into a lane of their source from which no row goes on. */
static void rows_adopt(dn_generator *gen)
{
    memset(gen->taken, 0, (size_t)gen->capacity*sizeof *gen->taken);
    for (int r = 0; r < gen->rows; r++)         /* from here on the lane of that row */
        gen->parent[r] = gen->lane[gen->parent[r]];
    for (int r = 0; r < gen->rows; r++)
        gen->lane[r] = gen->taken[gen->parent[r]]++ ? -1 : gen->parent[r];
    for (int r = 0; r < gen->rows; r++) {
        int lane = gen->source[r/gen->beam]*gen->beam;  /* the first of its source's */
        if (gen->lane[r] >= 0) continue;
        while (gen->taken[lane]) lane++;
        gen->taken[lane] = 1;
        lane_copy(gen, lane, gen->parent[r], gen->len[r]);
        gen->lane[r] = lane;
    }
}

/* A hypothesis of source i is final: the first n - 1 ids of a row, and `last`.  If that is DN_EOS,
 * which does not count as one of its ids, it goes behind those that ended and are no worse;
 * otherwise the limit has cut it, and it goes behind all. */
static void ending_add(dn_generator *gen, int i, double score, int row, int n, int last)
{
    int ctx = gen->m->c.ctx, first = i*gen->beam, k = gen->ends[i]++, ended = last == DN_EOS;
    struct ending *list = gen->ending + first, new = { score, n - ended, first + k };
    int *ids = ROW(gen->ended, new.row, ctx);
    memcpy(ids, ROW(gen->ids, gen->lane[row], ctx) + 1, (size_t)(n - 1)*sizeof(int));
    ids[n - 1] = last;
    for (; k > 0 && ended && list[k - 1].score < score; k--) list[k] = list[k - 1];
    list[k] = new;
}

/* Divide the candidates of source i into ended and living.  As in fairseq, an end counts only among
 * the first `beam` candidates.  A source is done with `beam` ends, or at its limit of ids, where
 * the living ones must do for those that have not ended.  Rows that are left without a hypothesis
 * are fed all the same, since every source has as many; their score keeps them out of every later
 * list.  Returns whether the source goes on; then it moves up to place `to` of those that do, and
 * its rows adopt from where they were. */
static int beam_advance(dn_generator *gen, int i, int to, double penalty, int limit)
{
    int B = gen->beam, alive = 0, from = gen->source[i];
    int length = gen->len[i*B];                         /* without DN_BOS, with what comes now */
    const struct candidate *list = gen->list + 2*(size_t)i*(size_t)B;
    struct span *span = gen->desk.stream[ENC].span;
    /* Best first, until every row has what it goes on with. */
    for (int k = 0; k < 2*B && alive < B && list[k].row >= 0; k++) {
        const struct candidate *c = &list[k];
        if (c->id != DN_EOS) {
            int r = to*B + alive++;
            gen->parent[r] = c->row;
            gen->score[r] = c->score;
            gen->feed[r] = c->id;
        } else if (k < B && gen->ends[from] < B) {
            ending_add(gen, from, normalized(c->score, length, penalty), c->row, length, DN_EOS);
        }
    }
    for (int r = to*B; length >= limit && r < to*B + alive && gen->ends[from] < B; r++)
        ending_add(gen, from, normalized(gen->score[r], length, penalty), gen->parent[r], length,
                   gen->feed[r]);
    for (; alive < B; alive++) {
        int r = to*B + alive;
        gen->parent[r] = i*B + alive;
        gen->score[r] = NO_HYPOTHESIS;
        gen->feed[r] = DN_EOS;
    }
    gen->source[to] = from;
    if (has_stack(&gen->m->c, ENC)) span[to] = span[i];
    return gen->ends[from] < B && length < limit;
}

/* [op:beam]  A row is a hypothesis; the B rows of a source share its keys in cross-attention.  Each
 * step
 *     (1) feeds one id a row, first DN_BOS, and has the logits of the next,
 *     (2) lists the 2 B best continuations of each source,
 *     (3) divides them into those that ended and those that go on; sources that are done leave, and
 *     (4) lets each row adopt the past of the one it goes on from,
 * until every source has its B ends or is at its limit: ctx, and with a source 2 len + 10 ids. */
dn_status dn_translate(dn_generator *gen, int n, const int *enc, const int *enc_len,
                       const dn_beam *how, int *out, int *out_len, char *err)
{
    const dn_config *c = &gen->m->c;
    if (!(how->length_penalty >= -10 && how->length_penalty <= 10))
        return fail(err, DN_EINVAL, "a length penalty is from -10 to 10");
    dn_status status = generator_begin(gen, n, how->beam, enc, enc_len, err);
    if (status) return status;
    for (int i = 0; i < n; i++) gen->source[i] = i;
    for (int r = 0; r < gen->rows; r++) {       /* one hypothesis a source: no ids yet */
        gen->feed[r] = DN_BOS;
        gen->score[r] = r%gen->beam ? NO_HYPOTHESIS : 0;
        gen->one[r] = 1;
    }
    for (int t = 0; n > 0; t++) {
        for (int r = 0; r < gen->rows; r++)
            ROW(gen->ids, gen->lane[r], c->ctx)[t] = gen->feed[r];
        if (!dn_generator_feed(gen, gen->feed, gen->one, err)) return DN_EINVAL;       /* (1) */
        PARALLEL_FOR(row_threads(&gen->desk.team, gen->rows, c->vocab),
        for (int i = 0; i < n; i++) list_fill(gen, i);)                                /* (2) */
        int left = 0;
        for (int i = 0; i < n; i++) {                                                  /* (3) */
            int limit = has_stack(c, ENC) ? imin(c->ctx, 2*enc_len[gen->source[i]] + 10) : c->ctx;
            left += beam_advance(gen, i, left, how->length_penalty, limit);
        }
        n = left;
        gen->rows = n*gen->beam;
        rows_adopt(gen);                                                               /* (4) */
        if (how->progress && how->progress(how->user, t + 1, n)) {
            gen->rows = 0;
            return fail(err, DN_EIO, "the search was stopped after %d ids", (int64_t)t + 1);
        }
    }
    for (int i = 0; i < gen->sources; i++) {
        dn_hypothesis best = dn_hypothesis_at(gen, i, 0);
        out_len[i] = best.length;
        if (best.ids) memcpy(ROW(out, i, c->ctx), best.ids, (size_t)best.length*sizeof(int));
    }
    return DN_OK;
}

dn_hypothesis dn_hypothesis_at(const dn_generator *gen, int i, int k)
{
    if (i < 0 || i >= gen->sources || k < 0 || k >= gen->ends[i])
        return (dn_hypothesis){ NULL, 0, 0 };
    const struct ending *e = &gen->ending[i*gen->beam + k];
    return (dn_hypothesis){ ROW(gen->ended, e->row, gen->m->c.ctx), e->length, e->score };
}

/* ---- 15 sentences, options --------------------------------------------------------------- */

static char *put_text(char *p, const char *end, const char *s)
{
    while (*s && p < end) *p++ = *s++;
    return p;
}

static char *put_int(char *p, const char *end, int64_t v)
{
    char digits[24], *d = digits + sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    *--d = 0;
    do *--d = (char)('0' + u % 10); while (u /= 10);
    if (v < 0) *--d = '-';
    return put_text(p, end, d);
}

static void say_list(char *to, size_t n, const char *format, va_list list)
{
    char *p = to, *end = to + n - 1;
    for (; *format; format++) {
        if (*format != '%') {
            if (p < end) *p++ = *format;
        } else if (*++format == 's') {
            p = put_text(p, end, va_arg(list, const char *));
        } else {
            p = put_int(p, end, va_arg(list, int64_t));
        }
    }
    *p = 0;
}

static void say(char *to, size_t n, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(to, n, format, list);
    va_end(list);
}

static dn_status fail(char *err, dn_status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_list(err, DN_ERR_MAX, format, list);
    va_end(list);
    return status;
}

static const char *const no_yes[]       = { "no", "yes" };
static const char *const activations[]  = { "relu", "gelu", "gelu-tanh" };
static const char *const position_of[]  = { "sinusoidal", "learned" };
static const char *const ties[]         = { "none", "output", "all" };
static const char *const schedules[]    = { "inv-sqrt", "cosine", "constant" };
static const char *const memory_modes[] = { "keep", "recompute" };

#define INT(name, member, def, lo, hi, saved, help) \
    { name, DN_INT, offsetof(dn_config, member), def, lo, hi, NULL, 0, saved, help }
#define NUM(name, member, def, lo, hi, help) \
    { name, DN_FLOAT, offsetof(dn_config, member), def, lo, hi, NULL, 0, 1, help }
#define ONE_OF(name, member, def, list, saved, help) \
    { name, DN_CHOICE, offsetof(dn_config, member), def, 0, \
      (double)(sizeof(list)/sizeof *(list)) - 1, (const char *const *)(const void *)(list), \
      sizeof *(list), saved, help }

static const dn_field fields[] = {
    ONE_OF("arch", arch, DN_ENC_DEC, architectures, 1, "the stacks there are"),
    ONE_OF("norm", norm, 0, schemes, 1, "the residual scheme"),
    INT("enc-layers", enc_layers, 12, 1, 100000, 1, "N, layers of the encoder"),
    INT("dec-layers", dec_layers, 12, 1, 100000, 1, "M, layers of the decoder"),
    INT("dim", dim, 64, 1, 65536, 1, "D, width of the stream"),
    INT("heads", heads, 4, 1, 4096, 1, "attention heads; they divide dim"),
    INT("ffn", ffn, 0, 0, 262144, 1, "F, width of the feed-forward; 0: 4 dim"),
    INT("vocab", vocab, DN_MIN_VOCAB, DN_SPECIALS + 1, 1 << 24, 1, "V, token ids"),
    INT("ctx", ctx, 64, 1, 1 << 20, 1, "longest sequence in tokens"),
    ONE_OF("activation", activation, DN_RELU, activations, 1, "of the feed-forward"),
    ONE_OF("bias", bias, 1, no_yes, 1, "biases in the linear maps"),
    ONE_OF("positions", positions, DN_SINUSOIDAL, position_of, 1, "position vectors"),
    ONE_OF("tie", tie, DN_TIE_ALL, ties, 1, "embeddings shared: none, with the output, all"),
    NUM("dropout", dropout, 0, 0, 0.99, "of embeddings and branch outputs"),
    NUM("attn-dropout", attn_dropout, 0, 0, 0.99, "of attention weights"),
    NUM("act-dropout", act_dropout, 0, 0, 0.99, "after the activation"),
    NUM("label-smoothing", label_smoothing, 0, 0, 0.99, "share of the uniform target"),
    INT("batch-tokens", batch_tokens, 1024, 1, 1 << 24, 1, "tokens of a stream per batch"),
    INT("parts", parts, 0, 0, 4096, 1, "of a step, a power of two; 0: from batch-tokens, dim, ctx"),
    NUM("lr", lr, 1e-3, 0, 100, "peak learning rate"),
    NUM("min-lr", min_lr, 0, 0, 100, "where cosine ends"),
    NUM("warmup-init", warmup_init, 1e-7, 0, 100, "rate where the warm-up starts"),
    INT("warmup", warmup, 400, 0, INT_MAX, 1, "steps of linear warm-up"),
    ONE_OF("schedule", schedule, DN_INV_SQRT, schedules, 1, "after the warm-up"),
    INT("steps", steps, 1000, 1, INT_MAX, 1, "optimizer steps of the run"),
    NUM("beta1", beta1, 0.9, 0, 0.9999999, "Adam's first moment"),
    NUM("beta2", beta2, 0.98, 0, 0.9999999, "Adam's second moment"),
    NUM("eps", eps, 1e-8, 1e-30, 1, "Adam's epsilon"),
    NUM("weight-decay", weight_decay, 0, 0, 10, "decoupled, of matrices (AdamW)"),
    NUM("clip", clip, 0, 0, 1e6, "largest gradient norm; 0: no limit"),
    INT("seed", seed, 1, 0, INT_MAX, 1, "of everything random"),
    ONE_OF("memory", memory, DN_KEEP, memory_modes, 0, "activations: all, or what makes them"),
    INT("threads", threads, 0, 0, 4096, 0, "0: as many as OpenMP gives"),
    INT("desks", desks, 0, 0, 4096, 0, "parts at once; 0: as threads and memory allow"),
};
enum { FIELDS = (int)(sizeof fields/sizeof *fields) };

const dn_field *dn_fields(int *count)
{
    *count = FIELDS;
    return fields;
}

const char *dn_choice(const dn_field *f, int i)
{
    if (f->kind != DN_CHOICE || i < 0 || i > (int)f->high) return NULL;
    return *(const char *const *)(const void *)((const char *)f->choices + (size_t)i*f->stride);
}

static double field_value(const dn_config *c, const dn_field *f)
{
    const void *at = (const char *)c + f->at;
    return f->kind == DN_FLOAT ? *(const double *)at : *(const int *)at;
}

static void field_put(dn_config *c, const dn_field *f, double v)
{
    void *at = (char *)c + f->at;
    if (f->kind == DN_FLOAT) *(double *)at = v;
    else *(int *)at = (int)v;
}

void dn_config_default(dn_config *c)
{
    memset(c, 0, sizeof *c);
    for (int i = 0; i < FIELDS; i++) field_put(c, &fields[i], fields[i].fallback);
}

/* m 10^e for m below 10^15 and e within +-37: one rounding, so the nearest double, for e within
 * +-22. */
static double scale10(double m, int e)
{
    double p = 1;
    for (int i = 0; i < (e < 0 ? -e : e); i++) p *= 10;
    return e < 0 ? m/p : m*p;
}

/* A decimal number, read to 15 significant digits; 0 if text is anything else. */
static int parse_decimal(const char *s, double *v)
{
    double m = 0;
    int e = 0, digits = 0, any = 0, point = 0, minus = *s == '-';
    for (s += *s == '-' || *s == '+'; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
        if (*s == '.') { point = 1; continue; }
        any = 1;
        if (m > 0 || *s != '0') digits++;
        if (digits > 15) {
            e += !point;
            continue;
        }
        m = 10*m + (*s - '0');
        e -= point;
    }
    if (any && (*s == 'e' || *s == 'E')) {
        int x = 0, down = s[1] == '-', first = 1 + (s[1] == '-' || s[1] == '+');
        for (s += first, any = 0; *s >= '0' && *s <= '9' && x < 100; s++, any = 1)
            x = 10*x + (*s - '0');
        e += down ? -x : x;
    }
    if (!any || *s || e < -37 || e > 37) return 0;
    *v = (minus ? -1 : 1)*scale10(m, e);
    return 1;
}

/* The shortest decimal that parse_decimal reads back to v, or failing that 15 digits of it, none
 * below 1e-37. */
static void print_decimal(char *to, size_t n, double v)
{
    double a = v < 0 ? -v : v, m = 0;
    int top = 0, e = 0;
    while (a >= scale10(1, top + 1) && top < 37) top++;
    while (a > 0 && a < scale10(1, top) && top > -37) top--;
    for (int digits = 1; digits <= 15 && top - digits + 1 >= -37; digits++) {
        e = top - digits + 1;
        m = (double)(int64_t)(scale10(a, -e) + 0.5);
        if (scale10(m, e) == a) break;
    }
    while (m > 0 && e < 0 && m == 10*(double)(int64_t)(m/10)) m /= 10, e++;
    int64_t whole = (int64_t)m, one = 1;
    const char *minus = v < 0 ? "-" : "";
    if (e >= 0 && top < 15) {                                      /* 4000 */
        say(to, n, "%s%d", minus, (int64_t)scale10(m, e));
    } else if (e < 0 && e > -7) {                                  /* 0.098 */
        char digits[DN_NAME_MAX];
        for (int i = 0; i > e; i--) one *= 10;
        say(digits, sizeof digits, "%d", one + whole%one);         /* 1098: the 1 keeps zeros */
        say(to, n, "%s%d.%s", minus, whole/one, digits + 1);
    } else {                                                       /* 1e-8 */
        say(to, n, "%s%de%d", minus, whole, (int64_t)e);
    }
}

/* By name, with _ or - between its words. */
static const dn_field *field_find(const char *name)
{
    for (int i = 0; i < FIELDS; i++) {
        const char *a = fields[i].name, *b = name;
        while (*a && (*a == *b || (*a == '-' && *b == '_'))) a++, b++;
        if (!*a && !*b) return &fields[i];
    }
    return NULL;
}

dn_status dn_config_set(dn_config *c, const char *name, const char *value, char *err)
{
    const dn_field *f = field_find(name);
    double v = -1;
    if (!f) return fail(err, DN_EINVAL, "there is no option '%s'", name);
    if (f->kind == DN_CHOICE) {
        char list[DN_ERR_MAX], *p = list;
        while (++v <= f->high && strcmp(dn_choice(f, (int)v), value)) {
            p = put_text(p, list + sizeof list - 1, v > 0 ? ", " : "");
            p = put_text(p, list + sizeof list - 1, dn_choice(f, (int)v));
        }
        *p = 0;
        if (v > f->high)
            return fail(err, DN_EINVAL, "%s cannot be '%s'; it is one of %s", name, value, list);
    } else if (!parse_decimal(value, &v) || v < f->low || v > f->high ||
               (f->kind == DN_INT && v != (double)(int64_t)v)) {
        char lo[DN_NAME_MAX], hi[DN_NAME_MAX];
        print_decimal(lo, sizeof lo, f->low);
        print_decimal(hi, sizeof hi, f->high);
        return fail(err, DN_EINVAL, "%s must be %s from %s to %s, not '%s'", name,
                    f->kind == DN_INT ? "a whole number" : "a number", lo, hi, value);
    }
    field_put(c, f, v);
    return DN_OK;
}

void dn_config_get(const dn_config *c, const dn_field *f, char text[DN_NAME_MAX])
{
    if (f->kind == DN_CHOICE) say(text, DN_NAME_MAX, "%s", dn_choice(f, (int)field_value(c, f)));
    else print_decimal(text, DN_NAME_MAX, field_value(c, f));
}

/* A model has the values that its checkpoint can hold: 15 digits of each number, and for the layers
 * of a stack that is not there, which may be any number, one that is in range. */
static void config_round(dn_config *c)
{
    char text[DN_NAME_MAX];
    for (const dn_field *f = fields; f < fields + FIELDS; f++) {
        double v = field_value(c, f);
        if (v < f->low || v > f->high) field_put(c, f, f->fallback);
        if (f->kind != DN_FLOAT) continue;
        print_decimal(text, sizeof text, v);
        if (parse_decimal(text, &v)) field_put(c, f, v);
    }
}

dn_status dn_config_check(const dn_config *c, char *err)
{
    for (int i = 0; i < FIELDS; i++) {
        double v = field_value(c, &fields[i]);
        char text[DN_NAME_MAX];
        if (fields[i].at == offsetof(dn_config, enc_layers) && !has_stack(c, ENC)) continue;
        if (fields[i].at == offsetof(dn_config, dec_layers) && !has_stack(c, DEC)) continue;
        if (v >= fields[i].low && v <= fields[i].high) continue;      /* false for NaN */
        if (v > -1e15 && v < 1e15) print_decimal(text, sizeof text, v);
        else say(text, sizeof text, "that");
        return fail(err, DN_EINVAL, "%s cannot be %s", fields[i].name, text);
    }
    if (c->dim % c->heads)
        return fail(err, DN_EINVAL, "dim %d is not a multiple of heads %d",
                    (int64_t)c->dim, (int64_t)c->heads);
    if (c->positions == DN_SINUSOIDAL && c->dim % 2)
        return fail(err, DN_EINVAL, "dim %d is odd; sinusoidal positions need pairs",
                    (int64_t)c->dim);
    if (c->batch_tokens < c->ctx)
        return fail(err, DN_EINVAL, "batch-tokens %d is less than ctx %d",
                    (int64_t)c->batch_tokens, (int64_t)c->ctx);
    if (c->parts & (c->parts - 1))
        return fail(err, DN_EINVAL, "parts %d is not a power of two", (int64_t)c->parts);
    if (c->warmup_init > c->lr && c->warmup > 0)
        return fail(err, DN_EINVAL, "lr is smaller than warmup-init, where the warm-up starts");
    return DN_OK;
}

double dn_gain_of(const dn_config *c, int stack, int layer, enum dn_matrix which)
{
    return gain_of(c, stack, layer, (enum slot)which);
}

dn_gains dn_gains_of(const dn_config *c, int stack, int layer)
{
    const struct scheme *scheme = &schemes[c->norm];
    return (dn_gains){ factor_of(c, scheme->a, stack, layer), dn_gain_of(c, stack, layer, DN_V),
                       factor_of(c, scheme->b, stack, layer) };
}

/* Fixed are the fields from which sizes, values already drawn, or what was learned follow: all but
 * real numbers, warmup, steps and schedule. */
int dn_may_change(const dn_field *f)
{
    return f->kind == DN_FLOAT || f->at == offsetof(dn_config, warmup)
           || f->at == offsetof(dn_config, steps) || f->at == offsetof(dn_config, schedule);
}

dn_status dn_model_reconfigure(dn_model *m, const dn_config *c, char *err)
{
    char before[DN_NAME_MAX], after[DN_NAME_MAX];
    dn_config now = *c;
    if (dn_config_check(c, err)) return DN_EINVAL;
    now.parts = parts_of(c);
    config_round(&now);
    /* The layers of a stack that is not there may be any number. */
    if (!has_stack(c, ENC)) now.enc_layers = m->c.enc_layers;
    if (!has_stack(c, DEC)) now.dec_layers = m->c.dec_layers;
    for (const dn_field *f = fields; f < fields + FIELDS; f++) {
        if (dn_may_change(f) || field_value(&now, f) == field_value(&m->c, f)) continue;
        dn_config_get(&m->c, f, before);
        dn_config_get(&now, f, after);
        return fail(err, DN_EINVAL, "%s is %s in this model and cannot become %s", f->name, before,
                    after);
    }
    m->c = now;
    return DN_OK;
}

/* ---- 16 checkpoints ---------------------------------------------------------------------- */

/* [fmt:safetensors]   8 bytes N, little-endian;  N bytes of JSON;  the tensors, to the end
 *
 *   {"__metadata__":{"checksum":"16 hex digits","format":"pt","step":"7","config.dim":"64",...,
 *    "tokenizer":"..."},"encoder.embed.weight":{"dtype":"F32","shape":[259,64],
 *    "data_offsets":[0,66304]},...}    and blanks until N is a multiple of 8
 *
 * The values come first, then both moments under their prefixes, each without a gap behind the
 * one before.  The checksum is over every byte that follows its own digits. */
static const char *const prefix[] = { "", "adam.m.", "adam.v." };
static const char CONFIG_KEY[] = "config.";
static const char HEAD[] = "{\"__metadata__\":{\"checksum\":\"";
enum { DIGITS = 16, WORD = (int)sizeof(real), PIPE = 4096 };
enum { HEADER_MAX = 100000000 };                        /* the reference reader takes no more */

/* What is read: the type that is written, and those which that holds exactly. */
static const struct dtype { const char *name; int bytes, fraction; } dtypes[] = {
    { "F64", 8, 52 }, { "F32", 4, 23 }, { "F16", 2, 10 }, { "BF16", 2, 7 } };
enum { OWN = sizeof(real) == 8 ? 0 : 1, DTYPES = 4 };

/* A hash in which no change of a single 8-byte word can go unseen: each step is a bijection. */
struct checksum { uint64_t hash, word; int bytes; };

static void checksum_mix(struct checksum *s)
{
    s->hash = (s->hash ^ s->word)*0x9E3779B97F4A7C15u;
    s->hash ^= s->hash >> 29;
    s->word = 0;
    s->bytes = 0;
}

static void checksum_add(struct checksum *s, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->word |= (uint64_t)p[i] << 8*s->bytes;
        if (++s->bytes == 8) checksum_mix(s);
    }
}

static void checksum_digits(struct checksum s, char digits[DIGITS + 1])
{
    checksum_mix(&s);
    for (int i = DIGITS - 1; i >= 0; i--, s.hash >>= 4) digits[i] = "0123456789abcdef"[s.hash & 15];
    digits[DIGITS] = 0;
}

/* The writer runs twice: first without io, to learn the header's size and the checksum, then to
 * write.  Each run does its own half. */
struct writer {
    const dn_io *io;
    struct checksum sum;
    uint64_t at;
    int fill, failed;
    unsigned char pipe[PIPE];
};

static void flush(struct writer *out)
{
    if (out->fill && !out->failed)
        out->failed = out->io->write(out->io->user, out->pipe, (size_t)out->fill);
    out->fill = 0;
}

static void put(struct writer *out, const void *from, size_t n)
{
    const unsigned char *p = (const unsigned char *)from;
    out->at += n;
    if (!out->io) {
        checksum_add(&out->sum, p, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        out->pipe[out->fill++] = p[i];
        if (out->fill == PIPE) flush(out);
    }
}

static void put_string(struct writer *out, const char *s) { put(out, s, strlen(s)); }

static void put_pair(struct writer *out, const char *before, const char *key, const char *value)
{
    const char *const part[] = { ",\"", before, key, "\":\"", value, "\"" };
    for (int i = 0; i < 6; i++) put_string(out, part[i]);
}

/* A number as WORD little-endian bytes, whatever the host's order. */
static void real_bytes(unsigned char *to, real v)
{
    uint64_t u = 0;
    uint32_t u32;
    if (WORD == 8) {
        memcpy(&u, &v, sizeof v);
    } else {
        memcpy(&u32, &v, sizeof u32);
        u = u32;
    }
    for (int i = 0; i < WORD; i++) to[i] = (unsigned char)(u >> 8*i);
}

static double double_of(uint64_t exponent, uint64_t fraction)
{
    uint64_t u = exponent << 52 | fraction;
    double v;
    memcpy(&v, &u, sizeof v);
    return v;
}

/* The number in little-endian bytes: its exponent, counted from another bias, and its fraction are
 * moved to where a double has them.  An exponent of 0 means that of 1 and no 1 before the fraction;
 * the largest, that it is not finite. */
static double number_from(const unsigned char *p, const struct dtype *d)
{
    uint64_t u = 0;
    for (int i = 0; i < d->bytes; i++) u |= (uint64_t)p[i] << 8*i;
    int sign = 8*d->bytes - 1;
    uint64_t most = ((uint64_t)1 << (sign - d->fraction)) - 1, e = u >> d->fraction & most;
    uint64_t f = u << (52 - d->fraction) & (((uint64_t)1 << 52) - 1);
    uint64_t moved = e == most ? 2047 : e + !e - most/2 + 1023;
    double v = double_of(moved, f) - (e ? 0 : double_of(moved, 0));
    return u >> sign ? -v : v;
}

/* The entry of a tensor whose bytes begin at `from`; returns where they end. */
static uint64_t put_entry(struct writer *out, const dn_model *m, const struct tensor *t, int copy,
                          uint64_t from)
{
    char name[DN_NAME_MAX], shape[DN_NAME_MAX], entry[4*DN_NAME_MAX];
    uint64_t to = from + (uint64_t)t->count*WORD;
    say(shape, sizeof shape, t->cols ? "%d,%d" : "%d", (int64_t)t->rows, (int64_t)t->cols);
    say(entry, sizeof entry, ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
        prefix[copy], tensor_name(m, t, name), dtypes[OWN].name, shape, (int64_t)from, (int64_t)to);
    put_string(out, entry);
    return to;
}

static void put_header(struct writer *out, const dn_model *m, const dn_note *notes, int n_notes,
                       const char *checksum, int copies)
{
    char text[DN_NAME_MAX];
    uint64_t offset = 0;
    put_string(out, HEAD);
    put_string(out, checksum);
    out->sum = (struct checksum){0};
    put_string(out, "\"");
    put_pair(out, "", "format", "pt");
    say(text, sizeof text, "%d", m->step);
    put_pair(out, "", "step", text);
    for (const dn_field *f = fields; f < fields + FIELDS; f++) {
        if (!f->saved || (f->at == offsetof(dn_config, parts) && m->c.parts == 1)) continue;
        dn_config_get(&m->c, f, text);
        put_pair(out, CONFIG_KEY, f->name, text);
    }
    for (int i = 0; i < n_notes; i++) put_pair(out, "", notes[i].key, notes[i].text);
    put_string(out, "}");
    for (int copy = 0; copy < copies; copy++)
        for (int i = 0; i < m->tensors; i++)
            offset = put_entry(out, m, &m->tensor[i], copy, offset);
    put_string(out, "}");
    while (out->at%8) put_string(out, " ");
}

/* Returns the size of the header. */
static uint64_t put_file(struct writer *out, const dn_model *m, const dn_note *notes, int n_notes,
                         const char *checksum, uint64_t header)
{
    const real *copy[] = { m->value, m->mean, m->square };
    int copies = m->purpose == DN_TRAIN ? 3 : 1;
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(header >> 8*i);
    put(out, bytes, 8);
    put_header(out, m, notes, n_notes, checksum, copies);
    header = out->at - 8;
    for (int i = 0; i < copies; i++)
        for (size_t j = 0; j < m->scalars; j++) {
            real_bytes(bytes, copy[i][j]);
            put(out, bytes, WORD);
        }
    flush(out);
    return header;
}

/* Printable ASCII that JSON needs no escape for. */
static int plain_char(int c) { return c >= 32 && c < 127 && c != '"' && c != '\\'; }

static int plain_text(const char *s)
{
    while (plain_char(*s)) s++;
    return !*s;
}

/* A note must be found again by dn_load_note and hide nothing of our own. */
static dn_status note_check(const dn_note *notes, int i, char *err)
{
    static const char *const own[] = { "", "checksum", "format", "step" };
    const char *key = notes[i].key;
    int taken = !strncmp(key, CONFIG_KEY, sizeof CONFIG_KEY - 1);
    if (!plain_text(key) || !plain_text(notes[i].text))
        return fail(err, DN_EINVAL, "note %d is not printable ASCII without \" and \\",
                    (int64_t)i);
    if (strlen(key) >= DN_NAME_MAX)
        return fail(err, DN_EINVAL, "the key of note %d is too long", (int64_t)i);
    for (size_t k = 0; k < sizeof own/sizeof *own; k++) taken |= !strcmp(key, own[k]);
    for (int k = 0; k < i; k++) taken |= !strcmp(key, notes[k].key);
    return taken ? fail(err, DN_EINVAL, "a note cannot be called '%s'", key) : DN_OK;
}

dn_status dn_save(const dn_model *m, const dn_note *notes, int n_notes, const dn_io *io, char *err)
{
    char checksum[DIGITS + 1] = "0000000000000000";
    struct writer out;
    for (int i = 0; i < n_notes; i++)
        if (note_check(notes, i, err)) return DN_EINVAL;
    memset(&out, 0, sizeof out);
    uint64_t header = put_file(&out, m, notes, n_notes, checksum, 0);
    if (header > HEADER_MAX)
        return fail(err, DN_EINVAL, "a header of %d bytes, for %d tensors, is more than readers of "
                    "safetensors take", (int64_t)header, (int64_t)m->tensors);
    checksum_digits(out.sum, checksum);
    memset(&out, 0, sizeof out);
    out.io = io;
    put_file(&out, m, notes, n_notes, checksum, header);
    if (out.failed) return fail(err, DN_EIO, "the checkpoint could not be written");
    return DN_OK;
}

/* Reading: nothing in the file is believed before it is checked. */

struct reader {
    const dn_io *io;
    uint64_t at, end, data;             /* of the header, its end; the bytes of tensors       */
    uint64_t filled;                    /* data bytes the entries so far account for          */
    int have, next, metadata;           /* position in pipe; what was seen                    */
    struct checksum sum;                /* of the bytes before `summed`, but for the first few */
    uint64_t summed;
    uint64_t fields;                    /* the fields that were seen, one bit each            */
    unsigned char pipe[PIPE];
    char checksum[DN_NAME_MAX];
    dn_config config;
    int64_t step;
    const char *key;                    /* the note that is looked for                        */
    char *text;
    size_t room, length;
    int found;
    const dn_visit *visit;              /* who looks at any program's tensors, or NULL        */
    dn_model *m;                        /* the model to be filled, or NULL                    */
    int count[3];                       /* tensors seen of values and of both moments         */
    char *err;
    dn_status status;
};

static int bad(struct reader *in, const char *format, const char *what)
{
    if (in->status == DN_OK) in->status = fail(in->err, DN_EFORMAT, format, what);
    return 0;
}

/* n <= PIPE bytes from `at` on, into the pipe.  If they go on where the sum ends, it goes on, so a
 * file that is read in its order is read once, checksum and all. */
static int pipe_fill(struct reader *in, uint64_t at, size_t n)
{
    if (in->status) return 0;
    if (in->io->read(in->io->user, at, in->pipe, n)) {
        in->status = fail(in->err, DN_EIO, "the checkpoint could not be read");
        return 0;
    }
    if (at <= in->summed && in->summed < at + n) {
        checksum_add(&in->sum, in->pipe + (in->summed - at), (size_t)(at + n - in->summed));
        in->summed = at + n;
    }
    return 1;
}

static size_t pipe_most(uint64_t left) { return left < PIPE ? (size_t)left : PIPE; }

/* The next byte of the header, without or with taking it; -1 after the last. */
static int peek(struct reader *in)
{
    if (in->next == in->have) {
        size_t n = pipe_most(in->end - in->at);
        in->next = in->have = 0;
        if (!n || !pipe_fill(in, in->at, n)) return -1;
        in->at += n;
        in->have = (int)n;
    }
    return in->pipe[in->next];
}

static int skip_blanks(struct reader *in)
{
    int c;
    while ((c = peek(in)) == ' ' || c == '\n' || c == '\r' || c == '\t') in->next++;
    return c;
}

static int accept(struct reader *in, int c)
{
    if (skip_blanks(in) != c) return 0;
    in->next++;
    return 1;
}

static int expect(struct reader *in, int c)
{
    char text[2] = { (char)c, 0 };
    return accept(in, c) || bad(in, "the checkpoint's header lacks a '%s'", text);
}

/* A string's first n - 1 bytes with a NUL; the whole length in *length.  Escapes are refused, for
 * nothing this library writes needs one; to a visitor, what is not plain is shown as ?. */
static int get_string(struct reader *in, char *to, size_t n, size_t *length)
{
    int c;
    *length = 0;
    if (!expect(in, '"')) return 0;
    for (; (c = peek(in)) != '"'; in->next++) {
        if (in->visit && c == '\\') {
            in->next++;
            c = peek(in) < 0 ? -1 : '?';
        }
        if (in->visit && c >= 0 && !plain_char(c)) c = '?';
        if (!plain_char(c)) return bad(in, "a string in the checkpoint's header is %s",
                                       c < 0 ? "cut off" : "not plain ASCII");
        if (*length + 1 < n) to[*length] = (char)c;
        ++*length;
    }
    if (n) to[*length < n ? *length : n - 1] = 0;
    in->next++;
    return 1;
}

static int get_name(struct reader *in, char *to, size_t n)
{
    size_t length;
    if (!get_string(in, to, n, &length)) return 0;
    return length < n || bad(in, "a name in the checkpoint's header is too long: %s...", to);
}

static int get_number(struct reader *in, uint64_t *v)
{
    int c = skip_blanks(in);
    if (c < '0' || c > '9') return bad(in, "the checkpoint's header lacks a number", "");
    *v = 0;
    for (int digits = 0; (c = peek(in)) >= '0' && c <= '9'; in->next++) {
        if (digits++ && !*v)
            return bad(in, "a number in the checkpoint's header begins with 0", "");
        if (*v > (UINT64_MAX >> 1)/10 - 1)
            return bad(in, "a number in the checkpoint's header is too large", "");
        *v = 10**v + (uint64_t)(c - '0');
    }
    return 1;
}

/* [..], at most `most` numbers; how many, or -1. */
static int get_numbers(struct reader *in, uint64_t *to, int most)
{
    int n = 0;
    if (!expect(in, '[')) return -1;
    if (accept(in, ']')) return 0;
    do {
        if (n == most) bad(in, "a list in the checkpoint's header is too long", "");
        if (n == most || !get_number(in, &to[n++])) return -1;
    } while (accept(in, ','));
    return expect(in, ']') ? n : -1;
}

/* One pair of __metadata__: our checksum, step, configuration, the note asked for, or something
 * else. */
static int get_metadata(struct reader *in)
{
    char key[DN_NAME_MAX], value[DN_NAME_MAX];
    size_t length, prefix_length = sizeof CONFIG_KEY - 1;
    if (in->visit)
        return get_string(in, NULL, 0, &length) && expect(in, ':')
               && get_string(in, NULL, 0, &length);
    if (!get_name(in, key, sizeof key) || !expect(in, ':')) return 0;
    if (in->key && !strcmp(in->key, key)) {
        in->found = 1;
        return get_string(in, in->text, in->room, &in->length);
    }
    if (!get_string(in, value, sizeof value, &length)) return 0;
    if (!strcmp(key, "checksum"))
        say(in->checksum, sizeof in->checksum, "%s", *value ? value : "none");
    if (!strcmp(key, "step")) {
        const char *p = value;
        in->step = 0;
        while (*p >= '0' && *p <= '9' && p - value < 16 && (p == value || in->step > 0))
            in->step = 10*in->step + (*p++ - '0');
        if (*p || p == value) return bad(in, "step cannot be '%s'", value);
    }
    if (strncmp(key, CONFIG_KEY, prefix_length)) return 1;
    if (length >= sizeof value) return bad(in, "the value of %s is too long", key);
    const dn_field *f = field_find(key + prefix_length);
    if (f && !f->saved) return bad(in, "%s does not belong in a checkpoint", key);
    if (f) in->fields |= (uint64_t)1 << (f - fields);
    if (dn_config_set(&in->config, key + prefix_length, value, in->err)) in->status = DN_EFORMAT;
    return in->status == DN_OK;
}

/* The layer a tensor's name refers to: the first number in it; -1 if there is none. */
static int layer_in(const char *name)
{
    int layer = 0;
    while (*name && (*name < '0' || *name > '9')) name++;
    if (!*name) return -1;
    for (; *name >= '0' && *name <= '9' && layer < 1 << 24; name++)
        layer = 10*layer + (*name - '0');
    return layer;
}

/* Which tensor a name means, in a file of any order: of the named layer, or of the stacks, one
 * whose row of table 3 ends the name and that has exactly that name.  To look at all tensors for
 * every name would take minutes in a deep model. */
static struct tensor *tensor_find(const dn_model *m, const char *name)
{
    char text[DN_NAME_MAX];
    int layer = layer_in(name);
    size_t length = strlen(name);
    for (int s = ENC; s <= DEC; s++) {
        const struct stack *stack = &m->stack[s];
        int per = subs_per_layer(&m->c, s), first = stack->first + layer*per;
        if (layer >= layers_of(&m->c, s)) continue;
        for (int i = 0; i < (layer < 0 ? 1 : per); i++) {
            real *const *param = layer < 0 ? stack->param : m->sub[first + i].param;
            for (const struct param *row = params; row < params + PARAMS; row++) {
                size_t n = strlen(row->name);
                if (!param[row->slot] || n > length) continue;
                if (strcmp(name + length - n, row->name)) continue;
                struct tensor *t = tensor_of(m, param[row->slot]);
                if (!strcmp(tensor_name(m, t, text), name)) return t;
            }
        }
    }
    return NULL;
}

/* Name the fields that the file says nothing of: a wrong shape can come from one. */
static int lacking(struct reader *in)
{
    char *p = in->err + strlen(in->err);
    const char *const end = in->err + DN_ERR_MAX - 1, *before = "; the file lacks ";
    for (int i = 0; i < FIELDS; i++) {
        if (!fields[i].saved || fields[i].at == offsetof(dn_config, parts)) continue;
        if (in->fields >> i & 1) continue;
        p = put_text(put_text(put_text(p, end, before), end, CONFIG_KEY), end, fields[i].name);
        before = ", ";
    }
    *p = 0;
    return 0;
}

static int tensor_note(struct reader *in, const dn_entry *e, uint64_t begin)
{
    int copy = 2;
    if (!in->m) return 1;
    while (copy > 0 && strncmp(e->name, prefix[copy], strlen(prefix[copy]))) copy--;
    struct tensor *t = tensor_find(in->m, e->name + strlen(prefix[copy]));
    if (!t) return bad(in, "the model has no tensor '%s'", e->name) || lacking(in);
    if (e->dims != (t->cols ? 2 : 1) || e->shape[0] != (uint64_t)t->rows ||
        (t->cols && e->shape[1] != (uint64_t)t->cols))
        return bad(in, "tensor '%s' has another shape in the checkpoint", e->name) || lacking(in);
    if (t->file[copy]) return bad(in, "tensor '%s' is there twice", e->name);
    t->file[copy] = DTYPES*begin + (uint64_t)e->type + 1;  /* 0 means: not seen */
    in->count[copy]++;
    return 1;
}

/* Do the tensor's bytes lie in the file, and are they as many as its shape says? */
static int entry_check(struct reader *in, const dn_entry *e, const uint64_t span[2])
{
    uint64_t size = e->bytes ? (uint64_t)e->bytes : 1;
    for (int i = 0; i < e->dims; i++) {
        if (e->shape[i] && size > UINT64_MAX/8/DTYPES/e->shape[i])
            return bad(in, "tensor '%s' is too large", e->name);
        size *= e->shape[i];
    }
    if (span[1] < span[0] || (e->bytes && span[1] - span[0] != size)
        || (!in->visit && span[0] != in->filled))
        return bad(in, "tensor '%s' has wrong data_offsets", e->name);
    if (span[1] > in->data)
        return bad(in, "the file ends before the end of tensor '%s'; was it cut short?", e->name);
    return 1;
}

/* "name":{"dtype":..,"shape":[..],"data_offsets":[..]}: exactly these, in any order. */
static int get_entry(struct reader *in, const char *name)
{
    char word[DN_NAME_MAX], type[DN_NAME_MAX] = "";
    uint64_t span[2] = { 0, 0 };
    int spans = -1;
    dn_entry e = { .name = name, .dims = -1 };
    for (int i = 0; i < 3; i++) {
        if (!expect(in, i ? ',' : '{') || !get_name(in, word, sizeof word) || !expect(in, ':'))
            return 0;
        if (!strcmp(word, "dtype")) get_name(in, type, sizeof type);
        if (!strcmp(word, "shape")) e.dims = get_numbers(in, e.shape, DN_DIMS);
        if (!strcmp(word, "data_offsets")) spans = get_numbers(in, span, 2);
        if (in->status) return 0;
    }
    if (!expect(in, '}')) return 0;
    if (!*type || e.dims < 0 || spans != 2)
        return bad(in, "tensor '%s' lacks dtype, shape or data_offsets", name);
    while (e.type < DTYPES && strcmp(type, dtypes[e.type].name)) e.type++;
    if (!in->visit && (e.type < OWN || e.type == DTYPES)) {
        in->status = fail(in->err, DN_EFORMAT, "tensor '%s' is %s; this build reads %sF32, F16 and "
                          "BF16", name, type, OWN ? "" : "F64, ");
        return 0;
    }
    e.bytes = e.type < DTYPES ? dtypes[e.type].bytes : 0;
    if (!entry_check(in, &e, span)) return 0;
    e.at = in->end + span[0];
    in->filled = span[1];
    if (!in->visit) return tensor_note(in, &e, span[0]);
    in->visit->tensor(in->visit->user, &e);
    return 1;
}

static int get_header(struct reader *in)
{
    char name[DN_ENTRY_NAME];
    if (!expect(in, '{')) return 0;
    int empty = accept(in, '}');
    if (!empty) do {
        if (!get_name(in, name, sizeof name) || !expect(in, ':')) return 0;
        if (strcmp(name, "__metadata__")) {
            if (!get_entry(in, name)) return 0;
            continue;
        }
        if (in->metadata++) return bad(in, "the checkpoint has __metadata__ twice", "");
        if (!expect(in, '{')) return 0;
        if (accept(in, '}')) continue;
        do if (!get_metadata(in)) return 0; while (accept(in, ','));
        if (!expect(in, '}')) return 0;
    } while (accept(in, ','));
    if (!empty && !expect(in, '}')) return 0;
    if (skip_blanks(in) >= 0) return bad(in, "the checkpoint's header goes on after its end", "");
    if (in->status == DN_OK && !in->visit && in->filled != in->data)
        return bad(in, "the checkpoint's tensors do not fill the file", "");
    return in->status == DN_OK;
}

/* Of a file without a checksum, from another program, nothing is asked.  What is not summed yet is
 * read for it. */
static int checksum_check(struct reader *in)
{
    char digits[DIGITS + 1];
    if (!in->checksum[0]) return 1;
    while (in->summed < in->io->size)
        if (!pipe_fill(in, in->summed, pipe_most(in->io->size - in->summed))) return 0;
    checksum_digits(in->sum, digits);
    return !strcmp(digits, in->checksum) || bad(in, "the checkpoint's checksum is wrong: the file "
        "is damaged, or %s", "another program saved it again and should have left the key "
        "'checksum' out");
}

static dn_status reader_open(struct reader *in, const dn_io *io, dn_model *m, char *err)
{
    unsigned char n[8];
    memset(in, 0, sizeof *in);
    in->io = io;
    in->err = err;
    in->m = m;
    if (m) in->config = m->c;            /* what a file does not say stays as it is */
    else dn_config_default(&in->config);
    in->config.parts = 0;
    if (io->size < 8)
        return fail(err, DN_EFORMAT, "a file of %d bytes is no checkpoint", (int64_t)io->size);
    if (io->read(io->user, 0, n, 8)) return fail(err, DN_EIO, "the checkpoint could not be read");
    for (int i = 0; i < 8; i++) in->end |= (uint64_t)n[i] << 8*i;
    if (in->end < 2 || in->end > io->size - 8)
        return fail(err, DN_EFORMAT, "this is no checkpoint, or one cut short");
    in->at = 8;
    in->summed = 8 + sizeof HEAD - 1 + DIGITS;
    in->end += 8;
    in->data = io->size - in->end;
    return DN_OK;
}

dn_status dn_load_config(dn_config *c, const dn_io *io, char *err)
{
    struct reader in;
    dn_status status = reader_open(&in, io, NULL, err);
    if (status) return status;
    if (!get_header(&in)) return in.status;
    if (!in.fields) {
        fail(err, DN_EFORMAT, "the file has no configuration of a model");
        lacking(&in);
        return DN_EFORMAT;
    }
    in.config.parts = imax(in.config.parts, 1);
    if (!(in.fields >> (field_find("batch-tokens") - fields) & 1))
        in.config.batch_tokens = imax(in.config.batch_tokens, in.config.ctx);
    if (!dn_model_bytes(&in.config, DN_INFER, err)) return DN_EFORMAT;
    /* A small file cannot announce many parameters; ctx and batch-tokens can be anything. */
    if ((bytes_with(&in.config, DN_INFER, 1) - bytes_with(&in.config, DN_BORROW, 1))/(WORD/2)
        > io->size)
        return fail(err, DN_EFORMAT, "the file is too short for the model it describes");
    *c = in.config;
    return DN_OK;
}

dn_status dn_load_note(const dn_io *io, const char *key, char *text, size_t *size, char *err)
{
    struct reader in;
    dn_status status = reader_open(&in, io, NULL, err);
    if (status) return status;
    in.key = key;
    in.text = text;
    in.room = *size;
    if (!get_header(&in)) return in.status;
    if (!in.found) return fail(err, DN_EFORMAT, "the checkpoint has no note '%s'", key);
    *size = in.length + 1;
    return DN_OK;
}

dn_status dn_entries(const dn_io *io, const dn_visit *visit, char *err)
{
    struct reader in;
    dn_status status = reader_open(&in, io, NULL, err);
    if (status) return status;
    in.visit = visit;
    get_header(&in);
    return in.status;
}

double dn_entry_number(const dn_entry *e, const void *bytes)
{
    return number_from((const unsigned char *)bytes, &dtypes[e->type]);
}

static int values_read(struct reader *in, uint64_t from, const struct dtype *d, uint64_t count,
                       real *to)
{
    size_t each = (size_t)d->bytes;
    for (uint64_t i = 0, n; i < count; i += n) {
        n = pipe_most((count - i)*each)/each;
        if (!pipe_fill(in, from + i*each, (size_t)n*each)) return 0;
        for (uint64_t j = 0; j < n; j++) to[i + j] = (real)number_from(in->pipe + j*each, d);
    }
    return 1;
}

/* Configuration, values and step, in the order of a file of our own. */
static dn_status model_fill(struct reader *in)
{
    dn_model *m = in->m;
    char name[DN_NAME_MAX];
    real *copy[] = { m->value, m->mean, m->square };
    if (!in->config.parts) in->config.parts = in->fields ? 1 : m->c.parts;
    if (m->purpose == DN_INFER) {
        in->config.batch_tokens = m->c.batch_tokens;
        in->config.parts = m->c.parts;
    }
    if (dn_model_reconfigure(m, &in->config, in->err)) return DN_EINVAL;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < m->tensors; i++)
            if (!m->tensor[i].file[k] && (k == 0 || in->count[1] + in->count[2] > 0))
                return fail(in->err, DN_EFORMAT, "the checkpoint lacks tensor '%s%s'", prefix[k],
                            tensor_name(m, &m->tensor[i], name));
    for (int k = 0; k < (m->purpose == DN_TRAIN ? 3 : 1); k++) {
        if (!in->count[k]) memset(copy[k], 0, m->scalars*sizeof(real));
        for (int i = 0; in->count[k] && i < m->tensors; i++) {
            const struct tensor *t = &m->tensor[i];
            real *to = copy[k] + t->at;
            uint64_t file = t->file[k] - 1;
            const struct dtype *d = &dtypes[file%DTYPES];
            if (!values_read(in, in->end + file/DTYPES, d, t->count, to)) return in->status;
            if (!row_finite(to, t->count))
                return fail(in->err, DN_EFORMAT, "tensor '%s%s' has a value that is not finite",
                            prefix[k], tensor_name(m, t, name));
            for (size_t j = 0; k == 2 && j < t->count; j++)
                if (to[j] < 0)
                    return fail(in->err, DN_EFORMAT, "tensor '%s%s' has a value below 0",
                                prefix[k], tensor_name(m, t, name));
        }
    }
    m->step = in->count[1] ? in->step : 0;
    return DN_OK;
}

/* Whatever else there is to say of a damaged file whose header can be read, that it is damaged is
 * said. */
dn_status dn_load(dn_model *m, const dn_io *io, char *err)
{
    struct reader in;
    if (m->purpose == DN_BORROW)
        return fail(err, DN_EINVAL, "borrowed parameters stay as they are");
    for (int i = 0; i < m->tensors; i++) memset(m->tensor[i].file, 0, sizeof m->tensor[i].file);
    dn_status status = reader_open(&in, io, m, err);
    if (status) return status;
    if (!get_header(&in)) return in.status;
    status = model_fill(&in);
    return checksum_check(&in) ? status : in.status;
}

/* ---- 17 functions, random numbers -------------------------------------------------------- */

/* Every libm rounds in its own way, so here are our own exp, log, sin, cos, tanh and erf, made of
 * + - * / sqrt, comparisons and integers alone: operations with one right answer each (IEEE, to
 * nearest), hence the same bits everywhere.  There are two families:
 *
 *   _acc    for statistics, tables and random numbers; any precision of acc.  Series that compute
 *           their coefficients as they go: short loops, for none of them is hot.
 *   _real   for the inner loops.  In float: minimax polynomials without branch or call, so that a
 *           loop over an array becomes vector code.  In double (tests only): the series again.
 *
 * Errors are the worst measured, in ulp, as without / with fused multiply-add where these differ:
 * over all floats for the float versions, over random arguments for the double ones. */

/* ln 2 = LN2_HI + LN2_LO.  LN2_HI = 355/512 has 9 bits: a small integer times it is exact. */
#define LN2_HI 0.693359375
#define LN2_LO (-2.121944400546905827679e-4)

/* 2^n, exact, by repeated squaring. */
static acc power_of_two(int n)
{
    acc p = 1, square = n < 0 ? (acc)0.5 : 2;
    for (int m = n < 0 ? -n : n; m > 0; m /= 2) {
        if (m & 1) p *= square;
        square *= square;
    }
    return p;
}

/* The nearest integer; 0 for what no int can hold, NaN included. */
static int nearest(acc x)
{
    if (!(x > (acc)-1e9 && x < (acc)1e9)) return 0;
    return (int)(x < 0 ? x - (acc)0.5 : x + (acc)0.5);
}

/* Writes e^x as scale (1 + q), scale = 2^n and q = e^r - 1 for r = x - n ln 2, |r| <= ln(2)/2.
 * Keeping q apart from the 1 saves the digits that expm1, tanh and erf live on near zero.
 * q = r (1 + r/2 (1 + r/3 (1 + ...))); the 14th term is below 2e-17 r. */
static acc exp_parts_acc(acc x, acc *scale)
{
    int n = nearest(x*(acc)1.44269504088896340736);
    acc r = (x - (acc)n*(acc)LN2_HI) - (acc)n*(acc)LN2_LO;
    acc q = 1;
    for (int k = 13; k > 1; k--) q = 1 + r/(acc)k*q;
    *scale = power_of_two(n);
    return r*q;
}

/* e^x while it is a normal number: |x| < 708 in double, 87 in float.  1.3 ulp. */
static acc exp_acc(acc x)
{
    acc scale, q = exp_parts_acc(x, &scale);
    return scale + scale*q;
}

/* ln x, x > 0.  With x = m 2^n, sqrt(1/2) <= m < sqrt(2), and t = (m-1)/(m+1), |t| < 0.172:
 * ln m = 2 t (1 + t^2/3 + t^4/5 + ...).  0 and below give -inf; +inf and NaN pass.  2 ulp. */
static acc log_acc(acc x)
{
    if (!(x > 0 && x - x == 0)) return x <= 0 ? -(acc)INFINITY : x;
    int n = 0;
    for (; x >= (acc)1.41421356237309504880; x *= (acc)0.5) n++;
    for (; x < (acc)0.70710678118654752440; x *= 2) n--;
    acc t = (x - 1)/(x + 1), series = 0;
    for (int k = 21; k > 1; k -= 2) series = t*t*(1/(acc)k + series);
    return (acc)n*(acc)LN2_HI + ((acc)n*(acc)LN2_LO + 2*t*series + 2*t);
}

/* sin(x + quarters pi/2), to 1.7e-16 while |x| <= 1e6 (in float: 1e-7, 1e4).  The nearest multiple
 * k of pi/2 is subtracted in four pieces, the first three so short that k times them is exact. */
static acc sine(acc x, int quarters)
{
    static const acc HALF_PI[4] = {
        (acc)1.5703125, (acc)4.837512969970703125e-4, (acc)7.5495336204767227173e-8,
        (acc)2.563344151594518788189e-12
    };
    int k = nearest(x*(acc)0.63661977236758134308);
    for (int i = 0; i < 4; i++) x -= (acc)k*HALF_PI[i];

    unsigned quadrant = (unsigned)k + (unsigned)quarters;
    int odd = quadrant & 1;
    acc series = 1;   /* cos = 1 - x^2/(1 2) (1 - x^2/(3 4) (...)); sin/x = 1 - x^2/(2 3) (...) */
    for (int j = 17 - odd; j > 1; j -= 2) series = 1 - x*x/(acc)(j*(j - 1))*series;
    acc y = odd ? series : x*series;
    return quadrant & 2 ? -y : y;
}

static acc sin_acc(acc x) { return sine(x, 0); }
static acc cos_acc(acc x) { return sine(x, 1); }

#ifdef DN_DOUBLE

#define EXP_MIN (-708.3)
#define EXP_MAX 709.4

static inline real exp_parts(real x, real *scale) { return exp_parts_acc(x, scale); }

/* erf x = 2/sqrt(pi) x e^(-z) (1 + 2z/3 (1 + 2z/5 (1 + 2z/7 (...)))), z = x^2: all terms are
 * positive and 110 are enough up to |x| = 6, where erf has rounded to 1.  4 ulp to 1, 16 to 6. */
static real erf_real(real x)
{
    real z = x*x, series = 1;
    if (z > 36) return x < 0 ? -1 : 1;
    for (int k = 221; k > 1; k -= 2) series = 1 + 2*z/k*series;
    return 1.12837916709551257390*x*exp_acc(-z)*series;
}

#else

#define EXP_MIN (-87.3f)
#define EXP_MAX 88.37f

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Horner's rule; the count is a constant wherever it is called, so the loop unrolls. */
static inline real polynomial(const real *c, int count, real x)
{
    real y = c[count - 1];
    for (int i = count - 2; i >= 0; i--) y = fmadd(y, x, c[i]);
    return y;
}

/* As exp_parts_acc, for float.  Adding 1.5 2^23 rounds x / ln 2 to an integer and leaves it in
 * the low bits, ready to become the exponent of scale.  Outside EXP_MIN..EXP_MAX the result is
 * garbage, but harmless; NaN gives NaN. */
static inline real exp_parts(real x, real *scale)
{
    static const real C[] = {   /* (e^r - 1 - r) / r^2, to 3e-9 of e^r */
        0.499999933f, 0.166665189f, 0.0416684080f, 0.00836892178f, 0.00138141721f
    };
    const real MAGIC = 12582912;
    real shifted = fmadd(x, 1.44269504f, MAGIC), n = shifted - MAGIC;
    real r = fmadd(n, (real)-LN2_LO, fmadd(n, (real)-LN2_HI, x));
    *scale = float_of((bits_of(shifted) + 127) << 23);
    return fmadd(r*r, polynomial(C, 5, r), r);
}

/* erf |x| = 1 - e^(-a R(a)) with a = |x|: one smooth R, -ln(1 - erf a) / a, serves from 0 to 4,
 * where erf has rounded to 1, and erf is as accurate near 0 as q is.  3.2 ulp, 1e-7 at most. */
static inline real erf_real(real x)
{
    static const real R[] = {   /* erf to 4e-9 of itself */
        1.12837917f, 0.636619382f, 0.102777831f, -0.0191530641f, -1.60395405e-4f,
        1.66702653e-3f, -6.32836208e-4f, 1.17641054e-4f, -9.25623702e-6f
    };
    real a = x < 0 ? -x : x, scale;
    a = a > 4 ? 4 : a;
    real q = exp_parts(-a*polynomial(R, 9, a), &scale);
    real y = fmadd(-scale, q, 1 - scale);
    return x < 0 ? -y : y;
}

#endif

/* e^x; +inf above EXP_MAX, 0 below EXP_MIN, so never subnormal.  0.99 / 1.02 ulp; 1.3 in double. */
static inline real exp_real(real x)
{
    real scale, q = exp_parts(x, &scale), y = fmadd(scale, q, scale);
    return x > EXP_MAX ? (real)INFINITY : x < EXP_MIN ? 0 : y;
}

/* tanh x = m / (m + 2), m = e^(2x) - 1; rounded to 1 before 20.  2.7 ulp; 3.2 in double. */
static inline real tanh_real(real x)
{
    x = x > 20 ? 20 : x < -20 ? -20 : x;
    real scale, q = exp_parts(2*x, &scale), m = fmadd(scale, q, scale - 1);
    return m/(m + 2);
}

/* Random numbers are counter based: a number is a hash of (seed, stream, index), so any element
 * of any mask or matrix can be had in any order, on any number of threads, without a state to
 * carry along. */

/* One step of splitmix64 (Steele, Lea and Flood, 2014): a bijection of 64 bits. */
static uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30)*0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27)*0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The key of one stream of numbers. */
static uint64_t rng_key(uint64_t seed, uint64_t stream) { return mix64(mix64(seed) + stream); }

/* A bijection of 32 bits; the constants are those of Chris Wellons's lowbias32. */
static inline uint32_t mix32(uint32_t x)
{
    x = (x ^ x >> 16)*0x7feb352du;
    x = (x ^ x >> 15)*0x846ca68bu;
    return x ^ x >> 16;
}

/* 32 random bits.  One integer width throughout, so that a loop over index vectorizes. */
static inline uint32_t rng_bits(uint64_t key, uint32_t index)
{
    return mix32(mix32(index ^ (uint32_t)key) + (uint32_t)(key >> 32));
}

/* Uniform on (0, 1], in steps of 2^-24: exact in float, and its logarithm is finite. */
static real rng_uniform(uint64_t key, uint32_t index)
{
    return (real)((rng_bits(key, index) >> 8) + 1)/16777216;
}

/* Normal, by Box and Muller; it spends the uniforms 2 index and 2 index + 1, index < 2^31. */
static real rng_normal(uint64_t key, uint32_t index)
{
    acc radius2 = -2*log_acc((acc)rng_uniform(key, 2*index));
    acc angle = (acc)6.28318530717958647693*(acc)rng_uniform(key, 2*index + 1);
    return (real)(sqrt_acc(radius2)*cos_acc(angle));
}

uint32_t dn_random(uint64_t seed, uint64_t stream, uint32_t index)
{
    return rng_bits(rng_key(rng_key(seed, STREAM_CALLER), stream), index);
}

/* Rounds of bijections of 0 .. 2^b - 1 (odd multiplier, sum, xor with a shift), repeated until
 * the image is below n: a permutation of 0 .. n-1 in constant memory. */
uint32_t dn_shuffle(uint64_t seed, uint64_t stream, uint32_t i, uint32_t n)
{
    uint64_t key = rng_key(rng_key(seed, STREAM_CALLER), stream);
    uint32_t mask = n - 1;
    int shift = 1;
    for (int s = 1; s < 32; s *= 2) mask |= mask >> s;
    while (shift < 16 && mask >> 2*shift) shift++;
    do {
        for (uint32_t round = 0; round < 6; round++) {
            i = (i*(rng_bits(key, 2*round) | 1) + rng_bits(key, 2*round + 1)) & mask;
            i ^= i >> shift;
        }
    } while (i >= n);
    return i;
}

/* ---- 18 matrix product ------------------------------------------------------------------- */

/*     for i < M, j < N:
 *         s = start at 0, at C(i,j) or at bias[j]
 *         for k = 0 .. K-1 in this order: s = fmadd(A(i,k), B(k,j), s)
 *         C(i,j) = s
 *
 * is the definition, and what follows gives its very bits: an element of C is always one chain of
 * fmadds over ascending k.  Vectors and threads only take elements side by side, and a later
 * block of k goes on from the C that the earlier one stored (an exact round trip).
 *
 * Speed is from the register tile: MR rows of 2 vectors (NR columns), the accumulators of
 * MR*NR chains, so that each loaded number is used many times and the chains hide each other's
 * latency.  MR is what the register file holds beside 2 vectors of B and 1 number of A.  B is
 * copied ("packed") in blocks of KC x NC that stay in the second-level cache (512 KB), A in
 * strips of MR x KC that stay in the first (14 KB).  A port may set any of them at compile
 * time, tiny ones too. */
#ifndef DN_VBYTES                   /* bytes of a vector, a power of two */
#if defined __AVX512F__
#define DN_VBYTES 64
#elif defined __AVX__
#define DN_VBYTES 32
#else
#define DN_VBYTES 16
#endif
#endif
#ifndef DN_MR
#if defined __AVX512F__             /* 32 registers: 28 + 2 + 1 */
#define DN_MR 14
#elif defined __aarch64__           /* 32 too, but 14 leave none to spare */
#define DN_MR 12
#else                               /* 16: 12 + 2 + 1 */
#define DN_MR 6
#endif
#endif
#ifndef DN_KC
#define DN_KC 256
#endif
#ifndef DN_NC
#define DN_NC (2048/(int)sizeof(real))
#endif
#define CACHE_LINE (64/(int)sizeof(real))
#define DN_VL (DN_VBYTES/(int)sizeof(real))     /* numbers in a vector */
#define DN_NR (2*DN_VL)
#define DN_SR (DN_MR < 4 ? DN_MR : 4)           /* rows of the short tile, for what MR leaves */
#define DN_NP ((DN_NC + DN_NR - 1)/DN_NR*DN_NR) /* NC in whole panels: a block of B */

static size_t matmul_work(void) { return (DN_KC*(DN_NP + DN_MR) + DN_SR + 15)/16*16; }

static struct mat corner(struct mat m, int i, int k)
{
    m.p += m.trans ? (ptrdiff_t)k*m.ld + i : (ptrdiff_t)i*m.ld + k;
    return m;
}

/* Half a row of the tile.  The lane loop of vfma is plain C and says all there is to say, but the
 * whole tile must stay in registers, and compilers take a struct apart into single numbers; a
 * vector type stops that.  The loop hints and prefetch() too change nothing but speed. */
#ifdef __GNUC__
typedef real vec __attribute__((vector_size(DN_VBYTES)));
#define DN_INLINE static inline __attribute__((always_inline))
#else
typedef struct { real v[DN_VL]; } vec;
#define DN_INLINE static inline
#endif
#if defined __clang__
#define DN_UNROLL _Pragma("clang loop unroll(full)")        /* the rows, into registers */
#define DN_ROLLED _Pragma("clang loop vectorize(disable)")    /* this loop by itself is best */
#elif defined __GNUC__
#define DN_UNROLL _Pragma("GCC unroll 16")
#define DN_ROLLED _Pragma("GCC unroll 1")
#else
#define DN_UNROLL
#define DN_ROLLED
#endif

/* The number `ahead` of p, if there is one, will be needed soon. */
static inline void prefetch(const real *p, ptrdiff_t ahead)
{
#ifdef __GNUC__
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead*sizeof *p));
#else
    (void)p, (void)ahead;
#endif
}

static inline vec vload(const real *p)
{
    vec r;
    memcpy(&r, p, sizeof r);
    return r;
}

static inline vec vfma(real a, vec b, vec c)
{
    union { vec v; real r[DN_VL]; } x, y;
    x.v = b;
    y.v = c;
    DN_ROLLED
    for (int l = 0; l < DN_VL; l++) y.r[l] = fmadd(a, x.r[l], y.r[l]);
    return y.v;
}

/* Where the chains of a tile or strip start: (i, j) at p[i*ld + j]; ld 0: one row for all. */
struct start { const real *p; ptrdiff_t ld; };

/* B in panels of NR columns: row k of panel j begins at p[j*next + k*ld]. */
struct panels { const real *p; ptrdiff_t ld, next; };

/* C tile of mr rows (a constant in each call) = init tile + A strip times B panel, a(i,k) at
 * a[i*rs + k*cs]; init may be C.  A loop that runs at least once, and pointers that walk: otherwise
 * gcc keeps the accumulators in memory before and after it. */
DN_INLINE void tile(int mr, struct dest c, struct start init, const real *a, ptrdiff_t rs,
                    ptrdiff_t cs, struct panels b, int K)
{
    vec t[DN_MR][2];
    DN_UNROLL
    for (int i = 0; i < mr; i++, init.p += init.ld) {
        t[i][0] = vload(init.p);
        t[i][1] = vload(init.p + DN_VL);
    }
    do {
        vec b0 = vload(b.p), b1 = vload(b.p + DN_VL);
        DN_UNROLL
        for (int l = 0; l < DN_NR; l += CACHE_LINE) prefetch(b.p, 4*b.ld + l);
        DN_UNROLL
        for (int i = 0; i < mr; i++) {
            t[i][0] = vfma(a[i*rs], b0, t[i][0]);
            t[i][1] = vfma(a[i*rs], b1, t[i][1]);
        }
        a += cs, b.p += b.ld;
    } while (--K > 0);
    DN_UNROLL
    for (int i = 0; i < mr; i++, c.p += c.ld) {
        memcpy(c.p, &t[i][0], sizeof(vec));
        memcpy(c.p + DN_VL, &t[i][1], sizeof(vec));
    }
}

/* m <= MR rows and n columns of C from one strip of A, packed or (m = MR) as it lies, and B.
 * A tile that C's edge cuts is computed whole in e.  Three calls of tile, because each is a loop of
 * its own once its constants are known. */
static void strip(struct dest c, struct start init, struct mat a, struct panels b, int m, int n,
                  int K)
{
    real e[DN_MR*DN_NR];
    int mr = m == DN_MR ? DN_MR : DN_SR;
    for (int j = 0; j < n; j += DN_NR, b.p += b.next)
        for (int i = 0; i < m; i += mr) {
            int mt = imin(m - i, mr), nt = imin(n - j, DN_NR), cut = mt < mr || nt < DN_NR;
            const real *at = corner(a, i, 0).p;
            struct dest whole = { c.p + i*c.ld + j, c.ld }, to = whole;
            for (int r = 0; r < mt; r++)                        /* of C in the next strip */
                for (int l = 0; l < DN_NR; l += CACHE_LINE) prefetch(whole.p, (DN_MR + r)*c.ld + l);
            struct start from = { init.p + i*init.ld + j, init.ld };
            if (cut) {
                for (int l = 0; l < mr*DN_NR; l++) e[l] = 0;
                for (int r = 0; r < mt; r++)
                    for (int l = 0; l < nt; l++) e[r*DN_NR + l] = from.p[r*from.ld + l];
                to = (struct dest){ e, DN_NR };
                from = (struct start){ e, DN_NR };
            }
            if (mr < DN_MR)
                tile(DN_SR, to, from, at, 1, DN_MR, b, K);
            else if (a.trans)
                tile(DN_MR, to, from, at, 1, a.ld, b, K);
            else
                tile(DN_MR, to, from, at, a.ld, 1, b, K);
            for (int r = 0; cut && r < mt; r++)
                for (int l = 0; l < nt; l++) whole.p[r*whole.ld + l] = e[r*DN_NR + l];
        }
}

/* dst[k*w + i] = m(i,k) for k < K, i < n, and 0 for n <= i < w.  w is a constant in each call: a
 * whole row of it is copied by a few wide moves. */
static inline void pack(real *dst, int w, struct mat m, int n, int K)
{
    int i = 0;
    if (n < w) memset(dst, 0, (size_t)K*(size_t)w*sizeof *dst);
    if (m.trans) {
        for (int k = 0; n == w && k < K; k++)
            memcpy(dst + k*w, m.p + (ptrdiff_t)k*m.ld, (size_t)w*sizeof *dst);
        for (int k = 0; n < w && k < K; k++)
            for (int l = 0; l < n; l++) dst[k*w + l] = m.p[(ptrdiff_t)k*m.ld + l];
        return;
    }
    for (; i + 8 <= n; i += 8)                  /* transpose: 8 rows give one wide store each k */
        DN_ROLLED                                 /* vectors over k would scatter their stores */
        for (int k = 0; k < K; k++) {
            real q[8];
            for (int r = 0; k%CACHE_LINE == 0 && r < 8; r++)
                prefetch(m.p + (ptrdiff_t)(i + r)*m.ld + k, 8*(ptrdiff_t)m.ld);
            for (int r = 0; r < 8; r++) q[r] = m.p[(ptrdiff_t)(i + r)*m.ld + k];
            memcpy(dst + k*w + i, q, sizeof q);
        }
    for (; i < n; i++)
        for (int k = 0; k < K; k++) dst[k*w + i] = m.p[(ptrdiff_t)i*m.ld + k];
}

/* A B that lies transposed, as the weights of a layer do where one token is generated, is read
 * once, as it lies, SIDE of its rows at a time: as many chains as hide their latency, and as many
 * cache lines as a first-level cache holds where all of them fall into one set.  The prefetcher
 * does not cross to the next SIDE rows, so each line prefetches its successor there. */
enum { SIDE = 8 };

/* Rows j, j + 1, ... of B^T from k on, padded by repeating the last; returns how many there are. */
static inline int rows_from(const real *p[SIDE], struct mat b, int j, int k, int N)
{
    int n = imin(N - j, SIDE);
    for (int r = 0; r < SIDE; r++) p[r] = b.p + (ptrdiff_t)(j + imin(r, n - 1))*b.ld + k;
    return n;
}

/* matmul1, below, for one row, where no number of B would be used twice: c = init + a B. */
static void matmul_row(real *c, const real *init, struct mat a, struct mat b, int N, int K)
{
    const ptrdiff_t step = a.trans ? a.ld : 1;
    int whole = b.trans ? 0 : N/DN_NR*DN_NR;
    for (int j = 0; j < N && init != c; j++) c[j] = init ? init[j] : 0;
    for (int j = 0; j < whole; j += DN_NR)
        tile(1, into(c + j, 0), (struct start){ c + j, 0 }, a.p, 0, step,
             (struct panels){ b.p + j, b.ld, 0 }, K);
    for (int k = 0; k < K && whole < N && !b.trans; k++) {
        const real ak = a.p[k*step], *bk = b.p + (ptrdiff_t)k*b.ld;
        for (int j = whole; j < N; j++) c[j] = fmadd(ak, bk[j], c[j]);
    }
    for (int j = 0; j < N && b.trans; j += SIDE) {
        const real *p[SIDE];
        real t[SIDE];
        int n = rows_from(p, b, j, 0, N);
        for (int r = 0; r < SIDE; r++) t[r] = c[j + imin(r, n - 1)];
        for (int k = 0, end = 0; k < K; ) {
            for (int r = 0; r < SIDE; r++) prefetch(p[r] + k, (ptrdiff_t)SIDE*b.ld);
            for (end = imin(K, end + CACHE_LINE); k < end; k++) {
                real x = a.p[k*step];
                DN_UNROLL
                for (int r = 0; r < SIDE; r++) t[r] = fmadd(p[r][k], x, t[r]);
            }
        }
        for (int r = 0; r < n; r++) c[j + r] = t[r];
    }
}

/* matmul1 for M <= VL rows and a B that lies transposed: C^T = B^T A^T, with A^T a panel of one
 * vector. */
static void matmul_few(struct dest c, const real *init, struct mat a, struct mat b, int M, int N,
                       int K, real *w)
{
    enum { BLOCK = DN_KC*DN_NP/DN_VL };
    for (int k0 = 0; k0 < K; k0 += BLOCK) {
        int kc = imin(K - k0, BLOCK), add = k0 > 0 || init == c.p;
        pack(w, DN_VL, corner(a, 0, k0), M, kc);
        for (int j = 0; j < N; j += SIDE) {
            const real *p[SIDE];
            real e[SIDE][DN_VL];
            vec t[SIDE];
            int n = rows_from(p, b, j, k0, N);
            for (int r = 0; r < SIDE; r++) {
                real first = !add && init && r < n ? init[j + r] : 0;
                for (int i = 0; i < DN_VL; i++) e[r][i] = first;
                for (int i = 0; i < M && add && r < n; i++) e[r][i] = c.p[i*c.ld + j + r];
            }
            DN_UNROLL
            for (int r = 0; r < SIDE; r++) t[r] = vload(e[r]);
            for (int k = 0, end = 0; k < kc; ) {
                for (int r = 0; r < SIDE; r++) prefetch(p[r] + k, (ptrdiff_t)SIDE*b.ld);
                for (end = imin(kc, end + CACHE_LINE); k < end; k++) {
                    vec x = vload(w + (ptrdiff_t)k*DN_VL);
                    DN_UNROLL
                    for (int r = 0; r < SIDE; r++) t[r] = vfma(p[r][k], x, t[r]);
                }
            }
            memcpy(e, t, sizeof e);
            for (int i = 0; i < M; i++)
                for (int r = 0; r < n; r++) c.p[i*c.ld + j + r] = e[r][i];
        }
    }
}

/* Rows of A so far apart fall into one set of a first-level cache (64 sets of lines of 64 bytes),
 * which holds fewer lines than the tile has rows: 0.65 of the peak as they lie, 0.82 packed. */
static int crowded(int ld) { return (size_t)ld*sizeof(real)%4096 == 0; }

/* Can B be read as it lies?  Its rows must be whole panels, and fit near a first-level cache. */
static int bare(struct mat b, int N, int K)
{
    return !b.trans && N%DN_NR == 0 && !crowded(b.ld)
           && (size_t)K*(size_t)b.ld*sizeof(real) <= 65536;
}

/* By one thread; see section 4.  A strip of A is packed where it is short, or where enough columns
 * of B make up for it: lying transposed, or in a crowd. */
static void matmul1(struct dest c, const real *init, struct mat a, struct mat b, int M, int N,
                    int K, real *w)
{
    static const real zero[DN_NP];
    real *packed_a = w + DN_KC*DN_NP;
    struct mat bt = { b.p, b.ld, !b.trans };
    int as_it_lies = bare(b, N, K);
    if (M == 1) {
        matmul_row(c.p, init, a, b, N, K);
        return;
    }
    if (M <= DN_VL && b.trans) {
        matmul_few(c, init, a, b, M, N, K, w);
        return;
    }
    for (int j = 0; j < N; j += DN_NP)
        for (int k = 0; k < K; k += DN_KC) {
            int n = imin(N - j, DN_NP), kc = imin(K - k, DN_KC), add = k > 0 || init == c.p;
            struct panels panels = { corner(b, k, j).p, b.ld, DN_NR };
            if (!as_it_lies) panels = (struct panels){ w, DN_NR, (ptrdiff_t)kc*DN_NR };
            for (int l = 0; l < n && !as_it_lies; l += DN_NR)
                pack(w + (ptrdiff_t)l*kc, DN_NR, corner(bt, j + l, k), imin(n - l, DN_NR), kc);
            for (int i = 0; i < M; i += DN_MR) {
                int m = imin(M - i, DN_MR);
                struct dest to = { c.p + i*c.ld + j, c.ld };
                struct start from = { add ? to.p : init ? init + j : zero, add ? c.ld : 0 };
                struct mat s = corner(a, i, k);
                if (m < DN_MR || (n > 4*DN_NR && (s.trans || crowded(s.ld)))) {
                    pack(packed_a, DN_MR, s, m, kc);
                    s = turned(packed_a, DN_MR);
                }
                strip(to, from, s, panels, m, n, kc);
            }
        }
}

/* Each thread takes one part of C on a grid of tm x tn parts, chosen for the least work of the
 * busiest thread: its products, and the numbers it packs (about as slow as a vector of products
 * each). */
static void matmul(const struct team *team, struct dest c, const real *init, struct mat a,
                   struct mat b, int M, int N, int K)
{
    int pm = (M + DN_MR - 1)/DN_MR, pn = (N + DN_NR - 1)/DN_NR, tm = 1, tn = 1;
    int threads = enough(team->threads, (double)M*N*K);
    double best = -1;
    for (int t = 1; t <= threads && t <= pm; t++) {
        int u = imin(threads/t, pn);
        double rows = (pm + t - 1)/t*DN_MR, cols = (pn + u - 1)/u*DN_NR;
        double cost = rows*cols + DN_VL*(rows + cols);
        if (best < 0 || cost < best) {
            best = cost;
            tm = t;
            tn = u;
        }
    }
    PARALLEL_FOR(tm*tn,
    for (int t = 0; t < tm*tn; t++) {
        long long y = t/tn, x = t%tn;
        int i = imin(M, (int)(pm*y/tm)*DN_MR), m = imin(M, (int)(pm*(y + 1)/tm)*DN_MR) - i;
        int j = imin(N, (int)(pn*x/tn)*DN_NR), n = imin(N, (int)(pn*(x + 1)/tn)*DN_NR) - j;
        struct dest to = { c.p + i*c.ld + j, c.ld };
        matmul1(to, init == c.p ? to.p : init ? init + j : NULL, corner(a, i, 0), corner(b, 0, j),
                m, n, K, team->product + (size_t)t*matmul_work());
    })
}

/* ---- 19 later methods -------------------------------------------------------------------- */

/* L, N: sub-layers and layers of the stack.  [dev:base-depth] CompleteP divides by N over the depth
 * at which rates were found, if there is one; here that is one layer. */
static double later_factor(const dn_config *c, enum law law, int stack, int layer)
{
    double L = subs_of(c, stack), N = layers_of(c, stack);
    switch (law) {
    case ADMIN:      return sqrt((L + 1)/ln(L + 1) - 1);
    case SUBLAYERS:  return layer ? L : 1;
    case RESIDUE:    return sqrt(L/2 - 1);
    case DEPTH:      return 1/N;
    case ROOT_DEPTH: return 1/sqrt(N);
    default:         return 1;
    }
}

/* acos r for 0 <= r <= 1: Newton's method, which from pi/2 on only goes down. */
static double arccos(double r)
{
    double x = 1.57079632679489661923, last;
    do {
        last = x;
        x += ((double)cos_acc((acc)x) - r)/(double)sin_acc((acc)x);
    } while (x < last);
    return last;
}

/* DeepScaleLM's correlation of two tokens at the foot of a layer.  The embedding has 0.221 (1 - p),
 * p the dropout; attention makes 1 - p of it, the feed-forward (with ReLU) what is below, and the
 * sum of skip and branch their weighted mean.  [dev:moments] weights 1 - 2/L and 2/L, L sub-layers;
 * cross-attention counts as attention. */
static double correlation(const dn_config *c, int stack, int layer)
{
    const double pi = 3.14159265358979323846;
    double keep = 1 - c->dropout, r = 0.221*keep;
    for (int i = 0; i < layer*subs_per_layer(c, stack); i++) {
        double g = kind_at(c, stack, i) == FFN ? r + (sqrt(1 - r*r) - r*arccos(r))/pi : 1;
        r += (keep*g - r)*2/subs_of(c, stack);
    }
    return r;
}

/* DeepScaleLM's deviations, over Xavier's, are those that give drop(G) variance 1, hence G variance
 * 1 - p.  That is r D^2 s^4 in attention and D F s^4/2 behind ReLU, so the variance s^2 is
 * sqrt((1 - p)/r)/D of V and O, and sqrt(2 (1 - p)/(D F)) of W1 and W2. */
static double later_gain(const dn_config *c, int stack, int layer, enum slot slot)
{
    double own = layers_of(c, stack), D = c->dim, F = ffn_width(c), keep = 1 - c->dropout;
    switch (schemes[c->norm].gain) {
    case SUB_LN:
        if (!crossed(c)) return sqrt(ln(2*own));
        return sqrt(ln(3.0*c->dec_layers)*(stack == DEC ? 1 : ln(2*own)/3));
    case LAST:
        return slot == WO || slot == W2 ? 1/sqrt(subs_of(c, stack)) : 1;
    case MOMENTS:
        if (slot == W1 || slot == W2) return sqrt(sqrt(2*keep/(D*F))*(D + F)/2);
        return root4(keep/correlation(c, stack, layer));
    default:
        return 1;
    }
}
