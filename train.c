/* train.c - the program: train a model, translate, generate text, score.
 *
 *     ./train                                    German to English on the corpus in data/
 *     ./train --source a.de --target a.en        translation from two line-aligned files
 *     ./train --arch decoder --text FILE         language model (--arch encoder: masked)
 *     ./train ... --resume MODEL                 go on: the same options and --resume MODEL
 *     ./train ... --init MODEL                   begin anew with its parameters
 *     ./train sample MODEL --prompt TEXT         generate text
 *     ./train translate MODEL < in > out         one line for each line
 *     ./train score MODEL --source F --target F  loss, perplexity, BLEU, chrF
 *     ./train average MODEL... --out MODEL       the mean of their parameters
 *     ./train export MODEL --c-header FILE       its parameters as a C header
 *     ./train verify LOG MODEL ...               is the log what the run comes to from there?
 *     ./train tokens MODEL < text                ids and pieces
 *     ./train info MODEL                         what is in the file, and what it needs
 *     ./train check-init FILE                    are its first values the paper's?
 *     ./train plot LOG.csv --out LOG.svg         draw what --log wrote, or any CSV file
 *     ./train help COMMAND                       the options that it uses
 *
 * The mathematics is in deepnet.c and the tokens are in tokenizer.c; this file uses them through
 * deepnet.h alone.  It reads files, builds batches and keeps checkpoints, and it is the only one
 * that allocates, prints or exits.  Results go to stdout, everything else to stderr.
 * Exit status: 0 success, 1 failed while running, 2 wrong usage, 3 diverged, 128 + signal.
 *
 * A batch depends on nothing but the data, the seed and the step.  So a run that was stopped and
 * resumed writes the same bytes as one that never stopped.
 *
 * Order of this file: platform, several processes, options, messages and memory, files, reading
 * options, corpora, session, batches, BLEU, tensors of other programs, checkpoint files, models,
 * generation, scoring, check-init, plot, progress, training, commands.  One session owns all
 * memory, and main frees it.
 */
#define _XOPEN_SOURCE 700
#if defined(__unix__) || defined(__APPLE__)
#define HAVE_POSIX 1
#define _DARWIN_C_SOURCE 1                /* without it ru_maxrss is hidden there, */
#define _NETBSD_SOURCE 1                  /* and here dirfd() */
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#ifdef __wasi__
#include <unistd.h>
#else
#define HAVE_SIGNALS 1
#include <signal.h>
#endif
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deepnet.h"

/* ---- platform: what ISO C does not have -------------------------------------------------- */

#ifdef _WIN32
#define SLASHES "/\\"
#else
#define SLASHES "/"
#endif

/* The last part of a path. */
static const char *base_name(const char *path)
{
    for (size_t n; path[n = strcspn(path, SLASHES)]; ) path += n + 1;
    return path;
}

/* How the files begin that this program writes: a checkpoint behind its first bytes and up to the
 * digits of its checksum, a drawing, parameters in C, a log. */
enum { MODEL_HEAD_AT = 8 };
static const char model_head[] = "{\"__metadata__\":{\"checksum\":\"";
static const char svg_head[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" viewBox=";
static const char header_head[] = "/* Written by deepnet's train export";
static const char log_header[] =
    "step,seconds,loss,val,lr,grad_norm,tokens_per_second,parameters\n";

#ifdef HAVE_POSIX
static double seconds(void)
{
    struct timespec t = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9*(double)t.tv_nsec;
}

/* The most memory this process has had, in MiB; 0: the system does not say. */
static double peak_memory(void)
{
    struct rusage use;
#ifdef __APPLE__
    const double unit = 1048576;
#else
    const double unit = 1024;
#endif
    return getrusage(RUSAGE_SELF, &use) == 0 ? (double)use.ru_maxrss/unit : 0;
}

static int is_terminal(FILE *f) { return isatty(fileno(f)); }

/* A stream that is closed stays so, or the next file to be opened would get what is said there. */
static void streams_keep(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* The columns of the terminal, now; 0: the system does not say. */
static int terminal_width(void)
{
#ifdef TIOCGWINSZ
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0) return w.ws_col;
#endif
    return 0;
}

/* Bytes of stdin as they come, at most n, without waiting for more than the first; 0: its end. */
static size_t input_read(void *to, size_t n)
{
    ssize_t k;
    do k = read(STDIN_FILENO, to, n); while (k < 0 && errno == EINTR);
    return k < 0 ? SIZE_MAX : (size_t)k;
}

/* Can this be written but not replaced, such as /dev/null? */
static int is_special(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

/* Are these names of one file? */
static int same_file(const char *a, const char *b)
{
    struct stat s, t;
    return strcmp(a, b) == 0 || (stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev
                                 && s.st_ino == t.st_ino);
}

/* What a symbolic link says; 0: it is none. */
static int link_read(const char *path, char *to, size_t n)
{
    ssize_t k = readlink(path, to, n - 1);
    if (k > 0) to[k] = 0;
    return k > 0;
}

static DIR *directory_of(const char *path)
{
    char name[4096];
    size_t n = (size_t)(base_name(path) - path);
    if (n >= sizeof name) return NULL;
    memcpy(name, path, n);
    name[n] = 0;
    return opendir(n ? name : ".");
}

/* Lock a file while it is open; 0: another process has, or it cannot be locked. */
static int file_lock(int fd)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_SETLK, &l) == 0;
}

/* Keep a file to this process while it is open; 0: another one has it. */
static int file_keep(FILE *f)
{
    return file_lock(fileno(f)) || (errno != EACCES && errno != EAGAIN);
}

/* A new file to write, with the rights and where allowed the owner of the one that it will replace.
 * It stays locked while it is open, if nothing else of this process opens and closes it.  NULL and
 * EEXIST: the name is taken. */
static FILE *file_create(const char *path, const char *old)
{
    struct stat s;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (fd >= 0 && !f) close(fd), remove(path);
    if (!f) return NULL;
    file_lock(fd);
    if (stat(old, &s) != 0) return f;
    if (fchown(fd, s.st_uid, s.st_gid) != 0 && fchown(fd, (uid_t)-1, s.st_gid) != 0)
        s.st_mode &= (mode_t)~(S_ISUID | S_ISGID);
    fchmod(fd, s.st_mode & 07777);
    return f;
}

static long process_id(void) { return (long)getpid(); }

/* Are these n bytes, at most 16, the beginning of a file that this program writes? */
static int is_ours(const char *begin, size_t n)
{
    const char *const heads[] = { svg_head, header_head, log_header };
    int ours = n == 16 && memcmp(begin + MODEL_HEAD_AT, model_head, n - MODEL_HEAD_AT) == 0;
    for (int i = 0; i < 3; i++) ours |= strncmp(begin, heads[i], n) == 0;
    return ours;
}

/* Remove what dead processes left beside `path`: PATH.PID.tmp, empty or the beginning of an output.
 * The lock tells of a process that lives where its number means nothing here, as in a container. */
static void stale_remove(const char *path)
{
    const char *base = base_name(path);
    size_t n = strlen(base);
    DIR *d = directory_of(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL; ) {
        char *end = e->d_name, begin[16];
        if (strncmp(e->d_name, base, n) != 0 || e->d_name[n] != '.') continue;
        long pid = strtol(e->d_name + n + 1, &end, 10);
        if (pid <= 0 || strcmp(end, ".tmp") != 0) continue;
        if (pid != process_id() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)) continue;
        int fd = openat(dirfd(d), e->d_name, O_RDWR | O_NONBLOCK);
        ssize_t k = fd < 0 ? -1 : read(fd, begin, sizeof begin);
        if (k >= 0 && is_ours(begin, (size_t)k) && file_lock(fd)) unlinkat(dirfd(d), e->d_name, 0);
        if (fd >= 0) close(fd);
    }
    if (d) closedir(d);
}

/* In a directory such as /tmp only the owner of a file may replace it. */
static int is_others(const char *path)
{
    struct stat s, in;
    DIR *d = directory_of(path);
    int known = d && fstat(dirfd(d), &in) == 0 && stat(path, &s) == 0;
    if (d) closedir(d);
    return known && (in.st_mode & S_ISVTX) && geteuid() != 0 && geteuid() != s.st_uid
           && geteuid() != in.st_uid;
}

/* The directory is written, too, or a power cut could take the new name back. */
static int file_move(const char *from, const char *to)
{
    if (rename(from, to) != 0) return 0;
    DIR *d = directory_of(to);
    if (d) fsync(dirfd(d)), closedir(d);
    return 1;
}

/* A file without a name, in TMPDIR; `where` becomes a name for messages. */
static FILE *temporary_open(char *where, size_t n)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    if (!dir || !*dir) dir = "/tmp";
    int fd = snprintf(path, sizeof path, "%s/deepnet.XXXXXX", dir) < (int)sizeof path
             ? mkstemp(path) : -1;
    if (fd >= 0) unlink(path);
    snprintf(where, n, "a temporary file in %s", dir);
    return fd < 0 ? NULL : fdopen(fd, "w+b");
}

static int flush_to_disk(FILE *f) { return fflush(f) == 0 && fsync(fileno(f)) == 0; }

/* Keep the first n bytes of a file. */
static int file_cut(FILE *f, size_t n) { return ftruncate(fileno(f), (off_t)n) == 0; }
typedef off_t offset;
#else
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <process.h>
/* All that is needed of windows.h, whose other names would be in the way. */
__declspec(dllimport) unsigned long long __stdcall GetTickCount64(void);
__declspec(dllimport) int __stdcall MoveFileExA(const char *, const char *, unsigned long);
typedef int64_t offset;
#define fseeko _fseeki64
#define ftello _ftelli64
static double seconds(void) { return 1e-3*(double)GetTickCount64(); }
static long process_id(void) { return _getpid(); }
static int is_terminal(FILE *f) { return _isatty(_fileno(f)); }
static int flush_to_disk(FILE *f) { return fflush(f) == 0 && _commit(_fileno(f)) == 0; }
static int file_cut(FILE *f, size_t n) { return _chsize_s(_fileno(f), (int64_t)n) == 0; }

/* rename() does not replace: 1; 8: the new name is on the disk before this returns. */
static int file_move(const char *from, const char *to)
{
    int moved = MoveFileExA(from, to, 1 | 8);
    if (!moved) errno = EACCES;
    return moved;
}
#else
typedef long offset;
#define fseeko fseek
#define ftello ftell
static double seconds(void) { return (double)time(NULL); }
static long process_id(void) { return 0; }
static int is_terminal(FILE *f) { (void)f; return 0; }
static int flush_to_disk(FILE *f) { return fflush(f) == 0; }
static int file_move(const char *from, const char *to) { return rename(from, to) == 0; }
#ifdef __wasi__
static int file_cut(FILE *f, size_t n) { return ftruncate(fileno(f), (off_t)n) == 0; }
#else
static int file_cut(FILE *f, size_t n) { return (void)f, (void)n, errno = 0; }    /* ISO C cannot */
#endif
#endif
static double peak_memory(void) { return 0; }
static int terminal_width(void) { return 0; }
static void streams_keep(void) {}
static size_t input_read(void *to, size_t n)
{
    size_t k = 0;
    for (int c = 0; k < n && c != '\n' && (c = getc(stdin)) != EOF; ) ((char *)to)[k++] = (char)c;
    return ferror(stdin) ? SIZE_MAX : k;
}

static int is_special(const char *path) { (void)path; return 0; }
static int same_file(const char *a, const char *b) { return strcmp(a, b) == 0; }
static int link_read(const char *path, char *to, size_t n) { return (void)path, (void)to, n == 0; }
static FILE *file_create(const char *at, const char *old) { return (void)old, fopen(at, "w+b"); }
static int file_keep(FILE *f) { return f != NULL; }
static void stale_remove(const char *path) { (void)path; }
static int is_others(const char *path) { (void)path; return 0; }

static FILE *temporary_open(char *where, size_t n)
{
    snprintf(where, n, "a temporary file");
#ifdef __wasi__
    return NULL;                              /* WASI has none */
#else
    return tmpfile();
#endif
}
#endif

static int seek_to(FILE *f, uint64_t at)
{
    return (uint64_t)(offset)at == at && fseeko(f, (offset)at, SEEK_SET) == 0;
}

/* The size of a file; -1: it has none, such as a pipe, or a senseless one, such as a directory;
 * -2: the position in it is lost. */
static int64_t size_of(FILE *f)
{
    if (fseeko(f, 0, SEEK_END) != 0) return -1;
    int64_t size = (int64_t)ftello(f);
    return !seek_to(f, 0) ? -2 : size < INT64_MAX ? size : -1;
}

#ifdef HAVE_SIGNALS
static volatile sig_atomic_t caught;          /* the first signal; a second one ends the program */

#ifdef HAVE_POSIX
/* With SA_RESTART a write that a signal interrupts goes on; with signal() it may fail. */
static void signals_to(void (*handler)(int))
{
    struct sigaction to = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
    sigaction(SIGINT, &to, NULL);
    sigaction(SIGTERM, &to, NULL);
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)  /* nohup's */
        sigaction(SIGHUP, &to, NULL);
    if (handler == SIG_DFL) to.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &to, NULL);                              /* Ctrl-C ends `| tee` as well */
}
#else
static void signals_to(void (*handler)(int))
{
    signal(SIGINT, handler);
    signal(SIGTERM, handler);
}
#endif

/* The training loop sees the signal after its step, saves and stops.  A second one finds no handler
 * and ends the program at once. */
static void on_signal(int number)
{
    caught = number;
    signals_to(SIG_DFL);
}

static void signals_watch(int on) { signals_to(on ? on_signal : SIG_DFL); }
#else
enum { caught = 0 };
static void signals_watch(int on) { (void)on; }
#endif

/* ---- several processes ------------------------------------------------------------------- */

/* `make MPI=1`, and then `mpirun -n R ./train ...`, docs/scale.md: R processes do what one does, to
 * the byte.  Each makes all batches, computes its own parts of a step, and owns a slice of the
 * gradient: it gets that slice of everyone's parts, adds them up over the tree of the library, and
 * sends everyone the sum.  Rank 0 alone writes files, prints and samples.  Without MPI there is
 * one process, and each of these functions does nothing. */
static void fail(int code, const char *format, ...);
static void *resize(void *old, size_t count, size_t each);

#ifdef DN_MPI
#include <mpi.h>
static int rank, ranks = 1, world = 1;        /* ranks is 1 while rank 0 works alone */
#define REAL_TYPE (sizeof(dn_real) == sizeof(double) ? MPI_DOUBLE : MPI_FLOAT)

static void ranks_open(int *argc, char ***argv)
{
    int level;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world);
    ranks = world;
    if (rank && !freopen("/dev/null", "w", stdout)) exit(1);
}

static void ranks_close(void) { MPI_Finalize(); }
/* What only rank 0 does may use functions that otherwise all call together. */
static void ranks_alone(int alone) { ranks = alone ? 1 : world; }

/* Where one process fails, mpirun ends all.  A failure that all share is rank 0's to tell: the
 * others give it two seconds to do so. */
static void ranks_wait(void)
{
    for (double from = seconds(); rank && seconds() < from + 2; ) if (caught) _Exit(1);
    if (rank) fprintf(stderr, "rank %d: ", rank);
}

static void ranks_same(const char *what, uint64_t hash)
{
    uint64_t first = hash;
    MPI_Bcast(&first, sizeof first, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (first != hash) fail(1, "%s is not what rank 0 has", what);
}

static int ranks_most(int x)
{
    if (ranks > 1) MPI_Allreduce(MPI_IN_PLACE, &x, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return x;
}

/* Did any fail, at a place of the work that `at` numbers?  Then the first failure is everyone's. */
static dn_status ranks_first(dn_status status, int at, char *err)
{
    struct { int at, rank; } first = { status ? at : INT_MAX, rank };
    int code = (int)status;
    if (ranks == 1) return status;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_2INT, MPI_MINLOC, MPI_COMM_WORLD);
    if (first.at == INT_MAX) return DN_OK;
    MPI_Bcast(&code, 1, MPI_INT, first.rank, MPI_COMM_WORLD);
    MPI_Bcast(err, DN_ERR_MAX, MPI_CHAR, first.rank, MPI_COMM_WORLD);
    return (dn_status)code;
}

/* Each number is 0 but in one rank. */
static void ranks_sum(double *x, size_t n)
{
    if (ranks > 1)
        MPI_Allreduce(MPI_IN_PLACE, x, (int)n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

/* The file that rank 0 has opened, for all: the others get a copy without a name. */
static FILE *ranks_file(FILE *f, int64_t *size)
{
    enum { SENT = 1 << 20 };                  /* bytes at a time */
    char where[256] = "", *piece = resize(NULL, SENT, 1);
    if (ranks > 1) MPI_Bcast(size, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
    if (ranks > 1 && rank) f = temporary_open(where, sizeof where);
    for (int64_t at = 0, n; ranks > 1 && f && at < *size; at += n) {
        n = *size - at < SENT ? *size - at : SENT;
        size_t good = rank ? (size_t)n : fread(piece, 1, (size_t)n, f);
        MPI_Bcast(piece, (int)n, MPI_CHAR, 0, MPI_COMM_WORLD);
        if (rank) good = fwrite(piece, 1, (size_t)n, f);
        if (good != (size_t)n) fail(1, "a checkpoint could not be sent (%s)", where);
    }
    if (!f) fail(1, "%s: %s", where, strerror(errno));
    rewind(f);
    free(piece);
    return f;
}

/* Block k of the parts of a rank, which has its share of them in order: as many as begin at
 * `first` and are a subtree.  0: it has no more. */
static int block_of(int parts, int r, int k, int *first)
{
    int at = parts*r/ranks, end = parts*(r + 1)/ranks;
    for (int n = 1; at < end; at += n, k--, n = 1) {
        while (at%(2*n) == 0 && at + 2*n <= end) n *= 2;
        *first = at;
        if (k == 0) return n;
    }
    return 0;
}

/* What a block leaves here: this rank's slice of its gradient, and its losses. */
struct block { int count; dn_real *slice; dn_stats stats; };

/* The sum of parts first .. first + count - 1, in the arrays of the leftmost block. */
static struct block *block_sum(struct block *b, int first, int count, size_t n)
{
    if (b[first].count == count) return &b[first];
    struct block *left = block_sum(b, first, count/2, n);
    struct block *right = block_sum(b, first + count/2, count/2, n);
    for (size_t i = 0; i < n; i++) left->slice[i] += right->slice[i];
    left->stats.loss += right->stats.loss;
    left->stats.nll += right->stats.nll;
    left->stats.tokens += right->stats.tokens;
    left->stats.correct += right->stats.correct;
    left->count = count;
    return left;
}

/* Slice r of n numbers begins here; its owner is rank r. */
static size_t slice_at(size_t n, int r)
{
    return n/(size_t)ranks*(size_t)r + n%(size_t)ranks*(size_t)r/(size_t)ranks;
}

static int slice_size(size_t n, int r) { return (int)(slice_at(n, r + 1) - slice_at(n, r)); }

/* Block k of every rank: computed, its slices sent to their owners.  Whether there was any. */
static int blocks_exchange(dn_model *m, const dn_batch *batch, int n, int k, struct block *block,
                           dn_status *status, char *err)
{
    const int parts = dn_model_config(m)->parts;
    const size_t all = dn_param_count(m);
    const dn_real *grad = dn_tensor_at(m, 0).grad;
    int first, any = 0, count = block_of(parts, rank, k, &first), mine = slice_size(all, rank);
    if (count && !*status)
        *status = dn_gradient_of(m, batch, n, first, count, &block[first].stats, err);
    for (int i = 0; i < ranks; i++) {
        int at, to = (rank + i)%ranks, from = (rank + ranks - i)%ranks;
        int there = block_of(parts, from, k, &at);
        if (there) {
            any = block[at].count = there;
            block[at].slice = resize(NULL, (size_t)mine, sizeof(dn_real));
        }
        MPI_Sendrecv(grad + slice_at(all, to), count ? slice_size(all, to) : 0, REAL_TYPE, to, 0,
                     there ? block[at].slice : NULL, there ? mine : 0, REAL_TYPE, from, 0,
                     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    for (int r = 0, at; r < ranks; r++)
        if (block_of(parts, r, k, &at))
            MPI_Bcast(&block[at].stats, sizeof(dn_stats), MPI_BYTE, r, MPI_COMM_WORLD);
    return any;
}

/* dn_train_step by all ranks.  Sums go round in a ring until everyone has the whole gradient. */
static dn_status ranks_step(dn_model *m, const dn_batch *batch, int n, dn_stats *stats, char *err)
{
    const int parts = dn_model_config(m)->parts;
    const size_t all = dn_param_count(m);
    if (all/(size_t)ranks >= INT_MAX) fail(1, "so large a model needs more processes");
    const int mine = slice_size(all, rank), right = (rank + 1)%ranks, left = right + ranks - 2;
    dn_real *grad = dn_tensor_at(m, 0).grad;
    dn_status status = DN_OK;
    struct block *block = resize(NULL, (size_t)parts, sizeof *block);
    memset(block, 0, (size_t)parts*sizeof *block);
    for (int k = 0; blocks_exchange(m, batch, n, k, block, &status, err); k++) continue;
    status = ranks_first(status, rank, err);
    if (status == DN_OK) {
        struct block *sum = block_sum(block, 0, parts, (size_t)mine);
        *stats = sum->stats;
        memcpy(grad + slice_at(all, rank), sum->slice, (size_t)mine*sizeof *grad);
        for (int k = 0; k < ranks - 1; k++) {
            int out = (rank + ranks - k)%ranks, in = (out + ranks - 1)%ranks;
            MPI_Sendrecv(grad + slice_at(all, out), slice_size(all, out), REAL_TYPE, right, 0,
                         grad + slice_at(all, in), slice_size(all, in), REAL_TYPE, left%ranks, 0,
                         MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
        status = dn_apply(m, stats, err);
    }
    for (int p = 0; p < parts; p++) free(block[p].slice);
    free(block);
    return status;
}
#else
enum { rank = 0, ranks = 1 };
static void ranks_open(int *argc, char ***argv) { (void)argc, (void)argv; }
static void ranks_close(void) {}
static void ranks_alone(int alone) { (void)alone; }
static void ranks_wait(void) {}
static void ranks_same(const char *what, uint64_t hash) { (void)what, (void)hash; }
static int ranks_most(int x) { return x; }
static dn_status ranks_first(dn_status s, int at, char *err) { return (void)at, (void)err, s; }
static void ranks_sum(double *x, size_t n) { (void)x, (void)n; }
static FILE *ranks_file(FILE *f, int64_t *size) { return (void)size, f; }
#define ranks_step dn_train_step
#endif

/* ---- options: the tables ----------------------------------------------------------------- */

enum { SERIES_MAX = 40 };                     /* files, or lines, in one plot */

struct options {
    dn_config model;
    const char *verb, *file, *model_word;     /* what to do, and the model to do it with */
    const char *word[SERIES_MAX];             /* other files that it is given */
    int words;
    const char *preset, *plot, *log_axes, *x, *y, *by, *title;
    const char *source, *target, *valid_source, *valid_target, *test_source, *test_target;
    const char *text, *valid_text, *hypothesis, *references, *tokenize, *c_header;
    const char *out, *config, *log, *on_divergence, *init, *prompt_file;
    double minutes;
    int epochs, accum, stop_after, patience, keep_best, keep, force;
    int eval_every, save_every, log_every, sample_every, samples, stride;
    const char *prompt, *map;
    double temp, top_p, length_penalty;
    int length, top_k, beam, n_best, rows;
    int help, version, print_config, int8, decimals, json, per_line, per_token;
};

/* The program's own options.  Those of the model come from dn_fields().  A new option is a member
 * above and a row here: it is set, checked, printed and explained by that row. */
static const struct option {
    const char *name;
    enum { FLAG, COUNT, REAL, WORD, INPUT, OUTPUT } kind;     /* the last two are paths */
    size_t at;
    const char *fallback;
    double low, high;                         /* of a FLAG, COUNT or REAL */
    const char *group, *help;
} table[] = {
#define AT(field) offsetof(struct options, field)
    { "source", INPUT, AT(source), NULL, 0, 0, "Files", "sentences to translate, one a line" },
    { "target", INPUT, AT(target), NULL, 0, 0, "Files", "their translations, line by line" },
    { "valid-source", INPUT, AT(valid_source), NULL, 0, 0, "Files",
      "validation pairs; without them a tenth, at most 1000, is held out at random" },
    { "valid-target", INPUT, AT(valid_target), NULL, 0, 0, "Files", "their translations" },
    { "test-source", INPUT, AT(test_source), NULL, 0, 0, "Files", "pairs to score at the end" },
    { "test-target", INPUT, AT(test_target), NULL, 0, 0, "Files", "their translations" },
    { "text", INPUT, AT(text), NULL, 0, 0, "Files", "running text for a language model" },
    { "valid-text", INPUT, AT(valid_text), NULL, 0, 0, "Files",
      "validation text; without it the last tenth of the text is held out" },
    { "hypothesis", INPUT, AT(hypothesis), NULL, 0, 0, "Files",
      "score: BLEU and chrF of this file against --target, without a model" },
    { "references", INPUT, AT(references), NULL, 0, 0, "Files",
      "score: more files like --target, with commas between" },
    { "c-header", OUTPUT, AT(c_header), NULL, 0, 0, "Files", "export: the file to write" },
    { "out", OUTPUT, AT(out), NULL, 0, 0, "Files",
      "the checkpoint (model.safetensors; with --resume the same file), \"\": none; or the plot" },
    { "force", FLAG, AT(force), "0", 0, 1, "Files",
      "replace what is there, though another run or another program made it" },
    { "resume", INPUT, AT(file), NULL, 0, 0, "Files",
      "go on from this checkpoint, with the options of its run; or the MODEL" },
    { "init", INPUT, AT(init), NULL, 0, 0, "Files",
      "begin with the parameters, tokenizer and options of this file, at step 0" },
    { "config", INPUT, AT(config), NULL, 0, 0, "Files", "read options from lines 'key = value'" },
    { "preset", WORD, AT(preset), NULL, 0, 0, "Files", "a set of options by name, listed below" },

    { "epochs", COUNT, AT(epochs), "0", 0, INT_MAX, "Run",
      "passes over the data, instead of --steps; the later of the two counts" },
    { "minutes", REAL, AT(minutes), "0", 0, INT_MAX, "Run",
      "of training, and then stop; 0: no limit" },
    { "accum", COUNT, AT(accum), "1", 1, 65536, "Run", "batches for one step" },
    { "stop-after", COUNT, AT(stop_after), "0", 0, INT_MAX, "Run",
      "save and stop after this many steps" },
    { "eval-every", COUNT, AT(eval_every), "200", 1, INT_MAX, "Run", "steps between validations" },
    { "save-every", COUNT, AT(save_every), "0", 0, INT_MAX, "Run",
      "steps between checkpoints; 0: as --eval-every" },
    { "log-every", COUNT, AT(log_every), "20", 1, INT_MAX, "Run",
      "steps between lines of progress" },
    { "sample-every", COUNT, AT(sample_every), "0", 0, INT_MAX, "Run",
      "steps between samples; 0: as --eval-every" },
    { "samples", COUNT, AT(samples), "1", 0, INT_MAX, "Run",
      "how many samples, of a translator at most --rows; 0: none" },
    { "patience", COUNT, AT(patience), "0", 0, INT_MAX, "Run",
      "stop after this many validations without a better one; 0: never" },
    { "on-divergence", WORD, AT(on_divergence), "stop", 0, 0, "Run",
      "stop, or rollback: go back to the last checkpoint with half the rate, at most 5 times" },
    { "keep-best", COUNT, AT(keep_best), "1", 0, 1, "Run",
      "1: keep the model with the best validation too, as OUT.best" },
    { "keep", COUNT, AT(keep), "0", 0, SERIES_MAX, "Run",
      "keep the last N checkpoints of --save-every and the end, in turn as OUT.1 to OUT.N; for "
      "average" },

    { "prompt", WORD, AT(prompt), "\n", 0, 0, "Use", "the text to continue" },
    { "prompt-file", INPUT, AT(prompt_file), NULL, 0, 0, "Use",
      "the same from a file, less its last line end" },
    { "length", COUNT, AT(length), "256", 0, INT_MAX, "Use", "tokens to generate" },
    { "temp", REAL, AT(temp), "0.8", 0, INT_MAX, "Use", "temperature; 0: the most likely token" },
    { "top-k", COUNT, AT(top_k), "0", 0, INT_MAX, "Use", "choose among the k likeliest; 0: all" },
    { "top-p", REAL, AT(top_p), "1", 0, 1, "Use", "choose among the likeliest of this mass" },
    { "beam", COUNT, AT(beam), "1", 1, INT_MAX, "Use", "hypotheses of the beam search; 1: greedy" },
    { "n-best", COUNT, AT(n_best), "0", 0, INT_MAX, "Use",
      "write up to so many translations, at most --beam: line, score and text, with tabs between" },
    { "length-penalty", REAL, AT(length_penalty), "1", -10, 10, "Use",
      "a hypothesis scores log p / length^penalty" },
    { "rows", COUNT, AT(rows), "32", 1, INT_MAX, "Use", "sentences translated at a time" },
    { "tokenize", WORD, AT(tokenize), "13a", 0, 0, "Use",
      "words of BLEU, as sacreBLEU finds them: 13a, none or char" },
    { "decimals", COUNT, AT(decimals), "1", 0, 17, "Use", "of BLEU and chrF, at most 17" },
    { "json", FLAG, AT(json), "0", 0, 1, "Use",
      "score --hypothesis: print JSON, as sacreBLEU does" },
    { "int8", FLAG, AT(int8), "0", 0, 1, "Use",
      "export: matrices in 8 bits, a scale for each row; scored before and after" },
    { "per-line", FLAG, AT(per_line), "0", 0, 1, "Use",
      "score: log p and tokens of each line instead, with a tab between" },
    { "per-token", FLAG, AT(per_token), "0", 0, 1, "Use",
      "score: line, log p, id and text of each token instead, with tabs between" },
    { "map", WORD, AT(map), NULL, 0, 0, "Use",
      "check-init: what names end in, as END=KIND,...; KIND is q, k, v, o, w1, w2, qkv, qk, kv" },
    { "stride", COUNT, AT(stride), "0", 0, INT_MAX, "Use",
      "tokens a window moves when a decoder scores a text; 0: half of --ctx" },

    { "plot", OUTPUT, AT(plot), NULL, 0, 0, "Plot", "draw the loss of this run here, as SVG" },
    { "log", OUTPUT, AT(log), NULL, 0, 0, "Plot",
      "write progress here too, as CSV (for plot: --log-axes)" },
    { "log-axes", WORD, AT(log_axes), NULL, 0, 0, "Plot",
      "the logarithmic axes of a plot: x, y or xy" },
    { "x", WORD, AT(x), "step", 0, 0, "Plot", "the column across" },
    { "y", WORD, AT(y), NULL, 0, 0, "Plot", "the columns up, with commas between (loss,val)" },
    { "by", WORD, AT(by), NULL, 0, 0, "Plot", "a column: one line for each of its values" },
    { "title", WORD, AT(title), NULL, 0, 0, "Plot", "what stands above" },

    { "help", FLAG, AT(help), "0", 0, 1, "Other", "this text" },
    { "version", FLAG, AT(version), "0", 0, 1, "Other", "version, build and licence" },
    { "print-config", FLAG, AT(print_config), "0", 0, 1, "Other", "the options in effect" },
#undef AT
};

/* Other names for an option; a name that is here twice sets both. */
static const struct alias { const char *word, *name; } aliases[] = {
    { "layers", "enc-layers" }, { "layers", "dec-layers" }, { "n-layer", "layers" },
    { "num-layers", "layers" }, { "encoder-layers", "enc-layers" },
    { "decoder-layers", "dec-layers" }, { "embed", "dim" }, { "n-embd", "dim" },
    { "d-model", "dim" }, { "hidden-size", "dim" }, { "n-head", "heads" },
    { "num-heads", "heads" }, { "d-ff", "ffn" }, { "ffn-dim", "ffn" }, { "block-size", "ctx" },
    { "seq-len", "ctx" }, { "learning-rate", "lr" }, { "l", "lr" }, { "b", "batch-tokens" },
    { "max-tokens", "batch-tokens" }, { "max-steps", "steps" }, { "max-iters", "steps" },
    { "max-update", "steps" }, { "max-epoch", "epochs" }, { "warmup-steps", "warmup" },
    { "warmup-updates", "warmup" }, { "update-freq", "accum" },
    { "gradient-accumulation-steps", "accum" }, { "wd", "weight-decay" }, { "grad-clip", "clip" },
    { "eval-interval", "eval-every" }, { "log-interval", "log-every" },
    { "save-interval", "save-every" }, { "s", "seed" }, { "o", "out" }, { "output", "out" },
    { "model", "resume" }, { "src", "source" }, { "tgt", "target" }, { "t", "temp" },
    { "temperature", "temp" }, { "p", "prompt" }, { "i", "prompt" }, { "start", "prompt" },
    { "n", "length" }, { "max-new-tokens", "length" }, { "num-samples", "samples" },
    { "nbest", "n-best" }, { "lenpen", "length-penalty" }, { "beam-size", "beam" }, { "h", "help" },
    { "w", "decimals" },
};

/* What people look for and this program has in another form. */
static const struct hint { const char *word, *hint; } hints[] = {
    { "batch-size", "--batch-tokens counts tokens, not sentences" },
    { "max-length", "--ctx is the longest sequence of a model, --length what sample writes" },
    { "device", "it computes on the CPU, with --threads" },
    { "fp16", "it computes in float; export --int8 writes 8 bits" },
    { "input", "--text is a text, --source and --target are pairs; translate reads stdin" },
};

/* Sets of options.  One with the name of an architecture holds its defaults. */
static const struct preset { const char *name, *help, *values; } presets[] = {
    { "encoder-decoder", NULL,
      "arch=encoder-decoder vocab=2000 ffn=128 heads=2 lr=0.004 warmup=200 schedule=cosine "
      "steps=1250 samples=3" },
    { "decoder", NULL,
      "arch=decoder vocab=259 ctx=128 dec-layers=6 dim=128 heads=4 ffn=512 lr=0.003 warmup=200 "
      "schedule=cosine steps=2400" },
    { "encoder", NULL, "arch=encoder vocab=259 ctx=128 samples=0" },

    /* The paper leaves vocabulary, ctx and eval-every open. */
    { "iwslt14", "Table 4 of the paper: IWSLT14 De-En; --layers 10 to 100 is its Figure 6",
      "arch=encoder-decoder layers=18 dim=512 ffn=2048 heads=8 vocab=10000 ctx=256 dropout=0.4 "
      "label-smoothing=0.1 batch-tokens=4000 lr=5e-4 warmup=4000 warmup-init=1e-7 "
      "schedule=inv-sqrt steps=8000 beta1=0.9 beta2=0.98 eps=1e-8 weight-decay=1e-4 clip=0 "
      "eval-every=500" },
    { "wmt17", "Table 5 of the paper: WMT17 En-De, base; --layers 6 to 100 is its Table 1",
      "arch=encoder-decoder layers=18 dim=512 ffn=2048 heads=8 vocab=32000 ctx=256 dropout=0.4 "
      "label-smoothing=0.1 batch-tokens=4096 accum=128 lr=1.5e-3 warmup=4000 warmup-init=1e-7 "
      "schedule=inv-sqrt steps=100000 beta1=0.9 beta2=0.98 eps=1e-8 weight-decay=1e-4 clip=0 "
      "eval-every=1000" },
    { "opus100", "Table 7 of the paper: OPUS-100, 100 + 100 layers, 4 epochs",
      "arch=encoder-decoder layers=100 dim=512 ffn=2048 heads=8 vocab=64000 ctx=256 dropout=0.1 "
      "label-smoothing=0.1 batch-tokens=4096 accum=128 lr=5e-4 warmup=4000 warmup-init=1e-7 "
      "schedule=inv-sqrt epochs=4 beta1=0.9 beta2=0.98 eps=1e-8 weight-decay=0 clip=0 "
      "eval-every=1000 memory=recompute" },
    { "shakespeare-char", "nanoGPT's recipe for a CPU, on bytes; give --text",
      "arch=decoder norm=pre-ln layers=4 heads=4 dim=128 ffn=512 ctx=64 activation=gelu bias=no "
      "positions=learned dropout=0 batch-tokens=768 lr=1e-3 min-lr=1e-4 warmup=100 warmup-init=0 "
      "schedule=cosine steps=2000 beta1=0.9 beta2=0.99 eps=1e-8 weight-decay=0.1 clip=1 "
      "eval-every=250" },
    { "1000-layers", "500 + 500 layers, the depth of the paper's title, on the corpus in data/",
      "arch=encoder-decoder layers=500 dim=64 batch-tokens=256 lr=4e-4 warmup=400 schedule=cosine "
      "steps=4000 beta2=0.98 clip=1 eval-every=500" },
};

#define LENGTH(array) ((int)(sizeof(array)/sizeof(array)[0]))

enum { WORD_MAX = 32 };                       /* bytes of an option's name, with its NUL */

/* ---- messages and memory ----------------------------------------------------------------- */

static const char *program = "train";         /* the name we go by */
static int line_open;                         /* the terminal shows an unfinished line */

static void line_clear(void)
{
    if (line_open) fputs("\r\033[K", stderr);
    line_open = 0;
}

static void say(const char *format, ...)
{
    va_list list;
    if (rank) return;
    line_clear();
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

/* Say one sentence and exit with the code.  The system takes all memory back. */
static void fail(int code, const char *format, ...)
{
    va_list list;
    fflush(stdout);
    ranks_wait();
    line_clear();
    fprintf(stderr, "%s: ", program);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs(code == 2 ? " (try --help)\n" : "\n", stderr);
    _Exit(code);
}

static void check(dn_status status, const char *err)
{
    if (status == DN_EDIVERGED) fail(3, "diverged: %s", err);
    if (status != DN_OK) fail(1, "%s", err);
}

/* Flush now, while errno still says why a write failed. */
static void stdout_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) fail(1, "standard output: %s", strerror(errno));
}

static const char *needed_for = "the options";                /* what memory is asked for */

/* The one place that allocates.  It never returns NULL: without memory the program ends. */
static void *resize(void *old, size_t count, size_t each)
{
    void *new = NULL;
    if (count == 0) count = 1;
    if (count <= SIZE_MAX/each) new = realloc(old, count*each);
    if (!new)
        fail(1, "out of memory: no room for %.1f MiB for %s", (double)count*(double)each/1048576,
             needed_for);
    return new;
}

/* The same array with room for `need` elements, and for as many again where it had to grow. */
static void *grow(void *old, size_t *room, size_t need, size_t each)
{
    if (need <= *room) return old;
    *room = need <= SIZE_MAX/2 - 64 ? 2*need + 64 : need;
    return resize(old, *room, each);
}

/* 1234567 as 1.2M. */
static const char *human(double x, char out[16])
{
    if (x >= 999.95e3) snprintf(out, 16, "%.1fM", x/1e6);
    else if (x >= 1000) snprintf(out, 16, "%.1fk", x/1e3);
    else snprintf(out, 16, "%.0f", x);
    return out;
}

/* Seconds as 1:23 or 1:02:03. */
static const char *clock_text(double s, char out[16])
{
    unsigned t = s > 0 ? (unsigned)(fmin(s, 35999998) + 0.5) : 0;
    if (t < 3600)
        snprintf(out, 16, "%u:%02u", t/60, t%60);
    else
        snprintf(out, 16, "%u:%02u:%02u", t/3600%10000, t/60%60, t%60);
    return out;
}

/* Print a word on stderr with the quotes that a POSIX shell needs. */
static void shell_print(const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789%+,-./:=@_";
    if (*word && word[strspn(word, plain)] == 0) {
        fputs(word, stderr);
        return;
    }
    putc('\'', stderr);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stderr);
        else
            putc(*word, stderr);
    putc('\'', stderr);
}

/* a and b in one new string, which the caller frees. */
static char *joined(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b) + 1;
    char *word = resize(NULL, n + m, 1);
    memcpy(word, a, n);
    memcpy(word + n, b, m);
    return word;
}

/* ---- files ------------------------------------------------------------------------------- */

/* The file that a name leads to through links, or the name itself: a new string. */
static char *link_target(const char *path)
{
    char *at = joined(path, ""), link[4096];
    for (int i = 0; i < 40 && link_read(at, link, sizeof link); i++) {
        char *old = at;
        if (*link != '/') at[base_name(at) - at] = 0;
        at = joined(*link == '/' ? "" : at, link);
        free(old);
    }
    return at;
}

/* A file that will replace another: the name of that, where it leads to, and until then a name
 * beside it which no other process uses.  "-" is stdout, and it and what is no regular file have no
 * other name.  why is the reason of a failure for which errno has none. */
struct part { const char *name; char *path, *part; FILE *f; const char *why; };

static struct part part_open(const char *name)
{
    char end[32];
    int dash = strcmp(name, "-") == 0;
    struct part p = { dash ? "standard output" : name, link_target(name), NULL, NULL,
                      "a write failed" };
    errno = 0;
    if (dash || is_special(p.path)) {
        p.f = dash ? stdout : fopen(p.path, "wb");
        return p;
    }
    stale_remove(p.path);
    int refused = is_others(p.path);
    if (refused) p.why = "only its owner may replace it";
    errno = refused ? 0 : EEXIST;
    for (long n = process_id(), last = n + 100; !p.f && errno == EEXIST && n < last; n++) {
        snprintf(end, sizeof end, ".%ld.tmp", n);
        free(p.part);
        p.part = joined(p.path, end);
        errno = 0;
        p.f = file_create(p.part, p.path);
    }
    if (p.f) errno = 0;
    return p;
}

/* The sentence for an output that failed: a new string. */
static char *unwritten(const char *name, const char *why)
{
    char *begin = joined(name, ": could not be written: "), *all = joined(begin, why);
    free(begin);
    return all;
}

/* End it.  If all went well it takes its place, and until then the other is as it was: whatever
 * happens, one complete file has that name.  If not, it is removed, and returned is a sentence,
 * with p->why where errno has none.  A trial is removed in any case. */
static char *part_close(struct part *p, int good, int trial)
{
    good = good && p->f && !ferror(p->f);
    if (good && p->part && !trial) good = flush_to_disk(p->f);
    if (p->f && p->f != stdout && fclose(p->f) != 0) good = 0;
    if (good && p->part) good = trial ? remove(p->part) == 0 : file_move(p->part, p->path);
    const char *why = errno ? strerror(errno) : p->why;
    if (p->f && p->part && !good) remove(p->part);
    free(p->part);
    free(p->path);
    return good ? NULL : unwritten(p->name, why);
}

/* End it, where a failure is the end of the program. */
static void part_finish(struct part *p, int good, int trial)
{
    char *said = part_close(p, good, trial);
    if (said) fail(1, "%s", said);
}

static int file_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f && errno != ENOENT) fail(1, "%s: %s", path, strerror(errno));
    if (f) fclose(f);
    return f != NULL;
}

struct text { char *at; size_t n; };                /* any bytes, not ended by NUL */

struct lines {
    struct text text;                         /* every line ends in exactly one \n */
    size_t *start, n;                         /* line i: start[i] .. start[i + 1] */
};

#ifndef HELD_MAX
#define HELD_MAX (1 << 24)                    /* bytes of a store in memory */
#endif
enum { PIECE = 1 << 16 };                     /* bytes read or encoded at a time */

/* Bytes that may be too many for memory: a corpus, or its ids.  Up to HELD_MAX of them are in
 * memory; more stay in the file they come from, or go to one without a name where the system has
 * such files.  A part that was split off shares all this with the first part, which frees it. */
struct store {
    const char *name;
    FILE *f;                                  /* NULL: they are in memory */
    char *memory;
    size_t room;
    uint64_t n, from, at;                     /* bytes; where they begin, above 0 only if they were
                                                 split off; the next one to be read */
    int goes_on;                              /* they are not the beginning of a text */
    char *line;                               /* where line_next() leaves one */
    size_t line_room;
};

static void store_failed(const struct store *s)
{
    fail(1, "%s: %s", s->name, errno ? strerror(errno) : "it was cut short while in use");
}

static void store_add(struct store *s, const void *bytes, size_t n)
{
    static char where[300];                   /* the same for all */
    errno = 0;
    if (!s->f && s->n + n > HELD_MAX && (s->f = temporary_open(where, sizeof where)) != NULL) {
        s->name = where;
        if (s->memory && fwrite(s->memory, 1, (size_t)s->n, s->f) != s->n) store_failed(s);
        free(s->memory);
        s->memory = NULL;
    }
    if (!s->f) {
        s->memory = grow(s->memory, &s->room, (size_t)s->n + n, 1);
        memcpy(s->memory + s->n, bytes, n);
    } else if (fwrite(bytes, 1, n, s->f) != n) {
        store_failed(s);
    }
    s->n += n;
}

static void store_read(const struct store *s, uint64_t at, size_t n, void *to)
{
    errno = 0;
    if (n == 0) return;
    if (!s->f)
        memcpy(to, s->memory + s->from + at, n);
    else if (!seek_to(s->f, s->from + at) || fread(to, 1, n, s->f) != n)
        store_failed(s);
}

/* Split off the bytes from s->at on. */
static struct store store_split(struct store *s)
{
    struct store rest = { .name = s->name, .f = s->f, .memory = s->memory, .n = s->n - s->at,
                          .from = s->from + s->at };
    s->n = s->at;
    s->at = 0;
    return rest;
}

static void store_free(struct store *s)
{
    free(s->line);
    if (s->from) return;
    if (s->f) fclose(s->f);
    free(s->memory);
}

/* What no text begins with, and what makes a text of it. */
static const struct { const char *head, *what, *command; } foreign[] = {
    { "\xFF\xFE", "UTF-16", "iconv -f UTF-16 -t UTF-8" },
    { "\xFE\xFF", "UTF-16", "iconv -f UTF-16 -t UTF-8" },
    { "\x1F\x8B", "compressed", "gunzip -c" }, { "BZh", "compressed", "bunzip2 -c" },
    { "\xFD" "7zXZ", "compressed", "xz -dc" }, { "\x28\xB5\x2F\xFD", "compressed", "zstd -dc" },
    { "PK\3\4", "an archive", "unzip -p" },
};

/* Refuse the beginning of a file that cannot be meant as a text. */
static void text_check(const char *name, const char *p, size_t n)
{
    const char *what = NULL, *command = NULL;
    size_t nul[2] = { 0, 0 }, ends = 0, returns = 0;
    for (int i = 0; i < LENGTH(foreign); i++)
        if (n > strlen(foreign[i].head) && memcmp(p, foreign[i].head, strlen(foreign[i].head)) == 0)
            what = foreign[i].what, command = foreign[i].command;
    for (size_t i = 0; i < n && !what; i++) {
        nul[i % 2] += p[i] == 0;
        ends += p[i] == '\n';
        returns += p[i] == '\r';
    }
    if (nul[0] + nul[1] > 3 + n/16 && (nul[0] > 19*nul[1] || nul[1] > 19*nul[0])) {
        what = "UTF-16";
        command = nul[0] > nul[1] ? "iconv -f UTF-16BE -t UTF-8" : "iconv -f UTF-16LE -t UTF-8";
    } else if (returns > 1 && !ends) {
        what = "a text whose lines end in CR alone";
        command = "tr '\\r' '\\n' <";
    }
    if (what && strcmp(name, "-") == 0)
        fail(1, "standard input is %s; make a text of it: %s FILE | ...", what, command);
    if (what) fail(1, "%s is %s; make a text of it: %s %s > NEW", name, what, command, name);
}

/* A file, or stdin for "-". */
static struct store store_open(const char *name)
{
    needed_for = "the texts";
    if (!*name) fail(2, "the name of a file is empty");
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (!f)
        fail(1, "%s: %s%s", name, strerror(errno),
             strncmp(name, "data/", 5) == 0 ? " ('make' writes the default corpus)" : "");
    int64_t size = f == stdin ? 0 : size_of(f);
    if (size < -1) fail(1, "%s: %s", name, strerror(errno));
    char part[4096];
    struct store s = { .name = name };
    if (size > HELD_MAX) {
        s.f = f;
        s.n = (uint64_t)size;
    } else {
        for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0; ) store_add(&s, part, n);
        if (ferror(f)) fail(1, "%s: %s", name, strerror(errno));
        if (f != stdin) fclose(f);
    }
    size_t n = s.n < PIECE ? (size_t)s.n : PIECE;
    char *head = resize(NULL, n, 1);
    store_read(&s, 0, n, head);
    text_check(name, head, n);
    free(head);
    return s;
}

/* Continue reading bytes and lines at `at`. */
static void store_seek(struct store *s, uint64_t at)
{
    errno = 0;
    s->at = at;
    if (s->f && !seek_to(s->f, s->from + at)) store_failed(s);
}

/* The next byte, or EOF. */
static int byte_next(struct store *s)
{
    if (s->at == s->n) return EOF;
    int c = s->f ? getc(s->f) : (unsigned char)s->memory[s->from + s->at];
    if (c == EOF) store_failed(s);
    s->at++;
    return c;
}

/* The bytes of a file, with room for the end of the last line and a NUL. */
static struct text file_read(const char *name)
{
    struct store s = store_open(name);
    if (s.n > SIZE_MAX - 2) fail(1, "%s: longer than the memory of this machine", name);
    struct text t = { resize(NULL, (size_t)s.n + 2, 1), (size_t)s.n };
    store_read(&s, 0, t.n, t.at);
    t.at[t.n] = t.at[t.n + 1] = 0;
    store_free(&s);
    return t;
}

/* The length of the Unicode white space that begins p; 0: there is none. */
static size_t space_at(const char *p, size_t n)
{
    static const char wide[][4] = { "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8",
                                    "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
                                    "\xE3\x80\x80" };
    if ((*p >= 0x09 && *p <= 0x0D) || (*p >= 0x1C && *p <= 0x20)) return 1;
    for (int i = 0; i < LENGTH(wide); i++)
        if (n >= strlen(wide[i]) && memcmp(p, wide[i], strlen(wide[i])) == 0)
            return strlen(wide[i]);
    return n >= 3 && memcmp(p, "\xE2\x80", 2) == 0 && (p[2] & 0xFF) >= 0x80
           && (p[2] & 0xFF) <= 0x8A ? 3 : 0;
}

/* Has a line nothing to read in it: white space, and what has no width? */
static int is_blank(struct text t)
{
    for (size_t i = 0, k; i < t.n; i += k) {
        const char *p = t.at + i;
        k = space_at(p, t.n - i);
        if (!k && t.n - i >= 3 && ((memcmp(p, "\xE2\x80", 2) == 0 && (p[2] & 0xF8) == 0x88)
                                   || memcmp(p, "\xE2\x81\xA0", 3) == 0
                                   || memcmp(p, "\xEF\xBB\xBF", 3) == 0))
            k = 3;
        if (!k) return 0;
    }
    return 1;
}

/* The bytes of a text that cannot be UTF-8; *more are still to come of the character before. */
static size_t not_utf8(struct text t, int *more)
{
    size_t wrong = 0;
    for (size_t i = 0; i < t.n; i++) {
        int c = t.at[i] & 0xFF, goes_on = (c & 0xC0) == 0x80;
        wrong += (*more > 0) != goes_on || c == 0xC0 || c == 0xC1 || c > 0xF4;
        *more = goes_on ? *more - (*more > 0) : c < 0xC2 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    }
    return wrong;
}

/* The next line without its \n or \r\n, the first also without a byte order mark; valid until the
 * next call, with room for one byte behind it.  NULL after the last one, and then the first again.
 * No store_read() may come between two lines: it moves f. */
static struct text line_next(struct store *s)
{
    size_t n = 0, mark = 0;
    int first = s->at == 0, c;
    if (first) store_seek(s, 0);
    do {
        s->line = grow(s->line, &s->line_room, n + 1, 1);
        c = byte_next(s);
        s->line[n++] = (char)c;
    } while (c != EOF && c != '\n');
    n--;
    if (first && !s->goes_on && n >= 3 && memcmp(s->line, "\xEF\xBB\xBF", 3) == 0) mark = 3;
    if (n == mark && c == EOF) {
        s->at = 0;
        return (struct text){ NULL, 0 };
    }
    if (n > mark && s->line[n - 1] == '\r') n--;
    return (struct text){ s->line + mark, n - mark };
}

/* Split t into lines, in place, with room for one byte more: the last may get a \n, and no other is
 * longer than what it was read from. */
static struct lines lines_split(struct text t)
{
    struct store from = { .memory = t.at, .n = t.n };
    struct lines l = { { t.at, 0 }, NULL, 0 };
    size_t room = 0;
    for (struct text line = { NULL, 0 }; ; l.n++) {
        l.start = grow(l.start, &room, l.n + 1, sizeof *l.start);
        l.start[l.n] = l.text.n;
        if ((line = line_next(&from)).at == NULL) break;
        memcpy(l.text.at + l.text.n, line.at, line.n);
        l.text.n += line.n;
        l.text.at[l.text.n++] = '\n';
    }
    free(from.line);
    return l;
}

/* ---- reading options --------------------------------------------------------------------- */

/* Is `name` among these, which have blanks between them? */
static int is_among(const char *names, const char *name)
{
    size_t n = strchr(name, ' ') ? 0 : strlen(name);
    for (const char *at = names; n && (at = strstr(at, name)) != NULL; at += n)
        if ((at == names || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return 1;
    return 0;
}

/* Every name of every option, then NULL. */
static const char *option_word(int i)
{
    int n;
    const dn_field *field = dn_fields(&n);
    if (i < LENGTH(table)) return table[i].name;
    i -= LENGTH(table);
    if (i < n) return field[i].name;
    i -= n;
    return i < LENGTH(aliases) ? aliases[i].word : NULL;
}

/* The fewest insertions, deletions and replacements that turn a into b.  After i bytes of a, row[j]
 * is the distance of these to the first j bytes of b; corner is row[j - 1] of the row before. */
static int edit_distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1], m = (int)strlen(b);
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; *a; a++, i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = corner + (*a != b[j - 1]);
            corner = row[j];
            if (best > row[j] + 1) best = row[j] + 1;
            if (best > row[j - 1] + 1) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

/* Refuse a name that no option has, and say which comes nearest. */
static void name_check(const char *where, const char *name)
{
    const char *nearest = NULL, *word;
    int least = strlen(name) > 5 ? 4 : (int)strlen(name)/2 + 1;
    for (int i = 0; (word = option_word(i)) != NULL; i++) {
        int far = edit_distance(name, word);
        if (far == 0) return;
        if (!word[1] || far >= least) continue;
        least = far;
        nearest = word;
    }
    for (int i = 0; i < LENGTH(hints); i++)
        if (strcmp(hints[i].word, name) == 0)
            fail(2, "%sthere is no option '--%s'; %s", where, name, hints[i].hint);
    if (nearest) fail(2, "%sthere is no option '--%s'; did you mean --%s?", where, name, nearest);
    fail(2, "%sthere is no option '--%s'", where, name);
}

static void value_set(struct options *o, const char *where, const struct option *p,
                      const char *value)
{
    char *at = (char *)o + p->at, *end;
    if (p->kind >= INPUT && value && !*value && p->at != offsetof(struct options, out))
        fail(2, "%s--%s needs a name", where, p->name);
    if (p->kind >= WORD) {
        memcpy(at, &value, sizeof value);
        return;
    }
    double v = strtod(value, &end);
    int whole = p->kind != REAL, i;
    if (end == value || *end || !(v >= p->low && v <= p->high) || (whole && v != floor(v)))
        fail(2, "%s--%s must be a %snumber from %.10g to %.10g, not '%s'", where, p->name,
             whole ? "whole " : "", p->low, p->high, value);
    i = (int)v;
    if (whole)
        memcpy(at, &i, sizeof i);
    else
        memcpy(at, &v, sizeof v);
}

/* The model's option of this name, or NULL. */
static const dn_field *field_find(const char *name)
{
    int n;
    const dn_field *field = dn_fields(&n);
    while (n > 0 && strcmp(field->name, name) != 0) n--, field++;
    return n ? field : NULL;
}

/* Set every option of this name, which is known.  An error message begins with `where`. */
static void option_set(struct options *o, const char *where, const char *name, const char *value)
{
    char err[DN_ERR_MAX];
    for (int i = 0; i < LENGTH(aliases); i++)
        if (strcmp(aliases[i].word, name) == 0)
            option_set(o, where, aliases[i].name, value);
    for (int i = 0; i < LENGTH(table); i++)
        if (strcmp(table[i].name, name) == 0)
            value_set(o, where, &table[i], value);
    if (field_find(name) && dn_config_set(&o->model, name, value, err) != DN_OK)
        fail(2, "%s%s", where, err);
    if (strcmp(name, "steps") == 0) o->epochs = 0;        /* the later of the two wins */
}

static int is_flag(const char *name)
{
    for (int i = 0; i < LENGTH(aliases); i++)
        if (strcmp(aliases[i].word, name) == 0)
            return is_flag(aliases[i].name);
    for (int i = 0; i < LENGTH(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].kind == FLAG;
    return 0;
}

/* Read a name up to '=' or a blank, with '-' for '_'; returns what follows it. */
static const char *name_read(char name[WORD_MAX], const char *from)
{
    size_t n = strcspn(from, "= \t\r"), k;
    for (k = 0; k < n && k < WORD_MAX - 1; k++) name[k] = from[k] == '_' ? '-' : from[k];
    name[k] = 0;
    return from + n;
}

/* Lines `key = value` and # remarks.  Options point into the caller's lines: each value is ended
 * in place by a NUL, which a second reading finds again. */
static void options_file(struct options *o, const char *path, const struct lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        char name[WORD_MAX], where[256];
        char *line = l->text.at + l->start[i], *stop = l->text.at + l->start[i + 1] - 1;
        while (stop > line && strchr(" \t\r", stop[-1])) stop--;      /* or an earlier NUL */
        *stop = 0;
        line += strspn(line, " \t");
        if (!*line || *line == '#') continue;
        const char *value = name_read(name, line);
        value += strspn(value, " \t");
        snprintf(where, sizeof where, "%.200s:%zu: ", path, i + 1);
        if (*value != '=') fail(2, "%sa line must be 'key = value'", where);
        name_check(where, name);
        if (strcmp(name, "config") == 0) fail(2, "%sa file of options cannot name another", where);
        option_set(o, where, name, value + 1 + strspn(value + 1, " \t"));
    }
}

static int is_verb(const struct options *o, const char *verb)
{
    return o->verb && strcmp(o->verb, verb) == 0;
}

/* A word that is no option: the first is the verb; of those after it one is the MODEL, but plot has
 * none, and verify has its log before it, average other models behind it. */
static void word_set(struct options *o, const char *word)
{
    if (!o->verb && strcmp(word, "help") == 0) {
        o->help = 1;
    } else if (!o->verb) {
        o->verb = word;
    } else if (!*word) {
        fail(2, "the name of a file is empty");
    } else if (is_verb(o, "plot") || (is_verb(o, "verify") && !o->words)
               || (is_verb(o, "average") && o->file)) {
        if (o->words == SERIES_MAX)
            fail(2, "'%s' is one file too many; %s takes up to %d", word, o->verb, SERIES_MAX);
        o->word[o->words++] = word;
    } else {
        if (o->file)
            fail(2, "'%s' is one word too many%s", word,
                 is_among("translate tokens", o->verb) ? "; it reads standard input" : "");
        o->file = o->model_word = word;
    }
}

/* The option that begins these words, and its value, NULL if that is missing; returns the number of
 * words that it takes.  What is no option, such as "--", has no name. */
static int option_read(char **word, char name[WORD_MAX], const char **value)
{
    *name = 0;
    if (word[0][0] != '-' || !word[0][1] || strcmp(word[0], "--") == 0) return 1;
    *value = name_read(name, word[0] + (word[0][1] == '-' ? 2 : 1));
    if (**value && **value != '=') *name = 0;                 /* a blank is in no name */
    if (!*name) return 1;
    if (**value == '=') {
        ++*value;
        return 1;
    }
    *value = is_flag(name) ? "1" : word[1];
    return is_flag(name) || !word[1] ? 1 : 2;
}

static void options_line(struct options *o, char **argv)
{
    char name[WORD_MAX];
    const char *value;
    int i = 1;
    for (int n; argv[i] && strcmp(argv[i], "--") != 0; i += n) {
        n = option_read(argv + i, name, &value);
        if (!*name) {
            word_set(o, argv[i]);
            continue;
        }
        name_check("", name);
        if (!value) fail(2, "%s needs a value", argv[i]);
        option_set(o, "", name, value);
    }
    while (argv[i] && argv[++i]) word_set(o, argv[i]);        /* behind "--" */
    if (o->file && strcmp(o->file, "-") == 0) fail(2, "a MODEL cannot be -, standard input");
    if (o->model_word && o->file != o->model_word)
        fail(2, "'%s' and --resume '%s' are two models; give one", o->model_word, o->file);
}

static void preset_set(struct options *o, const char *name)
{
    char key[WORD_MAX], value[WORD_MAX], all[256] = "";
    for (int i = 0; i < LENGTH(presets); i++) {
        size_t end = strlen(all);
        snprintf(all + end, sizeof all - end, "%s%s", i ? ", " : "", presets[i].name);
        if (strcmp(presets[i].name, name) != 0) continue;
        for (const char *at = presets[i].values; *at; at += strspn(at, " ")) {
            at = name_read(key, at);
            size_t n = strcspn(++at, " ");
            snprintf(value, sizeof value, "%.*s", (int)n, at);
            option_set(o, "", key, value);
            at += n;
        }
        return;
    }
    fail(2, "--preset cannot be '%s'; it is one of %s", name, all);
}

/* The defaults of an architecture; NULL: of the first preset's. */
static void options_default(struct options *o, const char *arch)
{
    memset(o, 0, sizeof *o);
    dn_config_default(&o->model);
    for (int i = 0; i < LENGTH(table); i++) value_set(o, "", &table[i], table[i].fallback);
    preset_set(o, arch ? arch : presets[0].name);
}

static const char *arch_of(const dn_config *c) { return dn_choice(field_find("arch"), c->arch); }

static void config_print(const dn_config *c)
{
    char value[DN_NAME_MAX];
    int n;
    const dn_field *field = dn_fields(&n);
    for (int i = 0; i < n; i++) {
        dn_config_get(c, &field[i], value);
        printf("%s = %s\n", field[i].name, value);
    }
}

/* Would --config read this word back unchanged? */
static int is_plain(const char *word)
{
    return !*word || (!strchr(word, '\n') && !strchr(" \t\r", *word)
                      && !strchr(" \t\r", word[strlen(word) - 1]));
}

/* The value of an option: a number in `text`, or the word, which may be NULL. */
static const char *value_of(const struct options *o, const struct option *p,
                            char text[DN_NAME_MAX])
{
    const void *at = (const char *)o + p->at;
    if (p->kind >= WORD) return *(const char *const *)at;
    if (p->kind == REAL) snprintf(text, DN_NAME_MAX, "%.15g", *(const double *)at);
    else snprintf(text, DN_NAME_MAX, "%d", *(const int *)at);
    return text;
}

/* The options in effect, as lines that --config reads. */
static void options_print(const struct options *o)
{
    char text[DN_NAME_MAX];
    config_print(&o->model);
    for (const struct option *p = table; p < table + LENGTH(table); p++) {
        const char *word = value_of(o, p, text);
        if (!word || is_among("config print-config", p->name)) continue;
        if (is_plain(word)) printf("%s = %s\n", p->name, word);
        else if (word != p->fallback)
            printf("# %s: can only be given on the command line\n", p->name);
    }
}

/* ---- corpora ----------------------------------------------------------------------------- */

struct sequences {
    struct store ids;                         /* `width` bytes each, the lowest first */
    unsigned width;
    uint64_t *start;                          /* sequence i: start[i] .. start[i + 1] */
    size_t n;
};

/* Sentence pairs, or one running text.  Side 0 holds the sources, each ended by DN_EOS, and is
 * empty for a text.  Side 1 holds what is predicted: DN_BOS target DN_EOS, or DN_BOS text.  Of n
 * such ids the first n - 1 are the input and the last n - 1 the labels. */
struct corpus {
    const char *name;
    struct store in[2];
    size_t lines;                             /* of each side; 0: a running text */
    struct sequences seq[2];
    size_t cut, first_cut;                    /* pairs that were too long: dropped or cut; a line */
    size_t empty, strange;                    /* pairs with an empty side; bytes not in UTF-8 */
};

/* Both functions convert in place: the bytes of an id are fewer than those of an int. */
static void ids_add(struct sequences *q, int *ids, size_t n)
{
    unsigned char *p = (unsigned char *)ids;
    for (size_t i = 0; i < n; i++) {
        unsigned id = (unsigned)ids[i];
        for (unsigned b = 0; b < q->width; b++, id >>= 8) *p++ = id & 0xFF;
    }
    store_add(&q->ids, ids, n*q->width);
}

static void ids_read(const struct sequences *q, uint64_t at, size_t n, int *ids)
{
    unsigned char *p = (unsigned char *)(ids + n) - n*q->width;
    store_read(&q->ids, at*q->width, n*q->width, p);
    for (size_t i = 0; i < n; i++, p += q->width)
        ids[i] = p[0] | p[1] << 8 | (q->width > 2 ? p[2] << 16 : 0);
}

static size_t length_of(const struct sequences *q, size_t i)
{
    return (size_t)(q->start[i + 1] - q->start[i]);
}

static size_t lines_count(struct store *in)
{
    size_t n = 0;
    while (line_next(in).at) n++;
    return n;
}

/* Open two files of lines, or one running text if there is no source. */
static struct corpus corpus_open(const char *source, const char *target)
{
    struct corpus c = { .name = target };
    if (source) c.in[0] = store_open(source);
    c.in[1] = store_open(target);
    if (!source) {
        if (c.in[1].n == 0) fail(1, "%s: the file is empty", target);
        return c;
    }
    c.lines = lines_count(&c.in[0]);
    size_t n = lines_count(&c.in[1]);
    if (c.lines != n)
        fail(1, "%s has %zu lines and %s has %zu; line i must translate line i",
             source, c.lines, target, n);
    if (n == 0) fail(1, "%s: the file has no lines", source);
    return c;
}

/* At most `most` bytes of a side: all of it, or 64 evenly spaced parts. */
static struct text corpus_sample(const struct corpus *c, int side, size_t most)
{
    const struct store *in = &c->in[side];
    size_t parts = in->n > most ? 64 : 1, each = in->n > most ? most/parts : (size_t)in->n;
    struct text t = { resize(NULL, parts*each + 1, 1), parts*each };
    for (size_t i = 0; i < parts; i++)
        store_read(in, in->n/parts*i, each, t.at + i*each);
    if (!c->lines) return t;
    struct lines l = lines_split(t);
    free(l.start);
    return l.text;
}

/* A running text has no DN_EOS.  It is encoded in pieces, which meet where the tokenizer cuts it
 * anyway, so the ids are those of the whole. */
static void text_encode(const struct store *in, const dn_tokenizer *t, struct sequences *q,
                        size_t *strange)
{
    int more = 0;
    char *piece = resize(NULL, PIECE, 1);
    int *ids = resize(NULL, PIECE, sizeof(int));              /* at most one id a byte */
    ids[0] = DN_BOS;
    ids_add(q, ids, 1);
    for (uint64_t at = 0, left; (left = in->n - at) > 0; ) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        store_read(in, at, n, piece);
        if (n < left) n = dn_tok_cut(piece, n);
        *strange += not_utf8((struct text){ piece, n }, &more);
        ids_add(q, ids, dn_tok_encode(t, piece, n, ids, n));
        at += n;
    }
    *strange += more > 0;
    q->start[1] = q->ids.n/q->width;
    q->n = 1;
    free(piece);
    free(ids);
}

/* No stream of a pair may exceed `most` tokens: longer pairs are dropped, or cut.  A target may
 * have one id more, since it makes inputs and labels.  A source that is cut ends in DN_EOS like all
 * others; a target that is cut does not, or the model would learn to stop in the middle.  A line
 * of white space is an empty one, and a pair with such a side teaches nothing. */
static void pairs_encode(struct corpus *c, const dn_tokenizer *t, size_t most, int drop)
{
    int *ids = resize(NULL, most + 1, 2*sizeof(int));
    for (size_t i = 0; i < c->lines; i++) {
        size_t n[2], over = 0, empty = 0;
        for (size_t side = 0; side < 2; side++) {
            int *id = ids + side*most, more = 0;
            size_t room = most + side;
            struct text line = line_next(&c->in[side]);
            c->strange += not_utf8(line, &more) + (more > 0);
            if (is_blank(line)) line.n = 0;
            empty |= line.n == 0;
            id[0] = DN_BOS;                   /* of a target */
            size_t need = side + dn_tok_encode(t, line.at, line.n, id + side, most) + 1;
            n[side] = need < room ? need : room;
            over |= need > room;
            if (need <= room || side == 0) id[n[side] - 1] = DN_EOS;
        }
        if (!drop) empty = 0;
        over &= !empty;
        c->empty += empty;
        c->cut += over;
        if (over && !c->first_cut) c->first_cut = i + 1;
        for (size_t side = 0; side < 2 && !((over && drop) || empty); side++) {
            struct sequences *q = &c->seq[side];
            ids_add(q, ids + side*most, n[side]);
            q->start[++q->n] = q->ids.n/q->width;
        }
    }
    free(ids);
}

static void corpus_encode(struct corpus *c, const dn_tokenizer *t, size_t most, int drop)
{
    if (!c->name) return;
    needed_for = "the texts";
    for (int side = 0; side < 2; side++) {
        struct sequences *q = &c->seq[side];
        q->width = t->vocab <= 1 << 16 ? 2 : 3;
        q->start = resize(NULL, c->lines + 2, sizeof *q->start);
        q->start[0] = 0;
    }
    if (c->lines)
        pairs_encode(c, t, most, drop);
    else
        text_encode(&c->in[1], t, &c->seq[1], &c->strange);
}

/* Split off the last tenth of a text for validation, from the start of a line if it has one, else
 * of a character. */
static struct corpus text_hold_out(struct corpus *c)
{
    struct corpus held = {0};
    struct store *all = &c->in[1];
    uint64_t tenth = all->n - all->n/10;
    store_seek(all, tenth - 1);               /* a line may begin exactly at the tenth */
    for (int b = 0; b != '\n' && b != EOF; ) b = byte_next(all);
    if (all->at == all->n) {
        int rest = 0;                         /* of a character: 3 bytes at most */
        for (store_seek(all, tenth); rest < 4 && (byte_next(all) & 0xC0) == 0x80; ) rest++;
        all->at = tenth + (uint64_t)(rest < 4 ? rest : 0);
    }
    if (all->at == all->n) return held;
    held.in[1] = store_split(all);
    held.name = "the last tenth, held out";
    return held;
}

#define STREAM_HELD UINT64_C(0x68656c6400000000)

/* Take a tenth of the pairs out for validation, at most 1000: those that come first in a random
 * order, the same for every run, since the end of a sorted corpus is unlike the rest. */
static struct corpus pairs_hold_out(struct corpus *c)
{
    size_t n = c->lines;
    struct corpus held = { .lines = n < 10000 ? n/10 : 1000 };
    if (!held.lines) return held;
    c->lines -= held.lines;
    for (int side = 0; side < 2; side++) {
        struct store *all = &c->in[side], rest = {0};
        rest.name = held.in[side].name = all->name;
        for (size_t i = 0; i < n; i++) {
            struct text line = line_next(all);
            int out = dn_shuffle(0, STREAM_HELD, (uint32_t)i, (uint32_t)n) < held.lines;
            line.at[line.n] = '\n';           /* where its end was */
            store_add(out ? &held.in[side] : &rest, line.at, line.n + 1);
        }
        store_free(all);
        *all = rest;
    }
    held.name = "the data, held out at random";
    return held;
}

static void corpus_free(struct corpus *c)
{
    for (int side = 0; side < 2; side++) {
        store_free(&c->in[side]);
        store_free(&c->seq[side].ids);
        free(c->seq[side].start);
    }
}

/* ---- session: all that main owns --------------------------------------------------------- */

struct batch {
    int rows, enc_n, dec_n;                   /* rows, and tokens in each stream so far */
    int labelled;                             /* batch_score(): the text has had a label so far */
    int *enc, *enc_len, *dec, *dec_len, *label;   /* one block from enc on; NULL: only count */
};

/* What translate() reads and writes, o.rows sentences at a time. */
struct translator {
    int *in_len, *out_len, *in_ids, *out_ids; /* one block from in_len on; at most ctx ids each */
    struct text line;                         /* one translation, decoded */
    size_t line_room;
    int shares;                               /* generators that shared them out */
    size_t before, cut, first_cut;            /* lines before these; translations without an end,
                                                 and the line of the first */
};

enum { WRITERS = 64, REFS_MAX = 16 };         /* references beside --target */
enum { OUT, PLOT, LOG, OUT_BEST, KEPT, OUTPUTS = KEPT + SERIES_MAX };    /* of a run */

/* The best validation: its loss, its step, 0 for none yet, how many there were since, and the hash
 * of the data. */
struct best { double loss; long long step; int stalled; unsigned long long on; };

struct session {
    struct options o;
    char **argv;                              /* the command line */
    struct lines config;                      /* the words of --config */
    const char *read;                         /* the file that of_file is from */
    dn_config of_file;
    dn_model *m;
    void *block;                              /* its memory */
    struct writer {
        dn_generator *g;
        void *block;
        int rows;                             /* it has room for */
    } writer[WRITERS];                        /* as many as translate at the same time */
    dn_tokenizer tok;
    void *tok_memory;
    char *tok_note;                           /* the tokenizer as checkpoints store it */
    struct corpus train, valid, test;
    char *names;                              /* of --references, and these */
    struct store reference[REFS_MAX];
    int more;                                 /* how many */
    char data_note[96];                       /* the run's data, for the checkpoint, */
    uint64_t valid_hash;                      /* and what it is validated on */
    struct batch *batch;                      /* o.accum of them */
    uint64_t place;                           /* the next training pair, counted over epochs */
    struct best best;
    char *beside[OUTPUTS];                    /* from OUT_BEST on, what the run writes of these:
                                                 OUT.best, OUT.1 and so on */
    const char *saved;                        /* the last checkpoint of the run, NULL: none; */
    int halved;                               /* how often the run went back to it, with half */
    double asked;                             /* the learning rate; the one first asked for */
    char *lost[OUTPUTS];                      /* what could not be written, the last time: why */
    char mark[OUTPUTS][17];                   /* checksums of what may be replaced, mark_read() */
    int last;                                 /* no step follows */
    int told;                                 /* the signal that one of the ranks has caught */
    struct translator translator;
};

/* The layers of the encoder (stack 0) or the decoder (1); 0: there is none. */
static int layers_of(const dn_config *c, int stack)
{
    return c->arch == (stack ? DN_ENCODER : DN_DECODER) ? 0 : stack ? c->dec_layers : c->enc_layers;
}

static int is_text(const struct session *s) { return s->o.model.arch != DN_ENC_DEC; }

static void session_free(struct session *s)
{
    corpus_free(&s->train);
    corpus_free(&s->valid);
    corpus_free(&s->test);
    for (int i = 0; i < s->more; i++) store_free(&s->reference[i]);
    free(s->names);
    for (int i = 0; s->batch && i < s->o.accum; i++) free(s->batch[i].enc);
    free(s->batch);
    free(s->config.text.at);
    free(s->config.start);
    free(s->block);
    for (int i = 0; i < WRITERS; i++) free(s->writer[i].block);
    free(s->tok_memory);
    free(s->tok_note);
    for (int i = 0; i < OUTPUTS; i++) free(s->lost[i]), free(s->beside[i]);
    free(s->translator.in_len);
    free(s->translator.line.at);
}

/* ---- batches ----------------------------------------------------------------------------- */

/* Nothing is drawn from a generator with a state: each random choice is a function of the seed, a
 * stream and a number.  So batch i can be made without the batches before it; only the pairs must
 * be counted, since a batch takes as many as it has room for. */

/* Streams of random numbers, none of which the library uses itself. */
#define STREAM_PAIRS  UINT64_C(0x7061697273000000)
#define STREAM_TEXT   UINT64_C(0x7465787400000000)
#define STREAM_SAMPLE UINT64_C(0x73616d7000000000)
#define SEED_EVAL     UINT64_C(0x6576616c)    /* every validation has the same masks */

/* A stream has at most batch_tokens tokens, and so at most as many rows. */
static void batches_make(struct session *s)
{
    size_t room = (size_t)s->o.model.batch_tokens;
    needed_for = "the batches; smaller --batch-tokens or --accum need less";
    s->batch = resize(NULL, (size_t)s->o.accum, sizeof *s->batch);
    memset(s->batch, 0, (size_t)s->o.accum*sizeof *s->batch);
    for (int i = 0; i < s->o.accum; i++) {
        struct batch *b = &s->batch[i];
        b->enc = resize(NULL, room, 5*sizeof(int));
        b->enc_len = b->enc + room;
        b->dec = b->enc_len + room;
        b->dec_len = b->dec + room;
        b->label = b->dec_len + room;
    }
}

/* The batch as the library takes it.  A text fills only dec, which then serves as enc, too. */
static dn_batch batch_view(const struct batch *b)
{
    return (dn_batch){ b->rows, b->enc_n ? b->enc : b->dec, b->enc_n ? b->enc_len : b->dec_len,
                       b->dec, b->dec_len, b->label };
}

static void batch_clear(struct batch *b) { b->rows = b->enc_n = b->dec_n = 0; }

/* Add pair i if it fits into both streams; a batch without memory only counts its tokens. */
static int batch_pair(const struct session *s, struct batch *b, const struct corpus *c, size_t i)
{
    const struct sequences *src = &c->seq[0], *tgt = &c->seq[1];
    int m = (int)length_of(src, i), n = (int)length_of(tgt, i) - 1;
    if (b->enc_n + m > s->o.model.batch_tokens || b->dec_n + n > s->o.model.batch_tokens)
        return 0;
    if (b->enc) {
        ids_read(src, src->start[i], (size_t)m, b->enc + b->enc_n);
        ids_read(tgt, tgt->start[i], (size_t)n, b->dec + b->dec_n);
        ids_read(tgt, tgt->start[i] + 1, (size_t)n, b->label + b->dec_n);
        b->enc_len[b->rows] = m;
        b->dec_len[b->rows++] = n;
    }
    b->enc_n += m;
    b->dec_n += n;
    return 1;
}

/* Add a row: n tokens of a text from `at` on.  Each predicts the next one; in an encoder the masked
 * ones are predicted, by masks that depend on the seed and the index only. */
static void batch_row(const struct session *s, struct batch *b, const struct corpus *c,
                      uint64_t at, int n, uint64_t seed, uint64_t index)
{
    int *dec = b->dec + b->dec_n, *label = b->label + b->dec_n;
    ids_read(&c->seq[1], at + 1, (size_t)n, b->enc);          /* a text leaves enc free */
    if (s->o.model.arch == DN_ENCODER) {
        dn_mask_tokens(dec, label, b->enc, n, s->o.model.vocab, seed, index);
    } else {
        ids_read(&c->seq[1], at, (size_t)n, dec);
        memcpy(label, b->enc, (size_t)n*sizeof(int));
    }
    b->dec_len[b->rows++] = n;
    b->dec_n += n;
}

/* The tokens of a text that can be predicted: all but DN_BOS. */
static uint64_t text_tokens(const struct corpus *c) { return c->seq[1].start[1] - 1; }

static int row_tokens(const struct session *s, const struct corpus *c)
{
    uint64_t n = text_tokens(c);
    return n < (uint64_t)s->o.model.ctx ? (int)n : s->o.model.ctx;
}

/* Random masks can miss a short batch altogether, but a step needs a label, and so does a score:
 * then mask the first token. */
static void batch_need_label(struct batch *b)
{
    for (int i = 0; i < b->dec_n; i++)
        if (b->label[i] != DN_IGNORE)
            return;
    b->label[0] = b->dec[0];
    b->dec[0] = DN_MASK;
}

/* Training batch number `index` of the run.  Pairs come in an order that is new in each epoch: the
 * pair at s->place is one value of a permutation, and no table of it exists.  Rows of a text begin
 * anywhere; their masks are drawn by the number of the token in the whole run, so no two rows share
 * them. */
static void batch_next(struct session *s, struct batch *b, uint64_t index)
{
    const struct corpus *c = &s->train;
    uint64_t seed = (uint64_t)s->o.model.seed, n = c->seq[0].n;
    batch_clear(b);
    if (!is_text(s)) {
        while (batch_pair(s, b, c, dn_shuffle(seed, STREAM_PAIRS + s->place/n,
                                              (uint32_t)(s->place % n), (uint32_t)n)))
            s->place++;
        return;
    }
    int len = row_tokens(s, c), rows = s->o.model.batch_tokens/len;
    for (int row = 0; row < rows; row++) {
        uint64_t high = dn_random(seed, STREAM_TEXT + index, 2*(uint32_t)row);
        uint64_t low = dn_random(seed, STREAM_TEXT + index, 2*(uint32_t)row + 1);
        uint64_t at = (high << 32 | low) % (text_tokens(c) - (uint64_t)len + 1);
        batch_row(s, b, c, at, len, seed,
                  (index*(uint64_t)rows + (uint64_t)row)*(uint64_t)len);
    }
    batch_need_label(b);
}

/* How many tokens a window moves when a text is scored. */
static size_t stride(const struct session *s, const struct corpus *c)
{
    size_t len = (size_t)row_tokens(s, c), step = (size_t)s->o.stride;
    if (s->o.model.arch == DN_ENCODER || step > len) return len;
    return step ? step : (len + 1)/2;
}

/* The next batch of a corpus that is to be scored; 0: all of it has been.  *done counts pairs, or
 * tokens.  A text is scored in windows of len tokens, each a stride after the one before, and in
 * each only the tokens that no window has scored yet: so they have at least len - stride + 1 tokens
 * of context, except at the start. */
static int batch_score(const struct session *s, struct batch *b, const struct corpus *c,
                       uint64_t *done)
{
    batch_clear(b);
    if (!is_text(s)) {
        while (*done < c->seq[0].n && batch_pair(s, b, c, (size_t)*done)) ++*done;
        return b->rows;
    }
    uint64_t n = text_tokens(c), len = (uint64_t)row_tokens(s, c);
    if (!*done) b->labelled = 0;
    while (*done < n && (uint64_t)b->dec_n + len <= (uint64_t)s->o.model.batch_tokens) {
        uint64_t end = *done ? *done + stride(s, c) : len, from;
        if (end > n) end = n;
        from = end - len;
        batch_row(s, b, c, from, (int)len, SEED_EVAL, from);
        for (int *label = b->label + b->dec_n - len; from < *done; from++)
            *label++ = DN_IGNORE;             /* scored by an earlier window: here only context */
        *done = end;
    }
    for (int i = 0; i < b->dec_n; i++) b->labelled |= b->label[i] != DN_IGNORE;
    if (b->dec_n && *done == n && !b->labelled) batch_need_label(b);
    return b->rows;
}

/* ---- BLEU and chrF as sacreBLEU computes them: exponential smoothing, chrF2 --------------- */

struct bleu {
    const struct options *o;                  /* --tokenize, --decimals, --json */
    int more;                                 /* references of a sentence beside the first */
    double match[4], total[4];                /* n-grams of n = 1 .. 4 words, */
    double hyp, ref;                          /* words, */
    double chrf[6][3];                        /* and of n = 1 .. 6 characters: in the hypothesis, in
                                                 the reference, in both */
};

struct words {
    char *memory;
    struct text *word;
    size_t n;
};

/* Replace each `what` by the shorter `by`, in place; returns the new length. */
static size_t replace_all(char *s, size_t n, const char *what, const char *by)
{
    size_t m = strlen(what), to = 0;
    for (size_t i = 0; i < n; )
        if (n - i >= m && memcmp(s + i, what, m) == 0) {
            for (const char *p = by; *p; p++) s[to++] = *p;
            i += m;
        } else {
            s[to++] = s[i++];
        }
    return to;
}

/* One of the four passes of 13a, each from left to right, which set blanks (0) around marks, (1)
 * around a . or , that follows no digit, (2) around one that no digit follows, (3) around a - after
 * a digit.  A match is left behind whole, so its last byte begins no other.  The last byte of `in`
 * is a blank. */
static size_t pass_13a(int pass, const char *in, size_t n, char *out)
{
    static const char marks[] = "{|}~[\\]^_` !\"#$%&()*+:;<=>?@/";
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        char a = in[i], b = i + 1 < n ? in[i + 1] : ' ';
        int digit_a = a >= '0' && a <= '9', digit_b = b >= '0' && b <= '9';
        char four[4] = { a, ' ', b, ' ' };
        if (pass == 0 && a && strchr(marks, a)) {
            memcpy(out + to, (char[3]){ ' ', a, ' ' }, 3);
            to += 3;
        } else if ((pass == 1 && !digit_a && (b == '.' || b == ','))
                   || (pass == 3 && digit_a && b == '-')) {
            memcpy(out + to, four, 4);
            to += 4;
            i++;
        } else if (pass == 2 && (a == '.' || a == ',') && !digit_b && i + 1 < n) {
            out[to++] = ' ';
            memcpy(out + to, four, 3);
            to += 3;
            i++;
        } else {
            out[to++] = a;
        }
    }
    return to;
}

/* What white space parts, or each character that is none. */
static struct words words_split(struct text t, int characters)
{
    struct words w = { NULL, resize(NULL, t.n + 1, sizeof *w.word), 0 };
    for (size_t i = 0, k; i < t.n; i += k) {
        char *p = t.at + i;
        if ((k = space_at(p, t.n - i)) != 0) continue;
        for (k = 1; i + k < t.n && (characters ? (p[k] & 0xC0) == 0x80
                                               : !space_at(p + k, t.n - i - k)); ) k++;
        w.word[w.n++] = (struct text){ p, k };
    }
    return w;
}

/* The words of a line.  White space at its end changes nothing in any pass. */
static struct words words_13a(struct text line)
{
    size_t n = line.n + 2, room = 24*n;       /* the passes lengthen it 3, 2, 2 and 2 times */
    char *a = resize(NULL, room, 2), *b = a + room, *memory = a;
    a[0] = ' ';
    if (line.n) memcpy(a + 1, line.at, line.n);
    n = 1 + replace_all(a + 1, line.n, "<skipped>", "");
    n = replace_all(a, n, "&quot;", "\"");
    n = replace_all(a, n, "&amp;", "&");
    n = replace_all(a, n, "&lt;", "<");
    n = replace_all(a, n, "&gt;", ">");
    a[n++] = ' ';
    n = pass_13a(0, a, n, b);
    n = pass_13a(1, b, n, a);
    n = pass_13a(2, a, n, b);
    n = pass_13a(3, b, n, a);
    struct words w = words_split((struct text){ a, n }, 0);
    w.memory = memory;
    return w;
}

static struct words words_of(struct text line, const char *how)
{
    return strcmp(how, "13a") == 0 ? words_13a(line) : words_split(line, strcmp(how, "char") == 0);
}

static int same_words(const struct text *a, const struct text *b, size_t n)
{
    for (; n > 0; n--, a++, b++)
        if (a->n != b->n || (a->n && memcmp(a->at, b->at, a->n) != 0))
            return 0;
    return 1;
}

/* A slot of a hash table: n words of a reference, NULL where it is free; how often the one that has
 * most of them still has them; of the last reference looked at its count and its number. */
struct gram { const struct text *words; size_t left, here; int of; };

static struct gram *gram_find(struct gram *slot, size_t mask, const struct text *words, size_t n)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < n; i++, hash++)
        for (size_t k = 0; k < words[i].n; k++)
            hash = (hash ^ (hash >> 29) ^ (words[i].at[k] & 0xFF))*UINT64_C(0x9E3779B97F4A7C15);
    hash ^= hash >> 32;
    for (; slot[hash & mask].words && !same_words(slot[hash & mask].words, words, n); hash++) {}
    return &slot[hash & mask];
}

/* The n-grams of h that the references have, too: each as often as the one with most of it. */
static double grams_common(const struct words *h, const struct words *r, int refs, size_t n)
{
    size_t mask = 1, all = 0, common = 0;
    for (int k = 0; k < refs; k++) all += r[k].n;
    while (mask < 2*all) mask = 2*mask + 1;
    struct gram *slot = resize(NULL, mask + 1, sizeof *slot), *found;
    memset(slot, 0, (mask + 1)*sizeof *slot);
    for (int k = 0; k < refs; k++)
        for (size_t i = 0; i + n <= r[k].n; i++) {
            found = gram_find(slot, mask, r[k].word + i, n);
            found->words = r[k].word + i;
            if (found->of != k) found->here = 0, found->of = k;
            if (++found->here > found->left) found->left = found->here;
        }
    for (size_t i = 0; i + n <= h->n; i++) {
        found = gram_find(slot, mask, h->word + i, n);
        if (found->left) found->left--, common++;
    }
    free(slot);
    return (double)common;
}

static double grams_of(const struct words *w, size_t n)
{
    return w->n < n ? 0 : (double)(w->n - n + 1);
}

static void words_free(struct words *w)
{
    free(w->memory);
    free(w->word);
}

/* In per cent: of mean precision and recall, over the n that both sides have, F with recall twice
 * as important. */
static double chrf_score(double count[6][3])
{
    double precision = 0, recall = 0;
    int orders = 0;
    for (int n = 0; n < 6; n++)
        if (count[n][0] > 0 && count[n][1] > 0) {
            precision += count[n][2]/count[n][0];
            recall += count[n][2]/count[n][1];
            orders++;
        }
    if (!(precision + recall > 0)) return 0;
    precision /= orders;
    recall /= orders;
    return 100*(5*precision*recall/(4*precision + recall));
}

/* Count one sentence, against the reference that is best for it. */
static void chrf_add(struct bleu *sum, struct text hypothesis, const struct text *reference)
{
    struct words h = words_split(hypothesis, 1);
    double count[6][3], best[6][3] = {{0}}, score = -1;
    for (int k = 0; k <= sum->more; k++) {
        struct words r = words_split(reference[k], 1);
        for (size_t n = 1; n <= 6; n++) {
            count[n - 1][1] = grams_of(&r, n);
            count[n - 1][0] = r.n < n ? 0 : grams_of(&h, n);
            count[n - 1][2] = grams_common(&h, &r, 1, n);
        }
        words_free(&r);
        double f = chrf_score(count);
        if (f <= score) continue;
        score = f;
        memcpy(best, count, sizeof best);
    }
    for (int i = 0; i < 18; i++) sum->chrf[i/3][i%3] += best[i/3][i%3];
    words_free(&h);
}

/* Count one sentence: the length of the reference is that of the nearest, of two the shorter. */
static void bleu_add(struct bleu *sum, struct text hypothesis, const struct text *reference)
{
    struct words h = words_of(hypothesis, sum->o->tokenize), r[REFS_MAX + 1];
    double length = 0;
    for (int k = 0; k <= sum->more; k++) {
        r[k] = words_of(reference[k], sum->o->tokenize);
        double there = (double)r[k].n, far = fabs(there - (double)h.n) - fabs(length - (double)h.n);
        if (k == 0 || far < 0 || (far <= 0 && there < length)) length = there;
    }
    sum->hyp += (double)h.n;
    sum->ref += length;
    for (size_t n = 1; n <= 4; n++) {
        sum->total[n - 1] += grams_of(&h, n);
        sum->match[n - 1] += grams_common(&h, r, sum->more + 1, n);
    }
    for (int k = 0; k <= sum->more; k++) words_free(&r[k]);
    words_free(&h);
    chrf_add(sum, hypothesis, reference);
}

/* The score in per cent, with the four precisions and the brevity penalty. */
static double bleu_score(const struct bleu *sum, double p[4], double *penalty)
{
    double logs = 0, smooth = 1;
    *penalty = sum->hyp >= sum->ref ? 1 : sum->hyp > 0 ? exp(1 - sum->ref/sum->hyp) : 0;
    p[0] = p[1] = p[2] = p[3] = 0;
    if (sum->match[0] <= 0) return 0;
    for (int n = 0; n < 4; n++) {
        if (sum->total[n] <= 0) return 0;
        if (sum->match[n] > 0) {
            p[n] = 100*sum->match[n]/sum->total[n];
        } else {
            smooth *= 2;
            p[n] = 100/(smooth*sum->total[n]);
        }
        logs += log(p[n]);
    }
    return *penalty*exp(logs/4);
}

/* A score with its signature, of which JSON has each part once more. */
static void score_print(const struct bleu *sum, const char *name, const char *of, double score,
                        const char *verbose)
{
    if (!sum->o->json) {
        printf("%s|%s = %.*f%s%s\n", name, of, sum->o->decimals, score, *verbose ? " " : "",
               verbose);
        return;
    }
    printf("{\n \"name\": \"%s\",\n \"score\": %.*f,\n \"signature\": \"%s\",\n", name,
           sum->o->decimals, score, of);
    if (*verbose) printf(" \"verbose_score\": \"%s\",\n", verbose);
    for (size_t n; *of; of += n + (of[n] == '|')) {
        size_t key = strcspn(of, ":");
        n = strcspn(of, "|");
        printf(" \"%.*s\": \"%.*s\"%s\n", (int)key, of, (int)(n - key - 1), of + key + 1,
               of[n] ? "," : "");
    }
    putchar('}');
}

static void bleu_print(const struct bleu *sum)
{
    char of[128], verbose[160];
    double p[4], penalty, score = bleu_score(sum, p, &penalty);
    if (sum->o->json) puts("[");
    snprintf(of, sizeof of, "nrefs:%d|case:mixed|eff:no|tok:%s|smooth:exp|version:deepnet-%s",
             sum->more + 1, sum->o->tokenize, DN_VERSION);
    snprintf(verbose, sizeof verbose,
             "%.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %.0f ref_len = %.0f)", p[0],
             p[1], p[2], p[3], penalty, sum->ref > 0 ? sum->hyp/sum->ref : 0, sum->hyp, sum->ref);
    score_print(sum, "BLEU", of, score, verbose);
    if (sum->o->json) puts(",");
    snprintf(of, sizeof of, "nrefs:%d|case:mixed|eff:yes|nc:6|nw:0|space:no|version:deepnet-%s",
             sum->more + 1, DN_VERSION);
    score_print(sum, "chrF2", of, chrf_score((double (*)[3])sum->chrf), "");
    if (sum->o->json) puts("\n]");
}

/* ---- tensors of other programs ----------------------------------------------------------- */

/* What a matrix may be; a packed one holds several, along its longer side. */
static const struct matrix_kind { const char *name; int parts; enum dn_matrix part[3]; }
matrix_kinds[] = {
    { "=q", 1, { DN_Q } },   { "=k", 1, { DN_K } },   { "=v", 1, { DN_V } },
    { "=o", 1, { DN_O } },   { "=w1", 1, { DN_W1 } }, { "=w2", 1, { DN_W2 } },
    { "=qkv", 3, { DN_Q, DN_K, DN_V } }, { "=qk", 2, { DN_Q, DN_K } }, { "=kv", 2, { DN_K, DN_V } },
};
static const char *const matrix_name[DN_MATRICES] = { "Q", "K", "V", "O", "W1", "W2" };

/* What the programs of this world call them, written as in --map. */
static const char known_map[] =
    "q=q,q_proj=q,query=q,to_q=q,wq=q,q_lin=q,linear_q=q,"
    "k=k,k_proj=k,key=k,to_k=k,wk=k,k_lin=k,linear_k=k,"
    "v=v,v_proj=v,value=v,to_v=v,wv=v,v_lin=v,linear_v=v,"
    "o=o,o_proj=o,out_proj=o,to_out=o,to_out.0=o,attention.wo=o,out_lin=o,linear_out=o,"
    "attention.output.dense=o,crossattention.output.dense=o,attn.c_proj=o,crossattention.c_proj=o,"
    "w1=w1,w3=w1,fc1=w1,linear1=w1,c_fc=w1,wi=w1,wi_0=w1,wi_1=w1,lin1=w1,gate_proj=w1,up_proj=w1,"
    "gate_up_proj=w1,ffn.gate=w1,intermediate.dense=w1,"
    "w2=w2,fc2=w2,linear2=w2,mlp.c_proj=w2,wo=w2,lin2=w2,down_proj=w2,output.dense=w2,"
    "in_proj=qkv,in_proj_weight=qkv,qkv=qkv,qkv_proj=qkv,Wqkv=qkv,c_attn=qkv,"
    "qk=qk,qk_proj=qk,to_qk=qk,kv=kv,kv_proj=kv,to_kv=kv,Wkv=kv,crossattention.c_attn=kv";

/* The n bytes of a name end in the k of a word, and with a dot before it. */
static int name_ends(const char *name, size_t n, const char *word, size_t k)
{
    return n >= k && memcmp(name + n - k, word, k) == 0 && (n == k || name[n - k - 1] == '.');
}

/* The kind that a map END=KIND,... has for a name, by the longest end; .weight does not count. */
static const struct matrix_kind *kind_of_name(const char *map, const char *name)
{
    const struct matrix_kind *best = NULL, *kind, *end = matrix_kinds + LENGTH(matrix_kinds);
    size_t n = strlen(name), longest = 0, k, m;
    if (name_ends(name, n, "weight", 6) && n > 7) n -= 7;
    for (; *map; map += m + (map[m] == ',')) {
        k = strcspn(map, "=,");
        m = strcspn(map, ",");
        for (kind = matrix_kinds; kind < end; kind++)
            if (strlen(kind->name) == m - k && memcmp(kind->name, map + k, m - k) == 0) break;
        if (k == 0 || kind == end)
            fail(2, "--map cannot have '%.*s'; it is END=KIND,... with q, k, v, o, w1, w2, qkv, "
                 "qk or kv for KIND", (int)m, map);
        if (k > 7 && memcmp(map + k - 7, ".weight", 7) == 0) k -= 7;
        if (k <= longest || !name_ends(name, n, map, k)) continue;
        longest = k;
        best = kind;
    }
    return best;
}

/* The stack a name stands for (-1: it does not say), from what precedes the first number between
 * dots in it, which is the layer; 0 where there is none. */
static int stack_of_name(const char *name, int *layer)
{
    const char *at = name;
    int stack = -1;
    size_t digits;
    for (*layer = 0; *at; at += strcspn(at, "."), at += *at == '.')
        if ((digits = strspn(at, "0123456789")) > 0 && strchr(".", at[digits])) {
            *layer = digits < 8 ? atoi(at) : 99999999;
            break;
        }
    for (const char *c = name; c < at; c++)
        if (strncmp(c, "encoder", 7) == 0 || strncmp(c, "decoder", 7) == 0) stack = *c == 'd';
    return stack;
}

/* The matrices of one name in all layers, or of each one part if they are packed. */
struct alike {
    char name[DN_ENTRY_NAME];                 /* with * for every number */
    enum dn_matrix which;
    int stack, layers, copies, off;           /* layers: with the values of the one before; is one
                                                 of them, taken alone, not as due? */
    double rows, cols;
    double gain[2], ratio[2], due[2];         /* the least and the most: measured, to due, due */
    int layer[2];                             /* of the least and the most ratio */
    double squares, count;                    /* of ratios, weighted with numbers of values */
    double last;                              /* the sum of squares of the layer before */
};

/* A file of any program, as its tensors are visited. */
struct network {
    const char *path, *map;
    dn_io io;
    dn_config c;                              /* layers from names at first, or the options' */
    int layers[2];
    struct alike *at;
    size_t n, room;
    char other[DN_ENTRY_NAME];                /* the last matrix that cannot be measured */
};

static void network_visit(struct network *net, void (*tensor)(void *net, const dn_entry *e))
{
    const dn_visit visit = { net, tensor };
    char err[DN_ERR_MAX];
    if (dn_entries(&net->io, &visit, err) != DN_OK) fail(1, "%s: %s", net->path, err);
}

/* The kind of a tensor that can be measured: a matrix of floats, but no moment of an optimizer. */
static const struct matrix_kind *kind_of_entry(const char *map, const dn_entry *e)
{
    const struct matrix_kind *kind = map ? kind_of_name(map, e->name) : NULL;
    if (!kind) kind = kind_of_name(known_map, e->name);
    if (!kind || !e->bytes || e->dims != 2 || strncmp(e->name, "adam.", 5) == 0) return NULL;
    uint64_t wide = e->shape[e->shape[0] < e->shape[1]], narrow = e->shape[0] + e->shape[1] - wide;
    if (narrow == 0 || wide > INT_MAX || (kind->parts == 2 && wide%2)) return NULL;
    return kind->parts == 3 && (wide <= narrow || (wide - narrow)%2) ? NULL : kind;
}

static void layer_count(void *user, const dn_entry *e)
{
    struct network *net = user;
    int layer, stack = stack_of_name(e->name, &layer) != 0;
    if (kind_of_entry(net->map, e) && layer >= net->layers[stack]) net->layers[stack] = layer + 1;
}

/* Architecture and layers, as the names tell them. */
static void config_of_names(struct network *net)
{
    dn_config_default(&net->c);
    network_visit(net, layer_count);
    net->c.arch = !net->layers[1] ? DN_ENCODER : !net->layers[0] ? DN_DECODER : DN_ENC_DEC;
    if (net->layers[0]) net->c.enc_layers = net->layers[0];
    if (net->layers[1]) net->c.dec_layers = net->layers[1];
}

/* ---- checkpoint files -------------------------------------------------------------------- */

static int io_read(void *user, uint64_t at, void *to, size_t n)
{
    FILE *f = user;
    return !seek_to(f, at) || fread(to, 1, n, f) != n;
}

static int io_write(void *user, const void *from, size_t n)
{
    return fwrite(from, 1, n, (FILE *)user) != n;
}

static FILE *checkpoint_open(const char *path, dn_io *io)
{
    FILE *f = rank ? NULL : fopen(path, "rb");
    int64_t size = f ? size_of(f) : -1;
    if (!rank && size < 0)
        fail(1, "%s: %s", path, f && size == -1 ? "not a regular file" : strerror(errno));
    f = ranks_file(f, &size);
    *io = (dn_io){ f, (uint64_t)size, io_read, NULL };
    return f;
}

/* The checksum in a checkpoint, which tells it from every other; "": there is none, "?": it cannot
 * be read. */
static void mark_of(FILE *f, char mark[17])
{
    int found = seek_to(f, MODEL_HEAD_AT + strlen(model_head));
    mark[found ? fread(mark, 1, 16, f) : 0] = 0;
    if (!found || ferror(f) || !seek_to(f, 0)) strcpy(mark, "?");        /* fflush may follow */
}

static void mark_read(const char *path, char mark[17])
{
    FILE *f = fopen(path, "rb");
    strcpy(mark, errno == ENOENT ? "" : "?");
    if (f) mark_of(f, mark), fclose(f);
}

/* The file whose options are the run's: it goes on from there, or begins with its parameters. */
static const char *begun_from(const struct options *o) { return o->file ? o->file : o->init; }

/* The configuration in that file, read only once; or for check-init, what another program's file
 * tells by its names, of which the next pass through the options may know more. */
static const dn_config *config_of_file(struct session *s)
{
    char err[DN_ERR_MAX];
    const char *path = begun_from(&s->o);
    dn_io io;
    if (s->read && strcmp(s->read, path) == 0) return &s->of_file;
    FILE *f = checkpoint_open(path, &io);
    dn_status status = dn_load_config(&s->of_file, &io, err);
    if (status == DN_EIO || (status != DN_OK && !is_verb(&s->o, "check-init")))
        fail(1, "%s: %s", path, err);
    s->read = status == DN_OK ? path : NULL;
    if (status != DN_OK) {
        struct network net = { .path = path, .map = s->o.map, .io = io };
        config_of_names(&net);
        s->of_file = net.c;
    }
    fclose(f);
    return &s->of_file;
}

/* A note of an open file as a string, which the caller frees.  NULL: the file has no such note. */
static char *note_of(const dn_io *io, const char *path, const char *key)
{
    char err[DN_ERR_MAX], *note = NULL;
    size_t size = 0;
    dn_status status = dn_load_note(io, key, NULL, &size, err);
    if (status == DN_OK && size > 0) {
        note = resize(NULL, size, 1);
        status = dn_load_note(io, key, note, &size, err);
    }
    if (status == DN_EIO || (note && status != DN_OK)) fail(1, "%s: %s", path, err);
    return note;
}

static char *note_of_file(const char *path, const char *key)
{
    dn_io io;
    FILE *f = checkpoint_open(path, &io);
    char *note = note_of(&io, path, key);
    fclose(f);
    return note;
}

/* A file that this command reads or writes, and what for.  What is there is ours if it begins with
 * head; NULL: a checkpoint, see replace_check(), or only read. */
struct place { const char *use, *path, *head; int written; };

static int places_of(const struct session *s, const char *outputs, struct place *p)
{
    const struct options *o = &s->o;
    int n = 0, trains = is_among(outputs, "log");
    for (const struct option *row = table; row < table + LENGTH(table); row++) {
        const char *word = row->kind < INPUT ? NULL : value_of(o, row, NULL);
        int written = row->kind == OUTPUT, dash = word && strcmp(word, "-") == 0;
        if (!word || !*word || (written && !is_among(outputs, row->name))) continue;
        const char *head = strcmp(row->name, "c-header") == 0 ? header_head
                         : strcmp(row->name, "log") == 0 ? log_header
                         : is_verb(o, "plot") || strcmp(row->name, "plot") == 0 ? svg_head : NULL;
        const char *use = word == o->file && !trains ? "MODEL" : row->name;
        if (dash && written && (trains || !head)) fail(2, "--%s cannot be - here", row->name);
        if (!dash || !written)
            p[n++] = (struct place){ use, dash ? "/dev/stdin" : word, head, written };
    }
    for (int i = 0; i < o->words; i++)
        p[n++] = (struct place){ "FILE", o->word[i], NULL, 0 };
    if (!trains) return n;
    for (int i = OUT_BEST; i < OUTPUTS; i++)
        if (s->beside[i])
            p[n++] = (struct place){ i == OUT_BEST ? "out" : "keep", s->beside[i], NULL, 1 };
    p[n++] = (struct place){ "standard output", "/dev/stdout", NULL, 0 };
    p[n++] = (struct place){ "standard error", "/dev/stderr", NULL, 0 };
    return n;
}

static void head_check(const struct place *a, FILE *f)
{
    const char *what = a->head == log_header ? "not the log of a run"
                     : a->head == svg_head ? "no plot of this program"
                     : "no header of this program";
    char begin[sizeof log_header];
    size_t n = fread(begin, 1, strlen(a->head), f);
    if (ferror(f)) fail(1, "%s: %s", a->path, strerror(errno));
    if (n > 0 && (n < strlen(a->head) || memcmp(begin, a->head, n) != 0))
        fail(2, "%s exists and is %s; --%s NAME keeps it, --force replaces it", a->path, what,
             a->use);
}

/* What will be written beside an old file, and so is this trial. */
static void output_try(const struct place *a)
{
    if (is_special(a->path))
        fail(1, "%s: not a regular file; --out NAME names one to write, --out '' writes none",
             a->path);
    struct part p = part_open(a->path);
    part_finish(&p, 1, 1);
}

/* The place among p that is the same file as a, by whatever name; NULL: there is none.  But a run
 * may go on in its own file. */
static const struct place *same_place(const struct place *a, const struct place *p, int n)
{
    for (; n-- > 0; p++) {
        int own = strcmp(a->use, "out") == 0 && strcmp(p->use, "resume") == 0;
        if (p != a && !own && same_file(a->path, p->path)) return p;
    }
    return NULL;
}

/* Better before the training than after it: can the outputs be written, is none of them a file that
 * is read, or another output, and may they be replaced?  Appending nothing changes no file, and one
 * that this makes is there while the names are compared. */
static void outputs_check(struct session *s, const char *outputs)
{
    struct place p[LENGTH(table) + SERIES_MAX + 3];           /* words or kept, never both */
    int n = places_of(s, outputs, p);
    for (const struct place *a = p; a < p + n; a++) {
        if (!a->written || (a->head && is_special(a->path))) continue;
        if (a->head != log_header) output_try(a);
        int there = file_exists(a->path), opened = there || a->head;
        FILE *f = opened ? fopen(a->path, "a+b") : NULL;
        if (opened && !f) fail(1, "%s: %s", a->path, strerror(errno));
        if (a->head == log_header && !file_keep(f))
            fail(1, "%s: another run writes it; --log NAME leaves it to that", a->path);
        int fresh = f && size_of(f) == 0 && !there;
        const struct place *same = same_place(a, p, n);
        if (there && a->head && !same && !s->o.force) head_check(a, f);
        char *path = link_target(a->path);
        if (f) fclose(f);
        if (fresh) remove(path);
        free(path);
        if (same)
            fail(2, "'%s' (%s) and '%s' (%s) are one file", same->path, same->use, a->path, a->use);
    }
}

static long long step_of_file(const char *path)
{
    char *note = note_of_file(path, "step");
    long long step = note ? strtoll(note, NULL, 10) : 0;
    free(note);
    return step;
}

/* The step from which a run goes on that resumes the file: an average of models, which has no note
 * of data, has no moments and begins anew. */
static long long step_after(const char *path)
{
    char *data = note_of_file(path, "data");
    long long step = data ? step_of_file(path) : 0;
    free(data);
    return step;
}

/* What a file's note says of the best validation, which is none if it was on other data.  The note
 * is freed. */
static struct best best_of_note(const struct session *s, char *note, const char *path)
{
    struct best best = { 0, 0, 0, s->valid_hash };
    if (note && sscanf(note, "%lf %lld %d %llx", &best.loss, &best.step, &best.stalled,
                       &best.on) < 3)
        fail(1, "%s: the note 'best' is malformed", path);
    if (s->valid.name && best.on != s->valid_hash) best.step = best.stalled = 0;
    free(note);
    return best;
}

/* Has a run of these options nothing left to do, after so many steps and, behind the best, so many
 * validations? */
static int is_over(const struct options *o, int64_t step, int stalled)
{
    return step >= o->model.steps || (o->patience && stalled >= o->patience);
}

static int has_ended(const struct session *s)
{
    return is_over(&s->o, dn_step_count(s->m), s->best.stalled);
}

/* An output of the run was written, or was not, for which there is a sentence.  Then the run goes
 * on: the old file is whole, and the next one may find room.  What is still lost at the end makes
 * the status. */
static void written(struct session *s, int which, char *why)
{
    free(s->lost[which]);
    s->lost[which] = why;
    if (why && !s->last)
        say("note: %s; the run goes on%s", why, which == LOG ? "" : ", to try again");
}

static const char *path_of(const struct session *s, int which)
{
    return which == OUT ? s->o.out : s->beside[which];
}

/* Has another run replaced OUT, OUT.best or one that is kept since this run wrote or found it? */
static int is_replaced(const struct session *s, int which)
{
    char mark[17];
    mark_read(path_of(s, which), mark);
    return *mark && *mark != '?' && *s->mark[which] != '?' && strcmp(mark, s->mark[which]) != 0;
}

/* Its name, or if it is another run's by now, one that no file has: a new string. */
static char *name_of_output(const struct session *s, int which)
{
    char end[32], *name = NULL;
    if (!is_replaced(s, which)) return joined(path_of(s, which), "");
    for (long n = process_id(); !name || file_exists(name); n++) {
        free(name);
        snprintf(end, sizeof end, ".run%ld", n);
        name = joined(path_of(s, which), end);
    }
    return name;
}

/* Write OUT, OUT.best or one that is kept: first beside it, then on the disk, and only then in its
 * place, so that a crash or a power cut at any moment leaves the old or the new checkpoint.  Its
 * notes are what a resumed run needs and the model does not have.  A trial writes it all, and
 * removes it; only then a failure ends the program.  Returns whether it is there. */
static int checkpoint_save(struct session *s, int which, int trial)
{
    char best[96], rate[48], err[DN_ERR_MAX];
    const char *out = path_of(s, which);
    dn_note note[4] = { { "tokenizer", s->tok_note }, { "data", s->data_note } };
    int notes = *s->data_note ? 2 : 1;        /* an average has none */
    if (!*s->o.out) return 1;
    snprintf(best, sizeof best, "%.17g %lld %d %016llx", s->best.loss, s->best.step,
             s->best.stalled, s->best.on);
    snprintf(rate, sizeof rate, "%.17g %d", s->asked, s->halved);
    if (s->best.step) note[notes++] = (dn_note){ "best", best };
    if (s->halved) note[notes++] = (dn_note){ "rate", rate };
    if (!rank) {
        char *name = name_of_output(s, which);
        struct part p = part_open(name);
        dn_io io = { p.f, 0, NULL, io_write };
        int good = p.f && dn_save(s->m, note, notes, &io, err) == DN_OK;
        if (p.f && !good) p.why = err;
        if (trial) part_finish(&p, good, 1);
        else {
            char mark[17] = "?";              /* of this one, not of what may replace it at once */
            if (good && p.part && fflush(p.f) == 0) mark_of(p.f, mark);
            written(s, which, part_close(&p, good, 0));
            if (strcmp(name, out) != 0)
                fail(1, "%s is another run's by now; this run stops%s%s", out, s->lost[which] ? ": "
                     : ", and its model is ", s->lost[which] ? s->lost[which] : name);
            if (!s->lost[which]) strcpy(s->mark[which], mark);
        }
        free(name);
    }
    int lost = ranks_most(s->lost[which] != NULL);
    if (which == OUT && !trial && !lost) s->saved = s->o.out;
    return !lost;
}

enum { HALVED_MAX = 5 };

/* Halve the peak of the learning rate n times; its start and end must not be above the peak. */
static void rate_halve(dn_config *c, int n)
{
    c->lr = ldexp(c->lr, -n);
    c->warmup_init = fmin(c->warmup_init, c->lr);
    c->min_lr = fmin(c->min_lr, c->lr);
}

/* If the options repeat the original rate of a run that has halved it, keep the halved one; returns
 * how often it was halved.  The file's note has this and the original rate.  Without --lr the rate
 * is that of the file, the halved one.  Any other --lr is a new rate, halved no times yet. */
static int rate_restore(dn_config *c, double *asked, const char *path)
{
    double first = 0;
    int n = 0;
    char *note = note_of_file(path, "rate");
    if (note && (sscanf(note, "%lf %d", &first, &n) != 2 || n < 1 || n > HALVED_MAX))
        fail(1, "%s: the note 'rate' is malformed", path);
    free(note);
    double halved = ldexp(first, -n);
    if (!n || (c->lr != first && fabs(c->lr - halved) > 1e-14*halved)) return 0;
    *asked = c->lr = first;
    rate_halve(c, n);
    return n;
}

/* Does the run go on in the file that it was resumed from? */
static int is_in_place(const struct options *o) { return o->file && same_file(o->file, o->out); }

/* What --out NAME and --force are for: OUT or one beside it is there, and was made by another run,
 * by other options or of other data; or by this one, which has come further.  Returns whether it is
 * this run's and has ended.  Before the tokenizer is learned, only the options tell. */
static int replace_check(struct session *s, int which)
{
    static const char how[] = "--out NAME keeps it, --force replaces it";
    const char *path = path_of(s, which);
    char err[DN_ERR_MAX], ours[DN_NAME_MAX], theirs[DN_NAME_MAX];
    int n, own = is_in_place(&s->o), early = !*s->data_note;
    dn_config c, now = own ? *config_of_file(s) : s->o.model;
    dn_io io;
    double asked;
    const dn_field *field = dn_fields(&n);
    mark_read(path, s->mark[which]);
    if (s->o.force || !file_exists(path) || (own && which == OUT)) return 0;
    FILE *f = checkpoint_open(path, &io);
    dn_status status = dn_load_config(&c, &io, err);
    fclose(f);
    if (io.size == 0) return 0;
    if (status == DN_EIO) fail(1, "%s: %s", path, err);
    if (status != DN_OK) fail(2, "%s exists and is no checkpoint; %s", path, how);
    rate_restore(&now, &asked, path);
    now.parts = dn_sharing_of(&now, DN_TRAIN).parts;
    if (!layers_of(&now, 0)) now.enc_layers = c.enc_layers;
    if (!layers_of(&now, 1)) now.dec_layers = c.dec_layers;
    for (int i = 0; i < n; i++) {
        dn_config_get(&now, &field[i], ours);
        dn_config_get(&c, &field[i], theirs);
        if (early && is_among("vocab steps", field[i].name)) continue;
        if (own && dn_may_change(&field[i])) continue;
        if (field[i].saved && strcmp(ours, theirs) != 0)
            fail(2, "%s is of another run, with --%s %s; %s%s", path, field[i].name, theirs,
                 strcmp(field[i].name, "steps") == 0 ? "--resume goes on with it, " : "", how);
    }
    if (early) return 0;
    char *data = note_of_file(path, "data");
    if (!data || strcmp(data, s->data_note) != 0)
        fail(2, "%s is of another run, on other data or with another --accum or --init; %s", path,
             how);
    free(data);
    if (which != OUT) return 0;
    long long there = step_of_file(path), first = s->o.file ? step_after(s->o.file) : 0;
    struct best best = best_of_note(s, note_of_file(path, "best"), path);
    if (there > first && !is_over(&s->o, there, best.stalled))
        fail(2, "%s has come to step %lld of this run; --resume %s goes on, --force begins anew",
             path, there, path);
    say(there > first ? "note: %s is what this command makes; --force trains anew"
                      : "note: %s exists and will be replaced", path);
    return there > first;
}

static int is_rollback(const struct options *o)
{
    return strcmp(o->on_divergence, "rollback") == 0;
}

/* Must the run go back to its last checkpoint?  Any other failure ends the program. */
static int must_go_back(const struct session *s, dn_status status, const char *err)
{
    if (status == DN_EDIVERGED && s->saved) {
        if (ranks_most(!rank && same_file(s->saved, s->o.out) && is_replaced(s, OUT)))
            fail(3, "diverged: %s; %s is another run's by now", err, s->saved);
        if (is_rollback(&s->o) && s->halved < HALVED_MAX) return 1;
        fail(3, "diverged: %s; %s is as it was", err, s->saved);
    }
    check(status, err);
    return 0;
}

/* ---- models and tokenizers --------------------------------------------------------------- */

static void tokenizer_load(struct session *s, const char *path)
{
    char err[DN_ERR_MAX];
    if (!path) fail(2, "%s needs a MODEL, such as model.safetensors", s->o.verb);
    s->tok_note = note_of_file(path, "tokenizer");
    if (!s->tok_note) fail(1, "%s has no tokenizer; docs/format.md says how to add one", path);
    size_t n = strlen(s->tok_note), size = dn_tok_bytes(dn_tok_vocab_of(s->tok_note, n));
    s->tok_memory = resize(NULL, size, 1);
    if (dn_tok_load(&s->tok, s->tok_note, n, s->tok_memory, size, err) != DN_OK)
        fail(1, "%s: %s", path, err);
    if (s->tok.vocab != s->o.model.vocab)
        fail(1, "%s: the tokenizer has %d ids, the model %d", path, s->tok.vocab,
             s->o.model.vocab);
}

/* Learn the tokenizer from the training text, or from parts of a long one, with the same share for
 * each language: learning takes up to 61 times the memory of its text. */
static void tokenizer_learn(struct session *s)
{
    char err[DN_ERR_MAX];
    struct text all = { NULL, 0 };
    needed_for = "learning the tokenizer; a smaller --vocab needs less";
    size_t most = 250*(size_t)s->o.model.vocab;               /* more adds little */
    if (most < 4000000) most = 4000000;
    for (int side = s->train.lines ? 0 : 1; side < 2; side++) {
        struct text t = corpus_sample(&s->train, side, s->train.lines ? most/2 : most);
        all.at = resize(all.at, all.n + t.n, 1);
        memcpy(all.at + all.n, t.at, t.n);
        all.n += t.n;
        free(t.at);
    }
    size_t size = dn_tok_bytes(s->o.model.vocab);
    size_t more = dn_tok_train_bytes(s->o.model.vocab, all.n);
    void *scratch = resize(NULL, more, 1);
    s->tok_memory = resize(NULL, size, 1);
    check(dn_tok_train(&s->tok, s->o.model.vocab, all.at, all.n,
                       (dn_block){ s->tok_memory, size },
                       (dn_block){ scratch, more }, err), err);
    free(scratch);
    free(all.at);
    s->o.model.vocab = s->tok.vocab;
    size = dn_tok_save(&s->tok, NULL, 0);
    s->tok_note = resize(NULL, size + 1, 1);
    dn_tok_save(&s->tok, s->tok_note, size);
    s->tok_note[size] = 0;
}

static size_t tensor_size(const dn_tensor *t)
{
    return (size_t)t->rows*(size_t)(t->cols ? t->cols : 1);
}

/* Load all of a checkpoint into a model, which must have its shape; next: what else to do. */
static void model_load(dn_model *m, const char *path, const char *next)
{
    char err[DN_ERR_MAX];
    dn_io io;
    FILE *f = checkpoint_open(path, &io);
    if (dn_load(m, &io, err) != DN_OK) fail(1, "%s: %s%s", path, err, next);
    fclose(f);
}

/* --init: take the parameters of this file, of learned positions the first.  They are loaded into a
 * model as it was, which must allow what the new run changes beside ctx and the batches. */
static void init_load(struct session *s, const char *path)
{
    char err[DN_ERR_MAX];
    dn_config c = *config_of_file(s), now = s->o.model;
    if (c.positions == DN_LEARNED && now.ctx > c.ctx)
        fail(2, "%s has learned %d positions; --ctx cannot be more", path, c.ctx);
    now.ctx = now.batch_tokens = c.batch_tokens = c.ctx;
    now.parts = c.parts, now.seed = c.seed;
    now.memory = c.memory, now.threads = c.threads, now.desks = c.desks;
    size_t need = dn_model_bytes(&c, DN_INFER, err);
    needed_for = "the parameters to begin with";
    void *block = resize(NULL, need, 1);
    dn_model *from = dn_model_init(&c, DN_INFER, block, need, err);
    if (!from) fail(1, "%s: %s", path, err);
    model_load(from, path, "");
    if (dn_model_reconfigure(from, &now, err) != DN_OK) fail(2, "%s: %s", path, err);
    for (int i = 0; i < dn_tensor_count(s->m); i++) {
        const dn_tensor t = dn_tensor_at(s->m, i);
        memcpy(t.value, dn_tensor_at(from, i).value, tensor_size(&t)*sizeof *t.value);
    }
    free(block);
}

/* Say what a resumed run changes. */
static void changes_say(const dn_config *was, const dn_config *is)
{
    char before[DN_NAME_MAX], now[DN_NAME_MAX];
    int n;
    const dn_field *field = dn_fields(&n);
    for (int i = 0; i < n; i++) {
        dn_config_get(was, &field[i], before);
        dn_config_get(is, &field[i], now);
        if (field[i].saved && strcmp(before, now) != 0)
            say("note: %s is %s from here on; it was %s", field[i].name, now, before);
    }
}

/* Make the model that the options describe, or the one in the file with the changes they ask for.
 * In a command --seed is the seed of the samples, and the model keeps its own.  A file loads only
 * into the model it was saved from: so that is made first, and the library then takes the changes
 * or says which it cannot. */
static void model_make(struct session *s, enum dn_purpose purpose)
{
    char err[DN_ERR_MAX], count[16];
    dn_config now = s->o.model, c = now;
    if (s->o.file) {
        c = *config_of_file(s);
        c.memory = now.memory;
        c.threads = now.threads;
        c.desks = now.desks;
        if (purpose == DN_INFER) {
            now.seed = c.seed;
            c.batch_tokens = now.batch_tokens;
        }
    }
    if (ranks > 1) {                          /* no more than it has parts */
        const dn_sharing sharing = dn_sharing_of(&c, purpose);
        const int own = (sharing.parts + ranks - 1)/ranks;
        s->o.model.desks = c.desks = now.desks = own < sharing.desks ? own : sharing.desks;
    }
    size_t need = dn_model_bytes(&c, purpose, err);
    if (!need) fail(2, "%s", err);
    say("memory: %.1f MiB for %d+%d layers of width %d, vocabulary %d", (double)need/1048576,
        layers_of(&c, 0), layers_of(&c, 1), c.dim, c.vocab);
    needed_for = purpose == DN_INFER ? "the model" : c.memory == DN_RECOMPUTE
               ? "the model; fewer --layers, a smaller --dim or --batch-tokens need less"
               : "the model; --memory recompute, fewer --layers, a smaller --dim or --batch-tokens "
                 "need less";
    s->block = resize(NULL, need, 1);
    s->m = dn_model_init(&c, purpose, s->block, need, err);
    if (!s->m) fail(1, "%s", err);
    if (s->o.file) {
        model_load(s->m, s->o.file, "");
        if (dn_model_reconfigure(s->m, &now, err) != DN_OK) fail(2, "%s: %s", s->o.file, err);
        if (purpose == DN_TRAIN) changes_say(&c, dn_model_config(s->m));
    }
    say("model: %s parameters, step %lld", human((double)dn_param_count(s->m), count),
        (long long)dn_step_count(s->m));
}

/* Of all parameters, as doubles; each step is that of the checksum in docs/format.md. */
static uint64_t parameters_hash(const dn_model *m)
{
    const dn_real *value = dn_tensor_at(m, 0).value;          /* all tensors, one behind another */
    uint64_t hash = 0, bits;
    for (size_t k = 0; k < dn_param_count(m); k++) {
        const double x = (double)value[k];
        memcpy(&bits, &x, sizeof bits);
        hash = (hash ^ bits)*UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

/* The tokenizer and the model, to use them, not to train. */
static void model_open(struct session *s)
{
    tokenizer_load(s, s->o.file);
    model_make(s, DN_INFER);
}

/* ---- generation -------------------------------------------------------------------------- */

/* A generator for at least this many rows, made again only if there are more. */
static dn_generator *generator(struct session *s, int which, int rows)
{
    char err[DN_ERR_MAX];
    struct writer *w = &s->writer[which];
    if (w->rows >= rows) return w->g;
    size_t need = dn_generator_bytes(dn_model_config(s->m), rows, err);
    if (!need) fail(1, "%s", err);
    needed_for = "the generator";
    w->block = resize(w->block, need, 1);
    w->g = dn_generator_init(s->m, rows, w->block, need, err);
    if (!w->g) fail(1, "%s", err);
    w->rows = rows;
    return w->g;
}

static void translator_make(struct translator *t, size_t rows, size_t ctx)
{
    t->in_len = resize(NULL, rows, 2*(ctx + 1)*sizeof(int));
    t->out_len = t->in_len + rows;
    t->in_ids = t->out_len + rows;
    t->out_ids = t->in_ids + rows*ctx;
}

/* The first of n sources in share k. */
static int share_first(int n, int k, int shares) { return n*k/shares; }

/* Share k of n sources, by a generator of its own.  Sources do not depend on each other. */
static dn_status share_translate(struct session *s, int n, int k, int shares, char *err)
{
    const dn_beam how = { .beam = s->o.beam, .length_penalty = s->o.length_penalty };
    const struct translator *t = &s->translator;
    int from = share_first(n, k, shares), to = share_first(n, k + 1, shares);
    const int *ids = t->in_ids;
    for (int i = 0; i < from; i++) ids += t->in_len[i];
    return dn_translate(s->writer[k].g, to - from, ids, t->in_len + from, &how,
                        t->out_ids + (size_t)from*(size_t)s->o.model.ctx, t->out_len + from, err);
}

/* Translate n sources from `first` on, at most o.rows, into t->out_ids. */
static void translate(struct session *s, const struct sequences *q, size_t first, int n)
{
    char err[WRITERS][DN_ERR_MAX];
    dn_status status[WRITERS];
    const uint64_t *start = q->start + first;
    struct translator *t = &s->translator;
    int shares = dn_sharing_of(dn_model_config(s->m), DN_INFER).desks;
    if (shares > n) shares = n;
    if (shares > WRITERS) shares = WRITERS;
    for (int k = 0; k < shares; k++) generator(s, k, (n + shares - 1)/shares*s->o.beam);
    if (!t->in_len) translator_make(t, (size_t)s->o.rows, (size_t)s->o.model.ctx);
    for (int i = 0; i < n; i++) t->in_len[i] = (int)length_of(q, first + (size_t)i);
    ids_read(q, *start, (size_t)(start[n] - *start), t->in_ids);
#ifdef _OPENMP
#pragma omp parallel for num_threads(shares) if(shares > 1)
#endif
    for (int k = 0; k < shares; k++) status[k] = share_translate(s, n, k, shares, err[k]);
    for (int k = 0; k < shares; k++) check(status[k], err[k]);
    t->shares = shares;
    for (int i = 0; i < n; i++) {
        int most = 2*t->in_len[i] + 10;
        if (t->in_len[i] == 1) t->out_len[i] = 0;             /* DN_EOS alone stays empty */
        if (t->out_len[i] < (most < s->o.model.ctx ? most : s->o.model.ctx)) continue;
        if (!t->cut++) t->first_cut = t->before + first + (size_t)i + 1;
    }
}

static void cuts_say(const struct session *s, const struct corpus *c)
{
    if (c->cut)
        say("note: %zu lines of %s were cut to %d tokens, line %zu the first", c->cut, c->name,
            s->o.model.ctx, c->first_cut);
}

static void ends_say(const struct translator *t)
{
    if (t->cut)
        say("note: %zu translations did not end and were cut, that of line %zu the first", t->cut,
            t->first_cut);
}

/* Ids as one line of text, valid until the next call. */
static struct text line_decode(struct session *s, const int *ids, size_t n)
{
    struct translator *t = &s->translator;
    t->line.n = dn_tok_decode(&s->tok, ids, n, NULL, 0);
    t->line.at = grow(t->line.at, &t->line_room, t->line.n, 1);
    dn_tok_decode(&s->tok, ids, n, t->line.at, t->line.n);
    for (size_t k = 0; k < t->line.n; k++)
        if (t->line.at[k] == '\n' || t->line.at[k] == '\r')
            t->line.at[k] = ' ';
    return t->line;
}

static struct text translation(struct session *s, int i)
{
    const struct translator *t = &s->translator;
    return line_decode(s, t->out_ids + (size_t)i*(size_t)s->o.model.ctx, (size_t)t->out_len[i]);
}

/* Write the prompt and n more tokens.  The generator is fed one token at a time, after a first feed
 * of the prompt; when its context is full, it starts again with the last half of it, since the
 * positions of what it holds cannot shift. */
static void text_sample(struct session *s, FILE *f, int n, int which)
{
    const dn_config *c = &s->o.model;
    dn_sampling how = { s->o.temp, s->o.top_k, s->o.top_p };
    char err[DN_ERR_MAX], piece[64];          /* of one token */
    dn_generator *g = generator(s, 0, 1);
    uint64_t stream = STREAM_SAMPLE + (uint64_t)which;
    size_t bytes = strlen(s->o.prompt), total, most = (size_t)c->ctx;
    needed_for = "the text; a smaller --length needs less";
    int *ids = resize(NULL, bytes + 1 + (size_t)n, sizeof(int));
    int held = c->ctx;                        /* as if full: so the loop starts it */
    dn_real *work = resize(NULL, (size_t)c->vocab, sizeof *work);
    ids[0] = DN_BOS;
    total = bytes ? dn_tok_encode(&s->tok, s->o.prompt, bytes, ids, bytes) : 1;
    if (strcmp(s->o.prompt, "\n") != 0) fputs(s->o.prompt, f);
    for (int i = 0; i < n && !ferror(f); i++, total++) {
        int feed = 1;
        if (held == c->ctx) {
            feed = (int)(total < most ? total : most);
            most = (size_t)(c->ctx + 1)/2;
            check(dn_generator_start(g, 1, NULL, NULL, err), err);
            held = 0;
        }
        const dn_real *logits = dn_generator_feed(g, ids + total - feed, &feed, err);
        if (!logits) fail(1, "%s", err);
        held += feed;
        double u = dn_random((uint64_t)c->seed, stream, (uint32_t)i)/4294967296.0;
        ids[total] = DN_SPECIALS                                      /* which have no bytes */
                     + dn_sample(logits + DN_SPECIALS, c->vocab - DN_SPECIALS, &how, u, work);
        size_t k = dn_tok_decode(&s->tok, ids + total, 1, piece, sizeof piece);
        fwrite(piece, 1, k, f);
        fflush(f);
    }
    fputc('\n', f);
    free(work);
    free(ids);
}

static void line_print(FILE *f, const char *label, struct text line)
{
    fputs(label, f);
    if (line.n) fwrite(line.at, 1, line.n, f);
    fputc('\n', f);
}

/* The translations of source i of the last n, best first; of an empty line only itself. */
static void hypotheses_print(struct session *s, int n, int i)
{
    const struct translator *t = &s->translator;
    int k = 0, empty = t->in_len[i] == 1;
    while (i >= share_first(n, k + 1, t->shares)) k++;
    int at = i - share_first(n, k, t->shares);
    for (int j = 0; j < (empty ? 1 : s->o.n_best); j++) {
        dn_hypothesis h = dn_hypothesis_at(s->writer[k].g, at, j);
        if (!h.ids) return;
        printf("%zu\t%.6f\t", t->before + (size_t)i + 1, empty ? 0 : h.score);
        line_print(stdout, "", line_decode(s, h.ids, empty ? 0 : (size_t)h.length));
    }
}

/* A few translations, or a little text. */
static void show_samples(struct session *s)
{
    struct corpus *c = s->valid.name ? &s->valid : s->test.name ? &s->test : NULL;
    int n = s->o.samples < s->o.rows ? s->o.samples : s->o.rows;
    line_clear();
    for (int i = 0; i < s->o.samples && s->o.model.arch == DN_DECODER; i++) {
        say("--- sample");
        text_sample(s, stderr, s->o.length < 100 ? s->o.length : 100, i);
    }
    if (is_text(s) || !c) return;
    if ((size_t)n > c->seq[0].n) n = (int)c->seq[0].n;
    if (n == 0) return;
    translate(s, &c->seq[0], 0, n);
    c->in[0].at = c->in[1].at = 0;
    for (int i = 0; i < n; i++) {
        line_print(stderr, "  source     ", line_next(&c->in[0]));
        line_print(stderr, "  reference  ", line_next(&c->in[1]));
        line_print(stderr, "  output     ", translation(s, i));
    }
}

/* ---- scoring ----------------------------------------------------------------------------- */

struct score { double nll, tokens, correct; };                 /* sums; nll in nats */

/* All of a corpus.  The caller decides what becomes of a failure: a run may go back. */
static dn_status evaluate(struct session *s, const struct corpus *c, struct score *sum, char *err)
{
    dn_stats stats = {0};
    dn_status status = DN_OK;
    uint64_t done = 0;
    struct score *part = NULL;                /* of each batch, which one of the ranks takes */
    size_t n = 0, room = 0;
    int failed = 0;
    for (; batch_score(s, &s->batch[0], c, &done); n++) {
        dn_batch view = batch_view(&s->batch[0]);
        part = grow(part, &room, n + 1, sizeof *part);
        part[n] = (struct score){ 0, 0, 0 };
        if (status != DN_OK || n%(size_t)ranks != (size_t)rank%(size_t)ranks) continue;
        status = dn_evaluate(s->m, &view, &stats, err);
        failed = (int)n;
        part[n] = (struct score){ stats.nll*stats.tokens, stats.tokens, stats.correct };
    }
    status = ranks_first(status, failed, err);
    if (status == DN_OK && n) ranks_sum(&part->nll, 3*n);
    *sum = (struct score){ 0, 0, 0 };
    for (size_t i = 0; i < n && status == DN_OK; i++) {
        sum->nll += part[i].nll;
        sum->tokens += part[i].tokens;
        sum->correct += part[i].correct;
    }
    free(part);
    if (status != DN_OK) return status;
    if (!(sum->tokens > 0)) fail(1, "%s: too short, there is no token to score", c->name);
    return DN_OK;
}

/* The score where there is nothing to go back to. */
static struct score score_of(struct session *s, const struct corpus *c)
{
    char err[DN_ERR_MAX];
    struct score sum;
    check(evaluate(s, c, &sum, err), err);
    return sum;
}

static double mean_nll(const struct score *sum) { return sum->nll/sum->tokens; }

/* Count the translation of the next line; returns whether it is a reference, byte for byte. */
static int bleu_next(struct session *s, struct bleu *sum, struct corpus *c, struct text line)
{
    struct text reference[REFS_MAX + 1] = { line_next(&c->in[1]) };
    int exact = 0;
    for (int k = 0; k < s->more; k++) reference[k + 1] = line_next(&s->reference[k]);
    for (int k = 0; k <= s->more; k++) exact |= same_words(&line, &reference[k], 1);
    bleu_add(sum, line, reference);
    return exact;
}

/* BLEU, chrF, and the share of translations that equal a reference byte for byte. */
static void report_translations(struct session *s, struct corpus *c)
{
    size_t n = c->seq[0].n, exact = 0, rows = (size_t)s->o.rows;
    struct bleu sum = { .o = &s->o, .more = s->more };
    c->in[1].at = 0;
    s->translator.cut = 0;                    /* of samples */
    for (size_t first = 0; first < n; first += rows) {
        int some = (int)(n - first < rows ? n - first : rows);
        translate(s, &c->seq[0], first, some);
        for (int i = 0; i < some; i++) exact += bleu_next(s, &sum, c, translation(s, i)) ? 1 : 0;
    }
    bleu_print(&sum);
    printf("exact match %.1f %% (%zu of %zu lines)\n", 100*(double)exact/(double)n, exact, n);
    ends_say(&s->translator);
}

/* The result, on stdout. */
static void report(struct session *s, struct corpus *c)
{
    struct score sum = score_of(s, c);
    double nll = mean_nll(&sum), bytes = (double)c->in[1].n;
    printf("%s: loss %.4f nats/token, perplexity %.3f, accuracy %.1f %% (%.0f %stokens)\n",
           c->name, nll, exp(nll), 100*sum.correct/sum.tokens, sum.tokens,
           s->o.model.arch == DN_ENCODER ? "masked " : "");
    if (s->o.model.arch == DN_DECODER)
        printf("bits per byte %.4f (%.0f bytes; %d to %d tokens of context, less at the start)\n",
               sum.nll/log(2)/bytes, bytes, row_tokens(s, c) - (int)stride(s, c) + 1,
               row_tokens(s, c));
    if (!is_text(s)) report_translations(s, c);
    stdout_flush();
}

/* ---- check-init: are the first values of a network, anybody's, the paper's? -------------- */

/* How far a gain estimated from n values may be off: five deviations of the estimate for normal
 * values (uniform ones have less), and what two digits of 0.87 leave open. */
static double tolerance(double n) { return 5/sqrt(2*n) + 0.005; }

static void range_add(double range[2], double x, int first)
{
    if (first || x < range[0]) range[0] = x;
    if (first || x > range[1]) range[1] = x;
}

/* One layer more, of which the sum of squares was measured. */
static void alike_add(struct alike *a, const dn_config *c, int layer, double sum)
{
    double due = dn_gain_of(c, a->stack, layer, a->which), n = a->rows*a->cols;
    double gain = sqrt(sum/n*(a->rows + a->cols)/2);            /* 1: Xavier's */
    double ratio = due > 0 ? gain/due : 1 + gain;
    a->copies += a->layers > 0 && sum > 0 && sum == a->last;
    a->last = sum;
    a->off |= !(fabs(ratio - 1) <= tolerance(n));
    for (int i = 0; i < 2; i++)
        if (!a->layers || (i ? ratio > a->ratio[1] : ratio < a->ratio[0])) a->layer[i] = layer;
    range_add(a->gain, gain, !a->layers);
    range_add(a->ratio, ratio, !a->layers);
    range_add(a->due, due, !a->layers++);
    a->squares += n*ratio*ratio;
    a->count += n;
}

/* Where the part of a matrix is counted; its name becomes that of all layers. */
static struct alike *alike_find(struct network *net, struct alike *like, const char *name)
{
    enum { ALIKE_MAX = 10000 };
    char *to = like->name;
    for (size_t n; *name; name += n) {
        n = *name == '.' ? 1 : strcspn(name, ".");
        int number = strspn(name, "0123456789") == n;
        to += sprintf(to, "%.*s", number ? 1 : (int)n, number ? "*" : name);
    }
    for (size_t i = net->n; i-- > 0; ) {
        struct alike *a = &net->at[i];
        if (a->which == like->which && a->rows == like->rows && a->cols == like->cols
            && a->stack == like->stack && strcmp(a->name, like->name) == 0) return a;
    }
    if (net->n == ALIKE_MAX) fail(1, "more than %d kinds of matrices", ALIKE_MAX);
    net->at = grow(net->at, &net->room, net->n + 1, sizeof *net->at);
    net->at[net->n] = *like;
    return &net->at[net->n++];
}

/* Sums of squares of a tensor's parts, of which two end there along its longer side. */
static void squares_sum(const struct network *net, const dn_entry *e, const uint64_t end[2],
                        double sum[3])
{
    static unsigned char piece[PIECE];
    const uint64_t rows = e->shape[0], cols = e->shape[1], bytes = (uint64_t)e->bytes;
    for (uint64_t i = 0, n; i < rows*cols; i += n) {
        n = rows*cols - i < PIECE/bytes ? rows*cols - i : PIECE/bytes;
        if (net->io.read(net->io.user, e->at + i*bytes, piece, (size_t)(n*bytes)))
            fail(1, "%s: cannot be read", net->path);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t along = rows >= cols ? (i + k)/cols : (i + k)%cols;
            double v = dn_entry_number(e, piece + k*bytes);
            sum[(along >= end[0]) + (along >= end[1])] += v*v;
        }
    }
}

/* Measure a matrix, by parts if it is packed; of Q, K, V with fewer heads for K, V, Q is square. */
static void matrix_measure(void *user, const dn_entry *e)
{
    struct network *net = user;
    const struct matrix_kind *kind = kind_of_entry(net->map, e);
    if (!kind) {
        if (e->dims == 2 && strncmp(e->name, "adam.", 5) != 0) strcpy(net->other, e->name);
        return;
    }
    const int down = e->shape[0] >= e->shape[1], across = kind->parts == 1 && !down;
    const uint64_t wide = e->shape[!down], narrow = e->shape[down];
    const uint64_t end[3] = { kind->parts == 3 ? narrow : wide/(unsigned)kind->parts,
                              kind->parts == 3 ? (narrow + wide)/2 : wide, wide };
    double sum[3] = { 0, 0, 0 };
    int layer, stack = stack_of_name(e->name, &layer);
    if (net->c.arch != DN_ENC_DEC || stack < 0) stack = net->c.arch != DN_ENCODER;
    int layers = layers_of(&net->c, stack);
    if (layer >= layers)
        fail(2, "%s: '%s' is of layer %d; --%s-layers %d", net->path, e->name, layer,
             stack ? "dec" : "enc", layers);
    squares_sum(net, e, end, sum);
    for (int k = 0; k < kind->parts; k++) {
        double size[2] = { (double)(end[k] - (k ? end[k - 1] : 0)), (double)narrow };
        struct alike a = { .which = kind->part[k], .stack = stack, .rows = size[across],
                           .cols = size[!across] };
        alike_add(alike_find(net, &a, e->name), &net->c, layer, sum[k]);
    }
}

/* A mistake that people make: what it makes of the gain due; NAN where it cannot be. */
struct mistake { double factor; const char *words; };
enum { GAINS = 13, DRAWS = 9, PAIRS = GAINS*DRAWS };      /* the first of each is none */

/* Wrong gains, and then wrong draws; one of each may have been made. */
static void mistakes_of(const struct alike *a, const dn_config *c, struct mistake m[GAINS + DRAWS])
{
    const dn_gains g = dn_gains_of(c, a->stack, 0);
    const double due = a->due[0], out = a->rows, in = a->cols, xavier = sqrt((out + in)/2);
    const double of_two = sqrt((out + in)/(2*out + in)), of_three = sqrt((out + in)/(3*out + in));
    const int qk = a->which <= DN_K, qkv = a->which <= DN_V, both = c->arch == DN_ENC_DEC;
    dn_config deep = *c, alone = *c;
    deep.enc_layers *= 2, deep.dec_layers *= 2;
    alone.arch = a->stack ? DN_DECODER : DN_ENCODER;
    const double deeper = dn_gain_of(&deep, a->stack, 0, a->which)/due;
    const struct mistake all[GAINS + DRAWS] = {
        { 1, NULL },
        { 1/due, "beta forgotten" },
        { 1/sqrt(due), "beta taken for a variance: the gain is sqrt(beta)" },
        { 1/due/due, "the sign of the exponent: 1/beta for beta" },
        { g.alpha/due, "alpha for beta" },
        { 1/g.alpha/due, "1/alpha for beta" },
        { due, "beta twice" },
        { deeper, "beta of twice the layers: sub-layers counted for layers" },
        { 1/deeper, "beta of half the layers: N for 2N" },
        { both ? dn_gain_of(&alone, a->stack, 0, a->which)/due : NAN,
          "beta of a stack alone; an encoder-decoder has its own" },
        { both ? dn_gain_of(c, !a->stack, 0, a->which)/due : NAN,
          a->stack ? "the encoder's beta" : "the decoder's beta" },
        { both && !a->stack ? 1.15/0.87 : NAN, "1.15 for 0.87, its inverse (torchscale)" },
        { g.beta/due, "beta on Q and K too; it is for V, O, W1 and W2" },
        { 1, NULL },
        { qkv ? of_three : 1, "Q, K and V drawn as one 3D x D matrix, whose fans are 4D for 2D" },
        { qk ? of_two : 1, "Q and K drawn as one 2D x D matrix, whose fans are 3D for 2D" },
        { qkv && a->which != DN_Q ? of_two : 1,
          "K and V drawn as one 2D x D matrix, whose fans are 3D for 2D" },
        { xavier/sqrt(3*in), "the default of PyTorch's Linear, U(+-1/sqrt(fan in)), for Xavier's" },
        { xavier*sqrt(2/in), "Kaiming's sqrt(2/fan in) for Xavier's" },
        { xavier/sqrt(in), "sqrt(1/fan in) for Xavier's" },
        { xavier*0.02, "N(0, 0.02^2) for Xavier's" },
        { 0.87962566, "a normal cut off at 2 deviations, not corrected" },
    };
    memcpy(m, all, sizeof all);
    for (int i = 1; i < GAINS; i++)
        if ((i == GAINS - 1) != qk) m[i].factor = 1;
}

static const char layers_differ[] = "the layers differ: trained, or drawn by another rule in each";

/* What is wrong with them: NULL if it takes a mistake to say, "" if nothing is. */
static const char *fault_of(const struct alike *a)
{
    double ratio = sqrt(a->squares/a->count), each = tolerance(a->count/a->layers);
    if (!isfinite(ratio)) return "values that are not finite";
    if (a->off && !(a->due[0] > 0)) return "0 is due";
    if (a->off && a->ratio[1] - a->ratio[0] > 2*each*ratio)
        return layers_differ;
    return a->off || fabs(ratio - 1) > tolerance(a->count) ? NULL : "";
}

/* How well pair k of the mistakes explains the gain measured: 1 fully, 0 beyond the tolerance. */
static double fit(const struct alike *a, const struct mistake *m, int k)
{
    double factor = m[k/DRAWS].factor*m[GAINS + k%DRAWS].factor;
    double wrong = fabs(sqrt(a->squares/a->count)/factor - 1)/tolerance(a->count);
    return wrong < 1 ? 1 - wrong : 0;
}

/* How much of a stack, which one function draws, each pair explains; less what a mistake costs. */
static void scores_of(const struct network *net, int stack, double score[PAIRS])
{
    struct mistake m[GAINS + DRAWS];
    for (int k = 0; k < PAIRS; k++) score[k] = -(k >= DRAWS) - (k%DRAWS > 0);
    for (const struct alike *a = net->at; a < net->at + net->n; a++) {
        if (a->stack != stack || fault_of(a)) continue;
        mistakes_of(a, &net->c, m);
        for (int k = 0; k < PAIRS; k++) score[k] += fit(a, m, k);
    }
}

/* In words: of the pairs that give the gain measured, that of the best score, where they differ. */
static int causes_of(const struct alike *a, const dn_config *c, const double score[PAIRS],
                     const char *to[2])
{
    struct mistake m[GAINS + DRAWS];
    int best = -1, n = 0;
    mistakes_of(a, c, m);
    for (int k = 0; k < PAIRS; k++)
        if (fit(a, m, k) > 0 && (best < 0 || score[k] > score[best])) best = k;
    if (best < 0) to[n++] = "no mistake that is known here";
    for (int i = 0; best >= 0 && i < 2; i++) {
        const struct mistake *of = &m[i ? GAINS + best%DRAWS : best/DRAWS];
        if (fabs(of->factor - 1) > 1e-9) to[n++] = of->words;
    }
    return n;
}

/* "0.2912 to 0.2931", or one number if both are that; of large ones only three digits. */
static const char *range_text(const double range[2], char out[32])
{
    int n = snprintf(out, 32, range[0] < 1000 ? "%.4f" : "%.3g", range[0]);
    if (range[1] - range[0] >= 0.00005)
        snprintf(out + n, 32 - (size_t)n, range[1] < 1000 ? " to %.4f" : " to %.3g", range[1]);
    return out;
}

/* The letter that stands for these words below the table. */
static char letter_of(const char *said[26], int *letters, const char *words)
{
    int i = 0;
    while (i < *letters && strcmp(said[i], words) != 0) i++;
    if (i == *letters && i < 26) said[(*letters)++] = words;
    return i < 26 ? (char)('a' + i) : '?';
}

/* A row for all that is alike, letters for what is wrong, their words; how many are not as due. */
static int network_print(const struct network *net, FILE *f)
{
    double score[2][PAIRS];
    const char *said[26], *words[3];
    char gain[32], due[32];
    int wide = 6, wrong = 0, letters = 0;
    const struct alike *a, *end = net->at + net->n;
    for (a = net->at; a < end; a++) if ((int)strlen(a->name) > wide) wide = (int)strlen(a->name);
    for (int stack = 0; stack < 2; stack++) scores_of(net, stack, score[stack]);
    fprintf(f, "%-*s      layers  gain              due     ratio\n", wide, "matrix");
    for (a = net->at; a < end; a++) {
        const char *fault = fault_of(a);
        double ratio = sqrt(a->squares/a->count);
        int n = 0;
        if (!fault) n = causes_of(a, &net->c, score[a->stack], words);
        else if (*fault) words[n++] = fault;
        if (a->layers > 1 && a->copies == a->layers - 1)
            words[n++] = "one draw, copied to all layers";
        fprintf(f, "%-*s  %-2s  %6d  %-16s  %-6s  ", wide, a->name, matrix_name[a->which],
                a->layers, range_text(a->gain, gain), range_text(a->due, due));
        if (n) fprintf(f, ratio < 1000 ? "%.3f " : "%.3g ", ratio);
        if (fault == layers_differ)
            fprintf(f, " %.3f in layer %d to %.3f in layer %d", a->ratio[0], a->layer[0],
                    a->ratio[1], a->layer[1]);
        for (int k = 0; k < n; k++) fprintf(f, " (%c)", letter_of(said, &letters, words[k]));
        fputs(n ? "\n" : "ok\n", f);
        wrong += n > 0;
    }
    for (int i = 0; i < letters; i++) fprintf(f, "(%c) %s\n", 'a' + i, said[i]);
    return wrong;
}

static void gains_print(const dn_config *c)
{
    for (int stack = 0; stack < 2; stack++) {
        int last = layers_of(c, stack) - 1;
        if (last < 0) continue;
        dn_gains low = dn_gains_of(c, stack, 0), high = dn_gains_of(c, stack, last);
        printf("# %s, %d layers: alpha %.6f, beta %.6f", stack ? "decoder" : "encoder", last + 1,
               low.alpha, low.beta);
        if (memcmp(&low, &high, sizeof low) != 0)
            printf(" in the first layer, %.6f, %.6f in the last", high.alpha, high.beta);
        if (low.branch < 1) printf("; branches times %.6f", low.branch);
        putchar('\n');
    }
}

static int run_check_init(struct session *s)
{
    struct network net = { .path = s->o.file, .map = s->o.map, .c = s->o.model };
    char err[DN_ERR_MAX];
    if (!net.path) fail(2, "check-init needs a file, of safetensors");
    if (dn_config_check(&net.c, err) != DN_OK) fail(2, "%s: %s", net.path, err);
    FILE *f = checkpoint_open(net.path, &net.io);
    network_visit(&net, matrix_measure);
    fclose(f);
    if (net.n == 0)
        fail(1, "%s: no matrix of floats in it has a name that is known to be of Q, K, V, O, W1 "
             "or W2; --map END=KIND,... tells, as in --map attn.query=q", net.path);
    long long step = step_of_file(net.path);
    if (step > 0)
        say("note: %s is of step %lld, and these are no longer first values", net.path, step);
    gains_print(&net.c);
    int wrong = network_print(&net, stdout);
    if (*net.other) printf("not looked at: other matrices, such as %s\n", net.other);
    if (wrong) printf("%d of %zu are not as due\n", wrong, net.n);
    else puts("all are as due; that the skip is multiplied by alpha, matrices cannot show");
    free(net.at);
    return wrong > 0;
}

/* ---- plot: columns of CSV files as an SVG drawing ---------------------------------------- */

enum { CELLS_MAX = 256, TICKS_MAX = 128, LABEL_MAX = 48 };

/* Mid tones, which show on a light page and on a dark one. */
static const char *const colours[] = { "#3b82c4", "#d9701a", "#2f9e58", "#d9484f", "#9467d0",
                                       "#a0694b", "#d667b0", "#1a9c9c", "#8f8f1f", "#7f8790" };
#define GREY "#777"
static const char *const dashes[] = { "none", "7 4", "2 4.5", "11 4 2 4" };
static const char *const shapes[] = {         /* drawn around the point itself */
    "m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z", "m-3.3-3.3h6.6v6.6h-6.6z",
    "m0-4.4l4.2 7.2h-8.4z", "m0-4.7l4.2 4.7-4.2 4.7-4.2-4.7z", "m0 4.4l4.2-7.2h-8.4z" };

struct series {
    const char *file, *by;                    /* its group */
    int group, column;
    double (*at)[2];                          /* x and y; y is NaN where the line is broken */
    size_t n, room;
    double last;
    char name[2*LABEL_MAX];                   /* what distinguishes it from the others */
    const char *colour, *dash, *shape;
};

struct plot {
    const char *x, *by, *title;
    char y[SERIES_MAX][LABEL_MAX];            /* the columns to draw, */
    int columns, optional;                    /* their number; may a file lack some? */
    int files, groups, n;                     /* files read; groups of lines; lines */
    int whole, several;                       /* files are named with their directories; more than
                                                 one column has lines */
    int log[2];                               /* is the axis logarithmic? */
    struct series s[SERIES_MAX];
    double low[2], high[2];                   /* the ends of the axes (log10 if logarithmic), */
    double from[2], to[2];                    /* and where they are in the drawing */
};

struct tick { double at; char label[24]; };                   /* "": a minor tick */

static struct plot plot_of(const struct options *o)
{
    const char *y = o->y ? o->y : "loss,val";
    struct plot p = { .x = o->x, .title = o->title, .optional = !o->y };
    if (o->log_axes && (!*o->log_axes || o->log_axes[strspn(o->log_axes, "xy")]))
        fail(2, "the logarithmic axes cannot be '%s'; they are x, y or xy", o->log_axes);
    for (int axis = 0; axis < 2; axis++)
        p.log[axis] = o->log_axes && strchr(o->log_axes, "xy"[axis]);
    for (;; y++) {
        size_t n = strcspn(y, ",");
        if (n == 0 || n >= LABEL_MAX || p.columns == SERIES_MAX)
            fail(2, "--y must be a list of columns, such as loss,val, not '%s'", o->y);
        memcpy(p.y[p.columns++], y, n);       /* the rest is 0: a NUL follows */
        y += n;
        if (!*y) return p;
    }
}

static void plot_free(struct plot *p)
{
    for (int i = 0; i < p->n; i++) free(p->s[i].at);
}

/* The next cell of a line, ended in place and without its quotes; in quotes "" means one ". */
static char *cell_next(char **rest)
{
    char *from = *rest + strspn(*rest, " \t"), *in = from, *to;
    if (*from == '"') {
        for (in = to = ++from; *in && (*in != '"' || *++in == '"'); ) *to++ = *in++;
        in += strcspn(in, ",");
    } else {
        in += strcspn(in, ",");
        to = in;
        while (to > from && strchr(" \t", to[-1])) to--;
    }
    *rest = *in ? in + 1 : NULL;
    *to = 0;
    return from;
}

static int cells_split(char *line, char **cell)
{
    int n = 0;
    while (line && n < CELLS_MAX) cell[n++] = cell_next(&line);
    return line ? n + 1 : n;
}

/* A number that can be drawn, or NaN. */
static double number(const char *cell)
{
    char *end;
    double v = strtod(cell, &end);
    return end > cell && !*end && fabs(v) < 1e300 ? v : NAN;
}

static int column_find(const char *file, char **cell, int n, const char *name, int optional)
{
    char have[512] = "";
    for (int i = 0; i < n; i++) {
        size_t end = strlen(have);
        if (strcmp(cell[i], name) == 0) return i;
        snprintf(have + end, sizeof have - end, "%s%s", i ? ", " : "", cell[i]);
    }
    if (!optional) fail(2, "%s: there is no column '%s' among %s", file, name, have);
    return -1;
}

/* The line of a group and a column.  It is made only at its first number: a group without any
 * takes no colour. */
static struct series *series_find(struct plot *p, const char *file, const char *by, int column,
                                  int make)
{
    int group = p->groups;
    for (int i = 0; i < p->n; i++)
        if (p->s[i].file == file && strcmp(p->s[i].by, by) == 0) {
            group = p->s[i].group;
            if (p->s[i].column == column) return &p->s[i];
        }
    if (!make) return NULL;
    if (p->n == SERIES_MAX) fail(1, "%s: there are more than %d lines to draw", file, SERIES_MAX);
    if (group == p->groups) p->groups++;
    p->several |= column != p->s[0].column && p->n;
    struct series *s = &p->s[p->n++];
    *s = (struct series){ .file = file, .by = by, .group = group, .column = column };
    return s;
}

/* An empty cell is skipped; one that is no number breaks the line. */
static void point_add(struct plot *p, const char *file, const char *by, int column, double x,
                      const char *cell)
{
    double y = number(cell);
    if (p->log[1] && !(y > 0)) y = NAN;
    if (!*cell || isnan(x) || (p->log[0] && !(x > 0))) return;
    struct series *s = series_find(p, file, by, column, !isnan(y));
    if (!s) return;
    s->at = grow(s->at, &s->room, s->n + 1, sizeof *s->at);
    s->at[s->n][0] = x;
    s->at[s->n++][1] = y;
    if (!isnan(y)) s->last = y;
}

/* Read the lines of a CSV file, which must outlive the plot: names point into them. */
static void plot_read(struct plot *p, const char *file, struct lines *l)
{
    char *cell[CELLS_MAX], nothing[1] = "";
    int x = 0, by = -1, y[SERIES_MAX], width = 0, found = 0;
    for (size_t i = 0; i < l->n; i++) {
        char *line = l->text.at + l->start[i];
        l->text.at[l->start[i + 1] - 1] = 0;
        line += strspn(line, " \t");
        if (!*line || *line == '#') continue;
        int n = cells_split(line, cell), most = width ? width : CELLS_MAX;
        if (n > most) fail(1, "%s:%zu: there are more than %d cells", file, i + 1, most);
        while (n < width) cell[n++] = nothing;
        for (int k = 0; k < p->columns && width; k++)
            if (y[k] >= 0)
                point_add(p, file, by < 0 ? "" : cell[by], k, number(cell[x]), cell[y[k]]);
        if (width) continue;
        width = n;
        x = column_find(file, cell, n, p->x, 0);
        if (p->by) by = column_find(file, cell, n, p->by, 0);
        for (int k = 0; k < p->columns; k++) {
            y[k] = column_find(file, cell, n, p->y[k], p->optional);
            found |= y[k] >= 0;
        }
        if (!found) column_find(file, cell, n, p->y[0], 0);
    }
    if (!width) fail(1, "%s: the file has no table", file);
    p->files++;
}

/* The ends of the axes, a little beyond the points, but at 0 if the points begin near it.  A single
 * value gets some room around it. */
static void plot_range(struct plot *p)
{
    for (int axis = 0; axis < 2; axis++) {
        double low = HUGE_VAL, high = -HUGE_VAL;
        for (int i = 0; i < p->n; i++)
            for (size_t k = 0; k < p->s[i].n; k++) {
                double v = p->s[i].at[k][axis];
                if (isnan(p->s[i].at[k][1])) continue;
                if (p->log[axis]) v = log10(v);
                if (v < low) low = v;
                if (v > high) high = v;
            }
        double more = high - low > 1e-9*fabs(high) ? (axis ? 0.05 : 0.02)*(high - low)
                    : p->log[axis] ? 0.5 : fabs(low) > 1e-12 ? fabs(low)/2 : 1;
        p->low[axis] = low >= 0 && low < more && !p->log[axis] ? 0 : low - more;
        p->high[axis] = high + more;
    }
}

/* Where a value is in the drawing. */
static double place(const struct plot *p, int axis, double v)
{
    if (p->log[axis]) v = log10(v);
    double part = (v - p->low[axis])/(p->high[axis] - p->low[axis]);
    return p->from[axis] + part*(p->to[axis] - p->from[axis]);
}

/* A tick and its number, with the decimals that steps of this size need. */
static struct tick tick_at(double at, double step)
{
    struct tick t = { at, "" };
    double size = fabs(at) > step ? fabs(at) : step;
    int decimals = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    int digits = (int)ceil(log10(size/step)) + 1;
    if (size < 1e6 && decimals < 6)
        snprintf(t.label, sizeof t.label, "%.*f", decimals, at);
    else
        snprintf(t.label, sizeof t.label, "%.*g", digits < 15 ? digits : 15, at);
    char *e = strchr(t.label, 'e');           /* 1e+06 as 1e6 */
    if (e) snprintf(e + 1, sizeof t.label - (size_t)(e + 1 - t.label), "%d", atoi(e + 1));
    return t;
}

/* Steps of 1, 2 or 5 times a power of ten, at most `most` of them. */
static int ticks_linear(double low, double high, int most, struct tick *t)
{
    double step = pow(10, floor(log10((high - low)/most)));
    for (int i = 0; i < 3 && (high - low)/step > most; i++) step *= i == 1 ? 2.5 : 2;
    int n = 0;
    for (double k = ceil(low/step); k*step <= high && n < TICKS_MAX; k++)
        t[n++] = tick_at(k > 0 || k < 0 ? k*step : 0, step);          /* not -0 */
    return n;
}

/* Powers of ten, and 2 .. 9 between them, of which 2 and 5 are labelled if there is room.  An axis
 * of less than 0.7 decades could have no label at all: there the steps are linear. */
static int ticks_log(double low, double high, int most, struct tick *t)
{
    int n = 0, each = 1 + (int)((high - low)/most);
    if (high - low < 0.7) return ticks_linear(pow(10, low), pow(10, high), most, t);
    for (int decade = (int)floor(low); decade <= high; decade++)
        for (int k = 1; k < (high - low > most ? 2 : 10); k++) {
            struct tick now = { k*pow(10, decade), "" };
            if (log10(now.at) < low || log10(now.at) > high || n == TICKS_MAX
                || ((int)(high - low) >= TICKS_MAX && decade % each))
                continue;
            if (k == 1 ? decade % each == 0 : high - low < 2.2 && (k == 2 || k == 5))
                now = tick_at(now.at, pow(10, decade));
            t[n++] = now;
        }
    return n;
}

/* The length of the UTF-8 character that begins s; 0: it is malformed, or not allowed in XML. */
static int character(const char *s)
{
    static const long least[] = { 0, 0x20, 0x80, 0x800, 0x10000 };       /* code, by length */
    int lead = s[0] & 0xFF, n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    long code = n == 1 ? lead : lead & 0x7F >> n;
    if ((lead >= 0x80 && lead < 0xC0) || lead >= 0xF8) return 0;
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    return code < least[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)
           || (code | 1) == 0xFFFF ? 0 : n;
}

/* Print a text as XML. */
static void xml_print(FILE *f, const char *s)
{
    static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    static const char plain[] = "&<>\"";
    for (int n; *s; s += n ? n : 1) {
        const char *found = strchr(plain, *s);
        n = character(s);
        if (found || !n)
            fputs(found ? names[found - plain] : "?", f);
        else
            fwrite(s, 1, (size_t)n, f);
    }
}

static void text_print(FILE *f, double x, double y, const char *how, const char *s)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, how);
    xml_print(f, s);
    fputs("</text>\n", f);
}

/* The characters of a text: its bytes, less those that continue one. */
static int text_width(const char *s)
{
    int n = 0;
    for (; *s; s++) n += (*s & 0xC0) != 0x80;
    return n;
}

/* The name and the look of a line.  Groups differ by colour and columns by dashes; the columns of a
 * single group differ by colour. */
static void series_style(const struct plot *p, struct series *s)
{
    const char *file = p->files < 2 ? "" : p->whole ? s->file : base_name(s->file);
    const char *y = p->several || (!*file && !*s->by) ? p->y[s->column] : "";
    size_t n = strlen(file);
    if (n > 4 && strcmp(file + n - 4, ".csv") == 0) n -= 4;
    if (n >= LABEL_MAX) {
        file += n - (LABEL_MAX - 1);
        n = LABEL_MAX - 1;
    }
    snprintf(s->name, sizeof s->name, "%.*s%s%.22s%s%.22s", (int)n, file, n && *s->by ? " " : "",
             s->by, (n || *s->by) && *y ? " " : "", y);
    int which = p->groups > 1 ? s->group : s->column, round = which/LENGTH(colours);
    int other = p->groups > 1 && p->several ? s->column : 0;
    s->colour = colours[which % LENGTH(colours)];
    s->dash = dashes[(other + round) % LENGTH(dashes)];
    s->shape = shapes[(which + other + round) % LENGTH(shapes)];
}

/* The legend has the order in which the lines end, from the top. */
static int series_order(const void *left, const void *right)
{
    const struct series *a = left, *b = right;
    if (a->last > b->last || a->last < b->last) return a->last > b->last ? -1 : 1;
    return a->group != b->group ? a->group - b->group : a->column - b->column;
}

static void path_begin(FILE *f, const struct series *s)
{
    fprintf(f, "<path class=\"line\" stroke=\"%s\" stroke-dasharray=\"%s\" d=\"", s->colour,
            s->dash);
}

/* The line, with marks at its points if they are few, and at some of them if the lines are many. */
static void series_print(const struct plot *p, int i, FILE *f)
{
    enum { FEW = 40, MARKS = 6 };
    const struct series *s = &p->s[i];
    size_t each = s->n <= FEW ? 1 : s->n/MARKS, from = 0;
    if (s->n > FEW)                           /* marks of neighbours are apart: sevenths of each */
        from = p->n > 4 ? (size_t)i*5%7*each/7 : s->n;
    int pen = 0;
    path_begin(f, s);
    for (size_t k = 0; k < s->n; k++) {
        const double *at = s->at[k];
        if (!isnan(at[1]))                    /* h0: a single point is a dot */
            fprintf(f, "%c%.1f %.1f%s", pen ? 'L' : 'M', place(p, 0, at[0]), place(p, 1, at[1]),
                    pen ? "" : "h0");
        pen = !isnan(at[1]);
    }
    fprintf(f, "\"/>\n<path fill=\"%s\" d=\"", s->colour);
    for (size_t k = from; k < s->n; k += each)
        if (!isnan(s->at[k][1]))
            fprintf(f, "M%.1f %.1f%s", place(p, 0, s->at[k][0]), place(p, 1, s->at[k][1]),
                    s->shape);
    fputs("\"/>\n", f);
}

/* The names beside the plot, under the name of the column they come from. */
static void legend_print(const struct plot *p, FILE *f)
{
    double x = p->to[0] + 22, y = p->to[1] + 8;
    if (p->by) text_print(f, x, y + 4.5, " font-style=\"italic\"", p->by);
    for (int i = 0; i < p->n; i++) {
        const struct series *s = &p->s[i];
        double at = y + 20*(i + (p->by ? 1 : 0));
        path_begin(f, s);
        fprintf(f, "M%.1f %.1fh30\"/><path fill=\"%s\" d=\"M%.1f %.1f%s\"/>\n", x, at, s->colour,
                x + 15, at, s->shape);
        text_print(f, x + 38, at + 4.5, "", s->name);
    }
}

static int ticks(const struct plot *p, int axis, struct tick *t)
{
    return (p->log[axis] ? ticks_log : ticks_linear)(p->low[axis], p->high[axis], axis ? 7 : 9, t);
}

/* Grid and numbers of both axes. */
static void axes_print(const struct plot *p, FILE *f)
{
    struct tick t[TICKS_MAX];
    for (int axis = 0; axis < 2; axis++) {
        int n = ticks(p, axis, t);
        for (int i = 0; i < n; i++) {
            double at = place(p, axis, t[i].at);
            fprintf(f, "<path class=\"grid\" stroke-opacity=\"%s\" d=\"M%.1f %.1f%c%.1f\"/>\n",
                    *t[i].label ? ".28" : ".12", axis ? p->from[0] : at, axis ? at : p->from[1],
                    axis ? 'H' : 'V', axis ? p->to[0] : p->to[1]);
            if (*t[i].label && axis)
                text_print(f, p->from[0] - 9, at + 4.5, " text-anchor=\"end\"", t[i].label);
            else if (*t[i].label)
                text_print(f, at, p->from[1] + 20, " text-anchor=\"middle\"", t[i].label);
        }
    }
    fprintf(f, "<path class=\"grid\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", p->from[0], p->to[1],
            p->from[1], p->to[0]);
}

/* Make room for the axes, the title and, if there are several lines, their names. */
static void plot_layout(struct plot *p, double *width, double *height)
{
    struct tick t[TICKS_MAX];
    int numbers = 0;
    for (int i = ticks(p, 1, t); i-- > 0; )
        if (text_width(t[i].label) > numbers) numbers = text_width(t[i].label);
    double most = p->by ? text_width(p->by) : 0;
    for (int i = 0; i < p->n; i++)
        if (text_width(p->s[i].name) > most) most = text_width(p->s[i].name);
    most = p->n > 1 ? 60 + 7.2*most : 0;
    *width = most > 320 ? 640 + most : 960;
    *height = p->n > 21 ? 120 + 20*(p->n + 1) : 540;
    p->from[0] = 46 + 8*numbers;
    p->to[0] = *width - 24 - most;
    p->from[1] = *height - 62;
    p->to[1] = p->title ? 56 : 24;
}

static void plot_print(struct plot *p, FILE *f)
{
    char y[SERIES_MAX*(LABEL_MAX + 2)] = "", how[80];
    double width, height;
    for (int i = 0; i < p->n; i++) series_style(p, &p->s[i]);
    qsort(p->s, (size_t)p->n, sizeof *p->s, series_order);
    plot_range(p);
    plot_layout(p, &width, &height);
    for (int k = 0; k < p->columns; k++)
        for (int i = 0; i < p->n; i++)
            if (p->s[i].column == k) {
                strcat(strcat(y, *y ? ", " : ""), p->y[k]);
                break;
            }
    fprintf(f, "%s\"0 0 %.0f %.0f\" font-size=\"13\" fill=\"" GREY "\" font-family=\""
            "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif\">\n"
            "<style>.grid{fill:none;stroke:" GREY "}.line{fill:none;stroke-width:1.8;"
            "stroke-linejoin:round;stroke-linecap:round}</style>\n", svg_head, width, height);
    if (p->title)
        text_print(f, p->from[0], 32, " font-size=\"17\" font-weight=\"600\"", p->title);
    axes_print(p, f);
    text_print(f, (p->from[0] + p->to[0])/2, height - 16, " text-anchor=\"middle\"", p->x);
    snprintf(how, sizeof how, " text-anchor=\"middle\" transform=\"rotate(-90 20 %.1f)\"",
             (p->from[1] + p->to[1])/2);
    text_print(f, 20, (p->from[1] + p->to[1])/2, how, y);
    for (int i = 0; i < p->n; i++) series_print(p, i, f);
    if (p->n > 1) legend_print(p, f);
    fputs("</svg>\n", f);
}

/* ---- progress ---------------------------------------------------------------------------- */

struct progress {
    double begun, drawn, before;              /* when the run began and the last line was
                                                 drawn; the seconds the log already has */
    int64_t first;                            /* steps before this run */
    double nll, tokens, seconds;              /* sums since the last line, */
    int steps;                                /* and the steps they are over */
    FILE *csv;
    struct text rows;                         /* the lines of the log, for --plot */
    size_t room;
};

/* A row that the log lacks is lost for good, so the first failure stays. */
static void log_failed(struct session *s)
{
    if (!s->lost[LOG]) written(s, LOG, unwritten(s->o.log, strerror(errno)));
}

/* Add a line to the log, which begins with its header, and to what will be drawn.  One that was
 * written in part goes again, or the next would stand in the same line. */
static void row_add(struct session *s, struct progress *p, const char *row)
{
    size_t n = strlen(row);
    int64_t end = p->csv && !is_special(s->o.log) ? size_of(p->csv) : -1;
    int lacks = end == 0 && row != log_header;             /* it could not be written then */
    if (p->csv && ((lacks && fputs(log_header, p->csv) < 0) || fputs(row, p->csv) < 0)) {
        log_failed(s);
        if (end >= 0 && size_of(p->csv) > end) file_cut(p->csv, (size_t)end);
    }
    if (!s->o.plot) return;
    p->rows.at = grow(p->rows.at, &p->room, p->rows.n + n + 1, 1);
    memcpy(p->rows.at + p->rows.n, row, n + 1);               /* with the NUL */
    p->rows.n += n;
}

/* Draw the rows so far; of a header alone only see whether they could be.  Of a copy, because lines
 * and cells are ended in place.  What is no regular file, such as a pipe, gets one drawing, at the
 * end. */
static void progress_plot(struct session *s, const struct progress *p)
{
    if (!s->o.plot || rank) return;
    struct text copy = { resize(NULL, p->rows.n + 1, 1), p->rows.n };
    memcpy(copy.at, p->rows.at, copy.n);
    struct lines l = lines_split(copy);
    struct plot drawing = plot_of(&s->o);
    plot_read(&drawing, s->o.log ? s->o.log : "--plot", &l);
    if (drawing.n > 0 && (s->last || !is_special(s->o.plot))) {
        struct part part = part_open(s->o.plot);
        if (part.f) plot_print(&drawing, part.f);
        written(s, PLOT, part_close(&part, 1, 0));
    }
    plot_free(&drawing);
    free(l.text.at);
    free(l.start);
}

/* Does a \r on stderr return to the start of the line? */
static int can_rewrite(void)
{
    const char *term = getenv("TERM");
    return is_terminal(stderr) && !(term && strcmp(term, "dumb") == 0);
}

/* How much of a line fits into that of a terminal, whole columns of it, which two blanks part. */
static int fitting(const char *line)
{
    int width = terminal_width(), n = (int)strlen(line);
    if (!is_terminal(stderr)) return n;
    if (width <= 0) width = 80;
    while (n >= width && n > 0)
        for (n--; n > 0 && memcmp(line + n, "  ", 2) != 0; ) n--;
    return n ? n : width > 1 ? width - 1 : 1;
}

/* The bytes of the rows up to this step.  Later ones are of steps that were lost or given up, and
 * a last row without its end does not count. */
static size_t rows_until(struct text t, int64_t step)
{
    size_t keep = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.at[i] != '\n') continue;
        if (keep > 0 && strtod(t.at + keep, NULL) > (double)step) break;      /* no header */
        keep = i + 1;
    }
    return keep;
}

/* Where the last row begins, of a text that is not NULL. */
static const char *last_row(struct text rows)
{
    size_t at = rows.n;
    while (at > 1 && rows.at[at - 2] != '\n') at--;
    return rows.at + (at ? at - 1 : 0);
}

/* Does a row of the log end in the hash of these parameters? */
static int row_is_of(const dn_model *m, const char *row, const char *end)
{
    char hash[24];
    int n = snprintf(hash, sizeof hash, ",%016llx\n", (unsigned long long)parameters_hash(m));
    return end - row >= n && memcmp(end - n, hash, (size_t)n) == 0;
}

/* Is the log of the run that a model is from?  Then the last row up to its step is of that step and
 * these parameters: a log begins with a row of its first model, and checkpoints are saved after
 * theirs. */
static int is_log_of(const dn_model *m, struct text rows)
{
    if (rows.n < sizeof log_header || strncmp(rows.at, log_header, sizeof log_header - 1) != 0)
        return 0;
    rows.n = rows_until(rows, dn_step_count(m));
    const char *row = last_row(rows);
    return strtoll(row, NULL, 10) == dn_step_count(m) && row_is_of(m, row, rows.at + rows.n);
}

/* Keep the rows of the log up to this step, for --plot too.  A run that was killed has logged steps
 * after its last checkpoint, which now come again, and so has one that goes back, whose log is its
 * own whatever is in it; none are cut by a run that has ended.  Another's go, all of them and only
 * if they may. */
static void rows_restore(const struct session *s, struct progress *p, int64_t step, int back)
{
    const char *log = s->o.log;
    int64_t size = size_of(p->csv);
    size_t all = p->room = size > 0 ? (size_t)size : 0;
    p->rows = (struct text){ resize(p->rows.at, all + 1, 1), all };
    if (size < 0 || fread(p->rows.at, 1, all, p->csv) != all)
        fail(1, "%s: %s", log, strerror(errno));
    p->rows.at[all] = 0;
    int ours = back || is_log_of(s->m, p->rows), may = back || s->o.force;
    size_t keep = !ours ? 0 : has_ended(s) ? all : rows_until(p->rows, step);
    if (!ours && !may && all >= sizeof log_header)
        fail(2, "%s is the log of another run; --log NAME keeps it, --force cuts it", log);
    if (ours && !may && keep < all && !is_in_place(&s->o))
        fail(2, "%s has rows after step %lld; --log NAME keeps them, --force cuts them", log,
             (long long)step);
    p->rows.n = keep;
    if ((keep < all && !file_cut(p->csv, keep)) || !seek_to(p->csv, keep))
        fail(1, "%s: could not be cut: %s", log, errno ? strerror(errno) : "not on this system");
}

/* Open the log where the run stands, and lock it before anything of it goes.  When the run goes
 * back, it is open already, and stays so: the reader of a pipe would take a close for the end, and
 * another run a lock that is gone for leave to write. */
static void log_open(const struct session *s, struct progress *p)
{
    int64_t step = dn_step_count(s->m);
    p->rows.n = rows_until(p->rows, step);
    int back = p->csv != NULL;
    if (!s->o.log || rank) return;
    int special = is_special(s->o.log);
    if (!back) p->csv = fopen(s->o.log, special ? "ab" : "a+b");
    if (!p->csv) fail(1, "%s: %s", s->o.log, strerror(errno));
    if (!back) setvbuf(p->csv, NULL, _IONBF, 0);     /* rows go at once; a failed one never later */
    if (special) return;
    if (!file_keep(p->csv))
        fail(1, "%s: another run writes it; give --log another name", s->o.log);
    rows_restore(s, p, step, back);
}

/* A log that goes on has a row of this model, see rows_restore(), and a new one begins with it. */
static void progress_open(struct session *s, struct progress *p)
{
    char row[80], *end;
    *p = (struct progress){0};
    p->begun = p->drawn = seconds();
    p->first = dn_step_count(s->m);
    log_open(s, p);
    if (p->rows.n) {
        strtod(last_row(p->rows), &end);
        p->before = *end == ',' ? strtod(end + 1, NULL) : 0;
        return;
    }
    row_add(s, p, log_header);
    if (!p->csv) return;
    snprintf(row, sizeof row, "%lld,0.00,,,,,,%016llx\n", (long long)p->first,
             (unsigned long long)parameters_hash(s->m));
    row_add(s, p, row);
}

static void sums_clear(struct progress *p)
{
    p->nll = p->tokens = p->seconds = 0;
    p->steps = 0;
}

/* After a step, print a line if one is due: the mean loss since the last line, without label
 * smoothing so that it compares with val, and the tokens of all streams per second.  val < 0: not
 * measured.  On a terminal a line without val may come early, and the next one overwrites it. */
static void progress_step(struct session *s, struct progress *p, int64_t step,
                          const dn_stats *stats, double val)
{
    char line[200], tokens[16], eta[16], value[32] = "";
    double now = seconds(), spent = now - p->begun, rate = p->tokens/(p->seconds + 1e-9);
    double nll = p->nll/p->steps;
    double left = spent/(double)(step - p->first)*(double)(s->o.model.steps - step);
    int saves = s->last || val >= 0 || step % s->o.save_every == 0;
    int due = saves || step % s->o.log_every == 0;
    int rewrite = !s->last && val < 0 && !rank && can_rewrite();
    if (!due && !(rewrite && now - p->drawn > 0.5)) return;
    if (s->o.minutes > 0 && left > 60*s->o.minutes - spent) left = 60*s->o.minutes - spent;
    if (val >= 0) snprintf(value, sizeof value, "  val %.3f", val);
    int digits = snprintf(line, sizeof line, "%d", s->o.model.steps);
    snprintf(line, sizeof line,
             "step %*lld/%d  loss %.3f%*s  lr %.1e  %6s tok/s  ETA %-4s  gnorm %#.3g", digits,
             (long long)step, s->o.model.steps, nll, s->valid.name ? 11 : 0, value, stats->lr,
             human(rate, tokens), clock_text(left, eta), stats->grad_norm);
    int n = fitting(line);
    if (rewrite)
        line_open = fprintf(stderr, "\r%.*s\033[K", n, line) > 0;
    else
        say("%.*s", n, line);
    p->drawn = now;
    if (!due) return;
    if (val >= 0) snprintf(value, sizeof value, "%.9g", val);
    snprintf(line, sizeof line, "%lld,%.2f,%.9g,%s,%.9g,%.9g,%.0f,%016llx\n", (long long)step,
             spent + p->before, nll, value, stats->lr, stats->grad_norm, rate,
             p->csv ? (unsigned long long)parameters_hash(s->m) : 0);
    row_add(s, p, line);
    /* On the disk before the checkpoint, since is_log_of() will look for its row. */
    if (p->csv && saves && !is_special(s->o.log) && !flush_to_disk(p->csv)) log_failed(s);
    sums_clear(p);
}

/* ---- training ---------------------------------------------------------------------------- */

/* The names of the data, where the options give none: the default corpus, texts or pairs. */
static void texts_name(struct options *o)
{
    if (o->source || o->target || o->valid_source || o->valid_target || o->test_source
        || o->test_target)
        fail(2, "pairs of files make a translator, which --arch %s is not; use --text",
             o->model.arch == DN_DECODER ? "decoder" : "encoder");
    if (!o->text) {
        o->text = "data/train.en";
        if (!o->valid_text) o->valid_text = "data/val.en";
    }
}

static void pairs_name(struct options *o)
{
    if (o->text || o->valid_text)
        fail(2, "--text and --valid-text are for a language model; add --arch decoder "
                "(or encoder)");
    if (!o->source && !o->target) {
        o->source = "data/train.de";
        o->target = "data/train.en";
        if (!o->valid_source && !o->valid_target) {
            o->valid_source = "data/val.de";
            o->valid_target = "data/val.en";
        }
        if (!o->test_source && !o->test_target) {
            o->test_source = "data/test.de";
            o->test_target = "data/test.en";
        }
    }
    if (!o->source != !o->target || !o->valid_source != !o->valid_target
        || !o->test_source != !o->test_target)
        fail(2, "a file of sources needs one of targets: --source and --target, "
                "--valid-source and --valid-target, --test-source and --test-target");
}

static void data_open(struct session *s)
{
    const struct options *o = &s->o;
    const char *valid = is_text(s) ? o->valid_text : o->valid_target;
    s->train = corpus_open(o->source, is_text(s) ? o->text : o->target);
    s->valid = valid ? corpus_open(o->valid_source, valid)
             : is_text(s) ? text_hold_out(&s->train) : pairs_hold_out(&s->train);
    if (o->test_source) s->test = corpus_open(o->test_source, o->test_target);
}

/* Turn the texts into tokens, and say how many there are. */
static void data_encode(struct session *s)
{
    size_t most = (size_t)s->o.model.ctx;
    struct corpus *c = &s->train, *v = &s->valid;
    corpus_encode(c, &s->tok, most, 1);
    corpus_encode(v, &s->tok, most, 0);
    corpus_encode(&s->test, &s->tok, most, 0);
    if (c->strange)
        say("note: %zu bytes of the data are not UTF-8, and are learned as they are; is it another "
            "encoding? iconv -f LATIN1 -t UTF-8 FILE > NEW", c->strange);
    if (!v->name && s->o.patience) fail(2, "--patience needs data to validate on");
    if (!v->name) say("note: too little data to hold a tenth out: no validation");
    if (is_text(s)) {
        say("data: %.0f tokens of %s", (double)text_tokens(c), c->name);
        if (v->name) say("validation: all %.0f tokens of %s", (double)text_tokens(v), v->name);
        if (text_tokens(c) < most)
            say("note: the text is shorter than --ctx %zu, and so are its rows", most);
        return;
    }
    if (c->seq[0].n == 0)
        fail(1, "%s and %s: no pair is left: %zu have more than %zu tokens (--ctx), %zu an empty "
             "side", s->o.source, s->o.target, c->cut, most, c->empty);
    say("data: %zu pairs of %s; %zu of more than %zu tokens dropped", c->seq[0].n, c->name, c->cut,
        most);
    if (c->empty) say("note: %zu pairs with an empty side were dropped, too", c->empty);
    if (v->name) say("validation: all %zu pairs of %s", v->seq[0].n, v->name);
    cuts_say(s, v);
    cuts_say(s, &s->test);
}

/* Count the pairs of a step without reading them. */
static void step_skip(struct session *s)
{
    struct batch b = {0};
    for (int i = 0; i < s->o.accum; i++) batch_next(s, &b, 0);
}

/* --epochs in steps.  How many pairs fill a batch depends on their order, so the batches of pairs
 * are counted one by one; but where they are very many, only those of the first epochs, since the
 * others have nearly as many. */
static int steps_of_epochs(struct session *s)
{
    double steps = 0;
    const struct corpus *c = &s->train;
    if (is_text(s)) {
        int len = row_tokens(s, c), rows = s->o.model.batch_tokens/len;
        double each = (double)len*rows*s->o.accum;
        steps = ceil((double)text_tokens(c)*s->o.epochs/each);
    } else {
        uint64_t n = c->seq[0].n, most = n < 1 << 25 ? (1 << 25)/n : 1;
        uint64_t some = (uint64_t)s->o.epochs < most ? (uint64_t)s->o.epochs : most;
        for (; s->place < some*n; steps++) step_skip(s);
        steps = floor(steps*s->o.epochs/(double)some);
    }
    s->place = 0;
    return steps < INT_MAX ? (int)steps : INT_MAX;
}

/* Refuse wrong options before any data is read.  --vocab is only a limit until then. */
static void model_check(struct session *s)
{
    char err[DN_ERR_MAX];
    int vocab = s->o.model.vocab, most = 1 << 24;
    if (dn_config_check(&s->o.model, err) != DN_OK) fail(2, "%s", err);
    if (!s->o.file && s->o.model.schedule == DN_COSINE && s->o.model.min_lr > s->o.model.lr)
        fail(2, "lr is smaller than min-lr, where the cosine ends");
    if (!is_among("stop rollback", s->o.on_divergence))
        fail(2, "--on-divergence cannot be '%s'; it is stop or rollback", s->o.on_divergence);
    struct progress p = {0};                  /* --x, --y and --log-axes, on a log without rows */
    row_add(s, &p, log_header);
    progress_plot(s, &p);
    free(p.rows.at);
    if (begun_from(&s->o) || dn_tok_bytes(vocab)) return;
    while (!dn_tok_bytes(most)) most /= 2;
    fail(2, "--vocab must be from %d to %d, not %d", DN_MIN_VOCAB, most, vocab);
}

/* As FNV-1a, but 64 bits at a time. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
static uint64_t hash_add(uint64_t hash, uint64_t x) { return (hash ^ x)*UINT64_C(0x100000001b3); }

/* Of all tokens. */
static uint64_t corpus_hash(const struct corpus *c)
{
    uint64_t hash = HASH_START;
    for (int side = !c->lines; side < 2 && c->name; side++) {
        const struct sequences *q = &c->seq[side];
        int ids[1024];
        for (uint64_t at = 0, n; at < q->start[q->n]; at += n) {
            n = q->start[q->n] - at < 1024 ? q->start[q->n] - at : 1024;
            ids_read(q, at, (size_t)n, ids);
            for (size_t i = 0; i < n; i++) hash = hash_add(hash, (uint64_t)ids[i]);
        }
    }
    return hash;
}

/* Of all options on which it depends what processes do together. */
static uint64_t options_hash(const struct options *o)
{
    char value[DN_NAME_MAX];
    int n, others[] = { o->eval_every, o->patience, o->stop_after, o->accum, DN_FMA, o->save_every,
                        o->keep, o->keep_best, is_rollback(o), *o->out != 0, o->epochs, o->stride };
    uint64_t hash = HASH_START;
    const dn_field *field = dn_fields(&n);
    for (int i = 0; i < n; i++) {
        dn_config_get(&o->model, &field[i], value);
        for (const char *p = value; field[i].saved && *p; p++) hash = hash_add(hash, *p & 0xFF);
    }
    for (int i = 0; i < LENGTH(others); i++) hash = hash_add(hash, (uint64_t)others[i]);
    return hash;
}

static uint64_t file_hash(const char *path)
{
    dn_io io;
    FILE *f = checkpoint_open(path, &io);
    uint64_t hash = HASH_START;
    unsigned char piece[4096];
    for (uint64_t at = 0, n; at < io.size; at += n) {
        n = io.size - at < sizeof piece ? io.size - at : sizeof piece;
        if (io_read(f, at, piece, (size_t)n)) fail(1, "%s could not be read", path);
        for (uint64_t i = 0; i < n; i++) hash = hash_add(hash, piece[i]);
    }
    fclose(f);
    return hash;
}

/* Note what the batches are made of, and what the run began with.  A resumed run must have the same
 * data: the hash is over ids, so another text or tokenizer is noticed. */
static void data_note(struct session *s)
{
    uint64_t hash = corpus_hash(&s->train);
    char init[24] = "";
    if (s->o.init && !s->o.file)
        snprintf(init, sizeof init, " %016llx", (unsigned long long)file_hash(s->o.init));
    int n = snprintf(s->data_note, sizeof s->data_note, "%.0f %016llx %d",
             is_text(s) ? (double)text_tokens(&s->train) : (double)s->train.seq[0].n,
             (unsigned long long)hash, s->o.accum);
    char *old = s->o.file ? note_of_file(s->o.file, "data") : NULL;
    ranks_same("the training data", hash);
    s->valid_hash = corpus_hash(&s->valid);
    ranks_same("the validation data", s->valid_hash);
    ranks_same("an option or the build", options_hash(&s->o));
    if (old && (strncmp(old, s->data_note, (size_t)n) != 0 || (old[n] && old[n] != ' ')))
        fail(2, "%s was trained on other data or with another --accum; repeat its options, or "
             "begin a new run with --init %s --out NAME%s", s->o.file, s->o.file,
             is_text(s) || s->o.valid_source ? "" : "; version 1.0 held out the last pairs, see "
             "docs/format.md");
    snprintf(s->data_note + n, sizeof s->data_note - (size_t)n, "%.17s", old ? old + n : init);
    free(old);
}

/* Continue after the checkpoint that is loaded.  The model has its step; the best validation so far
 * is a note, which holds for the data it was made on; and the place among the pairs is counted
 * anew, batch by batch, from lengths alone. */
static void run_restore(struct session *s, const char *path)
{
    int64_t done = dn_step_count(s->m);
    s->best = best_of_note(s, note_of_file(path, "best"), path);
    if (!s->best.step && s->best.on != s->valid_hash)
        say("note: the best validation so far, %.3f, was on other data and no longer counts",
            s->best.loss);
    s->place = 0;
    for (int64_t i = 0; i < done && done < s->o.model.steps && !is_text(s); i++)
        step_skip(s);                         /* but not for a senseless step in the file */
    s->saved = path;
}

/* May OUT and the files beside it be replaced?  If this run has ended in OUT, there is nothing to
 * train: it goes on from its end. */
static void out_check(struct session *s)
{
    int ended = 0;
    ranks_alone(1);
    if (*s->o.out && !rank) ended = replace_check(s, OUT);
    for (int i = OUT_BEST; i < OUTPUTS && !rank && !ended; i++)
        if (s->beside[i]) replace_check(s, i);
    ranks_alone(0);
    ended = ranks_most(ended);
    if (ended) s->o.file = s->o.out;
}

/* Some schemes look at data before the first step: show them the first batch, which training sees
 * again. */
static void profile(struct session *s)
{
    char err[DN_ERR_MAX];
    uint64_t place = s->place;
    batch_next(s, &s->batch[0], 0);
    s->place = place;
    dn_batch view = batch_view(&s->batch[0]);
    check(dn_profile(s->m, &view, err), err);
}

/* Everything a run needs. */
static void train_open(struct session *s)
{
    model_check(s);
    if (is_text(s))
        texts_name(&s->o);
    else
        pairs_name(&s->o);
    for (int i = 0; i <= s->o.keep && *s->o.out; i++) {
        char end[16] = ".best";
        if (i) snprintf(end, sizeof end, ".%d", i);
        if (i || s->o.keep_best) s->beside[OUT_BEST + i] = joined(s->o.out, end);
    }
    if (!rank) outputs_check(s, "out log plot");
    data_open(s);
    out_check(s);
    if (begun_from(&s->o)) tokenizer_load(s, begun_from(&s->o));
    else tokenizer_learn(s);
    data_encode(s);
    data_note(s);
    batches_make(s);
    if (s->o.epochs) s->o.model.steps = steps_of_epochs(s);
    out_check(s);
    s->asked = s->o.model.lr;
    if (s->o.file) s->halved = rate_restore(&s->o.model, &s->asked, s->o.file);
    model_make(s, DN_TRAIN);
    if (s->o.file) run_restore(s, s->o.file);
    else if (s->o.init) init_load(s, s->o.init);
    else profile(s);
    if (!has_ended(s)) checkpoint_save(s, OUT, 1);
}

/* Validate; without validation data *val stays as it is. */
static dn_status validate(struct session *s, int64_t step, double *val, char *err)
{
    struct score sum;
    if (!s->valid.name) return DN_OK;
    dn_status status = evaluate(s, &s->valid, &sum, err);
    if (status != DN_OK) return status;
    *val = mean_nll(&sum);
    s->best.stalled++;
    if (!s->best.step || *val < s->best.loss)
        s->best = (struct best){ *val, step, 0, s->valid_hash };
    if (s->best.stalled == 10 && !s->o.patience)
        say("note: no validation has been better than %.3f, at step %lld, for 10 of them; "
            "--patience N stops then", s->best.loss, s->best.step);
    return DN_OK;
}

static dn_status train_step(struct session *s, struct progress *p, int64_t step, dn_stats *stats,
                            char *err)
{
    double begun = seconds();
    dn_batch *view = resize(NULL, (size_t)s->o.accum, sizeof *view);
    for (int i = 0; i < s->o.accum; i++) {
        batch_next(s, &s->batch[i], (uint64_t)step*(uint64_t)s->o.accum + (uint64_t)i);
        view[i] = batch_view(&s->batch[i]);
        p->tokens += s->batch[i].enc_n + s->batch[i].dec_n;
    }
    dn_status status = (ranks > 1 ? ranks_step : dn_train_step)(s->m, view, s->o.accum, stats, err);
    free(view);
    if (status != DN_OK) return status;
    p->nll += stats->nll;
    p->seconds += seconds() - begun;
    p->steps++;
    return DN_OK;
}

/* The run diverged at `step`: go back to the last checkpoint, and return its step.  The same
 * batches come again, with half the learning rate; the rows of the steps given up leave the log,
 * but if one of them was the best, it remains that, as OUT.best. */
static int64_t roll_back(struct session *s, struct progress *p, int64_t step)
{
    char err[DN_ERR_MAX];
    struct best best = s->best;
    model_load(s->m, s->saved, "");
    rate_halve(&s->o.model, 1);
    s->halved++;
    if (dn_model_reconfigure(s->m, &s->o.model, err) != DN_OK) fail(1, "%s", err);
    run_restore(s, s->saved);
    if (best.step && (!s->best.step || best.loss < s->best.loss)) {
        s->best = best;
        s->best.stalled = 0;
    }
    say("diverged at step %lld: back to step %lld with a learning rate of %.6g", (long long)step,
        (long long)dn_step_count(s->m), s->o.model.lr);
    log_open(s, p);
    sums_clear(p);
    return dn_step_count(s->m);
}

/* Train until the run ends or is stopped; returns whether it ended.  The order within a step
 * matters: validation, and the row of the log, are before the checkpoints, which note the best and
 * which is_log_of() looks for; and a signal is looked at only between steps, so that what is saved
 * is whole. */
static int train_loop(struct session *s, struct progress *p)
{
    char err[DN_ERR_MAX];
    dn_stats stats = {0};
    const struct options *o = &s->o;
    int64_t step = p->first;
    int ended = s->last = has_ended(s);
    if (ended)
        say("step %lld of %d: this run has ended; to go on, --resume %s and raise --%s%s",
            (long long)step, o->model.steps, o->file, o->epochs ? "epochs" : "steps",
            o->patience ? " or --patience" : "");
    if (ended && (o->log || o->plot) && p->before <= 0)
        say("note: no step, nothing to log or to plot; --force trains anew");
    if (ended && strcmp(s->saved, o->out) != 0) checkpoint_save(s, OUT, 0);  /* and nothing more */
    while (!s->last) {
        double val = -1;
        struct best before = s->best;
        dn_status status = train_step(s, p, step++, &stats, err);
        int late = ranks_most(o->minutes > 0 && seconds() - p->begun > 60*o->minutes);
        s->told = ranks_most((int)caught);    /* from here on all ranks know the same */
        ended = has_ended(s) || late;
        if (status == DN_OK && (ended || step % o->eval_every == 0))
            status = validate(s, step, &val, err);
        if (must_go_back(s, status, err)) {
            step = roll_back(s, p, step);
            continue;
        }
        ended |= has_ended(s);
        s->last = ended || s->told || (o->stop_after && step - p->first >= o->stop_after);
        progress_step(s, p, step, &stats, val);
        if (ended && step < o->model.steps)
            say("ended at step %lld of %d: %s", (long long)step, o->model.steps,
                late ? "--minutes are over" : "no better validation within --patience");
        if (val >= 0 && !s->best.stalled && s->beside[OUT_BEST]
            && !checkpoint_save(s, OUT_BEST, 0)) {
            before.stalled = 0;
            s->best = before;                 /* OUT.best is still that */
        }
        if (o->keep && (ended || step % o->save_every == 0))
            checkpoint_save(s, KEPT + (int)((step - 1)/o->save_every%o->keep), 0);
        if (s->last || step % o->save_every == 0) checkpoint_save(s, OUT, 0);
        if (step % o->eval_every == 0 && !s->last) progress_plot(s, p);
        if (step % o->sample_every == 0 && !caught && !rank) show_samples(s);
    }
    return ended;
}

/* Print the same command with --resume, but without what was meant for this time only. */
static void say_how_to_resume(const struct session *s)
{
    char name[WORD_MAX];
    const char *value;
    int used;
    say("stopped after step %lld%s", (long long)dn_step_count(s->m),
        *s->o.out ? "; to go on:" : "; nothing was saved");
    if (!*s->o.out) return;
    shell_print(s->argv[0]);
    for (char **word = s->argv + 1; *word; word += used) {
        used = option_read(word, name, &value);
        if (strcmp(*word, "--") == 0) continue;               /* --resume shall not follow it */
        if (*word == s->o.model_word) continue;               /* it would be a second model */
        if (is_among("stop-after force resume model init", name)) continue;
        for (int i = 0; i < used; i++) {
            fputc(' ', stderr);
            shell_print(word[i]);
        }
    }
    fputs(" --resume ", stderr);
    shell_print(s->o.out);
    fputc('\n', stderr);
}

/* Load the best model: from OUT.best, or from FILE.best where the run was resumed from another
 * file; its path.  NULL if the current model is the best one, or if neither file is this run's. */
static char *best_load(struct session *s)
{
    const char *of[] = { s->o.out, s->o.file };
    int is_last = !s->best.step || (s->best.step == dn_step_count(s->m) && !s->best.stalled);
    for (int i = 0; i < 2 && s->o.keep_best && *s->o.out && !is_last; i++) {
        char err[DN_ERR_MAX], *path = of[i] ? joined(of[i], ".best") : NULL;
        int is_it = 0;
        dn_io io;
        FILE *f = path && file_exists(path) ? checkpoint_open(path, &io) : NULL;
        if (f) {                              /* open until it is loaded: another may replace it */
            struct best best = best_of_note(s, note_of(&io, path, "best"), path);
            is_it = best.step == s->best.step && best.loss == s->best.loss;
        }
        if (is_it && dn_load(s->m, &io, err) != DN_OK) fail(1, "%s: %s", path, err);
        if (f) fclose(f);
        if (is_it) return path;
        free(path);
    }
    return NULL;
}

/* Print a command that uses the new model. */
static void say_how_to_use(const struct session *s, const char *model)
{
    static const char *const use[] = { "score", "sample", "translate" }; /* by dn_arch */
    fputs("next: ", stderr);
    shell_print(s->argv[0]);
    fprintf(stderr, " %s %s", use[s->o.model.arch], *model == '-' ? "./" : "");
    shell_print(model);
    int masked = s->o.model.arch == DN_ENCODER;
    const char *scored = s->o.valid_text ? s->o.valid_text : s->o.text;
    const char *from = masked ? scored : s->o.test_source;
    if (from && strcmp(from, "-") != 0) {
        fputs(masked ? " --text " : " < ", stderr);
        shell_print(from);
    }
    fputc('\n', stderr);
}

/* The run has ended: print its results. */
static void run_report(struct session *s, const struct progress *p)
{
    char spent[16], *best = best_load(s);
    if (best) say("the best validation, %.3f, was at step %lld: %s", s->best.loss,
                  s->best.step, best);
    if (s->test.name || s->valid.name) report(s, s->test.name ? &s->test : &s->valid);
    clock_text(seconds() - p->begun, spent);
    if (peak_memory() > 0) say("time %s, peak memory %.0f MiB", spent, peak_memory());
    else say("time %s", spent);
    if (best || (*s->o.out && !s->lost[OUT])) say_how_to_use(s, best ? best : s->o.out);
    free(best);
}

static int run_train(struct session *s)
{
    struct progress p;
    int lost = 0;
    train_open(s);
    progress_open(s, &p);
    signals_watch(1);
    int ended = train_loop(s, &p);
    signals_watch(0);
    if (p.csv && fclose(p.csv) != 0) log_failed(s);
    progress_plot(s, &p);
    free(p.rows.at);
    ranks_alone(1);
    for (int i = 0; i < OUTPUTS; i++)         /* before the report, which may fail */
        if (s->lost[i]) say("%s: %s", program, s->lost[i]), lost = 1;
    if (s->lost[OUT] && s->saved && file_exists(s->saved))
        say("note: %s is of step %lld; --resume goes on from there", s->saved,
            step_after(s->saved));
    if (ended && !rank) run_report(s, &p);
    else if (!rank && !s->lost[OUT]) say_how_to_resume(s);
    return lost ? 1 : ended || !s->told ? 0 : 128 + s->told;
}

/* ---- commands ---------------------------------------------------------------------------- */

/* Translate some lines, at most o.rows; *all counts those that are cut. */
static void lines_translate(struct session *s, struct text t, struct corpus *all)
{
    struct store in = { .memory = t.at, .n = t.n, .goes_on = s->translator.before > 0 };
    struct corpus c = { .name = "stdin", .in = { in } };
    c.lines = lines_count(&c.in[0]);
    corpus_encode(&c, &s->tok, (size_t)s->o.model.ctx, 0);
    if (c.cut && !all->cut) all->first_cut = s->translator.before + c.first_cut;
    all->cut += c.cut;
    if (c.lines > 0) translate(s, &c.seq[0], 0, (int)c.lines);
    for (int i = 0; i < (int)c.lines; i++)
        if (s->o.n_best) hypotheses_print(s, (int)c.lines, i);
        else line_print(stdout, "", translation(s, i));
    stdout_flush();
    s->translator.before += c.lines;
    c.in[0].memory = NULL;                    /* the caller's */
    corpus_free(&c);
}

/* Lines are translated as soon as they are there, o.rows at a time if there are so many. */
static int run_translate(struct session *s)
{
    struct text t = { NULL, 0 };
    struct corpus all = { .name = "stdin" };
    size_t room = 0, seen = 0, begun = 0;
    model_open(s);
    if (is_text(s)) fail(2, "%s is a language model: it does not translate", s->o.file);
    if (s->o.n_best > s->o.beam) fail(2, "--n-best %d needs a --beam as wide", s->o.n_best);
    if (is_terminal(stdin)) say("one sentence per line:");
    for (size_t more = 1; more || t.n; ) {
        size_t n = 0;
        for (int rows = 0; seen < t.n && rows < s->o.rows; )
            if (t.at[seen++] == '\n') n = seen, rows++;
        if (!more && !n) n = t.n;             /* the last line has no end */
        if (n) {
            lines_translate(s, (struct text){ t.at, n }, &all);
            t.n -= n;
            memmove(t.at, t.at + n, t.n);
            seen = 0;
        }
        if (n || !more) continue;
        t.at = grow(t.at, &room, t.n + PIECE, 1);
        more = input_read(t.at + t.n, PIECE);
        if (more == SIZE_MAX) fail(1, "stdin: %s", strerror(errno));
        t.n += more;
        if (!begun++) text_check("-", t.at, t.n);
    }
    cuts_say(s, &all);
    ends_say(&s->translator);
    free(t.at);
    return 0;
}

static int run_sample(struct session *s)
{
    model_open(s);
    if (s->o.model.arch != DN_DECODER)
        fail(2, "%s generates no text; try %s", s->o.file, is_text(s) ? "score" : "translate");
    struct text t = { NULL, 0 };
    if (s->o.prompt_file) {
        if (strcmp(s->o.prompt, "\n") != 0) fail(2, "--prompt or --prompt-file, not both");
        t = file_read(s->o.prompt_file);
        if (t.n && t.at[t.n - 1] == '\n') t.n--;
        if (t.n && t.at[t.n - 1] == '\r') t.n--;
        if (memchr(t.at, 0, t.n)) fail(1, "%s: a prompt has no byte 0", s->o.prompt_file);
        t.at[t.n] = 0;
        s->o.prompt = t.at;
    }
    for (int i = 0; i < s->o.samples; i++) {
        if (i > 0) puts("---");
        text_sample(s, stdout, s->o.length, i);
    }
    free(t.at);
    return 0;
}

/* The text of an id; \xNN stands for a \, and for what has no place in a line of UTF-8. */
static void piece_print(const dn_tokenizer *tok, int id)
{
    char piece[64];
    int more = 0;
    struct text t = { piece, dn_tok_decode(tok, &id, 1, piece, sizeof piece) };
    int whole = !not_utf8(t, &more) && !more;
    for (size_t i = 0; i < t.n; i++) {
        int c = t.at[i] & 0xFF;
        if (c < ' ' || c == '\\' || c == 127 || (c > 127 && !whole)) printf("\\x%02x", c);
        else putchar(c);
    }
    putchar('\n');
}

static int run_tokens(struct session *s)
{
    tokenizer_load(s, s->o.file);
    struct text t = file_read("-");
    int *ids = resize(NULL, t.n, sizeof *ids);
    size_t n = dn_tok_encode(&s->tok, t.at, t.n, ids, t.n);
    for (size_t i = 0; i < n; i++) {
        printf("%d\t", ids[i]);
        piece_print(&s->tok, ids[i]);
    }
    free(ids);
    free(t.at);
    return 0;
}

/* The references of s->test beside its own. */
static void references_open(struct session *s)
{
    s->names = joined(s->o.references ? s->o.references : "", "");
    for (char *at = s->names, *end; *at; at = end) {
        end = at + strcspn(at, ",");
        if (*end) *end++ = 0;
        if (s->more == REFS_MAX) fail(2, "--references are at most %d files", REFS_MAX);
        s->reference[s->more] = store_open(at);
        size_t n = lines_count(&s->reference[s->more++]);
        if (n != s->test.lines)
            fail(1, "%s has %zu lines and %s has %zu", s->test.name, s->test.lines, at, n);
    }
}

/* BLEU and chrF of a translation from anywhere. */
static int score_file(struct session *s)
{
    if (!s->o.target) fail(2, "--hypothesis needs --target, the reference");
    if (s->o.file) fail(2, "--hypothesis is scored without a model; leave out '%s'", s->o.file);
    s->test = corpus_open(s->o.hypothesis, s->o.target);
    references_open(s);
    struct bleu sum = { .o = &s->o, .more = s->more };
    for (size_t i = 0; i < s->test.lines; i++)
        bleu_next(s, &sum, &s->test, line_next(&s->test.in[0]));
    bleu_print(&sum);
    return 0;
}

/* Open the data to score a model on. */
static void score_open(struct session *s)
{
    const struct options *o = &s->o;
    if (is_text(s)) {
        if (o->source || o->target || o->references)
            fail(2, "a language model is scored on --text");
        s->test = corpus_open(NULL, o->text ? o->text : "data/test.en");
    } else {
        if (o->text) fail(2, "a translator is scored on --source and --target");
        if (!o->source != !o->target) fail(2, "%s needs --source and --target", o->verb);
        s->test = corpus_open(o->source ? o->source : "data/test.de",
                              o->target ? o->target : "data/test.en");
    }
    references_open(s);
    corpus_encode(&s->test, &s->tok, (size_t)s->o.model.ctx, 0);
    batches_make(s);
    cuts_say(s, &s->test);
}

/* What report() adds up, for each line or token.  A line is a pair, or one of the text, where a
 * token belongs to that in which it begins. */
static void report_lines(struct session *s, const struct corpus *c)
{
    char err[DN_ERR_MAX], piece[64] = "";
    struct batch *b = &s->batch[0];
    size_t line = 1, n = 0;
    double sum = 0, *log_p = resize(NULL, (size_t)s->o.model.ctx, sizeof *log_p);
    int tokens = 0;
    for (uint64_t done = 0, before = 0; batch_score(s, b, c, &done); before = done) {
        const dn_batch view = batch_view(b);
        check(dn_log_p(s->m, &view, log_p, err), err);
        for (int i = is_text(s) ? b->dec_n - (int)(done - before) : 0; i < b->dec_n; i++) {
            const int id = is_text(s) ? b->enc[i] : b->label[i];
            int ends = !is_text(s) && (i + 1 == b->dec_n || b->dec[i + 1] == DN_BOS);
            if (b->label[i] != DN_IGNORE) {
                if (s->o.per_token) printf("%zu\t%.6f\t%d\t", line, log_p[i], id);
                if (s->o.per_token) piece_print(&s->tok, id);
                sum += log_p[i];
                tokens++;
            }
            n = dn_tok_decode(&s->tok, &id, 1, piece, sizeof piece);
            for (size_t k = 0; is_text(s) && k < n; k++) ends += piece[k] == '\n';
            for (; ends > 0; ends--, line++, sum = tokens = 0)
                if (s->o.per_line) printf("%.6f\t%d\n", sum, tokens);
        }
    }
    if (s->o.per_line && is_text(s) && n && piece[n - 1] != '\n') printf("%.6f\t%d\n", sum, tokens);
    free(log_p);
}

static int run_score(struct session *s)
{
    if (s->o.per_line && s->o.per_token) fail(2, "--per-line or --per-token, not both");
    if (s->o.hypothesis) return score_file(s);
    if (s->o.json) fail(2, "--json needs --hypothesis");
    int all = !s->o.per_line && !s->o.per_token;
    if (!all) s->o.model.batch_tokens = s->o.model.ctx;       /* one window of a text */
    model_open(s);
    score_open(s);
    if (all) report(s, &s->test);
    else report_lines(s, &s->test);
    return 0;
}

/* One number of an array in C; the first is number 0. */
static void number_print(FILE *f, size_t i, const char *format, double x)
{
    fputs(i == 0 ? "" : i % 8 ? ", " : ",\n", f);
    fprintf(f, format, x);
}

/* The values of all tensors in C; with --int8 only of the vectors. */
static void values_print(const struct session *s, FILE *f)
{
    size_t printed = 0;
    for (int i = 0; i < dn_tensor_count(s->m); i++) {
        const dn_tensor t = dn_tensor_at(s->m, i);
        for (size_t j = 0; j < tensor_size(&t) && !(s->o.int8 && t.cols); j++)
            number_print(f, printed++, "%.8ef", (double)t.value[j]);
    }
}

/* The scale at which the largest of n values is 127. */
static double scale_of(const dn_real *w, int n)
{
    double most = 0;
    for (int j = 0; j < n; j++) most = fmax(most, fabs((double)w[j]));
    return (double)(dn_real)(most/127);
}

/* The matrices in 8 bits: in a first call the scale of each row, in a second the integers.  That
 * one also sets the model's values to scale*integer, so that it scores as exported. */
static void matrices_print(const struct session *s, FILE *f, int integers)
{
    size_t printed = 0;
    for (int i = 0; i < dn_tensor_count(s->m); i++) {
        const dn_tensor t = dn_tensor_at(s->m, i);
        for (int r = 0; r < t.rows && t.cols; r++) {
            dn_real *w = t.value + (size_t)r*(size_t)t.cols;
            const double scale = scale_of(w, t.cols);
            if (!integers) number_print(f, printed++, "%.8ef", scale);
            for (int j = 0; j < t.cols && integers; j++) {
                const double q = scale > 0 ? floor((double)w[j]/scale + 0.5) : 0;
                number_print(f, printed++, "%.0f", q);
                w[j] = (dn_real)scale*(dn_real)q;
            }
        }
    }
}

/* Configuration, tokenizer and parameters as constants; docs/porting.md says how to read them. */
static void header_print(const struct session *s, FILE *f)
{
    char value[DN_NAME_MAX];
    int n;
    const dn_field *field = dn_fields(&n);
    fprintf(f, "%s: %s, step %lld. */\n", header_head, base_name(s->o.file),
            (long long)dn_step_count(s->m));
    fputs("static const char *const model_config[][2] = {\n", f);
    for (int i = 0; i < n; i++) {
        dn_config_get(dn_model_config(s->m), &field[i], value);
        if (field[i].saved) fprintf(f, "    { \"%s\", \"%s\" },\n", field[i].name, value);
    }
    fputs("};\n\nstatic const char model_tokenizer[] = {\n", f);
    for (size_t i = 0; s->tok_note[i]; i++) number_print(f, i, "%.0f", s->tok_note[i]);
    if (s->o.int8) {
        fputs("\n};\n\n#define MODEL_INT8\nstatic const float model_scale[] = {\n", f);
        matrices_print(s, f, 0);
        fputs("\n};\n\nstatic const signed char model_matrices[] = {\n", f);
        matrices_print(s, f, 1);
        fputs("\n};\n\nstatic const float model_vectors[] = {\n", f);
    } else
        fputs("\n};\n\nstatic const float model_values[] = {\n", f);
    values_print(s, f);
    fputs("\n};\n", f);
}

static int run_export(struct session *s)
{
    struct score before, after;
    if (!s->o.int8) s->o.model.threads = 1;
    if (!s->o.c_header) fail(2, "export needs --c-header FILE");
    outputs_check(s, "c-header");
    model_open(s);
    if (s->o.int8) {
        score_open(s);
        before = score_of(s, &s->test);
    }
    struct part p = part_open(s->o.c_header);
    if (p.f) header_print(s, p.f);
    part_finish(&p, 1, 0);
    if (s->o.int8) {
        after = score_of(s, &s->test);
        say("%s: loss %.4f nats/token in float, %.4f in 8 bits", s->test.name, mean_nll(&before),
            mean_nll(&after));
    }
    return 0;
}

/* The mean of the parameters of several checkpoints of one model, to be used, not trained further:
 * without moments.  Tokenizer and configuration are the first one's, which is loaded last. */
static int run_average(struct session *s)
{
    if (!s->o.words || !*s->o.out) fail(2, "average needs two models or more, and --out NAME");
    outputs_check(s, "out");
    if (!s->o.force && file_exists(s->o.out))
        fail(2, "%s exists; --out NAME keeps it, --force replaces it", s->o.out);
    mark_read(s->o.out, s->mark[OUT]);
    model_open(s);
    const size_t n = dn_param_count(s->m);
    dn_real *value = dn_tensor_at(s->m, 0).value;
    needed_for = "the sum of the models";
    double *sum = resize(NULL, n, sizeof *sum);
    for (size_t k = 0; k < n; k++) sum[k] = 0;
    for (int i = s->o.words; i >= 0; i--) {
        const char *path = i ? s->o.word[i - 1] : s->o.file;
        model_load(s->m, path, "; average checkpoints of one run");
        char *tok = note_of_file(path, "tokenizer");
        if (!tok || strcmp(tok, s->tok_note) != 0)
            fail(1, "%s has another tokenizer than %s; average checkpoints of one run", path,
                 s->o.file);
        free(tok);
        say("%s: step %lld", path, (long long)dn_step_count(s->m));
        for (size_t k = 0; k < n; k++) sum[k] += (double)value[k];
    }
    for (size_t k = 0; k < n; k++) value[k] = (dn_real)(sum[k]/(s->o.words + 1));
    free(sum);
    s->last = 1;
    if (!checkpoint_save(s, OUT, 0)) fail(1, "%s", s->lost[OUT]);
    say("%s is the mean of these %d", s->o.out, s->o.words + 1);
    return 0;
}

/* Make the steps of a log anew, from a checkpoint or from the beginning: with each row the hash of
 * the parameters must be the one in the log. */
static int run_verify(struct session *s)
{
    char err[DN_ERR_MAX];
    struct progress p = {0};
    dn_stats stats;
    if (!s->o.words) fail(2, "verify needs the LOG of a run, and the options of the run");
    const char *log = s->o.word[0];
    struct lines l = lines_split(file_read(log));
    if (strncmp(l.text.at, log_header, sizeof log_header - 1) != 0)
        fail(2, "%s is not the log of a run; --log of a run of this version writes one", log);
    s->o.out = "";
    s->o.log = s->o.plot = NULL;
    train_open(s);
    if (is_rollback(&s->o))
        say("note: if the run went back, the rows after that are true only from a checkpoint saved "
            "then or later");
    long long first = dn_step_count(s->m), step = first, last = -1, above = -1;
    for (size_t i = 1; i < l.n; i++) {
        const char *row = l.text.at + l.start[i], *end = l.text.at + l.start[i + 1];
        long long at = strtoll(row, NULL, 10);
        if (end - row < 18 || end[-18] != ',')
            fail(1, "%s: line %zu does not end in a hash of the parameters", log, i + 1);
        if (at <= above)
            fail(1, "%s: line %zu is not of a later step than the one above", log, i + 1);
        above = at;
        if (at < first || (s->o.stop_after && at > first + s->o.stop_after)) continue;
        if (at > s->o.model.steps)
            fail(2, "%s has a row of step %lld; --steps ends at %d", log, at, s->o.model.steps);
        while (step < at) check(train_step(s, &p, step++, &stats, err), err);
        int same = row_is_of(s->m, row, end);
        if (!same && last < 0)
            fail(1, "%s: step %lld, the first compared, differs; are the options%s those of its "
                 "run?", log, at, s->o.file ? " and the model" : "");
        if (!same)
            fail(1, "%s: step %lld is the first that differs; at step %lld all is the same", log,
                 at, last);
        last = at;
    }
    if (last <= first) fail(2, "%s has no row after step %lld to compare", log, first);
    printf("steps %lld to %lld are those of %s\n", first + 1, last, log);
    free(l.text.at);
    free(l.start);
    return 0;
}

static int run_info(struct session *s)
{
    char err[DN_ERR_MAX];
    const dn_config *c = &s->o.model;
    size_t train = dn_model_bytes(c, DN_TRAIN, err);
    if (!train) fail(2, "%s", err);
    config_print(c);
    gains_print(c);
    printf("# memory: %.1f MiB to train, %.1f MiB to use", (double)train/1048576,
           (double)dn_model_bytes(c, DN_INFER, err)/1048576);
    int at_once = c->arch == DN_ENC_DEC ? s->o.rows*s->o.beam : 1;
    size_t generate = c->arch == DN_ENCODER ? 0 : dn_generator_bytes(c, at_once, err);
    if (generate)
        printf(" and %.1f to generate %d at a time", (double)generate/1048576, at_once);
    putchar('\n');
    if (!generate && c->arch != DN_ENCODER) fail(2, "%s", err);
    stdout_flush();
    s->o.model.threads = 1;                   /* more would cost more than they save */
    model_make(s, DN_INFER);
    printf("# parameters: %zu in %d tensors\n", dn_param_count(s->m), dn_tensor_count(s->m));
    printf("# step: %lld\n", (long long)dn_step_count(s->m));
    return 0;
}

static int run_plot(struct session *s)
{
    const struct options *o = &s->o;
    struct lines l[SERIES_MAX];
    struct plot p = plot_of(o);
    p.by = o->by;
    if (o->words == 0) fail(2, "plot needs a FILE.csv, such as --log writes");
    outputs_check(s, "out");
    for (int i = 0; i < o->words; i++)
        for (int k = 0; k < i; k++)
            p.whole |= strcmp(base_name(o->word[i]), base_name(o->word[k])) == 0;
    for (int i = 0, n = 0; i < o->words; i++, n = p.n) {
        l[i] = lines_split(file_read(o->word[i]));
        plot_read(&p, o->word[i], &l[i]);
        if (p.n == n)
            fail(1, "%s: no row has a number in both '%s' and '%s'%s", o->word[i],
                 p.y[0], p.x, o->log_axes ? ", or none above 0" : "");
    }
    struct part part = part_open(*o->out ? o->out : "-");
    if (part.f) plot_print(&p, part.f);
    part_finish(&part, 1, 0);
    plot_free(&p);
    for (int i = 0; i < o->words; i++) {
        free(l[i].text.at);
        free(l[i].start);
    }
    return 0;
}

/* The commands, and the options that each uses beside those of every command: with NULL all but
 * `others`, and where "model" is among them those of the model. */
static const struct command {
    const char *name, *what, *help, *uses;
    int (*run)(struct session *s);
} commands[] = {
    { "train", "", "train a model", NULL, run_train },
    { "translate", "MODEL", "lines from stdin to stdout",
      "resume beam n-best length-penalty rows threads", run_translate },
    { "sample", "MODEL", "generate text",
      "resume prompt prompt-file length temp top-k top-p samples seed threads", run_sample },
    { "score", "MODEL", "loss, perplexity, BLEU, chrF",
      "resume source target text hypothesis references tokenize decimals json per-line per-token "
      "stride beam length-penalty rows batch-tokens threads", run_score },
    { "tokens", "MODEL", "ids and pieces of a text on stdin", "resume", run_tokens },
    { "export", "MODEL", "its parameters as a C header",
      "resume c-header force int8 source target text stride batch-tokens threads", run_export },
    { "info", "[MODEL]", "settings, alpha, beta, memory", "resume preset rows beam model",
      run_info },
    { "average", "MODEL...", "the mean of their parameters",
      "resume out force threads", run_average },
    { "verify", "LOG [MODEL]", "is a --log the run's?", NULL, run_verify },
    { "check-init", "FILE", "first values: the paper's?",
      "resume map arch norm enc-layers dec-layers", run_check_init },
    { "plot", "FILE.csv...", "draw columns of CSV files, as SVG",
      "out force x y by title log-axes log", run_plot },
};
/* What they use where an option makes something else of them. */
static const struct command of_file = { "score --hypothesis", "", "BLEU and chrF of a file",
    "hypothesis target references tokenize decimals json", NULL };
static const struct command of_lines = { "score --per-line or --per-token", "", "log p",
    "resume source target text per-line per-token stride threads", NULL };
static const struct command of_floats = { "export without --int8", "", "parameters as floats",
    "resume c-header force int8", NULL };
static const char every[] = "config help version print-config";
static const char others[] = "hypothesis references json c-header int8 by per-line per-token "
                             "n-best prompt-file map";

static const struct command *command_find(const char *name)
{
    for (int i = 0; i < LENGTH(commands); i++)
        if (!name || strcmp(name, commands[i].name) == 0)
            return &commands[i];
    for (int i = 0; i < LENGTH(commands); i++)
        if (edit_distance(name, commands[i].name) < 3)
            fail(2, "there is no command '%s'; did you mean %s?", name, commands[i].name);
    fail(2, "there is no command '%s'", name);
    return NULL;
}

static const struct command *form_of(const struct command *c, const struct options *o)
{
    if (c->run == run_score && o->hypothesis) return &of_file;
    if (c->run == run_score && (o->per_line || o->per_token)) return &of_lines;
    return c->run == run_export && !o->int8 ? &of_floats : c;
}

/* Does the command use the option, or one of those that this is another name for? */
static int is_used(const struct command *c, const char *name)
{
    int alias = 0;
    for (int i = 0; i < LENGTH(aliases); i++) {
        if (strcmp(aliases[i].word, name) != 0) continue;
        if (is_used(c, aliases[i].name)) return 1;
        alias = 1;
    }
    if (alias) return 0;
    if (c->uses && is_among(c->uses, "model") && field_find(name)) return 1;
    return is_among(every, name) || (c->uses ? is_among(c->uses, name) : !is_among(others, name));
}

/* Refuse an option that would change nothing. */
static void words_check(const struct command *c, const struct options *o, char **argv)
{
    char name[WORD_MAX];
    const char *value;
    for (int i = 1; argv[i] && strcmp(argv[i], "--") != 0; ) {
        i += option_read(argv + i, name, &value);
        if (c->run == run_train && !o->plot && is_among("x y title log-axes", name))
            fail(2, "--%s is for --plot FILE", name);
        if (!*name || is_used(c, name)) continue;
        if (c->uses)
            fail(2, "%s (%s) does not use --%s; it uses %s", c->name, c->help, name, c->uses);
        fail(2, "%s does not use --%s", c == commands ? "training" : c->name, name);
    }
}

/* Print words from a column on, in lines of up to 79 characters. */
static void wrap(int *column, const char *text)
{
    enum { INDENT = 21, WIDTH = 79 };
    for (int n; *text; text += n + (text[n] == ' ')) {
        n = (int)strcspn(text, " ");
        if (*column + 1 + n > WIDTH) *column = printf("\n%*s", INDENT, "") - 1;
        *column += printf(" %.*s", n, text);
    }
}

/* An option, what it does, the values it can have, and its default. */
static void help_row(const char *name, const char *help, const dn_field *field, const char *value)
{
    const char *choice;
    int column = printf("  --%-17s", name);
    wrap(&column, help);
    for (int k = 0; field && (choice = dn_choice(field, k)) != NULL; k++) {
        if (k == 0) column += printf(","), wrap(&column, "one of");
        wrap(&column, choice);
    }
    if (value && *value) {
        char text[DN_NAME_MAX + 2];
        snprintf(text, sizeof text, "(%s)", *value == '\n' ? "a new line" : value);
        wrap(&column, text);
    }
    putchar('\n');
}

/* The commands, and examples as they would be typed with `self` for the program. */
static void usage_print(const char *self)
{
    for (int i = 0; i < LENGTH(commands); i++)
        printf("%s %s %-10s %-11s [OPTIONS]  %s\n", i ? "      " : "usage:", program,
               i ? commands[i].name : "", commands[i].what, commands[i].help);
    printf("\n  %s                                   German to English, from data/\n", self);
    printf("  %s --arch decoder --text book.txt    a language model of your text\n", self);
    printf("  %s ... --resume model.safetensors    go on, with the same options\n", self);
    printf("  echo 'Der Hund schläft.' | %s translate model.safetensors\n\n", self);
    puts("--name value and --name=value are the same, and so are _ and -.  A file - is\nstandard "
         "input, or for plot --out and export --c-header standard output.\n"
         "COMMAND --help lists the options of a command, some of which are not here.");
}

/* Presets, and other names of the options that the command uses. */
static void help_names(const struct command *c)
{
    int shown = is_used(c, "preset") ? LENGTH(presets) : 0;
    if (shown)
        puts("\nPresets (--arch sets the one of its name); --config and the command line\noverride "
             "them, and --print-config shows them");
    for (int i = 0; i < shown; i++) {
        int column = printf("  %-19s", presets[i].name);
        wrap(&column, presets[i].help ? presets[i].help : presets[i].values);
        putchar('\n');
    }
    puts("\nOther names");
    for (int i = 0; i < LENGTH(aliases); i++) {
        if (!is_used(c, aliases[i].name)) continue;
        const char *word = aliases[i].word;
        printf("  %s%-*s --%s\n", word[1] ? "--" : "-", word[1] ? 17 : 18, word, aliases[i].name);
    }
}

/* What the command is for, and its options with their defaults for `arch`. */
static void help_print(const char *self, const struct command *c, const char *arch)
{
    char value[DN_NAME_MAX];
    struct options o;
    int n;
    const char *group = "";
    const dn_field *field = dn_fields(&n);
    options_default(&o, arch);
    if (c == commands) usage_print(self);
    else printf("usage: %s %s %s [OPTIONS]  %s\n", program, c->name, c->what, c->help);
    printf("In brackets: the defaults%s%s.\n",
           !c->uses ? " of --arch "
                    : is_among(c->uses, "resume") ? ", where the file sets none" : "",
           c->uses ? "" : arch);
    for (int i = 0; i < LENGTH(table); i++) {
        if (!is_used(c, table[i].name)) continue;
        if (strcmp(table[i].group, group) != 0) printf("\n%s\n", table[i].group);
        group = table[i].group;
        help_row(table[i].name, table[i].help, NULL,
                 table[i].kind == FLAG ? "" : c->uses ? table[i].fallback
                 : value_of(&o, &table[i], value));
    }
    for (int i = 0; i < n; i++) {
        if (!is_used(c, field[i].name)) continue;
        if (*group) puts("\nModel and training");
        group = "";
        dn_config_get(&o.model, &field[i], value);
        help_row(field[i].name, field[i].help, &field[i], value);
    }
    help_names(c);
    puts("\nExit status: 0 success, 1 failed, 2 wrong usage, 3 diverged, 128 + signal.");
}

static void version_print(void)
{
#if defined(__GNUC__) && !defined(__clang__)
    const char *compiler = "GCC " __VERSION__;
#elif defined(__VERSION__)
    const char *compiler = __VERSION__;
#else
    const char *compiler = "unknown compiler";
#endif
#ifdef _OPENMP
    const char *threads = "OpenMP";
#else
    const char *threads = "one thread";
#endif
    printf("deepnet %s\n%s, %s, %s fused multiply-add\nMIT licence\n", DN_VERSION, compiler,
           threads, DN_FMA ? "with" : "without");
}

/* Set all options anew, each source by what was known before: the weakest first, so that a stronger
 * one overrides it. */
static void options_pass(struct session *s)
{
    struct options *o = &s->o, known = *o;
    const dn_config *of = begun_from(o) && !o->help ? config_of_file(s) : NULL;
    options_default(o, arch_of(&known.model));
    if (of) o->model = *of;
    if (known.preset) preset_set(o, known.preset);
    if (known.config) {
        if (!s->config.start) s->config = lines_split(file_read(known.config));
        options_file(o, known.config, &s->config);
    }
    options_line(o, s->argv);
}

/* A stronger source names weaker ones, and a pass uses the names that the one before has found:
 *     pass 1  the command line, which names --config and perhaps the others
 *     pass 2  --config, which may name the model's file and the preset
 *     pass 3  these two, which may name the architecture
 *     pass 4  the architecture's defaults, which name nothing: all is known. */
static void options_read(struct session *s)
{
    struct options *o = &s->o;
    options_default(o, NULL);
    for (int pass = 1; pass <= 4; pass++) {
        options_pass(s);
        command_find(o->verb);                /* a wrong one is refused before files are read */
    }
    if (begun_from(o) && !o->help) {          /* --vocab is a limit for a tokenizer yet to learn */
        int most = o->model.vocab;
        o->model.vocab = config_of_file(s)->vocab;
        if (most < o->model.vocab)
            fail(2, "%s has a vocabulary of %d, and vocab is to be at most %d; --vocab %d keeps it",
                 begun_from(o), o->model.vocab, most, o->model.vocab);
    }
    if (is_verb(o, "plot") && o->log) {       /* its --log means --log-axes: a plot logs nothing */
        o->log_axes = o->log;
        o->log = NULL;
    }
    if (!o->out) o->out = is_verb(o, "plot") ? "-" : is_verb(o, "average") ? ""
                         : o->file ? o->file : "model.safetensors";
    if (!is_among("13a none char", o->tokenize))
        fail(2, "--tokenize cannot be '%s'; it is 13a, none or char", o->tokenize);
    int stdins = 0;
    for (const struct option *p = table; p < table + LENGTH(table); p++) {
        const char *word = p->kind == INPUT ? value_of(o, p, NULL) : NULL;
        stdins += word && strcmp(word, "-") == 0;
    }
    if (stdins > 1) fail(2, "only one file can be -, standard input");
    if (o->beam > o->model.vocab)
        fail(2, "--beam must be at most the vocabulary, %d, not %d", o->model.vocab, o->beam);
    if (o->rows > INT_MAX/o->beam) fail(2, "--rows and --beam are too large together");
    if (!o->save_every) o->save_every = o->eval_every;
    if (!o->sample_every) o->sample_every = o->eval_every;
}

int main(int argc, char **argv)
{
    struct session s = {0};
    int code = 0;
    streams_keep();
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);                 /* a file that grows too long is a failed write */
#endif
#ifdef _WIN32
    _setmode(_fileno(stdin), _O_BINARY);      /* the same bytes as elsewhere */
    _setmode(_fileno(stdout), _O_BINARY);
#endif
    if (argc > 0 && *base_name(argv[0])) program = base_name(argv[0]);
#ifndef DN_MPI
    const char *many = getenv("OMPI_COMM_WORLD_SIZE");
    if (!many) many = getenv("PMI_SIZE");
    if (many && atoi(many) > 1) fail(2, "this is a build without MPI: make MPI=1");
#endif
    ranks_open(&argc, &argv);
    s.argv = argv;
    options_read(&s);
    const struct command *command = command_find(s.o.verb);
    words_check(form_of(command, &s.o), &s.o, argv);
    if (s.o.help)
        help_print(argc > 0 ? argv[0] : program, command, arch_of(&s.o.model));
    else if (s.o.version)
        version_print();
    else if (s.o.print_config)
        options_print(&s.o);
    else if (ranks > 1 && command->run != run_train)
        fail(2, "mpirun is for training");
    else
        code = command->run(&s);
    stdout_flush();
    session_free(&s);
    ranks_close();
    return code;
}
