"""The recipe: one strict YAML that says teachers, student, gold, budget and method.

Knows which keys and values are legal. Knows nothing of files, or of how any of it is done: each room takes its part of
the recipe as plain values. `docs/recipe.md` is generated from the descriptions here.
"""

from distrust.recipe.asked import (
    Asked,
    AssistantRecipe,
    Budget,
    CausalAssistant,
    CausalTeacher,
    Classifier,
    Endpoint,
    Parse,
    Price,
    Recorded,
    TeacherRecipe,
    is_judge,
)
from distrust.recipe.compared import Compare, Contender, Method
from distrust.recipe.given import Answer, Data, GoldRecipe, Source
from distrust.recipe.strict import Strict
from distrust.recipe.taught import CausalStudent, NgramStudent, StudentRecipe, Train, TransformerStudent
from distrust.recipe.whole import Recipe
from distrust.recipe.wrong import (
    Abstaining,
    Adversary,
    ClassBlind,
    Exchanged,
    InstanceDependent,
    NearClone,
    OverConfident,
    Pairwise,
    Stale,
    Symmetric,
    WrongRecipe,
)

__all__ = [
    "Abstaining",
    "Adversary",
    "Answer",
    "Asked",
    "AssistantRecipe",
    "Budget",
    "CausalAssistant",
    "CausalStudent",
    "CausalTeacher",
    "ClassBlind",
    "Classifier",
    "Compare",
    "Contender",
    "Data",
    "Endpoint",
    "Exchanged",
    "GoldRecipe",
    "InstanceDependent",
    "Method",
    "NearClone",
    "NgramStudent",
    "OverConfident",
    "Pairwise",
    "Parse",
    "Price",
    "Recipe",
    "Recorded",
    "Source",
    "Stale",
    "Strict",
    "StudentRecipe",
    "Symmetric",
    "TeacherRecipe",
    "Train",
    "TransformerStudent",
    "WrongRecipe",
    "is_judge",
]
