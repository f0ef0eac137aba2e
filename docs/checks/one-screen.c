/* one-screen.c - are the numbers of docs/one-screen.c those of the library?
 * SPDX-License-Identifier: MIT
 *
 *     cc docs/one-screen.c -o one-screen -lm
 *     cc -DDN_DOUBLE docs/checks/one-screen.c deepnet.c -o one-screen-check -lm
 *     ./one-screen golden | ./one-screen-check
 *
 * Golden prints in each of its steps the loss and then every parameter before the step with its
 * gradient.  The library takes the same steps here, from parameters drawn by the same rule.
 */
#ifndef DN_DOUBLE
#define DN_DOUBLE                       /* as deepnet.c must be compiled, too */
#endif
#include "../../deepnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "a deep network learns if its first steps are small";
enum { M = 50, T = sizeof text - 2, D = 16, F = 2*D, H = 2, V = '~' - ' ' + 1, STEPS = 4 };

/* The tensors of a layer in the order of struct layer; those with 1 are drawn with beta. */
static const struct { const char *name; int beta; } order[] = {
    { "self_attn.q.weight", 0 },        { "self_attn.k.weight", 0 },
    { "self_attn.v.weight", 1 },        { "self_attn.o.weight", 1 },
    { "ffn.w1.weight", 1 },             { "ffn.w2.weight", 1 },
    { "self_attn.out_norm.weight", 0 }, { "self_attn.out_norm.bias", 0 },
    { "ffn.out_norm.weight", 0 },       { "ffn.out_norm.bias", 0 },
};
enum { EACH = sizeof order/sizeof *order, TENSORS = 1 + M*EACH };

static double worst;

static int fail(int step, const char *name, const char *why)
{
    fprintf(stderr, "one-screen: step %d, %s: %s\n", step, name, why);
    return 1;
}

/* The length of the difference, relative to that of the library's own (0: exactly 0). */
static int differs(const double *x, const double *own, int n, double scale)
{
    double d2 = 0, l2 = 0;
    for (int i = 0; i < n; i++) {
        double z = scale*own[i];
        d2 += (x[i] - z)*(x[i] - z);
        l2 += z*z;
    }
    double ratio = d2 > 0 ? sqrt(d2/l2) : d2;
    if (!(ratio <= worst)) worst = ratio;
    return !(ratio <= 1e-12);
}

static int size_of(const dn_tensor *t) { return t->cols ? t->rows*t->cols : t->rows; }

/* Matrices only: what the library gives vectors at first is compared. */
static void draw(const dn_tensor *t, double s)
{
    static uint32_t seed = 1;
    for (int i = 0; i < size_of(t) && t->cols; i++) {
        t->value[i] = 0;
        for (int k = 0; k < 12; k++) {
            seed = seed*1664525 + 1013904223;
            t->value[i] += s*(seed/4294967296.0 - 0.5);
        }
    }
}

static int check_step(dn_model *m, const dn_tensor *tensor, double *x, double *g, int step)
{
    int id[T + 1], length = T, n = (int)dn_param_count(m);
    char err[DN_ERR_MAX];
    double loss;
    dn_stats s;
    dn_batch b = { 1, NULL, NULL, id, &length, id + 1 };
    for (int t = 0; t <= T; t++) id[t] = text[t] - ' ';
    if (scanf("%lf", &loss) != 1) return fail(step, "loss", "no number came");
    for (int i = 0; i < n; i++)
        if (scanf("%lf %lf", &x[i], &g[i]) != 2) return fail(step, "parameters", "too few came");
    for (const dn_tensor *t = tensor; t < tensor + TENSORS; x += size_of(t++))
        if (differs(x, t->value, size_of(t), 1)) return fail(step, t->name, "other values");
    if (dn_train_step(m, &b, 1, &s, err)) return fail(step, "the library", err);
    if (differs(&loss, &s.loss, 1, 1)) return fail(step, "loss", "another number");
    for (const dn_tensor *t = tensor; t < tensor + TENSORS; g += size_of(t++))
        if (differs(g, t->grad, size_of(t), 1.0/length)) return fail(step, t->name, "other slopes");
    return 0;
}

int main(void)
{
    static dn_tensor tensor[TENSORS];
    char err[DN_ERR_MAX], name[DN_NAME_MAX];
    dn_config c;
    dn_config_default(&c);
    c.arch = DN_DECODER;  c.dec_layers = M;  c.dim = D;  c.ffn = F;  c.heads = H;  c.vocab = V;
    c.ctx = c.batch_tokens = T;  c.bias = 0;  c.schedule = DN_CONSTANT;  c.warmup = 0;  c.lr = 1e-3;
    size_t need = dn_model_bytes(&c, DN_TRAIN, err);
    void *block = need ? malloc(need) : NULL;
    dn_model *m = block ? dn_model_init(&c, DN_TRAIN, block, need, err) : NULL;
    double *x = m ? malloc(2*dn_param_count(m)*sizeof *x) : NULL;
    if (!x) return fail(0, "memory", "none");
    for (int i = 0; i < TENSORS; i++) {
        int k = (i + EACH - 1)%EACH, at = dn_tensor_count(m);
        snprintf(name, sizeof name, i ? "decoder.%d.%s" : "decoder.embed.weight", (i - 1)/EACH,
                 order[k].name);
        while (at > 0 && strcmp(tensor[i].name, name)) tensor[i] = dn_tensor_at(m, --at);
        if (strcmp(tensor[i].name, name)) return fail(0, name, "not in the library");
        double s = i ? sqrt(2.0/(tensor[i].rows + tensor[i].cols)) : 1/sqrt(D);
        draw(&tensor[i], i && order[k].beta ? s*dn_gains_of(&c, 1, 0).beta : s);
    }
    for (int step = 1; step <= STEPS; step++)
        if (check_step(m, tensor, x, x + dn_param_count(m), step)) return 1;
    printf("one-screen: %d steps, largest relative difference %.1e\n", STEPS, worst);
    free(x);
    free(block);
    return 0;
}
