"""pytorch.py - the training steps of `make bench BENCH=step`, by PyTorch on the same machine.

    python docs/checks/pytorch.py [THREADS [SHAPE...]]

Needs torch.  Each shape is timed as it is, through torch.compile, and with each layer compiled by
itself, in float, with scaled_dot_product_attention and AdamW in its fused and its foreach form; the
least of several steps counts, of the best of these settings.  Deep shapes are not compiled whole,
which takes longer than the measurement is worth.  bfloat16 (autocast) is there for information.
Shapes, batches, ties, clipping and DeepNorm are bench.c's, so the time beside ours is that of the
same mathematics.
"""
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

#         layers of encoder and decoder, dim, heads, ffn, vocab, tokens, tokens of a sequence
SHAPES = {"12x768": (0, 12, 768, 12, 3072, 50257, 256, 64),
          "6x256": (0, 6, 256, 4, 1024, 259, 512, 64),
          "4x128": (0, 4, 128, 2, 512, 259, 768, 64),
          "100+100x64": (100, 100, 64, 2, 128, 2000, 256, 16)}


class Attention(nn.Module):
    def __init__(self, dim, heads, cross):
        super().__init__()
        self.heads, self.cross = heads, cross
        self.q = nn.Linear(dim, dim if cross else 3*dim)
        self.kv = nn.Linear(dim, 2*dim) if cross else None
        self.o = nn.Linear(dim, dim)

    def forward(self, x, memory, causal):
        q, k, v = (self.q(x), *self.kv(memory).chunk(2, -1)) if self.cross else self.q(x).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.o(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, dim, heads, ffn, cross, alpha):
        super().__init__()
        self.alpha = alpha
        self.att = Attention(dim, heads, False)
        self.cross = Attention(dim, heads, True) if cross else None
        self.w1, self.w2 = nn.Linear(dim, ffn), nn.Linear(ffn, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3 if cross else 2))

    def forward(self, x, memory, causal):
        x = self.norms[0](self.alpha*x + self.att(x, None, causal))
        if self.cross is not None:
            x = self.norms[2](self.alpha*x + self.cross(x, memory, False))
        return self.norms[1](self.alpha*x + self.w2(F.relu(self.w1(x))))


class Model(nn.Module):
    def __init__(self, n, m, dim, heads, ffn, vocab, length):
        super().__init__()
        self.embed, self.dim = nn.Embedding(vocab, dim), dim
        nn.init.normal_(self.embed.weight, std=dim**-0.5)
        self.register_buffer("positions", torch.randn(length, dim))
        enc, dec = 0.81*(n**4*m)**(1/16) if n else 0, (3*m)**0.25 if n else (2*m)**0.25
        self.enc = nn.ModuleList(Layer(dim, heads, ffn, False, enc) for _ in range(n))
        self.dec = nn.ModuleList(Layer(dim, heads, ffn, n > 0, dec) for _ in range(m))

    def forward(self, ids):
        start = x = math.sqrt(self.dim)*self.embed(ids) + self.positions
        for layer in self.enc:
            x = layer(x, None, False)
        memory, x = x, start
        for layer in self.dec:
            x = layer(x, memory, True)
        return F.linear(x, self.embed.weight)


def step_time(shape, compiled, form, half, seconds):
    n, m, dim, heads, ffn, vocab, tokens, length = shape
    torch.manual_seed(1)
    model = Model(n, m, dim, heads, ffn, vocab, length)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), **{form: True})
    ids = torch.randint(3, vocab, (tokens//length, length))
    run = torch.compile(model) if compiled == "compiled" else model
    for layer in (*model.enc, *model.dec):
        if compiled == "layers compiled":
            layer.compile()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end or best == math.inf:
        begun = time.perf_counter()
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = F.cross_entropy(run(ids).flatten(0, 1).float(), ids.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        now = time.perf_counter()
        best = best if best < now - begun else now - begun
        end = end if now - begun < seconds else max(end, now + 1)     # the first one compiled
    return 1e3*best


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads()
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads, {torch.backends.cpu.get_cpu_capability()}")
    for name in sys.argv[2:] or SHAPES:
        times = {}
        deep = sum(SHAPES[name][:2]) > 24
        for compiled in ("eager", "layers compiled", *(() if deep else ("compiled",))):
            for form in ("fused", "foreach"):
                try:
                    key = compiled + ", " + form
                    times[key] = step_time(SHAPES[name], compiled, form, False, 6)
                except Exception as why:            # no compiler, or a graph too deep for it
                    print(f"{name}: {key}: {type(why).__name__}", file=sys.stderr)
        best = min(times, key=times.get)
        half = step_time(SHAPES[name], *best.split(", "), True, 6)
        print(f"{name}: {times[best]:.1f} ms ({best}); "
              + ", ".join(f"{k} {t:.1f}" for k, t in times.items()) + f"; bfloat16 {half:.1f}",
              flush=True)


main()
