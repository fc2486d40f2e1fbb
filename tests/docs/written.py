"""Texts written for the pages on pairs of texts and on several labels a text, and the tables made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

ANSWERED = {
    "A new card is on its way and takes five working days to reach you.": [
        "When will my replacement card come?",
        "I ordered a card last week, where is it?",
        "How long does it take until a new card is delivered?",
        "My card has not arrived in the post yet.",
    ],
    "Your PIN can be changed at any of our cash machines under 'card services'.": [
        "How do I change my PIN?",
        "I want another PIN for my debit card.",
        "Where can I set a different PIN?",
        "Can I choose the four digits of my card myself?",
    ],
    "We have blocked your card, so that nobody can pay with it any more.": [
        "I lost my card this morning!",
        "My wallet with the card in it was stolen.",
        "Please stop my card, I cannot find it.",
        "Someone took my debit card on the train.",
    ],
    "Transfers to other banks in the country are booked within one working day.": [
        "How long does a transfer to another bank take?",
        "When does my friend get the money I sent?",
        "I sent money yesterday, why is it not there?",
        "Is a bank transfer booked on the same day?",
    ],
    "Paying abroad costs 1.5 percent of the amount, and nothing inside the euro area.": [
        "What do I pay for using my card on holiday in Japan?",
        "Is there a fee for foreign payments?",
        "How expensive is paying in dollars?",
        "Do you charge for card payments in other countries?",
    ],
    "The amount was charged twice by mistake; the second booking will be returned to you.": [
        "Why was I charged two times for one purchase?",
        "The supermarket took the money twice.",
        "There are two bookings for the same dinner.",
        "My statement shows one payment double.",
    ],
    "To open an account you need an identity card or passport, and ten minutes for a video call.": [
        "How can I become a customer?",
        "What do I need to open an account?",
        "Which documents do you want for a new account?",
        "I would like to start banking with you.",
    ],
    "You find all statements of the last ten years in the app under 'documents'.": [
        "Where do I get my account statement?",
        "I need a list of my bookings for the tax office.",
        "How do I download last year's statements?",
        "Can you send me the statement for May?",
    ],
}
"""Answer -> questions of bank customers that it answers."""

MENTIONED = {
    "delivery": [
        "the parcel came a week late",
        "the courier left the box in the rain",
        "it arrived a day early",
        "tracking showed nothing for days",
        "it was shipped to the wrong street",
        "delivery took only one night",
    ],
    "price": [
        "it costs far too much",
        "it was cheaper elsewhere",
        "the discount was not applied",
        "great value for the money",
        "I was charged for two of them",
        "the fee came as a surprise",
    ],
    "quality": [
        "the handle broke on the first day",
        "the seams are coming apart",
        "it feels solid and well made",
        "the colour faded in the wash",
        "one button is loose",
        "the material is thick and soft",
    ],
    "service": [
        "nobody answers the phone",
        "the man in the chat was very kind",
        "support solved it in minutes",
        "my three emails were ignored",
        "the staff were rude to me",
        "they called back at once",
    ],
}
"""Topic -> what customers say of it."""
NOTHING = ["I bought it for my brother", "my second order here", "just a short review", "it is what I ordered"]


def pairs(rows: int = 10_000) -> pd.DataFrame:
    """Columns question, answer and label: each question with its own answer (yes) and with another one (no)."""
    rng = np.random.default_rng(0)
    table = []
    for answer, asked in ANSWERED.items():
        others = [other for other in ANSWERED if other != answer]
        for question in asked:
            table += [(question, answer, "yes"), (question, str(rng.choice(others)), "no")]
    return pd.DataFrame(table, columns=["question", "answer", "label"]).head(rows)


def mentions(rows: int) -> tuple[pd.Series, list[list[str]]]:
    """Texts that put two or three sayings together, and the topics of each; some have none."""
    rng = np.random.default_rng(0)
    texts, topics = [], []
    for number in range(rows):
        chosen = [topic for topic in MENTIONED if rng.random() < 0.35]
        said = [str(rng.choice(MENTIONED[topic])) for topic in chosen] + [str(rng.choice(NOTHING))]
        texts.append(
            f"Order {1000 + number}. "
            + ". ".join(f"{text[0].upper()}{text[1:]}" for text in rng.permutation(said))
            + "."
        )
        topics.append(chosen)
    return pd.Series(texts), topics
