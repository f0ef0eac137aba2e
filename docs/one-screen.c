/* one-screen.c - a Transformer of 50 layers, whole: forward, backward, Adam; and it learns
 * SPDX-License-Identifier: MIT
 *
 * The decoder of "DeepNet: Scaling Transformers to 1,000 Layers", arXiv 2203.00555, reads letters
 * and guesses the next.  The paper adds alpha, in deepnorm(), and beta, in main().  backward() has
 * (1) to (11) of forward() in reverse.  dz is the gradient of the loss with respect to z.
 *
 *     ./one-screen            learns a sentence by heart; cc -O2 one-screen.c -o one-screen -lm
 *     ./one-screen 1 1        alpha = beta = 1, Post-LN: learns how frequent each letter is */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "a deep network learns if its first steps are small";
/* M layers, T tokens, D width, F of the feed-forward, H heads of width E, vocabulary V: ASCII */
enum { M = 50, T = sizeof text - 2, D = 16, F = 2*D, H = 2, E = D/H, V = '~' - ' ' + 1 };
enum { QUERY, KEY, VALUE, OUT };
static double alpha, beta, guess[T][V]; /* how likely each letter is to come next */

static struct weights {
    double embed[V*D];
    struct layer {                      /* each matrix has a row for each output */
        double W[4][D*D], W1[F*D], W2[D*F];
        struct norm { double g[D], b[D]; } n1, n2;
    } layer[M];
} w, dw, mean, square;                  /* the last two: averages of dw and dw^2, for Adam */

static struct values {                  /* of one token in one layer, kept for backward */
    double x[D], qkv[3][D], P[H][T], c[D], y[D], u[F];
    struct sum { double G[D], z[D], s; } r1, r2;
} a[M + 1][T], da[M + 1][T];

static double dot(const double *x, const double *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i]*y[i];
    return sum;
}

static void add(double *y, double c, const double *x, int n)
{
    for (int i = 0; i < n; i++) y[i] += c*x[i];
}

/* y = W x.  In a product the gradient of each factor is the other factor times dy. */
static void linear(double *y, const double *x, const double *W, int O, int I)
{
    for (int o = 0; o < O; o++) y[o] = dot(W + o*I, x, I);
}

static void linear_back(double *dx, double *dW, double *dy, double *x, double *W, int O, int I)
{
    for (int o = 0; o < O; o++) add(dx, dy[o], W + o*I, I);
    for (int o = 0; o < O; o++) add(dW + o*I, dy[o], x, I);
}

/* The paper: y = LN(alpha x + G).  The larger alpha, the less each G changes the stream. */
static void deepnorm(double *y, struct sum *r, const double *x, const struct norm *n)
{
    double m = 0;
    for (int j = 0; j < D; j++) m += (alpha*x[j] + r->G[j])/(double)D;
    for (int j = 0; j < D; j++) r->z[j] = alpha*x[j] + r->G[j] - m;
    r->s = 1/sqrt(dot(r->z, r->z, D)/(double)D + 1e-5);
    for (int j = 0; j < D; j++) y[j] = n->g[j]*(r->z[j] *= r->s) + n->b[j];
}

/* z has mean 0 and length sqrt D whatever happens: what dz asks of these two is taken out. */
static void deepnorm_back(double *dx, struct sum *dr, struct norm *dn, const double *dy,
                          const struct sum *r, const struct norm *n)
{
    double dz[D], m = 0;
    for (int j = 0; j < D; j++) m += (dz[j] = n->g[j]*dy[j])/(double)D;
    double along = dot(dz, r->z, D)/(double)D;
    for (int j = 0; j < D; j++) dr->G[j] = (dz[j] - m - along*r->z[j])*r->s;
    for (int j = 0; j < D; j++) dn->g[j] += dy[j]*r->z[j];
    add(dx, alpha, dr->G, D);  add(dn->b, 1, dy, D);
}

static void softmax(double *s, int n)
{
    double top = s[0], sum = 0;         /* taken off all, so that no exp overflows */
    for (int j = 1; j < n; j++) top = fmax(top, s[j]);
    for (int j = 0; j < n; j++) sum += s[j] = exp(s[j] - top);
    for (int j = 0; j < n; j++) s[j] /= sum;
}

/* c = P v: token t looks back at tokens j <= t, most at those whose key is like its query. */
static void attend(struct values *l, int t, int h)
{
    double *P = l[t].P[h/E];            /* h is the first column of a head */
    for (int j = 0; j <= t; j++) P[j] = dot(l[t].qkv[QUERY] + h, l[j].qkv[KEY] + h, E)/sqrt(E);
    softmax(P, t + 1);
    memset(l[t].c + h, 0, E*sizeof(double));
    for (int j = 0; j <= t; j++) add(l[t].c + h, P[j], l[j].qkv[VALUE] + h, E);
}

/* The shares P always sum to 1: what dP asks of all of them alike, its average, is taken out. */
static void attend_back(struct values *d, struct values *l, int t, int h)
{
    double dP[T], *P = l[t].P[h/E], *dc = d[t].c + h;
    for (int j = 0; j <= t; j++) dP[j] = dot(dc, l[j].qkv[VALUE] + h, E);
    for (int j = 0; j <= t; j++) add(d[j].qkv[VALUE] + h, P[j], dc, E);
    double average = dot(P, dP, t + 1);
    for (int j = 0; j <= t; j++) dP[j] = P[j]*(dP[j] - average)/sqrt(E);
    for (int j = 0; j <= t; j++) add(d[t].qkv[QUERY] + h, dP[j], l[j].qkv[KEY] + h, E);
    for (int j = 0; j <= t; j++) add(d[j].qkv[KEY] + h, dP[j], l[t].qkv[QUERY] + h, E);
}

/* One token through all layers; those it looks back at went before.  Returns the best guess. */
static int forward(int t, int id)
{
    for (int j = 0; j < D; j++) {
        double angle = t*pow(1e4, -(j%(D/2))/(D/2 - 1.0)), wave = j < D/2 ? sin(angle) : cos(angle);
        a[0][t].x[j] = sqrt(D)*w.embed[id*D + j] + wave;                                  /* (1) */
    }
    for (int i = 0; i < M; i++) {
        struct values *l = &a[i][t];
        struct layer *p = &w.layer[i];
        for (int k = 0; k < OUT; k++) linear(l->qkv[k], l->x, p->W[k], D, D);             /* (2) */
        for (int h = 0; h < D; h += E) attend(a[i], t, h);                                /* (3) */
        linear(l->r1.G, l->c, p->W[OUT], D, D);                                           /* (4) */
        deepnorm(l->y, &l->r1, l->x, &p->n1);                                             /* (5) */
        linear(l->u, l->y, p->W1, F, D);                                                  /* (6) */
        for (int f = 0; f < F; f++) l->u[f] = fmax(l->u[f], 0);                           /* (7) */
        linear(l->r2.G, l->u, p->W2, D, F);                                               /* (8) */
        deepnorm(a[i + 1][t].x, &l->r2, l->y, &p->n2);                                    /* (9) */
    }
    linear(guess[t], a[M][t].x, w.embed, V, D);                                          /* (10) */
    softmax(guess[t], V);                                                                /* (11) */
    int best = 0;
    for (int v = 0; v < V; v++) if (guess[t][v] > guess[t][best]) best = v;
    return best;
}

static double backward(int t, int id, int next)
{
    double ds[V], loss = -log(guess[t][next])/(double)T;
    for (int v = 0; v < V; v++) ds[v] = (guess[t][v] - (v == next))/(double)T;           /* (11) */
    linear_back(da[M][t].x, dw.embed, ds, a[M][t].x, w.embed, V, D);                     /* (10) */
    for (int i = M - 1; i >= 0; i--) {
        struct values *l = &a[i][t], *d = &da[i][t];
        struct layer *p = &w.layer[i], *dp = &dw.layer[i];
        deepnorm_back(d->y, &d->r2, &dp->n2, da[i + 1][t].x, &l->r2, &p->n2);             /* (9) */
        linear_back(d->u, dp->W2, d->r2.G, l->u, p->W2, D, F);                            /* (8) */
        for (int f = 0; f < F; f++) if (l->u[f] <= 0) d->u[f] = 0;                        /* (7) */
        linear_back(d->y, dp->W1, d->u, l->y, p->W1, F, D);                               /* (6) */
        deepnorm_back(d->x, &d->r1, &dp->n1, d->y, &l->r1, &p->n1);                       /* (5) */
        linear_back(d->c, dp->W[OUT], d->r1.G, l->c, p->W[OUT], D, D);                    /* (4) */
        for (int h = 0; h < D; h += E) attend_back(da[i], a[i], t, h);                    /* (3) */
        for (int k = 0; k < OUT; k++)
            linear_back(d->x, dp->W[k], d->qkv[k], l->x, p->W[k], D, D);                  /* (2) */
    }
    add(dw.embed + id*D, sqrt(D), da[0][t].x, D);                                         /* (1) */
    return loss;
}

static void adam(int step, double rate, int print)
{
    double *x = (double *)&w, *g = (double *)&dw, *m = (double *)&mean, *v = (double *)&square;
    double sum_m = 1 - pow(0.9, step), sum_v = 1 - pow(0.98, step); /* of all weights so far */
    for (size_t i = 0; i < sizeof w/sizeof *x; i++) {
        if (print) printf("%.17g %.17g\n", x[i], g[i]);
        m[i] = 0.9*m[i] + 0.1*g[i];  v[i] = 0.98*v[i] + 0.02*g[i]*g[i];
        x[i] -= rate*m[i]/sum_m/(sqrt(v[i]/sum_v) + 1e-8);
    }
}

static void draw(double *W, int n, double deviation)
{
    static unsigned seed = 1;           /* twelve uniform numbers add up to a nearly normal one */
    for (int i = 0; i < 12*n; i++)
        W[i/12] += deviation*((seed = seed*1664525 + 1013904223)/4294967296.0 - 0.5);
}

int main(int argc, char **argv)
{
    int golden = argc == 2 && !strcmp(argv[1], "golden");   /* for docs/checks/one-screen.c */
    alpha = argc > 2 ? atof(argv[1]) : pow(2*M, 0.25);
    beta = argc > 2 ? atof(argv[2]) : pow(8*M, -0.25);
    draw(w.embed, V*D, 1/sqrt(D));
    for (struct layer *p = w.layer; p < w.layer + M; p++) {
        for (int k = 0; k <= OUT; k++) draw(p->W[k], D*D, (k < VALUE ? 1 : beta)/sqrt(D));
        draw(p->W1, F*D, beta*sqrt(2.0/(D + F)));  draw(p->W2, D*F, beta*sqrt(2.0/(D + F)));
        for (int j = 0; j < D; j++) p->n1.g[j] = p->n2.g[j] = 1;
    }
    for (int step = 1; step <= (golden ? 4 : 200); step++) {
        double loss = 0;
        memset(&dw, 0, sizeof dw);  memset(da, 0, sizeof da);
        for (int t = 0; t < T; t++) forward(t, text[t] - ' ');
        for (int t = T - 1; t >= 0; t--) loss += backward(t, text[t] - ' ', text[t + 1] - ' ');
        if (golden) printf("%.17g\n", loss);
        else if (step == 1 || step%40 == 0) {
            printf("step %3d   loss %.3f   %c", step, loss, text[0]); /* then reads itself */
            for (int t = 0, id = text[0] - ' '; t < T; t++) putchar(' ' + (id = forward(t, id)));
            putchar('\n');
        }
        adam(step, 1e-3, golden);
    }
}
