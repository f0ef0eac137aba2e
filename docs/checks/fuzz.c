/* fuzz.c - hostile bytes for all that reads: checkpoints, tokenizers, texts, options, tables...
 *
 *     make fuzz SECONDS=600                    each row of targets[] for so long
 *     TARGET=table ./replay FILE...            a find once more, without libFuzzer; it is built by
 *
 *     cc -g -fsanitize=address,undefined -DREPLAY docs/checks/fuzz.c deepnet.c tokenizer.c \
 *         -o replay -lm
 *
 * Each target says what holds for any bytes at all; for the rest the sanitizers watch.
 */
int train_main(int argc, char **argv);
#define main train_main     /* train.c keeps its readers to itself: it is included whole, and   */
#define _Exit leave         /* stdlib.h declares leave() for it, which is where fail() then ends */
#include "../../train.c"
#undef main
#undef _Exit
#include <setjmp.h>

enum { SMALL = 1 << 20, SHORT = 1024 };                   /* bytes of the models and texts tried */
enum { DIGITS = 37, SUMMED = 53 };                        /* of a checkpoint: docs/format.md     */

typedef struct blob { uint8_t *at; size_t n; } blob;
static char err[DN_ERR_MAX];
static jmp_buf left;

void leave(int code)
{
    (void)code;
    longjmp(left, 1);
}

static void must(int holds, const char *what)
{
    if (holds) return;
    printf("%s (err: %s)\n", what, err);                  /* make fuzz closes stderr */
    fflush(stdout);
    abort();
}

/* Was it done?  If not, for this reason and with a sentence. */
static int done(dn_status status, dn_status why)
{
    must(status == DN_OK || (status == why && *err), "refused for another reason");
    return status == DN_OK;
}

static blob copy_of(const void *from, size_t n, size_t more)
{
    blob b = {resize(NULL, n + more, 1), n};
    if (n) memcpy(b.at, from, n);
    return b;
}

/* ---- models and checkpoints -------------------------------------------------------------- */

static int blob_read(void *user, uint64_t at, void *to, size_t n)
{
    const blob *b = user;
    must(at <= b->n && n <= b->n - at, "read beyond the end of the file");
    memcpy(to, b->at + at, n);
    return 0;
}

static int blob_write(void *user, const void *from, size_t n)
{
    blob *b = user;
    b->at = resize(b->at, b->n + n, 1);
    memcpy(b->at + b->n, from, n);
    b->n += n;
    return 0;
}

/* The bytes of a model, or 0 with a sentence. */
static size_t model_need(const dn_config *c, enum dn_purpose purpose)
{
    const size_t need = dn_model_bytes(c, purpose, err);
    must(need > 0 || *err, "no size and no sentence");
    return need;
}

/* The model of a configuration, if it is small: no bytes make us ask for more.  It ends where a
 * watched array ends; with a block from malloc() an input takes twice the time. */
static dn_model *model_of(const dn_config *c, enum dn_purpose purpose)
{
    static char room[SMALL];
    const size_t need = model_need(c, purpose);
    if (need == 0 || need > SMALL) return NULL;
    dn_model *m = dn_model_init(c, purpose, room + SMALL - need, need, err);
    must(m != NULL, "the need is not enough");
    return m;
}

/* Whatever the values are, NaN among them, using them ends well or with a sentence. */
static void model_use(dn_model *m, enum dn_purpose purpose)
{
    static char room[SMALL];
    const dn_config *c = dn_model_config(m);
    const int ids[] = {DN_BOS, c->vocab - 1}, label[] = {0, DN_IGNORE}, len = c->ctx < 2 ? 1 : 2;
    const dn_batch b = {1, ids, &len, ids, &len, label};
    const dn_sampling how = {0.5, c->vocab / 2, 0.5};
    const size_t need = dn_generator_bytes(c, 2, err);
    dn_stats s;
    int n;
    if (c->arch != DN_ENCODER && need <= SMALL) {
        int *out = resize(NULL, (size_t)c->ctx, sizeof *out);
        dn_real *work = resize(NULL, (size_t)c->vocab, sizeof *work);
        dn_generator *g = dn_generator_init(m, 2, room + SMALL - need, need, err);
        const dn_beam beam = { .beam = 2, .length_penalty = 1 };
        done(dn_translate(g, 1, ids, &len, &beam, out, &n, err), DN_OK);
        for (must(n >= 0 && n <= c->ctx, "too many ids"); n > 0; n--)
            must(out[n - 1] >= 0 && out[n - 1] < c->vocab, "an id that there is not");
        done(dn_generator_start(g, 1, ids, &len, err), DN_OK);
        n = dn_sample(dn_generator_feed(g, ids, &len, err), c->vocab, &how, 0.7, work);
        must(n >= 0 && n < c->vocab, "a sample that there is not");
        free(work), free(out);
    }
    done(dn_evaluate(m, &b, &s, err), DN_EDIVERGED);
    if (purpose == DN_TRAIN) done(dn_train_step(m, &b, 1, &s, err), DN_EDIVERGED);
}

/* What was saved loads, and saves as the same. */
static void model_save(dn_model *m)
{
    blob b[2] = {{NULL, 0}, {NULL, 0}};
    for (int i = 0; i < 2; i++) {
        dn_io io = {&b[i], 0, blob_read, blob_write};
        done(dn_save(m, NULL, 0, &io, err), DN_OK);
        io.size = b[i].n;
        done(dn_load(m, &io, err), DN_OK);
    }
    must(b[0].n == b[1].n && memcmp(b[0].at, b[1].at, b[0].n) == 0, "saved as another file");
    free(b[0].at), free(b[1].at);
}

/* Into the model the file says it is of, or else into another. */
static void checkpoint_load(blob b)
{
    const dn_io io = {&b, b.n, blob_read, NULL};
    char note[8];
    size_t size = sizeof note;
    dn_config c;
    if (done(dn_load_note(&io, "tokenizer", note, &size, err), DN_EFORMAT))
        must(memchr(note, 0, sizeof note) != NULL, "a note without its end");
    if (!done(dn_load_config(&c, &io, err), DN_EFORMAT)) {
        dn_config_default(&c);
        c.dim = c.heads = 2, c.enc_layers = c.dec_layers = 1, c.ctx = c.batch_tokens = 9;
    }
    for (int train = 0; train < 2; train++) {
        const enum dn_purpose purpose = train ? DN_TRAIN : DN_INFER;
        dn_model *m = model_of(&c, purpose);
        dn_status status = m ? dn_load(m, &io, err) : DN_EINVAL;
        if (done(status, status == DN_EINVAL ? DN_EINVAL : DN_EFORMAT)) {
            if (train) model_save(m);         /* without moments there is no step to keep */
            model_use(m, purpose);
        }
    }
}

/* As it is, which the checksum mostly stops, and with the checksum it should have. */
static void try_checkpoint(blob b)
{
    char digits[17];
    uint64_t h = 0;
    checkpoint_load(b);
    for (size_t at = SUMMED; at <= b.n; at += 8) {        /* the last word may be empty */
        uint64_t w = 0;
        for (size_t i = 0; i < 8 && at + i < b.n; i++) w |= (uint64_t)b.at[at + i] << 8 * i;
        h = (h ^ w) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    if (b.n < SUMMED || memcmp(b.at + DIGITS - 11, "checksum\":\"", 11) != 0) return;
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)h);
    memcpy(b.at + DIGITS, digits, 16);
    checkpoint_load(b);
}

/* ---- tokenizers and texts ---------------------------------------------------------------- */

static size_t encoded(const dn_tokenizer *t, const uint8_t *from, size_t n, int **ids)
{
    const size_t count = dn_tok_encode(t, from, n, NULL, 0);
    *ids = resize(NULL, count, sizeof **ids);
    must(dn_tok_encode(t, from, n, *ids, count) == count, "two counts of one text");
    return count;
}

/* The text comes back, and in two parts it has the ids of the whole. */
static void lossless(const dn_tokenizer *t, blob b)
{
    int *whole, *part[2];
    const size_t n = encoded(t, b.at, b.n, &whole), most = b.n - b.n / 3;
    const size_t cut = dn_tok_cut(b.at, most), first = encoded(t, b.at, cut, &part[0]);
    const size_t rest = encoded(t, b.at + cut, b.n - cut, &part[1]);
    blob back = copy_of(NULL, 0, b.n);
    must(dn_tok_decode(t, whole, n, back.at, b.n) == b.n, "another length comes back");
    must(memcmp(back.at, b.at, b.n) == 0, "another text comes back");
    must(cut <= most && most - cut <= 64, "a cut out of its place");
    must(first + rest == n && memcmp(whole, part[0], first * sizeof *whole) == 0
         && memcmp(whole + first, part[1], rest * sizeof *whole) == 0, "other ids in parts");
    free(whole), free(part[0]), free(part[1]), free(back.at);
}

/* What loads is what is saved, byte for byte, and lossless on its own longest tokens. */
static void try_tokenizer(blob b)
{
    const char *from = (const char *)b.at;
    const int vocab = dn_tok_vocab_of(from, b.n);
    const size_t need = vocab ? dn_tok_bytes(vocab) : 0;
    blob saved = copy_of(NULL, 0, b.n), tokens = copy_of(NULL, 0, SHORT);
    dn_tokenizer t;
    must(need <= 64 * (b.n + 4 * DN_MIN_VOCAB), "more memory than the text has merges for");
    void *mem = resize(NULL, need, 1);
    if (done(dn_tok_load(&t, from, b.n, mem, need, err), DN_EFORMAT)) {
        must(dn_tok_save(&t, (char *)saved.at, b.n) == b.n, "saved with another length");
        must(memcmp(saved.at, b.at, b.n) == 0, "saved as another text");
        for (int id = vocab; id-- > 0 && tokens.n + 64 <= SHORT; )
            tokens.n += dn_tok_decode(&t, &id, 1, tokens.at + tokens.n, 64);
        lossless(&t, b);
        lossless(&t, tokens);
    }
    free(mem), free(saved.at), free(tokens.at);
}

/* A tokenizer learned from the text, with as many merges as its first byte says. */
static void try_text(blob b)
{
    const int vocab = DN_MIN_VOCAB + (b.n ? 2 * b.at[0] : 0);
    const size_t need = dn_tok_bytes(vocab), work = dn_tok_train_bytes(vocab, b.n);
    void *mem = resize(NULL, need, 1), *scratch = resize(NULL, work, 1);
    dn_tokenizer t;
    done(dn_tok_train(&t, vocab, b.at, b.n, (dn_block){ mem, need },
                      (dn_block){ scratch, work }, err), DN_OK);
    lossless(&t, b);
    blob saved = copy_of(NULL, 0, dn_tok_save(&t, NULL, 0));
    saved.n = dn_tok_save(&t, (char *)saved.at, SIZE_MAX);
    must(dn_tok_vocab_of((char *)saved.at, saved.n) == t.vocab, "saved with another size");
    try_tokenizer(saved);
    free(mem), free(scratch), free(saved.at);
}

/* ---- options, tables, lines, tensors of other programs ----------------------------------- */

static struct lines lines_of(blob b)
{
    blob copy = copy_of(b.at, b.n, 1);
    return lines_split((struct text){(char *)copy.at, copy.n});
}

/* What a field says of its value sets that value. */
static void field_again(const dn_config *c, const char *name)
{
    char said[2][DN_NAME_MAX];
    dn_config d = *c;
    int n;
    for (const dn_field *f = dn_fields(&n); n > 0; n--, f++)
        for (int i = 0; i < 2 && strcmp(f->name, name) == 0; i++) {
            dn_config_get(&d, f, said[i]);
            done(dn_config_set(&d, name, said[i], err), DN_OK);
            must(strcmp(said[0], said[i]) == 0, "a value drifts");
        }
}

/* Of lines name=value those that the library takes. */
static dn_config config_of(const struct lines *l)
{
    dn_config c;
    dn_config_default(&c);
    for (size_t i = 0; i < l->n; i++) {
        char *name = l->text.at + l->start[i], *end = l->text.at + l->start[i + 1] - 1, *value;
        *end = 0;
        if ((value = strchr(name, '=')) != NULL) {
            *value = 0;
            if (done(dn_config_set(&c, name, value + 1, err), DN_EINVAL)) field_again(&c, name);
            *value = '=';
        }
        *end = '\n';
    }
    return c;
}

/* A model with these settings is refused, too large to try, or works. */
static void try_settings(blob b)
{
    struct lines l = lines_of(b);
    const dn_config c = config_of(&l);
    for (int train = 0; train < 2; train++) {
        dn_model *m = model_of(&c, train ? DN_TRAIN : DN_INFER);
        if (m) model_save(m), model_use(m, train ? DN_TRAIN : DN_INFER);
    }
    free(l.text.at), free(l.start);
}

/* Lines name=value for the library, and then the whole as a file of --config. */
static void try_options(blob b)
{
    static struct options o;                              /* these outlive the jump */
    static struct lines l;
    l = lines_of(b);
    const dn_config c = config_of(&l);
    for (int64_t step = 1; step < INT64_MAX / 9; step *= 9)
        must(dn_config_check(&c, err) || dn_learning_rate(&c, step) >= 0, "a rate below 0");
    model_need(&c, DN_INFER), model_need(&c, DN_TRAIN);
    options_default(&o, NULL);
    if (setjmp(left) == 0) options_file(&o, "file", &l);
    free(l.text.at), free(l.start);
}

/* A table, drawn; its first byte says what of it and how. */
static void try_table(blob b)
{
    static struct options o;
    static struct lines l;
    static struct plot p;
    static FILE *nowhere;
    const int how = b.n ? b.at[0] : 0;
    if (!nowhere && !(nowhere = fopen("/dev/null", "wb"))) abort();
    l = lines_of(b.n ? (blob){b.at + 1, b.n - 1} : b);
    o.x = "step", o.y = how & 1 ? "loss,val" : NULL, o.title = how & 2 ? "a <title>" : NULL;
    p = plot_of(&o);
    p.by = how & 4 ? "run" : NULL, p.log[0] = how >> 3 & 1, p.log[1] = how >> 4 & 1;
    if (setjmp(left) == 0) {
        plot_read(&p, "file", &l);
        if (p.n > 0) plot_print(&p, nowhere);
    }
    plot_free(&p);
    free(l.text.at), free(l.start);
}

/* A store has the same lines as a text, and the words of any two can be compared. */
static void try_lines(blob b)
{
    const struct lines l = lines_of(b);
    struct store s = {0};
    static const char *const how[] = {"13a", "none", "char"};
    struct options o = {0};
    struct bleu sum = {0};
    struct text line;
    double p[4], penalty;
    size_t i = 0;
    sum.o = &o;
    sum.more = b.n && b.at[0] & 4 ? 1 : 0;
    if (b.n) store_add(&s, b.at, b.n);
    for (; (line = line_next(&s)).at != NULL; i++) {
        must(i < l.n && line.n == l.start[i + 1] - l.start[i] - 1
             && memcmp(line.at, l.text.at + l.start[i], line.n) == 0, "another line");
        const struct text two[] = {{l.text.at, l.start[1] - 1}, line};
        o.tokenize = how[b.at[0] % 3];
        if (i < 2) bleu_add(&sum, line, two);
    }
    must(i == l.n, "too few lines");
    must(bleu_score(&sum, p, &penalty) >= 0 && p[0] <= 100 && penalty <= 1, "no score");
    must(chrf_score(sum.chrf) >= 0 && chrf_score(sum.chrf) <= 100.001, "no chrF");
    store_free(&s);
    free(l.text.at), free(l.start);
}

/* Whatever a file says of its tensors, what is measured lies in it. */
static void try_foreign(blob b)
{
    static struct network net;
    static FILE *nowhere;
    if (!nowhere && !(nowhere = fopen("/dev/null", "wb"))) abort();
    net = (struct network){ .path = "file", .io = {&b, b.n, blob_read, NULL} };
    if (setjmp(left) == 0) {
        config_of_names(&net);
        if (done(dn_config_check(&net.c, err), DN_EINVAL)) {
            network_visit(&net, matrix_measure);
            if (net.n) must(network_print(&net, nowhere) <= (int)net.n, "more than all wrong");
        }
    }
    free(net.at);
}

/* ---- libFuzzer, or a main of our own ----------------------------------------------------- */

static const struct target { const char *name; void (*run)(blob b); } targets[] = {
    {"checkpoint", try_checkpoint}, {"tokenizer", try_tokenizer}, {"text", try_text},
    {"options", try_options}, {"settings", try_settings}, {"table", try_table},
    {"lines", try_lines}, {"foreign", try_foreign},
};

static const struct target *target_of(void)
{
    const char *name = getenv("TARGET");
    for (int i = 0; name && i < LENGTH(targets); i++)
        if (strcmp(targets[i].name, name) == 0) return &targets[i];
    must(0, "TARGET is none of targets[]");
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    blob b = copy_of(data, n, 0);                         /* to be changed, with its end watched */
    target_of()->run(b);
    free(b.at);
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct text t = file_read(argv[i]);
        LLVMFuzzerTestOneInput((const uint8_t *)t.at, t.n);
        free(t.at);
    }
    printf("%d files, nothing found\n", argc - 1);
    return 0;
}
#else
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);

/* Of a checkpoint mostly the header, with its size following; else nothing behind it is read. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    uint64_t header = 0;
    for (size_t i = 8; n > 8 && i-- > 0; ) header = header << 8 | data[i];
    void (*run)(blob b) = target_of()->run;
    if ((run != try_checkpoint && run != try_foreign) || n <= 8 || header > n - 8 || seed % 4 == 0)
        return LLVMFuzzerMutate(data, n, max);
    blob rest = copy_of(data + 8 + header, n - 8 - (size_t)header, 0);
    header = LLVMFuzzerMutate(data + 8, (size_t)header, max - 8 - rest.n);
    memcpy(data + 8 + header, rest.at, rest.n);
    for (int i = 0; i < 8; i++) data[i] = (uint8_t)(header >> 8 * i);
    free(rest.at);
    return 8 + (size_t)header + rest.n;
}
#endif
