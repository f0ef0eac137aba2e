/* web.c - what the page calls: make a model, train it for a step, translate with it.
 *
 * One instance of this module holds one model; the page runs two, which see the same batches and
 * differ only in the residual scheme.  Sentences are those of data/corpus.c, made in memory when
 * the module starts: nothing is fetched.  Text goes through one buffer, web_text().
 *
 * Compiled for anything but WebAssembly, it is a program that trains the same and prints the loss:
 *     web NORM LAYERS STEPS
 * SPDX-License-Identifier: MIT */
#include "../../../deepnet.h"

#define main corpus_main                /* the generator's tables and grammar, not its files */
#include "../../../data/corpus.c"
#undef main

#include <math.h>

enum {
    LONGEST = 5,                        /* words in a German sentence; longer ones are out   */
    VOCAB = 1000, DIM = 64, HEADS = 2, FFN = 64, BATCH = 256,
    CTX = 32,                           /* most tokens in a sentence                         */
    BEAM = 4, SEED = 1
};

static char text[4096], err[DN_ERR_MAX];
static int train[TOTAL], test[TOTAL], n_train, n_test;      /* indices into corpus */
static dn_tokenizer tok;
static dn_config cfg;
static dn_model *model;
static dn_generator *gen;
static dn_stats stats;
static uint64_t place;                  /* pairs used so far */

char *web_text(void)  { return text; }
char *web_error(void) { return err; }

/* The vocabulary, from every other training pair. */
static int learn_tokens(void)
{
    static char lines[1 << 20];
    size_t n = 0;
    for (int i = 0; i < n_train && n < sizeof lines - 2*LINE; i += 2)
        n += (size_t)sprintf(lines + n, "%s\n%s\n", corpus[train[i]].de, corpus[train[i]].en);
    const size_t size = dn_tok_bytes(VOCAB), work = dn_tok_train_bytes(VOCAB, n);
    void *tables = malloc(size), *scratch = malloc(work);
    const int good = tables && scratch && dn_tok_train(&tok, VOCAB, lines, n,
                                                       (dn_block){ tables, size },
                                                       (dn_block){ scratch, work }, err) == DN_OK;
    free(scratch);
    return good;
}

/* Make the sentences and the vocabulary.  This and web_make() return 1, or 0 with the reason in
 * web_error(). */
int web_start(void)
{
    static unsigned char part[TOTAL];
    make_corpus();
    divide(part);
    for (int i = 0; i < TOTAL; i++) {
        if (words(corpus[i].de) > LONGEST) continue;
        if (part[i] == 0) train[n_train++] = i;
        else test[n_test++] = i;
    }
    return learn_tokens();
}

/* A model with `layers` layers on each side, in place of the one before.  The rate falls with the
 * square root of the depth. */
int web_make(const char *norm, int layers)
{
    static void *block[2];
    dn_config_default(&cfg);
    cfg.enc_layers = cfg.dec_layers = layers;
    cfg.dim = DIM;  cfg.heads = HEADS;  cfg.ffn = FFN;
    cfg.vocab = tok.vocab;  cfg.ctx = CTX;  cfg.batch_tokens = BATCH;
    cfg.lr = 2e-3*sqrt(12.0/layers);  cfg.warmup = 100;  cfg.beta2 = 0.98;  cfg.clip = 1;
    cfg.seed = SEED;  cfg.threads = 1;
    if (dn_config_set(&cfg, "norm", norm, err) != DN_OK) return 0;
    const size_t need = dn_model_bytes(&cfg, DN_TRAIN, err);
    const size_t cache = dn_generator_bytes(&cfg, BEAM, err);
    if (!need || !cache) return 0;
    free(block[0]), free(block[1]);
    model = NULL;
    gen = NULL;
    block[0] = malloc(need);
    block[1] = malloc(cache);
    if (!block[0] || !block[1]) return strcpy(err, "there is not enough memory"), 0;
    place = 0;
    model = dn_model_init(&cfg, DN_TRAIN, block[0], need, err);
    gen = model ? dn_generator_init(model, BEAM, block[1], cache, err) : NULL;
    return gen != NULL;
}

static int encode(const char *line, int *ids)
{
    return (int)dn_tok_encode(&tok, line, strlen(line), ids, CTX);
}

/* One step; the loss in nats per token, or -1. */
double web_step(void)
{
    static int src[BATCH], src_len[BATCH], dec[BATCH], dec_len[BATCH], label[BATCH];
    int rows = 0, m = 0, n = 0, a[CTX], b[CTX];
    if (!model) return -1;              /* err still says why */
    for (;; place++) {
        const uint32_t pairs = (uint32_t)n_train;
        const uint32_t i = dn_shuffle(SEED, place/pairs, (uint32_t)(place%pairs), pairs);
        const Text *t = &corpus[train[i]];
        const int na = encode(t->de, a), nb = encode(t->en, b);
        if (na >= CTX || nb >= CTX) continue;
        if (m + na > BATCH || n + nb + 1 > BATCH) break;
        dec[n] = DN_BOS;
        label[n + nb] = DN_EOS;
        for (int k = 0; k < na; k++) src[m + k] = a[k];
        for (int k = 0; k < nb; k++) dec[n + 1 + k] = label[n + k] = b[k];
        src_len[rows] = na;
        dec_len[rows++] = nb + 1;
        m += na;
        n += nb + 1;
    }
    const dn_batch batch = { rows, src, src_len, dec, dec_len, label };
    return dn_train_step(model, &batch, 1, &stats, err) == DN_OK ? stats.nll : -1;
}

/* Put a sentence that the model never saw into web_text(), then a tab and its translation. */
void web_example(int i)
{
    const Text *t = &corpus[test[i%n_test]];
    sprintf(text, "%s\t%s", t->de, t->en);
}

/* Translate web_text() in place; 0 with a reason if it is empty or too long. */
int web_translate(void)
{
    int src[CTX], out[CTX], n = encode(text, src), len = 0;
    if (n < 1) return strcpy(err, "a few words, please"), 0;
    if (n >= CTX) return strcpy(err, "a shorter text, please"), 0;
    if (!gen) return 0;
    const dn_beam how = { .beam = BEAM, .length_penalty = 0.6 };
    if (dn_translate(gen, 1, src, &n, &how, out, &len, err) != DN_OK) return 0;
    text[dn_tok_decode(&tok, out, (size_t)len, text, sizeof text - 1)] = '\0';
    return 1;
}

#ifndef __wasm__
#include <time.h>

int main(int argc, char **argv)
{
    if (argc != 4 || !web_start() || !web_make(argv[1], atoi(argv[2]))) {
        fprintf(stderr, "%s\n", argc != 4 ? "usage: web NORM LAYERS STEPS" : err);
        return 2;
    }
    const clock_t start = clock();
    double mean = 0;
    int right = 0;
    for (int i = 1; i <= atoi(argv[3]); i++) {
        mean += (web_step() - mean)/(i < 20 ? i : 20);
        if (i%100 == 0)
            printf("%s %d step %d loss %.3f, %.1f ms a step\n", argv[1], cfg.enc_layers, i, mean,
                   1e3*(double)(clock() - start)/CLOCKS_PER_SEC/i);
    }
    for (int i = 0; i < 100; i++) {
        char *de = text, *en;
        web_example(i);
        en = strchr(text, '\t');
        *en++ = '\0';
        char expected[LINE];
        strcpy(expected, en);
        if (i < 3) printf("%s | ", de);
        if (web_translate()) right += !strcmp(text, expected);
        if (i < 3) printf("%s | %s\n", text, expected);
    }
    printf("%d of 100 new sentences right\n", right);
    return 0;
}
#endif
