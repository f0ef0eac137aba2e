/* deepnet.h - the whole public interface of deepnet.c and tokenizer.c
 *
 * DeepNet: Scaling Transformers to 1,000 Layers (arXiv 2203.00555), in plain C.
 * SPDX-License-Identifier: MIT
 *
 * Synopsis: a complete program that trains an encoder-decoder to reverse four digits.
 * (make test compiles and runs exactly this text.)
 *
 * >>>
 *     #include "deepnet.h"
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     int main(void)
 *     {
 *         char err[DN_ERR_MAX];
 *         dn_config c;
 *         dn_config_default(&c);
 *         c.vocab = 13;  c.enc_layers = c.dec_layers = 4;  c.dim = 32;  c.heads = 2;  c.ctx = 8;
 *         c.batch_tokens = 160;  c.warmup = 100;  c.lr = 3e-3;
 *         size_t need = dn_model_bytes(&c, DN_TRAIN, err);
 *         void *block = need ? malloc(need) : NULL;
 *         dn_model *m = block ? dn_model_init(&c, DN_TRAIN, block, need, err) : NULL;
 *         if (!m) return fprintf(stderr, "%s\n", need ? "out of memory" : err), 1;
 *         dn_stats s = {0};
 *         for (int step = 0; step < 300; step++) {
 *             int src[128], dec[160], label[160], src_len[32], dec_len[32];
 *             for (int row = 0; row < 32; row++) {
 *                 src_len[row] = 4;  dec_len[row] = 5;  dec[5*row] = DN_BOS;
 *                 for (int i = 0; i < 4; i++) {
 *                     uint32_t u = dn_random(1, (uint64_t)step, (uint32_t)(4*row + i));
 *                     src[4*row + i] = DN_SPECIALS + (int)(u % 10);
 *                 }
 *                 for (int i = 0; i < 4; i++)
 *                     dec[5*row + 1 + i] = label[5*row + i] = src[4*row + 3 - i];
 *                 label[5*row + 4] = DN_EOS;
 *             }
 *             dn_batch b = { 32, src, src_len, dec, dec_len, label };
 *             if (dn_train_step(m, &b, 1, &s, err) != DN_OK)
 *                 return fprintf(stderr, "%s\n", err), 1;
 *         }
 *         printf("loss %.3f, %d of %d right\n", s.nll, s.correct, s.tokens);
 *         free(block);
 *         return 0;
 *     }
 * <<<
 *
 * What this library never does: allocate, print, exit, open a file, keep a global variable, or
 * read past what you hand it.  Of libm it uses sqrt and fma, which IEEE 754 rounds exactly.
 * Each function that can fail returns a status (or NULL, or 0) and writes one sentence into
 * err, a buffer of DN_ERR_MAX bytes that is never NULL.
 * Threads of the caller's: models are independent of each other; one call at a time for a model or
 * a generator; but generators of one model may work at the same time while nothing changes it.
 * (rule:apart of test.c does this, also under ThreadSanitizer.)
 * With threads = 0 OpenMP's number of threads must not change between a function that tells bytes
 * and the _init that takes them.
 *
 * Contents:  1 types and limits   2 configuration   3 model and memory   4 training
 *            5 generation   6 checkpoints   7 tokenizer   8 random numbers
 */
#ifndef DEEPNET_H
#define DEEPNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DN_VERSION "1.1"

/* ---- 1 types and limits ------------------------------------------------------------------ */

/* The symbol of dn_model_bytes names version and precision: a program does not link with a library
 * of other ones. */
#ifdef DN_DOUBLE
typedef double dn_real;       /* -DDN_DOUBLE: every tensor in double, what the tests use */
#define dn_model_bytes dn_model_bytes_1_1_f64
#else
typedef float dn_real;
#define dn_model_bytes dn_model_bytes_1_1_f32
#endif

/* The class of results: with (1) or without fused multiply-add in hardware; -DDN_FMA= chooses.  It
 * is that of the flags of this compilation; a library that was compiled apart has its own. */
#ifndef DN_FMA
#if defined __FMA__ || defined __FP_FAST_FMAF || defined __ARM_FEATURE_FMA
#define DN_FMA 1
#else
#define DN_FMA 0
#endif
#endif

typedef enum dn_status {
    DN_OK,
    DN_EINVAL,                /* a wrong argument: configuration, token id, size          */
    DN_ENOMEM,                /* the block handed in is smaller than the need             */
    DN_EFORMAT,               /* a checkpoint or a saved tokenizer that cannot be right   */
    DN_EIO,                   /* a callback of the caller's failed, or asked to stop       */
    DN_EDIVERGED              /* a loss or gradient that is not finite; nothing applied   */
} dn_status;

enum {
    DN_ERR_MAX  = 256,        /* bytes of every err buffer                                */
    DN_NAME_MAX = 64,         /* bytes of a tensor's name with its NUL                    */
    DN_IGNORE   = -1          /* a label that is not scored                               */
};

/* Token ids that mean something to the library; byte b of a text is id DN_SPECIALS + b.   */
enum { DN_BOS, DN_EOS, DN_MASK, DN_SPECIALS, DN_MIN_VOCAB = DN_SPECIALS + 256 };

/* ---- 2 configuration --------------------------------------------------------------------- */

enum dn_arch       { DN_ENCODER, DN_DECODER, DN_ENC_DEC };
enum dn_activation { DN_RELU, DN_GELU, DN_GELU_TANH };
enum dn_positions  { DN_SINUSOIDAL, DN_LEARNED };
enum dn_tie        { DN_TIE_NONE, DN_TIE_OUTPUT, DN_TIE_ALL };
enum dn_schedule   { DN_INV_SQRT, DN_COSINE, DN_CONSTANT };
enum dn_memory     { DN_KEEP, DN_RECOMPUTE };

/* Every field, its range, its default and its meaning stand in ONE table, dn_fields() below;
 * option parsers, checkpoints and checks loop over it.  The number of layers of a stack that arch
 * lacks is not checked; a model has the default where it is out of range. */
typedef struct dn_config {
    int arch, norm, enc_layers, dec_layers, dim, heads, ffn, vocab, ctx;
    int activation, bias, positions, tie;
    double dropout, attn_dropout, act_dropout, label_smoothing;
    int batch_tokens, parts;
    double lr, min_lr, warmup_init;
    int warmup, schedule, steps;
    double beta1, beta2, eps, weight_decay, clip;
    int seed;
    int memory, threads, desks;
} dn_config;

enum dn_kind { DN_INT, DN_FLOAT, DN_CHOICE };

typedef struct dn_field {
    const char *name;                     /* as an option and as a key of the checkpoint     */
    enum dn_kind kind;
    size_t at;                            /* offset in dn_config: int, double, int           */
    double fallback, low, high;           /* default and inclusive range                     */
    const char *const *choices;           /* DN_CHOICE: see dn_choice                         */
    size_t stride;                        /* bytes from one name to the next                  */
    int saved;                            /* 0: a matter of the machine, not of the model    */
    const char *help;
} dn_field;

const dn_field *dn_fields(int *count);
/* The name of value i of a DN_CHOICE field, NULL past the last. */
const char     *dn_choice(const dn_field *f, int i);

void      dn_config_default(dn_config *c);
/* Set one field from text, "lr" "5e-4"; in its name _ may stand for -.  DN_EINVAL: no such field,
 * or a value it cannot have. */
dn_status dn_config_set(dn_config *c, const char *name, const char *value, char *err);
/* Write a field's value, to 15 significant digits from 1e-37 up, as text for dn_config_set.  Here
 * and in dn_gains_of and dn_gain_of, c must be one that dn_config_check accepts. */
void      dn_config_get(const dn_config *c, const dn_field *f, char text[DN_NAME_MAX]);
/* The first wrong field, by name and value, or DN_OK. */
dn_status dn_config_check(const dn_config *c, char *err);

/* What the scheme c->norm makes of a layer (from 0) of the encoder (stack 0) or decoder (1), which
 * must be there: the first value of a, the factor of the skip; the gain of V's first values; and b,
 * the factor of the branch, 1 where it is learned.  With deepnorm the first two are alpha and beta
 * of [tab:alpha-beta], the same in every layer, and b is 1. */
typedef struct dn_gains { double alpha, beta, branch; } dn_gains;
dn_gains dn_gains_of(const dn_config *c, int stack, int layer);
/* The gain of each matrix there: it is drawn with this times Xavier's sqrt(2/(rows + cols)).  V's
 * is beta of dn_gains. */
enum dn_matrix { DN_Q, DN_K, DN_V, DN_O, DN_W1, DN_W2, DN_MATRICES };
double dn_gain_of(const dn_config *c, int stack, int layer, enum dn_matrix which);

/* ---- 3 model and memory ------------------------------------------------------------------ */

typedef struct dn_model dn_model;         /* lives inside the caller's block                 */

/* DN_INFER: parameters and one forward pass; DN_BORROW: the same without the parameters, which
 * are kept elsewhere; DN_TRAIN: with gradients, moments and activations (c->memory: all of them,
 * or of each sub-layer its input and what its last norm reads). */
enum dn_purpose { DN_INFER, DN_BORROW, DN_TRAIN };

/* Bytes of the block a model needs; 0 with a sentence if c is wrong or too large for size_t. */
size_t    dn_model_bytes(const dn_config *c, enum dn_purpose purpose, char *err);
/* What c->parts and c->desks of a good c are where they are 0: the parts of a step, and how many
 * of them are worked on at once. */
typedef struct dn_sharing { int parts, desks; } dn_sharing;
dn_sharing dn_sharing_of(const dn_config *c, enum dn_purpose purpose);
/* Lay a model out in block (any alignment; the caller owns it, and frees it when done with the
 * model) and draw its initial parameters.  c is copied.  NULL with a sentence on failure. */
dn_model *dn_model_init(const dn_config *c, enum dn_purpose purpose, void *block, size_t size,
                        char *err);
/* The same for DN_BORROW: the parameters are read where they are, in flash for example, one
 * tensor behind the other as dn_tensor_at has them.  They must outlive the model, which never
 * writes to them. */
dn_model *dn_model_borrow(const dn_config *c, const dn_real *values, void *block, size_t size,
                          char *err);
const dn_config *dn_model_config(const dn_model *m);
/* Change what may change between runs: dropout, smoothing, rates, schedule, Adam, clip: every
 * field but arch to tie, batch_tokens, parts, seed and memory to desks.  DN_EINVAL names the
 * first of those that differ; how many layers a stack has that is not there does not matter. */
dn_status dn_model_reconfigure(dn_model *m, const dn_config *c, char *err);
/* Is this one of the fields that it changes? */
int       dn_may_change(const dn_field *f);

/* The parameter tensors, in the order of the checkpoint.  value and grad point into the block
 * (value of DN_BORROW to what was handed in; grad is NULL unless DN_TRAIN); rows x cols, row-major;
 * a vector has cols == 0. */
typedef struct dn_tensor {
    char name[DN_NAME_MAX];
    int rows, cols;
    dn_real *value, *grad;
} dn_tensor;
int       dn_tensor_count(const dn_model *m);
dn_tensor dn_tensor_at(const dn_model *m, int i);
size_t    dn_param_count(const dn_model *m);          /* scalars in all tensors together */

/* ---- 4 training -------------------------------------------------------------------------- */

/* Sequences are stored one after another without padding: row r of a stream has len[r] tokens, at
 * least 1 and at most ctx, and each stream has at most batch_tokens in all.  enc is read if the
 * architecture has an encoder, dec if it has a decoder; label belongs to the stream on top (dec
 * if there is one), one per token: the id to predict there, or DN_IGNORE.  The arrays stay the
 * caller's and are only read during the call. */
typedef struct dn_batch {
    int rows;
    const int *enc, *enc_len;
    const int *dec, *dec_len;
    const int *label;
} dn_batch;

typedef struct dn_stats {
    double loss;              /* nats per scored token, with label smoothing                 */
    double nll;               /* the same without: -ln p(label); perplexity = exp(nll)       */
    double grad_norm;         /* global L2 norm before clipping                              */
    double lr;                /* the rate this step used                                     */
    int tokens, correct;      /* scored tokens, and those whose label had the largest logit  */
} dn_stats;

/* One optimizer step over n micro-batches: gradients of all scored tokens, averaged, clipped,
 * Adam.  DN_EDIVERGED: a loss or the norm was not finite, or the norm too large for Adam to square;
 * err names the first tensor or output that was not finite, if one was; parameters, moments and
 * the step count are untouched. */
dn_status dn_train_step(dn_model *m, const dn_batch *batch, int n, dn_stats *s, char *err);

/* The two halves of a step, for callers who share its parts out or change the gradient between.
 * First: grad of dn_tensor_at becomes the gradient of the SUM of the losses of `count` parts from
 * part `first` on, and *sums these sums; count is a power of two that divides first.  The sum of
 * two such neighbours is that of both together, to the bit: so the whole is that of parts 0 ..
 * parts - 1 (of dn_model_config), whoever computes which.  n is 1 .. 65536, and a step has at most
 * INT_MAX tokens.  Masks are those of the coming step.  After a failure grad is unspecified. */
dn_status dn_gradient_of(dn_model *m, const dn_batch *batch, int n, int first, int count,
                         dn_stats *sums, char *err);
/* Second: mean over sums->tokens, norm, clipping, Adam.  *sums becomes the means and the rest. */
dn_status dn_apply(dn_model *m, dn_stats *sums, char *err);
/* Losses without dropout and without gradients; any purpose. */
dn_status dn_evaluate(dn_model *m, const dn_batch *batch, dn_stats *s, char *err);
/* Forward and backward only: parameter gradients of the SUM of the losses are added to grad.
 * dropout != 0: with the masks of the coming step's first micro-batch.  After a failure grad is
 * unspecified. */
dn_status dn_gradient(dn_model *m, const dn_batch *batch, int dropout, dn_stats *s, char *err);
void      dn_zero_grad(dn_model *m);
/* Logits of every token of the top stream, without dropout: tokens x vocab, the caller's. */
dn_status dn_logits(dn_model *m, const dn_batch *batch, dn_real *logits, char *err);
/* ln p(label) of every token of the top stream, without dropout; 0 where it is DN_IGNORE.  log_p:
 * one for each token.  Any purpose, here and in dn_inspect. */
dn_status dn_log_p(dn_model *m, const dn_batch *batch, double *log_p, char *err);

/* What a pass without dropout computes on its way, copied to where the caller has room; NULL: not
 * this.  x is what sub-layer i of a stack (0 encoder, 1 decoder) reads, i counted from 0 through
 * all layers, or with i = number of sub-layers the output of the stack: tokens x dim.  So the state
 * behind layer l of L sub-layers each is x at L (l + 1).  weights are those of attention, behind
 * softmax: of each row heads x queries x keys, one row's behind the other's, and 0 for keys that a
 * query does not see.  Sub-layers without attention have none: DN_EINVAL. */
typedef struct dn_look { int stack, i; dn_real *x, *weights; } dn_look;
dn_status dn_inspect(dn_model *m, const dn_batch *batch, const dn_look *look, int n, char *err);

/* [eq:admin] Set Admin's skip factors by running the first part of a batch with dropout; other
 * schemes are left alone.  Call it before the first step: it overwrites what the factors have
 * learned. */
dn_status dn_profile(dn_model *m, const dn_batch *batch, char *err);

/* What the last pass of a DN_TRAIN model left at sub-layer i of a stack (0 encoder, 1 decoder), i
 * counted from 0 through all layers: x, its input, and sum, the argument of the norm behind it
 * (NULL where there is none); `tokens` rows of dim, valid until the next call.  i = number of
 * sub-layers: x is the output of the stack.  tokens 0: no such i, or more parts than 1. */
typedef struct dn_state { const dn_real *x, *sum; int tokens; } dn_state;
dn_state dn_state_at(const dn_model *m, int stack, int i);

int64_t   dn_step_count(const dn_model *m);           /* optimizer steps applied so far */
double    dn_learning_rate(const dn_config *c, int64_t step);           /* step counts from 1 */

/* [op:mlm] Each token is scored with probability 15 %; of those 80 % are shown as DN_MASK, 10 % as
 * a random byte or merge, 10 % as they are.  Writes n inputs and n labels; a function of (seed,
 * index) only, where index is that of the first token in the whole run. */
void      dn_mask_tokens(int *input, int *label, const int *tokens, int n, int vocab,
                         uint64_t seed, uint64_t index);

/* ---- 5 generation ------------------------------------------------------------------------ */

/* A generator holds the key/value cache of up to `rows` sequences for one model with a decoder.
 * It lives in a block of its own; the model must outlive it. */
typedef struct dn_generator dn_generator;
size_t        dn_generator_bytes(const dn_config *c, int rows, char *err);
dn_generator *dn_generator_init(const dn_model *m, int rows, void *block, size_t size,
                                char *err);

/* Start `rows` empty sequences (at most the generator's).  For an encoder-decoder, enc and
 * enc_len are the sources; otherwise NULL. */
dn_status dn_generator_start(dn_generator *g, int rows, const int *enc, const int *enc_len,
                             char *err);
/* Append len[r] >= 1 tokens to each sequence and return the logits after its last one:
 * rows x vocab, valid until the next call; NULL with a sentence if a sequence would exceed ctx. */
const dn_real *dn_generator_feed(dn_generator *g, const int *tokens, const int *len, char *err);

/* Choose an id by temperature (0: greedy), top-k (0: all) and top-p (1: all); u in [0,1) is
 * the random number.  work holds vocab reals. */
typedef struct dn_sampling { double temperature; int top_k; double top_p; } dn_sampling;
int dn_sample(const dn_real *logits, int vocab, const dn_sampling *how, double u, dn_real *work);

/* Translate n sources with beam search (beam 1: greedy), all at once; n*beam <= rows of g.
 * score of a hypothesis = sum of log p / length^length_penalty, which is from -10 to 10.  out holds
 * n x ctx ids; out_len[i] of them are the translation, without DN_BOS and DN_EOS; at most
 * 2 enc_len[i] + 10.  A decoder alone ignores enc and continues DN_BOS.  Each time
 * the hypotheses have grown by one id, progress is called with their length and the number of
 * sources that are not done; unless it returns 0 the search ends there with DN_EIO, and out and
 * out_len are unspecified.  progress must not use g. */
typedef struct dn_beam {
    int beam;
    double length_penalty;
    int (*progress)(void *user, int ids, int left);     /* or NULL                           */
    void *user;
} dn_beam;
dn_status dn_translate(dn_generator *g, int n, const int *enc, const int *enc_len,
                       const dn_beam *how, int *out, int *out_len, char *err);
/* Of the last dn_translate: hypothesis k, from 0, of source i.  First come those that ended, the
 * best first, then those which the limit has cut; at most `beam` for each source, k = 0 being what
 * out has.  A search that was stopped has those that it had found by then.  ids NULL: there are no
 * more.  They are valid until g translates or starts again. */
typedef struct dn_hypothesis { const int *ids; int length; double score; } dn_hypothesis;
dn_hypothesis dn_hypothesis_at(const dn_generator *g, int i, int k);

/* ---- 6 checkpoints ----------------------------------------------------------------------- */

/* One safetensors file: docs/format.md.  The callbacks return 0 for success; read is at an
 * absolute offset, write appends.  size is that of the file to be read. */
typedef struct dn_io {
    void *user;
    uint64_t size;
    int (*read)(void *user, uint64_t at, void *to, size_t n);
    int (*write)(void *user, const void *from, size_t n);
} dn_io;

/* The caller's own texts, stored and found again by key; printable ASCII without " and \.  Keys
 * must be short, distinct, and other than checksum, format, step and config.*. */
typedef struct dn_note { const char *key, *text; } dn_note;

dn_status dn_save(const dn_model *m, const dn_note *notes, int n_notes, const dn_io *io,
                  char *err);
/* Read and check a file's header; the configuration it was made with (with memory, threads and
 * desks, which are not in a file, at their defaults). */
dn_status dn_load_config(dn_config *c, const dn_io *io, char *err);
/* Load parameters (in DN_TRAIN also moments), which must be finite, and the step (0 if the file has
 * no moments) into a model, and take over the configuration in the file; what it does not say
 * stays, but parts becomes 1 if it says anything else.  Only here is the checksum verified.  Fields
 * that dn_model_reconfigure cannot change, the seed included, must match, as there, except
 * batch_tokens and parts in DN_INFER.  After a failure the model's values and configuration are
 * unspecified. */
dn_status dn_load(dn_model *m, const dn_io *io, char *err);
/* A note's text with its NUL; *size is the space in text and becomes the space needed.  text may
 * be NULL when *size is 0. */
dn_status dn_load_note(const dn_io *io, const char *key, char *text, size_t *size, char *err);

/* What any program's safetensors file says of a tensor.  Its bytes lie in the file from `at` on,
 * row by row; bytes: those of a number, which is F64, F32, F16 or BF16, or 0 for another type. */
enum { DN_DIMS = 8, DN_ENTRY_NAME = 256 };
typedef struct dn_entry {
    const char *name;                     /* what is not plain ASCII as ?, at most 255 bytes */
    int type, bytes, dims;
    uint64_t shape[DN_DIMS], at;
} dn_entry;
typedef struct dn_visit {
    void *user;
    void (*tensor)(void *user, const dn_entry *e);
} dn_visit;
/* Show every tensor to a visitor, in the order of the header.  Of one that is refused, some may
 * have been shown. */
dn_status dn_entries(const dn_io *io, const dn_visit *visit, char *err);
/* A number whose bytes (not 0 of them) are those. */
double    dn_entry_number(const dn_entry *e, const void *bytes);

/* ---- 7 tokenizer (tokenizer.c): byte-level BPE, lossless on any bytes -------------------- */

typedef struct dn_tokenizer {
    int vocab;                /* ids are 0 .. vocab-1: specials, 256 bytes, merges            */
    int *pair;                /* (tokenizer.c's own, here and below) the ids each merge joins */
    int *slot;                /* hash table from a pair to the id it makes                    */
    uint32_t mask;            /* number of slots, less one                                    */
    unsigned char *size;      /* bytes each id stands for                                     */
} dn_tokenizer;

/* Memory of a tokenizer with at most max_vocab ids, and scratch for learning one from n bytes;
 * 0 if max_vocab is not in DN_MIN_VOCAB .. 2^20, or n is above 2^28 or too much for size_t.  Blocks
 * are aligned as malloc's are. */
size_t    dn_tok_bytes(int max_vocab);
size_t    dn_tok_train_bytes(int max_vocab, size_t n);
/* Learn merges from text until there are max_vocab ids or no pair occurs twice.  t lives in memory;
 * scratch is free again when this returns. */
typedef struct dn_block { void *at; size_t size; } dn_block;
dn_status dn_tok_train(dn_tokenizer *t, int max_vocab, const void *text, size_t n,
                       dn_block memory, dn_block scratch, char *err);
/* Return the number of ids (bytes) the input needs and write the first max of them. */
size_t    dn_tok_encode(const dn_tokenizer *t, const void *text, size_t n, int *ids, size_t max);
/* Where a text of which these are the first n bytes can be cut, at n - 64 or later; 0 if n is less.
 * The ids of its two parts, one after the other, are those of the whole. */
size_t    dn_tok_cut(const void *text, size_t n);
size_t    dn_tok_decode(const dn_tokenizer *t, const int *ids, size_t n, void *out, size_t max);
/* As a note for dn_save: printable ASCII; returns the length without a NUL. */
size_t    dn_tok_save(const dn_tokenizer *t, char *out, size_t max);
/* The vocabulary a saved text announces (0: none), then the tokenizer itself. */
int       dn_tok_vocab_of(const char *text, size_t n);
dn_status dn_tok_load(dn_tokenizer *t, const char *text, size_t n, void *mem, size_t mem_size,
                      char *err);

/* ---- 8 random numbers -------------------------------------------------------------------- */

/* 32 random bits, a function of its arguments only: the same on every machine. */
uint32_t dn_random(uint64_t seed, uint64_t stream, uint32_t index);
/* Item i < n of a random order of 0 .. n-1; a function of its arguments only, without memory. */
uint32_t dn_shuffle(uint64_t seed, uint64_t stream, uint32_t i, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
