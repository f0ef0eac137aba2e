/* figures.c - make figures: small counterparts of the paper's experiments.
 *
 *     ./figures [--quick] [--out DIR] [NAME ...]     fig3 fig4 fig5 fig6 fig7 fig8 deep; none: all
 *
 * It reads data/, where the default corpus is, and writes a CSV for each part of a figure into
 * DIR (docs/figures), and table1.md with figure 6.  Columns of a CSV: what tells the curves apart,
 * x, y, and what else there is.  stdout receives the commands that draw them, stderr the progress.
 *
 * A run is one dn_config, trained on one thread with one seed: a function of the configuration
 * alone, so runs side by side and in any order give the same numbers.  A figure is a function that
 * is called twice.  First it only names the runs it needs, of which equal ones are made once; when
 * all have been made it is called again, and writes.
 *
 * --quick makes runs of two steps in small models, to see that all of it works.
 */
#include "../../deepnet.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- 1 what the runs have in common ------------------------------------------------------ */

enum {
    VOCAB = 1000, CTX = 48,
    DIM = 32, HEAD = 16,                /* width; of each attention head                       */
    TOKENS = 256, MOST_TOKENS = 512,    /* of each stream in a step                            */
    STEPS = 1000, WARMUP = 100,
    TRAINED = 30000, SCORED = 200,      /* pairs of training, of validation                    */
    LOOKS = 20,                         /* how often a run is looked at; a short one each step */
    RUNS = 400,
    ENCODER = 0, DECODER = 1
};
static const double RATE = 2e-3;        /* methods without LayerNorm: a third, as in Table 5   */
static const double MARGIN = 0.1;       /* nats below the unigram loss that count as learning  */
static const uint64_t ORDER = UINT64_C(0x6f72646572000000);           /* stream of the shuffles */

typedef struct text { char *at; size_t n; } text;

/* Source and DN_EOS, S tokens; DN_BOS, target and DN_EOS, T + 1 tokens. */
typedef struct pair { int S, T, src[CTX], tgt[CTX + 1]; } pair;
typedef struct pairs { pair *pair; int n; } pairs;

typedef struct batch {
    int rows, enc_n, dec_n;
    int enc[MOST_TOKENS], enc_len[MOST_TOKENS];
    int dec[MOST_TOKENS], dec_len[MOST_TOKENS], label[MOST_TOKENS];
} batch;

typedef struct look {
    int step;
    double loss, accuracy;              /* of validation: nats per token, percent              */
    double change;                      /* ||F(x,theta_i) - F(x,theta_0)||, mean over tokens   */
    double attn_in, ffn_in;             /* mean norm of LN's inputs, over all decoder layers   */
} look;

typedef struct run {
    dn_config c;                        /* beta1 = 0: SGD instead of Adam                      */
    double cost;                        /* in proportion                                       */
    look *look, *last;                  /* all, the first before any step; the last one        */
    int looks, failed;                  /* failed: a loss or gradient was not finite           */
    double *gradient;                   /* norm for each decoder layer, after the last step    */
} run;

typedef struct book {
    int quick, writing;
    const char *out;
    dn_tokenizer tok;
    pairs train, valid;
    double unigram;
    run run[RUNS];
    int runs, done;
    time_t start;
    FILE *file;
} book;

static void fail(const char *what, const char *which)
{
    fprintf(stderr, "figures: %s%s\n", what, which);
    exit(EXIT_FAILURE);
}

static void check(dn_status s, const char *err)
{
    if (s != DN_OK) fail(err, "");
}

static void *get(size_t count, size_t each)
{
    void *p = calloc(count, each);
    if (!p) fail("out of memory", "");
    return p;
}

/* ---- 2 data ------------------------------------------------------------------------------ */

/* Append data/PART.LANGUAGE to a text, and a NUL that is not counted. */
static void file_append(text *t, const char *part, const char *language)
{
    char path[64];
    size_t room = 1 << 23, n;
    sprintf(path, "data/%s.%s", part, language);
    FILE *f = fopen(path, "rb");
    if (!f) fail("cannot open ", path);
    if (!(t->at = realloc(t->at, t->n + room + 1))) fail("out of memory", "");
    t->n += n = fread(t->at + t->n, 1, room, f);
    t->at[t->n] = 0;
    if (n == room || ferror(f)) fail("cannot read all of ", path);
    fclose(f);
}

static void tokenizer_learn(dn_tokenizer *t, const char *part)
{
    char err[DN_ERR_MAX];
    text all = {NULL, 0};
    file_append(&all, part, "de");
    file_append(&all, part, "en");
    size_t size = dn_tok_bytes(VOCAB), more = dn_tok_train_bytes(VOCAB, all.n);
    void *scratch = get(more, 1);
    check(dn_tok_train(t, VOCAB, all.at, all.n, (dn_block){ get(size, 1), size },
                       (dn_block){ scratch, more }, err), err);
    free(scratch);
    free(all.at);
}

/* The first pairs of a part of the corpus, without those that do not fit into CTX. */
static pairs pairs_read(const dn_tokenizer *t, const char *part, int most)
{
    pairs p = { get((size_t)most, sizeof(pair)), 0 };
    text de = {NULL, 0}, en = {NULL, 0};
    file_append(&de, part, "de");
    file_append(&en, part, "en");
    char *s = de.at, *e = en.at, *s_end, *e_end;
    for (; p.n < most && (s_end = strchr(s, '\n')) && (e_end = strchr(e, '\n'));
         s = s_end + 1, e = e_end + 1) {
        pair *q = &p.pair[p.n];
        int S = (int)dn_tok_encode(t, s, (size_t)(s_end - s), q->src, CTX);
        int T = (int)dn_tok_encode(t, e, (size_t)(e_end - e), q->tgt + 1, CTX);
        if (S >= CTX || T >= CTX) continue;
        q->tgt[0] = DN_BOS;
        q->src[S] = q->tgt[T + 1] = DN_EOS;
        q->S = S + 1;
        q->T = T + 1;
        p.n++;
    }
    free(de.at);
    free(en.at);
    return p;
}

static dn_batch view(const batch *b)
{
    return (dn_batch){b->rows, b->enc, b->enc_len, b->dec, b->dec_len, b->label};
}

static int batch_add(batch *b, const pair *q, int room)
{
    if (b->enc_n + q->S > room || b->dec_n + q->T > room) return 0;
    memcpy(b->enc + b->enc_n, q->src, (size_t)q->S*sizeof(int));
    memcpy(b->dec + b->dec_n, q->tgt, (size_t)q->T*sizeof(int));
    memcpy(b->label + b->dec_n, q->tgt + 1, (size_t)q->T*sizeof(int));
    b->enc_n += b->enc_len[b->rows] = q->S;
    b->dec_n += b->dec_len[b->rows++] = q->T;
    return 1;
}

/* As many pairs from *place on as there is room for, in an order that is new in each epoch. */
static void batch_train(batch *b, const pairs *p, int room, uint64_t *place)
{
    uint64_t n = (uint64_t)p->n;
    b->rows = b->enc_n = b->dec_n = 0;
    while (batch_add(b, &p->pair[dn_shuffle(1, ORDER + *place/n, (uint32_t)(*place%n),
                                            (uint32_t)n)], room)) ++*place;
}

/* The same in order, until there is none: then 0. */
static int batch_valid(batch *b, const pairs *p, int room, int *place)
{
    b->rows = b->enc_n = b->dec_n = 0;
    while (*place < p->n && batch_add(b, &p->pair[*place], room)) ++*place;
    return b->rows;
}

/* Validation loss of knowing only how often each token occurs in the training targets. */
static double unigram_loss(const pairs *train, const pairs *valid)
{
    double count[VOCAB], total = VOCAB, sum = 0, scored = 0;
    for (int v = 0; v < VOCAB; v++) count[v] = 1;
    for (const pair *q = train->pair; q < train->pair + train->n; q++)
        for (int i = 1; i <= q->T; i++) count[q->tgt[i]]++, total++;
    for (const pair *q = valid->pair; q < valid->pair + valid->n; q++)
        for (int i = 1; i <= q->T; i++) sum -= log(count[q->tgt[i]]/total), scored++;
    return sum/scored;
}

/* ---- 3 a run ----------------------------------------------------------------------------- */

static double norm_of(const dn_real *x, const dn_real *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double d = (double)x[i] - (y ? (double)y[i] : 0);
        sum += d*d;
    }
    return sqrt(sum);
}

/* Mean over tokens of the norm of x - y, or of x if there is no y; 0 if there is no x. */
static double mean_norm(const dn_real *x, const dn_real *y, int tokens, int dim)
{
    double sum = 0;
    for (int t = 0; x && t < tokens; t++) sum += norm_of(x + t*dim, y ? y + t*dim : NULL, dim);
    return tokens ? sum/tokens : NAN;
}

/* What the last pass of a model in one part did inside it, else NAN.  *first: the decoder's top
 * state at the first look. */
static void states_look(const dn_model *m, dn_real **first, look *l)
{
    int dim = dn_model_config(m)->dim, top = 3*dn_model_config(m)->dec_layers;
    dn_state f = dn_state_at(m, DECODER, top);
    size_t n = (size_t)f.tokens*(size_t)dim;
    if (n && !*first) *first = memcpy(get(n, sizeof *f.x), f.x, n*sizeof *f.x);
    l->change = mean_norm(f.x, *first, f.tokens, dim);
    for (int i = 0; i < top; i += 3) {
        l->attn_in += mean_norm(dn_state_at(m, DECODER, i).sum, NULL, f.tokens, dim)*3/top;
        l->ffn_in += mean_norm(dn_state_at(m, DECODER, i + 2).sum, NULL, f.tokens, dim)*3/top;
    }
}

/* Score validation, and look at the states of its first batch, which is left in b. */
static dn_status look_at(dn_model *m, const pairs *valid, batch *b, dn_real **first, look *l)
{
    char err[DN_ERR_MAX];
    const dn_config *c = dn_model_config(m);
    int place = 0;
    double tokens = 0;
    dn_stats s;
    while (batch_valid(b, valid, c->batch_tokens, &place)) {
        dn_batch v = view(b);
        if (dn_evaluate(m, &v, &s, err) != DN_OK) return DN_EDIVERGED;
        if (!(tokens > 0)) states_look(m, first, l);
        l->loss += s.nll*s.tokens;
        l->accuracy += 100*s.correct;
        tokens += s.tokens;
    }
    l->loss /= tokens;
    l->accuracy /= tokens;
    place = 0;
    batch_valid(b, valid, c->batch_tokens, &place);
    return DN_OK;
}

/* Norm of the gradient of the mean loss for each layer of the decoder. */
static dn_status gradient_look(dn_model *m, const batch *b, double *gradient)
{
    char err[DN_ERR_MAX];
    dn_batch v = view(b);
    dn_stats s;
    dn_zero_grad(m);
    if (dn_gradient(m, &v, 0, &s, err) != DN_OK) return DN_EDIVERGED;
    for (int i = 0; i < dn_tensor_count(m); i++) {
        dn_tensor t = dn_tensor_at(m, i);
        int layer;
        if (sscanf(t.name, "decoder.%d.", &layer) != 1) continue;
        double norm = norm_of(t.grad, NULL, t.rows*(t.cols ? t.cols : 1))/s.tokens;
        gradient[layer] = sqrt(gradient[layer]*gradient[layer] + norm*norm);
    }
    return DN_OK;
}

/* One step of plain SGD on what the paper's theory calls theta: the matrices of the sub-layers. */
static dn_status sgd_step(dn_model *m, const dn_batch *b, char *err)
{
    dn_stats s;
    dn_zero_grad(m);
    dn_status status = dn_gradient(m, b, 0, &s, err);
    for (int i = 0; i < dn_tensor_count(m) && status == DN_OK; i++) {
        dn_tensor t = dn_tensor_at(m, i);
        if (!strstr(t.name, "_attn.") && !strstr(t.name, "ffn.")) continue;
        for (int j = 0; j < t.rows*t.cols; j++)
            t.value[j] -= (dn_real)(dn_model_config(m)->lr/s.tokens)*t.grad[j];
    }
    return status;
}

static dn_model *model_make(const dn_config *c, void **block)
{
    char err[DN_ERR_MAX];
    dn_config third = *c;
    size_t need = dn_model_bytes(c, DN_TRAIN, err);
    if (!need) fail(err, "");
    *block = get(need, 1);
    dn_model *m = dn_model_init(c, DN_TRAIN, *block, need, err);
    if (!m) fail(err, "");
    for (int i = 0; i < dn_tensor_count(m); i++) {
        dn_tensor t = dn_tensor_at(m, i);
        if (strstr(t.name, "norm.")) return m;
    }
    third.lr /= 3;                      /* no LayerNorm anywhere */
    check(dn_model_reconfigure(m, &third, err), err);
    return m;
}

static void run_make(run *r, const book *k)
{
    char err[DN_ERR_MAX];
    const dn_config *c = &r->c;
    void *block;
    dn_model *m = model_make(c, &block);
    dn_real *first = NULL;
    dn_stats s;
    dn_status status = DN_OK;
    uint64_t place = 0;
    int every = c->steps > LOOKS ? c->steps/LOOKS : 1;
    batch b;
    for (int step = 0; step <= c->steps && status == DN_OK; step++) {
        batch_train(&b, &k->train, c->batch_tokens, &place);
        dn_batch v = view(&b);
        if (!step) place = 0;           /* the first batch serves for profiling too */
        status = !step ? dn_profile(m, &v, err) : c->beta1 > 0 ? dn_train_step(m, &v, 1, &s, err) :
                 sgd_step(m, &v, err);
        if (status != DN_OK || (step%every && step < c->steps)) continue;
        r->last = &r->look[r->looks++];
        r->last->step = step;
        status = look_at(m, &k->valid, &b, &first, r->last);
    }
    if (status == DN_OK) status = gradient_look(m, &b, r->gradient);
    r->failed = status != DN_OK;
    free(first);
    free(block);
}

/* ---- 4 all runs -------------------------------------------------------------------------- */

static const dn_field *norm_field(void)
{
    int n;
    const dn_field *f = dn_fields(&n);
    while (strcmp(f->name, "norm") != 0) f++;
    return f;
}

static int same(const dn_config *a, const dn_config *b)
{
    int n, equal = 1;
    const dn_field *f = dn_fields(&n);
    char s[DN_NAME_MAX], t[DN_NAME_MAX];
    for (int i = 0; i < n; i++) {
        dn_config_get(a, &f[i], s);
        dn_config_get(b, &f[i], t);
        equal &= strcmp(s, t) == 0;
    }
    return equal;
}

/* The run with this configuration, new if there is none yet. */
static run *run_of(book *k, dn_config c)
{
    if (k->quick) {
        c.enc_layers = c.dec_layers = (c.dec_layers + 9)/10;
        c.batch_tokens = 64;
        c.steps = 2;
        if (!c.parts) c.parts = 2;      /* as TOKENS have */
    }
    for (int i = 0; i < k->runs; i++) if (same(&k->run[i].c, &c)) return &k->run[i];
    if (k->runs == RUNS) fail("too many runs", "");
    run *r = &k->run[k->runs++];
    r->c = c;
    r->cost = (double)c.steps*c.batch_tokens*(c.enc_layers + c.dec_layers)*c.dim;
    r->look = r->last = get(2*LOOKS + 2, sizeof *r->look);
    r->gradient = get((size_t)c.dec_layers, sizeof *r->gradient);
    return r;
}

static int dearer(const void *a, const void *b)
{
    double x = ((const run *)a)->cost, y = ((const run *)b)->cost;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void progress(const book *k, const run *r)
{
    int t = (int)difftime(time(NULL), k->start);
    fprintf(stderr, "%3d:%02d  %d of %d: %s %dL-%dL, dim %d, %d tokens, rate %g, %d steps: ",
            t/60, t%60, k->done, k->runs, dn_choice(norm_field(), r->c.norm), r->c.enc_layers,
            r->c.dec_layers, r->c.dim, r->c.batch_tokens, r->c.lr, r->c.steps);
    if (r->failed) fprintf(stderr, "not finite\n");
    else fprintf(stderr, "loss %.3f, %.1f %%\n", r->last->loss, r->last->accuracy);
}

/* The dearest first, so that no thread is left alone with a long one at the end. */
static void runs_make(book *k)
{
    qsort(k->run, (size_t)k->runs, sizeof *k->run, dearer);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (int i = 0; i < k->runs; i++) {
        run_make(&k->run[i], k);
#ifdef _OPENMP
#pragma omp critical
#endif
        k->done++, progress(k, &k->run[i]);
    }
}

static int diverged(const book *k, const run *r)
{
    return r->failed || r->last->loss > k->unigram - MARGIN;
}

/* ---- 5 files ----------------------------------------------------------------------------- */

static void file_close(book *k)
{
    if (k->file && (ferror(k->file) | fclose(k->file))) fail("cannot write in full", "");
    k->file = NULL;
}

static void file_open(book *k, const char *name)
{
    char path[512];
    file_close(k);
    if (!k->writing) return;
    if (snprintf(path, sizeof path, "%s/%s", k->out, name) >= (int)sizeof path)
        fail("too long: ", k->out);
    if (!(k->file = fopen(path, "w"))) fail("cannot write ", path);
}

static void put(const book *k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (k->file) vfprintf(k->file, format, args);
    va_end(args);
}

/* Start a CSV, and print how to draw its third column against its second. */
static void csv_open(book *k, const char *name, const char *columns, const char *log_axes,
                     const char *title)
{
    char file[32], by[32], x[32], y[32];
    sprintf(file, "%s.csv", name);
    file_open(k, file);
    put(k, "%s\n", columns);
    sscanf(columns, "%31[^,],%31[^,],%31[^,]", by, x, y);
    if (k->writing)
        printf("./train plot %s/%s --out %s/%s.svg --by %s --x %s --y %s%s%s --title '%s'\n",
               k->out, file, k->out, name, by, x, y, *log_axes ? " --log-axes " : "", log_axes,
               title);
}

static void loss_rows(const book *k, const run *r, const char *series)
{
    for (int i = 0; i < r->looks; i++)
        put(k, "%s,%d,%.4f,%.2f\n", series, r->look[i].step, r->look[i].loss, r->look[i].accuracy);
}

/* The top layers of the decoder. */
static void gradient_rows(const book *k, const run *r, const char *series, int layers)
{
    int M = r->c.dec_layers;
    for (int l = M > layers ? M - layers : 0; l < M; l++)
        put(k, "%s,%d,%.5g\n", series, l + 1, r->gradient[l]);
}

static void score_row(const book *k, const run *r, const char *series, int x)
{
    if (r->failed) put(k, "%s,%d,0,,1\n", series, x);
    else put(k, "%s,%d,%.2f,%.4f,%d\n", series, x, r->last->accuracy, r->last->loss,
             diverged(k, r));
}

/* ---- 6 figures --------------------------------------------------------------------------- */

static dn_config base(const book *k, const char *norm, int layers)
{
    char err[DN_ERR_MAX];
    dn_config c;
    dn_config_default(&c);
    check(dn_config_set(&c, "norm", norm, err), err);
    c.enc_layers = c.dec_layers = layers;
    c.dim = DIM;
    c.heads = DIM/HEAD;
    c.ffn = 2*DIM;
    c.vocab = k->tok.vocab;
    c.ctx = CTX;
    c.batch_tokens = TOKENS;
    c.label_smoothing = 0.1;
    c.lr = RATE;
    c.warmup = WARMUP;
    c.steps = STEPS;
    c.threads = 1;
    return c;
}

/* The first 30 updates as the paper makes them: the rate 5e-4, after a warm-up of 4000 or none. */
static run *early(book *k, const char *norm, int layers, int warmup)
{
    dn_config c = base(k, norm, layers);
    c.lr = 5e-4;
    c.warmup = warmup;
    c.schedule = DN_CONSTANT;
    c.steps = 30;
    c.parts = 1;                        /* for dn_state_at */
    return run_of(k, c);
}

/* Post-LN and Post-LN-init: gradients after 30 updates, losses of full runs. */
static void fig3(book *k)
{
    static const char *const norms[] = { "post-ln", "post-ln-init" };
    csv_open(k, "fig3a", "method,layer,gradient_norm", "", "3a: gradients in the decoder, 18L-18L");
    for (int i = 0; i < 2; i++) gradient_rows(k, early(k, norms[i], 18, 4000), norms[i], 6);
    csv_open(k, "fig3b", "method,depth,gradient_norm", "", "3b: gradient of the last layer");
    for (int i = 0; i < 2; i++)
        for (int depth = 6; depth <= 24; depth += 3)
            gradient_rows(k, early(k, norms[i], depth, 4000), norms[i], 1);
    csv_open(k, "fig3c", "method,step,loss,accuracy", "", "3c: validation loss, 18L-18L");
    for (int i = 0; i < 2; i++) loss_rows(k, run_of(k, base(k, norms[i], 18)), norms[i]);
}

/* Post-LN without and with warm-up, Post-LN-init: the first 30 updates. */
static void fig4(book *k)
{
    static const struct { const char *name, *norm; int warmup; } kinds[] = {
        { "post-ln without warm-up", "post-ln", 0 }, { "post-ln", "post-ln", 4000 },
        { "post-ln-init", "post-ln-init", 4000 },
    };
    static const struct { const char *name, *columns, *title; } parts[] = {
        { "fig4a", "method,step,change", "4a: model update" },
        { "fig4b", "method,step,input_norm", "4b: LN input after the feed-forward" },
        { "fig4c", "method,step,input_norm", "4c: LN input after self-attention" },
        { "fig4d", "method,layer,gradient_norm", "4d: gradients in the decoder" },
    };
    for (int part = 0; part < 4; part++) {
        csv_open(k, parts[part].name, parts[part].columns, "", parts[part].title);
        for (int i = 0; i < 3; i++) {
            const run *r = early(k, kinds[i].norm, 18, kinds[i].warmup);
            if (part == 3) gradient_rows(k, r, kinds[i].name, 18);
            for (const look *l = r->look; part < 3 && l < r->look + r->looks; l++)
                put(k, "%s,%d,%.5g\n", kinds[i].name, l->step,
                    part == 0 ? l->change : part == 1 ? l->ffn_in : l->attn_in);
        }
    }
}

/* One step of the paper's 64-128-2 model: by Adam of all parameters, as one trains, and by SGD of
 * the matrices, as the theory has it. */
static void fig5(book *k)
{
    static const char *const norms[] = { "post-ln", "deepnorm" };
    static const int depths[] = { 6, 12, 18, 25, 35, 50, 70, 100 };
    csv_open(k, "fig5", "method,depth,change", "y", "5: model update of one step");
    for (int i = 0; i < 2; i++)
        for (int sgd = 0; sgd < 2; sgd++)
            for (int d = 0; d < (int)(sizeof depths/sizeof *depths); d++) {
                dn_config c = base(k, norms[i], depths[d]);
                c.dim = 64;
                c.ffn = 128;
                c.lr = sgd ? 1e-3 : 1e-6;
                if (sgd) c.beta1 = 0;
                c.warmup = 0;
                c.steps = c.parts = 1;
                put(k, "%s (%s),%d,%.5g\n", norms[i], sgd ? "SGD" : "Adam", depths[d],
                    run_of(k, c)->last->change);
            }
}

static const int depths[] = { 6, 18, 50, 100, 200 };     /* table 1 and figure 6 omit the last */
enum { DEPTHS = 4 };

/* Every method there is at every depth, which is also table 1. */
static void fig6(book *k)
{
    const char *norm;
    csv_open(k, "fig6", "method,depth,accuracy,loss,diverged", "", "6: quality against depth");
    for (int i = 0; (norm = dn_choice(norm_field(), i)) != NULL; i++)
        for (int d = 0; d < DEPTHS; d++)
            score_row(k, run_of(k, base(k, norm, depths[d])), norm, depths[d]);
    file_open(k, "table1.md");
    put(k, "# Table 1, small\n\nValidation loss in nats per token (tokens right).\n\n| method |");
    for (int d = 0; d < DEPTHS; d++) put(k, " %dL-%dL |", depths[d], depths[d]);
    put(k, "\n|---|---|---|---|---|");
    for (int i = 0; (norm = dn_choice(norm_field(), i)) != NULL; i++) {
        put(k, "\n| %s |", norm);
        for (int d = 0; d < DEPTHS; d++) {
            const run *r = run_of(k, base(k, norm, depths[d]));
            if (diverged(k, r)) put(k, " diverged |");
            else put(k, " %.2f (%.0f %%) |", r->last->loss, r->last->accuracy);
        }
    }
    put(k, "\n\nWidth %d, feed-forward %d, %d heads, vocabulary %d; %d steps of %d tokens of each "
        "language, Adam\n(0.9, 0.98), peak rate %g (a third of it for methods without LayerNorm) "
        "after %d steps of warm-up,\nthen inverse square root; label smoothing 0.1, seed 1; scored "
        "on %d pairs of validation.\n", DIM, 2*DIM, DIM/HEAD, k->tok.vocab, STEPS, TOKENS, RATE,
        WARMUP, k->valid.n);
    put(k, "\"diverged\": a loss or gradient was not finite, or the loss at the end was above %.2f,"
        " which is %g below\nthat of knowing only how often each token occurs.\n",
        k->unigram - MARGIN, MARGIN);
}

static void curve(book *k, dn_config c, double value)
{
    char series[32];
    sprintf(series, "%g", value);
    loss_rows(k, run_of(k, c), series);
}

/* DeepNorm 18L-18L: a third, two thirds and all of the rate; batches and widths as 1 : 2 : 4 and
 * 2 : 3 : 4. */
static void fig7(book *k)
{
    csv_open(k, "fig7a", "rate,step,loss,accuracy", "", "7a: learning rate");
    for (int i = 1; i <= 3; i++) {
        dn_config c = base(k, "deepnorm", 18);
        if (i < 3) c.lr = RATE*i/3;
        curve(k, c, c.lr);
    }
    csv_open(k, "fig7b", "batch,step,loss,accuracy", "", "7b: tokens in a batch");
    for (int tokens = MOST_TOKENS/4; tokens <= MOST_TOKENS; tokens *= 2) {
        dn_config c = base(k, "deepnorm", 18);
        c.batch_tokens = tokens;
        curve(k, c, tokens);
    }
    csv_open(k, "fig7c", "width,step,loss,accuracy", "", "7c: width");
    for (int dim = DIM; dim <= 2*DIM; dim += DIM/2) {
        dn_config c = base(k, "deepnorm", 18);
        c.dim = dim;
        c.heads = dim/HEAD;
        c.ffn = 2*dim;
        curve(k, c, dim);
    }
}

/* DeepNorm up to 200 layers a side, against the layers of both sides; at the rate of all other
 * figures, and at a third of it, as the paper has it (5e-4 in Table 7, 1.5e-3 in Table 5). */
static void fig8(book *k)
{
    csv_open(k, "fig8", "rate,layers,accuracy,loss,diverged", "x",
             "8: DeepNorm, quality against depth");
    for (int third = 0; third < 2; third++)
        for (int d = 0; d <= DEPTHS; d++) {
            char series[32];
            dn_config c = base(k, "deepnorm", depths[d]);
            if (third) c.lr = RATE/3;
            sprintf(series, "%.2g", c.lr);
            score_row(k, run_of(k, c), series, 2*depths[d]);
        }
}

/* The paper's point: at 100L-100L, all else equal. */
static void deep(book *k)
{
    static const char *const norms[] = { "post-ln", "deepnorm" };
    csv_open(k, "deep", "method,step,loss,accuracy", "", "100 + 100 layers: validation loss");
    for (int i = 0; i < 2; i++) loss_rows(k, run_of(k, base(k, norms[i], 100)), norms[i]);
}

static const struct figure { const char *name; void (*of)(book *); } figures[] = {
    { "fig3", fig3 }, { "fig4", fig4 }, { "fig5", fig5 }, { "fig6", fig6 }, { "fig7", fig7 },
    { "fig8", fig8 }, { "deep", deep },
};
enum { FIGURES = sizeof figures/sizeof *figures };

int main(int argc, char **argv)
{
    static book k;
    int wanted[FIGURES] = {0}, any = 0;
    k.out = "docs/figures";
    k.start = time(NULL);
    for (int i = 1; i < argc; i++) {
        int known = 1, f = 0;
        while (f < FIGURES && strcmp(argv[i], figures[f].name) != 0) f++;
        if (f < FIGURES) any = wanted[f] = 1;
        else if (strcmp(argv[i], "--quick") == 0) k.quick = 1;
        else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) k.out = argv[++i];
        else known = 0;
        if (!known) {
            fprintf(stderr, "usage: figures [--quick] [--out DIR] [fig3 ... fig8 deep]\n");
            return 2;
        }
    }
    const char *part = k.quick ? "val" : "train";
    tokenizer_learn(&k.tok, part);
    k.train = pairs_read(&k.tok, part, TRAINED);
    k.valid = pairs_read(&k.tok, "val", k.quick ? 8 : SCORED);
    k.unigram = unigram_loss(&k.train, &k.valid);
    for (k.writing = 0; k.writing < 2; k.writing++) {
        for (int f = 0; f < FIGURES; f++) if (!any || wanted[f]) figures[f].of(&k);
        file_close(&k);
        if (!k.writing) runs_make(&k);
    }
    return 0;
}
