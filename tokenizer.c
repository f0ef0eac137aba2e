/* tokenizer.c - byte-level byte-pair encoding: train, encode, decode, save and load.
 *
 * Any bytes can be encoded, and decoding gives exactly those bytes back.  Id 0 .. DN_SPECIALS-1
 * are special and stand for no bytes; id DN_SPECIALS + b is the byte b; every later id joins two
 * earlier ones and is called a merge.  The merges are ranked by their id, the first made first.
 *
 * Splitting.  A text is first cut into chunks, and no merge reaches across a cut.  Bytes are of
 * five kinds: letters (A-Z, a-z and every byte from 0x80 on, so that UTF-8 words stay whole),
 * digits, newlines (LF, CR), blanks (space, tab, VT, FF) and all the rest.  A chunk is
 *   - a run of letters, of digits or of the rest, with a space directly before it, if there is one;
 *   - a run of newlines; or
 *   - a run of blanks, less its last space where that belongs to the chunk that follows.
 * A chunk has at most 64 bytes; a longer run is cut after each 64.
 *
 * Encoding.  Within a chunk the merge of lowest rank is made first, at its leftmost place, until
 * none is left to make.  So a text has one encoding.  Encoding it in pieces gives the same ids
 * as long as the pieces meet where the whole has a cut, as lines do unless some are empty;
 * dn_tok_cut() finds such places in any text.
 *
 * Training.  The merge made next is the pair of neighbouring ids which occurs most often in the
 * text (at aaa the pair aa occurs twice); among equals the one whose left id is smaller, then
 * the one whose right id is smaller.  It ends at max_vocab ids or when no pair occurs twice.
 * There is no floating point and no dependence on the machine.
 *
 * Memory.  All of it is the caller's, aligned as malloc aligns; its contents do not matter.
 * A tokenizer that could not be trained or loaded must not be used.  Its memory is
 *     int pair[2*merges] | int slot[a power of two] | unsigned char size[max_vocab]
 * and the scratch for training n bytes is
 *     cell[n + 2] | rec[n + 2] | int heap[n + 2] | int slot[2*(n + 2)]
 *
 * Order of this file: messages and numbers, splitting, the table of merges, memory, training
 * (heap, pairs, counting chunks, merging), encoding and decoding, saving and loading.
 */
#include "deepnet.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

enum {
    CHUNK_MAX = 64,             /* bytes in a chunk, and so in the longest token            */
    PROBE_MAX = 128,            /* slots looked at for one pair, see slot_find()            */
    VOCAB_MAX = 1 << 20,
    TEXT_MAX = 1 << 28,         /* bytes of text for training, so that an int counts them   */
    NONE = 0,                   /* no cell, no record, an empty slot: all count from 1      */
    NO_MERGE = INT_MAX          /* greater than every id                                    */
};

/* ---- messages and numbers ---------------------------------------------------------------- */

/* Write c at out[at] if there is room; count it in any case. */
static size_t char_put(char *out, size_t max, size_t at, char c)
{
    if (at < max) out[at] = c;
    return at + 1;
}

static size_t number_put(char *out, size_t max, size_t at, size_t number)
{
    char digit[3*sizeof number];
    int n = 0;
    do digit[n++] = (char)('0' + number % 10); while ((number /= 10) > 0);
    while (n > 0) at = char_put(out, max, at, digit[--n]);
    return at;
}

/* Write the sentence to err, with the number in place of its '#'. */
static dn_status fail(char *err, dn_status status, const char *sentence, size_t number)
{
    const size_t max = DN_ERR_MAX - 1;
    size_t at = 0;
    for (; *sentence; sentence++)
        at = *sentence == '#' ? number_put(err, max, at, number)
                              : char_put(err, max, at, *sentence);
    err[at < max ? at : max] = 0;
    return status;
}

/* Read a blank and a number without leading zeros, at most VOCAB_MAX; -1 if there is none. */
static int number_read(const char *text, size_t n, size_t *at)
{
    size_t k = *at;
    int number = 0;
    if (k >= n || text[k++] != ' ') return -1;
    const size_t first = k;
    for (; k < n && text[k] >= '0' && text[k] <= '9'; k++) {
        number = 10*number + (text[k] - '0');
        if (number > VOCAB_MAX || (k > first && text[first] == '0')) return -1;
    }
    *at = k;
    return k > first ? number : -1;
}

/* ---- splitting --------------------------------------------------------------------------- */

enum { LETTER, DIGIT, REST, BLANK, NEWLINE };       /* the last two are white space */

static int kind_of(unsigned char c)
{
    if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return LETTER;
    if (c >= '0' && c <= '9') return DIGIT;
    if (c == '\n' || c == '\r') return NEWLINE;
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' ? BLANK : REST;
}

/* The end of the chunk that begins at text[i], i < n; it is greater than i, and depends on no byte
 * after text[i + CHUNK_MAX]. */
static size_t chunk_end(const unsigned char *text, size_t i, size_t n)
{
    const size_t limit = n - i > CHUNK_MAX ? i + CHUNK_MAX : n;
    int kind;
    if (text[i] == ' ' && i + 1 < n && kind_of(text[i + 1]) < BLANK) i++;
    kind = kind_of(text[i]);
    do i++; while (i < limit && kind_of(text[i]) == kind);

    /* Never empties the chunk: a single space before a word went with the word, above. */
    if (kind == BLANK && i < n && text[i - 1] == ' ' && kind_of(text[i]) < BLANK) i--;
    return i;
}

size_t dn_tok_cut(const void *text, size_t n)
{
    size_t end = 0;
    while (n - end > CHUNK_MAX) end = chunk_end(text, end, n);
    return end;
}

/* ---- the table of merges ----------------------------------------------------------------- */

static uint32_t pair_hash(int left, int right)
{
    uint32_t h = (uint32_t)left*0x9E3779B1u + (uint32_t)right;
    h = (h ^ h >> 15)*0x85EBCA6Bu;
    return h ^ h >> 13;
}

/* The slot of a pair, or else the empty one that it would take; NULL if neither is within PROBE_MAX
 * of its place.  Only a table built to do so gets that far (by chance, one in 10^30), and giving up
 * there keeps loading and encoding fast whatever the table. */
static int *slot_find(const dn_tokenizer *t, int left, int right)
{
    uint32_t h = pair_hash(left, right);
    for (int probe = 0; probe < PROBE_MAX; probe++, h++) {
        int *slot = &t->slot[h & t->mask];
        if (*slot == NONE) return slot;
        const int *pair = t->pair + 2*(*slot - DN_MIN_VOCAB);
        if (pair[0] == left && pair[1] == right) return slot;
    }
    return NULL;
}

/* The id that left and right merge to, or NO_MERGE. */
static int merge_find(const dn_tokenizer *t, int left, int right)
{
    const int *slot = slot_find(t, left, right);
    return !slot || *slot == NONE ? NO_MERGE : *slot;
}

static void merge_set(dn_tokenizer *t, int id, int left, int right)
{
    int *pair = t->pair + 2*(id - DN_MIN_VOCAB);
    pair[0] = left;
    pair[1] = right;
    t->size[id] = (unsigned char)(t->size[left] + t->size[right]);
}

/* Enter merge id, which is set, in the hash table; 0 if its pair is there or has no room. */
static int merge_enter(dn_tokenizer *t, int id)
{
    const int *pair = t->pair + 2*(id - DN_MIN_VOCAB);
    int *slot = slot_find(t, pair[0], pair[1]);
    if (!slot || *slot != NONE) return 0;
    *slot = id;
    return 1;
}

/* ---- memory ------------------------------------------------------------------------------ */

/* The smallest power of two greater than n; at most 2 n, but 1 for 0. */
static size_t power_above(size_t n)
{
    size_t power = 1;
    while (power <= n) power *= 2;
    return power;
}

/* At most a quarter of the slots are in use, so a search soon ends at an empty one. */
static size_t slots_of(int vocab)
{
    return power_above(4*(size_t)(vocab - DN_MIN_VOCAB));
}

size_t dn_tok_bytes(int max_vocab)
{
    if (max_vocab < DN_MIN_VOCAB || max_vocab > VOCAB_MAX) return 0;
    return 2*sizeof(int)*(size_t)(max_vocab - DN_MIN_VOCAB)
         + sizeof(int)*slots_of(max_vocab) + (size_t)max_vocab;
}

/* Lay the tables out in mem and enter the bytes; there are no merges yet. */
static dn_status tables_lay(dn_tokenizer *t, int max_vocab, void *mem, size_t size, char *err)
{
    const size_t need = dn_tok_bytes(max_vocab);
    memset(t, 0, sizeof *t);
    if (!need)
        return fail(err, DN_EINVAL, "the vocabulary must have # to 1048576 ids", DN_MIN_VOCAB);
    if (!mem || size < need)
        return fail(err, DN_ENOMEM, "the tokenizer needs # bytes of memory", need);
    t->vocab = DN_MIN_VOCAB;
    t->pair = mem;
    t->slot = t->pair + 2*(max_vocab - DN_MIN_VOCAB);
    t->size = (unsigned char *)(t->slot + slots_of(max_vocab));
    memset(t->size, 0, DN_SPECIALS);
    memset(t->size + DN_SPECIALS, 1, 256);
    return DN_OK;
}

/* Empty the hash table; its size depends on the vocabulary, not on where that came from. */
static void slots_clear(dn_tokenizer *t, int vocab)
{
    t->mask = (uint32_t)(slots_of(vocab) - 1);
    memset(t->slot, 0, slots_of(vocab)*sizeof *t->slot);
}

/* ---- training: the heap of pairs --------------------------------------------------------- */

/* The distinct chunks of the text lie one after the other in cells, at first a byte to a cell.
 * A merge widens its left cell over the right one, whose contents no longer count.  Each cell
 * with a right neighbour in its chunk is one place of a pair, and is on the list of places that
 * the record of that pair has.  So there are never more pairs than cells. */
struct cell {
    int id;
    int weight;                 /* how often the text has its chunk                         */
    int pair;                   /* the record whose list it is on, or NONE                  */
    int next, prev;             /* on that list                                             */
    unsigned char size;         /* bytes it covers, so cells to its right neighbour         */
    unsigned char back;         /* cells back to its left neighbour; 0: it begins a chunk   */
};

struct rec {
    int left, right;            /* the pair of ids                                          */
    int count;                  /* the sum of the weights of its places                     */
    int head;                   /* its first place                                          */
    int chain;                  /* the next record with the same slot                       */
    int rank;                   /* it is heap[rank]                                         */
};

struct trainer {
    struct cell *cell;          /* cell[1 .. cells], then one with back 0 to end the last   */
    struct rec *rec;
    int *heap;                  /* heap[1 .. live]: records, best on top; then unused ones  */
    int *slot;                  /* hash table: of chunks (by first cell), later of pairs    */
    uint32_t mask;
    int cells, live;
};

static int rec_better(const struct rec *a, const struct rec *b)
{
    if (a->count != b->count) return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static void heap_set(struct trainer *tr, int k, int r)
{
    tr->heap[k] = r;
    tr->rec[r].rank = k;
}

/* Move the record at k, whose count has changed, up or down to where it belongs. */
static void heap_fix(struct trainer *tr, int k)
{
    const int r = tr->heap[k];
    for (; k > 1 && rec_better(&tr->rec[r], &tr->rec[tr->heap[k/2]]); k /= 2)
        heap_set(tr, k, tr->heap[k/2]);
    for (int child; (child = 2*k) <= tr->live; k = child) {
        if (child < tr->live
            && rec_better(&tr->rec[tr->heap[child + 1]], &tr->rec[tr->heap[child]]))
            child++;
        if (!rec_better(&tr->rec[tr->heap[child]], &tr->rec[r])) break;
        heap_set(tr, k, tr->heap[child]);
    }
    heap_set(tr, k, r);
}

/* ---- training: the pairs and their places ------------------------------------------------ */

static int rec_find(const struct trainer *tr, int left, int right)
{
    int r = tr->slot[pair_hash(left, right) & tr->mask];
    while (r != NONE && (tr->rec[r].left != left || tr->rec[r].right != right))
        r = tr->rec[r].chain;
    return r;
}

static int rec_make(struct trainer *tr, int left, int right)
{
    int *slot = &tr->slot[pair_hash(left, right) & tr->mask];
    const int r = tr->heap[++tr->live];
    tr->rec[r] = (struct rec){ left, right, 0, NONE, *slot, tr->live };
    *slot = r;
    return r;
}

/* Free a record that has no places left. */
static void rec_drop(struct trainer *tr, int r)
{
    int *link = &tr->slot[pair_hash(tr->rec[r].left, tr->rec[r].right) & tr->mask];
    const int k = tr->rec[r].rank, last = tr->heap[tr->live];
    while (*link != r) link = &tr->rec[*link].chain;
    *link = tr->rec[r].chain;

    tr->heap[tr->live--] = r;
    if (last != r) {
        heap_set(tr, k, last);
        heap_fix(tr, k);
    }
}

/* Put cell p on the list of the pair it begins, if it has a right neighbour. */
static void place_add(struct trainer *tr, int p)
{
    struct cell *c = &tr->cell[p];
    const struct cell *right = c + c->size;
    int r;
    c->pair = NONE;
    if (right->back == 0) return;
    r = rec_find(tr, c->id, right->id);
    if (r == NONE) r = rec_make(tr, c->id, right->id);
    c->pair = r;
    c->prev = NONE;
    c->next = tr->rec[r].head;
    if (c->next != NONE) tr->cell[c->next].prev = p;
    tr->rec[r].head = p;
    tr->rec[r].count += c->weight;
    heap_fix(tr, tr->rec[r].rank);
}

static void place_remove(struct trainer *tr, int p)
{
    const struct cell *c = &tr->cell[p];
    struct rec *r = &tr->rec[c->pair];
    if (c->pair == NONE) return;
    if (c->prev != NONE)
        tr->cell[c->prev].next = c->next;
    else
        r->head = c->next;
    if (c->next != NONE) tr->cell[c->next].prev = c->prev;
    r->count -= c->weight;
    if (r->head == NONE)
        rec_drop(tr, c->pair);
    else
        heap_fix(tr, r->rank);
}

/* ---- training: counting the chunks ------------------------------------------------------- */

/* Empty the hash table and make it of a size for n entries: at most 2 (n + 2) slots. */
static void index_clear(struct trainer *tr, size_t n)
{
    tr->mask = (uint32_t)(power_above(n + 2) - 1);
    memset(tr->slot, 0, ((size_t)tr->mask + 1)*sizeof *tr->slot);
}

/* Whether the chunk of cells that begins at p is the n bytes at s. */
static int chunk_equal(const struct trainer *tr, int p, const unsigned char *s, int n)
{
    const struct cell *c = &tr->cell[p];
    for (int k = 0; k < n; k++)
        if ((k > 0 && c[k].back == 0) || c[k].id != DN_SPECIALS + s[k])
            return 0;
    return c[n].back == 0;
}

/* Count one chunk: find its cells or, the first time, add them. */
static void chunk_count(struct trainer *tr, const unsigned char *s, int n)
{
    uint32_t h = 0;
    int p;
    for (int k = 0; k < n; k++) h = (h ^ s[k])*0x01000193u;
    for (h ^= h >> 15; (p = tr->slot[h & tr->mask]) != NONE; h++)
        if (chunk_equal(tr, p, s, n)) {
            tr->cell[p].weight++;
            return;
        }

    p = tr->cells + 1;
    tr->slot[h & tr->mask] = p;
    for (int k = 0; k < n; k++)
        tr->cell[p + k] = (struct cell){ DN_SPECIALS + s[k], 1, NONE, NONE, NONE, 1, k > 0 };
    tr->cells += n;
    tr->cell[tr->cells + 1].back = 0;
}

/* Turn the text into weighted cells and the cells into pairs. */
static void pairs_count(struct trainer *tr, const unsigned char *text, size_t n)
{
    size_t end;
    index_clear(tr, n/2 + 256 < n ? n/2 + 256 : n);         /* only 256 have a single byte */
    for (size_t i = 0; i < n; i = end) {
        end = chunk_end(text, i, n);
        chunk_count(tr, text + i, (int)(end - i));
    }
    index_clear(tr, (size_t)tr->cells);
    for (int p = 1; p <= tr->cells; p++) tr->heap[p] = p;
    for (int p = 1; p <= tr->cells; p++) {
        if (tr->cell[p].back > 0) tr->cell[p].weight = tr->cell[p - 1].weight;
        place_add(tr, p);
    }
}

/* ---- training: merging ------------------------------------------------------------------- */

/* A place of the pair, or NONE.  Places of one pair overlap only if both ids are the same: in a run
 * like aaaa the leftmost must be merged first.  Otherwise the order makes no difference. */
static int place_find(const struct trainer *tr, int left, int right)
{
    const int r = rec_find(tr, left, right);
    int p = r == NONE ? NONE : tr->rec[r].head;
    if (p != NONE && left == right)
        while (tr->cell[p].back > 0 && tr->cell[p - tr->cell[p].back].pair == r)
            p -= tr->cell[p].back;
    return p;
}

/* Make one cell with this id out of cell p and its right neighbour. */
static void place_merge(struct trainer *tr, int p, int id)
{
    struct cell *c = &tr->cell[p];
    const int right = p + c->size, before = c->back > 0 ? p - c->back : NONE;
    if (before != NONE) place_remove(tr, before);
    place_remove(tr, p);
    place_remove(tr, right);

    c->id = id;
    c->size = (unsigned char)(c->size + tr->cell[right].size);
    if (c[c->size].back > 0) c[c->size].back = c->size;

    if (before != NONE) place_add(tr, before);
    place_add(tr, p);
}

size_t dn_tok_train_bytes(int max_vocab, size_t n)
{
    const size_t per_byte = sizeof(struct cell) + sizeof(struct rec) + 3*sizeof(int);
    if (!dn_tok_bytes(max_vocab) || n > TEXT_MAX || n > SIZE_MAX/per_byte - 2) return 0;
    return (n + 2)*per_byte;
}

dn_status dn_tok_train(dn_tokenizer *t, int max_vocab, const void *text, size_t n,
                       dn_block memory, dn_block scratch, char *err)
{
    const dn_status status = tables_lay(t, max_vocab, memory.at, memory.size, err);
    const size_t need = dn_tok_train_bytes(max_vocab, n);
    struct trainer tr = {0};
    int p;
    if (status != DN_OK) return status;
    if (!need)
        return fail(err, DN_EINVAL, "a text of # bytes is too long to train on", n);
    if (!scratch.at || scratch.size < need)
        return fail(err, DN_ENOMEM, "training needs # bytes of scratch memory", need);
    tr.cell = scratch.at;
    tr.rec = (struct rec *)(tr.cell + n + 2);
    tr.heap = (int *)(tr.rec + n + 2);
    tr.slot = tr.heap + n + 2;

    pairs_count(&tr, text, n);
    for (; t->vocab < max_vocab && tr.live > 0; t->vocab++) {
        const struct rec *best = &tr.rec[tr.heap[1]];
        const int left = best->left, right = best->right;
        if (best->count < 2) break;
        merge_set(t, t->vocab, left, right);
        while ((p = place_find(&tr, left, right)) != NONE) place_merge(&tr, p, t->vocab);
    }

    slots_clear(t, t->vocab);
    for (int id = DN_MIN_VOCAB; id < t->vocab; id++)
        if (!merge_enter(t, id))
            return fail(err, DN_EFORMAT, "merge # finds no slot in the hash table",
                        (size_t)(id - DN_MIN_VOCAB));
    return DN_OK;
}

/* ---- encoding and decoding --------------------------------------------------------------- */

/* Encode the n bytes of a chunk, 1 .. CHUNK_MAX; return the number of ids. */
static int chunk_encode(const dn_tokenizer *t, const unsigned char *s, int n, int *id)
{
    int made[CHUNK_MAX];        /* what id[k] merges to with its right neighbour */
    for (int k = 0; k < n; k++) id[k] = DN_SPECIALS + s[k];
    for (int k = 0; k < n - 1; k++) made[k] = merge_find(t, id[k], id[k + 1]);
    made[n - 1] = NO_MERGE;
    for (;;) {
        int at = 0;
        for (int k = 1; k < n; k++)
            if (made[k] < made[at])
                at = k;
        if (made[at] == NO_MERGE) return n;

        id[at] = made[at];
        n--;
        for (int k = at + 1; k < n; k++) id[k] = id[k + 1];
        for (int k = at; k < n; k++) made[k] = made[k + 1];
        if (at > 0) made[at - 1] = merge_find(t, id[at - 1], id[at]);
        if (at < n - 1) made[at] = merge_find(t, id[at], id[at + 1]);
    }
}

size_t dn_tok_encode(const dn_tokenizer *t, const void *text, size_t n, int *ids, size_t max)
{
    const unsigned char *s = text;
    int part[CHUNK_MAX];
    size_t need = 0, end;
    for (size_t i = 0; i < n; i = end) {
        end = chunk_end(s, i, n);
        const int count = chunk_encode(t, s + i, (int)(end - i), part);
        for (int k = 0; k < count; k++, need++)
            if (need < max)
                ids[need] = part[k];
    }
    return need;
}

/* The stack holds parts of one token, each of a byte or more: it is never deeper than CHUNK_MAX. */
size_t dn_tok_decode(const dn_tokenizer *t, const int *ids, size_t n, void *out, size_t max)
{
    unsigned char *o = out;
    int stack[CHUNK_MAX];
    size_t need = 0;
    for (size_t i = 0; i < n; i++) {
        int depth = 0;
        if (ids[i] >= DN_SPECIALS && ids[i] < t->vocab) stack[depth++] = ids[i];
        while (depth > 0) {
            int id = stack[--depth];
            for (; id >= DN_MIN_VOCAB; id = t->pair[2*(id - DN_MIN_VOCAB)])
                stack[depth++] = t->pair[2*(id - DN_MIN_VOCAB) + 1];
            if (need < max) o[need] = (unsigned char)(id - DN_SPECIALS);
            need++;
        }
    }
    return need;
}

/* ---- saving and loading ------------------------------------------------------------------ */

/* "bpe1", the vocabulary size and the pair of each merge, in numbers with a blank before each;
 * then a full stop, without which a number cut short could pass for a smaller one. */
static const char save_mark[] = "bpe1";
enum { MARK_LEN = sizeof save_mark - 1 };

size_t dn_tok_save(const dn_tokenizer *t, char *out, size_t max)
{
    const int numbers = 2*(t->vocab - DN_MIN_VOCAB);
    size_t at = 0;
    while (at < MARK_LEN) at = char_put(out, max, at, save_mark[at]);
    at = char_put(out, max, at, ' ');
    at = number_put(out, max, at, (size_t)t->vocab);
    for (int k = 0; k < numbers; k++) {
        at = char_put(out, max, at, ' ');
        at = number_put(out, max, at, (size_t)t->pair[k]);
    }
    return char_put(out, max, at, '.');
}

/* Also 0 if the text is too short for its merges, each of which takes at least 4 characters. */
int dn_tok_vocab_of(const char *text, size_t n)
{
    size_t at = MARK_LEN;
    if (n < MARK_LEN || memcmp(text, save_mark, MARK_LEN) != 0) return 0;
    const int vocab = number_read(text, n, &at);
    if (vocab < DN_MIN_VOCAB || (n - at)/4 < (size_t)(vocab - DN_MIN_VOCAB)) return 0;
    return vocab;
}

dn_status dn_tok_load(dn_tokenizer *t, const char *text, size_t n, void *mem, size_t mem_size,
                      char *err)
{
    const int vocab = dn_tok_vocab_of(text, n);
    size_t at = MARK_LEN;
    dn_status status;
    if (!vocab)
        return fail(err, DN_EFORMAT, "this is no saved tokenizer, or one cut short", 0);
    status = tables_lay(t, vocab, mem, mem_size, err);
    if (status != DN_OK) return status;
    slots_clear(t, vocab);
    number_read(text, n, &at);
    for (int id = DN_MIN_VOCAB; id < vocab; id++) {
        const size_t merge = (size_t)(id - DN_MIN_VOCAB);
        const int left = number_read(text, n, &at), right = number_read(text, n, &at);
        if (left < 0 || right < 0)
            return fail(err, DN_EFORMAT, "merge # is not two numbers", merge);
        if (left < DN_SPECIALS || left >= id || right < DN_SPECIALS || right >= id)
            return fail(err, DN_EFORMAT, "merge # does not join two earlier ids", merge);
        if (t->size[left] + t->size[right] > CHUNK_MAX)
            return fail(err, DN_EFORMAT, "merge # makes a token of more than 64 bytes", merge);
        merge_set(t, id, left, right);
        if (!merge_enter(t, id))
            return fail(err, DN_EFORMAT, "merge # repeats a pair or finds no slot", merge);
    }
    if (at + 1 != n || text[at] != '.')
        return fail(err, DN_EFORMAT, "the # merges must end in one full stop",
                    (size_t)(vocab - DN_MIN_VOCAB));
    t->vocab = vocab;
    return DN_OK;
}
