# make            build ./train and the default corpus
# make test       all tests, in double and in float, and the programs in the documents
# make lint       warnings, imports, global state, the paper's stretch, sizes, keys, documents
# make stores     one checkpoint whether a corpus is in memory or in files
# make same       one hash for gcc and clang, -O1 and -O3, any vector width
# make bench      speed and memory, against bars
# make sanitize   the tests under AddressSanitizer, UBSan and ThreadSanitizer (clang)
# make faults     each system call fails once, full disks, kill -9, signals: nothing is lost
# make ranks      several processes by mpirun write the bytes of one (Open MPI or MPICH)
# make coverage   the share of branches that the tests take (gcc)
# make fuzz       hostile bytes for all that reads (clang's libFuzzer)
# make prove      no bytes up to a length make what reads them go wrong (cbmc, which Debian 13 has)
# make mutants    a sign or two operands of deepnet.c wrong, 200 times: the tests notice (gcc, perl)
# make ports      the tests on other machines, emulated; one checkpoint through all of them
# make systems    the programs compile for macOS, the BSDs and others (python3 with venv)
# make browser    docs/ports/browser/deepnet.html: train in a page (clang, wasi-libc)
# make figures    the paper's experiments, small, into docs/figures (35 minutes on 2 cores)
# make shared     libdeepnet.so
# make python     docs/python: PyTorch and other clients compute the same (python3 with venv)
# make installed  what make install would put there links and runs, in C and C++
# make install    PREFIX, DESTDIR
#
# ARCH=                    a binary for any machine of this kind (default: for this machine, but what
#                          is installed is for any, unless ARCH says otherwise)
# FMA=0 or 1               the class of results: without or with fused multiply-add
# OPENMP=                  one thread
# MPI=1                    a ./train for mpirun (docs/scale.md)
# RUN=qemu-aarch64-static  what runs a program that was built for another machine
#
# TEST=--quick             test: fewer of them
# BENCH="product step"     bench: only these groups
# BLAS=-lopenblas          bench: the products of that library, too
# SECONDS=60               fuzz: for each kind
# TARGETS="text table"     fuzz: only these kinds
# PROOFS="peek say"        prove: only these
# MUTANTS="200 73"         mutants: only number 73 of 200
# FAULTS="disk kills"      faults: only these
# MACHINES="arm64 wasm"    ports: only these
# FIGURES="fig5 fig8"      figures: only these
# LONG=1                   figures: at the paper's 8,000 updates instead, as far as they are not done
#                          (36 hours of one core); CORPORA=DIR: on DIR/tatoeba too

CC         ?= cc
MPICC      ?= mpicc
CFLAGS     ?= -O3
INSTALLED  := $(ARCH)
ARCH       ?= -march=native
SECONDS     = 60
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man

# Semantics: never -ffast-math, no contraction; the other two only let loops vectorize.
SEMANTICS = -std=c99 -ffp-contract=off -fno-math-errno -fno-trapping-math
WARN      = -Wall -Wextra -pedantic
STRICT    = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef \
            -pedantic -Werror
works     = $(shell echo 'int main(void){return 0;}' | $(CC) $(1) -x c - -o /dev/null \
            >/dev/null 2>&1 && echo '$(1)')
OPENMP   := $(call works,-fopenmp)
ARCH     := $(call works,$(ARCH))
FMAFLAG   = $(if $(FMA),-DDN_FMA=$(FMA))
MACHINE   = $(if $(filter $(PACKAGE),$@),$(call works,$(INSTALLED)),$(ARCH))
FLAGS     = $(SEMANTICS) $(WARN) $(MACHINE) $(FMAFLAG) $(CPPFLAGS) $(CFLAGS)
COMPILE   = $(if $(MPI),$(MPICC) -DDN_MPI,$(CC)) $(FLAGS) $(OPENMP)
LINK      = $(LDFLAGS) -o $@ $(LDLIBS) -lm

LIBRARY   = deepnet.c tokenizer.c deepnet.h .flags
CORPUS    = $(foreach part,train val test,data/$(part).de data/$(part).en)
CHECKS    = snippets lint stores same sanitize faults ranks coverage fuzz prove mutants python \
            installed systems
PACKAGE   = deepnet deepnet.1 libdeepnet.a libdeepnet.so deepnet.pc
VERSION   = $(shell sed -n 's/^.define DN_VERSION "\(.*\)"/\1/p' deepnet.h)

all: train $(CORPUS)

# Whatever is built is built again when the compiler or its flags change.
BUILT      = $(COMPILE) $(LDFLAGS) / $(INSTALLED)
.flags: FORCE
	@echo '$(BUILT)' | cmp -s - $@ || echo '$(BUILT)' >$@
FORCE:
.DELETE_ON_ERROR:

train deepnet: train.c $(LIBRARY)
	$(COMPILE) train.c deepnet.c tokenizer.c $(LINK)

data/corpus: data/corpus.c
	$(CC) $(FLAGS) data/corpus.c $(LDFLAGS) -o $@

$(subst .,%,$(CORPUS)): data/corpus
	$(RUN) data/corpus data

# What includes deepnet.c is built without it.
test.f64: test.c $(LIBRARY)
	$(COMPILE) -DDN_DOUBLE test.c tokenizer.c $(LINK)

test.f32: test.c $(LIBRARY)
	$(COMPILE) test.c tokenizer.c $(LINK)

# Leaves ./test, the tests in double: ./test KEY, ./test paper.
test: test.f64 test.f32 snippets
	ln -sf test.f64 test
	$(RUN) ./test.f64 $(TEST)
	$(RUN) ./test.f32 $(TEST)

check: test

# Programs of their own, which are told by the environment what to build with.
export CC MPICC FLAGS SEMANTICS STRICT OPENMP LDFLAGS LDLIBS RUN
stores fuzz ranks python: train $(CORPUS)
sanitize: $(CORPUS)
faults:  ONLY = $(FAULTS)
fuzz:    ONLY = $(SECONDS) $(TARGETS)
prove:   ONLY = $(PROOFS)
mutants: ONLY = $(MUTANTS)
$(CHECKS):
	docs/checks/$@ $(ONLY)

ports:
	docs/ports/ports $(MACHINES)

browser:
	docs/ports/browser/build

bench: LDLIBS += $(BLAS)
bench: docs/checks/bench.c $(LIBRARY)
	$(COMPILE) $(if $(BLAS),-DWITH_BLAS) docs/checks/bench.c tokenizer.c $(LINK)
	$(CC) $(FLAGS) docs/checks/bench.c tokenizer.c $(LDFLAGS) -o bench-serial -lm
	OPENBLAS_NUM_THREADS=1 SERIAL="$$(./bench-serial shares)" ./bench $(BENCH)

# The program says which commands draw what it has written.
figures: docs/figures/figures.c train $(LIBRARY) $(CORPUS)
ifdef LONG
	docs/figures/long $(FIGURES)
else
	$(COMPILE) docs/figures/figures.c deepnet.c tokenizer.c $(LINK)
	./figures $(FIGURES) >figures.sh && sh -e figures.sh && rm figures.sh
endif

clean:
	rm -f .flags train test test.f64 test.f32 bench bench-serial one-screen figures figures.sh \
	    $(PACKAGE) data/corpus \
	    data/train.?? data/val.?? data/test.?? docs/ports/browser/deepnet.html
	rm -rf fuzz.tmp docs/python/__pycache__

deepnet.1: deepnet docs/man.awk
	$(RUN) ./deepnet --help | awk -f docs/man.awk version=$(VERSION) >$@

libdeepnet.a: $(LIBRARY)
	$(COMPILE) -c deepnet.c tokenizer.c
	$(AR) rcs $@ deepnet.o tokenizer.o
	rm -f deepnet.o tokenizer.o

# Only what deepnet.h declares is not static, so only that is exported.  Apple has no -soname.
SONAME = -Wl,-soname,$@.1
libdeepnet.so: $(LIBRARY)
	$(COMPILE) -fPIC -shared $(call works,$(SONAME)) deepnet.c tokenizer.c $(LINK)

shared: libdeepnet.so

deepnet.pc: FORCE
	@printf '%s\n' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	    'Name: deepnet' 'Description: Transformers with DeepNorm' 'Version: $(VERSION)' \
	    'Cflags: -I$${includedir} $(filter -DDN_DOUBLE,$(CPPFLAGS))' \
	    'Libs: -L$${libdir} -ldeepnet' 'Libs.private: $(OPENMP) -lm' >$@

install: $(PACKAGE)
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(INCLUDEDIR) $(LIBDIR)/pkgconfig $(MANDIR)/man1)
	install -m 755 deepnet $(DESTDIR)$(BINDIR)
	install -m 644 deepnet.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 libdeepnet.a $(DESTDIR)$(LIBDIR)
	install -m 755 libdeepnet.so $(DESTDIR)$(LIBDIR)/libdeepnet.so.1
	ln -sf libdeepnet.so.1 $(DESTDIR)$(LIBDIR)/libdeepnet.so
	install -m 644 deepnet.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 deepnet.1 $(DESTDIR)$(MANDIR)/man1
	@[ -n "$(DESTDIR)" ] || [ "$$(uname)" != Linux ] || ldconfig 2>/dev/null || :

uninstall:
	rm -f $(addprefix $(DESTDIR),$(BINDIR)/deepnet $(INCLUDEDIR)/deepnet.h \
	    $(addprefix $(LIBDIR)/,libdeepnet.a libdeepnet.so libdeepnet.so.1 pkgconfig/deepnet.pc) \
	    $(MANDIR)/man1/deepnet.1)

.PHONY: FORCE all test check $(CHECKS) ports browser bench figures clean shared install uninstall
