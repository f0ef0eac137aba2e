"""The network of deepnet.c as a torch.nn.Module, for all schemes and architectures.

    net = model.load("model.safetensors").eval()    # a checkpoint of ./train
    logits = net(source, decoder_input_ids=target)  # rows x tokens; with one stack net(ids)
    model.save(net, "other.safetensors")            # for ./train translate, score, sample

What a scheme has where is read off the names of its tensors: an in_norm is there or not.  Beside
them it has alpha, in skip(), a fixed b, and one factor.  docs/forward.md has the formulas.
PyTorch 2.0 or later, 2.4 for keel and olmo2.
"""
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

STACKS, KINDS = ("encoder", "decoder"), ("self_attn", "cross_attn", "ffn")
ACTIVATION = {"relu": F.relu, "gelu": F.gelu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh")}


def skip(c, stack, layer):
    """What multiplies x where it is not learned: alpha, table 2 of deepnet.c."""
    N, M, both = int(c["enc-layers"]), int(c["dec-layers"]), c["arch"] == "encoder-decoder"
    subs = 2*N if stack == "encoder" else (3 if both else 2)*M
    if c["norm"] == "deepnorm":
        return 0.81*(N**4*M)**(1/16) if both and stack == "encoder" else subs**0.25
    if c["norm"] == "deepscalelm":
        return (subs/2 - 1)**0.5
    return subs if c["norm"] == "keel" and layer else 1.0


def branch(c, stack):
    """What multiplies the branch where it is not learned."""
    power = {"completep": -1.0, "depth-mup": -0.5}.get(c["norm"], 0.0)
    return int(c["enc-layers" if stack == "encoder" else "dec-layers"])**power


def module(name, shapes):
    shape = shapes.get("weight", [1])
    if name in ("q", "k", "v", "o", "w1", "w2"):
        return nn.Linear(shape[1], shape[0], bias="bias" in shapes)
    if name.endswith("norm") and len(shape) == 1:
        return (nn.LayerNorm if "bias" in shapes else nn.RMSNorm)(shape, eps=1e-5)
    return nn.ParameterDict({leaf: torch.zeros(shape) for leaf, shape in shapes.items()})


def place(parts, at, x):
    """What stands at in_, mid_, br_ or out_ of a sub-layer, and at the end ("") of a stack."""
    x = parts[at + "norm"](x) if at + "norm" in parts else x
    return x + parts[at + "shift"].bias if at + "shift" in parts else x


class Sublayer(nn.ModuleDict):
    """y = out(a x + b br(G(in(x))))"""

    def __init__(self, parts, c, stack, layer):
        super().__init__({name: module(name, shapes) for name, shapes in parts.items()})
        self.c, self.a, self.b = c, skip(c, stack, layer), branch(c, stack)
        self.factor = (layer + 1)**-0.5 if c["norm"] == "layernorm-scaling" else 1.0

    def attention(self, x, source, mask):
        source = x if source is None else source
        q, k, v = (self[name](z).unflatten(-1, (int(self.c["heads"]), -1)).transpose(1, 2)
                   for name, z in (("q", x), ("k", source), ("v", source)))
        rate = float(self.c["attn-dropout"])*self.training
        out = F.scaled_dot_product_attention(q, k, v, mask, rate)
        out = out*self["head"].weight[:, None, None] if "head" in self else out
        return self["o"](place(self, "mid_", out.transpose(1, 2).flatten(2)))

    def feed_forward(self, x):
        u = ACTIVATION[self.c["activation"]](place(self, "act_", self["w1"](x)))
        u = F.dropout(u, float(self.c["act-dropout"]), self.training)
        return self["w2"](place(self, "mid_", u))

    def forward(self, x, gate, source, mask):
        n = place(self, "in_", x)*self.factor
        g = self.feed_forward(n) if "w1" in self else self.attention(n, source, mask)
        a = self["omega"].weight if "omega" in self else self.a
        b = self["scale"].weight if "scale" in self else self.b if gate is None else gate
        g = F.dropout(place(self, "br_", g), float(self.c["dropout"]), self.training)
        return place(self, "out_", a*x + b*g)


class DeepNet(nn.Module):
    """Of a checkpoint's configuration and shapes of tensors: layer 1 stands for later ones that
    have none."""

    def __init__(self, c, shapes):
        super().__init__()
        self.c, self.shapes, self.notes, tree = c, shapes, {}, {}
        for name, shape in shapes.items():          # tree[path of the parent][name][weight or bias]
            *path, part, leaf = name.split(".")
            tree.setdefault(".".join(path), {}).setdefault(part, {})[leaf] = shape
        for stack, layers in zip(STACKS, (int(c["enc-layers"]), int(c["dec-layers"]))):
            parts = {name: module(name, of) for name, of in tree.get(stack, {}).items()}
            for l in range(layers if stack + ".0.ffn" in tree else 0):
                like = l if f"{stack}.{l}.ffn" in tree else 1
                parts[str(l)] = nn.ModuleDict({
                    kind: Sublayer(tree[at], c, stack, l) for kind in KINDS
                    if (at := f"{stack}.{like}.{kind}") in tree})
            self.add_module(stack, nn.ModuleDict(parts))
        if "" in tree:
            self.output = module("output", tree[""]["output"])

    def table(self, *names):
        return next(m.weight for n in names for path, m in self.named_modules() if path == n)

    def embed(self, stack, ids):
        """sqrt(D) E[id] + pos[t]"""
        D, T, parts = int(self.c["dim"]), ids.shape[1], getattr(self, stack)
        x = F.embedding(ids, self.table(stack + ".embed", "encoder.embed"))*D**0.5
        if "positions" in parts:
            return x + parts["positions"].weight[:T]
        k = torch.arange(D//2, dtype=torch.float64, device=x.device)
        angle = torch.arange(T, device=x.device).outer(10000**(-k/max(D//2 - 1, 1)))
        return x + torch.cat([angle.sin(), angle.cos()], 1).to(x.dtype)

    def stack(self, stack, ids, mask, mem, mem_mask):
        parts, outputs, l = getattr(self, stack), [], 0
        x = F.dropout(self.embed(stack, ids), float(self.c["dropout"]), self.training)
        while True:
            if "mix" in parts:                      # of all outputs below, each normalized
                g, b = parts["mix_norm"].weight[l], parts["mix_norm"].bias[l]
                outputs.append(F.layer_norm(x, g.shape, g, b, 1e-5))
                x = sum(w*y for w, y in zip(parts["mix"].weight[l], outputs))
            if str(l) not in parts:
                break
            layer, l = parts[str(l)], l + 1
            gate = layer["self_attn"]["scale"].weight if "scale" in layer["self_attn"] else None
            for kind, sub in layer.items():
                x = sub(x, gate, *((mem, mem_mask) if kind == "cross_attn" else (None, mask)))
        return place(parts, "", x)

    def forward(self, input_ids, attention_mask=None, decoder_input_ids=None,
                decoder_attention_mask=None):
        """Logits.  The masks are 1 where there is a token, and 0 behind the last one of a row."""
        y = mask = None
        streams = (input_ids, attention_mask), (decoder_input_ids, decoder_attention_mask)
        for stack, (x, seen) in zip([s for s in STACKS if len(getattr(self, s))], streams):
            mem, mem_mask = y, mask                 # masks: rows, heads, queries, keys
            mask = (torch.ones_like(x) if seen is None else seen).bool()[:, None, None, :]
            if stack == "decoder":
                mask = mask & torch.ones_like(x[0] + x[0, :, None]).bool().tril()
            y = self.stack(stack, x, mask, mem, mem_mask)
        return F.linear(y, self.table("output", "decoder.embed", "encoder.embed"))


def load(path):
    with safetensors.safe_open(path, "pt") as file:
        meta = file.metadata()
        tensors = {n: file.get_tensor(n) for n in file.keys() if not n.startswith("adam.")}
    net = DeepNet({k[7:]: v for k, v in meta.items() if k.startswith("config.")},
                  {name: list(t.shape) for name, t in tensors.items()})
    net.notes = {k: v for k, v in meta.items() if k == "tokenizer"}
    net.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    return net


def save(net, path):
    """No checksum, which only holds for bytes that the library wrote, and no moments."""
    meta = {"format": "pt", **{"config." + k: v for k, v in net.c.items()}, **net.notes}
    safetensors.torch.save_file(net.state_dict(), path, meta)
