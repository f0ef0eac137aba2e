/* writes.c - a trained decoder continues a prompt, its parameters in flash, without heap or files.
 *
 *     ./train --arch decoder --text book.txt --out model.safetensors
 *     ./train export model.safetensors --c-header weights.h             or with --int8
 *
 * In float the model reads its parameters in place, from flash; in 8 bits they take a quarter of
 * the flash and are unpacked into RAM.  SPDX-License-Identifier: MIT */
#include "mcu.h"
#include "weights.h"
#include <string.h>

#ifdef MODEL_INT8
enum { PURPOSE = DN_INFER, RAM = 768*1024 };
#else
enum { PURPOSE = DN_BORROW, RAM = 320*1024 };
#endif

static double memory[RAM/8];

/* Take n bytes of the block; NULL once it is too small, and *used still counts the need. */
static void *take(size_t *used, size_t n)
{
    void *at = (char *)memory + *used;
    *used += (n + 7)/8*8;
    return *used <= sizeof memory ? at : NULL;
}

static dn_model *model(const dn_config *c, void *block, size_t size, char *err)
{
#ifdef MODEL_INT8
    dn_model *m = dn_model_init(c, DN_INFER, block, size, err);
    const signed char *q = model_matrices;
    const float *scale = model_scale, *v = model_vectors;
    for (int i = 0; m && i < dn_tensor_count(m); i++) {
        const dn_tensor t = dn_tensor_at(m, i);
        dn_real *w = t.value;
        for (int row = 0; row < t.rows; row++, scale += t.cols > 0) {
            if (t.cols == 0) *w++ = *v++;
            for (int j = 0; j < t.cols; j++) *w++ = *scale*(dn_real)*q++;
        }
    }
    return m;
#else
    return dn_model_borrow(c, model_values, block, size, err);
#endif
}

int main(void)
{
    static const char prompt[] = "the ";
    const size_t note = sizeof model_tokenizer;
    const dn_sampling how = { 0.8, 0, 1 };
    char err[DN_ERR_MAX];
    dn_config c;
    dn_tokenizer t;
    int ids[sizeof prompt];
    size_t used = 0;
    dn_config_default(&c);
    for (size_t i = 0; i < sizeof model_config/sizeof *model_config; i++)
        if (dn_config_set(&c, model_config[i][0], model_config[i][1], err) != DN_OK)
            return print(err), print("\n"), 1;
    c.threads = 1;
    c.batch_tokens = c.ctx;
    const size_t need = dn_model_bytes(&c, PURPOSE, err);
    const size_t words = dn_tok_bytes(dn_tok_vocab_of(model_tokenizer, note));
    const size_t cache = dn_generator_bytes(&c, 1, err);
    void *block = take(&used, need), *w = take(&used, words), *g_block = take(&used, cache);
    dn_real *work = take(&used, (size_t)c.vocab*sizeof *work);
    if (!work) return print("bytes needed: "), print_number(used), print("\n"), 1;
    dn_model *m = model(&c, block, need, err);
    dn_generator *g = m ? dn_generator_init(m, 1, g_block, cache, err) : NULL;
    if (!g || dn_tok_load(&t, model_tokenizer, note, w, words, err) != DN_OK
        || dn_generator_start(g, 1, NULL, NULL, err) != DN_OK) return print(err), print("\n"), 1;
    int n = 1 + (int)dn_tok_encode(&t, prompt, strlen(prompt), ids + 1, sizeof prompt - 1), last;
    ids[0] = DN_BOS;
    const dn_real *logits = dn_generator_feed(g, ids, &n, err);
    print(prompt);
    for (int i = n; logits && i < c.ctx; i++) {
        char piece[DN_NAME_MAX];
        const double u = dn_random(1, 0, (uint32_t)i)/4294967296.0;
        last = dn_sample(logits, c.vocab, &how, u, work);
        for (size_t k = 0, p = dn_tok_decode(&t, &last, 1, piece, sizeof piece); k < p; k++)
            putchar(piece[k]);
        logits = dn_generator_feed(g, &last, (const int[]){ 1 }, err);
    }
    print("\nbytes of RAM: "), print_number(used), print(", stack "), print_number(stack_used());
    return print("\n"), 0;
}
