/* faults.c - one call to the C library fails, once: what `faults` puts before the program.
 *
 *     cc -shared -fPIC docs/checks/faults.c -o faults.so -ldl
 *     FAULT=12 FAULT_SAYS=said LD_PRELOAD=./faults.so ./train ...
 *
 * The calls of the functions below are counted from 1, those that the C library makes itself
 * too, such as fopen()'s malloc().  Call number FAULT does nothing and reports an error, as the
 * real one would: it sets errno, and that flag of a stream which ferror() reads.  The file
 * FAULT_SAYS gets the function's name, or at the end, without a FAULT, the number of calls.
 *
 * For Linux with glibc: there is no portable way to set a stream's error flag.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls, fault;
static int counting;                          /* not before main(), and not after it */

static void note(const char *text)
{
    const char *path = getenv("FAULT_SAYS");
    int f = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    if (f < 0 || write(f, text, strlen(text)) < 0) return;
    close(f);
}

static int fails(const char *name, int why)
{
    if (!counting || ++calls != fault) return 0;
    note(name);
    errno = why;
    return 1;
}

static int stream_fails(const char *name, int why, FILE *f)
{
    if (!fails(name, why)) return 0;
    if (f) f->_flags |= _IO_ERR_SEEN;
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("FAULT");
    fault = number ? atol(number) : 0;
    alarm(20);                                /* a program that hangs ends with SIGALRM */
    counting = 1;
}

__attribute__((destructor)) static void end(void)
{
    char text[32];
    counting = 0;
    snprintf(text, sizeof text, "%ld\n", calls);
    if (!fault) note(text);
}

/* A pointer to a function is none to an object in ISO C, and so it is copied. */
#define REAL(type, name, parameters) \
    static type (*real) parameters; \
    void *symbol = real ? NULL : dlsym(RTLD_NEXT, name); \
    if (symbol) memcpy(&real, &symbol, sizeof symbol)

/* The function `name`, which does what the real one does, unless it fails. */
#define CALL(type, name, parameters, arguments, failure, result) \
    type name parameters; \
    type name parameters \
    { \
        REAL(type, #name, parameters); \
        return failure ? result : real arguments; \
    }

CALL(void *, malloc, (size_t n), (n), fails("malloc", ENOMEM), NULL)
CALL(void *, calloc, (size_t n, size_t m), (n, m), fails("calloc", ENOMEM), NULL)
CALL(void *, realloc, (void *p, size_t n), (p, n), fails("realloc", ENOMEM), NULL)
CALL(FILE *, fopen, (const char *p, const char *m), (p, m), fails("fopen", EMFILE), NULL)
CALL(FILE *, fopen64, (const char *p, const char *m), (p, m), fails("fopen", EMFILE), NULL)
CALL(FILE *, fdopen, (int f, const char *m), (f, m), fails("fdopen", EMFILE), NULL)
CALL(int, mkstemp, (char *p), (p), fails("mkstemp", EMFILE), -1)
CALL(int, mkstemp64, (char *p), (p), fails("mkstemp", EMFILE), -1)
CALL(int, fseek, (FILE *f, long n, int w), (f, n, w), fails("fseek", EIO), -1)
CALL(int, fseeko, (FILE *f, off_t n, int w), (f, n, w), fails("fseeko", EIO), -1)
CALL(int, fseeko64, (FILE *f, off64_t n, int w), (f, n, w), fails("fseeko", EIO), -1)
CALL(off_t, ftello, (FILE *f), (f), fails("ftello", EIO), -1)
CALL(off64_t, ftello64, (FILE *f), (f), fails("ftello", EIO), -1)
CALL(int, fflush, (FILE *f), (f), stream_fails("fflush", ENOSPC, f), EOF)
CALL(int, fsync, (int f), (f), fails("fsync", EIO), -1)
CALL(int, rename, (const char *a, const char *b), (a, b), fails("rename", EACCES), -1)
CALL(int, remove, (const char *p), (p), fails("remove", EACCES), -1)
CALL(size_t, fread, (void *to, size_t n, size_t m, FILE *f), (to, n, m, f),
     stream_fails("fread", EIO, f), 0)
CALL(size_t, fwrite, (const void *from, size_t n, size_t m, FILE *f), (from, n, m, f),
     stream_fails("fwrite", ENOSPC, f), 0)
CALL(ssize_t, read, (int f, void *to, size_t n), (f, to, n), fails("read", EIO), -1)
CALL(int, getc, (FILE *f), (f), stream_fails("getc", EIO, f), EOF)

/* A stream is closed in any case: what fails is the last write. */
int fclose(FILE *f)
{
    REAL(int, "fclose", (FILE *f));
    int failed = fails("fclose", ENOSPC), why = errno, status = real(f);
    if (!failed) return status;
    errno = why;
    return EOF;
}
