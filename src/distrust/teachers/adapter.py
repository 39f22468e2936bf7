"""PEFT adapters: put on a model entirely or not at all, safetensors only.

Knows adapters' files and how peft may half-load them in silence. Knows nothing of labels or of asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distrust.errors import DataError
from distrust.modules import seeded
from distrust.pretrained import quiet
from distrust.secrets import show
from distrust.whereabouts import check_folder, neither

# what a config says of files and versions rather than of answers; peft fills its own version in where a file has none
VERSIONS = {"transformers_version", "peft_version"}
INCIDENTAL = VERSIONS | {"_name_or_path", "base_model_name_or_path", "revision", "inference_mode", "dtype"}


def adapt(model: Any, where: str, base: str, untrained: list[str]) -> Any:
    """Put the adapter of a folder or hub id on a model.

    Args:
        model: gets the adapter; base: its name, for errors.
        untrained: weights that the base lacks, which the adapter has to bring.

    Raises:
        DataError: no peft, no such adapter, pickled weights, an adapter of another model, a head that nobody trained.
    """
    try:
        import peft
    except ImportError as error:
        raise DataError(f"{where} is an adapter and peft is not installed: pip install 'distrust[peft]'.") from error
    try:
        with quiet(), seeded(0):
            file = _weights(where, check_folder(where))
            adapted = peft.PeftModel.from_pretrained(model, check_folder(where) or where)
            wanted = set(peft.get_peft_model_state_dict(adapted))
    except DataError:
        raise
    except Exception as error:  # peft, safetensors and the hub each raise their own
        said = neither(where, error) if check_folder(where) is None else None
        raise DataError(said or f"The adapter {where} cannot be put on {base}: {show(str(error))}.") from error
    given = _names(file)
    if given != wanted:  # peft only warns, and would answer as the bare model
        odd = sorted(given ^ wanted)[0]
        raise DataError(f"The adapter {where} is not of {base}: {odd} is only in one of both.")
    left = next((name for name in untrained if not any(key.endswith(name) for key in given)), None)
    if left is not None:
        raise DataError(f"Neither {base} nor the adapter {where} has trained weights for {left}.")
    return adapted


def settings(model: Any) -> dict[str, Any]:
    """What a model does beyond its weights: its config and its adapters', without paths and versions."""
    adapters = getattr(model, "peft_config", {})
    return {
        "config": _plain(model.config.to_diff_dict()),
        "adapters": {name: _plain(one.to_dict()) for name, one in adapters.items()},
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in INCIDENTAL}
    return {key: sorted(value) if isinstance(value, set | frozenset) else value for key, value in kept.items()}


def _weights(where: str, folder: Path | None) -> Path:
    if folder is None:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(where, "adapter_model.safetensors"))
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise DataError(f"{where} holds no adapter_model.safetensors; pickled adapters can run code and are refused.")
    return file


def _names(file: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as weights:
        return set(weights.keys())
