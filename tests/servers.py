"""Real servers for tests: a tiny Llama made on the spot, behind `transformers serve` and behind llama.cpp's server.

Each runs in a process of its own on a free port of 127.0.0.1 and is stopped by its pid.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLOURS = {"red": "alpha", "green": "beta", "blue": "gamma"}
PROMPT = "Text: {text} Label:"
LABELS = ("alpha", "beta", "gamma")


def text_of(number: int) -> str:
    """A text whose colour decides its label."""
    return f"a {list(COLOURS)[number % 3]} thing {number}"


@contextmanager
def annotating(
    ledger: Path, recipe: dict[str, Any], count: int, caps: dict[str, Any] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The process of `annotating.py`; its stdout tells how many answers are confirmed."""
    command = [sys.executable, str(HERE / "annotating.py"), str(ledger), json.dumps(recipe), str(count)]
    process = subprocess.Popen([*command, json.dumps(caps or {})], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def kill_after(process: subprocess.Popen[str], confirmed: int) -> int:
    """SIGKILL an annotating process once it has confirmed so many answers; how many it had confirmed in the end."""
    assert process.stdout is not None
    last = 0
    for line in process.stdout:
        if line.strip().isdigit():
            last = int(line)
        if last >= confirmed:
            break
    process.kill()
    rest = [int(line) for line in process.stdout if line.strip().isdigit() and line.endswith("\n")]
    process.wait()
    return max([last, *rest])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def loopback(delay: float = 0.0, port: int = 0) -> Iterator[str]:
    """The server of `loopback.py`; gives its address without a path."""
    command = [sys.executable, str(HERE / "loopback.py"), "--delay", str(delay), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        stop(server)


def served(address: str) -> dict[str, Any]:
    """What the loopback server has sent: {"served": {prompt|seed: times}, "most_in_flight": n, "moments": [...]}."""
    with urllib.request.urlopen(f"{address}/served", timeout=30) as response:
        return dict(json.load(response))


def forget(address: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{address}/served", method="DELETE"), timeout=30).close()


def start_transformers(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """`transformers serve` on the tiny model, answering when this returns."""
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu"]
    return _start(command, port)


def start_llama_cpp(gguf: Path, port: int) -> subprocess.Popen[bytes]:
    """llama.cpp's server on the tiny model, answering when this returns."""
    return _start([sys.executable, str(HERE / "servers.py"), str(gguf), str(port)], port)


def stop(server: subprocess.Popen[Any], kill: bool = False) -> None:
    """Stop a server by its own process; `kill` as a crash would."""
    server.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _start(command: list[str], port: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return server
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    stop(server, kill=True)
    raise AssertionError(f"{command[1]} did not answer on port {port}")


def tiny_llama(folder: Path, lines: Sequence[str] | None = None, steps: int = 120) -> Path:
    """A Llama of 0.1 M weights that has learnt `lines`, saved as transformers and llama.cpp load it.

    By default it has learnt to name a text's label.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    lines = lines or [
        PROMPT.format(text=text_of(number)) + f" {COLOURS[list(COLOURS)[number % 3]]}" for number in range(600)
    ]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            tie_word_embeddings=False,
        )
        model = LlamaForCausalLM(config)
        rows = [[*tokenizer.encode(line), tokenizer.eos_token_id] for line in lines]
        width = max(map(len, rows))
        ids = torch.tensor([row + [tokenizer.eos_token_id] * (width - len(row)) for row in rows])
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(steps):
            batch = ids[torch.arange(step * 32, step * 32 + 32) % len(ids)]
            loss = model(input_ids=batch, labels=batch).loss
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_gguf(folder, model, bpe)
    return folder


def write_gguf(folder: Path, model: Any, bpe: Any) -> None:
    """The same model as `tiny.gguf`, all in 32 bits."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    vocabulary = sorted(bpe.get_vocab(), key=bpe.get_vocab().get)
    merges = [" ".join(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in ("<s>", "</s>") else gguf.TokenType.NORMAL for token in vocabulary]
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages[-1]['content'] }}")
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    for name, weight in model.state_dict().items():
        name = name.removesuffix(".weight")
        if name.startswith("model.layers."):
            layer, part = name.removeprefix("model.layers.").split(".", 1)
            target = f"blk.{layer}.{parts[part]}"
        else:
            target = names[name]
        if target.endswith(("attn_q", "attn_k")):  # llama.cpp rotates neighbouring pairs, transformers halves
            heads = config.num_attention_heads
            weight = weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
        writer.add_tensor(f"{target}.weight", weight.float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve_llama_cpp(gguf: str, port: int) -> None:
    """Serve until killed: the body of `start_llama_cpp`'s process."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = 2048
    parameters.n_parallel = 4
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    assert server.listening_address
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    serve_llama_cpp(sys.argv[1], int(sys.argv[2]))
