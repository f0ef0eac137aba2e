"""deepnet from Python: all of deepnet.h by ctypes, and on top of it Model and Tokenizer.

    make shared                                     # libdeepnet.so, next to the Makefile

    import deepnet
    m = deepnet.Model(arch="decoder", dec_layers=6, lr=3e-3)    # every field of dn_fields()
    batch = deepnet.batch(dec=[[0, 10, 11]], label=[[10, 11, 1]])
    m.train_step(batch)
    m.values["decoder.0.ffn.w1.weight"]             # numpy, the library's own memory: no copies
    m.states(batch, 1)[6], m.attention(batch, 1, 6) # of sub-layer 6: layer 3's attention
    m.save("lm.safetensors")
    deepnet.Model.load("model.safetensors").translate(["Der Hund schläft."])    # of ./train

The library is the one of the variable DEEPNET_LIBRARY, or of this copy, or an installed one.  What
goes wrong there is an Error with the library's sentence.  lib has the functions by their names.
"""
import contextlib
import ctypes as C
import os
import re
import sys
import threading
import types

import numpy as np

VERSION = "1_1"                                     # of deepnet.h
_here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "libdeepnet.so")
_so = C.CDLL(os.environ.get("DEEPNET_LIBRARY")
             or (_here if os.path.exists(_here) else "libdeepnet.so.1"))
_bytes = {kind: f"dn_model_bytes_{VERSION}_{kind}" for kind in ("f32", "f64")}
if not any(hasattr(_so, name) for name in _bytes.values()):
    raise ImportError(f"{_so._name} is not deepnet {VERSION.replace('_', '.')}")
DOUBLE = hasattr(_so, _bytes["f64"])
real = np.dtype(np.float64 if DOUBLE else np.float32)

BOS, EOS, MASK, SPECIALS = range(4)
IGNORE = -1
INFER, BORROW, TRAIN = range(3)
ENCODER, DECODER, ENC_DEC = range(3)
ERR_MAX, NAME_MAX, EFORMAT = 256, 64, 3
STREAM_SAMPLE = 0x73616d7000000000                  # of train.c: the random numbers of a sample

# ---- deepnet.h: types and functions ------------------------------------------------------------

_REAL = C.c_double if DOUBLE else C.c_float
_READ = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_uint64, C.c_void_p, C.c_size_t)
_WRITE = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p, C.c_size_t)
_PROGRESS = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_int, C.c_int)
TYPES = {"int": C.c_int, "double": C.c_double, "size": C.c_size_t, "u32": C.c_uint32,
         "u64": C.c_uint64, "i64": C.c_int64, "text": C.c_char_p, "at": C.c_void_p, "void": None,
         "sizes": C.c_uint64*8,
         "ints": C.POINTER(C.c_int), "reals": C.POINTER(_REAL), "name": C.c_char*NAME_MAX,
         "read": _READ, "write": _WRITE, "progress": _PROGRESS}


def _struct(name, fields):
    pairs = [field.split(":") for field in fields.split()]
    TYPES[name] = type(name, (C.Structure,), {"_fields_": [(n, TYPES[t]) for n, t in pairs]})
    return TYPES[name]


Field = _struct("dn_field", "name:text kind:int at:size fallback:double low:double high:double"
                            " choices:at stride:size saved:int help:text")
Gains = _struct("dn_gains", "alpha:double beta:double branch:double")
Sharing = _struct("dn_sharing", "parts:int desks:int")
Tensor = _struct("dn_tensor", "name:name rows:int cols:int value:reals grad:reals")
Batch = _struct("dn_batch", "rows:int enc:ints enc_len:ints dec:ints dec_len:ints label:ints")
Stats = _struct("dn_stats", "loss:double nll:double grad_norm:double lr:double"
                            " tokens:int correct:int")
State = _struct("dn_state", "x:reals sum:reals tokens:int")
Sampling = _struct("dn_sampling", "temperature:double top_k:int top_p:double")
Look = _struct("dn_look", "stack:int i:int x:reals weights:reals")
Beam = _struct("dn_beam", "beam:int length_penalty:double progress:progress user:at")
Hypothesis = _struct("dn_hypothesis", "ids:ints length:int score:double")
IO = _struct("dn_io", "user:at size:u64 read:read write:write")
Entry = _struct("dn_entry", "name:text type:int bytes:int dims:int shape:sizes at:u64")
TYPES["look"] = C.CFUNCTYPE(None, C.c_void_p, C.POINTER(Entry))
Visit = _struct("dn_visit", "user:at tensor:look")
Note = _struct("dn_note", "key:text text:text")
Tok = _struct("dn_tokenizer", "vocab:int pair:ints slot:ints mask:u32 size:at")
Block = _struct("dn_block", "at:at size:size")

# Of each function: what it returns, then its arguments, where every pointer is "at".
FUNCTIONS = """
dn_fields at at | dn_choice text at int | dn_config_default void at
dn_config_set int at text text at | dn_config_get void at at at | dn_config_check int at at
dn_gains_of dn_gains at int int | dn_gain_of double at int int int
dn_model_bytes size at int at | dn_sharing_of dn_sharing at int
dn_model_init at at int at size at | dn_model_borrow at at at at size at
dn_model_config at at | dn_model_reconfigure int at at at | dn_may_change int at
dn_tensor_count int at | dn_tensor_at dn_tensor at int | dn_param_count size at
dn_train_step int at at int at at | dn_evaluate int at at at at | dn_gradient int at at int at at
dn_gradient_of int at at int int int at at | dn_apply int at at at
dn_zero_grad void at | dn_logits int at at at at | dn_profile int at at at
dn_log_p int at at at at | dn_inspect int at at at int at
dn_state_at dn_state at int int | dn_step_count i64 at | dn_learning_rate double at i64
dn_mask_tokens void at at at int int u64 u64
dn_generator_bytes size at int at | dn_generator_init at at int at size at
dn_generator_start int at int at at at | dn_generator_feed at at at at at
dn_hypothesis_at dn_hypothesis at int int
dn_sample int at int at double at | dn_translate int at int at at at at at at
dn_save int at at int at at | dn_load_config int at at at | dn_load int at at at
dn_load_note int at text at at at
dn_entries int at at at | dn_entry_number double at at
dn_tok_bytes size int | dn_tok_train_bytes size int size
dn_tok_train int at int at size dn_block dn_block at | dn_tok_encode size at at size at size
dn_tok_cut size at size | dn_tok_decode size at at size at size | dn_tok_save size at at size
dn_tok_vocab_of int at size | dn_tok_load int at at size at size at
dn_random u32 u64 u64 u32 | dn_shuffle u32 u64 u64 u32 u32
"""
lib = types.SimpleNamespace()
for _function in re.split(r"[|\n]+", FUNCTIONS.strip()):
    _name, _result, *_arguments = _function.split()
    _f = getattr(_so, _bytes["f64" if DOUBLE else "f32"] if _name == "dn_model_bytes" else _name)
    _f.restype, _f.argtypes = TYPES[_result], [TYPES[a] for a in _arguments]
    setattr(lib, _name, _f)

# The fields of dn_config are those that the library says it has.
_count = C.c_int()
fields = C.cast(lib.dn_fields(C.byref(_count)), C.POINTER(Field))[:_count.value]
fields.sort(key=lambda field: field.at)
INT, FLOAT, CHOICE = range(3)
Config = _struct("dn_config", " ".join(
    f.name.decode().replace("-", "_") + (":double" if f.kind == FLOAT else ":int") for f in fields))


def choices(name):
    """The names of a field's values: choices("norm")."""
    field = next(f for f in fields if f.name == name.encode())
    return [lib.dn_choice(C.byref(field), i).decode() for i in range(int(field.high) + 1)]


class Error(Exception):
    """What the library says."""


def _call(function, *arguments):
    """A function whose last argument is err, and which returns a status, a size or a pointer."""
    err = C.create_string_buffer(ERR_MAX)
    result = function(*arguments, err)
    if bool(result) == (function.restype is C.c_int):
        raise Error(err.value.decode())
    return result


_hooked = threading.RLock()                         # one hook is there for all threads


@contextlib.contextmanager
def _callbacks():
    """What callbacks raise, which ctypes drops and goes on with any result, is raised at the end.
    Python raises Ctrl-C before a callback's first line, so the callbacks cannot catch it."""
    dropped = []
    with _hooked:
        before, sys.unraisablehook = sys.unraisablehook, lambda what: dropped.append(what.exc_value)
        try:
            yield dropped
        finally:
            sys.unraisablehook = before
            if dropped:
                raise dropped[0]


def config(base=None, **values):
    """The defaults, or a copy of base, with these values: config(arch="decoder", dec_layers=6)."""
    c = Config()
    lib.dn_config_default(C.byref(c))
    if base is not None:
        C.memmove(C.byref(c), C.byref(base), C.sizeof(c))
    for name, value in values.items():
        text = f"{value:.15g}" if isinstance(value, float) else str(value)
        _call(lib.dn_config_set, C.byref(c), name.replace("_", "-").encode(), text.encode())
    return c


def settings(c):
    """The configuration as a checkpoint has it: names and values as texts."""
    text = C.create_string_buffer(NAME_MAX)
    out = {}
    for field in fields:
        lib.dn_config_get(C.byref(c), C.byref(field), text)
        out[field.name.decode()] = text.value.decode()
    return out


def _ints(values):
    return np.ascontiguousarray(values, np.int32).ravel()


def _reals(array):
    return array.ctypes.data_as(TYPES["reals"])


def _flat(rows):
    return _ints(np.concatenate([_ints(row) for row in rows])), _ints([len(row) for row in rows])


def batch(enc=None, dec=None, label=None):
    """A Batch of lists of ids, one for each sequence."""
    b = Batch()
    b.kept = []                                     # what the pointers point to

    def put(name, array):
        b.kept.append(array)
        setattr(b, name, array.ctypes.data_as(TYPES["ints"]))
    top = enc if dec is None else dec
    if enc is not None and len(enc) != len(top):
        raise ValueError("enc and dec differ in rows")
    if label is not None and [*map(len, label)] != [*map(len, top)]:
        raise ValueError("not one label for each token")
    b.rows = len(top)
    for name, rows in (("enc", enc), ("dec", dec)):
        if rows is not None:
            ids, lengths = _flat(rows)
            put(name, ids)
            put(name + "_len", lengths)
    if label is not None:
        put("label", _flat(label)[0])
    b.tokens = sum(map(len, top))
    return b


class _File(IO):
    """A file as the library reads or writes it, under _callbacks()."""

    def __init__(self, file, size=0):
        def read(user, at, to, n):
            file.seek(at)
            data = file.read(n)
            C.memmove(to, data, len(data))
            return int(len(data) != n)

        def write(user, data, n):
            return int(file.write(C.string_at(data, n)) != n)
        super().__init__(None, size, _READ(read), _WRITE(write))


class Tokenizer:
    """Byte-level BPE.  Its text is what checkpoints have."""

    def __init__(self, text="bpe1 259."):
        self.text, raw = text, text.encode()
        need = lib.dn_tok_bytes(lib.dn_tok_vocab_of(raw, len(raw)))
        self._memory, self._tok = np.zeros(max(need, 1), np.uint8), Tok()
        _call(lib.dn_tok_load, C.byref(self._tok), raw, len(raw), self._memory.ctypes.data,
              self._memory.size)
        self.vocab = self._tok.vocab

    @classmethod
    def train(cls, text, vocab):
        raw, tok = text.encode() if isinstance(text, str) else text, Tok()
        sizes = lib.dn_tok_bytes(vocab), lib.dn_tok_train_bytes(vocab, len(raw))
        memory = [np.zeros(max(n, 1), np.uint8) for n in sizes]
        blocks = [Block(m.ctypes.data, n) for m, n in zip(memory, sizes)]
        _call(lib.dn_tok_train, C.byref(tok), vocab, raw, len(raw), *blocks)
        out = C.create_string_buffer(lib.dn_tok_save(C.byref(tok), None, 0) + 1)
        lib.dn_tok_save(C.byref(tok), out, len(out))
        return cls(out.value.decode())

    def encode(self, text):
        raw = text.encode() if isinstance(text, str) else text
        ids = np.empty(len(raw), np.int32)          # at most one id for each byte
        return ids[:lib.dn_tok_encode(C.byref(self._tok), raw, len(raw), ids.ctypes.data, len(ids))]

    def decode(self, ids):
        """The bytes; .decode(errors="replace") makes a text of them."""
        ids = _ints(ids)
        arguments = C.byref(self._tok), ids.ctypes.data, len(ids)
        out = C.create_string_buffer(lib.dn_tok_decode(*arguments, None, 0) + 1)
        n = lib.dn_tok_decode(*arguments, out, len(out))
        return out.raw[:n]


class Model:
    """A model in its own block of memory.  values and grads are dictionaries of numpy arrays that
    lie in that block; notes are what the checkpoint has beside the parameters."""

    def __init__(self, base=None, purpose=TRAIN, **values):
        c = config(base, **values)
        need = _call(lib.dn_model_bytes, C.byref(c), purpose)
        self._block = np.empty(need, np.uint8)
        self._m = _call(lib.dn_model_init, C.byref(c), purpose, self._block.ctypes.data, need)
        self.notes, self.tokenizer = {}, None
        tensors = [lib.dn_tensor_at(self._m, i) for i in range(lib.dn_tensor_count(self._m))]
        self.values = {t.name.decode(): self._view(t, t.value) for t in tensors}
        self.grads = {t.name.decode(): self._view(t, t.grad) for t in tensors if t.grad}

    def _view(self, tensor, pointer):
        """An array in the block, which it keeps alive."""
        shape = (tensor.rows, tensor.cols) if tensor.cols else (tensor.rows,)
        at = C.addressof(pointer.contents) - self._block.ctypes.data
        return np.frombuffer(self._block, real, int(np.prod(shape)), at).reshape(shape)

    @property
    def config(self):
        """A copy; reconfigure() changes the model's."""
        c = C.cast(lib.dn_model_config(self._m), C.POINTER(Config)).contents
        return Config.from_buffer_copy(c)

    @property
    def step(self):
        return lib.dn_step_count(self._m)

    def reconfigure(self, **values):
        _call(lib.dn_model_reconfigure, self._m, C.byref(config(self.config, **values)))

    def gains(self, stack, layer):
        return lib.dn_gains_of(C.byref(self.config), stack, layer)

    # ---- training

    def _stats(self, function, *arguments):
        stats = Stats()
        _call(function, self._m, *arguments, C.byref(stats))
        return stats

    def _at(self, batch):
        """For the library, which would not look at dec in an encoder."""
        if self.config.arch == ENCODER and batch.dec:
            raise Error("an encoder has no dec")
        return C.byref(batch)

    def train_step(self, *batches):
        for batch in batches:
            self._at(batch)
        return self._stats(lib.dn_train_step, (Batch*len(batches))(*batches), len(batches))

    def evaluate(self, batch):
        return self._stats(lib.dn_evaluate, self._at(batch))

    def gradient(self, batch, dropout=False):
        """Adds the gradients of the summed losses to grads."""
        return self._stats(lib.dn_gradient, self._at(batch), dropout)

    def zero_grad(self):
        lib.dn_zero_grad(self._m)

    def profile(self, batch):
        _call(lib.dn_profile, self._m, self._at(batch))

    def logits(self, batch):
        out = np.empty((batch.tokens, self.config.vocab), real)
        _call(lib.dn_logits, self._m, self._at(batch), out.ctypes.data)
        return out

    def log_p(self, batch):
        """ln p of each label; 0 where it is IGNORE."""
        out = np.empty(batch.tokens, np.float64)
        _call(lib.dn_log_p, self._m, self._at(batch), out.ctypes.data)
        return out

    def _inspect(self, batch, *looks):
        _call(lib.dn_inspect, self._m, self._at(batch), (Look*len(looks))(*looks), len(looks))

    def states(self, batch, stack):
        """What each sub-layer of a stack (0: encoder, 1: decoder) reads and, last, the stack's
        output: sub-layers + 1 x tokens x dim."""
        c = self.config
        subs = (2*c.enc_layers, (3 if c.arch == ENC_DEC else 2)*c.dec_layers)[stack]
        tokens = sum((batch.enc_len, batch.dec_len)[stack][:batch.rows])
        out = np.empty((subs + 1, tokens, c.dim), real)
        self._inspect(batch, *(Look(stack, i, _reals(x)) for i, x in enumerate(out)))
        return out

    def attention(self, batch, stack, i):
        """The weights of sub-layer i of a stack: of each row heads x queries x keys."""
        c = self.config
        queries = keys = (batch.enc_len, batch.dec_len)[stack][:batch.rows]
        if stack and c.arch == ENC_DEC and i % 3 == 1:
            keys = batch.enc_len[:batch.rows]
        ends = np.cumsum([c.heads*q*k for q, k in zip(queries, keys)])
        out = np.empty(ends[-1], real)
        self._inspect(batch, Look(stack, i, None, _reals(out)))
        return [w.reshape(c.heads, q, k)
                for w, q, k in zip(np.split(out, ends), queries, keys)]

    # ---- generation

    def _generator(self, rows):
        """The generator, and the block that it lives in."""
        need = _call(lib.dn_generator_bytes, C.byref(self.config), rows)
        block = np.empty(need, np.uint8)
        return _call(lib.dn_generator_init, self._m, rows, block.ctypes.data, need), block

    def generate(self, ids=(BOS,), length=256, temperature=0.8, top_k=0, top_p=1.0, which=0):
        """The ids that ./train sample appends to these; which: 0 for its first sample."""
        c, ids = self.config, [int(i) for i in ids]
        g, block = self._generator(1)
        how, work = Sampling(temperature, top_k, top_p), np.empty(c.vocab, real)
        held, most = c.ctx, c.ctx                   # as if full: so the loop starts it
        for i in range(length):
            feed = ids[-1:]
            if held == c.ctx:                       # begin again with its last half
                held, feed, most = 0, ids[-most:], (c.ctx + 1)//2
                _call(lib.dn_generator_start, g, 1, None, None)
            tokens, count = _ints(feed), _ints([len(feed)])
            logits = _call(lib.dn_generator_feed, g, tokens.ctypes.data, count.ctypes.data)
            held += len(feed)
            u = lib.dn_random(c.seed, STREAM_SAMPLE + which, i)/2**32
            texts = logits + SPECIALS*real.itemsize      # the specials stand for none
            ids.append(SPECIALS + lib.dn_sample(texts, c.vocab - SPECIALS, C.byref(how), u,
                                                work.ctypes.data))
        return ids[len(ids) - length:]

    def translate_ids(self, sources, beam=1, length_penalty=1.0, progress=None):
        """Of lists of ids, each without its EOS.  progress(ids so far, sources left) may stop it: by
        a true value, which is an Error here, or by an exception, which is raised here."""
        c, n = self.config, len(sources)
        g, block = self._generator(n*beam)
        enc, enc_len = _flat([[*row, EOS] for row in sources])
        out, out_len = np.empty((n, c.ctx), np.int32), np.empty(n, np.int32)
        with _callbacks() if progress else contextlib.nullcontext() as dropped:
            told = _PROGRESS(lambda user, ids, left: bool(dropped or progress(ids, left)))
            how = Beam(beam, length_penalty, told if progress else _PROGRESS())
            _call(lib.dn_translate, g, n, enc.ctypes.data, enc_len.ctypes.data, C.byref(how),
                  out.ctypes.data, out_len.ctypes.data)
        return [row[:k] if len(s) else row[:0] for row, k, s in zip(out, out_len, sources)]

    def translate(self, lines, beam=1, length_penalty=1.0, progress=None):
        most = self.config.ctx - 1
        sources = [self.tokenizer.encode(line)[:most] for line in lines]
        return [self.tokenizer.decode(ids).decode(errors="replace")
                for ids in self.translate_ids(sources, beam, length_penalty, progress)]

    # ---- checkpoints

    def save(self, path):
        """Notes included; a file that was there stays until all of the new one is written."""
        notes = dict(self.notes, **({"tokenizer": self.tokenizer.text} if self.tokenizer else {}))
        pairs = (Note*len(notes))(*[(k.encode(), v.encode()) for k, v in notes.items()])
        part = os.fspath(path) + ".tmp"
        with open(part, "wb") as file, _callbacks():
            _call(lib.dn_save, self._m, pairs, len(notes), C.byref(_File(file)))
        os.replace(part, path)

    @classmethod
    def load(cls, path, purpose=INFER, notes=("tokenizer",), **values):
        """The model of a checkpoint, with other values where given, and these of its notes."""
        with open(path, "rb") as file, _callbacks():
            io, c = _File(file, os.path.getsize(path)), Config()
            _call(lib.dn_load_config, C.byref(c), C.byref(io))
            self = cls(c, purpose, **values)
            _call(lib.dn_load, self._m, C.byref(io))
            self.reconfigure(**values)              # dn_load has put the file's in their place
            self.notes = {key: _note(io, key) for key in notes}
        self.notes = {key: text for key, text in self.notes.items() if text is not None}
        if "tokenizer" in self.notes:
            self.tokenizer = Tokenizer(self.notes["tokenizer"])
        return self


def _note(io, key):
    size = C.c_size_t(0)
    arguments = C.byref(io), key.encode()
    err = C.create_string_buffer(ERR_MAX)
    status = lib.dn_load_note(*arguments, None, C.byref(size), err)
    if status == EFORMAT and not size.value:        # there is none
        return None
    text = C.create_string_buffer(size.value)
    _call(lib.dn_load_note, *arguments, text, C.byref(size))
    return text.value.decode()
