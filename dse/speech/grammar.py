"""Plain sentences out of a small grammar: something to say for voices that nobody has.

    SENTENCE = WHO DOES WHAT, WHEN            the queen has found an extra key after the storm
             | please ORDER WHAT, WHEN        please carry the heavy jug under the bridge
             | NUMBER and NUMBER make NUMBER  forty one and six make ninety two   (seldom true)

82,944 sentences of the first form, all of them in 163 words, in which every letter and the
apostrophe stand. They are short and simple on purpose: a network of a few thousand parameters shall
learn to write them down in minutes, and what it learns is sounds, as most of the sentences of a
test were never said before.
"""

import numpy as np


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


WHO = _phrases("""
    the old captain, my quiet neighbour, a young doctor, the baker, our teacher, jack, zoe, the
    queen, his brother, her aunt, the farmer, a tired pilot, the judge, an expert, the grey fox,
    your cousin, nobody, the whole village
""")
DOES = _phrases("""
    has found, will fix, wants to buy, did not see, brings, paints, forgot, can't lift, is
    watching, never sold, doesn't like, gave back, hides, measured, would swap, mixed up
""")
WHAT = _phrases("""
    a yellow box, the heavy jug, six green apples, the broken clock, an extra key, five silver
    spoons, the small violin, a map of the valley, the king's letter, two warm loaves, the dusty
    piano, a pair of gloves, the last ticket, eight zebras, some blue velvet, the quick reply
""")
WHEN = _phrases("""
    before breakfast, near the frozen river, behind the school, at the market, in the kitchen,
    on monday, after the storm, under the bridge, every evening, without a word, at half past
    nine, far from home, this july, with great joy, in the square, as usual, once more, by
    accident
""")
ORDER = _phrases("bring, carry, fetch, keep, open, check, don't touch, hand me, wrap")
TENS = _phrases("twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")
ONES = _phrases("one, two, three, four, five, six, seven, eight, nine")


def draw_sentence(random: np.random.Generator) -> str:
    """One sentence, in lower case and without signs but the apostrophe."""

    def one(words: tuple[str, ...]) -> str:
        return words[int(random.integers(len(words)))]

    def number() -> str:
        return f"{one(TENS)} {one(ONES)}" if random.random() < 0.5 else one(ONES)

    kind = random.random()
    if kind < 0.7:
        return f"{one(WHO)} {one(DOES)} {one(WHAT)} {one(WHEN)}"
    if kind < 0.9:
        return f"please {one(ORDER)} {one(WHAT)} {one(WHEN)}"
    return f"{number()} and {number()} make {number()}"
