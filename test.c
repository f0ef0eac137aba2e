/* test.c - every claim the library makes, as one row of one table
 *
 * SPDX-License-Identifier: MIT
 *
 * A row has a key, a claim, a function that measures an error, and the error allowed when the
 * library is built in double (-DDN_DOUBLE) and in float; both are built and run.  A row that is a
 * statement of the paper also names its place there and what the number means.
 *
 *     ./test                 run all rows; the last line counts them; exit status 0: all passed
 *     ./test eq: rng:        run the rows whose key begins like that
 *     ./test paper           the statements of the paper: place, measured, bound, verdict
 *     ./test --quick         all rows but thm:, fig: and rule:learns, which train for seconds
 *     ./test.f32 large:      2^31 parameters, 12 GB: only when asked for by name
 *     ./test --hash          print the kind of machine and the hash of trained models, to compare
 *                            machines; keys after it: run those rows too
 *
 * Helpers first (among them a plain model), then the tests and, in the same order, their rows:
 *     A values   B gradients   C golden numbers   D properties   E failures
 *     F the paper's claims     G the tokenizer
 *
 * The library is included, not linked, so its static functions can be tested; whatever reads it
 * a second time here (plain_...) is written as plainly as possible, from the paper, in double.
 */
static double start_work = 2e5; /* 0 for the rest of a row: threads share the smallest product */
#define DN_START start_work
static unsigned small_gradients = 1u << 24; /* 0: parts share arrays for their gradients         */
#define DN_SMALL small_gradients
#include "deepnet.c"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- helpers ----------------------------------------------------------------------------- */

enum { NARROW = sizeof(acc) < sizeof(double) };          /* -DDN_ACC=float */

static char err[DN_ERR_MAX];              /* every call's sentence                             */
static char detail[256];                  /* where the current row's worst error was seen      */
static void *blocks[64];                  /* the current row's memory, freed when it is done   */
static int n_blocks;

static double larger(double a, double b)  /* NaN is larger than anything, so it is never lost */
{
    return a != a || b <= a ? a : b;
}

/* Keep the worst error of a row and say where it was. */
static void worst(double *e, double found, const char *format, ...)
{
    va_list args;
    const double old = *e;
    *e = larger(old, found);
    if (old != old || found <= old)
        return;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
}

/* A condition that must hold; if not, the error is NaN, which is beyond any bound. */
#define MUST(e, condition) worst(&(e), (condition) ? 0 : NAN, "line %d: %s", __LINE__, #condition)

static void free_blocks(void)
{
    while (n_blocks > 0)
        free(blocks[--n_blocks]);
}

static void *get_block(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p || n_blocks == (int)(sizeof blocks/sizeof *blocks)) {
        fprintf(stderr, "test: out of memory\n");
        exit(2);
    }
    return blocks[n_blocks++] = p;
}

static const dn_field *field_named(const char *name)
{
    int n;
    const dn_field *f = dn_fields(&n);
    for (int i = 0; i < n; i++)
        if (!strcmp(f[i].name, name))
            return f + i;
    fprintf(stderr, "test: no field %s\n", name);
    exit(2);
}

static int *int_field(dn_config *c, const dn_field *f)
{
    return (int *)(void *)((char *)c + f->at);
}

static double *float_field(dn_config *c, const dn_field *f)
{
    return (double *)(void *)((char *)c + f->at);
}

static int choices(const char *name)
{
    int n = 0;
    while (dn_choice(field_named(name), n))
        n++;
    return n;
}

static const char *name_of(const char *field, int value)
{
    return dn_choice(field_named(field), value);
}

/* The value of a choice, by name; ends the program if there is none. */
static int choice(const char *field, const char *name)
{
    for (int i = 0; i < choices(field); i++)
        if (!strcmp(name_of(field, i), name))
            return i;
    fprintf(stderr, "test: %s has no %s\n", field, name);
    exit(2);
}

static dn_config small_config(int arch, int norm)
{
    dn_config c;
    dn_config_default(&c);
    c.arch = arch;
    c.norm = norm;
    c.vocab = 13;  c.dim = 12;  c.heads = 3;  c.ffn = 20;  c.ctx = 8;
    c.enc_layers = c.dec_layers = 2;
    c.batch_tokens = 32;
    c.dropout = c.attn_dropout = c.act_dropout = 0;
    c.label_smoothing = 0.1;
    c.warmup = 4;  c.lr = 1e-2;  c.steps = 100;
    c.weight_decay = 0.01;
    c.clip = 1;
    c.parts = c.threads = c.desks = 1;
    return c;
}

static dn_model *make_model(const dn_config *c, enum dn_purpose purpose)
{
    const size_t need = dn_model_bytes(c, purpose, err);
    dn_model *m = need ? dn_model_init(c, purpose, get_block(need), need, err) : NULL;
    if (!m) {
        fprintf(stderr, "test: no model: %s\n", err);
        exit(2);
    }
    return m;
}

static void drop_last_block(void)
{
    free(blocks[--n_blocks]);
}

static size_t tensor_size(const dn_tensor *t)
{
    return (size_t)t->rows*(size_t)(t->cols ? t->cols : 1);
}

/* The tensor with this name; its value is NULL if there is none. */
static dn_tensor tensor_named(const dn_model *m, const char *name)
{
    for (int i = 0; i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        if (!strcmp(t.name, name)) return t;
    }
    return (dn_tensor){ "", 0, 0, NULL, NULL };
}

/* Number i of the tensor with this name, by a rule that PyTorch can follow too: multiples of
 * 2^-16, so that float and double hold the same. */
static double by_rule(const char *name, size_t i)
{
    uint32_t h = 2166136261u, u;
    for (const char *s = name; *s; s++)
        h = (h ^ (unsigned char)*s)*16777619u;
    u = (h + (uint32_t)i)*2654435761u;
    u = (u ^ u >> 15)*2246822519u;
    u ^= u >> 13;
    return (double)(u >> 16)/65536 - 0.5;
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

static void fill_parameters(dn_model *m)
{
    for (int i = 0; i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        for (size_t k = 0; k < tensor_size(&t); k++) {
            double u = by_rule(t.name, k);
            if (ends_with(t.name, ".o.weight") || ends_with(t.name, ".w2.weight"))
                u = 0.5*u;              /* G is small, for some schemes have no norm */
            else if (ends_with(t.name, "norm.weight") || (t.cols == 0
                                                          && ends_with(t.name, ".weight")))
                u = 1 + 0.25*u;
            else if (t.cols == 0)
                u = 0.25*u;
            t.value[k] = (dn_real)u;
        }
    }
}

/* What the plain model below has room for. */
enum {
    PLAIN_LEN = 144, PLAIN_TOKENS = 378, PLAIN_WIDTH = 64, PLAIN_VOCAB = 300, PLAIN_LAYERS = 8
};

/* A batch by a rule, its sequences from the shortest to the longest; salt varies the ids. */
struct sample {
    int enc[PLAIN_TOKENS], dec[PLAIN_TOKENS], label[PLAIN_TOKENS], enc_len[8], dec_len[8];
    dn_batch b;
};

static const dn_batch *fill_batch(struct sample *s, const dn_config *c, int rows, int salt)
{
    static const int enc_len[8] = { 4, 6, 1, 8, 2, 3, 5, 1 };   /* in eighths of ctx */
    static const int dec_len[8] = { 5, 1, 8, 3, 4, 2, 6, 1 };
    for (int r = 0; r < rows; r++) {
        s->enc_len[r] = (enc_len[r]*c->ctx + 7)/8;
        s->dec_len[r] = (dec_len[r]*c->ctx + 7)/8;
    }
    for (int i = 0; i < PLAIN_TOKENS; i++) {
        s->enc[i] = (7*i + 3 + salt)%c->vocab;
        s->dec[i] = (5*i + 2 + salt)%c->vocab;
        s->label[i] = i%4 == 3 ? DN_IGNORE : (11*i + 4 + salt)%c->vocab;
    }
    s->b.rows = rows;
    s->b.enc = c->arch == DN_DECODER ? NULL : s->enc;
    s->b.enc_len = c->arch == DN_DECODER ? NULL : s->enc_len;
    s->b.dec = c->arch == DN_ENCODER ? NULL : s->dec;
    s->b.dec_len = c->arch == DN_ENCODER ? NULL : s->dec_len;
    s->b.label = s->label;
    return &s->b;
}

static const int *top_len(const dn_batch *b)
{
    return b->dec ? b->dec_len : b->enc_len;
}

static int top_tokens(const dn_batch *b)
{
    int n = 0;
    for (int r = 0; r < b->rows; r++)
        n += top_len(b)[r];
    return n;
}

/* Row r of a batch, alone. */
static dn_batch row_of(const dn_batch *b, int r)
{
    dn_batch one = *b;
    for (int i = 0; i < r; i++) {
        one.label += top_len(b)[i];
        one.enc = b->enc ? one.enc + b->enc_len[i] : NULL;
        one.dec = b->dec ? one.dec + b->dec_len[i] : NULL;
    }
    one.enc_len = b->enc ? b->enc_len + r : NULL;
    one.dec_len = b->dec ? b->dec_len + r : NULL;
    one.rows = 1;
    return one;
}

static int same_parameters(const dn_model *a, const dn_model *b)
{
    for (int i = 0; i < dn_tensor_count(a); i++) {
        const dn_tensor s = dn_tensor_at(a, i), t = dn_tensor_at(b, i);
        if (strcmp(s.name, t.name) || memcmp(s.value, t.value, tensor_size(&s)*sizeof *s.value))
            return 0;
    }
    return dn_tensor_count(a) == dn_tensor_count(b);
}

static dn_real *get_logits(dn_model *m, const dn_batch *b)
{
    const size_t n = (size_t)top_tokens(b)*(size_t)dn_model_config(m)->vocab;
    dn_real *logits = get_block(n*sizeof *logits);
    if (dn_logits(m, b, logits, err) != DN_OK) {
        fprintf(stderr, "test: %s\n", err);
        exit(2);
    }
    return logits;
}

#define HASH_START 14695981039346656037u
static uint64_t hash_byte(uint64_t h, unsigned char byte) { return (h ^ byte)*1099511628211u; }

/* FNV-1a over the bits of the parameters, whatever the byte order of the machine. */
static uint64_t hash_parameters(const dn_model *m)
{
    uint64_t h = HASH_START;
    for (int i = 0; i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        for (size_t k = 0; k < tensor_size(&t); k++) {
#ifdef DN_DOUBLE
            uint64_t bits;
#else
            uint32_t bits;
#endif
            memcpy(&bits, &t.value[k], sizeof bits);
            for (size_t j = 0; j < sizeof bits; j++)
                h = hash_byte(h, (unsigned char)(bits >> 8*j & 255));
        }
    }
    return h;
}

#define BEAM(n, penalty) (&(dn_beam){ .beam = n, .length_penalty = penalty })

/* For a model trained for some steps with everything switched on. */
static dn_config busy_config(int arch, int norm)
{
    dn_config c = small_config(arch, norm);
    c.dropout = 0.1;  c.attn_dropout = 0.1;  c.act_dropout = 0.1;
    c.dim = 32;  c.heads = 4;  c.ffn = 48;  c.vocab = 40;
    c.positions = DN_LEARNED;
    return c;
}

static void train(dn_model *m, int steps, double *e)
{
    struct sample s[2];
    dn_stats st;
    for (int i = 0; i < steps; i++) {
        const int salt = (int)dn_step_count(m);
        const dn_batch two[2] = { *fill_batch(&s[0], dn_model_config(m), 6, salt),
                                  *fill_batch(&s[1], dn_model_config(m), 3, 2*salt + 1) };
        if (dn_train_step(m, two, 1 + salt%2, &st, err) != DN_OK)
            worst(e, NAN, "%s", err);
    }
}

/* ---- helpers: a plain model -------------------------------------------------------------- */

/* The paper's equations in double, one sequence at a time. */
typedef double plain_seq[PLAIN_LEN][PLAIN_WIDTH];       /* one row per token                   */

/* A tensor's values by name; NULL if the configuration has no such tensor (biases).  The place
 * where a name was last found is tried first: the plain model asks for each many times. */
static const dn_real *param(const dn_model *m, const char *base, const char *name)
{
    static int found[4096];
    char full[2*DN_NAME_MAX];
    unsigned hash = 0;
    snprintf(full, sizeof full, "%s%s", base, name);
    for (const char *p = full; *p; p++)
        hash = 31*hash + (unsigned char)*p;
    int *first = &found[hash%4096];
    for (int i = -1; i < dn_tensor_count(m); i++) {
        const int at = i < 0 ? *first : i;
        if (at >= dn_tensor_count(m))
            continue;
        const dn_tensor t = dn_tensor_at(m, at);
        if (strcmp(t.name, full))
            continue;
        *first = at;
        return t.value;
    }
    return NULL;
}

/* y = x W' + b */
static void plain_linear(plain_seq y, plain_seq x, const dn_real *w, const dn_real *b,
                         int n, int in, int out)
{
    for (int t = 0; t < n; t++)
        for (int o = 0; o < out; o++) {
            double s = b ? (double)b[o] : 0;
            for (int i = 0; i < in; i++)
                s += (double)w[o*in + i]*x[t][i];
            y[t][o] = s;
        }
}

/* y = LN(x), row by row */
static void plain_norm(plain_seq y, plain_seq x, const dn_real *w, const dn_real *b, int n, int d)
{
    for (int t = 0; t < n; t++) {
        double mean = 0, var = 0;
        for (int i = 0; i < d; i++)
            mean += x[t][i]/d;
        for (int i = 0; i < d; i++)
            var += (x[t][i] - mean)*(x[t][i] - mean)/d;
        for (int i = 0; i < d; i++)
            y[t][i] = (double)w[i]*(x[t][i] - mean)/sqrt(var + 1e-5) + (double)b[i];
    }
}

/* y = RMSNorm(x), row by row */
static void plain_rms(plain_seq y, plain_seq x, const dn_real *w, int n, int d)
{
    for (int t = 0; t < n; t++) {
        double squares = 0;
        for (int i = 0; i < d; i++)
            squares += x[t][i]*x[t][i];
        for (int i = 0; i < d; i++)
            y[t][i] = (double)w[i]*x[t][i]/sqrt(squares/d + 1e-5);
    }
}

/* What sub-layer i of a stack reads, or past the last one its output, and the weights of its
 * attention, row after row of a batch: noted as the plain model comes by. */
static struct plain_note {
    int decoder, i, now;
    double x[PLAIN_TOKENS*PLAIN_WIDTH], weights[8192];
    int n_x, n_weights;
} noted = { .i = -1 };

static void plain_note_x(int decoder, int i, plain_seq x, int n, int dim)
{
    noted.now = decoder == noted.decoder && i == noted.i;
    for (int t = 0; t < n && noted.now; t++)
        for (int j = 0; j < dim; j++)
            noted.x[noted.n_x++] = x[t][j];
}

/* softmax(q k' / sqrt(width)) v, head by head; causal: token t sees 0..t. */
static void plain_attend(plain_seq y, plain_seq q, plain_seq k, plain_seq v,
                         int n, int n_kv, const dn_config *c, int causal)
{
    const int dim = c->dim, width = dim/c->heads;
    for (int t = 0; t < n; t++)
        for (int h = 0; h < dim; h += width) {
            const int seen = causal ? t + 1 : n_kv;
            double p[PLAIN_LEN], sum = 0;
            for (int s = 0; s < seen; s++) {
                double dot = 0;
                for (int i = h; i < h + width; i++)
                    dot += q[t][i]*k[s][i];
                sum += p[s] = exp(dot/sqrt(width));
            }
            for (int i = h; i < h + width; i++) {
                y[t][i] = 0;
                for (int s = 0; s < seen; s++)
                    y[t][i] += p[s]/sum*v[s][i];
            }
            for (int s = 0; s < n_kv && noted.now; s++)
                noted.weights[noted.n_weights + (h/width*n + t)*n_kv + s] = s < seen ? p[s]/sum : 0;
        }
    noted.n_weights += noted.now ? c->heads*n*n_kv : 0;
}

static double plain_activation(int kind, double x)
{
    if (kind == DN_RELU)
        return x > 0 ? x : 0;
    if (kind == DN_GELU)
        return 0.5*x*(1 + erf(x/sqrt(2)));
    return 0.5*x*(1 + tanh(sqrt(2/acos(-1))*(x + 0.044715*x*x*x)));
}

/* The residual equation  y = out( a x + b br( G( in(x) ) ) ),  where the last matrix of G reads
 * mid(.): what in, mid, br and out are in self-attention, cross-attention and feed-forward, in
 * the order of --norm, and what stands behind a stack.  L: LayerNorm, R: RMSNorm, s: one scalar
 * added, h: each head times a scalar. */
static const struct plain_scheme {
    const char *name, *in, *mid, *br, *out, *top;
} plain_schemes[] = {
    { "deepnorm",          "---", "---", "---", "LLL", "-" },
    { "post-ln",           "---", "---", "---", "LLL", "-" },
    { "pre-ln",            "LLL", "---", "---", "---", "L" },
    { "post-ln-init",      "---", "---", "---", "LLL", "-" },
    { "ds-init",           "---", "---", "---", "LLL", "-" },
    { "admin",             "---", "---", "---", "LLL", "-" },
    { "admin-torch",       "---", "---", "---", "LLL", "-" },
    { "r-fixup",           "sss", "sss", "---", "---", "s" },
    { "t-fixup",           "---", "---", "---", "---", "-" },
    { "rezero",            "---", "---", "---", "---", "-" },
    { "normformer",        "LLL", "h-L", "L--", "---", "L" },
    { "dlcl",              "LLL", "---", "---", "---", "L" },
    { "sub-ln",            "LLL", "L-L", "---", "---", "L" },
    { "layernorm-scaling", "LLL", "---", "---", "---", "L" },
    { "peri-ln",           "LLL", "---", "LLL", "---", "L" },
    { "keel",              "RRR", "---", "---", "RRR", "-" },
    { "olmo2",             "---", "---", "RRR", "---", "R" },
    { "gpt2-init",         "LLL", "---", "---", "---", "L" },
    { "deepscalelm",       "---", "---", "---", "LLL", "-" },
    { "completep",         "LLL", "---", "---", "---", "L" },
    { "depth-mup",         "LLL", "---", "---", "---", "L" },
    { "mix-ln",            "LLL", "---", "---", "---", "L" },     /* but in the first quarter */
};

static const struct plain_scheme *plain_scheme(const dn_config *c)
{
    enum { ROWS = sizeof plain_schemes/sizeof *plain_schemes };
    static const struct plain_scheme *found[ROWS];      /* by the library's number */
    for (int i = 0; i < ROWS && c->norm < ROWS && !found[c->norm]; i++)
        if (!strcmp(plain_schemes[i].name, name_of("norm", c->norm)))
            found[c->norm] = &plain_schemes[i];
    if (c->norm < ROWS && found[c->norm])
        return found[c->norm];
    fprintf(stderr, "test: no plain model of %s\n", name_of("norm", c->norm));
    exit(2);
}

static int plain_is(const dn_config *c, const char *name)
{
    return !strcmp(plain_scheme(c)->name, name);
}

/* A sub-layer's stack, layer and kind, read from its name: "decoder.3.cross_attn." */
static int plain_decoder(const char *base)
{
    return base[0] == 'd';
}

static int plain_layer(const char *base)                /* from 0 */
{
    return (int)strtol(strchr(base, '.') + 1, NULL, 10);
}

static int plain_kind(const char *base)
{
    return strstr(base, "self") ? 0 : strstr(base, "cross") ? 1 : 2;
}

static int plain_layers(const dn_config *c, int decoder)
{
    return decoder ? c->dec_layers : c->enc_layers;
}

/* Sub-layers of a stack. */
static int plain_depth(const dn_config *c, int decoder)
{
    return !decoder ? 2*c->enc_layers : (c->arch == DN_ENC_DEC ? 3 : 2)*c->dec_layers;
}

/* x = what the letter in the table makes of x, n rows */
static void plain_place(const dn_model *m, const char *base, const char *place,
                        const char *letters, plain_seq x, int n, int width)
{
    const dn_config *c = dn_model_config(m);
    const char letter = letters[1] ? letters[plain_kind(base)] : letters[0];
    const dn_real *head = param(m, base, "head.weight");
    char at[2*DN_NAME_MAX];
    if (plain_is(c, "keel") && !strcmp(place, "out_") && plain_layer(base) == 0
        && plain_kind(base) == 0)
        return;                                         /* the first sub-layer of a stack */
    snprintf(at, sizeof at, "%s%s", base, place);
    if (letter == 'L')
        plain_norm(x, x, param(m, at, "norm.weight"), param(m, at, "norm.bias"), n, width);
    if (letter == 'R')
        plain_rms(x, x, param(m, at, "norm.weight"), n, width);
    for (int t = 0; t < n; t++)
        for (int i = 0; i < width; i++) {
            if (letter == 's')
                x[t][i] += (double)*param(m, at, "shift.bias");
            if (letter == 'h')
                x[t][i] *= (double)head[i/(c->dim/c->heads)];
        }
}

/* The branch G: attention of x over memory, or the feed-forward network of x. */
static void plain_branch(const dn_model *m, const char *base, plain_seq y, plain_seq x, int n,
                         plain_seq memory, int n_memory, int causal)
{
    const dn_config *c = dn_model_config(m);
    const char *mid = plain_scheme(c)->mid;
    static plain_seq q, k, v, a;
    if (ends_with(base, "ffn.")) {
        const int shifted = plain_is(c, "r-fixup");
        const double shift = shifted ? (double)*param(m, base, "act_shift.bias") : 0;
        plain_linear(a, x, param(m, base, "w1.weight"), param(m, base, "w1.bias"),
                     n, c->dim, c->ffn);
        for (int t = 0; t < n; t++)
            for (int i = 0; i < c->ffn; i++)
                a[t][i] = plain_activation(c->activation, a[t][i] + shift);
        plain_place(m, base, "mid_", mid, a, n, c->ffn);
        plain_linear(y, a, param(m, base, "w2.weight"), param(m, base, "w2.bias"),
                     n, c->ffn, c->dim);
        return;
    }
    plain_linear(q, x, param(m, base, "q.weight"), param(m, base, "q.bias"), n, c->dim, c->dim);
    plain_linear(k, memory, param(m, base, "k.weight"), param(m, base, "k.bias"),
                 n_memory, c->dim, c->dim);
    plain_linear(v, memory, param(m, base, "v.weight"), param(m, base, "v.bias"),
                 n_memory, c->dim, c->dim);
    plain_attend(a, q, k, v, n, n_memory, c, causal);
    plain_place(m, base, "mid_", mid, a, n, c->dim);
    plain_linear(y, a, param(m, base, "o.weight"), param(m, base, "o.bias"), n, c->dim, c->dim);
}

/* [tab:alpha-beta] once more, from the paper's figure 2, with pow(). */
static dn_gains plain_gains(int arch, int stack, double n, double m)
{
    dn_gains g = { .branch = 1 };
    if (arch == DN_ENC_DEC && stack == 0) {
        g.alpha = 0.81*pow(pow(n, 4)*m, 1.0/16);
        g.beta = 0.87*pow(pow(n, 4)*m, -1.0/16);
    } else if (arch == DN_ENC_DEC) {
        g.alpha = pow(3*m, 0.25);
        g.beta = pow(12*m, -0.25);
    } else {
        const double layers = arch == DN_ENCODER ? n : m;
        g.alpha = pow(2*layers, 0.25);
        g.beta = pow(8*layers, -0.25);
    }
    return g;
}

/* The skip's a in a layer (from 0); where a is learned, its first value. */
static double plain_alpha(const dn_config *c, int decoder, int layer)
{
    const double L = plain_depth(c, decoder);
    if (plain_is(c, "deepnorm"))
        return plain_gains(c->arch, decoder, c->enc_layers, c->dec_layers).alpha;
    if (plain_is(c, "admin-torch"))
        return sqrt((L + 1)/log(L + 1) - 1);
    if (plain_is(c, "keel") && layer > 0)
        return L;
    if (plain_is(c, "deepscalelm"))                     /* lambda/beta */
        return sqrt((1 - 2/L)/(2/L));
    return 1;
}

/* a of element i: learned where there is an omega. */
static double plain_skip(const dn_model *m, const char *base, int i)
{
    const dn_config *c = dn_model_config(m);
    if (plain_is(c, "admin") || plain_is(c, "admin-torch"))
        return (double)param(m, base, "omega.weight")[i];
    return plain_alpha(c, plain_decoder(base), plain_layer(base));
}

/* b, where it is not learned. */
static double plain_fixed_b(const dn_config *c, int decoder)
{
    const double layers = plain_layers(c, decoder);
    return plain_is(c, "completep") ? 1/layers : plain_is(c, "depth-mup") ? pow(layers, -0.5) : 1;
}

/* b: the sub-layer's own scalar, or the one its layer shares. */
static double plain_scale(const dn_model *m, const char *base)
{
    const dn_config *c = dn_model_config(m);
    char layer[DN_NAME_MAX];
    if (plain_is(c, "r-fixup"))
        return (double)*param(m, base, "scale.weight");
    if (!plain_is(c, "rezero"))
        return plain_fixed_b(c, plain_decoder(base));
    snprintf(layer, sizeof layer, "%s.%d.", plain_decoder(base) ? "decoder" : "encoder",
             plain_layer(base));
    return (double)*param(m, layer, "self_attn.scale.weight");
}

/* x = one more sub-layer of x, by the residual equation of the configured scheme. */
static void plain_sublayer(const dn_model *m, const char *base, plain_seq x, int n,
                           plain_seq memory, int n_memory)
{
    const dn_config *c = dn_model_config(m);
    const struct plain_scheme *p = plain_scheme(c);
    const int cross = plain_kind(base) == 1;
    const int post = plain_is(c, "mix-ln")
                   && plain_layer(base) < plain_layers(c, plain_decoder(base))/4.0;
    static plain_seq in, g;
    memcpy(in, x, (size_t)n*sizeof *in);
    plain_place(m, base, "in_", post ? p->out : p->in, in, n, c->dim);
    for (int t = 0; t < n && plain_is(c, "layernorm-scaling"); t++)
        for (int i = 0; i < c->dim; i++)
            in[t][i] /= sqrt(plain_layer(base) + 1);
    plain_branch(m, base, g, in, n, cross ? memory : in, cross ? n_memory : n,
                 plain_decoder(base) && !cross);
    plain_place(m, base, "br_", p->br, g, n, c->dim);
    for (int t = 0; t < n; t++)
        for (int i = 0; i < c->dim; i++)
            x[t][i] = plain_skip(m, base, i)*x[t][i] + plain_scale(m, base)*g[t][i];
    plain_place(m, base, "out_", post ? p->in : p->out, x, n, c->dim);
}

/* Sinusoids are [sin(p w_0) ... cos(p w_0) ...], w_k = 10000^(-k/(d/2 - 1)). */
static double plain_position(const dn_config *c, const dn_real *learned, int p, int i)
{
    const int half = c->dim/2, k = i%half;
    const double w = half > 1 ? pow(10000, -(double)k/(half - 1)) : 1;
    if (learned)
        return (double)learned[p*c->dim + i];
    return i < half ? sin(p*w) : cos(p*w);
}

/* DLCL: z_l = sum over k <= l of mix[l][k] LN_k(y_k), of the outputs y of the embedding and of
 * the layers so far. */
static void plain_mix(const dn_model *m, const char *stack, plain_seq z, plain_seq *y, int l,
                      int n)
{
    const dn_config *c = dn_model_config(m);
    const int rows = 1 + plain_layers(c, plain_decoder(stack));
    const dn_real *mix = param(m, stack, "mix.weight");
    static plain_seq normed;
    memset(z, 0, (size_t)n*sizeof *z);
    for (int k = 0; k <= l; k++) {
        plain_norm(normed, y[k], param(m, stack, "mix_norm.weight") + k*c->dim,
                   param(m, stack, "mix_norm.bias") + k*c->dim, n, c->dim);
        for (int t = 0; t < n; t++)
            for (int i = 0; i < c->dim; i++)
                z[t][i] += (double)mix[l*rows + k]*normed[t][i];
    }
}

static void plain_stack(const dn_model *m, const char *stack, plain_seq x, const int *tokens,
                        int n, plain_seq memory, int n_memory)
{
    static const char *const sub[] = { "self_attn", "cross_attn", "ffn" };
    const dn_config *c = dn_model_config(m);
    const int encoder = !plain_decoder(stack), layers = plain_layers(c, !encoder);
    static plain_seq y[PLAIN_LAYERS + 1];               /* what DLCL mixes */
    int at = 0;
    const dn_real *table = param(m, stack, "embed.weight");
    const dn_real *learned = c->positions == DN_LEARNED ? param(m, stack, "positions.weight")
                                                        : NULL;
    if (!table)                                         /* tie=all: the encoder's */
        table = param(m, "encoder.", "embed.weight");
    for (int t = 0; t < n; t++)
        for (int i = 0; i < c->dim; i++)
            x[t][i] = sqrt(c->dim)*(double)table[tokens[t]*c->dim + i]
                    + plain_position(c, learned, t, i);
    for (int l = 0; l <= layers; l++) {
        memcpy(y[l], x, (size_t)n*sizeof *x);
        if (plain_is(c, "dlcl"))
            plain_mix(m, stack, x, y, l, n);
        for (int s = 0; s < 3 && l < layers; s++) {
            char base[DN_NAME_MAX];
            if (s == 1 && (encoder || c->arch != DN_ENC_DEC))
                continue;
            snprintf(base, sizeof base, "%s%d.%s.", stack, l, sub[s]);
            plain_note_x(!encoder, at++, x, n, c->dim);
            plain_sublayer(m, base, x, n, memory, n_memory);
        }
    }
    plain_place(m, stack, "", plain_scheme(c)->top, x, n, c->dim);
    plain_note_x(!encoder, at, x, n, c->dim);
}

/* Logits of the whole batch: tokens x vocab. */
static void plain_logits(const dn_model *m, const dn_batch *b, double *logits)
{
    const dn_config *c = dn_model_config(m);
    const dn_real *out = param(m, "output.", "weight");
    const int *enc = b->enc, *dec = b->dec;
    static plain_seq memory, x;
    if (!out && (c->tie == DN_TIE_ALL || !dec))
        out = param(m, "encoder.", "embed.weight");
    if (!out)
        out = param(m, "decoder.", "embed.weight");
    for (int r = 0; r < b->rows; r++) {
        const int n_enc = enc ? b->enc_len[r] : 0, n = dec ? b->dec_len[r] : n_enc;
        if (enc)
            plain_stack(m, "encoder.", memory, enc, n_enc, NULL, 0);
        if (dec)
            plain_stack(m, "decoder.", x, dec, n, memory, n_enc);
        for (int t = 0; t < n; t++)
            for (int v = 0; v < c->vocab; v++, logits++) {
                *logits = 0;
                for (int i = 0; i < c->dim; i++)
                    *logits += (double)out[v*c->dim + i]*(dec ? x : memory)[t][i];
            }
        enc = enc ? enc + n_enc : NULL;
        dec = dec ? dec + n : NULL;
    }
}

/* The sum of the losses with label smoothing e, (1-e) nll + e/V sum_v -log p_v, as PyTorch's. */
static double plain_loss(const dn_model *m, const dn_batch *b, dn_stats *s)
{
    const dn_config *c = dn_model_config(m);
    static double logits[PLAIN_TOKENS*PLAIN_VOCAB];
    double loss = 0;
    plain_logits(m, b, logits);
    memset(s, 0, sizeof *s);
    for (int t = 0; t < top_tokens(b); t++) {
        const double *z = logits + t*c->vocab;
        double sum = 0, spread = 0;
        int best = 0;
        if (b->label[t] == DN_IGNORE)
            continue;
        for (int v = 0; v < c->vocab; v++) {
            sum += exp(z[v]);
            best = z[v] > z[best] ? v : best;
        }
        for (int v = 0; v < c->vocab; v++)
            spread += (log(sum) - z[v])/c->vocab;
        const double nll = log(sum) - z[b->label[t]];
        s->nll += nll;
        loss += (1 - c->label_smoothing)*nll + c->label_smoothing*spread;
        s->tokens++;
        s->correct += best == b->label[t];
    }
    s->nll /= s->tokens;
    s->loss = loss/s->tokens;
    return loss;
}

/* ---- helpers: checkpoints in memory ------------------------------------------------------ */

enum { FILE_ROOM = 1 << 21 };

struct file {
    unsigned char *bytes;
    size_t room, n;
    int calls, fail_at;                   /* the call that fails, from 1; 0: none              */
    int overrun;                          /* reads outside of the file                         */
};

static unsigned char room_a[FILE_ROOM], room_b[FILE_ROOM];
static struct file file_a = { room_a, FILE_ROOM, 0, 0, 0, 0 };
static struct file file_b = { room_b, FILE_ROOM, 0, 0, 0, 0 };

static int from_memory(void *user, uint64_t at, void *to, size_t n)
{
    struct file *f = user;
    if (++f->calls == f->fail_at)
        return 1;
    if (at > f->n || n > f->n - at) {
        f->overrun = 1;
        return 1;
    }
    memcpy(to, f->bytes + at, n);
    return 0;
}

static int to_memory(void *user, const void *from, size_t n)
{
    struct file *f = user;
    if (++f->calls == f->fail_at || n > f->room - f->n)
        return 1;
    memcpy(f->bytes + f->n, from, n);
    f->n += n;
    return 0;
}

static dn_io io_of(struct file *f)
{
    const dn_io io = { f, f->n, from_memory, to_memory };
    f->calls = 0;
    return io;
}

static const dn_note notes[] = { { "tokenizer", "bpe1 259." }, { "made by", "test.c" } };

static dn_status save(const dn_model *m, struct file *f)
{
    f->n = 0;
    f->overrun = f->fail_at = 0;
    const dn_io io = io_of(f);
    return dn_save(m, notes, 2, &io, err);
}

static dn_status load(dn_model *m, struct file *f)
{
    const dn_io io = io_of(f);
    return dn_load(m, &io, err);
}

static dn_status load_config(dn_config *c, struct file *f)
{
    const dn_io io = io_of(f);
    return dn_load_config(c, &io, err);
}

static dn_status load_note(struct file *f)
{
    const dn_io io = io_of(f);
    char text[32];
    size_t size = sizeof text;
    return dn_load_note(&io, "made by", text, &size, err);
}

/* Bytes of the length field and the header that a safetensors file begins with. */
static size_t header_size(const struct file *f)
{
    size_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | f->bytes[i];
    return n + 8;
}

static void header_resize(struct file *f, size_t n)
{
    for (size_t i = 0; i < 8; i++)
        f->bytes[i] = (unsigned char)((uint64_t)(n - 8) >> 8*i);
}

/* Remove the checksum, as if another program had written the file. */
static void unsign(struct file *f)
{
    const char *word = "checksum\":\"";
    for (size_t i = 0; i < 64; i++)
        if (!memcmp(f->bytes + i, word, strlen(word)))
            f->bytes[i] = 'C';
}

/* Refused: a status other than DN_OK, and a sentence. */
#define refused(call, want) (err[0] = '\0', is_refused((call), (want)))

/* Refused by a call that gives a pointer or a number of bytes: nothing, and a sentence. */
#define none(call) refused((call) ? DN_OK : DN_EINVAL, DN_EINVAL)

static int is_refused(dn_status status, dn_status want)
{
    return status == want && memchr(err, '\0', DN_ERR_MAX) && strlen(err) > 8;
}

/* Replace the first such text of the header by another, of any length. */
static int header_replace(struct file *f, const char *from, const char *to)
{
    const size_t n = header_size(f), k = strlen(from), room = strlen(to);
    for (size_t i = 8; i + k <= n; i++)
        if (!memcmp(f->bytes + i, from, k)) {
            memmove(f->bytes + i + room, f->bytes + i + k, f->n - i - k);
            memcpy(f->bytes + i, to, room);
            f->n = f->n + room - k;
            header_resize(f, n + room - k);
            return 1;
        }
    return 0;
}

/* The file as another program might write it: the tensors from last to first, no checksum. */
static void tensors_reverse(const struct file *from, struct file *to)
{
    static const char word[] = "\"data_offsets\":[";
    const char *text = (const char *)from->bytes, *meta = strchr(text + 8, '}') + 1;
    const size_t n = header_size(from);
    size_t put = 0;
    to->n = (size_t)(meta - text);
    memcpy(to->bytes, text, to->n);
    unsign(to);
    for (int data = 0; data < 2; data++) {
        for (const char *p = text + n - 2; p >= meta; p--) {
            if (memcmp(p, ",\"", 2) || p[-1] != '}')
                continue;
            const char *offsets = strstr(p, word) + sizeof word - 1;
            char *comma;
            const size_t at = strtoul(offsets, &comma, 10);
            const size_t size = strtoul(comma + 1, NULL, 10) - at;
            const size_t k = data ? size : (size_t)(offsets - p);
            memcpy(to->bytes + to->n, data ? text + n + at : p, k);
            to->n += k;
            if (!data)
                to->n += (size_t)sprintf((char *)to->bytes + to->n, "%lu,%lu]}",
                                         (unsigned long)put, (unsigned long)(put + size));
            put += size;
        }
        if (!data) {
            to->bytes[to->n++] = '}';
            header_resize(to, to->n);
        }
    }
}

/* ---- A values ---------------------------------------------------------------------------- */

/* Logits, losses and counts, library against plain model, relative to their size. */
static void compare_with_plain(double *e, const dn_config *c)
{
    struct sample s;
    dn_model *m = make_model(c, DN_INFER);
    const dn_batch *b = fill_batch(&s, c, 5, 0);
    const int n = top_tokens(b)*c->vocab;
    static double want[PLAIN_TOKENS*PLAIN_VOCAB];
    dn_stats got = { 0 }, plain;
    fill_parameters(m);
    dn_real *logits = get_logits(m, b);
    plain_logits(m, b, want);
    for (int i = 0; i < n; i++)
        worst(e, fabs((double)logits[i] - want[i])/(1 + fabs(want[i])), "%s %s %s: logit %d",
              name_of("arch", c->arch), name_of("norm", c->norm), name_of("tie", c->tie), i);
    MUST(*e, dn_evaluate(m, b, &got, err) == DN_OK);
    plain_loss(m, b, &plain);
    worst(e, fabs(got.loss/plain.loss - 1), "loss of %s", name_of("norm", c->norm));
    worst(e, fabs(got.nll/plain.nll - 1), "nll of %s", name_of("norm", c->norm));
    MUST(*e, got.tokens == plain.tokens && got.correct == plain.correct);
    free_blocks();
}

/* Every scheme, architecture and value of one more field. */
static double sweep(const char *field, int values)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++)
            for (int v = 0; v < values; v++) {
                dn_config c = small_config(arch, norm);
                *int_field(&c, field_named(field)) = v;
                compare_with_plain(&e, &c);
            }
    return e;
}

static double t_value_norm(void)       { return sweep("seed", 1); }
static double t_value_activation(void) { return sweep("activation", choices("activation")); }
static double t_value_positions(void)  { return sweep("positions", choices("positions")); }
static double t_value_tie(void)        { return sweep("tie", choices("tie")); }
static double t_value_bias(void)       { return sweep("bias", 2); }

/* Widths that are no multiple of any tile, from one column per head to a single head. */
static double t_value_shapes(void)
{
    static const int shape[][4] = {     /* dim, heads, ffn, vocab */
        { 2, 1, 1, 5 }, { 4, 4, 3, 7 }, { 6, 1, 17, 33 }, { 34, 2, 63, 61 }, { 48, 3, 33, 40 },
        { 64, 8, 64, 64 },
    };
    double e = 0;
    for (size_t i = 0; i < sizeof shape/sizeof *shape; i++)
        for (int arch = 0; arch < choices("arch"); arch++) {
            dn_config c = small_config(arch, choice("norm", "deepnorm"));
            c.dim = shape[i][0];  c.heads = shape[i][1];
            c.ffn = shape[i][2];  c.vocab = shape[i][3];
            c.enc_layers = 1;  c.dec_layers = 3;
            compare_with_plain(&e, &c);
        }
    return e;
}

/* Sequences longer than one piece of attention, more tokens and ids than the loss takes at once. */
static dn_config long_config(int arch)
{
    dn_config c = small_config(arch, choice("norm", "deepnorm"));
    c.ctx = PLAIN_LEN;  c.vocab = PLAIN_VOCAB;  c.batch_tokens = PLAIN_TOKENS;
    c.dim = 6;  c.heads = 2;  c.ffn = 5;  c.enc_layers = c.dec_layers = 1;
    c.activation = DN_GELU;
    return c;
}

static double t_value_long(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        const dn_config c = long_config(arch);
        compare_with_plain(&e, &c);
    }
    return e;
}

/* The paper's figure 2(b), to six decimals. */
static double t_alpha_beta_values(void)
{
    static const double single[][3] = {                 /* N, alpha, beta */
        { 1, 1.189207, 0.594604 }, { 6, 1.861210, 0.379918 }, { 12, 2.213364, 0.319472 },
        { 18, 2.449490, 0.288675 }, { 50, 3.162278, 0.223607 }, { 100, 3.760603, 0.188030 },
        { 500, 5.623413, 0.125743 }, { 1000, 6.687403, 0.105737 },
    };
    static const double both[][6] = {                   /* N, M, encoder's, decoder's */
        { 6, 6, 1.417938, 0.496989, 2.059767, 0.343295 },
        { 12, 6, 1.686222, 0.417916, 2.059767, 0.343295 },
        { 18, 18, 1.998746, 0.352571, 2.710806, 0.260847 },
        { 50, 50, 2.750509, 0.256207, 3.499636, 0.202052 },
        { 100, 100, 3.415742, 0.206310, 4.161791, 0.169904 },
        { 500, 500, 5.648240, 0.124765, 6.223330, 0.113622 },
    };
    dn_config c = small_config(DN_ENCODER, choice("norm", "deepnorm"));
    double e = 0;
    for (size_t i = 0; i < sizeof single/sizeof *single; i++)
        for (c.arch = DN_ENCODER; c.arch <= DN_DECODER; c.arch++) {
            c.enc_layers = c.dec_layers = (int)single[i][0];
            const dn_gains g = dn_gains_of(&c, c.arch == DN_DECODER, 0);
            worst(&e, fabs(g.alpha - single[i][1]), "alpha, %d layers", c.enc_layers);
            worst(&e, fabs(g.beta - single[i][2]), "beta, %d layers", c.enc_layers);
        }
    c.arch = DN_ENC_DEC;
    for (size_t i = 0; i < sizeof both/sizeof *both; i++) {
        c.enc_layers = (int)both[i][0];
        c.dec_layers = (int)both[i][1];
        for (int stack = 0; stack < 2; stack++) {
            const dn_gains g = dn_gains_of(&c, stack, 0);
            worst(&e, fabs(g.alpha - both[i][2 + 2*stack]), "alpha, stack %d", stack);
            worst(&e, fabs(g.beta - both[i][3 + 2*stack]), "beta, stack %d", stack);
        }
    }
    return e;
}

static double t_alpha_beta_formula(void)
{
    dn_config c = small_config(DN_ENCODER, choice("norm", "deepnorm"));
    double e = 0;
    for (c.enc_layers = 1; c.enc_layers < 1000; c.enc_layers += 37)
        for (c.dec_layers = 1; c.dec_layers < 1000; c.dec_layers += 41)
            for (c.arch = 0; c.arch < 3; c.arch++)
                for (int stack = c.arch == DN_DECODER; stack <= (c.arch != DN_ENCODER); stack++) {
                    const dn_gains g = dn_gains_of(&c, stack, 0);
                    const dn_gains p = plain_gains(c.arch, stack, c.enc_layers, c.dec_layers);
                    worst(&e, fabs(g.alpha/p.alpha - 1), "alpha");
                    worst(&e, fabs(g.beta/p.beta - 1), "beta");
                }
    return e;
}

/* DeepScaleLM: with deviations s_v and s_o, attention over tokens of correlation r has the variance
 * D s_v^2 r D s_o^2/(1 - p), p for dropout; the feed-forward D s_1^2/2 F s_2^2/(1 - p), as ReLU
 * halves it.  Both are to be 1.  The residual has variance 1, of which 2/L are the branch's. */
static double plain_moments(const dn_config *c, int decoder, int layer, const char *matrix)
{
    const double p = c->dropout, D = c->dim, F = c->ffn, beta2 = 2.0/plain_depth(c, decoder);
    const int attentions = plain_depth(c, decoder)/plain_layers(c, decoder) - 1;
    double r = 0.221*(1 - p);
    if (matrix[0] == 'w')                               /* over Xavier's 2/(D + F) */
        return pow(2*(1 - p)/(D*F), 0.25)/sqrt(2/(D + F));
    for (int l = 0; l < layer; l++) {
        for (int i = 0; i < attentions; i++)
            r = (1 - beta2)*r + beta2*(1 - p);
        r = (1 - beta2)*r + beta2*(1 - p)*(r + (sqrt(1 - r*r) - r*acos(r))/acos(-1));
    }
    return pow((1 - p)/(r*D*D), 0.25)/sqrt(1/D);
}

/* By the scheme, the factor on Xavier's deviation for a matrix (q, k, v, o, w1 or w2) of a layer
 * (from 0). */
static double plain_gain(const dn_config *c, int decoder, int layer, const char *matrix)
{
    const double N = c->enc_layers, M = c->dec_layers, own = decoder ? M : N;
    const double L = (c->arch == DN_DECODER ? 0 : plain_depth(c, 0))
                   + (c->arch == DN_ENCODER ? 0 : plain_depth(c, 1));
    const int both = c->arch == DN_ENC_DEC, qk = matrix[0] == 'q' || matrix[0] == 'k';
    if (plain_is(c, "post-ln-init"))
        return 1/(own - layer);                         /* 1/(N - l + 1), l from 1 */
    if (plain_is(c, "ds-init"))
        return pow(layer + 1, -0.5);
    if (plain_is(c, "r-fixup"))
        return matrix[0] == 'o' || !strcmp(matrix, "w2") ? 0
             : !strcmp(matrix, "w1") ? pow(L, -1.0/2) : pow(L, -1.0/6);
    if (qk)
        return 1;
    if (plain_is(c, "deepnorm"))
        return plain_gains(c->arch, decoder, N, M).beta;
    if (plain_is(c, "t-fixup"))
        return both && decoder ? pow(9*M, -0.25) : 0.67*pow(own, -0.25);
    if (plain_is(c, "sub-ln"))
        return both && decoder ? sqrt(log(3*M))
             : both ? sqrt(log(3*M)*log(2*N)/3) : sqrt(log(2*own));
    if (plain_is(c, "gpt2-init"))
        return matrix[0] == 'o' || !strcmp(matrix, "w2") ? pow(plain_depth(c, decoder), -0.5) : 1;
    if (plain_is(c, "deepscalelm"))
        return plain_moments(c, decoder, layer, matrix);
    return 1;
}

/* alpha, beta as V's gain, b, and the gain of each matrix, of every scheme in every layer. */
static double t_gains(void)
{
    double e = 0;
    for (int norm = 0; norm < choices("norm"); norm++)
        for (int arch = 0; arch < choices("arch"); arch++)
            for (int i = 0; i < 16; i++) {
                static const int depth[4] = { 1, 2, 7, 50 };
                dn_config c = small_config(arch, norm);
                c.enc_layers = depth[i%4];
                c.dec_layers = depth[i/4];
                c.dropout = 0.1*(i%3);
                for (int stack = arch == DN_DECODER; stack <= (arch != DN_ENCODER); stack++)
                    for (int l = 0; l < (stack ? c.dec_layers : c.enc_layers); l++) {
                        const dn_gains g = dn_gains_of(&c, stack, l);
                        const double alpha = plain_alpha(&c, stack, l);
                        const double beta = plain_gain(&c, stack, l, "v");
                        worst(&e, fabs(g.alpha - alpha)/(alpha > 0 ? alpha : 1),
                              "alpha of %s %s, layer %d: %g for %g",
                              name_of("arch", arch), name_of("norm", norm), l, g.alpha, alpha);
                        worst(&e, fabs(g.beta/beta - 1), "beta of %s %s, layer %d: %g for %g",
                              name_of("arch", arch), name_of("norm", norm), l, g.beta, beta);
                        worst(&e, fabs(g.branch/plain_fixed_b(&c, stack) - 1), "b of %s %s",
                              name_of("arch", arch), name_of("norm", norm));
                        for (int k = 0; k < DN_MATRICES; k++) {
                            static const char *const names[] = { "q", "k", "v", "o", "w1", "w2" };
                            const double gain = dn_gain_of(&c, stack, l, (enum dn_matrix)k);
                            worst(&e, fabs(gain - plain_gain(&c, stack, l, names[k])),
                                  "gain of %s", names[k]);
                        }
                    }
            }
    return e;
}

/* The standard deviation a tensor is drawn with; 0: constant. */
static double expected_std(const dn_config *c, const dn_tensor *t)
{
    const int decoder = plain_decoder(t->name);
    const char *dot = strchr(t->name, '.');
    char matrix[DN_NAME_MAX];
    if (t->cols == 0 || strstr(t->name, ".mix"))
        return 0;
    if (plain_is(c, "r-fixup") && !strcmp(t->name, "output.weight"))
        return 0;
    if (plain_is(c, "t-fixup") && ends_with(t->name, "embed.weight"))
        return pow(9*(decoder ? c->dec_layers : c->enc_layers), -0.25)/sqrt(c->dim);
    if (dot[1] < '0' || dot[1] > '9')                   /* embeddings, positions, output */
        return 1/sqrt(c->dim);
    dot = strchr(strchr(dot + 1, '.') + 1, '.');        /* the name after "decoder.3.ffn" */
    snprintf(matrix, sizeof matrix, "%.*s", (int)strcspn(dot + 1, "."), dot + 1);
    return plain_gain(c, decoder, plain_layer(t->name), matrix)
           *sqrt(2.0/(t->rows + t->cols));
}

/* The first value of element i of a tensor that is not drawn. */
static double expected_value(const dn_config *c, const dn_tensor *t, int i)
{
    if (ends_with(t->name, ".mix.weight"))              /* averages: a lower triangle */
        return i%t->cols <= i/t->cols ? 1/(1.0 + i/t->cols) : 0;
    if (ends_with(t->name, ".omega.weight"))
        return plain_alpha(c, plain_decoder(t->name), plain_layer(t->name));
    if (ends_with(t->name, ".scale.weight"))
        return plain_is(c, "r-fixup");
    return ends_with(t->name, "norm.weight") || ends_with(t->name, ".head.weight");
}

static void check_tensor_init(double *e, const dn_config *c, const dn_tensor *t)
{
    const double std = expected_std(c, t);
    const size_t n = tensor_size(t);
    double sum = 0, squares = 0, fourth = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = (double)t->value[i];
        if (std <= 0)
            worst(e, fabs(x - expected_value(c, t, (int)i)) <= 1e-6 ? 0 : NAN, "%s[%d] = %g",
                  t->name, (int)i, x);
        sum += x;
        squares += x*x;
        fourth += x*x*x*x;
    }
    if (std <= 0)
        return;
    /* in units of their own standard errors; a normal's fourth moment is 3 squares */
    const double root = sqrt((double)n), var = squares/(double)n;
    worst(e, fabs(sum)/root/std, "mean of %s", t->name);
    worst(e, fabs(var/(std*std) - 1)*root/sqrt(2), "deviation of %s: %g for %g", t->name,
          sqrt(var), std);
    worst(e, fabs(fourth/(double)n/(var*var) - 3)*root/sqrt(24), "fourth moment of %s", t->name);
}

static double t_init(void)
{
    double e = 0;
    for (int i = 0; i < 2*choices("arch"); i++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(i/2, norm);
            c.dim = 48;  c.ffn = 160;  c.vocab = 300;  c.ctx = 64;  c.batch_tokens = 64;
            c.enc_layers = 3;  c.dec_layers = 2;
            c.tie = i%2 ? DN_TIE_ALL : DN_TIE_NONE;  c.positions = DN_LEARNED;  c.bias = 1;
            dn_model *m = make_model(&c, DN_INFER);
            for (int k = 0; k < dn_tensor_count(m); k++) {
                const dn_tensor t = dn_tensor_at(m, k);
                check_tensor_init(&e, &c, &t);
            }
            free_blocks();
        }
    return e;
}

static double t_init_seed(void)
{
    dn_config c = small_config(DN_ENC_DEC, 0);
    double e = 0;
    const dn_model *a = make_model(&c, DN_INFER), *b = make_model(&c, DN_TRAIN);
    MUST(e, same_parameters(a, b));
    c.seed++;
    MUST(e, !same_parameters(a, make_model(&c, DN_INFER)));
    for (int i = 0; i < dn_tensor_count(a); i++)
        for (int k = 0; k < i; k++) {
            const dn_tensor s = dn_tensor_at(a, i), t = dn_tensor_at(a, k);
            MUST(e, s.cols == 0 || t.cols == 0
                    || memcmp(s.value, t.value, 2*sizeof *s.value) != 0);
            MUST(e, strcmp(s.name, t.name) != 0);
        }
    return e;
}

/* Admin: with r = 1 at the start of a stack, each sub-layer's omega is r, and then r becomes
 * sqrt(Var[omega x] + Var[G(x)]), with dropout.  The pass has left x and omega x + G(x). */
static void check_profile(double *e, const dn_model *m)
{
    const int dim = dn_model_config(m)->dim;
    for (int s = 0; s < 2; s++) {
        double r = 1;
        for (int i = 0; i < m->stack[s].subs; i++) {
            const dn_state at = dn_state_at(m, s, i);
            const dn_real *omega = m->sub[m->stack[s].first + i].param[SKIP];
            double sum[4] = { 0 }, n = at.tokens*dim;
            for (int k = 0; k < dim; k++)
                worst(e, fabs((double)omega[k]/r - 1), "omega %d of sub-layer %d: %g for %g", k, i,
                      (double)omega[k], r);
            for (int k = 0; k < at.tokens*dim; k++) {
                const double skip = (double)omega[0]*(double)at.x[k], g = (double)at.sum[k] - skip;
                sum[0] += skip;  sum[1] += skip*skip;  sum[2] += g;  sum[3] += g*g;
            }
            r = sqrt(sum[1]/n - pow(sum[0]/n, 2) + sum[3]/n - pow(sum[2]/n, 2));
        }
    }
}

static double t_profile(void)
{
    double e = 0;
    for (int norm = 0; norm < choices("norm"); norm++)
        for (int i = 0; i < 2*choices("arch"); i++) {
            dn_config c = small_config(i/2, norm);
            struct sample s;
            c.memory = i%2;
            c.dropout = c.attn_dropout = c.act_dropout = 0.3*(i%2);
            const dn_batch *b = fill_batch(&s, &c, 4, 0);
            dn_model *m = make_model(&c, DN_TRAIN), *was = make_model(&c, DN_TRAIN);
            fill_parameters(m);
            fill_parameters(was);
            MUST(e, dn_profile(m, b, err) == DN_OK && dn_step_count(m) == 0);
            if (plain_is(&c, "admin")) {
                check_profile(&e, m);
                MUST(e, !same_parameters(m, was));
            }
            for (int k = 0; k < dn_tensor_count(m); k++) {
                const dn_tensor t = dn_tensor_at(m, k), u = dn_tensor_at(was, k);
                if (!plain_is(&c, "admin") || !ends_with(t.name, "omega.weight"))
                    worst(&e, memcmp(t.value, u.value, tensor_size(&t)*sizeof *t.value) != 0,
                          "%s of %s was touched", t.name, name_of("norm", norm));
            }
            free_blocks();
        }
    return e;
}

static double t_schedule(void)
{
    dn_config c = small_config(0, 0);
    double e = 0;
    c.lr = 3e-3;  c.min_lr = 1e-4;  c.warmup_init = 1e-5;  c.steps = 500;
    for (c.schedule = 0; c.schedule < choices("schedule"); c.schedule++)
        for (c.warmup = 0; c.warmup <= 40; c.warmup += 40)
            for (int t = 1; t <= 600; t++) {
                const double w = c.warmup, pi = acos(-1);
                double want = c.lr;
                if (t <= w)
                    want = c.warmup_init + (c.lr - c.warmup_init)*t/w;
                else if (c.schedule == DN_INV_SQRT)
                    want = c.lr*sqrt((w > 0 ? w : 1)/t);
                else if (c.schedule == DN_COSINE)
                    want = c.min_lr
                         + (c.lr - c.min_lr)*(1 + cos(pi*fmin(1, (t - w)/(500 - w))))/2;
                worst(&e, fabs(dn_learning_rate(&c, t)/want - 1), "schedule %d, warmup %d, step %d",
                      c.schedule, c.warmup, t);
            }
    return e;
}

static double t_shuffle(void)
{
    static int seen[5000];
    double e = 0;
    int moved = 0;
    for (uint32_t n = 1; n <= 5000; n += n < 300 ? 1 : 787) {
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t k = dn_shuffle(7, n, i, n);
            MUST(e, k < n);
            if (k >= n)
                return e;
            seen[k]++;
            moved += n > 4000 && k != dn_shuffle(7, n + 1, i, n) && k != dn_shuffle(8, n, i, n);
        }
        for (uint32_t i = 0; i < n; i++)
            MUST(e, seen[i] == 1);
    }
    MUST(e, moved > 4000);                              /* other streams, other orders */
    for (uint32_t n = 0x40000001; n > 0x40000000; n += 0x3fffffff)     /* 32 bits are enough */
        MUST(e, dn_shuffle(1, 0, n - 1, n) < n);
    return e;
}

/* Where each of 4 items lands, over many streams: each place a quarter of the time. */
static double t_shuffle_uniform(void)
{
    double e = 0;
    for (uint32_t i = 0; i < 4; i++) {
        int count[4] = { 0 };
        for (uint64_t stream = 0; stream < 40000; stream++)
            count[dn_shuffle(1, stream, i, 4) & 3]++;
        for (int k = 0; k < 4; k++)
            worst(&e, fabs(count[k] - 10000.0)/sqrt(40000*0.25*0.75), "item %u at %d", i, k);
    }
    return e;
}

/* Each bit is set half of the time, alone and together with each bit of a neighbour: in index,
 * in stream and in seed. */
static double t_random(void)
{
    enum { N = 20000 };
    double e = 0;
    for (int kind = 0; kind < 4; kind++) {              /* 3: alone, beside a 0 */
        static int together[32][32];
        memset(together, 0, sizeof together);
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t a = dn_random(5, 9, i);
            const uint32_t b = kind == 0 ? dn_random(5, 9, i + 1)
                             : kind == 1 ? dn_random(5, 10, i)
                             : kind == 2 ? dn_random(6, 9, i) : 0;
            for (int j = 0; j < 32; j++)
                for (int k = 0; k < 32; k++)
                    together[j][k] += (int)((a >> j ^ b >> k) & 1);
        }
        for (int j = 0; j < 32; j++)
            for (int k = 0; k < 32; k++)
                worst(&e, fabs(together[j][k] - (double)N/2)/sqrt(N/4), "bits %d, %d, kind %d",
                      j, k, kind);
    }
    return e;
}

static double t_rng_golden(void)
{
    int wrong = rng_key(1, 2) != 0xbcd9dbb49673066bu;
    wrong += rng_bits(rng_key(1, 2), 3) != 0x22a14c51u;
    wrong += dn_random(1, 2, 3) != 0x19586860u;
    wrong += dn_shuffle(1, 2, 3, 1000) != 786;
    int token[64], in[64], label[64], hash = 0;
    for (int i = 0; i < 64; i++)
        token[i] = DN_SPECIALS + i;
    dn_mask_tokens(in, label, token, 64, 300, 5, 7);
    for (int i = 0; i < 64; i++)
        hash = (31*hash + in[i] + label[i])%1000003;
    wrong += hash != 174544;
    return wrong;
}

static int ones(uint32_t x)
{
    int count = 0;
    for (; x > 0; x &= x - 1)
        count++;
    return count;
}

/* Flip each of the 160 bits of seed, stream and index in turn: of the 32 output bits, 16 should
 * change. */
static double t_rng_avalanche(void)
{
    const int trials = 2000;
    double e = 0;
    for (int bit = 0; bit < 160; bit++) {
        uint64_t turn = (uint64_t)1 << (bit < 128 ? bit%64 : bit - 128);
        int changed = 0;
        for (int i = 0; i < trials; i++) {
            uint64_t seed = (uint64_t)i, stream = (uint64_t)(i/7);
            uint32_t index = (uint32_t)i*3;
            uint32_t before = rng_bits(rng_key(seed, stream), index);
            seed ^= bit < 64 ? turn : 0;
            stream ^= bit >= 64 && bit < 128 ? turn : 0;
            index ^= bit >= 128 ? (uint32_t)turn : 0;
            changed += ones(before ^ rng_bits(rng_key(seed, stream), index));
        }
        e = larger(fabs(changed - 16.0*trials)/sqrt(8.0*trials), e);
    }
    return e;
}

/* Chi-square of each of the four bytes, 255 degrees of freedom. */
static double t_rng_bytes(void)
{
    const int count = 500000;
    static int seen[4][256];
    double e = 0;
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < count; i++) {
        uint32_t bits = rng_bits(rng_key(7, 0), (uint32_t)i);
        for (int byte = 0; byte < 4; byte++)
            seen[byte][bits >> 8*byte & 255]++;
    }
    for (int byte = 0; byte < 4; byte++) {
        double expected = count/256.0, chi = 0;
        for (int value = 0; value < 256; value++) {
            double d = seen[byte][value] - expected;
            chi += d*d/expected;
        }
        e = larger(fabs(chi - 255)/sqrt(2*255.0), e);
    }
    return e;
}

/* Correlation of a number with its neighbours in index (at several lags), in stream and in seed. */
static double t_rng_correlation(void)
{
    const int count = 100000;
    double sum[6] = { 0 }, e = 0;
    for (int i = 0; i < count; i++) {
        uint32_t at = (uint32_t)i;
        uint64_t key = rng_key(1, 1);
        double here = (double)rng_uniform(key, at) - 0.5;
        double other[6] = {
            (double)rng_uniform(key, at + 1), (double)rng_uniform(key, at + 2),
            (double)rng_uniform(key, at + 256), (double)rng_uniform(key, at + 65536),
            (double)rng_uniform(rng_key(1, 2), at), (double)rng_uniform(rng_key(2, 1), at)
        };
        for (int k = 0; k < 6; k++)
            sum[k] += here*(other[k] - 0.5);
    }
    for (int k = 0; k < 6; k++)
        e = larger(fabs(sum[k])*12/sqrt(count), e);
    return e;
}

static double t_rng_moments(void)
{
    const int count = 200000;
    const double theory[6] = { 1.0/2, 1.0/3, 0, 1, 0, 3 };
    const double variance[6] = { 1.0/12, 4.0/45, 1, 2, 15, 96 };
    double sum[6] = { 0 }, e = 0;
    for (int i = 0; i < count; i++) {
        double u = (double)rng_uniform(rng_key(3, 1), (uint32_t)i);
        double z = (double)rng_normal(rng_key(3, 2), (uint32_t)i);
        double moment[6] = { u, u*u, z, z*z, z*z*z, z*z*z*z };
        for (int k = 0; k < 6; k++)
            sum[k] += moment[k];
        if (!(u > 0 && u <= 1))
            return (double)INFINITY;
    }
    for (int k = 0; k < 6; k++)
        e = larger(fabs(sum[k]/count - theory[k])/sqrt(variance[k]/count), e);
    return e;
}

/* |got - want| in units of the last place of want, for a type of this many digits. */
static double ulps(long double got, long double want, int digits)
{
    int exponent;
    (void)frexpl(want, &exponent);
    return (double)(fabsl(got - want)/ldexpl(1, exponent - digits));
}

/* The worst error of f over count points spread evenly on [low, high]. */
static double worst_real(real (*f)(real), long double (*reference)(long double),
                         double low, double high)
{
    const int count = 50000, digits = sizeof(real) == 4 ? 24 : 53;
    double e = 0;
    for (int i = 0; i < count; i++) {
        real x = (real)(low + (high - low)*(i + 0.3819)/count);
        e = larger(ulps((long double)f(x), reference((long double)x), digits), e);
    }
    return e;
}

static double worst_acc(acc (*f)(acc), long double (*reference)(long double),
                        double low, double high, int absolute)
{
    const int count = 50000, digits = sizeof(acc) == 4 ? 24 : 53;
    double e = 0;
    for (int i = 0; i < count; i++) {
        acc x = (acc)(low + (high - low)*(i + 0.3819)/count);
        long double got = (long double)f(x), want = reference((long double)x);
        double error = absolute ? (double)ldexpl(fabsl(got - want), digits)
                                : ulps(got, want, digits);
        e = larger(error, e);
    }
    return e;
}

static double t_exp_real(void)
{
    return larger(worst_real(exp_real, expl, -2, 2), worst_real(exp_real, expl, -87.2, 88.3));
}

static double t_erf_real(void)
{
    return larger(worst_real(erf_real, erfl, -1, 1), worst_real(erf_real, erfl, 1e-6, 1e-3));
}

static double t_erf_real_far(void)
{
    return worst_real(erf_real, erfl, -8, 8);
}

static double t_tanh_real(void)
{
    double near = worst_real(tanh_real, tanhl, 1e-6, 1e-3);
    return larger(near, worst_real(tanh_real, tanhl, -12, 12));
}

static double t_exp_acc(void)
{
    return larger(worst_acc(exp_acc, expl, -12, 1, 0), worst_acc(exp_acc, expl, -80, 80, 0));
}

static double t_log_acc(void)
{
    double small = worst_acc(log_acc, logl, 1e-30, 1e-6, 0);
    return larger(small, worst_acc(log_acc, logl, 1e-3, 4, 0));
}

/* In units of 2^-digits, half the ulp of 1. */
static double t_sin_cos_acc(void)
{
    double range = sizeof(acc) == 4 ? 1e4 : 1e6;
    double sine_error = larger(worst_acc(sin_acc, sinl, -8, 8, 1),
                               worst_acc(sin_acc, sinl, -range, range, 1));
    double cosine_error = larger(worst_acc(cos_acc, cosl, -8, 8, 1),
                                 worst_acc(cos_acc, cosl, -range, range, 1));
    return larger(sine_error, cosine_error);
}

static double t_special_values(void)
{
    const real inf = (real)INFINITY, nan = (real)NAN;
    int wrong = exp_real(nan) == exp_real(nan);
    wrong += erf_real(nan) == erf_real(nan);
    wrong += tanh_real(nan) == tanh_real(nan);
    wrong += log_acc((acc)nan) == log_acc((acc)nan);
    wrong += sin_acc((acc)nan) == sin_acc((acc)nan);
    wrong += exp_real(inf) != inf || exp_real(1000) != inf || exp_real((real)1e30) != inf;
    wrong += exp_real(-inf) != 0 || exp_real(-1000) != 0 || exp_real((real)-1e30) != 0;
    wrong += exp_real(0) != 1 || tanh_real(0) != 0 || erf_real(0) != 0;
    wrong += erf_real(inf) != 1 || erf_real(-inf) != -1 || erf_real(-7) != -1;
    wrong += tanh_real(inf) != 1 || tanh_real(-inf) != -1 || tanh_real(-30) != -1;
    wrong += log_acc(1) != 0 || log_acc(0) != -(acc)INFINITY;
    wrong += log_acc((acc)INFINITY) != (acc)INFINITY;
    wrong += sin_acc(0) != 0 || cos_acc(0) != 1;
    return wrong;
}

/* Where the squares overflow, an activation is still x or 0, and its slope 1 or 0. */
static double t_activation_far(void)
{
    const real far[] = { 1000, -1000, (real)2e19, (real)-2e19, (real)1e38, (real)-1e38 };
    double e = 0;
    for (int kind = DN_RELU; kind <= DN_GELU_TANH; kind++)
        for (int i = 0; i < 6; i++) {
            real y, slope = 1;
            act_row(&y, &far[i], 1, kind);
            act_row_bwd(&slope, &far[i], 1, kind);
            worst(&e, !(y == (far[i] > 0 ? far[i] : 0) && slope == (far[i] > 0)), "kind %d of %g",
                  kind, (double)far[i]);
        }
    return e;
}

/* All four transposes; sums that start from 0, a row or the result itself; 1 to 3 threads:
 * element (i, j) is one chain c = fma(a_ik, b_kj, c), k ascending. */
static void check_matmul(double *e, int M, int N, int K, int kind)
{
    const int lda = (kind & 1 ? M : K) + 3, ldb = (kind & 2 ? K : N) + 1, ldc = N + 2;
    const int threads = 1 + kind%3;
    const size_t n_a = (size_t)(kind & 1 ? K : M)*(size_t)lda, n_c = (size_t)(M*ldc);
    const size_t n_b = (size_t)(kind & 2 ? N : K)*(size_t)ldb;
    real *a = get_block(n_a*sizeof *a), *b = get_block(n_b*sizeof *b);
    real *c = get_block(n_c*sizeof *c), *want = get_block(n_c*sizeof *want);
    real *work = get_block((size_t)threads*matmul_work()*sizeof *work), init[700];
    const struct team team = { threads, 0, work, NULL };
    const struct mat ma = { a, lda, kind & 1 }, mb = { b, ldb, kind >> 1 & 1 };
    const int from = kind >> 2;                         /* 0: zero, 1: a row, 2: c itself */
    for (size_t i = 0; i < n_a; i++)
        a[i] = (real)by_rule("a", i);
    for (size_t i = 0; i < n_b; i++)
        b[i] = (real)by_rule("b", i);
    for (int i = 0; i < N; i++)
        init[i] = (real)by_rule("c", (size_t)i);
    for (size_t i = 0; i < n_c; i++)
        want[i] = c[i] = (real)by_rule("d", i);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            real s = from == 0 ? 0 : from == 1 ? init[j] : c[i*ldc + j];
            for (int k = 0; k < K; k++)
                s = fmadd(kind & 1 ? a[k*lda + i] : a[i*lda + k],
                          kind & 2 ? b[j*ldb + k] : b[k*ldb + j], s);
            want[i*ldc + j] = s;
        }
    matmul(&team, into(c, ldc), from == 0 ? NULL : from == 1 ? init : c, ma, mb, M, N, K);
    worst(e, memcmp(c, want, n_c*sizeof *c) != 0, "%d x %d x %d, kind %d", M, N, K, kind);
    free_blocks();
}

static double t_matmul(void)
{
    static const int size[][3] = {
        { 1, 1, 1 }, { 1, 65, 3 }, { 7, 1, 2 }, { 14, 32, 16 }, { 15, 33, 17 }, { 29, 130, 260 },
        { 5, 600, 9 }, { 64, 64, 300 }, { 2, 3, 515 }, { 43, 97, 1 }, { 1, 29, 77 }, { 3, 40, 50 },
        { 2, 17, DN_KC*DN_NP/DN_VL + 5 },               /* more than matmul_few packs at a time */
    };
    double e = 0;
    start_work = 0;
    for (size_t i = 0; i < sizeof size/sizeof *size; i++)
        for (int kind = 0; kind < 12; kind++)
            check_matmul(&e, size[i][0], size[i][1], size[i][2], kind);
    return e;
}

static double t_sum_all(void)
{
    static const size_t count[] = { 0, 1, 63, 64, 65, 100001, 3000001 };
    double e = 0;
    for (size_t i = 0; i < sizeof count/sizeof *count; i++) {
        const size_t n = count[i];
        real *x = get_block((n + 1)*sizeof *x);
        for (size_t j = 0; j < n; j++)
            x[j] = (real)(1 + j%3);
        const double once = (double)(n/3*6 + n%3*(n%3 + 1)/2);
        const double twice = (double)(n/3*14 + (n%3 > 0 ? 1 : 0) + (n%3 > 1 ? 4 : 0));
        for (int threads = 1; threads < 4; threads++)
            worst(&e, (double)sum_all(x, NULL, n, threads) != once
                      || (double)sum_all(x, x, n, threads) != twice, "%.0f numbers", (double)n);
        free_blocks();
    }
    return e;
}

static double t_drop_row(void)
{
    enum { N = 300, ROWS = 300 };
    double e = 0;
    for (double p = 0; p < 0.95; p += 0.1) {
        const struct dropout d = dropout_at(77, p);
        real x[N], y[N];
        int zeros = 0, wrong = 0;
        for (int i = 0; i < N; i++)
            x[i] = (real)(1 + i);
        for (int row = 0; row < ROWS; row++) {
            drop_row(y, x, &d, (uint64_t)row, N);
            for (int i = 0; i < N; i++) {
                zeros += y[i] <= 0;
                wrong += y[i] > 0 && fabs((double)y[i]*(1 - p)/(double)x[i] - 1) > 1e-6;
            }
        }
        MUST(e, wrong == 0);
        worst(&e, fabs(zeros - p*(N*ROWS))/sqrt(N*ROWS*p*(1 - p) + 1e-9), "share at p = %g", p);
    }
    return e;
}

/* Sampling u over a grid gives each id its share of softmax(logits/temperature). */
static double t_sample(void)
{
    static const dn_real logits[6] = { 1, 3, -2, (dn_real)2.5, 0, 3 };
    static const dn_sampling how[] = { { 1, 0, 1 }, { 0.5, 0, 1 }, { 2, 3, 1 }, { 1, 0, 0.6 },
                                        { 1, 3, 0.72 } };
    static const int kept[5][6] = {                     /* by the definition of k and p */
        { 1, 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1 }, { 0, 1, 0, 1, 0, 1 }, { 0, 1, 0, 0, 0, 1 },
        { 0, 1, 0, 0, 0, 1 },
    };
    enum { N = 40000 };
    const dn_sampling greedy = { 0, 0, 1 };
    dn_real work[6];
    double e = 0;
    for (int h = 0; h < 5; h++) {
        double sum = 0;
        int count[6] = { 0 };
        for (int v = 0; v < 6; v++)
            sum += kept[h][v]*exp((double)logits[v]/how[h].temperature);
        for (int i = 0; i < N; i++)
            count[dn_sample(logits, 6, &how[h], (i + 0.5)/(double)N, work)]++;
        for (int v = 0; v < 6; v++)
            worst(&e, fabs(count[v]/(double)N
                           - kept[h][v]*exp((double)logits[v]/how[h].temperature)/sum),
                  "id %d of sampling %d", v, h);
    }
    MUST(e, dn_sample(logits, 6, &greedy, 0.9, work) == 1);
    MUST(e, dn_sample(logits, 6, &how[0], 1 - 1e-16, work) == 5);
    const dn_real cold[4] = { -3, (dn_real)-2.5, (dn_real)-2.6, 0 };    /* p as small as 1e-26 */
    MUST(e, dn_sample(cold, 4, &(dn_sampling){ 0.05, 2, 1 }, 0, work) == 1);
    MUST(e, dn_sample(cold, 4, &(dn_sampling){ 0.05, 3, 1 }, 0, work) == 1);
    MUST(e, dn_sample(cold, 4, &(dn_sampling){ 0.05, 4, 1 }, 0, work) == 0);
    return e;
}

static double t_mask_shares(void)
{
    enum { N = 200000 };
    int *tokens = get_block(3*N*sizeof *tokens), *input = tokens + N, *label = input + N;
    const int vocab = DN_MIN_VOCAB + 50;
    double e = 0;
    int scored = 0, masked = 0, kept = 0, special = 0, seen[DN_MIN_VOCAB + 50] = { 0 };
    double chi = 0;
    for (int i = 0; i < N; i++)
        tokens[i] = DN_SPECIALS + i%(vocab - DN_SPECIALS);
    dn_mask_tokens(input, label, tokens, N, vocab, 3, 0);
    for (int i = 0; i < N; i++) {
        const int is = label[i] != DN_IGNORE;
        MUST(e, is ? label[i] == tokens[i] : input[i] == tokens[i]);
        scored += is;
        masked += is && input[i] == DN_MASK;
        kept += is && input[i] == tokens[i];
        seen[input[i]] += is && input[i] != tokens[i];
        special += input[i] != DN_MASK && (input[i] < DN_SPECIALS || input[i] >= vocab);
    }
    MUST(e, special == 0);
    const double ids = vocab - DN_SPECIALS, each = (scored - masked - kept)/ids;
    for (int v = DN_SPECIALS; v < vocab; v++)
        chi += (seen[v] - each)*(seen[v] - each)/each;
    worst(&e, fabs(chi - ids)/sqrt(2*ids), "chi-square %g of %g other ids", chi, ids);
    worst(&e, fabs(scored - 0.15*(double)N)/sqrt(0.15*0.85*(double)N), "%d of %d scored", scored,
          N);
    worst(&e, fabs(masked - 0.8*scored)/sqrt(0.8*0.2*scored), "%d masked", masked);
    worst(&e, fabs(kept - 0.1*scored)/sqrt(0.1*0.9*scored), "%d kept", kept);
    return e;
}

static double t_mask_index(void)
{
    enum { N = 500 };
    static int tokens[N], in[N], label[N], in2[N], label2[N];
    double e = 0;
    for (int i = 0; i < N; i++)
        tokens[i] = DN_SPECIALS + i%256;
    dn_mask_tokens(in, label, tokens, N, DN_MIN_VOCAB, 3, 1000);
    for (int i = 0; i < N; i += 50)
        dn_mask_tokens(in2 + i, label2 + i, tokens + i, 50, DN_MIN_VOCAB, 3, 1000 + (uint64_t)i);
    MUST(e, !memcmp(in, in2, sizeof in) && !memcmp(label, label2, sizeof label));
    dn_mask_tokens(in2, label2, tokens, N, DN_MIN_VOCAB, 4, 1000);
    MUST(e, memcmp(label, label2, sizeof label) != 0);
    dn_mask_tokens(in2, label2, tokens, N, DN_MIN_VOCAB, 3, 1001);
    MUST(e, memcmp(label, label2, sizeof label) != 0);
    return e;
}

/* ---- B gradients ------------------------------------------------------------------------- */

/* The sum of the losses: the plain model's, or with dropout the library's own. */
struct loss_call { dn_model *m; const dn_batch *b; int dropout; };

static double loss_call(void *what)
{
    const struct loss_call *call = what;
    dn_stats s;
    if (!call->dropout)
        return plain_loss(call->m, call->b, &s);
    if (dn_gradient(call->m, call->b, 1, &s, err) != DN_OK)
        return NAN;
    return s.loss*s.tokens;
}

/* Signs by a rule: the direction in which n numbers are moved.  The first is +. */
static double sign_at(size_t i) { return i && by_rule("sign", i) < 0 ? -1 : 1; }

static void shift(dn_real *p, size_t n, double h)
{
    for (size_t i = 0; i < n; i++)
        p[i] += (dn_real)(h*sign_at(i));
}

/* The slope of f at p[n] in the direction of the signs, of length sqrt(n).  Four points where f is
 * smooth; two very close ones for relu, lest a step cross its kink.  Steps are powers of two and p
 * holds multiples of 2^-18: all is exact in float, and the way back ends where it began. */
static double slope(double (*f)(void *), void *what, dn_real *p, size_t n, int smooth)
{
    double h = smooth ? 1.0/1024 : 1.0/(1 << 22), near, far = 0;
    for (size_t k = 1; smooth && k*k < n; k *= 2)
        h /= 2;
    shift(p, n, h);
    near = f(what);
    shift(p, n, -2*h);
    near -= f(what);
    if (smooth) {
        shift(p, n, 3*h);
        far = f(what);
        shift(p, n, -4*h);
        far -= f(what);
    }
    shift(p, n, smooth ? 2*h : h);
    return (smooth ? (8*near - far)/(12*h) : near/(2*h))/sqrt((double)n);
}

static double weighted_sum(const dn_real *w, const dn_real *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)w[i]*(double)y[i];
    return sum;
}

/* A row of LayerNorm or RMSNorm; gains are not 1, and its length is no multiple of LANES. */
enum { NORM_N = 13 };
struct norm_call {
    enum op op;
    real x[NORM_N], y[NORM_N], stat[2], g[NORM_N], b[NORM_N], w[NORM_N];
};

static double norm_call(void *what)
{
    struct norm_call *c = what;
    const struct at_place at = { c->op, 1, 1, c->g, c->op == LN ? c->b : NULL, NULL, NULL };
    norm_row(c->y, c->stat, c->x, &at, NORM_N);
    return weighted_sum(c->w, c->y, NORM_N);
}

static double norm_slopes(enum op op)
{
    struct norm_call c = { .op = op };
    real dx[NORM_N], dg[NORM_N] = { 0 }, db[NORM_N] = { 0 };
    const struct at_place at = { op, 1, 1, c.g, op == LN ? c.b : NULL, dg, op == LN ? db : NULL };
    const struct team team = { 1, 1, NULL, NULL };
    double e = 0;
    for (int i = 0; i < NORM_N; i++) {
        c.x[i] = (real)(3*by_rule("x", (size_t)i) + 1);
        c.g[i] = (real)(1 + by_rule("g", (size_t)i));
        c.b[i] = (real)by_rule("b", (size_t)i);
        c.w[i] = (real)by_rule("w", (size_t)i);
    }
    norm_call(&c);
    norm_bwd(&team, dx, c.w, c.stat, c.x, &at, 1, NORM_N);
    for (int i = 0; i < NORM_N; i++) {
        const double x = slope(norm_call, &c, &c.x[i], 1, 1);
        const double g = slope(norm_call, &c, &c.g[i], 1, 1);
        const double b = slope(norm_call, &c, &c.b[i], 1, 1);
        worst(&e, fabs(x - (double)dx[i]), "dx of %d: %g for %g", i, (double)dx[i], x);
        worst(&e, fabs(g - (double)dg[i]), "dg of %d: %g for %g", i, (double)dg[i], g);
        worst(&e, fabs(b - (double)db[i]), "db of %d: %g for %g", i, (double)db[i], b);
    }
    return e;
}

static double t_grad_norm(void) { return norm_slopes(LN); }
static double t_grad_rms(void) { return norm_slopes(RMS); }

/* Two causal sequences, one of more than QROWS queries, two heads, dropout of weights. */
enum { ATTEND_T = QROWS + 7, ATTEND_D = 6, ATTEND_N = ATTEND_T*ATTEND_D };
struct attend_call {
    struct team team;
    struct attention att;
    struct qkv x, d;
    real room[6*ATTEND_N], c[ATTEND_N], w[ATTEND_N], stat[4*ATTEND_T];
};

static struct attend_call *make_attention(void)
{
    static const struct span span[] = { { 0, 4, 0, 4 }, { 4, ATTEND_T - 4, 4, ATTEND_T - 4 } };
    enum { N = ATTEND_N };
    struct attend_call *a = get_block(sizeof *a);
    a->team = (struct team){ 1, ATTEND_T, get_block(matmul_work()*sizeof(real)),
                             get_block(2*QROWS*ATTEND_T*sizeof(real)) };
    a->att = (struct attention){ span, 2, 2, ATTEND_D/2, 1, ATTEND_D, ATTEND_D, (real)0.7,
                                 dropout_at(5, 0.2) };
    a->x = (struct qkv){ a->room, a->room + N, a->room + 2*N };
    a->d = (struct qkv){ a->room + 3*N, a->room + 4*N, a->room + 5*N };
    return a;
}

static double attend_call(void *what)
{
    struct attend_call *a = what;
    attend_fwd(&a->team, a->c, a->stat, &a->x, &a->att);
    return weighted_sum(a->w, a->c, ATTEND_N);
}

static double t_grad_attention(void)
{
    struct attend_call *a = make_attention();
    double e = 0;
    for (int i = 0; i < ATTEND_N; i++)
        a->w[i] = (real)by_rule("w", (size_t)i);
    for (int i = 0; i < 3*ATTEND_N; i++)
        a->x.q[i] = (real)(2*by_rule("q", (size_t)i));
    attend_call(a);
    attend_bwd(&a->team, &a->d, a->w, a->stat, &a->x, &a->att);
    for (int k = 0; k < 3; k++)
        for (int i = k*ATTEND_N + k; i < (k + 1)*ATTEND_N; i += 5) {
            const double want = slope(attend_call, a, &a->x.q[i], 1, 1), got = (double)a->d.q[i];
            worst(&e, fabs(want - got), "d%c, %d: %g for %g", "qkv"[k], i, got, want);
        }
    return e;
}

/* The gradient of all parameters in one array; returns the largest. */
static double get_gradient(dn_model *m, const dn_batch *b, int dropout, double *grad)
{
    dn_stats s;
    double top = 0;
    dn_zero_grad(m);
    if (dn_gradient(m, b, dropout, &s, err) != DN_OK)
        return NAN;
    for (int i = 0; i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        for (size_t k = 0; k < tensor_size(&t); k++) {
            *grad = (double)t.grad[k];
            top = larger(top, fabs(*grad++));
        }
    }
    return top;
}

/* Each tensor's gradient in one direction, in which each of its elements counts, relative to its
 * largest plus a hundredth of the model's: a key's bias has no gradient at all, for softmax
 * ignores it. */
static void check_gradient(double *e, const dn_config *c, int dropout)
{
    struct sample s;
    dn_model *m = make_model(c, DN_TRAIN);
    const dn_batch *b = fill_batch(&s, c, c->ctx < PLAIN_LEN ? 3 : 5, 0);
    double *grad = get_block(dn_param_count(m)*sizeof *grad);
    struct loss_call call = { m, b, dropout };
    fill_parameters(m);
    const double top = get_gradient(m, b, dropout, grad);
    for (int i = 0; i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        const size_t n = tensor_size(&t);
        double largest = 0, got = 0;
        for (size_t k = 0; k < n; k++) {
            largest = larger(largest, fabs(grad[k]));
            got += sign_at(k)*grad[k];
        }
        got /= sqrt((double)n);
        const double want = slope(loss_call, &call, t.value, n, c->activation != DN_RELU);
        worst(e, fabs(got - want)/(largest + 1e-2*top), "%s %s %s: %s, %g for %g",
              name_of("arch", c->arch), name_of("norm", c->norm),
              name_of("activation", c->activation), t.name, got, want);
        grad += n;
    }
    worst(e, top > 0 ? 0 : NAN, "no gradient");
    free_blocks();
}

/* The first few schemes, or all. */
static double gradients(int schemes_tried, const char *activation, int dropout, int memory,
                        int learned)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < schemes_tried; norm++) {
            dn_config c = small_config(arch, norm);
            c.activation = choice("activation", activation);
            c.memory = memory;
            c.positions = learned ? DN_LEARNED : DN_SINUSOIDAL;
            c.tie = learned ? DN_TIE_ALL : DN_TIE_OUTPUT;
            if (dropout) {
                c.dropout = 0.2;  c.attn_dropout = 0.3;  c.act_dropout = 0.1;
                c.enc_layers = c.dec_layers = 1;
            }
            check_gradient(&e, &c, dropout);
        }
    return e;
}

static double t_grad_gelu(void)
{
    return gradients(choices("norm"), "gelu", 0, DN_KEEP, 0);
}

static double t_grad_dropout(void)
{
    return gradients(choices("norm"), "gelu", 1, DN_KEEP, 1);
}

/* One scheme is enough: these do not touch what schemes differ in, and rule:recompute compares all
 * of them to the bit. */
static double t_grad_learned(void)  { return gradients(1, "gelu-tanh", 0, DN_RECOMPUTE, 1); }
static double t_grad_relu(void)     { return gradients(1, "relu", 0, DN_KEEP, 0); }
static double t_grad_dropout2(void) { return gradients(1, "gelu", 1, DN_RECOMPUTE, 0); }

static double t_grad_untied(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int tie = 0; tie < choices("tie"); tie++) {
            dn_config c = small_config(arch, choice("norm", "deepnorm"));
            c.activation = choice("activation", "gelu");
            c.tie = tie;
            c.bias = tie == DN_TIE_NONE ? 0 : 1;
            c.label_smoothing = 0.3*tie;
            c.positions = DN_LEARNED;
            check_gradient(&e, &c, 0);
        }
    return e;
}

static double t_grad_long(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        const dn_config c = long_config(arch);
        check_gradient(&e, &c, 0);
    }
    return e;
}

/* Streams wider than the columns one thread sums at a time. */
static double t_grad_wide(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        dn_config c = small_config(arch, choice("norm", "sub-ln"));
        c.activation = DN_GELU;  c.positions = DN_LEARNED;
        c.dim = WIDE + 4;  c.ffn = WIDE + 8;  c.enc_layers = c.dec_layers = 1;
        check_gradient(&e, &c, 0);
    }
    return e;
}

/* Gradients are added: those of two batches are those of one batch with the rows of both. */
static double t_grad_adds(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        dn_config c = small_config(arch, 0);
        struct sample s;
        c.parts = 1 << arch;
        dn_model *m = make_model(&c, DN_TRAIN);
        double *all = get_block(dn_param_count(m)*sizeof *all), top;
        const dn_batch *b = fill_batch(&s, &c, 4, 0);
        dn_batch first = row_of(b, 0), others = row_of(b, 1);
        dn_stats st;
        others.rows = 3;
        fill_parameters(m);
        top = get_gradient(m, b, 0, all);
        dn_zero_grad(m);
        MUST(e, dn_gradient(m, &others, 0, &st, err) == DN_OK);
        MUST(e, dn_gradient(m, &first, 0, &st, err) == DN_OK);
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i);
            for (size_t k = 0; k < tensor_size(&t); k++)
                worst(&e, fabs((double)t.grad[k] - *all++)/top, "%s", t.name);
        }
        free_blocks();
    }
    return e;
}

/* ---- C golden numbers -------------------------------------------------------------------- */

/* From PyTorch 1.13 in double, which computed them as its users would: multi_head_attention_
 * forward with a boolean causal mask, layer_norm, gelu, CrossEntropyLoss(label_smoothing=0.1,
 * ignore_index=-1, reduction="sum"), AdamW with weight decay on matrices only (not on the three
 * tensors of DLCL's mix); one sequence at a time, so without padding.  From keel on, PyTorch 2.13,
 * with matrices and softmax for attention, and rms_norm.  Parameters, tokens and labels follow
 * fill_parameters and fill_batch above (3 rows); vocab 13, dim 16, 2 heads, ffn 32, 2 layers a
 * stack, ctx 8. */
static const struct golden {
    const char *arch, *norm, *activation, *positions, *tie;
    int tensors, scalars;
    double loss, nll, grad_norm;                        /* per scored token                    */
    struct { const char *name; double norm; int at; double value; } grad[3];   /* of the sum   */
    double after;                                       /* loss after 3 steps of Adam          */
} goldens[] = {
    { "encoder-decoder", "deepnorm", "relu", "sinusoidal", "all", 85, 11344,
      4.065930277162824, 4.12503999476146, 3.67056808114946,
      { { "encoder.embed.weight", 19.1981967746149, 11, -0.411687114540787 },
        { "encoder.1.self_attn.k.weight", 0.4951369177321508, 11, -0.02487363282970765 },
        { "decoder.0.cross_attn.v.bias", 1.572433138354243, 11, -0.2296859006021073 } },
      2.264673835149213 },
    { "encoder", "deepnorm", "gelu", "learned", "output", 34, 4784,
      3.679365836485118, 3.695629252855815, 3.200400365673205,
      { { "encoder.positions.weight", 3.371272191939857, 11, 0.6253062424412144 },
        { "encoder.0.ffn.w1.weight", 5.579973746742658, 11, -0.1278161118949603 },
        { "encoder.1.self_attn.out_norm.weight", 2.778391091356059, 11, 0.7839093852140397 } },
      1.832927666524101 },
    { "decoder", "deepnorm", "gelu-tanh", "sinusoidal", "none", 34, 4864,
      3.369661905433382, 3.414063459975258, 2.560647898484673,
      { { "output.weight", 13.47778113211778, 11, 0.6773577218832512 },
        { "decoder.0.self_attn.q.weight", 2.387382191994259, 11, -0.1295585930943211 },
        { "decoder.1.ffn.w2.bias", 1.508693848701323, 11, -0.2591374079806713 } },
      1.639549147796792 },
    { "encoder-decoder", "pre-ln", "relu", "sinusoidal", "output", 90, 11616,
      3.831536620088357, 3.868260423950919, 3.867539303414273,
      { { "encoder.norm.weight", 3.407298392048212, 11, -0.5296946457799063 },
        { "encoder.0.self_attn.o.weight", 8.175832263728985, 11, -0.5678122993427512 },
        { "decoder.1.cross_attn.in_norm.bias", 0.2031441629015705, 11, -0.01384491821188797 } },
      2.261750499313566 },
    { "encoder-decoder", "post-ln", "gelu", "learned", "none", 89, 12016,
      3.463630501884488, 3.516097678631323, 3.705421997256616,
      { { "decoder.embed.weight", 11.35761190962681, 11, -0.8677547483392382 },
        { "encoder.0.ffn.w2.weight", 5.862067279905156, 11, -0.1938171034005008 },
        { "decoder.1.cross_attn.q.weight", 1.455324092414105, 11, -0.08505092729755077 } },
      1.666184772046512 },
    { "encoder", "post-ln-init", "relu", "learned", "none", 35, 4992,
      2.630467516991459, 2.56430758462985, 2.900302622556806,
      { { "encoder.0.self_attn.v.weight", 4.532917517228037, 11, -0.06139829821616924 },
        { "encoder.1.ffn.w1.bias", 1.085248637814349, 11, 0.04987075515693856 },
        { "encoder.1.ffn.out_norm.bias", 2.185918059177719, 11, 0.2557854760940684 } },
      1.214285682925239 },
    { "decoder", "ds-init", "gelu", "sinusoidal", "output", 33, 4656,
      3.599850382401729, 3.624867680224028, 4.043690885201901,
      { { "decoder.embed.weight", 20.15648152759481, 11, 0.8493928979661596 },
        { "decoder.0.ffn.out_norm.weight", 3.905254558887314, 11, -0.4321082224683565 },
        { "decoder.1.self_attn.o.bias", 4.47470145028488, 11, -0.7848319443874707 } },
      1.878545490399093 },
    { "encoder-decoder", "admin", "gelu", "sinusoidal", "all", 95, 11504,
      3.842986445485603, 3.893593806645241, 4.861865743365856,
      { { "encoder.0.self_attn.omega.weight", 2.64569734682071, 11, 0.7845056809395489 },
        { "decoder.0.cross_attn.omega.weight", 3.856433279234808, 11, -0.5727930051362028 },
        { "decoder.1.ffn.omega.weight", 3.382279001171041, 11, -0.9232725484316425 } },
      1.939258757859294 },
    { "decoder", "admin-torch", "relu", "learned", "output", 38, 4848,
      3.644669111306054, 3.66449820707888, 3.568999148747723,
      { { "decoder.0.self_attn.omega.weight", 2.415971423871776, 11, 0.507959709698057 },
        { "decoder.1.ffn.omega.weight", 3.431889223545171, 11, -1.579891993600574 },
        { "decoder.positions.weight", 3.041315194477447, 11, -0.1907675441777556 } },
      1.861870106248789 },
    { "encoder-decoder", "r-fixup", "gelu-tanh", "learned", "none", 73, 11156,
      7.783333048207564, 7.950412387917984, 33.71261732168116,
      { { "encoder.0.ffn.act_shift.bias", 6.519948726134518, 0, 6.519948726134518 },
        { "encoder.shift.bias", 17.44201869029494, 0, 17.44201869029494 },
        { "decoder.0.cross_attn.in_shift.bias", 5.673509329159335, 0, -5.673509329159335 } },
      1.15413332214031 },
    { "decoder", "r-fixup", "gelu", "sinusoidal", "all", 28, 4319,
      6.309774085104405, 6.342995745826688, 10.21971455018256,
      { { "decoder.0.self_attn.mid_shift.bias", 1.876485815200903, 0, 1.876485815200903 },
        { "decoder.0.ffn.scale.weight", 8.997393321019693, 0, 8.997393321019693 },
        { "decoder.1.ffn.mid_shift.bias", 2.08086934474842, 0, -2.08086934474842 } },
      1.721746656017171 },
    { "encoder", "t-fixup", "gelu", "sinusoidal", "none", 26, 4736,
      3.415919459467569, 3.302344348499199, 8.378387300868853,
      { { "encoder.embed.weight", 30.90892451803462, 11, -0.1255581662718988 },
        { "encoder.0.self_attn.k.weight", 10.59641320771655, 11, 0.4489728342552269 },
        { "encoder.1.ffn.w2.weight", 19.63429200099105, 11, -0.638711488293803 } },
      0.9898360490398278 },
    { "encoder-decoder", "rezero", "relu", "sinusoidal", "all", 69, 11028,
      11.18618842116248, 11.45777151450471, 47.92282134466193,
      { { "encoder.1.self_attn.scale.weight", 0.3161305572055548, 0, -0.3161305572055548 },
        { "decoder.0.self_attn.scale.weight", 100.4382646696905, 0, 100.4382646696905 },
        { "decoder.0.cross_attn.k.weight", 25.37907230067719, 11, 1.533563603336748 } },
      1.872604969052581 },
    { "encoder", "rezero", "gelu", "learned", "output", 28, 4658,
      4.827275118332158, 4.886059655166144, 7.772115860758763,
      { { "encoder.0.self_attn.scale.weight", 0.3822676433735526, 0, 0.3822676433735526 },
        { "encoder.1.self_attn.scale.weight", 4.619497553733685, 0, 4.619497553733685 },
        { "encoder.0.ffn.w2.bias", 2.696512889804456, 11, 1.185083230813266 } },
      1.094851750858719 },
    { "encoder-decoder", "normformer", "gelu", "sinusoidal", "output", 110, 12008,
      3.978407471074014, 4.030529303316626, 4.931152869986716,
      { { "encoder.0.self_attn.head.weight", 0.3238912564386839, 0, 0.00287582427187319 },
        { "decoder.0.self_attn.br_norm.weight", 2.43909493319351, 11, -0.7615564860777629 },
        { "decoder.1.ffn.mid_norm.weight", 1.648825841949378, 11, 0.1326985100289747 } },
      2.014833718974261 },
    { "encoder-decoder", "dlcl", "gelu-tanh", "sinusoidal", "none", 97, 12034,
      2.935561629208571, 2.916171725164723, 3.326572755164062,
      { { "encoder.mix.weight", 6.283410801442699, 0, -4.369701070156935 },
        { "decoder.mix.weight", 5.360656094698132, 0, -2.689282505082506 },
        { "decoder.mix_norm.weight", 3.469455562222622, 11, 0.1886826479804485 } },
      1.593511331993555 },
    { "decoder", "dlcl", "relu", "learned", "all", 39, 4921,
      3.363944520394246, 3.389460067274147, 4.614866293488177,
      { { "decoder.mix.weight", 22.13940255913141, 0, -7.289145215426549 },
        { "decoder.mix_norm.bias", 6.463007055339538, 11, 0.6464849057609275 },
        { "decoder.0.self_attn.in_norm.weight", 4.536172898808672, 11, 0.5557834591502783 } },
      1.70583002530567 },
    { "encoder-decoder", "sub-ln", "relu", "learned", "all", 107, 12048,
      4.234029547486982, 4.30140133913926, 4.558441584701878,
      { { "encoder.1.self_attn.mid_norm.bias", 1.125425685073336, 11, 0.1941110775496288 },
        { "decoder.0.ffn.mid_norm.weight", 1.583246811050154, 11, -0.1901313103093407 },
        { "decoder.1.cross_attn.v.weight", 5.113578374364664, 11, 0.3204494725017804 } },
      1.685128565459511 },
    { "decoder", "layernorm-scaling", "gelu-tanh", "learned", "none", 37, 5024,
      3.370701182218899, 3.406913969503552, 2.440569325087127,
      { { "decoder.0.ffn.in_norm.weight", 1.81140727040352, 11, 0.09673790070235652 },
        { "decoder.1.self_attn.in_norm.bias", 0.6602835378051949, 11, -0.005564285552009548 },
        { "decoder.1.ffn.w1.weight", 2.821836189833516, 11, 0.2138811827939071 } },
      1.677166376531693 },
    { "encoder-decoder", "peri-ln", "gelu", "learned", "all", 111, 11984,
      3.888554151769141, 3.952558858521435, 6.175681978230807,
      { { "encoder.0.ffn.br_norm.weight", 1.845275396215715, 11, 0.1407205849289582 },
        { "decoder.1.cross_attn.br_norm.bias", 1.200144192844919, 11, -0.5511674790604656 },
        { "decoder.1.cross_attn.in_norm.weight", 1.140877731412894, 11, 0.2635111983632357 } },
      1.807967554720764 },
    { "encoder-decoder", "keel", "relu", "sinusoidal", "none", 85, 11728,
      3.502105285880312, 3.552303453073766, 2.601605288451247,
      { { "encoder.0.self_attn.in_norm.weight", 0.5157097343140069, 11, 0.09103319452178668 },
        { "encoder.0.ffn.out_norm.weight", 0.9773049050573002, 11, -0.0002517703046680253 },
        { "decoder.0.cross_attn.out_norm.weight", 2.895330658497038, 11, 0.5275604403120028 } },
      1.798588677688658 },
    { "decoder", "keel", "gelu", "sinusoidal", "output", 32, 4640,
      4.052174716000504, 4.089579880174267, 2.655005114772646,
      { { "decoder.0.self_attn.o.weight", 10.42027605958543, 11, 0.4673420335521266 },
        { "decoder.1.self_attn.in_norm.weight", 0.3755388232347708, 11, 0.1177616687706745 },
        { "decoder.1.ffn.w1.weight", 2.428993142474845, 11, 0.07476774367103797 } },
      2.551037656229519 },
    { "encoder-decoder", "olmo2", "gelu", "learned", "none", 81, 11888,
      3.479177967900007, 3.525762381601585, 5.430552413126747,
      { { "encoder.norm.weight", 2.262852003485808, 11, 0.3034769411473692 },
        { "encoder.0.ffn.br_norm.weight", 1.930031914639594, 11, -0.5897470408637068 },
        { "decoder.1.cross_attn.br_norm.weight", 0.8986277665726489, 11, -0.04977437712801425 } },
      1.519906175675697 },
    { "decoder", "olmo2", "gelu-tanh", "sinusoidal", "output", 30, 4608,
      3.490526107552553, 3.499275733168713, 3.537540030882542,
      { { "decoder.embed.weight", 20.65139251713583, 11, 0.2841723775067507 },
        { "decoder.0.self_attn.br_norm.weight", 2.446599100902912, 11, 0.03644003434369773 },
        { "decoder.norm.weight", 5.546921407910526, 11, 0.3661107843810185 } },
      2.007086767528503 },
    { "decoder", "gpt2-init", "gelu-tanh", "learned", "output", 36, 4816,
      4.248943981539416, 4.292865289446761, 3.045928066139586,
      { { "decoder.positions.weight", 3.165432982158375, 11, -0.702670524529954 },
        { "decoder.0.self_attn.in_norm.weight", 1.198632367461359, 11, 0.4022782233353288 },
        { "decoder.1.ffn.w2.weight", 9.577211646018208, 11, 0.3313335952941995 } },
      2.074895855480362 },
    { "encoder-decoder", "deepscalelm", "relu", "learned", "all", 87, 11600,
      4.071349083776969, 4.132460891841864, 3.591165100023318,
      { { "encoder.0.self_attn.v.weight", 3.262636259784212, 11, 0.3198952323606229 },
        { "decoder.0.self_attn.out_norm.weight", 3.329820804493726, 11, -0.1933153883056904 },
        { "decoder.1.ffn.w2.bias", 1.67963909348336, 11, -0.787517055769152 } },
      1.862863920301913 },
    { "encoder", "deepscalelm", "gelu", "sinusoidal", "none", 34, 4864,
      2.728633864168464, 2.671290588496133, 2.562383342163891,
      { { "encoder.embed.weight", 8.400720476730255, 11, -0.4918017669223249 },
        { "encoder.0.self_attn.out_norm.bias", 1.839965741303083, 11, -0.6545473675094233 },
        { "encoder.1.ffn.w1.weight", 3.811780726373117, 11, -0.02784832554624952 } },
      1.35817194807099 },
    { "encoder-decoder", "completep", "gelu", "sinusoidal", "output", 90, 11616,
      4.428492853975205, 4.478384369460691, 2.763243142321921,
      { { "encoder.1.self_attn.in_norm.weight", 0.4398030387997476, 11, 0.01237571445370905 },
        { "decoder.0.cross_attn.k.weight", 0.9598749663751425, 11, 0.01646305893891696 },
        { "decoder.1.ffn.w2.bias", 1.667436781610412, 11, -0.7892817503042182 } },
      2.517137732953389 },
    { "decoder", "depth-mup", "relu", "learned", "none", 37, 5024,
      3.35392313148824, 3.391679279717204, 2.296601001275257,
      { { "decoder.0.self_attn.q.weight", 1.396352450414574, 11, -0.1367189922820185 },
        { "decoder.1.ffn.in_norm.bias", 0.5535967936585707, 11, -0.1332851225270171 },
        { "decoder.norm.weight", 5.448980669712477, 11, -0.05084170122290987 } },
      1.960497242142989 },
    { "encoder-decoder", "mix-ln", "gelu", "learned", "all", 91, 11664,
      3.974548922491715, 4.033113602706258, 4.198748793281153,
      { { "encoder.0.self_attn.out_norm.weight", 2.113610044142295, 11, -1.376400798769768 },
        { "encoder.1.ffn.in_norm.weight", 0.6498290833130929, 11, 0.02434499800530791 },
        { "decoder.0.cross_attn.out_norm.bias", 2.690142115080048, 11, -1.110154322508849 } },
      1.751484433567337 },
    { "decoder", "mix-ln", "relu", "sinusoidal", "output", 35, 4688,
      3.637855429114542, 3.659400305321051, 4.007420816703446,
      { { "decoder.0.ffn.out_norm.bias", 5.263311620281898, 11, 0.1992893265711742 },
        { "decoder.1.self_attn.in_norm.weight", 2.494575435072742, 11, 1.177484006274821 },
        { "decoder.norm.bias", 2.065890013896563, 11, -0.2173522333750906 } },
      1.933878849615317 },
};

static dn_config golden_config(const struct golden *g)
{
    dn_config c = small_config(choice("arch", g->arch), choice("norm", g->norm));
    c.activation = choice("activation", g->activation);
    c.positions = choice("positions", g->positions);
    c.tie = choice("tie", g->tie);
    c.bias = 1;
    c.dim = 16;  c.heads = 2;  c.ffn = 32;
    c.lr = 1e-2;  c.warmup = 2;  c.warmup_init = 1e-7;  c.schedule = DN_INV_SQRT;
    c.beta1 = 0.9;  c.beta2 = 0.98;  c.eps = 1e-8;  c.weight_decay = 0.1;  c.clip = 1;
    return c;
}

static void check_golden_gradient(double *e, const dn_model *m, const char *name, double norm,
                                  int at, double value)
{
    const dn_tensor t = tensor_named(m, name);
    double squares = 0;
    if (!t.value) {
        worst(e, NAN, "no tensor %s", name);
        return;
    }
    for (size_t k = 0; k < tensor_size(&t); k++)
        squares += (double)t.grad[k]*(double)t.grad[k];
    worst(e, fabs(sqrt(squares)/norm - 1), "gradient of %s", name);
    worst(e, fabs((double)t.grad[at] - value)/norm, "gradient of %s[%d]", name, at);
}

static double t_golden(void)
{
    double e = 0;
    for (size_t i = 0; i < sizeof goldens/sizeof *goldens; i++) {
        const struct golden *g = &goldens[i];
        const dn_config c = golden_config(g);
        struct sample s;
        const dn_batch *b = fill_batch(&s, &c, 3, 0);
        dn_model *m = make_model(&c, DN_TRAIN);
        dn_stats st;
        fill_parameters(m);
        worst(&e, abs(dn_tensor_count(m) - g->tensors), "%d tensors", dn_tensor_count(m));
        worst(&e, fabs((double)dn_param_count(m) - g->scalars), "%d scalars",
              (int)dn_param_count(m));
        plain_loss(m, b, &st);
        worst(&e, fabs(st.loss/g->loss - 1), "loss %d of the plain model", (int)i);
        MUST(e, dn_gradient(m, b, 0, &st, err) == DN_OK);
        worst(&e, fabs(st.loss/g->loss - 1), "loss %d", (int)i);
        worst(&e, fabs(st.nll/g->nll - 1), "nll %d", (int)i);
        for (int k = 0; k < 3; k++)
            check_golden_gradient(&e, m, g->grad[k].name, g->grad[k].norm, g->grad[k].at,
                                  g->grad[k].value);
        for (int step = 0; step < 3; step++) {
            MUST(e, dn_train_step(m, b, 1, &st, err) == DN_OK);
            worst(&e, fabs(st.lr/dn_learning_rate(&c, step + 1) - 1), "rate %d", (int)i);
            if (step == 0)
                worst(&e, fabs(st.grad_norm/g->grad_norm - 1), "gradient norm %d", (int)i);
        }
        MUST(e, dn_evaluate(m, b, &st, err) == DN_OK);
        worst(&e, fabs(st.loss/g->after - 1), "loss after 3 steps, %d", (int)i);
        free_blocks();
    }
    return e;
}

/* Admin's profile of that model: the omegas of the encoder, then those of the decoder. */
static double t_golden_profile(void)
{
    static const double want[] = {
        1, 1.523230613958763, 1.648047228521086, 1.79497523745951,
        1, 1.555721027276228, 1.650377773214692, 1.805915342352571, 1.855489437819825,
        1.942132440679124,
    };
    double e = 0;
    size_t n = 0;
    for (size_t i = 0; i < sizeof goldens/sizeof *goldens; i++) {
        const struct golden *g = &goldens[i];
        const dn_config c = golden_config(g);
        struct sample s;
        if (strcmp(g->norm, "admin"))
            continue;
        dn_model *m = make_model(&c, DN_TRAIN);
        fill_parameters(m);
        MUST(e, dn_profile(m, fill_batch(&s, &c, 3, 0), err) == DN_OK);
        for (int k = 0; k < dn_tensor_count(m); k++) {
            const dn_tensor t = dn_tensor_at(m, k);
            if (ends_with(t.name, "omega.weight") && n < sizeof want/sizeof *want)
                worst(&e, fabs((double)t.value[11]/want[n++] - 1), "%s", t.name);
        }
        free_blocks();
    }
    MUST(e, n == sizeof want/sizeof *want);
    return e;
}

/* ---- D properties ------------------------------------------------------------------------ */

/* Bits, not values: this row's logits do not depend on which rows are computed with it. */
static double t_alone(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            const dn_config c = small_config(arch, norm);
            struct sample s;
            const dn_batch *b = fill_batch(&s, &c, 6, 0);
            dn_model *m = make_model(&c, DN_INFER);
            fill_parameters(m);
            const dn_real *all = get_logits(m, b);
            for (int r = 0; r < 6; r++) {
                const dn_batch one = row_of(b, r);
                const size_t n = (size_t)top_len(b)[r]*(size_t)c.vocab;
                MUST(e, !memcmp(all, get_logits(m, &one), n*sizeof *all));
                drop_last_block();
                all += n;
            }
            free_blocks();
        }
    return e;
}

/* Change token p of the last row: a decoder's logits before p keep their bits, those from p on
 * change; an encoder's all change. */
static double t_causal(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++)
            for (int p = 0; p < 8; p++) {
                const dn_config c = small_config(arch, norm);
                struct sample s;
                const dn_batch *b = fill_batch(&s, &c, 5, 0), last = row_of(b, 4);
                const int n = top_len(&last)[0], vocab = c.vocab;
                int *tokens = c.arch == DN_ENCODER ? s.enc : s.dec;
                if (p >= n)
                    continue;
                dn_model *m = make_model(&c, DN_INFER);
                fill_parameters(m);
                const dn_real *before = get_logits(m, &last);
                int *changed = tokens + (last.dec ? last.dec - b->dec : last.enc - b->enc) + p;
                *changed = (*changed + 5)%vocab;
                const dn_real *after = get_logits(m, &last);
                for (int t = 0; t < n; t++)
                    MUST(e, !memcmp(before + t*vocab, after + t*vocab,
                                    (size_t)vocab*sizeof *after)
                            == (c.arch != DN_ENCODER && t < p));
                free_blocks();
            }
    return e;
}

/* Every token of the source reaches every position of the target. */
static double t_cross(void)
{
    const dn_config c = small_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    struct sample s;
    const dn_batch *b = fill_batch(&s, &c, 2, 0);
    dn_model *m = make_model(&c, DN_INFER);
    const dn_real *before = get_logits(m, b);
    double e = 0;
    for (int i = 0; i < 4; i++) {
        s.enc[i] = (s.enc[i] + 1)%c.vocab;
        const dn_real *after = get_logits(m, b);
        for (int t = 0; t < 5; t++)
            MUST(e, memcmp(before + t*c.vocab, after + t*c.vocab,
                           (size_t)c.vocab*sizeof *after) != 0);
        MUST(e, !memcmp(before + 5*c.vocab, after + 5*c.vocab, (size_t)c.vocab*sizeof *after));
        s.enc[i] = (s.enc[i] + c.vocab - 1)%c.vocab;
        drop_last_block();
    }
    return e;
}

static double t_threads(void)
{
    double e = 0;
    start_work = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = busy_config(arch, norm);
            dn_model *one = make_model(&c, DN_TRAIN);
            train(one, 2, &e);
            for (c.threads = 2; c.threads <= (norm ? 2 : 4); c.threads++) {
                dn_model *many = make_model(&c, DN_TRAIN);
                train(many, 2, &e);
                worst(&e, !same_parameters(one, many), "%d threads, %s", c.threads,
                      name_of("norm", norm));
            }
            free_blocks();
        }
    return e;
}

#ifndef NESTED
#define NESTED 2              /* levels of threads: with 2, ThreadSanitizer sees races in OpenMP */
#endif
#ifdef _OPENMP
enum { AT_ONCE = 0 };                     /* the bound of a row that needs threads             */
static void nest_threads(int levels) { omp_set_max_active_levels(levels); }
#else
enum { AT_ONCE = -1 };
static void nest_threads(int levels) { (void)levels; }
#endif

/* What one thread of several does: it trains a model of its own and translates by one that all
 * share, with a generator of its own. */
struct job {
    dn_config c;
    dn_model *shared;
    void *block[2];
    size_t size[2];
    struct { int failed, out[2*8], len[2]; double log_p[32]; uint64_t parameters; } result;
};

static void job_run(struct job *job)
{
    char why[DN_ERR_MAX];
    struct sample s;
    dn_stats st;
    dn_model *m = dn_model_init(&job->c, DN_TRAIN, job->block[0], job->size[0], why);
    dn_generator *g = dn_generator_init(job->shared, 4, job->block[1], job->size[1], why);
    memset(&job->result, 0, sizeof job->result);
    job->result.failed = !m || !g;
    for (int i = 0; i < 3 && !job->result.failed; i++)
        job->result.failed = dn_train_step(m, fill_batch(&s, &job->c, 6, i), 1, &st, why)
                             || dn_log_p(m, &s.b, job->result.log_p, why);
    if (job->result.failed)
        return;
    job->result.parameters = hash_parameters(m);
    fill_batch(&s, dn_model_config(job->shared), 2, job->c.seed);
    job->result.failed = dn_translate(g, 2, s.enc, s.enc_len, BEAM(2, 1), job->result.out,
                                      job->result.len, why) != DN_OK;
}

/* All at once, the odd ones with threads of their own, and then once more one after the other. */
static double t_apart(void)
{
    enum { JOBS = 9 };
    static struct job job[JOBS], alone;
    const dn_config c = small_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    dn_model *shared = make_model(&c, DN_INFER);
    double e = 0;
    start_work = 0;
    for (int i = 0; i < JOBS; i++) {
        job[i].c = busy_config(i%choices("arch"), i%choices("norm"));
        job[i].c.seed = i;
        job[i].c.threads = 1 + i%2;
        job[i].c.parts = i%4 < 2 ? 1 : 4;
        job[i].c.desks = 0;
        job[i].shared = shared;
        job[i].size[0] = dn_model_bytes(&job[i].c, DN_TRAIN, err);
        job[i].size[1] = dn_generator_bytes(&c, 4, err);
        for (int k = 0; k < 2; k++)
            job[i].block[k] = get_block(job[i].size[k]);
    }
    nest_threads(NESTED);
    PARALLEL_FOR(JOBS, for (int i = 0; i < JOBS; i++) job_run(&job[i]);)
    nest_threads(1);
    for (int i = 0; i < JOBS; i++) {
        alone = job[i];
        job_run(&alone);
        MUST(e, !alone.result.failed && alone.result.len[0] > 0);
        worst(&e, memcmp(&alone.result, &job[i].result, sizeof alone.result) != 0, "job %d", i);
    }
    return e;
}

/* Part `part` of P of a batch by the rule's own words, row by row; a desk takes as many rows at a
 * time as it has room for. */
static dn_batch rows_of_part(const dn_config *c, const dn_batch *b, int P, int part, int *from)
{
    dn_batch some = { 0, b->enc, b->enc_len, b->dec, b->dec_len, b->label };
    const int enc = b->enc != NULL, dec = b->dec != NULL;
    int all = 0, before = 0, room[2] = { desk_tokens(c), desk_tokens(c) };
    for (int r = 0; r < b->rows; r++)
        all += (enc ? b->enc_len[r] : 0) + (dec ? b->dec_len[r] : 0);
    for (int r = 0; r < b->rows; r++) {
        const int e = enc ? b->enc_len[r] : 0, d = dec ? b->dec_len[r] : 0;
        const int mine = (int)floor((before + 0.5*(e + d))*P/all) == part && r >= *from;
        before += e + d;
        if (mine && (e > room[0] || d > room[1]))
            break;
        if (mine) {
            room[0] -= e;
            room[1] -= d;
            some.rows++;
            *from = r + 1;
        } else if (some.rows == 0) {
            if (enc) some.enc += e, some.enc_len++;
            if (dec) some.dec += d, some.dec_len++;
            some.label += dec ? d : e;
        }
    }
    return some;
}

/* Gradients of all parameters, one behind the other; the sums of losses in st. */
static dn_real *part_gradient(dn_model *one, const dn_config *c, const dn_batch *b, int part,
                              dn_stats *st, double *e)
{
    dn_real *g = get_block(dn_param_count(one)*sizeof *g);
    int from = 0;
    dn_batch some;
    dn_zero_grad(one);
    while ((some = rows_of_part(c, b, c->parts, part, &from)).rows) {
        dn_stats s;
        MUST(*e, dn_gradient(one, &some, 0, &s, err) == DN_OK);
        st->loss += s.loss*s.tokens;
        st->tokens += s.tokens;
    }
    return memcpy(g, dn_tensor_at(one, 0).grad, dn_param_count(one)*sizeof *g);
}

/* Each part by a model that knows none, and their sum by the simplest tree. */
static double t_parts_tree(void)
{
    double e = 0;
    for (int i = 0; i < choices("arch")*choices("norm"); i++) {
        dn_config c = busy_config(i%choices("arch"), i/choices("arch"));
        struct sample s;
        dn_stats st[8] = {{0}}, got;
        dn_real *g[8];
        c.dropout = c.attn_dropout = c.act_dropout = 0;
        c.tie = i%3;
        dn_model *one = make_model(&c, DN_TRAIN);
        c.parts = 2 << i%3;
        c.batch_tokens = 40;
        dn_model *many = make_model(&c, DN_TRAIN);
        const size_t n = dn_param_count(one);
        const dn_batch *b = fill_batch(&s, &c, 8, i);
        for (int p = 0; p < c.parts; p++)
            g[p] = part_gradient(one, &c, b, p, &st[p], &e);
        for (int step = 1; step < c.parts; step *= 2)
            for (int p = 0; p < c.parts; p += 2*step) {
                for (size_t k = 0; k < n; k++)
                    g[p][k] += g[p + step][k];
                st[p].loss += st[p + step].loss;
                st[p].tokens += st[p + step].tokens;
            }
        MUST(e, dn_gradient(many, b, 0, &got, err) == DN_OK && got.tokens == st[0].tokens);
        MUST(e, fabs(got.loss*got.tokens/st[0].loss - 1) <= (NARROW ? 1e-5 : 1e-12));
        worst(&e, memcmp(g[0], dn_tensor_at(many, 0).grad, n*sizeof **g) != 0, "%d parts, %s",
              c.parts, name_of("norm", c.norm));
        int from = 0, first = 0;            /* the first part that has rows is what it looks at */
        dn_batch some;
        while (!(some = rows_of_part(&c, b, c.parts, first, &from)).rows)
            first++;
        MUST(e, dn_profile(one, &some, err) == DN_OK && dn_profile(many, b, err) == DN_OK
                && same_parameters(one, many));
        free_blocks();
    }
    return e;
}

/* The same step by any number of desks and threads, and by two halves. */
static double t_parts_shared(void)
{
    double e = 0;
    start_work = 0;
    for (int i = 0; i < choices("arch")*choices("norm"); i++) {
        dn_config c = busy_config(i%choices("arch"), i/choices("arch"));
        struct sample s[2];
        dn_stats st, half;
        c.parts = 2 << i%3;
        dn_model *one = make_model(&c, DN_TRAIN), *halves = make_model(&c, DN_TRAIN);
        const size_t n = dn_param_count(one);
        dn_real *sum = get_block(n*sizeof *sum), *grad = dn_tensor_at(halves, 0).grad;
        train(one, 2, &e);
        train(halves, 1, &e);
        const dn_batch two[2] = { *fill_batch(&s[0], &c, 6, 1), *fill_batch(&s[1], &c, 3, 3) };
        MUST(e, dn_gradient_of(halves, two, 2, c.parts/2, c.parts/2, &half, err) == DN_OK);
        memcpy(sum, grad, n*sizeof *sum);
        MUST(e, dn_gradient_of(halves, two, 2, 0, c.parts/2, &st, err) == DN_OK);
        for (size_t k = 0; k < n; k++)
            grad[k] += sum[k];
        st.loss += half.loss;
        st.tokens += half.tokens;
        MUST(e, dn_apply(halves, &st, err) == DN_OK && same_parameters(one, halves));
        for (int k = 0; k < 4; k++) {
            c.threads = 1 + k%3;
            c.desks = 1 + k;
            c.memory = k%2 ? DN_RECOMPUTE : DN_KEEP;
            small_gradients = k < 2 ? 0 : 1u << 24;
            dn_model *many = make_model(&c, DN_TRAIN);
            train(many, 2, &e);
            worst(&e, !same_parameters(one, many), "%d parts on %d desks by %d threads, %s",
                  c.parts, c.desks, c.threads, name_of("norm", c.norm));
        }
        free_blocks();
    }
    return e;
}

/* Evaluation and logits know no parts, and what is refused. */
static double t_parts_elsewhere(void)
{
    double e = 0;
    start_work = 0;
    for (int i = 0; i < 2*choices("arch"); i++) {
        dn_config c = busy_config(i/2, 0);
        struct sample s;
        dn_stats a, b;
        dn_model *one = make_model(&c, i%2 ? DN_TRAIN : DN_INFER);
        const dn_batch *batch = fill_batch(&s, &c, 6, i);
        c.parts = 8;
        c.threads = c.desks = 3;
        dn_model *many = make_model(&c, i%2 ? DN_TRAIN : DN_INFER);
        MUST(e, dn_evaluate(one, batch, &a, err) == DN_OK);
        MUST(e, dn_evaluate(many, batch, &b, err) == DN_OK && !memcmp(&a, &b, sizeof a));
        MUST(e, !memcmp(get_logits(one, batch), get_logits(many, batch),
                        (size_t)(top_tokens(batch)*c.vocab)*sizeof(dn_real)));
        MUST(e, dn_state_at(many, c.arch != DN_ENCODER, 0).tokens == 0);
        const int wrong[][2] = { { 0, 3 }, { 2, 4 }, { 8, 1 }, { -1, 1 }, { 0, 16 }, { 0, 0 } };
        for (int k = 0; k < 6 && i%2; k++)
            MUST(e, refused(dn_gradient_of(many, batch, 1, wrong[k][0], wrong[k][1], &a, err),
                            DN_EINVAL));
        a.tokens = !(i%2);                /* nothing to apply, or a model that does not train */
        MUST(e, refused(dn_apply(many, &a, err), DN_EINVAL));
        free_blocks();
    }
    dn_config c = small_config(DN_ENC_DEC, 0);
    c.parts = c.desks = 4096;                         /* far more than there are rows */
    MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == 4096);
    c.desks = 2;
    train(make_model(&c, DN_TRAIN), 2, &e);
    c.parts = 6;
    MUST(e, refused(dn_config_check(&c, err), DN_EINVAL) && strstr(err, "parts"));
    c.parts = c.desks = 0;
    c.ctx = 128;
    for (c.batch_tokens = 128; c.batch_tokens <= 1 << 14; c.batch_tokens *= 2) {
        const int parts = dn_sharing_of(&c, DN_TRAIN).parts;
        MUST(e, parts == imin(8, c.batch_tokens/128));
        c.threads = 16;
        MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == parts);
    }
    c.batch_tokens = 1024;  c.heads = 1;  c.dim = 128;  c.threads = 8;
    MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == 8);
    c.vocab = 1 << 18;                  /* each desk more is an array more of that many gradients */
    MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == 1);
    c.vocab = 13;  c.dim = 256;  c.parts = 4;
    MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == 4);
    c.threads = 16;                     /* which do better on each product of a wide model */
    MUST(e, dn_sharing_of(&c, DN_TRAIN).desks == 1);
    return e;
}

/* Parts taken in order and finished in any: an array is always there.  A part that is worked on has
 * an array and no node yet. */
static double t_parts_arrays(void)
{
    double e = 0;
    dn_config c = small_config(DN_ENCODER, 0);
    small_gradients = 0;
    for (int run = 0; run < 2000; run++) {
        c.parts = 1 << run%8;
        c.desks = 1 + run%9;
        dn_model *m = make_model(&c, DN_TRAIN);
        real *at_work[16] = {0};
        int part[16], next = 0, busy = 0;
        m->tree->idles = arrays_enough(m) - 1;
        MUST(e, m->tree->idles < (c.parts > 4 && c.desks == 1 ? c.parts - 1 : c.parts));
        memcpy(m->tree->idle, m->tree->array + 1, (size_t)m->tree->idles*sizeof(real *));
        memset(m->tree->node, 0, 2*(size_t)c.parts*sizeof(real *));
        for (uint32_t u = 0; next < c.parts || busy; u++) {
            const int who = (int)(dn_random((uint64_t)run, 0, u)%(uint32_t)m->desks);
            if (at_work[who]) {
                m->tree->node[c.parts + part[who]] = at_work[who];
                at_work[who] = NULL;
                busy--;
            } else if (next < c.parts) {
                at_work[who] = next == 0 ? m->grad : gradient_take(m);
                for (int k = 0; k < m->desks; k++)
                    MUST(e, k == who || at_work[k] != at_work[who]);
                MUST(e, m->tree->idles >= 0);
                part[who] = next++;
                busy++;
            }
        }
        MUST(e, node_sum(m, 1, 0, m->scalars) == m->grad);
        free_blocks();
    }
    return e;
}

static double t_recompute(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = busy_config(arch, norm);
            c.memory = DN_KEEP;
            dn_model *keep = make_model(&c, DN_TRAIN);
            const size_t need = dn_model_bytes(&c, DN_TRAIN, err);
            c.memory = DN_RECOMPUTE;
            dn_model *again = make_model(&c, DN_TRAIN);
            MUST(e, dn_model_bytes(&c, DN_TRAIN, err) < need);
            train(keep, 4, &e);
            train(again, 4, &e);
            MUST(e, same_parameters(keep, again));
            free_blocks();
        }
    return e;
}

/* What a pass leaves behind: each sub-layer's output is the LayerNorm of its sum, and the top of
 * the stack gives the logits. */
static double t_state(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(arch, norm);
            struct sample s;
            c.tie = DN_TIE_NONE;
            const dn_batch *b = fill_batch(&s, &c, 3, 0);
            dn_model *m = make_model(&c, DN_TRAIN);
            fill_parameters(m);
            const dn_real *logits = get_logits(m, b), *out = param(m, "output.", "weight");
            const int stack = arch != DN_ENCODER, subs = plain_depth(&c, stack);
            for (int i = 0; i <= subs; i++) {
                const dn_state at = dn_state_at(m, stack, i), next = dn_state_at(m, stack, i + 1);
                MUST(e, at.tokens == top_tokens(b) && (i == subs) == !next.tokens);
                for (int t = 0; t < at.tokens && i == subs; t++)
                    worst(&e, fabs((double)dot_row(at.x + t*c.dim, out, 0, c.dim)
                                   - (double)logits[t*c.vocab]), "logit of token %d", t);
                if (!at.sum)
                    continue;
                const struct sublayer *sub = &m->sub[m->stack[stack].first + i];
                dn_real y[PLAIN_WIDTH], stat[2];
                const struct at_place norm_at = { sub->op[OUT], 1, 1, sub->param[OUT_G],
                                                  sub->param[OUT_B], NULL, NULL };
                norm_row(y, stat, at.sum, &norm_at, c.dim);
                MUST(e, !memcmp(y, next.x, (size_t)c.dim*sizeof *y));
            }
            MUST(e, !dn_state_at(m, stack, -1).tokens && !dn_state_at(m, 2, 0).tokens);
            MUST(e, !dn_state_at(m, 1 - stack, 0).tokens == (arch != DN_ENC_DEC));
            MUST(e, !dn_state_at(m, stack, 1).sum == (op_at(&c, OUT, stack, 1) == ID));
            free_blocks();
        }
    return e;
}

/* Every sub-layer's input and weights, asked for in one call, are the plain model's; in models that
 * keep nothing and in others, in one part and in four. */
static double t_inspect(void)
{
    static double logits[PLAIN_TOKENS*PLAIN_VOCAB];
    enum { ROWS = 6, TOKENS = 24, WEIGHTS = 3*ROWS*64, MOST = 12 };
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(arch, norm);
            struct sample s;
            dn_look look[MOST];
            int n = 0;
            c.parts = norm%2 ? 4 : 1;
            c.memory = norm%4 < 2 ? DN_KEEP : DN_RECOMPUTE;
            const dn_batch *b = fill_batch(&s, &c, ROWS, norm);
            dn_model *m = make_model(&c, norm%3 ? DN_INFER : DN_TRAIN);
            fill_parameters(m);
            for (int stack = 0; stack < 2; stack++) {
                const int per = stack && b->enc ? 3 : 2, subs = plain_depth(&c, stack);
                for (int i = 0; (stack ? b->dec : b->enc) && i <= subs; i++) {
                    const int none = i == subs || i%per == per - 1;
                    look[n++] = (dn_look){
                        stack, i, get_block(TOKENS*(size_t)c.dim*sizeof(dn_real)),
                        none ? NULL : get_block(WEIGHTS*sizeof(dn_real)) };
                }
            }
            MUST(e, dn_inspect(m, b, look, n, err) == DN_OK);
            for (int k = 0; k < n; k++) {
                noted.decoder = look[k].stack;
                noted.i = look[k].i;
                noted.n_x = noted.n_weights = 0;
                plain_logits(m, b, logits);
                MUST(e, noted.n_x > c.dim && (noted.n_weights > ROWS) == (look[k].weights != NULL));
                for (int j = 0; j < noted.n_x; j++)
                    worst(&e, fabs((double)look[k].x[j] - noted.x[j]), "%s: x %d of stack %d",
                          name_of("norm", norm), look[k].i, look[k].stack);
                for (int j = 0; j < noted.n_weights; j++)
                    worst(&e, fabs((double)look[k].weights[j] - noted.weights[j]),
                          "%s: weights %d of stack %d", name_of("norm", norm), look[k].i,
                          look[k].stack);
            }
            noted.i = -1;
            free_blocks();
        }
    return e;
}

/* Of each label by itself, from plain logits. */
static double t_log_p(void)
{
    static double logits[PLAIN_TOKENS*PLAIN_VOCAB];
    double e = 0, log_p[32];
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(arch, norm);
            struct sample s;
            c.parts = norm%2 ? 1 : 4;
            const dn_batch *b = fill_batch(&s, &c, 6, norm);
            dn_model *m = make_model(&c, DN_INFER);
            fill_parameters(m);
            plain_logits(m, b, logits);
            MUST(e, dn_log_p(m, b, log_p, err) == DN_OK);
            for (int t = 0; t < top_tokens(b); t++) {
                const double *z = logits + t*c.vocab;
                double sum = 0;
                for (int v = 0; v < c.vocab; v++)
                    sum += exp(z[v]);
                worst(&e, fabs(log_p[t] - (b->label[t] < 0 ? 0 : z[b->label[t]] - log(sum))),
                      "token %d, %s", t, name_of("norm", norm));
            }
            free_blocks();
        }
    return e;
}

/* Adam's first step by gradients of 1 is lr/(1 + eps): inside the sub-layers of a stack of N layers
 * eps is multiplied by N^-1 or N^(-1/2), in depth-muP lr too, elsewhere they are what was asked. */
static double t_scaled_adam(void)
{
    double e = 0;
    for (int root = 0; root < 2; root++) {
        dn_config c = small_config(DN_ENC_DEC, choice("norm", root ? "depth-mup" : "completep"));
        c.enc_layers = 4;  c.dec_layers = 3;
        c.eps = 1;  c.clip = c.weight_decay = 0;
        dn_model *m = make_model(&c, DN_TRAIN), *first = make_model(&c, DN_TRAIN);
        dn_stats sums = { .tokens = 1 };
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i);
            for (size_t k = 0; k < tensor_size(&t); k++)
                t.grad[k] = 1;
        }
        MUST(e, dn_apply(m, &sums, err) == DN_OK);
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i), u = dn_tensor_at(first, i);
            const int in_layer = t.name[8] >= '0' && t.name[8] <= '9';
            const double N = plain_layers(&c, plain_decoder(t.name));
            const double eps = !in_layer ? 1 : root ? 1/sqrt(N) : 1/N;
            const double due = sums.lr*(in_layer && root ? 1/sqrt(N) : 1)/(1 + eps);
            for (size_t k = 0; k < tensor_size(&t); k++)
                worst(&e, fabs(((double)u.value[k] - (double)t.value[k])/due - 1), "%s", t.name);
        }
        free_blocks();
    }
    return e;
}

static double t_accumulate(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        dn_config c = small_config(arch, choice("norm", "deepnorm"));
        struct sample s;
        const dn_batch *b = fill_batch(&s, &c, 2, 0);
        const dn_batch two[2] = { row_of(b, 0), row_of(b, 1) };
        dn_stats st, st2;
        c.eps = 1e-2;                   /* so that rounding of a zero gradient is no step */
        dn_model *m = make_model(&c, DN_TRAIN), *n = make_model(&c, DN_TRAIN);
        for (int step = 0; step < 3; step++) {
            MUST(e, dn_train_step(m, b, 1, &st, err) == DN_OK);
            MUST(e, dn_train_step(n, two, 2, &st2, err) == DN_OK);
            worst(&e, fabs(st.loss/st2.loss - 1), "loss");
            worst(&e, fabs(st.grad_norm/st2.grad_norm - 1), "gradient norm");
            MUST(e, st.tokens == st2.tokens && st.correct == st2.correct);
        }
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i), u = dn_tensor_at(n, i);
            for (size_t k = 0; k < tensor_size(&t); k++)
                worst(&e, fabs((double)t.value[k] - (double)u.value[k]), "%s", t.name);
        }
        free_blocks();
    }
    return e;
}

/* With dropout, masks change from step to step and stay the same within one. */
static double t_dropout_masks(void)
{
    dn_config c = busy_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    struct sample s;
    const dn_batch *b = fill_batch(&s, &c, 3, 0);
    dn_stats off, on, again;
    double e = 0;
    c.lr = c.warmup_init = c.min_lr = 0;                /* steps that change masks only */
    dn_model *m = make_model(&c, DN_TRAIN);
    MUST(e, dn_evaluate(m, b, &off, err) == DN_OK);
    MUST(e, dn_gradient(m, b, 0, &again, err) == DN_OK);
    MUST(e, !memcmp(&off.loss, &again.loss, sizeof off.loss));
    MUST(e, dn_gradient(m, b, 1, &on, err) == DN_OK);
    MUST(e, fabs(on.loss - off.loss) > 1e-3);
    MUST(e, dn_gradient(m, b, 1, &again, err) == DN_OK);
    MUST(e, !memcmp(&on.loss, &again.loss, sizeof on.loss));
    MUST(e, dn_train_step(m, b, 1, &again, err) == DN_OK);
    MUST(e, !memcmp(&on.loss, &again.loss, sizeof on.loss));
    MUST(e, dn_gradient(m, b, 1, &again, err) == DN_OK);
    MUST(e, fabs(again.loss - on.loss) > 1e-3);
    c.dropout = c.attn_dropout = c.act_dropout = 0;
    MUST(e, dn_model_reconfigure(m, &c, err) == DN_OK);
    MUST(e, dn_gradient(m, b, 1, &on, err) == DN_OK);
    MUST(e, !memcmp(&on.loss, &off.loss, sizeof on.loss));
    return e;
}

/* For each kind of dropout alone: equal sequences of one batch, and equal batches of one step, drop
 * different things. */
static double t_dropout_apart(void)
{
    double e = 0;
    for (int kind = 0; kind < 3; kind++) {
        dn_config c = busy_config(DN_DECODER, choice("norm", "deepnorm"));
        const int tokens[12] = { 5, 6, 7, 8, 9, 10, 5, 6, 7, 8, 9, 10 }, len[2] = { 6, 6 };
        const dn_batch b = { 2, NULL, NULL, tokens, len, tokens };
        const size_t half = (size_t)(6*c.dim)*sizeof(dn_real);
        c.dropout = kind == 0 ? 0.3 : 0;
        c.attn_dropout = kind == 1 ? 0.3 : 0;
        c.act_dropout = kind == 2 ? 0.3 : 0;
        dn_model *m = make_model(&c, DN_TRAIN);
        dn_real *first = get_block(2*half);
        struct pass p = pass_for(m, m->desk, &b);
        const dn_real *top = network_fwd(&p);
        MUST(e, !memcmp(top, top + 6*c.dim, half));
        p.drop = 1;
        p.key = masks_key(m, 0, 0);
        memcpy(first, network_fwd(&p), 2*half);
        MUST(e, memcmp(first, first + 6*c.dim, half) != 0);
        MUST(e, !memcmp(first, network_fwd(&p), 2*half));
        p.key = masks_key(m, 1, 0);
        MUST(e, memcmp(first, network_fwd(&p), half) != 0);
        p.key = masks_key(m, 0, 1);
        MUST(e, memcmp(first, network_fwd(&p), half) != 0);
        free_blocks();
    }
    return e;
}

/* The synopsis' task on fewer digits: the target is the source, reversed. */
static double t_learns(void)
{
    double e = 0;
    for (int norm = 0; norm < choices("norm"); norm++) {
        dn_config c = small_config(DN_ENC_DEC, norm);
        c.batch_tokens = 96;  c.dim = 32;  c.heads = 2;  c.ffn = 64;
        c.enc_layers = c.dec_layers = 1;
        c.label_smoothing = 0;  c.warmup = 20;  c.lr = 5e-3;  c.clip = 0;
        dn_model *m = make_model(&c, DN_TRAIN);
        dn_stats s = { 0 };
        for (int step = 0; step < 250; step++) {
            int src[96], dec[96], label[96], len[32];
            for (int i = 0; i < 96; i++) {
                src[i] = DN_SPECIALS + (int)(dn_random(1, (uint64_t)step, (uint32_t)i)%10);
                label[i/3*3 + 2 - i%3] = src[i];
            }
            for (int i = 0; i < 96; i++) {
                dec[i] = i%3 ? label[i - 1] : DN_BOS;
                len[i/3] = 3;
            }
            const dn_batch b = { 32, src, len, dec, len, label };
            MUST(e, dn_train_step(m, &b, 1, &s, err) == DN_OK);
            if (step == 0)
                MUST(e, s.nll > 2);
        }
        worst(&e, s.nll, "%s", name_of("norm", norm));
        free_blocks();
    }
    return e;
}

/* Fifty steps of each architecture from one seed end in the same bits on every machine; there are
 * two classes, without and with fused multiply-add, and as many where statistics are float. */
#ifdef DN_DOUBLE
static const uint64_t known_hash[][2] = { { 0x737c84e407f319d4, 0x73095ed4472f6cc3 } };
#else
static const uint64_t known_hash[][2] = { { 0xf7af322b8716c66f, 0xd9895952fbb97d93 },
                                          { 0x2dac97f51bac2ea0, 0x9b7fdbf208339bc5 } };
#endif

static uint64_t trained_hash(void)
{
    static uint64_t h;                                  /* kept: an emulator is slow */
    double e = 0;
    for (int arch = 0, known = h != 0; !known && arch < choices("arch"); arch++) {
        dn_config c = busy_config(arch, choice("norm", "deepnorm"));
        c.activation = arch;                            /* each of the three once */
        c.parts = 1 << arch;
        c.positions = arch == DN_DECODER ? DN_SINUSOIDAL : DN_LEARNED;
        dn_model *m = make_model(&c, DN_TRAIN);
        train(m, 50, &e);
        h = h*1099511628211u ^ hash_parameters(m);
        free_blocks();
    }
    return e == 0 ? h : 0;
}

/* The parts of it, of numbers that are the same everywhere, so that a port sees where it drifts. */
static real drawn(size_t i)
{
    return (real)((dn_random(1, 1, (uint32_t)i) - 2147483648.0)/1073741824);
}

static real *draw(real *x, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++)
        x[i] = drawn(from + i);
    return x;
}

static uint64_t hash_double(uint64_t h, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    for (int j = 0; j < 8; j++)
        h = hash_byte(h, (unsigned char)(bits >> 8*j & 255));
    return h;
}

static uint64_t hash_reals(uint64_t h, const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = hash_double(h, (double)x[i]);
    return h;
}

static uint64_t hash_random(void)
{
    uint64_t h = HASH_START;
    for (uint32_t i = 0; i < 1000; i++)
        h = hash_double(hash_double(h, dn_random(1, i, i)), dn_shuffle(1, 1, i, 1000));
    return h;
}

static uint64_t hash_functions(void)
{
    uint64_t h = HASH_START;
    for (size_t i = 0; i < 4096; i++) {
        const real x = drawn(i);
        const acc y = (acc)x;
        const real of[] = { exp_real(8*x), tanh_real(4*x), erf_real(2*x), sqrt_real(x*x) };
        h = hash_reals(h, of, sizeof of/sizeof *of);
        h = hash_double(hash_double(h, (double)exp_acc(8*y)), (double)log_acc(y*y + 1));
        h = hash_double(hash_double(h, (double)sin_acc(100*y)), (double)cos_acc(100*y));
    }
    return h;
}

static uint64_t hash_product(void)
{
    enum { M = 37, N = 53, K = 271 };
    static real a[M*K], b[K*N], c[M*N];
    const struct team team = { 1, 1, get_block(matmul_work()*sizeof(real)), NULL };
    draw(a, M*K, 0);
    draw(b, K*N, M*K);
    matmul(&team, into(c, N), NULL, plain(a, K), plain(b, N), M, N, K);
    free_blocks();
    return hash_reals(HASH_START, c, M*N);
}

static uint64_t hash_norm(void)
{
    enum { T = 5, D = 67 };
    real x[T*D], g[D], b[D], y[T*D], stat[2*T], dx[T*D], dg[D] = { 0 }, db[D] = { 0 };
    const struct at_place at = { LN, 1, 1, draw(g, D, T*D), draw(b, D, T*D + D), dg, db };
    const struct team team = { 1, 1, NULL, NULL };
    norm_fwd(&team, y, stat, draw(x, T*D, 0), &at, T, D);
    norm_bwd(&team, dx, y, stat, x, &at, T, D);
    const uint64_t h = hash_reals(hash_reals(HASH_START, y, T*D), dx, T*D);
    return hash_reals(hash_reals(h, dg, D), db, D);
}

static uint64_t hash_attention(void)
{
    struct attend_call *a = make_attention();
    draw(a->x.q, 3*ATTEND_N, 0);
    draw(a->w, ATTEND_N, 3*ATTEND_N);
    attend_call(a);
    attend_bwd(&a->team, &a->d, a->w, a->stat, &a->x, &a->att);
    const uint64_t h = hash_reals(hash_reals(HASH_START, a->c, ATTEND_N), a->d.q, 3*ATTEND_N);
    free_blocks();
    return h;
}

static uint64_t hash_loss(void)
{
    enum { V = 301 };
    real z[V];
    const struct token_loss loss = cross_entropy_row(draw(z, V, 0), 7, 0.1, V, 1);
    return hash_reals(hash_double(HASH_START, (double)loss.loss), z, V);
}

/* Of an encoder-decoder: its first values (0); the gradient of one batch (1); two steps of Adam by
 * gradients that are drawn (2). */
static uint64_t hash_of_model(int what)
{
    struct sample s;
    dn_stats stats;
    const dn_config c = busy_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    dn_model *m = make_model(&c, DN_TRAIN);
    real *values[] = { m->value, m->grad, m->value };
    dn_zero_grad(m);
    if (what == 1 && dn_gradient(m, fill_batch(&s, &c, 4, 0), 1, &stats, err) != DN_OK)
        return 0;
    for (int step = 0; what == 2 && step < 2; step++, m->step++) {
        draw(m->grad, m->scalars, (size_t)step*m->scalars);
        adam(m, 0.5, 0.01);
    }
    const uint64_t h = hash_reals(HASH_START, values[what], m->scalars);
    free_blocks();
    return h;
}

static uint64_t hash_first(void) { return hash_of_model(0); }
static uint64_t hash_gradient(void) { return hash_of_model(1); }
static uint64_t hash_optimizer(void) { return hash_of_model(2); }

/* With what they are in either class, where statistics are double. */
static const struct hash_part {
    const char *name;
    uint64_t (*of)(void), known[2];
} hash_parts[] = {
#ifdef DN_DOUBLE
    { "random", hash_random, { 0xac7a08baa6edaec5, 0xac7a08baa6edaec5 } },
    { "functions", hash_functions, { 0xa4220a2b61a99697, 0xa4220a2b61a99697 } },
    { "product", hash_product, { 0xdef1149cdfa7591c, 0x8887378bc0da54f9 } },
    { "norm", hash_norm, { 0x3ea653848a694bd1, 0xec918c68e0f6a664 } },
    { "attention", hash_attention, { 0x228d8370eae8f6c3, 0x9ed9bad18cbb6e94 } },
    { "loss", hash_loss, { 0xe6730ee88370d466, 0x6fb93fa037c9111e } },
    { "first values", hash_first, { 0x38bdc5ba232359e4, 0x38bdc5ba232359e4 } },
    { "gradient", hash_gradient, { 0x7e33b9b4d79d4d4e, 0x3322e44bc2be7341 } },
    { "optimizer", hash_optimizer, { 0x354c7e8b318ede7f, 0xbb5da65208b7b0c2 } },
#else
    { "random", hash_random, { 0xac7a08baa6edaec5, 0xac7a08baa6edaec5 } },
    { "functions", hash_functions, { 0xf55ac3a5d79cba24, 0xb76cb4b5b331c02a } },
    { "product", hash_product, { 0x9d7f492a6e0a250f, 0x25daa0633606e4d1 } },
    { "norm", hash_norm, { 0x7ecd5cf8eb66b2f8, 0xdfc428406991ea00 } },
    { "attention", hash_attention, { 0xc7eef0b25c0d0be6, 0xf7e08a61161a2e68 } },
    { "loss", hash_loss, { 0x2d0c14ebfc4ab6cf, 0x8acc69d55b575725 } },
    { "first values", hash_first, { 0xe4bd12b6b4f816c9, 0xe4bd12b6b4f816c9 } },
    { "gradient", hash_gradient, { 0x2df644815775be55, 0x05de884b0d490a6e } },
    { "optimizer", hash_optimizer, { 0x1f7762da6fffbcca, 0x0cc84489c1e21e3e } },
#endif
};
enum { HASH_PARTS = (int)(sizeof hash_parts/sizeof *hash_parts) };

static double t_hash_parts(void)
{
    double e = 0;
    for (int i = 0; i < HASH_PARTS; i++)
        worst(&e, hash_parts[i].of() != hash_parts[i].known[DN_FMA], "%s", hash_parts[i].name);
    return e;
}

static double t_hash(void)
{
    const uint64_t got = trained_hash();
    snprintf(detail, sizeof detail, "hash is %016llx", (unsigned long long)got);
    return got != known_hash[NARROW][DN_FMA];
}

static double t_cached(void)
{
    double e = 0;
    for (int arch = DN_DECODER; arch <= DN_ENC_DEC; arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(arch, norm);
            struct sample s;
            c.enc_layers = 1 + norm%4;
            dn_batch b = *fill_batch(&s, &c, 3, 0);
            int tokens[24], len[3] = { 8, 8, 8 }, piece[24], piece_len[3], at[3] = { 0 };
            for (int i = 0; i < 24; i++)
                tokens[i] = (5*i + 1)%c.vocab;
            b.dec = tokens;
            b.dec_len = len;
            dn_model *m = make_model(&c, DN_INFER);
            fill_parameters(m);
            const dn_real *whole = get_logits(m, &b);
            const size_t need = dn_generator_bytes(&c, 4, err);
            dn_generator *g = dn_generator_init(m, 4, get_block(need), need, err);
            MUST(e, g && dn_generator_start(g, 3, b.enc, b.enc_len, err) == DN_OK);
            for (int round = 0; g && at[2] < 8; round++) {
                int n = 0;
                for (int r = 0; r < 3; r++) {           /* first 1, 2, 3 tokens, then 1 each */
                    piece_len[r] = round ? 1 : r + 1;
                    for (int i = 0; i < piece_len[r]; i++)
                        piece[n++] = tokens[8*r + at[r]++];
                }
                const dn_real *logits = dn_generator_feed(g, piece, piece_len, err);
                MUST(e, logits != NULL);
                for (int r = 0; r < 3 && logits; r++)
                    MUST(e, !memcmp(logits + r*c.vocab, whole + (8*r + at[r] - 1)*c.vocab,
                                    (size_t)c.vocab*sizeof *logits));
            }
            MUST(e, g && none(dn_generator_feed(g, piece, piece_len, err)));    /* row 2 is full */
            free_blocks();
        }
    return e;
}

/* The most ids a translation may have. */
static int ids_at_most(const dn_config *c, const int *enc, const int *enc_len)
{
    return enc ? imin(c->ctx, 2*enc_len[0] + 10) : c->ctx;
}

/* The largest logit each time, from dn_logits on ever longer sequences. */
static int greedy_by_hand(dn_model *m, const int *enc, const int *enc_len, int *out)
{
    const dn_config *c = dn_model_config(m);
    const int limit = ids_at_most(c, enc, enc_len);
    int dec[PLAIN_LEN] = { DN_BOS }, n = 1;
    for (;;) {
        const dn_batch b = { 1, enc, enc_len, dec, &n, dec };
        const dn_real *z = get_logits(m, &b) + (n - 1)*c->vocab;
        int best = DN_EOS;
        for (int v = 0; v < c->vocab; v++)
            best = z[v] > z[best] && v != DN_BOS && v != DN_MASK ? v : best;
        drop_last_block();
        if (best == DN_EOS)
            return n - 1;
        out[n - 1] = best;
        if (n == limit)
            return n;
        dec[n++] = best;
    }
}

static double t_greedy(void)
{
    enum { N = 5, CTX = 24 };
    double e = 0;
    int cut = 0;
    for (int arch = DN_DECODER; arch <= DN_ENC_DEC; arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = small_config(arch, norm);
            struct sample s;
            c.ctx = CTX;
            const dn_batch *b = fill_batch(&s, &c, N, norm);
            dn_model *m = make_model(&c, DN_INFER);
            int out[N*CTX], len[N], want[CTX];
            const size_t need = dn_generator_bytes(&c, N, err);
            dn_generator *g = dn_generator_init(m, N, get_block(need), need, err);
            fill_parameters(m);
            MUST(e, g && dn_translate(g, N, b->enc, b->enc_len, BEAM(1, 1),
                                      out, len, err) == DN_OK);
            const int *enc = b->enc;
            for (int r = 0; r < N; r++) {
                const int n = greedy_by_hand(m, enc, s.enc_len + r, want);
                worst(&e, len[r] != n || memcmp(out + CTX*r, want, (size_t)n*sizeof *want),
                      "source %d: %d ids for %d", r, len[r], n);
                cut += n < CTX && n == ids_at_most(&c, enc, s.enc_len + r);
                enc = enc ? enc + s.enc_len[r] : NULL;
            }
            free_blocks();
        }
    MUST(e, cut > 3);
    return e;
}

/* Log probability of a translation of the source, with its DN_EOS, by the plain model. */
static double plain_score(const dn_model *m, const int *enc, int n_enc, const int *ids, int n)
{
    int dec[4] = { DN_BOS }, label[4], len = n + 1;
    const dn_batch b = { 1, enc, &n_enc, dec, &len, label };
    dn_stats s;
    for (int i = 0; i < n; i++)
        label[i] = dec[i + 1] = ids[i];
    label[n] = DN_EOS;
    plain_loss(m, &b, &s);
    return -s.nll*s.tokens;
}

/* DN_EOS and three more ids, up to 2: of all 13 translations the best score/length^penalty. */
static double t_beam(void)
{
    dn_config c = small_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    double e = 0;
    c.vocab = DN_SPECIALS + 3;  c.ctx = 3;
    for (int seed = 0; seed < 60; seed++) {
        const double penalty = 0.5*(seed%5);
        const int enc[3] = { seed%4, seed/4%4, 3 }, n_enc = 1 + seed%3;
        double best = -INFINITY;
        int out[3], len = -1, want[2] = { 0 }, n_want = 0, ids[2];
        c.seed = seed;
        dn_model *m = make_model(&c, DN_INFER);
        const size_t need = dn_generator_bytes(&c, 40, err);
        dn_generator *g = dn_generator_init(m, 40, get_block(need), need, err);
        for (int code = 0; code < 16; code++)           /* two digits; DN_EOS ends */
            for (int n = 0; n < 3; n++) {
                ids[0] = code%4 ? DN_SPECIALS - 1 + code%4 : DN_EOS;
                ids[1] = code/4 ? DN_SPECIALS - 1 + code/4 : DN_EOS;
                if ((n > 0 && ids[0] == DN_EOS) || (n > 1 && ids[1] == DN_EOS))
                    continue;
                const double s = plain_score(m, enc, n_enc, ids, n)/pow(n + 1, penalty);
                if (s > best) {
                    best = s;
                    n_want = n;
                    memcpy(want, ids, sizeof want);
                }
            }
        MUST(e, g && dn_translate(g, 1, enc, &n_enc, BEAM(40, penalty),
                                  out, &len, err) == DN_OK);
        worst(&e, len != n_want || memcmp(out, want, (size_t)n_want*sizeof *out) != 0,
              "seed %d: %d ids, not %d", seed, len, n_want);
        free_blocks();
    }
    return e;
}

/* Beam search as fairseq does it: of the best 2*beam continuations, those that end count if among
 * the first `beam`, the others live on; it stops after `beam` ends or at the limit. */
enum { PLAIN_BEAM = 4 };
struct plain_hypothesis { double score; int ids[PLAIN_LEN], n; };

/* Those that ended, the best first, and at the limit the living behind them; returns how many. */
static int plain_beam(dn_model *m, const int *enc, const int *enc_len, int beam, double penalty,
                      struct plain_hypothesis *end)
{
    const dn_config *c = dn_model_config(m);
    const int limit = ids_at_most(c, enc, enc_len);
    static struct plain_hypothesis live[PLAIN_BEAM], next[2*PLAIN_BEAM + 1];
    int alive = 1, ended = 0;
    live[0] = (struct plain_hypothesis){ 0, { DN_BOS }, 1 };
    for (int t = 1; ended < beam && t <= limit; t++) {
        int found = 0;
        for (int h = 0; h < alive; h++) {
            const dn_batch b = { 1, enc, enc_len, live[h].ids, &live[h].n, live[h].ids };
            const dn_real *z = get_logits(m, &b) + (t - 1)*c->vocab;
            double sum = 0;
            for (int v = 0; v < c->vocab; v++)
                sum += exp((double)z[v]);
            for (int v = 0; v < c->vocab; v++) {
                struct plain_hypothesis x = live[h];
                int i = found;
                if (v == DN_BOS || v == DN_MASK)
                    continue;
                x.score += (double)z[v] - log(sum);
                x.ids[x.n++] = v;
                for (; i > 0 && next[i - 1].score < x.score; i--)
                    next[i] = next[i - 1];
                next[i] = x;
                found = imin(found + 1, 2*beam);
            }
            drop_last_block();
        }
        alive = 0;
        for (int k = 0; k < found && alive < beam; k++) {
            if (next[k].ids[t] != DN_EOS) {
                live[alive++] = next[k];
            } else if (k < beam && ended < beam) {
                int i = ended++;
                struct plain_hypothesis x = next[k];
                x.score /= pow(t, penalty);
                x.n--;
                for (; i > 0 && end[i - 1].score < x.score; i--)
                    end[i] = end[i - 1];
                end[i] = x;
            }
        }
        for (int i = 0; t == limit && i < alive && ended < beam; i++) {
            end[ended] = live[i];
            end[ended++].score /= pow(t, penalty);
        }
    }
    return ended;
}

static double t_beam_plain(void)
{
    enum { CTX = 8 };
    double e = 0;
    for (int i = 0; i < 640; i++) {
        dn_config c = small_config(i%2 ? DN_DECODER : DN_ENC_DEC, i/2%choices("norm"));
        struct sample s;
        const int beam = 1 + i/16%4;
        const double penalty = 0.5*(i%5) - 1;
        c.vocab = DN_SPECIALS + 2;
        c.seed = i;
        const dn_batch *b = fill_batch(&s, &c, 1, i);
        dn_model *m = make_model(&c, DN_INFER);
        if (i%15 == 2)                    /* all equally likely: the lower row and id come first */
            memset(dn_tensor_at(m, 0).value, 0, dn_param_count(m)*sizeof(dn_real));
        int out[CTX], len = -1;
        const size_t need = dn_generator_bytes(&c, beam, err);
        dn_generator *g = dn_generator_init(m, beam, get_block(need), need, err);
        struct plain_hypothesis want[PLAIN_BEAM];
        const int n = plain_beam(m, b->enc, b->enc_len, beam, penalty, want);
        MUST(e, g && dn_translate(g, 1, b->enc, b->enc_len, BEAM(beam, penalty),
                                  out, &len, err)
                     == DN_OK);
        MUST(e, !dn_hypothesis_at(g, 0, n).ids && !dn_hypothesis_at(g, 1, 0).ids);
        for (int k = 0; k < n; k++) {
            const dn_hypothesis h = dn_hypothesis_at(g, 0, k);
            const size_t bytes = (size_t)h.length*sizeof *h.ids;
            MUST(e, h.ids && h.length == want[k].n - 1 && !memcmp(h.ids, want[k].ids + 1, bytes));
            MUST(e, fabs(h.score - want[k].score) < 1e-5*(1 + fabs(h.score)));
            MUST(e, k > 0 || (len == h.length && !memcmp(out, h.ids, bytes)));
        }
        free_blocks();
    }
    return e;
}

/* By any beam; also by one of 14, when the first step has only 13 candidates. */
static double t_beam_rows(void)
{
    enum { N = 5, CTX = 8 };
    double e = 0;
    for (int norm = 0; norm < choices("norm"); norm++)
        for (int beam = 1; beam < 15; beam += beam < 3 ? 1 : 11) {
            const dn_config c = small_config(DN_ENC_DEC, norm);
            struct sample s;
            fill_batch(&s, &c, N, norm);
            dn_model *m = make_model(&c, DN_INFER);
            int out[N*CTX], len[N], alone[CTX], n;
            const size_t need = dn_generator_bytes(&c, N*beam, err);
            dn_generator *g = dn_generator_init(m, N*beam, get_block(need), need, err);
            dn_generator *one = dn_generator_init(m, beam, get_block(need), need, err);
            fill_parameters(m);
            MUST(e, g && dn_translate(g, N, s.enc, s.enc_len, BEAM(beam, 1),
                                      out, len, err) == DN_OK);
            const int *enc = s.enc;
            for (int r = 0; r < N; r++) {
                MUST(e, dn_translate(one, 1, enc, s.enc_len + r, BEAM(beam, 1),
                                     alone, &n, err) == DN_OK);
                worst(&e, len[r] != n || memcmp(out + CTX*r, alone, (size_t)n*sizeof *alone) != 0,
                      "source %d by a beam of %d", r, beam);
                for (int k = 0; k <= beam; k++) {
                    const dn_hypothesis a = dn_hypothesis_at(g, r, k);
                    const dn_hypothesis b = dn_hypothesis_at(one, 0, k);
                    MUST(e, a.length == b.length && a.score == b.score && !a.ids == !b.ids);
                    MUST(e, !a.ids || !memcmp(a.ids, b.ids, (size_t)a.length*sizeof *a.ids));
                }
                enc += s.enc_len[r];
            }
            free_blocks();
        }
    return e;
}

struct told { int calls, stop_at, left, wrong; };

static int told_of(void *user, int ids, int left)
{
    struct told *told = user;
    told->wrong |= ids != ++told->calls || left > told->left;
    told->left = left;
    return told->calls == told->stop_at;
}

/* Progress is told after each id until no source is left, changes nothing, and stops the search. */
static double t_progress(void)
{
    enum { N = 5, CTX = 8, BEAMS = 3 };
    const dn_config c = small_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    const size_t need = dn_generator_bytes(&c, N*BEAMS, err);
    struct sample s;
    int out[N*CTX], len[N], again[N*CTX] = { 0 }, again_len[N], ids[N*BEAMS], longest = 0;
    double e = 0;
    fill_batch(&s, &c, N, 0);
    dn_model *m = make_model(&c, DN_INFER);
    dn_generator *g = dn_generator_init(m, N*BEAMS, get_block(need), need, err);
    fill_parameters(m);
    MUST(e, g && dn_translate(g, N, s.enc, s.enc_len, BEAM(BEAMS, 1), out, len, err) == DN_OK);
    for (int k = 0; k < N*BEAMS; k++) {
        const dn_hypothesis h = dn_hypothesis_at(g, k/BEAMS, k%BEAMS);
        ids[k] = h.ids ? h.length : CTX;
    }
    for (int stop = 0; stop <= CTX && g; stop++) {
        struct told told = { 0, stop, N, 0 };
        dn_beam how = { .beam = BEAMS, .length_penalty = 1, .progress = told_of, .user = &told };
        err[0] = '\0';
        const dn_status status = dn_translate(g, N, s.enc, s.enc_len, &how, again, again_len, err);
        if (stop == 0)
            longest = told.calls;
        const int stopped = stop > 0 && stop <= longest;
        MUST(e, !told.wrong && told.calls == (stopped ? stop : longest));
        MUST(e, stopped ? status == DN_EIO && strlen(err) > 0 : status == DN_OK && !told.left);
        for (int r = 0; r < N && !stopped; r++)
            MUST(e, again_len[r] == len[r] && len[r] <= longest
                    && !memcmp(again + CTX*r, out + CTX*r, (size_t)len[r]*sizeof *out));
        for (int r = 0, at; r < N && stopped && stop < CTX; r++) {  /* those that had ended */
            at = 0;
            for (int k = 0; k < BEAMS; k++)
                if (ids[r*BEAMS + k] < stop)
                    MUST(e, dn_hypothesis_at(g, r, at++).length == ids[r*BEAMS + k]);
            MUST(e, !dn_hypothesis_at(g, r, at).ids);
        }
    }
    MUST(e, longest > 2 && dn_hypothesis_at(g, 0, 0).ids);
    MUST(e, dn_generator_start(g, 1, s.enc, s.enc_len, err) == DN_OK);
    MUST(e, !dn_hypothesis_at(g, 0, 0).ids);
    return e;
}

static double t_save_load(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            dn_config c = busy_config(arch, norm), read;
            struct sample s;
            const dn_batch *b = fill_batch(&s, &c, 4, 0);
            const size_t n = (size_t)(top_tokens(b)*c.vocab)*sizeof(dn_real);
            dn_model *m = make_model(&c, DN_TRAIN);
            train(m, 3, &e);
            MUST(e, save(m, &file_a) == DN_OK);
            dn_config_default(&read);
            MUST(e, load_config(&read, &file_a) == DN_OK);
            dn_model *t = make_model(&read, DN_TRAIN), *i = make_model(&read, DN_INFER);
            train(t, 1, &e);                            /* something to be overwritten */
            MUST(e, load(t, &file_a) == DN_OK && load(i, &file_a) == DN_OK);
            train(t, 1, &e);
            tensors_reverse(&file_a, &file_b);
            MUST(e, load(t, &file_b) == DN_OK);
            MUST(e, dn_step_count(t) == 3);
            MUST(e, same_parameters(m, t) && same_parameters(m, i));
            MUST(e, !memcmp(get_logits(m, b), get_logits(i, b), n));
            MUST(e, save(t, &file_b) == DN_OK);
            MUST(e, file_a.n == file_b.n && !memcmp(file_a.bytes, file_b.bytes, file_a.n));
            MUST(e, !file_a.overrun);
            free_blocks();
        }
    return e;
}

/* Settings come from the file; sizes must agree, but for the batch of an inference model; a file
 * without moments gives moments and a step of 0. */
static double t_load_over(void)
{
    const dn_config c = busy_config(DN_DECODER, 0);
    dn_config d = c;
    double e = 0;
    d.lr = 7e-3;  d.steps = 55;  d.dropout = 0.3;  d.batch_tokens *= 2;  d.parts = 4;
    dn_model *m = make_model(&c, DN_TRAIN), *infer = make_model(&d, DN_INFER);
    train(m, 3, &e);
    MUST(e, save(m, &file_a) == DN_OK && load(infer, &file_a) == DN_OK);
    MUST(e, dn_model_config(infer)->batch_tokens == d.batch_tokens);
    MUST(e, dn_model_config(infer)->parts == d.parts);
    MUST(e, dn_model_config(infer)->lr == c.lr && dn_model_config(infer)->steps == c.steps);
    MUST(e, refused(load(make_model(&d, DN_TRAIN), &file_a), DN_EINVAL));
    d.batch_tokens = c.batch_tokens;
    MUST(e, refused(load(make_model(&d, DN_TRAIN), &file_a), DN_EINVAL) && strstr(err, "parts"));
    d.parts = c.parts;
    dn_model *t = make_model(&d, DN_INFER), *fresh = make_model(&c, DN_TRAIN);
    MUST(e, load(t, &file_a) == DN_OK && save(t, &file_b) == DN_OK);
    MUST(e, load(m, &file_b) == DN_OK && load(fresh, &file_b) == DN_OK && dn_step_count(m) == 0);
    train(m, 2, &e);
    train(fresh, 2, &e);
    MUST(e, same_parameters(m, fresh));
    unsign(&file_b);
    while (header_replace(&file_b, "\"config.", "\"others.")) ;  /* another program's */
    d = c;
    d.parts = 4;
    MUST(e, load(make_model(&d, DN_TRAIN), &file_b) == DN_OK);
    MUST(e, header_replace(&file_b, "\"decoder.embed", "\"adam.m.decoder.embed"));
    MUST(e, refused(load(m, &file_b), DN_EFORMAT) && strstr(err, "lacks tensor"));
    return e;
}

/* A model that borrows its parameters computes the same, needs a smaller block, and never changes
 * them. */
static double t_borrow(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++)
        for (int norm = 0; norm < choices("norm"); norm++) {
            const dn_config c = busy_config(arch, norm);
            struct sample s;
            const dn_batch *b = fill_batch(&s, &c, 4, 0);
            dn_model *m = make_model(&c, DN_INFER);
            fill_parameters(m);
            const uint64_t was = hash_parameters(m);
            const size_t need = dn_model_bytes(&c, DN_BORROW, err);
            void *block = get_block(need);
            const dn_real *values = dn_tensor_at(m, 0).value;
            MUST(e, dn_model_bytes(&c, DN_INFER, err) - need
                     >= dn_param_count(m)*sizeof(dn_real) - 64);
            MUST(e, none(dn_model_init(&c, DN_BORROW, block, need, err)));
            MUST(e, none(dn_model_borrow(&c, values, block, need - 1, err)));
            MUST(e, none(dn_model_borrow(&c, NULL, block, need, err)));
            dn_model *w = dn_model_borrow(&c, values, block, need, err);
            MUST(e, w && same_parameters(m, w) && dn_tensor_at(w, 0).value == values);
            MUST(e, w && !memcmp(get_logits(m, b), get_logits(w, b),
                                 (size_t)(top_tokens(b)*c.vocab)*sizeof(dn_real)));
            MUST(e, save(w, &file_a) == DN_OK && load(w, &file_a) == DN_EINVAL);
            MUST(e, (dn_profile(w, b, err) == DN_EINVAL) == (norm == choice("norm", "admin")));
            MUST(e, hash_parameters(m) == was);
            free_blocks();
        }
    return e;
}

static double t_saved_config(void)
{
    int n;
    const dn_field *f = dn_fields(&n);
    dn_config c = busy_config(DN_DECODER, choice("norm", "pre-ln")), read;
    double e = 0;
    c.lr = 0.1/3;  c.eps = 1e-7;  c.beta2 = 0.9995;  c.seed = 12345;
    MUST(e, save(make_model(&c, DN_TRAIN), &file_a) == DN_OK);
    dn_config_default(&read);
    MUST(e, load_config(&read, &file_a) == DN_OK);
    for (int i = 0; i < n; i++) {
        char a[DN_NAME_MAX], b[DN_NAME_MAX];
        dn_config_get(&c, &f[i], a);
        dn_config_get(&read, &f[i], b);
        worst(&e, f[i].saved && strcmp(a, b), "%s %s became %s", f[i].name, a, b);
    }
    return e;
}

/* Four steps, save, load into another model, four steps: the file of eight steps, byte for byte. */
static double t_resume(void)
{
    double e = 0;
    start_work = 0;
    for (int i = 0; i < choices("arch")*choices("norm"); i++) {
        dn_config c = busy_config(i%choices("arch"), i/choices("arch"));
        c.parts = 1 << i%4;
        dn_model *whole = make_model(&c, DN_TRAIN), *half = make_model(&c, DN_TRAIN);
        c.threads = 3;
        c.desks = 2;
        c.memory = DN_RECOMPUTE;
        dn_model *rest = make_model(&c, DN_TRAIN);
        train(whole, 8, &e);
        train(half, 4, &e);
        MUST(e, save(half, &file_a) == DN_OK && load(rest, &file_a) == DN_OK);
        train(rest, 4, &e);
        MUST(e, dn_step_count(rest) == 8);
        MUST(e, save(whole, &file_a) == DN_OK && save(rest, &file_b) == DN_OK);
        MUST(e, file_a.n == file_b.n && !memcmp(file_a.bytes, file_b.bytes, file_a.n));
        free_blocks();
    }
    return e;
}

/* A number of so many bits, F of them its fraction. */
static double plain_number(uint64_t u, int bits, int F)
{
    const int E = bits - 1 - F, e = (int)(u >> F & ((1u << E) - 1));
    const double f = ldexp((double)(u & (((uint64_t)1 << F) - 1)), -F);
    const double v = ldexp(e > 0 ? 1 + f : f, (e > 0 ? e : 1) + 1 - (1 << (E - 1)));
    return u >> (bits - 1) ? -v : v;
}

/* Files of parameters alone, of each type; in 16 bits, every number there is. */
static double t_types(void)
{
    static const struct { const char *name; int bits, fraction; } types[] = {
        { "F64", 64, 52 }, { "F32", 32, 23 }, { "F16", 16, 10 }, { "BF16", 16, 7 } };
    static char text[1 << 14];
    const dn_config c = small_config(DN_DECODER, choice("norm", "deepnorm"));
    dn_config read;
    dn_model *m = make_model(&c, DN_INFER);
    double e = 0;
    for (uint64_t round = 0, n; round < 4*40; round++) {
        const int type = (int)(round%4), bits = types[type].bits, F = types[type].fraction;
        const uint64_t infinite = (uint64_t)(((uint64_t)1 << (bits - 1 - F)) - 1) << F;
        size_t end = 1, at = 0;
        text[0] = '{';
        for (int i = 0; i < dn_tensor_count(m); i++, at += n) {
            const dn_tensor t = dn_tensor_at(m, i);
            char cols[16];
            n = tensor_size(&t)*(size_t)bits/8;
            snprintf(cols, sizeof cols, ",%d", t.cols);
            end += (size_t)sprintf(text + end, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%d%s],"
                                   "\"data_offsets\":[%d,%d]}", i ? "," : "", t.name,
                                   types[type].name, t.rows, t.cols ? cols : "", (int)at,
                                   (int)(at + n));
        }
        text[end++] = '}';
        file_a.n = 8 + end;
        header_resize(&file_a, file_a.n);
        memcpy(file_a.bytes + 8, text, end);
        for (uint64_t k = 0; k < dn_param_count(m); k++) {
            const uint64_t high = dn_random(round, 1, (uint32_t)k);
            uint64_t u = (high << 32 | dn_random(round, 2, (uint32_t)k)) >> (64 - bits);
            if (bits == 16) u = (round/4*dn_param_count(m) + k) & 65535;
            if ((u & infinite) == infinite) u = 0;
            for (int i = 0; i < bits/8; i++)
                file_a.bytes[file_a.n++] = (unsigned char)(u >> 8*i);
        }
        const dn_status status = load(m, &file_a);
        if (bits > 8*(int)sizeof(dn_real)) {
            MUST(e, is_refused(status, DN_EFORMAT) && strstr(err, "is F64; this build reads F32"));
            continue;
        }
        MUST(e, status == DN_OK);
        MUST(e, load_config(&read, &file_a) == DN_EFORMAT && strstr(err, "no configuration"));
        const unsigned char *p = file_a.bytes + 8 + end;
        for (uint64_t k = 0; k < dn_param_count(m); k++) {
            uint64_t u = 0;
            for (int i = 0; i < bits/8; i++) u |= (uint64_t)*p++ << 8*i;
            const double got = (double)dn_tensor_at(m, 0).value[k];
            worst(&e, got != plain_number(u, bits, F), "%s %g", types[type].name, got);
        }
        for (int i = 0; i < bits/8; i++)
            file_a.bytes[8 + end + (size_t)i] = (unsigned char)(infinite >> 8*i);
        MUST(e, refused(load(m, &file_a), DN_EFORMAT) && strstr(err, "not finite"));
    }
    MUST(e, 40*dn_param_count(m) >= 65536);
    return e;
}

static void entry_seen(void *user, const dn_entry *e)
{
    double *sum = user;
    sum[0]++;
    sum[1] += e->bytes ? dn_entry_number(e, file_a.bytes + e->at + e->bytes) : 100*(double)e->dims;
    sum[2] += e->dims == 0 ? !strcmp(e->name, "??")
              : !strcmp(e->name, "a?b") && e->dims == 2 && e->shape[0] == 1 && e->shape[1] == 2;
}

/* A file as no program of ours writes it: escapes, another order of keys, a gap, other types. */
static double t_entries(void)
{
    static const char text[] =
        "{\"__metadata__\":{\"\\u00fc\":\"{\\\"q\\\"}\"},"
        "\"a\\\"b\":{\"data_offsets\":[8,12],\"shape\":[1,2],\"dtype\":\"BF16\"},"
        "\"\303\244\":{\"shape\":[],\"dtype\":\"I64\",\"data_offsets\":[0,8]}}";
    static const unsigned char data[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x41 };
    double sum[3] = { 0, 0, 0 }, e = 0;
    const dn_visit visit = { sum, entry_seen };
    const size_t n = sizeof text - 1;
    header_resize(&file_a, 8 + n);
    memcpy(file_a.bytes + 8, text, n);
    memcpy(file_a.bytes + 8 + n, data, sizeof data);
    file_a.n = 8 + n + sizeof data;
    dn_io io = io_of(&file_a);
    MUST(e, n < 256 && dn_entries(&io, &visit, err) == DN_OK);
    MUST(e, sum[0] == 2 && sum[1] == 10 && sum[2] == 2);
    io.size--;
    MUST(e, refused(dn_entries(&io, &visit, err), DN_EFORMAT) && strstr(err, "cut short"));
    io.size++;
    for (file_a.bytes[0] = 0; file_a.bytes[0] < n; file_a.bytes[0]++)
        MUST(e, refused(dn_entries(&io, &visit, err), DN_EFORMAT));
    MUST(e, header_replace(&file_a, "\"shape\":[]", "\"dtype\":\"I64\""));
    io = io_of(&file_a);
    MUST(e, refused(dn_entries(&io, &visit, err), DN_EFORMAT) && strstr(err, "lacks dtype, shape"));
    MUST(e, header_replace(&file_a, "[1,2]", "[3,6148914691236517206]"));    /* 2 modulo 2^63 */
    io = io_of(&file_a);
    MUST(e, refused(dn_entries(&io, &visit, err), DN_EFORMAT) && strstr(err, "too large"));
    return e;
}

static double t_notes(void)
{
    const dn_config c = small_config(DN_DECODER, 0);
    char text[32];
    size_t size = 0;
    double e = 0;
    MUST(e, save(make_model(&c, DN_INFER), &file_a) == DN_OK);
    dn_io io = io_of(&file_a);
    MUST(e, dn_load_note(&io, "tokenizer", NULL, &size, err) == DN_OK);
    MUST(e, size == sizeof "bpe1 259.");
    MUST(e, dn_load_note(&io, "tokenizer", text, &size, err) == DN_OK);
    MUST(e, !strcmp(text, "bpe1 259.") && size == sizeof "bpe1 259.");
    for (size_t small = 1; small < sizeof "bpe1 259."; small++) {
        memset(text, '#', sizeof text);
        size = small;
        dn_load_note(&io, "tokenizer", text, &size, err);
        MUST(e, size == sizeof "bpe1 259." && text[small] == '#' && !text[small - 1]);
    }
    size = sizeof text;
    MUST(e, dn_load_note(&io, "made by", text, &size, err) == DN_OK && !strcmp(text, "test.c"));
    size = sizeof text;
    MUST(e, dn_load_note(&io, "no such", text, &size, err) != DN_OK && strlen(err) > 0);
    return e;
}

/* Notes that could not be found again, or would hide the library's own entries. */
static double t_bad_notes(void)
{
    static const dn_note bad[] = {
        { "", "x" }, { "checksum", "x" }, { "format", "x" }, { "step", "1" }, { "config.dim", "2" },
        { "a\"b", "x" }, { "a", "\\" }, { "a", "x\ny" }, { "a", "\xc3\xa4" }, { "a", "\177" },
        { "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "x" },
    };
    const dn_note twice[2] = { { "a", "1" }, { "a", "2" } };
    const dn_config c = small_config(DN_DECODER, 0);
    const dn_model *m = make_model(&c, DN_INFER);
    const dn_io io = io_of(&file_a);
    double e = 0;
    file_a.n = 0;
    for (size_t i = 0; i < sizeof bad/sizeof *bad; i++)
        worst(&e, !refused(dn_save(m, &bad[i], 1, &io, err), DN_EINVAL), "%s: %s", bad[i].key,
              bad[i].text);
    MUST(e, refused(dn_save(m, twice, 2, &io, err), DN_EINVAL) && file_a.n == 0);
    MUST(e, dn_save(m, twice, 1, &io, err) == DN_OK);
    return e;
}

#ifdef DN_DOUBLE
static const uint64_t known_file[] = { 0x91c6c417e7940d0c };
#else
static const uint64_t known_file[] = { 0x481ff3c3b011ca5d, 0x21c3fc8816deb2cb };
#endif

/* Older and newer builds and other programs must read them. */
static double t_file_bytes(void)
{
    dn_config c = small_config(DN_DECODER, choice("norm", "deepnorm"));
    dn_model *m = make_model(&c, DN_TRAIN);
    uint64_t h = HASH_START;
    double e = 0;
    MUST(e, save(m, &file_a) == DN_OK);
    for (size_t i = 0; i < file_a.n; i++)
        h = hash_byte(h, file_a.bytes[i]);
    worst(&e, h != known_file[NARROW], "hash is %016llx", (unsigned long long)h);
    return e;
}

/* ---- E failures -------------------------------------------------------------------------- */

static dn_model *tiny_model(dn_config *c)
{
    *c = small_config(DN_DECODER, choice("norm", "deepnorm"));
    c->dec_layers = 1;  c->dim = 2;  c->heads = 1;  c->ffn = 3;  c->vocab = 5;  c->ctx = 3;
    c->batch_tokens = 6;
    return make_model(c, DN_TRAIN);
}

static double t_truncated(void)
{
    dn_config c, read;
    dn_model *m = tiny_model(&c);
    double e = 0;
    MUST(e, save(m, &file_a) == DN_OK);
    const size_t n = file_a.n;
    for (file_a.n = 0; file_a.n < n; file_a.n++) {
        MUST(e, refused(load_config(&read, &file_a), DN_EFORMAT));
        MUST(e, refused(load(m, &file_a), DN_EFORMAT));
        MUST(e, refused(load_note(&file_a), DN_EFORMAT));
    }
    file_a.bytes[file_a.n++] = 0;                       /* one byte too many */
    MUST(e, refused(load(m, &file_a), DN_EFORMAT));
    unsign(&file_a);
    MUST(e, refused(load(m, &file_a), DN_EFORMAT) && strstr(err, "fill"));
    MUST(e, !file_a.overrun);
    return e;
}

static const unsigned char wrong_bytes[] = { 0, ' ', '"', '0', '1', '9', '-', '{', '}', '\\', 255 };

/* A wrong byte may pass only where the file still says the same (in the word "checksum"). */
static double t_header_bytes(void)
{
    dn_config c, read;
    dn_model *m = tiny_model(&c);
    double e = 0;
    dn_config_default(&read);
    MUST(e, save(m, &file_a) == DN_OK);
    for (size_t i = 0; i < header_size(&file_a); i++) {
        const unsigned char was = file_a.bytes[i];
        for (size_t k = 0; k < sizeof wrong_bytes; k++) {
            file_a.bytes[i] = wrong_bytes[k];
            err[0] = '\0';
            dn_status status = load_config(&read, &file_a);
            MUST(e, status == DN_OK || is_refused(status, DN_EFORMAT));
            err[0] = '\0';
            status = load(m, &file_a);
            file_a.bytes[i] = was;
            if (status == DN_OK)
                status = save(m, &file_b);
            worst(&e, status == DN_OK ? memcmp(file_a.bytes, file_b.bytes, file_a.n) != 0
                                      : !is_refused(status, DN_EFORMAT), "byte %d as %d: %s",
                  (int)i, wrong_bytes[k], err);
        }
    }
    MUST(e, load(m, &file_a) == DN_OK && !file_a.overrun);
    memcpy(file_a.bytes + 37, "\",\"a\":\"", 7);        /* "checksum":"","a":"..." */
    MUST(e, refused(load(m, &file_a), DN_EFORMAT));
    return e;
}

/* A tiny model, saved without its checksum. */
static dn_model *unsigned_file(dn_config *c)
{
    dn_model *m = tiny_model(c);
    if (save(m, &file_a) != DN_OK)
        return NULL;
    unsign(&file_a);
    return m;
}

static double t_too_large(void)
{
    dn_config c, read;
    double e = 0;
    MUST(e, unsigned_file(&c) && load_config(&read, &file_a) == DN_OK && read.vocab == c.vocab);
    MUST(e, header_replace(&file_a, "\"config.vocab\":\"5\"", "\"config.vocab\":\"2000\""));
    MUST(e, load_config(&read, &file_a) == DN_EFORMAT && strstr(err, "too short"));
    MUST(e, header_replace(&file_a, "\"config.dim\"", "\"config.threads\":\"2\",\"config.dim\""));
    MUST(e, load_config(&read, &file_a) == DN_EFORMAT && strstr(err, "does not belong"));
    MUST(e, unsigned_file(&c) && header_replace(&file_a, "\"config.ctx\":\"3\"",
                                                "\"config.ctx\":\"2000\""));
    MUST(e, load_config(&read, &file_a) == DN_EFORMAT && strstr(err, "less than ctx 2000"));
    MUST(e, header_replace(&file_a, "\"config.batch-tokens\":\"6\",", ""));
    MUST(e, load_config(&read, &file_a) == DN_OK && read.batch_tokens == 2000);
    return e;
}

/* After __metadata__ each byte matters: names, types, shapes, offsets. */
static double t_header_fields(void)
{
    dn_config c;
    dn_model *m = unsigned_file(&c);
    size_t i = 8, n = header_size(&file_a);
    double e = 0;
    MUST(e, m && load(m, &file_a) == DN_OK);
    while (i < n && file_a.bytes[i] != '}')
        i++;
    for (; i < n; i++) {
        const unsigned char was = file_a.bytes[i];
        for (size_t k = 0; k < sizeof wrong_bytes; k++) {
            file_a.bytes[i] = wrong_bytes[k];
            if (wrong_bytes[k] != was && !refused(load(m, &file_a), DN_EFORMAT))
                worst(&e, 1, "byte %d as %d: %s", (int)i, wrong_bytes[k], err);
        }
        file_a.bytes[i] = was;
    }
    MUST(e, load(m, &file_a) == DN_OK && !file_a.overrun);
    return e;
}

static double t_header_hostile(void)
{
    static const char *const wrong[][2] = {
        { "\"shape\":[5,2]", "\"shape\":[2,5]" },     { "\"shape\":[5,2]", "\"shape\":[5]" },
        { "\"shape\":[5,2]", "\"shape\":[10]" },      { "\"shape\":[5,2]", "\"shape\":[]" },
        { "\"shape\":[5,2]", "\"shape\":[5,2,1]" },   { "\"shape\":[5,2]", "\"shape\":[-5,2]" },
        { "\"shape\":[5,2]", "\"shape\":[4294967296,4294967296]" },
        { "\"shape\":[5,2]", "\"shape\":[9223372036854775808,2]" },
        { "\"shape\":[5,2]", "\"shape\":[99999999999999999999999,2]" },
        { "\"shape\":[5,2]", "\"shape\":[18446744073709551621,2]" },       /* 2^64 + 5 */
        { "\"shape\":[5,2]", "\"shape\":[5.0,2]" },   { "\"dtype\":\"F", "\"dtype\":\"I" },
        { "\"decoder.embed.weight\"", "\"decoder.0.ffn.w2.bias\"" },
        { "\"decoder.embed.weight\"", "\"\"" },       { "{\"__metadata__\":{", "{" },
        { "\"__metadata__\":{", "\"__metadata__\":{},\"__metadata__\":{" },
        { "\"config.dim\":\"2\"", "\"config.dim\":\"3\"" },
        { "\"config.dim\":\"2\"", "\"config.dim\":\"-2\"" },
        { "\"config.dim\":\"2\"", "\"config.dim\":\"9999999999999999999\"" },
        { "\"config.dim\":\"2\"", "\"config.dim\":2" }, { "\"config.dim\"", "\"config.\"" },
        { "\"config.dim\"", "\"config.threads\":\"2\",\"config.dim\"" },
        { "\"config.norm\":\"deepnorm\"", "\"config.norm\":\"deepnor\"" },
        { "\"config.lr\":\"", "\"config.lr\":\"nan" }, { "\"step\":\"0\"", "\"step\":\"-1\"" },
        { "\"step\":\"0\"", "\"step\":\"99999999999999999999\"" },
        { "\"step\":\"0\"", "\"step\":\"0\\u0030\"" }, { "\"step\":\"0\"", "\"step\":{}" },
        { "\"step\":\"0\"", "\"step\":\"\"" },        { "\"step\":\"0\"", "\"step\":\"07\"" },
        { "\"shape\":[5,2]", "\"shape\":[05,2]" },
        { "\"config.dim\":\"2\"", "\"config.dim\":\"\"" }, { "]}}", "]}}x" },
        { "\"config.dim\":\"2\"", "\"config.dim\":\"000000000000000000000000000000000000000000000"
                                    "000000000000000002x\"" },                /* 63 read well */
        { "\"step\":\"0\"", "\"step\":\"0\",\"note\":\"\\u00e4\"" },
        { "\"step\":\"0\"", "\"step\":\"0\",\"note\":\"\303\244\"" },
        { "\"step\":\"0\"", "\"step\":\"0\",\"note\":\"\1\"" }, { "]}}", "]},\"cut off" },
    };
    dn_config c;
    double e = 0;
    for (size_t i = 0; i < sizeof wrong/sizeof *wrong; i++) {
        dn_model *m = unsigned_file(&c);
        MUST(e, m && header_replace(&file_a, wrong[i][0], wrong[i][1]));
        err[0] = '\0';
        const dn_status status = load(m, &file_a);
        worst(&e, !is_refused(status, DN_EFORMAT) && !is_refused(status, DN_EINVAL),
              "%s for %s: %s", wrong[i][1], wrong[i][0], err);
        free_blocks();
    }
    return e;
}

/* Sentences that say what another program has done to a file. */
static double t_header_sentences(void)
{
    static const struct { const char *from, *to, *says; } wrong[] = {
        { "\"dtype\":\"F", "\"dtype\":\"BF", "is BF" },
        { ",\"config.dim\":\"2\"", "", "another shape in the checkpoint; the file lacks config.d" },
    };
    const char *const build = sizeof(dn_real) == 8 ? "build reads F64" : "build reads F32";
    dn_config c;
    double e = 0;
    for (size_t i = 0; i < sizeof wrong/sizeof *wrong; i++) {
        MUST(e, unsigned_file(&c) && header_replace(&file_a, wrong[i].from, wrong[i].to));
        c.dim += 2;                                     /* as if from the defaults */
        dn_model *other = make_model(&c, DN_TRAIN);
        worst(&e, !refused(load(other, &file_a), DN_EFORMAT) || !strstr(err, wrong[i].says)
                  || (i == 0 && !strstr(err, build)), "%s", err);
        free_blocks();
    }
    dn_model *m = tiny_model(&c);
    MUST(e, m && save(m, &file_a) == DN_OK);
    file_a.bytes[file_a.n - 1] ^= 1;
    MUST(e, refused(load(m, &file_a), DN_EFORMAT) && strstr(err, "left the key 'checksum' out"));
    m = unsigned_file(&c);
    MUST(e, m && header_replace(&file_a, "\"decoder.0.self_attn.k.weight\"",
                                "\"decoder.0.self_attn.q.weight\""));
    MUST(e, refused(load(m, &file_a), DN_EFORMAT) && strstr(err, "is there twice"));
    return e;
}

/* One value that is not finite, in each tensor and each moment. */
static double t_not_finite(void)
{
    dn_config c;
    dn_model *m = unsigned_file(&c);
    const size_t data = header_size(&file_a), word = sizeof(dn_real);
    unsigned char bytes[8] = { 0, 0, 0x80, 0x7F };      /* infinity */
    double e = 0;
    if (word == 8) memcpy(bytes, "\0\0\0\0\0\0\xF8\xFF", 8);        /* NaN */
    for (size_t part = 0, at = data; part < 3; part++)
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i);
            unsigned char was[8];
            at += tensor_size(&t)*word;
            memcpy(was, file_a.bytes + at - word, word);
            memcpy(file_a.bytes + at - word, bytes, word);
            worst(&e, !refused(load(m, &file_a), DN_EFORMAT) || !strstr(err, t.name)
                      || !strstr(err, "is not finite"), "%s: %s", t.name, err);
            memcpy(file_a.bytes + at - word, was, word);
        }
    MUST(e, load(m, &file_a) == DN_OK);
    memcpy(bytes, word == 8 ? "\0\0\0\0\0\0\xF0\xBF" : "\0\0\x80\xBF", word);      /* -1 */
    memcpy(file_a.bytes + file_a.n - word, bytes, word);
    MUST(e, refused(load(m, &file_a), DN_EFORMAT) && strstr(err, "below 0"));
    return e;
}

/* A header of more bytes than the reference reader takes, here for a long note. */
static double t_header_limit(void)
{
    const size_t most = 100000000;
    dn_config c;
    dn_model *m = tiny_model(&c);
    char *text = get_block(most + 1);
    const dn_io io = io_of(&file_a);
    const dn_note note = { "long", text };
    double e = 0;
    memset(text, 'x', most);
    text[most] = 0;
    file_a.n = 0;
    MUST(e, refused(dn_save(m, &note, 1, &io, err), DN_EINVAL) && strstr(err, "readers"));
    MUST(e, file_a.n == 0);
    return e;
}

/* Each tensor's place moved by one number either way: into its neighbour, or out of the file. */
static double t_header_offsets(void)
{
    static const char word[] = "\"data_offsets\":[";
    dn_config c;
    dn_model *m = unsigned_file(&c);
    int moved = 0;
    double e = 0;
    for (size_t i = 8; i + 64 < header_size(&file_a); i++)
        for (int way = -1; way <= 1 && !memcmp(file_a.bytes + i, word, sizeof word - 1); way += 2) {
            char *text = (char *)file_a.bytes + i + sizeof word - 1, *middle, *end, put[64];
            const long by = way*(long)sizeof(dn_real);
            const long first = strtol(text, &middle, 10), last = strtol(middle + 1, &end, 10);
            const int n = snprintf(put, sizeof put, "%ld,%ld", first + by, last + by);
            if (first + by < 0 || n != end - text)
                continue;                               /* another width: the next one will do */
            memcpy(text, put, (size_t)n);
            worst(&e, !refused(load(m, &file_a), DN_EFORMAT), "offsets %s: %s", put, err);
            snprintf(put, sizeof put, "%ld,%ld", first, last);
            memcpy(text, put, (size_t)n);
            moved++;
        }
    MUST(e, moved > 60 && load(m, &file_a) == DN_OK && !file_a.overrun);
    return e;
}

/* One to four bytes of an unsigned header replaced at random: the file is refused with a sentence,
 * or the model that is loaded works. */
static double t_fuzz(void)
{
    dn_config c;
    dn_model *m = unsigned_file(&c);
    const uint32_t n = (uint32_t)header_size(&file_a);
    unsigned char *good = get_block(n);
    struct sample s;
    dn_stats st;
    int loaded = 0;
    double e = 0;
    memcpy(good, file_a.bytes, n);
    for (uint64_t i = 0; i < 20000; i++) {
        dn_config read;
        dn_config_default(&read);
        memcpy(file_a.bytes, good, n);
        for (uint32_t k = 0; k <= i%4; k++) {
            const uint32_t u = dn_random(1, i, 2*k);
            file_a.bytes[dn_random(1, i, 2*k + 1)%n] = (unsigned char)(u & 256 ? u : good[u%n]);
        }
        err[0] = '\0';
        const dn_status status = load_config(&read, &file_a);
        MUST(e, status == DN_OK ? dn_config_check(&read, err) == DN_OK
                                : is_refused(status, DN_EFORMAT));
        err[0] = '\0';
        if (load(m, &file_a) == DN_OK) {
            const dn_batch *b = fill_batch(&s, dn_model_config(m), 1, 0);
            const dn_status step = dn_evaluate(m, b, &st, err);
            MUST(e, step == DN_OK || step == DN_EDIVERGED);
            loaded++;
        } else {
            MUST(e, strlen(err) > 8);
        }
    }
    MUST(e, loaded > 0 && loaded < 10000 && !file_a.overrun);
    return e;
}

static double t_data_bytes(void)
{
    dn_config c;
    dn_model *m = tiny_model(&c);
    double e = 0;
    MUST(e, save(m, &file_a) == DN_OK);
    for (size_t i = header_size(&file_a); i < file_a.n; i++) {
        const unsigned char bit = (unsigned char)(1u << i%8);
        file_a.bytes[i] ^= bit;
        MUST(e, refused(load(m, &file_a), DN_EFORMAT));
        file_a.bytes[i] ^= bit;
    }
    MUST(e, load(m, &file_a) == DN_OK);
    return e;
}

static double t_other_model(void)
{
    static const char *const sizes[] = { "dec-layers", "dim", "ffn", "vocab", "ctx" };
    dn_config c;
    double e = 0;
    tiny_model(&c);
    c.positions = DN_LEARNED;
    dn_model *m = make_model(&c, DN_TRAIN);
    MUST(e, save(m, &file_a) == DN_OK && load(m, &file_a) == DN_OK);
    for (size_t i = 0; i < sizeof sizes/sizeof *sizes; i++) {
        dn_config other = c;
        *int_field(&other, field_named(sizes[i])) *= 2;
        err[0] = '\0';
        const dn_status status = load(make_model(&other, DN_TRAIN), &file_a);
        MUST(e, status != DN_OK && strlen(err) > 8);
    }
    return e;
}

static double t_callbacks(void)
{
    dn_config c, read;
    dn_model *m = tiny_model(&c);
    double e = 0;
    int writes, reads;
    MUST(e, save(m, &file_a) == DN_OK);
    writes = file_a.calls;
    MUST(e, load(m, &file_a) == DN_OK);
    reads = file_a.calls;
    MUST(e, writes > 1 && reads > 1);
    for (int i = 1; i <= reads; i++) {
        file_a.fail_at = i;
        MUST(e, refused(load(m, &file_a), DN_EIO));
        MUST(e, load_config(&read, &file_a) == (file_a.calls >= i ? DN_EIO : DN_OK));
        MUST(e, load_note(&file_a) == (file_a.calls >= i ? DN_EIO : DN_OK));
    }
    for (int i = 1; i <= writes; i++) {
        file_b.n = 0;
        file_b.fail_at = i;
        const dn_io io = io_of(&file_b);
        MUST(e, refused(dn_save(m, notes, 2, &io, err), DN_EIO));
    }
    return e;
}

static dn_model *lay_out(const dn_config *c, int purpose, const dn_real *values, void *block,
                         size_t size)
{
    return purpose == DN_BORROW ? dn_model_borrow(c, values, block, size, err)
                                : dn_model_init(c, (enum dn_purpose)purpose, block, size, err);
}

static double t_arena(void)
{
    struct arena a = { NULL, 0, 0 };
    double e = 0;
    for (size_t n = 1; n <= ALIGN; n++)
        take(&a, n, 1, 1, 1);
    MUST(e, a.used == ALIGN*ALIGN && !a.overflow);      /* no more padding than it takes */
    for (size_t left = 0; left < 4*ALIGN; left++) {     /* where half of all addresses end */
        a.used = SIZE_MAX/2 - left;
        a.overflow = 0;
        take(&a, 1, 2*ALIGN, 1, 1);
        MUST(e, a.overflow == (left < 3*ALIGN - 1));
    }
    for (int norm = 1; norm < choices("norm"); norm++) {
        dn_config c = busy_config(DN_ENC_DEC, norm);
        c.enc_layers = 3;
        const size_t need = dn_model_bytes(&c, DN_TRAIN, err);
        unsigned char *block = get_block(need + 64);
        memset(block, 0x5a, need + 64);
        train(dn_model_init(&c, DN_TRAIN, block, need, err), 1, &e);
        for (size_t i = need; i < need + 64; i++)
            MUST(e, block[i] == 0x5a);
        free_blocks();
    }
    for (int purpose = DN_INFER; purpose <= DN_TRAIN; purpose++) {
        const dn_config c = busy_config(DN_ENC_DEC, 0);
        const size_t need = dn_model_bytes(&c, (enum dn_purpose)purpose, err);
        const dn_real *values = dn_tensor_at(make_model(&c, DN_INFER), 0).value;
        unsigned char *block = get_block(need + 64);
        for (size_t n = 0; n < need; n += n < 300 || n + 300 > need ? 1 : need/500)
            MUST(e, none(lay_out(&c, purpose, values, block, n)));
        MUST(e, none(lay_out(&c, purpose, values, NULL, need)));
        for (size_t shift = 0; shift < 64; shift++)     /* at any alignment, and not beyond */
            if (shift%7 < 2) {
                memset(block, 0x5a, need + 64);
                dn_model *m = lay_out(&c, purpose, values, block + shift, need);
                MUST(e, m != NULL);
                if (m && purpose == DN_TRAIN)
                    train(m, 1, &e);
                for (size_t i = 0; i < 64; i++)
                    MUST(e, block[i < shift ? i : need + i] == 0x5a);
            }
        free_blocks();
    }
    return e;
}

static double t_generator_arena(void)
{
    const dn_config c = small_config(DN_ENC_DEC, 0), enc = small_config(DN_ENCODER, 0);
    dn_model *m = make_model(&c, DN_INFER);
    const size_t need = dn_generator_bytes(&c, 3, err);
    void *room = get_block(need);
    double e = 0;
    for (size_t n = 0; n < need; n += n < 300 || n + 300 > need ? 1 : need/500)
        MUST(e, none(dn_generator_init(m, 3, room, n, err)));
    MUST(e, need > 0 && none(dn_generator_init(m, 3, NULL, need, err)));
    MUST(e, dn_generator_init(m, 3, room, need, err));
    for (int norm = 0; norm < choices("norm"); norm++) {    /* as full as can be */
        const dn_config d = small_config(DN_ENC_DEC, norm);
        const int len[3] = { 8, 8, 8 }, id[24] = { 3, 4, 5 };
        const size_t size = dn_generator_bytes(&d, 3, err);
        unsigned char *block = memset(get_block(size + 64), 0x5a, size + 64);
        dn_generator *g = dn_generator_init(make_model(&d, DN_INFER), 3, block, size, err);
        int out[24], out_len[3];
        MUST(e, dn_generator_start(g, 3, id, len, err) == DN_OK
                && dn_generator_feed(g, id, len, err));
        MUST(e, dn_translate(g, 1, id, len, BEAM(3, 1), out, out_len, err) == DN_OK);
        for (int i = 0; i < 64; i++)
            worst(&e, block[size + (size_t)i] != 0x5a, "%s: byte %d behind the block",
                  name_of("norm", norm), i);
    }
    MUST(e, none(dn_generator_bytes(&enc, 3, err)));
    MUST(e, none(dn_generator_bytes(&c, 0, err)));
    MUST(e, none(dn_generator_bytes(&c, (1 << 29)/c.ctx + 1, err)) && strstr(err, "at once"));
    MUST(e, none(dn_generator_bytes(&c, -1, err)));
    return e;
}

/* The fewest bytes a model of these sizes can need; in double, which does not wrap around. */
static double least_bytes(const dn_config *c, int purpose)
{
    const double D = c->dim, F = ffn_width(c), bytes = sizeof(dn_real);
    double scalars = c->vocab*D, stream = 0;
    for (int s = ENC; s <= DEC; s++) {
        if (!has_stack(c, s))
            continue;
        const double maps = (4 + 4*(s == DEC && has_stack(c, ENC)))*D*D + 2*D*F;
        scalars += layers_of(c, s)*maps;
        stream += (double)plain_depth(c, s)*c->batch_tokens*D;
    }
    return bytes*(purpose == DN_TRAIN ? 4*scalars + stream : purpose == DN_INFER ? scalars : 0);
}

enum { SIZES_RUN = 1 << 22 };             /* bytes of a model small enough to run */

/* A step or an evaluation, and a translation, with ids from both ends of the vocabulary. */
static void run_sizes(const dn_config *c, int purpose, double *e)
{
    enum { LONGEST = 200 };
    int id[LONGEST + 1], label[LONGEST + 1], len[2] = { imin(c->ctx, LONGEST), 1 }, out_len;
    const dn_batch b = { 1 + (c->batch_tokens > len[0]), id, len, id, len, label };
    dn_model *m = make_model(c, (enum dn_purpose)purpose);
    dn_stats st = { 0 };
    for (int i = 0; i <= LONGEST; i++) {
        id[i] = i%2 ? i%c->vocab : c->vocab - 1;
        label[i] = i%3 ? c->vocab - 1 : 0;
    }
    MUST(*e, (purpose == DN_TRAIN ? dn_train_step(m, &b, 1, &st, err)
                                  : dn_evaluate(m, &b, &st, err)) == DN_OK && st.loss > 0);
    if (purpose == DN_TRAIN || !has_stack(c, DEC))
        return;
    const size_t need = dn_generator_bytes(c, 2, err);
    if (need == 0 || need > SIZES_RUN)
        return;
    dn_generator *g = dn_generator_init(m, 2, get_block(need), need, err);
    int *out = get_block((size_t)c->ctx*sizeof *out);
    len[0] = imin(c->ctx, 5);
    MUST(*e, dn_translate(g, 1, id, len, BEAM(2, 1), out, &out_len, err) == DN_OK);
}

/* Each pair of sizes, at its ends and between: refused with a sentence, or as large as it must be;
 * up to SIZES_RUN bytes, it also runs. */
static double t_sizes(void)
{
    static const char *const name[] = { "enc-layers", "dec-layers", "dim", "heads", "ffn", "vocab",
                                        "ctx", "batch-tokens", "threads" };
    enum { NAMES = (int)(sizeof name/sizeof *name), VALUES = 5 };
    int ran = 0;
    double e = 0;
    for (int k = 0; k < NAMES*NAMES*VALUES*VALUES; k++) {
        const dn_field *f = field_named(name[k%NAMES]), *g = field_named(name[k/NAMES%NAMES]);
        const int pair[2] = { k/NAMES/NAMES%VALUES, k/NAMES/NAMES/VALUES };
        dn_config c = small_config(k/NAMES/NAMES%choices("arch"), k%choices("norm"));
        if (f >= g)
            continue;
        c.heads = 1;
        c.batch_tokens = 1000;
        c.positions = k%4 ? DN_LEARNED : DN_SINUSOIDAL;
        c.memory = k%5 ? DN_KEEP : DN_RECOMPUTE;
        for (int i = 0; i < 2; i++) {
            const dn_field *h = i ? g : f;
            const int values[VALUES] = { (int)h->low, (int)h->low + 1, 7, 1000, (int)h->high };
            *int_field(&c, h) = !strstr(h->name, "layers") ? values[pair[i]]
                                : imin(values[pair[i]], 2000);
        }
        const int good = dn_config_check(&c, err) == DN_OK;
        for (int purpose = DN_INFER; purpose <= DN_TRAIN; purpose++) {
            err[0] = '\0';
            const size_t need = dn_model_bytes(&c, (enum dn_purpose)purpose, err);
            worst(&e, need ? !good || (double)need < least_bytes(&c, purpose)
                           : strlen(err) < 8 || (good && sizeof need == 8),
                  "%s and %s, values %d and %d: %s", f->name, g->name, pair[0], pair[1], err);
            if (need == 0 || need > SIZES_RUN || c.threads > 8 || purpose == DN_BORROW)
                continue;
            run_sizes(&c, purpose, &e);
            free_blocks();
            ran++;
        }
    }
    MUST(e, ran > 100);
    return e;
}

/* Each field just outside its range, by dn_config_check and by dn_config_set. */
static double t_config_range(void)
{
    int n;
    const dn_field *f = dn_fields(&n);
    double e = 0;
    for (int i = 0; i < n; i++)
        for (int side = 0; side < 2; side++) {
            dn_config c = small_config(DN_ENC_DEC, 0);
            const double limit = side ? f[i].high : f[i].low;
            const double beyond = limit + (side ? 1 : -1)*(f[i].kind == DN_FLOAT
                                                           ? fabs(limit)*1e-9 + 1e-30 : 1);
            char text[64];
            snprintf(text, sizeof text, f[i].kind == DN_FLOAT ? "%.17g" : "%.0f", beyond);
            err[0] = '\0';
            worst(&e, dn_config_set(&c, f[i].name, text, err) != DN_EINVAL
                      || !strstr(err, f[i].name), "set %s to %s: %s", f[i].name, text, err);
            if (f[i].kind != DN_FLOAT && fabs(beyond) > INT_MAX)
                continue;
            if (f[i].kind == DN_FLOAT)
                *float_field(&c, &f[i]) = beyond;
            else
                *int_field(&c, &f[i]) = (int)beyond;
            err[0] = '\0';
            worst(&e, dn_config_check(&c, err) != DN_EINVAL || !strstr(err, f[i].name)
                      || (f[i].kind != DN_FLOAT && !ends_with(err, text)),
                  "%s is %s: %s", f[i].name, text, err);
        }
    return e;
}

static double t_config_text(void)
{
    static const char *const wrong[] = { "", " ", "x", "1x", "--1", "1 1", "1e999", "nan", "inf",
                                         "-", ".", "1e", "0x1", "99999999999999999999" };
    int n;
    const dn_field *f = dn_fields(&n);
    dn_config c = small_config(DN_ENC_DEC, 0), before = c;
    double e = 0;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof wrong/sizeof *wrong; k++) {
            if (!refused(dn_config_set(&c, f[i].name, wrong[k], err), DN_EINVAL))
                worst(&e, 1, "%s accepts \"%s\"", f[i].name, wrong[k]);
        }
    MUST(e, !memcmp(&c, &before, sizeof c));
    MUST(e, dn_config_set(&c, "batch_tokens", "77", err) == DN_OK && c.batch_tokens == 77);
    MUST(e, refused(dn_config_set(&c, "batch_tokens_", "1", err), DN_EINVAL));
    MUST(e, refused(dn_config_set(&c, "no-such-field", "1", err), DN_EINVAL));
    MUST(e, refused(dn_config_set(&c, "", "1", err), DN_EINVAL));
    return e;
}

/* Values from end to end come back to 15 digits; a second time, exactly. */
static double t_config_round_trip(void)
{
    int n;
    const dn_field *f = dn_fields(&n);
    double e = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 16; k++) {
            const double x = f[i].low + (f[i].high - f[i].low)*pow(k/15.0, 3)/(k == 7 ? 1e9 : 1);
            dn_config a, b;
            char text[DN_NAME_MAX];
            memset(&a, 0, sizeof a);
            memset(&b, 0, sizeof b);
            dn_config_default(&a);
            dn_config_default(&b);
            if (f[i].kind == DN_FLOAT)
                *float_field(&a, &f[i]) = x;
            else
                *int_field(&a, &f[i]) = (int)x;
            dn_config_get(&a, &f[i], text);
            MUST(e, dn_config_set(&a, f[i].name, text, err) == DN_OK);
            if (f[i].kind == DN_FLOAT)
                worst(&e, !(fabs(*float_field(&a, &f[i]) - x) <= 1e-14*fabs(x)), "%s = %s",
                      f[i].name, text);
            dn_config_get(&a, &f[i], text);
            worst(&e, dn_config_set(&b, f[i].name, text, err) != DN_OK
                      || memcmp(&a, &b, sizeof a), "%s = %s: %s", f[i].name, text, err);
        }
    return e;
}

static double t_config_plain(void)
{
    static const char *const plain[] = { "0", "1", "100", "12.25", "0.1", "0.98", "0.0004", "1e-7",
                                         "15e-10", "123456789e-30", "123e-37", "1e-37" };
    dn_config c = small_config(DN_ENC_DEC, 0);
    char text[DN_NAME_MAX];
    double e = 0;
    for (size_t k = 0; k < sizeof plain/sizeof *plain; k++) {
        MUST(e, dn_config_set(&c, "lr", plain[k], err) == DN_OK);
        dn_config_get(&c, field_named("lr"), text);
        worst(&e, strcmp(text, plain[k]) != 0, "%s becomes %s", plain[k], text);
    }
    c.lr = 0.30000000000000004;           /* of 17 digits, 15 are kept, and no zero at their end */
    dn_config_get(&c, field_named("lr"), text);
    worst(&e, strcmp(text, "0.3") != 0, "0.3 becomes %s", text);
    MUST(e, dn_config_set(&c, "lr", "0.00070000000000000006", err) == DN_OK && c.lr == 7e-4);
    MUST(e, refused(dn_config_set(&c, "steps", "12345678901234567890", err), DN_EINVAL));
    return e;
}

static double t_config_check(void)
{
    dn_config c;
    double e = 0;
    memset(&c, 0, sizeof c);
    MUST(e, refused(dn_config_check(&c, err), DN_EINVAL));
    dn_config_default(&c);
    MUST(e, dn_config_check(&c, err) == DN_OK);
    c.heads = 7;
    c.dim = 512;
    MUST(e, refused(dn_config_check(&c, err), DN_EINVAL));
    c.heads = 1;
    c.dim = 7;                            /* sines without their cosines */
    MUST(e, refused(dn_config_check(&c, err), DN_EINVAL) && strstr(err, "odd"));
    c.dim = 8;
    MUST(e, dn_config_check(&c, err) == DN_OK);
    for (int arch = 0; arch < choices("arch"); arch++) {         /* of a stack that is not there */
        dn_config d = small_config(arch, 0);
        d.enc_layers = arch == DN_DECODER ? -7 : 2;
        d.dec_layers = arch == DN_ENCODER ? 1 << 30 : 2;
        MUST(e, dn_config_check(&d, err) == DN_OK);
        dn_model *m = make_model(&d, DN_TRAIN);
        train(m, 1, &e);
        MUST(e, save(m, &file_a) == DN_OK && load(make_model(&d, DN_TRAIN), &file_a) == DN_OK);
        if (arch == DN_DECODER) d.enc_layers = 3;
        if (arch == DN_ENCODER) d.dec_layers = 3;
        MUST(e, load(make_model(&d, DN_TRAIN), &file_a) == DN_OK);
        MUST(e, dn_model_reconfigure(m, &d, err) == DN_OK);
        d.enc_layers = d.dec_layers = 0;
        MUST(e, refused(dn_config_check(&d, err), DN_EINVAL) && strstr(err, "layers"));
    }
    c.warmup_init = 2*c.lr;
    MUST(e, refused(dn_config_check(&c, err), DN_EINVAL) && strstr(err, "warmup-init"));
    return e;
}

/* What the paper tunes may change, and nothing else. */
static double t_reconfigure(void)
{
    const dn_config c = small_config(DN_ENC_DEC, 0);
    dn_model *m = make_model(&c, DN_TRAIN);
    double e = 0;
    int n;
    for (const dn_field *f = dn_fields(&n), *end = f + n; f < end; f++) {
        dn_config d = c;
        char want[DN_NAME_MAX], got[DN_NAME_MAX];
        double *x = float_field(&d, f);
        if (f->kind == DN_FLOAT)
            *x = *x > 0 ? *x/2 : f->high/1e3;
        else
            *int_field(&d, f) = f->kind == DN_INT ? 2**int_field(&d, f) : !*int_field(&d, f);
        const int may = f->kind == DN_FLOAT || strstr(" warmup schedule steps ", f->name);
        err[0] = '\0';
        const dn_status status = dn_model_reconfigure(m, &d, err);
        dn_config_get(&d, f, want);
        dn_config_get(dn_model_config(m), f, got);
        worst(&e, may ? status != DN_OK || strcmp(want, got)
                      : !is_refused(status, DN_EINVAL) || !strstr(err, f->name)
                        || !strcmp(want, got),
              "%s: %s %s", f->name, got, err);
        MUST(e, dn_model_reconfigure(m, &c, err) == DN_OK);
    }
    dn_config d = c;
    d.parts = 0;                          /* of so few tokens: one */
    MUST(e, dn_model_reconfigure(m, &d, err) == DN_OK && dn_model_config(m)->parts == 1);
    d.lr = -1;
    MUST(e, refused(dn_model_reconfigure(m, &d, err), DN_EINVAL));
    return e;
}

/* Whatever reads a bad batch refuses it and changes nothing. */
static void must_refuse(double *e, dn_model *m, const dn_batch *b, const char *what)
{
    const uint64_t before = hash_parameters(m);
    dn_real logits[64*16];
    dn_stats s;
    worst(e, !refused(dn_train_step(m, b, 1, &s, err), DN_EINVAL), "train: %s", what);
    worst(e, !refused(dn_evaluate(m, b, &s, err), DN_EINVAL), "evaluate: %s", what);
    worst(e, !refused(dn_gradient(m, b, 0, &s, err), DN_EINVAL), "gradient: %s", what);
    worst(e, !strstr(what, "label") && !refused(dn_logits(m, b, logits, err), DN_EINVAL),
          "logits: %s", what);
    worst(e, hash_parameters(m) != before || dn_step_count(m) != 0, "changed: %s", what);
}

static double t_bad_batch(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        dn_config c = small_config(arch, 0);
        c.batch_tokens = 14;
        struct sample s;
        dn_model *m = make_model(&c, DN_TRAIN);
        const struct { const char *what; int *at; int value; } wrong[] = {
            { "source token -1", &s.enc[2], -1 },      { "source token 13", &s.enc[10], 13 },
            { "source token INT_MAX", &s.enc[0], INT_MAX },
            { "source length 0", &s.enc_len[1], 0 },   { "source length -1", &s.enc_len[0], -1 },
            { "source length 9", &s.enc_len[2], 9 },
            { "source length INT_MIN", &s.enc_len[2], INT_MIN },
            { "source tokens 15", &s.enc_len[2], 5 },
            { "target token -1", &s.dec[0], -1 },      { "target token 13", &s.dec[13], 13 },
            { "target length 0", &s.dec_len[2], 0 },   { "target length 9", &s.dec_len[0], 9 },
            { "target tokens 15", &s.dec_len[1], 2 },  { "label -2", &s.label[0], -2 },
            { "label 13", &s.label[9], 13 },           { "rows 0", &s.b.rows, 0 },
            { "rows -1", &s.b.rows, -1 },
        };
        for (size_t i = 0; i < sizeof wrong/sizeof *wrong; i++) {
            fill_batch(&s, &c, 3, 0);
            if ((wrong[i].what[0] == 's' && arch == DN_DECODER)
                || (wrong[i].what[0] == 't' && arch == DN_ENCODER))
                continue;
            *wrong[i].at = wrong[i].value;
            must_refuse(&e, m, &s.b, wrong[i].what);
        }
        fill_batch(&s, &c, 3, 0);
        for (int i = 0; i < 14; i++)
            s.label[i] = DN_IGNORE;
        const uint64_t before = hash_parameters(m);
        dn_stats st;
        MUST(e, refused(dn_train_step(m, &s.b, 1, &st, err), DN_EINVAL));   /* nothing to learn */
        MUST(e, hash_parameters(m) == before && dn_step_count(m) == 0);
        free_blocks();
    }
    return e;
}

/* Calls without a whole batch, or for which the model has no gradients. */
static double t_bad_call(void)
{
    const dn_config c = small_config(DN_ENC_DEC, 0);
    struct sample s;
    dn_model *m = make_model(&c, DN_TRAIN), *infer = make_model(&c, DN_INFER);
    dn_batch b = *fill_batch(&s, &c, 2, 0);
    dn_stats st;
    double e = 0;
    MUST(e, dn_tensor_at(infer, 0).grad == NULL && dn_tensor_at(m, 0).grad != NULL);
    MUST(e, refused(dn_train_step(infer, &b, 1, &st, err), DN_EINVAL));
    MUST(e, refused(dn_gradient(infer, &b, 0, &st, err), DN_EINVAL));
    MUST(e, refused(dn_train_step(m, &b, 0, &st, err), DN_EINVAL));
    MUST(e, refused(dn_train_step(m, &b, -1, &st, err), DN_EINVAL));
    MUST(e, refused(dn_train_step(m, &b, 65537, &st, err), DN_EINVAL));
    MUST(e, dn_state_at(infer, 0, 0).tokens == 0);
    for (int k = 0; k < 7; k++) {
        static const int wrong[7][3] = { {-1, 0, 0}, {2, 0, 0}, {0, -1, 0}, {0, 5, 0}, {1, 7, 0},
                                         {1, 2, 1}, {1, 6, 1} };
        dn_real *x = get_logits(m, &b);
        const dn_look bad[2] = { { 1, 6, x, NULL },
                                 { wrong[k][0], wrong[k][1], x, wrong[k][2] ? x : NULL } };
        MUST(e, dn_inspect(infer, &b, bad, 1, err) == DN_OK);
        MUST(e, refused(dn_inspect(infer, &b, bad, 2, err), DN_EINVAL));
    }
    double log_p[32];
    b.label = NULL;
    MUST(e, refused(dn_evaluate(m, &b, &st, err), DN_EINVAL));
    MUST(e, refused(dn_log_p(m, &b, log_p, err), DN_EINVAL));
    MUST(e, get_logits(m, &b) != NULL && dn_profile(m, &b, err) == DN_OK);
    b.enc = NULL;
    MUST(e, refused(dn_evaluate(m, &b, &st, err), DN_EINVAL));
    MUST(e, refused(dn_profile(m, &b, err), DN_EINVAL));
    b = s.b;
    b.dec_len = NULL;
    MUST(e, refused(dn_evaluate(m, &b, &st, err), DN_EINVAL));
    return e;
}

static double t_bad_generation(void)
{
    const dn_config c = small_config(DN_ENC_DEC, 0);
    const int good[4] = { 3, 4, 5, 6 }, bad[4] = { 3, 4, 13, 6 }, four = 4, nine = 9, zero = 0;
    dn_model *m = make_model(&c, DN_INFER);
    const size_t need = dn_generator_bytes(&c, 2, err);
    dn_generator *g = dn_generator_init(m, 2, get_block(need), need, err);
    int out[16], len[2];
    double e = 0;
    MUST(e, g != NULL);
    MUST(e, none(dn_generator_feed(g, good, &four, err)));      /* not started */
    MUST(e, refused(dn_generator_start(g, 3, good, &four, err), DN_EINVAL));
    MUST(e, refused(dn_generator_start(g, 0, good, &four, err), DN_EINVAL));
    MUST(e, refused(dn_generator_start(g, 1, bad, &four, err), DN_EINVAL));
    MUST(e, refused(dn_generator_start(g, 1, good, &zero, err), DN_EINVAL));
    MUST(e, refused(dn_generator_start(g, 1, good, &nine, err), DN_EINVAL));
    MUST(e, refused(dn_translate(g, 1, good, &four, BEAM(3, 1), out, len, err), DN_EINVAL));
    MUST(e, refused(dn_translate(g, 1, good, &four, BEAM(0, 1), out, len, err), DN_EINVAL));
    MUST(e, refused(dn_translate(g, 1, bad, &four, BEAM(2, 1), out, len, err), DN_EINVAL));
    for (int i = 0; i < 3; i++) {
        const double p[3] = { -10.5, 10.5, NAN };
        MUST(e, refused(dn_translate(g, 1, good, &four, BEAM(2, p[i]), out, len, err), DN_EINVAL));
    }
    MUST(e, none(dn_generator_feed(g, good, &four, err)));      /* start failed */
    MUST(e, dn_generator_start(g, 1, good, &four, err) == DN_OK);
    MUST(e, none(dn_generator_feed(g, bad, &four, err)));
    MUST(e, none(dn_generator_feed(g, good, &zero, err)));
    MUST(e, none(dn_generator_feed(g, good, &nine, err)));
    MUST(e, dn_generator_feed(g, good, &four, err) != NULL);
    MUST(e, refused(dn_generator_start(g, 0, good, &four, err), DN_EINVAL));
    MUST(e, none(dn_generator_feed(g, good, &four, err)));      /* what had begun is over */
    return e;
}

/* A non-finite value in each tensor in turn: the step names the tensor and changes nothing, and so
 * does an evaluation.  In a decoder only the last row, and so the last part, reads id 3. */
static double t_diverged(void)
{
    double e = 0;
    for (int arch = 0; arch < choices("arch"); arch++) {
        dn_config c = small_config(arch, choice("norm", "deepnorm"));
        struct sample s;
        c.tie = DN_TIE_NONE;
        c.parts = 1 << arch;
        const dn_batch *b = fill_batch(&s, &c, 3, 0);
        dn_model *m = make_model(&c, DN_TRAIN);
        dn_stats st;
        train(m, 2, &e);
        for (int i = 0; i < dn_tensor_count(m); i++) {
            const dn_tensor t = dn_tensor_at(m, i);
            const int at = ends_with(t.name, "embed.weight") ? 3*c.dim : 0;
            const dn_real was = t.value[at];
            t.value[at] = i%2 ? (dn_real)NAN : (dn_real)INFINITY;
            const uint64_t before = hash_parameters(m);
            worst(&e, !refused(dn_train_step(m, b, 1, &st, err), DN_EDIVERGED), "%s", t.name);
            worst(&e, !strstr(err, t.name), "%s is not in: %s", t.name, err);
            worst(&e, !refused(dn_evaluate(m, b, &st, err), DN_EDIVERGED) || !strstr(err, t.name),
                  "evaluation with %s: %s", t.name, err);
            MUST(e, dn_step_count(m) == 2 && hash_parameters(m) == before);
            t.value[at] = was;
        }
        MUST(e, dn_train_step(m, b, 1, &st, err) == DN_OK);     /* it goes on as before */
        dn_model *n = make_model(&c, DN_TRAIN);
        train(n, 2, &e);
        MUST(e, dn_train_step(n, b, 1, &st, err) == DN_OK && same_parameters(m, n));
        free_blocks();
    }
    return e;
}

/* Finite parameters, too large to compute with: the error names the first place where it shows. */
static double t_diverged_forward(void)
{
    static const struct { const char *large, *named; } wrong[] = {
        { "encoder.1.ffn.w1.weight", "step 1: the output of encoder.1.ffn" },
        { "decoder.0.cross_attn.q.weight", "output of decoder.0.cross_attn" },
        { "decoder.1.self_attn.q.weight", "output of decoder.1.self_attn" },
        { "output.weight", "step 1: the logits" },
    };
    dn_config c = small_config(DN_ENC_DEC, choice("norm", "deepnorm"));
    struct sample s;
    dn_stats st;
    double e = 0;
    c.tie = DN_TIE_NONE;
    const dn_batch *b = fill_batch(&s, &c, 3, 0);
    for (size_t k = 0; k < sizeof wrong/sizeof *wrong; k++) {
        dn_model *m = make_model(&c, DN_TRAIN);
        const dn_tensor t = tensor_named(m, wrong[k].large);
        for (size_t n = 0; n < tensor_size(&t); n++)
            t.value[n] = (dn_real)(0.9*(double)REAL_MAX);
        worst(&e, !refused(dn_train_step(m, b, 1, &st, err), DN_EDIVERGED)
                  || !strstr(err, wrong[k].named), "%s: %s", wrong[k].large, err);
        dn_model *infer = make_model(&c, DN_INFER);     /* which does not keep what came before */
        memcpy(dn_tensor_at(infer, 0).value, dn_tensor_at(m, 0).value,
               dn_param_count(m)*sizeof(dn_real));
        MUST(e, refused(dn_evaluate(infer, b, &st, err), DN_EDIVERGED) && strstr(err, "logits"));
    }
    return e;
}

/* A decoder whose last norm gives zeros, so the logits are 0 although the output matrix is huge, of
 * both signs; so is the gradient that comes back through it. */
static dn_model *huge_gradient(const dn_config *c, double huge)
{
    dn_model *m = make_model(c, DN_TRAIN);
    const dn_tensor output = tensor_named(m, "output.weight");
    const dn_tensor norm = tensor_named(m, "decoder.1.ffn.out_norm.weight");
    for (int k = 0; k < output.rows*output.cols; k++)
        output.value[k] = (dn_real)(k/output.cols == 4 ? -huge : huge);
    for (int k = 0; k < norm.rows; k++)
        norm.value[k] = 0;
    return m;
}

/* A finite loss with an infinite gradient; then with one whose square Adam can hold only if it is
 * clipped. */
static double t_diverged_backward(void)
{
    const double most = (double)REAL_MAX;
    dn_config c = small_config(DN_DECODER, choice("norm", "deepnorm"));
    struct sample s;
    dn_stats st;
    double e = 0;
    c.tie = DN_TIE_NONE;
    const dn_batch *b = fill_batch(&s, &c, 3, 0);
    for (int i = 0; i < 14; i++)
        s.label[i] = 4;
    for (int large = 0; large < 2; large++) {
        c.clip = !large;
        dn_model *m = huge_gradient(&c, large ? 100*sqrt(most) : 0.9*most);
        const uint64_t before = hash_parameters(m);
        MUST(e, dn_evaluate(m, b, &st, err) == DN_OK && fabs(st.nll - log(13)) < 1e-5);
        MUST(e, refused(dn_train_step(m, b, 1, &st, err), DN_EDIVERGED));
        worst(&e, !strstr(err, large ? "gradient is too large"
                                     : "gradient of decoder.1.ffn.out_norm."), "%s", err);
        MUST(e, hash_parameters(m) == before && dn_step_count(m) == 0);
    }
    c.clip = 1;                           /* where acc is no wider its norm, too, is too large */
    MUST(e, sizeof(dn_real) == sizeof(acc)
            || dn_train_step(huge_gradient(&c, 100*sqrt(most)), b, 1, &st, err) == DN_OK);
    return e;
}

/* More than 32 bits can count: 12 GB, so only when asked for by name. */
static dn_config large_config(int vocab)
{
    dn_config c = small_config(DN_DECODER, choice("norm", "deepnorm"));
    c.vocab = vocab;
    c.dim = 136;
    c.heads = 1;
    c.batch_tokens = c.ctx;
    c.label_smoothing = c.clip = c.weight_decay = 0;
    c.eps = 1e-30;                        /* Adam's first step is the rate, whatever g          */
    return c;
}

/* The first and the last 1000 ids have the logits they have in a model of their own. */
static double t_large_infer(void)
{
    enum { PART = 1000 };
    const dn_config c = large_config(1 << 24), d = large_config(PART);
    dn_model *whole = make_model(&c, DN_INFER), *part = make_model(&d, DN_INFER);
    double e = 0;
    MUST(e, dn_param_count(whole) > (size_t)INT_MAX);
    for (int last = 0; last < 2; last++) {
        const int first = last*(c.vocab - PART), len = 3;
        int id[2][3], label[3] = { 0, 0, 0 };
        for (int i = 0; i < len; i++)
            id[0][i] = first + (id[1][i] = i*(PART - 1)/(len - 1));
        for (int i = 0; i < dn_tensor_count(part); i++) {
            const dn_tensor s = dn_tensor_at(whole, i), t = dn_tensor_at(part, i);
            const size_t skip = s.rows == t.rows ? 0 : (size_t)first*(size_t)s.cols;
            memcpy(t.value, s.value + skip, tensor_size(&t)*sizeof *t.value);
        }
        const dn_batch a = { 1, NULL, NULL, id[0], &len, label };
        const dn_batch b = { 1, NULL, NULL, id[1], &len, label };
        const dn_real *x = get_logits(whole, &a), *y = get_logits(part, &b);
        for (int i = 0; i < len; i++)
            MUST(e, !memcmp(x + (size_t)i*(size_t)c.vocab + first, y + i*PART, PART*sizeof *x));
    }
    return e;
}

static double t_large_file(void)
{
    const dn_config c = large_config(1 << 22);
    dn_model *a = make_model(&c, DN_INFER), *b = make_model(&c, DN_INFER);
    const size_t room = dn_model_bytes(&c, DN_INFER, err);
    struct file f = { get_block(room), room, 0, 0, 0, 0 };
    double e = 0;
    MUST(e, save(a, &f) == DN_OK && f.n > (size_t)INT_MAX);
    memset(dn_tensor_at(b, 0).value, 0, dn_param_count(b)*sizeof(dn_real));
    MUST(e, !same_parameters(a, b) && load(b, &f) == DN_OK && same_parameters(a, b));
    return e;
}

/* The gradient of an id that no token reads is  sum over tokens (p - [label]) x;  the first step is
 * the rate against its sign. */
static double t_large_train(void)
{
    const dn_config c = large_config(1 << 22);
    dn_model *m = make_model(&c, DN_TRAIN);
    const int V = c.vocab, D = c.dim, len = 2, id[2] = { V - 1, 5 }, label[2] = { 7, V - 2 };
    const int ids[] = { 0, 7, 8, V/4, V/2, V/2 + 1, V - 3, V - 2 };
    enum { IDS = (int)(sizeof ids/sizeof *ids), WIDTH = 136 };
    const dn_batch b = { 1, NULL, NULL, id, &len, label };
    const dn_real *z = get_logits(m, &b);
    const dn_tensor E = dn_tensor_at(m, 0);
    double e = 0, g[IDS][WIDTH] = { { 0 } }, before[IDS][WIDTH];
    dn_stats s;
    dn_zero_grad(m);
    MUST(e, E.rows == V && dn_gradient(m, &b, 0, &s, err) == DN_OK);
    const dn_real *x = dn_state_at(m, 1, plain_depth(&c, 1)).x;
    for (int t = 0; t < len; t++, z += V) {
        double sum = 0;
        for (int i = 0; i < V; i++)
            sum += exp((double)z[i]);
        for (int k = 0; k < IDS; k++)
            for (int j = 0; j < D; j++)
                g[k][j] += (exp((double)z[ids[k]])/sum - (ids[k] == label[t]))*(double)x[t*D + j];
    }
    for (int k = 0; k < IDS; k++) {
        const size_t at = (size_t)ids[k]*(size_t)D;
        double largest = 0, error = 0;
        for (int j = 0; j < D; j++) {
            before[k][j] = (double)E.value[at + (size_t)j];
            largest = larger(largest, fabs(g[k][j]));
            error = larger(error, fabs((double)E.grad[at + (size_t)j] - g[k][j]));
        }
        worst(&e, error/largest, "gradient of id %d", ids[k]);
    }
    MUST(e, dn_train_step(m, &b, 1, &s, err) == DN_OK);
    for (int k = 0; k < IDS; k++)
        for (int j = 0; j < D; j++) {
            const double to = (double)E.value[(size_t)ids[k]*(size_t)D + (size_t)j];
            worst(&e, fabs((before[k][j] - to)/s.lr - (g[k][j] > 0 ? 1 : -1)),
                  "step of id %d", ids[k]);
        }
    return e;
}

/* ---- F the paper's claims ---------------------------------------------------------------- */

/* These rows have a place in the paper and return what is measured there.  First what needs no
 * network: the constants, the scalar model, LayerNorm, attention. */

static double square(double x) { return x*x; }

struct range { double low, high; };

static void widen(struct range *r, double found)
{
    r->low = found >= r->low ? r->low : found;
    r->high = larger(r->high, found);
}

/* The library's alpha and beta; the networks of this section use plain_gains. */
static dn_gains gains_of(int arch, int stack, int n, int m)
{
    dn_config c = small_config(arch, choice("norm", "deepnorm"));
    c.enc_layers = n;
    c.dec_layers = m;
    return dn_gains_of(&c, stack, 0);
}

/* The decoder of an encoder-decoder has 3M sub-layers, any other stack 2N. */
static double t_identity_product(void)
{
    double e = 0;
    for (int n = 1; n <= 1000; n += 27)
        for (int arch = 0; arch < 3; arch++) {
            const dn_gains g = gains_of(arch, arch != DN_ENCODER, n, n);
            worst(&e, fabs(g.alpha*g.beta*sqrt(2) - 1), "%s, %d layers", name_of("arch", arch), n);
        }
    return e;
}

static double t_identity_quotient(void)
{
    double e = 0;
    for (int n = 1; n <= 1000; n += 27)
        for (int arch = 0; arch < 3; arch++) {
            const dn_gains g = gains_of(arch, arch != DN_ENCODER, n, n);
            const double want = sqrt((arch == DN_ENC_DEC ? 6 : 4)*n);
            worst(&e, fabs(g.alpha/g.beta/want - 1), "%s, %d layers", name_of("arch", arch), n);
        }
    return e;
}

/* (16), (17): a single stack's 2N sub-layers add up to the update 1. */
static double t_coefficient_single(void)
{
    double e = 0;
    for (int n = 1; n <= 1000; n += 27)
        for (int arch = DN_ENCODER; arch <= DN_DECODER; arch++) {
            const dn_gains g = gains_of(arch, arch == DN_DECODER, n, n);
            worst(&e, fabs(2*n*2*g.beta*g.beta/(g.alpha*g.alpha) - 1), "%d layers", n);
        }
    return e;
}

/* (2): so do the decoder's 3M. */
static double t_coefficient_second(void)
{
    double e = 0;
    for (int n = 1; n <= 1000; n += 27) {
        const dn_gains g = gains_of(DN_ENC_DEC, 1, n, n);
        worst(&e, fabs(3*n*2*g.beta*g.beta/(g.alpha*g.alpha) - 1), "%d layers", n);
    }
    return e;
}

/* (14), (15): the encoder's update as it reaches the output through M cross-attentions,
 * M beta_d^2/alpha_d 2N 2 beta_e^2/alpha_e^2.  The same for every depth; this is the largest. */
static double coefficient_first(double alpha_factor, double beta_factor)
{
    double most = 0;
    for (int n = 1; n <= 1000; n += 27)
        for (int m = 1; m <= 1000; m += 37) {
            dn_gains e = gains_of(DN_ENC_DEC, 0, n, m), d = gains_of(DN_ENC_DEC, 1, n, m);
            e.alpha *= alpha_factor/0.81;
            e.beta *= beta_factor/0.87;
            most = larger(most, m*d.beta*d.beta/d.alpha*2*n*2*e.beta*e.beta/(e.alpha*e.alpha));
        }
    return most;
}

static double t_coefficient_first(void) { return coefficient_first(0.81, 0.87); }

static double t_coefficient_exact(void)
{
    return fabs(coefficient_first(pow(27, -1.0/16), pow(27, 1.0/16)/sqrt(2)) - 1);
}

/* (4) and (11) for vectors: LayerNorm divides alpha x + vwz by sqrt(alpha^2 + v^2 w^2) if x and z
 * are uncorrelated and of variance 1, as rows of a Hadamard matrix are. */
static double t_norm_divides(void)
{
    enum { D = 64 };
    const struct team k = { 1, 1, NULL, NULL };
    double e = 0;
    for (double alpha = 1; alpha < 7; alpha += 0.5)
        for (double vw = 0.1; vw <= 1; vw += 0.1) {
            real s[D], gain[D], bias[D] = { 0 }, y[D], stat[2];
            for (int i = 0; i < D; i++) {
                s[i] = (real)(alpha*(i & 1 ? 1 : -1) + vw*(i & 2 ? 1 : -1));
                gain[i] = 1;
            }
            const struct at_place at = { LN, 1, 1, gain, bias, NULL, NULL };
            norm_fwd(&k, y, stat, s, &at, 1, D);
            for (int i = 0; i < D; i++)
                worst(&e, fabs((double)y[i] - (double)s[i]/sqrt(alpha*alpha + vw*vw)),
                      "alpha %g, vw %g", alpha, vw);
        }
    return e;
}

/* Equation (4), the scalar model of a sub-layer: LayerNorm(alpha x + G), G = vwx. */
static double scalar_model(double alpha, double v, double w, double x)
{
    return (alpha + v*w)/sqrt(alpha*alpha + v*v*w*w)*x;
}

/* Equation (11), that of cross-attention, whose branch reads the encoder's output instead. */
static double cross_model(double alpha, double v, double w, double x, double x_enc)
{
    return (alpha*x + v*w*x_enc)/sqrt(alpha*alpha + v*v*w*w);
}

/* (5) and what leads to (12) against five-point differences of (4) and (11).  For the last,
 * (11) by v, the paper prints x_enc where x is right. */
static double t_scalar_derivatives(void)
{
    const double x = 1.7, x_enc = 0.3, h = 1e-4;
    double e = 0;
    for (double alpha = 1; alpha < 7; alpha += 0.4)
        for (double v = 0.1; v <= 1; v += 0.1)
            for (double w = 0.1; w <= 1; w += 0.1) {
                const double r = alpha*alpha + v*v*w*w;
                double d[6] = { 0 };
                for (int k = -2; k <= 2; k++) {
                    static const double c[] = { 1, -8, 0, 8, -1 };
                    d[0] += c[k + 2]*scalar_model(alpha, v, w, x + k*h);
                    d[1] += c[k + 2]*scalar_model(alpha, v + k*h, w, x);
                    d[2] += c[k + 2]*scalar_model(alpha, v, w + k*h, x);
                    d[3] += c[k + 2]*cross_model(alpha, v, w, x + k*h, x_enc);
                    d[4] += c[k + 2]*cross_model(alpha, v, w, x, x_enc + k*h);
                    d[5] += c[k + 2]*cross_model(alpha, v + k*h, w, x, x_enc);
                }
                const double want[] = { (alpha + v*w)/sqrt(r),
                                        alpha*x*w*(alpha - v*w)/(r*sqrt(r)),
                                        alpha*x*v*(alpha - v*w)/(r*sqrt(r)),
                                        alpha/sqrt(r), v*w/sqrt(r),
                                        alpha*w*(alpha*x_enc - v*w*x)/(r*sqrt(r)) };
                for (int i = 0; i < 6; i++)
                    worst(&e, fabs(d[i]/(12*h) - want[i]), "derivative %d, alpha %g, v %g, w %g",
                          i, alpha, v, w);
            }
    return e;
}

/* The proof goes on with these: (5) is at most wx/alpha and vx/alpha, (12) at most vw/alpha. */
static double t_scalar_bounds(void)
{
    double most = 0;
    for (double alpha = 1; alpha < 7; alpha += 0.1)
        for (double v = 0.02; v <= 1; v += 0.02)
            for (double w = 0.02; w <= 1; w += 0.02) {
                const double r = alpha*alpha + v*v*w*w;
                most = larger(most, alpha*alpha*(alpha - v*w)/(r*sqrt(r)));
                most = larger(most, alpha/sqrt(r));
            }
    return most;
}

/* Where the paper puts Post-LN, alpha = v = w = 1, the exact (5) is 0: only its bound is not. */
static double t_scalar_post_ln(void)
{
    const double h = 1e-4;
    return fabs(scalar_model(1, 1 + h, 1, 1) - scalar_model(1, 1 - h, 1, 1))/(2*h);
}

/* (7) to (8) take the product of 2N factors (alpha + vw)/sqrt(alpha^2 + v^2 w^2) for 1.  In the
 * scalar model, where a branch points the way of its skip, it is about exp((2N)^(1/4)/2). */
static double t_scalar_product(void)
{
    const dn_gains g = gains_of(DN_ENCODER, 0, 100, 100);
    return pow(scalar_model(g.alpha, g.beta, g.beta, 1), 2*100);
}

/* LayerNorm's Jacobian is symmetric: its norm is the largest eigenvalue, by power iteration. */
static double t_norm_jacobian(void)
{
    enum { D = 48 };
    const struct team k = { 1, 1, NULL, NULL };
    double e = 0;
    for (int scale = 1000; scale <= 100000; scale *= 10) {
        real x[D], g[D], b[D] = { 0 }, y[D], dg[D] = { 0 }, stat[2], v[D];
        double mean = 0, length = 0, eigen = 0;
        for (int i = 0; i < D; i++) {
            x[i] = (real)(scale*by_rule("x", (size_t)i));
            v[i] = (real)by_rule("v", (size_t)i);
            g[i] = 1;
            mean += (double)x[i]/(double)D;
        }
        for (int i = 0; i < D; i++)
            length += ((double)x[i] - mean)*((double)x[i] - mean);
        const struct at_place at = { LN, 1, 1, g, b, dg, b };
        norm_fwd(&k, y, stat, x, &at, 1, D);
        for (int round = 0; round < 50; round++) {
            double before = 0, after = 0;
            for (int i = 0; i < D; i++)
                before += (double)v[i]*(double)v[i];
            norm_bwd(&k, v, v, stat, x, &at, 1, D);
            for (int i = 0; i < D; i++)
                after += (double)v[i]*(double)v[i];
            eigen = sqrt(after/before);
            for (int i = 0; i < D; i++)
                v[i] = (real)((double)v[i]/sqrt(after));
        }
        worst(&e, fabs(eigen*sqrt(length)/sqrt(D) - 1), "scale %d: %g", scale, eigen);
    }
    return e;
}

/* Lemma 4.1: the length of rows of softmax(q k') v over the longest row of v.  Kind 0, any q and k:
 * at most 1; kind 1, all rows of v the same: just 1; kind 2: equal logits, T independent rows. */
static struct range attention_length(int kind)
{
    enum { T = 16, D = 64 };
    const struct span span = { 0, T, 0, T };
    struct range r = { INFINITY, 0 };
    for (int round = 0; round < 20; round++) {
        const struct attention h = { &span, 1, 1, D, kind == 0 && round%2, D, D, 1,
                                     dropout_at(0, 0) };
        real *q = get_block(4*T*D*sizeof *q), *k = q + T*D, *v = k + T*D, *c = v + T*D;
        real stat[2*T], work[2*QROWS*T];
        const struct team team = { 1, T, get_block(matmul_work()*sizeof(real)), work };
        double longest = 0;
        for (int i = 0; i < T*D; i++) {
            q[i] = (real)(kind == 2 ? 0 : by_rule("q", (size_t)(i + round))*(1 << round/2));
            k[i] = (real)(by_rule("k", (size_t)(i + round))*(1 << round/2));
            v[i] = (real)by_rule("v", (size_t)(kind == 1 ? i%D : i + 1000*round));
        }
        attend_fwd(&team, c, stat, &(struct qkv){ q, k, v }, &h);
        for (int t = 0; t < 2*T; t++) {
            const real *row = t < T ? v + t*D : c + (t - T)*D;
            double squares = 0;
            for (int i = 0; i < D; i++)
                squares += (double)row[i]*(double)row[i];
            if (t < T)
                longest = larger(longest, sqrt(squares));
            else
                widen(&r, sqrt(squares)/longest);
        }
        free_blocks();
    }
    return r;
}

static double t_lemma(void)         { return attention_length(0).high; }
static double t_lemma_equal(void)   { return 1 - attention_length(1).low; }
static double t_lemma_shrinks(void) { return attention_length(2).high; }

/* Then networks: one step of training, and what it does to the output.  d = 64, f = 128, two
 * heads, ReLU, no biases, 4 sequences of 16 random tokens of 100, random labels; only the
 * matrices of sub-layers move, so LayerNorms stay at gain 1 and bias 0.  The scale of the
 * update varies by a factor of 2 between seeds, at any depth: hence means over the same seeds. */
enum experiment_id {
    ENC_DEEPNORM, ENC_POST_LN, ENC_POST_LN_INIT, ENC_ALPHA_ONLY, ENC_BETA_ONLY, ENC_FLIPPED,
    DEC_DEEPNORM, DEC_POST_LN, BOTH_DEEPNORM, BOTH_POST_LN,
    ENC_ADAM, BOTH_ADAM, ENC_ADAM_POST_LN, EXPERIMENTS
};

static const struct experiment {
    int arch;
    const char *norm;
    int power;                            /* V, O, W1, W2, once drawn, times beta^power       */
    enum { SGD, ADAM } by;
    double rate;
} experiments[] = {
    [ENC_DEEPNORM]     = { DN_ENCODER, "deepnorm",      0, SGD,  1e-4 },
    [ENC_POST_LN]      = { DN_ENCODER, "post-ln",       0, SGD,  1e-4 },
    [ENC_POST_LN_INIT] = { DN_ENCODER, "post-ln-init",  0, SGD,  1e-4 },
    [ENC_ALPHA_ONLY]   = { DN_ENCODER, "deepnorm",     -1, SGD,  1e-4 },
    [ENC_BETA_ONLY]    = { DN_ENCODER, "post-ln",       1, SGD,  1e-4 },
    [ENC_FLIPPED]      = { DN_ENCODER, "deepnorm",     -2, SGD,  1e-4 },
    [DEC_DEEPNORM]     = { DN_DECODER, "deepnorm",      0, SGD,  1e-4 },
    [DEC_POST_LN]      = { DN_DECODER, "post-ln",       0, SGD,  1e-4 },
    [BOTH_DEEPNORM]    = { DN_ENC_DEC, "deepnorm",      0, SGD,  1e-4 },
    [BOTH_POST_LN]     = { DN_ENC_DEC, "post-ln",       0, SGD,  1e-4 },
    [ENC_ADAM]         = { DN_ENCODER, "deepnorm",      0, ADAM, 1e-7 },
    [BOTH_ADAM]        = { DN_ENC_DEC, "deepnorm",      0, ADAM, 1e-7 },
    [ENC_ADAM_POST_LN] = { DN_ENCODER, "post-ln",       0, ADAM, 1e-7 },
};

static const int depths[] = { 6, 12, 25, 50, 100 };       /* layers of each stack            */
enum { DEPTHS = 5, MAX_SUBS = 5*100 };
static const int seeds = 3;

/* The two sides of theorems 4.2 and 4.3; of 4.3 also the first term alone, from a step that leaves
 * the decoder as it was.  UNIT is 1, for quotients. */
enum side { UNIT, UPDATE, BOUND, ENCODER, ENCODER_BOUND, SIDES };

/* Means over seeds, and the norm of each sub-layer's step. */
struct outcome { double side[SIDES], step[MAX_SUBS]; };

static int moves(const struct tensor *t)
{
    return t->sub >= 0 && t->row->cols != VECTOR;
}

static dn_model *experiment_model(const struct experiment *x, int layers, int seed)
{
    dn_config c = small_config(x->arch, choice("norm", x->norm));
    c.activation = DN_RELU;  c.tie = DN_TIE_NONE;  c.bias = 0;  c.label_smoothing = 0;
    c.vocab = 100;  c.dim = 64;  c.ffn = 128;  c.heads = 2;  c.ctx = 16;  c.batch_tokens = 64;
    c.enc_layers = c.dec_layers = layers;
    c.seed = seed;
    c.lr = x->rate;  c.warmup = 0;  c.schedule = DN_CONSTANT;  c.clip = c.weight_decay = 0;
    dn_model *m = make_model(&c, DN_TRAIN);
    for (int i = 0; i < m->tensors; i++) {
        const struct tensor *t = &m->tensor[i];
        const double beta = plain_gains(x->arch, t->stack, layers, layers).beta;
        const int scaled = t->row->slot >= WV && t->row->slot <= W2;
        for (size_t j = 0; scaled && j < t->count; j++)
            m->value[t->at + j] *= (dn_real)pow(beta, x->power);
    }
    return m;
}

/* The states on top of the model, one row per token. */
static dn_real *top_states(dn_model *m, const dn_batch *b)
{
    struct pass p = pass_for(m, m->desk, b);
    const size_t size = (size_t)(m->desk->stream[top_stack(&m->c)].tokens*m->c.dim)*sizeof(dn_real);
    return memcpy(get_block(size), network_fwd(&p), size);
}

/* ||dF||: the mean over tokens of the L2 norm of the difference. */
static double update_of(dn_model *m, const dn_batch *b, const dn_real *before)
{
    const dn_real *after = top_states(m, b);
    const int tokens = top_tokens(b), dim = m->c.dim;
    double sum = 0;
    for (int t = 0; t < tokens; t++) {
        double squares = 0;
        for (int i = t*dim; i < t*dim + dim; i++)
            squares += square((double)after[i] - (double)before[i]);
        sum += sqrt(squares)/tokens;
    }
    return sum;
}

/* One step of the matrices of sub-layers; everything else stays as it was. */
static void experiment_step(const struct experiment *x, dn_model *m, const dn_batch *b,
                            const dn_real *old)
{
    dn_stats s;
    const dn_status status = x->by == ADAM ? dn_train_step(m, b, 1, &s, err)
                                           : dn_gradient(m, b, 0, &s, err);
    if (status != DN_OK) {
        fprintf(stderr, "test: %s\n", err);
        exit(2);
    }
    for (int i = 0; i < m->tensors; i++) {
        const struct tensor *t = &m->tensor[i];
        dn_real *w = m->value + t->at, *grad = m->grad + t->at;
        if (!moves(t))
            memcpy(w, old + t->at, t->count*sizeof *w);
        else if (x->by == SGD)
            for (size_t j = 0; j < t->count; j++)
                w[j] -= (dn_real)(x->rate/s.tokens*(double)grad[j]);
    }
}

/* The right side of theorem 4.3, of which 4.2 is the case without cross-attention: the sum over
 * sub-layers of sqrt(v^2 + w^2)/alpha times the norm of the step; v = w = beta, or 1 in Post-LN. */
static void experiment_bound(const struct experiment *x, const dn_model *m, const dn_real *old,
                             int layers, struct outcome *f)
{
    double squares[MAX_SUBS] = { 0 }, term[2] = { 0 };
    dn_gains g[2] = { { 1, 1, 1 }, { 1, 1, 1 } };
    for (int s = 0; s < 2 && !strcmp(x->norm, "deepnorm"); s++)
        g[s] = plain_gains(x->arch, s, layers, layers);
    for (int i = 0; i < m->tensors; i++) {
        const struct tensor *t = &m->tensor[i];
        for (size_t j = t->at; moves(t) && j < t->at + t->count; j++)
            squares[t->sub] += square((double)m->value[j] - (double)old[j]);
    }
    for (int i = 0; i < m->subs; i++) {
        const int s = m->sub[i].stack;
        term[s] += sqrt(2)*g[s].beta/g[s].alpha*sqrt(squares[i]);
        f->step[i] += sqrt(squares[i])/seeds;
    }
    if (x->arch == DN_ENC_DEC)
        term[0] *= layers*g[1].beta*g[1].beta/g[1].alpha;
    f->side[ENCODER_BOUND] += term[0]/seeds;
    f->side[BOUND] += (term[0] + term[1])/seeds;
}

static void experiment_run(const struct experiment *x, int layers, int seed, struct outcome *f)
{
    enum { ROWS = 4, LEN = 16, TOKENS = ROWS*LEN };
    int stream[3][TOKENS], len[ROWS];
    for (int i = 0; i < 3*TOKENS; i++) {
        stream[i/TOKENS][i%TOKENS] = (int)(dn_random((uint64_t)seed, 0, (uint32_t)i)%100);
        len[i%TOKENS/LEN] = LEN;
    }
    const dn_batch b = { ROWS, x->arch == DN_DECODER ? NULL : stream[0], len,
                         x->arch == DN_ENCODER ? NULL : stream[1], len, stream[2] };
    dn_model *m = experiment_model(x, layers, seed);
    const size_t size = m->scalars*sizeof(dn_real);
    const dn_real *old = memcpy(get_block(size), m->value, size);
    const dn_real *before = top_states(m, &b);
    experiment_step(x, m, &b, old);
    experiment_bound(x, m, old, layers, f);
    f->side[UPDATE] += update_of(m, &b, before)/seeds;
    if (x->arch == DN_ENC_DEC) {
        for (int i = 0; i < m->tensors; i++) {
            const struct tensor *t = &m->tensor[i];
            if (t->stack == 1)
                memcpy(m->value + t->at, old + t->at, t->count*sizeof *old);
        }
        f->side[ENCODER] += update_of(m, &b, before)/seeds;
    }
    free_blocks();
}

static void experiment_mean(const struct experiment *x, int layers, struct outcome *f)
{
    memset(f, 0, sizeof *f);
    f->side[UNIT] = 1;
    for (int seed = 1; seed <= seeds; seed++)
        experiment_run(x, layers, seed, f);
}

/* The experiment at depths[i]; each network is run only once, however many rows ask. */
static const struct outcome *outcome_at(enum experiment_id id, int i)
{
    static struct outcome known[EXPERIMENTS][DEPTHS];
    struct outcome *f = &known[id][i];
    if (f->side[UNIT] == 0)
        experiment_mean(&experiments[id], depths[i], f);
    return f;
}

/* The lowest and highest quotient of one side to another over the depths. */
static struct range over_depth(enum experiment_id id, enum side a, enum experiment_id id_b,
                               enum side b)
{
    struct range r = { INFINITY, 0 };
    detail[0] = '\0';
    for (int i = 0; i < DEPTHS; i++) {
        const double q = outcome_at(id, i)->side[a]/outcome_at(id_b, i)->side[b];
        widen(&r, q);
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), " %.3g", q);
    }
    return r;
}

static double growth(enum experiment_id id, enum side b)
{
    const struct range r = over_depth(id, UPDATE, id, b);
    return r.high/r.low;
}

/* ||dF|| at the greatest depth over ||dF|| at the smallest. */
static double last_to_first(enum experiment_id id)
{
    over_depth(id, UPDATE, id, UNIT);                     /* for the details                   */
    return outcome_at(id, DEPTHS - 1)->side[UPDATE]/outcome_at(id, 0)->side[UPDATE];
}

/* Slope of ln ||dF|| over ln N, least squares. */
static double depth_slope(enum experiment_id id)
{
    const double n = DEPTHS;
    double x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < DEPTHS; i++) {
        const double u = log(depths[i]), v = log(outcome_at(id, i)->side[UPDATE]);
        x += u;  y += v;  xx += u*u;  xy += u*v;
    }
    return (n*xy - x*y)/(n*xx - x*x);
}

/* Largest over smallest ||dF||/eta for eta = 1, 0.01, 1e-4, at 50 layers. */
static double rate_spread(const char *norm)
{
    struct experiment x = { DN_ENCODER, norm, 0, SGD, 1 };
    static struct outcome f;
    struct range r = { INFINITY, 0 };
    for (; x.rate > 5e-5; x.rate /= 100) {
        experiment_mean(&x, 50, &f);
        widen(&r, f.side[UPDATE]/x.rate);
    }
    return r.high/r.low;
}

/* Norms of the gradients of an 18L-18L decoder's sub-layers before any step, a step of rate 1. */
static const double *decoder_gradients(const char *norm)
{
    const struct experiment x = { DN_ENC_DEC, norm, 0, SGD, 1 };
    static struct outcome f;
    experiment_mean(&x, 18, &f);
    return f.step + 2*18;
}

static double t_thm_single(void)   { return growth(ENC_DEEPNORM, BOUND); }
static double t_thm_enc_dec(void)  { return growth(BOTH_DEEPNORM, BOUND); }
static double t_goal_enc(void)     { return growth(ENC_DEEPNORM, UNIT); }
static double t_goal_dec(void)     { return growth(DEC_DEEPNORM, UNIT); }
static double t_goal_both(void)    { return growth(BOTH_DEEPNORM, UNIT); }
static double t_post_ln_enc(void)  { return last_to_first(ENC_POST_LN); }
static double t_post_ln_dec(void)  { return last_to_first(DEC_POST_LN); }
static double t_post_ln_both(void) { return last_to_first(BOTH_POST_LN); }
static double t_linear(void)       { return rate_spread("deepnorm"); }
static double t_not_linear(void)   { return rate_spread("post-ln"); }
/* The paper gives Post-LN-init no bound; it scatters more over seeds than DeepNorm. */
static double t_init_flat(void)    { return growth(ENC_POST_LN_INIT, UNIT); }
static double t_alpha_only(void)   { return last_to_first(ENC_ALPHA_ONLY); }
static double t_beta_only(void)    { return last_to_first(ENC_BETA_ONLY); }
static double t_adam(void)         { return depth_slope(ENC_ADAM); }
static double t_adam_both(void)    { return depth_slope(BOTH_ADAM); }
static double t_adam_post_ln(void) { return depth_slope(ENC_ADAM_POST_LN); }

static double t_thm_single_constant(void)
{
    return over_depth(ENC_DEEPNORM, UPDATE, ENC_DEEPNORM, BOUND).high;
}

static double t_thm_post_ln_constant(void)
{
    return over_depth(ENC_POST_LN, UPDATE, ENC_POST_LN, BOUND).high;
}

static double t_thm_enc_dec_constant(void)
{
    return over_depth(BOTH_DEEPNORM, UPDATE, BOTH_DEEPNORM, BOUND).high;
}

static double t_thm_first_term(void)
{
    return over_depth(BOTH_DEEPNORM, ENCODER, BOTH_DEEPNORM, ENCODER_BOUND).high;
}

/* The bound lets the encoder's update grow with every cross-attention that passes it on. */
static double t_share_deepnorm(void)
{
    return 100*over_depth(BOTH_DEEPNORM, ENCODER, BOTH_DEEPNORM, UPDATE).low;
}

static double t_share_post_ln(void)
{
    return over_depth(BOTH_POST_LN, ENCODER, BOTH_POST_LN, UPDATE).low;
}

static double t_init_larger(void)
{
    return over_depth(ENC_POST_LN_INIT, UPDATE, ENC_DEEPNORM, UPDATE).low;
}

/* The mean over seeds has a long tail here: at 100 layers single seeds lie between 30 and 3000
 * times DeepNorm.  So the smallest of the means is bounded, not the growth. */
static double t_flipped(void)
{
    return over_depth(ENC_FLIPPED, UPDATE, ENC_DEEPNORM, UPDATE).low;
}

static double t_gradients_deepnorm(void)
{
    struct range r = { INFINITY, 0 };
    const double *g = decoder_gradients("deepnorm");
    for (int i = 0; i < 3*18; i++)
        widen(&r, g[i]);
    return r.high/r.low;
}

static double t_gradients_post_ln(void)
{
    const double *g = decoder_gradients("post-ln");
    return g[3*18 - 1]/g[0];
}

static double t_gradients_init(void)
{
    const double lowest = decoder_gradients("post-ln-init")[0];
    return lowest/decoder_gradients("post-ln")[0];
}

/* ---- G the tokenizer --------------------------------------------------------------------- */

enum { TOK_TEXT = 1200, TOK_VOCAB = DN_MIN_VOCAB + 300, TOK_SAVED = 8192 };

/* Where tests put a tokenizer and the scratch for training it: blocks aligned as malloc's. */
union tok_block {
    long double align;
    unsigned char byte[1 << 17];
};

static union tok_block tok_mem, tok_mem2, tok_scratch;
static unsigned char tok_text[TOK_TEXT], tok_back[TOK_TEXT];
static char tok_saved[TOK_SAVED], tok_saved2[TOK_SAVED];
static int tok_ids[TOK_TEXT + 1], tok_ids2[TOK_TEXT + 1];

/* Texts by a rule: kind 0 is any bytes, the others draw from an alphabet, with some echoes. */
enum { TOK_KINDS = 7 };

static size_t tok_text_make(int kind, size_t n, uint32_t seed)
{
    static const char *const alphabet[TOK_KINDS] = {
        "", "a", "ab", "ab \n", "  \t\n\rab1.", "the quick brown fox; 12 \xc3\xa4\xc3\xb6",
        "a  bb\tcc \n\n 1 22 .. ,,a\v\f"
    };
    const size_t letters = strlen(alphabet[kind]);
    for (size_t i = 0; i < n; i++) {
        seed = seed*1664525u + 1013904223u;
        const uint32_t r = seed >> 16;
        if (letters == 0)
            tok_text[i] = (unsigned char)r;
        else if (i >= 8 && r%3 > 0)
            tok_text[i] = tok_text[i - 3 - r/3%5];
        else
            tok_text[i] = (unsigned char)alphabet[kind][r/3%letters];
    }
    return n;
}

static dn_status tok_train(dn_tokenizer *t, int max_vocab, size_t n)
{
    return dn_tok_train(t, max_vocab, tok_text, n, (dn_block){ &tok_mem, sizeof tok_mem },
                        (dn_block){ &tok_scratch, sizeof tok_scratch }, err);
}

static dn_status tok_load(dn_tokenizer *t, const char *saved, size_t n)
{
    return dn_tok_load(t, saved, n, &tok_mem2, sizeof tok_mem2, err);
}

/* The same by the plainest means: rescan everything for every merge. */
struct naive {
    int n;                                /* symbols                                           */
    int id[TOK_TEXT];
    int first[TOK_TEXT + 1];              /* whether the symbol begins a chunk                 */
};

static int naive_kind(int c)
{
    if (c >= 128 || (c >= 65 && c <= 90) || (c >= 97 && c <= 122))
        return 'a';
    if (c >= 48 && c <= 57)
        return '1';
    if (c == 10 || c == 13)
        return 'n';
    return c == 32 || c == 9 || c == 11 || c == 12 ? ' ' : '.';
}

static int naive_white(int c)
{
    return naive_kind(c) == 'n' || naive_kind(c) == ' ';
}

/* Whether the text is cut before s[i], in a chunk that begins at s[start]. */
static int naive_cut(const unsigned char *s, size_t start, size_t i, size_t n)
{
    if (i - start == 64)
        return 1;
    if (naive_kind(s[i - 1]) != naive_kind(s[i]))
        return !(i - start == 1 && s[start] == ' ' && !naive_white(s[i]));
    return naive_white(s[i]) && s[i] == ' ' && i + 1 < n && !naive_white(s[i + 1]);
}

static void naive_split(struct naive *a, const unsigned char *s, size_t n)
{
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        a->id[i] = DN_SPECIALS + s[i];
        a->first[i] = i == 0 || naive_cut(s, start, i, n);
        if (a->first[i])
            start = i;
    }
    a->n = (int)n;
}

static void naive_merge(struct naive *a, int left, int right, int id)
{
    int n = 0;
    for (int i = 0; i < a->n; i++, n++) {
        const int joins = i + 1 < a->n && !a->first[i + 1]
                       && a->id[i] == left && a->id[i + 1] == right;
        a->first[n] = a->first[i];
        a->id[n] = joins ? id : a->id[i];
        i += joins;
    }
    a->n = n;
}

/* The count of the best pair; 0: none. */
static int naive_best(const struct naive *a, int *left, int *right)
{
    static int times[TOK_VOCAB][TOK_VOCAB];
    int best = 0;
    for (int i = 0; i + 1 < a->n; i++)
        if (!a->first[i + 1])
            times[a->id[i]][a->id[i + 1]]++;
    for (int i = 0; i + 1 < a->n; i++) {
        const int l = a->id[i], r = a->id[i + 1], count = times[l][r];
        if (!a->first[i + 1] && (count > best || (count == best
            && (l < *left || (l == *left && r < *right))))) {
            best = count;
            *left = l;
            *right = r;
        }
    }
    for (int i = 0; i + 1 < a->n; i++)
        times[a->id[i]][a->id[i + 1]] = 0;
    return best;
}

/* Learn merges into pair[] and return the vocabulary size. */
static int naive_train(struct naive *a, int max_vocab, size_t n, int (*pair)[2])
{
    int left = 0, right = 0, vocab = DN_MIN_VOCAB;
    naive_split(a, tok_text, n);
    for (; vocab < max_vocab && naive_best(a, &left, &right) >= 2; vocab++) {
        pair[vocab - DN_MIN_VOCAB][0] = left;
        pair[vocab - DN_MIN_VOCAB][1] = right;
        naive_merge(a, left, right, vocab);
    }
    return vocab;
}

/* The merges of a tokenizer, read from its saved text. */
static int tok_merges(const dn_tokenizer *t, int (*pair)[2])
{
    const size_t n = dn_tok_save(t, tok_saved, sizeof tok_saved - 1);
    const char *s = tok_saved;
    tok_saved[n] = '\0';
    s = strchr(strchr(s, ' ') + 1, ' ');
    for (int k = 0; k < t->vocab - DN_MIN_VOCAB; k++) {
        char *end;
        pair[k][0] = (int)strtol(s, &end, 10);
        pair[k][1] = (int)strtol(end, &end, 10);
        s = end;
    }
    return t->vocab;
}

static double t_tok_train(void)
{
    static int pair[TOK_VOCAB][2], want[TOK_VOCAB][2];
    static const int most[] = { DN_MIN_VOCAB, DN_MIN_VOCAB + 1, DN_MIN_VOCAB + 40, TOK_VOCAB };
    static struct naive a;
    dn_tokenizer t;
    for (int kind = 0; kind < TOK_KINDS; kind++)
        for (int k = 0; k < 16; k++) {
            const size_t n = tok_text_make(kind, (size_t)(k*k*4), 7u + (uint32_t)k);
            const int max_vocab = most[k%4];
            const int vocab = naive_train(&a, max_vocab, n, want);
            if (tok_train(&t, max_vocab, n) != DN_OK || t.vocab != vocab)
                return 1;
            tok_merges(&t, pair);
            if (memcmp(pair, want, (size_t)(vocab - DN_MIN_VOCAB)*sizeof *pair) != 0)
                return 2;
        }
    return 0;
}

static double t_tok_encode(void)
{
    static int pair[TOK_VOCAB][2];
    static struct naive a;
    dn_tokenizer t;
    for (int learnt = 0; learnt < TOK_KINDS; learnt++) {
        if (tok_train(&t, TOK_VOCAB, tok_text_make(learnt, TOK_TEXT, 1)) != DN_OK)
            return 1;
        tok_merges(&t, pair);
        for (int kind = 0; kind < TOK_KINDS; kind++) {
            const size_t n = tok_text_make(kind, 700, 99);
            naive_split(&a, tok_text, n);
            for (int id = DN_MIN_VOCAB; id < t.vocab; id++)
                naive_merge(&a, pair[id - DN_MIN_VOCAB][0], pair[id - DN_MIN_VOCAB][1], id);
            if (dn_tok_encode(&t, tok_text, n, tok_ids, n) != (size_t)a.n)
                return 2;
            if (memcmp(tok_ids, a.id, (size_t)a.n*sizeof *a.id) != 0)
                return 3;
        }
    }
    return 0;
}

static double t_tok_lossless(void)
{
    dn_tokenizer t;
    if (tok_train(&t, TOK_VOCAB, tok_text_make(5, TOK_TEXT, 3)) != DN_OK)
        return 1;
    for (int kind = 0; kind < TOK_KINDS; kind++)
        for (size_t n = 0; n < 300; n++) {
            tok_text_make(kind, n, (uint32_t)n);
            const size_t ids = dn_tok_encode(&t, tok_text, n, NULL, 0), some = ids/2;
            if (ids > n || (n > 0 && ids == 0))
                return 2;
            tok_ids[ids] = tok_ids2[some] = -1;
            if (dn_tok_encode(&t, tok_text, n, tok_ids, ids) != ids || tok_ids[ids] != -1)
                return 3;
            if (dn_tok_encode(&t, tok_text, n, tok_ids2, some) != ids || tok_ids2[some] != -1
                || memcmp(tok_ids, tok_ids2, some*sizeof *tok_ids) != 0)
                return 4;
            tok_back[n] = tok_back[n/2] = 0x5a;
            if (dn_tok_decode(&t, tok_ids, ids, tok_back, n/2) != n || tok_back[n/2] != 0x5a
                || memcmp(tok_back, tok_text, n/2) != 0)
                return 5;
            if (dn_tok_decode(&t, tok_ids, ids, tok_back, n) != n || tok_back[n] != 0x5a
                || memcmp(tok_back, tok_text, n) != 0)
                return 6;
        }
    return 0;
}

static double t_tok_cut(void)
{
    dn_tokenizer t;
    if (tok_train(&t, TOK_VOCAB, tok_text_make(5, TOK_TEXT, 3)) != DN_OK)
        return 1;
    for (int kind = 0; kind < TOK_KINDS; kind++)
        for (size_t piece = 65; piece < 200; piece++) {
            const size_t n = tok_text_make(kind, 700, (uint32_t)piece);
            const size_t ids = dn_tok_encode(&t, tok_text, n, tok_ids, n);
            size_t count = 0;
            for (size_t at = 0, size; at < n; at += size) {
                size = n - at > piece ? dn_tok_cut(tok_text + at, piece) : n - at;
                if (n - at > piece && (size + 64 < piece || size > piece))
                    return 2;
                count += dn_tok_encode(&t, tok_text + at, size, tok_ids2 + count, n - count);
            }
            if (count != ids || memcmp(tok_ids, tok_ids2, ids*sizeof *tok_ids) != 0)
                return 3;
        }
    return dn_tok_cut(tok_text, 64) != 0;
}

static double t_tok_plain_bytes(void)
{
    static const int odd[] = { DN_BOS, DN_SPECIALS + 'a', DN_EOS, DN_MASK, -1, INT_MIN, INT_MAX,
                               DN_MIN_VOCAB, DN_SPECIALS + 'b' };
    dn_tokenizer t;
    for (int empty = 0; empty < 2; empty++) {
        const int max_vocab = empty ? TOK_VOCAB : DN_MIN_VOCAB;
        if (tok_train(&t, max_vocab, empty ? 0 : tok_text_make(2, 500, 1)) != DN_OK)
            return 1;
        if (t.vocab != DN_MIN_VOCAB || dn_tok_encode(&t, NULL, 0, NULL, 0) != 0)
            return 2;
        for (int b = 0; b < 256; b++) {
            const unsigned char byte = (unsigned char)b;
            int id;
            if (dn_tok_encode(&t, &byte, 1, &id, 1) != 1 || id != DN_SPECIALS + b)
                return 3;
        }
        if (dn_tok_decode(&t, odd, sizeof odd/sizeof *odd, tok_back, 8) != 2
            || memcmp(tok_back, "ab", 2) != 0)
            return 4;
    }
    return 0;
}

/* The rules of splitting, seen from outside: a chunk that occurs often enough becomes one id. */
static double t_tok_split(void)
{
    static const char text[] = "ab  cd1\n\n  e\t f.;\r\n\n \n";
    static const int size[] = { 2, 1, 3, 1, 2, 1, 2, 1, 2, 2, 3, 1, 1 };
    const size_t n = sizeof text - 1, count = sizeof size/sizeof *size;
    dn_tokenizer t;
    for (size_t k = 0; k < 6*n; k++)                    /* each copy ends in a newline: a cut */
        tok_text[k] = (unsigned char)text[k%n];
    if (tok_train(&t, TOK_VOCAB, 6*n) != DN_OK)
        return 1;
    if (dn_tok_encode(&t, text, n, tok_ids, TOK_TEXT) != count)
        return 2;
    for (size_t k = 0; k < count; k++)
        if (dn_tok_decode(&t, tok_ids + k, 1, NULL, 0) != (size_t)size[k])
            return 3;
    memset(tok_text, 'x', TOK_TEXT);                    /* 18 times 64 and 48 */
    if (tok_train(&t, TOK_VOCAB, TOK_TEXT) != DN_OK)
        return 4;
    if (dn_tok_encode(&t, tok_text, TOK_TEXT, tok_ids, TOK_TEXT) != 18 + 2
        || dn_tok_decode(&t, tok_ids, 1, NULL, 0) != 64)
        return 5;
    return 0;
}

/* The counts are " x" 4, then zy, " xv" and " xw" 2: the smaller left id, then right id first. */
static double t_tok_ties(void)
{
    static const char text[] = "zy zy xw xw xv xv";
    static const char want[] = "bpe1 263 35 123 125 124 259 121 259 122.";
    dn_tokenizer t;
    memcpy(tok_text, text, sizeof text - 1);
    if (tok_train(&t, TOK_VOCAB, sizeof text - 1) != DN_OK)
        return 1;
    return dn_tok_save(&t, tok_saved, TOK_SAVED) != sizeof want - 1
        || memcmp(tok_saved, want, sizeof want - 1) != 0;
}

static double t_tok_memory(void)
{
    const size_t n = tok_text_make(6, 200, 5);
    const size_t mem = dn_tok_bytes(TOK_VOCAB), scratch = dn_tok_train_bytes(TOK_VOCAB, n);
    dn_tokenizer t;
    if (mem == 0 || scratch == 0 || dn_tok_bytes(DN_MIN_VOCAB) == 0
        || dn_tok_bytes(DN_MIN_VOCAB - 1) != 0 || dn_tok_bytes(-1) != 0
        || dn_tok_bytes(1 << 20) == 0 || dn_tok_bytes((1 << 20) + 1) != 0
        || dn_tok_bytes(INT_MAX) != 0 || dn_tok_train_bytes(TOK_VOCAB, SIZE_MAX) != 0)
        return 1;
    for (size_t k = 0; k < mem; k++)
        if (dn_tok_train(&t, TOK_VOCAB, tok_text, n, (dn_block){ &tok_mem, k },
                         (dn_block){ &tok_scratch, scratch }, err)
            != DN_ENOMEM)
            return 2;
    for (size_t k = 0; k < scratch; k++)
        if (dn_tok_train(&t, TOK_VOCAB, tok_text, n, (dn_block){ &tok_mem, mem },
                         (dn_block){ &tok_scratch, k }, err)
            != DN_ENOMEM)
            return 3;
    for (int fill = 0; fill < 256; fill += 85) {        /* what was in memory does not matter */
        memset(&tok_mem, fill, sizeof tok_mem);
        memset(&tok_scratch, fill, sizeof tok_scratch);
        if (dn_tok_train(&t, TOK_VOCAB, tok_text, n, (dn_block){ &tok_mem, mem },
                         (dn_block){ &tok_scratch, scratch }, err) != DN_OK)
            return 4;
        if (tok_mem.byte[mem] != fill || tok_scratch.byte[scratch] != fill)
            return 5;
        const size_t saved = dn_tok_save(&t, fill == 0 ? tok_saved : tok_saved2, TOK_SAVED);
        if (fill > 0 && memcmp(tok_saved, tok_saved2, saved) != 0)
            return 6;
    }
    if (dn_tok_train(&t, DN_MIN_VOCAB - 1, tok_text, n, (dn_block){ &tok_mem, mem },
                     (dn_block){ &tok_scratch, scratch }, err) != DN_EINVAL
        || dn_tok_train(&t, TOK_VOCAB, tok_text, ((size_t)1 << 28) + 1, (dn_block){ &tok_mem, mem },
                        (dn_block){ &tok_scratch, scratch }, err) != DN_EINVAL)
        return 7;
    return 0;
}

static double t_tok_saved(void)
{
    dn_tokenizer t, u;
    for (int kind = 0; kind < TOK_KINDS; kind++) {
        if (tok_train(&t, TOK_VOCAB, tok_text_make(kind, TOK_TEXT, 11)) != DN_OK)
            return 1;
        const size_t n = dn_tok_save(&t, NULL, 0);
        tok_saved[n/2] = '#';
        if (n > TOK_SAVED || dn_tok_save(&t, tok_saved, n/2) != n || tok_saved[n/2] != '#')
            return 2;
        dn_tok_save(&t, tok_saved, n);
        for (size_t k = 0; k < n; k++)
            if (tok_saved[k] < 32 || tok_saved[k] > 126 || strchr("\"\\", tok_saved[k]) != NULL)
                return 3;
        if (dn_tok_vocab_of(tok_saved, n) != t.vocab || tok_load(&u, tok_saved, n) != DN_OK)
            return 4;
        if (dn_tok_save(&u, tok_saved2, n) != n || memcmp(tok_saved, tok_saved2, n) != 0)
            return 5;
        const size_t ids = dn_tok_encode(&t, tok_text, TOK_TEXT, tok_ids, TOK_TEXT);
        if (dn_tok_encode(&u, tok_text, TOK_TEXT, tok_ids2, TOK_TEXT) != ids
            || memcmp(tok_ids, tok_ids2, ids*sizeof *tok_ids) != 0)
            return 6;
        const size_t need = dn_tok_bytes(t.vocab);
        for (size_t k = 0; k < need; k++)
            if (dn_tok_load(&u, tok_saved, n, &tok_mem2, k, err) != DN_ENOMEM)
                return 7;
        if (dn_tok_load(&u, tok_saved, n, &tok_mem2, need, err) != DN_OK)
            return 8;
    }
    return 0;
}

static double t_tok_damaged(void)
{
    static const unsigned char wrong[] = { '0', '1', '9', ' ', '.', '-', 0, 255 };
    const size_t text = tok_text_make(6, 300, 2);
    dn_tokenizer t, u;
    if (tok_train(&t, TOK_VOCAB, text) != DN_OK)
        return 1;
    const size_t n = dn_tok_save(&t, tok_saved, TOK_SAVED);
    for (size_t k = 0; k < n; k++)
        if (tok_load(&u, tok_saved, k) != DN_EFORMAT)
            return 2;
    tok_saved[n] = ' ';
    if (tok_load(&u, tok_saved, n + 1) != DN_EFORMAT)
        return 3;
    for (size_t k = 0; k < n; k++)
        for (size_t w = 0; w < sizeof wrong; w++) {
            const char was = tok_saved[k];
            tok_saved[k] = (char)wrong[w];
            const dn_status status = tok_load(&u, tok_saved, n);
            if (status == DN_OK) {
                if (dn_tok_save(&u, tok_saved2, n) != n || memcmp(tok_saved, tok_saved2, n) != 0)
                    return 4;
                const size_t ids = dn_tok_encode(&u, tok_text, text, tok_ids, text);
                if (dn_tok_decode(&u, tok_ids, ids, tok_back, text) != text
                    || memcmp(tok_back, tok_text, text) != 0)
                    return 5;
            } else if (status != DN_EFORMAT)
                return 6;
            tok_saved[k] = was;
        }
    return 0;
}

static double t_tok_refused(void)
{
    static const char *const bad[] = {
        "", "bpe1", "bpe1 ", "bpe1.", "bpe2 259.", "bpe1 258.", "bpe1 0259.", "bpe1  259.",
        "bpe1 259", "bpe1 259 .", "bpe1 259..", "bpe1 259.x", "bpe1 99999999999999999999.",
        "bpe1 1048576 3 4.", "bpe1 260 3 4", "bpe1 260 3.4.", "bpe1 260 3  4.",
        "bpe1 260 2 4.", "bpe1 260 4 2.", "bpe1 260 259 4.", "bpe1 260 4 259.", "bpe1 260 -4 4.",
        "bpe1 260 04 4.", "bpe1 260 4 4 4.", "bpe1 261 3 4 3 4.", "bpe1 261 3 4 259 260.",
        "bpe1 266 3 3 259 259 260 260 261 261 262 262 263 263 264 264.",
    };
    static const char *const good[] = {
        "bpe1 259.", "bpe1 260 3 4.", "bpe1 261 3 4 4 3.",
        "bpe1 265 3 3 259 259 260 260 261 261 262 262 263 263.",
    };
    dn_tokenizer t;
    for (size_t k = 0; k < sizeof bad/sizeof *bad; k++) {
        if (!refused(tok_load(&t, bad[k], strlen(bad[k])), DN_EFORMAT))
            return 1 + (double)k;
    }
    for (size_t k = 0; k < sizeof good/sizeof *good; k++)
        if (tok_load(&t, good[k], strlen(good[k])) != DN_OK)
            return 101 + (double)k;
    return 0;
}

/* A saved text whose pairs all want the same few slots; the hash is tokenizer.c's. */
static double t_tok_crowded(void)
{
    const uint32_t mask = 2047;                         /* for 300 merges */
    int merges = 0, left = DN_SPECIALS, right = DN_SPECIALS;
    char *s = tok_saved;
    dn_tokenizer t;
    s += sprintf(s, "bpe1 %d", TOK_VOCAB);
    for (; merges < TOK_VOCAB - DN_MIN_VOCAB && left < DN_MIN_VOCAB; right++) {
        uint32_t h = (uint32_t)left*0x9E3779B1u + (uint32_t)right;
        h = (h ^ h >> 15)*0x85EBCA6Bu;
        h ^= h >> 13;
        if ((h & mask) < 10) {
            s += sprintf(s, " %d %d", left, right);
            merges++;
        }
        if (right == DN_MIN_VOCAB - 1) {
            right = DN_SPECIALS - 1;
            left++;
        }
    }
    *s++ = '.';
    return merges < TOK_VOCAB - DN_MIN_VOCAB
        || tok_load(&t, tok_saved, (size_t)(s - tok_saved)) != DN_EFORMAT;
}

/* ---- the table --------------------------------------------------------------------------- */

/* Rows without a place end after f32; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct test {
    const char *key, *claim;
    double (*error)(void);                /* what is measured                                  */
    double f64, f32;                      /* at most this; negative: not a row of this build   */
    double low;                           /* at least this                                     */
    const char *what, *place;             /* what the number is; where the paper states it     */
} tests[] = {
    /* A values */
    { "eq:residual eq:deepnorm eq:post-ln eq:pre-ln eq:r-fixup eq:t-fixup eq:rezero "
      "eq:normformer eq:dlcl eq:sub-ln eq:ln-scaling eq:peri-ln eq:keel eq:olmo "
      "eq:completep eq:mix-ln dev:quarter op:place op:rmsnorm dev:eps",
      "each scheme's logits and losses are the plain model's",
      t_value_norm, 1e-12, 2e-5 },
    { "op:activation", "the same with each activation", t_value_activation, 1e-12, 2e-5 },
    { "op:positions", "the same with each kind of positions", t_value_positions, 1e-12, 2e-5 },
    { "rule:tie", "the same with embeddings tied or not", t_value_tie, 1e-12, 2e-5 },
    { "rule:bias", "the same with biases and without", t_value_bias, 1e-12, 2e-5 },
    { "rule:shapes", "the same for odd widths and head counts", t_value_shapes, 1e-12, 5e-5 },
    { "rule:long", "the same for long sequences and many ids", t_value_long, 1e-12, 5e-5 },
    { "tab:alpha-beta", "alpha and beta have the paper's values",
      t_alpha_beta_values, 5.1e-7, 5.1e-7, 0, "error", "figure 2(b)" },
    { "tab:alpha-beta", "alpha and beta are the formulas at any depth",
      t_alpha_beta_formula, 1e-14, 1e-14, 0, "error", "figure 2(b)" },
    { "tab:schemes eq:gpt-init eq:deepscalelm dev:moments dev:base-depth",
      "each scheme's skip and gain are formulas, in every layer",
      t_gains, 1e-14, 1e-14 },
    { "eq:init eq:xavier eq:post-ln-init eq:ds-init dev:embedding",
      "each tensor has its deviation (in standard errors)", t_init, 4.5, 4.5 },
    { "eq:init", "initial values depend on the seed and the tensor only", t_init_seed, 0, 0 },
    { "eq:admin", "Admin's profile is the plain model's", t_profile, 1e-12, 2e-5 },
    { "rule:schedule eq:inv-sqrt", "each schedule is its formula", t_schedule, 1e-13, 1e-13 },
    { "rule:shuffle", "dn_shuffle is a permutation for each size", t_shuffle, 0, 0 },
    { "rule:shuffle", "each place is equally likely (in standard errors)",
      t_shuffle_uniform, 4, 4 },
    { "rule:random", "bits do not depend on their neighbours (standard errors)",
      t_random, 5, 5 },
    { "rng:golden", "the stream of random numbers has not changed", t_rng_golden, 0, 0 },
    { "rng:avalanche", "each input bit turns half of the output (in deviations)",
      t_rng_avalanche, 5, 5 },
    { "rng:bytes", "each byte is uniform (chi-square, in deviations)", t_rng_bytes, 5, 5 },
    { "rng:correlation", "neighbours are not correlated (in deviations)",
      t_rng_correlation, 5, 5 },
    { "rng:moments", "moments of uniform and normal (in deviations)", t_rng_moments, 5, 5 },
    { "op:exp", "e^x in the inner loops (ulp)", t_exp_real, 1.5, 1.5 },
    { "op:erf", "erf near zero (ulp)", t_erf_real, 5, 5 },
    { "op:erf", "erf far from zero (ulp)", t_erf_real_far, 20, 4 },
    { "op:tanh", "tanh (ulp)", t_tanh_real, 4, 4 },
    { "op:exp", "e^x for statistics (ulp)", t_exp_acc, 1.5, 1.5 },
    { "op:log", "ln x for statistics (ulp)", t_log_acc, 2.5, 2.5 },
    { "op:sin-cos", "sin and cos (in units of 2^-53)", t_sin_cos_acc, 2, 2 },
    { "op:special", "zeros, infinities and NaN where libm has them", t_special_values, 0, 0 },
    { "op:activation", "far out it is x or 0, its slope 1 or 0", t_activation_far, 0, 0 },
    { "op:matmul", "a product is the plain chain of multiply-adds, to the bit", t_matmul, 0, 0 },
    { "rule:sums", "a sum of an array has each number once", t_sum_all, 0, 0 },
    { "op:dropout", "0 with probability p, else x/(1 - p) (in standard errors)",
      t_drop_row, 4.5, 4.5 },
    { "rule:sample", "ids come in the shares of temperature, top-k and top-p",
      t_sample, 1e-4, 1e-4 },
    { "op:mlm", "15 % are scored: 80, 10, 10 (in standard errors)", t_mask_shares, 4, 4 },
    { "op:mlm", "masks belong to a token's place in the run", t_mask_index, 0, 0 },
    /* B gradients */
    { "op:layernorm", "its derivatives are central differences", t_grad_norm, 1e-9, -1 },
    { "op:rmsnorm", "its derivatives are central differences", t_grad_rms, 1e-9, -1 },
    { "op:attention", "its derivatives are central differences", t_grad_attention, 1e-9, -1 },
    { "grad:residual eq:residual eq:deepnorm op:linear op:column-sum",
      "each scheme's gradient is the slope (gelu)", t_grad_gelu, 1e-8, 1e-4 },
    { "grad:recompute", "the same recomputed (gelu-tanh, learned positions)",
      t_grad_learned, 1e-8, 1e-4 },
    { "grad:relu", "the same with relu", t_grad_relu, 2e-6, 1e-4 },
    { "grad:dropout", "the same with all kinds of dropout", t_grad_dropout, 1e-8, -1 },
    { "grad:dropout", "the same with dropout, recomputed", t_grad_dropout2, 1e-8, -1 },
    { "grad:tie", "the same tied or not, with label smoothing", t_grad_untied, 1e-8, 1e-4 },
    { "grad:long", "the same for long sequences and many ids", t_grad_long, 1e-8, 1e-4 },
    { "grad:wide", "the same for wide streams", t_grad_wide, 1e-8, 1e-4 },
    { "grad:sum", "gradients of several batches add up", t_grad_adds, 1e-14, 1e-5 },
    /* C golden numbers */
    { "golden:pytorch op:linear op:layernorm op:attention op:embedding op:cross-entropy eq:adam",
      "loss, gradients and three steps of Adam are PyTorch's",
      t_golden, 1e-12, 1e-4 },
    { "golden:profile eq:admin", "Admin's profile is PyTorch's", t_golden_profile, 1e-12, 1e-5 },
    /* D properties */
    { "prop:alone", "a sequence's logits do not depend on its batch", t_alone, 0, 0 },
    { "prop:causal", "no decoder sees a later token, an encoder sees all", t_causal, 0, 0 },
    { "prop:cross", "the target sees all of its source, and no other", t_cross, 0, 0 },
    { "rule:threads", "1 to 4 threads give the same bits", t_threads, 0, 0 },
    { "rule:apart", "models and generators in threads at once are as each alone", t_apart,
      AT_ONCE, AT_ONCE },
    { "rule:parts", "a gradient is a tree of parts that run by themselves", t_parts_tree, 0, 0 },
    { "rule:parts", "desks, threads, halves: who computes a part changes no bit", t_parts_shared,
      0, 0 },
    { "rule:parts", "evaluation and logits know no parts; what is refused", t_parts_elsewhere,
      0, 0 },
    { "rule:parts", "there is always an array for a gradient", t_parts_arrays, 0, 0 },
    { "rule:recompute", "keeping and recomputing give the same bits", t_recompute, 0, 0 },
    { "rule:state", "what a pass leaves is what it computed with", t_state, 1e-14, 1e-5 },
    { "rule:inspect", "states and weights of a pass are the plain model's", t_inspect,
      1e-13, 2e-5 },
    { "rule:inspect", "ln p of each label is the plain model's", t_log_p, 1e-13, 2e-5 },
    { "eq:completep eq:adam", "eps, or eps and lr, times b in sub-layers alone",
      t_scaled_adam, 1e-11, 1e-3 },
    { "rule:accumulate", "two micro-batches are one batch", t_accumulate, 1e-12, 2e-5 },
    { "rule:dropout", "masks belong to the step, and are off in evaluation",
      t_dropout_masks, 0, 0 },
    { "rule:dropout", "equal sequences and micro-batches get masks of their own",
      t_dropout_apart, 0, 0 },
    { "rule:learns", "each scheme learns to reverse (loss)", t_learns, 0.3, 0.3 },
    { "rule:bits", "50 steps end in the known bits", t_hash, 0, 0 },
    { "rule:bits", "its parts have the known bits, each by itself", t_hash_parts,
      -NARROW, -NARROW },
    { "gen:cache", "generation by pieces gives the bits of the whole", t_cached, 0, 0 },
    { "gen:greedy", "a beam of 1 takes the largest logit each time", t_greedy, 0, 0 },
    { "gen:beam op:beam", "a beam as wide as all translations finds the best", t_beam, 0, 0 },
    { "gen:beam op:beam", "a narrow beam finds all that fairseq's would", t_beam_plain, 0, 0 },
    { "gen:beam op:beam", "sources together are translated as each alone", t_beam_rows, 0, 0 },
    { "gen:progress", "beam search says how far it is, and stops when told to", t_progress, 0, 0 },
    { "file:load fmt:safetensors", "a loaded model is the saved one, in any order of tensors",
      t_save_load, 0, 0 },
    { "file:load", "a loaded model takes over what the file says", t_load_over, 0, 0 },
    { "file:load", "borrowed parameters compute the same and stay as they are", t_borrow, 0, 0 },
    { "file:config", "a file's configuration is the one saved", t_saved_config, 0, 0 },
    { "file:resume", "half the steps, saved and resumed, write the same file", t_resume, 0, 0 },
    { "file:entries", "any program's tensors are shown", t_entries, 0, 0 },
    { "file:types", "numbers of 16, 32 and 64 bits are read as what they are", t_types, 0, 0 },
    { "file:notes", "notes come back, and no more than fits is written", t_notes, 0, 0 },
    { "file:notes", "bad notes are refused", t_bad_notes, 0, 0 },
    { "file:bytes", "the file has the known bytes", t_file_bytes, 0, 0 },
    /* E failures */
    { "fail:truncated", "a file cut at any byte is refused", t_truncated, 0, 0 },
    { "fail:header", "a header with any byte wrong is refused, or says the same",
      t_header_bytes, 0, 0 },
    { "fail:header", "a header of a model larger than the file is refused", t_too_large, 0, 0 },
    { "fail:fields", "without a checksum, each field is checked", t_header_fields, 0, 0 },
    { "fail:fields", "a well-formed field with a wrong value is refused", t_header_hostile, 0, 0 },
    { "fail:fields", "what another program did to a file is named", t_header_sentences, 0, 0 },
    { "fail:fields", "a value that is not finite is refused by name", t_not_finite, 0, 0 },
    { "fail:header", "a header that others could not read is not written", t_header_limit, 0, 0 },
    { "fail:fields", "a tensor moved from its place is refused", t_header_offsets, 0, 0 },
    { "fail:fuzz", "random damage is refused, or harmless", t_fuzz, 0, 0 },
    { "fail:data", "data with any bit wrong is refused", t_data_bytes, 0, 0 },
    { "fail:other", "a file of a model of another size is refused", t_other_model, 0, 0 },
    { "fail:callbacks", "a callback that fails at any call is reported", t_callbacks, 0, 0 },
    { "fail:arena", "every size below the need is refused, and the need kept", t_arena, 0, 0 },
    { "fail:arena", "the same for generators", t_generator_arena, 0, 0 },
    { "fail:sizes", "extreme sizes, two at a time, are refused or work", t_sizes, 0, 0 },
    { "fail:config", "each field beyond its range is refused by name", t_config_range, 0, 0 },
    { "fail:config", "text that is no value is refused", t_config_text, 0, 0 },
    { "fail:config", "each field's text reads back to the same value",
      t_config_round_trip, 0, 0 },
    { "fail:config", "a plain number keeps its text", t_config_plain, 0, 0 },
    { "fail:config", "settings that contradict each other are refused", t_config_check, 0, 0 },
    { "fail:reconfigure", "sizes and seed may not change", t_reconfigure, 0, 0 },
    { "fail:batch", "wrong tokens, labels and lengths are refused", t_bad_batch, 0, 0 },
    { "fail:call", "a call the model was not made for is refused", t_bad_call, 0, 0 },
    { "fail:generation", "generators refuse wrong tokens, lengths and sizes",
      t_bad_generation, 0, 0 },
    { "fail:diverged", "a value that is not finite is named and not applied", t_diverged, 0, 0 },
    { "fail:diverged", "the same for parameters too large to compute with",
      t_diverged_forward, 0, 0 },
    { "fail:diverged", "the same for a gradient that is not finite", t_diverged_backward, 0, 0 },
    /* only when asked for by name */
    { "large:infer", "2^31 parameters: each has its place", t_large_infer, -1, 0 },
    { "large:file", "2^31 bytes of them come back from a file", t_large_file, -1, 0 },
    { "large:train", "... their gradients and steps are those of the formula",
      t_large_train, -1, 1e-3 },
    /* F the paper's claims */
    { "tab:alpha-beta", "alpha beta = 1/sqrt 2, but for enc-dec's encoder",
      t_identity_product, 1e-14, 1e-14, 0, "error", "figure 2(b)" },
    { "tab:alpha-beta", "alpha/beta = 2 sqrt N, or sqrt 6M",
      t_identity_quotient, 1e-14, 1e-14, 0, "error", "figure 2(b)" },
    { "eq:coefficients", "2N 2 beta^2/alpha^2 = 1 for a single stack",
      t_coefficient_single, 1e-14, 1e-14, 0, "error", "eq. (16)-(17)" },
    { "eq:coefficients", "(1), second term: 3M 2 beta^2/alpha^2 = 1",
      t_coefficient_second, 1e-14, 1e-14, 0, "error", "eq. (2)" },
    { "eq:coefficients", "(1), first term: 1, more with 0.81 and 0.87",
      t_coefficient_first, 1.0125, 1.0125, 1.012, "value", "eq. (14)-(15)" },
    { "eq:coefficients", "... but 1 with 27^(-1/16) and 27^(1/16)/sqrt 2",
      t_coefficient_exact, 1e-14, 1e-14, 0, "error", "eq. (14)-(15)" },
    { "eq:scalar", "LayerNorm divides ax + vwz by sqrt(a^2 + v^2w^2)",
      t_norm_divides, 1e-5, 1e-5, 0, "error", "eq. (4), (11)" },
    { "eq:scalar", "(5) and (12) are slopes of (4) and (11)",
      t_scalar_derivatives, 1e-10, 1e-10, 0, "error", "eq. (5), (12)" },
    { "eq:scalar", "they are at most wx/alpha, vx/alpha; vw/alpha",
      t_scalar_bounds, 1, 1, 0, "ratio", "eq. (5), (12)" },
    { "eq:scalar", "(5) is 0 where Post-LN is, alpha = v = w = 1",
      t_scalar_post_ln, 1e-8, 1e-8, 0, "slope", "eq. (5)" },
    { "eq:scalar", "(8) takes for 1 a product that is 6.4 at N = 100",
      t_scalar_product, 6.5, 6.5, 6.3, "value", "eq. (7)-(8)" },
    { "eq:ln-jacobian", "LayerNorm's Jacobian: its norm is sqrt(d)/|x - mean|",
      t_norm_jacobian, 1e-9, 1e-5, 0, "error", "section 3" },
    { "lemma:magnitude", "attention: no row is longer than all values",
      t_lemma, 1 + 1e-14, 1 + 1e-6, 0, "ratio", "lemma 4.1" },
    { "lemma:magnitude", "... as long, if the values are equal",
      t_lemma_equal, 1e-14, 1e-6, 0, "error", "lemma 4.1" },
    { "lemma:magnitude", "... but about 1/4 of it, if 16 are independent",
      t_lemma_shrinks, 0.35, 0.35, 0.15, "ratio", "lemma 4.1" },
    { "thm:single", "DeepNorm: ||dF|| to its bound, N = 6..100",
      t_thm_single, 1.5, 1.5, 0, "max/min", "theorem 4.2" },
    { "thm:single", "... so a constant; but not <= 1, as printed",
      t_thm_single_constant, 4, 4, 1, "largest", "theorem 4.2" },
    { "thm:single", "Post-LN: ||dF|| to its bound with a = v = w = 1",
      t_thm_post_ln_constant, 60, -1, 1, "largest", "theorem 4.2" },
    { "thm:enc-dec", "DeepNorm: ||dF|| to its bound, N = M = 6..100",
      t_thm_enc_dec, 1.5, 1.5, 0, "max/min", "theorem 4.3" },
    { "thm:enc-dec", "... so a constant; but not <= 1, as printed",
      t_thm_enc_dec_constant, 4, 4, 1, "largest", "theorem 4.3" },
    { "thm:enc-dec", "first term, decoder held: within that constant",
      t_thm_first_term, 4, -1, 0, "largest", "theorem 4.3" },
    { "thm:enc-dec", "... and its share of ||dF|| falls to 1 %",
      t_share_deepnorm, 1.5, -1, 0, "percent", "theorem 4.3" },
    { "thm:enc-dec", "Post-LN: the encoder's share is nearly all",
      t_share_post_ln, 1.1, -1, 0.8, "smallest", "theorem 4.3" },
    { "thm:update", "DeepNorm, encoder: ||dF|| flat, N = 6..100",
      t_goal_enc, 1.5, 1.5, 0, "max/min", "4.3, the goal" },
    { "thm:update", "DeepNorm, decoder: ||dF|| flat, M = 6..100",
      t_goal_dec, 1.5, 1.5, 0, "max/min", "4.3, the goal" },
    { "thm:update", "DeepNorm, enc-dec: ||dF|| flat, N = M = 6..100",
      t_goal_both, 1.5, 1.5, 0, "max/min", "figure 5" },
    { "thm:update", "Post-LN, encoder: ||dF|| grows",
      t_post_ln_enc, INFINITY, -1, 10, "100 to 6", "4.3, the goal" },
    { "thm:update", "Post-LN, decoder: ||dF|| grows",
      t_post_ln_dec, INFINITY, -1, 10, "100 to 6", "4.3, the goal" },
    { "thm:update", "Post-LN, enc-dec: ||dF|| grows",
      t_post_ln_both, INFINITY, -1, 10, "100 to 6", "figure 5" },
    { "thm:update", "DeepNorm: ||dF||/eta flat, eta = 1..1e-4",
      t_linear, 1.05, 1.05, 0, "max/min", "4.3, the goal" },
    { "thm:update", "Post-LN: it is not: near eta = 1 it saturates",
      t_not_linear, INFINITY, -1, 100, "max/min", "4.3, the goal" },
    { "thm:update", "Post-LN-init: ||dF|| nearly flat",
      t_init_flat, 2, -1, 0, "max/min", "section 3" },
    { "thm:update", "... but larger than DeepNorm's at each depth",
      t_init_larger, INFINITY, -1, 4, "smallest", "section 3" },
    { "thm:update", "alpha without beta: ||dF|| grows",
      t_alpha_only, INFINITY, -1, 5, "100 to 6", "section 4.3" },
    { "thm:update", "beta without alpha: ||dF|| grows",
      t_beta_only, INFINITY, -1, 2, "100 to 6", "section 4.3" },
    { "thm:update", "beta = (8N)^(+1/4): ||dF|| to DeepNorm's",
      t_flipped, INFINITY, -1, 20, "smallest", "section 4.3" },
    { "thm:adam", "Adam, DeepNorm, encoder: ||dF|| as sqrt N",
      t_adam, 0.7, -1, 0.3, "slope", "theorem 4.2" },
    { "thm:adam", "Adam, DeepNorm, enc-dec: ||dF|| as sqrt N",
      t_adam_both, 0.7, -1, 0.3, "slope", "figure 5" },
    { "thm:adam", "Adam, Post-LN, encoder: ||dF|| grows faster",
      t_adam_post_ln, INFINITY, -1, 1, "slope", "figure 5" },
    { "fig:gradients", "18L-18L decoder, DeepNorm: gradients are flat",
      t_gradients_deepnorm, 2, 2, 0, "max/min", "figure 4(d)" },
    { "fig:gradients", "Post-LN: they vanish downwards (top to bottom)",
      t_gradients_post_ln, INFINITY, INFINITY, 100, "ratio", "figure 4(d)" },
    { "fig:gradients", "Post-LN-init: the lowest to Post-LN's lowest",
      t_gradients_init, INFINITY, INFINITY, 10, "ratio", "figure 4(d)" },
    /* G the tokenizer */
    { "tok:train", "merges are those of the plainest rescan", t_tok_train, 0, 0 },
    { "tok:encode", "the ids of any text are those of the plainest means", t_tok_encode, 0, 0 },
    { "tok:lossless", "every text comes back, and no call writes too much", t_tok_lossless, 0, 0 },
    { "tok:cut", "a text in pieces has the same ids", t_tok_cut, 0, 0 },
    { "tok:bytes", "without merges an id is a byte", t_tok_plain_bytes, 0, 0 },
    { "tok:split", "merges stay within words, numbers, spaces and 64 bytes", t_tok_split, 0, 0 },
    { "tok:ties", "of equal counts the smaller ids merge first", t_tok_ties, 0, 0 },
    { "tok:memory", "less memory than the need is refused, and the need kept", t_tok_memory, 0, 0 },
    { "tok:saved", "a saved tokenizer loads as the same", t_tok_saved, 0, 0 },
    { "tok:damaged", "a damaged tokenizer is refused, or is what it says", t_tok_damaged, 0, 0 },
    { "tok:refused", "each wrong sentence of the format is refused", t_tok_refused, 0, 0 },
    { "tok:crowded", "a hostile hash table is refused", t_tok_crowded, 0, 0 },
};

/* Does any of the row's keys begin with start? */
static int has_key(const struct test *t, const char *start)
{
    for (const char *k = t->key; k; k = strchr(k, ' ')) {
        k += *k == ' ';
        if (!strncmp(k, start, strlen(start)))
            return 1;
    }
    return 0;
}

static void bound_text(char *text, size_t size, const struct test *t, double high)
{
    if (t->low > 0 && high < INFINITY)
        snprintf(text, size, "%.5g..%.5g", t->low, high);
    else if (t->low > 0)
        snprintf(text, size, ">= %g", t->low);
    else if (high >= 0.01)
        snprintf(text, size, "<= %g", high);
    else
        snprintf(text, size, "<= %.1e", high);
}

/* The error that a row may have in this build.  With -DDN_ACC=float nothing but bits is nearer than
 * 1e-6. */
static double bound_of(const struct test *t)
{
    const double high = sizeof(dn_real) == sizeof(double) ? t->f64 : t->f32;
    return NARROW && high > 0 && high < 1e-6 ? 1e-6 : high;
}

/* Run a row and print its line, of the paper's statements if paper is set.  1: passed. */
static int run_test(const struct test *t, int paper)
{
    const double high = bound_of(t), usual = start_work;
    const unsigned small = small_gradients;
    char bound[32], found[32];
    detail[0] = err[0] = '\0';
    const double e = t->error();
    start_work = usual;
    small_gradients = small;
    const int ok = e >= t->low && e <= high;            /* false for NaN too */
    free_blocks();
    snprintf(found, sizeof found, e < 0.001 ? "%.1e" : "%.4g", e);
    bound_text(bound, sizeof bound, t, high);
    if (paper)
        printf("%-48s %-13s %-8s %-7s %-13s %s\n", t->claim, t->place, t->what, found, bound,
               ok ? "holds" : "FAILS");
    else
        printf("%-4s  %-17.*s %-62s %7s %s\n", ok ? "ok" : "FAIL", (int)strcspn(t->key, " "),
               t->key, t->claim, found, bound);
    if (!ok && detail[0])
        printf("      worst: %s\n", detail);
    fflush(stdout);
    return ok;
}

/* What the hash depends on (the class of results) and what it does not, then the hash and
 * those of its parts. */
static void print_hash(void)
{
    const int one = 1;
    printf("%d-bit %s-endian %s class %d %016llx\n", (int)(8*sizeof(void *)),
           *(const char *)&one ? "little" : "big",
           sizeof(dn_real) == sizeof(double) ? "double" : "float", DN_FMA,
           (unsigned long long)trained_hash());
    for (int i = 0; i < HASH_PARTS; i++) {
        const uint64_t h = hash_parts[i].of();
        printf("  %-14s %016llx%s\n", hash_parts[i].name, (unsigned long long)h,
               NARROW || h == hash_parts[i].known[DN_FMA] ? "" : " differs");
    }
    fflush(stdout);
}

/* Is the row asked for by any of n words?  No word asks for all. */
static int is_wanted(const struct test *t, int n, char **word)
{
    int wanted = n == 0 && !has_key(t, "large:");
    for (int i = 0; i < n; i++)
        wanted |= !strcmp(word[i], "paper") ? t->place != NULL
                : !strcmp(word[i], "--quick") ? !has_key(t, "thm:") && !has_key(t, "fig:")
                                              && !has_key(t, "rule:learns") && !has_key(t, "large:")
                : has_key(t, word[i]);
    return wanted && bound_of(t) >= 0;
}

int main(int argc, char **argv)
{
    const int hash = argc > 1 && !strcmp(argv[1], "--hash");
    const int paper = argc > 1 && !strcmp(argv[1], "paper");
    int passed = 0, failed = 0;
    if (hash)
        print_hash();
    if (hash && argc == 2)
        return 0;
    if (paper)
        printf("%-48s %-13s %-16s %-13s %s\n", "statement", "in the paper", "measured", "bound",
               "verdict");
    for (size_t i = 0; i < sizeof tests/sizeof *tests; i++) {
        if (!is_wanted(&tests[i], argc - 1 - hash, argv + 1 + hash))
            continue;
        if (run_test(&tests[i], paper))
            passed++;
        else
            failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
