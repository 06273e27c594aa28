"""Words of questions: typos mended, and whether they are English."""

import re
import unicodedata
from collections.abc import Iterable

# Words that decide what a question asks for; a word of five and more letters that is one edit away is taken for them.
_KEYS = (
    "describe", "image", "picture", "number", "where", "locate", "there", "count", "visible", "present", "water",
    "cover", "resolution", "coordinates", "building", "buildings", "percentage", "classify", "category", "summarize",
    "vegetation", "airplanes", "location", "caption", "detect", "highlight", "scene", "which", "forest",
    "houses", "boats", "share", "taken", "contain", "contains", "description", "outline", "residential",
)  # fmt: skip
_TYPOS = """
the: teh hte · how: hwo hw hoe · many: mnay mny manny amny · is: si · what: wat waht whta · which: wich whcih
are: r ar · you: u · there: ther thre tehre · where: wehre wher · find: fnd fidn · how many: howmany · how much: howmuch
picture: pic · image: img · please: pls plz · their: thier · what is: whats · where is: wheres · is not: isnt
land: lan lnad · count: cuont coutn · show: shwo hsow · much: muhc mcuh · type: tpye · kind: knid · view: veiw
lakes: lakse · ships: shpis · category: catagory · describe: discribe
"""
_SHORT = {
    typo: word.strip()
    for entry in _TYPOS.replace("\n", "·").split("·") if entry.strip()
    for word, _, typos in [entry.partition(":")] for typo in typos.split()
}  # fmt: skip
# Real words that are one edit away from a key.
_KEPT_WORDS = """
    county country counts counted counter mount amount court waters wader cater waiter later covers
    coven cove cores scent scenes picture pictures images imagine numbers lumber where's wheres there's
    three these here were wherever fores forests house boat boars goats coats shares shore shape stare
    spare scare shared taker takes token water's located locates detects contained building's
    percentages whale while white witch presents prevent resent cloves clover hover lover mover rover
    waterway scree screen scone roads bloats shard sharp shade
"""
_KEPT = frozenset(_KEPT_WORDS.split())
_LANGUAGES = {
    "French": "le la les des est une dans où combien quel quelle quels sur avec cette il y ce sont du que qui et de",
    "German": "der die das ist sind ein eine wo wie viele viel was auf im dem den gibt es und nicht welche von zu bild",
    "Spanish": "el la los las es una dónde donde cuántos cuantos qué que hay en esta este son del y de con imagen",
    "Italian": "il lo la gli è una dove quanti quante che cosa ci sono nella questa questo e di con immagine nel quale",
    "Portuguese": "o os as é uma onde quantos quantas que há na no esta este são do da e de com imagem nesta quais",
    "Dutch": "de het een is zijn waar hoeveel wat op er deze dit en van in niet welke afbeelding zie staan",
}  # fmt: skip
_FOREIGN = {language: frozenset(words.split()) for language, words in _LANGUAGES.items()}
_ENGLISH_WORDS = """
    the is are there a an of in on this that how many much what where which when any it do does can you
    see find describe count show me and or to for with please tell image picture scene all was were have
    has be not from locate water land cover number by at least who why boats cars buildings
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_SCRIPTS = {
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
    "CYRILLIC": "Russian or another language in Cyrillic", "ARABIC": "Arabic or another language in its script",
    "HEBREW": "Hebrew", "DEVANAGARI": "Hindi or another language in Devanagari", "GREEK": "Greek", "THAI": "Thai",
}  # fmt: skip
_LONGEST = 24  # letters of a word that is looked at for typos


def plain_words(text: str) -> str:
    """Lower case, straight apostrophes, blanks squeezed; other marks stay."""
    return " ".join(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def mend_typos(text: str) -> str:
    """The text with mistyped words of questions mended: of a table, or one edit from a key of five letters and more."""
    return re.sub(r"[a-z]+", lambda found: _mended(found[0]), text)


def _mended(word: str) -> str:
    if word in _SHORT:
        return _SHORT[word]
    if not 4 <= len(word) <= _LONGEST or word in _KEPT or word in _KEYS or word in _ENGLISH:
        return word
    return next((key for key in _KEYS if _one_edit(word, key)), word)


def _one_edit(one: str, other: str) -> bool:
    """Whether a word becomes the other by one letter more, less or another, or by two neighbours changed."""
    if one[0] != other[0] or len(other) < 5 or abs(len(one) - len(other)) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    swapped = one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :]
    rest = other[at:]
    return rest in (one[at + 1 :], swapped) or one[at + 1 :] == other[at + 1 :] or one[at:] == other[at + 1 :]


def language_of(text: str) -> str:
    """Why a text is not understood: "no words", or the language that it seems to be in; "" for English.

    By script; in Latin letters by the words without which no sentence of a language stands.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if not letters:
        return "no words"
    foreign = [_script(letter) for letter in letters if not letter.isascii()]
    others = [script for script in foreign if script]
    if len(others) * 2 > len(letters):
        return f"it seems to be {max(set(others), key=others.count)}"
    words = re.findall(r"\w+", text.lower())
    english = _hits(words, _ENGLISH)
    best = max(_FOREIGN, key=lambda language: _hits(words, _FOREIGN[language]))
    found = _hits(words, _FOREIGN[best])
    return f"it seems to be {best}" if found >= 2 and found > english else ""


def _hits(words: Iterable[str], known: frozenset[str]) -> int:
    return sum(word in known for word in words)


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(name, "")
