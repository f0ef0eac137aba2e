"""The Python files against the library, a compiler, ./train and the packages: docs/checks/python.

    python3 test.py         # needs ./train; DEEPNET_LIBRARY says which library, CC which compiler
"""
import contextlib
import ctypes as C
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest.mock

import numpy as np
import safetensors.numpy
import tokenizers
import torch
import transformers

import deepnet
import model
import to_hf

WORK = tempfile.TemporaryDirectory()                # where it works, with links to what it needs
os.chdir(WORK.name)
for _name in ("train", "data", "deepnet.h"):
    os.symlink(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..", _name), _name)
HEADER = re.sub(r"/\*.*?\*/", "", open("deepnet.h").read(), flags=re.S)
ARCHS, NORMS = deepnet.choices("arch"), deepnet.choices("norm")
torch.set_num_threads(1)


def run(*command, given=""):
    done = subprocess.run(command, input=given.encode(), check=True, capture_output=True)
    return done.stdout.decode(errors="replace")


def structs():
    names = re.findall(r"^typedef struct (dn_\w+) \{", HEADER, re.M)
    mine = {f"sizeof({n})": C.sizeof(deepnet.TYPES[n]) for n in names}
    mine |= {f"offsetof({n}, {field})": getattr(deepnet.TYPES[n], field).offset
             for n in names for field, _ in deepnet.TYPES[n]._fields_}
    mine |= {f"DN_{n}": value for n, value in vars(deepnet).items()
             if type(value) is int and f"DN_{n}" in HEADER}
    with open("sizes.c", "w") as file:
        print('#include "deepnet.h"\n#include <stdio.h>\nint main(void)\n{\n    int n = 0;',
              *(f'    n += printf("%d ", (int){what});' for what in mine),
              "    return n < 0;\n}", sep="\n", file=file)
    double = "-DDN_DOUBLE" if deepnet.DOUBLE else "-UDN_DOUBLE"
    run(os.environ.get("CC", "cc"), double, "sizes.c", "-o", "sizes")
    return sum(int(a) != b for a, b in zip(run("./sizes").split(), mine.values(), strict=True))


# What a C type is in deepnet.TYPES; a pointer is "at" or "text" there.
KIND_OF = {"size_t": "size", "uint32_t": "u32", "uint64_t": "u64", "int64_t": "i64",
           "dn_status": "int", "enum": "int"}


def types(declared):
    word = declared.replace("const ", "").split()[0]
    kinds = ("at", "text") if re.search(r"[*[]", declared) else (KIND_OF.get(word, word),)
    return [deepnet.TYPES[kind] for kind in kinds]


def functions():
    found = re.findall(r"^([\w ]+?[ *]+)(dn_\w+)\(([^)]*)\);", HEADER, re.M)
    wrong = abs(len(vars(deepnet.lib)) - len(found))
    for result, name, arguments in found:
        f = getattr(deepnet.lib, name)
        wrong += sum(mine not in types(declared) for declared, mine in zip(
            [result, *arguments.split(",")], [f.restype, *f.argtypes], strict=True))
    return wrong


def network(arch, i, norm):
    """A small, odd model whose weights are nowhere what they were at first; a batch; labels."""
    rng = np.random.default_rng(i)
    m = deepnet.Model(
        arch=arch, norm=norm, enc_layers=3, dec_layers=4, dim=16, heads=2, vocab=40, ctx=12,
        ffn=(0, 24)[i % 2], activation=("relu", "gelu", "gelu-tanh")[i % 3], threads=1,
        tie=("none", "output", "all")[i//3 % 3], positions=("sinusoidal", "learned")[i % 2],
        bias=("no", "yes", "yes")[i % 3], label_smoothing=0.1)
    for name, value in m.values.items():
        noise = 0.05*rng.standard_normal(value.shape)
        value += np.tril(noise) if name.endswith("mix.weight") else noise
    rows = {s: [list(rng.integers(0, 40, n)) for n in lengths]
            for s, lengths in (("enc", (12, 5, 1)), ("dec", (3, 12, 7)))
            if arch == "encoder-decoder" or arch.startswith(s)}
    m.save("net")
    return m, rows, [list(rng.integers(-1, 40, len(row))) for row in list(rows.values())[-1]]


def torch_logits(net, rows):
    def padded(lists):
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in lists], batch_first=True)
    given = [t for s in rows.values() for t in (padded(s), padded([[1]*len(row) for row in s]))]
    out = net(*given)
    return (out if torch.is_tensor(out) else out.logits)[given[-1].bool()]


def watch(net):
    """What sub-layers read, their q and k, and what a stack gives, by name, once net has run."""
    seen, stack = {}, net.stack
    for name, part in net.named_modules():
        if isinstance(part, model.Sublayer):
            part.register_forward_pre_hook(
                lambda _, given, name=name: seen.update({name: given[0].detach()}))
        elif name.endswith((".q", ".k")):
            part.register_forward_hook(
                lambda _, given, out, name=name: seen.update({name: out.detach()}))
    net.stack = lambda name, *rest: seen.setdefault(name, stack(name, *rest))
    return seen


def weights(q, k, like, causal):
    """Of one row, for as many tokens as there are: softmax(q k^T/sqrt E)."""
    q, k = (x[:n].unflatten(-1, (like.shape[0], -1)).transpose(0, 1)
            for x, n in zip((q, k), like.shape[1:]))
    hidden = torch.ones(like.shape[1:]).triu(1).bool() & causal
    return (q @ k.mT/q.shape[-1]**0.5).masked_fill(hidden, -torch.inf).softmax(-1).numpy()


def inside(m, rows, seen):
    """Errors of all states, relative to their largest where that is above 1, and of all weights."""
    states, attention, b = [], [], deepnet.batch(**rows)
    for s, stack in enumerate(model.STACKS):
        if stack not in seen:
            continue
        names = [name for name in seen if re.match(stack + r"\.\d+\.\w+$", name)]
        there = [torch.arange(seen[stack].shape[1]) < len(row) for row in rows[stack[:3]]]
        for name, ours in zip([*names, stack], m.states(b, s), strict=True):
            theirs = seen[name].detach()[torch.stack(there)].numpy()
            states.append(np.abs(theirs - ours).max()/max(np.abs(theirs).max(), 1))
        for i, name in enumerate(names):
            if name + ".q" in seen:
                attention += [
                    np.abs(weights(q, k, ours, s == 1 and name.endswith("self_attn")) - ours).max()
                    for q, k, ours in zip(seen[name + ".q"], seen[name + ".k"],
                                          m.attention(b, s, i), strict=True)]
    return states, attention


def networks():
    """Errors of logits, and of what is inside; of AutoModel's; of ln p; of gradients, each tensor's
    relative to its largest, or to a tenth of the largest of all where that is more."""
    errors = {"logits": [], "AutoModel": [], "gradients": [], "states": [], "attention": [],
              "log p": []}
    for arch, (i, norm) in itertools.product(ARCHS, enumerate(NORMS)):
        m, rows, label = network(arch, i, norm)
        net, ours = model.load("net").eval(), m.logits(deepnet.batch(**rows))
        seen = watch(net)
        out = torch_logits(net, rows)
        states, attention = inside(m, rows, seen)
        errors["states"] += states
        errors["attention"] += attention
        errors["logits"].append(np.abs(out.detach().numpy() - ours).max())
        if i < 2 or norm in ("olmo2", "mix-ln"):
            to_hf.convert("net", arch + norm)
            auto = transformers.AutoModel.from_pretrained(arch + norm, trust_remote_code=True)
            auto = torch_logits(auto, rows).detach().numpy()
            errors["AutoModel"].append(np.abs(auto - ours).max())
        loss, labels = torch.nn.functional.cross_entropy, torch.tensor(sum(label, []))
        log_p = -loss(out, labels, ignore_index=-1, reduction="none").detach().numpy()
        b = deepnet.batch(label=label, **rows)
        errors["log p"].append(np.abs(log_p - m.log_p(b)).max())
        loss(out, labels, ignore_index=-1, reduction="sum", label_smoothing=0.1).backward()
        m.gradient(b)
        least = 0.1*max(np.abs(g).max() for g in m.grads.values())
        errors["gradients"] += [
            np.abs(p.grad.numpy() - m.grads[name]).max()/max(np.abs(m.grads[name]).max(), least)
            for name, p in net.named_parameters()]
    return errors


def alpha():
    every = [(deepnet.config(arch=arch, norm=norm, enc_layers=N, dec_layers=M), s, l)
             for arch in ARCHS for norm in NORMS if norm != "admin-torch"       # learned there
             for N, M in ((1, 1), (3, 4), (18, 100)) for s in (0, 1) if arch != ARCHS[1 - s]
             for l in range((N, M)[s])]
    both = ((model.skip(deepnet.settings(c), model.STACKS[s], l),
             deepnet.lib.dn_gains_of(C.byref(c), s, l).alpha) for c, s, l in every)
    return np.max([abs(mine - theirs)/max(theirs, 1) for mine, theirs in both])


def training():
    """Many steps are one, a checkpoint, one, ...; safetensors reads the same numbers."""
    whole, rows, label = network("encoder-decoder", 0, "deepnorm")
    b, losses = deepnet.batch(label=label, **rows), []
    for step in range(20):
        losses.append(whole.train_step(b, b).loss)
        part = deepnet.Model.load("net", deepnet.TRAIN, threads=1)
        part.train_step(b, b)
        part.save("net")
    values = whole.values
    del whole                                       # they keep its memory
    theirs = safetensors.numpy.load_file("net")
    worst = np.max([np.abs(theirs[name] - value).max() for name, value in values.items()])
    return worst + (losses[-1] >= losses[0])


def sentences():
    for wrong in (lambda: deepnet.Model(dim=65), lambda: deepnet.config(no_such=1),
                  lambda: deepnet.Tokenizer("bpe"), lambda: deepnet.Model.load("deepnet.h"),
                  lambda: deepnet.Model(arch="encoder").logits(deepnet.batch([[5]*60], [[0]])),
                  lambda: deepnet.batch([[5, 6]], label=[[5]]),
                  lambda: deepnet.batch([[5]], [[5]]*3)):
        with contextlib.suppress(deepnet.Error, ValueError):
            wrong()
            return 1
    return 0


def progress():
    m, rows, _ = network("encoder-decoder", 0, "deepnorm")
    sources = [row[:8] for row in rows["enc"]]
    told, plain = [], m.translate_ids(sources, beam=2)
    same = m.translate_ids(sources, 2, progress=lambda *now: told.append(now))
    wrong = sum(not np.array_equal(a, b) for a, b in zip(plain, same, strict=True))
    wrong += [ids for ids, _ in told] != list(range(1, len(told) + 1)) or told[-1][1] != 0
    with contextlib.suppress(deepnet.Error):
        m.translate_ids(sources, progress=lambda ids, left: ids == 2)
        return 1
    with contextlib.suppress(ZeroDivisionError):
        m.translate_ids(sources, progress=lambda ids, left: 1/0)
        return 1
    return wrong


def files():
    """load() takes values; a configuration outlives its model; Ctrl-C in any callback comes out of
    save() and load(), and the file that was there stays."""
    network("decoder", 0, "deepnorm")
    c = deepnet.Model.load("net", deepnet.TRAIN, lr=1e-5, dropout=0.25, threads=1).config
    wrong = (c.lr, c.dropout, c.dim) != (1e-5, 0.25, 16)
    m, plain = deepnet.Model.load("net"), deepnet._File
    m.save("net")
    whole = open("net", "rb").read()

    def calls(what, method, last=None):
        """How often what() calls a file's method; the last time, there is Ctrl-C."""
        count, stopped = 0, False

        def interrupted(file, *size):
            def counted(given):
                nonlocal count
                count += 1
                if count == last:
                    raise KeyboardInterrupt
                return doing(given)
            some, doing = unittest.mock.Mock(wraps=file), getattr(file, method)
            setattr(some, method, counted)
            return plain(some, *size)
        with unittest.mock.patch.object(deepnet, "_File", interrupted):
            try:
                what()
            except KeyboardInterrupt:
                stopped = True
        return count if last is None or stopped else 0

    for what, method in (lambda: m.save("net"), "write"), (lambda: deepnet.Model.load("net"), "read"):
        n = calls(what, method)
        wrong += n < 3 or sum(not calls(what, method, k) for k in range(1, n + 1))
        wrong += open("net", "rb").read() != whole
    return wrong


def programs():
    """./train, deepnet.py, and ./train with what model.py wrote, compute the same."""
    few = "--threads 1 --eval-every 200 --enc-layers 2 --dec-layers 2 --out".split()
    run("./train", "--steps", "200", *few, "a")
    run("./train", "--arch", "decoder", "--text", "data/train.en", "--steps", "9", *few, "lm")
    model.save(model.load("a"), "b")
    ours, lm = (deepnet.Model.load(name, threads=1) for name in ("a", "lm"))
    given = "".join(open("data/test.de").readlines()[:30]) + "\n"
    said = [run("./train", "translate", name, "--beam", "3", given=given) for name in ("a", "b")]
    said += ["".join(line + "\n" for line in ours.translate(given.split("\n")[:-1], beam=3))]
    sample = lm.tokenizer.decode(lm.generate(lm.tokenizer.encode("\n"))).decode(errors="replace")
    return (len(set(said)) - 1 + len({run("./train", "score", name) for name in ("a", "b")}) - 1
            + (sample + "\n" != run("./train", "sample", "lm")))


def halves():
    """Files of 16 bits, as model.py writes them: the values that PyTorch rounds to; ./train begins
    with them, and with those of float."""
    wrong = 0
    for kind in (torch.float16, torch.bfloat16, torch.float32):
        net = model.load("a").to(kind)
        model.save(net, "half")
        ours = deepnet.Model.load("half", threads=1).values
        wrong += sum((ours[name] != p.detach().double().numpy()).sum()
                     for name, p in net.named_parameters())
        run("./train", "--init", "half", "--steps", "1", "--lr", "0", "--warmup-init", "0", "--threads",
            "1", "--samples", "0", "--out", "begun", "--force")
        wrong += run("./train", "score", "begun") != run("./train", "score", "half")
    return wrong


def ids():
    """Of valid UTF-8, rich in what the chunks of tokenizer.c end at."""
    rng, corpus, wrong = random.Random(1), open("data/train.de").read(), 0
    kinds = "aZé中😀\u0301", "0123", " ", "\t\v\f ", "\n\r", " \n", ".<>'\0\x7f", "e", "\u2028\xa0"

    def piece():
        i, count = rng.randrange(len(corpus)), rng.choice((1, 2, 9, 63, 64, 65, 130))
        end = chr(rng.choice((rng.randrange(0xd800), rng.randrange(0xe000, 0x110000))))
        return corpus[i:i + rng.randrange(30)] + "".join(rng.choices(rng.choice(kinds), k=count)) + end
    ours = deepnet.Model.load("a").tokenizer
    to_hf.convert("a", "hf")
    theirs = tokenizers.Tokenizer.from_file("hf/tokenizer.json")
    auto = transformers.AutoTokenizer.from_pretrained("hf", trust_remote_code=True)
    for _ in range(100000):
        text = "".join(piece() for _ in range(rng.choice((1, 3, 9))))
        found = theirs.encode(text).ids
        wrong += found != ours.encode(text).tolist() or theirs.decode(found) != text
    return wrong + (auto(text).input_ids != found)


ERRORS = networks()
TESTS = (                                           # bounds in float, in double (None: no test)
    ("sizes and offsets of all structs are the compiler's", structs, 0, 0),
    ("functions and their arguments are deepnet.h's", functions, 0, 0),
    ("training with checkpoints between the steps is training", training, 0, 0),
    ("what the library refuses is an Error", sentences, 0, 0),
    ("alpha of 21 schemes", alpha, 1e-15, 1e-15),
    ("logits of 66 networks are PyTorch's", lambda: np.max(ERRORS["logits"]), 1e-5, 1e-12),
    ("gradients of 66 networks are PyTorch's", lambda: np.max(ERRORS["gradients"]), 3e-5, 1e-12),
    ("states of all sub-layers are PyTorch's", lambda: np.max(ERRORS["states"]), 1e-5, 1e-12),
    ("weights of all attention are PyTorch's", lambda: np.max(ERRORS["attention"]), 1e-5, 1e-12),
    ("ln p of each label is PyTorch's", lambda: np.max(ERRORS["log p"]), 1e-5, 1e-12),
    ("beam search tells its progress, and can be stopped", progress, 0, 0),
    ("load() takes values; Ctrl-C leaves save() and load(), and no file is lost", files, 0, 0),
    ("logits of AutoModel", lambda: np.max(ERRORS["AutoModel"]), 1e-5, 1e-12),
    ("./train takes what model.py writes; deepnet.py does what it does", programs, 0, None),
    ("files of 16 bits are read as PyTorch's numbers; ./train begins with them", halves, 0, None),
    ("ids of the package tokenizers, of 100,000 texts", ids, 0, None),
)
verdicts = []
for claim, error, *bounds in TESTS:
    if (bound := bounds[deepnet.DOUBLE]) is not None:
        e = float(error())
        verdicts.append(e <= bound)
        print(f"{'ok' if e <= bound else 'FAIL':<5} {claim:<66} {e:.1e} <= {bound:.0e}", flush=True)
print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
sys.exit(not all(verdicts))
