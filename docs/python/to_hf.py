"""From a checkpoint of ./train to a folder that transformers and tokenizers load:

    python3 to_hf.py model.safetensors FOLDER       # torch, safetensors

    AutoModel.from_pretrained(FOLDER, trust_remote_code=True)(input_ids=...).logits
    AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=True)
    tokenizers.Tokenizer.from_file(FOLDER/tokenizer.json)           # the same

config.json has the configuration and the shapes of the tensors; model.safetensors the parameters;
tokenizer.json the merges; model.py and modeling_deepnet.py are copied.
"""
import json
import os
import re
import shutil
import sys

from safetensors.torch import save_file

import model

SPECIALS = ["<bos >", "<eos >", "<mask >"]          # with a blank, so that no bytes spell them
LETTER, DIGIT, NEWLINE, BLANK = range(4)


def alphabet():
    """The character that stands for each byte, as in GPT-2: itself if it is printable."""
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b if b in printable else 256 + others.index(b)) for b in range(256)]


def pattern():
    """The chunks that tokenizer.c cuts a text into, as a regular expression over that alphabet."""
    of = alphabet()
    kinds = [[], [], [], [], []]
    for b in range(256):
        c = chr(b)
        kinds[0 if b >= 128 or c.isalpha() else 1 if c.isdigit() else 2 if c in "\n\r"
              else 3 if c in " \t\v\f" else 4].append(re.escape(of[b]))
    letters, digits, newlines, blanks, rest = ("[" + "".join(kind) + "]" for kind in kinds)
    space = of[32]
    words = [f"{space}{kind}{{1,63}}|{kind}{{1,64}}" for kind in (letters, digits, rest)]
    last = f"(?!(?<={space})(?:{letters}|{digits}|{rest}))"     # it belongs to what follows
    return "|".join([*words, f"{newlines}{{1,64}}", f"{blanks}{{1,64}}{last}"])


def tokenizer(text):
    """tokenizer.json, of what dn_tok_save wrote: bpe1 VOCAB LEFT RIGHT LEFT RIGHT ... ."""
    numbers = [int(number) for number in text.rstrip(".").split()[2:]]
    names, merges = SPECIALS + alphabet(), []
    for left, right in zip(numbers[::2], numbers[1::2]):
        merges.append([names[left], names[right]])
        names.append(names[left] + names[right])
    vocab = {name: i for i, name in enumerate(names)}
    if len(vocab) < len(names):
        raise ValueError("two ids of this tokenizer stand for the same bytes")
    bytes_of = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern()}, "behavior": "Isolated",
             "invert": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "post_processor": None, "decoder": bytes_of,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [bytes_of, split]},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocab, "merges": merges}}


def convert(checkpoint, folder):
    net = model.load(checkpoint)
    tensors = net.state_dict()
    os.makedirs(folder, exist_ok=True)
    save_file({"net." + name: t for name, t in tensors.items()},
              os.path.join(folder, "model.safetensors"), {"format": "pt"})
    two = net.c["arch"] == "encoder-decoder"
    files = {"config.json": {
        "model_type": "deepnet", "architectures": ["DeepNetModel"],
        "auto_map": {"AutoConfig": "modeling_deepnet.DeepNetConfig",
                     "AutoModel": "modeling_deepnet.DeepNetModel"},
        "dtype": str(next(iter(tensors.values())).dtype).split(".")[1],
        "is_encoder_decoder": two, "vocab_size": int(net.c["vocab"]),
        "hidden_size": int(net.c["dim"]), "bos_token_id": 0, "eos_token_id": 1,
        "decoder_start_token_id": 0, "settings": net.c,
        "shapes": {name: shape for name, shape in net.shapes.items()   # later layers are as 1
                   if net.c["norm"] == "mix-ln" or not re.match(r"\w+\.([2-9]|\d\d)", name)}}}
    if "tokenizer" in net.notes:
        files["tokenizer.json"] = tokenizer(net.notes["tokenizer"])
        files["tokenizer_config.json"] = {"tokenizer_class": "PreTrainedTokenizerFast",
                                          "clean_up_tokenization_spaces": False,
                                          "model_max_length": int(net.c["ctx"])}
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
    for name in ("model.py", "modeling_deepnet.py"):
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(*sys.argv[1:])
