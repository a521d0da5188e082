"""Answers as JSON Lines: what is told of each row, as a line of its own.

{"label":"yes","probabilities":{"no":0.25,"yes":0.75}}   or   {"value":9.5}

A line is an entry of `json_answers.py`.
"""

import msgspec

from serving.formats.answer import Answer
from serving.formats.json_answers import JsonAnswers
from storage.signature import Signature


class JsonLinesAnswers:
    """Writes the answers of one model."""

    def __init__(self, signature: Signature) -> None:
        self._answers = JsonAnswers(signature)
        self._encoder = msgspec.json.Encoder()

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        return self._encoder.encode_lines(self._answers.entries(answer))
