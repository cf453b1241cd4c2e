"""A Whisper-shaped CTranslate2 model with random weights: real structure and special tokens, meaningless text.

The vocabulary is as large as the multilingual one (51,865 entries; openai/whisper `tokenizer.py`), so faster-whisper
takes every path it takes with real weights: language tokens, timestamps, alignment for word times. Tests use the
smallest shape, benchmarks those of tiny and base: what a window costs does not depend on what the weights know.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

MELS = 80
TEXT_TOKENS = 50257
SPACE = "\u0120"
LANGUAGES = [code for code in _LANGUAGE_CODES if code != "yue"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Width of the model, attention heads, and layers of encoder and of decoder."""

    width: int
    heads: int
    layers: int


MICRO = Shape(32, 1, 1)
SHAPES = {"tiny": Shape(384, 6, 4), "base": Shape(512, 8, 6)}
"""As openai/whisper has them."""


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in order of byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


def _tokens() -> tuple[list[str], list[str], list[str]]:
    letters = _byte_letters()
    words = [f"{SPACE}w{n}" for n in range(TEXT_TOKENS - 258)]
    text = [*letters, f"{SPACE}w", *words, ""]  # "" marks the multilingual one
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{c}|>" for c in LANGUAGES)]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special += ["<|notimestamps|>"]
    return text, special, [f"<|{n * 0.02:.2f}|>" for n in range(1501)]


def _merges() -> list[tuple[str, str]]:
    """` w123` is one token, made a digit at a time."""
    first = [(SPACE, "w"), *((f"{SPACE}w", str(digit)) for digit in range(10))]
    return first + [(f"{SPACE}w{n // 10}", str(n % 10)) for n in range(10, TEXT_TOKENS - 258)]


def build(folder: Path, shape: Shape = MICRO, seed: int = 0) -> Path:
    """Write the model to `folder` (made if absent) and return it. The smallest has about 4 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    text, special, times = _tokens()
    tokenizer = Tokenizer(models.BPE(vocab={t: n for n, t in enumerate(text)}, merges=_merges()))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in times])
    tokenizer.save(str(folder / "tokenizer.json"))
    spec = _spec(shape, len(text) + len(special) + len(times), np.random.default_rng(seed))
    spec.register_vocabulary([*text, *special, *times])
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [220, TEXT_TOKENS]
    spec.config.lang_ids = [TEXT_TOKENS + 2 + n for n in range(len(LANGUAGES))]
    decoding = range(shape.layers // 2, shape.layers)
    spec.config.alignment_heads = [(layer, head) for layer in decoding for head in range(shape.heads)][:6]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS, "sampling_rate": 16000}))
    return folder


def _spec(shape: Shape, vocabulary: int, rng: np.random.Generator) -> whisper_spec.WhisperSpec:
    width = shape.width

    def noise(*size: int) -> np.ndarray:
        return (rng.standard_normal(size) * 0.05).astype(np.float32)

    def linear(layer: Any, rows: int, columns: int) -> None:
        layer.weight, layer.bias = noise(rows, columns), np.zeros(rows, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def attention(layer: Any, cross: bool = False) -> None:
        norm(layer.layer_norm)
        for part, rows in zip(layer.linear, (1, 2, 1) if cross else (3, 1), strict=True):
            linear(part, rows * width, width)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    spec = whisper_spec.WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    encoder, decoder = spec.encoder, spec.decoder
    for layer, depth in ((encoder.conv1, MELS), (encoder.conv2, width)):
        layer.weight, layer.bias = noise(width, depth, 3), np.zeros(width, np.float32)
    encoder.position_encodings.encodings = noise(1500, width)
    decoder.position_encodings.encodings = 40 * noise(448, width)  # so loud that it does not say one word for ever
    decoder.embeddings.weight = noise(vocabulary, width)
    decoder.projection.weight = decoder.embeddings.weight
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in (*encoder.layer, *decoder.layer):
        attention(layer.self_attention)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        attention(layer.attention, cross=True)
    return spec
