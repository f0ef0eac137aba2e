# make            build ./train and the default corpus
# make test       all tests, in double and in float, and the programs in the documents
# make lint       strict warnings, imports, global state, key trace, line lengths
# make stores     one checkpoint whether a corpus is in memory or in files
# make same       one hash for gcc and clang, -O1 and -O3, any vector width
# make bench      speed and memory, against bars
# make sanitize   the tests under AddressSanitizer and UndefinedBehaviorSanitizer
# make faults     each system call fails once, full disks, kill -9, signals: nothing is lost
# make coverage   the share of branches that the tests take (gcc)
# make fuzz       hostile bytes for all that reads, SECONDS=60 for each kind (clang's libFuzzer)
# make mutants    a sign or two operands of deepnet.c wrong, 200 times: the tests notice (gcc, perl)
# make ports      the tests on other machines, emulated; one checkpoint through all of them
# make browser    docs/ports/browser/deepnet.html: train in a page (clang, wasi-libc)
# make figures     the paper's experiments, small, into docs/figures (45 minutes on 2 cores)
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

CORPUS    = $(foreach part,train val test,data/$(part).de data/$(part).en)

all: train $(CORPUS)

# Whatever is built is built again when the compiler or its flags change.
.flags: FORCE
	@echo '$(CC) $(FLAGS) $(OPENMP) $(LDFLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(FLAGS) $(OPENMP) $(LDFLAGS)' >$@
FORCE:
.DELETE_ON_ERROR:

train: train.c deepnet.c tokenizer.c deepnet.h .flags
	$(CC) $(FLAGS) $(OPENMP) train.c deepnet.c tokenizer.c $(LDFLAGS) -o $@ $(LDLIBS) -lm

data/corpus: data/corpus.c
	$(CC) $(FLAGS) data/corpus.c $(LDFLAGS) -o $@

$(subst .,%,$(CORPUS)): data/corpus
	data/corpus data

test.f64: test.c deepnet.c tokenizer.c deepnet.h .flags
	$(CC) $(FLAGS) $(OPENMP) -DDN_DOUBLE test.c tokenizer.c $(LDFLAGS) -o $@ -lm

test.f32: test.c deepnet.c tokenizer.c deepnet.h .flags
	$(CC) $(FLAGS) $(OPENMP) test.c tokenizer.c $(LDFLAGS) -o $@ -lm

# Leaves ./test, the tests in double: ./test KEY, ./test paper.  TEST=--quick: fewer of them.
test: test.f64 test.f32 snippets
	ln -sf test.f64 test
	$(RUN) ./test.f64 $(TEST)
	$(RUN) ./test.f32 $(TEST)

check: test

# The programs that stand in the documents: compiled, run, and believed only then.
snippets: deepnet.h docs/porting.md deepnet.c
	sed -n '/^ \* >>>/,/^ \* <<</s/^ \*     //p' deepnet.h > synopsis.c
	sed -n '/^```c$$/,/^```$$/p' docs/porting.md | grep -v '^```' > porting.c
	for p in synopsis porting; do $(CC) $(FLAGS) $(OPENMP) -I. $$p.c deepnet.c $(LDFLAGS) \
	    -o $$p -lm && $(RUN) ./$$p || exit 1; done
	rm -f synopsis synopsis.c porting porting.c

# The hash of one training run, in every build that should not matter: without SEMANTICS, too.
same:
	for cc in gcc clang; do for o in -O1 -O3; do \
	    for a in '-march=native' '-mfma -mavx2' '-DDN_FMA=0' '-DDN_FMA=0 -march=native'; do \
	        $$cc $$o $$a test.c tokenizer.c -o test.same -lm 2>/dev/null && \
	        printf '%-5s %s %-26s ' $$cc $$o "$$a" && ./test.same --hash || exit 1; \
	    done; done; done | sort -k4 | tee same.txt
	test $$(grep -c FMA=0 same.txt) -eq 8 && test $$(awk '{print $$NF}' same.txt | sort -u | wc -l) -eq 2
	test $$(grep FMA=0 same.txt | awk '{print $$NF}' | sort -u | wc -l) -eq 1
	rm -f test.same same.txt

# The corpus in memory and from files; in files and from stdin, with a byte order mark and \r\n.
stores: train $(CORPUS)
	$(CC) $(FLAGS) $(OPENMP) -DHELD_MAX=1000 train.c deepnet.c tokenizer.c $(LDFLAGS) -o $@ $(LDLIBS) -lm
	cp data/val.de stores.train.de
	(printf '\357\273\277'; sed "s/$$/$$(printf '\r')/" data/val.de) >stores.stores.de
	for p in train stores; do o=stores.$$p; \
	    run="$(RUN) ./$$p --steps 6 --samples 0 --layers 1 --dim 32 --vocab 400 --threads 1"; \
	    $$run --source $$o.de --target data/val.en --test-source data/test.de --test-target data/test.en \
	        --ctx 40 --out $$o.pairs >$$o.said && \
	    $$run --arch decoder --text data/val.en --out $$o.text >>$$o.said && \
	    if test $$p = train; then $$run --arch encoder --text data/val.en --out $$o.mask; \
	    else cat data/val.en | $$run --arch encoder --text - --out $$o.mask; fi >>$$o.said || exit 1; done
	for k in pairs text mask said; do cmp stores.train.$$k stores.stores.$$k || exit 1; done
	(trap '' XFSZ; ulimit -f 8; $(RUN) ./stores --arch decoder --text data/val.en --out "" 2>stores.full; \
	    test $$? -eq 1) && grep -q 'a temporary file: ' stores.full
	rm -f stores stores.*

sanitize: $(CORPUS)
	$(CC) $(SEMANTICS) -O2 -g -march=native -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -DDN_DOUBLE test.c tokenizer.c -o test.san -lm && ./test.san --quick && rm test.san
	$(CC) $(SEMANTICS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -DHELD_MAX=1000 train.c deepnet.c tokenizer.c -o train.san -lm
	for l in de en; do head -n 40 data/val.$$l >san.$$l; done
	./train.san --source san.de --target san.en --valid-source san.de --valid-target san.en \
	    --steps 6 --eval-every 3 --layers 2 --batch-tokens 128 --dropout 0.1 --out san.safetensors --log san.csv
	./train.san plot san.csv san.csv --x step --y loss,val,lr --log xy --title '<&>' --out san.svg
	./train.san translate san.safetensors --beam 3 <san.de
	./train.san score san.safetensors --source san.de --target san.en
	printf 'step,loss\nfirst,1\n' >san.csv
	./train.san plot san.csv --log xy 2>san.said; test $$? -eq 1 && grep -q 'no number to draw' san.said
	rm -f train.san san.*

coverage:
	gcc $(SEMANTICS) -O1 --coverage -DDN_DOUBLE test.c tokenizer.c -o test.san -lm && ./test.san --quick
	gcov -b test.san-*.gcda | grep -A 3 "File '\(deepnet\|tokenizer\)"
	rm -f test.san* *.gcov

# TARGETS="text table": only these.  A find ends it and stays behind as fuzz.TARGET-*, and the seeds
# of the search in fuzz.tmp; docs/fuzz.c says how to read one of them again.
SECONDS = 60
KINDS   = checkpoint tokenizer text options settings table lines
TARGETS = $(KINDS)
fuzz: docs/fuzz.c train $(CORPUS)
	clang $(SEMANTICS) -O1 -g -march=native -fsanitize=fuzzer,address,undefined,float-cast-overflow \
	    -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp docs/fuzz.c deepnet.c tokenizer.c \
	    -o fuzz.san -lm
	rm -rf fuzz.tmp && mkdir fuzz.tmp && cd fuzz.tmp && mkdir $(KINDS)
	for l in de en; do head -n 9 data/val.$$l | cut -c 1-9 >fuzz.tmp/lines/$$l; done
	cat fuzz.tmp/lines/* >fuzz.tmp/text/both
	d=fuzz.tmp; run="$(RUN) ./train --layers 1 --dim 2 --heads 1 --ffn 2 --ctx 9 --batch-tokens 16 \
	    --vocab 262 --steps 2 --samples 0 --keep-best 0 --log-every 1 --threads 1"; \
	for n in deepnorm normformer r-fixup dlcl; do \
	    $$run --arch decoder --norm $$n --text $$d/lines/en --out $$d/checkpoint/$$n || exit 1; done && \
	$$run --source $$d/lines/de --target $$d/lines/en --valid-source $$d/lines/de \
	    --valid-target $$d/lines/en --out $$d/checkpoint/pairs --log $$d/table/log && \
	$$run --vocab 9 --print-config | sed 's/ = /=/' >$$d/options/small && \
	cp $$d/options/small $$d/settings && \
	grep -ao 'bpe1 [0-9 ]*\.' $$d/checkpoint/pairs | tr -d '\n' >$$d/tokenizer/pairs
	for t in $(TARGETS); do echo "$$t:" && TARGET=$$t ./fuzz.san -max_total_time=$(SECONDS) -timeout=60 \
	    -rss_limit_mb=1024 -malloc_limit_mb=64 -max_len=24000 -close_fd_mask=2 -verbosity=0 \
	    -print_final_stats=1 -artifact_prefix=fuzz.$$t- fuzz.tmp/$$t || exit 1; done
	rm -rf fuzz.san fuzz.tmp

lint:
	for cc in gcc clang; do for f in deepnet tokenizer train test data/corpus docs/bench \
	    docs/figures docs/faults docs/fuzz; do \
	    $$cc $(SEMANTICS) $(STRICT) -O2 -march=native -c $$f.c -o lint.o || exit 1; done; done
	for flag in -ffast-math -ffinite-math-only; do \
	    ! $(CC) $(SEMANTICS) $$flag -c deepnet.c -o lint.o 2>/dev/null || exit 1; done
	$(CC) $(SEMANTICS) -O2 -c deepnet.c -o lint.o
	nm -u lint.o | awk '{print $$2}' | grep -vxE '(mem(cpy|set|move|cmp)|str(len|n?cmp)|sqrtf?)' \
	    && echo 'deepnet.o imports what it must not' && exit 1 || true
	size -A lint.o | awk '$$1 ~ /^\.(data|bss|tbss)$$/ && $$2 {print; bad = 1} END {exit bad}'
	grep -o '\[[a-z]*:[a-z-]*\]' deepnet.c | sort -u > lint.code
	grep -o '^| *`\[[a-z]*:[a-z-]*\]`' docs/paper.md | grep -o '\[.*\]' | sort > lint.docs
	grep -oE '"[a-z0-9: -]+"' test.c | tr -d '"' | tr ' ' '\n' | sed -n 's/.*:.*/[&]/p' | sort -u > lint.test
	diff lint.code lint.docs
	comm -23 lint.code lint.test | sed 's/$$/ has no test/' | tee lint.o && test ! -s lint.o
	for n in $$(sed -n '/schemes\[\] = {/,/^};/s/^    { "\([a-z-]*\)".*/\1/p' deepnet.c); do \
	    test $$(grep -c "\"$$n\"" deepnet.c) -eq 1 || exit 1; done
	! grep -nE '.{101}|	| $$' *.c *.h data/*.c docs/*.c
	rm -f lint.*

# BENCH="product step": only these groups.  BLAS=-lopenblas: the products of that library too.
bench: docs/bench.c deepnet.c tokenizer.c deepnet.h .flags
	$(CC) $(FLAGS) $(OPENMP) $(if $(BLAS),-DWITH_BLAS) docs/bench.c tokenizer.c $(LDFLAGS) -o $@ \
	    $(BLAS) -lm
	$(CC) $(FLAGS) docs/bench.c tokenizer.c $(LDFLAGS) -o bench-serial -lm
	OPENBLAS_NUM_THREADS=1 SERIAL="$$(./bench-serial shares)" ./bench $(BENCH)

# The paper's experiments, small: CSV and SVG in docs/figures.  FIGURES="fig5 fig8": only those.
figures: docs/figures.c deepnet.c tokenizer.c deepnet.h train $(CORPUS) .flags
	$(CC) $(FLAGS) $(OPENMP) docs/figures.c deepnet.c tokenizer.c $(LDFLAGS) -o $@ -lm
	mkdir -p docs/figures
	./figures $(FIGURES) >figures.sh && sh -e figures.sh && rm figures.sh

# MACHINES="arm64 wasm": only these.
ports:
	docs/ports/ports $(MACHINES)

# One file, which needs nothing and opens anywhere.
browser: docs/ports/browser/web.c docs/ports/browser/page.html
	clang --target=wasm32-wasi --sysroot=/usr -mexec-model=reactor -msimd128 -mbulk-memory \
	    $(SEMANTICS) -O3 docs/ports/browser/web.c deepnet.c tokenizer.c -o browser.wasm -lm \
	    -Wl,--strip-all $(addprefix -Wl$(comma)--export=web_,start make step text error example translate)
	base64 -w 0 browser.wasm >browser.b64
	sed -e '/@MODULE@/{s/@MODULE@.*//;r browser.b64' -e 'a </script>' -e '}' \
	    docs/ports/browser/page.html >docs/ports/browser/deepnet.html
	rm -f browser.wasm browser.b64

comma = ,

# MUTANTS="200 73": only number 73 of 200.
mutants:
	docs/mutants $(MUTANTS)

# FAULTS="disk kills": only these.
faults:
	docs/faults $(FAULTS)

clean:
	rm -f .flags train test test.f64 test.f32 bench bench-serial figures figures.sh data/corpus \
	    data/train.?? data/val.?? data/test.?? lint.* synopsis* porting* stores*
	rm -rf docs/ports/browser/deepnet.html fuzz.san fuzz.tmp

install: train
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)
	install -m 755 train $(DESTDIR)$(BINDIR)/deepnet
	$(CC) $(FLAGS) $(OPENMP) -c deepnet.c -o deepnet.o
	$(CC) $(FLAGS) $(OPENMP) -c tokenizer.c -o tokenizer.o
	$(AR) rcs libdeepnet.a deepnet.o tokenizer.o
	install -m 644 libdeepnet.a $(DESTDIR)$(LIBDIR)
	install -m 644 deepnet.h $(DESTDIR)$(INCLUDEDIR)
	rm -f deepnet.o tokenizer.o libdeepnet.a

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/deepnet $(DESTDIR)$(LIBDIR)/libdeepnet.a \
	    $(DESTDIR)$(INCLUDEDIR)/deepnet.h

.PHONY: FORCE all test check snippets same stores sanitize coverage lint bench figures ports browser faults mutants fuzz clean install uninstall
