"""The recipe: one strict YAML that says teachers, student, gold, budget and method.

Knows which keys and values are legal. Knows nothing of files, or of how any of it is done: each room takes its part of
the recipe as plain values. `docs/recipe.md` is generated from the descriptions here.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Source(Strict):
    """A table of items: a file or a hub data set."""

    path: str = Field(description="CSV, TSV, JSON, JSONL or parquet file, or a hub data set id; `${NAME}` is expanded")
    text: str = Field(
        "text", description="column the student reads; for generation, where there is no such column, `prompt` or `messages`"
    )
    text_pair: str | None = Field(None, description="second column, for sentence pairs")
    id: str | None = Field(None, description="column of item ids; default: a hash of the text")
    label: str | None = Field(None, description="column of gold labels; for generation of reference texts, `completion`")
    split: str | None = Field(None, description="split of a hub data set")
    limit: int | None = Field(None, gt=0, description="read only the first rows")


class Data(Strict):
    """Where the items are."""

    pool: Source = Field(
        description="the items to learn from; its label column, if any, is only read for `gold` and `worth`"
    )
    test: Source | None = Field(None, description="gold-labelled items that only the final evaluation sees")
    validation: Source | None = Field(None, description="gold-labelled items for early stopping")


class GoldRecipe(Strict):
    """The few labels a person vouches for."""

    path: str | None = Field(None, description="file with an id and a label column; default: the pool's label column")
    id: str | None = Field(None, description="id column of `path`; default: joined by text")
    text: str = Field("text", description="text column of `path`, when joined by text")
    label: str = Field("label", description="label column of `path`")
    size: int | None = Field(None, gt=0, description="use only so many, drawn at random with `seed`")
    seed: int | None = Field(None, description="seed of that draw; default: the recipe's seed")
    reserve: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="items that one purpose owns alone, e.g. `{prompt: 8, stop: 20}`"
    )


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


# keys of a teacher that mean something only where there are classes
OF_CLASSES = {
    "recorded": ("labels", "knows", "rationale"),
    "endpoint": ("labels", "knows", "parse", "structured", "logprobs"),
}
TeacherRecipe = Annotated[Recorded | Classifier | Endpoint, Field(discriminator="kind")]


class Answer(Strict):
    """From an open answer's text to what it claims, so that two answers can be the same."""

    kind: Literal["text", "short", "number", "choice", "yes_no", "regex"] = Field(
        "text",
        description="`text`: all of it; `short`: its first line; `number`: the last one; `choice`: a letter A, B, ...; "
        "`yes_no`; `regex`",
    )
    after: str | None = Field(None, description="read only what follows the last occurrence of this")
    pattern: str | None = Field(None, description="for `regex`: its first group, or whole match, is the answer")

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Answer:
        if (self.kind == "regex") != (self.pattern is not None):
            raise ValueError("`kind: regex` and a `pattern` come together")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        return self


class NgramStudent(Strict):
    """Hashed word and character n-grams in an embedding bag; needs no download."""

    kind: Literal["ngram"] = "ngram"
    buckets: int = Field(2**17, gt=0, description="size of the hash table")
    dimension: int = Field(16, gt=0, description="width of the embedding")
    words: int = Field(2, ge=0, description="word n-grams up to this length")
    characters: tuple[int, int] | None = Field((4, 4), description="shortest and longest character n-gram, or null")
    min_items: int = Field(2, gt=0, description="keep n-grams that so many items of the pool show")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the embedding")

    @model_validator(mode="after")
    def _reads_something(self) -> NgramStudent:
        if not self.words and self.characters is None:
            raise ValueError("set `words` above 0, or `characters`; with neither it reads nothing")
        if self.characters is not None and not 1 <= self.characters[0] <= self.characters[1]:
            raise ValueError("`characters` are a shortest and a longest length, such as [3, 5]")
        return self


class TransformerStudent(Strict):
    """A transformers sequence classifier: pretrained, or from scratch by a config."""

    kind: Literal["transformer"]
    model: str | None = Field(None, description="folder or hub id of pretrained weights")
    config: dict[str, Any] | None = Field(
        None, description="from scratch: a transformers config with its `model_type`; a tokenizer is trained on the pool"
    )
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    vocabulary: int = Field(8000, gt=0, description="size of a tokenizer trained on the pool")
    freeze_encoder: bool = Field(False, description="train only the classification head")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    max_length: int = Field(256, gt=0, description="tokens kept of an item")

    @model_validator(mode="after")
    def _one_origin(self) -> TransformerStudent:
        if (self.model is None) == (self.config is None):
            raise ValueError("give either `model` (pretrained) or `config` (from scratch)")
        return self


class CausalStudent(Strict):
    """A transformers causal language model: pretrained, or from scratch by a config; for generation."""

    kind: Literal["causal"]
    model: str | None = Field(None, description="folder or hub id of pretrained weights")
    config: dict[str, Any] | None = Field(
        None, description="from scratch: a transformers config with its `model_type`; a tokenizer is trained on the pool"
    )
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    vocabulary: int = Field(2000, gt=0, description="size of a tokenizer trained on the pool's prompts")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    template: str = Field("{prompt}\n", description="what is read of a prompt, where the tokenizer has no chat template")
    max_prompt_length: int = Field(256, gt=0, description="tokens kept of a prompt: its last ones")
    max_completion_length: int = Field(64, gt=0, description="tokens learned, and written, of a completion")

    @model_validator(mode="after")
    def _one_origin(self) -> CausalStudent:
        if (self.model is None) == (self.config is None):
            raise ValueError("give either `model` (pretrained) or `config` (from scratch)")
        if self.template.count("{prompt}") != 1:
            raise ValueError("`template` names {prompt} once")
        return self


class CausalAssistant(Strict):
    """A language model in this process, as an assistant."""

    kind: Literal["causal"]
    name: str = Field(min_length=1, description="what the report calls it")
    model: str = Field(description="folder or hub id of pretrained weights")
    tokenizer: str | None = Field(None, description="folder or hub id; default: the model's own")
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    template: str = Field("{prompt}\n", description="what is read of a prompt, where the tokenizer has no chat template")
    max_prompt_length: int = Field(256, gt=0, description="tokens kept of a question: its last ones")
    max_completion_length: int = Field(64, gt=0, description="longest text, and longest True or False")
    says: Literal["truth", "answers"] = Field(
        "truth",
        description="`truth`: it is shown each answer and says whether it is true, by its log-probabilities; `answers`: "
        "for generation, it answers the items itself",
    )
    samples: int = Field(5, gt=0, description="of `answers`: texts an item")
    temperature: float = Field(0.7, ge=0, description="of `answers`")


AssistantRecipe = Annotated[Recorded | Classifier | Endpoint | CausalAssistant, Field(discriminator="kind")]
StudentRecipe = Annotated[NgramStudent | TransformerStudent | CausalStudent, Field(discriminator="kind")]


class Train(Strict):
    """The loop, in the words of transformers' TrainingArguments."""

    num_train_epochs: int = Field(10, gt=0, description="passes over the training items")
    per_device_train_batch_size: int = Field(32, gt=0, description="items in a step")
    per_device_eval_batch_size: int = Field(256, gt=0, description="items at once when only asking")
    learning_rate: float | None = Field(None, gt=0, description="default: the student's own")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = Field("linear", description="after the warm-up")
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="share of the steps in which the rate rises")
    max_grad_norm: float | None = Field(1.0, gt=0, description="clip the gradient's norm; null: do not")
    gradient_accumulation_steps: int = Field(1, gt=0, description="batches to one step")
    bf16: bool = Field(False, description="mixed precision, through accelerate")
    early_stopping_patience: int | None = Field(
        None, gt=0, description="stop after so many epochs without gain on validation or on the gold part `stop`"
    )
    save_seconds: float = Field(30, ge=0, description="so long between checkpoints of a fit; a kill loses no more")


class Method(Strict):
    """Which method, and its options; `distrust methods` lists them."""

    name: str = Field("distill", description="one of those that `distrust methods` lists")
    options: dict[str, Any] = Field(default_factory=dict, description="the method's own keys")


class Contender(Method):
    """A method of a comparison."""

    called: str | None = Field(None, min_length=1, description="what the comparison calls it; default: its name")


class Compare(Strict):
    """What `distrust compare` carries out beside each other."""

    methods: list[Contender] = Field(default_factory=list, description="each with a `name`, `options`, and `called`")
    seeds: int | list[int] = Field(5, description="how many, from the recipe's seed on; or which. A seed pairs the methods")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="any key of the recipe and its values, such as `{gold.size: [25, 50, 100]}`"
    )


class Recipe(Strict):
    """A whole recipe."""

    data: Data
    labels: list[str] | None = Field(None, description="the classes, in order; default: of gold and of what teachers know")
    task: Literal["classification", "generation"] = Field(
        "classification", description="`generation`: answers are open texts, and the student is of `kind: causal`"
    )
    answer: Answer | None = Field(None, description="for generation, how texts are read; default: as they are")
    gold: GoldRecipe | None = None
    worth: list[Annotated[int, Field(gt=0)]] | None = Field(
        None,
        description="numbers of labels, such as `[50, 100, 250, 500]`: the report says how many the student is worth, by "
        "`gold-only` students of so many of the pool's labels beside `gold`, which are read for nothing else",
    )
    teachers: list[TeacherRecipe] = Field(default_factory=list, description="who is asked; each has a `kind`")
    assistant: AssistantRecipe | None = Field(
        None,
        description="for `ta-in-the-loop`: who judges the student's and the teachers' answers, of any teacher's kind or "
        "`causal`, with a name of its own. An endpoint whose `knows` is `['True', 'False']` and whose `prompt` is "
        "`'{text}'` is shown each answer and says whether it is true; others are asked the items themselves",
    )
    student: StudentRecipe = Field(NgramStudent(), description="what is trained and kept; default: `kind: ngram`")
    method: Method = Method()
    train: Train = Train()
    budget: Budget = Field(Budget(), description="caps over all teachers together")
    compare: Compare | None = Field(None, description="for `distrust compare` alone")
    seed: int = Field(0, description="of every draw and every initial weight")
    threads: int | None = Field(
        None, gt=0, description="CPU threads: part of what makes a run repeatable; default: 1 for `ngram`, else all cores"
    )
    output_dir: str = Field("runs/default", description="the run's folder")
    evidence_dir: str | None = Field(
        None, description="folder of what local teachers said, which runs may share; default: `evidence` in the run's folder"
    )

    @model_validator(mode="after")
    def _one_kind_of_task(self) -> Recipe:
        if (self.task == "generation") != (self.student.kind == "causal"):
            raise ValueError("task generation and student.kind causal come together: classes need a student of another kind")
        if self.task == "classification" and self.answer is not None:
            raise ValueError("`answer` is for task generation; an endpoint's answers about classes are read by its `parse`")
        if self.task == "generation" and self.labels is not None:
            raise ValueError("`labels` are for task classification; how open answers are read is said under `answer`")
        return self

    @model_validator(mode="after")
    def _teachers_fit_the_task(self) -> Recipe:
        for teacher in self.asked if self.task == "generation" else ():
            if isinstance(teacher, CausalAssistant) or (teacher is self.assistant and is_judge(teacher)):
                continue
            if isinstance(teacher, Classifier):
                raise ValueError(
                    f"the teacher {teacher.name} is a classifier and writes no texts; task generation needs some"
                )
            odd = [name for name in OF_CLASSES[teacher.kind] if not _is_default(teacher, name)]
            if odd:
                raise ValueError(f"`{odd[0]}` of the teacher {teacher.name} is for classes; task generation has none")
            if isinstance(teacher, Endpoint) and _is_default(teacher, "prompt"):
                raise ValueError(
                    f"the teacher {teacher.name} needs a `prompt`, such as `{{text}}`: the default is for labels"
                )
            if isinstance(teacher, Endpoint) and teacher.few_shot and _is_default(teacher, "example"):
                raise ValueError(
                    f"the teacher {teacher.name} needs an `example`, such as `{{text}} {{label}}` and a line break, where "
                    "{label} is the reference: the default is for labels"
                )
        return self

    @model_validator(mode="after")
    def _a_judge_is_shown_the_question(self) -> Recipe:
        if (
            self.task == "classification"
            and isinstance(self.assistant, CausalAssistant)
            and self.assistant.says == "answers"
        ):
            raise ValueError(
                f"the assistant {self.assistant.name} writes open answers; where there are classes it says `truth`"
            )
        if isinstance(self.assistant, Endpoint) and is_judge(self.assistant) and _is_default(self.assistant, "prompt"):
            raise ValueError(
                f"the assistant {self.assistant.name} is shown a whole question and says True or False; it needs `prompt: "
                "'{text}'`"
            )
        return self

    @model_validator(mode="after")
    def _worth_can_be_judged(self) -> Recipe:
        if self.worth is None:
            return self
        if len(self.worth) < 2 or any(more <= fewer for fewer, more in pairwise(self.worth)):
            raise ValueError(f"`worth` is {self.worth}; legal are two numbers of labels or more, rising: [50, 100, 250]")
        if self.task == "generation":
            raise ValueError("`worth` is for task classification; leave it out")
        if self.data.test is None:
            raise ValueError("`worth` is judged on `data.test`; give one, or leave `worth` out")
        if self.pool_label is None:
            raise ValueError("`worth` needs gold labels in the pool; name their column in `data.pool.label`")
        return self

    @property
    def asked(self) -> list[Recorded | Classifier | Endpoint | CausalAssistant]:
        """Everybody who is asked: the teachers, and the assistant where there is one."""
        return [*self.teachers, *([] if self.assistant is None else [self.assistant])]

    @property
    def pool_label(self) -> str | None:
        """The pool's column of gold labels; None where gold stands elsewhere and nobody named one."""
        if self.data.pool.label is not None or self.gold is None or self.gold.path is not None:
            return self.data.pool.label
        return self.gold.label

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [teacher.name for teacher in self.asked]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two teachers are named {twice[0]!r}; each needs a name of its own")
        return self


def is_judge(assistant: Recorded | Classifier | Endpoint | CausalAssistant) -> bool:
    """Whether an assistant is shown answers and says True or False, rather than answering the items itself."""
    return isinstance(assistant, Endpoint) and assistant.knows == ["True", "False"]


def _is_default(part: Strict, name: str) -> bool:
    """Whether a key says what it says by default: a recipe that a run saved writes every key down."""
    field = type(part).model_fields[name]
    return bool(getattr(part, name) == field.get_default(call_default_factory=True))
