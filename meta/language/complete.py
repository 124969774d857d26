"""Language models behind one function, and a cassette that makes their answers last.

A model is any callable that takes messages and a JSON schema and returns text. The text
is not trusted: who asks validates it. `Endpoint` asks a server that speaks OpenAI's
protocol, local or not, over the standard library alone. `Cassette` keeps answers in a
file and gives them again.
"""

import hashlib
import json
import os
import time
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tasks.strict_json import BROKEN, parse_json

Message = Mapping[str, str]
"""A message: its role, system or user, and its content."""
KEY = "PLIANT_MODEL_KEY"
"""Environment variable of the key that a server asks for, if it asks for one."""
LARGEST = 1 << 20
"""Bytes of an answer that are read at most."""
_ATTEMPTS = 2


class ModelError(Exception):
    """A model gave no answer: why, in one line."""


class NotRecordedError(ValueError):
    """A cassette lacks an answer, and has no model to ask."""


_T = TypeVar("_T")

Complete = Callable[[Sequence[Message], Mapping[str, Any]], str]
"""A language model: returns the answer to messages, which is meant to fit a JSON
schema, or raises ModelError if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server that speaks OpenAI's protocol of chat completions.

    Raises:
        ValueError: for a URL that is not of http or https, or no time to wait.
    """

    url: str
    """Its base, such as http://127.0.0.1:8080/v1."""
    model: str = "default"
    timeout: float = 30.0
    """Time that an answer may take in all [s]."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(
                f"a model's URL is such as http://127.0.0.1:8080/v1, got {self.url!r}"
            )
        if not 0 < self.timeout <= 3600:
            raise ValueError(f"timeout is 0 to 3600 s, got {self.timeout}")

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Ask the server; see `Complete`."""
        asked = {
            "model": self.model,
            "messages": [dict(m) for m in messages],
            "temperature": 0,
            "seed": self.seed,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
        try:
            answer = parse_json(self._post(json.dumps(asked).encode()))
            text = answer["choices"][0]["message"]["content"]
        except BROKEN as error:
            raise ModelError(f"{self.url} answered no completion: {error!r}") from error
        if not isinstance(text, str):
            raise ModelError(f"{self.url} answered {type(text).__name__}, not text")
        return text

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        url = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, body, headers, method="POST")
        end = time.monotonic() + self.timeout
        try:
            # a redirection could carry the key elsewhere
            with _OPENER.open(request, timeout=self.timeout) as reply:
                return _read(reply, end)
        except (OSError, HTTPException, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.url}: {said or type(error).__name__}") from error


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Follow no redirection."""
        return


_OPENER = urllib.request.build_opener(_Straight)


def _read(reply: Any, end: float) -> bytes:  # noqa: ANN401  (an HTTPResponse)
    """Read an answer, of which a byte a minute would not be late by itself."""
    content = b""
    while chunk := reply.read1(1 << 14):
        content += chunk
        if len(content) > LARGEST:
            raise ValueError(f"its answer is longer than {LARGEST:,} bytes")
        if time.monotonic() > end:
            raise TimeoutError("its answer took too long")
    return content


@dataclass(slots=True, kw_only=True)
class Cassette:
    """Answers in a file, one a line, found by what was asked.

    The key of a line is the SHA-256 of the model's name, the messages, the schema and
    the seed. With a model, questions that are not in the file are asked and appended;
    without, they are errors.
    """

    path: Path
    model: str = "default"
    seed: int = 0
    complete: Complete | None = None
    _known: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read the file, if there is one.

        Raises:
            ValueError: for a line that is none of a cassette's.
            OSError: if it cannot be read.
        """
        self._known = {}
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                raw = parse_json(line)
                self._known[str(raw["key"])] = str(raw["answer"])
            except BROKEN as error:
                raise ValueError(
                    f"{self.path}, line {number}: no answer of a cassette: {error}"
                ) from error

    def key(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Return the key of a question."""
        asked = [self.model, [dict(m) for m in messages], schema, self.seed]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Return the answer that is kept, or ask and keep it.

        Raises:
            NotRecordedError: for a question that is not kept, without a model to ask.
            ModelError: if the model does not answer.
        """
        key = self.key(messages, schema)
        if key not in self._known:
            if self.complete is None:
                raise NotRecordedError(f"{self.path} has no answer with the key {key}")
            answer = self.complete(messages, schema)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "answer": answer}) + "\n")
            self._known[key] = answer
        return self._known[key]

    def discard(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> None:
        """Forget an answer that was of no use, so that the model is asked again.

        Without a model it stays: what is replayed is what there was.
        """
        if self.complete is None:
            return
        self._known.pop(self.key(messages, schema), None)
        kept = [{"key": k, "answer": v} for k, v in self._known.items()]
        content = "".join(f"{json.dumps(line)}\n" for line in kept)
        self.path.write_text(content, "utf-8")


def answered(
    complete: Complete,
    messages: Sequence[Message],
    schema: Mapping[str, Any],
    read: Callable[[str], _T],
    *,
    instead: str,
) -> _T | None:
    """Ask a model, once more if its answer cannot be read, and return what it says.

    Args:
        complete: the model.
        messages: what it is asked.
        schema: JSON schema of the answer.
        read: makes something of the answer, or raises ValueError.
        instead: what happens if it does not answer, for the warning.

    Returns:
        What was read; None if nothing could be.

    Warns:
        UserWarning: in one line, where nothing could be read.

    Raises:
        NotRecordedError: as a cassette does.
        TypeError: for what is no model.
    """
    if isinstance(complete, type) or not callable(complete):
        raise TypeError(
            "a model is Endpoint(url=...) or a function of messages and a schema, got "
            f"{complete!r}"
        )
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            return read(complete(messages, schema))
        except NotRecordedError:
            raise
        except (ModelError, OSError, *BROKEN) as error:
            reason = " ".join(str(error).split())[:200]
            if isinstance(complete, Cassette):
                complete.discard(messages, schema)
    warnings.warn(
        f"the model's answer cannot be used ({reason}): {instead}", stacklevel=3
    )
    return None
