"""check_init.py - ./train check-init against networks that PyTorch draws, rightly and wrongly.

    python check_init.py    # needs ./train, torch and safetensors

Each row of CASES makes a file by plain torch, and says which exit status and which words are due.
The constants are written down once more here, as the paper has them.
"""
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.init import normal_, trunc_normal_, xavier_normal_, xavier_uniform_

WORK = tempfile.TemporaryDirectory()
TRAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../train")
os.chdir(WORK.name)
D, F = 96, 256


def beta(N, M=None):
    """Of a stack alone; of encoder and decoder."""
    return (8*N)**-0.25 if M is None else (0.87*(N**4*M)**(-1/16), (12*M)**-0.25)


def alpha(N):
    return (2*N)**0.25


def draw(rows, cols, gain, how=xavier_normal_):
    return how(torch.empty(rows, cols), gain=gain)


def packed(*gains):
    """Q, K, V as rows of one draw."""
    whole = draw(D*len(gains), D, 1)
    return torch.cat([g*part for g, part in zip(gains, whole.split(D))])


def sub(prefix, b, qk=1, names="q_proj k_proj v_proj out_proj", how=xavier_normal_):
    q, k, v, o = names.split()
    return {f"{prefix}.{n}.weight": draw(D, D, g, how)
            for n, g in ((q, qk), (k, qk), (v, b), (o, b))}


def layer(prefix, b, qk=1, cross=(), ffn="fc1 fc2", how=xavier_normal_, names=None):
    names = {"names": names} if names else {}
    one, two = ffn.split()
    out = {f"{prefix}.{one}.weight": draw(F, D, b, how),
           f"{prefix}.{two}.weight": draw(D, F, b, how),
           f"{prefix}.{one}.bias": torch.zeros(F), f"{prefix}.norm.weight": torch.ones(D)}
    for attention in ("self_attn", *cross):
        out |= sub(f"{prefix}.{attention}", b, qk, how=how, **names)
    return out


def stack(N, b, qk=1, prefix="decoder.layers", **more):
    return {k: v for i in range(N) for k, v in layer(f"{prefix}.{i}", b, qk, **more).items()}


def both(N, M, enc, dec):
    return (stack(N, enc, prefix="encoder.layers")
            | stack(M, dec, cross=("encoder_attn",))
            | {"decoder.embed_tokens.weight": torch.randn(300, D)})


def changed(tensors, part, how):
    return {k: how(v) if part in k else v for k, v in tensors.items()}


def gpt2(N):
    """Its Conv1D has columns for outputs."""
    b, out = beta(N), {}
    for i in range(N):
        p = f"transformer.h.{i}"
        three = torch.cat([draw(D, D, g) for g in (1, 1, b)])
        out[f"{p}.attn.c_attn.weight"] = three.T.contiguous()
        out[f"{p}.attn.c_proj.weight"] = draw(D, D, b)
        out[f"{p}.mlp.c_fc.weight"] = draw(D, F, b)
        out[f"{p}.mlp.c_proj.weight"] = draw(F, D, b)
    return out


def llama(N):
    """Two of eight heads for K and V, packed in one file and not in the other."""
    b, few, out = beta(N), D//4, {}
    for i in range(N):
        p = f"model.layers.{i}"
        out |= {f"{p}.self_attn.{n}_proj.weight": draw(*shape, g) for n, shape, g in (
            ("q", (D, D), 1), ("k", (few, D), 1), ("v", (few, D), b), ("o", (D, D), b))}
        out |= {f"{p}.mlp.{n}_proj.weight": draw(*shape, b) for n, shape in (
            ("gate", (F, D)), ("up", (F, D)), ("down", (D, F)))}
        out[f"other.{p}.qkv_proj.weight"] = torch.cat(
            [draw(D, D, 1), draw(few, D, 1), draw(few, D, b)])
    return out


def torchscale(N, M):
    """nn.Linear's own values, divided as its encoder and decoder do."""
    out = {}
    for name, layers, cross, by in (("encoder", N, (), (N**4*M)**(1/16)/1.15),
                                    ("decoder", M, ("encoder_attn",), (12*M)**0.25)):
        for i in range(layers):
            for k, v in layer(f"{name}.layers.{i}", 1, cross=cross, ffn="ffn.fc1 ffn.fc2").items():
                if v.dim() == 2:
                    v = nn.Linear(v.shape[1], v.shape[0]).weight.detach()
                    v = v/by if re.search("fc|v_proj|out_proj", k) else v
                out[k] = v.clone()
    return out


def module(m):
    return {k: v.detach().clone() for k, v in m.state_dict().items()}


def transformer(N, M):
    return module(nn.Transformer(D, 4, N, M, F))


def encoder_of_torch(N):
    return module(nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 4, F), N))


def copies(N):
    return {k.replace(".0.", f".{i}."): v.clone() for k, v in stack(1, beta(N)).items()
            for i in range(N)}


def trained(N):
    return {k: v*(1 + 0.05*int(k.split(".")[2])) for k, v in stack(N, beta(N)).items()}


def of_type(tensors, kind):
    return {k: v.to(kind) for k, v in tensors.items()}


E, DEC = beta(6, 6)
OK = "all are as due"
CASES = (                               # name, tensors, options, status, and what must be said
    ("a decoder", lambda: stack(6, beta(6)), "", 0, [OK]),
    ("... uniform", lambda: stack(6, beta(6), how=xavier_uniform_), "", 0, [OK]),
    ("an encoder", lambda: stack(5, beta(5), prefix="bert.encoder.layer"), "", 0, [OK]),
    ("an encoder-decoder", lambda: both(6, 6, E, DEC), "", 0, [OK, "embed_tokens"]),
    ("... of 3 + 9 layers", lambda: both(3, 9, *beta(3, 9)), "", 0, [OK]),
    ("half of its layers, told how many", lambda: stack(6, beta(12)), "--layers 12", 0, [OK]),
    ("... not told", lambda: stack(6, beta(12)), "", 1, ["beta of twice the layers"]),
    ("GPT-2's names", lambda: gpt2(6), "", 0, [OK, " Q ", " K ", " V "]),
    ("LLaMA's names", lambda: llama(6), "", 0, [OK]),
    ("linear1 and linear2", lambda: stack(4, beta(4), ffn="linear1 linear2"), "", 0, [OK]),
    ("other names, with --map", lambda: stack(4, beta(4), names="fragen keys vau aus"),
     "--map fragen=q,keys=k,self_attn.vau=v,aus=o", 0, [OK]),
    ("... without", lambda: {"a.b.weight": draw(D, D, 1)}, "", 1, ["--map"]),
    ("BF16", lambda: of_type(stack(6, beta(6)), torch.bfloat16), "", 0, [OK]),
    ("F16", lambda: of_type(stack(6, beta(6)), torch.float16), "", 0, [OK]),
    ("F64", lambda: of_type(stack(6, beta(6)), torch.float64), "", 0, [OK]),
    ("Post-LN", lambda: stack(6, 1), "--norm post-ln", 0, [OK]),
    ("one layer more than told", lambda: stack(6, beta(6)), "--layers 5", 2, ["layer 5"]),

    ("beta a variance", lambda: stack(15, beta(15)**0.5), "", 1, ["taken for a variance"]),
    ("beta forgotten", lambda: stack(6, 1), "", 1, ["beta forgotten"]),
    ("its exponent's sign", lambda: stack(12, 1/beta(12)), "", 1, ["sign of the exponent"]),
    ("alpha for beta", lambda: stack(6, alpha(6)), "", 1, [r"(?<!/)alpha for beta"]),
    ("1/alpha for beta", lambda: stack(6, 1/alpha(6)), "", 1, ["1/alpha for beta"]),
    ("beta twice", lambda: stack(6, beta(6)**2), "", 1, ["beta twice"]),
    ("N for 2N", lambda: stack(6, (4*6)**-0.25), "", 1, ["N for 2N"]),
    ("2N for N", lambda: stack(6, (16*6)**-0.25), "", 1, ["beta of twice the layers"]),
    ("beta on Q and K", lambda: stack(6, beta(6), beta(6)), "", 1, ["beta on Q and K too"]),
    ("1.15 for 0.87", lambda: both(6, 6, 1.15*(6**5)**(-1/16), DEC), "", 1, ["1.15 for 0.87"]),
    ("constants swapped", lambda: both(6, 6, DEC, E), "", 1,
     ["the encoder's beta", "the decoder's beta"]),
    ("constants of single stacks", lambda: both(6, 6, beta(6), beta(6)), "", 1,
     ["beta of a stack alone"]),
    ("Q, K, V one matrix", lambda: {f"decoder.layers.{i}.self_attn.in_proj_weight":
                                    packed(1, 1, beta(8)) for i in range(8)}, "", 1,
     ["one 3D x D matrix"]),
    ("Q, K one matrix (bonito's)", lambda: {
        f"encoder.{i}.self_attn.Wqkv.weight":
        torch.cat([draw(2*D, D, 1), draw(D, D, beta(18))]) for i in range(18)}, "", 1,
     ["Q and K drawn as one 2D x D", "ok"]),
    ("a default times beta", lambda: changed(
        stack(6, beta(6)), "v_proj", lambda v: beta(6)*nn.Linear(D, D).weight.detach()), "", 1,
     ["default of PyTorch's Linear"]),
    ("N(0, 0.02)", lambda: changed(
        stack(6, beta(6)), "q_proj", lambda v: normal_(v, std=0.02)), "", 1, [r"N\(0, 0.02"]),
    ("cut off at 2 deviations", lambda: changed(
        stack(6, beta(6)), "k_proj",
        lambda v: trunc_normal_(v, std=D**-0.5, a=-2*D**-0.5, b=2*D**-0.5)), "", 1,
     ["cut off at 2 deviations"]),
    ("Kaiming's", lambda: changed(
        stack(6, beta(6)), "q_proj", nn.init.kaiming_normal_), "", 1, ["Kaiming"]),
    ("torchscale", lambda: torchscale(6, 6), "", 1,
     [r"\(a\) the default of PyTorch's Linear", r"\(b\) 1.15 for 0.87",
      r"encoder.*V .*\(b\) \(a\)$",
      r"^decoder.*V .*\(a\)$"]),
    ("nn.Transformer", lambda: transformer(6, 6), "", 1,
     [r"\(a\) beta forgotten", r"\(b\) Q, K and V drawn as one 3D x D",
      r"^encoder.* V .*\(a\) \(b\)$",
      r"^decoder.* Q .*\(b\)$"]),
    ("nn.TransformerEncoder", lambda: encoder_of_torch(6), "", 1,
     ["copied to all layers", "one 3D x D", "default of PyTorch's Linear", "beta forgotten"]),
    ("one draw in all layers", lambda: copies(4), "", 1, ["copied to all layers"]),
    ("trained", lambda: trained(6), "", 1, ["the layers differ: trained"]),
    ("one matrix of 36", lambda: changed(
        stack(6, beta(6)), "4.self_attn.v_proj", lambda v: v/beta(6)), "", 1,
     [r" V .* in layer \d to 2\.\d* in layer 4 \(a\)$", "1 of 6 are not as due"]),
    ("not a number", lambda: changed(stack(2, beta(2)), "0.fc1", lambda v: v*math.nan), "", 1,
     ["not finite"]),
    ("nothing known", lambda: changed(stack(6, beta(6)), "v_proj", lambda v: 7.3*v), "", 1,
     ["no mistake that is known"]),
)


def run(path, options=""):
    done = subprocess.run([TRAIN, "check-init", path, *options.split()], capture_output=True,
                          text=True)
    return done.returncode, done.stdout + done.stderr


def case(make, options, status, words):
    torch.manual_seed(7)
    save_file(make(), "drawn.safetensors")
    code, said = run("drawn.safetensors", options)
    wrong = [w for w in words if not re.search(w, said, re.M)]
    return "" if code == status and not wrong else f"status {code}, lacks {wrong}:\n{said}"


def own():
    """The first values of every method, from ./train's own files."""
    with open("text", "w") as file:
        file.write("A text to have one.\n"*100)
    said = subprocess.run([TRAIN, "--norm", "?"], capture_output=True, text=True).stderr
    for norm in said.split("one of ")[1].split(" (")[0].split(", "):
        for arch in ("encoder", "decoder", "encoder-decoder"):
            data = "--source text --target text" if arch == "encoder-decoder" else "--text text"
            made = subprocess.run(
                f"{TRAIN} --arch {arch} --norm {norm} {data} --layers 3 --dim 48 --steps 1 --lr 1e-9"
                " --warmup 0 --warmup-init 0 --samples 0 --keep-best 0 --force --out own".split(),
                capture_output=True, text=True)
            code, said = run("own")
            if made.returncode or code:
                return f"{arch} {norm}: {made.stderr[-300:]}{said}"
    return ""


def header(text, data=b"", size=None):
    text = text.encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def hostile():
    """Files that cannot be right end with a sentence and status 1."""
    entry = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    name, good = "decoder.0.self.q.weight", bytes(64)
    one = json.dumps({name: entry})

    def with_(**more):
        return header(json.dumps({name: {**entry, **more}}), good)
    files = [b"", b"\0"*7, header("{}"), header("{", size=1 << 63), header("{}", size=10**8 + 1),
             header("[]"), header('{"a":1}'), header('{"a'), header('{"a":{"dtype"'),
             header("{"*999),
             header('{"a":{}}'), header(one), header(one, good[:-1]), header(one + "x", good),
             header(one + "\0}", good), header(one[:-1] + ",}", good), with_(shape=[2**32, 2**32]),
             with_(shape=[2**63, 2]), with_(shape=[-1, 4]), with_(shape=[4]*9),
             with_(shape=[4, 5]), with_(data_offsets=[64, 0]), with_(data_offsets=[0, 2**63]),
             with_(data_offsets=[2**64 - 64, 2**64]), with_(data_offsets=[0]), with_(shape="4"),
             with_(dtype=3), with_(shape=[[4, 4]]), with_(shape=[0, 4], data_offsets=[0, 0])]
    whole = with_()
    files += [whole[:n] for n in range(len(whole))]
    for i, data in enumerate(files):
        with open("hostile", "wb") as file:
            file.write(data)
        code, said = run("hostile")
        if code != 1 or said.count("\n") != 1 or "train: " not in said:
            return f"file {i}: status {code}: {said}"
    return ""


def main():
    verdicts = []
    tests = [(name, lambda rest=rest: case(*rest)) for name, *rest in CASES]
    for name, test in (*tests, ("the files of all methods", own), ("hostile files", hostile)):
        why = test()
        verdicts.append(not why)
        print(f"{'FAIL' if why else 'ok':<5} check-init: {name} {why}", flush=True)
    print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
    return not all(verdicts)


sys.exit(main())
