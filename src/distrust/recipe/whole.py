"""A whole recipe, and the rules that hold between its parts.

Knows which parts go together. Knows nothing of what any of them does.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from distrust.recipe.asked import (
    OF_CLASSES,
    Asked,
    AssistantRecipe,
    Budget,
    CausalAssistant,
    CausalTeacher,
    Classifier,
    Endpoint,
    TeacherRecipe,
    is_judge,
)
from distrust.recipe.compared import Compare, Method
from distrust.recipe.given import Answer, Data, GoldRecipe
from distrust.recipe.strict import Seed, Strict
from distrust.recipe.taught import NgramStudent, StudentRecipe, Train
from distrust.recipe.wrong import OF_TEXTS


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
    seed: Seed = Field(0, description="of every draw and every initial weight")
    threads: int | None = Field(
        None,
        gt=0,
        le=4096,
        description="CPU threads: part of what makes a run repeatable; default: 1 for `ngram`, else all cores",
    )
    onednn: bool = Field(
        False,
        description="on a CPU, products in single precision through oneDNN, refused where that would round; "
        "`distrust doctor` says what it gains or costs",
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
    def _images_are_read_by_models_of_images(self) -> Recipe:
        held = [one for one in (self.data.test, self.data.validation) if one is not None]
        if any((one.image is None) != (self.data.pool.image is None) for one in held):
            raise ValueError("images and texts cannot be mixed: pool, test and validation all have an `image`, or none has")
        if self.data.pool.image is not None:
            odd = next((one.name for one in self.asked if one.kind not in ("classifier", "recorded")), None)
            if odd is not None or self.student.kind != "transformer":
                raise ValueError(
                    f"{odd or 'the student'} reads no images; teachers of kind classifier or recorded do, and a student of "
                    "kind transformer"
                )
        return self

    @model_validator(mode="after")
    def _teachers_fit_the_task(self) -> Recipe:
        for teacher in self.teachers if self.task == "classification" else ():
            if isinstance(teacher, CausalTeacher):
                raise ValueError(
                    f"the teacher {teacher.name} writes open texts; one is asked for classes by `kind: endpoint`"
                )
        for teacher in self.asked if self.task == "generation" else ():
            if isinstance(teacher, CausalTeacher) or (teacher is self.assistant and is_judge(teacher)):
                continue
            if isinstance(teacher, Classifier):
                raise ValueError(
                    f"the teacher {teacher.name} is a classifier and writes no texts; task generation needs some"
                )
            odd = [name for name in OF_CLASSES[teacher.kind] if not _is_default(teacher, name)]
            if odd:
                raise ValueError(f"`{odd[0]}` of the teacher {teacher.name} is for classes; task generation has none")
            if teacher.wrong is not None and not isinstance(teacher.wrong, OF_TEXTS):
                raise ValueError(
                    f"`wrong` of the teacher {teacher.name} is {teacher.wrong.kind}, which is for classes; task generation "
                    "takes symmetric, near-clone or abstaining"
                )
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
    def asked(self) -> list[Asked]:
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


def _is_default(part: Strict, name: str) -> bool:
    """Whether a key says what it says by default: a recipe that a run saved writes every key down."""
    field = type(part).model_fields[name]
    return bool(getattr(part, name) == field.get_default(call_default_factory=True))
