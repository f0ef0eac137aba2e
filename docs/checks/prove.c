/* prove.c - what reads hostile bytes, for all of them: proofs by bounded model checking with cbmc.
 *
 *     docs/checks/prove                  all proofs: what each says, its bounds, what it assumes
 *     docs/checks/prove peek tok_cut     only these
 *
 * A proof runs one function on values of which nothing is known but what assume() says, and holds
 * for each of them: no access outside an object or to one that is gone, no signed overflow, no
 * undefined shift, no division by zero, no loop of more rounds than stated, and what must() says.
 * Where a callee is replaced by a stand-in of any results that its own proof allows, the name of
 * the stand-in is that of the callee behind any_.  Texts end where an array ends, so that one byte
 * too many is seen.  reached() is a claim that must turn out wrong: a proof whose assumptions
 * contradict each other, and which therefore proves nothing, does not get there.
 */
#include "../../deepnet.c"
#define fail tok_fail           /* the one name that both files have */
#include "../../tokenizer.c"
#undef fail

/* Functions without a body return anything.  Those of cbmc are declared for other compilers. */
#ifndef __CPROVER__
void __CPROVER_assume(_Bool holds);
void __CPROVER_assert(_Bool holds, const char *what);
void __CPROVER_havoc_slice(void *at, size_t n);
_Bool __CPROVER_w_ok(const void *at, size_t n);
_Bool __CPROVER_r_ok(const void *at, size_t n);
#endif
int nondet_int(void);
char nondet_char(void);
size_t nondet_size(void);
int64_t nondet_int64(void);
uint64_t nondet_uint64(void);
double nondet_double(void);

#define assume(holds)       __CPROVER_assume(holds)
#define must(holds, what)   __CPROVER_assert(holds, what)
#define reached(what)       __CPROVER_assert(0, "reached: " what)
#define PROOF(name)         void prove_##name(void); void prove_##name(void)
#define INSTEAD(type, name, ...) \
    type any_##name(__VA_ARGS__); type any_##name(__VA_ARGS__)

enum { ROOM = 72 };
static char room[ROOM], err[DN_ERR_MAX];

/* A text of any n - 1 characters and a NUL, or of any n bytes without one. */
static char *bytes_at_end(size_t n, size_t most)
{
    assume(n <= most);
    for (size_t i = 0; i < most; i++) room[ROOM - 1 - i] = nondet_char();
    return room + ROOM - n;
}

static char *text_at_end(size_t most)
{
    char *text = bytes_at_end(nondet_size(), most);
    assume(text < room + ROOM);
    room[ROOM - 1] = 0;
    return text;
}

static size_t size_upto(size_t most)
{
    const size_t n = nondet_size();
    assume(n <= most);
    return n;
}

/* ---- the arena, sentences, numbers ------------------------------------------------------- */

/* Assumes what it shows: that less than half of all addresses is taken.  Products of three full
 * sizes are beyond the solver; here one is. */
PROOF(take)
{
    struct arena a = { NULL, size_upto(SIZE_MAX/2), 0 };
    const size_t before = a.used, size = size_upto(64), n = nondet_size();
    take(&a, size, n, size_upto(16), size_upto(16));
    must(a.used >= before && a.used <= SIZE_MAX/2, "the arena grows, to half of all at most");
    if (a.overflow) {
        must(a.used == before, "nothing is taken where there was an overflow");
        reached("overflow");
    } else {
        reached("taken");
    }
}

/* Two objects in a row, anywhere in a block of any alignment. */
PROOF(take_place)
{
    static unsigned char block[512];
    struct arena a = arena_on(block + size_upto(64));
    const size_t first = size_upto(100), second = size_upto(100);
    unsigned char *p = take(&a, 1, first, 1, 1), *q = take(&a, 1, second, 1, 1);
    must((uintptr_t)p%ALIGN == 0 && (uintptr_t)q%ALIGN == 0, "aligned");
    must(q >= p + first && q + second == a.base + a.used, "one behind the other");
    reached("end");
}

/* Of all formats two, which have what there is: %s in front and behind, %d, characters. */
PROOF(say)
{
    static char from[13];
    const size_t n = 1 + size_upto(ROOM/2 - 1);
    char *to = room + ROOM - n;
    for (int i = 0; i < 12; i++) from[i] = nondet_char();
    if (nondet_int()) say(to, n, "%s%d.%s", from + size_upto(12), nondet_int64(), from);
    else fail(err, DN_EINVAL, "a %d of '%s'", nondet_int64(), from);
    reached("end");
}

INSTEAD(void, say, char *to, size_t n, const char *format, ...)
{
    (void)format;
    must(n > 0 && __CPROVER_w_ok(to, n), "room for a sentence");
    __CPROVER_havoc_slice(to, n);
    to[n - 1] = 0;
}

INSTEAD(dn_status, fail, char *to, dn_status status, const char *format, ...)
{
    (void)format;
    to[DN_ERR_MAX - 1] = 0;
    return status;
}

/* Nothing is assumed of the text; what the number is, is not looked at. */
PROOF(decimal_read)
{
    double v;
    if (parse_decimal(text_at_end(20), &v)) reached("a number");
    else reached("refused");
}

INSTEAD(int, parse_decimal, const char *s, double *v)
{
    (void)s;
    *v = nondet_double();
    return nondet_int();
}

INSTEAD(void, print_decimal, char *to, size_t n, double v)
{
    (void)v;
    must(n > 0 && __CPROVER_w_ok(to, n), "room for a number");
    to[n - 1] = 0;
}

INSTEAD(double, scale10, double m, int e)
{
    (void)m;
    must(e >= -38 && e <= 52, "few rounds");
    return nondet_double();
}

/* Whatever the powers of ten are, and into any room: what it says is say()'s own proof. */
PROOF(decimal_print)
{
    const size_t n = 1 + size_upto(ROOM - 1);
    print_decimal(room + ROOM - n, n, nondet_double());
    reached("end");
}

/* For each of fields[] and for a name that is none of them. */
PROOF(config_set)
{
    static dn_config c;
    const char *value = text_at_end(12);
    const int which = nondet_int();
    for (int i = 0; i <= FIELDS; i++)
        if (which == i) {
            const char *name = i < FIELDS ? fields[i].name : "depth";
            if (dn_config_set(&c, name, value, err) == DN_OK) reached("set");
            else reached("refused");
        }
}

/* ---- the reader of a checkpoint ---------------------------------------------------------- */

/* A reader between two steps, of a file of any size; what is in pipe is anything.  It is one for a
 * model, or for a visitor. */
static struct reader in;
static dn_io file;

static void shown(void *user, const dn_entry *e)
{
    must(user == &in && e->at >= in.end && e->at <= file.size, "inside the file");
    must(e->dims >= 0 && e->dims <= DN_DIMS && e->type <= DTYPES, "sizes, a type");
    must(strlen(e->name) < DN_ENTRY_NAME, "a name with its end");
}

static const dn_visit visitor = { &in, shown };

static int header_read(void *user, uint64_t at, void *to, size_t n)
{
    must(user == &in && at < in.end && n <= in.end - at, "read inside the header");
    must(to == in.pipe && n > 0 && n <= PIPE, "into the pipe");
    __CPROVER_havoc_slice(to, n);
    return nondet_int();
}

static void reader_any(void)
{
    file = (dn_io){ &in, nondet_uint64(), header_read, NULL };
    in.io = &file;
    in.err = err;
    in.visit = nondet_int() ? &visitor : NULL;
    __CPROVER_havoc_slice(in.pipe, PIPE);
    in.at = nondet_uint64(), in.end = nondet_uint64(), in.data = nondet_uint64();
    in.filled = nondet_uint64();
    in.next = nondet_int(), in.have = nondet_int();
    assume(in.end <= file.size && in.data == file.size - in.end && in.at <= in.end);
    assume(in.next >= 0 && in.next <= in.have && in.have <= PIPE);
    assume(in.filled <= in.data);
    in.status = nondet_int() ? DN_OK : DN_EFORMAT;
}

static void refused(void)
{
    must(in.status != DN_OK, "a reason");
    reached("refused");
}

/* As reader_any() has it; the callback may fail. */
PROOF(peek)
{
    reader_any();
    const int c = peek(&in);
    must(c >= -1 && c <= 255, "a byte or none");
    must(in.next >= 0 && in.next <= in.have && in.have <= PIPE && in.at <= in.end, "a reader");
    must((c < 0) == (in.next == in.have), "none only at the end, or after a failure");
    if (c < 0) reached("none");
    else reached("a byte");
}

/* Of the bytes that are left; two looks at one byte may see different ones. */
INSTEAD(int, peek, struct reader *r)
{
    must(r->next <= r->have, "no byte is taken behind the last");
    if (r->next < r->have) return (unsigned char)nondet_char();
    if (r->status == DN_OK && nondet_int()) r->status = DN_EIO;
    return -1;
}

static void reader_left(int bytes)
{
    reader_any();
    assume(in.have <= bytes);
}

/* The room ends where an array ends; none at all is allowed, as for a note without text. */
PROOF(get_string)
{
    const size_t n = size_upto(20);
    size_t length;
    reader_left(24);
    if (get_string(&in, room + ROOM - n, n, &length)) {
        must(length <= 24, "no longer than the header");
        if (n > 0) must(room[ROOM - n + (length < n ? length : n - 1)] == 0, "with its end");
        reached("a string");
    } else {
        refused();
    }
}

/* With --unsigned-overflow-check: no wrap either. */
PROOF(get_number)
{
    uint64_t v;
    reader_left(24);
    if (get_number(&in, &v)) {
        must(v <= INT64_MAX, "a number that fits both types");
        reached("a number");
    } else {
        refused();
    }
}

INSTEAD(int, get_string, struct reader *r, char *to, size_t n, size_t *length)
{
    *length = nondet_size();
    must(n == 0 || __CPROVER_w_ok(to, n), "room for a string");
    if (n) __CPROVER_havoc_slice(to, n);
    if (n) to[*length < n ? *length : n - 1] = 0;
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

/* Whatever get_string() leaves in the room. */
PROOF(get_name)
{
    static char to[20];
    const size_t n = 1 + size_upto(19);
    reader_any();
    if (get_name(&in, to + 20 - n, n)) {
        must(strlen(to + 20 - n) < n, "with its end");
        reached("a name");
    } else {
        refused();
    }
}

INSTEAD(int, get_name, struct reader *r, char *to, size_t n)
{
    __CPROVER_havoc_slice(to, n);
    to[size_upto(n - 1)] = 0;
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

INSTEAD(int, get_number, struct reader *r, uint64_t *v)
{
    *v = nondet_uint64();
    assume(*v <= INT64_MAX);
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

/* Room for three; more of it is more rounds of the same. */
PROOF(get_numbers)
{
    static uint64_t to[3];
    reader_left(14);
    const int n = get_numbers(&in, to, 3);
    must(n >= -1 && n <= 3, "as many as there is room for");
    if (n >= 0) reached("a list");
    else refused();
}

INSTEAD(int, get_numbers, struct reader *r, uint64_t *to, int most)
{
    const int n = nondet_int();
    assume(n >= -1 && n <= most);
    for (int i = 0; i < most; i++) to[i] = nondet_uint64();
    if (n < 0) r->status = DN_EFORMAT;
    return n;
}

/* The sizes of a matrix; more of them are more rounds of the same.  Products are compared of small
 * ones, which a solver can. */
PROOF(entry_check)
{
    dn_entry e = { .name = text_at_end(4) };
    const uint64_t span[2] = { nondet_uint64(), nondet_uint64() };
    reader_any();
    e.dims = (int)size_upto(2), e.type = (int)size_upto(DTYPES);
    e.bytes = e.type < DTYPES ? dtypes[e.type].bytes : 0;
    for (int i = 0; i < 2; i++) e.shape[i] = nondet_uint64();
    if (entry_check(&in, &e, span)) {
        must(span[1] >= span[0] && span[1] <= in.data, "inside the file");
        must(in.visit || span[0] == in.filled, "no gap");
        must(e.dims != 2 || !e.bytes || e.shape[0] > 63 || e.shape[1] > 63
             || span[1] - span[0] == (uint64_t)e.bytes*e.shape[0]*e.shape[1],
             "as many bytes as its shape needs");
        reached("right");
    } else {
        refused();
    }
}

INSTEAD(int, entry_check, struct reader *r, const dn_entry *e, const uint64_t span[2])
{
    must(e->dims >= 0 && e->dims <= DN_DIMS, "as many sizes as there is room for");
    if (nondet_int()) {
        assume(span[1] >= span[0] && span[1] <= r->data && (r->visit || span[0] == r->filled));
        return 1;
    }
    r->status = DN_EFORMAT;
    return 0;
}

static uint64_t was;
INSTEAD(int, tensor_note, struct reader *r, const dn_entry *e, uint64_t begin)
{
    must(begin == was && r->filled <= r->data && r->filled >= begin, "inside the file, no gap");
    must(e->type >= OWN && e->type < DTYPES, "a type that is read");
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

/* What tensor_note() is told of an accepted entry lies inside the file, without a gap. */
PROOF(get_entry)
{
    reader_left(14);
    was = in.filled;
    if (get_entry(&in, text_at_end(4))) reached("an entry");
    else refused();
    must(in.filled <= in.data && (in.visit || in.filled >= was), "it grows, inside the file");
}

static struct tensor one;
INSTEAD(struct tensor *, tensor_find, const dn_model *m, const char *name)
{
    (void)m, (void)name;
    return nondet_int() ? &one : NULL;
}

INSTEAD(char *, put_text, char *p, const char *end, const char *text)
{
    must(p <= end && __CPROVER_w_ok(p, (size_t)(end - p)) && *text, "a text, and where it goes");
    return p + size_upto((size_t)(end - p));
}

/* After a sentence of any length; any settings are missing. */
PROOF(lacking)
{
    reader_any();
    in.fields = nondet_uint64();
    for (int i = 0; i < DN_ERR_MAX; i++) err[i] = nondet_char();
    err[size_upto(DN_ERR_MAX - 1)] = 0;
    must(!lacking(&in), "never");
    reached("end");
}

INSTEAD(int, lacking, struct reader *r)
{
    must(__CPROVER_w_ok(r->err, DN_ERR_MAX), "room for a sentence");
    return 0;
}

/* For any tensor that tensor_find() may name, or none. */
PROOF(tensor_note)
{
    static dn_model m;
    dn_entry e = { .name = text_at_end(20), .type = OWN };
    const uint64_t begin = nondet_uint64();
    e.dims = nondet_int();
    reader_any();
    in.m = &m;
    for (int i = 0; i < 3; i++) one.file[i] = nondet_uint64(), in.count[i] = nondet_int();
    for (int i = 0; i < 3; i++) assume(in.count[i] >= 0 && in.count[i] < INT_MAX);
    one.rows = nondet_int(), one.cols = nondet_int();
    e.shape[0] = nondet_uint64(), e.shape[1] = nondet_uint64();
    assume(one.rows >= 1 && one.cols >= 0 && begin < UINT64_MAX && (e.dims == 1 || e.dims == 2));
    if (tensor_note(&in, &e, begin)) {
        must(e.shape[0] == (uint64_t)one.rows, "as many rows");
        must(e.dims == 1 ? one.cols == 0 : e.shape[1] == (uint64_t)one.cols, "as many columns");
        reached("noted");
    } else {
        refused();
    }
}

/* So that its product with the sub-layers of a layer fits an int. */
PROOF(layer_in)
{
    const int layer = layer_in(text_at_end(20));
    must(layer >= -1 && layer < 10*(1 << 24), "a small number");
    reached("end");
}

INSTEAD(dn_status, dn_config_set, dn_config *c, const char *name, const char *value, char *to)
{
    (void)c, (void)value;
    must(__CPROVER_r_ok(name, 1), "a name that can be read");
    to[DN_ERR_MAX - 1] = 0;
    return nondet_int() ? DN_OK : DN_EINVAL;
}

/* With a note looked for or not; its room may be too small. */
PROOF(get_metadata)
{
    const size_t n = size_upto(8);
    static char key[4];
    reader_left(4);
    in.key = nondet_int() ? key : NULL;
    for (int i = 0; i < 3; i++) key[i] = nondet_char();
    in.text = room + ROOM - n;
    in.room = n;
    in.fields = 0;
    if (get_metadata(&in)) reached("taken");
    else refused();
    must(in.step >= 0 && in.step < 10000000000000000, "a step of 16 digits at most");
}

INSTEAD(int, accept, struct reader *r, int c)
{
    (void)c;
    if (r->next == r->have || nondet_int()) return 0;
    r->next++;
    return 1;
}

INSTEAD(int, skip_blanks, struct reader *r)
{
    return r->next == r->have || nondet_int() ? -1 : (unsigned char)nondet_char();
}

INSTEAD(int, get_entry, struct reader *r, const char *name)
{
    const uint64_t more = nondet_uint64();
    (void)name;
    assume(more <= r->data - r->filled);
    r->filled += more;
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

INSTEAD(int, get_metadata, struct reader *r)
{
    if (nondet_int()) return 1;
    r->status = DN_EFORMAT;
    return 0;
}

/* The parts leave the reader as their proofs say. */
PROOF(get_header)
{
    reader_left(8);
    in.metadata = 0;
    if (get_header(&in)) {
        must(in.status == DN_OK && (in.visit || in.filled == in.data), "the tensors fill the file");
        reached("a header");
    } else {
        refused();
    }
}

static int first_read(void *user, uint64_t at, void *to, size_t n)
{
    unsigned char *p = to;
    must(at <= *(uint64_t *)user && n <= *(uint64_t *)user - at, "read inside the file");
    for (size_t i = 0; i < 8; i++) p[i] = (unsigned char)nondet_char();
    return nondet_int();
}

/* The callback may fail. */
PROOF(reader_open)
{
    uint64_t size = nondet_uint64();
    const dn_io io = { &size, size, first_read, NULL };
    if (reader_open(&in, &io, NULL, err) == DN_OK) {
        must(in.end <= size && in.data == size - in.end && in.at <= in.end, "a reader");
        must(in.next == 0 && in.have == 0 && in.filled == 0, "at its beginning");
        reached("opened");
    } else {
        reached("refused");
    }
}

static int sum_read(void *user, uint64_t at, void *to, size_t n)
{
    must(at <= *(uint64_t *)user && n <= *(uint64_t *)user - at, "read inside the file");
    must(n > 0 && n <= PIPE && __CPROVER_w_ok(to, n), "into the pipe");
    return nondet_int();
}

INSTEAD(void, checksum_add, struct checksum *s, const unsigned char *p, size_t n)
{
    must(__CPROVER_r_ok(p, n), "bytes that are there");
    s->hash = nondet_uint64();
    s->bytes = (int)size_upto(7);
}

/* What checksum_add() makes of the bytes is anything. */
PROOF(checksum_check)
{
    uint64_t size = nondet_uint64();
    const dn_io io = { &size, size, sum_read, NULL };
    assume(size <= 2*PIPE);
    in.io = &io;
    in.err = err;
    for (int i = 0; i < DN_NAME_MAX; i++) in.checksum[i] = nondet_char();
    in.checksum[DN_NAME_MAX - 1] = 0;
    in.summed = nondet_uint64();
    if (checksum_check(&in)) reached("right");
    else refused();
}

/* Less than a word is left from before. */
PROOF(checksum_add)
{
    struct checksum sum = { nondet_uint64(), nondet_uint64(), (int)size_upto(7) };
    const size_t n = size_upto(20);
    char digits[DIGITS + 1];
    checksum_add(&sum, (unsigned char *)bytes_at_end(n, 20), n);
    must(sum.bytes >= 0 && sum.bytes < 8, "less than a word is left");
    checksum_digits(sum, digits);
    reached("end");
}

/* ---- tokenizer --------------------------------------------------------------------------- */

/* From any place in the text, its end included. */
PROOF(number_read)
{
    size_t n = size_upto(24), at = size_upto(n);
    const size_t before = at;
    const int number = number_read(bytes_at_end(n, 24), n, &at);
    must(at >= before && at <= n, "in the text");
    must(number >= -1 && number <= VOCAB_MAX, "a number in its range, or none");
    if (number >= 0) reached("a number");
    else reached("refused");
}

INSTEAD(int, number_read, const char *text, size_t n, size_t *at)
{
    const int number = nondet_int();
    const size_t more = size_upto(n - *at);
    must(*at <= n && __CPROVER_r_ok(text, n), "a place in the text");
    assume(number >= -1 && number <= VOCAB_MAX && (number < 0 || more >= 2));
    *at += more;
    return number;
}

/* number_read() leaves at least a blank and a digit behind it, or fails. */
PROOF(vocab_of)
{
    const size_t n = size_upto(40);
    const int vocab = dn_tok_vocab_of(bytes_at_end(n, 40), n);
    must(vocab == 0 || vocab >= DN_MIN_VOCAB, "none, or the bytes at least");
    must(vocab == 0 || vocab - DN_MIN_VOCAB <= 10, "no more merges than the text has room for");
    if (vocab) reached("a vocabulary");
    else reached("none");
}

/* A tokenizer with any tables, of at most so many merges. */
enum { MERGES = 2, VOCAB = DN_MIN_VOCAB + MERGES, HASHED = 16 };
static int pairs[2*MERGES], hashed[HASHED];
static unsigned char sizes[VOCAB];

static dn_tokenizer tables_any(void)
{
    const dn_tokenizer t = { DN_MIN_VOCAB + (int)size_upto(MERGES), pairs, hashed, HASHED - 1,
                             sizes };
    for (int k = 0; k < 2*MERGES; k++) pairs[k] = nondet_int();
    for (int i = 0; i < HASHED; i++) hashed[i] = nondet_int();
    return t;
}

/* The three tables lie one behind the other inside the block, whatever of it is offered. */
PROOF(tables_lay)
{
    static int block[512];
    const size_t size = size_upto(sizeof block);
    const int vocab = nondet_int();
    dn_tokenizer t;
    assume(vocab <= DN_MIN_VOCAB + 40);
    if (tables_lay(&t, vocab, block, size, err) == DN_OK) {
        const size_t slots = slots_of(vocab);
        must(slots >= 4*(size_t)(vocab - DN_MIN_VOCAB) && slots > 0, "slots enough");
        must((slots & (slots - 1)) == 0, "a power of two");
        must(t.slot >= t.pair + 2*(vocab - DN_MIN_VOCAB), "pairs, then slots");
        must(t.size >= (unsigned char *)(t.slot + slots), "then sizes");
        must(t.size + vocab <= (unsigned char *)block + size, "which end in the block");
        reached("laid");
    } else {
        reached("refused");
    }
}

INSTEAD(dn_status, tables_lay, dn_tokenizer *t, int max_vocab, void *mem, size_t size, char *to)
{
    (void)mem, (void)size;
    to[DN_ERR_MAX - 1] = 0;
    must(max_vocab >= DN_MIN_VOCAB, "the bytes at least");
    if (nondet_int()) return DN_ENOMEM;
    *t = (dn_tokenizer){ DN_MIN_VOCAB, pairs, hashed, 0, sizes };
    for (int i = 0; i < DN_MIN_VOCAB; i++) sizes[i] = i >= DN_SPECIALS;
    return DN_OK;
}

/* A slot is empty or has an id that there is; the pairs are anything. */
PROOF(slot_find)
{
    dn_tokenizer t = tables_any();
    t.mask = 3;
    for (int i = 0; i < HASHED; i++)
        assume(t.slot[i] == NONE || (t.slot[i] >= DN_MIN_VOCAB && t.slot[i] < t.vocab));
    const int left = nondet_int(), right = nondet_int(), *slot = slot_find(&t, left, right);
    if (slot) {
        must(slot >= t.slot && slot <= t.slot + t.mask, "one of the slots");
        reached("a slot");
    } else {
        reached("none");
    }
}

INSTEAD(int *, slot_find, const dn_tokenizer *t, int left, int right)
{
    (void)left, (void)right;
    return nondet_int() ? &t->slot[size_upto(t->mask)] : NULL;
}

INSTEAD(int, dn_tok_vocab_of, const char *text, size_t n)
{
    const int vocab = nondet_int();
    must(__CPROVER_r_ok(text, n), "a text");
    assume(vocab == 0 || (vocab >= DN_MIN_VOCAB && vocab <= VOCAB && n >= 9));
    return vocab;
}

/* The tables are arrays of their own, see tables_lay; slot_find() finds any slot, or none. */
PROOF(tok_load)
{
    const size_t n = size_upto(ROOM);
    dn_tokenizer t;
    if (dn_tok_load(&t, bytes_at_end(n, ROOM), n, pairs, sizeof pairs, err) == DN_OK) {
        for (int id = DN_MIN_VOCAB; id < t.vocab; id++) {
            const int *pair = t.pair + 2*(id - DN_MIN_VOCAB);
            must(pair[0] >= DN_SPECIALS && pair[0] < id, "joins an earlier id");
            must(pair[1] >= DN_SPECIALS && pair[1] < id, "... and another");
            must(t.size[id] == t.size[pair[0]] + t.size[pair[1]], "as long as both");
            must(t.size[id] >= 2 && t.size[id] <= CHUNK_MAX, "fits a chunk");
        }
        reached("loaded");
    } else {
        reached("refused");
    }
}

/* Of the merges only what tok_load shows: each joins earlier ids.  Any ids to decode. */
PROOF(tok_decode)
{
    const dn_tokenizer t = tables_any();
    for (int k = 0; k < 2*MERGES; k++)
        assume(t.pair[k] >= DN_SPECIALS && t.pair[k] < DN_MIN_VOCAB + k/2);
    int ids[2] = { nondet_int(), nondet_int() };
    const size_t n = size_upto(2), max = size_upto(12);
    const size_t need = dn_tok_decode(&t, ids + 2 - n, n, room + ROOM - max, max);
    must(need <= n << MERGES, "each merge doubles the length at most");
    reached("end");
}

/* From the first byte of a text; it looks at nothing before that. */
PROOF(chunk_end)
{
    const size_t n = 1 + size_upto(CHUNK_MAX + 3);
    const unsigned char *text = (unsigned char *)bytes_at_end(n, CHUNK_MAX + 4);
    const size_t end = chunk_end(text, 0, n);
    must(end > 0 && end <= n && end <= CHUNK_MAX, "1 to 64 bytes of the text");
    reached("end");
}

INSTEAD(size_t, chunk_end, const unsigned char *text, size_t i, size_t n)
{
    const size_t end = nondet_size();
    must(i < n && __CPROVER_r_ok(text, n), "a place in the text");
    assume(end > i && end <= n && end - i <= CHUNK_MAX);
    return end;
}

/* Chunks end anywhere chunk_end() may end them. */
PROOF(tok_cut)
{
    const size_t n = size_upto(ROOM), end = dn_tok_cut(bytes_at_end(n, ROOM), n);
    must(end <= n && n - end <= CHUNK_MAX, "at n - 64 or later");
    reached("end");
}

INSTEAD(int, merge_find, const dn_tokenizer *t, int left, int right)
{
    const int id = nondet_int();
    (void)t;
    must(left >= DN_SPECIALS && right >= DN_SPECIALS, "two ids");
    assume(id >= DN_MIN_VOCAB);
    return id;
}

/* Any two ids may make any merge. */
PROOF(chunk_encode)
{
    int id[CHUNK_MAX];
    for (int n = 1; n <= 4; n++) {
        const int count = chunk_encode(NULL, (unsigned char *)bytes_at_end((size_t)n, 4), n, id);
        must(count >= 1 && count <= n, "an id for a byte at most");
    }
    reached("end");
}

INSTEAD(int, chunk_encode, const dn_tokenizer *t, const unsigned char *s, int n, int *id)
{
    const int count = nondet_int();
    (void)t;
    must(n >= 1 && n <= CHUNK_MAX && __CPROVER_r_ok(s, (size_t)n), "a chunk");
    must(__CPROVER_w_ok(id, (size_t)n*sizeof *id), "room for its ids");
    assume(count >= 1 && count <= n);
    return count;
}

/* Chunks and their ids are any that there may be. */
PROOF(tok_encode)
{
    static int ids[8];
    const size_t n = size_upto(6), max = size_upto(8);
    const size_t need = dn_tok_encode(NULL, bytes_at_end(n, 6), n, ids + 8 - max, max);
    must(need <= n, "an id for a byte at most");
    reached("end");
}
