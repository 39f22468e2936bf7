"""The part of a recipe that says who is asked: teachers and an assistant, their prices and their budgets.

Knows which keys and values are legal. Knows nothing of how anybody is asked.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from distrust.recipe.strict import Strict
from distrust.recipe.wrong import WrongRecipe


class Price(Strict):
    """What a teacher costs, in any one currency; a price that is left out is unknown, never 0."""

    per_call: float | None = Field(None, ge=0, description="for one request, whatever its length")
    per_million_prompt_tokens: float | None = Field(None, ge=0, description="for what is sent")
    per_million_completion_tokens: float | None = Field(None, ge=0, description="for what is answered")

    @property
    def known(self) -> bool:
        """Whether any call can be priced: both token prices, or a price per call."""
        tokens = (self.per_million_prompt_tokens, self.per_million_completion_tokens)
        return all(price is not None for price in tokens) or (self.per_call is not None and tokens == (None, None))


class Budget(Strict):
    """Caps on what is bought; one that is left out is no cap. Reaching a cap is a normal end of buying."""

    calls: int | None = Field(None, ge=0, description="requests that were answered or may have been; refused ones are free")
    tokens: int | None = Field(None, ge=0, description="prompt and completion tokens together")
    money: float | None = Field(None, ge=0, description="in the currency of the prices")


class Recorded(Strict):
    """Past answers: a column of the pool, or a file joined by item id."""

    kind: Literal["recorded"]
    name: str = Field(min_length=1, description="what the report and the ledger call it")
    column: str = Field("label", description="column of the answers, in the pool or in `path`")
    path: str | None = Field(None, description="file or hub data set of past answers; default: the pool itself")
    id: str | None = Field(None, description="id column of `path`; default: joined by text")
    text: str = Field("text", description="text column of `path`, when joined by text")
    confidence: str | None = Field(None, description="column of the teacher's stated confidence in its answer")
    rationale: str | None = Field(None, description="column of the teacher's explanation, kept as its raw text")
    wrong: WrongRecipe | None = Field(
        None, description="make its answers wrong on purpose, to see what a method does about it: docs/workshop.md"
    )
    labels: dict[str, str] = Field(default_factory=dict, description="its spelling of a label: the task's label")
    knows: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="the classes it can answer with, where it does not know all of the task's; default: all"
    )
    price: Price = Price()


class Classifier(Strict):
    """A local transformers sequence classifier."""

    kind: Literal["classifier"]
    name: str = Field(min_length=1, description="what the report and the ledger call it")
    model: str = Field(description="folder or hub id")
    adapter: str | None = Field(None, description="folder or hub id of a PEFT adapter on top of it")
    labels: dict[str, str] = Field(default_factory=dict, description="its label (`LABEL_0`): the task's label")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    max_length: int | None = Field(None, gt=0, description="tokens kept of an item; default: the model's own limit")
    batch_size: int = Field(32, gt=0, description="items asked at once")
    feature: str | None = Field(
        None,
        description="features to keep, for methods that learn from them (`ca-mkd`): the module whose output they "
        "are, with `.input` behind it what goes into it, or `auto`: what goes into the layer that makes the logits",
    )
    head: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="modules that make the logits of `feature`, in order; `auto` finds its own"
    )
    keep_top: int | None = Field(
        None, gt=0, description="keep so many classes of its logits, the likeliest, and the mass of the rest; default: all"
    )
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    wrong: WrongRecipe | None = Field(
        None, description="make its answers wrong on purpose, to see what a method does about it: docs/workshop.md"
    )

    @model_validator(mode="after")
    def _head_is_of_a_feature(self) -> Classifier:
        if self.head is not None and self.feature in (None, "auto"):
            raise ValueError("`head` goes with a `feature` that names a module; `auto` finds its own")
        return self


class Parse(Strict):
    """From an answer's text to a claim."""

    kind: Literal["label", "choice", "number", "regex"] = Field(
        "label", description="`label`: the label named in the text; `choice`: a letter A, B, ...; `number`; `regex`"
    )
    after: str | None = Field(None, description="read only what follows the last occurrence of this")
    pattern: str | None = Field(None, description="for `regex`: its first group, or whole match, is the answer")


class Endpoint(Strict):
    """Any OpenAI-compatible server."""

    kind: Literal["endpoint"]
    name: str = Field(min_length=1, description="what the report and the ledger call it")
    base_url: str = Field(description="up to and including `/v1`")
    model: str = Field(description="the server's name of the model")
    api: Literal["chat", "completions"] = Field("chat", description="which of the two endpoints the server is asked at")
    api_key: str | None = Field(None, description="`${NAME}` of the environment variable; a key itself is refused")
    prompt: str = Field(
        "Classify the text as one of: {labels}.\n\n{examples}Text: {text}\nLabel:",
        description="template; `{text}`, `{text_pair}`, `{labels}`, `{examples}` and any column of the pool",
    )
    example: str = Field(
        "Text: {text}\nLabel: {label}\n\n",
        description="template of one few-shot gold example; for generation `{label}` is its reference text",
    )
    system: str | None = Field(None, description="system message, for chat")
    few_shot: int = Field(0, ge=0, description="gold items quoted in the prompt; they are reserved and never judge")
    samples: int = Field(1, gt=0, description="answers per item")
    temperature: float = Field(0.0, ge=0, description="of sampling; 0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1, description="nucleus sampling; default: the server's")
    max_tokens: int | None = Field(None, gt=0, description="longest answer; required with a money or token cap")
    seed: int | None = Field(None, description="sent with each request; sample k gets seed + k")
    stop: list[str] = Field(default_factory=list, description="texts that end an answer")
    structured: Literal["none", "choice", "json"] = Field(
        "none", description="constrain the answer where served: `choice` (guided), `json` (a schema with the labels)"
    )
    logprobs: int | None = Field(None, ge=1, le=20, description="ask for so many top log-probabilities a token")
    honours_n: bool = Field(False, description="one request for all samples; only for servers known to honour `n`")
    parse: Parse = Parse()
    labels: dict[str, str] = Field(default_factory=dict, description="other spellings of a label: the task's label")
    knows: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="the classes it can answer with, where it does not know all of the task's; default: all"
    )
    concurrency: int = Field(16, gt=0, description="requests in flight")
    requests_per_minute: float | None = Field(None, gt=0, description="rate limit; default: none")
    timeout: float = Field(60, gt=0, description="seconds for one request")
    retries: int = Field(6, ge=0, description="tries after the first, on 408, 409, 429, 5xx and broken connections")
    wrong: WrongRecipe | None = Field(
        None, description="make its answers wrong on purpose, to see what a method does about it: docs/workshop.md"
    )
    price: Price = Price()
    budget: Budget = Field(Budget(), description="caps of this teacher alone")

    @model_validator(mode="after")
    def _key_is_a_name(self) -> Endpoint:
        if self.api_key is not None and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", self.api_key):
            raise ValueError("api_key must be the name of an environment variable, written ${NAME}, not a key")
        return self

    @model_validator(mode="after")
    def _quotes_what_it_reserves(self) -> Endpoint:
        if self.few_shot and not re.search(r"(?<!\{)\{examples\}(?!\})", self.prompt):
            raise ValueError("`few_shot` reserves gold for `{examples}` in the `prompt`, which has none")
        return self


class CausalTeacher(Strict):
    """A language model in this process: it writes texts; methods such as `okd` read its probabilities of tokens."""

    kind: Literal["causal"]
    name: str = Field(min_length=1, description="what the report calls it")
    model: str = Field(description="folder or hub id of pretrained weights")
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    template: str = Field("{prompt}\n", description="what is read of a prompt, where the tokenizer has no chat template")
    max_prompt_length: int = Field(256, gt=0, description="tokens kept of a question: its last ones")
    max_completion_length: int = Field(64, gt=0, description="longest text, and longest True or False")
    samples: int = Field(1, gt=0, description="texts that it writes of an item")
    temperature: float = Field(0.0, ge=0, description="of sampling; 0 is greedy")
    bf16: bool = Field(False, description="hold its weights in half the memory, less exactly")

    @model_validator(mode="after")
    def _reads_the_prompt(self) -> CausalTeacher:
        if self.template.count("{prompt}") != 1:
            raise ValueError("`template` names {prompt} once")
        return self


class CausalAssistant(CausalTeacher):
    """A language model in this process, as an assistant."""

    says: Literal["truth", "answers"] = Field(
        "truth",
        description="`truth`: it is shown each answer and says whether it is true, by its log-probabilities; `answers`: "
        "for generation, it answers the items itself",
    )
    samples: int = Field(5, gt=0, description="of `answers`: texts an item")
    temperature: float = Field(0.7, ge=0, description="of `answers`")


# keys of a teacher that mean something only where there are classes
OF_CLASSES: dict[str, tuple[str, ...]] = {
    "recorded": ("labels", "knows", "rationale"),
    "endpoint": ("labels", "knows", "parse", "structured", "logprobs"),
    "causal": (),
}
TeacherRecipe = Annotated[Recorded | Classifier | Endpoint | CausalTeacher, Field(discriminator="kind")]
Asked = Recorded | Classifier | Endpoint | CausalTeacher
AssistantRecipe = Annotated[Recorded | Classifier | Endpoint | CausalAssistant, Field(discriminator="kind")]


def is_judge(assistant: Asked) -> bool:
    """Whether an assistant is shown answers and says True or False, rather than answering the items itself."""
    return isinstance(assistant, Endpoint) and assistant.knows == ["True", "False"]
