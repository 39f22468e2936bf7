"""Words without meaning, each one token, and language models from random weights that read them: for measuring time.

Knows how many tokens a vocabulary and a text have. Knows nothing of what is measured.
"""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from distrust.answers import Answers
from distrust.data import Items
from distrust.files import fingerprint
from distrust.recipe import Answer
from distrust.recipe import CausalStudent as Described
from distrust.stages import held
from distrust.students.causal import CausalStudent, build

VOCABULARY = 8000
SPECIAL = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>"}
ANSWERS = Answers(Answer())


def texts(count: int, prompt: int, completion: int) -> Items:
    """Prompts and completions of so many tokens on average, up to half as many more or fewer, the end token included."""
    draw = random.Random(0)

    def written(mean: int) -> str:
        length = draw.randint(mean - mean // 2, mean + mean // 2)
        return " ".join(f"w{draw.randrange(VOCABULARY - len(SPECIAL))}" for _ in range(length))

    prompts = tuple(written(prompt) for _ in range(count))
    said = tuple(written(completion - 1) for _ in range(count))
    return Items(tuple(map(str, range(count))), prompts, {"completion": said})


def model(width: int, layers: int, seed: int) -> CausalStudent:
    """A Llama of a width and so many layers, from random weights."""
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 32,
        "num_key_value_heads": width // 32,
        "max_position_embeddings": 512,
    }
    names = tuple(f"w{number}" for number in range(VOCABULARY - len(SPECIAL)))
    lengths = {"max_prompt_length": 128, "max_completion_length": 64}
    options = Described(kind="causal", config=config, tokenizer=tokenizer(names), template="{prompt}", **lengths)
    return build(options, ANSWERS, seed, Items((), ()))


@cache
def tokenizer(names: tuple[str, ...]) -> str:
    """The folder of a tokenizer that knows words by these names, and four special tokens before them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = {name: place for place, name in enumerate([*SPECIAL.values(), *names])}
    words = Tokenizer(models.WordLevel(known, unk_token=SPECIAL["unk"]))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = Path(tempfile.gettempdir()) / f"distrust-words-{fingerprint(*names)[:16]}"
    made = PreTrainedTokenizerFast(tokenizer_object=words, **{f"{role}_token": one for role, one in SPECIAL.items()})
    with held(folder, "turn.lock"):
        if not (folder / "tokenizer_config.json").is_file():
            made.save_pretrained(folder)
    return str(folder)
