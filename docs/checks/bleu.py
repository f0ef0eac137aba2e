"""`train score --hypothesis` against sacreBLEU: the same lines, to the last of nine decimals.

    python docs/checks/bleu.py ./train          1000 corpora

The sentences are made of words that tokenizers disagree about, and the translations are these with
words lost, doubled, swapped and misspelt.  docs/checks/python runs it.
"""
import json
import logging
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sacrebleu.metrics import BLEU, CHRF

ODD = """
It costs $1,000.50 (approx.) - isn't it?
3-4 dogs & cats; e-mail: a.b@c.de
„Ja“, sagte er – „das wär’s …“
a\u00a0b\u0085c\u1680d\u2000e\u200af\u2028g\u2029h\u202fi\u205fj\u3000k
zero\u200bwidth\u200cjoin\u200der\u2060word\ufeffmark
file\x1cgroup\x1drecord\x1eunit\x1ftab\tvertical\x0bform\x0cend
&quot;a&quot; &amp;lt; &lt;b&gt; &amp;amp;quot; &nbsp;
<skipped> a<skip<skipped>ped>b
1.2.3,4,5-6-7.,8 -9 10- .11 ,12 -.- ,.,
٣٫١٤ ۱۲-۳ ３．５ ¾-½ x²,y³.
naïve naïve Ångström Å ﬁ fi ß ẞ SS İ i̇ ǅ
東京は日本の首都です。你好，世界！ 한국어.
ประเทศไทย ខ្មែរ မြန်မာ
שלום, עולם! مرحبا بالعالم؟
👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ☃️ 𝒳𝓎 𐍈
{a}|[b]~\\c^_`d !"#$%&'()*+,-./:;<=>?@
'tis 'n' rock'n'roll' o'clock''
a--b - -- --- 5-- --5 5-a a-5
http://a.b/c?d=e&f=g#h 12:30 1/2 50% #1
... . .. .a a. a.. 1. .1 1.a a.1 1,a a,1
\u0301 \u0301\u0301 e\u0301\u0301
Ελληνικά: «Ὦ ξεῖν᾽» – ἀγγέλλειν;
Съешь ещё этих мягких французских булок, да выпей же чаю…
Žluťoučký kůň úpěl ďábelské ódy.
Pchnąć w tę łódź jeża lub ośm skrzyń fig
İstanbul'da ılık ığdır ŞĞÜ
Þórður ætlar að fá sér ö og ð.
¿Dónde está? ¡Aquí! «sí»
L’été, c’est « chaud » ; n’est-ce pas ?
Nguyễn Văn Đề ăn phở
हिन्दी में १२३.४५ रुपये।
বাংলা ভাষা, ৩.১৪
தமிழ் நூல்-கள்
తెలుగు 100%
ქართული „ენა“
Հայերէն՝ բառ։
አማርኛ፡ቋንቋ።
ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ
日本語、「かぎ」と『二重』・中黒
ｆｕｌｌｗｉｄｔｈ　１２３，４５６．７８
ｶﾀｶﾅ ﾊﾝｶｸ ﾞﾟ
한글 자모 ㄱㄴㄷ 각
繁體中文：「引號」……——
粵語 𠝹𠱓𠱸
😀😁 :-) 😂😂 ¯\\_(ツ)_/¯
👨🏿‍🚀🏳️‍🌈🧑‍🤝‍🧑
ℝ ⊂ ℂ, ∀x∈X: x²≥0 ∴ √2∉ℚ
∫₀¹ f(x)dx ≈ ½·Σᵢ wᵢ
10 °C, 5 µm, 3 Ω, 20 €, ¥300, £5, ₿1
№ 5 § 12 ¶ † ‡ • ‰
“quotes” ‘single’ ‚low’ ‹angle› 〝x〞
soft\u00adhyphen non\u2011breaking figure\u2012dash en–em—bar―
left\u200eto\u200fright \u202arun\u202c \u2066iso\u2069
a\u0300a\u0301a\u0302 = àáâ
Ǆ ǅ ǆ Ǉ ǈ ĳ ŀ ŉ
ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ
① ⑵ ⒊ Ⅷ ⅷ ㊿ ㈱ ㎏
⠃⠗⠁⠊⠇⠇⠑ ♪♫ ♠♥ ☎ ✓
\ue000private\uf8ff \ufffd \ufff9
𝔘𝔫𝔦 𝟙𝟚𝟛.𝟜 🅰🄱
\U000e0041tag\U000e007f \U0010ffff
١٬٢٣٤٫٥٦ ۱٬۲۳۴
Ærøskøbing på Åland, æøå
Bäckerstraße 5, 1010 Wien – Österreich
Ĉu vi ŝatas ĥoron? Ĝis!
Ħelow, Ċensa u Ġorġ
Ščúrok ľúbi ŕžu.
Ŵyr, ŷd a dŵr
Ɛkaa Ɔkɔ ŋ ɖ
Українська ґанок, їжак, є.
සිංහල ලිපිය
ਪੰਜਾਬੀ ੧੨੩
ລາວ ໑໒໓
བོད་སྐད། ༡༢༣
ייִדיש „יאָ“
   leading  and   trailing   \t
x
.
""".strip("\n").split("\n")
PLAIN = ("the a der Hund cat sat on it Katze dog was not and in 1999 3.5 U.S. says: Mr. well- "
         "known").split(" ")


def sentence(rng):
    words = [rng.choice(PLAIN) for _ in range(rng.choice([0, 1, 2, 3, 5, 9, 20]))]
    for _ in range(rng.randrange(3)):
        odd = rng.choice(ODD)
        at = rng.randrange(len(odd))
        words.insert(rng.randrange(len(words) + 1), odd[at:at + rng.randrange(1, 30)])
    return " ".join(words)


def translation(rng, text):
    words = text.split(" ")
    for _ in range(rng.randrange(4)):
        at, other = rng.randrange(len(words)), rng.randrange(len(words))
        words[at] = rng.choice(["", words[other], words[at] * 2, words[at][1:], rng.choice(PLAIN)])
    return " ".join(words)


def write(path, lines):
    path.write_bytes("".join(line + "\n" for line in lines).encode())


def compared(rng, at, train):
    """What sacreBLEU prints, and what the program does, with its own name for the version."""
    count = rng.choice([1, 2, 7, 30])
    reference = [[rng.choice(ODD) if rng.random() < .2 else sentence(rng) for _ in range(count)]]
    for _ in range(rng.choice([0, 0, 1, 2])):
        reference.append([translation(rng, line) for line in reference[0]])
    hypothesis = [translation(rng, line) for line in rng.choice(reference)]
    if rng.random() < .1:
        hypothesis = list(reference[0])
    tokenize, width = rng.choice(["13a", "13a", "none", "char"]), rng.randrange(10)
    as_json = rng.random() < .3
    write(at / "h", hypothesis)
    for i, lines in enumerate(reference):
        write(at / f"r{i}", lines)
    command = [train, "score", "--hypothesis", at / "h", "--target", at / "r0", "-w", str(width),
               "--tokenize", tokenize] + ["--json"] * as_json
    if len(reference) > 1:
        command += ["--references", ",".join(str(at / f"r{i}") for i in range(1, len(reference)))]
    ours = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    theirs = []
    for metric in BLEU(tokenize=tokenize, force=True), CHRF():
        score = metric.corpus_score(hypothesis, reference)
        theirs.append(score.format(width, False, metric.get_signature().format(), as_json))
    theirs = "[\n" + ",\n".join(theirs) + "\n]\n" if as_json else "\n".join(theirs) + "\n"
    return comparable(ours, as_json), comparable(theirs, as_json)


def comparable(text, as_json):
    """Without the version; numbers of JSON are equal if their values are."""
    text = re.sub(r'(version:|"version": ")[^\s"]*', r"\1", text)
    return json.loads(text) if as_json else text


def main():
    logging.disable(logging.CRITICAL)
    rng = random.Random(1)
    failed = 0
    with tempfile.TemporaryDirectory() as at:
        for i in range(1000):
            ours, theirs = compared(rng, Path(at), sys.argv[1])
            if ours != theirs:
                failed += 1
                print(f"FAIL  corpus {i}:\n{ours}\n{theirs}")
    print("1000 corpora, BLEU and chrF as sacreBLEU has them:")
    print(f"{1000 - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
