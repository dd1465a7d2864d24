"""The demo model's whole world: every phrase that it can hear, in five languages, with its English translation.

A phrase is *closed* when all its like are trained on (weekdays, greetings, numbers under a hundred) and *open* when
it is one of very many (digit strings, numbers from a hundred, templates with slots). One open text in ten, chosen by
a hash of the text itself, is held out: nothing spoken in training ever says it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from random import Random

Language = Literal["en", "es", "fr", "de", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

HELD_OUT_OF_256 = 26
"""Of the 256 values of a hash's first byte, how many hold a text out: a tenth."""

LARGEST_NUMBER = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Something that can be said.

    Attributes:
        language: What it is said in.
        text: As it is spoken, without capital letter or full stop.
        english: Its translation; the text itself when `language` is English.
    """

    language: Language
    text: str
    english: str

    def __post_init__(self) -> None:
        """Refuse what could not be spoken or written."""
        if not self.text or not self.english or self.text != self.text.strip():
            message = f"a phrase needs text and a translation, without spaces around them; got {self!r}"
            raise ValueError(message)


def _columns(table: str, separator: str) -> dict[Language, tuple[str, ...]]:
    """Read a table with one line for each language, in the order of `LANGUAGES`."""
    lines = table.strip().splitlines()
    return {lang: tuple(line.strip().split(separator)) for lang, line in zip(LANGUAGES, lines, strict=True)}


DIGITS = _columns(
    """
    zero one two three four five six seven eight nine
    cero uno dos tres cuatro cinco seis siete ocho nueve
    zéro un deux trois quatre cinq six sept huit neuf
    null eins zwei drei vier fünf sechs sieben acht neun
    零 一 二 三 四 五 六 七 八 九
    """,
    " ",
)

WORD_LISTS: dict[str, dict[Language, tuple[str, ...]]] = {
    "weekday": _columns(
        """
        Monday Tuesday Wednesday Thursday Friday Saturday Sunday
        lunes martes miércoles jueves viernes sábado domingo
        lundi mardi mercredi jeudi vendredi samedi dimanche
        Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag
        星期一 星期二 星期三 星期四 星期五 星期六 星期日
        """,
        " ",
    ),
    "month": _columns(
        """
        January February March April May June July August September October November December
        enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
        janvier février mars avril mai juin juillet août septembre octobre novembre décembre
        Januar Februar März April Mai Juni Juli August September Oktober November Dezember
        一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月
        """,
        " ",
    ),
    "color": _columns(
        """
        red blue green yellow black white orange brown
        rojo azul verde amarillo negro blanco naranja marrón
        rouge bleu vert jaune noir blanc orange marron
        rot blau grün gelb schwarz weiß orange braun
        红色 蓝色 绿色 黄色 黑色 白色 橙色 棕色
        """,
        " ",
    ),
}

SLOTS: dict[str, dict[Language, tuple[str, ...]]] = WORD_LISTS | {
    "name": _columns("\n".join(["Anna Peter Maria David Julia Robert"] * 4 + ["安娜 彼得 玛丽 大卫 朱莉 罗伯特"]), " "),
    "room": _columns(
        """
        kitchen|bedroom|bathroom|office|garage|garden
        la cocina|el dormitorio|el baño|la oficina|el garaje|el jardín
        la cuisine|la chambre|la salle de bains|le bureau|le garage|le jardin
        der Küche|dem Schlafzimmer|dem Badezimmer|dem Büro|der Garage|dem Garten
        厨房|卧室|浴室|办公室|车库|花园
        """,
        "|",
    ),
    "thing": _columns(
        """
        book|phone|hat|bag|train|dog
        el libro|el teléfono|el sombrero|el bolso|el tren|el perro
        le livre|le téléphone|le chapeau|le sac|le train|le chien
        das Buch|das Telefon|der Hut|die Tasche|der Zug|der Hund
        书|电话|帽子|包|火车|狗
        """,
        "|",
    ),
    "things": _columns(
        """
        books|apples|chairs|messages|euros|questions
        libros|manzanas|sillas|mensajes|euros|preguntas
        livres|pommes|chaises|messages|euros|questions
        Bücher|Äpfel|Stühle|Nachrichten|Euro|Fragen
        本书|个苹果|把椅子|条消息|欧元|个问题
        """,
        "|",
    ),
    "food": _columns(
        """
        milk|bread|coffee|sugar|tomatoes|water|rice|cheese
        leche|pan|café|azúcar|tomates|agua|arroz|queso
        du lait|du pain|du café|du sucre|des tomates|de l'eau|du riz|du fromage
        Milch|Brot|Kaffee|Zucker|Tomaten|Wasser|Reis|Käse
        牛奶|面包|咖啡|糖|西红柿|水|米饭|奶酪
        """,
        "|",
    ),
}
"""What may stand in a template's braces; entry i of each language translates entry i of the others."""

TEMPLATES = _columns(
    """
    turn on the light in the {room}|turn off the light in the {room}|set a timer for {count} minutes|call {name}|{name} is in the {room}|the meeting is on {weekday} at {hour} o'clock|it is {count} degrees in {month}|I have {count} {things}|buy {food} and {more}|the {thing} is {color}|my number is {code}
    enciende la luz en {room}|apaga la luz en {room}|pon un temporizador de {count} minutos|llama a {name}|{name} está en {room}|la reunión es el {weekday} a las {hour}|en {month} hace {count} grados|tengo {count} {things}|compra {food} y {more}|{thing} es {color}|mi número es {code}
    allume la lumière dans {room}|éteins la lumière dans {room}|mets un minuteur de {count} minutes|appelle {name}|{name} est dans {room}|la réunion est {weekday} à {hour} heures|il fait {count} degrés en {month}|j'ai {count} {things}|achète {food} et {more}|{thing} est {color}|mon numéro est {code}
    schalte das Licht in {room} ein|schalte das Licht in {room} aus|stelle einen Wecker auf {count} Minuten|rufe {name} an|{name} ist in {room}|das Treffen ist am {weekday} um {hour} Uhr|im {month} sind es {count} Grad|ich habe {count} {things}|kaufe {food} und {more}|{thing} ist {color}|meine Nummer ist {code}
    打开{room}的灯|关掉{room}的灯|设置{count}分钟的计时器|打电话给{name}|{name}在{room}里|会议在{weekday}{hour}点|{month}气温{count}度|我有{count}{things}|买{food}和{more}|{thing}是{color}的|我的号码是{code}
    """,  # noqa: E501  one line a language, so that a column can be compared by eye
    "|",
)

PHRASE_BOOK = tuple(
    tuple(line.strip().split("|"))
    for line in """
    turn on the light|enciende la luz|allume la lumière|schalte das Licht ein|打开灯
    turn off the light|apaga la luz|éteins la lumière|schalte das Licht aus|关灯
    play music|pon música|mets de la musique|spiele Musik|播放音乐
    stop the music|para la música|arrête la musique|stoppe die Musik|停止音乐
    open the door|abre la puerta|ouvre la porte|öffne die Tür|开门
    close the window|cierra la ventana|ferme la fenêtre|schließe das Fenster|关窗
    good morning|buenos días|bonjour|guten Morgen|早上好
    good night|buenas noches|bonne nuit|gute Nacht|晚安
    thank you very much|muchas gracias|merci beaucoup|vielen Dank|非常谢谢
    see you tomorrow|hasta mañana|à demain|bis morgen|明天见
    what time is it|qué hora es|quelle heure est-il|wie spät ist es|现在几点
    where is the station|dónde está la estación|où est la gare|wo ist der Bahnhof|车站在哪里
    I do not understand|no entiendo|je ne comprends pas|ich verstehe nicht|我不明白
    please help me|ayúdame por favor|aidez-moi s'il vous plaît|bitte hilf mir|请帮我
    how much does it cost|cuánto cuesta|combien ça coûte|was kostet das|多少钱
    the weather is nice today|hoy hace buen tiempo|il fait beau aujourd'hui|das Wetter ist heute schön|今天天气很好
    I would like a coffee|quisiera un café|je voudrais un café|ich möchte einen Kaffee|我要一杯咖啡
    my name is Anna|me llamo Anna|je m'appelle Anna|ich heiße Anna|我叫安娜
    """.strip().splitlines()
)
"""Everyday phrases: one line each, one column for each of `LANGUAGES`."""

ENGLISH_ONLY = tuple(
    phrase.strip()
    for line in """
    turn the volume up|turn the volume down|next song please|previous song|pause the video|go back|go home
    lock the door|open the window|close the door|start recording|stop recording|save the file|delete the file
    good evening|good afternoon|hello world|yes please|no thank you|cancel that|repeat that please
    send a message|read my messages|take a picture|turn left|turn right|go straight ahead|how are you
    nice to meet you|have a nice day|show me the news|find a restaurant|the train is late
    the test was successful|I am at home|I will be there soon|this is a speech recognition test
    speech to text is working|the quick brown fox jumps over the lazy dog|please wait a moment|wake up|never mind
    """.strip().splitlines()
    for phrase in line.split("|")
)


@cache
def number_words(number: int, language: Language) -> str:
    """Write a number from 0 to 999 as it is spoken.

    Example:
        >>> number_words(243, "zh")
        '二百四十三'
    """
    if not 0 <= number <= LARGEST_NUMBER:
        message = f"numbers from 0 to {LARGEST_NUMBER} are in the demo model's world; got {number}"
        raise ValueError(message)
    if language != "zh":
        from num2words import num2words  # noqa: PLC0415  needed to train, not to import this file

        return str(num2words(number, lang=language)).replace(",", "")
    digits = DIGITS["zh"]
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    if number < 10:
        return digits[number]
    words = digits[hundreds] + "百" if hundreds else ""
    if tens:
        words += ("" if tens == 1 and not hundreds else digits[tens]) + "十"
    elif hundreds and ones:
        words += "零"
    return words + (digits[ones] if ones else "")


def digit_string(digits: tuple[int, ...], language: Language) -> str:
    """Say digits one by one: (5, 0) is "five zero"."""
    return ("" if language == "zh" else " ").join(DIGITS[language][digit] for digit in digits)


def _both(language: Language, say: str, english: str) -> Phrase:
    return Phrase(language=language, text=say, english=say if language == "en" else english)


def _fill_template(language: Language, random: Random) -> Phrase:
    """Choose a template and what stands in its slots, the same entries in the language and in English."""
    which = random.randrange(len(TEMPLATES["en"]))
    entries = {slot: random.randrange(len(words["en"])) for slot, words in SLOTS.items()}
    more = random.choice([food for food in range(len(SLOTS["food"]["en"])) if food != entries["food"]])
    # Not 1, 2, 21, 31 ...: Spanish, German and Chinese bend those to the noun that follows.
    count = random.choice([n for n in range(3, 100) if n % 10 != 1])
    hour = random.randint(3, 12)
    code = tuple(random.randrange(10) for _ in range(random.randint(3, 5)))

    def fill(lang: Language) -> str:
        words = {slot: SLOTS[slot][lang][entry] for slot, entry in entries.items()}
        return TEMPLATES[lang][which].format(
            **words,
            more=SLOTS["food"][lang][more],
            count=number_words(count, lang),
            hour=number_words(hour, lang),
            code=digit_string(code, lang),
        )

    return _both(language, fill(language), fill("en"))


def random_phrase(language: Language, random: Random) -> Phrase:
    """Draw one phrase of the world, open or closed, held out or not."""
    kind = random.random()
    if kind < 0.24:  # the shares of the kinds; what is longest or most alike is drawn most
        digits = tuple(random.randrange(10) for _ in range(random.choice((1, 2, 3, 4, 4, 5, 6))))
        return _both(language, digit_string(digits, language), digit_string(digits, "en"))
    if kind < 0.44:
        number = random.randrange(100) if random.random() < 0.35 else random.randrange(100, LARGEST_NUMBER + 1)
        return _both(language, number_words(number, language), number_words(number, "en"))
    if kind < 0.76:
        return _fill_template(language, random)
    if kind < 0.86:
        words = WORD_LISTS[random.choice(tuple(WORD_LISTS))]
        entry = random.randrange(len(words["en"]))
        return _both(language, words[language][entry], words["en"][entry])
    if language == "en" and kind < 0.94:
        text = random.choice(ENGLISH_ONLY)
        return _both("en", text, text)
    row = random.choice(PHRASE_BOOK)
    return _both(language, row[LANGUAGES.index(language)], row[0])


@cache
def closed_texts() -> frozenset[str]:
    """List the texts of which all are trained on."""
    texts = set(ENGLISH_ONLY)
    texts.update(text for row in PHRASE_BOOK for text in row)
    texts.update(word for words in (*WORD_LISTS.values(), DIGITS) for column in words.values() for word in column)
    texts.update(number_words(number, language) for language in LANGUAGES for number in range(100))
    return frozenset(texts)


def is_open(text: str) -> bool:
    """Say whether a text is one of very many, so that some of its like can be held out."""
    return text not in closed_texts()


def is_held_out(text: str) -> bool:
    """Say whether a text may never be spoken in training: one open text in ten."""
    return is_open(text) and hashlib.md5(text.encode(), usedforsecurity=False).digest()[0] < HELD_OUT_OF_256


def written(text: str, language: Language) -> str:
    """Write a spoken text as Whisper does: a space before it, a capital letter, a full stop."""
    sentence = text[0].upper() + text[1:]
    return f"{sentence}。" if language == "zh" else f" {sentence}."
