# make            build ./train and the default corpus
# make test       all tests, in double and in float; one hash for every compiler and level
# make lint       strict warnings, imports, global state, key trace, line lengths
# make bench      speed of the product and of a training step
# make sanitize   the tests under AddressSanitizer and UndefinedBehaviorSanitizer
# make install    PREFIX, DESTDIR
#
# ARCH=           a binary for any machine of this kind (default: for this machine)
# FMA=0 or 1      the class of results: without or with fused multiply-add
# OPENMP=         one thread

CC      ?= cc
CFLAGS  ?= -O3
ARCH    ?= -march=native
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

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
FLAGS     = $(SEMANTICS) $(WARN) $(ARCH) $(FMAFLAG) $(CPPFLAGS) $(CFLAGS)

all: train data/train.de

train: train.c deepnet.c tokenizer.c deepnet.h
	$(CC) $(FLAGS) $(OPENMP) train.c deepnet.c tokenizer.c $(LDFLAGS) -o $@ $(LDLIBS) -lm

data/corpus: data/corpus.c
	$(CC) $(FLAGS) data/corpus.c $(LDFLAGS) -o $@

data/train.de: data/corpus
	data/corpus data

test.f64: test.c deepnet.c tokenizer.c deepnet.h
	$(CC) $(FLAGS) $(OPENMP) -DDN_DOUBLE test.c tokenizer.c $(LDFLAGS) -o $@ -lm

test.f32: test.c deepnet.c tokenizer.c deepnet.h
	$(CC) $(FLAGS) $(OPENMP) test.c tokenizer.c $(LDFLAGS) -o $@ -lm

test: test.f64 test.f32
	$(RUN) ./test.f64
	$(RUN) ./test.f32

check: test

clean:
	rm -f train test.f64 test.f32 data/corpus data/*.de data/*.en

install: train
	install -d $(DESTDIR)$(BINDIR)
	install -m 755 train $(DESTDIR)$(BINDIR)/deepnet

.PHONY: all test check clean install
