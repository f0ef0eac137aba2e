/*
 * corpus - write a German-English parallel corpus made from a grammar.
 *
 *     ./corpus DIR      writes DIR/{train,val,test}.{de,en}
 *
 * The six files are UTF-8, one sentence per line; line i of X.de and line i of X.en translate
 * each other. What the program guarantees:
 *
 *   - The same bytes from every compiler on every platform: integers only, a fixed seed, and
 *     never two random draws whose order C leaves open.
 *   - No German line occurs twice, and German determines English: if the grammar gave one German
 *     sentence two translations, the program would stop with an error.
 *   - No line of test or validation, in either language, occurs in another file.
 *   - A file that could not be written in full is an error: one sentence on stderr, exit 1.
 *
 * Fixed conventions make the translation a function: the German perfect is the English simple
 * past, "gerade" is the progressive, "kein" is "not a" or "not any", and a "Sie" that opens a
 * statement is "she" or "they", since its capital letter marks the polite form only elsewhere.
 *
 * Order of this file: words (the tables), chance, text, English and German word forms, noun
 * phrases, clauses (their contents, then each language's word order), sentences, corpus.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 30000, HELD_OUT = 1000, TOTAL = TRAIN + 2 * HELD_OUT, LINE = 192 };

#define COUNT(table) ((unsigned)(sizeof(table) / sizeof *(table)))
#define PICK(table) (&(table)[roll(COUNT(table))])

/* A phrase or a sentence in both languages. */
typedef struct {
    char de[LINE], en[LINE];
} Text;

/* ---- Words ---------------------------------------------------------------------------- */

enum { M, F, N, P };            /* genders; the plural behaves like a fourth one */
enum { NOM, ACC, DAT, GEN };    /* cases */
enum { ICH, DU, ER, WIR, IHR, SIE }; /* persons */

/* What a noun is: by it verbs choose their subjects and objects, and adjectives their nouns. */
enum {
    PERSON = 1 << 0, KIN = 1 << 1, ANIMAL = 1 << 2, FOOD = 1 << 3, DRINK = 1 << 4,
    TEXT = 1 << 5, SHOW = 1 << 6, CLOTH = 1 << 7, CAR = 1 << 8, LINER = 1 << 9, GOOD = 1 << 10,
    HOUSE = 1 << 11, ROOM = 1 << 12, OPEN = 1 << 13, POWER = 1 << 14, EVENT = 1 << 15,
    FURN = 1 << 16, IDEA = 1 << 17, MOOD = 1 << 18, TALE = 1 << 19, SKY = 1 << 20,
    MASS = 1 << 21,             /* has no plural and no indefinite article */
    WEAK = 1 << 22,             /* n-declension: der Junge, den Jungen */
    COOKED = 1 << 23, MAIL = 1 << 24,
    HUMAN = PERSON | KIN
};

/* An irregular English plural follows a bar. A German noun without a singular has gender P. */
typedef struct {
    const char *de;
    int gender;
    const char *plural, *en;
    unsigned kind;
} Noun;

static const Noun nouns[] = {
    {"Mann", M, "Männer", "man|men", PERSON}, {"Frau", F, "Frauen", "woman|women", PERSON},
    {"Kind", N, "Kinder", "child|children", PERSON}, {"Mädchen", N, "Mädchen", "girl", PERSON},
    {"Junge", M, "Jungen", "boy", PERSON | WEAK}, {"Gast", M, "Gäste", "guest", PERSON},
    {"Student", M, "Studenten", "student", PERSON | WEAK},
    {"Studentin", F, "Studentinnen", "student", PERSON},
    {"Lehrer", M, "Lehrer", "teacher", PERSON}, {"Lehrerin", F, "Lehrerinnen", "teacher", PERSON},
    {"Arzt", M, "Ärzte", "doctor", PERSON}, {"Ärztin", F, "Ärztinnen", "doctor", PERSON},
    {"Nachbar", M, "Nachbarn", "neighbor", PERSON | WEAK},
    {"Nachbarin", F, "Nachbarinnen", "neighbor", PERSON},
    {"Kollege", M, "Kollegen", "colleague", PERSON | WEAK},
    {"Kollegin", F, "Kolleginnen", "colleague", PERSON},
    {"Tourist", M, "Touristen", "tourist", PERSON | WEAK},
    {"Kunde", M, "Kunden", "customer", PERSON | WEAK}, {"Koch", M, "Köche", "cook", PERSON},
    {"Kundin", F, "Kundinnen", "customer", PERSON}, {"Bäcker", M, "Bäcker", "baker", PERSON},
    {"Schüler", M, "Schüler", "pupil", PERSON},
    {"Schülerin", F, "Schülerinnen", "pupil", PERSON},
    {"Bauer", M, "Bauern", "farmer", PERSON | WEAK}, {"Chefin", F, "Chefinnen", "boss", PERSON},
    {"Künstler", M, "Künstler", "artist", PERSON}, {"Musiker", M, "Musiker", "musician", PERSON},
    {"Kellner", M, "Kellner", "waiter", PERSON}, {"Leute", P, "Leute", "people|people", PERSON},
    {"Bruder", M, "Brüder", "brother", KIN}, {"Schwester", F, "Schwestern", "sister", KIN},
    {"Vater", M, "", "father", KIN}, {"Mutter", F, "", "mother", KIN},
    {"Sohn", M, "Söhne", "son", KIN}, {"Tochter", F, "Töchter", "daughter", KIN},
    {"Onkel", M, "", "uncle", KIN}, {"Tante", F, "Tanten", "aunt", KIN},
    {"Großvater", M, "", "grandfather", KIN}, {"Großmutter", F, "", "grandmother", KIN},
    {"Freund", M, "Freunde", "friend", KIN}, {"Freundin", F, "Freundinnen", "friend", KIN},
    {"Neffe", M, "Neffen", "nephew", KIN | WEAK}, {"Eltern", P, "Eltern", "parents|parents", KIN},

    {"Hund", M, "Hunde", "dog", ANIMAL}, {"Katze", F, "Katzen", "cat", ANIMAL},
    {"Pferd", N, "Pferde", "horse", ANIMAL}, {"Kuh", F, "Kühe", "cow", ANIMAL},
    {"Vogel", M, "Vögel", "bird", ANIMAL}, {"Maus", F, "Mäuse", "mouse|mice", ANIMAL},
    {"Bär", M, "Bären", "bear", ANIMAL | WEAK}, {"Affe", M, "Affen", "monkey", ANIMAL | WEAK},
    {"Löwe", M, "Löwen", "lion", ANIMAL | WEAK}, {"Ente", F, "Enten", "duck", ANIMAL},

    {"Brot", N, "", "bread", FOOD | MASS}, {"Käse", M, "", "cheese", FOOD | MASS},
    {"Fleisch", N, "", "meat", FOOD | COOKED | MASS}, {"Reis", M, "", "rice", FOOD | COOKED | MASS},
    {"Fisch", M, "", "fish", FOOD | COOKED | MASS}, {"Obst", N, "", "fruit", FOOD | MASS},
    {"Schokolade", F, "", "chocolate", FOOD | MASS}, {"Suppe", F, "Suppen", "soup", FOOD | COOKED},
    {"Apfel", M, "Äpfel", "apple", FOOD}, {"Banane", F, "Bananen", "banana", FOOD},
    {"Orange", F, "Orangen", "orange", FOOD}, {"Kuchen", M, "Kuchen", "cake", FOOD},
    {"Ei", N, "Eier", "egg", FOOD | COOKED}, {"Salat", M, "Salate", "salad", FOOD},
    {"Kartoffel", F, "Kartoffeln", "potato|potatoes", FOOD | COOKED},
    {"Birne", F, "Birnen", "pear", FOOD},
    {"Tomate", F, "Tomaten", "tomato|tomatoes", FOOD}, {"Pizza", F, "Pizzas", "pizza", FOOD},
    {"Kaffee", M, "", "coffee", DRINK | MASS}, {"Tee", M, "", "tea", DRINK | MASS},
    {"Milch", F, "", "milk", DRINK | MASS}, {"Wasser", N, "", "water", DRINK | MASS},
    {"Saft", M, "", "juice", DRINK | MASS}, {"Wein", M, "", "wine", DRINK | MASS},
    {"Bier", N, "", "beer", DRINK | MASS}, {"Limonade", F, "", "lemonade", DRINK | MASS},

    {"Buch", N, "Bücher", "book", TEXT | GOOD}, {"Brief", M, "Briefe", "letter", TEXT | MAIL},
    {"Zeitung", F, "Zeitungen", "newspaper", TEXT}, {"Roman", M, "Romane", "novel", TEXT},
    {"Gedicht", N, "Gedichte", "poem", TEXT | MAIL},
    {"Artikel", M, "Artikel", "article", TEXT | MAIL},
    {"Geschichte", F, "Geschichten", "story", TEXT | TALE},
    {"Märchen", N, "Märchen", "fairy tale", TEXT | TALE}, {"Witz", M, "Witze", "joke", TALE},
    {"Nachricht", F, "Nachrichten", "message", TEXT | MAIL},
    {"Bericht", M, "Berichte", "report", TEXT | MAIL},
    {"Postkarte", F, "Postkarten", "postcard", TEXT | MAIL},
    {"Film", M, "Filme", "film", SHOW | EVENT},
    {"Spiel", N, "Spiele", "game", SHOW | EVENT}, {"Sendung", F, "Sendungen", "show", SHOW},

    {"Mantel", M, "Mäntel", "coat", CLOTH}, {"Jacke", F, "Jacken", "jacket", CLOTH},
    {"Hemd", N, "Hemden", "shirt", CLOTH}, {"Kleid", N, "Kleider", "dress", CLOTH},
    {"Rock", M, "Röcke", "skirt", CLOTH}, {"Hut", M, "Hüte", "hat", CLOTH},
    {"Mütze", F, "Mützen", "cap", CLOTH}, {"Pullover", M, "Pullover", "sweater", CLOTH},
    {"Schal", M, "Schals", "scarf|scarves", CLOTH}, {"Bluse", F, "Blusen", "blouse", CLOTH},
    {"Auto", N, "Autos", "car", CAR}, {"Fahrrad", N, "Fahrräder", "bicycle", CAR},
    {"Motorrad", N, "Motorräder", "motorcycle", CAR}, {"Boot", N, "Boote", "boat", CAR},
    {"Bus", M, "Busse", "bus", LINER}, {"Zug", M, "Züge", "train", LINER},
    {"Straßenbahn", F, "Straßenbahnen", "tram", LINER}, {"Schiff", N, "Schiffe", "ship", LINER},
    {"Schlüssel", M, "Schlüssel", "key", GOOD}, {"Tasche", F, "Taschen", "bag", GOOD},
    {"Uhr", F, "Uhren", "watch", GOOD}, {"Ball", M, "Bälle", "ball", GOOD},
    {"Regenschirm", M, "Regenschirme", "umbrella", GOOD}, {"Ring", M, "Ringe", "ring", GOOD},
    {"Geschenk", N, "Geschenke", "present", GOOD}, {"Bild", N, "Bilder", "picture", GOOD},
    {"Koffer", M, "Koffer", "suitcase", GOOD | OPEN}, {"Blume", F, "Blumen", "flower", GOOD},
    {"Kamera", F, "Kameras", "camera", GOOD}, {"Paket", N, "Pakete", "parcel", GOOD | OPEN},
    {"Stift", M, "Stifte", "pen", GOOD}, {"Messer", N, "Messer", "knife|knives", GOOD},
    {"Teller", M, "Teller", "plate", GOOD}, {"Tasse", F, "Tassen", "cup", GOOD},
    {"Glas", N, "Gläser", "glass", GOOD}, {"Gitarre", F, "Gitarren", "guitar", GOOD},
    {"Flasche", F, "Flaschen", "bottle", GOOD | OPEN}, {"Puppe", F, "Puppen", "doll", GOOD},

    {"Haus", N, "Häuser", "house", HOUSE}, {"Wohnung", F, "Wohnungen", "apartment", HOUSE},
    {"Hotel", N, "Hotels", "hotel", HOUSE}, {"Schloss", N, "Schlösser", "castle", HOUSE},
    {"Kirche", F, "Kirchen", "church", HOUSE}, {"Museum", N, "Museen", "museum", HOUSE},
    {"Turm", M, "Türme", "tower", HOUSE}, {"Brücke", F, "Brücken", "bridge", HOUSE},
    {"Zimmer", N, "Zimmer", "room", ROOM}, {"Küche", F, "Küchen", "kitchen", ROOM},
    {"Bad", N, "Bäder", "bathroom", ROOM}, {"Büro", N, "Büros", "office", ROOM},
    {"Keller", M, "Keller", "basement", ROOM}, {"Tür", F, "Türen", "door", OPEN},
    {"Fenster", N, "Fenster", "window", OPEN}, {"Tor", N, "Tore", "gate", OPEN},
    {"Licht", N, "Lichter", "light", POWER}, {"Lampe", F, "Lampen", "lamp", POWER},
    {"Radio", N, "Radios", "radio", POWER}, {"Computer", M, "Computer", "computer", POWER},
    {"Fernseher", M, "Fernseher", "television", POWER}, {"Herd", M, "Herde", "stove", POWER},
    {"Konzert", N, "Konzerte", "concert", EVENT}, {"Fest", N, "Feste", "party", EVENT},
    {"Prüfung", F, "Prüfungen", "exam", EVENT}, {"Sitzung", F, "Sitzungen", "meeting", EVENT},
    {"Hochzeit", F, "Hochzeiten", "wedding", EVENT}, {"Kurs", M, "Kurse", "course", EVENT},
    {"Tisch", M, "Tische", "table", FURN}, {"Stuhl", M, "Stühle", "chair", FURN},
    {"Bett", N, "Betten", "bed", FURN}, {"Sofa", N, "Sofas", "sofa", FURN},
    {"Regal", N, "Regale", "shelf|shelves", FURN}, {"Sessel", M, "Sessel", "armchair", FURN},
    {"Schrank", M, "Schränke", "cupboard", FURN}, {"Frage", F, "Fragen", "question", IDEA},
    {"Antwort", F, "Antworten", "answer", IDEA}, {"Problem", N, "Probleme", "problem", IDEA},
    {"Plan", M, "Pläne", "plan", IDEA}, {"Satz", M, "Sätze", "sentence", IDEA},
    {"Regel", F, "Regeln", "rule", IDEA}, {"Wort", N, "Wörter", "word", IDEA},
};

/* The comparative is given only where it is used. */
typedef struct {
    const char *de, *en;
    unsigned kind;
    const char *more, *en_more;
} Adjective;

enum {
    WARES = CLOTH | CAR | GOOD | FURN, PAINTED = CLOTH | CAR | FURN,
    BUILT = HOUSE | ROOM | OPEN, TOLD = TEXT | SHOW | TALE
};

static const Adjective adjectives[] = {
    {"alt", "old", KIN | ANIMAL | WARES | HOUSE, "älter", "older"},
    {"jung", "young", PERSON | ANIMAL, "jünger", "younger"},
    {"neu", "new", WARES | BUILT | POWER | LINER | TOLD, "neuer", "newer"},
    {"groß", "big", ANIMAL | WARES | BUILT, "größer", "bigger"},
    {"klein", "small", ANIMAL | WARES | BUILT, "kleiner", "smaller"},
    {"schön", "beautiful", WARES | BUILT | ANIMAL, "schöner", "more beautiful"},
    {"hässlich", "ugly", CLOTH | FURN | HOUSE, "hässlicher", "uglier"},
    {"teuer", "expensive", WARES | HOUSE | POWER, "teurer", "more expensive"},
    {"billig", "cheap", WARES | POWER, "billiger", "cheaper"},
    {"rot", "red", PAINTED, "", ""}, {"blau", "blue", PAINTED, "", ""},
    {"grün", "green", PAINTED, "", ""}, {"gelb", "yellow", PAINTED, "", ""},
    {"schwarz", "black", PAINTED | ANIMAL, "", ""}, {"weiß", "white", PAINTED | ANIMAL, "", ""},
    {"braun", "brown", PAINTED | ANIMAL, "", ""}, {"grau", "gray", PAINTED, "", ""},
    {"interessant", "interesting", TOLD | IDEA, "interessanter", "more interesting"},
    {"langweilig", "boring", TOLD, "langweiliger", "more boring"},
    {"spannend", "exciting", TOLD, "spannender", "more exciting"},
    {"lang", "long", TOLD | IDEA, "länger", "longer"},
    {"kurz", "short", TOLD | IDEA, "kürzer", "shorter"},
    {"lustig", "funny", TOLD | PERSON, "lustiger", "funnier"},
    {"schwierig", "difficult", IDEA, "schwieriger", "more difficult"},
    {"einfach", "simple", IDEA, "einfacher", "simpler"},
    {"wichtig", "important", TEXT | IDEA | EVENT, "wichtiger", "more important"},
    {"klug", "smart", PERSON | KIN | ANIMAL, "klüger", "smarter"},
    {"nett", "nice", PERSON | KIN, "netter", "nicer"},
    {"freundlich", "friendly", PERSON, "freundlicher", "friendlier"},
    {"fleißig", "diligent", PERSON, "fleißiger", "more diligent"},
    {"faul", "lazy", PERSON | ANIMAL, "fauler", "lazier"},
    {"stark", "strong", PERSON | ANIMAL, "stärker", "stronger"},
    {"berühmt", "famous", PERSON | HOUSE, "berühmter", "more famous"},
    {"reich", "rich", PERSON, "reicher", "richer"}, {"arm", "poor", PERSON, "ärmer", "poorer"},
    {"schnell", "fast", CAR | LINER | ANIMAL, "schneller", "faster"},
    {"langsam", "slow", CAR | LINER, "langsamer", "slower"},
    {"modern", "modern", HOUSE | ROOM | FURN | POWER, "moderner", "more modern"},
    {"gut", "good", FOOD | DRINK | TOLD | IDEA, "besser", "better"},
    {"lecker", "delicious", FOOD | DRINK, "", ""}, {"frisch", "fresh", FOOD, "", ""},
    {"kalt", "cold", DRINK, "kälter", "colder"}, {"kaputt", "broken", CAR | POWER, "", ""},
    {"hell", "bright", ROOM, "heller", "brighter"}, {"dunkel", "dark", ROOM, "", ""},
    {"sauber", "clean", ROOM | CLOTH | CAR, "", ""}, {"warm", "warm", CLOTH | ROOM, "", ""},
    {"schmutzig", "dirty", ROOM | CLOTH | CAR, "", ""}, {"müde", "tired", MOOD, "", ""},
    {"krank", "sick", MOOD, "", ""}, {"hungrig", "hungry", MOOD, "", ""},
    {"glücklich", "happy", MOOD, "", ""}, {"traurig", "sad", MOOD, "", ""},
    {"nervös", "nervous", MOOD, "", ""}, {"zufrieden", "satisfied", MOOD, "", ""},
    {"kalt", "cold", SKY, "", ""}, {"warm", "warm", SKY, "", ""}, {"heiß", "hot", SKY, "", ""},
    {"windig", "windy", SKY, "", ""}, {"sonnig", "sunny", SKY, "", ""},
    {"neblig", "foggy", SKY, "", ""}, {"dunkel", "dark", SKY, "", ""},
};

/* One row per person; the corpus avoids the forms left empty, which would be ambiguous. */
typedef struct {
    const char *form[3], *self, *own;
    int person, party;
    const char *en, *en_object, *en_own;
} Pronoun;

enum { I, YOU, HE, SHE, WE, YOU_ALL, THEY, POLITE, IT, PRONOUNS };

static const Pronoun pronouns[PRONOUNS] = {
    {{"ich", "mich", "mir"}, "mich", "mein", ICH, 1, "I", "me", "my"},
    {{"du", "dich", "dir"}, "dich", "dein", DU, 2, "you", "you", "your"},
    {{"er", "ihn", "ihm"}, "sich", "sein", ER, 3, "he", "him", "his"},
    {{"sie", "", "ihr"}, "sich", "ihr", ER, 3, "she", "her", "her"},
    {{"wir", "uns", "uns"}, "uns", "unser", WIR, 1, "we", "us", "our"},
    {{"ihr", "euch", "euch"}, "euch", "euer", IHR, 2, "you", "you", "your"},
    {{"sie", "", "ihnen"}, "sich", "ihr", SIE, 3, "they", "them", "their"},
    {{"Sie", "Sie", "Ihnen"}, "sich", "Ihr", SIE, 2, "you", "you", "your"},
    {{"es", "", ""}, "sich", "", ER, 3, "it", "it", ""},
};

static const struct { const char *name; int who; } names[] = {
    {"Anna", SHE}, {"Maria", SHE}, {"Julia", SHE}, {"Laura", SHE}, {"Sophie", SHE}, {"Eva", SHE},
    {"Peter", HE}, {"Paul", HE}, {"Martin", HE}, {"Thomas", HE}, {"Daniel", HE}, {"Jan", HE},
};

/* Determiners: how they inflect, and their English in the singular and the plural. */
enum { PLAIN, ARTICLE, LIKE_DER, LIKE_EIN, LIKE_ADJECTIVE };
enum { NO_DET, THE, OF, THIS, EVERY, WHICH, ALL, MANY, A, NOT_A, OWN, NUMBER };

static const struct { const char *de, *en, *en_plural; int like; } determiners[] = {
    {"", "", "", PLAIN}, {"", "the", "the", ARTICLE}, {"", "", "", ARTICLE},
    {"dies", "this", "these", LIKE_DER}, {"jed", "every", "", LIKE_DER},
    {"welch", "which", "which", LIKE_DER}, {"all", "", "all the", LIKE_DER},
    {"viel", "", "many", LIKE_ADJECTIVE}, {"ein", "a", "", LIKE_EIN},
    {"kein", "a", "any", LIKE_EIN}, {"", "", "", LIKE_EIN}, {"", "", "", PLAIN},
};

/* Verbs: the infinitive with a bar after a separable prefix, the present stem if it changes,
 * the participle; English with its past if irregular; the object's preposition and case; what
 * subject and object may be. */
typedef struct {
    const char *de, *change, *participle, *en, *past, *prep;
    int cas;
    unsigned who, what, flags;
} Verb;

enum {
    SEIN = 1,       /* perfect with "sein" */
    DAILY = 2,      /* what one does often, and may like to do */
    STATIVE = 4,    /* no progressive, no modal verb */
    SELF = 8,       /* reflexive in German */
    GIVE = 16,      /* also takes a person in the dative */
    PLACE = 32,     /* may say where */
    GAME = 64,      /* takes one of the games */
    WALK = 128,     /* needs a near goal */
    RIDE = 256,     /* needs a far goal */
    LIVE = 512,     /* needs a place */
    ONCE = 1024,    /* momentary: no progressive */
    ALIVE = HUMAN | ANIMAL
};

static const Verb verbs[] = {
    {"schlafen", "schläf", "geschlafen", "sleep", "slept", "", 0, ALIVE, 0, DAILY | PLACE},
    {"arbeiten", "", "gearbeitet", "work", "", "", 0, HUMAN, 0, DAILY | PLACE},
    {"schwimmen", "", "geschwommen", "swim", "swam", "", 0, HUMAN, 0, DAILY | SEIN},
    {"tanzen", "", "getanzt", "dance", "", "", 0, HUMAN, 0, DAILY | PLACE},
    {"singen", "", "gesungen", "sing", "sang", "", 0, HUMAN, 0, DAILY | PLACE},
    {"wandern", "", "gewandert", "hike", "", "", 0, HUMAN, 0, DAILY | SEIN},
    {"duschen", "", "geduscht", "take a shower", "took", "", 0, HUMAN, 0, DAILY},
    {"frühstücken", "", "gefrühstückt", "have breakfast", "had", "", 0, HUMAN, 0, DAILY},
    {"spielen", "", "gespielt", "play", "", "", 0, HUMAN, 0, DAILY | GAME},
    {"lernen", "", "gelernt", "study", "", "", 0, HUMAN, 0, DAILY | PLACE},
    {"auf|stehen", "", "gestanden", "get up", "got", "", 0, HUMAN, 0, DAILY | SEIN},
    {"ein|schlafen", "schläf", "geschlafen", "fall asleep", "fell", "", 0, ALIVE, 0, SEIN},
    {"ein|kaufen", "", "gekauft", "go shopping", "went", "", 0, HUMAN, 0, DAILY},
    {"fern|sehen", "sieh", "gesehen", "watch television", "", "", 0, HUMAN, 0, DAILY},
    {"aus|ruhen", "", "geruht", "rest", "", "", 0, HUMAN, 0, SELF | PLACE},
    {"beeilen", "", "beeilt", "hurry", "", "", 0, HUMAN, 0, SELF},
    {"gehen", "", "gegangen", "go", "went", "", 0, HUMAN, 0, DAILY | WALK | SEIN},
    {"laufen", "läuf", "gelaufen", "run", "ran", "", 0, HUMAN, 0, WALK | SEIN},
    {"fahren", "fähr", "gefahren", "go", "went", "", 0, HUMAN, 0, RIDE | SEIN},
    {"reisen", "", "gereist", "travel", "", "", 0, HUMAN, 0, RIDE | SEIN},
    {"wohnen", "", "gewohnt", "live", "", "", 0, HUMAN, 0, LIVE | STATIVE},
    {"beginnen", "", "begonnen", "begin", "began", "", 0, EVENT, 0, STATIVE},
    {"an|fangen", "fäng", "gefangen", "start", "", "", 0, EVENT, 0, STATIVE},
    {"ab|fahren", "fähr", "gefahren", "leave", "left", "", 0, LINER, 0, SEIN | STATIVE},
    {"an|kommen", "", "gekommen", "arrive", "", "", 0, LINER, 0, SEIN | STATIVE},

    {"lesen", "lies", "gelesen", "read", "read", "", ACC, HUMAN, TEXT, DAILY | PLACE},
    {"schreiben", "", "geschrieben", "write", "wrote", "", ACC, HUMAN, MAIL, DAILY},
    {"essen", "iss", "gegessen", "eat", "ate", "", ACC, HUMAN, FOOD, DAILY | PLACE},
    {"trinken", "", "getrunken", "drink", "drank", "", ACC, HUMAN, DRINK, DAILY | PLACE},
    {"kochen", "", "gekocht", "cook", "", "", ACC, HUMAN, COOKED, DAILY},
    {"bestellen", "", "bestellt", "order", "", "", ACC, HUMAN, FOOD | DRINK, 0},
    {"probieren", "", "probiert", "taste", "", "", ACC, HUMAN, FOOD | DRINK, 0},
    {"kaufen", "", "gekauft", "buy", "bought", "", ACC, HUMAN, WARES | FOOD | TEXT, 0},
    {"verkaufen", "", "verkauft", "sell", "sold", "", ACC, HUMAN, WARES | HOUSE, 0},
    {"suchen", "", "gesucht", "look for", "", "", ACC, HUMAN, GOOD | CLOTH | HUMAN, 0},
    {"finden", "", "gefunden", "find", "found", "", ACC, HUMAN, GOOD | CLOTH, ONCE},
    {"verlieren", "", "verloren", "lose", "lost", "", ACC, HUMAN, GOOD, STATIVE},
    {"sehen", "sieh", "gesehen", "see", "saw", "", ACC, HUMAN, ALIVE | HOUSE | SHOW, STATIVE},
    {"besuchen", "", "besucht", "visit", "", "", ACC, HUMAN, HUMAN | HOUSE, DAILY},
    {"kennen", "", "gekannt", "know", "knew", "", ACC, HUMAN, HUMAN | TEXT | TALE, STATIVE},
    {"brauchen", "", "gebraucht", "need", "", "", ACC, HUMAN, WARES | FOOD | ROOM, STATIVE},
    {"haben", "", "gehabt", "have", "had", "", ACC, HUMAN, WARES | ANIMAL, STATIVE},
    {"reparieren", "", "repariert", "repair", "", "", ACC, HUMAN, CAR | POWER, 0},
    {"waschen", "wäsch", "gewaschen", "wash", "", "", ACC, HUMAN, CAR | CLOTH, DAILY},
    {"putzen", "", "geputzt", "clean", "", "", ACC, HUMAN, ROOM, DAILY},
    {"auf|räumen", "", "geräumt", "tidy up", "", "", ACC, HUMAN, ROOM, DAILY},
    {"öffnen", "", "geöffnet", "open", "", "", ACC, HUMAN, OPEN, 0},
    {"auf|machen", "", "gemacht", "open", "", "", ACC, HUMAN, OPEN, 0},
    {"zu|machen", "", "gemacht", "close", "", "", ACC, HUMAN, OPEN, 0},
    {"ein|schalten", "", "geschaltet", "turn on", "", "", ACC, HUMAN, POWER, 0},
    {"aus|schalten", "", "geschaltet", "turn off", "", "", ACC, HUMAN, POWER, 0},
    {"an|ziehen", "", "gezogen", "put on", "put", "", ACC, HUMAN, CLOTH, 0},
    {"tragen", "träg", "getragen", "wear", "wore", "", ACC, HUMAN, CLOTH, DAILY},
    {"an|rufen", "", "gerufen", "call", "", "", ACC, HUMAN, HUMAN, DAILY},
    {"ein|laden", "läd", "geladen", "invite", "", "", ACC, HUMAN, HUMAN, 0},
    {"ab|holen", "", "geholt", "pick up", "", "", ACC, HUMAN, HUMAN, DAILY},
    {"treffen", "triff", "getroffen", "meet", "met", "", ACC, HUMAN, HUMAN, DAILY | PLACE},
    {"fragen", "", "gefragt", "ask", "", "", ACC, HUMAN, HUMAN, 0},
    {"verstehen", "", "verstanden", "understand", "understood", "", ACC, HUMAN, IDEA | TEXT,
     STATIVE},
    {"vergessen", "vergiss", "vergessen", "forget", "forgot", "", ACC, HUMAN, GOOD | IDEA, STATIVE},
    {"erklären", "", "erklärt", "explain", "", "", ACC, HUMAN, IDEA, 0},
    {"an|sehen", "sieh", "gesehen", "watch", "", "", ACC, HUMAN, SHOW, 0},
    {"füttern", "", "gefüttert", "feed", "fed", "", ACC, HUMAN, ANIMAL, DAILY},
    {"mieten", "", "gemietet", "rent", "", "", ACC, HUMAN, CAR, 0},
    {"bauen", "", "gebaut", "build", "built", "", ACC, HUMAN, HOUSE, 0},
    {"vor|bereiten", "", "bereitet", "prepare", "", "", ACC, HUMAN, EVENT, 0},
    {"mit|bringen", "", "gebracht", "bring along", "brought", "", ACC, HUMAN, FOOD | DRINK, 0},

    {"helfen", "hilf", "geholfen", "help", "", "", DAT, HUMAN, HUMAN, DAILY},
    {"danken", "", "gedankt", "thank", "", "", DAT, HUMAN, HUMAN, 0},
    {"zu|hören", "", "gehört", "listen to", "", "", DAT, HUMAN, HUMAN, 0},
    {"folgen", "", "gefolgt", "follow", "", "", DAT, HUMAN, HUMAN | CAR, SEIN},
    {"warten", "", "gewartet", "wait for", "", "auf", ACC, HUMAN, HUMAN | LINER, 0},
    {"denken", "", "gedacht", "think of", "thought", "an", ACC, HUMAN, HUMAN | EVENT, 0},
    {"sprechen", "sprich", "gesprochen", "talk to", "", "mit", DAT, HUMAN, HUMAN, DAILY},
    {"träumen", "", "geträumt", "dream of", "", "von", DAT, HUMAN, CAR | HOUSE, 0},
    {"lachen", "", "gelacht", "laugh at", "", "über", ACC, HUMAN, TALE | SHOW, 0},
    {"freuen", "", "gefreut", "look forward to", "", "auf", ACC, HUMAN, EVENT, SELF | STATIVE},
    {"erinnern", "", "erinnert", "remember", "", "an", ACC, HUMAN, HUMAN | SHOW, SELF | STATIVE},
    {"kümmern", "", "gekümmert", "take care of", "took", "um", ACC, HUMAN, ALIVE, SELF},
    {"interessieren", "", "interessiert", "be interested in", "", "für", ACC, HUMAN,
     TEXT | SHOW | HOUSE, SELF | STATIVE},
    {"teil|nehmen", "nimm", "genommen", "take part in", "took", "an", DAT, HUMAN, EVENT, 0},
    {"geben", "gib", "gegeben", "give", "gave", "", ACC, HUMAN, GOOD | DRINK | FOOD, GIVE},
    {"zeigen", "", "gezeigt", "show", "", "", ACC, HUMAN, GOOD | ROOM | HOUSE, GIVE},
    {"schicken", "", "geschickt", "send", "sent", "", ACC, HUMAN, MAIL, GIVE},
    {"bringen", "", "gebracht", "bring", "brought", "", ACC, HUMAN, GOOD | DRINK | FOOD, GIVE},
    {"leihen", "", "geliehen", "lend", "lent", "", ACC, HUMAN, CAR | GOOD, GIVE},
    {"erzählen", "", "erzählt", "tell", "told", "", ACC, HUMAN, TALE, GIVE},
    {"an|bieten", "", "geboten", "offer", "", "", ACC, HUMAN, DRINK | FOOD, GIVE},
    {"vor|lesen", "lies", "gelesen", "read", "read", "", ACC, HUMAN, TEXT, GIVE},
    {"fressen", "friss", "gefressen", "eat", "ate", "", ACC, ANIMAL, COOKED, 0},
};

/* Verbs that only certain sentences use. */
static const Verb be = {"sein", "", "", "be", "", "", 0, 0, 0, STATIVE};
static const Verb have = {"haben", "", "", "have", "had", "", 0, 0, 0, STATIVE};
static const Verb like = {"", "", "", "like", "", "", 0, 0, 0, STATIVE};
static const Verb please = {"gefallen", "gefäll", "gefallen", "", "", "", 0, 0, 0, STATIVE};
static const Verb cost = {"kosten", "", "gekostet", "cost", "cost", "", 0, 0, 0, STATIVE};
static const Verb belong = {"gehören", "", "gehört", "belong to", "", "", DAT, 0, 0, STATIVE};
static const Verb lie[] = {
    {"liegen", "", "gelegen", "be", "", "", 0, 0, 0, STATIVE},
    {"stehen", "", "gestanden", "be", "", "", 0, 0, 0, STATIVE},
};
static const Verb lay[] = {
    {"legen", "", "gelegt", "put", "put", "", ACC, 0, 0, 0},
    {"stellen", "", "gestellt", "put", "put", "", ACC, 0, 0, 0},
};
static const Verb weather_verbs[] = {
    {"regnen", "", "geregnet", "rain", "", "", 0, 0, 0, 0},
    {"schneien", "", "geschneit", "snow", "", "", 0, 0, 0, 0},
};
static const Verb thinking[] = {
    {"wissen", "", "gewusst", "know", "knew", "", 0, 0, 0, STATIVE},
    {"glauben", "", "geglaubt", "believe", "", "", 0, 0, 0, STATIVE},
    {"sagen", "", "gesagt", "say", "said", "", 0, 0, 0, STATIVE},
    {"denken", "", "gedacht", "think", "thought", "", 0, 0, 0, STATIVE},
};
static const Verb asking[] = {
    {"fragen", "", "gefragt", "wonder", "", "", 0, 0, 0, SELF | STATIVE},
    {"wissen", "", "gewusst", "know", "knew", "", 0, 0, 0, STATIVE},
};
static const Verb trying[] = {
    {"versuchen", "", "versucht", "try", "", "", 0, 0, 0, 0},
    {"vergessen", "vergiss", "vergessen", "forget", "forgot", "", 0, 0, 0, 0},
    {"beschließen", "", "beschlossen", "decide", "", "", 0, 0, 0, 0},
    {"versprechen", "versprich", "versprochen", "promise", "", "", 0, 0, 0, 0},
    {"hoffen", "", "gehofft", "hope", "", "", 0, 0, 0, 0},
};
static const Verb since_verbs[] = {
    {"wohnen", "", "", "have lived", "", "", 0, 0, 0, LIVE},
    {"arbeiten", "", "", "have worked", "", "", 0, 0, 0, PLACE},
    {"sein", "", "", "have been", "", "", 0, 0, 0, PLACE},
    {"warten", "", "", "have waited", "", "", 0, 0, 0, PLACE},
};

static const struct { const char *de, *now[6], *past[6]; } irregular[] = {
    {"sein", {"bin", "bist", "ist", "sind", "seid", "sind"},
     {"war", "warst", "war", "waren", "wart", "waren"}},
    {"haben", {"habe", "hast", "hat", "haben", "habt", "haben"},
     {"hatte", "hattest", "hatte", "hatten", "hattet", "hatten"}},
    {"werden", {"werde", "wirst", "wird", "werden", "werdet", "werden"}, {0}},
    {"wissen", {"weiß", "weißt", "weiß", "wissen", "wisst", "wissen"}, {0}},
    {"können", {"kann", "kannst", "kann", "können", "könnt", "können"},
     {"konnte", "konntest", "konnte", "konnten", "konntet", "konnten"}},
    {"müssen", {"muss", "musst", "muss", "müssen", "müsst", "müssen"},
     {"musste", "musstest", "musste", "mussten", "musstet", "mussten"}},
    {"wollen", {"will", "willst", "will", "wollen", "wollt", "wollen"},
     {"wollte", "wolltest", "wollte", "wollten", "wolltet", "wollten"}},
    {"dürfen", {"darf", "darfst", "darf", "dürfen", "dürft", "dürfen"},
     {"durfte", "durftest", "durfte", "durften", "durftet", "durften"}},
    {"sollen", {"soll", "sollst", "soll", "sollen", "sollt", "sollen"}, {0}},
    {"möchten", {"möchte", "möchtest", "möchte", "möchten", "möchtet", "möchten"}, {0}},
};

/* Modal verbs: the English word that inflects, its past, what links it to the main verb. */
static const struct { const char *de, *en, *past, *link; } modals[] = {
    {"können", "can", "could", ""}, {"müssen", "have", "had", "to"},
    {"wollen", "want", "wanted", "to"}, {"dürfen", "be", "", "allowed to"},
    {"sollen", "be", "", "supposed to"}, {"möchten", "would", "", "like to"},
};
enum { PAST_MODALS = 4 };       /* the first four have a past */

static const char *const games[][2] = {
    {"Klavier", "the piano"}, {"Gitarre", "the guitar"}, {"Fußball", "football"},
    {"Tennis", "tennis"}, {"Schach", "chess"}, {"Karten", "cards"}, {"Geige", "the violin"},
};

/* Places: as a goal and as a location, the English of both, and what they may be used for. */
static const struct { const char *to, *at, *en_to, *en_at; unsigned use; } places[] = {
    {"nach Hause", "zu Hause", "home", "at home", WALK | PLACE},
    {"in die Schule", "in der Schule", "to school", "at school", WALK},
    {"ins Kino", "im Kino", "to the cinema", "at the cinema", WALK},
    {"ins Theater", "im Theater", "to the theater", "at the theater", WALK},
    {"in den Park", "im Park", "to the park", "in the park", WALK | PLACE},
    {"in den Garten", "im Garten", "into the garden", "in the garden", WALK | PLACE},
    {"in die Küche", "in der Küche", "into the kitchen", "in the kitchen", WALK | PLACE},
    {"in die Stadt", "in der Stadt", "to town", "in town", WALK | RIDE},
    {"in die Bibliothek", "in der Bibliothek", "to the library", "in the library", WALK},
    {"ins Restaurant", "im Restaurant", "to the restaurant", "in the restaurant", WALK},
    {"auf den Markt", "auf dem Markt", "to the market", "at the market", WALK},
    {"zum Bahnhof", "am Bahnhof", "to the station", "at the station", WALK | RIDE},
    {"zum Flughafen", "am Flughafen", "to the airport", "at the airport", RIDE},
    {"zum Arzt", "beim Arzt", "to the doctor", "at the doctor's", WALK},
    {"an den Strand", "am Strand", "to the beach", "on the beach", WALK | RIDE | PLACE},
    {"ans Meer", "am Meer", "to the sea", "by the sea", RIDE | LIVE},
    {"in die Berge", "in den Bergen", "to the mountains", "in the mountains", RIDE | LIVE},
    {"aufs Land", "auf dem Land", "to the country", "in the country", RIDE | LIVE},
    {"nach Berlin", "in Berlin", "to Berlin", "in Berlin", RIDE | LIVE | PLACE},
    {"nach Hamburg", "in Hamburg", "to Hamburg", "in Hamburg", RIDE | LIVE},
    {"nach München", "in München", "to Munich", "in Munich", RIDE | LIVE},
    {"nach Wien", "in Wien", "to Vienna", "in Vienna", RIDE | LIVE | PLACE},
    {"nach Italien", "in Italien", "to Italy", "in Italy", RIDE | LIVE},
    {"nach Frankreich", "in Frankreich", "to France", "in France", RIDE | LIVE},
    {"in die Schweiz", "in der Schweiz", "to Switzerland", "in Switzerland", RIDE | LIVE},
    {"in die Türkei", "in der Türkei", "to Turkey", "in Turkey", RIDE | LIVE},
};

static const char *const means[][2] = {
    {"mit dem Zug", "by train"}, {"mit dem Bus", "by bus"}, {"mit dem Auto", "by car"},
    {"mit dem Fahrrad", "by bicycle"}, {"mit dem Schiff", "by ship"},
};

/* Prepositions that take the accusative for a goal and the dative for a place. */
static const char *const two_way[][2] = {
    {"auf", "on"}, {"unter", "under"}, {"neben", "next to"}, {"hinter", "behind"},
    {"vor", "in front of"},
};

enum { HABIT = 1, PAST_TIME = 2, FUTURE_TIME = 4 };

static const struct { const char *de, *en; unsigned use; } times[] = {
    {"jeden Tag", "every day", HABIT}, {"jeden Morgen", "every morning", HABIT},
    {"jeden Abend", "every evening", HABIT}, {"jede Woche", "every week", HABIT},
    {"am Wochenende", "on the weekend", HABIT | FUTURE_TIME}, {"am Abend", "in the evening", HABIT},
    {"im Sommer", "in the summer", HABIT}, {"im Winter", "in the winter", HABIT},
    {"während der Ferien", "during the holidays", HABIT | PAST_TIME | FUTURE_TIME},
    {"am Nachmittag", "in the afternoon", HABIT}, {"gestern", "yesterday", PAST_TIME},
    {"gestern Abend", "last night", PAST_TIME},
    {"vorgestern", "the day before yesterday", PAST_TIME},
    {"letzte Woche", "last week", PAST_TIME}, {"letztes Jahr", "last year", PAST_TIME},
    {"heute Morgen", "this morning", PAST_TIME}, {"letzten Sommer", "last summer", PAST_TIME},
    {"heute", "today", PAST_TIME | FUTURE_TIME}, {"heute Abend", "this evening", FUTURE_TIME},
    {"morgen", "tomorrow", FUTURE_TIME}, {"morgen früh", "tomorrow morning", FUTURE_TIME},
    {"übermorgen", "the day after tomorrow", FUTURE_TIME}, {"bald", "soon", FUTURE_TIME},
    {"nächste Woche", "next week", FUTURE_TIME}, {"nächstes Jahr", "next year", FUTURE_TIME},
    {"wegen des Regens", "because of the rain", PAST_TIME},
    {"trotz des Regens", "despite the rain", PAST_TIME},
};

static const char *const often[][2] = {
    {"oft", "often"}, {"immer", "always"}, {"nie", "never"}, {"selten", "rarely"},
    {"manchmal", "sometimes"}, {"meistens", "usually"},
};

static const char *const weekdays[][2] = {
    {"Montag", "Monday"}, {"Dienstag", "Tuesday"}, {"Mittwoch", "Wednesday"},
    {"Donnerstag", "Thursday"}, {"Freitag", "Friday"}, {"Samstag", "Saturday"},
    {"Sonntag", "Sunday"},
};

static const struct { const char *de, *en; unsigned days; } months[] = {
    {"Januar", "January", 31}, {"Februar", "February", 28}, {"März", "March", 31},
    {"April", "April", 30}, {"Mai", "May", 31}, {"Juni", "June", 30}, {"Juli", "July", 31},
    {"August", "August", 31}, {"September", "September", 30}, {"Oktober", "October", 31},
    {"November", "November", 30}, {"Dezember", "December", 31},
};

static const struct { const char *de, *en, *nth, *en_nth; } ones[] = {
    {"null", "zero", "", ""}, {"eins", "one", "erst", "first"}, {"zwei", "two", "zweit", "second"},
    {"drei", "three", "dritt", "third"}, {"vier", "four", "viert", "fourth"},
    {"fünf", "five", "fünft", "fifth"}, {"sechs", "six", "sechst", "sixth"},
    {"sieben", "seven", "siebt", "seventh"}, {"acht", "eight", "acht", "eighth"},
    {"neun", "nine", "neunt", "ninth"}, {"zehn", "ten", "zehnt", "tenth"},
    {"elf", "eleven", "elft", "eleventh"}, {"zwölf", "twelve", "zwölft", "twelfth"},
    {"dreizehn", "thirteen", "dreizehnt", "thirteenth"},
    {"vierzehn", "fourteen", "vierzehnt", "fourteenth"},
    {"fünfzehn", "fifteen", "fünfzehnt", "fifteenth"},
    {"sechzehn", "sixteen", "sechzehnt", "sixteenth"},
    {"siebzehn", "seventeen", "siebzehnt", "seventeenth"},
    {"achtzehn", "eighteen", "achtzehnt", "eighteenth"},
    {"neunzehn", "nineteen", "neunzehnt", "nineteenth"},
};

static const struct { const char *de, *en, *nth; } tens[] = {
    {"", "", ""}, {"", "", ""}, {"zwanzig", "twenty", "twentieth"},
    {"dreißig", "thirty", "thirtieth"}, {"vierzig", "forty", ""}, {"fünfzig", "fifty", ""},
    {"sechzig", "sixty", ""}, {"siebzig", "seventy", ""}, {"achtzig", "eighty", ""},
    {"neunzig", "ninety", ""},
};

/* What one has or lacks, as a reason for something else. */
static const char *const reasons[][2] = {
    {"keine Zeit", "no time"}, {"viel Zeit", "a lot of time"}, {"viel Arbeit", "a lot of work"},
    {"kein Geld", "no money"}, {"eine Prüfung", "an exam"}, {"Kopfschmerzen", "a headache"},
};

/* Professions. */
static const char *const jobs[][3] = {      /* masculine, feminine */
    {"Arzt", "Ärztin", "doctor"}, {"Lehrer", "Lehrerin", "teacher"},
    {"Ingenieur", "Ingenieurin", "engineer"}, {"Bäcker", "Bäckerin", "baker"},
    {"Student", "Studentin", "student"}, {"Künstler", "Künstlerin", "artist"},
    {"Musiker", "Musikerin", "musician"}, {"Verkäufer", "Verkäuferin", "salesperson"},
    {"Journalist", "Journalistin", "journalist"}, {"Architekt", "Architektin", "architect"},
};

/* ---- Chance --------------------------------------------------------------------------- */

static unsigned roll(unsigned n)
{
    static uint32_t state = 1000;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (unsigned)((state >> 8) % n);
}

static int chance(unsigned percent)
{
    return roll(100) < percent;
}

/* ---- Text ----------------------------------------------------------------------------- */

static void fail(const char *what, const char *which)
{
    fprintf(stderr, "corpus: %s: %s.\n", what, which);
    exit(EXIT_FAILURE);
}

static void glue(char *line, const char *tail)
{
    if (strlen(line) + strlen(tail) >= LINE)
        fail("this line is too long", line);
    strcat(line, tail);
}

static void add(char *line, const char *word)
{
    if (*line && *word)
        glue(line, " ");
    glue(line, word);
}

static void say(Text *t, const char *de, const char *en)
{
    add(t->de, de);
    add(t->en, en);
}

static int ends(const char *word, const char *tail)
{
    size_t n = strlen(word), m = strlen(tail);

    return n >= m && strcmp(word + n - m, tail) == 0;
}

static int one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static char last(const char *word)
{
    return *word ? word[strlen(word) - 1] : '\0';
}

static void chop(char *word, size_t n)
{
    word[strlen(word) - n] = '\0';
}

/* ---- English word forms --------------------------------------------------------------- */

enum { BASE, THIRD, PAST_FORM, ING };

/* Whether the last consonant doubles: one syllable that ends consonant, vowel, consonant. */
static int doubles(const char *word)
{
    const char *vowels = "aeiou";
    size_t n = strlen(word), first = strcspn(word, vowels);

    return n >= 3 && first == n - 2 && !one_of(word[n - 1], "aeiouwxy");
}

static int y_changes(const char *word)
{
    size_t n = strlen(word);

    return n >= 2 && word[n - 1] == 'y' && !one_of(word[n - 2], "aeiou");
}

/* The -s of nouns and verbs alike. */
static void add_s(char *word)
{
    if (y_changes(word)) {
        chop(word, 1);
        glue(word, "ies");
    } else {
        int hisses = one_of(last(word), "sxz") || ends(word, "ch") || ends(word, "sh");

        glue(word, hisses ? "es" : "s");
    }
}

/* The -ed and -ing of verbs. */
static void add_suffix(char *word, const char *suffix)
{
    char twice[2] = {'\0', '\0'};

    if (last(word) == 'e') {
        chop(word, 1);
    } else if (*suffix == 'e' && y_changes(word)) {
        chop(word, 1);
        glue(word, "i");
    } else if (doubles(word)) {
        twice[0] = last(word);
        glue(word, twice);
    }
    glue(word, suffix);
}

/* Append a verb of one or more words, the first one inflected. */
static void add_verb(char *line, const char *verb, const char *past, int form)
{
    char word[LINE] = "";
    size_t n = strcspn(verb, " ");

    memcpy(word, verb, n);
    if (form == THIRD && strcmp(word, "have") == 0)
        strcpy(word, "has");
    else if (form == THIRD && strcmp(word, "go") == 0)
        strcpy(word, "goes");
    else if (form == THIRD)
        add_s(word);
    else if (form == PAST_FORM && *past)
        strcpy(word, past);
    else if (form == PAST_FORM || form == ING)
        add_suffix(word, form == ING ? "ing" : "ed");
    add(line, word);
    glue(line, verb + n);
}

static const char *form_of_be(int person, int past)
{
    if (past)
        return person == ICH || person == ER ? "was" : "were";
    return person == ICH ? "am" : person == ER ? "is" : "are";
}

static void english_noun(char *line, const Noun *n, int many)
{
    char word[LINE] = "";
    size_t bar = strcspn(n->en, "|");

    if (many && n->en[bar]) {
        add(line, n->en + bar + 1);
        return;
    }
    memcpy(word, n->en, bar);
    if (many)
        add_s(word);
    add(line, word);
}

/* ---- German word forms ---------------------------------------------------------------- */

static const char *const strong[4][4] = {
    {"er", "e", "es", "e"}, {"en", "e", "es", "e"}, {"em", "er", "em", "en"},
    {"es", "er", "es", "er"},
};

static const char *const article[4][4] = {
    {"der", "die", "das", "die"}, {"den", "die", "das", "die"}, {"dem", "der", "dem", "den"},
    {"des", "der", "des", "der"},
};

/* "ein" and its kind have no ending here, so the adjective must show the case. */
static int bare(int cas, int gender)
{
    return (cas == NOM && gender == M) || (cas != DAT && cas != GEN && gender == N);
}

/* Only one word shows the case: if the determiner does (shown), the adjective is weak. */
static const char *adjective_ending(int cas, int gender, int shown)
{
    if (!shown)
        return cas == GEN && (gender == M || gender == N) ? "en" : strong[cas][gender];
    return gender != P && (cas == NOM || (cas == ACC && gender != M)) ? "e" : "en";
}

static void german_adjective(char *line, const char *adjective, const char *ending)
{
    add(line, adjective);
    if (ends(adjective, "kel") || ends(adjective, "euer")) {    /* dunkel, dunkle */
        char end[2] = {'\0', '\0'};

        end[0] = last(adjective);
        chop(line, 2);
        glue(line, end);
    }
    glue(line, ending);
}

static int vowel_groups(const char *word)
{
    int groups = 0, inside = 0;

    for (; *word; word++) {
        int vowel = one_of(*word, "aeiouyAEIOUY\xC3");

        groups += vowel && !inside;
        inside = vowel || (*word & 0x80);
    }
    return groups;
}

static void german_noun(char *line, const Noun *n, int cas, int many)
{
    int weak = (n->kind & WEAK) && cas != NOM && !many;

    add(line, many || weak ? n->plural : n->de);
    if (many && cas == DAT && !one_of(last(line), "ns"))
        glue(line, "n");
    if (!many && cas == GEN && !weak && n->gender != F)
        glue(line, one_of(last(line), "szx") ||
             (vowel_groups(n->de) == 1 && !one_of(last(line), "aeiou")) ? "es" : "s");
}

/* The form of an irregular verb, or NULL. */
static const char *irregular_form(const char *verb, int person, int past)
{
    unsigned i;

    for (i = 0; i < COUNT(irregular); i++)
        if (strcmp(irregular[i].de, verb) == 0)
            return past ? irregular[i].past[person] : irregular[i].now[person];
    return NULL;
}

/* The infinitive without its separable prefix. */
static const char *simple(const Verb *v)
{
    const char *bar = strchr(v->de, '|');

    return bar ? bar + 1 : v->de;
}

static void add_prefix(char *line, const Verb *v)
{
    char prefix[LINE] = "";

    memcpy(prefix, v->de, (size_t)(simple(v) - v->de));
    if (*prefix)
        chop(prefix, 1);
    add(line, prefix);
}

static int needs_e(const char *stem)
{
    return one_of(last(stem), "dt") || ends(stem, "fn") || ends(stem, "gn");
}

static void add_present(char *line, const Verb *v, int person)
{
    const char *form = irregular_form(simple(v), person, 0);
    char stem[LINE] = "";
    int changed = (person == DU || person == ER) && *v->change;

    if (form || person == WIR || person == SIE) {
        add(line, form ? form : simple(v));
        return;
    }
    strcpy(stem, changed ? v->change : simple(v));
    if (!changed)
        chop(stem, ends(stem, "en") ? 2 : 1);
    add(line, stem);
    if (person == ICH)
        glue(line, "e");
    else if (!changed && needs_e(stem))
        glue(line, person == DU ? "est" : "et");
    else if (person == DU)
        glue(line, one_of(last(stem), "sz") || ends(stem, "ß") ? "t" : "st");
    else if (!changed || last(stem) != 't')
        glue(line, "t");
}

/* "gib", "mach", "warte", but "fahr": the imperative keeps e > i and drops the umlaut. */
static void add_imperative(char *line, const Verb *v)
{
    char stem[LINE] = "";

    strcpy(stem, simple(v));
    chop(stem, ends(stem, "en") ? 2 : 1);
    if (*v->change && !strstr(v->change, "ä"))
        strcpy(stem, v->change);
    add(line, stem);
    if (needs_e(stem) || ends(stem, "er"))
        glue(line, "e");
}

/* ---- Numbers, times and dates ---------------------------------------------------------- */

static void say_number(Text *t, unsigned n)
{
    Text word = {"", ""};

    if (n < COUNT(ones)) {
        say(t, ones[n].de, ones[n].en);
        return;
    }
    say(&word, "", tens[n / 10].en);
    if (n % 10) {
        say(&word, n % 10 == 1 ? "ein" : ones[n % 10].de, "");
        glue(word.de, "und");
        glue(word.en, "-");
        glue(word.en, ones[n % 10].en);
    }
    glue(word.de, tens[n / 10].de);
    say(t, word.de, word.en);
}

/* The ordinal of a day, with the German ending. */
static void say_day(Text *t, const char *ending)
{
    unsigned month = roll(COUNT(months)), n = 1 + roll(months[month].days);
    Text word = {"", ""};

    if (n < COUNT(ones)) {
        say(&word, ones[n].nth, ones[n].en_nth);
    } else {
        say_number(&word, n);
        glue(word.de, "st");
        strcpy(word.en, n % 10 ? tens[n / 10].en : tens[n / 10].nth);
        if (n % 10) {
            glue(word.en, "-");
            glue(word.en, ones[n % 10].en_nth);
        }
    }
    glue(word.de, ending);
    say(t, word.de, word.en);
    say(t, months[month].de, "of");
    say(t, "", months[month].en);
}

/* German counts the half hour towards the next hour: "halb acht" is half past seven. */
static void say_clock(Text *t)
{
    static const char *const minutes[][2] = {
        {"fünf", "five"}, {"zehn", "ten"}, {"zwanzig", "twenty"}, {"Viertel", "a quarter"},
    };
    unsigned hour = 1 + roll(12), kind = roll(4), m = roll(COUNT(minutes));

    if (kind == 0) {
        say(t, hour == 1 ? "ein" : ones[hour].de, ones[hour].en);
        say(t, "Uhr", "o'clock");
    } else if (kind == 1) {
        say(t, "halb", "half past");
        say(t, ones[hour % 12 + 1].de, ones[hour].en);
    } else {
        say(t, minutes[m][0], minutes[m][1]);
        say(t, kind == 2 ? "nach" : "vor", kind == 2 ? "past" : "to");
        say(t, ones[hour].de, ones[hour].en);
    }
}

static void say_span(Text *t, unsigned longest)
{
    static const char *const units[][2] = {
        {"Tagen", "days"}, {"Wochen", "weeks"}, {"Monaten", "months"}, {"Jahren", "years"},
    };
    unsigned unit = roll(longest);

    say_number(t, 2 + roll(9));
    say(t, units[unit][0], units[unit][1]);
}

static void say_time(Text *t, unsigned use)
{
    unsigned kind = roll(20), i;

    if (kind >= 8 || (use == HABIT && kind >= 5)) {
        do
            i = roll(COUNT(times));
        while (!(times[i].use & use));
        say(t, times[i].de, times[i].en);
    } else if (use == HABIT) {
        say(t, "um", "at");
        say_clock(t);
    } else if (kind < 2) {
        say(t, use == PAST_TIME ? "vor" : "in", use == PAST_TIME ? "" : "in");
        say_span(t, 2);
        say(t, "", use == PAST_TIME ? "ago" : "");
    } else if (kind < 5) {
        i = roll(COUNT(weekdays));
        say(t, use == PAST_TIME ? "letzten" : "am", use == PAST_TIME ? "last" : "on");
        say(t, weekdays[i][0], weekdays[i][1]);
    } else if (kind == 5) {
        i = roll(COUNT(months));
        say(t, "im", "in");
        say(t, months[i].de, months[i].en);
    } else {
        say(t, "am", "on the");
        say_day(t, "en");
    }
}

/* ---- Noun phrases ---------------------------------------------------------------------- */

/* A name, a pronoun, or a noun with its determiner, adjective and number; "is" is the pronoun that
 * can stand for it. */
typedef struct {
    const Pronoun *is, *owner;
    const char *name;
    const Noun *noun;
    const Adjective *adjective;
    int determiner, many;
    unsigned number;
} NP;

static int indefinite(const NP *np)
{
    return np->determiner == A || np->determiner == NO_DET;
}

static void german_determiner(char *line, const NP *np, int cas, int gender, int *shown)
{
    const char *word = np->determiner == OWN ? np->owner->own : determiners[np->determiner].de;
    int like_what = determiners[np->determiner].like;

    *shown = like_what == ARTICLE || like_what == LIKE_DER ||
             (like_what == LIKE_EIN && !bare(cas, gender));
    if (like_what == ARTICLE)
        add(line, article[cas][gender]);
    else if (*shown || like_what == LIKE_ADJECTIVE)
        german_adjective(line, word, strong[cas][gender]);
    else
        add(line, word);
}

/* Write a noun phrase in a case; the next English word decides between a and an. */
static void say_np(Text *t, const NP *np, int cas)
{
    int gender = !np->noun ? 0 : np->many ? P : np->noun->gender, shown;
    Text rest = {"", ""};
    const char *en;

    if (!np->noun) {
        if (np->name)
            say(t, np->name, np->name);
        else
            say(t, np->is->form[cas], cas == NOM ? np->is->en : np->is->en_object);
        return;
    }
    german_determiner(t->de, np, cas, gender, &shown);
    if (np->determiner == NUMBER)
        say_number(&rest, np->number);
    if (np->adjective) {
        german_adjective(rest.de, np->adjective->de, adjective_ending(cas, gender, shown));
        add(rest.en, np->adjective->en);
    }
    german_noun(rest.de, np->noun, cas, np->many);
    english_noun(rest.en, np->noun, np->many);
    en = determiners[np->determiner].en;
    if (np->determiner == OWN)
        en = np->owner->en_own;
    else if (np->determiner == NOT_A && (np->noun->kind & MASS))
        en = "any";
    else if (np->many)
        en = determiners[np->determiner].en_plural;
    if (strcmp(en, "a") == 0 && one_of(rest.en[0], "aeiou"))
        en = "an";
    add(t->en, en);
    say(t, rest.de, rest.en);
}

static const Adjective *fitting_adjective(unsigned kind)
{
    const Adjective *a;

    do
        a = PICK(adjectives);
    while (!(a->kind & kind));
    return a;
}

static void choose_owner(NP *np, const NP *subject)
{
    static const int owners[] = {I, YOU, HE, WE, YOU_ALL};

    np->determiner = OWN;
    if (!subject)
        np->owner = &pronouns[owners[roll(COUNT(owners))]];
    else if (*subject->is->own && chance(70))
        np->owner = subject->is;
    else
        np->owner = &pronouns[chance(60) ? I : WE];
}

static void choose_determiner(NP *np, const NP *subject)
{
    unsigned kind = roll(100), is = np->noun->kind;
    int common = !(is & (PERSON | WEAK | EVENT | SHOW | LINER | FOOD | DRINK | HOUSE));

    if (is & KIN) {
        choose_owner(np, subject);
    } else if (is & MASS) {
        np->determiner = kind < 35 ? THE : kind < 40 ? THIS : NO_DET;
    } else if (kind < 45) {
        np->determiner = THE;
    } else if (kind < 70) {
        np->determiner = np->many ? NO_DET : A;
    } else if (kind < 76) {
        np->determiner = THIS;
    } else if (common && !np->many && kind < 94) {
        choose_owner(np, subject);
    } else if (np->many && !(is & (BUILT | POWER | FURN | CAR))) {
        np->determiner = kind < 84 ? ALL : kind < 92 ? MANY : NUMBER;
        np->number = 2 + roll(5);
    } else {
        np->determiner = !np->many && kind >= 96 ? EVERY : THE;
    }
}

static void choose_noun(NP *np, unsigned kinds, const NP *subject)
{
    memset(np, 0, sizeof *np);
    do
        np->noun = PICK(nouns);
    while (!(np->noun->kind & kinds));
    np->many = np->noun->gender == P || (*np->noun->plural && chance(25));
    np->is = &pronouns[np->many ? THEY : np->noun->gender == M ? HE
                       : np->noun->gender == F ? SHE : IT];
    choose_determiner(np, subject);
    if (np->determiner != OWN && np->noun->gender != P && chance(35))
        np->adjective = fitting_adjective(np->noun->kind);
}

/* No "I see me" or "I see us": first and second persons do not act on their own party. */
static int may_meet(const Pronoun *p, const NP *subject, int cas)
{
    if (!subject)
        return 1;
    return *p->form[cas] && (p->party == 3 || p->party != subject->is->party);
}

static void choose_person(NP *np, const NP *subject, int cas)
{
    memset(np, 0, sizeof *np);
    if (chance(subject ? 50 : 70)) {
        do
            np->is = &pronouns[roll(IT)];
        while (!may_meet(np->is, subject, cas));
    } else {
        unsigned i = roll(COUNT(names));

        np->name = names[i].name;
        np->is = &pronouns[names[i].who];
    }
}

/* Choose a subject (subject is NULL) or an object for a given subject. */
static void choose_np(NP *np, unsigned kinds, const NP *subject, int cas)
{
    do {
        if ((kinds & HUMAN) && chance(50))
            choose_person(np, subject, cas);
        else
            choose_noun(np, kinds, subject);
    } while (subject && ((np->noun && np->noun == subject->noun) ||
                         (np->name && np->name == subject->name)));
}

/* ---- Clauses: what they say ------------------------------------------------------------ */

enum { NOW, PROGRESSIVE, GLADLY, PAST, FUTURE, MODAL, MODAL_PAST, INFINITE, ANY };
enum { YES, NICHT, KEIN };       /* YES: nothing is denied */

/* What fills the middle of a clause, in German order; NEW comes after "nicht". */
enum { EARLY, TIME, MID, DATIVE, KNOWN, WHERE, NEW, GOAL, PARTS };

typedef struct {
    const Verb *verb;
    int tense, modal, negation;
    NP subject_np, object;
    const Pronoun *is;          /* what the verb agrees with */
    Text lead, subject;         /* lead: conjunction, question word or a part put in front */
    Text part[PARTS];
} Clause;

static void clear(Clause *c, int slot)
{
    memset(&c->part[slot], 0, sizeof c->part[slot]);
}

static int suits(const Verb *v, int tense, int human)
{
    if (human && !(v->who & HUMAN))
        return 0;
    switch (tense) {
    case PROGRESSIVE: return !(v->flags & (STATIVE | ONCE));
    case GLADLY: return (v->flags & DAILY) != 0;
    case FUTURE: return !(v->flags & STATIVE) || !(v->who & HUMAN);
    case MODAL: case MODAL_PAST: case INFINITE: return !(v->flags & STATIVE);
    default: return 1;
    }
}

static int any_tense(void)
{
    static const int tenses[] = {NOW, NOW, NOW, NOW, PAST, PAST, PAST, PAST, PROGRESSIVE,
                                 GLADLY, FUTURE, FUTURE, MODAL, MODAL, MODAL_PAST};

    return tenses[roll(COUNT(tenses))];
}

/* Begin a clause with a given verb and subject. */
static void start(Clause *c, const Verb *verb, const NP *subject, int tense)
{
    memset(c, 0, sizeof *c);
    c->verb = verb;
    c->tense = tense;
    c->subject_np = *subject;
    c->is = subject->is;
    say_np(&c->subject, subject, NOM);
    c->modal = (int)roll(tense == MODAL_PAST ? (unsigned)PAST_MODALS : COUNT(modals));
}

/* "an dem" and the like contract. */
static void add_preposition(Text *t, const char *preposition, const Text *np)
{
    static const char *const short_forms[][3] = {
        {"an", "das ", "ans"}, {"an", "dem ", "am"}, {"von", "dem ", "vom"},
    };
    const char *de = np->de;
    unsigned i;

    for (i = 0; i < COUNT(short_forms); i++)
        if (strcmp(preposition, short_forms[i][0]) == 0 && strncmp(de, short_forms[i][1], 4) == 0) {
            preposition = short_forms[i][2];
            de += 4;
            break;
        }
    say(t, preposition, "");
    say(t, de, np->en);
}

/* Put an object where its kind belongs: pronouns early, what is new late. */
static void put_object(Clause *c, const NP *np, int cas, const char *preposition)
{
    Text text = {"", ""};
    int slot = KNOWN;

    say_np(&text, np, cas);
    if (*preposition || (np->noun && (indefinite(np) || np->determiner == NOT_A)))
        slot = NEW;
    else if (!np->noun && !np->name)
        slot = EARLY;
    add_preposition(&c->part[slot], preposition, &text);
}

static void choose_objects(Clause *c)
{
    const Verb *v = c->verb;
    NP *np = &c->object, person;

    if (v->flags & GIVE) {
        choose_np(&person, HUMAN, &c->subject_np, DAT);
        say_np(&c->part[person.noun || person.name ? DATIVE : EARLY], &person, DAT);
    }
    if (!v->what)
        return;
    do
        choose_np(np, v->what, &c->subject_np, v->cas);
    while (((v->flags & GIVE) && np->noun && (np->noun->kind & ALIVE)) ||
           (strstr(v->en, " ") && !*v->prep && v->cas == ACC && !np->noun && !np->name));
    if (c->negation && np->determiner >= EVERY && np->determiner != A && np->determiner != OWN)
        c->negation = YES;
    if (c->negation && np->noun && !*v->prep && indefinite(np)) {
        c->negation = KEIN;
        np->determiner = NOT_A;
    }
    put_object(c, np, v->cas, v->prep);
}

static void choose_place(Clause *c)
{
    static const unsigned needs[] = {WALK, RIDE, LIVE};
    unsigned i, use = (c->verb->flags & PLACE) && chance(30) ? (unsigned)PLACE : 0;

    for (i = 0; i < COUNT(needs); i++)
        if (c->verb->flags & needs[i])
            use = needs[i];
    if (c->verb->flags & GAME) {
        i = roll(COUNT(games));
        say(&c->part[GOAL], games[i][0], games[i][1]);
    }
    if (!use)
        return;
    do
        i = roll(COUNT(places));
    while (!(places[i].use & use));
    if (use == PLACE || use == LIVE) {
        say(&c->part[use == LIVE ? GOAL : WHERE], places[i].at, places[i].en_at);
    } else {
        const char *const *by = *PICK(means);
        int named = use == RIDE && chance(50);

        say(&c->part[GOAL], named ? by[0] : "", places[i].en_to);
        say(&c->part[GOAL], places[i].to, named ? by[1] : "");
    }
}

static void choose_time(Clause *c)
{
    Text *time = &c->part[TIME];

    if (c->tense == PAST || c->tense == MODAL_PAST) {
        if (chance(55))
            say_time(time, PAST_TIME);
    } else if (c->tense == FUTURE || c->tense == MODAL) {
        if (chance(50))
            say_time(time, FUTURE_TIME);
    } else if (c->tense == NOW && (c->subject_np.noun &&
                                   (c->subject_np.noun->kind & (EVENT | LINER)))) {
        say(time, "um", "at");
        say_clock(time);
    } else if (c->tense == NOW && (c->verb->flags & DAILY) && !c->negation) {
        if (chance(40)) {
            const char *const *how_often = *PICK(often);

            say(&c->part[MID], how_often[0], how_often[1]);
        } else if (chance(60)) {
            say_time(time, HABIT);
        }
    }
}

/* Make a clause, about a given human subject or about any. */
static void make_clause(Clause *c, const NP *subject, int tense)
{
    const Verb *v;
    NP np;

    if (tense == ANY)
        tense = any_tense();
    do
        v = PICK(verbs);
    while (!suits(v, tense, subject != NULL));
    if (!subject)
        choose_np(&np, v->who, NULL, NOM);
    start(c, v, subject ? subject : &np, tense);
    c->negation = tense != PROGRESSIVE && tense != GLADLY && tense != INFINITE && chance(18);
    if (!(v->who & ALIVE))
        c->negation = YES;
    if (c->subject_np.determiner >= EVERY && c->subject_np.determiner <= MANY)
        c->negation = YES;
    if (tense == PROGRESSIVE)
        say(&c->part[MID], "gerade", "");
    if (tense == GLADLY)
        say(&c->part[MID], "gern", "");
    choose_objects(c);
    choose_place(c);
    choose_time(c);
}

/* "is tired", "is very tired", "is not tired". */
static void make_quality(Clause *c, const NP *subject, unsigned kind, int tense)
{
    const Adjective *a = fitting_adjective(kind);

    start(c, &be, subject, tense);
    if ((*a->more || (kind & (MOOD | SKY))) && chance(25))
        say(&c->part[GOAL], "sehr", "very");
    else
        c->negation = chance(15);
    say(&c->part[GOAL], a->de, a->en);
}

static void make_weather(Clause *c, int tense)
{
    NP it;

    memset(&it, 0, sizeof it);
    it.is = &pronouns[IT];
    if (chance(50)) {
        start(c, PICK(weather_verbs), &it, tense);
        c->negation = chance(15);
    } else {
        make_quality(c, &it, SKY, tense);
    }
    if (chance(40) && tense != NOW)
        say_time(&c->part[TIME], tense == PAST ? PAST_TIME : FUTURE_TIME);
}

/* A state that can be the reason or circumstance of something else. */
static void make_state(Clause *c, const NP *subject, int tense)
{
    unsigned kind = roll(10), i;

    if (kind < 4) {
        make_quality(c, subject, MOOD, tense);
    } else if (kind < 6) {
        i = roll(COUNT(reasons));
        start(c, &have, subject, tense);
        say(&c->part[NEW], reasons[i][0], reasons[i][1]);
    } else if (kind < 8) {
        make_weather(c, tense);
    } else {
        make_clause(c, subject, tense == PAST ? MODAL_PAST : MODAL);
    }
    clear(c, TIME);
}

static void bring_forward(Clause *c, int slot)
{
    c->lead = c->part[slot];
    clear(c, slot);
}

/* ---- Clauses: German word order -------------------------------------------------------- */

enum { STATEMENT, QUESTION, OPEN_QUESTION, SUBORDINATE, INFINITIVE, COMMAND };

/* The two verb brackets of the German sentence: the finite verb, and the rest of the verb. */
static void brackets(const Clause *c, char *finite, char *rest)
{
    const Verb *v = c->verb;
    int person = c->is->person;
    const char *past = irregular_form(v->de, person, 1);

    add_prefix(rest, v);
    if (c->tense == PAST && past) {
        add(finite, past);
    } else if (c->tense == PAST) {
        add(finite, irregular_form(v->flags & SEIN ? "sein" : "haben", person, 0));
        glue(rest, v->participle);
    } else if (c->tense == FUTURE || c->tense == MODAL || c->tense == MODAL_PAST) {
        const char *helper = c->tense == FUTURE ? "werden" : modals[c->modal].de;

        add(finite, irregular_form(helper, person, c->tense == MODAL_PAST));
        glue(rest, simple(v));
    } else {
        add_present(finite, v, person);
    }
}

static void german_middle(char *line, const Clause *c)
{
    int i;

    for (i = 0; i < PARTS; i++) {
        add(line, c->part[i].de);
        if (i == KNOWN && c->negation == NICHT)
            add(line, "nicht");
    }
}

/* The verb comes second, first (questions, commands) or last (subordinate clauses). */
static void german(char *line, const Clause *c, int shape)
{
    char finite[LINE] = "", rest[LINE] = "";
    const char *self = c->verb->flags & SELF ? c->is->self : "";
    int at_end = shape == SUBORDINATE || shape == INFINITIVE;
    int noun = c->subject_np.noun || c->subject_np.name;

    brackets(c, finite, rest);
    if (shape == COMMAND && c->is == &pronouns[YOU]) {
        *finite = '\0';
        add_imperative(finite, c->verb);
    }
    add(line, c->lead.de);
    if (shape == STATEMENT && !*c->lead.de) {
        add(line, c->subject.de);
        add(line, finite);
        add(line, self);
    } else {
        add(line, at_end ? "" : finite);
        add(line, noun ? self : "");        /* hat sich der Mann gefreut, hat er sich gefreut */
        add(line, shape == INFINITIVE ? "" : c->subject.de);
        add(line, noun ? "" : self);
    }
    german_middle(line, c);
    if (shape == INFINITIVE) {
        add(line, rest);
        (*rest ? glue : add)(line, "zu");
        (*rest ? glue : add)(line, simple(c->verb));
    } else {
        int joined = c->tense <= GLADLY && *rest;       /* dass er die Tür aufmacht */

        add(line, rest);
        if (at_end)
            (joined ? glue : add)(line, finite);
    }
}

/* ---- Clauses: English word order ------------------------------------------------------- */

/* The finite verb of a clause, how it forms questions and negations, and what follows it. */
typedef struct {
    enum { IS_BE, IS_HELPER, IS_VERB } kind;
    const char *word, *past;
    int in_past;
    char tail[LINE];
} Head;

static void find_head(Head *h, const Clause *c)
{
    const Verb *v = c->verb;

    memset(h, 0, sizeof *h);
    h->word = v->en;
    h->past = v->past;
    h->in_past = c->tense == PAST || c->tense == MODAL_PAST;
    if (c->tense == PROGRESSIVE) {
        h->word = "be";
        add_verb(h->tail, v->en, "", ING);
    } else if (c->tense == GLADLY) {
        h->word = "like";
        add(h->tail, "to");
        add(h->tail, v->en);
    } else if (c->tense == FUTURE) {
        h->word = "will";
        add(h->tail, v->en);
    } else if (c->tense == MODAL || c->tense == MODAL_PAST) {
        h->word = modals[c->modal].en;
        h->past = modals[c->modal].past;
        add(h->tail, modals[c->modal].link);
        add(h->tail, v->en);
    } else if (strncmp(v->en, "be ", 3) == 0) {
        h->word = "be";
        add(h->tail, v->en + 3);
    }
    h->kind = strcmp(h->word, "be") == 0 ? IS_BE : IS_VERB;
    if (!strcmp(h->word, "will") || !strcmp(h->word, "can") || !strcmp(h->word, "would"))
        h->kind = IS_HELPER;
}

/* Subject and verb of a statement or a question, with "do" where English needs it. */
static void english_core(char *line, const Clause *c, int asks)
{
    int person = c->is->person, third = person == ER;
    const char *helper = "";
    char finite[LINE] = "";
    Head h;

    find_head(&h, c);
    if (h.kind == IS_BE)
        helper = form_of_be(person, h.in_past);
    else if (h.kind == IS_HELPER)
        helper = h.in_past ? h.past : h.word;
    else if (asks || c->negation)
        helper = h.in_past ? "did" : third ? "does" : "do";
    if (h.kind == IS_VERB)
        add_verb(finite, h.word, h.past,
                 *helper ? BASE : h.in_past ? PAST_FORM : third ? THIRD : BASE);
    add(line, asks ? helper : c->subject.en);
    add(line, asks ? c->subject.en : helper);
    add(line, c->negation ? "not" : "");
    add(line, c->part[MID].en);
    add(line, finite);
    add(line, h.tail);
}

static void english(char *line, const Clause *c, int shape)
{
    static const int order[] = {EARLY, DATIVE, KNOWN, NEW, GOAL, WHERE, TIME};
    unsigned i;

    add(line, c->lead.en);
    if (shape == INFINITIVE || shape == COMMAND) {
        add(line, shape == INFINITIVE ? "to" : c->negation ? "do not" : "");
        add(line, c->verb->en);
    } else {
        english_core(line, c, shape == QUESTION || shape == OPEN_QUESTION);
    }
    for (i = 0; i < COUNT(order); i++)
        add(line, c->part[order[i]].en);
}

static void tell(Text *t, const Clause *c, int shape)
{
    german(t->de, c, shape);
    english(t->en, c, shape);
}

/* ---- Sentences ------------------------------------------------------------------------- */

/* Each kind of sentence returns its end mark, or 0 if the sentence it made is unusable. */

/* A main clause; the polite "Sie" must not open it, where it would look like "sie". */
static int declare(Text *t, const Clause *c)
{
    if (!*c->lead.de && c->is == &pronouns[POLITE])
        return 0;
    tell(t, c, STATEMENT);
    return '.';
}

static int statement(Text *t)
{
    Clause c;

    make_clause(&c, NULL, ANY);
    if (chance(50))
        bring_forward(&c, TIME);
    return declare(t, &c);
}

static int question(Text *t)
{
    Clause c;

    make_clause(&c, NULL, ANY);
    tell(t, &c, QUESTION);
    return '?';
}

/* Turn a clause into a question about its object: what, whom, which book. */
static int ask_object(Clause *c)
{
    static const char *const who[] = {"", "wen", "wem"};
    int human = !c->object.noun || (c->object.noun->kind & HUMAN);

    if (!c->verb->what || *c->verb->prep || c->negation)
        return 0;
    clear(c, KNOWN);
    clear(c, NEW);
    if (!(c->verb->flags & GIVE))
        clear(c, EARLY);
    if (human) {
        say(&c->lead, who[c->verb->cas], "who");
    } else if ((c->object.noun->kind & MASS) || chance(40)) {
        say(&c->lead, "was", "what");
    } else {
        c->object.determiner = WHICH;
        say_np(&c->lead, &c->object, c->verb->cas);
    }
    return 1;
}

/* A clause that begins with a question word. */
static int make_open_question(Clause *c)
{
    unsigned kind = roll(10);

    make_clause(c, NULL, ANY);
    if (kind < 4)
        return ask_object(c);
    if (kind < 6) {
        say(&c->lead, "warum", "why");
        return 1;
    }
    if (kind < 8) {
        if (c->verb->flags & STATIVE || c->negation || *c->part[MID].de)
            return 0;
        clear(c, TIME);
        say(&c->lead, "wann", "when");
        return 1;
    }
    if (c->negation || !(c->verb->flags & (WALK | RIDE | PLACE | LIVE)))
        return 0;
    clear(c, WHERE);
    clear(c, GOAL);
    say(&c->lead, c->verb->flags & (WALK | RIDE) ? "wohin" : "wo", "where");
    return 1;
}

static int open_question(Text *t)
{
    Clause c;

    if (!make_open_question(&c))
        return 0;
    tell(t, &c, OPEN_QUESTION);
    return '?';
}

static int who_question(Text *t)
{
    Clause c;
    NP np;

    memset(&np, 0, sizeof np);
    np.is = &pronouns[HE];
    make_clause(&c, &np, ANY);
    strcpy(c.subject.de, "wer");
    strcpy(c.subject.en, "who");
    tell(t, &c, STATEMENT);
    return '?';
}

/* The pronoun of the person just spoken of, or someone else. */
static void again(NP *np, const NP *before)
{
    if (before->is == &pronouns[IT] || chance(25)) {
        choose_np(np, HUMAN, NULL, NOM);
    } else {
        memset(np, 0, sizeof *np);
        np->is = before->is;
    }
}

static void comma(Text *t, int in_english)
{
    glue(t->de, ",");
    if (in_english)
        glue(t->en, ",");
}

/* "..., weil er müde ist", "..., aber er ist müde"; one tense for both. */
static int with_reason(Text *t)
{
    static const struct { const char *de, *en; int shape; } links[] = {
        {"weil", "because", SUBORDINATE}, {"obwohl", "although", SUBORDINATE},
        {"aber", "but", STATEMENT},
    };
    unsigned i = roll(COUNT(links));
    int tense = chance(50) ? NOW : chance(70) ? PAST : MODAL;
    Clause c, state;
    NP person, other;

    choose_np(&person, HUMAN, NULL, NOM);
    make_clause(&c, &person, tense);
    again(&other, &person);
    make_state(&state, &other, tense == PAST ? PAST : NOW);
    if (!declare(t, &c))
        return 0;
    comma(t, links[i].shape == STATEMENT);
    say(t, links[i].de, links[i].en);
    tell(t, &state, links[i].shape);
    return '.';
}

/* "Wenn es regnet, liest er ein Buch": a subordinate clause first, and then the verb. */
static int with_clause_first(Text *t)
{
    static const char *const links[][2] = {
        {"wenn", "when"}, {"weil", "because"}, {"obwohl", "although"},
    };
    const char *const *link = *PICK(links);
    Clause c, state;
    NP person, other;

    choose_np(&person, HUMAN, NULL, NOM);
    again(&other, &person);
    make_clause(&c, &other, NOW);
    make_state(&state, &person, NOW);
    say(&state.lead, link[0], link[1]);
    tell(&c.lead, &state, SUBORDINATE);
    comma(&c.lead, 1);
    return declare(t, &c);
}

/* "Er ist müde, deshalb geht er nach Hause." */
static int with_therefore(Text *t)
{
    int tense = chance(50) ? NOW : PAST;
    Clause c, state;
    NP person, other;

    choose_np(&person, HUMAN, NULL, NOM);
    again(&other, &person);
    make_state(&state, &person, tense);
    make_clause(&c, &other, tense);
    if (!declare(t, &state))
        return 0;
    comma(t, 1);
    say(&c.lead, "deshalb", "so");
    return declare(t, &c);
}

static int with_that(Text *t)
{
    Clause matrix, c;
    NP person, other;

    choose_np(&person, HUMAN, NULL, NOM);
    again(&other, &person);
    start(&matrix, PICK(thinking), &person, NOW);
    make_clause(&c, chance(70) ? &other : NULL, ANY);
    if (!declare(t, &matrix))
        return 0;
    comma(t, 0);
    say(&c.lead, "dass", "that");
    tell(t, &c, SUBORDINATE);
    return '.';
}

static int with_question(Text *t)
{
    Clause matrix, c;
    NP person;

    choose_np(&person, HUMAN, NULL, NOM);
    start(&matrix, PICK(asking), &person, NOW);
    matrix.negation = !(matrix.verb->flags & SELF);
    if (chance(60)) {
        if (!make_open_question(&c))
            return 0;
    } else {
        make_clause(&c, NULL, ANY);
        say(&c.lead, "ob", "whether");
    }
    if (c.negation || !declare(t, &matrix))
        return 0;
    comma(t, 0);
    tell(t, &c, SUBORDINATE);
    return '.';
}

/* "Er versucht, die Tür aufzumachen", "Sie geht in die Stadt, um Brot zu kaufen." */
static int with_infinitive(Text *t)
{
    static const int tenses[] = {NOW, PAST, PAST, FUTURE};
    int tense = tenses[roll(COUNT(tenses))], for_aim = chance(40);
    Clause matrix, c;
    NP person;

    choose_np(&person, HUMAN, NULL, NOM);
    make_clause(&c, &person, INFINITE);
    if (for_aim) {
        if (c.verb->flags & SEIN)
            return 0;
        do
            make_clause(&matrix, &person, tense);
        while (!(matrix.verb->flags & (WALK | RIDE)) || matrix.negation);
        clear(&c, WHERE);
        say(&c.lead, "um", "");
    } else {
        start(&matrix, PICK(trying), &person, tense);
        choose_time(&matrix);
    }
    bring_forward(&matrix, TIME);
    if (!declare(t, &matrix))
        return 0;
    comma(t, 0);
    tell(t, &c, INFINITIVE);
    return '.';
}

/* "Der Mann, der in Berlin wohnt, ist reich", "Das Buch, das sie liest, ist gut." */
static int with_relative(Text *t)
{
    int of_object = chance(50), gender;
    Clause inner, outer;
    NP head;

    if (of_object) {
        make_clause(&inner, NULL, ANY);
        head = inner.object;
        if (!ask_object(&inner) || !head.noun || (head.noun->kind & ALIVE))
            return 0;
    } else {
        choose_noun(&head, PERSON, NULL);
        make_clause(&inner, &head, ANY);
    }
    gender = head.many ? P : head.noun->gender;
    head.determiner = THE;
    head.adjective = NULL;
    memset(&inner.lead, 0, sizeof inner.lead);
    if (of_object) {
        say(&inner.lead, article[inner.verb->cas][gender], "that");
    } else {
        memset(&inner.subject, 0, sizeof inner.subject);
        say(&inner.lead, article[NOM][gender], "who");
    }
    make_quality(&outer, &head, head.noun->kind, inner.tense == PAST && chance(30) ? PAST : NOW);
    comma(&outer.subject, 0);
    tell(&outer.subject, &inner, SUBORDINATE);
    comma(&outer.subject, 0);
    return declare(t, &outer);
}

/* "Das neue Auto meines Vaters ist rot." */
static int with_genitive(Text *t)
{
    Clause c;
    NP thing, owner;
    Text of = {"", ""};

    choose_noun(&thing, WARES | ROOM | POWER, NULL);
    choose_noun(&owner, HUMAN, NULL);
    if (indefinite(&owner) || owner.determiner == MANY || owner.determiner == NUMBER)
        owner.determiner = THE;
    thing.determiner = OF;
    say_np(&of, &owner, GEN);
    glue(of.en, owner.many && last(of.en) == 's' ? "'" : "'s");
    make_quality(&c, &thing, thing.noun->kind, chance(70) ? NOW : PAST);
    add(c.subject.de, of.de);
    add(of.en, c.subject.en);
    strcpy(c.subject.en, of.en);
    return declare(t, &c);
}

static int quality(Text *t)
{
    Clause c;
    NP np;

    if (chance(35)) {
        choose_np(&np, HUMAN, NULL, NOM);
        make_quality(&c, &np, MOOD, chance(60) ? NOW : PAST);
    } else {
        choose_noun(&np, ~(unsigned)MASS, NULL);
        if (indefinite(&np) || np.adjective)
            return 0;
        make_quality(&c, &np, np.noun->kind, chance(70) ? NOW : PAST);
    }
    if (chance(70))
        return declare(t, &c);
    tell(t, &c, QUESTION);
    return '?';
}


/* "Das Auto ist schneller als der Bus", "Anna ist so groß wie Peter." */
static int comparison(Text *t)
{
    const Adjective *a = fitting_adjective(~(unsigned)(MOOD | SKY));
    int more = chance(65);
    Clause c;
    NP one, other;
    Text than = {"", ""};

    choose_noun(&one, a->kind, NULL);
    choose_noun(&other, one.noun->kind & a->kind, NULL);
    one.adjective = other.adjective = NULL;
    if (one.noun == other.noun || indefinite(&one) || indefinite(&other) || !*a->more)
        return 0;
    start(&c, &be, &one, chance(75) ? NOW : PAST);
    say(&than, more ? a->more : "so", more ? a->en_more : "as");
    say(&than, more ? "als" : a->de, more ? "than" : a->en);
    say(&than, more ? "" : "wie", more ? "" : "as");
    say_np(&than, &other, NOM);
    say(&c.part[GOAL], than.de, than.en);
    return declare(t, &c);
}

static int profession(Text *t)
{
    const char *const *job = *PICK(jobs);
    Clause c;
    NP np;

    choose_np(&np, KIN, NULL, NOM);
    if (np.many || (np.is != &pronouns[HE] && np.is != &pronouns[SHE]))
        return 0;
    start(&c, &be, &np, NOW);
    say(&c.part[GOAL], job[np.is == &pronouns[SHE]], one_of(job[2][0], "aeiou") ? "an" : "a");
    say(&c.part[GOAL], "", job[2]);
    if (chance(75))
        return declare(t, &c);
    tell(t, &c, QUESTION);
    return '?';
}

/* "Er ist siebenundzwanzig Jahre alt", "Das Buch kostet zwölf Euro." */
static int amount(Text *t)
{
    int is_age = chance(50), asks = chance(30);
    Clause c;
    NP np;

    if (is_age)
        choose_np(&np, HUMAN, NULL, NOM);
    else
        choose_noun(&np, WARES, NULL);
    if (np.noun && (indefinite(&np) || np.adjective || np.many))
        return 0;
    start(&c, is_age ? &be : &cost, &np, chance(75) ? NOW : PAST);
    if (asks) {
        say(&c.lead, is_age ? "wie alt" : "wie viel", is_age ? "how old" : "how much");
        tell(t, &c, OPEN_QUESTION);
        return '?';
    }
    say_number(&c.part[GOAL], 2 + roll(98));
    say(&c.part[GOAL], is_age ? "Jahre alt" : "Euro", is_age ? "years old" : "euros");
    return declare(t, &c);
}

static int weather(Text *t)
{
    static const int tenses[] = {NOW, PAST, FUTURE};
    Clause c;

    make_weather(&c, tenses[roll(COUNT(tenses))]);
    if (chance(50))
        bring_forward(&c, TIME);
    if (chance(75))
        return declare(t, &c);
    tell(t, &c, *c.lead.de ? STATEMENT : QUESTION);
    return *c.lead.de ? '.' : '?';
}

/* "Das Buch liegt auf dem Tisch", "Auf dem Tisch liegt ein Buch", "Er legt es auf den Tisch." */
static int position(Text *t)
{
    unsigned kind = roll(3);
    int tense = any_tense();
    const char *const *on = *PICK(two_way);
    Text where = {"", ""};
    Clause c;
    NP thing, furniture, person;

    choose_noun(&thing, GOOD, NULL);
    choose_noun(&furniture, FURN, NULL);
    furniture.determiner = THE;
    furniture.many = 0;
    say(&where, on[0], on[1]);
    say_np(&where, &furniture, kind == 2 ? ACC : DAT);
    if (kind == 2) {
        choose_np(&person, HUMAN, NULL, NOM);
        start(&c, PICK(lay), &person, tense);
        put_object(&c, &thing, ACC, "");
        choose_time(&c);
        if (tense == PROGRESSIVE || tense == GLADLY)
            return 0;
        say(&c.part[GOAL], where.de, where.en);
        return declare(t, &c);
    }
    start(&c, PICK(lie), &thing, NOW);
    if (kind == 1) {
        if (!indefinite(&thing))
            return 0;
        strcpy(c.part[GOAL].en, c.subject.en);
        strcpy(c.subject.en, "there");
        say(&c.lead, where.de, "");
        say(&c.part[GOAL], "", where.en);
    } else if (indefinite(&thing)) {
        return 0;
    } else {
        say(&c.part[GOAL], where.de, where.en);
    }
    return declare(t, &c);
}

/* "Das Buch gefällt dem Mann" is "The man likes the book": subject and object change places. */
static int pleasing(Text *t)
{
    int asks = chance(30), tense = chance(70) ? NOW : PAST, negation = chance(25);
    Clause c, in_english;
    NP thing, person;

    choose_noun(&thing, TOLD | CLOTH | HOUSE, NULL);
    choose_np(&person, HUMAN, &thing, DAT);
    if (indefinite(&thing) || thing.determiner >= EVERY || indefinite(&person))
        return 0;
    start(&c, &please, &thing, tense);
    put_object(&c, &person, DAT, "");
    start(&in_english, &like, &person, tense);
    put_object(&in_english, &thing, ACC, "");
    c.negation = in_english.negation = negation;
    german(t->de, &c, asks ? QUESTION : STATEMENT);
    english(t->en, &in_english, asks ? QUESTION : STATEMENT);
    return asks ? '?' : '.';
}

static int belonging(Text *t)
{
    Clause c;
    NP thing, person;

    choose_noun(&thing, WARES | HOUSE, NULL);
    choose_np(&person, HUMAN, &thing, DAT);
    if (indefinite(&thing) || thing.determiner >= EVERY || indefinite(&person))
        return 0;
    start(&c, &belong, &thing, chance(80) ? NOW : PAST);
    put_object(&c, &person, DAT, "");
    return declare(t, &c);
}

/* "Mach bitte die Tür auf!", "Machen Sie bitte die Tür auf!" */
static int command(Text *t)
{
    static const int to_whom[] = {YOU, YOU_ALL, POLITE};
    Clause c;
    NP you;

    memset(&you, 0, sizeof you);
    you.is = &pronouns[to_whom[roll(COUNT(to_whom))]];
    make_clause(&c, &you, INFINITE);
    if (you.is != &pronouns[POLITE])
        *c.subject.de = '\0';
    if (chance(25))
        c.negation = c.object.determiner <= THIS || c.object.determiner == OWN;
    else if (chance(60))
        say(&c.part[MID], "bitte", "");
    if (*c.part[MID].de)
        say(&c.lead, "", "please");
    tell(t, &c, COMMAND);
    return '!';
}

/* "Anna hat am dritten Mai Geburtstag" is "Anna's birthday is on the third of May". */
static int birthday(Text *t)
{
    Clause c;
    NP np;
    Text day = {"", ""};

    choose_np(&np, HUMAN, NULL, NOM);
    if (np.many || (np.noun && indefinite(&np)))
        return 0;
    start(&c, &have, &np, NOW);
    say(&day, "am", "on the");
    say_day(&day, "en");
    say(&c.part[TIME], day.de, "");
    say(&c.part[GOAL], "Geburtstag", "");
    if (!np.noun && !np.name)
        strcpy(c.subject.en, np.is->en_own);
    else
        glue(c.subject.en, "'s");
    say(&c.subject, "", "birthday is");
    if (!declare(t, &c))
        return 0;
    strcpy(t->en, c.subject.en);
    add(t->en, day.en);
    return '.';
}

static int date_or_hour(Text *t)
{
    Clause c;
    NP np;
    unsigned kind = roll(3);

    memset(&np, 0, sizeof np);
    np.is = &pronouns[IT];
    if (kind == 0) {
        start(&c, &be, &np, NOW);
        say_clock(&c.part[GOAL]);
    } else if (kind == 1) {
        start(&c, &be, &np, chance(50) ? NOW : PAST);
        strcpy(c.subject.de, c.tense == NOW ? "heute" : "gestern");
        strcpy(c.subject.en, c.tense == NOW ? "today" : "yesterday");
        say(&c.part[GOAL], "der", "the");
        say_day(&c.part[GOAL], "e");
    } else {
        choose_noun(&np, EVENT, NULL);
        if (indefinite(&np) || np.determiner >= EVERY)
            return 0;
        start(&c, &be, &np, chance(50) ? NOW : PAST);
        say(&c.part[GOAL], "am", "on the");
        say_day(&c.part[GOAL], "en");
    }
    return declare(t, &c);
}

/* "Er wohnt seit drei Jahren in Berlin": the present, where English uses the perfect. */
static int since(Text *t)
{
    Clause c;
    NP np;

    choose_np(&np, HUMAN, NULL, NOM);
    start(&c, PICK(since_verbs), &np, NOW);
    do {
        memset(&c.part, 0, sizeof c.part);
        choose_place(&c);
    } while (!*c.part[GOAL].de && !*c.part[WHERE].de);
    say(&c.part[TIME], "seit", "for");
    say_span(&c.part[TIME], c.verb->flags & LIVE ? 4 : 2);
    return declare(t, &c);
}

/* ---- Corpus ---------------------------------------------------------------------------- */

static const struct { int (*make)(Text *); unsigned weight; } kinds[] = {
    {statement, 24}, {question, 8}, {open_question, 8}, {who_question, 3}, {with_reason, 8},
    {with_clause_first, 5}, {with_therefore, 4}, {with_that, 6}, {with_question, 5},
    {with_infinitive, 9}, {with_relative, 7}, {with_genitive, 4}, {quality, 6}, {comparison, 4},
    {profession, 2}, {amount, 4}, {weather, 2}, {position, 6}, {pleasing, 4}, {belonging, 2},
    {command, 5}, {date_or_hour, 2}, {birthday, 2}, {since, 2},
};

static Text corpus[TOTAL];

/* Upper case for the first letter, even an umlaut (two bytes of UTF-8). */
static void capitalize(char *line)
{
    static const char *const pairs[] = {"äÄ", "öÖ", "üÜ"};
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    unsigned i;

    if (one_of(*line, lower))
        *line = upper[strchr(lower, *line) - lower];
    for (i = 0; i < COUNT(pairs); i++)
        if (strncmp(line, pairs[i], 2) == 0)
            memcpy(line, pairs[i] + 2, 2);
}

static int words(const char *line)
{
    int n = 1;

    for (; *line; line++)
        n += *line == ' ';
    return n;
}

/* A sentence of any kind, three to sixteen German words long. */
static void make_sentence(Text *t)
{
    unsigned total = 0, i, at;
    char mark[2] = {'\0', '\0'};

    for (i = 0; i < COUNT(kinds); i++)
        total += kinds[i].weight;
    do {
        memset(t, 0, sizeof *t);
        at = roll(total);
        for (i = 0; at >= kinds[i].weight; i++)
            at -= kinds[i].weight;
        *mark = (char)kinds[i].make(t);
    } while (!*mark || words(t->de) < 3 || words(t->de) > 16);
    capitalize(t->de);
    capitalize(t->en);
    glue(t->de, mark);
    glue(t->en, mark);
}

/* A hash table of lines, German or English: where in the corpus a line is, and how often. */
enum { SLOTS = 1 << 17 };

typedef struct {
    const char *line;
    unsigned index, count;
} Entry;

static Entry german_lines[SLOTS], english_lines[SLOTS];

static Entry *find(Entry *table, const char *line)
{
    uint32_t hash = 2166136261u;
    const char *c;

    for (c = line; *c; c++)
        hash = ((hash ^ (unsigned char)*c) * 16777619u) & 0xFFFFFFFFu;
    hash &= SLOTS - 1;
    while (table[hash].line && strcmp(table[hash].line, line) != 0)
        hash = (hash + 1) & (SLOTS - 1);
    return &table[hash];
}

/* Fill the corpus with sentences whose German is new. */
static void make_corpus(void)
{
    unsigned n = 0;

    while (n < TOTAL) {
        Entry *e;

        make_sentence(&corpus[n]);
        e = find(german_lines, corpus[n].de);
        if (e->line) {
            if (strcmp(corpus[e->index].en, corpus[n].en) != 0)
                fail("two translations", corpus[n].de);
            continue;
        }
        e->line = corpus[n].de;
        e->index = n;
        e = find(english_lines, corpus[n].en);
        e->line = corpus[n].en;
        e->count++;
        n++;
    }
}

static FILE *open_part(const char *dir, const char *name, const char *language)
{
    char path[4096];
    FILE *f;

    if (strlen(dir) + strlen(name) + strlen(language) + 3 > sizeof path)
        fail("this path is too long", dir);
    sprintf(path, "%s/%s.%s", dir, name, language);
    f = fopen(path, "wb");
    if (!f)
        fail("cannot open for writing", path);
    return f;
}

/* Write one part of the corpus, in one language. */
static void write_part(const char *dir, int part, int english_side, const unsigned char *part_of)
{
    static const char *const files[] = {"train", "val", "test"};
    FILE *f = open_part(dir, files[part], english_side ? "en" : "de");
    unsigned i;
    int bad;

    for (i = 0; i < TOTAL; i++)
        if (part_of[i] == part)
            fprintf(f, "%s\n", english_side ? corpus[i].en : corpus[i].de);
    bad = ferror(f);
    if (fclose(f) != 0 || bad)
        fail("cannot write in full", files[part]);
}

/* Hold out random pairs whose English occurs once, so that no other pair gives them away. */
static void divide(unsigned char *part_of)
{
    int part;

    for (part = 1; part <= 2; part++) {
        unsigned left = HELD_OUT;

        while (left) {
            unsigned i = roll(TOTAL);

            if (part_of[i] == 0 && find(english_lines, corpus[i].en)->count == 1) {
                part_of[i] = (unsigned char)part;
                left--;
            }
        }
    }
}

int main(int argc, char **argv)
{
    static unsigned char part_of[TOTAL];
    int part, side;

    if (argc != 2) {
        fprintf(stderr, "usage: corpus DIR\n");
        return EXIT_FAILURE;
    }
    make_corpus();
    divide(part_of);
    for (part = 0; part < 3; part++)
        for (side = 0; side < 2; side++)
            write_part(argv[1], part, side, part_of);
    return EXIT_SUCCESS;
}
